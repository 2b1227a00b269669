"""The exceptions of the client that prove that nothing was sent."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest

from runtui.graph.exchange import FailureKind
from runtui.graph.failures import failure_of
from runtui.graph.network import Proxy

NEVER_SENT: list[Exception] = [
    httpx.ConnectError("x"),
    httpx.ConnectTimeout("x"),
    httpx.PoolTimeout("x"),
    httpx.ProxyError("x"),
    httpx.UnsupportedProtocol("x"),
    httpx.LocalProtocolError("x"),
    httpx.InvalidURL("x"),
]
PERHAPS_SENT: list[Exception] = [
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.CloseError("x"),
    httpx.ReadTimeout("x"),
    httpx.WriteTimeout("x"),
    httpx.RemoteProtocolError("x"),
    httpx.DecodingError("x"),
    httpx.TooManyRedirects("x"),
    OSError("x"),
]


@pytest.mark.parametrize("error", NEVER_SENT, ids=repr)
def test_failures_before_the_first_byte(error: Exception) -> None:
    assert failure_of(error, may_be_sent=True).sent == "no"


@pytest.mark.parametrize("error", PERHAPS_SENT, ids=repr)
def test_failures_possibly_after_the_first_byte(error: Exception) -> None:
    assert failure_of(error, may_be_sent=True).sent == "maybe"
    assert failure_of(error, may_be_sent=False).sent == "no"


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def untrusted(code: int = 10) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL] certificate verify failed (_ssl.c:1)")
    error.verify_message, error.verify_code = "certificate has expired", code
    return error


ATTEMPTS = ExceptionGroup("tried", [ConnectionRefusedError(111, "refused"), ConnectionRefusedError(111, "refused")])


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            caused(httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known")),
            FailureKind.NAME,
            "The name of the server has no address: Name or service not known.",
        ),
        (
            caused(httpx.ConnectError("x"), ssl.SSLError(1, "wrong version number")),
            FailureKind.TLS,
            "may not speak TLS",
        ),
        (
            caused(httpx.ConnectError("x"), untrusted()),
            FailureKind.TLS,
            "certificate is not trusted: certificate has expired.",
        ),
        (
            caused(httpx.ConnectError("x"), caused(OSError("All attempts failed"), ATTEMPTS)),
            FailureKind.CONNECTION_REFUSED,
            "The connection was refused.",
        ),
        (httpx.ConnectError("No route to host."), FailureKind.CONNECTION, ": No route to host."),
        (
            httpx.RemoteProtocolError("Receive buffer too long"),
            FailureKind.HEAD,
            "The headers of the answer are larger than 100 kB.",
        ),
        (httpx.ReadTimeout(""), FailureKind.TIMEOUT, "The server stopped answering."),
        (httpx.LocalProtocolError("Illegal header b'Bearer abcdefghijk'"), FailureKind.PROTOCOL, "[redacted]"),
    ],
)
def test_the_sentence_names_the_root_cause(error: Exception, kind: FailureKind, says: str) -> None:
    failure = failure_of(error, may_be_sent=True)
    assert failure.kind is kind
    assert says in failure.message
    assert failure.message.endswith(".")
    assert not failure.message.endswith("..")


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        (untrusted(10), "A certificate has expired"),
        (untrusted(62), "The certificate belongs to another server"),
        (untrusted(20), ""),
        (ssl.SSLError(1, "wrong version number"), "Check scheme and port of the root."),
    ],
)
def test_a_failure_of_tls_says_what_to_check(cause: ssl.SSLError, hint: str) -> None:
    said = failure_of(caused(httpx.ConnectError("x"), cause), may_be_sent=False).hint
    assert said.startswith(hint)
    assert bool(said) is bool(hint)


def test_without_tls_the_proxy_is_named_beside_the_root() -> None:
    """Its address often begins with https, though it speaks http."""
    error = caused(httpx.ConnectError("x"), ssl.SSLError(1, "wrong version number"))
    said = failure_of(error, may_be_sent=False, proxy=Proxy("https://proxy.example", "HTTPS_PROXY")).hint
    assert said == "Check scheme and port of the root and of HTTPS_PROXY."
