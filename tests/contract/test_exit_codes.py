"""The exit code of a command matches its report, even if ctrl+c comes while it closes: real processes and signals."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from tests import PATIENCE, canary
from tests.contract.conftest import WORKFLOWS, Sandbox
from tests.contract.loopback import loopback

CHECKOUT = Path(__file__).resolve().parents[2]


class Shell:
    """Starts `runtui` in processes of its own, on one state folder, with the sandbox of this process."""

    def __init__(self, root: str, folder: Path) -> None:
        self._root = root
        self._environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "RUNTUI_STATE": str(folder),
                         "RUNTUI_TOKEN": canary.TOKEN, "PYTHONUNBUFFERED": "1"}  # fmt: skip

    async def interrupted_at(self, words: str, *arguments: str) -> tuple[int, str]:
        """Send ctrl+c once, as soon as a line with these words is printed; return the exit code and all output.

        A second ctrl+c at that moment would end a program at once, wherever it is.
        """
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "runtui", *arguments, "--root", self._root)
        process = await asyncio.create_subprocess_exec(*command, env=self._environ, stdout=pipe, stderr=pipe)
        assert process.stdout is not None
        printed = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while words not in printed and (line := await process.stdout.readline()):
                    printed += line.decode()
                if process.returncode is None:
                    process.send_signal(signal.SIGINT)
                rest, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert words in printed, errors.decode()
        assert b"Traceback" not in errors
        return process.returncode or 0, printed + rest.decode()


@pytest.fixture
async def shell(sandbox_app: Starlette, tmp_path: Path) -> AsyncIterator[Shell]:
    async with loopback(sandbox_app) as root:
        yield Shell(root, tmp_path)


@pytest.fixture
async def run_and_workflow(sandbox: Sandbox) -> tuple[str, str]:
    workflow_id = (await sandbox.get(WORKFLOWS))["value"][0]["id"]
    runs = await sandbox.get(f"{WORKFLOWS}/{workflow_id}/runs", filter="processingStatus eq 'completed'")
    return runs["value"][0]["id"], workflow_id


async def test_ctrl_c_after_a_change_was_told_changes_no_exit_code(
    shell: Shell, run_and_workflow: tuple[str, str]
) -> None:
    run_id, workflow_id = run_and_workflow
    change = ("update", run_id, "--workflow", workflow_id, "--set", "failedTasksCount=77", "--yes")
    code, printed = await shell.interrupted_at("done", *change, "--json")
    assert (code, json.loads(printed)["outcome"]) == (0, "done")
    code, printed = await shell.interrupted_at("done (", "undo", "1", "--yes")
    assert (code, printed.count("\n")) == (0, 1)


async def test_ctrl_c_after_unknown_was_told_stays_unknown(
    shell: Shell, sandbox_app: Starlette, run_and_workflow: tuple[str, str]
) -> None:
    run_id, workflow_id = run_and_workflow
    sandbox_app.state.scenario.use("reset-before")
    change = ("update", run_id, "--workflow", workflow_id, "--set", "failedTasksCount=77", "--yes")
    code, _ = await shell.interrupted_at("#1 unknown", *change)
    assert code == 3


async def test_ctrl_c_after_the_last_line_of_a_list_is_not_an_interrupted_list(shell: Shell) -> None:
    code, printed = await shell.interrupted_at("\n]", "list", "--format", "json", "--filter", "status:failed")
    assert (code, bool(json.loads(printed))) == (0, True)


CTRL_C_AT_THE_END = """
import asyncio, signal
from runtui.headless.console import keep_exit_code

class Loop(asyncio.SelectorEventLoop):
    def remove_signal_handler(self, number):
        was_set = super().remove_signal_handler(number)
        signal.raise_signal(number)
        return was_set

async def work():
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, print)
    await keep_exit_code()
    signal.raise_signal(signal.SIGINT)
    return 3

with asyncio.Runner(loop_factory=Loop) as runner:
    raise SystemExit(runner.run(work()))
"""


async def test_ctrl_c_in_the_moment_in_which_its_handler_is_removed_changes_no_exit_code() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CTRL_C_AT_THE_END)
    assert await process.wait() == 3
