"""What is said beside an action, and where the service takes no change of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runtui.domain.triage.service_actions import ActionName
from runtui.tui.words import action_words
from tests.unit.fake_writer import RUN, answered
from tests.unit.saves_bench import draft


@pytest.mark.parametrize(
    ("name", "permissions", "lacking"),
    [
        ("activate", {"LifecycleWorkflows-Workflow.Activate"}, ""),
        ("cancelProcessing", {"LifecycleWorkflows-Workflow.Activate"}, "LifecycleWorkflows-Workflow.ReadWrite.All"),
        ("resume", {"LifecycleWorkflows-Workflow.ReadWrite.All"}, "LifecycleWorkflows.ReadWrite.All"),
        ("clearQuarantine", {"LifecycleWorkflows.ReadWrite.All"}, ""),
        ("activateWithScope", set(), "LifecycleWorkflows-Workflow.Activate"),
        ("cancelProcessing", None, ""),
    ],
)
def test_a_permission_that_the_token_lacks_is_named(name: ActionName, permissions: Any, lacking: str) -> None:
    """One that it does not tell of is not."""
    sign_in: Any = SimpleNamespace(state=SimpleNamespace(permissions=permissions))
    said = action_words.lacks(sign_in, name)
    assert said == (f"The token lacks {lacking}; the service will probably refuse." if lacking else "")
    assert action_words.lacks(None, name) == ""


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"processingStatus": "canceled"}, "cancels it"),
        ({"processingStatus": "queued"}, "processes it again"),
        ({"failedUsersCount": "0"}, "processes it again"),
        ({"totalUsersCount": "3"}, "shows what the service offers"),
    ],
)
def test_the_action_that_does_what_a_change_was_to_do_is_named(texts: dict[str, str], words: str) -> None:
    assert action_words.instead(draft(RUN, **texts).changes()).startswith(f"a on the run {words}")


def test_a_preview_tells_the_first_failures_and_how_many_there_are() -> None:
    tasks = [{"name": f"Task {n}", "failureReason": "No manager."} for n in range(3)]
    assert action_words.previewed(answered({"value": tasks})) == (
        "Preview: 3 tasks would fail. Task 0: No manager.; Task 1: No manager.",
        False,
    )
    assert action_words.previewed(answered({"value": []})) == ("Preview: the service expects no task to fail.", True)
