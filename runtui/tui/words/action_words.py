"""What the screen says of the service's own actions: pure words from values.

Invariant: keys are named from the action registry. What an action needs is said beside it, before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from runtui.auth.clouds import why_not_offered
from runtui.domain.draft import Change
from runtui.domain.report import Outcome, sentences
from runtui.domain.rows import short_id
from runtui.domain.text import count_words
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
from runtui.graph.root import run_key
from runtui.keys.actions import key_of
from runtui.services.workspace import Workspace
from runtui.services.writing.save import Save
from runtui.tui.words import entry_words

if TYPE_CHECKING:
    from runtui.auth.signin import SignIn

TOLD_FAILURES: Final = 2
"""Tasks that would fail and are told in the status line; the Response tab tells all."""


def refusal(workspace: Workspace, action: ServiceAction, received: Mapping[str, Any] | None = None) -> str:
    """Why an action cannot be sent now, as a sentence; empty when it can. What it is about, as received, is asked where
    it is given.
    """
    if (why := entry_words.why_read_only(workspace)) is not None:
        return why
    if workspace.saves.of_run(action.run_id) is not None:
        return "A change or an action is in progress here; wait for the response."
    return why_not_offered(workspace.root, action.name) or (why_not(action, received) if received is not None else "")


def lacks(sign_in: SignIn | None, name: ActionName) -> str:
    """A warning that the token has no permission for an action; empty when it has or does not tell."""
    permissions = sign_in.state.permissions if sign_in is not None else None
    if permissions is None or not permissions.isdisjoint(PERMISSIONS[name]):
        return ""
    return f"The token lacks {PERMISSIONS[name][0]}; the service will probably refuse."


def in_doubt(workspace: Workspace, action: ServiceAction) -> str:
    """A warning that an earlier action or change may still be carried out; empty where none is unknown."""
    entry = workspace.reconciler.unsettled.get(run_key(action.run_id))
    if entry is None:
        return ""
    twice = ", and this one would be the second" if entry.action == action.name else ""
    return f"#{entry.number} is unknown: it may have been carried out, or still be{twice}."


def previewed(answer: Answer) -> tuple[str, bool]:
    """What the service says of a workflow's tasks, and whether that is good."""
    if answer.fault is not None:
        return sentences(answer.fault.title, answer.fault.message), False
    found = answer.entity.get("value") if answer.entity is not None else None
    tasks = [task for task in found if isinstance(task, dict)] if isinstance(found, list) else []
    if not tasks:
        return "Preview: the service expects no task to fail.", True
    said = "; ".join(f"{task.get('name')}: {task.get('failureReason')}" for task in tasks[:TOLD_FAILURES])
    return f"Preview: {count_words(len(tasks), 'task')} would fail. {said}", False


def ended(save: Save) -> str:
    """How an action ended, for the status line: what was asked for, or why not and what comes next."""
    told, hint = save.report, save.fault.hint if save.fault is not None and not save.stopped else ""
    what = save.action.words if save.action is not None else ""
    if save.outcome is Outcome.DONE:
        made = f"New run {short_id(save.new_run)} is followed; {key_of('new_run')} goes there" if save.new_run else ""
        return sentences(f"{told.heading}: {what}", *told.reasons(), made)
    if save.outcome is Outcome.UNKNOWN:
        again = f"It is not sent again: runtui looks at what the service shows; {key_of('journal')} shows the journal."
        return sentences(f"{told.heading}: {what}", *told.reasons(), again, told.message)
    return sentences(f"{told.heading}: {what}", *told.reasons(), told.message, hint)


def instead(changes: Sequence[Change]) -> str:
    """Which action does what a person wanted, where the service takes no change of a run."""
    key = key_of("act")
    wanted = {change.field.name: change.after for change in changes}
    before = next((change.before for change in changes if change.field.name == STATUS), None)
    if wanted.get(STATUS) in CANCELED and before in CANCELABLE:
        return f"{key} on the run cancels it."
    failures = wanted.get("failedUsersCount"), wanted.get("failedTasksCount")
    if wanted.get(STATUS) in ("queued", "inProgress") or 0 in failures:
        return f"{key} on the run processes it again."
    return f"{key} on the run shows what the service offers: cancel, reprocess and more."
