"""The notice that takes the screen while the terminal is too small to show what keys would act on.

Invariant: while it stands nothing below it gets a key. What was there comes back as it was.
"""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from runtui.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.text import content
from runtui.tui.widgets.chrome import StatusLine

SMALLEST: Final = Size(60, 16)
"""The smallest terminal, in cells, in which every view shows what its keys act on."""


class TooSmall(Screen[None]):
    """Says how large the terminal is, and how large it has to be."""

    BINDINGS = [
        binding for binding in bindings("app") if isinstance(binding, Binding) and binding.id in ("quit", "redraw")
    ]
    DEFAULT_CSS = """
    TooSmall { layout: vertical; padding: 0 1; }
    TooSmall #size-notice { height: 1fr; }
    """

    def compose(self) -> ComposeResult:
        """The notice, and what quitting has to say."""
        yield Static(id="size-notice", markup=False)
        yield StatusLine(id="size-status")

    def on_resize(self) -> None:
        """Say the size as it is now."""
        size = self.app.size
        self.query_one("#size-notice", Static).update(
            content(
                f"runtui needs a terminal of {SMALLEST.width}x{SMALLEST.height}. "
                f"This one is {size.width}x{size.height}. "
                f"Enlarge it to go on where you were; {key_of('quit')} quits."
            )
        )


def is_too_small(size: Size) -> bool:
    """Whether a terminal of that size, in cells, cannot show a view."""
    return size.width < SMALLEST.width or size.height < SMALLEST.height
