"""`runtui list`: the same runs, filter and order as on the screen, as a table or as JSON lines.

Invariant: standard output is data and nothing else. A table makes foreign text visible; JSON lines carry each run as
received, in ASCII, so that no character of it acts on a terminal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, Literal

from runtui.domain.cells import fit
from runtui.domain.filters import parse
from runtui.domain.rows import COLUMN_BY_KEY, RunRow, cell
from runtui.domain.times import now_ticks
from runtui.domain.visible import visible
from runtui.errors import ExitCode, RuntuiError
from runtui.services.store import Query, Store
from runtui.services.workspace import Workspace
from runtui.settings import Settings

Format = Literal["table", "jsonl"]

BATCH: Final = 1_000
"""Rows asked of the store at once."""

TABLE: Final = tuple((COLUMN_BY_KEY[key], width) for key, width in (
    ("status", 22), ("workflow", 28), ("started", 9), ("users", 9), ("failedTasks", 7), ("type", 18)
))  # fmt: skip
"""The columns of the table and their cells; the id stands after them, whole."""


def list_runs(
    settings: Settings,
    store_file: Path,
    token: Callable[[], Awaitable[str]],
    *,
    filter_text: str,
    output: Format,
) -> int:
    """Read all runs of all workflows and print those that the filter finds, newest first; the exit code.

    Raises:
        RuntuiError: the filter makes no sense, or the list could not be read whole; nothing is printed then.
    """
    query = Query(parse(filter_text, now_ticks()) if filter_text.strip() else None)
    return asyncio.run(_list(Workspace(settings, store_file, token), query, output))


async def _list(workspace: Workspace, query: Query, output: Format) -> int:
    try:
        workspace.connect(workspace.settings.root)
        await workspace.refresh.list_once()
        if (fault := workspace.refresh.progress.fault) is not None:
            raise RuntuiError("The runs could not be read", str(fault))
        print_rows = _print_json_lines if output == "jsonl" else _print_table
        print_rows(workspace.store, query)
    finally:
        await workspace.close()
    return int(ExitCode.DONE)


def _rows(store: Store, query: Query) -> Iterator[RunRow]:
    for start in range(0, store.count(query), BATCH):
        yield from store.window(query, start, BATCH)


def _print_json_lines(store: Store, query: Query) -> None:
    for row in _rows(store, query):
        if (stored := store.get(row.id)) is not None:
            print(json.dumps({"workflowId": stored.workflow_id, "workflow": stored.workflow_name, "run": stored.raw}))


def _print_table(store: Store, query: Query) -> None:
    print(" ".join([*(fit(column.title, width, column.align) for column, width in TABLE), "id"]))
    now = now_ticks()
    for row in _rows(store, query):
        texts = (fit(visible(cell(column, row, now).text), width, column.align) for column, width in TABLE)
        print(" ".join([*texts, visible(row.id)]))
