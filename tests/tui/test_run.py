"""An opened run: its users, the tasks of one user, and the way back to the same row."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest

from runtui.domain.columns import RESERVED_CELLS
from runtui.tui.features.opening import Opening
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.wires import Graph, Held, reply


def left_text(session: Session) -> str:
    """Return the text of the left pane."""
    right = session.left.region.right
    return "\n".join(line[:right].rstrip() for line in session.text().splitlines())


async def to_the_failed_run(session: Session) -> str:
    """Put the cursor on a run that failed for some of its users; return its id."""
    await session.press("slash")
    await session.type("status:completedWithErrors users>8")
    await session.press("enter")
    return there(session.runs.table.cursor_id)


async def test_enter_leads_to_the_tasks_of_a_user_and_esc_back_to_the_same_row(open_session: Opener) -> None:
    async with open_session(size=(140, 40)) as session:
        run_id = await to_the_failed_run(session)
        await session.press("enter")
        users = session.app.feature[Opening].users
        await session.until(lambda: users.list.rows)
        assert session.view == "users"
        failed = [row for row in users.list.rows if row.blocker is not None]
        assert users.list.table.total == len(users.list.rows) > len(failed) > 0
        first = users.list.table.row_under_cursor()
        assert first in failed, "the worst stand first"
        assert there(first.blocker).reason[:12] in left_text(session)
        assert "✗ failed" in left_text(session)

        assert f"{first.status} for {first.name}" in session.text(), "the panel follows the user"
        await session.press("slash")
        await session.type("status:completed")
        await session.press("enter")
        await session.panel_rested()
        assert f"{first.status} for {first.name}" not in session.text(), "it has nothing to say of this one: the run"
        assert '"totalUsersCount"' in session.text()
        assert users.list.table.total == len(users.list.rows) - len(failed)
        assert f"{users.list.table.total} of {len(users.list.rows)}" in session.text()
        await session.press("right")
        assert "✓ completed" not in left_text(session), "columns scroll as in the list of runs"
        await session.press("left")
        assert "✓ completed" in left_text(session)
        await session.press("space", "j")
        await session.press("escape")
        assert users.list.table.total == len(users.list.rows)
        assert "1 marked" in session.text()
        await session.press("g")
        user_id = users.list.table.cursor_id

        await session.press("enter")
        tasks = session.app.feature[Opening].tasks
        assert session.view == "tasks"
        assert there(tasks.user).id == user_id
        assert [row.result.sequence for row in tasks.list.rows] == list(range(1, len(tasks.list.rows) + 1))
        worst = there(tasks.list.table.row_under_cursor())
        assert worst.result.is_failed, "the cursor begins at what went wrong"
        await session.press("g", "s", "g")
        assert tasks.list.table.row_under_cursor() == worst
        assert worst.result.reason[:20] in session.text()
        await session.press("enter")
        assert session.panel.has_focus_within, "the task in full has the keys"
        session.app.chrome.panel.read_again()
        await session.panel_rested()
        assert f"failed for {first.name}" in session.text(), "news of the run leave the task where it is"
        await session.press("escape", "escape")
        assert (session.view, users.list.table.cursor_id) == ("users", user_id)
        await session.press("e")
        assert there(session.draft).run_id == run_id
        await session.press("escape")
        assert session.view == "users"
        await session.press("escape")
        assert (session.view, session.runs.table.cursor_id) == ("runs", run_id)


async def test_keys_typed_ahead_reach_what_they_open(open_session: Opener) -> None:
    async with open_session(size=(80, 24), ahead=True) as session:
        await to_the_failed_run(session)
        await type_keys(session, ["enter", "/", "f", "a", "i", "l", "e", "d", "enter", "space"], "in one packet")
        assert session.view == "users"
        users = session.app.feature[Opening].users.list
        await session.until(lambda: users.rows)
        assert users.filter_text == "failed"
        assert session.app.focused is users.table


def one_user(name: str = "Adele Vance", **more: Any) -> httpx.Response:
    """Return the results of a user; the answer fits both lists of results."""
    subject = {"id": "u1", "displayName": name}
    task = {"id": "t1", "displayName": "Add to groups", "executionSequence": 1}
    result = {"id": "r1", "processingStatus": "failed", "failureReason": "No group.", "subject": subject, "task": task}
    return reply(200, {"value": [result | more]})


def refused() -> httpx.Response:
    return reply(403, {"error": {"code": "Forbidden", "message": "Reports.Read.All is missing."}})


async def test_while_the_service_asks_to_wait_the_wait_is_shown_in_place_of_the_data(open_session: Opener) -> None:
    busy = {"error": {"code": "TooManyRequests", "message": "Too many requests."}}
    graph = Graph(answer_to_results=lambda: reply(429, busy))
    async with open_session(graph=graph, size=(80, 24)) as session:
        for key in ("enter", "c"):
            await session.press(key)
            await session.until(lambda: "The service is busy (429); runtui asks again at" in session.text())
            await session.press("escape")


async def test_a_failed_read_is_reported_where_the_data_would_be(open_session: Opener) -> None:
    graph = Graph(answer_to_results=refused)
    async with open_session(graph=graph, size=(80, 24)) as session:
        users = session.app.feature[Opening].users
        await session.press("enter")
        await session.until(lambda: "could not be read" in session.text())
        assert "may not" in session.text() or "403" in session.text() or "Reports.Read.All" in session.text()
        await session.press("space", "s", "I", "G", "enter")
        assert "There is nothing under the cursor." in session.status.text or "no user" in session.status.text
        assert session.view == "users"

        graph.answer_to_results = one_user
        await session.press("r")
        await session.until(lambda: "Adele Vance" in session.text())
        assert "No group." in session.text()
        await session.press("space")

        graph.answer_to_results = refused
        await session.press("escape", "enter")
        await session.until(lambda: "As read before." in session.text())
        assert "Adele Vance" in session.text(), "what was read before stays"
        assert users.list.table.marks == {"u1"}
        graph.answer_to_results = lambda: reply(200, {"value": []})
        await session.press("escape", "enter")
        await session.until(lambda: "The run has no users." in session.text())
        assert "As read before" not in session.text()

        assert users.run_id is not None
        del graph.runs[users.run_id]
        await session.press("r")
        await session.until(lambda: "gone from the server" in session.text())
        await session.press("e")
        assert session.view == "users", "a run that is gone cannot be edited"


async def test_enter_while_users_are_being_read_opens_the_first_when_it_arrives(open_session: Opener) -> None:
    wire = Held(Graph(answer_to_results=one_user).wire)
    async with open_session(wire=wire, size=(80, 24)) as session:  # without a panel nothing is read in advance
        wire.hold()
        await session.press("enter", "enter")
        assert session.view == "users"
        assert "The first user opens as soon as the users are read." in session.text()
        wire.release()
        await session.until(lambda: session.view == "tasks")
        assert "Tasks of Adele Vance  1" in session.text()
        assert "No group." in session.text()
        await session.press("escape", "escape")
        assert session.view == "runs"

        wire.hold()
        await session.press("j", "enter", "enter", "escape")
        await session.until(lambda: not [worker for worker in session.app.workers if worker.group == "read one run"])
        wire.release()
        assert session.view == "runs", "who left waits for it no longer"


def nameless(*ids: str) -> httpx.Response:
    """Return the results of users for whom the server sends only ids."""
    return reply(
        200, {"value": [{"id": f"r{key}", "processingStatus": "failed", "subject": {"id": key}} for key in ids]}
    )


async def test_names_come_from_the_directory_where_the_results_have_ids_alone(open_session: Opener) -> None:
    graph = Graph(answer_to_results=lambda: nameless("u1", "u2", "gone"))
    async with open_session(graph=graph, size=(80, 24)) as session:
        await session.press("enter")
        await session.until(lambda: "User.ReadBasic.All" in session.status.text)
        assert "u1" in session.text()
    graph.users = {
        key: {"id": key, "displayName": f"Name {key}", "userPrincipalName": f"{key}@c"} for key in ("u1", "u2")
    }
    async with open_session(graph=graph, size=(80, 24)) as session:
        await session.press("enter")
        await session.until(lambda: "Name u1" in session.text())
        assert "Name u2" in session.text()
        assert "gone" in session.text()
        assert [person.name for person in session.workspace.store.people("u2@c", 9)] == ["Name u2"]
        await session.press("enter")
        assert "of Name " in session.text()


async def test_the_column_of_reasons_has_its_width_before_any_is_read(open_session: Opener) -> None:
    async with open_session(graph=Graph(answer_to_results=lambda: nameless("u1")), size=(160, 40)) as session:
        await session.press("enter")
        await session.until(lambda: session.app.feature[Opening].users.list.rows)
        table = session.app.feature[Opening].users.list.table
        shown = {column.key: cells for column, cells in table.arrangement.layout(table.size.width)}
        assert shown["reason"] >= RESERVED_CELLS
        assert shown.get("task", 27) == 27


class InParts(httpx.AsyncBaseTransport):
    """A network that delivers only the first page of anything."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.asked = 0
        self.awaited = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "more" not in str(request.url):
            return await self._inner.handle_async_request(request)
        self.asked += 1
        self.awaited += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.awaited -= 1
        raise AssertionError(request.url)


