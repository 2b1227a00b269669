"""Undoing a change: only one that was done and still stands, and with exactly the earlier values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtui import redact
from runtui.domain.draft import Draft
from runtui.domain.report import KnownBy, Outcome
from runtui.domain.times import parse_ticks
from runtui.services.records.journal import Entry, Journal, Settlement
from runtui.services.writing.undo import UndoError, doubt_of, draft_to_undo, why_not
from tests import there
from tests.unit.entries import an_entry
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered
from tests.unit.intents import intent, record_intent

NOW = parse_ticks("2026-11-20T09:15:03Z")
SECRET = "a-secret-that-nobody-may-read"


def recorded(journal: Journal, outcome: Outcome | None = Outcome.DONE, **facts: Any) -> Entry:
    """Record an entry with that outcome."""
    some = intent(**facts)
    number = record_intent(journal, some)
    if outcome is not None:
        journal.settle(Settlement(some.client_request_id, outcome, "answer"))
    return there(journal.entry(number))


async def test_the_undo_is_the_inverse_change_over_the_run_as_it_is_now(journal: Journal) -> None:
    graph = FakeGraph()
    typed = {"processingStatus": "failed", "completedDateTime": "-2h", "startedDateTime": "", "failedTasksCount": "7"}
    draft = Draft("r1", WORKFLOW, RUN)
    for name, text in typed.items():
        draft = draft.typed(name, text, NOW)
    before = {change.field.name: change.before for change in draft.changes()}
    after = {change.field.name: change.after for change in draft.changes()}
    entry = recorded(journal, before=before, after=after)
    graph.apply("r1", draft.body_text())
    graph.held["r1"] |= {"totalTasksCount": 40, "lastUpdatedDateTime": "2026-11-20T10:00:00Z"}

    undo = await draft_to_undo(entry, graph)

    assert {change.field.name: change.after for change in undo.changes()} == before
    assert '"startedDateTime": "2026-11-20T06:00:04.5688752Z"' in undo.body_text(), "digit by digit"
    assert undo.body()["completedDateTime"] is None
    assert undo.mode == "changed", "what a colleague changed besides is not sent"
    assert undo.errors() == {}
    graph.apply("r1", json.dumps(undo.body()))
    assert graph.held["r1"] == {**RUN, "totalTasksCount": 40, "lastUpdatedDateTime": "2026-11-20T10:00:00Z"}
    assert graph.calls == ["GET r1"], "nothing is sent by asking for it"


async def test_what_was_ignored_blocks_no_undo_but_what_a_colleague_set_does(journal: Journal) -> None:
    before, after = {"failedTasksCount": 2, "totalUsersCount": 12}, {"failedTasksCount": 3, "totalUsersCount": 13}
    entry, graph = recorded(journal, before=before, after=after), FakeGraph()
    graph.held["r1"] |= {"totalUsersCount": 13}
    undo = await draft_to_undo(entry, graph)
    assert [(change.field.name, change.after) for change in undo.changes()] == [("totalUsersCount", 12)]
    graph.held["r1"] |= {"failedTasksCount": 9}
    with pytest.raises(UndoError, match="failedTasksCount is 9 and not 3"):
        await draft_to_undo(entry, graph)
    graph.held["r1"] |= {"failedTasksCount": 2}
    graph.held["r1"] |= {"totalUsersCount": 12}
    with pytest.raises(UndoError, match="no longer holds what this change wrote"):
        await draft_to_undo(entry, graph)


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome.NOT_DONE, r"It was not done; there is nothing to undo\.$"),
        (Outcome.UNKNOWN, r"is unknown\. Check it in the journal first\."),
        (None, r"is unknown\."),
    ],
)
async def test_only_a_change_known_to_be_done_can_be_undone(
    outcome: Outcome | None, why: str, journal: Journal
) -> None:
    entry, graph = recorded(journal, outcome), FakeGraph()
    with pytest.raises(UndoError, match=why):
        await draft_to_undo(entry, graph)
    assert graph.calls == []


@pytest.mark.parametrize(("of_undo", "is_free"), [(Outcome.DONE, False), (Outcome.NOT_DONE, True)])
def test_an_undone_change_is_not_undone_again(of_undo: Outcome, is_free: bool, journal: Journal) -> None:
    number = recorded(journal).number
    undo = recorded(journal, of_undo, undoes=number)
    entry = there(journal.entry(number))
    assert why_not(entry) == (None if is_free else f"It is already undone, by #{undo.number}.")


@pytest.mark.parametrize("undos", [0, 1, 2, 3, 4])
def test_an_undo_counts_unless_it_is_undone_itself(undos: int, journal: Journal) -> None:
    numbers = [recorded(journal).number]
    for _ in range(undos):
        numbers.append(recorded(journal, undoes=numbers[-1]).number)
    undone_by = [there(journal.entry(number)).undone_by for number in numbers]
    is_undone = [(undos - at) % 2 == 1 for at in range(undos + 1)]
    assert undone_by == [number + 1 if undone else None for number, undone in zip(numbers, is_undone, strict=True)]


async def test_a_run_with_other_values_now_is_left_alone_and_reported(journal: Journal) -> None:
    entry, graph = recorded(journal), FakeGraph()
    graph.held["r1"]["processingStatus"] = "completed"
    with pytest.raises(UndoError) as refused:
        await draft_to_undo(entry, graph)
    assert 'processingStatus is "completed" and not "failed"' in refused.value.message
    assert f"#{entry.number}" in refused.value.title


async def test_a_time_with_other_digits_is_still_the_written_one(journal: Journal) -> None:
    graph = FakeGraph()
    entry = recorded(
        journal,
        before={"startedDateTime": RUN["startedDateTime"]},
        after={"startedDateTime": "2026-11-20T10:15:03.9200000+01:00"},
    )
    graph.held["r1"]["startedDateTime"] = "2026-11-20T09:15:03.92Z"
    undo = await draft_to_undo(entry, graph)
    assert undo.body()["startedDateTime"] == RUN["startedDateTime"]


async def test_an_unreadable_run_is_reported(journal: Journal) -> None:
    entry, graph = recorded(journal), FakeGraph()
    graph.on_read = lambda _run_id: answered(outcome=Outcome.NOT_DONE)
    with pytest.raises(UndoError, match=r"cannot be read\. It went wrong\."):
        await draft_to_undo(entry, graph)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"processingStatus": "failed"}, "was not received"),
        ({"newerProperty": 1}, {"newerProperty": 2}, "does not know the property newerProperty"),
        ({"failedTasksCount": True}, {"failedTasksCount": 2}, "not in the journal as it was received"),
        ({"failedTasksCount": [1]}, {"failedTasksCount": 2}, "not in the journal as it was received"),
        ({"processingStatus": f"x{SECRET}"}, {"processingStatus": "failed"}, "not in the journal as it was received"),
    ],
)
def test_a_value_that_cannot_be_restored_is_reported_at_once(
    before: dict[str, Any], after: dict[str, Any], why: str, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redact, "_secrets", {})
    redact.register_secret(SECRET)
    assert why in (why_not(recorded(journal, before=before, after=after)) or "")


async def test_a_property_that_was_not_there_and_may_be_empty_is_emptied(journal: Journal) -> None:
    graph = FakeGraph()
    entry = recorded(journal, before={}, after={"completedDateTime": "2026-11-20T09:15:03Z"})
    graph.held["r1"]["completedDateTime"] = "2026-11-20T09:15:03Z"
    undo = await draft_to_undo(entry, graph)
    assert undo.body()["completedDateTime"] is None


@pytest.mark.parametrize(("known_by", "is_sure"), [("answer", True), ("person", True), ("read-back", False)])
def test_only_a_change_that_was_seen_on_read_back_may_be_somebody_elses(known_by: KnownBy, is_sure: bool) -> None:
    doubt = doubt_of(an_entry(7, known_by=known_by))
    assert doubt == ("" if is_sure else f"#7 was only seen on read-back: {SOMEBODY_ELSE}")


SOMEBODY_ELSE = "somebody else may have made the same change."


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN])
def test_nothing_is_undone_twice_while_the_first_undo_may_still_land(outcome: Outcome | None, journal: Journal) -> None:
    number = recorded(journal).number
    undo = recorded(journal, outcome, undoes=number)
    entry = there(journal.entry(number))
    assert f"#{undo.number} was sent to undo it, and its own outcome is unknown." == str(why_not(entry))
    journal.settle(Settlement(undo.client_request_id, Outcome.NOT_DONE, "person"))
    entry = there(journal.entry(number))
    assert why_not(entry) is None
