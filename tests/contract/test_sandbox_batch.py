"""$batch: each item is answered as if it came alone; dependsOn gives the order; an invalid batch is refused as a
whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.conftest import WORKFLOWS, Sandbox

LIST = {"id": "list", "method": "GET", "url": f"{WORKFLOWS}?$top=1&$select=id"}
BROKEN = {"id": "broken", "method": "GET", "url": "nowhere"}


async def post(sandbox: Sandbox, *requests: Any) -> dict[str, Any]:
    """Send a batch; return the responses by id."""
    answer = await sandbox.client.post("/$batch", json={"requests": requests})
    assert answer.status_code == 200, answer.text
    responses = answer.json()["responses"]
    assert len(responses) == len(requests)
    return {response["id"]: response for response in responses}


async def test_items_are_answered_as_if_alone(sandbox: Sandbox) -> None:
    asked = {**LIST, "headers": {"client-request-id": "mine", "Prefer": "odata.maxpagesize=1"}}
    responses = await post(sandbox, asked, BROKEN)
    alone = await sandbox.get(LIST["url"])
    assert responses["list"]["status"] == 200
    assert responses["list"]["body"] == alone
    headers = responses["list"]["headers"]
    assert (headers["client-request-id"], headers["preference-applied"]) == ("mine", "odata.maxpagesize=1")
    assert responses["broken"]["status"] == 400
    assert responses["broken"]["body"]["error"]["innerError"]["request-id"] != headers["request-id"]


async def test_writes_in_a_batch_are_carried_out_in_the_order_of_their_dependencies(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    run = (await sandbox.get(f"{workflow}/runs", top="1"))["value"][0]["id"]

    def patch(key: str, count: int, *after: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        url = f"/workflowBase/runs/{run}"
        body = {"failedTasksCount": count}
        return {"id": key, "method": "PATCH", "url": url, "headers": headers, "body": body, "dependsOn": [*after]}

    responses = await post(sandbox, patch("third", 3, "SECOND"), patch("second", 2, "first"), patch("first", 1))
    assert [responses[key]["body"]["failedTasksCount"] for key in ("first", "second", "third")] == [1, 2, 3]
    assert [write.body["failedTasksCount"] for write in sandbox.app.state.applied] == [1, 2, 3]


async def test_an_item_that_depends_on_a_failed_one_is_not_carried_out(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    run = (await sandbox.get(f"{workflow}/runs", top="1"))["value"][0]["id"]
    write = {
        "id": "write",
        "method": "PATCH",
        "url": f"/workflowBase/runs/{run}",
        "headers": {"content-type": "application/json"},
        "body": {"failedTasksCount": 5},
        "dependsOn": ["broken"],
    }
    responses = await post(sandbox, BROKEN, write, {**LIST, "dependsOn": ["write"]})
    assert [responses[key]["status"] for key in ("broken", "write", "list")] == [400, 424, 424]
    assert sandbox.app.state.applied == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"requests": []},
        {"requests": [{**LIST, "id": str(number)} for number in range(21)]},
        {"requests": [LIST, {**LIST, "id": "LIST"}]},
        {"requests": [{**LIST, "dependsOn": ["nobody"]}]},
        {"requests": [{**LIST, "dependsOn": "list"}]},
        {"requests": [{**LIST, "dependsOn": ["broken"]}, {**BROKEN, "dependsOn": ["list"]}]},
        {"requests": [{"id": "1", "method": "GET"}]},
        {"requests": [{**LIST, "id": 1}]},
        {"requests": [{**LIST, "method": "BREW"}]},
        {"requests": [{**LIST, "url": "http://elsewhere.example/x"}]},
        {"requests": [{**LIST, "url": "/$batch"}]},
        {"requests": [{**LIST, "url": "/x\ud800"}]},
        {"requests": [{**LIST, "headers": {"a": "b\r\nc: d"}}]},
        {"requests": [{**LIST, "headers": {"a": 1}}]},
        {"requests": [{**LIST, "body": {}}]},
        {"requests": ["list"]},
    ],
)
async def test_an_invalid_batch_is_refused_as_a_whole(sandbox: Sandbox, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await sandbox.client.post("/$batch", content=json.dumps(body), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


async def test_twenty_items_are_a_batch(sandbox: Sandbox) -> None:
    responses = await post(sandbox, *({**LIST, "id": str(number)} for number in range(20)))
    assert {response["status"] for response in responses.values()} == {200}
