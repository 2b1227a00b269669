"""The form of one run, which turns typed text into a draft.

Invariant: the draft is the only state; leaving the form loses nothing, and the form sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from runtui.domain.draft import BodyMode, Conflict, Draft, caught_up
from runtui.domain.properties import EDITABLE
from runtui.domain.text import count_words
from runtui.domain.times import ago, moment_text, now_ticks, parse_ticks
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content, in_lines, middle, plain
from runtui.tui.widgets.field_form import FieldForm
from runtui.tui.words import write_words

_HELP_LINES: Final = 2
"""The lines below the fields; warnings come first there, and the rest is cut."""


class HelpLines(Widget):
    """Lines with warnings about the draft, the help of a field and the meaning of its text, cut to the room."""

    DEFAULT_CSS = f"HelpLines {{ height: {_HELP_LINES}; padding: 0 1; }}"

    text: reactive[Content] = reactive(Content())

    def render(self) -> Content:
        return in_lines(self.text, max(1, self.content_size.width), self.size.height)

    def explain(self, form: FieldForm) -> None:
        """Show the help of the form's current field; above an open dropdown, only how to find a value there."""
        draft, field, menu = form.shown.draft if form.shown is not None else None, form.field, form.menu
        if draft is None:
            return
        room = form.size.height + self.size.height - 1 - _HELP_LINES
        hidden = len(menu.lines) - room if menu is not None else 0
        lines = _HELP_LINES - int(hidden > 0)
        if self.size.height != lines:
            self.styles.height = lines
        if menu is not None:
            more = f" {count_words(hidden - 1, 'value')} out of sight." if hidden > 1 else ""
            self.text = Content(f"Type to find a value.{more}")
            return
        reading = moment_reading(draft.text(field), now_ticks()) if field.kind == "datetime" else ""
        edit = draft.edits.get(field.name)
        if edit is not None and isinstance(edit.value, str) and field.kind == "datetime":
            reading = f"{edit.value} = {moment_reading(edit.value, now_ticks())}"
        warnings = "  ".join(f"! {sentence}" for sentence in draft.warnings())
        self.text = content("  ".join(part for part in (warnings, field.help, reading) if part))


