"""The tables of results in the store: the results of each run, and queries across runs: causes and people.

Invariant: results are kept as received, with the `lastUpdatedDateTime` that their run had before the request; they are
outdated if the run has another one. All results of a run change together and are deleted with their run. Texts for
matching are casefolded. Everything derived from a result (its cause, its subject) is written in the same transaction.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from runtui.domain.results import Cause, TaskResult, UserResult
from runtui.domain.rows import NO_NUMBER, storable

if TYPE_CHECKING:
    from runtui.domain.filter_tree import Sql
    from runtui.domain.triage.run_users import PersonResult

# The SQL below is built from conditions made by `domain.filters`; every value from a person or a server is a
# parameter.
# ruff: noqa: S608

RESULT_TABLES: Final = (
    "CREATE TABLE results_state (revision INTEGER NOT NULL)",
    "INSERT INTO results_state VALUES (0)",
    "CREATE TABLE reading (run_row INTEGER PRIMARY KEY, as_of INTEGER NOT NULL)",
    "CREATE TABLE task_result (rowid INTEGER PRIMARY KEY, run_row INTEGER NOT NULL, subject_row INTEGER NOT NULL,"
    " task_key TEXT NOT NULL, cause TEXT NOT NULL, reason_key TEXT NOT NULL, moment INTEGER NOT NULL)",
    "CREATE TABLE task_body (rowid INTEGER PRIMARY KEY, raw TEXT NOT NULL)",
    "CREATE TABLE user_result (rowid INTEGER PRIMARY KEY, run_row INTEGER NOT NULL, subject_row INTEGER NOT NULL,"
    " raw TEXT NOT NULL)",
    "CREATE TABLE subject (rowid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, upn TEXT NOT NULL,"
    " key TEXT NOT NULL)",
    "CREATE INDEX task_result_by_run ON task_result (run_row)",
    "CREATE INDEX task_result_by_subject ON task_result (subject_row, run_row)",
    # This has everything that a cause is made of: the grouping reads this index alone.
    "CREATE INDEX task_result_by_cause ON task_result (cause, run_row, subject_row, moment) WHERE cause <> ''",
    "CREATE INDEX user_result_by_run ON user_result (run_row)",
    "CREATE INDEX user_result_by_subject ON user_result (subject_row, run_row)",
)
"""Times are ticks, NO_NUMBER for none; an unnamed subject has the row 0. The JSON of tasks is separate from the rows
that queries walk over."""

END_OF_ID: Final = "substr(id, -16)"
_HAS_ID: Final = "run.id = {0} AND substr(run.id, -16) = substr({0}, -16)"
IS_RUN: Final = _HAS_ID.format("?1")
"""The condition that a run has an id. Until there is an index of ids, there is a smaller one of their ends."""

_AT_ONCE: Final = 1_000
"""Runs looked up by one statement: SQLite bounds the number of parameters."""

_NOBODY: Final = 0

ResultT = TypeVar("ResultT", TaskResult, UserResult)

Received: TypeAlias = Sequence[Mapping[str, Any]]
"""Results as received."""

_PUT_SUBJECT: Final = (
    "INSERT INTO subject (id, name, upn, key) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " name = excluded.name, upn = excluded.upn, key = excluded.key WHERE excluded.name <> excluded.id"
)
"""A known name is kept if a later result has only the id."""

_NAMED: Final = (
    "raw, coalesce((SELECT name FROM subject WHERE subject.rowid = subject_row AND name <> id), ''),"
    " coalesce((SELECT upn FROM subject WHERE subject.rowid = subject_row), '')"
)
"""A result, and the name of its subject, whichever result it came from."""

_NOTABLE_TASKS: Final = (
    f"SELECT {_NAMED} FROM task_result AS task JOIN task_body USING (rowid) WHERE run_row = :run AND (cause <> ''"
    " OR json_extract(raw, '$.processingStatus') = 'inProgress' OR (:with_users AND NOT EXISTS"
    " (SELECT 1 FROM user_result AS own WHERE own.subject_row = task.subject_row AND own.run_row = :run)))"
    " ORDER BY task.rowid"
)
"""The results in `RunResults.tasks`."""


def kept_object(text: object) -> dict[str, Any] | None:
    """Return the JSON object in a stored text; None if the text is anything else, as if it were unknown."""
    try:
        kept = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


class RunResults(NamedTuple):
    """The results of one run that are shown, in the order of arrival."""

    tasks: tuple[TaskResult, ...]
    """The tasks that failed or wait; with `users`, also all tasks of subjects without a user result. `tasks_of` has
    all."""
    users: tuple[UserResult, ...]
    """Empty unless requested, because there may be thousands."""
    is_outdated: bool
    """True if the run changed after the request, or if these are not all."""
    is_whole: bool = True


class UnreadRun(NamedTuple):
    """A run whose results are missing or outdated."""

    run_id: str
    workflow_id: str
    as_of: int
    """Its lastUpdatedDateTime (ticks, NO_NUMBER without one), to store with its results."""


class UnreadRuns(NamedTuple):
    """The runs of a query that still have to be read."""

    runs: tuple[UnreadRun, ...]
    """The newest of them."""
    problems: int
    """The number of runs of the query with a problem."""
    read: int
    """The number of these whose results are known."""


class Person(NamedTuple):
    """A person named in results."""

    id: str
    name: str
    """The display name, or the id if no result has one; for another kind of object its kind and id."""
    user_principal_name: str
    runs: int
    """The number of runs with known results about this person."""
    failures: int
    """The number of tasks that failed for this person."""


def results_revision(db: sqlite3.Connection) -> int:
    """Return a number that grows whenever results are stored."""
    return int(db.execute("SELECT CAST(revision AS INTEGER) FROM results_state").fetchone()[0])


def run_row_of(db: sqlite3.Connection, run_id: str) -> int | None:
    found = db.execute(f"SELECT rowid FROM run WHERE {IS_RUN}", (run_id,)).fetchone()
    return int(found[0]) if found else None


def rows_of_runs(db: sqlite3.Connection, columns: str, run_ids: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Yield some columns, the first of them the id, of each run that is there."""
    remaining = iter(run_ids)
    while part := tuple(islice(remaining, _AT_ONCE)):
        wanted = f"WITH wanted (run_id) AS (VALUES {', '.join(['(?)'] * len(part))})"
        joined = f"wanted CROSS JOIN run ON {_HAS_ID.format('run_id')}"
        yield from db.execute(f"{wanted} SELECT {columns} FROM {joined}", part)


