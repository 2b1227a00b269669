"""What actions send to the terminal: what they change and no more. All of them: `python -m tests.bench.actions`."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

from runtui.keys.actions import ACTION_BY_ID, ACTIONS
from tests.bench.actions import BEFORE, LEFT_OUT, MOST_RATIO, REACH, at_rest, sent_by
from tests.bench.terminal import FOLLOWED_SECONDS


class Step(NamedTuple):
    """An action on a walk, and what it may send."""

    keys: str
    """Pressed before it, from where the action before has led."""
    action: str
    frames: int = 1
    """Two where the cursor is on another run: the panel follows it. One shows all else that a key leads to."""
    more: int = 0
    """Bytes beside those of the cells that change: a figure that may shrink and not grow."""


WALKS: Final = (
    (
        Step("", "sort_order"), Step("esc / o n", "keep_filter"), Step("", "filter"), Step("", "clear_filter"),
        Step("esc space space", "clear_marks", more=20), Step("", "cursor_down", 2), Step("", "overview"),
        Step("", "earlier_day"), Step("esc", "help"), Step("", "filter_help"), Step("esc esc", "palette"),
    ),
    (
        Step("", "edit"), Step("", "choose_value"), Step("c", "close_values"), Step("enter c enter", "revert"),
        Step("", "changed_only"), Step("enter c enter", "review"), Step("", "why"), Step("esc", "reject"),
        Step("", "discard", more=20), Step("esc ]", "previous_tab"), Step("> / a", "clear_search"),
    ),
)  # fmt: skip
"""Actions one after the other, each walk in a program of its own."""


@pytest.mark.parametrize("walk", WALKS, ids=("list", "form"))
def test_actions_send_what_they_change_in_one_frame_and_nothing_while_nobody_acts(walk: tuple[Step, ...]) -> None:
    with at_rest(120, 40) as terminal:
        for keys, action_id, frames, more in walk:
            sent = sent_by(terminal, ACTION_BY_ID[action_id], keys)
            assert 0 < sent.bytes <= MOST_RATIO * sent.floor + more, sent
            assert sent.frames <= frames, sent
        terminal.wait_until_quiet(FOLLOWED_SECONDS)
        assert terminal.idle_bytes(1.0) == 0


def test_every_action_is_measured_or_says_why_not() -> None:
    known = {action.id for action in ACTIONS}
    assert set(LEFT_OUT) | set(BEFORE) <= known
    assert not set(LEFT_OUT) & set(BEFORE)
    assert {action.scope for action in ACTIONS if action.id not in LEFT_OUT} <= set(REACH)
