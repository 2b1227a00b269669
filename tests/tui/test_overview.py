"""The overview on the screen: the workflows, the days, and the runs behind them."""

from __future__ import annotations

import re
import threading

import pytest

from runtui.domain.times import TICKS_PER_SECOND, day_text, format_ticks, now_ticks
from runtui.domain.triage.workflows import WorkflowHistory
from runtui.tui.features.listing import Listing
from runtui.tui.features.triage.overviewing import Overviewing, OverviewView
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session


def overview(session: Session) -> OverviewView:
    return session.app.feature[Overviewing].view


async def opened(session: Session) -> OverviewView:
    await session.press("o")
    assert session.view == "overview"
    return overview(session)


async def test_enter_on_a_workflow_or_on_one_of_its_days_shows_exactly_its_runs(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        view = await opened(session)
        store = session.workspace.store
        histories = {history.workflow.id: history for history in store.histories(30)}
        assert len(view.list.rows) == len(store.workflows()) == view.list.table.total
        row = there(view.list.row)
        await session.press("enter")
        assert session.view == "runs"
        assert session.runs.table.total == histories[row.workflow.id].total.runs
        assert row.workflow.name in session.text().splitlines()[2]
        await session.press("escape")
        assert (session.view, session.runs.filter_text) == ("overview", "")
        assert view.list.table.cursor_id == row.workflow.id, "the cursor stays on its workflow"
        back = next(back for back in range(14) if row.days[-1 - back].problems)
        await session.press(*["left"] * (back + 1))
        assert f"{row.days[-1 - back].problems} of " in session.text().splitlines()[2]
        await session.press("enter")
        assert session.runs.table.total == row.days[-1 - back].runs
        assert f"{row.workflow.name}, {view.day and day_text(view.day)}" in session.text()
        await session.press("escape", "x", "x")
        assert (session.view, view.back) == ("overview", back), "one step back leads to the same day"


@pytest.mark.parametrize(("size", "days"), [((60, 16), 10), ((80, 24), 14), ((100, 24), 10), ((220, 50), 30)])
async def test_the_days_that_there_is_room_for_are_in_sight(
    open_session: Opener, size: tuple[int, int], days: int
) -> None:
    async with open_session(size=size, runs=40) as session:
        view = await opened(session)
        layout = view.list.table.arrangement.layout(view.list.table.size.width)
        shown = [column.key for column, _ in layout if column.key.startswith("day")]
        assert shown == [f"day{back}" for back in reversed(range(days))]
        assert {column.key: width for column, width in layout}["workflow"] >= 12
        session.workspace.store.put_workflows([{"id": "w", "displayName": "Another"}])
        session.app.feature[Overviewing].draw_again()
        await session.until(lambda: "Another" in session.text() or len(view.list.rows) > view.list.table.size.height)
        assert view.list.table.arrangement.layout(view.list.table.size.width) == layout


async def test_steps_back_lead_from_the_day_to_the_workflow_and_to_the_list(open_session: Opener) -> None:
    async with open_session() as session:
        view = await opened(session)
        await session.press("right")
        assert [view.back] == [None]
        await session.press(*["left"] * 20)
        assert [view.back] == [12], "there are no days beyond those in sight"
        await session.press(*["right"] * 3, "escape")
        assert (session.view, view.back) == ("overview", None)
        await session.press("slash", *"hire", "enter")
        assert 0 < view.list.table.total < len(view.list.rows)
        await session.press("escape")
        assert (session.view, view.list.table.total) == ("overview", len(view.list.rows))
        await session.press("escape")
        assert session.view == "runs"


async def test_a_click_goes_to_a_day_and_two_show_its_runs(open_session: Opener) -> None:
    async with open_session() as session:
        view = await opened(session)
        line = session.text().splitlines()[3]
        letters = there(re.search(r"(?:[MTWFS] ){12}[MTWFS]", line))
        today = letters.end() - 1 - view.list.table.region.x
        await session.pilot.click(view.list.table, offset=(today - 2, 2))
        await session.settled()
        assert (view.list.table.cursor, view.back) == (2, 1)
        await session.pilot.click(view.list.table, offset=(5, 1))
        await session.settled()
        assert (view.list.table.cursor, view.back) == (1, None)
        row = there(view.list.row)
        await session.pilot.click(view.list.table, offset=(today, 1), times=2)
        await session.settled()
        assert session.view == "runs"
        assert session.runs.table.total == row.days[-1].runs


async def test_changes_by_the_passing_of_time_are_drawn(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_session() as session:
        view = await opened(session)
        running = next(count for count in session.app.chrome.problems.counts if count.word == "running")
        assert f"● {running.runs} running" in session.text()
        later = now_ticks() + 3 * 86_400 * TICKS_PER_SECOND
        monkeypatch.setattr("runtui.services.store.store.now_ticks", lambda: later)
        monkeypatch.setattr("runtui.tui.features.triage.overviewing.now_ticks", lambda: later)
        session.app.feature[Listing].tick()
        session.app.feature[Overviewing].draw_again()
        await session.until(lambda: "running" not in session.text().splitlines()[1])
        await session.until(lambda: all(not day.runs for row in view.list.rows for day in row.days[-2:]))


async def test_the_overview_follows_the_store_and_the_panel_says_what_holds_a_workflow_back(
    open_session: Opener,
) -> None:
    async with open_session() as session:
        view = await opened(session)
        store = session.workspace.store
        details = {"quarantineType": "countBasedThresholdExceeded", "quarantineReason": "[b]Too many[/b]\x1b[2J"}
        store.put_workflows([{"id": "w", "displayName": "AAA held", "isEnabled": True, "quarantineDetails": details}])
        run = {"id": "r", "processingStatus": "quarantined", "totalUsersCount": 412}
        store.put_runs("w", [{**run, "scheduledDateTime": format_ticks(now_ticks())}], store.next_listing())
        await session.until(lambda: "AAA held" in session.text())
        await session.press("g")
        while view.list.row is not None and view.list.row.workflow.id != "w":
            await session.press("j")
        session.app.chrome.panel.choose("run")
        await session.settled()
        words = " ".join(session.inside(session.panel).split())
        assert "412 users wait" in words
        assert "[b]Too many[/b]␛[2J" in words


async def test_no_count_is_shown_before_it_is_known(open_session: Opener) -> None:
    async with open_session() as session:
        view = overview(session)
        assert view.title().plain == "Workflows  reading…"
        await opened(session)
        assert view.title().plain == f"Workflows  {len(view.list.rows)}"


async def test_the_rows_of_an_earlier_visit_are_shown_until_the_runs_are_counted(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(80, 24)) as session:
        await opened(session)
        await session.press("escape")
        store, may_end = session.workspace.store, threading.Event()
        store.put_workflows([{"id": "w", "displayName": "Another"}])
        count = store.histories

        def count_slowly(days: int) -> list[WorkflowHistory]:
            assert may_end.wait(PATIENCE)
            return count(days)

        monkeypatch.setattr(store, "histories", count_slowly)
        await session.press("o", "left")
        assert (session.app.keys.timed_out, overview(session).back) == (set(), 0), "no key waited"
        may_end.set()
        await session.until(lambda: "Another" in session.text())


async def test_without_a_workflow_it_says_so(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        session.workspace.store.keep_workflows([])
        await opened(session)
        assert "There are no workflows." in session.text()
        await session.press("enter", "left", "escape")
        assert session.view == "runs"
