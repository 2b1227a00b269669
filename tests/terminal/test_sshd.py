"""A real sshd whose connection drops during a draft, a review or a change: nothing is lost, no process is left behind,
and the next start tells the truth.

The sandbox in this process knows what was applied, and delays an answer for as long as a test wants.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette

from runtui.domain.report import Outcome
from runtui.domain.times import parse_ticks
from runtui.sandbox.app import create_app
from runtui.services.records.journal import Entry, Journal
from runtui.settings import JOURNAL_FILE
from tests import PATIENCE, canary
from tests.contract.loopback import loopback
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.sandbox_process import CHECKOUT
from tests.terminal.test_session import RUNTUI

SSHD: Final = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
TYPED: Final = "7 of them, I think"
COUNT: Final = 4_711

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        SSHD is None or shutil.which("ssh") is None, reason="there is no sshd: openssh-server is not installed"
    ),
    pytest.mark.skipif(
        os.geteuid() == 0 and not Path("/run/sshd").is_dir(), reason="as root, sshd wants the folder /run/sshd"
    ),
]


class Host:
    """This machine as an SSH server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.state = folder / "state"
        self._pid = folder / "pid"
        for name in ("host_key", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "key.pub", folder / "authorized_keys")
        (folder / "sshd_config").write_text(
            f"HostKey {folder}/host_key\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPermitRootLogin yes\nPrintMotd no\n"
        )

    def runtui(self, root: str) -> PtyProbe:
        """Start the terminal UI over a new connection."""
        variables = {"RUNTUI_STATE": self.state, "RUNTUI_TOKEN": canary.TOKEN, "PYTHONPATH": CHECKOUT,
                     "LANG": "C.UTF-8", "COLORTERM": "truecolor"}  # fmt: skip
        words = ["env", *(f"{name}={value}" for name, value in variables.items()), *RUNTUI, "--root", root]
        remote = f"echo $$ > {shlex.quote(str(self._pid))}; exec {shlex.join(words)}"
        options = [f"-oIdentityFile={self._folder}/key", "-oIdentitiesOnly=yes", "-oStrictHostKeyChecking=no",
                   f"-oUserKnownHostsFile={self._folder}/known_hosts", "-oLogLevel=ERROR"]  # fmt: skip
        # Each connection has a server of its own on a pipe, so that no port has to be free.
        options.append(f"-oProxyCommand={SSHD} -i -f {self._folder}/sshd_config")
        command = ["ssh", "-F", "none", "-tt", *options, f"{getpass.getuser()}@127.0.0.1"]
        return PtyProbe([*command, remote], columns=120, rows=30)

    @property
    def pid(self) -> int:
        """The process at the other end."""
        return int(self._pid.read_text())

    def is_running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def entries(self) -> list[Entry]:
        journal = Journal(self.state / JOURNAL_FILE)
        try:
            return journal.entries()
        finally:
            journal.close()


class Service:
    """The sandbox; changes wait until they are released."""

    def __init__(self) -> None:
        now = parse_ticks("2026-11-20T10:00:00Z")
        self.arrived, self.let_go = asyncio.Event(), asyncio.Event()
        self.app: Starlette = create_app(runs=30, scenario="slow", clock=lambda: now, pause=self._hold)

    async def _hold(self, _seconds: float) -> None:
        self.arrived.set()
        await self.let_go.wait()

    @property
    def applied(self) -> list[dict[str, Any]]:
        return [write.body for write in self.app.state.applied]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    yield service
    service.app.state.database.close()


def drop_client(terminal: PtyProbe, _host: Host) -> None:
    """Kill the client, as when a laptop disappears."""
    terminal.process.send_signal(signal.SIGKILL)


def drop_server(_terminal: PtyProbe, host: Host) -> None:
    """Kill the server process that holds the connection, and with it the terminal."""
    stat = Path(f"/proc/{host.pid}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)


Drop = Callable[[PtyProbe, Host], None]
DROPS: Final = [drop_client, pytest.param(drop_server, marks=pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="it finds the process in /proc"))]  # fmt: skip


