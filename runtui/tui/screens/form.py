"""The form of one run: it turns what is typed into a draft, and hands the draft on.

Invariant: the draft is the only state; leaving the form loses nothing, and nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from runtui.domain.draft import BodyMode, Conflict, Draft, caught_up
from runtui.domain.properties import EDITABLE, Property
from runtui.domain.times import now_ticks
from runtui.services.drafts import Drafts
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content, in_lines, middle
from runtui.tui.widgets.field_form import FieldForm, FieldRow, FieldSelect, moment_reading
from runtui.tui.words import draft_words

_HELP_LINES: Final = 2
"""The lines below the fields: warnings stand first there, and the rest gives way."""


class DraftEditor(Widget):
    """The fields of a draft, and help below for the one that has the keys.

    Args:
        keep: Called with each state of the draft before it is drawn.
    """

    DEFAULT_CSS = """
    DraftEditor { layout: vertical; height: 1fr; }
    DraftEditor FieldForm { height: 1fr; }
    DraftEditor #field-help { height: 2; padding: 0 1; }
    """

    def __init__(self, keep: Callable[[Draft], None] = lambda _draft: None) -> None:
        super().__init__()
        self._keep = keep
        self.draft: Draft | None = None
        self.newer: Mapping[str, Any] = {}
        """The run as read since the draft was opened, Graph's JSON object; empty until then."""
        self._drawn: Draft | None = None
        """The draft that fields and help stand for."""
        self._field: Property | None = None
        self._focused: Widget | None = None

    def compose(self) -> ComposeResult:
        yield FieldForm()
        yield Static(id="field-help", markup=False)

    @property
    def form(self) -> FieldForm:
        return self.query_one(FieldForm)

    @property
    def counts(self) -> str:
        """How many fields are changed and how many wrong, as it stands in a title."""
        if self.draft is None:
            return ""
        counts = ((len(self.draft.changes()), "changed"), (len(self.draft.errors()), "wrong"))
        return "".join(f"  {count} {word}" for count, word in counts if count)

    def open(self, draft: Draft, mixed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Show a draft, `mixed` as in `FieldForm.load`; the focus goes to processingStatus."""
        self.draft = self._drawn = draft
        self.newer = {}
        self.form.load(draft, mixed)
        self._focused = self.query(FieldSelect).first()
        self.take_focus()

    def take_focus(self) -> None:
        """Back to the field that had the keys; in a new draft to processingStatus."""
        if self._focused is not None:
            self.screen.set_focus(self._focused)

    def before(self, action_id: str) -> None:
        """What is typed by now counts; a review that will be refused also brings the errors into sight."""
        self.take_typed()
        self._draw()
        if action_id == "review" and self.draft is not None and self.draft.errors():
            self.form.focus_error()

    def take_typed(self) -> None:
        """Make the draft say what the controls say, and keep it."""
        if self.draft is not None:
            draft = self.form.typed_over(self.draft, now_ticks())
            if draft is not self.draft:
                self.draft = draft
                self._keep(draft)

    def replace_draft(self, draft: Draft, *names: str) -> None:
        """Go on with another draft, whose texts go into the fields of these names."""
        self.form.put(draft, *names)
        self.draft, self._drawn = draft, None
        self._keep(draft)
        self._draw()
        self.post_message(ActionView.Changed())

    def revert(self) -> None:
        """Take back what was typed into the field with the focus."""
        row = self.form.focused_row()
        if row is not None and self.draft is not None:
            self.replace_draft(self.draft.reverted(row.field.name), row.field.name)

    def on_mount(self) -> None:
        """Follow each control: within the key that changes it, before the screen can show it."""
        for row in self.form.query(FieldRow):
            self.watch(row.control, "value", self._typed, init=False)
        self.watch(self.screen, "focused", self._entered, init=False)

    def _typed(self) -> None:
        if not self.form.is_filling:
            self.take_typed()
            self.post_message(ActionView.Changed())

    def on_action_view_changed(self) -> None:
        """Draw what follows from the draft, the newest one once; the frame does the same with what is around it."""
        self._draw()

    def _entered(self) -> None:
        """Say what the field means that gets the keys, in the frame that shows it."""
        if (row := self.form.focused_row()) is not None:
            self._field, self._focused = row.field, row.control
            self._show_help()

    def _draw(self) -> None:
        if self.draft is not None and self.draft is not self._drawn:
            self._drawn = self.draft
            self.form.show(self.draft, self.newer)
            self._show_help()

    def _show_help(self) -> None:
        if self._field is None or self.draft is None:
            return
        field = self._field
        reading = moment_reading(self.draft.text(field), now_ticks()) if field.kind == "datetime" else ""
        edit = self.draft.edits.get(field.name)
        if edit is not None and isinstance(edit.value, str) and field.kind == "datetime":
            reading = f"{edit.value} = {moment_reading(edit.value, now_ticks())}"
        warnings = "  ".join(f"! {sentence}" for sentence in self.draft.warnings())
        text = content("  ".join(part for part in (warnings, field.help, reading) if part))
        help_line = self.query_one("#field-help", Static)
        help_line.update(in_lines(text, max(1, help_line.content_size.width), _HELP_LINES), layout=False)

    def on_resize(self) -> None:
        """Cut the help anew."""
        self.call_after_refresh(self._show_help)


class FormView(ActionView[None]):
    """Shows one draft at a time."""

    scope = "edit"

    def __init__(self, drafts: Drafts) -> None:
        """A form that keeps each state of its draft before it is drawn: what is seen is on its way to the disk."""
        super().__init__()
        self.editor = DraftEditor(drafts.keep)
        self._disputed: tuple[Conflict, ...] = ()
        """What was typed and changed on the server meanwhile, as far as it was told."""
        self._workflow_name = ""

    def compose(self) -> ComposeResult:
        yield self.editor

    @property
    def draft(self) -> Draft | None:
        return self.editor.draft

    def open(self, draft: Draft, workflow_name: str) -> None:
        """Show a draft; the focus goes to processingStatus."""
        self._disputed, self._workflow_name = (), workflow_name
        self.editor.open(draft)

    def take_focus(self) -> None:
        self.editor.take_focus()

    def resumed(self) -> None:
        """The run may have been read meanwhile."""
        self._follow_the_run()

    def show_in(self, panel: Panel) -> None:
        """The request that the draft would make."""
        if self.draft is not None:
            panel.show_draft(self.draft)

    def before(self, action_id: str) -> None:
        self.editor.before(action_id)

    def on_descendant_focus(self) -> None:
        """A dropdown may have closed."""
        self._follow_the_run()

    def catch_up(self, run_id: str, now: Mapping[str, Any]) -> None:
        """The run of the draft has been read; of another run, nothing happens."""
        if self.draft is not None and self.draft.run_id == run_id:
            # A property that the answer leaves out says nothing.
            self.editor.newer = {**self.draft.received, **now}
            self._follow_the_run()

    def _follow_the_run(self) -> None:
        """Let untouched fields take the values that the run has by now, and say what moved.

        Not below a review, whose request must stay as it is shown, nor below an open dropdown: that would close.
        """
        newer = self.editor.newer
        if not newer or not self.screen.is_active or self.editor.form.is_choosing:
            return
        self.editor.take_typed()
        before = self.draft
        if before is None:
            return
        draft = caught_up(before, newer)
        disputed = tuple(conflict for conflict in draft.conflicts(newer) if conflict.field.name in draft.edits)
        if draft is not before or disputed != self._disputed:
            self._disputed = disputed
            moved = (field.name for field in EDITABLE if draft.text(field) != before.text(field))
            self.editor.replace_draft(draft, *moved)
            if words := draft_words.caught_up(before, draft, disputed):
                self.frame.set_status(words, "warning" if disputed else "information")

    def title(self) -> Content:
        """What changed, what is wrong, and whose run it is."""
        if self.draft is None:
            return Content()
        name, run_id = content(self._workflow_name), content(middle(self.draft.run_id, 24))
        return Content.assemble(("Edit", "bold"), self.editor.counts, "  ", name, "  ", run_id)

    def action_changed_only(self) -> None:
        """Send all required properties, or only what changed."""
        if self.draft is None:
            return
        mode: BodyMode = "changed" if self.draft.mode == "full" else "full"
        self.editor.replace_draft(self.draft.with_mode(mode))
        words = "only what changed" if mode == "changed" else "every required property and what changed"
        self.frame.set_status(f"The request carries {words}.")

    def action_revert(self) -> None:
        """Take back what was typed into the field with the focus, which then has the newest value."""
        self.editor.revert()
        self._follow_the_run()
