"""Output as JSON, JSON lines, CSV (RFC 4180) or Markdown, in which foreign text stays text.

Invariant: no CSV cell is a formula: text that begins like one, also after blanks or quotes, gets a leading apostrophe,
as OWASP's page "CSV Injection" recommends. Numbers stay numbers. In Markdown foreign text is code, so that it has no
heading, link, picture or mention. No text can end its code span or block early (CommonMark, sections 4.5 and 6.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Literal, TypeAlias

from runtui.domain.draft import value_word
from runtui.domain.text import visible

# The first characters of a formula, in ASCII and full width, and control characters that spreadsheets skip before it.
_FORMULA: Final = re.compile("[\\s\ufeff'\"]*[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n\x00]")

RecordFormat: TypeAlias = Literal["json", "jsonl", "csv"]


def record_lines(records: Iterable[Mapping[str, Any]], form: RecordFormat, csv_columns: Sequence[str]) -> Iterator[str]:
    """Yield the lines of records as JSON (in ASCII) or CSV, without line ends, record by record.

    CSV has the properties in `csv_columns`; one that a record lacks is an empty cell.
    """
    if form == "json":
        return array_lines(map(json.dumps, records))
    if form == "jsonl":
        return map(json.dumps, records)
    rows = ([csv_value(record.get(name)) for name in csv_columns] for record in records)
    return map(csv_line, chain([csv_columns], rows))


def array_lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a JSON array, one value per line, from values that are already JSON text."""
    opening = "["
    for text in texts:
        yield opening + text
        opening = ","
    yield "]" if opening == "," else "[]"


def csv_line(values: Iterable[str | int | None]) -> str:
    """Return one record without the line end; a text may contain line ends. None is an empty cell."""
    # An empty line is not a record.
    return ",".join(map(_cell, values)) or '""'


def csv_value(value: Any) -> str | int | None:
    """Return a JSON value for a cell: None or a whole number unchanged, text made visible, anything else as JSON."""
    if value is None or type(value) is int:
        return value
    return visible(value if isinstance(value, str) else json.dumps(value), newlines=True)


def _cell(value: str | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(int(value))
    guard = "'" if _FORMULA.match(value) else ""
    return f'"{guard}{value.replace(chr(34), chr(34) * 2)}"'


# Markdown

_PROSE: Final = re.compile(r"[^\W_](?:[^\W_]|[ ,.;:()'-])*")

_NUMBERED: Final = re.compile(r"[0-9]+[.)]")
"""The beginning of a numbered list."""


def code_span(text: object) -> str:
    """Return text as inline code, between more backticks than it has in a row."""
    shown = visible(text) or " "
    ticks = "`" * (_longest_row(shown) + 1)
    # CommonMark strips one blank at both ends; it separates a backtick of the text from the fence.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def value_code(value: object) -> str:
    """Return a JSON value, or NOT_RECEIVED, as inline code."""
    return code_span(value_word(value))


def code_block(text: object, language: str = "") -> Iterator[str]:
    shown = visible(text, newlines=True)
    fence = "`" * max(3, _longest_row(shown) + 1)
    yield f"{fence}{language}"
    yield from shown.split("\n")
    yield fence


def prose(text: str) -> str:
    """Return a sentence unchanged if nothing in it can be markup, a link or a mention; else as code."""
    is_plain = _PROSE.fullmatch(text) and not _NUMBERED.match(text) and "www." not in text.lower()
    return text if is_plain else code_span(text)


def _longest_row(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
