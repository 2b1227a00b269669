"""The demo's scenarios on a real terminal: chosen on the command line, shown in the first paint, changed by a key."""

from __future__ import annotations

from pathlib import Path

from tests.terminal.pty_probe import PtyProbe
from tests.terminal.test_session import TEXTUAL_STARTS, runtui


def test_a_demo_simulates_faults_from_the_start_and_by_key(tmp_path: Path) -> None:
    with runtui(tmp_path, "demo", "--runs", "30", "--scenario", "slow", columns=80, rows=24) as terminal:
        terminal.wait_for("M simulate")
        assert b"SANDBOX: slow" in terminal.received.partition(TEXTUAL_STARTS)[0], "in the first paint"
        terminal.wait_for(r"\A.*SANDBOX: slow")
        terminal.press("M")
        terminal.wait_for("● slow")
        terminal.press("g", "j", "enter")
        terminal.wait_for("SANDBOX: 429-seconds")
        throttled(terminal)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def throttled(terminal: PtyProbe) -> None:
    """Assert that the server really simulates the scenario, and that not only the badge has changed."""
    terminal.press("r")
    terminal.wait_for("waiting until")
