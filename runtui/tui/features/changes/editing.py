"""Changes a run: from `e` on a run, by the form, a conflict and the review, to the report of the outcome.

Invariant: only what a review confirmed is sent, and no single key loses a draft. No value is chosen silently: each
conflicting property is shown with its three values, and the draft stays unchanged until the person continues. A late
result opens a screen only for a person who still waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from textual.app import ComposeResult
from textual.content import Content

from runtui.domain.draft import OTHER, Conflict, Draft, Side, default_choices, resolve, value_word
from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import STATUS, Operation
from runtui.errors import RuntuiError, UsageError
from runtui.keys.actions import key_of
from runtui.services.store.store import workflow_name_of
from runtui.services.workspace import Workspace
from runtui.services.writing.write import Save, Step
from runtui.tui.actions import ActionContext
from runtui.tui.features.changes.reviewing import Reviewing
from runtui.tui.features.feature import Feature, Features
from runtui.tui.screens.form import FormView
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content, middle
from runtui.tui.widgets.chrome import Severity
from runtui.tui.words import sign_in_words, write_words

_WORDS: Final[Mapping[Side, str]] = {"ours": "yours", "theirs": "theirs"}


_READING: Final = "read the run"
"""The group of the worker that reads the run of the form."""


class Merge(NamedTuple):
    """A draft with chosen values, and whether it goes to the review at once or to the form first."""

    draft: Draft
    to_review: bool


class ConflictView(ActionView[Merge]):
    """Shows a draft and the current run; at first the typed values are chosen.

    Args:
        draft: The draft as it was left.
        now: The current run, as Graph's JSON object.
        workflow_name: The name of its workflow.
    """

    scope = "conflict"
    holds_letters = True

    def __init__(self, draft: Draft, now: Mapping[str, Any], workflow_name: str) -> None:
        from runtui.tui.widgets.option_lists import ChoiceList

        super().__init__()
        self.left, self._now, self._workflow_name = draft, now, workflow_name
        self._conflicts = draft.conflicts(now)
        self._choices = default_choices(draft, now)
        self._list = ChoiceList(*("" for _ in self._conflicts), id="conflict-list")

    @property
    def draft(self) -> Draft:
        """The draft with the chosen values."""
        return resolve(self.left, self._now, self._choices)

    def compose(self) -> ComposeResult:
        yield self._list

    def on_mount(self) -> None:
        self._list.highlighted = 0
        self._show()

    def title(self) -> Content:
        name, run_id = content(self._workflow_name), content(middle(self.left.run_id, 24))
        return Content.assemble(("The run has changed", "bold"), "  ", name, "  ", run_id)

    def show_in(self, panel: Panel) -> None:
        panel.show_draft(self.draft)

    def _show(self) -> None:
        for index, conflict in enumerate(self._conflicts):
            name = conflict.field.name
            block = _block(conflict, self._choices[name], is_typed=name in self.left.edits)
            self._list.replace_option_prompt_at_index(index, block)
        self.post_message(self.Changed())

    def _choose(self, choose: Callable[[Side], Side]) -> None:
        index = self._list.highlighted
        if index is not None:
            name = self._conflicts[index].field.name
            self._choices[name] = choose(self._choices[name])
            self._show()

    def action_ours(self) -> None:
        self._choose(lambda _: "ours")

    def action_theirs(self) -> None:
        self._choose(lambda _: "theirs")

    def action_other(self) -> None:
        self._choose(lambda choice: OTHER[choice])

    def action_merge(self) -> None:
        self.dismiss(Merge(self.draft, to_review=True))

    def action_merge_in_form(self) -> None:
        self.dismiss(Merge(self.draft, to_review=False))

    action_leave_merge = ActionView.action_leave_question


def _block(conflict: Conflict, choice: Side, *, is_typed: bool) -> Content:
    """Return the name of a property, and a line for each of its values; the list cuts long ones with a mark."""
    note = "" if is_typed else "  (not edited, as opened)"
    lines = (
        f"{conflict.field.name}: {_WORDS[choice]}",
        f"    as opened  {value_word(conflict.opened)}",
        f"  {_mark(choice, 'theirs')} theirs     {value_word(conflict.now)}",
        f"  {_mark(choice, 'ours')} yours      {value_word(conflict.ours)}{note}",
    )
    return Content("\n").join(map(content, lines))


def _mark(choice: Side, value: Side) -> str:
    return "●" if choice == value else "○"


class Editing(Feature):
    """The form, the questions before a change is sent, and the sentence after it."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)

        def keep(draft: Draft) -> None:
            self._workspace.drafts.keep(draft)
            if draft.edits:
                self._features[Reviewing].mount_ahead()

        self.form = FormView(keep)
        self.screen = self._chrome.install(self.form)
        self._last_sent = ""
        """The run whose change was confirmed last."""

    def start(self) -> None:
        self.listen(self._workspace.saves.changed, self._save_changed, wanted=lambda save: not save.batch)
        self.listen(self._workspace.drafts.failed, self.tell_drafts_failed)
        self.listen(self._workspace.store.changed, self._runs_changed)

    def extend(self, context: ActionContext) -> ActionContext:
        return context._replace(waiting=bool(_throttled(self._workspace)))

    # e: the form

    async def action_edit(self) -> None:
        """Open the marked runs, or the run under the cursor if none is marked."""
        if self._chrome.front.view is self._runs and self._runs.table.marks:
            from runtui.tui.features.changes.bulk_editing import BulkEditing

            self._features[BulkEditing].open(self._runs.table.marks)
        elif (run_id := self._chrome.pin_run()) is not None:
            await self.open(run_id)

    async def open(self, run_id: str) -> None:
        """Open the draft of a run: a new one, or the stored one, with conflicts first if there are any.

        It is open when the key is handled, because the next key may be meant for the form.
        """
        if (stored := self._chrome.stored_run(run_id)) is None:
            return
        drafts, hint = self._workspace.drafts, sign_in_words.cannot_write(self._workspace.sign_in)
        draft, words = Draft(run_id, stored.workflow_id, stored.raw, self._workspace.settings.body_mode), ""
        if (left := drafts.get(run_id)) is not None:
            changed_at, now = drafts.changed_at(run_id), datetime.now().astimezone()
            if conflicts := left.conflicts(stored.raw):
                words = write_words.draft_in_conflict(changed_at, now, conflicts)
                await self._resolve(left, stored.raw)
                self._chrome.front.set_status(f"{words} {hint}".strip(), "warning")
                return
            draft = left if left.received == stored.raw else left.rebased(stored.raw)
            words = write_words.draft_reopened(draft, changed_at, now)
        await self._show_form(draft)
        self._chrome.front.set_status(f"{words} {hint}".strip(), "warning" if hint else "information")
        # The answer comes later anyway, so the form is drawn before the request.
        self._chrome.app.call_after_refresh(self.in_worker, self._read(draft), _READING, exclusive=True)

    async def _show_form(self, draft: Draft) -> None:
        self._workspace.drafts.keep(draft)
        await self._chrome.open(self.screen, fill=lambda: self.form.open(draft, self._workflow_name(draft)))
        self._chrome.panel.bring_forward("request")
        self._chrome.refresh()

    async def _read(self, draft: Draft) -> None:
        """Pass the current run to the form, and to the list, which may be old; after a failure editing continues."""
        answer = await self._workspace.client.peek(draft.workflow_id, draft.run_id)
        if answer.entity is not None:
            self.form.catch_up(draft.run_id, answer.entity)
            await asyncio.to_thread(self._workspace.store.put_run, draft.workflow_id, answer.entity)
            return
        if answer.exchange.is_gone:
            self._workspace.refresh.doubt(draft.workflow_id)
        in_sight = self._chrome.front.view.draft
        if answer.fault is not None and in_sight is not None and in_sight.run_id == draft.run_id:
            words = (
                f"The run could not be read: {answer.fault.title}. The form shows the values of the list; "
                f"the run is read again before anything is sent. {sign_in_words.cannot_write(self._workspace.sign_in)}"
            )
            self._chrome.set_status(words.strip(), "warning")

    def _runs_changed(self, run_ids: Collection[str] | None) -> None:
        """Pass a run to the form that was read again meanwhile, as by a listing."""
        draft = self.form.draft
        if draft is None or not self.screen.is_open or (run_ids is not None and draft.run_id not in run_ids):
            return
        if (stored := self._workspace.store.get(draft.run_id)) is not None:
            self.form.catch_up(draft.run_id, stored.raw)

    def _workflow_name(self, draft: Operation) -> str:
        return workflow_name_of(self._workspace.store, draft.run_id, draft.workflow_id)

    # ctrl+s: conflicts, if there are any, and the review

    async def action_review(self) -> None:
        """Show the change and its target, and ask; first resolve conflicts with the run as read."""
        draft, newer = self.form.draft, self.form.newer
        if draft is None:
            return
        if newer and draft.conflicts(newer):
            await self._resolve(draft, newer)
            self._chrome.set_status("")
        else:
            await self.review(draft)

    async def _resolve(self, draft: Draft, now: Mapping[str, Any]) -> None:
        """Let a person choose between the draft's values and the current ones."""
        question = ConflictView(draft, now, self._workflow_name(draft))
        await self._chrome.ask(question, self._use, lambda: self._tell_kept(draft))
        self._chrome.panel.bring_forward("request")

    async def _use(self, merge: Merge) -> None:
        """Go to the review if there is something to send, with the form behind it."""
        draft = merge.draft
        with self._chrome.app.batch_update():
            await self._show_form(draft)
            if draft.errors():
                words = f"The conflict is resolved. Before the review, correct {', '.join(draft.errors())}."
                self._chrome.front.set_status(words, "warning")
            elif not draft.changes():
                self._chrome.front.set_status("There is nothing to send: the run has every value that you chose.")
            elif merge.to_review:
                await self.review(draft)
            else:
                self._chrome.front.set_status("")

    async def review(
        self,
        draft: Operation,
        *,
        hint: str | None = None,
        notes: Sequence[str] = (),
        people: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Ask whether to send a draft or an action; `notes` are the consequences of an action, `people` those whom it
        is for, as pairs such as ("user", name). For `hint` see `Reviewing.review`."""
        from runtui.domain.bulk_draft import BulkDraft

        about = (
            ("workflow", self._workflow_name(draft)),
            *([("run", draft.run_id)] if draft.run_id != draft.workflow_id else []),
            *people,
        )
        bulk = BulkDraft((draft,), {}, notes=tuple(notes), is_one=True)
        await self._features[Reviewing].review(bulk, about, partial(self._send, draft), hint)

    # y: the save

    def _send(self, draft: Operation, why: str) -> None:
        """Hand the draft to the save queue and go back to the list, or to the journal."""
        try:
            self._workspace.saves.submit(draft, why=why)
        except UsageError as error:
            self._chrome.set_status(str(error), "error")
        else:
            # A late answer to the reading of the form would put the old values back into the list.
            self._chrome.app.workers.cancel_group(self._chrome.app, _READING)
            self._last_sent = draft.run_id
            self._chrome.panel.is_open = True
            self._chrome.panel.bring_forward("response")
        if draft.undoes is None and self._chrome.front is self.screen:
            self.screen.dismiss()
        self._chrome.refresh()

    async def _save_changed(self, save: Save) -> None:
        """Show the progress of a save in its row and the panel; when it has ended, in the status line too."""
        self._runs.table.flags_changed(save.run_id)
        if self._chrome.front.view.scope != "journal":  # there the panel shows the entry under the cursor
            self._chrome.panel.show_save(save)
        if save.outcome is not None:
            good = save.outcome is Outcome.DONE and not save.ignored and not save.unrecorded
            failed = save.outcome is Outcome.NOT_DONE
            severity: Severity = "success" if good else "error" if failed else "warning"
            is_of_draft = failed and save.undoes is None and save.action is None
            shown_while = lambda: not is_of_draft or save.run_id in self._workspace.drafts  # noqa: E731
            self._chrome.set_status(self._save_words(save), severity, shown_while)
        elif (wait := save.wait) is not None:
            from runtui.tui.words.pages import wait_sentence

            waits = lambda: save.number in {throttled.number for throttled in _throttled(self._workspace)}  # noqa: E731
            self._chrome.set_status(wait_sentence(save, wait, datetime.now(UTC)), "warning", waits)
        self._chrome.refresh()
        if save.conflicts and not save.row_is_stale and save.undoes is None and self._is_looking_at(save.run_id):
            await self.open(save.run_id)

    def _is_looking_at(self, run_id: str) -> bool:
        """Return whether the cursor is still on this run: only then may a conflict open.

        A key that was meant for the list does no harm there: nothing is sent without another `y` in the review. A run
        that the filter hides since its change has no row for the cursor, and counts too.
        """
        view = self._chrome.front.view
        if view.list is None or not self._chrome.is_in_front(view) or self._chrome.app.focused is not view.list.table:
            return False
        is_hidden = view is self._runs and run_id == self._last_sent and not self._runs.table.finds(run_id)
        return view.run_id == run_id or is_hidden

    def _save_words(self, save: Save) -> str:
        from runtui.tui.words.pages import save_words

        words = save_words(save, drafts_last=self._workspace.drafts.fault is None)
        is_of_run = save.action is None or not save.action.is_about_workflow
        is_seen = self._chrome.front.view is self._runs and self._runs.run_id == save.run_id
        changed = {change.field.name for change in save.operation.changes()} - {*save.ignored}
        if save.outcome is Outcome.DONE and is_of_run and not self._runs.table.finds(save.run_id):
            words += " The filter no longer shows the run."
        elif save.outcome is Outcome.DONE and is_seen and STATUS in changed:
            words += f" The cursor follows the run; {key_of('next_problem')} goes to the next problem."
        return words

    # w: throttled changes

    def action_stop_waiting(self) -> None:
        for save in _throttled(self._workspace, self._chrome.front.view.run_id)[:1]:
            if not self._workspace.saves.stop(save.number):
                self._chrome.set_status(
                    "It is being sent again and can no longer be stopped.",
                    "warning",
                    lambda: save.number in {active.number for active in self._workspace.saves.active()},  # noqa: B023
                )

    # Drafts

    def action_leave(self) -> None:
        self.screen.dismiss()
        if self.form.draft is not None:
            self._tell_kept(self.form.draft)

    def _tell_kept(self, draft: Draft) -> None:
        """Say in front of the run that a draft is kept, or anywhere that none can be."""
        self._runs.table.flags_changed(draft.run_id)
        view = self._chrome.front.view
        is_here = self._chrome.is_in_front(view) and (view is self._runs or view.run_id == draft.run_id)
        if (fault := self._workspace.drafts.fault) is not None:
            self.tell_drafts_failed(fault)
        elif is_here and draft.run_id in self._workspace.drafts:
            self._chrome.front.set_status(f"The draft is kept; {key_of('edit')} on the run opens it again.")

    def action_discard(self) -> None:
        if self.form.draft is not None:
            self._drop(self.form.draft, "discard")

    def action_discard_merge(self) -> None:
        view = self._chrome.front.view
        if isinstance(view, ConflictView):
            self._drop(view.left, "discard_merge")

    def _drop(self, draft: Draft, action_id: str) -> None:
        """Discard a draft if the question about this very draft is shown, else ask it.

        The question is void once the screen or the typed text is another one.
        """
        drafts = self._workspace.drafts
        question = write_words.discard_question(draft, key_of(action_id))

        def is_kept() -> bool:
            kept = drafts.get(draft.run_id)
            return kept is not None and kept.edits == draft.edits

        if not self._chrome.has_confirmed(question, is_kept):
            return
        drafts.drop(draft.run_id)
        self._chrome.panel.drop_draft()
        self._chrome.go_to_list()
        self._runs.table.flags_changed(draft.run_id)
        self._chrome.set_status(write_words.draft_discarded(draft))

    def tell_drafts_failed(self, fault: RuntuiError) -> None:
        """Say that typed text is only in memory."""
        words = f"Drafts cannot be saved: they are lost when you quit. {fault}"
        self._chrome.set_status(words, "error", lambda: self._workspace.drafts.fault is not None)

    def tell_of_drafts(self) -> None:
        """At the start, report the drafts from the last session, unless something else was reported, or why they cannot
        be read."""
        drafts = self._workspace.drafts
        if drafts.fault is not None:
            self.tell_drafts_failed(drafts.fault)
        elif any(self._workspace.save_of(run_id) for run_id in drafts):
            return  # a first change is in progress, and loaded the code that reports it
        elif (count := len(drafts)) and not self._chrome.status.text:
            self._chrome.set_status(write_words.drafts_found(count), shown_while=lambda: len(drafts) == count)

    def tell_of_unlisted_drafts(self) -> None:
        """When the list is complete, report drafts whose runs are not in it."""
        store, drafts = self._workspace.store, self._workspace.drafts

        def count_unlisted() -> int:
            return sum(store.get(run_id) is None for run_id in drafts)

        if count := count_unlisted():
            self._chrome.set_status(write_words.drafts_unlisted(count), "warning", lambda: count_unlisted() == count)


def _throttled(workspace: Workspace, first: str | None = None) -> list[Save]:
    """Return the changes of one run that wait until the service takes requests again, the one of run `first` first."""
    paused = (save for save in workspace.saves.active() if save.step is Step.PAUSED and not save.batch)
    return sorted(paused, key=lambda save: save.run_id != first)
