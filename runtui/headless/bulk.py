"""Bulk changes by command (`runtui update`, `undo --batch`, actions): find the runs, review, confirm, send, and print
a line for each run as it ends. The exit code is that of the worst outcome.

Invariant: nothing is sent without a yes, typed or by `--yes`. A run that cannot be found or read is reported and does
not stop the others. Drafts are based on values just listed or read, never on an older store. With `--yes`, a refusal
that other changes may meet stops the rest, unless `--keep-going` is given. The first ctrl+c starts no new change and
waits for requests on the wire; the second one does not wait.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runtui.command_line import CommandLine, SessionSpec
from runtui.domain.bulk_draft import GONE, MAX_BY_KEY, UNCHANGED, BulkDraft, LeftOut, MarkedRun, drafts_of
from runtui.domain.draft import Draft, Edit
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.report import Outcome, Report, sentences
from runtui.domain.text import count_words, visible
from runtui.domain.times import now_ticks
from runtui.domain.triage.service_actions import Operation
from runtui.errors import ExitCode, UsageError
from runtui.graph.client import Answer
from runtui.graph.root import run_key
from runtui.headless import changes
from runtui.headless.changes import EXIT_CODES, ChangeOptions
from runtui.headless.console import (
    ProgressLine,
    answer_to,
    can_rewrite_line,
    command,
    confirmed,
    keep_exit_code,
    narrate,
    parse_filter_option,
    print_result,
)
from runtui.headless.session import connected, list_all, narrate_wait, read_runs, stored_run
from runtui.services.journal import Entry
from runtui.services.store import RunQuery, stored_runs
from runtui.services.workspace import Workspace
from runtui.services.writing.save import Save, Step
from runtui.services.writing.undo import doubt_of, drafts_to_undo
from runtui.settings import state_folder

if TYPE_CHECKING:
    from runtui.domain.filter_tree import Filter
    from runtui.services.writing.bulk import Bulk

STANDARD_INPUT = "-"


class _Found(NamedTuple):
    """The runs that a command changes."""

    runs: Sequence[MarkedRun]
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
    """Change properties of runs and return the exit code. A single run is passed to `changes.update_run`.

    The runs are those of `run_ids` ("-" reads ids from standard input, one per line), or those that match
    `filter_text`. `workflow_id` is the workflow of all runs; None looks it up. An assignment is `name=value` with the
    value as typed into the form. `how` are the fields of `ChangeOptions`.

    Raises:
        RuntuiError: the arguments cannot be used, nobody can confirm, or nothing can be read. Nothing was sent.
    """
    if is_one(run_ids, filter_text):
        return changes.update_run(session, run_ids[0], assignments, workflow_id=workflow_id, **how)
    _check_which(run_ids, filter_text)
    now = now_ticks()
    texts = changes.read_assignments(assignments, now)
    edits = {name: Edit(text, EDITABLE_BY_NAME[name].parse(text, now)) for name, text in texts.items()}
    make_bulk = partial(drafts_of, Draft("", "", {}, "changed", edits), busy=())
    options = ChangeOptions(**how)
    return send_to(session, run_ids, make_bulk, options, filter_text=filter_text, workflow_id=workflow_id)


def is_one(run_ids: Sequence[str], filter_text: str | None) -> bool:
    """Return True if a command names exactly one run by its id."""
    return filter_text is None and len(run_ids) == 1 and STANDARD_INPUT not in run_ids


def _check_which(run_ids: Sequence[str], filter_text: str | None) -> None:
    if bool(run_ids) == (filter_text is not None):
        raise UsageError("Which runs?", "Name either their ids (- for those on standard input) or a --filter.")


def send_to(
    session: SessionSpec,
    run_ids: Sequence[str],
    make_bulk: Callable[[Sequence[MarkedRun]], BulkDraft],
    options: ChangeOptions,
    *,
    filter_text: str | None = None,
    workflow_id: str | None = None,
) -> int:
    """Review and send what `make_bulk` returns for the runs, and return the exit code. See `update` for the rest."""
    _check_which(run_ids, filter_text)
    changes.check_consent(session.settings, options)
    if filter_text is not None:
        find = partial(_filtered, _filter(filter_text))
    else:
        find = partial(_named, _with_standard_input(run_ids), workflow_id)
    return _send_to(session, find, make_bulk, options)


def _filter(text: str) -> Filter:
    found = parse_filter_option(text)
    if found is None:
        raise UsageError(
            "The filter is empty", "It would match every run of the tenant.", "Name what they have in common."
        )
    return found


def _with_standard_input(run_ids: Sequence[str]) -> list[str]:
    """Return the ids, with those of standard input in place of "-", each run once in any spelling."""
    ids: dict[str, str] = {}
    hint = "Write one id per line, such as by: runtui list -o jsonl | jq -r .run.id"
    for run_id in run_ids:
        for found in map(str.strip, sys.stdin or ()) if run_id == STANDARD_INPUT else (run_id.strip(),):
            if run_id == STANDARD_INPUT and re.search(r'[\s"{},]', found):  # a table, JSON or CSV
                raise UsageError("Which runs?", f"On standard input, {found[:60]!r} is no id.", hint)
            if found:
                ids.setdefault(run_key(found), found)
    if not ids:
        raise UsageError("Which runs?", "Standard input holds no id.", hint)
    return list(ids.values())


@command
async def _send_to(
    session: SessionSpec,
    find: Callable[[Workspace, ChangeOptions], Awaitable[_Found]],
    make_bulk: Callable[[Sequence[MarkedRun]], BulkDraft],
    options: ChangeOptions,
) -> int:
    async with connected(session) as workspace:
        with changes.nothing_sent_if_cancelled():
            found = await find(workspace, options)
        bulk = make_bulk(found.runs)
        bulk = bulk._replace(left_out={**found.left_out, **bulk.left_out})
        names = {run.run_id: run.workflow_name for run in found.runs}
        code = await send_many(workspace, bulk, names, options)
    return code if found.is_whole else max(code, ExitCode.NOT_DONE)


async def _filtered(wanted: Filter, workspace: Workspace, options: ChangeOptions) -> _Found:
    """List all runs and return those that match."""
    missing = await list_all(workspace)
    narrate(*(workflow.words for workflow in missing))
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
    run_ids: Sequence[str], workflow_id: str | None, workspace: Workspace, options: ChangeOptions
) -> _Found:
    """Return the runs with these ids: from a new listing if one is not in the store, else read from the server."""
    is_listed = False
    if workflow_id is None and any(stored_run(workspace, run_id) is None for run_id in run_ids):
        narrate("Some runs are not in the local store; listing all runs. Add --workflow ID to skip this.")
        narrate(*(workflow.words for workflow in await list_all(workspace)))
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
    """Read the runs from the server."""
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
    """Undo a change, or with `batch` its whole bulk change, and return the exit code. `how` is as in `update`.

    Raises:
        RuntuiError: it is not part of a bulk change, nobody can confirm, or nothing can be read. Nothing was sent.
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
    """Undo the bulk change of an entry and return the exit code. `seen_on_read_back` is as in `changes.undo_entry`."""
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


