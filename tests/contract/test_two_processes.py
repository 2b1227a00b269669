"""One journal, several processes: no entry is lost, and no run is written by two at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from runtui.domain.report import Outcome
from runtui.services.records.journal import Entry, Journal
from runtui.settings import JOURNAL_FILE
from tests import PATIENCE
from tests.contract.conftest import Sandbox
from tests.contract.loopback import loopback
from tests.contract.writer_process import FIELD, writers

ROOT = "http://127.0.0.1/beta"


async def test_four_processes_lose_no_entry(tmp_path: Path) -> None:
    names, count = ["ada", "bob", "cyd", "dan"], 100
    async with writers(tmp_path) as started, asyncio.timeout(PATIENCE):
        at_work = [started.start(root=ROOT, name=name, count=count) for name in names]
        await asyncio.gather(*(writer.gone for writer in at_work))
    found = entries(tmp_path)
    assert sorted(entry.number for entry in found) == list(range(1, 4 * count + 1)), "each once, and none missing"
    assert {entry.outcome for entry in found} == {Outcome.DONE}
    for name, writer in zip(names, at_work, strict=True):
        mine = {entry.client_request_id: entry.number for entry in found if entry.run_id == name}
        assert mine == {f"{name}-{index}": number for index, number in enumerate(writer.said["numbers"])}


class Gate:
    """ASGI middleware that holds each PATCH until it is opened."""

    def __init__(self, app: ASGIApp, arrived: asyncio.Event, opened: asyncio.Event) -> None:
        self._app, self._arrived, self._opened = app, arrived, opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PATCH":
            self._arrived.set()
            await self._opened.wait()
        await self._app(scope, receive, send)


class Held(NamedTuple):
    """A sandbox that holds writes at a gate, and a run to write to."""

    app: Starlette
    arrived: asyncio.Event
    opened: asyncio.Event
    workflow_id: str
    run_id: str

    def order(self, root: str, value: int) -> dict[str, Any]:
        return {"root": root, "workflow_id": self.workflow_id, "run_id": self.run_id, "value": value}

    @property
    def applied(self) -> dict[str, int]:
        """The applied changes: the request id and the value of each."""
        return {write.client_request_id: write.body[FIELD] for write in self.app.state.applied}


@pytest.fixture
async def held(sandbox: Sandbox) -> Held:
    arrived, opened = asyncio.Event(), asyncio.Event()
    sandbox.app.add_middleware(Gate, arrived=arrived, opened=opened)
    workflow = await sandbox.workflow("Onboard pre-hire")
    run_id = (await sandbox.get(f"{workflow}/runs"))["value"][0]["id"]
    return Held(sandbox.app, arrived, opened, workflow.rpartition("/")[2], run_id)


def entries(folder: Path) -> list[Entry]:
    journal = Journal(folder / JOURNAL_FILE)
    try:
        return journal.entries(limit=10_000)
    finally:
        journal.close()


@pytest.mark.parametrize(("host", "version"), [("127.0.0.1", "beta"), ("localhost", "v1.0")])
async def test_the_second_of_two_processes_writing_one_run_sends_nothing_and_says_so(
    host: str, version: str, held: Held, tmp_path: Path
) -> None:
    async with loopback(held.app) as root, writers(tmp_path) as started, asyncio.timeout(PATIENCE):
        first = started.start(**held.order(root, 1001))
        await held.arrived.wait()
        other_name = root.replace("127.0.0.1", host).replace("beta", version)
        second = started.start(**held.order(other_name, 1002))
        await second.gone
        assert second.said == {
            "outcome": "not done",
            "fault": "Another runtui is writing this run",
            "unrecorded": False,
        }
        assert not first.gone.done()
        held.opened.set()
        await first.gone
        assert first.said == {"outcome": "done", "fault": "", "unrecorded": False}
        third = started.start(**held.order(root, 1003))
        await third.gone
        assert third.said["outcome"] == "done", "the run is free again"
    found = entries(tmp_path)
    assert held.applied == {entry.client_request_id: entry.after[FIELD] for entry in found}
    assert [(entry.after[FIELD], entry.outcome) for entry in found] == [(1003, Outcome.DONE), (1001, Outcome.DONE)]


async def test_a_run_whose_writer_was_killed_is_free_for_the_next(held: Held, tmp_path: Path) -> None:
    async with loopback(held.app) as root, writers(tmp_path) as started, asyncio.timeout(PATIENCE):
        first = started.start(**held.order(root, 1001))
        await held.arrived.wait()
        await first.kill()
        second = started.start(**held.order(root, 1002))
        held.opened.set()
        await second.gone
        assert (first.said, second.said["outcome"]) == ({}, "done")
    newer, older = entries(tmp_path)
    assert (newer.after[FIELD], newer.outcome) == (1002, Outcome.DONE)
    assert (older.after[FIELD], older.outcome) == (1001, None), "nobody has looked yet"
    assert held.applied[newer.client_request_id] == 1002
