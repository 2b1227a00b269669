"""What the side panel shows: the pages of its tabs, from drafts, saves, runs, entries of the journal and exchanges.

Invariant: the pages belong to the session; the panel of the screen in front draws them. A tab is filled when there is
something new for it, in sight or not, and choosing a tab reads nothing from the network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from textual.app import App

from runtui.domain.draft import Draft
from runtui.domain.results import TaskResult
from runtui.domain.run_users import UserRow
from runtui.domain.times import now_ticks
from runtui.graph.client import GraphError
from runtui.graph.faults import fault_of
from runtui.graph.retry import Pace
from runtui.services.journal import Entry
from runtui.services.workspace import Workspace
from runtui.services.writing.write import Save
from runtui.tui.widgets.side_panel import TABS, Page, SidePanel, Tab
from runtui.tui.words import pages


class Panel:
    """The tabs of one session, and which of them is chosen."""

    def __init__(self, app: App[Any], workspace: Workspace) -> None:
        self._app = app
        self._workspace = workspace
        self._widget: SidePanel | None = None
        """The panel of the screen in front."""
        self._pages: dict[Tab, Page] = {}
        self._followed: int | None = None
        """The save that the Response tab shows."""
        self.tab: Tab = "response"
        self.is_open = False
        """Whether it was asked for where it is not always in sight."""

    def draw_on(self, widget: SidePanel) -> None:
        """From now on, draw on the panel of this screen; pages that are on it already stay as they are."""
        is_other, self._widget = widget is not self._widget, widget
        if is_other:
            for tab, page in self._pages.items():
                widget.show(tab, page)
            self.choose(self.tab)

    def open(self) -> None:
        """Bring the panel into sight where it is not always there."""
        self.is_open = True

    def choose(self, tab: Tab) -> None:
        """Bring a tab into sight; the log is filled as it is now."""
        self.tab = tab
        if self._widget is not None:
            if tab == "log":
                self._widget.show_log(self._workspace.exchanges)
            self._widget.choose(tab)

    def step(self, by: int) -> None:
        """To the next or the previous tab."""
        self.choose(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def show_draft(self, draft: Draft) -> None:
        """The request that a draft would make, live."""
        method, url = self._workspace.client.write_target(draft.workflow_id, draft.run_id)
        self._show("request", pages.request_page(draft, method, url), keep_place=True)

    def show_save(self, save: Save) -> None:
        """A save on its way, or its end."""
        self._followed = save.number
        self._show("response", pages.save_page(save, datetime.now(UTC)))

    def follow_save(self, save: Save) -> None:
        """Time has passed for a save; where something else is shown by now, that stays."""
        if self._followed == save.number:
            self.show_save(save)

    def show_entry(self, entry: Entry | None) -> None:
        """An entry of the journal: what was sent, and what came back; None: there is no entry under the cursor."""
        self._followed = None
        self._show("request", pages.NO_ENTRY if entry is None else pages.entry_request_page(entry))
        self._show("response", pages.NO_ENTRY if entry is None else pages.entry_response_page(entry))

    def show_exchange(self, number: int) -> None:
        """One request of the log as it was sent, and its answer with what it means."""
        for exchange in self._workspace.exchanges:
            if exchange.number == number:
                fault = fault_of(exchange, writing=exchange.method != "GET")
                self._followed = None
                self._show("request", pages.sent_page(exchange))
                self._show("response", pages.exchange_page(exchange, fault))
                self.choose("response")

    def exchange_ended(self, _news: object = None) -> None:
        """The log grew."""
        if self.tab == "log" and self._widget is not None:
            self._widget.show_log(self._workspace.exchanges)

    def show_run(self, run_id: str) -> None:
        """A run as the store has it at once, then what its tasks did."""
        self.choose("run")
        self._app.run_worker(
            self._read_run(run_id), group="details", exclusive=True, description="read a run's task results"
        )

    async def _read_run(self, run_id: str) -> None:
        async for page in run_pages(self._workspace, run_id):
            self._show("run", page)

    def show_task(self, user: UserRow | None, task: TaskResult | None) -> None:
        """What one task did for a user; None: there is no task under the cursor."""
        self._show("run", pages.task_page(user, task, now_ticks()))

    def _show(self, tab: Tab, page: Page, *, keep_place: bool = False) -> None:
        self._pages[tab] = page
        if self._widget is not None:
            self._widget.show(tab, page, keep_place=keep_place)


async def run_pages(workspace: Workspace, run_id: str) -> AsyncIterator[Page]:
    """Yield the page of a run as more and more of it is known: as stored, then with what its tasks did.

    What cannot be read is said in the page, and the page before it stays useful.
    """
    stored = workspace.store.get(run_id)
    if stored is None:
        return
    run = stored.raw
    yield pages.run_page(run, stored.workflow_name, now_ticks(), None)
    if not workspace.connected:
        return
    tasks: list[TaskResult] = []
    try:
        async for page in workspace.client.task_results(stored.workflow_id, run_id, pace=Pace()):
            tasks += [TaskResult(item) for item in page.items]
    except GraphError as error:
        note = f"What its tasks did could not be read: {error.fault.title}. {error.fault.hint}"
        yield pages.run_page(run, stored.workflow_name, now_ticks(), None, note)
    else:
        yield pages.run_page(run, stored.workflow_name, now_ticks(), tasks)
