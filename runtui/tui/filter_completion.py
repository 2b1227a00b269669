"""What can come next in a filter that is being typed: the names of fields, then the values of a field.

Invariant: a candidate put in the place of its slot leads to a filter that the language understands at that place. A
value that no filter can express, or that is not drawn as it is, is not offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from runtui.domain.filter_tree import FILTER_FIELDS, FieldKind, FilterField
from runtui.domain.filters import ASKING
from runtui.domain.text import visible

ValueCount: TypeAlias = tuple[str, int]
"""A value that rows have, "" where they have none, and how many have it."""

_BREAKS: Final = frozenset(" \t\n(),")
"""What ends a bare value."""

_EXAMPLES: Final[dict[FieldKind, tuple[str, ...]]] = {
    "count": ("0",),
    "datetime": ("-24h", "-7d", "today", "yesterday"),
}
_OFFERED: Final[tuple[FieldKind, ...]] = ("enum", "text", "flag", "datetime", "count")
"""The kinds in the order in which their fields are offered: first those whose values can be chosen."""

_BY_KEY: Final = frozenset({"cause", "workflowId"})
"""Fields whose values nobody types: other places filter by them."""

_GREATER_THAN: Final = frozenset({"count", "datetime"})
"""The kinds of fields of which one rarely asks for a single value."""


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """A field as it is offered."""

    name: str
    values: tuple[str, ...] = ()
    """Values that are known whatever the rows are; for a number or a time, examples."""
    operator: str = ":"
    """The one that is offered."""
    listed: str = ""
    """Which column of the rows to ask for values; empty where there are none to choose from."""


def _field_help(field: FilterField) -> FieldHelp:
    values = field.choices.names if field.choices is not None else field.flags or _EXAMPLES.get(field.kind, ())
    return FieldHelp(field.name, values, ">" if field.kind in _GREATER_THAN else ":", field.listed)


RUN_FIELDS: Final = tuple(
    _field_help(field)
    for field in sorted(FILTER_FIELDS, key=lambda field: _OFFERED.index(field.kind))
    if field.name not in _BY_KEY
)
"""The fields of the filter of runs, as a person asks for them."""


class Slot(NamedTuple):
    """The part of a filter at the cursor that a candidate replaces."""

    start: int
    end: int
    typed: str
    """The part as far as the cursor, without its opening quote."""
    field: FieldHelp | None = None
    """Whose value it is; None: the name of a field, or plain text."""
    is_closed: bool = False
    """Nothing can be offered here: quoted text, or the value of a field that nobody knows."""


class Candidate(NamedTuple):
    """Something that can stand in a slot."""

    text: str
    """As it is put into the filter: a name with its operator, or a value in quotes where it needs them."""
    rows: int | None = None
    """How many rows have this value; None where nobody counted."""


def slot_at(text: str, cursor: int, fields: Iterable[FieldHelp]) -> Slot:
    """Find the part of a filter at the cursor, however wrong the rest of it may be."""
    start, quoted = _word_start(text, cursor)
    word = text[start:cursor]
    if (asking := ASKING.match(word)) is None:
        is_closed = word.startswith('"')
        return Slot(start, cursor if is_closed else _end(text, cursor, quoted=False), word, is_closed=is_closed)
    name = asking[1].casefold()
    field = next((field for field in fields if field.name.casefold() == name), None)
    at = start + asking.end()
    start = max(at, _last_comma(text, at, cursor) + 1)
    typed = text[start:cursor]
    end = _end(text, cursor, quoted=quoted)
    return Slot(start, end, typed.removeprefix('"'), field, field is None or (typed.count('"') > 1))


def candidates(slot: Slot, fields: Iterable[FieldHelp], counted: Sequence[ValueCount] = ()) -> tuple[Candidate, ...]:
    """What can stand in a slot, the likeliest first: by what begins as typed, then by what has it in it.

    Args:
        slot: Where.
        fields: Those of the language.
        counted: The values that the rows have, the commonest first; they come before those that no row has.
    """
    if slot.is_closed:
        return ()
    if slot.field is None:
        found = [Candidate(f"{field.name}{field.operator}") for field in fields]
        return _ranked(found, [field.name for field in fields], slot.typed)
    counts = dict(counted)
    values = [value or "none" for value in counts] + [value for value in slot.field.values if value not in counts]
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
    """Where the term at the cursor begins, and whether the cursor stands between quotes."""
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
    """Where the last comma outside quotes stands; -1 without one."""
    found, quoted = -1, False
    for place in range(at, cursor):
        quoted ^= text[place] == '"'
        if text[place] == "," and not quoted:
            found = place
    return found


def _end(text: str, cursor: int, *, quoted: bool) -> int:
    """Where the part at the cursor ends."""
    if quoted:
        closing = text.find('"', cursor)
        return len(text) if closing < 0 else closing + 1
    return next((at for at in range(cursor, len(text)) if text[at] in _BREAKS), len(text))


def _quoted(value: str) -> str:
    return f'"{value}"' if not _BREAKS.isdisjoint(value) else value
