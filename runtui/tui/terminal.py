"""The terminal as a place: what it can show, what it sends, and leaving it as it was found.

Invariant: however runtui ends (a hang-up, a signal, a crash) the terminal is restored, the exit code says so, and
neither the screen nor the crash report shows a local variable or a secret. Nothing that a terminal sends ends runtui,
and what has not been acted on is not read into memory either, but for a few keys.

What is used of Textual beyond its public interface, all of it here and held by `tests/unit/test_terminal.py`: its
parser of key and mouse sequences with what that knows about the terminal; of the driver, its input thread, its size,
`_app`, `_file`, `_loop`, `_mouse` and `_debug`; of the app, what handles an error that nobody has caught.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any, Final, TextIO

from rich.console import Console
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme
from textual.widget import AwaitMount
from textual.worker import WorkerFailed

from runtui.domain.text import visible
from runtui.errors import ExitCode, RuntuiError
from runtui.prelude.terminal import TAKEOVER, terminal_size
from runtui.tui.input import ControlSequence, InputLexer, Pasted, Piece, Typed
from runtui.tui.themes import ANSI_DARK, ANSI_LIGHT, DARK, LIGHT, THEMES

_NO_COLOUR: Final = NoColor()  # one instance: Textual caches filtered lines by filter
ENTER_ALTERNATE_SCREEN: Final = "\x1b[?1049h"
LEAVE_ALTERNATE_SCREEN: Final = "\x1b[?1049l"

_READ_BYTES: Final = 4096  # as many as a terminal's buffer holds
_MOST_AHEAD: Final = 64  # messages between two times of waiting for the app
_LOOK_SECONDS: Final = 0.1  # between two looks at whether the app lets go of the terminal
_PAUSE_SECONDS: Final = 0.005

MOST_ON_ITS_WAY: Final = 2_048
"""Bytes: more is sent once some of it has arrived. A line of 256 kbit/s carries as many in 64 ms."""
ASK_BYTES: Final = 512
"""After so many bytes the terminal is asked whether they arrived."""
ANSWER_SECONDS: Final = 2.0
"""How long an answer is waited for: another program may have taken it."""
_ASK_STATUS: Final = "\x1b[5n"
_STATUS: Final = ("\x1b[0n", "\x1b[3n")
"""What a terminal answers (DSR, ECMA-48, 8.3.35): all is well, or not."""

_LIGHT_BACKGROUNDS: Final = {"7", *map(str, range(9, 16))}
"""Numbers of light colours at the end of COLORFGBG, by the rule that vim and rxvt share: 7, and 9 to 15."""


def starting_theme(environ: Mapping[str, str] = os.environ, chosen: str | None = None, kept: str = "") -> str:
    """Name the theme to start with: the `chosen` one (or `dark`, `light`), else what this terminal can show.

    NO_COLOR and sixteen colours lead to the ansi themes, which use the terminal's own palette and half the bytes;
    COLORFGBG, where a terminal sets it, tells a light background from a dark one. `kept` is the theme of the last
    session: without a chosen one it is shown again, as dark or light where this terminal has fewer colours.

    Raises:
        RuntuiError: `chosen` is no theme.
    """
    if chosen is not None and chosen in THEMES:
        return chosen
    if chosen not in (None, "dark", "light"):
        known = ", ".join(["dark", "light", *THEMES])
        raise RuntuiError("Unknown theme", f"There is no theme {chosen!r}.", f"Choose one of {known}.")
    has_few_colours = "NO_COLOR" in environ or _has_sixteen_colours(environ)
    if chosen is None and kept in THEMES:
        if not has_few_colours or kept in (ANSI_DARK, ANSI_LIGHT):
            return kept
        chosen = "dark" if THEMES[kept].dark else "light"
    is_light = chosen == "light" if chosen else environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_BACKGROUNDS
    if has_few_colours:
        return ANSI_LIGHT if is_light else ANSI_DARK
    return LIGHT if is_light else DARK


def _has_sixteen_colours(environ: Mapping[str, str]) -> bool:
    """Ask Rich, which chooses colours from TERM and COLORTERM inside Textual too."""
    console = Console(force_terminal=True, _environ=environ)
    return console.color_system in (None, "standard")


def install_signals(
    loop: asyncio.AbstractEventLoop, on_hangup: Callable[[], None], on_terminate: Callable[[], None]
) -> None:
    """Have SIGHUP (the line dropped), SIGTERM and SIGINT (asked to end) call back in the loop.

    SIGINT comes from another process, or as ctrl+c while the terminal is given back: on the screen ctrl+c is a key.

    Also where SIGHUP was inherited as ignored, as under nohup: without a handler Textual's input thread would spin on
    the dead terminal for ever.
    """
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_terminate)


def silence_output() -> None:
    """Put the null device in the place of a terminal that is gone.

    Writing to a dead terminal fails, which ends Textual's writer thread; its queue would fill up and block the loop.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def shell_waits() -> bool:
    """Whether the parent is a shell with job control, which can bring this process back after a stop.

    It has put this process into a group of its own: else the group would be orphaned, as POSIX calls it, and a stop
    would be for good.
    """
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except OSError:  # it is gone, or somebody else's
        return False


