"""What a person does comes first: long work is done in pieces, and waits a moment after each key.

Invariant: nothing here knows what a key is. Work waits a bounded time: a key that is held down slows it, and does not
stop it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MAX_SECONDS: Final = 0.03
"""The longest wait for what is typed at a time."""

_LOOK_SECONDS: Final = 0.001
"""Between two looks whether it was handled."""

_LATELY_SECONDS: Final = 0.25

PIECE_SECONDS: Final = 0.0003
"""What is computed between two turns of the event loop."""


class Foreground:
    """Says whether a person waits for an answer. Any thread may call anything."""

    def __init__(self) -> None:
        self._input_at = self._until = self._asked_at = float("-inf")
        self._after_next: list[Callable[[], object]] = []

    def note_input(self) -> None:
        """A person has typed something. The wait for what was typed before becomes no longer by that."""
        self._input_at = time.monotonic()
        if self._input_at >= self._until:
            self._until = self._input_at + MAX_SECONDS

    def note_handled(self) -> None:
        """All that was typed has taken effect."""
        self._until = float("-inf")
        after_next, self._after_next = self._after_next, []
        for call in after_next:
            call()

    def call_after_next_input(self, call: Callable[[], object]) -> None:
        """Call when what is typed next has taken effect: there is the most time then until something more is typed."""
        self._after_next.append(call)

    def had_input_within(self, seconds: float) -> bool:
        return time.monotonic() < self._input_at + seconds

    @property
    def has_unhandled_input(self) -> bool:
        return time.monotonic() < self._until

    @property
    def has_waiters(self) -> bool:
        """Whether there is work that has to know when what was typed has taken effect."""
        return bool(self._after_next) or time.monotonic() < self._asked_at + _LATELY_SECONDS

    async def yield_to_input(self) -> None:
        """Between two pieces of work on the event loop: have everything else that is ready done first."""
        import asyncio  # the first rows are on the terminal before it is loaded

        await asyncio.sleep(0)
        self._asked_at = time.monotonic()
        while self.has_unhandled_input:  # noqa: ASYNC110 - any thread may answer, and it becomes longer by no key
            await asyncio.sleep(_LOOK_SECONDS)

    def yield_to_input_in_thread(self) -> None:
        """Between two pieces of work in a thread: let the event loop go on, which a thread that computes holds up."""
        self._asked_at = time.monotonic()
        while self.has_unhandled_input:
            time.sleep(_LOOK_SECONDS)
