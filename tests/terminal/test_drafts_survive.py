"""A typed draft survives the end of the process, however it ends: on a real terminal, from the key to the next
start."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from runtui.settings import JOURNAL_FILE
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.test_session import runtui, sandbox


def test_what_is_typed_is_offered_at_the_next_start(tmp_path: Path) -> None:
    with sandbox() as root:
        with runtui(tmp_path, "--root", root, is_forked=True) as terminal:
            terminal.wait_for("30 runs.*as of")
            terminal.press("G", "e")
            terminal.wait_for("(?m)^(╭─)? Edit ")
            type_of_users(terminal, "7 of them")
            terminal.wait_until(lambda: is_on_disk(tmp_path, "7 of them"))  # a slow disk holds up no key for long
            terminal.process.kill()
            terminal.wait_for_exit()
        with runtui(tmp_path, "--root", root, is_forked=True) as terminal:
            find_the_draft(terminal, "7 of them")
            type_of_users(terminal, "8 of them, I think")
            terminal.hang_up()
            terminal.wait_for_exit()
        with runtui(tmp_path, "--root", root, is_forked=True) as terminal:
            find_the_draft(terminal, "8 of them, I think")
            type_of_users(terminal, "9 in all")
            leave(terminal)
        with runtui(tmp_path, "--root", root, is_forked=True) as terminal:
            find_the_draft(terminal, "9 in all")
            leave(terminal)


def type_of_users(terminal: PtyProbe, text: str) -> None:
    """Change the number of users of the run in the form."""
    terminal.press("down", "down", "down", "down", "down", "down")
    terminal.wait_for("How many users the run is for")
    terminal.type(text)
    terminal.wait_for(f"{text} ")


def is_on_disk(folder: Path, text: str) -> bool:
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as db:
        return any(text in edits for (edits,) in db.execute("SELECT edits FROM draft"))


def find_the_draft(terminal: PtyProbe, text: str) -> None:
    """Assert that the run has a draft, and that the form opens with it."""
    terminal.wait_for("1 draft kept; ")
    terminal.press("G")
    terminal.wait_for("(?m)^.?~ ")
    terminal.press("e")
    terminal.wait_for(f"{text} ")
    terminal.wait_for("Your draft from")


def leave(terminal: PtyProbe) -> None:
    """Leave the form, then quit the program."""
    terminal.press("esc")
    terminal.wait_for("The draft is kept")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
