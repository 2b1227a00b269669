"""The open file is the file at the path: whatever happens to it under a running runtui, no change is recorded where
nobody would find it, or reported as recorded."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtui.domain.report import Outcome
from runtui.services.records import journal as journal_module
from runtui.services.records.drafts import Drafts
from runtui.services.records.journal import Journal, RunBusyError, Settlement
from runtui.services.records.journal_file import JournalConnection, JournalError, damaged_files, open_journal
from tests import there
from tests.unit.intents import ROOT, intent, record_intent
from tests.unit.saves_bench import Bench, draft

Loss = Callable[[Path], object]

LOST = "deleted|cut short|no longer in it"
"""The words for a journal's file that was deleted, shortened or replaced after it was opened, as a pattern."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a journal of some size, and an older backup of it beside the folder."""
    folder = tmp_path_factory.mktemp("history")
    path = folder / "state" / "journal.db"
    for size, backup in ((30, "backup"), (60, "")):
        with closing(Journal(path)) as journal:
            for number in range(size):
                some = intent(run_id=f"{size}-{number}", body="x" * 4_000)
                record_intent(journal, some)
                journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))
        if backup:
            shutil.copy(path, folder / backup)
    return folder


@pytest.fixture
def path(history: Path, tmp_path: Path) -> Path:
    """The journal of a copy of `history`."""
    shutil.copytree(history, tmp_path, dirs_exist_ok=True)
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """An open journal with one entry."""
    journal = Journal(path)
    record_intent(journal, intent(run_id="first"))
    yield journal
    journal.close()


def deleted(path: Path) -> None:
    path.unlink()


def deleted_with_all_beside_it(path: Path) -> None:
    for file in path.parent.iterdir():
        if file.is_file():
            file.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def folder_deleted(path: Path) -> None:
    shutil.rmtree(path.parent)


def replaced(path: Path) -> None:
    path.parent.with_name("backup").replace(path)


def written_over(path: Path) -> None:
    shutil.copyfile(path.parent.with_name("backup"), path)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


LOSSES = (
    deleted, deleted_with_all_beside_it, renamed, folder_moved, folder_deleted,
    replaced, written_over, emptied, cut_in_half,
)  # fmt: skip


def log_deleted(path: Path) -> None:
    path.with_name("journal.db-wal").unlink()


def index_deleted(path: Path) -> None:
    path.with_name("journal.db-shm").unlink()


def runs_in(path: Path) -> list[str]:
    """Return the runs of the entries that the next runtui finds at a path, oldest first."""
    with closing(Journal(path)) as journal:
        return [entry.run_id for entry in reversed(journal.entries())]


@pytest.mark.parametrize("lose", LOSSES)
def test_nothing_is_recorded_in_a_file_that_is_lost_and_the_next_change_goes_into_the_one_that_is_there(
    lose: Loss, journal: Journal, path: Path
) -> None:
    lose(path)
    with pytest.raises(JournalError, match=LOST) as refused:
        record_intent(journal, intent(run_id="refused"))
    assert str(path) in refused.value.message
    assert "send the change again" in refused.value.hint
    some = intent(run_id="again")
    number = record_intent(journal, some)
    journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))
    entry = there(journal.entry(number))
    assert (entry.run_id, entry.outcome) == ("again", Outcome.DONE)
    journal.close()
    assert runs_in(path)[-1] == "again"
    assert "refused" not in runs_in(path)


@pytest.mark.parametrize("lose", LOSSES[:-3])
def test_reading_says_so_too_until_a_change_was_refused(lose: Loss, journal: Journal, path: Path) -> None:
    lose(path)
    for _ in range(2):
        with pytest.raises(JournalError, match=LOST):
            journal.entries()
    with pytest.raises(JournalError, match=LOST):
        record_intent(journal, intent())
    journal.entries()


@pytest.mark.parametrize("lose", LOSSES[:7])
def test_an_outcome_without_a_row_that_will_be_found_is_refused(lose: Loss, journal: Journal, path: Path) -> None:
    some = intent()
    record_intent(journal, some)
    lose(path)
    with pytest.raises(JournalError):
        journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))


