"""The numbers of runs in the store by day of the local zone, in total and for each workflow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from runtui.domain.filters import parse_filter
from runtui.domain.rows import STATUS_LOOKS, status_look
from runtui.domain.times import day_starts, parse_ticks
from runtui.domain.triage.workflows import WorkflowDay, runs_filter
from runtui.services.store.store import RunQuery, Store
from tests import living_in

NOW = parse_ticks("2026-11-20T12:00:00Z")


@pytest.fixture(autouse=True)
def _in_berlin() -> Iterator[None]:
    with living_in("Europe/Berlin"):
        yield


def run(number: int, started: str | None, status: str = "failed", **more: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "processingStatus": status, "startedDateTime": started, **more}


def test_days_begin_at_local_midnight_also_where_clocks_change() -> None:
    assert day_starts(2, NOW) == tuple(
        map(parse_ticks, ("2026-11-18T23:00:00Z", "2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z"))
    )
    autumn = day_starts(1, parse_ticks("2026-10-25T12:00:00Z"))
    assert autumn == (parse_ticks("2026-10-24T22:00:00Z"), parse_ticks("2026-10-25T23:00:00Z"))


def test_failures_are_counted_on_the_day_on_which_a_run_began(store: Store) -> None:
    runs = [
        run(1, "2026-11-20T23:00:00Z"),  # tomorrow
        run(2, "2026-11-20T22:59:59.9999999Z", "canceled"),
        run(3, "2026-11-19T23:00:00Z", "quarantined"),
        run(4, "2026-11-19T22:59:59.9999999Z", "completedWithErrors"),
        run(5, "2026-11-18T22:59:59Z"),  # before the first day
        run(6, "2026-11-20T11:00:00Z", "completed"),
        run(7, None),
        run(8, None, scheduledDateTime="2026-11-19T01:00:00Z"),
    ]
    store.put_runs("w1", runs, store.next_listing())
    assert store.failures_by_day(2, NOW) == [2, 2]
    assert store.failures_by_day(1, NOW) == [2]


def test_a_history_has_each_day_of_a_workflow_its_last_run_and_who_waits_in_quarantine(store: Store) -> None:
    store.put_workflows([{"id": "w1", "displayName": "One"}, {"id": "w2", "displayName": "Another"}])
    listing = store.next_listing()
    runs = [
        run(1, "2026-11-20T10:00:00Z", failedUsersCount=3),
        run(2, "2026-11-20T09:00:00Z", "completed"),
        run(3, "2026-11-19T10:00:00Z", "inProgress", failedUsersCount=None),
        run(4, "2026-11-01T10:00:00Z"),
        run(5, None, "queued", scheduledDateTime="2026-11-20T18:00:00Z"),
    ]
    held = [
        run(6, None, "quarantined", scheduledDateTime="2026-11-19T10:00:00Z", totalUsersCount=412),
        run(7, None, "quarantined", scheduledDateTime="2026-11-18T10:00:00Z", totalUsersCount=7),
    ]
    store.put_runs("w1", runs, listing)
    store.put_runs("w2", held, listing)
    another, one = store.histories(2, NOW)
    assert one.days == (WorkflowDay(1), WorkflowDay(3, 1, 1, 3))
    assert (one.workflow.name, one.last_run, one.held_users) == ("One", parse_ticks("2026-11-20T10:00:00Z"), None)
    assert another.days == (WorkflowDay(1, 1), WorkflowDay())
    assert (another.last_run, another.held_users) == (parse_ticks("2026-11-19T10:00:00Z"), 412)


def test_a_history_counts_each_status_as_the_list_does_also_after_changes(store: Store) -> None:
    statuses = [*STATUS_LOOKS, "unheardOf"]
    for shift in (0, 1, 2):  # each run gets the status of the next, and the last one is deleted
        listing = store.next_listing()
        shown = [statuses[(number + shift) % len(statuses)] for number in range(len(statuses) - shift)]
        runs = [run(number, "2026-11-20T10:00:00Z", status) for number, status in enumerate(shown)]
        store.put_runs("w1", runs, listing)
        store.finish_listing("w1", listing)
        [history] = store.histories(1, NOW)
        problems = sum(status_look(status).is_problem for status in shown)
        assert history.days == (WorkflowDay(len(shown), problems, shown.count("completed"), 0),)


def test_every_day_of_a_history_is_found_by_its_filter(store: Store) -> None:
    store.put_workflows([{"id": "W-1", "displayName": 'say "hi"'}, {"id": "w2", "displayName": "Other"}])
    listing = store.next_listing()
    for key in ("W-1", "w2"):
        began = ("18T22:30", "18T23:30", "19T22:30", "20T10:30")
        runs = [run(number, f"2026-11-{moment}:00Z") for number, moment in enumerate(began)]
        runs.append(run(9, None, "quarantined", scheduledDateTime="2026-11-19T10:00:00Z"))
        store.put_runs(key, [{**item, "id": f"{key}{item['id']}"} for item in runs], listing)
    found = store.histories(3, NOW)
    workflows = [history.workflow for history in found]
    for history in found:
        counts = [
            store.count(RunQuery(parse_filter(runs_filter(history.workflow, workflows, date(2026, 11, day)), NOW)))
            for day in (18, 19, 20)
        ]
        assert counts == [day.runs for day in history.days] == [1, 3, 1]


def test_the_tasks_of_a_workflow_are_those_of_its_last_run_that_was_read(store: Store) -> None:
    store.put_workflows([{"id": "w1", "displayName": "One"}, {"id": "w2", "displayName": "Two"}])
    runs = [run(number, f"2026-11-{20 - number}T10:00:00Z") for number in range(3)]
    store.put_runs("w1", runs, store.next_listing())

    def result(name: str, place: object, user: str) -> dict[str, Any]:
        task = {"id": name, "displayName": name, "executionSequence": place}
        return {"id": f"{name}{user}", "processingStatus": "failed", "subject": {"id": user}, "task": task}

    read = [result("Second", 2, "u1"), result("First", 1, "u1"), result("Second", 2, "u2"), {"id": "x", "task": 3}]
    store.put_results("r1", NOW, read, [])
    store.put_results("r2", NOW, [result("Older", 1, "u1")], [])
    one, two = store.histories(2, NOW)
    assert (one.tasks_begun, two.tasks_begun) == (("First", "Second"), ())
