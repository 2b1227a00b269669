"""The form: one row per editable property, made from `domain.fields`.

Invariant: the form shows a draft and reports what is typed; it decides nothing. Text is never lost or rewritten while
someone types, and an error appears when the field is left, then follows every key until it is gone.
"""

from __future__ import annotations

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from runtui.domain.draft import Draft
from runtui.domain.enums import OpenEnum
from runtui.domain.fields import FIELDS, FieldSpec
from runtui.domain.times import ago, local_text, now_ticks, parse_ticks
from runtui.tui.text import content, plain


class FieldInput(Input):
    """One line of free text; what is pasted arrives whole, in one line, without blanks at its ends."""

    def __init__(self, value: str) -> None:
        super().__init__(value, compact=True, select_on_focus=False)
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        self.insert_text_at_cursor(plain(" ".join(event.text.split())))
        event.stop()
        event.prevent_default()


class FieldSelect(Select[str], inherit_bindings=False):
    """A dropdown with a meaning beside each value; the value as received is always among them."""

    BINDINGS = [Binding("enter,space", "show_overlay", "open")]

    def __init__(self, choices: OpenEnum, received: object, value: str) -> None:
        names = list(choices.names)
        if isinstance(received, str) and not choices.is_known(received):
            names.insert(0, received)
        width = max(len(plain(name)) for name in names)
        options = [(Text(f"{plain(name):{width}}  {choices.meaning(name)}"), name) for name in names]
        chosen = value if value in names else Select.NULL
        super().__init__(
            options, value=chosen, allow_blank=chosen is Select.NULL, prompt="no value received", compact=True
        )


class FieldRow(Widget):
    """Label, control and note of one property, and its error under them."""

    DEFAULT_CSS = """
    FieldRow {
        height: auto;
        & > Horizontal { height: 1; }
        .field--label { width: 29; }
        FieldInput, FieldSelect { width: 1fr; }
        FieldSelect #label { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        FieldSelect > SelectOverlay { width: 62; text-wrap: nowrap; text-overflow: ellipsis; }
        .field--note { width: 12; padding: 0 0 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        .field--was, .field--error { display: none; padding: 0 1 0 29; height: auto; }
        &.-changed .field--was { display: block; }
        &.-invalid .field--error { display: block; }
    }
    """

    def __init__(self, field: FieldSpec, draft: Draft) -> None:
        super().__init__(id=f"field-{field.name}")
        self.field = field
        self._draft = draft
        self._error_is_shown = False

    def compose(self) -> ComposeResult:
        """Lay the row out."""
        star = Content.styled(" *", "$text-accent") if self.field.required else Content("")
        text = self._draft.text(self.field)
        with Horizontal():
            yield Static(Content(self.field.name) + star, classes="field--label", markup=False)
            if self.field.choices is not None:
                yield FieldSelect(self.field.choices, self._draft.received.get(self.field.name), text)
            else:
                yield FieldInput(plain(text))
            if self.field.choices is None:
                yield Static("", classes="field--note", markup=False)
        yield Static("", classes="field--was", markup=False)
        yield Static("", classes="field--error", markup=False)

    def on_mount(self) -> None:
        """Draw note and error of the draft as it was opened."""
        self._error_is_shown = self.field.name in self._draft.errors()
        self.show(self._draft)

    @property
    def control(self) -> Input | Select[str]:
        """The input or the dropdown."""
        return self.query_one(FieldInput) if self.field.choices is None else self.query_one(FieldSelect)

    def show(self, draft: Draft) -> None:
        """Follow the draft: what it was, or what it is; and the error once the field was left with it."""
        self._draft = draft
        edit = draft.edits.get(self.field.name)
        changed = edit is not None
        self.set_class(changed, "-changed")
        received = draft.received_text(self.field)
        if self.field.choices is None:
            self.query_one(".field--note", Static).update(self._reading(draft))
        self.query_one(".field--was", Static).update(content(f"was {received or 'empty'}"))
        error = draft.errors().get(self.field.name, "")
        if not error:
            self._error_is_shown = False
        self.set_class(bool(error) and self._error_is_shown, "-invalid")
        self.query_one(".field--error", Static).update(content(error))

    def show_error(self) -> None:
        """From now on the error of this field, if any, is in sight."""
        self._error_is_shown = True
        self.show(self._draft)

    def revert(self) -> None:
        """Put the text as received back into the control."""
        text = self._draft.received_text(self.field)
        if isinstance(self.control, Input):
            self.control.value = plain(text)
        elif text:
            self.control.value = text

    def _reading(self, draft: Draft) -> Content:
        """The type of a count; of a date-time, how far from now it is."""
        if self.field.kind == "count":
            return Content(self.field.type_name)
        edit = draft.edits.get(self.field.name)
        value = draft.received.get(self.field.name) if edit is None else edit.value
        try:
            return Content(ago(parse_ticks(value), now_ticks()) if isinstance(value, str) else "not set")
        except ValueError:
            return Content("no date")


