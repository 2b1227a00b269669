"""$batch: each item is answered as if it came alone; an invalid batch is refused as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.conftest import WORKFLOWS, Sandbox

LIST = {"id": "list", "method": "GET", "url": WORKFLOWS}
BROKEN = {"id": "broken", "method": "GET", "url": "nowhere"}


async def post(sandbox: Sandbox, *requests: Any) -> dict[str, Any]:
    """Send a batch; return the responses by id."""
    answer = await sandbox.client.post("/$batch", json={"requests": requests})
    assert answer.status_code == 200, answer.text
    responses = answer.json()["responses"]
    assert len(responses) == len(requests)
    return {response["id"]: response for response in responses}


async def test_items_are_answered_as_if_alone(sandbox: Sandbox) -> None:
    url = f"{await sandbox.workflow('Onboard pre-hire')}/runs?$filter=processingStatus%20eq%20'failed'"
    asked = {**LIST, "url": url, "headers": {"client-request-id": "mine", "Prefer": "odata.maxpagesize=1"}}
    responses = await post(sandbox, asked, BROKEN)
    alone = await sandbox.get(url, headers={"Prefer": "odata.maxpagesize=1"})
    assert responses["list"]["status"] == 200
    assert responses["list"]["body"] == alone
    headers = responses["list"]["headers"]
    assert headers["client-request-id"] == "mine"
    assert responses["broken"]["status"] == 400
    assert responses["broken"]["body"]["error"]["innerError"]["request-id"] != headers["request-id"]


async def test_a_write_is_carried_out_with_its_own_headers(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    run = (await sandbox.get(f"{workflow}/runs"))["value"][0]["id"]
    write = {
        "id": "write",
        "method": "PATCH",
        "url": f"/workflowBase/runs/{run}",
        "headers": {"content-type": "application/json", "client-request-id": "mine"},
        "body": {"failedTasksCount": 5},
    }
    refused = await sandbox.client.post("/$batch", json={"requests": [{**write, "dependsOn": ["list"]}, LIST]})
    assert (refused.status_code, sandbox.app.state.applied) == (400, [])
    assert "dependsOn" in refused.json()["error"]["message"]
    responses = await post(sandbox, write, LIST)
    assert responses["write"]["body"]["failedTasksCount"] == 5
    (applied,) = sandbox.app.state.applied
    assert (applied.run_id, applied.body, applied.client_request_id) == (run, {"failedTasksCount": 5}, "mine")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"requests": []},
        {"requests": [{**LIST, "id": str(number)} for number in range(21)]},
        {"requests": [LIST, {**LIST, "id": "LIST"}]},
        {"requests": [BROKEN, {**LIST, "dependsOn": ["broken"]}]},
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
