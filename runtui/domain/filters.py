"""The filter language of the list: text -> tree -> SQL, or a sentence that says where the text is wrong.

    filter  = all { "or" all }            "or" binds less than a blank does
    all     = term { ["and"] term }
    term    = "!" term | "(" filter ")" | field operator value { "," value } | word | "quoted text"
    operator: ":" (is, or contains), "=" "!=" "<" "<=" ">" ">="

A word with a field and an operator asks about that field, any other is plain text. Names of fields and values are
understood whatever their case. Times are relative to now ("-24h", "+2h", "now"), or a day or a moment in the local
zone ("2026-11-20", "today", "2026-11-20T09:15"), or a full DateTimeOffset; `null` or `none` asks for a value that
is not there. A status or type that nobody knows is accepted, since services add new ones: it finds the names that
begin with it, and the filter carries a hint to show when it finds nothing.

Some fields ask about the results of a run (`user`, `task`, `reason`, `cause`): a run whose results were not read is not
found by them.

Invariant: a tree holds only what was resolved when it was read (names, numbers, ticks), so it means the same wherever
it is carried out. Every text reaches SQL as a parameter; the SQL is made of names and numbers declared in the domain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

from runtui.domain.properties import PROCESSING_STATUS, PROPERTIES, OpenEnum, Property
from runtui.domain.rows import ABSENT, ACTIVE_SEVERITIES, PROBLEM_SEVERITIES, SEVERITY, STATUS_LOOKS, STUCK_AFTER
from runtui.domain.times import MAX_TICKS, TICKS_PER_SECOND, interpret, parse_ticks, to_datetime
from runtui.errors import ExitCode, RuntuiError

MOST_TERMS: Final = 64
DEEPEST: Final = 32
"""Bounds on a filter, well above what a person types: SQLite bounds the depth of an expression too."""

RESULTS_HINT: Final = "Only runs whose results were read can be found: the list of causes reads those of all problems."

_BLANK: Final = re.compile(r"\s*")
_QUOTED: Final = re.compile(r'"([^"]*)"')
ASKING: Final = re.compile(r"([^\W\d]\w*)(:|>=|<=|!=|>|<|=)")
"""A field and its operator, with which a question begins."""
_WORD: Final = re.compile(r'[^\s()"]+')
_VALUE: Final = re.compile(r'[^\s(),"]+')
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}|today|yesterday|tomorrow", re.ASCII)
_TO_THE_MINUTE: Final = re.compile(r".*[Tt ]\d{1,2}:\d{2}(?:Z|[+-]\d{2}:\d{2})?", re.ASCII)
_RELATIVE: Final = re.compile(r"now|(?:now)?\s*[+-].*", re.ASCII)
_NOTHING: Final = {"null", "none"}

FieldKind = Literal["text", "enum", "count", "datetime", "flag"]
Operator = Literal[">", ">=", "<", "<=", "=", "!="]
RunFlag = Literal["problem", "stuck", "active"]
TriageFlag = Literal["unhandled", "handled", "snoozed", "back", "seen", "new"]
Flag: TypeAlias = RunFlag | TriageFlag

Sql: TypeAlias = tuple[str, tuple[Any, ...]]
"""A condition on the table `run` of the store, and its parameters."""


@dataclass(frozen=True, slots=True)
class FilterField:
    """What stands before an operator."""

    name: str
    kind: FieldKind
    sql: str = ""
    """A column of the store, or an expression over columns. Of a result: a SELECT of the rows of the runs that have one
    with the text ? in it."""
    aliases: tuple[str, ...] = ()
    """Other names for it; Graph's own property name is among them."""
    choices: OpenEnum | None = None
    present: str = ""
    """For a date-time: the column that says whether there is one, where `sql` is not that column itself."""
    whole_sql: str = ""
    """Of a result: the same SELECT where the text is to be the whole."""
    listed: str = ""
    """The column of its values as a person reads them, where there are few enough of them to choose from."""
    flags: tuple[Flag, ...] = ()
    """What a flag may be."""

    def __str__(self) -> str:
        return self.name


