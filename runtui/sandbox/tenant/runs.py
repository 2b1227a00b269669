"""What a planned run looks like at a moment: its properties, and the results of its users and tasks.

Invariant: everything is a pure function of (plan, moment), so a run progresses by itself and never contradicts itself:
the results of a run at rest add up to its counters. Users are processed one after the other. Results tell what was
done; a write to the run changes its report only, so it does not reach them. An action changes the plan.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.entities import STATUS_OF_TOMORROW, guid
from runtui.sandbox.tenant.causes import CALLED_BACK_FAILED, Cause
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

_CANCELING: Final = 4 * TICKS_PER_SECOND
"""How long a run takes to stop when it is canceled."""

_RESUMING: Final = 2 * TICKS_PER_SECOND
"""How long the tasks take that come after one whose extension has called back."""

_UNFINISHED: Final = frozenset({"queued", "quarantined", "inProgress", STATUS_OF_TOMORROW})
"""Statuses of a run that has no completedDateTime."""

_NOTHING_TO_DO: Final = {
    REMOVE_ALL_TEAMS.id: "The user is not a member of any team. No action was taken.",
    REMOVE_ALL_LICENSES.id: "No license is assigned to the user directly. No action was taken.",
}
"""What tasks say that succeeded without doing anything, by definition; every third person has nothing."""

_LOGIC_APPS: Final = {extension.id: extension.logic_app for extension in EXTENSIONS}


class Callback(NamedTuple):
    """What a custom task extension has answered for one of the users that wait for it."""

    user: int
    """The user's place in the run."""
    moment: int
    """When, in ticks."""
    has_completed: bool
    """Whether it did what the task wants; otherwise the task fails."""


class RunPlan(NamedTuple):
    """What is decided about a run when it is scheduled, and by actions since. Times and durations are in ticks."""

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
    """The id of the run whose users it processes again."""
    chosen: tuple[int, ...] = ()
    """The numbers of its users, where somebody chose them."""
    only: tuple[int, ...] = ()
    """The places in the workflow of the tasks that it carries out, where those are not all."""
    canceled: int | None = None
    """When somebody canceled it."""
    callbacks: tuple[Callback, ...] = ()
    """The answers to a run that waits for them, oldest first."""

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
    def stops(self) -> int:
        """When it has processed all the users that it processes by itself."""
        return self.finished(self.users if self.stops_after is None else self.stops_after)

    @property
    def rests(self) -> int:
        """When it stops changing."""
        if self.canceled is not None:
            return self.canceled + _CANCELING
        return max(self.stops, self.callbacks[-1].moment + _RESUMING) if self.callbacks else self.stops

    @property
    def never_starts(self) -> bool:
        """Whether it was canceled while it was queued."""
        return self.canceled is not None and self.canceled < self.started

    @property
    def is_acted_on(self) -> bool:
        """Whether an action has changed its course: its users have to be counted one by one."""
        return self.canceled is not None or bool(self.callbacks)

    @property
    def task_count(self) -> int:
        return len(self.only) or len(self.workflow.tasks)

    @property
    def tasks(self) -> tuple[tuple[int, TaskDefinition], ...]:
        every = tuple(enumerate(self.workflow.tasks))
        return tuple(every[place] for place in self.only) or every

    def finished(self, users: int) -> int:
        """When it has processed that many of its users."""
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
        """The index of the task that a cause stops, among those of the run."""
        return next(index for index, (_, task) in enumerate(self.tasks) if task.id == cause.task.id)

    def left_after(self, cause: Cause) -> int:
        """How many tasks of a user are not processed after one has failed."""
        return 0 if cause.task.continues_on_error else self.task_count - 1 - self.task_of(cause)

    def left_after_failures(self, failed: int) -> int:
        """How many tasks are not processed because of the first users who fail."""
        return sum(self.left_after(self.causes[number % len(self.causes)]) for number in range(failed))

    def deleted(self, people: People) -> Iterator[str]:
        """The ids of its users who are not in the directory any more."""
        if any(cause.deletes_user for cause in self.causes):
            for user, person in enumerate(self.subjects(people)):
                if self.fails(user) and self.cause_of(user).deletes_user:
                    yield person.id

    def place_of(self, number: int) -> int | None:
        """The place in the run of the person with a number; None for who is not of it."""
        if self.chosen:
            return self.chosen.index(number) if number in self.chosen else None
        first, size = self.cohort or self.workflow.cohort
        place = (number - first - self.first_user) % size
        return place if first <= number < first + size and place < self.users else None

    def subjects(self, people: People) -> Iterator[Person]:
        cohort = self.cohort or self.workflow.cohort
        for user in range(self.users):
            yield people.person(self.chosen[user] if self.chosen else cohort.member(self.first_user + user))


