"""`runtui demo`: runs the sandbox in a separate process, and the terminal UI on it.

Invariant: the sandbox starts before the rest of the session is imported, and never outlives this process: it ends when
its standard input closes, and leaves nothing of the demo on disk.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from runtui.errors import RuntuiError, UsageError

if TYPE_CHECKING:
    from runtui.auth.tokens import TokenSource
    from runtui.command_line import CommandLine
    from runtui.settings import Settings, SignInSettings

_BEARER: Final = "any-token-will-do"
"""The demo's token, long enough to be redacted: the echo scenario shows what would happen to a real one."""

ENVIRONMENT: Final = (
    *("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONUTF8", "PYTHONWARNINGS"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
"""The variables passed to the sandbox: those that Python needs, no token or secret."""


class SandboxProcess:
    """The sandbox server as a child process.

    Once `root` has returned, `scenarios` maps each scenario's name to its summary, `scenario` is the name of the
    current one, and `authority` the address of its sign-in service, if it has one.
    """

    def __init__(self) -> None:
        """Start the process, which loads the server and waits for `serve`."""
        self.scenarios: dict[str, str] = {}
        self.scenario = "none"
        self.authority = ""
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runtui.sandbox.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - they are pipes
        self._stdin, self._stdout = stdin, stdout

    def serve(self, folder: str, *, scenario: str = "none", **tenant: Any) -> None:
        """Let it serve a tenant, see `sandbox.server.main`; it removes `folder` if this process is killed."""
        self.scenario = scenario
        asked = {"folder": folder, "scenario": scenario, **tenant}
        with suppress(OSError):  # it has ended; `root` says why
            os.write(self._stdin.fileno(), json.dumps(asked).encode() + b"\n")

    async def root(self) -> str:
        """Wait until the server accepts requests, and return the Graph root.

        Raises:
            RuntuiError: The server ended instead.
        """
        import asyncio  # the server starts meanwhile

        try:
            line = await asyncio.to_thread(self._stdout.readline)
        except asyncio.CancelledError:
            self._process.terminate()  # ends the read in the thread
            raise
        if line:
            ready = json.loads(line)
            self.scenarios, self.scenario, self.authority = ready["scenarios"], ready["scenario"], ready["authority"]
            return str(ready["root"])
        self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntuiError("The sandbox did not start", last, "Try it alone: runtui sandbox.")

    async def use_scenario(self, name: str) -> None:
        """Simulate a scenario from the next request on; return once the server has switched.

        Raises:
            UsageError: There is no such scenario.
            RuntuiError: The server has ended.
        """
        import asyncio

        answer = await asyncio.to_thread(self._ask, name)
        if "scenario" not in answer:
            raise UsageError("The scenario stays as it was", answer["error"])
        self.scenario = answer["scenario"]

    def _ask(self, name: str) -> dict[str, Any]:
        """Send the server a line and read its reply; one thread at a time, so that replies match."""
        with self._lock:
            try:
                # Unbuffered, so that closing the pipe does not repeat a failed write.
                os.write(self._stdin.fileno(), " ".join(name.split()).encode() + b"\n")
                line = self._stdout.readline()
            except (OSError, ValueError):  # it has ended, or `stop` has closed the pipes
                line = b""
        if not line:
            raise RuntuiError("The sandbox has ended", "The scenario cannot be changed.", "Restart the demo.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        for pipe in (self._stdin, self._stdout):
            pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


@cache
def loading_sandbox() -> SandboxProcess:
    """Return this process's sandbox. The first call starts it, as soon as the command line is known to be a demo."""
    return SandboxProcess()


def demo(line: CommandLine, *, runs: int, seed: int, hostile: bool, scenario: str, sign_in: bool) -> int:
    """Run the terminal UI on a new sandbox, whose data is deleted afterwards; return the exit code.

    Of config.toml only `[keys]` applies; for the other arguments see `sandbox.server.main`.

    Raises:
        UsageError: An option or a key of config.toml is invalid, or the scenario needs a sign-in.
    """
    if scenario != "none":
        from runtui.sandbox.scenarios import check_sign_in, scenario_named

        check_sign_in(scenario_named(scenario), has_sign_in=sign_in)
    try:
        sandbox = loading_sandbox()
    except FileNotFoundError as error:
        reason = f"{error.strerror}."
        raise RuntuiError("The sandbox cannot be started", reason, "Set TMPDIR to a folder of your own.") from error
    gc.disable()  # nothing loaded before the first rows is garbage
    try:
        with tempfile.TemporaryDirectory(prefix="runtui-demo-") as folder:
            sandbox.serve(folder, runs=runs, seed=seed, hostile=hostile, scenario=scenario, sign_in=sign_in)
            from pathlib import Path

            from runtui.command_line import SessionSpec
            from runtui.config import read_config
            from runtui.keys.actions import remap
            from runtui.session import open_session
            from runtui.settings import config_path

            remap(read_config(config_path()).checked_keys())
            settings = line.demo_settings()
            if sign_in:
                settings = settings._replace(sign_in=_sign_in_settings(settings))
            token = _token(settings, sandbox)
            spec = SessionSpec(settings=settings, store=Path(folder) / "runs.db", token=token, root=sandbox.root)
            return open_session(spec, sandbox)
    finally:
        loading_sandbox.cache_clear()
        sandbox.stop()


def _sign_in_settings(settings: Settings) -> SignInSettings:
    """Return settings for the sandbox's sign-in: a device code, and tokens in memory only."""
    from runtui.sandbox.authority.directory import DEMO_APPLICATION, Directory
    from runtui.sandbox.authority.service import AUTHORITY_BASE
    from runtui.settings import SignInSettings

    return SignInSettings(
        method="device-code",
        tenant_id=Directory().tenant_id,
        client_id=DEMO_APPLICATION.client_id,
        authority=AUTHORITY_BASE,
        token_cache="memory",  # noqa: S106 - a place, not a secret
        write=not settings.read_only,
    )


def _token(settings: Settings, sandbox: SandboxProcess) -> TokenSource:
    if settings.sign_in is None:
        from runtui.auth.tokens import StaticToken
        from runtui.keys.actions import key_of

        return StaticToken(_BEARER, f"The sandbox simulates it; {key_of('simulate')} chooses what to simulate.")
    from runtui.auth.msal_client import MsalClient
    from runtui.auth.signin import SignIn
    from runtui.graph.sign_in_http import DemoSignInHttp
    from runtui.sandbox.authority.directory import Directory

    name = settings.sign_in.authority
    client = MsalClient(
        settings.sign_in,
        root=f"{Directory().resource}/beta",
        state_folder=settings.state_folder,
        http=lambda: DemoSignInHttp(name, sandbox.authority),
    )
    return SignIn(client)
