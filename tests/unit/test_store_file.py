"""The store's file: who owns it, and what happens if it is not ours."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runtui import private_files
from runtui.auth.tokens import StaticToken
from runtui.private_files import MAX_LOG_BYTES
from runtui.services.store import file as store_file
from runtui.services.store.file import VERSION, StoreError
from runtui.services.store.query import RunText, texts
from runtui.services.store.store import EVERY_RUN, RunQuery, Store
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from tests import canary
from tests.conftest import connect_in_earnest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs.db"


def put_one(store: Store) -> None:
    store.put_runs("w1", [{"id": "r1"}], store.next_listing())


def ids(store: Store) -> list[str]:
    return [row.id for row in store.window(RunQuery(), 0, 9)]


def all_texts(store: Store) -> list[RunText]:
    """Return the texts that `runtui list` prints."""
    with store.reading() as db:
        return list(texts(db, EVERY_RUN))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    store = Store(path)
    put_one(store)
    assert mode(path.parent) == 0o700
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    store.close()


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Store(tmp_path / "runs.db").close()
    assert mode(tmp_path) == 0o755


def make_no_database(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def make_broken(path: Path) -> None:
    Store(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 9000)


def altered_by(statement: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        Store(path).close()
        with sqlite3.connect(path) as db:
            db.execute(statement)
        db.close()

    return make


def with_schema(damage: str) -> Callable[[Path], None]:
    """Return what makes a store and changes the text of its schema, as a bad disk may."""

    def make(path: Path) -> None:
        store = Store(path)
        store.complete_orders()
        store.close()
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA writable_schema = 1")
            db.execute(f"UPDATE sqlite_master SET {damage}")
        db.close()

    return make


NOT_OURS = {
    "a name that is not UTF-8": with_schema("name = CAST(x'ff' AS TEXT), sql = 'CREATE' WHERE name = 'active_run'"),
    "an index that is not UTF-8": with_schema("sql = sql || CAST(x'2f2aff2a2f' AS TEXT) WHERE name = 'run_by_id'"),
    "no database": make_no_database,
    "another version": altered_by(f"PRAGMA user_version = {VERSION + 1}"),
    "broken": make_broken,
    "without a table": altered_by("DROP TABLE state"),
    "another column": altered_by("ALTER TABLE run ADD COLUMN cost"),
    "without a column": altered_by("ALTER TABLE run DROP COLUMN total_tasks"),
    "another order": altered_by("CREATE INDEX run_by_started ON run (started)"),
}


@pytest.mark.parametrize("make", NOT_OURS.values(), ids=NOT_OURS)
def test_a_foreign_file_is_set_aside_and_replaced(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir()
    make(path)
    before = path.read_bytes()
    store = Store(path)
    put_one(store)
    assert ids(store) == ["r1"]
    store.close()
    assert path.with_name(path.name + ".aside").read_bytes() == before


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = Store(path)
    assert ids(store) == []
    store.close()


def test_nobody_waits_for_the_disk_where_a_file_is_new(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql in ("PRAGMA journal_mode = WAL", "COMMIT"):
                waited.append(super().execute("PRAGMA synchronous").fetchone()[0])
            return super().execute(sql, *values)

    monkeypatch.setattr(sqlite3, "connect", partial(connect_in_earnest, factory=Watched))
    for _ in range(2):
        Store(path).close()
    assert waited == [0, 0, 1, 1]


async def test_an_ended_session_leaves_its_log_however_long_it_is(path: Path) -> None:
    workspace = Workspace(Settings(root="", tenant="", state_folder=path.parent), path, StaticToken(canary.TOKEN))
    workspace.store.put_workflows([{"id": "1", "description": "x" * MAX_LOG_BYTES}])
    assert not workspace.active_saves
    assert "saves" not in vars(workspace)  # a session that ends need not build a queue to find it empty
    await workspace.close(is_over=True)
    assert path.with_name(f"{path.name}-wal").exists()


def test_a_log_that_grew_while_somebody_read_is_cut_once_nobody_does(path: Path) -> None:
    store, log = Store(path), path.with_name(f"{path.name}-wal")
    with store.reading() as db, ThreadPoolExecutor() as other_thread:
        db.execute("SELECT 1 FROM run").fetchall()
        for number in range(40):
            page = [{"id": f"r{number}", "displayName": "x" * 1_000_000}]
            other_thread.submit(store.put_runs, "w1", page, store.next_listing()).result()
        assert log.stat().st_size > 40_000_000
    for status in ("queued", "completed"):  # the first write copies the log, the second begins it again
        store.put_run("w1", {"id": "r1", "processingStatus": status})
    assert log.stat().st_size < 35_000_000
    store.close()


@pytest.mark.parametrize("wrong", ["folder", "below a file"])
def test_an_impossible_path_is_explained(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as refused:
        Store(tmp_path if wrong == "folder" else tmp_path / "file" / "runs.db")
    assert "RUNTUI_STATE" in refused.value.hint


def test_a_path_that_cannot_be_looked_up_any_more_is_explained(path: Path) -> None:
    store = Store(path)
    put_one(store)
    path.parent.rename(path.parent.with_name("away"))
    path.parent.symlink_to(path.parent)
    with pytest.raises(StoreError):
        ids(store)
    with pytest.raises(StoreError):
        put_one(store)
    store.close()


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store(path)
    ids(store)
    store.close()
    with pytest.raises(StoreError):
        store.window(RunQuery(), 0, 1)
    with pytest.raises(StoreError):
        put_one(store)


def deleted(path: Path) -> None:
    path.unlink()


def deleted_with_all_beside_it(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def log_deleted(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def index_deleted(path: Path) -> None:
    path.with_name(path.name + "-shm").unlink()


def folder_deleted(path: Path) -> None:
    shutil.rmtree(path.parent)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize(
    "lose", [deleted, deleted_with_all_beside_it, log_deleted, index_deleted, folder_deleted, folder_moved]
)
@pytest.mark.parametrize("first", ["a read", "a write", "a read of a new thread"])
def test_a_lost_file_is_created_again_from_what_was_read(lose: Callable[[Path], None], first: str, path: Path) -> None:
    store = Store(path)
    put_one(store)
    assert ids(store) == ["r1"]
    lose(path)
    with ThreadPoolExecutor(1) as thread:
        if first == "a read":
            assert ids(store) == ["r1"]
        elif first == "a read of a new thread":
            assert thread.submit(ids, store).result() == ["r1"]
        store.put_runs("w2", [{"id": "r2"}], store.next_listing())
        assert set(ids(store)) == set(thread.submit(ids, store).result()) == {"r1", "r2"}
    store.close()
    after = Store(path)
    assert set(ids(after)) == {"r1", "r2"}
    after.close()


def test_a_new_file_by_another_runtui_is_used(path: Path) -> None:
    store = Store(path)
    put_one(store)
    deleted_with_all_beside_it(path)
    other = Store(path)
    other.put_runs("w2", [{"id": "r2"}], other.next_listing())
    assert ids(store) == ["r2"]
    put_one(store)
    assert set(ids(other)) == set(ids(store)) == {"r1", "r2"}
    other.close()
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE body SET raw = '[1]'",
        "UPDATE body SET raw = CAST(x'ff' AS TEXT)",
        "UPDATE run SET status = CAST(x'ff' AS TEXT)",
        "PRAGMA writable_schema = 1; PRAGMA schema_version = 99; UPDATE sqlite_master"
        " SET name = CAST(x'ff' AS TEXT), sql = 'CREATE' WHERE name = 'active_run'",
    ],
)
def test_a_damaged_store_is_reported_and_replaced_at_the_next_start(damage: str, path: Path) -> None:
    store = Store(path)
    put_one(store)
    with sqlite3.connect(path) as db:
        db.executescript(damage)
    db.close()
    with pytest.raises(StoreError, match="Start runtui again; it then reads all runs again"):
        (store.get("r1"), store.window(EVERY_RUN, 0, 9), all_texts(store))
    store.close()
    for _ in range(2):
        again = Store(path)
        assert ids(again) in ([], ["r1"])
        assert again.get("r9") is None
        put_one(again)
        assert again.get("r1") is not None
        again.close()
    assert path.with_name(path.name + ".aside").exists()
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}


def test_a_reading_that_the_full_disk_ends_names_the_disk(path: Path) -> None:
    """SQLite sorts in a temporary file; if that cannot grow, it ends the transaction by itself."""
    store = Store(path)
    store.put_runs("w1", [{"id": f"{number:0800}"} for number in range(700)], store.next_listing())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    sql = "SELECT one.id || two.id AS ids FROM run AS one, run AS two ORDER BY ids"
    with pytest.raises(StoreError, match="Free disk space") as full:  # noqa: PT012
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
        try:
            with store.reading() as db:
                db.execute(sql).fetchone()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot commit" not in str(full.value)
    assert len(ids(store)) == 9
    store.close()


def test_runs_after_a_page_that_could_not_be_written_count_as_new(path: Path) -> None:
    """The row numbers of what is not in the file go to the next runs, which no earlier page had."""
    store, limits = Store(path), resource.getrlimit(resource.RLIMIT_FSIZE)
    listing = store.next_listing()
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
    try:
        with pytest.raises(StoreError, match="Free disk space"):
            store.put_runs("w1", [{"id": f"a{number}", "note": "long" * 1_000} for number in range(20)], listing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(store.put_runs("w2", [{"id": f"b{number}"} for number in range(20)], listing)) == 20
    store.close()


def test_another_trouble_leaves_the_file_alone(path: Path) -> None:
    store = Store(path)
    put_one(store)
    store.close()
    with pytest.raises(StoreError, match="Set RUNTUI_STATE"), store.writing():
        pass
    again = Store(path)
    assert ids(again) == ["r1"]
    again.close()


def test_a_file_that_another_process_creates_meanwhile_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite waits for no lock while it changes the journal mode of a new file."""
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(private_files, "lock", lambda _folder: other.execute("COMMIT"))
        monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.0)
        store_file.open_writer(path).close()