def put_results(
    db: sqlite3.Connection, run_row: int, as_of: int, tasks: Received, users: Received, *, part: int | None
) -> None:
    """Store all results of a run in place of earlier ones; `part` names the parts of which these are the last. Parts
    are dropped if another reading of the run has begun or ended since."""
    if part is None:
        _delete(db, [run_row, -run_row])
        _add(db, run_row, tasks, users)
    elif _is_under_way(db, run_row, part):
        _delete(db, [run_row])
        for table in ("task_result", "user_result"):
            db.execute(f"UPDATE {table} SET run_row = ? WHERE run_row = ?", (run_row, -run_row))
        _add(db, run_row, tasks, users)
        db.execute("DELETE FROM reading WHERE run_row = ?", (-run_row,))
    else:
        return
    db.execute("INSERT INTO reading VALUES (?, ?)", (run_row, as_of))


def put_part(db: sqlite3.Connection, run_row: int, tasks: Received, users: Received, part: int | None) -> int:
    """Keep some of a run's results aside until the last of them is there.

    Return the `part` for the next call; the first one gets None. They are stored under the negative row number of the
    run, which only the run's own screen reads.
    """
    if part is None:
        _delete(db, [-run_row])
        part = int.from_bytes(os.urandom(7), "big")
        db.execute("INSERT INTO reading VALUES (?, ?)", (-run_row, part))
    if _is_under_way(db, run_row, part):
        _add(db, -run_row, tasks, users)
    return part


