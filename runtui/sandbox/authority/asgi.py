"""The authority over HTTP: an ASGI app for a loopback socket, and the guard that lets only its tokens into Graph.

Invariant: responses are the authority's, unchanged. `server.HostGuard` stands in front, so that no web page can reach
it under a name of its own.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runtui.sandbox.authority.service import Authority
from runtui.sandbox.authority.tokens import Identity
from runtui.sandbox.envelope import bearer_token, fault_response

AUTHORITY_PATH: Final = "/authority"
"""The path of the authority beside Graph's /beta and /v1.0."""

_LARGEST_FORM: Final = 262_144
"""Bytes; an assertion with a chain of certificates has some ten thousand."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def create_authority_app(authority: Authority) -> Starlette:
    """Make an ASGI app of an authority, whose `base` is the address that the app is served at."""

    async def answer(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_FORM:
                return PlainTextResponse("The form is too large.", 413)
        text = body.decode(errors="replace") if request.method == "POST" else request.url.query
        form = dict(parse_qsl(text, keep_blank_values=True))
        response = authority.handle(request.method, request.url.path, request.headers, form)
        return Response(response.body, response.status, headers=dict(response.headers))

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


class GraphWithAuthority:
    """ASGI app: hands what is below `AUTHORITY_PATH` to the authority, and everything else to Graph.

    The authority's base is a name that no host can have; a form of its own pages comes from where it is served.
    """

    def __init__(self, graph: ASGIApp, authority: Authority) -> None:
        self._graph = graph
        self._authority = create_authority_app(authority)
        self._origin = authority.base.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What Graph raises goes on as it is: a scenario breaks connections in that way.
        if scope["type"] != "http" or not scope["path"].startswith(f"{AUTHORITY_PATH}/"):
            await self._graph(scope, receive, send)
            return
        here = b"http://" + dict(scope["headers"]).get(b"host", b"")
        headers = [
            (name, self._origin if (name, value) == (b"origin", here) else value) for name, value in scope["headers"]
        ]
        path = scope["path"].removeprefix(AUTHORITY_PATH)
        await self._authority({**scope, "path": path, "headers": headers}, receive, send)


class TokenGuard:
    """ASGI middleware of Graph: lets a request in if the authority issued its token, with the permission it needs.

    It stands behind `GraphEnvelope`, which gives a request its ids.
    """

    def __init__(self, app: ASGIApp, authority: Authority) -> None:
        self._app = app
        self._authority = authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A batch itself changes nothing: each of its items comes through here by itself.
        writes = scope["method"] not in _READING and not scope["path"].endswith("/$batch")
        verdict = self._authority.verify(bearer_token(Headers(scope=scope)), write=writes)
        if isinstance(verdict, Identity):
            await self._app(scope, receive, send)
        else:
            await fault_response(Request(scope), verdict)(scope, receive, send)
