"""No secret passes the scrubber, and ordinary text passes it unchanged."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui import redact as module
from runtui.redact import MARK, redact, redact_body, register_secret

JWT = "eyJ0eXAiOiJKV1QiLCJub25jZSI6Ik.eyJhdWQiOiJodHRwczovL2dyYXBo.c2lnbmF0dXJl-_x"
REFRESH = "0.AXoAjK3dFq8vLkS2mQ1x-abcDEFghiJKLmnop"


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_secrets", {})


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.DEF-123_xyz", "abc.DEF"),
        ("authorization: bearer abcdefgh==", "abcdefgh"),
        (f"the token {JWT} is bad", "eyJhdWQ"),
        (f"unsigned {JWT.rsplit('.', 1)[0]}.", "eyJhdWQ"),
        (f"got {REFRESH} back", "AXoAjK3d"),
        ("M.C507_BL2.0.U.-CqXyz01234567890abcdef!", "CqXyz"),
        ("grant_type=x&client_secret=S3cr~t&scope=y", "S3cr"),
        ("refresh_token=abc&x=1", "abc"),
        ('{"access_token": "opaque value", "expires_in": 3}', "opaque"),
        ('{"device_code":"GAQ-123"}', "GAQ"),
        ("http://localhost:4000/?code=0123456789abcdef0123456789&state=s", "0123456789abcdef"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert MARK in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer token is missing.",
        'Bearer realm="", authorization_uri="https://login.example/common"',
        "error code=BadRequest and code=400",
        "https://graph.microsoft.com/beta/x?$skiptoken=eyJhIjoxfQUmFuZG9tT3BhcXVl",
        "6513270e-269e-4d37-b2a7-4de452e6b438_639307628950522341",
        "2026-11-20T09:15:03.9206151Z",
        "Resource not found for the segment 'workflowBase'.",
        "10.AB.0.5 M.C. 1.A",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=module.SHORTEST_SECRET),
    before=st.text(),
    after=st.text(),
)
def test_a_registered_secret_is_nowhere(secret: str, before: str, after: str) -> None:
    module._secrets.clear()
    register_secret(secret)
    for form in (secret, quote(secret, safe="")):
        text = f"{before}{form}{after}"
        body = redact_body(text.encode("utf-8", "surrogatepass"))
        assert not any(secret in part for part in redact(text).split(MARK))
        assert not any(secret.encode() in part for part in body.split(MARK.encode()))


def test_the_longer_of_two_secrets_goes_first() -> None:
    register_secret("abcdefgh")
    register_secret("abcdefgh-and-more")
    assert redact("x abcdefgh-and-more x") == f"x {MARK} x"


def test_a_short_value_is_no_secret() -> None:
    register_secret("failed")
    register_secret("")
    assert redact_body(b'{"processingStatus": "failed"}') == b'{"processingStatus": "failed"}'


def test_a_body_keeps_what_only_looks_like_a_secret() -> None:
    register_secret("opaque/token/1234")
    body = f'{{"next": "?code={"x" * 30}", "echo": "opaque\\/token\\/1234", "jwt": "{JWT}"}}'.encode()
    assert redact_body(body) == body.replace(b"opaque\\/token\\/1234", MARK.encode())
