"""`runtui update` and `runtui undo` in this process: their requests, their output and their exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

from runtui.auth.tokens import StaticToken
from runtui.command_line import SessionSpec
from runtui.domain.report import Outcome
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless import changes, session
from runtui.headless.bulk import entry_to_undo, update
from runtui.services.workspace import Workspace
from tests import canary
from tests.contract.headless_commands import (
    ROOT,
    Bend,
    Commands,
    Out,
    answer_with,
    lost_on_the_way,
    lost_on_the_way_back,
    refusing,
    straight,
)


def test_values_are_read_as_in_the_form_and_the_result_is_one_json_object(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run()
    code = commands.update(run_id, "failedTasksCount=1,000", "startedDateTime=null", "processingStatus=failed",
                           output="json")  # fmt: skip
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    (entry,) = commands.entries()
    assert code == 0
    assert (told["outcome"], told["entry"], told["status"], told["runId"]) == ("done", entry.number, 200, run_id)
    assert told["workflowId"] == workflow_id
    assert told["clientRequestId"] == entry.client_request_id
    assert told["requestId"] == entry.request_id != ""
    assert told["changed"]["failedTasksCount"]["after"] == 1000
    assert told["changed"]["processingStatus"] == {"before": "completed", "after": "failed"}
    (body,) = commands.applied
    assert (body["failedTasksCount"], body["startedDateTime"], body["processingStatus"]) == (1000, None, "failed")
    assert "workflowExecutionType" in body, "the full body"
    for words in (f"PATCH {entry.url}", "Contoso", "completed → failed", "sending…"):
        assert words in captured.err


@pytest.mark.parametrize(
    ("bend", "code", "words"),
    [
        (straight, ExitCode.DONE, "#1 done (200 OK).\n"),
        (answer_with(204, lambda _whole: None), ExitCode.DONE, "#1 done (204 No Content).\n"),
        (lost_on_the_way_back, ExitCode.DONE, "#1 done, seen on read-back.\n"),
        (refusing(403), ExitCode.NOT_DONE, "#1 not done (403 Forbidden). Access denied."),
        (lost_on_the_way, ExitCode.UNKNOWN, "#1 unknown. The connection broke."),
    ],
    ids=["done", "204", "answer lost", "refused", "unknown"],
)
def test_the_exit_code_tells_the_outcome(
    bend: Bend, code: ExitCode, words: str, commands: Commands, capsys: Out
) -> None:
    run_id, _ = commands.a_run()
    commands.line.bend = bend
    assert commands.update(run_id, "failedTasksCount=3") == code
    out = capsys.readouterr().out
    assert out.startswith(words)
    assert out.count("\n") == 1


def test_a_change_without_a_question_takes_one_read_and_one_request(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run()
    assert commands.update(run_id, "failedTasksCount=3", workflow=workflow_id) == ExitCode.DONE
    assert commands.methods() == ["GET", "PATCH"]
    assert capsys.readouterr().err.count("reading the latest values…") == 1


def test_an_id_typed_in_upper_case_is_recorded_as_the_service_spells_it(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = commands.a_run()
    straight_on = commands.line.handle_async_request

    async def without_regard_to_case(request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(path=request.url.path.replace(run_id.upper(), run_id))
        return await straight_on(request)

    monkeypatch.setattr(commands.line, "handle_async_request", without_regard_to_case)
    assert commands.update(run_id, "failedTasksCount=3") == ExitCode.DONE
    assert commands.update(run_id.upper(), "failedTasksCount=4") == ExitCode.DONE
    assert [entry.run_id for entry in commands.entries()] == [run_id, run_id]


def test_a_dry_run_prints_the_request_and_sends_no_write(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run()
    assert commands.update(run_id, "failedTasksCount=3", workflow=workflow_id, dry_run=True, yes=False) == 0
    first, body = capsys.readouterr().out.split("\n", 1)
    assert first == f"PATCH {ROOT}/workflowBase/runs/{run_id}"
    assert json.loads(body)["failedTasksCount"] == 3
    assert (commands.methods(), commands.entries()) == (["GET"], [])
    commands.update(run_id, "failedTasksCount=3", workflow=workflow_id)
    assert body.rstrip("\n").encode() in commands.line.bodies, "the same, byte for byte"


def test_a_dry_run_as_json(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run()
    assert commands.update(run_id, "failedTasksCount=3", dry_run=True, output="json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["method"], told["body"]["failedTasksCount"]) == ("PATCH", 3)


def test_all_mistakes_are_listed_at_once_and_no_request_is_sent(commands: Commands, capsys: Out) -> None:
    with pytest.raises(UsageError) as refused:
        commands.update("run", "procesingStatus=x", "failedTasksCount=1.5", "completedDateTime=soon",
                        "totalUsersCount=", "processingStatus=Failed", "word", "completedDateTime=now")  # fmt: skip
    said = str(refused.value)
    for sentence in (
        "'procesingStatus' is not a property that can be changed. Did you mean processingStatus? Possible: ",
        "failedTasksCount: A count is a whole number",
        "completedDateTime: Type a date-time",
        "totalUsersCount is required: it cannot be empty.",
        "processingStatus: 'Failed' is not a lifecycleWorkflowProcessingStatus.",
        "'word' has no value",
        "completedDateTime is set twice.",
    ):
        assert sentence in said
    assert refused.value.exit_code is ExitCode.USAGE
    assert commands.line.sent == []
    assert capsys.readouterr().out == ""


def test_without_a_terminal_and_without_yes_nothing_is_asked_of_the_server(commands: Commands) -> None:
    with pytest.raises(UsageError, match="Not a terminal: add --yes to confirm"):
        commands.update("run", "failedTasksCount=3", yes=False)
    assert commands.line.sent == []


def test_a_read_only_session_refuses(commands: Commands) -> None:
    with pytest.raises(UsageError, match="read-only"):
        update(commands.server(read_only=True), ["run"], ["failedTasksCount=3"], yes=True)
    assert commands.line.sent == []


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 1)])
def test_on_a_terminal_it_asks(
    answer: bool, code: int, commands: Commands, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    async def answered(_question: str) -> bool:
        assert "PATCH" not in commands.methods()
        return answer

    monkeypatch.setattr(changes, "can_ask", lambda: True)
    monkeypatch.setattr(changes, "confirmed", answered)
    run_id, _ = commands.a_run()
    assert commands.update(run_id, "failedTasksCount=3", yes=False, output="json") == code
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == ("done" if answer else "not done")
    assert len(commands.applied) == answer


def test_a_run_is_found_in_the_local_store_or_by_a_listing_or_by_its_workflow(commands: Commands) -> None:
    run_id, workflow_id = commands.a_run()
    commands.update(run_id, "failedTasksCount=3", workflow=workflow_id)
    assert "LIST" not in commands.methods()
    other_id, _ = commands.a_run("failed")
    commands.update(other_id, "failedTasksCount=3")
    assert commands.methods().count("LIST") == 1
    commands.update(other_id, "failedTasksCount=4")
    assert commands.methods().count("LIST") == 1
    with pytest.raises(RuntuiError, match="There is no such run"):
        commands.update("nowhere", "failedTasksCount=3")


def test_values_that_are_there_already_are_not_sent(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run()
    assert commands.update(run_id, "processingStatus=completed") == 0
    assert "Nothing was sent" in capsys.readouterr().out
    assert commands.entries() == []


def test_a_change_left_unknown_by_an_earlier_session_is_settled_first(commands: Commands, capsys: Out) -> None:
    run_id, workflow_id = commands.a_run()
    facts = {"run_id": run_id, "workflow_id": workflow_id, "before": {}}
    seen = commands.record(**facts, after={"processingStatus": "completed"}, client_request_id="a")
    unseen = commands.record(**facts, after={"failedTasksCount": 9}, client_request_id="b", outcome=Outcome.UNKNOWN)
    commands.update(run_id, "failedUsersCount=3")
    said = capsys.readouterr().err
    assert f"#{seen} done, seen on read-back." in said
    assert f"#{unseen} unknown; the service may still carry it out." in said


def test_a_wait_that_the_service_asks_for_is_reported(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run()
    refuse = refusing(429, **{"retry-after": "0"})

    async def once(request: object, go_on: object) -> object:
        commands.line.bend = straight
        return await refuse(request, go_on)  # type: ignore[arg-type]

    commands.line.bend = once  # type: ignore[assignment]
    assert commands.update(run_id, "failedTasksCount=3") == 0
    assert "trying again now" in capsys.readouterr().err
    assert [entry.outcome for entry in commands.entries()] == [Outcome.DONE, Outcome.NOT_DONE]


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal with its usual effect, also if whoever started the tests has it ignored, as under nohup."""
    usual = signal.default_int_handler if request.param is signal.SIGINT else signal.SIG_DFL
    before = signal.signal(request.param, usual)
    yield request.param
    signal.signal(request.param, before)


