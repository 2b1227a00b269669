"""One session on the terminal: services first, then the first paint, then the screen, and all closed again.

Invariant: whatever was opened is closed on every way out. Rows are on the terminal as soon as the store has some,
which may be long before Textual is imported; keys pressed in between are not lost.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtui.errors import ExitCode
from runtui.prelude import first_paint, given_back_on_error, keyboard_given_back, require_terminal
from runtui.services.sandbox_control import SandboxControl
from runtui.services.store import EVERY_RUN
from runtui.services.workspace import Workspace
from runtui.settings import Settings, store_path

if TYPE_CHECKING:
    from runtui.profiles import Profiles
    from runtui.tui.keys import TypedAhead

FIRST_PAGE_SECONDS: Final = 0.25
"""How long the screen is held back for the first page of a list that was never read before."""


class Opening(NamedTuple):
    """One server to open a screen on."""

    settings: Settings
    store_file: Path
    """The SQLite file of the runs."""
    token: Callable[[], Callable[[], Awaitable[str]]]
    """Makes what gives the bearer token of a request; called on the event loop, before anything is drawn."""
    start: Callable[[], Awaitable[str]]
    """Gives the Graph root once the server can be asked."""


class Ended(NamedTuple):
    """How a screen ended."""

    code: int
    onward: Settings | None
    """What the person wants to open next; None: nothing, the person leaves."""
    typed_ahead: TypedAhead
    """Keys that came behind the one that ended it."""


def open_server(settings: Settings, profiles: Profiles) -> int:
    """Run the terminal UI on a server, and then on each profile that the person goes on to; the exit code.

    Raises:
        RuntuiError: there is no terminal, no store, or no token.
    """
    return _on_terminal(_server(settings), None, profiles)


def open_session(
    settings: Settings,
    store_file: Path,
    token: Callable[[], Awaitable[str]],
    start: Callable[[], Awaitable[str]],
    sandbox: SandboxControl | None = None,
) -> int:
    """Run the terminal UI until the person leaves; the exit code.

    Args:
        settings: This session's choices.
        store_file: The SQLite file of the runs.
        token: Gives the bearer token of a request.
        start: Gives the Graph root once the server can be asked.
        sandbox: The demo's sandbox; None on a real server.

    Raises:
        RuntuiError: there is no terminal, no store, or no server to ask.
    """
    return _on_terminal(Opening(settings, store_file, lambda: token, start), sandbox, None)


def _server(settings: Settings) -> Opening:
    from runtui.session_settings import token_source

    async def ready() -> str:
        return settings.root

    return Opening(settings, store_path(settings.state_folder, settings.root), partial(token_source, settings), ready)


def _on_terminal(opening: Opening, sandbox: SandboxControl | None, profiles: Profiles | None) -> int:
    require_terminal()
    try:
        with keyboard_given_back():
            return asyncio.run(_run(opening, sandbox, profiles))
    except asyncio.CancelledError:
        return int(ExitCode.NOT_DONE)


async def _run(opening: Opening, sandbox: SandboxControl | None, profiles: Profiles | None) -> int:
    """One screen after the other, on a terminal that never sees the shell in between."""
    ended = await _one(opening, sandbox, profiles)
    while ended.onward is not None:
        gc.unfreeze()  # the screen that has ended was kept from the collector to its end, and no longer
        ended = await _one(_server(ended.onward), sandbox, profiles, ended.typed_ahead)
    return ended.code


async def _one(
    opening: Opening,
    sandbox: SandboxControl | None,
    profiles: Profiles | None,
    typed_ahead: TypedAhead | None = None,
) -> Ended:
    """One screen. Where it follows another one, `typed_ahead` is what that one has read and not acted on."""
    follows = typed_ahead is not None
    end_on_signals()
    settings = opening.settings
    workspace: Workspace | None = None
    with given_back_on_error() if follows else nullcontext():
        token = opening.token()
    try:
        with first_paint(settings, sandbox, follows=follows) as paint:
            workspace = Workspace(settings, opening.store_file, token)
            has_rows = paint.show(workspace.store)
            workspace.connect(await opening.start())
            workspace.refresh.start()
            workspace.reconciler.start()
            if not has_rows:
                await _first_page(workspace)
                paint.show(workspace.store)
            from runtui.tui import app as screen

            app = screen.RuntuiApp(
                workspace,
                takes_over=True,
                sandbox=sandbox,
                profiles=profiles,
                typed_ahead=typed_ahead or (),
            )
        code = await screen.run(app)
        if app.next_profile is None:
            from runtui.headless.console import keep_exit_code

            await keep_exit_code()
        return Ended(code, app.next_profile, app.keys.close())
    finally:
        with given_back_on_error():
            if workspace is not None:
                await workspace.close()
            if settings.sign_in is not None:
                await _end_sign_in(token)


async def _end_sign_in(token: object) -> None:
    from runtui.auth.signin import SignIn

    if isinstance(token, SignIn):
        await token.aclose()


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
