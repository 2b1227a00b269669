"""`runtui` with all that Python logs in a file, whose key for the next theme crashes it with the token in the error.

Run as `python -m tests.terminal.loud_runtui LOG ARGUMENTS`; the token is the one in RUNTUI_TOKEN.
"""

from __future__ import annotations

import logging
import os
import sys

from runtui.cli import main
from runtui.tui import app as app_module
from runtui.tui.app import RuntuiApp


class CrashingApp(RuntuiApp):
    """The app, but for one action."""

    def action_next_theme(self) -> None:
        """Fail with the token in the messages of two errors, and in a local variable."""
        token = os.environ["RUNTUI_TOKEN"]
        try:
            raise ValueError(f"Illegal header value b'Bearer {token}'")
        except ValueError as error:
            raise LookupError(f"{token} was refused") from error


if __name__ == "__main__":
    app_module.RuntuiApp = CrashingApp  # type: ignore[misc]
    logging.basicConfig(filename=sys.argv[1], level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    sys.exit(main(sys.argv[2:]))
