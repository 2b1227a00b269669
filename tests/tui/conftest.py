"""The whole terminal UI on a sandbox in this process: real screens, real requests, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, overload

import httpx
import pytest
from starlette.applications import Starlette
from textual import events
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual._styles_cache import StylesCache
from textual.cache import LRUCache
from textual.css.query import NoMatches
from textual.css.stylesheet import Stylesheet
from textual.keys import _character_to_key, key_to_character
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from runtui.auth.tokens import StaticToken, TokenSource
from runtui.domain.draft import Draft
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.text import visible
from runtui.profiles import Profiles
from runtui.sandbox.app import create_app
from runtui.services.workspace import SandboxControl, Workspace
from runtui.settings import Settings
from runtui.tui import keys
from runtui.tui.app import RuntuiApp
from runtui.tui.features.changes.editing import Editing
from runtui.tui.features.changes.journaling import Journaling, JournalView
from runtui.tui.screens.frame import ViewScreen
from runtui.tui.screens.runs import RunsView
from runtui.tui.widgets.chrome import StatusLine
from runtui.tui.widgets.field_form import FieldForm
from runtui.tui.widgets.side_panel import SidePanel
from tests import PATIENCE, canary, there
from tests.keys import drained
from tests.tui.wires import Graph

T = TypeVar("T", bound=Widget)

ROOT = "http://127.0.0.1:1/beta"

LOOK_SECONDS: Final = 0.01
"""Between two looks whether a state has come."""

_parsed: dict[frozenset[tuple[str, str]], LRUCache[Any, Any]] = {}
"""The parsed style sheets, by the variables of a theme: every app has the same ones."""


class OnceParsed(Stylesheet):
    """A style sheet that shares the parsed rules of earlier tests."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__()
        self.set_variables(variables)

    def set_variables(self, variables: dict[str, str]) -> None:
        self._parse_cache = LRUCache(1)  # Textual clears this one instead of the shared one
        super().set_variables(variables)
        self._parse_cache = _parsed.setdefault(frozenset(variables.items()), LRUCache(4_096))


draw_frame = Compositor.render_update
"""Textual's own method, which draws what has changed."""


def leave_for_later(
    self: Compositor, full: bool = False, screen_stack: list[Screen[Any]] | None = None, simplify: bool = False
) -> Any:
    """Draw only full frames: a test looks at far fewer frames than its keys cause.

    `Session.text` draws the screen when a test looks at it.
    """
    if full:
        return draw_frame(self, full, screen_stack, simplify)
    visible_screen_stack.set(screen_stack or [])
    return None


