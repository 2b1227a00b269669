"""Imports libraries without some of their modules, which are expensive and unused here.

Invariant: such a module is replaced only while its library is imported; a later import gets the real one. The
replacement has an empty class for each name that the library imports from it, and nothing else, so a version that needs
more fails at import. A module that the library can do without is not found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Final

UNUSED_MODULES: Final[Mapping[str, Mapping[str, str | None]]] = {
    # TLS, which anyio adds itself: 7 ms of the first key.
    "asyncio": {"ssl": None},
    # Its command line, made of click, rich and pygments: 40 ms.
    "httpx": {"httpx._main": None},
    # Its command palette with the widgets for that, notifications, files for a desktop, tables of colours, key lines.
    "textual": {
        "mimetypes": "",
        "platformdirs": "user_downloads_path",
        "rich.table": "Table",
        "textual.canvas": "Canvas Rectangle",
        "textual.command": "CommandListItem CommandPalette DiscoveryHit Hit Hits Provider SimpleProvider",
        "uuid": "uuid4",
    },
    # Its command line, with click and multiprocessing: 20 ms. Files that configure the log: 6 ms.
    "uvicorn": {"configparser": "RawConfigParser", "logging.config": "", "uvicorn.main": "Server main run"},
    # The 84 TypedDicts of its schemas, which take four times as long as the rest; plain dictionaries work as well.
    "pydantic_core": {"pydantic_core.core_schema": "CoreConfig CoreSchema CoreSchemaType ErrorType"},
}
"""Library -> module to leave out -> the names that the library imports from it; None if it need not be there."""


@contextmanager
def without_unused(library: str) -> Iterator[None]:
    """Replace the modules of a library in `UNUSED_MODULES` while the block imports it; modules already loaded stay."""
    absent = {name: names for name, names in UNUSED_MODULES[library].items() if name not in sys.modules}
    for name, names in absent.items():
        module = ModuleType(name)
        vars(module).update({part: type(part, (), {}) for part in (names or "").split()})
        sys.modules[name] = module if names is not None else None  # type: ignore[assignment] # not found
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
