"""The workflows of the tenant: tasks, people, schedule, and quarantine of each.

Invariant: `WORKFLOWS` is the only list of them. A workflow whose schedule has ended, or that is in quarantine, has no
scheduled run since then. Execution conditions and settings are JSON of the service's complex types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from runtui.domain.times import DAY, HOUR, format_ticks
from runtui.sandbox.entities import guid
from runtui.sandbox.tenant import people
from runtui.sandbox.tenant.people import Cohort
from runtui.sandbox.tenant.tasks import (
    ADD_TO_GROUPS,
    ADD_TO_TEAMS,
    ARCHIVE_MAILBOX,
    ASSIGN_LICENSES,
    DELETE_USER,
    DISABLE_ACCOUNT,
    EMAIL_AFTER_LAST_DAY,
    EMAIL_BEFORE_LAST_DAY,
    EMAIL_ON_LAST_DAY,
    ENABLE_ACCOUNT,
    GENERATE_TAP,
    LEGAL_HOLD,
    NOTIFY_MOVE,
    REMOVE_ALL_GROUPS,
    REMOVE_ALL_LICENSES,
    REMOVE_ALL_TEAMS,
    REMOVE_FROM_GROUPS,
    REQUEST_ACCESS_PACKAGE,
    RETURN_ASSETS,
    REVOKE_TOKENS,
    SEND_REMINDER,
    SEND_WELCOME,
    TaskDefinition,
    calling,
)

_INTERVAL: Final = 3 * HOUR
"""The time between two starts of workflows by the schedule of the tenant."""

_TYPE: Final = "#microsoft.graph.identityGovernance."
_ON_DEMAND_ONLY: Final = {"@odata.type": f"{_TYPE}onDemandExecutionOnly"}


def _when(trigger: str, rule: str, **properties: Any) -> dict[str, Any]:
    """Return execution conditions: a trigger, and the rule for the users of the workflow."""
    return {
        "@odata.type": f"{_TYPE}triggerAndScopeBasedConditions",
        "scope": {"@odata.type": f"{_TYPE}ruleBasedSubjectSet", "rule": rule},
        "trigger": {"@odata.type": f"{_TYPE}{trigger}", **properties},
    }


def _days_after(days: int, attribute: str, rule: str) -> dict[str, Any]:
    return _when("timeBasedAttributeTrigger", rule, offsetInDays=days, timeBasedAttribute=attribute)


def _change_of(attribute: str) -> dict[str, Any]:
    return _when("attributeChangeTrigger", _EVERYBODY, triggerAttributes=[{"name": attribute}])


def _at_most(kind: str, **limit: int) -> dict[str, Any]:
    """Return the limit above which a scheduled run is quarantined: a number of users, or a percentage."""
    return {"@odata.type": f"{_TYPE}{kind}BasedQuarantineCondition", **limit}


class Quarantine(NamedTuple):
    """The quarantine of a workflow: the service runs it only after somebody approves that."""

    ago: int
    """Ticks since the run that exceeded the limit was scheduled."""
    users: int
    """The number of users of that run."""
    type: str
    """A member of `quarantineType`."""
    reason: str


class Workflow(NamedTuple):
    """A workflow of the tenant, and the usual course of its runs."""

    key: str
    """The name of the workflow in this package; never sent."""
    category: str
    display_name: str
    description: str
    tasks: tuple[TaskDefinition, ...]
    conditions: Mapping[str, Any]
    """The `executionConditions`."""
    cohort: Cohort
    """The people that it processes."""
    lead: int
    """The number of days before a person's day on which it runs; negative for days after."""
    version: int
    weight: int
    """The frequency of its runs, relative to other workflows."""
    users: int
    """The mean number of users of a run."""
    seconds: int
    """The usual time for each user."""
    on_demand: float = 0.03
    """The share of its runs that somebody starts by hand."""
    limits: tuple[dict[str, Any], ...] = ()
    """The conditions of its quarantine; empty for those of the tenant."""
    quarantine: Quarantine | None = None
    is_enabled: bool = True
    is_scheduled: bool = True
    schedule_ended: int | None = None
    """Ticks since the schedule last started it, if the schedule has stopped; else None."""
    subjects: str = ""
    """The type of its subjects if they are not users: the prefix of a type derived from `workflowSubject`."""
    id: str = ""

    @property
    def unscheduled_for(self) -> int:
        """The ticks since the schedule stopped starting it; 0 if the schedule still starts it."""
        return self.quarantine.ago if self.quarantine is not None else self.schedule_ended or 0


_STAFF: Final = '(employeeType eq "Employee")'
_EXTERNAL: Final = '(employeeType eq "Contractor")'
_EVERYBODY: Final = '(userType eq "Member")'

