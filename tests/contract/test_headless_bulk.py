"""`runtui update` of many runs and `runtui undo --batch` in this process: the printed lines match what is applied."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.command_line import SessionSpec
from runtui.domain.report import Outcome
from runtui.errors import ExitCode, UsageError
from runtui.headless import changes as sending
from runtui.headless.bulk import undo_batch, update
from runtui.headless.changes import ChangeOptions
from runtui.headless.console import keep_exit_code
from runtui.settings import Settings
from tests.contract.headless_commands import ROOT, Commands, Out, token
from tests.contract.test_bulk import (
    FORBIDDEN,
    THROTTLED,
    Bend,
    Forward,
    Json,
    Line,
    plain,
    refused,
    reply,
    some_refused,
)

PROBLEMS = "status:failed,inProgress,completedWithErrors"
TO_CANCELED = "processingStatus=canceled"


class Bulk(Commands):
    """Commands whose batches of changes a test manipulates."""

    def __init__(self, app: Starlette, folder: Path) -> None:
        super().__init__(app, folder)
        self.wire = Line(app, plain)

    def server(self, **choices: Any) -> SessionSpec:
        facts: dict[str, Any] = {"root": ROOT, "tenant": "Contoso", "state_folder": self.folder}
        return SessionSpec(settings=Settings(**facts | choices), token=token, wire=self.wire)

    def bend(self, bend: Bend) -> None:
        self.wire.bend = bend

    def change(self, *run_ids: str, text: str | None = None, **options: Any) -> int:
        how = {"yes": True, "filter_text": text} | options
        return update(self.server(), run_ids, [TO_CANCELED], **how)

    def statuses(self) -> dict[str, str]:
        """The value last written to each run."""
        return {write.run_id: write.body["processingStatus"] for write in self.app.state.applied}


@pytest.fixture
def bulk(sandbox_app: Starlette, tmp_path: Path) -> Bulk:
    return Bulk(sandbox_app, tmp_path)


def lines(capsys: Out) -> tuple[list[Json], str]:
    """Return the JSON objects on standard output, and standard error."""
    captured = capsys.readouterr()
    return [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_a_table_is_printed_even_in_a_pipe_if_it_is_asked_for(bulk: Bulk, capsys: Out) -> None:
    run_ids = [bulk.a_run(status)[0] for status in ("failed", "completed")]
    assert bulk.change(*run_ids, output="table") == ExitCode.DONE
    assert {tuple(line.split()[:2]) for line in capsys.readouterr().out.splitlines()} == {("done", i) for i in run_ids}


def test_runs_that_match_a_filter_are_changed_and_all_undone(bulk: Bulk, capsys: Out) -> None:
    assert bulk.change(text=PROBLEMS) == ExitCode.DONE
    told, said = lines(capsys)
    assert len(told) > 20
    assert {line["outcome"] for line in told} == {"done"}
    assert bulk.statuses() == {line["runId"]: "canceled" for line in told}
    entries = bulk.entries()
    assert {(entry.number, entry.run_id) for entry in entries} == {(line["entry"], line["runId"]) for line in told}
    assert len({entry.batch for entry in entries}) == 1
    before = Counter(entry.before["processingStatus"] for entry in entries)
    for words in (f"changes   {len(told)} runs", f"{before['failed']} failed", "→ canceled", "cancelProcessing"):
        assert words in said
    assert said.endswith(f"{len(told)} runs: {len(told)} done.\n")
    options = ChangeOptions(yes=True)
    assert undo_batch(bulk.server(), bulk.entries()[3], options) == ExitCode.DONE
    undone, said = lines(capsys)
    assert len(undone) == len(told)
    assert Counter(bulk.statuses().values()) == before
    assert f"undoes    {len(told)} runs" in said
    assert undo_batch(bulk.server(), bulk.entries()[-1], options) == ExitCode.NOT_DONE
    again, said = lines(capsys)
    assert all("It is already undone" in line["message"] for line in again)
    assert "There is nothing to send." in said


@pytest.mark.parametrize("body", ["full", "changed"])
def test_with_the_full_body_each_run_is_sent_its_own_required_properties(body: str, bulk: Bulk, capsys: Out) -> None:
    """The service refuses a change that lacks one; the undo goes back with them too."""
    settings = bulk.server(body_mode=body)
    how: dict[str, Any] = {"yes": True, "filter_text": PROBLEMS, "keep_going": True}
    assert update(settings, (), [TO_CANCELED], **how, dry_run=True) == ExitCode.DONE
    planned = {line["runId"]: line["body"] for line in lines(capsys)[0]}
    bulk.app.state.scenario.use("required")
    assert update(settings, (), [TO_CANCELED], **how) == (ExitCode.DONE if body == "full" else ExitCode.NOT_DONE)
    told, said = lines(capsys)
    applied = bulk.app.state.applied
    if body == "changed":
        assert applied == []
        assert all("is required" in line["message"] for line in told)
        assert "Also sends" not in said
        return
    assert len(told) > 20
    assert "Also sends 7 unchanged required properties, each run its own." in said
    assert {write.run_id: write.body for write in applied} == planned
    assert len({json.dumps(sent) for sent in planned.values()}) > 20, "their own"
    applied.clear()
    assert undo_batch(settings, bulk.entries()[-1], ChangeOptions(yes=True)) == ExitCode.DONE
    before = {entry.run_id: entry.before for entry in bulk.entries() if entry.undoes is None}
    assert {write.run_id: write.body for write in applied} == {
        run_id: {**planned[run_id], "processingStatus": before[run_id]["processingStatus"]} for run_id in planned
    }


def test_ids_come_from_the_command_line_and_from_standard_input_each_once(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    known = dict(map(bulk.a_run, ("failed", "completed", "canceled")))
    failed, completed, canceled = known
    text = f"{completed.upper()}\n\n  {canceled}  \nnowhere\n{completed}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8-sig"))))
    assert bulk.change(failed, "-") == ExitCode.NOT_DONE
    told, said = lines(capsys)
    assert {line["runId"]: (line["outcome"], line["entry"] is not None) for line in told} == {
        failed: ("done", True),
        completed: ("done", True),
        canceled: ("done", False),
        "nowhere": ("not done", False),
    }
    assert {line["runId"]: line["workflowId"] for line in told} == known | {"nowhere": None}
    assert bulk.statuses() == {failed: "canceled", completed: "canceled"}
    assert "Left out: 1 that the server does not list, 1 with these values already." in said
    assert said.endswith("4 runs: 3 done, 1 not done.\n")


def test_runs_of_the_local_store_are_read_before_the_review(bulk: Bulk, capsys: Out) -> None:
    run_ids = [bulk.a_run(status)[0] for status in ("failed", "completed")]
    assert bulk.change(*run_ids, dry_run=True) == 0
    listings = bulk.wire.requests["GET workflow"]
    assert bulk.change(run_ids[0].upper(), run_ids[1]) == 0
    bulk.app.state.applied.clear()
    capsys.readouterr()
    other = Bulk(bulk.app, bulk.folder / "other")
    assert other.change(run_ids[0], run_ids[1], "nowhere") == 1
    assert bulk.change(*run_ids) == 0
    assert bulk.wire.requests["GET workflow"] == listings == 1
    assert bulk.app.state.applied == []
    assert "2 with these values already" in lines(capsys)[1]


def test_a_dry_run_prints_each_request_and_sends_none(bulk: Bulk, capsys: Out) -> None:
    assert bulk.change(text="status:failed", dry_run=True, yes=False) == 0
    told, _ = lines(capsys)
    assert len(told) > 1
    for line in told:
        assert line["url"] == f"{ROOT}/workflowBase/runs/{line['runId']}"
        assert line["body"]["processingStatus"] == "canceled"
    assert (bulk.wire.batches, bulk.entries(), bulk.app.state.applied) == (0, [], [])


@pytest.mark.parametrize(
    ("run_ids", "text", "options", "words", "given"),
    [
        ((), None, {}, "Which runs", b""),
        (("a", "b"), "status:failed", {}, "Which runs", b""),
        ((), " ", {}, "filter is empty", b""),
        (("-",), None, {}, "holds no id", b"\n \n"),
        (("-",), None, {}, "'✗ failed  a_1' is no id. .* jq -r .run.id", "✗ failed  a_1\n".encode()),
        (("-",), None, {}, "is no id", b'{"run": "a"}'),
        (("-",), None, {}, "is no id", b'"a"'),
        (("-",), None, {}, "is no id", b"a\0b\0"),
        (("-",), None, {}, "is not UTF-8", b"\xff\xfea"),
        ((), "status:failed", {"yes": False}, "Not a terminal: add --yes", b""),
        (("a", "b"), None, {"yes": False}, "Not a terminal: add --yes", b""),
    ],
)
def test_a_senseless_command_line_sends_no_request(
    run_ids: tuple[str, ...],
    text: str | None,
    options: dict[str, bool],
    words: str,
    given: bytes,
    bulk: Bulk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    with pytest.raises(UsageError, match=words):
        bulk.change(*run_ids, text=text, **options)
    assert not bulk.wire.requests


def test_a_read_only_session_refuses_many(bulk: Bulk) -> None:
    with pytest.raises(UsageError, match="read-only"):
        update(bulk.server(read_only=True), ["a", "b"], [TO_CANCELED], yes=True)
    assert not bulk.wire.requests


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_refusal_stops_the_rest_unless_it_is_to_go_on(keep_going: bool, bulk: Bulk, capsys: Out) -> None:
    bulk.bend(some_refused(403, FORBIDDEN, again=False))
    text = "status:completed,failed"
    assert bulk.change(text=text, keep_going=keep_going) == ExitCode.NOT_DONE
    told, said = lines(capsys)
    done = {line["runId"] for line in told if line["outcome"] == "done"}
    unsent = [line for line in told if "stopped before anything was sent" in line["message"] or not line["status"]]
    assert done == set(bulk.statuses())
    assert bool(unsent) is not keep_going
    if not keep_going:
        assert "--keep-going" in said
        assert f"{len(unsent)} stopped before they were sent." in said


def test_a_throttled_item_is_waited_for_and_the_wait_is_reported(bulk: Bulk, capsys: Out) -> None:
    bulk.bend(some_refused(429, THROTTLED, again=True))
    assert bulk.change(text=PROBLEMS) == ExitCode.DONE
    told, said = lines(capsys)
    assert {line["outcome"] for line in told} == {"done"}
    assert set(bulk.statuses()) == {line["runId"] for line in told}
    throttled = [entry for entry in bulk.entries() if entry.outcome is Outcome.NOT_DONE]
    assert 0 < said.count("The service is busy (429); trying again") < len(throttled), "not once for each run"


def test_ctrl_c_after_the_last_outcome_stops_nothing_and_says_nothing(
    bulk: Bulk, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        for _ in range(4):  # the loop reads the signal in one turn and calls its handler in the next
            await asyncio.sleep(0)
        await keep_exit_code()

    monkeypatch.setattr("runtui.headless.changes.keep_exit_code", interrupted)
    assert bulk.change(bulk.a_run("failed")[0]) == ExitCode.DONE
    assert "Stopping" not in capsys.readouterr().err


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_stops_after_what_is_on_the_wire_and_twice_waits_for_nothing(
    times: int, bulk: Bulk, capsys: Out
) -> None:
    text = "status:completed,failed"

    async def interrupted(body: Json, forward: Forward, number: int) -> httpx.Response:
        if number == 1:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        if times == 2:
            await asyncio.Event().wait()
        return reply(await forward(body))

    bulk.bend(interrupted)
    code = bulk.change(text=text)
    told, said = lines(capsys)
    outcomes = Counter(line["outcome"] for line in told)
    applied = set(bulk.statuses())
    assert "Stopping after the requests in progress" in said
    assert {line["runId"] for line in told if line["outcome"] == "done"} <= applied
    assert not applied & {line["runId"] for line in told if line["outcome"] == "not done"}
    assert outcomes["not done"] > 0
    if times == 1:
        assert code == ExitCode.NOT_DONE
        assert 0 < outcomes["done"] == len(applied)
    else:
        assert code == ExitCode.UNKNOWN
        assert outcomes["unknown"] > 0
    recorded = {entry.run_id: entry.outcome for entry in bulk.entries()}
    assert {line["runId"]: Outcome(line["outcome"]) for line in told if line["runId"] in recorded} == recorded


@pytest.mark.parametrize(
    ("text", "answer", "is_sent"),
    [(PROBLEMS, "n", False), (PROBLEMS, "COUNT", True), ("status:failed", "", False), ("status:failed", "y", True)],
)
def test_on_a_terminal_a_few_take_a_yes_and_many_take_their_number(
    text: str, answer: str, is_sent: bool, bulk: Bulk, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    bulk.change(text=text, dry_run=True)
    count = len(lines(capsys)[0])

    async def typed(question: str) -> str:
        assert (f"Type {count} to send: " in question) is (count > 20)
        return answer.replace("COUNT", str(count))

    async def confirmed(question: str) -> bool:
        return await typed(question) == "y"

    monkeypatch.setattr("runtui.headless.changes.can_ask", lambda: True)
    monkeypatch.setattr(sending, "confirmed", confirmed)
    monkeypatch.setattr(sending, "answer_to", typed)
    assert bulk.change(text=text, yes=False) == (0 if is_sent else 1)
    assert len(bulk.app.state.applied) == (count if is_sent else 0)


def test_a_person_decides_after_a_refusal(bulk: Bulk, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    asked: list[str] = []

    async def typed(question: str) -> str:
        return "".join(filter(str.isdigit, question))

    async def confirmed(question: str) -> bool:
        asked.append(question)
        bulk.bend(plain)
        return True

    async def forbidden(body: Json, _forward: Forward, _number: int) -> httpx.Response:
        return reply({"responses": [refused(item, 403, FORBIDDEN) for item in body["requests"]]})

    monkeypatch.setattr("runtui.headless.changes.can_ask", lambda: True)
    monkeypatch.setattr(sending, "confirmed", confirmed)
    monkeypatch.setattr(sending, "answer_to", typed)
    bulk.bend(forbidden)
    assert bulk.change(text="status:completed,failed", yes=False) == ExitCode.NOT_DONE
    told, _ = lines(capsys)
    assert asked == ["Go on?"]
    outcomes = Counter(line["outcome"] for line in told)
    assert outcomes["not done"] <= 80, "what was on the wire by then"
    assert outcomes["done"] == len(bulk.app.state.applied) > 0


def test_a_defect_in_the_middle_is_reported_at_once_and_every_run_has_an_end(
    bulk: Bulk, capsys: Out, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise TypeError("nobody expects it")

    monkeypatch.setattr("runtui.services.writing.drive.store_observed", defect)
    gc.collect()  # the tasks of earlier tests are not reported here
    caplog.clear()
    bulk.change(text=PROBLEMS)
    told, said = lines(capsys)
    assert {line["runId"] for line in told if line["outcome"] == "not done"}.isdisjoint(bulk.statuses())
    assert [record.getMessage().split()[0] for record in caplog.records if record.name == "asyncio"] == ["bulk"]
    assert said.splitlines()[-1].startswith(f"{len(told)} runs: ")
