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
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from runtui.domain.report import Outcome
from runtui.domain.times import length_words, second_text
from runtui.graph.exchange import THROTTLING, Exchange, FailureKind, http_date

_logger: Final = logging.getLogger("runtui.graph")

TRANSIENT: Final = THROTTLING | {500, 502, 504}
"""The statuses of a GET that may be temporary."""

MAX_REPEATS: Final = 3
"""How often one GET is repeated."""

MAX_WRITE_REPEATS: Final = 4
"""How often a change is repeated after the service proved that it applied nothing."""

LONGEST_WAIT: Final = 300.0
"""The longest wait in seconds. A server that asks for more is asked again after this long."""

BACK_OFF_SECONDS: Final = 3.0
"""The wait after the first try in seconds, if the server names none; it doubles with each try."""

JITTER: Final = 0.5
"""The largest random share that is added to a back-off, so that programs refused together do not return together."""

_LONGEST_RETRY_AFTER: Final = 100 * 365 * 86_400.0
"""A century. Longer waits need no distinction, and a date that far away can still be computed."""

_DIGITS: Final = re.compile(r"[0-9]+")

_OF_ONE_REQUEST: Final = frozenset({FailureKind.REFUSED_ADDRESS, FailureKind.HEADER})
"""The failures before sending whose cause is the request itself."""


class Retry(Enum):
    """What is needed before a request is sent again."""

    NEVER = "it is not sent again"
    WAIT = "the wait of `wait_of`"
    NEW_TOKEN = "another token"  # noqa: S105 - a reason, not a token
    FRESH_READ = "a fresh reading of what is to be changed"


class Wait(NamedTuple):
    """A wait before a request is sent again."""

    exchange: Exchange
    """The answer that caused it."""
    seconds: float
    """Its length."""
    until: datetime
    """Its end (UTC)."""
    retry_after: float | None = None
    """The seconds that the server asks for, if they are more; else None."""

    @property
    def why(self) -> str:
        """Why no request is sent now, without a full stop."""
        status, asked = self.exchange.status, self.retry_after
        what = "is busy" if status in THROTTLING else "failed"
        return f"The service {what if asked is None else f'asks to wait {length_words(asked)}'} ({status})"

    @property
    def words(self) -> str:
        """A sentence that says why no request is sent now, and when the next one is."""
        return f"{self.why}; runtui asks again at {second_text(self.until)}."


class Backoff:
    """The waits of several jobs that use one service; none is longer than `longest` seconds.

    If the service asks one job to slow down, all wait; other trouble delays only its own job. `announce` is called with
    each wait that ends a second or more after the current ones (so only once if all items of a batch ask for the same
    wait), and with None when nobody waits.
    """

    def __init__(self, announce: Callable[[Wait | None], None], *, longest: float = LONGEST_WAIT) -> None:
        self._announce = announce
        self._longest = longest
        self._ends: dict[Pace | None, float] = {}
        """When the wait of one job, or (None) of all jobs, ends, in the event loop's time."""
        self.seconds_asked_for = 0.0
        """How long all jobs wait because the service asked them to slow down, in seconds so far."""

    def add(self, who: Pace | None, exchange: Exchange, tries: int) -> None:
        """Let `who`, or all jobs (None), wait after the `tries`-th answer to a request."""
        wait = wait_of(exchange, tries, longest=self._longest)
        now = asyncio.get_running_loop().time()
        end = now + wait.seconds
        if who is None:
            self.seconds_asked_for += max(0.0, end - max(now, self._ends.get(None, now)))
        _logger.info("wait %.1f s after try %d of #%d (%s)", wait.seconds, tries, exchange.number, exchange.status)
        if all(end - other >= 1.0 for other in self._ends.values()):
            self._announce(wait)
        self._ends[who] = max(end, self._ends.get(who, 0.0))

    async def wait(self, who: Pace) -> None:
        loop = asyncio.get_running_loop()
        while waiting := [key for key in (who, None) if key in self._ends]:
            await asyncio.sleep(max(self._ends[key] for key in waiting) - loop.time())
            for key in waiting:
                if key in self._ends and loop.time() >= self._ends[key]:
                    del self._ends[key]
                    if not self._ends:
                        self._announce(None)


