"""`runtui` with a file of everything that Python logs; its key for the next theme crashes it with the token in the
error.

Run as `python -m tests.terminal.loud_runtui LOG ARGUMENTS`; the token is the one in RUNTUI_TOKEN.
"""

from __future__ import annotations

import logging
import os
import sys

from runtui.cli import main
from runtui.tui.features.switching import Switching


def crash(_feature: object) -> None:
    """Fail with the token in the messages of two errors, and in a local variable."""
    token = os.environ["RUNTUI_TOKEN"]
    try:
        raise ValueError(f"Illegal header value b'Bearer {token}'")
    except ValueError as error:
        raise LookupError(f"{token} was refused") from error


if __name__ == "__main__":
    Switching.action_theme = crash  # type: ignore[method-assign,assignment]
    logging.basicConfig(filename=sys.argv[1], level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    sys.exit(main(sys.argv[2:]))
