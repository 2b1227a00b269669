"""From a draft to the row: store, write path, client and transport with the sandbox, over a faulty connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.draft import Draft
from runtui.domain.filters import parse_filter
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient
from runtui.graph.exchange import Exchange
from runtui.graph.transport import Transport
from runtui.services.journal import Journal
from runtui.services.refresh import Refresh
from runtui.services.store import RunQuery, Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save, Step
from tests import PATIENCE, canary, there
from tests.contract.conftest import Clock

Bend = Callable[[httpx.Request, Callable[[], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]


class Line(httpx.AsyncBaseTransport):
    """A transport to the app in this process that records how many PATCHes and POSTs were in progress at once."""

    def __init__(self, app: Starlette) -> None:
        self._app = httpx.ASGITransport(app)
        self.bend: Bend = straight
        self.sent: list[tuple[str, str]] = []
        self.patches = 0
        self.most_patches = 0
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((request.method, request.url.path))
        if request.method == "GET" or request.url.path.endswith("$batch"):
            return await self._app.handle_async_request(request)
        self.bodies.append(request.content)
        self.patches += 1
        self.most_patches = max(self.most_patches, self.patches)
        try:
            return await self.bend(request, lambda: self._app.handle_async_request(request))
        finally:
            self.patches -= 1

    def methods(self) -> list[str]:
        """The methods of the requests since the listing, in order."""
        return [method for method, path in self.sent if not path.endswith(("/runs", "/workflows"))]


async def straight(_request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    return await go_on()


def answer_with(status: int, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Bend:
    """Let the app carry the request out, but give the client another answer."""

    async def bend(request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        whole = json.loads(await (await go_on()).aread())
        body = change(whole)
        echo = {"client-request-id": request.headers["client-request-id"], "content-type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        return httpx.Response(status, headers=echo, stream=httpx.ByteStream(content))

    return bend


class Bench(NamedTuple):
    """All the code between a draft and the sandbox."""

    app: Starlette
    clock: Clock
    line: Line
    store: Store
    journal: Journal
    saves: SaveQueue
    exchanges: list[Exchange]
    news: list[Save]

    def draft(self, text: str = "status:completed", at: int = 0, **typed: str) -> Draft:
        """Return a draft of a listed run, with text typed into its fields."""
        row = self.store.window(RunQuery(parse_filter(text, self.clock())), at, 1)[0]
        stored = there(self.store.get(row.id))
        draft = Draft(row.id, stored.workflow_id, stored.raw)
        for name, value in typed.items():
            draft = draft.typed(name, value, self.clock())
        return draft

    async def ended(self, draft: Draft) -> Save:
        """Submit a draft and wait for its end."""
        number = self.saves.submit(draft).number
        assert await self.saves.drain(PATIENCE) == 0
        return next(save for save in self.news if save.number == number and not save.active)

    def stored(self, draft: Draft) -> dict[str, Any]:
        """Return the run in the store, without the annotations of single answers."""
        found = there(self.store.get(draft.run_id))
        return {name: value for name, value in found.raw.items() if "@" not in name}

    @property
    def applied(self) -> list[tuple[str, dict[str, Any]]]:
        """The writes that the sandbox applied."""
        return [(write.run_id, write.body) for write in self.app.state.applied]


async def token() -> str:
    return canary.TOKEN


async def nobody() -> str:
    return ""


@pytest.fixture
async def bench(sandbox_app: Starlette, clock: Clock, store: Store, journal: Journal) -> AsyncIterator[Bench]:
    line = Line(sandbox_app)
    exchanges: list[Exchange] = []
    news: list[Save] = []
    root = "http://127.0.0.1/beta"
    async with Transport(root, token=token, wire=line, on_exchange=exchanges.append) as transport:
        client = GraphClient(transport)
        refresh = Refresh(client, store, interval=0)
        await refresh.list_once()
        assert refresh.progress.fault is None
        saves = SaveQueue(client, store, journal, WriteContext(root, "Contoso", "", nobody))
        saves.changed.subscribe(news.append)
        yield Bench(sandbox_app, clock, line, store, journal, saves, exchanges, news)
        await saves.abandon()


async def test_an_edit_is_sent_as_reviewed_answered_and_shown_in_the_row(bench: Bench) -> None:
    draft = bench.draft(processingStatus="failed", failedTasksCount="1,234", completedDateTime="-2h")
    before = bench.stored(draft)
    save = await bench.ended(draft)
    assert (save.outcome, save.ignored, save.row_is_stale) == (Outcome.DONE, (), False)
    assert save.exchange is not None
    assert save.exchange.status == 200
    assert save.exchange.url == f"http://127.0.0.1/beta/workflowBase/runs/{draft.run_id}"
    assert bench.line.bodies == [draft.body_text().encode()], "byte for byte"
    assert bench.applied == [(draft.run_id, draft.body())]
    assert bench.stored(draft) == {
        **before,
        "processingStatus": "failed",
        "failedTasksCount": 1234,
        "completedDateTime": "2026-11-20T08:00:00Z",
        "lastUpdatedDateTime": "2026-11-20T10:00:00Z",
    }
    (row,) = (row for row in bench.store.window(RunQuery(), 0, 999) if row.id == draft.run_id)
    assert (row.status, row.number("failedTasks")) == ("failed", 1234)
    assert [exchange.purpose for exchange in bench.exchanges][-2:] == ["read run", "update run"]


async def test_null_clears_and_untouched_timestamps_go_back_digit_by_digit(bench: Bench) -> None:
    draft = bench.draft("status:completed", startedDateTime="")
    scheduled = draft.received["scheduledDateTime"]
    save = await bench.ended(draft)
    assert save.outcome is Outcome.DONE
    assert json.loads(bench.line.bodies[0])["scheduledDateTime"] == scheduled
    assert f'"scheduledDateTime": "{scheduled}"'.encode() in bench.line.bodies[0]
    assert bench.stored(draft)["startedDateTime"] is None
    assert bench.stored(draft)["scheduledDateTime"] == scheduled


async def test_a_listing_after_a_save_finds_the_same_run(bench: Bench) -> None:
    draft = bench.draft(processingStatus="failed")
    await bench.ended(draft)
    after_save = bench.stored(draft)
    async with Transport("http://127.0.0.1/beta", token=token, wire=bench.line) as transport:
        await Refresh(GraphClient(transport), bench.store, interval=0).list_once()
    assert bench.stored(draft) == after_save


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (204, lambda _whole: None),
        (200, lambda _whole: None),
        (200, lambda whole: {"id": whole["id"]}),
        (200, lambda whole: {name: whole[name] for name in whole if name != "totalTasksCount"}),
    ],
    ids=["204", "200 empty", "200 only the id", "200 one property short"],
)
async def test_an_answer_that_is_not_whole_is_read_back(
    status: int, change: Callable[[dict[str, Any]], dict[str, Any] | None], bench: Bench
) -> None:
    bench.line.bend = answer_with(status, change)
    draft = bench.draft(processingStatus="failed")
    save = await bench.ended(draft)
    assert save.outcome is Outcome.DONE
    assert there(save.exchange).status == status
    assert bench.line.methods() == ["GET", "PATCH", "GET"]
    assert bench.stored(draft)["processingStatus"] == "failed"
    assert bench.stored(draft)["totalTasksCount"] == draft.received["totalTasksCount"]


async def test_a_run_that_changed_meanwhile_is_shown_and_nothing_is_sent(bench: Bench) -> None:
    draft = bench.draft(processingStatus="failed")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bench.app), base_url="http://127.0.0.1") as colleague:
        answer = await colleague.patch(
            f"/beta/workflowBase/runs/{draft.run_id}",
            json={"processingStatus": "canceled"},
            headers={"Authorization": "Bearer colleague"},
        )
    assert answer.status_code == 200
    save = await bench.ended(draft)
    assert save.outcome is Outcome.NOT_DONE
    assert [(item.opened, item.now, item.ours) for item in save.conflicts] == [("completed", "canceled", "failed")]
    assert bench.line.methods() == ["GET"], "nothing was sent"
    assert bench.stored(draft)["processingStatus"] == "canceled"
    again = await bench.ended(draft.rebased(bench.stored(draft)))
    assert again.outcome is Outcome.DONE


async def test_a_refused_value_changes_nothing_and_the_reason_arrives(bench: Bench) -> None:
    draft = bench.draft(processingStatus="unknownFutureValue")
    save = await bench.ended(draft)
    assert save.outcome is Outcome.NOT_DONE
    assert save.fault is not None
    assert save.fault.status == 400
    assert "placeholder" in save.fault.message
    assert bench.applied == []
    assert bench.stored(draft)["processingStatus"] == "completed"


async def test_two_quick_submits_to_one_run_never_overlap_on_the_server(bench: Bench) -> None:
    arrived: asyncio.Queue[str] = asyncio.Queue()
    gate = asyncio.Event()

    async def hold(request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        arrived.put_nowait(request.url.path.rpartition("/")[2])
        await gate.wait()
        return await go_on()

    bench.line.bend = hold
    first = bench.draft(failedTasksCount="5")
    then = first.rebased({**first.received, "failedTasksCount": 5, "lastUpdatedDateTime": "2026-11-20T10:00:00Z"})
    second = then.typed("failedTasksCount", "6", bench.clock())
    other = bench.draft(at=1, failedTasksCount="7")
    for draft in (first, second, other):
        bench.saves.submit(draft)
    async with asyncio.timeout(PATIENCE):
        held = {await arrived.get(), await arrived.get()}
    assert held == {first.run_id, other.run_id}, "another run does not wait"
    waiting = [save.step for save in bench.saves.active() if save.operation is second]
    assert waiting == [Step.WAITING]
    assert (bench.line.patches, arrived.qsize()) == (2, 0)
    gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.line.most_patches == 2
    of_first = [body["failedTasksCount"] for run_id, body in bench.applied if run_id == first.run_id]
    assert of_first == [5, 6]
    assert {save.outcome for save in bench.news if not save.active} == {Outcome.DONE}


async def test_a_burst_of_submits_to_one_run_arrives_one_by_one_in_order(bench: Bench) -> None:
    draft = bench.draft()
    for count in range(101, 109):
        edited = draft.typed("failedTasksCount", str(count), bench.clock())
        bench.saves.submit(edited)
        draft = draft.rebased({**draft.received, "failedTasksCount": count})
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.line.most_patches == 1
    assert [body["failedTasksCount"] for _, body in bench.applied] == list(range(101, 109))


async def cut(_request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Let the app carry the request out, then break the connection before the answer."""
    await go_on()
    raise httpx.ReadError("reset")


