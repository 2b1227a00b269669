"""The cost of a bulk change of 1,000 runs: time beside the latency of its requests, memory, a key in the meantime.

The wire answers from memory after a fixed time, so that all other time is runtui's. Times are compared within one run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual import events

from runtui.auth.tokens import StaticToken
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.services.store import stored_runs
from runtui.services.workspace import Workspace
from runtui.services.writing import foreground
from runtui.settings import Settings
from runtui.tui.app import RuntuiApp
from tests import canary
from tests.bench.stalls import each_piece, processor_of_its_own
from tests.tui.conftest import ROOT, Session
from tests.tui.wires import a_run

pytestmark = pytest.mark.bench

RUNS = 1_000
LATENCY = 0.05
MAX_OF_LATENCY = 1.5
MAX_BYTES = 30 * 1024 * 1024
MAX_OF_IDLE = 1.5
MAX_LATE_OF_IDLE = 1.75
"""The limit for the slowest keys: the goal is 1.5, and other programs on the machine make the same steps longer."""

MAX_PIECE_MILLISECONDS = 5.0

BLOCKS = 6
BETWEEN_KEYS = (0.033, 0.066)
"""Seconds between two keys; a held key comes 30 times a second. They vary, so as not to coincide with timers."""


class LateWire(httpx.AsyncBaseTransport):
    """One workflow and its runs; each answer comes after the same time and takes almost no CPU time to make."""

    def __init__(self) -> None:
        self._statuses = {f"run-{n}": str(a_run(n % 60)["processingStatus"]) for n in range(RUNS)}
        self._around = {
            run_id: json.dumps({**a_run(n % 60), "id": run_id, "processingStatus": "|"}).split("|")
            for n, run_id in enumerate(self._statuses)
        }
        """The JSON of a run before and after its status."""
        self.requests = self.most_at_once = self._at_once = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(LATENCY)
        self._at_once -= 1
        headers = {"content-type": "application/json", "client-request-id": request.headers["client-request-id"]}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(self._answer(request).encode()))

    def _answer(self, request: httpx.Request) -> str:
        path = request.url.path
        if path.endswith("/$batch"):
            return f'{{"responses": [{", ".join(map(self._item, json.loads(request.content)["requests"]))}]}}'
        if path.endswith("/runs"):
            return f'{{"value": [{", ".join(map(self._run, self._statuses))}]}}'
        return json.dumps({"value": [{"id": "w1", "displayName": "Onboard"}] if path.endswith("/workflows") else []})

    def _item(self, item: dict[str, Any]) -> str:
        run_id, body = item["url"].rpartition("/")[2], '{"value": []}'
        if run_id in self._statuses:
            self._statuses[run_id] = item.get("body", {}).get("processingStatus", self._statuses[run_id])
            body = self._run(run_id)
        echoed = f'"client-request-id": "{item["headers"].get("client-request-id", "")}"'
        headers = f'{{"Content-Type": "application/json", {echoed}}}'
        return f'{{"id": "{item["id"]}", "status": 200, "headers": {headers}, "body": {body}}}'

    def _run(self, run_id: str) -> str:
        return self._statuses[run_id].join(self._around[run_id])


@asynccontextmanager
async def session(folder: Path) -> AsyncIterator[tuple[Workspace, LateWire]]:
    """Yield a session that has listed the runs."""
    wire = LateWire()
    settings = Settings(root=ROOT, tenant="Contoso", refresh_seconds=0.0, state_folder=folder)
    workspace = Workspace(settings, folder / "runs.db", StaticToken(canary.TOKEN), wire=wire)
    try:
        workspace.connect(ROOT)
        await workspace.refresh.list_once()
        wire.requests = wire.most_at_once = 0
        yield workspace, wire
    finally:
        await workspace.close()


def drafts(workspace: Workspace, status: str) -> list[Draft]:
    runs = stored_runs(workspace.store, [f"run-{n}" for n in range(RUNS)])
    values = {"processingStatus": status}
    return [Draft(run_id, run.workflow_id, run.raw, "changed").with_values(values) for run_id, run in runs.items()]


async def change_all(workspace: Workspace, status: str) -> float:
    """Return the seconds from the confirmation to the last recorded outcome."""
    some, clock = drafts(workspace, status), asyncio.get_running_loop()
    began = clock.time()
    bulk = workspace.saves.submit_many(some)
    assert await workspace.saves.drain(120) == 0
    seconds = clock.time() - began
    assert {entry.outcome for entry in workspace.journal.of_batch(bulk.batch)} == {Outcome.DONE}
    return seconds


async def test_many_changes_take_little_more_than_their_requests(tmp_path: Path) -> None:
    ratios = []
    async with session(tmp_path) as (workspace, wire):
        for status in ("canceled", "failed", "canceled"):
            with processor_of_its_own():
                seconds = await change_all(workspace, status)
            limit = wire.requests * LATENCY / wire.most_at_once
            ratios.append(seconds / limit)
            print(f"\n{seconds:.2f} s for {wire.requests} requests, {wire.most_at_once} at once: {ratios[-1]:.2f}x")
            wire.requests = 0
    assert min(ratios) <= MAX_OF_LATENCY


async def test_no_piece_of_many_changes_keeps_a_key_waiting_long(tmp_path: Path) -> None:
    """Measure CPU time on the event loop, which depends neither on the load of the machine nor on the collector."""
    async with session(tmp_path) as (workspace, _):
        await change_all(workspace, "canceled")
        pieces = list[tuple[float, str]]()
        some = drafts(workspace, "failed")
        gc.collect()
        gc.disable()
        try:
            with each_piece(lambda took, name: pieces.append((took, name))):
                workspace.saves.submit_many(some)
                await asyncio.sleep(0)
                pieces.clear()  # the yes itself, once
                assert await workspace.saves.drain(120) == 0
                longest = sorted(pieces, reverse=True)
        finally:
            gc.enable()
    print(f"\n{sum(took for took, _ in longest):.0f} ms in {len(longest)} pieces; the longest: {longest[:3]}")
    assert longest[0][0] <= MAX_PIECE_MILLISECONDS


async def test_many_changes_take_little_memory(tmp_path: Path) -> None:
    async with session(tmp_path) as (workspace, _):
        await change_all(workspace, "canceled")
        tracemalloc.start()
        try:
            await change_all(workspace, "failed")
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    print(f"\n{peak / 2**20:.1f} MiB at most, {kept / 2**20:.1f} MiB kept")
    assert peak < MAX_BYTES


def figures(keys: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Return each of the two measures of some keys, sorted."""
    return [sorted(key[measure] for key in keys) for measure in (0, 1)]


