"""Keys pressed during the start, on a real terminal: rows are visible before Textual's screen is there."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtui.keys.actions import ACTIONS
from tests.terminal.test_session import ENTER_SCREEN, TEXTUAL_STARTS, runtui, sandbox
from tests.tui.keyboard import sent

LEAVING = {"q", "f10", "ctrl+q"}
EVERY_KEY = list(dict.fromkeys(key for action in ACTIONS for key in action.keys))
MOMENTS = range(0, 1_501, 50)
APART = 250
"""Milliseconds between two presses of the same key during one start; five starts cover every moment."""


def survives(folder: Path, keys: Sequence[str], *moments: int) -> None:
    """Send the keys in one packet at several moments after the start; assert that ctrl+q then ends the program."""
    with runtui(folder, "demo", "--runs", "20", "--refresh", "0") as terminal:
        began = time.monotonic()
        for milliseconds in moments:
            while (left := began + milliseconds / 1000 - time.monotonic()) > 0:
                terminal._pump(left)
            terminal._write("".join(map(sent, keys)))
        if LEAVING.isdisjoint(keys):
            terminal.wait_for(r"20 runs.*as of|account|help")
            terminal.press("ctrl+q")
        assert terminal.wait_for_exit() == 0, terminal.text
        assert not list(folder.glob("crash*"))


@pytest.mark.parametrize("milliseconds", [300, 800])
def test_keys_in_the_first_second_crash_nothing(tmp_path: Path, milliseconds: int) -> None:
    survives(tmp_path, [*"2]AMPw"], milliseconds)


def test_the_help_opens_before_the_screen_is_there(tmp_path: Path) -> None:
    with runtui(tmp_path, "demo", "--runs", "20") as terminal:
        terminal.press("?")
        terminal.wait_for("20 runs.*as of")
        assert b"Help" in terminal.received.partition(TEXTUAL_STARTS)[0]
        terminal.wait_for("Help")
        terminal.press("?", "q")
        assert terminal.wait_for_exit() == 0


def test_a_view_is_shown_on_the_first_rows_that_come(tmp_path: Path) -> None:
    with runtui(tmp_path, "demo", columns=80, rows=24) as terminal:
        terminal.press("x")
        terminal.wait_for("as of(?s:.*)Problems .* of 240 ")
        early = terminal.received.partition(TEXTUAL_STARTS)[0]
        if "✗ ".encode() in early:  # a slow sandbox answers later: rows are then first drawn by the app
            assert re.search(rb"Problems +[1-9]\d* of [1-9]", early)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_ctrl_q_pressed_early_leaves(tmp_path: Path) -> None:
    with runtui(tmp_path, "demo", "--runs", "20") as terminal:
        terminal.wait_for("(?m)^│?  [✓✗●◌■!] ")
        terminal.press("ctrl+q")
        assert terminal.wait_for_exit() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        ["j", "down", "pagedown", "k"],
        ["G", "pageup", "?"],
        ["down", "down", "enter"],
        ["end", "up", "space", "j", "space"],
        ["pagedown", "/", *"fail"],
        ["G", "g", "j", "tab"],
        ["k", "up", "home", "down", "c"],
    ],
)
def test_keys_on_the_first_rows_end_where_later_ones_do(tmp_path: Path, keys: list[str]) -> None:
    def ends(state: Path, milliseconds: int | None) -> str:
        shutil.copytree(tmp_path / "stored", state)
        with runtui(state, "--root", root, "--refresh", "0") as terminal:
            if milliseconds is None:
                terminal.wait_for("30 runs.*as of")
                for key in keys:
                    terminal.wait_until_quiet(0.3)
                    terminal._write(sent(key))
            else:
                terminal.wait_for_output(ENTER_SCREEN)
                terminal.wait_until_quiet(milliseconds / 1000)
                terminal._write("".join(map(sent, keys)))
            terminal.wait_for("as of|Help")
            terminal.wait_until_quiet(1.5)
            return re.sub(r" *\b(as of [\d:]+|\d+[smhd]\b)", " then", terminal.text)

    with sandbox() as root:
        with runtui(tmp_path / "stored", "--root", root) as terminal:
            terminal.wait_for("30 runs.*as of")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        slowly = ends(tmp_path / "slowly", None)
        for milliseconds in (1, 100, 300):
            assert ends(tmp_path / str(milliseconds), milliseconds) == slowly


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", MOMENTS)
def test_all_keys_at_once_crash_nothing_at_any_moment(tmp_path: Path, milliseconds: int) -> None:
    survives(tmp_path, [key for key in EVERY_KEY if key not in LEAVING], milliseconds)


@pytest.mark.slow
@pytest.mark.parametrize("first", MOMENTS[: APART // MOMENTS.step])
@pytest.mark.parametrize("key", [key for key in EVERY_KEY if key not in LEAVING])
def test_no_key_crashes_it_at_any_moment(tmp_path: Path, key: str, first: int) -> None:
    survives(tmp_path, [key], *range(first, MOMENTS.stop, APART))


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", MOMENTS)
# Until runtui controls the terminal, ctrl+q is XON, which the terminal driver keeps from every program.
@pytest.mark.parametrize("key", sorted(LEAVING - {"ctrl+q"}))
def test_leaving_at_any_moment_leaves(tmp_path: Path, key: str, milliseconds: int) -> None:
    survives(tmp_path, [key], milliseconds)
