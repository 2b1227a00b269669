"""What a person does comes first: long work is done in pieces, and waits a moment after each key.

Invariant: nothing here knows what a key is. Work waits a bounded time: a key that is held down slows it, and does not
stop it.
"""

from __future__ import annotations

import time
from typing import Final

TAKES_EFFECT_SECONDS: Final = 0.01
"""In this time a key is answered and the answer is drawn."""

PIECE_SECONDS: Final = 0.0003
"""What is computed between two turns of the event loop."""


class Foreground:
    """Says whether a person waits for an answer. Any thread may call anything."""

    def __init__(self) -> None:
        self._until = 0.0

    def touch(self) -> None:
        """A person has typed something."""
        self._until = time.monotonic() + TAKES_EFFECT_SECONDS

    def was_touched(self, seconds: float) -> bool:
        """Whether a person has typed something in the last `seconds`."""
        return time.monotonic() < self._until - TAKES_EFFECT_SECONDS + seconds

    async def let_pass(self) -> None:
        """Between two pieces of work on the event loop: have everything else that is ready done first."""
        import asyncio  # the first rows are on the terminal before it is loaded

        await asyncio.sleep(max(0.0, self._until - time.monotonic()))

    def let_pass_in_thread(self) -> None:
        """Between two pieces of work in a thread: let the event loop go on, which a thread that computes holds up."""
        time.sleep(max(0.0, self._until - time.monotonic()))
