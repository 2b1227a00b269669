"""The first paint stands where the screen will stand: same rows, same columns, same cells."""

from __future__ import annotations

import re

import pytest

from runtui.domain.columns import list_width
from runtui.prelude import FirstPaint
from tests.tui.conftest import Opener

_PLACED = re.compile(r"\x1b\[(\d+);1H([^\x1b]*(?:\x1b\[[\d;]*m[^\x1b]*)*)")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.parametrize("size", [(80, 24), (99, 24), (100, 30), (120, 40), (201, 50)])
@pytest.mark.parametrize("hostile", [False, True])
async def test_the_screen_draws_over_the_first_paint(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], hostile: bool
) -> None:
    async with open_session(size=size, hostile=hostile) as session:
        table = session.runs.table
        table.tick()
        monkeypatch.setattr("runtui.prelude.now_ticks", lambda: table._now)
        written: list[str] = []
        FirstPaint(session.workspace.settings, *size, written.append).show(
            session.workspace.store, session.runs.settings
        )
        painted = {int(line): _COLOUR.sub("", text) for line, text in _PLACED.findall("".join(written))}
        assert table.size.width == list_width(size[0])
        # A list that keeps changing is drawn a few times a second: its last page may be due still.
        await session.until(lambda: not session.runs.drawing._is_due)
        shown = session.text().split("\n")
        for line in (2, *range(5, 5 + min(table.size.height, len(painted) - 4))):
            assert shown[line - 1].startswith(painted[line].rstrip()), line
