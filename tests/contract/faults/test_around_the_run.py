"""Trouble around a change: another runtui, a full disk, a broken file, a colleague's change, a deleted run."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runtui.services.records.journal_file import damaged_files
from runtui.services.writing.undo import doubt_of
from runtui.settings import JOURNAL_FILE
from tests import there
from tests.contract.faults.cases import case, covers
from tests.contract.faults.judge import COUNT, DONE, NOT_DONE, UNKNOWN, Trial
from tests.contract.faults.meddling import Call, honest
from tests.contract.faults.replies import applied, close_it, refuses, swallowed


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow, so that every write to a file fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def another(trial: Trial, folder: Path) -> Trial:
    """Open a second runtui on the same state folder, through the same proxy."""
    facts: dict[str, Any] = {"workflow_id": trial.workflow_id, "run_id": trial.run_id, "is_bulk": trial.is_bulk}
    return Trial(trial.app, trial.line, folder, trial.monkeypatch, **facts)


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@covers(65)
async def test_a_run_that_another_runtui_is_writing_is_left_alone(
    is_applied: bool, trial: Trial, tmp_path: Path
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold(call: Call, whole: bytes) -> None:
        arrived.set()
        await go_on.wait()
        await (call.answer(whole) if is_applied else close_it(call, b""))

    trial.line.at_write = [(applied if is_applied else swallowed)(hold), honest]
    second = another(trial, tmp_path)
    second.connect()
    number = trial.submit(trial.draft(**{COUNT: 1_001}))
    await arrived.wait()
    refused = await second.save(second.draft())
    assert refused.fault is not None
    # If the first change is already applied, the fresh read finds its value; otherwise the journal has it.
    assert (refused.outcome, refused.fault.title) == (NOT_DONE, "Another runtui is writing this run")
    assert len(trial.line.writes) == 1
    go_on.set()
    assert await trial.workspace.saves.drain(60) == 0
    await trial.judge(trial.told(number), DONE if is_applied else UNKNOWN)
    now_free = await second.save(second.draft(**{COUNT: 1_002}))
    assert now_free.outcome is DONE
    assert second.contradictions() == []
    await second.close()


@covers(66, note="a folder in its place")
async def test_without_a_journal_nothing_is_sent(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).mkdir()
    save = await trial.save()
    assert (save.outcome, there(save.fault).title, save.entry) == (NOT_DONE, "The journal cannot be used", None)
    assert (trial.line.writes, trial.applied()) == ([], {})


@covers(66, note="disk full")
async def test_on_a_full_disk_nothing_is_sent_and_with_room_again_it_is(trial: Trial) -> None:
    await trial.judge(await trial.save(trial.draft(**{COUNT: 1_001})), DONE)
    draft = trial.draft(**{COUNT: 1_002})
    with full_disk():
        save = await trial.save(draft)
        assert there(save.fault).title == "The journal cannot be used"
    await trial.judge(save, NOT_DONE, entries=(DONE,))
    await trial.judge(await trial.save(draft), DONE, patches=2, entries=(DONE, DONE))


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "refused"])
@covers(66, note="full when the outcome is known")
async def test_an_outcome_that_cannot_be_recorded_is_reported_and_recorded_later(
    is_applied: bool, trial: Trial
) -> None:
    with full_disk_from_the_write_on(trial, is_applied):
        save = await trial.save()
    assert (save.outcome, bool(save.unrecorded)) == (DONE if is_applied else NOT_DONE, True)
    assert [entry.outcome for entry in trial.entries()] == [None], "open: it says nothing wrong"
    assert trial.contradictions() == []
    await trial.workspace.reconciler.check_all()
    assert [entry.outcome for entry in trial.entries()] == [save.outcome]
    assert trial.contradictions() == []


@contextmanager
def full_disk_from_the_write_on(trial: Trial, is_applied: bool) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def fill_up(call: Call) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        await (honest(call) if is_applied else swallowed(refuses(400))(call))

    trial.line.at_write = [fill_up]
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def overwrite(file: Path) -> None:
    file.write_bytes(b"not a database " * 400)


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", [case(67, JOURNAL_FILE), case(68, "runs.db", note="the stored list")])
@pytest.mark.parametrize("tear", [overwrite, cut_in_half])
async def test_a_torn_file_is_set_aside_and_the_next_change_is_recorded(
    tear: Any, name: str, trial: Trial, tmp_path: Path
) -> None:
    trial.line.at_write = [swallowed(close_it), honest]
    await trial.judge(await trial.save(trial.draft(**{COUNT: 1_001})), UNKNOWN)
    await trial.close()
    with closing(sqlite3.connect(tmp_path / name)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # SQLite would repair the file from its log
    tear(tmp_path / name)
    trial.line.writes.clear()
    trial.connect()
    is_journal = name == JOURNAL_FILE
    assert [entry.outcome for entry in trial.entries()] == ([] if is_journal else [UNKNOWN])
    assert bool(damaged_files(tmp_path / JOURNAL_FILE)) is is_journal
    save = await trial.save(trial.draft(**{COUNT: 1_002}))
    await trial.judge(save, DONE, entries=(DONE,) if is_journal else (UNKNOWN, DONE))


@covers(69, note="before our read")
async def test_a_change_before_our_read_is_not_overwritten(trial: Trial) -> None:
    draft = trial.draft(processingStatus="failed")
    trial.colleague_writes(processingStatus="canceled")
    save = await trial.save(draft)
    assert [(conflict.opened, conflict.now, conflict.ours) for conflict in save.conflicts] == [
        ("completed", "canceled", "failed")
    ]
    await trial.judge(save, NOT_DONE, patches=0, entries=())
    assert trial.truth()["processingStatus"] == "canceled"


@covers(69, note="without an ETag")
async def test_without_etags_a_change_right_after_our_read_cannot_be_seen(trial: Trial) -> None:
    async def edit() -> None:
        trial.colleague_writes(totalUsersCount=99)

    trial.token.before_write = edit
    await trial.judge(await trial.save(), DONE)


@covers(69, note="with an ETag")
async def test_under_an_etag_a_change_of_the_same_property_is_not_written_over(trial: Trial) -> None:
    trial.app.state.scenario.use("etag")

    async def edit() -> None:
        trial.colleague_writes(**{COUNT: 99})

    trial.token.before_write = edit
    save = await trial.save()
    assert [conflict.now for conflict in save.conflicts] == [99]
    await trial.judge(save, NOT_DONE)
    assert trial.truth()[COUNT] == 99


@covers(69, note="another property, with an ETag")
async def test_under_an_etag_a_change_of_a_property_that_is_not_sent_only_costs_another_try(trial: Trial) -> None:
    trial.app.state.scenario.use("etag")

    async def edit() -> None:
        trial.colleague_writes(totalTasksCount=99)

    trial.token.before_write = edit
    await trial.judge(await trial.save(), DONE, patches=2, entries=(NOT_DONE, DONE))
    assert trial.truth()["totalTasksCount"] == 99


@pytest.mark.parametrize("is_lost", [True, False], ids=["answer lost", "no answer ever"])
@covers(69, note="the same value as ours")
async def test_a_colleagues_earlier_identical_change_proves_nothing_about_ours(is_lost: bool, trial: Trial) -> None:
    draft = trial.draft()
    trial.colleague_writes(**{COUNT: 4_711})
    trial.line.at_write = [swallowed(close_it if is_lost else refuses(504)), honest]
    await trial.judge(await trial.save(draft), UNKNOWN)


async def colleague_after_the_read(trial: Trial, **values: Any) -> None:
    """Change the run as somebody else between runtui's read and its change, which is sent five seconds later."""

    async def read_then_edit(call: Call) -> None:
        trial.line.at_read = honest
        await honest(call)
        trial.colleague_writes(**values)
        trial.clock.advance(5)

    trial.line.at_read = read_then_edit


