"""The one screen: what services announce and what views ask for meets here, and is handed on.

Invariant: it keeps no state of runs, drafts or saves of its own.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

from textual import on

from runtui.domain.properties import EDITABLE
from runtui.errors import RuntuiError
from runtui.graph.root import same_server
from runtui.profiles import Profiles
from runtui.services.refresh import Progress
from runtui.services.sandbox_control import SandboxControl
from runtui.services.workspace import Workspace
from runtui.tui import entry_words, sign_in_words
from runtui.tui.actions import Situation
from runtui.tui.bridge import Exchanged, ListingChanged, StoreChanged, listen
from runtui.tui.messages import (
    DetailsRequested,
    ListChanged,
    ScenarioChosen,
)
from runtui.tui.screens.journal import JournalView
from runtui.tui.screens.profiles import ProfilesView
from runtui.tui.screens.scenarios import ScenariosView
from runtui.tui.signing_in import SigningIn
from runtui.tui.widgets.header_line import HeaderLine, headline
from runtui.tui.widgets.line_table import LineTable

PREPARE: Final = "prepare"
"""The group of the worker that mounts what is not in sight yet."""


class Workbench(SigningIn):
    """Shows one workspace."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        columns: int,
        sandbox: SandboxControl | None = None,
        profiles: Profiles | None = None,
    ) -> None:
        """Show a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
            sandbox: The demo's sandbox; None on a real server.
            profiles: Where the person can go on to; None for nowhere.
        """
        super().__init__(workspace, columns=columns)
        self._sandbox = sandbox
        self._profiles = profiles
        self.demo_authority = sandbox.authority if sandbox is not None else ""
        self._complaint = ""
        """What was said of the last listing, as long as that is incomplete."""
        self._is_prepared = False
        """Whether what is not in sight at first is mounted, and what stays to the end is frozen."""

    def situation(self) -> Situation:
        """What can be done now."""
        workspace, draft, row = self._workspace, self.left.edited, self.left.runs.row
        run_id = draft.run_id if draft is not None else row.id if row is not None else None
        entry = self.left.query_one(JournalView).entry if self.left.view == "journal" else None
        return Situation(
            connected=workspace.connected,
            why_read_only=entry_words.why_read_only(workspace),
            has_run=run_id is not None,
            saving=workspace.connected and run_id is not None and workspace.saves.of_run(run_id) is not None,
            changes=len(draft.changes()) if draft is not None else 0,
            errors=len(draft.errors()) if draft is not None else 0,
            marks=len(self.left.runs.marks),
            waiting=bool(self.waiting()),
            entry=entry,
            is_elsewhere=entry is not None and not same_server(entry.root, workspace.root),
            profiles=len(self._profiles or ()),
            why_no_sign_in=sign_in_words.why_nobody(workspace.sign_in),
            is_signing_in=self.is_signing_in,
            is_signed_in=workspace.sign_in is not None and workspace.sign_in.state.account is not None,
            is_demo=self._sandbox is not None,
        )

    # Start

    def on_mount(self) -> None:
        """Show what the store has, and listen to what comes."""
        listen(self._workspace, self)
        self.left.runs.say_when_empty("Reading the runs…")
        self.left.runs.reload()
        self.left.take_focus()
        self.tell_what_was_left()
        self.on_listing_changed(ListingChanged(self._workspace.refresh.progress))
        # Once the list has the keys: whoever types is not to be disturbed, and an unseen input may have them now.
        self.call_after_refresh(self.follow_sign_in)

    # What services announce

    def on_store_changed(self, _event: StoreChanged) -> None:
        """Rows are others now."""
        self.left.runs.drawing.ask()

    def on_listing_changed(self, event: ListingChanged) -> None:
        """The listing went on, or ended."""
        progress = event.progress
        self.show_headline()
        if not progress.listing and (progress.finished_at or progress.complaint):
            self._listing_ended(progress)
        self.refresh_chrome()

    def _listing_ended(self, progress: Progress) -> None:
        """Say why the list is incomplete, for as long as it is so for that reason."""
        why = progress.complaint
        complaint = f"The list is incomplete. {self.in_words(why)}" if why is not None else ""
        self.left.runs.say_when_empty("There are no runs." if why is None else self.in_words(why))
        # A workflow that stays missing is said once: the first line goes on to say that the list is incomplete.
        is_news = bool(complaint) and complaint != self._complaint
        self._complaint = complaint
        if progress.fault is not None or is_news:
            self.say(complaint, "error", lambda: self._complaint == complaint)
        if progress.fault is None:
            self.left.runs.reload()
            self.tell_of_unlisted_drafts()
            if not self._is_prepared:
                self.run_worker(self._prepare_the_rest(), group=PREPARE, exclusive=True, description="prepare the rest")

    async def _prepare_the_rest(self) -> None:
        """Now that the first rows are there: the other views, and what the first edit needs.

        What has been loaded by then stays to the end, so the garbage collector need not walk over it again; each of
        its full passes would keep a key waiting. Once per screen: what is frozen is never collected, garbage included.
        """
        await asyncio.to_thread(prepare_editing)
        await self.left.prepare()
        # The first rows stand where they belong: from here on the cursor belongs to its run.
        self.left.runs.table.row_under_cursor(hold=True)
        gc.collect()
        gc.freeze()
        gc.collect()  # of what is not frozen: from its number CPython derives how much garbage it lets lie
        self._is_prepared = True

    def action_refresh(self) -> None:
        """Read all runs again now; during a listing: once more after it."""
        self._workspace.refresh.now()

    def action_pause(self) -> None:
        """Stop reading by the clock, or go on."""
        self._workspace.refresh.toggle_pause()

    def on_exchanged(self, _event: Exchanged) -> None:
        """The log grew."""
        self.panel.exchange_ended()

    # What views ask for

    def on_details_requested(self, event: DetailsRequested) -> None:
        """Show the run in the panel."""
        self.open_panel()
        self.panel.show_run(event.run_id)

    # The sandbox

    async def action_scenario(self) -> None:
        """The scenarios take the left pane."""
        if self._sandbox is not None:
            await self.left.prepare()
            self.left.query_one(ScenariosView).open(self._sandbox)
            self.left.show("scenarios")

    async def on_scenario_chosen(self, event: ScenarioChosen) -> None:
        """Let the sandbox misbehave, and go back to whatever was there."""
        if self._sandbox is None:
            return
        try:
            await self._sandbox.use_scenario(event.name)
        except RuntuiError as error:
            self.say(str(error), "error")
            return
        self.left.leave("scenarios")
        self.show_headline()
        sandbox = self._sandbox
        words = f"Simulating: {sandbox.scenarios[event.name]}"
        self.say(words, holds=lambda: sandbox.scenario == event.name)

    # The profiles

    async def action_profiles(self) -> None:
        """The profiles take the left pane."""
        if self._profiles is not None:
            await self.left.prepare()
            self.left.query_one(ProfilesView).open(self._profiles, self._workspace.settings.profile)
            self.left.show("profiles")

    # What follows whatever happened

    def on_list_changed(self, _event: ListChanged) -> None:
        """Other rows, another filter, order or mark."""
        self.refresh_chrome()
        if self._workspace.connected:
            self.show_headline()

    @on(LineTable.CursorMoved, "#runs-table")
    def _run_cursor_moved(self) -> None:
        """Another run: what can be done may have changed."""
        self.refresh_chrome()

    def show_headline(self) -> None:
        """Draw the first line as things stand."""
        workspace = self._workspace
        self.query_one(HeaderLine).headline = headline(
            workspace.settings,
            workspace.store.totals(),
            workspace.refresh.progress,
            self._sandbox,
            read_only=workspace.read_only,
            unknown=len(workspace.reconciler.unsettled),
            who=self.who(),
        )


def prepare_editing() -> None:
    """Load what the first edit needs, in a thread while nothing else is to be done, so that no key waits for it."""
    for field in EDITABLE:
        field.problem(0)
