"""Damage in the journal: an altered row is named by its number, and everything else continues to work."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from runtui.cli import main
from runtui.domain.report import Outcome
from runtui.services.records.journal import Entry, Journal, Settlement, damaged_entry
from runtui.services.records.journal_file import STEPS, TEXTS, JournalError, damaged_files
from runtui.services.writing.proof import is_explained_by
from tests import there
from tests.unit.entries import an_entry
from tests.unit.fake_writer import exchange
from tests.unit.intents import ROOT, intent, record_intent

ENTRIES: Final = 24
DAMAGED: Final = 7


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of entries with all outcomes, some of them undone."""
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    with closing(Journal(path)) as journal:
        for number in range(1, ENTRIES + 1):
            some = intent(run_id=f"run-{number % 5}", workflow_name="Ünboard", undoes=number // 3 or None)
            record_intent(journal, some)
            journal.settle(
                Settlement(
                    some.client_request_id,
                    list(Outcome)[number % 3],
                    "answer",
                    exchange=exchange("PATCH"),
                    words="Slow.",
                )
            )
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """A copy of that journal, which a test may damage."""
    return Path(shutil.copy(sound, tmp_path / "journal.db"))


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path)) as journal:
        yield journal


def spoil(path: Path, columns: dict[str, Any], number: int = DAMAGED, *, without_checksum: bool = False) -> None:
    """Write columns of one row without runtui."""
    with closing(sqlite3.connect(path)) as db, db:
        for name, value in columns.items():
            db.execute(f"UPDATE entry SET {name} = ? WHERE number = ?", (value, number))
        if without_checksum:
            db.execute("UPDATE entry SET checksum = NULL")


def entries_of(path: Path) -> dict[int, Entry]:
    with closing(Journal(path)) as journal:
        return {entry.number: entry for entry in journal.entries()}


BAD_VALUES: Final = [
    *((name, sqlite3.Binary(b"\xff\xfe")) for name in TEXTS),
    *((name, 5.5) for name in ("before", "opened_at", "outcome", "status")),
    ("outcome", "deferred"),
    ("known_by", "oracle"),
    ("before", "[1]"),
    ("after", "{"),
    ("after", "[" * 100_000),
    ("opened_at", "yesterday"),
    ("opened_at", "2026-11-20T10:00:00"),
    ("opened_at", "0001-01-01T00:00:00+14:00"),
    ("ended_at", "9999-12-31T23:59:59-14:00"),
    ("words", "Fast."),
]


@pytest.mark.parametrize(("column", "value"), [(name, value) for name, value in BAD_VALUES if name != "words"])
@pytest.mark.parametrize("without_checksum", [False, True])
def test_a_row_with_impossible_values_is_named_and_the_others_are_sound(
    column: str, value: object, without_checksum: bool, path: Path, sound: Path
) -> None:
    spoil(path, {column: value}, without_checksum=without_checksum)
    found = entries_of(path)
    damaged = found.pop(DAMAGED)
    assert damaged.damage
    assert (damaged.outcome, damaged.is_settled, damaged.run_id) == (None, False, "")
    before = entries_of(sound)
    assert found == {number: before[number] for number in found}
    assert len(found) == ENTRIES - 1


def test_a_text_that_is_not_utf_8_is_the_trouble_of_its_row_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE entry SET words = CAST(x'53ff77' AS TEXT), checksum = NULL WHERE number = ?", (DAMAGED,))
    assert [number for number, entry in entries_of(path).items() if entry.damage] == [DAMAGED]


@pytest.mark.parametrize("column", [*TEXTS, "after", "if_match"])
def test_a_value_that_has_changed_is_seen_by_the_checksum(column: str, path: Path) -> None:
    values = {"after": '{"processingStatus": "queued"}', "known_by": "person"}
    spoil(path, {column: values.get(column, "another")})
    assert "checksum" in entries_of(path)[DAMAGED].damage


