"""The part of the screen that goes back to what was sent: the journal, taking back, settling what is unknown, export.

Invariant: the journal is read and written in threads. What took a while to find out takes the screen only from a person
who still waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from textual import on
from textual.worker import Worker

from runtui.errors import RuntuiError
from runtui.services.journal import Entry
from runtui.services.undo import doubt_of, draft_to_undo
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
from runtui.tui.screens.export import ExportView
from runtui.tui.screens.journal import JournalView
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.status_line import StatusLine


class Journaling(Changes):
    """A frame that has the journal."""

    async def action_journal(self) -> None:
        """The journal takes the left pane."""
        await self.left.prepare()
        self.left.query_one(JournalView).open(self._workspace.journal, self._workspace.root)
        self.left.show("journal")
        if not self.waiting():
            self.say("")  # the journal tells it, entry by entry

    def on_journal_changed(self, _event: JournalChanged) -> None:
        """An entry came, or became known."""
        if self.left.leads_through("journal"):
            self.left.query_one(JournalView).reload()

    @on(LineTable.CursorMoved, "#journal-table")
    def _entry_cursor_moved(self) -> None:
        """Another entry, or none: the panel shows it, and what can be done may have changed."""
        if self.left.leads_through("journal"):
            self.panel.show_entry(self.left.query_one(JournalView).entry)
        self.refresh_chrome()

    def on_entry_requested(self, event: EntryRequested) -> None:
        """Show what was sent and what came back."""
        self.open_panel()
        self.panel.show_entry(event.entry)
        self.panel.choose("response")

    # Unknown ones

    def on_look_requested(self, event: LookRequested) -> None:
        """Read the run of an unknown change again."""
        look = partial(self._look, event.entry.number)
        self._aside(look, "look at an entry", entry_words.looking(event.entry))

    async def _look(self, number: int) -> None:
        entry = await self._workspace.reconciler.check(number)
        if entry is not None and not entry.is_settled:
            self.say(entry_words.still_open(entry), "warning", lambda: self._is_at(entry.number))

    def on_decided(self, event: Decided) -> None:
        """Record a person's word when the question is already in sight, or ask it."""
        question = entry_words.decision(event.entry, event.outcome, ACTION_BY_ID[event.action_id].shown_key)
        if self.query_one(StatusLine).text != question:
            self.say(question, "warning", lambda: self._is_at(event.entry.number))
            return
        settle = partial(self._workspace.reconciler.decide, event.entry.number, event.outcome)
        self._aside(settle, awaited("settle an entry"))

    def _is_at(self, number: int) -> bool:
        """Whether the cursor stands on this entry, and nobody knows what became of it."""
        entry = self.left.query_one(JournalView).entry
        is_there = self.left.view == "journal" and entry is not None and entry.number == number
        return is_there and entry is not None and not entry.is_settled

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
        self._undo(entry, "undo", lambda: self.left.view == "runs" and table.cursor_id == run_id)

    def on_undo_requested(self, event: UndoRequested) -> None:
        """Take back an entry of the journal."""
        entry, journal = event.entry, self.left.query_one(JournalView)

        def is_looking() -> bool:
            now = journal.entry
            return self.left.view == "journal" and now is not None and now.number == entry.number

        self._undo(entry, "undo_entry", is_looking)

    def _undo(self, entry: Entry, action_id: str, is_looking: Callable[[], bool]) -> None:
        """Take an entry back. Where the change may be somebody else's, `action_id` has to be repeated with that in
        sight."""
        if doubt := doubt_of(entry):
            question = entry_words.doubtful(doubt, ACTION_BY_ID[action_id].shown_key)
            if self.query_one(StatusLine).text != question:
                self.say(question, "warning", is_looking)
                return
        self._aside(partial(self._review_undo, entry, is_looking), "undo")

    async def _review_undo(self, entry: Entry, is_looking: Callable[[], bool]) -> None:
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

    def _aside(self, work: Callable[[], Awaitable[None]], what: str, saying: str = "") -> None:
        """Do what takes a while beside the screen, the newest of each kind; its failure is told.

        Args:
            work: What is done.
            what: The kind, for the worker.
            saying: Stands in the status line meanwhile.
        """
        is_under_way = True
        if saying:
            self.say(saying, holds=lambda: is_under_way)

        async def told() -> None:
            nonlocal is_under_way
            try:
                await work()
            except RuntuiError as error:
                self.say(str(error), "error")
            finally:
                is_under_way = False
                self.refresh_chrome()

        _: Worker[None] = self.run_worker(told, group=what, description=what, exclusive=what == "undo")
