"""Unknown outcomes: shown in the list and above it, reported at the start, settled as soon as the run proves one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from runtui.domain.report import Outcome
from runtui.services.records.journal import Journal, Settlement
from runtui.settings import JOURNAL_FILE
from runtui.tui.features.changes.journaling import Journaling
from tests.tui.conftest import Opener
from tests.tui.test_faults import graph_error
from tests.tui.test_journal import record
from tests.tui.test_undo import change
from tests.tui.wires import Graph, reply

BROKEN = graph_error(500, "InternalServerError", "It broke.")


async def test_the_row_and_the_header_say_it_until_it_is_settled(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=BROKEN)
    async with open_session(wire=graph.wire) as session:
        session.workspace.reconciler.start()
        assert "unknown" not in session.header
        entry = await change(session)
        await session.until(lambda: "1 unknown" in session.header)
        table = session.runs.table
        assert table.render_line(table.cursor - table.scroll_offset.y).text.startswith("?")
        assert " unknown" in session.status.text, "the save itself is told, not the look after it"
        graph.runs[entry.run_id] |= entry.after
        session.workspace.reconciler.check_soon()
        await session.until(lambda: "#1 done, seen on read-back" in session.status.text)
        assert "unknown" not in session.header
        assert not table.render_line(table.cursor - table.scroll_offset.y).text.startswith("?")


async def test_what_another_terminal_decides_is_shown_in_this_one(open_session: Opener, tmp_path: Path) -> None:
    async with open_session(wire=Graph(answer_to_patch=BROKEN).wire) as session:
        session.workspace.reconciler.start()
        entry = await change(session)
        await session.until(lambda: "1 unknown" in session.header)
        with closing(Journal(tmp_path / JOURNAL_FILE)) as other:
            other.settle(Settlement(entry.client_request_id, Outcome.NOT_DONE, "person"))
        session.workspace.reconciler.check_soon()
        await session.until(lambda: "#1 not done, as you decided" in session.status.text)
        assert "unknown" not in session.header
        table = session.runs.table
        assert not table.render_line(table.cursor - table.scroll_offset.y).text.startswith("?")


async def test_open_changes_of_earlier_sessions_are_reported_at_the_start(open_session: Opener, tmp_path: Path) -> None:
    """One of two changes shows in its run, the other does not."""
    graph = Graph()
    graph.runs["run-1"]["processingStatus"] = "canceled"
    journal = Journal(tmp_path / JOURNAL_FILE)
    record(journal, 1, outcome=Outcome.UNKNOWN)
    record(journal, 2, outcome=None)  # the process of the entry has ended
    record(journal, 3, outcome=Outcome.DONE)
    journal.close()
    async with open_session(wire=graph.wire) as session:
        session.workspace.reconciler.start()
        words = "2 changes from an earlier session: 1 done, seen on read-back; 1 unknown. J shows the journal."
        await session.until(lambda: words in session.status.text)
        await session.until(lambda: "1 unknown" in session.header)
        await session.press("J")
        await session.until(lambda: "? unknown" in session.text())
        assert "open" not in session.text()


async def test_changes_settled_before_the_screen_opened_are_reported_with_the_drafts(
    open_session: Opener, tmp_path: Path
) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await session.press("e", "enter", "down", "enter", "q")
    journal = Journal(tmp_path / JOURNAL_FILE)
    record(journal, 1, outcome=Outcome.UNKNOWN)
    journal.close()
    async with open_session(wire=graph.wire) as session:
        await session.workspace.reconciler.check_all()
        session.app.feature[Journaling].tell_what_was_left()
        await session.pilot.pause()
        assert "1 change from an earlier session: 1 unknown." in session.status.text
        assert "1 draft kept; ~" in session.status.text


async def test_an_answer_that_the_run_does_not_bear_out_is_unknown(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        unchanged = {run_id: dict(run) for run_id, run in graph.runs.items()}
        graph.answer_to_patch = lambda run: reply(200, unchanged[run["id"]])
        await change(session)
        await session.until(lambda: " unknown" in session.status.text)
        assert "On read-back, the run does not show the change" in session.status.text
        assert "It may still arrive." in session.status.text


async def test_nothing_is_sent_without_the_journal(open_session: Opener, tmp_path: Path) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        session.workspace.journal.close()
        session.workspace.journal.path = tmp_path  # a file in place of the folder
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y")
        await session.until(lambda: "The journal cannot be used" in session.status.text)
        assert "ot done" in session.status.text
        assert "Nothing is sent without the journal." in session.status.text
        assert graph.patches == []


async def test_a_run_that_another_runtui_is_changing_is_not_written(open_session: Opener, tmp_path: Path) -> None:
    graph = Graph()
    other = Journal(tmp_path / JOURNAL_FILE)
    record(other, 4, outcome=None)
    async with open_session(wire=graph.wire) as session:
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y")
        await session.until(lambda: "Another runtui is writing this run" in session.status.text)
        assert "Its change, journal #1, has no outcome yet" in session.status.text
        assert "The draft is kept." in session.status.text
        assert graph.patches == []
    other.close()


async def test_an_outcome_that_cannot_be_recorded_is_reported(open_session: Opener, tmp_path: Path) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        journal = session.workspace.journal

        def take_the_journal_away(run: dict[str, object]) -> object:
            graph.runs[str(run["id"])] = run
            with journal._lock:
                journal.path, journal._db = tmp_path, None
            return reply(200, run)

        with journal._using() as db:
            graph.answer_to_patch = take_the_journal_away  # type: ignore[assignment]
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith(("#1 done", "#2 done", "#3 done")))
        assert "The outcome could not be written to the journal" in session.status.text
        db.close()


async def test_a_journal_that_vanishes_stops_what_would_be_sent_and_says_so(
    open_session: Opener, tmp_path: Path
) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await change(session)
        await session.until(lambda: session.status.text.startswith(("#1 done", "#2 done", "#3 done")))
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"{JOURNAL_FILE}{suffix}").unlink()
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y")
        await session.until(lambda: "ot done" in session.status.text)
        assert "deleted, moved or replaced" in session.status.text
        assert "The draft is kept." in session.status.text
        assert len(graph.patches) == 1
        await session.press("e", "ctrl+s", "y")
        await session.until(
            lambda: len(graph.patches) == 2 and session.status.text.startswith(("#1 done", "#2 done", "#3 done"))
        )
        assert [entry.number for entry in session.workspace.journal.entries()] == [1]


async def test_keys_that_need_a_journal_that_vanished_say_so(open_session: Opener, tmp_path: Path) -> None:
    async with open_session(runs=12) as session:
        await change(session)
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"{JOURNAL_FILE}{suffix}").unlink()
        await session.press("a")
        assert session.view == "picker"
        assert "The journal cannot be used" in session.status.text
        await session.press("escape", "F")
        await session.until(lambda: "No run reprocesses this one." in session.status.text)


async def test_an_outcome_whose_entry_vanished_is_reported_as_unrecorded(open_session: Opener, tmp_path: Path) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:

        def lose_and_answer(run: dict[str, Any]) -> httpx.Response:
            (tmp_path / JOURNAL_FILE).unlink()
            graph.runs[run["id"]] = run
            return reply(200, run)

        graph.answer_to_patch = lose_and_answer
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith(("#1 done", "#2 done", "#3 done")))
        assert "The outcome could not be written to the journal" in session.status.text


async def test_a_damaged_entry_is_listed_without_actions(open_session: Opener, tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL_FILE)
    for number in (1, 2, 3):
        record(journal, number)
    journal.close()
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as db, db:
        db.execute("UPDATE entry SET words = 'Fast.' WHERE number = 2")
    async with open_session(wire=Graph().wire) as session:
        await session.press("J")
        await session.until(lambda: "! damaged" in session.text())
        await session.press("down")
        why = "#2 cannot be read: its checksum does not fit what it holds."
        for key in ("u", "l", "d"):
            await session.press(key)
            assert session.status.text == why
        await session.press("enter")
        assert "#2 cannot be read" in session.inside(session.panel)
        await session.press("down", "up", "E", "enter")
        await session.until(lambda: "3 entries written to" in session.status.text)


async def test_the_screen_reports_that_a_broken_journal_was_set_aside(open_session: Opener, tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(b"this was never a database" * 100)
    async with open_session(wire=Graph().wire) as session:
        await session.until(lambda: "The journal was broken. It was set aside as" in session.status.text)
