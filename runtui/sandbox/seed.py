"""What the tenant is seeded with: its workflows and their tasks, two weeks of runs, and what went wrong.

Invariant: the workflows follow from the seed, the runs from (runs, seed, the present). The tasks are built-in ones,
with the identifiers and categories of "Lifecycle Workflow built-in tasks" (Microsoft Entra documentation). Every
incident has one cause, which its failure reasons name; the incidents repeat every 240 runs, so that a tenant of 100,000
runs has the same share of trouble. Hostile texts stand only in names, descriptions, reasons and undeclared properties:
ids, enums, numbers and times stay true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from random import Random
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.entities import guid
from runtui.sandbox.runs import USER_COUNT, RunPlan, TaskDefinition, Workflow

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

# Two tables: the tasks, then the workflows.
# fmt: off
SEND_WELCOME: Final = TaskDefinition(
    "70b29d51-b59a-4773-9280-8841dfd3f2ea", "joiner", "Send Welcome Email",
    "Send welcome email to new hire", continues_on_error=True,
)
SEND_REMINDER: Final = TaskDefinition(
    "3c860712-2d37-42a4-928f-5c93935d26a1", "joiner", "Send onboarding reminder email",
    "Send onboarding reminder email to the user's manager", continues_on_error=True,
)
GENERATE_TAP: Final = TaskDefinition(
    "1b555e50-7f65-41d5-b514-5894a026d10d", "joiner", "Generate TAP And Send Email",
    "Generate Temporary Access Pass and send via email to user's manager", "tapLifetimeMinutes",
)
ENABLE_ACCOUNT: Final = TaskDefinition(
    "6fc52c9d-398b-4305-9763-15f42c1676fc", "joiner,leaver", "Enable User Account",
    "Enable user account in the directory",
)
ASSIGN_LICENSES: Final = TaskDefinition(
    "683c87a4-2ad4-420b-97d4-220d90afcd24", "joiner,mover", "Assign licenses to user",
    "Assign selected licenses to the user", "licenses",
)
REQUEST_ACCESS_PACKAGE: Final = TaskDefinition(
    "c1ec1e76-f374-4375-aaa6-0bb6bd4c60be", "joiner,mover", "Request user access package assignment",
    "Request user assignment to selected access package", "accessPackageId",
)
ADD_TO_GROUPS: Final = TaskDefinition(
    "22085229-5809-45e8-97fd-270d28d66910", "joiner,leaver,mover", "Add User To Groups",
    "Add user to selected groups", "groupID",
)
ADD_TO_TEAMS: Final = TaskDefinition(
    "e440ed8d-25a1-4618-84ce-091ed5be5594", "joiner,leaver,mover", "Add User To Teams",
    "Add user to selected teams", "teamID", continues_on_error=True,
)
NOTIFY_MOVE: Final = TaskDefinition(
    "aab41899-9972-422a-9d97-f626014578b7", "mover", "Send email to notify manager of user move",
    "Send email to notify user's manager of user move", continues_on_error=True,
)
REMOVE_FROM_GROUPS: Final = TaskDefinition(
    "1953a66c-751c-45e5-8bfe-01462c70da3c", "joiner,leaver,mover", "Remove user from selected groups",
    "Remove user from membership of selected groups", "groupID",
)
CUSTOM_EXTENSION: Final = TaskDefinition(
    "4262b724-8dba-4fad-afc3-43fcbb497a0e", "joiner,leaver,mover", "Run a Custom Task Extension",
    "Run a custom task extension to call out to an external system", "customTaskExtensionID",
)
DISABLE_ACCOUNT: Final = TaskDefinition(
    "1dfdfcc7-52fa-4c2e-bf3a-e3919cc12950", "joiner,leaver", "Disable User Account",
    "Disable user account in the directory",
)
REMOVE_ALL_GROUPS: Final = TaskDefinition(
    "b3a31406-2a15-4c9a-b25b-a658fa5f07fc", "leaver", "Remove user from all groups",
    "Remove user from all group memberships",
)
REMOVE_ALL_TEAMS: Final = TaskDefinition(
    "81f7b200-2816-4b3b-8c5d-dc556f07b024", "leaver", "Remove user from all Teams",
    "Remove user from all Teams memberships",
)
REMOVE_ALL_LICENSES: Final = TaskDefinition(
    "8fa97d28-3e52-4985-b3a9-a1126f9b8b4e", "leaver", "Remove all licenses for user",
    "Remove all licenses assigned to the user",
)
REVOKE_TOKENS: Final = TaskDefinition(
    "509589a4-0466-4471-829e-49c5e502bdee", "leaver,mover", "Revoke all refresh tokens for user",
    "Revoke all refresh tokens for user",
)
DELETE_USER: Final = TaskDefinition(
    "8d18588d-9ad3-4c0f-99d0-ec215f0e3dff", "leaver", "Delete User Account",
    "Delete user account in the directory",
)
EMAIL_BEFORE_LAST_DAY: Final = TaskDefinition(
    "52853a3e-f4e5-4eb8-bb24-1ac09a1da935", "leaver", "Send email before user's last day",
    "Send offboarding email to user's manager before the last day of work", continues_on_error=True,
)
EMAIL_ON_LAST_DAY: Final = TaskDefinition(
    "9c0a1eaf-5bda-4392-9d9e-6e155bb57411", "leaver", "Send email on user's last day",
    "Send offboarding email to user's manager on the last day of work",
)
EMAIL_AFTER_LAST_DAY: Final = TaskDefinition(
    "6f22ddd4-b3a5-47a4-a846-0d7c201a49ce", "leaver", "Send offboarding email to user's manager after last day",
    "Send offboarding email to user's manager after the last day of work", continues_on_error=True,
)

WORKFLOWS: Final = (
    Workflow(
        "prehire", "joiner", "Onboard pre-hire",
        "Seven days before employeeHireDate: licences, groups, Temporary Access Pass to the manager",
        (ASSIGN_LICENSES, ADD_TO_GROUPS, REQUEST_ACCESS_PACKAGE, GENERATE_TAP),
        version=7, weight=30, users=9, seconds=22,
    ),
    Workflow(
        "first-day", "joiner", "Onboard new hire, first day",
        "On employeeHireDate: enable the account, Teams, welcome email",
        (ENABLE_ACCOUNT, ADD_TO_TEAMS, SEND_WELCOME),
        version=4, weight=30, users=8, seconds=14,
    ),
    Workflow(
        "contractor", "joiner", "Onboard contractor",
        "External staff: account, one access package for 180 days, Temporary Access Pass to the sponsor's manager",
        (ENABLE_ACCOUNT, REQUEST_ACCESS_PACKAGE, GENERATE_TAP),
        version=11, weight=18, users=4, seconds=19, on_demand=0.15,
    ),
    Workflow(
        "tokyo", "joiner", "入社手続き（東京オフィス）",
        "東京オフィスの新入社員: アカウント有効化、グループ追加、ウェルカムメール",
        (ENABLE_ACCOUNT, ADD_TO_GROUPS, ADD_TO_TEAMS, SEND_WELCOME),
        version=3, weight=12, users=3, seconds=16,
    ),
    Workflow(
        "week-one", "joiner", "Onboarding follow-up, day 7",
        "Seven days after employeeHireDate: reminder to the manager, role groups",
        (SEND_REMINDER, ADD_TO_GROUPS),
        version=2, weight=24, users=8, seconds=7,
    ),
    Workflow(
        "team-change", "mover", "Mover: team or department",
        "When department changes: old groups out, new groups and Teams in, both managers told",
        (REMOVE_FROM_GROUPS, ADD_TO_GROUPS, ADD_TO_TEAMS, NOTIFY_MOVE),
        version=9, weight=22, users=3, seconds=17, on_demand=0.08,
    ),
    Workflow(
        "manager-change", "mover", "Mover: new manager",
        "When manager changes: access packages asked for again, managers told",
        (REQUEST_ACCESS_PACKAGE, NOTIFY_MOVE),
        version=5, weight=18, users=4, seconds=9,
    ),
    Workflow(
        "notice", "leaver", "Offboard, 14 days ahead",
        "Fourteen days before employeeLeaveDateTime: the manager is told, privileged groups out",
        (EMAIL_BEFORE_LAST_DAY, REMOVE_FROM_GROUPS),
        version=3, weight=22, users=5, seconds=8,
    ),
    Workflow(
        "last-day", "leaver", "Offboard last day",
        "On employeeLeaveDateTime: account off, tokens revoked, mailbox archived by a Logic App",
        (DISABLE_ACCOUNT, REVOKE_TOKENS, REMOVE_ALL_TEAMS, CUSTOM_EXTENSION, EMAIL_ON_LAST_DAY),
        version=12, weight=26, users=6, seconds=31,
    ),
    Workflow(
        "after-30-days", "leaver", "Offboard, 30 days after",
        "Thirty days after employeeLeaveDateTime: licences and groups out, account deleted",
        (REMOVE_ALL_LICENSES, REMOVE_ALL_GROUPS, DELETE_USER, EMAIL_AFTER_LAST_DAY),
        version=6, weight=22, users=6, seconds=20,
    ),
    Workflow(
        "termination", "leaver", "Real-time termination",
        "Started by HR at once: account off, tokens revoked, groups and Teams out",
        (DISABLE_ACCOUNT, REVOKE_TOKENS, REMOVE_ALL_GROUPS, REMOVE_ALL_TEAMS),
        version=2, weight=8, users=1, seconds=11, on_demand=1.0,
    ),
    Workflow(
        "guests", "leaver", "Inactive guests, 90 days",
        "Guests without a sign-in for 90 days: account off, then deleted",
        (DISABLE_ACCOUNT, DELETE_USER),
        version=8, weight=8, users=24, seconds=6,
    ),
)
# fmt: on


class _Cause(NamedTuple):
    """What goes wrong in a run: the task that fails, and the reason that Graph reports."""

    task: TaskDefinition
    reason: str


class _Incident(NamedTuple):
    """An exception among the many runs that simply complete."""

    workflow: str
    """The key of the workflow in `WORKFLOWS`."""
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
    ASSIGN_LICENSES,
    "Assigning SKU 'SPE_E5' failed: no licences are left in the pool (500 of 500 assigned). "
    "Buy or free licences, then reprocess the run for failed users.",
)
_NO_MANAGER: Final = _Cause(
    GENERATE_TAP,
    "The user has no manager, so there is nobody to send the Temporary Access Pass to. Set 'manager' in the HR source.",
)
_NO_APPROVER: Final = _Cause(
    REQUEST_ACCESS_PACKAGE,
    "The access package policy 'External staff' asks for an approver, and its approver group is empty.",
)
_CALLBACK_DUE: Final = _Cause(
    CUSTOM_EXTENSION,
    "Logic App 'la-archive-mailbox' was called (202 Accepted) and has not called back yet.",
)
_NO_CALLBACK: Final = _Cause(
    CUSTOM_EXTENSION,
    "Logic App 'la-archive-mailbox' did not call back within 180 minutes. Last trigger answer: 202 Accepted. "
    "Check the Logic App's run history for an expired connection to Exchange Online.",
)
_PRIVILEGED: Final = _Cause(
    DELETE_USER,
    "Insufficient privileges: the user holds an Entra role, and a workflow cannot delete privileged users.",
)
_ARCHIVED_TEAM: Final = _Cause(
    ADD_TO_TEAMS, "The team 'Project Falcon' is archived. Members of an archived team cannot be changed."
)
_SYNCED_GROUP: Final = _Cause(
    ADD_TO_GROUPS,
    "The group 'TYO-All-Staff' is synchronised from on-premises Active Directory and cannot be changed here.",
)
_NO_MAILBOX: Final = _Cause(
    SEND_WELCOME, "The email was not sent: the recipient's mailbox does not exist or is not licensed."
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


def workflows(seed: int) -> dict[str, Workflow]:
    """The tenant's workflows by `key`, with the ids of this seed."""
    return {item.key: item._replace(id=guid(seed, "workflow", item.key)) for item in WORKFLOWS}


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
    attacked = []
    for index, (plan, text) in enumerate(zip(plans, cycle(HOSTILE_TEXTS), strict=False)):
        reason = None if plan.reason is None else text
        undeclared = {"[b]note[/b]": text, "nested": {text: [text, None, 9_007_199_254_740_993]}}
        attacked.append(plan._replace(reason=reason, extra=plan.extra if index % 5 else undeclared))
    return attacked