def test_a_signal_after_it_was_sent_is_unknown(number: signal.Signals, commands: Commands, capsys: Out) -> None:
    is_handled = False

    async def never(_request: object, _go_on: object) -> httpx.Response:
        nonlocal is_handled
        is_handled = signal.getsignal(number) is not signal.SIG_DFL
        if is_handled:  # else it would end the test run
            signal.raise_signal(number)
            await asyncio.Event().wait()
        raise AssertionError

    run_id, _ = commands.a_run()
    commands.line.bend = never
    assert (commands.update(run_id, "failedTasksCount=3"), is_handled) == (ExitCode.UNKNOWN, True)
    assert capsys.readouterr().out.startswith("#1 unknown. runtui stopped waiting after it was sent")
    assert [entry.outcome for entry in commands.entries()] == [Outcome.UNKNOWN]


def test_a_signal_before_it_was_sent_says_that_nothing_was(
    number: signal.Signals, commands: Commands, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    async def never(_request: object) -> httpx.Response:
        if signal.getsignal(number) is not signal.SIG_DFL:  # else it would end the test run
            signal.raise_signal(number)
            await asyncio.Event().wait()
        raise AssertionError

    run_id, _ = commands.a_run()
    usual = signal.getsignal(number)
    monkeypatch.setattr(commands.line, "handle_async_request", never)
    with pytest.raises(KeyboardInterrupt):
        commands.update(run_id, "failedTasksCount=3")
    assert capsys.readouterr().err.endswith("\nNothing was sent.\n")
    assert (commands.entries(), signal.getsignal(number)) == ([], usual)


def test_a_closed_terminal_does_not_end_what_was_started_to_outlive_it(commands: Commands, capsys: Out) -> None:
    async def hang_up(_request: object, go_on: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        signal.raise_signal(signal.SIGHUP)
        return await go_on()

    run_id, _ = commands.a_run()
    commands.line.bend = hang_up
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert commands.update(run_id, "failedTasksCount=3") == ExitCode.DONE
    finally:
        signal.signal(signal.SIGHUP, usual)
    assert "Stopping" not in capsys.readouterr().err


def test_ctrl_c_in_a_wait_that_the_service_asks_for_is_not_done(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def interrupt(*lines: str) -> None:
        if any("rying again in 1m 30s" in line for line in lines):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(session, "narrate", interrupt)
    run_id, _ = commands.a_run()
    commands.line.bend = refusing(429, **{"retry-after": "90"})
    assert commands.update(run_id, "failedTasksCount=3") == ExitCode.NOT_DONE
    assert capsys.readouterr().out.startswith("#1 not done (429 Too Many Requests). It was stopped while it waited.")
    assert [entry.outcome for entry in commands.entries()] == [Outcome.NOT_DONE]


def test_a_supplied_token_that_is_refused_is_not_called_a_sign_in(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run()
    commands.line.bend = refusing(401)
    assert commands.update(run_id, "failedTasksCount=3") == ExitCode.NOT_DONE
    said = capsys.readouterr().err
    assert "getting another token…" in said
    assert "signing in" not in said


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("is_named", "words"),
    [(True, "The service is busy ({}); trying again now."), (False, "busy ({}); runtui asks again at")],
)
def test_a_busy_service_is_asked_again_before_anything_is_written(
    is_named: bool, words: str, status: int, commands: Commands, capsys: Out
) -> None:
    run_id, workflow_id = commands.a_run()
    left = [status, status]

    class Busy(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if left:
                return await refusing(left.pop(), **{"retry-after": "0"})(request, NotImplemented)
            return await commands.line.handle_async_request(request)

    server = commands.server()._replace(wire=Busy())
    named = workflow_id if is_named else None
    assert update(server, [run_id], ["failedTasksCount=3"], yes=True, workflow_id=named) == 0
    assert words.format(status) in capsys.readouterr().err
    assert left == []


def test_undo_puts_back_what_was_there(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run()
    commands.update(run_id, "processingStatus=failed")
    capsys.readouterr()
    assert commands.undo(1, dry_run=True) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["processingStatus"] == "completed"
    assert commands.undo(1, output="json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["entry"], told["changed"]) == (2, {"processingStatus": {"before": "failed", "after": "completed"}})
    assert commands.applied[-1]["processingStatus"] == "completed"
    newest, oldest = commands.entries()
    assert (newest.undoes, oldest.undone_by) == (1, 2)
    with pytest.raises(RuntuiError, match="#1 cannot be undone") as refused:
        commands.undo(1)
    assert refused.value.exit_code is ExitCode.NOT_DONE


def test_yes_alone_does_not_undo_what_was_only_seen_on_read_back(commands: Commands, capsys: Out) -> None:
    run_id, _ = commands.a_run()
    commands.line.bend = lost_on_the_way_back
    assert commands.update(run_id, "processingStatus=failed") == 0
    assert commands.entries()[0].known_by == "read-back"
    commands.line.bend = straight
    assert commands.undo(1, dry_run=True) == 0
    with pytest.raises(RuntuiError, match="#1 cannot be undone") as refused:
        commands.undo(1)
    assert "somebody else may have made the same change" in refused.value.message
    assert "--seen-on-read-back" in refused.value.hint
    assert (refused.value.exit_code, len(commands.applied)) == (ExitCode.NOT_DONE, 1)
    assert commands.undo(1, seen_on_read_back=True) == 0
    assert commands.applied[-1]["processingStatus"] == "completed"


def test_undo_is_done_where_the_change_was_made_or_not_at_all(commands: Commands) -> None:
    number = commands.record()
    assert entry_to_undo(commands.folder, number, None).root == ROOT
    for name in (ROOT, "http://localhost/beta", "http://127.0.0.1/v1.0"):
        assert entry_to_undo(commands.folder, number, name).number == number, "a name of the same server"
    with pytest.raises(UsageError, match="cannot be undone there") as refused:
        entry_to_undo(commands.folder, number, "https://graph.microsoft.com/beta")
    assert "--root says" not in refused.value.message, "it may be from --profile or --cloud"
    with pytest.raises(UsageError, match="no such change"):
        entry_to_undo(commands.folder, number + 1, None)


def test_a_reason_is_kept_and_where_the_profile_requires_one_nothing_is_asked_without(commands: Commands) -> None:
    run_id, _ = commands.a_run()
    strict = commands.server(require_why=True)
    with pytest.raises(UsageError, match="requires a reason") as refused:
        update(strict, [run_id], ["processingStatus=failed"], yes=True, why="  ")
    assert "--why" in refused.value.hint
    assert commands.entries() == []
    assert update(strict, [run_id], ["processingStatus=failed"], yes=True, why=" ticket\n4711 ") == 0
    assert [entry.why for entry in commands.entries()] == ["ticket 4711"]


async def a_session_on_the_screen(spec: SessionSpec) -> None:
    """Open and close what a session with a screen opens, without the screen."""
    workspace = Workspace(spec.settings, spec.store_file, StaticToken(canary.TOKEN), wire=spec.wire)
    workspace.connect(spec.settings.root)
    assert not workspace.journal.entries()[1:]
    await workspace.close()


def test_a_change_by_a_command_costs_two_requests_and_no_new_log_of_a_database(commands: Commands, capsys: Out) -> None:
    """A command waits for the disk at each commit of the journal, and whenever it does more than continue a log."""
    run_id, workflow_id = commands.a_run()
    assert commands.update(run_id, "failedTasksCount=1", workflow=workflow_id) == 0
    logs = {path: path.stat().st_ino for path in commands.folder.glob("*.db-wal")}
    files = {path: path.stat().st_mtime_ns for path in commands.folder.glob("*.db")}
    asyncio.run(a_session_on_the_screen(commands.server()))
    commands.line.sent.clear()
    assert commands.update(run_id, "failedTasksCount=2", workflow=workflow_id) == 0
    assert [method for method, _ in commands.line.sent] == ["GET", "PATCH"]
    assert len(logs) == len(files) == 2, "the runs and the journal"
    assert {path: path.stat().st_ino for path in commands.folder.glob("*.db-wal")} == logs
    assert {path: path.stat().st_mtime_ns for path in files} == files, "nothing is moved from a log into its file"
    assert [entry.outcome for entry in commands.entries()] == [Outcome.DONE, Outcome.DONE]
