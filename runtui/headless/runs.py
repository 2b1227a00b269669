"""`runtui list` and `runtui show`: the runs of the screen's list, and one run as it is now.

Invariant: standard output is data. A table and CSV make foreign text visible; JSON carries each run as received, in
ASCII, so that no character of it acts on a terminal.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from runtui.command_line import SessionSpec
from runtui.domain.columns import Column, ListCell
from runtui.domain.draft import Draft, value_word
from runtui.domain.filters import parse_filter
from runtui.domain.json_text import array_lines
from runtui.domain.properties import EDITABLE, PROPERTIES
from runtui.domain.report import sentences
from runtui.domain.results import TaskResult, subjects_line
from runtui.domain.rows import RUN_COLUMNS, RunRow
from runtui.domain.text import visible
from runtui.domain.times import ago, duration_text, local_text, now_ticks, parse_ticks, since
from runtui.domain.triage.memory import RunTriage
from runtui.domain.triage.standing import comeback, standing, triage_facts, triage_record
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.pages import GraphError
from runtui.headless.changes import changed
from runtui.headless.console import narrate, run_command
from runtui.headless.output import column_lines, print_lines, standard_output
from runtui.headless.session import connected, find_run, list_all, pace, read_run
from runtui.headless.triage.users import show_user
from runtui.options import nearest_words
from runtui.services.journal import Entry
from runtui.services.journal_query import entry_object
from runtui.services.refresh import UnreadWorkflow, UpToDate
from runtui.services.sharing.formats import RecordFormat, record_lines
from runtui.services.store import EVERY_RUN, RunQuery, Store, StoredRun
from runtui.services.store_query import RunText, rows_of, texts
from runtui.services.workspace import Workspace

BATCH: Final = 1_000
"""Rows per query of the store."""

SUBJECTS_IN_TEXT: Final = 20
"""Subjects with a failed task that `runtui show` names."""

_IN_A_PIPE: Final = ("status", "workflow", "started", "users", "failedTasks", "type", "id")
"""The columns of a table that is no terminal's, where nobody asks for others."""

OutputFormat: TypeAlias = Literal["table"] | RecordFormat

Run = TypeVar("Run", RunRow, RunText)

CSV_COLUMNS: Final = ("id", "workflow", "workflowId", *(item.name for item in PROPERTIES if item.key != "id"))


def list_runs(
    session: SessionSpec,
    *,
    filter_text: str,
    columns: str,
    sort: str,
    limit: int | None,
    full: bool,
    output: OutputFormat,
) -> int:
    """Read all runs of all workflows and print those that match the filter; the exit code.

    JSON lines for which nobody asks an order or a limit are printed as the runs are read, page by page. A workflow
    that cannot be read is named, its runs are left out from there on, and the exit code is NOT_DONE.

    Args:
        session: Where they are.
        filter_text: In the filter language; empty for all.
        columns: The names of the columns, with commas; empty for the usual ones, and for each record as received.
        sort: A column, with ":asc" or ":desc" for a direction of its own; empty for the order of the screen, or for
            none, as above.
        limit: The most runs; None for all.
        full: Whether all runs are read again, also those that have not changed since the last listing.
        output: The form.

    Raises:
        RuntuiError: filter, columns or order cannot be used, or nothing could be read; nothing is printed then.
    """
    chosen = tuple(map(_column, columns.split(","))) if columns.strip() else ()
    query = RunQuery(parse_filter(filter_text, now_ticks()), *_order(sort))
    in_any_order = output == "jsonl" and limit is None and not sort.strip()
    listing = _Listing(query, chosen, limit, full, output, in_any_order)
    return run_command(_list(session, listing))


class _Listing(NamedTuple):
    """What is printed, and how."""

    query: RunQuery
    columns: tuple[Column[RunRow], ...]
    """Those that a person asked for."""
    limit: int | None
    full: bool
    output: OutputFormat
    in_any_order: bool
    """Whether a run is printed once it is read."""


def _order(sort: str) -> tuple[str, bool]:
    """A column and whether it runs downwards."""
    if not sort.strip():
        return EVERY_RUN.sort, EVERY_RUN.descending
    name, _, direction = sort.partition(":")
    column = _column(name)
    directions = {"": column.descending_first, "asc": False, "desc": True}
    if direction not in directions:
        raise UsageError("The order cannot be used", f"--sort {sort}: {direction} is neither asc nor desc.")
    return column.key, directions[direction]


