"""`runtui triage` without a server: entries, exports and imports; an invalid file is refused as a whole."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtui.cli import main
from runtui.domain.times import format_ticks, now_ticks
from runtui.domain.triage.memory import LONGEST_NOTE, RunTriage
from runtui.errors import UsageError
from runtui.services.store.store import Store
from runtui.services.triage.shift import MAX_LINES, read_shift, shift_lines
from runtui.settings import store_path
from tests.contract.headless_commands import Out

Run = Callable[..., tuple[int, str, str]]
ROOT = "https://graph.microsoft.com/beta"
DAY = 24 * 3600 * 10_000_000


@pytest.fixture
def triage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> Run:
    """Run a command by name on a state folder whose store has two failed runs; return exit code, output and
    messages."""

    def run(*arguments: str, folder: str = "mine", typed: str | io.RawIOBase = "") -> tuple[int, str, str]:
        state = tmp_path / folder
        monkeypatch.setenv("RUNTUI_STATE", str(state))
        given = io.BytesIO(typed.encode()) if isinstance(typed, str) else io.BufferedReader(typed)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=given))
        if not state.exists():
            store = Store(store_path(state, ROOT))
            runs = [{"id": f"r{number}", "processingStatus": "failed", "failedUsersCount": 2} for number in (1, 2)]
            store.put_runs("w1", runs, store.next_listing())
            store.close()
        code = main(["triage", *arguments, "--root", ROOT])
        return code, *capsys.readouterr()

    return run


def records(triage: Run, folder: str = "mine") -> dict[str, dict[str, Any]]:
    code, out, _ = triage("export", folder=folder)
    assert code == 0
    return {record["runId"]: record for record in map(json.loads, out.splitlines())}


def test_marks_and_notes_are_exported_and_imported_by_the_next_shift(triage: Run, tmp_path: Path) -> None:
    code, out, said = triage("handled", "r1", "--note", "HR  knows\n")
    assert (code, out, said) == (0, "", "Handled: 1 run.\n")
    assert triage("snooze", "r2", "--until", "2h")[0] == 0
    exported = triage("export")[1]
    assert exported.isascii()
    mine = records(triage)
    assert (mine["r1"]["state"], mine["r1"]["note"], mine["r1"]["was"]["failedUsers"]) == ("handled", "HR knows", 2)
    assert mine["r2"]["state"] == "snoozed"
    file = tmp_path / "shift.jsonl"
    file.write_text(exported, "utf-8-sig")  # as some editors write it
    code, out, said = triage("import", str(file), folder="theirs")
    assert (code, out, said) == (0, "", "Imported: 2 of 2 runs.\n")
    assert records(triage, "theirs") == mine
    kept = "Imported: 0 of 2 runs. The others are as new or newer here.\n"
    assert triage("import", "-", folder="theirs", typed=exported)[2] == kept


def test_whatever_is_exported_can_be_imported() -> None:
    long = RunTriage("r" * 4_000, 7, "handled", 0, "s" * 300, 1, 2, 3, 1, "é" * LONGEST_NOTE, "w" * 300, now_ticks())
    noted, marked = RunTriage("r2", note="n", changed=7), long._replace(marked=long.changed - DAY, marked_by="m" * 300)
    assert read_shift(shift_lines([noted, marked], ROOT), ROOT) == [noted, marked]


def test_the_newest_wins_for_each_run(triage: Run) -> None:
    triage("handled", "r1", "r2")
    older = triage("export")[1]
    assert triage("handled", "--undo", "r1")[2] == "No longer handled: 1 run.\n"
    triage("import", "-", typed=older)
    assert {run: record["state"] for run, record in records(triage).items()} == {"r1": None, "r2": "handled"}


def line(**facts: Any) -> str:
    was = {"status": "failed", "failedUsers": 1, "failedTasks": None, "updatedAt": None, "isProblem": True}
    changed = format_ticks(now_ticks())
    some = {"root": ROOT, "runId": "r1", "state": "handled", "was": was, "note": "ok", "changedAt": changed}
    return json.dumps(some | facts)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("{", "Line 2: It is not JSON.\n"),
        ("[]", "Line 2: Input should be an object"),
        (line(runId=7), "runId: Input should be a valid string."),
        (line(runId=""), "runId: "),
        (line(state="done"), "state: "),
        (line(was=None), "It lacks the state of the run when it was handled."),
        (line(root="https://graph.microsoft.us/beta"), "It is from another server: https://graph.microsoft.us/beta."),
        (line(root="nonsense"), "It is from another server"),
        (line(changedAt=format_ticks(now_ticks() + DAY)), "It has a time in the future."),
        (line(changedAt="yesterday"), "Line 2: "),
        (line(note="x" * 501), "note: String should have at most 500 characters."),
        (line(note="\ud800"), "It is not JSON."),
        (line(note="x" * 20_000), "It is longer than 16,384 characters."),
        (line(was={"status": "failed"}), "was.failedUsers: Field required."),
        (line(was={**json.loads(line())["was"], "failedUsers": 2**70}), "was.failedUsers: "),
    ],
)
def test_an_odd_line_is_refused_by_its_number_and_nothing_is_imported(triage: Run, bad: str, words: str) -> None:
    code, out, said = triage("import", "-", typed=f"{line()}\n{bad}\n{line(runId='r2')}\n")
    assert (code, out) == (2, "")
    assert "Line 2: " in said
    assert words in said
    assert records(triage) == {}


def test_of_many_odd_lines_the_first_are_named_and_the_others_counted(triage: Run) -> None:
    _, _, said = triage("import", "-", typed="{\n" * 12)
    assert "Line 10: It is not JSON.\nAnd 2 more." in said
    assert "Line 11" not in said


class Endless(io.RawIOBase):
    """An endless line of digits, like /dev/zero; nobody needs a megabyte of them."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        self.given += len(room)
        assert self.given < 2**20
        room[:] = b"7" * len(room)
        return len(room)


