"""The sandbox's sign-in authority over TLS, on loopback, with a certificate of a certificate authority to throw away.

Invariant: nothing outlives the `async with`: no connection, no task, no file.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from uvicorn.server import ServerState

from runtui.domain.times import now_ticks
from runtui.sandbox.authority import Authority
from runtui.sandbox.authority_app import create_authority_app
from runtui.sandbox.authority_directory import Directory
from runtui.sandbox.server import HOST, BreakableProtocol, server_config


@dataclass(frozen=True)
class ServedAuthority:
    """An authority, the address it is at (`authority.base`), and the file with the CA that vouches for it."""

    authority: Authority
    ca_file: Path

    @property
    def base(self) -> str:
        return self.authority.base


@asynccontextmanager
async def serve_authority(
    clock: Callable[[], int] = now_ticks, *, directory: Directory | None = None
) -> AsyncIterator[ServedAuthority]:
    """Serve an authority in this event loop: a client that blocks needs a thread of its own."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST, "localhost").configure_cert(context)
    listener = socket.create_server((HOST, 0))
    authority = Authority(clock, base=f"https://{HOST}:{listener.getsockname()[1]}", directory=directory)
    config, state = server_config(create_authority_app(authority)), ServerState()
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: BreakableProtocol(config=config, server_state=state, app_state={}), sock=listener, ssl=context
    )
    with tempfile.TemporaryDirectory(prefix="runtui-authority-") as folder:
        ca_file = Path(folder) / "ca.pem"
        ca.cert_pem.write_to_path(ca_file)
        try:
            yield ServedAuthority(authority, ca_file)
        finally:
            server.close()
            tasks = tuple(state.tasks)
            for connection in tuple(state.connections):
                connection.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # the loop tells the connections of their end in its next round
            await server.wait_closed()
