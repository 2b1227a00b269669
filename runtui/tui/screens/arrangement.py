"""Questions about the list: which columns it has, and the name of a view.

Invariant: nothing happens here; the answer is what was chosen, or None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static
from textual.widgets.option_list import Option

from runtui.domain.columns import Column
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.text import content, plain
from runtui.tui.widgets.inputs import ChoiceList, LineInput

LONGEST_NAME: Final = 24
"""Characters of the name of a view."""


class ColumnChooser(ActionView[tuple[str, ...]]):
    """Asks which columns to show, in which order. The answer is their keys; none: those that the width has room for.

    Args:
        columns: All columns of the list.
        chosen: The keys of the columns that were chosen, in their order; none: those that the width has room for.
        shown: The keys of the columns in sight.
    """

    scope = "columns"
    BINDINGS = bindings("columns")
    opens = "toggle_column"
    DEFAULT_CSS = """
    ColumnChooser { layout: vertical; height: 1fr; }
    ColumnChooser ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, columns: Sequence[Column[Any]], chosen: Sequence[str], shown: Sequence[str]) -> None:
        super().__init__(name="columns")
        self._columns = {column.key: column for column in columns}
        self._is_automatic = not chosen
        self._in_sight = tuple(shown)
        self._begin(chosen or shown)

    def _begin(self, chosen: Sequence[str]) -> None:
        """The chosen columns in their order, then all others."""
        self._chosen = set(chosen)
        self._order = [*chosen, *(key for key in self._columns if key not in self._chosen)]

    def compose(self) -> ComposeResult:
        yield ChoiceList(id="column-list")

    def on_mount(self) -> None:
        self._draw(0)

    def title(self) -> Content:
        return Content.assemble(("Columns", "bold"), "  by the width" if self._is_automatic else "  yours")

    def take_focus(self) -> None:
        self.screen.set_focus(self._list)

    @property
    def _list(self) -> ChoiceList:
        return self.query_one(ChoiceList)

    def _draw(self, at: int) -> None:
        self._list.clear_options()
        self._list.add_options([Option(content(self._line(key))) for key in self._order])
        self._list.highlighted = at
        self.post_message(self.Changed())

    def _line(self, key: str) -> str:
        column = self._columns[key]
        always = "  always shown" if column.flexible else ""
        return f"{'■' if key in self._chosen else '□'} {column.name}{always}"

    def action_toggle_column(self) -> None:
        at = self._list.highlighted or 0
        if self._columns[self._order[at]].flexible:
            self.set_status("This column tells the rows apart; it is always shown.")
            return
        self._is_automatic = False
        self._chosen ^= {self._order[at]}
        self._draw(at)

    def action_column_up(self) -> None:
        self._move(-1)

    def action_column_down(self) -> None:
        self._move(1)

    def _move(self, by: int) -> None:
        at = self._list.highlighted or 0
        if 0 <= at + by < len(self._order):
            self._is_automatic = False
            self._order.insert(at + by, self._order.pop(at))
            self._draw(at + by)

    def action_automatic(self) -> None:
        self._is_automatic = True
        self._begin(self._in_sight)
        self._draw(0)

    def action_keep_columns(self) -> None:
        keys = tuple(key for key in self._order if key in self._chosen)
        if not self._is_automatic and len(keys) < 2:
            self.set_status(f"Show at least one more column; {key_of('toggle_column')} shows it.", "warning")
        else:
            self.answer(() if self._is_automatic else keys)

    def action_leave_columns(self) -> None:
        self.answer()


class NameQuestion(ActionView[str]):
    """Asks for the name of a view.

    Args:
        name: The name that it has; empty for none.
        taken: The names that others have.
    """

    scope = "name"
    BINDINGS = bindings("name")
    DEFAULT_CSS = """
    NameQuestion { layout: vertical; height: 1fr; }
    NameQuestion Static { height: auto; padding: 0 1; }
    """

    def __init__(self, name: str, taken: Sequence[str]) -> None:
        super().__init__(name="name")
        self._present = name
        self._taken = {name.casefold() for name in taken}

    def compose(self) -> ComposeResult:
        box = LineInput(placeholder="such as leavers", id="view-name", select_on_focus=True)
        box.value = plain(self._present)
        yield Static("A name for the view", markup=False)
        yield box

    def title(self) -> Content:
        return Content.assemble(("Rename the view" if self._present else "Save as a view", "bold"))

    def take_focus(self) -> None:
        self.screen.set_focus(self.query_one(LineInput))

    @on(Input.Submitted)
    async def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_perform("keep_name")

    def action_keep_name(self) -> None:
        name = " ".join(self.query_one(LineInput).value.split())
        if not name or len(name) > LONGEST_NAME:
            self.set_status(f"A name has 1 to {LONGEST_NAME} characters.", "warning")
        elif name.casefold() in self._taken:
            self.set_status(f"There is a view {name} already.", "warning")
        else:
            self.answer(name)

    def action_leave_name(self) -> None:
        self.answer()
