"""A token and a secret that must never be found where they do not belong: on disk, on a screen, in a clipboard.

The tests sign in with them wherever they may, and `tests/conftest.py` looks for them at the end of the whole run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

TOKEN: Final = "canary/token+6f0c2d9e1b7a=="
SECRET: Final = "canary/secret~5Bd81e6c0f2e"

_FORMS: Final = tuple(
    form.encode()
    for value in (TOKEN, SECRET)
    for form in (value, quote(value, safe=""), value.replace("/", "\\/"), b64encode(value.encode()).decode())
)


def holds_canary(data: bytes) -> bool:
    """Whether one of them is in there, as it is or as an address, JSON or base64 writes it."""
    return any(form in data for form in _FORMS)


def leaks(folder: Path, *, may_hold: Iterable[str] = ()) -> list[Path]:
    """The files below `folder` that hold one of them, but for those with a name that may."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name not in may_hold and holds_canary(path.read_bytes())
    ]
