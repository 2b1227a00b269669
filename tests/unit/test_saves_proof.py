"""What counts as a proof of a save: answers that name another request, and leaving in the middle of settling."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtui.graph.client import Answer
from runtui.graph.exchange import Outcome
from runtui.services.writing import MOST_SENDS
from tests.unit.fake_writer import RUN, answered
from tests.unit.saves_bench import Bench, draft, refused

ETAG = 'W/"1"'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()
    bench.store.close()


async def test_a_repeat_whose_answer_names_another_request_is_no_proof(bench: Bench) -> None:
    tagged = {**RUN, "@odata.etag": ETAG}
    bench.graph.runs["r1"] = tagged

    def named(answer: Answer) -> Answer:
        mine = (("client-request-id", "mine"),)
        return replace(answer, exchange=replace(answer.exchange, request_headers=mine, response_headers=mine))

    bench.graph.on_read = lambda run_id: named(answered(bench.graph.runs[run_id]))
    foreign = answered({**tagged, "processingStatus": "failed"}, method="PATCH")
    bench.answer_writes(refused(502, Outcome.UNKNOWN), foreign)
    save = await bench.ended(draft(tagged))
    assert (save.outcome, bench.applied, bench.writes) == (Outcome.UNKNOWN, 0, MOST_SENDS)
    assert bench.outcomes()[0][:2] == (Outcome.UNKNOWN, "")


@pytest.mark.parametrize(
    ("is_applied", "outcome", "known_by"), [(False, Outcome.UNKNOWN, ""), (True, Outcome.DONE, "read-back")]
)
async def test_leaving_after_the_reading_back_says_what_the_run_showed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_applied: bool, outcome: Outcome, known_by: str
) -> None:
    loop, storing, disk = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slow(_workflow_id: str, _raw: object) -> None:
        loop.call_soon_threadsafe(storing.set)
        assert disk.wait(30)

    monkeypatch.setattr(bench.store, "put_run", slow)
    if is_applied:
        bench.graph.on_write = lambda _run_id: refused(502, Outcome.UNKNOWN)
    else:
        bench.answer_writes(answered(method="PATCH"))
    bench.saves.submit(draft())
    try:
        async with asyncio.timeout(30):
            await storing.wait()
        await bench.saves.abandon()
    finally:
        disk.set()
    assert bench.news[-1].outcome is outcome
    assert bench.outcomes()[0][:2] == (outcome, known_by)
