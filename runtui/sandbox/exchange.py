"""A request on its way through the sandbox, as a scenario can intercept it.

Invariant: what a scenario applies goes through the app like any other request, so `app.state.applied` stays true.
Graph's refusals pass through Graph's envelope, a stranger's page does not. A connection that breaks is raised:
ConnectionResetError for a reset, ConnectionAbortedError for an early end; the server in front makes it true.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.authority.service import Authority
from runtui.sandbox.database import Database
from runtui.sandbox.entities import RUN
from runtui.sandbox.envelope import GraphEnvelope, bearer_token, fault_response, http_date, receive_once
from runtui.sandbox.errors import GraphError

Pause = Callable[[float], Awaitable[None]]
"""Waits some seconds."""


class SandboxState:
    """What scenarios change beside the requests: the tenant, and who is signed in.

    Args:
        database: The tenant.
        pause: Waits some seconds; a test hands in its own.
        authority: The sign-in; None where any token will do.
    """

    def __init__(self, database: Database, pause: Pause = asyncio.sleep, authority: Authority | None = None) -> None:
        self.database = database
        self.pause = pause
        self.authority = authority
        self.edits: list[tuple[str, dict[str, Any]]] = []
        """What somebody else wrote: run ids and changes, oldest first."""

    def stored_run(self, run_id: str) -> dict[str, Any] | None:
        """A run as the tenant has it; None when there is none."""
        row = self.database.one(RUN, run_id, {})
        return None if row is None else RUN.renderer(None, include_newer=True)(row)

    def edit_run(self, run_id: str) -> None:
        """Change the status of a run as somebody else would."""
        if (run := self.stored_run(run_id)) is not None:
            changes = {"processingStatus": "failed" if run["processingStatus"] == "canceled" else "canceled"}
            self.database.write_run(run_id, changes)
            self.edits.append((run_id, changes))

    def revoke_sign_ins(self) -> None:
        """End everybody's sign-in: their next request is challenged."""
        if self.authority is not None:
            for user in self.authority.directory.users:
                self.authority.revoke(user)


class HeldResponse(NamedTuple):
    """A response of the app, held back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def with_properties(self, **properties: Any) -> HeldResponse:
        """The same with other properties in its JSON object."""
        return self._replace(body=json.dumps({**json.loads(self.body), **properties}).encode())

    def start(self) -> Message:
        """The message with status and headers; Content-Length is that of the body."""
        message: Message = {"type": "http.response.start", "status": self.status, "headers": list(self.headers)}
        headers = MutableHeaders(scope=message)
        if self.status == 204:
            del headers["content-length"]
            del headers["content-type"]
        else:
            headers["content-length"] = str(len(self.body))
        return message


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, before the app has seen it."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    sandbox: SandboxState

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def headers(self) -> Headers:
        return Headers(scope=self.scope)

    @property
    def token(self) -> str:
        """The bearer token; empty without one."""
        return bearer_token(self.headers)

    @property
    def run_id(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]

    async def body(self) -> bytes:
        """Wait for the whole body; the app sees it only by `with_body`."""
        return await Request(self.scope, self.receive).body()

    def with_body(self, body: bytes) -> Exchange:
        """The same request with a body that is already here."""
        return replace(self, receive=receive_once(body, self.receive))

    def http_date(self, *, in_seconds: int) -> str:
        """A moment ahead as an HTTP date, by the sandbox's clock."""
        return http_date(self.scope["app"].state.clock() + in_seconds * TICKS_PER_SECOND)

    async def proceed(self) -> None:
        """Let the app answer."""
        await self.app(self.scope, self.receive, self.send)

    async def hold(self) -> HeldResponse:
        """Let the app carry the request out, and hold its response back."""
        return await hold_response(self.app, self.scope, self.receive)

    async def respond(self, response: HeldResponse) -> None:
        """Send a response that was held back."""
        await self.send(response.start())
        await self.send(_body(response.body))

    async def rewrite(self, change: Callable[[HeldResponse], HeldResponse]) -> None:
        """Let the app carry the request out, and send another response if that succeeded."""
        response = await self.hold()
        await self.respond(change(response) if response.is_success else response)

    async def refuse(self, fault: GraphError) -> None:
        """Answer as Graph refuses, without the app."""

        async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
            await fault_response(Request(scope), fault)(scope, receive, send)

        await replace(self, app=GraphEnvelope(refusing)).proceed()

    async def respond_page(self, status: int, title: str) -> None:
        """Answer with a web page of a proxy or a gateway, without a header of Graph's."""
        page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        await HTMLResponse(page, status)(self.scope, self.receive, self.send)

    async def cut(self, response: HeldResponse) -> NoReturn:
        """Send half of a response and end the connection."""
        await self.send(response.start())
        await self.send(_body(response.body[: len(response.body) // 2], more_body=True))
        raise ConnectionAbortedError("The scenario ends the connection in the middle of a response.")

    async def drip(self, response: HeldResponse, seconds: float) -> None:
        """Send one byte after the other, with a pause of so many seconds, until the client has gone."""

        async def send_bytes() -> None:
            await self.send(response.start())
            for byte in response.body:
                await self.send(_body(bytes([byte]), more_body=True))
                await self.sandbox.pause(seconds)
            await self.send(_body(b""))

        async def disconnected() -> None:
            while (await self.receive())["type"] != "http.disconnect":
                pass

        tasks = [asyncio.create_task(send_bytes()), asyncio.create_task(disconnected())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ended.pop().result()
        finally:
            for task in tasks:
                task.cancel()


async def hold_response(app: ASGIApp, scope: Scope, receive: Receive) -> HeldResponse:
    """Send a request through an app; its whole response."""
    start: Message = {}
    chunks: list[bytes] = []

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, take)
    return HeldResponse(start["status"], start["headers"], b"".join(chunks))


def _body(data: bytes, *, more_body: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more_body}
