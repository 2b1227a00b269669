"""The only place that opens connections: one root, one way to send a request.

Invariant: the token goes to addresses below the root and nowhere else. A body is sent as given, and each request ends
as one Exchange that shows no secret. Trouble with the network or with the form of an answer is its Failure,
not an exception.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from uuid import uuid4

from runtui import __version__
from runtui.auth.tokens import TokenSource
from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange, Failure, FailureKind
from runtui.graph.network import BodyError, BoundedBody, load_httpx, new_wire, proxy_of, tls_context
from runtui.graph.root import parse_root, refusal
from runtui.redact import REDACTED, hide_secrets, redact, redact_body, register_secret

if TYPE_CHECKING:
    from typing import TypeAlias

    import httpx

    Wire: TypeAlias = httpx.AsyncBaseTransport
    """Carries requests in place of the network; this is httpx's own interface."""

_logger: Final = logging.getLogger("runtui.graph")

MAX_BYTES = 16 * 1024 * 1024
"""The most decompressed bytes of an answer; the rest is refused. A page of 999 runs takes 0.6 MB."""

MAX_CONNECTIONS = 16
"""The most connections of one pool; httpx's pool slows down badly from 32 on."""

REQUEST_SECONDS = 30.0
"""The whole time one request may take, from its token to the last byte of its answer."""

CONNECT_SECONDS = 10.0
"""The part of it in which a connection must be made."""

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


