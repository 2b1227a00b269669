"""The running sessions: the operating system tells when a process has ended, however it ended."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtui.services.records.journal_file import KEPT_LOCK_SECONDS, LOCK_SUFFIX, SessionLock

BEGIN = """
import sys
from pathlib import Path
from runtui.services.records.journal_file import SessionLock
own = SessionLock(Path(sys.argv[1]))
"""
TELL = """
print(own.id, flush=True)
sys.stdin.read()
"""
LEAVE_A_CHILD = """
import subprocess
code = "import sys; print(flush=True); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", code], close_fds=False, stdout=subprocess.PIPE)
child.stdout.readline()  # Linux lets the parent continue before it closes the lock in the child
"""


@contextmanager
def process(code: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a process with its own session; yield the process and the id of the session."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        try:
            yield started, started.stdout.readline().strip()
        finally:
            started.kill()


@contextmanager
def session(folder: Path) -> Iterator[SessionLock]:
    own = SessionLock(folder)
    try:
        yield own
    finally:
        own.close()


@pytest.mark.parametrize("code", [BEGIN + TELL, BEGIN + LEAVE_A_CHILD + TELL], ids=["alone", "with a child left"])
def test_a_session_is_gone_when_its_process_was_killed(code: str, tmp_path: Path) -> None:
    with process(code, tmp_path) as (other, its_id), session(tmp_path) as own:
        assert not own.is_gone(its_id)
        other.kill()
        other.wait()
        assert own.is_gone(its_id)
        assert own.is_gone(its_id), "with its lock file swept away too"
        assert [path.stem for path in tmp_path.iterdir()] == [own.id]


def test_checking_a_live_session_does_not_affect_it(tmp_path: Path) -> None:
    with session(tmp_path) as first, session(tmp_path) as second, session(tmp_path) as third:
        assert not second.is_gone(first.id)
        assert not third.is_gone(first.id)
        assert not first.is_gone(first.id)
        assert len(list(tmp_path.iterdir())) == 3


def test_a_session_that_was_closed_is_gone(tmp_path: Path) -> None:
    with session(tmp_path) as own:
        other = SessionLock(tmp_path)
        other.close()
        assert own.is_gone(other.id)


def test_two_concurrent_checks_do_not_mistake_each_other_for_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process(BEGIN + TELL, tmp_path) as (other, its_id), session(tmp_path) as first, session(tmp_path) as second:
        other.kill()
        other.wait()
        seen: list[bool] = []
        unlink = Path.unlink

        def look_too(path: Path, missing_ok: bool = False) -> None:
            if not seen:
                seen.append(False)
                seen.append(second.is_gone(its_id))
            unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(Path, "unlink", look_too)
        assert first.is_gone(its_id)
        assert seen == [False, True]


def test_folder_and_locks_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "sessions"
    with session(folder):
        (lock,) = folder.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_a_file_in_the_place_of_the_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "sessions").touch()
    with pytest.raises(OSError, match="sessions"):
        SessionLock(tmp_path / "sessions")


def test_old_locks_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    yesterday = time.time() - KEPT_LOCK_SECONDS - 1
    old, young = tmp_path / f"old{LOCK_SUFFIX}", tmp_path / f"young{LOCK_SUFFIX}"
    for path in (old, young):
        path.touch()
    with session(tmp_path) as living:
        for path in (old, tmp_path / f"{living.id}{LOCK_SUFFIX}"):
            os.utime(path, (yesterday, yesterday))
        with session(tmp_path) as own:
            assert {path.stem for path in tmp_path.iterdir()} == {"young", living.id, own.id}


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_lock_whose_file_was_deleted_is_acquired_again(has_folder: bool, tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    with session(folder) as own, session(folder) as other:
        (folder / f"{own.id}{LOCK_SUFFIX}").unlink()
        if not has_folder:
            shutil.rmtree(folder)
        own.acquire()
        assert not other.is_gone(own.id)
        own.acquire()
        assert own.id in {path.stem for path in folder.iterdir()}
    assert list(folder.iterdir()) == []


def test_a_lock_whose_file_another_one_replaced_is_acquired_again(tmp_path: Path) -> None:
    with session(tmp_path) as own, session(tmp_path) as other:
        file = tmp_path / f"{own.id}{LOCK_SUFFIX}"
        Path(shutil.copy(file, tmp_path / "copy")).replace(file)
        own.acquire()
        assert not other.is_gone(own.id)
