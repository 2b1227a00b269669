"""A terminal gets only the colours that it claims to support."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.terminal.pty_probe import PtyProbe

ROOT = Path(__file__).parents[2]
TRUECOLOR = re.compile(rb"[34]8;2;")
OF_256 = re.compile(rb"[34]8;5;")
OF_16 = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.mark.parametrize(
    ("env", "sent"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, {TRUECOLOR}),
        ({"TERM": "xterm-256color", "COLORTERM": None}, {OF_256}),
        ({"TERM": "linux", "COLORTERM": None}, {OF_16}),
        ({"TERM": "screen", "COLORTERM": None}, {OF_16}),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, set()),
    ],
    ids=["truecolor", "256", "linux", "screen", "NO_COLOR"],
)
def test_colours_fit_the_terminal(tmp_path: Path, env: dict[str, str | None], sent: set[re.Pattern[bytes]]) -> None:
    command = [sys.executable, "-m", "tests.terminal.leaving_app", str(tmp_path)]
    with PtyProbe(command, env={"PYTHONPATH": str(ROOT), **env}, is_forked=True) as terminal:
        terminal.wait_for("ready")
        terminal.press("x")
        terminal.wait_for_exit()
    without_rgb = re.sub(rb"[34]8;[25];[\d;]*", b"", terminal.received)
    seen = {kind for kind in (TRUECOLOR, OF_256) if kind.search(terminal.received)}
    if OF_16.search(without_rgb):
        seen.add(OF_16)
    assert seen == sent
