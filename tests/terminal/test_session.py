"""A session from the command to the shell, on a real terminal: first paint, Textual's screen, the last list, the
exit."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import canary
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.sandbox_process import CHECKOUT, sandbox_process

RUNTUI = (sys.executable, "-m", "runtui")
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
TEXTUAL_STARTS = b"\x1b[?2004h"
"""The sequence that turns bracketed paste on: Textual sends it before it draws anything; the first paint does not."""


def runtui(state: Path, *arguments: str, columns: int = 120, rows: int = 30, is_forked: bool = False) -> PtyProbe:
    env = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(state), "RUNTUI_TOKEN": canary.TOKEN}
    return PtyProbe((*RUNTUI, *arguments), columns=columns, rows=rows, env=env, is_forked=is_forked)


@contextmanager
def sandbox() -> Iterator[str]:
    """Start a sandbox server; yield its root."""
    with sandbox_process(is_forked=True) as server:
        yield server.root


def test_rows_stand_before_the_screen_does_and_early_keys_are_not_lost(tmp_path: Path) -> None:
    with sandbox() as root:
        with runtui(tmp_path, "--root", root) as terminal:
            terminal.wait_for("30 runs.*as of")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        with runtui(tmp_path, "--root", root) as terminal:
            terminal.press("x")
            terminal.wait_for("Problems")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1
        first_paint = terminal.received.partition(TEXTUAL_STARTS)[0].decode()
        assert re.search("[✓✗●◌] ", first_paint)


def test_the_first_rows_answer_cursor_keys_and_the_screen_gets_every_key(tmp_path: Path) -> None:
    with sandbox() as root, runtui(tmp_path, "--root", root) as terminal:
        terminal.wait_for("30 runs.*as of")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        with runtui(tmp_path, "--root", root) as second:
            second.press("j", "down", "end", "home", "down")
            second.wait_for_output(b"\x1b[7m")
            second.press("down", "enter")
            second.wait_for("Users of Onboard pre-hire")  # the third run
            second.press("esc")
            second.wait_for("30 runs.*as of")
            second.press("q")
            assert second.wait_for_exit() == 0
        under_cursor = re.findall(rb"\x1b\[7m([^\x1b]*)", second.received.partition(TEXTUAL_STARTS)[0])
        # The last key may come when the screen is there already.
        assert b" HR feed: " in under_cursor[-1] or b" Onboard pre-hire " in under_cursor[-1]


BLOCKED = """
import os, sys
sys.argv = ["runtui", *sys.argv[1:]]
class Blocked:
    def find_spec(self, name, *_):
        if name == "runtui.cli":
            os.read(0, 1)  # a key
            raise ImportError("blocked")
