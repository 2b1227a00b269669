"""The runs of the store by day: of the tenant, and of each workflow.

Invariant: a day is one of the local zone, so one on which clocks change is longer or shorter. Each question is one
statement that walks over stretches of an index; a run without any time is of no day.
"""

from __future__ import annotations

import itertools
import sqlite3
from typing import Final

from runtui.domain.rows import PROBLEM_SEVERITIES
from runtui.domain.times import day_starts

# The SQL below is put together from numbers that the domain declares; every moment is a parameter.
# ruff: noqa: S608

_PROBLEM: Final = f"severity IN ({', '.join(map(str, PROBLEM_SEVERITIES))})"


def failures_by_day(db: sqlite3.Connection, days: int, now: int) -> list[int]:
    sql, bounds = _days(days, now)
    found = db.execute(
        f"{sql} SELECT number, count(*) FROM day CROSS JOIN run"
        f" WHERE {_PROBLEM} AND recency >= first AND recency < end GROUP BY number",
        bounds,
    )
    failures = [0] * days
    for number, runs in found:
        failures[number] = runs
    return failures


def _days(days: int, now: int) -> tuple[str, tuple[int, ...]]:
    """A table `day` (number, first, end) as the head of a statement, and its parameters: today has the last number."""
    starts = day_starts(days, now)
    bounds = tuple(bound for pair in itertools.pairwise(starts) for bound in pair)
    rows = ", ".join(f"({number}, ?, ?)" for number in range(days))
    return f"WITH day(number, first, end) AS (VALUES {rows})", bounds
