"""The Textual application: it connects services, features, themes and the first screen, then prepares what the first
keys did not need.

Invariant: no code here depends on what a run is. Code and mounted screens take megabytes: once keys rest, only the form
and the help are prepared, because they must open at once.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from rich.console import RenderableType
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.filter import LineFilter
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Static

from runtui.errors import RuntuiError
from runtui.keys.actions import ACTION_BY_ID, remapped
from runtui.keys.names import is_text, key_text
from runtui.prelude.terminal import MIN_CELLS
from runtui.profiles import Profiles
from runtui.services.foreground import Foreground
from runtui.services.store.store import EVERY_RUN
from runtui.services.workspace import SandboxControl, Workspace
from runtui.tui.actions import binding
from runtui.tui.features.feature import FOLLOW_CHANGES, Announced, Features
from runtui.tui.features.leaving import QUIT_SECONDS, Leaving
from runtui.tui.features.listing import Listing
from runtui.tui.keys import KeyQueue, is_from_terminal
from runtui.tui.output import DifferentialOutput, DrawnOnce
from runtui.tui.screens.frame import PREPARE, Chrome, ViewScreen
from runtui.tui.screens.runs import RunsView
from runtui.tui.terminal import TerminalApp, tell_the_shell
from runtui.tui.text import ControlFilter, content
from runtui.tui.themes import starting_theme
from runtui.tui.widgets.chrome import StatusLine

SHEETS: Final = ("base", "list", "panel")


def style_sheet(name: str) -> Path:
    """Return the path of a style sheet, inside the installed package or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    folder = next(place for place in (package / "styles", package.parent / "styles") if place.is_dir())
    return folder / f"{name}.tcss"


MIN_SIZE: Final = Size(*MIN_CELLS)

COLLECTION_INTERVAL: Final = 5
"""The seconds between two looks for closed screens to free."""
COLLECTION_REST: Final = 1.0
"""The seconds without a key after which they may be freed: that takes longer than a key should wait."""
COLLECTION_LEAST: Final = 3
"""The looks of Python itself at new objects, one per 10,000, before all objects are looked at."""

_QUIT: Final = ACTION_BY_ID["quit"].keys
QUITTING: Final = tuple(key for key in _QUIT if not is_text(key)) or _QUIT
"""The keys that quit while a hidden widget may take letters as text."""


def is_too_small(size: Size) -> bool:
    """Return whether a terminal of this size is too small for a view."""
    return size.width < MIN_SIZE.width or size.height < MIN_SIZE.height


class TooSmall(DrawnOnce[None]):
    """Covers the screen while the terminal is too small, and says how large it has to be.

    The screens below get no keys, and return unchanged.
    """

    BINDINGS = [
        binding(ACTION_BY_ID["redraw"]),
        *(Binding(key, "app.quit", show=False) for key in QUITTING),
    ]
    DEFAULT_CSS = """
    TooSmall { padding: 0 1; }
    TooSmall #size-notice { height: 1fr; }
    """

    def compose(self) -> ComposeResult:
        yield Static(self._notice, id="size-notice", markup=False)
        yield StatusLine(id="size-status")

    @property
    def _notice(self) -> Content:
        size = self.app.size
        return content(
            f"runtui needs a terminal of {MIN_SIZE.width}x{MIN_SIZE.height}. "
            f"This one is {size.width}x{size.height}. "
            f"Enlarge it; {key_text(QUITTING[0])} quits."
        )

    def on_resize(self) -> None:
        self.query_one("#size-notice", Static).update(self._notice)

    def on_screen_suspend(self) -> None:
        """Cover a screen that has opened above this one."""
        if self in self.app.screen_stack:
            self.app.push_screen(TooSmall())

    def on_screen_resume(self) -> None:
        """Close, if the terminal was enlarged while such a screen was open."""
        if not is_too_small(self.app.size):
            self.dismiss()


