"""The listing with a service that a test scripts, and the real store."""

from __future__ import annotations

import _sqlite3
import asyncio
import gc
import logging
import weakref
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, c_int64
from datetime import UTC, datetime
from mmap import PAGESIZE
from pathlib import Path
from threading import Barrier
from typing import NoReturn

import pytest

from runtui.domain.filters import parse_filter
from runtui.errors import RuntuiError
from runtui.services import refresh as refresh_module
from runtui.services.refresh import (
    CONCURRENT_WORKFLOWS,
    LISTING_SHARE,
    REST_AFTER_FAILURE,
    Progress,
    Refresh,
    UnreadWorkflow,
    rest_seconds,
)
from runtui.services.store.store import EVERY_RUN, RunQuery, RunRows, Store, stored_runs
from tests import PATIENCE
from tests.unit.fake_lister import NEVER, FakeGraph, graph_error, ids, run


def watch(refresh: Refresh) -> asyncio.Queue[Progress]:
    """Return a queue of the progress at the end of each listing."""
    ends: asyncio.Queue[Progress] = asyncio.Queue()
    was_listing = [False]

    def follow(progress: Progress) -> None:
        if was_listing[0] and not progress.listing:
            ends.put_nowait(progress)
        was_listing[0] = progress.listing

    refresh.changed.subscribe(follow)
    return ends


async def next_end(ends: asyncio.Queue[Progress]) -> Progress:
    async with asyncio.timeout(PATIENCE):
        return await ends.get()


