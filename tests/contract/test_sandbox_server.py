"""The sandbox as a process: it prints its address, answers over TCP, and ends cleanly."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from runtui.errors import RuntuiError
from runtui.sandbox.server import main
from tests import PATIENCE, there
from tests.contract.conftest import WORKFLOWS

SERVE = "import sys; from runtui.sandbox.server import main; sys.exit(main(port=0, seed=7, {options}))"


@contextmanager
def served(
    runs: int = 240, until_stdin_closes: bool = False, sign_in: bool = False
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A sandbox process and the line that it printed."""
    code = SERVE.format(options=f"runs={runs}, until_stdin_closes={until_stdin_closes}, sign_in={sign_in}")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, json.loads(there(process.stdout).readline())
        finally:
            process.kill()


def read_workflows(root: str) -> list[Any]:
    answer = httpx.get(f"{root}{WORKFLOWS}", headers={"Authorization": "Bearer any"}, trust_env=False)
    workflows: list[Any] = answer.json()["value"]
    return workflows


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_answers_once_it_prints_its_address_and_ends_cleanly(number: signal.Signals) -> None:
    with served() as (process, line):
        assert line["pid"] == process.pid
        assert line["root"].startswith("http://127.0.0.1:")
        assert len(read_workflows(line["root"])) == 15
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("sign_in", [False, True])
def test_the_server_answers_only_to_names_of_this_machine(sign_in: bool) -> None:
    """A request with another host name that resolves to this machine comes from a web page (DNS rebinding)."""
    with served(runs=1, sign_in=sign_in) as (_, line), httpx.Client(trust_env=False) as client:
        port = httpx.URL(line["root"]).port
        paths = [f"{line['root']}{WORKFLOWS}", *([f"{line['authority']}/keys"] if sign_in else [])]
        for path in paths:
            for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
                answer = client.get(path, headers={"Host": host})
                assert answer.status_code != 421, host
            strangers = (
                "rebound.example",
                f"rebound.example:{port}",
                "127.0.0.1",
                "localhost:1",
                f"0.0.0.0:{port}",
                "",
            )
            for host in (*strangers, f"localhost.rebound.example:{port}", f"localhost:{port}.rebound.example"):
                answer = client.get(path, headers={"Host": host, "Authorization": "Bearer any"})
                assert answer.status_code == 421, host
                assert f"answers to 127.0.0.1:{port} and localhost:{port}" in answer.json()["error"]["message"]


def test_the_server_ends_while_a_client_keeps_its_connection_open() -> None:
    with served() as (process, line), httpx.Client(trust_env=False) as client:
        client.get(f"{line['root']}{WORKFLOWS}")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_server_ends_with_the_process_that_started_it() -> None:
    with served(until_stdin_closes=True) as (process, line):
        assert len(read_workflows(line["root"])) == 15
        process.communicate(timeout=PATIENCE)  # this closes its standard input first
        assert process.returncode == 0


def test_a_port_that_is_taken_is_refused_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntuiError, match=rf"^Port {port} cannot be used\. Address already in use\. ") as refused:
            main(port=port, runs=0, seed=7, until_stdin_closes=False)
    assert "--port" in refused.value.hint


def test_the_start_does_without_what_only_some_requests_need() -> None:
    code = (
        "import sys; from runtui.sandbox.app import create_app; import runtui.sandbox.server; create_app(runs=5);"
        "print([name for name in ('pydantic', 'httpx', 'textual') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.slow
def test_a_hundred_thousand_runs_are_served_and_paged_once_each() -> None:
    with served(runs=100_000) as (_, line), httpx.Client(trust_env=False) as client:
        client.headers.update({"Authorization": "Bearer any", "Prefer": "odata.maxpagesize=999"})
        ids: set[str] = set()
        total = 0
        for workflow in read_workflows(line["root"]):
            link: str | None = f"{line['root']}{WORKFLOWS}/{workflow['id']}/runs"
            while link is not None:
                page = client.get(link).json()
                ids.update(run["id"] for run in page["value"])
                total += len(page["value"])
                link = page.get("@odata.nextLink")
        assert len(ids) == total == 100_000
