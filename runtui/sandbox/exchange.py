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
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS
from runtui.sandbox.errors import GraphError, unauthenticated

if TYPE_CHECKING:
    from runtui.sandbox.authority.service import Authority
    from runtui.sandbox.scenarios import ScenarioSwitch

_DIAGNOSTIC: Final = (
    '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"LOOPBACK"}}'
)
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Pause = Callable[[float], Awaitable[None]]
"""Waits some seconds."""


class GraphResponse(Response):
    """A response with a JSON body, written as Graph writes it."""

    media_type = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    charset = "utf-8"

    def render(self, content: Any) -> bytes:
        """Encode as UTF-8. Only an unpaired surrogate is escaped: it has no UTF-8."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def graph_envelope(app: ASGIApp) -> ASGIApp:
    """ASGI middleware: give each request its ids, refuse one without a token, add Graph's headers to the response."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        request_id = str(uuid4())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["client_request_id"] = headers.get("client-request-id") or request_id
        state["date"] = http_date(scope["app"].state.clock())

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(graph_headers(state))
            await send(message)

        let_in = app if bearer_token(headers) else fault_response(Request(scope), unauthenticated())
        await let_in(scope, receive, send_with_headers)

    return answer


def token_guard(app: ASGIApp, authority: Authority) -> ASGIApp:
    """ASGI middleware: refuse a request unless the authority issued its token, with the permission that it needs.

    It has to be inside `graph_envelope`, which gives a request its ids.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # A batch itself changes nothing: each of its items comes through here by itself.
        writes = scope["method"] not in _READING and not scope["path"].endswith("/$batch")
        action = scope["path"].rpartition("/")[2].rpartition(".")[2] if scope["method"] == "POST" else ""
        verdict = authority.verify(bearer_token(Headers(scope=scope)), write=writes, action=action)
        let_in = app if verdict is None else fault_response(Request(scope), verdict)
        await let_in(scope, receive, send)

    return answer


def bearer_token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def graph_headers(state: Mapping[str, str]) -> dict[str, str]:
    return {
        "request-id": state["request_id"],
        "client-request-id": state["client_request_id"],
        "Date": state["date"],
        "OData-Version": "4.0",
        "Cache-Control": "no-store, no-cache",
        "x-ms-ags-diagnostic": _DIAGNOSTIC,
    }


def http_date(ticks: int) -> str:
    """Format ticks as an HTTP date: GMT, in whole seconds."""
    return formatdate((ticks - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND, usegmt=True)


def receive_once(body: bytes, then: Receive) -> Receive:
    """Return an ASGI `receive` that returns the body first, and then the messages of `then`."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await then()

    return receive


def fault_response(request: Request, fault: GraphError) -> Response:
    body = fault.body(request.state.request_id, request.state.client_request_id)
    return GraphResponse(body, fault.status, headers=fault.headers)


class BufferedResponse(Response):
    """A response of the app that is not sent yet."""

    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    def changed(self, body: bytes, status: int | None = None) -> BufferedResponse:
        """Return the response with another body and its length; a 204 has no content type."""
        outdated = {"content-length", "content-type"} if status == 204 else {"content-length"}
        headers = {name: value for name, value in self.headers.items() if name not in outdated}
        return BufferedResponse(body, status or self.status_code, headers)

    def with_properties(self, **properties: Any) -> BufferedResponse:
        """Return the response with other values for some properties of its JSON; unchanged if it has no body."""
        return self.changed(json.dumps({**json.loads(self.body), **properties}).encode()) if self.body else self


class Exchange(Request):
    """A request that a scenario intercepts before Graph sees it, and the ways to answer it."""

    def __init__(self, graph: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive)
        self.graph = graph
        self.send = send
        self.switch: ScenarioSwitch = self.app.state.scenario

    @property
    def token(self) -> str:
        return bearer_token(self.headers)

    @property
    def run_id(self) -> str:
        return str(self.scope["path"]).rpartition("/")[2]

    def http_date(self, *, in_seconds: int) -> str:
        return http_date(self.app.state.clock() + in_seconds * TICKS_PER_SECOND)

    async def proceed(self, body: bytes | None = None) -> None:
        """Let Graph answer. Pass the `body` if it was read already; it may be changed."""
        receive = self.receive if body is None else receive_once(body, self.receive)
        await self.graph(self.scope, receive, self.send)

    async def buffer(self) -> BufferedResponse:
        return await buffer_response(self.graph, self.scope, self.receive)

    async def respond(self, response: Response) -> None:
        await response(self.scope, self.receive, self.send)

    async def rewrite(self, change: Callable[[BufferedResponse], BufferedResponse]) -> None:
        """Let Graph carry the request out, then send its response; `change` rewrites it if it is a success."""
        response = await self.buffer()
        await self.respond(change(response) if response.is_success else response)

    async def refuse(self, fault: GraphError) -> None:
        async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
            await fault_response(Request(scope), fault)(scope, receive, send)

        await graph_envelope(refusing)(self.scope, self.receive, self.send)

    async def respond_page(self, status: int, title: str) -> None:
        """Answer with a web page, as a proxy or a gateway does, without Graph's headers."""
        page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        await self.respond(HTMLResponse(page, status))

    async def cut(self, response: BufferedResponse) -> NoReturn:
        """Send the first half of a response (nothing if it has no body), then end the connection."""
        if response.body:
            start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
            half = response.body[: len(response.body) // 2]
            await self.send(start)
            await self.send({"type": "http.response.body", "body": half, "more_body": True})
        raise ConnectionAbortedError("The scenario ends the connection in the middle of a response.")

    async def drip(self, response: BufferedResponse, seconds: float) -> None:
        """Send the body byte by byte, with a pause after each, until the client disconnects."""

        async def slowly() -> AsyncIterator[bytes]:
            for byte in response.body:
                yield bytes([byte])
                await self.switch.pause(seconds)

        await self.respond(StreamingResponse(slowly(), response.status_code, response.headers))


async def buffer_response(app: ASGIApp, scope: Scope, receive: Receive) -> BufferedResponse:
    start: Message = {}
    chunks: list[bytes] = []

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, take)
    return BufferedResponse(b"".join(chunks), start["status"], Headers(raw=start["headers"]))
