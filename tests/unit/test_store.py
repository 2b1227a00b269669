"""The store: what is kept, what is announced, and that every window is the right one."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtui.domain.filter_tree import (
    Absent,
    AllOf,
    AnyOf,
    Choice,
    Contains,
    Field,
    Is,
    Moment,
    Node,
    Not,
    Number,
    Text,
)
from runtui.domain.filters import parse
from runtui.domain.rows import COLUMN_BY_KEY, COLUMNS, SEVERITY, STUCK_AFTER
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, parse_ticks
from runtui.errors import RuntuiError
from runtui.services.store import Query, Store, StoreError
from runtui.services.store_file import VERSION
from runtui.services.store_reads import find, walk

NOW = parse_ticks("2026-11-20T12:00:00Z")
HOUR = 3600 * TICKS_PER_SECOND
ALL = Query()
Raw = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


def a_run(number: int, **properties: Any) -> Raw:
    started = format_ticks(NOW - number * HOUR)
    return {"id": f"r{number}", "processingStatus": "completed", "startedDateTime": started} | properties


def ids(store: Store, query: Query = ALL, start: int = 0, count: int = 1000) -> list[str]:
    return [row.id for row in store.window(query, start, count)]


def put(store: Store, *runs: Raw, workflow_id: str = "w1") -> int:
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
    kept = store.get("x" * 130)
    assert kept is not None
    assert json.dumps(kept.raw) == json.dumps(ODD_RUN)
    assert (kept.workflow_id, kept.workflow_name) == ("w1", "w1")


def test_what_a_run_does_not_have_is_none_in_its_row(store: Store) -> None:
    put(store, ODD_RUN)
    row = store.row("x" * 130)
    assert row is not None
    assert row.status == "pausedByPolicy"
    assert row.started == parse_ticks("2026-11-20T09:15:03.9206151Z")
    assert (row.scheduled, row.failed_users, row.total_users, row.execution_type) == (None, None, None, "")


@pytest.mark.parametrize(
    "run_id", ["[/x]", "\x1b[2J", "a b/c?d#e", "入社_1", "\ud800", "'; DROP TABLE run; --", "a\0b"]
)
def test_any_id_finds_its_run_again(store: Store, run_id: str) -> None:
    put(store, a_run(1, id=run_id), a_run(2))
    (row,) = (row for row in store.window(Query(), 0, 9) if row.id != "r2")
    for known_as in (run_id, row.id):
        assert store.get(known_as) is not None
        assert store.row(known_as) == row
        assert store.position(Query(), known_as) == 0


def test_nobody_is_nobody(store: Store) -> None:
    assert store.get("nobody") is None
    assert store.row("nobody") is None
    assert store.position(Query(), "nobody") is None


def test_the_list_is_there_at_the_next_start(path: Path) -> None:
    first = Store(path)
    first.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    put(first, a_run(1), a_run(2))
    first.set_meta("sort", "users")
    first.close()
    again = Store(path)
    assert [row.workflow_name for row in again.window(Query(), 0, 9)] == ["Onboard", "Onboard"]
    assert (again.meta("sort"), again.meta("other"), again.meta("other", "x")) == ("users", "", "x")
    again.close()


def test_a_run_without_an_id_is_reported_and_does_not_cost_the_others(store: Store) -> None:
    with pytest.raises(RuntuiError, match="no id"):
        put(store, a_run(1), {"processingStatus": "failed"}, a_run(2))
    assert ids(store) == ["r1", "r2"]


def test_a_page_of_any_size_is_stored(store: Store) -> None:
    assert put(store, *(a_run(number) for number in range(2500))) == 2500
    assert store.count(Query()) == 2500


# Workflows


def test_a_renamed_workflow_is_renamed_in_its_rows_and_found_by_its_new_name(store: Store) -> None:
    put(store, a_run(1))
    store.put_workflows([{"id": "w1", "displayName": "STRAßE 入社"}, {"id": "w2"}])
    assert [row.workflow_name for row in store.window(Query(), 0, 9)] == ["STRAßE 入社"]
    for text in ("strasse", "入社", 'wf:"Strasse"', 'wf="straße 入社"'):
        assert ids(store, Query(parse(text, NOW))) == ["r1"]
    assert [workflow["id"] for workflow in store.workflows()] == ["w1", "w2"] or store.workflows()[0]["id"] == "w1"


def test_workflows_come_back_as_received_by_name(store: Store) -> None:
    received = [
        {"id": "1", "displayName": "b", "x": [1]},
        {"id": "2", "displayName": "A"},
        {"id": "3", "displayName": 7},
    ]
    store.put_workflows(received)
    assert store.workflows() == [received[2], received[1], received[0]]


def test_workflows_that_are_gone_take_their_runs_along(store: Store) -> None:
    store.put_workflows([{"id": "w1"}, {"id": "w2"}])
    put(store, a_run(1), workflow_id="w1")
    put(store, a_run(2), workflow_id="w2")
    store.keep_workflows(["w2"])
    assert ids(store) == ["r2"]
    assert store.workflows() == [{"id": "w2"}]
    assert store.totals(NOW).total == 1


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
    assert store.window(Query(), 0, 1)[0].status == "canceled"
    store.put_runs("w1", [a_run(1)], store.next_listing())
    assert store.window(Query(), 0, 1)[0].status == "completed"


def test_a_run_answered_during_a_listing_that_does_not_have_it_stays(store: Store) -> None:
    listing = store.next_listing()
    store.put_run("w1", a_run(1))
    store.put_runs("w1", [a_run(2)], listing)
    store.finish_listing("w1", listing)
    assert ids(store) == ["r1", "r2"]


# Announcing


def test_changes_are_announced_with_their_ids_once_they_can_be_read(store: Store) -> None:
    heard: list[tuple[frozenset[str] | None, int]] = []
    end = store.subscribe(lambda changed: heard.append((changed, store.count(Query()))))
    put(store, a_run(1), a_run(2))
    put(store, a_run(1), a_run(2, processingStatus="failed"))
    put(store, *(a_run(number) for number in range(1000)))
    end()
    put(store, a_run(5000))
    assert heard == [(frozenset({"r1", "r2"}), 2), (frozenset({"r2"}), 2), (None, 1000)]


def test_an_unchanged_tenant_is_neither_written_nor_announced(store: Store) -> None:
    runs = [a_run(number) for number in range(50)]
    store.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    put(store, *runs)
    before = store.revision
    heard: list[object] = []
    store.subscribe(heard.append)
    store.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    store.keep_workflows(["w1"])
    listing = store.next_listing()
    assert store.put_runs("w1", runs, listing) == 0
    store.finish_listing("w1", listing)
    store.put_run("w1", runs[7])
    assert (heard, store.revision) == ([], before)


def test_the_revision_grows_with_each_change(store: Store) -> None:
    revisions = [store.revision]
    changes: list[Callable[[], object]] = [
        lambda: put(store, a_run(1)),
        lambda: store.put_run("w1", a_run(1, failedUsersCount=1)),
        lambda: store.put_workflows([{"id": "w1", "displayName": "New"}]),
        lambda: store.keep_workflows([]),
    ]
    for change in changes:
        change()
        revisions.append(store.revision)
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
    assert (totals.total, totals.failed, totals.stuck, totals.problems) == (6, 1, 1, 2)
    assert store.count(Query(parse("is:problem", NOW))) == 2


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
    assert ids(store, Query(None, sort, descending)) == expected.split()


class Explained:
    """A connection that notes how SQLite would carry out each statement."""

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


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_every_order_is_an_index_from_both_ends(store: Store, path: Path, column: Any, descending: bool) -> None:
    put(store, *(a_run(number) for number in range(20)))
    query = Query(None, column.key, descending)
    index = "sqlite_autoindex_run_1" if column.key == "id" else f"run_by_{column.key}"
    for start in (0, 18):
        assert plans(path, lambda db: walk(db, query, start, 2, 20)) == [f"SCAN run USING INDEX {index}"]  # noqa: B023


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("status:failed", "run_by_status (severity=?)"),
        ("type:onDemand", "run_by_type (type_key=?)"),
        ("status:none", "run_by_status"),
        ("started>-24h", "run_by_started (recency>?)"),
    ],
)
def test_the_usual_filters_are_found_by_an_index_in_the_usual_order(
    store: Store, path: Path, text: str, index: str
) -> None:
    put(store, a_run(1))
    query = Query(parse(text, NOW))
    (plan,) = plans(path, lambda db: walk(db, query, 0, 10))
    assert index in plan or text == "status:none"
    assert "TEMP B-TREE" not in plan
    assert plans(path, lambda db: find(db, query))[0].count("TEMP") == 0


# The model: the same questions, answered in plain Python from the JSON alone


STATUSES = st.sampled_from(["failed", "completed", "inProgress", "canceling", "pausedByPolicy", "Failed", "", None, 7])
TYPES = st.sampled_from(["scheduled", "onDemand", "ONDEMAND", "new-İ", None])
MOMENTS = st.sampled_from(
    [
        None,
        "",
        "2026-11-20T12:00:00Z",
        "2026-11-20T11:59:59.9999999Z",
        "2026-11-20T13:00:00+01:00",
        "0001-01-01T00:00:00Z",
    ]
    + [format_ticks(NOW - hours * HOUR) for hours in (1, 2, 4, 30)]
)
COUNTS = st.sampled_from([None, 0, 1, 2, 12, -1, 2**31 - 1, "3", 1.5, True])
IDS = st.sampled_from([*"abcdefghij", "A", "入社", "ﬁ", "x" * 130])
RUNS = st.fixed_dictionaries(
    {"id": IDS, "processingStatus": STATUSES, "workflowExecutionType": TYPES, "startedDateTime": MOMENTS},
    optional={
        "scheduledDateTime": MOMENTS,
        "completedDateTime": MOMENTS,
        "lastUpdatedDateTime": MOMENTS,
        "failedTasksCount": COUNTS,
        "failedUsersCount": COUNTS,
        "successfulUsersCount": COUNTS,
        "totalUsersCount": COUNTS,
        "totalTasksCount": COUNTS,
        "totalUnprocessedTasksCount": COUNTS,
    },
)
WORKFLOWS = {"w1": "Onboard pre-hire", "w2": "Ärger", "w3": "onboard FI"}
TERMS = st.sampled_from(
    'onboard a FI ﬁ "pre-hire" ärger onDemand status:failed status:fail,comp status:none status!=failed type:onDemand '
    "type:new-i̇ wf:board wf=ärger id:a id=a failed>0 failed=0 failed<2 failed!=2 failed:null failedTasks>=1 users<=12 "
    "users!=12 successful:1,2 unprocessed:null tasks>0 started>-3h started<-3h started>=2026-11-20T12:00:00Z "
    "started:2026-11-20 started!=2026-11-20 started:null completed:null completed!=null updated<=now scheduled<now "
    "is:problem is:stuck is:active".split()  # noqa: SIM905
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        inner.map(lambda text: f"!({text})"),
        st.tuples(inner, st.sampled_from([" ", " or "]), inner).map(lambda parts: f"({''.join(parts)})"),
    ),
    max_leaves=4,
)

NAMES: Mapping[str, tuple[str, ...]] = {
    "failed": ("failedUsersCount", "failedTasksCount"),
    "failedUsers": ("failedUsersCount",),
    "failedTasks": ("failedTasksCount",),
    "users": ("totalUsersCount",),
    "successful": ("successfulUsersCount",),
    "tasks": ("totalTasksCount",),
    "unprocessed": ("totalUnprocessedTasksCount",),
    "scheduled": ("scheduledDateTime",),
    "started": ("startedDateTime",),
    "completed": ("completedDateTime",),
    "updated": ("lastUpdatedDateTime",),
}
COMPARE: Mapping[str, Callable[[int, int, int], bool]] = {
    ">": lambda value, first, end: value >= end,
    ">=": lambda value, first, end: value >= first,
    "<": lambda value, first, end: value < first,
    "<=": lambda value, first, end: value < end,
    "=": lambda value, first, end: first <= value < end,
    "!=": lambda value, first, end: not first <= value < end,
}


def moment(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return parse_ticks(value) if isinstance(value, str) and value else None


def number(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def values(raw: Raw, field: Field) -> list[int]:
    read = moment if field.kind == "moment" else number
    found = [read(raw, name) for name in NAMES[field.name]]
    return [value for value in found if value is not None]


def text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def status(raw: Raw) -> str:
    return text(raw, "processingStatus")


def is_stuck(raw: Raw) -> bool:
    names = ("startedDateTime", "scheduledDateTime", "completedDateTime", "lastUpdatedDateTime")
    touched = [value for name in names if (value := moment(raw, name)) is not None]
    return status(raw) in ("inProgress", "canceling") and max(touched, default=-1) < NOW - STUCK_AFTER


def matches(node: Node | None, raw: Raw, workflow: str) -> bool:
    match node:
        case None:
            return True
        case AllOf(parts):
            return all(matches(part, raw, workflow) for part in parts)
        case AnyOf(parts):
            return any(matches(part, raw, workflow) for part in parts)
        case Not(part):
            return not matches(part, raw, workflow)
        case Text(wanted):
            texts = (workflow, raw["id"], status(raw), text(raw, "workflowExecutionType"))
            return any(wanted.casefold() in each.casefold() for each in texts)
        case Choice(field, wanted):
            return any(is_choice(field, one, raw) for one in wanted)
        case Contains(field, wanted, whole):
            has = (workflow if field.name == "workflow" else raw["id"]).casefold()
            return has == wanted.casefold() if whole else wanted.casefold() in has
        case Number(field, sign, wanted):
            return any(COMPARE[sign](max(each), wanted, wanted + 1) for each in [values(raw, field)] if each)
        case Moment(field, sign, first, end):
            return any(COMPARE[sign](value, first, end) for value in values(raw, field))
        case Absent(field):
            return not values(raw, field)
        case Is(flag, _):
            problem = status(raw) in ("failed", "completedWithErrors", "canceled", "quarantined") or is_stuck(raw)
            active = status(raw) in ("inProgress", "canceling")
            return {"problem": problem, "stuck": is_stuck(raw), "active": active}[flag]


def is_choice(field: Field, wanted: str, raw: Raw) -> bool:
    assert field.choices is not None
    has = text(raw, field.aliases[0])
    if field.choices.is_known(wanted) and field.name == "status":
        return has == wanted
    if field.choices.is_known(wanted) or not wanted:
        return has.casefold() == wanted.casefold()
    return has.casefold().startswith(wanted.casefold())


def sort_value(key: str, raw: Raw, workflow: str) -> Any:
    smallest = -(2**63)
    if key in ("scheduled", "completed", "updated"):
        value = moment(raw, NAMES[key][0])
        return smallest if value is None else value
    if key in ("users", "failedUsers", "failedTasks"):
        value = number(raw, NAMES[key][0])
        return smallest if value is None else value
    if key == "started":
        names = ("startedDateTime", "scheduledDateTime", "lastUpdatedDateTime", "completedDateTime")
        return next((value for name in names if (value := moment(raw, name)) is not None), smallest)
    if key == "status":
        return SEVERITY.get(status(raw), SEVERITY[""])
    if key == "type":
        return text(raw, "workflowExecutionType").casefold()
    return {"workflow": workflow.casefold(), "id": raw["id"].encode()}[key]


class Model:
    """The runs in a dict, in the order in which they first came."""

    def __init__(self) -> None:
        self.runs: dict[str, tuple[Raw, str]] = {}

    def find(self, query: Query) -> list[str]:
        wanted = query.filter.tree if query.filter else None
        column = COLUMN_BY_KEY[query.sort]
        found = [
            (raw, workflow, place)
            for place, (raw, workflow) in enumerate(self.runs.values())
            if matches(wanted, raw, workflow)
        ]
        # From the last key to the first: each sort keeps the order of equals that the one before it made.
        backward = column.descending_first
        found.sort(key=lambda run: run[2], reverse=backward)
        if column.key not in ("started", "id"):
            found.sort(key=lambda run: sort_value("started", run[0], run[1]), reverse=True)
        found.sort(key=lambda run: sort_value(column.key, run[0], run[1]), reverse=backward)
        names = [raw["id"] for raw, _, _ in found]
        return names if query.descending == backward else names[::-1]


@given(
    pages=st.lists(st.tuples(st.sampled_from(sorted(WORKFLOWS)), st.lists(RUNS, max_size=12)), max_size=4),
    questions=st.lists(
        st.tuples(
            st.none() | FILTERS,
            st.sampled_from(COLUMNS),
            st.booleans(),
            st.integers(0, 14),
            st.integers(0, 14),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_window_count_and_position_agree_with_a_plain_list(
    pages: list[tuple[str, list[Raw]]], questions: list[tuple[str | None, Any, bool, int, int, bool]]
) -> None:
    model = Model()
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs.db")
        try:
            store.put_workflows([{"id": key, "displayName": name} for key, name in WORKFLOWS.items()])
            for workflow_id, runs in pages:
                put(store, *runs, workflow_id=workflow_id)
                model.runs |= {raw["id"]: (raw, WORKFLOWS[workflow_id]) for raw in runs}
            for typed, column, descending, start, count, counted_first in questions:
                query = Query(None if typed is None else parse(typed, NOW), column.key, descending)
                expected = model.find(query)
                if counted_first:
                    assert store.count(query) == len(expected)
                assert ids(store, query, start, count) == expected[start : start + count]
                for run_id in model.runs:
                    place = expected.index(run_id) if run_id in expected else None
                    assert store.position(query, run_id) == place
                assert store.count(query) == len(expected)
            statuses = [status(raw) for raw, _ in model.runs.values()]
            assert store.totals(NOW).by_status == {name: statuses.count(name) for name in set(statuses)}
        finally:
            store.close()


def test_a_finding_is_not_used_once_the_runs_have_changed(store: Store) -> None:
    query = Query(parse("status:failed", NOW))
    put(store, a_run(1, processingStatus="failed"), a_run(2))
    assert (store.count(query), ids(store, query)) == (1, ["r1"])
    put(store, a_run(2, processingStatus="failed"))
    assert ids(store, query) == ["r1", "r2"]
    assert (store.position(query, "r2"), store.count(query)) == (1, 2)


# The file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_for_its_owner_alone(store: Store, path: Path) -> None:
    put(store, a_run(1))
    assert mode(path.parent) == 0o700
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Store(tmp_path / "runs.db").close()
    assert mode(tmp_path) == 0o755


def make_no_database(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def make_another_version(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()


def make_broken(path: Path) -> None:
    Store(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 9000)


def make_incomplete(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE state")
    db.close()


@pytest.mark.parametrize("make", [make_no_database, make_another_version, make_broken, make_incomplete])
def test_a_file_that_is_not_ours_is_set_aside_and_begun_anew(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir()
    make(path)
    before = path.read_bytes()
    store = Store(path)
    put(store, a_run(1))
    assert ids(store) == ["r1"]
    store.close()
    assert path.with_name(path.name + ".aside").read_bytes() == before


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = Store(path)
    assert ids(store) == []
    store.close()


@pytest.mark.parametrize("wrong", ["folder", "below a file"])
def test_a_place_where_no_file_can_be_is_told_in_words(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as refused:
        Store(tmp_path if wrong == "folder" else tmp_path / "file" / "runs.db")
    assert "RUNTUI_STATE" in refused.value.hint


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store(path)
    ids(store)
    store.close()
    with pytest.raises(StoreError):
        store.window(Query(), 0, 1)
    with pytest.raises(StoreError):
        store.set_meta("a", "b")


# Threads and processes


def test_a_failed_write_leaves_nothing_behind(store: Store) -> None:
    put(store, a_run(1))
    heard: list[object] = []
    store.subscribe(heard.append)
    circular = a_run(2)
    circular["self"] = circular
    with pytest.raises(ValueError, match="Circular"):
        put(store, a_run(3), circular)
    assert (ids(store), heard, store.totals(NOW).total) == (["r1"], [], 1)
    put(store, a_run(4))
    assert ids(store) == ["r1", "r4"]


def test_readers_do_not_wait_for_a_writer_and_see_whole_changes_only(store: Store, path: Path) -> None:
    put(store, a_run(1))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM run")
        assert ids(store) == ["r1"]
        assert store.count(Query()) == 1
        other.execute("ROLLBACK")
    other.close()


def test_many_threads_write_and_read_at_once(store: Store) -> None:
    listing = store.next_listing()

    def work(worker: int) -> None:
        for page in range(5):
            runs = [a_run(worker * 1000 + page * 10 + number) for number in range(10)]
            store.put_runs(f"w{worker}", runs, listing)
            found = store.count(Query())
            assert len(store.window(Query(), 0, 1000)) >= found
            assert store.count(Query(parse("r", NOW))) >= found

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert store.count(Query()) == len(ids(store)) == 200
    assert store.totals(NOW).by_status == {"completed": 200}


def test_a_second_program_sees_what_the_first_one_stores(store: Store, path: Path) -> None:
    query = Query(parse("r", NOW))
    second = Store(path)
    assert second.count(query) == 0
    put(store, a_run(1))
    assert (second.count(query), ids(second, query)) == (1, ["r1"])
    put(second, a_run(2))
    assert ids(store) == ["r1", "r2"]
    second.close()
