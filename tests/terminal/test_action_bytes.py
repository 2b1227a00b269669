"""Actions send to the terminal only what they change. `python -m tests.bench.actions` measures all of them."""

from __future__ import annotations

from typing import Final

from runtui.keys.actions import ACTION_BY_ID, ACTIONS
from tests.bench.actions import ANSWERED_LATER, BEFORE, FOLLOWED_BY_PANEL, LEFT_OUT, MAX_RATIO, REACH, at_rest, sent_by
from tests.bench.terminal import FOLLOWED_SECONDS

STEPS: Final = ("sort_order", "edit", "help")
"""Actions that change cells, open a screen below, and one above; tests/tui/test_frames_of_actions.py draws them all."""


def test_actions_send_what_they_change_and_nothing_while_nobody_acts() -> None:
    with at_rest(120, 40) as terminal:
        for action_id in STEPS:
            sent = sent_by(terminal, ACTION_BY_ID[action_id])
            assert 0 < sent.bytes <= MAX_RATIO * sent.floor, sent
            terminal.press("esc")
        terminal.wait_until_quiet(FOLLOWED_SECONDS + 1.0)


def test_every_action_is_measured_or_says_why_not() -> None:
    known = {action.id for action in ACTIONS}
    assert set(LEFT_OUT) | set(BEFORE) <= known
    assert not set(LEFT_OUT) & set(BEFORE)
    assert set(ANSWERED_LATER) | FOLLOWED_BY_PANEL <= known - set(LEFT_OUT)
    assert {action.scope for action in ACTIONS if action.id not in LEFT_OUT} <= set(REACH)
