"""The protocol of one write, without I/O: read, compare, record the intent, send, settle, record the end.

`write` yields each `Effect` to carry out, with the current save, and is sent the reply; a RuntuiError is thrown into
it. `bulk.Bulk` drives it, for one change or for many side by side.

The steps of a save; the lower way leads to another try, after nothing was applied, also from a failed reading:

    waiting -> reading -> recording -> sending -> settling -> ended
                  ^                                  |
                  +------ paused, signing in <-------+

Invariant: nothing is sent that is not in the journal. A change that may have been applied is never sent again, not even
with an ETag, because a service that sends ETags need not honour them. `proof` has the rules for an outcome. A save
never claims more than is known: without an answer it is unknown once it was sent, and not done before.

Rules: HTTP (RFC 9110, sections 9.2.2 and 13.1.1), Microsoft Graph's throttling guidance.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from runtui.domain.draft import Change, Conflict, Draft
from runtui.domain.report import KnownBy, Outcome, Report
from runtui.domain.triage.service_actions import Operation, ServiceAction, evidence, expected, why_not
from runtui.errors import RuntuiError
from runtui.graph.client import Answer, etag_of
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault, mismatch, perhaps_repeated, refused_action, unconfirmed
from runtui.graph.retry import Retry, Wait, retry_of, wait_of
from runtui.services.records.journal import Entry, Intent, Settlement
from runtui.services.writing.proof import (
    CAUSED_BY_A_COPY,
    NO_PROOF,
    UPDATED,
    confirms,
    has_new_value,
    new_run,
    verdict,
    with_reading,
)

_logger: Final = logging.getLogger("runtui.write")

Reply = TypeVar("Reply")


class OutdatedError(Exception):
    """What a write has read may be out of date, because it waited, or because another runtui wrote the run: it reads
    again. It may be thrown into a write before its request."""


class Step(Enum):
    """The step of a save; the words appear in the row and in the panel."""

    WAITING = "waiting for an earlier change"
    READING = "reading the latest values"
    RECORDING = "writing the journal"
    SENDING = "sending"
    SETTLING = "checking the outcome"
    SIGNING_IN = "getting another token"
    PAUSED = "waiting until the service takes requests again"
    ENDED = "ended"


class Save(NamedTuple):
    """One change in progress."""

    number: int
    operation: Operation
    step: Step = Step.WAITING
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    """The PATCH or POST once it was sent; the read before it if the save ended there."""
    fault: Fault | None = None
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    """Properties whose value after the write is not the one that was sent."""
    known_by: KnownBy = ""
    """What proves that it is done: the answer, or the run as read afterwards; empty without a proof."""
    row_is_stale: bool = False
    """True if the list may still show the old values: the run could not be read back or not be stored."""
    new_run: str = ""
    """The id of the run that an action has made, once it is known."""
    batch: str = ""
    """The bulk change that it belongs to; empty for a single change."""
    why: str = ""
    """The reason as typed; empty if there is none."""
    fresh: Answer | None = None
    """The answer with the run that the draft is based on, if it is fresh enough to send the change; None: read it
    first."""
    intent: Intent | None = None
    """The intent in the journal for the last request."""
    entry: int | None = None
    """The number of its journal entry."""
    wait: Wait | None = None
    """The wait of a paused save."""
    has_new_token: bool = False
    """True if it already got another token, because the first one was missing or refused."""
    stopped: bool = False
    """True if it was stopped before it was sent, or sent again."""
    unrecorded: str = ""
    """Why the outcome could not be written to the journal, in sentences; empty if it could."""

    @property
    def run_id(self) -> str:
        """The id of the run that it writes; the workflow's id for an action on a workflow."""
        return self.operation.run_id

    @property
    def undoes(self) -> int | None:
        """The number of the journal entry that this change undoes."""
        return self.operation.undoes

    @property
    def action(self) -> ServiceAction | None:
        return self.operation if isinstance(self.operation, ServiceAction) else None

    def changes(self) -> list[Change]:
        """Return the changed properties, with the old values as they were read just before the request."""
        read, changes = self.intent.before if self.intent is not None else {}, self.operation.changes()
        return [change._replace(before=read.get(change.field.name, change.before)) for change in changes]

    @property
    def active(self) -> bool:
        return self.step is not Step.ENDED

    @property
    def may_be_stopped(self) -> bool:
        """True if nothing of it can be on its way."""
        return self.step in (Step.WAITING, Step.READING, Step.SIGNING_IN, Step.PAUSED)

    @property
    def refused(self) -> int | None:
        """The number of the journal entry of the last try, while another try is due; None if none is."""
        return self.entry if self.active and self.step not in (Step.SENDING, Step.SETTLING) else None

    @property
    def outcome_so_far(self) -> Outcome:
        """The outcome if nothing more is heard."""
        if self.outcome is not None:
            return self.outcome
        if self.step is Step.SENDING:
            return Outcome.UNKNOWN
        if self.step is not Step.SETTLING:
            return Outcome.NOT_DONE
        if self.fault is not None:
            return self.fault.outcome
        return Outcome.DONE if self.known_by else Outcome.UNKNOWN

    @property
    def sent(self) -> Exchange | None:
        """The request that carried the change; the read before it does not count."""
        return self.exchange if self.exchange is not None and self.exchange.method != "GET" else None

    @property
    def report(self) -> Report:
        fault = self.fault if not self.stopped else None
        return Report(
            number=self.entry,
            outcome=self.outcome,
            known_by=self.known_by,
            answer=self.sent.answer if self.sent is not None else "",
            undoes=self.undoes,
            title=fault.title if fault is not None else "",
            message=fault.message if fault is not None else "",
            details=fault.details if fault is not None else (),
            conflicts=self.conflicts,
            ignored=self.ignored,
            stopped=self.stopped,
            unrecorded=self.unrecorded,
        )


