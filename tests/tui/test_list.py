"""The list: keys move, order and marks belong to runs, and whatever changes, the cursor stays on its run."""

from __future__ import annotations

from typing import Any

import pytest

from runtui.domain.rows import RUN_COLUMNS, RunRow
from runtui.services.store.store import RunQuery
from runtui.tui.widgets.line_table import ColumnHeader
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph, a_run, reply


def line_of(session: Session) -> str:
    """Return the line of the screen with the cursor."""
    table = session.runs.table
    return table.render_line(table.cursor - table.scroll_offset.y).text


def ids(session: Session) -> list[str]:
    """Return the ids of all runs in the order of the list."""
    return [row.id for row in rows(session)]


def rows(session: Session) -> list[RunRow]:
    return session.workspace.store.window(session.runs.shown, 0, session.runs.table.total)


def flag_under_cursor(session: Session) -> str:
    row = there(session.runs.table.row_under_cursor())
    return session.runs.table.flag(row)


def titles(session: Session) -> str:
    return session.find(ColumnHeader).render_line(0).text


async def test_keys_move_the_cursor_and_scroll_only_as_far_as_needed(open_session: Opener) -> None:
    async with open_session(size=(120, 24)) as session:
        table, order = session.runs.table, ids(session)
        await session.press("j", "down", "down", "k", "up")
        assert (table.cursor, table.cursor_id, table.scroll_offset.y) == (1, order[1], 0)
        await session.press("pagedown", "pagedown")
        page = table.size.height - 1
        assert table.cursor == 1 + 2 * page
        assert table.scroll_offset.y == table.cursor - page
        await session.press("pageup", "pageup")
        assert table.cursor == 1
        for down, up in (("ctrl+f", "ctrl+b"), ("ctrl+d", "ctrl+u")):
            await session.press(down)
            assert table.cursor == 1 + page
            await session.press(up)
            assert table.cursor == 1
        await session.press("up", "up")
        assert table.cursor == 0
        await session.press("G")
        assert table.cursor_id == order[-1]
        assert table.scroll_offset.y == table.total - table.size.height
        await session.press("down", "pagedown")
        assert table.cursor == table.total - 1
        await session.press("g", "pageup")
        assert (table.cursor, table.scroll_offset.y) == (0, 0)
        await session.press("end")
        assert table.cursor_id == order[-1]
        await session.press("home")
        assert table.cursor_id == order[0]


async def test_every_column_sorts_both_ways_and_the_cursor_stays_on_its_run(open_session: Opener) -> None:
    async with open_session(size=(200, 24), runs=60) as session:
        table = session.runs.table
        await session.press("z", "j", "j", "j")
        run_id = table.cursor_id
        seen = []
        for _ in RUN_COLUMNS:
            await session.press("s")
            column = next(column for column in RUN_COLUMNS if column.key == session.runs.shown.sort)
            seen.append(column.key)
            assert f"{column.title}{'↓' if column.descending_first else '↑'}" in titles(session)
            natural = ids(session)
            await session.press("I")
            assert f"{column.title}{'↑' if column.descending_first else '↓'}" in titles(session)
            assert ids(session) == natural[::-1]
            assert table.cursor_id == run_id
            assert table.cursor == ids(session).index(run_id or "")
            assert table.scroll_offset.y <= table.cursor < table.scroll_offset.y + table.size.height
        assert sorted(seen) == sorted(column.key for column in RUN_COLUMNS)


async def test_marks_belong_to_runs(open_session: Opener) -> None:
    async with open_session(size=(120, 24), runs=60) as session:
        runs, order = session.runs, ids(session)
        await session.press("space", "j", "space")
        assert runs.table.marks == {order[0], order[2]}
        assert "2 marked" in session.text()
        assert session.text().count("◆ ") == 3  # two rows and the title
        await session.press("s", "I")
        assert runs.table.marks == {order[0], order[2]}
        marked = [session.runs.table.flag(row) == "◆" for row in rows(session)]
        assert sum(marked) == 2
        await session.press("slash")
        await session.type("status:failed,completed,completedWithErrors,canceled,inProgress,queued !began<-400d")
        await session.press("enter")
        assert "2 marked" in session.text(), "beside a filter that fills the title"
        await session.press("U")
        assert runs.table.marks == set()
        assert "◆" not in session.text()
        await session.press("U")
        assert "Nothing is marked." in session.text()


async def rewrite(session: Session, change: dict[str, Any]) -> None:
    """Let runs appear, disappear or change in the store; `change` maps run ids to new values, or to None for a deleted
    run."""
    store = session.workspace.store
    for run_id, values in change.items():
        stored = there(store.get(run_id))
        if values is None:
            others = [
                other.raw
                for row in store.window(RunQuery(None, "started", True), 0, 10_000)
                if (other := store.get(row.id)) is not None
                and other.workflow_id == stored.workflow_id
                and row.id != run_id
            ]
            listing = store.next_listing()
            store.put_runs(stored.workflow_id, others, listing)
            store.finish_listing(stored.workflow_id, listing)
        else:
            store.put_run(stored.workflow_id, stored.raw | values)
    await session.pilot.pause()


@pytest.mark.parametrize(("keys", "line"), [((), 0), (("down", "up"), 1), (("enter",), 1)])
async def test_an_unmoved_cursor_stays_on_the_first_row_while_the_list_arrives(
    keys: tuple[str, ...], line: int, open_session: Opener
) -> None:
    graph = Graph(answer_to_list=lambda: reply(500, "not yet"))
    async with open_session(wire=graph.wire, ready=False) as session:
        table, store = session.runs.table, session.workspace.store
        store.put_workflows([{"id": "w1", "displayName": "Onboard"}])
        store.put_run("w1", a_run(1))
        store.put_run("w1", a_run(2))
        await session.until(lambda: table.total == 2)
        await session.press(*keys)
        store.put_run("w1", a_run(3))
        await session.until(lambda: table.total == 3)
        assert (table.cursor, table.cursor_id) == (line, ids(session)[line])