class Preparation:
    """The work that is done while keys rest, until no key has to wait for anything."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self.is_followed_up = False
        """True once every feature with news at the start is loaded, and has reported them."""
        self.is_prepared = False
        """True once the form and the help are mounted."""

    async def prepare(self, begin: Callable[[], object], prepared: Callable[[], object]) -> None:
        """Whenever keys rest, load what is still needed, then mount the form and the help; see `RuntuiApp`."""
        features, workspace = self._features, self._features.chrome.workspace
        wait_idle = features.chrome.keys.wait_idle
        await wait_idle()
        if workspace.progress is not None or not workspace.store.count(EVERY_RUN):  # it was held for the first keys
            workspace.refresh.start()
        await asyncio.to_thread(workspace.load)  # before the collector looks at new objects
        await workspace.load_triage()
        with suppress(RuntuiError):  # the reconciler reports a journal that cannot be read
            await workspace.drop_done_drafts()
        for name in self._have_news():
            await wait_idle()
            features.build(name)
        features.build_when(workspace.reconciler.changed, *FOLLOW_CHANGES)
        features.build_when(workspace.reconciler.failed, *FOLLOW_CHANGES)
        await wait_idle()
        begin()
        await features[Listing].is_read.wait()
        from runtui.tui.features.changes.editing import Editing

        features[Editing].tell_of_unlisted_drafts()
        self.is_followed_up = True
        if not self.is_prepared:
            await features.mount_when_idle(lambda: features[Editing].screen)
            from runtui.tui.features.helping import Helping

            await features.mount_when_idle(lambda: features[Helping].screen)
            await wait_idle()
            # The first rows are in place: from here on the cursor belongs to its run.
            features.runs.table.row_under_cursor(pin=True)
            prepared()
            self.is_prepared = True

    def _have_news(self) -> Iterator[str]:
        """Return the files of the features that report something by themselves, and of the form: it opens at once."""
        workspace = self._features.chrome.workspace
        yield "changes.editing"
        yield "triage.triaging"
        if workspace.sign_in is not None:
            yield "signing_in"
        drafts, reconciler = workspace.drafts, workspace.reconciler
        trouble = drafts.fault or reconciler.fault or reconciler.broken
        if trouble or len(drafts) or reconciler.unsettled or reconciler.settled:
            yield from FOLLOW_CHANGES


def free_closed_screens(foreground: Foreground) -> None:
    """Free what closed screens leave behind, while keys rest. Its parts refer to each other; Python by itself looks for
    such objects only after a million new ones, and in the middle of a key."""
    _, collections, older = gc.get_count()
    if (older or collections >= COLLECTION_LEAST) and not foreground.had_input_within(COLLECTION_REST):
        gc.collect()


class RuntuiApp(DifferentialOutput, TerminalApp):
    """The app for one workspace.

    Args:
        workspace: The connected services.
        sandbox: The demo's sandbox; None on a real server.
        profiles: The profiles to switch between; None if there are none.
        typed_ahead: Keys for this app that the previous app has read.
        begin: Called when the first rows are drawn and the first keys handled: there is time for the server.
        prepared: Called when everything that is prepared is loaded and mounted.
    """

    TITLE = "runtui"
    ENABLE_COMMAND_PALETTE = False  # Textual's own
    BINDINGS: ClassVar = []

    _filter = ControlFilter()

    def __init__(
        self,
        workspace: Workspace,
        *,
        sandbox: SandboxControl | None = None,
        profiles: Profiles | None = None,
        typed_ahead: Iterable[events.Event] = (),
        begin: Callable[[], object] = lambda: None,
        prepared: Callable[[], object] = lambda: None,
    ) -> None:
        settings = workspace.settings
        self.keys = KeyQueue(self, super().post_message, typed_ahead, workspace.foreground, QUITTING)
        """The terminal's events on their way to the widgets."""
        super().__init__(
            theme=starting_theme(chosen=settings.theme, kept=workspace.preferences.kept.theme),
            crash_folder=settings.state_folder,
            css_path=[style_sheet(name) for name in SHEETS],
            later_css_path=style_sheet("later"),
        )
        self.set_keymap({name: ",".join(keys) for name, keys in remapped().items()})
        self._workspace = workspace
        self.chrome = Chrome(self, workspace, self.keys, sandbox, profiles)
        self.runs = RunsView(self.chrome)
        self.feature = Features(self.chrome, self.runs)
        self.preparation = Preparation(self.feature)
        self._prepare = partial(self.preparation.prepare, begin, prepared)
        self.takes_mouse = settings.mouse
        """Whether to ask the terminal for mouse events."""

    def post_message(self, message: Message) -> bool:
        """Queue the events of the terminal; post all other messages as Textual does."""
        if is_from_terminal(message):
            self._workspace.foreground.note_input()
            self.keys.put(message)
            return True
        return super().post_message(message)

    def call_when_caught_up(self, call: Callable[[], object], *, is_done: bool = False) -> None:
        """Call `call` once the input so far has been routed to the widgets or, with `is_done`, has taken effect."""

        async def call_when_settled() -> None:
            await self.keys.wait_settled()
            call()

        if is_done:
            self.run_worker(call_when_settled(), group="catch up", description="act on what was typed ahead")
        else:
            self.keys.call_when_routed(call)

    def on_mount(self) -> None:
        """Start routing keys, with those typed ahead first. The terminal may be too small from the start."""
        self.chrome.front.call_next(self._begin)
        self._check_size(self.size)
        self.keys.start()
        self.set_interval(COLLECTION_INTERVAL, partial(free_closed_screens, self._workspace.foreground))

    def _begin(self) -> None:
        """Fill the mounted list from the store before it is drawn; prepare the rest after the first frame."""
        self.feature[Listing].show_stored()
        self.call_after_refresh(self.run_worker, self._prepare, group=PREPARE, description="prepare the rest")

    async def on_announced(self, event: Announced[object]) -> None:
        """Deliver a service's announcement, unless the screens are closing."""
        if self.runs.table.is_running:
            await event.deliver()

    def on_resize(self, event: events.Resize) -> None:
        if self.screen_stack:
            self._check_size(event.size)

    def _check_size(self, size: Size) -> None:
        is_said = isinstance(self.screen, TooSmall)
        if is_too_small(size) and not is_said:
            self.push_screen(TooSmall())
        elif is_said and not is_too_small(size):
            self.pop_screen()

    def on_unmount(self) -> None:
        """Stop routing keys to widgets that are gone, and end every feature."""
        self.keys.close()
        for feature in self.feature.built:
            feature.end()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return a filter that removes control characters from every line, whichever widget drew it."""
        before = super().get_line_filters()
        if before != self._filter.before:
            self._filter = ControlFilter(before)
        return (self._filter,)

    def get_default_screen(self) -> ViewScreen[None]:
        """Return the screen of the list, the lowest screen of the stack."""
        return ViewScreen(self.chrome, self.runs)

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Exit once no screen is half mounted: Textual 8.2.8 fails when it removes such a screen."""
        self.keys.close()
        leave = super().exit

        async def leave_when_mounted() -> None:
            async with self.chrome.mounting:
                leave(return_code=return_code)

        if self.chrome.mounting.locked():
            self.run_worker(leave_when_mounted(), group="quit", description="exit")
            return
        self.workers.cancel_group(self, PREPARE)
        leave(result, return_code, message)

    @property
    def is_followed(self) -> bool:
        """Whether the app for another profile follows."""
        return self.feature[Leaving].next_profile is not None and self.crash is None

    def end_unattended(self) -> None:
        """Exit after a hang-up or a request to end, once the changes in progress have ended."""
        leaving = self.feature[Leaving]
        leaving.next_profile = None
        leaving.stop_asking_all()
        leave = super().end_unattended

        async def leave_when_saved() -> None:
            await self._workspace.saves.drain(QUIT_SECONDS)
            leave()

        if self._workspace.active_saves:
            self.run_worker(leave_when_saved(), group="quit", description="end unattended")
        else:
            leave()

    def action_show_runs(self, filter_text: str) -> None:
        """Show the runs of a clicked count."""
        self.feature[Listing].show_runs(filter_text)

    async def action_quit(self) -> None:
        """Quit once no change is in progress, or when asked a second time. Drafts are on disk."""
        self.feature[Leaving].leave(None)


async def run(app: RuntuiApp) -> int:
    """Run the app on this terminal until it exits; return the exit code."""
    await app.run_async(mouse=app.takes_mouse)
    await asyncio.sleep(0)  # the last keys that the input thread has read arrive
    return tell_the_shell(app)
