"""A workflow in words: the state of its schedule, its quarantine, and the history of its runs by day.

Invariant: any JSON object makes a workflow. A property that is missing, null or of another type is unknown, and no
sentence states an unknown fact: a list of workflows has fewer properties than a workflow read by itself. Source of the
times and limits: Microsoft Entra, "Lifecycle workflows execution conditions and scheduling" and "Configure execution
limits for Lifecycle Workflows".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from runtui.domain.columns import DESCENDING, EMPTY_CELL, ESSENTIAL, GAP, GUTTER, Column, ListCell, Role, text_cell
from runtui.domain.plots import heat_cell
from runtui.domain.text import count_words, visible
from runtui.domain.times import CLOCK_SKEW, MAX_TICKS, ago, format_or_none, moment_text, now_ticks, since
from runtui.domain.triage.received import (
    ReceivedProperty,
    flag_in,
    number_in,
    object_in,
    objects_in,
    text_in,
    ticks_in,
    type_in,
)

CATCH_UP_DAYS: Final = 3
"""A scheduled run includes users whose trigger date is at most this many days past."""

HISTORY_DAYS: Final = 30
"""The days over which runs are counted, as many as the portal keeps."""

HEAT_DAYS: Final = 14
"""The days of the heat map, which has all HISTORY_DAYS if the list has at least WIDE_MAP cells."""

_MIN_DAYS: Final = 10
"""The fewest days of the heat map, when long names need the room."""

WIDE_MAP: Final = 116


class Quarantine(NamedTuple):
    """The quarantine of a workflow: a scheduled run was about to process more users than a limit allows."""

    limit: str
    since: int | None
    """In ticks."""
    reason: str
    """The service's reason; empty if it gives none."""


_LIMITS: Final[Mapping[str, str]] = {
    "countBasedThresholdExceeded": "the limit on the number of users",
    "percentageBasedThresholdExceeded": "the limit on the share of all users",
    "multipleConditionsExceeded": "more than one limit on users",
}
"""The members of `quarantineType` in words."""


class ScheduleState(NamedTuple):
    """The state of a workflow's schedule: a glyph and one or two words."""

    glyph: str
    word: str
    role: Role
    rank: int
    """The lower, the more urgent."""