@dataclass(eq=False, repr=False, slots=True)
class Effect(Generic[Reply]):
    """Something to carry out; `yield from` it returns the reply."""

    save: Save
    """The save meanwhile: everything that is known if the write breaks off here."""

    def __iter__(self) -> Generator[Effect[Any], Reply, Reply]:
        reply: Reply = yield self
        return reply


class Sender(NamedTuple):
    """The facts in an intent about its sender and target."""

    who: str
    profile: str
    tenant: str
    root: str
    workflow_name: str
    method: str
    url: str
    client_request_id: str


class Recorded(NamedTuple):
    """A change as the journal has it, and the other changes of its run."""

    entry: Entry
    others: Sequence[Entry]


class Read(Effect[Answer]):
    """Read the run of the save, or the object of its action, once, over a connection of its own."""


class Identify(Effect[Sender]):
    """Return who sends the change, and a request id for it."""


@dataclass(eq=False, repr=False, slots=True)
class Record(Effect[int | None]):
    """Write the intent into the journal durably. The reply is its number; None if another runtui may have written the
    run since it was read."""

    intent: Intent
    read_at: datetime
    """When the run was read (UTC)."""


@dataclass(eq=False, repr=False, slots=True)
class Send(Effect[Answer | None]):
    """Send the intent once, over a connection of its own; the reply is None if a person stopped it before."""

    intent: Intent
    read_at: datetime


class Recall(Effect[Recorded | None]):
    """Look up the change of the save in the journal; the reply is None if it cannot be read."""


@dataclass(eq=False, repr=False, slots=True)
class Settle(Effect[None]):
    """Write the outcome into the journal."""

    settlement: Settlement


@dataclass(eq=False, repr=False, slots=True)
class UpdateStore(Effect[bool]):
    """Store the run from the answer; the reply is whether that worked."""

    entity: Mapping[str, Any]


