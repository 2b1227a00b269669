"""Many changes through `$batch` against the sandbox, over a faulty connection: reports match what it applied."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient
from runtui.graph.transport import Transport
from runtui.sandbox.app import create_app
from runtui.services.records.journal import Journal
from runtui.services.refresh import Refresh
from runtui.services.store.store import EVERY_RUN, Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save
from tests import canary, there
from tests.contract.conftest import Clock

ROOT: Final = "http://127.0.0.1/beta"
FEW, MANY = 60, 1_000
THROTTLED: Final = {"error": {"code": "TooManyRequests", "message": "Please retry."}}
FORBIDDEN: Final = {"error": {"code": "Forbidden", "message": "Insufficient privileges."}}

Json = dict[str, Any]
Forward = Callable[[Json], Awaitable[Json]]
Bend = Callable[[Json, Forward, int], Awaitable[httpx.Response]]
"""Called with the body of a batch of changes, a function that carries it out, and the number of the batch (from 1)."""


class Line(httpx.AsyncBaseTransport):
    """Carries requests to the app, and batches of changes as a test decides."""

    def __init__(self, app: Starlette, bend: Bend) -> None:
        self._app = httpx.ASGITransport(app)
        self.bend = bend
        self.batches = 0
        self.requests: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests[f"{request.method} {request.url.path.rpartition('/')[2]}"[:12]] += 1
        is_batch = request.url.path.endswith("/$batch")
        body = json.loads(request.content) if is_batch else {}
        if not is_batch or body["requests"][0]["method"] != "PATCH":
            return await self._app.handle_async_request(request)
        self.batches += 1

        async def forward(some: Json) -> Json:
            content = json.dumps(some).encode()
            headers = {**request.headers, "content-length": str(len(content))}
            answer = await self._app.handle_async_request(
                httpx.Request("POST", request.url, headers=headers, content=content)
            )
            whole: Json = json.loads(await answer.aread())
            return whole

        return await self.bend(body, forward, self.batches)


def reply(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    sent = {"content-type": "application/json", **(headers or {})}
    return httpx.Response(status, headers=sent, stream=httpx.ByteStream(json.dumps(body).encode()))


def refused(item: Json, status: int, body: Json, headers: dict[str, str] | None = None) -> Json:
    return {"id": item["id"], "status": status, "headers": headers or {}, "body": body}


async def plain(body: Json, forward: Forward, _number: int) -> httpx.Response:
    return reply(await forward(body))


async def turned_round(body: Json, forward: Forward, _number: int) -> httpx.Response:
    return reply({"responses": (await forward(body))["responses"][::-1]})


def some_refused(status: int, error: Json, *, again: bool) -> Bend:
    """Refuse every third item, and apply it only when it comes again."""

    async def bend(body: Json, forward: Forward, number: int) -> httpx.Response:
        bad = body["requests"][::3] if number <= 3 or not again else []
        good = [item for item in body["requests"] if item not in bad]
        answers = (await forward({"requests": good}))["responses"] if good else []
        return reply({"responses": [*answers, *(refused(item, status, error, {"Retry-After": "0"}) for item in bad)]})

    return bend


def storm() -> Bend:
    """Refuse each item twice, with 424 or 429 in turn, before it is applied."""
    times: Counter[str] = Counter()

    async def bend(body: Json, forward: Forward, _number: int) -> httpx.Response:
        times.update(item["url"] for item in body["requests"])
        good = [item for item in body["requests"] if times[item["url"]] > 2]
        answers = (await forward({"requests": good}))["responses"] if good else []
        bad = [item for item in body["requests"] if item not in good]
        statuses = [429 if place % 2 else 424 for place in range(len(bad))]
        refusals = [
            refused(item, status, THROTTLED, {"Retry-After": "0"}) for item, status in zip(bad, statuses, strict=True)
        ]
        return reply({"responses": [*answers, *refusals]})

    return bend


async def forbidden_midway(body: Json, forward: Forward, number: int) -> httpx.Response:
    """Refuse everything from the third batch on: the permission is missing."""
    if number < 3:
        return reply(await forward(body))
    return reply({"responses": [refused(item, 403, FORBIDDEN) for item in body["requests"]]})


async def cut_after(body: Json, forward: Forward, number: int) -> httpx.Response:
    """Apply the second batch, but send no answer."""
    answer = await forward(body)
    if number == 2:
        raise httpx.ReadError("reset")
    return reply(answer)


async def cut_before(body: Json, forward: Forward, number: int) -> httpx.Response:
    if number == 2:
        raise httpx.ReadError("reset")
    return reply(await forward(body))


async def half_applied(body: Json, forward: Forward, number: int) -> httpx.Response:
    """Apply half of the second batch, then cut the connection."""
    if number != 2:
        return reply(await forward(body))
    await forward({"requests": body["requests"][::2]})
    raise httpx.ReadError("reset")


async def items_missing(body: Json, forward: Forward, _number: int) -> httpx.Response:
    return reply({"responses": (await forward(body))["responses"][::2]})


async def items_twice(body: Json, forward: Forward, _number: int) -> httpx.Response:
    """Answer one item twice; the second answer is a refusal."""
    answers = (await forward(body))["responses"]
    return reply({"responses": [*answers, refused(answers[0], 400, FORBIDDEN)]})


async def a_web_page(body: Json, forward: Forward, number: int) -> httpx.Response:
    await forward(body)
    if number != 1:
        return reply({"responses": []})
    return httpx.Response(200, headers={"content-type": "text/html"}, stream=httpx.ByteStream(b"<html>Sign in"))


async def of_another_batch(body: Json, forward: Forward, number: int) -> httpx.Response:
    """Apply the second batch, but answer it with the refusals of another one."""
    answer = await forward(body)
    if number != 2:
        return reply(answer)
    refusals = [refused(item, 400, FORBIDDEN) for item in body["requests"]]
    return reply({"responses": refusals}, headers={"client-request-id": "another"})


async def not_offered(_body: Json, _forward: Forward, _number: int) -> httpx.Response:
    return reply({"error": {"code": "BadRequest", "message": "Resource not found for the segment '$batch'."}}, 400)


async def not_allowed(_body: Json, _forward: Forward, _number: int) -> httpx.Response:
    return reply(FORBIDDEN, 403)


async def whole_batch_throttled(body: Json, forward: Forward, number: int) -> httpx.Response:
    return reply(THROTTLED, 429, {"Retry-After": "0"}) if number == 1 else reply(await forward(body))


BENDS: Final[dict[str, tuple[Bend | Callable[[], Bend], set[Outcome]]]] = {
    "plain": (plain, {Outcome.DONE}),
    "in another order": (turned_round, {Outcome.DONE}),
    "429 for some": (some_refused(429, THROTTLED, again=True), {Outcome.DONE}),
    "424 for some": (some_refused(424, THROTTLED, again=True), {Outcome.DONE}),
    "403 for some": (some_refused(403, FORBIDDEN, again=False), {Outcome.DONE, Outcome.NOT_DONE}),
    "cut after it was applied": (cut_after, {Outcome.DONE}),
    "cut before it was applied": (cut_before, {Outcome.DONE, Outcome.UNKNOWN}),
    "half applied": (half_applied, {Outcome.DONE, Outcome.UNKNOWN}),
    "items missing": (items_missing, {Outcome.DONE}),
    "an item twice": (items_twice, {Outcome.DONE}),
    "a web page": (a_web_page, {Outcome.DONE}),
    "the answer to another batch": (of_another_batch, {Outcome.DONE}),
    "no $batch": (not_offered, {Outcome.DONE}),
    "$batch forbidden": (not_allowed, {Outcome.DONE}),
    "the whole batch throttled": (whole_batch_throttled, {Outcome.DONE}),
    "a storm of 429 and 424": (storm, {Outcome.DONE}),
    "403 midway": (forbidden_midway, {Outcome.DONE, Outcome.NOT_DONE}),
    "a conflict in every tenth": (plain, {Outcome.DONE, Outcome.NOT_DONE}),
}


class Bench:
    """A session on the sandbox."""

    def __init__(self, app: Starlette, clock: Clock, store: Store, journal: Journal, saves: SaveQueue) -> None:
        self.app, self.clock, self.store, self.journal, self.saves = app, clock, store, journal, saves
        self.ended: dict[str, Save] = {}
        saves.changed.subscribe(lambda save: None if save.active else self.ended.update({save.run_id: save}))

    def drafts(self, count: int) -> list[Draft]:
        drafts = []
        for row in self.store.window(EVERY_RUN, 0, count):
            stored = there(self.store.get(row.id))
            draft = Draft(row.id, stored.workflow_id, stored.raw)
            drafts.append(draft.typed("failedTasksCount", "4321", self.clock()))
        return drafts


@pytest.fixture
async def open_bench(clock: Clock, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    store, journal = Store(tmp_path / "runs.db"), Journal(tmp_path / "journal.db")
    opened: list[tuple[Starlette, Transport, SaveQueue]] = []

    async def token() -> str:
        return canary.TOKEN

    async def nobody() -> str:
        return ""

    async def open_it(bend: Bend, count: int) -> Bench:
        app = create_app(clock=clock, runs=count)
        transport = Transport(ROOT, token=token, wire=Line(app, bend))
        client = GraphClient(transport)
        await Refresh(client, store, interval=0).list_once()
        saves = SaveQueue(client, store, journal, WriteContext(ROOT, "Contoso", "", nobody))
        opened.append((app, transport, saves))
        return Bench(app, clock, store, journal, saves)

    yield open_it
    for app, transport, saves in opened:
        await saves.abandon()
        await transport.aclose()
        app.state.database.close()
    journal.close()
    store.close()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("trouble", BENDS)
async def test_the_report_matches_what_was_applied(open_bench: Callable[..., Any], trouble: str, count: int) -> None:
    bend, outcomes = BENDS[trouble]
    bench: Bench = await open_bench(bend() if bend is storm else bend, count)
    drafts = bench.drafts(count)
    assert len(drafts) == count
    if trouble == "a conflict in every tenth":
        for draft in drafts[::10]:
            bench.app.state.database.write_run(draft.run_id, {"failedTasksCount": 77})
    bulk = bench.saves.submit_many(drafts, may_hold=False)
    assert await bench.saves.drain(600) == 0
    applied = Counter(write.run_id for write in bench.app.state.applied)
    told = Counter(save.outcome for save in bench.ended.values())
    print(f"{trouble}: {dict(told)}, {applied.total()} applied")
    assert len(bench.ended) == count
    assert set(told) == outcomes
    assert max(applied.values()) == 1, "nothing is applied twice"
    for run_id, save in bench.ended.items():
        possible = {Outcome.DONE: {1}, Outcome.NOT_DONE: {0}, Outcome.UNKNOWN: {0, 1}}
        assert save.outcome is not None
        assert applied[run_id] in possible[save.outcome], (trouble, save.fault)
    assert trouble != "a conflict in every tenth" or sum(bool(save.conflicts) for save in bench.ended.values()) == (
        len(drafts[::10])
    )
    entries = bench.journal.of_batch(bulk.batch)
    recorded = {entry.run_id: entry.outcome for entry in reversed(entries)}
    newest = {run_id: recorded.get(run_id, Outcome.NOT_DONE) for run_id in bench.ended}
    assert newest == {run_id: save.outcome for run_id, save in bench.ended.items()}
    carried = {write.client_request_id for write in bench.app.state.applied}
    assert {entry.client_request_id for entry in entries if entry.outcome is Outcome.DONE} <= carried
    assert not {entry.client_request_id for entry in entries if entry.outcome is Outcome.NOT_DONE} & carried
