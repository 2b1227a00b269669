"""The demo's way to its own sign-in: one name, this machine, and nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runtui.auth.application import ServiceError
from runtui.auth.signin import DeviceCode, SignIn
from runtui.graph.sign_in_http import DemoSignInHttp
from runtui.sandbox.app import create_app
from runtui.sandbox.authority import BASE, Authority
from runtui.sandbox.authority_app import PLACE, BesideGraph
from runtui.sandbox.authority_directory import DEMO_ADMIN
from tests.contract.loopback import loopback
from tests.contract.signing_in import ROOT, settings_for


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "place", ["http://192.0.2.1/authority", "https://login.microsoftonline.com", "http://127.0.0.1.example.com/", ""]
)
def test_a_sign_in_that_is_not_on_this_machine_is_refused(place: str) -> None:
    with pytest.raises(ServiceError):
        DemoSignInHttp(BASE, place)


@pytest.mark.parametrize("url", ["https://login.microsoftonline.com/x", f"{BASE}.example.com/x", "http://127.0.0.1/"])
def test_nobody_else_is_asked(url: str) -> None:
    http = DemoSignInHttp(BASE, "http://127.0.0.1:9/authority")
    try:
        with pytest.raises(ServiceError, match="nobody but the sandbox"):
            http.get(url)
    finally:
        http.close()


async def test_graph_and_its_sign_in_are_behind_one_port(tmp_path: Path) -> None:
    authority = Authority()
    graph = create_app(runs=3, authority=authority)
    async with loopback(BesideGraph(graph, authority)) as root:
        place = root.removesuffix("/beta") + PLACE
        sign_in = SignIn(
            settings_for(authority, token_cache="memory"),
            root=ROOT,
            state_folder=tmp_path,
            http=lambda: DemoSignInHttp(BASE, place),
            environ={},
            pause=no_pause,
        )

        def approve(code: DeviceCode) -> None:
            authority.approve(code.user_code)

        try:
            assert (await sign_in.device_code(approve)).username == DEMO_ADMIN.username
        finally:
            await sign_in.aclose()
    graph.state.database.close()
