"""The scenario of the sandbox: selected on the command line, switched by a line of standard input."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock, call

import httpx
import pytest

from runtui import cli
from runtui.demo import ENVIRONMENT, SandboxProcess
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.config import SECRET_VARIABLES
from runtui.sandbox import server
from runtui.sandbox.scenarios import scenario_named, summaries
from tests import PATIENCE, canary
from tests.contract.conftest import WORKFLOWS


def test_the_sandbox_of_a_demo_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRET_VARIABLES:
        monkeypatch.setenv(name, canary.SECRET)
    monkeypatch.setenv("SOME_OTHER_PROGRAMS_PASSWORD", canary.SECRET)
    process = SandboxProcess()
    try:
        process.serve("", runs=0, seed=7, hostile=False)
        assert asyncio.run(process.root()), "it starts with what it gets"
        given = Path(f"/proc/{process._process.pid}/environ").read_bytes().split(b"\0")
    finally:
        process.stop()
    names = {variable.partition(b"=")[0].decode() for variable in given if variable}
    assert "PATH" in names
    assert names <= set(ENVIRONMENT)
    assert not canary.holds_canary(b"\n".join(given))


@pytest.mark.parametrize("is_killed", [True, False])
def test_files_of_a_killed_demo_are_removed(is_killed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "runs.db").touch()
    process = SandboxProcess()
    process.serve(str(folder), runs=0, seed=7, hostile=False)
    asyncio.run(process.root())
    if not is_killed:
        process._process.terminate()  # the demo continues, and removes the file itself
        process._process.wait(PATIENCE)
    process.stop()
    assert folder.exists() is not is_killed


async def test_a_demo_switches_its_sandbox_while_it_runs() -> None:
    process = SandboxProcess()
    try:
        process.serve("", runs=20, seed=7, hostile=False, scenario="403")
        root = await process.root()
        assert (process.scenario, process.scenarios) == ("403", summaries())

        async def patched() -> int:
            async with httpx.AsyncClient(trust_env=False) as client:
                path = f"{root}/workflowBase/runs/none"
                return (await client.patch(path, json={}, headers={"Authorization": "Bearer any"})).status_code

        assert await patched() == 403
        await asyncio.gather(process.use_scenario("etag"), process.use_scenario("none"))
        await process.use_scenario("429-absent")
        assert process.scenario == "429-absent"
        assert [await patched() for _ in range(3)] == [429, 429, 404]
        with pytest.raises(UsageError, match="'429-seconds'"):
            await process.use_scenario("429-\nsecond")
        assert process.scenario == "429-absent"
        process._process.kill()
        with pytest.raises(RuntuiError, match="has ended"):
            await process.use_scenario("none")
    finally:
        process.stop()


def test_by_hand_each_line_is_answered_and_the_end_of_input_is_no_end() -> None:
    command = [sys.executable, "-m", "runtui", "sandbox", "--runs", "5", "--scenario", "slow"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("503\n\nnonsense\n  echo")
            process.stdin.close()
            lines = [json.loads(process.stdout.readline()) for _ in range(4)]
            assert (lines[0]["scenario"], lines[0]["scenarios"]) == ("slow", summaries())
            assert lines[1] == {"scenario": "503"}
            assert lines[2].keys() == {"error"}
            assert "'nonsense'" in lines[2]["error"]
            assert lines[3] == {"scenario": "echo"}, "the last line needs no end"
            headers = {"Authorization": "Bearer any"}
            answer = httpx.get(f"{lines[0]['root']}{WORKFLOWS}", headers=headers, trust_env=False)
            assert answer.status_code == 200
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("until_stdin_closes", [False, True])
def test_the_end_of_input_is_the_end_only_when_asked_for(
    until_stdin_closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"503\nslow")
    os.close(writing)
    monkeypatch.setattr(server, "_STDIN", reading)
    asked = Mock()
    server._read_commands(asked.loop, asked.server, until_stdin_closes)
    os.close(reading)
    scenarios = [call(asked.server.use_scenario, "503"), call(asked.server.use_scenario, "slow")]
    end = [call(asked.server.stop)] if until_stdin_closes else []
    assert asked.loop.call_soon_threadsafe.mock_calls == scenarios + end


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_the_help_lists_each_scenario(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.partition("scenarios:\n")[2].splitlines()]
    assert dict(lines) == summaries()


@pytest.mark.parametrize(("typed", "near"), [("429-secnds", "'429-seconds'"), ("colleage", "'colleague'")])
@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_an_unknown_scenario_is_refused_with_the_nearest_name(
    command: str, typed: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--scenario", typed]) == ExitCode.USAGE
    assert near in capsys.readouterr().err


def test_an_unlike_name_gets_the_whole_list() -> None:
    with pytest.raises(UsageError) as refused:
        scenario_named("zzzzzz")
    assert all(name in refused.value.hint for name in summaries())


def test_a_refused_token_of_a_demo_leads_to_its_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Mock(return_value=0)
    monkeypatch.setattr("runtui.session.open_session", opened)
    monkeypatch.setattr("runtui.demo.SandboxProcess", Mock)
    assert cli.main(["demo"]) == 0
    assert opened.call_args.args[0].token.next_step == "The sandbox simulates it; M chooses what to simulate."


def test_a_start_does_not_load_the_table() -> None:
    code = (
        "import sys; from runtui import cli; cli.command_parser().parse_args(['demo']); "
        "print('runtui.sandbox' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert answer.stdout == "False\n"
