"""The results of several runs: one request if the root has `$batch`, else one for each run, with the same outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runtui.graph.batch import MAX_BATCH
from runtui.graph.client import ALONE_AT_ONCE, GraphClient, RunUpdate
from runtui.graph.exchange import http_date
from runtui.graph.pages import PAGE_SIZE, GraphError
from runtui.graph.results import RUNS_IN_BATCH, ReadResults
from runtui.graph.retry import Pace
from tests.contract.test_graph_client import LCW, ROOT, client, reply

Item = tuple[int, Any, dict[str, str]]
"""The answer to one GET: status, body, headers."""

REFUSED = {"error": {"code": "BadRequest", "message": "No."}}
ADELE = {"id": "u1", "displayName": "Adele Vance", "userPrincipalName": "adele@contoso.com"}


class ResultsServer:
    """A root with the results of any run: one task and one user each, unless a rule changes that.

    A rule gets the path with its query and the number of times that it was requested; None leaves the answer as it is.
    """

    def __init__(
        self,
        rule: Callable[[str, int], Item | None] = lambda _path, _times: None,
        *,
        batch: Callable[[Any], httpx.Response] | None = None,
    ) -> None:
        self.rule = rule
        self.batch = batch
        self.requests: list[httpx.Request] = []
        self.times: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = str(request.url).removeprefix(ROOT)
        if path != "/$batch":
            status, body, headers = self.answer(path)
            return reply(status, body, headers)
        if self.batch is not None:
            return self.batch(json.loads(request.content))
        return reply(200, {"responses": [self.item(item) for item in reversed(self.asked(request))]})

    @staticmethod
    def asked(request: httpx.Request) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(request.content)["requests"]
        assert len(items) <= MAX_BATCH
        return items

    def item(self, item: dict[str, Any]) -> dict[str, Any]:
        assert item["method"] == "GET"
        assert item["headers"]["Prefer"] == "include-unknown-enum-members, odata.maxpagesize=200"
        status, body, headers = self.answer(item["url"])
        return {"id": item["id"], "status": status, "headers": headers, "body": body}

    def answer(self, path: str) -> Item:
        self.times[path] = self.times.get(path, 0) + 1
        if ruled := self.rule(path, self.times[path]):
            return ruled
        run, _, kind = path.partition("?")[0].rpartition("/runs/")[2].partition("/")
        subject = ADELE if path.endswith("?$expand=subject") else {"id": "u1"}
        return 200, {"value": [{"id": f"{run}-{kind[:4]}", "subject": subject}]}, {}

    @property
    def sent(self) -> list[str]:
        return [f"{request.method} {str(request.url).removeprefix(ROOT)}" for request in self.requests]


async def read(graph: GraphClient, count: int) -> list[ReadResults]:
    runs = [("w1", f"r{number}") for number in range(count)]
    return [found async for found in graph.results.run_results(runs, pace=Pace())]


def ids(found: list[ReadResults]) -> list[tuple[str, list[str], list[str]]]:
    assert all(part.ends for part in found)
    return [(part.run_id, [task["id"] for task in part.tasks], [user["id"] for user in part.users]) for part in found]


EVERYTHING = [(f"r{number}", [f"r{number}-task"], [f"r{number}-user"]) for number in range(RUNS_IN_BATCH)]


async def test_the_results_of_ten_runs_are_one_request_with_their_subjects() -> None:
    server = ResultsServer()
    async with client(server) as graph:
        found = await read(graph, RUNS_IN_BATCH)
    assert server.sent == ["POST /$batch"]
    assert ids(found) == EVERYTHING
    assert all(task["subject"] == ADELE for part in found for task in part.tasks)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
async def test_without_a_batch_each_is_asked_for_alone_and_the_batch_no_more(status: int) -> None:
    server = ResultsServer(batch=lambda _body: reply(status, REFUSED))
    async with client(server) as graph:
        assert ids(await read(graph, RUNS_IN_BATCH)) == EVERYTHING
        assert ids(await read(graph, 1)) == EVERYTHING[:1]
        await graph.read_runs([("w1", "r0"), ("w1", "r1")])  # the runs themselves
    assert server.sent.count("POST /$batch") == 1
    assert len(server.sent) == 1 + 2 * RUNS_IN_BATCH + 2 + 2


async def test_without_a_batch_only_some_requests_wait_for_the_server() -> None:
    """Else those that wait for a connection would run into the time limit of a request."""
    waiting, most, answered = 0, 0, 0
    is_full, released = asyncio.Event(), asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal waiting, most, answered
        if request.url.path.endswith("/$batch"):
            return reply(404, REFUSED)
        waiting, most = waiting + 1, max(most, waiting + 1)
        if waiting == ALONE_AT_ONCE:
            is_full.set()
        await released.wait()
        waiting, answered = waiting - 1, answered + 1
        return reply(200, {"id": str(request.url)[-3:]})

    async with client(handle) as graph:
        parts = [[("w1", f"r{lane}{number}") for number in range(9)] for lane in range(4)]
        reading = asyncio.gather(*map(graph.read_runs, parts))
        await is_full.wait()
        released.set()
        answers = [[*part] for part in await reading]
    assert (most, answered) == (ALONE_AT_ONCE, 36)
    assert [[answer.exchange.url[-3:] for answer in part] for part in answers] == [
        [run_id for _, run_id in part] for part in parts
    ]


@pytest.mark.parametrize(("code", "alone"), [("BadRequest", 1), ("Blocked", 3)])
async def test_a_refusal_that_one_request_alone_gets_too_is_not_sought_with_all(code: str, alone: int) -> None:
    server = ResultsServer(
        lambda _path, _times: (403, REFUSED, {}),
        batch=lambda _body: reply(403, {"error": REFUSED["error"] | {"code": code}}),
    )
    async with client(server) as graph:
        for sent in (1 + alone, 1 + 2 * alone + (alone == 1)):
            answers = [*await graph.read_runs([("w1", f"r{number}") for number in range(3)])]
            assert [answer.exchange.status for answer in answers] == [403] * 3
            assert [answer.exchange.url[-2:] for answer in answers] == ["r0", "r1", "r2"]
            assert len(server.sent) == sent, "the batch is sent again only if it was not refused as such"


@pytest.mark.parametrize("status", [403, 404])
async def test_what_another_batch_is_refused_sends_no_change_of_an_answered_batch_again(status: int) -> None:
    """Several batches are in progress together; the refusal of one says nothing about what another has done."""
    is_refused, alone = asyncio.Event(), list[str]()

    async def handle(request: httpx.Request) -> httpx.Response:
        path = str(request.url).removeprefix(ROOT)
        if path != "/$batch":
            alone.append(path[-2:])
            is_refused.set()
            return reply(204)
        asked = json.loads(request.content)["requests"]
        if asked[0]["url"].endswith("a0"):
            return reply(status, REFUSED)
        await is_refused.wait()
        return reply(200, {"responses": [{"id": item["id"], "status": 204} for item in asked]})

    async with client(handle) as graph:
        several = [[RunUpdate("w1", f"{name}{number}", "{}") for number in range(3)] for name in "ab"]
        first, second = await asyncio.gather(*map(graph.update_runs, several))
        assert [answer.exchange.status for answer in (*first, *second)] == [204] * 6
    assert alone == ["a0", "a1", "a2"]


async def test_an_item_without_a_date_was_answered_at_that_of_its_batch() -> None:
    """Graph dates the batch, not its items; by that clock a reading shows who changed a run."""
    own, of_batch = "Fri, 20 Nov 2026 10:00:00 GMT", "Fri, 20 Nov 2026 10:00:01 GMT"
    items = [
        {"id": str(number), "status": 200, "headers": headers, "body": {"id": f"r{number}"}}
        for number, headers in enumerate(({"date": own}, {"Cache-Control": "no-cache"}, None))
    ]
    server = ResultsServer(batch=lambda _body: reply(200, {"responses": items}, {"Date": of_batch}))
    async with client(server) as graph:
        answers = [*await graph.read_runs([("w1", f"r{number}") for number in range(3)])]
    assert [answer.exchange.answered_at for answer in answers] == [*map(http_date, (own, of_batch, of_batch))]
    assert [len(answer.exchange.response_headers) for answer in answers] == [1, 1, 1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"responses": 5},
        {"value": []},
        {"responses": [5, {"id": 1, "status": 200}]},
        {"responses": [{"id": str(number), "status": status} for number, status in enumerate(["200", 200.0, 99, 600])]},
    ],
)
async def test_an_item_without_an_answer_in_the_batch_is_requested_by_itself(body: Any) -> None:
    server = ResultsServer(batch=lambda _body: reply(200, body))
    async with client(server) as graph:
        assert ids(await read(graph, 2)) == EVERYTHING[:2]
    assert len(server.sent) == 1 + 4


async def test_subjects_are_left_as_they_are_where_a_server_expands_nothing() -> None:
    server = ResultsServer(lambda path, _times: (400, REFUSED, {}) if "$expand" in path else None)
    async with client(server) as graph:
        found = await read(graph, RUNS_IN_BATCH)
        assert ids(found) == EVERYTHING
        assert found[0].tasks[0]["subject"] == {"id": "u1"}
        assert server.sent == ["POST /$batch"] * 2
        await read(graph, RUNS_IN_BATCH)
        assert server.sent == ["POST /$batch"] * 3, "it is not asked to expand again"
        assert [item["id"] async for page in graph.results.user_results("w1", "r0") for item in page.items] == [
            "r0-user"
        ]
        assert server.sent[-1] == "GET " + LCW.removeprefix(ROOT) + "/w1/runs/r0/userProcessingResults"


async def test_one_listing_falls_back_to_plain_subjects_too() -> None:
    server = ResultsServer(lambda path, _times: (403, REFUSED, {}) if "$expand" in path else None)
    async with client(server) as graph:
        for _ in range(2):
            pages = graph.results.task_results("w1", "r0")
            assert [item["id"] async for page in pages for item in page.items] == ["r0-task"]
    assert len(server.sent) == 3


async def test_a_listing_that_breaks_off_is_not_begun_again_without_subjects() -> None:
    def rule(path: str, _times: int) -> Item | None:
        return (
            (400, REFUSED, {})
            if path == "/page2"
            else (200, {"value": [ADELE], "@odata.nextLink": f"{ROOT}/page2"}, {})
        )

    server = ResultsServer(rule)
    async with client(server) as graph:
        with pytest.raises(GraphError):
            [page async for page in graph.results.task_results("w1", "r0")]
    assert len(server.sent) == 2


async def test_a_throttled_item_and_the_items_it_affected_are_requested_again() -> None:
    def rule(path: str, times: int) -> Item | None:
        if "/r1/" in path and times == 1:
            return 429, REFUSED, {"Retry-After": "0"}
        return (424, REFUSED, {"Retry-After": "0"}) if "/r2/" in path and times < 3 else None

    server = ResultsServer(rule)
    async with client(server) as graph:
        assert ids(await read(graph, 4)) == EVERYTHING[:4]
    assert [len(server.asked(request)) for request in server.requests] == [8, 4, 2]


async def test_one_run_that_is_gone_costs_the_others_nothing() -> None:
    server = ResultsServer(lambda path, _times: (404, REFUSED, {}) if "/r1/" in path else None)
    async with client(server) as graph:
        found = await read(graph, 3)
    assert [(part.run_id, part.error and part.error.exchange.status) for part in found] == [
        ("r0", None),
        ("r1", 404),
        ("r2", None),
    ]
    assert found[1].error is not None
    assert found[1].error.exchange.url.endswith("/runs/r1/taskProcessingResults?$expand=subject")


async def test_a_root_that_tells_of_tasks_alone_is_read_too() -> None:
    server = ResultsServer(lambda path, _times: (404, REFUSED, {}) if "/userProc" in path else None)
    async with client(server) as graph:
        assert ids(await read(graph, 2)) == [("r0", ["r0-task"], []), ("r1", ["r1-task"], [])]
    refusing = ResultsServer(lambda path, _times: (403, REFUSED, {}) if "/userProc" in path else None)
    async with client(refusing) as graph:
        assert [part.error and part.error.exchange.status for part in await read(graph, 1)] == [403]


async def test_a_list_of_users_that_breaks_off_is_not_taken_for_one_that_is_not_offered() -> None:
    def rule(path: str, _times: int) -> Item | None:
        link = {"@odata.nextLink": f"{ROOT}/gone"}
        return (404, REFUSED, {}) if path.endswith("gone") else (200, {"value": [{"id": "a"}], **link}, {})

    async with client(ResultsServer(rule)) as graph:
        assert [part.error and part.error.exchange.status for part in await read(graph, 1)] == [404]


async def test_next_links_in_an_item_are_followed_alone_and_only_below_the_root() -> None:
    def rule(path: str, _times: int) -> Item | None:
        link = f"{ROOT}/page2" if "/r0/task" in path else "https://evil.example/beta/x" if "/r1/task" in path else ""
        if link:
            return 200, {"value": [{"id": "first"}], "@odata.nextLink": link}, {}
        return (200, {"value": [{"id": "second"}]}, {}) if path == "/page2" else None

    server = ResultsServer(rule)
    async with client(server) as graph:
        found = await read(graph, 2)
    assert ids(found)[0] == ("r0", ["first", "second"], ["r0-user"])
    assert server.sent == ["POST /$batch", "GET /page2"]
    assert found[1].error is not None
    assert "configured" in str(found[1].error)


async def test_a_secret_that_a_batch_echoes_is_shown_nowhere_and_followed_as_it_came() -> None:
    secret = "canary.token-0123456789"

    def rule(path: str, _times: int) -> Item | None:
        if "/r0/task" in path:
            return 200, {"value": [{"id": "a", "echo": secret}], "@odata.nextLink": f"{ROOT}/next?t={secret}"}, {}
        return None

    server = ResultsServer(rule)
    async with client(server) as graph:
        found = await read(graph, 1)
    assert server.sent[-1] == f"GET /next?t={secret}"
    assert secret not in repr(found)


async def test_an_unreadable_service_ends_the_reading() -> None:
    server = ResultsServer(batch=lambda _body: reply(401, REFUSED))
    async with client(server) as graph:
        with pytest.raises(GraphError):
            await read(graph, 2)
    assert server.sent == ["POST /$batch"]


async def test_an_id_that_cannot_be_part_of_an_address_is_in_no_batch() -> None:
    server = ResultsServer()
    async with client(server) as graph:
        found = [item async for item in graph.results.run_results([("w1", "../r0"), ("w1", "r1")], pace=Pace())]
    assert [item.error is None for item in found] == [False, True]
    assert server.sent == ["POST /$batch"]
    assert len(server.asked(server.requests[0])) == 2


def in_pages(path: str, _times: int) -> Item | None:
    """Return four pages of two results."""
    kind, _, number = path.rpartition("/")[2].partition("?$expand=subject")[0].partition("-")
    page = int(number or 0)
    link = {"@odata.nextLink": f"{ROOT}/runs/r0/{kind}-{page + 1}"} if page < 3 else {}
    return 200, {"value": [{"id": f"{kind}{page}{n}"} for n in range(2)], **link}, {}


async def test_a_run_with_many_users_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtui.graph.results.MAX_RESULTS_HELD", 3)
    async with client(ResultsServer(in_pages)) as graph:
        parts = await read(graph, 1)
    assert [(len(part.tasks), len(part.users), part.ends) for part in parts] == [
        (0, 4, False),
        (0, 4, False),
        (4, 0, False),
        (4, 0, False),
        (0, 0, True),
    ]
    assert len({result["id"] for part in parts for result in (*part.tasks, *part.users)}) == 16


async def test_no_whole_page_of_results_is_held_while_the_next_is_read() -> None:
    def rule(path: str, times: int) -> Item | None:
        status, body, headers = in_pages(path, times) or (200, {}, {})
        return status, {**body, "value": [{"id": f"{path}{n}"} for n in range(PAGE_SIZE)]}, headers

    async with client(ResultsServer(rule)) as graph:
        parts = await read(graph, 1)
    assert [len(part.tasks) + len(part.users) for part in parts] == [PAGE_SIZE] * 8 + [0]


async def test_the_first_page_of_many_users_is_a_part_of_its_own() -> None:
    def rule(path: str, _times: int) -> Item | None:
        is_first = "/userProcessingResults" in path
        link = {"@odata.nextLink": f"{ROOT}/runs/r0/more"} if is_first else {}
        return 200, {"value": [{"id": f"{path}{n}"} for n in range(200 if is_first else 1)], **link}, {}

    async with client(ResultsServer(rule)) as graph:
        parts = await read(graph, 1)
    assert [(len(part.tasks), len(part.users), part.ends) for part in parts] == [(0, 200, False), (1, 1, True)]
