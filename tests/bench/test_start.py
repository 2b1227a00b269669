"""From the command to the first rows, beside a bare Textual application, pair by pair in one run."""

from __future__ import annotations

from statistics import median

import pytest

from tests.bench.measure import RUNTUI, STOCK, Stopwatch
from tests.bench.stock_app import READY

pytestmark = pytest.mark.bench

ROUNDS = 9
ROW = r"[✓✗●] (completed|failed|running)"
LIMIT = 2.0


def test_demo_shows_rows_within_twice_the_first_paint_of_a_bare_application() -> None:
    def first(command: tuple[str, ...], pattern: str) -> float:
        with Stopwatch(command) as terminal:
            return terminal.milliseconds_until(pattern)

    first((*RUNTUI, "demo"), ROW)  # compiles what has to be compiled
    first((*STOCK, "static"), READY)
    pairs = [(first((*STOCK, "static"), READY), first((*RUNTUI, "demo"), ROW)) for _ in range(ROUNDS)]
    ratio = median(demo / bare for bare, demo in pairs)
    print("\nfirst paint of one Static, ms:", *(f"{bare:.0f}" for bare, _ in pairs))
    print("first rows of runtui demo, ms:", *(f"{demo:.0f}" for _, demo in pairs))
    print(f"median of the {ROUNDS} ratios: {ratio:.2f} (limit {LIMIT})")
    assert ratio <= LIMIT