@dataclass(eq=False, repr=False, slots=True)
class RenewToken(Effect[bool]):
    """Get another token than that of an exchange; the reply is whether there is one."""

    exchange: Exchange


@dataclass(eq=False, repr=False, slots=True)
class Pause(Effect[None]):
    """Wait for some seconds; no request is in progress meanwhile, and the save can be stopped."""

    seconds: float


Writing: TypeAlias = Generator[Effect[Any], Any, Save]
"""A write in progress; it returns the save at its end."""


def write(save: Save) -> Writing:
    """Write from the fresh read to the recorded outcome; again while nothing was applied and a retry makes sense."""
    for attempt in count(1):
        try:
            save = yield from _attempt(save, attempt)
        except OutdatedError:
            save = save._replace(fresh=None)
        if not save.active:
            break
    return save


def _attempt(save: Save, attempt: int) -> Writing:
    """Make one attempt from the fresh read on; return the save at its end, or the save to start again with."""
    save, fresh = save._replace(fresh=None), save.fresh
    if fresh is None:
        save = save._replace(step=Step.READING)
        fresh = yield from Read(save)
    if fresh.entity is None:
        again = yield from _again(save, fresh, attempt)
        return again or ended(save, exchange=fresh.exchange, fault=fresh.fault)
    if isinstance(save.operation, Draft) and (lacking := save.operation.missing_from(fresh.entity)):
        return ended(save, exchange=fresh.exchange, fault=_refusal(_lacks(lacking)))
    if (refused := _refused(save, fresh.entity)) is not None:
        is_stored = yield from UpdateStore(save, fresh.entity)
        return ended(refused, exchange=fresh.exchange, row_is_stale=not is_stored)
    try:
        intent = _intent(save, fresh, (yield from Identify(save)))
        save = save._replace(intent=intent, exchange=None, fault=None, step=Step.RECORDING)
        number = yield from Record(save, intent, fresh.exchange.started_at)
    except RuntuiError as error:
        return ended(save, fault=_refusal(error))
    if number is None:
        raise OutdatedError
    return (yield from _sent(save._replace(entry=number, step=Step.SENDING), intent, fresh, attempt))


def _sent(save: Save, intent: Intent, fresh: Answer, attempt: int) -> Writing:
    """Send what is recorded, and record the outcome; return as `_attempt` does."""
    try:
        answer = yield from Send(save, intent, fresh.exchange.started_at)
    except OutdatedError:
        words, save = "It was not sent: the change waited, so the run is read again.", save._replace(step=Step.WAITING)
        yield from _settled(save, settlement_of(save, intent, words))
        raise
    if answer is None:
        save = save._replace(step=Step.WAITING, stopped=True)
        save = yield from _settled(save, settlement_of(save, intent, "It was stopped before it was sent."))
        return ended(save)
    answer = _checked(answer, fresh.exchange)
    save, entity = yield from _find_out(_answered(save, intent, answer), intent, answer, fresh)
    save = yield from _settled(save, settlement_of(save, intent))
    if again := (yield from _again(save, answer, attempt)):
        return again
    is_stored = entity is not None and (yield from UpdateStore(save, entity))
    return ended(save, row_is_stale=not is_stored)


def _settled(save: Save, settlement: Settlement) -> Writing:
    """Record an outcome; return the save, which says so if that failed."""
    try:
        yield from Settle(save, settlement)
    except RuntuiError as error:
        return save._replace(unrecorded=f"{error.message} {error.hint}")
    return save


def _refused(save: Save, fresh: Mapping[str, Any]) -> Save | None:
    """Return the save with the reason why nothing is sent after the fresh read; None if there is none."""
    if isinstance(save.operation, Draft):
        conflicts = save.operation.conflicts(fresh)
        return save._replace(conflicts=conflicts) if conflicts else None
    if not (why := why_not(save.operation, fresh)):
        return None
    return save._replace(fault=_refusal(RuntuiError("The action cannot help", f"{why} Nothing was sent.")))


