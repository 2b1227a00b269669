"""When the server fails: one clear message with a next step, and neither the screen nor the draft is lost."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

import httpx
import pytest

from runtui.tui.features import leaving
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.test_review import to_the_review
from tests.tui.wires import Graph, a_run, reply

HTML = "<html><body><h1>Sign in</h1>[/b] \x1b[2J</body></html>"


def refused(*_: object) -> httpx.Response:
    try:
        raise ConnectionRefusedError(111, "Nothing listens at this address")
    except OSError as error:
        raise httpx.ConnectError("All connection attempts failed") from error


def half(*_: object) -> httpx.Response:
    body = json.dumps(a_run(0)).encode()
    return reply(200, body[: len(body) // 2])


def graph_error(status: int, code: str, message: str) -> Callable[..., httpx.Response]:
    error = {"error": {"code": code, "message": message, "innerError": {"request-id": "r-1"}}}
    # Without the header runtui would wait after each 500 of the list.
    return lambda *_: reply(status, error, {"Retry-After": "0"})


TROUBLES: dict[str, tuple[Callable[..., httpx.Response], str, str]] = {
    # the fault, a word of the title, a word of the next step
    "refused": (refused, "Nothing listens at this address", "port in the root"),
    "html": (lambda *_: reply(200, HTML), "This is not a response from Graph", "Check the root"),
    "401": (
        graph_error(401, "InvalidAuthenticationToken", "Access token has expired."),
        "rejects the token",
        "RUNTUI_TOKEN",
    ),
    "403": (graph_error(403, "Forbidden", "Insufficient privileges."), "Access denied", "LifecycleWorkflows"),
    "404": (graph_error(404, "ResourceNotFound", "Resource does not exist."), "Not found", "Refresh"),
    "500": (graph_error(500, "InternalServerError", "It broke."), "The server failed", "request-id"),
    "half": (half, "The response cannot be read", "proxies"),
}


async def test_trouble_with_the_list_is_reported_and_the_list_stays(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        table = session.runs.table
        await session.press("j")
        run_id = table.cursor_id
        for trouble, title, step in TROUBLES.values():
            graph.answer_to_list = trouble
            await session.press("r")
            await session.until(lambda: not session.workspace.refresh.progress.listing and session.status.text)
            assert title in session.status.text
            assert step in session.status.text
            assert "The list is incomplete." in session.status.text
            assert "incomplete" in session.header
            assert "r refresh" in session.text().splitlines()[-1]
            assert (table.total, table.cursor_id) == (5, run_id)
            assert "\x1b" not in session.text()
            graph.answer_to_list = None
            await session.press("r")
            await session.until(lambda: session.workspace.refresh.progress.fault is None and not session.status.text)
            assert "incomplete" not in session.text()
            assert "r refresh" not in session.text()


async def test_the_next_step_for_the_list_is_not_cut_off(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, size=(80, 24)) as session:
        graph.answer_to_list = graph_error(403, "Forbidden", "Insufficient privileges to complete the operation. " * 9)
        await session.press("r")
        await session.until(lambda: "Lifecycle Workflows Administrator." in session.words)
        assert "The list is incomplete. Access denied." in session.text()


@pytest.mark.parametrize(("status", "why"), [(403, "Access denied"), (404, "Not found"), (500, "server failed")])
async def test_a_workflow_that_cannot_be_read_is_named_once_and_the_others_are_listed(
    status: int, why: str, open_session: Opener
) -> None:
    graph = Graph()
    fails = [True]

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/workflows"):
            return reply(200, {"value": [{"id": name, "displayName": name.title()} for name in ("onboard", "leave")]})
        if "/leave/runs" in request.url.path:
            return graph_error(status, "x", "No.")() if fails else reply(200, {"value": []})
        return graph._handle(request)

    async with open_session(wire=httpx.MockTransport(handle)) as session:
        progress = session.workspace.refresh
        await session.until(
            lambda: "The list is incomplete. The runs of Leave could not all be read." in session.status.text
        )
        assert why in session.status.text
        assert session.runs.table.total == 5
        assert {"as", "of", "incomplete"} <= set(session.header.split())
        session.set_status("Something else.")
        last = progress.progress.finished_at
        await session.press("r")
        await session.until(lambda: not progress.progress.listing and progress.progress.finished_at != last)
        assert session.status.text == "Something else.", "said once; the first line says it all the time"
        fails.clear()
        await session.press("r")
        await session.until(lambda: "incomplete" not in session.text())


@pytest.mark.parametrize("letter", ["n", "入"])
async def test_a_long_name_leaves_the_reason_in_sight(letter: str, open_session: Opener) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/workflows"):
            return reply(200, {"value": [{"id": name, "displayName": letter * 500} for name in ("a", "b", "c")]})
        return graph_error(403, "x", "No.")()

    async with open_session(wire=httpx.MockTransport(handle), ready=False, size=(80, 24)) as session:
        await session.until(lambda: "The list is incomplete." in session.status.text)
        assert "Access denied" in session.text()


async def test_a_server_that_never_answered_leaves_an_empty_list_that_says_why(open_session: Opener) -> None:
    graph = Graph(answer_to_list=refused)
    async with open_session(wire=graph.wire, ready=False) as session:
        await session.until(lambda: "Nothing listens at this address" in session.text())
        assert "Nothing listens at this address" in session.status.text
        await session.press("e")
        assert "There is no run under the cursor." in session.text()
        graph.answer_to_list = None
        await session.press("r")
        await session.until(lambda: session.runs.table.total == 5)


async def test_trouble_with_a_save_is_reported_and_the_draft_stays(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        run_id = there(session.runs.table.cursor_id)
        for name, (trouble, title, step) in TROUBLES.items():
            graph.answer_to_patch = trouble
            await session.press("e")
            await session.until(lambda: session.view == "edit")
            if run_id not in session.workspace.drafts:
                await session.press("enter", "down", "enter")
            await session.press("ctrl+s")
            await session.until(lambda: session.view == "review")
            sent = len(graph.patches)
            await session.press("y")
            await session.until(lambda: len(graph.patches) > sent and not session.workspace.saves.active())  # noqa: B023
            await session.until(lambda: session.status.text)
            told = session.status.text
            assert ("unknown" if name in ("html", "500", "half") else "ot done") in told, (name, told)
            assert title in told
            assert step in told
            assert "The draft is kept." in told
            assert run_id in session.workspace.drafts
            assert session.runs.table.row_under_cursor() is not None
            first_lines = "\n".join(session.panel.query_one("#panel-page").render_line(y).text for y in range(12))
            assert title in first_lines
            assert "\x1b" not in session.text()
        graph.answer_to_patch = None
        await session.press("e", "ctrl+s", "y")
        await session.until(lambda: re.match(r"#\d+ done", session.status.text))
        assert len(session.workspace.drafts) == 0


@pytest.mark.parametrize(
    ("status", "title", "message", "hint"),
    [
        (
            401,
            "The server rejects the token.",
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: Revoked",
            "Start again with a fresh token in RUNTUI_TOKEN.",
        ),
        (
            403,
            "Access denied.",
            "Insufficient privileges to complete the operation.",
            "Lifecycle Workflows Administrator.",
        ),
    ],
)
async def test_a_refusal_is_read_whole_without_another_key(
    open_session: Opener, status: int, title: str, message: str, hint: str
) -> None:
    graph = Graph(answer_to_patch=graph_error(status, "Refused", message))
    async with open_session(wire=graph.wire, size=(80, 24)) as session:
        await to_the_review(session)
        await session.press("y")
        await session.until(lambda: "not done" in session.status.text)
        shown = " ".join(session.inside(session.panel).split())
        assert title in shown
        assert message in shown
        assert hint in shown
        assert hint in session.status.text


class HeldBack(httpx.AsyncBaseTransport):
    """Delays a PATCH until it is released."""

    def __init__(self, graph: Graph) -> None:
        self._inner = graph.wire
        self.released = asyncio.Event()
        self.under_way = 0
        self.most_at_once = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PATCH":
            return await self._inner.handle_async_request(request)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await self.released.wait()
            return await self._inner.handle_async_request(request)
        finally:
            self.under_way -= 1

    async def hold_a_save(self, session: Session) -> None:
        """Change the run under the cursor, and wait until its PATCH is delayed."""
        await to_the_review(session)
        await session.press("y")
        await session.until(lambda: self.under_way)

    async def outlast_the_wait(self, session: Session) -> None:
        """Change the run, quit, and wait until runtui says that the change did not end in time."""
        await self.hold_a_save(session)
        await session.press("q")
        await session.until(lambda: "outcome is unknown" in session.text())


async def test_two_quick_sends_to_one_run_never_overlap(open_session: Opener) -> None:
    graph = Graph()
    wire = HeldBack(graph)
    async with open_session(wire=wire) as session:
        await to_the_review(session)
        draft = there(session.draft)
        await session.press("y")
        await session.until(lambda: wire.under_way)
        await session.settled()
        assert "marks its run" not in session.text(), "what is being sent was not left behind"
        session.app.chrome.panel.choose("run")
        await session.until(lambda: "your change #1" in session.inside(session.panel))
        assert "~ draft" not in session.inside(session.panel), "what is being sent is no draft that e opens"
        await session.press("e")
        assert session.view == "runs", "the form waits for the answer"
        assert "A change to this run is in progress" in session.text()
        session.workspace.saves.submit(draft.typed("failedTasksCount", "9", 0))
        await session.press("j", "k", "s", "I")  # the list stays usable
        assert wire.most_at_once == 1
        wire.released.set()
        await session.until(lambda: not session.workspace.saves.active())
        assert wire.most_at_once == 1


async def test_quitting_waits_for_a_save_and_a_second_q_leaves(open_session: Opener) -> None:
    wire = HeldBack(Graph())
    async with open_session(wire=wire) as session:
        await wire.hold_a_save(session)
        await session.press("q")
        assert "Waiting for 1 change in progress" in session.text()
        assert session.app.is_running
        await session.press("q")
        assert session.app.return_code == 0
        assert not wire.released.is_set()


async def test_quitting_leaves_by_itself_when_the_save_ends(open_session: Opener) -> None:
    wire = HeldBack(Graph())
    async with open_session(wire=wire) as session:
        await wire.hold_a_save(session)
        await session.press("q")
        wire.released.set()
        await session.until(lambda: session.app.return_code == 0)


async def test_quitting_says_so_when_a_save_does_not_end(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "QUIT_SECONDS", 0.05)
    wire = HeldBack(Graph())
    async with open_session(wire=wire) as session:
        await wire.outlast_the_wait(session)
        await session.press("q")
        assert session.app.return_code == 0


async def test_quitting_waits_for_a_later_save_too(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "QUIT_SECONDS", 0.05)
    wire = HeldBack(Graph())
    async with open_session(wire=wire) as session:
        await wire.outlast_the_wait(session)
        wire.released.set()
        await session.until(lambda: not session.workspace.saves.active())
        wire.released.clear()
        await wire.hold_a_save(session)
        await session.press("q")
        assert "Waiting for 1 change in progress" in session.text()
        assert session.app.return_code is None
        wire.released.set()


async def test_a_save_that_fails_while_quitting_keeps_the_screen(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=TROUBLES["403"][0])
    wire = HeldBack(graph)
    async with open_session(wire=wire) as session:
        await wire.hold_a_save(session)
        await session.press("q")
        wire.released.set()
        await session.until(lambda: "Access denied" in session.status.text)
        assert "The draft is kept." in session.status.text
        assert "Access denied" in session.inside(session.panel)
        await session.until(lambda: all(worker.group != "quit" for worker in session.app.workers))
        assert session.app.return_code is None
        await session.press("q")
        assert session.app.return_code == 0
