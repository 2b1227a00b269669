"""The terminal until Textual has it: taken once, and given back or handed over on every way out.

Invariant: keys typed meanwhile are neither echoed nor lost. Nothing is imported that a snapshot does not need.
"""

from __future__ import annotations

import os
import signal
import sys
import termios

from runtui.errors import ExitCode, RuntuiError

TYPE_CHECKING = False  # as `typing` has it, which costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, TextIO

LEAST_CELLS: Final = (60, 16)
"""The columns and lines of the smallest terminal in which keys act on anything: on what every view shows."""
MOST_CELLS: Final = 1_000
"""The most columns and lines that are used: more than an 8K screen has in a font of 8x16 pixels."""

_WITHOUT_A_SCREEN: Final = "Use `runtui list` without a terminal; over SSH, `ssh -t` gives one."
_ENTER: Final = "\x1b[?1049h\x1b[H\x1b[2J"
_HIDE_CURSOR: Final = "\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_READ_BYTES: Final = 4096  # as many as a terminal's buffer holds
_INPUT, _LOCAL, _KEYS = 0, 3, 6
"""The places of the input modes, the local ones and the keys that are signals in what `termios.tcgetattr` returns."""


def require_terminal(environ: Mapping[str, str] = os.environ, streams: tuple[TextIO | None, ...] | None = None) -> None:
    """Check that there is a terminal for a full-screen program.

    Raises:
        RuntuiError: standard input, output or error is not a terminal, or TERM is one that cannot place a cursor.
    """
    for stream in streams or (sys.stdin, sys.stdout, sys.stderr):
        if stream is None or not stream.isatty():
            raise RuntuiError(
                "No terminal",
                "Standard input, output and error must be a terminal; Textual draws on standard error.",
                _WITHOUT_A_SCREEN,
            )
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        raise RuntuiError(
            "No screen", f"TERM is {term or 'not set'}: this terminal cannot place a cursor.", _WITHOUT_A_SCREEN
        )


def terminal_size() -> tuple[int, int]:
    """Return the columns and lines of the terminal on which Textual draws, as the terminal itself says.

    LINES and COLUMNS may be out of date. Without a size, that of a VT100 is used; of an absurdly large terminal only
    MOST_CELLS columns and lines.
    """
    try:
        columns, lines = os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    except (OSError, ValueError):
        columns, lines = 0, 0
    return min(columns or 80, MOST_CELLS), min(lines or 24, MOST_CELLS)


class Takeover:
    """What was taken of the terminal, and is not given back yet."""

    def __init__(self) -> None:
        self._modes: list[Any] | None = None
        """The keyboard's modes as they were found; None: they are as they were found."""
        self._has_screen = False
        """Whether the alternate screen is on, and nobody else turns it off."""
        self.typed = b""
        """What was read of the keyboard already, and the screen is to read first."""
        self.is_ahead = False
        """Whether the screen has not done yet what was typed before it was there: until then nothing of it is shown."""

    def take(self) -> None:
        """Turn the alternate screen on, without a cursor, and have keys come as the screen will read them.

        Until the screen has handlers of its own, a hang-up and SIGTERM end the process by an exception.
        """
        self.is_ahead = False
        if self._modes is None:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _end)
            self._modes = _take_keys()
        if not self._has_screen:
            write(_ENTER)
            self.follow()

    def follow(self) -> None:
        """Answer for the alternate screen that is on, and hide the cursor."""
        self._has_screen = True
        write(_HIDE_CURSOR)

    def hand_over(self) -> None:
        """Leave the alternate screen, with what is on it, to somebody who turns it off; and what was typed so far."""
        self._has_screen = False
        self.typed += read_keys()
        self.is_ahead = bool(self.typed)

    def caught_up(self) -> None:
        """The screen has done what was typed before it was there."""
        self.is_ahead = False

    def lend_keys(self) -> None:
        """Set the keyboard's modes as they were found, until the screen sets its own again: while the process is
        stopped, as not every shell sets those that it needs."""
        if self._modes is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._modes)

    def give_back(self) -> None:
        """Restore what was taken and is not restored yet."""
        has_screen, self._has_screen = self._has_screen, False
        try:
            if has_screen:
                write(_LEAVE)
            self.lend_keys()
        except (OSError, termios.error):  # the terminal itself may be what is gone
            pass
        self._modes = None


TAKEOVER: Final = Takeover()
"""Of the terminal of this process."""


def write(text: str) -> None:
    """Write to the terminal, all of it."""
    data = text.encode()
    while data:
        data = data[os.write(sys.stderr.fileno(), data) :]


def read_keys() -> bytes:
    """Read what was typed so far; nothing where that is nothing, or the terminal is gone."""
    from select import select

    keyboard = sys.stdin.fileno()
    try:
        return os.read(keyboard, _READ_BYTES) if select([keyboard], [], [], 0)[0] else b""
    except OSError:  # the screen says what is wrong with the terminal
        return b""


def _take_keys() -> list[Any]:
    """Read keys as they are pressed: no echo, no line editing, enter is not ctrl+j, ctrl+s does not stop output.

    ctrl+c stays a signal, as there is no screen yet to handle it; ctrl+z waits for the screen, which gives the terminal
    back before it stops. Returns the modes before.
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
