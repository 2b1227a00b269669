"""The two weeks of the seeded tenant: which runs there were, and what went wrong in them.

Invariant: deterministic for (runs, seed) but for the moment it is told at; every trouble has one cause, which its
failure reasons name. The story is told once per 240 runs, so a tenant of 100,000 runs has the same share of trouble.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox import tenant
from runtui.sandbox.progress import RunPlan
from runtui.sandbox.results import PEOPLE
from runtui.sandbox.tenant import TaskDefinition, Workflow

DEFAULT_RUNS: Final = 240

_SECOND: Final = TICKS_PER_SECOND
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_SPAN: Final = 14 * _DAY
"""How far back the tenant's runs go."""

_SLOT: Final = 30 * _MINUTE
"""Scheduled runs are set for full and half hours; each is a moment late."""

_PRECISIONS: Final = (1, 1, 1, 10, 100, 1_000, 10_000, _SECOND)
"""What the moments of a run are multiples of, in ticks."""


class Cause(NamedTuple):
    """What goes wrong in a run: the task that it happens to, and the words that Graph reports."""

    task: TaskDefinition
    reason: str


class Incident(NamedTuple):
    """A run with a story: an exception among the many that simply complete."""

    workflow: str
    """The key of the workflow in `tenant.WORKFLOWS`."""
    ago: int
    """How long before now it was scheduled; negative for later."""
    users: int
    failing: int = 0
    cause: Cause | None = None
    seconds: int | None = None
    """How long it works on one user; the workflow's usual time if not said."""
    details: Mapping[str, Any] = {}
    """What else is special about its `RunPlan`."""


_POOL_DRY: Final = Cause(
    tenant.ASSIGN_LICENSES,
    "Assigning SKU 'SPE_E5' failed: no licences are left in the pool (500 of 500 assigned). "
    "Buy or free licences, then reprocess the run for failed users.",
)
_NO_MANAGER: Final = Cause(
    tenant.GENERATE_TAP,
    "The user has no manager, so there is nobody to send the Temporary Access Pass to. Set 'manager' in the HR source.",
)
_NO_APPROVER: Final = Cause(
    tenant.REQUEST_ACCESS_PACKAGE,
    "The access package policy 'External staff' asks for an approver, and its approver group is empty.",
)
_CALLBACK_DUE: Final = Cause(
    tenant.CUSTOM_EXTENSION,
    "Logic App 'la-archive-mailbox' was called (202 Accepted) and has not called back yet.",
)
_NO_CALLBACK: Final = Cause(
    tenant.CUSTOM_EXTENSION,
    "Logic App 'la-archive-mailbox' did not call back within 180 minutes. Last trigger answer: 202 Accepted. "
    "Check the Logic App's run history for an expired connection to Exchange Online.",
)
_PRIVILEGED: Final = Cause(
    tenant.DELETE_USER,
    "Insufficient privileges: the user holds an Entra role, and a workflow cannot delete privileged users.",
)
_ARCHIVED_TEAM: Final = Cause(
    tenant.ADD_TO_TEAMS, "The team 'Project Falcon' is archived. Members of an archived team cannot be changed."
)
_SYNCED_GROUP: Final = Cause(
    tenant.ADD_TO_GROUPS,
    "The group 'TYO-All-Staff' is synchronised from on-premises Active Directory and cannot be changed here.",
)
_NO_MAILBOX: Final = Cause(
    tenant.SEND_WELCOME, "The email was not sent: the recipient's mailbox does not exist or is not licensed."
)

_BY_HAND: Final[dict[str, Any]] = {"execution_type": "onDemand"}
_REPROCESSED: Final = {
    "execution_type": "activatedWithScope",
    "scope": {
        "@odata.type": "#microsoft.graph.identityGovernance.activateRunScope",
        "userScope": "failedUsers",
        "taskScope": "failedTasks",
    },
    "extra": {"changeTicket": "CHG0031877"},
    "long_id": True,
}
_PAUSED: Final = {
    "fate": "pausedByPolicy",
    "stops_after": 6,
    "extra": {"pauseDetails": {"policyName": "Change freeze, quarter end", "resumes": "next business day"}},
}


def _waits_after(users: int) -> Mapping[str, Any]:
    """Plan details of a run that finished some users and waits for an answer about the others."""
    return {"fate": "inProgress", "stops_after": users}


_LICENCE_DAY: Final = 3 * _DAY
_FAILURES: Final = (
    Incident("prehire", _LICENCE_DAY, 14, 3, _POOL_DRY),
    Incident("prehire", _LICENCE_DAY - 3 * _HOUR, 12, 9, _POOL_DRY),
    Incident("prehire", _LICENCE_DAY - 6 * _HOUR, 8, 8, _POOL_DRY),
    Incident("prehire", _LICENCE_DAY - 9 * _HOUR, 5, 5, _POOL_DRY),
    Incident("prehire", _LICENCE_DAY - 12 * _HOUR, 11, 4, _POOL_DRY),
    Incident("last-day", 20 * _HOUR, 2, 2, _NO_CALLBACK, seconds=10_800),
    Incident("last-day", 29 * _HOUR, 12, 1, _NO_CALLBACK, seconds=1_000),
    Incident("contractor", 6 * _DAY, 6, 2, _NO_MANAGER),
    Incident("contractor", 6 * _DAY - 5 * _HOUR, 4, 4, _NO_MANAGER),
    Incident("contractor", 5 * _DAY, 7, 1, _NO_MANAGER, details=_BY_HAND),
    Incident("contractor", 11 * _DAY, 3, 3, _NO_APPROVER, details=_BY_HAND),
    Incident("guests", 4 * _DAY, 31, 2, _PRIVILEGED),
    Incident("guests", 11 * _DAY + 2 * _HOUR, 27, 1, _PRIVILEGED),
    Incident("team-change", 2 * _DAY + 7 * _HOUR, 3, 1, _ARCHIVED_TEAM),
    Incident("team-change", 7 * _DAY, 5, 1, _ARCHIVED_TEAM),
    Incident("tokyo", 8 * _DAY, 4, 4, _SYNCED_GROUP),
    Incident("tokyo", 8 * _DAY - 20 * _HOUR, 2, 2, _SYNCED_GROUP, details=_BY_HAND),
    Incident("first-day", 9 * _DAY, 10, 1, _NO_MAILBOX),
)
"""The runs that failed for some or all of their users."""

