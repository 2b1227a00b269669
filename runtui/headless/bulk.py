"""`runtui update` and `runtui undo`: find the runs, make a draft for each, and send them as one change or as many.

Invariant: every value is checked before the first request. A run of several that cannot be found or read is reported
and does not stop the others. Drafts are based on values just listed or read, never on an older store. A change is
undone on the server where it was made.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.command_line import CommandLine, SessionSpec
from runtui.domain.bulk_draft import GONE, BulkDraft, LeftOut, bulk_of, drafts_of
from runtui.domain.draft import Draft, Edit
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.report import Outcome
from runtui.domain.times import now_ticks
from runtui.errors import ExitCode, FieldError, UsageError, nearest_words
from runtui.graph.client import Answer
from runtui.graph.root import run_key, same_server
from runtui.headless.changes import (
    NOT_CONFIRMED,
    ChangeOptions,
    check_consent,
    nothing_sent_if_cancelled,
    send,
    settle_earlier,
)
from runtui.headless.console import command, confirmed, narrate, parse_filter_option
from runtui.headless.session import (
    connected,
    failed_read,
    find_run,
    list_all,
    pace,
    read_runs,
    run_and_answer,
    stored_run,
)
from runtui.services.records.journal import Entry
from runtui.services.store.store import RunQuery, StoredRun, stored_runs
from runtui.services.workspace import Workspace
from runtui.services.writing.undo import UndoError, doubt_of, draft_to_undo, drafts_to_undo
from runtui.services.writing.write import Step
from runtui.settings import state_folder

if TYPE_CHECKING:
    from runtui.domain.filter_tree import Filter

STANDARD_INPUT = "-"

NULL: Final = "null"
"""The value that clears a property, like `NAME=`."""

_ONE_PER_LINE: Final = "Write one id per line, such as by: runtui list -o jsonl | jq -r .run.id"

_UNLISTED: Final = LeftOut("that the server does not list", GONE.sentence)
_PERHAPS_UNREAD: Final = LeftOut(
    "not in the workflows that could be read", "The list is incomplete and lacks this run. Nothing was sent."
)


class Which(NamedTuple):
    """The runs that a command names: by their ids ("-" reads ids from standard input, one per line), or by a filter."""

    run_ids: Sequence[str]
    filter_text: str | None = None
    workflow_id: str | None = None
    """The workflow of all runs; None looks it up."""

    @property
    def is_one(self) -> bool:
        """True if exactly one run is named by its id."""
        return self.filter_text is None and len(self.run_ids) == 1 and STANDARD_INPUT not in self.run_ids


class _Found(NamedTuple):
    """The runs that a command changes."""

    runs: Sequence[StoredRun]
    left_out: Mapping[str, LeftOut]
    is_whole: bool = True
    """True if every workflow was listed."""


def update(
    session: SessionSpec,
    run_ids: Sequence[str],
    assignments: Sequence[str],
    *,
    filter_text: str | None = None,
    workflow_id: str | None = None,
    **how: Any,
) -> int:
    """Change properties of one or several runs; for the runs see `Which`.

    An assignment is `name=value` with the value as typed into the form. `how` are the fields of `ChangeOptions`.

    Raises:
        RuntuiError: the arguments cannot be used, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    which, now, options = Which(run_ids, filter_text, workflow_id), now_ticks(), ChangeOptions(**how)
    texts = read_assignments(assignments, now)
    if which.is_one:

        def make(workflow_id: str, received: Mapping[str, Any]) -> BulkDraft:
            draft = Draft(received["id"], workflow_id, received, session.settings.body_mode)
            for name, text in texts.items():
                draft = draft.typed(name, text, now)
            return bulk_of({draft.run_id: draft})._replace(is_one=True)

        return send_to_one(session, which, make, options, reads_once=options.yes)
    edits = {name: Edit(text, EDITABLE_BY_NAME[name].parse(text, now)) for name, text in texts.items()}
    make_bulk = partial(drafts_of, Draft("", "", {}, session.settings.body_mode, edits), busy=())
    return send_to(session, which, make_bulk, options)


