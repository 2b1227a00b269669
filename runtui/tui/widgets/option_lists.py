"""Lists of options whose page keys are safe at any moment.

Invariant: a page key before the list has been laid out does nothing. In Textual 8.2.8 it ends the program with a
KeyError, and over a slow line keys do arrive before the screen does.
"""

from __future__ import annotations

from typing import Literal, Self

from textual import events
from textual.binding import Binding
from textual.widgets import OptionList
from textual.widgets._select import SelectOverlay


class PagedList(OptionList):
    """A list of options, never read as markup."""

    def __init__(self, *options: str, id: str | None = None) -> None:
        super().__init__(*options, id=id, compact=True, markup=False)

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        if self.scrollable_content_region:
            super()._move_page(direction)


class ChoiceList(PagedList, inherit_bindings=False):
    """A list whose enter belongs to the view around it; letters move as in the table of runs."""

    BINDINGS = [
        Binding("down,j", "cursor_down", "down"),
        Binding("up,k", "cursor_up", "up"),
        Binding("home,g", "first", "first"),
        Binding("end,G", "last", "last"),
        Binding("pagedown", "page_down", "page down"),
        Binding("pageup", "page_up", "page up"),
    ]


class PagedOverlay(SelectOverlay):
    """The list that a dropdown opens; for style sheets and queries it is a SelectOverlay."""

    def focus(self, scroll_visible: bool = True) -> Self:
        """Take the keys at once. Textual would do it after the keys that are on their way, which are for the list."""
        self.screen.set_focus(self, scroll_visible)
        return self

    async def _on_key(self, event: events.Key) -> None:
        """Act at once. Textual looks for a key's binding when the key has bubbled, behind the letters after it."""
        bindings = self._bindings.key_to_bindings.get(event.key)
        if bindings is None:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        await self.run_action(bindings[0].action)

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        if self.scrollable_content_region:
            super()._move_page(direction)
