"""runtui with all that Python logs, at DEBUG, on standard error; `crash` ends as a broken terminal UI does."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys

from runtui.cli import main
from runtui.command_line import CommandLine, token_source
from runtui.log import crash_sentence


async def crash() -> str:
    """Break with every secret of a sign-in at hand: in local variables, and in the texts of two errors."""
    settings = CommandLine({}).settings()
    source = token_source(settings)
    token = await source()
    (cache,) = settings.state_folder.glob("tokens-*.json")
    kept = json.loads(cache.read_text("utf-8"))
    refresh_token = next(iter(kept["RefreshToken"].values()))["secret"]
    secret = os.environ["RUNTUI_CLIENT_SECRET"]
    try:
        try:
            raise ValueError(f"Illegal header value b'Bearer {token}'")
        except ValueError as error:
            raise RuntimeError(f"{refresh_token} was refused with client_secret={secret}") from error
    except RuntimeError as error:
        return crash_sentence(error, settings.state_folder)
    finally:
        await source.aclose()  # type: ignore[attr-defined]


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
    for name in ("msal", "httpx", "httpcore", "urllib3", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    if sys.argv[1] == "crash":
        sys.exit(asyncio.run(crash()))
    sys.exit(main(sys.argv[1:]))
