"""The users of a run as rows: whatever the server tells of them."""

from __future__ import annotations

from typing import Any

from runtui.domain.results import TaskResult, UserResult
from runtui.domain.run_users import TASK_COLUMNS, USER_COLUMNS, UserRow, user_rows
from runtui.domain.times import TICKS_PER_SECOND, parse_ticks

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
    users = [user("ann", "failed", totalTasksCount=3, completedDateTime=STARTED), user("bob", "completed")]
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
        "tasks": "2/3",
        "upn": "–",
        "ended": "1h ago",
    }
    assert shown(bob)["tasks"] == "1/–"
    assert shown(bob)["reason"] == "–"


def test_a_name_stands_where_the_subject_is_expanded() -> None:
    expanded = {"id": "a" * 36, "displayName": "Ann Lee", "userPrincipalName": "ann@contoso.com"}
    known = UserResult({"id": "1", "subject": expanded})
    unknown = UserResult({"id": "2", "subject": {"id": "0123456789abcdef0123456789abcdef0123"}})
    first, second = user_rows([known, unknown], [])
    assert (shown(first)["user"], shown(first)["upn"]) == ("Ann Lee", "ann@contoso.com")
    assert shown(second)["user"] == "01234567…cdef0123"[:9] + "89abcdef0123"
    assert second.name == "0123456789abcdef0123456789abcdef0123"


def test_what_is_no_user_is_known_by_its_tasks() -> None:
    subject = {"@odata.type": "#microsoft.graph.identityGovernance.provisioningObjectWorkflowSubject", "id": "p1"}
    other = {"subject": None, "workflowSubject": subject}
    tasks = [task("x", 1, "completed", **other), task("x", 2, "inProgress", processingInfo="asked", **other)]
    (row,) = user_rows([], tasks)
    assert shown(row)["user"] == "provisioning object p1"
    assert shown(row)["status"] == "● inProgress"
    assert (shown(row)["task"], shown(row)["reason"]) == ("Task 2", "asked")


def test_whatever_is_missing_makes_rows() -> None:
    for row in user_rows(
        [UserResult({}), UserResult({"subject": 5, "id": "x"})], [TaskResult({}), TaskResult({"task": 1})]
    ):
        assert all(shown(row).values())
        assert all(column.show(found, NOW).text for found in row.tasks for column in TASK_COLUMNS)
