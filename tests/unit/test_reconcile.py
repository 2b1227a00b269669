"""Settling an unknown change: by the state of the run, by other changes that may explain it, by a person's decision."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph.client import Answer
from runtui.graph.retry import Pace
from runtui.services.records.journal import Entry, Journal, Settlement
from runtui.services.store.store import EVERY_RUN, Store
from runtui.services.writing import reconcile as reconcile_module
from runtui.services.writing.reconcile import CONCURRENT_READS, MAX_OTHERS, OLD_AFTER, Reconciler
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered
from tests.unit.intents import ROOT, intent, record_intent


class Session:
    """One runtui on a state folder, with its own service."""

    def __init__(self, folder: Path, name: str, graph: FakeGraph) -> None:
        self.ahead = timedelta()
        """How far its clock is ahead."""
        self.journal = Journal(folder / "journal.db")
        self.store = Store(folder / f"runs-{name}.db")
        self.store.put_workflows([{"id": WORKFLOW, "displayName": "Onboard"}])
        self.store.put_runs(WORKFLOW, [RUN, {**RUN, "id": "r2"}], self.store.next_listing())
        self.reconciler = Reconciler(graph, self.journal, self.store, ROOT, clock=self.now)
        self.told: list[Entry] = []
        self.reconciler.changed.subscribe(self.told.append)
        self.troubles: list[RuntuiError] = []
        self.reconciler.failed.subscribe(self.troubles.append)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def record(self, outcome: Outcome | None = Outcome.UNKNOWN, *, words: str = "", **facts: Any) -> int:
        """Add an entry with that outcome and these words; return its number."""
        some = intent(**facts)
        number = record_intent(self.journal, some)
        if outcome is not None:
            self.journal.settle(Settlement(some.client_request_id, outcome, "", words=words))
        return number

    def outcome(self, number: int) -> tuple[Outcome | None, str]:
        entry = there(self.journal.entry(number))
        return entry.outcome, entry.known_by

    async def end(self) -> None:
        await self.reconciler.stop()
        self.store.close()
        self.journal.close()


@pytest.fixture
async def graph() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
async def session(tmp_path: Path, graph: FakeGraph) -> AsyncIterator[Session]:
    session = Session(tmp_path, "ours", graph)
    yield session
    await session.end()


@pytest.fixture
async def other(tmp_path: Path, graph: FakeGraph) -> AsyncIterator[Session]:
    """Another runtui on the same folder."""
    session = Session(tmp_path, "theirs", graph)
    yield session
    await session.end()


def show(graph: FakeGraph, run_id: str = "r1", **values: Any) -> None:
    """Let the service show the run with these values."""
    graph.held[run_id] |= values or {"processingStatus": "failed"}


async def test_a_change_of_a_dead_session_is_unknown_until_the_run_shows_it(
    session: Session, other: Session, graph: FakeGraph
) -> None:
    number = other.record(None)
    other.journal.close()
    (entry,) = await session.reconciler.check_all()
    assert (entry.outcome, entry.words) == (Outcome.UNKNOWN, "runtui ended before the answer was there.")
    assert session.reconciler.unsettled == {"r1": entry}
    show(graph)
    (entry,) = await session.reconciler.check_all()
    assert session.outcome(number) == (entry.outcome, entry.known_by) == (Outcome.DONE, "read-back")
    assert entry.words == "", "what was not known is known"
    assert session.reconciler.unsettled == {}
    row = next(row for row in session.store.window(EVERY_RUN, 0, 99) if row.id == "r1")
    assert row.status == "failed", "the list shows what was read"
    assert [(item.number, item.outcome) for item in session.told] == [(number, Outcome.UNKNOWN), (number, Outcome.DONE)]
    assert await session.reconciler.check_all() == []
    assert graph.calls == ["GET r1", "GET r1"], "what is settled is not asked for again"
    assert session.troubles == []


async def test_a_change_in_progress_in_another_session_is_left_alone(
    session: Session, other: Session, graph: FakeGraph
) -> None:
    show(graph)
    for on_its_way in (other.record(None), session.record(None, run_id="r2")):
        assert await session.reconciler.check_all() == []
        entry = there(await session.reconciler.check(on_its_way))
        assert entry.outcome is None
        await session.reconciler.decide(on_its_way, Outcome.NOT_DONE)
        assert session.outcome(on_its_way) == (None, "")
    assert graph.calls == []


@pytest.mark.parametrize(
    ("later", "is_proof"),
    [
        ([(Outcome.DONE, {"processingStatus": "failed"})], False),
        ([(Outcome.DONE, {"processingStatus": "failed", "failedTasksCount": 9})], False),
        ([(None, {"processingStatus": "failed"})], False),
        ([(None, {"processingStatus": "completed"})], True),
        ([(Outcome.NOT_DONE, {"processingStatus": "failed"})], True),
        ([(Outcome.DONE, {"failedTasksCount": 9})], True),
        ([(Outcome.NOT_DONE, {"processingStatus": "failed"}), (Outcome.DONE, {"processingStatus": "failed"})], False),
    ],
)
async def test_a_value_that_a_later_change_of_ours_may_have_set_proves_nothing(
    later: list[tuple[Outcome | None, Mapping[str, Any]]], is_proof: bool, session: Session, graph: FakeGraph
) -> None:
    number = session.record()
    for outcome, after in later:
        session.record(outcome, after=after)
    session.record(Outcome.DONE, run_id="r2")
    show(graph)
    await session.reconciler.check_all()
    assert session.outcome(number)[0] is (Outcome.DONE if is_proof else Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "after",
    [
        {"processingStatus": "failed", "failedTasksCount": 9},
        {"processingStatus": "failed", "propertyOfANewerVersion": 1},
    ],
)
async def test_half_of_a_change_does_not_prove_it(after: Mapping[str, Any], session: Session, graph: FakeGraph) -> None:
    number = session.record(after=after)
    show(graph)
    await session.reconciler.check_all()
    assert session.outcome(number) == (Outcome.UNKNOWN, "")
    assert session.reconciler.fault is None


async def test_the_reason_why_a_run_is_no_proof_is_recorded_once(session: Session, graph: FakeGraph) -> None:
    number = session.record(before={"processingStatus": "failed"})
    show(graph)
    for _ in range(2):
        (entry,) = await session.reconciler.check_all()
        assert entry.words == "Last reading: The run has these values, but it had them before this change was sent."
    assert session.outcome(number) == (Outcome.UNKNOWN, "")
    recorded = there(session.journal.entry(number))
    assert recorded.words == entry.words


async def test_what_the_last_reading_showed_takes_the_place_of_what_an_earlier_one_did(
    session: Session, graph: FakeGraph
) -> None:
    """A run in progress moves from check to check: its entry must not grow by a sentence each time."""
    session.record(body='{"processingStatus": "failed", "failedTasksCount": 1}', words="The connection broke.")
    for count in (2, 3):
        show(graph, processingStatus="failed", failedTasksCount=count)
        (entry,) = await session.reconciler.check_all()
        moved = f"failedTasksCount is {count}, where this change sent 1: something else changed the run too."
        assert entry.words == f"The connection broke. Last reading: The run has these values, but {moved}"
    show(graph, processingStatus="completed")
    (entry,) = await session.reconciler.check_all()
    assert entry.words == "The connection broke."


async def test_an_outcome_that_could_not_be_written_is_written_and_not_asked_for(
    session: Session, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = session.record(None)
    settlement = Settlement(there(session.journal.entry(number)).client_request_id, Outcome.DONE, "answer")
    with monkeypatch.context() as patch:
        patch.setattr("runtui.services.records.journal._transaction", unusable)
        with pytest.raises(RuntuiError, match="disk I/O error"):
            session.journal.settle(settlement)
    assert session.outcome(number) == (None, "")
    assert await session.reconciler.check_all() == []
    assert session.outcome(number) == (Outcome.DONE, "answer")
    assert graph.calls == []


def unusable(_db: object) -> NoReturn:
    raise sqlite3.OperationalError("disk I/O error")


async def test_the_newer_of_two_unknown_changes_represents_the_run(session: Session, graph: FakeGraph) -> None:
    session.record(after={"failedTasksCount": 8})
    newer = session.record(after={"processingStatus": "failed"})
    await session.reconciler.check_all()
    assert {run_id: entry.number for run_id, entry in session.reconciler.unsettled.items()} == {"r1": newer}


@pytest.mark.parametrize("answer", [answered(outcome=Outcome.NOT_DONE), answered(outcome=Outcome.UNKNOWN), answered()])
async def test_a_run_that_is_gone_or_cannot_be_read_says_nothing(
    answer: Answer, session: Session, graph: FakeGraph
) -> None:
    number = session.record()
    graph.on_read = lambda _run_id: answer
    (entry,) = await session.reconciler.check_all()
    assert entry.outcome is Outcome.UNKNOWN
    assert session.outcome(number) == (Outcome.UNKNOWN, "")
    assert session.reconciler.fault is None
    assert "r1" in session.reconciler.unsettled


async def test_a_list_that_cannot_be_brought_up_to_date_hides_nothing(
    session: Session, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntuiError("The store is full", "No room.")

    number = session.record()
    show(graph)
    monkeypatch.setattr(session.store, "put_run", full)
    await session.reconciler.check_all()
    assert session.outcome(number) == (Outcome.DONE, "read-back")


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.NOT_DONE])
async def test_a_person_decides_once(outcome: Outcome, session: Session, graph: FakeGraph) -> None:
    number = session.record()
    await session.reconciler.check_all()
    await session.reconciler.decide(number, outcome)
    assert session.outcome(number) == (outcome, "person")
    assert session.reconciler.unsettled == {}
    assert (session.told[-1].number, session.told[-1].outcome) == (number, outcome)
    for again in (Outcome.DONE, Outcome.NOT_DONE):
        await session.reconciler.decide(number, again)
    show(graph)
    entry = there(await session.reconciler.check(number))
    assert (entry.outcome, entry.known_by) == (outcome, "person")


async def test_a_person_can_decide_what_a_dead_session_left(session: Session, other: Session) -> None:
    number = other.record(None)
    other.journal.close()
    await session.reconciler.decide(number, Outcome.NOT_DONE)
    assert session.outcome(number) == (Outcome.NOT_DONE, "person")


async def test_looking_at_one_change_leaves_the_others(session: Session, graph: FakeGraph) -> None:
    number, left = session.record(), session.record(run_id="r2")
    for run_id in ("r1", "r2"):
        show(graph, run_id)
    entry = there(await session.reconciler.check(number))
    assert entry.outcome is Outcome.DONE
    assert session.outcome(left) == (Outcome.UNKNOWN, "")
    assert await session.reconciler.check(99) is None
    await session.reconciler.decide(99, Outcome.DONE)


async def test_two_runtui_that_settle_the_same_change_agree(session: Session, other: Session, graph: FakeGraph) -> None:
    number = session.record()
    show(graph)
    read, both, asked = graph.run, asyncio.Event(), 0

    async def together(workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """Neither session reads the run before both have found the change."""
        nonlocal asked
        asked += 1
        if asked == 2:
            both.set()
        await both.wait()
        return await read(workflow_id, run_id, pace=pace)

    graph.run = together  # type: ignore[method-assign]
    async with asyncio.timeout(PATIENCE):
        ours, theirs = await asyncio.gather(session.reconciler.check_all(), other.reconciler.check_all())
    assert [entry.outcome for entry in (*ours, *theirs)] == [Outcome.DONE, Outcome.DONE]
    assert (ours[0].ended_at, theirs[0].ended_at) == (ours[0].ended_at,) * 2
    assert session.outcome(number) == other.outcome(number) == (Outcome.DONE, "read-back")
    assert session.reconciler.unsettled == other.reconciler.unsettled == {}


async def test_what_another_runtui_settled_is_announced_here_once(session: Session, other: Session) -> None:
    """The list, the header and the draft of the run follow it."""
    older, newer, elsewhere = session.record(), session.record(), session.record(run_id="r2")
    await session.reconciler.check_all()
    await other.reconciler.decide(elsewhere, Outcome.NOT_DONE)
    await other.reconciler.decide(newer, Outcome.DONE)
    session.told.clear()
    for _ in range(2):
        await session.reconciler.check_all()
    assert [(entry.number, entry.outcome) for entry in session.told] == [
        (older, Outcome.UNKNOWN),  # which represents its run now
        (newer, Outcome.DONE),
        (elsewhere, Outcome.NOT_DONE),
    ]


async def test_a_check_in_progress_does_not_overrule_a_person(
    session: Session, other: Session, graph: FakeGraph
) -> None:
    number = session.record()
    reads = graph.on_read

    def decided_meanwhile(run_id: str) -> Answer:
        entry = there(other.journal.entry(number))
        other.journal.settle(Settlement(entry.client_request_id, Outcome.NOT_DONE, "person"))
        return reads(run_id)

    graph.on_read = decided_meanwhile
    show(graph)
    (entry,) = await session.reconciler.check_all()
    assert (entry.outcome, entry.known_by) == session.outcome(number) == (Outcome.NOT_DONE, "person")


async def test_trouble_with_the_journal_is_reported_until_it_ends(tmp_path: Path, graph: FakeGraph) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    session = Session(folder, "ours", graph)
    try:
        (folder / "journal.db").mkdir()
        for _ in range(2):
            assert await session.reconciler.check_all() == []
        (announced,) = session.troubles
        assert str(announced) == str(session.reconciler.fault)
        assert "Nothing is sent without the journal" in str(announced)
        with pytest.raises(RuntuiError):
            await session.reconciler.decide(1, Outcome.DONE)
        (folder / "journal.db").rmdir()
        number = session.record()
        assert [entry.number for entry in await session.reconciler.check_all()] == [number]
        assert session.reconciler.fault is None
    finally:
        await session.end()


async def test_a_run_with_several_unknown_changes_is_read_once(session: Session, graph: FakeGraph) -> None:
    changes = [{"failedTasksCount": count} for count in (7, 8, 9)]
    numbers = [session.record(after=change, body=json.dumps(change)) for change in changes]
    show(graph, failedTasksCount=8)
    looked = {entry.number: entry.outcome for entry in await session.reconciler.check_all()}
    assert looked == dict(zip(numbers, (Outcome.UNKNOWN, Outcome.DONE, Outcome.UNKNOWN), strict=True))
    assert graph.calls == ["GET r1"]


async def test_before_a_change_its_run_is_read_first_and_not_every_other(session: Session, graph: FakeGraph) -> None:
    number = session.record()
    others = [session.record(run_id=f"gone-{count}") for count in range(3 * MAX_OTHERS)]
    show(graph)
    graph.on_read = lambda run_id: (
        answered(graph.held[run_id]) if run_id == "r1" else answered(outcome=Outcome.NOT_DONE)
    )
    entries = await session.reconciler.check_all(before_change_of="r1")
    assert graph.calls[0] == "GET r1"
    assert len(graph.calls) == 1 + MAX_OTHERS
    assert {entry.number for entry in entries} == {number, *others}, "all of them are told"
    assert session.outcome(number) == (Outcome.DONE, "read-back")
    graph.calls.clear()
    await session.reconciler.check_all()
    assert len(graph.calls) == len(others), "without a change that waits, all of them are looked at"


async def test_before_a_change_other_checks_have_limited_time(
    session: Session, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("r2", "r1"):
        session.record(run_id=run_id)
    monkeypatch.setattr(reconcile_module, "SECONDS_FOR_OTHERS", 0.0)
    await session.reconciler.check_all(before_change_of="r1")
    assert graph.calls == ["GET r1"]


async def test_an_old_unknown_change_is_checked_once_per_session_and_on_request(
    session: Session, graph: FakeGraph
) -> None:
    number = session.record()
    session.ahead = OLD_AFTER
    session.record(run_id="r2")
    read, graph.on_read = graph.on_read, lambda _run_id: answered(outcome=Outcome.NOT_DONE)
    await session.reconciler.check_all()
    graph.on_read = read
    await session.reconciler.check_all()
    assert sorted(graph.calls) == ["GET r1", "GET r1", "GET r2", "GET r2"], "what failed was no look"
    graph.calls.clear()
    await session.reconciler.check_all()
    assert graph.calls == []
    await session.reconciler.check(number)
    await session.reconciler.check_all(before_change_of="r1")
    assert graph.calls == ["GET r1", "GET r1"]
    session.ahead = timedelta()
    await session.reconciler.check_all()
    assert len(graph.calls) == 4, "while it is young, it may land any time"


@pytest.mark.parametrize(("status", "looks"), [(404, 1), (410, 1), (403, 2)])
async def test_an_old_change_of_a_deleted_run_is_checked_once(
    status: int, looks: int, session: Session, graph: FakeGraph
) -> None:
    session.record()
    session.ahead = OLD_AFTER
    gone = answered(outcome=Outcome.NOT_DONE)
    graph.on_read = lambda _run_id: gone._replace(exchange=replace(gone.exchange, status=status))
    for _ in range(2):
        await session.reconciler.check_all()
    assert graph.calls == ["GET r1"] * looks


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_service_that_would_refuse_all_gets_few_requests(
    status: int, session: Session, graph: FakeGraph
) -> None:
    for count in range(5 * CONCURRENT_READS):
        session.record(run_id=f"r{count}")
    refused = answered(outcome=Outcome.NOT_DONE)
    refused = refused._replace(exchange=replace(refused.exchange, status=status))
    graph.on_read = lambda _run_id: refused
    await session.reconciler.check_all()
    assert 1 <= len(graph.calls) <= CONCURRENT_READS


async def test_answers_after_a_refusal_for_all_do_not_take_it_back(session: Session, graph: FakeGraph) -> None:
    for count in range(5 * CONCURRENT_READS):
        session.record(run_id=f"r{count}")
    gone = answered(outcome=Outcome.NOT_DONE)
    throttled = gone._replace(exchange=replace(gone.exchange, status=429))
    usual, all_asked, is_told = graph.run, asyncio.Event(), asyncio.Event()

    async def first_of_some(workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """Of the reads that are in progress together, the first one is answered first."""
        answer = await usual(workflow_id, run_id, pace=pace)
        if len(graph.calls) == CONCURRENT_READS:
            all_asked.set()
        await (all_asked if answer is throttled else is_told).wait()
        is_told.set()
        return answer

    graph.on_read = lambda _run_id: throttled if len(graph.calls) == 1 else gone
    graph.run = first_of_some  # type: ignore[method-assign]
    async with asyncio.timeout(PATIENCE):
        await session.reconciler.check_all()
    assert len(graph.calls) == CONCURRENT_READS


class Timeouts:
    """Replaces `asyncio.timeout`: no time passes, and the requested limits are recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.asked: list[float] = []
        self.enough = asyncio.Event()
        self._last = last
        monkeypatch.setattr(reconcile_module, "asyncio", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        self.asked.append(seconds)
        if len(self.asked) < self._last:
            return asyncio.timeout(0)
        self.enough.set()
        return asyncio.timeout(None)


async def test_an_unknown_change_is_checked_less_and_less_often_until_the_run_shows_it(
    session: Session, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = session.record()
    timeouts = Timeouts(monkeypatch, last=5)
    read = graph.on_read

    def shown_at_last(run_id: str) -> Answer:
        if len(graph.calls) == 4:
            show(graph)
        return read(run_id)

    graph.on_read = shown_at_last
    session.reconciler.start()
    session.reconciler.start()
    async with asyncio.timeout(PATIENCE):
        await timeouts.enough.wait()
    assert timeouts.asked == [30, 120, 600, 600, 600]
    assert graph.calls == ["GET r1"] * 4, "and then no more"
    assert session.outcome(number) == (Outcome.DONE, "read-back")


async def test_a_change_that_becomes_unknown_restarts_the_checks(
    session: Session, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = Timeouts(monkeypatch, last=3)
    session.reconciler.start()
    async with asyncio.timeout(PATIENCE):
        await timeouts.enough.wait()
        assert timeouts.asked == [30, 120, 600]
        assert graph.calls == []
        session.record()
        timeouts.enough.clear()
        session.reconciler.check_soon()
        await timeouts.enough.wait()
        await session.reconciler.check_all()
        await session.reconciler.check_all()
    assert timeouts.asked == [30, 120, 600, 30], "anew, and once"
    assert graph.calls == ["GET r1"] * 3


async def test_stopping_ends_the_looks(session: Session, graph: FakeGraph) -> None:
    asked, never, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def silent(workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        asked.set()
        try:
            await never.wait()
        finally:
            ended.set()
        raise AssertionError("it was stopped")

    number = session.record()
    graph.run = silent  # type: ignore[method-assign]
    session.reconciler.start()
    async with asyncio.timeout(PATIENCE):
        await asked.wait()
        await session.reconciler.stop()
        assert ended.is_set()
        await session.reconciler.stop()
    assert session.outcome(number) == (Outcome.UNKNOWN, "")


async def test_a_defect_that_ends_the_checks_is_reported_at_once(session: Session, graph: FakeGraph) -> None:
    reported: asyncio.Queue[str] = asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.put_nowait(context["message"]))

    def broken(_run_id: str) -> Answer:
        raise LookupError("a defect")

    session.record()
    graph.on_read = broken
    session.reconciler.start()
    assert await asyncio.wait_for(reported.get(), PATIENCE) == "reconcile failed"


async def test_a_journal_that_was_set_aside_is_reported_once(session: Session) -> None:
    session.journal._let_go()
    session.journal.path.write_bytes(b"this is no database, and long enough to be looked at" * 100)
    for _ in range(2):
        await session.reconciler.check_all()
    (trouble,) = session.troubles
    assert str(session.journal.set_aside) in str(trouble)
    assert there(session.journal.set_aside).exists()


async def test_a_change_that_becomes_unknown_during_a_check_is_checked_next(
    session: Session, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    Timeouts(monkeypatch, last=1)
    asked, go_on, again = asyncio.Event(), asyncio.Event(), asyncio.Event()
    usual = graph.run

    async def slow(workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        if asked.is_set():
            again.set()
        asked.set()
        answer = await usual(workflow_id, run_id, pace=pace)
        await go_on.wait()
        return answer

    session.record()
    graph.run = slow  # type: ignore[method-assign]
    session.reconciler.start()
    await asyncio.wait_for(asked.wait(), PATIENCE)
    session.reconciler.check_soon()
    go_on.set()
    await asyncio.wait_for(again.wait(), PATIENCE)
