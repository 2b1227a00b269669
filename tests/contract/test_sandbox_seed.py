"""The seeded tenant: the same for the same seed, plausible, consistent in its sums, and moving on with time."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import cycle, pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtui.domain.times import TICKS_PER_SECOND, parse_ticks
from runtui.sandbox.app import create_app
from runtui.sandbox.tenant.activations import Choice, reprocessing
from runtui.sandbox.tenant.people import People
from runtui.sandbox.tenant.runs import Callback, RunAt, RunPlan
from runtui.sandbox.tenant.seed import HOSTILE_TEXTS, plan_runs, workflows
from runtui.sandbox.tenant.workflows import WORKFLOWS as SEEDED
from tests.contract.conftest import WORKFLOWS, Clock, Sandbox

NOW = Clock().ticks
DAY = 24 * 3600 * TICKS_PER_SECOND
COUNTERS = ("failedTasksCount", "failedUsersCount", "successfulUsersCount", "totalUnprocessedTasksCount")


def test_a_sandbox_that_nobody_closes_may_be_forgotten_in_any_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", failed.append)
    databases = [create_app(runs=1).state.database]
    gc.collect()
    thread = threading.Thread(target=databases.clear)
    thread.start()
    thread.join()
    assert failed == []


def test_the_same_seed_tells_the_same_story_and_another_one_another() -> None:
    first, again, other = (plan_runs(240, seed, NOW, workflows(seed)) for seed in (7, 7, 8))
    assert first == again
    assert [plan.id for plan in first] != [plan.id for plan in other]


@pytest.mark.parametrize("runs", [0, 1, 12, 240, 241, 1000])
def test_there_are_as_many_runs_as_asked_for_each_with_its_own_id(runs: int) -> None:
    plans = plan_runs(runs, 7, NOW, workflows(7))
    assert len({plan.id for plan in plans}) == len(plans) == runs


async def test_two_weeks_mostly_went_well_and_the_exceptions_are_all_there(sandbox: Sandbox) -> None:
    runs = await sandbox.runs()
    assert len(runs) == 240
    statuses = Counter(run["processingStatus"] for run in runs)
    assert statuses["failed"] + statuses["completedWithErrors"] == 29
    assert statuses["completed"] > 190
    assert {"queued", "canceled", "quarantined"} <= set(statuses)
    hours_ago = parse_ticks("2026-11-20T07:00:00Z")
    stuck = [
        run
        for run in runs
        if run["processingStatus"] == "inProgress" and parse_ticks(run["lastUpdatedDateTime"]) < hours_ago
    ]
    assert len(stuck) == 3
    types = {run["workflowExecutionType"] for run in runs}
    assert types == {"scheduled", "onDemand", "activatedWithScope", "preview"}
    reprocessed = [run for run in runs if run["activatedOnScope"]]
    assert len(reprocessed) == 3
    assert all(run["activatedOnScope"]["@odata.type"].endswith(".activateRunScope") for run in reprocessed)
    assert all(NOW - 15 * DAY < parse_ticks(run["scheduledDateTime"]) < NOW + DAY for run in runs)


async def test_names_are_those_of_a_company_with_an_office_in_tokyo(sandbox: Sandbox) -> None:
    listed = (await sandbox.get(WORKFLOWS))["value"]
    assert {item["category"] for item in listed} == {"joiner", "mover", "leaver"}
    assert any("東京" in item["displayName"] for item in listed)
    assert all(item["displayName"].isprintable() for item in listed)


async def test_causes_come_back_over_runs_and_workflows_worded_for_each_person(sandbox: Sandbox) -> None:
    seeded = workflows(7)
    failing = [plan for plan in plan_runs(240, 7, NOW, seeded) if plan.failing]
    runs: dict[str, int] = Counter()
    places: dict[str, set[str]] = defaultdict(set)
    reasons: dict[str, set[str]] = defaultdict(set)
    for plan in failing:
        failed = [task for task in RunAt(plan, NOW).task_results(People(7)) if task["processingStatus"] == "failed"]
        for cause in set(plan.causes):
            runs[cause.sentence] += 1
            places[cause.sentence].add(plan.workflow.key)
        for task, cause in zip(failed, cycle(plan.causes), strict=False):
            reasons[cause.sentence].add(task["failureReason"])
    assert len(runs) >= 8
    assert sum(len(found) > 1 for found in places.values()) >= 8
    assert all(len(found) > 1 for sentence, found in reasons.items() if runs[sentence] > 1)


async def test_failures_are_spread_over_two_weeks_with_one_bad_day(sandbox: Sandbox) -> None:
    runs = await sandbox.runs(filter="processingStatus eq 'failed' or processingStatus eq 'completedWithErrors'")
    days = Counter(run["scheduledDateTime"][:10] for run in runs)
    assert len(days) > 9
    worst, second = days.most_common(2)
    assert worst[1] > 1.5 * second[1]


async def test_people_come_back_and_have_names(sandbox: Sandbox) -> None:
    ways: dict[str, set[str]] = defaultdict(set)
    for plan in plan_runs(240, 7, NOW, workflows(7)):
        for person in plan.subjects(People(7)):
            ways[person.id].add(plan.workflow.key)
    assert sum(len(found) > 1 for found in ways.values()) > len(ways) / 10
    everybody = [People(7).person(number) for number in range(14_000)]
    assert len({person.user_principal_name for person in everybody}) == len(everybody)
    assert all(" " in person.display_name and "@" in person.user_principal_name for person in everybody)


def test_a_tenant_with_many_runs_has_one_for_ten_thousand_users() -> None:
    plans = plan_runs(10_000, 7, NOW, workflows(7))
    (plan,) = (plan for plan in plans if plan.users >= 10_000)
    users = list(RunAt(plan, NOW).user_results(People(7)))
    assert len({user["id"] for user in users}) == len(users) == 10_000
    assert (
        sum(user["processingStatus"] == "failed" for user in users) == RunAt(plan, NOW).state()["failedUsersCount"] - 20
    )
    assert len(plans) == 10_000


async def test_a_workflow_says_why_it_does_not_run(sandbox: Sandbox) -> None:
    listed = {item["displayName"]: item for item in (await sandbox.get(WORKFLOWS))["value"]}
    held = {name for name, item in listed.items() if item["quarantineDetails"]["quarantineType"] != "notQuarantined"}
    assert held == {"Offboard last day", "Inactive guests, 90 days"}
    assert not listed["Onboard intern (draft)"]["isEnabled"]
    assert not listed["Mover: change of office"]["isSchedulingEnabled"]
    overdue = [name for name, item in listed.items() if (item["nextScheduleRunDateTime"] or "9") < "2026-11-20T10"]
    assert overdue == ["Mover: new manager"]
    for name in (*held, *overdue):
        path = f"{WORKFLOWS}/{listed[name]['id']}/runs"
        since = listed[name]["quarantineDetails"]["quarantinedDateTime"] or listed[name]["nextScheduleRunDateTime"]
        later = (await sandbox.get(path, filter=f"scheduledDateTime ge {since}"))["value"]
        scheduled = [run for run in later if run["workflowExecutionType"] == "scheduled"]
        assert all(run["processingStatus"] == "quarantined" for run in scheduled)
    assert (await sandbox.get(f"{WORKFLOWS}/{listed['Onboard intern (draft)']['id']}/runs"))["value"] == []
    sandbox.clock.advance(5 * 3600)
    much_later = (await sandbox.get(WORKFLOWS))["value"]
    missed = [item for item in much_later if (item["nextScheduleRunDateTime"] or "9") < "2026-11-20T15"]
    assert missed == [listed[name] for name in overdue], "the schedule goes on, as long as the sandbox runs"


PEOPLE = People(5)
SEEDED_PLANS = plan_runs(480, 5, NOW, workflows(5))
WAITING = [plan for plan in SEEDED_PLANS if plan.fate == "inProgress"]


def canceled(plan: RunPlan, share: float) -> RunPlan:
    """Return a run that is canceled at some moment between its schedule and its end."""
    waits = plan.fate == "inProgress" and len(plan.callbacks) < plan.users - (plan.stops_after or 0)
    moment = plan.scheduled + int(share * (plan.rests + waits * DAY - plan.scheduled))
    return plan._replace(canceled=moment, callbacks=tuple(item for item in plan.callbacks if item.moment <= moment))


def called_back(plan: RunPlan, answers: list[tuple[int, bool]]) -> RunPlan:
    """Return a run that waits, with callbacks for some of its users, each some seconds after the one before."""
    moment = plan.rests
    for user, (seconds, has_completed) in zip(range(plan.stops_after or 0, plan.users), answers, strict=False):
        moment += seconds * TICKS_PER_SECOND
        plan = plan._replace(callbacks=(*plan.callbacks, Callback(user, moment, has_completed)))
    return plan


def reprocessed(plan: RunPlan, choice: Choice) -> RunPlan:
    """Return a run that processes users of another run again, or the other run if there are no such users."""
    return reprocessing(plan, choice, PEOPLE, plan.rests + DAY, {}) or plan


SEEDED_OR_AGAIN = st.sampled_from(SEEDED_PLANS) | st.builds(
    reprocessed, st.sampled_from(SEEDED_PLANS), st.builds(Choice, st.booleans(), st.booleans())
)
ANSWERED = st.builds(
    called_back, st.sampled_from(WAITING), st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=4)
)
PLANS = SEEDED_OR_AGAIN | ANSWERED | st.builds(canceled, SEEDED_OR_AGAIN | ANSWERED, st.floats(0, 1, exclude_max=True))


@settings(max_examples=400)
@given(PLANS, st.integers(-2 * DAY, 2 * DAY))
def test_the_counters_of_a_run_at_rest_are_the_sums_of_its_results(plan: RunPlan, shift: int) -> None:
    now = max(plan.rests, plan.started + shift)
    run = RunAt(plan, now).state()
    users, tasks = list(RunAt(plan, now).user_results(PEOPLE)), list(RunAt(plan, now).task_results(PEOPLE))
    if run["processingStatus"] == "quarantined":
        assert users == tasks == []
        return
    bad = {"failed", "completedWithErrors"}
    assert run["totalUsersCount"] == len(users)
    assert run["successfulUsersCount"] == sum(user["processingStatus"] == "completed" for user in users)
    assert run["failedUsersCount"] == sum(user["processingStatus"] in bad for user in users)
    assert run["failedTasksCount"] == sum(task["processingStatus"] == "failed" for task in tasks)
    if not plan.workflow.subjects:  # otherwise there are tasks, but no results of users
        for name in ("failedTasksCount", "totalTasksCount", "totalUnprocessedTasksCount"):
            assert run[name] == sum(user[name] for user in users)
    ended = sum(task["completedDateTime"] is not None for task in tasks)
    assert run["totalTasksCount"] == ended + run["totalUnprocessedTasksCount"]
    assert all((task["failureReason"] is not None) == (task["processingStatus"] == "failed") for task in tasks)


@settings(max_examples=400)
@given(PLANS, st.lists(st.integers(-600, 40_000), min_size=2, max_size=5).map(sorted))
def test_a_run_only_ever_moves_forward(plan: RunPlan, seconds: list[int]) -> None:
    order = ["queued", "inProgress", "canceling"]
    states = [RunAt(plan, plan.scheduled + second * TICKS_PER_SECOND).state() for second in seconds]
    for earlier, later in pairwise(states):
        ranks = [order.index(s) if (s := run["processingStatus"]) in order else 3 for run in (earlier, later)]
        assert ranks[0] <= ranks[1]
        for name in ("successfulUsersCount", "failedUsersCount", "failedTasksCount", "totalUsersCount"):
            assert earlier[name] <= later[name]
        assert (earlier["lastUpdatedDateTime"] or 0) <= (later["lastUpdatedDateTime"] or 0)
    for second, run in zip(seconds, states, strict=True):
        now = plan.scheduled + second * TICKS_PER_SECOND
        moments = [run[name] for name in ("startedDateTime", "lastUpdatedDateTime", "completedDateTime") if run[name]]
        assert moments == sorted(moments)
        assert all(plan.scheduled <= moment <= now for moment in moments)
        assert all(run[name] >= 0 for name in COUNTERS)
        started = run["processingStatus"] not in {"queued", "quarantined"} and not plan.never_starts
        assert (run["startedDateTime"] is not None) == started


def test_a_run_that_has_just_begun_has_not_counted_its_users_yet() -> None:
    plan = next(plan for plan in SEEDED_PLANS if plan.duration > 60 * TICKS_PER_SECOND and plan.users < 4)
    early, late = (RunAt(plan, plan.started + seconds * TICKS_PER_SECOND).state() for seconds in (1, 6))
    assert (early["processingStatus"], late["processingStatus"]) == ("inProgress", "inProgress")
    assert [early[name] for name in ("totalUsersCount", "totalTasksCount", "totalUnprocessedTasksCount")] == [0, 0, 0]
    assert late["totalUsersCount"] == plan.users


async def test_a_run_in_progress_moves_on_until_it_is_completed(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard new hire, first day")
    run = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'inProgress'"))["value"][0]
    path = f"{workflow}/runs/{run['id']}"
    seen = [run]
    for _ in range(20):
        sandbox.clock.advance(60)
        seen.append(await sandbox.get(path))
    done = [item["successfulUsersCount"] for item in seen]
    assert done == sorted(done)
    assert len(set(done)) > 5
    assert seen[-1]["processingStatus"] == "completed"
    assert seen[-1]["successfulUsersCount"] == seen[-1]["totalUsersCount"]
    assert seen[-1]["completedDateTime"] is not None


async def test_a_queued_run_begins_when_its_time_has_come(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    (run,) = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'queued'"))["value"]
    assert (run["totalUsersCount"], run["startedDateTime"], run["lastUpdatedDateTime"]) == (0, None, None)
    sandbox.clock.advance(240)
    begun = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'inProgress'"))["value"]
    assert run["id"] in [item["id"] for item in begun]
    assert begun[0]["totalUsersCount"] == 16


async def test_a_stuck_run_says_in_its_tasks_what_it_waits_for(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    stuck = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'inProgress'"))["value"]
    for run in stuck:
        waiting = await sandbox.get(
            f"{workflow}/runs/{run['id']}/taskProcessingResults", filter="processingStatus eq 'inProgress'"
        )
        assert {task["task"]["displayName"] for task in waiting["value"]} == {"Run a Custom Task Extension"}
        assert all("'la-archive-mailbox'" in task["processingInfo"] for task in waiting["value"])


@pytest.fixture
def hostile_app() -> Iterator[Any]:
    app = create_app(hostile=True, clock=Clock())
    yield app
    app.state.database.close()


async def test_hostile_text_arrives_as_it_is_and_only_where_text_may_be(hostile_app: Any) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=hostile_app),
        base_url="http://127.0.0.1/beta",
        headers={"Authorization": "Bearer any"},
    ) as client:
        sandbox = Sandbox(hostile_app, Clock(), client)
        names = [item["displayName"] for item in (await sandbox.get(WORKFLOWS))["value"]]
        assert names[: len(HOSTILE_TEXTS)] == list(HOSTILE_TEXTS)
        assert names[-1] == SEEDED[-1].display_name
        runs = await sandbox.runs()
        path = next(
            f"{WORKFLOWS}/{item['id']}/userProcessingResults" for item in (await sandbox.get(WORKFLOWS))["value"]
        )
        users = (await sandbox.get(path, expand="subject"))["value"]
        assert {user["subject"]["displayName"] for user in users} == set(HOSTILE_TEXTS)
        assert all(user["subject"]["userPrincipalName"].isprintable() for user in users)
    assert {run["[b]note[/b]"] for run in runs if "[b]note[/b]" in run} == set(HOSTILE_TEXTS)
    assert all(run["id"].isprintable() and run["processingStatus"].isalpha() for run in runs)
