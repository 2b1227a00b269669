"""ASGI middleware that carries out the scenarios: it stands around everything else and bends what passes.

Invariant: what a scenario says is applied went through the app as any other request, so `app.state.applied` stays true.
Graph's refusals pass through Graph's envelope, a stranger's page does not. A connection that breaks is raised:
ConnectionResetError for a reset, ConnectionAbortedError for an early end; what carries the requests makes it true.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.authority.directory import DEMO_ADMIN
from runtui.sandbox.authority.grants import DEVICE_CODE_SECONDS, Autopilot
from runtui.sandbox.authority.service import Authority
from runtui.sandbox.database import Database
from runtui.sandbox.entities import RUN
from runtui.sandbox.envelope import GraphEnvelope, fault_response, http_date, receive_once
from runtui.sandbox.faults import GraphError, method_not_allowed, unknown_segment
from runtui.sandbox.scenarios import (
    BIG_BODY_BYTES,
    CODE_SECONDS,
    DRIP_SECONDS,
    SLOW_SECONDS,
    Act,
    Codes,
    Refusal,
    Requests,
    Scenario,
    WebPage,
    check_sign_in,
    scenario_named,
)

Pause = Callable[[float], Awaitable[None]]

_NOTE: Final = "(note)"
_ONE_RUN: Final = re.compile(r".*/runs/[^/]+")
_SOON_SECONDS: Final = 3
_POLL_SECONDS: Final = 2
_POLLS: Final = 4
"""The poll at which the sandbox decides about a code by itself."""
_LINE: Final = "What a service may add to an answer, at length. " * 4


class CurrentScenario:
    """How the sandbox behaves at the moment, and what it remembers of the requests since it does.

    Args:
        name: the scenario to begin with.
        database: the tenant; some scenarios change it.
        pause: waits some seconds; a test hands in its own.
        authority: who signs people in; None where every token will do.
    """

    def __init__(
        self, name: str, database: Database, pause: Pause = asyncio.sleep, authority: Authority | None = None
    ) -> None:
        self.pause = pause
        self.edits: list[tuple[str, dict[str, Any]]] = []
        """What someone else wrote: run ids and changes, oldest first."""
        self._database = database
        self._authority = authority
        self.use(name)

    def use(self, name: str) -> None:
        """Behave like this from the next request on, as if nothing had been asked before.

        Raises:
            UsageError: there is no such scenario, or it is about a sign-in and there is none; nothing has changed.
        """
        scenario = scenario_named(name)
        check_sign_in(scenario, has_sign_in=self._authority is not None)
        if self._authority is not None:
            _treat_codes(self._authority, scenario.codes)
        self.scenario: Scenario = scenario
        self._struck: Counter[tuple[str, str]] = Counter()
        if self.scenario.has_newer_members:
            self._database.spread_newer_members()

    def strikes(self, method: str, path: str) -> bool:
        """Whether the scenario befalls this request, which counts as one more if it does."""
        scenario = self.scenario
        if scenario.fault is None or not _is_meant(scenario.strikes, method, path):
            return False
        key = (method, path) if scenario.counts_paths else ("", "")
        self._struck[key] += 1
        return scenario.times is None or self._struck[key] <= scenario.times

    def revoke_sign_ins(self) -> None:
        """End the sessions of everybody: their next request is challenged."""
        if self._authority is not None:
            for user in self._authority.directory.users:
                self._authority.revoke(user)

    def stored_run(self, run_id: str) -> dict[str, Any] | None:
        """A run as it stands in the tenant."""
        row = self._database.one(RUN, run_id, {})
        return None if row is None else RUN.renderer(None, include_newer=True)(row)

    def edit(self, run_id: str) -> None:
        """Someone else gives the run another status."""
        if (run := self.stored_run(run_id)) is not None:
            changes = {"processingStatus": "failed" if run["processingStatus"] == "canceled" else "canceled"}
            self._database.write_run(run_id, changes)
            self.edits.append((run_id, changes))


def _treat_codes(authority: Authority, codes: Codes) -> None:
    """Decide what becomes of codes that nobody types in."""
    devices = authority.devices
    devices.interval = _POLL_SECONDS
    devices.lifetime = CODE_SECONDS if codes is Codes.EXPIRED else DEVICE_CODE_SECONDS
    user = DEMO_ADMIN if codes is Codes.APPROVED else None
    devices.autopilot = None if codes is Codes.EXPIRED else Autopilot(user, _POLLS)


def _is_meant(requests: Requests, method: str, path: str) -> bool:
    if requests is Requests.ONE_RUN:
        return _ONE_RUN.fullmatch(path) is not None
    return requests is Requests.ALL or method == "PATCH"


class _Answer(NamedTuple):
    """An answer of the app, held back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def start(self) -> Message:
        """Its status and headers; Content-Length as the body demands."""
        message: Message = {"type": "http.response.start", "status": self.status, "headers": list(self.headers)}
        headers = MutableHeaders(scope=message)
        if self.status == 204:
            del headers["content-length"]
            del headers["content-type"]
        else:
            headers["content-length"] = str(len(self.body))
        return message

    async def send(self, send: Send) -> None:
        """Let it go."""
        await send(self.start())
        await send(_body(self.body))


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way to the app."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send

    @property
    def current(self) -> CurrentScenario:
        return _current(self.scope)

    @property
    def run_id(self) -> str:
        """The last segment of the path."""
        return str(self.scope["path"]).rpartition("/")[2]

    async def go_on(self) -> None:
        """Let the app answer."""
        await self.app(self.scope, self.receive, self.send)

    async def answer(self) -> _Answer:
        """Let the app carry it out, and hold the answer back."""
        start: Message = {}
        chunks: list[bytes] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                chunks.append(message.get("body", b""))

        await self.app(self.scope, self.receive, hold)
        return _Answer(start["status"], start["headers"], b"".join(chunks))

    async def bend(self, change: Callable[[_Answer], _Answer]) -> None:
        """Let the app carry it out, and answer something else if that went well."""
        answer = await self.answer()
        await (change(answer) if answer.is_success else answer).send(self.send)

    async def refuse(self, fault: GraphError) -> None:
        """Answer as Graph does, in the app's place."""
        await replace(self, app=GraphEnvelope(_refusing(fault))).go_on()


