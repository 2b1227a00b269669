"""`runtui demo`: the sandbox as a process of its own, and the terminal UI on it.

Invariant: the sandbox starts before anything else is imported, and never outlives the screen: it ends when its
standard input closes, however this process went.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from runtui.errors import RuntuiError
from runtui.settings import Settings


class SandboxProcess:
    """The sandbox server beside us."""

    def __init__(self, *, runs: int, seed: int, hostile: bool) -> None:
        command = [sys.executable, "-m", "runtui", "sandbox", "--until-stdin-closes"]
        command += ["--runs", str(runs), "--seed", str(seed), *(["--hostile"] if hostile else [])]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True
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
            return str(json.loads(line)["root"])
        self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntuiError("The sandbox did not start", last, "Try it alone: runtui sandbox.")

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


def run_demo(settings: Settings, *, runs: int, seed: int, hostile: bool) -> int:
    """Open the terminal UI on a sandbox of its own; both are gone afterwards, data and all."""
    sandbox = SandboxProcess(runs=runs, seed=seed, hostile=hostile)
    try:
        from runtui.auth.tokens import StaticToken
        from runtui.session import open_session

        with tempfile.TemporaryDirectory(prefix="runtui-demo-") as folder:
            return open_session(settings, Path(folder) / "runs.db", StaticToken("sandbox"), sandbox.root)
    finally:
        sandbox.stop()
