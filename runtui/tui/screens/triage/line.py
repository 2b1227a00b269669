"""A question for one line of text: a note, or when a snooze ends.

Invariant: nothing happens here; the answer is the line, without what stands around it, or None. A line that cannot be
used stays, with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.text import content, plain
from runtui.tui.widgets.inputs import LineInput


class LineQuestion(ActionView[str]):
    """Asks for one line.

    Args:
        name: What is asked for, in one word: it is asked once at a time.
        title: The first line.
        about: What stands above the line.
        text: What stands in the line at first.
        check: Raises ValueError, with a sentence, for a line that cannot be used.
    """

    scope = "line"
    BINDINGS = bindings("line")
    DEFAULT_CSS = """
    LineQuestion { layout: vertical; height: 1fr; }
    LineQuestion Static { height: auto; padding: 0 1; }
    """

    def __init__(self, name: str, title: str, about: str, text: str, check: Callable[[str], object]) -> None:
        super().__init__(name=name)
        self._title, self._about, self._text, self._check = title, about, text, check

    def compose(self) -> ComposeResult:
        box = LineInput(id="line", select_on_focus=True)
        box.value = plain(self._text)
        yield Static(content(self._about), markup=False)
        yield box

    def title(self) -> Content:
        return content(self._title, "bold")

    def take_focus(self) -> None:
        self.screen.set_focus(self.query_one(LineInput))

    @on(Input.Submitted)
    async def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_perform("keep_line")

    def action_keep_line(self) -> None:
        line = " ".join(self.query_one(LineInput).value.split())
        try:
            self._check(line)
        except ValueError as error:
            self.set_status(str(error), "warning")
        else:
            self.answer(line)

    def action_leave_line(self) -> None:
        self.answer()
