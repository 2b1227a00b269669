"""The proof of a save: its answer, the run as read afterwards, and what is known if the user quits."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.report import Outcome
from runtui.graph.client import Answer
from runtui.graph.retry import MAX_WRITE_REPEATS
from runtui.services.records.journal import Intent
from runtui.services.records.journal_file import JournalError
from runtui.services.writing.undo import draft_to_undo
from runtui.services.writing.write import Save, Step
from tests import PATIENCE
from tests.unit.fake_writer import RUN, FakeGraph, answered
from tests.unit.saves_bench import Bench, draft, refused

ETAG = '"1"'
CLEARED = "startedDateTime"


def named(answer: Answer, *, by: str = "mine") -> Answer:
    """Return the answer to a request that was sent as "mine"; the answer names the request `by`."""
    sent, named = (("client-request-id", "mine"),), (("client-request-id", by),) if by else ()
    return answer._replace(exchange=replace(answer.exchange, request_headers=sent, response_headers=named))


def reads(bench: Bench, *, first: dict[str, Any] = RUN, by: tuple[str, ...] = ("", "")) -> None:
    """Answer the read before the change with `first`, later ones with the run; `by` is the request id in the
    answers."""

    def read(run_id: str) -> Answer:
        is_first = bench.writes == 0
        return named(answered(first if is_first else bench.graph.held[run_id]), by=by[0] if is_first else by[1])

    bench.graph.on_read = read


# The answer


@pytest.mark.parametrize("by", ["", "another"])
async def test_if_the_service_names_requests_an_answer_without_a_name_is_no_proof(by: str, bench: Bench) -> None:
    reads(bench, by=("mine", "mine"))
    bench.answer_writes(named(answered({**RUN, "processingStatus": "failed"}, method="PATCH"), by=by))
    save = await bench.ended(draft())
    assert (save.outcome, bench.applied, bench.writes) == (Outcome.UNKNOWN, 0, 1)
    assert bench.outcomes()[0][:2] == (Outcome.UNKNOWN, "")


async def test_if_the_service_names_requests_a_read_without_a_name_is_no_proof(bench: Bench) -> None:
    reads(bench, by=("mine", ""))
    bench.graph.on_write = lambda _run_id: refused(502, Outcome.UNKNOWN)
    save = await bench.ended(draft())
    assert (save.outcome, save.row_is_stale) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize("by", [("", ""), ("", "mine"), ("mine", "mine")])
async def test_a_reading_that_names_its_request_as_the_first_one_did_is_a_proof(
    by: tuple[str, str], bench: Bench
) -> None:
    reads(bench, by=by)
    bench.graph.on_write = lambda _run_id: refused(502, Outcome.UNKNOWN)
    save = await bench.ended(draft())
    assert (save.outcome, save.known_by) == (Outcome.DONE, "read-back")


async def test_a_success_that_shows_only_earlier_values_is_unknown(bench: Bench) -> None:
    bench.graph.held["r1"]["processingStatus"] = "failed"  # a colleague made half of the change
    bench.answer_writes(answered({**RUN, "processingStatus": "failed"}, method="PATCH"))
    save = await bench.ended(draft(processingStatus="failed", failedTasksCount="7"))
    assert (save.outcome, save.ignored) == (Outcome.UNKNOWN, ("failedTasksCount",))


async def test_a_success_that_shows_no_new_value_is_done_if_the_run_read_afterwards_has_it(bench: Bench) -> None:
    reads(bench)
    bench.graph.held["r1"]["processingStatus"] = "failed"
    bench.answer_writes(answered(RUN, method="PATCH"))
    save = await bench.ended(draft())
    assert (save.outcome, save.known_by, save.ignored) == (Outcome.DONE, "answer", ())


async def test_a_success_is_done_if_the_run_already_had_all_values(bench: Bench) -> None:
    reads(bench, first={**RUN, "processingStatus": "failed"})
    bench.answer_writes(None)
    save = await bench.ended(draft())
    assert (save.outcome, save.known_by) == (Outcome.DONE, "answer")


async def test_a_read_that_contradicts_a_shortened_answer_leaves_the_change_unknown(bench: Bench) -> None:
    bench.answer_writes(answered({"id": "r1", "processingStatus": "failed"}, method="PATCH"))
    save = await bench.ended(draft())
    assert (save.outcome, save.ignored) == (Outcome.UNKNOWN, ("processingStatus",))


# The run, if no answer vouches for the change


async def test_values_that_were_there_before_prove_nothing_of_a_lost_write(bench: Bench) -> None:
    bench.graph.held["r1"]["processingStatus"] = "failed"  # a colleague made the same change
    bench.answer_writes(refused(504, Outcome.UNKNOWN))
    save = await bench.ended(draft())
    assert (save.outcome, bench.writes) == (Outcome.UNKNOWN, 1)
    assert bench.journal.entries()[0].before["processingStatus"] == "failed"
    assert "it had them before" in bench.journal.entries()[0].words


async def test_an_identical_change_that_may_still_arrive_leaves_both_unknown(bench: Bench) -> None:
    bench.answer_writes(refused(504, Outcome.UNKNOWN))
    assert (await bench.ended(draft())).outcome is Outcome.UNKNOWN

    def land_late(run_id: str) -> Answer:
        bench.graph.held[run_id]["processingStatus"] = "failed"
        return refused(504, Outcome.UNKNOWN)

    bench.graph.on_write = land_late
    assert (await bench.ended(draft())).outcome is Outcome.UNKNOWN
    assert bench.outcomes() == [(Outcome.UNKNOWN, "", 504)] * 2


@pytest.mark.parametrize("trouble", [None, JournalError(Path("journal.db"), "disk I/O error")])
async def test_a_read_without_a_journal_entry_proves_nothing(
    trouble: JournalError | None, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_number: int) -> None:
        if trouble is not None:
            raise trouble

    monkeypatch.setattr(bench.journal, "entry", lost)
    bench.graph.on_write = lambda _run_id: refused(504, Outcome.UNKNOWN)
    save = await bench.ended(draft())
    assert (save.outcome, save.row_is_stale) == (Outcome.UNKNOWN, False), "the list has what was read all the same"
    assert bench.outcomes() == [(Outcome.UNKNOWN, "", 504)]


# Refusals caused by a copy of the same request


def gateway_repeats(bench: Bench, status: int) -> None:
    """Apply the first copy of a request, and answer with the refusal of the second."""
    bench.graph.on_write = lambda _run_id: refused(status)


@pytest.mark.parametrize("status", [409, 412])
async def test_a_refused_copy_of_a_change_that_was_applied_is_seen_on_read_back_and_can_be_undone(
    status: int, bench: Bench
) -> None:
    reads(bench, first={**RUN, "@odata.etag": ETAG})
    gateway_repeats(bench, status)
    save = await bench.ended(draft())
    assert (save.outcome, save.known_by, save.fault) == (Outcome.DONE, "read-back", None)
    assert (bench.writes, bench.outcomes()) == (1, [(Outcome.DONE, "read-back", status)])
    undo = await draft_to_undo(bench.journal.entries()[0], bench.graph)
    assert undo.body()["processingStatus"] == "inProgress", "the first before is the one that counts"


@pytest.mark.parametrize("status", [409, 412])
async def test_a_refusal_with_half_of_the_change_in_sight_is_unknown(status: int, bench: Bench) -> None:
    gateway_repeats(bench, status)
    bench.graph.apply = lambda run_id, body: bench.graph.held[run_id].update(processingStatus="failed")  # type: ignore[method-assign]
    save = await bench.ended(draft(processingStatus="failed", failedTasksCount="7"))
    assert (save.outcome, bench.writes) == (Outcome.UNKNOWN, 1)


@pytest.mark.parametrize("status", [409, 412])
async def test_without_an_etag_a_refusal_is_unknown_if_the_run_has_other_values(status: int, bench: Bench) -> None:
    """Another change may have replaced the new values of the first copy."""
    gateway_repeats(bench, status)
    bench.graph.apply = lambda run_id, body: bench.graph.held[run_id].update(processingStatus="canceled")  # type: ignore[method-assign]
    save = await bench.ended(draft(processingStatus="failed"))
    assert (save.outcome, bench.writes) == (Outcome.UNKNOWN, 1)


@pytest.mark.parametrize("status", [409, 412])
async def test_a_refusal_after_which_the_run_cannot_be_read_is_unknown(status: int, bench: Bench) -> None:
    bench.answer_writes(refused(status))
    reads = [answered(RUN)]
    bench.graph.on_read = lambda _run_id: reads.pop() if reads else answered(outcome=Outcome.NOT_DONE)
    save = await bench.ended(draft())
    assert (save.outcome, save.row_is_stale, bench.writes) == (Outcome.UNKNOWN, True, 1)
    assert save.fault is not None
    assert (save.fault.outcome, save.fault.status) == (Outcome.UNKNOWN, status)
    assert "A gateway that sends a change twice" in save.fault.message
    assert bench.outcomes() == [(Outcome.UNKNOWN, "", status)]


@pytest.mark.parametrize(
    ("tag", "outcome"),
    [(lambda _writes: ETAG, Outcome.UNKNOWN), (lambda _writes: None, Outcome.UNKNOWN), (str, Outcome.NOT_DONE)],
    ids=["the version that is gone", "no version", "a newer version"],
)
async def test_a_read_of_the_old_version_does_not_confirm_a_412(
    tag: Callable[[int], str | None], outcome: Outcome, bench: Bench
) -> None:
    """The first copy may have been applied, and the read afterwards may return an older version."""
    bench.graph.on_read = lambda _run_id: answered({**RUN, "@odata.etag": tag(bench.writes) if bench.writes else ETAG})
    bench.answer_writes(refused(412))
    save = await bench.ended(draft())
    assert (bench.journal.entries()[-1].outcome, save.outcome) == (outcome, outcome)
    assert bench.writes == ((MAX_WRITE_REPEATS + 1) if outcome is Outcome.NOT_DONE else 1)


async def test_a_409_is_confirmed_by_a_run_that_has_not_changed(bench: Bench) -> None:
    bench.graph.held["r1"]["@odata.etag"] = ETAG
    bench.answer_writes(refused(409))
    assert (await bench.ended(draft())).outcome is Outcome.NOT_DONE


@pytest.mark.parametrize("status", [409, 412])
async def test_a_read_without_the_changed_property_does_not_confirm_a_refusal(status: int, bench: Bench) -> None:
    partial = {name: value for name, value in RUN.items() if name != "processingStatus"}
    bench.graph.on_read = lambda _run_id: answered(
        {**(partial if bench.writes else RUN), "@odata.etag": f'"{bench.writes}"'}
    )
    gateway_repeats(bench, status)
    save = await bench.ended(draft())
    assert (save.outcome, bench.writes) == (Outcome.UNKNOWN, 1)
    assert bench.outcomes() == [(Outcome.UNKNOWN, "", status)]


async def test_any_other_refusal_is_believed_at_once(bench: Bench) -> None:
    bench.answer_writes(refused(403))
    assert (await bench.ended(draft())).outcome is Outcome.NOT_DONE
    assert bench.graph.calls == ["GET r1", "PATCH r1"]


# Leaving


async def broken_off(bench: Bench, monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> Save:
    """Quit twice while a call in a thread holds up a save, then let the call end; return the save at its end."""
    loop, holding, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    real: Callable[..., Any] = getattr(target, name)

    def slow(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            loop.call_soon_threadsafe(holding.set)
            assert go_on.wait(PATIENCE)
        return real(*args, **kwargs)

    monkeypatch.setattr(target, name, slow)
    bench.saves.submit(draft())
    async with asyncio.timeout(PATIENCE):
        await holding.wait()
    leaving = [asyncio.create_task(bench.saves.abandon()) for _ in range(2)]
    for _ in range(50):
        await asyncio.sleep(0)
    was_early = [task.done() for task in leaving]
    go_on.set()
    await asyncio.gather(*leaving)
    assert was_early == [False, False], "what the thread writes has to be known before anything is said"
    return bench.news[-1]


async def test_leaving_while_the_intent_is_recorded_leaves_no_open_entry(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = await broken_off(bench, monkeypatch, bench.journal, "open_many")
    assert (save.outcome, save.unrecorded, bench.writes) == (Outcome.NOT_DONE, "", 0)
    assert bench.outcomes() == [(Outcome.NOT_DONE, "", None)]


async def test_leaving_while_the_intent_cannot_be_recorded_is_no_defect(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def fail(_intents: Sequence[Intent], _read_at: Sequence[datetime]) -> list[int]:
        raise JournalError(bench.journal.path, "database or disk is full")

    monkeypatch.setattr(bench.journal, "open_many", fail)
    save = await broken_off(bench, monkeypatch, bench.journal, "open_many")
    gc.collect()
    assert (save.outcome, bench.writes, reported) == (Outcome.NOT_DONE, 0, [])


async def test_leaving_while_the_outcome_is_recorded_says_what_was_recorded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = await broken_off(bench, monkeypatch, bench.journal, "settle_many")
    assert save.outcome is Outcome.DONE
    assert bench.outcomes() == [(Outcome.DONE, "answer", None)]


@pytest.mark.parametrize(
    ("is_applied", "outcome", "known_by"), [(False, Outcome.UNKNOWN, ""), (True, Outcome.DONE, "read-back")]
)
async def test_leaving_after_the_reading_back_says_what_the_run_showed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_applied: bool, outcome: Outcome, known_by: str
) -> None:
    if is_applied:
        bench.graph.on_write = lambda _run_id: refused(502, Outcome.UNKNOWN)
    else:
        bench.answer_writes(answered(method="PATCH"))
    await bench.leave_while_storing(monkeypatch)
    assert bench.news[-1].outcome is outcome
    assert bench.outcomes()[0][:2] == (outcome, known_by)


async def test_the_words_of_an_unknown_outcome_outlive_the_leaving(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.answer_writes(refused(504, Outcome.UNKNOWN))
    reached = asyncio.Event()
    bench.saves.changed.subscribe(lambda save: reached.set() if save.step is Step.SETTLING else None)
    hold = asyncio.Event()

    async def silent(workflow_id: str, run_id: str) -> Answer:
        if bench.writes:
            await hold.wait()
        return await FakeGraph.run(bench.graph, workflow_id, run_id)

    monkeypatch.setattr(bench.graph, "run", silent)
    bench.saves.submit(draft())
    async with asyncio.timeout(PATIENCE):
        await reached.wait()
    await bench.saves.abandon()
    (entry,) = bench.journal.entries()
    assert (entry.outcome, entry.words) == (Outcome.UNKNOWN, "It went wrong. The line was cut.")


async def test_a_property_that_the_reading_back_leaves_out_is_not_shown_as_cleared(bench: Bench) -> None:
    bench.answer_writes(refused(502, Outcome.UNKNOWN))

    def read(run_id: str) -> Answer:
        is_read_back = bool(bench.graph.bodies)
        return answered({k: v for k, v in bench.graph.held[run_id].items() if not (is_read_back and k == CLEARED)})

    bench.graph.on_read = read
    save = await bench.ended(draft(RUN, **{CLEARED: ""}))
    assert (save.outcome, bench.applied) == (Outcome.UNKNOWN, 0)
    assert bench.outcomes()[0][:2] == (Outcome.UNKNOWN, "")
