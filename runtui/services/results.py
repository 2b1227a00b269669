"""Reads the results of runs into the store: of a query's problem runs in the background, or of one run at once.

Invariant: results are requested only if they are missing or their run has changed since, a few requests at a time. They
reach the store run by run. A run that cannot be read does not stop the others. An error that every run would meet, such
as a missing permission, ends the reading and is reported once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.announcer import Announcer
from runtui.domain.filter_tree import AnyOf
from runtui.domain.filters import parse_filter
from runtui.domain.results import Cause
from runtui.domain.rows import short_id
from runtui.domain.times import now_ticks
from runtui.domain.triage.run_users import Extension, extension_of
from runtui.errors import RuntuiError
from runtui.graph.network import return_free_memory
from runtui.graph.pages import GraphError
from runtui.graph.results import RUNS_IN_BATCH, ReadResults
from runtui.graph.retry import Backoff, Pace, Wait, concerns_all
from runtui.services.store.results import UnreadRun
from runtui.services.store.store import RunQuery, Store
from runtui.services.tasks import report_defect, side_by_side

if TYPE_CHECKING:
    from runtui.graph.client import GraphClient

_logger: Final = logging.getLogger("runtui.results")

MAX_RUNS: Final = 1_000
"""The most runs read at once. The screen says if there are more; a person can narrow the query or read again."""

MAX_NAMES: Final = 100
"""The most users of a run whose names are requested from the directory, if results have only their ids."""

NAMES_AT_ONCE: Final = 4

LINGER_SECONDS: Final = 1.0
"""How long an unneeded reading continues: a person who goes from the panel to the run's own screen needs it again.

Then it ends. The reading of a large run, once a part is stored, waits instead for whoever returns to the run.
"""

CONCURRENT_BATCHES: Final = 3
"""Concurrent requests for results, besides those of a listing."""


class ReadingProgress(NamedTuple):
    """The state of the background reading."""

    reading: bool = False
    read: int = 0
    """The query's problem runs whose current results are in the store."""
    total: int = 0
    """All problem runs of the query."""
    unreadable: int = 0
    fault: RuntuiError | None = None
    """Why the reading stopped early, or why the first unreadable run could not be read."""
    waiting: str = ""
    """The `Wait.words` of a wait before a retry; empty without one."""


