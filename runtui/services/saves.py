"""The write path, the only one: read fresh, compare, send, settle.

Invariant: one write at a time per run, and no screen can cancel one. What is sent is the text that was reviewed, byte
for byte. A save ends as done, not done or unknown, and unknown is only settled by reading the run back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol
from weakref import WeakValueDictionary

from runtui.domain.draft import Conflict, Draft
from runtui.errors import RuntuiError, UsageError
from runtui.graph.client import Answer
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import Fault
from runtui.services.announcer import Announcer
from runtui.services.store import Store


class Step(Enum):
    """Where a save stands; the words are what the row and the panel show."""

    WAITING = "waiting for the save before it"
    READING = "reading the run afresh"
    SENDING = "sending"
    SETTLING = "reading the run back"
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

    @property
    def run_id(self) -> str:
        """The run it writes to."""
        return self.draft.run_id

    @property
    def active(self) -> bool:
        """Whether it is still on its way."""
        return self.step is not Step.ENDED

    @property
    def outcome_if_stopped(self) -> Outcome:
        """What can be said of it if nothing more is heard."""
        if self.outcome is not None:
            return self.outcome
        if self.step is Step.SENDING:
            return Outcome.UNKNOWN
        return _outcome(self.fault) if self.step is Step.SETTLING else Outcome.NOT_DONE


class RunWriter(Protocol):
    """The part of the Graph client that a save needs. An answer holds an entity, a fault, or neither (no body)."""

    async def run(self, workflow_id: str, run_id: str) -> Answer:
        """Read one run."""

    async def update_run(self, workflow_id: str, run_id: str, body: str) -> Answer:
        """PATCH one run with exactly this body."""


class Saves:
    """Owns every write as an asyncio task of its own, apart from any screen."""

    def __init__(self, client: RunWriter, store: Store, *, read_only: bool = False) -> None:
        self._client = client
        self._store = store
        self._read_only = read_only
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._active: dict[int, Save] = {}
        self._count = 0
        self.changed: Announcer[Save] = Announcer()

    def submit(self, draft: Draft) -> Save:
        """Start writing a draft that has changes and no errors; progress is announced by `changed`.

        Raises:
            UsageError: in a read-only session, or when the draft is not fit to be sent. Nothing was sent then.
        """
        if self._read_only:
            raise UsageError("This session is read-only", "Nothing was sent.", "Start without --read-only to write.")
        if draft.errors() or not draft.changes():
            raise UsageError("There is nothing to send", "The draft has no change, or a field of it holds no value.")
        self._count += 1
        save = self._announce(Save(self._count, draft, draft.body_text()))
        task = asyncio.create_task(self._carry_out(save), name=f"save {save.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return save

    def active(self) -> tuple[Save, ...]:
        """The saves on their way, oldest first."""
        return tuple(self._active.values())

    def of_run(self, run_id: str) -> Save | None:
        """The oldest save on its way to this run, if any: the one that is not waiting."""
        return next((save for save in self._active.values() if save.run_id == run_id), None)

    async def drain(self, seconds: float) -> int:
        """Wait for the saves on their way, at most so long; the number that is still not settled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        return len(self._active)

    async def abandon(self) -> None:
        """Stop waiting for the saves on their way: what may have been sent ends as unknown, the rest as not done."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _announce(self, save: Save) -> Save:
        if save.active:
            self._active[save.number] = save
        else:
            self._active.pop(save.number, None)
        self.changed.announce(save)
        return save

    def _end(self, save: Save, outcome: Outcome, **facts: Any) -> None:
        self._announce(replace(save, step=Step.ENDED, outcome=outcome, **facts))

    async def _carry_out(self, save: Save) -> None:
        try:
            async with self._locks.setdefault(save.run_id, asyncio.Lock()):
                await self._write(save)
        finally:
            # Cancelled, or ended by a defect: no row may wait for ever, and nobody is told more than is known.
            if (left := self._active.get(save.number)) is not None:
                self._end(left, left.outcome_if_stopped, row_is_stale=left.step is not Step.WAITING)

    async def _write(self, save: Save) -> None:
        save = self._announce(replace(save, step=Step.READING))
        fresh = await self._client.run(save.draft.workflow_id, save.run_id)
        if fresh.entity is None:
            self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, fault=fresh.fault)
            return
        if conflicts := save.draft.conflicts(fresh.entity):
            is_stale = not await self._keep(save, fresh.entity)
            self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, conflicts=conflicts, row_is_stale=is_stale)
            return
        save = self._announce(replace(save, step=Step.SENDING))
        answer = await self._client.update_run(save.draft.workflow_id, save.run_id, save.body)
        await self._settle(replace(save, exchange=answer.exchange, fault=answer.fault), answer, fresh.entity)

    async def _settle(self, save: Save, answer: Answer, before: Mapping[str, Any]) -> None:
        """From the answer to an outcome; a shortened, empty or missing answer is read back."""
        save = self._active[save.number] = replace(save, step=Step.SETTLING)
        outcome = _outcome(answer.fault)
        if outcome is Outcome.NOT_DONE:
            is_stale = not await self._keep(save, before)
            self._end(save, outcome, row_is_stale=is_stale)
            return
        entity = answer.entity
        if outcome is Outcome.UNKNOWN or entity is None or not _properties(before) <= _properties(entity):
            self._announce(save)
            entity = (await self._client.run(save.draft.workflow_id, save.run_id)).entity
        is_stale = entity is None or not await self._keep(save, entity)
        ignored = _ignored(save.draft, entity) if entity is not None else ()
        if outcome is Outcome.DONE:
            self._end(save, outcome, ignored=ignored, row_is_stale=is_stale)
        elif entity is not None and not ignored:
            self._end(save, Outcome.DONE, fault=None, seen_on_read_back=True, row_is_stale=is_stale)
        else:
            # The values are not ours, and yet the write may still land: only a person can decide.
            self._end(save, outcome, row_is_stale=is_stale)

    async def _keep(self, save: Save, entity: Mapping[str, Any]) -> bool:
        """Store the run as answered; whether that worked. A full disk must not hide what became of a write."""
        try:
            await asyncio.to_thread(self._store.put_run, save.draft.workflow_id, entity)
        except RuntuiError:
            return False
        return True


def _outcome(fault: Fault | None) -> Outcome:
    return Outcome.DONE if fault is None else fault.outcome


def _properties(entity: Mapping[str, Any]) -> set[str]:
    """The names of an entity's properties, without annotations such as @odata.context."""
    return {name for name in entity if "@" not in name}


def _ignored(draft: Draft, entity: Mapping[str, Any]) -> tuple[str, ...]:
    """The changed properties that the run, as read after the write, does not have as they were sent."""
    return tuple(
        change.field.name
        for change in draft.changes()
        if not change.field.same(change.after, entity.get(change.field.name))
    )
