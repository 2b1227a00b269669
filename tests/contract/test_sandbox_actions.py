"""The actions of the service: their effects over time, and their errors."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from runtui.sandbox.writes import ACTIONS
from tests.contract.conftest import NEWER_MEMBERS, Sandbox, action_path
from tests.contract.schema import deviations

TYPE = "#microsoft.graph.identityGovernance."
CALLED_BACK = {"data": {"@odata.type": f"{TYPE}customTaskExtensionCallbackData", "operationStatus": "completed"}}


async def act(sandbox: Sandbox, path: str, body: Any = None, status: int = 204) -> Any:
    """Send an action that must be answered with a status; return the JSON of the answer, None without a body."""
    answer = await sandbox.client.post(path, json=body, headers=NEWER_MEMBERS)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def run_scope(run_id: str, users: str = "failedUsers", tasks: str = "failedTasks") -> dict[str, Any]:
    return scope("activateRunScope", run={"id": run_id}, userScope=users, taskScope=tasks)


def scope(type_name: str, **properties: Any) -> dict[str, Any]:
    return {"scope": {"@odata.type": f"{TYPE}{type_name}", **properties}}


async def run_of(sandbox: Sandbox, workflow: str, status: str, users: int) -> dict[str, Any]:
    """Return the newest run of a workflow with that status and that many users."""
    runs = (await sandbox.get(f"{workflow}/runs", filter=f"processingStatus eq '{status}'"))["value"]
    found: dict[str, Any] = next(run for run in runs if run["totalUsersCount"] == users)
    return found


async def results(sandbox: Sandbox, workflow: str, run_id: str, kind: str = "user") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await sandbox.get(f"{workflow}/runs/{run_id}/{kind}ProcessingResults"))["value"]
    return found


def subjects(users: list[dict[str, Any]], *statuses: str) -> set[str]:
    return {user["subject"]["id"] for user in users if not statuses or user["processingStatus"] in statuses}


async def test_failed_users_are_processed_again_in_a_run_of_their_own(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard contractor")
    failed = await run_of(sandbox, workflow, "completedWithErrors", 6)
    before = await results(sandbox, workflow, failed["id"])
    await act(sandbox, f"{workflow}/activateWithScope", run_scope(failed["id"]))
    seen = []
    for _ in range(9):
        (run,) = (await sandbox.get(f"{workflow}/runs/{failed['id']}/reprocessedRuns"))["value"]
        assert [*deviations(run, "run", newer=True)] == []
        seen.append((run["processingStatus"], run["successfulUsersCount"], run["failedUsersCount"]))
        sandbox.clock.advance(1)
    assert [*dict.fromkeys(seen)] == [
        ("queued", 0, 0),
        ("inProgress", 0, 0),
        ("inProgress", 1, 0),
        ("completedWithErrors", 1, 1),
    ]
    assert run == (await sandbox.get(f"{workflow}/runs"))["value"][0]
    assert (run["workflowExecutionType"], run["totalUsersCount"], run["totalTasksCount"]) == (
        "activatedWithScope",
        2,
        2,
    )
    assert run["activatedOnScope"] == {
        "@odata.type": f"{TYPE}activateRunScope",
        "userScope": "failedUsers",
        "taskScope": "failedTasks",
    }
    again = await results(sandbox, workflow, run["id"])
    assert subjects(again) == subjects(before, "failed")
    tasks = await results(sandbox, workflow, run["id"], "task")
    assert {task["task"]["displayName"] for task in tasks} == {"Generate TAP And Send Email"}
    assert Counter(task["failureReason"] is None for task in tasks) == {True: 1, False: 1}
    # The old run stays as it was.
    assert (await sandbox.get(f"{workflow}/runs/{failed['id']}"))["failedUsersCount"] == 2
    # Reprocess once more, for the user and the task that failed again.
    await act(sandbox, f"{workflow}/activateWithScope", run_scope(run["id"]))
    sandbox.clock.advance(60)
    once_more = (await sandbox.get(f"{workflow}/runs"))["value"][0]
    assert (once_more["totalUsersCount"], once_more["totalTasksCount"], once_more["failedUsersCount"]) == (1, 1, 1)
    (task,) = await results(sandbox, workflow, once_more["id"], "task")
    assert task["task"]["displayName"] == "Generate TAP And Send Email"


@pytest.mark.parametrize(
    ("users", "tasks", "expected"),
    [
        ("failedUsers", "failedTasks", (3, 12)),
        ("failedUsers", "allTasks", (3, 12)),
        ("allUsers", "failedTasks", (3, 12)),
        ("allUsers", "allTasks", (14, 56)),
    ],
)
async def test_the_scope_says_who_is_processed_again_with_what(
    sandbox: Sandbox, users: str, tasks: str, expected: tuple[int, int]
) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    failed = await run_of(sandbox, workflow, "completedWithErrors", 14)
    await act(sandbox, f"{workflow}/activateWithScope", run_scope(failed["id"], users, tasks))
    sandbox.clock.advance(60)
    run = (await sandbox.get(f"{workflow}/runs"))["value"][0]
    assert (run["totalUsersCount"], run["totalTasksCount"]) == expected
    # Licenses are available again.
    assert (run["processingStatus"], run["failedUsersCount"]) == ("completed", 0)


async def test_a_workflow_runs_on_demand_for_named_people(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard intern (draft)")
    named = [{"id": sandbox.app.state.database.people.person(number).id} for number in range(10)]
    await act(sandbox, f"{workflow}/activate", {"subjects": named})
    sandbox.clock.advance(60)
    (run,) = (await sandbox.get(f"{workflow}/runs"))["value"]
    facts = (run["workflowExecutionType"], run["processingStatus"], run["totalUsersCount"])
    assert facts == ("onDemand", "completed", 10)
    assert subjects(await results(sandbox, workflow, run["id"])) == {item["id"] for item in named}


async def test_a_user_who_failed_for_a_lasting_cause_fails_again_on_demand(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("入社手続き（東京オフィス）")
    failed = await run_of(sandbox, workflow, "failed", 4)
    users = await results(sandbox, workflow, failed["id"])
    await act(sandbox, f"{workflow}/activate", {"subjects": [user["subject"] for user in users]})
    sandbox.clock.advance(60)
    run = (await sandbox.get(f"{workflow}/runs"))["value"][0]
    assert (run["processingStatus"], run["failedUsersCount"]) == ("failed", 4)
    (flaw,) = (await act(sandbox, f"{workflow}/previewTaskFailures", status=200))["value"]
    assert [*deviations(flaw, "previewFailedTask", newer=True)] == []
    tasks = await results(sandbox, workflow, run["id"], "task")
    (stopped,) = {task["task"]["id"] for task in tasks if task["failureReason"]}
    assert flaw["taskId"] == stopped
    assert "is synchronized from an on-premises directory" in flaw["failureReason"]


async def test_a_canceled_run_stops_and_keeps_what_is_done(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard new hire, first day")
    run = await run_of(sandbox, workflow, "inProgress", 24)
    sandbox.clock.advance(20)
    before = await sandbox.get(f"{workflow}/runs/{run['id']}")
    tasks = await results(sandbox, workflow, run["id"], "task")
    await act(sandbox, f"{workflow}/cancelProcessing", scope("cancelRunsScope", runs=[{"id": run["id"]}]))
    canceling = await sandbox.get(f"{workflow}/runs/{run['id']}")
    assert (canceling["processingStatus"], canceling["completedDateTime"]) == ("canceling", None)
    sandbox.clock.advance(4)
    after = await sandbox.get(f"{workflow}/runs/{run['id']}")
    assert (after["processingStatus"], after["completedDateTime"]) == ("canceled", "2026-11-20T10:00:24Z")
    assert after["successfulUsersCount"] == before["successfulUsersCount"] > 0
    users = await results(sandbox, workflow, run["id"])
    assert Counter(user["processingStatus"] for user in users) == {
        "completed": after["successfulUsersCount"],
        "canceled": 24 - after["successfulUsersCount"],
    }
    assert after["totalUnprocessedTasksCount"] == sum(user["totalUnprocessedTasksCount"] for user in users)
    # One of the users was being processed.
    stopped = Counter(user["completedDateTime"] for user in users if user["processingStatus"] == "canceled")
    assert stopped == {None: 23 - after["successfulUsersCount"], after["completedDateTime"]: 1}
    kept = await results(sandbox, workflow, run["id"], "task")
    assert [task for task in kept if task["processingStatus"] == "completed"] == tasks[:-1]
    assert (kept[-1]["processingStatus"], kept[-1]["completedDateTime"]) == ("canceled", None)
    for value, kind in ((after, "run"), *((item, "userProcessingResult") for item in users)):
        value.pop("@odata.context", None)
        assert [*deviations(value, kind, newer=True)] == []
    sandbox.clock.advance(3600)
    assert after.items() <= (await sandbox.get(f"{workflow}/runs/{run['id']}")).items()


async def test_a_queued_run_that_is_canceled_never_starts(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    run = await run_of(sandbox, workflow, "queued", 0)
    await act(sandbox, f"{workflow}/cancelProcessing", scope("cancelRunsScope", runs=[{"id": run["id"]}]))
    sandbox.clock.advance(3600)
    after = await sandbox.get(f"{workflow}/runs/{run['id']}")
    facts = (after["processingStatus"], after["startedDateTime"], after["lastUpdatedDateTime"])
    assert facts == ("canceled", None, "2026-11-20T10:00:04Z")
    assert await results(sandbox, workflow, run["id"]) == []


async def test_canceling_an_ended_run_is_refused_in_the_services_words(sandbox: Sandbox) -> None:
    workflow, other = [await sandbox.workflow(name) for name in ("Onboard pre-hire", "Offboard last day")]
    done = await run_of(sandbox, workflow, "completed", 8)
    running = await run_of(sandbox, other, "inProgress", 7)
    asked = [([done["id"]], 409), ([running["id"]], 400), ([done["id"], running["id"]], 400), (["nope"], 404)]
    for run_ids, status in asked:
        body = scope("cancelRunsScope", runs=[{"id": run_id} for run_id in run_ids])
        error = (await act(sandbox, f"{workflow}/cancelProcessing", body, status))["error"]
        assert status != 409 or "Current status: 'completed'" in error["message"]
    assert (await sandbox.get(f"{other}/runs/{running['id']}"))["processingStatus"] == "inProgress"
    assert sandbox.app.state.applied == []


@pytest.mark.parametrize("place", ["runs", "users"])
async def test_a_run_that_waits_goes_on_when_its_extensions_have_called_back(sandbox: Sandbox, place: str) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    run = await run_of(sandbox, workflow, "inProgress", 7)
    path = f"{workflow}/runs/{run['id']}"
    users = {user["subject"]["id"]: user["id"] for user in await results(sandbox, workflow, run["id"])}
    waiting = [
        task for task in await results(sandbox, workflow, run["id"], "task") if task["processingStatus"] == "inProgress"
    ]
    assert len(waiting) == 3
    for task, status in zip(waiting, ("failed", "completed", "completed"), strict=True):
        owner = {"runs": path, "users": f"{path}/userProcessingResults/{users[task['subject']['id']]}"}
        body = {"data": CALLED_BACK["data"] | {"operationStatus": status}, "source": "sample", "type": "lifecycleEvent"}
        await act(sandbox, f"{owner[place]}/taskProcessingResults/{task['id']}/resume", body)
        assert (await sandbox.get(path))["processingStatus"] == "inProgress"
        await act(sandbox, f"{path}/taskProcessingResults/{task['id']}/resume", CALLED_BACK, 409)
    sandbox.clock.advance(2)
    after = await sandbox.get(path)
    assert (after["processingStatus"], after["completedDateTime"]) == ("completedWithErrors", "2026-11-20T10:00:02Z")
    assert (after["successfulUsersCount"], after["failedUsersCount"], after["totalUnprocessedTasksCount"]) == (6, 1, 1)
    tasks = await results(sandbox, workflow, run["id"], "task")
    assert [*deviations(tasks, "taskProcessingResult[]", newer=True)] == []
    (failed,) = (task for task in tasks if task["processingStatus"] == "failed")
    assert (failed["id"], failed["completedDateTime"]) == (waiting[0]["id"], "2026-11-20T10:00:00Z")
    assert "'la-archive-mailbox'" in failed["failureReason"]


async def test_a_cleared_quarantine_is_gone_and_its_run_stays_held_back(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    held = await run_of(sandbox, workflow, "quarantined", 412)
    answer = await act(sandbox, f"{workflow}/clearQuarantine", status=200)
    answer.pop("@odata.context")
    assert [*deviations(answer, "workflow", newer=True)] == []
    details = {"quarantinedDateTime": None, "quarantineReason": None, "quarantineType": "notQuarantined"}
    assert answer["quarantineDetails"] == (await sandbox.get(workflow))["quarantineDetails"] == details
    assert (await sandbox.get(f"{workflow}/runs/{held['id']}"))["processingStatus"] == "quarantined"
    await act(sandbox, f"{workflow}/clearQuarantine", {}, 409)
    healthy = await sandbox.workflow("Onboard pre-hire")
    await act(sandbox, f"{healthy}/clearQuarantine", status=409)
    assert (await act(sandbox, f"{healthy}/previewTaskFailures", status=200))["value"] == []


REFUSED: list[tuple[str, Any, int, str | None]] = [
    ("activate", None, 415, None),
    ("activate", [], 400, None),
    ("activate", {}, 400, "subjects"),
    ("activate", {"subjects": []}, 400, "subjects"),
    ("activate", {"subjects": [{"id": 5}]}, 400, "subjects"),
    ("activate", {"subjects": [{"id": str(number)} for number in range(11)]}, 400, "subjects"),
    ("activate", {"subjects": [{"id": "nobody"}]}, 404, None),
    ("activate", {"subjects": [{"id": "nobody"}], "users": []}, 400, "users"),
    ("activateWithScope", {"subjects": []}, 400, "subjects"),
    ("activateWithScope", {"scope": {"run": {"id": "x"}}}, 400, "scope"),
    ("activateWithScope", {"scope": "x"}, 400, "scope"),
    ("activateWithScope", scope("activateGroupScope", group={"id": "x"}), 400, "scope"),
    ("activateWithScope", scope("activateRunScope", run={"id": "x"}, userScope="allUsers"), 400, "taskScope"),
    ("activateWithScope", run_scope("x", users="everybody"), 400, "userScope"),
    ("activateWithScope", run_scope("x", tasks="unknownFutureValue"), 400, "taskScope"),
    ("activateWithScope", run_scope("x"), 404, None),
    ("cancelProcessing", scope("cancelRunsScope", runs=[]), 400, "runs"),
    ("cancelProcessing", scope("cancelRunsScope", runs=[{"id": "x"}], reason="y"), 400, "reason"),
    ("cancelProcessing", run_scope("x"), 400, "scope"),
    ("clearQuarantine", {"force": True}, 400, "force"),
]


async def test_an_invalid_parameter_of_an_action_is_named_and_nothing_is_done(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    before = await sandbox.get(f"{workflow}/runs")
    for name, body, status, target in REFUSED:
        error = (await act(sandbox, f"{workflow}/{name}", body, status))["error"]
        assert error.get("target") == target, (name, body)
    assert await sandbox.get(f"{workflow}/runs") == before
    assert sandbox.app.state.applied == []


async def test_without_users_to_process_no_run_begins(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    done = await run_of(sandbox, workflow, "completed", 8)
    await act(sandbox, f"{workflow}/activateWithScope", run_scope(done["id"]), 406)
    held = await run_of(sandbox, await sandbox.workflow("Offboard last day"), "quarantined", 412)
    await act(sandbox, f"{workflow}/activateWithScope", run_scope(held["id"]), 404)
    for_accounts = await sandbox.workflow("HR feed: unmatched accounts")
    person = {"id": sandbox.app.state.database.people.person(3).id}
    await act(sandbox, f"{for_accounts}/activate", {"subjects": [person]}, 406)


async def test_a_task_that_does_not_wait_is_not_resumed(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    run = await run_of(sandbox, workflow, "inProgress", 7)
    path = f"{workflow}/runs/{run['id']}/taskProcessingResults"
    task = (await results(sandbox, workflow, run["id"], "task"))[0]
    await act(sandbox, f"{path}/{task['id']}/resume", CALLED_BACK, 409)
    await act(sandbox, f"{path}/nope/resume", CALLED_BACK, 404)
    await act(sandbox, f"{path}/{task['id']}/resume", {"source": "x"}, 400)
    # While a run is in progress, its task is too, but the task waits for nothing.
    under_way = await sandbox.workflow("Mover: team or department")
    run = await run_of(sandbox, under_way, "inProgress", 40)
    (task,) = (
        item
        for item in await results(sandbox, under_way, run["id"], "task")
        if item["processingStatus"] == "inProgress"
    )
    await act(sandbox, f"{under_way}/runs/{run['id']}/taskProcessingResults/{task['id']}/resume", CALLED_BACK, 409)


@pytest.mark.parametrize("root", ["/beta", "/v1.0"])
async def test_actions_work_in_a_batch(sandbox: Sandbox, root: str) -> None:
    workflow = await sandbox.workflow("Onboard intern (draft)")
    held = await sandbox.workflow("Offboard last day")
    person = {"id": sandbox.app.state.database.people.person(3).id}
    items = [
        {"id": "1", "method": "POST", "url": f"{held}/clearQuarantine"},
        {
            "id": "2",
            "method": "POST",
            "url": f"{workflow}/activate",
            "headers": {"Content-Type": "application/json", "client-request-id": "mine"},
            "body": {"subjects": [person]},
        },
    ]
    answer = await sandbox.client.post(f"http://127.0.0.1{root}/$batch", json={"requests": items})
    responses = {response["id"]: response for response in answer.json()["responses"]}
    assert [responses[key]["status"] for key in "12"] == [200, 204]
    assert "body" not in responses["2"]
    assert (await sandbox.client.post(f"{held}/clearQuarantine")).status_code == 409
    cleared, activated = sorted(sandbox.app.state.applied, key=lambda write: write.action, reverse=True)
    (run,) = (await sandbox.get(f"{workflow}/runs"))["value"]
    assert (cleared.action, cleared.workflow_id, cleared.run_id) == ("clearQuarantine", held.rpartition("/")[2], "")
    assert activated == (run["id"], {"subjects": [person]}, sandbox.clock.ticks, "mine", "activate", workflow[-36:])


async def test_an_action_is_a_post(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    for action in ACTIONS:
        path = action_path(action).replace("{key}", workflow[-36:], 1).replace("{key}", "x")
        for method in ("GET", "PATCH"):
            answer = await sandbox.client.request(method, path, json={})
            assert answer.status_code == 405


FAULTS: list[tuple[str, int | None, bool]] = [
    ("403", 403, False),
    ("401-once", 401, False),
    ("429-seconds", 429, False),
    ("503", 503, False),
    ("504", 504, True),
    ("html-200", 200, False),
    ("reset-before", None, False),
    ("reset-after", None, True),
    ("half-body", None, True),
    ("204", 204, True),
    ("big-body", 204, True),
    ("wrong-id", 204, True),
    ("ignored", 204, True),
    ("segment", 204, True),
    ("echo", 400, False),
]
"""Scenarios, the status of the answer to an action (None without an answer), and whether the action is carried out."""


async def test_faults_befall_actions_as_they_do_a_patch(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard intern (draft)")
    body = {"subjects": [{"id": sandbox.app.state.database.people.person(3).id}]}
    applied = 0
    for scenario, status, is_applied in FAULTS:
        sandbox.app.state.scenario.use(scenario)
        answered = None
        with suppress(ConnectionError):
            answered = (await sandbox.client.post(f"{workflow}/activate", json=body)).status_code
        assert answered == status, scenario
        applied += is_applied
        sandbox.app.state.scenario.use("none")
        runs = (await sandbox.get(f"{workflow}/runs"))["value"]
        assert len(runs) == len(sandbox.app.state.applied) == applied, scenario


async def test_a_run_that_was_written_to_is_reported_by_what_it_did_once_an_action_reaches_it(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard new hire, first day")
    run = await run_of(sandbox, workflow, "inProgress", 24)
    await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json={"successfulUsersCount": 99})
    await act(sandbox, f"{workflow}/cancelProcessing", scope("cancelRunsScope", runs=[{"id": run["id"]}]))
    after = await sandbox.get(f"{workflow}/runs/{run['id']}")
    assert (after["processingStatus"], after["successfulUsersCount"]) == ("canceling", run["successfulUsersCount"])
