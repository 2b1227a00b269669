"""The client's requests, and how it takes good and bad answers, over a connection in memory."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import AS_OF, RECENT_RUNS, run_on_demand
from runtui.errors import ExitCode
from runtui.graph.client import GraphClient, RunUpdate
from runtui.graph.exchange import Exchange
from runtui.graph.network import BoundedBody
from runtui.graph.pages import MAX_EMPTY_PAGES, CollectionPage, GraphError, object_of
from runtui.graph.retry import Pace
from runtui.graph.transport import Transport
from runtui.services.refresh import Refresh
from runtui.services.store.store import EVERY_RUN, Store
from tests import there

ROOT = "https://graph.example/beta"
LCW = f"{ROOT}/identityGovernance/lifecycleWorkflows/workflows"

Handler = Callable[[httpx.Request], httpx.Response]


def reply(status: int, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
    """Return a response that is not read yet, as from a network."""
    content = b"" if body is None else json.dumps(body).encode()
    return httpx.Response(
        status, headers={"content-type": "application/json"} | (headers or {}), stream=httpx.ByteStream(content)
    )


async def token() -> str:
    return "canary.token-0123456789"


@asynccontextmanager
async def client(handler: Callable[[httpx.Request], Any], **options: Any) -> AsyncIterator[GraphClient]:
    async with Transport(ROOT, token=token, wire=httpx.MockTransport(handler)) as transport:
        yield GraphClient(transport, **options)


def pages(*bodies: Any) -> tuple[Handler, list[httpx.Request]]:
    """Return a handler that answers with one body after another, and the list of its requests."""
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return reply(200, bodies[len(requests) - 1])

    return handle, requests


async def items(listing: AsyncIterator[CollectionPage]) -> list[str]:
    return [item["id"] async for page in listing for item in page.items]


async def test_a_listing_follows_next_links_verbatim_and_sends_the_headers_each_time() -> None:
    link = f"{LCW}/w1/runs?$filter=startswith(id,'a')&$skiptoken=aB%2F..%3D"
    handle, requests = pages(
        {"value": [{"id": "r1"}], "@odata.nextLink": link},
        {"value": [], "@odata.nextLink": f"{LCW}/w1/runs?$skiptoken=3"},
        {"value": [{"id": "r2", "unknown": [1]}]},
    )
    async with client(handle, page_size=50) as graph:
        assert await items(graph.runs("w1")) == ["r1", "r2"]
    assert [str(request.url) for request in requests] == [f"{LCW}/w1/runs", link, f"{LCW}/w1/runs?$skiptoken=3"]
    for request in requests:
        assert request.headers["prefer"] == "include-unknown-enum-members, odata.maxpagesize=50"
        assert request.headers["authorization"] == "Bearer canary.token-0123456789"
    assert len({request.headers["client-request-id"] for request in requests}) == 3


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("?$skiptoken=a%2Fb", f"{LCW}?$skiptoken=a%2Fb"),
        ("workflows?$skiptoken=2", f"{LCW}?$skiptoken=2"),
        ("../lifecycleWorkflows/workflows?$skiptoken=2", f"{LCW}?$skiptoken=2"),
        ("/beta/x?$skiptoken=/../2", f"{ROOT}/x?$skiptoken=/../2"),
        ("//graph.example/beta/x", f"{ROOT}/x"),
    ],
)
async def test_a_relative_next_link_starts_at_the_page_that_has_it(link: str, address: str) -> None:
    """RFC 3986, section 5.1.3: the base of a relative reference is the address that the page came from."""
    handle, requests = pages(
        {"value": [{"id": "a"}], "@odata.nextLink": f"{LCW}?$skiptoken=1"},
        {"value": [{"id": "b"}], "@odata.nextLink": link},
        {"value": [{"id": "c"}]},
    )
    async with client(handle) as graph:
        assert await items(graph.workflows()) == ["a", "b", "c"]
    assert str(requests[-1].url) == address


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (lambda graph: graph.workflows(), ""),
        (lambda graph: graph.runs("w 1"), "/w%201/runs"),
        (lambda graph: graph.results.task_results("w1", "é"), "/w1/runs/%C3%A9/taskProcessingResults?$expand=subject"),
        (lambda graph: graph.results.user_results("w1", "r1"), "/w1/runs/r1/userProcessingResults?$expand=subject"),
    ],
)
async def test_each_listing_has_its_address(
    ask: Callable[[GraphClient], AsyncIterator[CollectionPage]], path: str
) -> None:
    handle, requests = pages({"value": [{"id": "x"}]})
    async with client(handle) as graph:
        assert await items(ask(graph)) == ["x"]
    assert requests[0].url.raw_path.decode() == httpx.URL(LCW).path + path


async def test_a_next_link_to_elsewhere_is_refused_before_anything_is_sent() -> None:
    elsewhere = "https://evil.example/beta/identityGovernance/lifecycleWorkflows/workflows?$skiptoken=1"
    handle, requests = pages({"value": [{"id": "w1"}], "@odata.nextLink": elsewhere}, {"value": [{"id": "stolen"}]})
    async with client(handle) as graph:
        listing = graph.workflows()
        first = await anext(listing)
        with pytest.raises(GraphError) as caught:
            await anext(listing)
    assert len(requests) == 1
    assert first.items == ({"id": "w1"},), "what came before the bad link is not lost"
    assert caught.value.title == "The address is refused"
    assert caught.value.exit_code is ExitCode.NOT_DONE


ODD_LINKS: tuple[Any, ...] = (5, 0, False, [], {})


@pytest.mark.parametrize(
    ("bodies", "says"),
    [
        ([{"value": [{"id": "a"}], "@odata.nextLink": f"{LCW}?$skip=1"}] * 2, "lead to nothing new"),
        *(([{"value": [{"id": "a"}], "@odata.nextLink": odd}], "lead to nothing new") for odd in ODD_LINKS),
        ([{"value": [{"id": "a"}], "@odata.nextLink": "workflows"}], "lead to nothing new"),
        (
            [{"value": [], "@odata.nextLink": f"{LCW}?$skip={number}"} for number in range(MAX_EMPTY_PAGES + 1)],
            "lead to nothing new",
        ),
        (
            [
                {"value": [{"id": f"a{number % 3}"}], "@odata.nextLink": f"{LCW}?$skiptoken={number}"}
                for number in range(MAX_EMPTY_PAGES + 4)
            ],
            "lead to nothing new",
        ),
        ([{}], 'no list "value"'),
        ([{"value": {"id": "a"}}], 'no list "value"'),
        ([[{"id": "a"}]], "JSON object"),
    ],
)
async def test_a_listing_that_cannot_go_on_says_why(bodies: list[Any], says: str) -> None:
    handle, requests = pages(*bodies)
    async with client(handle) as graph:
        with pytest.raises(GraphError) as caught:
            await items(graph.workflows())
    assert says in str(caught.value)
    assert len(requests) == len(bodies)
    assert caught.value.fault.outcome is Outcome.NOT_DONE


@pytest.mark.parametrize("odd", [{"name": "b"}, {"id": ""}, {"id": None}, {"id": 5}, {"id": ["b"]}, "b", None])
async def test_a_listing_with_items_without_an_id_yields_the_others_and_fails_at_its_end(odd: object) -> None:
    link = f"{LCW}?$skip=1"
    handle, _ = pages({"value": [{"id": "a"}, odd], "@odata.nextLink": link}, {"value": [odd, {"id": "c"}]})
    async with client(handle) as graph:
        listing = graph.workflows()
        assert [item["id"] for item in (*(await anext(listing)).items, *(await anext(listing)).items)] == ["a", "c"]
        with pytest.raises(GraphError, match=r"items without an id\. Not shown: 2 items of a list"):
            await anext(listing)


async def test_a_next_link_of_null_or_nothing_is_the_end() -> None:
    for end in (None, ""):
        handle, _ = pages({"value": [{"id": "a"}], "@odata.nextLink": end})
        async with client(handle) as graph:
            assert await items(graph.workflows()) == ["a"]


async def test_one_run() -> None:
    run = {"id": "W_1", "processingStatus": "brandNew", "scheduledDateTime": "2026-11-20T09:14:55.0522341Z", "x": None}
    handle, requests = pages(run)
    async with client(handle) as graph:
        answer = await graph.run("w1", "w_1")
    assert (answer.entity, answer.fault) == (run, None), "ids are GUIDs, and their case says nothing"
    assert str(requests[0].url) == f"{LCW}/w1/runs/w_1"
    assert requests[0].headers["prefer"] == "include-unknown-enum-members"


async def test_a_reading_is_believed_whatever_request_its_answer_names_and_keeps_its_connection() -> None:
    """Microsoft's Dev Proxy puts its own request id on its answers."""
    clients: set[int] = set()

    def handle(request: httpx.Request) -> httpx.Response:
        return reply(200, {"id": "r1", "value": [{"id": "r1"}]}, {"client-request-id": "another"})

    async with Transport(ROOT, token=token, wire=httpx.MockTransport(handle)) as transport:
        graph = GraphClient(transport)
        for _ in range(3):
            answer = await graph.run("w1", "r1")
            assert (answer.entity is not None, answer.fault) == (True, None)
            assert await items(graph.runs("w1")) == ["r1"]
            clients.add(id(await transport._building()))
        assert len(clients) == 1
        write = await graph.update_run(RunUpdate("w1", "r1", "{}"))
        assert there(write.fault).outcome is Outcome.UNKNOWN
        assert id(await transport._building()) in clients, "its own connection is closed, and no other is suspected"
        await transport.send("POST", "/$batch", purpose="read results", json_body="{}")
        assert id(await transport._building()) not in clients, "what comes next on a kept connection is not its own"


