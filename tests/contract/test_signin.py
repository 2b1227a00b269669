"""Signing in as a person: unmodified MSAL with the sandbox's authority."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import Response

from runtui.auth.claims import read_claims
from runtui.auth.errors import SignInError
from runtui.auth.flows import DeviceCode
from runtui.auth.signin import SignInState
from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_READER, Directory
from runtui.sandbox.authority.errors import aadsts
from tests import there
from tests.contract.scripted_authority import ScriptedAuthority, unavailable, web_page
from tests.contract.signing_in import ROOT, Gate, Pauses, by_device_code, cache_files, left_in, settings_for, signing_in


@pytest.fixture
def authority() -> ScriptedAuthority:
    return ScriptedAuthority()


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Move the clock that MSAL and the sign-in use."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)


def refreshes(authority: ScriptedAuthority) -> int:
    return sum(call.grant == "refresh_token" for call in authority.calls)


class TestDeviceCode:
    async def test_a_sign_in_is_found_by_the_next_start(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            states: list[SignInState] = []
            sign_in.changed.subscribe(states.append)
            code = await by_device_code(sign_in, authority)
            assert code.verification_uri == f"{authority.base}/devicelogin"
            assert authority.verify(await sign_in(), write=True) is None
            account = there(sign_in.state.account)
            assert (account.username, account.tenant_id) == (DEMO_ADMIN.username, authority.directory.tenant_id)
            assert sign_in.state.can_write
            assert sign_in.state.expires_at is not None
            assert states == [sign_in.state]
        (file,) = cache_files(tmp_path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        calls = len(authority.calls)
        async with signing_in(authority, tmp_path) as again:
            assert (await again.load()).account == account
            assert authority.verify(await again()) is None
        assert len(authority.calls) == calls, "no server was asked"

    async def test_the_secret_code_is_not_shown(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            code = await by_device_code(sign_in, authority)
        assert set(DeviceCode.__slots__) == {"user_code", "verification_uri", "expires_at"}
        assert len(code.user_code) == 9

    async def test_a_refusal_is_reported_and_nothing_is_kept(
        self, authority: ScriptedAuthority, tmp_path: Path
    ) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            with pytest.raises(SignInError) as refused:
                await sign_in.device_code(lambda code: authority.refuse(code.user_code))
        assert "was declined" in refused.value.title
        names = [line.partition(":")[0] for line in refused.value.reference]
        assert names == ["Correlation ID", "Trace ID", "Timestamp"]
        assert cache_files(tmp_path) == []

    async def test_a_code_that_ran_out(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            with pytest.raises(SignInError, match="code has expired"):
                await sign_in.device_code(lambda code: authority.expire(code.user_code))

    @pytest.mark.parametrize("seconds", [0, -5, 1])
    async def test_a_code_that_lives_too_short_to_be_typed(
        self, authority: ScriptedAuthority, tmp_path: Path, seconds: int
    ) -> None:
        flow = {"user_code": "ABC", "device_code": "d" * 40, "verification_uri": "https://login.fake.test/x"}
        body = json.dumps({**flow, "expires_in": seconds, "interval": 5}).encode()
        authority.next_answer(Response(body, 200, {}), endpoint="devicecode")
        async with signing_in(authority, tmp_path) as sign_in:
            with pytest.raises(SignInError, match="code has expired"):
                await sign_in.device_code(lambda _code: None)

    async def test_an_address_that_no_sign_in_has_is_not_shown(
        self, authority: ScriptedAuthority, tmp_path: Path
    ) -> None:
        for uri in ("http://login.fake.test/x", "javascript:alert(1)", "https://a@b/", "https:///x", 5, None):
            flow = {"user_code": "ABC", "device_code": "d" * 40, "verification_uri": uri}
            authority.next_answer(Response(json.dumps(flow).encode(), 200, {}), endpoint="devicecode")
            async with signing_in(authority, tmp_path) as sign_in:
                with pytest.raises(SignInError, match="names no https address"):
                    await sign_in.device_code(lambda _code: pytest.fail("it was shown"))

    @pytest.mark.parametrize(("interval", "kept"), [(0, 1), (-3, 1), (2, 2), (3600, 60)])
    async def test_the_pace_stays_within_reason(
        self, authority: ScriptedAuthority, tmp_path: Path, interval: int, kept: int
    ) -> None:
        authority.devices.interval = interval
        authority.auto_approve(polls=4)
        pauses = Pauses()
        async with signing_in(authority, tmp_path, pause=pauses) as sign_in:
            await sign_in.device_code(lambda _code: None)
        assert pauses.seconds == [kept] * 4

    async def test_slow_down_slows_down(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        authority.auto_approve(polls=1)
        authority.next_error(70016)
        authority.next_error(replace(aadsts(70016), error="slow_down"), times=2)
        pauses = Pauses()
        async with signing_in(authority, tmp_path, pause=pauses) as sign_in:
            await sign_in.device_code(lambda _code: None)
        assert pauses.seconds == [5, 5, 10, 15]

    @pytest.mark.parametrize(
        ("answer", "waits"),
        [
            (unavailable(), [5, 5]),
            (unavailable(retry_after=17), [5, 17]),
            (unavailable(retry_after=7000), [5, 60]),
            (unavailable(retry_after=9, status=429), [5, 9]),
            (web_page(), [5, 5]),
            (Response(b"{}", 200, {}), [5, 5]),
            (Response(b"[1]", 200, {}), [5, 5]),
            (Response(b"", 200, {}), [5, 5]),
            (Response(b"", 307, {"Location": "http://evil.test/"}), [5, 5]),
        ],
    )
    async def test_trouble_on_the_way_is_no_refusal(
        self, authority: ScriptedAuthority, tmp_path: Path, answer: Response, waits: list[float]
    ) -> None:
        pauses = Pauses()
        authority.next_answer(answer)
        async with signing_in(authority, tmp_path, pause=pauses) as sign_in:
            await by_device_code(sign_in, authority)
            assert sign_in.state.account is not None
        assert pauses.seconds == waits

    async def test_giving_up_with_a_poll_in_flight_leaves_nothing(
        self, authority: ScriptedAuthority, tmp_path: Path
    ) -> None:
        gate = Gate()

        def show(code: DeviceCode) -> None:
            authority.approve(code.user_code)
            gate.close()

        async with signing_in(authority, tmp_path, gate=gate) as sign_in:
            attempt = asyncio.create_task(sign_in.device_code(show))
            await gate.somebody_waits()
            assert authority.calls[-1].status == 200, "the tokens are on their way"
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            gate.open()
            assert (await sign_in.load()).account is None
            assert cache_files(tmp_path) == []

    async def test_somebody_else_is_reported_and_not_kept(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path, username=DEMO_ADMIN.username.upper(), write=False) as sign_in:
            with pytest.raises(SignInError, match="another account") as other:
                await by_device_code(sign_in, authority, DEMO_READER)
            assert DEMO_READER.username in other.value.message
            assert cache_files(tmp_path) == []
            await by_device_code(sign_in, authority, DEMO_ADMIN)

    async def test_an_account_of_another_tenant_is_reported(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        # This is a second tenant at the same address.
        other = Directory(tenant_id="00000000-0000-4000-8000-000000000001", domain="other.example")
        elsewhere = ScriptedAuthority(base=authority.base, directory=other)
        async with signing_in(authority, tmp_path) as sign_in:
            answer = {"id_token_claims": {"tid": elsewhere.directory.tenant_id}}
            app, staging = await asyncio.to_thread(sign_in._client.stage)
            flow = app.initiate_device_flow(list(sign_in.scopes))
            authority.approve(flow["user_code"])
            app.acquire_token_by_device_flow(flow, exit_condition=lambda _flow: True)
            with pytest.raises(SignInError, match="another tenant") as told:
                sign_in._client.staged_account(staging, answer)
            assert "Nothing was saved" in told.value.message
            assert cache_files(tmp_path) == []

    @pytest.mark.parametrize("code", [530036, 53003, 65001, 700016, 90094])
    async def test_an_error_of_the_service_is_explained(
        self, authority: ScriptedAuthority, tmp_path: Path, code: int
    ) -> None:
        authority.next_error(code)
        async with signing_in(authority, tmp_path) as sign_in:
            with pytest.raises(SignInError) as refused:
                await by_device_code(sign_in, authority)
        assert f"AADSTS{code}" in refused.value.message
        assert refused.value.hint
        assert any(line.startswith("Trace ID: ") for line in refused.value.reference)

    async def test_an_unknown_tenant(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path, tenant_id="nobody.example") as sign_in:
            with pytest.raises(SignInError, match="does not know") as refused:
                await by_device_code(sign_in, authority)
        assert sign_in.settings.client_id in refused.value.hint


class TestTheToken:
    async def test_twenty_callers_make_one_refresh(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            await by_device_code(sign_in, authority)
            old = await sign_in()
            later(monkeypatch, 3600)
            tokens = await asyncio.gather(*(sign_in() for _ in range(20)))
            assert len(set(tokens)) == 1
            assert tokens[0] != old
        assert refreshes(authority) == 1

    async def test_a_caller_who_gives_up_does_not_end_the_refresh_of_the_others(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = Gate()
        async with signing_in(authority, tmp_path, gate=gate) as sign_in:
            await by_device_code(sign_in, authority)
            later(monkeypatch, 3600)
            gate.close()
            first, second = asyncio.create_task(sign_in()), asyncio.create_task(sign_in())
            await gate.somebody_waits()
            first.cancel()
            gate.open()
            assert authority.verify(await second) is None
        assert refreshes(authority) == 1

    @pytest.mark.parametrize("answer", [unavailable(), unavailable(30), web_page(), Response(b"{}", 200, {})])
    async def test_a_good_token_survives_a_service_that_is_down(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Response
    ) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            await by_device_code(sign_in, authority)
            old = await sign_in()
        # Start again: nothing is in memory, and even the tenant cannot be looked up.
        authority.next_answer(answer, endpoint="discovery", times=99)
        authority.next_answer(answer, times=99)
        later(monkeypatch, 3600 - 200)
        async with signing_in(authority, tmp_path) as again:
            for _ in range(3):
                assert await again() == old
                await asyncio.sleep(0)
            refreshing = there(again._refreshing)
            await refreshing
            assert await again() == old
            assert there(again.state.error).is_transient
            assert again.state.needs_person is None
            assert again.state.account is not None
            assert await again() == old
            assert again._refreshing is refreshing, "the service is left alone for a while"

    async def test_a_sign_in_after_a_refusal_asks_the_service_and_not_a_cache(
        self, authority: ScriptedAuthority, tmp_path: Path
    ) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            authority.next_error(90094, endpoint="devicecode")
            with pytest.raises(SignInError, match="needs consent"):
                await by_device_code(sign_in, authority)
            await by_device_code(sign_in, authority)
            assert sign_in.state.account is not None

    async def test_an_expired_refresh_token_is_not_sent_twice(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            await by_device_code(sign_in, authority)
            authority.kill_refresh_tokens(DEMO_ADMIN)
            later(monkeypatch, 3600)
            for _ in range(3):
                with pytest.raises(SignInError, match="has expired") as expired:
                    await sign_in()
            refreshing = sign_in._refreshing
            assert expired.value.needs_person
            assert sign_in.state.needs_person is expired.value
            assert sign_in.state.account is not None, "who has to sign in again"
            assert refreshes(authority) == 1
            with pytest.raises(SignInError):
                await sign_in()
            assert sign_in._refreshing is refreshing, "not even MSAL is asked"
            await by_device_code(sign_in, authority)
            assert sign_in.state.error is None
            assert await sign_in()
            assert sign_in.state.expires_at is not None

    async def test_a_sign_in_in_another_process_is_noticed(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with signing_in(authority, tmp_path) as here, signing_in(authority, tmp_path) as elsewhere:
            with pytest.raises(SignInError, match="Sign in first"):
                await here()
            await by_device_code(elsewhere, authority)
            assert await here() == await elsewhere()

    async def test_none_of_several_accounts_is_chosen_by_chance(
        self, authority: ScriptedAuthority, tmp_path: Path
    ) -> None:
        for account in (DEMO_ADMIN, DEMO_READER):
            async with signing_in(authority, tmp_path, write=False) as sign_in:
                await by_device_code(sign_in, authority, account)
                assert authority.verify(token := await sign_in()) is None
                assert read_claims(token).account == account.username
        async with signing_in(authority, tmp_path, write=False) as unsaid:
            with pytest.raises(SignInError, match="Which account"):
                await unsaid()
        for account in (DEMO_ADMIN, DEMO_READER):
            async with signing_in(authority, tmp_path, write=False, username=account.username.title()) as said:
                assert authority.verify(token := await said()) is None
                assert read_claims(token).account == account.username
        async with signing_in(authority, tmp_path, write=False, username="nobody@contoso.example") as nobody:
            with pytest.raises(SignInError, match=r"nobody@contoso\.example is not signed in"):
                await nobody()

    async def test_memory_alone_leaves_no_file(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path, token_cache="memory") as sign_in:
            await by_device_code(sign_in, authority)
            assert await sign_in()
        assert left_in(tmp_path) == []

    async def test_the_sign_in_requests_one_list_of_scopes(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        origin = "https://graph.fake.test"
        read, write = f"{origin}/LifecycleWorkflows.Read.All", f"{origin}/LifecycleWorkflows.ReadWrite.All"
        async with signing_in(authority, tmp_path) as sign_in:
            assert sign_in.scopes == (read, write)
            await by_device_code(sign_in, authority)
            later(monkeypatch, 3600)
            await sign_in()
        asked = {frozenset(call.scope.split()) for call in authority.calls if call.scope}
        assert asked == {frozenset({read, write, "openid", "profile", "offline_access"})}
        async with signing_in(authority, tmp_path, write=False) as reading:
            assert reading.scopes == (read,)

    async def test_the_sign_in_declares_that_it_understands_challenges(
        self, authority: ScriptedAuthority, tmp_path: Path
    ) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            await by_device_code(sign_in, authority)
        asked = [call.claims for call in authority.calls if call.endpoint in ("devicecode", "token")]
        assert asked
        assert all("CP1" in claims for claims in asked)


class TestSigningOut:
    async def test_it_leaves_nothing(self, authority: ScriptedAuthority, tmp_path: Path) -> None:
        async with signing_in(authority, tmp_path) as sign_in:
            await by_device_code(sign_in, authority)
            await sign_in.sign_out()
            assert cache_files(tmp_path) == []
            assert sign_in.state.account is None
            with pytest.raises(SignInError, match="Sign in first"):
                await sign_in()

    @pytest.mark.parametrize("kept", ["file", "memory"])
    async def test_a_refresh_in_progress_restores_no_tokens(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
    ) -> None:
        gate = Gate()
        async with signing_in(authority, tmp_path, gate=gate, token_cache=kept) as sign_in:
            await by_device_code(sign_in, authority)
            later(monkeypatch, 3600)
            gate.close()
            caller = asyncio.create_task(sign_in())
            await gate.somebody_waits()
            assert authority.calls[-1].grant == "refresh_token"
            await sign_in.sign_out()
            with pytest.raises(SignInError, match="Sign in first"):
                await caller
            gate.open()
            for thread in threading.enumerate():
                if thread.name == "sign-in":
                    await asyncio.to_thread(thread.join)
            assert sign_in._client._store.read() == {}
            assert cache_files(tmp_path) == []

    async def test_a_refresh_in_another_process_restores_no_tokens(
        self, authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = Gate()
        async with signing_in(authority, tmp_path) as here:
            await by_device_code(here, authority)
            async with signing_in(authority, tmp_path, gate=gate) as elsewhere:
                await elsewhere.load()
                later(monkeypatch, 3600)
                gate.close()
                caller = asyncio.create_task(elsewhere())
                await gate.somebody_waits()
                await here.sign_out()
                gate.open()
                with pytest.raises(SignInError, match="Sign in first"):
                    await caller
        assert cache_files(tmp_path) == []


def test_the_settings_hold_no_secret(authority: ScriptedAuthority) -> None:
    assert "secret" not in repr(settings_for(authority, method="secret")).replace("method='secret'", "")
    assert ROOT.startswith("https")
