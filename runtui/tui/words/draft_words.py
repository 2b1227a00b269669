"""What the screen says of drafts: pure words from values.

Invariant: keys are named from the action registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runtui.domain.draft import Conflict, Draft
from runtui.domain.properties import EDITABLE
from runtui.domain.times import clock_text
from runtui.keys.actions import key_of


def reopened(changed_at: datetime, now: datetime) -> str:
    return (
        f"Your draft of {clock_text(changed_at, now)}; {key_of('revert')} reverts a field, "
        f"{key_of('discard')} discards the draft."
    )


def moved(changed_at: datetime, now: datetime, conflicts: Sequence[Conflict]) -> str:
    """The run changed since the draft was begun."""
    names = ", ".join(conflict.field.name for conflict in conflicts)
    return (
        f"The run changed under your draft of {clock_text(changed_at, now)} ({names}). Nothing was written; "
        f"{key_of('ours')} keeps your value, {key_of('theirs')} takes theirs."
    )


def caught_up(before: Draft, draft: Draft, disputed: Sequence[Conflict]) -> str:
    """The run was read while its form was open: what changed, and what of that a person has to decide."""
    moved = [
        f"{field.name} {before.received_text(field) or 'empty'} → {draft.received_text(field) or 'empty'}"
        for field in EDITABLE
        if field.name not in before.edits and not field.same(*(d.received.get(field.name) for d in (before, draft)))
    ]
    words = []
    if disputed:
        names = ", ".join(conflict.field.name for conflict in disputed)
        words.append(f"Changed on the server while you edit: {names}. {key_of('review')} resolves the conflict.")
    if moved:
        words.append(f"The run has changed since it was listed: {', '.join(moved)}.")
    if before.edits and not draft.edits:
        words.append(overtaken())
    return " ".join(words)


def overtaken() -> str:
    """Every edit of a draft has come true on the server."""
    return "The run already has every value of your draft; there is nothing to send."


def kept(count: int) -> str:
    """How many drafts were found at the start; empty when there are none."""
    if not count:
        return ""
    words = "drafts; ~ marks their runs" if count > 1 else "draft; ~ marks its run"
    return f"{count} {words}, {key_of('edit')} opens it."


def unlisted(count: int) -> str:
    """Drafts that no row stands for; empty when there is none."""
    if not count:
        return ""
    words = "drafts are of runs" if count > 1 else "draft is of a run"
    return f"{count} {words} that the server no longer lists; kept until the run is listed again."


def drop_question(draft: Draft, key: str) -> str:
    """Before a draft is discarded: what would be lost, and the key that does it."""
    return f"Press {key} again to discard the draft: {draft_text(draft)}."


def dropped(draft: Draft) -> str:
    """After it: what would have to be typed again."""
    return f"Draft discarded: {draft_text(draft)}."


def draft_text(draft: Draft) -> str:
    return ", ".join(f"{name} {edit.text or 'empty'}" for name, edit in draft.edits.items()) or "nothing typed"
