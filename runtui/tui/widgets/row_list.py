"""The list widget of every view: the filter box, the column titles, and the rows or why there are none.

Invariant: a list knows its rows through their `Resource` alone. It owns what is asked of them: filter, order, columns.
The view that holds it supplies the rows and acts on them; rows in memory are filtered and sorted here. Cursor and marks
belong to row ids, so they stay when rows are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from runtui.domain.columns import Arrangement, Column, Needs, Order, RowT, chosen_columns, in_order, natural_order
from runtui.domain.text import visible
from runtui.domain.times import now_ticks
from runtui.keys.actions import key_of
from runtui.tui.filtering import Cells, ValueCount, cells_to_search, count_cells
from runtui.tui.resources import MARKED, READING, ReadRows, Resource, RowFlag, RowId, Rows
from runtui.tui.text import content
from runtui.tui.widgets.filter_bar import CountValues, FilterBar, History
from runtui.tui.widgets.line_table import ColumnHeader, LineTable, no_flag

MEASURED: Final = 500
"""The number of rows that column widths are measured from."""


def needs_of(columns: Sequence[Column[RowT]], rows: Sequence[RowT]) -> Needs:
    """Return the width of the widest value in `rows`, by key, for the columns whose width depends on their values."""
    now = now_ticks()
    return tuple(
        (column.key, max((cell_len(visible(column.show(row, now).text)) for row in rows), default=0))
        for column in columns
        if column.grows_to or column.flexible
    )


class RowList(Widget, Generic[RowT, RowId]):
    """Shows the rows of a resource; the id of its table is `NAME-table`. `asked` shows the rows of another filter or
    order. The filter box uses `count_values` for the values of the rows, and `history` for earlier filters (None: those
    of this session).
    """

    class Marked(Message):
        """The marks have changed."""

    def __init__(
        self,
        resource: Resource[RowT, RowId],
        flag: Callable[[RowT], RowFlag | None] = no_flag,
        *,
        name: str,
        asked: Callable[[], object],
        count_values: CountValues | None = None,
        history: History | None = None,
    ) -> None:
        super().__init__(name=name)
        self.resource = resource
        self.filter_bar = FilterBar(resource, count_values, history)
        self.table = LineTable(resource, flag, id=f"{name}-table")
        self.chosen: tuple[str, ...] = ()
        """The keys of the chosen columns; empty for as many as fit."""
        self.filter_text = ""
        self.filter: Any = resource.read_filter("")
        """The result of the resource's `read_filter` for that text."""
        self.order = Order()
        """The filter and the order of the rows that are shown or about to be shown."""
        self._asked = asked
        self.needs: Needs = ()
        """The width of the widest value, by column."""
        self.expected: Mapping[str, int] = {}
        """Column key -> least width in cells, for values that are not read yet."""
        self._header = ColumnHeader(resource.columns)
        self._empty = Static(classes="row-list--empty", markup=False)
        self._empty.display = False

    def compose(self) -> ComposeResult:
        yield self.filter_bar
        yield self._header
        yield self._empty
        yield self.table

    @property
    def row(self) -> RowT | None:
        """The row under the cursor."""
        return self.table.row_under_cursor()

    def show(self, rows: Rows[RowT, RowId], *, keep_line: bool, order: Order) -> None:
        """Show rows that are in this order; see `LineTable.show`."""
        self._header.sort = order
        self.table.show(rows, keep_line=keep_line)

    # What is asked of the source

    def filter_by(self, text: str) -> None:
        """Filter at once, so that keys already on their way act on the filtered list.

        Raises:
            RuntuiError: the filter is invalid; nothing changes.
        """
        self.filter_text, self.filter = text, self.filter_bar.put(text)
        self._asked()

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        event.stop()
        if event.text != self.filter_text:
            self.filter_text, self.filter = event.text, event.filter
            self._asked()

    def clear(self) -> bool:
        """Clear the filter; return True if there was one."""
        had_filter = bool(self.filter_text)
        if had_filter:
            self.filter_by("")
        return had_filter

    def sort_by(self, order: Order) -> None:
        self.order = order
        self._asked()

    # Columns

    def choose(self, keys: Sequence[str]) -> None:
        """Show the columns with these keys, from the first one on; none: as many as fit."""
        self.chosen = tuple(key for key in keys if key in self.resource.by_key)
        self.set_columns(self.arranged(first=0))

    def arranged(self, first: int | None = None, chosen: tuple[str, ...] | None = None) -> Arrangement[RowT]:
        """Return the columns with the keys in `chosen` (None: the chosen ones), scrolled right by `first` columns
        (None: as now)."""
        keys = self.chosen if chosen is None else chosen
        now = self.table.arrangement.first or 0
        columns = chosen_columns(self.resource.columns, keys)
        return Arrangement(columns, self.needs, bool(keys), now if first is None else first)

    def measure(self, rows: Sequence[RowT]) -> None:
        """Set the column widths for rows that are about to be shown."""
        needs = needs_of(self.resource.columns, rows[:MEASURED]) if rows else ()
        self.needs = tuple((key, max(cells, self.expected.get(key, 0))) for key, cells in needs)
        self.set_columns(self.arranged())

    def set_columns(self, arrangement: Arrangement[RowT]) -> None:
        """Show these columns in the titles and the table."""
        self._header.arrangement = arrangement
        self.table.set_columns(arrangement)

    def show_text(self, words: str) -> None:
        """Show why there are no rows; empty words hide that."""
        self._empty.display = bool(words)
        if words:
            self._empty.update(content(words))

    def not_found(self, hint: str = "") -> str:
        """Return the words for a filter that finds nothing; `hint` names a likely slip in it."""
        return " ".join(filter(None, (self.resource.nothing_found, hint, f"{key_of('clear')} clears the filter.")))

    def title(self, counted: str, of: str = "", view: str = "", *, with_filter: bool = True) -> Content:
        """Return the title: what is listed, `of` what, the count, the number of marks, the filter and the order.

        The name of a `view` replaces the resource's title and the filter.
        """
        parts = [content(view[:1].upper() + view[1:] or self.resource.title, "bold")]
        if of:
            parts += [Content(" of "), content(of, "bold")]
        parts.append(Content(f"  {counted}"))
        if marks := self.table.marks:  # before the filter, which may fill the line
            parts.append(Content(f"  {MARKED.sign} {len(marks)} {MARKED.words}"))
        if self.filter_text and with_filter and not view:
            parts += [Content("  /"), content(self.filter_text, "$text-accent")]
        key, descending = self._header.sort
        if (column := self.resource.by_key.get(key)) is not None:
            parts.append(Content(f"  {column.order_title(descending=descending)}"))
        return Content("").join(parts)

    def action_filter(self) -> None:
        self.filter_bar.put(f"{self.filter_text} ".lstrip())  # what is typed is the next term
        self.filter_bar.open()

    def action_sort(self) -> None:
        keys = [column.key for column in self.resource.columns]
        at = keys.index(self.order.key) + 1 if self.order.key in keys else 0
        self.sort_by(natural_order(self.resource.columns[at % len(keys)]))

    def action_reverse(self) -> None:
        self.sort_by(self.order._replace(descending=not self.order.descending))

    def on_column_header_chosen(self, event: ColumnHeader.Chosen) -> None:
        """Sort by the clicked column; if the list is sorted by it, reverse the order."""
        event.stop()
        if event.key == self.order.key:
            self.action_reverse()
        else:
            self.sort_by(natural_order(self.resource.by_key[event.key]))

    def action_next_columns(self) -> None:
        self.set_columns(self.table.arrangement.scrolled(1, self.table.size.width))

    def action_previous_columns(self) -> None:
        self.set_columns(self.table.arrangement.scrolled(-1, self.table.size.width))

    def action_mark(self) -> None:
        """Toggle the mark of the row under the cursor, and go to the next row."""
        if self.table.cursor_id is not None:
            self.table.toggle_mark(self.table.cursor_id)
            self.table.action_cursor_down()
            self.post_message(self.Marked())

    def action_clear_marks(self) -> None:
        self.table.set_marks(frozenset())
        self.post_message(self.Marked())

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        event.stop()
        self.screen.set_focus(self.table)