class _RequestEndedError(Exception):
    """The request ends here, for a reason that is already a Failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Wires(NamedTuple):
    """Two pools of connections with the same certificates."""

    keep_alive: Wire
    close_after: Wire
    """Opens a connection for each request and closes it after the answer."""


class _Renewal(NamedTuple):
    """The result of the last renewal of the token, and the last request that was started before it."""

    succeeded: bool = False
    request: int = 0


@dataclass(slots=True)
class _Progress:
    """How far a request came, for its Exchange if it breaks off."""

    sent: bool = False
    response: httpx.Response | None = None
    body: BoundedBody | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.sent = info["request"].method != b"CONNECT"  # which only asks a proxy for a tunnel

    def failure(self, kind: FailureKind, what: str) -> Failure:
        return Failure(kind, "maybe" if self.sent else "no", redact(what))


class Transport:
    """Sends requests with a token below one Graph root, and returns an Exchange for each.

    Args:
        root: The Graph root, as `parse_root` accepts it.
        token: Returns the bearer token of each request; raises RuntuiError if there is none. `renew_token` needs a
            `TokenSource`.
        ca_file: A PEM file of certificates to trust besides those of the operating system.
        proxy: The proxy for every server but this machine; "" for the one in HTTPS_PROXY, with NO_PROXY.
        on_exchange: Called with every Exchange, including failed and cancelled ones.
        wire: Carries the requests in place of the network, for tests.
    """

    def __init__(
        self,
        root: str,
        *,
        token: TokenSource | Callable[[], Awaitable[str]],
        ca_file: Path | None = None,
        proxy: str = "",
        on_exchange: Callable[[Exchange], None] | None = None,
        wire: Wire | None = None,
    ) -> None:
        self.root = parse_root(root)
        self._token = token
        self._ca_file = ca_file
        self._proxy = proxy
        self._on_exchange = on_exchange
        self._wire = wire
        self._requests = 0
        """The number of requests started so far, which is the number of the last one."""
        self._renewal = _Renewal()
        self._renewing = asyncio.Lock()
        self._wires_task: asyncio.Task[_Wires] | None = None
        self._retired: list[asyncio.Task[_Wires]] = []
        """Pools that get no new requests, but may still have some in progress."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; a later request would build new pools."""
        self._retire()
        retired, self._retired = self._retired, []
        for building in retired:
            await asyncio.wait([building])
            if not building.cancelled() and building.exception() is None:
                for wire in building.result():
                    await wire.aclose()

    @property
    def _token_hint(self) -> str:
        return self._token.next_step if isinstance(self._token, TokenSource) else ""

    def _retire(self) -> None:
        """Let the next request build pools with new connections."""
        if self._wires_task is not None:
            self._retired.append(self._wires_task)
            self._wires_task = None

    def url(self, path: str) -> str:
        """Return the address of a path below the root; the path starts with a slash and is percent-encoded."""
        return self.root + path

    async def send(
        self,
        method: str,
        path_or_url: str,
        *,
        purpose: str,
        json_body: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        client_request_id: str | None = None,
        alone: bool = False,
    ) -> Exchange:
        """Send one request and read its answer completely.

        Network and HTTP trouble becomes `Exchange.failure`; only cancellation is raised, after `on_exchange` was
        called. `json_body` is sent byte for byte; `headers` are sent in addition to those of every request.
        `client_request_id` is the GUID to send, for a caller that must know it beforehand; None makes one. `alone`
        opens a connection for this request, so that no answer left over on a kept connection is taken for its own.
        """
        url = self.url(path_or_url) if path_or_url.startswith("/") else path_or_url
        self._requests += 1
        carried = _request_headers(json_body, headers, client_request_id)
        planned = Exchange(
            number=self._requests,
            purpose=purpose,
            method=method,
            url=redact(url),
            request_headers=tuple((name, hide_secrets(value)) for name, value in carried),
            request_body=None if json_body is None else hide_secrets(json_body),
            started_at=datetime.now(UTC),
            token_hint=self._token_hint,
        )
        started, progress = time.perf_counter(), _Progress()
        failure: Failure | None = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._carry_out(method, url, carried, json_body, progress, alone=alone)
        except _RequestEndedError as ended:
            failure = ended.failure
        except TimeoutError:
            what = f"The answer was not complete within {REQUEST_SECONDS:g} seconds."
            failure = progress.failure(FailureKind.TIMEOUT, what)
        except asyncio.CancelledError:
            stopped = progress.failure(FailureKind.CANCELLED, "The program stopped waiting for the answer.")
            self._note(_finished(planned, progress, time.perf_counter() - started, stopped))
            raise
        exchange = _finished(planned, progress, time.perf_counter() - started, failure)
        if exchange.is_foreign and not alone:
            # The connection has a surplus answer: whatever comes next on it belongs to another request too.
            self._retire()
        return self._note(exchange)

    async def renew_token(self, exchange: Exchange) -> bool:
        """Get another token, because `exchange` was answered 401; return whether there is one.

        Concurrent requests are refused together, so the token is renewed once for all of them.
        """
        async with self._renewing:
            if exchange.number > self._renewal.request:
                succeeded = isinstance(self._token, TokenSource) and await self._token.renew(_challenge(exchange))
                _logger.info("401 for #%d: the token was %srenewed", exchange.number, "" if succeeded else "not ")
                self._renewal = _Renewal(succeeded, self._requests)
            return self._renewal.succeeded

    def _note(self, exchange: Exchange) -> Exchange:
        failure = exchange.failure
        went_wrong = "" if failure is None else f"{failure.kind} (sent: {failure.sent}) {failure.message}"
        _logger.info(
            "#%d %s %s: %s in %.0f ms, client-request-id %s, request-id %s",
            exchange.number,
            exchange.method,
            exchange.url,
            " ".join(filter(None, (str(exchange.status or ""), went_wrong))),
            (exchange.seconds or 0.0) * 1000,
            exchange.client_request_id,
            exchange.request_id or "none",
        )
        if self._on_exchange is not None:
            self._on_exchange(exchange)
        return exchange

    async def _carry_out(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        json_body: str | None,
        progress: _Progress,
        *,
        alone: bool,
    ) -> None:
        """Send the request and read the answer to its last byte; `progress` records what is known so far."""
        self._check_address(url)
        _check_headers(headers)
        token = await self._bearer()
        wires = await asyncio.shield(self._building())
        wire = wires.close_after if alone else wires.keep_alive
        import httpx

        from runtui.graph.failures import failure_of

        timeout = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
        try:
            request = httpx.Request(
                method,
                url,
                headers=[*headers[1:], ("Authorization", f"Bearer {token}")],
                content=None if json_body is None else json_body.encode(),
                extensions={"trace": progress.trace, "timeout": timeout.as_dict()},
            )
            self._check_address(str(request.url))
            # A replacement for the network does not report its steps.
            progress.sent = self._wire is not None
            response = await wire.handle_async_request(request)
            async with aclosing(response):
                await self._read(response, progress)
        except BodyError as error:
            raise _RequestEndedError(progress.failure(error.kind, str(error))) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            proxy = proxy_of(self.root, self._proxy)
            raise _RequestEndedError(failure_of(error, may_be_sent=progress.sent, proxy=proxy)) from None

    async def _read(self, response: httpx.Response, progress: _Progress) -> None:
        progress.response = response
        progress.body = BoundedBody(response.headers.get("content-encoding", ""), MAX_BYTES)
        async for chunk in response.aiter_raw():
            progress.body.feed(chunk)
        if response.status_code not in (204, 304):
            progress.body.finish()

    def _check_address(self, url: str) -> None:
        """Check the address as given, and again in the form in which httpx will use it."""
        if why := refusal(self.root, url):
            raise _RequestEndedError(Failure(FailureKind.REFUSED_ADDRESS, "no", redact(why)))

    async def _bearer(self) -> str:
        try:
            token = await self._token()
        except RuntuiError as error:
            why, hint = redact(error.message or error.title), redact(error.hint)
            raise _RequestEndedError(Failure(FailureKind.TOKEN, "no", why, hint or self._token_hint)) from None
        # RFC 6750: visible ASCII. Anything else would end the header, and httpx would print the token in its error.
        if not re.fullmatch(r"[!-~]+", token):
            what = "The token is empty." if not token else "The token holds characters that no token can have."
            raise _RequestEndedError(Failure(FailureKind.TOKEN, "no", what))
        register_secret(token)
        return token

    def _building(self) -> asyncio.Task[_Wires]:
        """Return the task that builds the pools, or has built them. A failed one is replaced, so that a cure takes
        effect."""
        task = self._wires_task
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(asyncio.to_thread(self._build), name="build the connection pools")
            # The request that needs them reports a failure; without one, nobody must retrieve it.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._wires_task = task
        return task

    def _build(self) -> _Wires:
        """Import httpx, load the certificates, build the pools. This takes about 100 ms: call it in a thread."""
        load_httpx()
        import httpx

        if self._wire is not None:
            return _Wires(self._wire, self._wire)
        try:
            # A client of plain http trusts nobody: such a context is cheap to make.
            is_plain = self.root.startswith("http:")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else tls_context(self._ca_file)
            proxy = proxy_of(self.root, self._proxy)
            limits = [httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=n) for n in (None, 0)]
            return _Wires(*(new_wire(httpx.AsyncHTTPTransport, context, proxy, limits=limit) for limit in limits))
        except (OSError, ImportError, ValueError, httpx.InvalidURL) as error:
            raise _RequestEndedError(Failure(FailureKind.SETUP, "no", redact(f"{error}."))) from None


