"""The triage of one run: opened, handled, snoozed until a time, or noted by a person.

Invariant: it stays on this machine and is never sent to a service. It holds the state of the run at the time it was
handled or snoozed, so that a run that got worse can be told from an unchanged one.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, get_args

from runtui.domain.times import interpret, parse_ticks

TriageState = Literal["", "handled", "snoozed"]
TRIAGE_STATES: Final[tuple[TriageState, ...]] = get_args(TriageState)

NO_TIME: Final = 0
"""Stands for no time (ticks)."""

LONGEST_NOTE: Final = 500
"""The most characters of a note."""

UNTIL_CHANGE: Final = "change"
"""Typed for a snooze that ends when the run changes."""

SNOOZES: Final = {"1h": "1 hour", "4h": "4 hours", "tomorrow 09:00": "tomorrow 09:00", UNTIL_CHANGE: "until it changes"}
"""The usual snoozes as typed, each with its words."""

_LENGTH: Final = r"\d+[smhdw].*"


class RunTriage(NamedTuple):
    """The triage of a run. Times are ticks; NO_TIME stands for no time."""

    run_id: str
    seen: int = NO_TIME
    """When the run was first opened."""
    state: TriageState = ""
    until: int = NO_TIME
    """When the snooze ends; NO_TIME if it ends when the run changes."""
    was_status: str = ""
    """The `was_` fields hold the run as it was handled or snoozed; numbers as in the store."""
    was_failed_users: int = 0
    was_failed_tasks: int = 0
    was_updated: int = 0
    was_problem: int = 0
    """1 if the run was a problem, else 0."""
    note: str = ""
    who: str = ""
    """Who last changed the state or the note; empty if unknown."""
    changed: int = NO_TIME
    """When the state or the note last changed."""
    marked: int = NO_TIME
    """When the state was set."""
    marked_by: str = ""
    """Who set it; empty if unknown."""


def snooze_end(text: str, now: int) -> int:
    """Parse the end of a snooze ("2h", "tomorrow 09:00" or "change") into ticks; NO_TIME means when the run changes.

    Raises:
        ValueError: the message is one sentence that says what is possible.
    """
    typed = text.strip().lower()
    if typed == UNTIL_CHANGE:
        return NO_TIME
    try:
        end = parse_ticks(interpret(f"+{typed}" if re.fullmatch(_LENGTH, typed) else typed, now))
    except ValueError:
        raise ValueError(f"A snooze is a length (90m, 2h, 3d), a time (tomorrow 09:00) or {UNTIL_CHANGE}.") from None
    if end <= now:
        raise ValueError("A snooze ends in the future.")
    return end
