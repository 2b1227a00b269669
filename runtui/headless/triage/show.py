"""`runtui show`: prints one current run with its failures, draft, changes and triage; or one user of the run.

Invariant: standard output is data. Text makes foreign text visible; JSON has received values unchanged, in ASCII. A
user is printed only if exactly one matches.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runtui.command_line import SessionSpec
from runtui.domain.draft import Draft, value_word
from runtui.domain.properties import EDITABLE
from runtui.domain.report import sentences
from runtui.domain.results import TaskResult, UserResult, by_cause, subjects_line
from runtui.domain.rows import RunRow, status_look
from runtui.domain.text import visible
from runtui.domain.times import ago, duration_text, local_text, now_ticks, since
from runtui.domain.triage.memory import RunTriage
from runtui.domain.triage.received import ticks_in
from runtui.domain.triage.run_users import NO_TASKS, TaskRow, UserRow, user_rows, users_named, why_no_users
from runtui.domain.triage.standing import comeback, standing, triage_facts, triage_record
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.pages import GraphError, all_items
from runtui.headless.changes import changed
from runtui.headless.console import command, narrate
from runtui.headless.output import aligned
from runtui.headless.session import connected, find_run, pace, read_run
from runtui.services.journal import Entry
from runtui.services.journal_query import entry_object
from runtui.services.store import workflow_of
from runtui.services.workspace import Workspace

SUBJECTS_IN_TEXT: Final = 20
"""The most subjects with a failed task that are named."""

_NAMED: Final = 10
"""The most users that an error names if several match."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """All that `runtui show` prints about a run."""

    run: Mapping[str, Any]
    workflow_id: str
    workflow: str
    failed: Sequence[Mapping[str, Any]] | None
    """The failed task results as received; None if they could not be read."""
    draft: Draft | None
    open_changes: Sequence[Entry]
    """The journal entries without a known outcome, newest first."""
    reasons: Sequence[Entry]
    """The journal entries with a reason, newest first."""
    row: RunRow | None
    """The run with its triage; None if that cannot be read."""


@command
async def show_run(
    session: SessionSpec, run_id: str, *, output: str, workflow_id: str | None = None, user: str | None = None
) -> int:
    """Print one run, or its results for one user, and return the exit code: NOT_DONE if results cannot be read.

    Raises:
        RuntuiError: the run cannot be found or read, or not exactly one user matches. Nothing is printed.
    """
    if user is not None:
        return await _show_user(session, run_id, workflow_id, user, output)
    async with connected(session) as workspace:
        workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
        report = await _report(workspace, run_id, workflow_id)
    if output == "json":
        print(json.dumps(_object(report)))
    else:
        for line in _lines(report, now_ticks()):
            print(visible(line))
    return ExitCode.DONE if report.failed is not None else ExitCode.NOT_DONE


async def _report(workspace: Workspace, run_id: str, workflow_id: str) -> RunReport:
    run = await read_run(workspace, workflow_id, run_id)
    stored = workspace.store.get(run_id)
    changes = _changes(workspace, run_id)
    return RunReport(
        run,
        workflow_id,
        stored.workflow_name if stored is not None else "",
        await _failed_tasks(workspace, run_id, workflow_id),
        workspace.drafts.get(run_id),
        [entry for entry in changes if not entry.is_settled],
        [entry for entry in changes if entry.why],
        await asyncio.to_thread(_remembered, workspace, workflow_id, run),
    )


def _remembered(workspace: Workspace, workflow_id: str, run: Mapping[str, Any]) -> RunRow | None:
    """Store the received run and return it with its triage; report an error and return None if that fails."""
    try:
        workspace.store.put_run(workflow_id, run)
        workspace.triage.follow()
        return next(iter(workspace.triage.rows([run["id"]])), None)
    except RuntuiError as error:
        narrate(str(error))
        return None


async def _failed_tasks(workspace: Workspace, run_id: str, workflow_id: str) -> Sequence[Mapping[str, Any]] | None:
    try:
        tasks = await all_items(workspace.client.results.task_results(workflow_id, run_id, pace=pace()))
    except GraphError as error:
        narrate(f"The results of its tasks could not be read. {error}")
        return None
    return [task for task in tasks if task.get("processingStatus") == "failed"]


def _changes(workspace: Workspace, run_id: str) -> list[Entry]:
    try:
        return workspace.journal.of_run(workspace.settings.root, run_id)
    except RuntuiError as error:
        narrate(str(error))
        return []


def _object(report: RunReport) -> dict[str, Any]:
    draft = report.draft
    return {
        "workflowId": report.workflow_id,
        "workflow": report.workflow,
        "run": report.run,
        "failedTasks": report.failed,
        "draft": changed(draft.changes()) if draft is not None else None,
        "unsettled": [entry_object(entry) for entry in report.open_changes],
        "reasons": [{"entry": entry.number, "why": entry.why} for entry in report.reasons],
        "triage": _triage_object(report.row, now_ticks()) if report.row is not None else None,
    }


def _triage_object(row: RunRow, now: int) -> dict[str, Any]:
    """Return the standing of a run, why it is back, and its triage as in `runtui triage export`."""
    known = row.triage or RunTriage(row.id)
    return {"standing": standing(row, now), "comeback": comeback(known, row, now), **triage_record(known)}


def _lines(report: RunReport, now: int) -> Iterator[str]:
    yield f"{'run':27} {report.run.get('id')}"
    yield f"{'workflow':27} {report.workflow or report.workflow_id}"
    for field in EDITABLE:
        ticks = field.read(report.run) if field.kind == "datetime" else None
        distance = since if field.is_recorded else ago
        when = f"  ({local_text(ticks)}, {distance(ticks, now)})" if isinstance(ticks, int) else ""
        yield f"{field.name:27} {value_word(report.run.get(field.name))}{when}"
    if took := _took(report.run):
        yield f"{'took':27} {took}"
    if report.row is not None:
        facts = triage_facts(report.row, now, lambda ticks: f"{local_text(ticks)}, {ago(ticks, now)}")
        yield from (f"{name:27} {words}" for name, words in facts)
    yield from (f"{'why':27} {entry.why}  (#{entry.number})" for entry in report.reasons)
    yield from _failures(report.failed)
    if report.draft is not None:
        yield f"There is an unsent draft: {', '.join(report.draft.edits)}."
    for entry in report.open_changes:
        yield f"Changed by you: {sentences(entry.report.heading, ', '.join(entry.change_words()))}"


def _took(run: Mapping[str, Any]) -> str:
    began, ended = ticks_in(run, "startedDateTime"), ticks_in(run, "completedDateTime")
    return "" if began is None or ended is None else duration_text(ended - began)


def _failures(failed: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    if not failed:
        yield "The results of its tasks are unknown." if failed is None else "No task failed."
        return
    results = [TaskResult(item) for item in failed]
    for alike in by_cause(results):
        yield f"✗ {alike[0].task_name} ({len(alike)}×): {alike[0].reason}"
    yield subjects_line(results, SUBJECTS_IN_TEXT, " (--json lists all)")


async def _show_user(session: SessionSpec, run_id: str, workflow_id: str | None, user: str, output: str) -> int:
    async with connected(session) as workspace:
        workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
        rows = await _users(workspace, workflow_id, run_id)
        if not rows:
            run = await read_run(workspace, workflow_id, run_id)
            held_by = workflow_of(workspace.store, workflow_id)
            raise RuntuiError("No users", why_no_users(run, held_by, now_ticks()))
        row = _the_one(rows, user)
        await workspace.results.read_extensions(task.extension_id for task in row.tasks if task.is_waiting)
        stored = workspace.store.get(run_id)
    row = row._replace(extensions=workspace.results.extensions)
    workflow = stored.workflow_name if stored is not None else ""
    if output == "json":
        printed = {
            "workflowId": workflow_id,
            "workflow": workflow,
            "runId": run_id,
            "user": row.result.received if row.result is not None else None,
            "tasks": [task.received for task in row.tasks],
        }
        print(json.dumps(printed))
    else:
        for line in _user_lines(row, workflow or workflow_id, run_id, now_ticks()):
            print(line)
    return ExitCode.DONE


async def _users(workspace: Workspace, workflow_id: str, run_id: str) -> list[UserRow]:
    client, steady = workspace.client, pace()
    users = await all_items(client.results.user_results(workflow_id, run_id, pace=steady))
    tasks = await all_items(client.results.task_results(workflow_id, run_id, pace=steady))
    return user_rows(map(UserResult, users), map(TaskResult, tasks))


def _the_one(rows: Sequence[UserRow], user: str) -> UserRow:
    found = users_named(rows, user)
    if len(found) == 1:
        return found[0]
    if not found:
        raise RuntuiError("No such user", f"None of its {len(rows)} users is called {user!r}.", "Try runtui person.")
    names = ", ".join(f"{row.name} ({row.id})" for row in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise UsageError("Which user?", f"{user!r} fits {len(found)} users: {names}{more}.", "Name one by its id.")


def _user_lines(row: UserRow, workflow: str, run_id: str, now: int) -> Iterator[str]:
    """Yield a heading for the user, and each task with its summary below it."""
    facts = {
        "user": row.name,
        "user principal name": row.user_principal_name,
        "id": row.id if row.name != row.id else "",
        "status": row.status,
        "workflow": workflow,
        "run": run_id,
    }
    for name, value in facts.items():
        if value:
            yield visible(f"{name:27} {value}")
    if not row.tasks:
        yield NO_TASKS
    tasks = [row.row_of(task) for task in row.tasks]
    for line, task in zip(aligned([_cells(task, now) for task in tasks]), tasks, strict=True):
        yield line
        said = (task.summary(now), task.result.processing_info)
        yield from (visible(f"      {words}") for words in dict.fromkeys(said) if words)


def _cells(row: TaskRow, now: int) -> Sequence[str]:
    task = row.result
    began = f"{local_text(task.started)} ({since(task.started, now)})" if task.started is not None else "not begun"
    took = f"took {duration_text(task.took)}" if task.took is not None else ""
    return (f"{task.sequence or '?'}", f"{status_look(task.status).glyph} {task.status}", task.task_name, began, took)
