"""`runtui journal` as the shell sees it: no server, no token, and only data on standard output."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from runtui.cli import main
from runtui.domain.report import Outcome
from runtui.headless.journal import print_entry
from runtui.services.records.journal import Journal, Settlement
from runtui.services.records.journal_file import damaged_files
from runtui.settings import JOURNAL_FILE
from tests import canary
from tests.contract.headless_commands import Commands, Out
from tests.unit.entries import an_entry
from tests.unit.intents import record_intent

GoOn = Callable[[], Awaitable[httpx.Response]]
OTHER_ROOT = "https://graph.microsoft.com/beta"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three entries: one done, one unknown, one of another root."""
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path))
    monkeypatch.delenv("RUNTUI_TOKEN", raising=False)
    journal = Journal(tmp_path / JOURNAL_FILE)
    for number, facts in enumerate(({}, {"run_id": "run-\x1b[31m"}, {"root": OTHER_ROOT}), 1):
        record_intent(journal, an_entry(number, **facts))
        outcome = Outcome.UNKNOWN if number == 2 else Outcome.DONE
        journal.settle(Settlement(f"client-{number}", outcome, "" if number == 2 else "answer", words="Slow."))
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
    opened = datetime.fromisoformat(" ".join(lines[0].split()[1:3]))
    assert opened.tzinfo is not None, "who reads it elsewhere knows the time too"
    main(["journal", "--format", "csv"])
    assert len(list(csv.reader(io.StringIO(capsys.readouterr().out)))) == 4


@pytest.mark.usefixtures("journal")
def test_an_entry_is_printed_in_full(capsys: Out) -> None:
    assert main(["journal", "#2"]) == 0
    page = capsys.readouterr().out
    for words in ("outcome          unknown", "Slow.", "processingStatus: failed → queued", "PATCH http://", "␛[31m"):
        assert words in page
    assert "response" not in page
    assert main(["journal", "1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["response"] == ""


def test_the_response_of_the_server_is_printed_in_full(sandbox_app: Starlette, tmp_path: Path, capsys: Out) -> None:
    commands = Commands(sandbox_app, tmp_path)
    run_id, _ = commands.a_run()
    commands.update(run_id, "processingStatus=failed")
    capsys.readouterr()
    print_entry(tmp_path, 1, output="table")
    _, response = capsys.readouterr().out.split("response: 200 OK\n")
    assert json.loads(response)["processingStatus"] == "failed"


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["9"], "The journal has no #9."),
        (["--filter", "outcome:maybe"], "There is no outcome 'maybe'."),
        (["--root", "nonsense"], "This is not a Graph root."),
    ],
)
def test_invalid_arguments_are_explained_and_print_no_data(arguments: list[str], sentence: str, capsys: Out) -> None:
    assert main(["journal", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err


def test_an_empty_journal_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path))
    assert main(["journal", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def spoil(folder: Path, number: int) -> None:
    """Change a word of an entry without runtui."""
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as db, db:
        db.execute("UPDATE entry SET words = 'Fast.' WHERE number = ?", (number,))


def lines_of(output: str) -> set[str]:
    """Return the lines of the output without the brackets and commas of an array and the padding of columns."""
    return {" ".join(line.split()) for line in output.replace("\n,", "\n").strip("[]\n").splitlines()}


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "md"])
def test_a_damaged_entry_is_shown_as_such_and_the_others_are_whole(form: str, tmp_path: Path, capsys: Out) -> None:
    main(["journal", "--format", form, "--filter", "#1"])
    first = capsys.readouterr().out
    spoil(tmp_path, 2)
    assert main(["journal", "--format", form]) == 1
    captured = capsys.readouterr()
    why = "#2 cannot be read: its checksum does not fit what it holds."
    assert captured.err.splitlines() == [why]
    assert "damaged" in captured.out
    assert "Fast." not in captured.out
    assert "run-␛" not in captured.out
    assert lines_of(first) <= lines_of(captured.out)
    if form == "jsonl":
        damaged = json.loads(captured.out.splitlines()[1])
        assert {name: value for name, value in damaged.items() if value is not None} == {
            "number": 2, "outcome": "damaged", "words": why
        }  # fmt: skip


@pytest.mark.usefixtures("journal")
def test_a_damaged_entry_is_found_only_by_its_number_and_that_word(tmp_path: Path, capsys: Out) -> None:
    spoil(tmp_path, 2)
    for text, numbers in (
        ("#2", [2]), ("outcome:damaged", [2]), ("outcome:open", []), ("since:-24h", [3, 1]), ("before:2001-01-01", []),
        ("Onboard", [3, 1]),
    ):  # fmt: skip
        assert main(["journal", "--format", "jsonl", "--filter", text]) == (1 if 2 in numbers else 0)
        assert [json.loads(line)["number"] for line in capsys.readouterr().out.splitlines()] == numbers


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("form", ["table", "json", "md"])
def test_a_damaged_entry_alone_says_why(form: str, tmp_path: Path, capsys: Out) -> None:
    spoil(tmp_path, 2)
    assert main(["journal", "2", "--format", form]) == 1
    assert "its checksum does not fit what it holds" in capsys.readouterr().out


@pytest.mark.usefixtures("journal")
def test_a_damaged_entry_is_not_undone(tmp_path: Path, capsys: Out) -> None:
    spoil(tmp_path, 1)
    assert main(["undo", "1", "--yes"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("runtui: #1 cannot be undone. #1 cannot be read: its checksum")
    assert "Nothing was sent." in captured.err


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    "command", [["journal"], ["journal", "--format", "json"], ["journal", "1"], ["undo", "1", "--yes"], ["list"]]
)
def test_a_broken_journal_that_was_set_aside_is_reported_once_with_its_path(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setenv("RUNTUI_TOKEN", canary.TOKEN)
    (tmp_path / JOURNAL_FILE).write_bytes(b"this was never a database" * 100)
    server = ["--root", "http://127.0.0.1:1/beta"] if command[0] == "list" else []
    assert main([*command, *server]) != 0
    (aside,) = damaged_files(tmp_path / JOURNAL_FILE)
    told = capsys.readouterr().err
    assert told.startswith(f"The journal was broken. It was set aside as {aside}, and a new one was started.")
    assert main(["journal"]) == 0
    assert capsys.readouterr().err == ""


def test_an_outcome_whose_entry_vanished_is_reported_as_unrecorded(
    sandbox_app: Starlette, tmp_path: Path, capsys: Out
) -> None:
    commands = Commands(sandbox_app, tmp_path)
    run_id, _ = commands.a_run()

    async def lose_and_go_on(_request: httpx.Request, go_on: GoOn) -> httpx.Response:
        (tmp_path / JOURNAL_FILE).unlink()
        return await go_on()

    commands.line.bend = lose_and_go_on
    assert commands.update(run_id, "processingStatus=failed") == 0
    told = capsys.readouterr().out
    assert told.startswith("#1 done (200 OK). The outcome could not be written to the journal. ")
    assert "the file was deleted, moved or replaced" in told
    assert told.endswith("Nothing is sent without the journal.\n")
    assert len(commands.applied) == 1
