"""The form of many runs: what they have in common, and what is typed for all of them.

Invariant: the model is the only state; leaving the form loses nothing, and nothing is sent from here. A field that
nobody touches keeps its value in every run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from runtui.domain.bulk_draft import MarkedRun, drafts_of, mixed_values, runs_word
from runtui.domain.draft import Draft
from runtui.domain.properties import Property
from runtui.domain.times import now_ticks
from runtui.domain.triage.service_actions import Operation
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content
from runtui.tui.widgets.field_form import FieldForm, FieldRow, FieldSelect, moment_reading
from runtui.tui.words import draft_words


class BulkFormView(ActionView[None]):
    """Shows the model of some runs."""

    scope = "edit"
    BINDINGS = bindings("edit")
    DEFAULT_CSS = """
    BulkFormView { layout: vertical; height: 1fr; }
    BulkFormView FieldForm { height: 1fr; }
    BulkFormView #field-help { height: auto; max-height: 2; padding: 0 1; }
    """

    def __init__(self, review: Callable[[], Awaitable[None]]) -> None:
        """A form that `review` asks about."""
        super().__init__(name="bulk-edit")
        self._review = review
        self.runs: Sequence[MarkedRun] = ()
        self._drawn: Draft | None = None
        self._first: tuple[Draft, Operation] | None = None
        """A model, and the draft of the first run that it would change."""
        self._field: Property | None = None
        self._focused: Widget | None = None

    def compose(self) -> ComposeResult:
        yield FieldForm()
        yield Static(id="field-help", markup=False)

    @property
    def form(self) -> FieldForm:
        """The fields."""
        return self.query_one(FieldForm)

    @property
    def run_id(self) -> str | None:
        """None: keys act on many runs."""
        return None

    def open(self, model: Draft, runs: Sequence[MarkedRun]) -> None:
        """Show the model of some runs; the focus goes to processingStatus."""
        self.draft = self._drawn = model
        self.runs = runs
        self.form.load(model, mixed_values(runs))
        self._focused = self.query(FieldSelect).first()
        self.screen.set_focus(self._focused)

    def take_focus(self) -> None:
        """Back to the field that had the keys."""
        if self._focused is not None:
            self.screen.set_focus(self._focused)

    def title(self) -> Content:
        """How many runs, what changed, and what is wrong."""
        draft = self.draft
        if draft is None:
            return Content()
        errors, changes = len(draft.errors()), len(draft.changes())
        counts = f"  {changes} changed" if changes else ""
        counts += f"  {errors} wrong" if errors else ""
        return Content.assemble((f"Edit {runs_word(len(self.runs))}", "bold"), counts)

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
        """What is typed by now counts; a review that will be refused also brings the errors into sight."""
        self._keep_what_is_typed()
        self._draw()
        if action_id == "review" and self.draft is not None and self.draft.errors():
            self.form.focus_error()

    def on_mount(self) -> None:
        """Follow each control."""
        for row in self.form.query(FieldRow):
            self.watch(row.control, "value", self._typed, init=False)

    def _typed(self) -> None:
        if not self.form.is_filling:
            self._keep_what_is_typed()
            self.post_message(self.Changed())

    def _keep_what_is_typed(self) -> None:
        """Make the model say what the controls say."""
        if self.draft is not None:
            self.draft = self.form.typed_over(self.draft, now_ticks())

    def on_action_view_changed(self) -> None:
        """Draw what follows from the model."""
        self._draw()

    def on_field_form_field_entered(self, event: FieldForm.FieldEntered) -> None:
        """Say what the field means."""
        self._field = event.field
        self._focused = event.form.row(event.field.name).control
        self._show_help()

    def _draw(self) -> None:
        if self.draft is not None and self.draft is not self._drawn:
            self._drawn = self.draft
            self.form.show(self.draft, {})
            self._show_help()

    def _show_help(self) -> None:
        if self._field is None or self.draft is None:
            return
        edit = self.draft.edits.get(self._field.name)
        is_moment = edit is not None and isinstance(edit.value, str) and self._field.kind == "datetime"
        reading = f"{edit.value} = {moment_reading(str(edit.value), now_ticks())}" if is_moment and edit else ""
        self.query_one("#field-help", Static).update(content("  ".join(filter(None, (self._field.help, reading)))))

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
        if self.frame.chrome.status.text != question:
            self.set_status(question, "warning", lambda: self.draft is draft)
            return
        self.draft = None
        self.answer()
        self.frame.chrome.set_status(draft_words.dropped(draft))

    def action_changed_only(self) -> None:
        """Say what is sent: here there is no choice."""
        self.set_status("A change to many runs carries only what you change.")

    def action_revert(self) -> None:
        """Take back what was typed into the field with the focus."""
        row = self.form.focused_row()
        if row is not None and self.draft is not None:
            self.draft = self.draft.reverted(row.field.name)
            self.form.put(self.draft, row.field.name)
            self._draw()
            self.post_message(self.Changed())
