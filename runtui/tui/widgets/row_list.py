"""A list as every place shows it: the box in which a filter is typed, the titles of the columns, and the rows or why
there are none.

Invariant: a list knows its rows by their `Resource` alone; which rows there are, and what a key does with one, is the
place's. A filter is announced only when it can be understood; one that cannot stays in the box, with a mark under the
place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from runtui.domain.columns import Arrangement, RowT
from runtui.domain.filters import FilterError
from runtui.errors import UsageError
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.resources import MARKED, Resource, RowFlag, RowId, Rows
from runtui.tui.text import content, plain
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.line_table import ColumnHeader, LineTable, no_flag


class FilterInput(LineInput):
    """The box where the filter is typed."""

    BINDINGS = bindings("filter")

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, id="filter-input")

    def action_keep_filter(self) -> None:
        """To the list, with the filter as it is."""
        self.post_message(self.Submitted(self, self.value))

    def action_clear_filter(self) -> None:
        """To the list, without a filter."""
        self.value = ""
        self.action_keep_filter()


class FilterBar(Widget):
    """The box and the error under it; hidden until it is opened.

    Args:
        placeholder: What stands in the empty box.
        read: What a text means; raises UsageError when it cannot be understood, as FilterError when it knows the place.
    """

    DEFAULT_CSS = """
    FilterBar { height: auto; display: none; }
    FilterBar.-open { display: block; }
    FilterBar #filter-input { padding: 0 1; }
    FilterBar #filter-error { display: none; height: auto; padding: 0 1; }
    FilterBar.-wrong #filter-error { display: block; }
    """

    class Typed(Message):
        """Another filter that can be understood; `filter` is what the bar's `read` returned for it."""

        def __init__(self, text: str, found: Any) -> None:
            super().__init__()
            self.text = text
            self.filter = found

    class Closed(Message):
        """The bar was closed, with the filter as typed or cleared."""

    def __init__(self, placeholder: str, read: Callable[[str], object]) -> None:
        super().__init__()
        self._placeholder = placeholder
        self._read = read

    def compose(self) -> ComposeResult:
        yield FilterInput(self._placeholder)
        yield Static(id="filter-error", markup=False)

    def open(self) -> None:
        """Show the box and focus it; the next key goes into it already."""
        self.add_class("-open")
        self.screen.set_focus(self.query_one(FilterInput))

    def put(self, text: str) -> None:
        """Put a text that can be understood into the box. Nothing is announced: the caller shows what it finds."""
        with self.prevent(Input.Changed):
            self.query_one(FilterInput).value = text
        self.remove_class("-wrong")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            found = self._read(event.value)
        except UsageError as error:
            self.query_one("#filter-error", Static).update(self._complaint(event.value, error))
            self.add_class("-wrong")
        else:
            self.remove_class("-wrong")
            self.post_message(self.Typed(event.value.strip(), found))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.has_class("-wrong"):
            self.remove_class("-open")
            self.post_message(self.Closed())

    def _complaint(self, text: str, error: UsageError) -> Content:
        """What is wrong with a filter, with a mark under the place where that is known; on one line when that fits."""
        if not isinstance(error, FilterError):
            return content(f"{error.message} {error.hint}")
        box = self.query_one(FilterInput)
        place = cell_len(plain(text[: error.position])) - box.scroll_offset.x
        length = max(1, cell_len(plain(text[error.position : error.position + error.length])))
        mark = " " * place + "^" * length if place >= 0 else ""
        fits = len(mark) + 2 + cell_len(plain(error.message)) <= box.content_size.width
        return Content.assemble(mark, "  " if fits else "\n", content(error.message))


class RowList(Widget, Generic[RowT, RowId]):
    """Shows the rows of a resource; its table is `NAME-table`."""

    DEFAULT_CSS = """
    RowList { layout: vertical; height: 1fr; }
    RowList > LineTable { height: 1fr; }
    RowList > .row-list--empty { display: none; padding: 1 2; height: auto; }
    RowList.-empty > .row-list--empty { display: block; }
    """

    class Marked(Message):
        """A row was marked, or a mark taken back."""

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

    def set_columns(self, arrangement: Arrangement[RowT]) -> None:
        """Show these columns, in the titles and in the rows."""
        self._header.arrangement = arrangement
        self.table.set_columns(arrangement)

    def say(self, words: str) -> None:
        """Say why there are no rows; with no words there are some."""
        self.set_class(bool(words), "-empty")
        self._empty.update(content(words))

    def not_found(self, hint: str = "") -> str:
        """Why there are no rows where a filter finds none; `hint` is a likely slip in it."""
        return " ".join(filter(None, (self.resource.nothing_found, hint, f"{key_of('clear')} clears the filter.")))

    def title(self, counted: str, filter_text: str, of: str = "") -> Content:
        """What is listed, of what, how much of it, by which filter, in which order, and how many rows are marked."""
        parts = [Content.styled(self.resource.title, "bold")]
        if of:
            parts.append(content(f" of {of}", "bold"))
        parts.append(Content(f"  {counted}"))
        if filter_text:
            parts += [Content("  /"), content(filter_text, "$text-accent")]
        key, descending = self._header.sort
        parts += [
            Content(f"  {column.order_name or column.title} {'↓' if descending else '↑'}")
            for column in self.resource.columns
            if column.key == key
        ]
        if marks := self.table.marks:
            parts.append(Content(f"  {MARKED.sign} {len(marks)} {MARKED.words}"))
        return Content("").join(parts)

    def take_focus(self) -> None:
        self.screen.set_focus(self.table)

    def action_filter(self) -> None:
        """Open the filter box."""
        self.filter_bar.open()

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take the mark back, and go on to the next."""
        if self.table.cursor_id is not None:
            self.table.toggle_mark(self.table.cursor_id)
            self.table.action_step(1)
            self.post_message(self.Marked())

    def action_clear_marks(self) -> None:
        """Take all marks back."""
        self.table.clear_marks()
        self.post_message(self.Marked())

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        event.stop()
        self.take_focus()
