"""A text alone on the screen, to be selected in the terminal: the way to copy where there is no clipboard.

Invariant: nothing stands beside or before the text, so that selecting lines selects nothing else; and no line of it is
broken, since it would be selected as two.
"""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from runtui.domain.text import visible
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.text import content

_LINES_OF_HINT: Final = 1


class SelectionPage(Screen[None]):
    """Shows a text from the upper left corner on, and under it how to go back."""

    BINDINGS = bindings("page", close_page="close_page")
    DEFAULT_CSS = """
    SelectionPage { layout: vertical; overflow: hidden; }
    SelectionPage #selection-text { height: 1fr; width: 100%; text-wrap: nowrap; }
    SelectionPage #selection-hint { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, text: str) -> None:
        """Show a text that is redacted already."""
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Static(content(self._text, newlines=True), id="selection-text", markup=False)
        yield Static(id="selection-hint", markup=False)

    def on_resize(self) -> None:
        """Say how to go on, or that the terminal shows less than the text."""
        words = "Select the text in your terminal"
        if not fits_on_page(self._text, self.app.size):
            words = "The terminal is too small for all of the text"
        hint = f"{words}; {key_of('close_page')} goes back."
        self.query_one("#selection-hint", Static).update(content(hint))

    def action_close_page(self) -> None:
        """Go back to what was in sight."""
        self.dismiss()


def fits_on_page(text: str, size: Size) -> bool:
    """Whether a terminal of that size, in cells, shows all of a text."""
    lines = visible(text, newlines=True).split("\n")
    return len(lines) <= size.height - _LINES_OF_HINT and all(cell_len(line) <= size.width for line in lines)
