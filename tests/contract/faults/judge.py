"""The judge of the fault list: what the server applied, against what runtui tells and what its journal says.

Invariant: `Trial.judge` finds every disagreement: "done" of what was not applied, "not done" of what was, or ever will
be, a change that was sent without an entry or more often than its entry says. The stack is the real one, from the save
to the socket; only time is the test's own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph import transport
from runtui.headless.changes import message_of
from runtui.services.journal import Entry
from runtui.services.workspace import Workspace
from runtui.services.writing.save import Save, Step
from runtui.settings import Settings
from tests import canary
from tests.contract.conftest import Clock
from tests.contract.faults.meddling import MeddlingProxy

DONE: Final = Outcome.DONE
NOT_DONE: Final = Outcome.NOT_DONE
UNKNOWN: Final = Outcome.UNKNOWN

DEADLINE: Final = 31.0
"""Seconds after which a request that is not over has been given up."""

COUNT: Final = "failedTasksCount"
"""The property that a case changes."""

_HANGS: Final = 1_000_000.0
"""Seconds, on a clock that tests put forward, after which a save is called stuck."""


class LoopTime:
    """The event loop's clock, which a test puts forward: a deadline passes without a wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real, sleep = loop.time, asyncio.sleep
        self._ahead = 0.0
        self.slept: list[float] = []
        """The pauses that were asked for; none is waited for."""

        async def no_sleep(seconds: float, *_result: object) -> None:
            if seconds > 0:
                self.slept.append(seconds)
            await sleep(0)

        monkeypatch.setattr(loop, "time", lambda: real() + self._ahead)
        monkeypatch.setattr(asyncio, "sleep", no_sleep)

    def forward(self, seconds: float = DEADLINE) -> None:
        self._ahead += seconds

    async def settle_down(self) -> None:
        """Let whatever needs neither time nor anybody's answer come to rest."""
        for _ in range(100):
            await asyncio.sleep(0)


class Token:
    """Signs in. It is asked for before each request, so it is also the place between the read and the write."""

    def __init__(self) -> None:
        self.before_write: Callable[[], Awaitable[None]] | None = None
        """What happens once, when the intent is recorded and no byte of it has left."""
        self.fault: RuntuiError | None = None
        self.others = 0
        """How many tokens there are to try with after this one."""
        self.writing = False

    async def __call__(self) -> str:
        if self.writing and self.before_write is not None:
            action, self.before_write = self.before_write, None
            await action()
        if self.fault is not None:
            raise self.fault
        return canary.TOKEN

    async def renew(self, _challenge: str, /) -> bool:
        self.others -= 1
        return self.others >= 0


