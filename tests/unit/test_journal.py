"""The journal: what it records, what may still change, which runs are blocked for others, and what it never
contains."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtui import redact
from runtui.domain.report import KnownBy, Outcome
from runtui.graph.exchange import Exchange
from runtui.services.foreground import Foreground
from runtui.services.records import journal as journal_module
from runtui.services.records.journal import LONGEST_RESPONSE, Entry, Journal, RunBusyError, Settlement
from runtui.services.records.journal_file import JournalConnection, JournalError, open_journal
from runtui.services.writing.proof import is_explained_by
from tests import there
from tests.unit.fake_writer import exchange
from tests.unit.intents import ROOT, intent, record_intent

ELSEWHERE = "http://127.0.0.1:8080/beta"
OTHER_NAMES = ["http://localhost/beta", "http://127.0.0.1/v1.0", "http://[::1]"]
"""Names of the server of `ROOT`."""

SECRET = "a-secret-that-nobody-may-read"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


@pytest.fixture
def other(path: Path) -> Iterator[Journal]:
    """The journal of another runtui on the same folder."""
    journal = Journal(path)
    yield journal
    journal.close()


def the(journal: Journal, number: int) -> Entry:
    entry = journal.entry(number)
    assert entry is not None
    return entry


def answer(body: bytes, status: int = 200) -> Exchange:
    headers = (("request-id", "their-id"),)
    return replace(
        exchange("PATCH"), status=status, reason="OK", seconds=0.25, response_headers=headers, response_body=body
    )


def test_an_intent_is_there_for_all_before_anything_is_sent(journal: Journal, other: Journal) -> None:
    some = intent(if_match='W/"1"', before={"processingStatus": "inProgress", "startedDateTime": None})
    number = record_intent(journal, some)
    entry = the(other, number)
    assert {name: getattr(entry, name) for name in type(some).__dataclass_fields__} == {
        name: getattr(some, name) for name in type(some).__dataclass_fields__
    }
    assert (entry.number, entry.outcome, entry.ended_at, entry.known_by) == (number, None, None, "")
    assert not entry.is_settled


def test_an_outcome_is_recorded_with_the_answer_and_announced(journal: Journal, other: Journal) -> None:
    told: list[int] = []
    journal.changed.subscribe(told.extend)
    some = intent()
    number = record_intent(journal, some)
    journal.settle(
        Settlement(
            some.client_request_id, Outcome.DONE, "answer", exchange=answer(b'{"id": "r1"}'), words="It was slow."
        )
    )
    entry = the(other, number)
    assert (entry.outcome, entry.known_by, entry.is_settled) == (Outcome.DONE, "answer", True)
    assert (entry.status, entry.reason, entry.request_id, entry.seconds) == (200, "OK", "their-id", 0.25)
    assert (entry.response, entry.words) == ('{"id": "r1"}', "It was slow.")
    assert entry.ended_at is not None
    assert entry.opened_at <= entry.ended_at
    assert told == [number, number]


@pytest.mark.parametrize("first", [Outcome.DONE, Outcome.NOT_DONE])
@pytest.mark.parametrize("then", list(Outcome))
def test_an_outcome_once_known_never_changes(first: Outcome, then: Outcome, journal: Journal, other: Journal) -> None:
    some = intent()
    number = record_intent(journal, some)
    journal.settle(Settlement(some.client_request_id, first, "answer"))
    known = the(journal, number)
    told: list[int] = []
    other.changed.subscribe(told.extend)
    other.settle(Settlement(some.client_request_id, then, "person", exchange=answer(b"late"), words="No."))
    assert the(journal, number) == known
    assert told == []


@pytest.mark.parametrize(("outcome", "by"), [(Outcome.DONE, "read-back"), (Outcome.NOT_DONE, "person")])
def test_an_unknown_outcome_can_become_known_and_keeps_its_answer(
    outcome: Outcome, by: KnownBy, journal: Journal
) -> None:
    some = intent()
    number = record_intent(journal, some)
    journal.settle(
        Settlement(some.client_request_id, Outcome.UNKNOWN, "", exchange=answer(b"gateway", 504), words="Cut.")
    )
    assert not the(journal, number).is_settled
    journal.settle(Settlement(some.client_request_id, outcome, by))
    entry = the(journal, number)
    assert (entry.outcome, entry.known_by, entry.status, entry.response) == (outcome, by, 504, "gateway")


def test_settling_what_was_never_recorded_is_refused(journal: Journal) -> None:
    told: list[int] = []
    journal.changed.subscribe(told.extend)
    with pytest.raises(JournalError, match="not in it"):
        journal.settle(Settlement("nobody's", Outcome.DONE, "answer"))
    assert (journal.entries(), told) == ([], [])


def test_entries_come_newest_first_by_root_by_run_and_no_more_than_asked_for(journal: Journal) -> None:
    places = [(ROOT, "r1"), (ROOT, "r2"), (ELSEWHERE, "r1"), (ROOT, "r1")]
    one, two, three, four = (record_intent(journal, intent(root=root, run_id=run_id)) for root, run_id in places)
    assert [entry.number for entry in journal.entries()] == [four, three, two, one]
    assert [entry.number for entry in journal.entries(root=ROOT, limit=2)] == [four, two]
    assert [entry.number for entry in journal.of_run(ROOT, "r1")] == [four, one]
    assert journal.entry(99) is None


def test_unsettled_changes_are_unknown_or_forgotten_but_not_in_progress(
    path: Path, journal: Journal, other: Journal
) -> None:
    record_intent(journal, intent(run_id="ours, on its way"))
    record_intent(other, intent(run_id="theirs, on its way"))
    for outcome in Outcome:
        some = intent(run_id=outcome.value)
        record_intent(journal, some)
        journal.settle(Settlement(some.client_request_id, outcome, "answer"))
    elsewhere = intent(root=ELSEWHERE)
    record_intent(journal, elsewhere)
    journal.settle(Settlement(elsewhere.client_request_id, Outcome.UNKNOWN, ""))
    assert [entry.run_id for entry in journal.unsettled(ROOT)] == ["unknown"]
    other.close()
    assert [entry.run_id for entry in journal.unsettled(ROOT)] == ["unknown", "theirs, on its way"]
    with closing(Journal(path)) as restarted:
        assert [entry.run_id for entry in restarted.unsettled(ROOT)] == ["unknown", "theirs, on its way"]


def test_an_entry_is_undone_by_the_undo_that_was_done(journal: Journal) -> None:
    number = record_intent(journal, some := intent())
    journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))
    for outcome, is_undone in ((Outcome.NOT_DONE, False), (Outcome.UNKNOWN, False), (Outcome.DONE, True)):
        undo = intent(undoes=number)
        last = record_intent(journal, undo)
        assert the(journal, number).undone_by is None
        journal.settle(Settlement(undo.client_request_id, outcome, "answer"))
        assert the(journal, number).undone_by == (last if is_undone else None)
        assert the(journal, last).undoes == number


def test_a_run_that_another_living_runtui_is_writing_is_refused_and_nothing_recorded(
    journal: Journal, other: Journal
) -> None:
    theirs = intent()
    number = record_intent(other, theirs)
    with pytest.raises(RunBusyError, match=f"journal #{number},"):
        record_intent(journal, intent())
    assert [entry.number for entry in journal.entries()] == [number]
    record_intent(journal, intent(run_id="r2"))
    record_intent(journal, intent(root=ELSEWHERE))
    other.settle(Settlement(theirs.client_request_id, Outcome.UNKNOWN, ""))
    record_intent(journal, intent())


@pytest.mark.parametrize("root", OTHER_NAMES)
@pytest.mark.parametrize("run_id", ["r1", "R1"])
def test_a_run_is_the_same_under_another_name_of_its_server_and_in_another_spelling(
    root: str, run_id: str, journal: Journal, other: Journal
) -> None:
    theirs = intent(root=root, run_id=run_id)
    number = record_intent(other, theirs)
    with pytest.raises(RunBusyError, match=f"journal #{number},"):
        record_intent(journal, intent())
    other.settle(Settlement(theirs.client_request_id, Outcome.UNKNOWN, ""))
    entry = the(journal, number)
    assert (entry.root, entry.run_id) == (root, run_id), "it stays as it was recorded"
    assert journal.of_run(ROOT, "r1") == journal.entries(root=ROOT) == journal.unsettled(ROOT) == [entry]
    ours = the(journal, record_intent(journal, intent()))
    assert is_explained_by(ours, journal.of_run(ours.root, ours.run_id)), "theirs may have brought the same values"


@pytest.mark.parametrize(
    ("by", "outcome", "after", "records"),
    [
        ("other", Outcome.DONE, 0, False),
        ("other", Outcome.UNKNOWN, 0, False),
        ("other", Outcome.NOT_DONE, 0, True),
        ("other", Outcome.DONE, 1, True),
        ("journal", Outcome.DONE, 0, True),
    ],
)
def test_a_run_that_was_read_before_another_runtui_wrote_it_is_not_recorded(
    by: str, outcome: Outcome, after: int, records: bool, journal: Journal, other: Journal
) -> None:
    theirs = intent(run_id="R1", root=OTHER_NAMES[0])
    writer = journal if by == "journal" else other
    record_intent(writer, theirs)
    writer.settle(Settlement(theirs.client_request_id, outcome, ""))
    (written,) = journal.entries()
    moments = [there(written.ended_at) + timedelta(milliseconds=after)] * 2
    (ours, elsewhere) = journal.open_many([intent(), intent(run_id="r2")], moments)
    assert (ours is not None, elsewhere) == (records, 2 + records), "other runs are not held up"


def test_a_change_from_before_the_clock_was_set_back_holds_up_no_other(
    journal: Journal, other: Journal, path: Path
) -> None:
    record_intent(other, theirs := intent())
    other.settle(Settlement(theirs.client_request_id, Outcome.DONE, ""))
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entry SET ended_at = '2999-01-01T00:00:00.000+00:00'")
        db.commit()
    record_intent(journal, intent())


def test_a_run_is_free_when_the_runtui_that_wrote_it_is_gone(journal: Journal, other: Journal) -> None:
    record_intent(other, intent())
    other.close()
    record_intent(journal, intent())


def test_one_runtui_is_not_kept_from_its_own_run(journal: Journal) -> None:
    assert record_intent(journal, intent()) < record_intent(journal, intent())


def test_threads_take_turns(journal: Journal) -> None:
    def write(number: int) -> None:
        some = intent(run_id=f"run {number}")
        record_intent(journal, some)
        journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(100)))
    assert {(entry.run_id, entry.outcome) for entry in journal.entries()} == {
        (f"run {number}", Outcome.DONE) for number in range(100)
    }


def test_one_request_is_recorded_once_and_trying_it_twice_breaks_nothing(journal: Journal) -> None:
    record_intent(journal, intent())
    with pytest.raises(JournalError):
        record_intent(journal, intent(client_request_id=journal.entries()[0].client_request_id))
    record_intent(journal, intent())
    assert len(journal.entries()) == 2


def test_no_secret_is_in_the_file_and_the_rest_is_as_it_was(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redact, "_secrets", {})
    redact.register_secret(SECRET)
    said = {"processingStatus": f"is {SECRET} here", "failedTasksCount": 3, SECRET: None}
    some = intent(
        before=said, after=said, body=json.dumps(said), who=SECRET, workflow_name=SECRET, url=f"{ROOT}?key={SECRET}"
    )
    number = record_intent(journal, some)
    straddling = b"x" * (LONGEST_RESPONSE - 8) + SECRET.encode() + b"y" * 100
    journal.settle(
        Settlement(some.client_request_id, Outcome.UNKNOWN, "", exchange=answer(straddling), words=f"Saw {SECRET}.")
    )
    entry = the(journal, number)
    kept = {"processingStatus": f"is {redact.REDACTED} here", "failedTasksCount": 3, redact.REDACTED: None}
    assert (entry.before, entry.after, json.loads(entry.body)) == (kept, kept, kept)
    assert (entry.who, entry.workflow_name, entry.words) == (
        redact.REDACTED,
        redact.REDACTED,
        f"Saw {redact.REDACTED}.",
    )
    assert len(entry.response) == LONGEST_RESPONSE
    written = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    assert b"Saw [redacted]." in written
    for part in (SECRET, SECRET[:8], SECRET[-8:]):
        assert part.encode() not in written


def test_a_journal_that_could_not_be_used_is_used_as_soon_as_it_can_be(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("in the way")
    journal = Journal(folder / "journal.db")
    for call in (lambda: record_intent(journal, intent()), journal.entries, lambda: journal.unsettled(ROOT)):
        with pytest.raises(JournalError, match=str(folder)):
            call()
    folder.unlink()
    assert record_intent(journal, intent()) == 1
    journal.close()


def test_a_thread_that_comes_after_the_end_opens_nothing(journal: Journal) -> None:
    record_intent(journal, intent())
    journal.close()
    with ThreadPoolExecutor(1) as late, pytest.raises(JournalError, match="closed"):
        late.submit(journal.entries).result()


FILL_THE_DISK = """
import json, resource, sys
from pathlib import Path
from runtui.domain.report import Outcome
from runtui.services.records.journal import Journal, Settlement
from runtui.services.records.journal_file import JournalError
from tests.unit.intents import intent, record_intent

