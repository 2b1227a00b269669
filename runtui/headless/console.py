"""Messages and questions to the person who runs a command, and the person's input.

Invariant: messages go to standard error, with foreign text made visible. A closed terminal stops neither a command nor
a save.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from runtui.domain.text import cells_in, visible

if TYPE_CHECKING:
    from runtui.domain.filter_tree import Filter

_P = ParamSpec("_P")

_STDIN: Final = 0
"""The descriptor of standard input; if the shell closed it, Python has no file object for it."""


def command(work: Callable[_P, Coroutine[Any, Any, int]]) -> Callable[_P, int]:
    """Run a coroutine as a command on its own event loop. Ctrl+c after its end does not change the exit code."""

    @wraps(work)
    def run(*args: _P.args, **how: _P.kwargs) -> int:
        async def to_the_end() -> int:
            code = await work(*args, **how)
            await keep_exit_code()
            return code

        return asyncio.run(to_the_end())

    return run


async def keep_exit_code() -> None:
    """Ignore ctrl+c, also a pending one, until the process ends: the outcome is known and only cleanup is left.

    Raises:
        BrokenPipeError: the reader of standard output is gone.
    """
    sys.stdout.flush()
    # Remove the loop's handler first. This restores the default one for a moment, as closing the loop would for good.
    with suppress(KeyboardInterrupt):
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()


ENDED_FROM_OUTSIDE: Final = (signal.SIGTERM, signal.SIGHUP)
"""The signals by which the system or a closed terminal ends a command."""


def on_signals(act: Callable[[], object], *numbers: signal.Signals) -> None:
    """Call `act` in the running loop at some signals, by default at ctrl+c and those from outside; not at one that the
    caller has it ignore, as `nohup` does."""
    for number in numbers or (signal.SIGINT, *ENDED_FROM_OUTSIDE):
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, act)


def narrate(*lines: str) -> None:
    """Print messages to standard error, one per line."""
    _write("".join(f"{visible(line)}\n" for line in lines))


def parse_filter_option(text: str) -> Filter | None:
    """Parse the filter of a command line, and print its hint about a likely mistake.

    Raises:
        FilterError: the filter cannot be understood.
    """
    from runtui.domain.filters import FilterError, parse_filter
    from runtui.domain.times import now_ticks

    try:
        found = parse_filter(text, now_ticks())
    except FilterError as error:
        error.hint = f"See character {error.position + 1} of: {text}"
        raise
    if found is not None and found.hint:
        narrate(found.hint)
    return found


def print_result(line: str) -> None:
    """Print data while work goes on. A closed reader, as with | head, or a full disk does not stop the command."""
    try:
        print(line, flush=True)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            narrate(f"runtui: The output is incomplete. Standard output cannot be written: {error.strerror}.")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def can_rewrite_line() -> bool:
    """Return True if a line of standard error can be rewritten in place."""
    return sys.stderr.isatty()


class ProgressLine:
    """A status line: rewritten in place on a terminal, else each new text on a new line."""

    def __init__(self) -> None:
        self._text = ""
        self._width = 0

    def show(self, text: str) -> None:
        before, self._text = self._text, text
        if not can_rewrite_line():
            if text not in ("", before):
                narrate(text)
            return
        shown = visible(text)
        self.clear()
        _write(shown)
        self._width = cells_in(shown)

    def clear(self) -> None:
        if self._width:
            _write(f"\r{' ' * self._width}\r")
            self._width = 0


def can_ask() -> bool:
    """Return True if standard input and standard error are terminals."""
    return os.isatty(_STDIN) and sys.stderr.isatty()


async def confirmed(question: str) -> bool:
    """Ask a question; only y or yes, typed after it, confirms. Can be cancelled."""
    return (await answer_to(f"{question} [y/N] ")).lower() in ("y", "yes")


async def answer_to(question: str) -> str:
    """Ask a question and return the line typed after it. Can be cancelled."""
    termios.tcflush(_STDIN, termios.TCIFLUSH)
    _write(visible(question))
    answer = None
    try:
        async with aclosing(typed_lines()) as lines:
            answer = await anext(lines, None)
    finally:
        if answer is None:
            _write("\n")
    return answer or ""


async def typed_lines() -> AsyncGenerator[str, None]:
    """Yield the lines of standard input as they arrive, without blocking the event loop. Can be cancelled.

    Yield nothing if standard input is a file or closed.
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
            try:
                chunk = os.read(_STDIN, 65_536)
            except OSError:  # the terminal is gone
                chunk = b""
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
    # The reader may be gone, as with 2>&1 | head, but the command must continue.
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
