"""The standing of a run in triage: new, seen, handled, snoozed, or back because it got worse.

Invariant: `comeback` is the rule; `domain.filter_tree` has the same rule in SQL, and a test compares the two. A run got
worse if its status is more urgent, if more users or tasks failed, or if it changed and is still a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from runtui.domain.rows import NO_NUMBER, RunRow, is_stuck, severity, status_look
from runtui.domain.times import format_ticks
from runtui.domain.triage.memory import NO_TIME, RunTriage, TriageState

Standing = Literal["new", "seen", "back", "snoozed", "handled"]


def is_problem(row: RunRow, now: int) -> bool:
    """Return True if a person should look at the run, exactly as the filter `is:problem`."""
    return status_look(row.status).is_problem or is_stuck(row, now)


def with_state(known: RunTriage, row: RunRow, state: TriageState, now: int, *, until: int = NO_TIME) -> RunTriage:
    """Return `known` with a new state from `now` on (ticks), set by its `who`, and with the run's present values."""
    return known._replace(
        state=state,
        until=until,
        marked=now,
        marked_by=known.who,
        was_status=row.status,
        was_failed_users=_number(row, "failedUsers"),
        was_failed_tasks=_number(row, "failedTasks"),
        was_updated=_number(row, "updated"),
        was_problem=int(is_problem(row, now)),
    )


def comeback(known: RunTriage, row: RunRow, now: int) -> str:
    """Return in words why a handled or snoozed run is back; empty if it is not."""
    return next(_reasons(known, row, now), "") if known.state else ""


def _reasons(known: RunTriage, row: RunRow, now: int) -> Iterator[str]:
    failed_users, failed_tasks = _number(row, "failedUsers"), _number(row, "failedTasks")
    is_now = (row.status, failed_users, failed_tasks, _number(row, "updated"))
    has_changed = is_now != (known.was_status, known.was_failed_users, known.was_failed_tasks, known.was_updated)
    if severity(row.status) > severity(known.was_status):
        yield f"it was {known.was_status or 'without a status'}"
    if failed_users > known.was_failed_users:
        yield "more users failed"
    if failed_tasks > known.was_failed_tasks:
        yield "more tasks failed"
    if is_problem(row, now) and not known.was_problem:
        yield "it became a problem"
    elif is_problem(row, now) and has_changed:
        yield "it changed and is still a problem"
    if known.state == "snoozed" and known.until == NO_TIME and has_changed:
        yield "it changed"
    if known.state == "snoozed" and NO_TIME < known.until <= now:
        yield "the snooze ended"


def standing(row: RunRow, now: int) -> Standing:
    known = row.triage
    if known is None:
        return "new"
    if known.state:
        return "back" if comeback(known, row, now) else known.state
    return "seen" if known.seen != NO_TIME else "new"


NOTE: Final = "note"
"""The name of the fact that holds a person's note."""


def triage_facts(row: RunRow, now: int, in_words: Callable[[int], str]) -> Iterator[tuple[str, str]]:
    """Yield the triage of a run at `now` (ticks) as pairs of a name and a text; nothing for a new run.

    `in_words` formats a time (ticks).
    """
    known, stands = row.triage, standing(row, now)
    if known is None:
        return
    by = f" by {known.marked_by}" if known.marked_by else ""
    until = "it changes" if known.until == NO_TIME else in_words(known.until)
    was = f"{known.state} {in_words(known.marked)}{by}"
    if stands == "back":
        yield "triage", f"back: {comeback(known, row, now)} ({was})"
    elif stands == "handled":
        yield "triage", was
    elif stands == "snoozed":
        yield "triage", f"snoozed until {until}{by}"
    if known.note:
        yield NOTE, known.note
    if known.seen != NO_TIME:
        yield "opened", in_words(known.seen)


def triage_record(known: RunTriage) -> dict[str, Any]:
    """Return the triage of a run as a JSON object; null for missing values."""
    was = {
        "status": known.was_status,
        "failedUsers": None if known.was_failed_users == NO_NUMBER else known.was_failed_users,
        "failedTasks": None if known.was_failed_tasks == NO_NUMBER else known.was_failed_tasks,
        "updatedAt": None if known.was_updated == NO_NUMBER else format_ticks(known.was_updated),
        "isProblem": bool(known.was_problem),
    }
    return {
        "state": known.state or None,
        "until": _text_of(known.until),
        "was": was if known.state else None,
        "markedAt": _text_of(known.marked),
        "markedBy": known.marked_by,
        "note": known.note,
        "who": known.who,
        "changedAt": _text_of(known.changed),
        "seenAt": _text_of(known.seen),
    }


def _text_of(ticks: int) -> str | None:
    return None if ticks == NO_TIME else format_ticks(ticks)


def _number(row: RunRow, key: str) -> int:
    number = row.number(key)
    return NO_NUMBER if number is None else number
