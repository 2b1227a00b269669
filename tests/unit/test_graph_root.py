"""The addresses that may get a token: all of them below the root, in every spelling, and none outside."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, unquote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtui.auth.clouds import is_loopback
from runtui.errors import UsageError
from runtui.graph.root import LONGEST_ADDRESS, parse_root, refusal, resolve_link, root_is_loopback

ROOT = "https://graph.example/beta"


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("https://graph.microsoft.com/beta", "https://graph.microsoft.com/beta"),
        (" https://Graph.Microsoft.com:443/v1.0/ ", "https://graph.microsoft.com/v1.0"),
        ("https://graph.example", "https://graph.example"),
        ("https://graph.example:8443/a/b", "https://graph.example:8443/a/b"),
        ("http://127.0.0.1:8080/beta", "http://127.0.0.1:8080/beta"),
        ("http://127.9.9.9/beta", "http://127.9.9.9/beta"),
        ("http://[::1]:80/beta", "http://[::1]/beta"),
        ("HTTP://LocalHost:5000", "http://localhost:5000"),
    ],
)
def test_a_root_is_written_one_way(text: str, root: str) -> None:
    assert parse_root(text) == root
    assert parse_root(root) == root


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a plain http(s) address"),
        ("graph.microsoft.com/beta", "a plain http(s) address"),
        ("ftp://graph.example", "a plain http(s) address"),
        ("https://", "a plain http(s) address"),
        ("https://user:hidden@graph.example/beta", "must not contain a user name"),
        ("https://graph.example/beta?x=1", "a plain http(s) address"),
        ("https://graph.example/beta#x", "a plain http(s) address"),
        ("https://graph.example\\@evil.example/", "must not contain a user name"),
        ("https://graph.example\\evil", "a plain http(s) address"),
        ("https://graph.example/b eta", "a plain http(s) address"),
        ("https://gräph.example/beta", "a plain http(s) address"),
        ("https://\N{KELVIN SIGN}en.example/beta", "a plain http(s) address"),  # its small letter is ASCII
        ("https://graph.example./beta", "a plain http(s) address"),
        ("https://graph.example:99999/beta", "no port 99999"),
        ("https://graph.example:0/beta", "no port 0"),
        ("https://graph.example/../beta", "not a plain one"),
        ("https://graph.example//beta", "not a plain one"),
        ("https://graph.example/%2e", "not a plain one"),
        ("http://graph.example/beta", "without encryption"),
        ("http://128.0.0.1/beta", "without encryption"),
        ("http://localhost.evil.example/", "without encryption"),
        ("http://2130706433/", "without encryption"),
        ("http://0.0.0.0:8080/", "without encryption"),
    ],
)
def test_an_invalid_root_is_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_root(text)
    assert says in caught.value.message
    assert caught.value.hint
    assert "hidden" not in str(caught.value)


HOSTILE = [
    "http://graph.example/beta/x",
    "https://graph.example.evil.example/beta/x",
    "https://graph.example@evil.example/beta/x",
    "https://evil.example/beta/x",
    "https://evil.example\\@graph.example/beta/x",
    "https://graph.example\\.evil.example/beta/x",
    "https://graph.example./beta/x",
    "https://graph.example:8443/beta/x",
    "https://gràph.example/beta/x",
    "https://graph.example%00.evil.example/beta/x",
    "https://graph.example%2eevil.example/beta/x",
    "https://user@graph.example/beta/x",
    "https://[::1]/beta/x",
    "//graph.example/beta/x",
    "graph.example/beta/x",
    "file:///beta/x",
    "javascript:alert(1)",
    "",
    "https://graph.example",
    "https://graph.example/",
    "https://graph.example/beta",
    "https://graph.example/beta/",
    "https://graph.example/betax/x",
    "https://graph.example/v1.0/x",
    "https://graph.example/beta?x=/beta/x",
    "https://graph.example?/beta/x",
    "https://graph.example/beta/x#y",
    "https://graph.example#/beta/x",
    "https://graph.example/beta/../v1.0/x",
    "https://graph.example/beta/./x",
    "https://graph.example/beta/x/..",
    "https://graph.example/beta/%2e%2e/v1.0/x",
    "https://graph.example/beta/%2E./v1.0/x",
    "https://graph.example/beta/%252e%252e/v1.0/x",
    "https://graph.example/beta/..%2fv1.0/x",
    "https://graph.example/beta/x%5c..%5cy",
    "https://graph.example/beta//x",
    "https://graph.example/beta/x//y",
    "https://graph.example/beta\\x",
    "https://graph.example/beta/x\\..\\y",
    "https://graph.example/beta/x y",
    "https://graph.example/beta/x\r\nHost: evil.example",
    "https://graph.example/beta/x%0d%0aHost:evil.example",
    "https://graph.example/beta/x%00",
    "https://graph.example/beta/x\x00",
    "https://graph.example/beta/ü",
    "https://graph.example/beta/x\n",
    "https://graph.example/beta/" + "x" * LONGEST_ADDRESS,
    "/beta/../../x",
    "/v1.0/x",
    "../../../../v1.0/x",
    "//evil.example/beta/x",
    "\\\\evil.example/beta/x",
    "\n/beta/x",
    " /beta/x",
    "workflows/%2e%2e/x",
    "?$skiptoken=2#x",
]


@pytest.mark.parametrize(
    ("address", "there", "home"),
    [
        ("http://localhost:8081/beta/x", "http://localhost:8081", "http://localhost:8080"),
        ("https://localhost:8080/beta/x", "https://localhost:8080", "http://localhost:8080"),
        ("http://localhost/beta/x", "http://localhost", "http://localhost:8080"),
        ("https://evil.example/beta/x", "https://evil.example", "http://localhost:8080"),
    ],
)
def test_a_refusal_names_both_servers(address: str, there: str, home: str) -> None:
    sentence = f"The address leads to {there}, which is not the configured server {home}."
    assert refusal("http://localhost:8080/beta", address) == sentence


@pytest.mark.parametrize("address", HOSTILE)
def test_hostile_links_are_refused(address: str) -> None:
    assert refusal(ROOT, address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "https://graph.example/beta/x",
        "HTTPS://GRAPH.example:443/beta/x",
        "https://graph.example/beta/x?$skiptoken=a/../b//c&u=https://evil.example",
        "https://graph.example/beta/x?$filter=startswith(a,'b')",
        "https://graph.example/beta/runs/summary(startDateTime=2026-11-01T00:00:00Z)",
        "https://graph.example/beta/runs/6513270e_1/..x/.y",
    ],
)
def test_links_under_the_root_pass(address: str) -> None:
    assert refusal(ROOT, address) is None


def test_a_root_without_a_path_still_pins_the_server() -> None:
    assert refusal("https://graph.example", "https://graph.example/anything") is None
    assert refusal("https://graph.example", "https://graph.example.evil.example/anything") is not None


PIECES = [
    *("https://", "http://", "graph.example", "evil.example", "/beta", "/", "//", ".", "..", "%2e", "%2F", "%5c"),
    *("\\", "@", ":", ":443", ":80", "#", "?", "%00", "\t", " ", "x", "%", "%25", ";", "[", "]", "ü", "。", "\u2025"),
]

ADDRESSES = [str, f"{ROOT}/{{}}".format, partial(resolve_link, f"{ROOT}/a/b?c"), partial(resolve_link, f"{ROOT}/a/")]
"""An address as given, one below the root, and a link on a page."""


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.sampled_from(ADDRESSES))
@example("https://graph.example/beta/x", str)
@example("//beta[", partial(resolve_link, f"{ROOT}/a/b?c"))
def test_an_accepted_address_is_below_the_root_in_every_reading(text: str, made: Callable[[str], str]) -> None:
    address = made(text)
    if refusal(ROOT, address) is not None:
        return
    url = httpx.URL(address)
    assert (url.scheme, url.host, url.port, url.userinfo, url.fragment) == ("https", "graph.example", None, b"", "")
    path = url.raw_path.decode().partition("?")[0]
    for _ in range(4):
        assert posixpath.normpath(path).startswith("/beta/")
        path = unquote(path)
    assert refusal(ROOT, str(url)) is None


@given(st.text(min_size=1))
def test_an_id_is_refused_exactly_when_it_could_change_the_path(identifier: str) -> None:
    segment = quote(identifier, safe="", errors="replace")
    dangerous = any(mark in "/?#\\\x7f" or mark < " " or "\ud800" <= mark <= "\udfff" for mark in identifier)
    dotted = identifier in (".", "..")
    refused = refusal(ROOT, f"{ROOT}/runs/{segment}") is not None
    if "%" not in identifier:
        assert refused == (dangerous or dotted or len(segment) > LONGEST_ADDRESS - 40)
    else:
        assert refused or not (dangerous or dotted)


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("[::1]", True), ("LOCALHOST", True), ("10.0.0.1", False), ("127.1", False), ("", False)],
)
def test_loopback(host: str, here: bool) -> None:
    assert is_loopback(host) is here
    assert root_is_loopback(f"https://{host}/beta") is here
