"""A supplied bearer token: accepted as people paste it, refused with a clear message, never printed."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.auth.claims import read_claims
from runtui.auth.tokens import StaticToken, TokenSource, environment_token
from runtui.errors import ExitCode, UsageError
from runtui.redact import REDACTED, redact

TOKEN = "eyJ0eXAi.payload-of-the-token.signature_1"


@pytest.mark.parametrize(
    "pasted", [TOKEN, f" {TOKEN}\n", f"Bearer {TOKEN}", f"bearer {TOKEN}", f"  BEARER \t{TOKEN}\r\n"]
)
async def test_a_token_is_taken_as_people_paste_it(pasted: str) -> None:
    assert await StaticToken(pasted)() == TOKEN


async def test_the_word_bearer_inside_a_token_is_part_of_it() -> None:
    assert await StaticToken("bearerish.token")() == "bearerish.token"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("Bearer ", "empty"),
        ("two words", "one word"),
        ("forbearer token", "one word"),
        (f"{TOKEN}\r\nHost: evil.example", "one word"),
        ("tökén-with-letters", "one word"),
        ("token\x00", "one word"),
    ],
)
def test_what_would_corrupt_a_header_is_refused_and_not_repeated(value: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        StaticToken(value)
    assert says in refused.value.message
    assert "RUNTUI_TOKEN" in refused.value.hint
    assert not value.strip() or value.strip() not in str(refused.value)


@pytest.mark.parametrize("value", ["any", "scheduled", "Bearer completedWithErrors", "639307628950522341", "x7+y/z1=="])
def test_a_token_that_could_not_be_masked_is_refused(value: str) -> None:
    with pytest.raises(UsageError) as refused:
        StaticToken(value)
    assert "could not be hidden" in refused.value.message
    assert "RUNTUI_TOKEN" in refused.value.hint
    assert value.removeprefix("Bearer ") not in refused.value.message
    assert StaticToken("any-token-will-do"), "the one that the hint names"


def test_a_token_cannot_be_printed_by_accident() -> None:
    token = StaticToken("opaque-and-secret-1234")
    for shown in (repr(token), str(token), f"{token}", f"{[token]}", f"{token!a}"):
        assert "opaque-and-secret" not in shown
    assert redact("the server echoed opaque-and-secret-1234 back") == f"the server echoed {REDACTED} back"


async def test_the_environment_gives_the_token() -> None:
    assert await environment_token({"RUNTUI_TOKEN": f"Bearer {TOKEN}"})() == TOKEN


@pytest.mark.parametrize(("environ", "title"), [({}, "No token"), ({"RUNTUI_TOKEN": ""}, "That token cannot be used")])
def test_without_a_token_the_next_step_is_named(environ: dict[str, str], title: str) -> None:
    with pytest.raises(UsageError) as refused:
        environment_token(environ)
    assert refused.value.title == title
    assert refused.value.exit_code is ExitCode.USAGE
    assert refused.value.hint


async def test_a_static_token_is_never_renewed() -> None:
    static = StaticToken(TOKEN)
    assert not await static.renew('Bearer error="invalid_token"')
    assert await static() == TOKEN


def test_the_kind_of_token_source() -> None:
    async def bare() -> str:
        return TOKEN

    assert isinstance(StaticToken(TOKEN), TokenSource)
    assert not isinstance(bare, TokenSource)


def jwt(claims: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJ0eXAi.{middle}.signature"


@pytest.mark.parametrize(
    ("claims", "account"),
    [
        ({"upn": "ada@contoso.example", "appid": "a1"}, "ada@contoso.example"),
        ({"preferred_username": "ada", "unique_name": "other"}, "ada"),
        ({"unique_name": "Zoë 👩"}, "Zoë 👩"),
        ({"app_displayname": "Night job", "appid": "a1"}, "Night job"),
        ({"appid": "a1"}, "a1"),
        ({"upn": "", "preferred_username": 5, "unique_name": ["x"], "appid": "a1"}, "a1"),
        ({"upn": "\x1b\u202e\n", "appid": "a1"}, "a1"),
        ({"upn": "a\x1b]2;PWNED\x07d\u202ea\u200b\ud800"}, "a]2;PWNEDda"),
        ({"upn": "x" * 30_000}, "x" * 256),
        ({"oid": "no name at all"}, ""),
        (["upn"], ""),
        ("upn", ""),
        (None, ""),
    ],
)
def test_the_account_in_a_token(claims: object, account: str) -> None:
    assert read_claims(jwt(claims)).account == account


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque-token",
        "two.parts",
        "one.two.three.four.five",
        "..",
        "a.!!!.c",
        "a.é.c",
        "a.e30.c",
        "a._w.c",
        f"a.{base64.urlsafe_b64encode(b'{' * 99).decode()}.c",
        f"a.{base64.urlsafe_b64encode(b'[' * 20_000).decode()}.c",
        f"a.{base64.urlsafe_b64encode(b'9' * 5_000).decode()}.c",
        f"a.{'x' * 30_000}.c",
        jwt({"upn": "x"}).replace("eyJ1", "\ud800"),
    ],
)
def test_a_token_that_is_no_jwt_names_nobody(token: str) -> None:
    assert read_claims(token).account == ""


@given(st.text() | st.binary().map(lambda data: f"a.{base64.urlsafe_b64encode(data).decode()}.c"))
def test_no_token_breaks_the_reading_of_it(token: str) -> None:
    assert read_claims(token).account.isprintable()
