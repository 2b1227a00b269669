"""The history of the tenant: two weeks of runs, and their failures.

Invariant: the workflows depend on the seed, the runs on (runs, seed, the present). Every incident has its causes, which
its failure reasons name. The incidents repeat every 240 runs, so that a tenant of 100,000 runs has the same share of
failures. People recur: a person who is prepared seven days ahead has a first day, and then a first week. Hostile texts
are only in names, descriptions, reasons and undeclared properties: ids, enums, numbers and times stay valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, cycle
from random import Random
from typing import Any, Final, NamedTuple

from runtui.domain.times import DAY, HOUR, MINUTE, TICKS_PER_SECOND
from runtui.sandbox.entities import FUTURE_STATUS, guid
from runtui.sandbox.tenant.causes import (
    ALREADY_DELETED,
    ARCHIVED_TEAM,
    CALLBACK_DUE,
    NO_CALLBACK,
    NO_MAILBOX,
    NO_MANAGER,
    OTHER_METHOD,
    OUT_OF_POLICY,
    POOL_DRY,
    PRIVILEGED,
    ROLE_ASSIGNABLE,
    SYNCED_GROUP,
    Cause,
)
from runtui.sandbox.tenant.people import ARRIVALS_PER_DAY, NEWCOMERS
from runtui.sandbox.tenant.runs import RunPlan
from runtui.sandbox.tenant.workflows import WORKFLOWS, Workflow

DEFAULT_RUNS: Final = 240

_SECOND: Final = TICKS_PER_SECOND
_SPAN: Final = 14 * DAY
"""The age of the tenant's oldest runs."""

_SLOT: Final = 30 * MINUTE
"""Runs are scheduled for full and half hours, and start a few seconds late."""

_PRECISIONS: Final = (1, 1, 1, 10, 100, 1_000, 10_000, _SECOND)
"""The times of a run are multiples of one of these, in ticks."""


class _Incident(NamedTuple):
    """A run that differs from the many that simply complete."""

    workflow: str
    """The key of the workflow in `WORKFLOWS`."""
    ago: int
    """Ticks since it was scheduled; negative if it is in the future."""
    users: int
    failing: int = 0
    causes: tuple[Cause, ...] = ()
    seconds: int | None = None
    """Seconds for each user; None for the workflow's usual time."""
    details: Mapping[str, Any] = {}
    """Other fields of its `RunPlan`."""
    same_as: int | None = None
    """Ticks since the run that it reprocesses was scheduled."""


_BY_HAND: Final[dict[str, Any]] = {"execution_type": "onDemand"}

_AGAIN: Final[dict[str, Any]] = {
    "execution_type": "activatedWithScope",
    "scope": {
        "@odata.type": "#microsoft.graph.identityGovernance.activateRunScope",
        "userScope": "failedUsers",
        "taskScope": "failedTasks",
    },
}
"""The details of a run that reprocesses the failed users and tasks of another run."""


def _waits_after(users: int) -> Mapping[str, Any]:
    """Return the details of a run, started by hand, that waits for callbacks for all but its first users."""
    return {"fate": "inProgress", "stops_after": users, **_BY_HAND}


_BAD_DAY: Final = 3 * DAY
_FAILURES: Final = (
    # On one day the license pool is empty; the users who should get a mailbox have none on their first day.
    _Incident("prehire", _BAD_DAY, 14, 3, (POOL_DRY,)),
    _Incident("prehire", _BAD_DAY - 3 * HOUR, 12, 9, (POOL_DRY, POOL_DRY, OTHER_METHOD)),
    _Incident("prehire", _BAD_DAY - 6 * HOUR, 8, 8, (POOL_DRY,)),
    _Incident("prehire", _BAD_DAY - 9 * HOUR, 5, 5, (POOL_DRY,)),
    _Incident("tokyo", _BAD_DAY - 2 * HOUR, 3, 3, (POOL_DRY,)),
    _Incident("team-change", _BAD_DAY - 7 * HOUR, 6, 2, (POOL_DRY, ARCHIVED_TEAM)),
    _Incident("prehire", 10 * DAY, 12, 4, (POOL_DRY,)),
    _Incident("first-day", 3 * DAY, 12, 4, (NO_MAILBOX,)),
    _Incident("first-day", 9 * DAY, 10, 1, (NO_MAILBOX,)),
    _Incident("tokyo", DAY + 3 * HOUR, 3, 1, (NO_MAILBOX,)),
    # Temporary Access Passes: there is no manager to send them to, or they are not allowed.
    _Incident("contractor", 6 * DAY, 6, 2, (NO_MANAGER,)),
    _Incident("contractor", 6 * DAY - 5 * HOUR, 4, 4, (NO_MANAGER,)),
    _Incident("contractor", 5 * DAY, 4, 2, (NO_MANAGER,), details=_AGAIN, same_as=6 * DAY - 5 * HOUR),
    _Incident("prehire", DAY + 4 * HOUR, 9, 2, (OTHER_METHOD, NO_MANAGER)),
    _Incident("contractor", 2 * DAY + 9 * HOUR, 5, 1, (OTHER_METHOD,)),
    # Access packages.
    _Incident("contractor", 11 * DAY, 3, 3, (OUT_OF_POLICY,), details=_BY_HAND),
    _Incident("manager-change", 8 * DAY + 3 * HOUR, 12, 2, (OUT_OF_POLICY,)),
    _Incident("provisioning", 37 * HOUR, 4, 4, (OUT_OF_POLICY,), details=_BY_HAND),
    # Logic Apps.
    _Incident("last-day", 20 * HOUR, 2, 2, (NO_CALLBACK,), 10_800, _BY_HAND),
    _Incident("last-day", 29 * HOUR, 12, 1, (NO_CALLBACK,), 1_000),
    _Incident("termination", 7 * DAY + 2 * HOUR, 1, 1, (NO_CALLBACK,), 3_600, _BY_HAND),
    _Incident("after-30-days", 12 * DAY, 6, 2, (NO_CALLBACK,)),
    # Groups and Teams that a workflow cannot change.
    _Incident("tokyo", 8 * DAY, 4, 4, (SYNCED_GROUP,)),
    _Incident("tokyo", 8 * DAY - 20 * HOUR, 2, 2, (SYNCED_GROUP,), details=_BY_HAND),
    _Incident("team-change", 12 * DAY + 5 * HOUR, 4, 1, (SYNCED_GROUP,)),
    _Incident("team-change", 2 * DAY + 7 * HOUR, 3, 1, (ARCHIVED_TEAM,)),
    _Incident("after-30-days", 5 * DAY + 3 * HOUR, 7, 1, (ROLE_ASSIGNABLE,)),
    # Accounts that cannot be deleted.
    _Incident("guests", 4 * DAY, 31, 3, (PRIVILEGED, ALREADY_DELETED)),
    _Incident("after-30-days", 2 * DAY + 5 * HOUR, 7, 1, (ALREADY_DELETED,)),
)
"""The runs that failed for some or all of their users."""

