"""The form, which turns typed text into a draft: of one run, or of many.

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
from runtui.domain.rows import short_id
from runtui.domain.text import visible
from runtui.domain.times import ago, moment_text, now_ticks, parse_ticks
from runtui.domain.triage.service_actions import Operation
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content, in_lines
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
        """Show the help of the form's current field. Below an open dropdown show only how to find a value, in one line
        if the dropdown needs the other."""
        draft, field, menu = form.shown.draft if form.shown is not None else None, form.field, form.menu
        if draft is None:
            return
        room = form.size.height + self.size.height - _HELP_LINES
        lines = _HELP_LINES - int(menu is not None and 1 + len(menu.lines) > room)
        if self.size.height != lines:
            self.styles.height = lines
        if menu is not None:
            self.text = Content(f"Type to find one of {len(menu.lines)} values.")
            return
        reading = moment_reading(draft.text(field), now_ticks()) if field.kind == "datetime" else ""
        edit = draft.edits.get(field.name)
        if edit is not None and isinstance(edit.value, str) and field.kind == "datetime":
            reading = f"{edit.value} = {moment_reading(edit.value, now_ticks())}"
        # Where the runs differ, only the draft of each one knows what else it sends.
        seen = draft._replace(mode="changed") if form.shown is not None and form.shown.mixed else draft
        warnings = "  ".join(f"! {sentence}" for sentence in seen.warnings())
        self.text = content("  ".join(part for part in (warnings, field.help, reading) if part))


class FormView(ActionView[None]):
    """The form of one run, or of many with a draft that is a model of them; it shows one draft at a time.

    Args:
        keep: Called with each new state of the draft before it is drawn.
        request: Returns the operation whose request the panel shows for a draft.
    """

    scope = "edit"
    needs_panel = True
    DEFAULT_CSS = "FormView FieldForm { height: 1fr; }"

    draft: Draft | None = None

    def __init__(
        self,
        keep: Callable[[Draft], None] = lambda _draft: None,
        request: Callable[[Draft], Operation] = lambda draft: draft,
    ) -> None:
        super().__init__()
        self._keep, self._request = keep, request
        self.newer: Mapping[str, Any] = {}
        """The run (Graph's JSON object) as last read since the draft was opened; empty until then."""
        self._disputed: tuple[Conflict, ...] = ()
        """The conflicts with the server's newer values that were reported last."""
        self._heading = self._workflow_name = ""
        self.fields = FieldForm()
        self._help = HelpLines()

    def compose(self) -> ComposeResult:
        yield self.fields
        yield self._help

    def open(
        self,
        draft: Draft,
        workflow_name: str = "",
        mixed: Mapping[str, str] = MappingProxyType({}),
        *,
        heading: str = "Edit",
    ) -> None:
        """Show a draft and focus processingStatus; see `FieldForm.load` for `mixed`."""
        self.draft, self.newer, self._disputed = draft, {}, ()
        self._heading, self._workflow_name = heading, workflow_name
        self.fields.load(draft, mixed)
        self._help.explain(self.fields)
        self.take_focus()

    def take_focus(self) -> None:
        self.fields.take_focus()

    def title(self) -> Content:
        """Return the counts of changed and wrong fields, the workflow's name and the run's id."""
        if (draft := self.draft) is None:
            return Content()
        counts = ((len(draft.changes()), "changed"), (len(draft.errors()), "wrong"))
        words = (*(f"{count} {word}" for count, word in counts if count), self._workflow_name, short_id(draft.run_id))
        return Content.assemble((self._heading, "bold"), *(content(f"  {word}") for word in words if word))

    def show_in(self, panel: Panel) -> None:
        if self.draft is not None:
            panel.show_draft(self._request(self.draft))

    def on_resize(self) -> None:
        """Give an open dropdown the room that it needs."""
        self._help.explain(self.fields)

    def before(self, action_id: str) -> None:
        """Go to the first field with an error before a review, which would be refused."""
        if action_id == "review" and self.draft is not None and (errors := self.draft.errors()):
            self.fields.enter(next(field.name for field in EDITABLE if field.name in errors))

    # What a person changes

    def on_field_form_entered(self) -> None:
        """Show the help of the entered field, and the newer values that waited for an open dropdown."""
        self._follow_the_run()
        self._help.explain(self.fields)
        self.post_message(self.Changed())

    def on_field_form_edited(self, event: FieldForm.Edited) -> None:
        """Take the text of an edited field into the draft, keep the draft, and redraw."""
        event.stop()
        draft = self.draft
        if draft is None:
            return
        received = draft.received_text(event.field)
        # If both look the same on the screen, the person has not changed the received text.
        text = received if event.text == visible(received) else event.text
        if text != draft.text(event.field):
            self.draft = draft.typed(event.field.name, text, now_ticks())
            self._keep(self.draft)
            self.post_message(self.Changed())
        self.fields.show(self.draft or draft, self.newer)
        self._help.explain(self.fields)
        self._follow_the_run()

    def action_revert(self) -> None:
        if self.draft is not None:
            self._replace_draft(self.draft.reverted(self.fields.field.name))
            self._follow_the_run()

    def action_changed_only(self) -> None:
        """Switch between sending all required properties and only the changed ones."""
        if self.draft is None:
            return
        mode: BodyMode = "changed" if self.draft.mode == "full" else "full"
        self._replace_draft(self.draft._replace(mode=mode))
        words = "Sends only what changed." if mode == "changed" else "Sends every required property and what changed."
        self.say(words)

    def _replace_draft(self, draft: Draft) -> None:
        """Replace the draft, keep it, and put its texts into the fields."""
        self.draft = draft
        self._keep(draft)
        self.fields.put(draft, self.newer)
        self._help.explain(self.fields)
        self.post_message(self.Changed())

    # What the server changes

    def catch_up(self, run_id: str, now: Mapping[str, Any]) -> None:
        """Take over a newly read run; ignore it if it is not the draft's run."""
        if self.draft is not None and self.draft.run_id == run_id:
            # A property missing in the response keeps its received value.
            self.newer = {**self.draft.received, **now}
            self._follow_the_run()

    def resumed(self) -> None:
        """Take over what was read of the run meanwhile."""
        self._follow_the_run()

    def _follow_the_run(self) -> None:
        """Update unedited fields to the run's newest values, and say what changed.

        Do nothing below a review, whose request must stay as shown, while a dropdown is open, which would close, or
        while the draft has not heard of the text in a field, which would be replaced.
        """
        newer, before, fields = self.newer, self.draft, self.fields
        if before is None or not newer or not self.screen.is_active or fields.menu is not None:
            return
        if fields.field.choices is None and fields.edit.text != visible(before.text(fields.field)):
            return
        draft = caught_up(before, newer)
        disputed = tuple(conflict for conflict in draft.conflicts(newer) if conflict.field.name in draft.edits)
        if draft is not before or disputed != self._disputed:
            self._disputed = disputed
            self._replace_draft(draft)
            if words := write_words.run_has_changed(before, draft, disputed):
                self.say(words, "warning" if disputed else "information")


def moment_reading(text: str, now: int) -> str:
    """Return a date-time as local time and its distance from `now` (ticks); empty if the text is no date-time."""
    try:
        ticks = parse_ticks(text)
    except ValueError:
        return ""
    return f"{moment_text(ticks, now)}, {ago(ticks, now)}"
