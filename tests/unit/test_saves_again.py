"""When a save starts again, and when it never may: throttling, a renewed token, ETags, a journal that fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtui.domain.report import Outcome
from runtui.graph.client import Answer
from runtui.graph.exchange import Failure, FailureKind
from runtui.graph.retry import LONGEST_WAIT
from runtui.headless.changes import message_of
from runtui.services.records import journal as journal_module
from runtui.services.records.journal import Journal, Settlement
from runtui.services.records.journal_file import JournalError
from runtui.services.writing.write import Step
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, answered, exchange, fault
from tests.unit.intents import intent, record_intent
from tests.unit.saves_bench import ROOT, Bench, draft, refused

ETAG = 'W/"1"'


async def test_the_intent_is_in_the_journal_before_the_request_leaves(bench: Bench) -> None:
    bench.answer_writes(None)
    some = draft(processingStatus="failed", completedDateTime="now")
    save = await bench.ended(some)
    ((intent,),) = bench.seen_by_journal
    assert intent.outcome is None
    assert (intent.who, intent.profile, intent.tenant, intent.root) == ("anna@contoso.com", "prod", "Contoso", ROOT)
    assert (intent.run_id, intent.workflow_id, intent.workflow_name) == ("r1", WORKFLOW, "Onboard")
    assert (intent.method, intent.url) == ("PATCH", f"{ROOT}/workflowBase/runs/r1")
    assert intent.body == some.body_text() == bench.graph.bodies[0]
    updated = RUN["lastUpdatedDateTime"]
    assert intent.before == {
        "processingStatus": "inProgress",
        "completedDateTime": None,
        "lastUpdatedDateTime": updated,
    }
    assert intent.after == {"processingStatus": "failed", "completedDateTime": "2026-11-20T09:15:03Z"}
    assert bench.graph.request_ids == [intent.client_request_id], "it went out under the id that is in the journal"
    assert bench.outcomes() == [(Outcome.DONE, "answer", None)]
    assert save.entry == intent.number


@pytest.mark.parametrize(("status", "reads"), [(503, 4), (500, 4), (403, 1), (404, 1), (501, 1)])
async def test_a_read_that_goes_on_failing_is_the_end_of_the_save(status: int, reads: int, bench: Bench) -> None:
    bench.graph.on_read = lambda _run_id: refused(status, wait="0", method="GET")
    save = await bench.ended(draft())
    assert (save.outcome, save.exchange and save.exchange.status) == (Outcome.NOT_DONE, status)
    assert bench.graph.calls == ["GET r1"] * reads
    assert bench.journal.entries() == []


async def test_a_run_that_changes_during_throttling_is_not_written(bench: Bench) -> None:
    bench.answer_writes(refused(429, wait="0"), None)
    fresh = [RUN, {**RUN, "processingStatus": "canceled"}]
    bench.graph.on_read = lambda _run_id: answered(fresh.pop(0))
    save = await bench.ended(draft())
    assert save.outcome is Outcome.NOT_DONE
    assert [conflict.now for conflict in save.conflicts] == ["canceled"]
    assert bench.writes == 1


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.UNKNOWN, None])
async def test_a_run_that_another_runtui_may_have_written_since_it_was_read_is_read_again(
    outcome: Outcome | None, bench: Bench, tmp_path: Path
) -> None:
    """With None that runtui is killed before it knows the outcome."""
    other = Journal(tmp_path / "journal.db")
    readings = 0

    def read(run_id: str) -> Answer:
        nonlocal readings
        readings, reading = readings + 1, answered(bench.graph.held[run_id])
        if readings == 1:
            record_intent(other, theirs := intent(root=ROOT))
            bench.graph.apply(run_id, '{"@odata.type": "", "processingStatus": "canceled"}')
            if outcome is not None:
                other.settle(Settlement(theirs.client_request_id, outcome, ""))
            other.close()
        return reading

    bench.graph.on_read = read
    save = await bench.ended(draft())
    assert (save.outcome, bench.graph.calls) == (Outcome.NOT_DONE, ["GET r1", "GET r1"])
    assert [conflict.now for conflict in save.conflicts] == ["canceled"]
    assert bench.graph.held["r1"]["processingStatus"] == "canceled", "the other change stays"


@pytest.mark.parametrize("clock", [timedelta(hours=-1), timedelta(hours=1)])
async def test_a_run_is_read_again_if_the_process_was_stopped_since_or_the_clock_was_set(
    clock: timedelta, bench: Bench
) -> None:
    readings = iter([RUN, {**RUN, "processingStatus": "canceled"}])

    def read(_run_id: str) -> Answer:
        reading = answered(run := next(readings))
        moment = datetime.now(UTC) + (clock if run is RUN else timedelta())
        return reading._replace(exchange=replace(reading.exchange, started_at=moment))

    bench.graph.on_read = read
    save = await bench.ended(draft())
    assert (save.outcome, bench.graph.calls) == (Outcome.NOT_DONE, ["GET r1", "GET r1"])
    assert [conflict.now for conflict in save.conflicts] == ["canceled"]


async def test_a_wait_is_announced_and_can_be_stopped(bench: Bench) -> None:
    before, longest = datetime.now(UTC), timedelta(seconds=LONGEST_WAIT)
    bench.answer_writes(refused(429, wait="9999999"))
    number = bench.saves.submit(draft()).number
    paused = await bench.reaches(Step.PAUSED)
    wait = there(paused.wait)
    assert before + longest <= wait.until <= datetime.now(UTC) + longest, "capped"
    assert wait.retry_after == 9_999_999
    assert bench.saves.stop(number)
    assert await bench.saves.drain(PATIENCE) == 0
    last = bench.news[-1]
    assert (last.outcome, last.stopped, bench.writes) == (Outcome.NOT_DONE, True, 1)
    assert not last.row_is_stale, "it changed nothing"
    assert message_of(last) == "It was stopped while it waited.", "and not that the service throttles"
    assert bench.outcomes() == [(Outcome.NOT_DONE, "answer", 429)]
    assert not bench.saves.stop(number), "it is over"


async def test_a_change_that_is_stopped_in_the_moment_it_is_submitted_ends(bench: Bench) -> None:
    assert bench.saves.stop(bench.saves.submit(draft()).number)
    assert await bench.saves.drain(PATIENCE) == 0
    assert (bench.news[-1].outcome, bench.news[-1].stopped, bench.writes) == (Outcome.NOT_DONE, True, 0)
    assert (await bench.ended(draft())).outcome is Outcome.DONE, "the next one does not wait for it"


async def test_a_change_that_may_be_on_its_way_cannot_be_stopped(bench: Bench) -> None:
    bench.graph.gate.clear()
    number = bench.saves.submit(draft()).number
    await bench.graph.arrived.get()
    assert not bench.saves.stop(number)
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.news[-1].outcome is Outcome.DONE


async def test_breaking_off_in_flight_is_unknown_here_and_in_the_journal(bench: Bench) -> None:
    bench.graph.gate.clear()
    sent, behind = bench.saves.submit(draft()), bench.saves.submit(draft())
    await bench.graph.arrived.get()
    await bench.saves.abandon()
    ends = {save.number: (save.outcome, save.stopped, save.row_is_stale) for save in bench.news if not save.active}
    assert ends == {sent.number: (Outcome.UNKNOWN, False, True), behind.number: (Outcome.NOT_DONE, True, False)}
    assert bench.outcomes() == [(Outcome.UNKNOWN, "", None)]
    assert bench.journal.unsettled(ROOT) == bench.journal.entries()


async def test_a_token_that_is_missing_is_asked_for_once_and_the_save_goes_on(bench: Bench) -> None:
    gone = Failure(FailureKind.TOKEN, "no", "Nobody is signed in.")
    left = [Answer(replace(exchange("GET"), failure=gone), None, fault(Outcome.NOT_DONE))]
    bench.graph.on_read = lambda run_id: left.pop() if left else answered(bench.graph.held[run_id])
    bench.graph.renewals = 1
    assert (await bench.ended(draft())).outcome is Outcome.DONE
    assert bench.graph.calls == ["GET r1", "GET r1", "PATCH r1"]


@pytest.mark.parametrize("recorded", [[], [(Outcome.NOT_DONE, "answer", 401)]], ids=["at the read", "at the write"])
async def test_a_save_that_waits_for_a_sign_in_can_be_stopped(recorded: list[object], bench: Bench) -> None:
    bench.answer_writes(refused(401))
    if not recorded:
        bench.graph.on_read = lambda _run_id: refused(401, method="GET")
    bench.graph.signed_in.clear()
    number = bench.saves.submit(draft()).number
    await bench.reaches(Step.SIGNING_IN)
    assert bench.saves.stop(number)
    assert await bench.saves.drain(PATIENCE) == 0
    assert (bench.news[-1].outcome, bench.news[-1].stopped) == (Outcome.NOT_DONE, True)
    assert bench.outcomes() == recorded


# ETags


def with_etag(bench: Bench, etag: Callable[[], str]) -> None:
    """Let reads carry an ETag."""
    bench.graph.on_read = lambda run_id: answered({**bench.graph.held[run_id], "@odata.etag": etag()})


async def test_if_match_is_sent_whenever_the_service_gives_an_etag(bench: Bench) -> None:
    with_etag(bench, lambda: ETAG)
    assert (await bench.ended(draft())).outcome is Outcome.DONE
    assert bench.graph.etags == [ETAG]
    assert bench.journal.entries()[0].if_match == ETAG


# The journal


async def test_without_a_journal_nothing_is_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "open_journal", _full_disk)
    save = await bench.ended(draft())
    assert (save.outcome, bench.writes) == (Outcome.NOT_DONE, 0)
    assert save.fault is not None
    assert "disk is full" in save.fault.message
    assert "Nothing is sent without the journal" in save.fault.hint


async def test_breaking_off_without_a_journal_reports_the_outcome_as_unrecorded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.graph.gate.clear()
    bench.saves.submit(draft())
    await bench.graph.arrived.get()
    bench.journal.close()
    monkeypatch.setattr(journal_module, "open_journal", _full_disk)
    await bench.saves.abandon()
    assert (bench.news[-1].outcome, bool(bench.news[-1].unrecorded)) == (Outcome.UNKNOWN, True)


def _full_disk(path: Path, *, durable: bool) -> sqlite3.Connection:
    raise JournalError(path, "database or disk is full")
