"""What a planned run looks like at a moment: its status, its moments, its counters.

Invariant: a run is a pure function of (plan, moment), so it moves on by itself and never contradicts itself. Users are
worked on one after the other.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.tenant import CONTINUES_ON_ERROR, Workflow, guid

COUNTING: Final = 5 * TICKS_PER_SECOND
"""How long a run that has just started shows zeros, as the service does until it has counted users and tasks."""

UNSTARTED: Final = frozenset({"queued", "quarantined"})
"""Statuses of a run that has no startedDateTime."""

UNFINISHED: Final = UNSTARTED | {"inProgress", "pausedByPolicy"}
"""Statuses of a run that has no completedDateTime."""


class RunPlan(NamedTuple):
    """Everything that is decided about a run when the tenant is seeded. Moments and durations in ticks."""

    workflow: Workflow
    scheduled: int
    delay: int
    """From scheduled to started."""
    duration: int
    """From started to completed, if it works on all its users."""
    users: int
    failing: int = 0
    """How many of the users fail, spread evenly over the run."""
    task: int = 0
    """The index of the task that fails, or waits."""
    reason: str | None = None
    """Why that task fails, or what it waits for."""
    fate: str | None = None
    """The status in which it rests, where that does not follow from `failing`."""
    stops_after: int | None = None
    """After how many users it stops working, where it does."""
    execution_type: str = "scheduled"
    scope: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    first_person: int = 0
    """Which of the tenant's people its users are: this one and those after."""
    precision: int = 1
    """What its moments are multiples of: real timestamps have 0 to 7 fractional digits."""
    long_id: bool = False

    @property
    def id(self) -> str:
        """The run's id: its workflow and the ticks of the schedule; about 130 characters for a few."""
        short = f"{self.workflow.id}_{self.scheduled}"
        if not self.long_id:
            return short
        return f"{self.workflow.id}_{self.workflow.version}_{short}_{guid(short)}"

    @property
    def started(self) -> int:
        """When it starts."""
        return self._cut(self.scheduled + self.delay)

    @property
    def rests(self) -> int:
        """From when on nothing about it changes any more."""
        return self.finished(self.users if self.stops_after is None else self.stops_after)

    def finished(self, users: int) -> int:
        """When it has finished that many of its users."""
        return self._cut(self.started + self.duration * users // self.users)

    def _cut(self, ticks: int) -> int:
        return ticks - ticks % self.precision

    def failed_among(self, done: int) -> int:
        """How many of its first `done` users failed."""
        return done * self.failing // self.users

    def fails(self, user: int) -> bool:
        """Whether its user of that index fails."""
        return self.failed_among(user + 1) > self.failed_among(user)

    @property
    def task_stops_user(self) -> bool:
        """Whether the tasks after the failing one are left out."""
        return self.workflow.tasks[self.task] not in CONTINUES_ON_ERROR

    @property
    def unprocessed_per_failure(self) -> int:
        """How many tasks a failing user leaves unprocessed."""
        return len(self.workflow.tasks) - 1 - self.task if self.task_stops_user else 0


def state(plan: RunPlan, now: int) -> dict[str, Any]:
    """The properties of a run at a moment (ticks), as `entities.RUN.record` takes them."""
    started, rests = plan.started, plan.rests
    status = status_at(plan, now)
    done = users_done(plan, now)
    failed = plan.failed_among(done)
    counted = done > 0 or now >= min(rests, started + COUNTING)
    users, tasks = (plan.users, len(plan.workflow.tasks)) if counted else (0, 0)
    left_per_user = tasks - plan.task if waits_outside(plan, now) else tasks
    return {
        "id": plan.id,
        "workflowId": plan.workflow.id,
        "completedDateTime": rests if now >= rests and status not in UNFINISHED else None,
        "failedTasksCount": failed,
        "failedUsersCount": failed,
        "lastUpdatedDateTime": plan.finished(done) if now >= started else None,
        "processingStatus": status,
        "scheduledDateTime": plan.scheduled,
        "startedDateTime": None if status in UNSTARTED else started,
        "successfulUsersCount": done - failed,
        "totalTasksCount": users * tasks,
        "totalUsersCount": users,
        "totalUnprocessedTasksCount": (users - done) * left_per_user + failed * plan.unprocessed_per_failure,
        "workflowExecutionType": plan.execution_type,
        "activatedOnScope": None if plan.scope is None else json.dumps(plan.scope),
        "extra": None if plan.extra is None else json.dumps(plan.extra),
    }


def users_done(plan: RunPlan, now: int) -> int:
    """How many of its users a run has finished at a moment, well or badly."""
    if now < plan.started:
        return 0
    if now < plan.rests:
        return (now - plan.started) * plan.users // plan.duration
    return plan.users if plan.stops_after is None else plan.stops_after


def waits_outside(plan: RunPlan, now: int) -> bool:
    """Whether a run has come to rest in progress: its task waits for an answer from outside."""
    return plan.fate == "inProgress" and now >= plan.rests


def status_at(plan: RunPlan, now: int) -> str:
    """The processingStatus of a run at a moment."""
    if now < plan.started:
        return "queued"
    if now < plan.rests:
        return "inProgress"
    if plan.fate is not None:
        return plan.fate
    if plan.failing == 0:
        return "completed"
    return "failed" if plan.failing == plan.users else "completedWithErrors"
