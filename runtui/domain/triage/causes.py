"""Causes as rows: tasks that failed for the same reason, over all listed runs.

Invariant: a task and a reason are as received; whoever shows one makes it visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from runtui.domain.columns import DESCENDING, Column, ListCell, Role, age_cell
from runtui.domain.plots import bar
from runtui.domain.results import Cause, fold_reason
from runtui.domain.times import format_or_none
from runtui.domain.triage.checks import checklist_of

BAR_CELLS: Final = 6


class CauseRow(NamedTuple):
    """A cause as a row of the list."""

    cause: Cause
    most_users: int
    """The users of the cause with the most users, which have a full bar."""


def cause_rows(causes: Sequence[Cause]) -> list[CauseRow]:
    most = max((cause.users for cause in causes), default=0)
    return [CauseRow(cause, most) for cause in causes]


def _count(name: str, width: int, count: Callable[[CauseRow], int], role: Role) -> Column[CauseRow]:
    return Column(
        name, name, width, 3, lambda row, _: ListCell(str(count(row)), role), DESCENDING, "right", value=count
    )


def _age(key: str, title: str, priority: int, moment: Callable[[CauseRow], int | None]) -> Column[CauseRow]:
    return Column(
        key, title, 5, priority, lambda row, now: age_cell(moment(row), now, "muted"), DESCENDING, "right",
        value=lambda row: moment(row) or 0,
    )  # fmt: skip


def _in_short(reason: str) -> str:
    """Return the folded reason, also without ids that only repeat a name: "group '…' (#)"."""
    return fold_reason(reason).replace("'…' (#)", "'…'")


CAUSE_COLUMNS: Final[tuple[Column[CauseRow], ...]] = (
    Column("task", "task", 14, 2, lambda row, _: ListCell(row.cause.task), grows_to=24),
    Column("reason", "reason", 34, 1, lambda row, _: ListCell(_in_short(row.cause.reason)), flexible=True),
    _count("runs", 4, lambda row: row.cause.runs, "number"),
    _count("users", 5, lambda row: row.cause.users, "alert"),
    Column(
        "share", "", BAR_CELLS, 6,
        lambda row, _: ListCell(bar(row.cause.users, row.most_users, BAR_CELLS), "status-failed"),
    ),
    _age("last", "last", 5, lambda row: row.cause.last),
    _age("since", "since", 7, lambda row: row.cause.first),
    Column("workflows", "workflows", 24, 8, lambda row, _: ListCell(", ".join(row.cause.workflows), "muted")),
)  # fmt: skip
"""All columns in display order."""

CAUSE_PROPERTIES: Final = ("task", "reason", "runs", "users", "since", "last", "workflows", "check")
"""The properties of a cause in JSON and CSV."""


def cause_record(cause: Cause) -> dict[str, Any]:
    """Return a cause as a JSON object; times are DateTimeOffsets, `check` lists what to check."""
    checklist = checklist_of(cause.definition_id)
    return {
        "task": cause.task,
        "reason": cause.reason,
        "runs": cause.runs,
        "users": cause.users,
        "since": format_or_none(cause.first),
        "last": format_or_none(cause.last),
        "workflows": list(cause.workflows),
        "check": list(checklist.lines) if checklist is not None else [],
    }
