"""A change on the command line, in words and as data: what would be sent, and how it ended by `domain.report`.

Invariant: pure; every text is raw, whoever prints it makes it visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runtui.domain.draft import MISSING, Change, Draft, value_word
from runtui.domain.report import Outcome, sentences
from runtui.errors import ExitCode
from runtui.services.write import Save

EXIT_CODES: Final[Mapping[Outcome, ExitCode]] = {
    Outcome.DONE: ExitCode.DONE,
    Outcome.NOT_DONE: ExitCode.NOT_DONE,
    Outcome.UNKNOWN: ExitCode.UNKNOWN,
}


def review(draft: Draft, facts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The lines of the last look before a write.

    Args:
        draft: The change.
        facts: Where it would go: names and values.
    """
    for name, value in facts:
        yield f"{name:9} {value}"
    width = max((len(change.field.name) for change in draft.changes()), default=0)
    for change in draft.changes():
        yield f"  {change.field.name:{width}}  {value_word(change.before)} → {value_word(change.after)}"
    if extra := len(draft.body()) - 1 - len(draft.changes()):
        yield f"Also sends {extra} unchanged required {'property' if extra == 1 else 'properties'}."
    yield from (f"! {sentence}" for sentence in draft.warnings())


def changed(changes: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """By property, its value before and after; one that was not received has no `before`."""
    return {
        change.field.name: ({} if change.before is MISSING else {"before": change.before}) | {"after": change.after}
        for change in changes
    }


def result(draft: Draft, outcome: Outcome, message: str, save: Save | None = None) -> dict[str, Any]:
    """What became of a change, as one JSON object; `save` is None when nothing was begun."""
    sent = save.sent if save is not None else None
    return {
        "outcome": outcome.value,
        "entry": save.entry if save is not None else None,
        "runId": draft.run_id,
        "workflowId": draft.workflow_id,
        "changed": changed(draft.changes()),
        "status": sent.status if sent is not None else None,
        "requestId": (sent.request_id or None) if sent is not None else None,
        "clientRequestId": sent.client_request_id if sent is not None else _intended_id(save),
        "message": message,
    }


def message_of(save: Save) -> str:
    """Why an ended save ended so, and the next step, in sentences."""
    told, fault = save.report, save.fault
    hint = fault.hint if fault is not None and not save.stopped else ""
    if save.outcome is Outcome.UNKNOWN:
        hint = f"{hint} runtui journal {save.entry} shows what is known: read the run before you repeat the change."
    return sentences(*told.reasons(), told.message, *told.detail_sentences(), hint.strip())


def _intended_id(save: Save | None) -> str | None:
    """What a request was sent under that brought no answer."""
    recorded = save is not None and save.entry is not None and save.intent is not None
    return save.intent.client_request_id if recorded and save is not None and save.intent is not None else None
