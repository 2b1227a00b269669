"""The box in which a filter is typed, and what is wrong with it.

Invariant: a filter is announced only when it can be understood; one that cannot stays in the box, with a mark under the
place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from runtui.domain.filters import FilterError
from runtui.errors import UsageError
from runtui.tui.actions import bindings
from runtui.tui.text import content, plain
from runtui.tui.widgets.inputs import LineInput


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

        def __init__(self, bar: FilterBar, text: str, found: Any) -> None:
            super().__init__()
            self.bar = bar
            self.text = text
            self.filter = found

        @property
        def control(self) -> FilterBar:
            """The bar."""
            return self.bar

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
            self.post_message(self.Typed(self, event.value.strip(), found))

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
