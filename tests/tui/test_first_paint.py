"""The first paint has the same rows, columns and cells as Textual's screen after it."""

from __future__ import annotations

import asyncio
import os
import re
from types import SimpleNamespace

import pytest
from rich.cells import cell_len, set_cell_size
from textual import events

from runtui import session
from runtui.announcer import Announcer
from runtui.domain.columns import is_framed, list_width, pane_width
from runtui.domain.views import ListSettings
from runtui.prelude.first_paint import FirstPaint
from runtui.prelude.preview import Preview
from runtui.prelude.terminal import TAKEOVER
from runtui.tui.terminal import InputParser
from runtui.tui.widgets.line_table import LineTable
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_COLUMN = re.compile(r"\x1b\[(\d+)G")


def placed(line: str) -> str:
    """Return a line as it is seen: escape sequences that set the column become spaces."""
    while column := _COLUMN.search(line):
        before = line[: column.start()]
        line = before + " " * (int(column[1]) - 1 - cell_len(before)) + line[column.end() :]
    return line


ARRANGED = (
    ListSettings(),
    ListSettings("is:problem", "users", True, ("users", "workflow", "id")),
    ListSettings("wf:入社手続き", "workflow", False),
)


@pytest.mark.parametrize(
    ("size", "hostile"),
    [((80, 24), False), ((80, 24), True), ((99, 24), True), ((100, 30), True), ((120, 40), False), ((201, 50), True)],
)
async def test_the_screen_draws_over_the_first_paint(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], hostile: bool
) -> None:
    async with open_session(size=size, hostile=hostile) as session:
        for settings in ARRANGED:
            await draws_over(session, monkeypatch, size, settings)


async def draws_over(
    session: Session, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], settings: ListSettings
) -> None:
    """Compare the screen with the first paint of a start with these settings."""
    table = session.runs.table
    session.runs.show_settings(settings)
    await session.press("g")
    table.tick()
    monkeypatch.setattr("runtui.prelude.first_paint.now_ticks", lambda: table._now)
    paint = FirstPaint(session.workspace.settings, *size)
    lines = paint.lines(session.workspace.store, session.workspace.preferences.kept)
    assert len(lines) == size[1]
    painted = {number: placed(_COLOUR.sub("", line)) for number, line in enumerate(lines, 1)}
    assert table.size.width == list_width(*size)
    # A list that keeps changing is drawn a few times a second: its last page may still be pending.
    await session.until(lambda: not session.runs.drawing._is_due)
    shown = session.text().split("\n")
    left = pane_width(size[0])
    first = table.region.y
    for line in (2, *range(first + 1, first + 1 + min(table.size.height, len(painted) - first))):
        assert set_cell_size(shown[line - 1], left).startswith(set_cell_size(painted[line], left).rstrip()), line
    if is_framed(*size):
        for line in (3, session.left.region.bottom):
            assert re.sub("[^╭╮╰╯]", " ", shown[line - 1]) == re.sub("[^╭╮╰╯]", " ", painted[line])


LINE = re.compile(r"\x1b\[(\d+);1H\x1b\[2K([^\x1b]*(?:\x1b\[\d+G[^\x1b]*)*)")
UNDER_CURSOR = re.compile(r"\x1b\[(\d+);1H\x1b\[2K│?\x1b\[7m([^\x1b]*)")
UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = b"\x1b[A", b"\x1bOB", b"\x1b[5~", b"\x1b[6~", b"\x1b[H", b"\x1b[4~"
MOVES = [
    [b"j"],
    [DOWN * 40, b"kk", UP],
    [PAGE_DOWN, PAGE_UP[:2], PAGE_UP[2:] + b"\x1b", b"[6~"],
    [END, PAGE_UP, UP * 3, HOME, UP],
    [b"G", UP * 50, b"j", b"G", PAGE_DOWN],
    [PAGE_DOWN * 20, b"g", PAGE_DOWN],
]
"""The input from a terminal, one item for each read."""


