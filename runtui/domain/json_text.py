"""A text laid out for reading: JSON by its structure, anything else by its own lines.

Invariant: every key and literal is shown byte for byte as it was received (`1.10` stays `1.10`, `\\u00e9` stays
escaped, a doubled key stays doubled); only the white space between them is ours. A line is built when it is asked
for, so three megabytes cost three arrays and no strings.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import Any, Final, NamedTuple, NoReturn

INDENT: Final = 2
DEEPEST_INDENT: Final = 60
"""Levels beyond this are not indented further: the nesting is the sender's choice, the memory is ours."""
LINE_LIMIT: Final = 2_000
"""Characters of a line; what is longer goes on in the next one, so that no line is expensive to draw."""
TAB_SIZE: Final = 4
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


class _Span(NamedTuple):
    """What becomes one line, or more when it is long: where it begins, how deep it is, its characters."""

    start: int
    depth: int
    length: int


class Document:
    """The lines of a text, counted from 0, as far as `lay_out` has come. One thread lays out, another may read.

    Args:
        text: JSON by the letter of RFC 8259, or anything else.
        width: The cells a line takes, for `widest`.
    """

    def __init__(self, text: str, width: Callable[[str], int] = len) -> None:
        self.text = text
        self.is_json = is_strict_json(text)
        self.widest = 0
        """The most cells that a line takes, indentation included."""
        self._width = len if text.isascii() else width
        self._spans = _json_spans(text) if self.is_json else _plain_spans(text)
        self._starts = array("L")
        self._depths = array("B")
        self._parts = array("L")  # 0, or which continuation of a long line this is
        self._last: tuple[int, str] = (-1, "")

    def lay_out(self, spans: int | None = None) -> Document:
        """Lay out the next `spans` items or lines of the text, or all that is left. Returns the document itself."""
        for span in islice(self._spans, spans):
            self._add(span)
        return self

    def __len__(self) -> int:
        return len(self._parts)

    def line(self, number: int) -> str:
        """Return line `number` without a line end, at most LINE_LIMIT characters and its indentation."""
        indentation = " " * (INDENT * self._depths[number])
        part = self._parts[number] * LINE_LIMIT
        return indentation + self._whole(self._starts[number])[part : part + LINE_LIMIT]

    def tokens(self, number: int) -> Iterator[Token]:
        """Split line `number` into tokens that together are the line."""
        line = self.line(number)
        if not self.is_json:
            yield Token(line, None)
        elif self._parts[number]:
            yield Token(line, TokenKind.STRING)
        else:
            for match in _TOKEN.finditer(line):
                yield Token(match[0], TokenKind(match.lastgroup) if match.lastgroup else None)

    def top_level_key(self, number: int) -> str | None:
        """Return the key on line `number` when it belongs to the outermost object, else None."""
        if not self.is_json or self._depths[number] != 1 or self._parts[number]:
            return None
        match = _ITEM.match(self.text, self._starts[number])
        return None if match is None or match["key"] is None else str(json.loads(match["key"]))

    def occurrences(self, text: str, first: int = 0) -> Iterator[int | None]:
        """Find a text whatever its case: yield the line of each occurrence, from line `first` on, then from the top.

        Yields None after each stretch, for the caller to pause. What is looked through is the text as received, and a
        line is built only where that may have it: 300,000 lines take about a tenth of a second.
        """
        shown = re.compile(re.escape(text), re.IGNORECASE)
        received = re.compile("".join(map(_as_received, text)), re.IGNORECASE)
        first = first - self._parts[first] if first < len(self) else 0
        for start, end in ((first, len(self)), (0, first)):
            begin = start
            while begin < end:
                until = min(begin + STRETCH, end)
                while until < end and self._parts[until]:
                    until += 1
                for line in self._candidates(received, begin, until):
                    yield from (line for _ in shown.finditer(self.line(line)))
                yield None
                begin = until

    def _candidates(self, pattern: re.Pattern[str], begin: int, end: int) -> Iterator[int]:
        """Yield every line of what begins between two lines and has a pattern in it as received."""
        stop = self._starts[end] if end < len(self) else len(self.text)
        while begin < end and (match := pattern.search(self.text, self._starts[begin], stop)) is not None:
            last = bisect_right(self._starts, match.start(), begin, end) - 1
            yield from range(bisect_left(self._starts, self._starts[last], begin, end), last + 1)
            begin = last + 1

    def _whole(self, start: int) -> str:
        """Return what begins at `start`, unfolded and not indented. The last one is kept for its other parts."""
        last = self._last
        if last[0] != start:
            last = self._last = (start, (_item if self.is_json else _plain_line)(self.text, start))
        return last[1]

    def _add(self, span: _Span) -> None:
        """Add the line or lines of `span`. `widest` is taken only of lines that could be the widest."""
        start, depth, length = span
        for part in range(0, max(length, 1), LINE_LIMIT):
            self._starts.append(start)
            self._depths.append(depth)
            self._parts.append(part // LINE_LIMIT)
            characters = INDENT * depth + min(length - part, LINE_LIMIT)
            if self._width is len:
                self.widest = max(self.widest, characters)
            elif 2 * characters > self.widest:
                self.widest = max(self.widest, self._width(self.line(len(self) - 1)))


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


def json_array(values: Iterable[Any]) -> Iterator[str]:
    """The lines of a JSON array with one value a line, in ASCII."""
    opening = "["
    for value in values:
        yield opening + json.dumps(value)
        opening = ","
    yield "]" if opening == "," else "[]"


def is_strict_json(text: str) -> bool:
    """Tell whether `text` is JSON by the letter: no NaN, no comment, no byte order mark. Never raises."""
    try:
        json.loads(text, parse_constant=_refuse_constant, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
