"""Ways to answer a change, or not to: what a proxy does once the request was carried out, or was swallowed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.contract.faults.meddling import HEAD_END, Call, Meddling
from tests.contract.raw_server import answer

Reply = Callable[[Call, bytes], Awaitable[None]]
"""Gets the request and the sandbox's answer to it, or one of the same kind when the request was swallowed."""

_NEVER_APPLIED: Final = answer(b'{"id": "the request was swallowed, and this is never read to its end"}' * 9)


def applied(reply: Reply) -> Meddling:
    """Let the sandbox carry the change out, then reply in its place."""

    async def meddle(call: Call) -> None:
        await reply(call, await call.apply())

    return meddle


def swallowed(reply: Reply) -> Meddling:
    """Keep the change from the sandbox, and reply in its place."""

    async def meddle(call: Call) -> None:
        await call.body()
        await reply(call, _NEVER_APPLIED)

    return meddle


def says(status: str, body: bytes | str | dict[str, Any] = b"", headers: str = "") -> Reply:
    """This answer; a text is a web page, a dict is JSON."""
    if isinstance(body, str):
        headers += "Content-Type: text/html\r\n"
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()

    async def reply(call: Call, _answer: bytes) -> None:
        await call.answer(answer(data, status=status, headers=headers))

    return reply


def refuses(status: int, message: Any = "No.", *, code: Any = "Refused", headers: str = "") -> Reply:
    """Graph's own refusal."""
    return says(f"{status} Refused", {"error": {"code": code, "message": message}}, headers)


def rewritten(change: Callable[[bytes, bytes], bytes]) -> Reply:
    """The sandbox's answer, made something else: of its head (with its end) and its body."""

    async def reply(call: Call, whole: bytes) -> None:
        head, end, body = whole.partition(HEAD_END)
        await call.answer(change(head + end, body))

    return reply


def cut_after(share: float, *, in_body: bool, reset: bool = False) -> Reply:
    """A part of the head or of the body, and then the end of the connection."""

    async def reply(call: Call, whole: bytes) -> None:
        head, end, body = whole.partition(HEAD_END)
        part = head + end + body[: int(len(body) * share)] if in_body else head[: int(len(head) * share)]
        await call.answer(part)
        await (reset_it if reset else close_it)(call, b"")

    return reply


async def reset_it(call: Call, _answer: bytes) -> None:
    """A TCP reset."""
    call.connection.reset()


async def close_it(call: Call, _answer: bytes) -> None:
    """The end of the connection, in order."""
    call.connection.writer.close()
