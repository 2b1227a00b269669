"""The import of httpx, made quick and quiet, for all that open connections.

Invariant: whoever imports httpx has called `load_httpx` first.
"""

from __future__ import annotations

import logging
import sys


def load_httpx() -> None:
    """Import httpx without its command line, and with the event loop support that its first request would load.

    `httpx` imports a command line made of click, rich and pygments when it finds them (40 ms); it copes without.
    """
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
        try:
            import httpx  # noqa: F401
        finally:
            del sys.modules["httpx._main"]
        import anyio

        anyio.run(anyio.sleep, 0)
    # At INFO they print whole addresses, at DEBUG cookies.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
