"""The checks to suggest for a failed task, and the successes that may have changed nothing."""

from __future__ import annotations

from typing import Any

import pytest

from runtui.domain.results import TaskResult
from runtui.domain.triage.checks import checklist_of, why_doubtful
from runtui.sandbox.tenant.tasks import (
    CUSTOM_EXTENSION,
    DELETE_USER,
    DISABLE_ACCOUNT,
    GENERATE_TAP,
    SEND_WELCOME,
    TaskDefinition,
)
from runtui.sandbox.tenant.workflows import WORKFLOWS
from tests import there

TASKS = {task.id: task for workflow in WORKFLOWS for task in workflow.tasks}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.display_name)
def test_every_task_of_the_sandbox_has_a_checklist_with_its_source(task: TaskDefinition) -> None:
    checklist = there(checklist_of(task.id))
    assert checklist.source.startswith("https://learn.microsoft.com/entra/")
    assert checklist.lines
    assert all(line.endswith(".") for line in checklist.lines)


def test_a_definition_is_found_in_capitals_and_an_unknown_one_has_no_checklist() -> None:
    assert checklist_of(GENERATE_TAP.id.upper()) == checklist_of(GENERATE_TAP.id)
    assert checklist_of("00000000-0000-0000-0000-000000000000") is None
    assert checklist_of("") is None


def test_a_temporary_pass_without_a_manager_suggests_the_manager_first() -> None:
    checklist = there(checklist_of(GENERATE_TAP.id))
    assert checklist.lines[:2] == ("The user has a manager.", "The manager has a mail address.")
    assert any("no other authentication method" in line for line in checklist.lines)
    welcome = there(checklist_of(SEND_WELCOME.id))
    assert welcome.lines == ("The user has a mail address.",)


def a_result(task: TaskDefinition = DISABLE_ACCOUNT, **facts: Any) -> TaskResult:
    subject = {"id": "1", "onPremisesSyncEnabled": facts.pop("synced", True)}
    arguments = facts.pop("arguments", [])
    described = {"taskDefinitionId": task.id, "displayName": "Off", "arguments": arguments}
    return TaskResult({"processingStatus": "completed", "subject": subject, "task": described} | facts)


def test_an_account_task_that_succeeded_on_a_synchronized_user_is_doubtful() -> None:
    assert "disableOnPremisesAccount is not on" in why_doubtful(a_result())
    assert "deleteOnPremisesAccount is not on" in why_doubtful(a_result(DELETE_USER))


@pytest.mark.parametrize(
    "result",
    [
        a_result(synced=None),
        a_result(synced=False),
        a_result(synced="true"),
        a_result(processingStatus="failed"),
        a_result(CUSTOM_EXTENSION),
        a_result(arguments=[{"name": "disableOnPremisesAccount", "value": "True"}]),
        a_result(subject=None),
        TaskResult({}),
    ],
)
def test_other_results_are_not_doubtful(result: TaskResult) -> None:
    assert why_doubtful(result) == ""


def test_a_remark_of_the_service_makes_an_account_task_doubtful() -> None:
    said = a_result(synced=False, processingInfo="The account was disabled already.")
    assert why_doubtful(said) == "Succeeded, but the service adds: The account was disabled already."
    assert why_doubtful(a_result(CUSTOM_EXTENSION, processingInfo="Called.")) == ""


def test_an_argument_for_another_task_does_not_count() -> None:
    odd: list[Any] = [{"name": "enableOnPremisesAccount", "value": "true"}, "odd", {"name": 7}]
    assert why_doubtful(a_result(arguments=odd))
