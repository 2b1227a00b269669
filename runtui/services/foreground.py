"""A person's keys come first: long work is done in pieces, and waits a moment after each key.

Invariant: nothing here knows what a key is. Every wait is bounded: a key that is held down slows work, but does not
stop it.
"""

from __future__ import annotations

import time
from typing import Final

MAX_SECONDS: Final = 0.03
"""The longest wait for input at a time, in seconds."""

_LOOK_SECONDS: Final = 0.001
"""Seconds between two checks whether the input was handled."""

_LATELY_SECONDS: Final = 0.25

PIECE_SECONDS: Final = 0.0003
"""Seconds of computing between two turns of the event loop."""


class Foreground:
    """Knows whether a person waits for an answer. Any thread may call any method."""

    def __init__(self) -> None:
        self._input_at = self._until = self._asked_at = float("-inf")

    def note_input(self) -> None:
        """Note that a person has typed something. This does not lengthen a wait for earlier input."""
        self._input_at = time.monotonic()
        if self._input_at >= self._until:
            self._until = self._input_at + MAX_SECONDS

    def note_handled(self) -> None:
        self._until = float("-inf")

    def had_input_within(self, seconds: float) -> bool:
        return time.monotonic() < self._input_at + seconds

    @property
    def has_unhandled_input(self) -> bool:
        return time.monotonic() < self._until

    @property
    def has_waiters(self) -> bool:
        """True if some work must know when input has taken effect."""
        return time.monotonic() < self._asked_at + _LATELY_SECONDS

    async def yield_to_input(self) -> None:
        """Let everything else that is ready run first; for work on the event loop, between two pieces."""
        import asyncio  # the first rows are on the terminal before asyncio is loaded

        await asyncio.sleep(0)
        self._asked_at = time.monotonic()
        while self.has_unhandled_input:  # noqa: ASYNC110 - any thread may answer, and it becomes longer by no key
            await asyncio.sleep(_LOOK_SECONDS)

    def yield_to_input_in_thread(self) -> None:
        """Let the event loop continue, which a computing thread delays; for work in a thread, between two pieces."""
        self._asked_at = time.monotonic()
        while self.has_unhandled_input:
            time.sleep(_LOOK_SECONDS)
