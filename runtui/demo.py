"""`runtui demo`: the sandbox as a process of its own, and the terminal UI on it.

Invariant: the sandbox starts before anything else is imported, and never outlives the screen: it ends when its
standard input closes, however this process went.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtui.errors import RuntuiError, UsageError
from runtui.settings import Settings, SignInSettings

if TYPE_CHECKING:
    from runtui.auth.tokens import TokenSource

_BEARER: Final = "any-token-will-do"
"""Long enough to be scrubbed as a real one: the demo of an echo shows what would happen to it."""


ENVIRONMENT: Final = (
    *("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONUTF8", "PYTHONWARNINGS"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
"""What the sandbox gets of this process's environment: what Python needs, and no token or secret."""


class SandboxProcess:
    """The sandbox server beside us.

    Once `root` has answered, `scenarios` holds the name and the summary of each way in which it can behave, `scenario`
    the name of the one in force, and `authority` where its own sign-in is, if it has one.
    """

    def __init__(self, *, runs: int, seed: int, hostile: bool, scenario: str = "none", sign_in: bool = False) -> None:
        self.scenarios: dict[str, str] = {}
        self.scenario = scenario
        self.authority = ""
        self._turn = threading.Lock()
        command = [sys.executable, "-m", "runtui", "sandbox", "--until-stdin-closes", "--scenario", scenario]
        command += ["--runs", str(runs), "--seed", str(seed), *(["--hostile"] if hostile else [])]
        command += ["--sign-in"] if sign_in else []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        )

    async def root(self) -> str:
        """The Graph root, once the server takes requests.

        Raises:
            RuntuiError: when it ended instead.
        """
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            line = await asyncio.to_thread(self._process.stdout.readline)
        except asyncio.CancelledError:
            self._process.terminate()  # the thread reads until there is nobody to write
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
        """Let the server behave like this from its next request on; returns once it does.

        Raises:
            UsageError: it has no such scenario.
            RuntuiError: it is gone.
        """
        answer = await asyncio.to_thread(self._ask, name)
        if "scenario" not in answer:
            raise UsageError("The scenario stays as it was", answer["error"])
        self.scenario = answer["scenario"]

    def _ask(self, name: str) -> dict[str, Any]:
        """Send the server a line and read the one that it answers; one thread at a time, so that they stay in step."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - pipes were asked for
        assert stdout is not None  # noqa: S101
        with self._turn:
            try:
                # Past the buffer: what could not be written must not stay there, to fail again when it is closed.
                os.write(stdin.fileno(), " ".join(name.split()).encode() + b"\n")
                line = stdout.readline()
            except (OSError, ValueError):  # it has ended, or `stop` has closed the pipes
                line = b""
        if not line:
            raise RuntuiError("The sandbox has ended", "It takes no scenario any more.", "Start the demo again.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the server, if it is still there."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def run_demo(
    settings: Settings, *, runs: int, seed: int, hostile: bool, scenario: str = "none", sign_in: bool = False
) -> int:
    """Open the terminal UI on a sandbox of its own; both are gone afterwards, data and all.

    Args:
        settings: This session's choices.
        runs: How many runs the sandbox has.
        seed: Which ones.
        hostile: Whether they attack terminals.
        scenario: How it behaves at first.
        sign_in: Whether it wants people to sign in, as a real tenant does.
    """
    sandbox = SandboxProcess(runs=runs, seed=seed, hostile=hostile, scenario=scenario, sign_in=sign_in)
    try:
        from runtui.session import open_session

        with tempfile.TemporaryDirectory(prefix="runtui-demo-") as folder:
            if sign_in:
                settings = replace(settings, sign_in=_sign_in_settings(settings))
            token = _token(settings, sandbox)
            return open_session(settings, Path(folder) / "runs.db", token, sandbox.root, sandbox)
    finally:
        sandbox.stop()


def _sign_in_settings(settings: Settings) -> SignInSettings:
    """How people sign in to the sandbox: by a device code, and nothing of it outlives the demo."""
    from runtui.sandbox.authority.directory import DEMO_APPLICATION, Directory
    from runtui.sandbox.authority.service import AUTHORITY_BASE

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

        return StaticToken(_BEARER)
    from runtui.auth.signin import SignIn
    from runtui.graph.sign_in_http import DemoSignInHttp
    from runtui.sandbox.authority.directory import Directory

    name = settings.sign_in.authority
    return SignIn(
        settings.sign_in,
        root=f"{Directory().resource}/beta",
        state_folder=settings.state_folder,
        http=lambda: DemoSignInHttp(name, sandbox.authority),
    )
