"""The results of tasks, read from anything that the service may send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.results import NO_REASON, TaskResult, UserResult, fold_reason, subjects_line
from runtui.domain.times import parse_ticks


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
NAMES = [
    *("id", "processingStatus", "failureReason", "processingInfo", "task", "subject", "workflowSubject"),
    *("createdDateTime", "startedDateTime", "completedDateTime", "scheduledDateTime"),
    *("failedTasksCount", "totalTasksCount", "totalUnprocessedTasksCount", "workflowVersion"),
]
objects = st.dictionaries(st.sampled_from(NAMES), json_values)


@given(objects)
def test_any_object_is_a_task_result(received: dict[str, Any]) -> None:
    result = TaskResult(received)
    texts = [result.id, result.status, result.reason, result.processing_info, result.subject_id]
    texts += (result.definition_id, result.user_principal_name, result.cause_key)
    assert all(isinstance(text, str) for text in texts)
    assert result.task_name
    assert result.subject_name
    times = (result.created, result.started, result.completed, result.updated)
    assert all(ticks is None or ticks >= 0 for ticks in times)
    assert bool(result.cause_key) == result.is_failed


@given(objects)
def test_any_object_is_a_user_result(received: dict[str, Any]) -> None:
    result = UserResult(received)
    assert result.subject_name
    counts = (result.total_tasks, result.unprocessed_tasks, result.version)
    assert all(count is None or isinstance(count, int) for count in counts)
    assert all(ticks is None or ticks >= 0 for ticks in (result.scheduled, result.started, result.completed))


def test_a_user_is_named_where_the_subject_was_expanded() -> None:
    adele = {"id": "u1", "displayName": "Adele Vance", "userPrincipalName": "adele@contoso.com"}
    result = UserResult({"id": "x", "subject": adele})
    assert (result.subject_id, result.subject_name, result.user_principal_name) == (
        "u1",
        "Adele Vance",
        "adele@contoso.com",
    )
    assert subjects_line([TaskResult({"subject": adele})], 2) == "users: Adele Vance"


def test_a_user_result_counts_tasks_and_knows_its_times() -> None:
    received = {
        "totalTasksCount": 3,
        "totalUnprocessedTasksCount": 1,
        "workflowVersion": 4,
        "startedDateTime": "2026-11-20T06:00:04.490313Z",
        "completedDateTime": None,
    }
    result = UserResult(received)
    assert (result.total_tasks, result.unprocessed_tasks, result.version) == (3, 1, 4)
    assert (result.started, result.completed) == (parse_ticks("2026-11-20T06:00:04.490313Z"), None)


ID = "9531985d-5d9d-49f8-9818-e811892f902b"

SAME_CAUSE = [
    ("Assigning SKU 'SPE_E5' failed: 500 of 500 assigned.", "Assigning SKU 'EMS' failed: 1,250 of 1,250 assigned."),
    (f"User {ID} has no manager.", f"User {ID.replace('9', '8')} has no manager."),
    ("Run 6513270e-269e-4d37-b2a7-4de452e6b438_639307628950522341 is over.", f"Run {ID} is over."),
    ("No mailbox: adele.vance@contoso.com", "No mailbox: o'brien_ext#EXT#@contoso.onmicrosoft.com".replace("o'", "o.")),
    ("Failed at 2026-11-20T09:15:03.9206151Z.", "Failed at 2026-11-21T10:00:00Z."),
    ("Failed at 11/20/2026 9:15:03", "Failed at 1/2/2026 11:00:00"),
    ('The group "Sales" is synced.', "The group 'Sales (EMEA)' is synced."),
    ("The group “Müller's” is synced.", "The group 'O'Brien's team' is synced."),
    ("GET https://graph.microsoft.com/v1.0/users/1 failed", "GET https://graph.microsoft.us/v1.0/users/2?a=b failed"),
    ("Logic App 'la-a' was\n  too slow.", "Logic App 'la-b' was too slow."),
    ("Object 639307628950522341 is gone", "Object AAMkAGI2TG93AAA=".replace("=", "1234") + " is gone"),
]


@pytest.mark.parametrize(("reason", "other"), SAME_CAUSE)
def test_parts_of_a_reason_that_differ_between_users_are_folded(reason: str, other: str) -> None:
    assert fold_reason(reason) == fold_reason(other) != reason


OTHER_CAUSES = [
    ("AADSTS50057: The user account is disabled.", "AADSTS50076: The user account is disabled."),
    ("The user's manager has no mail.", "The users' manager has no mail."),
    ("Licence E5 is missing.", "Licence E3 is missing."),
    ("The group 'A' is synced.", "The group 'A' is dynamic."),
]


@pytest.mark.parametrize(("reason", "other"), OTHER_CAUSES)
def test_different_reasons_stay_apart(reason: str, other: str) -> None:
    assert fold_reason(reason) != fold_reason(other)


words = st.lists(st.from_regex(r"[A-Za-zäéß]{1,12}[,.:;]?", fullmatch=True), min_size=1, max_size=12)


@given(words)
def test_plain_sentences_stay_as_they_are(sentence: list[str]) -> None:
    assert fold_reason(" ".join(sentence)) == " ".join(sentence)


@given(words, st.uuids(), st.uuids(), st.integers(0, 10**12), st.integers(0, 10**12))
def test_ids_and_numbers_make_no_difference(
    sentence: list[str], one_id: object, other_id: object, one: int, other: int
) -> None:
    said = " ".join(sentence)
    assert fold_reason(f"{said} {one_id}: {one} {said}") == fold_reason(f"{said} {other_id}: {other} {said}")


pieces = st.sampled_from(["'", '"', "“", "”", "@", "#", "…", "_", "-", "://", ".", "9", "a", " ", "\n", ID, "x@y.z"])


@given(st.text(max_size=60) | st.lists(pieces | st.text(max_size=3), max_size=14).map("".join))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold_reason(fold_reason(text)) == fold_reason(text)


def failure(reason: str | None, **task: object) -> TaskResult:
    subject = {"id": ID, "displayName": "Adele Vance", "userPrincipalName": "adele@contoso.com"}
    return TaskResult({"processingStatus": "failed", "failureReason": reason, "task": task, "subject": subject})


def test_a_cause_is_a_task_and_a_reason() -> None:
    manager = failure("Adele Vance has no manager.", taskDefinitionId="d1", displayName="TAP")
    assert failure("'Grady' has no manager.", taskDefinitionId="d1", displayName="Pass").cause_key == manager.cause_key
    assert failure("'Grady' has no manager.", taskDefinitionId="d2").cause_key != manager.cause_key
    assert failure(None, taskDefinitionId="d1").cause_key == failure(NO_REASON, taskDefinitionId="d1").cause_key
    named = failure(f"User {ID} holds a role.", taskDefinitionId="d1")
    gone = TaskResult({**named.received, "subject": {"id": ID}})
    assert gone.cause_key == named.cause_key, "a user who has no name any more failed for the same reason"


def test_each_custom_extension_is_a_task_of_its_own() -> None:
    one, other = ([{"name": "customTaskExtensionID", "value": value}] for value in ("e1", "e2"))
    group = [{"name": "groupID", "value": "g1"}]
    assert failure("x", taskDefinitionId="d", arguments=one).cause_key != (
        failure("x", taskDefinitionId="d", arguments=other).cause_key
    )
    assert failure("x", taskDefinitionId="d", arguments=group).cause_key == failure("x", taskDefinitionId="d").cause_key
