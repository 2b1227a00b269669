"""`runtui handoff` in this process: a run, a change and a cause, as Markdown and JSON, printed and in a file."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from runtui.domain.report import Outcome
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.actions import free_workflow
from runtui.headless.triage.handoff import hand_over
from runtui.headless.triage.lists import list_causes
from runtui.services.records.journal import Journal
from runtui.services.store.store import Store
from runtui.services.triage.memory import TriageMemory
from tests.contract.headless_commands import Commands, Out
from tests.contract.test_headless_causes import WithoutBatch


@pytest.fixture
def commands(sandbox_app: Starlette, tmp_path: Path) -> Commands:
    return Commands(sandbox_app, tmp_path / "state")


def handed_over(commands: Commands, subject: str | int | None = None, **choices: Any) -> int:
    facts: dict[str, Any] = {"workflow_id": None, "cause_number": 0, "filter_text": "", "reduce_people": False}
    return hand_over(commands.server(), subject, **facts | {"file": None, "output": "json"} | choices)


def test_a_run_is_handed_over_with_its_causes_and_the_change_that_was_made(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("failed")
    commands.update(run_id, "processingStatus=canceled")
    (entry,) = commands.entries()
    capsys.readouterr()
    assert handed_over(commands, run_id) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["facts"]["run"], told["facts"]["status"]) == (run_id, "canceled")
    assert told["causes"][0]["reasons"]
    assert told["causes"][0]["people"]
    (change,) = told["changes"]
    assert (change["requestId"], change["clientRequestId"]) == (entry.request_id, entry.client_request_id)
    assert change["requestId"] != ""
    (read, *_) = told["requests"]
    assert (read["method"], read["status"]) == ("GET", 200)
    assert read["requestId"]
    assert read["clientRequestId"] != entry.client_request_id
    # The number of the change names the same run.
    assert handed_over(commands, entry.number, output="md") == ExitCode.DONE
    page = capsys.readouterr().out
    assert f"`{run_id}`" in page
    assert entry.request_id in page
    assert all(reason in page for cause in told["causes"] for reason in cause["reasons"])


def test_an_action_on_a_workflow_is_handed_over_without_looking_for_its_run(commands: Commands, capsys: Out) -> None:
    assert free_workflow(commands.server(), "Inactive guests, 90 days", yes=True) == ExitCode.DONE
    (entry,) = commands.entries()
    capsys.readouterr()
    assert handed_over(commands, entry.number) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert [change["requestId"] for change in told["changes"]] == [entry.request_id]
    assert told["requests"] == []
    assert "run" not in told["facts"]
    assert not told["open"]


def test_a_hand_over_contains_notes_and_reasons_for_changes(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("failed")
    commands.update(run_id, "processingStatus=canceled", why="ticket 4711")
    with (
        closing(Journal(commands.folder / "journal.db")) as journal,
        closing(Store(commands.server().store_file)) as store,
    ):
        memory = TriageMemory(journal, store, commands.server().settings.root)
        memory.set_state([run_id], "handled", "lee")
        memory.note([run_id], "HR *knows*", "lee")
    capsys.readouterr()
    assert handed_over(commands, run_id, output="md") == ExitCode.DONE
    page = capsys.readouterr().out
    assert re.search(r"- triage: `handled \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by lee`", page)
    assert "- note: `HR *knows*`" in page
    assert "  - why: `ticket 4711`" in page


def test_people_are_reduced_by_a_switch(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("failed")
    handed_over(commands, run_id, workflow_id=workflow_id)
    people = [person for cause in json.loads(capsys.readouterr().out)["causes"] for person in cause["people"]]
    for output in ("json", "md"):
        handed_over(commands, run_id, workflow_id=workflow_id, reduce_people=True, output=output)
        text = capsys.readouterr().out
        assert all(person["id"] in text for person in people)
        assert not any(person["name"] in text or person["userPrincipalName"] in text for person in people)


def test_a_cause_is_the_line_of_the_list_of_causes(commands: Commands, capsys: Out) -> None:
    list_causes(commands.server(), filter_text="", output="json")
    causes = json.loads(capsys.readouterr().out)
    for number in (1, len(causes)):
        assert handed_over(commands, cause_number=number) == ExitCode.DONE
        told = json.loads(capsys.readouterr().out)
        cause = causes[number - 1]
        assert (told["title"], told["facts"]["users"]) == (cause["task"], str(cause["users"]))
        assert cause["reason"] in told["causes"][0]["reasons"]
        assert len(told["runs"]) + told["moreRuns"] == cause["runs"]
    with pytest.raises(UsageError, match="no such cause"):
        handed_over(commands, cause_number=len(causes) + 1)


def test_a_change_is_handed_over_though_its_run_is_gone(commands: Commands, capsys: Out) -> None:
    number = commands.record(run_id="gone", workflow_id="w", workflow_name="Onboard", outcome=Outcome.UNKNOWN)
    assert handed_over(commands, number) == ExitCode.NOT_DONE
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["title"], told["facts"]["run"]) == ("Onboard", "gone")
    assert told["changes"][0]["number"] == number
    assert "The service no longer lists the run." in told["open"]
    assert "The run cannot be read" in captured.err


def test_a_file_is_private_and_none_is_overwritten(commands: Commands, tmp_path: Path, capsys: Out) -> None:
    run_id, _ = commands.a_run("failed")
    file = tmp_path / "ticket.md"
    assert handed_over(commands, run_id, output="md", file=file) == ExitCode.DONE
    assert capsys.readouterr().out == ""
    assert file.read_text("utf-8").startswith("# Hand-over: ")
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("mine", "utf-8")
    with pytest.raises(RuntuiError, match="cannot be written"):
        handed_over(commands, run_id, output="md", file=file)
    assert file.read_text("utf-8") == "mine"


def test_what_cannot_be_meant_is_refused(commands: Commands) -> None:
    with pytest.raises(UsageError):
        handed_over(commands)
    with pytest.raises(UsageError):
        handed_over(commands, "some-run", cause_number=1)
    with pytest.raises(UsageError, match="The journal has no #7"):
        handed_over(commands, 7)
    number = commands.record(root="https://graph.microsoft.com/beta")
    with pytest.raises(UsageError, match="another server"):
        handed_over(commands, number)


def test_results_that_cannot_be_read_are_named_in_it_and_by_the_exit_code(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("failed")
    server = commands.server()._replace(wire=WithoutBatch(commands))
    code = hand_over(
        server, run_id, workflow_id=workflow_id, cause_number=0, filter_text="", reduce_people=False, file=None,
        output="md",
    )  # fmt: skip
    captured = capsys.readouterr()
    assert code == ExitCode.NOT_DONE
    assert "could not be read" in captured.err
    assert "The results of its tasks were not read." in captured.out
