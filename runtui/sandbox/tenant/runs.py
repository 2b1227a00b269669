"""The state of a planned run at a moment: its properties, and the results of its users and tasks.

Invariant: everything is a pure function of (plan, moment), so a run progresses by itself and is consistent: the results
of a run at rest add up to its counters. Users are processed one after the other. A write to a run changes only the
properties of the run, not its results. An action changes the plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.entities import FUTURE_STATUS, guid
from runtui.sandbox.tenant.causes import CALLED_BACK_FAILED, Cause
from runtui.sandbox.tenant.people import Cohort, People, Person
from runtui.sandbox.tenant.tasks import EXTENSIONS, REMOVE_ALL_LICENSES, REMOVE_ALL_TEAMS, TaskDefinition, task_json
from runtui.sandbox.tenant.workflows import Workflow

_COUNTING: Final = 5 * TICKS_PER_SECOND
"""The time after its start in which a run shows zeros, as the service does until it has counted users and tasks."""

_CANCELING: Final = 4 * TICKS_PER_SECOND
"""The time from canceling to canceled."""

_RESUMING: Final = 2 * TICKS_PER_SECOND
"""The duration of the tasks after one whose extension has called back, in total."""

_UNFINISHED: Final = frozenset({"queued", "quarantined", "inProgress", FUTURE_STATUS})
"""The statuses of a run without a completedDateTime."""

_NOTHING_TO_DO: Final = {
    REMOVE_ALL_TEAMS.id: "The user is not a member of any team. No action was taken.",
    REMOVE_ALL_LICENSES.id: "No license is assigned to the user directly. No action was taken.",
}
"""The processingInfo of tasks that succeed without an effect, by task definition; so it is for every third person."""

_LOGIC_APPS: Final = {extension.id: extension.logic_app for extension in EXTENSIONS}


class Callback(NamedTuple):
    """The callback of a custom task extension for one of the users that wait for it."""

    user: int
    """The user's place in the run."""
    moment: int
    """The time of the callback, in ticks."""
    has_completed: bool
    """The extension reported success; otherwise the task fails."""


