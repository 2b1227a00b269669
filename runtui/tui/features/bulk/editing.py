"""Changing many runs: the marks, and the form over the marked runs.

Invariant: what is typed for some runs stays while the same runs are marked. What is sent is a matter of `bulk.sending`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from runtui.domain.bulk_draft import BulkDraft, actions_of, drafts_of, model_of
from runtui.domain.draft import Edit
from runtui.domain.triage.service_actions import ServiceAction
from runtui.tui.actions import ActionContext
from runtui.tui.features.bulk.sending import BulkSending, marked_runs
from runtui.tui.features.editing import Editing
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import awaited
from runtui.tui.screens.bulk.form import BulkFormView
from runtui.tui.words import bulk_words, sign_in_words


class BulkEditing(Feature):
    """Marks, and the form of the marked runs."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._editing = features[Editing]
        self._sending = features[BulkSending]
        self.form = BulkFormView(self.review)
        self.place = self._chrome.place(self.form, is_seldom=True)
        """The screen of the form; it stays mounted once it was opened."""
        self._marked: frozenset[str] = frozenset()
        """The runs that the form is about."""
        self._typed: tuple[frozenset[str], Mapping[str, Edit]] = frozenset(), {}
        """What was typed and not sent, and for which runs."""

    def extend(self, context: ActionContext) -> ActionContext:
        """The runs that the form is about."""
        is_in_front = self._chrome.front.view is self.form
        return replace(context, marked_runs=len(self._marked)) if is_in_front else context

    @property
    def marks(self) -> frozenset[str]:
        """The marked runs, where the list is in sight."""
        return self._runs.table.marks if self._chrome.front.view is self._runs else frozenset()

    # Marks

    def action_mark_all(self) -> None:
        """Mark all runs that the filter finds."""
        self._mark(lambda shown: self._runs.table.mark_all(shown, marked=True))

    def action_invert_marks(self) -> None:
        """Mark those that are not marked of the runs that the filter finds, and take the marks of the others back."""

        def invert(shown: Collection[str]) -> None:
            table = self._runs.table
            marks = table.marks
            table.mark_all(shown, marked=True)
            table.mark_all(marks.intersection(shown), marked=False)

        self._mark(invert)

    def _mark(self, mark: Callable[[Collection[str]], None]) -> None:
        query, store = self._runs.shown, self._workspace.store

        async def find() -> None:
            found = await self.in_thread(lambda: store.ids(query))
            if found is not None:
                mark(found)
                self._runs.post_message(self._runs.Changed())

        self._chrome.app.run_worker(find(), group=awaited("mark runs"), description="mark what a filter finds")

    def action_mark_range(self) -> None:
        """Mark the runs from the last mark to the cursor."""
        self._runs.table.mark_range()
        self._runs.post_message(self._runs.Changed())

    # e: the form

    async def action_edit(self) -> None:
        """Open the marked runs, or the run under the cursor where none is marked."""
        if marks := self.marks:
            await self._open(marks)
        else:
            await self._editing.edit()

    async def _open(self, marks: frozenset[str]) -> None:
        runs = await self.in_thread(lambda: marked_runs(self._workspace, marks))
        if runs is None:
            return
        if not runs:
            self._chrome.set_status(bulk_words.gone(len(marks)), "warning")
            return
        self._marked = marks
        typed_for, edits = self._typed
        await self._chrome.prepare(self.place)
        self.form.open(model_of(runs, edits if typed_for == marks else {}), runs)
        await self._chrome.open(self.place, self._left)
        self._chrome.set_status(sign_in_words.cannot_write(self._workspace.sign_in), "warning")
        self._sending.show_request()

    def _left(self, _answer: None) -> None:
        """Keep what was typed."""
        edits = self.form.draft.edits if self.form.draft is not None else {}
        self._typed = self._marked, edits
        if edits and self._chrome.front.view is self._runs:
            self._chrome.set_status(bulk_words.kept(), holds=lambda: self._typed == (self._runs.table.marks, edits))

    # ctrl+s: the review

    async def review(self) -> None:
        """Show what would change for the runs of the form as they are now, and ask."""
        model, marks = self.form.draft, self._marked
        if model is None:
            return

        bulk = await self._sending.drawn_up(marks, partial(drafts_of, model))
        if bulk is not None:
            await self._sending.ask(bulk, sent=self._sent)

    async def draw_up(self, make: Callable[[str, str], ServiceAction]) -> BulkDraft | None:
        """An action on the marked runs, made from the ids of workflow and run; None where they cannot be read."""
        return await self._sending.drawn_up(self.marks, partial(actions_of, make))

    def _sent(self) -> None:
        """What was typed is on its way."""
        self.form.editor.draft = None
        self.place.dismiss()
