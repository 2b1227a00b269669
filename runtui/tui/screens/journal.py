"""The journal: every change that was sent, what became of it, and what can still be done about it.

Invariant: the file is read in a thread, a page at a time. What cannot be undone or settled here says why.
"""

from __future__ import annotations

import asyncio

from textual import work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from runtui.actions import key_of
from runtui.errors import RuntuiError
from runtui.services.journal import Entry, Journal
from runtui.services.journal_query import PAGE, EntryQuery
from runtui.tui.actions import bindings
from runtui.tui.keys import awaited
from runtui.tui.resources import JOURNAL, EntryRow, entry_rows
from runtui.tui.screens.frame import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.filter_bar import FilterBar
from runtui.tui.widgets.line_table import ColumnHeader, LineTable


class JournalView(ActionView[None]):
    """The list of entries."""

    scope = "journal"
    BINDINGS = bindings("journal")
    DEFAULT_CSS = """
    JournalView { layout: vertical; height: 1fr; }
    JournalView LineTable { height: 1fr; }
    JournalView #journal-empty { display: none; padding: 1 2; height: auto; }
    JournalView.-empty #journal-empty { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: EntryQuery | None = None
        self.older: int | None = None
        """Where the entries begin that are not read yet; None when all are."""
        self._root = ""
        self.entries: list[Entry] = []
        """Those that were read, newest first."""

    def compose(self) -> ComposeResult:
        """Filter, column titles, entries."""
        yield FilterBar(JOURNAL.filter_help, JOURNAL.read_filter)
        yield ColumnHeader(JOURNAL.columns)
        yield Static(id="journal-empty", markup=False)
        yield LineTable(JOURNAL, id="journal-table")

    @property
    def table(self) -> LineTable[EntryRow, int]:
        """The entries."""
        return self.query_one("#journal-table", LineTable)

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

    def take_focus(self) -> None:
        """Give the entries the keys."""
        self.screen.set_focus(self.table)

    def reload(self) -> None:
        """Read again what is shown."""
        self._read(None, max(PAGE, len(self.entries)))

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
        try:
            found, self.older = await asyncio.to_thread(query.page, before, wanted)
        except RuntuiError as error:
            self._show_words(str(error))
            return
        self.entries = [*(self.entries if before is not None else ()), *found]
        self.table.show(entry_rows(self.entries, self._root), keep_line=True)
        # The journal is read whole pages at a time: from its first row on, the cursor belongs to its entry.
        self.table.row_under_cursor(hold=True)
        nothing = f"{JOURNAL.nothing_found} {key_of('leave_journal')} clears it." if query.text else JOURNAL.empty
        self._show_words("" if self.entries else nothing)

    def _show_words(self, words: str) -> None:
        self.set_class(bool(words), "-empty")
        self.query_one("#journal-empty", Static).update(content(words))

    def title(self) -> Content:
        """How many entries, filter, roots."""
        more = "+" if self.older is not None else ""
        parts = [Content.styled("Journal", "bold"), Content(f"  {len(self.entries)}{more}")]
        if self.shown is not None and self.shown.text:
            parts.append(Content.assemble("  /", content(self.shown.text, "$text-accent")))
        if self.shown is not None and self.shown.root is None:
            parts.append(Content("  all roots"))
        return Content("").join(parts)

    def on_line_table_cursor_moved(self, event: LineTable.CursorMoved) -> None:
        """Another entry, or none: the panel shows it, and what can be done may have changed."""
        event.stop()
        if self.frame in self.app.screen_stack:
            self.frame.chrome.panel.show_entry(self.entry)
        self.post_message(self.Changed())

    def _select(self, root: str | None, text: str) -> None:
        if self.shown is not None:
            self.shown = EntryQuery(self.shown.journal, root, text)
            self._read(None, PAGE)

    # Filter

    def action_filter_journal(self) -> None:
        """Open the filter box."""
        self.query_one(FilterBar).open()

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        """Show what the filter finds."""
        event.stop()
        if self.shown is not None and event.text != self.shown.text:
            self._select(self.shown.root, event.text)

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        """Back to the entries."""
        event.stop()
        self.take_focus()

    def action_all_servers(self) -> None:
        """The entries of all roots, or of this one again."""
        if self.shown is not None:
            self._select(self._root if self.shown.root is None else None, self.shown.text)

    def action_leave_journal(self) -> None:
        """One step back: the filter first, then to where one came from."""
        if self.shown is not None and self.shown.text:
            self.query_one(FilterBar).put("")
            self._select(self.shown.root, "")
        else:
            self.answer()
