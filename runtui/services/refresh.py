"""Listing the runs of all workflows, again and again: paging, interval, back-off, pause.

Invariant: at most one listing is under way; rows reach the store page by page, and a run leaves the store only after
the full listing of its workflow has been read without it. A workflow that cannot be read costs the others nothing.

A workflow whose runs are known is asked for those that changed since, by the service's clock alone (`changes_since`).
It is listed in full from time to time, after a doubt, when somebody asks for it, and where the service does not say
what time it is or refuses the filter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from runtui.announcer import Announcer
from runtui.domain.rows import storable
from runtui.domain.text import fit_cells, visible
from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS
from runtui.errors import RuntuiError
from runtui.graph.pages import CollectionPage, GraphError
from runtui.graph.retry import Backoff, Pace, Wait, back_off, concerns_all
from runtui.services.store import Store
from runtui.services.store_file import (
    BY_ID,
    KnownListing,
    KnownListings,
    known_listings,
    put_filter_refused,
    put_listing,
)

_logger: Final = logging.getLogger("runtui.refresh")

CONCURRENT_WORKFLOWS: Final = 4
"""Listings of workflows under way at once: enough to hide the round trip, few enough not to be throttled."""

LISTING_SHARE: Final = 10
"""A rest between two listings is at least this many times as long as the last listing took."""

LONGEST_PAGE_WAIT: Final = 60.0
"""The longest wait for one page, in seconds; a server that asks for more is asked again after this long."""

OVERLAP: Final = 5 * 60 * TICKS_PER_SECOND
"""Changes are asked for from so long before the last listing on: the clocks of a service's servers differ, and a change
may show up late."""

FULL_EVERY: Final = 3600 * TICKS_PER_SECOND
"""How long deleted runs may stay in the list, and a change of which lastUpdatedDateTime does not tell may be missed."""

REFUSED_FOR: Final = 24 * 3600 * TICKS_PER_SECOND
"""How long a service that refuses the filter is not asked for changes again."""

_NO_FILTER: Final = frozenset({400, 501})
"""How a service says that it cannot filter by lastUpdatedDateTime."""

_OF_THE_MOMENT: Final = frozenset({401, 408, 429})
"""The refusals that are none of what is asked for."""

MOST_NAMED: Final = 3
"""Workflows that are named where not all of them can be read."""

MOST_NAME_CELLS: Final = 40
"""The most cells of a name in such a sentence."""


class UnreadWorkflow(NamedTuple):
    """A workflow whose runs could not be read."""

    workflow_id: str
    name: str
    """Its display name, or its id where it has none."""
    fault: RuntuiError

    @property
    def short_name(self) -> str:
        """The name, cut so that what is said of it stays in sight."""
        return fit_cells(visible(self.name), MOST_NAME_CELLS).rstrip()

    def __str__(self) -> str:
        return f"The runs of {self.short_name} could not be read: {self.fault}"

    @property
    def words(self) -> str:
        """What to say of a list that lacks its runs."""
        return f"The list is incomplete. {self}"


class Progress(NamedTuple):
    """What there is to say about the listing."""

    listing: bool = False
    paused: bool = False
    runs_read: int = 0
    """Runs received by the listing under way, or by the last one."""
    finished_at: datetime | None = None
    """When the last listing ended that read all it could (UTC)."""
    fault: RuntuiError | None = None
    """Why the last listing broke off: trouble that each of its requests would meet."""
    missing: tuple[UnreadWorkflow, ...] = ()
    """The workflows that the last listing could not read, beside those it read."""
    waiting_until: datetime | None = None
    """When the listing goes on (UTC), while it waits before it asks again."""
    waiting: str = ""
    """`Wait.words` meanwhile."""

    @property
    def complaint(self) -> RuntuiError | None:
        """Why the list is incomplete; None when it is whole."""
        if self.fault is not None or not self.missing:
            return self.fault
        named = [missing.short_name for missing in self.missing[:MOST_NAMED]]
        more = len(self.missing) - len(named)
        title = f"The runs of {', '.join(named)}{f' and {more} more' if more else ''} could not be read"
        fault = self.missing[0].fault
        if {missing.fault.title for missing in self.missing} == {fault.title}:
            return RuntuiError(title, fault.summary, fault.hint)
        reasons = (f"{missing.short_name}: {missing.fault.title}." for missing in self.missing[:MOST_NAMED])
        return RuntuiError(title, " ".join(reasons))


class RunLister(Protocol):
    """The part of the Graph client that a listing needs."""

    def workflows(self, *, pace: Pace) -> AsyncIterator[CollectionPage]:
        """The pages of workflows."""

    def runs(self, workflow_id: str, *, changed_since: int | None = None, pace: Pace) -> AsyncIterator[CollectionPage]:
        """The pages of one workflow's runs, or of those that changed since (ticks)."""


