"""The filter of rows in memory: words that stand in any cell of a row, or `column:word` for one column.

    words   = { ["!"] [column ":"] text { "," text } }
    text    = word | "quoted text"

Words side by side must all hold; after a column, a comma separates alternatives; "!" turns a word round. A column goes
by its key or its title, and text is found whatever its case.

Invariant: what is looked for is what a person sees in the row. A column that there is not is refused with those that
there are; it never finds everything or nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple

from runtui.domain.columns import Column, RowT
from runtui.domain.filters import FilterError
from runtui.domain.times import now_ticks
from runtui.options import nearest_words
from runtui.tui.filter_completion import FieldHelp, ValueCount

_WORD: Final = re.compile(r'(!?)(?:([^\W\d][\w-]*):(?!//))?((?:"[^"]*"|[^\s"])*)')
_SIGN: Final = re.compile(r"^[^\w\s] ")
_MOST_VALUES: Final = 1_000
_ALTERNATIVE: Final = re.compile(r'"([^"]*)"|([^,"]+)')


class CellWord(NamedTuple):
    """One word of a filter."""

    column: str
    """The key of the column in which it is looked for; empty for any."""
    texts: tuple[str, ...]
    """Casefolded; one of them has to be there."""
    is_wanted: bool
    """False where no row with it is wanted."""


class CellFilter(NamedTuple, Generic[RowT]):
    """A filter as read; without words it finds every row."""

    columns: tuple[Column[RowT], ...]
    words: tuple[CellWord, ...]

    def cells(self, row: RowT, now: int) -> Mapping[str, str]:
        """What a row shows at `now` (ticks), casefolded, by the keys of its columns."""
        return {column.key: column.show(row, now).text.casefold() for column in self.columns}

    def finds(self, cells: Mapping[str, str]) -> bool:
        """Whether a row with these `cells` is wanted."""
        return all(_holds(word, cells) for word in self.words)


def _holds(word: CellWord, cells: Mapping[str, str]) -> bool:
    texts = (cells[word.column],) if word.column else cells.values()
    return any(wanted in text for wanted in word.texts for text in texts) is word.is_wanted


def cell_filter(columns: Sequence[Column[Any]]) -> Callable[[str], CellFilter[Any]]:
    """The reader of filters over some columns.

    Returns:
        What makes a filter of a text; it raises FilterError for a column that there is not, or a value left out.
    """
    keys = {name.casefold(): column.key for column in columns for name in (column.title, column.key)}

    def read(text: str) -> CellFilter[Any]:
        words = [_read(match, keys) for match in _WORD.finditer(text) if match[0]]
        return CellFilter(tuple(columns), tuple(words))

    return read


def cell_filter_help(columns: Sequence[Column[Any]]) -> str:
    """The language in one line."""
    return f"text  {'  '.join(f'{column.title}:…' for column in columns)}  !not"


def cell_fields(columns: Sequence[Column[Any]]) -> tuple[FieldHelp, ...]:
    """The columns as the filter box offers them; their values are those of the rows."""
    names = [column.title if column.title.isidentifier() else column.key for column in columns]
    return tuple(FieldHelp(name, listed=column.key) for name, column in zip(names, columns, strict=True))


def count_cells(column: Column[RowT], rows: Iterable[RowT]) -> list[ValueCount]:
    """What rows show in a column, without the sign before it, the commonest first."""
    now = now_ticks()
    counted = Counter(_SIGN.sub("", column.show(row, now).text) for row in rows)
    return [(text, count) for text, count in counted.most_common(_MOST_VALUES) if text]


def _read(match: re.Match[str], keys: Mapping[str, str]) -> CellWord:
    sign, name, value = match.groups()
    if name is not None and name.casefold() not in keys:
        meant = nearest_words(name.casefold(), tuple(keys))
        words = f"No column is called {name!r}.{meant} Columns: {', '.join(dict.fromkeys(keys))}."
        raise FilterError(words, match.start(2), len(name))
    found = _ALTERNATIVE.findall(value) if name is not None else [(value.strip('"'), "")]
    texts = tuple(text.casefold() for pair in found if (text := "".join(pair)))
    if not texts:
        raise FilterError(f"A value for {name or match[0]} is missing here.", match.start(), len(match[0]))
    return CellWord(keys[name.casefold()] if name is not None else "", texts, not sign)
