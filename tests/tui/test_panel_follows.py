"""The panel follows the cursor: it shows the run under the cursor, or says that it shows another one."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import httpx
import pytest
from textual import events

from runtui.prelude.terminal import TAKEOVER
from runtui.sandbox.app import create_app
from runtui.services.records.journal_file import JournalError
from runtui.services.store import results as store_results
from runtui.tui.screens.frame import ViewScreen
from runtui.tui.widgets.json_view import JsonView
from runtui.tui.widgets.side_panel import ANOTHER_RUN
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.test_review import to_the_review
from tests.tui.wires import Graph, Held, reply

MOVES = ("j", "k", "pagedown", "pageup", "g", "G", "down", "up")
OTHERS = ("x", "I", "s", "space", "right_square_bracket", "left_square_bracket", "J", "escape", "enter", "z", "r", "e")


def panel_lines(session: Session) -> list[str]:
    region = session.panel.region
    lines = session.text().splitlines()[region.y : region.bottom]
    return [line[region.x : region.right].strip(" ▏│╭╮╰╯─") for line in lines]


def run_in_sight(session: Session) -> str:
    """Return the id of the run that the panel shows, from the JSON on the screen; empty for none."""
    lines = panel_lines(session)
    return next((line.partition('"id": "')[2] for line in lines if '"id": "' in line), "")


def check_the_panel(session: Session) -> None:
    """Assert that the panel is about the run under the cursor, or says that it is not."""
    if not session.panel.display or tab_of(session) != "run" or session.view not in ("runs", "journal"):
        return
    row = session.runs.list.row if session.view == "runs" else None
    entry = session.journal.entry if session.view == "journal" else None
    under_cursor = row.id if row is not None else entry.run_id if entry is not None else ""
    shown = run_in_sight(session)
    if shown and not under_cursor.startswith(shown.removesuffix('",').removesuffix("…")):
        assert any(line.endswith(ANOTHER_RUN) for line in panel_lines(session)[:3]), session.text()


async def rest(session: Session) -> None:
    """Wait until the panel shows the run that the cursor rests on."""
    await session.until(lambda: all(worker.is_finished for worker in session.app.workers))
    await session.settled()
    if session.panel.display and tab_of(session) == "run":
        assert not session.panel.shows_another_run, session.text()


async def walk(session: Session, seed: int, steps: int) -> None:
    chance = random.Random(seed)
    for _ in range(steps):
        key = chance.choice(MOVES if chance.random() < 0.7 else OTHERS)
        await session.press(key)
        if session.view not in ("runs", "journal"):
            await session.press("escape")
        check_the_panel(session)
        if chance.random() < 0.1:
            await rest(session)
            check_the_panel(session)
    await rest(session)


async def test_a_short_walk(open_session: Opener) -> None:
    async with open_session(runs=60) as session:
        await walk(session, seed=1, steps=40)


async def test_nothing_is_read_for_the_panel_until_the_keys_typed_before_the_app_are_drawn(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, rests, read, drawn = asyncio.sleep, list[float](), list[str](), asyncio.Event()

    async def note(seconds: float) -> None:
        rests.append(seconds)
        await (sleep(0) if len(rests) < 4 else drawn.wait())

    def noted(run_id: str) -> str:
        read.append(run_id)
        return run_id

    async with open_session(runs=20) as session:
        await rest(session)
        known = session.app.chrome.panel._known
        monkeypatch.setattr(session.app.chrome.panel, "_known", lambda run_id: known(noted(run_id)))
        monkeypatch.setattr("runtui.tui.screens.panel.REST_SECONDS", 0.1234)
        monkeypatch.setattr(asyncio, "sleep", lambda seconds: note(seconds) if seconds == 0.1234 else sleep(seconds))
        monkeypatch.setattr(TAKEOVER, "is_ahead", True)
        session.app.post_message(events.Key("j", "j"))
        await session.until(lambda: len(rests) == 4)
        assert not read
        TAKEOVER.is_ahead = False
        drawn.set()
        await session.until(lambda: read)
        await rest(session)


async def test_two_quick_keys_leave_the_panel_as_it_is_and_a_key_that_is_held_empties_it(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(runs=60) as session:
        await session.panel_rested()
        monkeypatch.setattr("runtui.tui.screens.panel.REST_SECONDS", 3_600)
        first = run_in_sight(session)
        for key in ("j", "j"):
            await session.press(key)
            assert run_in_sight(session) == first
            assert any(line.endswith(ANOTHER_RUN) for line in panel_lines(session)[:3])
        await session.press("j")
        assert run_in_sight(session) == ""


@pytest.mark.slow
@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=str)
async def test_a_walk_of_1_000_keys(open_session: Opener, size: tuple[int, int]) -> None:
    async with open_session(runs=240, size=size) as session:
        await walk(session, seed=10, steps=1_000)


class Watched(httpx.AsyncBaseTransport):
    """The sandbox; records the paths of the requests."""

    def __init__(self) -> None:
        self._inner = httpx.ASGITransport(create_app(runs=60))
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        return await self._inner.handle_async_request(request)


async def test_a_held_key_reads_nothing_until_it_rests(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Watched()
    async with open_session(wire=wire) as session:
        await rest(session)
        before = list(wire.asked)
        first = session.panel.cursor_run
        with monkeypatch.context() as held:  # however slow the machine is, no pause between two keys is a rest
            held.setattr("runtui.tui.screens.panel.REST_SECONDS", 3_600)
            await session.press("j")
            assert session.panel.shows_another_run
            assert ANOTHER_RUN in session.text()
            for _ in range(10):
                await session.press("j")
            assert not any(panel_lines(session)[1:-1]), "what moves on is drawn by the terminal, beside nothing"
        await session.press("j")
        row = there(session.runs.list.row)
        assert session.panel.cursor_run == row.id != first
        await rest(session)
        assert row.workflow_name[:20] in "\n".join(panel_lines(session)[:3])
        assert ANOTHER_RUN not in session.text()
        assert len(wire.asked) == len(before) + 1, "only where the cursor came to rest"
        await session.press("k")
        await rest(session)
        await session.press("j")
        await rest(session)
        assert len(wire.asked) == len(before) + 2, "what is in the store is not asked for again"


async def test_the_read_for_a_row_is_cancelled_when_the_cursor_leaves_it(open_session: Opener) -> None:
    held = Held(httpx.ASGITransport(create_app(runs=60)))
    async with open_session(wire=held) as session:
        await rest(session)
        held.hold()
        await session.press("j")
        await session.until(lambda: "Reading its task results" in session.text())
        reading = [worker for worker in session.app.workers if not worker.is_finished]
        await session.press("j")
        assert all(worker.is_cancelled for worker in reading)
        held.release()
        await rest(session)
        check_the_panel(session)


async def test_results_that_are_refused_are_said_beside_what_is_known(open_session: Opener) -> None:
    refused = reply(403, {"error": {"code": "Forbidden", "message": "Insufficient privileges."}})
    async with open_session(graph=Graph(answer_to_results=lambda: refused)) as session:
        await rest(session)
        shown = " ".join("\n".join(panel_lines(session)).split())
        assert "Its task results could not be read" in shown
        assert "scheduled 20 Nov" in shown
        assert session.app.chrome.status.text == "", "the list itself is whole"


async def test_answers_that_arrive_while_the_panel_is_closed_are_there_when_it_opens(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.press("right_square_bracket")
        await rest(session)
        for key in ("j", "escape"):
            session.app.post_message(events.Key(key, None))
        await session.settled()
        await rest(session)
        assert not session.panel.display
        await session.press("right_square_bracket")
        row = there(session.runs.list.row)
        assert row.workflow_name in panel_lines(session)[1]
        assert run_in_sight(session) or "provisioning object" in session.text(), "the page as well as its line"


async def test_the_first_frame_of_a_question_has_its_page(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual paints a screen right after its layout; its widgets may get their sizes later."""
    first_frame: list[str] = []
    resumed = ViewScreen.on_screen_resume

    def on_screen_resume(self: ViewScreen[None]) -> None:
        resumed(self)
        if self.view.scope == "review":
            page = self.query_one(JsonView)
            first_frame[:] = [page._draw_text(number).text.strip() for number in range(page.line_count)]

    monkeypatch.setattr(ViewScreen, "on_screen_resume", on_screen_resume)
    async with open_session(wire=Graph().wire) as session:
        await to_the_review(session)
        shown = [line.strip() for line in panel_lines(session)]
        assert "PATCH http" in first_frame[0]
        assert first_frame == shown[2 : 2 + len(first_frame)]


