"""The reference for runtui: Textual's own widgets, used as its documentation shows them.

`python -m tests.bench.stock_app static` paints one Static; `... table N` a DataTable of N runs; `... panel N` the same
beside a Static that shows the run under the cursor; `e` opens a form of Selects and Inputs in all but the first.
"""

from __future__ import annotations

import json
import random
import sys

from textual.app import App, ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Label, Select, Static

READY = "Ready to be read"
ANSWER = "A key was pressed"
FORM = "Edit a run"
STATUSES = ("queued", "inProgress", "completed", "completedWithErrors", "canceled", "failed", "quarantined")
KINDS = ("scheduled", "onDemand", "activatedWithScope")
COUNTS = ("totalUsersCount", "successfulUsersCount", "failedUsersCount", "totalTasksCount", "failedTasksCount")
COLUMNS = ("status", "workflow", "started", "users", "failed users", "failed tasks")


class OneStatic(App[None]):
    """The smallest application that shows something and answers a key."""

    BINDINGS = [("?", "answer", "answer")]

    def compose(self) -> ComposeResult:
        yield Static(READY)

    def action_answer(self) -> None:
        self.query_one(Static).update(ANSWER)


class Form(ModalScreen[None]):
    """A form with two enumerations and some numbers."""

    CSS = """
    Form { align: center middle }
    Form VerticalScroll { width: 80%; height: 80% }
    """

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Label(FORM)
            for name, values in (("processingStatus", STATUSES), ("workflowExecutionType", KINDS)):
                yield Label(name)
                yield Select([(value, value) for value in values], value=values[0])
            for name in COUNTS:
                yield Label(name)
                yield Input("0", type="integer")


class StockTable(App[None]):
    """A DataTable with a given number of rows; `u` updates one cell, `e` opens a form."""

    BINDINGS = [("u", "update", "update one cell"), ("e", "edit", "edit")]

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

    def action_edit(self) -> None:
        self.push_screen(Form())


class StockTableAndPanel(StockTable):
    """The same table beside a Static with the JSON of the row under the cursor."""

    CSS = "DataTable { width: 3fr } VerticalScroll { width: 2fr }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield from super().compose()
            with VerticalScroll():
                yield Static(id="page", markup=False)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        cells = event.data_table.get_row(event.row_key)
        tasks = [{"task": f"task {number}", "status": "failed"} for number in range(6)]
        page = {"id": event.row_key.value, **dict(zip(COLUMNS, cells, strict=True)), "tasks": tasks}
        self.query_one("#page", Static).update(json.dumps(page, indent=2))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table", rows]:
            StockTable(int(rows)).run()
        case ["panel", rows]:
            StockTableAndPanel(int(rows)).run()
        case _:
            OneStatic().run()
