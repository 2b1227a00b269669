"""What a filter means: the fields it may ask about, an immutable tree, and the tree as SQL or as words.

Invariant: a tree holds only what was resolved when it was read (names, numbers, ticks), so that it means the same
wherever it is carried out. Every text reaches SQL as a parameter; the SQL is made of names and numbers declared here.
How a filter is typed: `runtui.domain.filters`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from runtui.domain.enums import EXECUTION_TYPE, PROCESSING_STATUS, OpenEnum
from runtui.domain.rows import ABSENT, ACTIVE_SEVERITIES, LOOKS, PROBLEM_SEVERITIES, SEVERITY, STUCK_AFTER
from runtui.domain.times import format_ticks

Kind = Literal["choice", "text", "number", "moment", "flag"]
Operator = Literal[">", ">=", "<", "<=", "=", "!="]
Flag = Literal["problem", "stuck", "active"]

Sql: TypeAlias = tuple[str, tuple[Any, ...]]
"""A condition on the table `run` of the store, and its parameters."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something a term can ask about."""

    name: str
    kind: Kind
    sql: str = ""
    """A column of the store, or an expression over columns."""
    aliases: tuple[str, ...] = ()
    """Other names for it; Graph's own property name is among them."""
    choices: OpenEnum | None = None
    present: str = ""
    """For a moment: the column that says whether there is one, where `sql` is not that column itself."""

    def __str__(self) -> str:
        return self.name


FIELDS: Final[tuple[Field, ...]] = (
    Field("status", "choice", "status_key", ("processingStatus",), PROCESSING_STATUS),
    Field("type", "choice", "type_key", ("workflowExecutionType", "executionType"), EXECUTION_TYPE),
    Field("workflow", "text", "workflow_key", ("wf", "workflowName")),
    Field("id", "text", "id_key", ("run", "runId")),
    # The greater of the two: "failed>0" finds a run with any failure, "failed=0" one without.
    Field("failed", "number", "max(failed_users, failed_tasks)", ("failures",)),
    Field("failedUsers", "number", "failed_users", ("failedUsersCount",)),
    Field("failedTasks", "number", "failed_tasks", ("failedTasksCount",)),
    Field("users", "number", "total_users", ("totalUsers", "totalUsersCount")),
    Field("successful", "number", "successful_users", ("successfulUsers", "successfulUsersCount")),
    Field("tasks", "number", "total_tasks", ("totalTasks", "totalTasksCount")),
    Field("unprocessed", "number", "unprocessed_tasks", ("unprocessedTasks", "totalUnprocessedTasksCount")),
    Field("scheduled", "moment", "scheduled", ("scheduledDateTime",)),
    # Where a run has started, `recency` is that very moment, and it has the index of the default order.
    Field("started", "moment", "recency", ("startedDateTime",), present="started"),
    Field("completed", "moment", "completed", ("completedDateTime",)),
    Field("updated", "moment", "last_updated", ("lastUpdated", "lastUpdatedDateTime")),
    Field("is", "flag"),
)

FLAGS: Final[dict[Flag, str]] = {
    "problem": "needs a look (failed, completed with errors, canceled, quarantined or stuck)",
    "stuck": "is at work but was not touched for 3 hours",
    "active": "is at work",
}


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text: part of the workflow's name, the run's id, status or type, whatever the case."""

    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An enumeration is one of these: a known name exactly, anything else as the beginning of a name. "" is: none."""

    field: Field
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """A text has this in it, or (`whole`) is this, whatever the case."""

    field: Field
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A count compares to a number; a run without that count never does."""

    field: Field
    operator: Operator
    value: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A time compares to a stretch of time, `first` up to but without `end` (ticks): a day, a minute, one tick.

    "After" a day is after its end. A run without that time never compares.
    """

    field: Field
    operator: Operator
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Absent:
    """A count or a time is not there."""

    field: Field


