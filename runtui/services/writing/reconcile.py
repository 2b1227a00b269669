"""Settles changes whose outcome is unknown or whose process has ended, by reading the run back.

Invariant: only what the run itself shows makes a change done. A run without the change proves nothing, because the
write may still arrive. So an unknown change is checked again, and in the end a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from runtui.announcer import Announcer
from runtui.domain.draft import Draft
from runtui.domain.report import KnownBy, Outcome
from runtui.domain.triage.service_actions import ActionName, Operation, ServiceAction
from runtui.errors import RuntuiError
from runtui.graph.client import Answer, GraphClient
from runtui.graph.exchange import Exchange
from runtui.graph.retry import concerns_all
from runtui.graph.root import run_key
from runtui.services.records.journal import Entry, Journal, Settlement
from runtui.services.records.journal_file import broken_journal
from runtui.services.store.store import Store
from runtui.services.tasks import report_defect, side_by_side
from runtui.services.writing.drive import store_observed
from runtui.services.writing.proof import new_run, verdict, with_reading

_logger: Final = logging.getLogger("runtui.reconcile")

CHECK_INTERVALS: Final = (30.0, 120.0, 600.0)
"""Seconds between two checks of an unknown change; the last value repeats while it stays unknown."""

OLD_AFTER: Final = timedelta(days=1)
"""An older unknown change is checked once per session, and on request, because it will hardly arrive any more."""

CONCURRENT_READS: Final = 4
"""The most runs read back at the same time."""

MAX_OTHERS: Final = 20
"""The most other runs with unknown changes that are read back before a run is changed."""

SECONDS_FOR_OTHERS: Final = 3.0
"""The seconds before that change in which the reading of another run may still begin."""


def operation_of(entry: Entry) -> Operation:
    """Return the operation of an entry, as far as its object must be known to read it."""
    if not entry.action:
        return Draft(entry.run_id, entry.workflow_id, {})
    name, task = cast(ActionName, entry.action), str(entry.before.get("id", ""))
    return ServiceAction(name, entry.workflow_id, entry.run_id, task_result_id=task)


class Reconciler:
    """The unsettled changes of one root. `clock` (UTC) decides whether a change is old."""

    def __init__(
        self,
        client: GraphClient,
        journal: Journal,
        store: Store,
        root: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._journal = journal
        self._store = store
        self._root = root
        self._clock = clock
        self._were_read_back: set[int] = set()
        """The numbers of the changes that this session has read back."""
        self._task: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self.unsettled: dict[str, Entry] = {}
        """The newest change with an unknown outcome, by the key of its run (`run_key`)."""
        self.settled: dict[int, Entry] = {}
        """The changes that this session settled, by number."""
        self.has_checked_all = False
        """True once everything from earlier sessions was checked."""
        self.fault: RuntuiError | None = None
        """Why the journal could not be read; None if it could."""
        self.failed: Announcer[RuntuiError] = Announcer()
        """Announces that the journal cannot be read, each trouble once, and that it was found broken."""
        self._reported = ""
        self.changed: Announcer[Entry] = Announcer()
        """Announces an entry when it is found to be the newest unknown change of its run, and when it is settled."""

    def start(self) -> None:
        """Check the changes of earlier sessions, now and at each interval, and later those of this session."""
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="reconcile")
            self._task.add_done_callback(report_defect)

    def check_soon(self) -> None:
        """Check now, or once more after the current check, and restart the intervals: an outcome has become unknown."""
        self._nudge.set()

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def check_all(self, *, before_change_of: str | None = None) -> list[Entry]:
        """Read back the runs with an unsettled change; return all unsettled entries as they are afterwards.

        `before_change_of` is a run that is about to be changed: it is read first, and only some of the others, because
        the change waits. Trouble with the journal is in `fault`; a run that cannot be read leaves its entries as they
        are.
        """
        try:
            found, settled = await asyncio.to_thread(self._find)
            self.fault = None
            self._remember(found, settled)
            checked = await self._read_back_all(found, before_change_of)
            self.has_checked_all = True
            self._announce(self.broken)
            return [checked.get(entry.number, entry) for entry in found]
        except RuntuiError as error:
            self.fault = error
            self._announce(error)
            return []

    @property
    def broken(self) -> RuntuiError | None:
        """The message about a journal that was found broken; None for a sound one."""
        aside = self._journal.set_aside
        return broken_journal(aside) if aside is not None else None

    def _announce(self, trouble: RuntuiError | None) -> None:
        if trouble is not None and str(trouble) != self._reported:
            self._reported = str(trouble)
            self.failed.announce(trouble)

    async def check(self, number: int) -> Entry | None:
        """Read the run of one unknown change back; return the entry as it is afterwards, None if there is none.

        Raises:
            JournalError: the journal cannot be used.
        """
        entry = await asyncio.to_thread(self._entry, number)
        if entry is None:
            return None
        checked, _ = await self._read_back([entry])
        return checked[0]

    async def decide(self, number: int, outcome: Outcome) -> None:
        """Settle an unknown change by a person's decision; one in progress, or with a known outcome, stays as it is.

        Raises:
            JournalError: the journal cannot be used.
        """
        entry = await asyncio.to_thread(self._entry, number)
        if entry is not None and entry.outcome is Outcome.UNKNOWN:
            _logger.info("change #%d is %s by a person's word", number, outcome.value)
            await self._settle(entry, outcome, "person")

    def _find(self) -> tuple[list[Entry], list[Entry]]:
        """Return what `_found` does, after known outcomes that could not be written are written and entries whose
        process has ended have become unknown."""
        self._journal.settle_many(())
        for entry in self._journal.unsettled(self._root):
            if entry.outcome is None:
                self._call_unknown(entry)
        return self._found()

    def _found(self) -> tuple[list[Entry], list[Entry]]:
        """Return the entries to settle, and those of `unsettled` that were settled meanwhile, as by another runtui."""
        found = [entry for entry in self._journal.unsettled(self._root) if entry.outcome is not None]
        left = {entry.number for entry in found}
        gone = (self._journal.entry(entry.number) for entry in self.unsettled.values() if entry.number not in left)
        return found, [entry for entry in gone if entry is not None and entry.is_settled]

    def _entry(self, number: int) -> Entry | None:
        """Return one entry; it becomes unknown first if its process has ended."""
        entry = self._journal.entry(number)
        if entry is None or not self._journal.is_forgotten(entry):
            return entry
        self._call_unknown(entry)
        return self._journal.entry(number)

    def _call_unknown(self, entry: Entry) -> None:
        words = "runtui ended before the answer was there."
        _logger.info("change #%d is unknown: %s", entry.number, words)
        self._journal.settle(Settlement(entry.client_request_id, Outcome.UNKNOWN, "", words=words))

    async def _read_back_all(self, found: list[Entry], first_run: str | None) -> dict[int, Entry]:
        """Read back the runs of the due entries, several at the same time; return the entries afterwards, by number."""
        first = None if first_run is None else run_key(first_run)
        by_run: dict[str, list[Entry]] = {}
        for entry in found:
            if (key := run_key(entry.run_id)) == first or self._is_due(entry):
                by_run.setdefault(key, []).append(entry)
        runs = sorted(by_run, key=lambda key: key != first)
        remaining = iter(runs if first is None else runs[: MAX_OTHERS + 1])
        loop = asyncio.get_running_loop()
        end = None if first is None else loop.time() + SECONDS_FOR_OTHERS
        after: dict[int, Entry] = {}
        is_over = False

        async def work() -> None:
            nonlocal is_over
            for key in remaining:
                if is_over or (end is not None and key != first and loop.time() >= end):
                    return
                checked, exchange = await self._read_back(by_run[key])
                after.update((entry.number, entry) for entry in checked)
                is_over = is_over or (exchange is not None and concerns_all(exchange))

        await side_by_side(work, CONCURRENT_READS)
        return after

    def _is_due(self, entry: Entry) -> bool:
        return entry.number not in self._were_read_back or self._clock() - entry.opened_at < OLD_AFTER

    async def _read_back(self, entries: list[Entry]) -> tuple[list[Entry], Exchange | None]:
        """Read back the run of some entries; return the entries afterwards, and the reading if there was one."""
        if all(entry.outcome is not Outcome.UNKNOWN for entry in entries):
            return entries, None
        answers: dict[int, Answer] = {}
        """The objects of actions by entry number; the run of all other entries is under 0."""
        checked: list[Entry] = []
        for entry in entries:
            about = entry.number if entry.action else 0
            if about not in answers:
                answers[about] = await self._read(entry)
            answer = answers[about]
            if answer.entity is not None or answer.exchange.is_gone:
                self._were_read_back.add(entry.number)
            checked.append(entry if answer.entity is None else await self._judge(entry, answer))
        return checked, answer.exchange

    async def _read(self, entry: Entry) -> Answer:
        """Read the object of an entry and store it."""
        operation = operation_of(entry)
        if isinstance(operation, ServiceAction):
            answer = await self._client.observe(operation, before=entry.before)
        else:
            answer = await self._client.run(operation.workflow_id, operation.run_id)
        if answer.entity is not None:
            # If it cannot be stored for the list, the facts about the run are known nevertheless.
            with contextlib.suppress(RuntuiError):
                await asyncio.to_thread(store_observed, self._store, [(operation, answer.entity)])
        return answer

    async def _judge(self, entry: Entry, reading: Answer) -> Entry:
        others = await asyncio.to_thread(self._journal.of_run, entry.root, entry.run_id)
        found = verdict(entry, reading, others)
        _logger.info("unknown change #%d, read back: %s", entry.number, "done" if found.is_proof else found.why)
        if found.is_proof:
            made = new_run(entry, reading.entity or {}, others)
            return await self._settle(entry, Outcome.DONE, "read-back", made)
        if (words := with_reading(entry.words, found.why)) == entry.words:
            return entry
        still = Settlement(entry.client_request_id, Outcome.UNKNOWN, "", words=words)
        await asyncio.to_thread(self._journal.settle, still)
        return await asyncio.to_thread(self._journal.entry, entry.number) or entry

    async def _settle(self, entry: Entry, outcome: Outcome, known_by: KnownBy, new_run: str = "") -> Entry:
        words = entry.words if known_by == "person" else ""  # a proof ends the reason for the doubt
        found = Settlement(entry.client_request_id, outcome, known_by, words=words, new_run=new_run)
        await asyncio.to_thread(self._journal.settle, found)
        settled = await asyncio.to_thread(self._journal.entry, entry.number) or entry
        left, others = await asyncio.to_thread(self._found)
        self.settled[settled.number] = settled
        self._remember(left, [settled, *(other for other in others if other.number != settled.number)])
        return settled

    def _remember(self, found: list[Entry], settled: list[Entry]) -> None:
        before, self.unsettled = self.unsettled, {run_key(entry.run_id): entry for entry in reversed(found)}
        for key, entry in self.unsettled.items():
            if before.get(key) != entry:
                self.changed.announce(entry)
        for entry in settled:
            self.changed.announce(entry)

    async def _loop(self) -> None:
        step = 0
        while True:
            self._nudge.clear()
            await self.check_all()
            try:
                async with asyncio.timeout(CHECK_INTERVALS[min(step, len(CHECK_INTERVALS) - 1)]):
                    await self._nudge.wait()
                step = 0
            except TimeoutError:
                step += 1
