"""The file under the store: whose it is, and what happens when it is not ours."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from runtui.services.store import Query, Store, StoreError
from runtui.services.store_file import VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs.db"


def put_one(store: Store) -> None:
    store.put_runs("w1", [{"id": "r1"}], store.next_listing())


def ids(store: Store) -> list[str]:
    return [row.id for row in store.window(Query(), 0, 9)]


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


def make_another_version(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()


def make_broken(path: Path) -> None:
    Store(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 9000)


def make_incomplete(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE state")
    db.close()


@pytest.mark.parametrize("make", [make_no_database, make_another_version, make_broken, make_incomplete])
def test_a_file_that_is_not_ours_is_set_aside_and_begun_anew(path: Path, make: Callable[[Path], None]) -> None:
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


@pytest.mark.parametrize("wrong", ["folder", "below a file"])
def test_a_place_where_no_file_can_be_is_told_in_words(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as refused:
        Store(tmp_path if wrong == "folder" else tmp_path / "file" / "runs.db")
    assert "RUNTUI_STATE" in refused.value.hint


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store(path)
    ids(store)
    store.close()
    with pytest.raises(StoreError):
        store.window(Query(), 0, 1)
    with pytest.raises(StoreError):
        store.set_meta("a", "b")
