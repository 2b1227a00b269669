"""The reading of results in the background: which ones, how many at a time, and how it ends."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from runtui.domain.filters import parse_filter
from runtui.graph.client import GraphClient
from runtui.graph.pages import GraphError
from runtui.graph.results import RUNS_IN_BATCH, ReadResults
from runtui.graph.retry import Pace
from runtui.services import results
from runtui.services.results import CONCURRENT_BATCHES, ResultReader
from runtui.services.store.store import EVERY_RUN, RunQuery, Store
from tests import there
from tests.unit.fake_lister import graph_error, refused
from tests.unit.test_store_results import NOW, path, put, run, store, task

__all__ = ["path", "store"]


class FakeResults:
    """A service with one failed task for each run. An exception in place of a run is raised instead of its answer."""

    def __init__(self) -> None:
        self.results = self
        self.errors: dict[str, GraphError] = {}
        self.ends: Exception | None = None
        self.parts = 1
        self.batches: list[list[str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_gate: asyncio.Queue[None] = asyncio.Queue()
        self.extensions: dict[str, dict[str, Any]] = {}
        self.asked_extensions: list[str] = []

    async def user(self, name: str, *, pace: Pace | None = None) -> dict[str, Any]:
        raise AssertionError((name, pace))

    async def custom_task_extension(self, extension_id: str) -> dict[str, Any] | None:
        self.asked_extensions.append(extension_id)
        return self.extensions.get(extension_id)

    async def run_results(self, runs: Sequence[tuple[str, str]], *, pace: Pace) -> AsyncIterator[ReadResults]:
        del pace
        self.batches.append([run_id for _, run_id in runs])
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            self.at_gate.put_nowait(None)
            await self.gate.wait()
            if self.ends is not None:
                raise self.ends
            for _, run_id in runs:
                if error := self.errors.get(run_id):
                    yield ReadResults(run_id, error=error)
                else:
                    for _ in range(self.parts - 1):
                        yield ReadResults(run_id, (task("No manager."),), (), ends=False)
                    yield ReadResults(run_id, (task("No manager."),), ())
        finally:
            self.at_once -= 1

    @property
    def asked(self) -> list[str]:
        return sorted(run_id for batch in self.batches for run_id in batch)


@pytest.fixture
def service() -> FakeResults:
    return FakeResults()


@pytest.fixture
def reader(service: FakeResults, store: Store) -> ResultReader:
    return ResultReader(cast(GraphClient, service), store)


async def done(reader: ResultReader) -> None:
    """Wait until the reader reports that it has stopped."""
    over = asyncio.Event()
    unsubscribe = reader.changed.subscribe(lambda progress: None if progress.reading else over.set())
    await over.wait()
    unsubscribe()


def put_problems(store: Store, count: int, **more: Any) -> None:
    put(store, "w1", *(run(number, **more) for number in range(count)))


async def test_problems_are_read_few_at_a_time_with_progress(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 57)
    put(store, "w2", run(99, "completed"))
    heard: list[tuple[int, int]] = []
    reader.changed.subscribe(lambda progress: heard.append((progress.read, progress.total)))
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    assert (reader.progress.read, reader.progress.total, reader.progress.fault) == (57, 57, None)
    assert heard[0] == (0, 57)
    assert [read for read, _ in heard] == sorted(read for read, _ in heard)
    assert service.asked == sorted(f"r{number}" for number in range(57))
    assert max(map(len, service.batches)) == RUNS_IN_BATCH
    assert 1 < service.most_at_once <= CONCURRENT_BATCHES
    assert store.causes(EVERY_RUN)[0].runs == 57


async def test_the_memory_of_each_batch_is_returned_to_the_system(
    reader: ResultReader, service: FakeResults, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    monkeypatch.setattr(results, "return_free_memory", lambda: read.append(len(service.batches)))
    put_problems(store, 57)
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    assert len(read) == len(service.batches) == 6
    assert read[0] <= CONCURRENT_BATCHES, "memory is returned while other batches are read"


async def test_at_one_go_it_reads_the_newest_and_says_how_many_are_left(
    reader: ResultReader, service: FakeResults, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.services.results.MAX_RUNS", 30)
    put_problems(store, 57)
    for read in (30, 57):
        reader.read_in_background(EVERY_RUN)
        await done(reader)
        assert (reader.progress.read, reader.progress.total) == (read, 57)
        assert service.asked == sorted(f"r{number}" for number in range(read))


async def test_all_problem_runs_are_read_for_a_waiting_caller(
    reader: ResultReader, service: FakeResults, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.services.results.MAX_RUNS", 30)
    put_problems(store, 77)
    service.errors = {f"r{number}": refused(404) for number in (3, 70)}
    await reader.read(EVERY_RUN)
    progress = reader.progress
    assert (progress.read, progress.total, progress.unreadable) == (75, 77, 2)
    assert progress.fault in service.errors.values()
    assert not progress.reading


async def test_large_runs_are_counted_once_and_stored_whole(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 3)
    service.parts = 4
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    assert (reader.progress.read, reader.progress.total) == (3, 3)
    assert [len(results.tasks) for number in range(3) if (results := store.results_of(f"r{number}"))] == [4, 4, 4]


async def test_only_what_changed_is_asked_for_again(reader: ResultReader, service: FakeResults, store: Store) -> None:
    put_problems(store, 5)
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    service.batches.clear()
    put(store, "w1", run(3, lastUpdatedDateTime="2026-11-20T12:00:00Z"))
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    assert service.asked == ["r3"]
    assert (reader.progress.read, reader.progress.total) == (5, 5)


async def test_a_request_during_a_reading_leads_to_another_one(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 1)
    service.gate.clear()
    reader.read_in_background(EVERY_RUN)
    await service.at_gate.get()
    put_problems(store, 2)
    reader.read_in_background(RunQuery(sort="status"))
    service.gate.set()
    await done(reader)
    assert service.asked == ["r0", "r1"]


async def test_another_query_replaces_the_one_being_read(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 3)
    put(store, "w2", run(7))
    service.gate.clear()
    reader.read_in_background(RunQuery(parse_filter("workflow:onboard", NOW)))
    await service.at_gate.get()
    reader.read_in_background(RunQuery(parse_filter("workflow:offboard", NOW)))
    service.gate.set()
    await done(reader)
    assert (reader.progress.read, reader.progress.total) == (1, 1)
    assert store.results_of("r0") is None


async def test_stopped_it_asks_no_more_and_keeps_what_it_has(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 57)
    service.gate.clear()
    reader.read_in_background(EVERY_RUN)
    await service.at_gate.get()
    await reader.stop()
    assert (service.at_once, reader.progress.reading) == (0, False)
    assert len(service.batches) <= CONCURRENT_BATCHES
    await reader.stop()


async def test_a_run_that_cannot_be_read_costs_the_others_nothing(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 12)
    service.errors["r4"] = refused(404)
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    progress = reader.progress
    assert (progress.read, progress.total, progress.unreadable) == (11, 12, 1)
    assert progress.fault is service.errors["r4"]


@pytest.mark.parametrize("status", [403, 401, 429])
async def test_a_fault_that_all_would_meet_ends_the_reading_and_is_reported_once(
    reader: ResultReader, service: FakeResults, store: Store, status: int
) -> None:
    put_problems(store, 200)
    service.errors = {f"r{number}": refused(status) for number in range(200)}
    faults = []
    reader.changed.subscribe(lambda progress: faults.append(progress.fault) if progress.fault else None)
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    assert len(service.batches) <= CONCURRENT_BATCHES
    assert len(set(map(id, faults))) == 1
    assert reader.progress.unreadable == 0


async def test_a_service_that_is_down_ends_it_for_a_batch_alone(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put_problems(store, 12)
    service.ends = graph_error()
    reader.read_in_background(EVERY_RUN)
    await done(reader)
    assert (reader.progress.unreadable, reader.progress.fault) == (12, service.ends)


async def test_one_run_is_read_now_or_says_why_not(reader: ResultReader, service: FakeResults, store: Store) -> None:
    put_problems(store, 1, processingStatus="completed")
    await reader.read_run("w1", "r0")
    results = there(store.results_of("r0"))
    assert (len(results.tasks), results.is_outdated) == (1, False)
    service.errors["r0"] = refused(403)
    with pytest.raises(GraphError):
        await reader.read_run("w1", "r0")


class LargeRun(FakeResults):
    """A service with runs of three parts, each sent when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.sends: dict[str, asyncio.Queue[None]] = defaultdict(asyncio.Queue)
        self.began = asyncio.Event()
        self.expired: set[int] = set()
        """The readings, counted from 1, whose last next link has expired."""

    async def run_results(self, runs: Sequence[tuple[str, str]], *, pace: Pace) -> AsyncIterator[ReadResults]:
        del pace
        self.began.set()
        self.batches.append([run_id for _, run_id in runs])
        for part in range(3):
            await self.sends[runs[0][1]].get()
            if part == 2 and len(self.batches) in self.expired:
                yield ReadResults(runs[0][1], error=refused(410))
                return
            yield ReadResults(runs[0][1], (task(f"Reason {part}."),), (), ends=part == 2)


