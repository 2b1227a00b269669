"""One save from the fresh read to its recorded outcome: read, compare, record the intent, send, settle, record the end.

Invariant: nothing is sent that the journal does not hold. A write that may have been applied is never repeated, but for
one under an ETag: with the same If-Match at most one of its copies applies. Rules: HTTP (RFC 9110, sections 9.2.2 and
13.1.1), Microsoft Graph's throttling guidance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, ParamSpec, Protocol, TypeVar
from uuid import uuid4

from runtui.domain.draft import Conflict, Draft
from runtui.errors import RuntuiError
from runtui.graph.client import Answer, etag_of
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import Fault
from runtui.graph.waits import asked_wait, wait_of
from runtui.services.journal import Intent, Journal, KnownBy
from runtui.services.journal_file import JournalError
from runtui.services.proof import proves
from runtui.services.store import Store

MOST_ATTEMPTS: Final = 5
"""Times that a save begins anew after the service proved that it applied nothing: throttled, or a stale ETag."""

MOST_SENDS: Final = 3
"""Times that one request goes out under one ETag."""

P = ParamSpec("P")
T = TypeVar("T")


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
    seen_on_read_back: bool = False
    """Whether "done" is known from reading the run back, not from the answer to the PATCH."""
    row_is_stale: bool = False
    """Whether the list may still show the old values: the run could not be read back or not be stored."""
    undoes: int | None = None
    """The journal's entry that this change takes back."""
    intent: Intent | None = None
    """What is in the journal for the request that was sent last."""
    entry: int | None = None
    """Its number there."""
    resumes_at: datetime | None = None
    """When a paused save goes on (UTC)."""
    asked_seconds: float | None = None
    """What the service asked to wait, where it did; may be longer than the pause."""
    stopped: bool = False
    """Whether a person gave it up before it was sent."""
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
        return outcome_of(self.fault) if self.step is Step.SETTLING else Outcome.NOT_DONE


