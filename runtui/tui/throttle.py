"""Doing something at once, and not too often.

Invariant: whatever was asked for is done, the last time after the last request; between two times lies the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer


class Throttle:
    """Runs `call` when asked, at most once in `seconds`; its timer belongs to `owner` and ends with it."""

    def __init__(self, owner: MessagePump, seconds: float, call: Callable[[], object]) -> None:
        self._owner = owner
        self._seconds = seconds
        self._call = call
        self._resting: Timer | None = None
        self._is_due = False

    def ask(self) -> None:
        """Do it now, or once the rest is over."""
        if self._resting is not None:
            self._is_due = True
            return
        self._resting = self._owner.set_timer(self._seconds, self._rested)
        self._call()

    def _rested(self) -> None:
        self._resting = None
        if self._is_due:
            self._is_due = False
            self.ask()
