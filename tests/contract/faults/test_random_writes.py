"""Random writes against a server that misbehaves at the change and at the read-back: no false report, no double send.

Invariant: reports and journal are compared with the server's own log of applied changes. A case follows from `SEED`,
its mode and its index, so the name in a failure is enough to reproduce it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import pytest

from runtui.auth.tokens import StaticToken
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.services.records.journal import Entry
from runtui.services.workspace import Workspace
from runtui.services.writing.write import Save
from runtui.settings import Settings
from tests import canary, there
from tests.contract.faults.fault_server import WORKFLOW, Behaviour, Call, Etags, FaultServer, honest
from tests.contract.faults.first_faults import FirstFault, shuffled
from tests.contract.faults.judge import LoopTime
from tests.contract.faults.read_faults import READ_FAULTS

SEED: Final = 22
MODES: Final = [(etags, echoes_ids) for etags in Etags for echoes_ids in (True, False)]
STRIKES: Final = (1, 1, 1, 2, 3, 99)
"""The number of requests of one save that a fault affects; the last number means all."""
FAR_TOO_LONG: Final = 1_000_000.0
"""Seconds, on a clock that the server moves forward, after which a save counts as stuck."""


@dataclass(frozen=True)
class Case:
    """One write, and the faults that it meets."""

    place: int
    fault: FirstFault
    strikes: int
    read_fault: str
    read_strikes: int
    values: dict[str, str | int | None]

    def __str__(self) -> str:
        reads = f"{self.read_fault} x{self.read_strikes}"
        return f"#{self.place} [{self.fault.name} x{self.strikes} | read back: {reads} | {self.values}]"


def cases(mode: int, count: int) -> Iterator[Case]:
    """Return the writes of one mode. Modes start at different faults, so that a few writes meet all of them."""
    chance, faults = random.Random(SEED + mode), shuffled(SEED)
    start = len(faults) * mode // len(MODES)
    yield Case(0, FirstFault("none", honest), 1, "none", 1, {"failedTasksCount": 1_000})
    for place, fault in enumerate(islice(cycle(faults), start, start + count - 1), 1):
        number = 1_000 + place
        values: list[dict[str, str | int | None]] = [
            {"failedTasksCount": number},
            {"failedTasksCount": number, "processingStatus": "failed"},
            {"completedDateTime": None},
        ]
        read_fault = chance.choice(["none", *READ_FAULTS])
        yield Case(place, fault, chance.choice(STRIKES), read_fault, chance.choice(STRIKES), chance.choice(values))


class Bench:
    """One session of runtui on one fault server, used for many writes."""

    def __init__(self, server: FaultServer, workspace: Workspace) -> None:
        self.server = server
        self.workspace = workspace
        self.lies = 0
        """The number of writes that runtui believed because of a server's lie."""
        self.outcomes: Counter[str] = Counter()
        self._ends: dict[int, Save] = {}
        workspace.saves.changed.subscribe(self._follow)

    def _follow(self, save: Save) -> None:
        if not save.active:
            self._ends[save.number] = save

    async def write(self, case: Case) -> list[str]:
        """Carry out a case; return every false statement about it, now and after the run is read back."""
        server, received = self.server, self.server.new_run()
        server.at_read = _with_stray(case.fault) if case.fault.stray is not None else honest
        server.at_write = [case.fault.act] * case.strikes + [honest]
        server.at_read_back = [READ_FAULTS[case.read_fault]] * case.read_strikes + [honest]
        number = self.workspace.saves.submit(Draft(received["id"], WORKFLOW, received).with_values(case.values)).number
        assert await self.workspace.saves.drain(FAR_TOO_LONG) == 0, f"it hangs: {case}"
        save = self._ends.pop(number)
        server.land()
        found = [*self._false_words(case, save), *self._false_sends(received["id"])]
        server.at_read_back = [honest]
        for entry in self._entries(received["id"]):
            if entry.outcome is Outcome.UNKNOWN:
                await self.workspace.reconciler.check(entry.number)
        found += [f"after a look: {word}" for word in self._false_words(case, None, received["id"])]
        self.outcomes[there(save.outcome).value] += 1
        return [f"{case}: {word}" for word in found]

    def _entries(self, run_id: str) -> list[Entry]:
        """Return the entries of a run, oldest first."""
        return self.workspace.journal.of_run(self.workspace.root, run_id)[::-1]

    def _false_words(self, case: Case, save: Save | None, run_id: str = "") -> Iterator[str]:
        """Yield what is false in the journal or in the report about the run's changes, given the applied changes."""
        entries = self._entries(save.run_id if save is not None else run_id)
        applied = Counter(change.client_request_id for change in self.server.applied)
        for entry in entries:
            is_applied = applied[entry.client_request_id] > 0
            if entry.outcome is Outcome.DONE and not is_applied:
                if case.fault.is_lie and entry.known_by == "answer":
                    self.lies += save is not None
                else:
                    yield f"entry {entry.number} is done by {entry.known_by}, and nothing was applied"
            elif entry.outcome is Outcome.NOT_DONE and is_applied:
                yield f"entry {entry.number} is not done, and it was applied"
            elif entry.outcome is Outcome.UNKNOWN and is_applied and save is None:
                yield f"entry {entry.number} is unknown, and the run shows that it was applied"
            elif entry.outcome is None:
                yield f"entry {entry.number} has no outcome"
        if save is not None and entries and entries[-1].outcome is not save.outcome:
            yield f"told {save.outcome}, recorded {entries[-1].outcome}"
        if save is not None and not entries and save.outcome is not Outcome.NOT_DONE:
            yield f"told {save.outcome} of what was never sent"

    def _false_sends(self, run_id: str) -> Iterator[str]:
        """Yield the changes that were sent without an entry, too often, or too soon."""
        ours = [change for change in self.server.applied if change.run_id == run_id and not change.by_gateway]
        if len(ours) > 1:
            yield f"applied {len(ours)} times"
        sent = Counter(change.client_request_id for change in self.server.arrived if change.run_id == run_id)
        recorded = Counter(entry.client_request_id for entry in self._entries(run_id))
        if sent - recorded:
            yield f"sent {sent - recorded} times more than recorded"
        if hurried := [name for name in self.server.hurried if name in sent]:
            yield f"sent again {len(hurried)} times before the wait was over"


