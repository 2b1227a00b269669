"""What actions make of the runs of a tenant: a run that somebody starts, one that is canceled, one that is answered.

Invariant: what goes wrong in a run that somebody starts follows from the runs before it. Whose cause is cured succeeds;
everybody else fails for the same cause.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.tenant.causes import Cause
from runtui.sandbox.tenant.people import People, Person
from runtui.sandbox.tenant.runs import Callback, RunPlan, Turn, Work, turn_at, waits_for_callback, work_of
from runtui.sandbox.tenant.workflows import Workflow

_DELAY: Final = 2 * TICKS_PER_SECOND
"""How long a run that somebody starts is queued."""

_PER_USER: Final = 2 * TICKS_PER_SECOND
_SHORTEST: Final = 4 * TICKS_PER_SECOND
_LONGEST: Final = 12 * TICKS_PER_SECOND
"""How long it takes for one user, and for all."""


def started_by_hand(
    workflow: Workflow, subjects: Mapping[int, Cause | None], now: int, execution_type: str, **details: Any
) -> RunPlan:
    """The plan of a run that begins now, for people by their numbers, each with why it fails; `details` are other
    fields of the plan.
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
    # Those who fail stand where the plan lets users fail.
    chosen = tuple((failing if plan.fails(user) else others).pop(0) for user in range(users))
    return plan._replace(chosen=chosen, **details)


def cause_left(earlier: Iterable[RunPlan], person: Person, now: int) -> Cause | None:
    """Why a person fails again in a workflow, given its runs, the last first; None for who does not."""
    for plan in earlier:
        user = plan.place_of(person.number)
        turn = None if user is None else turn_at(plan, user, now)
        if turn is not None and turn.completed is not None:
            return _left(turn, person)
    return None


def _left(turn: Turn, person: Person) -> Cause | None:
    return turn.cause if turn.cause is not None and turn.cause.remains(person) else None


class Choice(NamedTuple):
    """Who of a run is processed again, and with which tasks."""

    failed_users: bool
    """Whether it is those who failed, or everybody."""
    failed_tasks: bool
    """Whether it is what failed, and what was left because of that, or everything."""
    results: Container[str] | None = None
    """The ids of their results, where somebody chose them."""

    def takes(self, work: Work) -> bool:
        has_failed = work.turn.cause is not None
        is_chosen = self.results is None or work.id in self.results
        return is_chosen and (has_failed or not (self.failed_users or self.failed_tasks))


def reprocessing(plan: RunPlan, choice: Choice, people: People, now: int, scope: dict[str, Any]) -> RunPlan | None:
    """The plan of a run that processes users of another one again; None when there is nobody to process."""
    again = [work for work in work_of(plan, people, now) if choice.takes(work)]
    if not again:
        return None
    left = {place for work in again for place in _unsuccessful(plan, work)}
    return started_by_hand(
        plan.workflow,
        {work.person.number: _left(work.turn, work.person) for work in again},
        now,
        "activatedWithScope",
        scope=scope,
        reprocessed=plan.id,
        only=tuple(sorted(left)) if choice.failed_tasks else (),
    )


def _unsuccessful(plan: RunPlan, work: Work) -> Iterator[int]:
    for index, (place, task) in enumerate(plan.tasks):
        cause = work.turn.cause
        if index >= work.turn.tasks_done or (cause is not None and cause.task.id == task.id):
            yield place


def answered(plan: RunPlan, user_result_id: str, people: People, now: int, *, has_completed: bool) -> RunPlan | None:
    """The plan of a run once an extension has called back for a user; None when nothing waits for that."""
    for user, work in enumerate(work_of(plan, people, now)):
        if work.id == user_result_id and waits_for_callback(plan, work.turn, now):
            return plan._replace(callbacks=(*plan.callbacks, Callback(user, now, has_completed)))
    return None


def task_flaws(earlier: Iterable[RunPlan], people: People, now: int) -> dict[int, str]:
    """What is wrong with tasks of a workflow, whoever they are for: sentences by their places, from its runs."""
    flaws: dict[int, str] = {}
    for plan in earlier:
        if not any(cause.configuration for cause in plan.causes):
            continue
        for work in work_of(plan, people, now):
            cause = work.turn.cause
            if cause is not None and cause.configuration:
                place, _ = plan.tasks[plan.task_of(cause)]
                flaws.setdefault(place, cause.flaw(work.person))
    return dict(sorted(flaws.items()))
