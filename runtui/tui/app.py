"""The Textual application: it wires services, features, themes and the first screen together.

Invariant: nothing here knows what a run is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.console import RenderableType
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Static

from runtui.keys.actions import ACTION_BY_ID
from runtui.keys.names import is_text, key_text
from runtui.prelude.terminal import LEAST_CELLS
from runtui.profiles import Profiles
from runtui.services.workspace import SandboxControl, Workspace
from runtui.tui.actions import bindings, textual_keymap
from runtui.tui.features.feature import Announced, Features
from runtui.tui.features.leaving import Leaving
from runtui.tui.features.listing import Listing
from runtui.tui.features.wiring import Preparation, Stages, feature_in
from runtui.tui.keys import KeyQueue, is_from_terminal
from runtui.tui.output import DifferentialOutput, DrawnOnce
from runtui.tui.screens.frame import PREPARE, Chrome, Frame
from runtui.tui.screens.runs import RunsView
from runtui.tui.terminal import TerminalApp, starting_theme, tell_the_shell
from runtui.tui.text import CONTROL_FILTER, as_one_filter, content
from runtui.tui.widgets.chrome import StatusLine

SHEETS: Final = ("base", "list", "form", "panel")


def style_sheets() -> list[Path]:
    """The style sheets: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    folder = next(place for place in (package / "styles", package.parent / "styles") if place.is_dir())
    return [folder / f"{name}.tcss" for name in SHEETS]


LEAST_SIZE: Final = Size(*LEAST_CELLS)

_QUIT: Final = ACTION_BY_ID["quit"].keys
QUITTING: Final = tuple(key for key in _QUIT if not is_text(key)) or _QUIT
"""The keys that quit where a letter may be text for what is out of sight."""


class TooSmall(DrawnOnce[None]):
    """Takes the screen while the terminal is too small: it says how large it has to be.

    While it stands nothing below it gets a key, and what was there comes back as it was.
    """

    BINDINGS = [
        *(binding for binding in bindings("app") if isinstance(binding, Binding) and binding.id == "redraw"),
        *(Binding(key, "app.quit", show=False) for key in QUITTING),
    ]
    DEFAULT_CSS = """
    TooSmall { layout: vertical; padding: 0 1; }
    TooSmall #size-notice { height: 1fr; }
    """

    def compose(self) -> ComposeResult:
        """The notice, and what quitting has to say."""
        yield Static(self._notice, id="size-notice", markup=False)
        yield StatusLine(id="size-status")

    @property
    def _notice(self) -> Content:
        size = self.app.size
        return content(
            f"runtui needs a terminal of {LEAST_SIZE.width}x{LEAST_SIZE.height}. "
            f"This one is {size.width}x{size.height}. "
            f"Enlarge it to go on where you were; {key_text(QUITTING[0])} quits."
        )

    def on_resize(self) -> None:
        """Say the size as it is now."""
        self.query_one("#size-notice", Static).update(self._notice)


def is_too_small(size: Size) -> bool:
    """Whether a terminal of that size, in cells, cannot show a view."""
    return size.width < LEAST_SIZE.width or size.height < LEAST_SIZE.height


