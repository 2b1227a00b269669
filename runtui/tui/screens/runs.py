"""The list of runs: filter, order, columns, cursor and marks.

Invariant: cursor and marks are run ids. An invalid filter leaves the list unchanged and says what is wrong. A slow
query is counted in a thread before its rows are drawn; of several pending queries, only the last is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from threading import Event
from typing import Final, NamedTuple

from textual.content import Content
from textual.worker import Worker

from runtui.domain.columns import Order
from runtui.domain.filters import FilterError
from runtui.domain.rows import RunRow
from runtui.domain.views import ListSettings, view_of, without_filter
from runtui.graph.root import run_key
from runtui.services.store.store import EVERY_RUN, FIRST_ROWS, RunQuery, RunRows, cells_of
from runtui.services.workspace import Workspace
from runtui.tui.keys import blocks_keys
from runtui.tui.resources import DRAFT_KEPT, OUTCOME_UNKNOWN, RUNS, SAVING, WATCHED, RowFlag, run_filter, triage_flag
from runtui.tui.screens.frame import Chrome
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView, Throttle
from runtui.tui.text import ELLIPSIS, content
from runtui.tui.widgets.chrome import is_counted
from runtui.tui.widgets.filter_bar import History
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.row_list import RowList
from runtui.tui.widgets.side_panel import none_selected

_COUNTING: Final = blocks_keys("counting")
_COUNTING_THE_REST: Final = "counting the rest"

READING_RUNS: Final = "Reading the runs…"
"""Shown instead of rows until the first are read."""


def unread(workspace: Workspace) -> str | None:
    """Return the text that a list made from runs shows until any run is read; None from then on."""
    progress = workspace.progress
    if is_counted(workspace.store.count(EVERY_RUN), progress):
        return None
    return READING_RUNS if progress is None or progress.why_incomplete is None else str(progress.why_incomplete)


class TemporaryFilter(NamedTuple):
    """A filter that another screen asked for, with the way back to that screen."""

    text: str
    words: str
    """The meaning of the filter, for the title."""
    before: str
    """The person's own filter before this one."""
    go_back: Callable[[], Awaitable[None]]