HELD: Final = ScheduleState("■", "quarantine", "status-problem", 0)
OVERDUE: Final = ScheduleState("!", "overdue", "status-problem", 1)
ON_SCHEDULE: Final = ScheduleState("✓", "scheduled", "status-done", 3)
ON_DEMAND: Final = ScheduleState("◌", "on demand", "status-waiting", 4)
DISABLED: Final = ScheduleState("⊘", "disabled", "status-waiting", 5)
NOT_KNOWN: Final = ScheduleState("?", "not known", "status-unknown", 2)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as received."""

    received: Mapping[str, Any]

    id = ReceivedProperty(text_in, "id")
    description = ReceivedProperty(text_in, "description")
    category = ReceivedProperty(text_in, "category")
    version = ReceivedProperty(number_in, "version")
    is_enabled = ReceivedProperty(flag_in, "isEnabled")
    is_scheduled = ReceivedProperty(flag_in, "isSchedulingEnabled")
    next_run = ReceivedProperty(ticks_in, "nextScheduleRunDateTime")
    """The next scheduled run, in ticks."""

    @property
    def name(self) -> str:
        return text_in(self.received, "displayName", "id")

    @property
    def quarantine(self) -> Quarantine | None:
        details = object_in(self.received, "quarantineDetails")
        kind = text_in(details, "quarantineType")
        if kind in ("", "notQuarantined"):
            return None
        limit = _LIMITS.get(kind, f"a limit ({kind})")
        return Quarantine(limit, ticks_in(details, "quarantinedDateTime"), text_in(details, "quarantineReason"))

    @property
    def limits(self) -> tuple[str, ...]:
        """The workflow's own limits on the users of a scheduled run, in words; empty if the tenant's limits apply."""
        conditions = objects_in(object_in(self.received, "settings", "quarantineConfiguration"), "conditions")
        return tuple(filter(None, map(_limit, conditions)))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks in order; empty if they were not read."""
        return task_names(objects_in(self.received, "tasks"))

    @property
    def is_for_demand_only(self) -> bool:
        """True if the workflow has no trigger for a schedule, only for runs on demand."""
        return type_in(object_in(self.received, "executionConditions")) == "onDemandExecutionOnly"

    @property
    def trigger(self) -> str:
        """The trigger and the scope in words; empty if they were not read."""
        if self.is_for_demand_only:
            return "on demand only, for users whom a person chooses"
        conditions = object_in(self.received, "executionConditions")
        return ", ".join(
            filter(None, (_trigger(object_in(conditions, "trigger")), _scope(object_in(conditions, "scope"))))
        )

    def schedule(self, now: int) -> ScheduleState:
        """Return the state of the schedule at `now` (ticks)."""
        if self.quarantine is not None:
            return HELD
        if self.is_enabled is False:
            return DISABLED
        if self.is_enabled is None or self.is_scheduled is None:
            return NOT_KNOWN
        if not self.is_scheduled:
            return ON_DEMAND
        return OVERDUE if self.next_run is not None and self.next_run < now - CLOCK_SKEW else ON_SCHEDULE

    def warnings(self, now: int, held_users: int | None = None) -> Iterator[str]:
        """Yield sentences about what stops the workflow for users in its scope. `held_users` is the number of users of
        its last run in quarantine.
        """
        state = self.schedule(now)
        if (held := self.quarantine) is not None:
            since = f" since {moment_text(held.since, now)}, {ago(held.since, now)}" if held.since is not None else ""
            users = f"; {held_users} users wait" if held_users else ""
            yield f"Quarantined{since}: a scheduled run exceeded {held.limit}{users}."
            if held.reason:
                yield held.reason
            yield (
                "Its schedule is held until an administrator approves it; it then runs at its next scheduled time. "
                f"Users whose trigger date is more than {CATCH_UP_DAYS} days past by then are missed."
            )
            return
        if held_users and "quarantineDetails" not in self.received:
            yield (
                f"Its last run in quarantine is for {held_users} users; the service does not say whether the workflow "
                "still is in quarantine."
            )
        if state is OVERDUE and self.next_run is not None:
            yield f"The next run was due {ago(self.next_run, now)} and has not happened."
            yield (
                f"The schedule catches up on users up to {CATCH_UP_DAYS} days after their trigger date; "
                "later ones are missed."
            )
        elif state is DISABLED:
            yield "It is disabled: neither the schedule nor a person can run it."
        elif state is ON_DEMAND and not self.is_for_demand_only:
            yield "Its schedule is off: it runs for nobody unless a person starts it."

    def next_step(self, now: int) -> str:
        """Return what to do about the warnings; empty if nothing."""
        return {
            HELD: "Check whom it would process, then approve it or run it on demand: that ignores the limit.",
            OVERDUE: "Refresh the list; if it stays overdue, run it on demand for the users who were missed.",
            DISABLED: "Set isEnabled if it is to run again.",
            ON_DEMAND: "" if self.is_for_demand_only else "Set isSchedulingEnabled if it is to run by itself.",
        }.get(self.schedule(now), "")


class WorkflowDay(NamedTuple):
    """The counts of a workflow's runs that began on one day."""

    runs: int = 0
    problems: int = 0
    """Runs that failed, completed with errors, were canceled or quarantined."""
    completed: int = 0
    failed_users: int = 0


class WorkflowHistory(NamedTuple):
    """A workflow and the history of its runs."""

    workflow: Workflow
    days: tuple[WorkflowDay, ...]
    """The last days, today last."""
    last_run: int | None = None
    """The start of the last run, in ticks."""
    held_users: int | None = None
    """The number of users of the last run in quarantine; None if there is none."""
    tasks_begun: tuple[str, ...] = ()
    """The names of the tasks that the last run began, as far as results were read."""

    @property
    def total(self) -> WorkflowDay:
        return WorkflowDay(*map(sum, zip(*self.days, strict=True)))

    @property
    def success_rate(self) -> int | None:
        """The percentage of ended runs without a problem, rounded down; None if no run has ended."""
        total = self.total
        ended = total.completed + total.problems
        return total.completed * 100 // ended if ended else None