async def test_a_large_run_is_read_on_when_somebody_returns_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.services.results.LINGER_SECONDS", 0)
    put_problems(store, 3)
    service = LargeRun()
    reader, came = ResultReader(cast(GraphClient, service), store), asyncio.Event()
    reader.part_arrived.subscribe(lambda _: came.set())

    async def look_at(run_id: str) -> None:
        """Wait for the results of a run until a part of them is there."""
        looking = asyncio.create_task(reader.read_run("w1", run_id))
        came.clear()
        service.sends[run_id].put_nowait(None)
        await came.wait()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        await asyncio.sleep(0)  # the loop's turn in which the reading is left

    await look_at("r0")
    came.clear()
    service.sends["r0"].put_nowait(None)
    service.sends["r0"].put_nowait(None)
    await came.wait()
    await asyncio.sleep(0)
    assert service.sends["r0"].qsize() == 1, "while nobody waits, the request under way is the last"
    await reader.read_run("w1", "r0")
    results = there(store.results_of("r0"))
    assert [failure.reason for failure in results.tasks] == ["Reason 0.", "Reason 1.", "Reason 2."]
    assert service.batches == [["r0"]], "the first part was not requested again"

    await look_at("r1")
    await look_at("r2")
    assert [*reader._runs] == ["r2"], "only one waits for a person to return"
    await reader.close()


