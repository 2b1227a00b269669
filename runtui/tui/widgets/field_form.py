"""The form: one row per editable property, made from `domain.properties`.

Invariant: the form shows a draft and reports what is typed; it decides nothing. Text is never lost or rewritten while
someone types, and an error stands under its field while the text there is no value. A field that gets the keys is
selected whole: what is typed takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from runtui.domain.draft import Draft
from runtui.domain.properties import EDITABLE, OpenEnum, Property
from runtui.domain.times import ago, moment_text, now_ticks, parse_ticks, since
from runtui.tui.text import content, fit, plain
from runtui.tui.widgets.inputs import LineInput

MIXED: Final = "(mixed)"
"""Stands in a field of several runs that have several values."""


class FieldInput(LineInput):
    """One line of free text."""

    def __init__(self) -> None:
        super().__init__(select_on_focus=True)

    def on_blur(self) -> None:
        """Scroll a long text back to its start."""
        self.cursor_position = 0

    def show(self, text: str) -> None:
        """Set the text, selected as on focus where it has the focus."""
        self.value = plain(text)
        if self.has_focus:
            self.select_all()
        else:
            self.cursor_position = 0

    def text_over(self, known: str) -> str:
        """The typed text; `known` itself where only its visible form is in the box."""
        return known if self.value == plain(known) else self.value


class FieldSelect(Select[str], inherit_bindings=False):
    """A dropdown with a meaning beside each value; the value as received is always among them."""

    BINDINGS = [Binding("enter,space", "show_overlay", "open")]

    def __init__(self, choices: OpenEnum) -> None:
        self._choices = choices
        self._offered: tuple[str, ...] = choices.names
        self._is_mixed = False
        super().__init__(self._options_of(choices.names), value=choices.names[0], allow_blank=False, compact=True)

    def offer(self, received: str, chosen: str, *, is_mixed: bool = False) -> None:
        """Offer every known value, unknown ones first, and select `chosen`; the empty one is called mixed where it
        stands for several."""
        self._is_mixed = is_mixed
        strangers = dict.fromkeys(text for text in (received, chosen) if not self._choices.is_known(text))
        offered = (*strangers, *self._choices.names)
        self.expanded = False
        if offered != self._offered or "" in offered:
            self._offered = offered
            self.set_options(self._options_of(offered))
        self.value = chosen

    def show(self, text: str) -> None:
        self.value = text

    def text_over(self, known: str) -> str:
        """The selected value; `known` where none is."""
        return known if self.value is Select.NULL else str(self.value)

    def _options_of(self, values: Sequence[str]) -> list[tuple[Text, str]]:
        width = max(cell_len(plain(value)) for value in values)
        nothing = MIXED if self._is_mixed else ""
        return [(Text(f"{fit(value or nothing, width)}  {self._meaning(value)}"), value) for value in values]

    def _meaning(self, value: str) -> str:
        if not value and self._is_mixed:
            return "each run keeps its own"
        return self._choices.meaning(value) if value else "no value received"


_LABEL: Final = 29
_NOTE: Final = 11
"""Cells of the label before a field, and of the note behind it."""


class Told(NamedTuple):
    """What stands around a field."""

    is_changed: bool = False
    note: str = ""
    was: str = ""
    """Its old value; empty where that is its value."""
    error: str = ""
    """Why its text is no value; empty where it is one."""


class FieldRow(Widget):
    """Label, control and note of one property, and under them its old value and its error.

    All but the control it draws itself: a form opens and follows a key as fast as it has few widgets.
    """

    DEFAULT_CSS = f"""
    FieldRow {{
        height: auto;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        FieldInput {{ margin: 0 {_NOTE} 0 {_LABEL}; }}
        FieldSelect, &.-tight FieldInput {{ margin: 0 0 0 {_LABEL}; }}
        FieldSelect #label {{ height: 1; text-wrap: nowrap; text-overflow: ellipsis; }}
        FieldSelect > SelectOverlay {{
            width: 62; max-width: 100vw; constrain: inside inside; text-wrap: nowrap; text-overflow: ellipsis;
        }}
    }}
    """

    def __init__(self, field: Property) -> None:
        super().__init__(id=f"field-{field.name}")
        self.field = field
        self.control = FieldInput() if field.choices is None else FieldSelect(field.choices)
        self.mixed = ""
        """The values by count, where the draft stands for several runs that have several."""
        self.told = Told()

    def compose(self) -> ComposeResult:
        yield self.control

    def render(self) -> Content:
        """The first line, around the control, and the lines under it."""
        told, room = self.told, self.content_size.width
        star = Content.styled(" *", "$text-accent") if self.field.required else Content("")
        first = content(self.field.name, "bold" if told.is_changed else "") + star
        if told.note and not self.has_class("-tight"):
            gap = " " * (room - _NOTE + 1 - first.cell_length)
            first = Content.assemble(first, gap, content(fit(told.note, _NOTE - 1), "$text-muted"))
        return Content("\n").join([first, *self._under(room)])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's
        """The line of the control, and those under it."""
        return 1 + len(self._under(width))

    def _under(self, room: int) -> list[Content]:
        told = ((self.told.was, "$text-warning"), (self.told.error, "$text-error"))
        width = max(1, room - _LABEL - 1)
        lines = [line for text, style in told if text for line in content(text, style).wrap(width, overflow="fold")]
        return [Content(" " * _LABEL) + line for line in lines]

    def put(self, draft: Draft) -> None:
        """Set the control to the draft's text of the field."""
        text, control = draft.text(self.field), self.control
        if isinstance(control, FieldSelect):
            control.offer(draft.received_text(self.field), text, is_mixed=bool(self.mixed))
        else:
            control.placeholder = MIXED if self.mixed else ""
            control.show(text)

    def show(self, draft: Draft, now: Mapping[str, Any]) -> None:
        """Update old value, value on the server and error from the draft."""
        is_changed = self.field.name in draft.edits
        told = Told(
            is_changed,
            self._reading(draft) if self.field.choices is None else "",
            self._was(draft, now) if is_changed else "",
            draft.errors().get(self.field.name, ""),
        )
        self.set_class(bool(told.error), "-invalid")
        if told != self.told:
            before, self.told = self.told, told
            self.refresh(layout=(before.was, before.error) != (told.was, told.error))

    def _was(self, draft: Draft, now: Mapping[str, Any]) -> str:
        if self.mixed:
            return f"was {self.mixed}"
        received = draft.received.get(self.field.name)
        was = f"was {self.field.text(received) or 'empty'}"
        value = now.get(self.field.name, received)
        return was if self.field.same(received, value) else f"{was}, {self.field.text(value) or 'empty'} on the server"

    def _reading(self, draft: Draft) -> str:
        """The note beside a field: the type of a count, the distance of a date-time from now."""
        if self.field.kind == "count":
            return self.field.type_name
        edit = draft.edits.get(self.field.name)
        if (edit is None and self.mixed) or self.field.name in draft.errors():
            return ""
        value = draft.received.get(self.field.name) if edit is None else edit.value
        distance = since if edit is None and self.field.is_recorded else ago
        try:
            return distance(parse_ticks(value), now_ticks()) if isinstance(value, str) else "not set"
        except ValueError:
            return "no date"


