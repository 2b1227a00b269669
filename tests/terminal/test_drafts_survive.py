"""What was typed outlives the process, however it ends: on a real terminal, from the key to the next start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal.test_session import runtui, sandbox


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with sandbox() as root:
        yield root


@pytest.mark.parametrize("ending", ["kill -9", "hang up", "esc and q"])
def test_what_is_typed_is_offered_at_the_next_start(tmp_path: Path, root: str, ending: str) -> None:
    with runtui(tmp_path, "--root", root) as terminal:
        terminal.wait_for("30 runs.*as of")
        terminal.press("G", "e")
        terminal.wait_for("(?m)^(╭─)? Edit ")
        terminal.press("down", "down", "down", "down", "down", "down")
        terminal.wait_for("How many users the run is for")
        terminal.type("7 of them, I think")
        terminal.wait_for("7 of them, I think")
        if ending == "kill -9":
            terminal.process.kill()
        elif ending == "hang up":
            terminal.hang_up()
        else:
            terminal.press("esc")
            terminal.wait_for("The draft is kept")
            terminal.press("q")
        terminal.wait_for_exit()
    with runtui(tmp_path, "--root", root) as terminal:
        terminal.wait_for("1 draft; ")
        terminal.press("G")
        terminal.wait_for("(?m)^.?~ ")
        terminal.press("e")
        terminal.wait_for("7 of them, I think")
        terminal.wait_for("Your draft of")
        terminal.press("esc")
        terminal.wait_for("The draft is kept")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
