"""`runtui workflows` in this process: its output for each workflow, also when some facts are missing."""

from __future__ import annotations

import csv
import json

import pytest

from runtui.errors import ExitCode
from runtui.headless.triage.lists import list_workflows
from tests.contract.conftest import Clock
from tests.contract.headless_commands import Commands, Out
from tests.contract.test_headless_incomplete import Refusing


@pytest.fixture(autouse=True)
def _the_time_stands_still(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtui.headless.triage.lists.now_ticks", clock)


def test_a_workflow_says_what_holds_it_back_and_how_its_runs_went(commands: Commands, capsys: Out) -> None:
    assert list_workflows(commands.server(), output="json") == ExitCode.DONE
    records = {record["workflow"]: record for record in json.loads(capsys.readouterr().out)}
    held = records["Offboard last day"]
    assert (held["schedule"], held["isEnabled"], held["heldUsers"]) == ("quarantine", True, 412)
    assert "412 users wait" in held["warnings"][0]
    assert held["nextStep"]
    assert sum(day["runs"] for day in held["days"]) == held["runs"] > held["problems"] > 0
    assert records["Mover: new manager"]["schedule"] == "overdue"
    well = records["Onboarding follow-up, day 7"]
    assert (well["schedule"], well["warnings"], well["nextStep"], well["heldUsers"]) == ("scheduled", [], "", None)


def test_a_table_and_csv_have_a_line_a_workflow_what_needs_a_person_first(commands: Commands, capsys: Out) -> None:
    assert list_workflows(commands.server(), output="table") == ExitCode.DONE
    titles, first, *lines = capsys.readouterr().out.splitlines()
    assert "14 days" in titles
    assert first.startswith("■ quarantine")
    assert list_workflows(commands.server(), output="csv") == ExitCode.DONE
    assert len(list(csv.reader(capsys.readouterr().out.splitlines()))) == len(lines) + 2


def test_runs_that_cannot_be_read_are_named_and_the_exit_code_says_so(commands: Commands, capsys: Out) -> None:
    server = commands.server()._replace(wire=Refusing(commands, "/runs", 403))
    assert list_workflows(server, output="jsonl") == ExitCode.NOT_DONE
    captured = capsys.readouterr()
    assert all(json.loads(line)["runs"] == 0 for line in captured.out.splitlines())
    assert "could not all be read" in captured.err
