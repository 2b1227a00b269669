"""The answers of the sandbox to reads: shapes, headers, refusals."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from runtui.domain.times import format_ticks
from tests.contract.conftest import NEWER_MEMBERS, WORKFLOWS, Sandbox

RUN_PROPERTIES = {
    "id",
    "completedDateTime",
    "failedTasksCount",
    "failedUsersCount",
    "lastUpdatedDateTime",
    "processingStatus",
    "scheduledDateTime",
    "startedDateTime",
    "successfulUsersCount",
    "totalTasksCount",
    "totalUsersCount",
    "totalUnprocessedTasksCount",
    "workflowExecutionType",
    "activatedOnScope",
}


async def test_workflows_are_listed_and_one_can_be_read(sandbox: Sandbox) -> None:
    listed = await sandbox.get(WORKFLOWS)
    assert listed["@odata.context"] == f"http://127.0.0.1/beta/$metadata#{WORKFLOWS[1:]}"
    assert len(listed["value"]) == 15
    first = listed["value"][0]
    one = await sandbox.get(f"{WORKFLOWS}/{first['id']}")
    assert one.pop("@odata.context") == f"http://127.0.0.1/beta/$metadata#{WORKFLOWS[1:]}/$entity"
    assert one == first


async def test_a_run_is_read_alone_as_it_is_in_the_list(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    listed = await sandbox.get(f"{workflow}/runs")
    workflow_id = workflow.rpartition("/")[2]
    context = f"http://127.0.0.1/beta/$metadata#{WORKFLOWS[1:]}('{workflow_id}')/runs"
    assert listed["@odata.context"] == context
    run = listed["value"][0]
    assert run.keys() >= RUN_PROPERTIES
    one = await sandbox.get(f"{workflow}/runs/{run['id']}")
    assert one.pop("@odata.context") == f"{context}/$entity"
    assert one == run


async def test_both_versions_answer_and_name_themselves(sandbox: Sandbox) -> None:
    answer = await sandbox.get(f"http://127.0.0.1/v1.0{WORKFLOWS}", headers={"Prefer": "odata.maxpagesize=1"})
    assert answer["@odata.context"].startswith("http://127.0.0.1/v1.0/$metadata#")
    assert answer["@odata.nextLink"].startswith(f"http://127.0.0.1/v1.0{WORKFLOWS}?")


async def test_newer_enum_members_are_sent_to_those_who_ask_for_them(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Offboard last day")
    held = "processingStatus eq 'quarantined'"
    answer = await sandbox.client.get(f"{workflow}/runs", params={"$filter": held}, headers=NEWER_MEMBERS)
    assert answer.json()["value"][0]["processingStatus"] == "quarantined"
    plain = await sandbox.client.get(f"{workflow}/runs", params={"$filter": held})
    assert plain.json()["value"][0]["processingStatus"] == "unknownFutureValue"


async def test_results_tell_who_failed_at_what_and_why(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    runs = await sandbox.where(f"{workflow}/runs", lambda run: run["failedUsersCount"] > 0)
    run = next(run for run in runs if run["processingStatus"] == "failed")
    path = f"{workflow}/runs/{run['id']}"
    users = [user for page in await sandbox.pages(f"{path}/userProcessingResults") for user in page]
    failed = [user for user in users if user["processingStatus"] == "failed"]
    assert (len(users), len(failed)) == (run["totalUsersCount"], run["failedUsersCount"])
    workflow_id = workflow.rpartition("/")[2]
    assert failed[0]["id"] == f"{workflow_id}_7_{run['id']}_{failed[0]['subject']['id']}"
    tasks = (await sandbox.get(f"{path}/userProcessingResults/{failed[0]['id']}/taskProcessingResults"))["value"]
    assert [task["processingStatus"] for task in tasks] == ["failed"]
    assert tasks[0]["task"]["displayName"] == "Assign licenses to user"
    assert "no available licenses" in tasks[0]["failureReason"]
    assert tasks[0]["subject"] == failed[0]["subject"]
    stranger = await sandbox.client.get(f"{path}/userProcessingResults/nobody/taskProcessingResults")
    assert stranger.status_code == 404
    everywhere = await sandbox.get(f"{path}/taskProcessingResults", filter="processingStatus eq 'failed'")
    assert len(everywhere["value"]) == run["failedTasksCount"]


async def test_every_answer_carries_graphs_headers(sandbox: Sandbox) -> None:
    asked = {"client-request-id": "6f0c1f9e-0000-4000-8000-000000000001"}
    answers = [
        await sandbox.client.get(WORKFLOWS, headers=asked),
        await sandbox.client.get("/nowhere", headers=asked),
        await sandbox.client.get(WORKFLOWS, headers={**asked, "Authorization": ""}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 401]
    assert len({answer.headers["request-id"] for answer in answers}) == 3
    for answer in answers:
        assert answer.headers["client-request-id"] == asked["client-request-id"]
        assert answer.headers["date"].endswith(" GMT")
    own = await sandbox.client.get(WORKFLOWS)
    assert own.headers["client-request-id"] == own.headers["request-id"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer  ", "Basic dXNlcjpwYXNz"])
async def test_without_a_bearer_token_nothing_is_answered(sandbox: Sandbox, authorization: str) -> None:
    answer = await sandbox.client.get(WORKFLOWS, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.headers["www-authenticate"].startswith('Bearer realm=""')


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "words"),
    [
        ("GET", "/nowhere/at/all", 400, "BadRequest", "segment 'nowhere'"),
        ("GET", f"{WORKFLOWS}/x/tusks", 400, "BadRequest", "segment 'tusks'"),
        ("GET", f"{WORKFLOWS}/x/runs/y/userProcessingResults/z/w", 400, "BadRequest", "segment 'w'"),
        ("GET", "/identityGovernance/lifecycleWorkflows/insights/all(x=1)", 400, "BadRequest", "segment 'insights'"),
        ("GET", "/workflowBase", 400, "BadRequest", "segment 'workflowBase'"),
        ("GET", "http://127.0.0.1/v2.0/x", 400, "BadRequest", "segment 'v2.0'"),
        ("GET", "http://127.0.0.1/", 400, "BadRequest", "segment ''"),
        ("GET", f"{WORKFLOWS}/x", 404, "Resource not found", "no workflow with the id 'x'"),
        ("GET", f"{WORKFLOWS}/x/runs", 404, "Resource not found", "no workflow with the id 'x'"),
        ("GET", f"{WORKFLOWS}/x/runs/y", 404, "Resource not found", "no workflow with the id 'x'"),
        (
            "GET",
            f"{WORKFLOWS}/x/runs/y/taskProcessingResults",
            404,
            "Resource not found",
            "no workflow with the id 'x'",
        ),
        ("PATCH", "/workflowBase/runs/y", 404, "Resource not found", "no run with the id 'y'"),
        ("POST", WORKFLOWS, 405, "Request_BadRequest", "HTTP method is not allowed"),
        ("DELETE", f"{WORKFLOWS}/x/runs/y", 405, "Request_BadRequest", "HTTP method is not allowed"),
        ("GET", "/workflowBase/runs/y", 405, "Request_BadRequest", "HTTP method is not allowed"),
    ],
)
async def test_refusals_are_worded_as_graph_words_them(
    sandbox: Sandbox, method: str, path: str, status: int, code: str, words: str
) -> None:
    answer = await sandbox.client.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert words in error["message"]
    inner = error["innerError"]
    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["client-request-id"] == answer.headers["client-request-id"]
    assert f"{inner['date']}Z" == format_ticks(sandbox.clock.ticks), "of the same clock as Date, without a zone"


async def test_a_run_is_found_under_its_own_workflow_only(sandbox: Sandbox) -> None:
    own, other = await sandbox.workflow("Onboard pre-hire"), await sandbox.workflow("Onboard contractor")
    run = (await sandbox.get(f"{own}/runs"))["value"][0]
    for path in (f"{other}/runs/{run['id']}", f"{other}/runs/{run['id']}/userProcessingResults"):
        assert (await sandbox.client.get(path)).status_code == 404


async def test_a_defect_of_the_sandbox_is_a_500_in_graphs_shape(sandbox: Sandbox) -> None:
    sandbox.app.state.database.close()
    transport = httpx.ASGITransport(app=sandbox.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/beta") as client:
        answer = await client.get(WORKFLOWS, headers={"Authorization": "Bearer any"})
    assert answer.status_code == 500
    assert answer.json()["error"]["innerError"]["request-id"] == answer.headers["request-id"]


async def test_timestamps_and_ids_have_the_shapes_of_the_service(sandbox: Sandbox) -> None:
    runs = await sandbox.runs()
    digits = {len(run["scheduledDateTime"].rstrip("Z").partition(".")[2]) for run in runs}
    assert {0, 7} <= digits <= set(range(8))
    for run in runs:
        assert run["scheduledDateTime"] == format_ticks(int(run["id"].rpartition("_")[2]))


async def test_results_name_a_user_by_id_and_on_request_by_name(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard contractor")
    run = (await sandbox.where(f"{workflow}/runs", lambda run: run["failedUsersCount"] > 0))[0]
    for results in ("userProcessingResults", "taskProcessingResults"):
        path = f"{workflow}/runs/{run['id']}/{results}"
        plain = (await sandbox.get(path))["value"][0]["subject"]
        assert list(plain) == ["id"]
        whole = (await sandbox.get(path, expand="subject"))["value"][0]["subject"]
        assert whole == {**await user_of(sandbox, plain["id"]), **plain}
        assert whole["userPrincipalName"].startswith("v-")
    few = await sandbox.get(f"/users/{plain['id']}", select="id,displayName")
    assert few.pop("@odata.context").endswith("/$metadata#users(id,displayName)/$entity")
    assert few == {"id": plain["id"], "displayName": whole["displayName"]}


async def user_of(sandbox: Sandbox, key: str) -> dict[str, Any]:
    user = await sandbox.get(f"/users/{key}")
    assert user.pop("@odata.context").endswith("/$metadata#users/$entity")
    return cast("dict[str, Any]", user)


async def test_a_user_is_found_by_id_and_by_principal_name(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Inactive guests, 90 days")
    run = (await sandbox.where(f"{workflow}/runs", lambda run: run["failedUsersCount"] > 1))[0]
    path = f"{workflow}/runs/{run['id']}/taskProcessingResults"
    failed = (await sandbox.get(path, filter="processingStatus eq 'failed'", expand="subject"))["value"]
    gone = next(task for task in failed if "does not exist" in task["failureReason"])
    here = next(task for task in failed if "does not exist" not in task["failureReason"])["subject"]
    assert await user_of(sandbox, here["id"]) == here
    assert await user_of(sandbox, here["userPrincipalName"].replace("#", "%23")) == here
    assert list(gone["subject"]) == ["id"]
    answer = await sandbox.client.get(f"/users/{gone['subject']['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "Request_ResourceNotFound")
    unknown = await sandbox.client.get(f"/users/{here['id']}", params={"$select": "id,shoeSize"})
    assert (unknown.status_code, unknown.json()["error"]["target"]) == (400, "shoeSize")


async def test_subjects_that_are_no_users_say_what_they_are(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("HR feed: unmatched accounts")
    run = (await sandbox.where(f"{workflow}/runs", lambda run: run["failedTasksCount"] > 0))[0]
    assert (run["totalUsersCount"], run["failedUsersCount"], run["processingStatus"]) == (0, 0, "failed")
    path = f"{workflow}/runs/{run['id']}"
    assert (await sandbox.get(f"{path}/userProcessingResults"))["value"] == []
    tasks = (await sandbox.get(f"{path}/taskProcessingResults"))["value"]
    assert tasks
    for task in tasks:
        assert "subject" not in task
        assert task["workflowSubject"]["@odata.type"].endswith(".provisioningObjectWorkflowSubject")
