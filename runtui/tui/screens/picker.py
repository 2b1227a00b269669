"""A list to choose one thing from: a format, a scenario, a profile.

Invariant: nothing happens here; the answer is what was chosen, or None. What cannot be chosen is shown, and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from runtui.keys.actions import Scope
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.inputs import ChoiceList

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Choice(Generic[Value]):
    """One line of the list."""

    value: Value
    line: str
    about: str = ""
    """What is said below the list while the cursor stands on it."""
    refusal: str = ""
    """Why it cannot be chosen; empty when it can."""


class Picker(ActionView[Value]):
    """Asks for one of some values.

    Args:
        name: What is asked for, in one word: it is asked once at a time.
        title: The first line.
        choices: What there is; at least one.
        at: Where the cursor stands at first.
        about: What stands above the list.
        shared: Whose actions there are beside those of every list to choose from.
    """

    scope = "picker"
    BINDINGS = bindings("picker", "copies")
    opens = "choose"
    DEFAULT_CSS = """
    Picker { layout: vertical; height: 1fr; }
    Picker ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    Picker Static { height: auto; max-height: 4; padding: 0 1; }
    """

    def __init__(
        self,
        name: str,
        title: Content,
        choices: Sequence[Choice[Value]],
        *,
        at: int = 0,
        about: str = "",
        shared: tuple[Scope, ...] = (),
    ) -> None:
        super().__init__(name=name)
        self.shared = shared
        self._title = title
        self._choices = choices
        self._at = at
        self._about = about

    def compose(self) -> ComposeResult:
        """What it is about, the list, and more of what the cursor stands on."""
        if self._about:
            yield Static(content(self._about), markup=False)
        yield ChoiceList(id="picker-list")
        yield Static(id="picker-about", markup=False)

    def on_mount(self) -> None:
        """Fill the list."""
        choices = self.query_one(ChoiceList)
        choices.add_options([Option(content(choice.line)) for choice in self._choices])
        choices.highlighted = self._at

    def title(self) -> Content:
        return self._title

    def take_focus(self) -> None:
        """Give the list the keys."""
        self.screen.set_focus(self.query_one(ChoiceList))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another one under the cursor."""
        event.stop()
        about = self.query_one("#picker-about", Static)
        about.display = bool(self._choices[event.option_index].about)
        about.update(content(self._choices[event.option_index].about))

    @property
    def under_cursor(self) -> Choice[Value] | None:
        index = self.query_one(ChoiceList).highlighted
        return self._choices[index] if index is not None else None

    def action_choose(self) -> None:
        """Answer with what the cursor stands on."""
        if (choice := self.under_cursor) is None:
            return
        if choice.refusal:
            self.set_status(choice.refusal, "error")
        else:
            self.answer(choice.value)

    def action_choose_nothing(self) -> None:
        self.answer()
