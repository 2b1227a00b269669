"""`runtui list` with a real server: its standard output and its exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtui.domain.text import visible
from tests import canary, forked, there
from tests.forked import Forked

CHECKOUT = str(Path(__file__).resolve().parents[2])
RUNTUI = (sys.executable, "-m", "runtui")


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with Forked([*RUNTUI, "sandbox", "--runs", "40", "--hostile"], stdout=subprocess.PIPE, cwd=CHECKOUT) as server:
        yield json.loads(there(server.stdout).readline())["root"]
        server.terminate()


def listed(tmp_path: Path, *arguments: str, token: str | None = canary.TOKEN) -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RUNTUI_STATE": str(tmp_path), "LANG": "C.UTF-8"}
    if token is not None:
        env["RUNTUI_TOKEN"] = token
    return forked.run(*RUNTUI, "list", *arguments, env=env, cwd=CHECKOUT)


def test_a_table_holds_a_line_a_run_and_nothing_that_acts_on_a_terminal(tmp_path: Path, root: str) -> None:
    done = listed(tmp_path, "--root", root)
    assert (done.returncode, done.stderr) == (0, b"")
    title, *lines = done.stdout.decode().splitlines()
    assert title.split()[:3] == ["status", "workflow", "start"]
    assert len(lines) == 40
    assert not any(letter in done.stdout.decode() for letter in "\x1b\x9b\u202e\u200b\r\t")


def test_columns_order_and_limit_are_those_asked_for(tmp_path: Path, root: str) -> None:
    columns = ("--root", root, "--columns", "id", "--sort")
    by_start = [listed(tmp_path, *columns, name).stdout for name in ("start", "started")]
    assert by_start[0] == by_start[1] != b"", "a heading names its column too"
    chosen = ("--root", root, "--columns", "id, users ,processingStatus", "--sort", "users", "--limit", "5")
    title, *lines = listed(tmp_path, *chosen).stdout.decode().splitlines()
    assert title.split() == ["id", "users", "status"]
    assert len(lines) == 5
    records = [json.loads(line) for line in listed(tmp_path, *chosen, "-o", "jsonl").stdout.splitlines()]
    assert [list(record) for record in records] == [["id", "users", "status"]] * 5
    counts = [record["users"] for record in records]
    assert counts == sorted(counts, reverse=True)
    upwards = listed(tmp_path, *chosen[:4], "--sort", "users:asc", "-o", "csv").stdout.decode()
    header, *rows = csv.reader(io.StringIO(upwards, newline=""), strict=True)
    assert header == ["id", "users", "status"]
    assert [int(users) for _, users, _ in rows] == sorted(int(users) for _, users, _ in rows)
    assert len(rows) == 40


def test_a_table_in_a_pipe_has_whole_names_and_ids(tmp_path: Path, root: str) -> None:
    run = json.loads(listed(tmp_path, "--root", root, "--limit", "1", "--format", "jsonl").stdout)
    (_, line) = listed(tmp_path, "--root", root, "--limit", "1").stdout.decode().splitlines()
    assert visible(run["workflow"]) in line
    assert line.endswith(run["run"]["id"])


def test_a_slip_in_a_filter_that_finds_nothing_is_reported(tmp_path: Path, root: str) -> None:
    done = listed(tmp_path, "--root", root, "--filter", "status:faild", "-o", "jsonl")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode() == "No known status begins with faild. Did you mean failed?\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list", "--filter", "status:strange"], 0),
        (["list", "--filter", "strange:1"], 2),
        (["list", "--limit", "-1"], 2),
        (["show", "no-such-run"], 1),
    ],
)
def test_the_exit_code_stays_where_nobody_reads_the_messages(
    tmp_path: Path, root: str, arguments: list[str], code: int
) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8", "RUNTUI_TOKEN": canary.TOKEN}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "runtui", *arguments, "--root", root]
    done = subprocess.run(command, env=env, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == code


def test_the_version_goes_to_a_closed_reader_without_a_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "runtui", "--version"], cwd=CHECKOUT, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    "command", ["--version", "--help", "list --help", "list --root {root} -o table", "list --root {root} -o jsonl"]
)
def test_an_output_that_cannot_be_written_is_no_crash(tmp_path: Path, root: str, command: str) -> None:
    shell = f'"$0" -m runtui {command.format(root=root)} 2>"$HOME/err"'
    for where, code, said in (
        (
            ">/dev/full",
            1,
            "runtui: The output is incomplete. Standard output cannot be written: No space left on device.\n",
        ),
        (">&-", 0, ""),
    ):
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8", "RUNTUI_TOKEN": canary.TOKEN}
        done = subprocess.run(["sh", "-c", f"{shell} {where}", sys.executable], env=env, cwd=CHECKOUT, check=False)
        assert (done.returncode, (tmp_path / "err").read_text()) == (code, said)


def test_json_lines_carry_each_run_as_received(tmp_path: Path, root: str) -> None:
    done = listed(tmp_path, "--root", root, "--filter", "is:problem", "--format", "jsonl")
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert runs
    assert all(run["run"]["id"].startswith(run["workflowId"]) or len(run["run"]["id"]) > 100 for run in runs)
    assert done.stdout.isascii()


def test_json_is_one_array_of_the_same_objects(tmp_path: Path, root: str) -> None:
    # The sandbox goes on between the two listings, so only runs that have ended stay the same.
    over = ("--root", root, "--filter", f"completed<{datetime.now(UTC):%Y-%m-%d}")
    lines = listed(tmp_path, *over, "--format", "jsonl", "--sort", "status").stdout.splitlines()
    whole = listed(tmp_path, *over, "--format", "json").stdout
    assert lines
    assert json.loads(whole) == [json.loads(line) for line in lines]
    assert whole.isascii()


def test_csv_has_a_record_a_run_no_formula_and_nothing_that_acts_on_a_terminal(tmp_path: Path, root: str) -> None:
    text = listed(tmp_path, "--root", root, "--format", "csv").stdout.decode()
    header, *records = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header[:4] == ["id", "workflow", "workflowId", "processingStatus"]
    assert len(records) == 40
    assert {len(record) for record in records} == {len(header)}
    assert all(record[header.index("totalUsersCount")].isdecimal() for record in records)
    assert not any(cell.lstrip().startswith(tuple("=+-@")) for record in records for cell in record)
    assert not any(letter in text for letter in "\x1b\x9b\u202e\u200b\r\t")


@pytest.mark.parametrize(
    "arguments", [("list", "-o", "table"), ("list", "-o", "jsonl"), ("profiles",), ("list", "--help")]
)
def test_a_closed_pipe_ends_a_command_quietly(arguments: tuple[str, ...], tmp_path: Path, root: str) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RUNTUI_STATE": str(tmp_path), "RUNTUI_TOKEN": canary.TOKEN}
    with subprocess.Popen(
        [*RUNTUI, *arguments],
        env=env | {"RUNTUI_ROOT": root},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
        assert command.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "token", "code", "sentence"),
    [
        ([], canary.TOKEN, 2, "No server"),
        (["--root", "{root}"], None, 2, "RUNTUI_TOKEN is not set"),
        (["--root", "{root}", "--filter", "failed>>1"], canary.TOKEN, 2, "failed is a whole number"),
        (["--root", "http://127.0.0.1:9/beta"], canary.TOKEN, 1, "Nothing listens at this address"),
        (["--root", "http://192.0.2.1/beta"], canary.TOKEN, 2, "Plain http is refused"),
    ],
)
def test_an_error_of_list_is_reported_and_prints_no_data(
    tmp_path: Path, root: str, arguments: list[str], token: str | None, code: int, sentence: str
) -> None:
    done = listed(tmp_path, *(argument.format(root=root) for argument in arguments), token=token)
    assert (done.returncode, done.stdout) == (code, b"")
    assert sentence in done.stderr.decode()
