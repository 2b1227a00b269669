"""SaveQueue with a fake service, a real store and a real journal, and the outcomes of its saves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.times import parse_ticks
from runtui.graph.client import Answer
from runtui.services.records.journal import Entry, Journal
from runtui.services.store.store import Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save, Step
from tests import PATIENCE
from tests.unit.fake_writer import RUN, WORKFLOW, FakeGraph, answered, exchange, fault

ROOT = "http://127.0.0.1/beta"
NOW = parse_ticks("2026-11-20T09:15:03Z")


async def who() -> str:
    return "anna@contoso.com"


CONTEXT = WriteContext(ROOT, "Contoso", "prod", who)


def refused(
    status: int,
    outcome: Outcome = Outcome.NOT_DONE,
    *,
    code: str = "Refused",
    wait: str | None = None,
    method: str = "PATCH",
) -> Answer:
    """Return an answer with that status, and what it says about the write."""
    headers = (("Retry-After", wait),) if wait is not None else ()
    sent = replace(exchange(method), status=status, response_headers=headers)
    return Answer(sent, None, fault(outcome)._replace(status=status, code=code))


class Bench:
    """A fake service, a real store, a real journal."""

    def __init__(self, folder: Path) -> None:
        self.graph = FakeGraph()
        self.store = Store(folder / "runs.db")
        self.store.put_workflows([{"id": WORKFLOW, "displayName": "Onboard"}])
        self.store.put_runs(WORKFLOW, [RUN], self.store.next_listing())
        self.journal = Journal(folder / "journal.db")
        self.saves = SaveQueue(self.graph, self.store, self.journal, CONTEXT)
        self.news: list[Save] = []
        self.saves.changed.subscribe(self.news.append)
        self.applied = 0
        self.seen_by_journal: list[list[Entry]] = []
        """The entries of the journal when each PATCH arrived."""

    def close(self) -> None:
        self.journal.close()
        self.store.close()

    def answer_writes(self, *answers: Answer | None) -> None:
        """Answer the writes one by one; the last answer is repeated. None applies the write and answers with the
        run."""
        left = list(answers)

        def write(run_id: str) -> Answer:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer if answer is not None else answered(self.graph.held[run_id], method="PATCH")

        def apply(run_id: str, body: str) -> None:
            self.seen_by_journal.append(self.journal.entries())
            if left[0] is None:
                self.applied += 1
                FakeGraph.apply(self.graph, run_id, body)

        self.graph.on_write = write
        self.graph.apply = apply  # type: ignore[method-assign]

    async def ended(self, draft: Draft) -> Save:
        """Submit a draft and wait for its end."""
        self.saves.submit(draft)
        assert await self.saves.drain(PATIENCE) == 0
        return self.news[-1]

    async def reaches(self, step: Step) -> Save:
        """Wait until a save reaches a step."""
        if at_step := [save for save in self.saves.active() if save.step is step]:
            return at_step[0]
        reached = asyncio.Event()
        end = self.saves.changed.subscribe(lambda save: reached.set() if save.step is step else None)
        async with asyncio.timeout(PATIENCE):
            await reached.wait()
        end()
        return self.news[-1]

    @property
    def writes(self) -> int:
        return sum(call.startswith("PATCH") for call in self.graph.calls)

    def outcomes(self) -> list[tuple[Outcome | None, str, int | None]]:
        """Return the outcome, its source and the status of each journal entry, oldest first."""
        return [(entry.outcome, entry.known_by, entry.status) for entry in reversed(self.journal.entries())]

    async def leave_while_storing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Send a change, and leave while its run is being stored."""
        loop, storing, disk = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def slow(_workflow_id: str, *_raws: object) -> None:
            loop.call_soon_threadsafe(storing.set)
            assert disk.wait(PATIENCE)

        monkeypatch.setattr(self.store, "put_run", slow)
        self.saves.submit(draft())
        try:
            async with asyncio.timeout(PATIENCE):
                await storing.wait()
            await self.saves.abandon()
        finally:
            disk.set()


def draft(received: Mapping[str, Any] = RUN, run_id: str = "r1", **texts: str) -> Draft:
    some = Draft(run_id, WORKFLOW, {**received, "id": run_id})
    for name, text in (texts or {"processingStatus": "failed"}).items():
        some = some.typed(name, text, NOW)
    return some
