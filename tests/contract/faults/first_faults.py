"""The faults that a change can meet, by name.

Invariant: a fault that answers with a success of Graph, but applies nothing, is a lie, which no client can notice.
Every other fault can be noticed, and has to be reported correctly.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from tests.contract.faults.fault_server import Behaviour, Call, honest
from tests.contract.raw_server import answer

Ending = Callable[[Call, bytes], Awaitable[None]]
"""Sends the response to a request, given Graph's answer to it (or one that looks like it)."""

ASKED_SECONDS: Final = 2.0
"""The wait that an answer with a valid Retry-After asks for."""


@dataclass(frozen=True, slots=True)
class FirstFault:
    """A fault that a change can meet."""

    name: str
    act: Behaviour
    is_lie: bool = False
    stray: Callable[[Call], bytes] | None = None
    """Bytes that stay on the connection after the read that precedes the change."""


# Lost answers.


async def reset(call: Call, _whole: bytes) -> None:
    call.connection.reset()


async def close(call: Call, _whole: bytes) -> None:
    call.close()


async def silence(call: Call, _whole: bytes) -> None:
    call.server.forward()
    await call.connection.until_closed()


def cut(share: float, *, in_body: bool, then: Ending = close) -> Ending:
    """Send that share (0 to 1) of the head or of the body, then end the connection."""

    async def ending(call: Call, whole: bytes) -> None:
        head, end, body = whole.partition(b"\r\n\r\n")
        call.answer(head + end + body[: int(len(body) * share)] if in_body else head[: int(len(head) * share)])
        await call.connection.writer.drain()
        await then(call, whole)

    return ending


