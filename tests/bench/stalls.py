"""`python -m tests.bench.stalls FILE ...` runs runtui with these arguments, and writes the long callbacks of its loop.

Each line of the file has the milliseconds (CPU time of the loop's thread) and the name of a callback. While one runs,
no key is answered.
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

STEP: Final = 0.001
"""The longest wait of a loop in `processor_of_its_own`, in seconds."""


def name_of(handle: Handle) -> str:
    """Return the name of what a handle runs: the name and the coroutine of a task, or a function."""
    callback: Any = getattr(handle, "_callback")  # noqa: B009 - typeshed does not know it
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return f"{task.get_name()}: {getattr(task.get_coro(), '__qualname__', task.get_coro())}"
    return str(getattr(callback, "__qualname__", callback))


@contextmanager
def each_piece(note: Callable[[float, str], object]) -> Iterator[None]:
    """Within this context, report the milliseconds (CPU time) and the name of each callback of an event loop."""
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


@contextmanager
def processor_of_its_own() -> Iterator[None]:
    """Within this context, stop the clock of the running event loop while other processes have the processor.

    A timed event, such as an answer, then comes between the same steps on a busy machine as on an idle one.
    """
    loop: Any = asyncio.get_running_loop()
    began, worked, waited = loop.time(), time.thread_time(), 0.0
    time_of, select = loop.time, loop._selector.select

    def wait(seconds: float | None) -> Any:
        nonlocal waited
        at_most, from_now = STEP if seconds is None else min(seconds, STEP), time.perf_counter()
        events = select(at_most)
        waited += min(max(at_most, 0.0), time.perf_counter() - from_now)
        return events

    loop.time, loop._selector.select = lambda: began + waited + time.thread_time() - worked, wait
    try:
        yield
    finally:
        loop.time, loop._selector.select = time_of, select


def write_long_ones(file: Path) -> Callable[[float, str], None]:
    """Write the callbacks that take long in the first seconds to a file."""
    began = time.monotonic()

    def note(took: float, name: str) -> None:
        if took >= LONG_MILLISECONDS and time.monotonic() - began < FIRST_SECONDS:
            with file.open("a") as lines:
                lines.write(f"{took:.0f} {name}\n")

    return note


if __name__ == "__main__":
    with each_piece(write_long_ones(Path(sys.argv[1]))):
        raise SystemExit(main(sys.argv[2:]))
