"""A service that holds two runs and answers reads and writes as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.graph.client import Answer, GraphClient, RunUpdate
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault
from runtui.graph.retry import Pace

WORKFLOW = "w1"
RUN: dict[str, Any] = {
    "id": "r1",
    "completedDateTime": None,
    "failedTasksCount": 2,
    "failedUsersCount": 1,
    "lastUpdatedDateTime": "2026-11-20T06:09:38.186588Z",
    "processingStatus": "inProgress",
    "scheduledDateTime": "2026-11-20T06:00:01.2034518Z",
    "startedDateTime": "2026-11-20T06:00:04.5688752Z",
    "successfulUsersCount": 10,
    "totalTasksCount": 36,
    "totalUsersCount": 12,
    "totalUnprocessedTasksCount": 1,
    "workflowExecutionType": "scheduled",
}


def exchange(method: str) -> Exchange:
    return Exchange(0, "test", method, "http://127.0.0.1/beta", (), None, datetime.now(UTC))


def fault(outcome: Outcome) -> Fault:
    return Fault("It went wrong", "The line was cut.", "Look again.", outcome)


def answered(entity: Mapping[str, Any] | None = None, *, outcome: Outcome | None = None, method: str = "GET") -> Answer:
    return Answer(exchange(method), dict(entity) if entity is not None else None, outcome and fault(outcome))


class FakeGraph(GraphClient):
    """A service that holds runs. A test replaces `on_write` or `on_read` to answer in its own way."""

    def __init__(self) -> None:
        self.held = {RUN["id"]: dict(RUN), "r2": {**RUN, "id": "r2"}}
        self.calls: list[str] = []
        self.batches: list[str] = []
        """Reads and writes of several runs, each with how many."""
        self.bodies: list[str] = []
        self.request_ids: list[str | None] = []
        self.etags: list[str | None] = []
        """The If-Match of each write."""
        self.renewals = 0
        """The number of tokens that are left to try."""
        self.signed_in = asyncio.Event()
        self.signed_in.set()
        self.under_way: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.on_write: Callable[[str], Answer] = lambda run_id: answered(self.held[run_id], method="PATCH")
        self.on_read: Callable[[str], Answer] = lambda run_id: answered(self.held[run_id])
        self.on_act: Callable[[ServiceAction], Answer] = lambda _: answered(method="POST")
        self.on_observe: Callable[[ServiceAction], Answer] = lambda action: answered(self.held[action.run_id])

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        assert workflow_id == WORKFLOW
        self.calls.append(f"GET {run_id}")
        return self.on_read(run_id)

    async def update_run(self, update: RunUpdate) -> Answer:
        workflow_id, run_id, body, client_request_id, if_match = update
        assert workflow_id == WORKFLOW
        self.request_ids.append(client_request_id)
        self.etags.append(if_match)
        self.calls.append(f"PATCH {run_id}")
        self.bodies.append(body)
        self.arrived.put_nowait(run_id)
        self.under_way[run_id] = self.under_way.get(run_id, 0) + 1
        self.most_at_once[run_id] = max(self.most_at_once.get(run_id, 0), self.under_way[run_id])
        try:
            await self.gate.wait()
            self.apply(run_id, body)
            answer = self.on_write(run_id)
            if if_match is None:
                return answer
            sent = (*answer.exchange.request_headers, ("If-Match", if_match))
            return answer._replace(exchange=replace(answer.exchange, request_headers=sent))
        finally:
            self.under_way[run_id] -= 1

    async def read_runs(self, runs: Sequence[tuple[str, str]]) -> list[Answer]:
        self.batches.append(f"GET {len(runs)}")
        return [await self.run(*run) for run in runs]

    async def update_runs(self, updates: Sequence[RunUpdate]) -> list[Answer]:
        self.batches.append(f"PATCH {len(updates)}")
        return [await self.update_run(update) for update in updates]

    async def renew_token(self, exchange: Exchange) -> bool:
        await self.signed_in.wait()
        self.renewals -= 1
        return self.renewals >= 0

    async def act(self, action: ServiceAction, *, client_request_id: str | None = None) -> Answer:
        self.calls.append(f"POST {action.name} {action.run_id}")
        self.request_ids.append(client_request_id)
        self.bodies.append(action.body_text())
        return self.on_act(action)

    async def observe(self, action: ServiceAction, *, before: Mapping[str, Any] | None = None) -> Answer:
        self.calls.append(f"GET {action.run_id} for {action.name}")
        return self.on_observe(action)

    def target(self, operation: Operation) -> tuple[str, str]:
        if isinstance(operation, ServiceAction):
            return "POST", f"http://127.0.0.1/beta/workflows/{operation.workflow_id}/{operation.name}"
        return "PATCH", f"http://127.0.0.1/beta/workflowBase/runs/{operation.run_id}"

    def apply(self, run_id: str, body: str) -> None:
        changes = json.loads(body)
        changes.pop("@odata.type")
        self.held[run_id] |= changes