@dataclass(slots=True, eq=False)
class _RunReading:
    """The reading of one run."""

    task: asyncio.Task[None] = field(init=False)
    waiting: int = 0
    """The number of waiting callers; the reading ends or pauses soon after the last one leaves."""
    has_parts: bool = False
    """True once a part of a large run is stored: beginning again would request it again."""
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared during a pause."""


class ResultReader:
    """Reads results for the views of causes, people and runs."""

    def __init__(self, client: GraphClient, store: Store) -> None:
        self._client = client
        self._store = store
        self._task: asyncio.Task[None] | None = None
        self._query: RunQuery | None = None
        """The query that is being read, or was read last."""
        self._asked = False
        """True if the same query was requested again during its reading."""
        self.progress = ReadingProgress()
        self.changed: Announcer[ReadingProgress] = Announcer()
        self.part_arrived: Announcer[str] = Announcer()
        """Announces the id of a large run when a part of its results, except the last, is in the store."""
        self._runs: dict[str, _RunReading] = {}
        self.extensions: dict[str, Extension] = {}
        """The known custom task extensions, by id."""
        self._asked_extensions: set[str] = set()
        self._asked_users: set[str] = set()
        self._reads_users = True
        """False once the directory has refused to return a user."""

    def read_in_background(self, query: RunQuery) -> None:
        """Start to read the results of a query's newest problem runs, in place of any other query.

        If the same query is being read, it is read once more afterwards, because runs may have changed.
        """
        is_reading = self._task is not None and not self._task.done()
        if is_reading and query.filter == (self._query and self._query.filter):
            self._asked = True
        else:
            self._begin(query, most=MAX_RUNS).add_done_callback(report_defect)

    async def read(self, query: RunQuery) -> None:
        """Read the results of all problem runs of a query, and wait until each is stored or has failed."""
        await self._begin(query, most=None)

    def _begin(self, query: RunQuery, *, most: int | None) -> asyncio.Task[None]:
        if self._task is not None:
            self._task.cancel()
        self._query, self._asked = query, False
        self.progress = ReadingProgress(reading=True)
        self._task = asyncio.create_task(self._read_all(query, most), name="read results")
        return self._task

    async def stop(self) -> None:
        """Stop the background reading; stored results stay."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Stop every reading; stored results stay."""
        await self.stop()
        if tasks := [reading.task for reading in self._runs.values()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def read_run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> None:
        """Read the results of one run into the store. Concurrent callers share one reading, and the pace of the first;
        without one, `changed` announces its waits.

        Raises:
            RuntuiError: the results could not be read or stored.
        """
        reading = self._runs.get(run_id)
        if reading is None or reading.task.done():
            reading = self._runs[run_id] = _RunReading()
            pace = pace or Pace(Backoff(self._announce_wait))
            reading.task = asyncio.create_task(self._read_run(workflow_id, run_id, reading, pace), name="read one run")
            reading.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # also without a caller
        reading.waiting += 1
        reading.may_go_on.set()
        try:
            await asyncio.shield(reading.task)
        finally:
            reading.waiting -= 1
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._leave, reading)

    def _leave(self, reading: _RunReading) -> None:
        """End a reading without a caller; one with parts pauses, in place of the one that paused before."""
        if reading.waiting:
            return
        reading.may_go_on.clear()
        if reading.has_parts and not reading.task.done():
            ended = [other for other in self._runs.values() if other is not reading and not other.may_go_on.is_set()]
        else:
            ended = [reading]
        for other in ended:
            other.task.cancel()
        self._runs = {run_id: other for run_id, other in self._runs.items() if other not in ended}

    async def _read_run(
        self, workflow_id: str, run_id: str, reading: _RunReading, pace: Pace, *, is_again: bool = False
    ) -> None:
        """Read one run, part by part. If an error ends a reading that has paused, begin anew, once: its next link may
        have expired meanwhile."""
        as_of = self._store.as_of(run_id)
        part: int | None = None
        has_paused = False
        async for found in self._client.results.run_results([(workflow_id, run_id)], pace=pace):
            if found.error is not None:
                if is_again or not has_paused:
                    raise found.error
                await self._read_run(workflow_id, run_id, reading, pace, is_again=True)
                return
            part = await self._put(found, as_of, part)
            if not found.ends:
                reading.has_parts = True
                has_paused = has_paused or not reading.may_go_on.is_set()
                await reading.may_go_on.wait()

    async def read_extensions(self, ids: Iterable[str]) -> bool:
        """Request each unknown custom task extension once. Return True if any of them is known now."""
        unknown = sorted(set(ids) - self._asked_extensions - {""})
        self._asked_extensions.update(unknown)
        for extension_id in unknown:
            received = await self._client.custom_task_extension(extension_id)
            if received is not None:
                self.extensions[extension_id] = extension_of(received)
        return not self.extensions.keys().isdisjoint(unknown)

    async def read_names(self, user_ids: Iterable[str]) -> bool:
        """Request the names of users from the directory, each once. Return True if one is known now.

        Only the first MAX_NAMES are requested.

        Raises:
            GraphError: the directory cannot be read. After a 403 it is not read again.
        """
        unknown = iter([user_id for user_id in dict.fromkeys(user_ids) if user_id not in self._asked_users][:MAX_NAMES])
        named: list[tuple[str, str, str]] = []

        async def work() -> None:
            for user_id in unknown:
                try:
                    user = await self._client.user(user_id)
                except GraphError as error:
                    if error.exchange.status != HTTPStatus.NOT_FOUND:
                        raise
                    user = {}
                self._asked_users.add(user_id)
                if name := user.get("displayName"):
                    named.append((user_id, str(name), str(user.get("userPrincipalName") or "")))

        if self._reads_users:
            ended = await asyncio.gather(*(work() for _ in range(NAMES_AT_ONCE)), return_exceptions=True)
            await asyncio.to_thread(self._store.put_names, named)
            for error in ended:
                if isinstance(error, GraphError):
                    self._reads_users = error.exchange.status != HTTPStatus.FORBIDDEN
                if error is not None:
                    raise error
        return bool(named)

    def causes(self, query: RunQuery) -> list[Cause]:
        """Return `Store.causes`, with the name or id of its custom task extension before the name of a task."""
        return [self._called(cause) for cause in self._store.causes(query)]

    def _called(self, cause: Cause) -> Cause:
        if not cause.extension_id:
            return cause
        known = self.extensions.get(cause.extension_id)
        return cause.of_extension(known.name if known is not None else short_id(cause.extension_id))

    async def _read_all(self, query: RunQuery, most: int | None) -> None:
        """Read up to `most` runs (None: all), and again if requested. A RuntuiError is stored in `progress`."""
        try:
            goes_on = True
            while goes_on:
                self._asked = False
                read = await self._read_some(query, most or MAX_RUNS)
                goes_on = read is not None and (self._asked or (most is None and read > 0))
        finally:
            if self._task is asyncio.current_task() or self._task is None:
                self._announce(reading=False, waiting="")

    async def _read_some(self, query: RunQuery, most: int) -> int | None:
        """Read up to `most` runs. Return how many could be read, or None if the reading must end."""
        fault: RuntuiError | None = None
        before = 0
        try:
            unread = await asyncio.to_thread(self._store.unread_runs, query, now_ticks(), most)
            before = unread.read
            self._announce(reading=True, read=before, total=unread.problems, unreadable=0, fault=None)
            await self._read_runs(unread.runs)
        except RuntuiError as error:
            fault = error
        progress = self.progress
        _logger.info("results of %d of %d runs%s", progress.read, progress.total, f": {fault}" if fault else "")
        if fault is not None:
            self._announce(fault=fault)
            return None
        return progress.read - before

    async def _read_runs(self, unread: Sequence[UnreadRun]) -> None:
        """Read CONCURRENT_BATCHES batches at a time, with a common back-off.

        Raises:
            RuntuiError: an error that every other run would meet too.
        """
        backoff = Backoff(self._announce_wait)
        batches = (unread[start : start + RUNS_IN_BATCH] for start in range(0, len(unread), RUNS_IN_BATCH))

        async def work() -> None:
            for batch in batches:
                await self._read_batch(batch, Pace(backoff))
                await asyncio.to_thread(return_free_memory)  # glibc would keep 20 MB of what batches took

        await side_by_side(work, CONCURRENT_BATCHES)

    async def _read_batch(self, batch: Sequence[UnreadRun], pace: Pace) -> None:
        runs = [(run.workflow_id, run.run_id) for run in batch]
        as_of = {run.run_id: run.as_of for run in batch}
        part: int | None = None
        try:
            async for found in self._client.results.run_results(runs, pace=pace):
                if found.error is not None:
                    part = None
                    self._note_failure(found.error)
                    continue
                part = await self._put(found, as_of[found.run_id], part)
                if found.ends:
                    self._announce(read=self.progress.read + 1)
        except GraphError as error:
            self._note_failure(error, runs=len(batch))

    async def _put(self, found: ReadResults, as_of: int, part: int | None) -> int | None:
        """Store received results. Return the id of the run's parts until its last part is stored, then None."""
        run_id, tasks, users = found.run_id, found.tasks, found.users
        if not found.ends:
            part = await asyncio.to_thread(self._store.put_part, run_id, tasks, users, part=part)
            self.part_arrived.announce(run_id)
            return part
        await asyncio.to_thread(self._store.put_results, run_id, as_of, tasks, users, part=part)
        return None

    def _note_failure(self, error: GraphError, *, runs: int = 1) -> None:
        """Count unreadable runs; raise the error if no other run could be read either."""
        if error.exchange.status == 403 or concerns_all(error.exchange):
            raise error
        self._announce(unreadable=self.progress.unreadable + runs, fault=self.progress.fault or error)

    def _announce_wait(self, wait: Wait | None) -> None:
        self._announce(waiting=wait.words if wait is not None else "")

    def _announce(self, **facts: Any) -> None:
        self.progress = self.progress._replace(**facts)
        self.changed.announce(self.progress)


def runs_of_cause(query: RunQuery, cause: Cause) -> RunQuery:
    text, term = "", f"cause:{cause.key}"
    if query.filter is not None:
        text = f"({query.filter.text}) " if isinstance(query.filter.tree, AnyOf) else f"{query.filter.text} "
    return query._replace(filter=parse_filter(f"{text}{term}", now_ticks()))
