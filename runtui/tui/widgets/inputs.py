"""An input and lists that correct Textual 8.2.8: a paste is taken whole, and page keys never raise.

Invariant: no text is parsed as markup, and no pasted line is lost. The cursor does not blink, so that an idle screen
writes nothing.
"""

from __future__ import annotations

from typing import ClassVar, Final

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, OptionList

from runtui.keys.actions import Scope
from runtui.tui.actions import bindings
from runtui.tui.text import plain

_REVERSE: Final = Style(reverse=True)


class LineInput(Input):
    """An input one line high. It joins the lines of a paste by blanks."""

    # Terminals without kitty's protocol send ctrl+w for alt+backspace; Textual 8.2.8 deletes the word after the cursor.
    BINDINGS = [Binding("ctrl+backspace,alt+backspace", "delete_left_word", show=False)]

    def __init__(self, *, placeholder: str = "", id: str | None = None, select_on_focus: bool = False) -> None:
        # Other code validates: Textual would set a class for each value and match the styles again.
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=select_on_focus, id=id, validate_on=())
        self.cursor_blink = False

    def watch_value(self) -> None:
        """Keep the cursor visible; Textual does not scroll to it at the end of an input's first text."""
        shown, at = self.content_region, self.cursor_screen_offset.x
        if not shown.x <= at < shown.right:
            self.scroll_to_region(Region(at - shown.x + self.scroll_offset.x, 0, 1, 1), force=True, animate=False)

    def on_paste(self, event: events.Paste) -> None:
        """Replace the selection by the whole paste, with every character visible."""
        event.stop()
        event.prevent_default()
        self.replace(plain(" ".join(event.text.split())), *self.selection)


class InputBar(Widget):
    """An input with its surroundings, hidden until it is opened."""

    scope: ClassVar[Scope]
    """The registry scope of its actions; it has an `action_<id>` for each."""
    DEFAULT_CSS = """
    InputBar { height: auto; display: none; }
    InputBar.-open { display: block; }
    """

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self) -> None:
        """Show and focus the input, so that it gets the next key."""
        self.add_class("-open")
        self.screen.set_focus(self.query_one(LineInput))

    def paste(self, text: str) -> None:
        """Replace the text of the input by one that was pasted elsewhere."""
        box = self.query_one(LineInput)
        box.value = plain(text)
        box.action_end()

    def close(self) -> None:
        self.remove_class("-open")


class PagedList(OptionList):
    """A list of options with a reverse cursor, which Textual's option style cannot have. Page keys do nothing before
    the first layout; Textual's would raise KeyError."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)  # the list's length moves no other widget
    has_cursor = False
    """Whether to show the cursor without the focus."""

    def __init__(self, *options: str, id: str | None = None) -> None:
        super().__init__(*options, id=id, compact=True, markup=False)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        is_under_cursor = any(
            style is not None and style.meta.get("option", -1) == self.highlighted for _, style, _ in strip
        )
        return strip.apply_style(_REVERSE) if is_under_cursor and (self.has_focus or self.has_cursor) else strip

    def action_page_up(self) -> None:
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]


class ChoiceList(PagedList, inherit_bindings=False):
    """A list with the keys of a table; enter is left to the view around it."""

    DEFAULT_CSS = "ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"
    BINDINGS = bindings("table")
