"""`kill -9` and ctrl+c at any moment of a write: after the next start the journal says what the service did.

The judge is the sandbox in this process, behind a real socket: its log of applied writes is the truth. The writer is a
real process with a real state folder. After it ends, a new session opens the folder, checks the runs, and its
statements are compared with that log. So are the exit code and the output of a command that ctrl+c ended.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from itertools import cycle, islice
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtui.auth.tokens import StaticToken
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.times import now_ticks, parse_ticks
from runtui.sandbox.app import create_app
from runtui.sandbox.exchange import receive_once
from runtui.sandbox.writes import AppliedWrite
from runtui.services.records.journal import Entry
from runtui.services.store.store import RunQuery
from runtui.services.workspace import Workspace
from runtui.settings import Settings, store_path
from tests import PATIENCE, canary, there
from tests.contract.loopback import loopback
from tests.contract.writer_process import FIELD, Writers, Written, writers
from tests.terminal.test_session import runtui

EXIT_CODES: Final = {"done": 0, "not done": 1, "unknown": 3, None: 1}
"""The exit code by the outcome in a command's output; a command without output has sent nothing."""
SEED: Final = 7
FIRST_VALUE: Final = 100_000
"""The first value to write; no run has such a value by itself."""

DWELL: Final = 0.005
"""Seconds that the server takes for each stage of a write, so that random kills hit every stage."""


class Stage(Enum):
    """A point in the server's handling of a write."""

    HEADERS_READ = "the headers are read"
    BODY_READ = "the body is read, and nothing applied"
    APPLIED = "applied, and nothing answered"
    HALF_ANSWERED = "half of the answer is sent"


class Phase(Enum):
    """The stage of a write when its process was killed."""

    NOT_RECORDED = "not recorded"
    NOT_SENT = "recorded, not sent"
    NOT_ANSWERED = "sent, not answered"
    ANSWERED = "answered, not recorded"
    COMPLETE = "complete"


EXACT: Final[dict[str | Stage, Phase]] = {
    "WAITING": Phase.NOT_RECORDED,
    "READING": Phase.NOT_RECORDED,
    "RECORDING": Phase.NOT_RECORDED,
    "SENDING": Phase.NOT_SENT,
    Stage.HEADERS_READ: Phase.NOT_ANSWERED,
    Stage.BODY_READ: Phase.NOT_ANSWERED,
    Stage.APPLIED: Phase.NOT_ANSWERED,
    Stage.HALF_ANSWERED: Phase.NOT_ANSWERED,
    "SETTLING": Phase.ANSWERED,
    "ENDED": Phase.COMPLETE,
}
"""The points at which a writer can be killed -> the stage of the write there. They are the steps that the writer
announces and the stages of the server."""


class Judge:
    """Records the writes that the server gets, and kills the writer at a chosen stage."""

    def __init__(self) -> None:
        self.deadly: Stage | None = None
        self.is_gentle = False
        """True if the writers are commands that ctrl+c ends, not processes that are killed."""
        self.writer: Written | None = None
        self.arrived: set[str] = set()
        """The client-request-ids of the writes that reached the server."""
        self.answered: set[str] = set()
        """The ids of the writes whose answer was sent completely before the writer ended."""
        self.under_way = 0
        self.quiet = asyncio.Event()

    async def reach(self, stage: Stage) -> None:
        await asyncio.sleep(DWELL)
        if stage is self.deadly:
            assert self.writer is not None
            # A command that ctrl+c ends may still wait for this very answer.
            await (self.writer.kill() if not self.is_gentle else self.writer.send(signal.SIGINT))


