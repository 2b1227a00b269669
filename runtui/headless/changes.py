"""Sends changes by command: the review, the question, the progress, a line for each outcome, and the exit code.

Invariant: nothing is sent without a yes, typed or by `--yes`. A dry run sends no write and leaves no journal entry. The
exit code is that of the worst outcome. With `--yes`, a refusal that other changes may meet stops the rest, unless
`--keep-going` is given. Of many changes, the first ctrl+c (SIGTERM, SIGHUP) starts no new one and waits for requests on
the wire; the second one does not wait, as the first one does not for a single change.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.domain.bulk_draft import MAX_BY_KEY, UNCHANGED, BulkDraft
from runtui.domain.draft import NOT_RECEIVED, Change, Draft
from runtui.domain.report import Outcome, counted, sentences
from runtui.domain.text import count_words, visible
from runtui.domain.times import length_words
from runtui.errors import ExitCode, UsageError
from runtui.graph.client import Answer
from runtui.graph.retry import Wait
from runtui.graph.root import run_key
from runtui.headless.console import (
    ENDED_FROM_OUTSIDE,
    ProgressLine,
    answer_to,
    can_ask,
    can_rewrite_line,
    confirmed,
    keep_exit_code,
    narrate,
    on_signals,
    print_result,
)
from runtui.headless.session import narrate_wait, stored_run
from runtui.services.store.store import workflow_name_of
from runtui.services.workspace import Workspace
from runtui.services.writing.follow import followed
from runtui.services.writing.write import Save
from runtui.settings import Settings

if TYPE_CHECKING:
    from runtui.services.writing.bulk import Bulk

EXIT_CODES: Final[Mapping[Outcome, ExitCode]] = {
    Outcome.DONE: ExitCode.DONE,
    Outcome.NOT_DONE: ExitCode.NOT_DONE,
    Outcome.UNKNOWN: ExitCode.UNKNOWN,
}
"""The exit code of each outcome, from the best to the worst."""

NOT_CONFIRMED: Final = "Not confirmed. Nothing was sent."


class ChangeOptions(NamedTuple):
    """The options that all commands with a change share."""

    dry_run: bool = False
    """Print the request instead of sending it."""
    yes: bool = False
    """The command line confirms the change."""
    output: str = ""
    """How to print results: "table" or "json"; empty for a table, but JSON lines for many changes in a pipe."""
    keep_going: bool = False
    """In a bulk change, continue after a refusal that other changes may meet as well."""
    why: str = ""
    """The reason as typed."""
    seen_on_read_back: bool = False
    """Undo a change that may be someone else's (`doubt_of`) without a question."""

    @property
    def reason(self) -> str:
        """The reason on one line, for the journal."""
        return " ".join(self.why.split())


def check_consent(settings: Settings, options: ChangeOptions) -> None:
    """Refuse a change that could not be sent, before the first request.

    Raises:
        UsageError: the session is read-only, a reason is missing, or nobody can confirm.
    """
    if options.dry_run:
        return
    if settings.read_only:
        hint = "Add --write to allow changes."
        raise UsageError("This session is read-only", "Nothing was sent.", hint)
    if settings.require_why and not options.reason:
        raise UsageError("This profile requires a reason", "Nothing was sent.", 'Add --why "TEXT".')
    if not options.yes and not can_ask():
        hint = "Add --dry-run to see the request without sending it."
        raise UsageError("Not a terminal: add --yes to confirm", "Nothing was sent.", hint)


