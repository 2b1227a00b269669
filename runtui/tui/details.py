"""What the Run tab shows, step by step: the run as stored, as read afresh, and what its tasks did.

Invariant: reading only; whatever cannot be read is said in the page, and the page before it stays useful.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from runtui.domain.results import TaskResult
from runtui.domain.times import now_ticks
from runtui.graph.client import GraphError
from runtui.graph.retry import Pace
from runtui.services.workspace import Workspace
from runtui.tui.pages import run_page
from runtui.tui.widgets.side_panel import Page


async def details(workspace: Workspace, run_id: str) -> AsyncIterator[Page]:
    """Yield the page of a run as more and more of it is known."""
    stored = workspace.store.get(run_id)
    if stored is None:
        return
    run = stored.raw
    yield run_page(run, stored.workflow_name, now_ticks(), None)
    if not workspace.connected:
        return
    tasks: list[TaskResult] = []
    try:
        async for page in workspace.client.task_results(stored.workflow_id, run_id, pace=Pace()):
            tasks += [TaskResult(item) for item in page.items]
    except GraphError as error:
        note = f"What its tasks did could not be read: {error.fault.title}. {error.fault.hint}"
        yield run_page(run, stored.workflow_name, now_ticks(), None, note)
    else:
        yield run_page(run, stored.workflow_name, now_ticks(), tasks)
