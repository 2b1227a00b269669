"""The cost of a command, beside a Python program that only makes the same requests."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from tempfile import TemporaryDirectory
from time import perf_counter

from tests.bench.table import Pairs, Row
from tests.bench.terminal import COMPILED, RUNTUI
from tests.terminal.sandbox_process import sandbox_process

RUNS = 10_000
MANY, FEW = 3_000, 300
"""Runs that one command changes."""
TOKEN = "any-token-will-do"

HTTPX_LOOP = """
import json, sys, httpx
workflows = sys.argv[1] + "/identityGovernance/lifecycleWorkflows/workflows"
headers = {"Authorization": "Bearer any-token-will-do", "Prefer": "odata.maxpagesize=999"}
with httpx.Client(headers=headers) as client:
    def items(url):
        while url:
            page = client.get(url).raise_for_status().json()
            yield from page["value"]
            url = page.get("@odata.nextLink")
    for workflow in items(workflows):
        for run in items(f"{workflows}/{workflow['id']}/runs"):
            print(json.dumps(run))
"""

HTTPX_SAME = """
import asyncio, httpx, sys
workflows = sys.argv[1] + "/identityGovernance/lifecycleWorkflows/workflows"
async def main():
    async with httpx.AsyncClient(headers={"Authorization": "Bearer any-token-will-do"}) as client:
        found = (await client.get(workflows)).json()["value"]
        gate = asyncio.Semaphore(4)
        async def runs(workflow):
            async with gate:
                url = f"{workflows}/{workflow['id']}/runs?$filter=lastUpdatedDateTime eq null"
                return (await client.get(url)).raise_for_status().json()
        await asyncio.gather(*map(runs, found))
asyncio.run(main())
"""

HTTPX_GET = """
import sys, httpx
url = sys.argv[1] + "/identityGovernance/lifecycleWorkflows/workflows"
httpx.get(url, headers={"Authorization": "Bearer any-token-will-do"}).raise_for_status()
"""

HTTPX_PATCH = """
import sys, httpx
url = f"{sys.argv[1]}/workflowBase/runs/{sys.argv[2]}"
body = {"@odata.type": "#microsoft.graph.identityGovernance.run", "failedTasksCount": int(sys.argv[3])}
httpx.patch(url, headers={"Authorization": "Bearer any-token-will-do"}, json=body).raise_for_status()
"""


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> bytes:
    """Run a command to its end and return its output; `python` stands for this Python.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    wanted = {**os.environ, **COMPILED, **(env or {})}
    program = (sys.executable, *command[1:]) if command[0] == "python" else command
    return subprocess.run(
        program,
        env={name: value for name, value in wanted.items() if value is not None},
        check=True,
        capture_output=True,
    ).stdout


