"""The command palette: the action registry, searchable by name and by what an action does.

Invariant: it lists the actions of the visible view; one that cannot run now is listed with its reason.
"""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any

from textual.binding import Binding
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import Input

from runtui.keys.actions import Action, in_scopes
from runtui.tui.actions import why_not
from runtui.tui.screens.frame import Frame
from runtui.tui.text import content, highlighted, palette_help


class Palette(CommandPalette):
    """Textual's palette, whose page keys do nothing while its list is not shown: Textual 8.2.8 raises KeyError."""

    BINDINGS = [
        Binding("pagedown", "list_page('down')", "Next page", show=False),
        Binding("pageup", "list_page('up')", "Previous page", show=False),
    ]

    def on_mount(self) -> None:
        """An idle screen writes nothing, a cursor that blinks included."""
        self.query_one(Input).cursor_blink = False

    async def action_list_page(self, direction: str) -> None:
        """Move one page of the list up or down."""
        if (commands := self.query_one(CommandList)).scrollable_content_region:
            await commands.run_action(f"page_{direction}")


class ActionProvider(Provider):
    """Feeds Textual's palette."""

    def _actions(self) -> list[tuple[Action, str]]:
        """The actions of the visible view, each with its help, or with the reason why it cannot run."""
        frame = self.screen
        if not isinstance(frame, Frame):
            return []
        now = frame.chrome.context()
        actions = in_scopes(*frame.scopes)
        return [
            (action, why_not(action, now) or f"{action.help} ({action.shown_key})")
            for action in actions
            if action.id != "palette"
        ]

    def _run(self, action: Action) -> partial[Coroutine[Any, Any, None]]:
        frame = self.screen
        assert isinstance(frame, Frame)  # noqa: S101 - _actions lists nothing on another screen
        return partial(frame.action_perform, action.id)

    async def discover(self) -> Hits:
        """List every action while nothing is typed."""
        for action, words in self._actions():
            yield DiscoveryHit(content(_name(action)), self._run(action), text=_name(action), help=palette_help(words))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action, words in self._actions():
            score = matcher.match(f"{_name(action)} {action.help}")
            if score > 0:
                name = _name(action)
                yield Hit(score, highlighted(matcher, name), self._run(action), text=name, help=palette_help(words))


def _name(action: Action) -> str:
    return f"{action.label.capitalize()}"