class Backlog:
    """How much of what was sent has not reached the terminal: a server takes in at once what a slow line carries later.

    The terminal is asked for its status and answers when it has come to the question. One that did not answer the first
    time is not asked again, nor waited for. It is told of answers by the thread that reads the terminal.
    """

    def __init__(self) -> None:
        self.go_on: Callable[[], object] = lambda: None
        """Sends what waits, on the event loop; whoever draws sets it."""
        self._sent = 0
        """Bytes, since the program has the terminal."""
        self._arrived = 0
        self._asked = 0
        """Where the last question stands among the bytes."""
        self._questions: deque[tuple[int, float]] = deque()
        """Those without an answer: where each stands, and when it was sent."""
        self._has_answered: bool | None = None
        """None: nothing was asked yet."""

    @property
    def is_long(self) -> bool:
        """Whether it is better to wait for an answer before more is sent."""
        return self.awaits_answer and self._sent - self._arrived > MOST_ON_ITS_WAY

    @property
    def awaits_answer(self) -> bool:
        """Whether a terminal that answers has not answered all that it was asked."""
        if not self._has_answered or not self._questions:
            return False
        if monotonic() - self._questions[0][1] > ANSWER_SECONDS:
            self.forget()
        return bool(self._questions)

    def send(self, data: str) -> str:
        """What to send for this, with a question behind it where one is due."""
        self._sent += len(data.encode())
        if self._has_answered is False or self._sent - self._asked < ASK_BYTES:
            return data
        self._has_answered = self._has_answered or False
        self._asked = self._sent
        self._questions.append((self._sent, monotonic()))
        return data + _ASK_STATUS

    def answered(self) -> None:
        """The terminal has come to the first of the questions."""
        self._has_answered = True
        if self._questions:
            self._arrived = self._questions.popleft()[0]

    def forget(self) -> None:
        """Expect no answer to what was asked so far."""
        self._arrived = self._sent
        self._questions.clear()


class InputParser:
    """Turns what a terminal sends into Textual's events.

    Textual's own parser says what a key or a sequence means. It is given whole ones only, and is replaced where one
    leaves it waiting for more: it would take the keys that follow for the rest.

    Args:
        debug: Textual's parser writes what it does into a file.
        answered: Called when the terminal has told its status.
    """

    def __init__(self, debug: bool = False, answered: Callable[[], object] = lambda: None) -> None:
        self._debug = debug
        self._answered = answered
        self._lexer = InputLexer()
        self._parser = XTermParser(debug)

    @property
    def patience(self) -> float | None:
        """Seconds without input after which to call `silence`; None: no call is needed."""
        return self._lexer.patience

    def feed(self, data: bytes) -> Iterator[Message]:
        return self._events(self._lexer.feed(data))

    def silence(self) -> Iterator[Message]:
        """No input came for `patience` seconds: give out what was held back."""
        return self._events(self._lexer.silence())

    def _events(self, pieces: Iterable[Piece]) -> Iterator[Message]:
        for piece in pieces:
            match piece:
                case Typed(text):
                    for character in text:
                        yield from (
                            [events.Key("escape", character)] if character == "\x1b" else self._parse(character)
                        )
                case ControlSequence(code) if code in _STATUS:
                    self._answered()
                case ControlSequence(code):
                    yield from self._parse(code)
                case Pasted(text):
                    yield events.Paste(text)

    def _parse(self, code: str) -> list[Message]:
        try:
            parsed = list(self._parser.feed(code))
        except (ValueError, ArithmeticError, LookupError):
            parsed = []  # a number that makes no sense; the parser has come to its end
        if not parsed:
            self._renew()
        return parsed

    def _renew(self) -> None:
        """Replace the parser by a fresh one that knows the same about the terminal."""
        old, self._parser = self._parser, XTermParser(self._debug)
        self._parser.mouse_pixels = old.mouse_pixels
        self._parser.terminal_size, self._parser.terminal_pixel_size = old.terminal_size, old.terminal_pixel_size
        self._parser.last_x, self._parser.last_y = old.last_x, old.last_y


