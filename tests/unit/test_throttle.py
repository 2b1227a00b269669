"""How often, and when, a changing list is drawn while a person types."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from textual.message_pump import MessagePump

from runtui.services.foreground import Foreground
from runtui.tui.screens.view import LONGEST_REST, MAX_DELAYS, RELOAD_SECONDS, Throttle


class Owner:
    """A message pump with one timer that a test lets expire."""

    def __init__(self) -> None:
        self._due: Callable[[], object] | None = None
        self.rest = 0.0

    def set_timer(self, seconds: float, call: Callable[[], object]) -> Owner:
        assert self._due is None, "one at a time"
        self._due, self.rest = call, seconds
        return self

    def run_out(self) -> None:
        """Let the time of the timer pass."""
        due, self._due = self._due, None
        assert due is not None
        due()


class Desk:
    """A throttle, its message pump, and a person who types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self._now)
        self.owner, self.foreground, self.drawn = Owner(), Foreground(), 0
        self.throttle = Throttle(cast(MessagePump, cast(Any, self.owner)), self.foreground, self._draw)

    def _draw(self) -> None:
        self.drawn += 1

    def pass_by(self, *, typing: bool = False) -> None:
        """Let the timer expire, while a person types or not."""
        self._now += self.owner.rest
        if typing:
            self.foreground.note_input()
        self.owner.run_out()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_the_first_is_drawn_at_once_and_the_others_together(desk: Desk) -> None:
    for _ in range(5):
        desk.throttle.ask()
    assert desk.drawn == 1
    desk.pass_by()
    assert desk.drawn == 2
    desk.pass_by()
    assert desk.drawn == 2, "nothing was asked for since"


def test_while_much_changes_it_is_drawn_once_a_second_and_a_single_change_at_once(desk: Desk) -> None:
    rests = []
    for _ in range(12):
        desk.throttle.ask()
        desk.throttle.ask()
        rests.append(desk.owner.rest / RELOAD_SECONDS)
        desk.pass_by()
    assert rests == [1, 2, 4, *[LONGEST_REST] * 9]
    assert desk.drawn == 13
    desk.pass_by()
    desk.throttle.ask()
    assert (desk.drawn, desk.owner.rest) == (14, RELOAD_SECONDS)


def test_while_somebody_types_it_is_put_off_and_drawn_at_the_limit(desk: Desk) -> None:
    desk.throttle.ask()
    desk.throttle.ask()
    for _ in range(MAX_DELAYS):
        desk.pass_by(typing=True)
        assert desk.drawn == 1, "it waits for a pause"
    desk.pass_by(typing=True)
    assert desk.drawn == 2
    desk.pass_by()
    assert desk.drawn == 2, "once"


def test_a_pause_in_typing_is_enough(desk: Desk) -> None:
    desk.throttle.ask()
    desk.throttle.ask()
    desk.pass_by(typing=True)
    desk.pass_by()
    assert desk.drawn == 2
