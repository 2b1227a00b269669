"""The sandbox's sign-in authority over TLS on loopback, with a certificate from a throwaway certificate authority.

Invariant: nothing outlives the `async with`: no connection, no task, no file.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from runtui.domain.times import now_ticks
from runtui.sandbox.authority.directory import Directory
from runtui.sandbox.server import HOST, create_authority_app
from tests.contract.loopback import served
from tests.contract.scripted_authority import ScriptedAuthority


@dataclass(frozen=True)
class ServedAuthority:
    """An authority, its address (`authority.base`), and the file with the CA that issued its certificate."""

    authority: ScriptedAuthority
    ca_file: Path

    @property
    def base(self) -> str:
        return self.authority.base


@asynccontextmanager
async def serve_authority(
    clock: Callable[[], int] = now_ticks, *, directory: Directory | None = None
) -> AsyncIterator[ServedAuthority]:
    """Serve an authority in this event loop. A client that blocks needs a thread of its own."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST, "localhost").configure_cert(context)
    listener = socket.create_server((HOST, 0))
    authority = ScriptedAuthority(clock, base=f"https://{HOST}:{listener.getsockname()[1]}", directory=directory)
    app = create_authority_app(authority)

    with tempfile.TemporaryDirectory(prefix="runtui-authority-") as folder:
        ca_file = Path(folder) / "ca.pem"
        ca.cert_pem.write_to_path(ca_file)
        async with served(app, sock=listener, ssl=context):
            yield ServedAuthority(authority, ca_file)
