"""The effect of a key is drawn in one frame, as soon as it is complete; a timer draws what takes longer."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any

import pytest
from textual import events
from textual._compositor import Compositor, LayoutUpdate
from textual.geometry import Region
from textual.keys import key_to_character
from textual.screen import UPDATE_PERIOD
from textual.strip import Strip

from runtui.tui.app import RuntuiApp
from runtui.tui.features.triage import explaining
from runtui.tui.output import DrawnOnce
from runtui.tui.screens import panel
from tests.tui.conftest import Opener, draw_frame

NEVER = 3_600.0
LONG = 10.0
"""Seconds after which a key counts as without effect."""
KEYS: Sequence[str] = (
    "x", "x", "1", "1", "s", "I", "ctrl+a", "*", "escape", "V", "z", "z", "right_square_bracket", "escape",
    "slash", "o", "n", "enter", "escape",
    "enter", "escape",
    "e", "tab", "enter", "down", "enter", "ctrl+s", "escape", "escape",
    "o", "right", "escape",
    "question_mark", "slash", "u", "enter", "escape", "escape",
    "ctrl+p", "escape",
    "S", "escape", "C", "down", "space", "escape", "m", "a", "escape", "y", "escape",
)  # fmt: skip
"""Keys that lead through most places, one after another."""
AT_ONCE = {"z", "right_square_bracket", "tab", "down", "space", "u"}
"""The keys whose effect needs no timer and no answer."""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_key_is_drawn_in_one_frame(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    frames: list[Any] = []
    async with open_session(size=size, ahead=True) as session:
        await session.panel_rested()
        for following in (panel, explaining):
            monkeypatch.setattr(following, "REST_SECONDS", NEVER)  # what follows the cursor is drawn by the clock
        monkeypatch.setattr(Compositor, "render_update", draw_frame)
        monkeypatch.setattr(RuntuiApp, "_display", lambda _app, _screen, frame: frames.append(frame))
        monkeypatch.setattr("runtui.tui.keys.FRAME_SECONDS", LONG)
        drawn_by_clock = []
        for key in KEYS:
            monkeypatch.setattr("runtui.tui.output.UPDATE_PERIOD", NEVER)
            frames.clear()
            before = session.text()
            session.app.post_message(events.Key(key, key_to_character(key)))
            await session._rested()
            drawn = sum(frame is not None for frame in frames)
            screen = session.app.screen
            assert isinstance(screen, DrawnOnce)
            if screen._clock._due is not None:
                drawn_by_clock.append(key)
            elif session.text() != before:
                assert drawn == 1, key
            assert drawn <= 1, key
            monkeypatch.setattr("runtui.tui.output.UPDATE_PERIOD", UPDATE_PERIOD)
            screen.draw_frame()
            await session.settled()
        assert AT_ONCE.isdisjoint(drawn_by_clock)


async def test_the_screen_behind_the_palette_is_drawn_with_it(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[Any] = []
    async with open_session(ahead=True) as session:
        await session.panel_rested()
        monkeypatch.setattr(Compositor, "render_update", draw_frame)
        monkeypatch.setattr(RuntuiApp, "_display", lambda _app, _screen, frame: frames.append(frame))
        monkeypatch.setattr("runtui.tui.output.UPDATE_PERIOD", NEVER)
        session.front.refresh()
        session.front.draw_frame()
        frames.clear()
        await session.press("ctrl+p")
        assert [screen.is_current for screen in session.app.screen_stack[-2:]] == [True, True]
        for screen in session.app.screen_stack[-2:]:
            assert isinstance(screen, DrawnOnce)
            screen.draw_frame()
        assert sum(isinstance(frame, LayoutUpdate) for frame in frames) == 1, "the whole screen"


async def test_a_widget_renders_only_the_lines_between_two_changes_in_it(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(120, 40)) as session:
        asked: list[int] = []

        def no_lines(crop: Region) -> list[Strip]:
            asked.append(crop.height)
            return []

        monkeypatch.setattr(session.runs.table, "render_lines", no_lines)
        for column in (90, 5):
            session.app.screen._compositor._dirty_regions = {Region(0, 10, 120, 1), Region(column, 12, 5, 1)}
            session.draw()
        assert asked == [1, 3]


async def test_changes_without_a_key_are_drawn_by_the_timer(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        await session.settled()
        frames: list[Any] = []
        monkeypatch.setattr(Compositor, "render_update", draw_frame)
        monkeypatch.setattr(RuntuiApp, "_display", lambda _app, _screen, frame: frames.append(frame))
        session.set_status("An answer came.")
        await session.until(lambda: any(frame is not None for frame in frames))
        assert "An answer came." in session.text()


async def test_nothing_is_drawn_once_the_app_ends(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing error ends the program. It draws no more, because a second error would make a second crash report."""
    async with open_session() as session:
        await session.settled()
        screen = session.app.screen
        reports: list[Exception] = []
        assert isinstance(screen, DrawnOnce)
        with monkeypatch.context() as patch:
            patch.setattr(session.app, "_handle_exception", reports.append)
            patch.setattr(screen, "_on_timer_update", [].pop)
            screen.draw_frame()
            assert len(reports) == 1
            patch.setattr(session.app, "_exit", True)
            screen.draw_frame()
            assert len(reports) == 1


async def test_a_screen_that_is_gone_draws_nothing(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("C")
        gone = session.app.screen
        assert isinstance(gone, DrawnOnce)
        await session.press("escape")
        await session.until(lambda: not gone.is_attached)
        Context().run(gone.draw_frame)  # in a context without an active app
        assert session.app._exception is None
