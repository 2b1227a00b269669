"""The ways in which a proxy answers a change, or does not, after the request was carried out or was dropped."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.contract.faults.meddling import HEAD_END, Call, Meddling
from tests.contract.raw_server import answer

Reply = Callable[[Call, bytes], Awaitable[None]]
"""Takes the request and the sandbox's answer to it, or a similar answer if the request was dropped."""

_NEVER_APPLIED: Final = answer(b'{"id": "the request was swallowed, and this is never read to its end"}' * 9)


def applied(reply: Reply) -> Meddling:
    """Let the sandbox carry the change out, then send another reply."""

    async def meddle(call: Call) -> None:
        await reply(call, await call.apply())

    return meddle


def swallowed(reply: Reply) -> Meddling:
    """Do not pass the change to the sandbox, and send a reply."""

    async def meddle(call: Call) -> None:
        await call.body()
        await reply(call, _NEVER_APPLIED)

    return meddle


def says(status: str, body: bytes | str | dict[str, Any] = b"", headers: str = "") -> Reply:
    """Reply with this body; a string is a web page, a dict is JSON."""
    if isinstance(body, str):
        headers += "Content-Type: text/html\r\n"
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()

    async def reply(call: Call, _answer: bytes) -> None:
        await call.answer(answer(data, status=status, headers=headers))

    return reply


def refuses(status: int, message: Any = "No.", *, code: Any = "Refused", headers: str = "") -> Reply:
    """Reply with a refusal of Graph."""
    return says(f"{status} Refused", {"error": {"code": code, "message": message}}, headers)


def rewritten(change: Callable[[bytes, bytes], bytes]) -> Reply:
    """Reply with what `change` makes of the sandbox's answer: of its head (with the blank line) and its body."""

    async def reply(call: Call, whole: bytes) -> None:
        head, end, body = whole.partition(HEAD_END)
        await call.answer(change(head + end, body))

    return reply


def cut_after(share: float, *, in_body: bool, reset: bool = False) -> Reply:
    """Send part of the head or of the body, then end the connection."""

    async def reply(call: Call, whole: bytes) -> None:
        head, end, body = whole.partition(HEAD_END)
        part = head + end + body[: int(len(body) * share)] if in_body else head[: int(len(head) * share)]
        await call.answer(part)
        await (reset_it if reset else close_it)(call, b"")

    return reply


async def reset_it(call: Call, _answer: bytes) -> None:
    """Reset the TCP connection."""
    call.connection.reset()


async def close_it(call: Call, _answer: bytes) -> None:
    """Close the connection in the regular way."""
    call.connection.writer.close()
