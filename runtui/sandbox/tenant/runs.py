"""What a planned run looks like at a moment: its properties, and the results of its users and tasks.

Invariant: everything is a pure function of (plan, moment), so a run progresses by itself and never contradicts itself:
the results of a run at rest add up to its counters. Users are processed one after the other. Results tell what was
done; a write to the run changes its report only, so it does not reach them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.entities import STATUS_OF_TOMORROW, guid
from runtui.sandbox.tenant.causes import Cause
from runtui.sandbox.tenant.people import Cohort, People, Person
from runtui.sandbox.tenant.tasks import (
    EXTENSIONS,
    REMOVE_ALL_LICENSES,
    REMOVE_ALL_TEAMS,
    TaskDefinition,
    definition_json,
    task_json,
    task_state,
)
from runtui.sandbox.tenant.workflows import Workflow

_COUNTING: Final = 5 * TICKS_PER_SECOND
"""How long a run that has just started shows zeros, as the service does until it has counted users and tasks."""

_UNSTARTED: Final = frozenset({"queued", "quarantined"})
"""Statuses of a run that has no startedDateTime."""

_UNFINISHED: Final = _UNSTARTED | {"inProgress", STATUS_OF_TOMORROW}
"""Statuses of a run that has no completedDateTime."""

_NOTHING_TO_DO: Final = {
    REMOVE_ALL_TEAMS.id: "The user is not a member of any team. No action was taken.",
    REMOVE_ALL_LICENSES.id: "No license is assigned to the user directly. No action was taken.",
}
"""What tasks say that succeeded without doing anything, by definition; every third person has nothing."""

_LOGIC_APPS: Final = {extension.id: extension.logic_app for extension in EXTENSIONS}


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
    causes: tuple[Cause, ...] = ()
    """Why: the first user who fails has the first cause, and so on, over and over. A run that waits has one."""
    fate: str | None = None
    """Its final status, where that does not follow from `failing`."""
    stops_after: int | None = None
    """After how many users it stops, where it does."""
    execution_type: str = "scheduled"
    scope: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    first_user: int = 0
    """Its users are the one at this place of its cohort and those after."""
    cohort: Cohort | None = None
    """Whom it is for, where that is not the workflow's cohort."""
    precision: int = 1
    """Its times are multiples of this: real timestamps have 0 to 7 fractional digits."""
    long_id: bool = False
    reprocessed: str | None = None
    """The id of the run whose failed users it processes again."""

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

    def cause_of(self, user: int) -> Cause:
        """Why a user fails who does."""
        return self.causes[self.failed_among(user) % len(self.causes)]

    def task_of(self, cause: Cause) -> int:
        """The index of the task that a cause stops."""
        return next(index for index, task in enumerate(self.workflow.tasks) if task.id == cause.task.id)

    def left_after(self, cause: Cause) -> int:
        """How many tasks of a user are not processed after one has failed."""
        return 0 if cause.task.continues_on_error else len(self.workflow.tasks) - 1 - self.task_of(cause)

    def left_after_failures(self, failed: int) -> int:
        """How many tasks are not processed because of the first users who fail."""
        return sum(self.left_after(self.causes[number % len(self.causes)]) for number in range(failed))

    def deleted(self, people: People) -> Iterator[str]:
        """The ids of its users who are not in the directory any more."""
        if any(cause.deletes_user for cause in self.causes):
            for user, person in enumerate(self.subjects(people)):
                if self.fails(user) and self.cause_of(user).deletes_user:
                    yield person.id

    def subjects(self, people: People) -> Iterator[Person]:
        cohort = self.cohort or self.workflow.cohort
        for user in range(self.users):
            yield people.person(cohort.member(self.first_user + user))


