"""Programs that sign in by themselves, and supplied tokens."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from runtui.auth.claims import read_claims
from runtui.auth.errors import SignInError
from runtui.auth.msal_client import HttpAnswer, MsalClient
from runtui.auth.signin import SignIn
from runtui.redact import REDACTED, redact
from runtui.sandbox.authority.directory import Directory
from runtui.settings import SignInSettings
from tests import there
from tests.canary import SECRET
from tests.contract.msal_apps import DAEMON, DAEMON_ID, MACHINE, machine_token, pair
from tests.contract.scripted_authority import ScriptedAuthority, unavailable
from tests.contract.signing_in import ROOT, by_device_code, left_in, signing_in


def authority_for(**credentials: Any) -> ScriptedAuthority:
    return ScriptedAuthority(
        directory=Directory(applications=(*Directory().applications, replace(DAEMON, **credentials)))
    )


async def test_a_secret_signs_in_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = authority_for(secret=SECRET)
    for name in ("RUNTUI_CLIENT_SECRET", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, SECRET)
        async with signing_in(authority, tmp_path, method="secret", client_id=DAEMON_ID) as sign_in:
            assert sign_in.scopes == ("https://graph.fake.test/.default",)
            assert not sign_in.is_person
            assert authority.verify(await sign_in(), write=True) is None
            assert await sign_in() == await sign_in()
            assert there(sign_in.state.account).username == "nightly"
            assert sign_in.state.can_write
        monkeypatch.delenv(name)
    assert sum(call.grant == "client_credentials" for call in authority.calls) == 2
    assert left_in(tmp_path) == []
    assert redact(f"echo {SECRET}") == f"echo {REDACTED}"


async def test_our_own_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTUI_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "of-another-program")
    async with signing_in(authority_for(secret=SECRET), tmp_path, method="secret", client_id=DAEMON_ID) as sign_in:
        assert await sign_in()


async def test_a_refused_token_of_a_program_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = authority_for(secret=SECRET)
    monkeypatch.setenv("RUNTUI_CLIENT_SECRET", SECRET)
    async with signing_in(authority, tmp_path, method="secret", client_id=DAEMON_ID) as sign_in:
        old = await sign_in()
        assert await sign_in.renew("Bearer")
        assert await sign_in() != old


@pytest.mark.parametrize(
    ("secret", "code", "says"),
    [
        ("", 0, "No client secret"),
        ("wrong-secret-1234", 0, "client secret is wrong"),
        (SECRET, 7000222, "client secret has expired"),
        (SECRET, 700024, "clock"),
    ],
)
async def test_errors_about_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, code: int, says: str
) -> None:
    monkeypatch.setenv("RUNTUI_CLIENT_SECRET", secret)
    authority = authority_for(secret=SECRET)
    if code:
        authority.next_error(code)
    async with signing_in(authority, tmp_path, method="secret", client_id=DAEMON_ID) as sign_in:
        with pytest.raises(SignInError, match=says) as refused:
            await sign_in()
        assert not refused.value.needs_person
        assert sign_in.state.needs_person is None
        assert sign_in.state.error is refused.value


async def test_a_program_needs_one_tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTUI_CLIENT_SECRET", SECRET)
    async with signing_in(
        authority_for(secret=SECRET), tmp_path, method="secret", client_id=DAEMON_ID, tenant_id="organizations"
    ) as sign_in:
        with pytest.raises(SignInError, match="Which tenant"):
            await sign_in()


async def test_a_secret_in_the_environment_does_not_replace_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = authority_for(secret=SECRET)
    monkeypatch.setenv("RUNTUI_CLIENT_SECRET", SECRET)
    async with signing_in(authority, tmp_path) as sign_in:
        with pytest.raises(SignInError, match="Sign in first"):
            await sign_in()
        assert authority.calls == []
        await by_device_code(sign_in, authority)
        assert authority.verify(token := await sign_in()) is None
        assert "@" in read_claims(token).account


async def test_a_certificate_signs_in(tmp_path: Path) -> None:
    key, public = pair()
    authority = authority_for(certificates=(public,))
    path = tmp_path / "nightly.pem"
    path.write_bytes(public + key)
    async with signing_in(authority, tmp_path, method="certificate", client_id=DAEMON_ID, certificate=path) as sign_in:
        assert authority.verify(await sign_in(), write=True) is None


async def test_a_certificate_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization

    key, public = pair()
    private = serialization.load_pem_private_key(key, None)
    locked = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"the password of the key"),
    )
    path = tmp_path / "locked.pem"
    path.write_bytes(locked + public)
    authority = authority_for(certificates=(public,))
    for password, works in (("the password of the key", True), ("another password", False), ("", False)):
        monkeypatch.setenv("RUNTUI_CERTIFICATE_PASSWORD", password)
        async with signing_in(
            authority, tmp_path, method="certificate", client_id=DAEMON_ID, certificate=path
        ) as sign_in:
            if works:
                assert await sign_in()
            else:
                with pytest.raises(SignInError, match="certificate cannot be used") as refused:
                    await sign_in()
                assert "RUNTUI_CERTIFICATE_PASSWORD" in refused.value.hint


async def test_an_invalid_certificate_file(tmp_path: Path) -> None:
    key, public = pair()
    odd = {"key.pem": key, "cert.pem": public, "empty.pem": b"", "noise.pem": b"\xff\xfe", "noise.pfx": b"noise"}
    authority = authority_for(certificates=(public,))
    for name, content in odd.items():
        (tmp_path / name).write_bytes(content)
    for name in (*odd, "absent.pem", "absent.pfx"):
        async with signing_in(
            authority, tmp_path, method="certificate", client_id=DAEMON_ID, certificate=tmp_path / name
        ) as sign_in:
            with pytest.raises(SignInError, match="certificate cannot be") as refused:
                await sign_in()
            assert name in refused.value.message
            assert ("No such file" in refused.value.message) is name.startswith("absent")


@pytest.mark.parametrize("name", ["nightly.pem", "nightly.pfx"])
async def test_a_certificate_with_another_key_than_rsa_is_named(name: str, tmp_path: Path) -> None:
    """Entra has no other, and MSAL fails only when it signs."""
    from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
    from cryptography.x509 import load_pem_x509_certificate

    key, public = pair(trustme.KeyType.ECDSA)
    content = key + public
    if name.endswith(".pfx"):
        private, certificate = load_pem_private_key(key, None), load_pem_x509_certificate(public)
        assert isinstance(private, EllipticCurvePrivateKey)
        content = serialize_key_and_certificates(None, private, certificate, None, NoEncryption())
    (tmp_path / name).write_bytes(content)
    async with signing_in(
        authority_for(), tmp_path, method="certificate", client_id=DAEMON_ID, certificate=tmp_path / name
    ) as sign_in:
        with pytest.raises(SignInError, match="certificate cannot be used") as refused:
            await sign_in()
        assert f"The key in {tmp_path / name} is not an RSA key" in refused.value.message


async def test_an_error_of_a_library_is_not_told_as_a_missing_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LibraryError(Exception):
        """An error that MSAL's own libraries raise, such as that of a key."""

    def fail(*_: object) -> NoReturn:
        raise LibraryError

    monkeypatch.setattr(MsalClient, "_renew_program", fail)
    async with signing_in(authority_for(), tmp_path, method="secret", client_id=DAEMON_ID) as sign_in:
        with pytest.raises(SignInError, match=r"makes no sense \(LibraryError\)"):
            await sign_in()