_UNUSUAL: Final = (
    Incident("last-day", 5 * _HOUR, 7, 0, _CALLBACK_DUE, details=_waits_after(4)),
    Incident("last-day", 8 * _HOUR, 3, 0, _CALLBACK_DUE, details=_waits_after(1)),
    Incident("last-day", 11 * _HOUR, 9, 0, _CALLBACK_DUE, details=_waits_after(6)),
    Incident("last-day", 26 * _HOUR, 412, details={"fate": "quarantined", "stops_after": 0}),
    Incident("last-day", 25 * _HOUR, 10, details={"execution_type": "preview"}),
    Incident("termination", 31 * _HOUR, 3, details={"fate": "canceled", "stops_after": 1, **_BY_HAND}),
    Incident("manager-change", 9 * _HOUR, 18, details=_PAUSED),
    Incident("prehire", 2 * _DAY + 3 * _HOUR, 9, details=_REPROCESSED),
    Incident("first-day", _MINUTE + 40 * _SECOND, 24, seconds=25, details=_BY_HAND),
    Incident("team-change", 4 * _MINUTE, 40, 2, _ARCHIVED_TEAM, seconds=18, details=_BY_HAND),
    Incident("prehire", -3 * _MINUTE, 16, seconds=20),
    Incident("week-one", -2 * _HOUR, 11),
)
"""Waiting, held back, stopped, reprocessed, under way, not begun: nothing failed (yet), still somebody asks."""

INCIDENTS: Final = (*_FAILURES, *_UNUSUAL)


def plan_runs(runs: int, seed: int, now: int, workflows: Mapping[str, Workflow]) -> list[RunPlan]:
    """The plans of all runs of the tenant, oldest first, told at a moment (ticks)."""
    random = Random(seed)  # noqa: S311 - a story, not a secret
    unusual = list(_unusual(runs, now, workflows, random))
    usual = _usual(runs - len(unusual), now, workflows, random)
    return _with_own_ids(sorted((*unusual, *usual), key=lambda plan: plan.scheduled))


def _unusual(runs: int, now: int, workflows: Mapping[str, Workflow], random: Random) -> Iterator[RunPlan]:
    """The incidents, as often as the story is told; each telling is set back by its share of the two weeks."""
    tellings = max(1, runs // DEFAULT_RUNS)
    for telling in range(tellings):
        shift = telling * _SPAN // tellings
        for incident in INCIDENTS[:runs]:
            ago = (incident.ago + shift) % _SPAN if shift else incident.ago
            workflow = workflows[incident.workflow]
            seconds = incident.seconds or workflow.seconds
            moment = now - ago
            if abs(ago) > _SLOT and incident.details is not _BY_HAND:
                moment -= moment % _SLOT
            plan = _plan(random, workflow, moment, users=incident.users, seconds=seconds)
            if incident.cause is not None:
                task = workflow.tasks.index(incident.cause.task)
                plan = plan._replace(failing=incident.failing, task=task, reason=incident.cause.reason)
            yield plan._replace(**incident.details)


def _usual(runs: int, now: int, workflows: Mapping[str, Workflow], random: Random) -> Iterator[RunPlan]:
    """Runs in which nothing goes wrong, spread evenly over the two weeks."""
    every = list(workflows.values())
    for index, workflow in enumerate(random.choices(every, [item.weight for item in every], k=runs)):
        moment = now - _SPAN + (2 * index + 1) * _SPAN // (2 * runs)
        users = 1 + min(int(random.expovariate(1 / workflow.users)), 12 * workflow.users)
        seconds = workflow.seconds * (0.6 + 0.8 * random.random())
        if random.random() < workflow.on_demand:
            yield _plan(random, workflow, moment, users=users, seconds=seconds)._replace(**_BY_HAND)
        else:
            yield _plan(random, workflow, moment - moment % _SLOT, users=users, seconds=seconds)


def _plan(random: Random, workflow: Workflow, moment: int, *, users: int, seconds: float) -> RunPlan:
    """A run that the schedule sets for about that moment, and that completes."""
    precision = _PRECISIONS[int(random.random() * len(_PRECISIONS))]
    scheduled = moment + int(random.random() * 4 * _SECOND)
    return RunPlan(
        workflow,
        scheduled - scheduled % precision,
        delay=_SECOND + int(random.random() * 5 * _SECOND),
        duration=int(users * seconds * _SECOND),
        users=users,
        first_person=int(random.random() * PEOPLE),
        precision=precision,
    )


def _with_own_ids(plans: list[RunPlan]) -> list[RunPlan]:
    """Two runs of one workflow never share a schedule to the tick, because their ids are made of it."""
    latest: dict[str, int] = {}
    for index, plan in enumerate(plans):
        scheduled = max(plan.scheduled, latest.get(plan.workflow.id, 0) + 1)
        latest[plan.workflow.id] = scheduled
        plans[index] = plan._replace(scheduled=scheduled)
    return plans
