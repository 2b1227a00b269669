"""The sentences of the screen about changes: drafts, journal entries, the service's actions, bulk changes.

Invariant: these are pure functions that use the vocabulary of `domain.report` and take keys from the action registry.
Unknown never counts as done or as not done. Why an action may fail is said before it is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtui.auth.clouds import why_not_offered
from runtui.domain.draft import Change, Conflict, Draft, value_word
from runtui.domain.properties import EDITABLE
from runtui.domain.report import Outcome, counted, sentences
from runtui.domain.rows import short_id
from runtui.domain.text import count_words, visible
from runtui.domain.times import clock_text
from runtui.domain.triage.service_actions import (
    CANCELABLE,
    CANCELED,
    PERMISSIONS,
    STATUS,
    ActionName,
    ServiceAction,
    why_not,
)
from runtui.graph.client import Answer
from runtui.graph.faults import NOT_OFFERED
from runtui.graph.root import run_key
from runtui.keys.actions import key_of
from runtui.services.records.journal import Entry
from runtui.services.workspace import Workspace
from runtui.services.writing.proof import UPDATED
from runtui.services.writing.write import Save
from runtui.tui.actions import why_read_only
from runtui.tui.text import middle

if TYPE_CHECKING:
    from runtui.auth.signin import SignIn
    from runtui.domain.bulk_draft import BulkDraft
    from runtui.services.records.journal_query import ExportFormat
    from runtui.tui.features.changes.lists import ResultRow

# Drafts

NOTHING_LEFT_TO_SEND: Final = "The run already has every value of your draft; there is nothing to send."


def draft_reopened(draft: Draft, changed_at: datetime, now: datetime) -> str:
    if not draft.edits:
        return NOTHING_LEFT_TO_SEND
    return (
        f"Your draft from {clock_text(changed_at, now)}; {key_of('revert')} reverts a field, "
        f"{key_of('discard')} discards the draft."
    )


def draft_in_conflict(changed_at: datetime, now: datetime, conflicts: Sequence[Conflict]) -> str:
    names = ", ".join(conflict.field.name for conflict in conflicts)
    return (
        f"The run has changed since your draft from {clock_text(changed_at, now)} ({names}). Nothing was written; "
        f"{key_of('ours')} keeps your value, {key_of('theirs')} takes theirs."
    )


def run_has_changed(before: Draft, draft: Draft, disputed: Sequence[Conflict]) -> str:
    """Say what changed in a run while its form was open, and which conflicts need a decision; empty if nothing did.

    The time of the last change changes with everything else, and with each step of a run in progress: it is no news.
    """
    moved = [
        f"{field.name} {before.received_text(field) or 'empty'} → {draft.received_text(field) or 'empty'}"
        for field in EDITABLE
        if field.name not in (*before.edits, UPDATED)
        and not field.same(*(d.received.get(field.name) for d in (before, draft)))
    ]
    words = []
    if disputed:
        names = ", ".join(conflict.field.name for conflict in disputed)
        words.append(f"Changed on the server while you edit: {names}. {key_of('review')} resolves the conflict.")
    if moved:
        words.append(f"The run has changed on the server: {', '.join(moved)}.")
    if before.edits and not draft.edits:
        words.append(NOTHING_LEFT_TO_SEND)
    return " ".join(words)


def sent_from(workspace: Workspace) -> tuple[tuple[str, str], ...]:
    """Return the tenant and, if known, the account of a change, for its review."""
    account = workspace.sign_in.state.account if workspace.sign_in is not None else None
    named = [("account", account.username)] if account is not None and account.username else []
    return ("tenant", workspace.settings.tenant), *named


def drafts_found(count: int) -> str:
    """Say how many drafts were found at the start; empty if there are none."""
    if not count:
        return ""
    runs = "their runs" if count > 1 else "its run"
    return f"{count_words(count, 'draft')} kept; ~ marks {runs}, {key_of('edit')} opens a draft."


def drafts_unlisted(count: int) -> str:
    words = "drafts belong to runs" if count > 1 else "draft belongs to a run"
    return f"{count} {words} that the server does not list now; kept until listed again."


def discard_question(draft: Draft, key: str) -> str:
    """Ask whether to discard a draft: name the text that would be lost and the key that does it."""
    return f"Press {key} again to discard the draft: {typed_text(draft)}."


def draft_discarded(draft: Draft) -> str:
    """Say that a draft was discarded, with its text in case it has to be typed again."""
    return f"Draft discarded: {typed_text(draft)}."


def typed_text(draft: Draft) -> str:
    """Name what was typed: a pasted page is shortened, so that the status line has room for the other fields."""
    typed = (f"{name} {middle(edit.text, 40) or 'empty'}" for name, edit in draft.edits.items())
    return ", ".join(typed) or "nothing typed"


# The journal

FORMATS: Final[Mapping[ExportFormat, str]] = {
    "jsonl": "JSON lines: every property as it is, for programs",
    "csv": "CSV: for a spreadsheet",
    "md": "Markdown: to read, for a ticket",
}


def journal_is_empty() -> str:
    """Say that nothing was sent yet, and name the keys that make changes."""
    keys = f"{key_of('edit')} edits a run; {key_of('act')} cancels or reprocesses it"
    return f"Nothing has been sent yet. In the list, {keys}."


def changes_found(entries: Collection[Entry]) -> str:
    """Say how changes left open by earlier sessions ended."""
    done = sum(entry.outcome is Outcome.DONE for entry in entries)
    unknown = sum(not entry.is_settled for entry in entries)
    parts = [f"{done} done, seen on read-back"] if done else []
    parts += [f"{unknown} unknown"] if unknown else []
    changes = count_words(len(entries), "change")
    return f"{changes} from an earlier session: {'; '.join(parts)}. {key_of('journal')} shows the journal."


def still_unsettled(entry: Entry) -> str:
    if entry.outcome is None:
        return f"#{entry.number} is still in progress."
    return (
        f"#{entry.number} is still unknown: the run does not prove the change, or could not be read. "
        f"It may still arrive; if you know better, {key_of('decide')} records it."
    )


DECISIONS: Final[dict[Outcome, str]] = {
    Outcome.DONE: "Done: the service applied the change",
    Outcome.NOT_DONE: "Not done: the service did not apply the change",
}
"""The outcomes that a person can record for an unknown change, with their words."""


def decision_question(entry: Entry) -> str:
    """Return the text above the question what became of an unknown change."""
    changes = ", ".join(entry.change_words())
    return f"{changes}. Your answer is recorded in the journal and cannot be changed."


def change_to_undo(entries: Sequence[Entry]) -> Entry | None:
    """Return the change to undo first, from a run's entries (newest first); None if there is none.

    Actions of the service are skipped. A change that is not known to be done blocks those before it. A completed undo
    is skipped too, so that the same key goes on to the change before.
    """
    for entry in entries:
        if entry.outcome is Outcome.NOT_DONE or entry.undone_by is not None or entry.action:
            continue
        if entry.outcome is not Outcome.DONE or entry.undoes is None:
            return entry
    return None


def nothing_to_undo(entries: Collection[Entry]) -> str:
    if any(entry.undone_by is not None for entry in entries):
        return f"All your changes to this run are undone; {key_of('journal')} shows them."
    return f"You have not changed this run; {key_of('journal')} shows your changes."


def export_written(path: Path, count: int) -> str:
    return f"{count_words(count, 'entry', 'entries')} written to {path}"


def read_only_toggled(why: str | None, saves: int) -> str:
    """Say that changes are refused (`why`) or allowed now, and that the `saves` in progress are still sent."""
    if why is None:
        return "Changes are allowed."
    left = f" {count_words(saves, 'change')} in progress will still be sent." if saves else ""
    return f"{why}{left}"


# The service's own actions

SHOWN_FAILURES: Final = 2
"""The most failing tasks of a preview in the status line; the Response tab has all."""


def action_refusal(workspace: Workspace, action: ServiceAction, received: Mapping[str, Any] | None = None) -> str:
    """Return why an action cannot be sent now, as a sentence; empty if it can. `received` is the run or workflow that
    it acts on, as received; None skips the check of its state.
    """
    if (why := why_read_only(workspace)) is not None:
        return why
    if workspace.saves.of_run(action.run_id) is not None:
        return "A change or an action is in progress here; wait for the response."
    return why_not_offered(workspace.root, action.name) or (why_not(action, received) if received is not None else "")


def lacks_permission(sign_in: SignIn | None, name: ActionName) -> str:
    """Warn that the token lacks the permission for an action; empty if it has it, or its permissions are unknown."""
    permissions = sign_in.state.permissions if sign_in is not None else None
    if permissions is None or not permissions.isdisjoint(PERMISSIONS[name]):
        return ""
    return f"The token lacks {PERMISSIONS[name][0]}; the service will probably refuse."


def action_in_doubt(workspace: Workspace, action: ServiceAction) -> str:
    """Warn that an earlier action or change is unknown and may still be carried out; empty if none is unknown."""
    entry = workspace.reconciler.unsettled.get(run_key(action.run_id))
    if entry is None:
        return ""
    twice = ", and this one would be the second" if entry.action == action.name else ""
    return f"#{entry.number} is unknown: it may have been carried out, or may still be{twice}."


def preview_result(answer: Answer) -> tuple[str, bool]:
    """Return the result of a preview as a sentence, and whether no task would fail."""
    if answer.fault is not None:
        return sentences(answer.fault.title, answer.fault.message), False
    tasks = (answer.entity or {}).get("value", [])
    if not tasks:
        return "Preview: the service expects no task to fail.", True
    said = "; ".join(f"{task.get('name')}: {task.get('failureReason')}" for task in tasks[:SHOWN_FAILURES])
    return f"Preview: {count_words(len(tasks), 'task')} would fail. {said}", False


def next_step(save: Save) -> str:
    """Return the next step after a save that is not known to be done; empty if there is none."""
    if save.conflicts and save.undoes is None:
        return f"{key_of('edit')} on the run resolves the conflict."
    if save.fault is None or save.stopped:
        return ""
    if save.fault.title == NOT_OFFERED.title:
        return action_instead(save.operation.changes())
    return save.fault.hint


def action_instead(changes: Sequence[Change]) -> str:
    """Name the action that does what a change wanted, for a service that offers no change of a run."""
    key = key_of("act")
    wanted = {change.field.name: change.after for change in changes}
    before = next((change.before for change in changes if change.field.name == STATUS), None)
    if wanted.get(STATUS) in CANCELED and value_word(before) in CANCELABLE:
        return f"{key} on the run cancels it."
    failures = wanted.get("failedUsersCount"), wanted.get("failedTasksCount")
    if wanted.get(STATUS) in ("queued", "inProgress") or 0 in failures:
        return f"{key} on the run processes it again."
    return f"{key} on the run shows what the service offers: cancel, reprocess and more."


# Changes to many runs


def bulk_summary(bulk: BulkDraft) -> str:
    if bulk.action is not None:
        return bulk.action.words
    changes = [(name, after) for name, _, after in bulk.changes()]
    names = ", ".join(name for name, _ in changes)
    if bulk.drafts[0].undoes is not None:
        return f"undo of {names}"
    return f"{names} → {changes[0][1]}" if len(changes) == 1 else names


def bulk_counts(outcomes: Mapping[Outcome | None, int]) -> str:
    """Return the progress of a bulk change: "31 of 40, 2 not done"."""
    total = sum(outcomes.values())
    ended = total - outcomes.get(None, 0)
    bad = counted({**outcomes, Outcome.DONE: 0})
    return ", ".join(filter(None, (f"{ended} of {total}" if ended < total else f"{total}", bad)))


def bulk_ended(outcomes: Mapping[Outcome | None, int], what: str, marked: int, *, is_in_sight: bool) -> str:
    """Say how an ended bulk change went, and how many of the runs that it left out are still `marked`."""
    total = sum(outcomes.values())
    hint = "" if is_in_sight else f" {key_of('bulk')} shows them."
    stay = f"left out {'stays' if marked == 1 else 'stay'} marked; {key_of('clear_marks')} clears marks"
    left = f" {count_words(marked, 'run')} {stay}." if marked else ""
    return f"{count_words(total, what)}: {counted(outcomes)}.{left}{hint}"


def bulk_held(save: Save, left: int, *, is_in_sight: bool) -> str:
    hint = f"{key_of('stop_bulk')} asks whether to continue." if is_in_sight else f"{key_of('bulk')} shows them."
    return f"{_bulk_refusal(save)} The other {count_words(left, 'run')} wait. {hint}"


def held_question(save: Save, left: int) -> str:
    """Return the text above the question whether a bulk change goes on after a refusal."""
    return f"{_bulk_refusal(save)} The other {count_words(left, 'run')} may be refused too."


def _bulk_refusal(save: Save) -> str:
    title = save.fault.title if save.fault is not None else "A change was refused"
    name = visible(save.intent.workflow_name) if save.intent is not None else ""
    return f"{title} ({f'{name}, ' if name else ''}run {short_id(save.run_id)})."


def result_object(row: ResultRow) -> dict[str, Any]:
    """Return one change of a bulk change as a JSON object, for a file."""
    save, sent = row.save, row.save.sent
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