async def lost(_request: httpx.Request, _go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Break the connection before the app gets the request; the client cannot know that."""
    raise httpx.ReadError("reset")


async def never_sent(_request: httpx.Request, _go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    raise httpx.ConnectError("refused")


async def gateway(_request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Let the app carry the request out, and answer as a gateway."""
    await go_on()
    page = httpx.ByteStream(b"<title>Gateway Time-out</title>")
    return httpx.Response(504, headers={"content-type": "text/html"}, stream=page)


@pytest.mark.parametrize(
    ("bend", "outcome", "is_applied", "methods"),
    [
        (cut, Outcome.DONE, True, ["GET", "PATCH", "GET"]),
        (gateway, Outcome.DONE, True, ["GET", "PATCH", "GET"]),
        (answer_with(200, lambda whole: {**whole, "id": "another"}), Outcome.DONE, True, ["GET", "PATCH", "GET"]),
        (answer_with(202, lambda whole: whole), Outcome.DONE, True, ["GET", "PATCH", "GET"]),
        (lost, Outcome.UNKNOWN, False, ["GET", "PATCH", "GET"]),
        (never_sent, Outcome.NOT_DONE, False, ["GET", "PATCH"]),
    ],
    ids=["cut", "gateway", "answer of another run", "accepted only", "lost", "never sent"],
)
async def test_an_unanswered_change_is_settled_by_read_back_or_stays_unknown(
    bend: Bend, outcome: Outcome, is_applied: bool, methods: list[str], bench: Bench
) -> None:
    bench.line.bend = bend
    draft = bench.draft(processingStatus="failed")
    save = await bench.ended(draft)
    assert save.outcome is outcome
    assert (save.known_by == "read-back") is (outcome is Outcome.DONE)
    assert (save.fault is None) is (outcome is Outcome.DONE)
    assert bool(bench.applied) is is_applied
    assert bench.line.methods() == methods, "a write is never repeated by itself"
    assert bench.stored(draft)["processingStatus"] == ("failed" if is_applied else "completed")


async def test_waiting_at_the_end_is_bounded_and_what_is_left_behind_is_called_unknown(bench: Bench) -> None:
    arrived = asyncio.Event()

    async def silent(_request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        await go_on()
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody ever answers")

    bench.line.bend = silent
    draft = bench.draft(processingStatus="failed")
    bench.saves.submit(draft)
    async with asyncio.timeout(PATIENCE):
        await arrived.wait()
    assert await bench.saves.drain(0.01) == 1
    assert bench.saves.of_run(draft.run_id) is not None
    await bench.saves.abandon()
    (last,) = [save for save in bench.news if not save.active]
    assert last.outcome is Outcome.UNKNOWN
    assert len(bench.applied) == 1, "it was applied, and calling it a failure would have been wrong"
