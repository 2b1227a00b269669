"""Which requests are repeated, and when: one rule, every form in which servers ask to wait, and the back-off."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.report import Outcome
from runtui.domain.times import length_words
from runtui.graph.exchange import Exchange, Failure, FailureKind
from runtui.graph.retry import (
    BACK_OFF_SECONDS,
    JITTER,
    LONGEST_WAIT,
    MAX_REPEATS,
    MAX_WRITE_REPEATS,
    Backoff,
    Pace,
    Retry,
    Wait,
    concerns_all,
    retry_after_seconds,
    retry_of,
    wait_of,
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
def test_the_wait_that_a_server_asks_for(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(asking(value)) == seconds


def test_without_the_header_nothing_is_asked() -> None:
    assert retry_after_seconds(answered(("Date", "Mon, 23 Nov 2026 10:00:41 GMT"))) is None


def test_of_two_headers_the_longer_wait_counts_and_garbage_does_not() -> None:
    assert retry_after_seconds(answered(("retry-after", "5"), ("Retry-After", "soon"), ("RETRY-AFTER", "7"))) == 7.0


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_date_is_measured_by_the_clock_of_the_server(hours: int) -> None:
    its_now = NOW + timedelta(hours=hours)
    date = ("Date", format_datetime(its_now, usegmt=True))
    until = ("Retry-After", format_datetime(its_now + timedelta(seconds=30), usegmt=True))
    assert retry_after_seconds(answered(date, until)) == 30.0
    assert retry_after_seconds(answered(("Date", "some day"), until)) == (7_230.0 if hours == 2 else None)


@given(st.text(max_size=60) | st.text("0123456789,;: -+.GMTJan", max_size=60))
def test_no_header_breaks_the_reading_of_it(value: str) -> None:
    exchange = answered(("Retry-After", value), ("Date", value))
    asked = retry_after_seconds(exchange)
    assert asked is None or asked >= 0
    assert 0 <= wait_of(exchange, 1).seconds <= LONGEST_WAIT
    assert NOW + timedelta(seconds=asked or 0) >= NOW, "a moment that can be shown"
    assert length_words(asked or 0)


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**6))
def test_a_date_that_a_server_writes_is_read_back(skew: int, seconds: int) -> None:
    its_now = NOW + timedelta(seconds=skew)
    until = format_datetime(its_now + timedelta(seconds=seconds), usegmt=True)
    assert (
        retry_after_seconds(answered(("Date", format_datetime(its_now, usegmt=True)), ("Retry-After", until)))
        == seconds
    )


def test_the_requested_wait_is_honoured_up_to_the_limit() -> None:
    assert wait_of(asking("41"), 1).seconds == 41.0
    assert wait_of(asking("9999999"), 1).seconds == LONGEST_WAIT
    assert wait_of(asking("41"), 1, longest=10).seconds == 10


@given(st.integers(1, MAX_WRITE_REPEATS), st.integers())
def test_without_retry_after_each_wait_is_longer_but_bounded(attempt: int, seed: int) -> None:
    with patch("random.random", random.Random(seed).random):
        wait = wait_of(answered(), attempt).seconds
    base = BACK_OFF_SECONDS * 2 ** (attempt - 1)
    assert base <= wait <= base * (1 + JITTER) < LONGEST_WAIT
    assert wait <= wait_of(answered(), attempt + 1).seconds, "even the shortest next one"


def test_programs_that_were_refused_together_do_not_come_back_together() -> None:
    waits = {wait_of(answered(), 1).seconds for _ in range(20)}
    assert len(waits) == 20


def test_why_a_request_waits_names_the_status_and_a_longer_requested_wait() -> None:
    assert wait_of(asking("41"), 1).why == "The service is busy (429)"
    assert wait_of(asking("90000"), 1).why == "The service asks to wait 1d 01h (429)"
    assert wait_of(replace(answered(), status=504), 1).why == "The service failed (504)"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (0.2, "1s"), (59.5, "1m 00s"), (7_200, "2h 00m")])
def test_a_wait_is_never_told_too_short(seconds: float, words: str) -> None:
    assert length_words(seconds) == words


def under_if_match(status: int) -> Exchange:
    """Return the answer to a change of one version."""
    return replace(answered(status=status), request_headers=(("If-Match", '"1"'),))


def read(status: int, wait: str = "") -> Exchange:
    """Return the answer to a GET."""
    return replace(answered(*([("Retry-After", wait)] if wait else []), status=status), method="GET")


NO_TOKEN = Failure(FailureKind.TOKEN, "no", "Nobody is signed in.")
OTHERS = (200, 204, 302, 400, 403, 404, 408, 409, 410, 412, 423, 501, 505)


@pytest.mark.parametrize(
    ("exchange", "of_a_read", "of_a_change"),
    [
        pytest.param(answered(status=401), Retry.NEW_TOKEN, Retry.NEW_TOKEN, id="401"),
        pytest.param(replace(answered(), status=None, failure=NO_TOKEN), Retry.NEVER, Retry.NEW_TOKEN, id="no token"),
        pytest.param(answered(status=429), Retry.WAIT, Retry.WAIT, id="429"),
        *(pytest.param(answered(status=code), Retry.WAIT, Retry.NEVER, id=f"{code}") for code in (500, 502, 503, 504)),
        pytest.param(under_if_match(412), Retry.NEVER, Retry.FRESH_READ, id="412 under an If-Match"),
        *(pytest.param(answered(status=code), Retry.NEVER, Retry.NEVER, id=f"{code}") for code in OTHERS),
    ],
)
def test_how_a_request_is_retried(exchange: Exchange, of_a_read: Retry, of_a_change: Retry) -> None:
    of_get = replace(exchange, method="GET", request_headers=())
    assert retry_of(of_get, 1) is of_a_read
    assert retry_of(of_get, 1, for_change=True) is (Retry.NEW_TOKEN if exchange.lacks_token else of_a_read)
    assert retry_of(exchange, 1, for_change=True) is of_a_change
    for outcome in (Outcome.UNKNOWN, Outcome.DONE):
        assert retry_of(exchange, 1, outcome=outcome, for_change=True) is Retry.NEVER, "it may have been applied"


@pytest.mark.parametrize(
    ("exchange", "most"),
    [
        pytest.param(read(503), MAX_REPEATS, id="a GET"),
        pytest.param(answered(), MAX_WRITE_REPEATS, id="a change that was throttled"),
        pytest.param(under_if_match(412), MAX_WRITE_REPEATS, id="a change of a version that is gone"),
    ],
)
def test_how_often_a_request_is_sent_again(exchange: Exchange, most: int) -> None:
    allowed = [retry_of(exchange, tries) is not Retry.NEVER for tries in range(1, 9)]
    assert allowed == [tries <= most for tries in range(1, 9)]


def test_a_token_is_renewed_once() -> None:
    assert retry_of(answered(status=401), 1, has_new_token=True, for_change=True) is Retry.NEVER


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_request_that_never_left_concerns_all_unless_the_fault_is_its_own(kind: FailureKind) -> None:
    of_this_one = kind in (FailureKind.REFUSED_ADDRESS, FailureKind.HEADER)
    failed = replace(read(200), status=None, failure=Failure(kind, "no", "It failed."))
    assert concerns_all(failed) is not of_this_one
    assert concerns_all(replace(failed, failure=Failure(kind, "maybe", "It failed."))) is (kind is FailureKind.TOKEN)


@pytest.mark.parametrize(
    ("status", "of_all"),
    [(401, True), (429, True), (503, True), (403, False), (404, False), (500, False), (504, False)],
)
def test_a_refused_token_and_a_busy_service_concern_all(status: int, of_all: bool) -> None:
    assert concerns_all(read(status)) is of_all


class Clock:
    """The clock of the event loop: a sleep moves it forward and is recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop, sleep = asyncio.get_running_loop(), asyncio.sleep
        self.now = 1_000.0
        self.slept: list[float] = []

        async def no_sleep(seconds: float) -> None:
            self.slept.append(round(seconds, 3))
            self.now += seconds
            await sleep(0)

        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", no_sleep)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_pace_allows_three_repeats_each_after_the_wait_that_was_asked_for(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pace = Clock(monkeypatch), Pace()
    tries = 0
    while True:
        await pace.ready()
        tries += 1
        if not pace.retry(read(status, str(tries)), tries):
            break
    assert tries == MAX_REPEATS + 1
    assert clock.slept == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("status", "waits"), [(429, True), (503, True), (500, False), (504, False)])
