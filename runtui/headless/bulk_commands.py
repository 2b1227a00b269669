"""`runtui update` of several runs and `runtui undo --batch`: which runs, and the change of each.

Invariant: a run that cannot be found or read costs the others nothing, and is told with them. Values are compared with
those of a moment ago: a run that is in the local store by chance is read first.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from runtui.command_line import CommandLine, SessionSpec
from runtui.domain.bulk_draft import GONE, BulkDraft, LeftOut, MarkedRun, drafts_of
from runtui.domain.draft import Draft, Edit
from runtui.domain.filter_tree import Filter
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.report import Outcome
from runtui.domain.times import now_ticks
from runtui.errors import ExitCode, UsageError
from runtui.graph.client import Answer
from runtui.graph.root import run_key
from runtui.headless import changes
from runtui.headless.bulk_sending import send_many
from runtui.headless.changes import ChangeOptions
from runtui.headless.console import command, narrate, told_filter
from runtui.headless.session import connected, list_all, read_runs, stored_run
from runtui.services.journal import Entry
from runtui.services.store import RunQuery, stored_runs
from runtui.services.workspace import Workspace
from runtui.services.writing.undo import doubt_of, drafts_to_undo
from runtui.settings import state_folder

STANDARD_INPUT = "-"


class _Found(NamedTuple):
    """The runs that a command is about."""

    runs: Sequence[MarkedRun]
    left_out: Mapping[str, LeftOut]
    is_whole: bool = True
    """Whether every workflow was listed."""


def update(
    session: SessionSpec,
    run_ids: Sequence[str],
    assignments: Sequence[str],
    *,
    filter_text: str | None = None,
    workflow_id: str | None = None,
    **how: Any,
) -> int:
    """Change properties of some runs; the exit code. A run named alone is a matter of `changes.update_run`.

    The runs are those of the ids, where "-" stands for those on standard input, one a line, or those that match a
    filter; `workflow_id` is that of all of them, None: find it. An assignment is `name=value`, the value as it would be
    typed into the form; `how` are the fields of `ChangeOptions`.

    Raises:
        RuntuiError: the arguments cannot be used, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    if is_one(run_ids, filter_text):
        return changes.update_run(session, run_ids[0], assignments, workflow_id=workflow_id, **how)
    _check_which(run_ids, filter_text)
    now = now_ticks()
    texts = changes.read_assignments(assignments, now)
    edits = {name: Edit(text, EDITABLE_BY_NAME[name].parse(text, now)) for name, text in texts.items()}
    draw_up = partial(drafts_of, Draft("", "", {}, "changed", edits), busy=())
    options = ChangeOptions(**how)
    return send_to(session, run_ids, draw_up, options, filter_text=filter_text, workflow_id=workflow_id)


def is_one(run_ids: Sequence[str], filter_text: str | None) -> bool:
    """Whether a command is about one run, named by its id."""
    return filter_text is None and len(run_ids) == 1 and STANDARD_INPUT not in run_ids


def _check_which(run_ids: Sequence[str], filter_text: str | None) -> None:
    if bool(run_ids) == (filter_text is not None):
        raise UsageError("Which runs?", "Name runs by their ids, by - for those on standard input, or by --filter.")