class Judged:
    """ASGI middleware that shows each write to the judge, stage by stage."""

    def __init__(self, app: ASGIApp, judge: Judge) -> None:
        self._app, self._judge = app, judge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        judge = self._judge
        judge.under_way += 1
        judge.quiet.clear()
        try:
            if scope["method"] == "PATCH":
                await self._write(Request(scope, receive), receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            judge.under_way -= 1
            if not judge.under_way:
                judge.quiet.set()

    async def _write(self, request: Request, receive: Receive, send: Send) -> None:
        judge, request_id = self._judge, request.headers["client-request-id"]
        judge.arrived.add(request_id)
        await judge.reach(Stage.HEADERS_READ)
        try:
            body = await request.body()
        except ClientDisconnect:
            return  # the writer died before the rest of the body was read
        await judge.reach(Stage.BODY_READ)

        async def send_in_halves(message: Message) -> None:
            if message["type"] == "http.response.start":
                await judge.reach(Stage.APPLIED)
                await send(message)
                return
            half = len(message["body"]) // 2
            await send({**message, "body": message["body"][:half], "more_body": True})
            await judge.reach(Stage.HALF_ANSWERED)
            await send({**message, "body": message["body"][half:]})
            if judge.writer is not None and not judge.writer.gone.done():
                judge.answered.add(request_id)

        await self._app(request.scope, receive_once(body, receive), send_in_halves)


class Kill(NamedTuple):
    """One write whose process was ended, and the facts about it. `writer` is empty for a write from the screen."""

    value: int
    run_id: str
    workflow_id: str
    writer: Written


class Court:
    """The sandbox, the writers and the state folder, used for many kills."""

    def __init__(self, root: str, judge: Judge, applied: list[AppliedWrite], started: Writers, folder: Path) -> None:
        self._root, self._judge, self._applied, self._started, self._folder = root, judge, applied, started, folder
        self._values = iter(range(FIRST_VALUE, 2 * FIRST_VALUE))
        self._runs: Iterator[tuple[str, str]] = iter(())

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Workspace]:
        """Open a session in this process, on the same folder."""
        settings = Settings(root=self._root, tenant="Contoso", state_folder=self._folder)
        workspace = Workspace(settings, store_path(self._folder, self._root), StaticToken(canary.TOKEN))
        try:
            workspace.connect(self._root)
            yield workspace
        finally:
            await workspace.close()

    async def list_runs(self) -> None:
        """Find the runs to write to."""
        async with self.session() as workspace:
            await workspace.refresh.list_once()
            stored = [workspace.store.get(row.id) for row in workspace.store.window(RunQuery(), 0, 200)]
            self._runs = cycle((run.workflow_id, run.raw["id"]) for run in stored if run is not None)

    def write(self, dies_at: str | None = None) -> Kill:
        """Start a writer."""
        (workflow_id, run_id), value = next(self._runs), next(self._values)
        order = {"root": self._root, "workflow_id": workflow_id, "run_id": run_id, "value": value}
        order |= {"is_command": self._judge.is_gentle}
        kill = Kill(value, run_id, workflow_id, self._started.start(**order, dies_at=dies_at))
        self._judge.writer = kill.writer
        return kill

    async def seconds_of_a_write(self) -> float:
        """Return the median lifetime of three writers that nobody kills, in seconds."""
        loop, lives = asyncio.get_running_loop(), []
        for _ in range(3):
            kill = self.write()
            await kill.writer.pid
            began = loop.time()
            await kill.writer.gone
            lives.append(loop.time() - began)
            assert kill.writer.said["outcome"] == "done"
        return sorted(lives)[1]

    async def kill_at(self, point: str | Stage) -> Kill:
        """End a writer at a given point."""
        self._judge.deadly = point if isinstance(point, Stage) else None
        kill = self.write(dies_at=point if isinstance(point, str) else None)
        await kill.writer.gone
        self._judge.deadly = None
        return kill

    async def kill_after(self, seconds: float, step: str | None = None) -> Kill:
        """End a writer some seconds after it announced a step, or after its start, whatever it does then."""
        kill = self.write()
        await (kill.writer.reached[step].wait() if step is not None else kill.writer.pid)
        await asyncio.sleep(seconds)
        await (kill.writer.interrupt() if self._judge.is_gentle else kill.writer.kill())
        return kill

    async def interrupt_screen(self, seconds: float) -> tuple[Kill, int]:
        """Send a draft from the screen, then ctrl+c as a key and as a signal `seconds` later; return the exit code
        too."""
        (workflow_id, run_id), value = next(self._runs), next(self._values)
        async with self.session() as workspace:
            entity = there((await workspace.client.run(workflow_id, run_id)).entity)
            workspace.drafts.keep(Draft(run_id, workflow_id, entity).typed(FIELD, str(value), now_ticks()))
        ended = Kill(value, run_id, workflow_id, Written())
        self._judge.writer = ended.writer
        return ended, await asyncio.to_thread(self._at_screen, run_id, seconds)

    def _at_screen(self, run_id: str, seconds: float) -> int:
        with runtui(self._folder, "--root", self._root, is_forked=True) as terminal:
            terminal.wait_for("runs.*as of")
            terminal.press("/", "ctrl+u")  # the filter of the last start is kept
            terminal.type(f"id:{run_id[-12:]}")
            terminal.press("enter")
            terminal.wait_for(rf"\b1 of \d+  /id:{run_id[-12:]}\b")
            terminal.press("e")
            terminal.wait_for("Your draft from")
            terminal.press("ctrl+s")
            terminal.wait_for("send this change")
            terminal.press("y")
            time.sleep(seconds)
            terminal.press("ctrl+c")
            terminal.process.send_signal(signal.SIGINT)
            return terminal.wait_for_exit()

    async def judge(self, kill: Kill) -> Phase:
        """Start anew on the folder, compare the journal with what the service did, and return the stage that the write
        reached."""
        async with self.session() as workspace:
            found = entry_of(kill, workspace)
            await workspace.reconciler.check_all()  # the write may still arrive
            # This read follows everything that the writer sent: when it is answered, the server knows of the write.
            await workspace.client.run(kill.workflow_id, kill.run_id)
            await self._judge.quiet.wait()
            phase = self._phase(found)
            await workspace.reconciler.check_all()
            entry = entry_of(kill, workspace)
            applied = [write for write in self._applied if write.body[FIELD] == kill.value]
            told, is_killed = kill.writer.said.get("outcome"), not self._judge.is_gentle
            assert is_killed or kill.writer.code == EXIT_CODES[told], "the exit code is what was told"
            assert len(applied) <= 1
            assert [write.client_request_id for write in applied] in ([], [entry.client_request_id] if entry else [])
            if applied:
                assert entry is not None, "what was applied is in the journal"
                assert entry.outcome is Outcome.DONE
                assert told in (("done", None) if is_killed else ("done", "unknown"))
            else:
                assert entry is None or entry.outcome is not Outcome.DONE
                is_abrupt = is_killed and kill.writer.code is not None
                assert entry is None or entry.outcome is Outcome.UNKNOWN or not is_abrupt, "it may have been sent"
                assert told in ((None,) if is_killed else (None, "not done", "unknown"))
            if found is not None and found.is_settled:
                assert entry == found, "what was known stays as it was"
            if told is not None and (found is not None or told != "not done"):
                assert there(found).outcome is Outcome(told), "what a person was told was in the journal by then"
            if entry is not None and entry.outcome is Outcome.UNKNOWN:
                await workspace.reconciler.decide(entry.number, Outcome.NOT_DONE)
            assert workspace.journal.unsettled(self._root) == []
            return phase

    def _phase(self, found: Entry | None) -> Phase:
        """Return the stage of the write, from the journal after the kill."""
        if found is None:
            return Phase.NOT_RECORDED
        if found.outcome is not None:
            return Phase.COMPLETE
        if found.client_request_id in self._judge.answered:
            return Phase.ANSWERED
        return Phase.NOT_ANSWERED if found.client_request_id in self._judge.arrived else Phase.NOT_SENT


