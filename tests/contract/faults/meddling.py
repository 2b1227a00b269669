"""A proxy between runtui and the sandbox, on a real socket, that treats each change as a case says.

Invariant: it forwards requests byte for byte, and nothing outlives the `async with`. Reads pass unchanged unless a case
says otherwise.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tests.contract.raw_server import Connection

HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_ID: Final = re.compile(rb"\r\nclient-request-id: *([^\r]+)", re.IGNORECASE)


class Call:
    """A request that has arrived at the proxy; its body may not be read yet."""

    def __init__(self, connection: Connection, head: bytes, upstream: tuple[str, int], *, echoes_ids: bool) -> None:
        self.connection = connection
        self.head = head
        self._upstream = upstream
        self._echoes_ids = echoes_ids
        self._body: bytes | None = None

    @property
    def method(self) -> bytes:
        return self.head.partition(b" ")[0]

    @property
    def client_request_id(self) -> str:
        found = _ID.search(self.head)
        return found[1].decode() if found else ""

    async def body(self) -> bytes:
        """Read and return the body of the request."""
        if self._body is None:
            self._body = await self.connection.reader.readexactly(_length(self.head))
        return self._body

    async def apply(self) -> bytes:
        """Let the sandbox carry the request out; return its answer. runtui may have disconnected before."""
        request = self.head + await self.body()
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request)
            head = await reader.readuntil(HEAD_END)
            body = await reader.readexactly(_length(head))
            return (head if self._echoes_ids else _ID.sub(b"", head)) + body
        finally:
            await _closed(writer)

    async def answer(self, data: bytes) -> None:
        self.connection.write(data)
        await self.connection.writer.drain()


Meddling = Callable[[Call], Awaitable[None]]


async def honest(call: Call) -> None:
    """Carry the request out and forward the answer."""
    await call.answer(await call.apply())


class MeddlingProxy:
    """A proxy in front of a server.

    A test may set at any moment: `tls`, the TLS context (None: plain); `at_accept`, a handler that gets new connections
    instead of everything else; `at_connect`, which answers a CONNECT before the tunnel is open; `at_read` and
    `at_write`, which get requests (`at_write` is used up one by one, its last handler repeatedly); `parts_after_reads`,
    which ends the connection after each read; `echoes_ids`, without which the answers lose the client-request-id.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        assert parts.port is not None
        self._upstream = (parts.hostname, parts.port)
        self.tls: ssl.SSLContext | None = None
        self.at_accept: Callable[[Connection], Awaitable[None]] | None = None
        self.at_connect: Meddling | None = None
        self.at_read: Meddling = honest
        self.at_write: list[Meddling] = [honest]
        self.parts_after_reads = False
        self.echoes_ids = True
        self.writes: list[Call] = []
        """The changes of which at least the head arrived."""

    async def __aenter__(self) -> Self:
        self._handlers: set[asyncio.Task[None]] = set()
        self._place: socket.socket | None = None
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        if self._place is not None:
            self._place.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def stop_listening(self) -> None:
        """Refuse new connections, but keep the port."""
        self._server.close()
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", self.port))

    async def listen_again(self) -> None:
        assert self._place is not None
        self._place.close()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._handlers.add(asyncio.create_task(self._serve(Connection(reader, writer))))

    async def _serve(self, connection: Connection) -> None:
        try:
            if self.at_accept is not None:
                await self.at_accept(connection)
                return
            if self.tls is not None and self.at_connect is None:
                await connection.writer.start_tls(self.tls)
            while not connection.writer.is_closing():
                head = await connection.reader.readuntil(HEAD_END)
                await self._handle(Call(connection, head, self._upstream, echoes_ids=self.echoes_ids))
        except (asyncio.IncompleteReadError, OSError):
            return  # runtui has gone, or a case broke the connection
        finally:
            await _closed(connection.writer)

    async def _handle(self, call: Call) -> None:
        writer = call.connection.writer
        if call.method == b"CONNECT":
            assert self.at_connect is not None
            await self.at_connect(call)
            if not writer.is_closing() and self.tls is not None:
                await writer.start_tls(self.tls)
        elif call.method == b"PATCH":
            self.writes.append(call)
            meddling = self.at_write.pop(0) if len(self.at_write) > 1 else self.at_write[0]
            await meddling(call)
        elif self.parts_after_reads:
            head, _, body = (await call.apply()).partition(HEAD_END)
            await call.answer(head + b"\r\nConnection: close" + HEAD_END + body)
            writer.close()
        else:
            await self.at_read(call)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0