# fmt: off
WORKFLOWS: Final = (
    Workflow(
        "prehire", "joiner", "Onboard pre-hire",
        "Seven days before employeeHireDate: licenses, groups, Temporary Access Pass to the manager",
        (ASSIGN_LICENSES, ADD_TO_GROUPS, REQUEST_ACCESS_PACKAGE, GENERATE_TAP),
        _days_after(-7, "employeeHireDate", _STAFF), people.JOINERS, 7,
        version=7, weight=30, users=9, seconds=22,
    ),
    Workflow(
        "first-day", "joiner", "Onboard new hire, first day",
        "On employeeHireDate: enable the account, Teams, welcome email",
        (ENABLE_ACCOUNT, ADD_TO_TEAMS, SEND_WELCOME),
        _days_after(0, "employeeHireDate", _STAFF), people.JOINERS, 0,
        version=4, weight=30, users=8, seconds=14,
    ),
    Workflow(
        "contractor", "joiner", "Onboard contractor",
        "External staff: account, one access package for 180 days, Temporary Access Pass to the sponsor's manager",
        (ENABLE_ACCOUNT, REQUEST_ACCESS_PACKAGE, GENERATE_TAP),
        _days_after(-1, "employeeHireDate", _EXTERNAL), people.CONTRACTORS, 1,
        version=11, weight=18, users=4, seconds=19, on_demand=0.15,
    ),
    Workflow(
        "tokyo", "joiner", "入社手続き（東京オフィス）",
        "東京オフィスの新入社員: アカウント有効化、グループ追加、ウェルカムメール",
        (ENABLE_ACCOUNT, ASSIGN_LICENSES, ADD_TO_GROUPS, ADD_TO_TEAMS, SEND_WELCOME),
        _days_after(0, "employeeHireDate", '(usageLocation eq "JP")'), people.TOKYO, 0,
        version=3, weight=12, users=3, seconds=16,
    ),
    Workflow(
        "week-one", "joiner", "Onboarding follow-up, day 7",
        "Seven days after employeeHireDate: reminder to the manager, role groups",
        (SEND_REMINDER, ADD_TO_GROUPS),
        _days_after(7, "employeeHireDate", _STAFF), people.JOINERS, -7,
        version=2, weight=24, users=8, seconds=7,
    ),
    Workflow(
        "team-change", "mover", "Mover: team or department",
        "When department changes: old groups out, new groups, licenses and Teams in, both managers told",
        (REMOVE_FROM_GROUPS, ADD_TO_GROUPS, ASSIGN_LICENSES, ADD_TO_TEAMS, NOTIFY_MOVE),
        _change_of("department"), people.JOINERS, -10,
        version=9, weight=22, users=3, seconds=17, on_demand=0.08,
    ),
    Workflow(
        "manager-change", "mover", "Mover: new manager",
        "When manager changes: access packages asked for again, managers told",
        (REQUEST_ACCESS_PACKAGE, NOTIFY_MOVE),
        _change_of("manager"), people.JOINERS, -3,
        version=5, weight=18, users=4, seconds=9, schedule_ended=4 * DAY + 6 * HOUR,
    ),
    Workflow(
        "notice", "leaver", "Offboard, 14 days ahead",
        "Fourteen days before employeeLeaveDateTime: the manager is told, privileged groups out",
        (EMAIL_BEFORE_LAST_DAY, REMOVE_FROM_GROUPS),
        _days_after(-14, "employeeLeaveDateTime", _EVERYBODY), people.LEAVERS, 14,
        version=3, weight=22, users=5, seconds=8,
    ),
    Workflow(
        "last-day", "leaver", "Offboard last day",
        "On employeeLeaveDateTime: account off, tokens revoked, mailbox archived by a Logic App",
        (DISABLE_ACCOUNT, REVOKE_TOKENS, REMOVE_ALL_TEAMS, calling(ARCHIVE_MAILBOX), EMAIL_ON_LAST_DAY),
        _days_after(0, "employeeLeaveDateTime", _EVERYBODY), people.LEAVERS, 0,
        version=12, weight=26, users=6, seconds=31, limits=(_at_most("count", threshold=100),),
        quarantine=Quarantine(
            26 * HOUR, 412, "countBasedThresholdExceeded",
            "The scheduled execution would have processed 412 users. The workflow's limit is 100 users.",
        ),
    ),
    Workflow(
        "after-30-days", "leaver", "Offboard, 30 days after",
        "Thirty days after employeeLeaveDateTime: licenses and groups out, assets back, account deleted",
        (REMOVE_ALL_LICENSES, REMOVE_ALL_GROUPS, calling(RETURN_ASSETS), DELETE_USER, EMAIL_AFTER_LAST_DAY),
        _days_after(30, "employeeLeaveDateTime", _EVERYBODY), people.LEAVERS, -30,
        version=6, weight=22, users=6, seconds=20,
    ),
    Workflow(
        "termination", "leaver", "Real-time termination",
        "Started by HR at once: account off, tokens revoked, groups and Teams out, legal hold by a Logic App",
        (DISABLE_ACCOUNT, REVOKE_TOKENS, REMOVE_ALL_GROUPS, REMOVE_ALL_TEAMS, calling(LEGAL_HOLD)),
        _ON_DEMAND_ONLY, people.LEAVERS, 0,
        version=2, weight=8, users=1, seconds=11, on_demand=1.0,
    ),
    Workflow(
        "relocation", "mover", "Mover: change of office",
        "When officeLocation changes: groups of the new office. Its schedule is off until the offices are renamed",
        (REMOVE_FROM_GROUPS, ADD_TO_GROUPS),
        _change_of("officeLocation"), people.MOVERS, 4,
        version=4, weight=6, users=3, seconds=6, is_scheduled=False, schedule_ended=9 * DAY,
    ),
    Workflow(
        "interns", "joiner", "Onboard intern (draft)",
        "Not in use yet: account, groups, welcome email",
        (ENABLE_ACCOUNT, ADD_TO_GROUPS, SEND_WELCOME),
        _days_after(0, "employeeHireDate", '(employeeType eq "Intern")'), people.JOINERS, 0,
        version=1, weight=0, users=1, seconds=9, is_enabled=False, is_scheduled=False,
    ),
    Workflow(
        "provisioning", "mover", "HR feed: unmatched accounts",
        "For accounts that inbound provisioning could not match: an access package to claim them, owners told",
        (REQUEST_ACCESS_PACKAGE, NOTIFY_MOVE),
        _ON_DEMAND_ONLY, people.MOVERS, 0,
        version=2, weight=4, users=3, seconds=5, on_demand=1.0, subjects="provisioningObject",
    ),
    Workflow(
        "guests", "leaver", "Inactive guests, 90 days",
        "Guests without a sign-in for 90 days: account off, then deleted",
        (DISABLE_ACCOUNT, DELETE_USER),
        _when("userInactivityTrigger", '(userType eq "Guest")', inactivityPeriodInDays=90), people.GUESTS, 0,
        version=8, weight=8, users=24, seconds=6,
        limits=(_at_most("percentage", percentage=15), _at_most("count", threshold=250)),
        quarantine=Quarantine(
            5 * HOUR, 96, "percentageBasedThresholdExceeded",
            "The scheduled execution would have processed 96 users, 19 percent of those in scope. "
            "The workflow's limit is 15 percent.",
        ),
    ),
)
# fmt: on