def test_rows_from_before_there_were_checksums_are_read_and_get_one_when_they_are_settled(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    old = intent(run_id="old")
    with closing(sqlite3.connect(path)) as db, db:
        for statement in STEPS[0]:
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        facts = {name: getattr(old, name) for name in type(old).__dataclass_fields__}
        del facts["batch"], facts["why"]
        facts |= {"before": "{}", "after": "{}", "session": "gone", "opened_at": "2026-11-20T10:00:00.000+00:00"}
        db.execute(f"INSERT INTO entry ({', '.join(facts)}) VALUES ({', '.join(f':{name}' for name in facts)})", facts)
    assert entries_of(path)[1] == replace(entries_of(path)[1], run_id="old", outcome=None, damage="")
    with closing(Journal(path)) as journal:
        journal.settle(Settlement(old.client_request_id, Outcome.DONE, "read-back"))
    assert entries_of(path)[1].outcome is Outcome.DONE
    spoil(path, {"words": "Fast."}, 1)
    assert entries_of(path)[1].damage


def test_a_damaged_entry_is_never_settled_and_proves_nothing(path: Path, journal: Journal) -> None:
    (entry,) = [entry for entry in journal.entries() if entry.number == DAMAGED]
    spoil(path, {"words": "Fast.", "outcome": None})
    with pytest.raises(JournalError, match=f"#{DAMAGED} is damaged"):
        journal.settle(Settlement(entry.client_request_id, Outcome.DONE, "person"))
    now = there(journal.entry(DAMAGED))
    assert now.damage
    assert not journal.is_forgotten(now)
    assert DAMAGED not in [unsettled.number for unsettled in journal.unsettled(ROOT)]


def test_a_damaged_entry_may_explain_any_value() -> None:
    assert not is_explained_by(an_entry(1), [])
    assert is_explained_by(an_entry(1), [damaged_entry(2, "unreadable")])
    assert is_explained_by(an_entry(3), [damaged_entry(2, "unreadable")])


def test_other_tables_under_these_names_are_no_journal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'words TEXT', 'wordz TEXT')")
    with closing(Journal(path)) as journal:
        assert journal.entries() == []
        assert [journal.set_aside] == damaged_files(path)


def test_a_damaged_session_leads_to_no_other_file(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.lock"
    victim.touch()
    for session in ("../victim", "a\0b", "x" * 5_000, ""):
        spoil(path, {"outcome": None, "session": session}, without_checksum=True)
        with closing(Journal(path)) as journal:
            journal.unsettled(ROOT)
            entry = there(journal.entry(DAMAGED))
            assert record_intent(journal, intent(run_id=entry.run_id or "run-2"))
    assert victim.exists()


# Flipped bits


def flipped(path: Path, chance: random.Random) -> None:
    """Change some bits of a file, anywhere in it."""
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 5, 40))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def check_that_all_survives(path: Path, before: dict[int, Entry], seed: int) -> None:
    """Read, settle and add entries; each entry is as it was written, or is reported as damaged."""
    with closing(Journal(path)) as journal:
        try:
            found = journal.entries()
        except JournalError:  # for example of a version from the future: it is reported, and nothing is done
            return
        for entry in found:
            assert entry.damage or as_written(entry) == as_written(before[entry.number]), seed
        assert journal.set_aside is not None or len(found) == len(before), seed
        with suppress(JournalError):
            journal.unsettled(ROOT)
            for entry in found:
                journal.is_forgotten(entry)
                is_explained_by(entry, journal.of_run(ROOT, entry.run_id))
        with suppress(JournalError):
            journal.settle(Settlement(before[8].client_request_id, Outcome.DONE, "person"))
        with suppress(JournalError):
            record_intent(journal, intent())


def as_written(entry: Entry) -> Entry:
    """Return the entry without the facts that come from other rows."""
    return replace(entry, undone_by=None, undone_perhaps_by=None)


@pytest.mark.parametrize("rounds", [120, pytest.param(6_000, marks=pytest.mark.slow)])
def test_flipped_bits_never_end_it_and_never_change_what_an_entry_says(rounds: int, path: Path, sound: Path) -> None:
    before = entries_of(sound)
    for seed in range(rounds):
        shutil.copy(sound, path)
        flipped(path, random.Random(seed))
        check_that_all_survives(path, before, seed)
        for file in (*damaged_files(path), path.with_name("journal.db-wal"), path.with_name("journal.db-shm")):
            file.unlink(missing_ok=True)


@pytest.mark.parametrize("rounds", [25, pytest.param(1_500, marks=pytest.mark.slow)])
def test_every_command_survives_flipped_bits(
    rounds: int, path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNTUI_STATE", str(path.parent))
    monkeypatch.setenv("RUNTUI_CONFIG", os.devnull)
    forms = [["journal", "--format", form] for form in ("table", "json", "jsonl", "csv", "md")]
    commands = [*forms, ["journal", "7"], ["journal", "7", "--format", "json"], ["journal", "--filter", "Ü since:-9d"]]
    commands += [["undo", "7", "--yes", "--root", "https://nowhere.invalid/beta"]]
    for seed in range(rounds):
        shutil.copy(sound, path)
        flipped(path, random.Random(seed))
        for command in commands:
            code = main(command)
            told = capsys.readouterr()
            assert code in (0, 1, 2), (seed, command)
            assert "Traceback" not in told.err
            assert "error of its own" not in told.err, (seed, command, told.err)
        for file in (*damaged_files(path), path.with_name("journal.db-wal"), path.with_name("journal.db-shm")):
            file.unlink(missing_ok=True)