@command
async def send_to_one(
    session: SessionSpec,
    which: Which,
    make: Callable[[str, Mapping[str, Any]], BulkDraft],
    options: ChangeOptions,
    *,
    reads_once: bool = False,
    follow: bool = False,
) -> int:
    """Review and send what `make` returns for a workflow id and the run as received.

    With `reads_once` the run is not read again before the request: nobody takes time for a review. `follow` is as in
    `send`.
    """
    check_consent(session.settings, options)
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            await settle_earlier(workspace, options, which.run_ids[0])
            workflow_id, run_id = await find_run(workspace, which.run_ids[0], which.workflow_id)
            if reads_once:
                narrate(f"{Step.READING.value}…")
            received, answer = await run_and_answer(workspace, workflow_id, run_id)
        # `make` uses the service's spelling of the id, so that the journal has only one.
        bulk = make(workflow_id, received)
        return await send(workspace, bulk, options, fresh=answer if reads_once else None, follow=follow)


def read_assignments(assignments: Sequence[str], now: int) -> dict[str, str]:
    """Parse NAME=VALUE arguments into texts by property. Relative times are checked against `now` (ticks).

    Raises:
        UsageError: the message lists every problem, one per line.
    """
    texts: dict[str, str] = {}
    problems: list[str] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name, text = name.strip(), "" if text.strip() == NULL else text
        if not equals:
            problems.append(f"{assignment!r} has no value: write NAME=VALUE, or NAME= to clear it.")
        elif name not in EDITABLE_BY_NAME:
            meant = nearest_words(name, EDITABLE_BY_NAME)
            possible = f"Possible: {', '.join(EDITABLE_BY_NAME)}."
            problems.append(f"{name!r} is not a property that can be changed.{meant} {possible}")
        elif name in texts:
            problems.append(f"{name} is set twice.")
        else:
            texts[name] = text
            try:
                EDITABLE_BY_NAME[name].parse(text, now)
            except FieldError as error:
                sentence = str(error)
                problems.append(sentence if sentence.startswith(name) else f"{name}: {sentence}")
    if problems:
        raise UsageError("Nothing was sent", "\n".join(("These values cannot be used:", *problems)))
    return texts


def send_to(
    session: SessionSpec, which: Which, make_bulk: Callable[[Sequence[StoredRun]], BulkDraft], options: ChangeOptions
) -> int:
    """Review and send what `make_bulk` returns for the runs."""
    if bool(which.run_ids) == (which.filter_text is not None):
        raise UsageError("Which runs?", "Name either their ids (- for those on standard input) or a --filter.")
    check_consent(session.settings, options)
    if which.filter_text is None:
        find = partial(_named, _with_standard_input(which.run_ids), which.workflow_id)
    elif (wanted := parse_filter_option(which.filter_text)) is not None:
        find = partial(_filtered, wanted)
    else:
        hint = "Name what they have in common."
        raise UsageError("The filter is empty", "It would match every run of the tenant.", hint)
    return _send_to(session, find, make_bulk, options)


def _with_standard_input(run_ids: Sequence[str]) -> list[str]:
    """Return the ids, with those of standard input in place of "-", each run once in any spelling."""
    ids: dict[str, str] = {}
    for run_id in run_ids:
        for found in _ids_on_standard_input() if run_id == STANDARD_INPUT else (run_id.strip(),):
            ids.setdefault(run_key(found), found)
    if not ids:
        raise UsageError("Which runs?", "Standard input holds no id.", _ONE_PER_LINE)
    return list(ids.values())


def _ids_on_standard_input() -> Iterator[str]:
    try:
        lines = sys.stdin.buffer.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError("Which runs?", "Standard input is not UTF-8.", _ONE_PER_LINE) from None
    for found in filter(None, map(str.strip, lines)):
        if re.search(r'[\s"{},]', found) or not found.isprintable():  # a table, JSON, CSV or UTF-16
            raise UsageError("Which runs?", f"On standard input, {found[:60]!r} is no id.", _ONE_PER_LINE)
        yield found


