"""When a list is drawn: not too often, and never while its rows are being counted.

Invariant: what was asked for last is drawn, at most so often; of several sources that wait to be counted only the last
is drawn. Timers and workers belong to a widget and end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.timer import Timer

from runtui.services.store import RunRows
from runtui.tui.keys import awaited

_COUNTING: Final = awaited("counting")


class Throttle:
    """Runs `call` when asked: at once, then at most once in `seconds`, the last time after the last request."""

    def __init__(self, owner: MessagePump, seconds: float, call: Callable[[], object]) -> None:
        self._owner = owner
        self._seconds = seconds
        self._call = call
        self._resting: Timer | None = None
        self._is_due = False

    def ask(self) -> None:
        """Run it now, or once the rest is over."""
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


class CountAside:
    """Draws rows once they are counted, in a thread where that takes long. The source keeps the count, so that drawing
    it afterwards reads a slice and nothing more."""

    def __init__(self, owner: DOMNode) -> None:
        self._owner = owner

    def then(self, rows: RunRows, draw: Callable[[RunRows], None]) -> None:
        """Draw the rows: at once, or as soon as they are counted; rows that still wait are dropped."""
        self._owner.workers.cancel_group(self._owner, _COUNTING)
        if not rows.is_slow_to_count:
            draw(rows)
        else:
            self._owner.run_worker(self._count(rows, draw), group=_COUNTING, description="count what a filter finds")

    async def _count(self, rows: RunRows, draw: Callable[[RunRows], None]) -> None:
        await asyncio.to_thread(rows.count)
        draw(rows)
