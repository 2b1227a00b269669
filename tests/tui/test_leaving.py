"""Quitting while the screen is still being built."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events

from runtui.tui.screens.frame import ViewScreen
from runtui.tui.terminal import tell_the_shell
from tests.tui.conftest import Opener
from tests.tui.test_faults import HeldBack
from tests.tui.wires import Graph


async def test_leaving_waits_until_no_view_is_half_mounted(open_session: Opener) -> None:
    async with open_session(runs=5, ahead=True) as session:
        async with session.app.chrome.mounting:
            await session.press("q")
            assert session.app.return_code is None
        await session.until(lambda: session.app.return_code == 0)


async def test_leaving_opens_no_file_of_drafts(open_session: Opener) -> None:
    async with open_session(ready=False, typed_ahead=[events.Key("q", "q")]) as session:
        await session.until(lambda: session.app.return_code == 0)
        assert "drafts" not in vars(session.workspace)


async def test_a_hang_up_while_the_first_screen_mounts_is_no_crash(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen may be told that it is mounted when the view's place on it is gone."""
    mounted = ViewScreen.on_mount

    def mount_alone(screen: ViewScreen[Any]) -> None:
        screen.app.exit(return_code=1)
        place, screen.view._parent = screen.view._parent, None
        mounted(screen)
        screen.view._parent = place

    monkeypatch.setattr(ViewScreen, "on_mount", mount_alone)
    async with open_session(ready=False) as session:
        await session.until(lambda: session.app.return_code == 1)
        assert session.app.crash is None


async def test_without_input_a_save_is_waited_for_and_the_exit_code_tells(
    open_session: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    wire = HeldBack(Graph())
    async with open_session(wire=wire) as session:
        await wire.hold_a_save(session)
        session.app.end_without_input(LookupError("the thread that reads the terminal"))
        await session.pilot.pause()
        assert session.app.return_code is None
        wire.released.set()
        await session.until(lambda: session.app.return_code == 1)
        assert not session.workspace.saves.active()
    assert tell_the_shell(session.app) == 1
    assert "runtui crashed (LookupError)" in capsys.readouterr().err


async def test_without_input_the_exit_code_tells_also_when_leaving_was_asked_for(open_session: Opener) -> None:
    wire = HeldBack(Graph())
    async with open_session(wire=wire) as session:
        await wire.hold_a_save(session)
        await session.press("q")
        session.app.end_without_input(LookupError("the thread that reads the terminal"))
        wire.released.set()
        await session.until(lambda: session.app.return_code is not None)
    assert tell_the_shell(session.app) == 1