class Misbehave:
    """ASGI middleware: does to each request what the current scenario says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        call = _Call(self._app, scope, receive, send)
        if scope["type"] != "http" or not call.current.strikes(scope["method"], scope["path"]):
            await (_echo(call) if scope["type"] == "http" and call.current.scenario.has_echoes else call.go_on())
            return
        match call.current.scenario.fault:
            case Refusal() as refusal:
                await call.refuse(_in_words(refusal, Headers(scope=scope), scope["app"].state.clock()))
            case WebPage() as page:
                await _answer_with_page(call, page)
            case Act() as act:
                await _ACTS[act](call)


def _current(scope: Scope) -> CurrentScenario:
    current = scope["app"].state.scenario
    assert isinstance(current, CurrentScenario)  # noqa: S101 - create_app put it there
    return current


def _refusing(fault: GraphError) -> ASGIApp:
    """An app that refuses everything."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await fault_response(Request(scope), fault)(scope, receive, send)

    return refuse


def _in_words(refusal: Refusal, headers: Headers, now: int) -> GraphError:
    """The refusal, with what its texts leave open at this moment (ticks)."""
    known = {
        "authorization": headers.get("authorization", ""),
        "soon": http_date(now + _SOON_SECONDS * TICKS_PER_SECOND),
    }
    return GraphError(
        refusal.status,
        refusal.code,
        refusal.message.format_map(known),
        headers={name: value.format_map(known) for name, value in refusal.headers},
    )


async def _echo(call: _Call) -> None:
    """Put a note with the token into each run of an answer, every mark in it written as a JSON escape."""
    token = Headers(scope=call.scope).get("authorization", "").partition(" ")[2]
    escaped = "".join(letter if letter.isalnum() else f"\\u{ord(letter):04X}" for letter in token)

    def with_notes(answer: _Answer) -> _Answer:
        body = json.loads(answer.body)
        for item in body.get("value", [body]):
            item["note"] = _NOTE
        return answer._replace(body=json.dumps(body).replace(_NOTE, f"Read with {escaped}.").encode())

    await call.bend(with_notes)


async def _answer_with_page(call: _Call, page: WebPage) -> None:
    if page.is_applied:
        await call.answer()
    text = f"<!DOCTYPE html><html><head><title>{page.title}</title></head><body><h1>{page.title}</h1></body></html>"
    await HTMLResponse(text, page.status)(call.scope, call.receive, call.send)


async def _wait(call: _Call) -> None:
    """Carry it out later, even for a client that has gone by then: the request has arrived whole."""
    body = await Request(call.scope, call.receive).body()
    await call.current.pause(SLOW_SECONDS)
    await replace(call, receive=receive_once(body, call.receive)).go_on()


