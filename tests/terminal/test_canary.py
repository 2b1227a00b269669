"""The token is in the requests and nowhere else: not when the server echoes it, not in a log, not after a crash.

The sandbox repeats the Authorization header of each change in a sentence and in a header, and puts the token, escaped,
into each run that is read. Every test waits for that sentence with a mask instead of the token, so it is certain that
the token was there.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from runtui import redact
from runtui.cli import main
from runtui.errors import ExitCode
from runtui.redact import REDACTED
from tests import canary
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.sandbox_process import CHECKOUT, SandboxProcess, sandbox_process

ECHO = r"\[redacted\]"
"""The mask that a person sees in place of the token in the server's sentence."""

ENVIRONMENT: Final = {"PYTHONPATH": CHECKOUT, "RUNTUI_TOKEN": canary.TOKEN, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxProcess]:
    """A server that echoes the token."""
    with sandbox_process("echo", ENVIRONMENT) as server:
        yield server


def assert_not_in_arguments(*processes: int) -> None:
    """Assert that no command line of these processes, which all users of the machine can read, has a secret."""
    for process in processes:
        shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(process)], capture_output=True, check=True)
        assert b"runtui" in shown.stdout
        assert not canary.holds_canary(shown.stdout)


def on_terminal(state: Path, server: SandboxProcess) -> PtyProbe:
    logs = str(state / "log"), "--log", str(state / "runtui.log")
    command = (sys.executable, "-m", "tests.terminal.loud_runtui", *logs, "--root", server.root)
    return PtyProbe(command, columns=140, rows=40, env={**ENVIRONMENT, "RUNTUI_STATE": str(state)})


def change_and_be_refused(terminal: PtyProbe) -> None:
    """Change a run, from the list by the filter and the form to the server's answer."""
    terminal.wait_for("30 runs.*as of")
    terminal.press("/")
    terminal.wait_for(" e edit", gone=True)
    terminal.type("status:failed")
    terminal.press("enter")
    terminal.wait_for(" e edit")  # until then a key is text of the filter
    terminal.wait_for("Failed  ")
    terminal.press("e")
    terminal.wait_for("(?m)^(╭─)? Edit ")
    terminal.press(*["down"] * 6)
    terminal.wait_for("How many users the run is for")
    terminal.type("7")
    terminal.wait_for(r'"totalUsersCount": \d*7')
    terminal.press("ctrl+s")
    terminal.wait_for("send this change")
    terminal.press("y")
    terminal.wait_for("ot done")
    terminal.wait_for(ECHO)


def look_everywhere(terminal: PtyProbe) -> None:
    """Search the tabs of the panel, the clipboard, the journal and its exports."""
    for words in ("PATCH +400 ", "0 of 2 users", r'"totalUsersCount": \d*7', "400 Bad Request"):
        terminal.press("]")
        terminal.wait_for(words)
    terminal.drag((30, 20), (138, 38))
    terminal.press("ctrl+c")
    terminal.wait_until_quiet()
    terminal.press("J")
    terminal.wait_for("(?m)^[│ ]*#1 ")
    terminal.press("enter")
    terminal.wait_for("#1 not done")
    terminal.wait_for(ECHO)
    for downs, form in enumerate(("jsonl", "csv", "md")):
        terminal.press("E")
        terminal.wait_for("JSON lines: every property")
        terminal.press(*["down"] * downs, "enter")
        terminal.wait_for(rf"(?s)1 entry written to\s.*\.{form}")


def test_a_session_that_ends_in_a_crash_and_one_that_is_hung_up(tmp_path: Path, server: SandboxProcess) -> None:
    with on_terminal(tmp_path, server) as terminal:
        change_and_be_refused(terminal)
        look_everywhere(terminal)
        assert_not_in_arguments(terminal.process.pid, server.process.pid)
        terminal.press("T")
        assert terminal.wait_for_exit() == ExitCode.NOT_DONE
        assert b"runtui crashed (LookupError)" in terminal.received
    (report,) = tmp_path.glob("crash-*.txt")
    assert "LookupError: [redacted] was refused" in report.read_text()
    with on_terminal(tmp_path, server) as terminal:
        terminal.wait_for("1 draft kept; ")
        terminal.press("e")
        terminal.wait_for("(?m)^(╭─)? Edit ")
        terminal.hang_up()
        assert terminal.wait_for_exit() == ExitCode.NOT_DONE
    assert "DEBUG asyncio" in (tmp_path / "log").read_text(), "everything is logged"
    log = (tmp_path / "runtui.log").read_text()
    assert re.search(r"graph: #\d+ PATCH \S+: 400 ", log)
    assert re.search(r"write: change #1 of run \S+: not done ", log)
    assert [path.suffix for path in sorted((tmp_path / "exports").iterdir())] == [".jsonl", ".csv", ".md"]
    assert canary.leaks(tmp_path) == []


class Commands:
    """Runs each command in this process as if it were the first one, with everything logged."""

    def __init__(
        self, state: Path, patch: pytest.MonkeyPatch, said: pytest.CaptureFixture[str], heard: pytest.LogCaptureFixture
    ) -> None:
        for name, value in {**ENVIRONMENT, "RUNTUI_STATE": str(state)}.items():
            patch.setenv(name, value)
        self._patch, self._said, self._heard = patch, said, heard
        self._log = state / "runtui.log"

    def __call__(self, *arguments: str, code: ExitCode = ExitCode.DONE) -> str:
        """Run a command; return its standard output."""
        self._patch.setattr(redact, "_secrets", {})
        for name in (None, "httpx", "httpcore", "asyncio"):
            self._heard.set_level(logging.DEBUG, name)
        ended = main([*arguments, "--log", str(self._log)])
        out, err = self._said.readouterr()
        assert ended == code, err
        assert not canary.holds_canary(f"{out}{err}{self._heard.text}".encode()), arguments
        return out


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Commands:
    return Commands(tmp_path, monkeypatch, capfd, caplog)


def test_every_command_without_a_screen(
    tmp_path: Path, server: SandboxProcess, run: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    there = ("--root", server.root)
    listed = {form: run("list", *there, "--format", form) for form in ("table", "json", "csv", "jsonl")}
    run_id = json.loads(listed["jsonl"].splitlines()[0])["run"]["id"]
    assert f"Read with {REDACTED}." in listed["jsonl"], "each run has the token in it, escaped"
    run("show", run_id, *there)
    assert f"Read with {REDACTED}." in run("show", run_id, *there, "--json")
    change = ("update", run_id, *there, "--set", "failedTasksCount=77", "--yes")
    run(*change, "--dry-run")
    assert REDACTED in run(*change, code=ExitCode.NOT_DONE)
    assert REDACTED in json.loads(run(*change, "--json", code=ExitCode.NOT_DONE))["message"]
    server.behave("none")
    run(*change)
    server.behave("echo")
    assert REDACTED in run("undo", "3", "--yes", code=ExitCode.NOT_DONE)
    for form in ("table", "json", "jsonl", "csv", "md"):
        assert run_id in run("journal", "--format", form)
        assert run_id in run("journal", "1", "--format", form)
    for command in (("doctor", *there), ("doctor", *there, "--json"), ("config", "show", *there)):
        run(*command)
    logged = (tmp_path / "runtui.log").read_text()
    assert all(f": {name}\n" in logged for name in ("list", "show", "update", "undo", "journal", "doctor"))
    assert "asyncio" in {record.name for record in caplog.records if record.levelno == logging.DEBUG}
    assert canary.leaks(tmp_path) == []
