"""A sign-in that ends during one save or many: after a new sign-in they continue with the same runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.draft import Draft
from runtui.domain.filters import parse_filter
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient
from runtui.graph.transport import Transport
from runtui.sandbox.app import create_app
from runtui.sandbox.authority.directory import DEMO_ADMIN
from runtui.services.records.journal import Journal
from runtui.services.refresh import Refresh
from runtui.services.store.store import EVERY_RUN, RunQuery, Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.write import Save
from tests import PATIENCE, there
from tests.contract.conftest import Clock
from tests.contract.headless_commands import Line
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import ROOT, by_device_code, signing_in
from tests.contract.test_save_end_to_end import nobody

FEW, MANY = 60, 1_000


class EndingLine(httpx.AsyncBaseTransport):
    """A transport to the app. After the first batch of changes the sign-in ends; the other batches come then."""

    def __init__(self, app: Starlette, end: Callable[[], object]) -> None:
        self._app = httpx.ASGITransport(app)
        self._end = end
        self._batches = 0
        self._has_ended = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not (request.url.path.endswith("/$batch") and b'"PATCH"' in request.content):
            return await self._app.handle_async_request(request)
        self._batches += 1
        if self._batches > 1:
            await self._has_ended.wait()
            return await self._app.handle_async_request(request)
        answer = await self._app.handle_async_request(request)
        self._end()
        self._has_ended.set()
        return answer


class SignedIn:
    """A session of a signed-in person who signs in again when asked, or does not."""

    def __init__(self, app: Starlette, store: Store, saves: SaveQueue, clock: Clock) -> None:
        self.app, self.store, self.saves = app, store, saves
        self._clock = clock
        self.asked: list[str] = []
        self.ended: dict[int, Save] = {}
        saves.changed.subscribe(lambda save: None if save.active else self.ended.update({save.number: save}))

    def draft(self, run_id: str, name: str, text: str) -> Draft:
        stored = there(self.store.get(run_id))
        return Draft(run_id, stored.workflow_id, stored.raw).typed(name, text, self._clock())


@asynccontextmanager
async def signed_in(
    app: Starlette,
    authority: ScriptedAuthority,
    wire: httpx.AsyncBaseTransport,
    folder: Path,
    clock: Clock,
    *,
    comes: bool,
) -> AsyncIterator[SignedIn]:
    store, journal = Store(folder / "runs.db"), Journal(folder / "journal.db")
    async with signing_in(authority, folder) as sign_in, Transport(ROOT, token=sign_in, wire=wire) as transport:
        await by_device_code(sign_in, authority)
        client = GraphClient(transport)
        refresh = Refresh(client, store, interval=0)
        await refresh.list_once()
        assert refresh.progress.fault is None
        saves = SaveQueue(client, store, journal, WriteContext(ROOT, "Contoso", "", nobody))
        session = SignedIn(app, store, saves, clock)

        async def ask(why: str) -> bool:
            session.asked.append(why)
            if comes:
                await by_device_code(sign_in, authority)
            return comes

        sign_in.ask_person = ask
        yield session
        await saves.abandon()
    store.close()
    journal.close()


@pytest.mark.parametrize("comes", [True, False])
async def test_a_save_goes_on_after_the_sign_in_that_it_took(tmp_path: Path, clock: Clock, comes: bool) -> None:
    authority = ScriptedAuthority()
    app = create_app(clock=clock, authority=authority)
    async with signed_in(app, authority, Line(app), tmp_path, clock, comes=comes) as session:
        row = session.store.window(RunQuery(parse_filter("status:completed", clock())), 0, 1)[0]
        draft = session.draft(row.id, "processingStatus", "failed")
        authority.revoke(DEMO_ADMIN)
        number = session.saves.submit(draft).number
        assert await session.saves.drain(PATIENCE) == 0
        assert "expired" in session.asked[0]
        if comes:
            assert (len(session.asked), session.ended[number].outcome) == (1, Outcome.DONE)
            assert [(write.run_id, write.body) for write in app.state.applied] == [(draft.run_id, draft.body())]
        else:
            assert session.ended[number].outcome is Outcome.NOT_DONE
            assert app.state.applied == []


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("is_renewable", "comes"),
    [(True, False), (False, True), (False, False)],
    ids=["the token expires", "the refresh token dies and the person comes", "nobody comes"],
)
async def test_many_changes_go_on_after_the_sign_in_that_they_took(
    tmp_path: Path, clock: Clock, is_renewable: bool, comes: bool, count: int
) -> None:
    authority = ScriptedAuthority()
    app = create_app(clock=clock, authority=authority, runs=count)

    end = partial(authority.challenge if is_renewable else authority.revoke, DEMO_ADMIN)
    async with signed_in(app, authority, EndingLine(app, end), tmp_path, clock, comes=comes) as session:
        rows = session.store.window(EVERY_RUN, 0, count)
        bulk = session.saves.submit_many([session.draft(row.id, "failedTasksCount", "4321") for row in rows])
        bulk.changed.subscribe(lambda held: held.stop() if held.held_by is not None else None)
        assert await session.saves.drain(300) == 0
    applied = Counter(write.run_id for write in app.state.applied)
    outcomes = {save.run_id: save.outcome for save in session.ended.values()}
    assert len(outcomes) == count
    assert {run_id for run_id, outcome in outcomes.items() if outcome is Outcome.DONE} == set(applied)
    assert max(applied.values()) == 1
    assert len(session.asked) == (0 if is_renewable else 1), "nobody is asked twice"
    if is_renewable or comes:
        assert len(applied) == count
        assert any(save.has_new_token for save in session.ended.values()), "some met the old token"
    else:
        assert set(outcomes.values()) == {Outcome.DONE, Outcome.NOT_DONE}
    app.state.database.close()
