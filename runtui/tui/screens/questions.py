"""Questions that several features ask: for one choice, for a line of text, for the columns of a list.

Invariant: a question changes nothing; its answer is the chosen value, or None. A choice that is refused is listed and
says why. An invalid line stays, and the status line says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static

from runtui.domain.columns import Column, ListCell
from runtui.domain.text import visible
from runtui.keys.actions import Scope, key_of
from runtui.tui.actions import bindings
from runtui.tui.filtering import cells_to_search
from runtui.tui.resources import Resource, in_memory
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content, fit
from runtui.tui.widgets.chrome import ShortText
from runtui.tui.widgets.filter_bar import FilterBar
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.option_lists import ChoiceList

Value = TypeVar("Value")

NextStep: TypeAlias = Callable[[], Awaitable[None]]
"""The value of a choice that is followed by a step, such as another question."""


@dataclass(frozen=True, slots=True)
class Choice(Generic[Value]):
    """One line of a picker."""

    value: Value
    line: str
    about: str = ""
    """The text below the list while the cursor is on it."""
    refusal: str = ""
    """Why it cannot be chosen; empty if it can."""


def marked_lines(rows: Sequence[tuple[str, str]], present: int | None) -> list[str]:
    """Return aligned lines of name and description, with a filled mark before the one at index `present`."""
    width = max((cell_len(name) for name, _ in rows), default=0)
    return [f"{'●' if at == present else '○'} {fit(name, width)}  {words}" for at, (name, words) in enumerate(rows)]


_LINE: Final[Column[Choice[Any]]] = Column("line", "", 1, 1, lambda choice, _: ListCell(choice.line))

_CHOICES: Final[Resource[Choice[Any], str]] = in_memory(
    "Choices", "choice", (_LINE,), lambda choice: choice.line, ""
)._replace(filter_help="a part of a line")
"""The lines of a picker, as far as its filter knows them."""


class Picker(ActionView[Value]):
    """Asks for one of several values.

    Args:
        title: The title of the pane.
        choices: The choices; at least one.
        asked_by: See `ActionView`.
        of: What they are about, for the title.
        at: The index of the choice under the cursor at first.
        about: The text above the list.
        more_scopes: Scopes of actions besides those of every picker.
    """

    scope = "picker"
    leaves_panel = True
    holds_letters = True
    BINDINGS = bindings("picker", "copies", "question")
    opens = "choose"

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice[Value]],
        *,
        asked_by: str = "",
        of: str = "",
        at: int = 0,
        about: str = "",
        more_scopes: tuple[Scope, ...] = (),
    ) -> None:
        super().__init__()
        self.asked_by = asked_by
        self.more_scopes = more_scopes
        self._title = Content.assemble(content(title, "bold"), content(f"  {of}" if of else ""))
        self._choices = choices
        self._at = at
        self._about = about
        self._shown = choices
        self._filter_bar = FilterBar(_CHOICES)

    def compose(self) -> ComposeResult:
        if self._about:
            yield ShortText(self._about)
        yield self._filter_bar
        yield ChoiceList(id="picker-list")
        yield ShortText(id="picker-about")

    def on_mount(self) -> None:
        self._show(self._choices)

    def _show(self, choices: Sequence[Choice[Value]]) -> None:
        """List some of the choices, with the cursor on the one that it was on at first, else on the first one."""
        first, self._shown = self._choices[self._at], choices
        at = next((line for line, choice in enumerate(choices) if choice is first), 0)
        self.query_one(ChoiceList).show((choice.line for choice in choices), at if choices else None)
        self._show_about()

    def _show_about(self) -> None:
        words = choice.about if (choice := self.under_cursor) is not None else _CHOICES.nothing_found
        about = self.query_one("#picker-about", ShortText)
        about.display = bool(words)
        about.text = content(words)

    def title(self) -> Content:
        return self._title

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._show_about()

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        event.stop()
        finds = event.filter or (lambda _cells: True)
        self._show([choice for choice in self._choices if finds(cells_to_search(_CHOICES.columns, choice, 0))])

    def take_focus(self) -> None:
        self.screen.set_focus(self.query_one(ChoiceList))

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        event.stop()
        self.take_focus()

    @property
    def under_cursor(self) -> Choice[Value] | None:
        index = self.query_one(ChoiceList).highlighted
        return self._shown[index] if index is not None else None

    def action_filter_choices(self) -> None:
        self._filter_bar.open()

    def action_choose(self) -> None:
        if (choice := self.under_cursor) is None:
            return
        if choice.refusal:
            self.say(choice.refusal, "error")
        else:
            self.dismiss(choice.value)


class LineQuestion(ActionView[str]):
    """Asks for one line of text.

    Args:
        title: The title of the pane.
        about: The text above the line.
        text: The initial text of the line.
        check: Raises ValueError, with a sentence, for an invalid line.
    """

    scope = "line"
    leaves_panel = True
    opens = "keep_line"
    DEFAULT_CSS = "LineQuestion #line { padding: 0 1; }"

    def __init__(self, title: str, about: str, text: str, check: Callable[[str], object]) -> None:
        super().__init__()
        self._title, self._about, self._text, self._check = title, about, text, check

    def compose(self) -> ComposeResult:
        box = LineInput(id="line", select_on_focus=True)
        box.value = visible(self._text)
        yield Static(content(self._about), markup=False)
        yield box

    def title(self) -> Content:
        return content(self._title, "bold")

    @on(LineInput.Changed)
    def _typed(self) -> None:
        self.post_message(self.Changed())

    def action_keep_line(self) -> None:
        box = self.query_one(LineInput)
        typed = box.value
        line = " ".join(typed.split())
        try:
            self._check(line)
        except ValueError as error:
            self.say(str(error), "warning", lambda: box.value == typed)
        else:
            self.dismiss(line)


class ColumnChooser(ActionView[tuple[str, ...]]):
    """Asks which columns to show, in which order. The answer is their keys; an empty one means as many as fit.

    Args:
        columns: All columns of the list.
        chosen: The keys of the columns chosen before, in order; empty for as many as fit.
        automatic: The keys of the columns that fit.
    """

    scope = "columns"
    leaves_panel = True
    holds_letters = True
    opens = "toggle_column"

    def __init__(self, columns: Sequence[Column[Any]], chosen: Sequence[str], automatic: Sequence[str]) -> None:
        super().__init__()
        self._columns = {column.key: column for column in columns}
        self._is_automatic = not chosen
        self._automatic = tuple(automatic)
        self._begin(chosen or automatic)

    def _begin(self, chosen: Sequence[str]) -> None:
        """List the chosen columns in their order, then all others."""
        self._chosen = set(chosen)
        self._order = [*chosen, *(key for key in self._columns if key not in self._chosen)]

    def compose(self) -> ComposeResult:
        yield ChoiceList(id="column-list")

    def on_mount(self) -> None:
        self._draw(0)

    def title(self) -> Content:
        return Content.assemble(("Columns", "bold"), "  as many as fit" if self._is_automatic else "  yours")

    @property
    def _list(self) -> ChoiceList:
        return self.query_one(ChoiceList)

    def _draw(self, at: int) -> None:
        self._list.show(map(self._line, self._order), at)
        self.post_message(self.Changed())

    def _line(self, key: str) -> str:
        column = self._columns[key]
        always = "  always shown" if column.flexible else ""
        return f"{'■' if key in self._chosen else '□'} {column.name}{always}"

    def action_toggle_column(self) -> None:
        at = self._list.highlighted or 0
        if self._columns[self._order[at]].flexible:
            self.say("This column tells the rows apart; it is always shown.")
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
        self._begin(self._automatic)
        self._draw(0)

    def action_keep_columns(self) -> None:
        keys = tuple(key for key in self._order if key in self._chosen)
        if not self._is_automatic and len(keys) < 2:
            words = f"Show at least one more column; {key_of('toggle_column')} shows it."
            self.say(words, "warning")
        else:
            self.dismiss(() if self._is_automatic else keys)
