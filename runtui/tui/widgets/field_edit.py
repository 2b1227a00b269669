"""The editors in widgets that draw their own lines: a line of text, and a dropdown of an enumeration's values.

Invariant: cursor and anchor of a line are between 0 and the length of the text, and no key moves between a letter and
its combining mark. The keys are those of `LineInput`. A dropdown always offers the received value; unknown values
come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding
from textual.strip import Strip
from textual.widget import Widget

from runtui.domain.properties import OpenEnum
from runtui.domain.text import visible
from runtui.tui.text import fit

_WORD_START: Final = re.compile(r"(?<=\W)\w")

_MOVES: Final[Mapping[str, str]] = {
    "left": "letter before",
    "right": "letter after",
    "ctrl+left": "word before",
    "ctrl+right": "word after",
    "home": "start",
    "ctrl+a": "start",
    "end": "end",
    "ctrl+e": "end",
}
"""Keys that move the cursor -> its new place."""

_DELETIONS: Final[Mapping[str, str]] = {
    "backspace": "letter before",
    "delete": "letter after",
    "ctrl+d": "letter after",
    "ctrl+w": "word before",
    "ctrl+backspace": "word before",
    "alt+backspace": "word before",
    "ctrl+u": "start",
    "super+backspace": "start",
    "ctrl+k": "end",
}
"""Keys that delete from the cursor -> the end of the deletion. With a selection they delete that instead."""

_SELECTIONS: Final[Mapping[str, str]] = {
    "shift+left": "letter before",
    "shift+right": "letter after",
    "ctrl+shift+left": "word before",
    "ctrl+shift+right": "word after",
    "shift+home": "start",
    "shift+end": "end",
}
"""Keys that move the cursor but not the anchor, and so select -> its new place."""

_SELECT_ALL: Final = "ctrl+shift+a"

_PAGE: Final = 8
"""The number of values that a page key moves by."""

LINE_EDIT_KEYS: Final = (*_MOVES, *_SELECTIONS, *_DELETIONS, _SELECT_ALL)
"""Every key that `LineEdit.press` acts on."""

_CLIPBOARD: Final = ("ctrl+x", "ctrl+c", "super+c", "ctrl+v")


class EditLook(NamedTuple):
    """The styles of a line; the others are added to that of the text."""

    text: Style
    selection: Style
    cursor: Style
    placeholder: Style


class LineEdit:
    """A line of text with a cursor and a selection."""

    takes = staticmethod(str.isprintable)

    def __init__(self, text: str = "") -> None:
        self.text = visible(text)
        self.cursor = 0
        self.anchor = 0
        """The other end of the selection; equal to the cursor if nothing is selected."""
        self._left = 0
        """The first visible cell."""

    @property
    def selection(self) -> tuple[int, int]:
        return min(self.anchor, self.cursor), max(self.anchor, self.cursor)

    @property
    def selected(self) -> str:
        return self.text[slice(*self.selection)]

    def show(self, text: str) -> None:
        """Replace the text and select it whole, so that typing replaces it."""
        self.text = visible(text)
        self.select_all()

    def select_all(self) -> None:
        self.anchor, self.cursor = 0, len(self.text)

    def insert(self, text: str) -> None:
        start, end = self.selection
        self.text = f"{self.text[:start]}{text}{self.text[end:]}"
        self.cursor = self.anchor = start + len(text)

    def paste(self, text: str) -> None:
        """Replace the selection by foreign text, with its lines joined by blanks and every character visible."""
        self.insert(visible(" ".join(text.split())))

    def press(self, key: str) -> None:
        """Act on a key of LINE_EDIT_KEYS."""
        if key in _DELETIONS:
            if not self.selected:
                self.anchor = self._place(_DELETIONS[key])
            self.insert("")
        elif key == _SELECT_ALL:
            self.select_all()
        elif key in _SELECTIONS:
            self.cursor = self._place(_SELECTIONS[key])
        else:
            start, end = self.selection
            lets_go = start != end and key in ("left", "right")
            self.cursor = (start if key == "left" else end) if lets_go else self._place(_MOVES[key])
            self.anchor = self.cursor

    def _place(self, name: str) -> int:
        """Return the index where the move `name` from the cursor ends."""
        text, at = self.text, self.cursor
        if name == "start":
            return 0
        if name == "end":
            return len(text)
        if name == "word before":
            return max((match.start() for match in _WORD_START.finditer(text[:at])), default=0)
        if name == "word after":
            found = _WORD_START.search(text, at + 1)
            return found.start() if found is not None else len(text)
        step = -1 if name == "letter before" else 1
        at += step
        while 0 < at < len(text) and not cell_len(text[at]):
            at += step
        return max(0, min(at, len(text)))

    # In cells

    def point(self, cell: int, *, selects: bool = False) -> None:
        """Put the cursor on the letter at `cell` of the window; with `selects`, extend the selection to it."""
        cell, at = max(0, cell + self._left), 0
        while at < len(self.text) and cell_len(self.text[: at + 1]) <= cell:
            at += 1
        self.cursor = at
        if not selects:
            self.anchor = at

    def cursor_cell(self, width: int) -> int:
        """Scroll a window of `width` cells as little as needed for the cursor, and return the cursor's cell in it."""
        cell, end = cell_len(self.text[: self.cursor]), cell_len(self.text)
        self._left = max(cell - width + 1, min(self._left, cell, max(0, end - width + 1)))
        return cell - self._left

    def strip(self, width: int, look: EditLook, *, has_keys: bool = True, placeholder: str = "") -> Strip:
        """Draw the window of `width` cells; without the focus, it shows the start of the text."""
        if placeholder and not self.text:
            strip = Strip([Segment(fit(placeholder, width), look.text + look.placeholder)])
            return Strip.join([strip.crop(0, 1).apply_style(look.cursor), strip.crop(1)]) if has_keys else strip
        if not has_keys:
            return Strip([Segment(fit(self.text, width), look.text)])
        self.cursor_cell(width)
        end = self.cursor + 1
        while end < len(self.text) and not cell_len(self.text[end]):
            end += 1
        line = f"{self.text} "
        start, stop = self.selection
        segments = []
        edges = sorted({0, start, stop, self.cursor, end, len(line)})
        for first, last in pairwise(edges):
            style = look.text
            if start <= first < stop:
                style += look.selection
            if first == self.cursor:
                style += look.cursor
            segments.append(Segment(line[first:last], style))
        return Strip(segments).crop(self._left, self._left + width).extend_cell_length(width, look.text)