class RunWriter(Protocol):
    """The part of the Graph client that a save needs. An answer holds an entity, a fault, or neither (no body)."""

    async def run(self, workflow_id: str, run_id: str) -> Answer:
        """Read one run."""

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
class Origin:
    """Who writes, and where."""

    root: str
    tenant: str
    profile: str
    who: Callable[[], Awaitable[str]]
    """The account, as the token names it; empty when it does not."""


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
        renewed = False
        for attempt in range(1, MOST_ATTEMPTS + 1):
            save = self._at(save, Step.READING)
            fresh = await self._client.run(save.draft.workflow_id, save.run_id)
            if fresh.entity is None:
                if attempt < MOST_ATTEMPTS and fresh.exchange.status in (429, 503) and _graph_refused(fresh.fault):
                    save = await self._pause(save, fresh.exchange, attempt)
                    continue
                self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, fault=fresh.fault)
                return
            if conflicts := save.draft.conflicts(fresh.entity):
                is_stale = not await self._keep(save, fresh.entity)
                self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, conflicts=conflicts, row_is_stale=is_stale)
                return
            save, answer = await self._send(save, fresh.entity)
            if answer is None:
                return
            if save.outcome_if_stopped is not Outcome.NOT_DONE:
                await self._settle(save, answer, fresh.entity)
                return
            save = await self._record(save, Outcome.NOT_DONE, "answer")
            status = answer.exchange.status
            if attempt < MOST_ATTEMPTS and status == 429:
                save = await self._pause(save, answer.exchange, attempt)
            elif status == 401 and not renewed and await self._client.renew_token(answer.exchange):
                renewed = True
            elif attempt == MOST_ATTEMPTS or status != 412 or save.intent is None or save.intent.if_match is None:
                is_stale = not await self._keep(save, fresh.entity)
                self._end(save, Outcome.NOT_DONE, row_is_stale=is_stale)
                return

    def break_off(self, save: Save) -> None:
        """End a save whose task was cancelled or failed, with no more than what is known."""
        outcome = save.outcome_if_stopped
        is_answered = save.step is Step.SETTLING and outcome is not Outcome.UNKNOWN
        unrecorded = True
        try:
            if save.intent is not None:
                self._journal.settle(
                    save.intent.client_request_id,
                    outcome,
                    "answer" if is_answered else "",
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

    async def _send(self, save: Save, before: Mapping[str, Any]) -> tuple[Save, Answer | None]:
        """Record the intent and send it once; no answer when it could not be recorded, which ends the save."""
        try:
            intent = await self._intent(save, before)
            save = self._at(replace(save, intent=intent), Step.RECORDING)
            number = await _whatever_happens(self._journal.open, intent)
        except RuntuiError as error:
            self._end(save, Outcome.NOT_DONE, fault=_refusal(error))
            return save, None
        save = self._at(replace(save, entry=number), Step.SENDING)
        answer = await self._patch(intent, save.draft)
        # The step follows at once, without an announcement: a break from here on knows what was answered.
        save = replace(save, exchange=answer.exchange, fault=answer.fault, step=Step.SETTLING)
        self._announce(save)
        return save, answer

    async def _patch(self, intent: Intent, draft: Draft) -> Answer:
        return await self._client.update_run(
            draft.workflow_id,
            draft.run_id,
            intent.body,
            client_request_id=intent.client_request_id,
            if_match=intent.if_match,
        )

    async def _intent(self, save: Save, fresh: Mapping[str, Any]) -> Intent:
        draft, origin = save.draft, self._origin
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
            body=save.body,
            before={change.field.name: fresh[change.field.name] for change in changes if change.field.name in fresh},
            after={change.field.name: change.after for change in changes},
            client_request_id=str(uuid4()),
            if_match=etag_of(fresh),
            undoes=save.undoes,
        )

    async def _settle(self, save: Save, answer: Answer, before: Mapping[str, Any]) -> None:
        """From the answer to an outcome; a shortened, empty or missing answer is read back."""
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
            save, entity = await self._repeat(save)
        all_ignored = len(ignored) == len(save.draft.changes())
        is_proved = not is_done and entity is not None and await self._is_proved(save, entity)
        is_stale = entity is None or not await self._keep(save, entity)
        if is_done and not all_ignored:
            await self._end_recorded(save, Outcome.DONE, "answer", ignored=ignored, row_is_stale=is_stale)
        elif is_proved:
            facts = {"fault": None, "seen_on_read_back": True, "row_is_stale": is_stale}
            await self._end_recorded(save, Outcome.DONE, "read-back", **facts)
        else:
            # The run proves nothing, and the write may still land: only a person can decide.
            await self._end_recorded(save, Outcome.UNKNOWN, "", ignored=ignored, row_is_stale=is_stale)

    async def _is_proved(self, save: Save, entity: Mapping[str, Any]) -> bool:
        """Whether the run, read back, shows that the change was applied."""
        if save.intent is None or save.entry is None or not proves(entity, save.intent):
            return False
        try:
            entry = await asyncio.to_thread(self._journal.entry, save.entry)
            return entry is not None and not await asyncio.to_thread(self._journal.is_explained_otherwise, entry)
        except JournalError:
            return False

    async def _repeat(self, save: Save) -> tuple[Save, Mapping[str, Any] | None]:
        """Send the same request under the same ETag once more: at most one of the two is applied."""
        intent = save.intent
        assert intent is not None  # noqa: S101 - `_may_repeat` looked
        try:
            await _whatever_happens(self._journal.sent_again, intent.client_request_id)
        except RuntuiError:
            return save, None
        save = self._at(save, Step.SENDING)
        answer = await self._patch(intent, save.draft)
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


def outcome_of(fault: Fault | None) -> Outcome:
    """What a fault says of a write; done when there is none."""
    return Outcome.DONE if fault is None else fault.outcome


def ignored_of(draft: Draft, entity: Mapping[str, Any]) -> tuple[str, ...]:
    """The changed properties that the run, as read after the write, does not have as they were sent."""
    return tuple(
        change.field.name
        for change in draft.changes()
        if not change.field.same(change.after, entity.get(change.field.name))
    )


def _may_repeat(save: Save, entity: Mapping[str, Any], sends: int) -> bool:
    """Whether the run still carries the ETag that the write was sent under."""
    etag = save.intent.if_match if save.intent is not None else None
    return sends < MOST_SENDS and etag is not None and etag == etag_of(entity)


def _graph_refused(fault: Fault | None) -> bool:
    return fault is not None and bool(fault.code)


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
