"""The one screen: a view at the left, the side panel at the right, a line above and two below.

Invariant: nothing is laid over anything, and the screen keeps no state of its own but where the keys go. What services
announce and what views ask for meets here, and is handed on.
"""

from __future__ import annotations

import asyncio
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from runtui.domain.fields import FIELDS
from runtui.errors import UsageError
from runtui.graph.exchange import Outcome
from runtui.services.refresh import Progress
from runtui.services.saves import Save
from runtui.services.workspace import Workspace
from runtui.tui import pages
from runtui.tui.actions import ACTION_BY_ID, Scope, Situation, bindings, in_scopes
from runtui.tui.bridge import Exchanged, ListingChanged, SaveChanged, StoreChanged, listen
from runtui.tui.messages import DetailsRequested, DraftChanged, Left, ListChanged, Said, SendConfirmed
from runtui.tui.views.left_pane import LeftPane
from runtui.tui.views.run_panel import RunPanel
from runtui.tui.widgets.header_line import HeaderLine, headline
from runtui.tui.widgets.hint_bar import HintBar
from runtui.tui.widgets.run_table import RunTable
from runtui.tui.widgets.status_line import Severity, StatusLine

WIDE: Final = 100
"""Columns from which the side panel stands beside the list; below, it lies under it."""


class Workbench(Screen[None]):
    """Shows one workspace."""

    BINDINGS = bindings("app", "panel")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]

    def __init__(self, workspace: Workspace, *, columns: int) -> None:
        """Show a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
        """
        super().__init__(classes="-wide" if columns >= WIDE else "-narrow")
        self._workspace = workspace
        self._complaint = ""
        """What was said of the last listing, as long as that is not whole."""

    def compose(self) -> ComposeResult:
        """Lay everything out once; views only change places."""
        yield HeaderLine(id="header")
        with Container(id="body"):
            yield LeftPane(self._workspace, self.situation, id="left")
            yield RunPanel(self._workspace, id="panel")
        yield StatusLine(id="status")
        yield HintBar(id="hints")

    @property
    def left(self) -> LeftPane:
        """The pane of list, form, review and help."""
        return self.query_one(LeftPane)

    @property
    def panel(self) -> RunPanel:
        """The side panel."""
        return self.query_one(RunPanel)

    def situation(self) -> Situation:
        """What can be done now."""
        workspace, draft, row = self._workspace, self.left.edited, self.left.runs.row
        run_id = draft.run_id if draft is not None else row.id if row is not None else None
        return Situation(
            connected=workspace.connected,
            read_only=workspace.settings.read_only,
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
        """Rows are others now. (A message that a child posts while this runs would not come back to here.)"""
        self.left.runs.store_changed()
        self._follow_list()

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
        """Now that the first rows are there: the other views, and what the first edit needs."""
        await asyncio.to_thread(prepare_editing)
        await self.left.prepare()

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
        if save.outcome is Outcome.DONE and self.left.runs.is_hidden(save.run_id):
            words += " The filter no longer shows the run."
        return words

    def on_exchanged(self, _event: Exchanged) -> None:
        """The history grew."""
        self.panel.exchange_ended()

    # What views ask for

    def on_said(self, event: Said) -> None:
        """Say it."""
        self.say(event.text, event.severity)

    def say(self, text: str, severity: Severity = "information") -> None:
        """Put a sentence into the status line."""
        self.query_one(StatusLine).say(text, severity)

    def on_draft_changed(self, event: DraftChanged) -> None:
        """Keep the draft and show the request it would make."""
        draft = event.draft
        self._workspace.drafts.pop(draft.run_id, None)
        if draft.edits:
            self._workspace.drafts[draft.run_id] = draft
        self.panel.show_draft(draft)
        self.refresh_chrome()

    def on_send_confirmed(self, event: SendConfirmed) -> None:
        """Hand the draft to the write path and go back to the list."""
        try:
            self._workspace.saves.submit(event.draft)
        except UsageError as error:
            self.say(str(error), "error")
        else:
            self.add_class("-panel-open")
            self.panel.choose("response")
        self.left.show("runs")
        self._follow_view()

    def on_details_requested(self, event: DetailsRequested) -> None:
        """Show the run in the panel."""
        self.add_class("-panel-open")
        self.panel.show_run(event.run_id)

    def on_left(self, _event: Left) -> None:
        """Esc in the list: the panel goes, where it can, and the last word with it."""
        self.remove_class("-panel-open", "-zoomed")
        self.say("")

    # Chrome: titles, hints and headline follow whatever happened

    def on_left_pane_view_changed(self, _event: LeftPane.ViewChanged) -> None:
        """Another view at the left."""
        self._follow_view()

    def _follow_view(self) -> None:
        self.set_class(self.left.edited is not None, "-editing")
        if self.left.view == "edit":
            self.panel.choose("request")
        self.refresh_chrome()

    def on_list_changed(self, _event: ListChanged) -> None:
        """Other rows, another filter, order or mark."""
        self._follow_list()

    def _follow_list(self) -> None:
        self.refresh_chrome()
        if self._workspace.connected:
            self._show_headline(self._workspace.refresh.progress)

    def on_run_table_cursor_moved(self, _event: RunTable.CursorMoved) -> None:
        """Another run: what can be done may have changed."""
        self.refresh_chrome()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Keys go elsewhere."""
        self.set_class(self.panel in event.widget.ancestors_with_self, "-panel-focused")
        self.refresh_chrome()

    def refresh_chrome(self) -> None:
        """Draw what depends on the situation; what is the same is not drawn."""
        in_panel = self.has_class("-panel-focused")
        self.panel.mark_active(in_panel)
        self.left.runs.describe(active=not in_panel)
        hints = self.query_one(HintBar)
        hints.actions = in_scopes("panel", "app") if in_panel else in_scopes(self.left.view, "app")
        hints.situation = self.situation()

    def _show_headline(self, progress: Progress) -> None:
        totals = self._workspace.store.totals()
        self.query_one(HeaderLine).headline = headline(self._workspace.settings, totals, progress)

    # Actions of the whole screen

    async def perform(self, action_id: str) -> None:
        """Run any action by its id, as the palette does."""
        action = ACTION_BY_ID[action_id]
        if action.scope in ("app", "panel"):
            await self.run_action(action.call or action.id)
        elif action.scope == self.left.view:
            await self.left.acting_view().action_perform(action_id)

    def current_scopes(self) -> tuple[Scope, ...]:
        """Where the actions that make sense now belong to."""
        return (self.left.view, "panel", "app")

    def action_step_tab(self, by: int) -> None:
        """To the next tab of the panel, or the one before."""
        self.add_class("-panel-open")
        self.panel.step(by)

    def action_leave_panel(self) -> None:
        """Back from the panel, which stays as it is."""
        self.remove_class("-zoomed")
        self.left.take_focus()

    def action_zoom(self) -> None:
        """The focused pane alone, or both."""
        self.toggle_class("-zoomed")

    def action_focus_left(self) -> None:
        """To the list, the form, the review or the help."""
        if self.has_class("-panel-focused"):
            self.remove_class("-zoomed")
        self.left.take_focus()

    def action_focus_panel(self) -> None:
        """To the panel."""
        if not self.has_class("-panel-focused"):
            self.remove_class("-zoomed")
        self.add_class("-panel-open")
        self.panel.take_focus()

    async def action_help(self) -> None:
        """The help takes the left pane."""
        await self.left.prepare()
        self.left.show("help")


def prepare_editing() -> None:
    """Load what the first edit needs, in a thread while nothing else is to be done, so that no key waits for it."""
    for field in FIELDS:
        field.problem(0)
