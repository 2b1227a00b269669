"""Whether a request is sent again, and after how long: one rule for the listing, the saves and the commands.

Invariant: a GET is repeated three times at most, a write only where Graph itself says that it was not carried out. No
wait is longer than the limit, whatever a server asks for; what it asks for is told apart, so that people hear the
truth. Sources: RFC 9110, section 10.2.3; Microsoft Graph's guidance on throttling and on error responses.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from runtui.domain.times import TICKS_PER_SECOND, duration_text
from runtui.graph.exchange import Exchange, FailureKind

_logger: Final = logging.getLogger("runtui.graph")

THROTTLING: Final = frozenset({429, 503})
"""The statuses by which a service asks everybody to slow down."""

PASSING: Final = THROTTLING | {500, 502, 504}
"""The statuses of a GET that may pass by themselves."""

MOST_REPEATS: Final = 3
"""Times that one GET is sent again."""

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

_OF_ONE_REQUEST: Final = frozenset({FailureKind.REFUSED_ADDRESS, FailureKind.HEADER})
"""Why a request was not sent, for a reason that lies in it alone."""

_CHANCE: Final = random.Random()  # noqa: S311 - spreads requests, keeps no secret


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait before a request is sent again."""

    exchange: Exchange
    """The answer that brought it about."""
    seconds: float
    until: datetime
    """UTC."""


class Backoff:
    """The waits of those who ask one service side by side.

    When the service asks one of them to slow down, all of them wait; what else befalls one is no matter of the others.

    Args:
        tell: Told of each wait that is longer than those before it, and of None when nobody waits.
        longest: No wait is longer than these seconds.
    """

    def __init__(self, tell: Callable[[Wait | None], None], *, longest: float = LONGEST_WAIT) -> None:
        self._tell = tell
        self._longest = longest
        self._ends: dict[Pace | None, float] = {}
        """In the loop's time, when the wait of one of them, or (None) of all of them, is over."""

    def add(self, who: Pace | None, exchange: Exchange, tries: int) -> None:
        """Let `who`, or all of them (None), wait after the `tries`-th answer to a request."""
        now = datetime.now(UTC)
        seconds = wait_of(exchange, tries, now, longest=self._longest)
        end = asyncio.get_running_loop().time() + seconds
        _logger.info("wait %.1f s after try %d of #%d (%s)", seconds, tries, exchange.number, exchange.status)
        if end > max(self._ends.values(), default=0.0):
            self._tell(Wait(exchange, seconds, now + timedelta(seconds=seconds)))
        self._ends[who] = max(end, self._ends.get(who, 0.0))

    async def over(self, who: Pace) -> None:
        """Wait until neither `who` nor all of them have to wait."""
        loop = asyncio.get_running_loop()
        while waiting := [key for key in (who, None) if key in self._ends]:
            await asyncio.sleep(max(self._ends[key] for key in waiting) - loop.time())
            for key in waiting:
                if key in self._ends and loop.time() >= self._ends[key]:
                    del self._ends[key]
                    if not self._ends:
                        self._tell(None)


class Pace:
    """When the GETs of one job may be sent, and which are sent again.

    Args:
        backoff: Shared with the jobs that ask the same service at the same time; None for one of its own.
        failed_before: Whether this job failed the last time. It is then not repeated after a fault of the server's:
            the next time will tell.
    """

    def __init__(self, backoff: Backoff | None = None, *, failed_before: bool = False) -> None:
        self._backoff = backoff or Backoff(lambda _wait: None)
        self._failed_before = failed_before

    async def ready(self) -> None:
        """Wait until the next request may be sent."""
        await self._backoff.over(self)

    def retry(self, exchange: Exchange, tries: int) -> bool:
        """Whether to send the GET again that was answered so, for the `tries`-th time in a row (from 1)."""
        throttled = exchange.status in THROTTLING
        if not may_retry(exchange, tries) or (self._failed_before and not throttled):
            return False
        self._backoff.add(None if throttled else self, exchange, tries)
        return True


def may_retry(exchange: Exchange, tries: int) -> bool:
    """Whether a request is sent again after its `tries`-th answer (from 1), once the wait of `wait_of` is over.

    Of a write only 429 may be, and only where it is proved that nothing was applied; how often is for the caller.
    """
    if exchange.method == "GET":
        return exchange.status in PASSING and tries <= MOST_REPEATS
    return exchange.status == 429


def concerns_all(exchange: Exchange) -> bool:
    """Whether every other request would meet the same: no token, no connection, or a service that asks to wait."""
    failure = exchange.failure
    unreachable = failure is not None and failure.sent == "no" and failure.kind not in _OF_ONE_REQUEST
    return exchange.lacks_token or exchange.status in THROTTLING or unreachable


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
