"""Many writes side by side: each follows the rules of a single one, but with few requests and commits."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.errors import RuntuiError, UsageError
from runtui.graph.batch import MAX_BATCH
from runtui.graph.client import Answer
from runtui.graph.exchange import Failure, FailureKind
from runtui.services.foreground import Foreground
from runtui.services.records.journal import Intent, Journal, RunBusyError
from runtui.services.records.journal_file import JournalError
from runtui.services.store.store import Store
from runtui.services.writing import bulk as bulk_module
from runtui.services.writing import drive
from runtui.services.writing.bulk import CONCURRENT_WRITES, Bulk
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save, Step
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered, exchange, fault
from tests.unit.intents import intent, record_intent
from tests.unit.saves_bench import NOW, ROOT, Bench, refused, who

MANY = 120
"""More runs than are sent at once."""


def drafts(count: int = MANY) -> list[Draft]:
    return [
        Draft(f"run-{n}", WORKFLOW, {**RUN, "id": f"run-{n}"}).typed("processingStatus", "canceled", NOW)
        for n in range(count)
    ]


class BulkBench(Bench):
    """A bench with many runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.graph.held = {f"run-{n}": {**RUN, "id": f"run-{n}"} for n in range(MANY)}

    @property
    def ended(self) -> dict[str, Save]:  # type: ignore[override]
        """How each save ended, by run id."""
        ends = [save for save in self.news if not save.active]
        assert len(ends) == len({save.number for save in ends}), "each ends once"
        return {save.run_id: save for save in ends}

    async def all_ended(self, some: list[Draft], *, may_hold: bool = False) -> Bulk:
        bulk = self.saves.submit_many(some, may_hold=may_hold)
        await self.ends(bulk)
        return bulk

    async def ends(self, bulk: Bulk) -> None:
        """Wait until all saves and their bulk change have ended."""
        assert await self.saves.drain(PATIENCE) == 0
        assert bulk.has_ended

    async def held(self, some: list[Draft]) -> Bulk:
        """Send the drafts until a refusal holds the rest."""
        bulk, held = self.saves.submit_many(some), asyncio.Event()
        bulk.changed.subscribe(lambda _bulk: held.set())
        await asyncio.wait_for(held.wait(), PATIENCE)
        return bulk

    def canceled(self) -> set[str]:
        """The ids of the runs on the server that have the new value."""
        return {run_id for run_id, run in self.graph.held.items() if run["processingStatus"] == "canceled"}

    def answer_one(self, run_id: str, *answers: Answer) -> None:
        """Answer the writes of one run with these answers, the last one repeatedly, and apply none of them."""
        left = list(answers)

        def write(asked: str) -> Answer:
            if asked != run_id or not left:
                return answered(self.graph.held[asked], method="PATCH")
            return left.pop(0)

        def apply(asked: str, body: str) -> None:
            if asked != run_id or not left:
                FakeGraph.apply(self.graph, asked, body)

        self.graph.on_write = write
        self.graph.apply = apply  # type: ignore[method-assign, assignment]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[BulkBench]:
    bench, failed = BulkBench(tmp_path), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context))
    yield bench
    try:
        await asyncio.wait_for(bench.saves.abandon(), PATIENCE)
    finally:
        bench.close()
    gc.collect(0)
    assert not failed, "a defect may end with the right outcome"


async def test_many_changes_go_out_in_batches_and_each_is_recorded(bench: BulkBench) -> None:
    bulk = await bench.all_ended(drafts())
    assert {save.outcome for save in bench.ended.values()} == {Outcome.DONE}
    assert len(bench.ended) == MANY == len(bench.canceled())
    assert Counter(bench.graph.batches) == {"GET 20": 6, "PATCH 20": 6}
    entries = bench.journal.entries()
    assert {(entry.batch, entry.outcome, entry.known_by) for entry in entries} == {(bulk.batch, Outcome.DONE, "answer")}
    of_one = [save for save in bench.news if save.run_id == "run-7"]
    assert all(before != after for before, after in pairwise(of_one)), "it is announced when it has changed"
    stored = there(bench.store.get("run-7"))
    assert stored.raw["processingStatus"] == "canceled"


