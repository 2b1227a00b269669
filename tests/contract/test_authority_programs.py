"""Programs that sign in by themselves, with MSAL: secrets, certificates, assertions of other issuers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from runtui.domain.times import UNIX_EPOCH_TICKS, now_ticks
from runtui.sandbox.authority.directory import (
    DEMO_APPLICATION,
    READ_ALL,
    WRITE_ALL,
    Directory,
)
from tests.contract.conftest import Clock
from tests.contract.msal_apps import (
    DAEMON,
    DAEMON_ID,
    MACHINE,
    SCOPES,
    claims_of,
    daemon_app,
    machine_token,
    pair,
)
from tests.contract.scripted_authority import ScriptedAuthority


@pytest.fixture
def authority(clock: Clock) -> ScriptedAuthority:
    return ScriptedAuthority(clock)


class TestPrograms:
    def with_daemon(self, **credential: Any) -> ScriptedAuthority:
        # MSAL takes the time of its assertions from the machine's clock.
        return ScriptedAuthority(now_ticks, directory=Directory(applications=(replace(DAEMON, **credential),)))

    def test_a_secret(self) -> None:
        authority = self.with_daemon(secret="correct horse")
        result = daemon_app(authority, "correct horse").acquire_token_for_client(SCOPES)
        token = claims_of(result["access_token"])
        assert token["roles"] == [READ_ALL, WRITE_ALL]
        assert not token.keys() & {"scp", "upn"}
        assert "refresh_token" not in result
        assert (token["oid"], token["app_displayname"], token["appid"]) == (
            DAEMON.as_user.object_id,
            "nightly",
            DAEMON_ID,
        )
        assert authority.verify(result["access_token"], write=True) is None

    @pytest.mark.parametrize(("secret_ends", "given", "code"), [(1, "right", 7000222), (2**62, "wrong", 7000215)])
    def test_an_unusable_secret(self, secret_ends: int, given: str, code: int) -> None:
        authority = self.with_daemon(secret="right", secret_ends=secret_ends)
        result = daemon_app(authority, given).acquire_token_for_client(SCOPES)
        assert (result["error"], result["error_codes"]) == ("invalid_client", [code])

    def test_no_secret_is_not_an_empty_one(self) -> None:
        authority = self.with_daemon(certificates=(b"",))
        form = {"grant_type": "client_credentials", "client_id": DAEMON_ID, "client_secret": "", "scope": SCOPES[0]}
        answer = authority.handle("POST", f"/{authority.directory.tenant_id}/oauth2/v2.0/token", {}, form)
        assert json.loads(bytes(answer.body))["error_codes"] == [7000216]

    def test_a_tenant_must_be_named(self) -> None:
        authority = self.with_daemon(secret="right")
        form = {"grant_type": "client_credentials", "client_id": DAEMON_ID, "client_secret": "right"}
        answer = authority.handle("POST", "/organizations/oauth2/v2.0/token", {}, form)
        assert json.loads(bytes(answer.body))["error_codes"] == [50059]

    def test_a_public_program_is_not_a_daemon(self, authority: ScriptedAuthority) -> None:
        form = {"grant_type": "client_credentials", "client_id": DEMO_APPLICATION.client_id, "scope": SCOPES[0]}
        path = f"/{authority.directory.tenant_id}/oauth2/v2.0/token"
        assert json.loads(bytes(authority.handle("POST", path, {}, form).body))["error_codes"] == [7000216]

    @pytest.mark.parametrize("is_registered", [True, False])
    def test_a_certificate(self, is_registered: bool) -> None:
        key, certificate, other = *pair(), pair(1)[1]
        authority = self.with_daemon(certificates=(other, certificate) if is_registered else (other,))
        credential = {"private_key": key.decode(), "public_certificate": certificate.decode()}
        result = daemon_app(authority, credential).acquire_token_for_client(SCOPES)
        if is_registered:
            assert "access_token" in result
        else:
            assert (result["error"], result["error_codes"]) == ("invalid_client", [700027])
            assert "The key was not found" in result["error_description"]

    def test_a_certificate_with_another_key(self) -> None:
        key, certificate = pair()[0], pair(1)[1]
        authority = self.with_daemon(certificates=(certificate,))
        credential = {"private_key": key.decode(), "public_certificate": certificate.decode()}
        assert daemon_app(authority, credential).acquire_token_for_client(SCOPES)["error_codes"] == [700027]

    def test_a_clock_that_is_wrong(self, clock: Clock) -> None:
        key, certificate = pair()
        clock.ticks = UNIX_EPOCH_TICKS
        daemon = replace(DAEMON, certificates=(certificate,))
        authority = ScriptedAuthority(clock, directory=Directory(applications=(daemon,)))
        credential = {"private_key": key.decode(), "public_certificate": certificate.decode()}
        assert daemon_app(authority, credential).acquire_token_for_client(SCOPES)["error_codes"] == [700024]

    @pytest.mark.parametrize(
        ("change", "signs_well", "code"),
        [
            ({}, True, None),
            ({}, False, 700027),
            ({"iss": "https://evil.test"}, True, 700211),
            ({"aud": "api://other"}, True, 700212),
            ({"sub": "repo:other/runs"}, True, 700213),
            ({"exp": 1}, True, 700024),
            ({"exp": "soon"}, True, 50027),
            ({"exp": float("nan")}, True, 50027),
            ({"exp": 10**400}, True, 50027),
            ({"nbf": 2**40}, True, 700024),
        ],
    )
    def test_a_federated_assertion(self, change: dict[str, Any], signs_well: bool, code: int | None) -> None:
        (key, certificate), (other_key, _) = pair(), pair(1)
        authority = self.with_daemon(federated=(replace(MACHINE, public_key=certificate),))
        assertion = machine_token(key if signs_well else other_key, **change)
        result = daemon_app(authority, {"client_assertion": lambda: assertion}).acquire_token_for_client(SCOPES)
        assert result.get("error_codes") == (None if code is None else [code])
        assert ("access_token" in result) == (code is None)

    @pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "e30.e30.", "é.é.é", "bnVsbA.bnVsbA.AAAA"])
    def test_an_invalid_assertion(self, assertion: str) -> None:
        authority = self.with_daemon(federated=(MACHINE,))
        result = daemon_app(authority, {"client_assertion": lambda: assertion}).acquire_token_for_client(SCOPES)
        assert result["error_codes"] == [50027 if assertion else 7000216]

    def test_without_a_key_its_form_is_enough(self) -> None:
        authority = self.with_daemon(federated=(MACHINE,))
        assertion = machine_token(pair()[0])
        app = daemon_app(authority, {"client_assertion": lambda: assertion})
        assert "access_token" in app.acquire_token_for_client(SCOPES)
