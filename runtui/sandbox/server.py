"""The sandbox as a process: a loopback port, one line that says where it is, a clean end.

Invariant: nothing but that one JSON line goes to standard output, and only once connections are accepted. It listens on
127.0.0.1 alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
import uvicorn.server

from runtui.errors import ExitCode, RuntuiError
from runtui.sandbox.app import create_app

HOST: Final = "127.0.0.1"
_STDIN: Final = 0


def main(*, port: int, runs: int, seed: int, until_stdin_closes: bool, hostile: bool = False) -> int:
    """Serve a freshly seeded tenant until SIGTERM or SIGINT.

    Args:
        port: the loopback port; 0 for any that is free.
        runs: how many runs the tenant has.
        seed: which tenant.
        until_stdin_closes: whether to stop as well when standard input ends, because whoever started this is gone.
        hostile: whether names and texts attack terminals and markup.

    Returns:
        The exit code: 0.

    Raises:
        RuntuiError: when the port cannot be had.
    """
    listener = _listen(port)
    server = _Server(
        uvicorn.Config(
            create_app(runs=runs, seed=seed, hostile=hostile),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=2,
        )
    )
    asyncio.run(_serve(server, listener, until_stdin_closes))
    return ExitCode.DONE


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=128)
    except (OSError, OverflowError) as error:
        raise RuntuiError(
            f"Port {port} cannot be used", f"{error}.", "Name another with --port, or 0 for any that is free."
        ) from error


class _Server(uvicorn.Server):
    """uvicorn's server, which says where it is and ends well when it is told to."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then say so."""
        await super().startup(sockets)
        if sockets and self.started:
            host, port = sockets[0].getsockname()
            print(json.dumps({"root": f"http://{host}:{port}/beta", "pid": os.getpid()}), flush=True)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGTERM and SIGINT. uvicorn would raise them again at its end: the process would seem killed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """End after the requests that are being answered."""
        self.should_exit = True


async def _serve(server: _Server, listener: socket.socket, until_stdin_closes: bool) -> None:
    if until_stdin_closes:
        loop = asyncio.get_running_loop()
        # A thread, because standard input may be a file, which no event loop can watch.
        threading.Thread(target=_wait_for_end_of_input, args=(loop, server), daemon=True).start()
    await server.serve(sockets=[listener])


def _wait_for_end_of_input(loop: asyncio.AbstractEventLoop, server: _Server) -> None:
    try:
        while os.read(_STDIN, 4096):
            pass
    except OSError:
        pass  # no standard input at all: whoever held it is gone
    loop.call_soon_threadsafe(server.stop)
