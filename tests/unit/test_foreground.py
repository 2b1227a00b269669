"""Work that comes after what a person does: how long it waits, and that it waits no longer."""

from __future__ import annotations

import asyncio
import time

import pytest

from runtui.services.writing.foreground import PIECE_SECONDS, TAKES_EFFECT_SECONDS, Foreground


class Moment:
    """The time, and for how long somebody slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.slept.append)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


def test_a_key_counts_as_long_as_it_is_asked_for_and_none_before_it(moment: Moment) -> None:
    waiting = Foreground()
    assert not waiting.was_touched(0.25)
    waiting.touch()
    for passed, is_recent in ((0.0, True), (0.24, True), (0.25, False), (9.0, False)):
        moment.now = 100.0 + passed
        assert waiting.was_touched(0.25) is is_recent


@pytest.mark.parametrize(("passed", "left"), [(0.0, 0.01), (0.004, 0.006), (0.01, 0.0), (5.0, 0.0)])
def test_a_thread_waits_until_the_key_has_taken_effect(moment: Moment, passed: float, left: float) -> None:
    waiting = Foreground()
    waiting.touch()
    moment.now += passed
    waiting.let_pass_in_thread()
    assert moment.slept == [pytest.approx(left)]


async def test_the_event_loop_goes_on_between_two_pieces_and_longer_after_a_key() -> None:
    waiting, turns = Foreground(), list[str]()
    asyncio.get_running_loop().call_soon(turns.append, "something else")
    await waiting.let_pass()
    assert turns == ["something else"]
    waiting.touch()
    began = time.monotonic()
    await waiting.let_pass()
    assert time.monotonic() - began >= TAKES_EFFECT_SECONDS / 2


def test_a_piece_is_far_below_what_a_person_feels() -> None:
    """100 ms feels immediate; several pieces of work may stand before a key."""
    assert PIECE_SECONDS <= 0.001
    assert TAKES_EFFECT_SECONDS <= 0.02
