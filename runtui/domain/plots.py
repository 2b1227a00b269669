"""Small charts made of characters, and the tenant strip: problem runs by kind, and failures by day.

Invariant: a height, a length or a glyph shows the number, so every chart is readable without colour. Each count of the
strip is the number of runs that its filter finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from runtui.domain.columns import ListCell, Role
from runtui.domain.rows import STATUS_LOOKS, STUCK_GLYPH

STRIP_DAYS: Final = 14
"""The days in the sparkline of the strip, including today."""

STRIP_LINES: Final = 20
"""The least height of a screen, in lines, that shows the strip."""

_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def sparkline(numbers: Sequence[int]) -> str:
    """Return one character per number. The largest number has full height; only 0 or less has the lowest height."""
    most = max(numbers, default=0)
    steps = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[-(-number * steps // most) if number > 0 else 0] for number in numbers)


def bar(number: float, most: float, width: int) -> str:
    """Return a bar padded to `width` cells; `most` fills it, and any number above 0 shows an eighth of a cell."""
    eighths = max(1, round(number / most * width * 8)) if number > 0 and most > 0 else 0
    whole, part = divmod(min(eighths, width * 8), 8)
    return (_EIGHTHS[8] * whole + (_EIGHTHS[part] if part else "")).ljust(width)


_HEAT: Final = ((10, "█"), (4, "▆"), (2, "▄"), (1, "▂"))
"""The least number of problems for each height. The steps are fixed, so that equal days look alike on every map."""

HEAT_LEGEND: Final = "· no run  ▁ no problem  ▂ 1  ▄ 2 or 3  ▆ 4 to 9  █ 10 or more problems"


def heat_cell(runs: int, problems: int) -> ListCell:
    """Return the cell of a day: the height shows the number of problem runs, the colour whether most runs have one."""
    if not problems:
        return ListCell("▁", "status-done") if runs else ListCell("·", "muted")
    glyph = next(glyph for least, glyph in _HEAT if problems >= least)
    return ListCell(glyph, "status-failed" if problems * 2 > runs else "status-problem")


class TenantCount(NamedTuple):
    """The number of runs of one kind."""

    glyph: str
    word: str
    role: Role
    filter: str
    """The filter that finds exactly these runs."""
    runs: int


RUNNING: Final = "is:active !is:stuck"
"""The filter for active runs that are not stuck."""
UNKNOWN_STATUS: Final = "is:unknown"


def tenant_counts(by_status: Mapping[str, int], stuck: int) -> tuple[TenantCount, ...]:
    """Return the counts of problem runs by kind, which add up to `is:problem`, then those of runs with an unknown
    status and of running ones. Kinds without runs are left out.
    """
    looks = STATUS_LOOKS.values()
    counts = [
        TenantCount(look.glyph, look.word, look.role, f"status:{look.name}", by_status.get(look.name, 0))
        for look in looks
        if look.is_problem
    ]
    active = sum(by_status.get(look.name, 0) for look in looks if look.is_active)
    at_work, other = STATUS_LOOKS["inProgress"], STATUS_LOOKS[""]
    unknown = sum(runs for status, runs in by_status.items() if not status or status not in STATUS_LOOKS)
    counts.append(TenantCount(STUCK_GLYPH, "stuck", "status-stuck", "is:stuck", stuck))
    counts.append(TenantCount(other.glyph, "of unknown status", other.role, UNKNOWN_STATUS, unknown))
    counts.append(TenantCount(at_work.glyph, "running", at_work.role, RUNNING, active - stuck))
    return tuple(count for count in counts if count.runs > 0)


class StripPart(NamedTuple):
    """A part of the strip, such as one count."""

    text: str
    role: Role
    filter: str = ""
    """The filter that a click sets; empty for the sparkline."""
    behind: int = 2
    """The number of blanks after this part."""


def tenant_strip(
    counts: Sequence[TenantCount], failures: Sequence[int], width: int, keys: Mapping[str, str]
) -> list[StripPart]:
    """Return the parts of the strip that fit in `width` cells; every character takes one cell.

    To fit, the strip drops in this order: the words "problems in"; the keys of the counts, or the sparkline, or both;
    every second blank; the words from the right; the counts from the right. `failures` are problem runs per day, the
    newest last. `keys` are the keys that set a filter, by filter.
    """
    for parts in _forms(counts, failures, keys):
        if len(strip_text(parts)) <= width:
            return parts
    return []


def _forms(
    counts: Sequence[TenantCount], failures: Sequence[int], keys: Mapping[str, str]
) -> Iterator[list[StripPart]]:
    """Yield shorter and shorter forms of the strip."""
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


def strip_text(parts: Sequence[StripPart]) -> str:
    return "".join(part.text + " " * part.behind for part in parts).rstrip(" ")