_UNUSUAL: Final = (
    _Incident("last-day", 50 * MINUTE, 2, 0, (CALLBACK_DUE,), details=_waits_after(1)),
    _Incident("last-day", 5 * HOUR, 7, 0, (CALLBACK_DUE,), details=_waits_after(4)),
    _Incident("last-day", 8 * HOUR, 3, 0, (CALLBACK_DUE,), details=_waits_after(1)),
    _Incident("last-day", 11 * HOUR, 9, 0, (CALLBACK_DUE,), details=_waits_after(6)),
    *(
        _Incident(item.key, held.ago, held.users, details={"fate": "quarantined", "stops_after": 0})
        for item in WORKFLOWS
        if (held := item.quarantine) is not None
    ),
    _Incident("last-day", 25 * HOUR, 10, details={"execution_type": "preview"}),
    _Incident("termination", 31 * HOUR, 3, details={"fate": "canceled", "stops_after": 1, **_BY_HAND}),
    _Incident("prehire", 2 * DAY + 3 * HOUR, 8, details=_AGAIN, same_as=_BAD_DAY - 6 * HOUR),
    _Incident("provisioning", 30 * HOUR, 4, details=_AGAIN, same_as=37 * HOUR),
    _Incident("first-day", MINUTE + 40 * _SECOND, 24, seconds=25, details=_BY_HAND),
    _Incident("team-change", 4 * MINUTE, 40, 2, (ARCHIVED_TEAM,), seconds=18, details=_BY_HAND),
    _Incident("prehire", -3 * MINUTE, 16, seconds=20),
    _Incident("week-one", -2 * HOUR, 11),
)
"""Runs that wait or are quarantined, canceled, reprocessed, in progress or queued: unusual, but mostly no failures."""

_TAKEOVER: Final = _Incident(
    "team-change", 2 * DAY, NEWCOMERS.size, 60, (SYNCED_GROUP, POOL_DRY, ARCHIVED_TEAM), 1, {"cohort": NEWCOMERS}
)
"""A run for very many users. Only a tenant with many runs has it."""

_MANY_RUNS: Final = 10_000

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
    """Return the tenant's workflows by `key`, with the ids of this seed."""
    return {item.key: item._replace(id=guid(seed, "workflow", item.key)) for item in WORKFLOWS}


def plan_runs(runs: int, seed: int, now: int, workflows: Mapping[str, Workflow]) -> list[RunPlan]:
    """Return the plans of all runs of the tenant, oldest first; `now` is in ticks."""
    random = Random(seed)  # noqa: S311 - not a secret
    unusual = list(_unusual(runs, now, workflows, random))
    usual = _usual(runs - len(unusual), now, workflows, random)
    return _with_own_ids(sorted((*unusual, *usual), key=lambda plan: plan.scheduled))


