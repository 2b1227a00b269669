"""Lists of options whose page keys are safe at any moment.

Invariant: a page key before the list has been laid out does nothing. In Textual 8.2.8 it ends the program with a
KeyError, and over a slow line keys do arrive before the screen does.
"""

from __future__ import annotations

from typing import Literal, Self

from textual import events
from textual.widgets import OptionList
from textual.widgets._select import SelectOverlay

from runtui.tui.actions import bindings


class PagedList(OptionList):
    """A list of options, never read as markup."""

    def __init__(self, *options: str, id: str | None = None) -> None:
        super().__init__(*options, id=id, compact=True, markup=False)

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        if self.scrollable_content_region:
            super()._move_page(direction)


class ChoiceList(PagedList, inherit_bindings=False):
    """A list whose enter belongs to the view around it; letters move as in the table of runs."""

    BINDINGS = bindings(
        "table",
        cursor_up="cursor_up",
        cursor_down="cursor_down",
        page_up="page_up",
        page_down="page_down",
        first_row="first",
        last_row="last",
    )


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
