"""What every view shares: running an action of the registry, or saying why it cannot run.

Invariant: an action whose reason speaks is never run, whichever key, hint or palette entry asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable

from textual.widget import Widget

from runtui.tui.actions import ACTION_BY_ID, Situation
from runtui.tui.messages import Said


class Acting(Widget):
    """A widget with actions of its own in the registry; `situation` says what can be done now."""

    def __init__(self, situation: Callable[[], Situation], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.situation = situation

    def take_focus(self) -> None:
        """Give this view the keys."""
        raise NotImplementedError

    async def action_perform(self, action_id: str) -> None:
        """Run one action, or say why not."""
        action = ACTION_BY_ID[action_id]
        if reason := action.reason(self.situation()):
            self.post_message(Said(reason, "warning", lambda: action.reason(self.situation()) == reason))
            return
        outcome = getattr(self, f"action_{action_id}")()
        if isawaitable(outcome):
            await outcome
