"""The one screen: list, form, review or help at the left, the side panel at the right, a line above and one below.

Invariant: views take each other's place, nothing is laid over anything; which view is shown is the only state here.
The rest is asked of the services each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from runtui.domain.draft import Draft
from runtui.domain.fields import FIELDS
from runtui.errors import RuntuiError
from runtui.graph.exchange import Outcome
from runtui.graph.faults import fault_of
from runtui.services.refresh import Progress
from runtui.services.saves import Save
from runtui.services.workspace import Workspace
from runtui.tui import pages
from runtui.tui.actions import ACTION_BY_ID, Scope, Situation, bindings, in_scopes
from runtui.tui.bridge import Exchanged, ListingChanged, SaveChanged, StoreChanged, listen
from runtui.tui.messages import (
    DetailsRequested,
    DraftChanged,
    EditRequested,
    Left,
    ListChanged,
    ReviewRequested,
    Said,
    SendConfirmed,
)
from runtui.tui.views.acting import Acting
from runtui.tui.views.edit import EditView
from runtui.tui.views.help import HelpView
from runtui.tui.views.review import ReviewView
from runtui.tui.views.runs import RunsView
from runtui.tui.widgets.header_line import HeaderLine, Headline
from runtui.tui.widgets.hint_bar import HintBar
from runtui.tui.widgets.run_table import RowFlag, RunTable
from runtui.tui.widgets.side_panel import SidePanel
from runtui.tui.widgets.status_line import Severity, StatusLine

View = Literal["runs", "edit", "review", "help"]

WIDE: Final = 100
"""Columns from which the side panel stands beside the list; below, it lies under it."""

MINUTE_SECONDS: Final = 60

RELOAD_SECONDS: Final = 0.25
"""The least time between two drawings of a list that keeps changing."""


class Workbench(Screen[None]):
    """Shows one workspace."""

    BINDINGS = bindings("app", "panel")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]

    def __init__(self, workspace: Workspace, start: Callable[[], Awaitable[str]]) -> None:
        super().__init__()
        self._workspace = workspace
        self._start = start
        self._view: View = "runs"
        self._before_help: View = "runs"
        self._reload_timer: Timer | None = None
        self._reload_is_due = False

    def compose(self) -> ComposeResult:
        """Lay everything out once; views only change places."""
        yield HeaderLine(id="header")
        with Container(id="body"):
            with Vertical(id="left"), ContentSwitcher(initial="runs"):
                yield RunsView(self.situation, self._workspace.store, self._flag, id="runs")
                yield EditView(self.situation, id="edit")
                yield ReviewView(self.situation, id="review")
                yield HelpView(self.situation, id="help")
            yield SidePanel(id="panel")
        yield StatusLine(id="status")
        yield HintBar(id="hints")

    # The parts

    @property
    def runs(self) -> RunsView:
        """The list."""
        return self.query_one(RunsView)

    @property
    def panel(self) -> SidePanel:
        """The side panel."""
        return self.query_one(SidePanel)

    def situation(self) -> Situation:
        """What can be done now."""
        workspace = self._workspace
        row = self.runs.row
        draft = self.query_one(EditView).draft if self._view != "runs" else None
        run_id = draft.run_id if draft is not None else row.id if row is not None else None
        return Situation(
            connected=workspace.connected,
            read_only=workspace.settings.read_only,
            has_run=run_id is not None,
            saving=workspace.connected and run_id is not None and workspace.saves.of_run(run_id) is not None,
            changes=len(draft.changes()) if draft is not None else 0,
            errors=len(draft.errors()) if draft is not None else 0,
            marks=len(self.runs.marks),
            exchanges=len(workspace.exchanges),
        )

    # Start

    def on_mount(self) -> None:
        """Show what the store has, then go and ask the server."""
        self.set_interval(MINUTE_SECONDS, self._minute_passed)
        self._show_headline(Progress())
        self.runs.say_when_empty("Connecting…")
        self.runs.reload()
        self.runs.take_focus()
        self._refresh_chrome()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.run_worker(self._connect(), group="connect", description="connect", exit_on_error=True)

    async def _connect(self) -> None:
        workspace = self._workspace
        try:
            workspace.connect(await self._start())
        except RuntuiError as error:
            self.runs.say_when_empty(str(error))
            self.say(str(error), "error")
            return
        listen(workspace, self)
        self.runs.say_when_empty("Reading the runs…")
        workspace.refresh.start()
        self._refresh_chrome()

    # What services announce

    def on_store_changed(self, _event: StoreChanged) -> None:
        """Rows are others now: the first change is drawn at once, a flood of them a few times a second."""
        if self._reload_timer is None:
            self._reload_timer = self.set_timer(RELOAD_SECONDS, self._reload_again)
            self._reload()
        else:
            self._reload_is_due = True

    def _reload_again(self) -> None:
        self._reload_timer = None
        if self._reload_is_due:
            self._reload_is_due = False
            self.on_store_changed(StoreChanged())

    def _reload(self) -> None:
        self.runs.reload()
        self._refresh_chrome()
        self._show_headline(self._workspace.refresh.progress)

    def on_listing_changed(self, event: ListingChanged) -> None:
        """The listing went on, or ended."""
        self._show_headline(event.progress)
        if not event.progress.listing:
            fault = event.progress.fault
            if fault is not None:
                self.say(f"The list is not whole. {pages.fault_sentence(fault)}", "error")
                self.runs.say_when_empty(pages.fault_sentence(fault))
            else:
                self.runs.say_when_empty("There are no runs.")
                self.run_worker(prepare_editing, thread=True, group="prepare", description="prepare editing")
        self._refresh_chrome()

    def on_save_changed(self, event: SaveChanged) -> None:
        """A save went on: its row says so; when it ended the panel shows the answer."""
        save = event.save
        self.runs.table.flags_changed(save.run_id)
        self.panel.show("response", pages.save_page(save))
        if save.outcome is not None:
            self._save_ended(save)
        self._refresh_chrome()

    def _save_ended(self, save: Save) -> None:
        if save.outcome is Outcome.DONE:
            self._workspace.drafts.pop(save.run_id, None)
            self.say(pages.save_words(save), "warning" if save.ignored else "success")
        else:
            self.say(pages.save_words(save), "error")
        self.runs.table.flags_changed(save.run_id)

    def on_exchanged(self, _event: Exchanged) -> None:
        """The history grew."""
        if self.panel.tab == "history":
            self.panel.show_history(self._workspace.exchanges)

    def on_side_panel_exchange_chosen(self, event: SidePanel.ExchangeChosen) -> None:
        """Show one request of the history again."""
        for exchange in self._workspace.exchanges:
            if exchange.number == event.number:
                fault = fault_of(exchange, writing=exchange.method != "GET")
                self.panel.show("response", pages.exchange_page(exchange, fault))
                self.panel.choose("response")

    # What views ask for

    def on_said(self, event: Said) -> None:
        """Say it."""
        self.say(event.text, event.severity)

    def say(self, text: str, severity: Severity = "information") -> None:
        """Put a sentence into the status line."""
        self.query_one(StatusLine).say(text, severity)

    def on_list_changed(self, _event: ListChanged) -> None:
        """Another filter, order or mark."""
        self._refresh_chrome()

    def on_run_table_cursor_moved(self, _event: RunTable.CursorMoved) -> None:
        """Another run: what can be done may have changed."""
        self._refresh_chrome()

    async def on_edit_requested(self, event: EditRequested) -> None:
        """Open the draft of a run, a new one or the one that was left."""
        stored = self._workspace.store.get(event.run_id)
        if stored is None:
            self.say("This run is no longer in the list.", "warning")
            return
        draft = self._workspace.drafts.get(event.run_id)
        if draft is not None:
            self.say("The draft you left is open again; f8 puts a field back.")
        else:
            draft = Draft(event.run_id, stored.workflow_id, stored.raw, self._workspace.settings.body_mode)
            self.say("")
        self._show_view("edit")
        await self.query_one(EditView).open(draft, stored.workflow_name)
        self.panel.choose("request")

    def on_draft_changed(self, event: DraftChanged) -> None:
        """Keep the draft and show the request it would make."""
        draft = event.draft
        if draft.edits:
            self._workspace.drafts[draft.run_id] = draft
        else:
            self._workspace.drafts.pop(draft.run_id, None)
        method, url = self._workspace.client.write_target(draft.workflow_id, draft.run_id)
        self.panel.show("request", pages.request_page(draft, method, url), keep_place=True)
        self._refresh_chrome()

    def on_review_requested(self, event: ReviewRequested) -> None:
        """Show the change and ask."""
        draft = event.draft
        stored = self._workspace.store.get(draft.run_id)
        method, url = self._workspace.client.write_target(draft.workflow_id, draft.run_id)
        target = [
            ("request", f"{method} {url}"),
            ("tenant", self._workspace.settings.tenant),
            ("workflow", stored.workflow_name if stored is not None else draft.workflow_id),
            ("run", draft.run_id),
        ]
        self._show_view("review")
        self.query_one(ReviewView).open(draft, target)

    def on_send_confirmed(self, event: SendConfirmed) -> None:
        """Hand the draft to the write path and go back to the list."""
        self._workspace.saves.submit(event.draft)
        self._show_view("runs")
        self.runs.take_focus()
        self.panel.choose("response")
        self.add_class("-panel-open")

    def on_left(self, _event: Left) -> None:
        """One view back."""
        if self._view == "help":
            self._show_view(self._before_help)
            self._focus_view()
        elif self._view == "review":
            self._show_view("edit")
            self._focus_view()
        elif self._view == "edit":
            draft = self.query_one(EditView).draft
            self._show_view("runs")
            self.runs.take_focus()
            if draft is not None:
                self.runs.table.flags_changed(draft.run_id)
                if draft.edits:
                    self.say("The draft is kept; e on the run opens it again.")
        else:
            self.remove_class("-panel-open", "-zoomed")
            self.say("")

    def on_details_requested(self, event: DetailsRequested) -> None:
        """Show the run, then what its tasks did."""
        self.add_class("-panel-open")
        self.panel.choose("run")
        self.run_worker(
            self._show_run(event.run_id), group="details", exclusive=True, description="details", exit_on_error=True
        )

    async def _show_run(self, run_id: str) -> None:
        from runtui.tui.details import details

        async for page in details(self._workspace, run_id):
            self.panel.show("run", page, keep_place=page.body == "")

    # Chrome

    def _show_view(self, view: View) -> None:
        if view == "help" and self._view != "help":
            self._before_help = self._view
        self._view = view
        self.query_one(ContentSwitcher).current = view
        self.set_class(view in ("edit", "review"), "-editing")
        self._refresh_chrome()

    def _focus_view(self) -> None:
        view = self.query_one(f"#{self._view}")
        if isinstance(view, RunsView):
            view.take_focus()
        elif isinstance(view, ReviewView):
            view.query_one("#review-no").focus()
        elif isinstance(view, HelpView):
            view.open()
        else:
            view.query_one("FieldSelect").focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Titles and hints follow the focus."""
        in_panel = self.panel in (event.widget, *event.widget.ancestors)
        self.set_class(in_panel, "-panel-focused")
        self._refresh_chrome()

    def _refresh_chrome(self) -> None:
        in_panel = self.has_class("-panel-focused")
        self.panel.mark_active(in_panel)
        self.runs.describe(active=not in_panel)
        scopes: tuple[Scope, ...] = ("panel", "app") if in_panel else (self._view, "app")
        hints = self.query_one(HintBar)
        hints.actions = in_scopes(*scopes)
        hints.situation = self.situation()

    def _show_headline(self, progress: Progress) -> None:
        settings, totals = self._workspace.settings, self._workspace.store.totals()
        counts = [f"{totals.total} runs"]
        counts += [f"{totals.failed} failed"] if totals.failed else []
        counts += [f"{totals.stuck} stuck"] if totals.stuck else []
        badges = ("SANDBOX",) * settings.is_sandbox + ("READ-ONLY",) * settings.read_only
        state = ""
        if progress.listing and progress.finished_at is None:
            state = "reading…"
        elif progress.finished_at is not None:
            state = f"as of {progress.finished_at.astimezone():%H:%M:%S}"
        if progress.paused:
            state += " paused"
        self.query_one(HeaderLine).headline = Headline(settings.tenant, badges, tuple(counts), state)

    def _flag(self, run_id: str) -> RowFlag | None:
        workspace = self._workspace
        if workspace.connected and workspace.saves.of_run(run_id) is not None:
            return RowFlag("↑", "being saved")
        return RowFlag("~", "draft not sent") if run_id in workspace.drafts else None

    def _minute_passed(self) -> None:
        self.runs.table.tick()

    # Actions of the whole screen

    async def perform(self, action_id: str) -> None:
        """Run any action by its id, as the palette does."""
        scope = ACTION_BY_ID[action_id].scope
        if scope in ("app", "panel"):
            await self.run_action(action_id)
        elif scope == "table":
            await self.runs.table.run_action(action_id)
        elif scope == self._view:
            view = self.query_one(f"#{scope}")
            if isinstance(view, Acting):
                await view.action_perform(action_id)

    def current_scopes(self) -> tuple[Scope, ...]:
        """Where the actions that make sense now belong to."""
        return (self._view, "panel", "app")

    def action_next_tab(self) -> None:
        """The next tab of the panel."""
        self._step_tab(1)

    def action_previous_tab(self) -> None:
        """The tab before."""
        self._step_tab(-1)

    def _step_tab(self, by: int) -> None:
        self.add_class("-panel-open")
        self.panel.step(by)
        if self.panel.tab == "history":
            self.panel.show_history(self._workspace.exchanges)

    def action_zoom(self) -> None:
        """The focused pane alone, or both."""
        self.toggle_class("-zoomed")

    def action_focus_left(self) -> None:
        """To the list, the form, the review or the help."""
        self._focus_view()

    def action_focus_panel(self) -> None:
        """To the panel."""
        self.add_class("-panel-open")
        self.panel.take_focus()

    def action_help(self) -> None:
        """The help takes the left pane."""
        self._show_view("help")
        self.query_one(HelpView).open()

    def action_palette(self) -> None:
        """Textual's palette, fed from the registry."""
        self.app.action_command_palette()

    async def action_theme(self) -> None:
        """The next theme."""
        await self.app.run_action("theme")

    async def action_quit(self) -> None:
        """Leave; the app waits for saves."""
        await self.app.action_quit()


def prepare_editing() -> None:
    """Load what the first edit needs, in a thread while nothing else is to be done, so that no key waits for it."""
    for field in FIELDS:
        field.problem(None)
        field.problem(0)
