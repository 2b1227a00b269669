"""The listing if the service asks to wait or refuses the token: all requests wait, or all stop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runtui.graph.exchange import Failure, FailureKind
from runtui.graph.faults import fault_of
from runtui.graph.pages import GraphError
from runtui.graph.retry import MAX_REPEATS
from runtui.services import refresh as refresh_module
from runtui.services.refresh import CONCURRENT_WORKFLOWS, Refresh
from runtui.services.store.store import Store
from tests import PATIENCE, there
from tests.unit.fake_lister import EXCHANGE, NEVER, FakeGraph, ids, refused, run


def unreachable() -> GraphError:
    """Fail to connect."""
    exchange = replace(EXCHANGE, failure=Failure(FailureKind.CONNECTION_REFUSED, "no", "The connection was refused."))
    fault = there(fault_of(exchange, writing=False))
    return GraphError(fault, exchange)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("where", ["workflows", "joiner"])
async def test_a_server_that_fails_for_a_while_is_asked_for_the_same_page_again_after_the_wait(
    where: str, status: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_module, "LONGEST_PAGE_WAIT", 0.01)
    graph = FakeGraph(joiner=[[run("a")], [run("b")]])
    graph.busy[where] = [refused(status, "3600"), refused(status), refused(status, "0")]
    refresh = Refresh(graph, store, interval=NEVER)
    waits: list[bool] = []
    refresh.changed.subscribe(
        lambda progress: waits.append(progress.waiting_until is not None) if progress.listing else None
    )
    await refresh.list_once()
    assert ids(store) == {"a", "b"}
    assert (refresh.progress.fault, refresh.progress.waiting_until) == (None, None)
    assert graph.asked.count(where) == MAX_REPEATS + 1
    assert any(waits)
    assert not waits[-1], "once it goes on, nothing is said of waiting"


async def test_all_workflows_wait_as_the_server_asks_and_the_wait_is_announced(store: Store) -> None:
    names = [f"w{number}" for number in range(8)]
    graph = FakeGraph(**{name: [[run(name)]] for name in names})
    graph.busy["w0"] = [refused(429, "40")]
    refresh = Refresh(graph, store, interval=NEVER)
    waiting: asyncio.Queue[datetime] = asyncio.Queue()
    refresh.changed.subscribe(lambda now: waiting.put_nowait(now.waiting_until) if now.waiting_until else None)
    refresh.start()
    async with asyncio.timeout(PATIENCE):
        until = await waiting.get()
    assert until == EXCHANGE.ended_at + timedelta(seconds=40)
    assert graph.asked == ["workflows", "w0"], "nobody else asks while the server wants to be left alone"
    async with asyncio.timeout(PATIENCE):
        await refresh.stop()
    assert not any(task.get_name() == "refresh" for task in asyncio.all_tasks())
    assert graph.asked == ["workflows", "w0"]


async def test_a_wait_is_capped_for_a_listing(store: Store) -> None:
    graph = FakeGraph(joiner=[[run("a")]])
    graph.busy["joiner"] = [refused(429, "9999999")]
    refresh = Refresh(graph, store, interval=NEVER)
    waiting: asyncio.Queue[datetime] = asyncio.Queue()
    refresh.changed.subscribe(lambda now: waiting.put_nowait(now.waiting_until) if now.waiting_until else None)
    refresh.start()
    async with asyncio.timeout(PATIENCE):
        until = await waiting.get()
    assert until <= datetime.now(UTC) + timedelta(seconds=60)
    assert refresh.progress.waiting.startswith("The service asks to wait 115d 17h (429); runtui asks again at")
    await refresh.stop()


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (refused(401), 1),
        (refused(429, "0"), MAX_REPEATS + 1),
        (refused(503, "0"), MAX_REPEATS + 1),
        (refused(503, "0", body=b"<html>"), MAX_REPEATS + 1),
        (unreachable(), 1),
    ],
)
async def test_a_fault_that_every_request_would_meet_ends_the_listing(
    error: GraphError, asked: int, store: Store
) -> None:
    names = [f"w{number}" for number in range(20)]
    graph = FakeGraph(**{name: [[run(name)]] for name in names})
    await Refresh(graph, store, interval=NEVER).list_once()
    graph.busy = {name: [error] * 9 for name in names}
    graph.asked.clear()
    refresh = Refresh(graph, store, interval=NEVER)
    await refresh.list_once()
    assert refresh.progress.fault is error
    assert not refresh.progress.listing
    assert graph.asked.count("w0") == asked
    assert set(graph.asked) <= {"workflows", *names[:CONCURRENT_WORKFLOWS]}, "the others are not asked for"
    assert graph.at_once == 0
    assert ids(store) == set(names), "nothing is lost"


async def test_a_refused_token_ends_the_waiting_of_the_others(store: Store) -> None:
    graph = FakeGraph(refused=[[run("a")], refused(401)], waiting=[[run("b")]])
    graph.busy["waiting"] = [refused(429, "40")]
    refresh = Refresh(graph, store, interval=NEVER)
    waits: list[bool] = []
    refresh.changed.subscribe(lambda progress: waits.append(progress.waiting_until is not None))
    async with asyncio.timeout(PATIENCE):
        await refresh.list_once()
    assert any(waits)
    assert (refresh.progress.waiting_until, refresh.progress.waiting) == (None, "")
    assert isinstance(refresh.progress.fault, GraphError)
    assert refresh.progress.fault.fault.status == 401


@pytest.mark.parametrize("error", [refused(403), refused(404), refused(501), refused(500, "0"), refused(504, "0")])
async def test_a_workflow_that_cannot_be_read_does_not_stop_the_others(error: GraphError, store: Store) -> None:
    names = [f"w{number}" for number in range(8)]
    graph = FakeGraph(**{name: [[run(name)]] for name in names})
    graph.busy["w0"] = [error] * 9
    refresh = Refresh(graph, store, interval=NEVER)
    await refresh.list_once()
    repeats = MAX_REPEATS if error.fault.status in (500, 504) else 0
    assert graph.asked.count("w0") == 1 + repeats
    assert ids(store) == set(names[1:])
    assert refresh.progress.fault is None
    assert [missing.fault for missing in refresh.progress.missing] == [error]
    graph.asked.clear()
    await refresh.list_once()
    assert graph.asked.count("w0") == 1, "what failed the last time is not waited for"
    assert [missing.name for missing in refresh.progress.missing] == ["W0"]
    graph.busy.clear()
    await refresh.list_once()
    assert ids(store) == set(names)
    assert refresh.progress.missing == ()


async def test_the_listing_does_not_wait_for_a_workflow_that_fails(store: Store) -> None:
    names = [f"w{number}" for number in range(8)]
    graph = FakeGraph(**{name: [[run(name)]] for name in names})
    graph.busy["w0"] = [refused(500, "40")]
    refresh = Refresh(graph, store, interval=NEVER)
    others = asyncio.Event()
    loop = asyncio.get_running_loop()
    has_others = lambda _ids: ids(store) == set(names[1:]) and loop.call_soon_threadsafe(others.set)  # noqa: E731
    store.changed.subscribe(has_others)
    refresh.start()
    async with asyncio.timeout(PATIENCE):
        await others.wait()
    assert ids(store) == set(names[1:])
    assert refresh.progress.listing, "w0 is asked for again in 40 seconds"
    assert refresh.progress.waiting_until is not None
    async with asyncio.timeout(PATIENCE):
        await refresh.stop()


async def test_a_wait_for_one_workflow_does_not_lengthen_the_interval(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = FakeGraph(joiner=[[run("a")]], leaver=[[run("b")]])
    graph.busy["joiner"] = [refused(500, "40"), refused(403)]
    took: asyncio.Queue[float] = asyncio.Queue()

    def rest(_interval: float, seconds: float, **_: bool) -> float:
        took.put_nowait(seconds)
        return NEVER

    monkeypatch.setattr(refresh_module, "rest_seconds", rest)
    finish, finished = store.finish_listing, list[str]()

    def finish_one(workflow_id: str, listing: int) -> None:
        finish(workflow_id, listing)
        finished.append(workflow_id)

    monkeypatch.setattr(store, "finish_listing", finish_one)
    loop, sleep = asyncio.get_running_loop(), asyncio.sleep
    now = [loop.time()]

    async def until_the_others_are_there(seconds: float) -> None:
        while not finished:
            await sleep(0)
        now[0] += seconds

    monkeypatch.setattr(loop, "time", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", until_the_others_are_there)
    refresh = Refresh(graph, store, interval=NEVER)
    refresh.start()
    assert await took.get() == 0.0, "from the first page to the last"
    assert now[0] >= 40.0
    await refresh.stop()


async def test_waits_that_the_service_asks_for_do_not_lengthen_the_rest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = FakeGraph(joiner=[[run("a")]], leaver=[[run("b")]])
    graph.busy["joiner"] = [refused(429, "40"), refused(503, "20")]
    took: asyncio.Queue[float] = asyncio.Queue()

    def rest(_interval: float, seconds: float, **_: bool) -> float:
        took.put_nowait(seconds)
        return NEVER

    monkeypatch.setattr(refresh_module, "rest_seconds", rest)
    loop, sleep = asyncio.get_running_loop(), asyncio.sleep
    began = now = loop.time()

    async def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds
        await sleep(0)

    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(asyncio, "sleep", pass_time)
    refresh = Refresh(graph, store, interval=NEVER)
    refresh.start()
    assert await took.get() == pytest.approx(0.0)
    assert now - began == pytest.approx(60.0)
    await refresh.stop()
