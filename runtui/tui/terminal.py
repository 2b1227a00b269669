"""The terminal: its input, signals, and restoring it at the end.

Invariant: however runtui ends (hang-up, signal, crash), it restores the terminal, the exit code tells how it ended,
and neither screen nor crash report shows a local variable or a secret. No input ends runtui. Input is read only as
fast as the app acts on it, but for a few keys.

This file uses these private parts of Textual, pinned by `tests/unit/test_terminal.py`: the parser of key and mouse
sequences and its state; the driver's input thread, its size, `_app`, `_file`, `_loop` and `_mouse`; the
app's handler of uncaught errors.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import sys
import termios
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any, Final, TextIO

from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme
from textual.widget import AwaitMount
from textual.worker import WorkerFailed

from runtui.domain.text import visible
from runtui.errors import ExitCode, RuntuiError
from runtui.prelude.terminal import TAKEOVER, terminal_size
from runtui.tui.input import InputLexer, Piece
from runtui.tui.themes import THEMES

_NO_COLOUR: Final = NoColor()  # one instance: Textual caches filtered lines by filter
ENTER_ALTERNATE_SCREEN: Final = "\x1b[?1049h"
LEAVE_ALTERNATE_SCREEN: Final = "\x1b[?1049l"

_READ_BYTES: Final = 4096  # as many as a terminal's buffer holds
_MAX_AHEAD: Final = 64  # messages to hand over before waiting for the app
_LOOK_SECONDS: Final = 0.1  # how often to check whether the app gives up the terminal
_PAUSE_SECONDS: Final = 0.005

MAX_IN_TRANSIT: Final = 2_048
"""The most bytes in transit; above that, wait for the terminal. A line of 256 kbit/s carries them in 64 ms."""
ASK_BYTES: Final = 512
"""The number of bytes after which to ask the terminal whether they arrived."""
ANSWER_SECONDS: Final = 2.0
"""How long to wait for an answer; another program may have read it."""
_ASK_STATUS: Final = "\x1b[5n"
_STATUS: Final = ("\x1b[0n", "\x1b[3n")
"""The terminal's answers (DSR, ECMA-48, 8.3.35): ready, or a malfunction."""


