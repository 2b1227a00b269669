"""Listing all runs of all workflows, again and again: paging, interval, back-off, pause.

Invariant: at most one listing is under way; rows reach the store page by page, and a run leaves the store only after
the whole listing of its workflow has been read without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from runtui.graph.client import GraphError, Page
from runtui.graph.faults import Fault
from runtui.services.announcer import Announcer
from runtui.services.store import Store

CONCURRENT_WORKFLOWS: Final = 4
"""Listings of workflows under way at once: enough to hide the round trip, few enough not to be throttled."""

MAX_BACK_OFF_SECONDS: Final = 300.0
LISTING_SHARE: Final = 10
"""A pause between two listings is at least this many times as long as the last listing took."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is to say about the listing."""

    listing: bool = False
    paused: bool = False
    runs_read: int = 0
    """Runs received by the listing under way, or by the last one."""
    finished_at: datetime | None = None
    """When the last whole listing ended (UTC)."""
    fault: Fault | None = None
    """Why the last listing is not whole: the first fault met."""
    workflows_failed: int = 0


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
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._strikes = 0
        self.progress = Progress()
        self.changed: Announcer[Progress] = Announcer()

    def start(self) -> None:
        """List now, and go on listing."""
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="refresh")

    def now(self) -> None:
        """List at once, paused or not."""
        self._wake.set()

    def toggle_pause(self) -> None:
        """Stop listing by the clock, or go on."""
        self._say(paused=not self.progress.paused)

    async def stop(self) -> None:
        """End the listing under way, if any."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def list_once(self) -> None:
        """Read every workflow and all of its runs into the store; a fault ends up in `progress`, never raised."""
        self._say(listing=True, runs_read=0)
        number = self._store.next_listing()
        faults: list[Fault] = []
        try:
            workflow_ids = await self._list_workflows()
        except GraphError as error:
            faults.append(error.fault)
        else:
            gate = asyncio.Semaphore(CONCURRENT_WORKFLOWS)
            async with asyncio.TaskGroup() as group:
                for workflow_id in workflow_ids:
                    group.create_task(self._list_runs(workflow_id, number, gate, faults))
        self._strikes = self._strikes + 1 if faults else 0
        self._say(
            listing=False,
            fault=faults[0] if faults else None,
            workflows_failed=len(faults),
            finished_at=self.progress.finished_at if faults else datetime.now(UTC),
        )

    async def _list_workflows(self) -> list[str]:
        workflows: list[dict[str, Any]] = []
        async for page in self._client.workflows():
            workflows.extend(item for item in page.items if isinstance(item.get("id"), str) and item["id"])
        await asyncio.to_thread(self._store.put_workflows, workflows)
        ids = [str(workflow["id"]) for workflow in workflows]
        await asyncio.to_thread(self._store.keep_workflows, ids)
        return ids

    async def _list_runs(self, workflow_id: str, number: int, gate: asyncio.Semaphore, faults: list[Fault]) -> None:
        async with gate:
            try:
                async for page in self._client.runs(workflow_id):
                    await asyncio.to_thread(self._store.put_runs, workflow_id, page.items, number)
                    self._say(runs_read=self.progress.runs_read + len(page.items))
            except GraphError as error:
                faults.append(error.fault)
            else:
                await asyncio.to_thread(self._store.finish_listing, workflow_id, number)

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.list_once()
            await self._rest(loop.time() - began)

    async def _rest(self, took: float) -> None:
        """Wait for the interval (longer after faults and after long listings), or until woken."""
        seconds = max(self._interval, took * LISTING_SHARE)
        if self._strikes:
            seconds = min(MAX_BACK_OFF_SECONDS, max(seconds, 1.0) * 2**self._strikes)
        while True:
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds if self._interval else None):
                    await self._wake.wait()
                return
            except TimeoutError:
                if not self.progress.paused:
                    return

    def _say(self, **facts: Any) -> None:
        self.progress = replace(self.progress, **facts)
        self.changed.announce(self.progress)
