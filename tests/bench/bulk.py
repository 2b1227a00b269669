"""The cost of a bulk change of 1,000 runs, within one process: its time, its longest step, a key in the meantime.

The wire answers from memory after a fixed time, so that all other time is runtui's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import httpx
from textual import events

from runtui.auth.tokens import StaticToken
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.services import foreground
from runtui.services.store.store import stored_runs
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from runtui.tui.app import RuntuiApp
from tests import canary
from tests.bench.stalls import each_piece, processor_of_its_own
from tests.bench.table import Pairs, Row
from tests.tui.conftest import ROOT, Session
from tests.tui.wires import a_run

RUNS = 1_000
LATENCY = 0.05
BLOCKS = 3
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
    """Yield a session that has listed the runs and changed each once."""
    wire = LateWire()
    settings = Settings(root=ROOT, tenant="Contoso", refresh_seconds=0.0, state_folder=folder)
    workspace = Workspace(settings, folder / "runs.db", StaticToken(canary.TOKEN), wire=wire)
    try:
        workspace.connect(ROOT)
        await workspace.refresh.list_once()
        await change_all(workspace, "canceled")
        wire.requests = wire.most_at_once = 0
        yield workspace, wire
    finally:
        await workspace.close()


def drafts(workspace: Workspace, status: str) -> list[Draft]:
    runs = stored_runs(workspace.store, [f"run-{n}" for n in range(RUNS)])
    values = {"processingStatus": status}
    return [Draft(run.run_id, run.workflow_id, run.raw).with_values(values) for run in runs]


async def change_all(workspace: Workspace, status: str) -> float:
    """Return the seconds from the confirmation to the last recorded outcome."""
    some, clock = drafts(workspace, status), asyncio.get_running_loop()
    began = clock.time()
    bulk = workspace.saves.submit_many(some)
    assert await workspace.saves.drain(120) == 0
    seconds = clock.time() - began
    assert {entry.outcome for entry in workspace.journal.of_batch(bulk.batch)} == {Outcome.DONE}
    return seconds


async def change_and_latency(folder: Path) -> tuple[float, float]:
    """Return the milliseconds of a change of all runs, and those that its requests wait for their answers."""
    async with session(folder) as (workspace, wire):
        with processor_of_its_own():
            seconds = await change_all(workspace, "failed")
        return seconds * 1000, wire.requests * LATENCY / wire.most_at_once * 1000


async def longest_step_and_key(folder: Path) -> tuple[float, float]:
    """Return the milliseconds (CPU time) of the longest step on the event loop of a change, and of a cursor key."""
    async with session(folder) as (workspace, _):
        pieces, some = list[float](), drafts(workspace, "failed")
        gc.collect()
        gc.disable()
        try:
            with each_piece(lambda took, _name: pieces.append(took)):
                workspace.saves.submit_many(some)
                await asyncio.sleep(0)
                pieces.clear()  # the yes itself, once
                assert await workspace.saves.drain(120) == 0
                longest = max(pieces)
        finally:
            gc.enable()
        async with screen_of(workspace) as press:
            return longest, median([(await press(key))[1] for key in "jjjjkjjkkj" * 2])


async def keys_during_and_before(folder: Path) -> tuple[float, float]:
    """Return the milliseconds from a cursor key to the moved cursor while changes go out, and while none do."""
    idle, busy = list[float](), list[float]()
    async with session(folder) as (workspace, _), screen_of(workspace) as press:
        for status, _ in zip(cycle(("failed", "completed")), range(BLOCKS), strict=False):
            with processor_of_its_own():
                idle += [(await press(key))[0] for key in "jjjjkjjkkj" * 2]
                workspace.saves.submit_many(drafts(workspace, status))
                busy += [(await press(key))[0] for key in "jjjjkjjkkj" * 2]
            assert workspace.saves.active(), "the changes ended before the keys"
            assert await workspace.saves.drain(120) == 0
            await asyncio.sleep(0.5)  # what follows from them is drawn
    return median(busy), median(idle)


def queued() -> float:
    """Return the seconds that this thread has waited for a busy processor (Linux, `Documentation/scheduler`)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


@asynccontextmanager
async def screen_of(workspace: Workspace) -> AsyncIterator[Callable[[str], Coroutine[Any, Any, tuple[float, float]]]]:
    """Open the screen; yield a function that presses a cursor key in the middle of the list, and returns the
    milliseconds until the cursor moves: wall time, and CPU time on the loop."""
    pauses, app = random.Random(len("bulk")), RuntuiApp(workspace)
    # On a busy machine a key takes longer than background work waits for it by default.
    with patch.object(foreground, "MAX_SECONDS", 1.0):
        async with app.run_test(size=(120, 40)) as pilot:
            screen = Session(pilot, workspace, None)
            await screen.until(lambda: "Onboard" in screen.text() and app.preparation.is_followed_up)
            table = screen.runs.table
            table.move_to(RUNS // 2)

            async def press(key: str) -> tuple[float, float]:
                await asyncio.sleep(pauses.uniform(*BETWEEN_KEYS))
                before, began, worked = table.cursor_id, time.perf_counter() - queued(), time.thread_time()
                app.post_message(events.Key(key, key))
                while table.cursor_id == before:  # noqa: ASYNC110 - an event would be one more turn of the loop
                    await asyncio.sleep(0)
                return (time.perf_counter() - queued() - began) * 1000, (time.thread_time() - worked) * 1000

            yield press


def row(
    name: str,
    unit: str,
    reference: str,
    goal: float,
    measure: Callable[[Path], Coroutine[Any, Any, tuple[float, float]]],
) -> Row:
    """Return a row whose pairs are measured on an event loop and in a folder of their own."""

    def pairs() -> Pairs:
        while True:
            with TemporaryDirectory() as folder:
                yield asyncio.run(measure(Path(folder)))

    return Row(name, unit, reference, goal, pairs, rounds=3)


ROWS = (
    row("change of 1,000 runs", "ms wall", "its requests", 1.5, change_and_latency),
    row("longest step of a change of 1,000 runs", "ms", "cursor key", 1, longest_step_and_key),
    row("cursor key during a change of 1,000 runs", "ms wall", "without it", 1.5, keys_during_and_before),
)
