"""Listing all runs of all workflows, again and again: paging, interval, back-off, pause.

Invariant: at most one listing is under way; rows reach the store page by page, and a run leaves the store only after
the whole listing of its workflow has been read without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from runtui.errors import RuntuiError
from runtui.graph.client import Page
from runtui.services.announcer import Announcer
from runtui.services.store import Store

CONCURRENT_WORKFLOWS: Final = 4
"""Listings of workflows under way at once: enough to hide the round trip, few enough not to be throttled."""

MAX_BACK_OFF_SECONDS: Final = 300.0
"""The longest rest that faults alone bring about."""

LISTING_SHARE: Final = 10
"""A rest between two listings is at least this many times as long as the last listing took."""

_MOST_DOUBLINGS: Final = 10
"""Beyond it a rest only grows past every limit."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is to say about the listing."""

    listing: bool = False
    paused: bool = False
    runs_read: int = 0
    """Runs received by the listing under way, or by the last one."""
    finished_at: datetime | None = None
    """When the last whole listing ended (UTC)."""
    fault: RuntuiError | None = None
    """Why the last listing is not whole: the first trouble met, with the server or with the store."""


class RunLister(Protocol):
    """The part of the Graph client that a listing needs."""

    def workflows(self) -> AsyncIterator[Page]:
        """The pages of workflows."""

    def runs(self, workflow_id: str) -> AsyncIterator[Page]:
        """The pages of one workflow's runs."""


class Refresh:
    """Keeps the store as fresh as the interval says."""

    def __init__(self, client: RunLister, store: Store, *, interval: float) -> None:
        self._client = client
        self._store = store
        self._interval = interval
        self._asked = False
        """Whether somebody asked for a listing since the last one began."""
        self._nudge = asyncio.Event()
        """Ends a rest early, so that it looks at what has changed."""
        self._task: asyncio.Task[None] | None = None
        self._strikes = 0
        self.progress = Progress()
        self.changed: Announcer[Progress] = Announcer()

    def start(self) -> None:
        """List now, and go on listing."""
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="refresh")

    def now(self) -> None:
        """List at once, paused or not; during a listing: once more after it."""
        self._asked = True
        self._nudge.set()

    def toggle_pause(self) -> None:
        """Stop listing by the clock, or go on: at once when a listing is due."""
        self._say(paused=not self.progress.paused)
        self._nudge.set()

    async def stop(self) -> None:
        """End the listing under way, if any."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def list_once(self) -> None:
        """Read every workflow and all of its runs into the store; trouble ends up in `progress`, never raised."""
        self._asked = False
        self._say(listing=True, runs_read=0)
        number = self._store.next_listing()
        faults: list[RuntuiError] = []
        try:
            workflow_ids = await self._list_workflows()
        except RuntuiError as error:
            faults.append(error)
        else:
            gate = asyncio.Semaphore(CONCURRENT_WORKFLOWS)
            async with asyncio.TaskGroup() as group:
                for workflow_id in workflow_ids:
                    group.create_task(self._list_runs(workflow_id, number, gate, faults))
        self._strikes = self._strikes + 1 if faults else 0
        self._say(
            listing=False,
            fault=faults[0] if faults else None,
            finished_at=self.progress.finished_at if faults else datetime.now(UTC),
        )

    async def _list_workflows(self) -> tuple[str, ...]:
        """Store the workflows, and nothing that is no longer one of them; their ids, each once."""
        workflows = {item["id"]: item async for page in self._client.workflows() for item in page.items}
        await asyncio.to_thread(self._store.put_workflows, workflows.values())
        await asyncio.to_thread(self._store.keep_workflows, workflows.keys())
        return tuple(workflows)

    async def _list_runs(
        self, workflow_id: str, number: int, gate: asyncio.Semaphore, faults: list[RuntuiError]
    ) -> None:
        async with gate:
            try:
                async for page in self._client.runs(workflow_id):
                    await asyncio.to_thread(self._store.put_runs, workflow_id, page.items, number)
                    self._say(runs_read=self.progress.runs_read + len(page.items))
                await asyncio.to_thread(self._store.finish_listing, workflow_id, number)
            except RuntuiError as error:
                faults.append(error)

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.list_once()
            ended = loop.time()
            await self._rest_until(ended + rest_seconds(self._interval, ended - began, self._strikes))

    async def _rest_until(self, due: float) -> None:
        """Wait until a listing is asked for or due (in the loop's time); in a pause or without interval none is due."""
        loop = asyncio.get_running_loop()
        while not self._asked:
            only_by_hand = self.progress.paused or not self._interval
            if not only_by_hand and loop.time() >= due:
                return
            self._nudge.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if only_by_hand else due):
                    await self._nudge.wait()

    def _say(self, **facts: Any) -> None:
        self.progress = replace(self.progress, **facts)
        self.changed.announce(self.progress)


def rest_seconds(interval: float, took: float, strikes: int) -> float:
    """Seconds to rest after a listing that `took` so long, the `strikes`-th in a row that is not whole."""
    seconds = max(interval, took * LISTING_SHARE)
    if not strikes:
        return seconds
    doublings = min(strikes, _MOST_DOUBLINGS)
    return max(seconds, min(MAX_BACK_OFF_SECONDS, max(seconds, 1.0) * 2.0**doublings))