async def drip(call: Call, whole: bytes) -> None:
    for place in range(len(whole) // 2):
        call.answer(whole[place : place + 1])
        await call.connection.writer.drain()
    await silence(call, whole)


# Whole answers


async def handed_on(call: Call, whole: bytes) -> None:
    call.answer(whole)


def gateway(status: str, headers: str = "", *, html: bool = True) -> Ending:
    """Answer as a gateway in front of Graph does, without Graph's ids."""
    page = b"<html><title>Gateway</title></html>" if html else b'{"statusCode": 500, "message": "upstream"}'
    kind = "" if not html else "Content-Type: text/html\r\n"

    async def ending(call: Call, _whole: bytes) -> None:
        if f"Retry-After: {ASKED_SECONDS:g}\r\n" in headers:
            call.server.asks_to_wait(call.request, ASKED_SECONDS)
        call.answer(answer(page, status=status, headers=headers + kind))

    return ending


def refuses(status: str, headers: str = "", seconds: float = 0.0) -> Ending:
    """Refuse as Graph does."""

    async def ending(call: Call, _whole: bytes) -> None:
        if seconds:
            call.server.asks_to_wait(call.request, seconds)
        call.answer(call.server.refusal(call.request, status, headers))

    return ending


def graph(status: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Ending:
    """Answer with a success of Graph, but with the body that `change` makes; None for no body."""

    async def ending(call: Call, _whole: bytes) -> None:
        run = call.server.run(call.request.run_id)
        call.answer(call.server.graph(call.request, status, change(run)))

    return ending


def raw(change: Callable[[bytes], bytes], headers: dict[str, str] | None = None, *, length: bool = True) -> Ending:
    """Send Graph's answer with another body and other headers. Without a length, the end of the connection ends it."""

    async def ending(call: Call, whole: bytes) -> None:
        head, _, body = whole.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        changed = change(body)
        found = dict(line.split(": ", 1) for line in lines) | (headers or {})
        found.pop("Content-Length")
        if length:
            found["Content-Length"] = str(len(changed))
        lines = [f"{name}: {value}" for name, value in found.items()]
        call.answer("\r\n".join((status, *lines, "", "")).encode() + changed)
        if not length:
            await call.connection.writer.drain()
            call.close()

    return ending


# What happens to the change itself


def applied(ending: Ending) -> Behaviour:
    async def act(call: Call) -> None:
        await ending(call, call.honestly())

    return act


def swallowed(ending: Ending) -> Behaviour:
    async def act(call: Call) -> None:
        as_if = call.server.run(call.request.run_id) | json.loads(call.request.body)
        await ending(call, call.server.graph(call.request, "200 OK", as_if))

    return act


def late(readings: int, ending: Ending) -> Behaviour:
    """Delay the change until that many reads have come, or the save is over."""

    async def act(call: Call) -> None:
        call.server.late.append((call.request, readings))
        await ending(call, call.server.graph(call.request, "200 OK", {}))

    return act


def repeated(ending: Ending) -> Behaviour:
    """Apply the change twice, like a gateway that loses the first answer and repeats the request."""

    async def act(call: Call) -> None:
        call.honestly()
        await ending(call, call.server.carry_out(call.request, by_gateway=True))

    return act


# All of them

_LOST: Final[dict[str, Ending]] = {
    "reset": reset,
    "closed": close,
    "silence": silence,
    "cut in the status line": cut(0.05, in_body=False),
    "cut in the headers": cut(0.8, in_body=False),
    "cut in the body": cut(0.5, in_body=True),
    "reset in the body": cut(0.5, in_body=True, then=reset),
    "drip": drip,
}
_SUCCESSES: Final[dict[str, Ending]] = {
    "204": graph("204 No Content", lambda _run: None),
    "200 without a body": graph("200 OK", lambda _run: None),
    "202": graph("202 Accepted", lambda _run: None),
    "200 about another run": graph("200 OK", lambda run: {**run, "id": "another"}),
    "200 about no run": graph("200 OK", lambda _run: {}),
    "200 with a list": raw(lambda body: b"[" + body + b"]"),
    "200 with a web page": gateway("200 OK"),
    "200 of half a body, without a length": raw(lambda body: body[: len(body) // 2], length=False),
    "200 with a name twice": raw(lambda body: b'{"id": 1, ' + body[1:]),
    "200 with NaN": raw(lambda body: b'{"x": NaN, ' + body[1:]),
    "200 that is no gzip": raw(lambda body: body, {"Content-Encoding": "gzip"}),
    "200 that names another request": raw(lambda body: body, {"client-request-id": "another"}),
    "302": gateway("302 Found", "Location: https://login.example/\r\n"),
    "307": gateway("307 Temporary Redirect", "Location: https://login.example/\r\n"),
    "308": gateway("308 Permanent Redirect", "Location: /elsewhere\r\n"),
}
_FAILURES: Final[dict[str, Ending]] = {
    "500": refuses("500 Internal Server Error"),
    "502 of a gateway": gateway("502 Bad Gateway"),
    "503 of Graph": refuses("503 Service Unavailable", f"Retry-After: {ASKED_SECONDS:g}\r\n", ASKED_SECONDS),
    "503 of a gateway": gateway("503 Service Unavailable", f"Retry-After: {ASKED_SECONDS:g}\r\n"),
    "503 of a gateway that speaks JSON": gateway("503 Service Unavailable", html=False),
    "504 of a gateway": gateway("504 Gateway Timeout"),
    "504 of Graph": refuses("504 Gateway Timeout"),
    "408": refuses("408 Request Timeout"),
    "403 of a proxy": gateway("403 Forbidden"),
    "413 of a proxy": gateway("413 Content Too Large"),
}
_REFUSALS: Final = ("400 Bad", "403 Forbidden", "404 Not Found", "405 No", "409 Conflict", "412 Moved", "423 Locked")


def _waits() -> Iterator[tuple[str, str, float]]:
    """Yield every form of Retry-After, and the seconds that runtui should wait."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    yield "seconds", f"Retry-After: {ASKED_SECONDS:g}\r\n", ASKED_SECONDS
    yield "a date", f"Retry-After: {later}\r\n", 60.0
    yield "absent", "", 1.0
    yield "garbage", "Retry-After: soon\r\n", 0.0
    yield "negative", "Retry-After: -5\r\n", 0.0
    yield "endless", "Retry-After: 9999999\r\n", 60.0
    yield "twice", "Retry-After: 1\r\nRetry-After: 3\r\n", 3.0


def _all() -> Iterator[FirstFault]:
    yield FirstFault("none", honest)
    for name, ending in (_LOST | _SUCCESSES | _FAILURES).items():
        yield FirstFault(f"{name}, applied", applied(ending))
        yield FirstFault(f"{name}, not applied", swallowed(ending))
    for status in _REFUSALS:
        yield FirstFault(status, swallowed(refuses(status)))
    for form, header, seconds in _waits():
        yield FirstFault(f"429, wait: {form}", swallowed(refuses("429 Too Many Requests", header, seconds)))
        yield FirstFault(f"503, wait: {form}", swallowed(refuses("503 Service Unavailable", header, seconds)))
    for readings in (1, 2, 3, 99):
        for name in ("reset", "silence"):
            yield FirstFault(f"{name}, applied after reading {readings}", late(readings, _LOST[name]))
        yield FirstFault(f"502, applied after reading {readings}", late(readings, _FAILURES["502 of a gateway"]))
    yield FirstFault("repeated by a gateway", repeated(handed_on))
    yield FirstFault("repeated by a gateway, its answer lost", repeated(reset))
    yield FirstFault("repeated by a gateway, which gives up", repeated(_FAILURES["504 of a gateway"]))
    yield FirstFault("200 with the old values", swallowed(graph("200 OK", lambda run: run)))
    yield FirstFault("200 with our values, not applied", swallowed(handed_on), is_lie=True)
    for name, leftover in _STRAYS.items():
        yield FirstFault(f"stray {name}, applied", applied(close), stray=leftover)
        yield FirstFault(f"stray {name}, not applied", swallowed(close), stray=leftover)


_STRAYS: Final[dict[str, Callable[[Call], bytes]]] = {
    "204": lambda _call: answer(status="204 No Content"),
    "200": lambda call: answer(json.dumps(call.server.run(call.request.run_id)).encode()),
    "403": lambda _call: answer(b'{"error": {"code": "forbidden", "message": "No."}}', status="403 Forbidden"),
}

FIRST_FAULTS: Final = tuple(_all())


def shuffled(seed: int) -> list[FirstFault]:
    """Return all faults in random order."""
    faults = list(FIRST_FAULTS)
    random.Random(seed).shuffle(faults)
    return faults
