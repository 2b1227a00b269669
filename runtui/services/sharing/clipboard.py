"""Copies text to the clipboard of the person at the terminal, who may use another machine.

Invariant: a text is redacted first and copied in exactly one way. The message says only what was done: no terminal
confirms OSC 52, so it never claims that the text arrived. No function raises; the last way is a private file.

The first available way is used: tmux's buffer, which tmux may pass on to its terminal (`load-buffer -w`); OSC 52; a
page to select the text from; a file.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from runtui.errors import RuntuiError
from runtui.redact import redact
from runtui.services.records.journal_query import write_export

MAX_ENCODED: Final = 74_994
"""The most base64 characters in one OSC 52: xterm and others drop a longer one (about 100,000 bytes decoded)."""

_TMUX_SECONDS: Final = 2.0

_WITHOUT_CLIPBOARD: Final = ("linux", "dumb", "vt", "screen.linux")
"""The prefixes of TERM for terminals without a clipboard."""


class CopyResult(NamedTuple):
    """The result of copying a text."""

    words: str
    """What was done, to follow the name of the copied thing: "in tmux's buffer…"."""
    page: str = ""
    """The text to show for selection; empty if it was copied in another way."""
    is_done: bool = True


async def copy_text(
    text: str,
    send_osc52: Callable[[str], object],
    *,
    folder: Path,
    fits_on_page: Callable[[str], bool],
    ending: str = "txt",
    environ: Mapping[str, str] = os.environ,
) -> CopyResult:
    """Copy a text in the first available way. `environ` tells whether tmux is used and the type of the terminal.
    `folder` is the state folder for a file, and `ending` the extension of its name.
    """
    text = redact(text)
    if environ.get("TMUX") and await _in_tmux(text):
        return CopyResult("in tmux's buffer; prefix ] pastes it")
    if _has_osc52(environ) and len(b64encode(text.encode("utf-8", "replace"))) <= MAX_ENCODED:
        send_osc52(text)
        return CopyResult("sent to the terminal (OSC 52)")
    if fits_on_page(text):
        return CopyResult("shown to be selected", page=text)
    return await asyncio.to_thread(into_file, text, folder, ending)


def into_file(text: str, folder: Path, ending: str = "txt") -> CopyResult:
    """Write a text to a new private file in a state folder."""
    try:
        path = write_export(folder, f"copied.{ending}", [redact(text).removesuffix("\n")])
    except RuntuiError as error:
        return CopyResult(f"not written. {error.message} {error.hint}", is_done=False)
    return CopyResult(f"written to {path}")


def _has_osc52(environ: Mapping[str, str]) -> bool:
    """Return True if OSC 52 can reach a clipboard: GNU screen (STY) drops it, and so does tmux by default."""
    return not (environ.get("STY") or environ.get("TMUX") or environ.get("TERM", "").startswith(_WITHOUT_CLIPBOARD))


async def _in_tmux(text: str) -> bool:
    """Load a text into a new tmux buffer, if possible with `-w`, which needs tmux 3.2. Return True if it worked."""
    return await _tmux("load-buffer", "-w", "-", text=text) or await _tmux("load-buffer", "-", text=text)


async def _tmux(*arguments: str, text: str) -> bool:
    nothing = asyncio.subprocess.DEVNULL
    try:
        tmux = await asyncio.create_subprocess_exec(
            "tmux", *arguments, stdin=asyncio.subprocess.PIPE, stdout=nothing, stderr=nothing
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(_TMUX_SECONDS):
            await tmux.communicate(text.encode("utf-8", "replace"))
    except (TimeoutError, OSError):
        with suppress(ProcessLookupError):
            tmux.kill()
        await tmux.wait()
        return False
    return tmux.returncode == 0
