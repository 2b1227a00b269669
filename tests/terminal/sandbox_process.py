"""A sandbox in a process of its own, for programs in other processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.forked import Forked

CHECKOUT = str(Path(__file__).resolve().parents[2])


class SandboxProcess:
    """A running sandbox; `root` is its root."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.root = str(self._says()["root"])

    def behave(self, scenario: str) -> None:
        """Switch to another scenario."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{scenario}\n")
        self.process.stdin.flush()
        assert self._says()["scenario"] == scenario

    def _says(self) -> dict[str, object]:
        assert self.process.stdout is not None
        said: dict[str, object] = json.loads(self.process.stdout.readline())
        return said


@contextmanager
def sandbox_process(
    scenario: str = "none", env: Mapping[str, str] | None = None, runs: int = 30, *, is_forked: bool = False
) -> Iterator[SandboxProcess]:
    """Start a sandbox and stop it at the end. Without `is_forked` it is a new process, for measurements."""
    command = [sys.executable, "-m", "runtui", "sandbox", "--runs", str(runs), "--scenario", scenario]
    start: type[subprocess.Popen[str]] = Forked if is_forked else subprocess.Popen
    with start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT, env=env, text=True) as process:
        try:
            yield SandboxProcess(process)
        finally:
            process.terminate()