class DraftFields(Widget):
    """The part of a view that shows a draft, in the form of one run and in that of many: its fields, with help below
    for the one with the focus.

    Args:
        keep: Called with each new state of the draft before it is drawn.
    """

    DEFAULT_CSS = """
    DraftFields { height: 1fr; }
    DraftFields FieldForm { height: 1fr; }
    """

    draft: Draft | None = None

    def __init__(self, keep: Callable[[Draft], None] = lambda _draft: None) -> None:
        super().__init__()
        self._keep = keep
        self.newer: Mapping[str, Any] = {}
        """The run (Graph's JSON object) as last read since the draft was opened; empty until then."""
        self.fields = FieldForm()
        self._help = HelpLines()

    def compose(self) -> ComposeResult:
        yield self.fields
        yield self._help

    def load(self, draft: Draft, mixed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Show a draft and focus processingStatus; see `FieldForm.load` for `mixed`."""
        self.draft, self.newer = draft, {}
        self.fields.load(draft, mixed)
        self._help.explain(self.fields)
        self.take_focus()

    def take_focus(self) -> None:
        self.fields.take_focus()

    def before(self, action_id: str) -> None:
        """Go to the first field with an error before a review, which would be refused."""
        if action_id == "review" and self.draft is not None and (errors := self.draft.errors()):
            self.fields.enter(next(field.name for field in EDITABLE if field.name in errors))

    def replace_draft(self, draft: Draft) -> None:
        """Replace the draft, keep it, and put its texts into the fields."""
        self.draft = draft
        self._keep(draft)
        self.fields.put(draft, self.newer)
        self._help.explain(self.fields)
        self.post_message(ActionView.Changed())

    def action_revert(self) -> None:
        if self.draft is not None:
            self.replace_draft(self.draft.reverted(self.fields.field.name))

    def on_field_form_edited(self, event: FieldForm.Edited) -> None:
        """Take the text of an edited field into the draft, keep the draft, and redraw."""
        event.stop()
        draft = self.draft
        if draft is None:
            return
        received = draft.received_text(event.field)
        # If both look the same on the screen, the person has not changed the received text.
        text = received if event.text == plain(received) else event.text
        if text != draft.text(event.field):
            self.draft = draft.typed(event.field.name, text, now_ticks())
            self._keep(self.draft)
            self.post_message(ActionView.Changed())
        self.fields.show(self.draft or draft, self.newer)
        self._help.explain(self.fields)

    def on_field_form_entered(self) -> None:
        """Show the help of the entered field in the same frame."""
        self._help.explain(self.fields)
        self.post_message(ActionView.Changed())


def counts_of(draft: Draft) -> str:
    """Return the number of changed and of wrong fields, as text for a title."""
    counts = ((len(draft.changes()), "changed"), (len(draft.errors()), "wrong"))
    return "".join(f"  {count} {word}" for count, word in counts if count)


class FormView(DraftFields, ActionView[None]):
    """The form as a view of a screen; it shows one draft at a time."""

    scope = "edit"
    needs_panel = True

    def __init__(self, keep: Callable[[Draft], None]) -> None:
        """Create the form; it calls `keep` with each state of its draft before drawing it, to write it to disk."""
        super().__init__(keep)
        self._disputed: tuple[Conflict, ...] = ()
        """The conflicts with the server's newer values that were reported last."""
        self._workflow_name = ""

    def open(self, draft: Draft, workflow_name: str) -> None:
        self._disputed, self._workflow_name = (), workflow_name
        self.load(draft)

    def show_in(self, panel: Panel) -> None:
        if self.draft is not None:
            panel.show_draft(self.draft)

    def catch_up(self, run_id: str, now: Mapping[str, Any]) -> None:
        """Take over a newly read run; ignore it if it is not the draft's run."""
        if self.draft is not None and self.draft.run_id == run_id:
            # A property missing in the response keeps its received value.
            self.newer = {**self.draft.received, **now}
            self._follow_the_run()

    def _follow_the_run(self) -> None:
        """Update unedited fields to the run's newest values, and say what changed.

        Do nothing below a review, whose request must stay as shown, or while a dropdown is open, which would close.
        """
        newer = self.newer
        if not newer or not self.screen.is_active or self.fields.menu is not None:
            return
        before = self.draft
        if before is None:
            return
        draft = caught_up(before, newer)
        disputed = tuple(conflict for conflict in draft.conflicts(newer) if conflict.field.name in draft.edits)
        if draft is not before or disputed != self._disputed:
            self._disputed = disputed
            self.replace_draft(draft)
            if words := write_words.run_has_changed(before, draft, disputed):
                self.say(words, "warning" if disputed else "information")

    resumed = _follow_the_run
    """The run may have been read meanwhile."""
    on_field_form_entered = _follow_the_run
    """Its newer values wait while a dropdown is open."""

    def title(self) -> Content:
        """Return the counts of changed and wrong fields, the workflow's name and the run's id."""
        if self.draft is None:
            return Content()
        name, run_id = content(self._workflow_name), content(middle(self.draft.run_id, 24))
        return Content.assemble(("Edit", "bold"), counts_of(self.draft), "  ", name, "  ", run_id)

    def action_changed_only(self) -> None:
        """Switch between sending all required properties and only the changed ones."""
        if self.draft is None:
            return
        mode: BodyMode = "changed" if self.draft.mode == "full" else "full"
        self.replace_draft(self.draft._replace(mode=mode))
        words = "only what changed" if mode == "changed" else "every required property and what changed"
        self.say(f"The request contains {words}.")

    def action_revert(self) -> None:
        super().action_revert()
        self._follow_the_run()


def moment_reading(text: str, now: int) -> str:
    """Return a date-time as local time and its distance from `now` (ticks); empty if the text is no date-time."""
    try:
        ticks = parse_ticks(text)
    except ValueError:
        return ""
    return f"{moment_text(ticks, now)}, {ago(ticks, now)}"
