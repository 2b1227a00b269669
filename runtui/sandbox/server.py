"""The sandbox as a process: it listens on a loopback port, and reads names of scenarios from standard input.

Invariant: standard output has only JSON lines: the first when connections are accepted, then one for each line of
standard input. The server listens on 127.0.0.1, and answers only requests whose Host is a name of this machine.
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
from io import FileIO
from select import select
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from runtui.unused_modules import without_unused

with without_unused("uvicorn"):
    from starlette.applications import Starlette
    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Mount, Route, Router
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.config import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import Server

from runtui.domain.times import now_ticks
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.sandbox.app import create_app
from runtui.sandbox.errors import GraphError
from runtui.sandbox.scenarios import summaries

if TYPE_CHECKING:
    from runtui.sandbox.authority.service import Authority

HOST: Final = "127.0.0.1"
AUTHORITY_PATH: Final = "/authority"
"""The path of the authority beside Graph's /beta and /v1.0."""

_LARGEST_FORM: Final = 262_144
"""In bytes. An assertion with a chain of certificates has some ten thousand."""

_STDIN: Final = 0
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes a close a reset."""


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
    """Serve a new tenant on a loopback port (0: any free one) until SIGTERM or SIGINT. With `until_stdin_closes`, also
    stop when standard input ends because the parent process has.

    Each line of standard input is the name of a scenario to switch to. With `sign_in` the sandbox accepts only tokens
    of its own authority, which is served at the same address. The other arguments are as for `create_app`.

    Raises:
        RuntuiError: the port cannot be used.
        UsageError: there is no such scenario, or it needs a sign-in.
    """
    authority = None
    if sign_in:
        from runtui.sandbox.authority.service import Authority

        authority = Authority()
    app = create_app(runs=runs, seed=seed, hostile=hostile, scenario=scenario, authority=authority)
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address
        hint = "Set another --port, or 0 for any that is free."
        raise RuntuiError(f"Port {port} cannot be used", f"{reason}.", hint) from error
    asyncio.run(_Server(app, authority, until_stdin_closes).serve(sockets=[listener]))
    return ExitCode.DONE


def server_config(app: ASGIApp) -> Config:
    return Config(
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
        # Longer than a client keeps an idle connection: httpx keeps it for 5 s, and uvicorn's default is 5 s too.
        timeout_keep_alive=75,
    )


def host_guard(app: ASGIApp) -> ASGIApp:
    """ASGI middleware: answer 421 unless the Host of a request is a name of this machine, with the right port.

    A web page can point a name of its own at 127.0.0.1 and then read responses from here (DNS rebinding). Its browser
    still sends that name as the Host.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        names = [f"{host}:{scope['server'][1]}" for host in (HOST, "localhost")]
        let_in = app
        if (named := Headers(scope=scope).get("host", "")).lower() not in names:
            message = f"The Host header is {named!r}; this sandbox answers to {' and '.join(names)}."
            refusal = GraphError(421, "MisdirectedRequest", message)
            let_in = JSONResponse(refusal.body("", "", now_ticks()), refusal.status)
        await let_in(scope, receive, send)

    return answer


def create_authority_app(authority: Authority) -> Starlette:
    """Make an ASGI app of an authority. A form from the app's own address counts as one from the authority's `base`."""

    async def answer(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_FORM:
                return PlainTextResponse("The form is too large.", 413)
        text = body.decode(errors="replace") if request.method == "POST" else request.url.query
        form = dict(parse_qsl(text, keep_blank_values=True))
        headers = dict(request.headers)
        if headers.get("origin") == f"{request.url.scheme}://{headers.get('host')}":
            headers["origin"] = authority.base
        return authority.handle(request.method, f"/{request.path_params['path']}", headers, form)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def with_authority(graph: ASGIApp, authority: Authority) -> ASGIApp:
    """Return an app of both: the authority answers paths below `AUTHORITY_PATH`, Graph all others.

    Exceptions of Graph pass through, because a scenario breaks connections with them.
    """
    return Router([Mount(AUTHORITY_PATH, create_authority_app(authority)), Mount("/", graph)])


class BreakableProtocol(H11Protocol):
    """HTTP/1.1 on a connection that the app can break.

    If the app raises ConnectionResetError, the connection is reset; any other ConnectionError closes it in the middle
    of the response.
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
            # Until uvicorn notices the disconnect, it would answer 500, or log that the response is incomplete.
            while (await receive())["type"] != "http.disconnect":
                pass


class _Server(Server):
    """A uvicorn server that prints its address, switches scenarios, and exits with 0 when it is told to stop."""

    def __init__(self, graph: Starlette, authority: Authority | None, until_stdin_closes: bool) -> None:
        super().__init__(server_config(host_guard(graph if authority is None else with_authority(graph, authority))))
        self._scenario = graph.state.scenario
        self._has_sign_in = authority is not None
        self._until_stdin_closes = until_stdin_closes

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then print the address, then start to read standard input."""
        await super().startup(sockets)
        if sockets and self.started:
            host, port = sockets[0].getsockname()
            _print_line(
                root=f"http://{host}:{port}/beta",
                pid=os.getpid(),
                scenario=self._scenario.current.name,
                scenarios=summaries(),
                authority=f"http://{host}:{port}{AUTHORITY_PATH}" if self._has_sign_in else "",
            )
            # A background job may not read the terminal: without this the system would stop the process.
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
            # A thread, because an event loop cannot watch standard input if it is a file.
            asked = (asyncio.get_running_loop(), self, self._until_stdin_closes)
            threading.Thread(target=_read_commands, args=asked, daemon=True).start()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGTERM and SIGINT. uvicorn would raise them again, and the process would seem to be killed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        self.should_exit = True

    def use_scenario(self, name: str) -> None:
        try:
            self._scenario.use(name)
        except UsageError as error:
            _print_line(error=str(error))
        else:
            _print_line(scenario=name)


def _print_line(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def _read_commands(loop: asyncio.AbstractEventLoop, server: _Server, until_stdin_closes: bool) -> None:
    try:
        for line in _lines_of_input():
            loop.call_soon_threadsafe(server.use_scenario, line)
        if until_stdin_closes:
            loop.call_soon_threadsafe(server.stop)
    except RuntimeError:
        pass  # the loop is closed: the server has ended


def _lines_of_input() -> Iterator[str]:
    """Yield the lines of standard input that are not blank, as they arrive."""
    if sys.stdin is None:
        return  # descriptor 0 may be another file
    try:
        # Unbuffered: this thread would hold the lock of a buffer, and the interpreter could not end.
        with FileIO(_STDIN, closefd=False) as lines:
            yield from (line.decode(errors="replace").strip() for line in lines if line.strip())
    except OSError:
        pass  # it cannot be read: the same as its end


def _serve_demo() -> int:
    """Serve the tenant that the first line of standard input describes, as JSON. Without a line, serve nothing.

    Remove the folder that the line names at the end, if the process that made it has ended too.
    """
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: the lines after it are for `_read_commands`
        if not (byte := os.read(_STDIN, 1)):
            return ExitCode.DONE
        line += byte
    asked = json.loads(line)
    folder = asked.pop("folder")
    try:
        return main(port=0, until_stdin_closes=True, **asked)
    finally:
        if select([_STDIN], [], [], 0)[0] and not os.read(_STDIN, 1):
            from shutil import rmtree

            rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(_serve_demo())
