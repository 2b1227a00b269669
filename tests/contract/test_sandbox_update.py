"""PATCH: accepted values are stored exactly as sent; refused values change nothing, and the error names them."""

from __future__ import annotations

from typing import Any

import pytest

from runtui.domain.properties import EDITABLE_BY_NAME
from tests.contract.conftest import NEWER_MEMBERS, Sandbox

TYPE = "#microsoft.graph.identityGovernance.run"


async def first_run(sandbox: Sandbox, clause: str = "processingStatus eq 'completed'") -> tuple[str, dict[str, Any]]:
    """Return the path of a workflow and of one of its runs."""
    workflow = await sandbox.workflow("Offboard last day")
    listed = await sandbox.get(f"{workflow}/runs", filter=clause)
    return workflow, listed["value"][0]


@pytest.mark.parametrize("under_workflow", [False, True])
async def test_a_change_is_carried_out_and_the_whole_run_answered(sandbox: Sandbox, under_workflow: bool) -> None:
    workflow, before = await first_run(sandbox)
    body = {"@odata.type": TYPE, "processingStatus": "canceled", "failedTasksCount": 2147483647}
    root = workflow if under_workflow else "/workflowBase"
    sandbox.clock.advance(90)
    answer = await sandbox.client.patch(f"{root}/runs/{before['id']}", json=body, headers=NEWER_MEMBERS)
    assert answer.status_code == 200
    after = answer.json()
    metadata = (
        f"{workflow[1:].rpartition('/')[0]}('{workflow.rpartition('/')[2]}')" if under_workflow else "workflowBase"
    )
    assert after.pop("@odata.context") == f"http://127.0.0.1/beta/$metadata#{metadata}/runs/$entity"
    assert after.pop("@odata.type") == TYPE
    expected = {**before, **body, "lastUpdatedDateTime": "2026-11-20T10:01:30Z"}
    expected.pop("@odata.type")
    assert after == expected
    read_back = await sandbox.get(f"{workflow}/runs/{before['id']}")
    read_back.pop("@odata.context")
    assert read_back == after
    assert [(write.run_id, write.body, write.time) for write in sandbox.app.state.applied] == [
        (before["id"], body, sandbox.clock.ticks)
    ]


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-20T09:15:03.9206151Z", "2026-11-20T09:15:03.9206151Z"),
        ("2026-11-20T09:15:03.9206150Z", "2026-11-20T09:15:03.920615Z"),
        ("2026-11-20T09:15:03+01:00", "2026-11-20T08:15:03Z"),
        ("0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z"),
    ],
)
async def test_a_timestamp_comes_back_as_graph_writes_it_and_is_found_by_its_moment(
    sandbox: Sandbox, moment: str, shown: str
) -> None:
    workflow, run = await first_run(sandbox)
    body = {"completedDateTime": moment, "lastUpdatedDateTime": moment}
    after = (await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json=body)).json()
    assert (after["completedDateTime"], after["lastUpdatedDateTime"]) == (shown, shown)
    found = await sandbox.get(f"{workflow}/runs", filter=f"completedDateTime eq {moment.replace('Z', '+00:00')}")
    assert [item["id"] for item in found["value"]] == [run["id"]]


async def test_null_clears_what_may_be_null(sandbox: Sandbox) -> None:
    _, run = await first_run(sandbox)
    body = {"completedDateTime": None, "startedDateTime": None, "lastUpdatedDateTime": None}
    after = (await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json=body)).json()
    assert [after[name] for name in body] == [None, None, None]


async def test_a_run_with_a_status_of_tomorrow_takes_it_back_untouched(sandbox: Sandbox) -> None:
    sandbox.app.state.scenario.use("unknown-enum")
    workflow = await sandbox.workflow("Mover: new manager")
    runs = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'pausedByPolicy'"))["value"]
    (run,) = (run for run in runs if "pauseDetails" in run)
    body = {name: run[name] for name in EDITABLE_BY_NAME} | {"failedTasksCount": 3}
    answer = await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json=body, headers=NEWER_MEMBERS)
    assert answer.status_code == 200
    after = answer.json()
    assert {**run, "failedTasksCount": 3}.items() <= after.items()
    assert after["pauseDetails"] == run["pauseDetails"]


