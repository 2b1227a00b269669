"""The form of many runs: what they have in common, and what is typed for all of them.

Invariant: the model is the only state; leaving the form loses nothing, and nothing is sent from here. A field that
nobody touches keeps its value in every run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from textual.app import ComposeResult
from textual.content import Content

from runtui.domain.bulk_draft import MarkedRun, drafts_of, mixed_values, runs_word
from runtui.domain.draft import Draft
from runtui.domain.triage.service_actions import Operation
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.screens.form import DraftEditor
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.words import draft_words


class BulkFormView(ActionView[None]):
    """Shows the model of some runs."""

    scope = "edit"
    BINDINGS = bindings("edit")

    def __init__(self, review: Callable[[], Awaitable[None]]) -> None:
        """A form that `review` asks about."""
        super().__init__(name="bulk-edit")
        self._review = review
        self.editor = DraftEditor()
        self.runs: Sequence[MarkedRun] = ()
        self._first: tuple[Draft, Operation] | None = None
        """A model, and the draft of the first run that it would change."""

    def compose(self) -> ComposeResult:
        yield self.editor

    @property
    def draft(self) -> Draft | None:
        return self.editor.draft

    @property
    def run_id(self) -> str | None:
        """None: keys act on many runs."""
        return None

    def open(self, model: Draft, runs: Sequence[MarkedRun]) -> None:
        """Show the model of some runs; the focus goes to processingStatus."""
        self.runs = runs
        self.editor.open(model, mixed_values(runs))

    def take_focus(self) -> None:
        self.editor.take_focus()

    def title(self) -> Content:
        """How many runs, what changed, and what is wrong."""
        if self.draft is None:
            return Content()
        return Content.assemble((f"Edit {runs_word(len(self.runs))}", "bold"), self.editor.counts)

    def show_in(self, panel: Panel) -> None:
        """The request for the first run that would change, else for the first run."""
        if self.draft is None or not self.runs:
            return
        if self._first is None or self._first[0] is not self.draft:
            run = self.runs[0]
            found = (drafts_of(self.draft, [run], ()).drafts for run in self.runs)
            first = next((drafts[0] for drafts in found if drafts), None) if self.draft.changes() else None
            self._first = self.draft, first or Draft(run.run_id, run.workflow_id, run.received, "changed")
        panel.show_draft(self._first[1])

    def before(self, action_id: str) -> None:
        self.editor.before(action_id)

    async def action_review(self) -> None:
        """Show what would change, and ask."""
        await self._review()

    def action_leave(self) -> None:
        """Back to the list; what was typed is kept."""
        self.answer()

    def action_discard(self) -> None:
        """Take back all that was typed; the key has to be pressed twice."""
        draft = self.draft
        if draft is None:
            return
        question = draft_words.drop_question(draft, key_of("discard"))
        if not self.frame.chrome.has_confirmed(question, lambda: self.draft is draft):
            return
        self.editor.draft = None
        self.answer()
        self.frame.chrome.set_status(draft_words.dropped(draft))

    def action_changed_only(self) -> None:
        """Say what is sent: here there is no choice."""
        self.set_status("A change to many runs carries only what you change.")

    def action_revert(self) -> None:
        """Take back what was typed into the field with the focus."""
        self.editor.revert()