def run_state(plan: RunPlan, now: int) -> dict[str, Any]:
    """The properties of a run at a moment (ticks), for `entities.RUN.record`."""
    started, rests = plan.started, plan.rests
    status = _status_at(plan, now)
    counts = _counts(plan, now)
    has_users = not plan.workflow.subjects
    return {
        "id": plan.id,
        "workflowId": plan.workflow.id,
        "reprocessed": plan.reprocessed,
        "completedDateTime": rests if now >= rests and status not in _UNFINISHED else None,
        "failedTasksCount": counts.failed,
        "failedUsersCount": counts.failed if has_users else 0,
        "lastUpdatedDateTime": _last_updated(plan, now),
        "processingStatus": status,
        "scheduledDateTime": plan.scheduled,
        "startedDateTime": started if _has_begun(plan, now) else None,
        "successfulUsersCount": counts.successful if has_users else 0,
        "totalTasksCount": counts.users * plan.task_count,
        "totalUsersCount": counts.users if has_users else 0,
        "totalUnprocessedTasksCount": counts.unprocessed_tasks,
        "workflowExecutionType": plan.execution_type,
        "activatedOnScope": None if plan.scope is None else json.dumps(plan.scope),
        "extra": None if plan.extra is None else json.dumps(plan.extra),
    }


class _Counts(NamedTuple):
    """How a run has gone for its users, until a moment."""

    users: int = 0
    """How many it knows of: none until it has counted them."""
    successful: int = 0
    failed: int = 0
    """For each of them, one task has failed."""
    unprocessed_tasks: int = 0


def _counts(plan: RunPlan, now: int) -> _Counts:
    done = _users_done(plan, now)
    failed = plan.failed_among(done)
    if plan.is_acted_on and _has_begun(plan, now):
        turns = [_turn(plan, user, done, now) for user in range(plan.users)]
        failed = sum(turn.cause is not None for turn in turns)
        successful = sum(turn.status == "completed" for turn in turns)
        return _Counts(plan.users, successful, failed, sum(plan.task_count - turn.tasks_done for turn in turns))
    if done == 0 and (now < min(plan.rests, plan.started + _COUNTING) or plan.is_acted_on):
        return _Counts()
    tasks = plan.task_count - (plan.task_of(plan.causes[0]) if _waits_outside(plan, now) else 0)
    left = (plan.users - done) * tasks + plan.left_after_failures(failed)
    return _Counts(plan.users, done - failed, failed, left)


def _last_updated(plan: RunPlan, now: int) -> int | None:
    moments = [] if now < plan.started or plan.never_starts else [plan.finished(_users_done(plan, now))]
    if not plan.is_acted_on:
        return moments[0] if moments else None
    moments += [] if plan.canceled is None else [plan.canceled, plan.rests]
    moments += [moment for item in plan.callbacks for moment in (item.moment, item.moment + _RESUMING)]
    return max((moment for moment in moments if moment <= now), default=None)


def _users_done(plan: RunPlan, now: int) -> int:
    """How many users a run has processed by itself until a moment, successfully or not."""
    now = now if plan.canceled is None else min(now, plan.canceled)
    if now < plan.started:
        return 0
    if now < plan.stops:
        return (now - plan.started) * plan.users // plan.duration
    return plan.users if plan.stops_after is None else plan.stops_after


def _has_begun(plan: RunPlan, now: int) -> bool:
    return now >= plan.started and not plan.never_starts and plan.fate != "quarantined"


def _waits_outside(plan: RunPlan, now: int) -> bool:
    """Whether a run has come to a task that waits for an answer from outside."""
    return plan.fate == "inProgress" and now >= plan.stops


