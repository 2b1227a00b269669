"""A service that writes the token into its data: people and files do not get it, but it goes back as it came."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from runtui.auth.tokens import StaticToken
from runtui.command_line import SessionSpec
from runtui.errors import ExitCode
from runtui.graph.exchange import Exchange
from runtui.graph.transport import Transport
from runtui.headless.bulk import entry_to_undo, undo_entry, update
from runtui.headless.changes import ChangeOptions
from runtui.headless.journal import print_entry, print_journal
from runtui.headless.output import OutputFormat
from runtui.headless.runs import list_runs
from runtui.headless.triage.show import show_run
from runtui.redact import REDACTED
from runtui.services.writing.undo import UndoError
from runtui.settings import Settings
from tests import canary
from tests.contract.headless_commands import Out

ROOT: Final = "http://127.0.0.1:1/beta"
ETAG: Final = f'W/"{canary.TOKEN}"'
RUN: Final = {
    "@odata.etag": ETAG,
    "id": "r1",
    "processingStatus": canary.TOKEN,
    "workflowExecutionType": "scheduled",
    "scheduledDateTime": "2026-11-20T09:15:03.9206151Z",
    "startedDateTime": "2026-11-20T09:15:04Z",
    "completedDateTime": None,
    "lastUpdatedDateTime": "2026-11-20T09:15:05Z",
    "totalUsersCount": 3,
    "successfulUsersCount": 1,
    "failedUsersCount": 0,
    "totalTasksCount": 6,
    "failedTasksCount": 0,
    "totalUnprocessedTasksCount": 0,
    "note": {f"seen with {canary.TOKEN}": [f"Bearer {canary.TOKEN}"]},
}

WRITERS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": lambda text: text,
    ".NET": lambda text: text.replace("+", "\\u002B").replace("=", "\\u003D"),
    "PHP": lambda text: text.replace("/", "\\/"),
    "every character": lambda text: re.sub("[!-~]", lambda found: f"\\u{ord(found[0]):04x}", text),
}
"""The ways to write a token in JSON: functions of the token."""


class EchoingGraph:
    """One workflow with one run, whose data contains the token; so does the address of the second page of runs."""

    def __init__(self, written: Callable[[str], str]) -> None:
        self.run: dict[str, Any] = dict(RUN)
        self.seen: list[httpx.Request] = []
        self._written = written

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        path = request.url.path.removeprefix("/beta")
        if path.endswith("/workflows"):
            return self._json(request, {"value": [{"id": "w1", "displayName": f"Offboard {canary.TOKEN}"}]})
        if path.endswith("/runs") and not request.url.query:
            link = str(request.url.copy_merge_params({"skip": canary.TOKEN}))
            return self._json(request, {"value": [], "@odata.nextLink": link.replace("%2F", "/")})
        if path.endswith("/runs"):
            return self._json(request, {"value": [self.run]})
        if path.endswith("Results"):
            return self._json(request, {"value": []})
        if request.method == "PATCH":
            self.run |= {name: value for name, value in json.loads(request.content).items() if "@" not in name}
        return self._json(request, self.run)

    def _json(self, request: httpx.Request, value: Any) -> httpx.Response:
        text = json.dumps(value).replace(canary.TOKEN, self._written(canary.TOKEN))
        headers = {"content-type": "application/json", "client-request-id": request.headers["client-request-id"]}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(text.encode()))

    @property
    def changes(self) -> list[httpx.Request]:
        return [request for request in self.seen if request.method == "PATCH"]


@pytest.mark.parametrize("written", WRITERS.values(), ids=WRITERS)
def test_an_echoed_token_is_hidden_everywhere_and_goes_back_unchanged(
    written: Callable[[str], str], tmp_path: Path, capfd: Out
) -> None:
    graph = EchoingGraph(written)
    settings = Settings(root=ROOT, tenant="Contoso", state_folder=tmp_path)
    server = SessionSpec(settings=settings, token=StaticToken(canary.TOKEN), wire=httpx.MockTransport(graph.answer))

    def said(code: int) -> str:
        out, err = capfd.readouterr()
        assert code == ExitCode.DONE, err
        assert not canary.holds_canary(f"{out}{err}".encode())
        assert canary.leaks(tmp_path) == []
        return out

    def listed_as(form: OutputFormat) -> int:
        return list_runs(server, filter_text="", columns="", sort="", limit=None, full=False, output=form)

    forms: tuple[OutputFormat, ...] = ("table", "json", "csv")
    for form in forms:
        assert REDACTED in said(listed_as(form))
    (line,) = said(listed_as("jsonl")).splitlines()
    listed = json.loads(line)
    assert (listed["workflow"], listed["run"]["processingStatus"]) == (f"Offboard {REDACTED}", REDACTED)
    assert listed["run"]["note"] == {f"seen with {REDACTED}": [f"Bearer {REDACTED}"]}
    assert any(canary.TOKEN in request.url.params.get("skip", "") for request in graph.seen), "the link is followed"
    assert REDACTED in said(show_run(server, "r1", output="table"))
    assert REDACTED in said(show_run(server, "r1", output="json"))

    changing = ["failedTasksCount=2"]
    assert REDACTED in said(update(server, ["r1"], changing, dry_run=True, yes=True))
    assert not graph.changes
    said(update(server, ["r1"], changing, yes=True))
    said(undo_entry(server, entry_to_undo(tmp_path, 1, None), ChangeOptions(yes=True)))
    for change, count in zip(graph.changes, (2, 0), strict=True):
        body = json.loads(change.content)
        assert body["failedTasksCount"] == count
        assert body.get("processingStatus", canary.TOKEN) == canary.TOKEN, "what nobody touched goes back as it came"
        assert change.headers["if-match"] == ETAG
    assert "processingStatus" in json.loads(graph.changes[0].content)
    assert graph.run == RUN
    for output in ("table", "json", "csv", "md"):
        said(print_journal(tmp_path, root=None, filter_text="", limit=None, output=output))
        assert REDACTED in said(print_entry(tmp_path, 1, output=output))


async def test_a_request_is_sent_as_it_is_and_shown_without_it() -> None:
    graph, told = EchoingGraph(WRITERS[".NET"]), list[Exchange]()
    wire = httpx.MockTransport(graph.answer)
    async with Transport(ROOT, token=StaticToken(canary.TOKEN), wire=wire, on_exchange=told.append) as transport:
        body = json.dumps({"processingStatus": canary.TOKEN})
        headers = (("If-Match", ETAG),)
        await transport.send("PATCH", f"/r1?like={canary.TOKEN}", purpose="x", json_body=body, headers=headers)
    (sent,), (shown,) = graph.seen, told
    assert (sent.content.decode(), sent.headers["if-match"]) == (body, ETAG)
    assert sent.url.query.decode() == f"like={canary.TOKEN}"
    assert shown.request_body == json.dumps({"processingStatus": REDACTED})
    assert ("If-Match", f'W/"{REDACTED}"') in shown.request_headers
    assert not canary.holds_canary(f"{shown!r}{shown.body_text}".encode())


def test_a_value_that_cannot_be_kept_on_disk_is_not_undone_with_a_mark(tmp_path: Path) -> None:
    graph = EchoingGraph(WRITERS[".NET"])
    settings = Settings(root=ROOT, tenant="Contoso", state_folder=tmp_path)
    server = SessionSpec(settings=settings, token=StaticToken(canary.TOKEN), wire=httpx.MockTransport(graph.answer))
    assert update(server, ["r1"], ["processingStatus=failed"], yes=True) == ExitCode.DONE
    assert json.loads(graph.changes[0].content)["processingStatus"] == "failed"
    with pytest.raises(UndoError, match="is not in the journal as it was received"):
        undo_entry(server, entry_to_undo(tmp_path, 1, None), ChangeOptions(yes=True))
    assert len(graph.changes) == 1
