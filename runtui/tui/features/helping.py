"""The help, as rows to choose from.

Invariant: keys that work where the help was opened come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from runtui.keys.actions import Scope
from runtui.keys.help import HELP_COLUMNS, LINES_BELOW, HelpRow, help_rows
from runtui.tui.features.feature import Feature, Features
from runtui.tui.resources import ROW_FLAGS, Resource, in_memory
from runtui.tui.screens.frame import when_answered
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.row_list import ReadList

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
    HelpView #help-about {{ height: {LINES_BELOW}; }}
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
        from runtui.tui.palette import Palette

        palette = Palette(self._chrome.front)
        async with self._chrome.mounting:
            await self._chrome.app.mount_ahead(palette)
        await self._chrome.app.push_screen(palette, when_answered(self._run))

    async def _run(self, action_id: str) -> None:
        await self._chrome.front.action_run_by_name(action_id)
