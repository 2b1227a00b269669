"""`runtui causes` groups failed tasks by task and reason; `runtui workflows` prints the history of each workflow;
`runtui person` prints the result of every task for one person.

Invariant: standard output is data. Standard error names what could not be read, and the exit code is then NOT_DONE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from runtui.command_line import SessionSpec
from runtui.domain.columns import Column, ListCell, RowT
from runtui.domain.report import sentences
from runtui.domain.times import now_ticks
from runtui.domain.triage.workflows import (
    HISTORY_DAYS,
    WORKFLOW_PROPERTIES,
    columns_in_text,
    workflow_record,
    worst_first,
)
from runtui.errors import RuntuiError
from runtui.headless.console import ProgressLine, can_rewrite_line, command, parse_filter_option
from runtui.headless.output import OutputFormat, column_lines, print_lines, standard_output
from runtui.headless.session import connected, list_all, tell_unread
from runtui.services.sharing.formats import record_lines
from runtui.services.store.store import EVERY_RUN, Person, RunQuery
from runtui.services.workspace import Workspace

if TYPE_CHECKING:
    from runtui.domain.results import Cause
    from runtui.domain.triage.run_users import PersonResult
    from runtui.services.results import ReadingProgress

_RUN: Final[Column[PersonResult]] = Column("run", "run", 21, 9, lambda task, _: ListCell(task.run_id, "muted"))

_NOT_ALL: Final = "Not everything could be read."

_MAX_NAMED: Final = 5
"""The most people that an error names if several match."""


@command
async def list_causes(session: SessionSpec, *, filter_text: str, limit: int | None = None, output: OutputFormat) -> int:
    """Read the results of the runs that match the filter, and print one line per cause (at most `limit`).

    Raises:
        RuntuiError: the filter cannot be used, or nothing could be read. Nothing is printed.
    """
    from runtui.domain.triage.causes import CAUSE_COLUMNS, CAUSE_PROPERTIES, cause_record, cause_rows

    query = RunQuery(parse_filter_option(filter_text))
    async with connected(session) as workspace:
        missing = await list_all(workspace)
        progress = await read_results(workspace, query)
        rows = cause_rows(await named_causes(workspace, query))[:limit]
        _print(rows, CAUSE_COLUMNS, lambda row: cause_record(row.cause), CAUSE_PROPERTIES, output)
    what = f"The results of {progress.total - progress.read} of {progress.total} runs could not be read."
    return tell_unread(missing, what, progress.fault)


def _print(
    rows: Sequence[RowT],
    columns: Sequence[Column[RowT]],
    record: Callable[[RowT], Mapping[str, Any]],
    properties: Sequence[str],
    output: OutputFormat,
) -> None:
    """Print rows as a table, or as one record per row; CSV has only `properties` of it."""
    if output == "table":
        print_lines(column_lines(columns, lambda: rows, now_ticks(), standard_output(), is_chosen=False))
    else:
        print_lines(record_lines(map(record, rows), output, properties))


async def read_results(workspace: Workspace, query: RunQuery) -> ReadingProgress:
    """Read the results that the store lacks and return the final progress. On a terminal it is shown meanwhile; waits
    are reported anywhere."""
    line = ProgressLine()

    def show(progress: ReadingProgress) -> None:
        count = f"Reading why tasks failed: {progress.read} of {progress.total} runs."
        line.show(sentences(count, progress.waiting) if can_rewrite_line() else progress.waiting)

    unsubscribe = workspace.results.changed.subscribe(show)
    try:
        await workspace.results.read(query)
    finally:
        unsubscribe()
        line.clear()
    return workspace.results.progress


async def named_causes(workspace: Workspace, query: RunQuery) -> list[Cause]:
    """Return the causes in the store, with the names of their custom task extensions."""
    await workspace.results.read_extensions(cause.extension_id for cause in workspace.store.causes(query))
    return workspace.results.causes(query)


@command
async def list_workflows(session: SessionSpec, *, limit: int | None = None, output: OutputFormat) -> int:
    """Read all workflows and runs, and print one line per workflow, the most urgent first (at most `limit`). If the
    runs of a workflow could not be read, its counts may be too low.

    Raises:
        RuntuiError: nothing could be read. Nothing is printed.
    """
    async with connected(session) as workspace:
        missing = await list_all(workspace)
        now = now_ticks()
        histories = worst_first(workspace.store.histories(HISTORY_DAYS, now), now)[:limit]
    _print(histories, columns_in_text(), lambda history: workflow_record(history, now), WORKFLOW_PROPERTIES, output)
    return tell_unread(missing)


@command
async def show_person(session: SessionSpec, name: str, *, limit: int | None = None, output: OutputFormat) -> int:
    """Read the results for a person, and print one line per task, the newest first (at most `limit`).

    Raises:
        RuntuiError: not exactly one person has the name, or nothing could be read.
    """
    from runtui.domain.triage.run_users import PERSON_COLUMNS, PERSON_PROPERTIES, newest_first, person_record

    async with connected(session) as workspace:
        missing = await list_all(workspace)
        try:
            person = await _find(workspace, name)
        except RuntuiError:
            tell_unread(missing, _NOT_ALL, workspace.results.progress.fault)
            raise
        tasks, fault = await _read_person(workspace, person)
        _print(newest_first(tasks)[:limit], (*PERSON_COLUMNS, _RUN), person_record, PERSON_PROPERTIES, output)
    return tell_unread(missing, _NOT_ALL, fault)


async def _find(workspace: Workspace, typed: str) -> Person:
    """Find a person by sign-in name, by a name or id in the stored results, after reading all results, or by id."""
    from runtui.services.triage.people import find_user

    if "@" in typed:
        return await find_user(workspace.client, typed)
    for has_read in (False, True):
        if has_read:
            await read_results(workspace, EVERY_RUN)
        found = await asyncio.to_thread(workspace.store.people, typed, _MAX_NAMED + 1)
        exact = [person for person in found if typed.casefold() in (person.name.casefold(), person.id.casefold())]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if found:
            names = ", ".join(f"{person.name} ({person.user_principal_name or person.id})" for person in found)
            raise RuntuiError(f"More than one person fits {typed!r}", f"{names}.", "Use the sign-in name or the id.")
    return await find_user(workspace.client, typed)


async def _read_person(workspace: Workspace, person: Person) -> tuple[Sequence[PersonResult], RuntuiError | None]:
    """Return all results for a person, and the error if some could not be read."""
    from runtui.services.triage.people import read_person

    async with aclosing(read_person(workspace.client, workspace.store, person.id)) as readings:
        found = [reading async for reading in readings]
    if found[-1].is_offered:
        return found[-1].tasks, found[-1].fault
    await read_results(workspace, EVERY_RUN)
    stored = await asyncio.to_thread(workspace.store.results_of_person, person.id)
    return stored, workspace.results.progress.fault
