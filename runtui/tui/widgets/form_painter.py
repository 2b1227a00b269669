"""Draws the form: a line for each field, and below it its old value, its error or its dropdown.

Invariant: the lines depend only on the draft, the current field and the width, so that equal lines need no repaint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from runtui.domain.draft import Draft
from runtui.domain.properties import EDITABLE, Property
from runtui.domain.times import ago, now_ticks, parse_ticks, since
from runtui.tui.text import content, fit, wrapped
from runtui.tui.widgets.field_edit import ChoiceMenu, EditLook, LineEdit, choice_lines

MIXED: Final = "(mixed)"
"""The text of a field in which the runs of a bulk change differ."""

_LABEL: Final = 29
_NOTE: Final = 11
"""Widths in cells: of the label before a field, and of the note after it."""

_ROOMY: Final = 1 + _LABEL + 29 + _NOTE
"""The least width, in cells, of a form with notes: edge, label, date-time with seven fraction digits, cursor, note."""

FEWEST_LINES: Final = len(EDITABLE) + len({field.group for field in EDITABLE})
"""The lines of an unchanged draft: the fields and the names of their groups."""


class ShownDraft(NamedTuple):
    """The facts that the form shows."""

    draft: Draft
    now: Mapping[str, Any]
    """The run on the server, Graph's JSON object; empty while unread."""
    mixed: Mapping[str, str] = MappingProxyType({})
    """For each field in which the runs of a bulk change differ: their values, with counts."""

    def nothing(self, field: Property) -> tuple[str, str]:
        """Return the words for no value of an enumeration, and their meaning."""
        return (MIXED, "each run keeps its own") if field.name in self.mixed else ("", "no value received")


class Keyed(NamedTuple):
    """The current field."""

    field: Property
    edit: LineEdit
    """Its text, unless it has a dropdown."""
    menu: ChoiceMenu | None
    has_focus: bool


class FormLine(NamedTuple):
    """A line of the form."""

    strip: Strip
    field: Property | None = None
    """Its property; None for the name of a group."""
    choice: int | None = None
    """The index of its value in the dropdown; None if it shows none."""


def left_of_fields(width: int) -> int:
    """Return the cells before the fields in a form of `width` cells: the label, and an edge if there is room."""
    return _LABEL + int(width >= _ROOMY - _NOTE)


def width_of(field: Property, width: int) -> int:
    """Return the cells of a field in a form of `width` cells."""
    room = width - left_of_fields(width)
    return max(1, room - _NOTE if field.choices is None and width >= _ROOMY else room)


class FormPainter:
    """Draws the lines of a widget that has the component classes of `FieldForm`."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget

    def lines(self, shown: ShownDraft, keyed: Keyed, width: int) -> Iterator[FormLine]:
        """Yield all lines of the form, from the top."""
        errors, left, group = shown.draft.errors(), left_of_fields(width), None
        edge = " " * (left - _LABEL)
        for field in EDITABLE:
            if field.group != group:
                group = field.group
                yield FormLine(self._strip((edge, "name"), (group or "", "group")))
            error = errors.get(field.name, "")
            box = self._box(field, shown, keyed, width_of(field, width), is_wrong=bool(error))
            label, note = self._label(field, shown.draft, edge), self._note(field, shown, width)
            yield FormLine(Strip.join([label, box, note]), field)
            if field is keyed.field and keyed.menu is not None:
                yield from self._menu(keyed.menu, field, width)
            for text, name in ((_was(field, shown), "was"), (error, "error")):
                for line in wrapped(content(text), max(1, width - left - 1)) if text else ():
                    yield FormLine(self._strip((" " * left, "name"), (line.plain, name)), field)

    def _label(self, field: Property, draft: Draft, edge: str) -> Strip:
        star = " *" if field.required else ""
        name = (field.name, "changed" if field.name in draft.edits else "name")
        gap = " " * (_LABEL - cell_len(field.name) - len(star))
        return self._strip((edge, "name"), name, (star, "required"), (gap, "name"))

    def _note(self, field: Property, shown: ShownDraft, width: int) -> Strip:
        room = width - left_of_fields(width) - width_of(field, width)
        return self._strip((f" {fit(_reading(field, shown), room - 1)}" if room else "", "note"))

    def _box(self, field: Property, shown: ShownDraft, keyed: Keyed, width: int, *, is_wrong: bool) -> Strip:
        has_keys = field is keyed.field and keyed.has_focus
        look = self._style("field-focus" if has_keys else "field")
        if field.choices is not None:
            (line,) = choice_lines((shown.draft.text(field),), field.choices, shown.nothing(field))
            is_open = field is keyed.field and keyed.menu is not None
            if has_keys and not is_open:  # it has no letter to show a cursor on
                return Strip([Segment(f"{fit(line, width - 2)} ▼", self._style("choice-cursor"))])
            arrow = (" ▲" if is_open else " ▼", look + self._mark("placeholder"))
            return Strip([Segment(fit(line, width - 2), look), Segment(*arrow)])
        if is_wrong:
            look += self._mark("invalid")
        marks = (self._mark(name) for name in ("selection", "cursor", "placeholder"))
        edit = keyed.edit if has_keys else LineEdit(shown.draft.text(field))
        placeholder = MIXED if field.name in shown.mixed else ""
        return edit.strip(width, EditLook(look, *marks), has_keys=has_keys, placeholder=placeholder)

    def _menu(self, menu: ChoiceMenu, field: Property, width: int) -> Iterator[FormLine]:
        """Yield the lines of the dropdown, below the field or as far left as their meanings need."""
        room = min(max(map(cell_len, menu.lines)) + 1, width)
        indent = " " * min(left_of_fields(width), width - room)
        for at, line in enumerate(menu.lines):
            name = "choice-cursor" if at == menu.cursor else "choice"
            yield FormLine(self._strip((indent, "name"), (fit(line, room), name)), field, at)

    def _strip(self, *parts: tuple[str, str]) -> Strip:
        return Strip([Segment(text, self._style(name)) for text, name in parts if text])

    def _style(self, name: str) -> Style:
        return self._widget.get_component_rich_style(f"field-form--{name}")

    def _mark(self, name: str) -> Style:
        """Return a style to add to that of a field."""
        return self._widget.get_component_rich_style(f"field-form--{name}", partial=True)


def _was(field: Property, shown: ShownDraft) -> str:
    """Return the old value of a changed field, and the server's if that differs; empty for an unchanged field."""
    if field.name not in shown.draft.edits:
        return ""
    if field.name in shown.mixed:
        return f"was {shown.mixed[field.name]}"
    received = shown.draft.received.get(field.name)
    was = f"was {field.text(received) or 'empty'}"
    value = shown.now.get(field.name, received)
    return was if field.same(received, value) else f"{was}, {field.text(value) or 'empty'} on the server"


def _reading(field: Property, shown: ShownDraft) -> str:
    """Return the note beside a field: the type of a count, the distance of a date-time from now."""
    if field.kind == "count":
        return field.type_name
    edit = shown.draft.edits.get(field.name)
    if (edit is None and field.name in shown.mixed) or field.name in shown.draft.errors():
        return ""
    value = shown.draft.received.get(field.name) if edit is None else edit.value
    distance = since if edit is None and field.is_recorded else ago
    try:
        return distance(parse_ticks(value), now_ticks()) if isinstance(value, str) else "not set"
    except ValueError:
        return "no date"
