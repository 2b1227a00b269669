"""Listing all runs of all workflows, again and again: paging, interval, back-off, pause.

Invariant: at most one listing is under way; rows reach the store page by page, and a run leaves the store only after
the whole listing of its workflow has been read without it. A server that asks to wait is not asked anything meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from runtui.errors import RuntuiError
from runtui.graph.client import GraphError, Pace, Page
from runtui.graph.faults import graph_error
from runtui.graph.waits import wait_of
from runtui.services.announcer import Announcer
from runtui.services.store import Store

CONCURRENT_WORKFLOWS: Final = 4
"""Listings of workflows under way at once: enough to hide the round trip, few enough not to be throttled."""

MAX_BACK_OFF_SECONDS: Final = 300.0
"""The longest rest that faults alone bring about."""

LISTING_SHARE: Final = 10
"""A rest between two listings is at least this many times as long as the last listing took."""

LONGEST_PAGE_WAIT: Final = 60.0
"""The longest wait for one page, in seconds; a server that asks for more is asked again after this long."""

PAGE_RETRIES: Final = 3
"""How often one page is asked for again after the server asked to wait."""

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
    waiting_until: datetime | None = None
    """When the listing goes on (UTC), while the server wants it to wait."""


class RunLister(Protocol):
    """The part of the Graph client that a listing needs."""

    def workflows(self, *, pace: Pace) -> AsyncIterator[Page]:
        """The pages of workflows."""

    def runs(self, workflow_id: str, *, pace: Pace) -> AsyncIterator[Page]:
        """The pages of one workflow's runs."""


class _ListingOverError(Exception):
    """Trouble that every other request of the listing would meet as well."""


class _SharedPace:
    """The pace of one listing: when one of its requests is asked to wait, all of them wait."""

    def __init__(self, longest: float, tell: Callable[[datetime | None], None]) -> None:
        self._longest = longest
        self._tell = tell
        self._resumes_at: float | None = None
        """In the loop's time."""

    async def ready(self) -> None:
        loop = asyncio.get_running_loop()
        while self._resumes_at is not None:
            await asyncio.sleep(self._resumes_at - loop.time())
            if self._resumes_at is not None and loop.time() >= self._resumes_at:
                self._resumes_at = None
                self._tell(None)

    def again(self, error: GraphError, tries: int) -> bool:
        if not _is_busy(error) or tries > PAGE_RETRIES:
            return False
        now = datetime.now(UTC)
        seconds = wait_of(error.exchange, tries, now, longest=self._longest)
        resumes_at = asyncio.get_running_loop().time() + seconds
        if self._resumes_at is None or resumes_at > self._resumes_at:
            self._resumes_at = resumes_at
            self._tell(now + timedelta(seconds=seconds))
        return True


class Refresh:
    """Keeps the store as fresh as the interval says."""

    def __init__(
        self, client: RunLister, store: Store, *, interval: float, longest_wait: float = LONGEST_PAGE_WAIT
    ) -> None:
        self._longest_wait = longest_wait
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
        pace = _SharedPace(self._longest_wait, lambda until: self._say(waiting_until=until))
        faults: list[RuntuiError] = []
        try:
            workflow_ids = await self._list_workflows(pace)
        except RuntuiError as error:
            faults.append(error)
        else:
            await self._list_all_runs(workflow_ids, number, pace, faults)
        self._strikes = self._strikes + 1 if faults else 0
        self._say(
            listing=False,
            waiting_until=None,
            fault=faults[0] if faults else None,
            finished_at=self.progress.finished_at if faults else datetime.now(UTC),
        )

    async def _list_workflows(self, pace: Pace) -> tuple[str, ...]:
        """Store the workflows, and nothing that is no longer one of them; their ids, each once."""
        workflows = {item["id"]: item async for page in self._client.workflows(pace=pace) for item in page.items}
        await asyncio.to_thread(self._store.put_workflows, workflows.values())
        await asyncio.to_thread(self._store.keep_workflows, workflows.keys())
        return tuple(workflows)

    async def _list_all_runs(
        self, workflow_ids: Iterable[str], number: int, pace: Pace, faults: list[RuntuiError]
    ) -> None:
        """Some workflows at a time; trouble with one of them stops the others only when it concerns them as well."""
        remaining = iter(workflow_ids)

        async def work() -> None:
            for workflow_id in remaining:
                try:
                    await self._list_runs(workflow_id, number, pace)
                except RuntuiError as error:
                    faults.append(error)
                    if _concerns_all(error):
                        raise _ListingOverError from error

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENT_WORKFLOWS):
                    group.create_task(work())
        except* _ListingOverError:
            pass  # its cause is among the faults

    async def _list_runs(self, workflow_id: str, number: int, pace: Pace) -> None:
        async for page in self._client.runs(workflow_id, pace=pace):
            await asyncio.to_thread(self._store.put_runs, workflow_id, page.items, number)
            self._say(runs_read=self.progress.runs_read + len(page.items))
        await asyncio.to_thread(self._store.finish_listing, workflow_id, number)

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


def _is_busy(error: GraphError) -> bool:
    """Whether Graph itself says that it cannot answer now (429, 503), so that asking again later makes sense."""
    return error.fault.status in (429, 503) and graph_error(error.exchange) is not None


def _concerns_all(error: RuntuiError) -> bool:
    """Whether every other request would meet the same: the token is refused, or the server is busy for long."""
    return isinstance(error, GraphError) and (error.fault.status == 401 or _is_busy(error))


def rest_seconds(interval: float, took: float, strikes: int) -> float:
    """Seconds to rest after a listing that `took` so long, the `strikes`-th in a row that is not whole."""
    seconds = max(interval, took * LISTING_SHARE)
    if not strikes:
        return seconds
    doublings = min(strikes, _MOST_DOUBLINGS)
    return max(seconds, min(MAX_BACK_OFF_SECONDS, max(seconds, 1.0) * 2.0**doublings))