async def test_a_reading_that_is_left_before_its_first_part_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtui.services.results.LINGER_SECONDS", 0)
    put_problems(store, 1)
    service = LargeRun()
    reader = ResultReader(cast(GraphClient, service), store)
    looking = asyncio.create_task(reader.read_run("w1", "r0"))
    await service.began.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await asyncio.sleep(0)  # the loop's turn in which the reading is left
    for _ in range(3):
        service.sends["r0"].put_nowait(None)
    await reader.read_run("w1", "r0")
    assert service.batches == [["r0"], ["r0"]]
    await reader.close()


async def test_a_reading_begins_anew_if_its_next_link_has_expired_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.services.results.LINGER_SECONDS", 0)
    put_problems(store, 1)
    service = LargeRun()
    reader, came = ResultReader(cast(GraphClient, service), store), asyncio.Event()
    reader.part_arrived.subscribe(lambda _: came.set())
    sends = service.sends["r0"]

    async def leave_half_read() -> None:
        looking = asyncio.create_task(reader.read_run("w1", "r0"))
        for _ in range(2):
            came.clear()
            sends.put_nowait(None)
            await came.wait()
            looking.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    service.expired = {1, 3, 4}
    await leave_half_read()
    for _ in range(4):
        sends.put_nowait(None)
    await reader.read_run("w1", "r0")
    results = there(store.results_of("r0"))
    assert [failure.reason for failure in results.tasks] == ["Reason 0.", "Reason 1.", "Reason 2."]
    await leave_half_read()
    for _ in range(4):
        sends.put_nowait(None)
    with pytest.raises(GraphError):
        await reader.read_run("w1", "r0")
    assert len(service.batches) == 4, "it begins anew once"


async def test_causes_of_one_reason_are_told_apart_by_their_extensions(
    reader: ResultReader, service: FakeResults, store: Store
) -> None:
    put(store, "a", run(1))
    arguments = [[{"name": "customTaskExtensionID", "value": name}] for name in ("mailbox", "badge")]
    ran = [{"id": "t", "displayName": "Run", "taskDefinitionId": "x", "arguments": one} for one in arguments]
    failures = [task("Logic App 'a' did not call back.", task={**one, "id": str(at)}) for at, one in enumerate(ran)]
    store.put_results("r1", store.as_of("r1"), failures, ())
    assert sorted(cause.task for cause in reader.causes(EVERY_RUN)) == ["badge: Run", "mailbox: Run"]
    service.extensions["mailbox"] = {"id": "mailbox", "displayName": "Archive mailbox"}
    ids = [cause.extension_id for cause in reader.causes(EVERY_RUN)]
    assert await reader.read_extensions(["", *ids])
    assert sorted(cause.task for cause in reader.causes(EVERY_RUN)) == ["Archive mailbox: Run", "badge: Run"]
    assert not await reader.read_extensions(ids)
    assert sorted(service.asked_extensions) == ["badge", "mailbox"], "what cannot be read is not asked for again"


class LongReasons(FakeResults):
    """A service with 4 long failures for each run."""

    async def run_results(self, runs: Sequence[tuple[str, str]], *, pace: Pace) -> AsyncIterator[ReadResults]:
        del pace
        for number, (_, run_id) in enumerate(runs):
            yield ReadResults(run_id, tuple(task(f"{number}" + "x" * 5_000) for _ in range(4)), ())


async def test_reading_many_runs_holds_no_more_than_is_read_at_once(store: Store) -> None:
    reader = ResultReader(cast(GraphClient, LongReasons()), store)
    put_problems(store, 1)
    await reader.read(EVERY_RUN)  # what is loaded once
    put_problems(store, 121)
    tracemalloc.start()
    await reader.read(EVERY_RUN)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.progress.read == 121
    assert peak <= CONCURRENT_BATCHES * RUNS_IN_BATCH * 4 * 5_000
