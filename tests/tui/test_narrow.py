"""Small screens: the same job at 80x24 and below, with tenant and badges always in sight."""

from __future__ import annotations

from rich.cells import cell_len

from runtui.domain.fields import FIELDS
from runtui.tui.widgets.field_form import FieldForm
from tests.tui.conftest import Opener

SIZES = [(80, 24), (58, 20), (40, 15), (20, 8)]


async def test_every_view_holds_at_every_size(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=40) as session:

        async def check() -> None:
            for width, height in SIZES:
                await session.pilot.resize_terminal(width, height)
                await session.pilot.pause()
                lines = session.text().splitlines()
                assert len(lines) <= height
                assert all(cell_len(line) <= width for line in lines)
                if width >= 40:
                    assert "SANDBOX" in lines[0]
                    assert "Contoso" in lines[0]
                assert session.app.focused is not None
            await session.pilot.resize_terminal(80, 24)

        await check()
        await session.press("enter")
        await check()
        await session.press("e", "enter", "down", "enter")
        await check()
        form = session.workbench.query_one(FieldForm)
        await session.press(*["down"] * (len(FIELDS) - 1))
        row = form.focused_row()
        assert row is not None
        assert row.field is FIELDS[-1]
        assert form.region.contains_region(row.control.region), "the form scrolls to the field with the keys"
        await session.press("ctrl+s")
        await check()
        await session.press("escape", "question_mark")
        await check()


async def test_the_header_drops_counts_before_it_drops_where_one_is(open_session: Opener) -> None:
    async with open_session(size=(60, 20), runs=40, read_only=True, tenant="A tenant with a long name") as session:
        first = session.text().splitlines()[0]
        assert "SANDBOX" in first
        assert "READ-ONLY" in first
        assert "A tenant with" in first


async def test_a_narrow_list_gives_the_panel_back_its_room(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=40) as session:
        table = session.workbench.left.runs.table
        height = table.size.height
        await session.press("G", "enter")
        assert table.size.height < height
        assert table.scroll_offset.y <= table.cursor < table.scroll_offset.y + table.size.height
        await session.press("escape")
        assert table.size.height == height
        assert table.cursor_id is not None
        assert table.scroll_offset.y == table.total - height
