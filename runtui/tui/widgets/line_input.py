"""An input of one line in which nothing that is pasted gets lost.

Invariant: keys act in the order in which they were pressed. A paste arrives whole, its lines and blanks joined by
single blanks, with every character shown; it takes the place of what is selected. The cursor does not blink: an idle
screen writes nothing.
"""

from __future__ import annotations

from typing import Final

from textual import events
from textual.binding import BindingsMap
from textual.widgets import Input

from runtui.tui.text import plain

_EDITING: Final = {
    key: bindings[0].action for key, bindings in BindingsMap(Input.BINDINGS).key_to_bindings.items() if key != "enter"
}
"""What Textual's input binds its keys to: moving, deleting, selecting, the clipboard."""


class LineInput(Input):
    """One line of text, one line high."""

    def __init__(self, *, placeholder: str = "", id: str | None = None, select_on_focus: bool = False) -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=select_on_focus, id=id)
        self.cursor_blink = False

    async def _on_key(self, event: events.Key) -> None:
        """Edit at once. Textual looks for a key's binding when the key has bubbled, behind the letters that came after
        it: of "ab", backspace, "c", typed on a slow line, "ab" would be left.
        """
        if event.is_printable or event.key not in _EDITING:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        await self.run_action(_EDITING[event.key])

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.replace(plain(" ".join(event.text.split())), *self.selection)
