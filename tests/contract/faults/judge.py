"""The judge of the fault list: compares what the server applied with what runtui reports and what its journal records.

Invariant: `Trial.judge` finds every disagreement: "done" for a change that was not applied, "not done" for one that was
or may still be, a change that was sent without an entry or more often than its entry says. All code from the save to
the socket is the real code; only the clock belongs to the test.
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
from runtui.services.records.journal import Entry
from runtui.services.workspace import Workspace
from runtui.services.writing.write import Save, Step
from runtui.settings import Settings
from tests import canary
from tests.contract.conftest import Clock
from tests.contract.faults.meddling import MeddlingProxy

DONE: Final = Outcome.DONE
NOT_DONE: Final = Outcome.NOT_DONE
UNKNOWN: Final = Outcome.UNKNOWN

DEADLINE: Final = 31.0
"""Seconds after which runtui has given up any request."""

COUNT: Final = "failedTasksCount"
"""The property that a case changes."""

_HANGS: Final = 1_000_000.0
"""Seconds, on the clock of the test, after which a save counts as stuck."""


class LoopTime:
    """The clock of the event loop, which a test moves forward: a deadline passes without a wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real, sleep = loop.time, asyncio.sleep
        self._ahead = 0.0
        self.slept: list[float] = []
        """The pauses that the program asked for; none of them takes time."""

        async def no_sleep(seconds: float, *_result: object) -> None:
            if seconds > 0:
                self.slept.append(seconds)
            await sleep(0)

        monkeypatch.setattr(loop, "time", lambda: real() + self._ahead)
        monkeypatch.setattr(asyncio, "sleep", no_sleep)

    def forward(self, seconds: float = DEADLINE) -> None:
        self._ahead += seconds

    async def settle_down(self) -> None:
        """Run everything that waits for neither time nor an answer."""
        for _ in range(100):
            await asyncio.sleep(0)


class Token:
    """A token source. runtui calls it before each request, so a test can also act between the read and the write."""

    def __init__(self) -> None:
        self.before_write: Callable[[], Awaitable[None]] | None = None
        """Called once, after the intent is recorded and before its first byte is sent."""
        self.fault: RuntuiError | None = None
        self.others = 0
        """The number of tokens to try after this one."""
        self.writing = False

    async def __call__(self) -> str:
        if self.writing and self.before_write is not None:
            action, self.before_write = self.before_write, None
            await action()
        if self.fault is not None:
            raise self.fault
        return canary.TOKEN

    next_step = "Sign in again."

    async def renew(self, _challenge: str, /) -> bool:
        self.others -= 1
        return self.others >= 0


class Trial:
    """A runtui session, the proxy that it uses, and the sandbox, whose log is the truth."""

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
        """Prepare a trial of a single change, or of a bulk change of one run (`is_bulk`)."""
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
        """The session. It is opened with the defaults unless the test has opened it."""
        if self._workspace is None:
            self.connect()
        assert self._workspace is not None
        return self._workspace

    async def close(self) -> None:
        """End the session; the saves of the next one are counted from the start."""
        if self._workspace is not None:
            await self._workspace.close()
        self.news.clear()

    def truth(self) -> dict[str, Any]:
        """Return the run as the sandbox has it."""
        found: dict[str, Any] | None = self.app.state.database.run(self.run_id)
        assert found is not None
        return found

    def colleague_writes(self, **values: Any) -> None:
        """Change the run as somebody else, not through this proxy."""
        self.app.state.database.write_run(self.run_id, values)

    def _follow(self, save: Save) -> None:
        self.news.append(save)
        self.token.writing = save.step is Step.SENDING

    # The act

    def draft(self, **values: Any) -> Draft:
        """Return a draft of the run as it is now with other values; by default a count that it never had."""
        received = self.truth()
        return Draft(self.run_id, self.workflow_id, received).with_values(values or {COUNT: 4_711})

    def submit(self, draft: Draft | None = None) -> int:
        """Submit a draft; return the number of the save."""
        saves, draft = self.workspace.saves, draft or self.draft()
        return saves.submit_many([draft]).saves[0].number if self.is_bulk else saves.submit(draft).number

    async def save(self, draft: Draft | None = None) -> Save:
        """Submit a draft; return the save at its end."""
        number = self.submit(draft)
        assert await self.workspace.saves.drain(_HANGS) == 0, "it hangs"
        return self.told(number)

    def told(self, number: int) -> Save:
        """Return a save at its end, as the screen shows it."""
        (end,) = [save for save in self.news if save.number == number and not save.active]
        return end

    # The verdict

    async def judge(
        self, save: Save, outcome: Outcome, *, patches: int = 1, entries: tuple[Outcome, ...] | None = None
    ) -> None:
        """Compare the report, the journal and the log of the server, now and after the run was read back.

        Args:
            save: The save at its end.
            outcome: The outcome that has to be reported.
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
        """Return the entries of the journal, oldest first."""
        return self.workspace.journal.entries()[::-1]

    def applied(self) -> Counter[str]:
        """Return how often the sandbox applied the change with each request id."""
        return Counter(write.client_request_id for write in self.app.state.applied)

    def contradictions(self) -> list[str]:
        """Return the sentences about differences between the journal and the log of the server."""
        applied = self.applied()
        arrived = Counter(call.client_request_id for call in self.line.writes)
        found = [f"{name}: sent without an entry" for name in arrived - Counter(self._recorded())]
        for entry in self.entries():
            name = entry.client_request_id
            if entry.outcome is DONE and not applied[name]:
                found.append(f"entry {entry.number}: done, and was not applied")
            if entry.outcome is NOT_DONE and applied[name]:
                found.append(f"entry {entry.number}: not done, and was applied")
            if applied[name] > 1:
                found.append(f"entry {entry.number}: repeated what may have been applied")
        return found

    def _recorded(self) -> Counter[str]:
        return Counter(entry.client_request_id for entry in self.entries())

    def slips_of(self, save: Save) -> list[str]:
        """Return the sentences about contradictions in the report of a save, or between it and the journal."""
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
