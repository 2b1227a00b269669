"""The sign-in of the demo: only its own service, by its name, on this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from runtui.auth.flows import DeviceCode
from runtui.auth.msal_client import MsalClient, ServiceError
from runtui.auth.signin import SignIn
from runtui.graph.sign_in_http import DemoSignInHttp
from runtui.sandbox.app import create_app
from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION
from runtui.sandbox.authority.service import AUTHORITY_BASE
from runtui.sandbox.server import AUTHORITY_PATH, with_authority
from tests.contract.loopback import loopback
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import ROOT, settings_for


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "place", ["http://192.0.2.1/authority", "https://login.microsoftonline.com", "http://127.0.0.1.example.com/", ""]
)
def test_a_sign_in_that_is_not_on_this_machine_is_refused(place: str) -> None:
    with pytest.raises(ServiceError):
        DemoSignInHttp(AUTHORITY_BASE, place)


@pytest.mark.parametrize(
    "url", ["https://login.microsoftonline.com/x", f"{AUTHORITY_BASE}.example.com/x", "http://127.0.0.1/"]
)
def test_nobody_else_is_asked(url: str) -> None:
    http = DemoSignInHttp(AUTHORITY_BASE, "http://127.0.0.1:9/authority")
    try:
        with pytest.raises(ServiceError, match="contacts only the sandbox"):
            http.send("GET", url, {})
    finally:
        http.close()


@pytest.mark.parametrize(("origin", "status"), [("", 200), ("http://127.0.0.1.example.com", 403)])
async def test_a_code_can_be_typed_in_on_the_page_of_the_demo_alone(origin: str, status: int) -> None:
    authority = ScriptedAuthority()
    graph = create_app(runs=3, authority=authority)
    async with loopback(with_authority(graph, authority)) as root, httpx.AsyncClient(trust_env=False) as browser:
        http = DemoSignInHttp(AUTHORITY_BASE, root.removesuffix("/beta") + AUTHORITY_PATH)
        scope = "https://graph.fake.test/.default offline_access"
        form = {"client_id": DEMO_APPLICATION.client_id, "scope": scope}
        url = f"{authority.url()}/oauth2/v2.0/devicecode"
        given = json.loads((await asyncio.to_thread(http.send, "POST", url, {"data": form})).text)
        http.close()
        page = given["verification_uri"].replace(AUTHORITY_BASE, root.removesuffix("/beta") + AUTHORITY_PATH)
        assert "DEMO" in (await browser.get(page)).text
        typed = {"user_code": given["user_code"], "username": DEMO_ADMIN.username, "answer": "approve"}
        headers = {"Origin": origin or root.removesuffix("/beta")}
        assert (await browser.post(page, data=typed, headers=headers)).status_code == status
        assert (authority.pending == []) is (status == 200)
    graph.state.database.close()


async def test_graph_and_its_sign_in_are_behind_one_port(tmp_path: Path) -> None:
    authority = ScriptedAuthority()
    graph = create_app(runs=3, authority=authority)
    async with loopback(with_authority(graph, authority)) as root:
        place = root.removesuffix("/beta") + AUTHORITY_PATH
        sign_in = SignIn(
            MsalClient(
                settings_for(authority, token_cache="memory"),
                root=ROOT,
                state_folder=tmp_path,
                http=lambda: DemoSignInHttp(AUTHORITY_BASE, place),
            ),
            pause=no_pause,
        )

        def approve(code: DeviceCode) -> None:
            authority.approve(code.user_code)

        try:
            assert (await sign_in.device_code(approve)).username == DEMO_ADMIN.username
        finally:
            await sign_in.aclose()
    graph.state.database.close()
