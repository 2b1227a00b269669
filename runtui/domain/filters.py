"""The filter language of lists: text -> tree, or a sentence that says where the text is wrong. A tree for runs becomes
SQL (`parse_filter`), one for rows in memory a condition (`row_filter`).

    filter  = all { "or" all }            "or" binds less than a blank does
    all     = term { ["and"] term }
    term    = "!" term | "(" filter ")" | field operator value { "," value } | word | "quoted text"
    operator: ":" (is, or contains), "=" "!=" "<" "<=" ">" ">="

A word with a field and an operator is a condition on that field; any other word is plain text. Terms side by side must
all hold, but whole run ids side by side find each of their runs. Case does not matter in names of fields and values.
Times are relative to now ("-24h", "+2h", "now"), a local day or time ("2026-11-20", "today", "2026-11-20T09:15"), or a
full DateTimeOffset. `null` or `none` finds runs without a value. An unknown status or type is accepted, since services
add new ones: it finds names that begin with it, and the filter has a hint to show if it finds nothing.

Invariant: a text that cannot be understood raises a FilterError, with the position in it and what is possible there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final, NamedTuple, TypeAlias, cast

from runtui.domain.columns import RowT
from runtui.domain.filter_tree import (
    FILTER_FIELDS,
    AllOf,
    AnyOf,
    CountIs,
    Filter,
    FilterField,
    HasText,
    IsFlag,
    IsNull,
    IsOneOf,
    Node,
    Not,
    Operator,
    TextIs,
    TimeIs,
    fields_by_name,
)
from runtui.domain.times import MAX_TICKS, TICKS_PER_SECOND, interpret, parse_ticks, to_datetime
from runtui.errors import ExitCode, RuntuiError, nearest, nearest_words

MAX_TERMS: Final = 64
MAX_DEPTH: Final = 32
"""The limits of a filter, well above what a person types, since SQLite limits the depth of an expression."""

RESULTS_HINT: Final = "Only runs whose results were read can be found: the list of causes reads those of all problems."

_BLANK: Final = re.compile(r"\s*")
_QUOTED: Final = re.compile(r'"([^"]*)"')
CONDITION: Final = re.compile(r"([^\W\d]\w*)(:(?!//)|>=|<=|!=|>|<|=)")
"""A field and an operator, the beginning of a condition; a URL is plain text although it has a colon."""
_WORD: Final = re.compile(r'[^\s()"]+')
_VALUE: Final = re.compile(r'[^\s(),"]+')
_RUN_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9]+", re.IGNORECASE)
"""A whole run id: the workflow's GUID and the scheduled tick. No run has two of them."""
_NUMBER: Final = r"(?a)[+-]?\d{1,15}"
_DAY: Final = r"(?a)\d{4}-\d{2}-\d{2}|today|yesterday|tomorrow"
_TO_THE_MINUTE: Final = r"(?a).*[Tt ]\d{1,2}:\d{2}(?:Z|[+-]\d{2}:\d{2})?"
_RELATIVE: Final = r"(?a)now|(?:now)?\s*[+-].*"
_NOTHING: Final = {"null", "none"}

RowCondition: TypeAlias = Callable[[RowT], bool]
"""Returns whether a filter finds a row."""


def all_of(found: Filter | None, text: str, now: int) -> Filter:
    """Return the filter for runs that both `found` (None: all runs) and the non-blank filter `text` find."""
    parts = tuple(one.tree for one in (found, parse_filter(text, now)) if one is not None)
    return Filter(text, AllOf(parts), reads_results=found is not None and found.reads_results)


