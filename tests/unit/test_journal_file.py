"""The journal's file: private, never overwritten, set aside if it is broken, left alone if it is newer."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtui.services.records import journal_file
from runtui.services.records.journal_file import STEPS, JournalError, damaged_files, open_journal
from tests.conftest import connect_in_earnest

DRAFT = ("r", "run", "w", "full", "{}", "{}", "2026-11-20T10:00:00Z")


def opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(open_journal(path, durable=True))


def put(path: Path, *run_ids: str) -> None:
    with opened(path) as db:
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO draft VALUES (?, ?, ?, ?, ?, ?, ?)", [(DRAFT[0], name, *DRAFT[2:]) for name in run_ids]
        )
        db.execute("COMMIT")


def held(path: Path) -> list[str]:
    with opened(path) as db:
        return [row[0] for row in db.execute("SELECT run_id FROM draft ORDER BY run_id")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def loose() -> Iterator[None]:
    """Make new files open to everybody unless the program prevents it."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose")
def test_the_file_its_companions_and_its_folder_are_private(path: Path) -> None:
    with opened(path):
        assert {item.name: mode(item) for item in path.parent.iterdir()} == dict.fromkeys(
            ("journal.db", "journal.db-wal", "journal.db-shm"), 0o600
        )
    assert mode(path.parent) == 0o700


def test_a_file_that_others_may_read_is_made_private(path: Path) -> None:
    put(path, "a")
    path.chmod(0o644)
    assert held(path) == ["a"]
    assert mode(path) == 0o600


def test_a_symbolic_link_is_refused_and_its_target_untouched(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(b"precious")
    target.chmod(0o644)
    path.parent.mkdir()
    path.symlink_to(target)
    with pytest.raises(JournalError):
        open_journal(path, durable=True)
    assert (target.read_bytes(), mode(target)) == (b"precious", 0o644)
    assert damaged_files(path) == []


@pytest.mark.parametrize("place", ["state", "state/journal.db"])
def test_something_else_in_place_of_the_file_is_reported_and_kept(place: str, path: Path, tmp_path: Path) -> None:
    """A file where the folder should be, or a folder where the file should be."""
    if place == "state":
        (tmp_path / place).write_text("mine")
    else:
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(JournalError) as refused:
        open_journal(path, durable=True)
    assert str(path) in refused.value.message
    assert "RUNTUI_STATE" in refused.value.hint
    assert (tmp_path / place).exists()


def overwritten(path: Path) -> None:
    path.write_bytes(b"this was never a database" * 100)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def a_page_of_zeros(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))


@pytest.mark.parametrize("damage", [overwritten, cut, a_page_of_zeros])
def test_a_broken_file_is_set_aside_and_replaced_by_a_sound_one(damage: object, path: Path) -> None:
    assert callable(damage)
    put(path, *(f"run {number}" for number in range(500)))
    damage(path)
    broken = path.read_bytes()
    assert held(path) == []
    put(path, "after")
    assert held(path) == ["after"]
    (aside,) = damaged_files(path)
    assert aside.read_bytes() == broken
    assert aside.parent == path.parent


def test_each_broken_file_gets_a_name_of_its_own_oldest_first(path: Path) -> None:
    for text in (b"first" * 999, b"second" * 999):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
        put(path)
    assert [file.read_bytes()[:5] for file in damaged_files(path)] == [b"first", b"secon"]


def test_the_log_of_a_broken_file_is_set_aside_with_it(path: Path) -> None:
    put(path, *(f"run {number}" for number in range(500)))
    with opened(path):  # while it is open, the newest entries are in the log beside it
        put(path, "the needle")
        overwritten(path)
        put(path, "after")
        (aside,) = damaged_files(path)
        beside = aside.with_name(f"{aside.name}-wal")
        assert any(b"the needle" in file.read_bytes() for file in (aside, beside) if file.exists())
    assert held(path) == ["after"]
    assert damaged_files(path) == [aside], "a file beside a broken one is none of its own"


def test_two_processes_that_find_it_broken_do_not_set_the_new_file_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    overwritten(path)
    set_aside = journal_file._set_aside
    other = threading.Thread(target=put, args=(path, "other's"))

    def meanwhile(file: Path) -> None:
        if other.ident is None:
            other.start()
            other.join(0.2)  # time enough to get here too, if it were not made to wait
        set_aside(file)

    monkeypatch.setattr(journal_file, "_set_aside", meanwhile)
    put(path, "ours")
    other.join()
    assert held(path) == ["other's", "ours"]
    assert len(damaged_files(path)) == 1


OTHER = """
import sys
from pathlib import Path
from runtui.services.records.journal_file import open_journal
db = open_journal(Path(sys.argv[1]), durable=True)
print(*(row[0] for row in db.execute("SELECT run_id FROM draft")))
db.execute("INSERT INTO draft SELECT 'r', ?, 'w', 'full', '{}', '{}', ''", (sys.argv[2],))
db.close()
"""


def elsewhere(path: Path, run_id: str) -> list[str]:
    """Let another process open the file, add a row and end; return the rows that it found."""
    command = [sys.executable, "-c", OTHER, str(path), run_id]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return found.split()


def test_a_process_that_opens_and_closes_the_file_loses_nothing_of_another(path: Path) -> None:
    with opened(path) as first, opened(path):  # as in a session: one for the journal, one for the drafts
        assert elsewhere(path, "a") == []
        first.execute("INSERT INTO draft VALUES (?, 'b', ?, ?, ?, ?, ?)", (DRAFT[0], *DRAFT[2:]))
        assert elsewhere(path, "c") == ["a", "b"]
    assert held(path) == ["a", "b", "c"]


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    put(path, "a")
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(JournalError, match="newer runtui"):
        open_journal(path, durable=True)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT run_id FROM draft").fetchall() == [("a",)]
        assert db.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)
    assert damaged_files(path) == []


def test_a_file_that_is_locked_for_too_long_is_not_called_broken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, "a")
    monkeypatch.setattr(journal_file, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match="locked"):
            open_journal(path, durable=True)
    assert damaged_files(path) == []
    assert held(path) == ["a"]


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_an_intent_is_on_the_disk_itself(
    durable: bool, synchronous: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", connect_in_earnest)
    with closing(open_journal(path, durable=durable)) as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == synchronous
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_file_of_every_earlier_version_keeps_what_it_holds(path: Path) -> None:
    """Each file is as runtui made it at that version; opening brings it up to date."""
    path.parent.mkdir(mode=0o700)
    for version in range(1, len(STEPS)):
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as db:
            for statement in (statement for step in STEPS[:version] for statement in step):
                db.execute(statement)
            db.execute("INSERT INTO draft VALUES (?, ?, ?, ?, ?, ?, ?)", DRAFT)
            db.execute(f"PRAGMA user_version = {version}")
            db.commit()
        assert held(path) == ["run"]
        assert damaged_files(path) == []
        assert mode(path) == 0o600
