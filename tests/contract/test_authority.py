"""The sandbox's sign-in authority, as MSAL sees it: device codes, refreshes, challenges, and refusals."""

from __future__ import annotations

import json

import msal
import pytest

from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION, DEMO_READER, WRITE_ALL
from tests.contract.conftest import Clock
from tests.contract.msal_apps import (
    DAEMON_ID,
    SCOPES,
    challenge_in,
    claims_of,
    poll,
    public_app,
    refusal,
    sign_in,
    silent,
)
from tests.contract.scripted_authority import ScriptedAuthority


@pytest.fixture
def authority(clock: Clock) -> ScriptedAuthority:
    return ScriptedAuthority(clock)


class TestDeviceCode:
    def test_a_person_approves(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = app.initiate_device_flow(SCOPES)
        assert flow["verification_uri"] == "https://login.fake.test/devicelogin"
        assert (flow["expires_in"], flow["interval"], len(flow["user_code"])) == (900, 5, 9)
        assert authority.pending == [flow["user_code"]]
        waiting = poll(app, flow)
        assert (waiting["error"], waiting["error_codes"]) == ("authorization_pending", [70016])

        authority.approve(flow["user_code"].lower())
        result = poll(app, flow)
        token = claims_of(result["access_token"])
        assert token["scp"].split() == sorted(DEMO_ADMIN.permissions)
        assert (token["upn"], token["aud"], token["xms_cc"]) == (
            DEMO_ADMIN.username,
            "https://graph.fake.test",
            ["CP1"],
        )
        assert (token["tid"], token["oid"]) == (authority.directory.tenant_id, DEMO_ADMIN.object_id)
        assert token["exp"] - token["iat"] == result["expires_in"] == 3600
        assert result["id_token_claims"]["preferred_username"] == DEMO_ADMIN.username
        (account,) = app.get_accounts()
        assert account["home_account_id"] == f"{DEMO_ADMIN.object_id}.{authority.directory.tenant_id}"
        assert authority.pending == []

    def test_a_code_works_once(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = app.initiate_device_flow(SCOPES)
        authority.approve(flow["user_code"])
        assert "access_token" in poll(app, flow)
        assert poll(app, flow)["error"] == "bad_verification_code"

    def test_a_person_refuses(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = app.initiate_device_flow(SCOPES)
        authority.refuse(flow["user_code"])
        assert poll(app, flow)["error"] == "authorization_declined"

    @pytest.mark.parametrize("by_hand", [True, False])
    def test_a_code_expires(self, authority: ScriptedAuthority, clock: Clock, by_hand: bool) -> None:
        app = public_app(authority)
        flow = app.initiate_device_flow(SCOPES)
        if by_hand:
            authority.expire(flow["user_code"])
        else:
            clock.advance(900)
        result = poll(app, flow)
        assert (result["error"], result["error_codes"]) == ("expired_token", [70020])

    def test_a_demo_approves_codes_by_itself(self, authority: ScriptedAuthority) -> None:
        authority.auto_approve(DEMO_READER, polls=3)
        app = public_app(authority)
        flow = app.initiate_device_flow(SCOPES)
        assert ["access_token" in poll(app, flow) for _ in range(3)] == [False, False, True]


class TestSilently:
    def test_the_cache_answers_without_a_call(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        first = sign_in(authority, app)
        calls = len(authority.calls)
        assert silent(app)["access_token"] == first["access_token"]
        assert len(authority.calls) == calls

    def test_a_forced_refresh_brings_other_tokens(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        first = sign_in(authority, app)
        second = silent(app, force_refresh=True)
        assert second["access_token"] != first["access_token"]
        assert authority.calls[-1].grant == "refresh_token"
        (kept,) = app.token_cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
        assert kept["secret"] != first["refresh_token"]

    @pytest.mark.parametrize("code", [700082, 50173])
    def test_a_dead_refresh_token(self, authority: ScriptedAuthority, code: int) -> None:
        app = public_app(authority)
        token = sign_in(authority, app)["access_token"]
        authority.kill_refresh_tokens(DEMO_ADMIN, code)
        result = silent(app, force_refresh=True)
        assert (result["error"], result["error_codes"]) == ("invalid_grant", [code])
        assert authority.verify(token) is None, "the access token outlives it"

    def test_an_unused_refresh_token_expires(self, authority: ScriptedAuthority, clock: Clock) -> None:
        app = public_app(authority)
        sign_in(authority, app)
        for _ in range(2):
            clock.advance(89 * 86_400)
            assert "access_token" in silent(app, force_refresh=True)
        clock.advance(90 * 86_400)
        assert silent(app, force_refresh=True)["error_codes"] == [700082]

    def test_only_the_sessions_of_that_person_end(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        sign_in(authority, app, DEMO_READER)
        authority.kill_refresh_tokens(DEMO_ADMIN)
        authority.revoke(DEMO_ADMIN)
        result = silent(app, force_refresh=True)
        assert authority.verify(result["access_token"]) is None


class TestChallenge:
    def test_a_refresh_with_the_claims_meets_the_challenge(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        token = sign_in(authority, app)["access_token"]
        wanted = authority.challenge(DEMO_ADMIN)
        fault = refusal(authority.verify(token))
        assert (fault.status, challenge_in(fault)) == (401, wanted)

        without = silent(app, force_refresh=True)["access_token"]
        assert challenge_in(refusal(authority.verify(without))) == wanted
        met = silent(app, claims_challenge=wanted)["access_token"]
        assert authority.verify(met) is None
        asked = json.loads(authority.calls[-1].claims)["access_token"]
        assert asked == {"xms_cc": {"values": ["CP1"]}, **json.loads(wanted)["access_token"]}
        assert refusal(authority.verify(token)).status == 401

    def test_a_revoked_person_signs_in_again(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        token = sign_in(authority, app)["access_token"]
        wanted = authority.revoke(DEMO_ADMIN)
        assert challenge_in(refusal(authority.verify(token))) == wanted
        refused = silent(app, claims_challenge=wanted)
        assert (refused["error"], refused["error_codes"], refused["suberror"]) == (
            "invalid_grant",
            [50173],
            "bad_token",
        )
        assert authority.verify(sign_in(authority, public_app(authority))["access_token"]) is None

    def test_a_client_without_cp1_is_never_challenged(self, authority: ScriptedAuthority, clock: Clock) -> None:
        token = sign_in(authority, public_app(authority, capable=False))["access_token"]
        assert "xms_cc" not in claims_of(token)
        authority.revoke(DEMO_ADMIN)
        assert authority.verify(token) is None
        clock.advance(3600)
        fault = refusal(authority.verify(token))
        assert (fault.message, challenge_in(fault)) == ("Lifetime validation failed, the token is expired.", "")


class TestRefusals:
    def test_the_tokens_have_the_shape_of_entra(self, authority: ScriptedAuthority) -> None:
        correlation_id = "6f0c2d9e-1b7a-4c55-9d21-0a51c0ffee01"
        authority.next_error(50076, claims='{"access_token":{"capolids":{"essential":true}}}')
        path = f"/{authority.directory.tenant_id}/oauth2/v2.0/token"
        answer = authority.handle("POST", path, {"client-request-id": correlation_id}, {})
        body = json.loads(bytes(answer.body))
        assert (answer.status_code, body["error"], body["suberror"]) == (400, "interaction_required", "basic_action")
        assert body["error_codes"] == [50076]
        assert body["correlation_id"] == correlation_id
        assert body["timestamp"] == "2026-11-20 10:00:00Z"
        assert body["error_description"].startswith("AADSTS50076: ")
        assert body["error_description"].endswith(
            f" Trace ID: {body['trace_id']} Correlation ID: {correlation_id} Timestamp: 2026-11-20 10:00:00Z"
        )
        assert json.loads(body["claims"]) == {"access_token": {"capolids": {"essential": True}}}

    @pytest.mark.parametrize(
        ("scope", "error", "code"),
        [
            ("https://graph.fake.test/User.Read", "invalid_scope", 70011),
            ("https://vault.fake.test/.default", "invalid_resource", 500011),
            ("", "invalid_scope", 70011),
        ],
    )
    def test_scopes_that_there_are_not(self, authority: ScriptedAuthority, scope: str, error: str, code: int) -> None:
        form = {"client_id": DEMO_APPLICATION.client_id, "scope": scope}
        body = json.loads(bytes(authority.handle("POST", "/organizations/oauth2/v2.0/devicecode", {}, form).body))
        assert (body["error"], body["error_codes"]) == (error, [code])

    def test_a_permission_without_consent(self, authority: ScriptedAuthority) -> None:
        app = public_app(authority)
        flow = app.initiate_device_flow([WRITE_ALL])
        authority.approve(flow["user_code"], DEMO_READER)
        result = poll(app, flow)
        assert (result["error"], result["suberror"]) == ("invalid_grant", "consent_required")

    def test_an_unknown_application_or_tenant(self, authority: ScriptedAuthority) -> None:
        form = {"client_id": DAEMON_ID, "scope": SCOPES[0]}
        codes = [
            json.loads(bytes(authority.handle("POST", f"/{tenant}/oauth2/v2.0/devicecode", {}, form).body))[
                "error_codes"
            ]
            for tenant in ("organizations", "fabrikam.example")
        ]
        assert codes == [[700016], [90002]]
