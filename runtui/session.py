"""Runs a session on the terminal: first the services, then the first paint, then the app.

Invariant: everything that was opened is closed, however the session ends. Rows are on the terminal as soon as the store
has some, often long before Textual is imported; keys pressed meanwhile are not lost.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from runtui.unused_modules import without_unused

with without_unused("asyncio"):
    import asyncio

from runtui.command_line import CommandLine, SessionSpec, token_source
from runtui.errors import ExitCode, RuntuiError
from runtui.keys.actions import remap
from runtui.prelude.first_paint import FirstPaint
from runtui.prelude.snapshot import SNAPSHOT, drawn_lines
from runtui.prelude.terminal import ENDING, MIN_CELLS, TAKEOVER, read_keys, require_terminal, terminal_size, write
from runtui.services.store.store import EVERY_RUN
from runtui.services.workspace import SandboxControl, Workspace
from runtui.settings import Settings

if TYPE_CHECKING:
    from runtui.prelude.preview import Preview
    from runtui.profiles import Profiles
    from runtui.tui.keys import TypedAhead

_GIVES_WAY_AFTER: Final = 0.0005
"""Python's thread switch interval while the app is imported, in seconds; the default is ten times as long."""

_ROWS_COME_FIRST: Final = 0.1
"""Seconds to wait for the first rows before importing the app; during the import they take three times as long."""

_PAGES_TOGETHER: Final = 0.005
"""Seconds that a paint waits for other pages requested at the same time."""

_PAINTS_APART: Final = 0.1
"""Seconds between two paints once the list is full; the app will draw the rest."""


class SessionEnd(NamedTuple):
    """The result of one app run."""

    code: int
    next_profile: Settings | None
    """The profile to open next; None if the person quits."""
    typed_ahead: TypedAhead
    """Events read after the key that ended it."""


def open_screen(line: CommandLine) -> int:
    """Run the terminal UI on the chosen server, then on each profile switched to; return the exit code.

    Raises:
        RuntuiError: There is no terminal, store or token, or config.toml has an invalid key.
    """
    from runtui.profiles import Profiles, names_server

    config, choices = line.choices()
    if not names_server(choices) and not config.profiles:
        from runtui.headless.welcome import welcome

        print(welcome(config.path), file=sys.stderr)
        return ExitCode.USAGE
    spec = line.session()
    remap(config.checked_keys())
    return open_session(spec, profiles=Profiles(config, line.flags))


def open_session(spec: SessionSpec, sandbox: SandboxControl | None = None, profiles: Profiles | None = None) -> int:
    """Run the terminal UI until the person quits; return the exit code. `sandbox` is None on a real server.

    Raises:
        RuntuiError: There is no terminal, store or server.
    """
    require_terminal()
    try:
        return asyncio.run(_run_screens(spec, sandbox, profiles))
    except asyncio.CancelledError:
        return ExitCode.NOT_DONE


async def _run_screens(spec: SessionSpec, sandbox: SandboxControl | None, profiles: Profiles | None) -> int:
    """Run one app after the other; the shell never shows in between."""
    ended = await _run_screen(spec, sandbox, profiles)
    while ended.next_profile is not None:
        gc.unfreeze()  # let the garbage collector free the app that ended
        ended = await _run_screen(SessionSpec(settings=ended.next_profile), sandbox, profiles, ended.typed_ahead)
    return ended.code


async def _run_screen(
    spec: SessionSpec, sandbox: SandboxControl | None, profiles: Profiles | None, typed_ahead: TypedAhead | None = None
) -> SessionEnd:
    """Run one app. `typed_ahead` holds the events that a previous app read but did not route; None in the first app."""
    TAKEOVER.take()
    end_on_signals()  # the handlers of `take` raise wherever the process is, also while it starts a thread
    settings = spec.settings
    workspace: Workspace | None = None
    token = spec.token or token_source(settings)
    try:
        workspace = Workspace(settings, spec.store_file, token, wire=spec.wire)
        await empty_shared_store(workspace)
        paint = FirstPaint(settings, *terminal_size(), sandbox)
        write(drawn_lines(paint.lines(workspace.store, workspace.preferences.kept)))
        has_rows = workspace.store.count(EVERY_RUN) > 0
        gc.disable()  # nothing loaded before the first rows is garbage
        with _previewing(workspace, paint, moves=has_rows, reads=not typed_ahead) as preview:
            if has_rows or preview.is_served:  # a key waits for the app, or may soon: the server is asked after it
                await _load_screen()
                workspace.connect(await spec.root() if spec.root else settings.root)
            else:
                await _read_while_loading(spec, workspace, preview)
        from runtui.tui import app as screen
        from runtui.tui.features.leaving import Leaving

        app = screen.RuntuiApp(
            workspace,
            sandbox=sandbox,
            profiles=profiles,
            typed_ahead=typed_ahead or (),
            begin=partial(_begin, workspace),
            prepared=exempt_from_collection,
        )
        TAKEOVER.hand_over()
        code = await screen.run(app)
        if app.is_followed:
            TAKEOVER.follow()
        if sandbox is None and typed_ahead is None:
            _keep_snapshot(workspace, *app.size)
        if app.feature[Leaving].next_profile is None:
            from runtui.headless.console import keep_exit_code

            await keep_exit_code()
        return SessionEnd(code, app.feature[Leaving].next_profile, app.keys.close())
    finally:
        if workspace is not None:
            await workspace.close(is_over=sandbox is not None)
            if (sign_in := workspace.sign_in) is not None:
                await sign_in.aclose()


