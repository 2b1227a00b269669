"""Each action of the registry is drawn in one frame, and a frame sends little more than the cells that it changes.

While a key is drawn, the server, the clock and the threads stand still, except for threads that keys wait for. So no
count depends on timing. The places where an action applies, and the actions whose answer makes a frame of its own, are
declared once, in the bench that presses the same keys on a real terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pyte
import pytest
from rich.color import ColorSystem
from starlette.applications import Starlette
from textual import events
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.keys import _character_to_key, key_to_character
from textual.worker import NoActiveWorker, get_current_worker

from runtui.keys.actions import ACTION_BY_ID, ACTIONS, SCOPE_TITLES, Action
from runtui.sandbox.app import create_app
from runtui.services.writing.write import Step
from runtui.tui.app import RuntuiApp
from runtui.tui.features.triage import explaining
from runtui.tui.keys import blocks_keys
from runtui.tui.output import DrawnOnce, FramePainter
from runtui.tui.screens import panel, view
from runtui.tui.screens.frame import ViewScreen
from tests.bench.actions import ANSWERED_LATER, BEFORE, FOLLOWED_BY_PANEL, LEFT_OUT, LITTLE, MAX_RATIO, REACH, sizes_of
from tests.tui.conftest import Opener, Session, draw_frame
from tests.tui.test_frames import LONG, NEVER
from tests.tui.test_scenarios import Sandbox

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
"""The time of the last listing; after a refresh the header shows another time."""
SIZE = (120, 40)
MEASURED = [action for action in ACTIONS if action.id not in LEFT_OUT]


class Terminal:
    """A terminal that accepts all output at once."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.write = self.frames.append

    def is_open(self) -> bool:
        return True

    def is_behind(self) -> bool:
        return False

    def sizes(self) -> list[tuple[int, int]]:
        """Return, for each frame after the first, its bytes and the bytes that its changed cells need."""
        screen = pyte.Screen(*SIZE)
        pyte.Stream(screen).feed(f"\x1b[?7l{self.frames[0]}")
        return list(sizes_of(screen, self.frames[1:]))


class Gate(httpx.AsyncBaseTransport):
    """Holds requests and work in threads while it is shut, except what a key waits for."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.is_idle = asyncio.Event()
        self.is_idle.set()
        self._under_way = 0
        self.server = create_app()
        self._wire = httpx.ASGITransport(self.server)
        loop = asyncio.get_running_loop()
        self._in_thread: Callable[..., asyncio.Future[Any]] = loop.run_in_executor

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = await self._pass(False, self._wire.handle_async_request, request)
        return response

    def run_in_executor(self, *call: Any) -> asyncio.Future[Any]:
        """Replace the event loop's method of that name."""
        return asyncio.ensure_future(self._pass(is_of_key(), self._in_thread, *call))

    async def _pass(self, is_of_key: bool, call: Callable[..., Any], *arguments: Any) -> Any:
        self._under_way += 1
        self.is_idle.clear()
        try:
            if not is_of_key:
                await self.is_open.wait()
            return await call(*arguments)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.is_idle.set()


class Simulated(Sandbox):
    """The control of a server in this process."""

    def __init__(self, server: Starlette) -> None:
        super().__init__()
        self._server = server

    async def use_scenario(self, name: str) -> None:
        self._server.state.scenario.use(name)
        await super().use_scenario(name)


def is_of_key() -> bool:
    """Return whether a key waits for the current task: a task of a widget, or a worker of a group for such work."""
    with suppress(NoActiveWorker):
        return get_current_worker().group.startswith(blocks_keys(""))
    task = asyncio.current_task()
    return task is not None and task.get_name().startswith(("message pump", "run_test"))


async def answered(session: Session, gate: Gate) -> None:
    """Wait until no request and no work in a thread is in progress, and no change but those that pause."""
    await session._rested()
    while not gate.is_idle.is_set() or any(save.step is not Step.PAUSED for save in session.workspace.saves.active()):
        await gate.is_idle.wait()
        await session._rested()


async def at_rest(session: Session, gate: Gate) -> None:
    """Wait until the panel has followed and all background reads are done."""
    await answered(session, gate)
    while workers := [worker for worker in session.app.workers if not worker.is_finished]:
        await session.app.workers.wait_for_complete(workers)
        await answered(session, gate)


