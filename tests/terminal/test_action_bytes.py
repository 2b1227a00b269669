"""An action sends to the terminal only what it changes. `python -m tests.bench.actions` measures all of them;
tests/tui/test_frames_of_actions.py draws them all without a terminal."""

from __future__ import annotations

from runtui.keys.actions import ACTION_BY_ID
from tests.bench.actions import MAX_RATIO, at_rest, sent_by
from tests.bench.terminal import FOLLOWED_SECONDS


def test_an_action_sends_what_it_changes_and_nothing_while_nobody_acts() -> None:
    with at_rest(120, 40) as terminal:
        sent = sent_by(terminal, ACTION_BY_ID["edit"])
        assert 0 < sent.bytes <= MAX_RATIO * sent.floor, sent
        terminal.press("esc")
        terminal.wait_until_quiet(FOLLOWED_SECONDS + 1.0)