def _shares_store(settings: Settings) -> bool:
    """Return whether another person who signs in with these settings would get the same store."""
    return settings.sign_in is not None and settings.sign_in.shares_store


async def empty_shared_store(workspace: Workspace) -> None:
    """Empty a store that tenants share if nobody is signed in: its runs may belong to another tenant."""
    sign_in = workspace.sign_in if _shares_store(workspace.settings) else None
    if sign_in is not None and (await sign_in.load()).account is None:
        await asyncio.to_thread(workspace.store.keep_workflows, ())


def _keep_snapshot(workspace: Workspace, columns: int, lines: int) -> None:
    """Save the list as a snapshot for the next start; remove it if another person may start next."""
    paint = FirstPaint(workspace.settings, columns, lines)
    with suppress(OSError, RuntuiError):  # without a snapshot the next start only shows its rows later
        if _shares_store(workspace.settings):
            SNAPSHOT.drop(workspace.settings.state_folder)
        elif workspace.store.count(EVERY_RUN):
            shown = paint.lines(workspace.store, workspace.preferences.kept)
            SNAPSHOT.keep(workspace.settings.state_folder, columns, shown)


def end_on_signals() -> None:
    """Cancel the session on a signal in ENDING, so that the terminal is given back, until the app has its handlers."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in ENDING:
            loop.add_signal_handler(number, task.cancel)


async def _load_screen(module: str = "runtui.tui.app") -> None:
    """Import the app or a part of it in a thread that yields to keys and responses: the longest part of the start."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_GIVES_WAY_AFTER)
    try:
        await asyncio.to_thread(import_module, module)
    finally:
        sys.setswitchinterval(usual)


@contextmanager
def _previewing(workspace: Workspace, paint: FirstPaint, *, moves: bool, reads: bool) -> Iterator[Preview]:
    """Act on keys with a preview inside the block. With `reads` False it reads none: earlier keys wait for the app."""
    from runtui.prelude.preview import Preview

    preview = Preview(paint, workspace.store, workspace.preferences.kept, moves=moves)
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        data = read_keys()
        preview.feed(data)
        if not data or preview.is_over:
            loop.remove_reader(keyboard)

    columns, lines = terminal_size()
    if reads and columns >= MIN_CELLS[0] and lines >= MIN_CELLS[1]:
        loop.add_reader(keyboard, read)
        preview.feed(read_keys())
    try:
        yield preview
    finally:
        loop.remove_reader(keyboard)
        TAKEOVER.typed = preview.typed


async def _read_while_loading(spec: SessionSpec, workspace: Workspace, preview: Preview) -> None:
    """Read the server and draw the first rows while the app loads; the listing pauses once a typed key can act."""
    loop = asyncio.get_running_loop()
    is_full = asyncio.Event()
    painting: asyncio.TimerHandle | None = None

    def show() -> None:
        nonlocal painting
        if painting is None and not loading_rest.done() and not (is_full.is_set() and preview.is_served):
            painting = loop.call_later(_PAINTS_APART if is_full.is_set() else _PAGES_TOGETHER, paint)

    def paint() -> None:
        nonlocal painting
        painting = None
        rows = preview.show()
        if preview.is_full:
            is_full.set()
            if preview.is_served:
                workspace.refresh.suspend()
        elif rows:
            workspace.refresh.start()  # the next pages may fill the list

    async def load_rest() -> None:
        await loading
        await _load_screen("rich.console")  # a fifth of the app, while the server prepares its answers
        with suppress(TimeoutError):
            await asyncio.wait_for(is_full.wait(), _ROWS_COME_FIRST)
        await _load_screen()

    loading = asyncio.create_task(asyncio.to_thread(workspace.load))
    loading_rest = asyncio.create_task(load_rest())
    root = await spec.root() if spec.root else workspace.settings.root
    await loading
    workspace.connect(root)
    end = workspace.store.changed.subscribe(lambda _ids: loop.call_soon_threadsafe(show))
    workspace.refresh.start()
    if preview.is_served:
        workspace.refresh.suspend()
    await loading_rest
    end()
    if painting is not None:
        painting.cancel()


def _begin(workspace: Workspace) -> None:
    """Start to read the server, and exempt everything loaded so far from garbage collection."""
    gc.freeze()
    gc.set_threshold(10_000)  # new objects, about 1 MiB; one import makes more than Python's own 700
    gc.enable()
    workspace.refresh.start()
    workspace.reconciler.start()


def exempt_from_collection() -> None:
    """Exempt all live objects from garbage collection, since each full pass over them would delay a key.

    Call it once per session: a frozen object is never freed.
    """
    gc.collect(0)
    gc.freeze()
    gc.collect()  # CPython sets the threshold of a full pass from the number of objects that are not frozen
