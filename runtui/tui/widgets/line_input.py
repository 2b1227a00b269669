"""An input of one line in which nothing that is pasted gets lost.

Invariant: a paste arrives whole, its lines and blanks joined by single blanks, with every character shown; it takes the
place of what is selected. The cursor does not blink: an idle screen writes nothing.
"""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from runtui.tui.text import plain


class LineInput(Input):
    """One line of text, one line high."""

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False, id=id)
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.replace(plain(" ".join(event.text.split())), *self.selection)
