"""The parsed form of a filter: a tree of conditions on a run, and the SQL for each of them.

Some fields (`user`, `task`, `reason`, `cause`) look into the results of a run: they do not find a run whose results
were not read.

Invariant: a tree holds only resolved names, numbers and ticks, so it means the same wherever it is applied. Every text
reaches SQL as a parameter; the SQL itself consists of names and numbers declared in the domain. No condition is ever
NULL, so that NOT is its opposite.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from runtui.domain.properties import PROCESSING_STATUS, PROPERTIES, OpenEnum, Property
from runtui.domain.rows import ACTIVE_SEVERITY, NO_NUMBER, PROBLEM_SEVERITIES, SEVERITY, STATUS_LOOKS, STUCK_AFTER

FieldKind = Literal["text", "enum", "count", "datetime", "flag"]
Operator = Literal[">", ">=", "<", "<=", "=", "!="]
RunFlag = Literal["problem", "stuck", "active", "unknown"]
TriageFlag = Literal["unhandled", "handled", "snoozed", "back", "seen", "new"]
Flag: TypeAlias = RunFlag | TriageFlag

Sql: TypeAlias = tuple[str, tuple[Any, ...]]
"""A condition on the store's table `run`, and its parameters."""


_EXAMPLES: Final[dict[FieldKind, tuple[str, ...]]] = {
    "count": ("0",),
    "datetime": ("-24h", "-7d", "today", "yesterday"),
}


class FilterField(NamedTuple):
    """A field that a filter can name before an operator."""

    name: str
    kind: FieldKind
    sql: str = ""
    """A column or expression; for a field of results, a SELECT of the rowids of runs with a result that contains ?."""
    aliases: tuple[str, ...] = ()
    """Other names of the field, including Graph's property name."""
    choices: OpenEnum | None = None
    present: str = ""
    """For a date-time: the column that is NO_NUMBER if there is none; empty if that is `sql` itself."""
    whole_sql: str = ""
    """For a field of results: the SELECT for a result that equals the text ?."""
    listed: str = ""
    """The column with the displayed values, if they are few enough to choose from; else empty."""
    flags: tuple[Flag, ...] = ()
    examples: tuple[str, ...] = ()
    """Values to offer; empty for the usual ones of the kind."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_of_results(self) -> bool:
        return bool(self.whole_sql)

    @property
    def offered(self) -> tuple[str, ...]:
        """The values to offer that are known without the rows; for a number or a time, examples."""
        if self.choices is not None:
            return self.choices.names
        return self.flags or self.examples or _EXAMPLES.get(self.kind, ())

    @property
    def with_operator(self) -> str:
        """The field with its usual operator; a number or a time is rarely one value."""
        return f"{self.name}{'>' if self.kind in _EXAMPLES else ':'}"


def fields_by_name(fields: Iterable[FilterField]) -> dict[str, FilterField]:
    """Return the fields by each of their names, casefolded."""
    return {name.casefold(): field for field in fields for name in (field.name, *field.aliases)}


# The rowids of the runs with a matching task result or subject. The key of a subject has its name, UPN and id on one
# line each.
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
    if item.kind == "datetime" and item.order:
        sql, present = item.order, item.column
    listed = item.column if item.kind == "enum" else ""
    return FilterField(item.key, item.kind, sql, (item.name, *item.aliases), item.choices, present, listed=listed)


def _of_result(name: str, sql: str, whole_sql: str, *aliases: str) -> FilterField:
    return FilterField(name, "text", sql, aliases, whole_sql=whole_sql)


FLAGS: Final[tuple[Flag, ...]] = get_args(RunFlag)
"""problem: failed, completed with errors, canceled, quarantined or stuck. stuck: active without an update for 3 hours.
active: in progress or canceling. unknown: without a status, or with one that runtui does not know."""

TRIAGE_FLAGS: Final[tuple[Flag, ...]] = get_args(TriageFlag)
"""The triage of the run (see `domain.triage.standing`). unhandled: neither handled nor snoozed. back: it was handled or
snoozed, but got worse, or the snooze ended. new: never opened."""

FILTER_FIELDS: Final = (
    *map(_field, PROPERTIES),
    FilterField("workflow", "text", "workflow_key", ("wf", "workflowName"), listed="workflow_name"),
    FilterField("workflowId", "text", "lower(workflow_id)", ("wfId",)),
    # The actual or planned start of a run; "newest first" orders by it.
    FilterField("began", "datetime", "recency"),
    # The greater count, so that "failed>0" finds a run with any failure, and "failed=0" one without.
    FilterField("failed", "count", "max(failed_users, failed_tasks)", ("failures",)),
    FilterField("is", "flag", flags=FLAGS),
    FilterField("triage", "flag", flags=TRIAGE_FLAGS),
    FilterField("note", "text", "coalesce((SELECT note_key FROM triage WHERE run_id = run.id), '')"),
    _of_result("user", _SUBJECT.format("instr(key, ?)"), _SUBJECT.format(_IS_A_LINE_OF_KEY), "upn", "person"),
    _of_result("task", _TASK.format("instr(task_key, ?)"), _TASK.format("task_key = ?")),
    _of_result("reason", _TASK.format("instr(reason_key, ?)"), _TASK.format("reason_key = ?"), "failureReason"),
    # The key of a cause must match as a whole: its beginning means nothing.
    _of_result("cause", _TASK.format("cause = ?"), _TASK.format("cause = ?")),
)
"""Every property, and the fields computed from several."""


class HasText(NamedTuple):
    """The workflow's name or the run's id, status or type contains the text, in any case; a status also if the word
    that lists show for it does."""

    text: str

    def where(self) -> Sql:
        columns, text = ("workflow_key", "id_key", "status_key", "type_key"), self.text.casefold()
        named = tuple(name.casefold() for name, word in PROCESSING_STATUS.words.items() if text in word)
        conditions = [f"instr({name}, ?)" for name in columns] + ["status_key = ?"] * len(named)
        return f"({' OR '.join(conditions)})", (*(text,) * len(columns), *named)


class IsOneOf(NamedTuple):
    """An enumeration has one of the values. A known name matches exactly, any other is a prefix. "" means no value."""

    field: FilterField
    values: tuple[str, ...]

    def where(self) -> Sql:
        """Return the SQL. Statuses with their own severity are found by it, because the index holds severities."""
        field, known = self.field, STATUS_LOOKS if self.field.choices is PROCESSING_STATUS else {}
        severity = {value: SEVERITY[value] for value in self.values if value and value in known}
        own = [rank for rank in severity.values() if rank != ACTIVE_SEVERITY]
        conditions = [_has_severity(*own)] if own else []
        keys: list[str] = []
        for value in self.values:
            if severity.get(value) in own:
                continue
            keys.append(value.casefold())
            is_whole = not value or (field.choices is not None and field.choices.is_known(value))
            equal = f"{field.sql if is_whole else f'substr({field.sql}, 1, {len(keys[-1])})'} = ?"
            conditions.append(f"({_has_severity(ACTIVE_SEVERITY)} AND {equal})" if value in severity else equal)
        return f"({' OR '.join(conditions)})", tuple(keys)


class TextIs(NamedTuple):
    """A text of the run, or of one of its results, contains this one, or with `whole` equals it, in any case."""

    field: FilterField
    text: str
    whole: bool = False

    def where(self) -> Sql:
        sql = self.field.sql
        if self.field.is_of_results:
            condition = f"run.rowid IN ({self.field.whole_sql if self.whole else sql})"
        else:
            condition = f"{sql} = ?" if self.whole else f"instr({sql}, ?) > 0"
        return condition, (self.text.casefold(),)


class CountIs(NamedTuple):
    """A count compares to a number; False for a run without that count."""

    field: FilterField
    operator: Operator
    value: int

    def where(self) -> Sql:
        return f"({self.field.sql} {self.operator} ? AND {self.field.sql} > {NO_NUMBER})", (self.value,)


class TimeIs(NamedTuple):
    """A time compares to a period from `first` up to but not including `end` (ticks): a day, a minute, one tick.

    "After" a day means after its end. False for a run without that time.
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
        return f"({sql} AND {self.field.present or column} > {NO_NUMBER})", values