class ChoiceMenu:
    """A dropdown: a list of values with a cursor that wraps around at the ends.

    Args:
        choices: The enumeration.
        received: The value as received.
        chosen: The value of the field, where the cursor starts.
        nothing: The words for no value, and their meaning.
    """

    takes = staticmethod(str.isprintable)

    def __init__(self, choices: OpenEnum, received: str, chosen: str, nothing: tuple[str, str]) -> None:
        strangers = dict.fromkeys(text for text in (received, chosen) if not choices.is_known(text))
        self.values = (*strangers, *choices.names)
        self.lines = choice_lines(self.values, choices, nothing)
        """A line for each value."""
        self.cursor = self.values.index(chosen)
        self._typed = ""

    @property
    def value(self) -> str:
        return self.values[self.cursor]

    def move(self, key: str) -> None:
        self._typed = ""
        at, last = self.cursor, len(self.values) - 1
        moves = {
            "up": at - 1 if at else last,
            "down": at + 1 if at < last else 0,
            "pageup": max(0, at - _PAGE),
            "pagedown": min(last, at + _PAGE),
            "home": 0,
            "end": last,
        }
        self.cursor = moves[key]

    def insert(self, letter: str) -> None:
        """Go to the first value that starts with (else contains) the typed letters; if none does, with the last."""
        if not f"{self._typed}{letter}".strip():
            return
        for typed in (f"{self._typed}{letter}".casefold(), letter.casefold()):
            found = [at for at, line in enumerate(self.lines) if typed in line.casefold()]
            if found:
                starting = (at for at in found if self.values[at].casefold().startswith(typed))
                self._typed, self.cursor = typed, next(starting, found[0])
                return


class ClosedMenu(NamedTuple):
    """A dropdown that a letter opens, to find a value. Other signs are keys."""

    insert: Callable[[str], None]
    takes: Callable[[str], bool] = str.isalpha


EditedLine = LineEdit | ChoiceMenu | ClosedMenu


def choice_lines(values: tuple[str, ...], choices: OpenEnum, nothing: tuple[str, str]) -> list[str]:
    """Return a line per value, with the meanings aligned; `nothing` has the words for no value and their meaning."""
    width = max(cell_len(visible(value or nothing[0])) for value in values)
    return [f"{fit(value or nothing[0], width)}  {choices.meaning(value) if value else nothing[1]}" for value in values]


class EditsLines(Widget):
    """A base class for widgets that pass an input's keys to the line that they edit."""

    BINDINGS = [Binding(key, f"edit('{key}')", show=False) for key in (*LINE_EDIT_KEYS, *_CLIPBOARD)]

    @property
    def line(self) -> EditedLine | None:
        """The edited line or dropdown; None while letters are no text. Its `takes` says which characters are text."""
        raise NotImplementedError

    def edited(self) -> None:
        """Handle a change of the text."""
        raise NotImplementedError

    def draw(self) -> None:
        """Redraw what changed, such as the place of the cursor."""
        raise NotImplementedError

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.draw()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Do not match styles again: none depends on the focus."""

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002 - Textual's
        return character is not None and (line := self.line) is not None and line.takes(character)

    def on_key(self, event: events.Key) -> None:
        if event.character and (line := self.line) is not None and line.takes(event.character):
            line.insert(event.character)
            self.edited()
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        if isinstance(self.line, LineEdit):
            event.stop()
            self.line.paste(event.text)
            self.edited()

    def action_edit(self, key: str) -> None:
        """Act on an input's key; if it does not apply here, leave it to the widgets around."""
        line = self.line
        if not isinstance(line, LineEdit) or (key in _CLIPBOARD and key != "ctrl+v" and not line.selected):
            raise SkipAction
        before = line.text
        if key == "ctrl+v":
            line.paste(self.app.clipboard)
        elif key in _CLIPBOARD:
            self.app.copy_to_clipboard(line.selected)
            if key == "ctrl+x":
                line.insert("")
        else:
            line.press(key)
        if line.text != before:
            self.edited()
        else:
            self.draw()
