"""From a draft to the row: store, write path, client, transport and sandbox. For faults see tests/contract/faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette

from runtui.domain.draft import Draft
from runtui.domain.filters import parse_filter
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient
from runtui.graph.exchange import Exchange
from runtui.graph.transport import Transport
from runtui.services.records.journal import Journal
from runtui.services.refresh import Refresh
from runtui.services.store.store import RunQuery, Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save
from tests import PATIENCE, canary, there
from tests.contract.conftest import Clock
from tests.contract.headless_commands import Line


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

    def draft(self, **typed: str) -> Draft:
        """Return a draft of a completed run, with text typed into its fields."""
        row = self.store.window(RunQuery(parse_filter("status:completed", self.clock())), 0, 1)[0]
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


async def test_a_listing_after_a_save_finds_the_same_run(bench: Bench) -> None:
    draft = bench.draft(processingStatus="failed")
    await bench.ended(draft)
    after_save = bench.stored(draft)
    async with Transport("http://127.0.0.1/beta", token=token, wire=bench.line) as transport:
        await Refresh(GraphClient(transport), bench.store, interval=0).list_once()
    assert bench.stored(draft) == after_save