class Trial:
    """One runtui, the proxy it talks through, and the sandbox that knows the truth."""

    def __init__(
        self,
        app: Starlette,
        line: MeddlingProxy,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        workflow_id: str,
        run_id: str,
        is_bulk: bool = False,
    ) -> None:
        """A stage on which one change goes alone, or by the driver of many (`is_bulk`)."""
        self.app = app
        self.clock: Clock = app.state.clock
        self.line = line
        self.monkeypatch = monkeypatch
        self.time = LoopTime(monkeypatch)
        self.token = Token()
        self.news: list[Save] = []
        self._folder = folder
        self._workspace: Workspace | None = None
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.is_bulk = is_bulk

    # The stage

    def connect(
        self, *, root: str = "", secure: bool = False, choices: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """Open a session through the proxy; `choices` are settings, `options` those of the transport."""
        at = root or f"{'https' if secure else 'http'}://localhost:{self.line.port}/beta"
        real = transport.Transport
        self.monkeypatch.setattr(transport, "Transport", lambda root, **usual: real(root, **{**usual, **options}))
        settings = Settings(root=at, tenant="Contoso", state_folder=self._folder, **(choices or {}))
        self._workspace = Workspace(settings, self._folder / "runs.db", self.token)
        self._workspace.connect(at)
        assert self._workspace.client  # it is built when it is asked for
        self.monkeypatch.setattr(transport, "Transport", real)
        self._workspace.saves.changed.subscribe(self._follow)
        self._workspace.store.put_workflows([{"id": self.workflow_id, "displayName": "Onboard"}])
        self._workspace.store.put_run(self.workflow_id, self.truth())

    @property
    def workspace(self) -> Workspace:
        """The session; opened as usual if no test has opened it in its own way."""
        if self._workspace is None:
            self.connect()
        assert self._workspace is not None
        return self._workspace

    async def close(self) -> None:
        """End the session; the next one counts its saves anew."""
        if self._workspace is not None:
            await self._workspace.close()
        self.news.clear()

    def truth(self) -> dict[str, Any]:
        """The run as it stands in the sandbox."""
        found: dict[str, Any] | None = self.app.state.scenario.sandbox.stored_run(self.run_id)
        assert found is not None
        return found

    def colleague_writes(self, **values: Any) -> None:
        """Somebody else changes the run, past this proxy."""
        self.app.state.database.write_run(self.run_id, values)

    def _follow(self, save: Save) -> None:
        self.news.append(save)
        self.token.writing = save.step is Step.SENDING

    # The act

    def draft(self, **values: Any) -> Draft:
        """The run as it is now, with other values; by itself a number that it never had."""
        received = self.truth()
        return Draft(self.run_id, self.workflow_id, received).with_values(values or {COUNT: 4_711})

    def submit(self, draft: Draft | None = None) -> int:
        """Begin to write a draft; the number of the save."""
        saves, draft = self.workspace.saves, draft or self.draft()
        return saves.submit_many([draft]).saves[0].number if self.is_bulk else saves.submit(draft).number

    async def save(self, draft: Draft | None = None) -> Save:
        """Write a draft; the save as it ended."""
        number = self.submit(draft)
        assert await self.workspace.saves.drain(_HANGS) == 0, "it hangs"
        return self.told(number)

    def told(self, number: int) -> Save:
        """A save as it ended: what the screen shows."""
        (end,) = [save for save in self.news if save.number == number and not save.active]
        return end

    # The verdict

    async def judge(
        self, save: Save, outcome: Outcome, *, patches: int = 1, entries: tuple[Outcome, ...] | None = None
    ) -> None:
        """Hold what was told, the journal and the server's log against each other, now and once it was read back.

        Args:
            save: As it ended.
            outcome: What it must be told as.
            patches: How many changes the server saw.
            entries: What the journal must say of each attempt, oldest first; by itself one that says the same.
        """
        assert save.outcome is outcome, save
        assert len(self.line.writes) == patches
        wanted = (outcome,) if entries is None else entries
        assert tuple(entry.outcome for entry in self.entries()) == wanted
        assert self.contradictions() == []
        assert self.slips_of(save) == []
        await self.workspace.reconciler.check_all()
        assert self.contradictions() == [], "after reading back"
        if wanted and wanted[-1] is UNKNOWN:
            last = self.entries()[-1]
            is_applied = last.client_request_id in self.applied()
            assert last.outcome is (DONE if is_applied else UNKNOWN), "reading back tells as much as can be known"

    def entries(self) -> list[Entry]:
        """The journal, oldest first."""
        return self.workspace.journal.entries()[::-1]

    def applied(self) -> Counter[str]:
        """How often the sandbox carried out what was sent under each id."""
        return Counter(write.client_request_id for write in self.app.state.applied)

    def contradictions(self) -> list[str]:
        """Where the journal says something else than the server's log."""
        applied = self.applied()
        arrived = Counter(call.client_request_id for call in self.line.writes)
        found = [f"{name}: sent without an entry" for name in arrived - Counter(self._recorded())]
        for entry in self.entries():
            name = entry.client_request_id
            if entry.outcome is DONE and not applied[name]:
                found.append(f"entry {entry.number}: done, and was not applied")
            if entry.outcome is NOT_DONE and applied[name]:
                found.append(f"entry {entry.number}: not done, and was applied")
            if applied[name] > 1 or (entry.sends > 1 and entry.if_match is None):
                found.append(f"entry {entry.number}: repeated what may have been applied")
        return found

    def _recorded(self) -> Counter[str]:
        return Counter({entry.client_request_id: entry.sends for entry in self.entries()})

    def slips_of(self, save: Save) -> list[str]:
        """Where what is told of a save contradicts itself or the journal."""
        found = []
        entry = self.workspace.journal.entry(save.entry) if save.entry is not None else None
        if entry is not None and entry.outcome is not save.outcome and not save.unrecorded:
            found.append(f"told {save.outcome}, recorded {entry.outcome}")
        if entry is None and save.outcome is not NOT_DONE:
            found.append("sent without an entry")
        if save.fault is not None and save.fault.outcome is not save.outcome:
            found.append(f"told {save.outcome}, for a fault that says {save.fault.outcome}")
        if (save.outcome is UNKNOWN) is not (f"runtui journal {save.entry} shows what is known" in message_of(save)):
            found.append(f"told {save.outcome}, and said: {message_of(save)}")
        return found
