"""Signing in with a browser at the sandbox's authority: PKCE, the landing, and the pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION, DEMO_READER, Directory
from runtui.sandbox.server import create_authority_app
from tests.contract.conftest import Clock
from tests.contract.msal_apps import SCOPES, poll, public_app
from tests.contract.scripted_authority import ScriptedAuthority


@pytest.fixture
def authority(clock: Clock) -> ScriptedAuthority:
    return ScriptedAuthority(clock)


class TestBrowser:
    LANDING: Final = "http://localhost:8400"

    def begin(self, app: Any) -> Any:
        with pytest.warns(UserWarning, match="form_post"):
            return app.initiate_auth_code_flow(SCOPES, redirect_uri=self.LANDING)

    def test_pkce_and_nonce(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = self.begin(app)
        landing = authority.browse(flow["auth_uri"], DEMO_READER)
        assert landing.url.startswith(f"{self.LANDING}?code=")
        response = {name: value for name, (value,) in parse_qs(urlsplit(landing.url).query).items()}
        result = app.acquire_token_by_auth_code_flow(flow, response)  # this raises if the state or the nonce is wrong
        assert result["id_token_claims"]["preferred_username"] == DEMO_READER.username
        assert authority.verify(result["access_token"]) is None

    def test_a_wrong_verifier_uses_up_the_code(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = self.begin(app)
        response = dict(authority.browse(flow["auth_uri"]).parameters)
        stolen = app.acquire_token_by_auth_code_flow({**flow, "code_verifier": "v" * 43}, response)
        assert (stolen["error"], stolen["error_codes"]) == ("invalid_grant", [501481])
        assert public_app(authority).acquire_token_by_auth_code_flow(flow, response)["error_codes"] == [54005]

    def test_a_code_is_bound_to_its_address_and_its_time(self, authority: ScriptedAuthority, clock: Clock) -> None:
        app = public_app(authority)
        flow = self.begin(app)
        response = dict(authority.browse(flow["auth_uri"]).parameters)
        elsewhere = app.acquire_token_by_auth_code_flow({**flow, "redirect_uri": "http://localhost:1"}, response)
        assert elsewhere["error_codes"] == [500112]
        clock.advance(600)
        assert app.acquire_token_by_auth_code_flow(flow, response)["error_codes"] == [70008]

    def test_a_person_refuses(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = self.begin(app)
        result = app.acquire_token_by_auth_code_flow(flow, dict(authority.browse(flow["auth_uri"], None).parameters))
        assert (result["error"], "AADSTS65004" in result["error_description"]) == ("access_denied", True)

    @pytest.mark.parametrize(
        "address",
        ["https://evil.test/", "http://localhost.evil.test", "http://u@localhost:1", "http://localhost:1/\r\n", ""],
    )
    def test_nobody_is_sent_where_the_program_is_not(self, authority: ScriptedAuthority, address: str) -> None:
        query = parse_qs(urlsplit(self.begin(public_app(authority))["auth_uri"]).query)
        form = {name: value for name, (value,) in query.items()} | {"redirect_uri": address}
        answer = authority.handle("GET", "/organizations/oauth2/v2.0/authorize", {}, form)
        assert answer.status_code == 400
        assert b"AADSTS50011" in bytes(answer.body)
        assert b"<form" not in bytes(answer.body)

    def test_only_the_address_carries_an_answer(self, authority: ScriptedAuthority) -> None:
        query = parse_qs(urlsplit(self.begin(public_app(authority))["auth_uri"]).query)
        form = {name: value for name, (value,) in query.items()} | {"response_mode": "form_post"}
        answer = authority.handle("GET", "/organizations/oauth2/v2.0/authorize", {}, form)
        assert (answer.status_code, b"response_mode=query" in bytes(answer.body)) == (400, True)

    def test_pkce_is_a_must(self, authority: ScriptedAuthority) -> None:
        query = parse_qs(urlsplit(self.begin(public_app(authority))["auth_uri"]).query)
        form = {name: value for name, (value,) in query.items()}
        for change in ({"code_challenge": ""}, {"code_challenge_method": "plain"}):
            answer = authority.handle("GET", "/organizations/oauth2/v2.0/authorize", {}, form | change)
            assert b"AADSTS9002325" in bytes(answer.body)

    async def test_the_page(self) -> None:
        application = replace(DEMO_APPLICATION, name="<b>runtui</b>")
        authority = ScriptedAuthority(base="https://127.0.0.1", directory=Directory(applications=(application,)))
        flow = self.begin(public_app(authority))
        transport = httpx.ASGITransport(app=create_authority_app(authority))
        async with httpx.AsyncClient(transport=transport) as browser:
            page = await browser.get(flow["auth_uri"])
            assert "DEMO" in page.text
            assert "&lt;b&gt;runtui&lt;/b&gt;" in page.text
            assert "<b>runtui" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            visit = page.text.partition('name="visit" value="')[2].partition('"')[0]
            form = {"visit": visit, "answer": "approve", "username": DEMO_READER.username}
            foreign = await browser.post(flow["auth_uri"], data=form, headers={"Origin": "https://evil.test"})
            assert foreign.status_code == 403
            end = await browser.post(flow["auth_uri"], data=form, headers={"Origin": authority.base})
            again = await browser.post(flow["auth_uri"], data=form)
        assert again.status_code == 400
        assert end.status_code == 302
        response = {name: value for name, (value,) in parse_qs(urlsplit(end.headers["location"]).query).items()}
        # The address contains the PKCE challenge of the flow, so MSAL can finish what the page began.
        result = public_app(authority).acquire_token_by_auth_code_flow(flow, response)
        assert result["id_token_claims"]["preferred_username"] == DEMO_READER.username

    async def test_the_page_for_a_device_code(self, authority: ScriptedAuthority) -> None:
        authority = ScriptedAuthority(base="https://127.0.0.1")
        app = public_app(authority)
        flow = app.initiate_device_flow(SCOPES)
        transport = httpx.ASGITransport(app=create_authority_app(authority))
        async with httpx.AsyncClient(transport=transport) as browser:
            assert "DEMO" in (await browser.get(flow["verification_uri"])).text
            form = {"user_code": "WRONG", "answer": "approve", "username": DEMO_ADMIN.username}
            assert "AADSTS70018" in (await browser.post(flow["verification_uri"], data=form)).text
            form["user_code"] = flow["user_code"]
            done = await browser.post(flow["verification_uri"], data=form)
        assert DEMO_ADMIN.username in done.text
        assert "access_token" in poll(app, flow)
