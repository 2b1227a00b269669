"""The periodic listing of the runs of all workflows: paging, interval, back-off, pause.

Invariant: at most one listing is under way. Rows reach the store page by page. A run leaves the store only after a full
listing of its workflow without it, in which every run had an id. A workflow that cannot be read does not stop the
others.

If all runs of a workflow are known, a listing requests only those changed since, by the service's clock alone
(`changes_since`). A full listing follows after an hour, after a doubt, on request, and whenever the service tells no
time or has refused the filter.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.announcer import Announcer
from runtui.domain.rows import storable
from runtui.domain.text import fit_cells, visible
from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS
from runtui.errors import RuntuiError
from runtui.graph.network import return_free_memory
from runtui.graph.pages import CollectionPage, GraphError
from runtui.graph.retry import Backoff, Pace, Wait, concerns_all
from runtui.services.store.file import (
    BY_ID,
    HISTORIES,
    KnownListing,
    known_listings,
    put_listing,
)
from runtui.services.store.store import EVERY_RUN, MANY_RUNS, Store
from runtui.services.tasks import report_defect, side_by_side

if TYPE_CHECKING:
    from runtui.graph.client import GraphClient

_logger: Final = logging.getLogger("runtui.refresh")

CONCURRENT_WORKFLOWS: Final = 4
"""Workflows listed at once: enough to hide the round trip, few enough not to be throttled."""

LISTING_SHARE: Final = 10
"""The rest after a listing lasts at least this many times as long as the listing kept the service busy."""

LONGEST_PAGE_WAIT: Final = 60.0
"""The longest wait for one page, in seconds, even if the server's Retry-After is longer."""

REST_AFTER_FAILURE: Final = 60.0
"""The least rest, in seconds, after a listing that read nothing; a listing has its own back-off besides."""

OVERLAP: Final = 5 * 60 * TICKS_PER_SECOND
"""How far before the last listing a request for changes begins (ticks): the clocks of a service's servers differ, and a
change may show up late."""

FULL_EVERY: Final = 3600 * TICKS_PER_SECOND
"""The most ticks between full listings. Until the next one, deleted runs and changes that lastUpdatedDateTime does not
show stay unnoticed."""

_NO_FILTER: Final = frozenset({400, 501})
"""The HTTP statuses of a service that cannot filter by lastUpdatedDateTime."""

_OF_THE_MOMENT: Final = frozenset({401, 408, 429})
"""The 4xx statuses that are temporary and say nothing about the workflow."""

MAX_NAMED: Final = 3
"""The most unread workflows that a message names."""

MAX_NAME_CELLS: Final = 40
"""The most cells of a workflow's name in such a message."""


class UnreadWorkflow(NamedTuple):
    """A workflow whose runs could not all be read."""

    workflow_id: str
    """Empty for workflows that nobody knows, because the list of workflows could not all be read."""
    name: str
    """The display name, or the id if there is none."""
    fault: RuntuiError

    @property
    def short_name(self) -> str:
        """The name, shortened so that the rest of the message stays visible."""
        return fit_cells(visible(self.name), MAX_NAME_CELLS).rstrip()

    def __str__(self) -> str:
        return f"The runs of {self.short_name} could not all be read: {self.fault}"

    @property
    def lacks_ids_only(self) -> bool:
        """True if every run was read that has an id."""
        return isinstance(self.fault, GraphError) and self.fault.lacks_ids

    @property
    def words(self) -> str:
        """The message for a list without the runs of this workflow."""
        return f"The list is incomplete. {self}"


class Progress(NamedTuple):
    """The state of the listing."""

    listing: bool = False
    paused: bool = False
    finished_at: datetime | None = None
    """The end of the last listing that read anything (UTC)."""
    fault: RuntuiError | None = None
    """Why the last listing stopped early: an error that every request would meet."""
    missing: tuple[UnreadWorkflow, ...] = ()
    """The workflows that the last listing could not read."""
    waiting_until: datetime | None = None
    """When the listing sends its next request (UTC); None unless it waits before a retry."""
    waiting: str = ""
    """The `Wait.words` of a wait before a retry; empty without one."""

    @property
    def why_incomplete(self) -> RuntuiError | None:
        """Why the list is incomplete; None if it is complete."""
        if self.fault is not None or not self.missing:
            return self.fault
        named = [missing.short_name for missing in self.missing[:MAX_NAMED]]
        more = len(self.missing) - len(named)
        title = f"The runs of {', '.join(named)}{f' and {more} more' if more else ''} could not all be read"
        fault = self.missing[0].fault
        if {missing.fault.title for missing in self.missing} == {fault.title}:
            return RuntuiError(title, fault.summary, fault.hint)
        reasons = (f"{missing.short_name}: {missing.fault.title}." for missing in self.missing[:MAX_NAMED])
        return RuntuiError(title, " ".join(reasons))


