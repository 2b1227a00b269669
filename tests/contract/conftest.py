"""A sandbox in this process, with a clock that moves only when a test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.times import TICKS_PER_SECOND, parse_ticks
from runtui.sandbox.app import ROUTES, create_app
from runtui.sandbox.database import Database
from runtui.sandbox.writes import BoundAction

if TYPE_CHECKING:
    from tests.contract.headless_commands import Commands

WORKFLOWS = "/identityGovernance/lifecycleWorkflows/workflows"
NEWER_MEMBERS = {"Prefer": "include-unknown-enum-members"}


def action_path(action: BoundAction) -> str:
    """Return the template of the first path at which an action is offered."""
    return next(route.path for route in ROUTES if route.path.endswith(f"/{{key}}/{action.name}"))


class Clock:
    """A clock that starts at 2026-11-20T10:00:00Z and moves only by `advance`."""

    def __init__(self) -> None:
        self.ticks = parse_ticks("2026-11-20T10:00:00Z")

    def __call__(self) -> int:
        return self.ticks

    def advance(self, seconds: float) -> None:
        self.ticks += int(seconds * TICKS_PER_SECOND)


class Sandbox:
    """The app, its clock, and an HTTP client with a token."""

    def __init__(self, app: Starlette, clock: Clock, client: httpx.AsyncClient) -> None:
        self.app = app
        self.clock = clock
        self.client = client

    async def get(self, url: str, *, headers: dict[str, str] | None = None, **params: str) -> Any:
        """Return the JSON of a GET, which must succeed; `filter="…"` sends `$filter=…`."""
        query = {f"${name}": value for name, value in params.items()} or None
        answer = await self.client.get(url, params=query, headers=headers or NEWER_MEMBERS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def workflow(self, name: str) -> str:
        """Return the path of the workflow with that displayName."""
        (found,) = (await self.get(WORKFLOWS, filter=f"displayName eq '{name}'"))["value"]
        return f"{WORKFLOWS}/{found['id']}"

    async def pages(self, url: str, *, headers: dict[str, str] | None = None, **params: str) -> list[list[Any]]:
        """Return every page of a collection, following its nextLinks."""
        page = await self.get(url, headers=headers, **params)
        pages = [page["value"]]
        while link := page.get("@odata.nextLink"):
            page = await self.get(link, headers=headers)
            pages.append(page["value"])
        return pages

    async def where(self, url: str, holds: Callable[[Any], bool]) -> list[Any]:
        """Return the entities of a collection for which a condition holds."""
        return [item for page in await self.pages(url) for item in page if holds(item)]

    async def runs(self, **params: str) -> list[dict[str, Any]]:
        """Return every run of every workflow."""
        workflows = (await self.get(WORKFLOWS))["value"]
        paths = [f"{WORKFLOWS}/{item['id']}/runs" for item in workflows]
        return [run for path in paths for page in await self.pages(path, headers=None, **params) for run in page]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def seeded() -> Iterator[Database]:
    """A seeded tenant that tests copy, because planning and seeding one takes a sixth of a test's time."""
    database: Database = create_app(clock=Clock()).state.database
    yield database
    database.close()


@pytest.fixture
def sandbox_app(clock: Clock, seeded: Database) -> Iterator[Starlette]:
    plans = [*seeded._plans.values()]
    with patch.object(Database, "_insert"), patch("runtui.sandbox.app.plan_runs", return_value=plans):
        app = create_app(clock=clock)
    seeded._sql.backup(app.state.database._sql)
    yield app
    app.state.database.close()


@pytest.fixture
def commands(sandbox_app: Starlette, tmp_path: Path) -> Commands:
    from tests.contract.headless_commands import Commands

    return Commands(sandbox_app, tmp_path)


@pytest.fixture
async def sandbox(sandbox_app: Starlette, clock: Clock) -> AsyncIterator[Sandbox]:
    transport = httpx.ASGITransport(app=sandbox_app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1/beta", headers={"Authorization": "Bearer any"}
    ) as client:
        yield Sandbox(sandbox_app, clock, client)
