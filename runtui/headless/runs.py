"""`runtui list`: prints the runs.

Invariant: standard output is data. A table and CSV make foreign text visible. JSON has each run as received, in ASCII,
so that no character can control a terminal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

from runtui.command_line import SessionSpec
from runtui.domain.columns import Column, ListCell
from runtui.domain.properties import PROPERTIES
from runtui.domain.rows import RUN_COLUMNS, RunRow
from runtui.domain.times import now_ticks
from runtui.errors import UsageError, nearest_words
from runtui.headless.console import command, parse_filter_option
from runtui.headless.output import OutputFormat, column_lines, print_lines, standard_output
from runtui.headless.session import connected, list_all, tell_unread
from runtui.services.refresh import UnreadWorkflow, UpToDate
from runtui.services.sharing.formats import RecordFormat, array_lines, record_lines
from runtui.services.store.query import RunText, rows_of, texts
from runtui.services.store.store import EVERY_RUN, RunQuery, Store, StoredRun
from runtui.services.workspace import Workspace

BATCH: Final = 1_000
"""The rows per query of the store."""

_IN_A_PIPE: Final = ("status", "workflow", "started", "users", "failedTasks", "type", "id")
"""The default columns of a table if standard output is not a terminal."""

Run = TypeVar("Run", RunRow, RunText)

CSV_COLUMNS: Final = ("id", "workflow", "workflowId", *(item.name for item in PROPERTIES if item.key != "id"))


@command
async def list_runs(
    session: SessionSpec,
    *,
    filter_text: str,
    columns: str,
    sort: str,
    limit: int | None,
    full: bool,
    output: OutputFormat,
) -> int:
    """Read all runs of all workflows, and print those that match the filter.

    JSON lines without `sort` and `limit` are printed page by page as the runs are read. A workflow that cannot be read
    to its end is reported, its remaining runs are left out, and the exit code is NOT_DONE.

    `columns` are names separated by commas; empty for the default columns, or for whole records in JSON and CSV. `sort`
    is a column, optionally with ":asc" or ":desc"; empty for the default order. `full` reads all runs, also those that
    have not changed since the last listing.

    Raises:
        RuntuiError: filter, columns or order cannot be used, or nothing could be read. Nothing is printed.
    """
    chosen = tuple(map(_column, columns.split(","))) if columns.strip() else ()
    query = RunQuery(parse_filter_option(filter_text), *_order(sort))
    in_any_order = output == "jsonl" and limit is None and not sort.strip()
    async with connected(session) as workspace:
        if in_any_order:
            missing = await _print_as_read(workspace, query, chosen, full=full)
        else:
            missing = await list_all(workspace, full=full, sort=query.sort)
            # Without what only an earlier listing has read of a workflow that this one could not read to its end.
            outdated = workspace.store.unseen(workflow.workflow_id for workflow in missing)
            _print_in_order(workspace.store, query, outdated, chosen, output, limit=limit)
    return tell_unread(missing)


def _order(sort: str) -> tuple[str, bool]:
    """Parse an order into the key of a column and whether it is descending."""
    if not sort.strip():
        return EVERY_RUN.sort, EVERY_RUN.descending
    name, _, direction = sort.partition(":")
    column = _column(name)
    directions = {"": column.descending_first, "asc": False, "desc": True}
    if direction not in directions:
        raise UsageError("The order cannot be used", f"--sort {sort}: {direction} is neither asc nor desc.")
    return column.key, directions[direction]


def _column(name: str) -> Column[RunRow]:
    """Return a column by its key, its heading or its Graph property, in any case; raise UsageError if there is none."""
    known = {name.casefold(): column for column in RUN_COLUMNS for name in (column.name, column.key)}
    known |= {item.name.casefold(): known[item.key.casefold()] for item in PROPERTIES if item.listed is not None}
    column = known.get(name.strip().casefold())
    if column is None:
        keys = [column.key for column in RUN_COLUMNS]
        meant = nearest_words(name.strip(), keys)
        raise UsageError(
            "No such column", f"{name.strip()!r} is not a column of the list.{meant}", f"Columns: {', '.join(keys)}."
        )
    return column if column.key != "id" else column._replace(show=lambda row, _: ListCell(row.id, "muted"))


async def _print_as_read(
    workspace: Workspace, query: RunQuery, columns: Sequence[Column[RunRow]], *, full: bool
) -> Sequence[UnreadWorkflow]:
    """Print runs while others are read, and return the workflows that could not be read. Printing blocks the event
    loop, so a slow consumer of standard output slows the reading."""
    parts: asyncio.Queue[UpToDate | None] = asyncio.Queue()
    workspace.refresh.up_to_date.subscribe(parts.put_nowait)
    reading = asyncio.create_task(list_all(workspace, full=full))
    reading.add_done_callback(lambda _: parts.put_nowait(None))
    try:
        while (part := await parts.get()) is not None:
            with workspace.store.reading() as db:
                rows = rows_of(db, part.workflow_id) if part.rows is None else part.rows
                for start in range(0, len(rows), BATCH):
                    runs = texts(db, query, rows[start : start + BATCH])
                    print_lines(_records(runs, columns, "jsonl"))
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    return reading.result()


def _print_in_order(
    store: Store,
    query: RunQuery,
    left_out: Container[str],
    columns: Sequence[Column[RunRow]],
    output: OutputFormat,
    *,
    limit: int | None,
) -> None:
    """Print the runs in the store, without those whose ids are in `left_out`."""

    def chosen(runs: Iterable[Run]) -> Iterator[Run]:
        return islice((run for run in runs if run.id not in left_out), limit)

    if output == "table":
        print_lines(_table(lambda: chosen(stored_rows(store, query)), columns))
    else:
        with store.reading() as db:
            print_lines(_records(chosen(texts(db, query)), columns, output))


def stored_rows(store: Store, query: RunQuery) -> Iterator[RunRow]:
    for start in range(0, store.count(query), BATCH):
        yield from store.window(query, start, BATCH)


def _table(rows: Callable[[], Iterable[RunRow]], columns: Sequence[Column[RunRow]]) -> Iterator[str]:
    out = standard_output()
    names = tuple(column.key for column in RUN_COLUMNS) if out.width else _IN_A_PIPE
    return column_lines(columns or [*map(_column, names)], rows, now_ticks(), out, is_chosen=bool(columns))


def _records(runs: Iterable[RunText], columns: Sequence[Column[RunRow]], output: RecordFormat) -> Iterator[str]:
    """Yield the lines for runs: with `columns` only those values, else each run as received."""
    if columns:
        keys = [column.key for column in columns]
        return record_lines((_chosen(run, keys) for run in runs), output, keys)
    if output == "csv":
        return record_lines(map(_flat_record, runs), output, CSV_COLUMNS)
    lines = map(_record_text, runs)
    return array_lines(lines) if output == "json" else lines


def _record_text(run: RunText) -> str:
    """Return `run_record` as JSON text, around the stored JSON of the run."""
    return f'{{"workflowId": {_quoted(run.workflow_id)}, "workflow": {_quoted(run.workflow_name)}, "run": {run.raw}}}'


_quoted: Final = lru_cache(json.dumps)


def _chosen(run: RunText, keys: Iterable[str]) -> dict[str, Any]:
    """Return the received values of some columns."""
    received = json.loads(run.raw)
    values = {item.key: received.get(item.name) for item in PROPERTIES}
    values |= {"workflow": run.workflow_name, "id": run.id}
    return {key: values[key] for key in keys}


def run_record(run: StoredRun) -> dict[str, Any]:
    """Return a run as the object that `runtui list -o jsonl` prints."""
    return {"workflowId": run.workflow_id, "workflow": run.workflow_name, "run": run.raw}


def _flat_record(run: RunText) -> dict[str, Any]:
    return {**json.loads(run.raw), "id": run.id, "workflow": run.workflow_name, "workflowId": run.workflow_id}