def _again(save: Save, answer: Answer, attempt: int) -> Generator[Effect[Any], Any, Save | None]:
    """Return the save to start again with, once the needs of `retry_of` are met; None if it is not sent again."""
    exchange, again = answer.exchange, save._replace(exchange=None, fault=None)
    outcome, has_new_token = save.outcome_so_far, save.has_new_token
    match retry_of(exchange, attempt, outcome=outcome, has_new_token=has_new_token, for_change=True):
        case Retry.WAIT:
            _logger.info("run %s: retry after try %d (%s)", save.run_id, attempt, exchange.status)
            wait = wait_of(exchange, attempt)
            yield from Pause(save._replace(wait=wait, exchange=exchange, step=Step.PAUSED), wait.seconds)
            return again
        case Retry.NEW_TOKEN if (yield from RenewToken(save._replace(step=Step.SIGNING_IN), exchange)):
            return again._replace(has_new_token=True)
        case Retry.FRESH_READ:
            return again
    return None


def _intent(save: Save, fresh: Answer, sender: Sender) -> Intent:
    """Return the intent: the body as shown, but with the true value wherever it masks a secret."""
    operation, current, received = save.operation, fresh.entity or {}, fresh.received
    changes = operation.changes()
    if isinstance(operation, Draft):
        before = {
            name: current[name] for name in (*(change.field.name for change in changes), UPDATED) if name in current
        }
        after: Mapping[str, Any] = {change.field.name: change.after for change in changes}
        operation = operation.revealed(received)
    else:
        before, after = evidence(operation, current), expected(operation)
    return Intent(
        **sender._asdict(),
        workflow_id=operation.workflow_id,
        run_id=operation.run_id,
        body=operation.body_text(),
        before=before,
        after=after,
        if_match=etag_of(received) if isinstance(operation, Draft) else None,
        undoes=save.undoes,
        batch=save.batch,
        why=save.why,
    )


def _checked(answer: Answer, read: Exchange) -> Answer:
    """Return the answer to a PATCH, unless it belongs to another request; `read` is the read before it."""
    if answer.fault is None and read.echoes_id and not answer.exchange.echoes_id:
        # A gateway may deliver somebody else's answer; the run itself shows the truth.
        what = "It does not name this request, as the answer before it did."
        return answer._replace(entity=None, fault=mismatch(answer.exchange, what, writing=True))
    return answer


def _answered(save: Save, intent: Intent, answer: Answer) -> Save:
    """Return the save after its request was answered: from here on an interruption knows the answer."""
    fault = answer.fault
    if fault is not None and save.action is not None:
        fault = refused_action(fault, save.action)
    if fault is not None and fault.outcome is Outcome.NOT_DONE and fault.status in CAUSED_BY_A_COPY:
        fault = perhaps_repeated(fault)
    is_shown = answer.entity is not None and has_new_value(intent, answer.entity)
    is_proved = fault is None and (is_shown or save.action is not None)
    known_by: KnownBy = "answer" if is_proved else ""
    return save._replace(exchange=answer.exchange, fault=fault, known_by=known_by, step=Step.SETTLING)


