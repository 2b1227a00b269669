"""The client against the embedded sandbox: two programs that share nothing but the Graph reference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.filters import parse_filter
from runtui.domain.report import Outcome
from runtui.domain.times import now_ticks
from runtui.graph.client import GraphClient, RunUpdate
from runtui.graph.exchange import Exchange
from runtui.graph.pages import CollectionPage, GraphError
from runtui.graph.transport import Transport
from runtui.sandbox.app import create_app
from runtui.services.results import ResultReader
from runtui.services.store.store import EVERY_RUN, RunQuery, Store


async def token() -> str:
    return "canary.token-0123456789"


@pytest.fixture
def hostile() -> bool:
    return True


@pytest.fixture
def app(hostile: bool) -> Starlette:
    return create_app(runs=240, seed=7, hostile=hostile)


@pytest.fixture
def exchanges() -> list[Exchange]:
    return []


@pytest.fixture
async def graph(app: Starlette, exchanges: list[Exchange]) -> AsyncIterator[GraphClient]:
    wire = httpx.ASGITransport(app)
    root = "https://sandbox.example/beta"
    async with Transport(root, token=token, on_exchange=exchanges.append, wire=wire) as transport:
        yield GraphClient(transport)


async def items(listing: AsyncIterator[CollectionPage]) -> list[dict[str, Any]]:
    return [item async for page in listing for item in page.items]


async def first_run(graph: GraphClient, status: str) -> tuple[str, dict[str, Any]]:
    """Return a run with that status and the id of its workflow."""
    for workflow in await items(graph.workflows()):
        for run in await items(graph.runs(workflow["id"])):
            if run["processingStatus"] == status:
                return workflow["id"], run
    raise AssertionError(f"no run is {status}")


@pytest.mark.parametrize("page_size", [7, 999])
async def test_every_run_of_every_workflow_is_listed_once_whatever_the_page_size(
    app: Starlette, page_size: int
) -> None:
    async with Transport("https://sandbox.example/beta", token=token, wire=httpx.ASGITransport(app)) as transport:
        graph = GraphClient(transport, page_size=page_size)
        workflows = await items(graph.workflows())
        ids = [run["id"] for flow in workflows for run in await items(graph.runs(flow["id"]))]
    assert len(ids) == len(set(ids)) == 240


async def test_each_answer_is_ours_and_carries_the_servers_id(graph: GraphClient, exchanges: list[Exchange]) -> None:
    await items(graph.workflows())
    assert all(exchange.request_id for exchange in exchanges)
    assert all(exchange.response_header("client-request-id") == exchange.client_request_id for exchange in exchanges)


async def test_a_run_and_the_results_of_its_tasks(graph: GraphClient) -> None:
    workflow_id, run = await first_run(graph, "failed")
    answer = await graph.run(workflow_id, run["id"])
    assert answer.entity is not None
    assert answer.entity.items() >= {name: run[name] for name in ("id", "processingStatus", "totalUsersCount")}.items()
    tasks = await items(graph.results.task_results(workflow_id, run["id"]))
    assert any(task["failureReason"] for task in tasks)


async def test_a_value_it_refuses_is_not_done_and_names_the_property(graph: GraphClient, app: Starlette) -> None:
    workflow_id, run = await first_run(graph, "failed")
    answer = await graph.update_run(RunUpdate(workflow_id, run["id"], '{"failedTasksCount": "three"}'))
    assert answer.fault is not None
    assert (answer.fault.outcome, answer.fault.status) == (Outcome.NOT_DONE, 400)
    assert "failedTasksCount" in answer.fault.message
    assert app.state.applied == []


async def test_a_run_that_is_not_there(graph: GraphClient) -> None:
    workflow_id, _run = await first_run(graph, "failed")
    answer = await graph.run(workflow_id, "no-such-run")
    assert answer.fault is not None
    assert (answer.fault.status, answer.fault.title) == (404, "Not found")
    with pytest.raises(GraphError):
        await items(graph.runs("no-such-workflow"))


async def test_a_path_that_nobody_offers_is_called_that(app: Starlette) -> None:
    wire = httpx.ASGITransport(app)
    async with Transport("https://sandbox.example/beta", token=token, wire=wire) as transport:
        answer = await GraphClient(transport, patch_path="/elsewhere/{runId}").update_run(RunUpdate("w1", "r1", "{}"))
    assert answer.fault is not None
    assert answer.fault.title == "This service does not offer this change"
    assert answer.fault.outcome is Outcome.NOT_DONE


@pytest.mark.parametrize("hostile", [False])
async def test_the_causes_of_23_runs_are_there_after_three_requests(
    graph: GraphClient, exchanges: list[Exchange], tmp_path: Path
) -> None:
    store = Store(tmp_path / "state" / "runs.db")
    workflows = await items(graph.workflows())
    store.put_workflows(workflows)
    left = 23
    for workflow in workflows:
        failed = [run for run in await items(graph.runs(workflow["id"])) if run["failedTasksCount"]][:left]
        store.put_runs(workflow["id"], failed, store.next_listing())
        left -= len(failed)
    assert left == 0
    exchanges.clear()
    reader = ResultReader(graph, store)
    reader.read_in_background(EVERY_RUN)
    await until_read(reader)
    progress = reader.progress
    assert (progress.read, progress.total, progress.unreadable, progress.fault) == (23, 23, 0, None)
    assert [exchange.purpose for exchange in exchanges] == ["read results"] * 3
    causes = store.causes(EVERY_RUN)
    assert 1 < len(causes) < 10
    assert sum(cause.runs for cause in causes) >= 23
    for cause in causes:
        assert store.count(RunQuery(parse_filter(f"cause:{cause.key}", now_ticks()))) == cause.runs
    name = store.people("", 1)[0].name
    assert store.count(RunQuery(parse_filter(f'user:"{name}"', now_ticks()))) > 0
    assert all(person.user_principal_name for person in store.people("", 99))
    store.close()


async def until_read(reader: ResultReader) -> None:
    over = asyncio.Event()
    reader.changed.subscribe(lambda progress: None if progress.reading else over.set())
    await over.wait()