@pytest.mark.parametrize(
    ("body", "target", "words"),
    [
        ({"processingStatus": "unknownFutureValue"}, "processingStatus", "cannot be written"),
        ({"processingStatus": "Completed"}, "processingStatus", "'Completed' is not"),
        ({"processingStatus": None}, "processingStatus", "cannot be null"),
        ({"processingStatus": 5}, "processingStatus", "must be a string"),
        ({"workflowExecutionType": "unknownFutureValue"}, "workflowExecutionType", "cannot be written"),
        ({"failedTasksCount": -1}, "failedTasksCount", "cannot be negative"),
        ({"failedTasksCount": 2147483648}, "failedTasksCount", "does not fit an Int32"),
        ({"failedTasksCount": "3"}, "failedTasksCount", "whole number"),
        ({"failedTasksCount": 3.0}, "failedTasksCount", "whole number"),
        ({"failedTasksCount": True}, "failedTasksCount", "whole number"),
        ({"failedTasksCount": None}, "failedTasksCount", "cannot be null"),
        ({"scheduledDateTime": None}, "scheduledDateTime", "cannot be null"),
        ({"startedDateTime": "2026-11-20"}, "startedDateTime", "date-time"),
        ({"startedDateTime": "2026-11-20T09:15:03.12345678Z"}, "startedDateTime", "7 fractional"),
        ({"startedDateTime": 5}, "startedDateTime", "must be a string"),
        ({"id": "x"}, "id", "read-only"),
        ({"totalTasksCount": 1}, "totalTasksCount", "read-only"),
        ({"activatedOnScope": None}, "activatedOnScope", "read-only"),
        ({"totalTasksCounts": 1}, "totalTasksCounts", "Could not find a property named 'totalTasksCounts'"),
        ({"@odata.type": "#microsoft.graph.user"}, "@odata.type", "does not fit"),
        ({"@odata.type": 5}, "@odata.type", "does not fit"),
        ({"@odata.etag": "W/1"}, "@odata.etag", "Could not find a property"),
        ([], None, "JSON object"),
        ("text", None, "JSON object"),
    ],
)
async def test_a_read_only_property_is_named_and_nothing_changes(
    sandbox: Sandbox, body: Any, target: str | None, words: str
) -> None:
    workflow, run = await first_run(sandbox)
    if isinstance(body, dict):
        body = {"totalUsersCount": 999, **body}
    answer = await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "BadRequest"
    assert error.get("target") == target
    assert words in error["message"]
    unchanged = await sandbox.get(f"{workflow}/runs/{run['id']}")
    assert unchanged["totalUsersCount"] == run["totalUsersCount"] != 999
    assert sandbox.app.state.applied == []


async def test_every_refused_property_is_listed(sandbox: Sandbox) -> None:
    _, run = await first_run(sandbox)
    body = {"failedTasksCount": -1, "processingStatus": "nope"}
    error = (await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json=body)).json()["error"]
    assert [detail["target"] for detail in error["details"]] == ["failedTasksCount", "processingStatus"]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"failedTasksCount": NaN}', "application/json", 400),
        (b'{"failedTasksCount": 1, "failedTasksCount": 2}', "application/json", 400),
        (b'{"failedTasksCount": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"\\ud800": 1}', "application/json", 400),
        (b'{"failedTasksCount": 1}', "Application/JSON; charset=utf-8", 200),
    ],
)
async def test_a_body_is_json_and_says_so(
    sandbox: Sandbox, content: bytes, content_type: str | None, status: int
) -> None:
    _, run = await first_run(sandbox)
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert len(sandbox.app.state.applied) == (status == 200)


async def test_a_query_that_is_refused_writes_nothing(sandbox: Sandbox) -> None:
    _, run = await first_run(sandbox)
    answer = await sandbox.client.patch(f"/workflowBase/runs/{run['id']}?$select=id", json={"failedTasksCount": 1})
    assert answer.status_code == 400
    assert sandbox.app.state.applied == []


async def test_a_written_run_stays_as_written_while_others_move_on(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard new hire, first day")
    moving = (await sandbox.get(f"{workflow}/runs", filter="processingStatus eq 'inProgress'"))["value"]
    run = moving[0]
    await sandbox.client.patch(f"/workflowBase/runs/{run['id']}", json={"failedTasksCount": 7})
    sandbox.clock.advance(3600)
    after = await sandbox.get(f"{workflow}/runs/{run['id']}")
    assert (after["failedTasksCount"], after["processingStatus"]) == (7, "inProgress")
    assert after["successfulUsersCount"] == run["successfulUsersCount"]
