"""A list as every place shows it: the filter box, the titles of the columns, and the rows or why there are none.

Invariant: it knows its rows by their `Resource` alone; which rows there are, and what a key does with one, is the
place's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from runtui.domain.columns import RowT
from runtui.keys.actions import key_of
from runtui.tui.resources import Resource, RowFlag, RowId, Rows
from runtui.tui.text import content
from runtui.tui.widgets.filter_bar import FilterBar
from runtui.tui.widgets.line_table import ColumnHeader, LineTable, no_flag


class RowList(Widget, Generic[RowT, RowId]):
    """Shows the rows of a resource; its table is `NAME-table`."""

    DEFAULT_CSS = """
    RowList { layout: vertical; height: 1fr; }
    RowList > LineTable { height: 1fr; }
    RowList > .row-list--empty { display: none; padding: 1 2; height: auto; }
    RowList.-empty > .row-list--empty { display: block; }
    """

    def __init__(
        self, resource: Resource[RowT, RowId], flag: Callable[[RowT], RowFlag | None] = no_flag, *, name: str
    ) -> None:
        super().__init__(name=name)
        self.resource = resource
        self.filter_bar = FilterBar(resource.filter_help, resource.read_filter)
        self.table = LineTable(resource, flag, id=f"{name}-table")
        self._header = ColumnHeader(resource.columns)
        self._empty = Static(classes="row-list--empty", markup=False)

    def compose(self) -> ComposeResult:
        yield self.filter_bar
        yield self._header
        yield self._empty
        yield self.table

    def show(self, rows: Rows[RowT, RowId], *, keep_line: bool, sort: tuple[str, bool] = ("", False)) -> None:
        """Show rows as `LineTable.show` does; `sort` is the key of the sorted column, and whether it runs downwards."""
        self._header.sort = sort
        self.table.show(rows, keep_line=keep_line)

    def say(self, words: str) -> None:
        """Say why there are no rows; with no words there are some."""
        self.set_class(bool(words), "-empty")
        self._empty.update(content(words))

    def not_found(self, hint: str = "") -> str:
        """Why there are no rows where a filter finds none; `hint` is a likely slip in it."""
        return " ".join(filter(None, (self.resource.nothing_found, hint, f"{key_of('clear')} clears the filter.")))

    def title(self, counted: str, filter_text: str) -> Content:
        """What is listed, how much of it, and by which filter."""
        title = Content.assemble((self.resource.title, "bold"), f"  {counted}")
        return Content.assemble(title, "  /", content(filter_text, "$text-accent")) if filter_text else title

    def take_focus(self) -> None:
        self.screen.set_focus(self.table)

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        event.stop()
        self.take_focus()
