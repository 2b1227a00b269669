"""The form of one run: it turns what is typed into a draft, and hands the draft on.

Invariant: the draft is the only state; leaving the form loses nothing, and nothing is sent from here.
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
from runtui.keys.actions import Scope
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content, in_lines, middle, plain
from runtui.tui.widgets.field_form import FieldForm
from runtui.tui.words import write_words

_HELP_LINES: Final = 2
"""The lines below the fields: warnings stand first there, and the rest gives way."""


class HelpLines(Widget):
    """What a field means, what its text stands for, and what speaks against the draft, as far as there is room."""

    DEFAULT_CSS = f"HelpLines {{ height: {_HELP_LINES}; padding: 0 1; }}"

    text: reactive[Content] = reactive(Content())

    def render(self) -> Content:
        return in_lines(self.text, max(1, self.content_size.width), self.size.height)


class DraftEditor(Widget):
    """The fields of a draft, and help below for the one that has the keys.

    Args:
        keep: Called with each state of the draft before it is drawn.
    """

    DEFAULT_CSS = """
    DraftEditor { layout: vertical; height: 1fr; }
    DraftEditor FieldForm { height: 1fr; }
    """

    def __init__(self, keep: Callable[[Draft], None] = lambda _draft: None) -> None:
        super().__init__()
        self._keep = keep
        self.draft: Draft | None = None
        self.newer: Mapping[str, Any] = {}
        """The run as read since the draft was opened, Graph's JSON object; empty until then."""
        self.form = FieldForm()
        self._help = HelpLines()

    def compose(self) -> ComposeResult:
        yield self.form
        yield self._help

    @property
    def scope(self) -> Scope | None:
        """Whose actions have the keys while a dropdown is open."""
        return "values" if self.form.menu is not None else None

    @property
    def counts(self) -> str:
        """How many fields are changed and how many wrong, as it stands in a title."""
        if self.draft is None:
            return ""
        counts = ((len(self.draft.changes()), "changed"), (len(self.draft.errors()), "wrong"))
        return "".join(f"  {count} {word}" for count, word in counts if count)

    def open(self, draft: Draft, mixed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Show a draft, `mixed` as in `FieldForm.load`; the focus goes to processingStatus."""
        self.draft, self.newer = draft, {}
        self.form.load(draft, mixed)
        self._show_help()
        self.form.take_focus()

    def before(self, action_id: str) -> None:
        """A review that will be refused brings the first error into sight."""
        if action_id == "review" and self.draft is not None and (errors := self.draft.errors()):
            self.form.enter(next(field.name for field in EDITABLE if field.name in errors))

    def replace_draft(self, draft: Draft) -> None:
        """Go on with another draft, whose texts go into the fields."""
        self.draft = draft
        self._keep(draft)
        self.form.put(draft, self.newer)
        self._show_help()
        self.post_message(ActionView.Changed())

    def revert(self) -> None:
        """Take back what was typed into the field with the keys."""
        if self.draft is not None:
            self.replace_draft(self.draft.reverted(self.form.field.name))

    def on_field_form_edited(self, event: FieldForm.Edited) -> None:
        """Make the draft say what the field says, keep it, and draw what follows from it."""
        event.stop()
        draft = self.draft
        if draft is None:
            return
        received = draft.received_text(event.field)
        # The received text itself, where both look the same on the screen.
        text = received if event.text == plain(received) else event.text
        if text != draft.text(event.field):
            self.draft = draft.typed(event.field.name, text, now_ticks())
            self._keep(self.draft)
            self.post_message(ActionView.Changed())
        self.form.show(self.draft or draft, self.newer)
        self._show_help()

    def on_field_form_entered(self, event: FieldForm.Entered) -> None:
        """Say what the field means, in the frame that shows it."""
        event.stop()
        self._show_help()
        self.post_message(ActionView.Changed())

    def _show_help(self) -> None:
        draft, field, menu = self.draft, self.form.field, self.form.menu
        if draft is None:
            return
        hidden = len(menu.lines) - (self.size.height - 1 - _HELP_LINES) if menu is not None else 0
        lines = _HELP_LINES - int(hidden > 0)
        if self._help.size.height != lines:
            self._help.styles.height = lines
        if menu is not None:
            more = f" {count_words(hidden - 1, 'value')} out of sight." if hidden > 1 else ""
            self._help.text = Content(f"Type to find a value.{more}")
            return
        reading = moment_reading(draft.text(field), now_ticks()) if field.kind == "datetime" else ""
        edit = draft.edits.get(field.name)
        if edit is not None and isinstance(edit.value, str) and field.kind == "datetime":
            reading = f"{edit.value} = {moment_reading(edit.value, now_ticks())}"
        warnings = "  ".join(f"! {sentence}" for sentence in draft.warnings())
        self._help.text = content("  ".join(part for part in (warnings, field.help, reading) if part))


class FormView(ActionView[None]):
    """Shows one draft at a time."""

    scope = "edit"
    needs_panel = True

    def __init__(self, keep: Callable[[Draft], None]) -> None:
        """A form that has each state of its draft kept before it is drawn: what is seen is on its way to the disk."""
        super().__init__()
        self.editor = DraftEditor(keep)
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
        self.editor.form.take_focus()

    def resumed(self) -> None:
        """The run may have been read meanwhile."""
        self._follow_the_run()

    def show_in(self, panel: Panel) -> None:
        """The request that the draft would make."""
        if self.draft is not None:
            panel.show_draft(self.draft)

    def before(self, action_id: str) -> None:
        self.editor.before(action_id)

    def on_field_form_menu_closed(self, event: FieldForm.MenuClosed) -> None:
        """What was kept from moving below the dropdown may move."""
        event.stop()
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
        if not newer or not self.screen.is_active or self.editor.form.menu is not None:
            return
        before = self.draft
        if before is None:
            return
        draft = caught_up(before, newer)
        disputed = tuple(conflict for conflict in draft.conflicts(newer) if conflict.field.name in draft.edits)
        if draft is not before or disputed != self._disputed:
            self._disputed = disputed
            self.editor.replace_draft(draft)
            if words := write_words.run_has_changed(before, draft, disputed):
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
        self.editor.replace_draft(self.draft._replace(mode=mode))
        words = "only what changed" if mode == "changed" else "every required property and what changed"
        self.frame.set_status(f"The request carries {words}.")

    def action_revert(self) -> None:
        """Take back what was typed into the field with the focus, which then has the newest value."""
        self.editor.revert()
        self._follow_the_run()


def moment_reading(text: str, now: int) -> str:
    """A date-time as local time and distance from `now` (ticks); empty where the text is no date-time."""
    try:
        ticks = parse_ticks(text)
    except ValueError:
        return ""
    return f"{moment_text(ticks, now)}, {ago(ticks, now)}"
