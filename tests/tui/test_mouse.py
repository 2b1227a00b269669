"""The mouse: everything visible can be clicked, and a click does what the key does."""

from __future__ import annotations

from textual import events
from textual.widget import Widget

from runtui.tui.features.opening import Opening
from runtui.tui.widgets.chrome import HintBar
from runtui.tui.widgets.json_view import JsonView
from runtui.tui.widgets.line_table import ColumnHeader
from tests.tui.conftest import Opener, Session


async def click(session: Session, words: str, line: int, left: int = 0) -> None:
    """Click in the middle of some words on a line of the screen; search for them from column `left` on."""
    shown = session.text().splitlines()[line]
    x = shown.index(words, left) + len(words) // 2
    assert await session.pilot.click(offset=(x, line % session.app.size.height))
    await session.settled()


async def wheel(session: Session, widget: Widget) -> None:
    """Scroll the wheel one notch down over a widget."""
    x, y = widget.region.x + 1, widget.region.y + 1
    session.app.post_message(events.MouseScrollDown(None, x, y, 0, 0, 0, False, False, False, x, y))
    await session.settled()


async def test_a_hint_does_what_its_key_does(open_session: Opener) -> None:
    async with open_session(size=(120, 30), runs=40) as session:
        await click(session, "filter", -1)
        assert session.app.focused is session.find("#filter-input")
        await session.type("status:nothing")
        await click(session, "esc clear", -1)
        assert session.app.focused is session.runs.table
        assert session.runs.filter_text == ""
        await session.pilot.click(HintBar, offset=(119, 0))
        assert session.view == "runs", "beside the hints there is nothing to click"

        await session.press("v")
        line = next(number for number, text in enumerate(session.text().splitlines()) if "status:failed" in text)
        await click(session, "status:failed", line)
        assert (session.view, session.runs.filter_text) == ("runs", "status:failed"), "a click on a choice chooses it"
        below = session.runs.table.total
        assert below < session.runs.table.size.height
        await session.pilot.click(session.runs.table, offset=(5, below), times=2)
        assert session.view == "runs", "below the rows there is nothing to open"
        await session.pilot.click(session.runs.table, offset=(5, 2), times=2)
        await session.until(lambda: session.view == "users")


async def test_the_names_of_tabs_and_of_columns_are_clicked(open_session: Opener) -> None:
    async with open_session(size=(120, 30), runs=40) as session:
        await session.panel_rested()
        line = next(number for number, text in enumerate(session.text().splitlines()) if "Response" in text)
        for name in ("Request", "Response", "Log", "Run"):
            await click(session, name, line, session.panel.region.x)
            assert session.panel.tab == name.lower()
        assert session.app.focused is session.runs.table, "a click on a name is no change of place"

        await session.press("slash")
        await session.type("status:completedWithErrors")
        await session.press("enter", "enter")
        users = session.app.feature[Opening].users.list
        await session.until(lambda: users.rows)
        header = users.query_one(ColumnHeader).region.y
        names = [row.name for row in users.rows]
        for expected in (min(names, key=str.casefold), max(names, key=str.casefold)):
            await click(session, "user", header)
            await session.press("g")
            row = users.table.row_under_cursor()
            assert row is not None
            assert row.name == expected


async def test_the_wheel_scrolls_what_is_under_the_mouse(open_session: Opener) -> None:
    async with open_session(size=(120, 20), runs=40) as session:
        await session.panel_rested()
        table, page = session.runs.table, session.find(JsonView)
        await wheel(session, table)
        assert (table.scroll_offset.y > 0, page.scroll_offset.y) == (True, 0)
        top = table.scroll_offset.y
        session.runs.reload()
        await session.settled()
        assert table.scroll_offset.y == top, "a refresh leaves in sight what the wheel has brought there"
        await wheel(session, page)
        assert (table.scroll_offset.y, page.scroll_offset.y > 0) == (top, True)
        assert session.app.focused is table