# The rows of the runs with such a task result, and with such a subject. Name, UPN and id of a subject stand one below
# the other in its key.
_TASK: Final = "SELECT run_row FROM task_result WHERE {}"
_SUBJECT: Final = (
    "WITH named AS MATERIALIZED (SELECT rowid FROM subject WHERE {})"
    " SELECT run_row FROM user_result WHERE subject_row IN named"
    " UNION SELECT run_row FROM task_result WHERE subject_row IN named"
)
_IS_A_LINE_OF_KEY: Final = "instr(key, char(10) || ? || char(10))"


def _field(item: Property) -> FilterField:
    sql = item.key_column if item.is_text else item.column
    present = ""
    if item.kind == "datetime" and item.index:
        sql, present = item.index, item.column
    listed = item.column if item.kind == "enum" else ""
    return FilterField(item.key, item.kind, sql, (item.name, *item.aliases), item.choices, present, listed=listed)


def _of_result(name: str, sql: str, whole_sql: str, *aliases: str) -> FilterField:
    return FilterField(name, "text", sql, aliases, whole_sql=whole_sql)


FLAGS: Final[tuple[Flag, ...]] = get_args(RunFlag)
"""problem: failed, completed with errors, canceled, quarantined or stuck. stuck: at work, and not touched
for 3 hours. active: at work."""

TRIAGE_FLAGS: Final[tuple[Flag, ...]] = get_args(TriageFlag)
"""What a person did about the run, as `domain.triage.standing` has it. unhandled: neither handled nor snoozed. back: it
was, and got worse, or the snooze ended. new: never opened."""

FILTER_FIELDS: Final = (
    *map(_field, PROPERTIES),
    FilterField("workflow", "text", "workflow_key", ("wf", "workflowName"), listed="workflow_name"),
    FilterField("workflowId", "text", "lower(workflow_id)", ("wfId",)),
    # When a run began, or was to begin: what "newest first" means.
    FilterField("began", "datetime", "recency"),
    # The greater of the two: "failed>0" finds a run with any failure, "failed=0" one without.
    FilterField("failed", "count", "max(failed_users, failed_tasks)", ("failures",)),
    FilterField("is", "flag", flags=FLAGS),
    FilterField("triage", "flag", flags=TRIAGE_FLAGS),
    FilterField("note", "text", "coalesce((SELECT note_key FROM triage WHERE run_id = run.id), '')"),
    _of_result("user", _SUBJECT.format("instr(key, ?)"), _SUBJECT.format(_IS_A_LINE_OF_KEY), "upn", "person"),
    _of_result("task", _TASK.format("instr(task_key, ?)"), _TASK.format("task_key = ?")),
    _of_result("reason", _TASK.format("instr(reason_key, ?)"), _TASK.format("reason_key = ?"), "failureReason"),
    # A key, as the list of causes gives it: its beginning says nothing.
    _of_result("cause", _TASK.format("cause = ?"), _TASK.format("cause = ?")),
)
"""Every property, and what is worked out of several."""

_FIELD_BY_NAME: Final = {name.casefold(): field for field in FILTER_FIELDS for name in (field.name, *field.aliases)}


@dataclass(frozen=True, slots=True)
class HasText:
    """Plain text: part of the workflow's name, the run's id, status or type, whatever the case."""

    text: str


@dataclass(frozen=True, slots=True)
class IsOneOf:
    """An enumeration is one of these: a known name exactly, anything else as the beginning of a name. "" is: none."""

    field: FilterField
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextIs:
    """A text has this in it, or (`whole`) is this, whatever the case."""

    field: FilterField
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class InResults:
    """A result of the run has this in it, or (`whole`) is this, whatever the case."""

    field: FilterField
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class CountIs:
    """A count compares to a number; a run without that count never does."""

    field: FilterField
    operator: Operator
    value: int


@dataclass(frozen=True, slots=True)
class TimeIs:
    """A time compares to a stretch of time, `first` up to but without `end` (ticks): a day, a minute, one tick.

    "After" a day is after its end. A run without that time never compares.
    """

    field: FilterField
    operator: Operator
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Absent:
    """A count or a time is not there."""

    field: FilterField


