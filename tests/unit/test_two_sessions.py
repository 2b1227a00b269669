"""Two sessions on one journal change the same runs at the same moment, over a line that loses answers: what they tell
and record is compared with what was applied."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.graph.client import Answer, RunUpdate
from runtui.graph.retry import Pace
from runtui.services.writing.saves import SaveQueue
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered
from tests.unit.saves_bench import CONTEXT, NOW, Bench, refused

ROUNDS: Final = 40

LOST: Final = refused(504, Outcome.UNKNOWN)

ANSWERS: Final = ((True, None), (True, LOST), (True, refused(409)), (False, LOST), (False, refused(409)))
"""Whether a change is applied, and its answer; None is the run. The applied one of a 409 came twice."""


class LossyGraph(FakeGraph):
    """A service that takes its time and loses answers."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.applied: set[str] = set()
        """The request ids of the applied changes."""

    async def _dawdle(self) -> None:
        for _ in range(self._chance.randrange(30)):
            await asyncio.sleep(0)

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        answer = await super().run(workflow_id, run_id)
        await self._dawdle()
        return answer

    async def update_run(self, update: RunUpdate) -> Answer:
        await self._dawdle()
        is_applied, answer = self._chance.choice(ANSWERS)
        if is_applied:
            self.apply(update.run_id, update.body)
            self.applied.add(there(update.client_request_id))
        shown = answered(self.held[update.run_id], method="PATCH")
        await self._dawdle()
        return answer or shown


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 100))])
async def test_two_sessions_that_change_the_same_runs_tell_nothing_untrue(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    graph = LossyGraph(chance)
    with closing(Bench(tmp_path)) as one, closing(Bench(tmp_path)) as two:
        for bench in (one, two):
            bench.saves = SaveQueue(graph, bench.store, bench.journal, CONTEXT)
        for number in range(0, 2 * ROUNDS, 2):
            for bench in (one, two):
                value = str(1_000 + number + chance.randrange(2))  # often both write the same
                draft = Draft(RUN["id"], WORKFLOW, dict(graph.held[RUN["id"]]))
                bench.saves.submit(draft.typed("failedTasksCount", value, NOW))
            await asyncio.gather(one.saves.drain(PATIENCE), two.saves.drain(PATIENCE))
        entries = one.journal.entries()
    told = {entry.number: entry.outcome for entry in entries}
    assert {Outcome.DONE, Outcome.UNKNOWN} <= set(told.values())
    is_applied = {entry.number: entry.client_request_id in graph.applied for entry in entries}
    assert not [number for number, outcome in told.items() if outcome is Outcome.DONE and not is_applied[number]]
    assert not [number for number, outcome in told.items() if outcome is Outcome.NOT_DONE and is_applied[number]]
