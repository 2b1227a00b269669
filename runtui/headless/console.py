"""Speaking with a person beside the data: narration and questions out, what was typed in.

Invariant: what goes out goes to standard error; foreign text is made visible, and a terminal that went away stops
neither a command nor a save.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, Final

from runtui.domain.text import cell_width, visible

_STDIN: Final = 0
"""By its number: where a shell closed it, Python has no object for it."""


def run_command(command: Coroutine[Any, Any, int]) -> int:
    """Run a command to its exit code, which ctrl+c does not change once the command has ended."""

    async def to_the_end() -> int:
        code = await command
        await keep_exit_code()
        return code

    return asyncio.run(to_the_end())


async def keep_exit_code() -> None:
    """Ignore ctrl+c from here to the end of the process: what the command did is known, and about to be told or told.

    Whatever is open is still closed, which takes no longer than a person can wait. A ctrl+c that has not reached the
    caller yet is dropped.

    Raises:
        BrokenPipeError: the reader of standard output is gone.
    """
    sys.stdout.flush()
    # The loop's own handler, which the screen has put there, would be put back to the default when the loop closes.
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()


def narrate(*lines: str) -> None:
    """Say something to the person, each text in one line."""
    _write("".join(f"{visible(line)}\n" for line in lines))


def is_animated() -> bool:
    """Whether a line may be rewritten in place."""
    return sys.stderr.isatty()


def count_seconds() -> float:
    """From one line of a countdown to the next: short where it is rewritten in place, long where each is kept."""
    return 1.0 if is_animated() else 30.0


class PassingLine:
    """A line that is rewritten in place on a terminal; elsewhere each text is a line of its own."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, text: str) -> None:
        """Put a text in the place of the last one."""
        if not is_animated():
            narrate(text)
            return
        shown = visible(text)
        self.clear()
        _write(shown)
        self._width = sum(map(cell_width, shown))

    def clear(self) -> None:
        """Take it off the terminal."""
        if self._width:
            _write(f"\r{' ' * self._width}\r")
            self._width = 0


def can_ask() -> bool:
    """Whether there is a person who sees a question and can answer it."""
    return os.isatty(_STDIN) and sys.stderr.isatty()


async def confirmed(question: str) -> bool:
    """Ask on the terminal; only y or yes, typed after the question, is a yes. It can be cancelled."""
    termios.tcflush(_STDIN, termios.TCIFLUSH)
    _write(f"{visible(question)} [y/N] ")
    # Not input(): it would hold the loop, and with it ctrl+c.
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    loop.add_reader(_STDIN, answered.set)
    try:
        await answered.wait()
    except asyncio.CancelledError:
        _write("\n")
        raise
    finally:
        loop.remove_reader(_STDIN)
    answer = os.read(_STDIN, 1024)
    if not answer.endswith(b"\n"):
        _write("\n")
    return answer.decode(errors="replace").strip().lower() in ("y", "yes")


async def typed_lines() -> AsyncIterator[str]:
    """What is typed or pasted, line by line, until standard input ends. It can be cancelled, and never holds the loop.

    Nothing comes where standard input is a file or closed: it would not be what a person says.
    """
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    try:
        loop.add_reader(_STDIN, arrived.set)
    except OSError:
        return
    rest = b""
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            chunk = os.read(_STDIN, 65_536)
            *lines, rest = (rest + chunk).split(b"\n")
            if not chunk and rest:
                lines = [rest]
            for line in lines:
                yield line.decode(errors="replace").strip()
            if not chunk:
                return
    finally:
        loop.remove_reader(_STDIN)


def _write(text: str) -> None:
    # The reader of the narration may be gone, as with 2>&1 | head: what is being done is worth more.
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
