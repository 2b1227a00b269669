"""Carries out the effects of the write protocol with the client, the store and the journal.

Invariant: a write to the journal finishes, however often the task is cancelled. A save whose task is cancelled or fails
ends with what is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import uuid4

from runtui.domain.triage.service_actions import (
    MAKE_RUNS,
    READ_BESIDES,
    RECENT_RUNS,
    REPROCESSED,
    SUBJECT_IDS,
    Operation,
    ServiceAction,
)
from runtui.domain.triage.workflows import Workflow
from runtui.errors import RuntuiError
from runtui.graph.client import Answer, GraphClient, RunUpdate
from runtui.services.records.journal import Journal
from runtui.services.records.journal_file import JournalError
from runtui.services.store.store import Store, workflow_names_of, workflow_of
from runtui.services.tasks import uncancelled
from runtui.services.writing.write import (
    Effect,
    Identify,
    Read,
    Recall,
    Record,
    Recorded,
    RenewToken,
    Save,
    Send,
    Sender,
    Settle,
    Step,
    UpdateStore,
    ended,
    settlement_of,
)

_logger: Final = logging.getLogger("runtui.write")


class WriteContext(NamedTuple):
    """Who writes, and where."""

    root: str
    tenant: str
    profile: str
    who: Callable[[], Awaitable[str]]
    """Returns the account named in the token; empty if it names none."""


class WriteDriver:
    """Carries out the effects of writes; `announce` gets every step of a save."""

    def __init__(
        self,
        client: GraphClient,
        store: Store,
        journal: Journal,
        context: WriteContext,
        announce: Callable[[Save], None],
    ) -> None:
        self._client = client
        self._store = store
        self.journal = journal
        self._context = context
        self.announce = announce

    @property
    def root(self) -> str:
        return self._context.root

    async def carry_out(self, effects: Sequence[Effect[Any]]) -> Iterable[object]:
        """Return the replies to some effects of one kind, in order; a RuntuiError must be thrown into its write. A read
        or a request of an action comes alone, and a pause never."""
        saves = [effect.save for effect in effects]
        intents = [effect.intent for effect in effects if isinstance(effect, Record | Send)]
        replies: Iterable[object]
        try:
            match effects[0]:
                case (Read() | Send()) as effect if (action := effect.save.action) is not None:
                    replies = [await self._act(effect, action)]
                case Read():
                    runs = [(save.operation.workflow_id, save.run_id) for save in saves]
                    replies = await self._client.read_runs(runs)
                case Identify():
                    replies = await self.senders(saves)
                case Record():
                    read_at = [effect.read_at for effect in effects if isinstance(effect, Record)]
                    replies = await uncancelled(asyncio.to_thread(self.journal.open_many, intents, read_at))
                case Send():
                    new = [RunUpdate(i.workflow_id, i.run_id, i.body, i.client_request_id, i.if_match) for i in intents]
                    replies = await self._client.update_runs(new)
                case Recall():
                    replies = [await asyncio.to_thread(self._recorded, save) for save in saves]
                case Settle():
                    settlements = [effect.settlement for effect in effects if isinstance(effect, Settle)]
                    replies = await uncancelled(asyncio.to_thread(self.journal.settle_many, settlements))
                case UpdateStore():
                    observed = [(it.save.operation, it.entity) for it in effects if isinstance(it, UpdateStore)]
                    replies = await asyncio.to_thread(self._store_runs, observed)
                case RenewToken():
                    refused = [effect.exchange for effect in effects if isinstance(effect, RenewToken)]
                    replies = [await self._client.renew_token(exchange) for exchange in refused]
                case unknown:
                    raise TypeError(unknown)
        except RuntuiError as error:
            replies = [error] * len(effects)
        return replies

    async def _act(self, effect: Read | Send, action: ServiceAction) -> Answer:
        if isinstance(effect, Send):
            return await self._client.act(action, client_request_id=effect.intent.client_request_id)
        intent = effect.save.intent if effect.save.step is Step.SETTLING else None
        return await self._client.observe(action, before=intent.before if intent is not None else None)

    def break_off(self, save: Save) -> None:
        """End a save whose task was cancelled or failed, with what is known."""
        unrecorded = "Writing it was interrupted."
        try:
            if save.intent is not None:
                self.journal.settle(settlement_of(save, save.intent, "runtui stopped waiting for it."))
            unrecorded = ""
        except JournalError as error:
            unrecorded = f"{error.message} {error.hint}"
        finally:
            self.end(
                ended(
                    save,
                    unrecorded=unrecorded,
                    row_is_stale=save.step in (Step.SENDING, Step.SETTLING),
                    stopped=save.may_be_stopped,
                )
            )

    async def senders(self, saves: Sequence[Save]) -> list[Sender]:
        """Return sender and target of some changes, each with its own request id."""
        context, who = self._context, await self._context.who()
        names = workflow_names_of(self._store, [save.run_id for save in saves])
        senders = []
        for operation in (save.operation for save in saves):
            method, url = self._client.target(operation)
            name = names.get(operation.run_id) or Workflow(workflow_of(self._store, operation.workflow_id) or {}).name
            senders.append(Sender(who, context.profile, context.tenant, context.root, name, method, url, str(uuid4())))
        return senders

    def _recorded(self, save: Save) -> Recorded | None:
        try:
            entry = self.journal.entry(save.entry) if save.entry is not None else None
            return Recorded(entry, self.journal.of_run(entry.root, entry.run_id)) if entry is not None else None
        except JournalError:
            return None

    def _store_runs(self, observed: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[bool]:
        """Store what was read; return for each whether it is stored, because a full disk must not hide an outcome. Call
        it in a thread."""
        try:
            store_observed(self._store, observed)
        except RuntuiError:
            return [False] * len(observed)
        return [True] * len(observed)

    def end(self, save: Save) -> None:
        conflicts = ", ".join(conflict.field.name for conflict in save.conflicts)
        why = save.fault.title if save.fault is not None else conflicts or "no fault"
        _logger.info("change #%s of run %s: %s (%s)", save.entry or "none", save.run_id, save.outcome_so_far.value, why)
        self.announce(save)


def store_observed(store: Store, observed: Sequence[tuple[Operation, Mapping[str, Any]]]) -> None:
    """Store the entity that was read for each operation, and the runs that reprocess it.

    Raises:
        RuntuiError: it cannot be stored.
    """
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for operation, entity in observed:
        of_workflow = runs.setdefault(operation.workflow_id, [])
        if not isinstance(operation, ServiceAction):
            of_workflow.append(entity)
        elif operation.is_about_workflow:
            store.put_workflows([_without(entity, READ_BESIDES)])
            # For any other action, a property with this name is the server's own.
            if operation.name in MAKE_RUNS:
                of_workflow.extend(_without(run, {SUBJECT_IDS}) for run in entity.get(RECENT_RUNS, ()))
        elif operation.name in MAKE_RUNS:
            of_workflow.extend((_without(entity, READ_BESIDES), *entity.get(REPROCESSED, ())))
        elif not operation.task_result_id:
            of_workflow.append(entity)
    for workflow_id, raws in runs.items():
        if raws:
            store.put_run(workflow_id, *raws)


def _without(entity: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return an entity as received, without the properties that runtui added."""
    return {name: value for name, value in entity.items() if name not in names}