@pytest.mark.parametrize("is_loop", [False, True], ids=["no folder left", "a loop of links left"])
def test_a_file_that_was_moved_has_the_outcome_all_the_same_and_goes_on_when_it_is_put_back(
    journal: Journal, path: Path, is_loop: bool
) -> None:
    some = intent(run_id="on its way")
    number = record_intent(journal, some)
    elsewhere = path.parent.rename(path.parent.with_name("elsewhere"))
    if is_loop:
        path.parent.symlink_to(path.parent)
    with pytest.raises(JournalError, match=LOST):
        journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))
    if is_loop:
        path.parent.unlink()
    elsewhere.rename(path.parent)
    entry = there(journal.entry(number))
    assert entry.outcome is Outcome.DONE
    assert record_intent(journal, intent(run_id="next")) == number + 1


def test_a_renamed_file_has_everything_that_was_recorded(journal: Journal, path: Path) -> None:
    before = len(journal.entries())
    renamed(path)
    with pytest.raises(JournalError, match=LOST):
        record_intent(journal, intent())
    record_intent(journal, intent())
    assert len(runs_in(path)) == 1
    assert len(runs_in(path.with_name("elsewhere.db"))) == before


def test_the_next_change_goes_into_a_restored_backup(journal: Journal, path: Path) -> None:
    backup = path.parent.with_name("backup")
    before = runs_in(backup)
    replaced(path)
    with pytest.raises(JournalError, match=LOST):
        record_intent(journal, intent())
    record_intent(journal, intent(run_id="again"))
    assert runs_in(path) == [*before, "again"]
    assert journal.set_aside is None


@pytest.mark.parametrize("lose", [emptied, cut_in_half, written_over])
def test_a_file_that_was_cut_short_is_kept_and_said(lose: Loss, journal: Journal, path: Path) -> None:
    lose(path)
    with pytest.raises(JournalError, match="cut short"):
        record_intent(journal, intent())
    assert [journal.set_aside] == damaged_files(path)


@pytest.mark.parametrize("lose", LOSSES)
def test_journal_and_drafts_of_one_session_come_back_together(lose: Loss, journal: Journal, path: Path) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(draft())
    drafts.flush()
    lose(path)
    drafts.keep(draft(processingStatus="queued"))
    drafts.flush()
    with pytest.raises(JournalError, match=LOST):
        record_intent(journal, intent())
    record_intent(journal, intent(run_id="again"))
    typed = draft(processingStatus="canceled")
    drafts.keep(typed)
    drafts.flush()
    drafts.close()
    journal.close()
    assert runs_in(path)[-1] == "again"
    after = Drafts(path)
    after.load(ROOT)
    assert after.get("r1") == typed
    after.close()


@pytest.mark.parametrize("lose", [log_deleted, index_deleted])
def test_without_its_log_or_index_nothing_is_sent_and_nothing_is_lost(lose: Loss, journal: Journal, path: Path) -> None:
    some = intent(run_id="on its way")
    record_intent(journal, some)
    lose(path)
    for _ in range(2):
        with pytest.raises(JournalError, match="start it again"):
            record_intent(journal, intent(run_id="refused"))
    with pytest.raises(JournalError, match=LOST):
        journal.settle(Settlement(some.client_request_id, Outcome.DONE, "answer"))
    journal.close()
    with closing(Journal(path)) as fresh:
        newest, before, *_ = fresh.entries()
    assert (newest.run_id, newest.outcome, before.run_id) == ("on its way", Outcome.DONE, "first")


