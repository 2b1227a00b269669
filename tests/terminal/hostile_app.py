"""A small app that puts hostile strings wherever Textual takes text. Its argument names the active walls.

Run as `python -m tests.terminal.hostile_app both|first|second|none`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.text import Text
from textual.app import App, ComposeResult, RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.filter import LineFilter
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Select, Static

from runtui.domain.text import visible
from runtui.tui.text import ControlFilter, content
from runtui.tui.widgets.json_view import JsonView

HOSTILE = "\x1b]0;owned\x07\x1b[13;37H\x9b13;37H\u202e\u200b\U000e0041\x7f\ud800[/x][@click=app.quit]go[/]"
"""Sets a title, moves the cursor in two ways, reorders, hides, and would be a link if it were markup."""


class Drawn(Widget):
    """A widget that draws its own content."""

    def __init__(self, shown: Content) -> None:
        super().__init__()
        self.animation_level = "none"
        self._shown = shown

    def render(self) -> RenderResult:
        """Draw the given content."""
        return self._shown


class HostileApp(App[int]):
    """Shows HOSTILE in every place, with a letter before it that names the place."""

    CSS = "Drawn, Input, Button { height: 1; } OptionList, Static { height: 3; } JsonView { height: 6; }"
    BINDINGS = [Binding("f3", "quit", "Quit")]

    def __init__(self, walls: str) -> None:
        super().__init__()
        self._disable_notifications = True  # as runtui does: it is loaded without them
        first = walls in {"both", "first"}
        self._second = walls in {"both", "second"}
        self._hostile = HOSTILE if walls != "none" else HOSTILE.replace("\ud800", "")  # it would end all output
        self._text = visible(self._hostile) if first else self._hostile
        self._content = content if first else Content

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Put the second wall up unless it is left out."""
        return [*super().get_line_filters(), ControlFilter()] if self._second else super().get_line_filters()

    def compose(self) -> ComposeResult:
        """Show the text in one place after another."""
        framed = Static("S " + self._text, markup=False, id="framed")
        framed.styles.border = ("solid", "red")
        framed.border_title = self._content("T " + self._hostile)
        yield framed
        yield Drawn(self._content("D " + self._hostile))
        field = Input("I " + self._text, compact=True)
        field.cursor_blink = False
        yield field
        yield OptionList(self._content("O " + self._hostile), markup=False)
        yield Button(self._content("B " + self._hostile), compact=True)
        yield Select([(Text("L " + self._text), 1)], value=1, compact=True, id="list")
        yield JsonView('{"J": "\\u0000' + HOSTILE.replace("\x1b", "").replace("\x07", "") + '"}')
        yield JsonView("P " + self._hostile)
        yield Static("ready", id="state", markup=False)


if __name__ == "__main__":
    app = HostileApp(sys.argv[1])
    app.run()
    sys.exit(app.return_code or 0)
