"""How long to wait before a request is sent again: what the server asks for, or a back-off of our own.

Invariant: no wait is longer than the limit, whatever a server asks for. What it asks for is told apart, so that people
hear the truth. Whether to send again at all is for the caller to know.
"""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from runtui.domain.times import TICKS_PER_SECOND, duration_text
from runtui.graph.exchange import Exchange

LONGEST_WAIT: Final = 300.0
"""Seconds. A server that asks for more is asked again after this long."""

BACK_OFF_SECONDS: Final = 3.0
"""The wait after the first try when the server names none; it doubles with each try."""

JITTER: Final = 0.5
"""A back-off is longer by up to this share of it, by chance: programs refused together do not come back together."""

_LONGEST_ASKED: Final = 100 * 365 * 86_400.0
"""A century. What is longer is not worth telling apart, and a date so far away can still be computed."""

_MOST_DOUBLINGS: Final = 10
"""Beyond it a back-off only grows past the limit."""

_DIGITS: Final = re.compile(r"[0-9]+")

_CHANCE: Final = random.Random()  # noqa: S311 - spreads requests, keeps no secret


def asked_wait(exchange: Exchange, now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for; None when it is absent, past or cannot be understood.

    It may be a number of seconds or an HTTP date. A date is measured against the server's own clock, the `Date` of the
    same answer, and only without one against `now` (aware). Of several values, as proxies join them, the longest
    counts.
    """
    values = [value for name, value in exchange.response_headers if name.lower() == "retry-after"]
    waits = [wait for value in values if (wait := _seconds(value, exchange, now)) is not None]
    return min(max(waits), _LONGEST_ASKED) if waits else None


def wait_of(
    exchange: Exchange,
    attempt: int,
    now: datetime,
    *,
    longest: float = LONGEST_WAIT,
    chance: random.Random = _CHANCE,
) -> float:
    """The seconds to wait after the `attempt`-th try (from 1), which ended as `exchange`, before the next one.

    What the server asks for, else an exponential back-off with jitter; never more than `longest`.
    """
    asked = asked_wait(exchange, now)
    if asked is None:
        doublings = min(attempt - 1, _MOST_DOUBLINGS)
        asked = BACK_OFF_SECONDS * 2.0**doublings * (1 + JITTER * chance.random())
    return min(asked, longest)


def wait_words(exchange: Exchange, seconds: float, now: datetime) -> str:
    """One sentence on a wait of `seconds`: when the next try is, and what the server asks for where that is longer."""
    asked = asked_wait(exchange, now)
    again = f"rying again in {length_words(seconds)}."
    return f"T{again}" if asked is None or asked <= seconds else f"The server asks for {length_words(asked)}; t{again}"


def length_words(seconds: float) -> str:
    """A wait in words, such as "41s" or "115d 17h", never shorter than it is."""
    return duration_text(math.ceil(seconds) * TICKS_PER_SECOND)


def _seconds(value: str, exchange: Exchange, now: datetime) -> float | None:
    parts = [part.strip() for part in value.split(",")]
    if all(_DIGITS.fullmatch(part) for part in parts):
        return max(float(part) for part in parts)
    until = _date(value)
    if until is None:
        return None
    seconds = (until - (_date(exchange.response_header("date")) or now)).total_seconds()
    return seconds if seconds >= 0 else None


def _date(value: str) -> datetime | None:
    """An HTTP date, in any of its three forms; None when it is none."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
