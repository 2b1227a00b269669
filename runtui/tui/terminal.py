"""The terminal as a place: whether there is one, what it can show, and leaving it as it was found.

Invariant: however runtui ends (a hang-up, a signal, a crash) the terminal is restored, the exit code says so, and
neither the screen nor the crash report shows a local variable or a secret.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.worker import WorkerFailed

from runtui.crash import crash_sentence
from runtui.errors import ExitCode, RuntuiError
from runtui.tui.themes import ANSI_DARK, ANSI_LIGHT, DARK, LIGHT, THEMES

_NO_COLOUR: Final = NoColor()  # one instance: Textual caches filtered lines by filter
ENTER_ALTERNATE_SCREEN: Final = "\x1b[?1049h"
LEAVE_ALTERNATE_SCREEN: Final = "\x1b[?1049l"

_LIGHT_BACKGROUNDS: Final = {"7", *map(str, range(9, 16))}
"""Numbers of light colours at the end of COLORFGBG, by the rule that vim and rxvt share: 7, and 9 to 15."""


def starting_theme(environ: Mapping[str, str] = os.environ, chosen: str | None = None) -> str:
    """Name the theme to start with: the chosen one, else what this terminal can show.

    NO_COLOR and sixteen colours lead to the ansi themes, which use the terminal's own palette and half the bytes;
    COLORFGBG, where a terminal sets it, tells a light background from a dark one.

    Args:
        environ: The environment.
        chosen: A theme's name, `dark`, `light`, or None.

    Raises:
        RuntuiError: `chosen` is no theme.
    """
    if chosen is not None and chosen in THEMES:
        return chosen
    if chosen not in (None, "dark", "light"):
        known = ", ".join(["dark", "light", *THEMES])
        raise RuntuiError("Unknown theme", f"There is no theme {chosen!r}.", f"Choose one of {known}.")
    is_light = chosen == "light" if chosen else environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_BACKGROUNDS
    if "NO_COLOR" in environ or _has_sixteen_colours(environ):
        return ANSI_LIGHT if is_light else ANSI_DARK
    return LIGHT if is_light else DARK


def _has_sixteen_colours(environ: Mapping[str, str]) -> bool:
    """Ask Rich, which decides what is sent; from TERM and COLORTERM, as it does inside Textual."""
    console = Console(force_terminal=True, _environ=environ)
    return console.color_system in (None, "standard")


def install_signals(
    loop: asyncio.AbstractEventLoop, on_hangup: Callable[[], None], on_terminate: Callable[[], None]
) -> None:
    """Have SIGHUP (the line dropped) and SIGTERM (asked to end) call back in the loop.

    Also where SIGHUP was inherited as ignored, as under nohup: without a handler Textual's input thread would spin on
    the dead terminal for ever.
    """
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    loop.add_signal_handler(signal.SIGTERM, on_terminate)


def silence_output() -> None:
    """Put the null device in the place of a terminal that is gone.

    Writing to a dead terminal fails, which ends Textual's writer thread; its queue would fill up and block the loop.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)


class TakeOverDriver(LinuxDriver):
    """Starts on the alternate screen that is there: to enter it anew would clear it on some terminals.

    It leaves that screen as it is where another one follows, so that the shell does not show in between.
    """

    _has_entered = False

    def write(self, data: str) -> None:
        """Write, but for the first entry into the alternate screen, and for the way out where another one follows."""
        if data == ENTER_ALTERNATE_SCREEN and not self._has_entered:
            self._has_entered = True
            return
        if data == LEAVE_ALTERNATE_SCREEN and isinstance(self._app, TerminalApp) and self._app.is_followed:
            return
        super().write(data)


class TerminalApp(App[int]):
    """An App that takes care of its terminal: themes, signals and crashes. It decides nothing else.

    Args:
        theme: The name of the first theme, see `starting_theme`.
        crash_folder: Where a crash report goes.
        css_path: Style sheets.
        takes_over: Whether the terminal's alternate screen is on already, with something on it that is to stay.
    """

    def __init__(
        self, *, theme: str, crash_folder: Path, css_path: Sequence[Path] = (), takes_over: bool = False
    ) -> None:
        super().__init__(driver_class=TakeOverDriver if takes_over else None, css_path=list(css_path))
        # An instance attribute, as Textual's own is: a class attribute would be hidden by it.
        self.animation_level = "none"
        self._crash_folder = crash_folder
        self.crash: str | None = None
        """After a crash: the sentence to print once the terminal is restored."""
        for known in THEMES.values():
            self.register_theme(known)
        self.theme = theme

    @property
    def is_followed(self) -> bool:
        """Whether another screen takes this one's place on the terminal when it has ended."""
        return False

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Take colour out for NO_COLOR, and put none in.

        Textual chooses between greys and no colour at all before it knows the first theme, and greys are colours.
        """
        filters = super().get_line_filters()
        if self.no_color and self.native_ansi_color:
            return [_NO_COLOUR if isinstance(known, Monochrome) else known for known in filters]
        return filters

    def on_mount(self) -> None:
        """Listen for the end of the line and of the process."""
        if not self.is_headless:
            install_signals(asyncio.get_running_loop(), self._hang_up, self.end_unattended)

    def end_unattended(self) -> None:
        """End. Override it to finish first what is on its way: nobody may be there to press a key."""
        self.exit(return_code=int(ExitCode.NOT_DONE))

    def _hang_up(self) -> None:
        """Let go of the dead terminal before anything else: reading it spins, and writing to it blocks."""
        silence_output()
        if isinstance(self._driver, LinuxDriver):
            # For good, unlike `disable_input`: with SIGHUP comes SIGCONT, on which Textual starts a second reader.
            self._driver.exit_event.set()
        self.end_unattended()

    def _fatal_error(self) -> None:
        """Take the place of Textual's, which prints a traceback with every local variable in it."""
        error = self._exception or sys.exc_info()[1] or RuntimeError("unknown")
        if isinstance(error, WorkerFailed):
            error = error.error
        if self.crash is None:
            self.crash = crash_sentence(error, self._crash_folder)
        self._close_messages_no_wait()


def tell_the_shell(app: TerminalApp) -> int:
    """Call it when `app` has ended: prints what a crash left to say. Returns the process's exit code."""
    if app.crash is not None:
        print(app.crash, file=sys.stderr)
    return app.return_code or 0
