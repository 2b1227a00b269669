"""runtui with everything that Python logs, at DEBUG, on standard error; `crash` ends like a crashed terminal UI.

Several commands, separated by `+`, run one after the other; each ends its output with a form feed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import sys

from runtui.cli import main
from runtui.command_line import CommandLine, token_source
from runtui.log import crash_sentence


async def crash() -> str:
    """Crash while every secret of a sign-in is in reach: in local variables, and in the texts of two errors."""
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
    commands = [[*words] for between, words in itertools.groupby(sys.argv[1:], "+".__eq__) if not between]
    if len(commands) == 1:
        sys.exit(main(commands[0]))
    codes = []
    for command in commands:
        codes.append(main(command))
        print("\f", flush=True)
    sys.exit(max(codes))
