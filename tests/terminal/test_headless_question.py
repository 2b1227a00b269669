"""The question before a write, ctrl+c, and how often a write waits for the disk, with a real terminal and without
one."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import which
from urllib.request import Request, urlopen

import pytest

from runtui.services.records.journal import Journal
from runtui.settings import JOURNAL_FILE, store_path
from tests import forked
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.sandbox_process import CHECKOUT, SandboxProcess, sandbox_process

RUNTUI = (sys.executable, "-m", "runtui")
WIDE = 160


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxProcess]:
    with sandbox_process(is_forked=True) as server:
        yield server


@pytest.fixture(scope="module")
def runs(server: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the ids of runs that nobody has changed yet."""
    listed = run(tmp_path_factory.mktemp("lister"), "list", "--root", server.root, "--format", "jsonl").stdout
    found = [json.loads(line)["run"] for line in listed.splitlines()]
    return iter([str(each["id"]) for each in found if each["processingStatus"].startswith("completed")])


def environment(state: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": CHECKOUT,
        "RUNTUI_STATE": str(state),
        "RUNTUI_TOKEN": "any-token-at-all",
        "PATH": "/usr/bin:/bin",
    }


def run(state: Path, *arguments: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal; `under` is a command that starts it, such as strace."""
    return forked.run(*under, *RUNTUI, *arguments, env=environment(state), text=True)


def change(run_id: str, server: SandboxProcess) -> tuple[str, ...]:
    return ("update", run_id, "--root", server.root, "--set", "failedTasksCount=77")


def is_changed(run_id: str, server: SandboxProcess) -> bool:
    """Return whether the server has the new value."""
    workflows = f"{server.root}/identityGovernance/lifecycleWorkflows/workflows"
    address = f"{workflows}/{run_id.partition('_')[0]}/runs/{run_id}"
    with urlopen(Request(address, headers={"Authorization": "Bearer any"})) as answer:
        return bool(json.load(answer)["failedTasksCount"] == 77)


def updating(state: Path, run_id: str, server: SandboxProcess, *arguments: str) -> PtyProbe:
    return PtyProbe(
        (*RUNTUI, *change(run_id, server), *arguments), columns=WIDE, env=environment(state), is_forked=True
    )


def outcomes(state: Path) -> list[str | None]:
    journal = Journal(state / JOURNAL_FILE)
    try:
        return [entry.outcome and entry.outcome.value for entry in journal.entries()]
    finally:
        journal.close()


@pytest.mark.parametrize(
    ("keys", "code", "words", "entries"),
    [
        (("enter",), 1, "Not done. Not confirmed. Nothing was sent.", []),
        (("n", "enter"), 1, "Not done. Not confirmed. Nothing was sent.", []),
        (("ctrl+d",), 1, "Not done. Not confirmed. Nothing was sent.", []),
        (("ctrl+c",), 1, "Nothing was sent.", []),
        (("y", "enter"), 0, r"#1 done \(200 OK\)\.", ["done"]),
    ],
    ids=["enter", "n", "end of input", "ctrl+c", "y"],
)
def test_only_y_sends(
    tmp_path: Path,
    server: SandboxProcess,
    runs: Iterator[str],
    keys: tuple[str, ...],
    code: int,
    words: str,
    entries: list[str],
) -> None:
    server.behave("none")
    with updating(tmp_path, next(runs), server) as terminal:
        terminal.wait_for(r"failedTasksCount +\d+ → 77")
        terminal.wait_for(r"Send this change\? \[y/N\]")
        terminal.press(*keys)
        terminal.wait_for(words)
        assert terminal.wait_for_exit() == code
    assert outcomes(tmp_path) == entries


def test_what_was_only_seen_on_read_back_is_undone_after_a_second_yes(
    tmp_path: Path, server: SandboxProcess, runs: Iterator[str]
) -> None:
    server.behave("reset-after")
    changed = run(tmp_path, *change(next(runs), server), "--yes")
    assert changed.stdout == "#1 done, seen on read-back.\n"
    for keys, code, words in ((("enter",), 1, "Not confirmed. Nothing was sent."), (("y", "enter"), 0, "done")):
        with PtyProbe((*RUNTUI, "undo", "1"), columns=WIDE, env=environment(tmp_path), is_forked=True) as terminal:
            terminal.wait_for("somebody else may have made the same change")
            terminal.wait_for(r"Undo it anyway\? \[y/N\]")
            terminal.press(*keys)
            if code == 0:
                terminal.wait_for(r"Send this change\? \[y/N\]")
                terminal.press("y", "enter")
            terminal.wait_for(words)
            assert terminal.wait_for_exit() == code
    assert outcomes(tmp_path) == ["done", "done"]


def test_what_was_typed_before_the_question_is_no_answer(
    tmp_path: Path, server: SandboxProcess, runs: Iterator[str]
) -> None:
    server.behave("none")
    with updating(tmp_path, next(runs), server) as terminal:
        terminal.press("y", "enter")
        terminal.wait_for(r"Send this change\? \[y/N\]")
        terminal.press("enter")
        terminal.wait_for("Not confirmed")
        assert terminal.wait_for_exit() == 1
    assert outcomes(tmp_path) == []


@pytest.mark.parametrize("command", ["update", "undo"])
def test_ctrl_c_after_the_change_was_sent_is_unknown_however_often(
    tmp_path: Path, server: SandboxProcess, runs: Iterator[str], command: str
) -> None:
    server.behave("none")
    run_id = next(runs)
    wanted = (*change(run_id, server), "--yes")
    if command == "undo":
        run(tmp_path, *wanted)
        wanted = ("undo", "1", "--yes")
    server.behave("slow-drip")  # no answer comes before ctrl+c
    with PtyProbe((*RUNTUI, *wanted), columns=WIDE, env=environment(tmp_path), is_forked=True) as terminal:
        terminal.wait_for("sending…")
        terminal.wait_until(lambda: is_changed(run_id, server) is (command == "update"))
        with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as busy:
            busy.execute("BEGIN IMMEDIATE")  # the outcome cannot be recorded yet
            terminal.press("ctrl+c")
            terminal.wait_for("Stopping")
            terminal.press("ctrl+c")
            terminal.wait_for(r"(?s)\^C.*\^C")
        terminal.wait_for(r"unknown\. runtui stopped waiting after it was sent")
        assert terminal.wait_for_exit() == 3
    assert outcomes(tmp_path)[0] == "unknown"


def test_without_a_terminal_a_change_needs_yes(tmp_path: Path, server: SandboxProcess, runs: Iterator[str]) -> None:
    server.behave("none")
    wanted = change(next(runs), server)
    refused = run(tmp_path, *wanted)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    assert outcomes(tmp_path) == []
    done = run(tmp_path, *wanted, "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "done")
    assert "sending…" in done.stderr
    undone = run(tmp_path, "undo", "1", "--yes")
    assert (undone.returncode, undone.stdout) == (0, "#2 done (200 OK), #1 undone.\n")


@pytest.mark.skipif(which("strace") is None, reason="strace counts the system calls")
def test_a_change_waits_for_the_disk_three_times(tmp_path: Path, server: SandboxProcess) -> None:
    """They are its intent, the directory entry of that file, and its outcome. The store is only a copy and is not
    synced."""
    server.behave("none")
    state, calls = tmp_path / "state", tmp_path / "calls"
    listed = run(state, "list", "--root", server.root, "--format", "jsonl").stdout.splitlines()
    with closing(sqlite3.connect(store_path(state, server.root))) as store:
        store.execute("SELECT revision FROM state").fetchone()  # after a longer list the log is already in the file
    tracing = ("strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(calls))
    changed = run(state, *change(json.loads(listed[-1])["run"]["id"], server), "--yes", under=tracing)
    assert changed.stdout == "#1 done (200 OK).\n"
    waited = [Path(call.partition("<")[2].partition(">")[0]).name for call in calls.read_text().splitlines()]
    assert list(filter(None, waited)) == ["journal.db-wal", "state", "journal.db-wal"]
