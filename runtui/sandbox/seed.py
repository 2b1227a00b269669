"""The runs that the tenant is seeded with: two weeks of them, and what went wrong.

Invariant: they follow from (runs, seed, the present). Every incident has one cause, which its failure reasons name; the
incidents repeat every 240 runs, so that a tenant of 100,000 runs has the same share of trouble. Hostile texts stand
only in names, descriptions, reasons and undeclared properties: ids, enums, numbers and times stay true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox import tenant
from runtui.sandbox.runs import USER_COUNT, RunPlan
from runtui.sandbox.tenant import TaskDefinition, Workflow

DEFAULT_RUNS: Final = 240

_SECOND: Final = TICKS_PER_SECOND
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_SPAN: Final = 14 * _DAY
"""How far back the tenant's runs go."""

_SLOT: Final = 30 * _MINUTE
"""Runs are scheduled for full and half hours; each is a moment late."""

_PRECISIONS: Final = (1, 1, 1, 10, 100, 1_000, 10_000, _SECOND)
"""The times of a run are multiples of one of these, in ticks."""


class _Cause(NamedTuple):
    """What goes wrong in a run: the task that fails, and the reason that Graph reports."""

    task: TaskDefinition
    reason: str


class _Incident(NamedTuple):
    """An exception among the many runs that simply complete."""

    workflow: str
    """The key of the workflow in `tenant.WORKFLOWS`."""
    ago: int
    """How long ago it was scheduled; negative for later."""
    users: int
    failing: int = 0
    cause: _Cause | None = None
    seconds: int | None = None
    """How long it takes for one user; None for the workflow's usual time."""
    details: Mapping[str, Any] = {}
    """Other fields of its `RunPlan`."""


