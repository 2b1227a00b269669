"""The side panel of a workspace: it fills the tabs from drafts, saves, runs and exchanges.

Invariant: a tab is filled when there is something new for it, in sight or not, and choosing a tab reads nothing from
the network.
"""

from __future__ import annotations

from datetime import UTC, datetime

from runtui.domain.draft import Draft
from runtui.graph.faults import fault_of
from runtui.services.journal import Entry
from runtui.services.workspace import Workspace
from runtui.services.write import Save
from runtui.tui import pages
from runtui.tui.details import details
from runtui.tui.widgets.side_panel import SidePanel, Tab


class RunPanel(SidePanel):
    """What was sent, what came back, and what a run is."""

    def __init__(self, workspace: Workspace, *, id: str) -> None:
        super().__init__(id=id)
        self._workspace = workspace
        self._followed: int | None = None
        """The save that the Response tab shows."""

    def show_draft(self, draft: Draft) -> None:
        """The request that a draft would make, live."""
        method, url = self._workspace.client.write_target(draft.workflow_id, draft.run_id)
        self.show("request", pages.request_page(draft, method, url), keep_place=True)

    def show_save(self, save: Save) -> None:
        """A save on its way, or its end."""
        self._followed = save.number
        self.show("response", pages.save_page(save, datetime.now(UTC)))

    def follow_save(self, save: Save) -> None:
        """Time has passed for a save; where something else is shown by now, that stays."""
        if self._followed == save.number:
            self.show_save(save)

    def show_entry(self, entry: Entry | None) -> None:
        """An entry of the journal: what was sent, and what came back; None: there is no entry under the cursor."""
        self._followed = None
        self.show("request", pages.NO_ENTRY if entry is None else pages.entry_request_page(entry))
        self.show("response", pages.NO_ENTRY if entry is None else pages.entry_response_page(entry))

    def show_run(self, run_id: str) -> None:
        """A run as the store has it at once, then what its tasks did."""
        self.choose("run")
        self.run_worker(
            self._read_run(run_id), group="details", exclusive=True, description="read a run's task results"
        )

    async def _read_run(self, run_id: str) -> None:
        async for page in details(self._workspace, run_id):
            self.show("run", page)

    def choose(self, tab: Tab) -> None:
        """Bring a tab into sight; the log is filled as it is now."""
        if tab == "log":
            self.show_log(self._workspace.exchanges)
        super().choose(tab)

    def exchange_ended(self) -> None:
        """The log grew."""
        if self.tab == "log":
            self.show_log(self._workspace.exchanges)

    def on_side_panel_exchange_chosen(self, event: SidePanel.ExchangeChosen) -> None:
        """Show one request of the log again, with what it means."""
        event.stop()
        for exchange in self._workspace.exchanges:
            if exchange.number == event.number:
                fault = fault_of(exchange, writing=exchange.method != "GET")
                self._followed = None
                self.show("response", pages.exchange_page(exchange, fault))
                self.choose("response")
