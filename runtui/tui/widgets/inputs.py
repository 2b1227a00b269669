"""An input and lists that Textual 8.2.8 breaks in places: a paste arrives whole, page keys are safe at any moment.

Invariant: no text is read as markup, and no pasted line is lost. The cursor does not blink: an idle screen writes
nothing.
"""

from __future__ import annotations

from typing import ClassVar, Final

from rich.style import Style
from textual import events
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
    """One line of text, one line high. The lines of a paste are joined by blanks."""

    def __init__(self, *, placeholder: str = "", id: str | None = None, select_on_focus: bool = False) -> None:
        # Validated elsewhere: Textual would give each value a class, and match the styles anew.
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=select_on_focus, id=id, validate_on=())
        self.cursor_blink = False

    def watch_value(self) -> None:
        """Keep the cursor in sight: Textual does not follow it to the end of the first text of a box."""
        shown, at = self.content_region, self.cursor_screen_offset.x
        if not shown.x <= at < shown.right:
            self.scroll_to_region(Region(at - shown.x + self.scroll_offset.x, 0, 1, 1), force=True, animate=False)

    def on_paste(self, event: events.Paste) -> None:
        """Put the whole paste in the place of the selection, every character visible."""
        event.stop()
        event.prevent_default()
        self.replace(plain(" ".join(event.text.split())), *self.selection)


class InputBar(Widget):
    """A box to type into, and what stands beside it; hidden until it is opened."""

    scope: ClassVar[Scope]
    """Which actions of the registry are for it: it has an `action_<id>` for each."""
    DEFAULT_CSS = """
    InputBar { height: auto; display: none; }
    InputBar.-open { display: block; }
    """

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self) -> None:
        """Show the box and focus it; the next key goes into it already."""
        self.add_class("-open")
        self.screen.set_focus(self.query_one(LineInput))

    def close(self) -> None:
        self.remove_class("-open")


class PagedList(OptionList):
    """A list of options with the cursor of every list: in reverse, which Textual leaves out of an option's style. Page
    keys do nothing before it is laid out, where Textual's raise KeyError."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)  # a list of another length moves nothing
    has_cursor = False
    """Whether the cursor is shown although the keys are elsewhere."""

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
    """A list whose enter belongs to the view around it; letters move as in a table."""

    BINDINGS = bindings(
        "table",
        cursor_up="cursor_up",
        cursor_down="cursor_down",
        page_up="page_up",
        page_down="page_down",
        first_row="first",
        last_row="last",
    )
