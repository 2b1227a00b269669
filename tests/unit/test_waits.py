"""How long to wait before the next try: what servers ask for in every form, and our own back-off."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.graph.exchange import Exchange
from runtui.graph.waits import (
    BACK_OFF_SECONDS,
    JITTER,
    LONGEST_WAIT,
    asked_wait,
    length_words,
    wait_of,
    wait_words,
)

NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
GRAPH_ERROR = b'{"error": {"code": "TooManyRequests", "message": "Slow down."}}'


def answered(*headers: tuple[str, str], status: int = 429, body: bytes = GRAPH_ERROR) -> Exchange:
    sent = (("client-request-id", "c1"),)
    return Exchange(
        1, "update run", "PATCH", "http://x/", sent, "{}", NOW, 0.0, status, "", headers, response_body=body
    )


def asking(value: str) -> Exchange:
    return answered(("Retry-After", value))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("41", 41.0),
        (" 41 ", 41.0),
        ("007", 7.0),
        ("5,5", 5.0),
        ("5, 315", 315.0),
        ("9999999", 9_999_999.0),
        ("9" * 5_000, 100 * 365 * 86_400.0),
        ("Mon, 23 Nov 2026 10:00:41 GMT", 41.0),
        ("Monday, 23-Nov-26 10:00:41 GMT", 41.0),
        ("Mon Nov 23 10:00:41 2026", 41.0),
        ("Mon, 23 Nov 2026 11:00:41 +0100", 41.0),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 09:59:59 GMT", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("1_000", None),
        ("٤١", None),
        ("5,x", None),
        (",", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Mon, 23 Nov 2026 10:00:41 +9999999", None),
        ("\x1b[2J", None),
    ],
)
def test_what_a_server_asks_for(value: str, seconds: float | None) -> None:
    assert asked_wait(asking(value), NOW) == seconds


def test_without_the_header_nothing_is_asked() -> None:
    assert asked_wait(answered(("Date", "Mon, 23 Nov 2026 10:00:41 GMT")), NOW) is None


def test_of_two_headers_the_longer_wait_counts_and_garbage_does_not() -> None:
    assert asked_wait(answered(("retry-after", "5"), ("Retry-After", "soon"), ("RETRY-AFTER", "7")), NOW) == 7.0


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_date_is_measured_by_the_clock_of_the_server(hours: int) -> None:
    its_now = NOW + timedelta(hours=hours)
    date = ("Date", format_datetime(its_now, usegmt=True))
    until = ("Retry-After", format_datetime(its_now + timedelta(seconds=30), usegmt=True))
    assert asked_wait(answered(date, until), NOW) == 30.0
    assert asked_wait(answered(("Date", "some day"), until), NOW) == (7_230.0 if hours == 2 else None)


@given(st.text(max_size=60) | st.text("0123456789,;: -+.GMTJan", max_size=60))
def test_no_header_breaks_the_reading_of_it(value: str) -> None:
    exchange = answered(("Retry-After", value), ("Date", value))
    asked = asked_wait(exchange, NOW)
    assert asked is None or asked >= 0
    assert 0 <= wait_of(exchange, 1, NOW) <= LONGEST_WAIT
    assert NOW + timedelta(seconds=asked or 0) >= NOW, "a moment that can be shown"
    assert length_words(asked or 0)


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**6))
def test_a_date_that_a_server_writes_is_read_back(skew: int, seconds: int) -> None:
    its_now = NOW + timedelta(seconds=skew)
    until = format_datetime(its_now + timedelta(seconds=seconds), usegmt=True)
    assert asked_wait(answered(("Date", format_datetime(its_now, usegmt=True)), ("Retry-After", until)), NOW) == seconds


def test_what_is_asked_is_waited_up_to_the_limit_and_the_truth_is_told() -> None:
    assert wait_of(asking("41"), 1, NOW) == 41.0
    assert wait_of(asking("9999999"), 1, NOW) == LONGEST_WAIT
    assert wait_of(asking("41"), 1, NOW, longest=10) == 10
    assert wait_words(asking("9999999"), 300, NOW) == "The server asks for 115d 17h; trying again in 5m 00s."
    assert wait_words(asking("12"), 12, NOW) == "Trying again in 12s."
    assert wait_words(answered(), 3.2, NOW) == "Trying again in 4s."


@given(st.integers(1, 10**9), st.integers())
def test_without_a_word_each_wait_is_longer_than_the_last_and_bounded(attempt: int, seed: int) -> None:
    chance = random.Random(seed)
    wait = wait_of(answered(), attempt, NOW, chance=chance)
    base = min(BACK_OFF_SECONDS * 2.0 ** min(attempt - 1, 10), LONGEST_WAIT)
    assert base <= wait <= min(base * (1 + JITTER), LONGEST_WAIT)
    assert wait <= wait_of(answered(), attempt + 1, NOW, chance=chance), "even the shortest next one"


def test_programs_that_were_refused_together_do_not_come_back_together() -> None:
    waits = {wait_of(answered(), 1, NOW, chance=random.Random(seed)) for seed in range(20)}
    assert len(waits) == 20


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (0.2, "1s"), (59.5, "1m 00s"), (7_200, "2h 00m")])
def test_a_wait_is_never_told_too_short(seconds: float, words: str) -> None:
    assert length_words(seconds) == words
