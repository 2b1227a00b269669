"""The cost of the overview and the strip at 100,000 runs, beside 1,000 runs and beside one scan of the same index."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from runtui.domain.times import TICKS_PER_SECOND, format_ticks, now_ticks
from runtui.services.store import Store
from tests.bench.keys import list_of

pytestmark = pytest.mark.bench

PAIRS = 10
MAX_TIMES_SLOWER = 1.5
"""The greatest ratio of opening the overview of 100,000 runs to opening that of 1,000 runs."""

WALK = (
    "SELECT count(*), total(severity IN (5, 6, 7, 8)), total(severity = 0), total(max(failed_users, 0))"
    " FROM run INDEXED BY run_by_workflow_id"
)
"""One scan of the index of the histories, with the same counts."""

MAX_WALKS = 2.0
"""The greatest ratio of reading all histories to that scan."""

MAX_OF_A_WALK = 0.5
"""The greatest ratio of reading the days of the strip to that scan."""

MAX_BYTES_OF_A_DAY = 600
"""The bytes of going from one day to the next, which changes two cells and the title."""

IDLE_SECONDS = 5.0


def least_milliseconds(*works: Callable[[], object]) -> list[float]:
    """Return the least time of each, measured in turns so that the load of the machine changes all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(15):
        for work, taken in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) * 1000)
    return list(map(min, times))


def fill(store: Store, now: int) -> None:
    """Put 100,000 runs of 12 workflows over two weeks into a store, one in ten with a problem."""
    span, statuses = 14 * 86_400 * TICKS_PER_SECOND, ["completed"] * 18 + ["failed", "completedWithErrors"]
    for workflow in range(12):
        key = f"w{workflow}"
        store.put_workflows([{"id": key, "displayName": f"Workflow {workflow}"}])
        runs = [
            {
                "id": f"{key}-{number}",
                "processingStatus": statuses[number % len(statuses)],
                "startedDateTime": format_ticks(now - number * span // 8_334),
                "failedUsersCount": number % 3,
            }
            for number in range(8_334)
        ]
        store.put_runs(key, runs, store.next_listing())


def test_the_overview_opens_as_quickly_over_many_runs_as_over_few() -> None:
    with list_of(1_000) as few, list_of(100_000) as many:
        opened = []
        for _ in range(PAIRS):
            opened.append((few.cost_of("o").milliseconds, many.cost_of("o").milliseconds))
            few.cost_of("esc")
            many.cost_of("esc")
        middle = [median(times) for times in zip(*opened, strict=True)]
        many.cost_of("o")
        many.cost_of("left")
        day, idle = many.median_cost("left", 5), many.idle_bytes(IDLE_SECONDS)
    print(f"\no: {middle[0]:.0f} ms at 1,000 runs, {middle[1]:.0f} ms at 100,000, ratio {middle[1] / middle[0]:.2f}")
    print(f"left: {day.bytes} B, idle: {idle} B")
    assert middle[1] <= MAX_TIMES_SLOWER * middle[0]
    assert day.bytes <= MAX_BYTES_OF_A_DAY
    assert idle == 0


def test_all_histories_are_little_more_than_a_walk_over_their_index(tmp_path: Path) -> None:
    path = tmp_path / "state" / "runs.db"
    store = Store(path)
    now = now_ticks()
    fill(store, now)
    with sqlite3.connect(path) as db:
        walk, histories, strip = least_milliseconds(
            lambda: db.execute(WALK).fetchone(),
            lambda: store.histories(30, now),
            lambda: (store.totals(now), store.failures_by_day(14, now)),
        )
    store.close()
    print(f"\none walk {walk:.1f} ms, histories {histories:.1f} ms, strip {strip:.2f} ms, at 100,000 runs")
    print(f"ratio {histories / walk:.2f} (limit {MAX_WALKS}), {strip / walk:.2f} (limit {MAX_OF_A_WALK})")
    assert histories <= MAX_WALKS * walk
    assert strip <= MAX_OF_A_WALK * walk
