"""The question before a write, and ctrl+c, on a real terminal and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal.pty_probe import PtyProbe

RUNTUI = (sys.executable, "-m", "runtui")
CHECKOUT = str(Path(__file__).resolve().parents[2])
WIDE = 160


@contextmanager
def sandbox(scenario: str) -> Iterator[str]:
    """A sandbox server of its own; its root."""
    command = [*RUNTUI, "sandbox", "--runs", "30", "--scenario", scenario]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["root"]
        finally:
            server.terminate()


def environment(state: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": CHECKOUT,
        "RUNTUI_STATE": str(state),
        "RUNTUI_TOKEN": "any-token-at-all",
        "PATH": "/usr/bin:/bin",
    }


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command without a terminal."""
    return subprocess.run(
        [*RUNTUI, *arguments], env=environment(state), capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def a_run(state: Path, root: str) -> str:
    listed = run(state, "list", "--root", root, "--filter", "status:completed", "--format", "jsonl").stdout
    return str(json.loads(listed.splitlines()[0])["run"]["id"])


def updating(state: Path, root: str, *arguments: str) -> PtyProbe:
    command = (*RUNTUI, "update", a_run(state, root), "--root", root, "--set", "failedTasksCount=77", *arguments)
    return PtyProbe(command, columns=WIDE, env=environment(state))


def outcomes(state: Path) -> list[str]:
    return [json.loads(line)["outcome"] for line in run(state, "journal", "--format", "jsonl").stdout.splitlines()]


@pytest.mark.parametrize(
    ("keys", "code", "words", "entries"),
    [
        (("enter",), 1, "not done: Not confirmed. Nothing was sent.", []),
        (("n", "enter"), 1, "not done: Not confirmed. Nothing was sent.", []),
        (("ctrl+d",), 1, "not done: Not confirmed. Nothing was sent.", []),
        (("ctrl+c",), 1, "Nothing was sent.", []),
        (("y", "enter"), 0, r"#1 done \(200 OK\)\.", ["done"]),
    ],
    ids=["enter", "n", "end of input", "ctrl+c", "y"],
)
def test_only_y_sends(tmp_path: Path, keys: tuple[str, ...], code: int, words: str, entries: list[str]) -> None:
    with sandbox("none") as root, updating(tmp_path, root) as terminal:
        terminal.wait_for(r"failedTasksCount +\d+ → 77")
        terminal.wait_for(r"Send this change\? \[y/N\]")
        terminal.press(*keys)
        terminal.wait_for(words)
        assert terminal.wait_for_exit() == code
    assert outcomes(tmp_path) == entries


def test_what_was_only_seen_on_read_back_is_undone_after_a_second_yes(tmp_path: Path) -> None:
    with sandbox("reset-after") as root:
        run_id = a_run(tmp_path, root)
        changed = run(tmp_path, "update", run_id, "--root", root, "--set", "failedTasksCount=77", "--yes")
        assert changed.stdout == "#1 done, seen on read-back.\n"
        for keys, code, words in ((("enter",), 1, "Not confirmed. Nothing was sent."), (("y", "enter"), 0, "done")):
            with PtyProbe((*RUNTUI, "undo", "1"), columns=WIDE, env=environment(tmp_path)) as terminal:
                terminal.wait_for("somebody else may have made the same change")
                terminal.wait_for(r"Undo it anyway\? \[y/N\]")
                terminal.press(*keys)
                if code == 0:
                    terminal.wait_for(r"Send this change\? \[y/N\]")
                    terminal.press("y", "enter")
                terminal.wait_for(words)
                assert terminal.wait_for_exit() == code
    assert outcomes(tmp_path) == ["done", "done"]


def test_what_was_typed_before_the_question_is_no_answer(tmp_path: Path) -> None:
    with sandbox("none") as root, updating(tmp_path, root) as terminal:
        terminal.press("y", "enter")
        terminal.wait_for(r"Send this change\? \[y/N\]")
        terminal.press("enter")
        terminal.wait_for("Not confirmed")
        assert terminal.wait_for_exit() == 1
    assert outcomes(tmp_path) == []


def test_ctrl_c_after_the_change_was_sent_is_unknown(tmp_path: Path) -> None:
    with sandbox("slow") as root, updating(tmp_path, root, "--yes") as terminal:
        terminal.wait_for("sending…")
        terminal.press("ctrl+c")
        terminal.wait_for(r"#1 unknown\. runtui stopped waiting after it was sent")
        assert terminal.wait_for_exit() == 3
    assert outcomes(tmp_path) == ["unknown"]


def test_without_a_terminal_a_change_needs_yes(tmp_path: Path) -> None:
    with sandbox("none") as root:
        arguments = ("update", a_run(tmp_path, root), "--root", root, "--set", "failedTasksCount=77")
        refused = run(tmp_path, *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--yes" in refused.stderr
        assert outcomes(tmp_path) == []
        done = run(tmp_path, *arguments, "--yes", "--json")
        assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "done")
        assert "sending…" in done.stderr
        undone = run(tmp_path, "undo", "1", "--yes")
        assert (undone.returncode, undone.stdout) == (0, "#2 done (200 OK), #1 undone.\n")
