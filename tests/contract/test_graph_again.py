"""Which requests are repeated (tokens, pages) and which never are (writes), and which tokens a write is sent with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from runtui.auth.tokens import StaticToken
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient, RunUpdate, etag_of
from runtui.graph.exchange import Exchange
from runtui.graph.pages import GraphError
from runtui.graph.retry import Pace
from runtui.graph.transport import Transport
from tests import there
from tests.contract.test_graph_client import LCW, ROOT, Handler, client, items, pages, reply, token


def refusing(
    times: int, challenge: str = 'Bearer error="insufficient_claims", claims="e30="'
) -> tuple[Handler, list[httpx.Request]]:
    """Return a handler that refuses that many tokens and then answers, and the list of its requests."""
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if len(requests) <= times:
            error = {"error": {"code": "InvalidAuthenticationToken", "message": "Expired."}}
            return reply(401, error, {"www-authenticate": challenge})
        return reply(200, {"id": "r1", "value": [{"id": "r1"}]})

    return handle, requests


class Renewing:
    """A token source that counts how often it was asked for another token, and records the challenges."""

    next_step = "Ask the porter."

    def __init__(self, *, succeeds: bool = True) -> None:
        self.succeeds = succeeds
        self.challenges: list[str] = []

    async def __call__(self) -> str:
        return f"canary-{len(self.challenges)}"

    async def renew(self, challenge: str, /) -> bool:
        await asyncio.sleep(0)
        self.challenges.append(challenge)
        return self.succeeds


@asynccontextmanager
async def client_with(source: Any, handler: Handler) -> AsyncIterator[GraphClient]:
    async with Transport(ROOT, token=source, wire=httpx.MockTransport(handler)) as transport:
        yield GraphClient(transport)


async def test_a_reading_is_repeated_once_with_another_token() -> None:
    for ask in (lambda graph: graph.run("w1", "r1"), lambda graph: items(graph.runs("w1"))):
        handle, requests = refusing(1)
        source = Renewing()
        async with client_with(source, handle) as graph:
            await ask(graph)
        assert [request.headers["authorization"] for request in requests] == ["Bearer canary-0", "Bearer canary-1"]
        assert source.challenges == ['Bearer error="insufficient_claims", claims="e30="']
        assert len({request.headers["client-request-id"] for request in requests}) == 2


async def test_a_token_that_is_refused_for_ever_is_tried_twice_at_most() -> None:
    handle, requests = refusing(99)
    async with client_with(Renewing(), handle) as graph:
        answer = await graph.run("w1", "r1")
    assert len(requests) == 2
    assert there(answer.fault).status == 401


@pytest.mark.parametrize(
    ("source", "next_step"),
    [
        (token, "Sign in again."),
        (StaticToken("canary-static"), "Start again with a fresh token in RUNTUI_TOKEN."),
        (Renewing(succeeds=False), "Ask the porter."),
    ],
)
async def test_without_another_token_nothing_is_repeated(source: Any, next_step: str) -> None:
    handle, requests = refusing(1)
    async with client_with(source, handle) as graph:
        answer = await graph.run("w1", "r1")
    assert len(requests) == 1
    assert there(answer.fault).hint == next_step


async def test_requests_that_are_refused_together_renew_the_token_once() -> None:
    async with client_with(source := Renewing(), refusing(4)[0]) as graph:
        answers = await asyncio.gather(*(graph.run("w1", "r1") for _ in range(4)))
        assert [answer.fault for answer in answers] == [None] * 4
        assert len(source.challenges) == 1
        again = replace(answers[0].exchange, number=99, status=401)
        assert await graph.renew_token(again)
        assert len(source.challenges) == 2, "a request with the new token was refused: that is another matter"
    async with client_with(source := Renewing(succeeds=False), refusing(4)[0]) as graph:
        answers = await asyncio.gather(*(graph.run("w1", "r1") for _ in range(4)))
        assert all(answer.fault is not None for answer in answers)
        assert len(source.challenges) == 1


async def test_a_write_is_never_repeated_here_and_only_a_401_renews() -> None:
    handle, requests = refusing(1)
    source = Renewing()
    async with client_with(source, handle) as graph:
        answer = await graph.update_run(RunUpdate("w1", "r1", "{}"))
        assert (len(requests), source.challenges) == (1, [])
        assert there(answer.fault).outcome is Outcome.NOT_DONE
        assert not await graph.renew_token(replace(answer.exchange, status=403))
        assert source.challenges == []
        assert await graph.renew_token(answer.exchange)
        again = await graph.update_run(RunUpdate("w1", "r1", "{}"))
    assert again.fault is None
    assert requests[1].headers["authorization"] == "Bearer canary-1"


async def test_a_write_goes_out_under_the_id_and_for_the_version_it_was_given() -> None:
    handle, requests = pages({"id": "r1"}, {"id": "r1"})
    tag = 'W/"JzEtVGFzay=="'
    async with client(handle) as graph:
        answer = await graph.update_run(RunUpdate("w1", "r1", "{}", client_request_id="0b7e0000-1", if_match=tag))
        plain = await graph.update_run(RunUpdate("w1", "r1", "{}"))
    assert requests[0].headers["client-request-id"] == answer.exchange.client_request_id == "0b7e0000-1"
    assert requests[0].headers["if-match"] == tag
    assert ("If-Match", tag) in answer.exchange.request_headers
    assert "if-match" not in requests[1].headers
    assert len(plain.exchange.client_request_id) == 36


@pytest.mark.parametrize("tag", ["", 'W/"a\r\nX-Evil: 1"', "a\x00b", "\x1b[2J", "é", " a", "a\n", "\ud800"])
async def test_a_header_that_would_say_something_else_is_not_sent(tag: str) -> None:
    handle, requests = pages({"id": "r1"})
    async with client(handle) as graph:
        answers = [
            await graph.update_run(RunUpdate("w1", "r1", "{}", if_match=tag)),
            await graph.update_run(RunUpdate("w1", "r1", "{}", client_request_id=tag)),
        ]
    assert requests == []
    for answer in answers:
        assert answer.fault is not None
        assert answer.fault.outcome is Outcome.NOT_DONE
        assert answer.fault.title == "The request cannot be sent"


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', 'W/"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc="', "*"])
def test_an_etag_is_used_unchanged(tag: str) -> None:
    assert etag_of({"id": "r1", "@odata.etag": tag}) == tag


@pytest.mark.parametrize("tag", [None, 5, "", " ", '"a b"', '"a"\n', '"\r\nX: 1"', '"é"', '"\x7f"', ['"1"']])
def test_a_value_that_no_header_can_contain_is_not_an_etag(tag: Any) -> None:
    assert etag_of({"id": "r1", "@odata.etag": tag}) is None
    assert etag_of({"id": "r1"}) is None


class Impatient(Pace):
    """A pace that never waits and allows that many tries of each page."""

    def __init__(self, most_tries: int) -> None:
        super().__init__()
        self.most_tries = most_tries
        self.requests = 0
        self.errors: list[tuple[int | None, int]] = []

    async def ready(self) -> None:
        self.requests += 1

    def retry(self, exchange: Exchange, tries: int) -> bool:
        if exchange.status != 200:
            self.errors.append((exchange.status, tries))
        return exchange.status != 200 and tries < self.most_tries


async def test_a_page_is_asked_for_again_as_often_as_the_pace_allows_and_no_page_twice() -> None:
    link = f"{LCW}/w1/runs?$skiptoken=2"
    answers = [
        reply(429),
        reply(200, {"value": [{"id": "a"}], "@odata.nextLink": link}),
        reply(503),
        reply(429),
        reply(200, {"value": [{"id": "b"}]}),
    ]
    urls: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        return answers[len(urls) - 1]

    pace = Impatient(3)
    async with client(handle) as graph:
        assert await items(graph.runs("w1", pace=pace)) == ["a", "b"]
    assert urls == [f"{LCW}/w1/runs"] * 2 + [link] * 3
    assert pace.errors == [(429, 1), (503, 1), (429, 2)]
    assert pace.requests == 5, "every request waits for its turn"


async def test_a_page_that_never_comes_is_the_end_of_the_listing() -> None:
    pace = Impatient(3)
    async with client(lambda _request: reply(503)) as graph:
        with pytest.raises(GraphError) as caught:
            await items(graph.workflows(pace=pace))
    assert caught.value.fault.status == 503
    assert pace.requests == 3