trims = pytest.mark.skipif(not hasattr(CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGESIZE


def bytes_in_sqlite() -> int:
    used = CDLL(_sqlite3.__file__).sqlite3_memory_used
    used.restype = c_int64
    return int(used())


async def test_every_page_of_every_workflow_reaches_the_store(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a"), run("b")], [], [run("c")]], leaver=[[run("d")]], empty=[[]])
    refresh = Refresh(graph, store, interval=NEVER)
    before = datetime.now(UTC)
    await refresh.list_once()
    assert ids(store) == {"a", "b", "c", "d"}
    assert {item["id"] for item in store.workflows()} == {"joiner", "leaver", "empty"}
    progress = refresh.progress
    assert (progress.listing, progress.fault) == (False, None)
    assert progress.finished_at is not None
    assert progress.finished_at >= before


async def test_rows_are_there_before_the_listing_ends_and_are_counted(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")], [run("b"), run("c")]])
    refresh = Refresh(graph, store, interval=NEVER)
    seen: list[tuple[bool, int]] = []
    store.changed.subscribe(lambda _ids: seen.append((refresh.progress.listing, store.count(RunQuery()))))
    await refresh.list_once()
    assert set(seen) == {(True, 0), (True, 1), (True, 3)}


async def test_a_run_deleted_on_the_server_leaves_the_store(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a"), run("b")]], leaver=[[run("c")]])
    refresh = Refresh(graph, store, interval=NEVER)
    await refresh.list_once()
    graph.pages["joiner"] = [[run("b", failedTasksCount=3)]]
    graph.workflow_ids = ["joiner"]
    await refresh.list_once()
    assert ids(store) == {"b"}
    row = next(row for row in store.window(EVERY_RUN, 0, 99) if row.id == "b")
    assert row.number("failedTasks") == 3
    assert [item["id"] for item in store.workflows()] == ["joiner"]


@pytest.mark.parametrize(
    "trouble", [graph_error(), RuntuiError("The local store failed", "No space left.", "Make room.")]
)
async def test_trouble_with_one_workflow_takes_no_row_away_and_stops_no_other(
    trouble: RuntuiError, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "runtui")
    graph = FakeGraph(joiner=[[run("a"), run("b")]], leaver=[[run("c")]])
    refresh = Refresh(graph, store, interval=NEVER)
    await refresh.list_once()
    whole_at = refresh.progress.finished_at
    graph.pages = {"joiner": [[run("a")], trouble], "leaver": [[run("c"), run("d")]]}
    await refresh.list_once()
    assert ids(store) == {"a", "b", "c", "d"}, "b may be on the page that could not be read"
    progress = refresh.progress
    assert [(missing.workflow_id, missing.name, missing.fault) for missing in progress.missing] == [
        ("joiner", "Joiner", trouble)
    ]
    assert progress.fault is None
    assert "The runs of Joiner could not all be read" in str(progress.why_incomplete)
    assert trouble.title in str(progress.why_incomplete)
    assert f"runs of workflow joiner: {trouble}" in caplog.text, "the answer may have been a 200"
    assert whole_at is not None
    assert progress.finished_at is not None
    assert progress.finished_at > whole_at, "all the others are as new as this"
    graph.pages["joiner"] = [[run("a")]]
    await refresh.list_once()
    assert ids(store) == {"a", "c", "d"}
    assert refresh.progress.why_incomplete is None


def refused_joiner() -> RuntuiError:
    return RuntuiError("You are not allowed", "No.", "Ask.")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([], "None"),
        ([refused_joiner()], "The runs of W0 could not all be read. You are not allowed. No. Ask."),
        ([refused_joiner()] * 2, "The runs of W0, W1 could not all be read. You are not allowed. No. Ask."),
        (
            [refused_joiner()] * 5,
            "The runs of W0, W1, W2 and 2 more could not all be read. You are not allowed. No. Ask.",
        ),
        (
            [refused_joiner(), RuntuiError("It broke", "Badly.")],
            "The runs of W0, W1 could not all be read. W0: You are not allowed. W1: It broke.",
        ),
    ],
)
def test_the_workflows_that_are_missing_are_named_and_why(faults: list[RuntuiError], words: str) -> None:
    missing = tuple(UnreadWorkflow(f"w{number}", f"W{number}", fault) for number, fault in enumerate(faults))
    assert str(Progress(missing=missing).why_incomplete) == words


async def rests_of(refresh: Refresh, count: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, bool]]:
    """Return how long each of that many listings took by its own account, and whether it read nothing."""
    rests: list[tuple[float, bool]] = []

    def no_rest(_interval: float, took: float, *, has_failed: bool) -> float:
        rests.append((took, has_failed))
        return 0.001  # the loop must run once

    monkeypatch.setattr(refresh_module, "rest_seconds", no_rest)
    ends = watch(refresh)
    refresh.start()
    for _ in range(count + 1):
        await next_end(ends)
    await refresh.stop()
    return rests[:count]


async def test_a_workflow_that_fails_makes_nobody_back_off_and_a_service_that_fails_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = FakeGraph(joiner=[graph_error()], leaver=[[run("a")]])
    rests = await rests_of(Refresh(graph, store, interval=NEVER), 3, monkeypatch)
    assert [has_failed for _, has_failed in rests] == [False] * 3
    graph.pages["leaver"] = [graph_error()]
    rests = await rests_of(Refresh(graph, store, interval=NEVER), 3, monkeypatch)
    assert [has_failed for _, has_failed in rests] == [True] * 3, "nothing could be read"
    graph.workflows_error = graph_error()
    rests = await rests_of(Refresh(graph, store, interval=NEVER), 2, monkeypatch)
    assert [has_failed for _, has_failed in rests] == [True] * 2


async def test_after_all_runs_were_read_nobody_waits_long_for_what_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    graph.clock = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    rests = await rests_of(Refresh(graph, store, interval=NEVER), 2, monkeypatch)
    assert [took > 0 for took, _ in rests] == [False, True], "it is the changes that are read again and again"
    graph.pages["leaver"], graph.workflow_ids = [graph_error()], ["joiner", "leaver"]
    rests = await rests_of(Refresh(graph, store, interval=NEVER), 2, monkeypatch)
    assert all(took > 0 for took, _ in rests), "what failed is read in full again"
    graph.clock = None
    rests = await rests_of(Refresh(graph, store, interval=NEVER), 2, monkeypatch)
    assert all(took > 0 for took, _ in rests)


async def test_trouble_with_the_workflows_takes_nothing_away(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    refresh = Refresh(graph, store, interval=NEVER)
    await refresh.list_once()
    graph.workflows_error = graph_error()
    await refresh.list_once()
    assert ids(store) == {"a"}
    assert refresh.progress.fault is graph.workflows_error
    assert not refresh.progress.listing


async def test_a_workflow_that_is_named_twice_is_listed_once(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    graph.workflow_ids = ["joiner", "joiner"]
    await Refresh(graph, store, interval=NEVER).list_once()
    assert ids(store) == {"a"}
    assert graph.at_gate.qsize() == 1


async def test_an_answer_that_came_during_a_listing_is_newer_than_its_pages(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")], [run("b")]])
    graph.gate.clear()
    refresh = Refresh(graph, store, interval=NEVER)
    listing = asyncio.create_task(refresh.list_once())
    await graph.at_gate.get()
    store.put_run("joiner", run("a", processingStatus="failed"))
    graph.gate.set()
    await listing
    row = next(row for row in store.window(EVERY_RUN, 0, 99) if row.id == "a")
    assert row.status == "failed"


async def test_no_more_workflows_are_listed_at_once_than_the_service_likes(store: Store) -> None:
    names = [f"w{number}" for number in range(3 * CONCURRENT_WORKFLOWS)]
    graph = FakeGraph(**{name: [[run(f"run of {name}")]] for name in names})
    await Refresh(graph, store, interval=NEVER).list_once()
    assert graph.most_at_once == CONCURRENT_WORKFLOWS
    assert len(ids(store)) == len(names)


async def test_a_refresh_lists_at_the_start_and_on_request(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    refresh = Refresh(graph, store, interval=NEVER)
    ends = watch(refresh)
    refresh.start()
    refresh.start()
    await next_end(ends)
    assert graph.listings == 1
    refresh.now()
    await next_end(ends)
    assert graph.listings == 2
    await refresh.stop()
    await refresh.stop()


async def test_a_refresh_lists_again_at_the_interval(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    refresh = Refresh(graph, store, interval=0.001)
    ends = watch(refresh)
    refresh.start()
    for _ in range(3):
        await next_end(ends)
    await refresh.stop()
    assert graph.listings >= 3


def last_of_many_blocks() -> bytes:
    """Leave 50 MB of free memory, which the C library keeps while the returned block is in use."""
    return [bytes(10_000) for _ in range(5_000)].pop()


@trims
def test_counting_many_runs_leaves_no_free_memory_behind(store: Store) -> None:
    last, before = last_of_many_blocks(), resident_bytes()
    RunRows(store, RunQuery(parse_filter("joiner", 0))).find(lambda: False)
    assert before - resident_bytes() > 30_000_000
    del last


@trims
async def test_the_listing_of_a_large_tenant_leaves_no_garbage_and_no_free_memory_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_module, "MANY_RUNS", 0)
    ring = FakeGraph()
    vars(ring)["own"] = ring
    gc.collect()  # now it is as old as can be
    is_alive = weakref.ref(ring)
    del ring
    last, before = last_of_many_blocks(), resident_bytes()
    refresh = Refresh(FakeGraph(joiner=[[]]), store, interval=NEVER)
    ends = watch(refresh)
    refresh.start()
    await next_end(ends)
    refresh.now()
    await next_end(ends)
    await refresh.stop()
    assert before - resident_bytes() > 30_000_000
    assert is_alive() is None
    del last


async def test_the_store_of_a_large_tenant_keeps_no_pages_after_a_listing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, loop = asyncio.Event(), asyncio.get_running_loop()
    monkeypatch.setattr(refresh_module, "MANY_RUNS", 0)
    monkeypatch.setattr(refresh_module, "return_free_memory", lambda: loop.call_soon_threadsafe(done.set))
    before = bytes_in_sqlite()
    refresh = Refresh(FakeGraph(joiner=[[run(f"{number:040}") for number in range(9_000)]]), store, interval=NEVER)
    refresh.start()
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    await refresh.stop()
    assert bytes_in_sqlite() - before < 1_000_000


def test_threads_that_have_read_keep_neither_pages_nor_the_statements_of_every_list(store: Store) -> None:
    ids = [f"{number:040}" for number in range(2_000)]
    store.put_runs("joiner", [run(run_id) for run_id in ids], store.next_listing())
    store.complete_orders()
    store.connections.release_pages()
    before, all_read = bytes_in_sqlite(), Barrier(4)

    def read(shortest: int) -> None:
        for length in range(shortest, shortest + 30):
            assert len(stored_runs(store, ids[:length])) == length
        all_read.wait(PATIENCE)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read, (500, 600, 700, 800)))
        with_pages = bytes_in_sqlite()
        store.connections.release_pages()
        after = bytes_in_sqlite()
    assert with_pages - after > 4 * 200_000
    assert after - before < 10_000_000


async def test_asking_during_a_listing_lists_once_more_and_never_twice_at_once(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    graph.gate.clear()
    refresh = Refresh(graph, store, interval=NEVER)
    ends = watch(refresh)
    refresh.start()
    await graph.at_gate.get()
    for _ in range(5):
        refresh.now()
    graph.gate.set()
    await next_end(ends)
    await next_end(ends)
    assert (graph.listings, graph.most_at_once) == (2, 1)
    await refresh.stop()


@pytest.mark.parametrize("interval", [0.001, 0.0])
async def test_a_pause_stops_the_clock_and_not_the_key(interval: float, store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    refresh = Refresh(graph, store, interval=interval)
    ends = watch(refresh)
    refresh.toggle_pause()
    assert refresh.progress.paused
    refresh.start()
    await next_end(ends)
    refresh.now()
    await next_end(ends)
    assert graph.listings == 2, "one at the start, one by hand"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ends.get()
    await refresh.stop()


async def test_the_end_of_a_pause_lists_at_once_when_a_listing_is_due(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    refresh = Refresh(graph, store, interval=0.001)
    ends = watch(refresh)
    refresh.toggle_pause()
    refresh.start()
    await next_end(ends)
    refresh.toggle_pause()
    await next_end(ends)
    await refresh.stop()


async def test_a_suspended_listing_continues_when_it_is_started_again(store: Store) -> None:
    names = [f"w{number}" for number in range(2 * CONCURRENT_WORKFLOWS)]
    graph = FakeGraph(**{name: [[run(f"run of {name}")]] for name in names})
    refresh = Refresh(graph, store, interval=NEVER)
    ends = watch(refresh)
    refresh.start()
    refresh.suspend()
    for _ in range(CONCURRENT_WORKFLOWS):
        await graph.at_gate.get()  # those that were already requested
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ends.get()
    assert graph.at_gate.empty()
    refresh.start()
    await next_end(ends)
    assert (graph.listings, len(ids(store))) == (1, len(names))
    await refresh.stop()


async def test_stopping_ends_a_listing_under_way(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    graph.gate.clear()
    refresh = Refresh(graph, store, interval=NEVER)
    refresh.start()
    await graph.at_gate.get()
    await refresh.stop()
    assert graph.at_once == 0
    assert not any(task.get_name() == "refresh" for task in asyncio.all_tasks())


@pytest.mark.parametrize(
    ("interval", "took", "has_failed", "seconds"),
    [
        (30, 0.2, False, 30),
        (30, 8, False, 8 * LISTING_SHARE),
        (0, 0, False, 0),
        (30, 0.2, True, REST_AFTER_FAILURE),
        (0, 0, True, REST_AFTER_FAILURE),
        (600, 1, True, 600),
        (30, 100, True, 100 * LISTING_SHARE),
    ],
)
def test_how_long_it_rests(interval: float, took: float, has_failed: bool, seconds: float) -> None:
    assert rest_seconds(interval, took, has_failed=has_failed) == seconds


async def test_a_store_that_cannot_be_read_for_a_while_does_not_end_the_listing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    refresh = Refresh(graph, store, interval=NEVER)
    ends = watch(refresh)

    def fail(*_args: object) -> NoReturn:
        raise RuntuiError("The store cannot be used", "disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(store, "reading", fail)
        refresh.start()
        assert (await next_end(ends)).fault is not None
        for _ in range(10):
            await asyncio.sleep(0)
    refresh.now()
    assert (await next_end(ends)).fault is None
    assert not refresh.is_broken
    assert ids(store) == {"a"}
    await refresh.stop()


async def test_a_defect_that_ends_the_listing_is_reported(store: Store) -> None:
    """Otherwise the list would look as if it were still being read."""
    graph = FakeGraph(joiner=[[run("a")]])
    graph.workflows_error = TypeError("a defect")
    refresh = Refresh(graph, store, interval=NEVER)
    told: list[type[BaseException]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(type(context["exception"])))
    ends = watch(refresh)
    refresh.start()
    progress = await next_end(ends)
    assert (
        str(progress.fault)
        == "The runs are no longer updated. A defect in runtui ended it (TypeError). Start runtui again."
    )
    assert (refresh.is_broken, told) == (True, [TypeError])
