"""From an httpx exception to a Failure: whether the request was sent, and what happened, in a sentence.

Invariant: `sent` is "no" only for exceptions that cannot occur once the server may have read the request.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from runtui.graph.exchange import Failure, FailureKind
from runtui.graph.network import Proxy
from runtui.redact import redact

# All of these occur before the first byte of the request is written, or before the tunnel to the server is open. A root
# with plain http has no proxy, so a ProxyError is always about a tunnel that was refused.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)


class _Case(NamedTuple):
    exceptions: tuple[type[Exception], ...]
    kind: FailureKind
    what: str


# The first entry that fits the exception or one of its causes counts.
_CAUSES = (
    _Case((socket.gaierror,), FailureKind.NAME, "The name of the server has no address"),
    _Case((ssl.SSLCertVerificationError,), FailureKind.TLS, "The server's certificate is not trusted"),
    _Case((ssl.SSLError,), FailureKind.TLS, "The server at this address may not speak TLS"),
    _Case((ConnectionRefusedError,), FailureKind.CONNECTION_REFUSED, "The connection was refused"),
)
_CASES = (
    _Case((httpx.PoolTimeout,), FailureKind.TIMEOUT, "All connections were busy for too long"),
    _Case((httpx.ConnectTimeout,), FailureKind.TIMEOUT, "The server did not accept the connection in time"),
    _Case((httpx.TimeoutException,), FailureKind.TIMEOUT, "The server stopped answering"),
    _Case((httpx.ProxyError,), FailureKind.PROXY, "The proxy refused to connect to the server"),
    _Case((httpx.ConnectError,), FailureKind.CONNECTION, "No connection to the server could be made"),
    _Case((httpx.RemoteProtocolError,), FailureKind.PROTOCOL, "The answer broke off or is not HTTP"),
    _Case((httpx.NetworkError, OSError), FailureKind.CUT, "The connection was cut"),
)
_OTHER = _Case((Exception,), FailureKind.PROTOCOL, "The request could not be carried out")

# The messages of h11 and httpcore when the connection closes before the answer is complete.
_CUT_PHRASES = ("peer closed connection", "server disconnected")

# The message of h11 when the head of an answer passes its limit of 100 kB.
_LONG_HEAD = "receive buffer too long"


# OpenSSL's verify codes (x509_vfy.h) for certificates whose issuer is trusted.
_BAD_CERTIFICATES = {
    9: "Its certificate is not valid yet: check the clock of this machine (date -u), then tell its administrator.",
    10: "A certificate has expired, its own or one above it: check the clock of this machine (date -u), then tell its "
    "administrator.",
    23: "Its certificate is revoked: do not go on, and tell its administrator.",
    62: "The certificate belongs to another server: check the host of the root.",
    64: "The certificate belongs to another server: check the host of the root.",
}


def failure_of(error: Exception, *, may_be_sent: bool, proxy: Proxy | None = None) -> Failure:
    """Return the Failure for an exception of the client.

    `may_be_sent` is True if any byte of the request may have been handed to a connection. `proxy` is the proxy on the
    way to the server: a failed connection is then the one to the proxy, and so is one that breaks before it is sent.
    """
    case = _case(error)
    of_tunnel = () if may_be_sent else (httpx.NetworkError, httpx.ReadTimeout, httpx.RemoteProtocolError)
    of_proxy = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, *of_tunnel))
    if proxy is not None and of_proxy and case.kind is not FailureKind.TLS:
        return _of_proxy(error, case, proxy)
    cause = "" if case.kind in (FailureKind.CONNECTION_REFUSED, FailureKind.HEAD) else _root_cause(error)
    what = redact(f"{case.what}: {cause}." if cause else f"{case.what}.")
    sent = may_be_sent and not isinstance(error, _NEVER_SENT)
    hint = _tls_hint(error, proxy) if case.kind is FailureKind.TLS else ""
    return Failure(case.kind, "maybe" if sent else "no", what, hint)


def _of_proxy(error: Exception, case: _Case, proxy: Proxy) -> Failure:
    """Return the failure of a proxy that refused or could not be reached; the server has seen nothing."""
    cause = _root_cause(error)
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        wants_sign_in = isinstance(error, httpx.ProxyError) and "407" in cause
        did = "refused to" if isinstance(error, httpx.ProxyError) else "did not"
        what = f"The proxy {proxy.place} {did} connect to the server: {cause}."
        cure = f"Put its user and password into {proxy.source}." if wants_sign_in else f"Check {proxy.source}."
        return Failure(FailureKind.PROXY, "no", redact(what), cure)
    if isinstance(error, httpx.ConnectTimeout):
        # Either the connection to the proxy failed, or the handshake with the server behind it.
        what = f"The proxy {proxy.place}, or the server behind it, did not accept the connection in time."
        return Failure(FailureKind.TIMEOUT, "no", redact(what), f"Check {proxy.source}, and the network.")
    why = "the connection was refused" if case.kind is FailureKind.CONNECTION_REFUSED else cause
    what = f"No connection to the proxy {proxy.place} could be made: {why}."
    return Failure(FailureKind.PROXY_UNREACHABLE, "no", redact(what), f"Check {proxy.source}, and the network.")


def _tls_hint(error: Exception, proxy: Proxy | None) -> str:
    """Return what is known beyond an untrusted certificate; empty if nothing is."""
    cause = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _BAD_CERTIFICATES.get(getattr(cause, "verify_code", 0), "")
    return f"Check scheme and port of the root{f' and of {proxy.source}' if proxy is not None else ''}."


def _case(error: Exception) -> _Case:
    if isinstance(error, httpx.ConnectError):
        for case in _CAUSES:
            if any(isinstance(cause, case.exceptions) for cause in _causes(error)):
                return case
    text = str(error).lower()
    if isinstance(error, httpx.RemoteProtocolError) and any(phrase in text for phrase in _CUT_PHRASES):
        return _Case((), FailureKind.CUT, "The connection closed before the answer was complete")
    if isinstance(error, httpx.RemoteProtocolError) and _LONG_HEAD in text:
        return _Case((), FailureKind.HEAD, "The headers of the answer are larger than 100 kB")
    return next((case for case in _CASES if isinstance(error, case.exceptions)), _OTHER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, its causes, and the members of groups (one attempt for each address of a name)."""
    current: BaseException | None = error
    while current is not None:
        yield current
        if isinstance(current, BaseExceptionGroup):
            for member in current.exceptions:
                yield from _causes(member)
        current = current.__cause__ or current.__context__


def _root_cause(error: Exception) -> str:
    """Return the message of the system or of OpenSSL, else of the exception; one line without a full stop."""
    telling = (ssl.SSLError, socket.gaierror, ConnectionError)
    cause = next((cause for cause in _causes(error) if isinstance(cause, telling)), error)
    said = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") or str(cause)
    return " ".join(said.split()).rstrip(".")
