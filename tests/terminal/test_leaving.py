"""However the program ends, the terminal is restored, the exit code is right and nothing private is printed."""

from __future__ import annotations

import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.terminal.leaving_app import SECRET
from tests.terminal.pty_probe import PtyProbe

ROOT = Path(__file__).parents[2]
LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"


def probe(folder: Path, *before: str) -> PtyProbe:
    command = [*before, sys.executable, "-m", "tests.terminal.leaving_app", str(folder)]
    return PtyProbe(command, columns=100, env={"PYTHONPATH": str(ROOT)}, is_forked=not before)


@pytest.mark.parametrize("key", ["c", "w", "t", "i"])
def test_a_crash_is_one_sentence_and_a_report(tmp_path: Path, key: str) -> None:
    with probe(tmp_path) as terminal:
        terminal.wait_for("ready")
        terminal.press(key)
        if key == "i":
            terminal.wait_for("the next key crashes")
            terminal.press("?")
        assert terminal.wait_for_exit() == 1
        said = bytes(terminal.received).rpartition(LEAVE_ALTERNATE_SCREEN)[2].decode()
    (report,) = tmp_path.glob("crash-*.txt")
    assert "runtui crashed (LookupError)." in said
    assert str(report) in said
    assert "Traceback" not in said
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    told = report.read_text("utf-8")
    assert "in action_crash" in told
    for text in (said, told):
        assert SECRET not in text
        assert "private-value" not in text


def test_quitting_is_done(tmp_path: Path) -> None:
    with probe(tmp_path) as terminal:
        terminal.wait_for("ready")
        terminal.press("x")
        assert terminal.wait_for_exit() == 0
        assert LEAVE_ALTERNATE_SCREEN in terminal.received


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_request_to_end_restores_the_terminal(tmp_path: Path, number: signal.Signals) -> None:
    with probe(tmp_path) as terminal:
        terminal.wait_for("ready")
        terminal.process.send_signal(number)
        assert terminal.wait_for_exit() == 1
        assert LEAVE_ALTERNATE_SCREEN in terminal.received
    assert (tmp_path / "unmounted").exists()


@pytest.mark.parametrize("before", [(), ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")], ids=["default", "ignored"])
def test_a_dropped_line_ends_the_program_in_order(tmp_path: Path, before: tuple[str, ...]) -> None:
    """This also holds if SIGHUP is ignored from the start, as under nohup."""
    with probe(tmp_path, *before) as terminal:
        terminal.wait_for("ready")
        terminal.hang_up()
        assert terminal.wait_for_exit() == 1
    assert (tmp_path / "unmounted").exists()
    assert not (tmp_path / "still-reading").exists()  # it would spin for as long as unfinished saves take


def test_a_line_dropped_while_something_is_written_is_no_crash(tmp_path: Path) -> None:
    with probe(tmp_path) as terminal:
        terminal.wait_for("ready")
        terminal.press("f")
        terminal.wait_for("floodflood")  # while nobody reads the rest
        terminal.hang_up()
        assert terminal.wait_for_exit() == 1
    assert (tmp_path / "unmounted").exists()
    assert not list(tmp_path.glob("crash-*"))


@pytest.mark.parametrize("has_shell", [True, False])
def test_runtui_is_suspended_if_a_shell_can_resume_it(tmp_path: Path, has_shell: bool) -> None:
    job = f"{sys.executable} -m tests.terminal.leaving_app {tmp_path}"
    shell = f"set -m; {job}; echo the shell has it; read answer; fg; echo it ended"
    command = ["sh", "-c", shell] if has_shell else job.split()
    with PtyProbe(command, columns=100, env={"PYTHONPATH": str(ROOT)}) as terminal:
        terminal.wait_for("ready")
        terminal.press("z")
        if has_shell:
            terminal.wait_for("the shell has it")
            terminal.press("enter")
            terminal.wait_for("ready")
        else:
            terminal.wait_for("nobody would bring it back")
        terminal.press("x")
        assert terminal.wait_for_exit() == 0
    assert (b"it ended" in terminal.received) is has_shell
