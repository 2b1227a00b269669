"""A service with the workflows and runs that a test gives it, for tests of the listing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault, fault_of
from runtui.graph.pages import CollectionPage, GraphError, UsedT
from runtui.graph.retry import Pace
from runtui.services.store.store import RunQuery, Store

NEVER = 86_400.0
"""An interval that no test waits for."""

EXCHANGE = Exchange(0, "test", "GET", "http://127.0.0.1/beta", (), None, datetime.now(UTC))


def graph_error(title: str = "The server failed") -> GraphError:
    return GraphError(Fault(title, "It is down.", "Wait.", Outcome.NOT_DONE, 500), EXCHANGE)


def refused(status: int, wait: str = "", body: bytes = b'{"error": {"code": "x", "message": "No."}}') -> GraphError:
    headers = (("Retry-After", wait),) if wait else ()
    exchange = replace(EXCHANGE, status=status, response_headers=headers, response_body=body)
    fault = fault_of(exchange, writing=False)
    assert fault is not None
    return GraphError(fault, exchange)


def run(run_id: str, **more: Any) -> dict[str, Any]:
    return {"id": run_id, "processingStatus": "completed", **more}


class FakeGraph(GraphClient):
    """Workflows and the pages of their runs.

    An exception instead of a page is raised. `busy` has the refusals before the first page of a workflow, one for each
    request. A request for changed runs gets the pages of `changes`, or none.
    """

    def __init__(self, **pages: Sequence[Sequence[dict[str, Any]] | Exception]) -> None:
        self.pages = dict(pages)
        self.workflow_ids: list[str] = list(pages)
        self.workflows_error: Exception | None = None
        self.busy: dict[str, list[GraphError]] = {}
        self.changes: dict[str, Sequence[Sequence[dict[str, Any]] | Exception]] = {}
        self.clock: datetime | None = None
        """The `Date` of its answers."""
        self.since: list[tuple[str, int | None]] = []
        """The workflows whose runs were requested, and the time since which (None: all), in order."""
        self.asked: list[str] = []
        """The workflows whose runs were requested, in order."""
        self.listings = 0
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_gate: asyncio.Queue[str] = asyncio.Queue()

    async def workflows(self, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        self.listings += 1
        await self._ask("workflows", pace)
        if self.workflows_error is not None:
            raise self.workflows_error
        middle = len(self.workflow_ids) // 2
        for part in (self.workflow_ids[:middle], self.workflow_ids[middle:]):
            yield CollectionPage(tuple({"id": name, "displayName": name.title()} for name in part), self._exchange())

    async def each_page_of_runs(
        self, workflow_id: str, use: Callable[[CollectionPage], UsedT], *, changed_since: int | None, pace: Pace
    ) -> AsyncIterator[UsedT]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.at_gate.put_nowait(workflow_id)
            self.since.append((workflow_id, changed_since))
            await self.gate.wait()
            await self._ask(workflow_id, pace)
            pages = self.pages[workflow_id] if changed_since is None else self.changes.get(workflow_id, [[]])
            for page in pages:
                if isinstance(page, Exception):
                    raise page
                yield await asyncio.to_thread(use, CollectionPage(tuple(page), EXCHANGE))
        finally:
            self.at_once -= 1

    def _exchange(self) -> Exchange:
        dated = (("Date", format_datetime(self.clock, usegmt=True)),) if self.clock is not None else ()
        return replace(EXCHANGE, response_headers=dated)

    async def _ask(self, name: str, pace: Pace | None) -> None:
        """Return the first page, as the client does: again after each refusal, as long as the pace allows."""
        assert pace is not None
        refusals = self.busy.get(name, [])
        for tries in range(1, 100):
            await pace.ready()
            self.asked.append(name)
            if not refusals:
                return
            error = refusals.pop(0)
            if not pace.retry(error.exchange, tries):
                raise error


def ids(store: Store) -> set[str]:
    return {row.id for row in store.window(RunQuery(), 0, 1_000)}