ROOMY: Final = 1 + _LABEL + 29 + _NOTE
"""Cells of a form from which on a note fits beside a date-time of seven fractional digits and the cursor behind it:
edge, label, field, note."""


class FieldForm(VerticalScroll, can_focus=False):
    """All fields of a draft, in groups."""

    BINDINGS = [Binding("up", "previous", "previous field"), Binding("down", "next", "next field")]
    DEFAULT_CSS = """
    FieldForm { scrollbar-size-vertical: 1; }
    FieldForm .form--group { height: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_filling = False
        """Whether the texts that change now are not typed."""

    def compose(self) -> ComposeResult:
        """Lay the groups out, each under its name."""
        group = None
        for field in EDITABLE:
            if field.group != group:
                group = field.group
                yield Static(group or "", classes="form--group", markup=False)
            yield FieldRow(field)

    def on_resize(self, event: events.Resize) -> None:
        """Hide the notes where the fields need their room, and then the edge."""
        self.query(FieldRow).set_class(event.size.width < ROOMY, "-tight")
        self.query("FieldRow, .form--group").set_class(event.size.width < ROOMY - _NOTE, "-edgeless")

    def row(self, name: str) -> FieldRow:
        return self.query_one(f"#field-{name}", FieldRow)

    def load(self, draft: Draft, mixed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Show another draft, from the top; `mixed` are the values by count of fields that have several."""
        self.scroll_home(animate=False)
        for row in self.query(FieldRow):
            row.mixed = mixed.get(row.field.name, "")
        self.put(draft, *(field.name for field in EDITABLE))
        self.show(draft, draft.received)

    def put(self, draft: Draft, *names: str) -> None:
        """Set some fields' controls to the draft's texts."""
        with self._filling():
            for row in map(self.row, names):
                row.put(draft)

    @contextmanager
    def _filling(self) -> Iterator[None]:
        """Mark the changes made within as not typed."""
        self.is_filling = True
        try:
            yield
        finally:
            self.is_filling = False

    def show(self, draft: Draft, now: Mapping[str, Any]) -> None:
        """Update every row from the draft; `now` is the run on the server, empty while unread."""
        for row in self.query(FieldRow):
            row.show(draft, now)

    @property
    def is_choosing(self) -> bool:
        return any(select.expanded for select in self.query(FieldSelect))

    def typed_over(self, draft: Draft, now: int) -> Draft:
        """The draft with the texts of the controls; "-2h" counts from `now` (ticks)."""
        for row in self.query(FieldRow):
            known = draft.text(row.field)
            text = row.control.text_over(known)
            if text != known:
                draft = draft.typed(row.field.name, _as_received(draft, row.field, text), now)
        return draft

    def focus_error(self) -> None:
        """Focus the first field with an error."""
        for row in self.query(FieldRow).filter(".-invalid"):
            row.control.focus()
            break

    def focused_row(self) -> FieldRow | None:
        """The row whose control has the focus."""
        focused = self.screen.focused
        return next((row for row in self.query(FieldRow) if focused is not None and row in focused.ancestors), None)

    def action_next(self) -> None:
        self.screen.focus_next("FieldInput, FieldSelect")

    def action_previous(self) -> None:
        self.screen.focus_previous("FieldInput, FieldSelect")

    @on(Input.Changed)
    @on(Select.Changed)
    def _control_changed(self, event: Input.Changed | Select.Changed) -> None:
        event.stop()  # whoever has to know watches the values

    @on(Input.Submitted)
    def _input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_next()


def _as_received(draft: Draft, field: Property, text: str) -> str:
    """The typed text; the received text itself where both look the same on the screen."""
    received = draft.received_text(field)
    return received if text == plain(received) else text


def moment_reading(text: str, now: int) -> str:
    """A date-time as local time and distance from `now` (ticks); empty where the text is no date-time."""
    try:
        ticks = parse_ticks(text)
    except ValueError:
        return ""
    return f"{moment_text(ticks, now)}, {ago(ticks, now)}"
