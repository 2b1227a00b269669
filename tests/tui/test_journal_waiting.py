"""A throttled change: the screen says until when it waits, and one key stops waiting."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx

from runtui.domain.draft import Draft
from runtui.domain.times import second_text
from runtui.graph.retry import Wait
from runtui.services.writing.write import Save, Step
from runtui.tui.words import pages
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.test_review import to_the_review
from tests.tui.wires import Graph, Held, a_run, reply
from tests.unit.fake_writer import exchange

BUSY = {"error": {"code": "TooManyRequests", "message": "Too many requests."}}


def busy(*_: object) -> httpx.Response:
    return reply(429, BUSY, {"retry-after": "299"})


async def send(session: Session) -> None:
    await to_the_review(session)
    await session.press("y")
    await session.until(lambda: "trying again at" in session.status.text)


async def test_a_wait_says_until_when_and_is_given_up(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=busy)
    async with open_session(wire=graph.wire) as session:
        await session.press("w")
        assert session.status.text == "No change waits."
        await send(session)
        (save,) = session.workspace.saves.active()
        words = f"The service is busy (429); trying again at {second_text(there(save.wait).until)}. w stops waiting."
        assert session.status.text == words
        assert words in " ".join(session.inside(session.panel).split())
        await session.press("w")
        await session.until(lambda: not session.workspace.saves.active())
        await session.until(
            lambda: session.status.text.startswith(
                "#1 not done (429 Too Many Requests). It was stopped while it waited."
            )
        )
        assert "The draft is kept." in session.status.text
        assert len(graph.patches) == 1


async def test_the_run_tab_tells_of_a_try_refused_while_it_is_in_front(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=busy)
    wire = Held(graph.wire)
    async with open_session(wire=wire) as session:
        await session.panel_rested()
        await to_the_review(session)
        wire.hold()
        await session.press("y", "left_square_bracket", "left_square_bracket")
        await session.panel_rested()
        assert "refused" not in session.app.chrome.panel.text()
        wire.release()
        await session.until(lambda: "refused, tried again at" in session.app.chrome.panel.text())


async def test_a_change_given_up_before_it_was_sent(open_session: Opener) -> None:
    graph = Graph()

    class Busy(httpx.AsyncBaseTransport):
        is_busy = False

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if self.is_busy and "/runs/" in request.url.path:
                return busy()
            return await graph.wire.handle_async_request(request)

    wire = Busy()
    async with open_session(wire=wire) as session:
        await to_the_review(session)
        wire.is_busy = True
        await session.press("y")
        await session.until(lambda: "trying again at" in session.status.text)
        await session.press("w")
        await session.until(lambda: "Not done. It was stopped before anything was sent." in session.status.text)
        assert graph.patches == []
        assert session.workspace.journal.entries() == []


async def test_many_changes_that_wait_say_until_when_and_which_key_stops_them(open_session: Opener) -> None:
    async with open_session(graph=Graph(answer_to_patch=busy)) as session:
        await session.press("ctrl+a", "e", "enter", "up", "enter", "ctrl+s")
        await session.until(lambda: session.view == "review")
        await session.press("y")
        await session.until(lambda: len(re.findall(r"waiting until \d\d:\d\d:\d\d", session.text())) == 5)
        await session.press("w")
        assert "No change to one run is waiting; X stops a change to many." in session.status.text
        await session.press("enter")
        assert "X stops waiting." in " ".join(session.inside(session.panel).split())
        await session.press("X")
        await session.until(lambda: "5 changes: 5 not done." in session.status.text)


def test_a_wait_longer_than_runtui_waits_is_reported_as_asked() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    draft = Draft("run-1", "w1", a_run(1), "full")
    busy = replace(exchange("PATCH"), status=429)
    wait = Wait(busy, 300.0, now + timedelta(seconds=300), 3600.0)
    save = Save(1, draft, Step.PAUSED, wait=wait, exchange=busy)
    until = second_text(wait.until)
    assert pages.wait_sentence(save, wait, now) == (
        f"The service asks to wait 1h 00m (429); trying again at {until}. w stops waiting."
    )
    wait = wait._replace(retry_after=None)
    assert pages.wait_sentence(save, wait, now).startswith(f"The service is busy (429); trying again at {until}")
    assert "trying again now." in pages.wait_sentence(save, wait, now + timedelta(hours=1))


async def test_the_journal_tells_of_a_refused_try_as_waiting_until_it_is_given_up(open_session: Opener) -> None:
    async with open_session(wire=Graph(answer_to_patch=busy).wire, size=(120, 30)) as session:
        await send(session)
        await session.press("J")
        await session.until(lambda: "↑ waiting" in session.text())
        assert "not done" not in session.inside(session.left)
        await session.press("enter")
        await session.until(lambda: "#1 refused, tried again at" in session.inside(session.panel))
        await session.press("w")
        await session.until(lambda: "✗ not done" in session.inside(session.left))
        await session.until(lambda: "#1 not done (429 Too Many Requests)" in session.inside(session.panel))