def _is_under_way(db: sqlite3.Connection, run_row: int, part: int) -> bool:
    found = db.execute("SELECT as_of FROM reading WHERE run_row = ?", (-run_row,)).fetchone()
    return found is not None and found[0] == part


def _add(db: sqlite3.Connection, run_row: int, tasks: Received, users: Received) -> None:
    db.execute("UPDATE results_state SET revision = revision + 1")
    first = db.execute("SELECT coalesce(max(rowid), 0) + 1 FROM task_result").fetchone()[0]
    read_tasks, read_users = [TaskResult(raw) for raw in tasks], [UserResult(raw) for raw in users]
    rows = _subject_rows(db, (*read_tasks, *read_users))
    db.executemany(
        "INSERT INTO task_result VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (rowid, run_row, rows.get(storable(task.subject_id), _NOBODY), *_indexed(task))
            for rowid, task in enumerate(read_tasks, first)
        ),
    )
    db.executemany(
        "INSERT INTO task_body VALUES (?, ?)",
        ((rowid, json.dumps(task.received)) for rowid, task in enumerate(read_tasks, first)),
    )
    db.executemany(
        "INSERT INTO user_result (run_row, subject_row, raw) VALUES (?, ?, ?)",
        ((run_row, rows.get(storable(user.subject_id), _NOBODY), json.dumps(user.received)) for user in read_users),
    )


def delete_results(db: sqlite3.Connection, run_rows: Collection[int]) -> None:
    """Remove the results of deleted runs, including unfinished ones, and the names that no other result needs."""
    before = db.total_changes
    _delete(db, [row for run_row in run_rows for row in (run_row, -run_row)])
    if db.total_changes > before:
        db.execute(
            "DELETE FROM subject WHERE NOT EXISTS (SELECT 1 FROM task_result WHERE subject_row = subject.rowid)"
            " AND NOT EXISTS (SELECT 1 FROM user_result WHERE subject_row = subject.rowid)"
        )


def _delete(db: sqlite3.Connection, run_rows: Collection[int]) -> None:
    rows = [(row,) for row in run_rows]
    db.executemany("DELETE FROM task_body WHERE rowid IN (SELECT rowid FROM task_result WHERE run_row = ?)", rows)
    for table in ("task_result", "user_result", "reading"):
        db.executemany(f"DELETE FROM {table} WHERE run_row = ?", rows)


_WHOLE_OR_PARTS: Final = (
    "SELECT run_row, as_of <> last_updated FROM run JOIN reading ON run_row IN (run.rowid, -run.rowid)"
    f" WHERE {IS_RUN} ORDER BY run_row DESC LIMIT 1"
)
"""The row number of a run's results, and whether they are outdated."""


def results_of(db: sqlite3.Connection, run_id: str, *, with_users: bool = False) -> RunResults | None:
    """Return the known results of a run; None if there are none. `with_users` adds its users, or parts if nothing is
    whole."""
    found = db.execute(_WHOLE_OR_PARTS, (run_id,)).fetchone()
    is_whole = found is not None and found[0] > 0
    if found is None or not (is_whole or with_users):
        return None
    tasks = db.execute(_NOTABLE_TASKS, {"run": found[0], "with_users": with_users}).fetchall()
    of_users = f"SELECT {_NAMED} FROM user_result WHERE run_row = ? ORDER BY rowid"
    users = db.execute(of_users, found[:1]).fetchall() if with_users else []
    known_tasks, known_users = _known(TaskResult, tasks), _known(UserResult, users)
    are_all = is_whole and len(known_tasks) + len(known_users) == len(tasks) + len(users)
    return RunResults(tuple(known_tasks), tuple(known_users), bool(found[1]) or not are_all, is_whole)