class IsNull(NamedTuple):
    """A count or a time is missing."""

    field: FilterField

    def where(self) -> Sql:
        return f"{self.field.present or self.field.sql} = {NO_NUMBER}", ()


class IsFlag(NamedTuple):
    """The run has a flag at the time `now` (ticks)."""

    flag: Flag
    now: int

    def where(self) -> Sql:
        return (_triage if self.flag in TRIAGE_FLAGS else _is)(self.flag, self.now)


class Not(NamedTuple):
    """The part is false."""

    part: Node

    def where(self) -> Sql:
        sql, values = self.part.where()
        return f"NOT {sql}", values


class AllOf(NamedTuple):
    """Every part is true."""

    parts: tuple[Node, ...]

    def where(self) -> Sql:
        return _join(" AND ", self.parts)


class AnyOf(NamedTuple):
    """At least one part is true."""

    parts: tuple[Node, ...]

    def where(self) -> Sql:
        return _join(" OR ", self.parts)


Node: TypeAlias = HasText | IsOneOf | TextIs | CountIs | TimeIs | IsNull | IsFlag | Not | AllOf | AnyOf
"""Nodes of different types may compare equal, because they are tuples. Compare filters by their text instead."""


class Filter(NamedTuple):
    """A filter as typed, and its meaning."""

    text: str
    tree: Node
    hint: str = ""
    """A likely mistake, such as an unknown status, to be shown if the filter finds nothing; empty if there is none."""

    reads_results: bool = False
    """True if the filter also depends on which results were read."""

    def where(self) -> Sql:
        return self.tree.where()


def _join(word: str, parts: tuple[Node, ...]) -> Sql:
    conditions = [part.where() for part in parts]
    return f"({word.join(sql for sql, _ in conditions)})", tuple(value for _, values in conditions for value in values)


def _has_severity(*ranks: int) -> str:
    """Return the SQL for some severities. Runs that are not active have the silence 0: with that, the index has their
    times in order."""
    sql = f"severity = {ranks[0]}" if len(ranks) == 1 else f"severity IN ({', '.join(map(str, ranks))})"
    return sql if ACTIVE_SEVERITY in ranks else f"({sql} AND silence = 0)"


def _is(flag: Flag, now: int) -> Sql:
    active = _has_severity(ACTIVE_SEVERITY)
    if flag == "active":
        return active, ()
    if flag == "unknown":
        return _has_severity(SEVERITY[""]), ()
    stuck = f"({active} AND touched < ?)"
    if flag == "stuck":
        return stuck, (now - STUCK_AFTER,)
    return f"({_has_severity(*PROBLEM_SEVERITIES)} OR {stuck})", (now - STUCK_AFTER,)


_CHANGED: Final = (
    "(status != was_status OR failed_users != was_failed_users OR failed_tasks != was_failed_tasks"
    " OR last_updated != was_updated)"
)


def _triage(flag: Flag, now: int) -> Sql:
    """Return the SQL for the rules of `domain.triage.standing`, on the store's copy of the triage memory."""
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
