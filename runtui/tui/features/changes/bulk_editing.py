"""Changes many runs: the marks, and the form for the marked runs.

Invariant: the model is the only state. Leaving the form loses nothing, and typed text is kept while the same runs are
marked. An untouched field keeps its value in every run. `bulk_sending` sends the changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Event
from typing import Final

from runtui.domain.bulk_draft import common_values, drafts_of, mixed_values
from runtui.domain.draft import Draft
from runtui.domain.text import count_words
from runtui.domain.triage.service_actions import Operation
from runtui.keys.actions import ACTION_BY_ID, key_of
from runtui.services.store.store import StoredRun, stored_runs
from runtui.tui.actions import ActionContext
from runtui.tui.features.changes.bulk_sending import BulkSending
from runtui.tui.features.changes.reviewing import Reviewing
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import blocks_keys
from runtui.tui.screens.form import FormView
from runtui.tui.words import sign_in_words, write_words

_MANY: Final = 5_000
"""From so many marked runs on, a person notices that they are being read: it takes about 0.2 s."""


class BulkEditing(Feature):
    """Marks, and the form of the marked runs."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._sending = features[BulkSending]
        self.form = FormView(request=self._first_request)
        self.form.owner = self
        self.screen = self._chrome.install(self.form)
        self._marked: frozenset[str] = frozenset()
        self._opened: Sequence[StoredRun] = ()
        """The runs in the form: the marked ones, and those of them that are listed."""
        self._first: tuple[Draft, Operation] | None = None
        """A model, and the operation on the first run that it would change."""
        self._left: tuple[frozenset[str], Draft | None] = frozenset(), None
        """The model as it was left, and its runs; None once it is sent or discarded."""

    def extend(self, context: ActionContext) -> ActionContext:
        is_in_front = self._chrome.front.view is self.form
        return context._replace(marked_runs=len(self._marked)) if is_in_front else context

    @property
    def marks(self) -> frozenset[str]:
        """The marked runs, if the list is in front."""
        return self._runs.table.marks if self._chrome.front.view is self._runs else frozenset()

    # Marks

    def action_mark_all(self) -> None:
        self._mark(frozenset.union)

    def action_invert_marks(self) -> None:
        self._mark(frozenset.symmetric_difference)

    def _mark(self, changed: Callable[[frozenset[str], Collection[str]], frozenset[str]]) -> None:
        query, store, table = self._runs.shown, self._workspace.store, self._runs.table

        async def find() -> None:
            shown = await asyncio.to_thread(store.ids, query)
            table.set_marks(changed(table.marks, shown))
            self._runs.post_message(self._runs.Changed())

        self.in_worker(find(), blocks_keys("mark runs"))

    def action_mark_range(self) -> None:
        self._runs.table.mark_range()
        self._runs.post_message(self._runs.Changed())

    # e: the form

    def open(self, marks: frozenset[str]) -> None:
        """Open the form; the next key waits for it, because it may be meant for the form."""
        quits = ACTION_BY_ID["quit"].key_while_typing
        saying = f"Reading {count_words(len(marks), 'run')}… {quits} quits." if len(marks) >= _MANY else ""
        self.in_worker(self._open(marks), blocks_keys("edit", to_its_end=True), saying)

    async def _open(self, marks: frozenset[str]) -> None:
        marks_left, left = self._left
        if left is None or marks_left != marks:
            left = Draft("", "", {}, self._workspace.settings.body_mode)
        is_over = Event()

        def read() -> tuple[list[StoredRun], Draft, dict[str, str]]:
            runs = stored_runs(self._workspace.store, marks, is_over.is_set)
            return runs, left.rebased(common_values(runs)), mixed_values(runs)

        try:
            runs, model, mixed = await asyncio.to_thread(read)
        finally:
            is_over.set()  # a person who quits does not wait for the thread
        if not runs:
            are = "is" if len(marks) == 1 else "are"
            words = f"The {count_words(len(marks), 'run')} that you marked {are} no longer in the list."
            self._chrome.set_status(words, "warning")
            return
        self._marked, self._opened, self._first = marks, runs, None
        heading = f"Edit {count_words(len(runs), 'run')}"
        fill = partial(self.form.open, model, mixed=mixed, heading=heading)
        await self._chrome.open(self.screen, self._dismissed, fill=fill)
        self._chrome.set_status(sign_in_words.cannot_write(self._workspace.sign_in), "warning")
        self._features[Reviewing].show_request()

    def _first_request(self, model: Draft) -> Operation:
        """Return the operation on the first run that would change, else on the first run."""
        if self._first is None or self._first[0] is not model:
            run = self._opened[0]
            found = (drafts_of(model, [run], ()).drafts for run in self._opened)
            first = next((drafts[0] for drafts in found if drafts), None) if model.changes() else None
            self._first = model, first or Draft(run.run_id, run.workflow_id, run.raw, model.mode)
        return self._first[1]

    def action_leave(self) -> None:
        self.screen.dismiss()

    def action_discard(self) -> None:
        """Discard all typed text; the key must be pressed twice."""
        draft = self.form.draft
        if draft is None:
            return
        question = write_words.discard_question(draft, key_of("discard"))
        if self._chrome.has_confirmed(question, lambda: self.form.draft is draft):
            self._forget()
            self._chrome.panel.drop_draft()
            self._chrome.set_status(write_words.draft_discarded(draft))

    def _forget(self) -> None:
        """Close the form and forget what was typed."""
        self.form.draft = None
        self.screen.dismiss()

    def _dismissed(self, _answer: None) -> None:
        self._left = left = self._marked, self.form.draft
        if left[1] is not None and left[1].edits and self._chrome.front.view is self._runs:
            words = f"What you typed is kept while the same runs are marked; {key_of('edit')} opens it again."
            self._chrome.set_status(words, shown_while=lambda: self._left is left and left[0] == self._runs.table.marks)

    # ctrl+s: the review

    async def action_review(self) -> None:
        model, marks = self.form.draft, self._marked
        if model is None:
            return
        bulk = await self._sending.make_bulk(marks, partial(drafts_of, model))
        if bulk is not None:
            await self._sending.ask(bulk, sent=self._forget)