def _known(kind: type[ResultT], rows: Iterable[Sequence[Any]]) -> list[ResultT]:
    """Return the results in some rows of JSON and subject name, except those that cannot be read."""
    return [kind(kept, *named) for raw, *named in rows if (kept := kept_object(raw)) is not None]


def tasks_of(db: sqlite3.Connection, run_id: str, subject_id: str) -> list[TaskResult]:
    """Return what the tasks of a run did for one subject, in the order of arrival, as far as it is known."""
    named = db.execute("SELECT rowid FROM subject WHERE id = ?", (storable(subject_id),)).fetchone()
    run_row = db.execute(_WHOLE_OR_PARTS, (run_id,)).fetchone()
    found = db.execute(
        f"SELECT {_NAMED} FROM task_result JOIN task_body USING (rowid)"
        " WHERE run_row = ? AND subject_row = ? ORDER BY task_result.rowid",
        (run_row[0] if run_row else None, named[0] if named else _NOBODY),
    )
    return _known(TaskResult, found)


def unread_runs(db: sqlite3.Connection, where: Sql, now: int, most: int) -> UnreadRuns:
    """Return the unread problem runs of a query: those whose results are missing or outdated, newest first. `now`
    (ticks) decides what is stuck. A running run with failed tasks is a problem too."""
    from runtui.domain.filter_tree import IsFlag

    problem, values = IsFlag("problem", now).where()
    where_problem = f"{where[0]} AND ({problem} OR failed_tasks > 0)"
    is_read = "coalesce((SELECT as_of = last_updated FROM reading WHERE run_row = run.rowid), 0)"
    parameters = (*where[1], *values)
    total, read = db.execute(f"SELECT count(*), total({is_read}) FROM run WHERE {where_problem}", parameters).fetchone()
    found = db.execute(
        f"SELECT id, workflow_id, last_updated FROM run WHERE {where_problem} AND NOT {is_read}"
        " ORDER BY recency DESC, rowid DESC LIMIT ?",
        (*parameters, most),
    )
    return UnreadRuns(tuple([UnreadRun(*run) for run in found]), total, int(read))


def causes(db: sqlite3.Connection, where: Sql) -> list[Cause]:
    """Return the failures in the runs of a query by cause, most affected users first. Each has its latest reason."""
    failures = "task_result INDEXED BY task_result_by_cause CROSS JOIN run ON run.rowid = run_row"
    found = db.execute(
        "SELECT cause, raw, runs, users, first, last, names FROM ("
        f" SELECT cause, count(DISTINCT run_row) AS runs, count(DISTINCT nullif(subject_row, {_NOBODY})) AS users,"
        f" min(nullif(moment, {NO_NUMBER})) AS first, max(nullif(moment, {NO_NUMBER})) AS last,"
        " json_group_array(DISTINCT workflow_name) AS names"
        f" FROM {failures} WHERE cause <> '' AND {where[0]} GROUP BY cause"
        ") AS grouped JOIN task_body ON task_body.rowid = ("
        f" SELECT task_result.rowid FROM {failures} WHERE cause <> '' AND cause = grouped.cause"
        f" AND moment = coalesce(last, {NO_NUMBER}) AND {where[0]} ORDER BY task_result.rowid DESC LIMIT 1"
        ") ORDER BY users DESC, runs DESC, last DESC, cause",
        (*where[1], *where[1]),
    )
    groups = []
    for key, raw, *figures, names in found:
        example = TaskResult(kept_object(raw) or {})
        workflows = tuple(sorted(map(str, json.loads(names)), key=str.casefold))
        said = (example.task_name, example.definition_id, example.reason)
        groups.append(Cause._make((key, *said, *figures, workflows, example.extension_id)))
    return groups


def failures_of_cause(db: sqlite3.Connection, where: Sql, key: str, most: int) -> list[TaskResult]:
    """Return the latest failures of a cause in the runs of a query, at most so many."""
    found = db.execute(
        f"SELECT {_NAMED} FROM task_result JOIN task_body USING (rowid) JOIN run ON run.rowid = run_row"
        f" WHERE cause = ? AND {where[0]} ORDER BY moment DESC, task_result.rowid DESC LIMIT ?",
        (key, *where[1], most),
    )
    return _known(TaskResult, found)


