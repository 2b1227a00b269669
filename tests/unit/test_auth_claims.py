"""The claims of a token, and those that a server asks for: they are only hints, and may contain anything."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.auth.claims import Claims, read_claims, wanted_claims
from runtui.auth.signin import SignInState
from tests.unit.test_tokens import jwt

READ, WRITE = "LifecycleWorkflows.Read.All", "LifecycleWorkflows.ReadWrite.All"
WANTED = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}'


def test_what_a_token_of_a_person_says() -> None:
    token = jwt({"upn": "ada", "tid": "t", "exp": 1_800_000_000, "scp": f"{READ} {WRITE}"})
    assert read_claims(token) == Claims(
        account="ada",
        tenant_id="t",
        expires_at=datetime(2027, 1, 15, 8, tzinfo=UTC),
        permissions=frozenset({READ, WRITE}),
    )


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({"scp": f"openid {READ} {WRITE}"}, True),
        ({"scp": READ}, False),
        ({"scp": ""}, False),
        ({"scp": f"x{WRITE}"}, False),
        ({"roles": [WRITE]}, True),
        ({"roles": [READ, 5, None]}, False),
        ({"roles": []}, False),
        ({"scp": READ, "roles": [WRITE]}, True),
        ({}, None),
        ({"scp": [WRITE]}, None),
        ({"roles": WRITE}, None),
        ([], None),
    ],
)
def test_whether_writing_can_work(claims: object, may: bool | None) -> None:
    assert SignInState(permissions=read_claims(jwt(claims)).permissions).can_write is may


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.b.c.d", "a." + "x" * 30_000 + ".c"])
def test_an_opaque_token_says_nothing_and_blocks_nothing(token: str) -> None:
    assert read_claims(token) == Claims()
    assert SignInState(permissions=read_claims(token).permissions).can_write is None


@pytest.mark.parametrize("moment", [1e300, -1e300, float("inf"), "soon", True, None, [], 10**400])
def test_an_end_that_is_none(moment: object) -> None:
    assert read_claims(jwt({"exp": moment})).expires_at is None


def encoded(text: str, *, padding: bool = True, url: bool = False) -> str:
    data = (base64.urlsafe_b64encode if url else base64.b64encode)(text.encode()).decode()
    return data if padding else data.rstrip("=")


@pytest.mark.parametrize(
    "challenge",
    [
        f'Bearer realm="", error="insufficient_claims", claims="{encoded(WANTED)}"',
        f'Bearer realm="", error="insufficient_claims", claims="{encoded(WANTED, padding=False)}"',
        f'Bearer claims="{encoded(WANTED, url=True)}", error="insufficient_claims"',
        f'Bearer realm="", authorization_uri="https://x/authorize", error="insufficient_claims" , '
        f'claims = "{encoded(WANTED)}"',
        f'PoP alg="RS256", Bearer error="insufficient_claims", claims="{encoded(WANTED)}"',
        f'Negotiate, Basic realm="x", bearer ERROR="insufficient_claims", Claims="{encoded(WANTED)}"',
        f'Bearer error=insufficient_claims, claims="{encoded(WANTED)}"',
        f'Bearer error="insufficient_claims",claims="{encoded(WANTED)}",Negotiate',
    ],
)
def test_the_claims_of_a_challenge(challenge: str) -> None:
    assert wanted_claims(challenge) == WANTED


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Bearer",
        'Bearer error="invalid_token"',
        f'Bearer error="invalid_token", claims="{encoded(WANTED)}"',
        'Bearer error="insufficient_claims"',
        'Bearer error="insufficient_claims", claims="!!"',
        'Bearer error="insufficient_claims", claims="A"',
        f'Bearer error="insufficient_claims", claims="{encoded("[1]")}"',
        f'Bearer error="insufficient_claims", claims="{encoded("{}")}"',
        f'Bearer error="insufficient_claims", claims="{encoded("not json")}"',
        f'Bearer error="insufficient_claims", claims="{encoded("[" * 9000)}"',
    ],
)
def test_a_challenge_without_claims(challenge: str) -> None:
    assert wanted_claims(challenge) == ""


@given(st.text() | st.binary().map(lambda data: f'error="insufficient_claims" claims="{base64.b64encode(data)!r}"'))
def test_no_challenge_breaks_the_reading_of_it(challenge: str) -> None:
    wanted = wanted_claims(challenge)
    assert wanted == "" or isinstance(json.loads(wanted), dict)
