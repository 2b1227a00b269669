"""A refresh that requests only changes: since when, and when it reads all runs instead."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.times import parse_ticks
from runtui.graph.faults import without_ids
from runtui.graph.pages import GraphError
from runtui.services.refresh import FULL_EVERY, OVERLAP, Refresh, changes_since
from runtui.services.store.file import KnownListing, known_listings, missing_orders
from runtui.services.store.store import EVERY_RUN, Store, cells_of
from tests import there
from tests.unit.fake_lister import EXCHANGE, NEVER, FakeGraph, graph_error, ids, refused, run

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
FIRST = parse_ticks("2026-11-20T10:00:00Z")


class Court:
    """A service with a clock, and the refresh that reads it."""

    def __init__(self, store: Store) -> None:
        self.graph = FakeGraph(joiner=[[run("a"), run("b")]], leaver=[[run("c")]])
        self.graph.clock = START
        self.store = store
        self.refresh = Refresh(self.graph, store, interval=NEVER)

    async def listing(self, after: float = 0, *, again: bool = False, **how: Any) -> list[tuple[str, int | None]]:
        """List `after` seconds after the last listing, `again` as another process; return the requests for runs."""
        if self.graph.clock is not None:
            self.graph.clock += timedelta(seconds=after)
        self.refresh = Refresh(self.graph, self.store, interval=NEVER) if again else self.refresh
        self.graph.since.clear()
        await self.refresh.list_once(**how)
        return sorted(self.graph.since, key=str)

    def failed_tasks(self, run_id: str) -> int | None:
        return next(row for row in self.store.window(EVERY_RUN, 0, 99) if row.id == run_id).number("failedTasks")


@pytest.fixture
async def court(tmp_path: Path) -> Any:
    """A service from which everything has been listed once."""
    store = Store(tmp_path / "runs.db")
    court = Court(store)
    assert await court.listing() == FULL
    yield court
    store.close()


FULL = [("joiner", None), ("leaver", None)]
CHANGES = [("joiner", FIRST - OVERLAP), ("leaver", FIRST - OVERLAP)]


async def test_changed_runs_are_read_and_deleted_ones_go_with_the_next_full_listing(court: Court) -> None:
    court.graph.pages["joiner"] = [[run("a", failedTasksCount=3)]]
    court.graph.changes["joiner"] = [[run("a", failedTasksCount=3)], [run("new")]]
    assert await court.listing(30) == CHANGES
    assert court.failed_tasks("a") == 3
    assert ids(court.store) == {"a", "b", "c", "new"}, "nobody has said yet that b is gone"
    court.graph.pages["joiner"] = [[run("a", failedTasksCount=3), run("new")]]
    assert await court.listing(FULL_EVERY / 10_000_000) == FULL
    assert ids(court.store) == {"a", "c", "new"}


async def test_the_time_of_the_last_listing_survives_the_process_and_goes_with_its_workflow(court: Court) -> None:
    assert await court.listing(30, again=True) == CHANGES
    court.graph.workflow_ids = ["leaver"]
    await court.listing(30)
    court.graph.workflow_ids = ["joiner", "leaver"]
    assert await court.listing(30) == [("joiner", None), CHANGES[1]]
    assert ids(court.store) == {"a", "b", "c"}


async def test_without_changes_nothing_is_written_until_the_overlap_has_passed(court: Court) -> None:
    def kept() -> KnownListing:
        with court.store.reading() as db:
            return known_listings(db)["joiner"]

    for _ in range(9):
        assert await court.listing(30) == CHANGES
    assert kept() == KnownListing(FIRST, FIRST)
    await court.listing(30)
    assert kept() == KnownListing(FIRST + OVERLAP, FIRST)
    assert await court.listing(30) == [("joiner", FIRST), ("leaver", FIRST)]


@pytest.mark.parametrize("status", [400, 501])
async def test_a_service_that_cannot_filter_is_listed_in_full_and_that_is_remembered(court: Court, status: int) -> None:
    court.graph.changes["joiner"] = [refused(status)]
    court.graph.pages["joiner"] = [[run("b", failedTasksCount=9)]]
    assert await court.listing(30) == [CHANGES[0], ("joiner", None), CHANGES[1]]
    assert court.refresh.progress.why_incomplete is None
    assert court.failed_tasks("b") == 9
    assert ids(court.store) == {"b", "c"}
    assert await court.listing(30) == FULL
    court.graph.changes = {}
    assert all(since for _, since in await court.listing(30, again=True)), "another session asks once more"


async def test_a_changed_run_without_an_id_causes_a_full_listing_each_time_that_removes_nothing(court: Court) -> None:
    no_id = GraphError(without_ids(EXCHANGE, 1), EXCHANGE, lacks_ids=True)
    court.graph.changes["joiner"] = [[], no_id]
    court.graph.pages["joiner"] = [[run("b", failedTasksCount=9)], no_id]
    for _ in range(2):
        assert await court.listing(30) == [CHANGES[0], ("joiner", None), CHANGES[1]]
        assert [missing.workflow_id for missing in court.refresh.progress.missing] == ["joiner"]
        assert court.failed_tasks("b") == 9
        assert ids(court.store) == {"a", "b", "c"}


async def test_trouble_that_is_not_about_the_filter_is_not_taken_for_a_refusal_of_it(court: Court) -> None:
    court.graph.changes["joiner"] = court.graph.pages["joiner"] = [refused(400)]
    await court.listing(30)
    assert [missing.workflow_id for missing in court.refresh.progress.missing] == ["joiner"]
    court.graph.pages["joiner"], court.graph.changes = [[run("a")]], {}
    assert await court.listing(30) == [("joiner", None), CHANGES[1]], "what it refused once is read in full"
    court.graph.changes["leaver"] = [graph_error()]
    await court.listing(30)
    assert (await court.listing(30))[1] == CHANGES[1], "a server that fails says nothing about its runs"


async def test_a_doubt_or_a_person_causes_a_full_listing(court: Court) -> None:
    court.refresh.doubt("joiner")
    assert await court.listing(30) == [("joiner", None), CHANGES[1]]
    court.graph.pages["leaver"] = [graph_error()]
    assert await court.listing(30, full=True) == FULL
    assert [since for _, since in await court.listing(30)][1] is None, "it has not been read yet"
    court.graph.pages["leaver"] = [[]]
    court.refresh.now(full=True)
    assert await court.listing(30) == FULL
    assert ids(court.store) == {"a", "b"}
    assert all(since for _, since in await court.listing(30))


async def test_a_doubt_outlives_a_listing_that_another_workflow_ends(court: Court) -> None:
    court.refresh.doubt("joiner")
    court.refresh.suspend()  # after the first page
    court.graph.busy["leaver"] = [refused(401)]
    await court.listing(30)
    assert court.refresh.progress.fault is not None
    assert await court.listing(30, again=True) == [("joiner", None), CHANGES[1]]


async def test_a_known_list_is_quick_in_every_order_while_its_changes_are_read(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "runs.db")) as store:
        court = Court(store)
        await court.listing(sorts={"status"})  # like `runtui list`
        with store.reading() as db:
            assert {"id", "status", "users"}.intersection(missing_orders(db)) == {"users"}
        court.graph.gate.clear()
        while not court.graph.at_gate.empty():
            court.graph.at_gate.get_nowait()
        reading = asyncio.create_task(court.listing(30, again=True))
        await court.graph.at_gate.get()
        with store.reading() as db:
            assert missing_orders(db) == []
        court.graph.gate.set()
        assert await reading == CHANGES


@pytest.mark.parametrize("other", ["'{'", "'[1]'", "'5'", "5", "x'ff'"])
async def test_unreadable_rows_are_ignored_and_read_again(other: str, court: Court, tmp_path: Path) -> None:
    task = {"processingStatus": "failed", "failureReason": "no", "subject": {"id": "u1"}, "task": {"id": "t1"}}
    court.store.put_results("a", court.store.as_of("a"), [task], [{"id": "u1"}])
    tasks = () if other in ("'{'", "x'ff'") else ("task_body",)  # SQLite itself reads the JSON of these
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
        for table in ("body", "workflow", "user_result", *tasks):
            db.execute(f"UPDATE {table} SET raw = {other}")
        db.execute("UPDATE listing SET as_of = 'x' WHERE workflow_id = 'leaver'")
        db.execute(f"UPDATE run SET total_users = {other}, workflow_name = 5")
    assert court.store.get("a") is None
    assert [raw["displayName"] for raw in court.store.workflows()] == ["Joiner", "Leaver"]
    assert [history.workflow.name for history in court.store.histories(3)] == ["Joiner", "Leaver"]
    results = there(court.store.results_of("a", with_users=True))
    assert results.is_outdated
    assert [cause.runs for cause in court.store.causes(EVERY_RUN)] == [1]
    assert len(court.store.results_of_person("u1")) == 1 - len(tasks)
    assert dict(cells_of(court.store))["users"] == 3
    assert await court.listing(30) == FULL
    stored = there(court.store.get("a"))
    assert stored.raw == run("a")


async def test_a_service_that_does_not_tell_the_time_is_listed_in_full(court: Court) -> None:
    court.graph.clock = None
    assert await court.listing() == FULL


@pytest.mark.parametrize(
    ("as_of", "full_at", "now", "since"),
    [
        (0, 0, 1, -OVERLAP),
        (50, 0, FULL_EVERY - 1, 50 - OVERLAP),
        (50, 0, FULL_EVERY, None),
        (0, 0, -OVERLAP, -OVERLAP),
        (0, 0, -OVERLAP - 1, None),
        (0, 0, None, None),
    ],
)
def test_the_time_since_which_changes_are_requested(
    as_of: int, full_at: int, now: int | None, since: int | None
) -> None:
    def later(moment: int | None) -> int | None:
        return None if moment is None else FIRST + moment

    known = KnownListing(FIRST + as_of, FIRST + full_at)
    assert changes_since(known, later(now)) == later(since)
    assert changes_since(None, later(now)) is None
