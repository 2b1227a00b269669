"""The journal: every change that was sent, what became of it, and what can still be done about it.

Invariant: the file is read in a thread, a page at a time. What cannot be undone or settled here says why.
"""

from __future__ import annotations

import asyncio
from sys import maxsize

from textual import work
from textual.content import Content

from runtui.domain.columns import Order
from runtui.errors import RuntuiError
from runtui.graph.root import same_server
from runtui.services.journal import Entry, Journal
from runtui.services.journal_query import PAGE, EntryQuery
from runtui.tui.actions import bindings
from runtui.tui.keys import awaited
from runtui.tui.resources import JOURNAL, NEWEST_FIRST, EntryRow, entry_rows
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.widgets.filter_bar import FilterBar
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.row_list import RowList
from runtui.tui.words import entry_words, pages


class JournalView(ActionView[None]):
    """The list of entries."""

    scope = "journal"
    shared = ("rows",)
    BINDINGS = bindings("rows", "journal")
    list: RowList[EntryRow, int]

    def __init__(self) -> None:
        super().__init__()
        self.list = RowList(JOURNAL, name="journal")
        self.list.order, self.list.sort_by = NEWEST_FIRST, self._sort_by
        self.shown: EntryQuery | None = None
        self.older: int | None = None
        """Where the entries begin that are not read yet; None when all are."""
        self._root = ""
        self.entries: list[Entry] = []
        """Those that were read, newest first."""

    @property
    def table(self) -> LineTable[EntryRow, int]:
        """The entries."""
        return self.list.table

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor."""
        row = self.table.row_under_cursor()
        return row.entry if row is not None else None

    def open(self, journal: Journal, root: str) -> None:
        """Show the journal as it is now; filter and roots stay as they were left."""
        self._root = root
        if self.shown is None:
            self.shown = EntryQuery(journal, root)
        self.reload()

    def show_in(self, panel: Panel) -> None:
        """The run of the entry under the cursor."""
        entry = self.entry
        if entry is None:
            panel.show_page(pages.NO_ENTRY)
        elif entry.damage or not same_server(entry.root, self._root):
            panel.show_page(pages.foreign_page(entry))
        else:
            panel.follow(entry.run_id, entry)

    def reload(self) -> None:
        """Read again what is shown."""
        self._read(None, max(PAGE, len(self.entries)))

    def _sort_by(self, order: Order) -> None:
        self.list.order = order
        self.reload()

    def on_line_table_end_reached(self, event: LineTable.EndReached) -> None:
        """Read on, where there is more."""
        event.stop()
        if self.older is not None:
            self._read(self.older, PAGE)

    def _read(self, before: int | None, wanted: int) -> None:
        if self.shown is not None:
            self._show_page(self.shown, before, wanted)

    @work(group=awaited("journal"), exclusive=True, description="read the journal")
    async def _show_page(self, query: EntryQuery, before: int | None, wanted: int) -> None:
        order = self.list.order
        if order != NEWEST_FIRST:
            wanted = maxsize  # which entries come first, only all of them tell
        try:
            found, self.older = await asyncio.to_thread(query.page, before, wanted)
        except RuntuiError as error:
            self.list.say(str(error))
            return
        self.entries = [*(self.entries if before is not None else ()), *found]
        rows = await asyncio.to_thread(entry_rows, self.entries, self._root, order)
        self.list.measure(rows.rows)
        self.list.show(rows, keep_line=True, order=order)
        # The journal is read whole pages at a time: from its first row on, the cursor belongs to its entry.
        self.table.row_under_cursor(hold=True)
        self.list.say("" if self.entries else self.list.not_found() if query.text else entry_words.nothing_sent())

    def title(self) -> Content:
        """How many entries, filter, roots."""
        counted = f"{len(self.entries)}{'+' if self.older is not None else ''}"
        title = self.list.title(counted, self.shown.text if self.shown is not None else "")
        of_all_roots = self.shown is not None and self.shown.root is None
        return Content.assemble(title, "  all roots" if of_all_roots else "")

    def on_line_table_cursor_moved(self) -> None:
        """Another entry, or none: the panel shows it."""
        if self.frame in self.app.screen_stack:
            self.frame.chrome.panel.show_entry(self.entry)

    def _select(self, root: str | None, text: str) -> None:
        if self.shown is not None:
            self.shown = EntryQuery(self.shown.journal, root, text)
            self._read(None, PAGE)

    # Filter

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        """Show what the filter finds."""
        event.stop()
        if self.shown is not None and event.text != self.shown.text:
            self._select(self.shown.root, event.text)

    def action_all_servers(self) -> None:
        """The entries of all roots, or of this one again."""
        if self.shown is not None:
            self._select(self._root if self.shown.root is None else None, self.shown.text)

    def action_leave_journal(self) -> None:
        """One step back: the filter first, then to where one came from."""
        if self.shown is not None and self.shown.text:
            self.list.filter_bar.put("")
            self._select(self.shown.root, "")
        else:
            self.answer()