def _column(name: str) -> Column[RunRow]:
    """A column by its key, or by the property of Graph that it shows, whatever the case."""
    known = {column.key.casefold(): column for column in RUN_COLUMNS}
    known |= {item.name.casefold(): known[item.key.casefold()] for item in PROPERTIES if item.listed is not None}
    column = known.get(name.strip().casefold())
    if column is None:
        keys = [column.key for column in RUN_COLUMNS]
        meant = nearest_words(name.strip(), keys)
        raise UsageError(
            "No such column", f"{name.strip()!r} is no column of the list.{meant}", f"Columns: {', '.join(keys)}."
        )
    return column if column.key != "id" else column._replace(show=lambda row, _: ListCell(row.id, "muted"))


async def _list(session: SessionSpec, listing: _Listing) -> int:
    async with connected(session) as workspace:
        if listing.in_any_order:
            missing = await _print_as_read(workspace, listing)
        else:
            missing = await list_all(workspace, full=listing.full, sort=listing.query.sort)
            _print_in_order(workspace.store, listing, {workflow.workflow_id for workflow in missing})
    for workflow in missing:
        narrate(f"runtui: The list is incomplete. {workflow}")
    return ExitCode.NOT_DONE if missing else ExitCode.DONE


async def _print_as_read(workspace: Workspace, listing: _Listing) -> Sequence[UnreadWorkflow]:
    """Print runs while the others are read; the workflows that could not be read. A slow reader of standard output
    slows the reading."""
    parts: asyncio.Queue[UpToDate | None] = asyncio.Queue()
    workspace.refresh.up_to_date.subscribe(parts.put_nowait)
    reading = asyncio.create_task(list_all(workspace, full=listing.full))
    reading.add_done_callback(lambda _: parts.put_nowait(None))
    try:
        while (part := await parts.get()) is not None:
            with workspace.store.reading() as db:
                rows = rows_of(db, part.workflow_id) if part.rows is None else part.rows
                for start in range(0, len(rows), BATCH):
                    runs = texts(db, listing.query, rows[start : start + BATCH])
                    print_lines(_records(runs, listing.columns, "jsonl"))
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    return reading.result()


def _print_in_order(store: Store, listing: _Listing, left_out: Container[str]) -> None:
    """Print the runs of the store, without those that it has of some workflows from an earlier listing."""

    def chosen(runs: Iterable[Run]) -> Iterator[Run]:
        return islice((run for run in runs if run.workflow_id not in left_out), listing.limit)

    if listing.output == "table":
        print_lines(_table(lambda: chosen(stored_rows(store, listing.query)), listing.columns))
    else:
        with store.reading() as db:
            print_lines(_records(chosen(texts(db, listing.query)), listing.columns, listing.output))


def stored_rows(store: Store, query: RunQuery) -> Iterator[RunRow]:
    """All rows of a query, in its order."""
    for start in range(0, store.count(query), BATCH):
        yield from store.window(query, start, BATCH)


def _table(rows: Callable[[], Iterable[RunRow]], columns: Sequence[Column[RunRow]]) -> Iterator[str]:
    paper = standard_output()
    names = tuple(column.key for column in RUN_COLUMNS) if paper.width else _IN_A_PIPE
    return column_lines(columns or [*map(_column, names)], rows, now_ticks(), paper, is_chosen=bool(columns))


def _records(runs: Iterable[RunText], columns: Sequence[Column[RunRow]], output: RecordFormat) -> Iterator[str]:
    """The lines of a file of runs: of each what was asked for, or all of it, as received."""
    if columns:
        keys = [column.key for column in columns]
        return record_lines(({key: _value(key, run) for key in keys} for run in map(_loaded, runs)), output, keys)
    if output == "csv":
        return record_lines(map(_flat_record, map(_loaded, runs)), output, CSV_COLUMNS)
    lines = map(_record_text, runs)
    return array_lines(lines) if output == "json" else lines


class _Loaded(NamedTuple):
    id: str
    run: StoredRun


def _loaded(run: RunText) -> _Loaded:
    return _Loaded(run.id, StoredRun(json.loads(run.raw), run.workflow_id, run.workflow_name))


