"""The terminal before Textual has it: taken once, then given back or handed over, however the process goes on.

Invariant: keys typed meanwhile are neither echoed nor lost. This file imports only what a snapshot needs.
"""

from __future__ import annotations

import os
import signal
import sys
import termios

from runtui.errors import ExitCode, RuntuiError

TYPE_CHECKING = False  # importing `typing` would cost as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, TextIO

MIN_CELLS: Final = (60, 16)
"""Columns and lines of the smallest terminal that can show a view; in a smaller one keys do nothing."""
MAX_CELLS: Final = 1_000
"""The most columns and lines to use; an 8K screen with a font of 8x16 pixels has fewer."""
ENDING: Final = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""The signals that end the program, after which a terminal must be given back."""

_WITHOUT_A_SCREEN: Final = "Use `runtui list` without a terminal; over SSH, `ssh -t` gives one."
_ENTER: Final = "\x1b[?1049h\x1b[H\x1b[2J"
_HIDE_CURSOR: Final = "\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_READ_BYTES: Final = 4096  # the size of a terminal's buffer
_INPUT, _LOCAL, _KEYS = 0, 3, 6
"""Indices in the list of `termios.tcgetattr`: input modes, local modes, special characters."""


def require_terminal(environ: Mapping[str, str] = os.environ, streams: tuple[TextIO | None, ...] | None = None) -> None:
    """Check for a terminal that can show a full-screen program.

    Raises:
        RuntuiError: Standard input, output or error is no terminal, or TERM names one that cannot place a cursor.
    """
    for stream in streams or (sys.stdin, sys.stdout, sys.stderr):
        if stream is None or not stream.isatty():
            raise RuntuiError(
                "No terminal",
                "Standard input, output and error must be a terminal; runtui draws on standard error.",
                _WITHOUT_A_SCREEN,
            )
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        raise RuntuiError(
            "No screen", f"TERM is {term or 'not set'}: this terminal cannot place a cursor.", _WITHOUT_A_SCREEN
        )


def terminal_size() -> tuple[int, int]:
    """Ask the terminal that Textual draws on for its columns and lines, at most MAX_CELLS each.

    LINES and COLUMNS are ignored, since they may be out of date. A terminal without a size counts as a VT100, 80x24.
    """
    try:
        columns, lines = os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    except (OSError, ValueError):
        columns, lines = 0, 0
    return min(columns or 80, MAX_CELLS), min(lines or 24, MAX_CELLS)


class Takeover:
    """The state taken from the terminal and not given back yet: keyboard modes, alternate screen, typed keys."""

    def __init__(self) -> None:
        self._modes: list[Any] | None = None
        """The keyboard's original modes; None while they are in force."""
        self._has_screen = False
        """True if this object must turn the alternate screen off."""
        self.is_handed_over = False
        """True until the app has taken over an alternate screen, which it then does not enter again."""
        self.typed = b""
        """Bytes already read from the keyboard, which the app takes first."""
        self.is_ahead = False
        """True until the app has acted on the keys typed before it started; it draws nothing until then."""

    def take(self) -> None:
        """Turn on the alternate screen, hide the cursor, and set the keyboard modes that the app will use.

        Until a session installs its own handlers, the signals in ENDING raise SystemExit.
        """
        self.is_ahead = False
        if self._modes is None:
            for number in ENDING:
                signal.signal(number, _end)
            self._modes = _take_keys()
        if not self._has_screen:
            write(_ENTER)
            self.follow()

    def follow(self) -> None:
        """Take over an alternate screen that is already on, and hide the cursor."""
        self._has_screen = True
        write(_HIDE_CURSOR)

    def hand_over(self) -> None:
        """Hand the alternate screen and its content over to the app, together with the keys typed so far."""
        self._has_screen = False
        self.is_handed_over = True
        self.typed += read_keys()
        self.is_ahead = bool(self.typed)

    def lend_keys(self) -> None:
        """Restore the keyboard's original modes until the app sets its own: while stopped, not every shell does."""
        if self._modes is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._modes)

    def give_back(self) -> None:
        """Restore whatever was taken and not given back yet."""
        has_screen, self._has_screen = self._has_screen, False
        try:
            if has_screen:
                write(_LEAVE)
            self.lend_keys()
        except (OSError, termios.error):  # the terminal may be gone
            pass
        self._modes = None


TAKEOVER: Final = Takeover()
"""The takeover of this process's terminal."""


def write(text: str) -> None:
    """Write all of `text` to the terminal."""
    data = text.encode()
    while data:
        data = data[os.write(sys.stderr.fileno(), data) :]


def read_keys() -> bytes:
    """Return the bytes typed so far, without waiting; empty if there are none or the terminal is gone."""
    from select import select

    keyboard = sys.stdin.fileno()
    try:
        return os.read(keyboard, _READ_BYTES) if select([keyboard], [], [], 0)[0] else b""
    except OSError:  # the app will report it
        return b""


def _take_keys() -> list[Any]:
    """Read keys one by one: no echo, no line editing, enter is not ctrl+j, ctrl+s does not stop output.

    ctrl+c stays a signal, since no app handles it yet. ctrl+z waits for the app, which gives the terminal back before
    it stops. Return the previous modes.
    """
    keyboard = sys.stdin.fileno()
    before, modes = termios.tcgetattr(keyboard), termios.tcgetattr(keyboard)
    modes[_INPUT] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    modes[_LOCAL] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    modes[_KEYS][termios.VSUSP] = os.fpathconf(keyboard, "PC_VDISABLE").to_bytes(1, "little")
    termios.tcsetattr(keyboard, termios.TCSANOW, modes)
    return before


def _end(*_: object) -> None:
    raise SystemExit(int(ExitCode.NOT_DONE))
