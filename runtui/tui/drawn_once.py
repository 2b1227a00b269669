"""A screen that is laid out and drawn once when it comes into sight.

Invariant: what it shows is what Textual would show; only what Textual 8.2.8 does again is left out. That lays a screen
out each time it tells it the size that it has, matches every widget's styles anew whenever it comes into sight, and
draws it whole once more after a layout.
"""

from __future__ import annotations

from typing import Self

from textual import events, on
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen, ScreenResultType

from runtui.tui.terminal import lay_out


class DrawnOnce(Screen[ScreenResultType]):
    """A base for the screens of an app."""

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._told_size = self.app.size
        self._theme_drawn = self.app.theme

    def post_message(self, message: Message) -> bool:
        """Be told of another size only."""
        if isinstance(message, events.Resize):
            if message.size == self._told_size:
                return True
            self._told_size = message.size
        return super().post_message(message)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Leave it to a layout to draw what it moves."""
        return super().refresh(*regions, repaint=repaint and not layout, layout=layout, recompose=recompose)

    @on(events.ScreenResume)
    def _come_into_sight(self, event: events.ScreenResume) -> None:
        """Come into sight, in place of Textual's own handler."""
        event.prevent_default()
        self.stack_updates += 1
        if self._theme_drawn != self.app.theme:
            self._theme_drawn = self.app.theme
            self.update_node_styles(animate=False)
        if self.outer_size != self.app.size:
            lay_out(self)
        else:
            for part in self.children:  # the screen itself would be drawn for the layout, and once more
                part.refresh()