@pytest.fixture(autouse=True)
def a_terminal_of_256_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests draw on and copy to the same kind of terminal wherever they run."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("TMUX", "STY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@dataclass
class Session:
    """A running terminal UI, its workspace and its server."""

    pilot: Pilot[int]
    workspace: Workspace
    server: Starlette | None
    graph: Graph | None = None
    """The small scripted Graph that replaces the sandbox; None with the sandbox."""

    def __post_init__(self) -> None:
        # For each pause Textual's pilot posts a callback to every widget, then sleeps until the processor is idle.
        # That costs more than a key and depends on timing. Here a pause ends when nothing is left to do.
        self.pilot._wait_for_screen = self._rested  # type: ignore[method-assign]
        self.pilot.pause = self._pause  # type: ignore[method-assign]

    async def _rested(self, timeout: float = 0.0) -> bool:  # noqa: ASYNC109 - as the pilot calls it
        """Wait until no event is left, and no callback of the event loop is due."""
        loop = asyncio.get_running_loop()
        ready = getattr(loop, "_ready")  # noqa: B009 - typeshed does not know it
        while True:
            await asyncio.sleep(0)
            while ready:  # noqa: ASYNC110
                await asyncio.sleep(0)
            # Checking every widget is expensive, so it comes last.
            await drained(self.app.keys)
            if self.app._resize_event is not None:
                await asyncio.sleep(0.002)  # Textual applies a new size only after the time of a frame
            elif not ready:
                return True

    def draw(self) -> None:
        """Draw what has changed since the last frame."""
        if self.app.screen_stack and self.app.screen._compositor._dirty_regions:
            draw_frame(self.app.screen._compositor, screen_stack=self.app._background_screens)

    async def _pause(self, delay: float | None = None) -> None:
        await self._rested()
        if delay is not None:
            await asyncio.sleep(delay)
        self.app.screen._on_timer_update()

    @property
    def app(self) -> RuntuiApp:
        """The application."""
        app = self.pilot.app
        assert isinstance(app, RuntuiApp)
        return app

    @property
    def front(self) -> ViewScreen[Any]:
        """The main screen in front, below any question or dialog."""
        return self.app.chrome.front

    @property
    def view(self) -> str:
        """The scope of the visible view."""
        return self.front.view.scope

    @property
    def draft(self) -> Draft | None:
        """The draft in the form or the review, or the merged draft of a conflict; None elsewhere."""
        return self.front.view.draft

    @property
    def runs(self) -> RunsView:
        """The list of runs."""
        return self.app.runs

    @property
    def form(self) -> FieldForm:
        """The fields of the form."""
        return self.app.feature[Editing].form.fields

    @property
    def field(self) -> str | None:
        """The name of the field with the focus; None if no field has it."""
        return self.form.field.name if self.form.has_focus else None

    def text_in(self, name: str) -> str:
        """Return the text of a field."""
        field, draft = EDITABLE_BY_NAME[name], self.app.feature[Editing].form.draft
        return self.form.edit.text if self.field == name and not field.choices else visible(there(draft).text(field))

    def under(self, name: str) -> str:
        """Return the text under a field."""
        _, *told = [line.strip.text.strip() for line in self.form.lines if line.field and line.field.name == name]
        return " ".join(told)

    async def go_to(self, name: str) -> None:
        """Focus a field, with its text selected."""
        self.form.take_focus()
        await self.pilot.pause()
        self.form.enter(name)
        await self.pilot.pause()

    @property
    def journal(self) -> JournalView:
        """The list of the journal."""
        return self.app.feature[Journaling].view

    @property
    def panel(self) -> SidePanel:
        """The side panel."""
        return self.front.query_one(SidePanel)

    @property
    def status(self) -> StatusLine:
        """The status line."""
        return self.find(StatusLine)

    @property
    def left(self) -> Widget:
        """The left pane."""
        return self.front.query_one("#left")

    @overload
    def find(self, selector: str) -> Widget: ...

    @overload
    def find(self, selector: type[T]) -> T: ...

    @overload
    def find(self, selector: str, kind: type[T]) -> T: ...

    def find(self, selector: Any, kind: Any = Widget) -> Any:
        """Return the visible widget of a selector or a type."""
        return self.front.query_one(selector, kind) if isinstance(selector, str) else self.front.query_one(selector)

    def set_status(self, text: str) -> None:
        """Show a sentence in the status line."""
        self.app.chrome.set_status(text)

    async def press(self, *keys: str) -> None:
        """Press keys one by one, and wait after each until its effects are complete."""
        for key in keys:
            self.app.post_message(events.Key(key, key_to_character(key)))
            await self._rested()
        await self.settled()

    async def type(self, text: str) -> None:
        """Type text into the focused widget without waiting for the screen; then wait until it is up to date."""
        for letter in text:
            self.app.post_message(events.Key(_character_to_key(letter), letter))
        await self.settled()

    async def settled(self) -> None:
        """Wait until every key has taken effect, also on the screen."""
        await self.pilot.pause()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for a state, even if its screen is not mounted yet; at most for about PATIENCE."""
        for _ in range(round(PATIENCE / LOOK_SECONDS)):
            with suppress(NoMatches):
                if holds():
                    await self.pilot.pause()
                    return
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"never came true; the screen says:\n{self.text()}")

    async def meanwhile(self, holds: Callable[[], object]) -> None:
        """Wait for a state while keys are held back or rows are counted, which `until` would wait for."""
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - no event stands for what the screen says
                await asyncio.sleep(LOOK_SECONDS)

    async def panel_rested(self) -> None:
        """Wait until the panel shows the run under the cursor; the results of its tasks may not be read yet."""
        names, panel = {"read the run in the panel", "read the failures of a cause"}, self.app.chrome.panel
        await self.until(
            lambda: (
                all(worker.is_finished for worker in self.app.workers if worker.description in names)
                or not (panel._is_in_sight and panel.tab == "run")
                or (
                    panel.pages["run"].about.run_id == panel._wanted.run_id
                    and not panel.is_outdated
                    and "Reading its task results" in panel.text()
                )
            )
        )

    def text(self) -> str:
        """Return the lines that the screen shows."""
        size = self.app.size
        return "\n".join(strip.text.rstrip() for strip in self.app.screen._compositor.render_strips(size))

    @property
    def header(self) -> str:
        """The first line of the screen."""
        return self.text().splitlines()[0]

    @property
    def words(self) -> str:
        """The screen as running text, without the line breaks of wrapping."""
        return " ".join(self.text().split())

    def inside(self, pane: Widget) -> str:
        """Return the lines inside the frame of a pane. No wide character may be to the left of the pane."""
        region = pane.content_region
        lines = self.text().splitlines()[region.y : region.bottom]
        return "\n".join(line[region.x : region.right].rstrip() for line in lines)


def stands(session: Session, *, ahead: bool) -> bool:
    """Return whether the list is read and has rows, and the preparation that follows is done."""
    progress, preparation = session.workspace.refresh.progress, session.app.preparation
    if progress.finished_at is None or session.runs.table.total == 0:
        return False
    return preparation.is_prepared if ahead else preparation.is_followed_up or progress.fault is not None


Opener = Callable[..., AbstractAsyncContextManager[Session]]


@pytest.fixture
def open_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Open the terminal UI: `async with open_session(size=(80, 24), runs=50) as session`.

    A screen is mounted when it is opened. With `ahead`, the screens that people open most are mounted after the first
    rows, as in the real program; most tests open one of them, or none.
    """

    @asynccontextmanager
    async def opened(
        *,
        size: tuple[int, int] = (120, 40),
        runs: int = 240,
        hostile: bool = False,
        wire: httpx.AsyncBaseTransport | None = None,
        graph: Graph | None = None,
        ready: bool = True,
        sandbox: SandboxControl | None = None,
        profiles: Profiles | None = None,
        typed_ahead: Sequence[events.Event] = (),
        access: TokenSource | None = None,
        ahead: bool = False,
        **choices: Any,
    ) -> AsyncIterator[Session]:
        wire = graph.wire if graph is not None else wire
        server = create_app(runs=runs, hostile=hostile) if wire is None else None
        if server is not None:
            wire = httpx.ASGITransport(server)
        settings = Settings(root=ROOT, tenant="Contoso", is_sandbox=True, refresh_seconds=0.0, state_folder=tmp_path)
        settings = settings._replace(**choices)

        # No request meets its deadline, and no key goes on before its turn, however busy the machine is.
        monkeypatch.setattr("runtui.graph.transport.REQUEST_SECONDS", 3_600.0)
        monkeypatch.setattr(keys, "MAX_CHECKS", keys.CHECKS_AT_ONCE + round(PATIENCE / keys.PAUSE_SECONDS))
        access = access or StaticToken(canary.TOKEN)
        workspace = Workspace(settings, settings.state_folder / "runs.db", access, wire=wire)
        workspace.connect(ROOT)
        monkeypatch.setattr("textual.app.Stylesheet", OnceParsed)
        monkeypatch.setattr(Compositor, "render_update", leave_for_later)
        app = RuntuiApp(workspace, sandbox=sandbox, profiles=profiles, typed_ahead=typed_ahead)
        app.preparation.is_prepared = not ahead
        try:
            workspace.refresh.start()
            while typed_ahead and workspace.refresh.progress.finished_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # these keys are typed while rows are visible
            async with app.run_test(size=size) as pilot:
                session = Session(pilot, workspace, server, graph)
                if ready:
                    await session.until(lambda: stands(session, ahead=ahead))
                    if not ahead:
                        session.runs.table.row_under_cursor(pin=True)  # as after the other screens are mounted
                yield session
                assert not app.keys.timed_out, "keys waited in vain"
                assert not canary.holds_canary(f"{session.text()}{app.clipboard}{workspace.exchanges}".encode())
                app.workers.cancel_all()  # Textual does so before it removes the screens, except for its pilot
        finally:
            await workspace.close()
            StylesCache.get_inner_outer.cache_clear()  # it keeps the renderings of up to 1,024 widgets alive

    return opened
