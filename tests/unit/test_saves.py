"""The write path with a client that answers as a test says, and the real store."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import cancel
from runtui.errors import UsageError
from runtui.graph.client import Answer
from runtui.headless.changes import changed, message_of
from runtui.services.store.store import EVERY_RUN, Store
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save, Step
from runtui.tui.words.pages import save_words
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered
from tests.unit.saves_bench import CONTEXT, Bench, draft

STEPS_OF_A_SAVE = (Step.WAITING, Step.READING, Step.RECORDING, Step.SENDING, Step.SETTLING, Step.ENDED)


def stored(store: Store, run_id: str = "r1") -> dict[str, Any]:
    found = there(store.get(run_id))
    return found.raw


async def test_a_change_is_read_sent_and_stored(bench: Bench) -> None:
    news = bench.news
    some = draft(processingStatus="failed", failedTasksCount="3")
    save = await bench.ended(some)
    assert (save.outcome, save.ignored, save.row_is_stale, save.known_by) == (Outcome.DONE, (), False, "answer")
    assert there(save.exchange).method == "PATCH"
    assert bench.graph.calls == ["GET r1", "PATCH r1"]
    assert bench.graph.bodies == [some.body_text()], "what was reviewed is what is sent"
    assert [item.step for item in news] == list(STEPS_OF_A_SAVE)
    assert (stored(bench.store)["processingStatus"], stored(bench.store)["failedTasksCount"]) == ("failed", 3)
    row = next(row for row in bench.store.window(EVERY_RUN, 0, 99) if row.id == "r1")
    assert row.status == "failed"
    assert bench.saves.active() == ()
    assert bench.saves.of_run("r1") is None


@pytest.mark.parametrize("entity", [None, {"id": "r1"}, {"id": "r1", "@odata.type": "t", "processingStatus": "failed"}])
async def test_an_empty_or_shortened_answer_is_read_back(entity: dict[str, Any] | None, bench: Bench) -> None:
    bench.graph.on_write = lambda _run_id: answered(entity, method="PATCH")
    news = bench.news
    save = await bench.ended(draft())
    assert save.outcome is Outcome.DONE
    assert save.known_by != "read-back", "the answer itself said done"
    assert bench.graph.calls == ["GET r1", "PATCH r1", "GET r1"]
    assert Step.SETTLING in [item.step for item in news]
    assert stored(bench.store) == bench.graph.held["r1"]


async def test_annotations_do_not_make_an_answer_look_shortened(bench: Bench) -> None:
    bench.graph.on_read = lambda run_id: answered(
        {"@odata.context": "c", "status@odata.type": "t", **bench.graph.held[run_id]}
    )
    assert (await bench.ended(draft())).outcome is Outcome.DONE
    assert bench.graph.calls == ["GET r1", "PATCH r1"]


NO_VALUES = [None, {"id": "r1"}, {"id": "r1", "processingStatus": "inProgress"}]


@pytest.mark.parametrize("entity", NO_VALUES)
async def test_a_success_that_shows_nothing_is_unknown_when_nothing_can_be_read(
    entity: dict[str, Any] | None, bench: Bench
) -> None:
    bench.graph.on_write = lambda _run_id: answered(entity, method="PATCH")
    bench.graph.on_read = reads_once(bench.graph)
    save = await bench.ended(draft())
    assert (save.outcome, save.row_is_stale, save.ignored) == (Outcome.UNKNOWN, True, ())
    assert "could not be read afterwards" in there(save.fault).message


async def test_a_success_that_shows_the_values_is_done_when_the_rest_cannot_be_read(bench: Bench) -> None:
    bench.graph.on_write = lambda _run_id: answered({"id": "r1", "processingStatus": "failed"}, method="PATCH")
    bench.graph.on_read = reads_once(bench.graph)
    save = await bench.ended(draft(processingStatus="failed", failedTasksCount="3"))
    assert (save.outcome, save.row_is_stale, save.known_by) == (Outcome.DONE, True, "answer")
    assert save.ignored == (), "of what the answer leaves out nothing is known"


def reads_once(graph: FakeGraph) -> Callable[[str], Answer]:
    """Let reads fail from the second one on."""

    def read(run_id: str) -> Answer:
        reads = graph.calls.count(f"GET {run_id}")
        return answered(graph.held[run_id]) if reads == 1 else answered(outcome=Outcome.NOT_DONE)

    return read


async def test_a_value_that_the_service_did_not_take_is_named(bench: Bench) -> None:
    bench.graph.on_write = lambda _run_id: answered({**bench.graph.held["r1"], "failedTasksCount": 2}, method="PATCH")
    save = await bench.ended(draft(processingStatus="failed", failedTasksCount="3"))
    assert (save.outcome, save.ignored) == (Outcome.DONE, ("failedTasksCount",))
    assert stored(bench.store)["failedTasksCount"] == 2
    kept = "The service kept its own value of failedTasksCount."
    assert save_words(save) == f"#1 done. processingStatus: inProgress → failed. {kept}"
    [entry] = bench.journal.entries()
    assert entry.words == kept


async def test_a_time_returned_with_other_digits_counts_as_accepted(bench: Bench) -> None:
    bench.graph.on_write = lambda _run_id: answered(
        {**bench.graph.held["r1"], "completedDateTime": "2026-11-20T09:15:03.92Z"}, method="PATCH"
    )
    save = await bench.ended(draft(completedDateTime="2026-11-20T10:15:03.9200000+01:00"))
    assert (save.outcome, save.ignored) == (Outcome.DONE, ())


@pytest.mark.parametrize("name", ["processingStatus", "completedDateTime"])
async def test_a_fresh_read_without_what_is_changed_stops_the_save_and_accuses_nobody(name: str, bench: Bench) -> None:
    text = {"processingStatus": "failed", "completedDateTime": "2026-11-20T09:00:00Z"}[name]
    bench.graph.on_read = lambda run_id: answered(
        {key: value for key, value in bench.graph.held[run_id].items() if key != name}
    )
    save = await bench.ended(draft(RUN, "r1", **{name: text}))
    assert (save.outcome, save.conflicts, save.entry) == (Outcome.NOT_DONE, (), None)
    assert bench.graph.calls == ["GET r1"]
    told = message_of(save)
    assert told.startswith(f"The run was read only in part. The answer lacks {name}, so a change by somebody else")
    assert "Nothing was sent." in told
    assert "changed meanwhile" not in told


async def test_a_fresh_read_without_untouched_properties_does_not_stop_the_save(bench: Bench) -> None:
    bench.graph.on_read = lambda run_id: answered(
        {name: bench.graph.held[run_id][name] for name in ("id", "processingStatus", "lastUpdatedDateTime")}
    )
    some = draft()
    save = await bench.ended(some)
    assert (save.outcome, bench.graph.bodies) == (Outcome.DONE, [some.body_text()])


async def test_a_run_that_changed_meanwhile_is_not_written(bench: Bench) -> None:
    bench.graph.held["r1"]["processingStatus"] = "completed"
    save = await bench.ended(draft())
    assert save.outcome is Outcome.NOT_DONE
    (conflict,) = save.conflicts
    assert (conflict.opened, conflict.now, conflict.ours) == ("inProgress", "completed", "failed")
    assert bench.graph.calls == ["GET r1"], "nothing was sent"
    assert stored(bench.store)["processingStatus"] == "completed", "the row shows what was read"
    assert isinstance(save.operation, Draft)
    again = await bench.ended(save.operation.rebased(stored(bench.store)))
    assert again.outcome is Outcome.DONE


async def test_the_old_values_that_are_told_are_those_read_just_before(bench: Bench) -> None:
    bench.graph.held["r1"]["processingStatus"] = "failed"  # somebody else has made this change meanwhile
    save = await bench.ended(draft(processingStatus="failed", failedTasksCount="3"))
    assert "processingStatus: already failed, failedTasksCount: 2 → 3" in save_words(save)
    assert changed(save.changes())["processingStatus"] == {"before": "failed", "after": "failed"}


async def test_two_saves_of_one_run_take_turns_the_second_sees_the_first(bench: Bench) -> None:
    news = bench.news
    bench.graph.gate.clear()
    bench.saves.submit(draft(processingStatus="failed"))
    second = bench.saves.submit(draft(processingStatus="completed"))
    other = bench.saves.submit(draft(run_id="r2", processingStatus="failed"))
    async with asyncio.timeout(PATIENCE):
        assert {await bench.graph.arrived.get(), await bench.graph.arrived.get()} == {"r1", "r2"}
    assert [(save.number, save.step) for save in bench.saves.active()] == [
        (1, Step.SENDING),
        (second.number, Step.WAITING),
        (other.number, Step.SENDING),
    ], "another run does not wait"
    current = there(bench.saves.of_run("r1"))
    assert current.number == 1
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.graph.most_at_once == {"r1": 1, "r2": 1}
    outcomes = {save.number: save.outcome for save in news if not save.active}
    assert outcomes == {1: Outcome.DONE, 2: Outcome.NOT_DONE, 3: Outcome.DONE}
    (last,) = [save for save in news if save.number == second.number and not save.active]
    assert [conflict.now for conflict in last.conflicts] == ["failed"], "it was made for a run that is no more"


async def test_two_spellings_of_one_id_are_one_run(bench: Bench) -> None:
    bench.graph.held["R1"] = bench.graph.held["r1"]
    bench.graph.gate.clear()
    first = bench.saves.submit(draft(processingStatus="failed"))
    async with asyncio.timeout(PATIENCE):
        await bench.graph.arrived.get()
    second = bench.saves.submit(draft(run_id="R1", processingStatus="completed"))
    await asyncio.sleep(0)
    assert [(save.number, save.step) for save in bench.saves.active()] == [
        (first.number, Step.SENDING), (second.number, Step.WAITING)
    ]  # fmt: skip
    assert bench.saves.of_run("R1") is bench.saves.of_run("r1") is not None
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.graph.most_at_once == {"r1": 1}


async def test_many_saves_of_one_run_go_out_one_by_one_in_their_order(bench: Bench) -> None:
    run: dict[str, Any] = RUN
    next_ones: list[Save | None] = []
    bench.saves.changed.subscribe(lambda save: None if save.active else next_ones.append(bench.saves.of_run("r1")))
    for count in range(3, 13):
        bench.saves.submit(draft(received=run, failedTasksCount=str(count)))
        run = {**run, "failedTasksCount": count}
    assert await bench.saves.drain(PATIENCE) == 0
    assert bench.graph.most_at_once == {"r1": 1}
    assert [json.loads(body)["failedTasksCount"] for body in bench.graph.bodies] == list(range(3, 13))
    assert [save and save.number for save in next_ones] == [*range(2, 11), None], "it is busy until the last has ended"


async def test_waiting_for_saves_is_bounded(bench: Bench) -> None:
    bench.graph.gate.clear()
    bench.saves.submit(draft())
    bench.saves.submit(draft(run_id="r2"))
    await bench.reaches(Step.SENDING)
    assert await bench.saves.drain(0.01) == 2
    bench.graph.gate.set()
    assert await bench.saves.drain(PATIENCE) == 0
    assert await bench.saves.drain(0) == 0


async def test_leaving_while_something_is_sent_says_the_outcome_is_unknown(bench: Bench) -> None:
    news = bench.news
    bench.graph.gate.clear()
    bench.saves.submit(draft())
    bench.saves.submit(draft(processingStatus="completed"))
    await bench.reaches(Step.SENDING)
    await bench.saves.abandon()
    assert {save.number: save.outcome for save in news if not save.active} == {1: Outcome.UNKNOWN, 2: Outcome.NOT_DONE}
    assert bench.saves.active() == ()
    assert bench.graph.bodies == bench.graph.bodies[:1], "the one that waited was never sent"
    await bench.saves.abandon()


@pytest.mark.parametrize(
    ("entity", "outcome"), [(None, Outcome.UNKNOWN), ({"id": "r1", "processingStatus": "failed"}, Outcome.DONE)]
)
async def test_leaving_during_the_reading_back_says_what_the_answer_proved(
    entity: dict[str, Any] | None, outcome: Outcome, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.graph.on_write = lambda _run_id: answered(entity, method="PATCH")
    read, reading_back = bench.graph.run, asyncio.Event()

    async def never_read_back(workflow_id: str, run_id: str) -> Answer:
        if bench.graph.bodies:
            reading_back.set()
            await asyncio.Event().wait()
        return await read(workflow_id, run_id)

    monkeypatch.setattr(bench.graph, "run", never_read_back)
    news = bench.news
    bench.saves.submit(draft())
    async with asyncio.timeout(PATIENCE):
        await reading_back.wait()
    await bench.saves.abandon()
    (last,) = [save for save in news if not save.active]
    assert (last.outcome, last.row_is_stale) == (outcome, True)


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.NOT_DONE])
async def test_leaving_while_the_answer_is_being_stored_says_what_the_answer_said(
    outcome: Outcome, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    if outcome is Outcome.NOT_DONE:
        bench.graph.on_write = lambda _run_id: answered(outcome=Outcome.NOT_DONE, method="PATCH")
    news = bench.news
    await bench.leave_while_storing(monkeypatch)
    assert [(save.outcome, save.row_is_stale) for save in news if not save.active] == [(outcome, True)]


async def test_a_defect_on_the_way_leaves_no_save_hanging(bench: Bench) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def broken(_run_id: str) -> Answer:
        raise LookupError("a defect")

    bench.graph.on_write = broken
    save = await bench.ended(draft())
    assert save.outcome is Outcome.UNKNOWN, "it may have been sent"
    gc.collect()
    assert [type(context["exception"]) for context in reported] == [LookupError], "and the defect is not hidden"


async def test_a_store_that_fails_does_not_hide_the_outcome(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def full(_workflow_id: str, *_raws: object) -> None:
        raise UsageError("The disk is full")

    monkeypatch.setattr(bench.store, "put_run", full)
    save = await bench.ended(draft())
    assert (save.outcome, save.row_is_stale) == (Outcome.DONE, True)
    assert reported == [], "a full disk is no defect"


async def test_a_read_only_session_sends_nothing(bench: Bench) -> None:
    bench.saves = SaveQueue(
        bench.graph, bench.store, bench.journal, CONTEXT, refusal=lambda: "It was started read-only.", requires_why=True
    )
    for operation in (draft(), cancel(WORKFLOW, "r1")):
        with pytest.raises(UsageError, match="read-only"):
            bench.saves.submit(operation)
        with pytest.raises(UsageError, match="read-only"):
            bench.saves.submit_many([operation])
    assert await bench.saves.drain(0) == 0
    assert bench.graph.calls == []


async def test_where_a_reason_is_required_nothing_is_sent_without_one(bench: Bench) -> None:
    bench.saves = SaveQueue(bench.graph, bench.store, bench.journal, CONTEXT, requires_why=True)
    with pytest.raises(UsageError, match="requires a reason"):
        bench.saves.submit(draft())
    with pytest.raises(UsageError, match="requires a reason"):
        bench.saves.submit_many([draft(), draft(run_id="r2")])
    assert bench.graph.calls == []
    bench.saves.submit(draft(), why="The report of Monday.")
    assert await bench.saves.drain(PATIENCE) == 0
    assert [entry.why for entry in bench.journal.entries()] == ["The report of Monday."]


@pytest.mark.parametrize(
    "texts",
    [
        {"failedTasksCount": "x"},
        {"failedTasksCount": "x", "processingStatus": "failed"},
        {"processingStatus": "inProgress"},
    ],
)
async def test_a_draft_without_a_change_or_with_an_error_is_not_sent(texts: dict[str, Any], bench: Bench) -> None:
    with pytest.raises(UsageError, match="nothing to send"):
        bench.saves.submit(draft(**texts))
    with pytest.raises(UsageError, match="nothing to send"):
        bench.saves.submit_many([])
    assert bench.saves.active() == ()
    assert bench.graph.calls == []