async def test_an_expired_token_is_renewed_for_each_refused_change(bench: BulkBench) -> None:
    refused_by_it: set[str] = set()

    def write(run_id: str) -> Answer:
        if run_id not in refused_by_it:
            refused_by_it.add(run_id)
            return refused(401)
        FakeGraph.apply(bench.graph, run_id, bench.graph.bodies[-1])
        return answered(bench.graph.held[run_id], method="PATCH")

    bench.graph.on_write, bench.graph.renewals = write, MANY
    bench.graph.apply = lambda _run_id, _body: None  # type: ignore[method-assign, assignment]
    await bench.all_ended(drafts())
    assert len(bench.canceled()) == MANY


@pytest.mark.parametrize("status", [429, 401, 412])
async def test_trouble_with_one_change_does_not_delay_the_others(status: int, bench: BulkBench) -> None:
    bench.graph.held["run-3"]["processingStatus"] = "completed"  # somebody else's change
    bench.graph.renewals = 1
    bench.graph.on_read = lambda asked: answered(
        {**bench.graph.held[asked], "@odata.etag": f'W/"{len(bench.graph.calls)}"'}
    )
    answer = refused(status, wait="0")
    answer = answer._replace(exchange=replace(answer.exchange, request_headers=(("If-Match", 'W/"1"'),)))
    bench.answer_one("run-5", answer)
    await bench.all_ended(drafts(), may_hold=True)
    assert bench.ended["run-3"].conflicts
    assert bench.ended["run-3"].outcome is Outcome.NOT_DONE
    assert bench.ended["run-5"].outcome is Outcome.DONE, "it was sent again"
    others = {save.outcome for run_id, save in bench.ended.items() if run_id != "run-3"}
    assert others == {Outcome.DONE}
    assert bench.canceled() == set(bench.graph.held) - {"run-3"}


@pytest.mark.parametrize("is_abandoned", [False, True])
async def test_a_long_pause_of_one_change_is_stopped_by_itself(is_abandoned: bool, bench: BulkBench) -> None:
    bench.answer_one("run-5", refused(429, wait="250"))
    bulk = bench.saves.submit_many(drafts(), may_hold=False)
    paused, told = asyncio.Event(), list[bool]()
    bulk.changed.subscribe(lambda bulk: told.append(bulk.has_ended))
    bench.saves.changed.subscribe(lambda _save: paused.set() if len(bench.saves.active()) == 1 else None)
    await asyncio.wait_for(paused.wait(), PATIENCE)
    (left,) = bench.saves.active()
    assert (left.run_id, left.step) == ("run-5", Step.PAUSED)
    if is_abandoned:
        await bench.saves.abandon()
    else:
        bulk.stop()
        bulk.stop()  # the key is pressed again
    await bench.ends(bulk)
    assert told == [True], "a pause holds nothing"
    assert not [
        task for task in asyncio.all_tasks() if task.get_name().startswith("pause of ") and not task.cancelling()
    ]
    assert (bench.ended["run-5"].outcome, bench.ended["run-5"].stopped) == (Outcome.NOT_DONE, True)
    assert "run-5" not in bench.canceled()


async def test_the_first_refusal_holds_the_unsent_changes_until_a_person_continues(bench: BulkBench) -> None:
    bench.answer_one("run-0", refused(403))
    bulk = await bench.held(drafts())
    assert bulk.held_by is not None
    sent = len(bench.graph.bodies)
    assert bulk.held_by.run_id == "run-0"
    assert sent < MANY, "the rest waits"
    assert not bulk.has_ended
    bulk.resume()
    await bench.ends(bulk)
    assert bench.canceled() == set(bench.graph.held) - {"run-0"}
    assert bench.ended["run-0"].outcome is Outcome.NOT_DONE


async def test_a_run_that_somebody_changes_while_a_refusal_holds_it_is_not_written(bench: BulkBench) -> None:
    """A person may take an hour to decide: what was read before says nothing any more."""
    bench.answer_one("run-0", refused(403))
    bench.graph.gate.clear()
    bulk = bench.saves.submit_many(drafts())
    held = asyncio.Event()
    bulk.changed.subscribe(lambda _bulk: held.set())
    async with asyncio.timeout(PATIENCE):
        for _ in iter(lambda: len(bench.journal.entries()) < MANY, False):
            await asyncio.sleep(0)
        bench.graph.gate.set()
        await held.wait()
    sent = bench.canceled()
    waiting = bench.graph.held.keys() - sent - {"run-0"}
    recorded = {entry.run_id: entry.number for entry in bench.journal.entries()}
    assert sent
    assert waiting, "they are recorded and not sent"
    for run_id in waiting:
        bench.graph.held[run_id]["processingStatus"] = "completed"
    bulk.resume()
    await bench.ends(bulk)
    assert bench.canceled() == sent
    for run_id in waiting:
        assert [conflict.now for conflict in bench.ended[run_id].conflicts] == ["completed"]
        entry = there(bench.journal.entry(recorded[run_id]))
        assert (entry.outcome, entry.words) == (
            Outcome.NOT_DONE,
            "It was not sent: the change waited, so the run is read again.",
        )


