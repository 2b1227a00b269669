"""The form widget: the fields of a draft as lines, made from `domain.properties`, one of them with the cursor.

Invariant: the form shows a draft and reports typed text; it decides nothing. It never loses or rewrites text while a
person types, and shows an error under a field with an invalid text. Entering a field selects its whole text, so that
typing replaces it. The form is one widget, and a key redraws only the lines that it changes: a line depends only on
the draft, the current field and the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from runtui.domain.draft import Draft
from runtui.domain.properties import CLEARS, EDITABLE, EDITABLE_BY_NAME, Property
from runtui.domain.text import visible
from runtui.domain.times import ago, now_ticks, parse_ticks, since
from runtui.keys.actions import Scope
from runtui.tui.actions import bindings
from runtui.tui.text import content, fit, wrapped
from runtui.tui.widgets.chrome import unboxed
from runtui.tui.widgets.field_edit import (
    ChoiceMenu,
    ClosedMenu,
    EditedLine,
    EditLook,
    EditsLines,
    LineEdit,
    choice_lines,
)

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
    """Draws the lines of a form."""

    def __init__(self, form: FieldForm) -> None:
        self._form = form

    def lines(self, shown: ShownDraft, width: int) -> Iterator[FormLine]:
        """Yield all lines of the form, from the top."""
        errors, left, group = shown.draft.errors(), left_of_fields(width), None
        edge = " " * (left - _LABEL)
        for field in EDITABLE:
            if field.group != group:
                group = field.group
                yield FormLine(self._strip((edge, "name"), (group or "", "group")))
            error = errors.get(field.name, "")
            box = self._box(field, shown, width_of(field, width), is_wrong=bool(error))
            label, note = self._label(field, shown.draft, edge), self._note(field, shown, width)
            yield FormLine(Strip.join([label, box, note]), field)
            if (menu := self._menu_of(field)) is not None:
                yield from self._menu(menu, field, width)
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

    def _box(self, field: Property, shown: ShownDraft, width: int, *, is_wrong: bool) -> Strip:
        has_keys = field is self._form.field and self._form.has_focus
        look = self._style("field-focus" if has_keys else "field")
        if field.choices is not None:
            (line,) = choice_lines((shown.draft.text(field),), field.choices, shown.nothing(field))
            is_open = self._menu_of(field) is not None
            if has_keys and not is_open:  # it has no letter to show a cursor on
                return Strip([Segment(f"{fit(line, width - 2)} ▼", self._style("choice-cursor"))])
            arrow = (" ▲" if is_open else " ▼", look + self._mark("placeholder"))
            return Strip([Segment(fit(line, width - 2), look), Segment(*arrow)])
        if is_wrong:
            look += self._mark("invalid")
        marks = (self._mark(name) for name in ("selection", "cursor", "placeholder"))
        edit = self._form.edit if has_keys else LineEdit(shown.draft.text(field))
        clears = f" {CLEARS} clears it" if field.is_cleared_by(CLEARS) else ""
        placeholder = f"{MIXED}{clears}" if field.name in shown.mixed else ""
        return edit.strip(width, EditLook(look, *marks), has_keys=has_keys, placeholder=placeholder)

    def _menu_of(self, field: Property) -> ChoiceMenu | None:
        return self._form.menu if field is self._form.field else None

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
        return self._form.get_component_rich_style(f"field-form--{name}")

    def _mark(self, name: str) -> Style:
        """Return a style to add to that of a field."""
        return self._form.get_component_rich_style(f"field-form--{name}", partial=True)


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


_WALK: Final = ("up", "down", "tab", "shift+tab", "enter", "space", "home", "end", "pageup", "pagedown")


@unboxed
class FieldForm(ScrollView, EditsLines, can_focus=True, inherit_bindings=False):
    """All fields of a draft, in groups; one of them gets the keys."""

    ALLOW_SELECT = False
    BINDINGS = [
        *bindings("values"),
        *(Binding(key, f"press('{key}')", show=False) for key in _WALK),
        *EditsLines.BINDINGS,
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"field-form--{name}"
        for name in (
            *("group", "name", "changed", "required", "note", "was", "error", "placeholder"),
            *("field", "field-focus", "invalid", "selection", "cursor", "choice", "choice-cursor"),
        )
    }
    DEFAULT_CSS = "FieldForm { scrollbar-size-vertical: 1; overflow-x: hidden; }"

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)  # the number of lines moves no other widget

    class Edited(Message):
        """The text of a field has changed."""

        def __init__(self, field: Property, text: str) -> None:
            super().__init__()
            self.field = field
            self.text = text

    class Entered(Message):
        """Another field was entered, or a dropdown has opened or closed."""

    def __init__(self) -> None:
        super().__init__()
        self.field = EDITABLE[0]
        """The property whose field gets the keys while the form has the focus."""
        self.menu: ChoiceMenu | None = None
        """The open dropdown; None if none is open."""
        self.edit = LineEdit()
        """The text of that field, unless it has a dropdown."""
        self.shown: ShownDraft | None = None
        self.lines: list[FormLine] = []
        """The drawn lines, from the top."""
        self._painter = FormPainter(self)
        self._enters_at: int | None = None
        """The index of the field that tab enters next: the first after leaving by the last, and the reverse."""
        self._is_selecting = False

    # What is shown

    def load(self, draft: Draft, mixed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Show another draft, scrolled to the top; for `mixed` see `ShownDraft`."""
        self.shown = ShownDraft(draft, draft.received, mixed)  # nothing of the draft before
        self.menu = None
        self.field = next(field for field in EDITABLE if field.choices)
        self.put(draft, draft.received)
        self._scroll_to_line(0)

    def put(self, draft: Draft, now: Mapping[str, Any]) -> None:
        """Show a draft whose texts were not typed here; select the current field if its text is new."""
        text = draft.text(self.field)
        if self.field.choices is None and self.edit.text != visible(text):
            self.edit.show(text)
        self.show(draft, now)

    def show(self, draft: Draft, now: Mapping[str, Any]) -> None:
        """Show a draft whose texts were typed here; `now` is the run on the server, empty while unread."""
        self.shown = ShownDraft(draft, now, self.shown.mixed if self.shown is not None else {})
        self.draw()
        if self.has_focus:
            self._keep_in_sight()

    def enter(self, name: str) -> None:
        """Go to a field and select its whole text."""
        self._close_menu()
        self.field = EDITABLE_BY_NAME[name]
        if self.field.choices is None and self.shown is not None:
            self.edit.show(self.shown.draft.text(self.field))
        self.draw()
        self._keep_in_sight()
        self.post_message(self.Entered())

    def take_focus(self) -> None:
        """Focus the form, at its current field."""
        self._enters_at = None
        self.screen.set_focus(self)

    # Keys

    @property
    def scope(self) -> Scope | None:
        """The scope whose keys work while a dropdown is open; None without one."""
        return "values" if self.menu is not None else None

    @property
    def line(self) -> EditedLine:
        return self.menu or (self.edit if self.field.choices is None else ClosedMenu(self._open_menu))

    def edited(self) -> None:
        """Report the text, whose draft `show` draws later; in a dropdown, redraw."""
        if self.menu is None:
            self.post_message(self.Edited(self.field, self.edit.text))
        else:
            self.draw()
            self._keep_in_sight()

    def action_press(self, key: str) -> None:
        """Act on a key that goes to another field or is for a dropdown."""
        if self.menu is not None:
            self._press_in_menu(self.menu, key)
        elif key in ("tab", "shift+tab"):
            self._walk(1 if key == "tab" else -1, leaves=True)
        elif key in ("up", "down"):
            self._walk(1 if key == "down" else -1)
        elif self.field.choices is not None and key in ("enter", "space"):
            self._open_menu()
        elif key == "enter":
            self._walk(1)
        elif key in ("home", "end"):
            self.action_edit(key)
        else:
            raise SkipAction

    def _walk(self, step: int, *, leaves: bool = False) -> None:
        """Go to another field; past the ends wrap around or, with `leaves`, let Textual go to the next widget."""
        at = EDITABLE.index(self.field) + step
        if leaves and not 0 <= at < len(EDITABLE):
            self._enters_at = at % len(EDITABLE)
            raise SkipAction
        self.enter(EDITABLE[at % len(EDITABLE)].name)

    def _press_in_menu(self, menu: ChoiceMenu, key: str) -> None:
        if key in ("enter", "space", "tab", "shift+tab"):
            self._close_menu(menu.value)
            self.draw()
            if key.endswith("tab"):
                self._walk(1 if key == "tab" else -1)
        elif key == "escape":
            self._close_menu()
            self.draw()
        else:
            menu.move(key)
            self.draw()
            self._keep_in_sight()

    def _open_menu(self, letter: str = "") -> None:
        shown, field = self.shown, self.field
        if shown is not None and field.choices is not None:
            values = shown.draft.received_text(field), shown.draft.text(field)
            self.menu = ChoiceMenu(field.choices, *values, shown.nothing(field))
            self.menu.insert(letter)
            self.post_message(self.Entered())
            self.draw()
            self._keep_in_sight()

    def _close_menu(self, value: str | None = None) -> None:
        """Close the dropdown, if one is open, and report the chosen value, if there is one."""
        if value is not None:
            self.post_message(self.Edited(self.field, value))
        if self.menu is not None:
            self.menu = None
            self.post_message(self.Entered())

    # Focus and mouse

    def on_focus(self, event: events.Focus) -> None:
        """Enter the current field; keep its selection if only the terminal window got the focus back."""
        if self._enters_at is not None and not event.from_app_focus:
            self.field = EDITABLE[self._enters_at]
            self._enters_at = None
        if event.from_app_focus:
            self.draw()
        else:
            self.enter(self.field.name)

    def on_blur(self) -> None:
        self._close_menu()
        self.draw()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Go to a clicked field, or take a clicked value of the dropdown."""
        at = event.y + self.scroll_offset.y
        line = self.lines[at] if 0 <= at < len(self.lines) else None
        if line is None or line.field is None:
            return
        if line.choice is not None and self.menu is not None:
            self._close_menu(self.menu.values[line.choice])
            self.draw()
            return
        was_open = self.menu is not None
        if line.field is not self.field:
            self.enter(line.field.name)
        if self.field.choices is not None:
            self._close_menu() if was_open else self._open_menu()
        else:
            self.edit.point(event.x - left_of_fields(self._width))
            self._is_selecting = True
            self.capture_mouse()
        self.draw()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._is_selecting:
            self.edit.point(event.x - left_of_fields(self._width), selects=True)
            self.draw()

    def on_mouse_up(self) -> None:
        if self._is_selecting:
            self._is_selecting = False
            self.release_mouse()

    # Drawing

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def on_resize(self) -> None:
        self.draw()
        self._keep_in_sight()

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        return self.lines[at].strip if at < len(self.lines) else Strip([])

    def draw(self) -> None:
        """Build the lines again, and repaint those that changed."""
        before, width = self.lines, self._width
        if width and self.shown is not None:
            self.lines = list(self._painter.lines(self.shown, width))
        count = len(self.lines) or FEWEST_LINES  # so that a form mounted in advance opens without a layout
        if width and count != self.virtual_size.height:
            self.virtual_size = Size(0, count)
            self.show_vertical_scrollbar = count > self.content_size.height
            if self.show_vertical_scrollbar:  # Textual 8.2.8 updates it only in a layout
                self.vertical_scrollbar.window_virtual_size = count
            if self._width != width and self.shown is not None:  # the scrollbar has appeared or gone
                self.lines = list(self._painter.lines(self.shown, self._width))
        for at in range(max(len(before), len(self.lines))):
            if before[at : at + 1] != self.lines[at : at + 1]:
                self.refresh_line(at)
        if self.has_focus and self.lines:
            own = self.region_of(self.field.name)
            cell = self.edit.cursor_cell(own.width) if self.field.choices is None else 0
            self.app.cursor_position = own.offset + Offset(cell, 0)

    def region_of(self, name: str) -> Region:
        """Return the region of a field's text on the screen; it is outside of the form if scrolled out of view."""
        field, (x, y, _, _) = EDITABLE_BY_NAME[name], self.content_region
        line = next((at for at, line in enumerate(self.lines) if line.field is field), 0)
        left, width = left_of_fields(self._width), width_of(field, self._width)
        return Region(x + left, y + line - self.scroll_offset.y, width, 1)

    def _keep_in_sight(self) -> None:
        """Scroll only as far as needed to the current field with its group's name and the lines below it; of a
        dropdown, to as many values as fit, with the one under the cursor."""
        own = [at for at, line in enumerate(self.lines) if line.field is self.field]
        if not own:
            return
        first, last, height = own[0], own[-1], max(1, self.scrollable_content_region.height)
        if self.menu is not None:
            cursor = first + 1 + self.menu.cursor
            last = max(cursor, first + min(len(self.menu.lines), height - 1))
            if cursor == last:  # there may be no room for the field itself
                first = max(first, cursor - height + 1)
        elif first and self.lines[first - 1].field is None:
            first -= 1
        self._scroll_to_line(min(max(self.scroll_offset.y, last - height + 1), first))

    def _scroll_to_line(self, top: int) -> None:
        top = max(0, min(top, len(self.lines) - self.scrollable_content_region.height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)
