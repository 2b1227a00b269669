"""Why runs failed: the causes in the runs of the list, and the runs of one of them.

Invariant: results are read in the background while the causes are open, and no longer. A cause is shown and marked
within the runs that the list showed when the causes were opened.
"""

from __future__ import annotations

from functools import partial

from runtui.services.refresh import Progress
from runtui.services.results import runs_of_cause
from runtui.services.store import RunQuery
from runtui.tui.features.feature import Feature, Features
from runtui.tui.screens.triage.causes import CausesView
from runtui.tui.words import cause_words


class Explaining(Feature):
    """The place of the causes, and the way from one to its runs and back."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.view = CausesView(self._workspace, self._runs.table)
        self.place = self._chrome.place(self.view)
        """The screen of the causes; it stays mounted."""

    def start(self) -> None:
        """Follow what is read, and read what a listing brought."""
        carry = self._chrome.carry
        carry(self._workspace.results.changed.subscribe, self._results_changed, only_newest=True)
        carry(self._workspace.refresh.changed.subscribe, self._listing_changed, only_newest=True)

    async def action_causes(self) -> None:
        """Show why tasks failed in the runs of the list, or close that."""
        if self._chrome.front is self.place:
            self.place.dismiss()
        else:
            await self._open(self._runs.shown)

    async def _open(self, query: RunQuery) -> None:
        await self._chrome.prepare(self.place)
        self.view.open(query)
        self._workspace.results.read_in_background(query)
        await self._chrome.open(self.place, self._left)

    async def _left(self, _answer: None) -> None:
        await self._workspace.results.stop()

    def _results_changed(self, _progress: object) -> None:
        """More was read, or it cannot be."""
        if self.place in self._chrome.app.screen_stack:
            self.view.reload()
            self._chrome.refresh()

    def _listing_changed(self, progress: Progress) -> None:
        """Runs may be others now."""
        if not progress.listing and self.place in self._chrome.app.screen_stack:
            self._workspace.results.read_in_background(self.view.shown)
            self.view.reload()

    def action_cause_runs(self) -> None:
        """Show the runs of the cause under the cursor in the list; one step back from there leads here again."""
        if (cause := self.view.cause) is None:
            return
        query = self.view.shown
        found = runs_of_cause(query, cause).filter
        self.place.dismiss()
        if found is not None:
            self._runs.filter_by(found.text, cause_words.in_words(cause), partial(self._open, query))
