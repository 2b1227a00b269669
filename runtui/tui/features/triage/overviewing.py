"""The overview: each workflow with its schedule, the results of its runs, a heat map of its days, and its runs.

Invariant: it is drawn only from the store, which a thread reads, and follows it while it is open. The cursor is on a
workflow, or on one of its days if a person has gone there; both stay when the rows are read again.
"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from functools import partial
from typing import Final

from rich.cells import cell_len
from textual import events, on
from textual.content import Content
from textual.worker import Worker

from runtui.domain.text import visible
from runtui.domain.times import day_text, now_ticks, to_datetime
from runtui.domain.triage.workflows import (
    HISTORY_DAYS,
    WORKFLOW_COLUMNS,
    WorkflowHistory,
    day_key,
    map_days,
    runs_filter,
    with_heat_map,
    worst_first,
)
from runtui.errors import RuntuiError
from runtui.services.workspace import Workspace
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.listing import Listing
from runtui.tui.keys import blocks_keys
from runtui.tui.resources import Resource, in_memory
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.questions import Choice, Picker
from runtui.tui.screens.runs import unread
from runtui.tui.screens.view import ActionView, Throttle
from runtui.tui.widgets.line_table import CLOCK_SECONDS
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.widgets.side_panel import none_selected
from runtui.tui.words.triage_words import day_title, workflow_page

WORKFLOWS: Final[Resource[WorkflowHistory, str]] = in_memory(
    "Workflows", "workflow", WORKFLOW_COLUMNS, lambda row: row.workflow.id, "There are no workflows."
)


class OverviewView(ActionView[None]):
    """The workflows of the tenant."""

    scope = "overview"
    list: ReadList[WorkflowHistory, str]

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.list = ReadList(
            WORKFLOWS, name="overview", with_more=lambda columns: with_heat_map(columns, self._days, _today())
        )
        self._longest = 0
        """The cells of the longest name."""
        self.back: int | None = None
        """How many days before today the cursor is; None if it is on the whole workflow."""
        self.drawing = Throttle(self, workspace.foreground, partial(self._read, "overview"))
        """Redraws the list when runs or workflows change."""

    @property
    def day(self) -> date | None:
        """The day under the cursor, in the local zone."""
        return None if self.back is None else _today() - timedelta(days=self.back)

    @property
    def runs_filter(self) -> str:
        """The filter of the list for the runs under the cursor; empty without a workflow."""
        if self.list.row is None:
            return ""
        return runs_filter(self.list.row.workflow, [history.workflow for history in self.list.rows], self.day)

    @property
    def in_words(self) -> str:
        """Return that filter in words, for the title of the list."""
        name = self.list.row.workflow.name if self.list.row is not None else ""
        return f"{name}, {day_text(self.day)}" if self.day is not None else name

    def open(self) -> None:
        """Read the workflows. Those of an earlier visit are shown meanwhile; without any, the next key waits."""
        self._read("overview" if self.list.rows else blocks_keys("overview"))

    def _read(self, group: str) -> Worker[None]:
        return self.run_worker(self._show, group=group, exclusive=True, description="read the overview")

    async def _show(self) -> None:
        try:
            found = await asyncio.to_thread(self._workspace.store.histories, HISTORY_DAYS)
        except RuntuiError as error:
            self.list.put((), str(error))
            return
        self._longest = max((cell_len(visible(row.workflow.name)) for row in found), default=0)
        self.list.set_columns(self.list.arranged())
        self.list.put(worst_first(found, now_ticks()), unread(self._workspace))
        # They are read completely: from the first row on, the cursor belongs to its workflow.
        self.list.table.row_under_cursor(pin=True)
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        """Show more or fewer days to fit the width."""
        self.list.set_columns(self.list.arranged())
        if self.back is not None:
            self._go_to(min(self.back, self._days - 1))

    @property
    def _days(self) -> int:
        """Return how many days the heat map has; the names of the workflows may need their room."""
        return map_days(self.size.width, self._longest)

    def title(self) -> Content:
        title = self.list.heading()
        if self.list.row is None or self.day is None or self.back is None:
            return title
        return Content.assemble(title, f"  {day_title(self.day, self.list.row.days[-1 - self.back])}")

    def show_in(self, panel: Panel) -> None:
        if self.list.row is None:
            panel.show_page(none_selected("workflow"))
        else:
            panel.show_page(workflow_page(self.list.row, now_ticks()))

    # Days

    def action_earlier_day(self) -> None:
        """Go from all days to today, then to the day before."""
        self._go_to(0 if self.back is None else min(self.back + 1, self._days - 1))

    def action_later_day(self) -> None:
        """Go to the day after; from today to all days."""
        if self.back is not None:
            self._go_to(self.back - 1 if self.back else None)

    def _go_to(self, back: int | None) -> None:
        self.back = back
        self.list.table.move_to_cell("" if back is None else day_key(back))
        self.post_message(self.Changed())

    def action_leave_view(self) -> None:
        """Go one step back: to all days, then clear the filter, then go to the earlier screen."""
        if self.back is not None:
            self._go_to(None)
        elif not self.list.clear():
            self.dismiss()

    @on(events.Click)
    async def _clicked(self, event: events.Click) -> None:
        """One click goes to a workflow, or to the day under the mouse; two show the runs."""
        if event.widget is not self.list.table:
            return
        column = self.list.table.arrangement.column_at(event.x, self.list.table.size.width)
        self._go_to(next((back for back in range(self._days) if column and day_key(back) == column.key), None))
        if event.chain == 2:
            await self.perform("workflow_runs")


def _today() -> date:
    return to_datetime(now_ticks()).date()


class Overviewing(Feature):
    """The screen of the overview."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.view = OverviewView(self._workspace)
        self.screen = self._chrome.install(self.view)

    def start(self) -> None:
        self.listen(self._workspace.store.changed, self.draw_again, only_newest=True)
        self.listen(self._workspace.refresh.changed, self.draw_again, only_newest=True)
        self._chrome.app.set_interval(CLOCK_SECONDS, self.draw_again)

    async def action_overview(self) -> None:
        if self._chrome.front is self.screen:
            self.screen.dismiss()
        else:
            await self._open()

    async def _open(self) -> None:
        await self._chrome.open(self.screen, fill=self.view.open)

    async def action_workflow_runs(self) -> None:
        """Show the runs under the cursor in the list; one step back from there returns here."""
        if filter_text := self.view.runs_filter:
            self._chrome.go_to_list()
            self._runs.filter_by(filter_text, self.view.in_words, self._open)

    async def action_counts(self) -> None:
        counts = self._chrome.problems.counts
        if not counts:
            self._chrome.set_status("No run is in trouble.")
            return
        choices = [Choice(count.filter, f"{count.glyph} {count.runs} {count.word}", count.filter) for count in counts]
        question = Picker("Show runs that are", choices, asked_by="counts")
        await self._chrome.ask(question, self._features[Listing].show_runs)

    def draw_again(self, _ids: object = None) -> None:
        """Count again, if the overview is visible."""
        if self.screen.is_open:
            self.view.drawing.ask()