async def key_drawn(session: Session, key: str) -> None:
    """Press a key and wait until it is drawn, even if everything else stands still."""
    keys = session.app.keys
    keys.put(events.Key(key, key_to_character(key)))
    assert keys._task is not None
    await asyncio.wait({keys._task})


@pytest.mark.parametrize("action", MEASURED, ids=[action.id for action in MEASURED])
async def test_an_action_is_drawn_in_one_frame_of_what_it_changes(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, action: Action
) -> None:
    terminal, gate = Terminal(), Gate()
    painter = FramePainter(terminal, SIZE)

    def display(app: RuntuiApp, _screen: object, frame: Any) -> None:
        if isinstance(frame, LayoutUpdate | ChopsUpdate):
            x, y = app.cursor_position
            painter.show(frame, ColorSystem.EIGHT_BIT, (y, x))

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", gate.run_in_executor)
    async with open_session(size=SIZE, ahead=True, wire=gate, sandbox=Simulated(gate.server)) as session:
        monkeypatch.setattr(view.Throttle, "ask", lambda throttle: throttle._call())
        monkeypatch.setattr(view.Throttle, "_rested", lambda _throttle: None)
        session.workspace.refresh._announce(finished_at=LONG_AGO)
        await answered(session, gate)
        for key in BEFORE.get(action.id, REACH[action.scope]).split():
            await session.press({"esc": "escape"}.get(key) or (_character_to_key(key) if len(key) == 1 else key))
            await answered(session, gate)
        await at_rest(session, gate)
        monkeypatch.setattr(panel, "REST_SECONDS", NEVER)
        monkeypatch.setattr(explaining, "REST_SECONDS", NEVER)
        monkeypatch.setattr("runtui.tui.output.UPDATE_PERIOD", 0)  # the clock waits for the key, not for its time
        monkeypatch.setattr("runtui.tui.keys.FRAME_SECONDS", LONG)
        monkeypatch.setattr(Compositor, "render_update", draw_frame)
        for screen in session.app.screen_stack:
            assert isinstance(screen, DrawnOnce)
            screen.draw_frame()  # its clock is no longer due: it would tick while the key takes effect
        monkeypatch.setattr(RuntuiApp, "_display", display)
        display(session.app, None, draw_frame(session.app.screen._compositor, full=True))

        screen = session.app.screen
        scopes = (
            (*screen.scopes, *screen.scopes_of_keys, "table") if isinstance(screen, ViewScreen) else (action.scope,)
        )
        gate.is_open.clear()
        await key_drawn(session, action.keys[0])
        monkeypatch.setattr("runtui.tui.output.UPDATE_PERIOD", NEVER)
        screen = session.app.screen
        assert isinstance(screen, DrawnOnce)
        assert screen._clock._due is None, "what the key changed is left to the clock"
        of_key = len(terminal.frames) - 1
        gate.is_open.set()
        await answered(session, gate)
        screen = session.app.screen
        assert isinstance(screen, DrawnOnce)
        screen.draw_frame()
        is_following = any(worker.description == "read the run in the panel" for worker in session.app.workers)

    sizes, is_answered_later = terminal.sizes(), action.id in ANSWERED_LATER
    assert scopes is None or action.scope in scopes, "its keys do not lead to where it applies"
    assert 1 <= len(sizes) <= 1 + is_answered_later, sizes  # what is answered may be known already
    assert of_key == 1 or not is_answered_later, "an answer is drawn, but not the key before it"
    assert is_following == (action.id in FOLLOWED_BY_PANEL)
    for size, floor in sizes:
        assert size <= max(MAX_RATIO * floor, floor + LITTLE), sizes


def test_the_tables_name_scopes_and_actions_that_there_are() -> None:
    assert REACH.keys() == SCOPE_TITLES.keys()
    measured = {action.id for action in MEASURED}
    assert ACTION_BY_ID.keys() >= LEFT_OUT.keys()
    assert measured >= {*BEFORE, *FOLLOWED_BY_PANEL, *ANSWERED_LATER}
