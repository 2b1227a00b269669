"""The table by itself: it reads a window, its cursor and marks belong to rows, and a status keeps its colour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from textual.app import App, ComposeResult
from textual.message import Message

from runtui.domain.columns import Column, ListCell
from runtui.tui.resources import ReadRows, Resource, RowFlag
from runtui.tui.widgets.line_table import ColumnHeader, LineTable

HEIGHT = 10
FAILED = ListCell("bad", "status-failed")


class Thing(NamedTuple):
    """A row of a type that only this test has, because the table knows neither runs nor entries."""

    number: int
    has_failed: bool = False


THINGS: Resource[Thing, int] = Resource(
    title="Things",
    columns=(
        Column(
            "status",
            "status",
            8,
            1,
            lambda thing, _: ListCell("bad", "status-failed") if thing.has_failed else ListCell("ok"),
        ),
        Column("name", "name", 9, 1, lambda thing, _: ListCell(f"thing {thing.number}"), flexible=True),
    ),
    id_of=lambda thing: thing.number,
    filter_help="",
    read_filter=str,
    empty="There are no things.",
    nothing_found="No thing matches the filter.",
)


class Things:
    """Rows that record how many of them each read returned."""

    def __init__(self, rows: Sequence[Thing]) -> None:
        self._rows = ReadRows(rows, THINGS.id_of)
        self.read: list[int] = []

    def count(self) -> int:
        return self._rows.count()

    def window(self, start: int, count: int) -> Sequence[Thing]:
        rows = self._rows.window(start, count)
        self.read.append(len(rows))
        return rows

    def position(self, number: int) -> int | None:
        return self._rows.position(number)


class Place(App[None]):
    """A table with headings, and the messages of the table."""

    CSS = """
    LineTable > .line-table--status-failed { color: red; }
    LineTable > .line-table--cursor { text-style: reverse; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Message] = []

    def compose(self) -> ComposeResult:
        yield ColumnHeader(THINGS.columns)
        yield LineTable(THINGS, lambda thing: RowFlag("!", "odd") if thing.number == 13 else None, id="things")

    def on_line_table_cursor_moved(self, event: LineTable.CursorMoved) -> None:
        self.heard.append(event)

    def on_line_table_end_reached(self, event: LineTable.EndReached) -> None:
        self.heard.append(event)

    @property
    def table(self) -> LineTable[Thing, int]:
        return self.query_one("#things", LineTable)

    def line(self, line: int) -> str:
        return self.table.render_line(line - self.table.scroll_offset.y).text.rstrip()


@asynccontextmanager
async def place_of(rows: Sequence[Thing]) -> AsyncIterator[tuple[Place, Any]]:
    app = Place()
    async with app.run_test(size=(40, HEIGHT + 1)) as pilot:
        app.table.show(Things(rows), keep_line=True)
        app.table.focus()
        await pilot.pause()
        yield app, pilot


def things(*numbers: int) -> list[Thing]:
    return [Thing(number) for number in numbers]


async def test_a_key_reads_a_window_however_many_rows_there_are() -> None:
    async with place_of([]) as (app, pilot):
        source = Things([Thing(number) for number in range(100_000)])
        app.table.show(source, keep_line=True)
        for _ in range(60):
            app.table.action_cursor_down()
        await pilot.press("pagedown", "end", "up", "home")
        assert (app.table.cursor, app.table.total) == (0, 100_000)
        assert max(source.read) <= 3 * 20
        assert len(source.read) < 20, "most keys read nothing: their row is in the window"


async def test_the_cursor_stays_on_its_row_and_the_row_on_its_line() -> None:
    async with place_of(things(*range(40))) as (app, pilot):
        await pilot.press("pagedown", "pagedown", "up")
        assert app.table.cursor_id == 17
        top = app.table.scroll_offset.y
        app.table.show(Things(things(-3, -2, -1, *range(40))), keep_line=True)
        assert (app.table.cursor_id, app.table.cursor, app.table.scroll_offset.y) == (17, 20, top + 3)
        app.table.show(Things(things(*range(17), *range(18, 40))), keep_line=True)
        assert (app.table.cursor_id, app.table.cursor) == (21, 20), "where the row is gone, the line stays"


