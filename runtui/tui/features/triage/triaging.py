"""Works off a queue: the next unhandled problem, and a person's marks on a run: handled, snoozed, a note.

Invariant: nothing of this is sent to the service. A key is done once the journal has its mark and the list shows it;
marks of another runtui arrive within LOOK_SECONDS. No problem is skipped: if the run that was just handled has left the
list, the next one is counted from its position.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from textual.worker import Worker

from runtui.domain.filters import all_of
from runtui.domain.text import count_words
from runtui.domain.times import moment_text, now_ticks
from runtui.domain.triage.memory import LONGEST_NOTE, NO_TIME, SNOOZES, TriageState, snooze_end
from runtui.domain.triage.standing import standing
from runtui.domain.views import UNHANDLED_PROBLEMS
from runtui.errors import RuntuiError
from runtui.keys.actions import key_of
from runtui.services.store.store import EVERY_RUN, MANY_RUNS, RunQuery
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import blocks_keys, is_at_work

_logger: Final = logging.getLogger("runtui.triage")

LOOK_SECONDS: Final = 20.0
"""Seconds between two checks for marks of others and for ended snoozes."""

_TRIAGE: Final = blocks_keys("triage")
"""The group of the workers that read and write marks: the next key waits for them."""

_TYPED: Final = ""
"""The choice to type a time instead of a usual snooze."""


class _Acted(NamedTuple):
    """The last run that a person marked, and the line of the list with the cursor then."""

    run_id: str
    line: int


class Triaging(Feature):
    """The queue of a shift."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._acted: _Acted | None = None
        self._followed = now_ticks()
        """When ended snoozes were last checked."""
        self._check: Worker[None] | None = None
        """The last check, which may be under way."""

    def start(self) -> None:
        self._chrome.app.set_interval(LOOK_SECONDS, self.follow)
        self.follow()

    # n: the next problem

    def action_next_problem(self) -> None:
        """Go to the next unhandled problem of the list; if a run is open, open it."""
        self.in_worker(self._go_to_next(), _TRIAGE)

    async def _go_to_next(self) -> None:
        table, view, shown = self._runs.table, self._chrome.front.view, self._runs.shown
        origin, acted = view.run_id, self._acted
        if view is self._runs and acted is not None and acted.line == table.cursor and not table.finds(acted.run_id):
            origin = acted.run_id
        self._acted = None
        query = self._queue
        run_id = await asyncio.to_thread(self._workspace.triage.next_of, query, origin)
        if run_id is None:
            self._chrome.set_status(await asyncio.to_thread(self._nothing_left), "success")
            return
        line = await asyncio.to_thread(self._workspace.store.position, shown, run_id)
        table.move_to(table.cursor if line is None else line)
        if view.scope in ("users", "tasks"):
            from runtui.tui.features.opening import Opening

            await self._features[Opening].open_run(run_id)
        words = _left_words(await asyncio.to_thread(self._count_left), key_of("handled"), "marks this run as handled")
        self._chrome.front.set_status(words)

    @property
    def _queue(self) -> RunQuery:
        """Return the query for the unhandled problems of the list, in its order."""
        shown = self._runs.shown
        return shown._replace(filter=all_of(shown.filter, UNHANDLED_PROBLEMS, now_ticks()))

    def _count_left(self) -> int | None:
        """Return how many problems are left; None if counting them would delay a key."""
        store = self._workspace.store
        return store.count(self._queue) if store.count(EVERY_RUN) < MANY_RUNS else None

    def _nothing_left(self) -> str:
        words = "Nothing left to do here: every problem in the list is handled or snoozed."
        if self._runs.filter_text:
            others = self._workspace.store.count(RunQuery(all_of(None, UNHANDLED_PROBLEMS, now_ticks())))
            words += f" {_problems(others)} outside this filter." if others else ""
        return words

    # Marks of a person

    def action_handled(self) -> None:
        self.in_worker(self._toggle(self._targets()), _TRIAGE)

    async def _toggle(self, run_ids: Sequence[str]) -> None:
        rows, now = await asyncio.to_thread(self._workspace.triage.rows, run_ids), now_ticks()
        is_undo = all(standing(row, now) == "handled" for row in rows)
        words = "No longer handled" if is_undo else "Handled"
        await self._mark(run_ids, "" if is_undo else "handled", words)

    async def action_snooze(self) -> None:
        from runtui.tui.screens.questions import Choice, Picker

        run_ids = self._targets()
        choices = [Choice(typed, words) for typed, words in SNOOZES.items()]
        choices.append(Choice(_TYPED, "another time…"))
        about = "It comes back then, or at once if it gets worse."
        question = Picker(f"Snooze {self._named(run_ids)} for", choices, about=about)
        await self._chrome.ask(question, partial(self._snooze_for, run_ids))

    async def _snooze_for(self, run_ids: Sequence[str], typed: str) -> None:
        if typed == _TYPED:
            from runtui.tui.screens.questions import LineQuestion

            title = f"Snooze {self._named(run_ids)} until"
            about = "A length such as 90m, 2h or 3d, or a time such as tomorrow 14:00"
            question = LineQuestion(title, about, "", lambda text: snooze_end(text, now_ticks()))
            await self._chrome.ask(question, partial(self._snooze_for, run_ids))
            return
        until = snooze_end(typed, now_ticks())
        end = "it changes" if until == NO_TIME else moment_text(until, now_ticks())
        self.in_worker(self._mark(run_ids, "snoozed", f"Snoozed until {end}", until), _TRIAGE)

    async def _mark(self, run_ids: Sequence[str], state: TriageState, words: str, until: int = NO_TIME) -> None:
        self._acted = _Acted(run_ids[0], self._runs.table.cursor) if len(run_ids) == 1 else None
        marked = await asyncio.to_thread(self._workspace.triage.set_state, run_ids, state, self._who, until=until)
        if not marked:
            self._say_gone(run_ids)
            return
        self._show(run_ids)
        left = _left_words(await asyncio.to_thread(self._count_left), key_of("next_problem"), "goes to the next one")
        self._chrome.set_status(f"{words}: {self._named(marked)}. {left}", "success")

    async def action_note(self) -> None:
        from runtui.tui.screens.questions import LineQuestion

        run_ids = self._targets()
        rows = await asyncio.to_thread(self._workspace.triage.rows, run_ids)
        if not rows:
            self._say_gone(run_ids)
            return
        notes = {row.triage.note if row.triage is not None else "" for row in rows}
        differ = len(notes) > 1
        empty = "keep each note" if differ else "remove the note"
        about = f"One line, for you and the next shift; leave it empty to {empty}"
        question = LineQuestion(f"Note to {self._named(run_ids)}", about, "" if differ else notes.pop(), _check_note)

        def answered(text: str) -> None:
            if text or not differ:
                self.in_worker(self._note(run_ids, text), _TRIAGE)

        await self._chrome.ask(question, answered)

    async def _note(self, run_ids: Sequence[str], text: str) -> None:
        await asyncio.to_thread(self._workspace.triage.note, run_ids, text, self._who)
        self._show(run_ids)
        words, front = "Note kept" if text else "Note removed", self._chrome.front
        here = front.view.run_id
        front.set_status(f"{words}: {self._named(run_ids)}.", "success", lambda: front.view.run_id == here)

    def _targets(self) -> list[str]:
        """The marked runs if the list is in front, else the current run."""
        if self._chrome.front.view is self._runs and self._runs.table.marks:
            return sorted(self._runs.table.marks)
        run_id = self._chrome.pin_run()
        return [run_id] if run_id is not None else []

    def _say_gone(self, run_ids: Sequence[str]) -> None:
        are = "This run is" if len(run_ids) == 1 else "These runs are"
        self._chrome.front.set_status(f"{are} no longer in the list.", "warning")

    def _named(self, run_ids: Sequence[str]) -> str:
        """Name one run by its workflow, several by their number."""
        stored = self._workspace.store.get(run_ids[0]) if len(run_ids) == 1 else None
        return stored.workflow_name if stored is not None else count_words(len(run_ids), "run")

    @property
    def _who(self) -> str:
        """Return who makes the mark, as far as that is known without a request."""
        sign_in = self._workspace.sign_in
        account = sign_in.state.account if sign_in is not None else None
        return account.username if account is not None else ""

    def _show(self, run_ids: Sequence[str] = ()) -> None:
        """Draw the list at once, because the next key may act on the row that comes under the cursor; clear the marks
        of the runs that were just acted on."""
        self._runs.table.set_marks(self._runs.table.marks.difference(run_ids))
        self._runs.reload()
        self._chrome.panel.read_again()

    # Marks of others, and ended snoozes

    def follow(self) -> None:
        """Take over what another runtui wrote, and report ended snoozes, unless the check before is not done."""
        if self._check is None or not is_at_work(self._check):
            self._check = self.in_worker(self._follow(), "follow the triage memory")

    async def _follow(self) -> None:
        try:
            is_news = await asyncio.to_thread(self._workspace.triage.follow)
        except RuntuiError as error:
            # Drafts and reconciler report an unreadable journal; the list continues with what was known.
            _logger.info("the triage memory was not read: %s", error)
            return
        now = now_ticks()
        ended = await asyncio.to_thread(self._workspace.triage.ended, self._followed, now)
        self._followed = now
        if is_news or ended:
            self._show()
        if ended:
            words = count_words(ended, "snooze")
            self._chrome.set_status(f"{words} ended; {key_of('next_problem')} goes to the next problem.")


def _check_note(text: str) -> None:
    if len(text) > LONGEST_NOTE:
        raise ValueError(f"A note has at most {LONGEST_NOTE} characters.")


def _left_words(left: int | None, key: str, does: str) -> str:
    if left == 0:
        return "Nothing left to do in this list."
    return f"{key} {does}." if left is None else f"{_problems(left)} left; {key} {does}."


def _problems(count: int) -> str:
    return count_words(count, "problem") if count else "no problems"
