"""The command palette: a search over the actions by name and help.

Invariant: it lists the actions of the visible view; one that cannot run now is listed with the reason.
"""

from __future__ import annotations

from typing import Any, Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.css.styles import RulesMap
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from runtui.keys.actions import in_scopes
from runtui.keys.names import key_text
from runtui.tui.actions import why_not
from runtui.tui.output import DrawnOnce
from runtui.tui.screens.frame import ViewScreen
from runtui.tui.text import content, highlighted
from runtui.tui.widgets.chrome import unboxed
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.option_lists import PagedList

_MATCH: Final = Style(underline=True)


class ActionText(Content):
    """An action's name and, below, its help. Textual would wrap each line to count them, also those that fit."""

    def get_height(self, rules: RulesMap, width: int) -> int:
        lines = self.plain.split("\n")
        return len(lines) if max(map(cell_len, lines)) <= width else super().get_height(rules, width)


@unboxed
class FoundActions(PagedList, can_focus=False):
    """The list of found actions; the input above keeps the focus."""

    has_cursor = True


class Palette(DrawnOnce[str], ModalScreen[str]):
    """Asks for an action; its answer is the action's id.

    Args:
        screen: The screen whose actions are listed.
    """

    AUTO_FOCUS = "LineInput"
    BINDINGS = [
        Binding("escape", "dismiss", show=False),
        Binding("enter", "choose", show=False),
        Binding("up", "move('cursor_up')", show=False),
        Binding("down", "move('cursor_down')", show=False),
        Binding("pageup", "move('page_up')", show=False),
        Binding("pagedown", "move('page_down')", show=False),
        Binding("ctrl+home,shift+home", "move('first')", show=False),
        Binding("ctrl+end,shift+end", "move('last')", show=False),
    ]
    DEFAULT_CSS = """
    Palette > Vertical { margin: 3 0 0 0; }
    Palette LineInput { margin: 0 0 1 0; }
    Palette FoundActions { height: 1fr; overflow-y: scroll; scrollbar-size: 0 1; }
    """

    def __init__(self, screen: ViewScreen[Any]) -> None:
        super().__init__()
        now = screen.chrome.context()
        self._actions = [
            (action, why_not(action, now) or f"{action.help} ({action.shown_key})")
            for action in in_scopes(*screen.scopes)
            if action.id != "palette"
        ]
        self._found = FoundActions()

    def compose(self) -> ComposeResult:
        words = f"Search for an action; {key_text('enter')} runs it, {key_text('escape')} closes"
        yield Vertical(LineInput(placeholder=words), self._found)

    def on_mount(self) -> None:
        self._search("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._search(event.value.strip())

    def _search(self, text: str) -> None:
        """List the actions that match a text ("" matches all): first those whose name starts with it, then by score."""
        matcher = Matcher(text, match_style=_MATCH)
        found: list[tuple[bool, float, Option]] = []
        for action, words in self._actions:
            name = action.label.capitalize()
            score = matcher.match(f"{name} {action.help}") if text else 1
            if score > 0:
                shown = (highlighted(matcher, name) if text else content(name)).stylize_before("bold")
                option = Option(ActionText.assemble(shown, "\n", content(words)), id=action.id)
                found.append((name.lower().startswith(text.lower()), score, option))
        options = [option for *_, option in sorted(found, key=lambda entry: entry[:2], reverse=True)]
        self._found.set_options(options or [Option(content("No action matches."), disabled=True)])
        self._found.highlighted = 0 if options else None

    async def action_move(self, how: str) -> None:
        """Move the list's cursor; `how` is an action of OptionList."""
        await self._found.run_action(how)

    def action_choose(self) -> None:
        if (option := self._found.highlighted_option) is not None:
            self.dismiss(option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option.id)
