"""A token and a secret for tests, which must not appear on disk, on a screen or in a clipboard.

The tests sign in with them; `tests/conftest.py` searches all files for them at the end of the whole run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

TOKEN: Final = "canary/token+6f0c2d9e1b7a=="
SECRET: Final = "canary/secret~5Bd81e6c0f2e"


def _in_base64(value: str) -> Iterator[str]:
    """Yield the base64 of a value after 0, 1 or 2 other bytes, without the characters that depend on other bytes."""
    for before in range(3):
        text = b64encode(b"-" * before + value.encode()).decode()
        yield text[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]


def _in_json(value: str) -> Iterator[str]:
    """Yield a value as JSON writers write it that escape more than they must: punctuation, or every character."""
    for escape in ("\\u{:04X}", "\\u{:04x}"):
        yield "".join(letter if letter.isalnum() else escape.format(ord(letter)) for letter in value)
        yield "".join(escape.format(ord(letter)) for letter in value)
        for marks in ("+", "+=", "/", "~"):
            yield "".join(escape.format(ord(letter)) if letter in marks else letter for letter in value)


_FORMS: Final = tuple(
    form.encode()
    for value in (TOKEN, SECRET)
    for form in (
        *(value, quote(value, safe=""), quote(value), value.replace("/", "\\/")),
        *(value.replace("+", "&#x2B;"), value.replace("+", "&#43;")),
        *_in_json(value),
        *_in_base64(value),
    )
)

_BEGINNINGS: Final = {form[:6] for form in _FORMS}
"""The first bytes of these forms: they are few, and most data has none of them."""


def holds_canary(data: bytes) -> bool:
    """Return whether data contains the token or the secret, plain or encoded for a URL, JSON, HTML or base64."""
    return any(beginning in data for beginning in _BEGINNINGS) and any(form in data for form in _FORMS)


def leaks(folder: Path, *, may_hold: Iterable[str] = ()) -> list[Path]:
    """Return the files below `folder` that contain the token or the secret, except files with a name in `may_hold`."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name not in may_hold and holds_canary(path.read_bytes())
    ]