class TerminalFile:
    """What Textual's thread writes to: a terminal that may be gone at any moment, also before a signal says so.

    Args:
        file: The terminal.
        gone: Called once it is gone; what is written from then on goes nowhere.
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
    """Textual's driver with an input thread that survives whatever arrives, and that reads no faster than the app acts.

    Where the app takes the terminal over, it starts on the alternate screen that is there: to enter it anew would clear
    it on some terminals. It leaves that screen as it is where another one follows, so that the shell does not show.
    """

    _app: TerminalApp
    _has_entered = False
    _has_terminal = False
    _comes_back = False
    """Whether a stop took the terminal away, to be taken over again afterwards."""
    _ahead = 0
    """Messages handed over since the app was last known to have caught up."""

    def __init__(self, app: TerminalApp, **options: Any) -> None:
        """Stop and go on between two callbacks of the loop, where Textual does so in the middle of whatever runs.

        It gives the terminal back through a queue, and waits for ever where the signal came while that was locked.
        """
        super().__init__(app, **options)
        self.backlog = Backlog()
        assert self._file is not None  # noqa: S101 - there is no screen without standard error
        file = TerminalFile(self._file, partial(self._loop.call_soon_threadsafe, app.hang_up))
        self._file = file  # type: ignore[assignment] # all that Textual does with it is there
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._loop.add_signal_handler(signal.SIGCONT, self._go_on)

    def _stop(self) -> None:
        if self._has_terminal:
            self.suspend_application_mode()
            self._comes_back = True
            with suppress(termios.error):  # the terminal itself may be what is gone
                TAKEOVER.lend_keys()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        """Take the terminal over again, also after a stop that nobody was told of; not where it is gone."""
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
        """Give the terminal back once it has answered: who has it next would take the answer for keys."""
        while self.backlog.awaits_answer and not self.exit_event.is_set():
            sleep(_PAUSE_SECONDS)
        self._has_terminal = False
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write all but the first entry into the alternate screen, and its exit where another screen follows."""
        if data == ENTER_ALTERNATE_SCREEN and self._app.takes_over and not self._has_entered:
            self._has_entered = True
            return
        if data == LEAVE_ALTERNATE_SCREEN and self._app.is_followed:
            return
        super().write(data)

    def _get_terminal_size(self) -> tuple[int, int]:
        """Ask the terminal, where Textual trusts LINES and COLUMNS."""
        return terminal_size()

    def _run_input_thread(self) -> None:
        """Replace Textual's, which prints a traceback over the screen and exits with 0."""
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 - the thread's last words; the app tells them and ends
            self._loop.call_soon_threadsafe(self._app.end_without_input, error)

    def run_input_thread(self) -> None:
        parser = InputParser(self._debug, self._arrived)
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

    def _arrived(self) -> None:
        self.backlog.answered()
        self._loop.call_soon_threadsafe(self.backlog.go_on)

    def _show(self) -> None:
        """Draw from now on: what was typed before there was a screen has taken effect."""
        TAKEOVER.caught_up()
        self._app.screen._compositor_refresh()

    def _read(self) -> bytes:
        """Read the available bytes; none when the terminal is gone."""
        try:
            return os.read(self.fileno, _READ_BYTES)
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise

    def _hand_over(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if self.exit_event.is_set():
                return
            if self._mouse or not isinstance(message, events.MouseEvent):
                self.process_message(message)

    def send_message(self, message: Message) -> None:
        """Hand a message to the app, and after some of them wait until it has caught up.

        What is not read stays in the terminal's own buffer, and a sender that is faster than the app waits there.
        """
        self._loop.call_soon_threadsafe(self._app.post_message, message)
        self._ahead += 1
        if self._ahead >= _MOST_AHEAD:
            self._ahead = 0
            self._wait_for_app()

    def _wait_for_app(self) -> None:
        has_caught_up = Event()
        self._loop.call_soon_threadsafe(self._app.call_when_caught_up, has_caught_up.set)
        while not self.exit_event.is_set() and not has_caught_up.wait(_LOOK_SECONDS):
            pass


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
        # Before Textual looks at it: a theme that is changed afterwards has every style sheet parsed once more.
        self.set_reactive(App.theme, theme)
        super().__init__(driver_class=TerminalDriver, css_path=list(css_path))
        # An instance attribute, as Textual's own is: a class attribute would be hidden by it.
        self.animation_level = "none"
        self._disable_notifications = self._disable_tooltips = True  # each screen would mount a widget for either
        self.console.size = terminal_size()  # Rich believes LINES and COLUMNS
        self.takes_over = takes_over
        """Whether the first entry into the alternate screen is left out."""
        self._crash_folder = crash_folder
        self.crash: str | None = None
        """After a crash: the sentence to print once the terminal is restored."""
        for known in THEMES.values():
            self.register_theme(known)

    def get_theme(self, theme_name: str) -> Theme | None:
        """Know our own themes from the beginning, before they can be registered."""
        return THEMES.get(theme_name) or super().get_theme(theme_name)

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
            install_signals(asyncio.get_running_loop(), self.hang_up, self._end_unless_leaving)

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        """The screens that may be seen through the one in front: none through an opaque one.

        Textual 8.2.8 does not look at the one in front, and paints it whole again for all that changes behind it.
        """
        return [] if self.screen.styles.background.a == 1 else super()._background_screens

    async def mount_ahead(self, screen: Screen[Any]) -> None:
        """Mount a screen that is not on the stack and lay it out: when it is pushed, it comes into sight at once."""
        self._get_screen(screen)
        await AwaitMount(screen, [screen])
        lay_out(screen)

    def end_unattended(self) -> None:
        """End. Override it to finish first what is on its way: nobody may be there to press a key."""
        self.exit(return_code=ExitCode.NOT_DONE)

    def _end_unless_leaving(self) -> None:
        """End, unless it is ending already: the first exit code stands."""
        if self.return_code is None:
            self.end_unattended()

    def hang_up(self) -> None:
        """Let go of the dead terminal before anything else: reading it spins, and writing to it blocks.

        The signal, the thread that reads and the one that writes may find it dead.
        """
        if isinstance(self._driver, LinuxDriver):
            if self._driver.exit_event.is_set():
                return
            self._driver.exit_event.set()  # for good: a SIGCONT that comes with SIGHUP takes nothing over again
        silence_output()
        self._end_unless_leaving()

    def call_when_caught_up(self, call: Callable[[], object], *, is_done: bool = False) -> None:
        """Call when all that the terminal has sent so far is acted on, or even done: no more of it is read before."""
        if not (self.call_after_refresh if is_done else self.call_later)(call):
            call()

    def end_without_input(self, error: Exception) -> None:
        """End after an error in the thread that reads the terminal: no key arrives any more."""
        from runtui.log import crash_sentence

        self.crash = crash_sentence(error, self._crash_folder)
        self.end_unattended()

    def _fatal_error(self) -> None:
        """Replace Textual's, which prints a traceback with every local variable."""
        error = self._exception or sys.exc_info()[1] or RuntimeError("unknown")
        if isinstance(error, WorkerFailed):
            error = error.error
        if self.crash is None:
            from runtui.log import crash_sentence

            is_told = isinstance(error, RuntuiError)  # such as a damaged store: it says itself what to do
            self.crash = f"runtui: {visible(error)}" if is_told else crash_sentence(error, self._crash_folder)
        self._close_messages_no_wait()


def lay_out(screen: Screen[Any]) -> None:
    """Lay a screen out for the size of the terminal, and draw it where it is in front."""
    screen._refresh_layout(screen.app.size)
    screen._layout_required = False  # Textual 8.2.8 leaves that to its clock, which would lay it out once more


def tell_the_shell(app: TerminalApp) -> int:
    """Print the report of a crash, if any, once `app` has ended; the exit code of the process."""
    if app.crash is not None:
        print(app.crash, file=sys.stderr)
        return app.return_code or ExitCode.NOT_DONE
    return app.return_code or 0
