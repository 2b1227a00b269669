"""The tasks of the services: several side by side, one to its end, and the error that ended one.

Invariant: the error of a task is raised where somebody waits for it, unless that one is cancelled; a task that nobody
waits for reports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from runtui.errors import RuntuiError

_T = TypeVar("_T")


def report_defect(task: asyncio.Task[Any]) -> None:
    """Report the error that ended a task, if one did, to its loop: at once, since nobody may ever await the task."""
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": f"{task.get_name()} failed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)


async def side_by_side(work: Callable[[], Coroutine[Any, Any, None]], workers: int) -> None:
    """Run `work` as many times side by side as there are `workers`, and wait for all.

    Raises:
        RuntuiError: the first that a worker has raised; it ended the others.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    except* RuntuiError as trouble:
        raise trouble.exceptions[0] from None


async def uncancelled(work: Awaitable[_T]) -> _T:
    """Await some work to its end, however often the task is cancelled: its result must be known."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # retrieve the error, because nobody else will
        raise cancelled
    return task.result()
