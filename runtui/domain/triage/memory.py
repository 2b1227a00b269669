"""What a person did about one run: saw it, handled it, put it off, wrote a note; and until when it is put off.

Invariant: it is kept on this machine and never sent to a service. It tells how the run was when it was handled or put
off, so that a run that gets worse can be told from one that stays as it was.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, get_args

from runtui.domain.times import interpret, parse_ticks

TriageState = Literal["", "handled", "snoozed"]
TRIAGE_STATES: Final[tuple[TriageState, ...]] = get_args(TriageState)

NEVER: Final = 0
"""The moment of what did not happen (ticks)."""

LONGEST_NOTE: Final = 500
"""Characters of a note."""

UNTIL_CHANGE: Final = "change"
"""What is typed for a snooze that ends when the run changes."""

SNOOZES: Final = {"1h": "1 hour", "4h": "4 hours", "tomorrow 09:00": "tomorrow 09:00", UNTIL_CHANGE: "until it changes"}
"""The usual snoozes: as they are typed, and in words."""

_LENGTH: Final = re.compile(r"\d+[smhdw].*")


class RunTriage(NamedTuple):
    """What is remembered of a run. Moments are ticks, NEVER where there is none."""

    run_id: str
    seen: int = NEVER
    """When it was opened first."""
    state: TriageState = ""
    until: int = NEVER
    """When a snooze ends; NEVER: once the run changes."""
    was_status: str = ""
    """From here on: the run as it was when it was handled or snoozed; numbers as the store has them."""
    was_failed_users: int = 0
    was_failed_tasks: int = 0
    was_updated: int = 0
    was_problem: int = 0
    """1 where it was one."""
    note: str = ""
    who: str = ""
    """Who changed state or note last; empty where nobody is known."""
    changed: int = NEVER
    """When that was."""


def snooze_end(text: str, now: int) -> int:
    """When a snooze ends that is typed like "2h", "tomorrow 09:00" or "change" (ticks; NEVER: once the run changes).

    Raises:
        ValueError: with one sentence that says what is possible.
    """
    typed = text.strip().lower()
    if typed == UNTIL_CHANGE:
        return NEVER
    try:
        end = parse_ticks(interpret(f"+{typed}" if _LENGTH.fullmatch(typed) else typed, now))
    except ValueError:
        raise ValueError(f"A snooze is a length (90m, 2h, 3d), a time (tomorrow 09:00) or {UNTIL_CHANGE}.") from None
    if end <= now:
        raise ValueError("A snooze ends in the future.")
    return end
