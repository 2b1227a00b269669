"""`runtui causes` in this process: what it prints, and what it says where not everything could be read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from runtui.domain.triage.causes import CAUSE_PROPERTIES
from runtui.errors import ExitCode, UsageError
from runtui.headless.triage import list_causes
from tests.contract.headless_commands import Commands
from tests.contract.test_headless_incomplete import Refusing

Out = pytest.CaptureFixture[str]


@pytest.fixture
def commands(sandbox_app: Starlette, tmp_path: Path) -> Commands:
    return Commands(sandbox_app, tmp_path)


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
    # The same task with the same reason is one cause, whoever it hit.
    assert causes[0]["runs"] > 1


def test_a_filter_chooses_the_runs(commands: Commands, capsys: Out) -> None:
    every = printed(commands, capsys)
    (workflow,) = every[-1]["workflows"][:1]
    some = printed(commands, capsys, f'wf:"{workflow}"')
    assert 0 < len(some) < len(every)
    assert {name for cause in some for name in cause["workflows"]} == {workflow}
    assert printed(commands, capsys, "status:completed") == []
    with pytest.raises(UsageError):
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
    server = replace(commands.server(), wire=_WithoutBatch(commands))
    assert list_causes(server, filter_text="", output="json") == ExitCode.NOT_DONE
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert "runs could not be read" in err
    assert "Access denied." in err


class _WithoutBatch(Refusing):
    """Each run is asked alone, since there is no $batch, and nobody may read its results."""

    def __init__(self, commands: Commands) -> None:
        super().__init__(commands, "ProcessingResults", 403)

    async def handle_async_request(self, request: Any) -> Any:
        self._part = "$batch" if request.url.path.endswith("$batch") else "ProcessingResults"
        self._status = 404 if self._part == "$batch" else 403
        return await super().handle_async_request(request)


def test_what_was_read_before_is_not_asked_for_again(commands: Commands, capsys: Out) -> None:
    first = printed(commands, capsys)
    asked = len(commands.line.sent)
    assert printed(commands, capsys) == first
    again = [path for _, path in commands.line.sent[asked:]]
    assert again
    assert not [path for path in again if "Results" in path or path.endswith("$batch")]
