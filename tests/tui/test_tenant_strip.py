"""The strip under the header: its counts, the effect of a click, and when it leaves its line to the list."""

from __future__ import annotations

import re

from runtui.domain.plots import tenant_counts
from runtui.services.store.store import RunQuery
from runtui.tui.resources import run_filter
from runtui.tui.widgets.chrome import TenantStrip
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph, a_run


def strip(session: Session) -> str:
    return session.text().splitlines()[1]


async def click(session: Session, text: str) -> None:
    await session.pilot.click(TenantStrip, offset=(strip(session).index(text), 0))
    await session.settled()


async def test_its_counts_add_up_to_the_problems_and_a_click_shows_the_runs_of_one(open_session: Opener) -> None:
    async with open_session() as session:
        store, table = session.workspace.store, session.runs.table
        counts = tenant_counts(*store.totals())
        assert all(f"{count.glyph} {count.runs} {count.word}" in strip(session) for count in counts)
        assert "14 days" in strip(session)
        *trouble, _running = counts
        assert sum(count.runs for count in trouble) == store.count(RunQuery(run_filter("is:problem")))
        for count in counts:
            await click(session, count.word)
            assert (session.runs.filter_text, table.total) == (count.filter, count.runs)
        await click(session, counts[-1].word)
        assert (session.runs.filter_text, table.total) == ("", 240)


async def test_a_click_on_the_strip_elsewhere_leads_to_the_list(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.press("J")
        assert session.view == "journal"
        await click(session, "partly")
        assert (session.view, session.runs.filter_text) == ("runs", "status:completedWithErrors")


async def test_a_digit_in_the_strip_shows_its_view_from_every_list(open_session: Opener) -> None:
    async with open_session(size=(120, 40)) as session:
        assert "2:✗" in strip(session)
        for elsewhere in ("o", "c", "J", "enter"):
            await session.press(elsewhere)
            assert session.view != "runs"
            await session.press("2")
            assert (session.view, session.runs.filter_text) == ("runs", "status:failed"), elsewhere
        await session.press("J")
        await click(session, "failed")
        assert (session.view, session.runs.filter_text) == ("runs", "status:failed"), "it was not visible"
        await session.press("o", "9")
        assert session.view == "overview"
        assert "There is no view 9" in session.text()
        await session.press("escape", "2")
        assert (session.view, session.runs.filter_text) == ("runs", "")


async def test_a_key_asks_which_of_the_counts_to_show(open_session: Opener) -> None:
    async with open_session(runs=60) as session:
        second = session.app.chrome.problems.counts[1]
        await session.press("number_sign", "down", "enter")
        assert (session.runs.filter_text, session.runs.table.total) == (second.filter, second.runs)


async def test_a_click_on_the_days_opens_the_overview(open_session: Opener) -> None:
    async with open_session() as session:
        await click(session, "14 days")
        assert session.view == "overview"


async def test_on_a_low_screen_the_list_gets_the_line_of_the_strip(open_session: Opener) -> None:
    async with open_session(size=(80, 19)) as session:
        assert strip(session).startswith(" Runs ")
        await session.pilot.resize_terminal(80, 20)
        await session.settled()
        assert re.match(r" ✗ \d+ failed", strip(session))


async def test_a_change_of_the_store_is_counted(open_session: Opener) -> None:
    async with open_session() as session:
        store = session.workspace.store
        store.put_runs("w1", [{"id": "new", "processingStatus": "quarantined"}], store.next_listing())
        await session.until(lambda: "■ 2 quarantined" in strip(session))


async def test_every_count_is_a_key_away(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        counts = tenant_counts(*session.workspace.store.totals())
        place = [count.word for count in counts].index("canceled")
        await session.press("o", "number_sign", *["down"] * place, "enter")
        assert (session.view, session.runs.filter_text) == ("runs", "status:canceled")
        assert session.runs.table.total == counts[place].runs


async def test_without_problems_the_strip_says_so(open_session: Opener) -> None:
    runs = {"run-1": {**a_run(1), "processingStatus": "completed"}}
    async with open_session(size=(80, 24), graph=Graph(runs)) as session:
        assert strip(session) == " ✓ no problems"
        await session.press("number_sign")
        assert session.status.text == "No run is in trouble."
