"""Undo: the inverse of one change, or of many, as drafts for the same review and write path.

Invariant: only a change that is known to be done can be undone, and only while the run still has the written values; no
change of a colleague is overwritten. The restored values are those that were received, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from runtui.domain.bulk_draft import GONE, BulkDraft, LeftOut, bulk_of
from runtui.domain.draft import BodyMode, Draft
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph.client import GraphClient
from runtui.graph.retry import Pace
from runtui.redact import REDACTED
from runtui.services.records.journal import Entry
from runtui.services.writing.proof import has_values


class UndoError(RuntuiError):
    """A change that cannot be undone, and why."""

    def __init__(self, entry: Entry, message: str, hint: str = "") -> None:
        super().__init__(f"#{entry.number} cannot be undone", message, hint)


async def draft_to_undo(
    entry: Entry, client: GraphClient, mode: BodyMode = "changed", *, pace: Pace | None = None
) -> Draft:
    """Return the draft that undoes an entry, based on the current run; `mode` selects what else its body contains.

    The run is read as often as the `pace` allows; without one, once.

    Raises:
        UndoError: the run cannot be read, no longer has the entry's values, or `why_not` refuses.
    """
    if why := why_not(entry):
        raise UndoError(entry, why, "Check it in the journal first." if entry.outcome is Outcome.UNKNOWN else "")
    answer = await client.run(entry.workflow_id, entry.run_id, pace=pace)
    if answer.entity is None:
        what = f"The run cannot be read. {answer.fault.title}." if answer.fault is not None else "The run is empty."
        raise UndoError(entry, what, "Try again when it can be read.")
    return undo_of(entry, answer.entity, mode)


def undo_of(entry: Entry, run: Mapping[str, Any], mode: BodyMode) -> Draft:
    """Return the draft that undoes the applied part of an entry, based on a run as received; for `mode` see above.

    Raises:
        UndoError: the run no longer has the entry's values, or `why_not` refuses.
    """
    if why := why_not(entry):
        raise UndoError(entry, why)
    held = {name for name, value in entry.after.items() if EDITABLE_BY_NAME[name].same(value, run.get(name))}
    moved = [
        f"{name} is {json.dumps(run.get(name))} and not {json.dumps(value)}"
        for name, value in entry.after.items()
        if name not in held and not (held and EDITABLE_BY_NAME[name].same(entry.before.get(name), run.get(name)))
    ]
    if moved:
        words = f"The run no longer holds what this change wrote: {', '.join(moved)}."
        raise UndoError(entry, words, "Edit the run to set its values by hand.")
    draft = Draft(run["id"], entry.workflow_id, run, mode, undoes=entry.number)
    return draft.with_values({name: entry.before.get(name) for name in entry.after})


def drafts_to_undo(
    entries: Sequence[Entry], runs: Mapping[str, Mapping[str, Any]], mode: BodyMode, busy: Collection[str] = ()
) -> BulkDraft:
    """Return the drafts that undo some entries of different runs; for `mode` see above. `runs` are the existing runs as
    received, by id; `busy` those with a change in progress."""
    bulk = bulk_of({entry.run_id: _undo_or_why(entry, runs.get(entry.run_id), mode) for entry in entries}, busy)
    undone = {draft.undoes for draft in bulk.drafts}
    doubtful = sum(entry.number in undone and bool(doubt_of(entry)) for entry in entries)
    was = "was" if doubtful == 1 else "were"
    doubts = (f"{doubtful} {was} only seen on read-back: somebody else may have made the same change.",)
    return bulk._replace(doubts=doubts) if doubtful else bulk


def _undo_or_why(entry: Entry, run: Mapping[str, Any] | None, mode: BodyMode) -> Draft | LeftOut:
    """Return the draft that undoes an entry on a run (None: it no longer exists), or why it cannot be undone."""
    if run is None:
        return GONE
    try:
        return undo_of(entry, run, mode)
    except UndoError as error:
        return LeftOut("that cannot be undone", error.summary)


def why_not(entry: Entry) -> str | None:
    """Return why an entry cannot be undone, as far as the journal alone shows; None if it can."""
    if entry.outcome is Outcome.NOT_DONE or entry.action:
        what = "not done" if entry.outcome is Outcome.NOT_DONE else "an action of the service"
        return f"It was {what}; there is nothing to undo."
    if entry.outcome is not Outcome.DONE:
        return f"It cannot be read: {entry.damage}." if entry.damage else "Its outcome is unknown."
    if entry.undone_by is not None:
        return f"It is already undone, by #{entry.undone_by}."
    if entry.undone_perhaps_by is not None:
        return f"#{entry.undone_perhaps_by} was sent to undo it, and its own outcome is unknown."
    if has_values(entry.after, entry.before):
        return "The run had these values before; there is nothing to undo."
    return next(_unfit(entry), None)


def doubt_of(entry: Entry) -> str:
    """Return why an entry that can be undone may be someone else's change, so that a person is asked twice; else
    empty."""
    if entry.known_by != "read-back":
        return ""
    return f"#{entry.number} was only seen on read-back: somebody else may have made the same change."


def _unfit(entry: Entry) -> Iterator[str]:
    """Yield the earlier values that cannot be written, as sentences."""
    for name in entry.after:
        field = EDITABLE_BY_NAME.get(name)
        value = entry.before.get(name)
        if field is None:
            yield f"This runtui does not know the property {name}."
        elif name not in entry.before and field.required:
            yield f"{name} was not received before the change, and cannot be removed again."
        elif not isinstance(value, str | int | None) or isinstance(value, bool) or REDACTED in str(value):
            yield f"The value of {name} before the change is not in the journal as it was received."
