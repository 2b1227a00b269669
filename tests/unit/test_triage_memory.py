"""The triage memory: when a run comes back, what a person records, and that the journal's file is the source of
truth."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.filter_tree import TRIAGE_FLAGS
from runtui.domain.filters import parse_filter
from runtui.domain.rows import STUCK_AFTER, RunRow
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, now_ticks, parse_ticks
from runtui.domain.triage.memory import NO_TIME, RunTriage, TriageState, snooze_end
from runtui.domain.triage.standing import NOTE, comeback, standing, triage_facts
from runtui.services.records.journal import Journal
from runtui.services.store.query import following
from runtui.services.store.store import EVERY_RUN, RunQuery, Store
from runtui.services.triage.memory import TriageMemory
from runtui.services.triage.shift import read_shift, shift_lines
from tests import there

ROOT = "https://graph.microsoft.com/beta"
NOW = now_ticks()
HOUR = 3600 * TICKS_PER_SECOND


@pytest.fixture
def memory(journal: Journal, store: Store) -> TriageMemory:
    return TriageMemory(journal, store, ROOT)


def a_run(number: int = 1, **properties: Any) -> dict[str, Any]:
    facts = {
        "id": f"r{number}",
        "processingStatus": "failed",
        "startedDateTime": format_ticks(NOW - number * HOUR),
        "lastUpdatedDateTime": format_ticks(NOW - HOUR),
        "failedUsersCount": 2,
        "failedTasksCount": 3,
    }
    return {name: value for name, value in (facts | properties).items() if value is not None}


def put(store: Store, *runs: dict[str, Any]) -> None:
    store.put_runs("w1", runs, store.next_listing())


def row(store: Store, run_id: str = "r1") -> RunRow:
    (found,) = [row for row in store.window(EVERY_RUN, 0, 1_000) if row.id == run_id]
    return found


def found(store: Store, text: str, now: int = NOW) -> list[str]:
    query = RunQuery(parse_filter(text, now))
    return sorted(row.id for row in store.window(query, 0, store.count(query)))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {}, ""),
        ({"processingStatus": "canceled"}, {"processingStatus": "failed"}, "it was canceled"),
        ({"processingStatus": "inProgress"}, {"processingStatus": "completedWithErrors"}, "it was inProgress"),
        ({}, {"failedUsersCount": 3}, "more users failed"),
        ({}, {"failedTasksCount": 4}, "more tasks failed"),
        ({"failedUsersCount": None}, {"failedUsersCount": 0}, "more users failed"),
        ({}, {"lastUpdatedDateTime": format_ticks(NOW)}, "it changed and is still a problem"),
        ({}, {"processingStatus": "quarantined"}, "it changed and is still a problem"),
        ({}, {"failedUsersCount": 1}, "it changed and is still a problem"),
        ({}, {"processingStatus": "completed", "lastUpdatedDateTime": format_ticks(NOW)}, ""),
        ({"processingStatus": "inProgress"}, {"processingStatus": "completed"}, ""),
    ],
)
def test_a_handled_run_comes_back_when_it_gets_worse(
    memory: TriageMemory, store: Store, before: dict[str, Any], after: dict[str, Any], why: str
) -> None:
    put(store, a_run(**before))
    memory.set_state(["r1"], "handled", "lee")
    assert standing(row(store), NOW) == "handled"
    put(store, a_run(**before | after))
    known = there(row(store).triage)
    assert comeback(known, row(store), NOW) == why
    assert standing(row(store), NOW) == ("back" if why else "handled")
    assert found(store, "triage:unhandled") == (["r1"] if why else [])


def test_a_run_that_got_stuck_after_it_was_handled_comes_back(memory: TriageMemory, store: Store) -> None:
    put(store, a_run(processingStatus="inProgress", lastUpdatedDateTime=format_ticks(NOW - STUCK_AFTER + HOUR)))
    memory.set_state(["r1"], "handled", "")
    later = NOW + 3 * HOUR
    assert (standing(row(store), NOW), standing(row(store), later)) == ("handled", "back")
    assert (found(store, "triage:back"), found(store, "triage:back", later)) == ([], ["r1"])


def test_a_snooze_ends_at_its_time_or_once_the_run_changes(memory: TriageMemory, store: Store) -> None:
    put(store, a_run(1), a_run(2, processingStatus="completed"))
    memory.set_state(["r1"], "snoozed", "", until=NOW + HOUR)
    memory.set_state(["r2"], "snoozed", "")
    assert found(store, "triage:snoozed") == ["r1", "r2"]
    assert found(store, "triage:snoozed", NOW + HOUR) == ["r2"]
    assert found(store, "triage:back", NOW + HOUR) == ["r1"]
    put(store, a_run(1), a_run(2, processingStatus="completed", lastUpdatedDateTime=format_ticks(NOW)))
    assert found(store, "triage:back") == ["r2"]


def test_the_filter_finds_what_the_rule_says(memory: TriageMemory, store: Store) -> None:
    """For every kind of run and mark, after every kind of change, at every time."""
    chance = random.Random(11)
    statuses = ("failed", "quarantined", "completedWithErrors", "canceled", "pausedByPolicy", "inProgress", "completed")

    def some(number: int) -> dict[str, Any]:
        return a_run(
            number,
            processingStatus=chance.choice((*statuses, None)),
            lastUpdatedDateTime=chance.choice((format_ticks(NOW - HOUR), format_ticks(NOW - 5 * HOUR), None)),
            failedUsersCount=chance.choice((0, 2, None)),
            failedTasksCount=chance.choice((0, 3, None)),
        )

    numbers = range(300)
    put(store, *map(some, numbers))
    states: tuple[TriageState, ...] = ("handled", "snoozed", "")
    for number in numbers[:250]:
        until = chance.choice((NO_TIME, NOW + HOUR, NOW + 9 * HOUR))
        memory.set_state([f"r{number}"], chance.choice(states), "", until=until)
        if number % 5 == 0:
            memory.see(f"r{number}")
    put(store, *(some(number) if number % 3 else store_raw(store, number) for number in numbers))
    for now in (NOW, NOW + 2 * HOUR, NOW + 10 * HOUR):
        by_rule: dict[str, list[str]] = {flag: [] for flag in TRIAGE_FLAGS}
        for run in store.window(EVERY_RUN, 0, 1_000):
            stands = standing(run, now)
            is_held = stands in ("handled", "snoozed")
            by_rule["handled"] += [run.id] * (stands == "handled")
            by_rule["snoozed"] += [run.id] * (stands == "snoozed")
            by_rule["back"] += [run.id] * (stands == "back")
            by_rule["unhandled"] += [run.id] * (not is_held)
            is_seen = run.triage is not None and run.triage.seen != NO_TIME
            by_rule["seen" if is_seen else "new"].append(run.id)
        assert {flag: found(store, f"triage:{flag}", now) for flag in by_rule} == {
            flag: sorted(run_ids) for flag, run_ids in by_rule.items()
        }
        assert min(map(len, by_rule.values())) > 0


def store_raw(store: Store, number: int) -> dict[str, Any]:
    stored = there(store.get(f"r{number}"))
    return stored.raw


def test_the_next_of_a_query_comes_after_a_run_that_it_does_not_find_itself(store: Store) -> None:
    put(store, *(a_run(number, processingStatus="failed" if number % 3 else "completed") for number in range(30)))
    for sort, descending in (("status", True), ("started", False), ("workflow", False), ("users", True), ("id", False)):
        order = [row.id for row in store.window(RunQuery(None, sort, descending), 0, 100)]
        query = RunQuery(parse_filter("status:failed", NOW), sort, descending)
        wanted = [row.id for row in store.window(query, 0, 100)]
        with store.reading() as db:
            for place, run_id in enumerate(order):
                after = [run for run in (*order[place + 1 :], *order[: place + 1]) if run in wanted]
                next_one = there(following(db, query, run_id))
                assert next_one.id == after[0]


def test_notes_are_found_and_stay_when_the_run_is_handled(memory: TriageMemory, store: Store) -> None:
    put(store, a_run(1), a_run(2))
    memory.note(["r1"], "Ärger mit\nder Lizenz", "lee")
    memory.see("r1")
    memory.set_state(["r1"], "handled", "kim")
    memory.set_state(["r1"], "", "kim")
    known = there(row(store).triage)
    assert (known.note, known.state, known.who) == ("Ärger mit der Lizenz", "", "kim")
    assert NO_TIME < known.seen <= known.changed
    assert found(store, "note:ÄRGER") == ["r1"]
    assert found(store, "note!=lizenz") == ["r1", "r2"]


def test_a_note_does_not_change_who_handled_the_run_and_when(
    memory: TriageMemory, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, a_run())
    monkeypatch.setattr("runtui.services.triage.memory.now_ticks", lambda: NOW - HOUR)
    memory.set_state(["r1"], "handled", "anna")
    monkeypatch.undo()
    memory.note(["r1"], "HR knows", "ben")
    memory.take(read_shift(shift_lines(memory.all(), ROOT), ROOT))
    words = dict(triage_facts(row(store), NOW, format_ticks))
    assert words == {"triage": f"handled {format_ticks(NOW - HOUR)} by anna", NOTE: "HR knows"}


def test_a_mark_without_its_time_is_as_old_as_the_last_change() -> None:
    (line,) = shift_lines([RunTriage("r1", state="handled", who="anna", changed=NOW)], ROOT)
    assert read_shift([line], ROOT)[0][-2:] == (NOW, "anna")


def test_no_secret_is_kept_in_a_note(memory: TriageMemory, store: Store, tmp_path: Path) -> None:
    token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJhdWQiOiJncmFwaCJ9.c2lnbmF0dXJl"
    put(store, a_run(1))
    memory.note(["r1"], f"use {token}", "")
    known = there(row(store).triage)
    assert token not in known.note
    assert "use" in known.note


def test_the_journal_has_the_truth_and_the_store_may_be_deleted(
    memory: TriageMemory, store: Store, journal: Journal, tmp_path: Path
) -> None:
    put(store, a_run(1), a_run(2))
    memory.set_state(["r1"], "handled", "lee")
    assert (tmp_path / "journal.db").stat().st_mode & 0o777 == 0o600
    fresh = Store(tmp_path / "other.db")
    put(fresh, a_run(1), a_run(2))
    again = TriageMemory(journal, fresh, "https://graph.microsoft.com/v1.0")
    assert found(fresh, "triage:handled") == []
    assert (again.follow(), again.follow()) == (True, False), "what is the same is not written again"
    assert found(fresh, "triage:handled") == ["r1"]
    again.set_state(["r1"], "", "kim")
    memory.follow()
    assert found(store, "triage:handled") == []
    fresh.close()


def test_two_runtui_at_once_take_nothing_back_from_each_other(
    memory: TriageMemory, store: Store, tmp_path: Path
) -> None:
    put(store, a_run(1))
    other_journal, other_store = Journal(tmp_path / "journal.db"), Store(tmp_path / "other.db")
    put(other_store, a_run(1))
    other = TriageMemory(other_journal, other_store, ROOT)
    memory.set_state(["r1"], "handled", "lee")
    other.see("r1")
    other.note(["r1"], "mine", "kim")
    for side, its_store in ((memory, store), (other, other_store)):
        side.follow()
        known = there(row(its_store).triage)
        assert (known.state, known.note, known.seen > NO_TIME) == ("handled", "mine", True)
    other_journal.close()
    other_store.close()


@pytest.mark.parametrize("damage", ["state = 'odd'", "note = CAST(x'ff' AS TEXT)", "who = x'00'", "changed = 'soon'"])
def test_a_row_that_is_none_of_ours_is_left_out(
    damage: str, memory: TriageMemory, store: Store, journal: Journal
) -> None:
    put(store, a_run(1), a_run(2))
    memory.set_state(["r1", "r2"], "handled", "lee")
    damaged = f"UPDATE triage SET {damage}, stamp = 99 WHERE run_id = :run_id"
    journal.execute(damaged, [{"run_id": "r1"}])
    assert (memory.follow(), memory.follow()) == (True, False), "what is left out is not written again at each look"
    assert found(store, "triage:handled") == ["r2"]
    memory.set_state(["r1", "r2"], "handled", "lee")
    memory.note(["r1"], "as it should be", "lee")
    memory.follow()
    assert found(store, "triage:handled") == ["r1", "r2"]


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("2h", parse_ticks("2026-11-26T10:00:00Z")),
        (" 1D12h ", parse_ticks("2026-11-27T20:00:00Z")),
        ("+90m", parse_ticks("2026-11-26T09:30:00Z")),
        ("2026-11-27T09:00Z", parse_ticks("2026-11-27T09:00:00Z")),
        ("change", NO_TIME),
    ],
)
def test_when_a_snooze_ends(typed: str, end: int) -> None:
    assert snooze_end(typed, parse_ticks("2026-11-26T08:00:00Z")) == end


@pytest.mark.parametrize("typed", ["", "soon", "-2h", "now", "2026-11-25"])
def test_a_snooze_that_ends_never_or_in_the_past_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="snooze"):
        snooze_end(typed, parse_ticks("2026-11-26T08:00:00Z"))
