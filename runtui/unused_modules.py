"""Imports libraries without some of their modules, which are expensive and unused here.

Invariant: such a module is replaced only while its library is imported, and only one library is imported so at a time;
a later import gets the real one. The replacement has an empty class for each name that the library takes from it, and
nothing else, so a version that needs more fails at import. A module that the library can do without is not found.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Final

UNUSED_MODULES: Final[Mapping[str, Mapping[str, str | None]]] = {
    # TLS, which anyio adds itself: 1 MiB in a command that sends nothing.
    "asyncio": {"ssl": None},
    # Its command palette with the widgets for that: 12 ms. The folders and file types of a desktop: 5 ms. A table of
    # colours, lines between widgets, notifications, proposals of an input: 4 ms.
    "textual": {
        "mimetypes": "guess_type",
        "platformdirs": "user_downloads_path",
        "rich.table": "Table",
        "textual.canvas": "Canvas CanvasLineType Rectangle",
        "textual.command": "CommandListItem CommandPalette DiscoveryHit Hit Hits Provider SimpleProvider",
        "textual.suggester": "Suggester SuggestionReady",
        "textual.widgets._toast": "ToastRack",
    },
    # What only its clients need, not its transports: other certificates than given ones: 5 ms. Cookies and proxies of
    # the environment: 13 ms, 2 MiB. And its command line with click: 24 ms.
    "httpx": {
        "certifi": "where",
        "email.message": "Message",
        "http.cookiejar": "Cookie CookieJar",
        "httpx._main": "main",
        "urllib.request": "Request getproxies parse_http_list",
    },
    # The HTTP client that it uses if it gets none: 22 ms, 4 MiB.
    "msal": {"requests": "Session", "requests.adapters": "HTTPAdapter"},
    # With Starlette. Its command line, with click: 18 ms. Files that configure the log: 5 ms. Forms: 5 ms.
    "uvicorn": {
        "logging.config": "",
        "starlette.formparsers": "FormParser MultiPartException MultiPartParser",
        "uvicorn.main": "Server main run",
    },
    # The 84 TypedDicts of its schemas, which take four times as long as the rest; plain dictionaries work as well.
    "pydantic_core": {"pydantic_core.core_schema": "CoreConfig CoreSchema CoreSchemaType ErrorType"},
}
"""Library -> module to leave out -> the names that the library takes from it; None if it can do without the module."""

IMPORT_LOCK: Final = threading.RLock()
"""Hold it to import a module of `UNUSED_MODULES` that is of the standard library, so as to get the real one."""


@contextmanager
def without_unused(library: str) -> Iterator[None]:
    """Replace the modules of a library in `UNUSED_MODULES` while the block imports it; modules already loaded stay."""
    with IMPORT_LOCK:
        absent = {name: names for name, names in UNUSED_MODULES[library].items() if name not in sys.modules}
        for name, names in absent.items():
            module = ModuleType(name)
            vars(module).update({part: type(part, (), {}) for part in (names or "").split()})
            sys.modules[name] = module if names is not None else None  # type: ignore[assignment] # not found
            if package := sys.modules.get(name.rpartition(".")[0]):
                vars(package)[name.rpartition(".")[2]] = module
        try:
            yield
        finally:
            for name in absent:
                del sys.modules[name]
                if package := sys.modules.get(name.rpartition(".")[0]):
                    vars(package).pop(name.rpartition(".")[2], None)