def _unusual(runs: int, now: int, workflows: Mapping[str, Workflow], random: Random) -> Iterator[RunPlan]:
    """Yield the plans of the incidents, repeated; each repetition is moved back by its share of the two weeks."""
    rounds = max(1, runs // DEFAULT_RUNS)
    for round_ in range(rounds):
        shift = round_ * _SPAN // rounds
        takeover = (_TAKEOVER,) if runs >= _MANY_RUNS and not round_ else ()
        for incident in (*(*_FAILURES, *_UNUSUAL)[:runs], *takeover):
            ago = (incident.ago + shift) % _SPAN if shift else incident.ago
            workflow = workflows[incident.workflow]
            seconds = incident.seconds or workflow.seconds
            moment = now - ago
            if abs(ago) > _SLOT and incident.details is not _BY_HAND:
                moment -= moment % _SLOT
            plan = _plan(random, workflow, moment, users=incident.users, seconds=seconds)
            earlier = 0 if incident.same_as is None else incident.same_as - incident.ago
            first = _place(workflow.lead, -ago - earlier)
            plan = plan._replace(failing=incident.failing, causes=incident.causes, first_user=first)
            yield plan._replace(**incident.details)


def _usual(runs: int, now: int, workflows: Mapping[str, Workflow], random: Random) -> Iterator[RunPlan]:
    every = list(workflows.values())
    weights = list(accumulate(item.weight for item in every))
    for index in range(runs):
        moment = now - _SPAN + (2 * index + 1) * _SPAN // (2 * runs)
        (workflow,) = random.choices(every, cum_weights=weights)
        while now - moment < workflow.unscheduled_for:
            (workflow,) = random.choices(every, cum_weights=weights)
        users = 1 + min(int(random.expovariate(1 / workflow.users)), 12 * workflow.users)
        seconds = workflow.seconds * (0.6 + 0.8 * random.random())
        is_by_hand = random.random() < workflow.on_demand
        scheduled = moment if is_by_hand else moment - moment % _SLOT
        plan = _plan(random, workflow, scheduled, users=users, seconds=seconds)
        first = _place(workflow.lead, moment - now) + int(random.random() * ARRIVALS_PER_DAY / 2)
        plan = plan._replace(first_user=first)
        yield plan._replace(**_BY_HAND) if is_by_hand else plan


def _place(lead: int, moment: int) -> int:
    """Return the place of a run's first user in the cohort; `moment` is in ticks from now, `lead` in days."""
    return (lead * DAY + moment) * ARRIVALS_PER_DAY // DAY


def _plan(random: Random, workflow: Workflow, moment: int, *, users: int, seconds: float) -> RunPlan:
    precision = _PRECISIONS[int(random.random() * len(_PRECISIONS))]
    scheduled = moment + int(random.random() * 4 * _SECOND)
    return RunPlan(
        workflow,
        scheduled - scheduled % precision,
        delay=_SECOND + int(random.random() * 5 * _SECOND),
        duration=int(users * seconds * _SECOND),
        users=users,
        precision=precision,
    )


def _with_own_ids(plans: list[RunPlan]) -> list[RunPlan]:
    """Give each run of a workflow its own scheduled tick, because its id contains that.

    A run that reprocesses another gets the id of the last failed run with the same people.
    """
    latest: dict[str, int] = {}
    failed: dict[tuple[str, int], str] = {}
    for index, plan in enumerate(plans):
        scheduled = max(plan.scheduled, latest.get(plan.workflow.id, 0) + 1)
        latest[plan.workflow.id] = scheduled
        plans[index] = own = plan._replace(scheduled=scheduled)
        if plan.failing and plan.scope is None:
            failed[plan.workflow.id, plan.first_user] = own.id
        elif plan.scope is not None:
            plans[index] = own._replace(reprocessed=failed.get((plan.workflow.id, plan.first_user)))
    return plans


def hostile_workflows(workflows: dict[str, Workflow]) -> dict[str, Workflow]:
    """Return the workflows with attacks as names of the first ones; the others stay harmless, for comparison."""
    texts = dict(zip(workflows, HOSTILE_TEXTS, strict=False))
    return {
        key: item._replace(display_name=texts[key], description=texts[key]) if key in texts else item
        for key, item in workflows.items()
    }


def hostile_plans(plans: list[RunPlan]) -> list[RunPlan]:
    """Return the plans with attacks as failure reasons and, in every fifth run, as undeclared properties."""
    attacked = []
    for index, (plan, text) in enumerate(zip(plans, cycle(HOSTILE_TEXTS), strict=False)):
        causes = tuple(cause._replace(sentence=text) for cause in plan.causes)
        undeclared = {"[b]note[/b]": text, "nested": {text: [text, None, 9_007_199_254_740_993]}}
        attacked.append(plan._replace(causes=causes, extra=plan.extra if index % 5 else undeclared))
    return attacked


def future_plan(workflows: Iterable[Workflow], now: int) -> RunPlan:
    """Return the plan of a run of a later service: with a status, properties and an id that no client knows."""
    workflow = next(item for item in workflows if item.key == "manager-change")
    return _plan(Random(0), workflow, now - 9 * HOUR, users=18, seconds=workflow.seconds)._replace(  # noqa: S311
        fate=FUTURE_STATUS,
        stops_after=6,
        extra={
            "changeTicket": "CHG0031877",
            "pauseDetails": {"policyName": "Change freeze, quarter end", "resumes": "next business day"},
        },
        long_id=True,
    )