def pressed(data: bytes) -> list[str]:
    """Return the keys that Textual reads from input."""
    keys: list[str] = []
    for event in InputParser().feed(data):
        assert isinstance(event, events.Key)
        keys.append(event.key)
    return keys


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the output of a preview to the terminal."""
    texts: list[str] = []
    monkeypatch.setattr("runtui.prelude.preview.write", texts.append)
    return texts


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_preview_moves_the_cursor_as_the_screen_does(
    open_session: Opener, written: list[str], size: tuple[int, int]
) -> None:
    async with open_session(size=size, runs=60) as session:
        table, workspace = session.runs.table, session.workspace
        for reads in MOVES:
            preview = Preview(FirstPaint(workspace.settings, *size), workspace.store, workspace.preferences.kept)
            written.clear()
            for data in reads:
                preview.feed(data)
            assert not preview.is_over
            assert preview.typed == b"".join(reads)
            await session.press("g", *pressed(b"".join(reads)))
            line, shown = UNDER_CURSOR.findall("".join(written))[-1]
            assert int(line) == table.region.y + table.cursor - table.scroll_offset.y + 1
            row = there(table.row_under_cursor())
            assert row.workflow_name[:10] in shown


VIEWED = [
    [b"x"],
    [b"xx"],
    [b"jj2", b"j"],
    [DOWN * 30 + b"1", PAGE_DOWN],
    [b"G4", b"x4"],
    [b"6j", b"x"],
]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_preview_shows_a_view_as_the_screen_does(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, written: list[str], size: tuple[int, int]
) -> None:
    async with open_session(size=size, runs=60) as session:
        table, workspace = session.runs.table, session.workspace
        for reads in VIEWED:
            session.runs.show_settings(ListSettings())
            await session.press("g")
            table.tick()
            monkeypatch.setattr("runtui.prelude.first_paint.now_ticks", lambda: table._now)
            paint = FirstPaint(workspace.settings, *size)
            preview = Preview(paint, workspace.store, workspace.preferences.kept)
            painted = paint.lines(workspace.store, workspace.preferences.kept)
            written.clear()
            for data in reads:
                preview.feed(data)
            assert not preview.is_over
            assert preview.typed == b"".join(reads)
            for line, text in re.findall(r"\x1b\[(\d+);1H\x1b\[2K((?:(?!\x1b\[\d+;1H).)*)", "".join(written)):
                painted[int(line) - 1] = text
            await session.press(*pressed(b"".join(reads)))
            shown = session.text().split("\n")
            left, first = pane_width(size[0]), table.region.y
            for line in (first - 2, *range(first, first + table.size.height)):
                seen = set_cell_size(placed(_COLOUR.sub("", painted[line])), left).rstrip(" │")
                assert set_cell_size(shown[line], left).rstrip(" │▁▂▃▄▅▆▇█") == seen, line  # it has a scroll bar
            (under_cursor,) = (number for number, text in enumerate(painted) if "\x1b[7m" in text)
            assert under_cursor == first + table.cursor - table.scroll_offset.y


async def test_a_preview_ends_at_the_first_other_key_and_hands_everything_on(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(80, 24), runs=60) as session:
        workspace = session.workspace
        monkeypatch.setattr("runtui.prelude.preview.write", lambda _text: None)
        for reads in (
            [b"?"],
            [b"jj", b"e", b"j"],
            [b"j\x1b", b"x"],
            [b"\x1b[200~jj"],
            [b"j\xff"],
            [b"x3", b"3x9"],
            [b"\x1b[B\x1b[1;5B"],
        ):
            preview = Preview(FirstPaint(workspace.settings, 80, 24), workspace.store, workspace.preferences.kept)
            for data in reads:
                preview.feed(data)
            assert preview.is_over
            assert preview.typed == b"".join(reads)


async def test_a_view_waits_for_rows_that_fill_the_list_and_the_cursor_for_the_screen(
    open_session: Opener, written: list[str]
) -> None:
    async with open_session(size=(80, 24), runs=60) as session:
        workspace = session.workspace
        paint, kept = FirstPaint(workspace.settings, 80, 24), workspace.preferences.kept
        preview = Preview(paint, workspace.store, kept, moves=False)
        preview.feed(b"x")
        assert (written, preview.awaits_rows, preview.is_served) == ([], True, False)
        assert preview.show() == 60
        assert "Problems" in written.pop()
        assert preview.is_served
        preview.feed(b"j")
        assert (written, preview.is_over, preview.is_served, preview.typed) == ([], True, True, b"xj")


async def test_new_rows_are_drawn_once_and_never_over_the_help(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(80, 24), runs=60) as session:
        workspace = session.workspace
        written: list[str] = []
        monkeypatch.setattr("runtui.prelude.preview.write", written.append)
        preview = Preview(FirstPaint(workspace.settings, 80, 24), workspace.store, workspace.preferences.kept)
        assert [preview.show(), preview.show()] == [60, 60]
        preview.feed(b"?")
        preview.show()
    rows, nothing, the_help = written
    assert "failed" in rows
    assert nothing == ""
    assert "Help" in the_help


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (201, 50)])
async def test_the_help_opens_over_its_preview(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    written: list[str] = []
    monkeypatch.setattr("runtui.prelude.preview.write", written.append)
    async with open_session(size=size, runs=60) as session:
        workspace = session.workspace
        preview = Preview(FirstPaint(workspace.settings, *size), workspace.store, workspace.preferences.kept)
        preview.feed(b"j?k")
        assert preview.is_over
        assert preview.typed == b"j?k"
        await session.press("g", "j", "question_mark")
        await session.until(lambda: session.view == "help")
        painted = {int(line): placed(text) for line, text in LINE.findall(_COLOUR.sub("", "".join(written)))}
        shown = session.text().split("\n")
        left = pane_width(size[0])
        first = session.app.screen.query_one(LineTable).region.y + 1
        lines = [line for line in painted if line >= first and painted[line].strip(" │╰╯─")]
        assert len(lines) > size[1] / 2
        for line in lines:
            assert set_cell_size(shown[line - 1], left) == set_cell_size(painted[line], left), line
        assert "\x1b[7m" in written[-1]


async def test_a_key_for_the_app_is_known_before_the_server_is_asked(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was typed while Python started. Then the app is loaded before all that reads the server."""
    keyboard, typing = os.pipe()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(fileno=lambda: keyboard))
    monkeypatch.setattr(TAKEOVER, "typed", b"")
    monkeypatch.setattr(session, "terminal_size", lambda: (80, 24))
    monkeypatch.setattr("runtui.prelude.preview.write", lambda _text: None)
    async with open_session(size=(80, 24), runs=60) as opened:
        for key, is_served in (b"x", False), (b"/", True):
            os.write(typing, key)
            paint = FirstPaint(opened.workspace.settings, 80, 24)
            with session._previewing(opened.workspace, paint, moves=False, reads=True) as preview:
                assert preview.is_served is is_served
            assert TAKEOVER.typed == key
    os.close(keyboard)
    os.close(typing)