@dataclass(frozen=True, slots=True)
class IsFlag:
    """A run has a flag; `now` (ticks) decides what is stuck, and which snooze has ended."""

    flag: Flag
    now: int


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = HasText | IsOneOf | TextIs | InResults | CountIs | TimeIs | Absent | IsFlag | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as typed, and what it means; `tree` is None for an empty one, which finds everything."""

    text: str
    tree: Node | None = None
    hint: str = ""
    """A likely slip, to be shown when the filter finds nothing: an unknown status may be newer than we are."""

    asks_results: bool = False
    """Whether what it finds depends on the results that were read, beside the runs."""

    def where(self) -> Sql:
        return ("1", ()) if self.tree is None else where(self.tree)


def where(node: Node) -> Sql:  # noqa: PLR0911 - one line for each kind of node
    """A tree as an SQL condition with its parameters. Conditions are never NULL, so that NOT is their opposite."""
    match node:
        case AllOf(parts):
            return _join(" AND ", parts)
        case AnyOf(parts):
            return _join(" OR ", parts)
        case Not(part):
            sql, values = where(part)
            return f"NOT {sql}", values
        case HasText(text):
            columns = ("workflow_key", "id_key", "status_key", "type_key")
            return f"({' OR '.join(f'instr({name}, ?)' for name in columns)})", (text.casefold(),) * len(columns)
        case TextIs(field, text, whole):
            return (f"{field.sql} = ?" if whole else f"instr({field.sql}, ?) > 0"), (text.casefold(),)
        case InResults(field, text, whole):
            return f"run.rowid IN ({field.whole_sql if whole else field.sql})", (text.casefold(),)
        case IsOneOf(field, values):
            return _choice(field, values)
        case CountIs(field, sign, value):
            return f"({field.sql} {sign} ? AND {field.sql} > {ABSENT})", (value,)
        case TimeIs():
            return _time(node)
        case Absent(field):
            return f"{field.present or field.sql} = {ABSENT}", ()
        case IsFlag(flag, now) if flag in TRIAGE_FLAGS:
            return _triage(flag, now)
        case IsFlag(flag, now):
            return _is(flag, now)


def _join(word: str, parts: tuple[Node, ...]) -> Sql:
    conditions = [where(part) for part in parts]
    return f"({word.join(sql for sql, _ in conditions)})", tuple(value for _, values in conditions for value in values)


def _choice(field: FilterField, values: tuple[str, ...]) -> Sql:
    """Statuses with a severity of their own are found by it, because that is what the index holds."""
    ranked = {value for value in values if field.choices is PROCESSING_STATUS and value and value in STATUS_LOOKS}
    conditions = [_is_in("severity", [SEVERITY[value] for value in values if value in ranked])] if ranked else []
    keys: list[str] = []
    for value in values:
        if value in ranked:
            continue
        keys.append(value.casefold())
        is_whole = not value or (field.choices is not None and field.choices.is_known(value))
        conditions.append(f"{field.sql if is_whole else f'substr({field.sql}, 1, {len(keys[-1])})'} = ?")
    return f"({' OR '.join(conditions)})", tuple(keys)


def _is_in(column: str, numbers: list[int] | tuple[int, ...]) -> str:
    return f"{column} = {numbers[0]}" if len(numbers) == 1 else f"{column} IN ({', '.join(map(str, numbers))})"


def _time(node: TimeIs) -> Sql:
    column, first, end = node.field.sql, node.first, node.end
    comparisons: dict[Operator, Sql] = {
        ">": (f"{column} >= ?", (end,)),
        ">=": (f"{column} >= ?", (first,)),
        "<": (f"{column} < ?", (first,)),
        "<=": (f"{column} < ?", (end,)),
        "=": (f"{column} >= ? AND {column} < ?", (first, end)),
        "!=": (f"({column} < ? OR {column} >= ?)", (first, end)),
    }
    sql, values = comparisons[node.operator]
    return f"({sql} AND {node.field.present or column} > {ABSENT})", values


def _is(flag: Flag, now: int) -> Sql:
    active = _is_in("severity", ACTIVE_SEVERITIES)
    if flag == "active":
        return active, ()
    stuck = f"({active} AND touched < ?)"
    if flag == "stuck":
        return stuck, (now - STUCK_AFTER,)
    return f"({_is_in('severity', PROBLEM_SEVERITIES)} OR {stuck})", (now - STUCK_AFTER,)


_CHANGED: Final = (
    "(status != was_status OR failed_users != was_failed_users OR failed_tasks != was_failed_tasks"
    " OR last_updated != was_updated)"
)


def _triage(flag: Flag, now: int) -> Sql:
    """What `domain.triage.standing` says of a run, by the store's mirror of what is remembered."""
    if flag == "unhandled":
        conditions = [_triage("handled", now), _triage("snoozed", now)]
        return f"NOT ({' OR '.join(sql for sql, _ in conditions)})", (*conditions[0][1], *conditions[1][1])
    rows = "run.rowid IN (SELECT run.rowid FROM triage CROSS JOIN run ON run.id = run_id WHERE {})"
    if flag in ("seen", "new"):
        return f"{'NOT ' if flag == 'new' else ''}{rows.format('seen > 0')}", ()
    problem, values = _is("problem", now)
    back = (
        "(severity > was_severity OR failed_users > was_failed_users OR failed_tasks > was_failed_tasks"
        f" OR ({problem} AND (NOT was_problem OR {_CHANGED}))"
        f" OR (state = 'snoozed' AND CASE until WHEN 0 THEN {_CHANGED} ELSE until <= ? END))"
    )
    values = (*values, now)
    if flag == "back":
        return rows.format(f"state != '' AND {back}"), values
    return rows.format(f"state = '{flag}' AND NOT {back}"), values


