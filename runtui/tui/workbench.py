"""The one screen: what services announce and what views ask for meets here, and is handed on.

Invariant: it keeps no state of runs, drafts or saves of its own.
"""

from __future__ import annotations

import asyncio
import gc

from runtui.domain.fields import FIELDS
from runtui.errors import UsageError
from runtui.graph.exchange import Outcome
from runtui.services.refresh import Progress
from runtui.services.saves import Save
from runtui.services.workspace import Workspace
from runtui.tui import pages
from runtui.tui.actions import Situation
from runtui.tui.bridge import Exchanged, ListingChanged, SaveChanged, StoreChanged, listen
from runtui.tui.frame import Frame
from runtui.tui.messages import DetailsRequested, DraftChanged, ListChanged, SendConfirmed
from runtui.tui.widgets.header_line import HeaderLine, headline
from runtui.tui.widgets.run_table import RunTable
from runtui.tui.widgets.status_line import StatusLine


class Workbench(Frame):
    """Shows one workspace."""

    def __init__(self, workspace: Workspace, *, columns: int) -> None:
        """Show a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
        """
        super().__init__(workspace, columns=columns)
        self._complaint = ""
        """What was said of the last listing, as long as that is not whole."""

    def situation(self) -> Situation:
        """What can be done now."""
        workspace, draft, row = self._workspace, self.left.edited, self.left.runs.row
        run_id = draft.run_id if draft is not None else row.id if row is not None else None
        return Situation(
            connected=workspace.connected,
            read_only=workspace.read_only,
            has_run=run_id is not None,
            saving=workspace.connected and run_id is not None and workspace.saves.of_run(run_id) is not None,
            changes=len(draft.changes()) if draft is not None else 0,
            errors=len(draft.errors()) if draft is not None else 0,
            marks=len(self.left.runs.marks),
        )

    # Start

    def on_mount(self) -> None:
        """Show what the store has, and listen to what comes."""
        listen(self._workspace, self)
        self.left.runs.say_when_empty("Reading the runs…")
        self.left.runs.reload()
        self.left.take_focus()
        self.on_listing_changed(ListingChanged(self._workspace.refresh.progress))

    # What services announce

    def on_store_changed(self, _event: StoreChanged) -> None:
        """Rows are others now."""
        self.left.runs.drawing.ask()

    def on_listing_changed(self, event: ListingChanged) -> None:
        """The listing went on, or ended."""
        progress = event.progress
        self._show_headline(progress)
        if not progress.listing and (progress.finished_at or progress.fault):
            self._listing_ended(progress)
        self.refresh_chrome()

    def _listing_ended(self, progress: Progress) -> None:
        """Say why the list is not whole; when it is, take back what was said of the one before."""
        complaint = f"The list is not whole. {progress.fault}" if progress.fault is not None else ""
        if complaint:
            self.left.runs.say_when_empty(str(progress.fault))
            self.say(complaint, "error")
        else:
            self.left.runs.say_when_empty("There are no runs.")
            self.left.runs.reload()
            if self._complaint and self.query_one(StatusLine).text == self._complaint:
                self.say("")
            self.run_worker(self._prepare_the_rest(), group="prepare", exclusive=True, description="prepare the rest")
        self._complaint = complaint

    async def _prepare_the_rest(self) -> None:
        """Now that the first rows are there: the other views, and what the first edit needs.

        What has been loaded by then stays to the end, so the garbage collector need not walk over it again; each of
        its full passes would keep a key waiting.
        """
        await asyncio.to_thread(prepare_editing)
        await self.left.prepare()
        gc.freeze()

    def on_save_changed(self, event: SaveChanged) -> None:
        """A save went on: its row says so, and the panel; when it ended, so does the status line."""
        save = event.save
        self.left.runs.table.flags_changed(save.run_id)
        self.panel.show_save(save)
        if save.outcome is not None:
            good = save.outcome is Outcome.DONE and not save.ignored
            self.say(self._save_words(save), "success" if good else "warning" if save.ignored else "error")
        self.refresh_chrome()

    def _save_words(self, save: Save) -> str:
        words = pages.save_words(save)
        if save.outcome is Outcome.DONE and not self.left.runs.table.finds(save.run_id):
            words += " The filter no longer shows the run."
        return words

    def action_refresh(self) -> None:
        """Read all runs again now; during a listing: once more after it."""
        self._workspace.refresh.now()

    def action_pause(self) -> None:
        """Stop reading by the clock, or go on."""
        self._workspace.refresh.toggle_pause()

    def on_exchanged(self, _event: Exchanged) -> None:
        """The history grew."""
        self.panel.exchange_ended()

    # What views ask for

    def on_draft_changed(self, event: DraftChanged) -> None:
        """Keep the draft and show the request it would make."""
        draft = event.draft
        self._workspace.drafts.keep(draft)
        self.panel.show_draft(draft)
        self.refresh_chrome()

    def on_send_confirmed(self, event: SendConfirmed) -> None:
        """Hand the draft to the write path and go back to the list."""
        try:
            self._workspace.saves.submit(event.draft)
        except UsageError as error:
            self.say(str(error), "error")
        else:
            self.open_panel()
            self.panel.choose("response")
        self.left.show("runs")

    def on_details_requested(self, event: DetailsRequested) -> None:
        """Show the run in the panel."""
        self.open_panel()
        self.panel.show_run(event.run_id)

    # What follows whatever happened

    def on_list_changed(self, _event: ListChanged) -> None:
        """Other rows, another filter, order or mark."""
        self.refresh_chrome()
        if self._workspace.connected:
            self._show_headline(self._workspace.refresh.progress)

    def on_run_table_cursor_moved(self, _event: RunTable.CursorMoved) -> None:
        """Another run: what can be done may have changed."""
        self.refresh_chrome()

    def _show_headline(self, progress: Progress) -> None:
        totals = self._workspace.store.totals()
        self.query_one(HeaderLine).headline = headline(self._workspace.settings, totals, progress)


def prepare_editing() -> None:
    """Load what the first edit needs, in a thread while nothing else is to be done, so that no key waits for it."""
    for field in FIELDS:
        field.problem(0)