def open_form(terminal: PtyProbe) -> None:
    terminal.wait_for("30 runs.*as of")
    terminal.press("G", "e")
    terminal.wait_for("(?m)^(╭─)? Edit ")
    for _ in range(6):
        terminal.press("down")
    terminal.wait_for("How many users the run is for")


async def gone(host: Host) -> None:
    async with asyncio.timeout(PATIENCE):
        while host.is_running():  # noqa: ASYNC110 - no event tells of a process that is not our child
            await asyncio.sleep(0.05)


async def drop_while(at: Callable[[PtyProbe], None], drop: Drop, host: Host, root: str) -> None:
    """Use runtui over SSH up to a moment, then lose the connection."""

    def use() -> None:
        with host.runtui(root) as terminal:
            at(terminal)
            drop(terminal, host)

    await asyncio.to_thread(use)


async def see(host: Host, root: str, look: Callable[[PtyProbe], None]) -> None:
    """Start runtui over SSH again, check what it shows, and quit."""

    def use() -> None:
        with host.runtui(root) as terminal:
            look(terminal)
            terminal.press("q")
            assert terminal.wait_for_exit() == 0

    await asyncio.to_thread(use)
    assert not host.is_running()


@pytest.mark.parametrize("drop", DROPS)
async def test_a_line_that_drops_in_the_draft_loses_no_letter(drop: Drop, host: Host, service: Service) -> None:
    def type_something(terminal: PtyProbe) -> None:
        open_form(terminal)
        terminal.type(TYPED)
        terminal.wait_for(TYPED)

    def find_it(terminal: PtyProbe) -> None:
        terminal.wait_for("1 draft kept; ")
        terminal.press("G", "e")
        terminal.wait_for(TYPED)
        terminal.press("esc")
        terminal.wait_for("The draft is kept")

    async with loopback(service.app) as root:
        await drop_while(type_something, drop, host, root)
        await gone(host)
        await see(host, root, find_it)
    assert (service.applied, host.entries()) == ([], [])


def change(terminal: PtyProbe) -> None:
    """Make a change and ask for the review."""
    open_form(terminal)
    terminal.press(*["backspace"] * 8)
    terminal.type(str(COUNT))
    terminal.wait_for(str(COUNT))
    terminal.press("ctrl+s")
    terminal.wait_for("send this change")


@pytest.mark.parametrize("drop", DROPS)
async def test_a_line_that_drops_in_the_review_sends_nothing_and_keeps_the_draft(
    drop: Drop, host: Host, service: Service
) -> None:
    async with loopback(service.app) as root:
        await drop_while(change, drop, host, root)
        await gone(host)
        await see(host, root, lambda terminal: terminal.wait_for("1 draft kept; ") and None)
    assert (service.applied, host.entries()) == ([], [])


@pytest.mark.parametrize("drop", DROPS)
async def test_a_line_that_drops_while_a_change_is_sent_is_waited_for_and_recorded(
    drop: Drop, host: Host, service: Service
) -> None:
    def send(terminal: PtyProbe) -> None:
        change(terminal)
        terminal.press("y")
        asyncio.run_coroutine_threadsafe(service.arrived.wait(), loop).result(PATIENCE)

    def find_it(terminal: PtyProbe) -> None:
        terminal.wait_for("30 runs.*as of")
        assert "draft" not in terminal.text
        assert "unknown" not in terminal.text
        terminal.press("J")
        terminal.wait_for(r"done.*totalUsersCount: \d+ → 4711")
        terminal.press("esc")
        terminal.wait_for("(?m)^ Journal", gone=True)

    loop = asyncio.get_running_loop()
    async with loopback(service.app) as root:
        await drop_while(send, drop, host, root)
        assert host.is_running(), "it waits for the answer"
        service.let_go.set()
        await gone(host)
        (entry,) = host.entries()
        await see(host, root, find_it)
    assert [body["totalUsersCount"] for body in service.applied] == [COUNT]
    assert (entry.outcome, entry.known_by) == (Outcome.DONE, "answer")
    assert json.loads(entry.body)["totalUsersCount"] == COUNT