async def test_a_service_that_is_down_does_not_blame_the_certificate(tmp_path: Path) -> None:
    key, public = pair()
    authority = authority_for(certificates=(public,))
    authority.next_answer(unavailable(), endpoint="discovery")
    (tmp_path / "nightly.pem").write_bytes(public + key)
    async with signing_in(
        authority, tmp_path, method="certificate", client_id=DAEMON_ID, certificate=tmp_path / "nightly.pem"
    ) as sign_in:
        with pytest.raises(SignInError, match="did not answer as expected"):
            await sign_in()


async def test_a_federated_token_is_read_whenever_it_is_sent(tmp_path: Path) -> None:
    authority = authority_for(federated=(MACHINE,))
    path = tmp_path / "token"
    path.write_text(machine_token(jti="first"))
    async with signing_in(
        authority, tmp_path, method="federated", client_id=DAEMON_ID, federated_token_file=path
    ) as sign_in:
        assert authority.verify(await sign_in(), write=True) is None
        path.write_text(machine_token(sub="somebody else"))
        assert not await sign_in.renew("Bearer")
        path.write_text(machine_token(jti="second") + "\n")
        assert await sign_in.renew("Bearer")
        path.unlink()
        assert not await sign_in.renew("Bearer")


def hand_written(**claims: Any) -> str:
    """Return a token that another program might write; the sandbox would not accept it."""
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJ0eXAi.{middle}.signature"


async def by_hand(tmp_path: Path, path: Path | None) -> SignIn:
    settings = SignInSettings(method="token", tenant_id="", client_id="", authority="", token_file=path)

    def no_http() -> Any:
        raise AssertionError("a given token needs no sign-in service")

    return SignIn(MsalClient(settings, root=ROOT, state_folder=tmp_path / "state", http=no_http))


