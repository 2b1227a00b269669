"""`runtui show`: prints one current run with its failures, draft, changes and triage; or one user of the run.

Invariant: standard output is data. Text makes foreign text visible; JSON has received values unchanged, in ASCII. A
user is printed only if exactly one matches.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runtui.command_line import SessionSpec
from runtui.domain.draft import Draft, value_word
from runtui.domain.properties import EDITABLE
from runtui.domain.report import sentences
from runtui.domain.results import TaskResult, by_cause, subjects_line
from runtui.domain.rows import RunRow, status_look
from runtui.domain.text import count_words, visible
from runtui.domain.times import ago, duration_text, moment_text, now_ticks, since
from runtui.domain.triage.memory import RunTriage
from runtui.domain.triage.received import ticks_in
from runtui.domain.triage.run_users import NO_TASKS, TaskRow, UserRow, in_sequence, user_rows, users_named, why_no_users
from runtui.domain.triage.standing import comeback, standing, triage_facts, triage_record
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.changes import changed
from runtui.headless.console import command, narrate
from runtui.headless.output import aligned, print_lines
from runtui.headless.runs import run_record
from runtui.headless.session import connected, find_run, read_into_store
from runtui.services.known_run import KnownRun, known_run
from runtui.services.records.journal_query import entry_object
from runtui.services.store.results import RunResults
from runtui.services.store.store import StoredRun
from runtui.services.workspace import Workspace

SUBJECTS_IN_TEXT: Final = 20
"""The most subjects with a failed task that are named."""

_NAMED: Final = 10
"""The most users that an error names if several match."""


@command
async def show_run(
    session: SessionSpec, run_id: str, *, output: str, workflow_id: str | None = None, user: str | None = None
) -> int:
    """Print one run, or its results for one user. The exit code is NOT_DONE if results cannot be read.

    Raises:
        RuntuiError: the run cannot be found or read, or not exactly one user matches. Nothing is printed.
    """
    async with connected(session) as workspace:
        workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
        fault = await read_into_store(workspace, workflow_id, run_id)
        known = await asyncio.to_thread(known_run, workspace, run_id, follow=True)
        if (stored := known.stored) is None:
            raise RuntuiError("There is no such run", "It is no longer in the list.")
        if user is not None:
            if fault is not None:
                raise fault
            return await _show_user(workspace, known, stored, user, output)
        draft = workspace.drafts.get(run_id)
    narrate(*(str(trouble) for trouble in (fault, known.fault) if trouble is not None))
    if fault is not None:
        known = known._replace(results=None)
    if output == "json":
        print(json.dumps(_object(known, stored, draft)))
    else:
        print_lines(map(visible, _lines(known, stored, draft, now_ticks())))
    return ExitCode.DONE if fault is None else ExitCode.NOT_DONE


def _object(known: KnownRun, stored: StoredRun, draft: Draft | None) -> dict[str, Any]:
    return {
        **run_record(stored),
        "failedTasks": [task.received for task in _failed(known.results)] if known.results is not None else None,
        "draft": changed(draft.changes()) if draft is not None else None,
        "unsettled": [entry_object(entry) for entry in known.entries if not entry.is_settled],
        "reasons": [{"entry": entry.number, "why": entry.why} for entry in known.entries if entry.why],
        "triage": _triage_object(known.row, now_ticks()) if known.row is not None else None,
    }


def _triage_object(row: RunRow, now: int) -> dict[str, Any]:
    """Return the standing of a run, why it is back, and its triage as in `runtui triage export`."""
    known = row.triage or RunTriage(row.id)
    return {"standing": standing(row, now), "comeback": comeback(known, row, now), **triage_record(known)}


def _lines(known: KnownRun, stored: StoredRun, draft: Draft | None, now: int) -> Iterator[str]:
    run = stored.raw
    yield f"{'run':27} {run.get('id')}"
    yield f"{'workflow':27} {stored.workflow_name or stored.workflow_id}"
    for field in EDITABLE:
        ticks = field.read(run) if field.kind == "datetime" else None
        distance = since if field.is_recorded else ago
        when = f"  ({moment_text(ticks, now)}, {distance(ticks, now)})" if isinstance(ticks, int) else ""
        yield f"{field.name:27} {value_word(run.get(field.name))}{when}"
    if took := _took(run):
        yield f"{'took':27} {took}"
    if known.row is not None:
        facts = triage_facts(known.row, now, lambda ticks: f"{moment_text(ticks, now)}, {ago(ticks, now)}")
        yield from (f"{name:27} {words}" for name, words in facts)
    yield from (f"{'why':27} {entry.why}  (#{entry.number})" for entry in known.entries if entry.why)
    yield from _failures(known.results)
    if draft is not None:
        yield f"There is an unsent draft: {', '.join(draft.edits)}."
    for entry in known.entries:
        if not entry.is_settled:
            yield f"Your change: {sentences(entry.report.heading, ', '.join(entry.change_words()))}"


def _took(run: Mapping[str, Any]) -> str:
    began, ended = ticks_in(run, "startedDateTime"), ticks_in(run, "completedDateTime")
    return "" if began is None or ended is None else duration_text(ended - began)


def _failures(results: RunResults | None) -> Iterator[str]:
    failed = _failed(results) if results is not None else ()
    if not failed:
        yield "The results of its tasks are unknown." if results is None else "No task failed."
        return
    for alike in by_cause(failed):
        yield f"✗ {alike[0].task_name} ({len(alike)}×): {alike[0].reason}"
    yield subjects_line(failed, SUBJECTS_IN_TEXT, " (--json lists all)")


def _failed(results: RunResults) -> list[TaskResult]:
    return [task for task in results.tasks if task.is_failed]


async def _show_user(workspace: Workspace, known: KnownRun, stored: StoredRun, user: str, output: str) -> int:
    results = await asyncio.to_thread(workspace.store.results_of, known.run_id, with_users=True)
    rows = user_rows(results.users, results.tasks) if results is not None else []
    if not rows:
        raise RuntuiError("No users", why_no_users(stored.raw, known.workflow, now_ticks()))
    row = _the_one(rows, user)
    tasks = in_sequence(await asyncio.to_thread(workspace.store.tasks_of, known.run_id, row.subject_id))
    await workspace.results.read_extensions(task.extension_id for task in tasks if task.is_waiting)
    row = row._replace(tasks=tasks, extensions=workspace.results.extensions)
    if output == "json":
        printed = {
            "workflowId": stored.workflow_id,
            "workflow": stored.workflow_name,
            "runId": known.run_id,
            "user": row.result.received if row.result is not None else None,
            "tasks": [task.received for task in tasks],
        }
        print(json.dumps(printed))
    else:
        print_lines(_user_lines(row, stored.workflow_name or stored.workflow_id, known.run_id, now_ticks()))
    return ExitCode.DONE


def _the_one(rows: Sequence[UserRow], user: str) -> UserRow:
    found = users_named(rows, user)
    if len(found) == 1:
        return found[0]
    if not found:
        what = f"The run has {count_words(len(rows), 'user')}, none called {user!r}."
        raise RuntuiError("No such user", what, "Try runtui person.")
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
    started = task.started
    began = f"{moment_text(started, now)} ({since(started, now)})" if started is not None else "not begun"
    took = f"took {duration_text(task.took)}" if task.took is not None else ""
    return (f"{task.sequence or '?'}", f"{status_look(task.status).glyph} {task.status}", task.task_name, began, took)
