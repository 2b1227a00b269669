"""$filter and pages: every run occurs exactly once, for every query."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtui.domain.times import parse_ticks
from runtui.sandbox.app import create_app
from tests.contract.conftest import WORKFLOWS, Clock, Sandbox

OLD = "2026-11-18T00:00:00Z"
CLAUSES = (
    "processingStatus eq 'completed'",
    "processingStatus eq 'failed' or processingStatus eq 'completedWithErrors'",
    "completedDateTime eq null",
    f"lastUpdatedDateTime ge {OLD} or lastUpdatedDateTime eq null",
)


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        (CLAUSES[0], lambda run: run["processingStatus"] == "completed"),
        (CLAUSES[1], lambda run: run["processingStatus"] in {"failed", "completedWithErrors"}),
        (CLAUSES[2], lambda run: run["completedDateTime"] is None),
        (CLAUSES[3], lambda run: (run["lastUpdatedDateTime"] or OLD) >= OLD),
        (
            "completedDateTime ge 2026-11-19T13:00:00+01:00",
            lambda run: run["completedDateTime"] is not None and run["completedDateTime"] >= "2026-11-19T12:00:00Z",
        ),
        ("activatedOnScope eq null", lambda run: run["activatedOnScope"] is None),
    ],
)
async def test_a_filter_keeps_exactly_what_it_says(sandbox: Sandbox, clause: str, holds: Any) -> None:
    every = await sandbox.runs()
    kept = await sandbox.runs(filter=clause)
    assert kept == [run for run in every if holds(run)]
    assert kept


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("filter", "nope eq 1", "Could not find a property named 'nope'"),
        ("filter", "rowid eq 1", "Could not find a property named 'rowid'"),
        ("filter", "workflowId eq 'x'", "Could not find a property named 'workflowId'"),
        ("filter", "processingStatus eq 'finished'", "'finished' is no member"),
        ("filter", "ProcessingStatus eq 'failed'", "Could not find a property named 'ProcessingStatus'"),
        ("filter", "processingStatus ge 'failed'", "supports the operator eq only"),
        ("filter", "processingStatus eq 5", "is of another type"),
        ("filter", "totalUsersCount eq '5'", "is of another type"),
        ("filter", "totalUsersCount eq 5", "is of another type"),
        ("filter", "startedDateTime ge 2026-11-01", "Invalid filter clause"),
        ("filter", "startedDateTime ge '2026-11-01T00:00:00Z'", "is of another type"),
        ("filter", "startedDateTime ge 2026-11-01T00:00:00.12345678Z", "at most 7"),
        ("filter", "startedDateTime ge 2026-11-01T00:00:00", "Z or an offset"),
        ("filter", "activatedOnScope eq 'x'", "is of another type"),
        ("filter", "startswith(id, 'f')", "only comparisons"),
        ("filter", "completedDateTime eq null and id eq 'x'", "only comparisons"),
        ("filter", "id eq 'it's'", "only comparisons"),
        ("filter", "processingStatus eq", "Invalid filter clause"),
        ("filter", "", "Invalid filter clause"),
        ("filter", "id eq '" + "x" * 2000 + "'", "longer than"),
        ("top", "1", "'$top' is not supported"),
        ("count", "true", "'$count' is not supported"),
        ("orderby", "id", "'$orderby' is not supported"),
        ("select", "id", "'$select' is not supported"),
        ("skiptoken", "garbage", "$skiptoken"),
        ("skiptoken", "W10", "$skiptoken"),
        ("skiptoken", "WyJcdWQ4MDAiXQ", "$skiptoken"),
        ("skiptoken", "WzFlMzBd", "$skiptoken"),
        ("expand", "userProcessingResults", "'$expand' is not supported"),
        ("skip", "3", "'$skip' is not supported"),
        ("search", "x", "'$search' is not supported"),
    ],
)
async def test_invalid_query_options_are_refused(sandbox: Sandbox, option: str, value: str, words: str) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    answer = await sandbox.client.get(f"{workflow}/runs", params={f"${option}": value})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"
    assert words in answer.json()["error"]["message"]


async def test_of_results_only_the_subject_is_expanded(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    answer = await sandbox.client.get(f"{workflow}/userProcessingResults?$expand=manager")
    assert answer.status_code == 400
    assert "Invalid $expand clause: 'manager'" in answer.json()["error"]["message"]


async def test_a_quote_in_a_filter_is_doubled(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    answer = await sandbox.get(f"{workflow}/runs", filter="id eq 'it''s' or id eq '' or id eq 'x'' or id eq '")
    assert answer["value"] == []


async def test_an_option_is_given_once(sandbox: Sandbox) -> None:
    answer = await sandbox.client.get(f"{WORKFLOWS}?$filter=x&$filter=x")
    assert answer.status_code == 400
    assert "more than once" in answer.json()["error"]["message"]


async def test_options_that_are_not_odatas_are_ignored(sandbox: Sandbox) -> None:
    assert len((await sandbox.get(f"{WORKFLOWS}?trace=1"))["value"]) == 15


@pytest.fixture(scope="module")
def crowded() -> Iterator[Any]:
    """A tenant with one workflow that has more runs than the largest page."""
    app = create_app(runs=12_000, clock=Clock())
    yield app
    app.state.database.close()


@pytest.mark.parametrize(
    ("prefer", "size"),
    [
        (None, 100),
        ("odata.maxpagesize=120", 120),
        ("maxpagesize=5000, respond-async", 999),
        ("odata.maxpagesize=0", 100),
    ],
)
async def test_a_page_is_as_large_as_was_asked_for(crowded: Any, prefer: str | None, size: int) -> None:
    async with _client(crowded) as client:
        sandbox = Sandbox(crowded, Clock(), client)
        runs = f"{await sandbox.workflow('Onboard pre-hire')}/runs"
        headers = {"Accept": "*/*"} if prefer is None else {"Prefer": prefer}
        first = await client.get(runs, headers=headers)
        assert len(first.json()["value"]) == size
        total = sum(len(page) for page in await sandbox.pages(runs))
        assert total > 999
        sizes = [len(page) for page in await sandbox.pages(runs, headers=headers)]
        assert sizes == [size] * (total // size) + [total % size] * (total % size > 0)


async def test_the_newest_run_comes_first(sandbox: Sandbox) -> None:
    workflow = await sandbox.workflow("Onboard pre-hire")
    scheduled = [parse_ticks(run["scheduledDateTime"]) for run in (await sandbox.get(f"{workflow}/runs"))["value"]]
    assert scheduled == sorted(scheduled, reverse=True)


class Paged:
    """The runs of one workflow in a sandbox of 240, for tests that ask for them hundreds of times."""

    def __init__(self, runner: asyncio.Runner, sandbox: Sandbox) -> None:
        self._run, self._sandbox = runner.run, sandbox
        self._runs = f"{self._run(sandbox.workflow('Offboard last day'))}/runs"

    def pages(self, size: int, options: dict[str, str]) -> list[list[Any]]:
        headers = {"Prefer": f"include-unknown-enum-members, odata.maxpagesize={size}"}
        return self._run(self._sandbox.pages(self._runs, headers=headers, **options))

    def status_of_filter(self, text: str) -> int:
        return self._run(self._sandbox.client.get(self._runs, params={"$filter": text})).status_code


@pytest.fixture(scope="module")
def paged() -> Iterator[Paged]:
    app = create_app(runs=240, seed=3, clock=Clock())
    client = _client(app)
    with asyncio.Runner() as runner:
        yield Paged(runner, Sandbox(app, Clock(), client))
        runner.run(client.aclose())
    app.state.database.close()


@settings(max_examples=60)
@given(size=st.integers(1, 40), clause=st.none() | st.sampled_from(CLAUSES))
@example(size=1, clause=None)
def test_pages_hold_every_run_once_and_in_order(paged: Paged, size: int, clause: str | None) -> None:
    options = {} if clause is None else {"filter": clause}
    (whole,), pages = paged.pages(999, options), paged.pages(size, options)
    runs = [run for page in pages for run in page]
    assert runs == whole
    assert len({run["id"] for run in runs}) == len(runs)
    assert all(len(page) == size for page in pages[:-1])


TOKENS = (
    *("(", ")", " and ", " or ", " eq ", " ge ", " in ", "null", "1", "'x'", "'", "id", "/", "=", ",", ":"),
    *("subject/id", "totalUsersCount", "startedDateTime", "2026-11-01T00:00:00Z", "activatedOnScope"),
)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join) | st.text(max_size=20))
def test_no_filter_breaks_the_service(paged: Paged, text: str) -> None:
    assert paged.status_of_filter(text) in {200, 400}


def test_a_filter_may_be_long(paged: Paged) -> None:
    assert paged.status_of_filter(" or ".join(["id eq 'x'"] * 140)) == 200


def _client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://127.0.0.1/beta",
        headers={"Authorization": "Bearer any"},
    )
