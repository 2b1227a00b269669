"""A change in words and as data: what would be sent, and what became of it.

Invariant: pure; every text is raw, whoever prints it makes it visible. Unknown is never told as success or failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runtui.domain.draft import MISSING, Change, Draft, value_word
from runtui.errors import ExitCode
from runtui.graph.exchange import Exchange, Outcome
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
    sent = sent_exchange(save)
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


def sent_exchange(save: Save | None) -> Exchange | None:
    """The request that carried the change; the read before it is none."""
    exchange = save.exchange if save is not None else None
    return exchange if exchange is not None and exchange.method != "GET" else None


def message_of(save: Save) -> str:
    """How an ended save ended, and the next step, in sentences."""
    return " ".join(_sentences(save))


def _sentences(save: Save) -> Iterator[str]:
    fault = save.fault
    if save.outcome is Outcome.DONE:
        yield "Seen when the run was read back." if save.seen_on_read_back else "The service accepted the change."
    elif save.conflicts:
        yield f"Nothing was {'sent' if save.entry is None else 'changed'}, because the run changed meanwhile:"
        yield (
            "; ".join(
                f"{conflict.field.name} was {value_word(conflict.opened)} and is {value_word(conflict.now)}"
                for conflict in save.conflicts
            )
            + "."
        )
    elif fault is not None:
        yield f"It was given up: {fault.title}." if save.stopped else f"{fault.title}."
        yield from (text for text in (fault.message, *_details(fault.details), fault.hint) if text)
    elif save.outcome is Outcome.NOT_DONE:
        yield "It was given up before it was sent." if save.entry is None else "It was given up; nothing was applied."
    elif save.ignored:
        yield "The service answered with success, but the run does not show the change. It may yet."
    else:
        yield "runtui stopped waiting after it was sent: it may have been carried out or not."
    if save.ignored and save.outcome is Outcome.DONE:
        yield f"The service kept its own value of {', '.join(save.ignored)}."
    if save.unrecorded:
        yield "The outcome could not be written to the journal."
    if save.outcome is Outcome.UNKNOWN and not save.unrecorded:
        yield f"runtui journal {save.entry} tells what is known."


def _details(details: Sequence[tuple[str, str]]) -> Iterator[str]:
    return (f"{target}: {message}" if target else message for target, message in details)


def _intended_id(save: Save | None) -> str | None:
    """What a request was sent under that brought no answer."""
    recorded = save is not None and save.entry is not None and save.intent is not None
    return save.intent.client_request_id if recorded and save is not None and save.intent is not None else None
