"""The Textual application: it wires services, themes and the screen together, and decides nothing else.

Invariant: nothing here knows what a run is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from textual.command import CommandPalette
from textual.filter import LineFilter

from runtui.services.workspace import Workspace
from runtui.tui.output import DifferentialOutput
from runtui.tui.palette import ActionProvider, Palette
from runtui.tui.terminal import TerminalApp, starting_theme, tell_the_shell
from runtui.tui.text import CONTROL_FILTER
from runtui.tui.themes import THEMES
from runtui.tui.workbench import Workbench

QUIT_SECONDS: Final = 10.0
"""How long quitting waits for saves on their way; after that the person is told and may quit all the same."""

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
    """

    TITLE = "runtui"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {ActionProvider}
    COMMAND_PALETTE_BINDING = ""
    BINDINGS: ClassVar = []

    def __init__(self, workspace: Workspace, *, takes_over: bool = False) -> None:
        settings = workspace.settings
        super().__init__(
            theme=starting_theme(chosen=settings.theme),
            crash_folder=settings.state_folder,
            css_path=[*style_sheets()],
            takes_over=takes_over,
        )
        self._workspace = workspace
        self._quitting = False

    def action_next_theme(self) -> None:
        """To the next theme."""
        names = list(THEMES)
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def action_command_palette(self) -> None:
        """Open the palette, once."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(id="--command-palette"))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The second wall: nothing that acts on a terminal is painted, whatever drew it."""
        return [*super().get_line_filters(), CONTROL_FILTER]

    def get_default_screen(self) -> Workbench:
        """The one screen there is."""
        return Workbench(self._workspace, columns=self.size.width)

    def end_unattended(self) -> None:
        """The line dropped, or the process was asked to end: saves on their way are still waited for."""
        if self._workspace.saves.active():
            self.run_worker(self._leave_unattended(), group="quit", description="end unattended")
        else:
            super().end_unattended()

    async def _leave_unattended(self) -> None:
        await self._workspace.saves.drain(QUIT_SECONDS)
        super().end_unattended()

    async def action_quit(self) -> None:
        """Leave once no save is on its way, or when asked a second time."""
        if self._quitting:
            self.exit(return_code=0)
            return
        active = self._workspace.saves.active()
        if not active:
            self.exit(return_code=0)
            return
        self._quitting = True
        workbench = self.screen
        if isinstance(workbench, Workbench):
            workbench.say(f"Waiting for {len(active)} save to end; q again leaves at once.", "warning")
        self.run_worker(self._leave_after_saves(), group="quit", description="quit", exit_on_error=True)

    async def _leave_after_saves(self) -> None:
        open_saves = await self._workspace.saves.drain(QUIT_SECONDS)
        if not open_saves:
            self.exit(return_code=0)
            return
        workbench = self.screen
        if isinstance(workbench, Workbench):
            workbench.say(
                f"{open_saves} save has no answer yet. q leaves all the same: its outcome is unknown.", "error"
            )


async def run_app(workspace: Workspace) -> int:
    """Run the screen on a terminal that shows the first paint already; the exit code."""
    app = RuntuiApp(workspace, takes_over=True)
    await app.run_async(mouse=workspace.settings.mouse)
    return tell_the_shell(app)