class UpToDate(NamedTuple):
    """Runs that the store has as the service has them, each told once by a listing."""

    workflow_id: str
    rows: Sequence[int] | None
    """Their row numbers; None: all runs that the store has of the workflow."""


class _ListingOverError(Exception):
    """Trouble that every other request of the listing would meet as well."""


@dataclass(slots=True)
class _Listing:
    """One listing under way, and what became of it."""

    number: int
    backoff: Backoff
    names: Mapping[str, str] = field(default_factory=dict)
    """The workflows: their names, by id."""
    now: int | None = None
    """The service's clock (ticks) when no runs had been asked for yet; None: it does not tell."""
    known: KnownListings = field(default_factory=lambda: KnownListings({}, None))
    missing: list[UnreadWorkflow] = field(default_factory=list)
    fault: RuntuiError | None = None
    was_full: bool = False
    """Whether all runs of some workflow were read."""

    @property
    def is_known(self) -> bool:
        """Whether all there is was read, and the service can tell what changes from now on."""
        can_tell = self.now is not None and self.known.filter_refused is None
        return can_tell and not self.missing and self.fault is None


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
        self._full_asked = False
        """Whether it is to be one in full."""
        self._nudge = asyncio.Event()
        """Ends a rest early, so that it looks at what has changed."""
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        """How many listings in a row read nothing."""
        self._last_page_at = 0.0
        """In the loop's time, when the last page came."""
        self._next_is_short = False
        """Whether the last listing read all runs of some workflow, and the next one asks for changes alone."""
        self.is_broken = False
        """Whether nothing is listed any more, by a defect; `progress` has the fault."""
        self.progress = Progress()
        self.changed: Announcer[Progress] = Announcer()
        self.up_to_date: Announcer[UpToDate] = Announcer()
        """Told page by page where a workflow is read in full, and once its changes are read."""

    def start(self) -> None:
        """List now, and go on listing."""
        self._may_go_on.set()
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="refresh")
            self._task.add_done_callback(self._ended)

    def hold(self) -> None:
        """Ask for no more runs until `start`: somebody waits for something else."""
        self._may_go_on.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Tell of a defect that ends the listing: a list that nobody reads any more must not look like one."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        task.get_loop().call_exception_handler({"message": "the listing failed", "exception": error, "task": task})
        what = f"A defect of runtui ended it ({type(error).__name__})."
        self.is_broken = True
        self._say(listing=False, fault=RuntuiError("The runs are read no longer", what, "Start runtui again."))

    def now(self, *, full: bool = False) -> None:
        """List at once, paused or not; during a listing: once more after it."""
        self._asked = True
        self._full_asked = self._full_asked or full
        self._nudge.set()

    def doubt(self, workflow_id: str) -> None:
        """Have the next listing read all runs of a workflow: one may have changed without saying so."""
        self._store.doubted.add(workflow_id)

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

    async def list_once(self, *, full: bool = False, sorts: Collection[str] | None = None) -> None:
        """Bring the store up to date, workflow by workflow; trouble ends up in `progress`, never raised. `full` reads
        all runs, also where the changes would do; by the columns in `sorts` (None: all) the list is then sorted
        quickly.
        """
        full, self._full_asked = full or self._full_asked, False
        self._asked = False
        self._last_page_at = asyncio.get_running_loop().time()
        failed_before = frozenset(missing.workflow_id for missing in self.progress.missing)
        self._say(listing=True, runs_read=0)
        listing = _Listing(self._store.next_listing(), Backoff(self._tell_wait, longest=self._longest_wait))
        try:
            await self._list_workflows(listing)
            if listing.known.by_workflow:  # most of what is to be sorted is there
                await asyncio.to_thread(self._store.complete_orders, sorts)
            if full:
                self._store.doubted.update(listing.names)
            await self._list_all_runs(listing, failed_before)
            await asyncio.to_thread(self._store.complete_orders, sorts and {*sorts, BY_ID})
        except RuntuiError as error:
            listing.fault = error
        self._next_is_short = listing.was_full and listing.is_known
        read_nothing = listing.fault is not None or len(listing.missing) == len(listing.names) > 0
        self._failures = self._failures + 1 if read_nothing else 0
        _logger.info(
            "listing %d: %d of %d workflows%s",
            listing.number,
            len(listing.names) - len(listing.missing),
            len(listing.names),
            f", {listing.fault}" if listing.fault else "",
        )
        self._say(
            listing=False,
            waiting_until=None,
            fault=listing.fault,
            missing=tuple(listing.missing),
            finished_at=self.progress.finished_at if read_nothing else datetime.now(UTC),
        )

    async def _list_workflows(self, listing: _Listing) -> None:
        """Store the workflows, and nothing that is no longer one of them; note their names, and what is known."""
        workflows: dict[str, dict[str, Any]] = {}
        async for page in self._client.workflows(pace=Pace(listing.backoff)):
            workflows |= {item["id"]: item for item in page.items}
            listing.now = _ticks(page.exchange.answered_at)
        await asyncio.to_thread(self._store.put_workflows, workflows.values())
        await asyncio.to_thread(self._store.keep_workflows, workflows.keys())
        listing.names = {key: str(item.get("displayName") or key) for key, item in workflows.items()}
        with self._store.reading() as db:
            listing.known = known_listings(db)

    async def _list_all_runs(self, listing: _Listing, failed_before: frozenset[str]) -> None:
        """Some workflows at a time; trouble with one of them stops the others only when it concerns them as well."""
        remaining = iter(listing.names)

        async def work() -> None:
            for workflow_id in remaining:
                pace = Pace(listing.backoff, failed_before=workflow_id in failed_before)
                try:
                    await self._list_runs(workflow_id, listing, pace)
                except RuntuiError as error:
                    if isinstance(error, GraphError) and concerns_all(error.exchange):
                        listing.fault = listing.fault or error
                        raise _ListingOverError from error
                    listing.missing.append(UnreadWorkflow(workflow_id, listing.names[workflow_id], error))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENT_WORKFLOWS):
                    group.create_task(work())
        except* _ListingOverError:
            pass  # its cause is the fault of the listing

    async def _list_runs(self, workflow_id: str, listing: _Listing, pace: Pace) -> None:
        """Read the changes of a workflow, or all its runs: the next time if it refuses this time."""
        is_doubted = workflow_id in self._store.doubted
        known = None if is_doubted else listing.known.by_workflow.get(storable(workflow_id))
        self._store.doubted.discard(workflow_id)
        try:
            since = changes_since(known, listing.now, listing.known.filter_refused)
            if known is None or since is None:
                await self._read_all(workflow_id, listing, pace)
            else:
                await self._read_changes(workflow_id, known, since, listing, pace)
        except RuntuiError as error:
            status = (error.exchange.status if isinstance(error, GraphError) else None) or 0
            if is_doubted or (400 <= status < 500 and status not in _OF_THE_MOMENT):
                self._store.doubted.add(workflow_id)
            raise

    async def _read_all(self, workflow_id: str, listing: _Listing, pace: Pace) -> None:
        """Store all runs of a workflow, and no others."""
        listing.was_full = True
        await self._read_pages(workflow_id, None, listing, pace)
        await asyncio.to_thread(self._store.finish_listing, workflow_id, listing.number)
        if listing.now is not None:
            await self._keep(put_listing, workflow_id, KnownListing(listing.now, listing.now))

    async def _read_changes(
        self, workflow_id: str, known: KnownListing, since: int, listing: _Listing, pace: Pace
    ) -> None:
        """Store the runs that changed; all of them where the service cannot tell which, which is remembered."""
        try:
            await self._read_pages(workflow_id, since, listing, pace)
        except GraphError as error:
            if error.exchange.status not in _NO_FILTER:
                raise
            await self._read_all(workflow_id, listing, pace)
            listing.known = listing.known._replace(filter_refused=listing.now)
            await self._keep(put_filter_refused, listing.now)
            return
        self.up_to_date.announce(UpToDate(workflow_id, None))
        # Kept in strides: where nothing changes, nothing is written.
        if listing.now is not None and listing.now - known.as_of >= OVERLAP:
            await self._keep(put_listing, workflow_id, known._replace(as_of=listing.now))

    async def _read_pages(self, workflow_id: str, since: int | None, listing: _Listing, pace: Pace) -> None:
        async for page in self._client.runs(workflow_id, changed_since=since, pace=pace):
            if page.items:
                rows = await asyncio.to_thread(self._store.put_runs, workflow_id, page.items, listing.number)
                if since is None:
                    self.up_to_date.announce(UpToDate(workflow_id, rows))
            self._last_page_at = asyncio.get_running_loop().time()
            self._say(runs_read=self.progress.runs_read + len(page.items))
            del page  # the next one is not to be read beside it
            await self._may_go_on.wait()

    async def _keep(self, put: Callable[..., None], *what: Any) -> None:
        """Keep something about listings for the next one."""

        def work() -> None:
            with self._store.writing() as (db, _):
                put(db, *what)

        await asyncio.to_thread(work)

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.list_once()
            # Waiting for a workflow that fails, while all others are there, makes the rest no longer.
            took = 0.0 if self._next_is_short else self._last_page_at - began
            rest = rest_seconds(self._interval, took, self._failures)
            _logger.info("next listing in %.0f s", rest)
            await self._rest_until(loop.time() + rest)

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

    def _tell_wait(self, wait: Wait | None) -> None:
        self._say(waiting_until=wait and wait.until, waiting=wait.words if wait is not None else "")

    def _say(self, **facts: Any) -> None:
        self.progress = self.progress._replace(**facts)
        self.changed.announce(self.progress)


def changes_since(known: KnownListing | None, now: int | None, refused: int | None) -> int | None:
    """From when on the changes of a workflow make it complete; None: only a full listing does. All moments are of the
    service's clock, in ticks.

    `known` is how far its runs are known (None: not at all, or it is doubted), `now` the present where the service
    tells it, `refused` when it refused to filter.
    """
    if known is None or now is None or (refused is not None and abs(now - refused) < REFUSED_FOR):
        return None
    is_backward = now < known.as_of - OVERLAP
    return None if is_backward or now - known.full_at >= FULL_EVERY else max(0, known.as_of - OVERLAP)


def _ticks(moment: datetime | None) -> int | None:
    return None if moment is None else UNIX_EPOCH_TICKS + int(moment.timestamp()) * TICKS_PER_SECOND


def rest_seconds(interval: float, took: float, failures: int) -> float:
    """Seconds to rest after a listing that `took` so long, the `failures`-th in a row that read nothing."""
    seconds = max(interval, took * LISTING_SHARE)
    return max(seconds, back_off(max(seconds, 1.0), failures)) if failures else seconds