async def _drip(call: _Call) -> None:
    """Apply, then answer one byte after the other, until the client has gone."""
    answer = await call.answer()
    tasks = [asyncio.create_task(_send_in_drops(call, answer)), asyncio.create_task(_disconnected(call.receive))]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def _send_in_drops(call: _Call, answer: _Answer) -> None:
    await call.send(answer.start())
    for byte in answer.body:
        await call.send(_body(bytes([byte]), more_body=True))
        await call.current.pause(DRIP_SECONDS)
    await call.send(_body(b""))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset_before(call: _Call) -> None:
    await Request(call.scope, call.receive).body()
    raise ConnectionResetError("The scenario resets the connection; nothing was applied.")


async def _reset_after(call: _Call) -> None:
    await call.answer()
    raise ConnectionResetError("The scenario resets the connection; the request was carried out.")


async def _cut_answer(call: _Call) -> None:
    answer = await call.answer()
    await call.send(answer.start())
    await call.send(_body(answer.body[: len(answer.body) // 2], more_body=True))
    raise ConnectionAbortedError("The scenario ends the connection in the middle of an answer.")


async def _answer_with_other_id(call: _Call) -> None:
    await call.bend(lambda answer: _with(answer, id=f"{call.run_id}0"))


async def _answer_without_body(call: _Call) -> None:
    await call.bend(lambda answer: answer._replace(status=204, body=b""))


async def _answer_accepted(call: _Call) -> None:
    await call.bend(lambda answer: answer._replace(status=202, body=b""))


async def _answer_at_length(call: _Call) -> None:
    history = [{"index": index, "text": _LINE} for index in range(BIG_BODY_BYTES // len(_LINE))]
    await call.bend(lambda answer: _with(answer, history=history))


async def _ignore_a_property(call: _Call) -> None:
    """The app gets the change without the first property that would change anything."""
    from runtui.sandbox.validate import read_json, run_changes

    body = await Request(call.scope, call.receive).body()
    try:
        sent = read_json(Headers(scope=call.scope).get("content-type"), body)
        changes = run_changes(sent)
    except GraphError:
        pass  # the app refuses it, in its own words
    else:
        before = call.current.stored_run(call.run_id) or {}
        ignored = next((name for name, value in changes.items() if before.get(name) != value), None)
        body = json.dumps({name: value for name, value in sent.items() if name != ignored}).encode()
    await replace(call, receive=receive_once(body, call.receive)).go_on()


async def _edit_meanwhile(call: _Call) -> None:
    """Someone else is faster than a write, and follows a read before its answer arrives."""
    if call.scope["method"] != "GET":
        call.current.edit(call.run_id)
        await call.go_on()
        return
    answer = await call.answer()
    if answer.is_success:
        call.current.edit(call.run_id)
    await answer.send(call.send)


async def _have_no_route(call: _Call) -> None:
    """Graph knows no workflowBase; below a workflow it knows the run, but no PATCH of it."""
    is_base = "/workflowBase/" in call.scope["path"]
    await call.refuse(unknown_segment("workflowBase") if is_base else method_not_allowed({"Allow": "GET"}))


def _with(answer: _Answer, **properties: Any) -> _Answer:
    """The answer with other properties in its JSON object."""
    return answer._replace(body=json.dumps({**json.loads(answer.body), **properties}).encode())


def _body(data: bytes, *, more_body: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more_body}


async def _revoke_sign_in(call: _Call) -> None:
    call.current.revoke_sign_ins()
    await call.go_on()


_ACTS: Final[Mapping[Act, Callable[[_Call], Awaitable[None]]]] = {
    Act.WAIT: _wait,
    Act.DRIP: _drip,
    Act.RESET_BEFORE: _reset_before,
    Act.RESET_AFTER: _reset_after,
    Act.CUT_ANSWER: _cut_answer,
    Act.ANSWER_WITH_OTHER_ID: _answer_with_other_id,
    Act.ANSWER_WITHOUT_BODY: _answer_without_body,
    Act.ANSWER_ACCEPTED: _answer_accepted,
    Act.ANSWER_AT_LENGTH: _answer_at_length,
    Act.IGNORE_A_PROPERTY: _ignore_a_property,
    Act.EDIT_MEANWHILE: _edit_meanwhile,
    Act.HAVE_NO_ROUTE: _have_no_route,
    Act.REVOKE_SIGN_IN: _revoke_sign_in,
}
