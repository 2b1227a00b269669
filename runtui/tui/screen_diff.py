"""The difference between two frames, as terminal output: the pure half of `output.py`.

Invariant: a terminal that shows `shown` shows `wanted` after the output of `paint`, for any two frames. Between frames
the pen is the terminal's default, so it colours no other program's output. Every sequence is known since the VT102: no
erasing in a colour, no repeating; scrolling deletes and inserts lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress, pairwise
from operator import ne
from typing import Final, NamedTuple

from rich.cells import cell_len, split_graphemes


class Pen(NamedTuple):
    """The style of a cell, in SGR parameters (ECMA-48, 8.3.117)."""

    foreground: str = ""
    """Such as `38;2;255;0;0` or `31`; empty for the terminal's default."""
    background: str = ""
    attributes: frozenset[str] = frozenset()
    """Such as `1` for bold."""
    link: str = ""
    """The parameters and the address of a hyperlink (OSC 8), `id=1;https://…`; empty for none."""


Cell = tuple[str, Pen]
"""One grapheme and its pen. The second cell of a wide grapheme holds an empty string and the same pen."""
Row = list[Cell]
Changes = Mapping[int, Sequence[int]]
"""Line -> its columns that differ, in order and never empty; only lines that differ."""

DEFAULT_PEN: Final = Pen()
BLANK: Final[Cell] = (" ", DEFAULT_PEN)
UNKNOWN: Final[Cell] = ("\0", DEFAULT_PEN)
"""A cell whose content on the terminal is unknown; no wanted cell equals it."""

_ATTRIBUTE_OFF: Final[Mapping[str, str]] = {
    "1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "8": "28", "9": "29",
}  # fmt: skip
_SEEN_ON_BLANKS: Final = frozenset({"4", "7", "9", "21", "51", "52", "53"})
_CONTROLS: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
_WIDE_EVERYWHERE: Final = (("\u1100", "\u115f"), ("\u2e80", "\uffdc"), ("\U00020000", "\U0003fffd"))
"""The ranges of wide East Asian letters. Terminals disagree on the width of emoji, flags and joined graphemes."""
_FIRST_EMOJI: Final = "\U0001f000"
_LAST_EMOJI: Final = "\U0001ffff"
_MIN_LINES_TO_SCROLL: Final = 3
_LONGEST_GAP: Final = len("\x1b[4C")
"""The most unchanged cells to write again; to move the cursor past more of them is shorter."""
_ERASE: Final = "\x1b[K"


@lru_cache(maxsize=4096)
def blank_pen(pen: Pen) -> Pen:
    """Reduce `pen` to the parts that are visible on a space."""
    if pen.link or pen.attributes & _SEEN_ON_BLANKS:
        return pen
    return Pen(background=pen.background)


@lru_cache(maxsize=1024)
def _is_narrow(character: str) -> bool:
    return cell_len(character) == 1


@lru_cache(maxsize=512)
def cells(text: str, pen: Pen) -> tuple[Cell, ...]:
    """Return the cells that `text` fills; control characters fill none.

    The cache holds about one screen of texts: a cell takes 64 bytes, and a clock on the screen makes new ones.
    """
    blank = (" ", blank_pen(pen))
    if (text.isascii() and text.isprintable()) or all(map(_is_narrow, text)):
        return tuple([blank if character == " " else (character, pen) for character in text])
    return tuple(_cells_of_graphemes(text.translate(_CONTROLS), pen, blank))


def _cells_of_graphemes(text: str, pen: Pen, blank: Cell) -> Iterator[Cell]:
    for start, end, width in split_graphemes(text)[0]:
        grapheme = text[start:end]
        if width:
            yield blank if grapheme == " " else (grapheme, pen)
            yield from [("", pen)] * (width - 1)


@lru_cache(maxsize=4096)
def sgr(before: Pen, after: Pen) -> str:
    """Return the shortest sequence that changes the pen."""
    if before == after:
        return ""
    link = f"\x1b]8;{after.link or ';'}\x1b\\" if before.link != after.link else ""
    options = [_from_reset(after)]
    if (difference := _difference(before, after)) is not None:
        options.insert(0, difference)
    style = min(options, key=len)
    return link + (f"\x1b[{style}m" if before[:3] != after[:3] else "")


def _from_reset(pen: Pen) -> str:
    parameters = [*sorted(pen.attributes), *filter(None, (pen.foreground, pen.background))]
    return ";".join(["0", *parameters]) if parameters else ""


def _difference(before: Pen, after: Pen) -> str | None:
    """Return the parameters that differ; None if an attribute cannot be turned off alone."""
    gone = before.attributes - after.attributes
    if not gone <= _ATTRIBUTE_OFF.keys():
        return None
    off = {_ATTRIBUTE_OFF[attribute] for attribute in gone}
    # 22 turns off both bold and faint, so the one that stays is set again.
    on = {one for one in after.attributes if one not in before.attributes or _ATTRIBUTE_OFF.get(one) in off}
    parameters = [*sorted(off), *sorted(on)]
    if before.foreground != after.foreground:
        parameters.append(after.foreground or "39")
    if before.background != after.background:
        parameters.append(after.background or "49")
    return ";".join(parameters)