_POOL_DRY: Final = _Cause(
    tenant.ASSIGN_LICENSES,
    "Assigning SKU 'SPE_E5' failed: no licences are left in the pool (500 of 500 assigned). "
    "Buy or free licences, then reprocess the run for failed users.",
)
_NO_MANAGER: Final = _Cause(
    tenant.GENERATE_TAP,
    "The user has no manager, so there is nobody to send the Temporary Access Pass to. Set 'manager' in the HR source.",
)
_NO_APPROVER: Final = _Cause(
    tenant.REQUEST_ACCESS_PACKAGE,
    "The access package policy 'External staff' asks for an approver, and its approver group is empty.",
)
_CALLBACK_DUE: Final = _Cause(
    tenant.CUSTOM_EXTENSION,
    "Logic App 'la-archive-mailbox' was called (202 Accepted) and has not called back yet.",
)
_NO_CALLBACK: Final = _Cause(
    tenant.CUSTOM_EXTENSION,
    "Logic App 'la-archive-mailbox' did not call back within 180 minutes. Last trigger answer: 202 Accepted. "
    "Check the Logic App's run history for an expired connection to Exchange Online.",
)
_PRIVILEGED: Final = _Cause(
    tenant.DELETE_USER,
    "Insufficient privileges: the user holds an Entra role, and a workflow cannot delete privileged users.",
)
_ARCHIVED_TEAM: Final = _Cause(
    tenant.ADD_TO_TEAMS, "The team 'Project Falcon' is archived. Members of an archived team cannot be changed."
)
_SYNCED_GROUP: Final = _Cause(
    tenant.ADD_TO_GROUPS,
    "The group 'TYO-All-Staff' is synchronised from on-premises Active Directory and cannot be changed here.",
)
_NO_MAILBOX: Final = _Cause(
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
    """The details of a run that processed some users and waits for an answer about the others."""
    return {"fate": "inProgress", "stops_after": users}


_LICENCE_DAY: Final = 3 * _DAY
_FAILURES: Final = (
    _Incident("prehire", _LICENCE_DAY, 14, 3, _POOL_DRY),
    _Incident("prehire", _LICENCE_DAY - 3 * _HOUR, 12, 9, _POOL_DRY),
    _Incident("prehire", _LICENCE_DAY - 6 * _HOUR, 8, 8, _POOL_DRY),
    _Incident("prehire", _LICENCE_DAY - 9 * _HOUR, 5, 5, _POOL_DRY),
    _Incident("prehire", _LICENCE_DAY - 12 * _HOUR, 11, 4, _POOL_DRY),
    _Incident("last-day", 20 * _HOUR, 2, 2, _NO_CALLBACK, seconds=10_800),
    _Incident("last-day", 29 * _HOUR, 12, 1, _NO_CALLBACK, seconds=1_000),
    _Incident("contractor", 6 * _DAY, 6, 2, _NO_MANAGER),
    _Incident("contractor", 6 * _DAY - 5 * _HOUR, 4, 4, _NO_MANAGER),
    _Incident("contractor", 5 * _DAY, 7, 1, _NO_MANAGER, details=_BY_HAND),
    _Incident("contractor", 11 * _DAY, 3, 3, _NO_APPROVER, details=_BY_HAND),
    _Incident("guests", 4 * _DAY, 31, 2, _PRIVILEGED),
    _Incident("guests", 11 * _DAY + 2 * _HOUR, 27, 1, _PRIVILEGED),
    _Incident("team-change", 2 * _DAY + 7 * _HOUR, 3, 1, _ARCHIVED_TEAM),
    _Incident("team-change", 7 * _DAY, 5, 1, _ARCHIVED_TEAM),
    _Incident("tokyo", 8 * _DAY, 4, 4, _SYNCED_GROUP),
    _Incident("tokyo", 8 * _DAY - 20 * _HOUR, 2, 2, _SYNCED_GROUP, details=_BY_HAND),
    _Incident("first-day", 9 * _DAY, 10, 1, _NO_MAILBOX),
)
"""The runs that failed for some or all of their users."""

_UNUSUAL: Final = (
    _Incident("last-day", 5 * _HOUR, 7, 0, _CALLBACK_DUE, details=_waits_after(4)),
    _Incident("last-day", 8 * _HOUR, 3, 0, _CALLBACK_DUE, details=_waits_after(1)),
    _Incident("last-day", 11 * _HOUR, 9, 0, _CALLBACK_DUE, details=_waits_after(6)),
    _Incident("last-day", 26 * _HOUR, 412, details={"fate": "quarantined", "stops_after": 0}),
    _Incident("last-day", 25 * _HOUR, 10, details={"execution_type": "preview"}),
    _Incident("termination", 31 * _HOUR, 3, details={"fate": "canceled", "stops_after": 1, **_BY_HAND}),
    _Incident("manager-change", 9 * _HOUR, 18, details=_PAUSED),
    _Incident("prehire", 2 * _DAY + 3 * _HOUR, 9, details=_REPROCESSED),
    _Incident("first-day", _MINUTE + 40 * _SECOND, 24, seconds=25, details=_BY_HAND),
    _Incident("team-change", 4 * _MINUTE, 40, 2, _ARCHIVED_TEAM, seconds=18, details=_BY_HAND),
    _Incident("prehire", -3 * _MINUTE, 16, seconds=20),
    _Incident("week-one", -2 * _HOUR, 11),
)
"""Waiting, quarantined, canceled, reprocessed, under way, not begun: nothing failed, but somebody will ask."""

_INCIDENTS: Final = (*_FAILURES, *_UNUSUAL)


HOSTILE_TEXTS: Final = (
    "[/x] closes what was never opened",
    "[@click=app.quit]press me[/]",
    "[bold red]Onboard[/bold red] [link=file:///etc/passwd]here[/link]",
    "clear \x1b[2J\x1b[H title \x1b]0;owned\x07 clipboard \x1b]52;c;b3duZWQ=\x07",
    "C1 \x9b31m red \x9d0;owned\x9c and \x85 next line",
    "bidi \u202egpj.exe\u202c isolate \u2066abc\u2069",
    "zero\u200bwidth\u2060join\ufeffer",
    "two\nlines\tand\r a carriage return \x08\x7f\x00",
    "combining Z\u0351\u0344\u0306\u0352a\u0310\u0346l\u0340g\u0341o, flag 🇯🇵, family 👨‍👩‍👧‍👦",
)
"""Texts that attack a terminal or a markup language."""


def plan_runs(runs: int, seed: int, now: int, workflows: Mapping[str, Workflow]) -> list[RunPlan]:
    """The plans of all runs of the tenant, oldest first; `now` is in ticks."""
    random = Random(seed)  # noqa: S311 - not a secret
    unusual = list(_unusual(runs, now, workflows, random))
    usual = _usual(runs - len(unusual), now, workflows, random)
    return _with_own_ids(sorted((*unusual, *usual), key=lambda plan: plan.scheduled))


def _unusual(runs: int, now: int, workflows: Mapping[str, Workflow], random: Random) -> Iterator[RunPlan]:
    """The incidents, repeated; each repetition is set back by its share of the two weeks."""
    rounds = max(1, runs // DEFAULT_RUNS)
    for round_ in range(rounds):
        shift = round_ * _SPAN // rounds
        for incident in _INCIDENTS[:runs]:
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
    """Runs that complete, spread evenly over the two weeks."""
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
    """A run that is scheduled for about that moment, and completes."""
    precision = _PRECISIONS[int(random.random() * len(_PRECISIONS))]
    scheduled = moment + int(random.random() * 4 * _SECOND)
    return RunPlan(
        workflow,
        scheduled - scheduled % precision,
        delay=_SECOND + int(random.random() * 5 * _SECOND),
        duration=int(users * seconds * _SECOND),
        users=users,
        first_user=int(random.random() * USER_COUNT),
        precision=precision,
    )


def _with_own_ids(plans: list[RunPlan]) -> list[RunPlan]:
    """Give each run of a workflow a schedule of its own, to the tick: its id is made of it."""
    latest: dict[str, int] = {}
    for index, plan in enumerate(plans):
        scheduled = max(plan.scheduled, latest.get(plan.workflow.id, 0) + 1)
        latest[plan.workflow.id] = scheduled
        plans[index] = plan._replace(scheduled=scheduled)
    return plans


def hostile_workflows(workflows: dict[str, Workflow]) -> dict[str, Workflow]:
    """The workflows, most of them renamed to an attack; the last ones stay harmless, to compare with."""
    texts = dict(zip(workflows, HOSTILE_TEXTS, strict=False))
    return {
        key: item._replace(display_name=texts[key], description=texts[key]) if key in texts else item
        for key, item in workflows.items()
    }


def hostile_plans(plans: list[RunPlan]) -> list[RunPlan]:
    """The plans, with attacks as failure reasons and, on every fifth run, as undeclared properties."""
    return [_hostile_plan(plan, index) for index, plan in enumerate(plans)]


def _hostile_plan(plan: RunPlan, index: int) -> RunPlan:
    text = HOSTILE_TEXTS[index % len(HOSTILE_TEXTS)]
    if plan.reason is not None:
        plan = plan._replace(reason=text)
    if index % 5 == 0:
        plan = plan._replace(extra={"[b]note[/b]": text, "nested": {text: [text, None, 9_007_199_254_740_993]}})
    return plan
