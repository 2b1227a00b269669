"""The detected capabilities of the terminal, and the contents of a crash report."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import stat
from pathlib import Path
from threading import Event

import pytest
from textual import events
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from runtui.errors import RuntuiError
from runtui.log import crash_sentence, write_crash_report
from runtui.prelude.terminal import require_terminal, terminal_size
from runtui.tui import terminal
from runtui.tui.terminal import (
    ANSWER_SECONDS,
    ASK_BYTES,
    MAX_IN_TRANSIT,
    Backlog,
    TerminalApp,
    TerminalDriver,
)
from runtui.tui.themes import starting_theme


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("environ", [{}, {"TERM": ""}, {"TERM": "dumb"}])
def test_a_terminal_that_cannot_place_a_cursor_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(RuntuiError, match="runtui list"):
        require_terminal(environ, (Tty(), Tty()))


@pytest.mark.parametrize("streams", [(io.StringIO(), Tty()), (Tty(), io.StringIO()), (Tty(), None)])
def test_a_pipe_and_a_stream_that_the_shell_closed_are_refused(streams: tuple[io.StringIO | None, ...]) -> None:
    with pytest.raises(RuntuiError, match="runtui list"):
        require_terminal({"TERM": "xterm"}, streams)


@pytest.mark.parametrize("term", ["xterm-256color", "screen", "tmux-256color", "linux", "vt100"])
def test_a_terminal_is_accepted(term: str) -> None:
    require_terminal({"TERM": term}, (Tty(), Tty()))


@pytest.mark.parametrize(
    ("environ", "chosen", "theme"),
    [
        ({"TERM": "xterm-256color"}, None, "runtui-dark"),
        ({"TERM": "tmux-256color"}, None, "runtui-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, None, "runtui-dark"),
        ({"TERM": "xterm-256color", "COLORFGBG": "0;15"}, None, "runtui-light"),
        ({"TERM": "xterm-256color", "COLORFGBG": "15;default;0"}, None, "runtui-dark"),
        ({"TERM": "xterm-256color", "COLORFGBG": "12;8"}, None, "runtui-dark"),
        ({"TERM": "xterm-256color"}, "light", "runtui-light"),
        ({"TERM": "xterm-256color", "COLORFGBG": "0;15"}, "dark", "runtui-dark"),
        ({"TERM": "linux"}, None, "ansi-dark"),
        ({"TERM": "screen"}, None, "ansi-dark"),
        ({"TERM": "vt100"}, "light", "ansi-light"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, None, "ansi-dark"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "COLORFGBG": "0;7"}, None, "ansi-light"),
        ({"TERM": "linux"}, "runtui-light", "runtui-light"),
    ],
)
def test_the_first_theme_is_what_the_terminal_can_show(environ: dict[str, str], chosen: str | None, theme: str) -> None:
    assert starting_theme(environ, chosen) == theme


def test_an_unknown_theme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RuntuiError, match="runtui-dark, runtui-light, ansi-dark, ansi-light"):
        starting_theme({}, "solarised")


def failure() -> Exception:
    local_variable = "only-a-local"
    try:
        raise ValueError("Authorization: Bearer abcdefghijklmnop and \ud800", len(local_variable))
    except ValueError as error:
        return error


def test_a_crash_report_has_the_traceback_and_nothing_private(tmp_path: Path) -> None:
    report = write_crash_report(failure(), tmp_path / "new" / "folder")
    told = report.read_text("utf-8")
    assert "in failure" in told
    assert "ValueError" in told
    assert "abcdefghijklmnop" not in told
    assert "only-a-local" not in told.replace('local_variable = "only-a-local"', "")
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(report.parent.stat().st_mode) == 0o700


def test_an_unwritable_report_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = crash_sentence(failure(), tmp_path / "file")
    assert said.startswith("runtui crashed (ValueError). No report could be written")


def test_textual_still_runs_its_input_in_a_thread_that_is_overridden() -> None:
    assert "target=self._run_input_thread" in inspect.getsource(LinuxDriver.start_application_mode)
    assert "self._get_terminal_size()" in inspect.getsource(LinuxDriver.start_application_mode)
    for name in ("_app", "_loop", "_mouse"):
        assert f"self.{name} = " in inspect.getsource(Driver.__init__)
    assert "self._file = sys.__stderr__" in inspect.getsource(LinuxDriver.__init__)
    assert "WriterThread(self._file)" in inspect.getsource(LinuxDriver.start_application_mode)


@pytest.mark.parametrize(
    ("window", "believed"), [((120, 40), (120, 40)), ((0, 0), (80, 24)), ((65535, 65535), (1000, 1000))]
)
def test_a_window_has_a_size_that_can_be_drawn(
    window: tuple[int, int], believed: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda _descriptor: os.terminal_size(window))
    assert terminal_size() == believed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds; only a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(terminal, "monotonic", lambda: now[0])
    return now


FRAME = "x" * ASK_BYTES
QUESTION = "\x1b[5n"


def waits(backlog: Backlog) -> bool:
    return backlog.is_long


def test_a_terminal_that_answers_is_waited_for_when_too_much_is_on_its_way() -> None:
    backlog = Backlog()
    assert backlog.send("x") == "x", "so little is not worth a question"
    assert backlog.send(FRAME) == FRAME + QUESTION
    backlog.answered()
    while not waits(backlog):
        assert backlog.send(FRAME) == FRAME + QUESTION
    for _ in range(MAX_IN_TRANSIT // ASK_BYTES):
        assert backlog.awaits_answer
        backlog.answered()
    assert not waits(backlog)
    backlog.answered()
    assert not backlog.awaits_answer
    backlog.answered()
    assert not backlog.awaits_answer, "an answer to nothing"


def test_a_terminal_that_never_answers_is_asked_once_and_not_waited_for() -> None:
    backlog = Backlog()
    sent = "".join(backlog.send(FRAME) for _ in range(20))
    assert sent.count(QUESTION) == 1
    assert not waits(backlog)
    assert not backlog.awaits_answer
    backlog.answered()
    assert backlog.send(FRAME).endswith(QUESTION), "it was slow to answer, that is all"


def test_an_answer_that_is_lost_is_given_up(clock: list[float]) -> None:
    backlog = Backlog()
    backlog.send(FRAME)
    backlog.answered()
    while not waits(backlog):
        backlog.send(FRAME)
    clock[0] += ANSWER_SECONDS
    assert waits(backlog)
    clock[0] += 0.1
    assert not waits(backlog)
    assert not backlog.awaits_answer


@pytest.mark.parametrize(("is_followed", "taken"), [(True, "abcdef"), (False, "")])
async def test_keys_read_as_one_app_ends_are_for_the_next(
    is_followed: bool, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ending(TerminalApp):
        def __init__(self) -> None:
            super().__init__(theme="ansi-dark", crash_folder=Path(), css_path=())
            self.typed = ""

        @property
        def is_followed(self) -> bool:
            return is_followed

        def post_message(self, message: Message) -> bool:
            self.typed += (message.character or "") if isinstance(message, events.Key) else ""
            return True

    app = Ending()
    driver = object.__new__(TerminalDriver)
    reading, writing = os.pipe()
    driver.__dict__.update(_app=app, _loop=asyncio.get_running_loop(), _mouse=True, backlog=Backlog())
    driver.__dict__.update(fileno=reading, exit_event=Event(), cursor_origin=None)
    os.write(writing, b"def")
    driver.exit_event.set()
    driver._hand_over([events.Key(letter, letter) for letter in "abc"])
    driver.run_input_thread()
    await asyncio.sleep(0)
    assert app.typed == taken
    for end in (reading, writing):
        os.close(end)
