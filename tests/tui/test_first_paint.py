"""The first paint stands where the screen will stand: same rows, same columns, same cells."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len, set_cell_size

from runtui.domain.columns import is_framed, list_width, pane_width
from runtui.domain.views import ListSettings
from runtui.prelude.first_paint import FirstPaint
from tests.tui.conftest import Opener

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_COLUMN = re.compile(r"\x1b\[(\d+)G")


def placed(line: str) -> str:
    """A line as it is seen, where what comes next is put in a column."""
    while column := _COLUMN.search(line):
        before = line[: column.start()]
        line = before + " " * (int(column[1]) - 1 - cell_len(before)) + line[column.end() :]
    return line


@pytest.mark.parametrize("size", [(80, 24), (99, 24), (100, 30), (120, 40), (201, 50)])
@pytest.mark.parametrize(
    ("hostile", "settings"),
    [
        (False, ListSettings()),
        (True, ListSettings()),
        (False, ListSettings("is:problem", "users", True, ("users", "workflow", "id"))),
        (False, ListSettings("wf:入社手続き", "workflow", False)),
    ],
)
async def test_the_screen_draws_over_the_first_paint(
    open_session: Opener,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    hostile: bool,
    settings: ListSettings,
) -> None:
    async with open_session(size=size, hostile=hostile) as session:
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
        # A list that keeps changing is drawn a few times a second: its last page may be due still.
        await session.until(lambda: not session.runs.drawing._is_due)
        shown = session.text().split("\n")
        left = pane_width(size[0])
        first = table.region.y
        for line in (2, *range(first + 1, first + 1 + min(table.size.height, len(painted) - first))):
            assert set_cell_size(shown[line - 1], left).startswith(set_cell_size(painted[line], left).rstrip()), line
        if is_framed(*size):
            for line in (3, session.left.region.bottom):
                assert re.sub("[^╭╮╰╯]", " ", shown[line - 1]) == re.sub("[^╭╮╰╯]", " ", painted[line])
