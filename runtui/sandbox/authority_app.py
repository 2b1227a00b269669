"""The authority behind HTTP: an ASGI app for a loopback socket, and a guard that lets only its tokens into Graph.

Invariant: it answers requests that were addressed to this machine alone, so no web page can reach it under a name of
its own; every answer is the authority's, unchanged.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runtui.sandbox.authority import Authority
from runtui.sandbox.authority_tokens import Identity
from runtui.sandbox.envelope import fault_response
from runtui.sandbox.misbehave import Pause

HOSTS: Final = ("127.0.0.1", "localhost")
"""The names of this machine."""

PLACE: Final = "/authority"
"""The path below which a sandbox has its authority, beside /beta and /v1.0."""

_LARGEST_FORM: Final = 262_144
"""Bytes of a form that are read; an assertion with a chain of certificates has some ten thousand."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def create_authority_app(authority: Authority, pause: Pause = asyncio.sleep) -> Starlette:
    """Make an ASGI app of an authority.

    Args:
        authority: who answers; its `base` is the address that the app is served at.
        pause: waits some seconds, for answers that take their time; a test hands in its own.
    """

    async def answer(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_FORM:
                return PlainTextResponse("That is too much.", 413)
        text = body.decode(errors="replace") if request.method == "POST" else request.url.query
        form = dict(parse_qsl(text, keep_blank_values=True))
        given = authority.handle(request.method, request.url.path, request.headers, form)
        if given.delay:
            await pause(given.delay)
        return Response(given.body, given.status, headers=dict(given.headers))

    return Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET", "POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
    )


class BesideGraph:
    """ASGI: hands what is below `PLACE` to the authority, and everything else to Graph.

    The authority goes by a name that no host can have; a form of its own pages comes from where it is served.
    """

    def __init__(self, graph: ASGIApp, authority: Authority) -> None:
        self._graph = graph
        self._authority = create_authority_app(authority)
        self._name = authority.base.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. What Graph raises goes on as it is: a scenario breaks connections in that way."""
        if scope["type"] == "http" and scope["path"].startswith(f"{PLACE}/"):
            here = b"http://" + dict(scope["headers"]).get(b"host", b"")
            headers = [
                (name, self._name if (name, value) == (b"origin", here) else value) for name, value in scope["headers"]
            ]
            path = scope["path"].removeprefix(PLACE)
            await self._authority({**scope, "path": path, "headers": headers}, receive, send)
        else:
            await self._graph(scope, receive, send)


class SignInGuard:
    """ASGI middleware for the sandbox's Graph: lets a request in if the authority made its token, and it may do that.

    It stands behind `GraphEnvelope`, which gives a request its ids. The identity is `scope["state"]["identity"]`.
    """

    def __init__(self, app: ASGIApp, authority: Authority) -> None:
        self._app = app
        self._authority = authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = Headers(scope=scope).get("authorization", "").partition(" ")[2].strip()
        # A batch itself changes nothing: each of its items comes through here by itself.
        writes = scope["method"] not in _READING and not scope["path"].endswith("/$batch")
        verdict = self._authority.verify(token, write=writes)
        if isinstance(verdict, Identity):
            scope["state"]["identity"] = verdict
            await self._app(scope, receive, send)
        else:
            await fault_response(Request(scope), verdict)(scope, receive, send)