def _find_out(
    save: Save, intent: Intent, answer: Answer, fresh: Answer
) -> Generator[Effect[Any], Any, tuple[Save, Mapping[str, Any] | None]]:
    """Turn an answer into an outcome, by the table in `proof`; return the run, or the object of an action, as last read
    too, None if it was not read."""
    before, entity = fresh.entity or {}, answer.entity
    if save.outcome_so_far is Outcome.NOT_DONE:
        return save, before
    reading: Answer | None = None
    is_whole = entity is not None and _properties(before) <= _properties(entity)
    # The object of an action is read in any case, because it has changed.
    if save.action is not None or not save.known_by or not is_whole:
        reading = yield from _read_back(save, fresh)
        entity = reading.entity if reading is not None else None
    if save.fault is not None:
        save = save if reading is None else (yield from _proved(save, save.fault, intent, answer, reading))
    elif entity is None:
        save = save if save.known_by else save._replace(fault=unconfirmed(answer.exchange))
    elif save.action is None:
        known_by: KnownBy = "answer" if has_new_value(intent, entity) else ""
        save = save._replace(known_by=known_by, ignored=ignored_of(save.operation, entity))
    # A run on demand does not name its starter: a run that only an answer names could be a colleague's.
    is_certain = save.fault is None and (intent.action != "activate" or save.known_by == "read-back")
    made = new_run(intent, entity) if is_certain and entity is not None else ""
    return save._replace(new_run=made), entity


def _read_back(save: Save, fresh: Answer) -> Generator[Effect[Any], Any, Answer | None]:
    """Read the run after the change; return None if it cannot be read, or if the answer does not name its request
    although the read before the change did."""
    reading = yield from Read(save)
    is_ours = reading.exchange.echoes_id or not fresh.exchange.echoes_id
    return reading if reading.entity is not None and is_ours else None


def _proved(save: Save, fault: Fault, intent: Intent, answer: Answer, reading: Answer) -> Writing:
    """Return the save after a reading that alone can settle the outcome."""
    if fault.status in CAUSED_BY_A_COPY and confirms(intent, fault.status, reading):
        return save._replace(fault=answer.fault)
    recorded = yield from Recall(save)
    found = NO_PROOF if recorded is None else verdict(recorded.entry, reading, recorded.others)
    _logger.info("change #%s, read back: %s", save.entry, "done" if found.is_proof else found.why or "no proof")
    if found.is_proof:
        return save._replace(fault=None, known_by="read-back")
    return save._replace(fault=fault._replace(message=with_reading(fault.message, found.why)))


def ended(save: Save, **facts: Any) -> Save:
    """Return the save at its end, with the outcome as far as it is known."""
    return save._replace(step=Step.ENDED, outcome=save.outcome_so_far, wait=None, **facts)


def ignored_of(operation: Operation, entity: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the changed properties that do not have the sent values in the run as read after the write."""
    return tuple(
        change.field.name
        for change in operation.changes()
        if not change.field.same(change.after, entity.get(change.field.name))
    )


def settlement_of(save: Save, intent: Intent, otherwise: str = "") -> Settlement:
    """Return the outcome for the journal if nothing more is heard; `otherwise` are its words if nothing went wrong."""
    outcome = save.outcome_so_far
    is_known = save.step is Step.SETTLING and outcome is not Outcome.UNKNOWN
    known_by: KnownBy = (save.known_by or "answer") if is_known else ""
    words = _words_of(save) or otherwise
    return Settlement(intent.client_request_id, outcome, known_by, save.exchange, words, save.new_run)


def _words_of(save: Save) -> str:
    """Return what went wrong or was ignored, for the journal; empty if nothing was."""
    if save.fault is not None:
        return save.fault.summary
    if not save.ignored:
        return ""
    return " ".join(save._replace(outcome=save.outcome_so_far).report.reasons())


def _properties(entity: Mapping[str, Any]) -> set[str]:
    """Return the names of an entity's properties, without annotations such as @odata.context."""
    return {name for name in entity if "@" not in name}


def _lacks(names: Sequence[str]) -> RuntuiError:
    """Return why nothing is sent if the fresh read lacks a property of the change."""
    what = f"The answer lacks {', '.join(names)}, so a change by somebody else would go unnoticed. Nothing was sent."
    return RuntuiError("The run was read only in part", what, "Try again; a service may leave properties out.")


def _refusal(error: RuntuiError) -> Fault:
    """Turn an error of our own into the fault of a request that was not sent."""
    return Fault(error.title, error.message, error.hint, Outcome.NOT_DONE)
