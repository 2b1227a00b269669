"""`runtui demo`, which also writes to a file what Textual alone would have sent to the terminal.

Run as `python -m tests.terminal.shadowed_demo FILE STATE_FOLDER`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.screen import Screen

from runtui.command_line import CommandLine
from runtui.demo import demo
from runtui.tui import app as app_module
from runtui.tui.app import RuntuiApp


class ShadowedApp(RuntuiApp):
    """The app, with a second terminal that is a file."""

    shadow: TextIO

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Draw the update on the terminal and in the file."""
        if isinstance(renderable, LayoutUpdate | ChopsUpdate) and not self._batch_count:
            self.shadow.write(renderable.render_segments(self.console))
            self.shadow.flush()
        super()._display(screen, renderable)


if __name__ == "__main__":
    app_module.RuntuiApp = ShadowedApp  # type: ignore[misc]
    with Path(sys.argv[1]).open("w", encoding="utf-8", newline="") as shadow:
        ShadowedApp.shadow = shadow
        os.environ["RUNTUI_STATE"] = sys.argv[2]
        sys.exit(demo(CommandLine({}, ""), runs=240, seed=7, hostile=False, scenario="none", sign_in=False))
