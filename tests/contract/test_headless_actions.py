"""The service's actions as commands: their requests, messages and exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from runtui.domain.report import Outcome
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless import actions, changes
from runtui.services.records.journal_query import entry_object
from runtui.services.writing.follow import FollowedRun
from tests.contract.conftest import WORKFLOWS
from tests.contract.headless_commands import (
    ROOT,
    Bend,
    Commands,
    Out,
    answer_with,
    lost_on_the_way,
    lost_on_the_way_back,
    refusing,
    straight,
)


def get(commands: Commands, path: str) -> Any:
    async def read() -> Any:
        transport = httpx.ASGITransport(commands.app)
        headers = {"Authorization": "Bearer any", "Prefer": "include-unknown-enum-members"}
        async with httpx.AsyncClient(transport=transport, base_url=ROOT, headers=headers) as client:
            return (await client.get(path)).json()

    return asyncio.run(read())


def carried_out(commands: Commands) -> list[str]:
    return [write.action for write in commands.app.state.applied]


BENDS = [
    (straight, ExitCode.DONE, "#1 done (204 No Content).", 1),
    (lost_on_the_way_back, ExitCode.DONE, "#1 done, seen on read-back.", 1),
    (refusing(403), ExitCode.NOT_DONE, "#1 not done (403 Forbidden). Access denied.", 0),
    (refusing(409), ExitCode.NOT_DONE, "#1 not done (409 Conflict).", 0),
    (lost_on_the_way, ExitCode.UNKNOWN, "#1 unknown. The connection broke.", 0),
]


@pytest.mark.parametrize(("bend", "code", "words", "applied"), BENDS, ids=["done", "lost", "403", "409", "unknown"])
@pytest.mark.parametrize("action", ["cancel", "reprocess"])
def test_the_exit_code_tells_what_became_of_an_action(
    action: str, bend: Bend, code: ExitCode, words: str, applied: int, commands: Commands, capsys: Out
) -> None:
    run_id, workflow_id = commands.a_run("inProgress" if action == "cancel" else "failed")
    commands.line.bend = bend
    how: dict[str, Any] = {"workflow_id": workflow_id, "yes": True}
    if action == "cancel":
        found = actions.cancel_runs(commands.server(), [run_id], **how)
    else:
        found = actions.reprocess_runs(commands.server(), [run_id], scope="failed-users", **how)
    out = capsys.readouterr().out
    assert (found, out[: len(words)], len(carried_out(commands))) == (code, words, applied)
    (entry,) = commands.entries()
    run = get(commands, f"{WORKFLOWS}/{workflow_id}/runs/{run_id}")
    if action == "cancel":
        assert (run["processingStatus"] == "canceling") is bool(applied)
    elif code is ExitCode.DONE:
        (made,) = get(commands, f"{WORKFLOWS}/{workflow_id}/runs/{run_id}/reprocessedRuns")["value"]
        assert entry.new_run == made["id"]
    assert commands.line.methods().count("POST") == 1, "it is never sent twice"


def test_nothing_is_sent_by_a_dry_run_or_read_only_or_where_it_cannot_help(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("inProgress")
    code = actions.cancel_runs(commands.server(), [run_id], workflow_id=workflow_id, dry_run=True, output="json")
    told = json.loads(capsys.readouterr().out)
    assert (code, told["method"], told["url"]) == (0, "POST", f"{ROOT}{WORKFLOWS}/{workflow_id}/cancelProcessing")
    assert told["body"]["scope"]["runs"] == [{"id": run_id}]
    with pytest.raises(UsageError, match="read-only"):
        actions.cancel_runs(commands.server(read_only=True), [run_id], workflow_id=workflow_id, yes=True)
    done, of_workflow = commands.a_run("completed")
    assert actions.cancel_runs(commands.server(), [done], workflow_id=of_workflow, yes=True) == ExitCode.NOT_DONE
    assert "Only a queued or running run can be canceled" in capsys.readouterr().out
    assert (commands.line.methods().count("POST"), commands.entries()) == (0, [])


def test_ctrl_c_ends_the_following_and_not_the_exit_code(
    commands: Commands, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, workflow_id = commands.a_run("inProgress")
    told: list[str] = []

    def narrate(*lines: str) -> None:
        told.extend(line for line in lines if line.startswith("The run "))
        if told:
            signal.raise_signal(signal.SIGINT)

    async def at_once(_client: object, _save: object) -> AsyncIterator[FollowedRun]:
        for count in range(100):
            yield FollowedRun({"id": run_id, "processingStatus": "canceling", "totalUsersCount": count}, is_new=False)
            await asyncio.sleep(0)

    monkeypatch.setattr(changes, "narrate", narrate)
    monkeypatch.setattr(changes, "followed", at_once)
    code = actions.cancel_runs(commands.server(), [run_id], workflow_id=workflow_id, yes=True, follow=True)
    assert (code, capsys.readouterr().out) == (ExitCode.DONE, "#1 done (204 No Content).\n")
    assert 0 < len(told) < 100


def test_several_runs_are_canceled_and_those_it_cannot_help_are_reported(commands: Commands, capsys: Out) -> None:
    """The runs come from a filter; the exit code is that of the worst outcome."""
    code = actions.cancel_runs(commands.server(), [], filter_text="status:inProgress,failed", yes=True)
    captured = capsys.readouterr()
    told = [json.loads(line) for line in captured.out.splitlines()]
    done = [line for line in told if line["outcome"] == "done"]
    assert code == ExitCode.NOT_DONE
    assert 1 < len(done) < len(told)
    assert carried_out(commands) == ["cancelProcessing"] * len(done)
    assert {line["action"] for line in done} == {"cancelProcessing"}
    assert all("Only a queued or running run" in line["message"] for line in told if line not in done)
    assert f"processingStatus  {len(done)} inProgress → cancel the run" in captured.err
    assert "what was done for them stays" in captured.err
    with pytest.raises(UsageError, match="--follow follows one run"):
        actions.cancel_runs(commands.server(), ["a", "b"], follow=True, yes=True)


def test_commands_about_a_workflow_accept_its_name(commands: Commands, capsys: Out) -> None:
    server, held = commands.server(), "Inactive guests, 90 days"
    assert actions.free_workflow(server, held, yes=True, output="json") == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["action"], told["runId"], told["outcome"]) == ("clearQuarantine", None, "done")
    assert "the run" not in captured.err, "it is about no run"
    (workflow,) = [item for item in get(commands, WORKFLOWS)["value"] if item["displayName"] == held]
    assert workflow["quarantineDetails"]["quarantineType"] == "notQuarantined"
    run_id, workflow_id = commands.a_run("completedWithErrors")
    path = f"{WORKFLOWS}/{workflow_id}/runs/{run_id}/userProcessingResults?$expand=subject"
    first, second = (result["subject"] for result in get(commands, path)["value"][:2])
    names = [first["id"], second["userPrincipalName"]]
    assert actions.activate(server, "Onboard contractor", users=names, yes=True) == 0
    assert carried_out(commands) == ["clearQuarantine", "activate"]
    assert [entry.outcome for entry in commands.entries()] == [Outcome.DONE, Outcome.DONE]
    assert [entry_object(entry)["runId"] for entry in commands.entries()] == [None, None], "they are about no run"
    capsys.readouterr()
    for name, fails in (("Mover: team or department", True), ("Onboard contractor", False)):
        found_by_id = next(item["id"] for item in get(commands, WORKFLOWS)["value"] if item["displayName"] == name)
        for named in (name, found_by_id.upper()):
            assert actions.preview(server, named, output="json") == 0
            told = json.loads(capsys.readouterr().out)
            assert isinstance(told, list)
            assert bool(told) is fails
    with pytest.raises(RuntuiError, match=r"The directory has no user with the sign-in name 'Anna Ricci'"):
        actions.activate(server, "Onboard contractor", users=["Anna Ricci"], dry_run=True)
    with pytest.raises(UsageError, match=r"'Onboard contract'\. Did you mean Onboard contractor\?"):
        actions.preview(server, "Onboard contract", output="table")
    assert len(commands.entries()) == 2, "a preview is a reading"


def test_an_unknown_action_is_told_before_the_next_one(commands: Commands, capsys: Out) -> None:
    server, held = commands.server(), "Inactive guests, 90 days"
    commands.line.bend = lost_on_the_way
    assert actions.free_workflow(server, held, yes=True) == ExitCode.UNKNOWN
    assert "read the workflow before you repeat the change" in capsys.readouterr().out
    commands.line.bend = straight
    assert actions.free_workflow(server, held, yes=True) == ExitCode.DONE
    assert "An earlier change of this workflow: #1 unknown" in capsys.readouterr().err
    run_id, workflow_id = commands.a_run("inProgress")
    commands.record(run_id=run_id, workflow_id=workflow_id)
    with pytest.raises(UsageError, match="No task of this run waits"):
        actions.resume_task(server, run_id, end="failed", task="none", yes=True)
    assert "An earlier change of this run: #3 unknown" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "body"), [(204, None), (200, {}), (200, {"value": ["x"]})])
def test_a_preview_without_tasks_in_a_list_is_no_good_news(
    status: int, body: dict[str, Any] | None, commands: Commands
) -> None:
    commands.line.bend = answer_with(status, lambda _: body)
    with pytest.raises(RuntuiError, match="The failures cannot be previewed"):
        actions.preview(commands.server(), "Onboard contractor", output="table")


def test_a_task_that_waits_is_resumed(commands: Commands, capsys: Out) -> None:
    """If several tasks wait, the named one is resumed."""
    found: list[tuple[str, str, list[dict[str, Any]]]] = []
    for workflow in get(commands, WORKFLOWS)["value"]:
        runs = f"{WORKFLOWS}/{workflow['id']}/runs"
        for run in get(commands, f"{runs}?$filter=processingStatus eq 'inProgress'")["value"]:
            path = f"{runs}/{run['id']}/taskProcessingResults"
            waiting = [task for task in get(commands, path)["value"] if task["processingStatus"] == "inProgress"]
            found.append((workflow["id"], run["id"], waiting))
    workflow_id, run_id, waiting = max(found, key=lambda run: len(run[2]))
    if len(waiting) > 1:
        with pytest.raises(UsageError, match="Several tasks wait"):
            actions.resume_task(commands.server(), run_id, end="completed", workflow_id=workflow_id, yes=True)
    task = waiting[0]["id"]
    how: dict[str, Any] = {"end": "failed", "task": task, "workflow_id": workflow_id, "yes": True}
    assert actions.resume_task(commands.server(), run_id, **how) == 0
    path = f"{WORKFLOWS}/{workflow_id}/runs/{run_id}/taskProcessingResults/{task}"
    assert get(commands, path)["processingStatus"] == "failed"
    assert actions.resume_task(commands.server(), run_id, **how) == ExitCode.NOT_DONE
    assert "Only a task that waits can be resumed" in capsys.readouterr().out
    assert carried_out(commands) == ["resume"]