def _status_at(plan: RunPlan, now: int) -> str:
    if plan.canceled is not None and now >= plan.canceled:
        return "canceled" if now >= plan.rests else "canceling"
    if now < plan.started:
        return "queued"
    if now < plan.rests:
        return "inProgress"
    if plan.fate is not None and not _is_answered(plan):
        return plan.fate
    failing = plan.failing + sum(not callback.has_completed for callback in plan.callbacks)
    if failing == 0:
        return "completed"
    return "failed" if failing == plan.users else "completedWithErrors"


def _is_answered(plan: RunPlan) -> bool:
    return len(plan.callbacks) == plan.users - (plan.stops_after or 0) > 0


class Turn(NamedTuple):
    """What a run does for one of its users. Times are in ticks."""

    span: int
    """How long one task takes."""
    status: str = "queued"
    started: int | None = None
    completed: int | None = None
    tasks_done: int = 0
    """How many tasks have ended, successfully or not."""
    cause: Cause | None = None
    """Why a task has failed."""
    waiting_task: int | None = None
    resumed: tuple[int, int] | None = None
    """The index of the task that waited for an answer, and when the answer came."""

    def begins(self, index: int) -> int:
        if self.resumed is not None and index > self.resumed[0]:
            return self.resumed[1]
        return (self.started or 0) + index * self.span

    def ends(self, index: int) -> int | None:
        """When a task has ended; None while it has not, and for one that was canceled."""
        if index == self.waiting_task:
            return None
        if self.resumed is None or index < self.resumed[0]:
            return self.begins(index + 1)
        return self.resumed[1] if index == self.resumed[0] else self.completed


class Work(NamedTuple):
    """What a run does for one person."""

    id: str
    person: Person
    turn: Turn