def _with_stray(fault: FirstFault) -> Behaviour:
    async def read(call: Call) -> None:
        assert fault.stray is not None
        call.answer(call.honestly() + fault.stray(call))

    return read


@asynccontextmanager
async def bench(etags: Etags, echoes_ids: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    time, loop = LoopTime(monkeypatch), asyncio.get_running_loop()
    async with FaultServer(
        etags, echoes_ids=echoes_ids, forward=time.forward, now=lambda: loop.time() + sum(time.slept)
    ) as server:
        settings = Settings(root=server.root, tenant="Contoso", state_folder=folder)
        workspace = Workspace(settings, folder / "runs.db", StaticToken(canary.TOKEN))
        try:
            workspace.connect(server.root)
            workspace.store.put_workflows([{"id": WORKFLOW, "displayName": "Onboard"}])
            yield Bench(server, workspace)
        finally:
            await workspace.close()


@pytest.mark.parametrize("writes", [10, pytest.param(140, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", range(len(MODES)), ids=lambda mode: f"{MODES[mode][0].value}, echo {MODES[mode][1]}")
async def test_no_word_is_false_and_nothing_is_sent_twice(
    mode: int, writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with bench(*MODES[mode], tmp_path, monkeypatch) as trial:
        wrong = [word for case in cases(mode, writes) for word in await trial.write(case)]
    print(f"{trial.outcomes}, {trial.lies} of them by a lie of the server")
    assert wrong == [], "\n".join(["", *wrong])
    assert trial.outcomes["done"] > trial.lies, "where nothing befalls a write, it is done"
