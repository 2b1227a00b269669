"""One change from a draft to an exit code: show it, ask, submit it, follow it, tell what became of it.

Invariant: nothing is sent without a yes, typed or by `--yes`; a dry run sends no write and leaves no entry in the
journal. Standard output carries the result and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from runtui.domain.draft import Draft
from runtui.domain.text import visible
from runtui.errors import ExitCode, UsageError
from runtui.graph.exchange import Outcome
from runtui.graph.retry import length_words, wait_words
from runtui.graph.root import same_run
from runtui.headless import telling
from runtui.headless.console import PassingLine, can_ask, confirmed, count_seconds, keep_exit_code, narrate
from runtui.services.workspace import Workspace
from runtui.services.write import Save, Step
from runtui.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a command that writes goes about it."""

    dry_run: bool = False
    yes: bool = False
    """Whether the yes was given on the command line."""
    as_json: bool = False


def check_consent(settings: Settings, manner: Manner) -> None:
    """Refuse at once what would be refused at the end.

    Raises:
        UsageError: the session is read-only, or nobody can say yes.
    """
    if manner.dry_run:
        return
    if settings.read_only:
        hint = "--write opens a read-only profile for changes."
        raise UsageError("This session is read-only", "Nothing was sent.", hint)
    if not manner.yes and not can_ask():
        raise UsageError(
            "Nobody can be asked",
            "Without a terminal a change needs --yes. Nothing was sent.",
            "--dry-run shows what would be sent.",
        )


@contextmanager
def nothing_sent_if_cancelled() -> Iterator[None]:
    """Where ctrl+c comes before anything was sent, say so."""
    try:
        yield
    except asyncio.CancelledError:
        narrate("Nothing was sent.")
        raise


async def settle_earlier(workspace: Workspace, run_id: str) -> None:
    """Read back what earlier changes left unknown, and say what came of it where it matters."""
    for entry in await workspace.reconciler.check_all(before_change_of=run_id):
        if entry.is_settled:
            narrate(f"Entry {entry.number} was unknown: read back, the run {entry.run_id} shows that it is done.")
        elif same_run(entry.run_id, run_id):
            narrate(f"Entry {entry.number}, a change of this run, is still unknown: it may yet be carried out.")
    if workspace.reconciler.fault is not None:
        narrate(str(workspace.reconciler.fault))


async def change(workspace: Workspace, draft: Draft, manner: Manner, *, undoes: int | None = None) -> int:
    """Carry a draft out as far as it is wanted; the exit code.

    Raises:
        UsageError: the draft is not fit to be sent, or the session is read-only.
    """
    if not draft.changes():
        message = "The run has these values already. Nothing was sent."
        return await _tell(draft, Outcome.DONE, message, manner)
    with nothing_sent_if_cancelled():
        method, url = workspace.client.write_target(draft.workflow_id, draft.run_id)
        facts = [("run", draft.run_id), ("tenant", workspace.settings.tenant), ("request", f"{method} {url}")]
        if undoes is not None:
            facts.append(("undoes", f"entry {undoes}"))
        narrate(*telling.review(draft, facts))
        if manner.dry_run:
            _print_request(draft, method, url, manner)
            return int(ExitCode.DONE)
        if not manner.yes and not await confirmed("Send this change?"):
            return await _tell(draft, Outcome.NOT_DONE, "Not confirmed. Nothing was sent.", manner)
    save = await _followed(workspace, draft, undoes)
    return await _tell(draft, save.outcome or Outcome.UNKNOWN, telling.message_of(save), manner, save)


def _print_request(draft: Draft, method: str, url: str, manner: Manner) -> None:
    if manner.as_json:
        print(json.dumps({"method": method, "url": url, "body": draft.body()}))
    else:
        print(f"{method} {visible(url)}\n{draft.body_text()}")


async def _tell(draft: Draft, outcome: Outcome, message: str, manner: Manner, save: Save | None = None) -> int:
    found = telling.result(draft, outcome, message, save)
    if manner.as_json:
        line = json.dumps(found)
    else:
        entry = f" (entry {found['entry']})" if found["entry"] is not None else ""
        line = f"{outcome.value}{entry}: {visible(message)}"
    # A reader that is gone, or ctrl+c from here on, must not change what the exit code tells.
    with suppress(BrokenPipeError):
        await keep_exit_code()
        print(line)
        sys.stdout.flush()
    return int(telling.EXIT_CODES[outcome])


async def _followed(workspace: Workspace, draft: Draft, undoes: int | None) -> Save:
    """Submit a draft and follow it to its end; when cancelled, to what is known by then."""
    follower = _Follower()
    unsubscribe = workspace.saves.changed.subscribe(follower.hear)
    try:
        workspace.saves.submit(draft, undoes=undoes)
        while follower.save is None or follower.save.active:
            await follower.next_news()
    except asyncio.CancelledError:
        narrate("Stopping.")
        await workspace.saves.abandon()
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
    finally:
        unsubscribe()
        follower.end()
    assert follower.save is not None  # noqa: S101 - `submit` announces before it returns
    return follower.save


class _Follower:
    """Narrates one save, step by step, with a countdown while it waits."""

    def __init__(self) -> None:
        self.save: Save | None = None
        self._news = asyncio.Event()
        self._line = PassingLine()

    def hear(self, save: Save) -> None:
        """The save went on."""
        if self.save is None or save.step is not self.save.step:
            self._line.clear()
            if save.step is Step.PAUSED and save.exchange is not None and save.resumes_at is not None:
                now = datetime.now(UTC)
                # Rounded up, or the moment since it began would make it shorter than what the server asks for.
                narrate(wait_words(save.exchange, ceil((save.resumes_at - now).total_seconds()), now))
            elif save.step not in (Step.WAITING, Step.ENDED):
                narrate(f"{save.step.value}…")
        self.save = save
        self._news.set()

    async def next_news(self) -> None:
        """Wait for the next step, or for the next line of a countdown."""
        resumes_at = self.save.resumes_at if self.save is not None and self.save.step is Step.PAUSED else None
        try:
            async with asyncio.timeout(None if resumes_at is None else count_seconds()):
                await self._news.wait()
        except TimeoutError:
            if resumes_at is not None:
                left = (resumes_at - datetime.now(UTC)).total_seconds()
                self._line.show(f"Trying again in {length_words(max(0.0, left))}.")
        self._news.clear()

    def end(self) -> None:
        """Leave no half a line behind."""
        self._line.clear()