def workflow_state(workflow: Workflow, seed: int, now: int) -> dict[str, Any]:
    """Return the properties of a workflow at a moment (ticks), for `entities.WORKFLOW.record`."""
    age = int(guid(seed, "age", workflow.key)[:8], 16)
    modified = now - 20 * DAY - age * 4_001
    limits = {"conditions": list(workflow.limits), "matchMode": "any"} if workflow.limits else None
    return {
        "id": workflow.id,
        "category": workflow.category,
        "displayName": workflow.display_name,
        "description": workflow.description,
        "createdDateTime": modified - workflow.version * 31 * DAY + age,
        "lastModifiedDateTime": modified,
        "isEnabled": workflow.is_enabled,
        "isSchedulingEnabled": workflow.is_scheduled and workflow.conditions is not _ON_DEMAND_ONLY,
        "nextScheduleRunDateTime": _next_run(workflow, now),
        "version": workflow.version,
        "executionConditions": json.dumps(workflow.conditions),
        "quarantineDetails": json.dumps(quarantine_details(workflow.quarantine, now)),
        "settings": json.dumps({"quarantineConfiguration": limits}),
    }


def _next_run(workflow: Workflow, now: int) -> int | None:
    """Return the next start by the schedule; a past time if the schedule stopped."""
    if not workflow.is_scheduled or workflow.conditions is _ON_DEMAND_ONLY:
        return None
    return next_start(now if workflow.schedule_ended is None else now - workflow.schedule_ended)


def next_start(moment: int) -> int:
    """Return the first start by the schedule of the tenant after a moment (ticks): it runs every three hours."""
    return moment - moment % _INTERVAL + _INTERVAL


def quarantine_details(quarantine: Quarantine | None, now: int) -> dict[str, Any]:
    if quarantine is None:
        return {"quarantinedDateTime": None, "quarantineReason": None, "quarantineType": "notQuarantined"}
    return {
        "quarantinedDateTime": format_ticks(now - quarantine.ago),
        "quarantineReason": quarantine.reason,
        "quarantineType": quarantine.type,
    }