class ReadList(RowList[RowT, RowId]):
    """Shows rows in memory. `sort` is the key of the column to sort by at first; empty for the original order, which
    rows keep that are equal in the sorted column. `with_more` adds further columns to the chosen ones; such a list does
    not scroll.
    """

    def __init__(
        self,
        resource: Resource[RowT, RowId],
        flag: Callable[[RowT], RowFlag | None] = no_flag,
        *,
        name: str,
        sort: str = "",
        with_more: Callable[[tuple[Column[RowT], ...]], tuple[Column[RowT], ...]] | None = None,
    ) -> None:
        asked = partial(self._show, keep_line=False)
        super().__init__(resource, flag, name=name, asked=asked, count_values=self._count_values)
        self.rows: Sequence[RowT] = ()
        """All rows, in their original order."""
        self.shown: ReadRows[RowT, RowId] = ReadRows((), resource.id_of)
        """The rows that the filter finds, sorted."""
        self._with_more = with_more
        self._cells: Sequence[Cells] = ()
        """The cells that the filter searches; empty until a filter is set."""
        self.order = self._first_order = natural_order(resource.by_key[sort]) if sort else Order()
        self._empty_words = READING

    def put(self, rows: Sequence[RowT], empty: str | None = None) -> None:
        """Show rows; cursor, marks, filter and order stay. `empty` has the words for no rows; None: the resource's."""
        self.rows, self._cells = rows, ()
        self.measure(rows)
        self._empty_words = self.resource.empty if empty is None else empty
        self._show(keep_line=True)

    def arranged(self, first: int | None = None, chosen: tuple[str, ...] | None = None) -> Arrangement[RowT]:
        shown = super().arranged(first, chosen)
        return shown if self._with_more is None else shown._replace(columns=self._with_more(shown.columns), first=None)

    def _count_values(self, key: str) -> Sequence[ValueCount]:
        return count_cells(self.resource.by_key[key], self.rows)

    def begin(self, empty: str) -> None:
        """Clear rows, filter, marks and order before other rows arrive; `empty` are the words until then."""
        self.filter_text, self.filter = "", self.filter_bar.put("")
        self.order = self._first_order
        self.table.set_marks(frozenset())
        self.table.is_untouched = True
        self.set_columns(self.arranged(first=0))
        self.put((), empty)

    def go_to(self, row_id: RowId) -> None:
        """Move the cursor to a row, if it is shown."""
        line = self.shown.position(row_id)
        if line is not None:
            self.table.move_to(line)

    def heading(self, of: str = "", progress: str = "") -> Content:
        """Return the title of a view with this list; `progress` says how far the rows were read."""
        counted = f"{self.table.total} of {len(self.rows)}" if self.filter_text else f"{len(self.rows)}"
        if not self.rows and self._empty_words == READING:
            counted, progress = progress or READING.lower(), ""
        return self.title(f"{counted}, {progress}" if progress else counted, of)

    def _show(self, *, keep_line: bool) -> None:
        rows = in_order(self._found(), self.resource.columns, self.order, now_ticks())
        self.shown = ReadRows(rows, self.resource.id_of)
        self.show(self.shown, keep_line=keep_line, order=self.order)
        self.show_text("" if rows else self.not_found() if self.rows else self._empty_words)

    def _found(self) -> Sequence[RowT]:
        if self.filter is None:
            return self.rows
        if not self._cells:
            now = now_ticks()
            self._cells = [cells_to_search(self.resource.columns, row, now) for row in self.rows]
        return [row for row, cells in zip(self.rows, self._cells, strict=True) if self.filter(cells)]