def put_names(db: sqlite3.Connection, named: Iterable[tuple[str, str, str]]) -> None:
    """Store the names of subjects: (id, name, userPrincipalName) each."""
    db.execute("UPDATE results_state SET revision = revision + 1")
    db.executemany(
        "UPDATE subject SET name = ?, upn = ?, key = ? WHERE id = ?",
        ((name, upn, _key((name, upn, subject_id)), subject_id) for subject_id, name, upn in named),
    )


def people(db: sqlite3.Connection, text: str, most: int) -> list[Person]:
    """Return people with `text` in name, UPN or id (any case): those that begin with it first, unnamed ones last."""
    wanted = text.strip().casefold()
    found = db.execute(
        "SELECT id, name, upn,"
        " (SELECT count(*) FROM (SELECT run_row FROM user_result WHERE subject_row = subject.rowid AND run_row > 0"
        " UNION SELECT run_row FROM task_result WHERE subject_row = subject.rowid AND run_row > 0)),"
        " (SELECT count(*) FROM task_result WHERE subject_row = subject.rowid AND run_row > 0 AND cause <> '')"
        " FROM subject WHERE instr(key, :text)"
        # Results of deleted runs do not count for anybody.
        " AND (EXISTS (SELECT 1 FROM user_result WHERE subject_row = subject.rowid AND run_row > 0)"
        " OR EXISTS (SELECT 1 FROM task_result WHERE subject_row = subject.rowid AND run_row > 0))"
        " ORDER BY instr(key, char(10) || :text) = 0, name IN ('', id), name COLLATE NOCASE, id LIMIT :most",
        {"text": wanted, "most": most},
    )
    return [Person(*person) for person in found]


def results_of_person(db: sqlite3.Connection, subject_id: str) -> list[PersonResult]:
    """Return what tasks did for a person, over all runs that were read, newest first."""
    # Modules that the first rows of a session do not need.
    from runtui.domain.triage.run_users import PersonResult

    found = db.execute(
        f"SELECT run.id, workflow_id, workflow_name, {_NAMED} FROM task_result JOIN task_body USING (rowid)"
        " JOIN run ON run.rowid = run_row WHERE subject_row = (SELECT rowid FROM subject WHERE id = ?)"
        " ORDER BY moment DESC, task_result.rowid DESC",
        (storable(subject_id),),
    )
    return [
        PersonResult(run_id, workflow_id, workflow_name, result)
        for run_id, workflow_id, workflow_name, *row in found
        for result in _known(TaskResult, [row])
    ]


def _indexed(task: TaskResult) -> tuple[str, str, str, int]:
    """Return the columns of a task result, from `task_key` on."""
    return (
        storable(task.task_name).casefold(),
        task.cause_key,
        storable(task.reason).casefold() if task.is_failed else "",
        NO_NUMBER if (updated := task.updated) is None else updated,
    )


def _subject_rows(db: sqlite3.Connection, results: Iterable[TaskResult | UserResult]) -> dict[str, int]:
    """Store the subjects that results name; return the row of each, by id."""
    subjects: dict[str, tuple[str, str, str, str]] = {}
    for result in results:
        if result.subject_id:
            named = (result.subject_id, result.subject_name, result.user_principal_name)
            subject_id, name, upn = map(storable, named)
            subjects[subject_id] = (subject_id, name, upn, _key((name, upn, subject_id)))
    db.executemany(_PUT_SUBJECT, subjects.values())
    find = "SELECT rowid FROM subject WHERE id = ?"
    return {subject_id: db.execute(find, (subject_id,)).fetchone()[0] for subject_id in subjects}


def _key(texts: Iterable[str]) -> str:
    """Join texts, each between line ends, so that a whole text can be told from a part."""
    return "\n".join(("", *texts, "")).casefold()
