"""The journal records every write on disk: before its first byte leaves, and again after its end.

Invariant: when `open_many` returns, an intent is on the disk itself, in the file at the journal's path. A known outcome
never changes; an open entry or an unknown outcome can still become known. Every text is redacted before it is written.
A damaged row is returned as an entry with `damage` set; nothing else relies on it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from runtui.announcer import Announcer
from runtui.domain.report import KnownBy, Outcome, Report, change_words
from runtui.domain.triage.service_actions import action_words
from runtui.errors import RuntuiError
from runtui.graph.exchange import AnswerError, Exchange, load_strict_json
from runtui.graph.root import run_key, same_server
from runtui.redact import redact, redact_values
from runtui.services.foreground import Foreground
from runtui.services.records.journal_file import (
    FILE_GONE_HINT,
    TEXTS,
    DamagedRowError,
    JournalConnection,
    JournalError,
    SessionLock,
    checksum,
    facts_of,
    open_journal,
)

LONGEST_RESPONSE: Final = 64 * 1024
"""The most characters of a response body that are kept."""


class RunBusyError(RuntuiError):
    """Another runtui on this machine is writing the same run."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "Another runtui is writing this run",
            f"Its change, journal #{number}, has no outcome yet. Nothing was sent.",
            "Wait for it to end, then try again.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One change that is about to be sent. `before` and `after` hold the changed properties. `before` also holds the
    run's last update; it lacks what was not received."""

    who: str
    """The account named in the token; empty if the token names none."""
    profile: str
    tenant: str
    root: str
    workflow_id: str
    workflow_name: str
    run_id: str
    method: str
    url: str
    body: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    client_request_id: str
    if_match: str | None = None
    undoes: int | None = None
    """The number of the entry that this one undoes."""
    batch: str = ""
    """The id shared by all changes of one bulk change; empty for a single change."""
    why: str = ""
    """The reason that the person typed; empty if there is none."""

    @property
    def action(self) -> str:
        """The name of the requested service action; empty for a change of properties."""
        return self.url.rpartition("/")[2] if self.method == "POST" else ""

    @property
    def is_about_workflow(self) -> bool:
        """True if it is an action on a workflow, whose id then stands for the run's."""
        return self.run_id == self.workflow_id

    @property
    def sent(self) -> Mapping[str, Any]:
        """The JSON object in the request body; empty if the body is not a JSON object."""
        try:
            body = load_strict_json(self.body.encode())
        except AnswerError:
            return {}
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Intent):
    """An intent and its outcome. `outcome` is None while the change is in progress, or if its process has ended."""

    number: int
    session: str
    opened_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    known_by: KnownBy
    status: int | None
    reason: str
    request_id: str
    seconds: float | None
    words: str
    """What went wrong, in sentences; empty if nothing did."""
    response: str
    undone_by: int | None
    """The number of the entry that undid this one."""
    undone_perhaps_by: int | None
    """The number of an entry that undoes this one but whose outcome is unknown."""
    new_run: str = ""
    """The id of the run that an action created, once it is known."""
    damage: str = ""
    """Why the entry cannot be read; then only its number is known and its outcome is None. Empty for a sound entry."""

    @property
    def is_settled(self) -> bool:
        """True if the outcome is known: done or not done."""
        return self.outcome in (Outcome.DONE, Outcome.NOT_DONE)

    @property
    def report(self) -> Report:
        return Report(
            number=self.number,
            outcome=self.outcome,
            known_by=self.known_by,
            answer=f"{self.status} {self.reason}".rstrip() if self.status is not None else "",
            undoes=self.undoes,
            message=self.words,
            damage=self.damage,
        )

    def change_words(self) -> Iterator[str]:
        """Yield each changed property with its old and new value, or describe the requested action, as raw text."""
        if not self.action:
            return change_words(self.before, self.after)
        return iter([action_words(self.action, self.body), *([f"new run {self.new_run}"] if self.new_run else [])])


class Settlement(NamedTuple):
    """The outcome of an intent."""

    client_request_id: str
    outcome: Outcome
    known_by: KnownBy
    exchange: Exchange | None = None
    words: str = ""
    """What went wrong, in sentences; empty if nothing did."""
    new_run: str = ""
    """The id of the run that an action created, if it is known."""


