"""`runtui show` in this process: the run, its failures, and the user's open changes to it."""

from __future__ import annotations

import json
import re
from collections import Counter

import httpx
import pytest

from runtui.cli import main
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.results import TaskResult
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.triage.show import show_run
from runtui.services.records.drafts import Drafts
from runtui.settings import JOURNAL_FILE
from tests.contract.headless_commands import ROOT, Commands, Out


def test_a_run_and_what_failed_in_it(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("failed")
    assert show_run(commands.server(), run_id, output="table") == 0
    out = capsys.readouterr().out
    assert f"run                         {run_id}" in out
    assert "processingStatus            failed" in out
    assert "✗ " in out
    assert "users: " in out
    assert show_run(commands.server(), run_id, output="json", workflow_id=workflow_id) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"]["id"], told["workflowId"], told["draft"], told["unsettled"]) == (run_id, workflow_id, None, [])
    assert told["failedTasks"]
    assert {task["processingStatus"] for task in told["failedTasks"]} == {"failed"}
    tasks = [TaskResult(task) for task in told["failedTasks"]]
    causes = Counter(task.cause_key for task in tasks)
    assert len({task.reason for task in tasks}) > len(causes), "each names a request of its own"
    assert [int(count) for count in re.findall(r"(?m)^✗ .* \((\d+)×\): ", out)] == sorted(causes.values(), reverse=True)


def test_an_id_in_upper_case_is_asked_for_as_the_service_spells_it(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("failed")
    assert show_run(commands.server(), run_id.upper(), output="json") == 0
    assert json.loads(capsys.readouterr().out)["run"]["id"] == run_id


def test_marks_on_a_run_are_shown_and_that_it_is_back(
    commands: Commands, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, workflow_id = commands.a_run("failed")
    assert commands.update(run_id, "failedTasksCount=3", workflow=workflow_id, why="INC1: the app was down") == 0
    capsys.readouterr()
    show_run(commands.server(), run_id, output="json", workflow_id=workflow_id)
    told = json.loads(capsys.readouterr().out)
    assert (told["triage"]["standing"], told["triage"]["state"]) == ("new", None)
    assert told["reasons"] == [{"entry": 1, "why": "INC1: the app was down"}]
    monkeypatch.setenv("RUNTUI_STATE", str(commands.folder))
    assert main(["triage", "handled", run_id, "--note", "told the owner", "--root", ROOT]) == 0
    show_run(commands.server(), run_id, output="table")
    out = capsys.readouterr().out
    assert re.search(r"^triage +handled ", out, re.MULTILINE)
    assert re.search(r"^note +told the owner$", out, re.MULTILINE)
    assert re.search(r"^why +INC1: the app was down  \(#1\)$", out, re.MULTILINE)
    commands.app.state.database.write_run(run_id, {"failedTasksCount": 9})
    show_run(commands.server(), run_id, output="json")
    triage = json.loads(capsys.readouterr().out)["triage"]
    assert (triage["standing"], triage["comeback"], triage["note"]) == ("back", "more tasks failed", "told the owner")
    assert triage["was"]["failedTasks"] == 3


def test_a_draft_and_an_unknown_change_of_it_are_reported(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run()
    commands.record(run_id=run_id, workflow_id=workflow_id, outcome=Outcome.UNKNOWN)
    drafts = Drafts(commands.folder / JOURNAL_FILE)
    drafts.load(ROOT)
    drafts.keep(Draft(run_id, workflow_id, {"failedTasksCount": 1}).typed("failedTasksCount", "8", 0))
    drafts.close()
    show_run(commands.server(), run_id, output="table")
    out = capsys.readouterr().out
    assert "There is an unsent draft: failedTasksCount." in out
    assert "Your change: #1 unknown. processingStatus: failed → queued." in out
    show_run(commands.server(), run_id, output="json")
    told = json.loads(capsys.readouterr().out)
    assert told["draft"] == {"failedTasksCount": {"before": 1, "after": 8}}
    assert [entry["number"] for entry in told["unsettled"]] == [1]


def test_results_that_cannot_be_read_are_told_and_the_exit_code_says_so(commands: Commands, capsys: Out) -> None:
    class WithoutResults(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith(("Results", "/$batch")):
                raise httpx.ReadError("reset")
            return await commands.line.handle_async_request(request)

    run_id, workflow_id = commands.a_run("failed")
    server = commands.server()._replace(wire=WithoutResults())
    assert show_run(server, run_id, output="json", workflow_id=workflow_id) == ExitCode.NOT_DONE
    captured = capsys.readouterr()
    assert json.loads(captured.out)["failedTasks"] is None
    assert "The results of its tasks could not be read." in captured.err


def test_what_a_run_did_for_one_user(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("failed")
    show_run(commands.server(), run_id, output="json", workflow_id=workflow_id)
    failed = json.loads(capsys.readouterr().out)["failedTasks"][0]
    user_id = failed["subject"]["id"]
    assert show_run(commands.server(), run_id, output="json", user=user_id.upper()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runId"], told["workflowId"], told["user"]["subject"]["id"]) == (run_id, workflow_id, user_id)
    sequence = [result["task"]["executionSequence"] for result in told["tasks"]]
    assert sequence == sorted(sequence)
    assert {result["subject"]["id"] for result in told["tasks"]} == {user_id}
    assert failed in told["tasks"]

    assert show_run(commands.server(), run_id, output="table", user=user_id) == 0
    out = capsys.readouterr().out
    assert re.search(f"✗ failed +{failed['task']['displayName']}", out)
    assert failed["failureReason"] in out
    assert out.count("took") == out.count("ago)") == len(told["tasks"])


def test_a_name_has_to_mean_one_user(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("completedWithErrors")
    with pytest.raises(UsageError, match="Which user"):
        show_run(commands.server(), run_id, output="table", workflow_id=workflow_id, user="-")
    with pytest.raises(RuntuiError, match="No such user"):
        show_run(commands.server(), run_id, output="table", workflow_id=workflow_id, user="nobody at all")
    queued, workflow_id = commands.a_run("queued")
    with pytest.raises(RuntuiError) as caught:
        show_run(commands.server(), queued, output="table", workflow_id=workflow_id, user="x")
    assert "has not begun" in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_run_that_is_not_there_prints_no_data(commands: Commands, capsys: Out) -> None:
    _, workflow_id = commands.a_run()
    with pytest.raises(RuntuiError, match="The run cannot be read"):
        show_run(commands.server(), "nowhere", output="json", workflow_id=workflow_id)
    assert capsys.readouterr().out == ""
