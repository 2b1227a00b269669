"""The write path with a client that answers as a test says, and the real store."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.times import parse_ticks
from runtui.domain.triage.service_actions import cancel
from runtui.errors import UsageError
from runtui.graph.client import Answer
from runtui.headless.changes import changed, message_of
from runtui.services.journal import Journal
from runtui.services.store import EVERY_RUN, Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save, Step
from runtui.tui.words.pages import save_words
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered


async def nobody() -> str:
    return ""


ORIGIN = WriteContext("http://127.0.0.1/beta", "Contoso", "", nobody)
STEPS_OF_A_SAVE = (Step.WAITING, Step.READING, Step.RECORDING, Step.SENDING, Step.SETTLING, Step.ENDED)
NOW = parse_ticks("2026-11-20T09:15:03Z")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "runs.db")
    store.put_workflows([{"id": WORKFLOW, "displayName": "Onboard"}])
    store.put_runs(WORKFLOW, [RUN, {**RUN, "id": "r2"}], store.next_listing())
    yield store
    store.close()


@pytest.fixture
async def graph() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
async def saves(graph: FakeGraph, store: Store, journal: Journal) -> SaveQueue:
    return SaveQueue(graph, store, journal, ORIGIN)


def draft(run_id: str = "r1", received: Mapping[str, Any] = RUN, **texts: Any) -> Draft:
    some = Draft(run_id, WORKFLOW, {**received, "id": run_id})
    for name, text in (texts or {"processingStatus": "failed"}).items():
        some = some.typed(name, text, NOW)
    return some


async def ended(saves: SaveQueue, some: Draft) -> Save:
    """Submit a draft and wait for its end."""
    news = listen(saves)
    number = saves.submit(some).number
    assert await saves.drain(PATIENCE) == 0
    return next(save for save in news if save.number == number and not save.active)


def listen(saves: SaveQueue) -> list[Save]:
    news: list[Save] = []
    saves.changed.subscribe(news.append)
    return news


async def until(saves: SaveQueue, step: Step) -> Save:
    """Wait until a save reaches a step."""
    for save in saves.active():
        if save.step is step:
            return save
    reached: asyncio.Future[Save] = asyncio.get_running_loop().create_future()

    def follow(save: Save) -> None:
        if save.step is step and not reached.done():
            reached.set_result(save)

    end = saves.changed.subscribe(follow)
    try:
        async with asyncio.timeout(PATIENCE):
            return await reached
    finally:
        end()


def stored(store: Store, run_id: str = "r1") -> dict[str, Any]:
    found = there(store.get(run_id))
    return found.raw


async def test_a_change_is_read_sent_and_stored(saves: SaveQueue, graph: FakeGraph, store: Store) -> None:
    news = listen(saves)
    some = draft(processingStatus="failed", failedTasksCount="3")
    save = await ended(saves, some)
    assert (save.outcome, save.ignored, save.row_is_stale, save.known_by) == (Outcome.DONE, (), False, "answer")
    assert there(save.exchange).method == "PATCH"
    assert graph.calls == ["GET r1", "PATCH r1"]
    assert graph.bodies == [some.body_text()], "what was reviewed is what is sent"
    assert [item.step for item in news] == list(STEPS_OF_A_SAVE)
    assert (stored(store)["processingStatus"], stored(store)["failedTasksCount"]) == ("failed", 3)
    row = next(row for row in store.window(EVERY_RUN, 0, 99) if row.id == "r1")
    assert row.status == "failed"
    assert saves.active() == ()
    assert saves.of_run("r1") is None


@pytest.mark.parametrize("entity", [None, {"id": "r1"}, {"id": "r1", "@odata.type": "t", "processingStatus": "failed"}])
async def test_an_empty_or_shortened_answer_is_read_back(
    entity: dict[str, Any] | None, saves: SaveQueue, graph: FakeGraph, store: Store
) -> None:
    graph.on_write = lambda _run_id: answered(entity, method="PATCH")
    news = listen(saves)
    save = await ended(saves, draft())
    assert save.outcome is Outcome.DONE
    assert save.known_by != "read-back", "the answer itself said done"
    assert graph.calls == ["GET r1", "PATCH r1", "GET r1"]
    assert Step.SETTLING in [item.step for item in news]
    assert stored(store) == graph.runs["r1"]


async def test_annotations_do_not_make_an_answer_look_shortened(saves: SaveQueue, graph: FakeGraph) -> None:
    graph.on_read = lambda run_id: answered({"@odata.context": "c", "status@odata.type": "t", **graph.runs[run_id]})
    assert (await ended(saves, draft())).outcome is Outcome.DONE
    assert graph.calls == ["GET r1", "PATCH r1"]


NO_VALUES = [None, {"id": "r1"}, {"id": "r1", "processingStatus": "inProgress"}]


@pytest.mark.parametrize("entity", NO_VALUES)
async def test_a_success_that_shows_nothing_is_unknown_when_nothing_can_be_read(
    entity: dict[str, Any] | None, saves: SaveQueue, graph: FakeGraph
) -> None:
    graph.on_write = lambda _run_id: answered(entity, method="PATCH")
    graph.on_read = reads_once(graph)
    save = await ended(saves, draft())
    assert (save.outcome, save.row_is_stale, save.ignored) == (Outcome.UNKNOWN, True, ())
    assert "could not be read afterwards" in there(save.fault).message


async def test_a_success_that_shows_the_values_is_done_when_the_rest_cannot_be_read(
    saves: SaveQueue, graph: FakeGraph
) -> None:
    graph.on_write = lambda _run_id: answered({"id": "r1", "processingStatus": "failed"}, method="PATCH")
    graph.on_read = reads_once(graph)
    save = await ended(saves, draft(processingStatus="failed", failedTasksCount="3"))
    assert (save.outcome, save.row_is_stale, save.known_by) == (Outcome.DONE, True, "answer")
    assert save.ignored == (), "of what the answer leaves out nothing is known"


def reads_once(graph: FakeGraph) -> Callable[[str], Answer]:
    """Let reads fail from the second one on."""

    def read(run_id: str) -> Answer:
        reads = graph.calls.count(f"GET {run_id}")
        return answered(graph.runs[run_id]) if reads == 1 else answered(outcome=Outcome.NOT_DONE)

    return read


async def test_a_value_that_the_service_did_not_take_is_named(
    saves: SaveQueue, graph: FakeGraph, store: Store, journal: Journal
) -> None:
    graph.on_write = lambda _run_id: answered({**graph.runs["r1"], "failedTasksCount": 2}, method="PATCH")
    save = await ended(saves, draft(processingStatus="failed", failedTasksCount="3"))
    assert (save.outcome, save.ignored) == (Outcome.DONE, ("failedTasksCount",))
    assert stored(store)["failedTasksCount"] == 2
    kept = "The service kept its own value of failedTasksCount."
    assert save_words(save) == f"#1 done. processingStatus: inProgress → failed. {kept}"
    [entry] = journal.entries()
    assert entry.words == kept


async def test_a_time_returned_with_other_digits_counts_as_accepted(saves: SaveQueue, graph: FakeGraph) -> None:
    graph.on_write = lambda _run_id: answered(
        {**graph.runs["r1"], "completedDateTime": "2026-11-20T09:15:03.92Z"}, method="PATCH"
    )
    save = await ended(saves, draft(completedDateTime="2026-11-20T10:15:03.9200000+01:00"))
    assert (save.outcome, save.ignored) == (Outcome.DONE, ())


@pytest.mark.parametrize("name", ["processingStatus", "completedDateTime"])
async def test_a_fresh_read_without_what_is_changed_stops_the_save_and_accuses_nobody(
    name: str, saves: SaveQueue, graph: FakeGraph
) -> None:
    text = {"processingStatus": "failed", "completedDateTime": "2026-11-20T09:00:00Z"}[name]
    graph.on_read = lambda run_id: answered({key: value for key, value in graph.runs[run_id].items() if key != name})
    save = await ended(saves, draft(RUN["id"], RUN, **{name: text}))
    assert (save.outcome, save.conflicts, save.entry) == (Outcome.NOT_DONE, (), None)
    assert graph.calls == ["GET r1"]
    told = message_of(save)
    assert told.startswith(f"The run was read only in part. The answer lacks {name}, so a change by somebody else")
    assert "Nothing was sent." in told
    assert "changed meanwhile" not in told


async def test_a_fresh_read_without_untouched_properties_does_not_stop_the_save(
    saves: SaveQueue, graph: FakeGraph
) -> None:
    graph.on_read = lambda run_id: answered(
        {name: graph.runs[run_id][name] for name in ("id", "processingStatus", "lastUpdatedDateTime")}
    )
    some = draft()
    save = await ended(saves, some)
    assert (save.outcome, graph.bodies) == (Outcome.DONE, [some.body_text()])


async def test_a_run_that_changed_meanwhile_is_not_written(saves: SaveQueue, graph: FakeGraph, store: Store) -> None:
    graph.runs["r1"]["processingStatus"] = "completed"
    save = await ended(saves, draft())
    assert save.outcome is Outcome.NOT_DONE
    (conflict,) = save.conflicts
    assert (conflict.opened, conflict.now, conflict.ours) == ("inProgress", "completed", "failed")
    assert graph.calls == ["GET r1"], "nothing was sent"
    assert stored(store)["processingStatus"] == "completed", "the row shows what was read"
    assert isinstance(save.operation, Draft)
    again = await ended(saves, save.operation.rebased(stored(store)))
    assert again.outcome is Outcome.DONE


async def test_the_old_values_that_are_told_are_those_read_just_before(saves: SaveQueue, graph: FakeGraph) -> None:
    graph.runs["r1"]["processingStatus"] = "failed"  # somebody else has made this change meanwhile
    save = await ended(saves, draft(processingStatus="failed", failedTasksCount="3"))
    assert "processingStatus: failed → failed, failedTasksCount: 2 → 3" in save_words(save)
    assert changed(save.changes())["processingStatus"] == {"before": "failed", "after": "failed"}


async def test_two_saves_of_one_run_take_turns_the_second_sees_the_first(saves: SaveQueue, graph: FakeGraph) -> None:
    news = listen(saves)
    graph.gate.clear()
    saves.submit(draft(processingStatus="failed"))
    second = saves.submit(draft(processingStatus="completed"))
    other = saves.submit(draft("r2", processingStatus="failed"))
    async with asyncio.timeout(PATIENCE):
        assert {await graph.arrived.get(), await graph.arrived.get()} == {"r1", "r2"}
    assert [(save.number, save.step) for save in saves.active()] == [
        (1, Step.SENDING),
        (second.number, Step.WAITING),
        (other.number, Step.SENDING),
    ], "another run does not wait"
    current = there(saves.of_run("r1"))
    assert current.number == 1
    graph.gate.set()
    assert await saves.drain(PATIENCE) == 0
    assert graph.most_at_once == {"r1": 1, "r2": 1}
    outcomes = {save.number: save.outcome for save in news if not save.active}
    assert outcomes == {1: Outcome.DONE, 2: Outcome.NOT_DONE, 3: Outcome.DONE}
    (last,) = [save for save in news if save.number == second.number and not save.active]
    assert [conflict.now for conflict in last.conflicts] == ["failed"], "it was made for a run that is no more"


async def test_two_spellings_of_one_id_are_one_run(saves: SaveQueue, graph: FakeGraph) -> None:
    graph.runs["R1"] = graph.runs["r1"]
    graph.gate.clear()
    first = saves.submit(draft(processingStatus="failed"))
    async with asyncio.timeout(PATIENCE):
        await graph.arrived.get()
    second = saves.submit(draft("R1", processingStatus="completed"))
    await asyncio.sleep(0)
    assert [(save.number, save.step) for save in saves.active()] == [
        (first.number, Step.SENDING), (second.number, Step.WAITING)
    ]  # fmt: skip
    assert saves.of_run("R1") is saves.of_run("r1") is not None
    graph.gate.set()
    assert await saves.drain(PATIENCE) == 0
    assert graph.most_at_once == {"r1": 1}


async def test_many_saves_of_one_run_go_out_one_by_one_in_their_order(saves: SaveQueue, graph: FakeGraph) -> None:
    run: dict[str, Any] = RUN
    next_ones: list[Save | None] = []
    saves.changed.subscribe(lambda save: None if save.active else next_ones.append(saves.of_run("r1")))
    for count in range(3, 13):
        saves.submit(draft(received=run, failedTasksCount=str(count)))
        run = {**run, "failedTasksCount": count}
    assert await saves.drain(PATIENCE) == 0
    assert graph.most_at_once == {"r1": 1}
    assert [json.loads(body)["failedTasksCount"] for body in graph.bodies] == list(range(3, 13))
    assert [save and save.number for save in next_ones] == [*range(2, 11), None], "it is busy until the last has ended"


async def test_waiting_for_saves_is_bounded(saves: SaveQueue, graph: FakeGraph) -> None:
    graph.gate.clear()
    saves.submit(draft())
    saves.submit(draft("r2"))
    await until(saves, Step.SENDING)
    assert await saves.drain(0.01) == 2
    graph.gate.set()
    assert await saves.drain(PATIENCE) == 0
    assert await saves.drain(0) == 0


async def test_leaving_while_something_is_sent_says_the_outcome_is_unknown(saves: SaveQueue, graph: FakeGraph) -> None:
    news = listen(saves)
    graph.gate.clear()
    saves.submit(draft())
    saves.submit(draft(processingStatus="completed"))
    await until(saves, Step.SENDING)
    await saves.abandon()
    assert {save.number: save.outcome for save in news if not save.active} == {
        1: Outcome.UNKNOWN,
        2: Outcome.NOT_DONE,
    }
    assert saves.active() == ()
    assert graph.bodies == graph.bodies[:1], "the one that waited was never sent"
    await saves.abandon()


@pytest.mark.parametrize(
    ("entity", "outcome"),
    [(None, Outcome.UNKNOWN), ({"id": "r1", "processingStatus": "failed"}, Outcome.DONE)],
)
async def test_leaving_during_the_reading_back_says_what_the_answer_proved(
    entity: dict[str, Any] | None,
    outcome: Outcome,
    saves: SaveQueue,
    graph: FakeGraph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph.on_write = lambda _run_id: answered(entity, method="PATCH")
    read, reading_back = graph.run, asyncio.Event()

    async def never_read_back(workflow_id: str, run_id: str) -> Answer:
        if graph.bodies:
            reading_back.set()
            await asyncio.Event().wait()
        return await read(workflow_id, run_id)

    monkeypatch.setattr(graph, "run", never_read_back)
    news = listen(saves)
    saves.submit(draft())
    async with asyncio.timeout(PATIENCE):
        await reading_back.wait()
    await saves.abandon()
    (last,) = [save for save in news if not save.active]
    assert (last.outcome, last.row_is_stale) == (outcome, True)


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.NOT_DONE])
async def test_leaving_while_the_answer_is_being_stored_says_what_the_answer_said(
    outcome: Outcome, saves: SaveQueue, graph: FakeGraph, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, storing, disk = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slow(_workflow_id: str, *_raws: object) -> None:
        loop.call_soon_threadsafe(storing.set)
        assert disk.wait(PATIENCE)

    monkeypatch.setattr(store, "put_run", slow)
    if outcome is Outcome.NOT_DONE:
        graph.on_write = lambda _run_id: answered(outcome=Outcome.NOT_DONE, method="PATCH")
    news = listen(saves)
    saves.submit(draft())
    try:
        async with asyncio.timeout(PATIENCE):
            await storing.wait()
        await saves.abandon()
    finally:
        disk.set()
    assert [(save.outcome, save.row_is_stale) for save in news if not save.active] == [(outcome, True)]


async def test_a_defect_on_the_way_leaves_no_save_hanging(saves: SaveQueue, graph: FakeGraph) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def broken(_run_id: str) -> Answer:
        raise LookupError("a defect")

    graph.on_write = broken
    save = await ended(saves, draft())
    assert save.outcome is Outcome.UNKNOWN, "it may have been sent"
    gc.collect()
    assert [type(context["exception"]) for context in reported] == [LookupError], "and the defect is not hidden"


async def test_a_store_that_fails_does_not_hide_the_outcome(
    saves: SaveQueue, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_workflow_id: str, *_raws: object) -> None:
        raise UsageError("The disk is full")

    monkeypatch.setattr(store, "put_run", full)
    save = await ended(saves, draft())
    assert (save.outcome, save.row_is_stale) == (Outcome.DONE, True)


async def test_a_read_only_session_sends_nothing(graph: FakeGraph, store: Store, journal: Journal) -> None:
    saves = SaveQueue(graph, store, journal, ORIGIN, refusal=lambda: "It was started read-only.", requires_why=True)
    for operation in (draft(), cancel(WORKFLOW, "r1")):
        with pytest.raises(UsageError, match="read-only"):
            saves.submit(operation)
        with pytest.raises(UsageError, match="read-only"):
            saves.submit_many([operation])
    assert await saves.drain(0) == 0
    assert graph.calls == []


async def test_where_a_reason_is_required_nothing_is_sent_without_one(
    graph: FakeGraph, store: Store, journal: Journal
) -> None:
    saves = SaveQueue(graph, store, journal, ORIGIN, requires_why=True)
    with pytest.raises(UsageError, match="requires a reason"):
        saves.submit(draft())
    with pytest.raises(UsageError, match="requires a reason"):
        saves.submit_many([draft(), draft("r2")])
    assert graph.calls == []
    saves.submit(draft(), why="The report of Monday.")
    assert await saves.drain(PATIENCE) == 0
    assert [entry.why for entry in journal.entries()] == ["The report of Monday."]


@pytest.mark.parametrize(
    "texts",
    [
        {"failedTasksCount": "x"},
        {"failedTasksCount": "x", "processingStatus": "failed"},
        {"processingStatus": "inProgress"},
    ],
)
async def test_a_draft_without_a_change_or_with_an_error_is_not_sent(
    texts: dict[str, Any], saves: SaveQueue, graph: FakeGraph
) -> None:
    with pytest.raises(UsageError, match="nothing to send"):
        saves.submit(draft(**texts))
    assert saves.active() == ()
    assert graph.calls == []
