"""Causes as rows: their order, their bars, and their form for programs."""

from __future__ import annotations

import pytest

from runtui.domain.columns import Needs, list_layout
from runtui.domain.results import Cause
from runtui.domain.times import parse_ticks
from runtui.domain.triage.causes import BAR_CELLS, CAUSE_COLUMNS, CAUSE_PROPERTIES, cause_record, cause_rows
from runtui.sandbox.tenant.tasks import ASSIGN_LICENSES

FIRST = parse_ticks("2026-11-20T06:00:00Z")
POOL = Cause("a", "Assign licenses", ASSIGN_LICENSES.id, "No license left.", 5, 29, FIRST, FIRST + 10, ("Pre-hire",))


def test_a_bar_is_full_for_the_cause_that_hit_most_users() -> None:
    rows = cause_rows([POOL, POOL._replace(key="b", users=1)])
    assert [row.cause.key for row in rows] == ["a", "b"]
    (share,) = (column for column in CAUSE_COLUMNS if column.key == "share")
    full, least = (share.show(row, 0).text.rstrip() for row in rows)
    assert full == "█" * BAR_CELLS
    assert len(least) == 1
    assert cause_rows([]) == []


def test_the_list_shows_a_reason_without_what_differs_from_user_to_user() -> None:
    reason = "License assignment failed for user 9531985d-5d9d-49f8-9818-e811892f902b: no SPE_E5 is left."
    (row,) = cause_rows([POOL._replace(reason=reason)])
    (column,) = (column for column in CAUSE_COLUMNS if column.key == "reason")
    assert column.show(row, 0).text == "License assignment failed for user #: no SPE_E5 is left."
    assert cause_record(row.cause)["reason"] == reason
    (of_group,) = cause_rows([POOL._replace(reason="Group 'Sales' (9531985d-5d9d-49f8-9818-e811892f902b) is synced.")])
    assert column.show(of_group, 0).text == "Group '…' is synced."


def test_a_program_gets_times_as_graph_writes_them_and_what_to_check() -> None:
    record = cause_record(POOL)
    assert tuple(record) == CAUSE_PROPERTIES
    assert (record["since"], record["last"]) == ("2026-11-20T06:00:00Z", "2026-11-20T06:00:00.000001Z")
    assert record["workflows"] == ["Pre-hire"]
    assert "The user has a usage location." in record["check"]
    unknown = cause_record(POOL._replace(definition_id="?", first=None, last=None))
    assert (unknown["since"], unknown["last"], unknown["check"]) == (None, None, [])


@pytest.mark.parametrize("needs", [(), (("task", 40), ("reason", 90))])
@pytest.mark.parametrize("width", [58, 68, 80, 118, 198])
def test_the_free_room_is_first_the_reasons_then_the_tasks(width: int, needs: Needs) -> None:
    shown = {column.key: cells for column, cells in list_layout(CAUSE_COLUMNS, width, needs)}
    assert {"task", "reason", "runs", "users"} <= set(shown)
    assert shown["reason"] >= min(34, width - 29), "a task with a long name leaves the reason its room"
    assert not needs or shown["task"] == max(14, min(24, width - 49))
    assert "last" in shown or width < 118
    assert ("workflows" in shown) is (width >= 198 or (width >= 118 and not needs))


def test_a_task_that_runs_an_extension_is_called_by_it_first() -> None:
    assert POOL.of_extension("Archive mailbox").task == "Archive mailbox: Assign licenses"