path = Path(sys.argv[1])
journal = Journal(path)
first = intent()
kept = [record_intent(journal, first)]
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("journal.db-wal").stat().st_size + 30_000, most))
try:
    while True:
        kept.append(record_intent(journal, intent()))
except JournalError as error:
    said = error.message
try:
    journal.settle(Settlement(first.client_request_id, Outcome.DONE, "answer", words="long " * 200_000))
except JournalError:
    kept.append(str(journal.entry(1).outcome))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
kept.append(record_intent(journal, intent()))
print(json.dumps([said, kept]))
journal.close()
"""
"""Starts a process that may not write a file beyond a size, as if the disk were full; this also stops root."""


def test_a_full_disk_is_reported_until_there_is_room_and_nothing_is_lost(journal: Journal, path: Path) -> None:
    root = Path(__file__).parents[2]
    filled = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, path], cwd=root, capture_output=True, text=True, check=True
    )
    said, (*kept, outcome, last) = json.loads(filled.stdout)
    assert str(path) in said
    assert outcome == "None", "it is not half recorded"
    assert sorted(entry.number for entry in journal.entries()) == [*kept, last], "what was promised, and no more"
    assert the(journal, 1).outcome is Outcome.DONE, "with room again it is recorded"


def test_a_commit_that_a_defect_breaks_off_records_nothing_and_holds_up_no_other(other: Journal, path: Path) -> None:
    class Breaking(Foreground):
        def yield_to_input_in_thread(self) -> None:
            calls.append(self)
            if len(calls) == 4:  # between the two inserts
                raise ZeroDivisionError

    calls: list[Foreground] = []
    with closing(Journal(path, Breaking())) as journal:
        with pytest.raises(ZeroDivisionError):
            journal.open_many([intent(), intent(run_id="r2")], [datetime.now(UTC)] * 2)
        record_intent(other, intent(run_id="r3"))
        assert [entry.run_id for entry in journal.entries()] == ["r3"]


def test_its_own_writes_are_no_reason_to_open_the_file_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens it checks the whole file."""
    opened: list[Path] = []

    def count(path: Path, *, durable: bool) -> JournalConnection:
        opened.append(path)
        return open_journal(path, durable=durable)

    monkeypatch.setattr(journal_module, "open_journal", count)
    record_intent(journal, intent(body="x" * 5_000_000))  # more than SQLite keeps in its log
    record_intent(journal, intent())
    assert len(opened) == 1


