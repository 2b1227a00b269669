"""Small pictures made of characters, and the strip of the tenant: its runs by trouble, and its failures by day.

Invariant: a height, a length or a glyph carries the number, so that every picture reads without colour. A count of the
strip is the number of runs that its filter finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from runtui.domain.columns import ListCell, Role
from runtui.domain.rows import STATUS_LOOKS, STUCK_GLYPH

STRIP_DAYS: Final = 14
"""The days of the strip's sparkline, today included."""

STRIP_LINES: Final = 20
"""Lines of a screen from which one can be spared for the strip."""

_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def sparkline(numbers: Sequence[int]) -> str:
    """One character for each number, the largest as high as a line: the lowest height is none, and only that."""
    most = max(numbers, default=0)
    steps = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[-(-number * steps // most) if number > 0 else 0] for number in numbers)


def bar(number: float, most: float, width: int) -> str:
    """A bar of up to `width` cells, blank at its end; anything above 0 is seen."""
    eighths = max(1, round(number / most * width * 8)) if number > 0 and most > 0 else 0
    whole, part = divmod(min(eighths, width * 8), 8)
    return (_EIGHTHS[8] * whole + (_EIGHTHS[part] if part else "")).ljust(width)


_HEAT: Final = ((10, "█"), (4, "▆"), (2, "▄"), (1, "▂"))
"""From how many problems on a day has which height. The steps are fixed: a day looks the same whatever is beside it."""

HEAT_LEGEND: Final = "· no run  ▁ no problem  ▂ 1  ▄ 2 or 3  ▆ 4 to 9  █ 10 or more problems"


def heat_cell(runs: int, problems: int) -> ListCell:
    """A day of the heat map: the height tells how many runs had problems, the colour whether that was most of them."""
    if not problems:
        return ListCell("▁", "status-done") if runs else ListCell("·", "muted")
    glyph = next(glyph for least, glyph in _HEAT if problems >= least)
    return ListCell(glyph, "status-failed" if problems * 2 > runs else "status-problem")


class TenantCount(NamedTuple):
    """The runs of one kind."""

    glyph: str
    word: str
    role: Role
    filter: str
    """Finds them, in the filter language."""
    runs: int


RUNNING: Final = "is:active !is:stuck"
"""The filter of the runs that the service is at work on."""


def tenant_counts(by_status: Mapping[str, int], stuck: int) -> tuple[TenantCount, ...]:
    """The runs with trouble by kind, which add up to what `is:problem` finds, then those at work; kinds with none are
    left out.
    """
    looks = STATUS_LOOKS.values()
    counts = [
        TenantCount(look.glyph, look.word, look.role, f"status:{look.name}", by_status.get(look.name, 0))
        for look in looks
        if look.is_problem
    ]
    active = sum(by_status.get(look.name, 0) for look in looks if look.is_active)
    at_work = STATUS_LOOKS["inProgress"]
    counts.append(TenantCount(STUCK_GLYPH, "stuck", "status-stuck", "is:stuck", stuck))
    counts.append(TenantCount(at_work.glyph, "running", at_work.role, RUNNING, active - stuck))
    return tuple(count for count in counts if count.runs > 0)


class StripPart(NamedTuple):
    """A part of the strip."""

    text: str
    role: Role
    filter: str = ""
    """The one that a click on it sets; empty for the days."""
    behind: int = 2
    """The blanks before the next part."""


def tenant_strip(
    counts: Sequence[TenantCount], failures: Sequence[int], width: int, keys: Mapping[str, str]
) -> list[StripPart]:
    """The parts that fit in `width` cells; every character takes one.

    What does not fit goes in this order: a word of the failures by day, the keys of the counts, the failures by day,
    every second blank, the words from the right, the counts from the right. `failures` are runs with trouble by day,
    the newest last; `keys` are those that set a filter, by filter.
    """
    for parts in _forms(counts, failures, keys):
        if len(strip_text(parts)) <= width:
            return parts
    return []


def _forms(
    counts: Sequence[TenantCount], failures: Sequence[int], keys: Mapping[str, str]
) -> Iterator[list[StripPart]]:
    """The strip, each time with less in it."""
    by_day = f"{len(failures)} days {sparkline(failures)}" if any(failures) else ""
    worded = [StripPart(f"{count.glyph} {count.runs} {count.word}", count.role, count.filter) for count in counts]
    if not worded:
        worded = [StripPart("✓ no problems", "status-done")]
    keyed = [part._replace(text=f"{keys[part.filter]}:{part.text}") if part.filter in keys else part for part in worded]
    if by_day:
        yield [*keyed, StripPart(f"problems in {by_day}", "text")]
        yield [*keyed, StripPart(by_day, "text")]
        yield [*worded, StripPart(by_day, "text")]
    yield keyed
    yield worded
    yield [part._replace(behind=1) for part in worded]
    bare = [StripPart(f"{count.glyph} {count.runs}", count.role, count.filter) for count in counts]
    for kept in range(len(worded) - 1, -1, -1):
        yield worded[:kept] + bare[kept:]
    for kept in range(len(bare) - 1, 0, -1):
        yield bare[:kept]


def part_at(parts: Sequence[StripPart], cell: int) -> StripPart | None:
    """The part that stands at a cell, counted from 0; None between two."""
    ends = accumulate(len(part.text) + part.behind for part in parts)
    for part, end in zip(parts, ends, strict=True):
        if end - part.behind - len(part.text) <= cell < end - part.behind:
            return part
    return None


def strip_text(parts: Sequence[StripPart]) -> str:
    return "".join(part.text + " " * part.behind for part in parts).rstrip(" ")
