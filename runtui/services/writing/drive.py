"""Carries out what the protocol of a write asks for: one change alone, over the wire, the store and the journal.

Invariant: a save is announced as it stands before each effect is begun. What writes the journal runs to its end,
however often the task is cancelled. A task that is cancelled, or fails, ends its save with no more than what is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, ParamSpec, Protocol, TypeVar
from uuid import uuid4

from runtui.domain.report import Outcome
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
from runtui.graph.client import Answer, RunUpdate
from runtui.graph.exchange import Exchange
from runtui.graph.retry import Pace
from runtui.services.journal import Intent, Journal
from runtui.services.journal_file import JournalError
from runtui.services.store import Store, workflow_names_of, workflow_of
from runtui.services.writing.save import Save, Step
from runtui.services.writing.write import (
    Effect,
    Identify,
    Pause,
    Read,
    Recall,
    Record,
    Recorded,
    RenewToken,
    Send,
    Sender,
    Settle,
    StoreRun,
    known_by_of,
    words_of,
    write,
)

_logger: Final = logging.getLogger("runtui.write")

_P = ParamSpec("_P")
_T = TypeVar("_T")


class RunWriter(Protocol):
    """The part of the Graph client that a save needs. An answer holds an entity, a fault, or neither (no body)."""

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """Read one run, as often as the pace says; without one, once."""

    async def update_run(self, update: RunUpdate) -> Answer:
        """PATCH one run, once."""

    async def renew_token(self, exchange: Exchange) -> bool:
        """After a 401: whether there is another token to try with."""

    async def act(self, action: ServiceAction, *, client_request_id: str | None = None) -> Answer:
        """POST an action, once."""

    async def observe(self, action: ServiceAction, *, before: Mapping[str, Any] | None = None) -> Answer:
        """Read what an action is about, once; `before` is what was kept before it was sent, None: it was not yet."""

    def target(self, operation: Operation) -> tuple[str, str]:
        """The method and the address of `update_run` or `act`."""


def update_of(intent: Intent) -> RunUpdate:
    return RunUpdate(intent.workflow_id, intent.run_id, intent.body, intent.client_request_id, intent.if_match)


class WriteContext(NamedTuple):
    """Who writes, and where."""

    root: str
    tenant: str
    profile: str
    who: Callable[[], Awaitable[str]]
    """The account, as the token names it; empty when it does not."""


class WriteDriver:
    """Drives `write`, one save a call; `announce` is told of every step."""

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
        self.journal = journal
        self._context = context
        self.announce = announce

    @property
    def root(self) -> str:
        return self._context.root

    async def run(self, save: Save) -> None:
        """From the fresh read to the recorded outcome, which is announced last."""
        writing = write(save, lambda: datetime.now(UTC))
        try:
            effect = next(writing)
            while True:
                if effect.save != save:
                    save = effect.save
                    self.announce(save)
                try:
                    reply = await self.carry_out(effect)
                except RuntuiError as error:
                    effect = writing.throw(error)
                else:
                    effect = writing.send(reply)
        except StopIteration as end:
            self.end(end.value)

    async def carry_out(self, effect: Effect[Any]) -> object:
        """Do one thing; the reply to the protocol.

        Raises:
            RuntuiError: it cannot be done, for a reason that the protocol is told.
        """
        save, operation = effect.save, effect.save.operation
        reply: object = None
        match effect:
            case Read():
                reply = await self._read(save)
            case Identify():
                (reply,) = await self.senders([save])
            case Record(_, intent):
                reply = await whatever_happens(self.journal.open, intent)
            case Send(_, intent):
                reply = await self._send(operation, intent)
            case Recall():
                reply = await asyncio.to_thread(self._recorded, save)
            case Settle(_, intent, outcome, known_by, words):
                settle, request_id = self.journal.settle, intent.client_request_id
                reply = await whatever_happens(
                    settle, request_id, outcome, known_by, exchange=save.exchange, words=words, new_run=save.new_run
                )
            case StoreRun(_, entity):
                (reply,) = await asyncio.to_thread(self.store_runs, [(operation, entity)])
            case RenewToken(_, exchange):
                reply = await self._client.renew_token(exchange)
            case Pause(_, seconds):
                await asyncio.sleep(seconds)
            case _:
                raise TypeError(effect)
        return reply

    async def _read(self, save: Save) -> Answer:
        operation = save.operation
        if isinstance(operation, ServiceAction):
            intent = save.intent if save.step is Step.SETTLING else None
            return await self._client.observe(operation, before=intent.before if intent is not None else None)
        return await self._client.run(operation.workflow_id, operation.run_id)

    async def _send(self, operation: Operation, intent: Intent) -> Answer:
        if isinstance(operation, ServiceAction):
            return await self._client.act(operation, client_request_id=intent.client_request_id)
        return await self._client.update_run(update_of(intent))

    def break_off(self, save: Save) -> None:
        """End a save whose task was cancelled or failed, with no more than what is known."""
        outcome = save.outcome_if_stopped
        unrecorded = True
        try:
            if save.intent is not None:
                self.journal.settle(
                    save.intent.client_request_id,
                    outcome,
                    known_by_of(save),
                    exchange=save.exchange,
                    words=words_of(save) or "runtui stopped waiting for it.",
                )
            unrecorded = False
        except JournalError:
            pass  # said by `unrecorded`
        finally:
            self.end(
                save._replace(
                    step=Step.ENDED,
                    outcome=outcome,
                    resumes_at=None,
                    unrecorded=unrecorded,
                    row_is_stale=save.step is not Step.WAITING,
                    stopped=save.may_be_stopped,
                )
            )

    async def senders(self, saves: Sequence[Save]) -> list[Sender]:
        """Who sends some changes and where to, each with a request id of its own."""
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

    def store_runs(self, observed: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[bool]:
        """Of each thing that was read, whether it could be stored: a full disk must not hide what became of a write. A
        matter for a thread."""
        try:
            store_observed(self._store, observed)
        except RuntuiError:
            return [False] * len(observed)
        return [True] * len(observed)

    def end(self, ended: Save) -> None:
        conflicts = ", ".join(conflict.field.name for conflict in ended.conflicts)
        why = ended.fault.title if ended.fault is not None else conflicts or "no fault"
        outcome = ended.outcome or Outcome.UNKNOWN
        _logger.info("change #%s of run %s: %s (%s)", ended.entry or "none", ended.run_id, outcome.value, why)
        self.announce(ended)


def store_observed(store: Store, observed: Sequence[tuple[Operation, Mapping[str, Any]]]) -> None:
    """Store what was read of what each operation is about, and the runs that it was reprocessed by.

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
            # Of any other action nothing is read besides: what stands under the name then is the server's own.
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
    """An entity as it was received, without what was read besides."""
    return {name: value for name, value in entity.items() if name not in names}


async def whatever_happens(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
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
