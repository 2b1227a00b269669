"""`python -m tests.bench.stalls FILE ...` runs runtui with these arguments, and writes what kept its loop busy.

Each line of the file is a number of milliseconds (CPU time of the loop's thread) and what ran: while it does, no key is
answered.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.events import Handle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from runtui.cli import main

FIRST_SECONDS: Final = 3.0
LONG_MILLISECONDS: Final = 50.0


def name_of(handle: Handle) -> str:
    """What a handle runs: a task by its name and its coroutine, else a function."""
    callback: Any = getattr(handle, "_callback")  # noqa: B009 - typeshed does not know it
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return f"{task.get_name()}: {getattr(task.get_coro(), '__qualname__', task.get_coro())}"
    return str(getattr(callback, "__qualname__", callback))


@contextmanager
def each_piece(note: Callable[[float, str], object]) -> Iterator[None]:
    """Meanwhile, tell of each callback of an event loop how many milliseconds it took (CPU time), and what it was."""
    run: Any = Handle._run

    def timed(handle: Handle) -> None:
        name, before = name_of(handle), time.thread_time()
        run(handle)
        note((time.thread_time() - before) * 1000, name)

    setattr(Handle, "_run", timed)  # noqa: B010 - typeshed binds it
    try:
        yield
    finally:
        setattr(Handle, "_run", run)  # noqa: B010 - typeshed binds it


def write_long_ones(file: Path) -> Callable[[float, str], None]:
    """Have those that take long in the first seconds written into a file."""
    began = time.monotonic()

    def note(took: float, name: str) -> None:
        if took >= LONG_MILLISECONDS and time.monotonic() - began < FIRST_SECONDS:
            with file.open("a") as lines:
                lines.write(f"{took:.0f} {name}\n")

    return note


if __name__ == "__main__":
    with each_piece(write_long_ones(Path(sys.argv[1]))):
        raise SystemExit(main(sys.argv[2:]))
