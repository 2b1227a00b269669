"""The reference for runtui: Textual's own widgets, used as its documentation shows them.

`python -m tests.bench.stock_app static` paints one Static; `... table N` a DataTable of N runs.
"""

from __future__ import annotations

import random
import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

READY = "Ready to be read"
ANSWER = "A key was pressed"
COLUMNS = ("status", "workflow", "started", "users", "failed users", "failed tasks")


class OneStatic(App[None]):
    """The smallest application that shows something and answers a key."""

    BINDINGS = [("?", "answer", "answer")]

    def compose(self) -> ComposeResult:
        yield Static(READY)

    def action_answer(self) -> None:
        self.query_one(Static).update(ANSWER)


class StockTable(App[None]):
    """A DataTable with a given number of rows; `u` updates one cell."""

    BINDINGS = [("u", "update", "update one cell")]

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        yield DataTable[str](cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        keys = table.add_columns(*COLUMNS)
        self._status = keys[0]
        chance = random.Random(7)
        for number in range(self._rows):
            failed = chance.randrange(9)
            table.add_row(
                "✗ failed" if failed else "✓ completed", "Onboard pre-hire", f"{number}m ago", "11/12", str(failed),
                str(failed * 2), key=str(number),
            )  # fmt: skip
        table.focus()

    def action_update(self) -> None:
        self.query_one(DataTable).update_cell("3", self._status, "● inProgress")


if __name__ == "__main__":
    if sys.argv[1] == "static":
        OneStatic().run()
    else:
        StockTable(int(sys.argv[2])).run()
