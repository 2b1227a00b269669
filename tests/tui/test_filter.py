"""The filter box: live, forgiving, and never a list that shows something else than the filter says."""

from __future__ import annotations

import pytest
from textual import events

from runtui.domain.times import now_ticks, parse_duration
from runtui.services.store import RunQuery
from runtui.tui.resources import run_filter
from tests.tui.conftest import Opener, Session


def statuses(session: Session) -> set[str]:
    table = session.runs.table
    return {row.status for row in session.workspace.store.window(session.runs.shown, 0, table.total)}


async def test_it_is_live_counts_and_is_cleared(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        failed = session.workspace.store.totals().by_status["failed"]
        await session.press("j", "j", "slash")
        await session.type("status:fai")
        assert (table.total, statuses(session)) == (failed, {"failed"})
        assert f"{failed} of 240" in session.text()
        await session.press("down")
        assert session.app.focused is table
        await session.press("down")
        assert table.cursor == 1
        run_id = table.cursor_id
        await session.press("escape")
        await session.until(lambda: table.total == 240)
        assert table.cursor_id == run_id, "the cursor stays on its run when the filter goes"
        assert " of 240" not in session.text()

        await session.press("slash")
        await session.type("zzz")
        await session.until(lambda: table.total == 0)
        assert "No run matches the filter" in session.text()
        await session.press("enter", "e")
        assert "There is no run under the cursor." in session.text()
        await session.press("enter", "space", "j", "G", "pagedown", "s")
        await session.press("escape")
        await session.until(lambda: table.total == 240)

        await session.press("slash")
        await session.type("failed>0")
        await session.press("escape")
        assert (table.total, session.app.focused) == (240, table)


async def test_a_wrong_filter_says_where_and_leaves_the_list_as_it_was(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("status:failed")
        failed = table.total
        await session.type(" stated")
        count = table.total
        await session.type(">1h")
        await session.until(lambda: table.total == count)
        lines = session.text().splitlines()
        typed = next(index for index, line in enumerate(lines) if "status:failed stated>1h" in line)
        assert lines[typed + 1].index("^") == lines[typed].index("stated")
        assert "Did you mean started?" in session.text()
        await session.press("enter")
        assert session.app.focused is not table, "a wrong filter cannot be entered"
        await session.press(*["backspace"] * len(" stated>1h"))
        assert "^" not in session.text()
        await session.press("enter")
        assert (session.app.focused, table.total) == (table, failed)


async def test_a_place_beyond_wide_letters_is_pointed_at_by_cells(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        session.app.focused.post_message(events.Paste("東京 stated>1h"))  # type: ignore[union-attr]
        await session.pilot.pause()
        lines = session.text().splitlines()
        row = next(index for index, line in enumerate(lines) if "stated>1h" in line)
        cells_before = len(lines[row][: lines[row].index("stated")]) + 2  # two letters take a cell more
        assert lines[row + 1].index("^") == cells_before


async def test_problems_toggle(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("x")
        await session.until(lambda: table.total == session.workspace.store.count(RunQuery(run_filter("is:problem"))))
        assert "/is:problem" in session.text()
        await session.press("x")
        await session.until(lambda: table.total == 240)
        await session.press("x", "escape")
        await session.until(lambda: table.total == 240)


async def test_text_of_any_language_is_found_and_a_paste_arrives_in_one_line(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("入社手続き")
        assert table.total > 0
        rows = session.workspace.store.window(session.runs.shown, 0, table.total)
        assert all("入社手続き" in row.workflow_name for row in rows)
        await session.press("escape", "slash")
        box = session.app.focused
        assert box is not None
        box.post_message(events.Paste("  status:failed\r\nor status:canceled\n"))
        await session.pilot.pause()
        assert statuses(session) == {"failed", "canceled"}


async def test_relative_times_in_a_filter_go_on_with_the_clock(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("started>-24h")
        await session.press("enter")
        count, later = table.total, now_ticks() + parse_duration("20h")
        monkeypatch.setattr("runtui.tui.resources.now_ticks", lambda: later)
        await session.press("r")
        await session.until(lambda: table.total < count)


async def test_a_likely_slip_is_pointed_out_when_nothing_is_found(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        await session.type("status:cancelled")
        assert "Did you mean canceled?" in " ".join(session.text().split())


async def test_letters_typed_ahead_of_the_screen_are_all_in_the_filter(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        runs = session.runs
        before = runs.shown.sort
        await session.type("/status:quex")
        assert runs.filter_text == "status:quex"
        assert (runs.shown.sort, session.view) == (before, "runs")