def _check_headers(headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        # The value must mean and end what was intended: printable ASCII without a blank at an end.
        if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value):
            what = "would hold characters that no header can carry" if value else "is empty"
            raise _RequestEndedError(Failure(FailureKind.HEADER, "no", f"The header {name} {what}."))


def _challenge(exchange: Exchange) -> str:
    """Return what the server says about the token that it wants, from all its `WWW-Authenticate` headers."""
    return ", ".join(value for name, value in exchange.response_headers if name.lower() == "www-authenticate")


def _request_headers(
    json_body: str | None, headers: Iterable[tuple[str, str]], client_request_id: str | None
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request, with the masked token first; httpx adds Host and Content-Length."""
    content_type = (("Content-Type", "application/json"),) if json_body is not None else ()
    return (
        ("Authorization", f"Bearer {REDACTED}"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", f"runtui/{__version__}"),
        ("client-request-id", str(uuid4()) if client_request_id is None else client_request_id),
        *content_type,
        *headers,
    )


def _finished(planned: Exchange, progress: _Progress, seconds: float, failure: Failure | None) -> Exchange:
    response, body = progress.response, progress.body
    progress.response = progress.body = None  # the request refers to it: a cycle would keep megabytes
    ended = replace(planned, seconds=seconds, failure=failure)
    if response is None:
        return ended
    headers = [(name.decode("ascii"), value.decode(response.headers.encoding)) for name, value in response.headers.raw]
    received = body.data if body else b""
    shown = redact_body(received, is_whole=failure is None)
    return replace(
        ended,
        status=response.status_code,
        reason=redact(response.reason_phrase),
        response_headers=_redacted(headers),
        response_body=shown,
        unredacted=None if shown is received else received,
        truncated=body.truncated if body else False,
    )


def _redacted(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer without secrets. Hardly any has one, and one search of them all
    takes less time than one for each name and value."""
    pairs = [(name, REDACTED if name.lower() in _SECRET_HEADERS else value) for name, value in headers]
    together = "\n".join(text for pair in pairs for text in pair)
    if redact(together) != together:
        pairs = [(redact(name), redact(value)) for name, value in pairs]
    return tuple(pairs)
