"""A sandbox that requires a sign-in, its sign-in authority over TLS, and runtui in processes of its own.

Invariant: a process gets only the environment that is written here, nothing of the machine's; none outlives its test.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from runtui.sandbox.app import create_app
from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION, Application, Directory
from runtui.services.store.store import Store
from tests import PATIENCE, canary, there
from tests.contract.authority_server import serve_authority
from tests.contract.loopback import loopback
from tests.contract.msal_apps import DAEMON, DAEMON_ID
from tests.contract.scripted_authority import ScriptedAuthority
from tests.forked import forking

CHECKOUT: Final = Path(__file__).resolve().parents[2]
RUNTUI: Final = (sys.executable, "-m", "runtui")


@dataclass(frozen=True)
class Ran:
    """The result of a command: its exit code and its output."""

    code: int
    out: str
    err: str


class Started:
    """A running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._said = ""

    async def says(self, words: str) -> str:
        """Wait until the command has written these words to standard error; return their line."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stderr.readline()).decode():
                self._said += line
                if words in line:
                    return line
        raise AssertionError(f"{words!r} was not said: {self._said}")

    def types(self, text: str) -> None:
        there(self.process.stdin).write(f"{text}\n".encode())

    async def ends(self) -> Ran:
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ran(self.process.returncode, out.decode(), self._said + err.decode())


class Place:
    """One person's home, with a profile `demo` (device code) and `nightly` (a program with a secret)."""

    def __init__(self, app: Starlette, authority: ScriptedAuthority, root: str, ca_file: Path, folder: Path) -> None:
        self.app = app
        self.authority = authority
        self.root = root
        self.state = folder / "state"
        self.variables: dict[str, str] = {}
        """The other variables in the environment of every process."""
        self._ca_file = ca_file
        self._folder = folder
        self._profiles: list[str] = []
        self.profile("demo", client_id=DEMO_APPLICATION.client_id, sign_in="device-code")
        self.profile("nightly", client_id=DAEMON_ID, sign_in="secret")

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self._folder),
            "PYTHONPATH": str(CHECKOUT),
            "RUNTUI_STATE": str(self.state),
            "RUNTUI_CONFIG": str(self._folder / "config.toml"),
            **self.variables,
        }

    def profile(self, name: str, **choices: str) -> None:
        """Add a profile to config.toml."""
        common = {
            "root": self.root,
            "authority": self.authority.base,
            "ca-file": str(self._ca_file),
            "tenant-id": self.authority.directory.tenant_id,
        }
        lines = (f'{key.replace("_", "-")} = "{value}"\n' for key, value in (common | choices).items())
        self._profiles.append(f"[profiles.{name}]\n{''.join(lines)}")
        (self._folder / "config.toml").write_text('default-profile = "demo"\n' + "\n".join(self._profiles))

    @asynccontextmanager
    async def started(
        self, *arguments: str, stdin: int = asyncio.subprocess.PIPE, **environ: str
    ) -> AsyncIterator[Started]:
        """Start a command that runs until the block ends."""
        async with self.process(*RUNTUI, *arguments, stdin=stdin, **environ) as process:
            yield Started(process)

    @asynccontextmanager
    async def process(
        self, *command: str, stdin: int = asyncio.subprocess.DEVNULL, **environ: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        with forking():
            process = await asyncio.create_subprocess_exec(
                *command, env=self.environ | environ, stdin=stdin, stdout=pipe, stderr=pipe, cwd=self._folder
            )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def runtui(self, *arguments: str, **environ: str) -> Ran:
        """Run a command to its end, without a terminal and with empty standard input."""
        async with self.started(*arguments, stdin=asyncio.subprocess.DEVNULL, **environ) as command:
            return await command.ends()

    async def signs_in(self) -> Ran:
        """Sign in by device code, as a person who types the code at once."""
        self.authority.auto_approve(DEMO_ADMIN, polls=1)
        return await self.runtui("login")

    @property
    def caches(self) -> list[Path]:
        """The files that hold tokens."""
        return sorted(self.state.glob("tokens-*.json")) if self.state.exists() else []


def leave_a_run(store_file: Path) -> None:
    """Put a run of another account into a store."""
    store = Store(store_file)
    store.put_workflows([{"id": "w"}])
    store.put_runs("w", [{"id": "of another account"}], store.next_listing())
    store.close()


@asynccontextmanager
async def sign_in_place(folder: Path, *, scenario: str = "none", **changes: object) -> AsyncIterator[Place]:
    """Serve everything; `changes` modify the registration of the program DAEMON."""
    app = create_app(runs=30, scenario=scenario)
    daemon: Application = replace(DAEMON, **{"secret": canary.SECRET} | changes)  # type: ignore[arg-type]
    try:
        async with loopback(app) as root:
            directory = Directory(resource=root.removesuffix("/beta"), applications=(DEMO_APPLICATION, daemon))
            async with serve_authority(directory=directory) as served:
                served.authority.devices.interval = 1
                app.state.authority = served.authority
                yield Place(app, served.authority, root, served.ca_file, folder)
    finally:
        app.state.database.close()
