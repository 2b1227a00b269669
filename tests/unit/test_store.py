"""The store: what it keeps and announces, and that every window of rows is right."""

from __future__ import annotations

import json
import sqlite3
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from runtui.domain.filters import parse_filter
from runtui.domain.rows import RUN_COLUMNS, STUCK_AFTER, is_stuck
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, parse_ticks
from runtui.errors import RuntuiError
from runtui.services.store import file as store_file
from runtui.services.store.counts import failures_by_day, histories, totals
from runtui.services.store.file import add_order
from runtui.services.store.query import BrokenOffError, QueryCache, found_ids, position, rows_of, texts, walk
from runtui.services.store.results import run_row_of
from runtui.services.store.store import EVERY_RUN, RunQuery, Store
from tests import PATIENCE, there

NOW = parse_ticks("2026-11-20T12:00:00Z")
HOUR = 3600 * TICKS_PER_SECOND
ALL = RunQuery()
Raw = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


def revision(path: Path) -> int:
    """Return the number that grows with every change of runs."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT revision FROM state").fetchone()[0])


def a_run(number: int, **properties: Any) -> Raw:
    started = format_ticks(NOW - number * HOUR)
    return {"id": f"r{number}", "processingStatus": "completed", "startedDateTime": started} | properties


def ids(store: Store, query: RunQuery = ALL, start: int = 0, count: int = 1000) -> list[str]:
    return [row.id for row in store.window(query, start, count)]


def put(store: Store, *runs: Raw, workflow_id: str = "w1") -> list[int]:
    return store.put_runs(workflow_id, runs, store.next_listing())


# Keeping

ODD_RUN: Raw = {
    "zeta": {"b": [1, None, {"c": "é入\ud800"}], "a": 1.0},
    "id": "x" * 130,
    "processingStatus": "pausedByPolicy",
    "startedDateTime": "2026-11-20T09:15:03.9206151Z",
    "scheduledDateTime": "not a time",
    "failedUsersCount": "12",
    "totalUsersCount": None,
    "big": 10**30,
}


def test_a_run_comes_back_as_received_and_in_the_order_of_its_properties(store: Store) -> None:
    put(store, ODD_RUN)
    kept = there(store.get("x" * 130))
    assert json.dumps(kept.raw) == json.dumps(ODD_RUN)
    assert (kept.workflow_id, kept.workflow_name) == ("w1", "w1")


def test_a_missing_property_of_a_run_is_none_in_its_row(store: Store) -> None:
    put(store, ODD_RUN)
    (row,) = store.window(RunQuery(), 0, 9)
    assert row.status == "pausedByPolicy"
    assert row.number("started") == parse_ticks("2026-11-20T09:15:03.9206151Z")
    assert [row.values[key] for key in ("scheduled", "failedUsers", "users", "type")] == [None, None, None, ""]


@pytest.mark.parametrize(
    "run_id", ["[/x]", "\x1b[2J", "a b/c?d#e", "入社_1", "\ud800", "'; DROP TABLE run; --", "a\0b"]
)
def test_any_id_finds_its_run_again(store: Store, run_id: str) -> None:
    put(store, a_run(1, id=run_id), a_run(2))
    (row,) = (row for row in store.window(RunQuery(), 0, 9) if row.id != "r2")
    for known_as in (run_id, row.id):
        assert store.get(known_as) is not None
        assert store.position(RunQuery(), known_as) == 0


def test_nobody_is_nobody(store: Store) -> None:
    assert store.get("nobody") is None
    assert store.position(RunQuery(), "nobody") is None


def test_the_list_is_there_at_the_next_start(path: Path) -> None:
    first = Store(path)
    first.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    put(first, a_run(1), a_run(2))
    first.close()
    again = Store(path)
    assert [row.workflow_name for row in again.window(RunQuery(), 0, 9)] == ["Onboard", "Onboard"]
    again.close()


def test_a_page_of_any_size_is_stored(store: Store) -> None:
    assert len(put(store, *(a_run(number) for number in range(2500)))) == 2500
    assert store.count(RunQuery()) == 2500


# Workflows


def test_a_renamed_workflow_is_renamed_in_its_rows_and_found_by_its_new_name(store: Store) -> None:
    put(store, a_run(1))
    store.put_workflows([{"id": "w1", "displayName": "STRAßE 入社"}, {"id": "w2"}])
    assert [row.workflow_name for row in store.window(RunQuery(), 0, 9)] == ["STRAßE 入社"]
    for text in ("strasse", "入社", 'wf:"Strasse"', 'wf="straße 入社"'):
        assert ids(store, RunQuery(parse_filter(text, NOW))) == ["r1"]
    assert [workflow["id"] for workflow in store.workflows()] == ["w1", "w2"]


def test_workflows_come_back_as_received_by_name(store: Store) -> None:
    received: list[Raw] = [{"id": "1", "displayName": "b", "x": [1]}, {"id": "2", "displayName": "A"}, {"id": "3"}]
    store.put_workflows(received)
    assert store.workflows() == [received[2], received[1], received[0]]


def test_workflows_that_are_gone_take_their_runs_along(store: Store) -> None:
    store.put_workflows([{"id": "w1"}, {"id": "w2"}])
    put(store, a_run(1), workflow_id="w1")
    put(store, a_run(2), workflow_id="w2")
    store.keep_workflows(["w2"])
    assert ids(store) == ["r2"]
    assert store.workflows() == [{"id": "w2"}]
    assert store.count(RunQuery()) == 1


# Listing


def test_a_run_that_no_page_had_is_removed_when_its_listing_ends(store: Store) -> None:
    put(store, a_run(1), a_run(2), a_run(3))
    put(store, a_run(9), workflow_id="other")
    listing = store.next_listing()
    store.put_runs("w1", [a_run(1)], listing)
    store.put_runs("w1", [a_run(3)], listing)
    assert len(ids(store)) == 4
    store.finish_listing("w1", listing)
    assert ids(store) == ["r1", "r3", "r9"]


def test_a_run_on_two_pages_is_announced_only_once(store: Store) -> None:
    listing = store.next_listing()
    first = store.put_runs("w1", [a_run(1), a_run(2)], listing)
    second = store.put_runs("w1", [a_run(2), a_run(3, processingStatus="failed")], listing)
    query = RunQuery(parse_filter("!status:failed", NOW))
    with store.reading() as db:
        assert [text.id for text in texts(db, RunQuery(), [*second, *first])] == ["r3", "r1", "r2"]
        assert [text.id for text in texts(db, query, [*second, *first])] == ["r1", "r2"]
        assert rows_of(db, "w1") == first + second


def test_a_workflow_without_runs_loses_those_it_had(store: Store) -> None:
    put(store, a_run(1))
    listing = store.next_listing()
    store.put_runs("w1", [], listing)
    store.finish_listing("w1", listing)
    assert ids(store) == []


def test_pages_of_an_abandoned_listing_do_not_count_for_the_next(store: Store) -> None:
    put(store, a_run(1), a_run(2))
    listing = store.next_listing()
    store.put_runs("w1", [a_run(1)], listing)
    store.finish_listing("w1", listing)
    assert ids(store) == ["r1"]


def test_an_answer_is_not_overwritten_by_a_page_of_the_listing_under_way(store: Store) -> None:
    put(store, a_run(1))
    listing = store.next_listing()
    store.put_run("w1", a_run(1, processingStatus="canceled"))
    store.put_runs("w1", [a_run(1)], listing)
    assert store.window(RunQuery(), 0, 1)[0].status == "canceled"
    store.put_runs("w1", [a_run(1)], store.next_listing())
    assert store.window(RunQuery(), 0, 1)[0].status == "completed"


def test_an_answer_asked_for_before_the_listing_gives_way_to_a_page_with_a_later_change(store: Store) -> None:
    at_nine, at_ten = (f"2026-11-20T{hour}:00:00Z" for hour in ("09", "10"))
    put(store, a_run(1, lastUpdatedDateTime=at_nine))
    listing = store.next_listing()
    store.put_run("w1", a_run(1, lastUpdatedDateTime=at_nine, totalUsersCount=9))
    store.put_runs("w1", [a_run(1, lastUpdatedDateTime=at_ten, processingStatus="canceled")], listing)
    assert store.window(RunQuery(), 0, 1)[0].status == "canceled"


def test_a_run_answered_during_a_listing_that_does_not_have_it_stays(store: Store) -> None:
    listing = store.next_listing()
    store.put_run("w1", a_run(1))
    store.put_runs("w1", [a_run(2)], listing)
    store.finish_listing("w1", listing)
    assert ids(store) == ["r1", "r2"]


# Announcing


def test_changes_are_announced_with_their_ids_once_they_can_be_read(store: Store) -> None:
    heard: list[tuple[frozenset[str] | None, int]] = []
    end = store.changed.subscribe(lambda changed: heard.append((changed, store.count(RunQuery()))))
    put(store, a_run(1), a_run(2))
    put(store, a_run(1), a_run(2, processingStatus="failed"))
    put(store, *(a_run(number) for number in range(1000)))
    end()
    put(store, a_run(5000))
    assert heard == [(frozenset({"r1", "r2"}), 2), (frozenset({"r2"}), 2), (None, 1000)]


def test_an_unchanged_tenant_is_neither_written_nor_announced(store: Store, path: Path) -> None:
    runs = [a_run(number) for number in range(50)]
    store.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    put(store, *runs)
    before = revision(path)
    heard: list[object] = []
    store.changed.subscribe(heard.append)
    store.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    store.keep_workflows(["w1"])
    listing = store.next_listing()
    store.put_runs("w1", runs, listing)
    store.finish_listing("w1", listing)
    store.put_run("w1", {"@odata.context": "https://graph/$metadata#runs/$entity", **runs[7]})
    assert (heard, revision(path)) == ([], before)


def test_another_text_of_the_same_run_is_no_change_but_another_type_is(store: Store, path: Path) -> None:
    runs = [a_run(1, totalUsersCount=1)]
    store.put_runs("w1", runs, store.next_listing(), [json.dumps(runs[0])])
    before = revision(path)
    put(store, *runs)
    assert revision(path) == before
    put(store, a_run(1, totalUsersCount=True))
    assert revision(path) > before


def test_the_revision_grows_with_each_change(store: Store, path: Path) -> None:
    revisions = [revision(path)]
    changes: list[Callable[[], object]] = [
        lambda: put(store, a_run(1)),
        lambda: store.put_run("w1", a_run(1, failedUsersCount=1)),
        lambda: store.put_workflows([{"id": "w1", "displayName": "New"}]),
        lambda: store.keep_workflows([]),
    ]
    for change in changes:
        change()
        revisions.append(revision(path))
    assert revisions == sorted(set(revisions))


def test_totals(store: Store) -> None:
    old = format_ticks(NOW - STUCK_AFTER - 1)
    put(
        store,
        a_run(1, processingStatus="failed"),
        a_run(2, processingStatus="completedWithErrors"),
        a_run(3, processingStatus="inProgress", startedDateTime=old),
        a_run(4, processingStatus="inProgress", startedDateTime=old, lastUpdatedDateTime=format_ticks(NOW)),
        a_run(5, processingStatus="pausedByPolicy"),
        a_run(6, processingStatus=None),
    )
    put(store, a_run(2, processingStatus="completed"))
    totals = store.totals(NOW)
    assert totals.by_status == {"failed": 1, "completed": 1, "inProgress": 2, "pausedByPolicy": 1, "": 1}
    assert totals.stuck == 1


# Order


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("status", True, "r3 r1 r4 r2 r0"),
        ("status", False, "r0 r2 r4 r1 r3"),
        ("started", True, "r0 r1 r2 r3 r4"),
        ("workflow", False, "r4 r0 r1 r2 r3"),
        ("failedUsers", True, "r2 r1 r3 r0 r4"),
        ("id", False, "r0 r1 r2 r3 r4"),
    ],
)
def test_the_first_press_shows_the_worst_or_the_newest_first(
    store: Store, sort: str, descending: bool, expected: str
) -> None:
    store.put_workflows([{"id": "w1", "displayName": "mover"}, {"id": "w2", "displayName": "Joiner"}])
    statuses = ["completed", "completedWithErrors", "queued", "failed"]
    failed = [0, 4, 10, 4]
    runs = [a_run(n, processingStatus=statuses[n], failedUsersCount=failed[n]) for n in range(4)]
    put(store, *runs)
    put(store, a_run(4, processingStatus="pausedByPolicy"), workflow_id="w2")
    assert ids(store, RunQuery(None, sort, descending)) == expected.split()


@pytest.mark.parametrize("other", ["inProgress", "canceling"])
def test_of_active_runs_those_without_an_update_for_longest_are_first_so_the_stuck_are_above_the_others(
    other: str, store: Store
) -> None:
    def active(number: int, started: int, updated: int) -> Raw:
        times = {"startedDateTime": started, "lastUpdatedDateTime": updated}
        moments = {name: format_ticks(NOW - hours * HOUR) for name, hours in times.items()}
        return a_run(number, processingStatus="inProgress" if number in (2, 3) else other, **moments)

    put(store, active(1, 1, 0), active(2, 21, 20), active(3, 40, 1), active(4, 10, 9))
    put(store, a_run(5, processingStatus="queued"), a_run(6, processingStatus="failed"))
    assert ids(store) == ["r6", "r2", "r4", "r3", "r1", "r5"]
    assert [row.id for row in store.window(ALL, 0, 6) if is_stuck(row, NOW)] == ["r2", "r4"]


class Explained:
    """A connection that records how SQLite would carry out each statement."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.plans: list[str] = []

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self.plans += [step[3] for step in self.db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        return self.db.execute(sql, values)


def plans(path: Path, act: Callable[[sqlite3.Connection], object]) -> list[str]:
    with sqlite3.connect(path) as db:
        explained = Explained(db)
        act(explained)  # type: ignore[arg-type]
    db.close()
    return explained.plans


def test_the_counts_of_the_header_read_no_run(store: Store, path: Path) -> None:
    put(store, *(a_run(number, processingStatus="inProgress") for number in range(20)))
    store.complete_orders()
    for count in (lambda db: totals(db, NOW), lambda db: failures_by_day(db, 1, NOW)):
        *_, of_runs = plans(path, count)
        assert of_runs.startswith("SEARCH run USING COVERING INDEX")


def test_a_day_of_a_workflow_reads_no_run_even_during_a_listing(store: Store, path: Path) -> None:
    put(store, a_run(1))
    store.histories(1, NOW)
    steps = plans(path, lambda db: histories(db, 1, NOW))
    days = [step for step in steps if "run_by_workflow_id (workflow_id=? AND recency>? AND recency<?)" in step]
    assert days
    assert all("USING COVERING INDEX" in step for step in days)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("column", RUN_COLUMNS, ids=lambda column: column.key)
def test_every_order_is_an_index_from_both_ends(store: Store, path: Path, column: Any, descending: bool) -> None:
    put(store, *(a_run(number) for number in range(20)))
    store.complete_orders()
    query = RunQuery(None, column.key, descending)
    for start in (0, 18):
        steps = plans(path, lambda db: walk(db, query, start, 2, 20))  # noqa: B023
        assert steps == [f"SCAN run USING INDEX run_by_{column.key}"]


@pytest.mark.parametrize(
    ("text", "sort", "index"),
    [
        ("status:failed", "status", "run_by_status (severity=? AND silence=?)"),
        ("status:failed", "started", "run_by_status (severity=? AND silence=?)"),
        ("type:onDemand", "started", "run_by_type (type_key=?)"),
        ("started>-24h", "started", "run_by_started (recency>?)"),
    ],
)
def test_the_usual_filters_are_found_by_an_index_in_the_usual_order(
    store: Store, path: Path, text: str, sort: str, index: str
) -> None:
    put(store, a_run(1))
    store.complete_orders()
    query = RunQuery(parse_filter(text, NOW), sort)
    first, *rest = plans(path, lambda db: walk(db, query, 0, 10))
    assert f"USING INDEX {index}" in first
    # At most the row numbers of runs that began in the same tick are sorted.
    assert set(rest) <= {"USE TEMP B-TREE FOR LAST TERM OF ORDER BY", "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"}


@pytest.mark.parametrize("read", [found_ids, texts])
def test_all_runs_of_a_filter_are_sorted_after_an_index_has_found_them(
    store: Store, path: Path, read: Callable[[sqlite3.Connection, RunQuery], Iterable[tuple[str, ...]]]
) -> None:
    put(store, *(a_run(number, scheduledDateTime=f"2026-11-20T1{number}:00:00Z") for number in range(5)))
    store.complete_orders()
    query = RunQuery(parse_filter("scheduled>2026-11-20T12:00:00Z", NOW), "scheduled", descending=False)
    found, *_ = plans(path, lambda db: list(read(db, query._replace(sort="users"))))
    assert found.replace("COVERING ", "") == "SEARCH run USING INDEX run_by_scheduled (scheduled>?)"
    with store.reading() as db:
        assert [run[:2] for run in read(db, query)] == [("r3", "w1"), ("r4", "w1")]


def test_an_order_that_a_person_looks_at_is_quick_before_the_listing_ends(store: Store, path: Path) -> None:
    query = RunQuery(None, "users")
    put(store, a_run(1))
    assert ids(store, query) == ["r1"]
    assert plans(path, lambda db: walk(db, query, 0, 10))[-1].startswith("USE TEMP B-TREE")
    put(store, a_run(2))
    assert plans(path, lambda db: walk(db, query, 0, 10)) == ["SCAN run USING INDEX run_by_users"]


def test_a_thread_that_comes_after_the_end_opens_nothing(store: Store) -> None:
    store.close()
    with ThreadPoolExecutor(1) as late, pytest.raises(RuntuiError, match="closed"):
        late.submit(store.count, RunQuery()).result()


def test_a_waiting_writer_comes_before_the_next_order_is_made(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    put(store, a_run(1))
    with ThreadPoolExecutor(1) as other:

        def noting(db: sqlite3.Connection, key: str) -> None:
            if not made:
                other.submit(store.put_run, "w1", a_run(2)).add_done_callback(lambda _: made.append("the writer"))
                deadline = monotonic() + PATIENCE
                while not store.connections.turn.next.locked() and monotonic() < deadline:
                    pass
            made.append(key)
            add_order(db, key)

        monkeypatch.setattr("runtui.services.store.store.add_order", noting)
        store.complete_orders()
    assert made.index("the writer") <= 2, "it waits for one order, and another may begin before it is told"
    assert len(made) > len(RUN_COLUMNS)


def test_the_index_of_ids_is_made_first_and_replaces_the_marks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    marks: list[int] = []

    def noting(db: sqlite3.Connection, key: str) -> None:
        marks.append(len(store._stored_ids._marks))
        add_order(db, key)

    for start in (0, 3_000):
        put(store, *(a_run(number) for number in range(start, start + 3_000)))
    monkeypatch.setattr("runtui.services.store.store.add_order", noting)
    store.complete_orders()
    assert marks[0] > 1_000_000
    assert not any(marks[1:])


def test_runs_in_no_order_write_as_little_of_the_file_as_those_in_order(tmp_path: Path) -> None:
    """A page of runs is appended: everything that it changes is in the log until the log is copied."""
    written = []
    for step in (1, 1_237):
        path = tmp_path / f"{step}.db"
        with closing(Store(path)) as store:
            for start in range(0, 4_000, 200):
                numbers = (number * step % 4_000 for number in range(start, start + 200))
                page = [a_run(number) | {"id": f"r{place:05}"} for place, number in enumerate(numbers, start)]
                put(store, *(run | {"processingStatus": "inProgress"} for run in page))
            written.append(path.with_name(f"{step}.db-wal").stat().st_size)
    in_order, in_no_order = written
    assert in_no_order < 1.1 * in_order


def test_runs_with_random_ids_write_little_more_of_the_file_than_those_in_order(tmp_path: Path) -> None:
    random, written = Random(1), []
    for name, id_of in (("in order", "{:036}".format), ("random", lambda _: str(UUID(int=random.getrandbits(128))))):
        path = tmp_path / f"{name}.db"
        with closing(Store(path)) as store:
            for start in range(0, 20_000, 1_000):
                put(store, *({"id": id_of(number)} for number in range(start, start + 1_000)))
            written.append(path.with_name(f"{name}.db-wal").stat().st_size)
    in_order, at_random = written
    assert at_random < 1.1 * in_order


def test_a_run_is_found_by_its_id_also_where_a_listing_has_not_ended(store: Store, path: Path) -> None:
    put(store, a_run(1))
    for index in ("INDEX run_of_segment (ANY(<expr>) AND <expr>=?)", "COVERING INDEX run_by_id (id=?)"):
        assert plans(path, lambda db: run_row_of(db, "r1")) == [f"SEARCH run USING {index}"]
        store.complete_orders({"id"})


def test_runs_that_come_again_are_known_also_where_a_listing_has_not_ended(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes runs that another process has stored meanwhile, and those that a killed process has stored."""
    monkeypatch.setattr(store_file, "_SEGMENT_BITS", 0)
    pages = [[a_run(number) for number in range(start, start + 60)] for start in (0, 40, 80, 60)]
    with closing(Store(path)) as other:
        for writer, page in zip((store, other, store, other), pages, strict=True):
            put(writer, *page)
    with closing(Store(path)) as later:
        put(later, *pages[1], *(a_run(number) for number in range(140, 150)))
        later.complete_orders()
        assert later.count(ALL) == len(set(later.ids(ALL))) == len(later.ids(ALL)) == 150


FILTERS = ("status:failed", "-status:failed", "is:problem", "r1", "users>3", "no-such-thing", "triage:unhandled")


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("column", RUN_COLUMNS, ids=lambda column: column.key)
def test_the_first_rows_are_those_of_all_and_those_are_in_order(store: Store, column: Any, descending: bool) -> None:
    """This holds for few rows, which are looked up one by one, and for many, which are picked from the order of all."""
    statuses = ("failed", "completed", "completed", "inProgress", "newer than us")
    put(store, *(a_run(n, processingStatus=statuses[n % 5], totalUsersCount=n * 7 % 11) for n in range(60)))
    for text in FILTERS:
        found = parse_filter(text, NOW)
        query = RunQuery(found, column.key, descending)
        with store.reading() as db:
            expected = [row.id for row in walk(db, query, 0, 60)]
        assert store.count_first(query, 9, 60) == min(9, len(expected))
        assert ids(store, query) == expected[:9]
        assert store.position(query, "r59") in (None, *range(9))
        assert store.count(query) == len(expected)
        assert ids(store, query) == expected
        other = query._replace(descending=not descending)
        assert store.count(other) == len(expected)
        assert ids(store, other) == expected[::-1]


@pytest.mark.parametrize("descending", [True, False])
def test_the_position_of_a_run_is_counted_from_the_nearer_end(store: Store, descending: bool) -> None:
    put(store, *(a_run(number, totalUsersCount=number % 7) for number in range(20_000)))
    store.complete_orders()
    query = RunQuery(None, "users", descending)
    for place in (0, 900, 9_999, 19_990, 19_999):
        looks: list[None] = []
        [run] = store.window(query, place, 1)
        with store.reading() as db:
            db.set_progress_handler(lambda: looks.append(None), 1_000)  # noqa: B023
            assert position(db, query, run.id) == place
            db.set_progress_handler(None, 0)
        assert len(looks) < 25 or place == 9_999


def test_found_rows_are_reversed_without_a_look_at_any_run(store: Store, path: Path) -> None:
    put(store, *(a_run(number) for number in range(9)))
    query = RunQuery(parse_filter("r", NOW), "users")
    cache = QueryCache()
    with store.reading() as db:
        down = cache.all(db, query, (0, 0)).tolist()
    other = query._replace(descending=False)
    assert plans(path, lambda db: cache.all(db, other, (0, 0))) == []
    assert cache.kept(other, (0, 0)) == array("I", reversed(down))
    assert cache.kept(other, (0, 1)) is None


def test_found_rows_are_kept_once_and_only_while_they_are_valid(store: Store) -> None:
    put(store, *(a_run(number) for number in range(9)))
    query, other = (RunQuery(parse_filter(text, NOW), "users") for text in ("r", "run"))
    cache = QueryCache()
    with store.reading() as db:
        outdated = weakref.ref(cache.all(db, query, (0, 0)))
        down = weakref.ref(cache.all(db, other, (1, 0)))
        assert outdated() is None
        cache.all(db, other._replace(descending=False), (1, 0))
    assert down() is None


@pytest.mark.parametrize("count", [1, 7, 8, 16, 21])
@pytest.mark.parametrize("gap", [1, 7, 8, 15])
def test_a_run_that_no_page_of_a_listing_has_is_gone(store: Store, count: int, gap: int) -> None:
    put(store, *(a_run(number) for number in range(count)))
    listing = store.next_listing()
    seen = [a_run(number) for number in range(count) if number + 1 != gap]
    store.put_runs("w1", seen, listing)
    store.finish_listing("w1", listing)
    assert sorted(store.ids(EVERY_RUN)) == sorted(run["id"] for run in seen)


@pytest.mark.parametrize("text", FILTERS)
def test_the_first_rows_are_found_along_the_order_and_nothing_is_sorted(text: str, store: Store, path: Path) -> None:
    put(store, a_run(1))
    store.complete_orders()
    for sort in ("status", "users"):
        query = RunQuery(parse_filter(text, NOW), sort)
        steps = plans(path, lambda db: QueryCache().first(db, query, (0, 0), 9))  # noqa: B023
        assert steps[0] in (f"SCAN run USING {kind}INDEX run_by_{sort}" for kind in ("", "COVERING "))
        assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize("text", ["status:failed", "is:problem", "started>2026-01-01"])
def test_the_first_rows_are_found_quickly_even_if_they_come_late_in_the_order(text: str, store: Store) -> None:
    """SQLite looks at the time after so many steps that it reads a hundred rows by an index, but not all of them."""
    failed = {"processingStatus": "failed", "startedDateTime": "2026-02-01T00:00:00Z"}
    done = {"processingStatus": "completed", "startedDateTime": "2025-02-01T00:00:00Z"}
    put(store, *(a_run(number, **(done if number < 9_000 else failed)) for number in range(9_100)))
    store.complete_orders()
    query = RunQuery(parse_filter(text, NOW), "status" if ":" in text else "started", descending=False)
    assert store.count_first(query, 9, -1) == 9


def test_a_query_that_nobody_waits_for_is_interrupted(store: Store) -> None:
    put(store, *(a_run(number) for number in range(3_000)))
    query = RunQuery(parse_filter("r29", NOW))
    with pytest.raises(BrokenOffError):
        store.count(query, lambda: True)
    assert len(store.ids(query)) == 111, "only that query"
    assert store.count_first(query, 999, -1) == 0
    assert store.count(query) == len(ids(store, query)) == 111


def test_found_rows_are_not_used_after_the_runs_have_changed(store: Store) -> None:
    query = RunQuery(parse_filter("status:failed", NOW))
    put(store, a_run(1, processingStatus="failed"), a_run(2))
    assert (store.count(query), ids(store, query)) == (1, ["r1"])
    put(store, a_run(2, processingStatus="failed"))
    assert ids(store, query) == ["r1", "r2"]
    assert (store.position(query, "r2"), store.count(query)) == (1, 2)


# Threads and processes


def test_a_failed_write_leaves_nothing_behind(store: Store) -> None:
    put(store, a_run(1))
    heard: list[object] = []
    store.changed.subscribe(heard.append)
    circular = a_run(2)
    circular["self"] = circular
    with pytest.raises(ValueError, match="Circular"):
        put(store, a_run(3), circular)
    assert (ids(store), heard, store.count(RunQuery())) == (["r1"], [], 1)
    put(store, a_run(4))
    assert ids(store) == ["r1", "r4"]


def test_readers_do_not_wait_for_a_writer_and_see_whole_changes_only(store: Store, path: Path) -> None:
    put(store, a_run(1))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM run")
        assert ids(store) == ["r1"]
        assert store.count(RunQuery()) == 1
        other.execute("ROLLBACK")
    other.close()


def test_many_threads_write_and_read_at_once(store: Store) -> None:
    listing = store.next_listing()

    def work(worker: int) -> None:
        for page in range(5):
            runs = [a_run(worker * 1000 + page * 10 + number) for number in range(10)]
            store.put_runs(f"w{worker}", runs, listing)
            found = store.count(RunQuery())
            assert len(store.window(RunQuery(), 0, 1000)) >= found
            assert store.count(RunQuery(parse_filter("r", NOW))) >= found

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert store.count(RunQuery()) == len(ids(store)) == 200


def test_a_second_program_sees_what_the_first_one_stores(store: Store, path: Path) -> None:
    query = RunQuery(parse_filter("r", NOW))
    second = Store(path)
    assert second.count(query) == 0
    put(store, a_run(1))
    assert (second.count(query), ids(second, query)) == (1, ["r1"])
    put(second, a_run(2))
    assert ids(store) == ["r1", "r2"]
    second.close()


def test_a_query_that_sorts_many_runs_sorts_them_in_a_file(store: Store) -> None:
    with store.reading() as db:
        assert db.execute("PRAGMA temp_store").fetchone() == (1,), "in memory, a million take 70 MB"