def send_to(
    session: SessionSpec,
    run_ids: Sequence[str],
    draw_up: Callable[[Sequence[MarkedRun]], BulkDraft],
    options: ChangeOptions,
    *,
    filter_text: str | None = None,
    workflow_id: str | None = None,
) -> int:
    """Review and send what is drawn up for some runs, as `update` takes them; the exit code.

    Raises:
        RuntuiError: the arguments cannot be used, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    _check_which(run_ids, filter_text)
    changes.check_consent(session.settings, options)
    wanted = _filter(filter_text) if filter_text is not None else _with_standard_input(run_ids)
    return _send_to(session, wanted, workflow_id, draw_up, options)


def _filter(text: str) -> Filter:
    found = told_filter(text)
    if found is None:
        raise UsageError(
            "The filter is empty", "It would be every run of the tenant.", "Name what they have in common."
        )
    return found


def _with_standard_input(run_ids: Sequence[str]) -> list[str]:
    """Each run once, however it is spelled."""
    ids: dict[str, str] = {}
    for run_id in run_ids:
        for found in (sys.stdin or ()) if run_id == STANDARD_INPUT else (run_id,):
            if found.strip():
                ids.setdefault(run_key(found.strip()), found.strip())
    if not ids:
        raise UsageError("Which runs?", "Standard input holds no id.", "Write one a line.")
    return list(ids.values())


@command
async def _send_to(
    session: SessionSpec,
    wanted: Filter | Sequence[str],
    workflow_id: str | None,
    draw_up: Callable[[Sequence[MarkedRun]], BulkDraft],
    options: ChangeOptions,
) -> int:
    async with connected(session) as workspace:
        with changes.nothing_sent_if_cancelled():
            found = await (
                _filtered(workspace, wanted, options)
                if isinstance(wanted, Filter)
                else _named(workspace, wanted, workflow_id, options)
            )
        bulk = draw_up(found.runs)
        bulk = bulk._replace(left_out={**found.left_out, **bulk.left_out})
        names = {run.run_id: run.workflow_name for run in found.runs}
        code = await send_many(workspace, bulk, names, options)
    return code if found.is_whole else max(code, ExitCode.NOT_DONE)


async def _filtered(workspace: Workspace, wanted: Filter, options: ChangeOptions) -> _Found:
    """The runs that match, as they were listed."""
    missing = await list_all(workspace)
    for workflow in missing:
        narrate(f"The list is incomplete. {workflow}")
    unread = {workflow.workflow_id for workflow in missing}
    store = workspace.store
    found = stored_runs(store, await asyncio.to_thread(store.ids, RunQuery(wanted)))
    await changes.settle_earlier(workspace, options, *found)
    runs = [
        MarkedRun(run_id, run.workflow_id, run.workflow_name, run.raw)
        for run_id, run in found.items()
        if run.workflow_id not in unread
    ]
    return _Found(runs, {}, is_whole=not missing)


async def _named(
    workspace: Workspace, run_ids: Sequence[str], workflow_id: str | None, options: ChangeOptions
) -> _Found:
    """The runs of these ids: as they were listed just now, where one had to be looked for, else read one by one."""
    is_listed = False
    if workflow_id is None and any(stored_run(workspace, run_id) is None for run_id in run_ids):
        narrate("Some runs are not in the local store; listing all runs. Add --workflow ID to skip this.")
        for workflow in await list_all(workspace):
            narrate(f"The list is incomplete. {workflow}")
        is_listed = True
    await changes.settle_earlier(workspace, options, *run_ids)
    runs: list[MarkedRun] = []
    left_out: dict[str, LeftOut] = {}
    for run_id in run_ids:
        stored = stored_run(workspace, run_id)
        if stored is not None:
            runs.append(
                MarkedRun(stored.raw["id"], workflow_id or stored.workflow_id, stored.workflow_name, stored.raw)
            )
        elif workflow_id is not None:
            runs.append(MarkedRun(run_id, workflow_id, "", {}))
        else:
            left_out[run_id] = GONE
    return _Found(runs, left_out) if is_listed else await _read(workspace, runs)


async def _read(workspace: Workspace, runs: Sequence[MarkedRun]) -> _Found:
    """The runs as they are now."""
    answers = await read_runs(workspace, [(run.workflow_id, run.run_id) for run in runs])
    read: list[MarkedRun] = []
    left_out: dict[str, LeftOut] = {}
    for run, answer in zip(runs, answers, strict=True):
        if answer.entity is not None:
            read.append(run._replace(run_id=answer.entity["id"], received=answer.entity))
        else:
            left_out[run.run_id] = _unread(answer)
    return _Found(read, left_out)


def _unread(answer: Answer) -> LeftOut:
    if answer.exchange.status == 404:
        return GONE
    why = answer.fault.summary if answer.fault is not None else "The response is empty."
    return LeftOut("that cannot be read", f"The run cannot be read. {why}")


def undo(line: CommandLine, number: int, *, batch: bool = False, seen_on_read_back: bool = False, **how: Any) -> int:
    """Undo a change, or with `batch` all changes that were sent with it; the exit code. `how` as in `update`.

    Raises:
        RuntuiError: it belongs to no bulk change, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    options = ChangeOptions(**how)
    entry = changes.entry_to_undo(state_folder(), number, line.root())
    session = SessionSpec(settings=line.settings_to_undo(entry.root, entry.tenant, entry.profile))
    if not batch:
        return changes.undo_entry(session, number, options, seen_on_read_back=seen_on_read_back)
    return undo_batch(session, entry, options, seen_on_read_back=seen_on_read_back)


@command
async def undo_batch(
    session: SessionSpec, entry: Entry, options: ChangeOptions, *, seen_on_read_back: bool = False
) -> int:
    """Undo the changes that were sent with an entry; the exit code. `seen_on_read_back` as for `changes.undo_entry`.

    Raises:
        RuntuiError: it belongs to no bulk change, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    if not entry.batch:
        raise UsageError(f"#{entry.number} was sent alone", "It belongs to no bulk change.", "Omit --batch to undo it.")
    changes.check_consent(session.settings, options)
    batch, with_doubtful = entry.batch, seen_on_read_back or not options.yes
    async with connected(session) as workspace:
        journal = workspace.journal
        with changes.nothing_sent_if_cancelled():
            if not options.dry_run:
                run_ids = {entry.run_id for entry in await asyncio.to_thread(journal.of_batch, batch)}
                await changes.settle_earlier(workspace, options, *run_ids)
            sent = await asyncio.to_thread(journal.of_batch, batch)
            entries = [entry for entry in sent if entry.outcome is not Outcome.NOT_DONE]
            doubtful = [] if with_doubtful else [entry for entry in entries if doubt_of(entry)]
            clear = [entry for entry in entries if entry not in doubtful]
            runs = [MarkedRun(entry.run_id, entry.workflow_id, entry.workflow_name, {}) for entry in clear]
            found = await _read(workspace, runs)
        bulk = drafts_to_undo(clear, {run.run_id: run.received for run in found.runs})
        bulk = _with_left_out(bulk, found.left_out, doubtful)
        names = {entry.run_id: entry.workflow_name for entry in entries}
        return await send_many(workspace, bulk, names, options)


def _with_left_out(bulk: BulkDraft, unread: Mapping[str, LeftOut], doubtful: Iterable[Entry]) -> BulkDraft:
    doubts = {
        entry.run_id: LeftOut("only seen on read-back", f"{doubt_of(entry)} Add --seen-on-read-back to undo it anyway.")
        for entry in doubtful
    }
    return bulk._replace(left_out={**bulk.left_out, **unread, **doubts})
