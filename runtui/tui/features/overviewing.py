"""The tenant at a glance, and the way from there to the runs: from a count, a workflow, or one of its days.

Invariant: nothing is asked of the server here. While the overview is open it follows the store.
"""

from __future__ import annotations

from textual.content import Content

from runtui.tui.features.feature import Feature, Features
from runtui.tui.screens.overview import OverviewView
from runtui.tui.screens.picker import Choice, Picker
from runtui.tui.widgets.line_table import CLOCK_SECONDS


class Overviewing(Feature):
    """The overview's place."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.view = OverviewView(self._workspace.store)
        self.place = self._chrome.place(self.view)
        """The overview's screen; it stays mounted."""

    def start(self) -> None:
        """Follow what is stored, and the clock: runs get stuck and days end without a change of the store."""
        self._chrome.carry(self._workspace.store.changed.subscribe, self._draw_again, only_newest=True)
        self._chrome.app.set_interval(CLOCK_SECONDS, self.follow_clock)

    async def action_overview(self) -> None:
        """Show the workflows, or go back."""
        if self._chrome.front is self.place:
            self.place.dismiss()
        else:
            await self._open()

    async def _open(self) -> None:
        await self._chrome.prepare(self.place)
        self.view.open()
        await self._chrome.open(self.place)

    async def action_workflow_runs(self) -> None:
        """Show the runs under the cursor in the list; one step back from there leads here again."""
        if filter_text := self.view.filter_text:
            self._chrome.go_back_to(self._runs.frame)
            self._runs.filter_by(filter_text, self.view.in_words, self._open)

    async def action_counts(self) -> None:
        """Ask which of the counts of the strip is meant, and show its runs in the list."""
        counts = self._chrome.trouble.counts
        if not counts:
            self._chrome.set_status("No run is in trouble.")
            return

        async def chosen(filter_text: str | None) -> None:
            if filter_text is not None:
                await self._chrome.show_runs(filter_text)

        choices = [Choice(count.filter, f"{count.glyph} {count.runs} {count.word}", count.filter) for count in counts]
        await self._chrome.ask(Picker("counts", Content.styled("Show runs that are", "bold"), choices), chosen)

    def follow_clock(self) -> None:
        """Count again what counts from now."""
        self._chrome.show_trouble()
        self._draw_again()

    def _draw_again(self, _ids: object = None) -> None:
        if self.place in self._chrome.app.screen_stack:
            self.view.drawing.ask()
