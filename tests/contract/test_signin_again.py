"""A token that the server refuses: challenges with claims, step-up, revocation, and a new sign-in if needed."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from runtui.auth.errors import SignInError
from runtui.auth.flows import DeviceCode
from runtui.auth.signin import SignIn
from runtui.sandbox.authority.directory import DEMO_ADMIN
from runtui.sandbox.errors import GraphError
from tests import there
from tests.contract.scripted_authority import ScriptedAuthority, unavailable
from tests.contract.signing_in import by_device_code, cache_files, signing_in


@pytest.fixture
def authority() -> ScriptedAuthority:
    return ScriptedAuthority()


async def challenge_of(authority: ScriptedAuthority, sign_in: SignIn) -> str:
    """Return the challenge with which the server refuses the present token, as it must."""
    verdict = authority.verify(await sign_in())
    assert isinstance(verdict, GraphError)
    assert verdict.status == 401
    return there(verdict.headers)["WWW-Authenticate"]


async def test_a_challenge_leads_to_one_refresh_with_its_claims(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        wanted = json.loads(authority.challenge(DEMO_ADMIN))
        assert await sign_in.renew(await challenge_of(authority, sign_in))
        assert authority.verify(await sign_in(), write=True) is None
        (call,) = [call for call in authority.calls if call.grant == "refresh_token"]
        sent = json.loads(call.claims)["access_token"]
        assert sent["nbf"] == wanted["access_token"]["nbf"]
        assert sent["xms_cc"] == {"values": ["CP1"]}
        assert sign_in.state.error is None


async def test_a_401_without_a_challenge_leads_to_one_forced_refresh(
    authority: ScriptedAuthority, tmp_path: Path
) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        old = await sign_in()
        assert await sign_in.renew("Bearer")
        assert await sign_in() != old
        # It is refused again at once, so the token is not the reason.
        assert not await sign_in.renew("Bearer")
        assert sum(call.grant == "refresh_token" for call in authority.calls) == 1
        with pytest.raises(SignInError, match="refuses this sign-in"):
            await sign_in()
        assert sign_in.state.needs_person


async def test_a_token_may_be_renewed_again_later(
    authority: ScriptedAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        assert await sign_in.renew("Bearer")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 61)
        assert await sign_in.renew("Bearer")


async def test_a_revoked_person_has_to_sign_in_and_the_token_is_forgotten(
    authority: ScriptedAuthority, tmp_path: Path
) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        refused = await sign_in()
        authority.revoke(DEMO_ADMIN)
        assert not await sign_in.renew(await challenge_of(authority, sign_in)), "nobody is there to sign in"
        calls = len(authority.calls)
        with pytest.raises(SignInError, match="has expired"):
            await sign_in()
        assert len(authority.calls) == calls, "nobody is asked in vain"
        (file,) = cache_files(tmp_path)
        assert refused not in file.read_text()


async def test_with_a_person_the_refused_request_waits_for_the_sign_in(
    authority: ScriptedAuthority, tmp_path: Path
) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        authority.revoke(DEMO_ADMIN)
        asked: list[str] = []

        async def ask(why: str) -> bool:
            asked.append(why)
            await by_device_code(sign_in, authority)
            return True

        sign_in.ask_person = ask
        assert await sign_in.renew(await challenge_of(authority, sign_in))
        assert len(asked) == 1
        assert "expired" in asked[0]
        assert authority.verify(await sign_in(), write=True) is None
        assert sign_in.state.error is None
        begun = next(call for call in reversed(authority.calls) if call.endpoint == "devicecode")
        assert "nbf" in begun.claims, "the sign-in asks for what the server wants"


async def test_a_person_who_gives_up_leaves_it_refused(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        authority.revoke(DEMO_ADMIN)

        async def ask(_why: str) -> bool:
            return False

        sign_in.ask_person = ask
        assert not await sign_in.renew(await challenge_of(authority, sign_in))


async def test_a_step_up_signs_in_with_the_claims_of_the_refusal(authority: ScriptedAuthority, tmp_path: Path) -> None:
    stronger = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        authority.next_error(50076, claims=stronger)
        assert not await sign_in.renew("Bearer")
        assert "more verification" in there(sign_in.state.needs_person).title

        def show(code: DeviceCode) -> None:
            authority.approve(code.user_code)

        await sign_in.device_code(show)
        both = [json.loads(call.claims) for call in authority.calls[-2:]]
        assert all(claims["access_token"]["acrs"]["value"] == "c1" for claims in both), "in both requests"


async def test_a_service_that_is_down_is_no_reason_to_sign_in(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        authority.next_answer(unavailable())

        async def ask(_why: str) -> bool:
            pytest.fail("nobody is bothered")

        sign_in.ask_person = ask
        assert not await sign_in.renew("Bearer")
        assert sign_in.state.needs_person is None
        assert await sign_in.renew("Bearer"), "the next try works"


async def test_odd_challenges_do_no_harm(authority: ScriptedAuthority, tmp_path: Path) -> None:
    odd = base64.b64encode(b"not json").decode()
    for challenge in ("", "\x00", f'Bearer error="insufficient_claims", claims="{odd}"', "Bearer " + "x" * 100_000):
        async with signing_in(authority, tmp_path, token_cache="memory") as sign_in:
            await by_device_code(sign_in, authority)
            assert await sign_in.renew(challenge)
