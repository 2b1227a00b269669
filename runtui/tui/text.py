"""The one way from foreign text to text that Textual draws.

Invariant: no string from a server, a file or the keyboard is parsed as markup, and none reaches the terminal with a
control character. There are two defences: `content`, `fit`, `middle` and `domain.text.visible` replace control
characters by visible marks; `ControlFilter` removes any others from every segment before it is painted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from rich.cells import cell_len, set_cell_size, split_graphemes, split_text
from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.fuzzy import Matcher
from textual.style import Style

from runtui.domain.text import UNSAFE, visible

ELLIPSIS: Final = "…"
_REPLACEMENT: Final = "\ufffd"


def content(text: object, style: Style | str = "", *, newlines: bool = False) -> Content:
    """Return `text` as Textual content in one style: never parsed as markup, with every character visible."""
    return Content.styled(visible(text, newlines=newlines), style)


def highlighted(matcher: Matcher, text: object) -> Content:
    """Return `text` with the matching characters marked, like `Matcher.highlight`, which would parse markup."""
    shown = content(text)
    _, offsets = matcher.fuzzy_search.match(matcher.query, shown.plain)
    for offset in offsets:
        if not shown.plain[offset].isspace():
            shown = shown.stylize(matcher.match_style, offset, offset + 1)
    return shown


def fit(text: object, width: int, *, align: Literal["left", "right"] = "left") -> str:
    """Return `text` in exactly `width` cells: padded with spaces, or cut with an ellipsis at the end."""
    shown = visible(text)
    room = width - cell_len(shown)
    if room < 0:
        return set_cell_size(shown, width - 1) + ELLIPSIS if width > 0 else ""
    return " " * room + shown if align == "right" else shown + " " * room


def middle(text: object, width: int) -> str:
    """Shorten `text` to at most `width` cells in its middle, so that both ends of an id stay readable."""
    shown = visible(text)
    if cell_len(shown) <= width:
        return shown
    if width < 3:
        return fit(shown, max(width, 0))
    tail_width = (width - 1) // 2
    return split_text(shown, width - 1 - tail_width)[0] + ELLIPSIS + _last_cells(shown, tail_width)


def _last_cells(text: str, width: int) -> str:
    """Return the longest end of `text` that takes at most `width` cells."""
    graphemes, _ = split_graphemes(text)
    start = len(text)
    for grapheme_start, _, cells in reversed(graphemes):
        if cells > width:
            break
        width -= cells
        start = grapheme_start
    return text[start:]


class ControlFilter(LineFilter):
    """The second defence: removes control characters from every segment, whichever widget drew it.

    The width of a segment never changes, so the layout stays right. It takes the place of the filters `before` it and
    applies them first, since a strip keeps what each filter made of it.
    """

    def __init__(self, before: Sequence[LineFilter] = ()) -> None:
        super().__init__()
        self.before = before

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return `segments` without unsafe characters, unsafe links and terminal commands."""
        for each in self.before:
            segments = each.apply(segments, background)
        if all(_is_harmless(segment) for segment in segments):
            return segments
        # A strip is drawn cell by cell, so a cursor command inside it is always wrong.
        return [_harmless(segment) for segment in segments if not segment.control]


def _is_harmless(segment: Segment) -> bool:
    text, style, control = segment
    if control or not _is_safe(text):
        return False
    return style is None or style.link is None or _is_safe(style.link)


def _harmless(segment: Segment) -> Segment:
    text, style, _ = segment
    if style is not None and style.link is not None and not _is_safe(style.link):
        style = style.update_link(None)
    return Segment(_without_unsafe(text), style)


def _is_safe(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return UNSAFE.search(text) is None


def _without_unsafe(text: str) -> str:
    """Return `text` in the same number of cells: unsafe characters are removed or, if they have width, U+FFFD."""
    replaced = UNSAFE.sub(lambda match: _REPLACEMENT * cell_len(match[0]), text)
    return set_cell_size(replaced, cell_len(text))


_BEFORE_THE_VALUE: Final = r" *(?:[·→] |\w+(?: \w+)? {2,}(?=\S))?"
"""The blanks before a fact, and its bullet, or its label and the two or more blanks after that."""
_BLANKS: Final = r"\s+"
_FIRST_EAST_ASIAN: Final = "\u2e80"
_EAST_ASIAN: Final = rf"|(?<=[{_FIRST_EAST_ASIAN}-\uffdf])(?=[{_FIRST_EAST_ASIAN}-\uffdf])"
_ADDRESS: Final = r"|(?<=[^/\s]/)(?=[^/\s])|(?<=\S)(?=[?&]\S)|(?<=_)"
"""The places where a line may end: after blanks, between East Asian characters and, in an address, after its parts.
They are compiled only when needed: the range of characters alone takes as long as drawing a line."""


def wrapped(line: Content, width: int) -> list[Content]:
    """Wrap a line to `width` cells, with further lines indented below the text after its bullet or label. An address is
    wrapped between its parts, indented by at least two cells.
    """
    text = line.plain
    is_address, is_east_asian = "://" in text, max(text, default="") >= _FIRST_EAST_ASIAN
    before = re.match(_BEFORE_THE_VALUE, text)
    head = cell_len(before[0]) if before is not None and cell_len(before[0]) <= width // 2 else 0
    indent = max(head, 2 * is_address)
    cuts, start, fits = list[int](), 0, 0
    where = f"{_BLANKS}{_EAST_ASIAN * is_east_asian}{_ADDRESS * is_address}"
    ends = (found.end() for found in re.compile(where).finditer(text, head))
    for end in (*ends, len(text)):
        while cell_len(text[start:end].rstrip()) > (room := width - indent * bool(cuts)):
            start = fits = fits if fits > start else start + max(1, len(split_text(text[start:end], room)[0]))
            cuts.append(start)
        fits = end
    first, *rest = line.divide(cuts)
    return [first.rstrip(), *(Content(" " * indent) + piece.rstrip() for piece in rest)]


def in_lines(text: Content, width: int, most: int) -> Content:
    """Return `text`, cut with an ellipsis to at most `most` lines of `width` cells."""
    lines = text.wrap(width, overflow="fold")
    if len(lines) <= most:
        return text
    last = Content(fit(f"{lines[most - 1].plain.rstrip()} {ELLIPSIS}", width))
    return Content("\n").join([*lines[: most - 1], last])
