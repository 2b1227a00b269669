"""The journal: every write on disk, before its first byte leaves and after its end.

Invariant: when `open` returns, the intent is on the disk itself, in the file that is at the journal's path. An outcome
once known never changes; an open entry and one that is unknown can still become known. What is written is redacted
first. A row that is damaged is an entry that says so, and nothing is built on it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from runtui.services.journal_file import (
    TEXTS,
    WITH_WHAT_IS_THERE,
    DamagedRowError,
    JournalConnection,
    JournalError,
    SessionLock,
    checksum,
    facts_of,
    open_journal,
)
from runtui.services.writing.foreground import Foreground

LONGEST_RESPONSE: Final = 64 * 1024
"""Characters of an answer that are kept."""


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
    """One change that is about to be sent. `before` and `after` hold the changed properties, and `before` when the run
    was last updated; what was not received is absent from `before`."""

    who: str
    """The account as the token names it; empty when it does not."""
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
    """The entry that this one undoes."""
    batch: str = ""
    """What the changes of one bulk change have in common; empty for a change alone."""
    why: str = ""
    """Why it is made, in the words of the person; empty where nothing was said."""

    @property
    def action(self) -> str:
        """The name of the action of the service that was asked for; empty for a change of properties."""
        return self.url.rpartition("/")[2] if self.method == "POST" else ""

    @property
    def sent(self) -> Mapping[str, Any]:
        """The JSON object that is sent; empty where the body is none."""
        try:
            body = load_strict_json(self.body.encode())
        except AnswerError:
            return {}
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Intent):
    """One intent and what became of it. `outcome` is None while it is on its way, or when its process is gone."""

    number: int
    session: str
    opened_at: datetime
    ended_at: datetime | None
    sends: int
    """How often it was sent: once, unless an older runtui sent it again under one ETag."""
    outcome: Outcome | None
    known_by: KnownBy
    status: int | None
    reason: str
    request_id: str
    seconds: float | None
    words: str
    """What went wrong, in sentences; empty when nothing did."""
    response: str
    undone_by: int | None
    """The entry that undid this one."""
    undone_perhaps_by: int | None
    """The entry that is to undo this one, and whose outcome is unknown."""
    new_run: str = ""
    """The id of the run that an action has made, once it is known."""
    damage: str = ""
    """Why it cannot be read; its number alone is known then, and its outcome is None. Empty for a sound one."""

    @property
    def is_settled(self) -> bool:
        """Whether it is known to be done or not done."""
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
        """Each changed property, from what to what, or what was asked for, as raw text."""
        if not self.action:
            return change_words(self.before, self.after)
        return iter([action_words(self.action, self.body), *([f"new run {self.new_run}"] if self.new_run else [])])


class Settlement(NamedTuple):
    """What became of an intent."""

    client_request_id: str
    outcome: Outcome
    known_by: KnownBy
    exchange: Exchange | None = None
    words: str = ""
    """What went wrong, in sentences; empty when nothing did."""
    new_run: str = ""
    """The id of the run that an action has made, where it is known."""


class Journal:
    """The entries of one state folder. Every method may be called from any thread, and raises JournalError when the
    file cannot be used; it is opened at the first call, and again after a failure.

    A run is the same one under every name of its server and in every spelling of its id (see `graph.root`).
    """

    def __init__(self, path: Path, foreground: Foreground | None = None) -> None:
        """`foreground` comes before the recording of many changes; None: nobody types."""
        self.path = path
        self._foreground = foreground or Foreground()
        self.changed: Announcer[Sequence[int]] = Announcer()
        """Told the numbers of the entries that one commit has opened or settled, in the thread that did it."""
        self._lock = threading.RLock()
        self.set_aside: Path | None = None
        """The broken journal that was moved out of the way when this one was opened; None when there was none."""
        self._db: JournalConnection | None = None
        self._last: int | None = None
        """The entry that this process opened last; a file without it is not the one that it was recorded in."""
        self._session: SessionLock | None = None

    # Writing

    def open(self, intent: Intent) -> int:
        """Record what is about to be sent; its number. Returns when it is on the disk.

        Raises:
            RunBusyError: when another living runtui is writing the run. Nothing is recorded then.
            JournalError: when the file was lost since it was opened; said once, the next change goes into the file
                that is at the path then.
        """
        (opened,) = self.open_many([intent])
        if isinstance(opened, RunBusyError):
            raise opened
        return opened

    def open_many(self, intents: Sequence[Intent]) -> list[int | RunBusyError]:
        """Record what is about to be sent, in one commit; of each its number, or why it must not be sent.

        Raises:
            JournalError: as `open` does, for all of them.
        """
        rows = [self._row_of(intent) for intent in intents]
        with self._lock:
            self._look_at_the_file()
            opened = self._insert(intents, rows)
            numbers = [found for found in opened if isinstance(found, int)]
            self._last = max(numbers, default=self._last)
        if numbers:
            self.changed.announce(numbers)
        return opened

    def _insert(self, intents: Sequence[Intent], rows: Sequence[dict[str, Any]]) -> list[int | RunBusyError]:
        opened: list[int | RunBusyError] = []
        with self._using() as db:
            own = {"session": self._own_session().id, "opened_at": _now()}
            with _transaction(db):
                self._own_session().hold()
                busy = self._busy(db, {intent.root for intent in intents})
                for intent, row in zip(intents, rows, strict=True):
                    self._foreground.let_pass_in_thread()
                    number = busy.get((intent.root, run_key(intent.run_id)))
                    if number is None:
                        opened.append(_sealed(db, db.execute(_INSERT, row | own)))
                    else:
                        opened.append(RunBusyError(number))
        with self._using():  # what is committed by now is only worth something where it can be found
            return opened

    def _busy(self, db: JournalConnection, roots: Collection[str]) -> dict[tuple[str, str], int]:
        """By root and the key of the run, the changes that other living runtui are writing."""
        own, found = self._own_session(), dict[tuple[str, str], int]()
        for root in roots:
            here, names = self._at_server(root)
            open_ones = f"SELECT number, session, run_id FROM entry WHERE {here} AND outcome IS NULL"  # noqa: S608
            rows = [row for row in db.rows(open_ones, names) if row["session"] != own.id]
            gone = {session: own.is_gone(session) for session in {str(row["session"]) for row in rows}}
            found |= {
                (root, run_key(str(row["run_id"]))): row["number"] for row in rows if not gone[str(row["session"])]
            }
        return found

    def settle(self, settlement: Settlement) -> None:
        """Record what became of an intent; one whose outcome is known stays as it is.

        Raises:
            JournalError: when it is not recorded where the journal is looked for: the entry is missing or damaged, or
                the file was lost. One that was moved has the outcome all the same.
        """
        (refused,) = self.settle_many([settlement])
        if refused is not None:
            raise refused

    def settle_many(self, settlements: Sequence[Settlement]) -> list[JournalError | None]:
        """Record what became of some intents, in one commit; of each why it is not recorded, or None.

        Raises:
            JournalError: when the file cannot be used, or was lost.
        """
        refused: list[JournalError | None] = []
        news: list[int] = []
        updates = []
        for settlement in settlements:
            self._foreground.let_pass_in_thread()
            updates.append(_update(settlement))
        with self._using(anywhere=True) as db:
            with _transaction(db):
                for settlement, update in zip(settlements, updates, strict=True):
                    self._foreground.let_pass_in_thread()
                    try:
                        row = self._sound_row(db, settlement.client_request_id)
                    except JournalError as error:
                        refused.append(error)
                        continue
                    refused.append(None)
                    if row["outcome"] in (None, Outcome.UNKNOWN.value):
                        news.append(row["number"])
                        _sealed(db, db.execute(*update))
            db.check()
        if news:
            self.changed.announce(news)
        return refused

    def _sound_row(self, db: JournalConnection, client_request_id: str) -> sqlite3.Row:
        """The row of a request, fit to be written on."""
        row = next(iter(db.rows(_SELECT.format(condition="client_request_id = ?"), (client_request_id, -1))), None)
        if row is None:
            raise JournalError(self.path, "this change is not in it", WITH_WHAT_IS_THERE)
        if damage := _entry(row).damage:
            raise JournalError(self.path, f"#{row['number']} is damaged: {damage}", "It stays as it is.")
        return row

    # Reading

    def entry(self, number: int) -> Entry | None:
        return next(iter(self._select("number = ?", (number,))), None)

    def entries(self, *, root: str | None = None, before: int | None = None, limit: int = 1_000) -> list[Entry]:
        """The newest entries, newest first; of one server, or of all; with `before`, those older than that number."""
        here, roots = ("TRUE", ()) if root is None else self._at_server(root)
        return self._select(f"{here} AND (? IS NULL OR number < ?)", (*roots, before, before), limit=limit)

    def of_run(self, root: str, run_id: str) -> list[Entry]:
        """All entries of a run, newest first."""
        here, roots = self._at_server(root)
        return self._select(f"{here} AND {_SAME_RUN}", (*roots, run_id))

    def of_batch(self, batch: str) -> list[Entry]:
        """All entries of a bulk change, newest first."""
        return self._select("batch = ? AND batch != ''", (batch,))

    def unsettled(self, root: str) -> list[Entry]:
        """The sound entries whose outcome is still to be found out, newest first: unknown, or their process is gone."""
        here, roots = self._at_server(root)
        found = self._select(f"{here} AND (outcome IS NULL OR outcome = 'unknown')", roots)
        return [entry for entry in found if entry.outcome is Outcome.UNKNOWN or self.is_forgotten(entry)]

    def is_forgotten(self, entry: Entry) -> bool:
        """Whether an entry is open and its process is gone."""
        with self._using():
            return entry.outcome is None and not entry.damage and self._own_session().is_gone(entry.session)

    # Other tables of the file

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._using() as db:
            return db.rows(query, values)

    def execute(self, statement: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Carry out a statement for each of some rows of another table, in one commit; how many rows it changed.

        Raises:
            JournalError: as `open` does.
        """
        with self._lock:
            self._look_at_the_file()
            with self._using() as db, _transaction(db):
                changed = db.executemany(statement, rows).rowcount
            with self._using():  # what is committed by now is only worth something where it can be found
                return changed

    def close(self) -> None:
        with self._lock:
            self._let_go()
            session, self._session = self._session, None
            if session is not None:
                session.close()

    def _at_server(self, root: str) -> tuple[str, tuple[str, ...]]:
        """A condition that holds for the entries of one server, by whatever name, and its values."""
        with self._using() as db:
            names = [row["root"] for row in db.rows("SELECT DISTINCT root FROM entry")]
        # In a damaged row it may be anything.
        roots = tuple(name for name in names if isinstance(name, str) and same_server(name, root))
        return f"root IN ({', '.join('?' * len(roots))})", roots

    def _select(self, condition: str, values: Sequence[object], *, limit: int = -1) -> list[Entry]:
        with self._using() as db:
            rows = db.rows(_SELECT.format(condition=condition), (*values, limit))
        return [_entry(row) for row in rows]

    # The file

    @contextmanager
    def _using(self, *, anywhere: bool = False) -> Iterator[JournalConnection]:
        """The connection, for one thread at a time; what SQLite or the system says becomes a JournalError.

        With `anywhere` also one whose file was lost: an outcome goes to where its intent is.
        """
        with self._lock:
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
        """Before something is recorded: whether the file is the one that holds what was recorded before.

        Raises:
            JournalError: it is not. From then on the file that is at the path is used.
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
            # Another runtui has moved its log into the file, or something else wrote it: looked at as at the start.
            self._let_go()
            if last is not None and self.entry(last) is None:
                raise JournalError(self.path, f"#{last} is no longer in it", WITH_WHAT_IS_THERE)
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
        self._foreground.let_pass_in_thread()
        plain = {name: redact_values(getattr(intent, name)) for name in Intent.__dataclass_fields__}
        plain |= {name: json.dumps(plain[name]) for name in ("before", "after")}
        return plain


_COLUMNS: Final = (*Intent.__dataclass_fields__, "session", "opened_at")
_INSERT: Final = (
    f"INSERT INTO entry ({', '.join(_COLUMNS)}) "  # noqa: S608 - only our own names
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) RETURNING *"
)
_SAME_RUN: Final = "run_id = ? COLLATE NOCASE"
"""As `graph.root.same_run`: ids are ASCII."""
_SELECT: Final = """
    SELECT entry.*, (
        SELECT max(undo.number) FROM entry AS undo WHERE undo.undoes = entry.number AND undo.outcome = 'done'
    ) AS undone_by, (
        SELECT max(undo.number) FROM entry AS undo
        WHERE undo.undoes = entry.number AND coalesce(undo.outcome, 'unknown') = 'unknown'
    ) AS undone_perhaps_by
    FROM entry WHERE {condition} ORDER BY number DESC LIMIT ?
"""


def _update(settlement: Settlement) -> tuple[str, dict[str, Any]]:
    facts: dict[str, Any] = {"outcome": settlement.outcome.value, "known_by": settlement.known_by}
    facts |= {"ended_at": _now(), "words": redact(settlement.words)}
    facts |= {"new_run": settlement.new_run} if settlement.new_run else {}
    if (exchange := settlement.exchange) is not None:
        facts |= {"status": exchange.status, "reason": exchange.reason, "seconds": exchange.seconds}
        # Redacted before the cut that is kept, because half a token does not look like one; not all, for speed.
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
    """Put the checksum on the row that a statement returns as it has written it; the row's number."""
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
    """The entry of a row that cannot be read; its root is kept where it is a text, since the entry was found by it."""
    blank: dict[str, Any] = dict.fromkeys(Entry.__dataclass_fields__) | dict.fromkeys(TEXTS, "")
    blank |= {"before": {}, "after": {}, "sends": 0, "opened_at": datetime.fromtimestamp(0, UTC)}
    root = root if isinstance(root, str) and root.isprintable() else ""
    return Entry(**blank | {"number": number, "damage": damage, "root": root})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
