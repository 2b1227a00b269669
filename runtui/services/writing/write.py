"""One save from the fresh read to its recorded outcome: read, compare, record the intent, send, settle, record the end.

Invariant: nothing is sent that the journal does not hold, and what may have been applied is never sent again, not even
under an ETag: a service that gives ETags need not heed them. What proves an outcome is in `proof`. Rules: HTTP (RFC
9110, sections 9.2.2 and 13.1.1), Microsoft Graph's throttling guidance.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, ParamSpec, Protocol, TypeVar
from uuid import uuid4

from runtui.domain.draft import Conflict, Draft
from runtui.domain.report import KnownBy, Outcome, Report
from runtui.errors import RuntuiError
from runtui.graph.client import Answer, etag_of
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault, mismatch, perhaps_repeated, unconfirmed
from runtui.graph.retry import Pace, Retry, asked_wait, retry_of, wait_of
from runtui.services.journal import Intent, Journal
from runtui.services.journal_file import JournalError
from runtui.services.store import Store
from runtui.services.writing.proof import CAUSED_BY_A_COPY, NO_PROOF, UPDATED, Verdict, bears_out, shows_some, verdict

_logger: Final = logging.getLogger("runtui.write")

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Step(Enum):
    """Where a save stands; the words are what the row and the panel show."""

    WAITING = "waiting for the save before it"
    READING = "reading the run afresh"
    RECORDING = "writing the journal"
    SENDING = "sending"
    SETTLING = "finding out what became of it"
    PAUSED = "waiting until the service takes requests again"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Save:
    """One change on its way."""

    number: int
    draft: Draft
    body: str
    """The JSON text to send, as reviewed."""
    step: Step = Step.WAITING
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    """The PATCH once it was sent; the read before it when that is where the save ended."""
    fault: Fault | None = None
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    """Properties whose value, read after the write, is not the one that was sent."""
    known_by: KnownBy = ""
    """What proves that it is done: the answer, or the run as it was read afterwards; empty as long as nothing does."""
    row_is_stale: bool = False
    """Whether the list may still show the old values: the run could not be read back or not be stored."""
    undoes: int | None = None
    """The journal entry that this change undoes."""
    intent: Intent | None = None
    """What is in the journal for the request that was sent last."""
    entry: int | None = None
    """Its number there."""
    resumes_at: datetime | None = None
    """When a paused save goes on (UTC)."""
    asked_seconds: float | None = None
    """The seconds that the service asks for, where they are longer than the pause."""
    has_new_token: bool = False
    """Whether another token was had for it, because the first one was missing or refused."""
    stopped: bool = False
    """Whether it was stopped before it was sent, or sent again."""
    unrecorded: bool = False
    """Whether the outcome could not be written to the journal."""

    @property
    def run_id(self) -> str:
        """The run it writes to."""
        return self.draft.run_id

    @property
    def active(self) -> bool:
        """Whether it is still on its way."""
        return self.step is not Step.ENDED

    @property
    def may_be_stopped(self) -> bool:
        """Whether nothing of it can be on the wire."""
        return self.step in (Step.WAITING, Step.READING, Step.PAUSED)

    @property
    def outcome_if_stopped(self) -> Outcome:
        """What can be said of it if nothing more is heard."""
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
        """The request that carried the change; the read before it is none."""
        return self.exchange if self.exchange is not None and self.exchange.method != "GET" else None

    @property
    def report(self) -> Report:
        """How it ended, for people."""
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


class RunWriter(Protocol):
    """The part of the Graph client that a save needs. An answer holds an entity, a fault, or neither (no body)."""

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """Read one run, as often as the pace says; without one, once."""

    async def update_run(
        self,
        workflow_id: str,
        run_id: str,
        body: str,
        *,
        client_request_id: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """PATCH one run with exactly this body."""

    async def renew_token(self, exchange: Exchange) -> bool:
        """After a 401: whether there is another token to try with."""

    def write_target(self, workflow_id: str, run_id: str) -> tuple[str, str]:
        """The method and the address of `update_run`."""


@dataclass(frozen=True, slots=True)
class WriteContext:
    """Who writes, and where."""

    root: str
    tenant: str
    profile: str
    who: Callable[[], Awaitable[str]]
    """The account, as the token names it; empty when it does not."""


class WriteProtocol:
    """Carries saves out, one call each; `announce` is told of every step."""

    def __init__(
        self,
        client: RunWriter,
        store: Store,
        journal: Journal,
        context: WriteContext,
        announce: Callable[[Save], None],
    ) -> None:
        self._client = client
        self._store = store
        self._journal = journal
        self._context = context
        self._announce = announce

    async def run(self, save: Save) -> None:
        """From the fresh read to the recorded outcome; begins anew while nothing was applied and it makes sense."""
        attempt = 1
        while (again := await self._attempt(save, attempt)) is not None:
            save, attempt = again, attempt + 1

    async def _attempt(self, save: Save, attempt: int) -> Save | None:
        """Once from the fresh read on; the save to begin anew with, or None when it has ended."""
        save = self._at(save, Step.READING)
        fresh = await self._client.run(save.draft.workflow_id, save.run_id)
        if fresh.entity is None:
            again = await self._retry(save, fresh, attempt, Outcome.NOT_DONE)
            if again is None:
                self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, fault=fresh.fault)
            return again
        if lacking := save.draft.lacking(fresh.entity):
            self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, fault=_refusal(_lacks(lacking)))
            return None
        if conflicts := save.draft.conflicts(fresh.entity):
            is_stale = not await self._store_run(save, fresh.entity)
            self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, conflicts=conflicts, row_is_stale=is_stale)
            return None
        save, answer = await self._send(save, fresh)
        if answer is None:
            return None
        save, entity = await self._find_out(save, answer, fresh)
        outcome = save.outcome_if_stopped
        save = await self._settle(save, outcome)
        again = await self._retry(save, answer, attempt, outcome)
        if again is None:
            is_stale = entity is None or not await self._store_run(save, entity)
            self._end(save, outcome, row_is_stale=is_stale)
        return again

    async def _retry(self, save: Save, answer: Answer, attempt: int, outcome: Outcome) -> Save | None:
        """The save to begin again with, once what `retry_of` asks for is there; None when it is not sent again."""
        exchange = answer.exchange
        match retry_of(exchange, attempt, outcome=outcome, has_new_token=save.has_new_token, for_change=True):
            case Retry.WAIT:
                _logger.info("run %s: retry after try %d (%s)", save.run_id, attempt, exchange.status)
                return await self._wait(save, exchange, attempt)
            case Retry.NEW_TOKEN if await self._client.renew_token(exchange):
                return replace(save, has_new_token=True)
            case Retry.FRESH_READ:
                return save
        return None

    def break_off(self, save: Save) -> None:
        """End a save whose task was cancelled or failed, with no more than what is known."""
        outcome = save.outcome_if_stopped
        unrecorded = True
        try:
            if save.intent is not None:
                self._journal.settle(
                    save.intent.client_request_id,
                    outcome,
                    known_by_of(save),
                    exchange=save.exchange,
                    words=_words(save) or "runtui stopped waiting for it.",
                )
            unrecorded = False
        except JournalError:
            pass  # said by `unrecorded`
        finally:
            self._end(
                replace(save, unrecorded=unrecorded),
                outcome,
                row_is_stale=save.step is not Step.WAITING,
                stopped=save.may_be_stopped,
            )

    async def _send(self, save: Save, fresh: Answer) -> tuple[Save, Answer | None]:
        """Record the intent and send it once; no answer when it could not be recorded, which ends the save."""
        try:
            intent = await self._intent(save, fresh)
            save = self._at(replace(save, intent=intent, exchange=None, fault=None), Step.RECORDING)
            number = await _whatever_happens(self._journal.open, intent)
        except RuntuiError as error:
            self._end(save, Outcome.NOT_DONE, fault=_refusal(error))
            return save, None
        save = self._at(replace(save, entry=number), Step.SENDING)
        answer = await self._patch(intent, save.draft, fresh.exchange)
        fault = answer.fault
        if fault is not None and fault.outcome is Outcome.NOT_DONE and fault.status in CAUSED_BY_A_COPY:
            fault = perhaps_repeated(fault)
        is_shown = fault is None and answer.entity is not None and shows_some(intent, answer.entity)
        # The step follows at once, without an announcement: a break from here on knows what was answered.
        known_by: KnownBy = "answer" if is_shown else ""
        save = replace(save, exchange=answer.exchange, fault=fault, known_by=known_by, step=Step.SETTLING)
        self._announce(save)
        return save, answer

    async def _patch(self, intent: Intent, draft: Draft, read: Exchange) -> Answer:
        """Send the request once; `read` is the reading before it."""
        answer = await self._client.update_run(
            draft.workflow_id,
            draft.run_id,
            intent.body,
            client_request_id=intent.client_request_id,
            if_match=intent.if_match,
        )
        if answer.fault is None and read.echoes_id and not answer.exchange.echoes_id:
            # A gateway may hand over what was meant for somebody else; the run itself shows what is true.
            what = "It does not name this request, as the answer before it did."
            return replace(answer, entity=None, fault=mismatch(answer.exchange, what, writing=True))
        return answer

    async def _intent(self, save: Save, fresh: Answer) -> Intent:
        """What is about to be sent: the body as shown, but with the true value where a secret is hidden in one."""
        draft, context = save.draft, self._context
        current, received = fresh.entity or {}, fresh.received
        method, url = self._client.write_target(draft.workflow_id, draft.run_id)
        stored = self._store.get(draft.run_id)
        changes = draft.changes()
        before = (*(change.field.name for change in changes), UPDATED)
        return Intent(
            who=await context.who(),
            profile=context.profile,
            tenant=context.tenant,
            root=context.root,
            workflow_id=draft.workflow_id,
            workflow_name=stored.workflow_name if stored is not None else "",
            run_id=draft.run_id,
            method=method,
            url=url,
            body=draft.revealed(received).body_text(),
            before={name: current[name] for name in before if name in current},
            after={change.field.name: change.after for change in changes},
            client_request_id=str(uuid4()),
            if_match=etag_of(received),
            undoes=save.undoes,
        )

    async def _find_out(self, save: Save, answer: Answer, fresh: Answer) -> tuple[Save, Mapping[str, Any] | None]:
        """From the answer to an outcome, by the table in `proof`; and the run as it was read last, None if it was not.

        What is found out is announced before anything else is waited for: a break from here on knows it.
        """
        before, entity, settled = fresh.entity or {}, answer.entity, save
        if save.outcome_if_stopped is Outcome.NOT_DONE:
            return save, before
        reading: Answer | None = None
        if save.fault is not None or entity is None or not _properties(before) <= _properties(entity):
            reading = await self._read_back(save, fresh)
            entity = reading.entity if reading is not None else None
        if save.fault is not None:
            settled = await self._proved(save, answer, reading) if reading is not None else save
        elif save.intent is not None and entity is not None:
            is_shown = shows_some(save.intent, entity)
            settled = replace(save, known_by="answer" if is_shown else "", ignored=ignored_of(save.draft, entity))
        elif not save.known_by:
            settled = replace(save, fault=unconfirmed(answer.exchange))
        return settled if settled == save else self._at(settled, Step.SETTLING), entity

    async def _read_back(self, save: Save, fresh: Answer) -> Answer | None:
        """The run as it is now; None when it cannot be read, or when the answer does not name its request as the
        reading before the change did."""
        reading = await self._client.run(save.draft.workflow_id, save.run_id)
        is_ours = reading.exchange.echoes_id or not fresh.exchange.echoes_id
        return reading if reading.entity is not None and is_ours else None

    async def _proved(self, save: Save, answer: Answer, reading: Answer) -> Save:
        """The save after a reading that alone can tell what became of it."""
        intent, fault = save.intent, save.fault
        if intent is None or fault is None:
            return save
        if fault.status in CAUSED_BY_A_COPY and bears_out(intent, fault.status, reading):
            return replace(save, fault=answer.fault)
        found = await asyncio.to_thread(self._verdict, save.entry, reading)
        _logger.info("change #%s, read back: %s", save.entry, "done" if found.is_proof else found.why or "no proof")
        if found.is_proof:
            return replace(save, fault=None, known_by="read-back")
        return replace(save, fault=replace(fault, message=f"{fault.message} {found.why}".strip()))

    def _verdict(self, number: int | None, reading: Answer) -> Verdict:
        """What a reading proves of an entry of the journal; nothing without the journal."""
        try:
            entry = self._journal.entry(number) if number is not None else None
            return (
                NO_PROOF if entry is None else verdict(entry, reading, self._journal.of_run(entry.root, entry.run_id))
            )
        except JournalError:
            return NO_PROOF

    async def _wait(self, save: Save, exchange: Exchange, attempt: int) -> Save:
        """Wait as long as the service asks; the save can be stopped meanwhile."""
        now = datetime.now(UTC)
        seconds = wait_of(exchange, attempt, now)
        resumes_at = now + timedelta(seconds=seconds)
        asked = asked_wait(exchange, now) or 0.0
        too_long = asked if asked > seconds else None
        self._at(
            replace(save, resumes_at=resumes_at, asked_seconds=too_long, exchange=exchange),
            Step.PAUSED,
        )
        await asyncio.sleep(seconds)
        return replace(save, exchange=None, fault=None)

    async def _store_run(self, save: Save, entity: Mapping[str, Any]) -> bool:
        """Store the run as answered; whether that worked. A full disk must not hide what became of a write."""
        try:
            await asyncio.to_thread(self._store.put_run, save.draft.workflow_id, entity)
        except RuntuiError:
            return False
        return True

    async def _settle(self, save: Save, outcome: Outcome) -> Save:
        intent = save.intent
        if intent is None:
            return save
        known_by, words = known_by_of(save), _words(save)

        def settle() -> None:
            self._journal.settle(intent.client_request_id, outcome, known_by, exchange=save.exchange, words=words)

        try:
            await _whatever_happens(settle)
        except RuntuiError:
            return replace(save, unrecorded=True)
        return save

    def _at(self, save: Save, step: Step) -> Save:
        save = replace(save, step=step)
        self._announce(save)
        return save

    def _end(self, save: Save, outcome: Outcome, **facts: Any) -> None:
        ended = replace(save, step=Step.ENDED, outcome=outcome, resumes_at=None, **facts)
        conflicts = ", ".join(conflict.field.name for conflict in ended.conflicts)
        why = ended.fault.title if ended.fault is not None else conflicts or "no fault"
        _logger.info("change #%s of run %s: %s (%s)", ended.entry or "none", ended.run_id, outcome.value, why)
        self._announce(ended)


def ignored_of(draft: Draft, entity: Mapping[str, Any]) -> tuple[str, ...]:
    """The changed properties that the run, as read after the write, does not have as they were sent."""
    return tuple(
        change.field.name
        for change in draft.changes()
        if not change.field.same(change.after, entity.get(change.field.name))
    )


def known_by_of(save: Save) -> KnownBy:
    """How the outcome of a save is known, as far as it has come."""
    if save.step is not Step.SETTLING or save.outcome_if_stopped is Outcome.UNKNOWN:
        return ""
    return save.known_by or "answer"


def _words(save: Save) -> str:
    """What went wrong, for the journal; empty when nothing did."""
    return f"{save.fault.title}. {save.fault.message}" if save.fault is not None else ""


def _properties(entity: Mapping[str, Any]) -> set[str]:
    """The names of an entity's properties, without annotations such as @odata.context."""
    return {name for name in entity if "@" not in name}


def _lacks(names: Sequence[str]) -> RuntuiError:
    """Why nothing is sent when the fresh read lacks what the change is about."""
    what = f"The answer lacks {', '.join(names)}, so nobody can tell whether somebody changed it. Nothing was sent."
    return RuntuiError("The run was read only in part", what, "Try again; a service may leave properties out.")


def _refusal(error: RuntuiError) -> Fault:
    """An error of our own as the fault of a request that was not sent."""
    return Fault(error.title, error.message, error.hint, Outcome.NOT_DONE, None, "", (), "", "")


async def _whatever_happens(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run `call` in a thread. However often it is cancelled, it ends first: what it wrote has to be known."""
    task = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # it was seen: nobody else will ask for it
        raise cancelled
    return task.result()
