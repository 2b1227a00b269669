"""Runs the commands in this process, with a connection to the sandbox that tests manipulate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.command_line import SessionSpec
from runtui.headless.bulk import entry_to_undo, undo_entry, update
from runtui.headless.changes import ChangeOptions
from runtui.services.records.journal import Entry, Journal, Settlement
from runtui.settings import JOURNAL_FILE, Settings
from tests.contract.conftest import WORKFLOWS
from tests.unit.entries import an_entry
from tests.unit.intents import record_intent

Out = pytest.CaptureFixture[str]
ROOT = "http://127.0.0.1/beta"
Bend = Callable[[httpx.Request, Callable[[], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]


class Line(httpx.AsyncBaseTransport):
    """A transport to the app in this process that records the requests, and lets a test answer those that write."""

    def __init__(self, app: Starlette) -> None:
        self._app = httpx.ASGITransport(app)
        self.bend: Bend = straight
        self.sent: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((request.method, request.url.path))
        if request.method == "GET" or request.url.path.endswith("$batch"):
            return await self._app.handle_async_request(request)
        self.bodies.append(request.content)
        return await self.bend(request, lambda: self._app.handle_async_request(request))

    def methods(self) -> list[str]:
        """The methods of the requests since the listing, in order."""
        return [method for method, path in self.sent if not path.endswith(("/runs", "/workflows"))]


async def straight(_request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    return await go_on()


def answer_with(status: int, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Bend:
    """Let the app carry the request out, but give the client another answer."""

    async def bend(request: httpx.Request, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        whole = json.loads(await (await go_on()).aread())
        body = change(whole)
        echo = {"client-request-id": request.headers["client-request-id"], "content-type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        return httpx.Response(status, headers=echo, stream=httpx.ByteStream(content))

    return bend


class Commands:
    """The commands of one person: a state folder and a sandbox."""

    def __init__(self, app: Starlette, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.line = Line(app)

    def server(self, **choices: Any) -> SessionSpec:
        facts: dict[str, Any] = {"root": ROOT, "tenant": "Contoso", "state_folder": self.folder}
        settings = Settings(**facts | choices)
        return SessionSpec(settings=settings, token=token, wire=self.line)

    def update(self, run_id: str, *assignments: str, workflow: str | None = None, **options: Any) -> int:
        return update(self.server(), [run_id], assignments, workflow_id=workflow, **{"yes": True, **options})

    def undo(self, number: int, **options: Any) -> int:
        return undo_entry(
            self.server(), entry_to_undo(self.folder, number, None), ChangeOptions(**{"yes": True, **options})
        )

    def a_run(self, status: str = "completed") -> tuple[str, str]:
        """Return the ids of a run with that status and of its workflow, from the server."""

        async def find() -> tuple[str, str]:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(self.app), base_url=ROOT, headers={"Authorization": "Bearer any"}
            ) as client:
                for workflow in (await client.get(WORKFLOWS)).json()["value"]:
                    for run in (await client.get(f"{WORKFLOWS}/{workflow['id']}/runs")).json()["value"]:
                        if run["processingStatus"] == status:
                            return run["id"], workflow["id"]
            raise AssertionError(f"no run is {status}")

        return asyncio.run(find())

    @property
    def applied(self) -> list[dict[str, Any]]:
        """The bodies of the changes that the sandbox applied."""
        return [write.body for write in self.app.state.applied]

    def entries(self) -> list[Entry]:
        """The journal entries, newest first."""
        journal = Journal(self.folder / JOURNAL_FILE)
        try:
            return journal.entries()
        finally:
            journal.close()

    def record(self, **facts: Any) -> int:
        """Add a journal entry as another session would leave it; return its number."""
        journal = Journal(self.folder / JOURNAL_FILE)
        entry = an_entry(**{"root": ROOT, "outcome": None} | facts)
        try:
            number = record_intent(journal, entry)
            if entry.outcome is not None:
                journal.settle(Settlement(entry.client_request_id, entry.outcome, entry.known_by))
        finally:
            journal.close()
        return number

    def methods(self) -> list[str]:
        """The methods of the requests, except that a listing appears as such."""
        return ["LIST" if path.endswith("/workflows") else method for method, path in self.line.sent
                if not path.endswith("/runs")]  # fmt: skip


async def token() -> str:
    return "a-token-for-the-sandbox"


def refusing(status: int, **headers: str) -> Bend:
    """Let Graph itself refuse the change, so that nothing is applied."""

    async def bend(request: httpx.Request, _go_on: Any) -> httpx.Response:
        echo = {"client-request-id": request.headers["client-request-id"], "content-type": "application/json"}
        body = json.dumps({"error": {"code": "refused", "message": "No."}}).encode()
        return httpx.Response(status, headers=echo | headers, stream=httpx.ByteStream(body))

    return bend


async def lost_on_the_way(_request: httpx.Request, _go_on: Any) -> httpx.Response:
    """Drop the request before the server gets it; the client cannot know that."""
    raise httpx.ReadError("reset")


async def lost_on_the_way_back(_request: httpx.Request, go_on: Any) -> httpx.Response:
    """Let the server apply the change, but drop its answer."""
    await go_on()
    raise httpx.ReadError("reset")