@pytest.mark.parametrize("body", [{"id": "r2"}, {"id": 5}, {"id": None}, {}, {"value": [{"id": "r1"}]}])
async def test_an_answer_about_another_run_is_unknown_and_is_not_handed_on(body: dict[str, Any]) -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        return reply(200, body)

    async with client(handle) as graph:
        write, read = await graph.update_run(RunUpdate("w1", "r1", "{}")), await graph.run("w1", "r1")
    assert write.entity is None
    assert there(write.fault).outcome is Outcome.UNKNOWN
    assert read.entity is None
    assert read.fault is not None


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_a_write_answered_without_a_body_is_neither_entity_nor_fault(status: int) -> None:
    async with client(lambda _request: reply(status)) as graph:
        answer = await graph.update_run(RunUpdate("w1", "r1", "{}"))
    assert (answer.entity, answer.fault) == (None, None)


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({}, f"{ROOT}/workflowBase/runs/r%201"),
        (
            {"patch_path": "/identityGovernance/lifecycleWorkflows/workflows/{workflowId}/runs/{runId}"},
            f"{LCW}/w%7BrunId%7D/runs/r%201",
        ),
    ],
)
async def test_the_change_goes_where_it_was_said_to_go_byte_for_byte(options: dict[str, str], target: str) -> None:
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return reply(200, {"id": "r 1"})

    body = '{"@odata.type":"#microsoft.graph.identityGovernance.run",\n "failedTasksCount": 1.0}'
    async with client(handle, **options) as graph:
        assert graph.target(Draft("r 1", "w{runId}", {})) == ("PATCH", target)
        answer = await graph.update_run(RunUpdate("w{runId}", "r 1", body))
    assert answer.fault is None
    assert (sent[0].method, str(sent[0].url), sent[0].content) == ("PATCH", target, body.encode())
    assert (answer.exchange.url, answer.exchange.request_body) == (target, body)


