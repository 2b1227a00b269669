"""What a filter may ask of a run: fields, questions about them, and the SQL that answers each.

Some fields ask about the results of a run (`user`, `task`, `reason`, `cause`): a run whose results were not read is not
found by them.

Invariant: a tree holds only what was resolved when it was read (names, numbers, ticks), so it means the same wherever
it is carried out. Every text reaches SQL as a parameter; the SQL is made of names and numbers declared in the domain.
Conditions are never NULL, so that NOT is their opposite.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from runtui.domain.properties import PROCESSING_STATUS, PROPERTIES, OpenEnum, Property
from runtui.domain.rows import ABSENT, ACTIVE_SEVERITIES, PROBLEM_SEVERITIES, SEVERITY, STATUS_LOOKS, STUCK_AFTER

FieldKind = Literal["text", "enum", "count", "datetime", "flag"]
Operator = Literal[">", ">=", "<", "<=", "=", "!="]
RunFlag = Literal["problem", "stuck", "active"]
TriageFlag = Literal["unhandled", "handled", "snoozed", "back", "seen", "new"]
Flag: TypeAlias = RunFlag | TriageFlag

Sql: TypeAlias = tuple[str, tuple[Any, ...]]
"""A condition on the table `run` of the store, and its parameters."""


class FilterField(NamedTuple):
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


class HasText(NamedTuple):
    """Plain text: part of the workflow's name, the run's id, status or type, whatever the case."""

    text: str

    def where(self) -> Sql:
        columns = ("workflow_key", "id_key", "status_key", "type_key")
        return f"({' OR '.join(f'instr({name}, ?)' for name in columns)})", (self.text.casefold(),) * len(columns)


class IsOneOf(NamedTuple):
    """An enumeration is one of these: a known name exactly, anything else as the beginning of a name. "" is: none."""

    field: FilterField
    values: tuple[str, ...]

    def where(self) -> Sql:
        """Statuses with a severity of their own are found by it, because that is what the index holds."""
        field, known = self.field, STATUS_LOOKS if self.field.choices is PROCESSING_STATUS else {}
        ranked = [SEVERITY[value] for value in self.values if value and value in known]
        conditions = [_has_severity(*ranked)] if ranked else []
        keys: list[str] = []
        for value in self.values:
            if value and value in known:
                continue
            keys.append(value.casefold())
            is_whole = not value or (field.choices is not None and field.choices.is_known(value))
            conditions.append(f"{field.sql if is_whole else f'substr({field.sql}, 1, {len(keys[-1])})'} = ?")
        return f"({' OR '.join(conditions)})", tuple(keys)


class TextIs(NamedTuple):
    """A text has this in it, or (`whole`) is this, whatever the case."""

    field: FilterField
    text: str
    whole: bool = False

    def where(self) -> Sql:
        sql = f"{self.field.sql} = ?" if self.whole else f"instr({self.field.sql}, ?) > 0"
        return sql, (self.text.casefold(),)


class InResults(NamedTuple):
    """A result of the run has this in it, or (`whole`) is this, whatever the case."""

    field: FilterField
    text: str
    whole: bool = False

    def where(self) -> Sql:
        rows = self.field.whole_sql if self.whole else self.field.sql
        return f"run.rowid IN ({rows})", (self.text.casefold(),)


class CountIs(NamedTuple):
    """A count compares to a number; a run without that count never does."""

    field: FilterField
    operator: Operator
    value: int

    def where(self) -> Sql:
        return f"({self.field.sql} {self.operator} ? AND {self.field.sql} > {ABSENT})", (self.value,)


class TimeIs(NamedTuple):
    """A time compares to a stretch of time, `first` up to but without `end` (ticks): a day, a minute, one tick.

    "After" a day is after its end. A run without that time never compares.
    """

    field: FilterField
    operator: Operator
    first: int
    end: int

    def where(self) -> Sql:
        column, first, end = self.field.sql, self.first, self.end
        comparisons: dict[Operator, Sql] = {
            ">": (f"{column} >= ?", (end,)),
            ">=": (f"{column} >= ?", (first,)),
            "<": (f"{column} < ?", (first,)),
            "<=": (f"{column} < ?", (end,)),
            "=": (f"{column} >= ? AND {column} < ?", (first, end)),
            "!=": (f"({column} < ? OR {column} >= ?)", (first, end)),
        }
        sql, values = comparisons[self.operator]
        return f"({sql} AND {self.field.present or column} > {ABSENT})", values


class Absent(NamedTuple):
    """A count or a time is not there."""

    field: FilterField

    def where(self) -> Sql:
        return f"{self.field.present or self.field.sql} = {ABSENT}", ()


class IsFlag(NamedTuple):
    """A run has a flag; `now` (ticks) decides what is stuck, and which snooze has ended."""

    flag: Flag
    now: int

    def where(self) -> Sql:
        return (_triage if self.flag in TRIAGE_FLAGS else _is)(self.flag, self.now)


class Not(NamedTuple):
    """The part does not hold."""

    part: Node

    def where(self) -> Sql:
        sql, values = self.part.where()
        return f"NOT {sql}", values


class AllOf(NamedTuple):
    """Every part holds."""

    parts: tuple[Node, ...]

    def where(self) -> Sql:
        return _join(" AND ", self.parts)


class AnyOf(NamedTuple):
    """At least one part holds."""

    parts: tuple[Node, ...]

    def where(self) -> Sql:
        return _join(" OR ", self.parts)


Node: TypeAlias = HasText | IsOneOf | TextIs | InResults | CountIs | TimeIs | Absent | IsFlag | Not | AllOf | AnyOf
"""As tuples, nodes of two kinds may be equal: two filters are told apart by their text, which a tree is read from."""


class Filter(NamedTuple):
    """A filter as typed, and what it means."""

    text: str
    tree: Node
    hint: str = ""
    """A likely slip, to be shown when the filter finds nothing: an unknown status may be newer than we are."""

    asks_results: bool = False
    """Whether what it finds depends on the results that were read, beside the runs."""

    def where(self) -> Sql:
        return self.tree.where()


def _join(word: str, parts: tuple[Node, ...]) -> Sql:
    conditions = [part.where() for part in parts]
    return f"({word.join(sql for sql, _ in conditions)})", tuple(value for _, values in conditions for value in values)


def _has_severity(*ranks: int) -> str:
    return f"severity = {ranks[0]}" if len(ranks) == 1 else f"severity IN ({', '.join(map(str, ranks))})"


def _is(flag: Flag, now: int) -> Sql:
    active = _has_severity(*ACTIVE_SEVERITIES)
    if flag == "active":
        return active, ()
    stuck = f"({active} AND touched < ?)"
    if flag == "stuck":
        return stuck, (now - STUCK_AFTER,)
    return f"({_has_severity(*PROBLEM_SEVERITIES)} OR {stuck})", (now - STUCK_AFTER,)


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