async def test_enter_between_the_answer_and_the_users_on_the_screen_opens_the_first_one(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(wire=Graph(answer_to_results=one_user).wire, size=(80, 24)) as session:
        opening, loop = session.app.feature[Opening], asyncio.get_running_loop()
        is_there, gate, stored = asyncio.Event(), threading.Event(), opening._stored

        def slow(run_id: str) -> Any:
            known = stored(run_id)
            if known.rows:
                loop.call_soon_threadsafe(is_there.set)
                assert gate.wait(PATIENCE)
            return known

        monkeypatch.setattr(opening, "_stored", slow)
        await session.press("enter")
        await is_there.wait()
        await session.press("enter")
        said = session.text()
        gate.set()
        assert "The first user opens as soon as the users are read." in said
        await session.until(lambda: session.view == "tasks")


async def test_the_first_users_of_a_large_run_work_while_the_rest_is_read(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.graph.results.MAX_RESULTS_HELD", 1)
    monkeypatch.setattr("runtui.services.results.LINGER_SECONDS", 0)

    def first_page() -> httpx.Response:
        return reply(200, json.loads(one_user().read()) | {"@odata.nextLink": "?more"})

    wire = InParts(Graph(answer_to_results=first_page).wire)
    async with open_session(wire=wire, size=(120, 40)) as session:
        await session.until(lambda: wire.awaited == 1)
        await session.press("enter")
        await session.until(lambda: "Adele Vance" in left_text(session))
        assert "  1, reading 3…" in left_text(session)
        await session.press("enter")
        assert session.view == "tasks"
        assert "Reading…" in left_text(session)
        assert (wire.asked, wire.awaited) == (1, 1), "panel and place share one reading"
        await session.press("escape", "escape", "z")
        assert session.view == "runs"
        await session.press("j", "k", "enter")
        await session.until(lambda: "  1, reading 3…" in left_text(session))
        assert (wire.asked, wire.awaited) == (1, 1), "the reading goes on where it was left"
