"""A workflow in words: its schedule, what holds it back, how its runs went, and how to find them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from runtui.domain.columns import list_layout
from runtui.domain.filters import parse_filter
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, parse_ticks
from runtui.domain.triage.workflows import (
    DISABLED,
    HELD,
    NOT_KNOWN,
    ON_DEMAND,
    ON_SCHEDULE,
    OVERDUE,
    WORKFLOW_COLUMNS,
    ScheduleState,
    Workflow,
    WorkflowDay,
    WorkflowHistory,
    map_days,
    runs_filter,
    with_heat_map,
    worst_first,
)

NOW = parse_ticks("2026-11-20T12:00:00Z")
HOUR = 3600 * TICKS_PER_SECOND
TYPE = "#microsoft.graph.identityGovernance."


def workflow(**properties: Any) -> Workflow:
    return Workflow({"id": "w1", "isEnabled": True, "isSchedulingEnabled": True, **properties})


def quarantined(kind: str = "countBasedThresholdExceeded", **details: Any) -> Workflow:
    return workflow(quarantineDetails={"quarantineType": kind, **details})


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({}, ON_SCHEDULE),
        ({"nextScheduleRunDateTime": format_ticks(NOW + HOUR)}, ON_SCHEDULE),
        ({"nextScheduleRunDateTime": format_ticks(NOW - 60 * TICKS_PER_SECOND)}, ON_SCHEDULE),
        ({"nextScheduleRunDateTime": format_ticks(NOW - HOUR)}, OVERDUE),
        ({"nextScheduleRunDateTime": format_ticks(NOW - HOUR), "isEnabled": False}, DISABLED),
        ({"isSchedulingEnabled": False}, ON_DEMAND),
        ({"isSchedulingEnabled": None}, NOT_KNOWN),
        ({"isEnabled": "yes"}, NOT_KNOWN),
        ({"quarantineDetails": {"quarantineType": "notQuarantined"}}, ON_SCHEDULE),
        ({"quarantineDetails": {"quarantineType": "percentageBasedThresholdExceeded"}}, HELD),
        ({"quarantineDetails": {"quarantineType": "newReason"}, "isEnabled": False}, HELD),
        ({"quarantineDetails": "?"}, ON_SCHEDULE),
    ],
)
def test_a_schedule_runs_where_it_is_enabled_and_scheduled_and_nothing_holds_it_back(
    properties: dict[str, Any], state: ScheduleState
) -> None:
    assert workflow(**properties).schedule(NOW) is state


def test_a_quarantine_says_which_limit_since_when_and_how_many_users_wait() -> None:
    held = quarantined(quarantinedDateTime=format_ticks(NOW - 26 * HOUR), quarantineReason="412 users.")
    first, reason, rule = held.warnings(NOW, 412)
    assert "26h ago" in first
    assert "a scheduled run exceeded the limit on the number of users; 412 users wait." in first
    assert reason == "412 users."
    assert "then runs at its next scheduled time" in rule
    assert "3 days" in rule
    assert "a limit (newReason)" in next(quarantined("newReason").warnings(NOW))
    assert list(workflow().warnings(NOW)) == []
    (unsaid,) = workflow().warnings(NOW, 412)
    assert "412 users" in unsaid
    assert list(workflow(quarantineDetails={"quarantineType": "notQuarantined"}).warnings(NOW, 412)) == []
    assert workflow().next_step(NOW) == ""


@pytest.mark.parametrize(("width", "name", "days"), [(68, 26, 13), (80, 26, 14), (68, 60, 10), (116, 40, 30)])
def test_days_of_the_map_give_way_to_the_names_of_workflows(width: int, name: int, days: int) -> None:
    assert map_days(width, name) == days
    shown = list_layout(with_heat_map(WORKFLOW_COLUMNS, days, date(2026, 11, 26)), width, (("workflow", name),))
    (cells,) = (cells for column, cells in shown if column.flexible)
    assert cells >= name or days == 10


def test_an_overdue_schedule_tells_of_the_catch_up_window() -> None:
    late = workflow(nextScheduleRunDateTime=format_ticks(NOW - 5 * HOUR))
    assert list(late.warnings(NOW)) == [
        "The next run was due 5h ago and has not happened.",
        "The schedule catches up on users up to 3 days after their trigger date; later ones are missed.",
    ]
    assert "on demand" in late.next_step(NOW)


def test_a_schedule_that_is_off_is_reported_but_not_where_there_can_be_none() -> None:
    off = workflow(isSchedulingEnabled=False)
    assert list(off.warnings(NOW)) == ["Its schedule is off: it runs for nobody unless a person starts it."]
    assert "isSchedulingEnabled" in off.next_step(NOW)
    by_hand = workflow(isSchedulingEnabled=False, executionConditions={"@odata.type": f"{TYPE}onDemandExecutionOnly"})
    assert (list(by_hand.warnings(NOW)), by_hand.next_step(NOW)) == ([], "")


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"@odata.type": f"{TYPE}onDemandExecutionOnly"}, "on demand only, for users whom a person chooses"),
        (
            {
                "trigger": {
                    "@odata.type": f"{TYPE}timeBasedAttributeTrigger",
                    "timeBasedAttribute": "employeeHireDate",
                    "offsetInDays": -7,
                },
                "scope": {"@odata.type": f"{TYPE}ruleBasedSubjectSet", "rule": "(department eq 'Sales')"},
            },
            "7 days before employeeHireDate, for (department eq 'Sales') (case-sensitive)",
        ),
        (
            {
                "trigger": {
                    "@odata.type": f"{TYPE}attributeChangeTrigger",
                    "triggerAttributes": [{"name": "department"}, {"name": "city"}],
                }
            },
            "when department or city changes",
        ),
        ({"trigger": {"@odata.type": f"{TYPE}newTrigger"}, "scope": 3}, "newTrigger"),
        (
            {"trigger": {"@odata.type": f"{TYPE}attributeChangeTrigger", "triggerAttributes": 3}},
            "when an attribute changes",
        ),
        (None, ""),
        ([], ""),
    ],
)
def test_a_trigger_is_reported_in_words(conditions: object, words: str) -> None:
    assert workflow(executionConditions=conditions).trigger == words


def test_limits_and_tasks_are_those_that_were_received() -> None:
    conditions = [{"threshold": 100}, {"percentage": 15}, {"new": 1}, None]
    limited = workflow(settings={"quarantineConfiguration": {"conditions": conditions}})
    assert limited.limits == ("at most 100 users", "at most 15 % of all users")
    assert workflow(settings={"quarantineConfiguration": None}).limits == ()
    tasks = [
        {"displayName": "Second", "executionSequence": 2, "isEnabled": False},
        {"displayName": "First", "executionSequence": 1},
        "?",
    ]
    assert workflow(tasks=tasks).tasks == ("First", "Second (disabled)")
    assert workflow().tasks == ()


def test_the_success_rate_is_of_the_runs_that_ended_and_whole_only_where_all_were_completed() -> None:
    def rate(*days: WorkflowDay) -> int | None:
        return WorkflowHistory(workflow(), days).success_rate

    assert rate(WorkflowDay(5), WorkflowDay()) is None
    assert rate(WorkflowDay(3, 0, 3), WorkflowDay(9, 0, 2)) == 100
    assert rate(WorkflowDay(400, 1, 399)) == 99


def test_workflows_that_need_attention_come_first() -> None:
    def history(name: str, problems: int = 0, **properties: Any) -> WorkflowHistory:
        return WorkflowHistory(workflow(displayName=name, **properties), (WorkflowDay(9, problems),))

    held = WorkflowHistory(quarantined(), (WorkflowDay(),))
    late = history("late", nextScheduleRunDateTime=format_ticks(NOW - HOUR))
    off, bad, good = history("off", 3, isEnabled=False), history("bad", 2), history("Alright")
    assert worst_first([good, bad, off, late, held], NOW) == [held, late, off, bad, good]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Onboard pre-hire", 'wf="Onboard pre-hire"'),
        ("入社手続き（東京オフィス）", 'wf="入社手続き（東京オフィス）"'),
        ('say "hi"', 'workflowId="w1"'),
        ("clear \x1b[2J", 'workflowId="w1"'),
        (" blank ", 'workflowId="w1"'),
        ("Twice", 'workflowId="w1"'),
        ("", 'wf="w1"'),
    ],
)
def test_runs_are_found_by_a_name_that_can_be_typed_and_is_the_workflows_own(name: str, found: str) -> None:
    one, other = workflow(displayName=name), Workflow({"id": "w2", "displayName": "TWICE"})
    text = runs_filter(one, [one, other], date(2026, 11, 19))
    assert text == f"{found} began:2026-11-19"
    assert parse_filter(text, NOW) is not None
    assert runs_filter(one, [one, other]) == found