async def test_rows_that_come_once_the_app_is_loaded_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread announces them when it likes: also just before nobody listens any more."""
    loop, changed, painted = asyncio.get_running_loop(), Announcer[list[str]](), list[str]()
    nothing = SimpleNamespace(start=lambda: None, hold=lambda: None, load=lambda: None, connect=lambda root: None)
    workspace = SimpleNamespace(**vars(nothing), store=SimpleNamespace(changed=changed), refresh=nothing)
    preview = SimpleNamespace(is_served=False, is_full=True, show=lambda: painted.append("rows"))

    part_is_loaded = asyncio.Event()

    async def load_screen(part: str = "") -> None:
        if part:
            part_is_loaded.set()
        else:
            loop.call_soon(changed.announce, [])

    async def root() -> str:
        await asyncio.wait_for(part_is_loaded.wait(), PATIENCE)  # the time of the server is used
        return "http://127.0.0.1:1/beta"

    monkeypatch.setattr(session, "_load_screen", load_screen)
    monkeypatch.setattr(session, "_PAGES_TOGETHER", 0.0)
    monkeypatch.setattr(session, "_ROWS_COME_FIRST", 0.0)
    await session._read_while_loading(SimpleNamespace(root=root), workspace, preview)  # type: ignore[arg-type]
    for _ in range(9):
        await asyncio.sleep(0)
    assert painted == []