def all_of(found: Filter | None, text: str, now: int) -> Filter:
    """What a filter finds that another one, as typed, finds too."""
    other = parse_filter(text, now)
    parts = tuple(one.tree for one in (found, other) if one is not None and one.tree is not None)
    return Filter(text, AllOf(parts), asks_results=found is not None and found.asks_results)


class FilterError(RuntuiError):
    """A filter that cannot be understood: where, from `position` for `length` characters, and what is possible."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, position: int, length: int) -> None:
        super().__init__("This filter cannot be understood", message)
        self.position = position
        self.length = length


def parse_filter(text: str, now: int, zone: tzinfo | None = None) -> Filter:
    """Read a filter. Relative times count from `now` (ticks), days lie in `zone` (None: the local one).

    Raises:
        FilterError: where and why the text cannot be understood.
    """
    if not text.strip():
        return Filter(text)
    reader = _Reader(text, now, zone)
    tree = reader.alternatives()
    return Filter(text, tree, " ".join(reader.hints), reader.asks_results)


class _Typed(NamedTuple):
    """A value as typed, and where it stands."""

    text: str
    position: int
    length: int
    quoted: bool

    def error(self, message: str) -> FilterError:
        return FilterError(message, self.position, self.length)


class _Reader:
    """Reads a filter from left to right, one method for each rule of the grammar."""

    def __init__(self, text: str, now: int, zone: tzinfo | None) -> None:
        self.text = text
        self.now = now
        self.zone = zone
        self.at = 0
        self.depth = 0
        self.terms = 0
        self.hints: list[str] = []
        self.asks_results = False

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
        if self.terms > MOST_TERMS:
            raise FilterError(f"A filter has at most {MOST_TERMS} terms.", self.at, 1)
        if match := ASKING.match(self.text, self.at):
            return self._question(match)
        word = self._typed(_WORD)
        return HasText(word.text)

    def _nested(self, rule: Callable[[], Node], start: int) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise FilterError("This filter is nested too deeply.", start, 1)
        node = rule()
        self.depth -= 1
        return node

    def _question(self, match: re.Match[str]) -> Node:
        field = _FIELD_BY_NAME.get(match[1].casefold())
        if field is None:
            near = _nearest(match[1], list(_FIELD_BY_NAME))
            names = ", ".join(known.name for known in FILTER_FIELDS)
            possible = f"Did you mean {_FIELD_BY_NAME[near]}?" if near else f"Possible: {names}."
            message = f'No field is called {match[1]}. {possible} To look for the text itself, put it in "quotes".'
            raise FilterError(message, match.start(1), len(match[1]))
        self.at = match.end()
        values = [self._value(field)]
        while self.text.startswith(",", self.at):
            self.at += 1
            values.append(self._value(field))
        sign = _Typed(match[2], match.start(2), len(match[2]), quoted=False)
        return self._answer(field, sign, values)

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

    def _answer(self, field: FilterField, sign: _Typed, values: list[_Typed]) -> Node:
        """The node for a field, by its kind. Several values are alternatives; with "!=" none of them may hold."""
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
        if field.whole_sql:
            if not self.asks_results:
                self.hints.append(RESULTS_HINT)
            self.asks_results = True
            return InResults(field, value.text, whole=sign.text == "=")
        if field.kind == "text":
            return TextIs(field, value.text, whole=sign.text == "=")
        if value.text.casefold() in _NOTHING and not value.quoted:
            if sign.text not in (":", "="):
                raise sign.error(f"{value.text} takes : or = or !=, not {sign.text}.")
            return Absent(field)
        comparison = cast(Operator, "=" if sign.text == ":" else sign.text)
        if field.kind == "count":
            if not _NUMBER.fullmatch(value.text):
                raise value.error(f"{field} is a whole number, such as {field}>0.")
            return CountIs(field, comparison, int(value.text))
        return self._time(field, comparison, value)

    def _choice(self, field: FilterField, value: _Typed) -> str:
        if value.text.casefold() in _NOTHING and not value.quoted:
            return ""
        names = field.choices.names if field.choices else ()
        typed = value.text.casefold()
        for name in names:
            if name.casefold() == typed:
                return name
        if not any(name.casefold().startswith(typed) for name in names):
            near = _nearest(value.text, list(names))
            possible = f"Did you mean {near}?" if near else f"Known: {', '.join(names)}."
            self.hints.append(f"No known {field} begins with {value.text}. {possible}")
        return value.text

    def _flag(self, field: FilterField, value: _Typed) -> Node:
        for flag in field.flags:
            if flag == value.text.casefold():
                return IsFlag(flag, self.now)
        raise value.error(f"{field}: takes {', '.join(field.flags)}.")

    def _time(self, field: FilterField, comparison: Operator, value: _Typed) -> Node:
        try:
            first, end = _stretch(value.text.strip(), self.now, self.zone)
        except ValueError as error:
            raise value.error(f"{error} For example {field}>-24h.") from None
        if comparison == "=" and _RELATIVE.fullmatch(value.text.strip().lower()):
            raise value.error(f"{value.text} is one instant: write {field}>{value.text} or {field}<{value.text}.")
        return TimeIs(field, comparison, first, end)

    def _next(self) -> str:
        """The next character that is no blank; "" at the end."""
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


def _stretch(text: str, now: int, zone: tzinfo | None) -> tuple[int, int]:
    """The stretch of time that a text names, in ticks: a whole day, minute or second, or a single tick."""
    first = parse_ticks(interpret(text, now, zone))
    if _DAY.fullmatch(text.lower()):
        try:
            tomorrow = to_datetime(first, zone).date() + timedelta(days=1)
        except OverflowError:
            return first, MAX_TICKS + 1
        return first, parse_ticks(interpret(tomorrow.isoformat(), now, zone))
    if _RELATIVE.fullmatch(text.lower()) or "." in text:
        return first, first + 1
    return first, first + TICKS_PER_SECOND * (60 if _TO_THE_MINUTE.fullmatch(text) else 1)


def _nearest(typed: str, names: list[str]) -> str | None:
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(typed.casefold(), list(folded), n=1, cutoff=0.6)
    return folded[near[0]] if near else None
