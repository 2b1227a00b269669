"""A server made of bytes: it reads one whole request after another and sends exactly what a test wrote.

Invariant: nothing outlives the `async with`: no connection, no task.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Reply = bytes | Callable[["Connection"], Awaitable[None]]


@dataclass
class Connection:
    """One connection of a client, for replies that need more than bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def reset(self) -> None:
        """Close with a TCP reset, as a crashed server or a firewall does."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        """Send no more; wait until the client gives up, in order or with a reset."""
        with suppress(ConnectionError):
            await self.reader.read()


class ConnectionServer:
    """Serves each connection in its own task; `root` is its Graph root."""

    greets_with: ssl.SSLContext | None = None
    """Every connection begins with TLS."""

    async def __aenter__(self) -> Self:
        self._handlers: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.greets_with)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}/beta"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.create_task(self._serve(Connection(reader, writer)))
        self._handlers.add(handler)

    async def _serve(self, connection: Connection) -> None:
        raise NotImplementedError


@dataclass
class RawServer(ConnectionServer):
    """Answers each request with the next of `replies`; the last one is repeated.

    With `keep_open` a connection stays open for the next request; otherwise it is closed after one reply.
    """

    replies: list[Reply]
    keep_open: bool = False
    requests: list[bytes] = field(default_factory=list)

    async def _serve(self, connection: Connection) -> None:
        try:
            while True:
                self.requests.append(await read_request(connection.reader))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if isinstance(reply, bytes):
                    connection.write(reply)
                    await connection.writer.drain()
                else:
                    await reply(connection)
                if not self.keep_open:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            connection.writer.close()
            with suppress(ConnectionError):
                await connection.writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def answer(body: bytes = b"", *, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """Return a plain HTTP response; `length` replaces the true length of the body in the header."""
    size = len(body) if length is None else length
    kind = "" if "content-type" in headers.lower() else "Content-Type: application/json\r\n"
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{kind}{headers}\r\n".encode() + body
