"""`runtui causes`: why tasks failed, grouped by task and reason over all runs that match a filter; and `runtui
workflows`: how each workflow fares.

Invariant: standard output is data; what could not be read is named on standard error, and the exit code says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from runtui.command_line import SessionSpec
from runtui.domain.csv import RecordFormat, record_lines
from runtui.domain.filters import parse_filter
from runtui.domain.results import Cause
from runtui.domain.times import now_ticks
from runtui.domain.triage.causes import CAUSE_COLUMNS, CAUSE_PROPERTIES, cause_record, cause_rows
from runtui.domain.triage.workflows import (
    HISTORY_DAYS,
    WORKFLOW_PROPERTIES,
    columns_in_text,
    workflow_record,
    worst_first,
)
from runtui.errors import ExitCode
from runtui.headless.console import PassingLine, is_animated, narrate, run_command
from runtui.headless.output import TableColumn, column_lines, standard_output, table_lines
from runtui.headless.session import connected, list_all
from runtui.services.results import ReadingProgress
from runtui.services.store import RunQuery
from runtui.services.workspace import Workspace

_OutputFormat: TypeAlias = Literal["table"] | RecordFormat


def list_causes(session: SessionSpec, *, filter_text: str, output: _OutputFormat) -> int:
    """Read what failed in the runs that match the filter, and print one line for each cause; the exit code.

    It is NOT_DONE where some runs or results could not be read; what was read is printed.

    Raises:
        RuntuiError: the filter cannot be used, or nothing could be read; nothing is printed then.
    """
    query = RunQuery(parse_filter(filter_text, now_ticks()) if filter_text.strip() else None)
    return run_command(_causes(session, query, output))


async def _causes(session: SessionSpec, query: RunQuery, output: _OutputFormat) -> int:
    async with connected(session) as workspace:
        missing = await list_all(workspace)
        progress = await _read_results(workspace, query)
        for line in _printed(workspace.store.causes(query), output):
            print(line)
    for workflow in missing:
        narrate(f"runtui: The list is incomplete. {workflow}")
    if progress.fault is not None:
        narrate(f"runtui: The results of {progress.total - progress.read} of {progress.total} runs could not be read.")
        narrate(f"runtui: {progress.fault}")
    return int(ExitCode.NOT_DONE if missing or progress.fault is not None else ExitCode.DONE)


async def _read_results(workspace: Workspace, query: RunQuery) -> ReadingProgress:
    """Read the results that the store lacks; how far that went."""
    line = PassingLine()

    def show(progress: ReadingProgress) -> None:
        if is_animated():
            line.show(f"Reading why tasks failed: {progress.read} of {progress.total} runs.")

    unsubscribe = workspace.results.changed.subscribe(show)
    try:
        await workspace.results.read(query)
    finally:
        unsubscribe()
        line.clear()
    return workspace.results.progress


def _printed(causes: Sequence[Cause], output: _OutputFormat) -> Iterator[str]:
    rows = cause_rows(causes)
    if output == "table":
        now = now_ticks()
        columns = [column for column in CAUSE_COLUMNS if column.key not in ("share", "reason")]
        reason = next(column for column in CAUSE_COLUMNS if column.key == "reason")
        cells = ([*(column.show(row, now).text for column in columns), reason.show(row, now).text] for row in rows)
        titles = [TableColumn(column.title, max(column.width, column.grows_to), column.align) for column in columns]
        return table_lines([*titles, TableColumn("reason", 0)], cells)
    return record_lines((cause_record(row.cause) for row in rows), output, CAUSE_PROPERTIES)


def list_workflows(session: SessionSpec, *, output: _OutputFormat) -> int:
    """Read all workflows with their runs, and print one line for each, what needs a person first; the exit code.

    It is NOT_DONE where the runs of some could not be read: those count fewer runs than there are.

    Raises:
        RuntuiError: nothing could be read; nothing is printed then.
    """
    return run_command(_workflows(session, output))


async def _workflows(session: SessionSpec, output: _OutputFormat) -> int:
    async with connected(session) as workspace:
        missing = await list_all(workspace)
        now = now_ticks()
        histories = worst_first(workspace.store.histories(HISTORY_DAYS, now), now)
    if output == "table":
        lines = column_lines(columns_in_text(), lambda: histories, now, standard_output(), is_chosen=False)
    else:
        lines = record_lines((workflow_record(history, now) for history in histories), output, WORKFLOW_PROPERTIES)
    for line in lines:
        print(line)
    for workflow in missing:
        narrate(f"runtui: The list is incomplete. {workflow}")
    return int(ExitCode.NOT_DONE if missing else ExitCode.DONE)
