"""Text laid out in lines of a given width: JSON by its structure, any other text by its own lines. Longer lines are
wrapped with a deeper indent.

Invariant: every key and literal is shown in full, byte for byte as received (`1.10` stays `1.10`, `\\u00e9` stays
escaped, a doubled key stays doubled); only the white space between them changes. A line is built on request, so three
megabytes of text cost three arrays and no strings.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from sys import maxsize
from typing import Final, NamedTuple, NoReturn

INDENT: Final = 2
MAX_INDENT: Final = 60
"""Deeper levels are not indented further, so that nested input cannot exhaust the memory."""
UNWRAPPED: Final = 2_000
"""The longest line, in characters, if no width is given: a longer one is expensive to draw."""
TAB_SIZE: Final = 4
_WIDEST: Final = 10
"""The most cells of one character: an unsafe one is shown by its code."""
STRETCH: Final = 1_000
"""The lines that a search covers between two pauses, in about a millisecond."""

_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_ITEM: Final = re.compile(
    rf"\s*+(?:(?P<key>{_STRING})\s*+:\s*+)?"
    rf'(?P<value>{_STRING}|[^\s"{{}}\[\],:]++|\{{\s*+\}}|\[\s*+\]|[{{}}\[\]])\s*+(?P<comma>,?)'
)
_TOKEN: Final = re.compile(
    rf'(?P<key>{_STRING}(?=:))|(?P<string>"[^"\\]*+(?:\\.?[^"\\]*+)*+"?)'
    r"|(?P<number>-?\d[\d.eE+-]*+)|(?P<keyword>true|false|null)|(?P<punctuation>[{}\[\],:]++)|\s++|."
)
_PLAIN_LINE: Final = re.compile(r"[^\n]*+")


class TokenKind(StrEnum):
    """The kind of a token, which decides its colour."""

    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    KEYWORD = "keyword"
    PUNCTUATION = "punctuation"


class Token(NamedTuple):
    """A part of a line. `kind` is None for white space and for text that is not JSON."""

    text: str
    kind: TokenKind | None


class Occurrence(NamedTuple):
    """The position in a line of an occurrence of a text, or of the part of it on that line."""

    begin: int
    end: int
    """In characters, including the indentation."""
    line: int
    """The line on which the occurrence begins."""
    nth: int
    """The occurrence's number among those that begin on `line`, from 0."""


class _Span(NamedTuple):
    """One item, laid out as one line or as several if it is long: its start, its depth and its length in characters."""

    start: int
    depth: int
    length: int


