"""What a planned run looks like at a moment: its properties, and the results of its users and tasks.

Invariant: everything is a pure function of (plan, moment), so a run progresses by itself and never contradicts itself:
the results of a run at rest add up to its counters. Users are processed one after the other. Results tell what was
done; a write to the run changes its report only, so it does not reach them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.entities import guid

USER_COUNT: Final = 4_000
"""How many users the tenant has; those of a run are drawn from them."""

_COUNTING: Final = 5 * TICKS_PER_SECOND
"""How long a run that has just started shows zeros, as the service does until it has counted users and tasks."""

_UNSTARTED: Final = frozenset({"queued", "quarantined"})
"""Statuses of a run that has no startedDateTime."""

_UNFINISHED: Final = _UNSTARTED | {"inProgress", "pausedByPolicy"}
"""Statuses of a run that has no completedDateTime."""


class TaskDefinition(NamedTuple):
    """A built-in task."""

    id: str
    category: str
    display_name: str
    description: str
    argument: str | None = None
    """The name of the argument that says what the task acts on, where it has one."""
    continues_on_error: bool = False
    """Whether its failure lets the tasks after it run."""


class Workflow(NamedTuple):
    """A workflow of the tenant, and how it usually runs."""

    key: str
    """Its name in `seed.py`; never sent."""
    category: str
    display_name: str
    description: str
    tasks: tuple[TaskDefinition, ...]
    version: int
    weight: int
    """How often it runs, relative to the others."""
    users: int
    """How many users a run of it usually has."""
    seconds: int
    """How long it usually takes for one user."""
    on_demand: float = 0.03
    """The share of its runs that somebody starts by hand."""
    id: str = ""


class RunPlan(NamedTuple):
    """What is decided about a run when the tenant is seeded. Times and durations are in ticks."""

    workflow: Workflow
    scheduled: int
    delay: int
    """From scheduled to started."""
    duration: int
    """From started to completed, if it processes all its users."""
    users: int
    failing: int = 0
    """How many of the users fail, spread evenly over the run."""
    task: int = 0
    """The index of the task that fails or waits."""
    reason: str | None = None
    """Why that task fails or waits."""
    fate: str | None = None
    """Its final status, where that does not follow from `failing`."""
    stops_after: int | None = None
    """After how many users it stops, where it does."""
    execution_type: str = "scheduled"
    scope: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    first_user: int = 0
    """Its users are this one of the tenant's and those after."""
    precision: int = 1
    """Its times are multiples of this: real timestamps have 0 to 7 fractional digits."""
    long_id: bool = False

    @property
    def id(self) -> str:
        """The run's id: the workflow's and the ticks of the schedule; about 130 characters for a few."""
        short = f"{self.workflow.id}_{self.scheduled}"
        if not self.long_id:
            return short
        return f"{self.workflow.id}_{self.workflow.version}_{short}_{guid(short)}"

    @property
    def started(self) -> int:
        return self._cut(self.scheduled + self.delay)

    @property
    def rests(self) -> int:
        """When it stops changing."""
        return self.finished(self.users if self.stops_after is None else self.stops_after)

    def finished(self, users: int) -> int:
        """When it has processed that many of its users."""
        return self._cut(self.started + self.duration * users // self.users)

    def _cut(self, ticks: int) -> int:
        return ticks - ticks % self.precision

    def failed_among(self, done: int) -> int:
        """How many of its first `done` users fail."""
        return done * self.failing // self.users

    def fails(self, user: int) -> bool:
        return self.failed_among(user + 1) > self.failed_among(user)

    @property
    def task_stops_user(self) -> bool:
        return not self.workflow.tasks[self.task].continues_on_error

    @property
    def unprocessed_per_failure(self) -> int:
        return len(self.workflow.tasks) - 1 - self.task if self.task_stops_user else 0


def run_state(plan: RunPlan, now: int) -> dict[str, Any]:
    """The properties of a run at a moment (ticks), for `entities.RUN.record`."""
    started, rests = plan.started, plan.rests
    status = _status_at(plan, now)
    done = _users_done(plan, now)
    failed = plan.failed_among(done)
    counted = done > 0 or now >= min(rests, started + _COUNTING)
    users, tasks = (plan.users, len(plan.workflow.tasks)) if counted else (0, 0)
    left_per_user = tasks - plan.task if _waits_outside(plan, now) else tasks
    return {
        "id": plan.id,
        "workflowId": plan.workflow.id,
        "completedDateTime": rests if now >= rests and status not in _UNFINISHED else None,
        "failedTasksCount": failed,
        "failedUsersCount": failed,
        "lastUpdatedDateTime": plan.finished(done) if now >= started else None,
        "processingStatus": status,
        "scheduledDateTime": plan.scheduled,
        "startedDateTime": None if status in _UNSTARTED else started,
        "successfulUsersCount": done - failed,
        "totalTasksCount": users * tasks,
        "totalUsersCount": users,
        "totalUnprocessedTasksCount": (users - done) * left_per_user + failed * plan.unprocessed_per_failure,
        "workflowExecutionType": plan.execution_type,
        "activatedOnScope": None if plan.scope is None else json.dumps(plan.scope),
        "extra": None if plan.extra is None else json.dumps(plan.extra),
    }


def _users_done(plan: RunPlan, now: int) -> int:
    """How many users a run has processed at a moment, successfully or not."""
    if now < plan.started:
        return 0
    if now < plan.rests:
        return (now - plan.started) * plan.users // plan.duration
    return plan.users if plan.stops_after is None else plan.stops_after


def _waits_outside(plan: RunPlan, now: int) -> bool:
    """Whether a run rests in progress: its task waits for an answer from outside."""
    return plan.fate == "inProgress" and now >= plan.rests


def _status_at(plan: RunPlan, now: int) -> str:
    if now < plan.started:
        return "queued"
    if now < plan.rests:
        return "inProgress"
    if plan.fate is not None:
        return plan.fate
    if plan.failing == 0:
        return "completed"
    return "failed" if plan.failing == plan.users else "completedWithErrors"


class _UserWork(NamedTuple):
    """What a run does for one user. Times are in ticks."""

    id: str
    user_id: str
    status: str
    started: int | None
    completed: int | None
    span: int
    """How long one task takes."""
    tasks_done: int
    """How many tasks have ended, successfully or not."""
    failed_task: int | None
    waiting_task: int | None


def user_results(plan: RunPlan, seed: int, now: int) -> Iterator[dict[str, Any]]:
    """The userProcessingResults of a run at a moment, for `entities.USER_RESULT.record`."""
    tasks = len(plan.workflow.tasks)
    for work in _work(plan, seed, now):
        yield {
            "id": work.id,
            "runId": plan.id,
            "completedDateTime": work.completed,
            "failedTasksCount": int(work.failed_task is not None),
            "processingStatus": work.status,
            "scheduledDateTime": plan.scheduled,
            "startedDateTime": work.started,
            "totalTasksCount": tasks,
            "totalUnprocessedTasksCount": tasks - work.tasks_done,
            "workflowExecutionType": plan.execution_type,
            "workflowVersion": plan.workflow.version,
            "subject": json.dumps({"id": work.user_id}),
        }


def task_results(plan: RunPlan, seed: int, now: int) -> Iterator[dict[str, Any]]:
    """The taskProcessingResults of a run: the tasks that have begun, for `entities.TASK_RESULT.record`."""
    tasks = [_task(plan, index, task) for index, task in enumerate(plan.workflow.tasks)]
    for work in _work(plan, seed, now):
        if work.started is None:
            continue
        begun = work.tasks_done + (work.waiting_task is not None)
        for index, task in enumerate(tasks[:begun]):
            begins = work.started + index * work.span
            failed, waits = index == work.failed_task, index == work.waiting_task
            yield {
                "id": guid(seed, work.id, index),
                "runId": plan.id,
                "userResultId": work.id,
                "createdDateTime": begins,
                "startedDateTime": begins,
                "completedDateTime": None if waits else begins + work.span,
                "processingStatus": "inProgress" if waits else "failed" if failed else "completed",
                "failureReason": plan.reason if failed else None,
                "processingInfo": plan.reason if waits and _waits_outside(plan, now) else None,
                "subject": json.dumps({"id": work.user_id}),
                "task": task,
            }


def _work(plan: RunPlan, seed: int, now: int) -> Iterator[_UserWork]:
    """The users of a run that has begun, in the order in which it processes them."""
    status = _status_at(plan, now)
    if status in _UNSTARTED:
        return
    done = _users_done(plan, now)
    workflow = plan.workflow
    for user in range(plan.users):
        user_id = guid(seed, "person", (plan.first_user + user) % USER_COUNT)
        result_id = f"{workflow.id}_{workflow.version}_{plan.id}_{user_id}"
        yield _one_user(plan, user, done, status, now)._replace(id=result_id, user_id=user_id)


def _one_user(plan: RunPlan, user: int, done: int, run_status: str, now: int) -> _UserWork:
    tasks = len(plan.workflow.tasks)
    begins, ends = plan.finished(user), plan.finished(user + 1)
    span = max((ends - begins) // tasks, 1)
    work = _UserWork("", "", "queued", None, None, span, 0, None, None)
    if user < done:
        if not plan.fails(user):
            return work._replace(status="completed", started=begins, completed=ends, tasks_done=tasks)
        return work._replace(
            status="failed" if plan.task_stops_user else "completedWithErrors",
            started=begins,
            completed=ends,
            tasks_done=tasks - plan.unprocessed_per_failure,
            failed_task=plan.task,
        )
    if run_status == "canceled":
        return work._replace(status="canceled")
    if _waits_outside(plan, now):
        # The remaining users all wait for the same answer.
        begins = plan.rests
        return work._replace(status="inProgress", started=begins, tasks_done=plan.task, waiting_task=plan.task)
    if run_status == "inProgress" and user == done:
        finished = min((now - begins) // span, tasks - 1)
        return work._replace(status="inProgress", started=begins, tasks_done=finished, waiting_task=finished)
    return work


def _task(plan: RunPlan, index: int, task: TaskDefinition) -> str:
    workflow = plan.workflow
    arguments = [{"name": task.argument, "value": guid(workflow.id, "argument", index)}] if task.argument else []
    return json.dumps(
        {
            "id": guid(workflow.id, "task", index),
            "category": task.category,
            "continueOnError": task.continues_on_error,
            "description": task.description,
            "displayName": task.display_name,
            "executionSequence": index + 1,
            "isEnabled": True,
            "taskDefinitionId": task.id,
            "arguments": arguments,
        }
    )