def silence_output() -> None:
    """Redirect standard output and standard error to the null device, once the terminal is gone.

    Else writing fails, Textual's writer thread ends, and its queue fills up and blocks the loop.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def shell_waits() -> bool:
    """Return whether the parent is a shell with job control, which can resume this process after a stop.

    Such a shell puts the process into a process group of its own. Without one the group is orphaned (POSIX), and a
    stop could not be undone.
    """
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except OSError:  # the parent is gone, or belongs to another user
        return False


class Backlog:
    """Estimates how many sent bytes have not reached the terminal yet; a slow line delivers later than it accepts.

    It adds status requests to the output; the terminal answers when it has read that far. A terminal that does not
    answer the first request gets no other, and nothing waits for it. The input thread calls `answered`.
    """

    def __init__(self) -> None:
        self.resume: Callable[[], object] = lambda: None
        """Sends the waiting frame, on the event loop; the painter sets it."""
        self._sent = 0
        """Bytes sent since the program took the terminal."""
        self._arrived = 0
        self._asked = 0
        """The position of the last request, in bytes sent."""
        self._questions: deque[tuple[int, float]] = deque()
        """Unanswered requests: position in bytes, and time sent."""
        self._has_answered: bool | None = None
        """None before the first request."""

    @property
    def is_long(self) -> bool:
        """True if the next frame should wait for an answer."""
        return self.awaits_answer and self._sent - self._arrived > MAX_IN_TRANSIT

    @property
    def awaits_answer(self) -> bool:
        """True if a terminal that answers owes an answer. One that is overdue is forgotten."""
        if not self._has_answered or not self._questions:
            return False
        if monotonic() - self._questions[0][1] > ANSWER_SECONDS:
            self.forget()
        return bool(self._questions)

    def send(self, data: str) -> str:
        """Count `data` as sent; return it, with a status request at its end if one is due."""
        self._sent += len(data.encode())
        if self._has_answered is False or self._sent - self._asked < ASK_BYTES:
            return data
        self._has_answered = self._has_answered or False
        self._asked = self._sent
        self._questions.append((self._sent, monotonic()))
        return data + _ASK_STATUS

    def answered(self) -> None:
        """Take note that the terminal has answered the oldest request."""
        self._has_answered = True
        if self._questions:
            self._arrived = self._questions.popleft()[0]

    def forget(self) -> None:
        """Wait for none of the answers that are due."""
        self._arrived = self._sent
        self._questions.clear()


class InputParser:
    """Turns the bytes of a terminal into Textual's events.

    Textual's parser gives the meaning of a key or a sequence. It gets complete ones only. If one leaves it waiting
    for more, it is replaced: else it would take the next keys for the rest of that sequence.

    Args:
        answered: Called for each answer to a status request.
    """

    def __init__(self, answered: Callable[[], object] = lambda: None) -> None:
        self._answered = answered
        self._lexer = InputLexer()
        self._parser = XTermParser()

    @property
    def patience(self) -> float | None:
        """Seconds without input after which to call `silence`; None if no call is needed."""
        return self._lexer.patience

    def feed(self, data: bytes) -> Iterator[Message]:
        return self._events(self._lexer.feed(data))

    def silence(self) -> Iterator[Message]:
        """Return the events of the input held back; call it after `patience` seconds without input."""
        return self._events(self._lexer.silence())

    def _events(self, pieces: Iterable[Piece]) -> Iterator[Message]:
        for kind, text in pieces:
            if kind == "typed":
                for character in text:
                    yield from [events.Key("escape", character)] if character == "\x1b" else self._parse(character)
            elif kind == "pasted":
                yield events.Paste(text)
            elif text in _STATUS:
                self._answered()
            else:
                yield from self._parse(text)

    def _parse(self, code: str) -> list[Message]:
        try:
            parsed = list(self._parser.feed(code))
        except (ValueError, ArithmeticError, LookupError):
            parsed = []  # a number out of range; the parser cannot go on
        if not parsed:
            self._renew()
        return parsed

    def _renew(self) -> None:
        """Replace the parser by a new one with the same knowledge of the terminal."""
        old, self._parser = self._parser, XTermParser()
        self._parser.mouse_pixels = old.mouse_pixels
        self._parser.terminal_size, self._parser.terminal_pixel_size = old.terminal_size, old.terminal_pixel_size
        self._parser.last_x, self._parser.last_y = old.last_x, old.last_y


class TerminalFile:
    """The file that Textual's writer thread writes to; the terminal behind it may vanish before any signal.

    Args:
        file: The terminal.
        gone: Called when it has vanished; later output is discarded.
    """

    def __init__(self, file: TextIO, gone: Callable[[], object]) -> None:
        self._file = file
        self._gone = gone
        self.fileno = file.fileno

    def write(self, text: str) -> None:
        with self._unless_gone():
            self._file.write(text)

    def flush(self) -> None:
        with self._unless_gone():
            self._file.flush()

    @contextmanager
    def _unless_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            silence_output()
            self._gone()


class TerminalDriver(LinuxDriver):
    """Textual's driver with an input thread that survives any input and reads no faster than the app acts.

    If the app takes over an alternate screen, the driver does not enter it again: some terminals would clear it. If
    another app follows, the driver does not leave it, so that the shell does not flash up.
    """

    _app: TerminalApp
    _has_terminal = False
    _comes_back = False
    """True if a stop gave the terminal back and it is to be taken again afterwards."""
    _ahead = 0
    """Messages handed over since the app last caught up."""

    def __init__(self, app: TerminalApp, **options: Any) -> None:
        """Install handlers that stop and resume between two callbacks of the loop.

        Textual's handlers interrupt any code. They use a queue, and wait for ever if it is locked at that moment.
        """
        super().__init__(app, **options)
        self.backlog = Backlog()
        assert self._file is not None  # noqa: S101 - there is no screen without standard error
        file = TerminalFile(self._file, partial(self._loop.call_soon_threadsafe, app.hang_up))
        self._file = file  # type: ignore[assignment] # it has every method that Textual calls
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._loop.add_signal_handler(signal.SIGCONT, self._resume)

    def _stop(self) -> None:
        if self._has_terminal:
            self.suspend_application_mode()
            self._comes_back = True
            with suppress(termios.error):  # the terminal may be gone
                TAKEOVER.lend_keys()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _resume(self) -> None:
        """Take the terminal again, also after a SIGSTOP, which has no handler; do nothing if the terminal is gone."""
        if self.exit_event.is_set() or not (self._has_terminal or self._comes_back):
            return
        if self._has_terminal:
            self.suspend_application_mode()
        self._comes_back = False
        self.resume_application_mode()

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._has_terminal = True

    def stop_application_mode(self) -> None:
        """Give the terminal back once it has answered: else the next program would read the answer as keys."""
        while self.backlog.awaits_answer and not self.exit_event.is_set():
            sleep(_PAUSE_SECONDS)
        self._has_terminal = False
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write `data`, except the first entry into a screen taken over, and the exit if another app follows."""
        if data == ENTER_ALTERNATE_SCREEN and TAKEOVER.is_handed_over:
            TAKEOVER.is_handed_over = False
            return
        if data == LEAVE_ALTERNATE_SCREEN and self._app.is_followed:
            return
        super().write(data)

    def _get_terminal_size(self) -> tuple[int, int]:
        """Ask the terminal for its size; Textual trusts LINES and COLUMNS."""
        return terminal_size()

    def _run_input_thread(self) -> None:
        """Run the input thread; Textual's version prints a traceback over the screen and exits with 0."""
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 - the app reports it and ends
            self._loop.call_soon_threadsafe(self._app.end_without_input, error)

    def run_input_thread(self) -> None:
        parser = InputParser(self._arrived)
        if TAKEOVER.typed:
            self._hand_over(parser.feed(TAKEOVER.typed))
            TAKEOVER.typed = b""
            when_done = partial(self._app.call_when_caught_up, self._show, is_done=True)
            self._loop.call_soon_threadsafe(when_done)
        quiet_since = monotonic()
        while not self.exit_event.is_set():
            patience = parser.patience
            if select.select([self.fileno], [], [], min(_LOOK_SECONDS, patience or _LOOK_SECONDS))[0]:
                data = self._read()
                if not data:
                    self._loop.call_soon_threadsafe(self._app.hang_up)
                    return
                self._hand_over(parser.feed(data))
                quiet_since = monotonic()
            elif patience is not None and monotonic() - quiet_since >= patience:
                self._hand_over(parser.silence())
                quiet_since = monotonic()
        if self._app.is_followed and select.select([self.fileno], [], [], 0)[0]:
            self._hand_over(parser.feed(self._read()))  # else Textual would drop it

    def _arrived(self) -> None:
        self.backlog.answered()
        self._loop.call_soon_threadsafe(self.backlog.resume)

    def _show(self) -> None:
        """Draw the first frame, once the keys typed ahead have taken effect."""
        TAKEOVER.is_ahead = False
        self._app.screen._compositor_refresh()

    def _read(self) -> bytes:
        """Return the available bytes; empty when the terminal is gone."""
        try:
            return os.read(self.fileno, _READ_BYTES)
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise

    def _hand_over(self, messages: Iterable[Message]) -> None:
        """Hand over what was read; once the app is ending, only where another one goes on with it."""
        for message in messages:
            if self.exit_event.is_set() and not self._app.is_followed:
                return
            if self._mouse or not isinstance(message, events.MouseEvent):
                self.process_message(message)

    def send_message(self, message: Message) -> None:
        """Hand a message to the app; after every `_MAX_AHEAD` of them, wait until it has caught up.

        Unread input stays in the terminal's buffer, which makes a faster sender wait.
        """
        self._loop.call_soon_threadsafe(self._app.post_message, message)
        self._ahead += 1
        if self._ahead >= _MAX_AHEAD:
            self._ahead = 0
            self._wait_for_app()

    def _wait_for_app(self) -> None:
        has_caught_up = Event()
        self._loop.call_soon_threadsafe(self._app.call_when_caught_up, has_caught_up.set)
        while not self.exit_event.is_set() and not has_caught_up.wait(_LOOK_SECONDS):
            pass


