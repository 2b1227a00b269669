"""Runs a full-screen program on a terminal of its own and returns what a person would see.

The program gets a pseudo-terminal as its controlling terminal, and an emulated screen (pyte) that answers the questions
that a real terminal answers. Nothing sleeps: every wait is for a state, and its error has the text of the screen.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from shutil import which
from tempfile import TemporaryDirectory
from typing import Final, Self

import pyte
from pyte.screens import Char

from tests import PATIENCE, canary
from tests.forked import CAN_FORK, Forked

KEYS: Final[Mapping[str, str]] = {
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
    "home": "\x1b[H", "end": "\x1b[F", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
    "enter": "\r", "tab": "\t", "shift+tab": "\x1b[Z", "esc": "\x1b", "space": " ", "backspace": "\x7f",
    "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS", "f5": "\x1b[15~",
    "↑": "\x1b[A", "↓": "\x1b[B", "→": "\x1b[C", "←": "\x1b[D", "page up": "\x1b[5~", "page down": "\x1b[6~",
    "F8": "\x1b[19~", "shift+F8": "\x1b[19;2~", "ctrl+F5": "\x1b[15;5~",
}  # fmt: skip
"""The characters that a terminal sends for a key; `ctrl+x` and single characters need no entry."""

_QUESTION: Final = re.compile(rb"\x1b\[(?:\?(?P<mode>\d+)\$p|(?P<attributes>0?c)|(?P<status>[56])n|(?P<kitty>\?u))")
# pyte would print the last letter of private prefixes < = > and of questions, and takes OSC 22 for a title.
_UNKNOWN_TO_PYTE: Final = re.compile(
    r"\x1b\[(?:[<=>][\d;]*[a-zA-Z]|\?\d+\$p|\?u)|\x1b\](?![012];)[^\x07\x1b]*(?:\x07|\x1b\\)"
)
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[\d;?<=>$]*|\][^\x07\x1b]*\x1b?)?$")
_AS_SESSION: Final = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
_TAKE_TERMINAL: Final = ("setsid", "--ctty") if which("setsid") else (sys.executable, "-I", "-S", "-c", _AS_SESSION)
"""Runs a command in a new session with the terminal; `setsid` of util-linux does so within a millisecond."""
_SYNCHRONIZED_OUTPUT: Final = "2026"
_FRAME_STARTS, _FRAME_ENDS = (f"\x1b[?{_SYNCHRONIZED_OUTPUT}{letter}".encode() for letter in "hl")


class PtyProbe:
    """One program on one terminal. Use it as a context manager.

    Args:
        command: The program and its arguments.
        columns: Width of the terminal in cells.
        rows: Height of the terminal in cells.
        env: Changes to an environment that holds PATH, HOME, a state folder of its own, a UTF-8 locale, TERM and
            COLORTERM; None removes one.
        timeout: Seconds after which a wait fails.
        is_forked: The program begins with runtui loaded: for all that is not about its start.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str | None] | None = None,
        timeout: float = PATIENCE,
        is_forked: bool = False,
    ) -> None:
        self.timeout = timeout
        self.received = bytearray()
        """Every byte that the program wrote."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._closed = False
        self._answered = 0  # how far questions have been looked for
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self._screen)
        self._terminal, program_side = pty.openpty()
        self.resize(columns, rows)
        # A state folder of its own, so that no test depends on the files of another.
        self._state = TemporaryDirectory(prefix="runtui-state-", ignore_cleanup_errors=True)
        wanted: dict[str, str | None] = {
            "RUNTUI_STATE": self._state.name,
            "PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
            "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {}),
        }  # fmt: skip
        is_forked = is_forked and CAN_FORK
        self.process: subprocess.Popen[bytes] = (Forked if is_forked else subprocess.Popen)(
            [*command] if is_forked else [*_TAKE_TERMINAL, *command],
            stdin=program_side, stdout=program_side, stderr=program_side, start_new_session=is_forked,
            env={name: value for name, value in wanted.items() if value is not None},
        )  # fmt: skip
        os.close(program_side)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.hang_up()
        self._state.cleanup()
        assert not canary.holds_canary(bytes(self.received) + self.text.encode())

    # What a person does.

    def press(self, *keys: str) -> None:
        """Press keys by name (`down`, `ctrl+s`, `f1`) or by character, one after the other."""
        for key in keys:
            is_letter = key.startswith("ctrl+") and key not in KEYS
            self._write(chr(ord(key[-1].upper()) & 0x1F) if is_letter else KEYS.get(key, key))

    def type(self, text: str) -> None:
        """Type `text`, character by character."""
        for character in text:
            self._write(character)

    def paste(self, text: str) -> None:
        """Paste `text` in brackets, as terminals do."""
        self._write(f"\x1b[200~{text}\x1b[201~")

    def send(self, data: bytes) -> None:
        """Send bytes that are no key, and read the output of the program meanwhile.

        Raises:
            AssertionError: the program did not take them within the timeout.
        """
        end = time.monotonic() + self.timeout
        while data:
            assert not self._closed, f"the program ended; the screen:\n{self.text}"
            assert time.monotonic() < end, f"{len(data)} bytes were not taken; the screen:\n{self.text}"
            readable, writable, _ = select.select([self._terminal], [self._terminal], [], 0.05)
            if writable:
                data = data[self._write_some(data) :]
            if readable:
                self._pump(0)

    def send_what_fits(self, data: bytes) -> int:
        """Send bytes until none was accepted for half a second. Return how many program or terminal accepted."""
        taken, full_since = 0, time.monotonic()
        while taken < len(data) and time.monotonic() < full_since + 0.5:
            select.select([], [self._terminal], [], 0.05)
            if written := self._write_some(data[taken:]):
                taken, full_since = taken + written, time.monotonic()
        return taken

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Select with the mouse from one cell to another; a cell is (column, row), counted from 1."""
        for what, (column, row), letter in ((0, start, "M"), (32, end, "M"), (0, end, "m")):
            self._write(f"\x1b[<{what};{column};{row}{letter}")

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal's window."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def hang_up(self) -> None:
        """Close the terminal, as a dropped connection does."""
        if not self._closed:
            self._closed = True
            os.close(self._terminal)

    # What a person sees.

    @property
    def lines(self) -> list[str]:
        """The lines of the screen without trailing spaces.

        Half a wide character counts as empty, because the program may just be drawing over its other half.
        """
        return ["".join(cell.data for cell in row).rstrip() for row in self.cells()]

    @property
    def text(self) -> str:
        """The screen as one string."""
        return "\n".join(self.lines)

    def cells(self) -> list[list[Char]]:
        """Return the cells of the screen as it is now, by line."""
        screen = self._screen
        return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]

    def copy_of_screen(self) -> pyte.Screen:
        """Return a copy of the emulated screen as it is now."""
        return deepcopy(self._screen)

    @property
    def title(self) -> str:
        """The window title that the program set."""
        return str(self._screen.title)

    @property
    def is_in_frame(self) -> bool:
        """True while a frame of synchronised output has begun and not ended: a terminal shows it when it is whole."""
        return not self._closed and self.received.rfind(_FRAME_STARTS) > self.received.rfind(_FRAME_ENDS)

    def wait_for(self, pattern: str, *, gone: bool = False) -> re.Match[str] | None:
        """Wait until `pattern` is on the screen, or with `gone` until it is not; never within a frame.

        Raises:
            AssertionError: it took longer than the timeout, or the program ended first.
        """
        end = time.monotonic() + self.timeout
        while True:
            found = re.search(pattern, self.text)
            if (found is None) == gone and not self.is_in_frame:
                return found
            if self._closed or time.monotonic() > end:
                state = "there to the end" if gone else "not seen"
                raise AssertionError(f"{pattern!r} was {state}; the screen:\n{self.text}")
            self._pump(0.05)

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Wait for a state outside the terminal, and read the program's output meanwhile."""
        end = time.monotonic() + self.timeout
        while not holds():
            assert time.monotonic() < end, f"never came true; the screen:\n{self.text}"
            self._pump(0.02)

    def wait_for_output(self, data: bytes) -> None:
        """Wait until the program has written these bytes, or has ended."""
        end = time.monotonic() + self.timeout
        while data not in self.received and not self._closed:
            assert time.monotonic() < end, f"{data!r} was not written; the screen:\n{self.text}"
            self._pump(0.05)

    def wait_for_bytes(self, seen: int) -> None:
        """Wait until the program has written more than the first `seen` bytes."""
        end = time.monotonic() + self.timeout
        while len(self.received) <= seen and not self._closed:
            assert time.monotonic() < end, f"nothing was written; the screen:\n{self.text}"
            self._pump(0.05)

    def wait_until_quiet(self, seconds: float = 0.2) -> None:
        """Wait until the program has written nothing for `seconds`."""
        end = time.monotonic() + self.timeout
        while self._pump(seconds):
            assert time.monotonic() < end, f"never quiet; the screen:\n{self.text}"

    def wait_for_stop(self) -> None:
        """Wait until a signal has stopped the program, and read its last output meanwhile."""
        end = time.monotonic() + self.timeout
        while os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG) is None:
            assert time.monotonic() < end, f"it does not stop; the screen:\n{self.text}"
            self._pump(0.01)

    def wait_for_exit(self) -> int:
        """Wait until the program has ended. Returns its exit code, negative for a signal."""
        end = time.monotonic() + self.timeout
        while not self._closed and time.monotonic() < end:
            self._pump(0.05)
        try:
            return self.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program did not end; the screen:\n{self.text}") from None

    # What it costs.

    def bytes_for(self, *keys: str, quiet: float = 0.2) -> int:
        """Press keys. Returns the bytes that the program wrote until it was quiet."""
        self.wait_until_quiet(quiet)
        before = len(self.received)
        self.press(*keys)
        self.wait_until_quiet(quiet)
        return len(self.received) - before

    def idle_bytes(self, seconds: float) -> int:
        """Watch for `seconds`. Returns the bytes that the program wrote meanwhile."""
        before, end = len(self.received), time.monotonic() + seconds
        while not self._closed and (remaining := end - time.monotonic()) > 0:
            self._pump(remaining)
        return len(self.received) - before

    # The wire between the two.

    def _write(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _write_some(self, data: bytes) -> int:
        """Write as much of `data` as the terminal accepts. Return the number of bytes."""
        os.set_blocking(self._terminal, False)
        try:
            return os.write(self._terminal, data[:1024])
        except BlockingIOError:
            return 0
        finally:
            os.set_blocking(self._terminal, True)

    def _pump(self, seconds: float) -> bool:
        """Read the output of the program for up to `seconds`. Return whether there was any."""
        if self._closed or not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self._terminal, 65536)
        except OSError:  # EIO: the program closed its side
            chunk = b""
        if not chunk:
            self.hang_up()
            return False
        self.received += chunk
        self._answer()
        self._draw(self._decoder.decode(chunk))
        return True

    def _draw(self, text: str) -> None:
        text = self._held + text
        unfinished = _UNFINISHED.search(text)
        self._held = unfinished[0] if unfinished else ""
        self._stream.feed(_UNKNOWN_TO_PYTE.sub("", text[: len(text) - len(self._held)]))

    def _answer(self) -> None:
        """Answer the questions of the program as a VT220 with colours and synchronised output."""
        for question in _QUESTION.finditer(self.received, self._answered):
            self._answered = question.end()
            if mode := question["mode"]:
                is_known = 2 if mode.decode() == _SYNCHRONIZED_OUTPUT else 0
                self._write(f"\x1b[?{mode.decode()};{is_known}$y")
            elif question["attributes"]:
                self._write("\x1b[?62;22c")
            elif question["kitty"]:
                self._write("\x1b[?0u")
            elif question["status"] == b"6":
                self._write(f"\x1b[{self._screen.cursor.y + 1};{self._screen.cursor.x + 1}R")
            else:
                self._tell_status()

    def _tell_status(self) -> None:
        self._write("\x1b[0n")