class RunsView(ActionView[None]):
    """The list of runs."""

    scope = "runs"
    changes_marked = True
    opens = "open_run"
    list: RowList[RunRow, str]
    first_rows: asyncio.Event
    why_unfiltered = ""
    """The kept filter, if it is invalid; else empty."""

    def __init__(self, chrome: Chrome) -> None:
        super().__init__()
        self._chrome = chrome
        self._workspace = workspace = chrome.workspace
        self._store = workspace.store
        self.list = RowList(
            RUNS,
            self._flag,
            name="runs",
            asked=partial(self._count_and_draw, keep_line=False),
            count_values=self._store.value_counts,
            history=History(workspace.preferences),
        )
        self._asked_for: TemporaryFilter | None = None
        """The last filter that another screen asked for."""
        self.watched: set[str] = set()
        """The ids of the runs that ring the bell when they end."""
        self._empty_words = READING_RUNS
        self.first_rows = asyncio.Event()
        self.drawing = Throttle(self, workspace.foreground, self.reload)
        """Redraws after rows have changed: at once for the first change, once a second while many change."""
        kept = workspace.preferences.kept.runs
        try:
            found = run_filter(kept.filter)
        except FilterError:
            self.why_unfiltered, kept, found = kept.filter, kept._replace(filter=""), None
        listed = self.list
        listed.filter_text, listed.filter, listed.chosen = kept.filter, found, kept.columns
        listed.order = Order(kept.sort, kept.descending)
        self.shown = RunQuery(found, *listed.order)
        """The query that the table shows; the list asks for a newer one while its rows are being counted."""
        self._found = ELLIPSIS
        """The number of rows, with a plus sign while only the first are counted; an ellipsis while the table shows none
        or those of an earlier query, since the new one is slow."""
        self._is_counted = Event()
        """Cleared while the rows of a slow query are counted; setting it ends the count."""
        self._is_counted.set()
        self._is_outdated = False
        """True if rows have changed during the count."""

    @property
    def table(self) -> LineTable[RunRow, str]:
        return self.list.table

    @property
    def filter_text(self) -> str:
        return self.list.filter_text

    @property
    def temporary(self) -> TemporaryFilter | None:
        """The filter that another screen asked for, while it is the list's."""
        asked = self._asked_for
        return asked if asked is not None and asked.text == self.filter_text else None

    @property
    def run_id(self) -> str | None:
        return self.table.cursor_id

    def show_in(self, panel: Panel) -> None:
        if (row := self.list.row) is None:
            panel.show_page(none_selected("run"))
        else:
            save = self._workspace.save_of(row.id)
            tried = save and (save.entry, save.refused and save.step, save.wait)
            panel.follow(row.id, (row, self._flag(row), tried), self.table.finds)

    def reload(self) -> None:
        """Redraw rows and strip from the store; relative times in the filter count from now."""
        self.list.filter = run_filter(self.filter_text)
        self._chrome.count_problems()
        if self._is_counted.is_set():
            self._count_and_draw(keep_line=True)
        else:  # restarted with each change, a slow count would never end during a listing
            self._is_outdated = True

    @property
    def settings(self) -> ListSettings:
        """The filter, order and columns that the list shows or is about to show."""
        return ListSettings(self.filter_text, *self.list.order, self.list.chosen)

    def title(self) -> Content:
        total = self._store.count(EVERY_RUN)
        counted = f"{self._found} of {total}" if self.filter_text else f"{total}"
        if not is_counted(total, self._workspace.progress):
            counted = "–"
        if (temporary := self.temporary) is not None:
            title = self.list.title(counted, with_filter=False)
            return Content.assemble(title, "  ", content(temporary.words, "$text-accent"))
        view = view_of(self.settings, self._workspace.preferences.kept.views)
        return self.list.title(counted, view=view.name if view is not None else "")

    def say_when_empty(self, words: str | None = None) -> None:
        """Say why the list is empty: `words` without any run (None: as before), else that the filter finds none."""
        self._empty_words = words = self._empty_words if words is None else words
        if self._store.count(EVERY_RUN):
            shown = self.shown.filter
            self.first_rows.set()
            words = "" if self.table.total else self.list.not_found(shown.hint if shown is not None else "")
        self.list.show_text(words)

    def _flag(self, row: RunRow) -> RowFlag | None:
        """Return a row's flag, the first of: change in progress, unknown outcome, draft kept, watched, its triage."""
        workspace = self._workspace
        if workspace.save_of(row.id) is not None:
            return SAVING
        if run_key(row.id) in workspace.unsettled:
            return OUTCOME_UNKNOWN
        if workspace.has_draft(row.id):
            return DRAFT_KEPT
        return WATCHED if row.id in self.watched else triage_flag(row)

    # Filter

    async def action_clear(self) -> None:
        """Clear the filter; without one, close the panel and clear the status line."""
        if (temporary := self.temporary) is not None:
            self.filter_by(temporary.before)
            await temporary.go_back()
        elif self.filter_text:
            self.show_settings(without_filter(self.settings, self._workspace.preferences.kept.views))
        else:
            self._chrome.panel.is_open = False
            self._chrome.zoom(False)
            self._chrome.set_status("")

    def filter_by(self, text: str, words: str = "", go_back: Callable[[], Awaitable[None]] | None = None) -> None:
        """Filter the list as another screen asks, which passes the meaning of the filter, for the title, and a way back
        to it."""
        if go_back is not None:
            before = self.filter_text if self.temporary is None else self.temporary.before
            self._asked_for = TemporaryFilter(text, words, before, go_back)
        self.list.filter_by(text)

    def show_settings(self, settings: ListSettings) -> None:
        """Show the list with this filter, order and columns.

        Raises:
            FilterError: the filter is invalid; nothing changes.
        """
        run_filter(settings.filter)
        self.list.order, self.list.chosen = Order(settings.sort, settings.descending), settings.columns
        self.list.filter_by(settings.filter)

    def keep_settings(self) -> None:
        """Keep filter, order and columns for the next start."""
        settings = self.settings
        if (temporary := self.temporary) is not None:
            settings = settings._replace(filter=temporary.before)  # the next start has no way back
        self._workspace.preferences.keep(runs=settings)

    def _count_and_draw(self, *, keep_line: bool) -> None:
        """Draw the rows at once. If counting is slow, find the first few in a thread, draw them, and count the rest in
        the background. An earlier count that still runs is cancelled."""
        self._is_counted.set()
        for group in (_COUNTING, _COUNTING_THE_REST):
            self.workers.cancel_group(self, group)
        self._is_outdated = False
        rows = RunRows(self._store, RunQuery(self.list.filter, *self.list.order))
        if not rows.is_slow_to_count:
            self._draw(rows, keep_line=keep_line)
            return
        is_counted = self._is_counted = Event()
        if not keep_line:
            self._found = ELLIPSIS
        self._chrome.show_headline()

        async def find() -> None:
            few = 0 if keep_line else await asyncio.to_thread(rows.count_first)
            if few < FIRST_ROWS:
                await count(keep_line)
                return
            self._draw(RunRows(self._store, rows.query, few), keep_line=False)
            _: Worker[None] = self.run_worker(
                partial(count, True), group=_COUNTING_THE_REST, description="count the rest"
            )

        async def count(keep_line: bool) -> None:
            try:
                await asyncio.to_thread(rows.find, is_counted.is_set)
            finally:
                is_counted.set()
            self._draw(rows, keep_line=keep_line)
            if self._is_outdated:
                self.drawing.ask()

        _: Worker[None] = self.run_worker(find, group=_COUNTING, description="find what a filter finds")

    def _draw(self, rows: RunRows, *, keep_line: bool) -> None:
        self.shown = rows.query
        self.list.needs = cells_of(self._store)
        self.list.set_columns(self.list.arranged())
        self.keep_settings()
        self.list.show(rows, keep_line=keep_line, order=Order(self.shown.sort, self.shown.descending))
        self._found = f"{self.table.total}{'+' if rows.total is not None else ''}"
        self.say_when_empty()
        self._chrome.show_headline()
