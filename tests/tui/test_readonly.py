"""Read-only by key: every change is refused with the reason, and the header shows the state."""

from __future__ import annotations

from tests.tui.conftest import Opener
from tests.tui.test_journal import open_journal
from tests.tui.test_review import to_the_review, writes
from tests.tui.test_undo import change
from tests.tui.wires import Graph


async def test_a_key_toggles_read_only(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        assert "READ-ONLY" not in session.header
        await session.press("ctrl+r")
        assert "READ-ONLY" in session.header
        for key in ("e", "u"):
            await session.press("less_than_sign", key)
            assert "Read-only since" in session.status.text
            assert "ctrl+r allows changes" in session.status.text
            assert session.view == "runs"
        assert "e edit" not in session.text().splitlines()[-1], "no hint names what cannot be done"
        await session.press("ctrl+r")
        assert "READ-ONLY" not in session.header
        assert "Changes are allowed." in session.status.text
        await session.press("e")
        await session.until(lambda: session.view == "edit")


async def test_y_in_the_review_sends_nothing(open_session: Opener) -> None:
    async with open_session() as session:
        await to_the_review(session)
        await session.press("ctrl+r", "y")
        assert session.view == "review"
        assert "Read-only since" in session.status.text
        await session.press("tab", "enter")
        assert session.view == "review"
        assert session.workspace.saves.active() == ()
        assert writes(session) == []
        await session.press("ctrl+r", "y")
        await session.until(lambda: writes(session) and not session.workspace.saves.active())
        assert len(writes(session)) == 1


async def test_in_the_form_the_draft_is_kept_and_the_review_refused(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("e", "enter", "down", "enter", "ctrl+r", "ctrl+s")
        assert session.view == "edit"
        assert "Read-only since" in session.status.text
        assert len(session.workspace.drafts) == 1


async def test_in_the_journal_undo_is_refused(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await change(session)
        await open_journal(session)
        await session.press("ctrl+r", "u")
        assert "Read-only since" in session.status.text
        assert session.view == "journal"
        assert len(graph.patches) == 1


async def test_a_session_that_began_read_only_stays_so(open_session: Opener) -> None:
    async with open_session(runs=12, read_only=True) as session:
        await session.press("ctrl+r")
        assert "READ-ONLY" in session.header
        assert "Started read-only: start again with --write to allow changes." in session.status.text
        await session.press("e")
        assert session.view == "runs"