class TerminalApp(App[int]):
    """An App that handles themes, signals and crashes, and nothing else.

    Args:
        theme: The name of the first theme, see `themes.starting_theme`.
        crash_folder: The folder for crash reports.
        css_path: Style sheets.
        later_css_path: A style sheet that the first screen does without.
    """

    def __init__(
        self,
        *,
        theme: str,
        crash_folder: Path,
        css_path: Sequence[Path] = (),
        later_css_path: Path | None = None,
    ) -> None:
        # Set it before Textual reads it: a later change parses every style sheet again.
        self.set_reactive(App.theme, theme)
        super().__init__(driver_class=TerminalDriver, css_path=list(css_path))
        # On the instance: Textual's own instance attribute would hide a class attribute.
        self.animation_level = "none"
        self._disable_notifications = self._disable_tooltips = True  # else each screen mounts a widget for each
        self.console.size = terminal_size()  # Rich believes LINES and COLUMNS
        self._crash_folder = crash_folder
        self._later_css_path = later_css_path
        self.crash: str | None = None
        """The sentence to print after a crash, once the terminal is restored; None without a crash."""
        for known in THEMES.values():
            self.register_theme(known)

    def get_theme(self, theme_name: str) -> Theme | None:
        """Find our own themes before they are registered, too."""
        return THEMES.get(theme_name) or super().get_theme(theme_name)

    @property
    def is_followed(self) -> bool:
        """Whether another app takes this one's place on the terminal when it ends."""
        return False

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return filters that remove every colour under NO_COLOR.

        Textual chooses between greys and no colour before it knows the first theme, and greys are colours.
        """
        filters = super().get_line_filters()
        if self.no_color and self.native_ansi_color:
            return [_NO_COLOUR if isinstance(known, Monochrome) else known for known in filters]
        return filters

    def on_mount(self) -> None:
        """Install the handlers for hang-up and termination.

        On the screen ctrl+c is a key; SIGINT comes from another process or while the terminal is given back. The
        handler replaces an ignored SIGHUP too, as under nohup: else Textual's input thread would spin on the dead
        terminal for ever.
        """
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._end_on_hangup)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                loop.add_signal_handler(number, self._end_unless_leaving)

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        """The screens that show through the one in front; none if that is opaque.

        Textual 8.2.8 ignores that, and repaints the screen in front for every change behind it.
        """
        return [] if self.screen.styles.background.a == 1 else super()._background_screens

    async def mount_ahead(self, screen: Screen[Any]) -> None:
        """Mount and lay out a screen that is not on the stack, so that a push shows it at once."""
        if (sheet := self._later_css_path) is not None:
            self.stylesheet.add_source(sheet.read_text("utf-8"), (str(sheet), ""))  # does nothing from the second time
        self._register(self, screen)  # `_get_screen` would ask for another layout, after this one
        await AwaitMount(screen, [screen])
        lay_out(screen)

    def end_unattended(self) -> None:
        """Exit without a person at the keyboard. Override it to finish changes in progress first."""
        self.exit(return_code=ExitCode.NOT_DONE)

    def _end_unless_leaving(self) -> None:
        """Exit unless the app is exiting already; the first exit code stands."""
        if self.return_code is None:
            self.end_unattended()

    def _end_on_hangup(self) -> None:
        """Exit; give the terminal back if it still lives, as after `kill -HUP`."""
        if os.isatty(0):
            self._end_unless_leaving()
        else:
            self.hang_up()

    def hang_up(self) -> None:
        """Give up the dead terminal first, since reading it spins and writing to it blocks; then exit.

        The signal handler, the input thread and the writer thread call this.
        """
        if isinstance(self._driver, LinuxDriver):
            if self._driver.exit_event.is_set():
                return
            self._driver.exit_event.set()  # so that a SIGCONT with the SIGHUP does not take it again
        silence_output()
        self._end_unless_leaving()

    def call_when_caught_up(self, call: Callable[[], object], *, is_done: bool = False) -> None:
        """Call `call` once the input so far has been handed on or, with `is_done`, has taken effect."""
        if not (self.call_after_refresh if is_done else self.call_later)(call):
            call()

    def end_without_input(self, error: Exception) -> None:
        """Exit after an error in the input thread, since no key can arrive."""
        from runtui.log import crash_sentence

        self.crash = crash_sentence(error, self._crash_folder)
        self.end_unattended()

    def _fatal_error(self) -> None:
        """Set `crash` and close; Textual's version prints a traceback with every local variable."""
        error = self._exception or sys.exc_info()[1] or RuntimeError("unknown")
        if isinstance(error, WorkerFailed):
            error = error.error
        if self.crash is None:
            from runtui.log import crash_sentence

            is_expected = isinstance(error, RuntuiError)  # such as a damaged store; it has its own next step
            self.crash = f"runtui: {visible(error)}" if is_expected else crash_sentence(error, self._crash_folder)
        self._close_messages_no_wait()


def needs_layout(screen: Screen[Any]) -> bool:
    """Return whether a widget has moved, come or gone since the last layout."""
    return screen._layout_required


def lay_out(screen: Screen[Any], size: Size | None = None) -> None:
    """Lay out a screen for `size` (None: the terminal's), and draw it if it is in front."""
    screen._refresh_layout(size or screen.app.size)
    screen._layout_required = False  # else Textual 8.2.8's timer lays it out once more


def tell_the_shell(app: TerminalApp) -> int:
    """Print the crash sentence of an ended app, if any, and return the exit code."""
    if app.crash is not None:
        print(app.crash, file=sys.stderr)
        return app.return_code or ExitCode.NOT_DONE
    return app.return_code or 0
