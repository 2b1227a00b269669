"""Edm.DateTimeOffset without loss: seven fractional digits, which `datetime` cannot hold.

Invariant: a moment is an integer count of .NET ticks (100 ns since 0001-01-01T00:00:00Z); text is only ever read
into ticks or written from them, never normalised in place. Whoever keeps a value keeps the text as received.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

TICKS_PER_SECOND: Final = 10_000_000
UNIX_EPOCH_TICKS: Final = 621_355_968_000_000_000
"""1970-01-01T00:00:00Z in ticks."""

MAX_TICKS: Final = 3_155_378_975_999_999_999
"""9999-12-31T23:59:59.9999999Z, the last moment a DateTimeOffset can hold."""

_YEAR_ONE: Final = datetime(1, 1, 1, tzinfo=UTC)
_MINUTE: Final = 60 * TICKS_PER_SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = {"s": TICKS_PER_SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}

_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|z|[+-]\d{2}:\d{2})?", re.ASCII
)
_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_DURATION: Final = re.compile(r"(?:\d{1,9}[smhdw])+", re.ASCII)
_DAY_WORD: Final = re.compile(r"(today|tomorrow|yesterday)(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_OFFSET: Final = re.compile(r"(?:now)?\s*([+-])\s*(\S+)", re.ASCII)
_DAY_SHIFT: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}


def parse_ticks(text: str) -> int:
    """Read an OData DateTimeOffset ("2026-11-20T09:15:03.9206151Z", or with an offset) into ticks.

    Raises:
        ValueError: with one sentence that says what is wrong.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None or match[8] is None:
        raise ValueError(
            "A date-time looks like 2026-11-20T09:15:03.9206151Z, with Z or an offset such as +01:00."
        )
    if len(match[7] or "") > 7:
        raise ValueError("A DateTimeOffset has at most 7 fractional digits.")
    return _ticks(match, match[8].upper())


def _ticks(match: re.Match[str], zone: str) -> int:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - 1
    except ValueError:
        raise ValueError(f"There is no day {match[1]}-{match[2]}-{match[3]}.") from None
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("Hours go from 00 to 23, minutes and seconds from 00 to 59.")
    fraction = int((match[7] or "").ljust(7, "0"))
    ticks = days * _DAY + hour * _HOUR + minute * _MINUTE + second * TICKS_PER_SECOND + fraction
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 14 or minutes > 59 or hours * 60 + minutes > 14 * 60:
            raise ValueError("An offset lies between -14:00 and +14:00.")
        shift = hours * _HOUR + minutes * _MINUTE
        ticks += shift if zone[0] == "-" else -shift
    if not 0 <= ticks <= MAX_TICKS:
        raise ValueError("That moment lies outside the years 0001 to 9999 in UTC.")
    return ticks


def format_ticks(ticks: int) -> str:
    """Write ticks as Graph does: UTC with Z, trailing zeros of the fraction trimmed."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    moment = _YEAR_ONE + timedelta(seconds=seconds)
    digits = f"{fraction:07d}".rstrip("0")
    return f"{moment.date().isoformat()}T{moment:%H:%M:%S}{'.' + digits if digits else ''}Z"


def now_ticks() -> int:
    """This moment, in ticks (the system clock's resolution)."""
    return UNIX_EPOCH_TICKS + time.time_ns() // 100


def to_datetime(ticks: int, zone: tzinfo | None = None) -> datetime:
    """Ticks as an aware datetime in `zone` (None: the local one), cut to microseconds: for showing only.

    Raises:
        OverflowError: when the moment falls off the calendar in that zone.
    """
    return (_YEAR_ONE + timedelta(microseconds=ticks // 10)).astimezone(zone)


def local_text(ticks: int) -> str:
    """A moment in the local zone, to the second, with its offset: "2026-11-20 10:15:03+01:00"."""
    try:
        return to_datetime(ticks).isoformat(sep=" ", timespec="seconds")
    except (OverflowError, OSError):
        return format_ticks(ticks)


def parse_duration(text: str) -> int:
    """Read "90m", "2h", "1d12h", "1w" into ticks.

    Raises:
        ValueError: with one sentence that says what is possible.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError("A duration is a number and a unit, such as 45s, 90m, 2h, 3d, 1w or 1d12h.")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))


def ago(ticks: int, now: int) -> str:
    """How long ago, in one unit: "3s ago", "12m ago", "2h ago", "5d ago"; "in 4m" for a moment to come."""
    distance = abs(now - ticks)
    for unit, size, limit in (
        ("s", TICKS_PER_SECOND, _MINUTE),
        ("m", _MINUTE, _HOUR),
        ("h", _HOUR, 2 * _DAY),
    ):
        if distance < limit:
            amount = f"{distance // size}{unit}"
            break
    else:
        amount = f"{distance // _DAY}d"
    return f"in {amount}" if ticks > now else f"{amount} ago"


def duration_text(ticks: int) -> str:
    """A length of time in its two largest units: "41s", "4m 37s", "2h 05m", "3d 04h"."""
    seconds = max(0, ticks) // TICKS_PER_SECOND
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02d}h"
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {seconds:02d}s" if minutes else f"{seconds}s"


def interpret(text: str, now: int, zone: tzinfo | None = None) -> str:
    """Turn what a person types into DateTimeOffset text to send.

    A full DateTimeOffset is returned as typed. "now", "-2h", "now+90m" are relative to `now` (ticks) and written in
    whole seconds; "tomorrow 09:00", "2026-11-20" and "2026-11-20 09:00" are read in `zone` (None: the local one).

    Raises:
        ValueError: with one sentence that says what is possible.
    """
    typed = text.strip()
    word = typed.lower()
    if word == "now":
        return _whole_seconds(now)
    if shift := _OFFSET.fullmatch(word):
        distance = parse_duration(shift[2])
        moment = now + distance if shift[1] == "+" else now - distance
        if not 0 <= moment <= MAX_TICKS:
            raise ValueError("That moment lies outside the years 0001 to 9999 in UTC.")
        return _whole_seconds(moment)
    if day := _DAY_WORD.fullmatch(word):
        local = to_datetime(now, zone)
        target = (local + timedelta(days=_DAY_SHIFT[day[1]])).date()
        return _from_local(target.isoformat(), int(day[2] or 0), int(day[3] or 0), int(day[4] or 0), zone)
    if _DATE.fullmatch(typed):
        return _from_local(typed, 0, 0, 0, zone)
    match = _DATE_TIME.fullmatch(typed)
    if match is not None and match[8] is None:
        if match[7]:
            raise ValueError("A time with a fraction needs Z or an offset such as +01:00 at its end.")
        return _from_local(typed[:10], int(match[4]), int(match[5]), int(match[6] or 0), zone)
    if match is None or match[6] is None:
        raise ValueError("Type a date-time such as 2026-11-20T09:15:03Z, or now, -2h, tomorrow 09:00.")
    parse_ticks(typed)
    return typed.replace(" ", "T").replace("t", "T").replace("z", "Z")


def _whole_seconds(ticks: int) -> str:
    return format_ticks(ticks - ticks % TICKS_PER_SECOND)


def _from_local(day: str, hour: int, minute: int, second: int, zone: tzinfo | None) -> str:
    """A wall-clock moment in `zone` as UTC text; a date or an hour that does not exist is a ValueError."""
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("Hours go from 00 to 23, minutes and seconds from 00 to 59.")
    try:
        year, month, number = (int(part) for part in day.split("-"))
        wall = datetime(year, month, number, hour, minute, second, tzinfo=zone)
        moment = wall.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"There is no day {day}.") from None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