def cursor_to(y: int, x: int, at_y: int | None, at_x: int | None) -> str:
    """Return the shortest sequence that moves the cursor to line `y` and column `x` (from 0) from line `at_y` and
    column `at_x`, which are None if unknown.
    """
    if (y, x) == (at_y, at_x):
        return ""
    options = [f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H" if y else "\x1b[H"]
    if at_y == y:
        options.append(f"\x1b[{x + 1}G" if x else "\r")
        if at_x is not None:
            steps, way = abs(x - at_x), "C" if x > at_x else "D"
            options.append(f"\x1b[{steps if steps > 1 else ''}{way}")
    elif at_y is not None and at_x == x:
        steps, way = abs(y - at_y), "B" if y > at_y else "A"
        options.append(f"\x1b[{steps if steps > 1 else ''}{way}")
    elif at_y is not None and y == at_y + 1 and x == 0:
        options.append("\r\n")
    return min(options, key=len)


class Scroll(NamedTuple):
    """Moves lines `top` to `bottom` (exclusive) up by `lines`, or down if that is negative."""

    top: int
    bottom: int
    lines: int

    def apply(self, rows: Sequence[Row]) -> list[Row]:
        """Return `rows` after the scroll."""
        band = list(rows[self.top : self.bottom])
        new = [[BLANK] * len(rows[0]) for _ in range(abs(self.lines))]
        moved = band[self.lines :] + new if self.lines > 0 else new + band[: self.lines]
        return [*rows[: self.top], *moved, *rows[self.bottom :]]

    def sequence(self) -> str:
        """Return the sequence that scrolls a terminal; afterwards the cursor's place is undefined."""
        lines = f"{abs(self.lines) if abs(self.lines) > 1 else ''}{'M' if self.lines > 0 else 'L'}"
        return f"\x1b[{self.top + 1};{self.bottom}r\x1b[{self.top + 1}H\x1b[{lines}\x1b[r"


def find_scroll(shown: Sequence[Row], wanted: Sequence[Row], changes: Changes) -> Scroll | None:
    """Return the block of lines that moved, by the most frequent shift of changed lines; None if none did.

    Only text in the changed columns is compared, so a panel beside a moving list does not hide the move.
    """
    if len(changes) < _MIN_LINES_TO_SCROLL:
        return None
    columns = slice(min(xs[0] for xs in changes.values()), max(xs[-1] for xs in changes.values()) + 1)
    before = {y: _text(shown[y][columns]) for y in changes}
    how_often = Counter(before.values())
    place = {text: y for y, text in before.items() if how_often[text] == 1 and not text.isspace()}
    moves = [(y, place[text] - y) for y in changes if (text := _text(wanted[y][columns])) in place]
    shifts = Counter(shift for _, shift in moves if shift)
    if not shifts:
        return None
    shift, lines = shifts.most_common(1)[0]
    if lines < _MIN_LINES_TO_SCROLL - 1:
        return None
    ends = [end for y, moved_by in moves if moved_by == shift for end in (y, y + shift)]
    return Scroll(min(ends), max(ends) + 1, shift)


def _changes(shown: Sequence[Row], wanted: Sequence[Row]) -> Changes:
    return {
        y: [*compress(range(len(new)), map(ne, old, new))]  # without bytecode for a cell
        for y, (old, new) in enumerate(zip(shown, wanted, strict=True))
        if old != new
    }


def _text(row: Iterable[Cell]) -> str:
    return "".join([text for text, _ in row])


def _is_doubtful(text: str, after: str) -> bool:
    """Return whether terminals disagree on the width of `text`; `after` is the text of the next cell."""
    if len(text) > 1 or _FIRST_EMOJI <= text <= _LAST_EMOJI:
        return True
    return not after and not any(first <= text <= last for first, last in _WIDE_EVERYWHERE)


def _ends_of_doubtful(row: Row) -> set[int]:
    """Return the columns after doubtful graphemes, at which the terminal's cursor is uncertain.

    A sequence of them has only one, at its end: it is sent in one piece, since two letters may form a flag.
    """
    texts = [text for text, _ in row]
    joined = "".join(texts)
    if len(joined) == len(texts) and "" not in texts and max(joined) < _FIRST_EMOJI:
        return set()
    pairs = enumerate(pairwise([*texts, " "]))
    doubtful = {x: x + 1 + (not after) for x, (text, after) in pairs if text and _is_doubtful(text, after)}
    return {end for end in doubtful.values() if end not in doubtful}


def _runs(changed: Sequence[int], breaks: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the start and end (exclusive) of each run of adjacent columns; a run also ends at a break."""
    start = end = changed[0]
    for x in changed:
        if x != end or x in breaks:
            if start != end:
                yield start, end
            start = x
        end = x + 1
    yield start, end


class _Encoder:
    """Collects the output of one frame and tracks the cursor and the pen."""

    def __init__(self, first: str) -> None:
        self.sent = [first]
        self.y: int | None = None
        self.x: int | None = None
        self.pen = DEFAULT_PEN
        self._blank = DEFAULT_PEN

    def move(self, y: int, x: int) -> None:
        self.sent.append(cursor_to(y, x, self.y, self.x))
        self.y, self.x = y, x

    def take(self, pen: Pen) -> None:
        self.sent.append(sgr(self.pen, pen))
        self.pen, self._blank = pen, blank_pen(pen)

    def line(self, y: int, changed: Sequence[int], old: Row, new: Row) -> None:
        """Send the cells of line `y` that `changed` names."""
        breaks = _ends_of_doubtful(new)
        if breaks or _ends_of_doubtful(old):
            # A terminal may count the cells differently and shift all to the right of them, so send all that again.
            changed = range(changed[0], len(new))
        text_end = len(new)
        while text_end and new[text_end - 1] == BLANK:
            text_end -= 1
        tail = bisect_left(changed, text_end)
        can_erase = len(changed) - tail > len(_ERASE)
        if tail or not can_erase:
            for start, end in _runs(changed[:tail] if can_erase else changed, breaks):
                self._reach(y, start, new)
                self._write(new[start:end])
                # After the last column, terminals disagree on the cursor's place until the next character wraps.
                self.x = None if end in breaks or end >= len(new) else end
        if can_erase:
            self._reach(y, changed[tail], new)
            self.take(DEFAULT_PEN)
            self.sent.append(_ERASE)

    def _write(self, run: Row) -> None:
        append = self.sent.append
        for text, pen in run:
            # Pens are cached, so the fast identity test nearly always succeeds.
            if pen is not self.pen and not self._fits(text, pen):
                self.take(self._on_blank(pen) if text == " " else pen)
            append(text)

    def _on_blank(self, pen: Pen) -> Pen:
        """Return the pen for a blank: the next letter needs the colour and the attributes that no blank shows."""
        kept = Pen(self.pen.foreground, pen.background, self.pen.attributes - _SEEN_ON_BLANKS)
        return kept if pen == blank_pen(kept) and len(sgr(self.pen, kept)) <= len(sgr(self.pen, pen)) else pen

    def _fits(self, text: str, pen: Pen) -> bool:
        """Return whether the current pen draws `text` as `pen` would; a space shows only some of a pen."""
        return pen == self.pen or (text == " " and pen == self._blank)

    def _reach(self, y: int, x: int, row: Row) -> None:
        """Move to a cell of `row`, by writing the cells in between again if that is shorter."""
        if self.y == y and self.x is not None and 0 < x - self.x <= _LONGEST_GAP:
            between = row[self.x : x]
            is_short = len(_text(between).encode()) <= len(cursor_to(y, x, y, self.x))
            if is_short and all(self._fits(text, pen) for text, pen in between):
                self._write(between)
                self.x = x
                return
        self.move(y, x)


def _cells_in(changes: Changes) -> int:
    return sum(map(len, changes.values()))


class ScreenDiff:
    """The cells that a terminal shows, and those that it is to show."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.wanted: list[Row] = [[BLANK] * width for _ in range(height)]
        self._shown: list[Row] = []
        self._cursor: tuple[int, int] | None = None
        self.forget()

    def forget(self) -> None:
        """Treat every cell as unknown, so that the next frame is sent whole."""
        self._shown = [[UNKNOWN] * self.width for _ in range(self.height)]
        self._cursor = None

    def put(self, y: int, x: int, new: Sequence[Cell]) -> None:
        """Set the wanted cells of line `y` from column `x`; half of an overwritten wide grapheme becomes a space."""
        if not (0 <= y < self.height and 0 <= x < self.width) or not new:
            return
        row = self.wanted[y]
        end = min(x + len(new), self.width)
        if x and not row[x][0]:
            row[x - 1] = (" ", blank_pen(row[x - 1][1]))
        if end < self.width and not row[end][0]:
            row[end] = (" ", blank_pen(row[end][1]))
        row[x:end] = new[: end - x]
        if end - x < len(new) and not new[end - x][0]:
            row[end - 1] = (" ", blank_pen(row[end - 1][1]))

    def paint(self, cursor: tuple[int, int]) -> str:
        """Return the output that makes the terminal show the wanted cells, with its cursor at a line and column counted
        from 0. The wanted cells then count as shown.
        """
        shown, wanted = self._shown, self.wanted
        changes = _changes(shown, wanted)
        if not changes and cursor == self._cursor:
            return ""
        first = ""
        if scroll := find_scroll(shown, wanted, changes):
            scrolled = scroll.apply(shown)
            changes_after = _changes(scrolled, wanted)
            if _cells_in(changes_after) + len(scroll.sequence()) < _cells_in(changes):
                shown, changes, first = scrolled, changes_after, scroll.sequence()
        encoder = _Encoder(first)
        for y, changed in changes.items():
            encoder.line(y, changed, shown[y], wanted[y])
        encoder.take(DEFAULT_PEN)
        encoder.move(*cursor)
        self._shown = [wanted[y].copy() if y in changes else row for y, row in enumerate(shown)]
        self._cursor = cursor
        return "".join(encoder.sent)
