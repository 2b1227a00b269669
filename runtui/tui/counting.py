"""Counting what a query finds before it is drawn, beside the event loop where that takes long.

Invariant: only the query asked for last is drawn. The store keeps the count, so that drawing it afterwards reads a
slice and nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from textual.dom import DOMNode

from runtui.services.store import EVERY_RUN, Query, Store
from runtui.tui.keys import awaited

MANY_RUNS: Final = 20_000
"""Runs from which on a filter is counted in a thread; below, it takes a few milliseconds."""

_GROUP: Final = awaited("counting")


class CountAside:
    """Has queries counted, then drawn; its workers belong to `owner` and end with it."""

    def __init__(self, owner: DOMNode, store: Store) -> None:
        self._owner = owner
        self._store = store

    def then(self, query: Query, draw: Callable[[Query], None]) -> None:
        """Draw the query: at once, or as soon as it is counted; a query that still waits is dropped."""
        self._owner.workers.cancel_group(self._owner, _GROUP)
        if query.filter is None or self._store.count(EVERY_RUN) < MANY_RUNS:
            draw(query)
        else:
            self._owner.run_worker(self._count(query, draw), group=_GROUP, description="count what a filter finds")

    async def _count(self, query: Query, draw: Callable[[Query], None]) -> None:
        await asyncio.to_thread(self._store.count, query)
        draw(query)
