"""Small screens: the same job at 80x24 and below, with tenant and badges visible; a notice where that is impossible."""

from __future__ import annotations

import re
from functools import partial

from rich.cells import cell_len

from runtui.domain.properties import EDITABLE
from runtui.tui.features.changes.bulk_editing import BulkEditing
from tests.tui.conftest import Opener
from tests.tui.wires import Graph

SIZES = [(80, 24), (72, 18), (60, 16)]


async def test_every_view_holds_at_every_size(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=40) as session:

        async def check() -> None:
            for width, height in SIZES:
                await session.pilot.resize_terminal(width, height)
                await session.pilot.pause()
                lines = session.text().splitlines()
                assert len(lines) <= height
                assert all(cell_len(line) <= width for line in lines)
                assert "SANDBOX" in lines[0]
                assert "Contoso" in lines[0]
                assert session.app.focused is not None
            await session.pilot.resize_terminal(80, 24)

        await check()
        await session.press("enter")
        await check()
        await session.press("e", "enter", "down", "enter")
        await check()
        form = session.form
        await session.pilot.resize_terminal(60, 16)
        await session.pilot.pause()
        assert "\n processingStatus *" in session.text(), "labels keep their left edge"
        await session.pilot.resize_terminal(80, 24)
        await session.press(*["down"] * (len(EDITABLE) - 1))
        assert form.field is EDITABLE[-1]
        assert EDITABLE[-1].name in session.text(), "the form scrolls to the field with the keys"
        await session.press("ctrl+s")
        await check()
        await session.press("escape", "question_mark")
        await check()


async def test_the_header_drops_counts_before_it_drops_where_one_is(open_session: Opener) -> None:
    async with open_session(size=(60, 20), runs=40, read_only=True, tenant="A tenant with a long name") as session:
        first = session.header
        assert "SANDBOX" in first
        assert "READ-ONLY" in first
        assert re.search(r" A tenant\S* ?\S*…\S* ?name ", first), "both of its ends"
        assert re.search(r"as of \d\d:\d\d:\d\d$", first)


async def test_a_narrow_list_gives_the_panel_back_its_room(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=40) as session:
        table = session.runs.table
        height = table.size.height
        await session.press("G", "right_square_bracket")
        assert session.panel.tab == "run", "it opens as it was left"
        assert table.size.height < height
        assert table.scroll_offset.y <= table.cursor < table.scroll_offset.y + table.size.height
        await session.press("escape")
        assert table.size.height == height
        assert table.cursor_id is not None
        assert table.scroll_offset.y == table.total - height


async def test_below_the_smallest_size_a_notice_stands_and_no_key_acts(open_session: Opener) -> None:
    async with open_session(size=(80, 24), graph=Graph()) as session:
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        await session.press("enter", "down", "enter", "tab", "tab")
        await session.type("2026-11-2")
        before, focused, draft = session.text(), session.app.focused, session.draft

        def holds(words: str) -> bool:
            return words in session.words

        for width, height in ((59, 40), (120, 15), (20, 5)):
            notice = f"This one is {width}x{height}. Enlarge it; F10 quits."
            await session.pilot.resize_terminal(width, height)
            await session.until(partial(holds, notice))
            assert holds("runtui needs a terminal of 60x16")
            await session.type("e9xq\x7f")
            await session.press(
                "enter", "tab", "f8", "shift+f8", "shift+f8", "ctrl+s", "y", "M", "escape", "ctrl+p", "J"
            )
            assert session.draft is draft
            await session.pilot.resize_terminal(80, 24)
            await session.until(lambda: "This one is" not in session.text())
            assert session.text() == before
            assert session.app.focused is focused
        await session.type("0")
        assert session.draft is not draft, "typing goes on"
        assert "2026-11-20" in session.text()
        assert session.graph is not None
        assert session.graph.patches == []


async def test_the_notice_stays_in_front_of_a_screen_that_opens_below_it(open_session: Opener) -> None:
    async with open_session(size=(80, 24), graph=Graph()) as session:
        await session.press("space", "space")
        await session.pilot.resize_terminal(40, 10)
        session.app.feature[BulkEditing].open(session.runs.table.marks)  # as if the resize came while it reads the runs
        await session.until(lambda: session.view == "edit")
        assert "This one is 40x10" in session.words
        await session.pilot.resize_terminal(80, 24)
        await session.until(lambda: "Edit 2 runs" in session.text())
        await session.press("escape")
        assert session.view == "runs"
        assert "This one is" not in session.words


async def test_a_terminal_that_starts_too_small_shows_the_list_once_it_has_grown(open_session: Opener) -> None:
    async with open_session(size=(40, 10), graph=Graph(), ready=False) as session:
        await session.until(lambda: "This one is 40x10" in session.words)
        await session.press("e", "x", "A")
        await session.pilot.resize_terminal(120, 40)
        await session.until(lambda: "Onboard" in session.text())
        assert session.view == "runs"
        assert session.app.focused is session.runs.table


async def test_a_key_that_is_no_text_quits_from_the_notice(open_session: Opener) -> None:
    async with open_session(size=(80, 24), graph=Graph()) as session:
        await session.pilot.resize_terminal(40, 10)
        await session.until(lambda: "This one is 40x10" in session.words)
        await session.press("f10")
        await session.until(lambda: session.app._exit)
