"""Filters on the screen: the filter of rows in memory, and the completions for any filter.

Rows in memory are filtered in the language of `domain.filters`: a word is looked for in any cell of a row, or in one
column with `column:word`.

Invariant: the filter searches the text that a person sees in the row. A candidate in its slot makes a filter that is
valid at that place; a value that no filter can express, or that the screen shows differently, is not offered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from runtui.domain.columns import Column, RowT
from runtui.domain.filter_tree import FILTER_FIELDS, FieldKind, FilterField, TextIs, fields_by_name
from runtui.domain.filters import CONDITION, RowCondition, row_filter
from runtui.domain.text import visible
from runtui.domain.times import now_ticks

ValueCount: TypeAlias = tuple[str, int]
"""A value ("" for none), and the number of rows with it."""

_BREAKS: Final = frozenset(" \t\n(),")
"""The characters that end an unquoted value."""

_OFFERED: Final[tuple[FieldKind, ...]] = ("enum", "text", "flag", "datetime", "count")
"""The kinds in the order in which their fields are offered, first those with values to choose from."""

_BY_KEY: Final = frozenset({"cause", "workflowId"})
"""Fields that other screens filter by and nobody types."""

RUN_FIELDS: Final = tuple(
    field for field in sorted(FILTER_FIELDS, key=lambda field: _OFFERED.index(field.kind)) if field.name not in _BY_KEY
)
"""The fields that the filter box of runs offers."""


class Slot(NamedTuple):
    """The part of a filter at the cursor that a candidate replaces."""

    start: int
    end: int
    typed: str
    """The part before the cursor, without its opening quote."""
    field: FilterField | None = None
    """The field whose value it is; None for a field's name or plain text."""
    is_closed: bool = False
    """True if nothing can be offered: quoted text, or the value of an unknown field."""


class Candidate(NamedTuple):
    """A completion of a slot."""

    text: str
    """The text for the filter: a name with its operator, or a value, in quotes if needed."""
    rows: int | None = None
    """The number of rows with this value; None if not counted."""


def slot_at(text: str, cursor: int, fields: Iterable[FilterField]) -> Slot:
    """Return the part of a filter at the cursor, even if the rest is invalid."""
    start, quoted = _word_start(text, cursor)
    word = text[start:cursor]
    if (condition := CONDITION.match(word)) is None:
        is_closed = word.startswith('"')
        return Slot(start, cursor if is_closed else _end(text, cursor, quoted=False), word, is_closed=is_closed)
    field = fields_by_name(fields).get(condition[1].casefold())
    at = start + condition.end()
    start = max(at, _last_comma(text, at, cursor) + 1)
    typed = text[start:cursor]
    end = _end(text, cursor, quoted=quoted)
    return Slot(start, end, typed.removeprefix('"'), field, field is None or (typed.count('"') > 1))


def candidates(slot: Slot, fields: Iterable[FilterField], counted: Sequence[ValueCount] = ()) -> tuple[Candidate, ...]:
    """Return the completions of a slot: first those that start with the typed text, then those that contain it. Values
    of the rows (`counted`, the most frequent first) come before those that no row has.
    """
    if slot.is_closed:
        return ()
    if slot.field is None:
        found = [Candidate(field.with_operator) for field in fields]
        return _ranked(found, [field.name for field in fields], slot.typed)
    counts = dict(counted)
    values = [value or "none" for value in counts] + [value for value in slot.field.offered if value not in counts]
    sound = [value for value in values if '"' not in value and visible(value) == value]
    found = [
        Candidate(_quoted(value), counts.get("" if value == "none" else value, 0) if counts else None)
        for value in sound
    ]
    return _ranked(found, sound, slot.typed)


def _ranked(found: Sequence[Candidate], names: Sequence[str], typed: str) -> tuple[Candidate, ...]:
    wanted = typed.casefold()
    folded = [name.casefold() for name in names]
    first = [candidate for candidate, name in zip(found, folded, strict=True) if name.startswith(wanted)]
    others = [candidate for candidate, name in zip(found, folded, strict=True) if wanted in name[1:]]
    return tuple(dict.fromkeys([*first, *others]))


def _word_start(text: str, cursor: int) -> tuple[int, bool]:
    """Return the start of the term at the cursor, and whether the cursor is inside quotes."""
    start, quoted = 0, False
    for at, character in enumerate(text[:cursor]):
        if character == '"':
            quoted = not quoted
        elif not quoted and character in " \t\n()":
            start = at + 1
    while start < cursor and text[start] == "!":
        start += 1
    return start, quoted


def _last_comma(text: str, at: int, cursor: int) -> int:
    """Return the index of the last comma outside of quotes; -1 without one."""
    found, quoted = -1, False
    for place in range(at, cursor):
        quoted ^= text[place] == '"'
        if text[place] == "," and not quoted:
            found = place
    return found


def _end(text: str, cursor: int, *, quoted: bool) -> int:
    if quoted:
        closing = text.find('"', cursor)
        return len(text) if closing < 0 else closing + 1
    return next((at for at in range(cursor, len(text)) if text[at] in _BREAKS), len(text))


def _quoted(value: str) -> str:
    return f'"{value}"' if not _BREAKS.isdisjoint(value) else value


# Rows in memory

_SIGN: Final = r"^[^\w\s] "
"""A glyph before the word of a cell."""
_MAX_VALUES: Final = 1_000


Cells: TypeAlias = Mapping[str, str]
"""The casefolded texts of a row, by the name of the field."""


def cell_fields(columns: Sequence[Column[Any]]) -> tuple[FilterField, ...]:
    """Return the titled columns as fields with the values of the rows, each named by its title, and by its key."""
    return tuple(
        FilterField(_field_name(column), "text", aliases=(column.key,), listed=column.key)
        for column in columns
        if column.title
    )


def _field_name(column: Column[Any]) -> str:
    """Return the title, or the key if the title cannot be typed."""
    return column.title if column.title.isidentifier() else column.key


def cell_filter(columns: Sequence[Column[Any]]) -> Callable[[str], RowCondition[Cells] | None]:
    return partial(row_filter, fields=cell_fields(columns), of_word=_in_any_cell, of_field=_in_cell)


def _in_any_cell(text: str) -> RowCondition[Cells]:
    wanted = text.casefold()
    return lambda cells: any(wanted in cell for cell in cells.values())


def _in_cell(found: TextIs) -> RowCondition[Cells]:
    name, wanted = found.field.name, found.text.casefold()
    if found.whole:
        return lambda cells: re.sub(_SIGN, "", cells[name]) == wanted
    return lambda cells: wanted in cells[name]


def cells_to_search(columns: Iterable[Column[RowT]], row: RowT, now: int) -> Cells:
    """Return the cells of a row at `now` (ticks)."""
    return {_field_name(column): column.show(row, now).text.casefold() for column in columns}


def cell_filter_help(columns: Sequence[Column[Any]]) -> str:
    return f"text  {'  '.join(f'{_field_name(column)}:…' for column in columns if column.title)}  !not"


def count_cells(column: Column[RowT], rows: Iterable[RowT]) -> list[ValueCount]:
    """Count the texts of a column, without their sign; the most frequent come first."""
    now = now_ticks()
    counted = Counter(re.sub(_SIGN, "", column.show(row, now).text) for row in rows)
    return [(text, count) for text, count in counted.most_common(_MAX_VALUES) if text]
