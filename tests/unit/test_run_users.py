"""The users of a run as rows, whatever the server sends about them."""

from __future__ import annotations

from typing import Any

import pytest

from runtui.domain.columns import LEGIBLE_CELLS, list_layout
from runtui.domain.results import TaskResult, UserResult
from runtui.domain.times import TICKS_PER_SECOND, parse_ticks
from runtui.domain.triage.run_users import (
    PERSON_COLUMNS,
    TASK_COLUMNS,
    USER_COLUMNS,
    UserRow,
    extension_of,
    user_rows,
    users_named,
    waiting_words,
    why_no_users,
)

STARTED = "2026-11-20T09:00:00Z"
NOW = parse_ticks(STARTED) + 3_600 * TICKS_PER_SECOND


def user(name: str, status: str, **more: Any) -> UserResult:
    return UserResult({"id": f"result {name}", "processingStatus": status, "subject": {"id": name}, **more})


def task(name: str, place: int, status: str, **more: Any) -> TaskResult:
    return TaskResult(
        {
            "id": f"{name} {place}",
            "processingStatus": status,
            "subject": {"id": name},
            "startedDateTime": STARTED,
            "task": {"displayName": f"Task {place}", "executionSequence": place},
            **more,
        }
    )


def shown(row: UserRow) -> dict[str, str]:
    return {column.key: column.show(row, NOW).text for column in USER_COLUMNS}


def test_each_user_has_its_tasks_in_their_order() -> None:
    users = [
        user(
            "ann",
            "failed",
            totalTasksCount=3,
            totalUnprocessedTasksCount=1,
            failedTasksCount=1,
            completedDateTime=STARTED,
        ),
        user("bob", "completed"),
    ]
    ended = {"completedDateTime": STARTED}
    tasks = [
        task("ann", 2, "failed", failureReason="no manager", **ended),
        task("bob", 1, "completed", **ended),
        task("ann", 1, "completed", **ended),
    ]
    ann, bob = user_rows(users, tasks)
    assert [found.sequence for found in ann.tasks] == [1, 2]
    assert shown(ann) == {
        "status": "✗ failed",
        "user": "ann",
        "task": "Task 2",
        "reason": "no manager",
        "tasks": "2/3 ✗1",
        "upn": "–",
        "ended": "1h",
    }
    assert shown(bob)["tasks"] == "–"
    assert shown(bob)["reason"] == "–"


def test_a_name_stands_where_the_subject_is_expanded() -> None:
    expanded = {"id": "a" * 36, "displayName": "Ann Lee", "userPrincipalName": "ann@contoso.com"}
    known = UserResult({"id": "1", "subject": expanded})
    unknown = UserResult({"id": "2", "subject": {"id": "0123456789abcdef0123456789abcdef0123"}})
    first, second = user_rows([known, unknown], [])
    assert (shown(first)["user"], shown(first)["upn"]) == ("Ann Lee", "ann@contoso.com")
    assert shown(second)["user"] == "01234567…cdef0123"[:9] + "89abcdef0123"
    assert second.name == "0123456789abcdef0123456789abcdef0123"


def test_users_without_a_name_stand_last() -> None:
    unknown = UserResult({"id": "1", "subject": {"id": "0123"}})
    named = [UserResult({"id": name, "subject": {"id": name, "displayName": f"{name} Lee"}}) for name in ("ann", "bob")]
    assert [row.name for row in user_rows([named[0], unknown, named[1]], [])] == ["ann Lee", "bob Lee", "0123"]


@pytest.mark.parametrize(("width", "task_cells"), [(60, 22), (68, 30), (80, 34)])
def test_a_task_is_named_in_full_before_its_reason_is(width: int, task_cells: int) -> None:
    shown = {column.key: cells for column, cells in list_layout(TASK_COLUMNS, width, (("task", 34), ("reason", 90)))}
    assert shown["task"] >= task_cells
    assert shown["reason"] >= 18


def test_a_narrow_list_of_a_person_shows_the_reason_before_the_workflow() -> None:
    needs = (("workflow", 17), ("task", 34), ("reason", 90))
    narrow, wide = (dict(list_layout(PERSON_COLUMNS, width, needs)) for width in (60, 80))
    assert {column.key: cells for column, cells in narrow.items()}["reason"] >= LEGIBLE_CELLS
    assert [column.key for column in wide] == ["when", "status", "workflow", "task", "reason"]


