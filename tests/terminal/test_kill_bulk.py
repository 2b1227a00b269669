"""Bulk changes by commands that are killed at any moment or run at the same time: they report what was applied.

The judge is the sandbox in this process, behind a real socket: its log of applied writes is the truth. The commands are
real processes on one state folder. A killed command is resumed by running it again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtui.auth.tokens import StaticToken
from runtui.domain.report import Outcome
from runtui.domain.times import parse_ticks
from runtui.graph.batch import MAX_BATCH
from runtui.sandbox.app import create_app
from runtui.sandbox.writes import AppliedWrite
from runtui.services.records.journal import Entry
from runtui.services.store.store import EVERY_RUN
from runtui.services.workspace import Workspace
from runtui.settings import Settings, store_path
from tests import PATIENCE, canary
from tests.contract.loopback import loopback
from tests.contract.writer_process import FIELD, Writers, Written, told_by, writers

SEED: Final = 11
RUNS: Final = 160
"""The number of runs, twice as many as are sent at once."""

BATCHES: Final = 3 * RUNS // MAX_BATCH
"""The requests of a command for each run: the review reads it, then it is read again and changed."""

AT_ONCE: Final = 4
"""The most requests that a command has in progress."""

LATE: Final = 2 * BATCHES // 3 + AT_ONCE
"""When more requests than these have arrived, some runs have been changed: two thirds of all only read."""

DWELL: Final = 0.015
"""Seconds that the server takes before and after a batch, so that random kills hit every stage of it."""


class Dwelling:
    """ASGI middleware that delays each batch, holds it at shut gates before and after it is carried out, counts the
    batches, and knows when no request is in progress."""

    def __init__(
        self, app: ASGIApp, quiet: asyncio.Event, batches: asyncio.Queue[None], gates: Sequence[asyncio.Event]
    ) -> None:
        self._app, self._quiet, self._batches = app, quiet, batches
        self._before, self._after = gates
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._under_way += 1
        self._quiet.clear()
        try:
            if not scope["path"].endswith("/$batch"):
                await self._app(scope, receive, send)
                return
            self._batches.put_nowait(None)
            messages: list[Message] = []
            await asyncio.sleep(DWELL)
            await self._before.wait()
            await self._app(scope, receive, _keeper(messages))
            await asyncio.sleep(DWELL)
            await self._after.wait()
            for message in messages:
                await send(message)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()


def _keeper(messages: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        messages.append(message)

    return keep


class Place:
    """The sandbox, the processes and the state folder."""

    def __init__(self, app: Starlette, root: str, started: Writers, folder: Path) -> None:
        self.root, self._started, self._folder = root, started, folder
        self.quiet, self.batches = asyncio.Event(), asyncio.Queue[None]()
        self.gates = asyncio.Event(), asyncio.Event()
        self.open_gates()
        app.add_middleware(Dwelling, quiet=self.quiet, batches=self.batches, gates=self.gates)
        self._log: list[AppliedWrite] = app.state.applied
        self.run_ids: list[str] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Workspace]:
        settings = Settings(root=self.root, tenant="Contoso", state_folder=self._folder)
        workspace = Workspace(settings, store_path(self._folder, self.root), StaticToken(canary.TOKEN))
        try:
            workspace.connect(self.root)
            yield workspace
        finally:
            await workspace.close()

    def update(self, value: int, run_ids: list[str], *options: str) -> Written:
        """Start a process that sets one value in some runs."""
        arguments = ["update", *run_ids, "--set", f"{FIELD}={value}", "--root", self.root, "--yes", *options]
        return self._started.start(arguments=arguments)

    def open_gates(self) -> None:
        for gate in self.gates:
            gate.set()

    async def arrive(self, batches: int, gate: asyncio.Event) -> None:
        """Wait until the server got that many batches of a process, and shut a gate."""
        while not self.batches.empty():
            self.batches.get_nowait()
        for _ in range(batches):
            await self.batches.get()
        gate.clear()

    def told(self, writer: Written) -> dict[str, dict[str, Any]]:
        """Return the report of a process about each run, up to its end."""
        path = told_by(self._folder, writer.number)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return {line["runId"]: line for line in map(json.loads, lines)}

    def applied(self, value: int) -> Counter[str]:
        """Return how often the server set this value, by run."""
        return Counter(write.run_id for write in self._log if write.body[FIELD] == value)

    async def entries(self, value: int, workspace: Workspace) -> list[Entry]:
        """Return the journal entries of a value after all unknown ones were read back."""
        await self.quiet.wait()
        await workspace.reconciler.check_all()
        found = await asyncio.to_thread(workspace.journal.entries, limit=10_000)
        return [entry for entry in found if entry.after.get(FIELD) == value]

    def judge(self, entries: list[Entry], value: int) -> None:
        """Compare the journal with the log of the server."""
        carried = Counter(write.client_request_id for write in self._log if write.body[FIELD] == value)
        assert set(carried.values()) <= {1}, "nothing is applied twice"
        assert set(self.applied(value).values()) <= {1}
        by_id = {entry.client_request_id: entry for entry in entries}
        assert carried.keys() <= by_id.keys(), "what was applied is in the journal"
        assert {by_id[request_id].outcome for request_id in carried} <= {Outcome.DONE}
        assert {entry.outcome for entry in entries if entry.client_request_id not in carried} <= {
            Outcome.UNKNOWN,
            Outcome.NOT_DONE,
        }, "nothing is claimed"


@asynccontextmanager
async def place_in(folder: Path) -> AsyncIterator[Place]:
    now = parse_ticks("2026-11-20T10:00:00Z")
    app = create_app(clock=lambda: now, runs=RUNS)
    try:
        async with loopback(app) as root, writers(folder) as started:
            place = Place(app, root, started, folder)
            async with place.session() as workspace:
                await workspace.refresh.list_once()
                place.run_ids = [row.id for row in workspace.store.window(EVERY_RUN, 0, RUNS)]
            assert len(place.run_ids) == RUNS
            yield place
    finally:
        app.state.database.close()


@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.slow)])
async def test_after_a_kill_at_any_moment_of_many_changes_the_same_command_ends_them(
    kills: int, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    async with place_in(tmp_path) as place:
        for number, value in enumerate(range(100_000, 100_000 + kills)):
            async with asyncio.timeout(5 * PATIENCE):
                writer = place.update(value, place.run_ids)
                is_late = number % 2 == 0
                batches = chance.randint(LATE + 1, BATCHES) if is_late else chance.randint(1, LATE)
                await place.arrive(batches, place.gates[0] if is_late else chance.choice(place.gates))
                await asyncio.sleep(chance.uniform(0, 2 * DWELL))
                await writer.kill()
                place.open_gates()
                async with place.session() as workspace:
                    entries = await place.entries(value, workspace)
                    place.judge(entries, value)
                    done = {run_id for run_id, line in place.told(writer).items() if line["outcome"] == "done"}
                    assert done <= place.applied(value).keys()
                    assert not [line for line in place.told(writer).values() if line["outcome"] != "done"]
                    assert not is_late or 0 < len(place.applied(value)) < RUNS, "it was killed in the middle"
                resumed = place.update(value, place.run_ids)
                await resumed.gone
                assert resumed.code == 0
                assert {line["outcome"] for line in place.told(resumed).values()} == {"done"}
                assert place.applied(value) == Counter(place.run_ids), "each once, before or after the kill"
                async with place.session() as workspace:
                    entries = await place.entries(value, workspace)
                    place.judge(entries, value)
                    for entry in entries:
                        if entry.outcome is Outcome.UNKNOWN:
                            await workspace.reconciler.decide(entry.number, Outcome.NOT_DONE)


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
async def test_two_commands_change_overlapping_runs_at_the_same_time(rounds: int, tmp_path: Path) -> None:
    told: Counter[str] = Counter()
    async with place_in(tmp_path) as place:
        first_runs, second_runs = place.run_ids[:100], place.run_ids[60:]
        for value in range(100_000, 100_000 + 2 * rounds, 2):
            async with asyncio.timeout(5 * PATIENCE):
                pairs = ((value, first_runs), (value + 1, second_runs))
                both = [(place.update(number, run_ids), number, run_ids) for number, run_ids in pairs]
                for writer, number, run_ids in both:
                    await writer.gone
                    lines = place.told(writer)
                    assert lines.keys() == set(run_ids), "each run has its line"
                    done = {run_id for run_id, line in lines.items() if line["outcome"] == "done"}
                    assert place.applied(number) == Counter(done), "what is told is what was applied"
                    assert writer.code == (0 if len(done) == len(run_ids) else 1)
                    assert "unknown" not in {line["outcome"] for line in lines.values()}
                    told.update(line["outcome"] for line in lines.values())
                    told.update(line["message"].split(".")[0] for line in lines.values() if line["outcome"] != "done")
                async with place.session() as workspace:
                    for _, number, _ in both:
                        place.judge(await place.entries(number, workspace), number)
    print(dict(told))
