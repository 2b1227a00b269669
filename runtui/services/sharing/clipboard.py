"""The clipboard of whoever sits at the terminal, which may be another machine.

Invariant: a text is redacted first, and is handed over in one way; what is said is what was done. No terminal confirms
OSC 52, so that it arrived is never said. Nothing here fails: the last way is a private file, else a reason.

The ways, the first that is there: tmux's buffer, which tmux hands on to its terminal where it may (`load-buffer -w`);
OSC 52; a page to select the text from; a file.
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
from runtui.services.journal_query import write_export

MOST_ENCODED: Final = 74_994
"""Characters of base64 in one OSC 52: beyond that xterm and others drop it (100,000 bytes with what is around it)."""

_TMUX_SECONDS: Final = 2.0
"""How long tmux may take."""

_WITHOUT_CLIPBOARD: Final = ("linux", "dumb", "vt", "screen.linux")
"""How the names of terminals begin that have no clipboard."""


class HandedOver(NamedTuple):
    """What became of a text."""

    words: str
    """What was done, to stand after the name of what was copied: "in tmux's buffer…"."""
    page: str = ""
    """The text, where it is to be shown to be selected."""
    is_done: bool = True


async def hand_over(
    text: str,
    send_osc52: Callable[[str], object],
    *,
    folder: Path,
    fits_on_page: Callable[[str], bool],
    ending: str = "txt",
    environ: Mapping[str, str] = os.environ,
) -> HandedOver:
    """Hand a text to the clipboard in the first way that is there; tmux and the kind of terminal are looked up in
    `environ`. `folder` is the state folder, for a file, whose name ends in `ending`.
    """
    text = redact(text)
    if environ.get("TMUX") and await _in_tmux(text):
        return HandedOver("in tmux's buffer; prefix ] pastes it")
    if _has_osc52(environ) and len(b64encode(text.encode("utf-8", "replace"))) <= MOST_ENCODED:
        send_osc52(text)
        return HandedOver("sent to the terminal (OSC 52)")
    if fits_on_page(text):
        return HandedOver("shown to be selected", page=text)
    return await asyncio.to_thread(into_file, text, folder, ending)


def into_file(text: str, folder: Path, ending: str = "txt") -> HandedOver:
    """Write a text to a new private file in a state folder."""
    try:
        path = write_export(folder, f"copied.{ending}", [redact(text).removesuffix("\n")])
    except RuntuiError as error:
        return HandedOver(f"not written. {error.message} {error.hint}", is_done=False)
    return HandedOver(f"written to {path}")


def _has_osc52(environ: Mapping[str, str]) -> bool:
    """Whether OSC 52 can reach a clipboard: GNU screen (STY) drops it, and so does tmux by default."""
    return not (environ.get("STY") or environ.get("TMUX") or environ.get("TERM", "").startswith(_WITHOUT_CLIPBOARD))


async def _in_tmux(text: str) -> bool:
    """Whether tmux took a text into a new buffer. `-w`, for the clipboard of its terminal, is known from 3.2 on."""
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
