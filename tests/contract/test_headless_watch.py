"""`runtui watch` in this process: its output over several listings, restarts, a broken connection, a command."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.console import ENDED_FROM_OUTSIDE
from runtui.headless.triage.watch import ReportedRuns, watch
from runtui.services import refresh
from runtui.settings import SignInSettings
from tests import PATIENCE
from tests.contract.headless_commands import ROOT, Commands, Out, refusing
from tests.contract.test_headless_incomplete import Forgetting

MAX_LISTINGS = 500
"""The number of listings after which a watch ends and its test fails: the expected run never came."""

Step = Callable[["Script"], Awaitable[object]]
"""Called before a listing."""


class Script(httpx.AsyncBaseTransport):
    """The sandbox, with a step before each listing from the second one on; the last step is repeated."""

    def __init__(self, commands: Commands, *steps: Step) -> None:
        self.line = commands.line
        self._steps = list(steps)
        self.listings = 0
        self.looks = 0
        """The number of times that the watch has looked for matching runs."""
        self.looked = asyncio.Condition()
        self.tasks: list[asyncio.Task[None]] = []

    async def look(self) -> None:
        async with self.looked:
            self.looks += 1
            self.looked.notify_all()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/workflows"):
            self.listings += 1
            if self.listings > MAX_LISTINGS:
                signal.raise_signal(signal.SIGTERM)
            if self._steps and self.listings > 1:
                await (self._steps.pop(0) if len(self._steps) > 1 else self._steps[0])(self)
        return await self.line.handle_async_request(request)


def after(looks: int, step: Step) -> Step:
    """Return a step that first waits until the watch has looked `looks` times for matching runs.

    By then it has reported the runs of all looks but the last.
    """

    async def wait(script: Script) -> None:
        async with asyncio.timeout(PATIENCE), script.looked:
            await script.looked.wait_for(lambda: script.looks >= looks)
        await step(script)

    return wait


def becomes(run_id: str, status: str) -> Step:
    """Change a run as somebody else."""

    async def change(script: Script) -> None:
        url, headers = f"{ROOT}/workflowBase/runs/{run_id}", {"Authorization": "Bearer any"}
        async with httpx.AsyncClient(transport=script.line, headers=headers) as client:
            await client.patch(url, json={"processingStatus": status})

    return change


async def is_cut(_script: Script) -> None:
    raise httpx.ConnectError("no route")


async def nothing(_script: Script) -> None:
    pass


async def is_ended(_script: Script) -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def commands(sandbox_app: Starlette, tmp_path: Path) -> Commands:
    return Commands(sandbox_app, tmp_path / "state")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the pause between listings, and keep the signal handlers of this process."""
    monkeypatch.setattr(refresh, "rest_seconds", lambda *_, **_failed: 0.001)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDED_FROM_OUTSIDE)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def watched(commands: Commands, *steps: Step, **choices: Any) -> int:
    facts: dict[str, Any] = {
        "filter_text": "status:failed", "interval": None, "watch_only": False, "from_start": False, "count": None,
        "program": None, "program_seconds": 60,
    }  # fmt: skip
    script, keep = Script(commands, *steps), ReportedRuns.keep

    def counted(reported: ReportedRuns, *found: Any) -> None:
        keep(reported, *found)
        script.tasks.append(asyncio.get_running_loop().create_task(script.look()))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ReportedRuns, "keep", counted)
        return watch(commands.server()._replace(wire=script), **facts | choices)


def printed(capsys: Out) -> list[str]:
    """Return the ids of the printed runs, in order."""
    return [json.loads(line)["run"]["id"] for line in capsys.readouterr().out.splitlines()]


def test_matching_runs_are_printed_first_then_new_matches(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("completed")
    assert watched(commands, nothing, after(2, is_ended)) == ExitCode.DONE
    (first,) = {len(printed(capsys))}
    assert first > 1
    steps = (
        after(1, becomes(run_id, "failed")),
        after(2, becomes(run_id, "canceled")),
        after(3, becomes(run_id, "failed")),
        nothing,
    )
    assert watched(commands, *steps, from_start=True, count=first + 2) == ExitCode.DONE
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["run"]["id"] for line in lines[first:]] == [run_id, run_id], "it left, and matched anew"
    began = [line["run"]["startedDateTime"] for line in lines[:first]]
    assert began == sorted(began), "the oldest first"
    assert set(lines[0]) == {"workflowId", "workflow", "run"}


def test_a_closed_terminal_ends_a_watch_in_order(commands: Commands, capsys: Out) -> None:
    def end_at_once(_number: int, _frame: object) -> None:
        raise AssertionError

    async def is_closed(_script: Script) -> None:
        signal.raise_signal(signal.SIGHUP)

    signal.signal(signal.SIGHUP, end_at_once)
    assert watched(commands, after(1, is_closed)) == ExitCode.DONE
    assert printed(capsys)