@command
async def _send_to(
    session: SessionSpec,
    find: Callable[[Workspace, ChangeOptions], Awaitable[_Found]],
    make_bulk: Callable[[Sequence[StoredRun]], BulkDraft],
    options: ChangeOptions,
) -> int:
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            found = await find(workspace, options)
        bulk = make_bulk(found.runs)
        bulk = bulk._replace(left_out={**found.left_out, **bulk.left_out})
        names = {run.run_id: run.workflow_name for run in found.runs}
        code = await send(workspace, bulk, options, names)
    return code if found.is_whole else max(code, ExitCode.NOT_DONE)


async def _filtered(wanted: Filter, workspace: Workspace, options: ChangeOptions) -> _Found:
    """List all runs and return those that match."""
    missing = await list_all(workspace)
    narrate(*(workflow.words for workflow in missing))
    unread = {workflow.workflow_id for workflow in missing}
    store = workspace.store
    found = stored_runs(store, await asyncio.to_thread(store.ids, RunQuery(wanted)))
    await settle_earlier(workspace, options, *(run.run_id for run in found))
    return _Found([run for run in found if run.workflow_id not in unread], {}, is_whole=not missing)


async def _named(
    run_ids: Sequence[str], workflow_id: str | None, workspace: Workspace, options: ChangeOptions
) -> _Found:
    """Return the runs with these ids: from a new and complete listing if one is not in the store, else read from the
    server."""
    is_listed, unlisted = False, _UNLISTED
    if workflow_id is None and any(stored_run(workspace, run_id) is None for run_id in run_ids):
        narrate("Some runs are not in the local store; listing all runs. Add --workflow ID to skip this.")
        missing = await list_all(workspace)
        narrate(*(workflow.words for workflow in missing))
        is_listed, unlisted = not missing, _PERHAPS_UNREAD if missing else _UNLISTED
    await settle_earlier(workspace, options, *run_ids)
    runs: list[StoredRun] = []
    left_out: dict[str, LeftOut] = {}
    for run_id in run_ids:
        stored = stored_run(workspace, run_id)
        if stored is not None:
            runs.append(stored._replace(run_id=stored.raw["id"], workflow_id=workflow_id or stored.workflow_id))
        elif workflow_id is not None:
            runs.append(StoredRun(run_id, workflow_id, "", {}))
        else:
            left_out[run_id] = unlisted
    found = _Found(runs, {}) if is_listed else await _read(workspace, runs)
    return found._replace(left_out={**left_out, **found.left_out})


async def _read(workspace: Workspace, runs: Sequence[StoredRun]) -> _Found:
    """Read the runs from the server."""
    answers = await read_runs(workspace, [(run.workflow_id, run.run_id) for run in runs])
    read: list[StoredRun] = []
    left_out: dict[str, LeftOut] = {}
    for run, answer in zip(runs, answers, strict=True):
        if answer.entity is not None:
            read.append(run._replace(run_id=answer.entity["id"], raw=answer.entity))
        else:
            left_out[run.run_id] = _unread(answer)
    return _Found(read, left_out)


def _unread(answer: Answer) -> LeftOut:
    if answer.exchange.status == 404:
        return GONE
    return LeftOut("that cannot be read", str(failed_read("The run cannot be read", answer)))