sys.meta_path.insert(0, Blocked())
from runtui.__main__ import main
raise SystemExit(main())
"""
"""A program that stops before the command line is loaded."""


@pytest.mark.parametrize("ending", ["terminate", "hang up", "ctrl+c", "error"])
def test_the_last_list_is_drawn_before_anything_is_loaded(tmp_path: Path, ending: str) -> None:
    with sandbox() as root, runtui(tmp_path, "--root", root, columns=80, rows=24) as terminal:
        terminal.wait_for("30 runs.*as of")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    env = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(tmp_path)}
    with PtyProbe((sys.executable, "-c", BLOCKED, "--root", root), env=env) as terminal:
        terminal.wait_for(r"(?m)^  [✗■] (failed|quarantined) ")
        if ending == "terminate":
            terminal.process.terminate()
        elif ending == "hang up":
            terminal.hang_up()
        else:
            terminal.press("ctrl+c" if ending == "ctrl+c" else "x")
        assert terminal.wait_for_exit() == 1
        if ending != "hang up":
            assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1
            assert (b"blocked" in terminal.received.rpartition(LEAVE_SCREEN)[2]) is (ending == "error")


def test_ctrl_z_at_the_first_rows_gives_a_plain_shell_its_terminal(tmp_path: Path) -> None:
    with sandbox() as root:
        with runtui(tmp_path, "--root", root) as terminal:
            terminal.wait_for("30 runs.*as of")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        job = f"{' '.join(RUNTUI)} --root {root}"
        shell = f"set -m; {job}; echo the shell has it; read answer; fg; echo it ended"
        env = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(tmp_path), "RUNTUI_TOKEN": canary.TOKEN}
        with PtyProbe(["sh", "-c", shell], columns=120, rows=30, env=env) as terminal:
            terminal.wait_for("[✗■] (failed|quarantined) ")
            terminal.press("ctrl+z")
            terminal.wait_for("the shell has it")
            shown = terminal.received.partition(b"the shell has it")[0]
            assert shown.count(ENTER_SCREEN) == shown.count(LEAVE_SCREEN) == 1
            terminal.press("enter")
            terminal.wait_for("30 runs.*as of")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        assert b"it ended" in terminal.received


def test_a_server_that_does_not_start_leaves_a_sentence_on_a_restored_terminal(tmp_path: Path) -> None:
    script = (
        "import runtui.demo as demo, sys; from runtui.cli import main; "
        "sys.executable = '/bin/false'; sys.exit(main(['demo']))"
    )
    env = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(tmp_path)}
    with PtyProbe((sys.executable, "-c", script), env=env) as terminal:
        assert terminal.wait_for_exit() == 1
        assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1
        assert b"The sandbox did not start" in terminal.received.rpartition(LEAVE_SCREEN)[2]


SIGNALLED = """
import asyncio, signal
async def to_thread(call, *arguments):
    reading = asyncio.get_running_loop().run_in_executor(None, call, *arguments)
    if call.__name__ == "readline":
        signal.raise_signal(signal.SIGTERM)
    return await reading
asyncio.to_thread = to_thread
"""
"""Ends the program at the moment that a thread begins to wait for the server."""


@pytest.mark.parametrize("ending", ["terminate", "hang up", "ctrl+c", "signalled"])
def test_ending_it_before_the_screen_is_there_gives_the_terminal_back(tmp_path: Path, ending: str) -> None:
    mute_server = tmp_path / "mute"
    mute_server.write_text("#!/bin/sh\nexec sleep 3600\n")
    mute_server.chmod(0o700)
    script = f"import sys; from runtui.cli import main; sys.executable = {str(mute_server)!r}; sys.exit(main(['demo']))"
    script = SIGNALLED * (ending == "signalled") + script
    env = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(tmp_path)}
    with PtyProbe((sys.executable, "-c", script), env=env) as terminal:
        terminal.wait_for("Reading the runs")
        if ending == "terminate":
            terminal.process.terminate()
        elif ending == "ctrl+c":
            terminal.press("ctrl+c")
        elif ending == "hang up":
            terminal.hang_up()
        assert terminal.wait_for_exit() == 1
        if ending != "hang up":
            assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1


def test_the_last_list_is_there_when_the_server_is_not(tmp_path: Path) -> None:
    with sandbox() as root, runtui(tmp_path, "--root", root) as terminal:
        terminal.wait_for("30 runs.*as of")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    with runtui(tmp_path, "--root", root) as terminal:
        terminal.wait_for("The list is incomplete")
        terminal.wait_for("30 runs")
        terminal.wait_for("Nothing listens at this address")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_the_main_job_against_a_server_started_by_hand(tmp_path: Path) -> None:
    with sandbox() as root, runtui(tmp_path, "--root", root, columns=80, rows=24) as terminal:
        terminal.wait_for("30 runs.*as of")
        # As on a slow line: the keys after `e` are for the form, those after `enter` for its dropdown.
        terminal.press("x", "e", "enter")
        terminal.wait_for("the first task has begun")
        terminal.type("queued")
        terminal.press("enter")
        terminal.wait_for('"processingStatus": "queued"')
        terminal.press("ctrl+s")
        terminal.wait_for("send this change")
        terminal.press("y")
        terminal.wait_for("200 OK")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_ctrl_c_while_it_closes_is_no_failure(tmp_path: Path) -> None:
    with sandbox() as root, runtui(tmp_path, "--root", root) as terminal:
        terminal.wait_for("30 runs.*as of")
        terminal.press("q")
        terminal.wait_for_output(LEAVE_SCREEN)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait_for_exit() == 0
