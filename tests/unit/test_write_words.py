"""The words beside an action, and those for a service that offers no change of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from textual.content import Content

from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import ActionName, cancel
from runtui.graph.faults import NOT_OFFERED, fault_of, refused_action
from runtui.services.writing.write import Save, Step
from runtui.tui.features.changes import lists
from runtui.tui.text import in_lines
from runtui.tui.words import write_words
from runtui.tui.words.pages import save_page, save_words
from tests.unit.entries import an_entry
from tests.unit.fake_writer import RUN, answered, exchange, fault
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
    """If the token's permissions are unknown, none is named."""
    sign_in: Any = SimpleNamespace(state=SimpleNamespace(permissions=permissions))
    said = write_words.lacks_permission(sign_in, name)
    assert said == (f"The token lacks {lacking}; the service will probably refuse." if lacking else "")
    assert write_words.lacks_permission(None, name) == ""


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"processingStatus": "canceled"}, "cancels it"),
        ({"processingStatus": "completed"}, "shows what the service offers"),
        ({"processingStatus": "queued"}, "processes it again"),
        ({"failedUsersCount": "0"}, "processes it again"),
        ({"totalUsersCount": "3"}, "shows what the service offers"),
    ],
)
def test_the_action_that_does_what_a_change_was_to_do_is_named(texts: dict[str, str], words: str) -> None:
    assert write_words.action_instead(draft(RUN, **texts).changes()).startswith(f"a on the run {words}")


def test_no_action_is_named_for_a_run_whose_status_is_no_text() -> None:
    changes = draft({**RUN, "processingStatus": []}, processingStatus="canceled").changes()
    assert write_words.action_instead(changes).startswith("a on the run shows what the service offers")


def test_a_preview_tells_the_first_failures_and_how_many_there_are() -> None:
    tasks = [{"name": f"Task {n}", "failureReason": "No manager."} for n in range(3)]
    assert write_words.preview_result(answered({"value": tasks})) == (
        "Preview: 3 tasks would fail. Task 0: No manager.; Task 1: No manager.",
        False,
    )
    assert write_words.preview_result(answered({"value": []})) == (
        "Preview: the service expects no task to fail.",
        True,
    )


def test_if_a_change_is_not_offered_the_action_instead_is_not_cut_off() -> None:
    some = draft(RUN, processingStatus="canceled")
    refused = fault(Outcome.NOT_DONE)._replace(title=NOT_OFFERED.title, message="It does not know this request.")
    save = Save(1, some, step=Step.ENDED, outcome=Outcome.NOT_DONE, fault=refused)
    assert save_words(save).startswith(
        "Not done. This service does not offer this change. a on the run cancels it. The draft is kept."
    )


@pytest.mark.parametrize("status", [*range(400, 432), 499])
def test_the_next_step_after_a_refusal_is_not_cut_off(status: int) -> None:
    error = {"code": "Refused", "message": "What a service says at length. " * 20}
    answer = replace(exchange("PATCH"), status=status, response_body=json.dumps({"error": error}).encode())
    refusal = fault_of(answer, writing=True)
    assert refusal is not None
    change = Save(1, draft(RUN, processingStatus="canceled"), step=Step.ENDED, outcome=refusal.outcome, exchange=answer)
    action = cancel("w1", RUN["id"])
    for save, told in ((change, refusal), (change._replace(operation=action), refused_action(refusal, action))):
        words = save_words(save._replace(fault=told, entry=12))
        seen = " ".join(in_lines(Content(f"✗ {words}"), 78, 3).plain.split())
        step = "J shows the journal." if refusal.outcome is Outcome.UNKNOWN else told.hint
        assert (step if told.title != NOT_OFFERED.title else "a on the run cancels it.") in seen


def test_the_response_tab_also_names_the_key_of_the_action_instead() -> None:
    refused = fault(Outcome.NOT_DONE)._replace(title=NOT_OFFERED.title, hint=NOT_OFFERED.hint)
    save = Save(1, draft(RUN, processingStatus="canceled"), step=Step.ENDED, outcome=Outcome.NOT_DONE, fault=refused)
    assert save_page(save, datetime.now(UTC)).facts[-1].text == "→ a on the run cancels it."


def test_before_an_action_the_one_whose_outcome_is_unknown_is_named() -> None:
    action = cancel("w1", "R-1")
    unknown = an_entry(4, run_id="r-1", method="POST", url="http://127.0.0.1/beta/workflows/w1/cancelProcessing")
    workspace: Any = SimpleNamespace(reconciler=SimpleNamespace(unsettled={"r-1": unknown}))
    assert write_words.action_in_doubt(workspace, action) == (
        "#4 is unknown: it may have been carried out, or may still be, and this one would be the second."
    )
    assert write_words.action_in_doubt(workspace, cancel("w1", "r-2")) == ""


def test_a_page_pasted_into_a_field_hides_no_other_field_of_the_draft() -> None:
    pasted = draft(RUN, scheduledDateTime="x" * 1_000_000, totalUsersCount="39")
    assert write_words.draft_discarded(pasted) == (
        f"Draft discarded: scheduledDateTime {'x' * 20}…{'x' * 19}, totalUsersCount 39."
    )


def test_a_value_that_the_run_had_when_the_change_was_sent_is_called_so() -> None:
    """A colleague may set the same value while a change is reviewed; 1 and "1" are two values."""
    entry = an_entry(before={"processingStatus": "queued", "totalUsersCount": "1"}, after={
        "processingStatus": "queued", "totalUsersCount": 1,
    })  # fmt: skip
    assert [*entry.change_words()] == ["processingStatus: already queued", "totalUsersCount: 1 → 1"]
    assert [*lists._by_the_clock(entry, 0)] == ["already queued", "totalUsersCount: 1 → 1"]
