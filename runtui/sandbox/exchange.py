"""Graph's headers on every response, the token check in front of Graph, and requests as a scenario intercepts them.

Invariant: every response has `request-id`, `client-request-id` and `Date`, also an error, except a web page of a proxy
or gateway. `Date` is of the clock by which runs progress and are updated. A scenario applies a write through the app,
like any other request, so `app.state.applied` is complete. To break a connection, raise ConnectionResetError (a reset)
or ConnectionAbortedError (an early end); the server then breaks it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS
from runtui.sandbox.database import Database
from runtui.sandbox.errors import GraphError, unauthenticated
from runtui.sandbox.requests import Endpoint

if TYPE_CHECKING:
    from runtui.sandbox.authority.service import Authority

_READING: Final = frozenset({"GET", "OPTIONS"})

Pause = Callable[[float], Awaitable[None]]
"""Waits some seconds."""


class GraphResponse(Response):
    """A response with a JSON body, written as Graph writes it."""

    media_type = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

    def render(self, content: Any) -> bytes:
        """Encode as UTF-8. Only an unpaired surrogate is escaped: it has no UTF-8."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def give_ids(request: Request) -> None:
    """Give a request its own id, and the one that the client chose or else the same."""
    request.state.request_id = str(uuid4())
    request.state.client_request_id = request.headers.get("client-request-id") or request.state.request_id


def authenticate(request: Request) -> frozenset[str] | None:
    """Return the permissions of the token of a request; None for all of them, if the sandbox has no authority.

    Raises:
        GraphError: there is no token, or it is refused (401).
    """
    token = bearer_token(request.headers)
    if not token:
        raise unauthenticated()
    authority: Authority | None = request.app.state.authority
    return None if authority is None else authority.issuer.verify(token)


def authorize(request: Request, permissions: frozenset[str]) -> None:
    """Check that permissions allow a request.

    Raises:
        GraphError: they do not (403).
    """
    from runtui.sandbox.authority.directory import allow

    # A batch itself changes nothing: each of its items comes through here by itself.
    path = request.scope["path"]
    writes = request.method not in _READING and not path.endswith("/$batch")
    if not allow(permissions, write=writes, action=path.rpartition("/")[2] if request.method == "POST" else ""):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def bearer_token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def http_date(ticks: int) -> str:
    """Format ticks as an HTTP date: GMT, in whole seconds."""
    return formatdate((ticks - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND, usegmt=True)


def fault_response(request: Request, fault: GraphError) -> Response:
    body = fault.body(request.state.request_id, request.state.client_request_id, request.app.state.clock())
    return GraphResponse(body, fault.status, headers=fault.headers)


def with_graph_headers(request: Request, response: Response) -> Response:
    """Return the response to a request that has its ids, with the headers of every response of Graph."""
    headers = {
        "request-id": request.state.request_id,
        "client-request-id": request.state.client_request_id,
        "Date": http_date(request.app.state.clock()),
        "OData-Version": "4.0",
        "Cache-Control": "no-store, no-cache",
    }
    response.headers.update(headers)
    return response


def receive_once(body: bytes, then: Receive) -> Receive:
    """Return an ASGI `receive` that returns the body first, and then the messages of `then`."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await then()

    return receive


class ProxyPage(HTMLResponse):
    """A web page of a proxy or a gateway, without Graph's headers."""


class CutResponse(Response):
    """A response of which only the first half is sent (nothing if it has no body); then the connection ends."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        if self.body:
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": half, "more_body": True})
        raise ConnectionAbortedError("The scenario ends the connection in the middle of a response.")


class Exchange(Request):
    """A request that a scenario intercepts before Graph sees it, and the ways to answer it."""

    def __init__(self, request: Request, graph: Endpoint) -> None:
        super().__init__(request.scope, request.receive)
        self.graph = graph
        self.database: Database = self.app.state.database

    @property
    def token(self) -> str:
        return bearer_token(self.headers)

    @property
    def run_id(self) -> str:
        return str(self.scope["path"]).rpartition("/")[2]

    def http_date(self, *, in_seconds: int) -> str:
        return http_date(self.app.state.clock() + in_seconds * TICKS_PER_SECOND)

    def edit_run(self) -> None:
        """Change the status of the run, as if somebody else did it."""
        if (run := self.database.run(self.run_id)) is not None:
            changes = {"processingStatus": "failed" if run["processingStatus"] == "canceled" else "canceled"}
            self.database.write_run(self.run_id, changes)
            self.app.state.edits.append((self.run_id, changes))

    async def proceed(self, body: bytes | None = None) -> Response:
        """Let Graph answer; `body` replaces the body of the request."""
        return await self.graph(self if body is None else Request(self.scope, receive_once(body, self.receive)))

    async def rewrite(self, change: Callable[[bytes], bytes], status: int | None = None) -> Response:
        """Let Graph answer; a success gets another body, and another status if one is given."""
        response = await self.proceed()
        if response.status_code >= 300:
            return response
        outdated = {"content-length", "content-type"} if status == 204 else {"content-length"}
        headers = {name: value for name, value in response.headers.items() if name not in outdated}
        return Response(change(bytes(response.body)), status or response.status_code, headers)

    def refuse(self, fault: GraphError) -> Response:
        return fault_response(self, fault)

    def page(self, status: int, title: str) -> Response:
        page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        return ProxyPage(page, status)

    async def cut(self) -> Response:
        response = await self.proceed()
        return CutResponse(response.body, response.status_code, response.headers)

    async def drip(self, seconds: float) -> Response:
        """Let Graph answer, and send the body byte by byte with a pause after each, until the client disconnects."""
        response = await self.proceed()

        async def slowly() -> AsyncIterator[bytes]:
            for byte in bytes(response.body):
                yield bytes([byte])
                await self.app.state.pause(seconds)

        return StreamingResponse(slowly(), response.status_code, response.headers)
