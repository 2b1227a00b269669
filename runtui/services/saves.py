"""The write path, the only one: read fresh, compare, send, settle.

Invariant: one write at a time per run, and no screen can cancel one. What is sent is the text that was reviewed, byte
for byte. A save ends as done, not done or unknown, and unknown is only settled by reading the run back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from runtui.domain.draft import Conflict, Draft, same_value
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
    """One change on its way. `exchange` is the PATCH itself once it was sent."""

    number: int
    draft: Draft
    body: str
    step: Step = Step.WAITING
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    fault: Fault | None = None
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    """Properties whose value, read after the write, is not the one that was sent."""
    seen_on_read_back: bool = False
    """Whether "done" is known from reading the run back, not from the answer to the PATCH."""

    @property
    def run_id(self) -> str:
        """The run it writes to."""
        return self.draft.run_id

    @property
    def active(self) -> bool:
        """Whether it is still on its way."""
        return self.step is not Step.ENDED


class RunWriter(Protocol):
    """The part of the Graph client that a save needs."""

    async def run(self, workflow_id: str, run_id: str) -> Answer:
        """Read one run."""

    async def update_run(self, workflow_id: str, run_id: str, body: str) -> Answer:
        """PATCH one run with exactly this body."""


class Saves:
    """Owns every write as an asyncio task of its own, apart from any screen."""

    def __init__(self, client: RunWriter, store: Store) -> None:
        self._client = client
        self._store = store
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._active: dict[int, Save] = {}
        self._count = 0
        self.changed: Announcer[Save] = Announcer()

    def submit(self, draft: Draft) -> Save:
        """Start writing a draft that has changes and no errors; progress is announced by `changed`."""
        self._count += 1
        save = Save(self._count, draft, draft.body_text())
        self._announce(save)
        task = asyncio.create_task(self._carry_out(save), name=f"save {save.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return save

    def active(self) -> tuple[Save, ...]:
        """The saves on their way, oldest first."""
        return tuple(self._active.values())

    def of_run(self, run_id: str) -> Save | None:
        """The save on its way to this run, if any."""
        return next((save for save in self._active.values() if save.run_id == run_id), None)

    async def drain(self, seconds: float) -> int:
        """Wait for the saves on their way, at most so long; the number that is still not settled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        return len(self._active)

    def _announce(self, save: Save) -> Save:
        if save.active:
            self._active[save.number] = save
        else:
            self._active.pop(save.number, None)
        self.changed.announce(save)
        return save

    async def _carry_out(self, save: Save) -> None:
        async with self._locks[save.run_id]:
            save = self._announce(replace(save, step=Step.READING))
            fresh = await self._client.run(save.draft.workflow_id, save.run_id)
            if fresh.fault is not None or fresh.entity is None:
                fault = fresh.fault and replace(fresh.fault, outcome=Outcome.NOT_DONE)
                self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, fault=fault)
                return
            await self._keep(save, fresh.entity)
            if conflicts := save.draft.conflicts(fresh.entity):
                self._end(save, Outcome.NOT_DONE, exchange=fresh.exchange, conflicts=conflicts)
                return
            save = self._announce(replace(save, step=Step.SENDING))
            answer = await self._client.update_run(save.draft.workflow_id, save.run_id, save.body)
            await self._settle(replace(save, exchange=answer.exchange, fault=answer.fault), answer, fresh.entity)

    async def _settle(self, save: Save, answer: Answer, before: Mapping[str, Any]) -> None:
        """From the answer to an outcome; a shortened, empty or missing answer is read back."""
        outcome = Outcome.DONE if answer.fault is None else answer.fault.outcome
        if outcome is Outcome.NOT_DONE:
            self._end(save, outcome)
            return
        entity = answer.entity
        if outcome is Outcome.UNKNOWN or entity is None or not before.keys() <= entity.keys():
            save = self._announce(replace(save, step=Step.SETTLING))
            back = await self._client.run(save.draft.workflow_id, save.run_id)
            entity = back.entity if back.fault is None else None
        if entity is not None:
            await self._keep(save, entity)
        ignored = _ignored(save.draft, entity)
        if outcome is Outcome.UNKNOWN and entity is not None and not ignored:
            self._end(save, Outcome.DONE, seen_on_read_back=True)
            return
        self._end(save, outcome, ignored=ignored if outcome is Outcome.DONE else ())

    def _end(self, save: Save, outcome: Outcome, **facts: Any) -> None:
        self._announce(replace(save, step=Step.ENDED, outcome=outcome, **facts))

    async def _keep(self, save: Save, entity: Mapping[str, Any]) -> None:
        await asyncio.to_thread(self._store.put_run, save.draft.workflow_id, entity)


def _ignored(draft: Draft, entity: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The changed properties that the run, as read after the write, does not have; all is well without a reading."""
    if entity is None:
        return ()
    return tuple(
        change.field.name for change in draft.changes() if not same_value(change.after, entity.get(change.field.name))
    )
