"""On a line that is slower than the program, output waits until earlier output has arrived."""

from __future__ import annotations

import sys
import time
from typing import Final

from runtui.tui.terminal import ANSWER_SECONDS, MAX_IN_TRANSIT
from tests.terminal.pty_probe import PtyProbe

DEMO: Final = (sys.executable, "-m", "runtui", "demo", "--refresh", "0")
READY: Final = r"240 runs.*as of"
GIVEN_BACK: Final = b"\x1b[?1049l"
LARGEST_FRAME: Final = 6_000
"""A number of bytes; a screen of 80 by 24 needs fewer."""


class SlowLine(PtyProbe):
    """A terminal at the far end of a line. While the line is held up, the program gets no answers to its questions."""

    is_held_up = False
    asked = 0

    def _tell_status(self) -> None:
        self.asked += 1
        if not self.is_held_up:
            self.answer()

    def answer(self) -> None:
        """Answer all open questions of the program."""
        for _ in range(self.asked):
            super()._tell_status()
        self.asked = 0


def test_unarrived_output_holds_back_later_frames_and_the_last_state_is_shown() -> None:
    with SlowLine(DEMO, is_forked=True) as terminal:
        terminal.wait_for(READY)
        terminal.wait_until_quiet(0.5)
        terminal.is_held_up = True
        before, since = len(terminal.received), time.monotonic()
        for _ in range(20):
            terminal.press("pagedown", "pageup", "pagedown")
            terminal.wait_until_quiet(0.02)
        terminal.wait_until(lambda: terminal.asked)
        given_up = int((time.monotonic() - since) / ANSWER_SECONDS)
        assert len(terminal.received) - before <= MAX_IN_TRANSIT + (2 + given_up) * LARGEST_FRAME
        terminal.is_held_up = False
        terminal.answer()
        terminal.press("?")
        terminal.wait_for("Help")


def test_an_answer_that_is_late_is_not_left_to_the_shell() -> None:
    shell = ("sh", "-c", '"$@"; echo "it is the shell"; cat', "sh", *DEMO)
    with SlowLine(shell) as terminal:
        terminal.wait_for(READY)
        terminal.wait_until_quiet(0.5)
        terminal.is_held_up = True
        before, pressed = len(terminal.received), time.monotonic()
        terminal.press("end")
        terminal.wait_for_bytes(before)
        terminal.press("q")
        while GIVEN_BACK not in terminal.received and time.monotonic() < pressed + ANSWER_SECONDS / 2:
            terminal.wait_until_quiet(0.05)
        is_given_back = GIVEN_BACK in terminal.received
        is_given_up = time.monotonic() > pressed + ANSWER_SECONDS  # the machine had no time for this test
        assert is_given_up or not is_given_back
        terminal.is_held_up = False
        terminal.answer()
        terminal.wait_for("it is the shell")
        is_given_up = time.monotonic() > pressed + ANSWER_SECONDS
        terminal.wait_until_quiet(0.3)
        assert is_given_up or "[0n" not in terminal.text
