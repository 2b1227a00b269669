"""The list: filter, order, cursor and marks over the table of runs.

Invariant: cursor and marks are run ids. A filter that cannot be read changes nothing in the list and says where it
went wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from runtui.domain.rows import COLUMN_BY_KEY, COLUMNS, RunRow
from runtui.services.store import EVERY_RUN, Query, Store
from runtui.tui.actions import Situation, bindings
from runtui.tui.counting import CountAside
from runtui.tui.messages import DetailsRequested, Left, ListChanged, UndoRunRequested
from runtui.tui.screens.acting import Acting
from runtui.tui.text import content
from runtui.tui.throttle import Throttle
from runtui.tui.widgets.filter_bar import PLACEHOLDER, FilterBar, filter_now
from runtui.tui.widgets.pane_title import PaneTitle
from runtui.tui.widgets.run_table import ColumnHeader, RowFlag, RunTable

PROBLEMS = "is:problem"
FIRST_SORT = "started"

RELOAD_SECONDS: Final = 0.25
"""The least time between two drawings of a list that keeps changing."""


class RunsView(Acting):
    """The list of runs."""

    BINDINGS = bindings("runs")
    DEFAULT_CSS = """
    RunsView { layout: vertical; height: 1fr; }
    RunsView RunTable { height: 1fr; }
    RunsView #empty { display: none; padding: 1 2; height: auto; }
    RunsView.-empty #empty { display: block; }
    """

    def __init__(
        self,
        situation: Callable[[], Situation],
        store: Store,
        flag: Callable[[str], RowFlag | None],
        edit: Callable[[str], Awaitable[None]],
        *,
        id: str,
    ) -> None:
        super().__init__(situation, id=id)
        self._store = store
        self._other_flag = flag
        self._edit = edit
        self.marks: set[str] = set()
        self.filter_text = ""
        self._empty_words = ""
        self.drawing = Throttle(self, RELOAD_SECONDS, self.reload)
        """Asked when rows are others now: the first change is drawn at once, a flood of them a few times a second."""
        self._counting = CountAside(self, store)
        self._query = Query(None, FIRST_SORT, True)

    def compose(self) -> ComposeResult:
        """Title, filter, column titles, rows."""
        yield PaneTitle(id="runs-title")
        yield FilterBar(PLACEHOLDER, filter_now)
        yield ColumnHeader()
        yield Static(id="empty", markup=False)
        yield RunTable(self._store, self._query, self._flag, id="runs-table")

    @property
    def table(self) -> RunTable:
        """The rows."""
        return self.query_one(RunTable)

    @property
    def row(self) -> RunRow | None:
        """The run under the cursor."""
        return self.table.row_under_cursor()

    def take_focus(self) -> None:
        """Give the rows the keys."""
        self.table.focus()

    def reload(self) -> None:
        """Draw the rows as they are in the store now, by a filter whose times count from now."""
        self._query = self._query._replace(filter=filter_now(self.filter_text))
        self._counting.then(self._query, lambda query: self._draw(query, keep_line=True))

    def describe(self, *, active: bool) -> None:
        """Draw the title: how many of how many, filter, order, marks."""
        table, total = self.table, self._store.count(EVERY_RUN)
        counted = f"{table.total} of {total}" if self.filter_text else f"{total}"
        column = COLUMN_BY_KEY[table.shown.sort]
        parts = [Content.styled("Runs", "bold"), Content(f"  {counted}")]
        if self.filter_text:
            parts.append(Content.assemble("  /", content(self.filter_text, "$text-accent")))
        parts.append(Content(f"  {column.title} {'↓' if table.shown.descending else '↑'}"))
        if self.marks:
            parts.append(Content(f"  ◆ {len(self.marks)} marked"))
        self.query_one("#runs-title", PaneTitle).show(Content("").join(parts), active=active)

    def say_when_empty(self, words: str | None = None) -> None:
        """Tell why there is no row, where there is none: the filter, or these words; None: the words before them."""
        self._empty_words = words = self._empty_words if words is None else words
        if self._store.count(EVERY_RUN):
            shown = self.table.shown.filter
            hint = f"{shown.hint} " if shown is not None and shown.hint else ""
            words = "" if self.table.total else f"No run matches the filter. {hint}Press esc to clear it."
        self.set_class(bool(words), "-empty")
        self.query_one("#empty", Static).update(content(words))

    def _flag(self, run_id: str) -> RowFlag:
        other = self._other_flag(run_id)
        if other is not None:
            return other
        return RowFlag("◆", "marked") if run_id in self.marks else RowFlag(" ", "")

    # Filter

    def action_filter(self) -> None:
        """Open the filter box."""
        self.query_one(FilterBar).open()

    def action_problems(self) -> None:
        """Only what went wrong, or all again."""
        self._filter_by("" if self.filter_text == PROBLEMS else PROBLEMS)

    def action_clear(self) -> None:
        """One step back: the filter first, then whatever else is open."""
        if self.filter_text:
            self._filter_by("")
        else:
            self.post_message(Left())

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        """Show what the filter finds."""
        event.stop()
        if event.text != self.filter_text:
            self.filter_text = event.text
            self._show_query(self._query._replace(filter=event.filter))

    def _filter_by(self, text: str) -> None:
        """Filter at once, so that a key that is already on its way acts on what the filter shows."""
        self.query_one(FilterBar).put(text)
        self.filter_text = text
        self._show_query(self._query._replace(filter=filter_now(text)))

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        """Back to the rows."""
        event.stop()
        self.take_focus()

    # Order

    def action_sort(self) -> None:
        """Sort by the next column, in the direction that shows the worst or the newest first."""
        keys = [column.key for column in COLUMNS]
        column = COLUMN_BY_KEY[keys[(keys.index(self._query.sort) + 1) % len(keys)]]
        self._show_query(self._query._replace(sort=column.key, descending=column.descending_first))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._show_query(self._query._replace(descending=not self._query.descending))

    def _show_query(self, query: Query) -> None:
        self._query = query
        self._counting.then(query, lambda query: self._draw(query, keep_line=False))

    def _draw(self, query: Query, *, keep_line: bool) -> None:
        self.table.reload(query, keep_line=keep_line)
        self.query_one(ColumnHeader).sort = (query.sort, query.descending)
        self.say_when_empty()
        self.post_message(ListChanged())

    # The run under the cursor

    async def action_edit(self) -> None:
        """Open it in the form, at once: the next key may be meant for the form already."""
        if (row := self.table.row_under_cursor(hold=True)) is not None:
            await self._edit(row.id)

    def action_details(self) -> None:
        """Show it in the side panel."""
        if (row := self.table.row_under_cursor(hold=True)) is not None:
            self.post_message(DetailsRequested(row.id))

    def action_undo(self) -> None:
        """Ask to take its last change back."""
        if (row := self.table.row_under_cursor(hold=True)) is not None:
            self.post_message(UndoRunRequested(row.id))

    def action_mark(self) -> None:
        """Mark it, or take the mark back, and go on to the next."""
        if self.row is not None:
            run_id = self.row.id
            self.marks ^= {run_id}
            self.table.flags_changed(run_id)
            self.table.action_step(1)
            self.post_message(ListChanged())

    def action_unmark_all(self) -> None:
        """Take all marks back."""
        marked, self.marks = self.marks, set()
        for run_id in marked:
            self.table.flags_changed(run_id)
        self.post_message(ListChanged())

    @on(events.Click)
    def _clicked(self, event: events.Click) -> None:
        if event.chain == 2 and event.widget is self.table:
            self.action_details()