def run_state(plan: RunPlan, now: int) -> dict[str, Any]:
    """The properties of a run at a moment (ticks), for `entities.RUN.record`."""
    started, rests = plan.started, plan.rests
    status = _status_at(plan, now)
    done = _users_done(plan, now)
    failed = plan.failed_among(done)
    counted = done > 0 or now >= min(rests, started + _COUNTING)
    users, tasks = (plan.users, len(plan.workflow.tasks)) if counted else (0, 0)
    left_per_user = tasks - plan.task_of(plan.causes[0]) if _waits_outside(plan, now) else tasks
    has_users = not plan.workflow.subjects
    return {
        "id": plan.id,
        "workflowId": plan.workflow.id,
        "reprocessed": plan.reprocessed,
        "completedDateTime": rests if now >= rests and status not in _UNFINISHED else None,
        "failedTasksCount": failed,
        "failedUsersCount": failed if has_users else 0,
        "lastUpdatedDateTime": plan.finished(done) if now >= started else None,
        "processingStatus": status,
        "scheduledDateTime": plan.scheduled,
        "startedDateTime": None if status in _UNSTARTED else started,
        "successfulUsersCount": done - failed if has_users else 0,
        "totalTasksCount": users * tasks,
        "totalUsersCount": users if has_users else 0,
        "totalUnprocessedTasksCount": (users - done) * left_per_user + plan.left_after_failures(failed),
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


class _Work(NamedTuple):
    """What a run does for one person. Times are in ticks."""

    id: str
    person: Person
    status: str
    started: int | None
    completed: int | None
    span: int
    """How long one task takes."""
    tasks_done: int
    """How many tasks have ended, successfully or not."""
    cause: Cause | None = None
    """Why a task has failed."""
    waiting_task: int | None = None


def user_results(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The userProcessingResults of a run at a moment, for `entities.USER_RESULT.record`."""
    if not plan.workflow.subjects:
        for place, work in enumerate(_work(plan, people, now)):
            yield _result(plan, work) | {"place": place, "subject": json.dumps({"id": work.person.id})}


def subject_results(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The subjectProcessingResults of a run whose subjects are no users, for `entities.SUBJECT_RESULT.record`."""
    if plan.workflow.subjects:
        for place, work in enumerate(_work(plan, people, now)):
            yield _result(plan, work) | {"place": place, "subject": json.dumps(_workflow_subject(plan, work))}


def _result(plan: RunPlan, work: _Work) -> dict[str, Any]:
    tasks = len(plan.workflow.tasks)
    return {
        "id": work.id,
        "workflowId": plan.workflow.id,
        "runId": plan.id,
        "subject/id": work.person.id,
        "completedDateTime": work.completed,
        "failedTasksCount": int(work.cause is not None),
        "processingStatus": work.status,
        "scheduledDateTime": plan.scheduled,
        "startedDateTime": work.started,
        "totalTasksCount": tasks,
        "totalUnprocessedTasksCount": tasks - work.tasks_done,
        "workflowExecutionType": plan.execution_type,
        "workflowVersion": plan.workflow.version,
    }


def task_results(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The taskProcessingResults of a run: the tasks that have begun, for `entities.TASK_RESULT.record`."""
    workflow = plan.workflow
    for place, work in enumerate(_work(plan, people, now)):
        if work.started is None:
            continue
        begun = work.tasks_done + (work.waiting_task is not None)
        for index, task in enumerate(workflow.tasks[:begun]):
            begins = work.started + index * work.span
            waits = index == work.waiting_task
            cause = work.cause if work.cause is not None and work.cause.task.id == task.id else None
            reason = None if cause is None else cause.reason(work.person, _logic_app(task), begins)
            yield {
                "id": guid(work.id, index),
                "workflowId": workflow.id,
                "runId": plan.id,
                "userResultId": work.id,
                "taskId": task_state(workflow.id, index, task)["id"],
                "place": place * len(workflow.tasks) + index,
                "subject/id": work.person.id,
                "createdDateTime": begins,
                "startedDateTime": begins,
                "completedDateTime": None if waits else begins + work.span,
                "processingStatus": "inProgress" if waits else "completed" if cause is None else "failed",
                "failureReason": reason,
                "processingInfo": _processing_info(plan, work, index, now),
                "subject": None if workflow.subjects else json.dumps({"id": work.person.id}),
                "workflowSubject": json.dumps(_workflow_subject(plan, work)) if workflow.subjects else None,
                "task": task_json(workflow.id, index, task),
            }


class TaskCounts(NamedTuple):
    """For how many users of a run one of its tasks has ended well, for how many not, and how many they are."""

    task: TaskDefinition
    successful: int
    failed: int
    total: int


def task_counts(plan: RunPlan, people: People, now: int) -> Iterator[TaskCounts]:
    """How the tasks of a run have gone until a moment, in order; none for a run that has not begun."""
    status, done = _status_at(plan, now), _users_done(plan, now)
    if status in _UNSTARTED:
        return
    failures = Counter(plan.causes[number % len(plan.causes)] for number in range(plan.failed_among(done)))
    ahead = 0  # tasks that have ended for users beyond those who are done
    if done < plan.users and status == "inProgress":
        blank = _Work("", people.person(0), "queued", None, None, 0, 0)
        ahead = _one_user(plan, done, blank, done, now).tasks_done
    beyond = plan.users - done if _waits_outside(plan, now) else 1
    for index, task in enumerate(plan.workflow.tasks):
        failed = skipped = 0
        for cause, count in failures.items():
            failed += count if plan.task_of(cause) == index else 0
            skipped += count if plan.task_of(cause) < index and plan.left_after(cause) else 0
        yield TaskCounts(task, done - failed - skipped + (beyond if index < ahead else 0), failed, plan.users)


def task_reports(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The taskReports of a run that has begun: one for each task, for `entities.TASK_REPORT.record`."""
    status = _status_at(plan, now)
    for index, (task, successful, failed, total) in enumerate(task_counts(plan, people, now)):
        yield {
            "id": guid(plan.id, "report", index),
            "workflowId": plan.workflow.id,
            "taskId": task_state(plan.workflow.id, index, task)["id"],
            "scheduledDateTime": plan.scheduled,
            "place": index,
            "runId": plan.id,
            "completedDateTime": plan.rests if now >= plan.rests and status not in _UNFINISHED else None,
            "failedUsersCount": failed,
            "lastUpdatedDateTime": plan.finished(_users_done(plan, now)),
            "processingStatus": _report_status(status, successful, failed),
            "startedDateTime": plan.started,
            "successfulUsersCount": successful,
            "totalUsersCount": total,
            "unprocessedUsersCount": total - successful - failed,
            "task": task_json(plan.workflow.id, index, task),
            "taskDefinition": definition_json(task),
        }


def _report_status(run_status: str, successful: int, failed: int) -> str:
    """The status of one task over all users of a run."""
    if run_status not in ("completed", "completedWithErrors", "failed") or not failed:
        return run_status if run_status in ("inProgress", "canceled") else "completed"
    return "completedWithErrors" if successful else "failed"


def _processing_info(plan: RunPlan, work: _Work, index: int, now: int) -> str | None:
    """What a task says beside its status: what it waits for, or that it had nothing to do."""
    task = plan.workflow.tasks[index]
    if index == work.waiting_task:
        if not _waits_outside(plan, now):
            return None
        return plan.causes[0].reason(work.person, _logic_app(task), (work.started or 0) + index * work.span)
    return _NOTHING_TO_DO.get(task.id) if work.person.number % 3 == 0 else None


def _logic_app(task: TaskDefinition) -> str:
    """The Logic App that a task calls; empty where it calls none."""
    return next((_LOGIC_APPS[value] for _, value in task.arguments if value in _LOGIC_APPS), "")


def _workflow_subject(plan: RunPlan, work: _Work) -> dict[str, Any]:
    attributes = {"employeeId": str(70_000 + work.person.number), "displayName": work.person.display_name}
    return {
        "@odata.type": f"#microsoft.graph.identityGovernance.{plan.workflow.subjects}WorkflowSubject",
        "id": work.person.id,
        "attributeSetEntries": [{"name": name, "value": value} for name, value in attributes.items()],
    }


def _work(plan: RunPlan, people: People, now: int) -> Iterator[_Work]:
    """The people of a run that has begun, in the order in which it processes them."""
    if _status_at(plan, now) in _UNSTARTED:
        return
    done = _users_done(plan, now)
    workflow = plan.workflow
    for user, person in enumerate(plan.subjects(people)):
        result_id = f"{workflow.id}_{workflow.version}_{plan.id}_{person.id}"
        yield _one_user(plan, user, _Work(result_id, person, "queued", None, None, 0, 0), done, now)


def _one_user(plan: RunPlan, user: int, work: _Work, done: int, now: int) -> _Work:
    """The work for a user; what is given is that of one whose turn has not come."""
    run_status = _status_at(plan, now)
    tasks = len(plan.workflow.tasks)
    begins, ends = plan.finished(user), plan.finished(user + 1)
    span = max((ends - begins) // tasks, 1)
    work = work._replace(span=span)
    if user < done:
        work = work._replace(started=begins, completed=ends, tasks_done=tasks)
        if not plan.fails(user):
            return work._replace(status="completed")
        cause = plan.cause_of(user)
        status = "completedWithErrors" if cause.task.continues_on_error else "failed"
        return work._replace(status=status, cause=cause, tasks_done=tasks - plan.left_after(cause))
    if run_status == "canceled":
        return work._replace(status="canceled")
    if _waits_outside(plan, now):
        # The remaining users all wait for the same answer.
        waiting = plan.task_of(plan.causes[0])
        return work._replace(status="inProgress", started=plan.rests, tasks_done=waiting, waiting_task=waiting)
    if run_status == "inProgress" and user == done:
        finished = min((now - begins) // span, tasks - 1)
        return work._replace(status="inProgress", started=begins, tasks_done=finished, waiting_task=finished)
    return work
