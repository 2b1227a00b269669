"""Drafts on the screen: kept whatever happens, offered again, discarded only on purpose."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.services.records.drafts import Drafts
from runtui.services.records.journal import Journal, Settlement
from runtui.services.records.journal_file import STEPS, open_journal
from tests.tui.conftest import ROOT, Opener, Session
from tests.tui.wires import Graph, Held, a_run
from tests.unit.intents import intent, record_intent


def first_flag(session: Session) -> str:
    """Return the flag before the first row."""
    return next((line.lstrip("│")[0] for line in session.text().splitlines() if "Onboard" in line[:60]), "")


def leave_a_draft(folder: Path, run_id: str = "run-4", typed: str = "12x") -> None:
    """Store a draft, as an earlier session does."""
    drafts = Drafts(folder / "journal.db")
    drafts.load(ROOT)
    drafts.keep(Draft(run_id, "w1", a_run(int(run_id[-1]))).typed("totalUsersCount", typed, 0))
    drafts.close()


def leave_a_change(folder: Path, outcome: Outcome) -> None:
    """Store a change of run-4 to 12 users with its outcome, as another process settles it for one that was killed."""
    sent = intent(root=ROOT, run_id="run-4", before={"totalUsersCount": 3}, after={"totalUsersCount": 12})
    with closing(Journal(folder / "journal.db")) as journal:
        record_intent(journal, sent)
        journal.settle(Settlement(sent.client_request_id, outcome, "read-back"))


async def type_into_a_count(session: Session, text: str) -> None:
    await session.press("e")
    await session.until(lambda: session.view == "edit")
    await session.go_to("totalUsersCount")
    await session.pilot.pause()
    await session.press("end")
    await session.type(text)


async def test_a_draft_of_an_earlier_session_is_marked_told_and_opened_with_its_text(
    open_session: Opener, tmp_path: Path
) -> None:
    leave_a_draft(tmp_path)
    async with open_session(wire=Graph().wire) as session:
        assert session.status.text == "1 draft kept; ~ marks its run, e opens a draft."
        assert first_flag(session) == "~"
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert "12x" in session.text()
        assert "A count is a whole number" in session.text(), "a field left in error says so at once"
        assert session.status.text.startswith("Your draft from ")
        assert session.status.text.endswith("; F8 reverts a field, shift+F8 discards the draft.")


async def test_a_draft_whose_change_another_process_found_done_is_dropped(open_session: Opener, tmp_path: Path) -> None:
    leave_a_draft(tmp_path, typed="12")
    leave_a_change(tmp_path, Outcome.DONE)
    async with open_session(wire=Graph().wire) as session:
        assert "not sent" not in session.status.text
        assert first_flag(session) != "~"


@pytest.mark.parametrize(
    ("typed", "outcome", "is_typed_later"),
    [("12", Outcome.NOT_DONE, False), ("13", Outcome.DONE, False), ("12", Outcome.DONE, True)],
)
async def test_a_draft_that_differs_from_what_is_done_or_was_typed_later_stays(
    typed: str, outcome: Outcome, is_typed_later: bool, open_session: Opener, tmp_path: Path
) -> None:
    if is_typed_later:
        leave_a_change(tmp_path, outcome)
    leave_a_draft(tmp_path, typed=typed)
    if not is_typed_later:
        leave_a_change(tmp_path, outcome)
    async with open_session(wire=Graph().wire) as session:
        assert session.status.text.startswith("1 draft kept")


async def test_a_draft_of_an_earlier_session_is_marked_before_the_server_answers(
    open_session: Opener, tmp_path: Path
) -> None:
    async with open_session(wire=Graph().wire):
        pass
    leave_a_draft(tmp_path)
    held = Held(Graph().wire)
    held.hold()
    async with open_session(wire=held, ready=False) as session:
        await session.until(lambda: first_flag(session) == "~")
        held.release()


async def test_whatever_is_typed_is_there_for_the_next_session(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await type_into_a_count(session, "9y")
    async with open_session(wire=graph.wire) as session:
        assert first_flag(session) == "~"
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert "39y" in session.text()


async def test_a_draft_of_a_run_that_is_gone_is_reported_when_the_list_is_whole(
    open_session: Opener, tmp_path: Path
) -> None:
    leave_a_draft(tmp_path, "run-9")
    async with open_session(wire=Graph().wire) as session:
        await session.until(lambda: "does not list now" in session.status.text)
        assert session.status.text.startswith("1 draft belongs to a run")
        assert "run-9" in session.workspace.drafts
        listed_at = session.workspace.refresh.progress.finished_at
        await session.press("e", "escape", "r")
        await session.until(lambda: session.workspace.refresh.progress.finished_at != listed_at)
        assert "does not list now" not in session.status.text, "once is enough"


async def test_dropping_takes_two_presses_and_tells_what_it_held(open_session: Opener) -> None:
    async with open_session(wire=Graph().wire) as session:
        await type_into_a_count(session, "9")
        await session.press("shift+f8")
        assert session.status.text == "Press shift+F8 again to discard the draft: totalUsersCount 39."
        assert session.view == "edit"
        assert "run-4" in session.workspace.drafts
        await session.press("shift+f8")
        assert session.view == "runs"
        assert session.status.text == "Draft discarded: totalUsersCount 39."
        assert "run-4" not in session.workspace.drafts
        assert session.app.chrome.panel.tab == "run"
        session.app.chrome.panel.choose("request")
        assert "39" not in session.app.chrome.panel.text(), "it shows no request that nothing is left of"
        assert first_flag(session) == " "
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert session.draft is not None
        assert session.draft.edits == {}


async def test_typing_between_the_two_presses_asks_again(open_session: Opener) -> None:
    async with open_session(wire=Graph().wire) as session:
        await type_into_a_count(session, "9")
        await session.press("shift+f8")
        await session.type("1")
        await session.press("shift+f8")
        assert session.status.text == "Press shift+F8 again to discard the draft: totalUsersCount 391."
        assert "run-4" in session.workspace.drafts
        await session.press("ctrl+t", "shift+f8")
        assert "run-4" in session.workspace.drafts, "the question was no longer in sight"
        await session.press("shift+f8")
        assert "run-4" not in session.workspace.drafts


async def test_there_is_nothing_to_drop_in_a_form_nobody_touched(open_session: Opener) -> None:
    async with open_session(wire=Graph().wire) as session:
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert session.field == "processingStatus"
        await session.press("shift+f8", "shift+f8")
        assert session.view == "edit"
        assert session.status.text == "Nothing has changed yet."


async def test_drafts_that_cannot_be_kept_are_said_once(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_session(wire=Graph().wire) as session:

        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(session.workspace.drafts, "_put", refuse)
        await type_into_a_count(session, "9")
        await session.until(lambda: "Drafts cannot be saved" in session.status.text)
        assert "disk is full" in session.status.text
        session.set_status("")
        await session.type("1")
        session.workspace.drafts.flush()
        await session.pilot.pause()
        assert session.status.text == ""
        await session.press("escape")
        assert "Drafts cannot be saved" in session.status.text, "nor are they kept after the form"
        await session.press("ctrl+q")
        assert "Not saved: 1 draft. q again quits." in session.status.text
        assert session.app.return_code is None
        monkeypatch.undo()


async def test_a_file_of_a_newer_version_is_reported_at_the_start(open_session: Opener, tmp_path: Path) -> None:
    open_journal(tmp_path / "journal.db", durable=False).close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    db.close()
    async with open_session(wire=Graph().wire) as session:
        assert "Drafts cannot be saved" in session.status.text
        assert "newer runtui" in session.status.text
