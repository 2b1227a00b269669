"""The paths of the sandbox, alone and in a batch."""

from __future__ import annotations

from tests.contract.conftest import NEWER_MEMBERS, WORKFLOWS, Sandbox


async def last_day(sandbox: Sandbox) -> str:
    return (await sandbox.workflow("Offboard last day")).rpartition("/")[2]


async def test_keys_stay_letter_for_letter(sandbox: Sandbox) -> None:
    workflow_id = await last_day(sandbox)
    assert (await sandbox.client.get(f"{WORKFLOWS}/{workflow_id.upper()}")).status_code == 404
    answer = await sandbox.client.get(f"{WORKFLOWS}/it's/runs")
    assert "no workflow with the id 'it's'" in answer.json()["error"]["message"]
    refused = await sandbox.client.get("/identityGovernance/lifecycleWorkflows/Tusks/1")
    assert "segment 'Tusks'" in refused.json()["error"]["message"]


async def test_an_option_without_its_sign_has_no_meaning(sandbox: Sandbox) -> None:
    assert len((await sandbox.get(f"{WORKFLOWS}?filter=x"))["value"]) == 15
    assert (await sandbox.client.get(f"{WORKFLOWS}?$filter=x")).status_code == 400


async def test_a_batch_answers_every_read_as_it_answers_one_alone(sandbox: Sandbox) -> None:
    workflow = f"{WORKFLOWS}/{await last_day(sandbox)}"
    failed = await sandbox.where(f"{workflow}/runs", lambda run: run["failedTasksCount"] > 0)
    run = f"{workflow}/runs/{failed[0]['id']}"
    subject = (await sandbox.get(f"{run}/userProcessingResults"))["value"][0]["subject"]["id"]
    paths = [
        f"{workflow}/runs",
        f"{workflow}/userProcessingResults?$expand=subject",
        f"{run}/taskProcessingResults?$expand=subject",
        f"{run}/userProcessingResults?$expand=subject",
        f"{run}/taskProcessingResults?$filter=processingStatus eq 'failed'",
        f"{run}/reprocessedRuns",
        f"/users/{subject}?$select=displayName,onPremisesSyncEnabled",
        f"/users/{subject}",
        f"{WORKFLOWS}?$filter=displayName eq 'Offboard last day'",
    ]
    requests = [{"id": str(number), "method": "GET", "url": path, "headers": NEWER_MEMBERS}
                for number, path in enumerate(paths)]  # fmt: skip
    batch = (await sandbox.client.post("/$batch", json={"requests": requests})).json()["responses"]
    by_id = {answer["id"]: answer for answer in batch}
    for number, path in enumerate(paths):
        alone = await sandbox.client.get(path, headers=NEWER_MEMBERS)
        assert (by_id[str(number)]["status"], alone.status_code) == (200, 200)
        assert by_id[str(number)]["body"] == alone.json()
        if link := alone.json().get("@odata.nextLink"):
            rest = link.removeprefix("http://127.0.0.1/beta")
            again = [{"id": "1", "method": "GET", "url": rest, "headers": NEWER_MEMBERS}]
            answers = (await sandbox.client.post("/$batch", json={"requests": again})).json()["responses"]
            assert answers[0]["body"] == (await sandbox.client.get(link, headers=NEWER_MEMBERS)).json()
