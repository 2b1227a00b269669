"""With the output layer, the app on a real terminal shows the same as without it."""

from __future__ import annotations

import os
import signal
import sys
import time
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Final

import pyte
import pytest

from tests import PATIENCE
from tests.seen import seen
from tests.terminal.pty_probe import PtyProbe

ROOT: Final = Path(__file__).parents[2]
READY: Final = r"240 runs.*as of"
MUCH: Final = 400_000
"""A number of bytes; a quarter of it exceeds a whole screen and what Linux buffers for a terminal that does not
read."""
FIRST_KEYS: Final = ("pagedown", "pagedown", "pageup", "ctrl+p", "down", "pagedown", "esc")
KEYS: Final = (
    "down", "down", "down", "up", "end", "home", "space", "s", "x", "z", ">", "?", "/", "d", "enter", "e", "tab", "tab",
    "5", "backspace", "ctrl+t", "esc", "esc", "right", "left",
)  # fmt: skip
"""The keys that a walk presses at random; none of them quits or writes."""


class Shadow:
    """An emulated terminal that gets the output of Textual without the layer."""

    def __init__(self, path: Path, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._stream.feed("\x1b[?7l")
        self._path = path
        self._file = path.open(encoding="utf-8", newline="")

    def catch_up(self) -> None:
        self._stream.feed(self._file.read())

    def size(self) -> int:
        """The bytes that Textual would have sent so far without the layer."""
        return self._path.stat().st_size

    def wait_for_more_than(self, size: int) -> None:
        """Wait until more was drawn."""
        end = time.monotonic() + PATIENCE
        while self.size() <= size:
            assert time.monotonic() < end, "nothing more was drawn"
            time.sleep(0.002)

    def __enter__(self) -> Shadow:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def differences(layered: pyte.Screen, plain: pyte.Screen) -> list[str]:
    """Return the differences between two terminals, cell by cell."""
    return [
        f"line {y}, column {x}: {one} is to be {other}"
        for y, (row, other_row) in enumerate(zip(seen(layered), seen(plain), strict=True))
        for x, (one, other) in enumerate(zip(row, other_row, strict=True))
        if one != other
    ]


def differences_at_rest(terminal: PtyProbe, shadow: Shadow) -> list[str]:
    """Return the differences once the program is quiet; repeat while it may still draw."""
    end = time.monotonic() + PATIENCE
    while True:
        terminal.wait_until_quiet(0.05)
        shadow.catch_up()
        unlike = differences(terminal._screen, shadow.screen)
        if not unlike or time.monotonic() > end:
            return unlike


def demo(tmp_path: Path, shadow: Path, **variables: str) -> PtyProbe:
    command = [sys.executable, "-m", "tests.terminal.shadowed_demo", str(shadow), str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **variables}
    return PtyProbe(command, columns=100, rows=30, env=environment, is_forked=True)


def walk(tmp_path: Path, *, seed: int, presses: int) -> None:
    """Press random keys, and compare the two terminals whenever the program is quiet."""
    path = tmp_path / "shadow"
    random = Random(seed)
    with demo(tmp_path, path) as terminal:
        terminal.wait_for(READY)
        pressed: list[str] = []
        with Shadow(path, 100, 30) as shadow:
            for number in range(presses):
                if number == presses // 2:
                    terminal.resize(120, 40)
                    shadow.screen.resize(40, 120)
                known = FIRST_KEYS[number : number + 1]
                keys = known or random.choices(KEYS, k=random.choice([1, 1, 2, 6]))
                pressed += keys
                terminal.press(*keys)
                unlike = differences_at_rest(terminal, shadow)
                assert unlike == [], f"{number}: after {' '.join(pressed)}\n{terminal.text}"


def test_a_walk_through_the_app_leaves_the_same_screens(tmp_path: Path) -> None:
    walk(tmp_path, seed=20261123, presses=24)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_long_walks_leave_the_same_screens(tmp_path: Path, seed: int) -> None:
    walk(tmp_path, seed=seed, presses=200)


def test_a_terminal_that_does_not_read_holds_up_nothing_but_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    with demo(tmp_path, path) as terminal:
        terminal.wait_for(READY)
        with Shadow(path, 100, 30) as shadow:
            assert differences_at_rest(terminal, shadow) == []
            received, drawn = len(terminal.received), shadow.size()
            keys = cycle(("end", "home"))
            while (before := shadow.size()) - drawn < MUCH:
                terminal.press(next(keys))
                shadow.wait_for_more_than(before)  # the app continues while nobody reads
            assert differences_at_rest(terminal, shadow) == []
            assert len(terminal.received) - received < MUCH / 4


def test_after_a_stop_the_whole_screen_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    with demo(tmp_path, path) as terminal:
        terminal.wait_for(READY)
        with Shadow(path, 100, 30) as shadow:
            assert differences_at_rest(terminal, shadow) == []
            os.kill(terminal.process.pid, signal.SIGTSTP)
            terminal.wait_for_stop()
            terminal.wait_until_quiet()
            terminal._screen.erase_in_display(2)  # the output of the shell and of other programs
            os.kill(terminal.process.pid, signal.SIGCONT)
            assert differences_at_rest(terminal, shadow) == []


@pytest.mark.parametrize("stop", [signal.SIGTSTP, signal.SIGSTOP])
def test_stopped_at_any_moment_it_goes_on(tmp_path: Path, stop: signal.Signals) -> None:
    """The program is stopped while it draws, also while it hands output over to the writing thread."""
    with demo(tmp_path, tmp_path / "shadow") as terminal:
        terminal.wait_for(READY)
        keys = cycle(KEYS[:7])
        for _ in range(20):
            terminal.press(next(keys), next(keys))
            os.kill(terminal.process.pid, stop)
            terminal.wait_for_stop()
            terminal._screen.erase_in_display(2)
            os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.wait_for(READY)
        end = time.monotonic() + terminal.timeout
        while "Help" not in terminal.text and time.monotonic() < end:
            terminal.press("?")  # taking the terminal back discards earlier input
            terminal.wait_until_quiet()
        terminal.wait_for("Help")


def test_the_layer_can_be_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    with demo(tmp_path, path, RUNTUI_PLAIN_OUTPUT="1") as terminal:
        terminal.wait_for(READY)
        end = time.monotonic() + PATIENCE
        while path.read_bytes()[-200:] not in terminal.received.replace(b"\r\n", b"\n"):
            assert time.monotonic() < end, "the terminal gets something else than Textual writes"
            terminal.wait_until_quiet()