class Pace:
    """Decides when the GETs of one job may be sent, and which are repeated.

    Jobs that use the same service at the same time share the back-off. If the job failed the last time, it is not
    repeated after a fault of the server; the next time will show.
    """

    def __init__(self, backoff: Backoff | None = None, *, failed_before: bool = False) -> None:
        self._backoff = backoff or Backoff(lambda _wait: None)
        self._failed_before = failed_before

    async def ready(self) -> None:
        await self._backoff.wait(self)

    def retry(self, exchange: Exchange, tries: int) -> bool:
        """Return whether to repeat a GET with this answer, the `tries`-th in a row (from 1)."""
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
    """Return what is needed before a request is repeated that was sent `tries` times, by the table above.

    A change that may have been applied is not repeated (`outcome`). `has_new_token`: it was already sent with another
    token. `for_change`: a change depends on it, so a person may be asked for a missing token.
    """
    is_read = exchange.method == "GET"
    if outcome is not Outcome.NOT_DONE:
        return Retry.NEVER
    if exchange.status == 401 or (for_change and exchange.lacks_token):
        return Retry.NEVER if has_new_token else Retry.NEW_TOKEN
    if tries > (MAX_REPEATS if is_read else MAX_WRITE_REPEATS):
        return Retry.NEVER
    if exchange.status in (TRANSIENT if is_read else {429}):
        return Retry.WAIT
    return Retry.FRESH_READ if exchange.status == 412 and exchange.request_header("If-Match") else Retry.NEVER


def concerns_all(exchange: Exchange) -> bool:
    """Return whether every other request would meet the same: no token, no connection, or a service that asks to
    wait."""
    failure = exchange.failure
    unreachable = failure is not None and failure.sent == "no" and failure.kind not in _OF_ONE_REQUEST
    return exchange.lacks_token or exchange.status in THROTTLING or unreachable


def retry_after_seconds(exchange: Exchange) -> float | None:
    """Return the seconds after its answer that `Retry-After` asks for; None if it is absent, past or invalid.

    It is a number of seconds or an HTTP date. A date is compared with the server's own clock, the `Date` of the same
    answer; without one, with ours. If proxies have joined several values, the longest counts.
    """
    values = [value for name, value in exchange.response_headers if name.lower() == "retry-after"]
    waits = [wait for value in values if (wait := _seconds(value, exchange)) is not None]
    return min(max(waits), _LONGEST_RETRY_AFTER) if waits else None


def wait_of(exchange: Exchange, attempt: int, *, longest: float = LONGEST_WAIT) -> Wait:
    """Return the wait after the `attempt`-th try (from 1), which ended as `exchange`.

    The server's value counts, else an exponential back-off with jitter; never more than `longest`.
    """
    asked = retry_after_seconds(exchange)
    spread = 1 + JITTER * random.random()  # noqa: S311 - spreads requests, keeps no secret
    seconds = min(BACK_OFF_SECONDS * 2 ** (attempt - 1) * spread if asked is None else asked, longest)
    more = asked if asked is not None and asked > seconds else None
    return Wait(exchange, seconds, exchange.ended_at + timedelta(seconds=seconds), more)


def _seconds(value: str, exchange: Exchange) -> float | None:
    parts = [part.strip() for part in value.split(",")]
    if all(_DIGITS.fullmatch(part) for part in parts):
        return max(float(part) for part in parts)
    until = http_date(value)
    if until is None:
        return None
    seconds = (until - (exchange.answered_at or exchange.ended_at)).total_seconds()
    return seconds if seconds >= 0 else None