async def test_a_token_file_is_read_again_when_the_server_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    first = hand_written(upn="ada@contoso.example", tid="t1", exp=4_000_000_000, scp="LifecycleWorkflows.Read.All")
    path.write_text(f"Bearer {first}\n")
    path.chmod(0o600)
    sign_in = await by_hand(tmp_path, path)
    assert await sign_in() == first
    state = sign_in.state
    assert state.account is not None
    assert (state.account.username, state.account.tenant_id) == ("ada@contoso.example", "t1")
    assert there(state.expires_at).year == 2096
    assert state.can_write is False
    assert not await sign_in.renew("Bearer"), "the same one is still there"
    assert sign_in.state.error is not None
    path.write_text(second := hand_written(upn="ada@contoso.example", jti="2"))
    assert await sign_in.renew("Bearer")
    assert await sign_in() == second
    assert sign_in.state.expires_at is None, "it does not say"
    assert sign_in.state.can_write is None, "nor what it may"
    await sign_in.aclose()
    assert not (tmp_path / "state").exists()


async def test_a_token_file_whose_token_has_expired_says_so_until_it_has_another(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(hand_written(upn="ada@contoso.example", exp=1_800_000))
    sign_in = await by_hand(tmp_path, path)
    for _ in range(2):
        with pytest.raises(SignInError, match=r"The token has expired\. .*1970-01-21 20:00 UTC") as expired:
            await sign_in()
        assert expired.value.hint == f"Put a fresh token into {path}."
        assert not await sign_in.renew("Bearer")
    path.write_text(fresh := hand_written(upn="ada@contoso.example", exp=4_000_000_000))
    assert await sign_in.renew("Bearer")
    assert await sign_in() == fresh
    await sign_in.aclose()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
async def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text(hand_written())
    path.chmod(mode)
    sign_in = await by_hand(tmp_path, path)
    with pytest.raises(SignInError, match="Others may read") as refused:
        await sign_in()
    assert f"chmod 600 {path}" in refused.value.hint
    await sign_in.aclose()


async def test_a_token_file_that_cannot_be_used(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    for name, content in {"empty": "", "words": "two words", "absent": None, "pipe": None, "folder": None}.items():
        if content is not None:
            (tmp_path / name).touch(0o600)
            (tmp_path / name).write_text(content)
        sign_in = await by_hand(tmp_path, tmp_path / name)
        with pytest.raises(SignInError):
            await sign_in()
        await sign_in.aclose()


async def test_a_pipe_into_which_nothing_was_written_yet_has_no_token(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe", 0o600)
    with path.open("r+b", buffering=0):
        sign_in = await by_hand(tmp_path, path)
        with pytest.raises(SignInError, match="It is empty"):
            await sign_in()
        await sign_in.aclose()


async def test_the_variable_gives_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = hand_written(upn="ada")
    monkeypatch.setenv("RUNTUI_TOKEN", f"Bearer {token}")
    sign_in = await by_hand(tmp_path, None)
    assert await sign_in() == token
    assert not await sign_in.renew("Bearer")
    with pytest.raises(SignInError, match="refused"):
        await sign_in()
    await sign_in.aclose()


class AzuresService:
    """The identity service of an Azure virtual machine."""

    def __init__(self, answers: list[HttpAnswer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        assert method == "GET"
        self.asked.append((url, options["params"]))
        return self.answers.pop(0)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


@pytest.mark.parametrize("client_id", ["", DAEMON_ID])
async def test_a_managed_identity(tmp_path: Path, client_id: str) -> None:
    def given(name: str) -> HttpAnswer:
        said = {"access_token": hand_written(app_displayname=name, tid="t1"), "expires_in": "3600", "resource": "x"}
        return HttpAnswer(200, {}, json.dumps(said))

    service = AzuresService([given("first"), given("second"), HttpAnswer(400, {}, '{"error": "none"}')])
    settings = SignInSettings(method="managed-identity", tenant_id="", client_id=client_id, authority="")
    sign_in = SignIn(MsalClient(settings, root=ROOT, state_folder=tmp_path, http=lambda: service))
    first = await sign_in()
    assert await sign_in() == first
    assert sign_in.state.account is not None
    assert (sign_in.state.account.username, sign_in.state.account.tenant_id) == ("first", "t1")
    assert await sign_in.renew("Bearer")
    assert await sign_in() != first
    url, parameters = service.asked[0]
    assert url.startswith("http://169.254.169.254/")
    assert parameters["resource"] == "https://graph.fake.test"
    assert parameters.get("client_id", "") == client_id
    await sign_in.aclose()
    assert left_in(tmp_path) == []


async def test_there_is_no_managed_identity_here(tmp_path: Path) -> None:
    service = AzuresService(
        [HttpAnswer(400, {}, '{"error": "invalid_request", "error_description": "Identity not found"}')]
    )
    settings = SignInSettings(method="managed-identity", tenant_id="", client_id="", authority="")
    sign_in = SignIn(MsalClient(settings, root=ROOT, state_folder=tmp_path, http=lambda: service))
    with pytest.raises(SignInError, match="Identity not found") as refused:
        await sign_in()
    assert not refused.value.needs_person
    await sign_in.aclose()
