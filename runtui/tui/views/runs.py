"""The list: filter, order, cursor and marks over the table of runs.

Invariant: cursor and marks are run ids. A filter that cannot be read changes nothing in the list and says where it
went wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from runtui.domain.filters import Filter, FilterError, parse
from runtui.domain.rows import COLUMN_BY_KEY, COLUMNS, RunRow
from runtui.domain.times import now_ticks
from runtui.services.store import Query, Store
from runtui.tui.actions import Situation, bindings
from runtui.tui.messages import DetailsRequested, EditRequested, Left, ListChanged, PauseToggled, RefreshRequested
from runtui.tui.text import content, plain
from runtui.tui.views.acting import Acting
from runtui.tui.widgets.line_input import LineInput
from runtui.tui.widgets.pane_title import PaneTitle
from runtui.tui.widgets.run_table import ColumnHeader, RowFlag, RunTable

PROBLEMS = "is:problem"
FIRST_SORT = "started"

RELOAD_SECONDS: Final = 0.25
"""The least time between two drawings of a list that keeps changing."""


class FilterInput(LineInput):
    """Where a filter is typed; esc and the arrow keys give the focus back to the list."""

    def __init__(self) -> None:
        super().__init__(
            placeholder='text  status:failed  type:onDemand  wf:"Onboard"  failed>0  started>-24h  !not',
            id="filter-input",
        )

    def key_escape(self, event: events.Key) -> None:
        """Clear the filter; when it is clear, leave it."""
        event.stop()
        self.value = ""
        self.post_message(self.Submitted(self, ""))

    def key_down(self, event: events.Key) -> None:
        """To the list, with the filter as it is."""
        event.stop()
        self.post_message(self.Submitted(self, self.value))


class RunsView(Acting):
    """The list of runs."""

    BINDINGS = bindings("runs")
    DEFAULT_CSS = """
    RunsView { layout: vertical; height: 1fr; }
    RunsView RunTable { height: 1fr; }
    RunsView #filter-input { display: none; padding: 0 1; }
    RunsView.-filtering #filter-input { display: block; }
    RunsView #filter-error { display: none; height: auto; padding: 0 1; }
    RunsView.-wrong.-filtering #filter-error { display: block; }
    RunsView #empty { display: none; padding: 1 2; height: auto; }
    RunsView.-empty #empty { display: block; }
    """

    def __init__(
        self,
        situation: Callable[[], Situation],
        store: Store,
        flag: Callable[[str], RowFlag | None],
        *,
        id: str,
    ) -> None:
        super().__init__(situation, id=id)
        self._store = store
        self._other_flag = flag
        self.marks: set[str] = set()
        self.filter_text = ""
        self._empty_words = ""
        self._resting: Timer | None = None
        self._reload_is_due = False
        self._first_query = Query(None, FIRST_SORT, True)

    def compose(self) -> ComposeResult:
        """Title, filter, column titles, rows."""
        yield PaneTitle(id="runs-title")
        yield FilterInput()
        yield Static(id="filter-error", markup=False)
        yield ColumnHeader()
        yield Static(id="empty", markup=False)
        yield RunTable(self._store, self._first_query, self._flag, id="runs-table")

    @property
    def table(self) -> RunTable:
        """The rows."""
        return self.query_one(RunTable)

    @property
    def row(self) -> RunRow | None:
        """The run under the cursor."""
        return self.table.row_under_cursor()

    def is_hidden(self, run_id: str) -> bool:
        """Whether the filter keeps a run out of sight."""
        return bool(self.filter_text) and self._store.position(self.table.shown, run_id) is None

    def take_focus(self) -> None:
        """Give the rows the keys."""
        self.table.focus()

    def store_changed(self) -> None:
        """Rows are others now: the first change is drawn at once, a flood of them a few times a second."""
        if self._resting is not None:
            self._reload_is_due = True
            return
        self._resting = self.set_timer(RELOAD_SECONDS, self._rested)
        self.reload()

    def _rested(self) -> None:
        self._resting = None
        if self._reload_is_due:
            self._reload_is_due = False
            self.store_changed()

    def reload(self) -> None:
        """Draw the rows as they are in the store now, by a filter whose times count from now."""
        self.table.reload(self.table.shown._replace(filter=self._filter(self.filter_text)))
        self._show_emptiness()
        self.post_message(ListChanged())

    def describe(self, *, active: bool) -> None:
        """Draw the title: how many of how many, filter, order, marks."""
        table, total = self.table, self._store.totals().total
        counted = f"{table.total} of {total}" if self.filter_text else f"{total}"
        column = COLUMN_BY_KEY[table.shown.sort]
        parts = [Content.styled("Runs", "bold"), Content(f"  {counted}")]
        if self.filter_text:
            parts.append(Content.assemble("  /", content(self.filter_text, "$text-accent")))
        parts.append(Content(f"  {column.title} {'↓' if table.shown.descending else '↑'}"))
        if self.marks:
            parts.append(Content(f"  ◆ {len(self.marks)} marked"))
        self.query_one("#runs-title", PaneTitle).show(Content("").join(parts), active=active)

    def say_when_empty(self, words: str) -> None:
        """What to tell while there is no row at all."""
        self._empty_words = words
        self._show_emptiness()

    def _show_emptiness(self) -> None:
        words = self._empty_words
        if self._store.totals().total:
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
        self.add_class("-filtering")
        self.query_one(FilterInput).focus()

    def action_problems(self) -> None:
        """Only what went wrong, or all again."""
        self._set_filter("" if self.filter_text == PROBLEMS else PROBLEMS)
        self.query_one(FilterInput).value = self.filter_text

    def action_clear(self) -> None:
        """One step back: the filter first, then whatever else is open."""
        if self.filter_text:
            self._set_filter("")
            self.query_one(FilterInput).value = ""
        else:
            self.post_message(Left())

    @on(Input.Changed, "#filter-input")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._set_filter(event.value)

    @on(Input.Submitted, "#filter-input")
    def _filter_entered(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.has_class("-wrong"):
            self.remove_class("-filtering")
            self.take_focus()

    def _set_filter(self, text: str) -> None:
        """Follow the filter text; one that cannot be read is shown with its place, and the list stays."""
        try:
            found = self._filter(text)
        except FilterError as error:
            self.add_class("-wrong")
            self.query_one("#filter-error", Static).update(self._complaint(text, error))
            return
        self.remove_class("-wrong")
        text = text.strip()
        if text != self.filter_text:
            self.filter_text = text
            self._show_query(self.table.shown._replace(filter=found))

    def _filter(self, text: str) -> Filter | None:
        """What a filter text means now."""
        return parse(text, now_ticks()) if text.strip() else None

    def _complaint(self, text: str, error: FilterError) -> Content:
        """A mark under the place where a filter went wrong, and why; on one line when that fits."""
        box = self.query_one(FilterInput)
        place = cell_len(plain(text[: error.position])) - box.scroll_offset.x
        length = max(1, cell_len(plain(text[error.position : error.position + error.length])))
        pointer = " " * place + "^" * length if place >= 0 else ""
        fits = len(pointer) + 2 + cell_len(plain(error.message)) <= box.content_size.width
        return Content.assemble(pointer, "  " if fits else "\n", content(error.message))

    # Order

    def action_sort(self) -> None:
        """Sort by the next column, in the direction that shows the worst or the newest first."""
        keys = [column.key for column in COLUMNS]
        column = COLUMN_BY_KEY[keys[(keys.index(self.table.shown.sort) + 1) % len(keys)]]
        self._show_query(self.table.shown._replace(sort=column.key, descending=column.descending_first))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._show_query(self.table.shown._replace(descending=not self.table.shown.descending))

    def _show_query(self, query: Query) -> None:
        self.table.show(query)
        self.query_one(ColumnHeader).sort = (query.sort, query.descending)
        self._show_emptiness()
        self.post_message(ListChanged())

    # The listing

    def action_refresh(self) -> None:
        """Read all runs again now."""
        self.post_message(RefreshRequested())

    def action_pause(self) -> None:
        """Stop reading by the clock, or go on."""
        self.post_message(PauseToggled())

    # The run under the cursor

    def action_edit(self) -> None:
        """Open it in the form."""
        if self.row is not None:
            self.post_message(EditRequested(self.row.id))

    def action_details(self) -> None:
        """Show it in the side panel."""
        if self.row is not None:
            self.post_message(DetailsRequested(self.row.id))

    def action_mark(self) -> None:
        """Mark it, or take the mark back, and go on to the next."""
        if self.row is not None:
            run_id = self.row.id
            self.marks ^= {run_id}
            self.table.flags_changed(run_id)
            self.table.action_cursor_down()
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