async def test_all_wait_for_a_busy_service_but_not_for_the_trouble_of_one(
    status: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    told: list[Wait | None] = []
    backoff = Backoff(told.append, longest=60)
    struck, other = Pace(backoff), Pace(backoff)
    assert struck.retry(read(status, "3600"), 1)
    await other.ready()
    assert clock.slept == ([60.0] if waits else [])
    await struck.ready()
    assert clock.slept == [60.0]
    assert [wait and wait.retry_after for wait in told] == [3_600.0, None], "more than it waits, and the end"


async def test_a_wait_that_another_answer_prolongs_meanwhile_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = asyncio.sleep
    clock, backoff = Clock(monkeypatch), Backoff(lambda _wait: None)
    assert Pace(backoff).retry(read(503, "5"), 1)
    waiting = asyncio.create_task(Pace(backoff).ready())
    await turn(0)
    assert Pace(backoff).retry(read(503, "7"), 1)
    await waiting
    assert clock.slept == [5.0, 7.0]


@pytest.mark.parametrize("status", [500, 503])
async def test_a_wait_that_many_answers_ask_for_at_once_is_announced_once(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    told: list[Wait | None] = []
    backoff = Backoff(told.append)
    pace = Pace(backoff)
    for _ in range(20):
        assert pace.retry(read(status, "5"), 1)
        clock.now += 0.001
    assert pace.retry(read(status, "9"), 1)
    assert [wait and wait.exchange.response_header("Retry-After") for wait in told] == ["5", "9"]
    assert backoff.seconds_asked_for == pytest.approx(9.02 if status == 503 else 0.0), "no second counts twice"


async def test_a_failed_workflow_causes_no_wait_but_a_busy_service_does() -> None:
    pace = Pace(failed_before=True)
    assert not pace.retry(read(500), 1)
    assert pace.retry(read(503), 1)
    assert not Pace().retry(read(200), 1)
