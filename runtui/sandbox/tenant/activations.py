"""The effects of actions on the runs of a tenant: new plans for runs that are started, reprocessed or called back.

Invariant: the failures of a run that somebody starts follow from the earlier runs. A user whose cause is cured
succeeds; a user whose cause remains fails for it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.tenant.causes import Cause
from runtui.sandbox.tenant.people import People, Person
from runtui.sandbox.tenant.runs import Callback, RunAt, RunPlan, UserProgress, Work
from runtui.sandbox.tenant.workflows import Workflow

_DELAY: Final = 2 * TICKS_PER_SECOND
"""The time for which a run that somebody starts is queued."""

_PER_USER: Final = 2 * TICKS_PER_SECOND
_SHORTEST: Final = 4 * TICKS_PER_SECOND
_LONGEST: Final = 12 * TICKS_PER_SECOND
"""The duration for each user, and the shortest and the longest duration of a run."""


def started_by_hand(
    workflow: Workflow, subjects: Mapping[int, Cause | None], now: int, execution_type: str, **details: Any
) -> RunPlan:
    """Plan a run that begins now. `subjects` maps the numbers of people to the causes of their failures (None: none);
    `details` are other fields of the plan.
    """
    failing = [number for number, cause in subjects.items() if cause is not None]
    others = [number for number, cause in subjects.items() if cause is None]
    users = len(subjects)
    plan = RunPlan(
        workflow,
        now,
        delay=_DELAY,
        duration=min(max(users * _PER_USER, _SHORTEST), _LONGEST),
        users=users,
        failing=len(failing),
        causes=tuple(cause for cause in subjects.values() if cause is not None),
        execution_type=execution_type,
    )
    # Users who fail are put at the places at which the plan lets users fail.
    chosen = tuple((failing if plan.fails(user) else others).pop(0) for user in range(users))
    return plan._replace(chosen=chosen, **details)


def cause_left(earlier: Iterable[RunPlan], person: Person, now: int) -> Cause | None:
    """Return why a person fails again in a workflow, given its runs, newest first; None if the person does not fail."""
    for plan in earlier:
        user, run = plan.index_of(person.number), RunAt(plan, now)
        if user is not None and run.has_begun and (progress := run.progress(user)).completed is not None:
            return _cause_left(progress, person)
    return None


def _cause_left(progress: UserProgress, person: Person) -> Cause | None:
    return progress.cause if progress.cause is not None and progress.cause.remains(person) else None


class Choice(NamedTuple):
    """The users of a run that are processed again, and their tasks."""

    failed_users: bool
    """Only the users who failed, not all."""
    failed_tasks: bool
    """Only the tasks that failed or were left out because of that, not all."""

    def takes(self, work: Work) -> bool:
        return work.progress.cause is not None or not (self.failed_users or self.failed_tasks)


def reprocessing(plan: RunPlan, choice: Choice, people: People, now: int, scope: dict[str, Any]) -> RunPlan | None:
    """Plan a run that processes users of another run again; None if there are no such users."""
    again = [work for work in RunAt(plan, now).work(people) if choice.takes(work)]
    if not again:
        return None
    left = {place for work in again for place in _unsuccessful(plan, work)}
    return started_by_hand(
        plan.workflow,
        {work.person.number: _cause_left(work.progress, work.person) for work in again},
        now,
        "activatedWithScope",
        scope=scope,
        reprocessed=plan.id,
        only=tuple(sorted(left)) if choice.failed_tasks else (),
    )


def _unsuccessful(plan: RunPlan, work: Work) -> Iterator[int]:
    for index, (place, task) in enumerate(plan.tasks):
        cause = work.progress.cause
        if index >= work.progress.tasks_done or (cause is not None and cause.task.id == task.id):
            yield place


def answered(plan: RunPlan, user_result_id: str, people: People, now: int, *, has_completed: bool) -> RunPlan | None:
    """Return the plan of a run after an extension has called back for a user; None if the user does not wait."""
    run = RunAt(plan, now)
    for user, work in enumerate(run.work(people)):
        if work.id == user_result_id and run.waits_for_callback(work.progress):
            return plan._replace(callbacks=(*plan.callbacks, Callback(user, now, has_completed)))
    return None


def task_flaws(earlier: Iterable[RunPlan], people: People, now: int) -> dict[int, str]:
    """Return what is wrong with tasks of a workflow for every user, from its runs: sentences by places of the tasks."""
    flaws: dict[int, str] = {}
    for plan in earlier:
        if not any(cause.configuration for cause in plan.causes):
            continue
        for work in RunAt(plan, now).work(people):
            cause = work.progress.cause
            if cause is not None and cause.configuration:
                place, _ = plan.tasks[plan.task_of(cause)]
                flaws.setdefault(place, cause.flaw(work.person))
    return dict(sorted(flaws.items()))
