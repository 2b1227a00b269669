"""Every window, count and position agrees with a plain list: the same questions, answered in Python from JSON alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.columns import Column
from runtui.domain.filter_tree import (
    AllOf,
    AnyOf,
    CountIs,
    FilterField,
    HasText,
    IsFlag,
    IsNull,
    IsOneOf,
    Node,
    Not,
    TextIs,
    TimeIs,
)
from runtui.domain.filters import parse_filter
from runtui.domain.plots import RUNNING, UNKNOWN_STATUS, tenant_counts
from runtui.domain.rows import RUN_COLUMN_BY_KEY, RUN_COLUMNS, SEVERITY, STUCK_AFTER, RunRow
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, parse_ticks
from runtui.services.store.store import RunQuery, Store

NOW = parse_ticks("2026-11-20T12:00:00Z")
HOUR = 3600 * TICKS_PER_SECOND
Raw = dict[str, Any]

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
TERMS = (
    'onboard a FI ﬁ "pre-hire" ärger onDemand status:failed status:fail,comp status:none status!=failed type:onDemand '
    "type:new-i̇ wf:board wf=ärger id:a id=a failed>0 failed=0 failed<2 failed!=2 failed:null failedTasks>=1 users<=12 "
    "users!=12 successful:1,2 unprocessed:null tasks>0 started>-2h started<=-2h started>2026-11-20 started<=2026-11-20 "
    "started>=2026-11-20T12:00:00Z "
    "started:2026-11-20 started!=2026-11-20 started:null completed:null completed!=null updated<=now scheduled<now "
    "is:problem is:stuck is:active is:unknown"
)
FILTERS = st.recursive(
    st.sampled_from(TERMS.split()),
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


def values(raw: Raw, field: FilterField) -> list[int]:
    read = moment if field.kind == "datetime" else number
    found = [read(raw, name) for name in NAMES[field.name]]
    return [value for value in found if value is not None]


def text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def status(raw: Raw) -> str:
    return text(raw, "processingStatus")


def touched(raw: Raw) -> int:
    names = ("startedDateTime", "scheduledDateTime", "completedDateTime", "lastUpdatedDateTime")
    return max((value for name in names if (value := moment(raw, name)) is not None), default=-(2**62))


def is_stuck(raw: Raw) -> bool:
    return status(raw) in ("inProgress", "canceling") and touched(raw) < NOW - STUCK_AFTER


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
        case HasText(wanted):
            word = {"completedWithErrors": "partly", "inProgress": "running"}.get(status(raw), "")
            texts = (workflow, raw["id"], status(raw), word, text(raw, "workflowExecutionType"))
            return any(wanted.casefold() in each.casefold() for each in texts)
        case IsOneOf(field, wanted):
            return any(is_choice(field, one, raw) for one in wanted)
        case TextIs(field) if field.is_of_results:
            return False  # no results of a run were read here
        case TextIs(field, wanted, whole):
            has = (workflow if field.name == "workflow" else raw["id"]).casefold()
            return has == wanted.casefold() if whole else wanted.casefold() in has
        case CountIs(field, sign, wanted):
            return any(COMPARE[sign](max(each), wanted, wanted + 1) for each in [values(raw, field)] if each)
        case TimeIs(field, sign, first, end):
            return any(COMPARE[sign](value, first, end) for value in values(raw, field))
        case IsNull(field):
            return not values(raw, field)
        case IsFlag(flag, _):
            problem = status(raw) in ("failed", "completedWithErrors", "canceled", "quarantined") or is_stuck(raw)
            active = status(raw) in ("inProgress", "canceling")
            unknown = status(raw) not in ("failed", "completed", "inProgress", "canceling")
            return {"problem": problem, "stuck": is_stuck(raw), "active": active, "unknown": unknown}[flag]


def is_choice(field: FilterField, wanted: str, raw: Raw) -> bool:
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


def second_value(key: str, raw: Raw) -> int:
    """Return what decides between equal runs; the greater comes first."""
    if key == "status" and status(raw) in ("inProgress", "canceling"):
        return -touched(raw)
    return int(sort_value("started", raw, ""))


class Model:
    """The runs in a dict, each with a number that is one more than the greatest one when it came."""

    def __init__(self) -> None:
        self.runs: dict[str, tuple[Raw, str, int]] = {}

    def put(self, workflow: str, page: list[Raw]) -> None:
        number = max((number for _, _, number in self.runs.values()), default=0)
        for raw in {raw["id"]: raw for raw in page}.values():
            if raw["id"] not in self.runs:
                number += 1
            _, _, known = self.runs.get(raw["id"], (None, None, number))
            self.runs[raw["id"]] = (raw, workflow, known)

    def keep(self, workflow: str, page: list[Raw]) -> None:
        kept = {raw["id"] for raw in page}
        self.runs = {key: run for key, run in self.runs.items() if run[1] != workflow or key in kept}

    def find(self, query: RunQuery) -> list[str]:
        wanted = query.filter.tree if query.filter else None
        column = RUN_COLUMN_BY_KEY[query.sort]
        found = [run for run in self.runs.values() if matches(wanted, run[0], run[1])]
        # Sort by the last key first: each sort keeps the earlier order of equal runs.
        backward = column.descending_first
        found.sort(key=lambda run: run[2], reverse=backward)
        if column.key not in ("started", "id"):
            found.sort(key=lambda run: second_value(column.key, run[0]), reverse=True)
        found.sort(key=lambda run: sort_value(column.key, run[0], run[1]), reverse=backward)
        names = [raw["id"] for raw, _, _ in found]
        return names if query.descending == backward else names[::-1]


pages = st.tuples(st.sampled_from(sorted(WORKFLOWS)), st.lists(RUNS, max_size=12), st.booleans())
questions = st.tuples(
    st.none() | FILTERS,
    st.sampled_from(RUN_COLUMNS),
    st.booleans(),
    st.integers(0, 14),
    st.integers(0, 14),
    st.booleans(),
)


@given(st.lists(pages, max_size=4), st.lists(questions, min_size=1, max_size=6))
def test_window_count_and_position_agree_with_a_plain_list(
    pages: list[tuple[str, list[Raw], bool]], questions: list[tuple[str | None, Column[RunRow], bool, int, int, bool]]
) -> None:
    model = Model()
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs.db")
        try:
            store.put_workflows([{"id": key, "displayName": name} for key, name in WORKFLOWS.items()])
            for workflow_id, runs, is_last in pages:
                listing = store.next_listing()
                store.put_runs(workflow_id, runs, listing)
                model.put(WORKFLOWS[workflow_id], runs)
                if is_last:
                    store.finish_listing(workflow_id, listing)
                    model.keep(WORKFLOWS[workflow_id], runs)
            for typed, column, descending, start, count, counted_first in questions:
                query = RunQuery(None if typed is None else parse_filter(typed, NOW), column.key, descending)
                expected = model.find(query)
                if counted_first:
                    assert store.count(query) == len(expected)
                found = [row.id for row in store.window(query, start, count)]
                assert found == expected[start : start + count]
                for run_id in model.runs:
                    place = expected.index(run_id) if run_id in expected else None
                    assert store.position(query, run_id) == place
                assert store.count(query) == len(expected)
            statuses = [status(raw) for raw, _, _ in model.runs.values()]
            totals = store.totals(NOW)
            assert totals.by_status == Counter(statuses)
            for shown in tenant_counts(*totals):
                assert shown.runs == len(model.find(RunQuery(parse_filter(shown.filter, NOW))))
            trouble = [shown.runs for shown in tenant_counts(*totals) if shown.filter not in (RUNNING, UNKNOWN_STATUS)]
            assert sum(trouble) == len(model.find(RunQuery(parse_filter("is:problem", NOW))))
        finally:
            store.close()


TABLE: list[Raw] = [
    {"id": "r0", "processingStatus": "failed", "failedUsersCount": 2, "startedDateTime": format_ticks(NOW - HOUR)},
    {"id": "r1", "processingStatus": "completedWithErrors", "failedTasksCount": 1, "failedUsersCount": 0},
    {"id": "r2", "processingStatus": "completed", "failedTasksCount": 0, "failedUsersCount": 0},
    {"id": "r3", "processingStatus": "inProgress", "startedDateTime": format_ticks(NOW - 4 * HOUR)},
    {"id": "r4", "processingStatus": "pausedByPolicy", "completedDateTime": format_ticks(NOW)},
    {"id": "r5", "processingStatus": None},
]


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        ("status:completed", "2"),
        ("status:comp", "12"),
        ("status:COMPLETEDwithERRORS", "1"),
        ("status:pausedByPolicy", "4"),
        ("status:paused", "4"),
        ("status:none", "5"),
        ("status:failed,none", "05"),
        ("status!=failed,none", "1234"),
        ("failed>0", "01"),
        ("failed=0", "2"),
        ("failed<2", "12"),
        ("!failed<2", "0345"),
        ("failed:null", "345"),
        ("started>-1h", ""),
        ("started>=-1h", "0"),
        ("started<=-1h", "03"),
        ("started<-1h", "3"),
        ("started:null", "1245"),
        ("completed>2026-11-20T12:00:00Z", ""),
        ("completed>2026-11-20T11:59:59Z", "4"),
        ("completed:2026-11-20T12:00:00Z", "4"),
        ("completed<=2026-11-20T11:59:59Z", ""),
        ("is:problem", "013"),
        ("is:stuck or status:queued", "3"),
        ("is:active", "3"),
        ("is:unknown", "45"),
        ("onboard !id:r0,r1", "2345"),
        ("Partly or status:runn", "13"),
        ("!partly", "02345"),
    ],
)
def test_what_a_filter_finds(tmp_path: Path, typed: str, numbers: str) -> None:
    store = Store(tmp_path / "runs.db")
    store.put_workflows([{"id": "w1", "displayName": "Onboard"}])
    store.put_runs("w1", TABLE, store.next_listing())
    query = RunQuery(parse_filter(typed, NOW), "id", descending=False)
    assert [row.id for row in store.window(query, 0, 9)] == [f"r{number}" for number in numbers]
    store.close()
