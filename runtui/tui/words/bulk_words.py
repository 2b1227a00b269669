"""What the screen says of changes to many runs: pure words from values.

Invariant: keys are named from the action registry. Unknown is never counted as done or as not done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runtui.domain.bulk_draft import BulkDraft, runs_word
from runtui.domain.report import Outcome
from runtui.domain.rows import short_id
from runtui.domain.text import visible
from runtui.keys.actions import key_of
from runtui.services.writing.save import Save
from runtui.tui.resources import ResultRow

ENDED: Final = (Outcome.DONE, Outcome.NOT_DONE, Outcome.UNKNOWN)


def what(bulk: BulkDraft) -> str:
    """What is changed, or carried out, in a few words."""
    if bulk.action is not None:
        return bulk.action.words
    changes = [(name, after) for name, _, after in bulk.changes()]
    names = ", ".join(name for name, _ in changes)
    if bulk.undoes:
        return f"undo of {names}"
    return f"{names} → {changes[0][1]}" if len(changes) == 1 else names


def counted(outcomes: Mapping[Outcome | None, int]) -> str:
    """How far the changes have come: "31 of 40, 2 not done"."""
    total = sum(outcomes.values())
    ended = total - outcomes.get(None, 0)
    bad = [f"{count} {outcome.value}" for outcome in ENDED[1:] if (count := outcomes.get(outcome, 0))]
    return ", ".join([f"{ended} of {total}" if ended < total else f"{total}", *bad])


def ended(outcomes: Mapping[Outcome | None, int], *, is_undo: bool, is_action: bool, is_in_sight: bool) -> str:
    """All changes have ended: one sentence for them."""
    total = sum(outcomes.values())
    what = "undo" if is_undo else "action" if is_action else "change"
    parts = [f"{count} {outcome.value}" for outcome in ENDED if (count := outcomes.get(outcome, 0))]
    hint = "" if is_in_sight else f" {key_of('bulk')} shows them."
    return f"{total} {what}{'' if total == 1 else 's'}: {', '.join(parts)}.{hint}"


def held(save: Save, left: int, *, is_in_sight: bool) -> str:
    """A refusal holds the rest."""
    hint = f"{key_of('stop_bulk')} asks whether to go on." if is_in_sight else f"{key_of('bulk')} shows them."
    return f"{_refusal(save)} The other {runs_word(left)} wait. {hint}"


def held_question(save: Save, left: int) -> str:
    """Before a person decides what becomes of the rest."""
    return f"{_refusal(save)} The other {runs_word(left)} may meet the same."


def _refusal(save: Save) -> str:
    title = save.fault.title if save.fault is not None else "A change was refused"
    name = visible(save.intent.workflow_name) if save.intent is not None else ""
    return f"{title} ({f'{name}, ' if name else ''}run {short_id(save.run_id)})."


def result_object(row: ResultRow) -> dict[str, Any]:
    """A change as a JSON object, for a file."""
    save = row.save
    sent = save.sent
    return {
        "runId": save.run_id,
        "workflow": row.workflow_name,
        "workflowId": save.operation.workflow_id,
        "outcome": row.outcome.value if row.outcome is not None else None,
        "reason": row.reason,
        "number": save.entry,
        "after": {change.field.name: change.after for change in save.operation.changes()},
        "status": sent.status if sent is not None else None,
        "clientRequestId": save.intent.client_request_id if save.intent is not None else "",
        "undoes": save.undoes,
        "action": save.action.name if save.action is not None else None,
        "newRun": save.new_run or None,
    }