@contextmanager
def nothing_sent_if_cancelled() -> Iterator[None]:
    """Report that nothing was sent if ctrl+c, the system or a closed terminal ends the block."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a command is one
    on_signals(task.cancel, *ENDED_FROM_OUTSIDE)
    try:
        yield
    except asyncio.CancelledError:
        narrate("Nothing was sent.")
        raise KeyboardInterrupt from None
    finally:
        for number in ENDED_FROM_OUTSIDE:
            asyncio.get_running_loop().remove_signal_handler(number)


async def settle_earlier(workspace: Workspace, options: ChangeOptions, *run_ids: str) -> None:
    """Read back earlier unknown changes (not in a dry run); report what is settled, and what is not of these runs."""
    if options.dry_run:
        return
    first = run_ids[0] if len(run_ids) == 1 else None
    keys = {run_key(run_id) for run_id in run_ids}
    for entry in await workspace.reconciler.check_all(before_change_of=first):
        subject = "workflow" if entry.is_about_workflow else "run"
        if entry.is_settled:
            narrate(f"An earlier change of {subject} {entry.run_id}: {entry.report.heading}.")
        elif run_key(entry.run_id) in keys:
            named = f"this {subject}" if first is not None else f"{subject} {entry.run_id}"
            narrate(f"An earlier change of {named}: {entry.report.heading}; the service may still carry it out.")
    if workspace.reconciler.fault is not None:
        narrate(str(workspace.reconciler.fault))


async def send(
    workspace: Workspace,
    bulk: BulkDraft,
    options: ChangeOptions,
    names: Mapping[str, str] = MappingProxyType({}),
    *,
    fresh: Answer | None = None,
    follow: bool = False,
) -> int:
    """Review, confirm and send changes, print the outcome of each, and return the exit code of the worst.

    `names` are the names of the workflows of many runs, by run id. For a single change, `fresh` is as in
    `SaveQueue.submit`, and `follow` reports the run that the action started or canceled until its end.

    Raises:
        UsageError: a draft has errors, or the session is read-only.
    """
    lines = _Lines(workspace, bulk, names, options)
    with nothing_sent_if_cancelled():
        narrate(*_review(workspace, bulk))
        if options.dry_run:
            lines.print_requests()
            return ExitCode.DONE
        if bulk.drafts and not options.yes and not await _is_confirmed(bulk):
            lines.print_unconfirmed()
            return ExitCode.NOT_DONE
    lines.print_left_out()
    if not bulk.drafts:
        return lines.exit_code
    follower = _Follower(workspace, lines, can_ask=not options.yes)
    if bulk.is_one:
        save = await follower.follow([workspace.saves.submit(bulk.drafts[0], why=options.reason, fresh=fresh)])
    else:
        sent = workspace.saves.submit_many(bulk.drafts, may_hold=not options.keep_going, why=options.reason)
        save = await follower.follow(sent.saves, sent)
        narrate(lines.summary)
    if follow and save.outcome is Outcome.DONE:
        reporting = asyncio.create_task(_report_run(workspace, save, options))
        on_signals(reporting.cancel)
        with suppress(asyncio.CancelledError):
            await reporting
    # From here on, neither a closed pipe nor ctrl+c may change the exit code.
    await keep_exit_code()
    return lines.exit_code


def _review(workspace: Workspace, bulk: BulkDraft) -> Iterator[str]:
    """Yield the review: the runs and the request, the changes, the runs left out, notes and warnings."""
    if bulk.drafts:
        yield from (f"{name:9} {value}" for name, value in _facts(workspace, bulk))
    changes = list(bulk.changes())
    width = max((len(name) for name, _, _ in changes), default=0)
    yield from (f"  {name:{width}}  {before} → {after}" for name, before, after in changes)
    if bulk.action is not None and not changes:
        yield f"  {bulk.action.words}"
    if also_sent := bulk.also_sent():
        yield f"{also_sent}."
    if not bulk.is_one and (words := bulk.left_out_words()):
        yield f"Left out: {words}."
    yield from bulk.notes
    yield from (f"! {sentence}" for sentence in (*bulk.doubts, *bulk.warnings()))
    if not bulk.is_one and not bulk.drafts:
        yield "There is nothing to send."


def _facts(workspace: Workspace, bulk: BulkDraft) -> Iterator[tuple[str, str]]:
    """Yield which runs are changed, and by which request, as pairs of a name and a value."""
    first = bulk.drafts[0]
    if not bulk.is_one:
        yield "changes" if first.undoes is None else "undoes", count_words(len(bulk.drafts), "run")
    else:
        yield "workflow", workflow_name_of(workspace.store, first.run_id, first.workflow_id)
        if first.run_id != first.workflow_id:
            yield "run", first.run_id
    yield "tenant", workspace.settings.tenant
    yield bulk.request_fact(" ".join(workspace.client.target(first)))
    if bulk.is_one and first.undoes is not None:
        yield "undoes", f"#{first.undoes}"


async def _is_confirmed(bulk: BulkDraft) -> bool:
    count, what = len(bulk.drafts), "change" if bulk.action is None else "action"
    if count <= MAX_BY_KEY:
        return await confirmed(f"Send {f'this {what}' if count == 1 else f'these {count} {what}s'}?")
    return await answer_to(f"Type {count} to send: ") == str(count)


async def _report_run(workspace: Workspace, save: Save, options: ChangeOptions) -> None:
    printed = ""
    async for found in followed(workspace.client, save):
        if (words := found.words()) != printed:
            narrate(words)
        printed = words
        if found.has_ended and options.output == "json":
            print(json.dumps(dict(found.run)))


class _Lines:
    """Prints a line for each run and counts the outcomes. The arguments are those of `send`."""

    def __init__(self, workspace: Workspace, bulk: BulkDraft, names: Mapping[str, str], options: ChangeOptions) -> None:
        self._workspace = workspace
        self._bulk = bulk
        self._names = names
        is_piped = not bulk.is_one and not options.output and not sys.stdout.isatty()
        self._as_json = options.output == "json" or is_piped
        self.outcomes: Counter[Outcome] = Counter()
        self.unsent = 0
        """The number of changes stopped before they were sent."""

    @property
    def exit_code(self) -> int:
        """The exit code of the worst outcome."""
        found = [EXIT_CODES[outcome] for outcome in EXIT_CODES if self.outcomes[outcome]]
        return int(found[-1] if found else ExitCode.DONE)

    @property
    def summary(self) -> str:
        """The number of runs with each outcome."""
        unsent = f" {self.unsent} stopped before they were sent." if self.unsent else ""
        return f"{count_words(self.outcomes.total(), 'run')}: {counted(self.outcomes)}.{unsent}"

    def print_requests(self) -> None:
        """Print the requests that would be sent; as JSON those of many have the id of the run. A single run without
        one gets its line."""
        if self._bulk.is_one:
            self.print_left_out()
        for draft in self._bulk.drafts:
            (method, url), body = self._workspace.client.target(draft), draft.body_text()
            if self._as_json:
                ids = {} if self._bulk.is_one else {"runId": draft.run_id}
                print(json.dumps({**ids, "method": method, "url": url, "body": json.loads(body) if body else None}))
            else:
                print("\n".join(filter(None, (f"{method} {visible(url)}", body))))

    def print_unconfirmed(self) -> None:
        if self._bulk.is_one:
            self._print(Save(0, self._bulk.drafts[0], outcome=Outcome.NOT_DONE), NOT_CONFIRMED)
        else:
            narrate(NOT_CONFIRMED)

    def print_left_out(self) -> None:
        """Print a line for each run that gets no request."""
        for run_id, why in self._bulk.left_out.items():
            outcome = Outcome.DONE if why is UNCHANGED else Outcome.NOT_DONE
            stored = stored_run(self._workspace, run_id)
            draft = Draft(run_id, stored.workflow_id if stored is not None else "", {})
            self._print(Save(0, draft, outcome=outcome), why.sentence)

    def print_end(self, save: Save) -> None:
        self.unsent += save.stopped and save.sent is None
        self._print(save, message_of(save))

    def _print(self, save: Save, message: str) -> None:
        outcome = save.outcome or Outcome.UNKNOWN
        self.outcomes[outcome] += 1
        line = sentences(save.report.heading, message)
        if self._as_json:
            line = json.dumps(result_object(save, outcome, line))
        elif self._bulk.is_one:
            line = visible(line)
        else:
            cells = (save.run_id, self._names.get(save.run_id, ""), message)
            line = "  ".join((f"{outcome.value:8}", *map(visible, cells))).rstrip()
        print_result(line)


def changed(changes: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """Return the values before and after by property; one that was not received has no `before`."""
    return {
        change.field.name: ({} if change.before is NOT_RECEIVED else {"before": change.before})
        | {"after": change.after}
        for change in changes
    }


def result_object(save: Save, outcome: Outcome, message: str) -> dict[str, Any]:
    """Return the outcome of a change as a JSON object."""
    sent, intent, workflow_id = save.sent, save.intent, save.operation.workflow_id
    return {
        "outcome": outcome.value,
        "entry": save.entry,
        "runId": save.run_id if save.run_id != workflow_id else None,
        "workflowId": workflow_id or None,
        **({"changed": changed(save.changes())} if save.action is None else {"action": save.action.name}),
        **({"newRun": save.new_run} if save.new_run else {}),
        "status": sent.status if sent is not None else None,
        "requestId": (sent.request_id or None) if sent is not None else None,
        "clientRequestId": intent.client_request_id if intent is not None and save.entry is not None else None,
        "message": message,
    }


def message_of(save: Save) -> str:
    """Return the reasons for the outcome of a save, and the next step."""
    report, fault = save.report, save.fault
    hint = fault.hint if fault is not None and not save.stopped else ""
    if save.outcome is Outcome.UNKNOWN:
        subject = "run" if save.run_id != save.operation.workflow_id else "workflow"
        known = f"runtui journal {save.entry} shows what is known"
        hint = f"{hint} {known}: read the {subject} before you repeat the change."
    made = f"New run {save.new_run}." if save.new_run else ""
    return sentences(*report.reasons(), made, report.message, *report.detail_sentences(), hint.strip())


class _Follower:
    """Follows changes to their end, and asks the person at the terminal how to go on after a refusal."""

    def __init__(self, workspace: Workspace, lines: _Lines, *, can_ask: bool) -> None:
        self._saves = workspace.saves
        self._lines = lines
        self._can_ask = can_ask
        self._bulk: Bulk | None = None
        """The bulk change; None for a single change."""
        self._last: dict[int, Save] = {}
        """The last state of each save, by number."""
        self._unended: set[int] = set()
        """The numbers of those that have not ended."""
        self._news: asyncio.Queue[Save | None] = asyncio.Queue()
        """The saves with news; None if the bulk change itself has news: it has ended, or a refusal holds the rest."""
        self._progress = ProgressLine()
        self._waits_until = datetime.min.replace(tzinfo=UTC)
        self._question: asyncio.Task[bool] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def follow(self, saves: Sequence[Save], bulk: Bulk | None = None) -> Save:
        """Print each outcome as it comes; return the first save when all have ended."""
        self._bulk, self._last = bulk, {save.number: save for save in saves}
        self._unended = {save.number for save in saves if save.active}
        unsubscribe = self._saves.changed.subscribe(self._news.put_nowait)
        if bulk is not None:
            bulk.changed.subscribe(lambda _bulk: self._news.put_nowait(None))
        # asyncio's own handler would end the loop at the second ctrl+c, before the outcome is reported.
        on_signals(self._interrupt)
        try:
            while self._unended:
                await self._take_in_next()
        finally:
            unsubscribe()
            self._progress.clear()
        return self._last[saves[0].number]

    async def _take_in_next(self) -> None:
        """Wait for news and report it; while a single change waits, count the seconds."""
        wait = next(iter(self._last.values())).wait if len(self._last) == 1 else None
        try:
            seconds = 1.0 if can_rewrite_line() else 30.0  # between two lines of the countdown
            async with asyncio.timeout(seconds if wait is not None else None):
                news = await self._news.get()
        except TimeoutError:
            left = (wait.until - datetime.now(UTC)).total_seconds() if wait is not None else 0.0
            self._progress.show(f"Trying again in {length_words(max(0.0, left))}.")
        except asyncio.CancelledError:  # from a ctrl+c before the handler was set
            self._interrupt()
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        else:
            await self._take_in(news)

    async def _take_in(self, save: Save | None) -> None:
        bulk = self._bulk
        if save is None:
            if bulk is not None and bulk.held_by is not None and not bulk.has_ended:
                await self._decide(bulk, bulk.held_by)
        elif (before := self._last.get(save.number)) is not None:
            self._last[save.number] = save
            if not save.active:
                self._unended.discard(save.number)
                self._progress.clear()
                self._lines.print_end(save)
            elif save.wait is not None:
                self._print_wait(save.wait)
            elif bulk is None and save.step is not before.step:
                self._progress.clear()
                narrate(f"{save.step.value}…")
        if bulk is not None and can_rewrite_line() and self._news.empty() and self._unended:
            ended = len(self._last) - len(self._unended)
            self._progress.show(f"{ended} of {len(self._last)}" if ended else "…")

    def _print_wait(self, wait: Wait) -> None:
        """Report a wait, once for all saves that wait about as long: each has a time of its own."""
        if wait.until - self._waits_until >= timedelta(seconds=1):
            self._waits_until = wait.until
            self._progress.clear()
            narrate_wait(wait)

    async def _decide(self, bulk: Bulk, save: Save) -> None:
        """Go on or stop after a refusal that other changes may meet as well."""
        self._progress.clear()
        title = save.fault.title if save.fault is not None else "A change was refused"
        narrate(f"{title} (run {save.run_id}). {count_words(len(self._unended), 'run')} may be refused too.")
        goes_on = False
        if self._can_ask:
            self._question = asyncio.create_task(confirmed("Go on?"))
            with suppress(asyncio.CancelledError):
                goes_on = await self._question
        if goes_on:
            bulk.resume()
        elif not bulk.is_stopped:
            narrate("Stopped." if self._can_ask else "Stopped; --keep-going goes on after a refusal.")
            bulk.stop()

    def _interrupt(self) -> None:
        if not self._saves.active():
            return  # each has ended: nothing is left to stop
        self._progress.clear()
        if self._bulk is None or self._bulk.is_stopped:
            if self._ending is None:
                narrate("Stopping.")
                self._ending = asyncio.create_task(self._saves.abandon())
            return
        narrate("Stopping after the requests in progress; ctrl+c again stops at once.")
        self._bulk.stop()
        if self._question is not None:
            self._question.cancel()
