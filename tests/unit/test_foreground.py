"""Background work that waits for a person's keys, and the longest time that it waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from runtui.services.foreground import MAX_SECONDS, PIECE_SECONDS, Foreground


class Moment:
    """The time, which moves only when something sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.pass_by)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


def test_a_key_counts_for_the_given_time(moment: Moment) -> None:
    waiting = Foreground()
    assert not waiting.had_input_within(0.25)
    waiting.note_input()
    for passed, is_recent in ((0.0, True), (0.24, True), (0.25, False), (9.0, False)):
        moment.now = 100.0 + passed
        assert waiting.had_input_within(0.25) is is_recent


@pytest.mark.parametrize(("passed", "left"), [(0.0, MAX_SECONDS), (0.01, MAX_SECONDS - 0.01), (5.0, 0.0)])
def test_a_thread_waits_for_a_key_that_nobody_answers_for_a_limited_time(
    moment: Moment, passed: float, left: float
) -> None:
    waiting = Foreground()
    waiting.note_input()
    moment.now += passed
    began = moment.now
    waiting.yield_to_input_in_thread()
    assert moment.now - began == pytest.approx(left, abs=0.002)


def test_a_key_that_is_held_down_slows_the_work_and_does_not_stop_it(moment: Moment) -> None:
    waiting, worked = Foreground(), 0.0
    for n in range(1_000):
        waiting.note_input()
        moment.pass_by(0.001)
        worked += n > 0 and not waiting.has_unhandled_input
    assert worked >= 25, "once in the longest wait, at least"


def test_after_a_handled_key_nothing_waits_until_the_next_key(moment: Moment) -> None:
    waiting = Foreground()
    waiting.note_input()
    waiting.note_handled()
    waiting.yield_to_input_in_thread()
    assert moment.now == 100.0
    waiting.note_input()
    assert waiting.has_unhandled_input


def test_work_that_waits_is_reported_apart_from_none(moment: Moment) -> None:
    waiting = Foreground()
    asked = [waiting.has_waiters]
    waiting.yield_to_input_in_thread()
    asked.append(waiting.has_waiters)
    moment.pass_by(9.0)
    asked.append(waiting.has_waiters)
    assert asked == [False, True, False]


async def test_the_event_loop_goes_on_between_two_pieces_and_longer_after_a_key() -> None:
    waiting, turns = Foreground(), list[str]()
    asyncio.get_running_loop().call_soon(turns.append, "something else")
    await waiting.yield_to_input()
    assert turns == ["something else"]
    began = time.monotonic()
    waiting.note_input()
    await waiting.yield_to_input()
    assert time.monotonic() - began >= MAX_SECONDS


def test_a_piece_of_work_is_too_short_to_notice() -> None:
    """100 ms feels immediate, and several pieces of work may come before a key."""
    assert PIECE_SECONDS <= 0.001
    assert MAX_SECONDS <= 0.033, "a key that is held down is typed 30 times a second"
