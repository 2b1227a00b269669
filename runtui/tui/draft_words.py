"""What is said of drafts: pure words from values.

Invariant: keys are named from the action registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from runtui.actions import key_of
from runtui.domain.draft import Conflict, Draft
from runtui.domain.properties import EDITABLE
from runtui.graph.faults import Fault

WEEK: Final = timedelta(days=6)
"""How long the name of a weekday says which day is meant."""


def reopened(changed_at: datetime, now: datetime) -> str:
    """A draft stands in the form again."""
    return (
        f"The draft of {when(changed_at, now)} is open again; {key_of('revert')} puts a field back, "
        f"{key_of('discard')} drops the draft."
    )


def moved(changed_at: datetime, now: datetime, conflicts: Sequence[Conflict]) -> str:
    """The run is another one than the draft was begun on."""
    names = ", ".join(conflict.field.name for conflict in conflicts)
    return (
        f"The run changed under your draft of {when(changed_at, now)} ({names}). Nothing was written; "
        f"{key_of('ours')} keeps your value, {key_of('theirs')} takes theirs."
    )


def caught_up(before: Draft, draft: Draft, disputed: Sequence[Conflict]) -> str:
    """The run was read while its form was open: what moved, and what of that a person has to decide."""
    moved = [
        f"{field.name} {before.received_text(field) or 'empty'} → {draft.received_text(field) or 'empty'}"
        for field in EDITABLE
        if field.name not in before.edits and not field.same(*(d.received.get(field.name) for d in (before, draft)))
    ]
    words = []
    if disputed:
        names = ", ".join(conflict.field.name for conflict in disputed)
        words.append(f"Changed on the server while you edit: {names}. {key_of('review')} shows the three values.")
    if moved:
        words.append(f"The run has changed since it was listed: {', '.join(moved)}.")
    if before.edits and not draft.edits:
        words.append(overtaken())
    return " ".join(words)


def unread(fault: Fault) -> str:
    """The run of the form could not be read."""
    return (
        f"The run could not be read: {fault.title}. The form has the values of the list; "
        "the run is read again before anything is sent."
    )


def overtaken() -> str:
    """Every edit of a draft has come true on the server."""
    return "The run already has every value of your draft; there is nothing left to send."


def given_up() -> str:
    """Nothing of a draft is left after the choice."""
    return "Nothing is left to send: the run has every value that you chose."


def unfit(draft: Draft) -> str:
    """A draft that cannot be reviewed yet."""
    return f"The values are chosen. Before the review, correct {', '.join(draft.errors())}."


def kept(count: int) -> str:
    """What was found at the start; empty when there is nothing."""
    if not count:
        return ""
    words = "drafts are kept; ~ marks their runs" if count > 1 else "draft is kept; ~ marks its run"
    return f"{count} {words}, {key_of('edit')} opens it."


def unlisted(count: int) -> str:
    """Drafts that no row stands for; empty when there is none."""
    if not count:
        return ""
    words = "drafts are of runs" if count > 1 else "draft is of a run"
    return f"{count} {words} that the server no longer lists; kept until the run is listed again."


def drop_question(draft: Draft, key: str) -> str:
    """Before a draft is dropped: what would be lost, and the key that does it."""
    return f"{key} again drops the draft: {held(draft)}."


def dropped(draft: Draft) -> str:
    """After it: what would have to be typed again."""
    return f"The draft is dropped. It held {held(draft)}."


def held(draft: Draft) -> str:
    """What was typed, field by field."""
    return ", ".join(f"{name} {edit.text or 'empty'}" for name, edit in draft.edits.items()) or "nothing typed"


def when(moment: datetime, now: datetime) -> str:
    """A moment of the past by the clock of `now`, as short as it is clear: "14:02", "Friday 14:02"."""
    here = moment.astimezone(now.tzinfo)
    if here.date() == now.date():
        return f"{here:%H:%M}"
    return f"{here:%A %H:%M}" if timedelta() <= now - here < WEEK else f"{here:%Y-%m-%d %H:%M}"