class Document:
    """The lines of a text, counted from 0, as far as `lay_out` has come. One thread may lay out while another reads.

    A line has at most `columns` cells; `width` returns the cells of a string.
    """

    def __init__(self, text: str, columns: int = UNWRAPPED, width: Callable[[str], int] = len) -> None:
        self.text = text
        self.columns = columns
        self.is_json = is_strict_json(text)
        self._width = len if text.isascii() else width
        self._spans = _json_spans(text) if self.is_json else _plain_spans(text)
        self._starts = array("L")
        self._depths = array("B")
        self._offsets = array("L")  # the start of each line in its item, in characters
        self._last: tuple[int, str, list[Token]] = (-1, "", [])

    def lay_out(self, spans: int | None = None) -> Document:
        """Lay out the next `spans` items of JSON or lines of text (None: all that are left). Return the document."""
        for span in islice(self._spans, spans):
            self._add(span)
        return self

    def __len__(self) -> int:
        return len(self._offsets)

    def line(self, number: int) -> str:
        begin, end = self._extent(number)
        return self._indentation(number) + self._whole(self._starts[number])[begin:end]

    def tokens(self, number: int) -> Iterator[Token]:
        """Split line `number` into tokens that together are the line."""
        begin, end = self._extent(number)
        yield Token(self._indentation(number), None)
        at = 0
        for text, kind in self._tokens(self._starts[number]):
            if part := text[max(0, begin - at) : max(0, end - at)]:
                yield Token(part, kind)
            at += len(text)

    def top_level_key(self, number: int) -> str | None:
        """Return the key that begins on line `number` when it belongs to the outermost object, else None."""
        if not self.is_json or self._depths[number] != 1 or self._offsets[number]:
            return None
        match = _ITEM.match(self.text, self._starts[number])
        return None if match is None or match["key"] is None else str(json.loads(match["key"]))

    def first_line_of(self, number: int) -> int:
        """Return the first line of the item that line `number` belongs to."""
        return bisect_left(self._starts, self._starts[number])

    def line_at(self, offset: int) -> int:
        """Return the first line of the item at a position in the text (in characters)."""
        return bisect_left(self._starts, self._starts[max(0, bisect_right(self._starts, offset) - 1)])

    def offset_of(self, number: int) -> int:
        """Return the position in the text, in characters, of the item that line `number` belongs to."""
        return self._starts[number]

    def occurrences(self, text: str, first: int = 0) -> Iterator[int | None]:
        """Yield the line of each occurrence of a text, in any case: from line `first` to the end, then from the top.

        Yield None after every STRETCH lines, so that the caller can pause. The search runs over the received text and
        builds only lines that may match: 300,000 lines take about a tenth of a second.
        """
        received = re.compile("".join(map(_as_received, text)), re.IGNORECASE)
        first = self.first_line_of(first) if first < len(self) else 0
        for start, end in ((first, len(self)), (0, first)):
            begin = start
            while begin < end:
                until = min(begin + STRETCH, end)
                while until < end and self._offsets[until]:
                    until += 1
                for number in self._candidates(received, begin, until):
                    yield from (line for line, _, _ in self._occurrences_in(number, text))
                yield None
                begin = until

    def occurrences_on(self, number: int, text: str) -> Iterator[Occurrence]:
        """Yield the occurrences of a text on line `number`, in any case; one may begin or end on another line."""
        begin, end = self._extent(number)
        indentation, before = len(self._indentation(number)), (-1, -1)
        for line, start, stop in self._occurrences_in(self.first_line_of(number), text):
            before = (line, before[1] + 1 if line == before[0] else 0)
            if start < end and stop > begin:
                shown = (max(start, begin) - begin, min(stop, end) - begin)
                yield Occurrence(indentation + shown[0], indentation + shown[1], *before)

    def _occurrences_in(self, first: int, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield each occurrence in the item whose first line is `first`: its first line, its start and its end."""
        start = self._starts[first]
        end = bisect_right(self._starts, start, first)
        for match in re.finditer(re.escape(text), self._whole(start), re.IGNORECASE):
            yield bisect_right(self._offsets, match.start(), first, end) - 1, match.start(), match.end()

    def _candidates(self, pattern: re.Pattern[str], begin: int, end: int) -> Iterator[int]:
        """Yield the first line of each item between two lines whose received text matches a pattern."""
        stop = self._starts[end] if end < len(self) else len(self.text)
        while begin < end and (match := pattern.search(self.text, self._starts[begin], stop)) is not None:
            last = bisect_right(self._starts, match.start(), begin, end) - 1
            yield bisect_left(self._starts, self._starts[last], begin, end)
            begin = last + 1

    def _whole(self, start: int) -> str:
        """Return the item at `start` as one line without indentation. The last item is cached for its other lines."""
        if self._last[0] != start:
            self._last = (start, (_item if self.is_json else _plain_line)(self.text, start), [])
        return self._last[1]

    def _tokens(self, start: int) -> list[Token]:
        whole = self._whole(start)
        tokens = self._last[2]
        if not tokens:
            found = _TOKEN.finditer(whole) if self.is_json else ()
            tokens += [Token(match[0], TokenKind(match.lastgroup) if match.lastgroup else None) for match in found]
            tokens += [] if self.is_json else [Token(whole, None)]
        return tokens

    def _extent(self, number: int) -> tuple[int, int]:
        """Return the start and the end of a line in its item, in characters."""
        goes_on = number + 1 < len(self) and self._offsets[number + 1] > 0
        return self._offsets[number], self._offsets[number + 1] if goes_on else maxsize

    def _indentation(self, number: int) -> str:
        return " " * self._indented(self._depths[number], goes_on=self._offsets[number] > 0)

    def _indented(self, depth: int, *, goes_on: bool) -> int:
        """Return the indentation of a line in cells, at most half of its width."""
        return min(INDENT * depth + INDENT * goes_on, self.columns // 2)

    def _add(self, span: _Span) -> None:
        start, depth, length = span
        for offset in self._breaks(start, depth, length):
            self._starts.append(start)
            self._depths.append(depth)
            self._offsets.append(offset)

    def _breaks(self, start: int, depth: int, length: int) -> Iterator[int]:
        """Yield the start of each line of an item. A line ends at the last blank if that leaves it at least half full,
        or if the rest then fits into one line; else after a part of an id or an address."""
        yield 0
        room = max(1, self.columns - self._indented(depth, goes_on=False))
        if length * (1 if self._width is len else _WIDEST) <= room:
            return
        whole, at = self._whole(start), 0
        while (end := at + self._fitting(whole[at : at + room], room)) < len(whole):
            room = max(1, self.columns - self._indented(depth, goes_on=True))
            blank = whole.rfind(" ", at, end) + 1
            if blank and (blank - at > (end - at) // 2 or self._width(whole[blank : blank + room + 1]) <= room):
                end = blank
            elif (part := max(whole.rfind(sign, at, end) for sign in "-_/") + 1) - at > (end - at) // 2:
                end = part
            yield end
            at = end

    def _fitting(self, text: str, room: int) -> int:
        """Return how many characters of a text fit into `room` cells; at least one."""
        if self._width is len:
            return max(1, min(len(text), room))
        return max(1, bisect_right(range(1, len(text) + 1), room, key=lambda count: self._width(text[:count])))


def _json_spans(text: str) -> Iterator[_Span]:
    """Yield the items of valid JSON: brackets, and values with their keys."""
    depth = 0
    for match in _ITEM.finditer(text):
        value_start, value_end = match.span("value")
        first = text[value_start]
        if first in "}]":
            depth -= 1
        key_start, key_end = match.span("key")
        key_length = key_end - key_start + 2 if key_end > 0 else 0
        comma_start, comma_end = match.span("comma")
        length = key_length + value_end - value_start + comma_end - comma_start
        yield _Span(match.start(), min(depth, MAX_INDENT), length)
        if first in "{[" and value_end - value_start == 1:
            depth += 1


def _plain_spans(text: str) -> Iterator[_Span]:
    start = 0
    while start < len(text):
        yield _Span(start, 0, len(_plain_line(text, start)))
        end = text.find("\n", start)
        start = end + 1 if end >= 0 else len(text)


def _as_received(character: str) -> str:
    """Return a pattern that finds a displayed character in the received text, where white space may differ."""
    if character.isspace():
        return r"\s*"
    return rf"\s*{re.escape(character)}\s*" if character in ":{[" else re.escape(character)


def _item(text: str, start: int) -> str:
    """Return the item of JSON at `start` with one space after its colon and none elsewhere."""
    match = _ITEM.match(text, start)
    if match is None:
        return ""
    key, value, comma = match.groups()
    if value[0] in "{[" and len(value) > 1:
        value = value[0] + value[-1]
    return value + comma if key is None else f"{key}: {value}{comma}"


def _plain_line(text: str, start: int) -> str:
    line = _PLAIN_LINE.match(text, start)
    return line[0].removesuffix("\r").expandtabs(TAB_SIZE) if line else ""


def is_strict_json(text: str) -> bool:
    """Return True if `text` is strict JSON: no NaN, no comment, no byte order mark. Never raises."""
    try:
        json.loads(text, parse_constant=_refuse_constant, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
