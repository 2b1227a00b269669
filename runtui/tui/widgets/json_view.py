"""A text of any size in a panel: JSON laid out and coloured, anything else line by line.

Invariant: what is on the screen is all that is ever built. Lines are drawn when they scroll into view, every one
of them passes through `plain`, and a large text is laid out in a thread while the one before it stays shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual import work
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from runtui.domain.json_text import Document, TokenKind
from runtui.tui.actions import bindings
from runtui.tui.text import ELLIPSIS, plain
from runtui.tui.widgets.search_bar import Match, cells_of, places, with_matches

IN_PLACE_LIMIT: Final = 100_000
"""Characters up to which a text is laid out at once: some milliseconds, too short for a thread to be worth it."""
FIRST_LINES: Final = 500
"""Lines of a larger text that are shown before the rest is laid out."""
_GROUP: Final = "json-view"
_GOES_ON: Final = Segment(ELLIPSIS)
_CHANGED: Final = "* "
_UNCHANGED: Final = "  "


class JsonView(ScrollView, can_focus=True):
    """Shows JSON, or any text, of several megabytes; header lines above it scroll with it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "table",
        cursor_up="scroll_up",
        cursor_down="scroll_down",
        page_up="page_up",
        page_down="page_down",
        first_row="scroll_home",
        last_row="scroll_end",
    )

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"json-view--{kind}" for kind in TokenKind} | {"json-view--changed"}
    """
    | Class | Description |
    | :- | :- |
    | `json-view--key` | The name of a property. |
    | `json-view--string` | A string value. |
    | `json-view--number` | A number. |
    | `json-view--keyword` | true, false and null. |
    | `json-view--punctuation` | Brackets, commas and colons. |
    | `json-view--changed` | The sign before a property that changed. |
    """

    DEFAULT_CSS = """
    JsonView {
        height: 1fr;
        & > .json-view--key { color: $text-primary; }
        & > .json-view--string { color: $text-success; }
        & > .json-view--number { color: $text-warning; }
        & > .json-view--keyword { color: $text-accent; }
        & > .json-view--punctuation { color: $foreground; }
        & > .json-view--changed { color: $text-warning; text-style: bold; }
    }
    """

    class LaidOut(Message):
        """The rest of a large text is there."""

    def __init__(
        self,
        text: str = "",
        *,
        header: Sequence[Content] = (),
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._header: tuple[Content, ...] = tuple(header)
        self._document = Document(text, _cells).lay_out()
        self._changed: frozenset[str] = frozenset()
        self._strips: LRUCache[int, Strip] = LRUCache(1000)
        self._sought = ""
        self._match: Match | None = None

    def on_mount(self) -> None:
        self._measure()

    def show_text(self, text: str, *, header: Sequence[Content] = (), keep_place: bool = False) -> None:
        """Show `text` instead of what is shown now: as JSON when it is valid JSON, else as its lines.

        Args:
            text: What to show, as received.
            header: Lines above it, already safe (see runtui.tui.text).
            keep_place: Stay scrolled where the reader is, as far as the new text reaches.
        """
        self.workers.cancel_group(self, _GROUP)
        if len(text) <= IN_PLACE_LIMIT:
            self._replace(Document(text, _cells).lay_out(), header, keep_place)
            return
        self._lay_out(text, tuple(header), keep_place)

    def highlight_changed(self, keys: Collection[str]) -> None:
        """Mark some properties of the outermost object; without any, the column of marks is hidden."""
        changed = frozenset(keys)
        if changed != self._changed:
            self._changed = changed
            self._measure()

    @property
    def text(self) -> str:
        return self._document.text

    @property
    def line_count(self) -> int:
        """Lines laid out so far, header included."""
        return len(self._header) + len(self._document)

    # Search

    @property
    def top_line(self) -> int:
        return self.scroll_offset.y

    def take_focus(self) -> None:
        self.focus()

    def occurrences(self, text: str, first: int) -> Iterator[int | None]:
        above = len(self._header)
        wanted = text.casefold()
        in_header = [
            number for number, line in enumerate(self._header) for _ in range(line.plain.casefold().count(wanted))
        ]
        yield from (number for number in in_header if number >= first)
        later = iter([number for number in in_header if number < first])
        for line in self._document.occurrences(text, max(0, first - above)):
            if line is not None and line + above < first:
                yield from later
            yield None if line is None else line + above
        yield from later

    def mark(self, text: str, current: Match | None) -> None:
        self._sought, self._match = text, current
        self._draw_differences()

    def go_to(self, match: Match) -> None:
        """Scroll so far that a match stands in sight, some lines below the top where it did not."""
        left, top = self.scroll_offset
        width, height = self.scrollable_content_region.size
        if not top <= match.line < top + height:
            top = max(0, match.line - height // 3)
        line = self._draw_text(match.line).text
        found = list(places(line, self._sought, self._gutter_width(match.line)))
        begin, end = cells_of(line, found[match.nth]) if match.nth < len(found) else (0, 0)
        if not left + (left > 0) <= begin <= end < left + width:
            left = max(0, end - width + 1) if end >= width else 0
        self.scroll_to(left, top, animate=False)

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw the line at row `y` of the visible part."""
        left, top = self.scroll_offset
        width = self.scrollable_content_region.width
        number = top + y
        strip = self._strips.get(number)
        if strip is None:
            strip = self._strips[number] = self._draw(number)
        return self._cut(strip, left, left + width).apply_style(self.rich_style)

    def _cut(self, strip: Strip, left: int, right: int) -> Strip:
        """The cells of a line between two, with a mark at each end beyond which it goes on."""
        goes_on = (left > 0 and strip.cell_length > 0, strip.cell_length > right)
        shown = strip.crop_extend(left + goes_on[0], right - goes_on[1], self.rich_style)
        marks = [[_GOES_ON] * is_cut for is_cut in goes_on]
        return Strip([*marks[0], *shown, *marks[1]], right - left) if any(goes_on) else shown

    def notify_style_update(self) -> None:
        """Drop the lines drawn in the old colours."""
        super().notify_style_update()
        self._strips.clear()

    @work(group=_GROUP, description="lay out a large text")
    async def _lay_out(self, text: str, header: Sequence[Content], keep_place: bool) -> None:
        document = await asyncio.to_thread(lambda: Document(text, _cells).lay_out(FIRST_LINES))
        if not keep_place:
            self._replace(document, header, keep_place)
        await asyncio.to_thread(document.lay_out)
        if keep_place:
            self._replace(document, header, keep_place)
        else:
            self._measure()
        self.post_message(self.LaidOut())

    def _replace(self, document: Document, header: Sequence[Content], keep_place: bool) -> None:
        self._document = document
        self._header = tuple(header)
        left, top = self.scroll_offset if keep_place else (0, 0)
        self._measure()
        self.scroll_to(left, top, animate=False)

    def _measure(self) -> None:
        """Update the scrollable size, and redraw what changed."""
        widest_header = max((line.cell_length for line in self._header), default=0)
        gutter = len(_CHANGED) if self._changed else 0
        size = Size(max(widest_header, self._document.widest + gutter), self.line_count)
        if size == self.virtual_size:
            self._draw_differences()
        else:
            self._strips.clear()
            self.virtual_size = size
            self.refresh()

    def _draw_differences(self) -> None:
        """Redraw the visible lines that changed."""
        top = self.scroll_offset.y
        numbers = range(top, top + self.size.height)
        before = {number: self._strips.get(number) for number in numbers}
        self._strips.clear()
        for number in numbers:
            strip = self._strips[number] = self._draw(number)
            if strip != before[number]:
                self.refresh_line(number)

    def _draw(self, number: int) -> Strip:
        """Build one whole line, its matches marked; numbers start with the header."""
        strip = self._draw_text(number)
        if not self._sought:
            return strip
        nth = self._match.nth if self._match is not None and self._match.line == number else None
        return with_matches(strip, self._sought, nth, after=self._gutter_width(number))

    def _gutter_width(self, number: int) -> int:
        return len(_CHANGED) if self._changed and number >= len(self._header) else 0

    def _draw_text(self, number: int) -> Strip:
        if number < len(self._header):
            return Strip(self._header[number].render_segments(self.visual_style))
        number -= len(self._header)
        if number >= len(self._document):
            return Strip([])
        segments = [self._gutter(number)] if self._changed else []
        for text, kind in self._document.tokens(number):
            style = self.get_component_rich_style(f"json-view--{kind}", partial=True) if kind else None
            segments.append(Segment(plain(text), style))
        return Strip(segments)

    def _gutter(self, number: int) -> Segment:
        if self._document.top_level_key(number) in self._changed:
            return Segment(_CHANGED, self.get_component_rich_style("json-view--changed", partial=True))
        return Segment(_UNCHANGED)


def _cells(line: str) -> int:
    return cell_len(plain(line))