class RunPlan(NamedTuple):
    """The course of a run, decided when it is scheduled and changed by actions. Times and durations are in ticks."""

    workflow: Workflow
    scheduled: int
    delay: int
    """The time from scheduled to started."""
    duration: int
    """The time from started to completed, if it processes all its users."""
    users: int
    failing: int = 0
    """The number of users who fail, spread evenly over the run."""
    causes: tuple[Cause, ...] = ()
    """The causes of the failures: the users who fail have them in turn. A run that waits has one cause."""
    fate: str | None = None
    """The final status, if it does not follow from `failing`."""
    stops_after: int | None = None
    """The number of users after which it stops; None if it processes all."""
    execution_type: str = "scheduled"
    scope: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    first_user: int = 0
    """The place of its first user in its cohort; the other users follow."""
    cohort: Cohort | None = None
    """Its users' cohort; None for the workflow's cohort."""
    precision: int = 1
    """Its times are multiples of this: real timestamps have 0 to 7 fractional digits."""
    long_id: bool = False
    reprocessed: str | None = None
    """The id of the run whose users it processes again."""
    chosen: tuple[int, ...] = ()
    """The numbers of its users, if somebody chose them."""
    only: tuple[int, ...] = ()
    """The places in the workflow of the tasks that it carries out; empty for all tasks."""
    canceled: int | None = None
    """The time at which somebody canceled it."""
    callbacks: tuple[Callback, ...] = ()
    """The callbacks that it has received, oldest first."""

    @property
    def id(self) -> str:
        """The id of the workflow and the scheduled tick; with `long_id`, about 130 characters."""
        short = f"{self.workflow.id}_{self.scheduled}"
        if not self.long_id:
            return short
        return f"{self.workflow.id}_{self.workflow.version}_{short}_{guid(short)}"

    @property
    def started(self) -> int:
        return self._cut(self.scheduled + self.delay)

    @property
    def stops(self) -> int:
        """The time at which it has processed all the users that need no callback."""
        return self.finished(self.users if self.stops_after is None else self.stops_after)

    @property
    def rests(self) -> int:
        """The time at which it stops changing."""
        if self.canceled is not None:
            return self.canceled + _CANCELING
        return max(self.stops, self.callbacks[-1].moment + _RESUMING) if self.callbacks else self.stops

    @property
    def never_starts(self) -> bool:
        """It was canceled while it was queued."""
        return self.canceled is not None and self.canceled < self.started

    @property
    def is_acted_on(self) -> bool:
        """An action has changed its course, so its users have to be counted one by one."""
        return self.canceled is not None or bool(self.callbacks)

    @property
    def task_count(self) -> int:
        return len(self.only) or len(self.workflow.tasks)

    @property
    def tasks(self) -> tuple[tuple[int, TaskDefinition], ...]:
        every = tuple(enumerate(self.workflow.tasks))
        return tuple(every[place] for place in self.only) or every

    def finished(self, users: int) -> int:
        """Return the time at which it has processed that many of its users."""
        return self._cut(self.started + self.duration * users // self.users)

    def _cut(self, ticks: int) -> int:
        return ticks - ticks % self.precision

    def failed_among(self, done: int) -> int:
        return done * self.failing // self.users

    def fails(self, user: int) -> bool:
        return self.failed_among(user + 1) > self.failed_among(user)

    def cause_of(self, user: int) -> Cause:
        return self.causes[self.failed_among(user) % len(self.causes)]

    def task_of(self, cause: Cause) -> int:
        """Return the index, among the tasks of the run, of the task that a cause stops."""
        return next(index for index, (_, task) in enumerate(self.tasks) if task.id == cause.task.id)

    def left_after(self, cause: Cause) -> int:
        """Return the number of tasks of a user that are not processed after a failure with that cause."""
        return 0 if cause.task.continues_on_error else self.task_count - 1 - self.task_of(cause)

    def left_after_failures(self, failed: int) -> int:
        """Return the number of tasks that are not processed because the first `failed` users who fail did."""
        return sum(self.left_after(self.causes[number % len(self.causes)]) for number in range(failed))

    def deleted(self, people: People) -> Iterator[str]:
        """Yield the ids of its users who have left the directory."""
        if any(cause.deletes_user for cause in self.causes):
            for user, person in enumerate(self.subjects(people)):
                if self.fails(user) and self.cause_of(user).deletes_user:
                    yield person.id

    def index_of(self, number: int) -> int | None:
        """Return the index in the run of the person with a number; None if the person is not in the run."""
        if self.chosen:
            return self.chosen.index(number) if number in self.chosen else None
        first, size = self.cohort or self.workflow.cohort
        index = (number - first - self.first_user) % size
        return index if first <= number < first + size and index < self.users else None

    def subjects(self, people: People) -> Iterator[Person]:
        cohort = self.cohort or self.workflow.cohort
        for user in range(self.users):
            yield people.person(self.chosen[user] if self.chosen else cohort.member(self.first_user + user))


class _Counts(NamedTuple):
    """The counts of a run at a moment."""

    users: int = 0
    """The users that it has counted: 0 until it has counted them."""
    successful: int = 0
    failed: int = 0
    """The users who failed, each in one task."""
    unprocessed_tasks: int = 0


class UserProgress(NamedTuple):
    """The progress of a run with one of its users. Times are in ticks."""

    span: int
    """The duration of one task."""
    status: str = "queued"
    started: int | None = None
    completed: int | None = None
    tasks_done: int = 0
    """The number of tasks that have ended, successfully or not."""
    cause: Cause | None = None
    """The cause of the failure; None if no task has failed."""
    waiting_task: int | None = None
    resumed: tuple[int, int] | None = None
    """The index of the task that waited for a callback, and the time of the callback."""

    def begins(self, index: int) -> int:
        if self.resumed is not None and index > self.resumed[0]:
            return self.resumed[1]
        return (self.started or 0) + index * self.span

    def ends(self, index: int) -> int | None:
        """Return the time at which a task ended; None if it has not ended, or was canceled."""
        if index == self.waiting_task:
            return None
        if self.resumed is None or index < self.resumed[0]:
            return self.begins(index + 1)
        return self.resumed[1] if index == self.resumed[0] else self.completed


class Work(NamedTuple):
    """The work of a run for one person; `id` is the id of the person's result."""

    id: str
    person: Person
    progress: UserProgress


@dataclass(eq=False)
class RunAt:
    """A planned run at a moment."""

    plan: RunPlan
    now: int
    """The moment, in ticks."""

    def state(self) -> dict[str, Any]:
        """Return the properties of the run, for `entities.RUN.record`."""
        plan, status, counts = self.plan, self._status, self._counts()
        has_users = not plan.workflow.subjects
        return {
            "id": plan.id,
            "workflowId": plan.workflow.id,
            "reprocessed": plan.reprocessed,
            "completedDateTime": plan.rests if self.now >= plan.rests and status not in _UNFINISHED else None,
            "failedTasksCount": counts.failed,
            "failedUsersCount": counts.failed if has_users else 0,
            "lastUpdatedDateTime": self._last_updated(),
            "processingStatus": status,
            "scheduledDateTime": plan.scheduled,
            "startedDateTime": plan.started if self.has_begun else None,
            "successfulUsersCount": counts.successful if has_users else 0,
            "totalTasksCount": counts.users * plan.task_count,
            "totalUsersCount": counts.users if has_users else 0,
            "totalUnprocessedTasksCount": counts.unprocessed_tasks,
            "workflowExecutionType": plan.execution_type,
            "activatedOnScope": None if plan.scope is None else json.dumps(plan.scope),
            "extra": None if plan.extra is None else json.dumps(plan.extra),
        }

    def _counts(self) -> _Counts:
        plan, now, done = self.plan, self.now, self._users_done
        failed = plan.failed_among(done)
        if plan.is_acted_on and self.has_begun:
            every = [self.progress(user) for user in range(plan.users)]
            failed = sum(progress.cause is not None for progress in every)
            successful = sum(progress.status == "completed" for progress in every)
            left = sum(plan.task_count - progress.tasks_done for progress in every)
            return _Counts(plan.users, successful, failed, left)
        if done == 0 and (now < min(plan.rests, plan.started + _COUNTING) or plan.is_acted_on):
            return _Counts()
        tasks = plan.task_count - (plan.task_of(plan.causes[0]) if self._waits_outside else 0)
        left = (plan.users - done) * tasks + plan.left_after_failures(failed)
        return _Counts(plan.users, done - failed, failed, left)

    def _last_updated(self) -> int | None:
        plan, now = self.plan, self.now
        moments = [] if now < plan.started or plan.never_starts else [plan.finished(self._users_done)]
        if not plan.is_acted_on:
            return moments[0] if moments else None
        moments += [] if plan.canceled is None else [plan.canceled, plan.rests]
        moments += [moment for item in plan.callbacks for moment in (item.moment, item.moment + _RESUMING)]
        return max((moment for moment in moments if moment <= now), default=None)

    @cached_property
    def _users_done(self) -> int:
        """The number of users that it has processed without a callback, successfully or not."""
        plan = self.plan
        now = self.now if plan.canceled is None else min(self.now, plan.canceled)
        if now < plan.started:
            return 0
        if now < plan.stops:
            return (now - plan.started) * plan.users // plan.duration
        return plan.users if plan.stops_after is None else plan.stops_after

    @property
    def has_begun(self) -> bool:
        plan = self.plan
        return self.now >= plan.started and not plan.never_starts and plan.fate != "quarantined"

    @property
    def _waits_outside(self) -> bool:
        """It has come to a task that waits for a callback."""
        return self.plan.fate == "inProgress" and self.now >= self.plan.stops

    @cached_property
    def _status(self) -> str:
        plan, now = self.plan, self.now
        if plan.canceled is not None and now >= plan.canceled:
            return "canceled" if now >= plan.rests else "canceling"
        if now < plan.started:
            return "queued"
        if now < plan.rests:
            return "inProgress"
        is_answered = len(plan.callbacks) == plan.users - (plan.stops_after or 0) > 0
        if plan.fate is not None and not is_answered:
            return plan.fate
        failing = plan.failing + sum(not callback.has_completed for callback in plan.callbacks)
        if failing == 0:
            return "completed"
        return "failed" if failing == plan.users else "completedWithErrors"

    def user_results(self, people: People) -> Iterator[dict[str, Any]]:
        """Yield its userProcessingResults, for `entities.USER_RESULT.record`."""
        plan = self.plan
        if not plan.workflow.subjects:
            for place, work in enumerate(self.work(people)):
                progress = work.progress
                yield {
                    "id": work.id,
                    "workflowId": plan.workflow.id,
                    "runId": plan.id,
                    "place": place,
                    "subject/id": work.person.id,
                    "completedDateTime": progress.completed,
                    "failedTasksCount": int(progress.cause is not None),
                    "processingStatus": progress.status,
                    "scheduledDateTime": plan.scheduled,
                    "startedDateTime": progress.started,
                    "totalTasksCount": plan.task_count,
                    "totalUnprocessedTasksCount": plan.task_count - progress.tasks_done,
                    "workflowExecutionType": plan.execution_type,
                    "workflowVersion": plan.workflow.version,
                    "subject": json.dumps({"id": work.person.id}),
                }

    def task_results(self, people: People) -> Iterator[dict[str, Any]]:
        """Yield its taskProcessingResults, for `entities.TASK_RESULT.record`: the tasks that have begun."""
        plan, workflow = self.plan, self.plan.workflow
        for row, work in enumerate(self.work(people)):
            progress = work.progress
            if progress.started is None:
                continue
            begun = progress.tasks_done + (progress.waiting_task is not None)
            for index, (place, task) in enumerate(plan.tasks[:begun]):
                begins = progress.begins(index)
                cause = progress.cause if progress.cause is not None and progress.cause.task.id == task.id else None
                ended = "completed" if cause is None else "failed"
                yield {
                    "id": guid(work.id, index),
                    "workflowId": workflow.id,
                    "runId": plan.id,
                    "userResultId": work.id,
                    "place": row * plan.task_count + index,
                    "subject/id": work.person.id,
                    "createdDateTime": begins,
                    "startedDateTime": begins,
                    "completedDateTime": progress.ends(index),
                    "processingStatus": progress.status if index == progress.waiting_task else ended,
                    "failureReason": None if cause is None else cause.reason(work.person, _logic_app(task), begins),
                    "processingInfo": self._processing_info(work, index),
                    "subject": None if workflow.subjects else json.dumps({"id": work.person.id}),
                    "workflowSubject": json.dumps(self._workflow_subject(work)) if workflow.subjects else None,
                    "task": task_json(workflow.id, place, task),
                }

    def _processing_info(self, work: Work, index: int) -> str | None:
        """Return the processingInfo of a task: what it waits for, or that it had nothing to do; else None."""
        _, task = self.plan.tasks[index]
        if index != work.progress.waiting_task:
            return _NOTHING_TO_DO.get(task.id) if work.person.number % 3 == 0 else None
        if not self.waits_for_callback(work.progress):
            return None
        return self.plan.causes[0].reason(work.person, _logic_app(task), work.progress.begins(index))

    def waits_for_callback(self, progress: UserProgress) -> bool:
        """Return whether a task of a user waits for a callback."""
        return self._waits_outside and progress.status == "inProgress" and progress.resumed is None

    def _workflow_subject(self, work: Work) -> dict[str, Any]:
        attributes = {"employeeId": str(70_000 + work.person.number), "displayName": work.person.display_name}
        return {
            "@odata.type": f"#microsoft.graph.identityGovernance.{self.plan.workflow.subjects}WorkflowSubject",
            "id": work.person.id,
            "attributeSetEntries": [{"name": name, "value": value} for name, value in attributes.items()],
        }

    def work(self, people: People) -> Iterator[Work]:
        """Yield its work for its people, in the order of processing; nothing before it has begun."""
        plan, workflow = self.plan, self.plan.workflow
        for user, person in enumerate(plan.subjects(people)) if self.has_begun else ():
            result_id = f"{workflow.id}_{workflow.version}_{plan.id}_{person.id}"
            yield Work(result_id, person, self.progress(user))

    def progress(self, user: int) -> UserProgress:
        """Return its progress with the user at a place of it."""
        plan = self.plan
        if plan.canceled is None or self.now < plan.canceled:
            return self._uncanceled_progress(user)
        progress = self._when_canceled._uncanceled_progress(user)
        if progress.completed is not None and progress.completed <= plan.canceled:
            return progress
        has_stopped = self._status == "canceled" and progress.started is not None
        return progress._replace(status=self._status, completed=plan.rests if has_stopped else None)

    @cached_property
    def _when_canceled(self) -> RunAt:
        return RunAt(self.plan._replace(canceled=None), self.plan.canceled or self.now)

    def _uncanceled_progress(self, user: int) -> UserProgress:
        plan, done, tasks = self.plan, self._users_done, self.plan.task_count
        begins, ends = plan.finished(user), plan.finished(user + 1)
        progress = UserProgress(span=max((ends - begins) // tasks, 1))
        if user < done:
            progress = progress._replace(started=begins, completed=ends, tasks_done=tasks)
            if not plan.fails(user):
                return progress._replace(status="completed")
            return _failed(plan, progress, plan.cause_of(user))
        if self._waits_outside:
            return self._waiting_progress(user, progress)
        if self._status == "canceled":
            return progress._replace(status="canceled")
        if self._status == "inProgress" and user == done:
            finished = min((self.now - begins) // progress.span, tasks - 1)
            return progress._replace(status="inProgress", started=begins, tasks_done=finished, waiting_task=finished)
        return progress

    def _waiting_progress(self, user: int, progress: UserProgress) -> UserProgress:
        """Return its progress with a user whose task waits for a callback, before the callback and after it."""
        plan, now = self.plan, self.now
        waiting = plan.task_of(plan.causes[0])
        progress = progress._replace(started=plan.stops, status="inProgress", tasks_done=waiting, waiting_task=waiting)
        callback = next((item for item in plan.callbacks if item.user == user and item.moment <= now), None)
        if callback is None:
            return progress
        progress = progress._replace(resumed=(waiting, callback.moment), waiting_task=None, tasks_done=plan.task_count)
        if not callback.has_completed:
            return _failed(plan, progress._replace(completed=callback.moment), CALLED_BACK_FAILED)
        later = waiting + 1
        ends = callback.moment + (_RESUMING if later < plan.task_count else 0)
        if now >= ends:
            return progress._replace(status="completed", completed=ends)
        return progress._replace(tasks_done=later, waiting_task=later)


def _logic_app(task: TaskDefinition) -> str:
    return next((_LOGIC_APPS[value] for _, value in task.arguments if value in _LOGIC_APPS), "")


def _failed(plan: RunPlan, progress: UserProgress, cause: Cause) -> UserProgress:
    status = "completedWithErrors" if cause.task.continues_on_error else "failed"
    return progress._replace(status=status, cause=cause, tasks_done=plan.task_count - plan.left_after(cause))
