"""The status line: a sentence disappears as soon as it is no longer true."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import warnings
from datetime import UTC, datetime

import pytest

from runtui.errors import RuntuiError
from runtui.services.refresh import Progress
from runtui.tui.features.listing import Listing
from runtui.tui.screens import frame
from tests.tui.conftest import Opener, Session
from tests.tui.test_conflict import type_a_draft
from tests.tui.test_faults import graph_error
from tests.tui.test_journal import open_journal, record
from tests.tui.test_review import to_the_review
from tests.tui.test_scenarios import Sandbox
from tests.tui.test_undo import change
from tests.tui.wires import Graph


async def open_form(session: Session) -> None:
    await session.press("e")
    await session.until(lambda: session.view == "edit")


async def test_a_refusal_goes_when_its_reason_does(open_session: Opener) -> None:
    async with open_session(graph=Graph()) as session:
        await open_form(session)
        await session.press("ctrl+s")
        assert session.status.text == "Nothing has changed yet."
        await session.go_to("totalUsersCount")
        await session.type("x")
        assert session.status.text == ""
        await session.press("ctrl+s")
        assert "an invalid value" in session.status.text
        await session.press("home", "delete")
        assert "an invalid value" in session.status.text, "empty is as wrong"
        await session.type("5")
        assert session.status.text == ""


@pytest.mark.parametrize("leave", ["escape", "f1", "shift+f3"])
async def test_a_message_of_the_form_disappears_with_the_form(open_session: Opener, leave: str) -> None:
    async with open_session(graph=Graph()) as session:
        await open_form(session)
        await session.press("ctrl+t")
        assert session.status.text.startswith("Sends only what changed.")
        await session.press(leave)
        await session.until(lambda: session.view != "edit")
        assert session.status.text == ""


async def test_a_question_is_void_once_its_subject_changes(open_session: Opener) -> None:
    async with open_session(graph=Graph()) as session:
        await type_a_draft(session)
        await session.press("shift+f8")
        assert "again to discard the draft" in session.status.text
        await session.type("1")
        assert session.status.text == ""
        await session.press("shift+f8", "f1", "escape")
        assert session.view == "edit"
        assert session.status.text == ""


async def test_drafts_that_were_told_at_the_start_are_told_no_longer_than_they_are_there(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:
        await type_a_draft(session)
    async with open_session(graph=graph) as session:
        assert "1 draft kept; ~" in session.status.text
        session.workspace.drafts.drop("run-4")
        await session.press("j")
        assert session.status.text == ""


async def test_a_disk_that_takes_drafts_again_is_no_trouble_any_more(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(graph=Graph()) as session:

        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        await open_form(session)
        await session.go_to("totalUsersCount")
        with monkeypatch.context() as full:
            full.setattr(session.workspace.drafts, "_put", refuse)
            await session.type("9")
            await session.until(lambda: "Drafts cannot be saved" in session.status.text)
        await session.type("1")
        session.workspace.drafts.flush()
        await session.press("home")
        await session.type("2")
        await session.until(lambda: session.status.text == "")


async def test_a_draft_that_only_memory_holds_is_not_called_kept(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:

        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(session.workspace.drafts, "_put", refuse)
        graph.answer_to_patch = graph_error(403, "Forbidden", "Insufficient privileges.")
        await to_the_review(session)
        await session.press("y")
        await session.until(lambda: " not done" in session.status.text)
        assert "The draft is kept until you quit" in session.status.text


async def test_the_message_about_a_failed_save_disappears_with_its_draft(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:
        graph.answer_to_patch = graph_error(403, "Forbidden", "Insufficient privileges.")
        await to_the_review(session)
        await session.press("y")
        await session.until(lambda: "The draft is kept." in session.status.text)
        await session.press("j")
        assert "The draft is kept." in session.status.text, "what happened stays in sight"
        session.workspace.drafts.drop("run-4")
        await session.press("k")
        assert session.status.text == ""


async def test_an_ended_simulation_is_not_shown(open_session: Opener) -> None:
    sandbox = Sandbox()
    async with open_session(runs=12, sandbox=sandbox) as session:
        await session.press("M", "down", "enter")
        assert session.status.text.startswith("Simulating: ")
        sandbox.scenario = "none"
        await session.press("j")
        assert session.status.text == ""
        await session.press("M", "home", "enter")
        assert session.status.text == "Everything works."


async def test_a_message_about_an_entry_disappears_when_the_cursor_moves(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=graph_error(500, "InternalServerError", "It broke."))
    async with open_session(graph=graph) as session:
        record(session.workspace.journal, 1)
        await change(session)
        await open_journal(session)
        await session.press("l")
        await session.until(lambda: "is still unknown" in session.status.text)
        await session.press("j")
        assert session.status.text == ""


async def test_the_panel_of_the_journal_is_that_of_the_entry_under_the_cursor(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:
        await change(session)
        await change(session)
        await session.until(lambda: "#2 " in session.inside(session.panel))
        for number in range(3, 5):
            record(session.workspace.journal, number)
        await open_journal(session)
        await session.press("enter")
        await session.until(lambda: "#4 " in session.inside(session.panel))
        await session.press("j", "j")
        await session.until(lambda: "#2 " in session.inside(session.panel))
        await session.press("escape", "J")
        view = session.journal
        entry = view.entry
        assert entry is not None
        await session.until(lambda: f"#{entry.number} " in session.inside(session.panel))
        await session.press("slash")
        await session.type("nowhere")
        await session.until(lambda: view.entry is None)
        await session.until(lambda: "The response to a change appears here." in session.inside(session.panel))


async def test_a_sentence_too_long_for_its_lines_ends_in_a_mark(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=5) as session:
        session.set_status(" ".join(["It goes on and on."] * 20))
        await session.settled()
        said = session.text().splitlines()[-4:-1]
        assert said[0].startswith(" · It goes on")
        assert said[2].endswith("…")
        assert "It goes on" not in session.text().splitlines()[-5], "three lines at the most"
        await session.pilot.resize_terminal(200, 24)
        await session.settled()
        assert "…" not in "".join(session.text().splitlines()[-4:])


async def test_a_key_that_a_place_does_not_have_says_where_it_works(open_session: Opener) -> None:
    async with open_session(graph=Graph()) as session:
        await session.press("R")
        assert session.status.text == "R retry works in: Results of a bulk change."
        await session.press("j")
        assert session.status.text == "", "the next key that works takes it away"
        await session.press("greater_than_sign", "e")
        assert session.status.text == "e edit works in the left pane; < goes there."
        await session.press("less_than_sign", "P", "j")
        assert session.status.text == "", "a refusal goes with the next key, too"
        session.app.chrome.set_status("The disk is full.", "error")
        await session.press("R")
        assert session.status.text == "The disk is full.", "a graver sentence stays"
        session.app.chrome.set_status("")
        await session.press("ctrl+c")
        assert session.status.text == "F10 quits; ctrl+c copies text selected in a field."
        await session.press("i")
        assert session.status.text == "i all servers works in: Journal."
        await session.press("D")
        assert session.status.text == "D discard works in: Conflict.", "where this key has it, not another"
        await open_form(session)
        await session.go_to("processingStatus")
        await session.press("i")
        assert session.status.text == "", "the dropdown takes the key"


async def test_a_sentence_that_was_read_goes_with_the_next_key_that_works(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(graph=Graph()) as session:
        session.app.chrome.set_status("The change is done.", "success")
        await session.press("j")
        assert session.status.text == "The change is done.", "it may have come with the key"
        await session.press("R")
        assert session.status.text == "R retry works in: Results of a bulk change."
        monkeypatch.setattr(frame, "READING_SECONDS", -1)
        session.app.chrome.set_status("The disk is full.", "error")
        await session.press("k")
        assert session.status.text == "The disk is full.", "a graver sentence stays"
        session.app.chrome.set_status("The change is done.", "success")
        await session.press("k")
        assert session.status.text == ""


async def test_what_a_key_has_not_found_makes_way_for_what_the_next_key_says(open_session: Opener) -> None:
    async with open_session(graph=Graph()) as session:
        await session.press("u")
        await session.until(lambda: "You have not changed this run" in session.status.text)
        await session.press("R")
        assert session.status.text == "R retry works in: Results of a bulk change."


async def test_a_first_listing_that_waits_says_why_there_is_no_row(open_session: Opener) -> None:
    async with open_session(runs=0, ready=False) as session:
        await session.until(lambda: "There are no runs." in session.text())
        told = session.workspace.refresh.changed
        told.announce(Progress(listing=True, waiting_until=datetime.now(UTC), waiting="It is busy."))
        await session.until(lambda: "It is busy." in session.text())
        told.announce(Progress(listing=True))
        await session.until(lambda: "Reading the runs…" in session.text())
        told.announce(Progress(fault=RuntuiError("Nobody is there")))
        await session.until(lambda: "  Nobody is there." in session.text())
        told.announce(Progress(listing=True))
        await session.until(lambda: "Reading the runs…" in session.text())


async def test_suspending_without_a_shell_is_refused_with_the_reason(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the tests may have no shell that waits, or one that must not be disturbed."""
    monkeypatch.setattr("runtui.tui.screens.frame.shell_waits", lambda: False)
    async with open_session(size=(80, 24), runs=30) as session:
        await session.press("ctrl+z")
        assert "No shell is waiting" in session.text()


async def test_work_that_is_cancelled_before_it_begins_warns_nobody(open_session: Opener) -> None:
    """A warning would be printed over the screen."""
    gc.collect()  # the coroutines of earlier tests are not reported here
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async with open_session() as session:
            session.app.feature[Listing].in_worker(asyncio.sleep(0), "of no use")
            session.app.workers.cancel_group(session.app, "of no use")
            await session.settled()
        del session
        gc.collect()
    assert [str(warning.message) for warning in told if warning.category is RuntimeWarning] == []
