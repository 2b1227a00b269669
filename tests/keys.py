"""Waiting for the queue of keys, which only tests have to do."""

from __future__ import annotations

import asyncio

from runtui.tui.keys import KeyQueue


async def drained(keys: KeyQueue) -> None:
    """Wait until all events are routed and the last one has taken effect."""
    if keys._task is not None:
        await asyncio.wait((keys._task,))
    await keys._wait_settled(keys._outstanding)
