"""Whether a request is sent again, and after how long: the one rule for listings, changes and commands.

Invariant: what may have been applied is never sent again. By the answer (`retry_of`):

| The answer                                   | A GET                     | A change that was not applied           |
|----------------------------------------------|---------------------------|-----------------------------------------|
| 401                                          | with another token, once  | with another token, once                |
| there was no token                           | is the end; with another  | with another token, once                |
|                                              | token for a change        |                                         |
| 429                                          | after a wait, three times | after a wait, four times                |
| 500, 502, 503, 504                           | after a wait, three times | is the end                              |
| 412 under an If-Match                        | is the end                | over a fresh reading, four times        |
| anything else                                | is the end                | is the end                              |

No wait is longer than its limit, whatever a server asks for. Sources: RFC 9110, sections 9.2.2, 10.2.3 and 13.1.1;
Microsoft Graph's guidance on throttling and on error responses.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from runtui.domain.report import Outcome, wait_reason
from runtui.domain.times import second_text
from runtui.graph.exchange import Exchange, FailureKind, http_date

_logger: Final = logging.getLogger("runtui.graph")

THROTTLING: Final = frozenset({429, 503})
"""The statuses by which a service asks everybody to slow down."""

PASSING: Final = THROTTLING | {500, 502, 504}
"""The statuses of a GET that may pass by themselves."""

MAX_REPEATS: Final = 3
"""Times that one GET is sent again."""

MAX_WRITE_REPEATS: Final = 4
"""Times that a change is sent again after the service proved that it applied nothing."""

LONGEST_WAIT: Final = 300.0
"""Seconds. A server that asks for more is asked again after this long."""

BACK_OFF_SECONDS: Final = 3.0
"""The wait after the first try when the server names none; it doubles with each try."""

JITTER: Final = 0.5
"""A back-off is longer by up to this share of it, by chance: programs refused together do not come back together."""

_LONGEST_RETRY_AFTER: Final = 100 * 365 * 86_400.0
"""A century. What is longer is not worth telling apart, and a date so far away can still be computed."""

_MAX_DOUBLINGS: Final = 10
"""Beyond it a back-off only grows past the limit."""

_DIGITS: Final = re.compile(r"[0-9]+")

_OF_ONE_REQUEST: Final = frozenset({FailureKind.REFUSED_ADDRESS, FailureKind.HEADER})
"""Why a request was not sent, for a reason that lies in it alone."""

_CHANCE: Final = random.Random()  # noqa: S311 - spreads requests, keeps no secret


class Retry(Enum):
    """What has to come before a request is sent again."""

    NEVER = "it is not sent again"
    WAIT = "the wait of `wait_of`"
    NEW_TOKEN = "another token"  # noqa: S105 - a reason, not a token
    FRESH_READ = "a fresh reading of what is to be changed"


class Wait(NamedTuple):
    """A wait before a request is sent again."""

    exchange: Exchange
    """The answer that brought it about."""
    seconds: float
    until: datetime
    """UTC."""
    retry_after: float | None = None
    """What the server asks for, where that is longer."""

    @property
    def words(self) -> str:
        """Why nothing is asked now, and when it is again, as a sentence."""
        why = wait_reason(self.exchange.status, self.retry_after)
        return f"{why}; runtui asks again at {second_text(self.until)}."


class Backoff:
    """The waits of those who ask one service side by side, none of which is longer than `longest` seconds.

    When the service asks one of them to slow down, all of them wait; what else befalls one is no matter of the others.
    `tell` is told of each wait that is longer than those before it, and of None when nobody waits.
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
            asked, until = retry_after_seconds(exchange, now) or 0.0, now + timedelta(seconds=seconds)
            self._tell(Wait(exchange, seconds, until, asked if asked > seconds else None))
        self._ends[who] = max(end, self._ends.get(who, 0.0))

    async def over(self, who: Pace) -> None:
        loop = asyncio.get_running_loop()
        while waiting := [key for key in (who, None) if key in self._ends]:
            await asyncio.sleep(max(self._ends[key] for key in waiting) - loop.time())
            for key in waiting:
                if key in self._ends and loop.time() >= self._ends[key]:
                    del self._ends[key]
                    if not self._ends:
                        self._tell(None)


