"""What every response of Graph carries (ids, date, versions), and what every request must: a bearer token.

Invariant: nothing leaves the sandbox without `request-id`, `client-request-id` and `Date`, whatever went wrong. There
is one clock: `Date` is the time by which runs progress and are updated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, Final
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS
from runtui.sandbox.errors import GraphError, unauthenticated

_JSON: Final = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_DIAGNOSTIC: Final = (
    '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"LOOPBACK"}}'
)


class GraphResponse(Response):
    """A JSON body as Graph writes it."""

    media_type = _JSON
    charset = "utf-8"

    def render(self, content: Any) -> bytes:
        """Encode in UTF-8, escaping nothing but half a surrogate pair, which has no UTF-8."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


class GraphEnvelope:
    """ASGI middleware: gives each request its ids, refuses it without a token, adds Graph's headers to the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
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

        if bearer_token(headers):
            await self._app(scope, receive, send_with_headers)
        else:
            response = fault_response(Request(scope), unauthenticated())
            await response(scope, receive, send_with_headers)


def bearer_token(headers: Mapping[str, str]) -> str:
    """The bearer token of a request; empty without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def graph_headers(state: Mapping[str, str]) -> dict[str, str]:
    """The headers of every response, given the state of its request."""
    return {
        "request-id": state["request_id"],
        "client-request-id": state["client_request_id"],
        "Date": state["date"],
        "OData-Version": "4.0",
        "Cache-Control": "no-store, no-cache",
        "x-ms-ags-diagnostic": _DIAGNOSTIC,
    }


def http_date(ticks: int) -> str:
    """Ticks as an HTTP date: GMT, in whole seconds."""
    return formatdate((ticks - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND, usegmt=True)


def receive_once(body: bytes, then: Receive) -> Receive:
    """An ASGI `receive` that brings a body that is already there, and then whatever `then` brings."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await then()

    return receive


def fault_response(request: Request, fault: GraphError) -> Response:
    """An error as Graph writes it."""
    body = fault.body(request.state.request_id, request.state.client_request_id)
    return GraphResponse(body, fault.status, headers=fault.headers)