def test_a_file_that_was_set_aside_stays_known_when_another_runtui_makes_this_one_open_the_new_file_again(
    path: Path, journal: Journal, other: Journal
) -> None:
    path.write_bytes(b"this was never a database" * 100)
    record_intent(journal, intent())
    assert (aside := journal.set_aside) is not None
    record_intent(other, intent(run_id="r2", body="x" * 5_000_000))
    record_intent(journal, intent())
    assert journal.set_aside == aside


def test_many_intents_are_recorded_in_one_commit_and_a_busy_run_holds_up_no_other(
    journal: Journal, other: Journal
) -> None:
    record_intent(other, intent(run_id="theirs"))
    some = [intent(run_id=run_id, batch="b1") for run_id in ("r1", "theirs", "r2")]
    one, busy, two = journal.open_many(some, [datetime.now(UTC)] * 3)
    assert isinstance(busy, RunBusyError)
    assert [entry.number for entry in journal.entries() if entry.batch == "b1"] == [two, one]
    broken = Settlement("nobody", Outcome.DONE, "answer")
    refused = journal.settle_many(
        [Settlement(some[0].client_request_id, Outcome.DONE, "answer"), broken,
         Settlement(some[2].client_request_id, Outcome.UNKNOWN, "", words="Cut off.")]
    )  # fmt: skip
    assert [error is None for error in refused] == [True, False, True]
    assert [(entry.outcome, entry.words) for entry in journal.entries() if entry.batch] == [
        (Outcome.UNKNOWN, "Cut off."), (Outcome.DONE, ""),
    ]  # fmt: skip
