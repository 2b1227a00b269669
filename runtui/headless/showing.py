"""`runtui show`: one run as it is now, what failed in it, and what of ours is still open on it.

Invariant: standard output is data and nothing else; as text, foreign text in it is visible. JSON carries the run as
received.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runtui.domain.draft import Draft, value_word
from runtui.domain.properties import EDITABLE
from runtui.domain.results import TaskResult, subjects_line
from runtui.domain.text import visible
from runtui.domain.times import ago, duration_text, local_text, now_ticks, parse_ticks, since
from runtui.errors import ExitCode, RuntuiError
from runtui.graph.client import GraphError
from runtui.headless.console import narrate, run_command
from runtui.headless.opening import Server, connected, find_run, pace, read_run
from runtui.headless.telling import changed
from runtui.services.journal import Entry
from runtui.services.journal_query import change_words, entry_object, outcome_word
from runtui.services.workspace import Workspace

TOLD_SUBJECTS: Final = 20
"""Subjects that were hit and are named in the text."""


@dataclass(frozen=True, slots=True)
class Details:
    """All that is told of a run."""

    run: Mapping[str, Any]
    workflow_id: str
    workflow: str
    failed: Sequence[Mapping[str, Any]] | None
    """The task results that failed, as received; None when they could not be read."""
    draft: Draft | None
    open_changes: Sequence[Entry]
    """Entries of the journal whose outcome nobody knows, newest first."""


def show_run(server: Server, run_id: str, *, as_json: bool, workflow_id: str | None = None) -> int:
    """Print one run; the exit code. What its tasks did may be missing, and the exit code tells so.

    Raises:
        RuntuiError: the run cannot be found or read; nothing is printed then.
    """
    return run_command(_show(server, run_id, workflow_id, as_json))


async def _show(server: Server, run_id: str, workflow_id: str | None, as_json: bool) -> int:
    async with connected(server) as workspace:
        if workflow_id is None:
            workflow_id, run_id = await find_run(workspace, run_id)
        details = await _details(workspace, run_id, workflow_id)
    if as_json:
        print(json.dumps(_object(details)))
    else:
        for line in _lines(details, now_ticks()):
            print(visible(line))
    return int(ExitCode.DONE if details.failed is not None else ExitCode.NOT_DONE)


async def _details(workspace: Workspace, run_id: str, workflow_id: str) -> Details:
    run = await read_run(workspace, workflow_id, run_id)
    stored = workspace.store.get(run_id)
    return Details(
        run,
        workflow_id,
        stored.workflow_name if stored is not None else "",
        await _failed_tasks(workspace, run_id, workflow_id),
        workspace.drafts.get(run_id),
        _open_changes(workspace, run_id),
    )


async def _failed_tasks(workspace: Workspace, run_id: str, workflow_id: str) -> list[Mapping[str, Any]] | None:
    failed: list[Mapping[str, Any]] = []
    try:
        async for page in workspace.client.task_results(workflow_id, run_id, pace=pace()):
            failed += [item for item in page.items if item.get("processingStatus") == "failed"]
    except GraphError as error:
        narrate(f"What its tasks did could not be read. {error}")
        return None
    return failed


def _open_changes(workspace: Workspace, run_id: str) -> list[Entry]:
    try:
        entries = workspace.journal.of_run(workspace.settings.root, run_id)
    except RuntuiError as error:
        narrate(str(error))
        return []
    return [entry for entry in entries if not entry.is_settled]


def _object(details: Details) -> dict[str, Any]:
    draft = details.draft
    return {
        "workflowId": details.workflow_id,
        "workflow": details.workflow,
        "run": details.run,
        "failedTasks": details.failed,
        "draft": changed(draft.changes()) if draft is not None else None,
        "unsettled": [entry_object(entry) for entry in details.open_changes],
    }


def _lines(details: Details, now: int) -> Iterator[str]:
    yield f"{'run':27} {details.run.get('id')}"
    yield f"{'workflow':27} {details.workflow or details.workflow_id}"
    for field in EDITABLE:
        value = details.run.get(field.name)
        distance = since if field.is_recorded else ago
        when = _when(value, now, distance) if field.kind == "datetime" and isinstance(value, str) else ""
        yield f"{field.name:27} {value_word(value)}{when}"
    if took := _took(details.run):
        yield f"{'took':27} {took}"
    yield from _failures(details.failed)
    if details.draft is not None:
        yield f"A draft of it is kept, not sent: {', '.join(details.draft.edits)}."
    for entry in details.open_changes:
        what = entry.damage or ", ".join(change_words(entry))
        yield f"Entry {entry.number}, a change of it, is {outcome_word(entry)}: {what}."


def _when(value: str, now: int, distance: Callable[[int, int], str]) -> str:
    try:
        ticks = parse_ticks(value)
    except ValueError:
        return ""
    return f"  ({local_text(ticks)}, {distance(ticks, now)})"


def _took(run: Mapping[str, Any]) -> str:
    try:
        return duration_text(parse_ticks(run["completedDateTime"]) - parse_ticks(run["startedDateTime"]))
    except (KeyError, TypeError, ValueError):
        return ""


def _failures(failed: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    """Each reason once, the most frequent first, then who was hit."""
    if not failed:
        yield "What its tasks did is not known." if failed is None else "No task failed."
        return
    results = [TaskResult(item) for item in failed]
    reasons = Counter((result.task_name, result.reason) for result in results)
    for (name, reason), count in reasons.most_common():
        yield f"✗ {name} ({count}×): {reason}"
    yield subjects_line(results, TOLD_SUBJECTS, " (--json tells all)")
