"""Drafts on disk: typed text survives the process, a second runtui, a full disk and a damaged file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runtui.auth.tokens import StaticToken
from runtui.domain.draft import Draft
from runtui.domain.times import now_ticks
from runtui.errors import RuntuiError
from runtui.redact import REDACTED
from runtui.services.records import drafts as drafts_module
from runtui.services.records.drafts import Drafts
from runtui.services.records.journal import Journal
from runtui.services.records.journal_file import STEPS, damaged_files, open_journal
from tests import canary, there
from tests.unit.fake_writer import RUN

ROOT = "http://127.0.0.1:1/beta"
CHECKOUT = str(Path(__file__).resolve().parents[2])


def draft(run_id: str = "r1", text: str = "7") -> Draft:
    return Draft(run_id, "w", {**RUN, "id": run_id}).typed("failedUsersCount", text, now_ticks())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def drafts(path: Path) -> Iterator[Drafts]:
    made = Drafts(path)
    made.load(ROOT)
    yield made
    made.close()


def left_in(path: Path, root: str = ROOT) -> dict[str, Draft]:
    """Return the drafts that the next start finds."""
    found = Drafts(path)
    found.load(root)
    try:
        assert found.fault is None
        return {run_id: left for run_id in found if (left := found.get(run_id)) is not None}
    finally:
        found.close()


def test_a_draft_comes_back_byte_for_byte_with_text_in_error_and_its_mode(drafts: Drafts, path: Path) -> None:
    odd = {
        "newerThanWeAre": {"a": [1, None, "\u202e\x1b[2J\ud800"]},
        "scheduledDateTime": "2026-11-20T06:00:01.2034518Z",
    }
    kept = Draft("r1", "w", {**RUN, **odd})._replace(mode="changed")
    for name, text in {"failedUsersCount": " sev\x1ben ", "totalUsersCount": "1,000", "startedDateTime": ""}.items():
        kept = kept.typed(name, text, now_ticks())
    drafts.keep(kept)
    drafts.flush()
    assert left_in(path) == {"r1": kept}
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_last_state_of_each_is_what_arrives(drafts: Drafts, path: Path) -> None:
    for number in range(300):
        drafts.keep(draft("r1", str(number + 100)))
        drafts.keep(draft(f"r{number % 7 + 2}", str(number + 100)))
    drafts.drop("r3")
    drafts.keep(draft("r4").reverted("failedUsersCount"))
    drafts.flush()
    texts = {run_id: left.edits["failedUsersCount"].text for run_id, left in left_in(path).items()}
    assert texts == {"r1": "399", "r2": "394", "r5": "397", "r6": "398", "r7": "399", "r8": "393"}


def test_a_token_pasted_into_a_field_is_in_sight_and_not_on_the_disk(drafts: Drafts, path: Path) -> None:
    StaticToken(canary.TOKEN)
    drafts.keep(draft(text=f"Bearer {canary.TOKEN}"))
    kept = there(drafts.get("r1"))
    assert kept.edits["failedUsersCount"].text == f"Bearer {canary.TOKEN}"
    drafts.flush()
    assert canary.leaks(path.parent) == [], "also while the file is open"
    drafts.close()
    assert canary.leaks(path.parent) == []
    assert left_in(path)["r1"].edits["failedUsersCount"].text == f"Bearer {REDACTED}"


def test_a_value_masked_on_disk_is_never_sent(drafts: Drafts, path: Path) -> None:
    StaticToken(canary.TOKEN)
    opened = Draft("r1", "w1", {**RUN, "processingStatus": canary.TOKEN})
    drafts.keep(opened.with_values({"workflowExecutionType": canary.TOKEN, "failedUsersCount": 7}))
    drafts.flush()
    assert canary.leaks(path.parent) == []
    left = left_in(path)["r1"]
    assert left.edits["workflowExecutionType"].text == REDACTED
    assert "Type it again" in left.errors()["workflowExecutionType"], "with an error nothing is sent"
    assert left.edits["failedUsersCount"].value == 7
    assert left.received["processingStatus"] == REDACTED
    for now in (canary.TOKEN, "failed"):
        fresh = {**RUN, "processingStatus": now}
        assert not any(conflict.field.name == "processingStatus" for conflict in left.conflicts(fresh))
        assert left.revealed(fresh).body()["processingStatus"] == now, "a mark never goes back"
    fresh = {name: value for name, value in RUN.items() if name != "processingStatus"}
    assert "processingStatus" not in left.revealed(fresh).body(), "nobody knows what it is by now"
    fresh["failedTasksCount"] = 3
    assert left.revealed(fresh).body()["failedTasksCount"] == 2, "what is not hidden goes back as it was opened"


def test_the_time_of_the_last_input_is_known(drafts: Drafts, path: Path) -> None:
    before = datetime.now(UTC)
    drafts.keep(draft())
    typed_at = drafts.changed_at("r1")
    assert before <= typed_at <= datetime.now(UTC)
    rebased = draft().rebased({**RUN, "failedTasksCount": 9})
    drafts.keep(rebased)
    assert drafts.get("r1") is rebased
    assert drafts.changed_at("r1") == typed_at, "another run under the same edits is not typing"
    drafts.keep(draft(text="8"))
    retyped_at = drafts.changed_at("r1")
    assert retyped_at > typed_at
    drafts.flush()
    found = Drafts(path)
    found.load(ROOT)
    assert found.changed_at("r1") == retyped_at
    found.close()
    drafts.drop("r1")
    with pytest.raises(KeyError):
        drafts.changed_at("r1")


def test_a_draft_is_on_disk_before_anything_can_be_drawn(
    drafts: Drafts, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts_module, "PATIENCE_SECONDS", 60)
    for number in range(100, 150):
        drafts.keep(draft("r1", str(number)))
        with closing(sqlite3.connect(path)) as db:
            assert f'"text": "{number}"' in db.execute("SELECT edits FROM draft").fetchone()[0]


def test_a_disk_that_hangs_holds_nobody_up(drafts: Drafts, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put, released = drafts._put, threading.Event()

    def hang(waiting: Any) -> None:
        released.wait()
        put(waiting)

    monkeypatch.setattr(drafts, "_put", hang)
    for number in range(100):
        drafts.keep(draft("r1", str(number)))
    assert left_in(path) == {}
    released.set()
    drafts.flush()
    assert left_in(path)["r1"].edits["failedUsersCount"].text == "99"


def test_roots_do_not_see_each_other(drafts: Drafts, path: Path) -> None:
    drafts.keep(draft())
    drafts.flush()
    assert left_in(path, "http://127.0.0.1:2/beta") == {}


# Two sessions at once

WRITER = """
import sys
from pathlib import Path
from runtui.domain.draft import Draft
from runtui.services.records.drafts import Drafts
drafts = Drafts(Path(sys.argv[1]))
drafts.load(sys.argv[2])
for number in range(40):
    for run in range(5):
        drafts.keep(Draft(f"theirs-{run}", "w", {}).typed("failedUsersCount", str(number), 0))
    drafts.flush()