@pytest.mark.parametrize("etags", [True, False], ids=["with ETags", "without"])
@covers(69, note="the same value as ours, between read and write, seconds before")
async def test_a_colleagues_identical_change_seconds_before_is_distinguished_from_ours(
    etags: bool, trial: Trial
) -> None:
    if etags:
        trial.app.state.scenario.use("etag")
    await colleague_after_the_read(trial, **{COUNT: 4_711})
    trial.line.at_write = [honest if etags else swallowed(close_it)]
    save = await trial.save()
    assert "before this change was sent: somebody else made the same change" in there(save.fault).message
    await trial.judge(save, UNKNOWN)
    assert "somebody else made the same change" in trial.entries()[0].words


@covers(69, note="the same value as ours and another one, between read and write")
async def test_a_colleagues_change_with_more_values_is_distinguished_from_ours(trial: Trial) -> None:
    async def edit() -> None:
        trial.colleague_writes(**{COUNT: 4_711, "totalUsersCount": 99})

    trial.token.before_write = edit
    trial.line.at_write = [swallowed(close_it)]
    save = await trial.save()
    assert "totalUsersCount is 99, where" in there(save.fault).message
    await trial.judge(save, UNKNOWN)


@covers(69, note="the same value as ours, between read and write, at that moment")
async def test_a_colleagues_identical_change_at_that_moment_looks_like_ours_and_undo_says_so(trial: Trial) -> None:
    """A run looks the same whoever wrote it. So this is the one false success that no client can detect."""

    async def edit() -> None:
        trial.colleague_writes(**{COUNT: 4_711})

    trial.token.before_write = edit
    trial.line.at_write = [swallowed(close_it)]
    save = await trial.save()
    (entry,) = trial.entries()
    assert (save.outcome, save.known_by, entry.known_by) == (DONE, "read-back", "read-back")
    assert "somebody else may have made the same change" in doubt_of(entry), "so undo asks twice"


@pytest.mark.parametrize("between", [False, True], ids=["before our read", "between read and write"])
@covers(70)
async def test_a_run_that_is_gone_is_not_written(between: bool, trial: Trial) -> None:
    async def vanish(call: Call) -> None:
        await refuses(404, "There is no run with this id.", code="ResourceNotFound")(call, b"")

    if between:
        trial.line.at_write = [swallowed(refuses(404, "There is no run with this id."))]
    else:
        trial.line.at_read = vanish
    save = await trial.save()
    assert there(save.fault).status == 404
    await trial.judge(save, NOT_DONE, patches=int(between), entries=(NOT_DONE,) if between else ())


@covers(71)
async def test_the_same_run_written_twice_at_once_is_written_in_turn(trial: Trial) -> None:
    draft = trial.draft()
    numbers = [trial.submit(draft), trial.workspace.saves.submit(draft).number]
    assert await trial.workspace.saves.drain(60) == 0
    assert [trial.told(number).outcome for number in numbers] == [DONE, DONE]
    assert [entry.outcome for entry in trial.entries()] == [DONE, DONE]
    assert set(trial.applied().values()) == {1}
    assert trial.contradictions() == []
