"""`runtui journal`, as the shell sees it: no server, no token, and data alone on standard output."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from runtui.cli import main
from runtui.graph.exchange import Outcome
from runtui.services.journal import Journal
from runtui.services.workspace import JOURNAL_FILE
from tests.unit.entries import an_entry

Out = pytest.CaptureFixture[str]
OTHER_ROOT = "https://graph.microsoft.com/beta"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three entries: one done, one unknown, one of another root."""
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path))
    monkeypatch.delenv("RUNTUI_TOKEN", raising=False)
    journal = Journal(tmp_path / JOURNAL_FILE)
    for number, facts in enumerate(({}, {"run_id": "run-\x1b[31m"}, {"root": OTHER_ROOT}), 1):
        journal.open(an_entry(number, **facts))
        outcome = Outcome.UNKNOWN if number == 2 else Outcome.DONE
        journal.settle(f"client-{number}", outcome, "" if number == 2 else "answer", words="Slow.")
    journal.close()


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], [3, 2, 1]),
        (["--root", "http://127.0.0.1/beta"], [2, 1]),
        (["--filter", "outcome:unknown"], [2]),
        (["--filter", "outcome:done since:-24h"], [3, 1]),
        (["--limit", "2"], [3, 2]),
        (["--limit", "1", "--filter", "run-1 outcome:done", "--root", "http://127.0.0.1/beta"], [1]),
        (["--filter", "before:2001-01-01"], []),
    ],
)
def test_which_entries(arguments: list[str], numbers: list[int], capsys: Out) -> None:
    assert main(["journal", "--format", "jsonl", *arguments]) == 0
    captured = capsys.readouterr()
    assert [json.loads(line)["number"] for line in captured.out.splitlines()] == numbers
    assert captured.err == ""


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "md"])
def test_no_format_acts_on_a_terminal(form: str, capsys: Out) -> None:
    assert main(["journal", "--format", form]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.usefixtures("journal")
def test_the_table_and_csv_have_a_line_an_entry(capsys: Out) -> None:
    main(["journal"])
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == ["#", "opened", "outcome", "workflow", "change", "run"]
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert "processingStatus: failed → queued" in lines[0]
    main(["journal", "--format", "csv"])
    assert len(list(csv.reader(io.StringIO(capsys.readouterr().out)))) == 4


@pytest.mark.usefixtures("journal")
def test_one_entry_wholly(capsys: Out) -> None:
    assert main(["journal", "#2"]) == 0
    page = capsys.readouterr().out
    for words in ("outcome          unknown", "Slow.", "processingStatus: failed → queued", "PATCH http://", "␛[31m"):
        assert words in page
    assert main(["journal", "1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["response"] == ""


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["9"], "The journal has no entry 9."),
        (["--filter", "outcome:maybe"], "There is no outcome 'maybe'."),
        (["--root", "nonsense"], "This is not a Graph root."),
    ],
)
def test_what_makes_no_sense_is_said_and_prints_no_data(arguments: list[str], sentence: str, capsys: Out) -> None:
    assert main(["journal", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err


def test_an_empty_journal_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path))
    assert main(["journal", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