@pytest.mark.parametrize(
    "bad_id", ["", "a/b", "..", ".", "a?b", "a#b", "a\\b", "a\nb", "../../v1.0/users/1?a=#", "\ud800"]
)
async def test_an_id_that_could_change_the_address_is_sent_nowhere(bad_id: str) -> None:
    handle, requests = pages()
    async with client(handle) as graph:
        answers = [
            await graph.update_run(RunUpdate("w1", bad_id, "{}")),
            await graph.run("w1", bad_id),
            await graph.run(bad_id, "r"),
        ]
        with pytest.raises(GraphError):
            await items(graph.runs(bad_id))
    assert requests == []
    for answer in answers:
        assert there(answer.fault).outcome is Outcome.NOT_DONE


async def test_the_runs_before_an_action_are_read_whatever_year_the_service_has() -> None:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        body: dict[str, Any] = {"value": []} if request.url.path.endswith("/runs") else {"id": "w1"}
        return reply(200, body, {"date": "Mon, 01 Jan 0001 00:00:00 GMT"})

    async with client(handle) as graph:
        answer = await graph.observe(run_on_demand("w1", ["u1"]))
    assert answer.entity == {"id": "w1", AS_OF: "0001-01-01T00:00:00Z", RECENT_RUNS: []}
    assert "0001-01-01T00%3A00%3A00Z" in asked[-1]


