"""The runs of the store by day of the local zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.times import day_starts, parse_ticks
from runtui.services.store import Store

NOW = parse_ticks("2026-11-20T12:00:00Z")


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "runs.db")
    yield store
    store.close()


def run(number: int, started: str | None, status: str = "failed", **more: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "processingStatus": status, "startedDateTime": started, **more}


def test_days_begin_at_local_midnight_also_where_clocks_change() -> None:
    assert day_starts(2, NOW) == tuple(
        map(parse_ticks, ("2026-11-18T23:00:00Z", "2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z"))
    )
    autumn = day_starts(1, parse_ticks("2026-10-25T12:00:00Z"))
    assert autumn == (parse_ticks("2026-10-24T22:00:00Z"), parse_ticks("2026-10-25T23:00:00Z"))


def test_failures_are_counted_on_the_day_on_which_a_run_began(store: Store) -> None:
    runs = [
        run(1, "2026-11-20T23:00:00Z"),  # tomorrow
        run(2, "2026-11-20T22:59:59.9999999Z", "canceled"),
        run(3, "2026-11-19T23:00:00Z", "quarantined"),
        run(4, "2026-11-19T22:59:59.9999999Z", "completedWithErrors"),
        run(5, "2026-11-18T22:59:59Z"),  # before
        run(6, "2026-11-20T11:00:00Z", "completed"),
        run(7, None),
        run(8, None, scheduledDateTime="2026-11-19T01:00:00Z"),
    ]
    store.put_runs("w1", runs, store.next_listing())
    assert store.failures_by_day(2, NOW) == [2, 2]
    assert store.failures_by_day(1, NOW) == [2]