def undo(line: CommandLine, number: int, *, batch: bool = False, **how: Any) -> int:
    """Undo a change, or with `batch` its whole bulk change. `how` is as in `update`.

    Raises:
        RuntuiError: it is not part of a bulk change, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    options = ChangeOptions(**how)
    entry = entry_to_undo(state_folder(), number, line.root())
    session = SessionSpec(settings=line.settings_to_undo(entry.root, entry.tenant, entry.profile))
    return undo_batch(session, entry, options) if batch else undo_entry(session, entry, options)


@command
async def undo_batch(session: SessionSpec, entry: Entry, options: ChangeOptions) -> int:
    """Undo the bulk change of an entry."""
    if not entry.batch:
        raise UsageError(f"#{entry.number} was sent alone", "It belongs to no bulk change.", "Omit --batch to undo it.")
    check_consent(session.settings, options)
    batch, with_doubtful = entry.batch, options.seen_on_read_back or not options.yes
    async with connected(session) as workspace:
        journal = workspace.journal
        with nothing_sent_if_cancelled():
            run_ids = {entry.run_id for entry in await asyncio.to_thread(journal.of_batch, batch)}
            await settle_earlier(workspace, options, *run_ids)
            sent = await asyncio.to_thread(journal.of_batch, batch)
            entries = [entry for entry in sent if entry.outcome is not Outcome.NOT_DONE]
            doubtful = [] if with_doubtful else [entry for entry in entries if doubt_of(entry)]
            clear = [entry for entry in entries if entry not in doubtful]
            runs = [StoredRun(entry.run_id, entry.workflow_id, entry.workflow_name, {}) for entry in clear]
            found = await _read(workspace, runs)
        bulk = drafts_to_undo(clear, {run.run_id: run.raw for run in found.runs}, workspace.settings.body_mode)
        anyway = "Add --seen-on-read-back to undo it anyway."
        doubts = {it.run_id: LeftOut("only seen on read-back", f"{doubt_of(it)} {anyway}") for it in doubtful}
        bulk = bulk._replace(left_out={**bulk.left_out, **found.left_out, **doubts})
        names = {entry.run_id: entry.workflow_name for entry in entries}
        return await send(workspace, bulk, options, names)


def entry_to_undo(state_folder: Path, number: int, root: str | None) -> Entry:
    """Return a journal entry, which must be of the server of `root` if that is given.

    Raises:
        RuntuiError: there is no such entry, it is damaged or of another server, or the journal cannot be used.
    """
    from runtui.headless.journal import journal_in, no_such_entry
    from runtui.services.records.journal_query import damage_sentence

    with journal_in(state_folder) as journal:
        entry = journal.entry(number)
    if entry is None:
        raise no_such_entry(number)
    if entry.damage:
        raise UndoError(entry, f"{damage_sentence(entry)} Nothing was sent.")
    if root is not None and not same_server(root, entry.root):
        raise UsageError(
            f"#{number} cannot be undone there",
            f"It changed a run of {entry.root}, and the server that you chose is {root}. Nothing was sent.",
            "Omit --root, --cloud and --profile to undo it on its own server.",
        )
    return entry


@command
async def undo_entry(session: SessionSpec, entry: Entry, options: ChangeOptions) -> int:
    """Undo the change of a journal entry.

    Raises:
        RuntuiError: it cannot or must not be undone, nobody can confirm, or the run cannot be read. Nothing was sent.
    """
    check_consent(session.settings, options)
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            await settle_earlier(workspace, options, entry.run_id)
            found = await asyncio.to_thread(workspace.journal.entry, entry.number)
            entry = found or entry
            draft = await draft_to_undo(entry, workspace.client, workspace.settings.body_mode, pace=pace())
            if (doubt := doubt_of(entry)) and not options.dry_run and not options.seen_on_read_back:
                await _ask_again(entry, doubt, options)
        return await send(workspace, BulkDraft((draft,), {}, is_one=True), options)


async def _ask_again(entry: Entry, doubt: str, options: ChangeOptions) -> None:
    """Ask before undoing a change that may be someone else's.

    Raises:
        UndoError: the answer is no, or `options.yes` rules out a question.
    """
    if options.yes:
        raise UndoError(entry, f"{doubt} Nothing was sent.", "Add --yes --seen-on-read-back to undo it anyway.")
    narrate(doubt)
    if not await confirmed("Undo it anyway?"):
        raise UndoError(entry, NOT_CONFIRMED)