assert drafts.fault is None, drafts.fault
print("kept", flush=True)
sys.stdin.read()
"""


def test_two_at_once_lose_nothing_and_a_killed_one_neither(drafts: Drafts, path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path), ROOT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT) as other:
        assert other.stdout is not None
        for number in range(200):
            drafts.keep(draft(f"ours-{number % 5}", str(number + 1)))
            drafts.flush()
        assert other.stdout.readline() == b"kept\n"
        other.kill()
    assert drafts.fault is None
    texts = {run_id: left.edits["failedUsersCount"].text for run_id, left in left_in(path).items()}
    assert texts == {f"theirs-{run}": "39" for run in range(5)} | {f"ours-{run}": str(196 + run) for run in range(5)}


def test_a_draft_that_another_runtui_typed_later_stays_when_this_one_is_done(drafts: Drafts, path: Path) -> None:
    drafts.keep(draft())
    drafts.flush()
    other = Drafts(path)
    other.load(ROOT)
    other.keep(draft(text="8"))
    other.flush()
    drafts.drop("r1")
    drafts.flush()
    assert left_in(path)["r1"].edits["failedUsersCount"].text == "8"
    other.drop("r1")
    other.close()
    assert left_in(path) == {}


VISITOR = """
import sys
from pathlib import Path
from runtui.services.records.journal import Journal
from runtui.services.records.journal_file import open_journal
open_journal(Path(sys.argv[1]), durable=True).close()
"""


def test_another_runtui_that_ends_deletes_nothing(drafts: Drafts, path: Path) -> None:
    """SQLite's locks belong to the process: closing any descriptor of the file releases them. The next process that
    closes the file would then take itself for the last one, and delete the log that this process still writes."""
    journal = Journal(path)
    assert journal.unsettled(ROOT) == []
    subprocess.run([sys.executable, "-c", VISITOR, str(path)], cwd=CHECKOUT, check=True)
    drafts.keep(draft())
    drafts.flush()
    assert set(left_in(path)) == {"r1"}
    journal.close()


# A full disk


class Disk:
    """Opens the file normally, or as if the disk were full."""

    def __init__(self) -> None:
        self.is_full = False

    def open(self, path: Path, *, durable: bool) -> sqlite3.Connection:
        db = open_journal(path, durable=durable)
        if self.is_full:
            db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        return db


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(drafts_module, "open_journal", made.open)
    return made


def large(run_id: str) -> Draft:
    """Return a draft that needs pages of its own in the file."""
    return Draft(run_id, "w", {"note": "x" * 20_000}).typed("failedUsersCount", "7", 0)


def test_a_full_disk_is_reported_once_keeps_all_in_memory_and_is_tried_again(disk: Disk, path: Path) -> None:
    disk.is_full = True
    drafts = Drafts(path)
    drafts.load(ROOT)
    told: list[RuntuiError] = []
    drafts.failed.subscribe(told.append)
    for run_id in ("r1", "r2", "r1"):
        drafts.keep(large(run_id))
        drafts.flush()
    assert [str(error) for error in told] == [str(drafts.fault)]
    assert "full" in str(drafts.fault)
    assert set(drafts) == {"r1", "r2"}
    assert left_in(path) == {}
    disk.is_full = False
    drafts.keep(large("r3"))
    drafts.flush()
    assert drafts.fault is None
    assert set(left_in(path)) == {"r1", "r2", "r3"}, "what the disk refused has followed"
    drafts.close()


def test_a_failed_write_to_disk_is_retried_at_the_end(disk: Disk, path: Path) -> None:
    disk.is_full = True
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(large("r1"))
    drafts.flush()
    disk.is_full = False
    drafts.close()
    assert set(left_in(path)) == {"r1"}


def test_a_failed_deletion_of_a_draft_is_retried(disk: Disk, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(large("r1"))
    drafts.flush()

    def refuse(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(drafts, "_put", refuse)
        drafts.drop("r1")
        drafts.flush()
        assert drafts.fault is not None
    assert set(left_in(path)) == {"r1"}
    drafts.close()
    assert left_in(path) == {}


# A broken file


def test_a_broken_file_is_set_aside_and_drafts_go_into_another(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 300)
    drafts = Drafts(path)
    drafts.load(ROOT)
    assert drafts.fault is None
    drafts.keep(draft())
    drafts.close()
    assert set(left_in(path)) == {"r1"}
    assert [file.read_bytes()[:11] for file in damaged_files(path)] == [b"no database"]


def test_a_file_of_a_newer_version_is_left_alone_and_said(path: Path) -> None:
    open_journal(path, durable=False).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    db.close()
    before = path.read_bytes()
    drafts = Drafts(path)
    drafts.load(ROOT)
    assert "newer runtui" in str(drafts.fault)
    drafts.keep(draft())
    drafts.flush()
    assert "r1" in drafts, "the screen goes on"
    assert "newer runtui" in str(drafts.fault)
    drafts.close()
    assert path.read_bytes() == before
    assert damaged_files(path) == []


@pytest.mark.parametrize("edits", ["{", "[" * 100_000, '{"failedUsersCount": {"text": "7", "colour": 1}}', "[1]", "7"])
def test_an_unreadable_draft_is_reported_and_kept(path: Path, edits: str) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(draft("r1"))
    drafts.keep(draft("r2"))
    drafts.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE draft SET edits = ? WHERE run_id = 'r1'", (edits,))
    db.close()
    again = Drafts(path)
    again.load(ROOT)
    assert again.fault is not None
    assert list(again) == ["r2"]
    again.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT edits FROM draft WHERE run_id = 'r1'").fetchone() == (edits,)
    db.close()
