"""The Textual application: it wires services, features, themes and the first screen together.

Invariant: nothing here knows what a run is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.console import RenderableType
from textual import events
from textual.command import CommandPalette
from textual.filter import LineFilter
from textual.geometry import Size
from textual.message import Message

from runtui.profiles import Profiles
from runtui.services.workspace import SandboxControl, Workspace
from runtui.tui.actions import textual_keymap
from runtui.tui.bridge import Announced
from runtui.tui.features.acting import Acting
from runtui.tui.features.arranging import Arranging
from runtui.tui.features.bulk_editing import BulkEditing
from runtui.tui.features.bulk_sending import BulkSending
from runtui.tui.features.copying import Copying
from runtui.tui.features.editing import Editing
from runtui.tui.features.journaling import Journaling
from runtui.tui.features.leaving import Leaving
from runtui.tui.features.listing import Listing
from runtui.tui.features.opening import Opening
from runtui.tui.features.overviewing import Overviewing
from runtui.tui.features.signing_in import SigningIn
from runtui.tui.features.switching import Switching
from runtui.tui.features.triage.explaining import Explaining
from runtui.tui.features.triage.tracing import Tracing
from runtui.tui.features.triage.triaging import Triaging
from runtui.tui.keys import KeyQueue, is_from_terminal
from runtui.tui.output import DifferentialOutput
from runtui.tui.palette import ActionProvider, Palette
from runtui.tui.screens.frame import PREPARE, Chrome, Frame, TooSmall, is_too_small
from runtui.tui.screens.runs import RunsView
from runtui.tui.terminal import TerminalApp, starting_theme, tell_the_shell
from runtui.tui.text import CONTROL_FILTER

SHEETS: Final = ("base", "list", "form", "panel")


def style_sheets() -> list[Path]:
    """The style sheets: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    folder = next(place for place in (package / "styles", package.parent / "styles") if place.is_dir())
    return [folder / f"{name}.tcss" for name in SHEETS]


class RuntuiApp(DifferentialOutput, TerminalApp):
    """One workspace on the screen.

    Args:
        workspace: The services, connected.
        takes_over: Whether the first paint is on the terminal already.
        sandbox: The demo's sandbox; None on a real server.
        profiles: Where the person can go on to; None for nowhere.
        typed_ahead: Keys for this screen that the one before it has read.
    """

    TITLE = "runtui"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {ActionProvider}
    COMMAND_PALETTE_BINDING = ""
    BINDINGS: ClassVar = []

    def __init__(
        self,
        workspace: Workspace,
        *,
        takes_over: bool = False,
        sandbox: SandboxControl | None = None,
        profiles: Profiles | None = None,
        typed_ahead: Iterable[events.Event] = (),
    ) -> None:
        settings = workspace.settings
        self.keys = KeyQueue(self, super().post_message, typed_ahead)
        """What comes from the terminal, on its way to the widgets."""
        super().__init__(
            theme=starting_theme(chosen=settings.theme, kept=workspace.preferences.kept.theme),
            crash_folder=settings.state_folder,
            css_path=[*style_sheets()],
            takes_over=takes_over,
        )
        self.set_keymap(textual_keymap())
        self._workspace = workspace
        self.chrome = Chrome(self, workspace, sandbox)
        self.runs = RunsView(workspace)
        self.editing = Editing(self.chrome, self.runs)
        self.bulk_sending = BulkSending(self.chrome, self.runs)
        self.bulk_editing = BulkEditing(self.chrome, self.runs, self.editing, self.bulk_sending)
        self.journaling = Journaling(self.chrome, self.runs, self.editing)
        self.signing_in = SigningIn(self.chrome)
        self.opening = Opening(self.chrome)
        self.explaining = Explaining(self.chrome, self.runs)
        self.tracing = Tracing(self.chrome, self.runs, self.opening)
        self.overviewing = Overviewing(self.chrome, self.runs)
        self.triaging = Triaging(self.chrome, self.runs, self.opening)
        places = (
            self.editing.place, *self.opening.places, self.explaining.place, self.tracing.place, self.journaling.place,
            self.overviewing.place,
        )  # fmt: skip
        self.acting = Acting(self.chrome, self.editing, self.bulk_editing, self.opening, self.overviewing.view)
        self.listing = Listing(self.chrome, self.runs, self.editing, places)
        self.leaving = Leaving(self.chrome, self.signing_in)
        self.arranging = Arranging(self.chrome, self.runs)
        switching = Switching(self.chrome, profiles, self.leaving)
        self.chrome.features += [
            self.editing, self.acting, self.bulk_editing, self.bulk_sending, self.opening, self.explaining,
            self.tracing, self.journaling, self.signing_in, self.listing, self.arranging, self.overviewing,
            self.triaging, Copying(self.chrome), switching,
        ]  # fmt: skip
        self.takes_mouse = settings.mouse
        """Whether the mouse is asked of the terminal."""

    def action_repaint(self) -> None:
        """Draw over whatever another program wrote on the terminal."""
        self.repaint_terminal()

    def action_command_palette(self) -> None:
        """Open the palette, once."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(id="--command-palette"))

    def post_message(self, message: Message) -> bool:
        """Have what comes from the terminal wait for its turn; all else goes the usual way."""
        if is_from_terminal(message):
            self._workspace.foreground.touch()
            self.keys.put(message)
            return True
        return super().post_message(message)

    def call_when_caught_up(self, call: Callable[[], object]) -> None:
        """Call when all that the terminal has sent so far is on its way to the widgets."""
        self.keys.call_when_routed(call)

    def on_mount(self) -> None:
        """Route what was typed ahead, once the screen stands. A terminal may be too small from the start."""
        bulk = (self.bulk_editing.place, self.bulk_sending.place)
        for place in (*self.listing.places, *bulk, self.signing_in.place):
            self.install_screen(place, place.view.name or place.view.scope)
        self.chrome.front.call_next(self._begin)
        self._mind_size(self.size)
        self.keys.start()

    def _begin(self) -> None:
        """Follow the services, now that the list stands and before it is drawn."""
        self.editing.start()
        self.acting.start()
        self.bulk_sending.start()
        self.opening.start()
        self.journaling.start()
        self.explaining.start()
        self.tracing.start()
        self.listing.start()
        self.arranging.start()
        self.overviewing.start()
        self.call_after_refresh(gc.enable)
        self.triaging.start()
        # Once the list has the keys: whoever types is not to be disturbed, and an unseen input may have them now.
        self.call_after_refresh(self.signing_in.start)

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
        self.signing_in.end()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The second wall: nothing that acts on a terminal is painted, whatever drew it."""
        return [*super().get_line_filters(), CONTROL_FILTER]

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
        return self.leaving.next_profile is not None and self.crash is None

    def end_unattended(self) -> None:
        """The line dropped, or the process was asked to end: saves on their way are still waited for."""
        self.leaving.next_profile = None
        self.signing_in.stop_asking()
        if self._workspace.saves.active():
            self.run_worker(self._leave_unattended(), group="quit", description="end unattended")
        else:
            super().end_unattended()

    async def _leave_unattended(self) -> None:
        await self.leaving.end()
        super().end_unattended()

    async def action_quit(self) -> None:
        """Leave once no save is on its way, or when asked a second time. Drafts are on disk."""
        self.leaving.leave(None)


async def run(app: RuntuiApp) -> int:
    """Run the screen on this terminal until the person leaves; the exit code."""
    await app.run_async(mouse=app.takes_mouse)
    return tell_the_shell(app)
