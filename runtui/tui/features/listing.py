"""The list while it is read: reading the runs, why the list is incomplete, and the end of watched runs.

Invariant: the reason for an incomplete list is reported once; the first line continues to show it. Watching sends no
requests: it follows the store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from runtui.domain.rows import status_look
from runtui.domain.text import count_words, visible
from runtui.errors import RuntuiError
from runtui.keys.actions import key_of
from runtui.services.store.store import Store
from runtui.tui.features.feature import Feature, Features
from runtui.tui.resources import RUNS
from runtui.tui.screens.runs import READING_RUNS
from runtui.tui.widgets.line_table import CLOCK_SECONDS

if TYPE_CHECKING:
    from runtui.services.refresh import Progress

MAX_WATCHED: Final = 100
"""The most watched runs, because each is looked up whenever the store changes."""


class Listing(Feature):
    """The runs of the server, read repeatedly."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.is_read = asyncio.Event()
        """Set once the runs were listed for the first time."""
        self._incomplete = ""
        """The message about the last listing, while that is incomplete."""
        self._reads = READING_RUNS
        """What the empty list says about the first listing; "" once that has ended."""

    def start(self) -> None:
        self.listen(self._workspace.store.changed, lambda _ids: self._runs.drawing.ask(), only_newest=True)
        self.listen(self._workspace.store.results_read, self._results_read, only_newest=True)
        self.listen(self._workspace.store.changed, self._tell_of_ends)
        self.listen(self._workspace.progressed, self._listing_changed, only_newest=True)
        self.listen(self._workspace.exchanged, self._chrome.panel.exchange_ended, only_newest=True)
        self._chrome.app.set_interval(CLOCK_SECONDS, self.tick)
        self.listen(self._workspace.preferences.failed, self._show_lost)

    def tick(self) -> None:
        """Show what the passing of time alone changes: runs become stuck, days end, and tokens expire."""
        self._chrome.count_problems()
        self._chrome.show_headline()

    def _show_lost(self, fault: RuntuiError) -> None:
        self._chrome.set_status(str(fault), "warning")

    def show_stored(self) -> None:
        """Show the stored runs, or say why the earlier filter cannot be restored."""
        self._runs.reload()
        if (fault := self._workspace.preferences.fault) is not None:
            self._show_lost(fault)
        elif why := self._runs.why_unfiltered:
            self._chrome.set_status(f"The filter of the last session cannot be used here: {why}", "warning")
        if (progress := self._workspace.progress) is not None:
            self._listing_changed(progress)
        else:
            self._chrome.show_headline()

    def _results_read(self, _run_id: str) -> None:
        if self._runs.shown.reads_results:
            self._runs.drawing.ask()

    def _listing_changed(self, progress: Progress) -> None:
        if not progress.listing and (progress.finished_at or progress.why_incomplete):
            self._listing_ended(progress)
        elif progress.finished_at is None and (progress.waiting or READING_RUNS) != self._reads:
            self._reads = progress.waiting or READING_RUNS
            self._runs.say_when_empty(self._reads)
        self._chrome.show_headline()

    def _listing_ended(self, progress: Progress) -> None:
        """Say why the list is incomplete, as long as that reason holds."""
        self._reads, why = "", progress.why_incomplete
        incomplete = self._in_words(why, "The list is incomplete. ") if why is not None else ""
        next_step = f"{key_of('overview')} shows the workflows, and when each is to run next."
        self._runs.say_when_empty(f"{RUNS.empty} {next_step}" if why is None else self._in_words(why))
        self._runs.first_rows.set()
        is_news = bool(incomplete) and incomplete != self._incomplete
        self._incomplete = incomplete
        if progress.fault is not None or is_news:
            self._chrome.set_status(incomplete, "error", lambda: self._incomplete == incomplete)
        if progress.fault is None:
            self._runs.reload()
            self._tell_of_ends(None)  # another runtui may have stored runs that are new here
            self.is_read.set()

    def _in_words(self, fault: RuntuiError, before: str = "") -> str:
        """Return the reason after `before`, with the next step ahead of what may be cut; if a person is needed, only
        that."""
        state = sign_in.state if (sign_in := self._workspace.sign_in) is not None and sign_in.is_person else None
        if state is None or state.needs_person is None:
            return " ".join(filter(None, (f"{before}{fault.title}.", fault.hint, fault.message)))
        words = "Sign in to list runs" if state.account is None else state.needs_person.title
        return f"{words} ({key_of('sign_in')})."

    # W: watched runs

    def action_watch(self) -> None:
        """Report the end of the run, or of each marked run; if all that go on are watched, stop watching."""
        run_id = self._chrome.pin_run()
        marked = self._runs.table.marks if self._chrome.front.view is self._runs else ()
        if not marked and self._chrome.stored_run(run_id or "") is None:
            return
        chosen = set(marked) or {run_id or ""}
        watched, store = self._runs.watched, self._workspace.store
        going_on = {run_id for run_id in chosen if _end_of(store, run_id) == ""}
        if going_on and going_on <= watched:
            watched -= going_on
            words = "No longer watched."
        elif len(watched | going_on) > MAX_WATCHED:
            self._chrome.set_status(f"At most {MAX_WATCHED} runs are watched.", "warning")
            return
        else:
            watched |= going_on
            words = _watching_words(len(going_on), len(chosen))
        self._chrome.set_status(words)
        self._runs.drawing.ask()

    def _tell_of_ends(self, changed: frozenset[str] | None) -> None:
        """Ring the bell once for the watched runs that have ended."""
        watched, store = self._runs.watched, self._workspace.store
        run_ids = sorted(watched if changed is None else watched & changed)
        ended = {run_id: words for run_id in run_ids if (words := _end_of(store, run_id))}
        if not ended:
            return
        watched.difference_update(ended)
        (first, *others) = ended.values()
        more = f" {count_words(len(others), 'more watched run')} ended too." if others else ""
        self._chrome.set_status(f"{first}{more}", "warning")
        self._runs.drawing.ask()
        if self._workspace.settings.bell:
            self._chrome.app.bell()

    def show_runs(self, filter_text: str) -> None:
        """Bring the list to the front with only these runs, or with all if it shows these already."""
        is_shown = self._chrome.front.view is self._runs and self._runs.filter_text == filter_text
        self._chrome.go_to_list()
        self._runs.filter_by("" if is_shown else filter_text)

    def action_refresh(self) -> None:
        self._workspace.refresh.now()

    def action_refresh_all(self) -> None:
        self._workspace.refresh.now(full=True)

    def action_pause(self) -> None:
        self._workspace.refresh.toggle_pause()


def _end_of(store: Store, run_id: str) -> str:
    """Return a sentence about the end of a run; empty while it has not ended."""
    if (stored := store.get(run_id)) is None:
        return "A watched run is no longer listed."
    row = stored.raw
    look = status_look(str(row.get("processingStatus")))
    if not look.has_ended:
        return ""
    failed, users = row.get("failedUsersCount"), row.get("totalUsersCount")
    of_users = f", {failed} of {users} users failed" if failed else ""
    return f"{visible(stored.workflow_name or run_id)} has ended: {look.word}{of_users}."


def _watching_words(watched: int, chosen: int) -> str:
    if not watched:
        return "This run has already ended." if chosen == 1 else "These runs have already ended."
    what = "the run until it ends" if watched == 1 else f"{watched} runs until they end"
    more = f"; {chosen - watched} ended already" if chosen > watched else ""
    return f"Watching {what}{more}."
