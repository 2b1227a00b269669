"""A list of rows in memory, which filters and sorts them itself.

Invariant: cursor and marks belong to row ids, so they stay when the rows are read again. Rows that are equal in the
sorted column keep their original order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from textual.content import Content

from runtui.domain.columns import Arrangement, Column, Order, RowT, in_order, natural_order
from runtui.domain.times import now_ticks
from runtui.tui.filtering import CellFilter, ValueCount, count_cells
from runtui.tui.resources import READING, ReadRows, Resource, RowFlag, RowId
from runtui.tui.widgets.line_table import no_flag
from runtui.tui.widgets.row_list import RowList


class ReadList(RowList[RowT, RowId]):
    """Shows rows in memory. `flag` returns the flag of a row, if it has one besides its mark. `sort` is the key of the
    column to sort by at first; empty for the original order.
    """

    def __init__(
        self,
        resource: Resource[RowT, RowId],
        flag: Callable[[RowT], RowFlag | None] = no_flag,
        *,
        name: str,
        sort: str = "",
        scrolls: bool = True,
    ) -> None:
        super().__init__(resource, flag, name=name, count_values=self._count_values)
        self.rows: Sequence[RowT] = ()
        """All rows, in their original order."""
        self.shown: ReadRows[RowT, RowId] = ReadRows((), resource.id_of)
        """The rows that the filter finds, sorted."""
        self.with_more: Callable[[tuple[Column[RowT], ...]], tuple[Column[RowT], ...]] = lambda columns: columns
        """Adds further columns to those of the resource."""
        self._scrolls = scrolls
        self._cells: Sequence[Mapping[str, str]] = ()
        """The cells that the filter searches; empty until a filter is set."""
        self.order = self._first_order = natural_order(resource.by_key[sort]) if sort else Order()
        self.asked = partial(self._show, keep_line=False)
        self._empty_words = READING

    def put(self, rows: Sequence[RowT], empty: str | None = None) -> None:
        """Show rows; cursor, marks, filter and order stay. `empty` has the words for no rows; None: the resource's."""
        self.rows, self._cells = rows, ()
        self.measure(rows)
        self._empty_words = self.resource.empty if empty is None else empty
        self._show(keep_line=True)

    def arranged(self, first: int | None = None) -> Arrangement[RowT]:
        shown = super().arranged(first)
        return shown._replace(columns=self.with_more(shown.columns), first=shown.first if self._scrolls else None)

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
        found: CellFilter[RowT] = self.filter
        if not found.words:
            return self.rows
        if not self._cells:
            now = now_ticks()
            self._cells = [found.cells(row, now) for row in self.rows]
        return [row for row, cells in zip(self.rows, self._cells, strict=True) if found.finds(cells)]
