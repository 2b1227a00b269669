"""One session on the terminal: services first, then the first paint, then the screen, and all closed again.

Invariant: whatever was opened is closed on every way out. Rows are on the terminal as soon as the store has some,
which may be long before Textual is imported; keys pressed in between are not lost.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from runtui.errors import ExitCode
from runtui.prelude import first_paint, require_terminal
from runtui.services.store import EVERY_RUN
from runtui.services.workspace import Workspace
from runtui.settings import Settings

FIRST_PAGE_SECONDS: Final = 0.25
"""How long the screen is held back for the first page of a list that was never read before."""


def open_session(
    settings: Settings,
    store_file: Path,
    token: Callable[[], Awaitable[str]],
    start: Callable[[], Awaitable[str]],
) -> int:
    """Run the terminal UI until the person leaves; the exit code.

    Args:
        settings: This session's choices.
        store_file: The SQLite file of the runs.
        token: Gives the bearer token of a request.
        start: Gives the Graph root once the server can be asked.

    Raises:
        RuntuiError: there is no terminal, no store, or no server to ask.
    """
    require_terminal()
    try:
        return asyncio.run(_run(settings, store_file, token, start))
    except asyncio.CancelledError:
        return int(ExitCode.NOT_DONE)


async def _run(
    settings: Settings,
    store_file: Path,
    token: Callable[[], Awaitable[str]],
    start: Callable[[], Awaitable[str]],
) -> int:
    end_on_signals()
    workspace = Workspace(settings, store_file, token)
    try:
        with first_paint(settings) as paint:
            has_rows = paint.show(workspace.store)
            workspace.connect(await start())
            workspace.refresh.start()
            workspace.settling.start()
            if not has_rows:
                await _first_page(workspace)
                paint.show(workspace.store)
            from runtui.tui import app as screen

            app = screen.RuntuiApp(workspace, takes_over=True)
        return await screen.run(app)
    finally:
        await workspace.close()


def end_on_signals() -> None:
    """Until the screen listens for itself: a dropped line or a request to end gives the terminal back first."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)


async def _first_page(workspace: Workspace) -> None:
    """Wait until the store has a row, the listing has failed, or the person has waited long enough."""
    loop = asyncio.get_running_loop()
    something = asyncio.Event()

    def look(_news: object) -> None:
        loop.call_soon_threadsafe(something.set)

    ends = (workspace.store.subscribe(look), workspace.refresh.changed.subscribe(look))
    try:
        async with asyncio.timeout(FIRST_PAGE_SECONDS):
            while not workspace.store.count(EVERY_RUN) and workspace.refresh.progress.fault is None:
                something.clear()
                await something.wait()
    except TimeoutError:
        pass
    finally:
        for end in ends:
            end()