async def test_an_unmoved_cursor_stays_on_the_first_row() -> None:
    async with place_of(things(5)) as (app, pilot):
        app.table.show(Things(things(4, 5)), keep_line=True)
        assert app.table.cursor_id == 4
        app.table.row_under_cursor(pin=True)
        app.table.show(Things(things(3, 4, 5)), keep_line=True)
        assert app.table.cursor_id == 4, "from here on it belongs to its row"
        await pilot.pause()


async def test_marks_belong_to_rows_and_a_flag_of_its_own_goes_first() -> None:
    async with place_of(things(12, 13, 14)) as (app, _):
        app.table.toggle_mark(13)
        app.table.toggle_mark(14)
        app.table.show(Things(things(14, 12, 13)), keep_line=True)
        assert [app.line(line)[0] for line in range(3)] == ["◆", " ", "!"]
        app.table.toggle_mark(14)
        assert app.line(0)[0] == " "
        assert app.table.marks == {13}
        app.table.set_marks(frozenset())
        assert app.table.marks == frozenset()


async def test_clearing_marks_costs_the_same_however_many_there_are() -> None:
    looked_at: list[int] = []

    def id_of(thing: Thing) -> int:
        looked_at.append(thing.number)
        return thing.number

    async with place_of(things(*range(40))) as (app, _):
        app.table.resource = THINGS._replace(id_of=id_of)
        app.table.set_marks(frozenset(range(10_000)))
        assert app.line(0)[0] == "◆"
        looked_at.clear()
        app.table.set_marks(frozenset())
        assert len(looked_at) < 10 * HEIGHT
        assert app.line(0)[0] == " "


async def test_the_row_under_the_cursor_keeps_its_status_colour() -> None:
    async with place_of([Thing(1, has_failed=True), Thing(2)]) as (app, pilot):
        table = app.table
        failed = table.get_component_rich_style("line-table--status-failed")
        (bar,) = table.render_line(0)
        assert bar.style is not None
        assert (bar.style.color, bar.style.reverse, bar.cell_length) == (failed.color, True, 40)
        await pilot.press("down")
        assert len(list(table.render_line(0))) > 1, "without the cursor, every cell has its own style"
        (bar,) = table.render_line(1)
        assert bar.style is not None
        assert bar.style == table.get_component_rich_style("line-table--cursor")


@pytest.mark.parametrize(("keys", "ends"), [(("down",), 0), (("end",), 1), (("down", "down"), 1)])
async def test_the_last_line_is_announced_so_that_more_can_be_read(keys: tuple[str, ...], ends: int) -> None:
    async with place_of(things(1, 2, 3)) as (app, pilot):
        app.heard.clear()
        await pilot.press(*keys)
        assert sum(isinstance(event, LineTable.EndReached) for event in app.heard) == ends


async def test_rows_shown_again_are_announced_even_if_the_cursor_stays() -> None:
    async with place_of(things(1, 2)) as (app, pilot):
        await pilot.press("down")
        app.heard.clear()
        app.table.show(Things([Thing(1), Thing(2, has_failed=True)]), keep_line=True)
        await pilot.pause()
        assert [type(event) for event in app.heard] == [LineTable.CursorMoved]
        assert app.table.row_under_cursor() == Thing(2, has_failed=True)


async def test_titles_stand_over_their_columns() -> None:
    async with place_of(things(1)) as (app, pilot):
        header = app.query_one(ColumnHeader)
        header.sort = ("name", True)
        await pilot.pause()
        titles = header.render_line(0).text
        assert titles.split() == ["status", "name↓"]
        assert titles.index("name") == app.line(0).index("thing 1")
