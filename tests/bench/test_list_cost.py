"""What a key in the list costs at 1,000 and at 100,000 runs, beside a stock DataTable, in one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import pytest

from tests.bench.measure import RUNTUI, STOCK, KeyCost, Stopwatch

pytestmark = pytest.mark.bench

PRESSES = 15
MOST_BYTES_OF_A_MOVE = 600
MOST_BYTES_OF_A_ROW = 400
IDLE_SECONDS = 10.0
MOST_TIMES_SLOWER = 1.3
PAIRED_PRESSES = 20
MOST_TIMES_THE_CHANGE = 1.5


@contextmanager
def list_of(runs: int) -> Iterator[Stopwatch]:
    """The list, read whole and at rest."""
    with Stopwatch((*RUNTUI, "demo", "--runs", str(runs), "--refresh", "0")) as terminal:
        terminal.wait_for(rf"{runs} runs.*as of")
        terminal.wait_until_quiet(1.0)
        yield terminal


def costs_of_runtui(runs: int) -> dict[str, KeyCost]:
    with list_of(runs) as terminal:
        costs = {"down": terminal.median_cost("down", PRESSES)}
        terminal.press("up")
        costs["one row changed"] = row_changed(terminal)
        costs["page down"] = terminal.median_cost("pagedown", PRESSES)
        costs["down, scrolling"] = terminal.median_cost("down", PRESSES)
        costs["sort"] = terminal.median_cost("s", 5)
        costs["idle"] = KeyCost(terminal.idle_bytes(IDLE_SECONDS), IDLE_SECONDS * 1000)
        return costs


def row_changed(terminal: Stopwatch) -> KeyCost:
    """Mark a run, with the cursor going on to the next: the marked row and the cursor's own are drawn."""
    return terminal.median_cost("space", 5)


def costs_of_stock(rows: int) -> dict[str, KeyCost]:
    with Stopwatch((*STOCK, "table", str(rows))) as terminal:
        terminal.wait_for("11/12")
        terminal.wait_until_quiet(1.0)
        costs = {"down": terminal.median_cost("down", PRESSES), "one row changed": terminal.cost_of("u")}
        costs["page down"] = terminal.median_cost("pagedown", PRESSES)
        costs["down, scrolling"] = terminal.median_cost("down", PRESSES)
        costs["idle"] = KeyCost(terminal.idle_bytes(IDLE_SECONDS), IDLE_SECONDS * 1000)
        return costs


def test_a_key_costs_the_same_however_many_runs_there_are() -> None:
    small, large, stock = costs_of_runtui(1_000), costs_of_runtui(100_000), costs_of_stock(1_000)
    print(f"\n{'120x40':18}{'1,000 runs':>20}{'100,000 runs':>20}{'DataTable, 1,000':>20}")
    for name in large:
        cells = [costs.get(name) for costs in (small, large, stock)]
        print(f"{name:18}" + "".join(f"{c.bytes:>10} B{c.milliseconds:>6.1f} ms" if c else " " * 20 for c in cells))
    assert large["down"].bytes <= MOST_BYTES_OF_A_MOVE
    assert large["one row changed"].bytes <= MOST_BYTES_OF_A_ROW
    assert large["idle"].bytes == 0


def test_a_cursor_key_takes_as_long_among_many_runs_as_among_few() -> None:
    """Both programs at once, a key in one and then in the other, so that what disturbs one disturbs both."""
    with list_of(1_000) as few, list_of(100_000) as many:
        pairs = [
            (few.cost_of(key).milliseconds, many.cost_of(key).milliseconds) for key in ("down", "up") * PAIRED_PRESSES
        ]
    middle = [median(times) for times in zip(*pairs, strict=True)]
    print(
        f"\ncursor key, median of {len(pairs)} pairs: {middle[0]:.2f} ms at 1,000 runs, {middle[1]:.2f} ms at 100,000"
    )
    print(f"ratio {middle[1] / middle[0]:.2f} (limit {MOST_TIMES_SLOWER})")
    assert middle[1] <= MOST_TIMES_SLOWER * middle[0]


def test_a_cursor_key_costs_what_it_changes_in_both_panes() -> None:
    """Down over runs of every kind, with the panel following: what was sent beside the cells that differ at the end."""
    with list_of(1_000) as terminal:
        costs = [terminal.cost_with_panel("down") for _ in range(2 * PRESSES)]
    ratios = [sent / floor for sent, floor in costs]
    print("\nbytes sent / bytes of the cells that changed:", *(f"{sent}/{floor}" for sent, floor in costs))
    print(f"median {median(ratios):.2f}, of all together {sum(s for s, _ in costs) / sum(f for _, f in costs):.2f}")
    assert median(ratios) <= MOST_TIMES_THE_CHANGE
