"""Many changes from a command: the review, the question, a line for each as it ends, the exit code of the worst.

Invariant: nothing is sent without a yes, typed or by `--yes`. Where nobody is asked, a refusal that others may meet
stops the rest. Ctrl+c begins nothing new and waits for what is on the wire; once more, it waits for nothing.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from runtui.domain.bulk_draft import MOST_BY_KEY, SAME_ALREADY, BulkDraft
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome, Report, sentences
from runtui.domain.text import count_words, visible
from runtui.domain.triage.service_actions import Operation
from runtui.errors import ExitCode
from runtui.headless.changes import (
    EXIT_CODES,
    ChangeOptions,
    message_of,
    nothing_sent_if_cancelled,
    print_request,
    result_object,
)
from runtui.headless.console import (
    PassingLine,
    answer_to,
    confirmed,
    is_animated,
    keep_exit_code,
    narrate,
    print_result,
)
from runtui.headless.session import narrate_wait
from runtui.services.workspace import Workspace
from runtui.services.writing.bulk import Bulk
from runtui.services.writing.save import Save, Step

_WORKFLOW_CELLS = 30


async def send_many(workspace: Workspace, bulk: BulkDraft, names: Mapping[str, str], options: ChangeOptions) -> int:
    """Review, confirm and send some drafts, and print what became of each; the exit code of the worst.

    `names` are those of the workflows, by run id.

    Raises:
        UsageError: the session is read-only.
    """
    lines = _Lines(names, as_json=options.as_json or not sys.stdout.isatty())
    with nothing_sent_if_cancelled():
        narrate(*_review(workspace, bulk))
        if options.dry_run:
            lines.print_requests(workspace, bulk)
            return ExitCode.DONE
        if bulk.drafts and not options.yes and not await _is_confirmed(len(bulk.drafts)):
            narrate("Not confirmed. Nothing was sent.")
            return ExitCode.NOT_DONE
    lines.print_left_out(bulk)
    if bulk.drafts:
        sent = workspace.saves.submit_many(
            bulk.drafts, undoes=bulk.undoes, holds=not options.keep_going, why=options.reason
        )
        await _Follower(workspace, sent, lines, can_ask=not options.yes).follow()
    await keep_exit_code()
    return lines.exit_code


def _review(workspace: Workspace, bulk: BulkDraft) -> Iterator[str]:
    """How many runs, what changes from what to what by count, what is left out, what speaks against it."""
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
    if count <= MOST_BY_KEY:
        return await confirmed(f"Send {'this change' if count == 1 else f'these {count} changes'}?")
    return await answer_to(f"Type {count} to send: ") == str(count)


class _Lines:
    """What is printed of each run, and the worst of it."""

    def __init__(self, names: Mapping[str, str], *, as_json: bool) -> None:
        self._names = names
        self._as_json = as_json
        self.outcomes: Counter[Outcome] = Counter()
        self.unsent = 0
        """Changes that were stopped before they were sent."""

    @property
    def exit_code(self) -> int:
        """That of the worst outcome."""
        found = [EXIT_CODES[outcome] for outcome in EXIT_CODES if self.outcomes[outcome]]
        return int(found[-1] if found else ExitCode.DONE)

    def print_requests(self, workspace: Workspace, bulk: BulkDraft) -> None:
        for draft in bulk.drafts:
            print_request(draft, *workspace.client.target(draft), as_json=self._as_json, runId=draft.run_id)

    def print_left_out(self, bulk: BulkDraft) -> None:
        """What becomes of the runs that nothing is sent to."""
        for run_id, why in bulk.left_out.items():
            outcome = Outcome.DONE if why is SAME_ALREADY else Outcome.NOT_DONE
            self._print(Draft(run_id, "", {}), outcome, why.sentence)

    def print_end(self, save: Save) -> None:
        outcome = save.outcome or Outcome.UNKNOWN
        self.unsent += save.stopped and save.sent is None
        self._print(save.operation, outcome, message_of(save), save)

    def _print(self, draft: Operation, outcome: Outcome, message: str, save: Save | None = None) -> None:
        self.outcomes[outcome] += 1
        heading = (save.report if save is not None else Report(outcome=outcome)).heading
        if self._as_json:
            line = json.dumps(result_object(draft, outcome, sentences(heading, message), save))
        else:
            name = visible(self._names.get(draft.run_id, ""))
            line = "  ".join((f"{outcome.value:8}", visible(draft.run_id), name, visible(message))).rstrip()
        print_result(line)


class _Follower:
    """Follows a bulk change to its end, with whoever is at the terminal."""

    def __init__(self, workspace: Workspace, bulk: Bulk, lines: _Lines, *, can_ask: bool) -> None:
        self._saves = workspace.saves
        self._bulk = bulk
        self._lines = lines
        self._can_ask = can_ask
        self._news: asyncio.Queue[Save | None] = asyncio.Queue()
        """Saves as they go on; None: all have ended, or a refusal holds the rest."""
        self._progress = PassingLine()
        self._waits_until = datetime.min.replace(tzinfo=UTC)
        self._question: asyncio.Task[bool] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Print each end as it comes; returns when all have ended."""
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
            self._tell_wait(save)
        if is_animated() and self._news.empty() and not self._bulk.has_ended:
            ended = self._lines.outcomes.total()
            self._progress.show(f"{len(self._bulk.saves) - self._left} of {len(self._bulk.saves)}" if ended else "…")

    @property
    def _left(self) -> int:
        return sum(save.batch == self._bulk.batch for save in self._saves.active())

    def _tell_wait(self, save: Save) -> None:
        """Say once for all that wait for the same why nothing comes."""
        if save.resumes_at is None or save.exchange is None or save.resumes_at <= self._waits_until:
            return
        self._waits_until = save.resumes_at
        self._progress.clear()
        narrate_wait(save.resumes_at, save.exchange, save.asked_seconds)

    async def _decide(self, save: Save) -> None:
        """After a refusal that others may meet as well: go on, or stop."""
        self._progress.clear()
        title = save.fault.title if save.fault is not None else "A change was refused"
        narrate(f"{title} (run {save.run_id}). {count_words(self._left, 'run')} may meet the same.")
        goes_on = False
        if self._can_ask:
            self._question = asyncio.create_task(confirmed("Go on?"))
            with suppress(asyncio.CancelledError):
                goes_on = await self._question
        if goes_on:
            self._bulk.go_on()
        elif not self._bulk.is_stopped:
            narrate("Stopped." if self._can_ask else "Stopped; --keep-going goes on after a refusal.")
            self._bulk.stop()

    def _interrupt(self) -> None:
        self._progress.clear()
        if self._bulk.is_stopped:
            narrate("Stopping.")
            self._ending = asyncio.create_task(self._saves.abandon())
            return
        narrate("Stopping: what is on the wire is waited for; ctrl+c again waits for nothing.")
        self._bulk.stop()
        if self._question is not None:
            self._question.cancel()

    def _summary(self) -> str:
        outcomes, total = self._lines.outcomes, self._lines.outcomes.total()
        counted = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in EXIT_CODES if outcomes[outcome])
        unsent = f" {self._lines.unsent} stopped before they were sent." if self._lines.unsent else ""
        return f"{count_words(total, 'run')}: {counted}.{unsent}"