def _record_text(run: RunText) -> str:
    """The JSON of `run_record`, of which the run is there already."""
    return f'{{"workflowId": {_quoted(run.workflow_id)}, "workflow": {_quoted(run.workflow_name)}, "run": {run.raw}}}'


@lru_cache
def _quoted(text: str) -> str:
    return json.dumps(text)


def _value(key: str, loaded: _Loaded) -> Any:
    """What a run was received with in a column."""
    names, run = {item.key: item.name for item in PROPERTIES}, loaded.run
    return {"workflow": run.workflow_name, "id": loaded.id}.get(key, run.raw.get(names.get(key, "")))


def run_record(run: StoredRun) -> dict[str, Any]:
    """A run as `runtui list -o jsonl` prints it."""
    return {"workflowId": run.workflow_id, "workflow": run.workflow_name, "run": run.raw}


def _flat_record(loaded: _Loaded) -> dict[str, Any]:
    run_id, run = loaded
    return {**run.raw, "id": run_id, "workflow": run.workflow_name, "workflowId": run.workflow_id}


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that `runtui show` prints about a run."""

    run: Mapping[str, Any]
    workflow_id: str
    workflow: str
    failed: Sequence[Mapping[str, Any]] | None
    """The task results that failed, as received; None when they could not be read."""
    draft: Draft | None
    open_changes: Sequence[Entry]
    """Journal entries with an unknown outcome, newest first."""
    reasons: Sequence[Entry]
    """Those that say why they were made, newest first."""
    row: RunRow | None
    """The run with what is remembered of it; None where that cannot be read."""


def show_run(
    session: SessionSpec, run_id: str, *, as_json: bool, workflow_id: str | None = None, user: str | None = None
) -> int:
    """Print one run, or what it did for one user; the exit code, which is NOT_DONE where results cannot be read.

    Raises:
        RuntuiError: the run cannot be found or read, or no user or several have that name; nothing is printed then.
    """
    if user is not None:
        return run_command(show_user(session, run_id, workflow_id, user, as_json))
    return run_command(_show(session, run_id, workflow_id, as_json))


async def _show(session: SessionSpec, run_id: str, workflow_id: str | None, as_json: bool) -> int:
    async with connected(session) as workspace:
        workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
        report = await _report(workspace, run_id, workflow_id)
    if as_json:
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
    """The run as it was read, in the local store, with what is remembered of it."""
    try:
        workspace.store.put_run(workflow_id, run)
        workspace.triage.follow()
        return next(iter(workspace.triage.rows([run["id"]])), None)
    except RuntuiError as error:
        narrate(str(error))
        return None


async def _failed_tasks(workspace: Workspace, run_id: str, workflow_id: str) -> list[Mapping[str, Any]] | None:
    failed: list[Mapping[str, Any]] = []
    try:
        async for page in workspace.client.results.of_tasks(workflow_id, run_id, pace=pace()):
            failed += [item for item in page.items if item.get("processingStatus") == "failed"]
    except GraphError as error:
        narrate(f"The results of its tasks could not be read. {error}")
        return None
    return failed


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
    """How a run stands, why it is back, and what is remembered of it, as `runtui triage export` says that."""
    known = row.triage or RunTriage(row.id)
    return {"standing": standing(row, now), "comeback": comeback(known, row, now), **triage_record(known)}


def _lines(report: RunReport, now: int) -> Iterator[str]:
    yield f"{'run':27} {report.run.get('id')}"
    yield f"{'workflow':27} {report.workflow or report.workflow_id}"
    for field in EDITABLE:
        value = report.run.get(field.name)
        distance = since if field.is_recorded else ago
        when = _when(value, now, distance) if field.kind == "datetime" and isinstance(value, str) else ""
        yield f"{field.name:27} {value_word(value)}{when}"
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
    """Each reason once, the most frequent first, then the subjects."""
    if not failed:
        yield "The results of its tasks are unknown." if failed is None else "No task failed."
        return
    results = [TaskResult(item) for item in failed]
    reasons = Counter((result.task_name, result.reason) for result in results)
    for (name, reason), count in reasons.most_common():
        yield f"✗ {name} ({count}×): {reason}"
    yield subjects_line(results, SUBJECTS_IN_TEXT, " (--json lists all)")