class UpToDate(NamedTuple):
    """Runs that the store now holds as the service does. A listing announces each run once."""

    workflow_id: str
    rows: Sequence[int] | None
    """Their row numbers; None means all runs of the workflow in the store."""


@dataclass(slots=True)
class _Listing:
    """The state and the result of one listing."""

    number: int
    last_page_at: float
    """The arrival of the last page, in the event loop's time; before the first one, the beginning. A retry of one
    failing workflow may go on long after it."""
    backoff: Backoff
    names: Mapping[str, str] = field(default_factory=dict)
    """The name of each workflow, by id."""
    now: int | None = None
    """The service's time (ticks) before any runs were requested; None if the service tells none."""
    known: Mapping[str, KnownListing] = field(default_factory=dict)
    """How far the runs of each workflow are known, by its id as stored."""
    missing: list[UnreadWorkflow] = field(default_factory=list)
    fault: RuntuiError | None = None
    was_full: bool = False
    """True if the listing read all runs of at least one workflow."""

    @property
    def is_known(self) -> bool:
        """True if every workflow was read and the service can be asked for changes next time."""
        return self.now is not None and not self.missing and self.fault is None


class Refresh:
    """Updates the store from the service at a fixed interval, and on request."""

    def __init__(self, client: GraphClient, store: Store, *, interval: float) -> None:
        self._client = client
        self._store = store
        self._interval = interval
        self._asked = False
        """True if a listing was requested since the last one began."""
        self._full_asked = False
        """True if the requested listing must be full."""
        self._nudge = asyncio.Event()
        """Interrupts a rest, which then looks again whether a listing is due."""
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._task: asyncio.Task[None] | None = None
        self._has_failed = False
        """True if the last listing read nothing."""
        self._took = 0.0
        """How long the last listing kept the service busy, in seconds; 0 if that says nothing about the next one."""
        self._has_filter = True
        """False once the service has refused to list only changes."""
        self.is_broken = False
        """True after a defect ended the listing for good; `progress` has the fault."""
        self.progress = Progress()
        self.changed: Announcer[Progress] = Announcer()
        self.up_to_date: Announcer[UpToDate] = Announcer()
        """Announces each page of a workflow that is read in full, or once when its changes are read."""

    def start(self) -> None:
        """Start to list at once and then at the interval, or continue after `suspend`."""
        self._may_go_on.set()
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="refresh")
            self._task.add_done_callback(self._ended)

    def suspend(self) -> None:
        """Request no more pages of runs until `start`, so that more urgent requests go first."""
        self._may_go_on.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Report a defect that ended the listing: a list without updates must not look like a fresh one."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        report_defect(task)
        what = f"A defect in runtui ended it ({type(error).__name__})."
        self.is_broken = True
        self._announce(listing=False, fault=RuntuiError("The runs are no longer updated", what, "Start runtui again."))

    def now(self, *, full: bool = False) -> None:
        """Request a listing at once, even in a pause; one under way is followed by another. `full` reads all runs."""
        self._asked = True
        self._full_asked = self._full_asked or full
        self._nudge.set()

    def doubt(self, workflow_id: str) -> None:
        """Make the next listing read all runs of a workflow: one may have changed without a new lastUpdatedDateTime."""
        self._store.doubted.add(workflow_id)

    def toggle_pause(self) -> None:
        """Pause or resume auto-refresh; a listing that is due begins at once."""
        self._announce(paused=not self.progress.paused)
        self._nudge.set()

    async def stop(self) -> None:
        """Cancel the periodic listing and wait for its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def list_once(self, *, full: bool = False, sorts: Collection[str] | None = None) -> None:
        """Bring the store up to date, workflow by workflow. A RuntuiError is stored in `progress`, not raised. `full`
        reads all runs even if the changes would do. Then the list sorts quickly by the columns in `sorts` (None: all).
        """
        full, self._full_asked = full or self._full_asked, False
        self._asked = False
        failed_before = frozenset(missing.workflow_id for missing in self.progress.missing)
        self._announce(listing=True)
        began = asyncio.get_running_loop().time()
        listing = _Listing(self._store.next_listing(), began, Backoff(self._announce_wait, longest=LONGEST_PAGE_WAIT))
        try:
            await self._list_workflows(listing)
            if listing.known:  # most runs are stored already, so sorting can begin
                await asyncio.to_thread(self._store.complete_orders, sorts)
            if full:
                self._store.doubted.update(listing.names)
            await self._list_all_runs(listing, failed_before)
            await asyncio.to_thread(self._store.complete_orders, sorts and {*sorts, BY_ID, HISTORIES})
        except RuntuiError as error:
            listing.fault = error
        next_is_shorter = listing.was_full and listing.is_known and self._has_filter  # it requests only changes
        self._took = 0.0 if next_is_shorter else listing.last_page_at - began - listing.backoff.seconds_asked_for
        read = listing.names.keys() - {missing.workflow_id for missing in listing.missing}
        self._has_failed = listing.fault is not None or (bool(listing.names) and not read)
        fault = f", {listing.fault}" if listing.fault else ""
        _logger.info("listing %d: %d of %d workflows%s", listing.number, len(read), len(listing.names), fault)
        self._announce(
            listing=False,
            waiting_until=None,
            waiting="",
            fault=listing.fault,
            missing=tuple(listing.missing),
            finished_at=self.progress.finished_at if self._has_failed else datetime.now(UTC),
        )

    async def _list_workflows(self, listing: _Listing) -> None:
        """Store the workflows, remove those that the service no longer has, and note names and known listings."""
        workflows: dict[str, dict[str, Any]] = {}
        try:
            async for page in self._client.workflows(pace=Pace(listing.backoff)):
                workflows |= {item["id"]: item for item in page.items}
                listing.now = _ticks(page.exchange.answered_at)
        except GraphError as error:
            if not workflows or concerns_all(error.exchange):
                raise
            stored = {item["id"]: _name(item) for item in self._store.workflows()}
            unlisted = {key: name for key, name in stored.items() if key not in workflows} or {"": "some workflows"}
            listing.missing += [UnreadWorkflow(key, name, error) for key, name in unlisted.items()]
        await asyncio.to_thread(self._store.put_workflows, workflows.values())
        if not listing.missing:
            await asyncio.to_thread(self._store.keep_workflows, workflows.keys())
        listing.names = {key: _name(item) for key, item in workflows.items()}
        with self._store.reading() as db:
            listing.known = known_listings(db)

    async def _list_all_runs(self, listing: _Listing, failed_before: frozenset[str]) -> None:
        """List CONCURRENT_WORKFLOWS workflows at a time. An error stops the others only if it concerns them as well."""
        remaining = iter(listing.names)

        async def work() -> None:
            for workflow_id in remaining:
                pace = Pace(listing.backoff, failed_before=workflow_id in failed_before)
                try:
                    await self._list_runs(workflow_id, listing, pace)
                except RuntuiError as error:
                    if isinstance(error, GraphError) and concerns_all(error.exchange):
                        raise
                    _logger.info("runs of workflow %s: %s", workflow_id, error)
                    listing.missing.append(UnreadWorkflow(workflow_id, listing.names[workflow_id], error))

        try:
            await side_by_side(work, CONCURRENT_WORKFLOWS)
        except GraphError as error:
            listing.fault = error

    async def _list_runs(self, workflow_id: str, listing: _Listing, pace: Pace) -> None:
        """Read the changes of a workflow, or all its runs. If it refuses that, the next listing reads all runs. A doubt
        stays unless the listing settles it."""
        is_doubted = workflow_id in self._store.doubted
        known = listing.known.get(storable(workflow_id)) if self._has_filter and not is_doubted else None
        self._store.doubted.discard(workflow_id)
        try:
            since = changes_since(known, listing.now)
            if known is None or since is None:
                await self._read_all(workflow_id, listing, pace)
            else:
                await self._read_changes(workflow_id, known, since, listing, pace)
        except (RuntuiError, asyncio.CancelledError) as error:
            status = (error.exchange.status if isinstance(error, GraphError) else None) or 0
            if is_doubted or (400 <= status < 500 and status not in _OF_THE_MOMENT):
                self._store.doubted.add(workflow_id)
            raise

    async def _read_all(self, workflow_id: str, listing: _Listing, pace: Pace) -> None:
        """Store all runs of a workflow and remove those that it no longer has."""
        listing.was_full = True
        await self._read_pages(workflow_id, None, listing, pace)
        await asyncio.to_thread(self._store.finish_listing, workflow_id, listing.number)
        if listing.now is not None:
            await self._write(put_listing, workflow_id, KnownListing(listing.now, listing.now))

    async def _read_changes(
        self, workflow_id: str, known: KnownListing, since: int, listing: _Listing, pace: Pace
    ) -> None:
        """Store the changed runs, or all runs if one has no id or the service refuses the filter, and remember that."""
        try:
            await self._read_pages(workflow_id, since, listing, pace)
        except GraphError as error:
            is_refused = error.exchange.status in _NO_FILTER
            if not is_refused and not error.lacks_ids:
                raise
            await self._read_all(workflow_id, listing, pace)
            self._has_filter = self._has_filter and not is_refused
            return
        self.up_to_date.announce(UpToDate(workflow_id, None))
        # Written only once per OVERLAP, so that an idle listing writes nothing.
        if listing.now is not None and listing.now - known.as_of >= OVERLAP:
            await self._write(put_listing, workflow_id, known._replace(as_of=listing.now))

    async def _read_pages(self, workflow_id: str, since: int | None, listing: _Listing, pace: Pace) -> None:
        def put(page: CollectionPage) -> list[int]:
            return self._store.put_runs(workflow_id, page.items, listing.number, page.texts()) if page.items else []

        async for rows in self._client.each_page_of_runs(workflow_id, put, changed_since=since, pace=pace):
            if since is None and rows:
                self.up_to_date.announce(UpToDate(workflow_id, rows))
            listing.last_page_at = asyncio.get_running_loop().time()
            await self._may_go_on.wait()

    async def _write(self, put: Callable[..., None], *what: Any) -> None:
        """Call a function with the connection that writes the store, in a thread."""

        def work() -> None:
            with self._store.writing() as (db, _):
                put(db, *what)

        await asyncio.to_thread(work)

    async def _loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.list_once()
            with suppress(RuntuiError):  # the next listing reports it
                if self._store.count(EVERY_RUN) >= MANY_RUNS:
                    await asyncio.to_thread(self._store.connections.release_pages)
                    await asyncio.to_thread(gc.collect)  # Python looks for cycles among old objects only rarely
                    await asyncio.to_thread(return_free_memory)
            rest = rest_seconds(self._interval, self._took, has_failed=self._has_failed)
            _logger.info("next listing in %.0f s", rest)
            await self._rest_until(loop.time() + rest)

    async def _rest_until(self, due: float) -> None:
        """Wait until a listing is requested or due (loop time). In a pause, or without an interval, none is due."""
        loop = asyncio.get_running_loop()
        while not self._asked:
            only_by_hand = self.progress.paused or not self._interval
            if not only_by_hand and loop.time() >= due:
                return
            self._nudge.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if only_by_hand else due):
                    await self._nudge.wait()

    def _announce_wait(self, wait: Wait | None) -> None:
        self._announce(waiting_until=wait and wait.until, waiting=wait.words if wait is not None else "")

    def _announce(self, **facts: Any) -> None:
        self.progress = self.progress._replace(**facts)
        self.changed.announce(self.progress)


def changes_since(known: KnownListing | None, now: int | None) -> int | None:
    """Return the time from which to request changes, or None if only a full listing makes the workflow complete.

    All times are ticks of the service's clock. `known` is how far the runs are known (None: not at all, or doubted).
    `now` is None if the service tells no time.
    """
    if known is None or now is None:
        return None
    is_backward = now < known.as_of - OVERLAP
    return None if is_backward or now - known.full_at >= FULL_EVERY else max(0, known.as_of - OVERLAP)


def _name(workflow: Mapping[str, Any]) -> str:
    return str(workflow.get("displayName") or workflow["id"])


def _ticks(moment: datetime | None) -> int | None:
    return None if moment is None else UNIX_EPOCH_TICKS + int(moment.timestamp()) * TICKS_PER_SECOND


def rest_seconds(interval: float, took: float, *, has_failed: bool) -> float:
    """Return the seconds to rest after a listing that kept the service busy for `took` seconds; `has_failed` if it read
    nothing."""
    return max(interval, took * LISTING_SHARE, REST_AFTER_FAILURE if has_failed else 0.0)
