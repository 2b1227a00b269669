"""Text from a server reaches a real terminal as text: through each wall alone, and through both."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.terminal.pty_probe import PtyProbe

ROOT = Path(__file__).parents[2]
SHOWN = "␛]0;owned␇␛[13;37H⟨U+009B⟩13;37H⟨U+202E⟩⟨U+200B⟩⟨U+E0041⟩␡⟨U+D800⟩[/x][@click=app.quit]go[/]"
RAW = ["\x1b]0;", "\x1b[13;37H", "\x9b", "\u202e", "\u200b", "\U000e0041", "\x7f"]


def probe(walls: str) -> PtyProbe:
    command = [sys.executable, "-m", "tests.terminal.hostile_app", walls]
    return PtyProbe(command, columns=150, rows=40, env={"PYTHONPATH": str(ROOT)}, is_forked=True)


def look_at_every_place(terminal: PtyProbe) -> str:
    """Return the screen, and end the program."""
    terminal.wait_for("ready")
    shown = terminal.text
    terminal.press("f3")
    assert terminal.wait_for_exit() == 0
    return shown


@pytest.mark.parametrize("walls", ["first", "second"])
def test_each_wall_alone_keeps_escape_sequences_from_the_terminal(walls: str) -> None:
    with probe(walls) as terminal:
        look_at_every_place(terminal)
        assert [sequence for sequence in RAW if sequence.encode() in terminal.received] == []
        assert terminal.title == ""


def test_nothing_vanishes_and_no_markup_is_read() -> None:
    with probe("both") as terminal:
        shown = look_at_every_place(terminal)
        assert [sequence for sequence in RAW if sequence.encode() in terminal.received] == []
        assert [place for place in "STDIOBLP" if f"{place} {SHOWN}" not in shown] == []


def test_without_a_wall_it_would_have_reached_the_terminal() -> None:
    """This proves that the tests above can fail."""
    with probe("none") as terminal:
        terminal.wait_for_output(b"\x1b[13;37H")
        assert b"\x1b[13;37H" in terminal.received
