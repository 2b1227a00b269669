"""`runtui list` and `show` in this process, when the server answers only some of the requests."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from runtui.command_line import SessionSpec
from runtui.errors import ExitCode, RuntuiError
from runtui.graph.retry import MAX_REPEATS
from runtui.headless.bulk import update
from runtui.headless.runs import list_runs
from runtui.headless.triage.show import show_run
from tests.contract.headless_commands import Commands, Out, refusing

if TYPE_CHECKING:
    from runtui.headless.output import OutputFormat


class Refusing(httpx.AsyncBaseTransport):
    """Answers that many requests whose address contains a text with a status; the sandbox answers the others."""

    def __init__(self, commands: Commands, part: str, status: int, times: int = 99) -> None:
        self._commands = commands
        self._part = part
        self._status = status
        self.left = times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._part in str(request.url) and self.left:
            self.left -= 1
            return await refusing(self._status, **{"retry-after": "0"})(request, NotImplemented)
        return await self._commands.line.handle_async_request(request)


def listed(
    server: SessionSpec, capsys: Out, output: OutputFormat = "jsonl", *, full: bool = False
) -> tuple[int, str, str]:
    code = list_runs(server, filter_text="", columns="", sort="", limit=None, full=full, output=output)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def ids(out: str) -> set[str]:
    return {json.loads(line)["run"]["id"] for line in out.splitlines()}


@pytest.mark.parametrize(
    ("status", "why", "requests"),
    [(403, "Access denied", 1), (404, "Not found", 1), (500, "The server failed", MAX_REPEATS + 1)],
)
def test_a_workflow_that_cannot_be_read_is_named_and_the_rest_is_printed(
    status: int, why: str, requests: int, commands: Commands, capsys: Out
) -> None:
    run_id, workflow_id = commands.a_run()
    _, whole, _ = listed(commands.server(), capsys)
    runs: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
    rest = {run["run"]["id"] for run in runs if run["workflowId"] != workflow_id}
    name = next(run["workflow"] for run in runs if run["run"]["id"] == run_id)
    wire = Refusing(commands, f"{workflow_id}/runs", status)
    code, out, err = listed(commands.server()._replace(wire=wire), capsys)
    assert code == ExitCode.NOT_DONE
    assert ids(out) == rest, "what an earlier listing left of the workflow is not shown as today's"
    assert f"runtui: The list is incomplete. The runs of {name} could not all be read: {why}." in err
    assert 99 - wire.left == requests


def test_the_rest_is_printed_in_every_format(commands: Commands, capsys: Out) -> None:
    _, workflow_id = commands.a_run()
    server = commands.server()._replace(wire=Refusing(commands, f"{workflow_id}/runs", 404))
    rest = ids(listed(server, capsys)[1])
    assert rest
    for output in ("table", "json", "csv"):
        code, out, _ = listed(server, capsys, output)
        assert code == ExitCode.NOT_DONE
        if output == "json":
            found = {item["run"]["id"] for item in json.loads(out)}
        elif output == "csv":
            found = {record["id"] for record in csv.DictReader(out.splitlines())}
        else:
            found = {line.split()[-1] for line in out.splitlines()[1:]}
        assert found == rest


def test_json_lines_are_printed_page_by_page_each_run_once(commands: Commands, capsys: Out) -> None:
    server = commands.server(page_size=3)
    first_pages = ids(listed(server._replace(wire=Refusing(commands, "/runs?$skiptoken", 403)), capsys)[1])
    code, out, _ = listed(server, capsys)
    assert code == ExitCode.DONE
    assert len(out.splitlines()) == len(ids(out)) == len(listed(server, capsys, "csv")[1].splitlines()) - 1
    assert first_pages < ids(out), "what came before a page that cannot be read"
    assert Counter(json.loads(line)["workflow"] for line in out.splitlines()).most_common(1)[0][1] > 3


@pytest.mark.parametrize("is_known", [False, True])
def test_what_was_read_before_a_page_that_cannot_be_read_is_printed_in_any_order(
    is_known: bool, commands: Commands, capsys: Out
) -> None:
    server = commands.server(page_size=3)
    whole = ids(listed(server, capsys)[1]) if is_known else set()
    wire = Refusing(commands, "/runs?$skiptoken", 403)
    first_pages = ids(listed(server._replace(wire=wire), capsys, full=True)[1])
    assert first_pages < whole or not is_known
    code, out, _ = listed(server._replace(wire=wire), capsys, "csv", full=True)
    assert code == ExitCode.NOT_DONE
    assert {record["id"] for record in csv.DictReader(out.splitlines())} == first_pages


class Forgetting(httpx.AsyncBaseTransport):
    """Sends the items of a kind without their id if a text is in them."""

    def __init__(self, commands: Commands, kind: str, part: str) -> None:
        self._commands, self._kind, self._part = commands, kind, part

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._commands.line.handle_async_request(request)
        body = json.loads(await response.aread())
        for item in body["value"] if request.url.path.endswith(self._kind) else ():
            if self._part in json.dumps(item):
                del item["id"]
        headers = {"content-type": "application/json", "date": response.headers["date"]}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(json.dumps(body).encode()))


@pytest.mark.parametrize("output", ["jsonl", "csv", "json"])
def test_a_run_without_an_id_costs_no_other_run_and_is_not_gone(
    output: OutputFormat, commands: Commands, capsys: Out
) -> None:
    run_id, _ = commands.a_run()
    server = commands.server()
    forgetting = server._replace(wire=Forgetting(commands, "/runs", run_id))
    unknown = listed(forgetting, capsys, output)
    whole = ids(listed(server, capsys)[1])
    for code, out, err in (unknown, listed(forgetting, capsys, output, full=True)):
        assert (code, out.count(run_id)) == (ExitCode.NOT_DONE, 0)
        assert all(known in out for known in whole - {run_id})
        assert "could not all be read: The service sent items without an id. Not shown: 1 item of a list" in err
    assert show_run(forgetting, run_id, output="json") == ExitCode.DONE, "it is still known"


def test_a_workflow_without_an_id_costs_no_other_workflow_and_its_runs_are_not_gone(
    commands: Commands, capsys: Out
) -> None:
    run_id, workflow_id = commands.a_run()
    whole = ids(listed(commands.server(), capsys)[1])
    server = commands.server()._replace(wire=Forgetting(commands, "/workflows", workflow_id))
    for output in ("jsonl", "csv"):
        code, out, err = listed(server, capsys, output)
        assert (code, out.count(run_id)) == (ExitCode.NOT_DONE, 0)
        assert "could not all be read: The service sent items without an id. Not shown: 1 item of a list" in err
    assert show_run(server, run_id, output="json") == ExitCode.DONE, "it is still known"
    capsys.readouterr()
    assert ids(listed(commands.server(), capsys)[1]) == whole


def test_a_known_list_reads_only_changes_and_prints_every_run(commands: Commands, capsys: Out) -> None:
    _, whole, _ = listed(commands.server(), capsys)
    code, out, _ = listed(commands.server(), capsys)
    assert (code, sorted(out.splitlines())) == (ExitCode.DONE, sorted(whole.splitlines()))


def test_a_list_makes_the_indexes_of_ids_of_workflows_and_of_the_orders_that_it_and_the_first_screen_have(
    commands: Commands, capsys: Out
) -> None:
    list_runs(commands.server(), filter_text="", columns="", sort="users", limit=3, full=False, output="csv")
    assert len(capsys.readouterr().out.splitlines()) == 4
    (file,) = commands.folder.glob("runs*.db")
    with closing(sqlite3.connect(file)) as db:
        indexes = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name GLOB 'run_by_*'")}
    assert indexes == {"run_by_id", "run_by_status", "run_by_users", "run_by_workflow_id"}


@pytest.mark.parametrize(("status", "times"), [(500, 3), (502, 2), (503, 3), (504, 1), (429, 3)])
def test_a_server_that_fails_for_a_while_is_asked_again(
    status: int, times: int, commands: Commands, capsys: Out
) -> None:
    wire = Refusing(commands, "/workflows", status, times)
    code, out, err = listed(commands.server()._replace(wire=wire), capsys)
    assert (code, wire.left) == (ExitCode.DONE, 0)
    assert ids(out)
    assert f"({status}); runtui asks again at " in err


def test_workflows_on_a_page_that_cannot_be_read_are_reported_and_keep_their_runs(
    commands: Commands, capsys: Out
) -> None:
    server = commands.server(page_size=9)
    part = server._replace(wire=Refusing(commands, "/workflows?$skiptoken", 404))
    code, out, err = listed(part, capsys)
    assert (code, bool(out)) == (ExitCode.NOT_DONE, True)
    assert "The list is incomplete. The runs of some workflows could not all be read: Not found." in err
    whole = ids(listed(server, capsys)[1])
    code, again, err = listed(part, capsys, "csv")
    assert (code, len(again.splitlines()) - 1) == (ExitCode.NOT_DONE, len(out.splitlines())), "all others are outdated"
    assert "some workflows" not in err, "they are known by their names"
    assert ids(listed(server, capsys)[1]) == whole


def test_a_list_of_workflows_that_cannot_be_read_prints_no_data(commands: Commands, capsys: Out) -> None:
    server = commands.server()._replace(wire=Refusing(commands, "/workflows", 500))
    with pytest.raises(RuntuiError, match="The runs could not be read"):
        listed(server, capsys)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("status", "words"), [(500, "The service failed (500)"), (503, "The service is busy (503)")])
def test_a_run_and_its_results_are_asked_for_again(status: int, words: str, commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run("failed")
    for part in ("$batch", f"/runs/{run_id}"):  # its results are read once, the run each time
        wire = Refusing(commands, part, status, MAX_REPEATS)
        server = commands.server()._replace(wire=wire)
        assert show_run(server, run_id, output="json", workflow_id=workflow_id) == ExitCode.DONE
        captured = capsys.readouterr()
        assert json.loads(captured.out)["failedTasks"]
        assert captured.err.count(f"{words}; trying again now.") == MAX_REPEATS
        assert wire.left == 0


def test_a_run_that_is_not_found_names_the_workflows_that_could_not_be_looked_through(commands: Commands) -> None:
    run_id, workflow_id = commands.a_run()
    server = commands.server()._replace(wire=Refusing(commands, f"{workflow_id}/runs", 403))
    with pytest.raises(RuntuiError, match="The run was not found") as caught:
        show_run(server, run_id, output="json")
    assert "could not all be read: Access denied." in str(caught.value)


def test_of_many_runs_those_that_cannot_be_read_come_with_the_next_step(commands: Commands, capsys: Out) -> None:
    (one, workflow_id), (other, _) = commands.a_run("failed"), commands.a_run("completed")
    server = commands.server()._replace(wire=Refusing(commands, "/beta/", 403))
    code = update(server, [one, other], ["failedTasksCount=7"], workflow_id=workflow_id, yes=True, output="json")
    told = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert (code, len(told)) == (ExitCode.NOT_DONE, 2)
    assert all("The run cannot be read. Access denied. No. Reading needs LifecycleWorkflows" in line for line in told)


def test_of_many_runs_one_in_an_unread_workflow_is_not_called_gone_and_an_old_list_is_no_base(
    commands: Commands, capsys: Out
) -> None:
    (stored, of_stored), (run_id, workflow_id) = commands.a_run("failed"), commands.a_run("inProgress")
    assert of_stored != workflow_id
    server = commands.server()._replace(wire=Refusing(commands, f"{workflow_id}/runs", 403))
    how: dict[str, Any] = {"yes": True, "output": "json"}
    code = update(server, [stored, run_id], ["failedTasksCount=7"], **how)
    told = {line["runId"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (code, told[stored]["outcome"], told[run_id]["outcome"]) == (ExitCode.NOT_DONE, "done", "not done")
    assert "The list is incomplete and lacks this run." in told[run_id]["message"]
    # The store has the value 7, the server has 8.
    other = Commands(commands.app, commands.folder / "other")
    other.update(stored, "failedTasksCount=8", workflow=of_stored)
    capsys.readouterr()
    server = server._replace(wire=Refusing(commands, f"{of_stored}/runs?", 403))
    update(server, [stored, run_id], ["failedTasksCount=9"], **how)
    told = {line["runId"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told[stored]["changed"]["failedTasksCount"] == {"before": 8, "after": 9}
