"""The text of a row, and the columns that fit."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.columns import GAP, GUTTER, Column, ListCell, Role, list_layout
from runtui.domain.properties import PROCESSING_STATUS, SENTINEL
from runtui.domain.rows import (
    INDEXED,
    NO_NUMBER,
    ROW_PROPERTIES,
    RUN_COLUMN_BY_KEY,
    RUN_COLUMNS,
    SEVERITY,
    STATUS_LOOKS,
    STUCK_AFTER,
    RunRow,
    cells_needed,
    index_runs,
    short_id,
    status_look,
)
from runtui.domain.times import TICKS_PER_SECOND, parse_ticks

NOW = parse_ticks("2026-11-20T12:00:00Z")
HOUR = 3600 * TICKS_PER_SECOND
RUN_ID = "6513270e-269e-4d37-b2a7-4de452e6b438_639307628950522341"


def a_row(**facts: Any) -> RunRow:
    workflow = facts.pop("workflow", "Onboard")
    values = {item.key: "" if item.is_text else None for item in ROW_PROPERTIES}
    assert facts.keys() <= values.keys()
    return RunRow(1, RUN_ID, "w", workflow, values | facts)


def shown(key: str, row: RunRow) -> ListCell:
    return RUN_COLUMN_BY_KEY[key].show(row, NOW)


def test_a_record_keeps_the_seventh_digit_and_orders_by_the_moment_not_by_the_text() -> None:
    early = indexed(startedDateTime="2026-11-20T09:15:03.92061Z")
    late = indexed(startedDateTime="2026-11-20T09:15:03.9206151Z")
    assert (late["started"] - early["started"], late["recency"] > early["recency"]) == (51, True)
    assert early["started"] < indexed(startedDateTime="2026-11-20T11:15:04+02:00")["started"]


def indexed(**raw: Any) -> dict[str, Any]:
    [values] = zip(*index_runs([{"id": "a"} | raw], "w"), strict=True)
    return dict(zip(INDEXED, values, strict=True))


def test_a_run_is_as_recent_as_its_start_and_before_that_as_its_schedule() -> None:
    times = {"startedDateTime": "2026-11-20T09:30:00Z", "scheduledDateTime": "2026-11-20T09:00:00Z"}
    assert indexed(**times)["recency"] == parse_ticks("2026-11-20T09:30:00Z")
    waiting = indexed(startedDateTime=None, scheduledDateTime="2026-11-20T09:00:00Z")
    assert waiting["started"] == NO_NUMBER
    assert waiting["recency"] == parse_ticks("2026-11-20T09:00:00Z")


@pytest.mark.parametrize("wrong", [None, True, "12", 1.0, 2**31, -(2**31) - 1, 10**30, [], {}])
def test_a_count_of_the_wrong_type_counts_as_absent(wrong: object) -> None:
    assert indexed(failedUsersCount=wrong)["failed_users"] == NO_NUMBER


@pytest.mark.parametrize("count", [0, 7, -1, 2**31 - 1, -(2**31)])
def test_every_int32_is_kept(count: int) -> None:
    assert indexed(failedUsersCount=count)["failed_users"] == count


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PROPERTIES = "processingStatus workflowExecutionType startedDateTime completedDateTime failedTasksCount somethingNew"


@given(st.dictionaries(st.sampled_from(PROPERTIES.split()), json_values), st.text(min_size=1))
def test_any_object_with_an_id_makes_a_record_that_a_database_can_hold(raw: dict[str, Any], run_id: str) -> None:
    [made] = zip(*index_runs([raw | {"id": run_id}], "w"), strict=True)
    assert len(made) == len(INDEXED)
    for value in made:
        assert isinstance(value, int | str)
        assert value.encode("utf-8") is not None if isinstance(value, str) else -(2**63) <= value < 2**63


@pytest.mark.parametrize(
    ("status", "text", "role"),
    [
        ("failed", "✗ failed", "status-failed"),
        ("completedWithErrors", "! partly", "status-problem"),
        ("inProgress", "● running", "status-active"),
        ("completed", "✓ completed", "status-done"),
        ("queued", "◌ queued", "status-waiting"),
        ("canceled", "⊘ canceled", "status-problem"),
        ("quarantined", "■ quarantined", "status-problem"),
        ("pausedByPolicy", "? pausedByPolicy", "status-unknown"),
        ("unknownFutureValue", "? unknownFutureValue", "status-unknown"),
        ("[/x]\x1b[31m", "? [/x]\x1b[31m", "status-unknown"),
        ("", "? no status", "status-unknown"),
    ],
)
def test_a_status_is_a_glyph_and_a_word(status: str, text: str, role: Role) -> None:
    assert shown("status", a_row(status=status, started=NOW)) == ListCell(text, role)


def test_every_known_status_has_a_look_and_fits_its_column() -> None:
    assert set(PROCESSING_STATUS.names) - {SENTINEL} == set(STATUS_LOOKS) - {""}
    longest = [shown("status", a_row(status=name, started=NOW - 4 * HOUR)).text for name in PROCESSING_STATUS.names]
    assert max(map(len, longest)) <= RUN_COLUMN_BY_KEY["status"].grows_to


def test_failed_is_the_most_urgent_and_completed_the_least() -> None:
    by_urgency = sorted(PROCESSING_STATUS.names, key=lambda name: SEVERITY.get(name, SEVERITY[""]), reverse=True)
    assert by_urgency[:3] == ["failed", "quarantined", "completedWithErrors"]
    assert by_urgency[-1] == "completed"


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"status": "inProgress", "started": NOW - STUCK_AFTER - 1}, "◔ stuck"),
        ({"status": "inProgress", "started": NOW - STUCK_AFTER}, "● running"),
        ({"status": "inProgress", "started": NOW - 9 * HOUR, "updated": NOW - HOUR}, "● running"),
        ({"status": "canceling", "started": NOW - 9 * HOUR}, "◔ stuck"),
        ({"status": "failed", "started": NOW - 9 * HOUR}, "✗ failed"),
    ],
)
def test_a_run_at_work_that_nothing_touched_for_three_hours_is_called_stuck(facts: dict[str, Any], text: str) -> None:
    assert shown("status", a_row(**facts)).text == text


@pytest.mark.parametrize(
    ("key", "facts", "expected"),
    [
        ("started", {"started": NOW - 2 * HOUR}, ListCell("2h")),
        ("updated", {"updated": NOW + HOUR // 73}, ListCell("now")),
        ("scheduled", {"scheduled": NOW + HOUR // 73}, ListCell("in 49s")),
        ("started", {"started": None, "scheduled": NOW}, ListCell("–", "muted")),
        ("scheduled", {"scheduled": NOW + 4 * 60 * TICKS_PER_SECOND}, ListCell("in 4m")),
        ("users", {"successful": 11, "users": 12}, ListCell("11/12", "number")),
        ("users", {"users": 12}, ListCell("–/12", "number")),
        ("users", {}, ListCell("–", "muted")),
        ("users", {"successful": 9999, "users": 10_999}, ListCell("9999/10k", "number")),
        ("users", {"successful": 7, "users": 11, "failedUsers": 4}, ListCell("7/11 ✗4", "alert")),
        ("users", {"successful": 11, "users": 11, "failedUsers": 0}, ListCell("11/11", "number")),
        ("failedUsers", {"failedUsers": 0}, ListCell("0", "muted")),
        ("failedUsers", {"failedUsers": 3}, ListCell("3", "alert")),
        ("failedTasks", {"failedTasks": 1_000_000}, ListCell("1M", "alert")),
        ("failedTasks", {"failedTasks": 2**31 - 1}, ListCell("2G", "alert")),
        ("failedTasks", {"failedTasks": -12_345}, ListCell("-12k", "alert")),
        ("failedTasks", {}, ListCell("–", "muted")),
        ("type", {"type": "onDemand"}, ListCell("onDemand")),
        ("type", {}, ListCell("–", "muted")),
        ("workflow", {"workflow": "[@click=app.quit]入社"}, ListCell("[@click=app.quit]入社")),
        ("id", {}, ListCell("6513…e6b438_6393…2341", "muted")),
    ],
)
def test_cells(key: str, facts: dict[str, Any], expected: ListCell) -> None:
    assert shown(key, a_row(**facts)) == expected


@pytest.mark.parametrize("width", [58, 80, 120, 200])
def test_no_number_or_time_is_wider_than_its_column(width: int) -> None:
    huge = 2**31 - 1
    counts = dict.fromkeys(("failedTasks", "failedUsers", "successful", "users"), huge)
    moments = dict.fromkeys(("scheduled", "started", "completed", "updated"), NOW - 900 * 24 * HOUR)
    row = a_row(status="completedWithErrors", type="activatedWithScope", **counts, **moments)
    needs = cells_needed(["completedWithErrors"], ["Onboard"], huge, huge)
    for column, cells in list_layout(RUN_COLUMNS, GUTTER + width + GAP, needs):
        if not column.flexible:
            assert len(column.show(row, NOW).text) <= cells


def test_a_column_is_as_wide_as_what_it_holds_and_the_name_has_the_rest() -> None:
    name = "Onboard new hire, first day"
    small = dict(list_layout(RUN_COLUMNS, 80, cells_needed(["failed"], [name], 9, 9)))
    large = dict(list_layout(RUN_COLUMNS, 80, cells_needed(["failed", "pausedByPolicy"], [name], 412, 120)))
    width = {column.key: (small[column], large[column]) for column in small.keys() & large.keys()}
    assert width["status"] == (len("✗ failed"), len("? pausedByPolicy"))
    assert width["users"] == (len("0/9 ✗9"), len("120/412 ✗120"))
    assert min(width["workflow"]) >= len(name)


@pytest.mark.parametrize("width", range(60, 140, 7))
def test_no_other_column_is_shown_where_a_name_would_be_cut_for_it(width: int) -> None:
    name = "Mover: team or department change, EMEA"
    columns = list_layout(RUN_COLUMNS, width, cells_needed(["failed"], [name], 99, 9))
    room = {column.key: cells for column, cells in columns}
    assert room["workflow"] >= len(name) or len(columns) == 4


def test_spare_room_of_the_flexible_column_goes_to_the_others() -> None:
    columns = (
        Column[str]("name", "name", 8, 1, lambda row, _: ListCell(row), grows_to=28),
        Column[str]("reason", "reason", 20, 1, lambda row, _: ListCell(""), flexible=True),
        Column[str]("id", "id", 9, 5, lambda row, _: ListCell("")),
    )
    room = {
        need: {column.key: cells for column, cells in list_layout(columns, 40, (("name", 27), ("reason", need)))}
        for need in (0, 5, 60)
    }
    assert [list(room[need].values()) for need in (0, 5, 60)] == [[27, 9], [27, 9], [16, 20]]


@pytest.mark.parametrize(
    ("run_id", "expected"),
    [
        ("short", "short"),
        ("x" * 21, "x" * 21),
        ("x" * 22, f"{'x' * 8}…{'x' * 12}"),
        (RUN_ID, "6513…e6b438_6393…2341"),
        ("9947396f-3691-e265-b1e5-2ea86c0c89d6", "9947396f…2ea86c0c89d6"),
        ("a_" * 64 + "tail", "a_a_a_a_…a_a_a_a_tail"),
    ],
)
def test_a_long_id_is_shortened_in_the_middle(run_id: str, expected: str) -> None:
    assert short_id(run_id) == expected


@given(st.text())
def test_a_shortened_id_fits_its_column(run_id: str) -> None:
    assert len(short_id(run_id)) <= RUN_COLUMN_BY_KEY["id"].width


@pytest.mark.parametrize(
    ("width", "keys"),
    [
        (58, "status workflow started users"),
        (80, "status workflow started users updated"),
        (120, "status workflow started users updated type completed scheduled failedTasks"),
        (200, "status workflow started users updated type completed scheduled failedTasks id failedUsers"),
    ],
)
def test_columns_drop_by_priority_as_the_screen_narrows(width: int, keys: str) -> None:
    needs = cells_needed(["quarantined"], ["Onboard new hire, first day"], 99, 9)
    assert [column.key for column, _ in list_layout(RUN_COLUMNS, GUTTER + width + GAP, needs)] == keys.split()


@given(st.integers(min_value=1, max_value=400))
def test_a_layout_fills_its_width_exactly_once_the_essential_columns_fit(width: int) -> None:
    columns = list_layout(RUN_COLUMNS, GUTTER + width + GAP)
    taken = sum(cells for _, cells in columns) + GAP * (len(columns) - 1)
    assert all(cells > 0 for _, cells in columns)
    assert taken == width if width >= 42 else len(columns) in (3, 4)


@given(st.integers(min_value=42, max_value=400))
def test_a_wider_screen_never_shows_fewer_columns(width: int) -> None:
    narrow = {column.key for column, _ in list_layout(RUN_COLUMNS, GUTTER + width + GAP)}
    assert narrow <= {column.key for column, _ in list_layout(RUN_COLUMNS, GUTTER + width + 1 + GAP)}


def test_every_column_sorts_by_indexed_fields_and_every_role_is_declared() -> None:
    fields = {*INDEXED, "workflow_key"}
    assert {term.lstrip("-") for column in RUN_COLUMNS for term in column.order} <= fields
    assert {status_look(name).role for name in STATUS_LOOKS} <= set(get_args(Role))