def user_results(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The userProcessingResults of a run at a moment, for `entities.USER_RESULT.record`."""
    if not plan.workflow.subjects:
        for place, work in enumerate(work_of(plan, people, now)):
            yield _result(plan, work) | {"place": place, "subject": json.dumps({"id": work.person.id})}


def subject_results(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The subjectProcessingResults of a run whose subjects are no users, for `entities.SUBJECT_RESULT.record`."""
    if plan.workflow.subjects:
        for place, work in enumerate(work_of(plan, people, now)):
            yield _result(plan, work) | {"place": place, "subject": json.dumps(_workflow_subject(plan, work))}


def _result(plan: RunPlan, work: Work) -> dict[str, Any]:
    turn = work.turn
    return {
        "id": work.id,
        "workflowId": plan.workflow.id,
        "runId": plan.id,
        "subject/id": work.person.id,
        "completedDateTime": turn.completed,
        "failedTasksCount": int(turn.cause is not None),
        "processingStatus": turn.status,
        "scheduledDateTime": plan.scheduled,
        "startedDateTime": turn.started,
        "totalTasksCount": plan.task_count,
        "totalUnprocessedTasksCount": plan.task_count - turn.tasks_done,
        "workflowExecutionType": plan.execution_type,
        "workflowVersion": plan.workflow.version,
    }


def task_results(plan: RunPlan, people: People, now: int) -> Iterator[dict[str, Any]]:
    """The taskProcessingResults of a run: the tasks that have begun, for `entities.TASK_RESULT.record`."""
    workflow = plan.workflow
    for row, work in enumerate(work_of(plan, people, now)):
        turn = work.turn
        if turn.started is None:
            continue
        begun = turn.tasks_done + (turn.waiting_task is not None)
        for index, (place, task) in enumerate(plan.tasks[:begun]):
            begins = turn.begins(index)
            cause = turn.cause if turn.cause is not None and turn.cause.task.id == task.id else None
            ended = "completed" if cause is None else "failed"
            yield {
                "id": guid(work.id, index),
                "workflowId": workflow.id,
                "runId": plan.id,
                "userResultId": work.id,
                "taskId": task_state(workflow.id, place, task)["id"],
                "place": row * plan.task_count + index,
                "subject/id": work.person.id,
                "createdDateTime": begins,
                "startedDateTime": begins,
                "completedDateTime": turn.ends(index),
                "processingStatus": turn.status if index == turn.waiting_task else ended,
                "failureReason": None if cause is None else cause.reason(work.person, _logic_app(task), begins),
                "processingInfo": _processing_info(plan, work, index, now),
                "subject": None if workflow.subjects else json.dumps({"id": work.person.id}),
                "workflowSubject": json.dumps(_workflow_subject(plan, work)) if workflow.subjects else None,
                "task": task_json(workflow.id, place, task),
            }


class TaskCounts(NamedTuple):
    """For how many users of a run one of its tasks has ended well, for how many not, and how many they are."""

    task: TaskDefinition
    successful: int
    failed: int
    total: int


def task_counts(plan: RunPlan, now: int) -> Iterator[TaskCounts]:
    """How the tasks of a run have gone until a moment, in order; none for a run that has not begun."""
    if not _has_begun(plan, now):
        return
    ends = _ends(plan, now)
    for index, (_, task) in enumerate(plan.tasks):
        ended = sum(count for (tasks, _), count in ends.items() if tasks > index)
        failed = sum(count for (_, cause), count in ends.items() if cause is not None and plan.task_of(cause) == index)
        yield TaskCounts(task, ended - failed, failed, plan.users)


def _ends(plan: RunPlan, now: int) -> Counter[tuple[int, Cause | None]]:
    """For how many users of a run so many tasks have ended, and one of them in failure for that cause."""
    done = _users_done(plan, now)
    if plan.is_acted_on:
        turns = (_turn(plan, user, done, now) for user in range(plan.users))
        return Counter((turn.tasks_done, turn.cause) for turn in turns)
    failed = plan.failed_among(done)
    ends: Counter[tuple[int, Cause | None]] = Counter()
    for cause, count in Counter(plan.causes[number % len(plan.causes)] for number in range(failed)).items():
        ends[plan.task_count - plan.left_after(cause), cause] = count
    ends[plan.task_count, None] += done - failed
    if done < plan.users and _status_at(plan, now) == "inProgress":
        # One user is under way, unless all the others wait.
        ends[_turn(plan, done, done, now).tasks_done, None] += plan.users - done if _waits_outside(plan, now) else 1
    return ends


def task_reports(plan: RunPlan, _people: People, now: int) -> Iterator[dict[str, Any]]:
    """The taskReports of a run that has begun: one for each task, for `entities.TASK_REPORT.record`."""
    status = _status_at(plan, now)
    for index, (task, successful, failed, total) in enumerate(task_counts(plan, now)):
        place = plan.tasks[index][0]
        yield {
            "id": guid(plan.id, "report", index),
            "workflowId": plan.workflow.id,
            "taskId": task_state(plan.workflow.id, place, task)["id"],
            "scheduledDateTime": plan.scheduled,
            "place": index,
            "runId": plan.id,
            "completedDateTime": plan.rests if now >= plan.rests and status not in _UNFINISHED else None,
            "failedUsersCount": failed,
            "lastUpdatedDateTime": _last_updated(plan, now),
            "processingStatus": _report_status(status, successful, failed),
            "startedDateTime": plan.started,
            "successfulUsersCount": successful,
            "totalUsersCount": total,
            "unprocessedUsersCount": total - successful - failed,
            "task": task_json(plan.workflow.id, place, task),
            "taskDefinition": definition_json(task),
        }


def _report_status(run_status: str, successful: int, failed: int) -> str:
    if run_status not in ("completed", "completedWithErrors", "failed") or not failed:
        return run_status if run_status in ("inProgress", "canceling", "canceled") else "completed"
    return "completedWithErrors" if successful else "failed"


def _processing_info(plan: RunPlan, work: Work, index: int, now: int) -> str | None:
    """What a task says beside its status: what it waits for, or that it had nothing to do."""
    _, task = plan.tasks[index]
    if index != work.turn.waiting_task:
        return _NOTHING_TO_DO.get(task.id) if work.person.number % 3 == 0 else None
    if not waits_for_callback(plan, work.turn, now):
        return None
    return plan.causes[0].reason(work.person, _logic_app(task), work.turn.begins(index))


def waits_for_callback(plan: RunPlan, turn: Turn, now: int) -> bool:
    """Whether a task of a user waits for an answer from outside."""
    return _waits_outside(plan, now) and turn.status == "inProgress" and turn.resumed is None


def _logic_app(task: TaskDefinition) -> str:
    return next((_LOGIC_APPS[value] for _, value in task.arguments if value in _LOGIC_APPS), "")


def _workflow_subject(plan: RunPlan, work: Work) -> dict[str, Any]:
    attributes = {"employeeId": str(70_000 + work.person.number), "displayName": work.person.display_name}
    return {
        "@odata.type": f"#microsoft.graph.identityGovernance.{plan.workflow.subjects}WorkflowSubject",
        "id": work.person.id,
        "attributeSetEntries": [{"name": name, "value": value} for name, value in attributes.items()],
    }


def work_of(plan: RunPlan, people: People, now: int) -> Iterator[Work]:
    """The people of a run that has begun, in the order in which it processes them."""
    if not _has_begun(plan, now):
        return
    done = _users_done(plan, now)
    workflow = plan.workflow
    for user, person in enumerate(plan.subjects(people)):
        result_id = f"{workflow.id}_{workflow.version}_{plan.id}_{person.id}"
        yield Work(result_id, person, _turn(plan, user, done, now))


def turn_at(plan: RunPlan, user: int, now: int) -> Turn | None:
    """What a run does for the user at a place of it; None while it has not begun."""
    return _turn(plan, user, _users_done(plan, now), now) if _has_begun(plan, now) else None


def _turn(plan: RunPlan, user: int, done: int, now: int) -> Turn:
    """What a run that has begun does for the user at a place of it, `done` users being done."""
    if plan.canceled is None or now < plan.canceled:
        return _uncanceled_turn(plan, user, done, now)
    turn = _uncanceled_turn(plan._replace(canceled=None), user, done, plan.canceled)
    if turn.completed is not None and turn.completed <= plan.canceled:
        return turn
    status = _status_at(plan, now)
    has_stopped = status == "canceled" and turn.started is not None
    return turn._replace(status=status, completed=plan.rests if has_stopped else None)


def _uncanceled_turn(plan: RunPlan, user: int, done: int, now: int) -> Turn:
    run_status = _status_at(plan, now)
    tasks = plan.task_count
    begins, ends = plan.finished(user), plan.finished(user + 1)
    turn = Turn(span=max((ends - begins) // tasks, 1))
    if user < done:
        turn = turn._replace(started=begins, completed=ends, tasks_done=tasks)
        if not plan.fails(user):
            return turn._replace(status="completed")
        return _failed(plan, turn, plan.cause_of(user))
    if _waits_outside(plan, now):
        return _waiting_turn(plan, user, turn, now)
    if run_status == "canceled":
        return turn._replace(status="canceled")
    if run_status == "inProgress" and user == done:
        finished = min((now - begins) // turn.span, tasks - 1)
        return turn._replace(status="inProgress", started=begins, tasks_done=finished, waiting_task=finished)
    return turn


def _waiting_turn(plan: RunPlan, user: int, turn: Turn, now: int) -> Turn:
    """The turn of one of the users whose tasks wait for an answer each: until it has come, and from then on."""
    waiting = plan.task_of(plan.causes[0])
    turn = turn._replace(started=plan.stops, status="inProgress", tasks_done=waiting, waiting_task=waiting)
    callback = next((item for item in plan.callbacks if item.user == user and item.moment <= now), None)
    if callback is None:
        return turn
    turn = turn._replace(resumed=(waiting, callback.moment), waiting_task=None, tasks_done=plan.task_count)
    if not callback.has_completed:
        return _failed(plan, turn._replace(completed=callback.moment), CALLED_BACK_FAILED)
    later = waiting + 1
    ends = callback.moment + (_RESUMING if later < plan.task_count else 0)
    if now >= ends:
        return turn._replace(status="completed", completed=ends)
    return turn._replace(tasks_done=later, waiting_task=later)


def _failed(plan: RunPlan, turn: Turn, cause: Cause) -> Turn:
    status = "completedWithErrors" if cause.task.continues_on_error else "failed"
    return turn._replace(status=status, cause=cause, tasks_done=plan.task_count - plan.left_after(cause))
