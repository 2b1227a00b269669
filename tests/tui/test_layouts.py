"""What comes into sight has few widgets and is laid out seldom: counts, which no machine changes."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.screen import Screen

from tests.tui.conftest import Opener


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[Screen[Any]]:
    """The screens that were laid out, each as often as it was."""
    found: list[Screen[Any]] = []
    lay_out = Screen._refresh_layout

    def noted(self: Screen[Any], *sizes: Any, **options: Any) -> None:
        found.append(self)
        lay_out(self, *sizes, **options)

    monkeypatch.setattr(Screen, "_refresh_layout", noted)
    return found


async def test_the_first_key_waits_for_two_layouts(open_session: Opener, laid_out: list[Screen[Any]]) -> None:
    async with open_session(typed_ahead=[events.Key("down", None)], ready=False) as session:
        await session.until(lambda: session.runs.table.cursor == 1)
        assert len(laid_out) <= 2
        assert len(session.app._registry) <= 22


@pytest.mark.parametrize(("key", "widgets"), [("question_mark", 24), ("ctrl+p", 8)])
async def test_a_surface_opens_in_two_layouts(
    open_session: Opener, laid_out: list[Screen[Any]], key: str, widgets: int
) -> None:
    async with open_session() as session:
        await session.panel_rested()
        before = len(session.app._registry)
        laid_out.clear()
        await session.press(key)
        assert len(laid_out) <= 2
        assert len(session.app._registry) - before <= widgets


async def test_rows_that_come_and_go_lay_nothing_out(open_session: Opener, laid_out: list[Screen[Any]]) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.press("down")
        laid_out.clear()
        session.runs.filter_by("is:problem")
        await session.settled()
        session.runs.filter_by("")
        await session.settled()
        assert laid_out == []
