"""The left pane: list, form, review and help take each other's place.

Invariant: one view is in sight, and the way back from each is one step. What a view cannot decide alone is decided
here: which draft the form opens, what the review shows, where esc leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import ContentSwitcher

from runtui.domain.draft import Draft
from runtui.services.store import StoredRun
from runtui.services.workspace import Workspace
from runtui.tui.actions import Situation
from runtui.tui.messages import DraftChanged, Left, ReviewRequested, Said
from runtui.tui.views.acting import Acting
from runtui.tui.views.edit import EditView
from runtui.tui.views.help import HelpView
from runtui.tui.views.review import ReviewView
from runtui.tui.views.runs import RunsView
from runtui.tui.widgets.run_table import RowFlag

View = Literal["runs", "edit", "review", "help"]

_BACK: Final[dict[View, View]] = {"review": "edit", "edit": "runs"}

_LATER: Final[dict[View, type[EditView | ReviewView | HelpView]]] = {
    "edit": EditView,
    "review": ReviewView,
    "help": HelpView,
}

SAVING: Final = RowFlag("↑", "being saved")
DRAFT: Final = RowFlag("~", "draft not sent")


class LeftPane(ContentSwitcher):
    """Holds the four views."""

    class ViewChanged(Message):
        """Another view is in sight."""

    def __init__(self, workspace: Workspace, situation: Callable[[], Situation], *, id: str) -> None:
        super().__init__(initial="runs", id=id)
        self._workspace = workspace
        self._situation = situation
        self._before_help: View = "runs"
        self._preparing = asyncio.Lock()
        self.view: View = "runs"

    def compose(self) -> ComposeResult:
        """The list alone: the other views come with `prepare`, after the first rows."""
        yield RunsView(self._situation, self._workspace.store, self._flag, self.edit, id="runs")

    async def prepare(self) -> None:
        """Mount the views that are not there yet."""
        async with self._preparing:
            for view, kind in _LATER.items():
                if not self.query(kind):
                    await self.add_content(kind(self._situation, id=view))

    @property
    def runs(self) -> RunsView:
        """The list."""
        return self.query_one(RunsView)

    @property
    def edited(self) -> Draft | None:
        """The draft in the form or in the review; None in the list."""
        return self.query_one(EditView).draft if self.view in _BACK else None

    def acting_view(self) -> Acting:
        """The view in sight."""
        return self.query_one(f"#{self.view}", Acting)

    def show(self, view: View) -> None:
        """Bring a view into sight and give it the keys."""
        if view == "help" and self.view != "help":
            self._before_help = self.view
        self.view = view
        self.current = view
        self.take_focus()
        self.post_message(self.ViewChanged())

    def take_focus(self) -> None:
        """Give the view in sight the keys."""
        self.acting_view().take_focus()

    async def edit(self, run_id: str) -> None:
        """Open the draft of a run: the one that was left, or a new one."""
        stored = self._workspace.store.get(run_id)
        if stored is None:
            self.post_message(Said("This run is no longer in the list.", "warning"))
            return
        draft, words = self._draft_of(run_id, stored)
        self.post_message(Said(words))
        await self.prepare()
        with self.app.batch_update():
            self.query_one(EditView).open(draft, stored.workflow_name)
            self.show("edit")
        self.post_message(DraftChanged(draft))

    def _draft_of(self, run_id: str, stored: StoredRun) -> tuple[Draft, str]:
        """The draft that was left, over the run as it is now, or a new one; and what to say of it."""
        left = self._workspace.drafts.get(run_id)
        if left is None:
            return Draft(run_id, stored.workflow_id, stored.raw, self._workspace.settings.body_mode), ""
        draft = left.rebased(stored.raw)
        if moved := ", ".join(conflict.field.name for conflict in left.conflicts(stored.raw)):
            return draft, f"The run changed meanwhile ({moved}). Your draft is open over its new values."
        return draft, "The draft you left is open again; F8 puts a field back."

    def on_review_requested(self, event: ReviewRequested) -> None:
        """Show the change, where it would go, and ask."""
        event.stop()
        draft = event.draft
        stored = self._workspace.store.get(draft.run_id)
        method, url = self._workspace.client.write_target(draft.workflow_id, draft.run_id)
        target = (
            ("request", f"{method} {url}"),
            ("tenant", self._workspace.settings.tenant),
            ("workflow", stored.workflow_name if stored is not None else draft.workflow_id),
            ("run", draft.run_id),
        )
        self.query_one(ReviewView).open(draft, target)
        self.post_message(Said(""))
        self.show("review")

    def on_left(self, event: Left) -> None:
        """One step back; from the list the message goes on to the screen."""
        if self.view == "runs":
            return
        event.stop()
        left = self.edited
        back = self._before_help if self.view == "help" else _BACK[self.view]
        self.show(back)
        if left is not None and back == "runs":
            self.runs.table.flags_changed(left.run_id)
            if left.edits:
                self.post_message(Said("The draft is kept; e on the run opens it again."))

    def _flag(self, run_id: str) -> RowFlag | None:
        workspace = self._workspace
        if workspace.connected and workspace.saves.of_run(run_id) is not None:
            return SAVING
        return DRAFT if run_id in workspace.drafts else None
