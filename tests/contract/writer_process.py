"""Processes that write, for tests that use one journal from several processes, or kill one of them.

`python -m tests.contract.writer_process` reads one order on each line, as JSON, and forks a process to carry it out, so
that a test needs one start of the interpreter. It prints a line when such a process has started and one when it has
ended; the process prints what it would report to its user. `Writers` is the side of the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest.mock import patch

from runtui import cli
from runtui.auth.tokens import StaticToken
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.times import now_ticks
from runtui.errors import ExitCode
from runtui.graph import client, transport  # noqa: F401 - loaded before the first fork
from runtui.headless import bulk, changes
from runtui.headless.console import narrate
from runtui.services import refresh  # noqa: F401 - loaded before the first fork
from runtui.services.records import journal as journal_module
from runtui.services.records.journal import Journal, Settlement
from runtui.services.records.journal_file import JournalError, open_journal
from runtui.services.workspace import Workspace
from runtui.services.writing import reconcile, saves  # noqa: F401 - loaded before the first fork
from runtui.services.writing.write import Save, Step
from runtui.settings import JOURNAL_FILE, Settings, store_path
from tests import PATIENCE, canary, there
from tests.forked import forking
from tests.unit.intents import intent, record_intent

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[2]
FIELD: Final = "failedTasksCount"
"""The property whose value identifies a write."""


class Written:
    """The test's view of a process that carries out one order."""

    def __init__(self, number: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.pid: asyncio.Future[int] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.reached = {step.name: asyncio.Event() for step in Step}
        """The steps of a save that it announced."""
        self.said: dict[str, Any] = {}
        """What it has reported to its user so far."""
        self.code: int | None = None
        """Its exit code once it is gone, negative for a signal."""

    async def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        pid = await self.pid
        if not self.gone.done():
            with suppress(ProcessLookupError):  # it ended by itself just now
                os.kill(pid, number)

    async def kill(self) -> None:
        """Kill it as `kill -9` does, and wait for its end."""
        await self.send(signal.SIGKILL)
        await asyncio.shield(self.gone)

    async def interrupt(self) -> None:
        """Interrupt it as ctrl+c does, and wait for its end."""
        await self.send(signal.SIGINT)
        await asyncio.shield(self.gone)


class Writers:
    """Starts writers on one state folder."""

    def __init__(self, process: Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._all: list[Written] = []

    def start(self, **order: Any) -> Written:
        """Start a process for an order: the arguments of `save`, `record`, `run_update` or `run_command`, without the
        folder."""
        assert self._process.stdin is not None
        self._all.append(Written(len(self._all)))
        line = {"writer": self._all[-1].number, "folder": str(self._folder), **order}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        return self._all[-1]

    async def kill_all(self) -> None:
        """Kill the processes that still run."""
        for writer in self._all:
            if writer.pid.done():
                await writer.kill()

    async def listen(self) -> None:
        """Read the output of the processes until all have ended."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            facts = json.loads(line)
            writer = self._all[facts.pop("writer")]
            if "pid" in facts:
                writer.pid.set_result(facts["pid"])
            elif "gone" in facts:
                writer.code = facts["gone"]
                writer.gone.set_result(None)
            elif "step" in facts:
                writer.reached[facts["step"]].set()
            else:
                writer.said |= facts


@asynccontextmanager
async def writers(folder: Path) -> AsyncIterator[Writers]:
    """Yield writers on a state folder; all have ended at the end."""
    command = (sys.executable, "-m", "tests.contract.writer_process")
    with forking():
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    started = Writers(process, folder)
    listening = asyncio.create_task(started.listen())
    try:
        yield started
    finally:
        await started.kill_all()
        assert process.stdin is not None
        process.stdin.close()
        await process.stdin.wait_closed()
        await listening
        assert await process.wait() == 0


# The other side: one process that forks, and its children


def main() -> None:
    """Fork one process for each line of standard input; at the end of the input, wait for all of them."""
    # A child process waits for each order, so that several run at the same time.
    waiting = [_attended(json.loads(line)) for line in sys.stdin]
    for pid in waiting:
        os.waitpid(pid, 0)


def _attended(order: dict[str, Any]) -> int:
    """Start the process of an order, and another that reports its start and its end. Return the pid of the latter."""
    if attendant := os.fork():
        return attendant
    pid = os.fork()
    if not pid:
        code: int = ExitCode.NOT_DONE
        try:
            code = _carry_out(order)
        except BaseException:  # noqa: BLE001 - os._exit would hide it
            traceback.print_exc()
        finally:
            os._exit(code)
    _say(writer=order["writer"], pid=pid)
    _, status = os.waitpid(pid, 0)
    _say(writer=order["writer"], gone=os.waitstatus_to_exitcode(status))
    os._exit(0)


def _carry_out(order: dict[str, Any]) -> int:
    """Carry out an order in this process; return the exit code."""
    writer, folder = order.pop("writer"), Path(order.pop("folder"))
    if "arguments" in order:
        return run_command(folder, writer, **order)
    if order.pop("is_command", False):
        return run_update(folder, writer, **order)
    if "count" in order:
        _say(writer=writer, **record(folder, **order))
    else:
        _say(writer=writer, **asyncio.run(save(folder, writer, **order)))
    return 0


def record(folder: Path, *, root: str, name: str, count: int) -> dict[str, Any]:
    """Open and settle `count` entries of one run without waiting for the disk; return their numbers."""
    vars(journal_module)["open_journal"] = lambda path, **_: open_journal(path, durable=False)
    journal = Journal(folder / JOURNAL_FILE)
    numbers = []
    for index in range(count):
        request_id = f"{name}-{index}"
        entry = intent(root=root, run_id=name, client_request_id=request_id)
        numbers.append(patiently(partial(record_intent, journal, entry)))
        patiently(partial(journal.settle, Settlement(request_id, Outcome.DONE, "answer")))
    journal.close()
    return {"numbers": numbers}


def patiently(use: Callable[[], T]) -> T:
    """Use the journal. Try again if others had it locked for too long: then nothing was recorded."""
    while True:
        try:
            return use()
        except JournalError as error:
            if "locked" not in str(error.__cause__):
                raise


async def save(
    folder: Path, writer: int, *, root: str, workflow_id: str, run_id: str, value: int, dies_at: str | None = None
) -> dict[str, Any]:
    """Write one value to one run, as a session does, and print what the user is told.

    Args:
        folder: The state folder.
        writer: The number of the process, which its lines contain.
        root: The Graph root.
        workflow_id: Whose run it is.
        run_id: Which run.
        value: What to write; no other writer writes the same.
        dies_at: The name of the step at whose announcement this process kills itself.
    """
    settings = Settings(root=root, tenant="Contoso", state_folder=folder)
    workspace = Workspace(settings, store_path(folder, root), StaticToken(canary.TOKEN))
    ends: list[Save] = []

    def follow(save: Save) -> None:
        if save.step.name == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        _say(writer=writer, step=save.step.name)
        if save.step is Step.ENDED:
            ends.append(save)

    try:
        workspace.connect(root)
        workspace.saves.changed.subscribe(follow)
        entity = there((await workspace.client.run(workflow_id, run_id)).entity)
        workspace.saves.submit(Draft(run_id, workflow_id, entity).typed(FIELD, str(value), now_ticks()))
        assert await workspace.saves.drain(PATIENCE) == 0
        (end,) = ends
        assert end.outcome is not None
        fault = end.fault.title if end.fault is not None else ""
        return {"outcome": end.outcome.value, "fault": fault, "unrecorded": bool(end.unrecorded)}
    finally:
        await workspace.close()


def run_update(
    folder: Path, writer: int, *, root: str, workflow_id: str, run_id: str, value: int, dies_at: str | None = None
) -> int:
    """Run `runtui update` as a shell does; return its exit code. The arguments are those of `save`; `dies_at` sends
    ctrl+c."""
    steps = {f"{step.value}…": step.name for step in Step}

    def follow(*lines: str) -> None:
        narrate(*lines)
        for name in filter(None, map(steps.get, lines)):
            _say(writer=writer, step=name)
            if name == dies_at:
                signal.raise_signal(signal.SIGINT)

    change = ["update", run_id, "--workflow", workflow_id, "--set", f"{FIELD}={value}", "--root", root]
    try:
        with patch.object(bulk, "narrate", follow), patch.object(changes, "narrate", follow):
            return run_command(folder, writer, arguments=[*change, "--yes", "--json"])
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        path = told_by(folder, writer)
        told = json.loads(path.read_text("utf-8") or "{}") if path.exists() else {}
        _say(writer=writer, **({"outcome": told["outcome"]} if told else {}))


def run_command(folder: Path, writer: int, *, arguments: list[str]) -> int:
    """Run `runtui` as a shell does, with its standard output in the file of `told_by`; return its exit code."""
    os.environ |= {"RUNTUI_STATE": str(folder), "RUNTUI_TOKEN": canary.TOKEN, "RUNTUI_CONFIG": os.devnull}
    # Files, because the program sets the encoding of its streams.
    with (
        told_by(folder, writer).open("w", 1, "utf-8") as printed,
        Path(os.devnull).open("w", encoding="utf-8") as unread,
        redirect_stdout(printed),
        redirect_stderr(unread),
    ):
        return cli.main(arguments)


def told_by(folder: Path, writer: int) -> Path:
    """Return the file with the output of a command of `run_command`."""
    return folder / f"told-{writer}.jsonl"


def _say(**facts: Any) -> None:
    """Print one line on standard output; it is short enough for a pipe to accept it as a whole."""
    os.write(1, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    main()