def entry_of(kill: Kill, workspace: Workspace) -> Entry | None:
    entries = [entry for entry in workspace.journal.entries(limit=10_000) if entry.after.get(FIELD) == kill.value]
    assert len(entries) <= 1
    return entries[0] if entries else None


@asynccontextmanager
async def court_in(folder: Path, *, is_gentle: bool = False) -> AsyncIterator[Court]:
    now = parse_ticks("2026-11-20T10:00:00Z")
    app, judge = create_app(clock=lambda: now), Judge()
    judge.is_gentle = is_gentle
    app.add_middleware(Judged, judge=judge)
    try:
        async with loopback(app) as root, writers(folder) as started:
            court = Court(root, judge, app.state.applied, started, folder)
            await court.list_runs()
            yield court
    finally:
        app.state.database.close()


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.slow)])
async def test_after_a_kill_at_any_point_the_journal_says_what_the_service_did(rounds: int, tmp_path: Path) -> None:
    async with court_in(tmp_path) as court:
        for point, phase in rounds * tuple(EXACT.items()):
            async with asyncio.timeout(PATIENCE):
                assert await court.judge(await court.kill_at(point)) is phase, point


@pytest.mark.parametrize("kills", [6, pytest.param(150, marks=pytest.mark.slow)])
async def test_after_a_kill_at_any_moment_the_journal_says_what_the_service_did(kills: int, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    phases: Counter[Phase] = Counter()
    async with court_in(tmp_path) as court:
        life = await court.seconds_of_a_write()
        # Most of a writer's life is its start, so the important steps get their own kills.
        moments = [(None, 1.1 * life), ("RECORDING", 2 * DWELL), ("SENDING", 4 * DWELL), ("SETTLING", DWELL)]
        for step, longest in islice(cycle(moments), kills):
            async with asyncio.timeout(PATIENCE):
                kill = await court.kill_after(chance.uniform(0, longest), step)
                phases[await court.judge(kill)] += 1
    assert len(phases) > 1 or kills < 100, "many kills are spread over the life of a write"


COMMAND_POINTS: Final = tuple(point for point in EXACT if point not in ("WAITING", "ENDED"))
"""The points of a command, which does not announce that it waits for others, and prints its report afterwards."""


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.slow)])
async def test_after_ctrl_c_at_any_point_the_exit_code_and_the_journal_say_what_the_service_did(
    rounds: int, tmp_path: Path
) -> None:
    async with court_in(tmp_path, is_gentle=True) as court:
        for point in rounds * COMMAND_POINTS:
            async with asyncio.timeout(PATIENCE):
                ended = await court.kill_at(point)
                await court.judge(ended)
            told = {"READING": None, "RECORDING": "not done"}
            assert ended.writer.said.get("outcome") == told.get(str(point), ended.writer.said.get("outcome")), point


