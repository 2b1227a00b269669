"""Results in the store: kept, outdated and deleted with their run; and queries across runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.filters import parse_filter
from runtui.domain.rows import NO_NUMBER
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, parse_ticks
from runtui.services.store.store import EVERY_RUN, RunQuery, Store
from tests import there
from tests.unit.test_store import revision

NOW = parse_ticks("2026-11-20T12:00:00Z")
MINUTE = 60 * TICKS_PER_SECOND
Raw = dict[str, Any]

ADELE: Raw = {"id": "u1", "displayName": "Adele Vance", "userPrincipalName": "AdeleV@contoso.com"}
BEN: Raw = {"id": "u2", "displayName": "Ben Walters", "userPrincipalName": "BenW@contoso.com"}
TAP: Raw = {"id": "t1", "displayName": "Generate TAP", "taskDefinitionId": "d1"}
GROUPS: Raw = {"id": "t2", "displayName": "Add To Groups", "taskDefinitionId": "d2"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    opened.put_workflows([{"id": "w1", "displayName": "Onboard"}, {"id": "w2", "displayName": "Offboard"}])
    yield opened
    opened.close()


def run(number: int, status: str = "failed", **more: Any) -> Raw:
    updated = format_ticks(NOW - number * MINUTE)
    return {
        "id": f"r{number}",
        "processingStatus": status,
        "startedDateTime": updated,
        "lastUpdatedDateTime": updated,
    } | more


def put(store: Store, workflow_id: str, *runs: Raw) -> None:
    store.put_runs(workflow_id, runs, store.next_listing())


def task(reason: str | None, subject: Raw = ADELE, task: Raw = TAP, minute: int = 0) -> Raw:
    status = "completed" if reason is None else "failed"
    completed = format_ticks(NOW - minute * MINUTE)
    return {
        "id": f"{subject['id']}-{task['id']}",
        "processingStatus": status,
        "failureReason": reason,
        "completedDateTime": completed,
        "subject": subject,
        "task": task,
    }


def user(subject: Raw, status: str = "failed") -> Raw:
    return {"id": f"of-{subject['id']}", "processingStatus": status, "subject": subject}


def read(store: Store, run_id: str, *tasks: Raw, users: tuple[Raw, ...] = ()) -> None:
    store.put_results(run_id, store.as_of(run_id), tasks, users)


def found(store: Store, text: str) -> list[str]:
    query = RunQuery(parse_filter(text, NOW))
    assert store.count(query) == len(store.window(query, 0, 99))
    return [row.id for row in store.window(query, 0, 99)]


def test_results_come_back_as_received_and_in_order(store: Store) -> None:
    put(store, "w1", run(1))
    assert store.results_of("r1") is None
    tasks = (task("No manager."), task(None, BEN, GROUPS) | {"unknown": {"é\\ud800": [1.0, None]}})
    read(store, "r1", *tasks, users=(user(BEN), user(ADELE)))
    results = there(store.results_of("r1", with_users=True))
    assert [result.received for result in store.tasks_of("r1", "u2")] == [tasks[1]]
    assert [result.received for result in results.tasks] == [tasks[0]]
    assert [result.subject_name for result in results.users] == ["Ben Walters", "Adele Vance"]
    assert not results.is_outdated


def test_another_reading_replaces_the_first(store: Store) -> None:
    put(store, "w1", run(1))
    read(store, "r1", task("No manager."), task("No mail.", BEN), users=(user(ADELE),))
    read(store, "r1", task("No license."))
    results = there(store.results_of("r1", with_users=True))
    assert ([result.reason for result in results.tasks], results.users) == (["No license."], ())
    assert [cause.reason for cause in store.causes(EVERY_RUN)] == ["No license."]


def test_results_are_outdated_when_their_run_was_updated_and_go_with_it(store: Store, path: Path) -> None:
    put(store, "w1", run(1), run(2))
    for run_id in ("r1", "r2"):
        read(store, run_id, task("No manager."), users=(user(ADELE),))
    put(store, "w1", run(1, lastUpdatedDateTime=format_ticks(NOW)), run(2, failedUsersCount=7))
    outdated = {run_id: results.is_outdated for run_id in ("r1", "r2") if (results := store.results_of(run_id))}
    assert outdated == {"r1": True, "r2": False}
    put(store, "w2", run(3))
    read(store, "r3", task("No mail.", BEN))
    store.finish_listing("w1", store.next_listing())
    assert store.results_of("r1") is None
    assert names_kept(path) == ["Ben Walters"], "a name goes with the last result that tells of it"
    store.keep_workflows(["w1"])
    assert names_kept(path) == []
    assert left_of_results(path) == [0] * 4


def test_a_run_updated_while_its_results_were_read_is_outdated_at_once(store: Store) -> None:
    put(store, "w1", run(1))
    as_of = store.as_of("r1")
    put(store, "w1", run(1, lastUpdatedDateTime=format_ticks(NOW)))
    store.put_results("r1", as_of, [task("No manager.")], [])
    results = there(store.results_of("r1"))
    assert results.is_outdated


def reasons(store: Store, run_id: str) -> list[str]:
    results = store.results_of(run_id)
    return [] if results is None else [result.reason for result in results.tasks]


def test_a_large_run_keeps_what_it_has_until_the_last_part_is_there(store: Store) -> None:
    put(store, "w1", run(1))
    read(store, "r1", task("An old reason."))
    part = store.put_part("r1", (task("No manager."),), (user(ADELE),))
    part = store.put_part("r1", (task("No mail.", BEN),), (), part=part)
    assert reasons(store, "r1") == ["An old reason."]
    assert [cause.reason for cause in store.causes(EVERY_RUN)] == ["An old reason."]
    assert [(person.name, person.runs, person.failures) for person in store.people("", 9)] == [("Adele Vance", 1, 1)]
    assert (found(store, "user:ben"), found(store, "reason:mail")) == ([], [])
    store.put_results("r1", store.as_of("r1"), (task("No license."),), (user(BEN),), part=part)
    assert reasons(store, "r1") == ["No manager.", "No mail.", "No license."]
    results = there(store.results_of("r1", with_users=True))
    assert (len(results.users), results.is_outdated) == (2, False)
    assert found(store, "user:ben") == ["r1"]


def test_the_later_of_two_readings_of_a_large_run_counts(store: Store) -> None:
    put(store, "w1", run(1))
    as_of = store.as_of("r1")
    slow = store.put_part("r1", (task("Slow."),), ())
    quick = store.put_part("r1", (task("Quick."),), ())
    slow = store.put_part("r1", (task("Slow."),), (), part=slow)
    store.put_results("r1", as_of, (task("Slow."),), (), part=slow)
    assert reasons(store, "r1") == []
    store.put_results("r1", as_of, (), (), part=quick)
    assert reasons(store, "r1") == ["Quick."]
    lost = store.put_part("r1", (task("Lost."),), ())
    read(store, "r1", task("Whole."))
    store.put_results("r1", as_of, (), (), part=lost)
    assert reasons(store, "r1") == ["Whole."]


def test_a_reading_that_broke_off_goes_with_its_run(store: Store, path: Path) -> None:
    put(store, "w1", run(1))
    store.put_part("r1", (task("No manager."),), (user(ADELE),))
    store.finish_listing("w1", store.next_listing())
    assert left_of_results(path) == [0] * 4
    assert store.put_part("r1", (task("No manager."),), ()) == 0
    assert left_of_results(path) == [0] * 4


def names_kept(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        names = [name for (name,) in db.execute("SELECT name FROM subject ORDER BY name")]
    db.close()
    return names


def left_of_results(path: Path) -> list[int]:
    with sqlite3.connect(path) as db:
        tables = ("reading", "task_result", "task_body", "user_result")
        rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    db.close()
    return rows


def test_results_of_a_run_that_is_gone_are_dropped(store: Store) -> None:
    read(store, "nobody", task("No manager."))
    assert (store.results_of("nobody"), store.causes(EVERY_RUN), store.as_of("nobody")) == (None, [], NO_NUMBER)


def test_problems_without_current_results_are_to_be_read(store: Store) -> None:
    old = format_ticks(NOW - 400 * MINUTE)
    stuck = run(4, "inProgress", startedDateTime=old, lastUpdatedDateTime=old)
    put(store, "w1", run(1), run(2, "completed"), run(3, "inProgress", failedTasksCount=1), stuck, run(5, "inProgress"))
    put(store, "w2", run(6, "quarantined"))
    unread = store.unread_runs(EVERY_RUN, NOW, 9)
    assert ([run.run_id for run in unread.runs], unread.problems, unread.read) == (["r1", "r3", "r6", "r4"], 4, 0)
    read(store, "r1")
    unread = store.unread_runs(RunQuery(parse_filter("workflow:onboard", NOW)), NOW, 9)
    assert ([run.run_id for run in unread.runs], unread.problems, unread.read) == (["r3", "r4"], 3, 1)
    assert {run.workflow_id for run in unread.runs} == {"w1"}
    unread = store.unread_runs(EVERY_RUN, NOW, 2)
    assert ([run.run_id for run in unread.runs], unread.problems, unread.read) == (["r3", "r6"], 4, 1)


def test_failures_are_grouped_by_task_and_reason_over_workflows(store: Store) -> None:
    put(store, "w1", run(1), run(2))
    put(store, "w2", run(3))
    read(store, "r1", task("'Adele' has no manager.", minute=9), task("'Ben' has no manager.", BEN, minute=5))
    read(store, "r2", task("'Adele' has no manager.", minute=1), task(None, BEN), task("Synced.", BEN, GROUPS))
    read(store, "r3", task("'X' has no manager.", BEN, minute=20))
    first, second = store.causes(EVERY_RUN)
    assert (first.task, first.definition_id, first.runs, first.users) == ("Generate TAP", "d1", 3, 2)
    assert (first.first, first.last) == (NOW - 20 * MINUTE, NOW - MINUTE)
    assert first.workflows == ("Offboard", "Onboard")
    assert first.reason == "'Adele' has no manager.", "the latest"
    assert (second.task, second.reason, second.runs, second.users) == ("Add To Groups", "Synced.", 1, 1)
    assert found(store, f"cause:{first.key}") == ["r1", "r2", "r3"]
    assert found(store, f"cause:{second.key}") == ["r2"]
    (of_offboard,) = store.causes(RunQuery(parse_filter("workflow:offboard", NOW)))
    assert (of_offboard.key, of_offboard.runs, of_offboard.workflows) == (first.key, 1, ("Offboard",))
    narrowed = store.causes(RunQuery(parse_filter(f"cause:{second.key}", NOW)))
    assert [cause.runs for cause in narrowed] == [1, 1], "the other failure of that run is in it"


def test_filters_ask_about_users_tasks_and_reasons(store: Store) -> None:
    put(store, "w1", run(1), run(2), run(3))
    read(store, "r1", task("SKU 'SPE_E5' has no license left."), users=(user(ADELE), user(BEN, "queued")))
    read(store, "r2", task("No manager.", BEN), task(None, BEN, GROUPS))
    assert found(store, 'user:"adele vance"') == ["r1"]
    assert found(store, "user:benw@") == ["r1", "r2"]
    assert found(store, "user=u2") == ["r1", "r2"]
    assert found(store, "user=ben") == []
    assert found(store, 'user="Ben Walters"') == ["r1", "r2"]
    assert found(store, "reason:spe_e5") == ["r1"]
    assert found(store, "task:groups") == ["r2"]
    assert found(store, "task:tap reason:manager") == ["r2"]
    assert found(store, "!user:adele") == ["r2", "r3"]
    assert found(store, "user:ben,adele") == ["r1", "r2"]
    assert found(store, "user!=ben user:x") == []


def test_a_filter_by_results_follows_what_is_read(store: Store) -> None:
    put(store, "w1", run(1), run(2))
    assert found(store, "user:adele") == []
    read(store, "r2", task("No manager."))
    assert found(store, "user:adele") == ["r2"]


def test_a_reading_is_announced_and_changes_no_run(store: Store, path: Path) -> None:
    put(store, "w1", run(1))
    heard: list[str] = []
    store.results_read.subscribe(heard.append)
    store.changed.subscribe(lambda changed: pytest.fail(f"changed: {changed}"))
    before = revision(path)
    read(store, "r1", task("No manager."))
    read(store, "gone", task("No manager."))
    assert (heard, revision(path)) == (["r1"], before)


def test_people_are_found_by_name_upn_and_id(store: Store) -> None:
    put(store, "w1", run(1), run(2))
    device = {"subject": None, "workflowSubject": {"@odata.type": "#x.deviceWorkflowSubject", "id": "d9"}}
    read(store, "r1", task("No manager."), task(None, BEN), users=(user(ADELE), user(BEN)))
    read(store, "r2", task("No mail."), task("No mail.", BEN) | device)
    assert [(person.name, person.runs, person.failures) for person in store.people("", 9)] == [
        ("Adele Vance", 2, 2),
        ("Ben Walters", 1, 0),
        ("device d9", 1, 1),
    ]
    assert [person.id for person in store.people("CONTOSO", 1)] == ["u1"]
    assert [person.user_principal_name for person in store.people("u2", 9)] == ["BenW@contoso.com"]
    assert [person.name for person in store.people("b", 9)] == ["Ben Walters"]
    assert [person.name for person in store.people("d", 9)] == ["device d9", "Adele Vance"], "where one begins with it"
    assert store.people("nobody", 9) == []
    read(store, "r2")
    assert [person.name for person in store.people("", 9)] == ["Adele Vance", "Ben Walters"], "of no run any more"
    read(store, "r2", task("No mail.", {"id": "0nameless"}))
    assert [person.id for person in store.people("", 9)] == ["u1", "u2", "0nameless"], "names first"


def test_a_name_that_is_known_outlives_a_result_with_the_id_alone(store: Store) -> None:
    put(store, "w1", run(1), run(2))
    read(store, "r1", task("No manager."))
    read(store, "r2", task("No manager.", {"id": "u1"}))
    assert [person.name for person in store.people("", 9)] == ["Adele Vance"]
    read(store, "r2", task("No manager.", ADELE | {"displayName": "Adele Kirk"}))
    assert [person.name for person in store.people("", 9)] == ["Adele Kirk"]


def test_one_person_over_all_workflows_newest_first(store: Store) -> None:
    put(store, "w1", run(1))
    put(store, "w2", run(2))
    read(store, "r1", task("No manager.", minute=5), task("No manager.", BEN))
    read(store, "r2", task(None, task=GROUPS, minute=1))
    history = store.results_of_person("u1")
    assert [(item.run_id, item.workflow_name, item.result.task_name) for item in history] == [
        ("r2", "Offboard", "Add To Groups"),
        ("r1", "Onboard", "Generate TAP"),
    ]


def test_results_that_are_no_results_are_kept_too(store: Store) -> None:
    put(store, "w1", run(1))
    read(
        store,
        "r1",
        {"id": "x"},
        {"id": "y", "processingStatus": "failed", "subject": 5, "task": []},
        users=({"id": "z"},),
    )
    (cause,) = store.causes(EVERY_RUN)
    assert (cause.task, cause.reason, cause.runs, cause.users, cause.first) == ("?", "no reason given", 1, 0, None)
    assert store.people("", 9) == []
