"""A run on demand whose answer was lost, with the sandbox: when its runs settle the outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import ServiceAction, run_on_demand
from runtui.graph.client import GraphClient
from runtui.graph.transport import Transport
from runtui.sandbox.app import create_app
from runtui.services.records.journal import Entry, Journal
from runtui.services.store.store import Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.reconcile import Reconciler
from runtui.services.writing.saves import SaveQueue
from tests import PATIENCE, canary, there
from tests.contract.conftest import Clock

ROOT: Final = "http://127.0.0.1/beta"

Post = Callable[[], Awaitable[object]]
"""Carries the action out once more."""


class Line(httpx.AsyncBaseTransport):
    """A transport to the sandbox that loses the answer to an action, or the request too."""

    def __init__(self, app: httpx.ASGITransport) -> None:
        self.app = app
        self.arrives = True
        self.meanwhile: Callable[[Post], Awaitable[None]] | None = None
        """The simulated action of a colleague while the request is in progress."""
        self.posts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return await self.app.handle_async_request(request)
        self.posts += 1
        if self.meanwhile is not None:
            await self.meanwhile(lambda: self.app.handle_async_request(request))
        if self.arrives:
            await self.app.handle_async_request(request)
        raise httpx.ReadError("the line broke")


class OnDemand:
    """A session that runs a workflow on demand for one of its users."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.clock = clock
        self.sandbox = create_app(clock=clock)
        self.line = Line(httpx.ASGITransport(self.sandbox))
        self.transport = Transport(ROOT, token=self._token, wire=self.line)
        self.client = GraphClient(self.transport)
        self.store, self.journal = Store(folder / "runs.db"), Journal(folder / "journal.db")
        context = WriteContext(ROOT, "Contoso", "", self._nobody)
        self.saves = SaveQueue(self.client, self.store, self.journal, context)
        self.reconciler = Reconciler(self.client, self.journal, self.store, ROOT)

    async def _token(self) -> str:
        return canary.TOKEN

    async def _nobody(self) -> str:
        return ""

    async def action(self) -> ServiceAction:
        """Make the action: run the workflow on demand for a user of an earlier run."""
        workflows = [workflow async for page in self.client.workflows() for workflow in page.items]
        for workflow in workflows:
            runs = [run async for page in self.client.runs(workflow["id"]) for run in page.items]
            for run in runs:
                pages = self.client.results.user_results(workflow["id"], run["id"])
                results = [result async for page in pages for result in page.items]
                if run["processingStatus"] == "completed" and results:
                    return run_on_demand(workflow["id"], [results[0]["subject"]["id"]])
        raise AssertionError("no run of the sandbox has users")

    async def lose(self) -> Entry:
        """Send the action and lose its answer; return its entry after the service's runs were read."""
        self.saves.submit(await self.action())
        assert await self.saves.drain(PATIENCE) == 0
        return await self.settled()

    async def settled(self) -> Entry:
        """Return the entry after some time and another check."""
        self.clock.advance(60)
        await self.reconciler.check_all()
        return self.journal.entries()[-1]


@pytest.fixture
async def bench(clock: Clock, tmp_path: Path) -> AsyncIterator[OnDemand]:
    found = OnDemand(clock, tmp_path)
    yield found
    await found.saves.abandon()
    await found.transport.aclose()
    found.sandbox.state.database.close()
    found.journal.close()
    found.store.close()


async def test_the_run_that_the_service_shows_settles_it(bench: OnDemand) -> None:
    entry = await bench.lose()
    assert (entry.outcome, entry.known_by, bench.line.posts) == (Outcome.DONE, "read-back", 1)
    made = there(bench.store.get(entry.new_run))
    assert made.raw["workflowExecutionType"] == "onDemand"
    assert "subjectIds" not in made.raw, "the list has runs as they are received"


async def test_an_action_that_never_arrived_stays_unknown(bench: OnDemand) -> None:
    bench.line.arrives = False
    entry = await bench.lose()
    assert (entry.outcome, entry.new_run) == (Outcome.UNKNOWN, "")
    assert "The service shows no new run of these users so far." in entry.words


async def test_a_run_that_a_colleague_started_before_or_much_later_is_not_ours(bench: OnDemand) -> None:
    """The earlier one is within the same second, which `Date` cannot distinguish."""
    bench.line.arrives = False
    action, app = await bench.action(), bench.line.app

    async def start() -> None:
        method, url = bench.client.target(action)
        headers = {"authorization": f"Bearer {canary.TOKEN}", "content-type": "application/json"}
        request = httpx.Request(method, url, headers=headers, content=action.body_text())
        assert (await app.handle_async_request(request)).status_code == 204

    await start()
    entry = await bench.lose()
    assert (entry.outcome, entry.new_run) == (Outcome.UNKNOWN, "")
    bench.clock.advance(600)
    await start()
    entry = await bench.settled()
    assert (entry.outcome, entry.new_run) == (Outcome.UNKNOWN, "")
    assert "but began more than 2 minutes after this action was sent" in entry.words


async def test_a_colleague_who_started_the_same_at_the_same_time_leaves_it_unknown(bench: OnDemand) -> None:
    async def both(post: Post) -> None:
        await post()
        bench.clock.advance(3)

    bench.line.meanwhile = both
    entry = await bench.lose()
    assert (entry.outcome, entry.new_run) == (Outcome.UNKNOWN, "")
    assert "Several new runs have these users, so it is unclear which one is yours: " in entry.words
    assert bench.line.posts == 1
