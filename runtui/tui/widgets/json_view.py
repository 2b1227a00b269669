"""A widget that shows a text of any size in full: JSON formatted and coloured, other text line by line.

Invariant: a line is drawn only when it scrolls into view, and every line passes through `visible`. A thread lays out a
large text; the previous text stays until its first lines are ready.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.binding import BindingType
from textual.cache import FIFOCache
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from runtui.domain.json_text import UNWRAPPED, Document, TokenKind
from runtui.domain.text import visible
from runtui.tui.actions import bindings
from runtui.tui.widgets.chrome import unboxed
from runtui.tui.widgets.search_bar import Found, Match, cells_of, with_matches

IN_PLACE_LIMIT: Final = 100_000
"""The most characters to lay out without a thread; this takes a few milliseconds."""
FIRST_LINES: Final = 500
"""Items or lines of a larger text to show before the rest is laid out."""
_GROUP: Final = "json-view"
_CHANGED: Final = "* "
_UNCHANGED: Final = "  "


class _Source(NamedTuple):
    """A request to show a text."""

    text: str
    header: tuple[Content, ...]
    changed: frozenset[str]
    keep_place: bool
    columns: int
    """The width of a line in cells."""

    def document(self, spans: int | None = None) -> Document:
        """Lay out the first `spans` items of the text, or all of it."""
        return Document(self.text, self.columns, _cells).lay_out(spans)


@unboxed
class JsonView(ScrollView, can_focus=True):
    """Shows JSON or any other text, of up to several megabytes; header lines above it scroll with it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "table", cursor_up="scroll_up", cursor_down="scroll_down", first_row="scroll_home", last_row="scroll_end"
    )

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"json-view--{kind}" for kind in TokenKind} | {"json-view--changed"}

    DEFAULT_CSS = """
    JsonView {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        & > .json-view--key { color: $text-primary; }
        & > .json-view--string { color: $text-success; }
        & > .json-view--number { color: $text-warning; }
        & > .json-view--keyword { color: $text-accent; }
        & > .json-view--punctuation { color: $foreground; }
        & > .json-view--changed { color: $text-warning; text-style: bold; }
    }
    """

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)  # the number of lines moves no other widget

    class LaidOut(Message):
        """A large text is laid out to its end."""

    def __init__(self, text: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source = _Source(text, (), frozenset(), False, UNWRAPPED)
        """The last request, shown already or not."""
        self._header, self._changed = self._source.header, self._source.changed
        self._document = self._source.document()
        # The entries of an LRUCache refer to each other: only the collector would free them.
        self._strips: FIFOCache[int, Strip] = FIFOCache(256)
        self._expected = 0
        self._sought = ""
        self._match: Match | None = None

    def on_mount(self) -> None:
        self.vertical_scrollbar.display = True  # set by the first layout, it would ask for a second one
        self._measure()

    def on_resize(self) -> None:
        source, columns = self._source, self._columns(self._source.changed)
        if columns != source.columns:
            is_shown = self._document.text is source.text
            self._show(source._replace(columns=columns, keep_place=source.keep_place or is_shown))

    def show_text(
        self,
        text: str,
        *,
        header: Sequence[Content] = (),
        changed: Collection[str] = (),
        keep_place: bool = False,
        expected: int = 0,
    ) -> None:
        """Show `text` in place of the current one: formatted if it is valid JSON, else line by line.

        The `header` lines are safe already (see runtui.tui.text) and no wider than the view. `changed` properties of
        the outermost object get a sign; without any, there is no column for it. `keep_place` keeps the scroll position.
        `expected` is the width of a line in cells to use until the view has a size.
        """
        self._expected = expected
        marked = frozenset(changed)
        self._show(_Source(text, tuple(header), marked, keep_place, self._columns(marked)))

    def _show(self, source: _Source) -> None:
        self.workers.cancel_group(self, _GROUP)
        self._source = source
        if len(source.text) <= IN_PLACE_LIMIT:
            self._replace(source.document(), source)
        else:
            self._lay_out(source)

    def _columns(self, changed: Collection[str]) -> int:
        """Return the width for a line of the text; UNWRAPPED while the view's width is unknown."""
        width = self._width
        return max(1, width - len(_CHANGED) * bool(changed)) if width else UNWRAPPED

    @property
    def _width(self) -> int:
        """The width of a line in cells; 0 while it is unknown."""
        return self.scrollable_content_region.width or self._expected

    @property
    def line_count(self) -> int:
        return len(self._header) + len(self._document)

    # Search

    @property
    def top_line(self) -> int:
        return self.scroll_offset.y

    @property
    def source(self) -> object:
        return self._document.text

    def occurrences(self, text: str, first: int) -> Iterator[int | None]:
        above = len(self._header)
        in_header = [match.line for match, _, _ in self._in_header(text)]
        yield from (number for number in in_header if number >= first)
        later = iter([number for number in in_header if number < first])
        for line in self._document.occurrences(text, max(0, first - above)):
            if line is not None and line + above < first:
                yield from later
            yield None if line is None else line + above
        yield from later

    def _in_header(self, text: str) -> Iterator[tuple[Match, int, int]]:
        """Yield each occurrence of a text in the header, with its start and end in the joined lines. A line may be
        wrapped at a blank or inside a word, so a line end matches either."""
        whole, nth = "\n".join(line.plain for line in self._header), Counter[int]()
        pattern = r"(?:\n *)?".join(r"\s+" if sign == " " else re.escape(sign) for sign in text)
        for found in re.finditer(pattern, whole, re.IGNORECASE):
            line = whole.count("\n", 0, found.start())
            yield Match(line, nth[line]), *found.span()
            nth[line] += 1

    def mark(self, text: str, current: Match | None) -> None:
        self._sought, self._match = text, current
        self._draw_differences()

    def go_to(self, match: Match) -> None:
        """Scroll to a match unless it is visible; it is then a third of the height below the top."""
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if not top <= match.line < top + height:
            self.scroll_to(y=max(0, match.line - height // 3), animate=False)

    # Drawing

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        strip = self._strips.get(number)
        if strip is None:
            strip = self._strips[number] = self._draw(number)
        return strip

    def notify_style_update(self) -> None:
        """Drop the cached lines, which have the old colours."""
        super().notify_style_update()
        self._strips.clear()

    @work(group=_GROUP, description="lay out a large text")
    async def _lay_out(self, source: _Source) -> None:
        document = await asyncio.to_thread(source.document, FIRST_LINES)
        if not source.keep_place:
            self._replace(document, source)
        await asyncio.to_thread(document.lay_out)
        if source.keep_place:
            self._replace(document, source)
        else:
            self._measure()
        self.post_message(self.LaidOut())

    def _replace(self, document: Document, source: _Source) -> None:
        top = self.scroll_offset.y if source.keep_place else 0
        before, at = self._document, top - len(self._header)
        if before.text == document.text and before.columns != document.columns and 0 < at < len(before):
            top = len(source.header) + document.line_at(before.offset_of(at))
        self._document, self._header, self._changed = document, source.header, source.changed
        self._measure()
        self.scroll_to(y=top, animate=False)

    def _measure(self) -> None:
        """Update the scrollable size, and redraw what changed."""
        self.virtual_size = Size(self._width, self.line_count)
        self.vertical_scrollbar.window_virtual_size = self.line_count  # Textual 8.2.8 sets it only in a layout
        self._draw_differences()

    def _draw_differences(self) -> None:
        """Redraw the visible lines from the first to the last that changed."""
        top = self.scroll_offset.y
        numbers = range(top, top + self.size.height)
        before = {number: self._strips.get(number) for number in numbers}
        self._strips.clear()
        drawn = {number: self._draw(number) for number in numbers}  # a tall terminal has more lines than are kept
        for number, strip in drawn.items():
            self._strips[number] = strip
        if changed := [number for number in numbers if drawn[number] != before[number]]:
            self.refresh_lines(changed[0], changed[-1] + 1 - changed[0])

    def _draw(self, number: int) -> Strip:
        """Return line `number`, counted from the header's first, with its matches marked."""
        strip = self._draw_text(number)
        return with_matches(strip, self._found(number), self._match) if self._sought else strip

    def _found(self, number: int) -> Iterator[Found]:
        """Yield the matches on line `number`; of one that starts on the line before, the rest."""
        above, text = len(self._header), self._sought
        if number < above:
            line, start = self._header[number].plain, sum(len(each.plain) + 1 for each in self._header[:number])
            for match, begin, end in self._in_header(text):
                if start < end and begin < start + len(line):
                    at = begin - start if begin >= start else len(line) - len(line.lstrip())
                    yield Found(*cells_of(line, (at, end - start)), match)
        elif number - above < len(self._document):
            line = self._document.line(number - above)
            gutter = len(_CHANGED) if self._changed else 0
            for found in self._document.occurrences_on(number - above, text):
                begin, end = (gutter + _cells(line[:at]) for at in (found.begin, found.end))
                yield Found(begin, end, Match(found.line + above, found.nth))

    def _draw_text(self, number: int) -> Strip:
        if number < len(self._header):
            return Strip(self._header[number].render_segments(self.visual_style))
        number -= len(self._header)
        if number >= len(self._document):
            return Strip([])
        segments = [self._gutter(number)] if self._changed else []
        for text, kind in self._document.tokens(number):
            segments.append(Segment(visible(text), self._style(kind) if kind else self.visual_style.rich_style))
        return Strip(segments)

    def _style(self, name: str) -> Style:
        return self.get_visual_style(f"json-view--{name}").rich_style

    def _gutter(self, number: int) -> Segment:
        if self._document.top_level_key(number) in self._changed:
            return Segment(_CHANGED, self._style("changed"))
        return Segment(_UNCHANGED, self.visual_style.rich_style)


def _cells(line: str) -> int:
    return cell_len(visible(line))
