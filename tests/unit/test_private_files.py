"""No part of runtui writes a file in a place where others could change it."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from runtui.auth.token_store import FileTokenStore
from runtui.errors import RuntuiError
from runtui.log import crash_sentence
from runtui.private_files import (
    NotPrivateError,
    create_private,
    explanation,
    open_private,
    private_database,
    private_folder,
    set_aside_database,
)
from runtui.services.records.drafts import Drafts
from runtui.services.records.journal import Journal
from runtui.services.records.journal_file import SessionLock
from runtui.services.records.journal_query import EXPORTS, EntryQuery
from runtui.services.store.store import Store


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.EROFS, "Set RUNTUI_STATE to a folder of your own."),
        (errno.EACCES, "Set RUNTUI_STATE to a folder of your own."),
        (errno.EMFILE, "Close other programs, or allow more open files: ulimit -n 1024."),
        (errno.ENOSPC, "Free disk space, or set RUNTUI_STATE to a folder of your own."),
    ],
)
def test_the_next_step_fits_the_trouble_of_a_file(tmp_path: Path, number: int, cure: str) -> None:
    assert explanation(tmp_path, OSError(number, os.strerror(number))) == (f"{tmp_path}: {os.strerror(number)}.", cure)


@pytest.mark.parametrize(
    ("pragma", "cure"), [("query_only = 1", "Set"), ("max_page_count = 1", "Free disk space, or set")]
)
def test_the_next_step_fits_the_trouble_of_a_database(tmp_path: Path, pragma: str, cure: str) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.execute("CREATE TABLE kept (text)")
        db.execute(f"PRAGMA {pragma}")
        with pytest.raises(sqlite3.OperationalError) as trouble:
            db.execute("INSERT INTO kept VALUES (zeroblob(100000))")
    assert explanation(tmp_path, trouble.value)[1] == f"{cure} RUNTUI_STATE to a folder of your own."


def test_a_database_that_another_process_writes_is_no_reason_for_another_folder(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(sqlite3.connect(path, timeout=0)) as db:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as trouble:
            db.execute("CREATE TABLE kept (text)")
    assert explanation(path, trouble.value) == (f"{path}: database is locked.", "Wait for the other runtui to end.")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def keep_runs(state: Path) -> None:
    Store(state / "runs.db").close()


def keep_entries(state: Path) -> None:
    with closing(Journal(state / "journal.db")) as journal:
        journal.entries()


def keep_drafts(state: Path) -> None:
    drafts = Drafts(state / "journal.db")
    drafts.load("https://graph.example/beta")
    drafts.close()
    if drafts.fault is not None:
        raise drafts.fault


def keep_tokens(state: Path) -> None:
    with FileTokenStore(state / "tokens.json").update() as tokens:
        tokens["Account"] = {}


def read_tokens(state: Path) -> None:
    if not state.exists():
        private_folder(state)
    (state / "tokens.json").touch(0o600)
    FileTokenStore(state / "tokens.json").read()


def keep_a_session(state: Path) -> None:
    try:
        SessionLock(state).close()
    except OSError as error:
        raise RuntuiError("session", str(error)) from None


def keep_a_crash(state: Path) -> None:
    if "No report could be written" in (said := crash_sentence(LookupError("x"), state)):
        raise RuntuiError("crash", said)


KEEPERS: Final[dict[str, Callable[[Path], None]]] = {
    "runs": keep_runs,
    "journal": keep_entries,
    "drafts": keep_drafts,
    "tokens": keep_tokens,
    "tokens, read": read_tokens,
    "session": keep_a_session,
    "crash report": keep_a_crash,
}


@pytest.fixture
def somebody_else(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Give a file or a folder to another user; without the rights of an administrator, only pretend to."""

    def give_away(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, 12_345, 12_345, follow_symlinks=False)
            return
        real: dict[str, Callable[..., os.stat_result]] = {"stat": os.stat, "lstat": os.lstat}

        def looks(name: str) -> Callable[..., os.stat_result]:
            def look(asked: object, **how: object) -> os.stat_result:
                found = real[name](asked, **how)
                uid = 12_345 if asked == path else found.st_uid
                return os.stat_result((*found[:4], uid, *found[5:]))

            return look

        for name in real:
            monkeypatch.setattr(os, name, looks(name))

    return give_away


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_a_folder_of_somebody_else_is_refused(
    keep: Callable[[Path], None], tmp_path: Path, somebody_else: Callable[[Path], None]
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    somebody_else(state)
    with pytest.raises(RuntuiError, match=f"[Tt]he folder {state} belongs to"):
        keep(state)
    assert [path.name for path in state.iterdir() if path.name != "tokens.json"] == []


@pytest.mark.parametrize("others", [0o770, 0o707, 0o1777])
@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_a_folder_that_others_may_write_to_is_refused(
    keep: Callable[[Path], None], others: int, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(others)
    with pytest.raises(RuntuiError, match=f"[Oo]thers may write to the folder {state}"):
        keep(state)
    assert mode(state) == others, "it is left as it is"
    assert [path.name for path in state.iterdir() if path.name != "tokens.json"] == []


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_a_new_folder_is_private(keep: Callable[[Path], None], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keep(tmp_path / "home" / "state")
    finally:
        os.umask(before)
    made = list((tmp_path / "home").rglob("*"))
    assert {mode(path) for path in (tmp_path / "home", *made) if path.is_dir()} <= {0o700}
    assert {mode(path) for path in made if path.is_file()} <= {0o600}


def test_the_refusal_names_the_next_step(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for keep in (keep_runs, keep_entries, keep_tokens):
        with pytest.raises(RuntuiError) as refused:
            keep(tmp_path)
        assert f"chmod 700 {tmp_path}" in refused.value.hint
    tmp_path.chmod(0o700)


def test_a_folder_that_is_shared_on_purpose_keeps_its_mode(tmp_path: Path) -> None:
    """Such as /tmp: without the write permission of others, the whole machine would suffer."""
    tmp_path.chmod(0o1777)
    with pytest.raises(NotPrivateError, match="others may write") as refused:
        private_folder(tmp_path)
    assert refused.value.cure == "Set RUNTUI_STATE to a folder of your own."
    tmp_path.chmod(0o700)


NAMES: Final = ("runs.db", "runs.db-wal", "runs.db-shm", "runs.db-journal", "journal.db", "journal.db-wal")


@pytest.mark.parametrize("name", [*NAMES, "tokens.json", "tokens.json.lock"])
@pytest.mark.parametrize("exists", [True, False], ids=["there", "nowhere"])
def test_a_link_in_the_place_of_a_file_is_refused_and_its_target_left_alone(
    name: str, exists: bool, tmp_path: Path
) -> None:
    state, target = tmp_path / "state", tmp_path / "precious"
    state.mkdir(mode=0o700)
    if exists:
        target.write_bytes(b"precious")
        target.chmod(0o644)
    (state / name).symlink_to(target)
    keep = {"r": keep_runs, "j": keep_entries, "t": keep_tokens}[name[0]]
    with pytest.raises(RuntuiError, match="symbolic link"):
        keep(state)
    assert (state / name).is_symlink(), "it is left where it is"
    assert target.exists() is exists
    if exists:
        assert (target.read_bytes(), mode(target)) == (b"precious", 0o644)


@pytest.mark.parametrize("keep", [keep_runs, keep_entries])
def test_a_database_of_somebody_else_is_refused(
    keep: Callable[[Path], None], tmp_path: Path, somebody_else: Callable[[Path], None]
) -> None:
    keep(tmp_path)
    (database,) = tmp_path.glob("*.db")
    database.chmod(0o644)
    somebody_else(database)
    with pytest.raises(RuntuiError, match=f"The file {database} belongs to"):
        keep(tmp_path)
    assert mode(database) == 0o644


def test_a_link_to_a_folder_of_ones_own_is_followed(tmp_path: Path, somebody_else: Callable[[Path], None]) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    link = tmp_path / "state"
    link.symlink_to(tmp_path / "disk")
    private_folder(link)
    somebody_else(link)
    with pytest.raises(NotPrivateError):
        private_folder(link)


def test_an_export_goes_to_a_private_folder(tmp_path: Path) -> None:
    (tmp_path / EXPORTS).mkdir()
    (tmp_path / EXPORTS).chmod(0o777)
    with closing(Journal(tmp_path / "journal.db")) as journal:
        with pytest.raises(RuntuiError) as refused:
            EntryQuery(journal, None).write("csv")
        assert "chmod 700" in refused.value.hint
        (tmp_path / EXPORTS).chmod(0o700)
        path, _ = EntryQuery(journal, None).write("csv")
    assert mode(path) == 0o600


def test_a_special_file_is_refused_without_blocking(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for check in (open_private, private_database):
        with pytest.raises(NotPrivateError, match="not a regular file"):
            check(pipe)
    with pytest.raises(FileExistsError):
        create_private(pipe)


def test_a_database_that_is_open_is_not_opened_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing that second descriptor would release the locks of the open connection."""
    database = tmp_path / "runs.db"
    private_database(database)

    opened = os.open

    def open_others(path: Path, flags: int, mode: int = 0o777) -> int:
        assert path != database or flags & os.O_EXCL, "opened"
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", open_others)
    private_database(database)


def test_a_database_is_set_aside_with_its_log(tmp_path: Path) -> None:
    for name in ("runs.db", "runs.db-wal", "runs.db-shm", "other.db-wal"):
        (tmp_path / name).touch()
    set_aside_database(tmp_path / "runs.db", tmp_path / "aside.db")
    assert {file.name for file in tmp_path.iterdir()} == {"aside.db", "aside.db-wal", "aside.db-shm", "other.db-wal"}
