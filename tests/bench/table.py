"""A line of the table: a figure of runtui, its reference in the same run, and the goal for their ratio.

Invariant: a figure and its reference are measured in turns, so that the load of the machine changes both alike; only
their ratio has a goal. Times are CPU times (user and system) unless the unit says otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from statistics import median

Pairs = Generator[tuple[float, float], None, None]
"""Endless pairs of a figure of runtui and its reference, measured one after the other."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Args:
        name: What is measured.
        unit: The unit of both figures.
        reference: What the figure is compared with.
        goal: The greatest ratio that is good enough.
        pairs: Measures the two figures in turns; closed after the last pair.
        rounds: The number of pairs; the median counts.
    """

    name: str
    unit: str
    reference: str
    goal: float
    pairs: Callable[[], Pairs]
    rounds: int = 5


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a row: the medians of both figures and of their ratios."""

    name: str
    unit: str
    ours: float
    reference: str
    theirs: float
    ratio: float
    goal: float

    @property
    def is_reached(self) -> bool:
        return self.ratio <= self.goal

    def as_markdown(self) -> str:
        """The line of the table."""
        reached = "" if self.is_reached else " ✗"
        figures = f"{_figure(self.ours, self.unit)} | {self.reference}: {_figure(self.theirs, self.unit)}"
        return f"| {self.name} | {figures} | {self.ratio:.2f} | ≤ {self.goal:g}{reached} |"


HEAD = ("| figure | runtui | reference | ratio | goal |", "|---|---|---|---|---|")
"""The first lines of the table."""


def measure(row: Row) -> Result:
    """Measure a row."""
    with closing(row.pairs()) as pairs:
        taken = list(islice(pairs, row.rounds))
    ours, theirs = (median(figures) for figures in zip(*taken, strict=True))
    return Result(
        row.name, row.unit, ours, row.reference, theirs, median(map(_ratio, *zip(*taken, strict=True))), row.goal
    )


def _ratio(ours: float, theirs: float) -> float:
    """Return the ratio of two figures; 1 if both are 0, infinity if only the reference is."""
    return ours / theirs if theirs else math.inf if ours else 1.0


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 20 or value == int(value) else f"{value:.1f} {unit}"


def as_json(results: Iterable[Result]) -> str:
    return json.dumps([asdict(result) | {"reached": result.is_reached} for result in results], indent=2)
