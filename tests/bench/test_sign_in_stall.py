"""The effect of a slow sign-in service on the event loop, and the time to quit."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from runtui.auth.msal_client import MsalClient
from runtui.auth.signin import SignIn
from runtui.sandbox.app import create_app
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from runtui.tui.app import RuntuiApp
from tests.contract.scripted_authority import MemoryHttp, ScriptedAuthority
from tests.contract.signing_in import ROOT as GRAPH
from tests.contract.signing_in import Gate, settings_for
from tests.tui.conftest import ROOT, Session
from tests.tui.sign_in_desk import Desk, Polls

pytestmark = pytest.mark.bench
SLOW_SECONDS = 1.5
WATCHED_SECONDS = 6.0
MAX_STALL_SECONDS = 0.05
MAX_QUIT_SECONDS = 0.5


class Lag:
    """Measures the delay of the event loop."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while (now := loop.time()) < ends:
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, loop.time() - now - 0.005)


async def test_polling_a_slow_service_neither_stalls_the_screen_nor_holds_up_the_end(tmp_path: Path) -> None:
    authority = ScriptedAuthority()
    authority.devices.interval = 1
    settings = settings_for(authority, token_cache="memory")
    sign_in = SignIn(
        MsalClient(settings, root=GRAPH, state_folder=tmp_path, http=lambda: MemoryHttp(authority), environ={})
    )
    whole = Settings(root=ROOT, tenant="Contoso", refresh_seconds=0.0, state_folder=tmp_path, sign_in=settings)
    wire = httpx.ASGITransport(create_app(runs=240, authority=authority))
    workspace = Workspace(whole, tmp_path / "runs.db", sign_in, wire=wire)
    workspace.connect(ROOT)
    workspace.refresh.start()
    app, lag = RuntuiApp(workspace), Lag()
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(Session(pilot, workspace, None), authority, sign_in, Polls(), Gate())
        await desk.sees_sign_in()
        await desk.ask_for_code()
        authority.delays["token"] = SLOW_SECONDS
        await desk.session.pilot.pause(0.5)
        polls = len(authority.calls)
        await lag.watch(WATCHED_SECONDS)
        assert len(authority.calls) - polls >= 2
        began = time.perf_counter()
    await workspace.close()
    await sign_in.aclose()
    quit_seconds = time.perf_counter() - began
    print(
        f"\nworst stall {lag.worst * 1000:.1f} ms in {WATCHED_SECONDS:g} s; leaving took {quit_seconds * 1000:.0f} ms"
    )
    assert lag.worst < MAX_STALL_SECONDS
    assert quit_seconds < MAX_QUIT_SECONDS