async def test_a_change_brings_its_tabs_forward_until_the_cursor_moves(open_session: Opener) -> None:
    async with open_session(wire=Graph().wire) as session:
        await session.press("e")
        await session.until(lambda: tab_of(session) == "request")
        assert "Not sent yet." not in session.text(), "nothing has changed"
        await session.press("enter", "up", "enter", "escape")
        assert tab_of(session) == "request", "the cursor is still on the run"
        assert "Not sent yet." in "\n".join(panel_lines(session))
        assert "run-4" in "\n".join(panel_lines(session)[:3]), "which run it is about"
        await session.press("j")
        assert tab_of(session) == "run"
        await session.press("right_square_bracket", "j")
        assert tab_of(session) == "request", "what a person chose stays"
        assert ANOTHER_RUN in "\n".join(panel_lines(session)[:3])


async def test_what_is_known_at_once_leaves_the_tab_of_a_change_in_front(open_session: Opener) -> None:
    async with open_session(runs=20) as session:
        await session.press("enter", "enter")
        await session.until(lambda: session.view == "tasks" and there(session.front.view.list).row is not None)
        await session.press("e")
        await session.until(lambda: tab_of(session) == "request")
        await session.press("escape")
        assert session.view == "tasks"
        assert tab_of(session) == "request", "the task is one of the same run"


