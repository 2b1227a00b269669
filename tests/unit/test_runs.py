"""Graph's objects as models: understood where possible, kept whole always."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtui.domain.runs import Run, TaskResult, UserResult, Workflow, subjects_line

RUN: dict[str, Any] = {
    "@odata.context": "https://graph.microsoft.com/beta/$metadata#runs/$entity",
    "id": "6513270e-269e-4d37-b2a7-4de452e6b438_639307512012034518",
    "completedDateTime": "2026-11-20T06:04:41.11Z",
    "failedTasksCount": 2,
    "failedUsersCount": 1,
    "lastUpdatedDateTime": "2026-11-20T06:09:38.186588Z",
    "processingStatus": "completedWithErrors",
    "scheduledDateTime": "2026-11-20T06:00:01.2034518Z",
    "startedDateTime": "2026-11-20T06:00:04.5688752Z",
    "successfulUsersCount": 11,
    "totalTasksCount": 36,
    "totalUsersCount": 12,
    "totalUnprocessedTasksCount": 1,
    "workflowExecutionType": "scheduled",
    "activatedOnScope": None,
}


def test_a_run_is_understood() -> None:
    run = Run.from_graph(RUN)
    assert run.id == RUN["id"]
    assert run.processing_status == "completedWithErrors"
    assert run.workflow_execution_type == "scheduled"
    assert run.scheduled_date_time == "2026-11-20T06:00:01.2034518Z", "all seven digits"
    assert (run.total_users_count, run.successful_users_count, run.failed_users_count) == (12, 11, 1)
    assert (run.total_tasks_count, run.failed_tasks_count, run.total_unprocessed_tasks_count) == (36, 2, 1)
    assert run.activated_on_scope is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from([*RUN, "processing_status", "received", "_received", "model_config", "from_graph"]) | st.text()


@given(st.dictionaries(names, json_values))
def test_whatever_an_object_holds_it_is_kept_in_its_own_order(properties: dict[str, Any]) -> None:
    received = {**properties, "id": "r1"}
    before = json.dumps(received)
    run = Run.from_graph(received)
    assert json.dumps(run.received) == before
    assert list(run.received) == list(received)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failedTasksCount", "Integer"),
        ("failedTasksCount", "2"),
        ("failedTasksCount", 2.0),
        ("failedTasksCount", True),
        ("failedTasksCount", 2**31),
        ("failedTasksCount", {"value": 2}),
        ("processingStatus", 5),
        ("processingStatus", None),
        ("scheduledDateTime", "String (timestamp)"),
        ("scheduledDateTime", "2026-02-30T00:00:00Z"),
        ("scheduledDateTime", 639307512012034518),
        ("activatedOnScope", "everybody"),
    ],
)
def test_a_value_of_another_type_is_none_to_us_and_kept_as_it_came(name: str, value: object) -> None:
    run = Run.from_graph({**RUN, name: value})
    assert run.model_dump(by_alias=True)[name] is None
    assert run.received[name] == value
    assert run.total_users_count == 12, "the others are still understood"


def test_a_missing_property_is_none() -> None:
    run = Run.from_graph({"id": "r1"})
    assert run.processing_status is None
    assert run.total_users_count is None
    assert dict(run.received) == {"id": "r1"}


@pytest.mark.parametrize("status", ["quarantined", "somethingNew", "[/x]", "\x1b[2J", "入社"])
def test_an_unknown_status_is_a_status(status: str) -> None:
    assert Run.from_graph({**RUN, "processingStatus": status}).processing_status == status


def test_only_graphs_own_names_are_read() -> None:
    assert Run.from_graph({"id": "r1", "processing_status": "failed"}).processing_status is None


@pytest.mark.parametrize("received", [{}, {"id": None}, {"id": 5}, {"ID": "r1"}])
def test_an_object_without_an_id_is_refused(received: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Run.from_graph(received)


def test_a_model_does_not_change_when_the_object_it_came_from_does() -> None:
    received = {**RUN}
    run = Run.from_graph(received)
    received["processingStatus"] = "failed"
    assert run.received["processingStatus"] == "completedWithErrors"


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
    assert TaskResult.from_graph({"id": "x", "task": task}).task_name == name


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
    assert TaskResult.from_graph({"id": "x", **result}).subject_name == name


def test_a_line_of_subjects_names_each_once_and_counts_the_rest() -> None:
    users = [TaskResult.from_graph({"id": "x", "subject": {"id": f"u{number}"}}) for number in (1, 1, 2, 3)]
    assert subjects_line(users, 2, " (--json tells all)") == "users: u1, u2 and 1 more (--json tells all)"
    other = TaskResult.from_graph({"id": "x", **SUBJECTS[6][0]})
    assert subjects_line([users[0], other], 6) == "subjects: u1, provisioning object p1"


def test_workflows_and_user_results_are_understood_too() -> None:
    workflow = Workflow.from_graph({"id": "w", "displayName": "Onboard", "category": "joiner", "version": 3})
    assert (workflow.display_name, workflow.category, workflow.version) == ("Onboard", "joiner", 3)
    result = UserResult.from_graph(
        {"id": "u", "processingStatus": "failed", "failedTasksCount": 1, "workflowVersion": 3}
    )
    assert (result.processing_status, result.failed_tasks_count, result.workflow_version) == ("failed", 1, 3)
