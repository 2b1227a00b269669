"""The sandbox as a process: a loopback port, one line that says where it is, scenarios by name, a clean end.

Invariant: standard output carries JSON lines alone: the first one once connections are accepted, then one for each line
that standard input brought. It listens on 127.0.0.1 alone, and answers only who addressed it by a name of this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
import uvicorn.server
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.sandbox.app import create_app
from runtui.sandbox.authority.asgi import AUTHORITY_PATH, LOOPBACK_NAMES, GraphWithAuthority
from runtui.sandbox.authority.service import Authority
from runtui.sandbox.faults import GraphError
from runtui.sandbox.scenarios import summaries

HOST: Final = "127.0.0.1"
_STDIN: Final = 0
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER for a close that is a reset."""


def main(
    *,
    port: int,
    runs: int,
    seed: int,
    until_stdin_closes: bool,
    hostile: bool = False,
    scenario: str = "none",
    sign_in: bool = False,
) -> int:
    """Serve a freshly seeded tenant until SIGTERM or SIGINT.

    Each line of standard input is the name of a scenario to go on with.

    Args:
        port: the loopback port; 0 for any that is free.
        runs: how many runs the tenant has.
        seed: which tenant.
        until_stdin_closes: whether to stop as well when standard input ends, because whoever started this is gone.
        hostile: whether names and texts attack terminals and markup.
        scenario: how it behaves at first.
        sign_in: whether it takes the tokens of its own sign-in alone, which is served beside Graph.

    Returns:
        The exit code: 0.

    Raises:
        RuntuiError: when the port cannot be had.
        UsageError: there is no such scenario, or it needs a sign-in.
    """
    authority = Authority() if sign_in else None
    app = create_app(runs=runs, seed=seed, hostile=hostile, scenario=scenario, authority=authority)
    listener = _listen(port)
    asyncio.run(_Server(app, authority, until_stdin_closes).serve(sockets=[listener]))
    return ExitCode.DONE


def server_config(app: ASGIApp) -> uvicorn.Config:
    """How the sandbox is served over a socket."""
    return uvicorn.Config(
        app,
        http=BreakableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=128)
    except (OSError, OverflowError) as error:
        raise RuntuiError(
            f"Port {port} cannot be used", f"{error}.", "Name another with --port, or 0 for any that is free."
        ) from error


class OwnName:
    """ASGI: answers requests whose Host is a name of this machine with the port that they came in by.

    A web page can have a name of its own lead to 127.0.0.1 and then read answers from here (DNS rebinding); its browser
    still sends that name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            names = [f"{host}:{scope['server'][1]}" for host in LOOPBACK_NAMES]
            if (named := Headers(scope=scope).get("host", "")).lower() not in names:
                message = f"The Host header says {named!r}; this sandbox goes by {' and '.join(names)}."
                refusal = GraphError(421, "MisdirectedRequest", message)
                await JSONResponse(refusal.body("", ""), refusal.status)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class BreakableProtocol(H11Protocol):
    """HTTP on a connection that the app can break.

    A ConnectionResetError of the app becomes a TCP reset; any other ConnectionError ends the connection where the
    answer stands.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._whole_app = self.app
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._whole_app(scope, receive, send)
        except ConnectionError as broken:
            if isinstance(broken, ConnectionResetError):
                connection = self.transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self.transport.abort()
            else:
                self.transport.close()
            # Until uvicorn has noticed, it would answer 500, or complain that the answer is not whole.
            while (await receive())["type"] != "http.disconnect":
                pass


class _Server(uvicorn.Server):
    """uvicorn's server, which says where it is, takes scenarios, and ends well when it is told to."""

    def __init__(self, graph: Starlette, authority: Authority | None, until_stdin_closes: bool) -> None:
        super().__init__(server_config(OwnName(graph if authority is None else GraphWithAuthority(graph, authority))))
        self._scenario = graph.state.scenario
        self._has_sign_in = authority is not None
        self._until_stdin_closes = until_stdin_closes

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, say so, and only then listen to standard input."""
        await super().startup(sockets)
        if sockets and self.started:
            host, port = sockets[0].getsockname()
            _say(
                root=f"http://{host}:{port}/beta",
                pid=os.getpid(),
                scenario=self._scenario.scenario.name,
                scenarios=summaries(),
                authority=f"http://{host}:{port}{AUTHORITY_PATH}" if self._has_sign_in else "",
            )
            # A job in the background may not read the terminal: without this the whole process would be stopped.
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
            # A thread, because standard input may be a file, which no event loop can watch.
            asked = (asyncio.get_running_loop(), self, self._until_stdin_closes)
            threading.Thread(target=_obey, args=asked, daemon=True).start()

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

    def use_scenario(self, name: str) -> None:
        """Behave like this from now on, and say so; or say why not."""
        try:
            self._scenario.use(name)
        except UsageError as error:
            _say(error=str(error))
        else:
            _say(scenario=name)


def _say(**facts: Any) -> None:
    """One line on standard output."""
    print(json.dumps(facts), flush=True)


def _obey(loop: asyncio.AbstractEventLoop, server: _Server, until_stdin_closes: bool) -> None:
    """Hand every line of standard input to the server, and perhaps its end."""
    try:
        for line in _lines_of_input():
            loop.call_soon_threadsafe(server.use_scenario, line)
        if until_stdin_closes:
            loop.call_soon_threadsafe(server.stop)
    except RuntimeError:
        pass  # the loop is closed: the server has ended by itself


def _lines_of_input() -> Iterator[str]:
    """The lines of standard input that are not blank, as they come."""
    rest = b""
    try:
        # Python holds no standard input when there was none: descriptor 0 is then somebody else's.
        while sys.stdin is not None and (chunk := os.read(_STDIN, 4096)):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace").strip() for line in lines if line.strip())
    except OSError:
        pass  # it can be read no more: as good as its end
    if rest.strip():
        yield rest.decode(errors="replace").strip()
