"""From an httpx exception to a Failure: was the request sent, and what happened, in a sentence.

Invariant: `sent` is "no" only for the exceptions that cannot occur once the server may have read the request.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from runtui.graph.exchange import Failure, FailureKind
from runtui.redact import redact

# All of these end before the request's first byte is written, or before the tunnel to the server stands. A root with
# plain http has no proxy, so a ProxyError is always about a tunnel that was refused.
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


# The first that fits the exception or one of its causes.
_CAUSES = (
    _Case((socket.gaierror,), FailureKind.NAME, "The name of the server could not be resolved"),
    _Case((ssl.SSLError,), FailureKind.TLS, "No secure connection could be made"),
    _Case((ConnectionRefusedError,), FailureKind.CONNECTION_REFUSED, "The connection was refused"),
)
_CASES = (
    _Case((httpx.PoolTimeout,), FailureKind.TIMEOUT, "All connections were busy for too long"),
    _Case((httpx.ConnectTimeout,), FailureKind.TIMEOUT, "The server did not take the connection in time"),
    _Case((httpx.TimeoutException,), FailureKind.TIMEOUT, "The server stopped answering"),
    _Case((httpx.ProxyError,), FailureKind.PROXY, "The proxy refused to connect to the server"),
    _Case((httpx.ConnectError,), FailureKind.CONNECTION, "No connection to the server could be made"),
    _Case((httpx.RemoteProtocolError,), FailureKind.PROTOCOL, "The answer broke off or is not HTTP"),
    _Case((httpx.NetworkError, OSError), FailureKind.CUT, "The connection was cut"),
)
_OTHER = _Case((Exception,), FailureKind.PROTOCOL, "The request could not be carried out")

# What h11 and httpcore say when the connection closes before the answer is whole.
_CUT_PHRASES = ("peer closed connection", "server disconnected")


def failure_of(error: Exception, *, may_be_sent: bool) -> Failure:
    """The Failure that an exception of the client amounts to.

    `may_be_sent` tells whether any byte of the request was handed to a connection; where that is not known, say True.
    """
    case = _case(error)
    cause = "" if case.kind is FailureKind.CONNECTION_REFUSED else _root_cause(error)
    what = redact(f"{case.what}: {cause}." if cause else f"{case.what}.")
    sent = may_be_sent and not isinstance(error, _NEVER_SENT)
    return Failure(case.kind, "maybe" if sent else "no", what)


def _case(error: Exception) -> _Case:
    if isinstance(error, httpx.ConnectError):
        for case in _CAUSES:
            if any(isinstance(cause, case.exceptions) for cause in _causes(error)):
                return case
    text = str(error).lower()
    if isinstance(error, httpx.RemoteProtocolError) and any(phrase in text for phrase in _CUT_PHRASES):
        return _Case((), FailureKind.CUT, "The connection closed before the answer was complete")
    return next((case for case in _CASES if isinstance(error, case.exceptions)), _OTHER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, what it was raised from, and the members of groups (one attempt for each address of a name)."""
    current: BaseException | None = error
    while current is not None:
        yield current
        if isinstance(current, BaseExceptionGroup):
            for member in current.exceptions:
                yield from _causes(member)
        current = current.__cause__ or current.__context__


def _root_cause(error: Exception) -> str:
    """What the system or OpenSSL says, else the exception; one line without a full stop."""
    telling = (ssl.SSLError, socket.gaierror, ConnectionError)
    cause = next((cause for cause in _causes(error) if isinstance(cause, telling)), error)
    said = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
    return " ".join(said.split()).rstrip(".")
