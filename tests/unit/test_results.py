"""What a task did, read out of whatever the service sends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.results import TaskResult, subjects_line


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ({"id": "t1", "displayName": "Send Welcome Email"}, "Send Welcome Email"),
        ({"id": "t1", "displayName": ""}, "t1"),
        ({"id": "t1", "displayName": 5}, "t1"),
        ({"id": "t1"}, "t1"),
        ({}, "?"),
        (None, "?"),
        ("task", "?"),
    ],
)
def test_a_task_result_names_its_task(task: object, name: str) -> None:
    assert TaskResult({"id": "x", "task": task}).task_name == name


GOVERNANCE = "#microsoft.graph.identityGovernance."

SUBJECTS: list[tuple[dict[str, Any], str]] = [
    ({"subject": {"id": "u1"}}, "u1"),
    ({"subject": {"@odata.type": "#microsoft.graph.user", "id": "u1"}}, "u1"),
    ({"subject": {"id": 5}}, "a user without an id"),
    ({"subject": {}}, "a subject that is not named"),
    ({"subject": None}, "a subject that is not named"),
    ({}, "a subject that is not named"),
    (
        {"workflowSubject": {"@odata.type": f"{GOVERNANCE}provisioningObjectWorkflowSubject", "id": "p1"}},
        "provisioning object p1",
    ),
    (
        {"subject": None, "workflowSubject": {"@odata.type": f"{GOVERNANCE}provisioningObjectWorkflowSubject"}},
        "provisioning object without an id",
    ),
    (
        {
            "workflowSubject": {
                "@odata.type": f"{GOVERNANCE}directoryObjectWorkflowSubject",
                "directoryObject": {"@odata.type": "#microsoft.graph.servicePrincipal", "id": "s1"},
            }
        },
        "service principal s1",
    ),
    (
        {"workflowSubject": {"@odata.type": f"{GOVERNANCE}directoryObjectWorkflowSubject"}},
        "directory object without an id",
    ),
    ({"workflowSubject": {"@odata.type": f"{GOVERNANCE}agentWorkflowSubject", "id": "a1"}}, "agent a1"),
]


@pytest.mark.parametrize(("result", "name"), SUBJECTS)
def test_a_task_result_names_what_it_was_for(result: dict[str, Any], name: str) -> None:
    assert TaskResult({"id": "x", **result}).subject_name == name


def test_a_line_of_subjects_names_each_once_and_counts_the_rest() -> None:
    users = [TaskResult({"id": "x", "subject": {"id": f"u{number}"}}) for number in (1, 1, 2, 3)]
    assert subjects_line(users, 2, " (--json tells all)") == "users: u1, u2 and 1 more (--json tells all)"
    other = TaskResult({"id": "x", **SUBJECTS[6][0]})
    assert subjects_line([users[0], other], 6) == "subjects: u1, provisioning object p1"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["processingStatus", "failureReason", "task", "subject", "workflowSubject"]


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_any_object_is_a_result(received: dict[str, Any]) -> None:
    result = TaskResult(received)
    assert all(isinstance(text, str) for text in (result.status, result.reason))
    assert result.task_name
    assert result.subject_name
