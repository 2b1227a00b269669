"""Processes that start with all modules loaded: like `python -m MODULE`, in a third of the time.

One process for each test worker loads runtui, and forks for every order. The result is like a process that a shell
starts, except for the order in which modules are loaded and the command that `ps` shows. Tests of the start itself (the
first rows, keys in the first second, arguments without a secret) use processes that start as a person starts them.

Only Linux can give the child of one process to another; on other systems every process starts in full.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import inspect
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from platform import system
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
CAN_FORK: Final = system() == "Linux"
LONGEST_ORDER: Final = 200_000
"""In bytes; a packet of a Unix socket holds a little more."""

SET_CHILD_SUBREAPER: Final = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): this process becomes the parent of its descendants' orphans."""

_Popen: Final = subprocess.Popen
"""The original: `forking` may replace it by `Forked` before the first process is forked."""


class Forked(subprocess.Popen[Any]):
    """A `subprocess.Popen` that forks the process if its command is a module for this Python."""

    def _execute_child(self, *values: Any) -> None:
        in_full = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(in_full).bind(*values).arguments
        command = [os.fspath(word) for word in given["args"]]
        if not CAN_FORK or command[:2] != [sys.executable, "-m"]:
            in_full(*values)
            return
        order = {
            "arguments": command[2:],
            "folder": os.fspath(given["cwd"] or Path.cwd()),
            "environ": dict(os.environ if given["env"] is None else given["env"]),
            "is_leader": given["start_new_session"],
        }
        pipes = [given[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        inherited = enumerate((pipes[0], pipes[3], pipes[5]))
        self.pid = self._fork(order, [number if pipe == -1 else pipe for number, pipe in inherited])
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _fork(self, order: dict[str, Any], streams: list[int]) -> int:
        """Fork a process with these descriptors as its standard streams. Return its pid; it is our child."""
        line, prctl = forker()
        prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(line, [json.dumps(order).encode()], streams)
            return int(line.recv(32))
        finally:
            prctl(SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class Offspring(Forked):
    """A process that a forked process starts, such as the sandbox of the demo; it has all modules loaded too."""

    def _fork(self, order: dict[str, Any], streams: list[int]) -> int:
        pid = os.fork()
        if not pid:
            try:
                become(streams, **order)
            finally:
                end_at_once()
                os._exit(1)
        return pid


_forking: Final[list[None]] = []


@contextmanager
def forking() -> Iterator[None]:
    """Within this context, asyncio forks the processes that it starts; contexts may overlap."""
    _forking.append(None)
    subprocess.Popen = Forked  # type: ignore[misc]
    try:
        yield
    finally:
        _forking.pop()
        if not _forking:
            subprocess.Popen = _Popen  # type: ignore[misc]


def run(*command: str, **how: Any) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end with empty standard input, and capture its output."""
    with Forked(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@cache
def forker() -> tuple[socket.socket, Any]:
    """Return the socket to the process that forks, and `prctl`. That process ends when this process ends."""
    line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with other:
        environ = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        command = (sys.executable, "-m", "tests.forked", str(other.fileno()))
        no_input = subprocess.DEVNULL
        process = _Popen(command, stdin=no_input, cwd=ROOT, env=environ, pass_fds=[other.fileno()])
    atexit.register(process.wait)
    atexit.register(line.close)  # which ends the process, and comes first
    return line, ctypes.CDLL(None).prctl


# The other side: one process that forks, and its children.


def main() -> None:
    """Load runtui, then fork for every order. The child carries out the order and ends like any other process."""
    atexit.register(end_at_once)
    load()
    line = socket.socket(fileno=int(sys.argv[1]))
    while True:
        order, streams, _, _ = socket.recv_fds(line, LONGEST_ORDER, 3)
        if not order:
            return
        told, tell = os.pipe()
        between = os.fork()
        if not between:
            # Forked twice: when its parent ends, the process becomes a child of the one that gave the order.
            child = os.fork()
            if not child:
                line.close()
                become(streams, **json.loads(order))
                return
            os.write(tell, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)
        line.send(os.read(told, 32))
        for descriptor in (told, tell, *streams):
            os.close(descriptor)


def load() -> None:
    """Import all of runtui, and the modules that it imports only when it needs them."""
    import runtui
    from runtui.graph.network import load_httpx

    load_httpx()
    for module in pkgutil.walk_packages(runtui.__path__, "runtui."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    import_module("uvicorn.protocols.http.h11_impl")
    gc.collect()
    gc.freeze()


def become(streams: list[int], *, arguments: list[str], folder: str, environ: dict[str, str], is_leader: bool) -> None:
    """Run a module as the main program, with these streams, folder and environment."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, max(streams) + 32)
    if is_leader:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    subprocess.Popen = Offspring  # type: ignore[misc]
    sys.argv = arguments
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            exit_codes.append(end.code)
        raise


exit_codes: Final[list[int]] = []
"""The exit code of this process, as soon as it is known."""


def end_at_once() -> None:
    """End the process without tearing down every module."""
    if exit_codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_codes[-1])


if __name__ == "__main__":
    main()