# Sending


async def send_many(workspace: Workspace, bulk: BulkDraft, names: Mapping[str, str], options: ChangeOptions) -> int:
    """Review, confirm and send drafts, print the outcome of each, and return the exit code of the worst.

    `names` are the names of the workflows, by run id.

    Raises:
        UsageError: the session is read-only.
    """
    lines = _Lines(names, as_json=options.output == "json" or not (options.output or sys.stdout.isatty()))
    with changes.nothing_sent_if_cancelled():
        narrate(*_review(workspace, bulk))
        if options.dry_run:
            lines.print_requests(workspace, bulk)
            return ExitCode.DONE
        if bulk.drafts and not options.yes and not await _is_confirmed(len(bulk.drafts)):
            narrate(changes.NOT_CONFIRMED)
            return ExitCode.NOT_DONE
    lines.print_left_out(workspace, bulk)
    if bulk.drafts:
        sent = workspace.saves.submit_many(
            bulk.drafts, undoes=bulk.undoes, may_hold=not options.keep_going, why=options.reason
        )
        await _Follower(workspace, sent, lines, can_ask=not options.yes).follow()
    await keep_exit_code()
    return lines.exit_code


def _review(workspace: Workspace, bulk: BulkDraft) -> Iterator[str]:
    """Yield the review: the number of runs, the changes by count, the runs left out, notes and warnings."""
    if bulk.drafts:
        first = bulk.drafts[0]
        method, url = workspace.client.target(first)
        is_undo = any(number is not None for number in bulk.undoes)
        yield f"{'undoes' if is_undo else 'changes':9} {count_words(len(bulk.drafts), 'run')}"
        yield f"{'tenant':9} {workspace.settings.tenant}"
        yield f"{'requests':9} {len(bulk.drafts)}, the first: {method} {url}"
    changed = list(bulk.changes())
    width = max((len(name) for name, _, _ in changed), default=0)
    yield from (f"  {name:{width}}  {before} → {after}" for name, before, after in changed)
    if words := bulk.left_out_words():
        yield f"Left out: {words}."
    yield from bulk.notes
    yield from (f"! {sentence}" for sentence in (*bulk.doubts, *bulk.warnings()))
    if not bulk.drafts:
        yield "There is nothing to send."


async def _is_confirmed(count: int) -> bool:
    if count <= MAX_BY_KEY:
        return await confirmed(f"Send {'this change' if count == 1 else f'these {count} changes'}?")
    return await answer_to(f"Type {count} to send: ") == str(count)


