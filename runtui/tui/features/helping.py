"""Finding an action: the help, as rows to choose from, and the palette, a search by name and help.

Invariant: in the help, keys that work where it was opened come first. The palette lists the actions of the visible
view; one that cannot run now is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
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
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from runtui.keys.actions import Scope, in_scopes
from runtui.keys.help import HELP_COLUMNS, LINES_BELOW, HelpRow, help_rows
from runtui.tui.actions import why_not
from runtui.tui.features.feature import Feature, Features
from runtui.tui.output import DrawnOnce
from runtui.tui.resources import ROW_FLAGS, Resource, in_memory
from runtui.tui.screens.frame import ViewScreen, when_answered
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content, highlighted
from runtui.tui.widgets.chrome import unboxed
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.option_lists import PagedList
from runtui.tui.widgets.row_list import ReadList

_MATCH: Final = Style(underline=True)

HELP: Final[Resource[HelpRow, int]] = in_memory("Help", "key", HELP_COLUMNS, lambda row: row.number, "")._replace(
    filter_help="a part of a key, of what it does, or of where it works", fields=()
)


class HelpView(ActionView[str]):
    """The list of keys and words; its answer is the id of the action to run."""

    scope = "help"
    leaves_panel = True
    opens = "run_action"
    DEFAULT_CSS = f"""
    HelpView ColumnHeader {{ display: none; }}
    HelpView #help-about {{ height: {LINES_BELOW}; padding: 0 1; }}
    """
    list: ReadList[HelpRow, int]

    def __init__(self) -> None:
        super().__init__()
        self.list = ReadList(HELP, name="help")
        self._about = Static(id="help-about", markup=False)

    def compose(self) -> ComposeResult:
        yield self.list
        yield self._about

    def open(self, here: Iterable[Scope]) -> None:
        """Start at the top, without a filter; `here` are the scopes whose keys work where it is opened, the nearest
        first."""
        from runtui.services.records.journal_query import ENTRY_FILTER_HELP

        self.list.filter_bar.close()
        self.list.begin("")
        self.list.put(help_rows(here, ENTRY_FILTER_HELP, ROW_FLAGS))
        self.list.table.move_to(1)  # the first heading cannot be chosen
        self.on_line_table_cursor_moved()
        self.list.table.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.take_focus()

    def title(self) -> Content:
        return self.list.heading()

    def on_line_table_cursor_moved(self) -> None:
        row = self.list.row
        self._about.update(content(row.whole if row is not None else ""), layout=False)

    def action_run_action(self) -> None:
        row = self.list.row
        if row is not None and row.action_id:
            self.dismiss(row.action_id)
        else:
            self.say("There is nothing to run on this line.", "warning")

    def action_filter_help(self) -> None:
        self.list.filter_bar.open()

    action_close = ActionView.action_leave_view
    action_close_by_quit = ActionView.action_leave_question


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
        Binding("up", "move('cursor_up')", show=False),
        Binding("down", "move('cursor_down')", show=False),
        Binding("pageup", "move('page_up')", show=False),
        Binding("pagedown", "move('page_down')", show=False),
        Binding("ctrl+home,shift+home", "move('first')", show=False),
        Binding("ctrl+end,shift+end", "move('last')", show=False),
    ]
    DEFAULT_CSS = """
    Palette > Vertical { margin: 3 0 1 0; }
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
        yield Vertical(LineInput(placeholder="Search for an action…"), self._found)

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
        self._found.clear_options()
        self._found.add_options(options or [Option(content("No action matches."), disabled=True)])
        self._found.highlighted = 0 if options else None

    async def action_move(self, how: str) -> None:
        """Move the list's cursor; `how` is an action of OptionList."""
        await self._found.run_action(how)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if (option := self._found.highlighted_option) is not None:
            self.dismiss(option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option.id)


class Helping(Feature):
    """Opens the help and the palette, and runs the chosen action."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._view = HelpView()
        self.screen = self._chrome.install(self._view)

    async def action_help(self) -> None:
        if self.screen.is_open:
            self._chrome.close(self.screen)
            return
        here = self._chrome.front.scopes_of_keys
        await self._chrome.open(self.screen, when_answered(self._run), fill=lambda: self._view.open(here))

    async def action_palette(self) -> None:
        palette = Palette(self._chrome.front)
        async with self._chrome.mounting:
            await self._chrome.app.mount_ahead(palette)
        await self._chrome.app.push_screen(palette, when_answered(self._run))

    async def _run(self, action_id: str) -> None:
        await self._chrome.front.action_run_by_name(action_id)
