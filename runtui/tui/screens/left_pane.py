"""The left pane: list, form, review, journal and help take each other's place.

Invariant: one view is in sight, and esc leads back the way one came. What a view cannot decide alone is decided
here: which draft the form opens, what the review shows, where esc leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import ContentSwitcher

from runtui.domain.draft import Draft
from runtui.domain.rows import RunRow
from runtui.graph.root import run_key
from runtui.services.store import StoredRun
from runtui.services.workspace import Workspace
from runtui.tui import draft_words, sign_in_words
from runtui.tui.actions import Situation
from runtui.tui.messages import DraftChanged, FormOpened, Left, Merged, ReviewRequested, Said
from runtui.tui.screens.acting import Acting
from runtui.tui.screens.conflict import ConflictView
from runtui.tui.screens.export import ExportView
from runtui.tui.screens.form import EditView
from runtui.tui.screens.help import HelpView
from runtui.tui.screens.journal import JournalView
from runtui.tui.screens.profiles import ProfilesView
from runtui.tui.screens.review import ReviewView
from runtui.tui.screens.runs import RunsView
from runtui.tui.screens.scenarios import ScenariosView
from runtui.tui.screens.sign_in import SignInView
from runtui.tui.widgets.line_table import RowFlag

View = Literal["runs", "edit", "conflict", "review", "journal", "export", "scenarios", "profiles", "sign_in", "help"]

_LATER: Final[dict[View, type[Acting]]] = {
    "edit": EditView,
    "conflict": ConflictView,
    "review": ReviewView,
    "journal": JournalView,
    "export": ExportView,
    "scenarios": ScenariosView,
    "profiles": ProfilesView,
    "sign_in": SignInView,
    "help": HelpView,
}

SAVING: Final = RowFlag("↑", "being saved")
UNKNOWN: Final = RowFlag("?", "outcome not known")
DRAFT: Final = RowFlag("~", "draft not sent")


class LeftPane(ContentSwitcher):
    """Holds the views."""

    class ViewChanged(Message):
        """Another view is in sight."""

    def __init__(self, workspace: Workspace, situation: Callable[[], Situation], *, id: str) -> None:
        super().__init__(initial="runs", id=id)
        self._workspace = workspace
        self._situation = situation
        self._way: list[View] = ["runs"]
        """The views from the list to the one in sight: esc leads back along it."""
        self._preparing = asyncio.Lock()

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
    def is_preparing(self) -> bool:
        """Whether views are being mounted at this moment."""
        return self._preparing.locked()

    @property
    def runs(self) -> RunsView:
        """The list."""
        return self.query_one(RunsView)

    @property
    def view(self) -> View:
        """The view in sight."""
        return self._way[-1]

    @property
    def edited(self) -> Draft | None:
        """The draft in the form or in the review, or the one that the values chosen make; None elsewhere."""
        view = self.acting_view()
        return view.draft if isinstance(view, EditView | ReviewView | ConflictView) else None

    def acting_view(self) -> Acting:
        """The view in sight."""
        return self.query_one(f"#{self.view}", Acting)

    def show(self, view: View) -> None:
        """Bring a view into sight and give it the keys; from any but the list, esc leads back to where one was."""
        self._go([*(known for known in self._way if known != view), view] if view != "runs" else ["runs"])

    def leads_through(self, view: View) -> bool:
        """Whether a view is in sight, or on the way back from the one that is."""
        return view in self._way

    def leave(self, *views: View) -> None:
        """Go back along the way until none of these views is in sight."""
        way = self._way
        while way[-1] in views:
            way = way[:-1]
        self._go(way)

    def _go(self, way: list[View]) -> None:
        self._way = way
        self.current = self.view
        self.take_focus()
        self.post_message(self.ViewChanged())

    def take_focus(self) -> None:
        """Give the view in sight the keys."""
        self.acting_view().take_focus()

    async def edit(self, run_id: str) -> None:
        """Open the draft of a run: a new one, or the one that was left, with the values in conflict first if any."""
        stored = self._workspace.store.get(run_id)
        if stored is None:
            self.post_message(Said("This run is no longer in the list.", "warning"))
            return
        await self.prepare()
        left = self._workspace.drafts.get(run_id)
        if left is not None and (conflicts := left.conflicts(stored.raw)):
            words = draft_words.moved(self._workspace.drafts.changed_at(run_id), datetime.now().astimezone(), conflicts)
            self.post_message(Said(f"{words} {self._hint()}".strip(), "warning"))
            self._open_conflict(left, stored.raw, stored.workflow_name)
            return
        draft, words = self._draft_of(run_id, stored)
        hint = self._hint()
        self.post_message(Said(f"{words} {hint}".strip(), "warning" if hint else "information"))
        self._open_form(draft, stored.workflow_name)
        self.post_message(FormOpened(draft))

    def _hint(self) -> str:
        """What speaks against a change before it is made."""
        return sign_in_words.cannot_write(self._workspace.sign_in)

    def _draft_of(self, run_id: str, stored: StoredRun) -> tuple[Draft, str]:
        """A new draft, or the one that was left over what does not touch it; and what to say of it."""
        drafts = self._workspace.drafts
        left = drafts.get(run_id)
        if left is None:
            return Draft(run_id, stored.workflow_id, stored.raw, self._workspace.settings.body_mode), ""
        draft = left if left.received == stored.raw else left.rebased(stored.raw)
        if not draft.edits:
            return draft, draft_words.overtaken()
        return draft, draft_words.reopened(drafts.changed_at(run_id), datetime.now().astimezone())

    def _open_form(self, draft: Draft, workflow_name: str) -> None:
        with self.app.batch_update():
            self.query_one(EditView).open(draft, workflow_name, self._workspace.drafts.keep)
            self._way = ["runs"]
            self.show("edit")
        self._workspace.drafts.keep(draft)
        self.post_message(DraftChanged(draft))

    def on_merged(self, event: Merged) -> None:
        """The values are chosen: on to the review if there is something to send, with the form behind it."""
        event.stop()
        draft = event.draft
        self._open_form(draft, self._name_of(draft))
        if draft.errors():
            self.post_message(Said(draft_words.unfit(draft), "warning"))
        elif not draft.changes():
            self.post_message(Said(draft_words.given_up()))
        elif event.to_review:
            self._review(draft)
        else:
            self.post_message(Said(""))

    def _name_of(self, draft: Draft) -> str:
        stored = self._workspace.store.get(draft.run_id)
        return stored.workflow_name if stored is not None else draft.workflow_id

    def on_review_requested(self, event: ReviewRequested) -> None:
        """Show the change, where it would go, and ask; first the values in conflict with the run as read, if any."""
        event.stop()
        draft, newer = event.draft, self.query_one(EditView).newer
        if newer and draft.conflicts(newer):
            self.post_message(Said(""))
            self._open_conflict(draft, newer, self._name_of(draft))
        else:
            self._review(draft)

    def _open_conflict(self, draft: Draft, now: Mapping[str, Any], workflow_name: str) -> None:
        with self.app.batch_update():
            self.query_one(ConflictView).open(draft, now, workflow_name)
            self.show("conflict")

    def review_undo(self, draft: Draft, number: int) -> None:
        """Show the change that takes an entry of the journal back, and ask."""
        self._review(draft, undoes=number)

    def _review(self, draft: Draft, *, undoes: int | None = None) -> None:
        method, url = self._workspace.client.write_target(draft.workflow_id, draft.run_id)
        target = (
            ("workflow", self._name_of(draft)),
            ("run", draft.run_id),
            ("tenant", self._workspace.settings.tenant),
            *_account(self._workspace),
            ("request", f"{method} {url}"),
        )
        self.query_one(ReviewView).open(draft, target, undoes=undoes, hint=self._hint())
        self.post_message(Said(""))
        self.show("review")

    def on_left(self, event: Left) -> None:
        """One step back; from the list the message goes on to the screen."""
        if self.view == "runs":
            return
        event.stop()
        left = self.edited
        was_merging = self.view == "conflict"
        is_draft = self.view in ("edit", "conflict")
        self.leave(self.view)
        if left is not None and is_draft and self._way == ["runs"]:
            self.runs.table.flags_changed(left.run_id)
            if left.edits or was_merging:
                self.post_message(Said("The draft is kept; e on the run opens it again."))

    def _flag(self, row: RunRow) -> RowFlag | None:
        workspace, run_id = self._workspace, row.id
        if workspace.connected and workspace.saves.of_run(run_id) is not None:
            return SAVING
        if workspace.connected and run_key(run_id) in workspace.reconciler.unsettled:
            return UNKNOWN
        return DRAFT if run_id in workspace.drafts else None


def _account(workspace: Workspace) -> tuple[tuple[str, str], ...]:
    account = workspace.sign_in.state.account if workspace.sign_in is not None else None
    return (("account", account.username),) if account is not None else ()