def queued() -> float:
    """Return the seconds that this thread has waited for a busy processor (Linux, `Documentation/scheduler`)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


async def test_a_cursor_key_is_answered_at_once_while_many_changes_go_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a key takes longer than background work waits for it by default.
    monkeypatch.setattr(foreground, "MAX_SECONDS", 1.0)
    pauses = random.Random(len("bulk"))
    async with session(tmp_path) as (workspace, _):
        app = RuntuiApp(workspace)
        async with app.run_test(size=(120, 40)) as pilot:
            screen = Session(pilot, workspace, None)
            await screen.until(lambda: "Onboard" in screen.text() and app.preparation.is_followed_up)
            table = screen.runs.table

            async def press(key: str) -> tuple[float, float]:
                """Return the milliseconds from a key until the cursor moves: wall time, and CPU time on the loop."""
                await asyncio.sleep(pauses.uniform(*BETWEEN_KEYS))
                before, began, worked = table.cursor_id, time.perf_counter() - queued(), time.thread_time()
                app.post_message(events.Key(key, key))
                while table.cursor_id == before:  # noqa: ASYNC110 - an event would be one more turn of the loop
                    await asyncio.sleep(0)
                return (time.perf_counter() - queued() - began) * 1000, (time.thread_time() - worked) * 1000

            async def block() -> list[tuple[float, float]]:
                """Press the same keys from the same place in the list; return their measures."""
                table.move_to(RUNS // 2)
                return [await press(key) for key in "jjjjkjjkkj" * 2]

            idle, busy, left = list[tuple[float, float]](), list[tuple[float, float]](), []
            await change_all(workspace, "completed")  # what is done for the first time
            await block()
            for number in range(BLOCKS):
                with processor_of_its_own():
                    idle += await block()
                    workspace.saves.submit_many(drafts(workspace, ("canceled", "completed")[number % 2]))
                    busy += await block()
                left.append(len(workspace.saves.active()))
                assert await workspace.saves.drain(120) == 0
                await asyncio.sleep(0.5)  # what follows from them is drawn
    middle, late = len(idle) // 2, int(len(idle) * 0.95)
    print(f"\n{left} changes were left")
    for what, before, during in zip(("by the clock", "of CPU on the loop"), figures(idle), figures(busy), strict=True):
        print(
            f"a cursor key, ms {what}: {before[middle]:.1f} idle, {during[middle]:.1f} while changes go out; "
            f"p95 {before[late]:.1f}, {during[late]:.1f} ({during[late] / before[late]:.2f}x)"
        )
    assert min(left) > 0
    assert during[middle] <= MAX_OF_IDLE * before[middle]
    assert during[late] <= MAX_LATE_OF_IDLE * before[late]
