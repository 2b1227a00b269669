"""A text laid out for reading in a width: JSON by its structure, anything else by its own lines; what is longer than a
line goes on in the next one, further in.

Invariant: every key and literal is shown byte for byte as it was received (`1.10` stays `1.10`, `\\u00e9` stays
escaped, a doubled key stays doubled) and whole; only the white space between them is ours. A line is built when it is
asked for, so three megabytes cost three arrays and no strings.
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
DEEPEST_INDENT: Final = 60
"""Levels beyond this are not indented further: the nesting is the sender's choice, the memory is ours."""
UNWRAPPED: Final = 2_000
"""Characters of a line where nobody says how wide it may be, so that no line is expensive to draw."""
TAB_SIZE: Final = 4
_WIDEST: Final = 10
"""Cells that one character can take, where it is shown by its code."""
STRETCH: Final = 1_000
"""Lines that a search looks through between two pauses: about a millisecond."""

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
    """What a token is, for its colour."""

    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    KEYWORD = "keyword"
    PUNCTUATION = "punctuation"


class Token(NamedTuple):
    """A stretch of a line. `kind` is None for white space and for text that is no JSON."""

    text: str
    kind: TokenKind | None


class Place(NamedTuple):
    """Where an occurrence of a text, or a part of it, stands in a line."""

    begin: int
    end: int
    """In characters, the indentation included."""
    line: int
    """The line on which the occurrence begins."""
    nth: int
    """Which one of those that begin there, from 0."""


class _Span(NamedTuple):
    """What becomes one line, or more when it is long: where it begins, how deep it is, its characters."""

    start: int
    depth: int
    length: int


class Document:
    """The lines of a text, counted from 0, as far as `lay_out` has come. One thread lays out, another may read.

    A line has `columns` cells; `width` measures the cells of some characters.
    """

    def __init__(self, text: str, columns: int = UNWRAPPED, width: Callable[[str], int] = len) -> None:
        self.text = text
        self.columns = columns
        self.is_json = is_strict_json(text)
        self._width = len if text.isascii() else width
        self._spans = _json_spans(text) if self.is_json else _plain_spans(text)
        self._starts = array("L")
        self._depths = array("B")
        self._offsets = array("L")  # where a line begins in its item, in characters
        self._last: tuple[int, str, list[Token]] = (-1, "", [])

    def lay_out(self, spans: int | None = None) -> Document:
        """Lay out the next `spans` items or lines of the text, or all that is left. Returns the document itself."""
        for span in islice(self._spans, spans):
            self._add(span)
        return self

    def __len__(self) -> int:
        return len(self._offsets)

    def line(self, number: int) -> str:
        """Return line `number` without a line end."""
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
        """The line on which the item of line `number` begins."""
        return bisect_left(self._starts, self._starts[number])

    def line_at(self, place: int) -> int:
        """The line on which the item begins that has a place of the text, in characters."""
        return bisect_left(self._starts, self._starts[max(0, bisect_right(self._starts, place) - 1)])

    def place_of(self, number: int) -> int:
        """Where the item of line `number` begins in the text, in characters."""
        return self._starts[number]

    def occurrences(self, text: str, first: int = 0) -> Iterator[int | None]:
        """Find a text whatever its case: yield the line on which each occurrence begins, from line `first` on and then
        from the top.

        Yields None after each stretch, for the caller to pause. What is looked through is the text as received, and a
        line is built only where that may have it: 300,000 lines take about a tenth of a second.
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

    def places(self, number: int, text: str) -> Iterator[Place]:
        """Where a text stands on line `number`, whatever its case; an occurrence may begin or end on another line."""
        begin, end = self._extent(number)
        indentation, before = len(self._indentation(number)), (-1, -1)
        for line, start, stop in self._occurrences_in(self.first_line_of(number), text):
            before = (line, before[1] + 1 if line == before[0] else 0)
            if start < end and stop > begin:
                shown = (max(start, begin) - begin, min(stop, end) - begin)
                yield Place(indentation + shown[0], indentation + shown[1], *before)

    def _occurrences_in(self, first: int, text: str) -> Iterator[tuple[int, int, int]]:
        """The occurrences in the item that begins on a line: on which line each begins, and its extent in the item."""
        start = self._starts[first]
        end = bisect_right(self._starts, start, first)
        for match in re.finditer(re.escape(text), self._whole(start), re.IGNORECASE):
            yield bisect_right(self._offsets, match.start(), first, end) - 1, match.start(), match.end()

    def _candidates(self, pattern: re.Pattern[str], begin: int, end: int) -> Iterator[int]:
        """Yield the first line of every item between two lines that has a pattern in it as received."""
        stop = self._starts[end] if end < len(self) else len(self.text)
        while begin < end and (match := pattern.search(self.text, self._starts[begin], stop)) is not None:
            last = bisect_right(self._starts, match.start(), begin, end) - 1
            yield bisect_left(self._starts, self._starts[last], begin, end)
            begin = last + 1

    def _whole(self, start: int) -> str:
        """Return the item that begins at `start`, in one line and not indented. The last one is kept for its lines."""
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
        """Where a line begins and ends in its item, in characters."""
        goes_on = number + 1 < len(self) and self._offsets[number + 1] > 0
        return self._offsets[number], self._offsets[number + 1] if goes_on else maxsize

    def _indentation(self, number: int) -> str:
        return " " * self._indented(self._depths[number], goes_on=self._offsets[number] > 0)

    def _indented(self, depth: int, *, goes_on: bool) -> int:
        """The cells before a line; half of it stays for the text."""
        return min(INDENT * depth + INDENT * goes_on, self.columns // 2)

    def _add(self, span: _Span) -> None:
        start, depth, length = span
        for offset in self._breaks(start, depth, length):
            self._starts.append(start)
            self._depths.append(depth)
            self._offsets.append(offset)

    def _breaks(self, start: int, depth: int, length: int) -> Iterator[int]:
        """Where each line of an item begins in it. A line ends at a blank that leaves it at least half full, or behind
        which the rest fits into one line; else after a part of an id or of an address."""
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
        """How many of some characters fit into so many cells; at least one."""
        if self._width is len:
            return max(1, min(len(text), room))
        return max(1, bisect_right(range(1, len(text) + 1), room, key=lambda count: self._width(text[:count])))


def _json_spans(text: str) -> Iterator[_Span]:
    """Find what gets a line of its own in valid JSON: a bracket, or a value with its key."""
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
        yield _Span(match.start(), min(depth, DEEPEST_INDENT), length)
        if first in "{[" and value_end - value_start == 1:
            depth += 1


def _plain_spans(text: str) -> Iterator[_Span]:
    start = 0
    while start < len(text):
        yield _Span(start, 0, len(_plain_line(text, start)))
        end = text.find("\n", start)
        start = end + 1 if end >= 0 else len(text)


def _as_received(character: str) -> str:
    """What may stand for a character of a line in the text that was received: white space is ours, and not theirs."""
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
    """Tell whether `text` is JSON by the letter: no NaN, no comment, no byte order mark. Never raises."""
    try:
        json.loads(text, parse_constant=_refuse_constant, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
