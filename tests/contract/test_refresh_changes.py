"""The requests of a refresh to the sandbox, with and without changed runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.auth.tokens import StaticToken
from runtui.domain.times import format_ticks
from runtui.graph.paths import runs_path
from runtui.headless.runs import list_runs
from runtui.services.store.store import EVERY_RUN, stored_runs
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from tests.contract.conftest import Clock, Sandbox
from tests.contract.headless_commands import ROOT, Commands


class Counted(httpx.AsyncBaseTransport):
    """Carries requests to the app and records their addresses."""

    def __init__(self, app: Starlette) -> None:
        self._app = httpx.ASGITransport(app)
        self.sent: list[httpx.URL] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request.url)
        return await self._app.handle_async_request(request)


@pytest.fixture
async def wire(sandbox_app: Starlette) -> Counted:
    return Counted(sandbox_app)


@pytest.fixture
async def workspace(wire: Counted, tmp_path: Path) -> AsyncIterator[Workspace]:
    """A workspace that has listed everything, in pages of seven."""
    settings = Settings(tenant="Contoso", root=ROOT, state_folder=tmp_path, page_size=7)
    workspace = Workspace(settings, tmp_path / "runs.db", StaticToken("any-token-will-do"), wire=wire)
    workspace.connect(ROOT)
    await workspace.refresh.list_once()
    assert workspace.refresh.progress.why_incomplete is None
    wire.sent.clear()
    yield workspace
    await workspace.close()


async def test_a_refresh_with_nothing_changed_costs_one_request_per_workflow(
    workspace: Workspace, wire: Counted, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(3_000)  # no run changes any more, and none is within the overlap
    await workspace.refresh.list_once()
    clock.advance(600)
    await workspace.refresh.list_once()
    workflows = {workflow["id"] for workflow in workspace.store.workflows()}
    wire.sent.clear()
    announced: list[Any] = []
    workspace.store.changed.subscribe(announced.append)
    received: list[Any] = []
    put = workspace.store.put_runs

    def put_received(workflow_id: str, runs: Any, *rest: Any) -> list[int]:
        received.extend(runs)
        return put(workflow_id, runs, *rest)

    monkeypatch.setattr(workspace.store, "put_runs", put_received)
    clock.advance(30)
    await workspace.refresh.list_once()
    listings = [url for url in wire.sent if url.path.endswith("/runs")]
    assert len(listings) == len(workflows)
    assert {url.path.split("/")[-2] for url in listings} == workflows
    assert all(url.params["$filter"].startswith("lastUpdatedDateTime ge 2026-11-20T1") for url in listings)
    untold = {row.id for row in workspace.store.window(EVERY_RUN, 0, 999) if row.number("updated") is None}
    assert len(received) == len(untold) < 5
    assert announced == []


async def test_a_run_that_somebody_changes_or_that_does_not_tell_when_it_changed_is_read(
    workspace: Workspace, sandbox: Sandbox, clock: Clock
) -> None:
    clock.advance(1_200)
    first, second = workspace.store.window(EVERY_RUN, 0, 2)
    change = {"failedTasksCount": 77}
    answer = await sandbox.client.patch(f"/workflowBase/runs/{first.id}", json=change)
    assert answer.is_success
    sandbox.app.state.database.write_run(second.id, {"failedTasksCount": 78, "lastUpdatedDateTime": None})
    clock.advance(30)
    await workspace.refresh.list_once()
    found = {row.id: row.number("failedTasks") for row in workspace.store.window(EVERY_RUN, 0, 999)}
    assert (found[first.id], found[second.id]) == (77, 78)
    everything = {run["id"]: run for run in await sandbox.runs()}
    assert {run.run_id: run.raw for run in stored_runs(workspace.store, everything)} == everything


async def test_the_filter_is_what_the_service_documents(sandbox: Sandbox, clock: Clock) -> None:
    """Bare date-times; `ge`, `eq` and `or` on lastUpdatedDateTime (API page "run resource type")."""
    workflow = await sandbox.workflow("Onboard pre-hire")
    every = [run for page in await sandbox.pages(f"{workflow}/runs") for run in page]
    since = clock.ticks - 10 * 86_400 * 10_000_000
    path = runs_path(workflow.rpartition("/")[2], since)
    assert path.endswith(f"ge%20{format_ticks(since).replace(':', '%3A')}%20or%20lastUpdatedDateTime%20eq%20null")
    found = [run for page in await sandbox.pages(path) for run in page]
    moments = {run["id"]: run["lastUpdatedDateTime"] for run in every}
    assert found == [run for run in every if (moments[run["id"]] or "z") >= format_ticks(since)]
    assert None in {run["lastUpdatedDateTime"] for run in found}
    assert 0 < len(found) < len(every)


def test_a_command_reads_what_changed_since_another_one_unless_it_is_reported_to_read_all(
    sandbox_app: Starlette, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wire = Counted(sandbox_app)
    server = Commands(sandbox_app, tmp_path).server()._replace(wire=wire)
    how: dict[str, Any] = {"filter_text": "", "columns": "", "sort": "", "limit": None, "output": "jsonl"}
    asked = []
    printed = []
    for full in (False, False, True):
        wire.sent.clear()
        assert list_runs(server, full=full, **how) == 0
        asked.append({"$filter" in url.params for url in wire.sent if url.path.endswith("/runs")})
        runs = [json.loads(line)["run"] for line in capsys.readouterr().out.splitlines()]  # as they were read
        printed.append(sorted(runs, key=lambda run: str(run["id"])))
    assert asked == [{False}, {True}, {False}]
    assert printed[0] == printed[1] == printed[2]
    assert len(printed[0]) > 100
