"""A key is drawn in one frame, as soon as nothing more follows from it; the clock draws what takes longer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pyte
import pytest
from rich.color import ColorSystem
from textual import events
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.keys import _character_to_key, key_to_character
from textual.screen import UPDATE_PERIOD

from runtui.keys.actions import ACTION_BY_ID, Action
from runtui.tui.app import RuntuiApp
from runtui.tui.output import DrawnOnce, FramePainter
from tests.bench.actions import BEFORE, LITTLE, MOST_RATIO, REACH, bytes_of_change
from tests.seen import seen
from tests.tui.conftest import Opener, draw_frame

NEVER = 3_600.0
SIZE = (120, 40)
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
"""Keys of most places, one after the other."""
AT_ONCE = {"z", "right_square_bracket", "tab", "down", "space", "u"}
"""Those that wait for nothing: no clock draws them."""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_key_is_drawn_in_one_frame(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    frames: list[Any] = []
    async with open_session(size=size, ahead=True) as session:
        await session.panel_rested()
        monkeypatch.setattr(Compositor, "render_update", draw_frame)
        monkeypatch.setattr(RuntuiApp, "_display", lambda _app, _screen, frame: frames.append(frame))
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


async def test_what_comes_without_a_key_is_drawn_by_the_clock(
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


class Terminal:
    """A terminal that takes everything at once."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(*SIZE)
        self.frames: list[int] = []
        """The bytes of each frame."""
        self._stream = pyte.Stream(self.screen)
        self._stream.feed("\x1b[?7l")

    def is_open(self) -> bool:
        return True

    def is_behind(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.frames.append(len(data.encode()))
        self._stream.feed(data)


MEASURED = [ACTION_BY_ID[name] for name in ("show_chosen", "copy_chosen")]
"""Actions that wait for no thread and no server: their frames cannot depend on what else the machine does."""


@pytest.mark.parametrize("action", MEASURED, ids=[action.id for action in MEASURED])
async def test_an_action_is_drawn_in_one_frame_of_what_it_changes(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, action: Action
) -> None:
    terminal = Terminal()
    answers: list[object] = []
    painter = FramePainter(terminal, SIZE)

    def display(app: RuntuiApp, _screen: object, frame: Any) -> None:
        if isinstance(frame, LayoutUpdate | ChopsUpdate):
            x, y = app.cursor_position
            painter.show(frame, ColorSystem.EIGHT_BIT, (y, x))

    async with open_session(size=SIZE, ahead=True) as session:
        for key in BEFORE.get(action.id, REACH[action.scope]).split():
            await session.press({"esc": "escape"}.get(key) or (_character_to_key(key) if len(key) == 1 else key))
        await session.panel_rested()
        app, loop = session.app, asyncio.get_running_loop()
        monkeypatch.setattr("runtui.tui.screens.panel.REST_SECONDS", NEVER)
        monkeypatch.setattr("runtui.tui.output.UPDATE_PERIOD", NEVER)
        app.workers.cancel_group(app, "follow the cursor")
        await session.settled()
        screen = app.screen
        assert isinstance(screen, DrawnOnce)
        screen._clock.pause()
        display(app, None, draw_frame(screen._compositor, full=True))
        with monkeypatch.context() as patch:
            patch.setattr(Compositor, "render_update", draw_frame)
            patch.setattr(RuntuiApp, "_display", display)
            in_thread, exchanges = loop.run_in_executor, session.workspace.exchanges

            def count(*call: Any) -> Any:
                answers.append(call)
                return in_thread(*call)

            patch.setattr(loop, "run_in_executor", count)
            terminal.frames.clear()
            before, newest = seen(terminal.screen), next(iter(exchanges), None)
            app.post_message(events.Key(action.keys[0], key_to_character(action.keys[0])))
            await session._rested()
            last = app.screen
            assert isinstance(last, DrawnOnce)
            last.draw_frame()
        is_answered = bool(answers) or next(iter(exchanges), None) is not newest
    frames = terminal.frames
    assert not is_answered, answers
    assert len(frames) == 1
    floor = bytes_of_change(before, seen(terminal.screen))
    assert frames[0] <= max(MOST_RATIO * floor, floor + LITTLE), floor