class RuntuiApp(DifferentialOutput, TerminalApp):
    """One workspace on the screen.

    Args:
        workspace: The services, connected.
        takes_over: Whether the first paint is on the terminal already.
        sandbox: The demo's sandbox; None on a real server.
        profiles: Where the person can go on to; None for nowhere.
        typed_ahead: Keys for this screen that the one before it has read.
        stages: Whom to tell how far it has come.
    """

    TITLE = "runtui"
    ENABLE_COMMAND_PALETTE = False  # Textual's own
    BINDINGS: ClassVar = []

    def __init__(
        self,
        workspace: Workspace,
        *,
        takes_over: bool = False,
        sandbox: SandboxControl | None = None,
        profiles: Profiles | None = None,
        typed_ahead: Iterable[events.Event] = (),
        stages: Stages | None = None,
    ) -> None:
        settings = workspace.settings
        self.keys = KeyQueue(self, super().post_message, typed_ahead, workspace.foreground)
        """What comes from the terminal, on its way to the widgets."""
        super().__init__(
            theme=starting_theme(chosen=settings.theme, kept=workspace.preferences.kept.theme),
            crash_folder=settings.state_folder,
            css_path=[*style_sheets()],
            takes_over=takes_over,
        )
        self.set_keymap(textual_keymap())
        self._workspace = workspace
        self._stages = stages or Stages()
        self.chrome = Chrome(self, workspace, sandbox, profiles)
        self.runs = RunsView(workspace)
        self.wired = Features(self.chrome, self.runs, feature_in, self.keys.rest)
        self.preparation = Preparation(self.wired)
        self.takes_mouse = settings.mouse
        """Whether the mouse is asked of the terminal."""

    def post_message(self, message: Message) -> bool:
        """Have what comes from the terminal wait for its turn; all else goes the usual way."""
        if is_from_terminal(message):
            self._workspace.foreground.touch()
            self.keys.put(message)
            return True
        return super().post_message(message)

    def call_when_caught_up(self, call: Callable[[], object], *, is_done: bool = False) -> None:
        """Call when all that the terminal has sent so far is on its way to the widgets, or has taken effect."""

        async def call_when_settled() -> None:
            await self.keys.settled()
            call()

        if is_done:
            self.run_worker(call_when_settled(), group="catch up", description="act on what was typed ahead")
        else:
            self.keys.call_when_routed(call)

    def update_styles(self, node: DOMNode, animate: bool = True) -> None:
        """Match the styles of what is mounted: Textual 8.2.8 matches them while a widget is being built, too."""
        if node.is_attached or node is self:
            super().update_styles(node, animate)

    def on_mount(self) -> None:
        """Route what was typed ahead, once the screen stands. A terminal may be too small from the start."""
        self.chrome.front.call_next(self._begin)
        self._mind_size(self.size)
        self.keys.start()

    def _begin(self) -> None:
        """Show what the store has, now that the list stands and before it is drawn; the rest once it is."""
        self.wired[Listing].show_stored()
        preparing = self.preparation.prepare(self._stages)
        self.call_after_refresh(self.run_worker, preparing, group=PREPARE, description="prepare the rest")

    async def on_announced(self, event: Announced[object]) -> None:
        """A service announced something; while the screens go away, nothing is left to show it."""
        if self.runs.table.is_running:
            await event.deliver()

    def on_resize(self, event: events.Resize) -> None:
        """Cover everything while the terminal is too small, and uncover it as it was."""
        if self.screen_stack:
            self._mind_size(event.size)

    def _mind_size(self, size: Size) -> None:
        if is_too_small(size) and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not is_too_small(size) and isinstance(self.screen, TooSmall):
            self.pop_screen()

    def on_unmount(self) -> None:
        """Route nothing to widgets that are gone, and have nobody wait for a person."""
        self.keys.close()
        for feature in self.wired.built:
            feature.end()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The second wall: nothing that acts on a terminal is painted, whatever drew it."""
        return (as_one_filter(*super().get_line_filters(), CONTROL_FILTER),)

    def get_default_screen(self) -> Frame[None]:
        """The list: it is below all other screens."""
        return Frame(self.chrome, self.runs)

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Exit, once no screen is half mounted: Textual 8.2.8 ends with an error when it takes such a one away."""
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
        """Whether another profile is opened next."""
        return self.wired[Leaving].next_profile is not None and self.crash is None

    def end_unattended(self) -> None:
        """The line dropped, or the process was asked to end: saves on their way are still waited for."""
        leaving = self.wired[Leaving]
        leaving.next_profile = None
        leaving.stop_asking_all()
        leave = super().end_unattended

        async def leave_when_saved() -> None:
            await leaving.drain()
            leave()

        if self._workspace.active_saves:
            self.run_worker(leave_when_saved(), group="quit", description="end unattended")
        else:
            leave()

    async def action_quit(self) -> None:
        """Leave once no save is on its way, or when asked a second time. Drafts are on disk."""
        self.wired[Leaving].leave(None)


async def run(app: RuntuiApp) -> int:
    """Run the screen on this terminal until the person leaves; the exit code."""
    await app.run_async(mouse=app.takes_mouse)
    return tell_the_shell(app)