@dataclass(frozen=True, slots=True)
class Is:
    """What triage calls a run; `now` (ticks) decides what is stuck."""

    flag: Flag
    now: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = Text | Choice | Contains | Number | Moment | Absent | Is | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as typed, and what it means; `tree` is None for an empty one, which finds everything."""

    text: str
    tree: Node | None = None
    hint: str = ""
    """A likely slip, to be shown when the filter finds nothing: an unknown status may be newer than we are."""

    def where(self) -> Sql:
        """The filter as a condition in the store."""
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
        case Text(text):
            columns = ("workflow_key", "id_key", "status_key", "type_key")
            return f"({' OR '.join(f'instr({name}, ?)' for name in columns)})", (text.casefold(),) * len(columns)
        case Contains(field, text, whole):
            return (f"{field.sql} = ?" if whole else f"instr({field.sql}, ?) > 0"), (text.casefold(),)
        case Choice(field, values):
            return _choice(field, values)
        case Number(field, sign, value):
            return f"({field.sql} {sign} ? AND {field.sql} > {ABSENT})", (value,)
        case Moment():
            return _moment(node)
        case Absent(field):
            return f"{field.present or field.sql} = {ABSENT}", ()
        case Is(flag, now):
            return _is(flag, now)


def _join(word: str, parts: tuple[Node, ...]) -> Sql:
    conditions = [where(part) for part in parts]
    return f"({word.join(sql for sql, _ in conditions)})", tuple(value for _, values in conditions for value in values)


def _choice(field: Field, values: tuple[str, ...]) -> Sql:
    """Statuses with a severity of their own are found by it, because that is what the index holds."""
    by_severity = field.choices is PROCESSING_STATUS
    severities = [SEVERITY[value] for value in values if by_severity and value in LOOKS and value]
    others = [value for value in values if not (by_severity and value in LOOKS and value)]
    conditions = [_is_in("severity", severities)] if severities else []
    parameters: list[str] = []
    for value in others:
        key = value.casefold()
        if not key or (field.choices is not None and field.choices.is_known(value)):
            conditions.append(f"{field.sql} = ?")
            parameters.append(key)
        else:
            conditions.append(f"substr({field.sql}, 1, {len(key)}) = ?")
            parameters.append(key)
    return f"({' OR '.join(conditions)})", tuple(parameters)


def _is_in(column: str, numbers: list[int] | tuple[int, ...]) -> str:
    return f"{column} = {numbers[0]}" if len(numbers) == 1 else f"{column} IN ({', '.join(map(str, numbers))})"


def _moment(node: Moment) -> Sql:
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


def describe(node: Node | None) -> str:
    """A tree in words: 'status failed or canceled, and not workflow contains "Onboard"'."""
    if node is None:
        return "all runs"
    return _words(node, inner=False)


def _words(node: Node, *, inner: bool = True) -> str:  # noqa: PLR0911 - one line for each kind of node
    match node:
        case AllOf(parts):
            joined = ", and ".join(_words(part) for part in parts)
            return f"({joined})" if inner else joined
        case AnyOf(parts):
            joined = ", or ".join(_words(part) for part in parts)
            return f"({joined})" if inner else joined
        case Not(part):
            return f"not {_words(part)}"
        case Text(text):
            return f'"{text}"'
        case Contains(field, text, whole):
            return f'{field} {"is" if whole else "contains"} "{text}"'
        case Choice(field, values):
            return f"{field} {' or '.join(value or 'none' for value in values)}"
        case Number(field, sign, value):
            return f"{field} {sign} {value}"
        case Moment(field, sign, first, end):
            words = {">": "after", ">=": "from", "<": "before", "<=": "up to", "=": "in", "!=": "not in"}
            stretch = format_ticks(first) if end - first == 1 else f"{format_ticks(first)} to {format_ticks(end)}"
            return f"{field} {words[sign]} {stretch}"
        case Absent(field):
            return f"no {field}"
        case Is(flag, _):
            return FLAGS[flag]