def task_names(tasks: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of tasks in order; a disabled one is marked "(disabled)"."""

    def place(task: Mapping[str, Any]) -> int:
        return number_in(task, "executionSequence") or 0

    return tuple(
        f"{text_in(task, 'displayName', 'id') or '?'}{' (disabled)' if task.get('isEnabled') is False else ''}"
        for task in sorted(tasks, key=place)
    )


def worst_first(histories: Sequence[WorkflowHistory], now: int) -> list[WorkflowHistory]:
    """Sort workflows by urgency: quarantined, overdue, then by the most problem runs, then by name."""
    return sorted(
        histories,
        key=lambda history: (
            min(history.workflow.schedule(now).rank, NOT_KNOWN.rank),
            -history.total.problems,
            history.workflow.name.casefold(),
        ),
    )


def runs_filter(workflow: Workflow, others: Sequence[Workflow], day: date | None = None) -> str:
    """Return the filter for the runs of a workflow, on one local day or on all days.

    It uses the workflow's name, or the id if the name cannot be typed or is not unique among `others`.
    """
    name, key = workflow.name, workflow.name.casefold()
    is_typed = name == name.strip() and name == visible(name) and '"' not in name
    is_its_own = all(other.name.casefold() != key for other in others if other.id != workflow.id)
    found = f'wf="{name}"' if is_typed and is_its_own else f'workflowId="{workflow.id}"'
    return found if day is None else f"{found} began:{day.isoformat()}"


def _state(row: WorkflowHistory, now: int) -> ListCell:
    state = row.workflow.schedule(now)
    return ListCell(f"{state.glyph} {state.word}", state.role)


def _last_run(row: WorkflowHistory, now: int) -> ListCell:
    return EMPTY_CELL if row.last_run is None else ListCell(since(row.last_run, now))


def _next_run(row: WorkflowHistory, now: int) -> ListCell:
    moment = row.workflow.next_run
    if moment is None:
        return EMPTY_CELL
    return ListCell(ago(moment, now), "alert" if row.workflow.schedule(now) is OVERDUE else "text")


def _counted(number: int | None, unit: str = "") -> ListCell:
    return EMPTY_CELL if number is None else ListCell(f"{number}{unit}", "number")


def _failed_users(row: WorkflowHistory, _now: int) -> ListCell:
    failed = row.total.failed_users
    return ListCell(str(failed), "alert" if failed else "muted")


def _known(number: int | None) -> int:
    """Return a sort key that puts a missing number last."""
    return MAX_TICKS if number is None else number


WORKFLOW_COLUMNS: Final[tuple[Column[WorkflowHistory], ...]] = (
    Column("schedule", "schedule", 12, 1, _state, value=lambda row: row.workflow.schedule(now_ticks()).rank),
    Column("workflow", "workflow", 14, 2, lambda row, _: ListCell(row.workflow.name), flexible=True),
    Column("last", "last run", 8, 7, _last_run, DESCENDING, value=lambda row: row.last_run or 0),
    Column(
        "success", "success", 7, 8, lambda row, _: _counted(row.success_rate, " %"), align="right",
        value=lambda row: _known(row.success_rate),
    ),
    Column("failed", "✗ users", 7, 9, _failed_users, DESCENDING, "right", value=lambda row: row.total.failed_users),
    Column("next", "next run", 8, 10, _next_run, value=lambda row: _known(row.workflow.next_run)),
    Column("category", "category", 8, 11, lambda row, _: text_cell(row.workflow.category, "muted")),
    Column(
        "version", "version", 7, 12, lambda row, _: _counted(row.workflow.version), DESCENDING, "right",
        value=lambda row: row.workflow.version or 0,
    ),
)  # fmt: skip
"""The columns of the overview without the heat map, which takes no part in sorting and searching."""

_BEFORE_THE_MAP: Final = 2


def map_days(width: int, name: int) -> int:
    """Return the days of the heat map in a list of `width` cells whose longest name takes `name` cells."""
    if width >= WIDE_MAP:
        return HISTORY_DAYS
    state = WORKFLOW_COLUMNS[0].width + GAP
    room = width - GUTTER - GAP - state - name
    return max(_MIN_DAYS, min(HEAT_DAYS, room // (1 + GAP)))


@lru_cache(maxsize=4)
def with_heat_map(
    columns: tuple[Column[WorkflowHistory], ...], days: int, today: date
) -> tuple[Column[WorkflowHistory], ...]:
    """Return the columns plus one for each of the last `days` days, today last, titled with its weekday's letter."""
    heat_map = (_day(back, today) for back in reversed(range(days)))
    return (*columns[:_BEFORE_THE_MAP], *heat_map, *columns[_BEFORE_THE_MAP:])


def _day(back: int, today: date) -> Column[WorkflowHistory]:
    """Return the column of the day `back` days before today."""

    def show(row: WorkflowHistory, _now: int) -> ListCell:
        day = row.days[-1 - back]
        return heat_cell(day.runs, day.problems)

    return Column(day_key(back), f"{today - timedelta(days=back):%a}"[0], 1, ESSENTIAL, show)


def columns_in_text() -> tuple[Column[WorkflowHistory], ...]:
    """Return the columns of the overview for text output, where one column holds the whole heat map."""

    def heat_map(row: WorkflowHistory, _now: int) -> ListCell:
        return ListCell("".join(heat_cell(day.runs, day.problems).text for day in row.days[-HEAT_DAYS:]))

    return (
        *WORKFLOW_COLUMNS[:_BEFORE_THE_MAP],
        Column("days", f"{HEAT_DAYS} days", HEAT_DAYS, ESSENTIAL, heat_map),
        *WORKFLOW_COLUMNS[_BEFORE_THE_MAP:],
    )


WORKFLOW_PROPERTIES: Final = (
    "workflowId", "workflow", "schedule", "warnings", "nextStep", "isEnabled", "isSchedulingEnabled", "category",
    "version", "lastRun", "nextRun", "quarantinedSince", "quarantineReason", "heldUsers", "runs", "problems",
    "failedUsers", "successPercent",
)  # fmt: skip
"""The properties of a workflow in CSV; a JSON object has its `days` too."""


def workflow_record(history: WorkflowHistory, now: int) -> dict[str, Any]:
    """Return a workflow as a JSON object. Times are DateTimeOffsets; counts cover all its `days`, which end today."""
    workflow, total, held = history.workflow, history.total, history.workflow.quarantine
    return {
        "workflowId": workflow.id,
        "workflow": workflow.name,
        "schedule": workflow.schedule(now).word,
        "warnings": list(workflow.warnings(now, history.held_users)),
        "nextStep": workflow.next_step(now),
        "isEnabled": workflow.is_enabled,
        "isSchedulingEnabled": workflow.is_scheduled,
        "category": workflow.category,
        "version": workflow.version,
        "lastRun": format_or_none(history.last_run),
        "nextRun": format_or_none(workflow.next_run),
        "quarantinedSince": format_or_none(held.since) if held is not None else None,
        "quarantineReason": held.reason if held is not None else None,
        "heldUsers": history.held_users if held is not None else None,
        "runs": total.runs,
        "problems": total.problems,
        "failedUsers": total.failed_users,
        "successPercent": history.success_rate,
        "days": [{"runs": day.runs, "problems": day.problems} for day in history.days],
    }


def day_key(back: int) -> str:
    return f"day{back}"


def _limit(condition: Mapping[str, Any]) -> str:
    threshold, percentage = number_in(condition, "threshold"), number_in(condition, "percentage")
    if threshold is not None:
        return f"at most {threshold} users"
    return f"at most {percentage} % of all users" if percentage is not None else ""


def _trigger(trigger: Mapping[str, Any]) -> str:
    kind = type_in(trigger)
    if kind == "timeBasedAttributeTrigger":
        return _time_trigger(number_in(trigger, "offsetInDays"), text_in(trigger, "timeBasedAttribute") or "?")
    if kind == "attributeChangeTrigger":
        names = [text_in(item, "name") for item in objects_in(trigger, "triggerAttributes")]
        return f"when {' or '.join(names) or 'an attribute'} changes"
    return {
        "membershipChangeTrigger": f"on membership change ({trigger.get('changeType', '?')})",
        "userInactivityTrigger": f"after {trigger.get('inactivityPeriodInDays', '?')} days without a sign-in",
    }.get(kind, kind)


def _time_trigger(days: int | None, attribute: str) -> str:
    if not days:
        return f"on {attribute}"
    return f"{count_words(abs(days), 'day')} {'after' if days > 0 else 'before'} {attribute}"


def _scope(scope: Mapping[str, Any]) -> str:
    rule = text_in(scope, "rule")
    return f"for {rule} (case-sensitive)" if rule else type_in(scope)
