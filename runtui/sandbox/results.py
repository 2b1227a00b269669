"""What happened to each user and each task of a run.

Invariant: results follow from (plan, moment), and those of a run at rest add up to the counters of `progress.state`.
They tell what was done; a write to the run changes its report only, so it does not reach them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from runtui.sandbox.progress import UNSTARTED, RunPlan, status_at, users_done, waits_outside
from runtui.sandbox.tenant import CONTINUES_ON_ERROR, TaskDefinition, guid

PEOPLE: Final = 4_000
"""How many people the tenant has; the users of a run are drawn from them."""


class UserWork(NamedTuple):
    """What a run does for one of its users. Moments in ticks."""

    id: str
    person: str
    status: str
    started: int | None
    completed: int | None
    span: int
    """How long one task takes."""
    tasks_done: int
    """How many tasks have an end, well or badly."""
    failed_task: int | None
    waiting_task: int | None


def user_results(plan: RunPlan, seed: int, now: int) -> Iterator[dict[str, Any]]:
    """The userProcessingResults of a run at a moment, as `entities.USER_RESULT.record` takes them."""
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
            "subject": json.dumps({"id": work.person}),
        }


def task_results(plan: RunPlan, seed: int, now: int) -> Iterator[dict[str, Any]]:
    """The taskProcessingResults of a run: the tasks that have begun, as `entities.TASK_RESULT.record` takes them."""
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
                "processingInfo": plan.reason if waits and waits_outside(plan, now) else None,
                "subject": json.dumps({"id": work.person}),
                "task": task,
            }


def _work(plan: RunPlan, seed: int, now: int) -> Iterator[UserWork]:
    """The users of a run that has begun, in the order in which it works on them."""
    status = status_at(plan, now)
    if status in UNSTARTED:
        return
    done = users_done(plan, now)
    workflow = plan.workflow
    for user in range(plan.users):
        person = guid(seed, "person", (plan.first_person + user) % PEOPLE)
        result_id = f"{workflow.id}_{workflow.version}_{plan.id}_{person}"
        yield _one_user(plan, user, done, status, now)._replace(id=result_id, person=person)


def _one_user(plan: RunPlan, user: int, done: int, run_status: str, now: int) -> UserWork:
    tasks = len(plan.workflow.tasks)
    begins, ends = plan.finished(user), plan.finished(user + 1)
    span = max((ends - begins) // tasks, 1)
    work = UserWork("", "", "queued", None, None, span, 0, None, None)
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
    if waits_outside(plan, now):
        # All users that are left wait for the same answer.
        begins = plan.rests
        return work._replace(status="inProgress", started=begins, tasks_done=plan.task, waiting_task=plan.task)
    if run_status == "inProgress" and user == done:
        finished = min((now - begins) // span, tasks - 1)
        return work._replace(status="inProgress", started=begins, tasks_done=finished, waiting_task=finished)
    return work


def _task(plan: RunPlan, index: int, task: TaskDefinition) -> str:
    """A task of the run's workflow as results carry it, in JSON."""
    workflow = plan.workflow
    arguments = [{"name": task.argument, "value": guid(workflow.id, "argument", index)}] if task.argument else []
    return json.dumps(
        {
            "id": guid(workflow.id, "task", index),
            "category": task.category,
            "continueOnError": task in CONTINUES_ON_ERROR,
            "description": task.description,
            "displayName": task.display_name,
            "executionSequence": index + 1,
            "isEnabled": True,
            "taskDefinitionId": task.id,
            "arguments": arguments,
        }
    )
