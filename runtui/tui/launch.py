"""From settings to a running screen and back to the shell.

Invariant: nothing is opened unless there is a terminal for it, and whatever was opened is closed on every way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from runtui.services.workspace import Workspace
from runtui.settings import Settings
from runtui.tui.app import RuntuiApp
from runtui.tui.terminal import require_terminal, tell_the_shell


def open_screen(
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
    """
    require_terminal()
    return asyncio.run(_run(settings, store_file, token, start))


async def _run(
    settings: Settings,
    store_file: Path,
    token: Callable[[], Awaitable[str]],
    start: Callable[[], Awaitable[str]],
) -> int:
    workspace = Workspace(settings, store_file, token)
    app = RuntuiApp(workspace, start)
    try:
        await app.run_async(mouse=settings.mouse)
    finally:
        await workspace.close()
    return tell_the_shell(app)