class _Lines:
    """Prints a line for each run and counts the outcomes."""

    def __init__(self, names: Mapping[str, str], *, as_json: bool) -> None:
        self._names = names
        self._as_json = as_json
        self.outcomes: Counter[Outcome] = Counter()
        self.unsent = 0
        """The number of changes stopped before they were sent."""

    @property
    def exit_code(self) -> int:
        """The exit code of the worst outcome."""
        found = [EXIT_CODES[outcome] for outcome in EXIT_CODES if self.outcomes[outcome]]
        return int(found[-1] if found else ExitCode.DONE)

    def print_requests(self, workspace: Workspace, bulk: BulkDraft) -> None:
        for draft in bulk.drafts:
            changes.print_request(draft, *workspace.client.target(draft), as_json=self._as_json, runId=draft.run_id)

    def print_left_out(self, workspace: Workspace, bulk: BulkDraft) -> None:
        """Print a line for each run that gets no request."""
        for run_id, why in bulk.left_out.items():
            outcome = Outcome.DONE if why is UNCHANGED else Outcome.NOT_DONE
            stored = stored_run(workspace, run_id)
            self._print(Draft(run_id, stored.workflow_id if stored is not None else "", {}), outcome, why.sentence)

    def print_end(self, save: Save) -> None:
        outcome = save.outcome or Outcome.UNKNOWN
        self.unsent += save.stopped and save.sent is None
        self._print(save.operation, outcome, changes.message_of(save), save)

    def _print(self, draft: Operation, outcome: Outcome, message: str, save: Save | None = None) -> None:
        self.outcomes[outcome] += 1
        heading = (save.report if save is not None else Report(outcome=outcome)).heading
        if self._as_json:
            line = json.dumps(changes.result_object(draft, outcome, sentences(heading, message), save))
        else:
            name = visible(self._names.get(draft.run_id, ""))
            line = "  ".join((f"{outcome.value:8}", visible(draft.run_id), name, visible(message))).rstrip()
        print_result(line)


class _Follower:
    """Follows a bulk change to its end, and asks the person at the terminal how to go on."""

    def __init__(self, workspace: Workspace, bulk: Bulk, lines: _Lines, *, can_ask: bool) -> None:
        self._saves = workspace.saves
        self._bulk = bulk
        self._lines = lines
        self._can_ask = can_ask
        self._news: asyncio.Queue[Save | None] = asyncio.Queue()
        """The saves with news; None if the bulk change itself has news: it has ended, or a refusal holds the rest."""
        self._progress = ProgressLine()
        self._waits_until = datetime.min.replace(tzinfo=UTC)
        self._question: asyncio.Task[bool] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Print each outcome as it comes, and return when all saves have ended."""
        bulk, loop = self._bulk, asyncio.get_running_loop()
        unsubscribe = self._saves.changed.subscribe(self._hear)
        bulk.changed.subscribe(lambda _bulk: self._news.put_nowait(None))
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            while not bulk.has_ended or not self._news.empty():
                await self._take_in(await self._news.get())
        finally:
            unsubscribe()
            self._progress.clear()
        narrate(self._summary())

    def _hear(self, save: Save) -> None:
        if save.batch == self._bulk.batch:
            self._news.put_nowait(save)

    async def _take_in(self, save: Save | None) -> None:
        if save is None:
            if self._bulk.held_by is not None and not self._bulk.has_ended:
                await self._decide(self._bulk.held_by)
        elif not save.active:
            self._progress.clear()
            self._lines.print_end(save)
        elif save.step is Step.PAUSED:
            self._print_wait(save)
        if can_rewrite_line() and self._news.empty() and not self._bulk.has_ended:
            ended = self._lines.outcomes.total()
            self._progress.show(f"{len(self._bulk.saves) - self._unsent} of {len(self._bulk.saves)}" if ended else "…")

    @property
    def _unsent(self) -> int:
        return sum(save.batch == self._bulk.batch for save in self._saves.active())

    def _print_wait(self, save: Save) -> None:
        """Report a wait, once for all saves that wait for the same."""
        if save.resumes_at is None or save.exchange is None or save.resumes_at <= self._waits_until:
            return
        self._waits_until = save.resumes_at
        self._progress.clear()
        narrate_wait(save.resumes_at, save.exchange, save.retry_after)

    async def _decide(self, save: Save) -> None:
        """Go on or stop after a refusal that other changes may meet as well."""
        self._progress.clear()
        title = save.fault.title if save.fault is not None else "A change was refused"
        narrate(f"{title} (run {save.run_id}). {count_words(self._unsent, 'run')} may be refused too.")
        goes_on = False
        if self._can_ask:
            self._question = asyncio.create_task(confirmed("Go on?"))
            with suppress(asyncio.CancelledError):
                goes_on = await self._question
        if goes_on:
            self._bulk.resume()
        elif not self._bulk.is_stopped:
            narrate("Stopped." if self._can_ask else "Stopped; --keep-going goes on after a refusal.")
            self._bulk.stop()

    def _interrupt(self) -> None:
        self._progress.clear()
        if self._bulk.is_stopped:
            narrate("Stopping.")
            self._ending = asyncio.create_task(self._saves.abandon())
            return
        narrate("Stopping after the requests in progress; ctrl+c again stops at once.")
        self._bulk.stop()
        if self._question is not None:
            self._question.cancel()

    def _summary(self) -> str:
        outcomes, total = self._lines.outcomes, self._lines.outcomes.total()
        counted = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in EXIT_CODES if outcomes[outcome])
        unsent = f" {self._lines.unsent} stopped before they were sent." if self._lines.unsent else ""
        return f"{count_words(total, 'run')}: {counted}.{unsent}"