def test_a_run_without_an_id_hides_no_other_run_of_its_workflow(
    commands: Commands, capsys: Out, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    completed = {"filter_text": "status:completed"}
    assert watched(commands, nothing, after(2, is_ended), **completed) == ExitCode.DONE
    first, *others = printed(capsys)
    fresh = Commands(commands.app, tmp_path / "fresh")
    monkeypatch.setattr(fresh, "line", Forgetting(fresh, "/runs", first))
    assert watched(fresh, nothing, after(2, is_ended), **completed) == ExitCode.DONE
    assert printed(capsys) == others


def test_a_watch_goes_on_where_it_ended(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("completed")
    other_id, _ = commands.a_run("canceled")
    assert watched(commands, after(1, is_ended), watch_only=True) == ExitCode.DONE
    assert printed(capsys) == [], "what matched at the first start is known"
    # Nobody watches now.
    commands.update(run_id, "processingStatus=failed")
    capsys.readouterr()
    assert watched(commands, count=1) == ExitCode.DONE
    assert printed(capsys) == [run_id]
    assert watched(commands, after(1, becomes(other_id, "failed")), nothing, count=1) == ExitCode.DONE
    assert printed(capsys) == [other_id]
    assert all(file.stat().st_mode & 0o077 == 0 for file in commands.folder.glob("watch-*"))


def test_a_dropped_connection_is_reported_once_and_survived(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("completed")
    steps = after(1, is_cut), is_cut, is_cut, becomes(run_id, "failed"), nothing
    assert watched(commands, *steps, watch_only=True, count=1) == ExitCode.DONE
    captured = capsys.readouterr()
    assert json.loads(captured.out)["run"]["id"] == run_id
    assert len(captured.err.splitlines()) == 2
    assert captured.err.splitlines()[1] == "runtui: All runs can be read again."


def test_a_journal_that_cannot_be_read_is_reported_and_survived(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run("completed")
    (commands.folder / "journal.db").mkdir(parents=True)
    commands.folder.chmod(0o700)

    async def is_repaired(_script: Script) -> None:
        (commands.folder / "journal.db").rmdir()

    steps = after(1, is_repaired), after(2, becomes(run_id, "failed")), nothing
    assert watched(commands, *steps, watch_only=True, count=1) == ExitCode.DONE
    captured = capsys.readouterr()
    assert json.loads(captured.out)["run"]["id"] == run_id
    first, second = captured.err.splitlines()
    assert "journal.db is not a regular file" in first
    assert second == "runtui: All runs can be read again."


def test_a_refusal_ends_it_and_what_cannot_be_used_is_refused_at_once(commands: Commands, capsys: Out) -> None:
    async def denied(script: Script) -> None:
        script.line.handle_async_request = refuse  # type: ignore[method-assign]

    async def refuse(request: httpx.Request) -> httpx.Response:
        return await refusing(403)(request, NotImplemented)

    with pytest.raises(RuntuiError, match="Access denied"):
        watched(commands, after(1, denied), watch_only=True)
    with pytest.raises(RuntuiError, match="Access denied"):
        watched(commands, watch_only=True)
    with pytest.raises(RuntuiError, match="filter") as unreadable:
        watched(commands, filter_text="status:(")
    assert unreadable.value.exit_code is ExitCode.USAGE
    with pytest.raises(UsageError, match="no program"):
        watched(commands, program="no-such-program-here x")
    assert capsys.readouterr().out == ""


def test_a_defect_of_the_listing_ends_it_and_is_reported(commands: Commands, capsys: Out) -> None:
    async def fails(_script: Script) -> None:
        asyncio.get_running_loop().call_later(PATIENCE, signal.raise_signal, signal.SIGTERM)  # or it never ends
        raise ZeroDivisionError

    with pytest.raises(RuntuiError, match="The runs are no longer updated") as broken:
        watched(commands, after(1, fails), watch_only=True)
    assert "A defect in runtui ended it (ZeroDivisionError)." in str(broken.value)
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_reported_with_the_cure_and_nothing_is_taken_for_reported(commands: Commands) -> None:
    with closing(ReportedRuns(commands.server().settings, "status:failed")) as told:
        told._db.execute("PRAGMA max_page_count = 1")  # at least as many as that
        with pytest.raises(RuntuiError, match="The watch cannot be remembered") as full:
            told.begin({f"run-{number}": "w1" for number in range(1_000)})
        assert "is full" in full.value.message
        assert full.value.hint.startswith("Free disk space")
        assert not told.has_begun
        assert told.new_among({"run-1": "w1"}) == ["run-1"]


def test_a_run_of_a_workflow_that_could_not_be_read_is_not_reported_again(commands: Commands) -> None:
    found = {"gone": "w1", "unread": "w2"}
    with closing(ReportedRuns(commands.server().settings, "status:failed")) as told:
        told.begin(found)
        told.keep({}, unread={"w2"})
        assert told.new_among(found) == ["gone"], "it left, and matches anew"


def test_only_one_watches_with_a_filter(commands: Commands, capsys: Out) -> None:
    found: list[str] = []

    async def second(_script: Script) -> None:
        try:
            ReportedRuns(commands.server().settings, " status:failed ").close()
        except RuntuiError as error:
            found.append(error.title)
        ReportedRuns(commands.server().settings, "status:queued").close()
        other_tenant = SignInSettings("device-code", "fabrikam.example", "an-app", "https://login.microsoftonline.com")
        ReportedRuns(commands.server(sign_in=other_tenant).settings, "status:failed").close()
        found.append("others are watched as well")

    assert watched(commands, second, after(1, is_ended), watch_only=True) == ExitCode.DONE
    assert found == ["This filter is already watched", "others are watched as well"]


def overwrite(path: Path) -> None:
    path.write_bytes(b"This is no database." * 100)


def damage_schema(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = 1")
        db.execute("UPDATE sqlite_master SET name = CAST(x'ff' AS TEXT), sql = 'CREATE'")


@pytest.mark.parametrize("damage", [overwrite, damage_schema])
def test_a_damaged_file_is_reported_with_the_cure(damage: Callable[[Path], None], commands: Commands) -> None:
    settings = commands.server().settings
    with closing(ReportedRuns(settings, "status:failed")) as told:
        path = told._path
    damage(path)
    with pytest.raises(RuntuiError, match="The watch cannot be remembered") as damaged:
        ReportedRuns(settings, "status:failed")
    assert damaged.value.hint.startswith("Delete it to start over")


def test_a_file_that_cannot_be_used_is_closed(commands: Commands) -> None:
    settings, second = commands.server().settings, ReportedRuns.__new__(ReportedRuns)
    with closing(ReportedRuns(settings, "wf:a")), pytest.raises(RuntuiError, match="already watched"):
        ReportedRuns.__init__(second, settings, "wf:a")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        assert second.has_begun


def test_a_command_in_progress_is_finished_before_the_watch_ends(
    commands: Commands, tmp_path: Path, capsys: Out
) -> None:
    run_id, _ = commands.a_run("completed")
    program = tmp_path / "end it.py"
    program.write_text("import os, signal, time\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(0.3)\n")
    how = {"program": f"{sys.executable} '{program}'", "watch_only": True}
    assert watched(commands, after(1, becomes(run_id, "failed")), nothing, **how) == ExitCode.DONE
    assert printed(capsys) == [run_id]
    assert watched(commands, nothing, after(2, is_ended)) == ExitCode.DONE
    assert printed(capsys) == [], "it is not reported again"


def test_a_command_gets_the_run_and_its_failure_ends_nothing(
    commands: Commands, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in ("RUNTUI_TOKEN", "RUNTUI_CLIENT_SECRET", "RUNTUI_CERTIFICATE_PASSWORD", "MY_TOKEN"):
        monkeypatch.setenv(secret, f"a-{secret}-of-some-length")
    program = tmp_path / "note it.py"
    program.write_text(
        "import json, os, sys, time\n"
        "run = json.loads(sys.stdin.readline())['run']\n"
        "print('seen', os.environ['RUNTUI_RUN_ID'] == run['id'], sys.argv[1:])\n"
        "print('kept', [name for name in os.environ if name.endswith(('TOKEN', 'SECRET', 'PASSWORD'))])\n"
        "sys.exit(3)\n"
    )
    how = {"program": f"{sys.executable} '{program}' '$(id) `id`'", "count": 2}
    assert watched(commands, **how) == ExitCode.DONE
    captured = capfd.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert captured.err.count("seen True ['$(id) `id`']") == 2
    assert captured.err.count("kept ['MY_TOKEN']") == 2, "runtui's own secrets are not for every program"
    assert captured.err.count("failed with exit code 3.") == 2
    program.write_text("import time\ntime.sleep(600)\n")
    assert watched(commands, **how | {"program_seconds": 0.2, "count": 1}) == ExitCode.DONE
    assert "was stopped after 1s." in capfd.readouterr().err


def test_a_signal_lets_the_command_end_and_the_next_start_goes_on(
    commands: Commands, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "end.py"
    program.write_text("import os, signal, sys\nos.kill(os.getppid(), signal.SIGTERM)\nsys.stdin.read()\nsys.exit(3)\n")
    assert watched(commands, program=f"{sys.executable} '{program}'") == ExitCode.DONE
    first = capfd.readouterr()
    assert len(first.out.splitlines()) == 1
    assert "failed with exit code 3." in first.err, "it came to its own end"
    assert watched(commands, count=1) == ExitCode.DONE
    second = capfd.readouterr().out
    assert len(second.splitlines()) == 1
    assert second != first.out
