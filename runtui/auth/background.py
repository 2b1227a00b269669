"""Blocking calls beside the event loop, which neither hold it up nor the end of the program.

Invariant: the loop never waits longer than it was told, and the process never waits at all: the threads are daemons.
`asyncio.to_thread` will not do, because its threads are joined at exit, however long a server takes to answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_background(work: Callable[[], T], *, seconds: float) -> T:
    """What `work` gives, called in a daemon thread.

    When this is cancelled or the time is up, the thread is left to itself and what it brings is dropped.

    Raises:
        TimeoutError: after so many seconds; otherwise, whatever `work` raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # The loop may be closed: then nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def run() -> None:
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 -- it is handed on to whoever waits
            error = raised
            settle(lambda: future.set_exception(error))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=run, name="sign-in", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await future