def test_a_file_that_is_lost_while_an_intent_is_recorded_has_recorded_nothing(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = journal_module._sealed

    def seal_and_lose(db: JournalConnection, change: sqlite3.Cursor) -> int:
        path.unlink()
        return seal(db, change)

    monkeypatch.setattr(journal_module, "_sealed", seal_and_lose)
    with pytest.raises(JournalError, match=LOST):
        record_intent(journal, intent())


def test_an_older_content_written_into_the_file_is_seen_by_what_it_lacks(journal: Journal, path: Path) -> None:
    def put_into_the_file() -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    put_into_the_file()
    before = path.read_bytes()
    number = record_intent(journal, intent(run_id="last"))
    put_into_the_file()
    assert path.stat().st_size == len(before)
    path.write_bytes(before)
    with pytest.raises(JournalError, match=f"#{number} is no longer in it"):
        record_intent(journal, intent())
    record_intent(journal, intent(run_id="again"))
    journal.close()
    assert runs_in(path)[-2:] == ["first", "again"]


def test_the_log_of_a_file_that_was_replaced_does_not_stay_beside_the_new_one(path: Path) -> None:
    db = open_journal(path, durable=True)
    replaced(path)
    db.let_go()
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == ["journal.db"]


def test_a_living_runtui_whose_lock_was_deleted_still_keeps_others_from_its_run(journal: Journal, path: Path) -> None:
    for file in (path.parent / "sessions").iterdir():
        file.unlink()
    record_intent(journal, intent(run_id="mine"))
    with closing(Journal(path)) as other, pytest.raises(RunBusyError):
        record_intent(other, intent(run_id="mine"))


def test_another_runtui_that_opens_and_closes_the_file_loses_nothing(journal: Journal, path: Path) -> None:
    for number in range(5):
        with closing(Journal(path)) as other:
            record_intent(other, intent(run_id=f"other-{number}"))
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        record_intent(journal, intent(run_id=f"own-{number}"))
    assert len(journal.entries(limit=10)) == 10


# The write path


@pytest.mark.parametrize("lose", [deleted, renamed, emptied])
async def test_no_write_leaves_without_an_entry_that_can_be_found(lose: Loss, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.answer_writes(None)
    await bench.ended(draft())
    lose(tmp_path / "journal.db")
    next_draft = draft(bench.graph.held["r1"], processingStatus="queued")
    save = await bench.ended(next_draft)
    assert save.outcome is Outcome.NOT_DONE
    assert there(save.fault).title == "The journal cannot be used"
    assert bench.writes == 1
    again = await bench.ended(next_draft)
    assert (again.outcome, again.unrecorded, bench.writes) == (Outcome.DONE, "", 2)
    assert bench.outcomes()[-1][:2] == (Outcome.DONE, "answer")
    bench.close()


@pytest.mark.parametrize("lose", [deleted, renamed, log_deleted])
async def test_an_outcome_whose_row_is_lost_is_reported_as_unrecorded(lose: Loss, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.answer_writes(None)
    apply = bench.graph.apply

    def apply_and_lose(run_id: str, body: str) -> None:
        apply(run_id, body)
        lose(tmp_path / "journal.db")

    bench.graph.apply = apply_and_lose  # type: ignore[method-assign]
    save = await bench.ended(draft())
    assert (save.outcome, bool(save.unrecorded)) == (Outcome.DONE, True)
    bench.close()


# The drafts in the same file


@pytest.mark.parametrize("lose", LOSSES)
def test_no_draft_is_lost_with_the_file(lose: Loss, path: Path) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(draft())
    drafts.flush()
    lose(path)
    drafts.keep(draft(processingStatus="queued"))
    drafts.flush()
    other = draft(processingStatus="canceled")
    drafts.keep(other)
    drafts.flush()
    fault = drafts.fault
    drafts.close()
    assert fault is None
    after = Drafts(path)
    after.load(ROOT)
    assert after.get("r1") == other
    after.close()


def test_drafts_wait_while_their_path_leads_nowhere(path: Path) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    elsewhere = path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to(path.parent)
    drafts.keep(draft())
    drafts.flush()
    assert drafts.fault is not None
    path.parent.unlink()
    elsewhere.rename(path.parent)
    drafts.close()
    after = Drafts(path)
    after.load(ROOT)
    assert after.get("r1") == draft()
    after.close()


def test_all_drafts_go_into_the_file_that_is_there(path: Path) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(draft())
    drafts.keep(draft()._replace(run_id="r2"))
    drafts.flush()
    deleted_with_all_beside_it(path)
    drafts.keep(draft(processingStatus="queued"))
    drafts.close()
    after = Drafts(path)
    after.load(ROOT)
    assert sorted(after) == ["r1", "r2"]
    after.close()


@pytest.mark.parametrize("lose", [log_deleted, index_deleted])
def test_drafts_without_their_log_say_so_and_are_there_again_after_a_restart(lose: Loss, path: Path) -> None:
    drafts = Drafts(path)
    drafts.load(ROOT)
    drafts.keep(draft())
    drafts.flush()
    lose(path)
    typed = draft(processingStatus="queued")
    drafts.keep(typed)
    drafts.flush()
    assert "start it again" in there(drafts.fault).hint
    drafts.close()
    after = Drafts(path)
    after.load(ROOT)
    assert after.get("r1") == typed
    after.close()
