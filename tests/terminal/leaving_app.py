"""A small app for every way to end: keys crash it in a handler, a worker, a timer or its input, or let it quit.

It can also be too busy for further keys, and write more than a terminal takes at once.

Run as `python -m tests.terminal.leaving_app CRASH_FOLDER`; a file `unmounted` there shows that it ended in order.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Static

from runtui.log import unhandled_errors_reported
from runtui.tui.terminal import InputParser, TerminalApp, shell_waits, tell_the_shell
from runtui.tui.themes import starting_theme
from tests import PATIENCE, there

SECRET = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzZWNyZXQifQ.c2lnbmF0dXJl"


class LeavingApp(TerminalApp):
    """Ends in the way that a key selects."""

    CSS = "Static { color: $text-error; background: $panel; border: round $primary; }"
    BINDINGS = [
        Binding("c", "crash", "Crash"),
        Binding("w", "crash_in_worker", "Crash in a worker"),
        Binding("t", "crash_in_timer", "Crash in a timer"),
        Binding("i", "crash_in_input", "Crash in the input thread"),
        Binding("b", "be_busy", "Be busy"),
        Binding("f", "flood", "Write much"),
        Binding("z", "suspend", "Suspend"),
        Binding("x", "quit", "Quit"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(theme=starting_theme(), crash_folder=folder)
        self._folder = folder

    def compose(self) -> ComposeResult:
        """Show that the app runs."""
        yield Static("ready", markup=False)

    def on_unmount(self) -> None:
        """Leave a trace of an orderly end."""
        (self._folder / "unmounted").touch()

    def end_unattended(self) -> None:
        """Record whether a thread still reads from a terminal that is gone."""
        is_gone = not os.isatty(0)
        readers = [thread for thread in threading.enumerate() if is_gone and thread.name == "textual-input"]
        for reader in readers:
            reader.join(PATIENCE)
        if any(reader.is_alive() for reader in readers):
            (self._folder / "still-reading").touch()
        super().end_unattended()

    def action_crash(self) -> None:
        """Fail with a secret in a local variable, and one in the message."""
        local_of_the_crash = "private-" + "value"
        raise LookupError(f"Authorization: Bearer {SECRET} {len(local_of_the_crash)}")

    def action_crash_in_worker(self) -> None:
        """Fail where Textual wraps the error."""

        async def work() -> None:
            self.action_crash()

        self.run_worker(work(), description="crash")

    def action_crash_in_timer(self) -> None:
        """Fail outside any message."""
        self.set_timer(0.01, self.action_crash)

    def action_crash_in_input(self) -> None:
        """Fail in the thread that reads the terminal, at the next key."""
        crash = self.action_crash

        def feed(self: InputParser, data: bytes) -> Iterator[Message]:
            crash()
            yield from ()

        InputParser.feed = feed  # type: ignore[method-assign]
        self.query_one(Static).update("the next key crashes")

    def action_flood(self) -> None:
        """Write far more than the buffers between a program and its terminal hold."""
        there(self._driver).write("flood" * 200_000)

    def action_suspend(self) -> None:
        """Stop, or say why not."""
        if shell_waits():
            self.action_suspend_process()
        else:
            self.query_one(Static).update("nobody would bring it back")

    async def action_be_busy(self) -> None:
        """Handle no other key until a file `go` exists."""
        while not (self._folder / "go").exists():  # noqa: ASYNC110 - it comes from another process
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    app = LeavingApp(Path(sys.argv[1]))
    with unhandled_errors_reported(Path(sys.argv[1])):
        app.run()
    sys.exit(tell_the_shell(app))
