"""A sign-in that ends in the middle of a save: the person signs in, and the save goes on with the same item."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtui.domain.draft import Draft
from runtui.domain.filters import parse_filter
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient
from runtui.graph.transport import Transport
from runtui.sandbox.app import create_app
from runtui.sandbox.authority.directory import DEMO_ADMIN
from runtui.services.journal import Journal
from runtui.services.refresh import Refresh
from runtui.services.store import RunQuery, Store
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.save import Save
from runtui.services.writing.saves import SaveQueue
from tests.contract.conftest import Clock
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import ROOT, by_device_code, signing_in
from tests.contract.test_save_end_to_end import Line, nobody


@pytest.mark.parametrize("comes", [True, False])
async def test_a_save_goes_on_after_the_sign_in_that_it_took(tmp_path: Path, clock: Clock, comes: bool) -> None:
    authority = ScriptedAuthority()
    app = create_app(clock=clock, authority=authority)
    line, news = Line(app), list[Save]()
    store, journal = Store(tmp_path / "runs.db"), Journal(tmp_path / "journal.db")
    async with (
        signing_in(authority, tmp_path) as sign_in,
        Transport(ROOT, token=sign_in, wire=line) as transport,
    ):
        await by_device_code(sign_in, authority)
        asked: list[str] = []

        async def ask(why: str) -> bool:
            asked.append(why)
            if comes:
                await by_device_code(sign_in, authority)
            return comes

        sign_in.ask_person = ask
        client = GraphClient(transport)
        refresh = Refresh(client, store, interval=0)
        await refresh.list_once()
        assert refresh.progress.fault is None
        saves = SaveQueue(client, store, journal, WriteContext(ROOT, "Contoso", "", nobody))
        saves.changed.subscribe(news.append)
        row = store.window(RunQuery(parse_filter("status:completed", clock())), 0, 1)[0]
        stored = store.get(row.id)
        assert stored is not None
        draft = Draft(row.id, stored.workflow_id, stored.raw).typed("processingStatus", "failed", clock())

        authority.revoke(DEMO_ADMIN)
        number = saves.submit(draft).number
        assert await saves.drain(30) == 0
        save = next(save for save in news if save.number == number and not save.active)
        assert asked
        assert "expired" in asked[0]
        if comes:
            assert (len(asked), save.outcome) == (1, Outcome.DONE)
            assert [(write.run_id, write.body) for write in app.state.applied] == [(draft.run_id, draft.body())]
        else:
            assert save.outcome is Outcome.NOT_DONE
            assert app.state.applied == []
        await saves.abandon()
    store.close()
    journal.close()
