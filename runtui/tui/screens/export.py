"""The formats that the journal can be exported in.

Invariant: nothing is written from here; the choice goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static

from runtui.services.journal_query import EntryQuery, ExportFormat
from runtui.tui.actions import bindings
from runtui.tui.messages import ExportChosen, Left
from runtui.tui.screens.acting import Acting
from runtui.tui.text import content
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.widgets.pane_title import PaneTitle

FORMATS: Final[Mapping[ExportFormat, str]] = {
    "jsonl": "JSON lines: every property as it is, for programs",
    "csv": "CSV: for a spreadsheet",
    "md": "Markdown: to read, for a ticket",
}


class ExportView(Acting):
    """Asks for one of them."""

    BINDINGS = bindings("export")
    DEFAULT_CSS = """
    ExportView { layout: vertical; height: 1fr; }
    ExportView ChoiceList { height: 1fr; }
    ExportView #export-what { height: auto; padding: 0 1; }
    """
    shown: EntryQuery | None = None
    """What would be exported."""

    def compose(self) -> ComposeResult:
        """Title, what it is about, the formats."""
        yield PaneTitle("Export the journal", id="export-title")
        yield Static(id="export-what", markup=False)
        yield ChoiceList(*FORMATS.values(), id="export-formats")

    def open(self, query: EntryQuery) -> None:
        """Ask for the format of these entries."""
        self.shown = query
        found = f"What the filter finds: {query.text}" if query.text else "Every entry"
        self.query_one("#export-what", Static).update(
            content(f"{found}, of {'all roots' if query.root is None else query.root}.")
        )
        self.query_one(ChoiceList).highlighted = 0
        self.query_one("#export-title", PaneTitle).show(Content("Export the journal"), active=True)

    def take_focus(self) -> None:
        """Give the list the keys."""
        self.query_one(ChoiceList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on one."""
        event.stop()
        self.action_use_format()

    def action_use_format(self) -> None:
        """Write the file."""
        index = self.query_one(ChoiceList).highlighted
        if index is not None and self.shown is not None:
            self.post_message(ExportChosen(self.shown, tuple(FORMATS)[index]))

    def action_leave_export(self) -> None:
        """Write nothing."""
        self.post_message(Left())