async def test_once_the_list_is_there_the_cursor_belongs_to_its_run(open_session: Opener) -> None:
    async with open_session(runs=40, ahead=True) as session:
        table, store = session.runs.table, session.workspace.store
        run_id = table.cursor_id
        first = there(store.get(run_id or ""))
        store.put_run(first.workflow_id, first.raw | {"id": "0_new"})
        await session.until(lambda: table.total == 41)
        assert (table.cursor, table.cursor_id) == (1, run_id)


async def test_rows_that_come_go_and_change_above_leave_the_cursor_in_its_place(open_session: Opener) -> None:
    async with open_session(size=(120, 24), runs=100) as session:
        table, store = session.runs.table, session.workspace.store
        await session.press(*["pagedown"] * 3, "up", "up", "up")
        run_id, on_screen = table.cursor_id, table.cursor - table.scroll_offset.y
        assert run_id is not None
        before, line = table.cursor, line_of(session)

        first = there(store.get(ids(session)[0]))
        store.put_run(first.workflow_id, first.raw | {"processingStatus": "quarantined", "id": "3_new"})
        await session.until(lambda: table.total == 101)
        assert "101 runs" in session.header
        await rewrite(session, {"3_new": None})
        await session.until(lambda: table.total == 100)

        new = [first.raw | {"id": f"{index}_new", "startedDateTime": f"2099-01-0{index}T00:00:00Z"} for index in (1, 2)]
        for raw in new:
            store.put_run(first.workflow_id, raw)
        await session.until(lambda: table.total == 102)
        assert (table.cursor_id, table.cursor) == (run_id, before + 2)
        assert table.cursor - table.scroll_offset.y == on_screen
        assert line_of(session) == line

        await rewrite(session, {"1_new": None, "2_new": None, ids(session)[5]: None})
        await session.until(lambda: table.total == 99)
        assert (table.cursor_id, table.cursor) == (run_id, before - 1)
        assert table.cursor - table.scroll_offset.y == on_screen
        assert line_of(session) == line

        await rewrite(session, {run_id: {"processingStatus": "pausedByPolicy"}})
        await session.until(lambda: "pausedByPolicy" in line_of(session))
        assert table.cursor_id == run_id
        before = table.cursor

        await rewrite(session, {run_id: None})
        await session.until(lambda: table.total == 98)
        assert table.cursor == before, "the run after it takes its place"
        assert table.cursor_id == ids(session)[before]


async def test_a_refresh_by_hand_keeps_the_place_and_shows_what_changed(open_session: Opener) -> None:
    async with open_session(size=(120, 24), runs=60) as session:
        table = session.runs.table
        await session.press("pagedown", "down", "down")
        run_id, top = table.cursor_id, table.scroll_offset.y
        finished = session.workspace.refresh.progress.finished_at
        await session.press("r")
        await session.until(lambda: session.workspace.refresh.progress.finished_at != finished)
        assert (table.cursor_id, table.scroll_offset.y) == (run_id, top)


COLUMN_SETS = {
    60: "status workflow start users",
    80: "status workflow start users updated",
    200: "status workflow start users updated type completed scheduled ✗ tasks id ✗ users",
}


async def test_columns_give_way_by_their_priority(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=20) as session:
        table = session.runs.table
        for width, names in COLUMN_SETS.items():
            await session.pilot.resize_terminal(width, 24)
            if width >= 100:  # the panel takes part of the width
                await session.press("z")
            assert " ".join(titles(session).replace("↓", "").rstrip("›").split()) == names
            assert titles(session).endswith("›") == (len(names.split()) < len(COLUMN_SETS[200].split()))
            for y in range(table.size.height):
                assert table.render_line(y).cell_length == width
            assert all(len(line) <= width for line in session.text().splitlines())
            assert "Contoso" in session.text()
            assert "SANDBOX" in session.text()


async def test_a_row_says_that_it_has_a_draft_and_that_it_is_being_saved(open_session: Opener) -> None:
    async with open_session(size=(120, 24), runs=20) as session:
        assert session.server is not None
        await session.press("e", "enter", "down", "enter", "escape")
        assert line_of(session).startswith("~ ")
        assert "The draft is kept" in session.text()
        signs = []
        session.workspace.saves.changed.subscribe(lambda save: signs.append(save.outcome))
        flags: list[str] = []
        session.workspace.saves.changed.subscribe(lambda _save: flags.append(flag_under_cursor(session)))
        await session.press("e", "ctrl+s", "y")
        await session.until(lambda: signs and signs[-1] is not None)
        assert flags[0] == "↑"
        await session.until(lambda: line_of(session).startswith("  "))
        assert len(session.server.state.applied) == 1


async def test_resizing_keeps_the_cursor_in_sight(open_session: Opener) -> None:
    async with open_session(size=(120, 40), runs=100) as session:
        table = session.runs.table
        await session.press("pagedown")
        run_id = table.cursor_id
        for size in ((80, 16), (60, 24), (200, 50)):
            await session.pilot.resize_terminal(*size)
            await session.pilot.pause()
            assert table.cursor_id == run_id
            assert table.scroll_offset.y <= table.cursor < table.scroll_offset.y + table.size.height
            assert "…" not in session.header