def cpu_of(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Return the CPU time of a command, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def version() -> Pairs:
    while True:
        yield cpu_of((*RUNTUI, "--version")), cpu_of(("python", "-c", "pass"))


def listing(*, is_known: bool) -> Callable[[], Pairs]:
    """Measure a listing of all runs as JSON lines, with or without a store that has them (`is_known`)."""

    def pairs() -> Pairs:
        with sandbox_process(runs=RUNS) as sandbox, TemporaryDirectory() as known:
            command = (*RUNTUI, "list", "--root", sandbox.root, "--format", "jsonl")
            while True:
                with TemporaryDirectory() as new:
                    env = {"RUNTUI_TOKEN": TOKEN, "RUNTUI_STATE": known if is_known else new}
                    yield cpu_of(command, env), cpu_of(("python", "-c", HTTPX_LOOP, sandbox.root))

    return pairs


def first_line() -> Pairs:
    """Measure the first line of a listing of all runs as JSON lines, without a store."""
    with sandbox_process(runs=RUNS) as sandbox:
        command = (*RUNTUI, "list", "--root", sandbox.root, "--format", "jsonl")
        while True:
            with TemporaryDirectory() as new:
                ours = wall_of_first_line(command, {"RUNTUI_TOKEN": TOKEN, "RUNTUI_STATE": new})
            yield ours, wall_of_first_line((sys.executable, "-u", "-c", HTTPX_LOOP, sandbox.root), {})


def wall_of_first_line(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the wall time from the start of a command to its first line, in milliseconds."""
    began = perf_counter()
    with subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        passed = perf_counter() - began
        process.kill()
    return passed * 1000


def shown(reference: str) -> Callable[[], Pairs]:
    """Measure a command that reads all workflows, and the runs of each that have changed."""

    def pairs() -> Pairs:
        with sandbox_process() as sandbox, TemporaryDirectory() as state:
            env = {"RUNTUI_TOKEN": TOKEN, "RUNTUI_STATE": state}
            command = (*RUNTUI, "workflows", "--root", sandbox.root, "--format", "json")
            run(command, env)
            while True:
                yield cpu_of(command, env), cpu_of(("python", "-c", reference, sandbox.root))

    return pairs


def patch_by_httpx(root: str, run_id: str, value: str) -> tuple[str, ...]:
    return "python", "-c", HTTPX_PATCH, root, run_id, value


def patch_by_curl(root: str, run_id: str, value: str) -> tuple[str, ...]:
    body = {"@odata.type": "#microsoft.graph.identityGovernance.run", "failedTasksCount": int(value)}
    headers = (f"Authorization: Bearer {TOKEN}", "Content-Type: application/json")
    given = [part for header in headers for part in ("--header", header)]
    url = f"{root}/workflowBase/runs/{run_id}"
    return "curl", "--silent", "--fail", "--request", "PATCH", *given, "--data", json.dumps(body), url


def updated(patch: Callable[[str, str, str], tuple[str, ...]]) -> Callable[[], Pairs]:
    """Measure a change of one run that is in the store, beside a command that only sends the PATCH."""

    def pairs() -> Pairs:
        with sandbox_process() as sandbox, TemporaryDirectory() as state:
            env = {"RUNTUI_TOKEN": TOKEN, "RUNTUI_STATE": state}
            listed = run((*RUNTUI, "list", "--root", sandbox.root, "--format", "jsonl"), env)
            run_id = json.loads(listed.splitlines()[0])["run"]["id"]
            update = (*RUNTUI, "update", run_id, "--root", sandbox.root, "--yes", "--set")
            for value in map(str, count(1)):
                ours = cpu_of((*update, f"failedTasksCount={value}"), env)
                yield ours, cpu_of(patch(sandbox.root, run_id, value))

    return pairs


def updated_many() -> Pairs:
    """Measure a change among many that one command makes, beside one among few."""
    with sandbox_process(runs=MANY) as many, sandbox_process(runs=FEW) as few:
        for value in map(str, count(1)):
            yield of_each_change(many.root, value), of_each_change(few.root, value)


def of_each_change(root: str, value: str) -> float:
    """Return the CPU time of a change to all ended runs of a tenant, in milliseconds for each. A run in progress moves
    meanwhile, and then is not changed.
    """
    with TemporaryDirectory() as state:
        ended, env = ("--root", root, "--filter", "!completed:none"), {"RUNTUI_TOKEN": TOKEN, "RUNTUI_STATE": state}
        cost = cpu_of((*RUNTUI, "update", *ended, "--yes", "--set", f"failedTasksCount={value}"), env)
        return cost / len(run((*RUNTUI, "list", *ended, "--format", "jsonl"), env).splitlines())


ROWS = (
    Row("runtui --version", "ms", "python -c pass", 2, version),
    Row("runtui workflows", "ms", "httpx.get in one line", 1.2, shown(HTTPX_GET)),
    Row("runtui workflows", "ms", "its 16 requests with httpx", 1.2, shown(HTTPX_SAME)),
    Row("runtui update", "ms", "httpx.patch in one line", 1.2, updated(patch_by_httpx)),
    Row("runtui update", "ms", "curl", 30, updated(patch_by_curl)),
    Row(f"runtui update, {MANY:,} runs: each", "ms", f"of {FEW:,} runs", 1.2, updated_many, rounds=3),
    Row(f"runtui list, {RUNS:,} runs, first line", "ms wall", "httpx loop", 2.5, first_line),
    Row(f"runtui list, {RUNS:,} runs, new", "ms", "httpx loop", 2.5, listing(is_known=False), rounds=3),
    Row(f"runtui list, {RUNS:,} runs, known", "ms", "httpx loop", 1.5, listing(is_known=True), rounds=3),
)