async def test_what_is_recorded_when_the_process_is_stopped_for_long_is_read_again_before_it_is_sent(
    bench: BulkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    monkeypatch.setattr(bulk_module, "datetime", SimpleNamespace(now=lambda _zone: now))

    def read(run_id: str) -> Answer:
        reading = answered(bench.graph.held[run_id])
        return reading._replace(exchange=replace(reading.exchange, started_at=now))

    bench.graph.on_read = read
    bench.graph.gate.clear()
    bench.saves.submit_many(drafts())
    async with asyncio.timeout(PATIENCE):
        for _ in iter(lambda: len(bench.journal.entries()) < MANY, False):
            await asyncio.sleep(0)
    now += timedelta(hours=1)
    waiting = {save.run_id for save in bench.saves.active() if save.step is not Step.SENDING}
    assert 0 < len(waiting) < MANY
    for run_id in waiting:
        bench.graph.held[run_id]["processingStatus"] = "completed"
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.canceled() == bench.graph.held.keys() - waiting


async def test_a_change_that_is_not_found_holds_the_rest_for_its_run_was_there(bench: BulkBench) -> None:
    bench.answer_one("run-0", refused(404))
    bulk = await bench.held(drafts())
    assert there(bulk.held_by).run_id == "run-0"


async def test_an_answer_that_was_lost_holds_nothing(bench: BulkBench) -> None:
    """A lost answer is not a refusal: its outcome is checked for its own run only."""
    bench.answer_one("run-0", answered(None, outcome=Outcome.UNKNOWN, method="PATCH"))
    await bench.all_ended(drafts(), may_hold=True)
    assert bench.ended["run-0"].outcome is Outcome.UNKNOWN
    assert bench.canceled() == set(bench.graph.held) - {"run-0"}


async def test_a_refusal_to_read_holds_the_rest_as_well(bench: BulkBench) -> None:
    read = bench.graph.on_read
    bench.graph.on_read = lambda asked: refused(403, method="GET") if asked == "run-0" else read(asked)
    bulk = await bench.held(drafts())
    assert bulk.held_by is not None
    assert (bulk.held_by.run_id, bulk.held_by.outcome, bench.writes) == ("run-0", Outcome.NOT_DONE, 0)
    bulk.resume()
    await bench.ends(bulk)
    assert bench.canceled() == set(bench.graph.held) - {"run-0"}


async def test_a_refusal_that_was_accepted_holds_nothing_more_and_another_one_does(bench: BulkBench) -> None:
    """The first of several refusals holds the bulk change. A listener may let it continue at once."""
    titles = {"run-0": "Access denied", "run-1": "Locked", "run-60": "Access denied", "run-62": "Locked"}

    def write(asked: str) -> Answer:
        if asked not in titles:
            return answered(bench.graph.held[asked], method="PATCH")
        answer = refused(403)
        return answer._replace(fault=there(answer.fault)._replace(title=titles[asked]))

    def resume(bulk: Bulk) -> None:
        if bulk.held_by is not None:
            holding.append(bulk.held_by.run_id)
            bulk.resume()

    bench.graph.on_write = write
    holding: list[str] = []
    bulk = bench.saves.submit_many(drafts())
    bulk.changed.subscribe(resume)
    assert await bench.saves.drain(PATIENCE) == 0
    bulk.resume()  # a key that comes too late
    assert holding == ["run-0", "run-62"]
    assert {run_id for run_id, save in bench.ended.items() if save.outcome is not Outcome.DONE} == set(titles)


async def test_sent_changes_are_settled_while_a_refusal_holds_the_rest(bench: BulkBench) -> None:
    sent, many = set(), 1_000
    bench.graph.held = {f"run-{n}": {**RUN, "id": f"run-{n}"} for n in range(many)}

    def write(asked: str) -> Answer:
        sent.add(asked)
        return refused(403) if asked == "run-0" else refused(504, Outcome.UNKNOWN)

    bench.graph.on_write = write
    bulk = await bench.held(drafts(many))
    assert bulk.held_by is not None
    assert len(sent) < many
    assert set(bench.ended) == sent, "no reading that settles waits behind those that were not begun"


@pytest.mark.parametrize("status", [404, 410])
async def test_a_run_that_is_gone_or_that_another_runtui_writes_holds_no_other(
    status: int, bench: BulkBench, tmp_path: Path
) -> None:
    bench.graph.on_read = lambda asked: (
        refused(status, method="GET") if asked == "run-0" else answered(bench.graph.held[asked])
    )
    other = Journal(tmp_path / "journal.db")
    record_intent(other, intent(root=ROOT, run_id="run-1", client_request_id="of the other"))
    await bench.all_ended(drafts(), may_hold=True)
    assert bench.ended["run-0"].outcome is bench.ended["run-1"].outcome is Outcome.NOT_DONE
    assert "run-1" not in bench.canceled()
    assert bench.canceled() == set(bench.graph.held) - {"run-0", "run-1"}
    other.close()


async def test_if_the_store_cannot_be_read_each_change_ends_with_the_reason(
    bench: BulkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_store: Store, run_ids: Sequence[str]) -> dict[str, str]:
        if "run-7" in run_ids:
            raise RuntuiError("The list cannot be read", "disk I/O error.", "Start runtui again.")
        return dict.fromkeys(run_ids, "Onboard")

    monkeypatch.setattr(drive, "workflow_names_of", broken)
    await bench.all_ended(drafts())
    left = {run_id: save for run_id, save in bench.ended.items() if run_id not in bench.canceled()}
    assert "run-7" in left
    assert len(bench.ended) == MANY > len(left)
    assert {save.outcome for save in left.values()} == {Outcome.NOT_DONE}
    assert {save.fault and save.fault.title for save in left.values()} == {"The list cannot be read"}


@pytest.mark.parametrize(
    ("is_stopped", "is_abandoned", "can_record"),
    [(True, False, True), (True, True, True), (False, True, True), (True, False, False)],
)
async def test_stopped_while_a_refusal_holds_the_rest_nothing_more_is_sent(
    is_stopped: bool, is_abandoned: bool, can_record: bool, bench: BulkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the saves are abandoned at once or right afterwards, what was recorded but not sent is not done."""
    bench.answer_one("run-0", refused(403))
    bench.graph.gate.clear()
    open_many, loop = bench.journal.open_many, asyncio.get_running_loop()

    def once_all_are_read(intents: Sequence[Intent], read_at: Sequence[datetime]) -> list[int | RunBusyError | None]:
        while len(bench.graph.batches) < MANY / 20:
            time.sleep(0.001)  # the lanes go on reading, because nothing is ready to be sent
        opened = open_many(intents, read_at)
        if len(bench.journal.entries()) == MANY:
            loop.call_soon_threadsafe(bench.graph.gate.set)
        return opened

    monkeypatch.setattr(bench.journal, "open_many", once_all_are_read)
    bulk = await bench.held(drafts())
    sent = len(bench.graph.bodies)
    if not can_record:
        full = JournalError(bench.journal.path, "the disk is full")
        monkeypatch.setattr(bench.journal, "settle_many", lambda settlements: [full] * len(settlements))
    if is_stopped:
        bulk.stop()
    if is_abandoned:
        await abandoned(bench.saves, bench.graph.gate)
    await bench.ends(bulk)
    assert len(bench.graph.bodies) == sent
    assert len(bench.ended) == MANY
    left = [save for save in bench.ended.values() if save.stopped]
    assert len(left) == MANY - sent
    assert {save.outcome for save in left} == {Outcome.NOT_DONE}
    done = {run_id for run_id, save in bench.ended.items() if save.outcome is Outcome.DONE}
    assert done == bench.canceled()
    entries = bench.journal.entries()
    assert len(entries) > sent, "some were recorded and wait to be sent"
    assert {bool(save.unrecorded) for save in left if save.entry is not None} == {not can_record}
    assert not any(save.unrecorded for save in left if save.entry is None)
    if not can_record:
        return
    stopped = [entry for entry in entries if bench.ended[entry.run_id].stopped]
    broken_off = {"runtui stopped waiting for it."} if is_abandoned else set()
    assert {entry.words for entry in stopped} - broken_off <= {"It was stopped before it was sent."}
    assert {entry.run_id for entry in entries if entry.outcome is Outcome.DONE} == done
    assert {entry.outcome for entry in entries} == {Outcome.DONE, Outcome.NOT_DONE}


async def test_stopping_sends_nothing_new_and_waits_for_what_is_on_the_wire(bench: BulkBench) -> None:
    bench.graph.gate.clear()
    bulk = bench.saves.submit_many(drafts(), may_hold=False)
    await bench.graph.arrived.get()
    bulk.stop()
    bench.graph.gate.set()
    await bench.ends(bulk)
    done = {run_id for run_id, save in bench.ended.items() if save.outcome is Outcome.DONE}
    assert done == bench.canceled()
    assert 0 < len(done) < MANY
    assert all(save.stopped for save in bench.ended.values() if save.outcome is not Outcome.DONE)
    assert len(bench.ended) == MANY


async def stopped_in(bench: BulkBench, monkeypatch: pytest.MonkeyPatch, owner: object, step: str) -> None:
    """Stop a bulk change during one of its steps, and wait for its end."""
    reached, go_on, carry_out = asyncio.Event(), asyncio.Event(), getattr(owner, step)

    async def held(*arguments: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await carry_out(*arguments)

    monkeypatch.setattr(owner, step, held)
    bulk = bench.saves.submit_many(drafts())
    await asyncio.wait_for(reached.wait(), PATIENCE)
    bulk.stop()
    go_on.set()
    await bench.ends(bulk)


async def test_stopped_while_runs_are_read_no_other_is_read(bench: BulkBench, monkeypatch: pytest.MonkeyPatch) -> None:
    await stopped_in(bench, monkeypatch, bench.graph, "read_runs")
    assert len(bench.graph.calls) <= CONCURRENT_WRITES * MAX_BATCH < MANY, "what is on the wire is waited for"
    assert {(save.outcome, save.stopped) for save in bench.ended.values()} == {(Outcome.NOT_DONE, True)}
    assert bench.journal.entries() == []


async def test_a_save_stopped_before_it_is_recorded_is_not_in_the_journal(
    bench: BulkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stopped_in(bench, monkeypatch, drive.WriteDriver, "senders")
    assert {(save.stopped, save.unrecorded) for save in bench.ended.values()} == {(True, "")}
    assert (len(bench.ended), bench.writes, bench.journal.entries()) == (MANY, 0, [])


async def test_a_change_that_is_throttled_after_the_stop_waits_no_more(bench: BulkBench) -> None:
    bench.graph.gate.clear()
    bench.graph.on_write = lambda _run_id: refused(429, wait="250")
    bulk = bench.saves.submit_many(drafts())
    await bench.graph.arrived.get()
    bulk.stop()
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert {(save.outcome, save.stopped) for save in bench.ended.values()} == {(Outcome.NOT_DONE, True)}
    assert {entry.outcome for entry in bench.journal.entries()} == {Outcome.NOT_DONE}


async def test_a_change_resumed_after_a_pause_is_awaited_when_the_rest_is_stopped(bench: BulkBench) -> None:
    bench.answer_one("run-0", refused(429, wait="0"))
    write = bench.graph.on_write

    def hold_the_next(asked: str) -> Answer:
        answer = write(asked)
        if answer.fault is not None:
            bench.graph.gate.clear()
        return answer

    bench.graph.on_write = hold_the_next
    bulk = bench.saves.submit_many(drafts(1))
    for _ in range(2):
        await asyncio.wait_for(bench.graph.arrived.get(), PATIENCE)
    bulk.stop()
    bench.graph.gate.set()
    await bench.ends(bulk)
    assert bench.ended["run-0"].outcome is Outcome.DONE


async def test_a_refusal_that_comes_after_the_stop_asks_nobody(bench: BulkBench) -> None:
    bench.graph.gate.clear()
    bench.graph.on_write = lambda _run_id: refused(403)
    bulk = bench.saves.submit_many(drafts())
    told: list[Save | None] = []
    bulk.changed.subscribe(lambda bulk: told.append(bulk.held_by))
    await bench.graph.arrived.get()
    bulk.stop()
    bench.graph.gate.set()
    await bench.ends(bulk)
    assert told == [None], "it has ended, and that is all"


async def abandoned(saves: SaveQueue, released: asyncio.Event) -> None:
    """Abandon the saves, and only then release what they wait for."""
    leaving = asyncio.create_task(saves.abandon())
    for _ in range(20):
        await asyncio.sleep(0)
    released.set()
    await asyncio.wait_for(leaving, PATIENCE)


async def test_a_bulk_change_abandoned_in_the_middle_claims_no_more_than_is_known(bench: BulkBench) -> None:
    bench.graph.gate.clear()
    bench.saves.submit_many(drafts(), may_hold=False)
    await bench.graph.arrived.get()
    await abandoned(bench.saves, bench.graph.gate)
    assert len(bench.ended) == MANY
    outcomes = Counter(save.outcome for save in bench.ended.values())
    assert outcomes[Outcome.DONE] == 0
    assert outcomes[Outcome.UNKNOWN] >= 1
    recorded = {entry.run_id: entry.outcome for entry in bench.journal.entries()}
    assert all(bench.ended[run_id].outcome is outcome for run_id, outcome in recorded.items())


class TypingOn(Foreground):
    """A person who types until a test stops that."""

    def __init__(self) -> None:
        super().__init__()
        self.rests = asyncio.Event()
        self.rests.set()

    async def yield_to_input(self) -> None:
        await self.rests.wait()
        await asyncio.sleep(0)


async def test_abandoned_while_answers_wait_for_a_key_each_counts_as_it_was_answered(bench: BulkBench) -> None:
    typing = TypingOn()
    context = WriteContext(ROOT, "Contoso", "prod", who)
    saves = SaveQueue(bench.graph, bench.store, bench.journal, context, foreground=typing)
    written = asyncio.Event()

    def write(asked: str) -> Answer:
        typing.rests.clear()
        written.set()
        return answered(bench.graph.held[asked], method="PATCH")

    bench.graph.on_write = write
    saves.submit_many(drafts(), may_hold=False)
    await asyncio.wait_for(written.wait(), PATIENCE)
    await abandoned(saves, typing.rests)
    outcomes = {entry.run_id: entry.outcome for entry in bench.journal.entries()}
    assert {run_id for run_id, outcome in outcomes.items() if outcome is Outcome.DONE} == bench.canceled() != set()
    assert Outcome.UNKNOWN not in outcomes.values()


async def test_abandoned_before_it_is_recorded_nothing_is_said_of_the_journal(bench: BulkBench) -> None:
    typing, known = TypingOn(), asyncio.Event()

    async def who_types() -> str:
        typing.rests.clear()
        known.set()
        return await who()

    context = WriteContext(ROOT, "Contoso", "prod", who_types)
    saves = SaveQueue(bench.graph, bench.store, bench.journal, context, foreground=typing)
    ended: list[Save] = []
    saves.changed.subscribe(lambda save: None if save.active else ended.append(save))
    saves.submit(drafts()[0])
    await asyncio.wait_for(known.wait(), PATIENCE)
    await abandoned(saves, typing.rests)
    assert bench.journal.entries() == []
    assert [(save.outcome, save.stopped, save.unrecorded) for save in ended] == [(Outcome.NOT_DONE, True, "")]


async def test_a_run_of_the_bulk_is_busy_for_others_until_its_own_change_has_ended(bench: BulkBench) -> None:
    bench.graph.gate.clear()
    bench.saves.submit_many(drafts(), may_hold=False)
    await bench.graph.arrived.get()
    later = Draft("run-0", WORKFLOW, {**RUN, "id": "run-0", "processingStatus": "canceled"})
    bench.saves.submit(later.typed("failedTasksCount", "0", NOW))
    with pytest.raises(UsageError, match="in progress"):
        bench.saves.submit_many(drafts(2))
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.graph.most_at_once["run-0"] == 1
    assert bench.graph.held["run-0"]["failedTasksCount"] == 0


async def test_a_token_that_is_missing_is_asked_for_and_holds_nothing(bench: BulkBench) -> None:
    gone = Failure(FailureKind.TOKEN, "no", "Nobody is signed in.")
    bench.graph.renewals = 1
    bench.answer_one("run-4", Answer(replace(exchange("PATCH"), failure=gone), None, fault(Outcome.NOT_DONE)))
    bulk = await bench.all_ended(drafts(), may_hold=True)
    assert len(bench.canceled()) == MANY
    assert bulk.held_by is None


async def test_one_run_in_two_spellings_is_refused_and_waits_for_nothing(bench: BulkBench) -> None:
    """Its second change would wait for the first one, which starts only together with the second."""
    (draft,) = drafts(1)
    with pytest.raises(UsageError, match="in different spellings of its id"):
        bench.saves.submit_many([draft, draft._replace(run_id="RUN-0")])
    assert bench.saves.active() == ()
