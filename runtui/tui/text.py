"""The one way foreign text becomes something Textual draws.

Invariant: no string that came from a server, a file or the keyboard is ever parsed as markup, and none reaches
the terminal with a character that acts on it. Two walls: `content`/`plain`/`fit`/`middle` show such characters
as visible marks; `ControlFilter` removes whatever got past them from every segment about to be painted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
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


def plain(text: object, *, newlines: bool = False) -> str:
    """`text` as a safe string, for the places that take a `str` literally: Input values, `notify(markup=False)`."""
    return visible(text, newlines=newlines)


def content(text: object, style: Style | str = "", *, newlines: bool = False) -> Content:
    """`text` as Textual content: never parsed as markup, every character shown, in `style` throughout."""
    return Content.styled(visible(text, newlines=newlines), style)


def highlighted(matcher: Matcher, text: object) -> Content:
    """`text` with the characters that match marked: `Matcher.highlight`, which parses markup, done literally."""
    shown = content(text)
    _, offsets = matcher.fuzzy_search.match(matcher.query, shown.plain)
    for offset in offsets:
        if not shown.plain[offset].isspace():
            shown = shown.stylize(matcher.match_style, offset, offset + 1)
    return shown


def fit(text: object, width: int, *, align: Literal["left", "right"] = "left") -> str:
    """Show `text` in exactly `width` cells: padded with spaces, or cut with an ellipsis at the end."""
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
    """The second wall: what acts on a terminal leaves no segment, whichever widget drew it.

    The width of a segment never changes, so a layout holds even when this wall was needed.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Return `segments` with unsafe characters, hostile links and terminal commands taken out."""
        if all(_is_harmless(segment) for segment in segments):
            return segments
        # A strip is drawn cell by cell: a cursor command inside it is never meant.
        return [_harmless(segment) for segment in segments if not segment.control]


CONTROL_FILTER: Final = ControlFilter()


class AllFilters(LineFilter):
    """Several filters, one after the other, as one: Textual keeps a line for each that it has passed."""

    def __init__(self, filters: Sequence[LineFilter]) -> None:
        super().__init__()
        self._filters = filters

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        for each in self._filters:
            segments = each.apply(segments, background)
        return segments


@cache
def as_one_filter(*filters: LineFilter) -> LineFilter:
    """The filters as one, the same each time: Textual finds what it has kept by the filter."""
    return AllFilters(filters)


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
    """Return `text` in the same number of cells: what took none is gone, what took some is U+FFFD."""
    replaced = UNSAFE.sub(lambda match: _REPLACEMENT * cell_len(match[0]), text)
    return set_cell_size(replaced, cell_len(text))


_BEFORE_THE_VALUE: Final = re.compile(r" *(?:[·→] |\w+(?: \w+)? {2,}(?=\S))?")
"""The blanks before a fact, and its bullet or its label, which two blanks follow."""
_BLANKS: Final = r"\s+"
_EAST_ASIAN: Final = r"|(?<=[\u2e80-\uffdf])(?=[\u2e80-\uffdf])"
_ADDRESS: Final = r"|(?<=[^/\s]/)(?=[^/\s])|(?<=\S)(?=[?&]\S)|(?<=_)"
"""Where a line may end: after blanks, between East Asian characters; in an address also after its parts. What no line
needed yet is not compiled: the range of characters alone takes as long as to draw a line."""


def wrapped(line: Content, width: int) -> list[Content]:
    """Wrap a line to `width` cells, indented under what follows its bullet or label. An address is wrapped between its
    parts, indented by at least two cells.
    """
    text = line.plain
    is_address, before = "://" in text, _BEFORE_THE_VALUE.match(text)
    head = cell_len(before[0]) if before is not None and cell_len(before[0]) <= width // 2 else 0
    indent = max(head, 2 * is_address)
    cuts, start, fits = list[int](), 0, 0
    where = f"{_BLANKS}{_EAST_ASIAN * (not text.isascii())}{_ADDRESS * is_address}"
    ends = (found.end() for found in re.compile(where).finditer(text, head))
    for end in (*ends, len(text)):
        while cell_len(text[start:end].rstrip()) > (room := width - indent * bool(cuts)):
            start = fits = fits if fits > start else start + max(1, len(split_text(text[start:end], room)[0]))
            cuts.append(start)
        fits = end
    first, *rest = line.divide(cuts)
    return [first.rstrip(), *(Content(" " * indent) + piece.rstrip() for piece in rest)]


def in_lines(text: Content, width: int, most: int) -> Content:
    """A text of at most so many lines of `width` cells, with a mark where it is cut."""
    lines = text.wrap(width, overflow="fold")
    if len(lines) <= most:
        return text
    last = Content(fit(f"{lines[most - 1].plain.rstrip()} {ELLIPSIS}", width))
    return Content("\n").join([*lines[: most - 1], last])