class Pace:
    """When the GETs of one job may be sent, and which are sent again. The back-off is shared with the jobs that ask the
    same service at the same time. A job that failed the last time is not repeated after a fault of the server's: the
    next time will tell.
    """

    def __init__(self, backoff: Backoff | None = None, *, failed_before: bool = False) -> None:
        self._backoff = backoff or Backoff(lambda _wait: None)
        self._failed_before = failed_before

    async def ready(self) -> None:
        await self._backoff.over(self)

    def retry(self, exchange: Exchange, tries: int) -> bool:
        """Whether to send the GET again that was answered so, for the `tries`-th time in a row (from 1)."""
        throttled = exchange.status in THROTTLING
        if retry_of(exchange, tries) is not Retry.WAIT or (self._failed_before and not throttled):
            return False
        self._backoff.add(None if throttled else self, exchange, tries)
        return True


def retry_of(
    exchange: Exchange,
    tries: int,
    *,
    outcome: Outcome = Outcome.NOT_DONE,
    has_new_token: bool = False,
    for_change: bool = False,
) -> Retry:
    """What has to come before a request that was sent `tries` times is sent again, by the table above.

    A change that may have been applied is not sent again (`outcome`). `has_new_token`: another token was had for it
    already. `for_change`: a change depends on it, so that a person may be asked for a token that is missing.
    """
    is_read = exchange.method == "GET"
    if outcome is not Outcome.NOT_DONE:
        return Retry.NEVER
    if exchange.status == 401 or (for_change and exchange.lacks_token):
        return Retry.NEVER if has_new_token else Retry.NEW_TOKEN
    if tries > (MAX_REPEATS if is_read else MAX_WRITE_REPEATS):
        return Retry.NEVER
    if exchange.status in (PASSING if is_read else {429}):
        return Retry.WAIT
    return Retry.FRESH_READ if exchange.status == 412 and exchange.request_header("If-Match") else Retry.NEVER


def concerns_all(exchange: Exchange) -> bool:
    """Whether every other request would meet the same: no token, no connection, or a service that asks to wait."""
    failure = exchange.failure
    unreachable = failure is not None and failure.sent == "no" and failure.kind not in _OF_ONE_REQUEST
    return exchange.lacks_token or exchange.status in THROTTLING or unreachable


def retry_after_seconds(exchange: Exchange, now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for; None when it is absent, past or cannot be understood.

    It may be a number of seconds or an HTTP date. A date is measured against the server's own clock, the `Date` of the
    same answer, and only without one against `now` (aware). Of several values, as proxies join them, the longest
    counts.
    """
    values = [value for name, value in exchange.response_headers if name.lower() == "retry-after"]
    waits = [wait for value in values if (wait := _seconds(value, exchange, now)) is not None]
    return min(max(waits), _LONGEST_RETRY_AFTER) if waits else None


def wait_of(
    exchange: Exchange, attempt: int, now: datetime, *, longest: float = LONGEST_WAIT, chance: random.Random = _CHANCE
) -> float:
    """The seconds to wait after the `attempt`-th try (from 1), which ended as `exchange`, before the next one.

    What the server asks for, else an exponential back-off with jitter; never more than `longest`.
    """
    asked = retry_after_seconds(exchange, now)
    if asked is None:
        asked = back_off(BACK_OFF_SECONDS, attempt - 1) * (1 + JITTER * chance.random())
    return min(asked, longest)


def back_off(seconds: float, failures: int) -> float:
    """`seconds`, doubled with each failure, up to `LONGEST_WAIT`; more than that only where `seconds` is more."""
    return max(seconds, min(LONGEST_WAIT, seconds * 2.0 ** min(failures, _MAX_DOUBLINGS)))


def _seconds(value: str, exchange: Exchange, now: datetime) -> float | None:
    parts = [part.strip() for part in value.split(",")]
    if all(_DIGITS.fullmatch(part) for part in parts):
        return max(float(part) for part in parts)
    until = http_date(value)
    if until is None:
        return None
    seconds = (until - (exchange.answered_at or now)).total_seconds()
    return seconds if seconds >= 0 else None