async def test_what_a_service_sends_with_a_workflow_is_not_taken_for_the_runs_before_an_action() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return (
            reply(403) if request.url.path.endswith("/runs") else reply(200, {"id": "w1", RECENT_RUNS: [{"id": "r1"}]})
        )

    async with client(handle) as graph:
        assert (await graph.observe(run_on_demand("w1", ["u1"]))).entity == {"id": "w1"}


async def test_a_refusal_comes_with_words_and_the_whole_exchange() -> None:
    error = {"error": {"code": "BadRequest", "message": "Bad count.", "details": [{"target": "x", "message": "Bad."}]}}

    def handle(_request: httpx.Request) -> httpx.Response:
        return reply(400, error, {"request-id": "q1"})

    async with client(handle) as graph:
        answer = await graph.update_run(RunUpdate("w1", "r1", "{}"))
    assert answer.entity is None
    assert answer.fault is not None
    assert (answer.fault.message, answer.fault.details) == ("Bad count.", (("x", "Bad."),))
    assert json.loads(answer.exchange.response_body) == error
    assert answer.exchange.request_id == "q1"


async def test_trouble_on_a_wire_that_tells_no_steps_is_unknown() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    async with client(handle) as graph:
        answer = await graph.update_run(RunUpdate("w1", "r1", "{}"))
    assert there(answer.fault).outcome is Outcome.UNKNOWN


async def test_no_page_is_kept_while_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_this_thread(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    # A thread of a pool may hold the arguments of its work for a moment longer than the loop waits for the result.
    monkeypatch.setattr(asyncio, "to_thread", in_this_thread)
    gc.collect()  # what earlier tests left is not collected in between
    bodies: Iterator[Any] = iter(
        [{"value": [{"id": "w1"}]}]
        + [{"value": [{"id": f"r{number}"}], "@odata.nextLink": f"{LCW}/w1/runs?n={number}"} for number in range(3)]
        + [{"value": []}]
    )
    kept: list[int] = []

    def handle(_: httpx.Request) -> httpx.Response:
        exchanges = [found for found in gc.get_objects() if isinstance(found, Exchange) and found.status == 200]
        kept.append(sum(f"{LCW}/w1/runs" in exchange.url for exchange in exchanges))
        return reply(200, next(bodies))

    with closing(Store(tmp_path / "runs.db")) as store:
        async with client(handle) as graph:
            await Refresh(graph, store, interval=0).list_once()
        assert store.count(EVERY_RUN) == 3
    assert set(kept[2:]) == {kept[1]}


async def test_listings_side_by_side_parse_and_use_one_page_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both_asked = threading.Barrier(3)
    steps: list[str] = []

    async def handle(_: httpx.Request) -> httpx.Response:
        await asyncio.to_thread(both_asked.wait)
        return reply(200, {"value": [{"id": "r1"}]})

    def parse(exchange: Exchange) -> dict[str, Any]:
        steps.append("parse")
        return object_of(exchange)

    def use(page: CollectionPage) -> None:
        for _ in range(1_000):
            os.sched_yield()  # there is time for the other page
        steps.append("use" if page.items else "nothing")

    monkeypatch.setattr("runtui.graph.pages.object_of", parse)
    async with client(handle) as graph:
        listings = [graph.each_page_of_runs(name, use, changed_since=None, pace=Pace()) for name in ("w1", "w2")]
        asked = [asyncio.ensure_future(anext(listing)) for listing in listings]
        await asyncio.to_thread(both_asked.wait)
        await asyncio.gather(*asked)
    assert steps == ["parse", "use", "parse", "use"]


async def test_no_body_waits_for_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    class OwnBody(BoundedBody):
        """A body of this test: a thread of another one may still read an answer."""

    monkeypatch.setattr("runtui.graph.transport.BoundedBody", OwnBody)
    gc.disable()
    try:
        async with client(pages({"value": [{"id": "r1"}]})[0]) as graph:
            await items(graph.runs("w1"))
            assert not [found for found in gc.get_objects() if isinstance(found, OwnBody)]
    finally:
        gc.enable()


@pytest.mark.parametrize(("size", "is_large"), [(1_000, False), (200_000, True)])
async def test_the_memory_of_a_large_page_is_returned_to_the_system(
    size: int, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("runtui.graph.pages.return_large_blocks", lambda: asked.append(size))
    handle, _ = pages({"value": [{"id": "r1", "note": "x" * size}]})
    async with client(handle) as graph:
        await items(graph.runs("w1"))
    assert bool(asked) is is_large
