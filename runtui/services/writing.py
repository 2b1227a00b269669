"""One save from the fresh read to its recorded outcome: read, compare, record the intent, send, settle, record the end.

Invariant: nothing is sent that the journal does not hold. A write that may have been applied is never repeated, but for
one under an ETag: with the same If-Match at most one of its copies applies. Rules: HTTP (RFC 9110, sections 9.2.2 and
13.1.1), Microsoft Graph's throttling guidance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar
from uuid import uuid4

from runtui.domain.draft import Draft
from runtui.errors import RuntuiError
from runtui.graph.client import Answer, etag_of
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import Fault, mismatch
from runtui.graph.retry import asked_wait, may_retry, wait_of
from runtui.services.journal import Intent, Journal, KnownBy
from runtui.services.journal_file import JournalError
from runtui.services.proof import proves
from runtui.services.save import Origin, RunWriter, Save, Step
from runtui.services.store import Store

MOST_ATTEMPTS: Final = 5
"""Times that a save begins anew after the service proved that it applied nothing: throttled, or a stale ETag."""

MOST_SENDS: Final = 3
"""Times that one request goes out under one ETag."""

P = ParamSpec("P")
T = TypeVar("T")


class Writing:
    """Carries saves out, one call each; `announce` is told of every step."""

    def __init__(
        self,
        client: RunWriter,
        store: Store,
        journal: Journal,
        origin: Origin,
        announce: Callable[[Save], None],
    ) -> None:
        self._client = client
        self._store = store
        self._journal = journal
        self._origin = origin
        self._announce = announce

    async def carry_out(self, save: Save) -> None:
        """From the fresh read to the recorded outcome; begins anew while nothing was applied and it makes sense."""
        for attempt in range(1, MOST_ATTEMPTS + 1):
            again = await self._attempt(save, attempt)
            if again is None:
                return
            save = again

    async def _attempt(self, save: Save, attempt: int) -> Save | None:
        """Once from the fresh read on; the save to begin anew with, or None when it has ended."""
        save = self._at(save, Step.READING)
        fresh = await self._client.run(save.draft.workflow_id, save.run_id)
        if fresh.entity is None:
            again = await self._again(save, fresh, attempt)
            if again is None:
                self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, fault=fresh.fault)
            return again
        if conflicts := save.draft.conflicts(fresh.entity):
            is_stale = not await self._keep(save, fresh.entity)
            self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, conflicts=conflicts, row_is_stale=is_stale)
            return None
        save, answer = await self._send(save, fresh)
        if answer is None:
            return None
        if save.outcome_if_stopped is not Outcome.NOT_DONE:
            await self._settle(save, answer, fresh)
            return None
        save = await self._record(save, Outcome.NOT_DONE, "answer")
        again = await self._again(save, answer, attempt)
        if again is None:
            is_stale = not await self._keep(save, fresh.entity)
            self._end(save, Outcome.NOT_DONE, row_is_stale=is_stale)
        return again

    async def _again(self, save: Save, answer: Answer, attempt: int) -> Save | None:
        """The save to begin anew with after a request that applied nothing; None when that would be of no use."""
        exchange = answer.exchange
        if attempt == MOST_ATTEMPTS:
            return None
        if may_retry(exchange, attempt):
            return await self._pause(save, exchange, attempt)
        if exchange.lacks_token and not save.has_new_token and await self._client.renew_token(exchange):
            return replace(save, has_new_token=True)
        is_stale = exchange.status == 412 and save.intent is not None and save.intent.if_match is not None
        return save if is_stale else None

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
                    words="runtui stopped waiting for it.",
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
            save = self._at(replace(save, intent=intent), Step.RECORDING)
            number = await _whatever_happens(self._journal.open, intent)
        except RuntuiError as error:
            self._end(save, Outcome.NOT_DONE, fault=_refusal(error))
            return save, None
        save = self._at(replace(save, entry=number), Step.SENDING)
        answer = await self._patch(intent, save.draft, fresh.exchange)
        # The step follows at once, without an announcement: a break from here on knows what was answered.
        save = replace(save, exchange=answer.exchange, fault=answer.fault, step=Step.SETTLING)
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
            # A kept connection may hand over what was meant for somebody else; the run itself shows what is true.
            what = "It does not name this request, as the answer before it did."
            return replace(answer, entity=None, fault=mismatch(answer.exchange, what, writing=True))
        return answer

    async def _intent(self, save: Save, fresh: Answer) -> Intent:
        """What is about to be sent: the body as shown, but with the true value where a secret is hidden in one."""
        draft, origin = save.draft, self._origin
        held, received = fresh.entity or {}, fresh.received
        method, url = self._client.write_target(draft.workflow_id, draft.run_id)
        stored = self._store.get(draft.run_id)
        changes = draft.changes()
        return Intent(
            who=await origin.who(),
            profile=origin.profile,
            tenant=origin.tenant,
            root=origin.root,
            workflow_id=draft.workflow_id,
            workflow_name=stored.workflow_name if stored is not None else "",
            run_id=draft.run_id,
            method=method,
            url=url,
            body=draft.revealed(received).body_text(),
            before={change.field.name: held[change.field.name] for change in changes if change.field.name in held},
            after={change.field.name: change.after for change in changes},
            client_request_id=str(uuid4()),
            if_match=etag_of(received),
            undoes=save.undoes,
        )

    async def _settle(self, save: Save, answer: Answer, fresh: Answer) -> None:
        """From the answer to an outcome; a shortened, empty or missing answer is read back."""
        before = fresh.entity or {}
        entity: Mapping[str, Any] | None = answer.entity
        sends = 1
        while True:
            is_done = save.fault is None
            if not is_done or entity is None or not _properties(before) <= _properties(entity):
                entity = (await self._client.run(save.draft.workflow_id, save.run_id)).entity
            ignored = ignored_of(save.draft, entity) if entity is not None else ()
            if is_done or entity is None or not ignored or not _may_repeat(save, entity, sends):
                break
            sends += 1
            save, entity = await self._repeat(save, fresh.exchange)
        shown = replace(save, ignored=ignored)
        if not is_done and entity is not None and await self._is_proved(save, entity):
            shown = replace(shown, fault=None, seen_on_read_back=True)
        if shown != save:
            # Before anything else is waited for: a break from here on knows what the run showed. Where that proves
            # nothing the write may still land, and only a person can decide.
            save = self._at(shown, Step.SETTLING)
        is_stale = entity is None or not await self._keep(save, entity)
        outcome = save.outcome_if_stopped
        await self._end_recorded(save, outcome, known_by_of(save), row_is_stale=is_stale)

    async def _is_proved(self, save: Save, entity: Mapping[str, Any]) -> bool:
        """Whether the run, read back, shows that the change was applied."""
        if save.intent is None or save.entry is None or not proves(entity, save.intent):
            return False
        try:
            entry = await asyncio.to_thread(self._journal.entry, save.entry)
            return entry is not None and not await asyncio.to_thread(self._journal.is_explained_otherwise, entry)
        except JournalError:
            return False

    async def _repeat(self, save: Save, read: Exchange) -> tuple[Save, Mapping[str, Any] | None]:
        """Send the same request under the same ETag once more: at most one of the two is applied."""
        intent = save.intent
        assert intent is not None  # noqa: S101 - `_may_repeat` looked
        try:
            await _whatever_happens(self._journal.sent_again, intent.client_request_id)
        except RuntuiError:
            return save, None
        save = self._at(save, Step.SENDING)
        answer = await self._patch(intent, save.draft, read)
        fault = answer.fault
        if fault is not None and fault.outcome is Outcome.NOT_DONE:
            # This copy was not applied; the one before it may have been.
            fault = replace(fault, outcome=Outcome.UNKNOWN)
        return self._at(replace(save, exchange=answer.exchange, fault=fault), Step.SETTLING), answer.entity

    async def _pause(self, save: Save, exchange: Exchange, attempt: int) -> Save:
        """Wait as long as the service asks; the save can be stopped meanwhile."""
        now = datetime.now(UTC)
        seconds = wait_of(exchange, attempt, now)
        resumes_at = now + timedelta(seconds=seconds)
        asked = asked_wait(exchange, now)
        self._at(replace(save, resumes_at=resumes_at, asked_seconds=asked, exchange=exchange), Step.PAUSED)
        await asyncio.sleep(seconds)
        return replace(save, exchange=None, fault=None)

    async def _keep(self, save: Save, entity: Mapping[str, Any]) -> bool:
        """Store the run as answered; whether that worked. A full disk must not hide what became of a write."""
        try:
            await asyncio.to_thread(self._store.put_run, save.draft.workflow_id, entity)
        except RuntuiError:
            return False
        return True

    async def _record(self, save: Save, outcome: Outcome, known_by: KnownBy) -> Save:
        intent = save.intent
        if intent is None:
            return save
        words = f"{save.fault.title}. {save.fault.message}" if save.fault is not None else ""

        def settle() -> None:
            self._journal.settle(intent.client_request_id, outcome, known_by, exchange=save.exchange, words=words)

        try:
            await _whatever_happens(settle)
        except RuntuiError:
            return replace(save, unrecorded=True)
        return save

    async def _end_recorded(self, save: Save, outcome: Outcome, known_by: KnownBy, **facts: Any) -> None:
        self._end(await self._record(replace(save, **facts), outcome, known_by), outcome)

    def _at(self, save: Save, step: Step) -> Save:
        save = replace(save, step=step)
        self._announce(save)
        return save

    def _end(self, save: Save, outcome: Outcome, **facts: Any) -> None:
        self._announce(replace(save, step=Step.ENDED, outcome=outcome, resumes_at=None, **facts))


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
    return "read-back" if save.seen_on_read_back else "answer"


def _may_repeat(save: Save, entity: Mapping[str, Any], sends: int) -> bool:
    """Whether the run still carries the ETag that the write was sent under."""
    etag = save.intent.if_match if save.intent is not None else None
    return sends < MOST_SENDS and etag is not None and etag == etag_of(entity)


def _properties(entity: Mapping[str, Any]) -> set[str]:
    """The names of an entity's properties, without annotations such as @odata.context."""
    return {name for name in entity if "@" not in name}


def _refusal(error: RuntuiError) -> Fault:
    """An error of our own as the fault of a request that was not sent."""
    return Fault(error.title, error.message, error.hint, Outcome.NOT_DONE, None, "", (), "", "")


async def _whatever_happens(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `call` in a thread. When cancelled, it still ends first: what it wrote has to be known."""
    task = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
