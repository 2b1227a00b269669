"""Finding out what became of changes whose outcome is unknown, or whose process is gone: by reading the run back.

Invariant: only what the run itself shows makes a change done; that it does not show it proves nothing, because a write
may still land. So an unknown is looked at again, and in the end a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from runtui.errors import RuntuiError
from runtui.graph.exchange import Outcome
from runtui.graph.identity import run_key
from runtui.services.announcer import Announcer
from runtui.services.journal import Entry, Journal, KnownBy
from runtui.services.journal_file import broken_journal
from runtui.services.proof import finding
from runtui.services.save import RunWriter
from runtui.services.store import Store

LOOKS: Final = (30.0, 120.0, 600.0)
"""Seconds from one look at an unknown change to the next, for as long as it stays unknown; the last one goes on."""


class Settling:
    """The changes of one root that are still to be settled.

    Args:
        client: Reads the runs.
        journal: Holds the changes.
        store: Takes each run as read.
        root: The Graph root.
        looks: Seconds between looks.
    """

    def __init__(
        self, client: RunWriter, journal: Journal, store: Store, root: str, *, looks: tuple[float, ...] = LOOKS
    ) -> None:
        self._client = client
        self._journal = journal
        self._store = store
        self._root = root
        self._looks = looks
        self._task: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self.unsettled: dict[str, Entry] = {}
        """By the key of the run (`run_key`), the newest change that nobody knows the outcome of."""
        self.settled: dict[int, Entry] = {}
        """By number, what this session found out."""
        self.looked = False
        """Whether all that earlier sessions left was looked at once."""
        self.fault: RuntuiError | None = None
        """Why the journal could not be read; None when it could."""
        self.failed: Announcer[RuntuiError] = Announcer()
        """Told when the journal cannot be read, each trouble once, and when it was found broken."""
        self._told = ""
        self.changed: Announcer[Entry] = Announcer()
        """Told of each entry when it is found forgotten, and again when it is settled."""

    def start(self) -> None:
        """Look at what earlier sessions left, now and from time to time, and at what this one leaves."""
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="settling")

    def look_soon(self) -> None:
        """Begin the looks anew: something became unknown just now."""
        self._nudge.set()

    async def stop(self) -> None:
        """Look no further."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def look(self) -> list[Entry]:
        """Read back every run with an unsettled change; the entries as they are after that.

        Trouble with the journal is in `fault`; a run that cannot be read leaves its entry as it is.
        """
        try:
            found = await asyncio.to_thread(self._find)
            self.fault = None
            self._remember(found)
            looked = [await self._look_at(entry) for entry in found]
            self.looked = True
            self._tell(self.broken)
            return looked
        except RuntuiError as error:
            self.fault = error
            self._tell(error)
            return []

    @property
    def broken(self) -> RuntuiError | None:
        """What is to be said of a journal that was found broken; None of a sound one."""
        aside = self._journal.set_aside
        return broken_journal(aside) if aside is not None else None

    def _tell(self, trouble: RuntuiError | None) -> None:
        if trouble is not None and str(trouble) != self._told:
            self._told = str(trouble)
            self.failed.announce(trouble)

    async def look_at(self, number: int) -> Entry | None:
        """Read one unknown change's run back; the entry as it is after that, None when there is none.

        Raises:
            JournalError: when the journal cannot be used.
        """
        entry = await asyncio.to_thread(self._entry, number)
        return None if entry is None else await self._look_at(entry)

    async def decide(self, number: int, outcome: Outcome) -> None:
        """Settle an unknown change by a person's word; one that is on its way, or known, stays as it is.

        Raises:
            JournalError: when the journal cannot be used.
        """
        entry = await asyncio.to_thread(self._entry, number)
        if entry is not None and entry.outcome is Outcome.UNKNOWN:
            await self._settle(entry, outcome, "person")

    def _find(self) -> list[Entry]:
        """The entries to be settled; those whose process is gone are called unknown first."""
        for entry in self._journal.unsettled(self._root):
            if entry.outcome is None:
                self._call_unknown(entry)
        return [entry for entry in self._journal.unsettled(self._root) if entry.outcome is not None]

    def _entry(self, number: int) -> Entry | None:
        """One entry; it is called unknown first when its process is gone."""
        entry = self._journal.entry(number)
        if entry is None or not self._journal.is_forgotten(entry):
            return entry
        self._call_unknown(entry)
        return self._journal.entry(number)

    def _call_unknown(self, entry: Entry) -> None:
        words = "runtui ended before the answer was there."
        self._journal.settle(entry.client_request_id, Outcome.UNKNOWN, "", words=words)

    async def _look_at(self, entry: Entry) -> Entry:
        if entry.outcome is not Outcome.UNKNOWN:
            return entry
        answer = await self._client.run(entry.workflow_id, entry.run_id)
        if answer.entity is None:
            return entry
        # Where the list cannot be brought up to date, what the run shows is known all the same.
        with contextlib.suppress(RuntuiError):
            await asyncio.to_thread(self._store.put_run, entry.workflow_id, answer.entity)
        found = finding(entry, answer, await asyncio.to_thread(self._journal.of_run, entry.root, entry.run_id))
        if found.is_proof:
            return await self._settle(entry, Outcome.DONE, "read-back")
        if found.why in entry.words:
            return entry
        words = f"{entry.words} {found.why}".strip()
        await asyncio.to_thread(self._journal.settle, entry.client_request_id, Outcome.UNKNOWN, "", words=words)
        return await asyncio.to_thread(self._journal.entry, entry.number) or entry

    async def _settle(self, entry: Entry, outcome: Outcome, known_by: KnownBy) -> Entry:
        await asyncio.to_thread(self._journal.settle, entry.client_request_id, outcome, known_by, words=entry.words)
        settled = await asyncio.to_thread(self._journal.entry, entry.number) or entry
        self._remember(await asyncio.to_thread(self._journal.unsettled, self._root))
        self.settled[settled.number] = settled
        self.changed.announce(settled)
        return settled

    def _remember(self, found: list[Entry]) -> None:
        before, self.unsettled = self.unsettled, {run_key(entry.run_id): entry for entry in reversed(found)}
        for entry in found:
            if before.get(run_key(entry.run_id)) != entry:
                self.changed.announce(entry)

    async def _go_on(self) -> None:
        look = 0
        while True:
            await self.look()
            self._nudge.clear()
            try:
                async with asyncio.timeout(self._looks[min(look, len(self._looks) - 1)]):
                    await self._nudge.wait()
                look = 0
            except TimeoutError:
                look += 1
