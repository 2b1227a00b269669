"""The part of the screen that goes back to what was sent: the journal, taking back, settling what is unknown, export.

Invariant: the journal is read and written in threads. What took a while to find out takes the screen only from a person
who still waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from textual.worker import Worker

from runtui.errors import RuntuiError
from runtui.services.journal import Entry
from runtui.services.undo import draft_to_undo
from runtui.tui import entry_words
from runtui.tui.actions import ACTION_BY_ID
from runtui.tui.bridge import JournalChanged
from runtui.tui.changes import Changes
from runtui.tui.keys import awaited
from runtui.tui.messages import (
    Decided,
    EntryRequested,
    ExportChosen,
    ExportRequested,
    LookRequested,
    UndoRequested,
    UndoRunRequested,
)
from runtui.tui.views.export import ExportView
from runtui.tui.views.journal import JournalView
from runtui.tui.widgets.entry_table import EntryTable
from runtui.tui.widgets.status_line import StatusLine


class Journaling(Changes):
    """A frame that has the journal."""

    _follows_entries = False
    """Whether the panel shows the entry under the cursor."""

    async def action_journal(self) -> None:
        """The journal takes the left pane."""
        await self.left.prepare()
        self.left.query_one(JournalView).open(self._workspace.journal, self._workspace.root)
        self.left.show("journal")
        self._follows_entries = False
        if not self.waiting():
            self.say("")  # the journal tells it, entry by entry

    def on_journal_changed(self, _event: JournalChanged) -> None:
        """An entry came, or became known."""
        if self.left.leads_through("journal"):
            self.left.query_one(JournalView).reload()

    def on_entry_table_cursor_moved(self, _event: EntryTable.CursorMoved) -> None:
        """Another entry: what can be done may have changed; a panel that shows entries shows this one."""
        entry = self.left.query_one(JournalView).entry
        if self._follows_entries and entry is not None:
            self.panel.show_entry(entry)
        self.refresh_chrome()

    def on_entry_requested(self, event: EntryRequested) -> None:
        """Show what was sent and what came back."""
        self._follows_entries = True
        self.open_panel()
        self.panel.show_entry(event.entry)
        self.panel.choose("response")

    # Unknown ones

    def on_look_requested(self, event: LookRequested) -> None:
        """Read the run of an unknown change again."""
        self.say(entry_words.looking(event.entry))
        self._aside(partial(self._look, event.entry.number), "look at an entry")

    async def _look(self, number: int) -> None:
        entry = await self._workspace.settling.look_at(number)
        if entry is not None and not entry.is_settled:
            self.say(entry_words.still_open(entry), "warning")

    def on_decided(self, event: Decided) -> None:
        """Record a person's word when the question is already in sight, or ask it."""
        question = entry_words.decision(event.entry, event.outcome, ACTION_BY_ID[event.action_id].shown_key)
        if self.query_one(StatusLine).text != question:
            self.say(question, "warning")
            return
        settle = partial(self._workspace.settling.decide, event.entry.number, event.outcome)
        self._aside(settle, awaited("settle an entry"))

    # Taking back

    def on_undo_run_requested(self, event: UndoRunRequested) -> None:
        """Take back what was changed last in a run."""
        self.workers.cancel_group(self, "undo")
        self._aside(partial(self._undo_last, event.run_id), awaited("find the last change"))

    async def _undo_last(self, run_id: str) -> None:
        entries = await asyncio.to_thread(self._workspace.journal.of_run, self._workspace.root, run_id)
        entry = entry_words.undoable(entries)
        if entry is None:
            self.say(entry_words.nothing_to_undo(entries), "warning")
            return
        table = self.left.runs.table

        def is_looking() -> bool:
            return self.left.view == "runs" and table.cursor_id == run_id

        self._aside(partial(self._undo, entry, is_looking), "undo")

    def on_undo_requested(self, event: UndoRequested) -> None:
        """Take back an entry of the journal."""
        entry, journal = event.entry, self.left.query_one(JournalView)

        def is_looking() -> bool:
            now = journal.entry
            return self.left.view == "journal" and now is not None and now.number == entry.number

        self._aside(partial(self._undo, entry, is_looking), "undo")

    async def _undo(self, entry: Entry, is_looking: Callable[[], bool]) -> None:
        """Read the run, and ask whether to send the change that takes the entry back, if the person still waits."""
        self.say(entry_words.reading_to_undo(entry))
        draft = await draft_to_undo(entry, self._workspace.client, self._workspace.settings.body_mode)
        await self.left.prepare()
        if self.app.screen is self and is_looking():
            self.left.review_undo(draft, entry.number)
        else:
            self.say(entry_words.may_be_undone(entry))

    # Export

    def on_export_requested(self, event: ExportRequested) -> None:
        """The formats take the left pane."""
        self.left.query_one(ExportView).open(event.entries)
        self.left.show("export")

    def on_export_chosen(self, event: ExportChosen) -> None:
        """Write the file, and go back to the journal."""
        self.left.leave("export")
        self._aside(partial(self._export, event), awaited("export"))

    async def _export(self, event: ExportChosen) -> None:
        path, count = await asyncio.to_thread(event.entries.write, event.form)
        self.say(entry_words.exported(path, count), "success")

    def _aside(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        """Do what takes a while beside the screen, the newest of each kind; its failure is told."""

        async def told() -> None:
            try:
                await work()
            except RuntuiError as error:
                self.say(str(error), "error")

        _: Worker[None] = self.run_worker(told, group=what, description=what, exclusive=what == "undo")
