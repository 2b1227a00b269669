"""All writes of a session: at most one in progress per run, and none that a screen could cancel.

Invariant: the text that was reviewed is sent, byte for byte, and a save ends as done, not done or unknown. `write` has
the protocol of one save; this module decides which may begin, which wait, and which may be stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from runtui.announcer import Announcer
from runtui.auth.clouds import why_not_offered
from runtui.domain.draft import Draft
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.errors import UsageError
from runtui.graph.client import Answer, GraphClient
from runtui.graph.root import run_key
from runtui.services.foreground import Foreground
from runtui.services.records.journal import Journal
from runtui.services.store.store import Store
from runtui.services.tasks import report_defect
from runtui.services.writing.drive import WriteContext, WriteDriver
from runtui.services.writing.write import Save

if TYPE_CHECKING:
    from runtui.services.writing.bulk import Bulk


class SaveQueue:
    """Owns every write as its own asyncio task, apart from any screen.

    `context` says who writes, and where. `refusal` is called at each submit and returns why nothing may be written now.
    With `requires_why` nothing is written without a reason. A bulk change gives way to the `foreground`; None if nobody
    types.
    """

    def __init__(
        self,
        client: GraphClient,
        store: Store,
        journal: Journal,
        context: WriteContext,
        *,
        refusal: Callable[[], str | None] = lambda: None,
        requires_why: bool = False,
        foreground: Foreground | None = None,
    ) -> None:
        self._driver = WriteDriver(client, store, journal, context, self._announce)
        self._refusal = refusal
        self._requires_why = requires_why
        self._foreground = foreground or Foreground()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._active: dict[int, Save] = {}
        self._of_run: dict[str, dict[int, Save]] = {}
        """The same by the key of their run. The first save of a run is sent, the others wait for its end."""
        self._ended = asyncio.Event()
        """Set at the next end of a save, and then replaced."""
        self._numbers = count(1)
        self.changed: Announcer[Save] = Announcer()

    def submit(self, draft: Operation, *, why: str = "", fresh: Answer | None = None) -> Save:
        """Start to write a draft that has changes and no errors; `changed` announces the progress.

        `fresh` is a very recent answer with the run that the draft is based on: the run is then not read again before
        the first try.

        Raises:
            UsageError: the session is read-only, or the draft cannot be sent. Nothing was sent.
        """
        self._check(draft, why)
        return self._start([draft], "", why, fresh=fresh).saves[0]

    def submit_many(self, drafts: Sequence[Operation], *, may_hold: bool = True, why: str = "") -> Bulk:
        """Start to write drafts of different runs side by side, as one bulk change.

        With `may_hold` the first refusal that may affect the others holds the rest.

        Raises:
            UsageError: as in `submit`, for one of them, or a change to one of the runs is in progress. Nothing was
                sent.
        """
        if not drafts:
            raise UsageError("There is nothing to send", "No run is to be changed.")
        busy = next((draft for draft in drafts if self.of_run(draft.run_id) is not None), None)
        if busy is not None:
            raise UsageError("Nothing was sent", f"A change to run {busy.run_id} is in progress.")
        if len({run_key(draft.run_id) for draft in drafts}) < len(drafts):
            raise UsageError("Nothing was sent", "One run stands there twice, in different spellings of its id.")
        for draft in drafts:
            self._check(draft, why)
        return self._start(drafts, uuid4().hex, why, may_hold=may_hold)

    def _start(
        self, drafts: Sequence[Operation], batch: str, why: str, *, may_hold: bool = False, fresh: Answer | None = None
    ) -> Bulk:
        """Start the task that writes one draft, or several as the bulk change `batch`."""
        from runtui.services.writing.bulk import Bulk

        saves = [Save(next(self._numbers), draft, batch=batch, why=why, fresh=fresh) for draft in drafts]
        for save in saves:
            self._announce(save)
        number, name = saves[0].number, f"bulk {batch}" if batch else f"save {saves[0].number}"
        bulk = Bulk(self._driver, batch, saves, may_hold=may_hold, foreground=self._foreground)

        self._tasks[number] = task = asyncio.create_task(self._carry_out(bulk), name=name)
        task.add_done_callback(lambda _: self._end_cancelled(bulk))
        task.add_done_callback(report_defect)
        return bulk

    def _check(self, draft: Operation, why: str) -> None:
        refusal = self._refusal()
        if refusal is None and isinstance(draft, ServiceAction):
            refusal = why_not_offered(self._driver.root, draft.name) or None
        if refusal is None and self._requires_why and not why:
            refusal = "This profile requires a reason for each change."
        if refusal is not None:
            raise UsageError("Nothing was sent", refusal)
        if isinstance(draft, Draft) and (draft.errors() or not draft.changes()):
            raise UsageError("There is nothing to send", "The draft has no change, or a field of it holds no value.")

    def active(self) -> tuple[Save, ...]:
        return tuple(self._active.values())

    def of_run(self, run_id: str) -> Save | None:
        """Return the oldest save of this run in progress, which waits for no other; None if there is none."""
        return next(iter(self._of_run.get(run_key(run_id), {}).values()), None)

    def stop(self, number: int) -> bool:
        """Cancel a save before it is sent, or sent again; return whether that was still possible."""
        save, task = self._active.get(number), self._tasks.get(number)
        if save is None or save.batch or task is None or not save.may_be_stopped:
            return False
        return task.cancel()

    async def drain(self, seconds: float) -> int:
        """Wait at most so many seconds for the saves in progress; return how many have not ended."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=seconds)
        return len(self._active)

    async def abandon(self) -> None:
        """Cancel the saves in progress: one that may have been sent ends as unknown, any other as not done."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _announce(self, save: Save) -> None:
        key = run_key(save.run_id)
        if save.active:
            self._active[save.number] = save
            self._of_run.setdefault(key, {})[save.number] = save
        else:
            self._active.pop(save.number, None)
            of_run = self._of_run.get(key, {})
            of_run.pop(save.number, None)
            if not of_run:
                self._of_run.pop(key, None)
            self._ended.set()
            self._ended = asyncio.Event()
        self.changed.announce(save)

    async def _carry_out(self, bulk: Bulk) -> None:
        for save in bulk.saves:
            while (first := self.of_run(save.run_id)) is not None and first.number != save.number:
                await self._ended.wait()
        await bulk.run()

    def _end_cancelled(self, bulk: Bulk) -> None:
        """End what was cancelled before `Bulk.run`, perhaps before its task began: no row may wait forever."""
        self._tasks.pop(bulk.saves[0].number, None)
        for save in bulk.saves:
            if (left := self._active.get(save.number)) is not None:
                self._driver.break_off(left)