def test_a_subject_that_is_no_user_is_listed_by_its_tasks() -> None:
    subject = {"@odata.type": "#microsoft.graph.identityGovernance.provisioningObjectWorkflowSubject", "id": "p1"}
    other = {"subject": None, "workflowSubject": subject}
    tasks = [task("x", 1, "completed", **other), task("x", 2, "inProgress", processingInfo="asked", **other)]
    (row,) = user_rows([], tasks)
    assert shown(row)["user"] == "provisioning object p1"
    assert shown(row)["status"] == "● running"
    assert (shown(row)["task"], shown(row)["reason"]) == ("Task 2", "for 1h: asked")


def test_results_with_missing_properties_still_make_rows() -> None:
    for row in user_rows(
        [UserResult({}), UserResult({"subject": 5, "id": "x"})], [TaskResult({}), TaskResult({"task": 1})]
    ):
        assert all(shown(row).values())
        assert all(column.show(row.row_of(task), NOW).text for task in row.tasks for column in TASK_COLUMNS)


def waiting(**more: Any) -> TaskResult:
    extension = {"displayName": "Ask", "arguments": [{"name": "customTaskExtensionID", "value": "ext-1"}]}
    return task("ann", 1, "inProgress", **{"task": extension, **more})


ARCHIVE = {
    "id": "ext-1",
    "displayName": "Archive mailbox",
    "endpointConfiguration": {"logicAppWorkflowName": "la-archive"},
    "callbackConfiguration": {"timeoutDuration": "PT1H30M"},
}


@pytest.mark.parametrize(
    ("received", "words"),
    [
        (ARCHIVE, "waiting for 1h, times out in 30m: Archive mailbox (Logic App la-archive)"),
        ({**ARCHIVE, "callbackConfiguration": {"timeoutDuration": "PT45M"}, "endpointConfiguration": None},
         "waiting for 1h, past its timeout of 45m 00s: Archive mailbox"),
        ({**ARCHIVE, "callbackConfiguration": {"timeoutDuration": "soon"}, "endpointConfiguration": {}},
         "waiting for 1h, times out in 2h at the latest: Archive mailbox"),
        ({}, "waiting for 1h, times out in 2h at the latest: ?"),
    ],
)  # fmt: skip
def test_a_waiting_extension_says_which_since_when_and_until_when(received: dict[str, Any], words: str) -> None:
    (row,) = user_rows([], [waiting()], {"ext-1": extension_of(received)})
    assert shown(row)["reason"] == words
    assert [row.row_of(found).summary(NOW) for found in row.tasks] == [words]


def test_unknown_facts_about_an_extension_are_left_out() -> None:
    assert waiting_words(waiting(), None, NOW) == "waiting for 1h, times out in 2h at the latest: ext-1"
    later = NOW + 3 * 3_600 * TICKS_PER_SECOND
    assert "longer than any may wait (3h 00m)" in waiting_words(waiting(), None, later)
    assert waiting_words(waiting(startedDateTime=None), None, NOW) == "waiting: ext-1"
    assert waiting_words(task("ann", 1, "inProgress", processingInfo="polling"), None, NOW) == "for 1h: polling"


QUARANTINED = {"processingStatus": "quarantined", "totalUsersCount": 412}


def test_a_quarantined_run_says_which_limit_since_when_and_how_many_users() -> None:
    details = {
        "quarantineType": "countBasedThresholdExceeded",
        "quarantinedDateTime": STARTED,
        "quarantineReason": "No.",
    }
    words = why_no_users(QUARANTINED, {"id": "w", "quarantineDetails": details}, NOW)
    for part in ("1h ago", "the limit on the number of users", "412 users wait", " No. "):
        assert part in words
    assert "no longer in quarantine" in why_no_users(QUARANTINED, {"id": "w"}, NOW)
    assert "no longer" not in why_no_users(QUARANTINED, None, NOW)
    assert "has not begun" in why_no_users({"processingStatus": "queued"}, None, NOW)


def test_a_user_is_found_by_id_or_name_exactly_before_in_part() -> None:
    ann, anna = (
        UserResult({"id": name, "subject": {"id": name, "displayName": name, "userPrincipalName": f"{name}@x.com"}})
        for name in ("Ann", "Anna")
    )
    rows = user_rows([ann, anna], [])
    assert [row.id for row in users_named(rows, "ann")] == ["Ann"]
    assert [row.id for row in users_named(rows, "ANNA@X.COM")] == ["Anna"]
    assert [row.id for row in users_named(rows, "an")] == ["Ann", "Anna"]
    assert users_named(rows, "bob") == []
