"""No secret passes the redaction, and ordinary text passes it unchanged."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtui import redact as module
from runtui.redact import (
    REDACTED,
    can_be_hidden,
    hide_secrets,
    redact,
    redact_body,
    redact_values,
    register_environment_secrets,
    register_secret,
    without_own_secrets,
)
from tests import canary

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
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpw"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpw"),
        ("http://localhost:4000/?code=0123456789abcdef0123456789&state=s", "0123456789abcdef"),
    ],
)
def test_text_that_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert REDACTED in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer token is missing.",
        "Basic authentication is refused.",
        'Proxy-Authenticate: Basic realm="proxy"',
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
    secret=st.text(st.characters(codec="utf-8"), min_size=module.SHORTEST_SECRET).filter(can_be_hidden),
    before=st.text(),
    after=st.text(),
)
def test_a_registered_secret_is_nowhere(secret: str, before: str, after: str) -> None:
    module._secrets.clear()
    register_secret(secret)
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        text = f"{before}{form}{after}"
        body = redact_body(text.encode("utf-8", "surrogatepass"))
        assert not any(form in part for part in redact(text).split(REDACTED))
        assert not any(form.encode() in part for part in body.split(REDACTED.encode()))


Escape = Callable[[str], str]
"""Writes a text in the way of another program."""

ESCAPES: Final[dict[str, Escape]] = {
    "JSON, a slash": lambda text: text.replace("/", "\\/"),
    ".NET's JSON": lambda text: text.replace("+", "\\u002B").replace("=", "\\u003D"),
    "JSON, lower case": lambda text: text.replace("+", "\\u002b").replace("/", "\\u002f"),
    "JSON, every character": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "JSON in JSON": lambda text: json.dumps(text.replace("+", "\\u002B"))[1:-1],
    "JavaScript": lambda text: text.replace("+", "\\x2B"),
    "an address": lambda text: quote(text, safe=""),
    "an address, lower case": lambda text: quote(text, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    "an address, slashes": quote,
    "an address in an address": lambda text: quote(quote(text, safe=""), safe=""),
    "an address, every character": lambda text: "".join(f"%{ord(character):02X}" for character in text),
    "HTML": lambda text: text.replace("+", "&#x2B;").replace("=", "&#61;"),
    "HTML, names": lambda text: text.replace("+", "&plus;").replace("/", "&sol;").replace("=", "&equals;"),
    "HTML in HTML": lambda text: escape(text.replace("+", "&#43;")),
    "HTML of an address in JSON": lambda text: escape(quote(text, safe="")).replace("%", "\\u0025"),
    "base64": lambda text: b64encode(f"Bearer {text}".encode()).decode(),
    "base64 for addresses": lambda text: urlsafe_b64encode(f"-{text}-".encode()).decode(),
}


@pytest.mark.parametrize("written", ESCAPES.values(), ids=ESCAPES)
def test_an_escaped_secret_is_known(written: Escape) -> None:
    register_secret(canary.TOKEN)
    echo = written(canary.TOKEN)
    for text in (f"It said: {echo}, twice: {echo}", f"{echo}{echo}", echo):
        assert echo not in redact(text)
        assert REDACTED in redact(text)
    assert hide_secrets(f"50% off & more \\o/ {echo} &amp; \\u00e9").endswith(" &amp; \\u00e9"), "the rest stays"


@pytest.mark.parametrize(
    "written", [ESCAPES[name] for name in ESCAPES if "JSON" in name], ids=[name for name in ESCAPES if "JSON" in name]
)
def test_json_with_an_escaped_secret_stays_json(written: Escape) -> None:
    register_secret(canary.TOKEN)
    echo = written(canary.TOKEN)
    body = f'{{"a": "x{echo}y\\"z", "{echo}": ["{echo}", 1], "b": "\\u00e9\\\\"}}'
    hidden = json.loads(redact_body(body.encode()))
    assert hidden == {"a": f'x{REDACTED}y"z', REDACTED: [REDACTED, 1], "b": "é\\"}


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_secret_is_recognized_in_every_encoding_of_its_characters(data: st.DataObject) -> None:
    register_secret(canary.TOKEN)
    ways = ["{0}", "\\u{1:04x}", "\\u{1:04X}", "\\x{1:02X}", "%{1:02X}", "%{1:02x}", "%25{1:02x}", "&#{1};"]
    ways += ["&amp;#x{1:X};"]
    echo = "".join(data.draw(st.sampled_from(ways)).format(letter, ord(letter)) for letter in canary.TOKEN)
    assert redact(f"It said {echo} here") == f"It said {REDACTED} here"
    assert json.loads(redact_body(f'{{"said": "x{echo}"}}'.encode()).decode()) == {"said": f"x{REDACTED}"}


@pytest.mark.parametrize("filler", ["\\", "%41", "&#65;", "\\u0041"])
def test_a_long_text_is_searched_as_well(filler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_PLAIN", 1_000)
    register_secret(canary.TOKEN)
    long = filler * 1_000
    for name in (".NET's JSON", "an address", "HTML", "base64"):
        assert REDACTED in redact_body(f"{long} {ESCAPES[name](canary.TOKEN)} {long[:99]}".encode()).decode()


@pytest.mark.parametrize("fill", ["x" * 1_000_000, f"{canary.TOKEN} " * 4_000, "\\u0041" * 160_000])
def test_the_search_for_a_secret_takes_little_memory(fill: str) -> None:
    """Of one place for each character as a list, 40 bytes a character: 600 MB for the largest answer."""
    register_secret(canary.TOKEN)
    body = f"{fill} {canary.TOKEN}".encode()
    tracemalloc.start()
    try:
        assert canary.TOKEN.encode() not in redact_body(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * len(body)


def test_decoded_values_are_redacted_keys_too() -> None:
    register_secret(canary.TOKEN)
    echo = json.loads(f'{{"{ESCAPES["JSON, every character"](canary.TOKEN)}": [["{quote(canary.TOKEN)}"]]}}')
    assert redact_values(echo) == {REDACTED: [[REDACTED]]}


def test_values_that_are_nested_too_deeply_to_be_searched_are_hidden() -> None:
    nested: Any = "x"
    for _ in range(5_000):
        nested = [nested]
    hidden = redact_values({"deep": nested, "flat": "x"})
    assert hidden["flat"] == "x"
    assert json.dumps(hidden).count(REDACTED) == 1


def test_secrets_that_overlap_become_one_mark() -> None:
    register_secret("abcd-efghi-jk")
    register_secret("abcd-efghi-jk-and-more")
    register_secret("-and-more-and-more")
    assert redact("x abcd-efghi-jk-and-more-and-more x") == f"x {REDACTED} x"


@pytest.mark.parametrize(
    "plain", ["", "failed", "completedWithErrors", "unknownFutureValue", "20261125", "639307628950522341", "a" * 31]
)
def test_text_that_may_be_ordinary_data_is_no_secret(plain: str) -> None:
    register_secret(plain)
    assert not can_be_hidden(plain)
    assert redact_body(f'{{"processingStatus": "{plain}"}}'.encode()) == f'{{"processingStatus": "{plain}"}}'.encode()


@pytest.mark.parametrize("secret", [canary.TOKEN, canary.SECRET, JWT, "any-token-will-do", "a" * 32, "S3cr~t-Pass1"])
def test_text_that_nobody_writes_by_chance_is_a_secret(secret: str) -> None:
    assert can_be_hidden(secret)


def test_a_body_that_broke_off_does_not_end_with_half_a_secret() -> None:
    register_secret(canary.TOKEN)
    for length in range(6, len(canary.TOKEN) + 1):
        body = f"It said {canary.TOKEN[:length]}".encode()
        assert redact_body(body, is_whole=False) == f"It said {REDACTED}".encode()
    assert redact_body(b"It said canar", is_whole=False) == b"It said canar"
    assert redact_body(b"It said canary/", is_whole=True) == b"It said canary/"


def test_a_body_keeps_what_only_looks_like_a_secret() -> None:
    register_secret("opaque/token/1234")
    body = f'{{"next": "?code={"x" * 30}", "echo": "opaque\\/token\\/1234", "jwt": "{JWT}"}}'.encode()
    assert redact_body(body) == body.replace(b"opaque\\/token\\/1234", REDACTED.encode())


def test_secrets_of_the_environment_are_hidden_and_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        "RUNTUI_TOKEN": "a-secret-token-1",
        "RUNTUI_CLIENT_SECRET": "another-secret",
        "RUNTUI_PASSWORD": "p4ssw0rd-of-it",
    }
    others = {
        "AZURE_CLIENT_SECRET": "azures-secret",
        "RUNTUI_TENANT": "contoso.example",
        "THEIR_TOKEN": "not-ours-but-long",
    }
    for name, value in (own | others).items():
        monkeypatch.setenv(name, value)
    register_environment_secrets()
    hidden = [*own.values(), others["AZURE_CLIENT_SECRET"]]
    assert [redact(f"said: {value}!") for value in hidden] == [f"said: {REDACTED}!"] * 4
    assert redact("at contoso.example with not-ours-but-long") == "at contoso.example with not-ours-but-long"
    handed_on = without_own_secrets()
    assert own.keys().isdisjoint(handed_on)
    assert others.items() <= handed_on.items()
