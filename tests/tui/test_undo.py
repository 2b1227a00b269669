"""Undo: the same review and write path; no change of a colleague and no draft is touched."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from runtui.domain.report import Outcome
from runtui.services.records.journal import Entry
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.test_faults import graph_error
from tests.tui.test_review import to_the_review
from tests.tui.wires import Graph, Held, reply


async def change(session: Session) -> Entry:
    """Change the run under the cursor; return the entry of the journal."""
    await to_the_review(session)
    before = len(session.workspace.journal.entries())
    await session.press("y")
    await session.until(lambda: not session.workspace.saves.active() and session.view == "runs")
    entries = session.workspace.journal.entries()
    assert len(entries) == before + 1
    return entries[0]


async def test_u_undoes_the_last_change_of_the_run(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        run_id = there(session.runs.table.cursor_id)
        before = dict(graph.runs[run_id])
        entry = await change(session)
        assert graph.runs[run_id] != before
        await session.press("u")
        await session.until(lambda: session.view == "review")
        assert f"Undo change #{entry.number}?" in session.text()
        assert f"{entry.after['processingStatus']}  →  failed" in session.text()
        await session.press("y")
        await session.until(lambda: "undone" in session.status.text)
        assert graph.runs[run_id] == before
        assert session.view == "runs"
        newest, older = session.workspace.journal.entries()
        assert (newest.undoes, older.undone_by, newest.outcome) == (older.number, newest.number, Outcome.DONE)
        await session.press("u")
        await session.until(lambda: "All your changes to this run are undone" in session.status.text)
        assert len(graph.patches) == 2


async def test_a_change_is_not_shown_under_the_number_of_the_entry_seen_before(open_session: Opener) -> None:
    async with open_session() as session:
        entry = await change(session)
        await session.press("J", "enter")
        await session.until(lambda: f"#1 {entry.workflow_name}" in session.text())
        await session.press("escape", "escape")
        await change(session)
        await session.until(lambda: "#2 done (200 OK)" in session.text())
        assert f"#1 {entry.workflow_name}" not in session.text()


@pytest.mark.parametrize("place", ["runs", "journal"])
async def test_u_asks_twice_about_a_change_that_was_only_seen_on_read_back(place: str, open_session: Opener) -> None:
    graph = Graph()

    def applied_and_lost(entity: dict[str, Any]) -> httpx.Response:
        graph.runs[entity["id"]] = entity
        return reply(504, "<title>Gateway Time-out</title>")

    async with open_session(wire=graph.wire) as session:
        graph.answer_to_patch = applied_and_lost
        entry = await change(session)
        assert entry.known_by == "read-back"
        graph.answer_to_patch = None
        if place == "journal":
            await session.press("J")
            await session.until(lambda: session.view == "journal")
            await session.until(lambda: session.journal.entry is not None)
        await session.press("u")
        question = f"#{entry.number} was only seen on read-back: somebody else may have made the same change."
        await session.until(lambda: question in session.status.text)
        assert "Press u again to undo it anyway" in session.status.text
        assert session.view == place, "nothing else happens before the second u"
        await session.press("u")
        await session.until(lambda: session.view == "review")
        await session.press("y")
        await session.until(lambda: "undone" in session.status.text)
        assert len(graph.patches) == 2


async def test_u_then_undoes_the_change_before(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        run_id = there(session.runs.table.cursor_id)
        before = dict(graph.runs[run_id])
        entries = [await change(session), await change(session)]
        for entry in reversed(entries):
            assert "u undo" in session.text().splitlines()[-1]
            await session.press("u")
            await session.until(lambda: session.view == "review")
            assert f"Undo change #{entry.number}?" in session.text()
            await session.press("y")
            await session.until(lambda: not session.workspace.saves.active() and "undone" in session.status.text)
        assert graph.runs[run_id] == before


async def test_n_undoes_nothing_and_returns_to_the_list(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await change(session)
        for key in ("n", "escape", "enter"):
            await session.press("u")
            await session.until(lambda: session.view == "review")
            await session.press(key)
            await session.until(lambda: session.view == "runs")
        assert len(graph.patches) == 1


async def test_a_run_without_a_change_says_so(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await session.press("u")
        await session.until(lambda: "You have not changed this run; J shows your changes." in session.status.text)
        assert session.view == "runs"


async def test_undo_does_not_overwrite_a_later_change_of_a_colleague(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        entry = await change(session)
        graph.runs[entry.run_id] = graph.runs[entry.run_id] | {"processingStatus": "completed"}
        await session.press("u")
        await session.until(lambda: "cannot be undone" in session.status.text)
        assert "The run no longer holds what this change wrote" in session.status.text
        assert session.view == "runs"
        assert len(graph.patches) == 1


async def test_an_unknown_change_blocks_undo(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await change(session)
        graph.answer_to_patch = graph_error(500, "InternalServerError", "It broke.")
        await change(session)
        await session.press("u")
        await session.until(lambda: "Its outcome is unknown. Check it in the journal first." in session.status.text)
        assert session.view == "runs"


async def test_an_undo_leaves_the_draft_of_the_run_alone(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        entry = await change(session)
        await session.press("e", *["down"] * 8)
        await session.type("7")
        await session.press("escape", "escape")
        await session.until(lambda: session.view == "runs")
        draft = there(session.workspace.drafts.get(entry.run_id))
        await session.press("u")
        await session.until(lambda: session.view == "review")
        await session.press("y")
        await session.until(lambda: "undone" in session.status.text)
        assert graph.runs[entry.run_id]["processingStatus"] == "failed"
        assert session.workspace.drafts.get(entry.run_id) == draft
        graph.runs[entry.run_id] = graph.runs[entry.run_id] | dict(entry.after)
        assert len(graph.patches) == 2


async def test_a_review_opens_only_for_a_person_who_still_waits(open_session: Opener) -> None:
    """A `y` meant for something else must never send, so the review does not open over another view."""
    wire = Held(Graph().wire)
    async with open_session(wire=wire) as session:
        entry = await change(session)
        stored = there(session.workspace.store.get(entry.run_id))
        session.workspace.store.put_run(entry.workflow_id, {**stored.raw, **entry.before})  # the list is outdated
        # The list is sorted first: between the two keys, that would put the cursor on another run.
        await session.until(lambda: session.runs.list.row is not None and session.runs.list.row.status == "failed")
        wire.hold()
        await session.type("uj")
        wire.release()
        await session.until(lambda: f"#{entry.number} can be undone" in session.status.text)
        assert session.view == "runs"


@pytest.mark.parametrize("place", ["runs", "journal"])
async def test_a_key_typed_ahead_answers_the_review_that_u_opens(place: str, open_session: Opener) -> None:
    graph = Graph()
    wire = Held(graph.wire)
    async with open_session(wire=wire) as session:
        before = dict(graph.runs)
        await change(session)
        wire.hold()
        await type_keys(session, ["u", "y"] if place == "runs" else ["J", "u", "y"], "in one packet")
        assert session.view == place
        wire.release()
        await session.until(lambda: "undone" in session.status.text)
        assert graph.runs == before


async def test_undo_from_the_journal_returns_to_the_journal(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await change(session)
        await session.press("e", "shift+f3")
        await session.until(lambda: session.view == "journal" and "#1" in session.text())
        for key in ("n", "y"):
            await session.press("u")
            await session.until(lambda: session.view == "review")
            assert "Undo change #1?" in session.text()
            await session.press(key)
            await session.until(lambda: session.view == "journal")
        await session.until(lambda: "✓ undone" in session.text())
        assert "undoes #1" in session.text()
        await session.press("escape")
        assert session.view == "edit"
        await session.press("escape")
        assert session.view == "runs"


async def test_an_undo_that_is_undone_leaves_the_change_to_be_undone_once_more(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        run_id = there(session.runs.table.cursor_id)
        before = dict(graph.runs[run_id])
        await change(session)
        changed = dict(graph.runs[run_id])
        await session.press("u", "y")
        await session.until(lambda: "#1 undone" in session.status.text)
        await session.press("J", "u")
        await session.until(lambda: session.view == "review")
        assert "Undo change #2?" in session.text()
        await session.press("y")
        await session.until(lambda: "#2 undone" in session.status.text)
        assert graph.runs[run_id] == changed
        redo, undo, first = session.workspace.journal.entries()
        assert (redo.undone_by, undo.undone_by, first.undone_by) == (None, redo.number, None)
        await session.press("escape")
        session.app.chrome.panel.choose("run")
        await session.until(lambda: "changed by you #1" in session.inside(session.panel))
        assert "undone" not in session.inside(session.panel)
        await session.press("u")
        await session.until(lambda: session.view == "review")
        assert "Undo change #1?" in session.text()
        await session.press("y")
        await session.until(lambda: "#1 undone" in session.status.text)
        assert graph.runs[run_id] == before