def test_an_endless_line_is_not_read_completely(triage: Run) -> None:
    code, out, said = triage("import", "-", typed=Endless())
    assert (code, out) == (2, "")
    assert "Line 1: It is longer than 16,384 characters." in said


def test_a_file_of_too_many_lines_is_refused() -> None:
    with pytest.raises(UsageError, match=f"There are more than {MAX_LINES:,} lines"):
        read_shift(repeat("", MAX_LINES + 1), ROOT)


def test_hostile_text_stays_text(triage: Run) -> None:
    hostile = line(note="\x1b[31mred\u202e @everyone", who="\x07lee")
    assert triage("import", "-", typed=hostile)[0] == 0
    exported = triage("export")[1]
    assert "\x1b" not in exported
    assert json.loads(exported)["note"].startswith("\x1b[31mred")


def test_a_run_is_marked_by_any_spelling_of_its_id(triage: Run) -> None:
    assert triage("handled", "R1", "r1", "--note", "HR knows") == (0, "", "Handled: 1 run.\n")
    record = records(triage)["r1"]
    assert (record["state"], record["note"]) == ("handled", "HR knows")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["handled", "r1", "r9"], "The local store has no run 'r9'. Nothing was marked."),
        (["snooze", "r1", "--until", "soon"], "--until soon: A snooze is a length"),
        (["snooze", "r1", "--until=-2h"], "A snooze ends in the future."),
        (["handled", "r1", "--note", "x" * 501], "at most 500 characters"),
        (["import", "nowhere.jsonl"], "The file cannot be read"),
    ],
)
def test_invalid_arguments_are_explained_and_change_nothing(triage: Run, arguments: list[str], words: str) -> None:
    code, out, said = triage(*arguments)
    assert code in (1, 2)
    assert out == ""
    assert words in said
    assert records(triage) == {}
