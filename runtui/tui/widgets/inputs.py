"""An input that corrects Textual 8.2.8: a paste is taken whole.

Invariant: no text is parsed as markup, and no pasted line is lost. The cursor does not blink, so that an idle screen
writes nothing.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import Binding
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Input

from runtui.domain.text import visible
from runtui.keys.actions import Scope


class LineInput(Input, inherit_css=False):
    """An input one line high. It joins the lines of a paste by blanks, and leaves enter to the widgets around it.

    Textual's style sheet of an input is far longer: it has borders and colours that this one does without.
    """

    # Terminals without kitty's protocol send ctrl+w for alt+backspace; Textual 8.2.8 deletes the word after the cursor.
    BINDINGS = [Binding("ctrl+backspace,alt+backspace", "delete_left_word", show=False)]
    COMPONENT_CLASSES = {"input--cursor", "input--placeholder", "input--selection"}
    DEFAULT_CSS = """
    LineInput {
        background: $surface; color: $foreground; width: 100%; height: 1;
        overflow: auto; scrollbar-size: 0 0; pointer: text;
        &:focus { background-tint: $foreground 5%; }
        & > .input--cursor {
            background: $input-cursor-background; color: $input-cursor-foreground; text-style: $input-cursor-text-style;
        }
        & > .input--selection { background: $input-selection-background; color: $input-selection-foreground; }
        & > .input--placeholder { color: $text-disabled; }
        &:ansi { background: ansi_default; color: ansi_default; }
        &:ansi > .input--cursor, &:ansi > .input--selection {
            background: ansi_default; color: ansi_default; text-style: reverse;
        }
        &:ansi > .input--placeholder { color: ansi_default; text-style: dim; }
    }
    """

    def __init__(self, *, placeholder: str = "", id: str | None = None, select_on_focus: bool = False) -> None:
        # Other code validates: Textual would set a class for each value and match the styles again.
        super().__init__(placeholder=placeholder, select_on_focus=select_on_focus, id=id, validate_on=())
        self.cursor_blink = False

    def watch_value(self) -> None:
        """Keep the cursor visible; Textual does not scroll to it at the end of an input's first text."""
        shown, at = self.content_region, self.cursor_screen_offset.x
        if not shown.x <= at < shown.right:
            self.scroll_to_region(Region(at - shown.x + self.scroll_offset.x, 0, 1, 1), force=True, animate=False)

    async def action_submit(self) -> None:
        raise SkipAction

    def on_paste(self, event: events.Paste) -> None:
        """Replace the selection by the whole paste, with every character visible."""
        event.stop()
        event.prevent_default()
        self.replace(visible(" ".join(event.text.split())), *self.selection)


class InputBar(Widget):
    """An input with its surroundings, hidden until it is opened."""

    scope: ClassVar[Scope]
    """The registry scope of its actions; it has an `action_<id>` for each."""
    DEFAULT_CSS = "InputBar { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self.display = False

    @property
    def is_open(self) -> bool:
        return self.display

    def open(self) -> None:
        """Show and focus the input, with the cursor at its end, so that it gets the next key."""
        self.display = True  # a class would match the styles of all parts again
        box = self.query_one(LineInput)
        self.screen.set_focus(box)
        box.action_end()

    def paste(self, text: str) -> None:
        """Replace the text of the input by one that was pasted elsewhere."""
        box = self.query_one(LineInput)
        box.value = visible(text)
        box.action_end()

    def close(self) -> None:
        self.display = False