class FilterError(RuntuiError):
    """A filter that cannot be understood. The error is `length` characters long, from `position` in the text."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, position: int, length: int) -> None:
        super().__init__("This filter cannot be understood", message)
        self.position = position
        self.length = length


def parse_filter(text: str, now: int) -> Filter | None:
    """Parse a filter; None for a blank one, which finds every run. Relative times count from `now` (ticks)."""
    if not text.strip():
        return None
    reader = _Reader(text, FILTER_FIELDS, now)
    tree = reader.alternatives()
    return Filter(text, tree, " ".join(reader.hints), reader.reads_results)


def row_filter(
    text: str,
    fields: Iterable[FilterField],
    of_word: Callable[[str], RowCondition[RowT]],
    of_field: Callable[[TextIs], RowCondition[RowT]],
) -> RowCondition[RowT] | None:
    """Parse a filter of rows in memory, with `fields` of the kind "text"; None for a blank one, which finds every row.

    `of_word` returns the condition for a word, `of_field` for a word that a field is, or contains.
    """

    def holds(node: Node) -> RowCondition[RowT]:
        match node:
            case HasText(word):
                return of_word(word)
            case TextIs():
                return of_field(node)
            case Not(part):
                inner = holds(part)
                return lambda row: not inner(row)
            case AllOf(parts) | AnyOf(parts):
                every, conditions = all if isinstance(node, AllOf) else any, [holds(part) for part in parts]
                return lambda row: every(condition(row) for condition in conditions)
        raise TypeError(node)

    return holds(_Reader(text, fields).alternatives()) if text.strip() else None


class _Typed(NamedTuple):
    """A typed value and its position in the text."""

    text: str
    position: int
    length: int
    quoted: bool

    def error(self, message: str) -> FilterError:
        return FilterError(message, self.position, self.length)


class _Reader:
    """Parses a filter from left to right, with one method per rule of the grammar."""

    def __init__(self, text: str, fields: Iterable[FilterField], now: int = 0) -> None:
        self.text = text
        self.fields = fields_by_name(fields)
        self.now = now
        self.at = 0
        self.depth = 0
        self.terms = 0
        self.hints: list[str] = []
        self.reads_results = False

    def alternatives(self) -> Node:
        parts = [self._together()]
        while self._keyword("or"):
            parts.append(self._together())
        if self._next() == ")" and self.depth == 0:
            raise FilterError('This ")" has no matching "(".', self.at, 1)
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _together(self) -> Node:
        parts = [self._term()]
        while self._next() not in ("", ")") and not self._sees("or"):
            self._keyword("and")
            parts.append(self._term())
        run_ids = [part for part in parts if isinstance(part, HasText) and _RUN_ID.fullmatch(part.text)]
        if len(run_ids) > 1:
            parts = [AnyOf(tuple(run_ids)), *(part for part in parts if part not in run_ids)]
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _term(self) -> Node:
        start, sign = self.at, self._next()
        if sign == "!":
            self.at += 1
            return Not(self._nested(self._term, start))
        if sign == "(":
            opened = self.at
            self.at += 1
            inner = self._nested(self.alternatives, opened)
            if self._next() != ")":
                raise FilterError('This "(" has no matching ")".', opened, 1)
            self.at += 1
            return inner
        if sign in ("", ")") or self._sees("or"):
            raise FilterError("A term is missing here.", self.at, 1)
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise FilterError(f"A filter has at most {MAX_TERMS} terms.", self.at, 1)
        if self.fields and (match := CONDITION.match(self.text, self.at)):
            return self._condition(match)
        word = self._typed(_WORD)
        return HasText(word.text)

    def _nested(self, rule: Callable[[], Node], start: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FilterError("This filter is nested too deeply.", start, 1)
        node = rule()
        self.depth -= 1
        return node

    def _condition(self, match: re.Match[str]) -> Node:
        field = self.fields.get(match[1].casefold())
        if field is None:
            near = nearest(match[1], self.fields)
            names = ", ".join(dict.fromkeys(known.name for known in self.fields.values()))
            possible = f"Did you mean {self.fields[near]}?" if near else f"Possible: {names}."
            message = f'No field is called {match[1]}. {possible} To look for the text itself, put it in "quotes".'
            raise FilterError(message, match.start(1), len(match[1]))
        self.at = match.end()
        values = [self._value(field)]
        while self.text.startswith(",", self.at):
            self.at += 1
            values.append(self._value(field))
        sign = _Typed(match[2], match.start(2), len(match[2]), quoted=False)
        return self._node(field, sign, values)

    def _value(self, field: FilterField) -> _Typed:
        if self.at >= len(self.text) or self.text[self.at] in " \t\n),(":
            start = max(0, self.at - 1)
            raise FilterError(f"A value for {field} is missing here.", start, 1)
        return self._typed(_VALUE)

    def _typed(self, bare: re.Pattern[str]) -> _Typed:
        start = self.at
        if self.text[start] == '"':
            match = _QUOTED.match(self.text, start)
            if match is None:
                raise FilterError("This quote is not closed.", start, len(self.text) - start)
            if not match[1].strip():
                raise FilterError("There is nothing between these quotes.", start, 2)
            self.at = match.end()
            return _Typed(match[1], start, self.at - start, quoted=True)
        word = bare.match(self.text, start)
        if word is None:
            raise FilterError("A term is missing here.", start, 1)
        self.at = word.end()
        return _Typed(word[0], start, self.at - start, quoted=False)

    def _node(self, field: FilterField, sign: _Typed, values: list[_Typed]) -> Node:
        """Return the node for a condition. Several values are alternatives; with "!=" none of them may match."""
        if field.kind in ("enum", "text", "flag") and sign.text not in (":", "=", "!="):
            raise sign.error(f"{field} takes : or = or !=, not {sign.text}.")
        if len(values) > 1 and sign.text not in (":", "=", "!="):
            raise values[1].error(f"{sign.text} takes one value.")
        negated = sign.text == "!="
        if field.kind == "enum":
            node: Node = IsOneOf(field, tuple(self._choice(field, value) for value in values))
        else:
            sign = sign._replace(text="=") if negated else sign
            nodes = tuple(self._single(field, sign, value) for value in values)
            node = nodes[0] if len(nodes) == 1 else AnyOf(nodes)
        return Not(node) if negated else node

    def _single(self, field: FilterField, sign: _Typed, value: _Typed) -> Node:
        if field.kind == "flag":
            return self._flag(field, value)
        if field.is_of_results and not self.reads_results:
            self.hints.append(RESULTS_HINT)
            self.reads_results = True
        if field.kind == "text":
            return TextIs(field, value.text, whole=sign.text == "=")
        if value.text.casefold() in _NOTHING and not value.quoted:
            if sign.text not in (":", "="):
                raise sign.error(f"{value.text} takes : or = or !=, not {sign.text}.")
            return IsNull(field)
        comparison = cast(Operator, "=" if sign.text == ":" else sign.text)
        if field.kind == "count":
            if not re.fullmatch(_NUMBER, value.text):
                raise value.error(f"{field} is a whole number, such as {field}>0.")
            return CountIs(field, comparison, int(value.text))
        return self._time(field, comparison, value)

    def _choice(self, field: FilterField, value: _Typed) -> str:
        if value.text.casefold() in _NOTHING and not value.quoted:
            return ""
        names, words = (field.choices.names, field.choices.words) if field.choices else ((), {})
        typed = value.text.casefold()
        for name in names:
            if name.casefold() == typed:
                return name
        if not any(name.casefold().startswith(typed) for name in names):
            if shown := next((name for name, word in words.items() if word.startswith(typed)), ""):
                return shown
            possible = nearest_words(value.text, (*names, *words.values())) or f" Known: {', '.join(names)}."
            self.hints.append(f"No known {field} begins with {value.text}.{possible}")
        return value.text

    def _flag(self, field: FilterField, value: _Typed) -> Node:
        for flag in field.flags:
            if flag == value.text.casefold():
                return IsFlag(flag, self.now)
        raise value.error(f"{field}: takes {', '.join(field.flags)}.")

    def _time(self, field: FilterField, comparison: Operator, value: _Typed) -> Node:
        try:
            first, end = _stretch(value.text.strip(), self.now)
        except ValueError as error:
            raise value.error(f"{error} For example {field}>-24h.") from None
        if comparison == "=" and re.fullmatch(_RELATIVE, value.text.strip().lower()):
            raise value.error(f"{value.text} is one instant: write {field}>{value.text} or {field}<{value.text}.")
        return TimeIs(field, comparison, first, end)

    def _next(self) -> str:
        """Skip blanks and return the next character; "" at the end."""
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.text[self.at : self.at + 1]

    def _sees(self, keyword: str) -> bool:
        self._next()
        word = _WORD.match(self.text, self.at)
        return word is not None and word[0].casefold() == keyword

    def _keyword(self, keyword: str) -> bool:
        if self._sees(keyword):
            self.at += len(keyword)
            return True
        return False


def _stretch(text: str, now: int) -> tuple[int, int]:
    """Return the period that a text names, in ticks, end excluded: a whole day, minute or second, or a single tick."""
    first = parse_ticks(interpret(text, now))
    if re.fullmatch(_DAY, text.lower()):
        try:
            tomorrow = to_datetime(first).date() + timedelta(days=1)
        except OverflowError:
            return first, MAX_TICKS + 1
        return first, parse_ticks(interpret(tomorrow.isoformat(), now))
    if re.fullmatch(_RELATIVE, text.lower()) or "." in text:
        return first, first + 1
    return first, first + TICKS_PER_SECOND * (60 if re.fullmatch(_TO_THE_MINUTE, text) else 1)
