"""The results of a workflow, and what leads from one of them to another, agree with the listings of its runs."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from runtui.domain.times import parse_ticks
from tests.contract.conftest import Sandbox


async def everything(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    return [item for page in await sandbox.pages(path) for item in page]


async def test_results_of_a_workflow_are_those_of_its_runs_of_a_week_newest_first(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard contractor")
    week = (await sandbox.get(f"{workflow}/runs", filter="scheduledDateTime ge 2026-11-13T10:00:00Z"))["value"]
    older = [run for run in await everything(sandbox, f"{workflow}/runs") if run not in week]
    users = await everything(sandbox, f"{workflow}/userProcessingResults")
    of_runs = [
        user for run in week for user in await everything(sandbox, f"{workflow}/runs/{run['id']}/userProcessingResults")
    ]
    # Reading one run by its id does not add it to the results of the week.
    await everything(sandbox, f"{workflow}/runs/{older[0]['id']}/userProcessingResults")
    assert users == of_runs == await everything(sandbox, f"{workflow}/userProcessingResults")
    one = await sandbox.get(f"{workflow}/userProcessingResults/{users[3]['id']}")
    assert {name: one[name] for name in users[3]} == users[3]
    tasks = await everything(sandbox, f"{workflow}/userProcessingResults/{users[3]['id']}/taskProcessingResults")
    assert {task["subject"]["id"] for task in tasks} == {users[3]["subject"]["id"]}
    assert [task["task"]["executionSequence"] for task in tasks] == list(range(1, len(tasks) + 1))


async def test_results_of_one_person_are_found_by_the_id_of_their_subject(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard new hire, first day")
    users = await everything(sandbox, f"{workflow}/userProcessingResults")
    one = users[5]["subject"]["id"]
    found = (await sandbox.get(f"{workflow}/userProcessingResults", filter=f"subject/id eq '{one}'"))["value"]
    assert found == [user for user in users if user["subject"]["id"] == one]
    run = (await sandbox.where(f"{workflow}/runs", lambda run: run["failedUsersCount"] > 0))[0]
    tasks = await everything(sandbox, f"{workflow}/runs/{run['id']}/taskProcessingResults")
    others = f"subject/id eq '{one}' or subject/id eq '{tasks[-1]['subject']['id']}'"
    own = (await sandbox.get(f"{workflow}/runs/{run['id']}/taskProcessingResults", filter=others))["value"]
    assert own == [task for task in tasks if task["subject"]["id"] in others]
    for clause in ("subject/displayName eq 'x'", "task/id eq 'x'", "subject eq 'x'"):
        refused = await sandbox.client.get(f"{workflow}/userProcessingResults", params={"$filter": clause})
        assert refused.status_code == 400


async def test_pages_of_a_workflows_results_have_everything_once_the_newest_run_first(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard new hire, first day")
    path = f"{workflow}/userProcessingResults"
    whole = await everything(sandbox, path)
    parts = [user for page in await sandbox.pages(path, headers={"Prefer": "odata.maxpagesize=7"}) for user in page]
    assert len(whole) > 30
    assert parts == whole
    assert len({user["id"] for user in parts}) == len(parts)
    scheduled = [parse_ticks(user["scheduledDateTime"]) for user in parts]
    assert scheduled == sorted(scheduled, reverse=True)
    for _, users in groupby(parts, lambda user: user["scheduledDateTime"]):  # of one run, in the order of processing
        started = [parse_ticks(user["startedDateTime"]) for user in users if user["startedDateTime"]]
        assert started == sorted(started)


async def test_a_run_names_the_run_that_reprocesses_it(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard contractor")
    (again,) = (
        run
        for run in await everything(sandbox, f"{workflow}/runs")
        if run["workflowExecutionType"] == "activatedWithScope"
    )
    found = []
    for run in await sandbox.where(f"{workflow}/runs", lambda run: run["failedUsersCount"] > 0):
        if (await sandbox.get(f"{workflow}/runs/{run['id']}/reprocessedRuns"))["value"] == [again]:
            found.append(run)
    (first,) = found
    people = []
    for run in (first, again):
        users = await everything(sandbox, f"{workflow}/runs/{run['id']}/userProcessingResults")
        people.append([user["subject"]["id"] for user in users])
    assert people[0] == people[1]


async def test_a_waiting_task_leads_to_its_extension(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    run = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'inProgress'"))["value"][0]
    path = f"{workflow}/runs/{run['id']}/taskProcessingResults"
    task = (await sandbox.get(path, filter="processingStatus eq 'inProgress'"))["value"][0]
    (argument,) = task["task"]["arguments"]
    assert argument["name"] == "customTaskExtensionID"
    extension = await sandbox.get(f"/identityGovernance/lifecycleWorkflows/customTaskExtensions/{argument['value']}")
    assert extension["callbackConfiguration"]["timeoutDuration"] == "PT3H"
    assert extension["endpointConfiguration"]["logicAppWorkflowName"] in task["processingInfo"]
