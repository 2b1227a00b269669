"""`runtui list`: the same runs, filter and order as on the screen, as a table, as JSON or as CSV.

Invariant: standard output is data and nothing else. A table and CSV make foreign text visible; JSON carries each run as
received, in ASCII, so that no character of it acts on a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from runtui.domain.csv import csv_line, csv_value
from runtui.domain.filters import parse_filter
from runtui.domain.json_text import json_array
from runtui.domain.properties import PROPERTIES
from runtui.domain.rows import RUN_COLUMN_BY_KEY, RunRow
from runtui.domain.text import fit_cells, visible
from runtui.domain.times import now_ticks
from runtui.errors import ExitCode
from runtui.headless.console import narrate, run_command
from runtui.headless.opening import Server, connected, list_all
from runtui.services.store import RunQuery, Store, StoredRun

Format: TypeAlias = Literal["table", "json", "jsonl", "csv"]

BATCH: Final = 1_000
"""Rows asked of the store at once."""

TABLE: Final = tuple((RUN_COLUMN_BY_KEY[key], width) for key, width in (
    ("status", 22), ("workflow", 28), ("started", 9), ("users", 9), ("failedTasks", 7), ("type", 18)
))  # fmt: skip
"""The columns of the table and their cells; the id stands after them, whole."""

CSV_COLUMNS: Final = tuple(item.name for item in PROPERTIES if item.key != "id")
"""The properties of a run that CSV has columns for, after its id and its workflow."""


def list_runs(server: Server, *, filter_text: str, output: Format) -> int:
    """Read all runs of all workflows and print those that the filter finds, newest first; the exit code.

    A workflow that cannot be read is named, its runs are left out, and the exit code tells so.

    Raises:
        RuntuiError: the filter makes no sense, or nothing could be read; nothing is printed then.
    """
    query = RunQuery(parse_filter(filter_text, now_ticks()) if filter_text.strip() else None)
    return run_command(_list(server, query, output))


async def _list(server: Server, query: RunQuery, output: Format) -> int:
    async with connected(server) as workspace:
        missing = await list_all(workspace)
        # What an earlier listing left of their runs is no answer of today's.
        left_out = {workflow.workflow_id for workflow in missing}
        rows = (row for row in _rows(workspace.store, query) if row.workflow_id not in left_out)
        for line in _FORMS[output](workspace.store, rows):
            print(line)
    for workflow in missing:
        narrate(f"runtui: The list is incomplete. {workflow}")
    return int(ExitCode.NOT_DONE if missing else ExitCode.DONE)


def _rows(store: Store, query: RunQuery) -> Iterator[RunRow]:
    for start in range(0, store.count(query), BATCH):
        yield from store.window(query, start, BATCH)


def _stored(store: Store, rows: Iterable[RunRow]) -> Iterator[tuple[str, StoredRun]]:
    for row in rows:
        if (stored := store.get(row.id)) is not None:
            yield row.id, stored


def _objects(store: Store, rows: Iterable[RunRow]) -> Iterator[dict[str, Any]]:
    for _, stored in _stored(store, rows):
        yield {"workflowId": stored.workflow_id, "workflow": stored.workflow_name, "run": stored.raw}


def _json(store: Store, rows: Iterable[RunRow]) -> Iterator[str]:
    return json_array(_objects(store, rows))


def _json_lines(store: Store, rows: Iterable[RunRow]) -> Iterator[str]:
    return map(json.dumps, _objects(store, rows))


def _csv(store: Store, rows: Iterable[RunRow]) -> Iterator[str]:
    yield csv_line(("id", "workflow", "workflowId", *CSV_COLUMNS))
    for run_id, stored in _stored(store, rows):
        facts = (run_id, stored.workflow_name, stored.workflow_id, *map(stored.raw.get, CSV_COLUMNS))
        yield csv_line(map(csv_value, facts))


def _table(_store: Store, rows: Iterable[RunRow]) -> Iterator[str]:
    yield " ".join([*(fit_cells(column.title, width, column.align) for column, width in TABLE), "id"])
    now = now_ticks()
    for row in rows:
        texts = (fit_cells(visible(column.show(row, now).text), width, column.align) for column, width in TABLE)
        yield " ".join([*texts, visible(row.id)])


_FORMS: Final[Mapping[Format, Callable[[Store, Iterable[RunRow]], Iterator[str]]]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
}