class Journal:
    """The entries of one state folder. Any thread may call any method. A method raises JournalError if the file cannot
    be used. The file is opened at the first call, and again after a failure.

    Every name of a server and every spelling of a run's id mean the same run (see `graph.root`).
    """

    def __init__(self, path: Path, foreground: Foreground | None = None) -> None:
        """With `foreground`, the recording of many changes pauses while a person waits for the screen."""
        self.path = path
        self._foreground = foreground or Foreground()
        self.changed: Announcer[Sequence[int]] = Announcer()
        """Announces the numbers of the entries that one commit opened or settled, in the thread that committed."""
        self._lock = threading.RLock()
        self.set_aside: Path | None = None
        """The path of the broken journal that was moved away when this one was opened; None if there was none."""
        self._db: JournalConnection | None = None
        self._last: int | None = None
        """The number of the entry that this process opened last. A file without it is not the one it was written to."""
        self._owed: list[tuple[str, dict[str, Any]]] = []
        """The statements for the outcomes that are not in the file, because it could not be written."""
        self._session: SessionLock | None = None
        self._is_closed = False

    # Writing

    def open_many(self, intents: Sequence[Intent], read_at: Sequence[datetime]) -> list[int | RunBusyError | None]:
        """Record intents in one commit; `read_at` has for each the time (UTC) when its run was read. Return for each
        its number, once it is on the disk. Otherwise it is not recorded and must not be sent: return an error, or None
        if another runtui has written the run, or may have written it, since it was read.

        Raises:
            JournalError: the file was lost after it was opened. This is raised once; the next change goes into the file
                that is at the path then.
        """
        rows = [self._row_of(intent) for intent in intents]
        opened: list[int | RunBusyError | None] = []
        with self._recording() as db:
            session = self._own_session()
            own = {"session": session.id, "opened_at": _now()}
            session.acquire()
            busy, written = self._by_others(db, intents)
            for intent, row, moment in zip(intents, rows, read_at, strict=True):
                self._foreground.yield_to_input_in_thread()
                run = intent.root, run_key(intent.run_id)
                if run in busy:
                    opened.append(RunBusyError(busy[run]))
                elif written.get(run, "") >= _stamp(moment):
                    opened.append(None)
                else:
                    opened.append(_sealed(db, db.execute(_INSERT, row | own)))
            numbers = [found for found in opened if isinstance(found, int)]
            self._last = max(numbers, default=self._last)
        if numbers:
            self.changed.announce(numbers)
        return opened

    @contextmanager
    def _recording(self) -> Iterator[JournalConnection]:
        """Give one thread the connection for one commit.

        Raises:
            JournalError: the file lacks what this process recorded last, or was lost before or during the commit.
        """
        with self._lock:
            self._look_at_the_file()
            with self._using() as db, _transaction(db):
                yield db
            with self._using():
                pass  # raises if the commit went into a file that is no longer at the path

    def _by_others(
        self, db: JournalConnection, intents: Sequence[Intent]
    ) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], str]]:
        """Return, by (root, run key), the numbers of the changes that other live runtui are making, and when another
        runtui last ended a change that was made or may have been."""
        own, now = self._own_session(), _now()
        busy, written = dict[tuple[str, str], int](), dict[tuple[str, str], str]()
        for root in {intent.root for intent in intents}:
            here, names = self._at_server(root)
            runs = [intent.run_id for intent in intents if intent.root == root]
            rows = db.rows(
                "SELECT number, session, run_id, outcome, coalesce(ended_at, opened_at) AS moment FROM entry "  # noqa: S608
                f"WHERE {here} AND run_id COLLATE NOCASE IN ({', '.join('?' * len(runs))}) "
                "AND session != ? AND outcome IS NOT 'not done' ORDER BY moment",
                (*names, *runs, own.id),
            )
            for row in rows:
                run, moment = (root, run_key(row["run_id"])), str(row["moment"])
                if row["outcome"] is None and not own.is_gone(str(row["session"])):
                    busy[run] = row["number"]
                elif moment <= now:  # a later one is from before the clock was set back, and would hold up every change
                    written[run] = moment
        return busy, written

    def settle(self, settlement: Settlement) -> None:
        """Record the outcome of an intent. An entry with a known outcome stays as it is.

        Raises:
            JournalError: the outcome is not in the file at the journal's path: the entry is missing or damaged, or the
                file was lost. A file that was moved has the outcome nevertheless.
        """
        (refused,) = self.settle_many([settlement])
        if refused is not None:
            raise refused

    def settle_many(self, settlements: Sequence[Settlement]) -> list[JournalError | None]:
        """Record the outcomes of intents in one commit, and those that could not be written before. Return for each why
        it is not recorded, or None.

        Raises:
            JournalError: the file cannot be used, or was lost. The next call tries again.
        """
        refused: list[JournalError | None] = []
        news: list[int] = []
        updates = []
        for settlement in settlements:
            self._foreground.yield_to_input_in_thread()
            updates.append(_update(settlement))
        with self._lock:
            self._owed += updates
            if not self._owed:
                return []
            with self._using(anywhere=True) as db:
                with _transaction(db):
                    for update in self._owed:
                        self._foreground.yield_to_input_in_thread()
                        try:
                            row = self._sound_row(db, update[1]["id"])
                        except JournalError as error:
                            refused.append(error)
                            continue
                        refused.append(None)
                        if row["outcome"] in (None, Outcome.UNKNOWN.value):
                            news.append(row["number"])
                            _sealed(db, db.execute(*update))
                db.check()
                self._owed.clear()
        if news:
            self.changed.announce(news)
        return refused[len(refused) - len(settlements) :]

    def _sound_row(self, db: JournalConnection, client_request_id: str) -> sqlite3.Row:
        """Return the undamaged row of a request; raise JournalError if it is missing or damaged."""
        row = next(iter(db.rows(_SELECT.format(condition="client_request_id = ?"), (client_request_id, -1))), None)
        if row is None:
            raise JournalError(self.path, "this change is not in it", FILE_GONE_HINT)
        if damage := _entry(row).damage:
            raise JournalError(self.path, f"#{row['number']} is damaged: {damage}", "It stays as it is.")
        return row

    # Reading

    def entry(self, number: int) -> Entry | None:
        return next(iter(self._select("number = ?", (number,))), None)

    def entries(self, *, root: str | None = None, before: int | None = None, limit: int = 1_000) -> list[Entry]:
        """Return at most `limit` entries of one server (None: all), newest first; with `before`, only lower numbers."""
        here, roots = ("TRUE", ()) if root is None else self._at_server(root)
        return self._select(f"{here} AND (? IS NULL OR number < ?)", (*roots, before, before), limit=limit)

    def of_run(self, root: str, run_id: str) -> list[Entry]:
        here, roots = self._at_server(root)
        return self._select(f"{here} AND {_SAME_RUN}", (*roots, run_id))

    def of_batch(self, batch: str) -> list[Entry]:
        return self._select("batch = ? AND batch != ''", (batch,))

    def unsettled(self, root: str) -> list[Entry]:
        """Return the sound entries, newest first, whose outcome is unknown or whose process ended without one."""
        here, roots = self._at_server(root)
        found = self._select(f"{here} AND (outcome IS NULL OR outcome = 'unknown')", roots)
        return [entry for entry in found if entry.outcome is Outcome.UNKNOWN or self.is_forgotten(entry)]

    def is_forgotten(self, entry: Entry) -> bool:
        """Return True if an entry has no outcome and its process has ended."""
        with self._using():
            return entry.outcome is None and not entry.damage and self._own_session().is_gone(entry.session)

    # Other tables of the file

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._using() as db:
            return db.rows(query, values)

    def execute(self, statement: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Run a statement for each of `rows` on another table, in one commit. Return how many rows it changed.

        Raises:
            JournalError: as `open_many` does.
        """
        with self._recording() as db:
            return db.executemany(statement, rows).rowcount

    def close(self) -> None:
        """Close the files for good: a thread that is late gets a JournalError."""
        with self._lock:
            with suppress(JournalError):
                self.settle_many(())
            self._is_closed = True
            self._let_go()
            session, self._session = self._session, None
            if session is not None:
                session.close()

    def _at_server(self, root: str) -> tuple[str, tuple[str, ...]]:
        """Return the SQL condition, with its values, for the entries of one server under any of its names."""
        with self._using() as db:
            names = [row["root"] for row in db.rows("SELECT DISTINCT root FROM entry")]
        # A damaged row may hold a root of any type.
        roots = tuple(name for name in names if isinstance(name, str) and same_server(name, root))
        return f"root IN ({', '.join('?' * len(roots))})", roots

    def _select(self, condition: str, values: Sequence[object], *, limit: int = -1) -> list[Entry]:
        with self._using() as db:
            rows = db.rows(_SELECT.format(condition=condition), (*values, limit))
        return [_entry(row) for row in rows]

    # The file

    @contextmanager
    def _using(self, *, anywhere: bool = False) -> Iterator[JournalConnection]:
        """Give one thread at a time the connection, and turn errors of SQLite or the system into JournalError.

        With `anywhere` the file may have been moved or deleted: an outcome goes into the file that has its intent.
        """
        with self._lock:
            if self._is_closed:
                raise JournalError(self.path, "it is closed", "Start runtui again.")
            try:
                self._own_session()
                if self._db is None:
                    self._db = open_journal(self.path, durable=True)
                    self.set_aside = self._db.set_aside or self.set_aside
                elif not anywhere:
                    self._db.check()
                yield self._db
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
                self._let_go()
                raise JournalError(self.path, error) from error

    def _look_at_the_file(self) -> None:
        """Check before a write that the file still holds what this process recorded last.

        Raises:
            JournalError: it does not. The next write uses the file that is at the path then.
        """
        db, last = self._db, self._last
        if db is None:
            return
        try:
            db.check()
        except JournalError:
            if not db.needs_restart:
                self._let_go()
            raise
        if db.is_touched:
            # Another runtui checkpointed its log into the file, or another program wrote it: open and check it again.
            self._let_go()
            if last is not None and self.entry(last) is None:
                raise JournalError(self.path, f"#{last} is no longer in it", FILE_GONE_HINT)
            self._last = last

    def _let_go(self) -> None:
        db, self._db, self._last = self._db, None, None
        if db is not None:
            self.set_aside = db.let_go() or self.set_aside

    def _own_session(self) -> SessionLock:
        if self._session is None:
            self._session = SessionLock(self.path.parent / "sessions")
        return self._session

    def _row_of(self, intent: Intent) -> dict[str, Any]:
        self._foreground.yield_to_input_in_thread()
        plain = {name: redact_values(getattr(intent, name)) for name in Intent.__dataclass_fields__}
        plain |= {name: json.dumps(plain[name]) for name in ("before", "after")}
        return plain


_COLUMNS: Final = (*Intent.__dataclass_fields__, "session", "opened_at")
_INSERT: Final = (
    f"INSERT INTO entry ({', '.join(_COLUMNS)}) "  # noqa: S608 - only our own names
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) RETURNING *"
)
_SAME_RUN: Final = "run_id = ? COLLATE NOCASE"
"""The same rule as `graph.root.run_key`: ids are ASCII."""
_SELECT: Final = """
    SELECT entry.*, (
        WITH RECURSIVE undo(number, first, is_undone) AS (
            SELECT max(number), max(number), FALSE FROM entry AS one
            WHERE one.undoes = entry.number AND one.outcome = 'done'
            UNION ALL SELECT (
                SELECT max(number) FROM entry AS next
                WHERE next.undoes = undo.number AND next.outcome = 'done' AND next.number > undo.number
            ), first, NOT is_undone FROM undo WHERE undo.number IS NOT NULL
        )
        SELECT first FROM undo WHERE number IS NULL AND is_undone
    ) AS undone_by, (
        SELECT max(undo.number) FROM entry AS undo
        WHERE undo.undoes = entry.number AND coalesce(undo.outcome, 'unknown') = 'unknown'
    ) AS undone_perhaps_by
    FROM entry WHERE {condition} ORDER BY number DESC LIMIT ?
"""
"""Selects entries. An undo counts unless it is undone itself: each step of `undo` goes from an undo to the last undo of
that. A later number is asked for, so that a damaged file makes no endless chain."""


def _update(settlement: Settlement) -> tuple[str, dict[str, Any]]:
    facts: dict[str, Any] = {"outcome": settlement.outcome.value, "known_by": settlement.known_by}
    facts |= {"ended_at": _now(), "words": redact(settlement.words)}
    facts |= {"new_run": settlement.new_run} if settlement.new_run else {}
    if (exchange := settlement.exchange) is not None:
        facts |= {"status": exchange.status, "reason": exchange.reason, "seconds": exchange.seconds}
        # Redact before the final cut, because half a token is not recognized; redact only a part, for speed.
        response = redact(exchange.body_text[: 10 * LONGEST_RESPONSE])[:LONGEST_RESPONSE]
        facts |= {"request_id": exchange.request_id, "response": response}
    assign = ", ".join(f"{name} = :{name}" for name in facts)
    statement = f"UPDATE entry SET {assign} WHERE client_request_id = :id RETURNING *"  # noqa: S608 - our own names
    return statement, facts | {"id": settlement.client_request_id}


@contextmanager
def _transaction(db: JournalConnection) -> Iterator[None]:
    was_touched = db.is_touched
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    if not was_touched:
        db.note_own_write()


def _sealed(db: JournalConnection, change: sqlite3.Cursor) -> int:
    """Store the checksum of the row that a statement has just written and returned. Return the row's number."""
    (row,) = change.fetchall()
    number: int = row["number"]
    db.execute("UPDATE entry SET checksum = ? WHERE number = ?", (checksum(row), number))
    return number


def _entry(row: sqlite3.Row) -> Entry:
    try:
        return Entry(**facts_of(row))
    except DamagedRowError as error:
        return damaged_entry(row["number"], str(error), root=row["root"])


def damaged_entry(number: int, damage: str, *, root: object = "") -> Entry:
    """Return the entry for a row that cannot be read. It keeps a printable `root`, by which the entry was found."""
    blank: dict[str, Any] = dict.fromkeys(Entry.__dataclass_fields__) | dict.fromkeys(TEXTS, "")
    blank |= {"before": {}, "after": {}, "opened_at": datetime.fromtimestamp(0, UTC)}
    root = root if isinstance(root, str) and root.isprintable() else ""
    return Entry(**blank | {"number": number, "damage": damage, "root": root})


def _now() -> str:
    return _stamp(datetime.now(UTC))


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
