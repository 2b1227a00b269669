"""The journal: every change that was sent, its outcome, and the keys for it: undo, settle, export.

Invariant: the journal is read and written in threads, one page at a time. A change that cannot be undone or settled
says why. A late result opens a screen only for a person who still waits for it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from sys import maxsize
from typing import Any

from textual import work
from textual.content import Content

from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph.root import run_key, same_server
from runtui.keys.actions import key_of
from runtui.services.records.journal import Entry
from runtui.services.records.journal_query import PAGE, EntryQuery, ExportFormat
from runtui.services.writing.undo import UndoError, doubt_of, draft_to_undo, undo_of, why_not
from runtui.services.writing.write import Save
from runtui.tui.actions import ActionContext
from runtui.tui.features.changes.bulk_sending import BulkSending
from runtui.tui.features.changes.editing import Editing
from runtui.tui.features.changes.lists import JOURNAL, NEWEST_FIRST, EntryRow, entry_rows
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import blocks_keys
from runtui.tui.screens.frame import Chrome, ViewScreen
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.questions import Choice, Picker
from runtui.tui.screens.view import ActionView
from runtui.tui.widgets.chrome import Severity
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.row_list import RowList
from runtui.tui.widgets.side_panel import none_selected
from runtui.tui.words import pages, write_words


class JournalView(ActionView[None]):
    """The list of entries."""

    scope = "journal"
    list: RowList[EntryRow, int]

    def __init__(self, chrome: Chrome) -> None:
        super().__init__()
        self._chrome = chrome
        self._root = chrome.workspace.root
        self.list = RowList(JOURNAL, name="journal", asked=self._ask)
        self.list.order = NEWEST_FIRST
        self.shown = EntryQuery(chrome.workspace.journal, self._root)
        self.older: int | None = None
        """The place from which older entries are not read yet; None when all are read."""
        self.entries: list[Entry] = []
        """The entries that were read, newest first."""

    @property
    def entry(self) -> Entry | None:
        row = self.list.row
        return row.entry if row is not None else None

    def show_in(self, panel: Panel) -> None:
        entry = self.entry
        if entry is None:
            panel.show_page(none_selected("entry"))
        elif entry.damage or entry.is_about_workflow or not same_server(entry.root, self._root):
            panel.show_page(pages.foreign_page(entry))
        else:
            panel.follow(entry.run_id, entry)

    def reload(self, *, is_opened: bool = False) -> None:
        """Show the current journal; filter and roots stay as they were.

        When it is opened, the cursor goes to what was sent since it was last visible.
        """
        self._show_page(self.shown, None, max(PAGE, len(self.entries)), goes_to_news=is_opened)

    def on_line_table_end_reached(self, event: LineTable.EndReached) -> None:
        event.stop()
        if self.older is not None:
            self._show_page(self.shown, self.older, PAGE)

    @work(group=blocks_keys("journal"), exclusive=True, description="read the journal")
    async def _show_page(
        self, query: EntryQuery, before: int | None, wanted: int, *, goes_to_news: bool = False
    ) -> None:
        order, newest = self.list.order, self.entries[0].number if self.entries else 0
        if order != NEWEST_FIRST:
            wanted = maxsize  # only all entries tell which come first
        try:
            found, self.older = await asyncio.to_thread(query.page, before, wanted)
        except RuntuiError as error:
            self.list.show_text(str(error))
            return
        self.entries = [*(self.entries if before is not None else ()), *found]
        refused = {save.refused for save in self._chrome.workspace.active_saves}
        rows = await asyncio.to_thread(entry_rows, self.entries, self._root, order, refused)
        self.list.measure(rows.rows)
        self.list.show(rows, keep_line=True, order=order)
        if goes_to_news and order == NEWEST_FIRST and self.entries and self.entries[0].number > newest:
            self.list.table.move_to(0)
        # The journal is read in whole pages: from its first row on, the cursor belongs to its entry.
        self.list.table.row_under_cursor(pin=True)
        nothing = self.list.not_found() if query.text else write_words.journal_is_empty()
        self.list.show_text("" if self.entries else nothing)

    def title(self) -> Content:
        counted = f"{len(self.entries)}{'+' if self.older is not None else ''}"
        title = self.list.title(counted)
        return Content.assemble(title, "  all roots" if self.shown.root is None else "")

    def on_line_table_cursor_moved(self) -> None:
        if self.screen in self.app.screen_stack:
            self._chrome.panel.show_entry(self.entry)

    def _ask(self) -> None:
        """Show the newest entries that match the filter, in another order or of other roots."""
        self.shown = replace(self.shown, text=self.list.filter_text)
        self._show_page(self.shown, None, PAGE)

    def action_all_servers(self) -> None:
        self.shown = replace(self.shown, root=self._root if self.shown.root is None else None)
        self._ask()


class Journaling(Feature):
    """The journal's screen, and what can be done about what was sent."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._editing = features[Editing]
        self._bulk_sending = features[BulkSending]
        self.view = JournalView(self._chrome)
        self.screen = self._chrome.install(self.view)
        self._sent: set[int] = set()
        """The entries of this session, whose outcomes are not news of an earlier one."""
        self._changed = defaultdict[str, set[int]](set)
        """The entries of done changes of this session that are not undone, by the key of their run."""

    def start(self) -> None:
        reconciler = self._workspace.reconciler
        self.listen(self._workspace.journal.changed, self._journal_changed, only_newest=True)
        self.listen(reconciler.failed, self._tell_trouble)
        # The time of the announcement decides whether it belongs to the first check.
        self.listen(reconciler.changed, self._entry_found, wanted=lambda _: not reconciler.has_checked_all)
        self.listen(reconciler.changed, self._entry_settled, wanted=lambda _: reconciler.has_checked_all)
        self._workspace.saves.changed.subscribe(self._save_changed)

        def is_about_a_refusal(save: Save) -> bool:
            return save.refused is not None or (save.entry is not None and save.outcome is Outcome.NOT_DONE)

        self.listen(self._workspace.saves.changed, self._journal_changed, only_newest=True, wanted=is_about_a_refusal)
        self.tell_what_was_left()

    def extend(self, context: ActionContext) -> ActionContext:
        run_id = self._chrome.front.view.run_id
        entry = self.view.entry if self._chrome.front.view is self.view else None
        is_elsewhere = entry is not None and not same_server(entry.root, self._workspace.root)
        has_own_change = run_id is not None and bool(self._changed.get(run_key(run_id)))
        return context._replace(entry=entry, is_elsewhere=is_elsewhere, has_own_change=has_own_change)

    # The journal

    async def action_journal(self) -> None:
        if self._chrome.front is self.screen:
            self.screen.dismiss()
            return
        await self._chrome.open(self.screen, fill=partial(self.view.reload, is_opened=True))
        if not self._chrome.context().waiting:
            self._chrome.set_status("")  # the journal shows it, entry by entry

    def action_entry(self) -> None:
        if self.view.entry is not None:
            self._chrome.show_panel()
            self._chrome.panel.show_entry(self.view.entry)
            self._chrome.panel.choose("response")
            self._chrome.refresh()

    def _journal_changed(self, _numbers: object) -> None:
        if self.screen.is_open:
            self.view.reload()

    def _save_changed(self, save: Save) -> None:
        if save.entry is not None:
            self._sent.add(save.entry)
        if save.outcome is Outcome.DONE and save.action is None and save.entry is not None:
            changes = self._changed[run_key(save.run_id)]
            if save.undoes is None:
                changes.add(save.entry)
            else:
                changes.discard(save.undoes)

    # What is unknown

    def action_check(self) -> None:
        """Read the run of an unknown change again."""
        if (entry := self.view.entry) is not None:
            self.in_worker(self._check(entry.number), "look at an entry", f"Checking #{entry.number}…")

    async def _check(self, number: int) -> None:
        entry = await self._workspace.reconciler.check(number)
        if entry is not None and not entry.is_settled:
            self._chrome.set_status(write_words.still_unsettled(entry), "warning", lambda: self._is_at(entry.number))

    async def action_decide(self) -> None:
        if (entry := self.view.entry) is None:
            return

        def decided(outcome: Outcome) -> None:
            self.in_worker(self._workspace.reconciler.decide(entry.number, outcome), blocks_keys("settle an entry"))

        choices: list[Choice[Any]] = [Choice(None, "Unknown: leave it as it is")]
        choices += [Choice(outcome, line) for outcome, line in write_words.DECISIONS.items()]
        about = write_words.decision_question(entry)
        await self._chrome.ask(Picker(f"What became of #{entry.number}?", choices, about=about), decided)

    def _is_at(self, number: int) -> bool:
        """Return whether the cursor is on this entry, and its outcome is unknown."""
        entry, is_in_front = self.view.entry, self._chrome.front.view is self.view
        return is_in_front and entry is not None and entry.number == number and not entry.is_settled

    def _entry_found(self, entry: Entry) -> None:
        """Show what the first check found out about a change."""
        if entry.number in self._sent:
            self._entry_settled(entry)
            return
        self._runs.table.flags_changed(entry.run_id)
        self.tell_what_was_left()
        self._chrome.show_headline()

    def _entry_settled(self, entry: Entry) -> None:
        """Show that a change is known to be unknown, or that its outcome was settled."""
        self._runs.table.flags_changed(entry.run_id)
        if entry.is_settled and not entry.batch:
            severity: Severity = "success" if entry.outcome is Outcome.DONE else "warning"
            self._chrome.set_status(f"{entry.report.heading}. {', '.join(entry.change_words())}.", severity)
        self._chrome.show_headline()

    def tell_what_was_left(self) -> None:
        """Report the changes with unknown outcomes and the drafts of earlier sessions, or why there are none."""
        drafts, reconciler = self._workspace.drafts, self._workspace.reconciler
        if (trouble := reconciler.fault or reconciler.broken) is not None:
            self._tell_trouble(trouble)
            return
        found = {entry.number: entry for entry in (*reconciler.unsettled.values(), *reconciler.settled.values())}
        earlier = [entry for number, entry in found.items() if number not in self._sent]
        if drafts.fault is not None or not earlier:
            self._editing.tell_of_drafts()
        else:
            words = (write_words.changes_found(earlier), write_words.drafts_found(len(drafts)))
            self._chrome.set_status(" ".join(filter(None, words)), "warning" if reconciler.unsettled else "information")

    def _tell_trouble(self, trouble: RuntuiError) -> None:
        """Report that nothing can be sent, or that earlier changes are not shown."""
        reconciler, words = self._workspace.reconciler, str(trouble)
        self._chrome.set_status(words, "error", lambda: words in (str(reconciler.fault), str(reconciler.broken)))

    # u: undo

    def action_undo(self) -> None:
        if (run_id := self._chrome.pin_run()) is not None:
            self._chrome.app.workers.cancel_group(self._chrome.app, "undo")
            self.in_worker(self._undo_last(run_id), blocks_keys("find the last change"))

    async def _undo_last(self, run_id: str) -> None:
        entries = await asyncio.to_thread(self._workspace.journal.of_run, self._workspace.root, run_id)
        entry = write_words.change_to_undo(entries)
        if entry is None:
            self._chrome.front.remark(write_words.nothing_to_undo(entries), "warning")
            return
        view = self._chrome.front.view
        await self._undo(entry, "undo", lambda: self._chrome.is_in_front(view) and view.run_id == run_id)

    async def action_undo_entry(self) -> None:
        """Undo the change under the cursor; for a bulk change, ask whether that one or all of them."""
        if (entry := self.view.entry) is None:
            return
        batch = await self.in_thread(partial(self._workspace.journal.of_batch, entry.batch))
        together = [other.number for other in batch or () if why_not(other) is None]
        if len(together) < 2:
            await self._undo_entry(entry)
            return

        async def chosen(whole: bool) -> None:
            await (self._bulk_sending.review_undo(together) if whole else self._undo_entry(entry))

        choices = [Choice(False, f"#{entry.number} alone"), Choice(True, f"All {len(together)} changes sent with it")]
        await self._chrome.ask(Picker("Undo one change, or all", choices), chosen)

    async def _undo_entry(self, entry: Entry) -> None:
        def is_looking() -> bool:
            now = self.view.entry
            return self._chrome.is_in_front(self.view) and now is not None and now.number == entry.number

        await self._undo(entry, "undo_entry", is_looking)

    async def _undo(self, entry: Entry, action_id: str, is_looking: Callable[[], bool]) -> None:
        """Ask whether to undo a change; if the list has its run, before the key is done, because the next key may be
        the answer.

        If the change may be somebody else's, `action_id` must be repeated while the doubt is shown.
        """
        if doubt := doubt_of(entry):
            question = f"{doubt} Press {key_of(action_id)} again to undo it anyway."
            if not self._chrome.has_confirmed(question, is_looking):
                return
        stored, mode = self._workspace.store.get(entry.run_id), self._workspace.settings.body_mode
        try:
            draft = undo_of(entry, stored.raw, mode) if stored is not None else None
        except UndoError:  # the list may be old: the run itself shows whether the change still stands
            draft = None
        if draft is None:
            self.in_worker(self._review_undo(entry, is_looking), "undo", exclusive=True)
            return
        await self._editing.review(draft)
        self.in_worker(self._check_undo(entry, self._chrome.front), "undo", exclusive=True)

    async def _check_undo(self, entry: Entry, review: ViewScreen[Any]) -> None:
        """Read the run while the question is open, and close the question if the change no longer stands.

        Once it is answered, the save reads the run itself.
        """
        try:
            await draft_to_undo(entry, self._workspace.client)
        except UndoError:
            if self._chrome.front is not review:
                return
            review.dismiss(None)
            raise

    async def _review_undo(self, entry: Entry, is_looking: Callable[[], bool]) -> None:
        """Read the run, and ask whether to send the change that undoes the entry, if the person still waits."""
        self._chrome.set_status(f"Reading the run to undo #{entry.number}…")
        draft = await draft_to_undo(entry, self._workspace.client, self._workspace.settings.body_mode)
        if is_looking():
            await self._editing.review(draft)
        else:
            self._chrome.set_status(f"#{entry.number} can be undone; {key_of('undo')} asks again.")

    # Export

    async def action_export(self) -> None:
        query = self.view.shown
        found = f"Changes that match: {query.text}" if query.text else "Every entry"
        about = f"{found}, of {'all roots' if query.root is None else query.root}."
        choices = [Choice(form, words) for form, words in write_words.FORMATS.items()]
        await self._chrome.ask(
            Picker("Export the journal", choices, about=about),
            lambda form: self.in_worker(self._export(query, form), blocks_keys("export")),
        )

    async def _export(self, query: EntryQuery, form: ExportFormat) -> None:
        path, count = await asyncio.to_thread(query.write, form)
        self._chrome.set_status(write_words.export_written(path, count), "success")