class FieldForm(VerticalScroll, can_focus=False):
    """All fields of a draft, in groups."""

    BINDINGS = [Binding("up", "previous", "previous field"), Binding("down", "next", "next field")]
    DEFAULT_CSS = """
    FieldForm { scrollbar-size-vertical: 1; }
    FieldForm .form--group { height: 1; }
    """

    class Typed(Message):
        """Text was typed into a field, or a value chosen."""

        def __init__(self, form: FieldForm, name: str, text: str) -> None:
            super().__init__()
            self.form = form
            self.name = name
            self.text = text

        @property
        def control(self) -> FieldForm:
            """The form."""
            return self.form

    class FieldEntered(Message):
        """Another field has the focus."""

        def __init__(self, form: FieldForm, field: FieldSpec) -> None:
            super().__init__()
            self.form = form
            self.field = field

        @property
        def control(self) -> FieldForm:
            """The form."""
            return self.form

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    def compose(self) -> ComposeResult:
        """Lay the groups out, each under its name."""
        group = ""
        for field in FIELDS:
            if field.group != group:
                group = field.group
                yield Static(group, classes="form--group", markup=False)
            yield FieldRow(field, self._draft)

    def row(self, name: str) -> FieldRow:
        """The row of a property."""
        return self.query_one(f"#field-{name}", FieldRow)

    def show(self, draft: Draft) -> None:
        """Follow the draft."""
        self._draft = draft
        for row in self.query(FieldRow):
            row.show(draft)

    def show_errors(self) -> None:
        """Bring every error into sight, and the focus to the first one."""
        for row in self.query(FieldRow):
            row.show_error()
        for row in self.query(FieldRow).filter(".-invalid"):
            row.control.focus()
            break

    def focused_row(self) -> FieldRow | None:
        """The row whose control has the focus."""
        focused = self.screen.focused
        return next((row for row in self.query(FieldRow) if focused is not None and row in focused.ancestors), None)

    def action_next(self) -> None:
        """To the next field."""
        self.screen.focus_next("FieldInput, FieldSelect")

    def action_previous(self) -> None:
        """To the field before."""
        self.screen.focus_previous("FieldInput, FieldSelect")

    @on(Input.Changed)
    def _input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._typed(event.input, event.value)

    @on(Select.Changed)
    def _select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self._typed(event.select, "" if event.value is Select.NULL else str(event.value))

    def _typed(self, control: Widget, text: str) -> None:
        row = next(node for node in control.ancestors if isinstance(node, FieldRow))
        if text != plain(self._draft.text(row.field)):
            self.post_message(self.Typed(self, row.field.name, text))

    @on(Input.Submitted)
    def _input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_next()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Tell which field keys go to."""
        row = next((node for node in event.widget.ancestors if isinstance(node, FieldRow)), None)
        if row is not None:
            self.post_message(self.FieldEntered(self, row.field))

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """A field that is left shows its error."""
        row = next((node for node in event.widget.ancestors if isinstance(node, FieldRow)), None)
        if row is not None:
            row.show_error()


def moment_reading(text: str, now: int) -> str:
    """A date-time in words: local wall clock and distance from now; empty when it is none."""
    try:
        ticks = parse_ticks(text)
    except ValueError:
        return ""
    return f"{local_text(ticks)} here, {ago(ticks, now)}"