async def test_the_panel_that_gets_the_keys_shows_what_was_just_done(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(runs=20) as session:
        await rest(session)
        monkeypatch.setattr("runtui.tui.screens.panel.REST_SECONDS", 3_600)
        await session.press("f")
        assert "handled" not in "\n".join(panel_lines(session))
        await session.press("greater_than_sign")
        assert "handled" in "\n".join(panel_lines(session))


async def test_the_request_is_back_when_a_form_is_in_front_again(open_session: Opener) -> None:
    async with open_session(graph=Graph(), size=(80, 24)) as session:
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        await session.press("f12", "c")
        await session.until(lambda: session.view == "causes")
        await session.press("escape")
        await session.until(lambda: session.view == "edit")
        assert tab_of(session) == "request"
        await session.press("right_square_bracket", "question_mark", "escape")
        assert [tab_of(session)] == ["response"], "what a person chose stays"


async def test_the_response_stays_when_its_run_leaves_the_list(open_session: Opener) -> None:
    async with open_session(runs=30) as session:
        await session.type("/status:failed")
        await session.press("enter")
        changed = session.runs.table.cursor_id
        await session.press("e", "enter", "up", "enter")
        await session.until(lambda: session.draft is not None and session.draft.changes())
        await session.press("ctrl+s", "y")
        await session.until(lambda: "The filter no longer shows the run" in session.text())
        await session.until(lambda: session.runs.table.cursor_id not in (changed, None))
        assert tab_of(session) == "response"
        assert "200 OK" in "\n".join(panel_lines(session)), "the cursor was moved by nobody"
        await session.press("j")
        assert tab_of(session) == "run"


async def test_the_panel_reads_what_failed_and_not_the_users_of_a_large_run(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    kept = store_results.kept_object

    def kept_object(text: object) -> dict[str, object] | None:
        read.append(text)
        return kept(text)

    monkeypatch.setattr(store_results, "kept_object", kept_object)
    async with open_session(runs=20) as session:
        await rest(session)
        store, run_id = session.workspace.store, session.panel.cursor_run
        failure = {"id": "f", "processingStatus": "failed", "failureReason": "No seat.", "task": {"displayName": "Add"}}
        users = [{"id": f"u{number}", "subject": {"id": f"s{number}"}} for number in range(500)]
        store.put_results(run_id, store.as_of(run_id), [failure], users)
        for _ in range(2):
            await session.press("slash")
            await session.type("no-such-run")
            await session.until(lambda: session.runs.table.total == 0)
            read.clear()
            await session.press("escape")
            await session.until(lambda: "No seat." in session.text())
            assert len(read) == 1


def tab_of(session: Session) -> str:
    return session.panel.tab


async def test_a_run_that_is_damaged_on_disk_is_reported_in_the_panel(open_session: Opener) -> None:
    async with open_session(runs=20) as session:
        with session.workspace.store.writing() as (db, _):
            db.execute("UPDATE body SET raw = '{'")
        await session.press("j")
        await session.panel_rested()
        assert "cannot be read; r refreshes the list." in " ".join(panel_lines(session)), session.text()
        await session.press("r")
        await session.until(lambda: '"processingStatus"' in session.text())


async def test_a_journal_that_cannot_be_read_is_reported_in_the_panel(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise JournalError(Path("journal.db"), "disk I/O error")

    async with open_session(runs=30) as session:
        monkeypatch.setattr(session.workspace.journal, "of_run", fail)
        await session.press("j")
        await rest(session)
        assert "disk I/O error. Set RUNTUI_STATE" in " ".join(panel_lines(session))
