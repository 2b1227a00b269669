"""The part of the screen that looks after drafts: keeping them, telling of those that were kept, dropping one.

Invariant: no draft is lost by one key, and whoever types hears at once when the disk takes nothing.
"""

from __future__ import annotations

import asyncio

from runtui.domain.draft import Draft
from runtui.errors import RuntuiError
from runtui.services.workspace import Workspace
from runtui.tui import draft_words, sign_in_words
from runtui.tui.actions import ACTION_BY_ID
from runtui.tui.bridge import DraftsFailed
from runtui.tui.frame import Frame
from runtui.tui.messages import DraftChanged, DropRequested, FormOpened, MergeChanged
from runtui.tui.screens.form import EditView
from runtui.tui.widgets.status_line import StatusLine


class Drafting(Frame):
    """A frame that knows what drafts are."""

    def __init__(self, workspace: Workspace, *, columns: int) -> None:
        """Lay out a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
        """
        super().__init__(workspace, columns=columns)
        self._is_list_compared = False
        """Whether the drafts have been looked up in a whole list."""

    def tell_of_drafts(self) -> None:
        """At the start: which were kept from the last time, or why they cannot be."""
        drafts = self._workspace.drafts
        if drafts.fault is not None:
            self.on_drafts_failed(DraftsFailed(drafts.fault))
        else:
            count = len(drafts)
            self.say(draft_words.kept(count), holds=lambda: len(drafts) == count)

    def tell_of_unlisted_drafts(self) -> None:
        """Once, when the list is whole: there are drafts that no row leads to."""
        if not self._is_list_compared:
            self._is_list_compared = True
            count = self._count_unlisted_drafts()
            if count:
                self.say(draft_words.unlisted(count), "warning", lambda: self._count_unlisted_drafts() == count)

    def _count_unlisted_drafts(self) -> int:
        workspace = self._workspace
        return sum(workspace.store.get(run_id) is None for run_id in workspace.drafts)

    def on_drafts_failed(self, event: DraftsFailed) -> None:
        """What is typed stays in memory alone."""
        words = f"Drafts are not on disk: they last until you leave. {event.fault}"
        self.say(words, "error", lambda: self._workspace.drafts.fault is not None)

    def on_form_opened(self, event: FormOpened) -> None:
        """Read the run that the form is about: the list may be old."""
        reading = self._read_run_of(event.draft)
        self.run_worker(reading, group="read the run", exclusive=True, description="read the run in the form")

    async def _read_run_of(self, draft: Draft) -> None:
        """Hand the run as it is now to the form, and to the list; trouble is told, and editing goes on."""
        answer = await self._workspace.client.peek(draft.workflow_id, draft.run_id)
        form = self.left.query_one(EditView)
        if answer.entity is not None:
            form.catch_up(draft.run_id, answer.entity)
            try:
                await asyncio.to_thread(self._workspace.store.put_run, draft.workflow_id, answer.entity)
            except RuntuiError as error:
                self.say(str(error), "error")
        elif answer.fault is not None and self.left.edited is not None and self.left.edited.run_id == draft.run_id:
            self.say(
                f"{draft_words.unread(answer.fault)} {sign_in_words.cannot_write(self._workspace.sign_in)}".strip(),
                "warning",
            )

    def on_draft_changed(self, event: DraftChanged) -> None:
        """Show the request it would make."""
        self.panel.show_draft(event.draft)
        self.refresh_chrome()

    def on_merge_changed(self, event: MergeChanged) -> None:
        """Show the request that the chosen values would make; the draft itself is as it was."""
        self.panel.show_draft(event.draft)
        self.refresh_chrome()

    def on_drop_requested(self, event: DropRequested) -> None:
        """Drop a draft when the question about just this draft is in sight, or ask it."""
        draft = event.draft
        question = draft_words.drop_question(draft, ACTION_BY_ID[event.action_id].shown_key)
        if self.query_one(StatusLine).text != question:
            self._ask_to_drop(draft, question)
            return
        self._workspace.drafts.drop(draft.run_id)
        self.left.show("runs")
        self.left.runs.table.flags_changed(draft.run_id)
        self.say(draft_words.dropped(draft))

    def _ask_to_drop(self, draft: Draft, question: str) -> None:
        """Ask; the question is void once the view or what was typed is another one."""
        view, drafts = self.left.view, self._workspace.drafts

        def holds() -> bool:
            kept = drafts.get(draft.run_id)
            return self.left.view == view and kept is not None and kept.edits == draft.edits

        self.say(question, "warning", holds)
