"""`runtui causes` and `runtui person` in this process: their output, and what they say about missing results."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtui.domain.filters import FilterError
from runtui.domain.triage.causes import CAUSE_PROPERTIES
from runtui.errors import ExitCode, RuntuiError
from runtui.headless.triage.lists import list_causes, list_workflows, show_person
from runtui.headless.triage.show import show_run
from tests.contract.conftest import WORKFLOWS
from tests.contract.headless_commands import ROOT, Commands, Out
from tests.contract.test_headless_incomplete import Refusing


def printed(commands: Commands, capsys: Out, filter_text: str = "") -> list[dict[str, Any]]:
    assert list_causes(commands.server(), filter_text=filter_text, output="json") == ExitCode.DONE
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_every_cause_is_an_object_the_one_that_hit_most_users_first(commands: Commands, capsys: Out) -> None:
    causes = printed(commands, capsys)
    assert len(causes) > 3
    assert all(tuple(cause) == CAUSE_PROPERTIES for cause in causes)
    weights = [(cause["users"], cause["runs"]) for cause in causes]
    assert weights == sorted(weights, reverse=True)
    assert causes[0]["check"]
    assert all(cause["since"] <= cause["last"] for cause in causes)
    # The same task with the same reason is one cause, whichever user it affected.
    assert causes[0]["runs"] > 1


def test_a_filter_chooses_the_runs(commands: Commands, capsys: Out) -> None:
    every = printed(commands, capsys)
    (workflow,) = every[-1]["workflows"][:1]
    some = printed(commands, capsys, f'wf:"{workflow}"')
    assert 0 < len(some) < len(every)
    assert {name for cause in some for name in cause["workflows"]} == {workflow}
    assert printed(commands, capsys, "status:completed") == []
    with pytest.raises(FilterError, match=r"A value for status is missing here\. See character 7 of: status:$"):
        list_causes(commands.server(), filter_text="status:", output="json")


def test_table_lines_and_csv_tell_the_same_causes(commands: Commands, capsys: Out) -> None:
    causes = printed(commands, capsys)
    list_causes(commands.server(), filter_text="", output="jsonl")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == causes
    list_causes(commands.server(), filter_text="", output="csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["task"], int(row["users"])) for row in rows] == [(cause["task"], cause["users"]) for cause in causes]
    list_causes(commands.server(), filter_text="", output="table")
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(causes) + 1
    assert err == "", "in a pipe, progress is not told"


def test_results_that_may_not_be_read_are_named_and_the_exit_code_says_so(commands: Commands, capsys: Out) -> None:
    server = commands.server()._replace(wire=WithoutBatch(commands))
    assert list_causes(server, filter_text="", output="json") == ExitCode.NOT_DONE
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert "runs could not be read" in err
    assert "Access denied." in err


class WithoutBatch(Refusing):
    """Answers without $batch, so each run is requested by itself, and lets nobody read its results."""

    def __init__(self, commands: Commands) -> None:
        super().__init__(commands, "ProcessingResults", 403)

    async def handle_async_request(self, request: Any) -> Any:
        self._part = "$batch" if request.url.path.endswith("$batch") else "ProcessingResults"
        self._status = 404 if self._part == "$batch" else 403
        return await super().handle_async_request(request)


def test_a_wait_for_results_is_reported(commands: Commands, capsys: Out) -> None:
    server = commands.server()._replace(wire=Refusing(commands, "$batch", 503, 1))
    assert list_causes(server, filter_text="", output="json") == ExitCode.DONE
    assert capsys.readouterr().err.count("The service is busy (503); runtui asks again at ") == 1


def test_nobody_is_found_where_not_everything_can_be_read_and_that_is_said(commands: Commands, capsys: Out) -> None:
    with pytest.raises(RuntuiError, match="Nobody by that name"):
        show_person(commands.server()._replace(wire=WithoutBatch(commands)), "anna", output="json")
    assert "runtui: Not everything could be read. Access denied." in capsys.readouterr().err


def test_results_read_earlier_are_not_requested_again(commands: Commands, capsys: Out) -> None:
    first = printed(commands, capsys)
    asked = len(commands.line.sent)
    assert printed(commands, capsys) == first
    again = [path for _, path in commands.line.sent[asked:]]
    assert again
    assert not [path for path in again if "Results" in path or path.endswith("$batch")]


def test_a_limit_bounds_the_lines_of_each_list(commands: Commands, capsys: Out) -> None:
    user_id, server = failed_user(commands, capsys), commands.server()
    for limited in (
        partial(list_causes, server, filter_text=""),
        partial(list_workflows, server),
        partial(show_person, server, user_id),
    ):
        limited(output="jsonl")
        every = capsys.readouterr().out.splitlines()
        assert limited(output="jsonl", limit=2) == ExitCode.DONE
        assert capsys.readouterr().out.splitlines() == every[:2] != every


def person(commands: Commands, capsys: Out, name: str) -> list[dict[str, Any]]:
    assert show_person(commands.server(), name, output="json") == ExitCode.DONE
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_person_is_found_by_sign_in_name_id_and_name(commands: Commands, capsys: Out) -> None:
    user = commands.app.state.database.people.find(failed_user(commands, capsys))
    by_id = person(commands, capsys, user.id)
    assert any(task["status"] == "failed" and task["reason"] for task in by_id)
    moments = [task["startedDateTime"] for task in by_id]
    assert moments == sorted(moments, reverse=True)
    assert person(commands, capsys, user.user_principal_name) == by_id
    assert person(commands, capsys, user.id.upper()) == by_id
    assert person(commands, capsys, user.user_principal_name.partition("@")[0]) == by_id
    show_person(commands.server(), user.id, output="table")
    assert len(capsys.readouterr().out.splitlines()) == len(by_id) + 1


def test_nobody_and_more_than_one_person_are_refused(commands: Commands, capsys: Out) -> None:
    for name in ("nobody@nowhere.example", "finance/anna"):
        with pytest.raises(RuntuiError, match="Nobody by that name"):
            show_person(commands.server(), name, output="json")
    with pytest.raises(RuntuiError, match="More than one person fits 'a'"):
        show_person(commands.server(), "a", output="json")
    assert capsys.readouterr().out == ""


def test_without_an_answer_about_one_person_the_results_of_runs_are_used(
    commands: Commands, tmp_path: Path, capsys: Out
) -> None:
    user_id = failed_user(commands, capsys)
    nothing_read = commands.server(state_folder=tmp_path / "other")
    server = nothing_read._replace(wire=Refusing(commands, "/userProcessingResults", 400))
    assert show_person(server, user_id, output="json") == ExitCode.DONE
    assert any(task["status"] == "failed" for task in json.loads(capsys.readouterr().out))


def failed_user(commands: Commands, capsys: Out) -> str:
    """Return the id of a user for whom a task failed."""
    run_id, workflow_id = commands.a_run("failed")
    show_run(commands.server(), run_id, output="json", workflow_id=workflow_id)
    failed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["failedTasks"]
    return str(failed[0]["subject"]["id"])


async def a_synchronized_leaver(commands: Commands) -> str:
    """Return the id of a user from AD DS whose account a workflow disabled, according to its results."""
    transport, headers = httpx.ASGITransport(commands.app), {"Authorization": "Bearer any"}
    async with httpx.AsyncClient(transport=transport, base_url=ROOT, headers=headers) as client:
        workflows = (await client.get(WORKFLOWS)).json()["value"]
        path = next(f"{WORKFLOWS}/{item['id']}" for item in workflows if item["displayName"] == "Offboard last day")
        results = (await client.get(f"{path}/userProcessingResults")).json()["value"]
    ids: list[str] = [result["subject"]["id"] for result in results if result["processingStatus"] == "completed"]
    people = commands.app.state.database.people
    return next(user_id for user_id in ids if people.find(user_id).properties["onPremisesSyncEnabled"])


def test_an_account_task_that_does_not_act_on_a_synchronized_user_is_doubted(commands: Commands, capsys: Out) -> None:
    tasks = person(commands, capsys, asyncio.run(a_synchronized_leaver(commands)))
    doubted = [task for task in tasks if task["doubt"]]
    assert {task["task"] for task in doubted} == {"Disable User Account"}
    assert all(task["status"] == "completed" and "synchronized from AD DS" in task["doubt"] for task in doubted)