@pytest.mark.parametrize("times", [6, pytest.param(110, marks=pytest.mark.slow)])
async def test_after_ctrl_c_at_any_moment_the_exit_code_and_the_journal_say_what_the_service_did(
    times: int, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    words: Counter[str | None] = Counter()
    async with court_in(tmp_path, is_gentle=True) as court:
        life = await court.seconds_of_a_write()
        moments = [(None, 1.1 * life), ("RECORDING", 2 * DWELL), ("SENDING", 6 * DWELL), ("SETTLING", 4 * DWELL)]
        for step, longest in islice(cycle(moments), times):
            async with asyncio.timeout(PATIENCE):
                ended = await court.kill_after(chance.uniform(0, longest), step)
                await court.judge(ended)
                words[ended.writer.said.get("outcome")] += 1
    assert len(words) > 1 or times < 100, "many moments are spread over the life of a command"


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
async def test_ctrl_c_on_the_screen_at_any_moment_of_a_write_waits_for_what_was_sent(
    times: int, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    phases: Counter[Phase] = Counter()
    async with court_in(tmp_path) as court:
        for _ in range(times):
            async with asyncio.timeout(PATIENCE):
                ended, code = await court.interrupt_screen(chance.uniform(0, 60 * DWELL))
                assert code == 1, "it was asked to end"
                phases[await court.judge(ended)] += 1
    print(phases)
    assert phases.keys() <= {Phase.NOT_RECORDED, Phase.COMPLETE}, phases
