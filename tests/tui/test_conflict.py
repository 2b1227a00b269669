"""A run that somebody changed after the draft: three values, one choice per field, nothing sent or lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtui.domain.draft import Draft
from runtui.tui.features.changes.editing import ConflictView
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.wires import NEWEST, Graph, Slow


def flag_of(session: Session) -> str:
    """Return the flag before the row of the run, wherever it is in the list."""
    flags = {line[0] for line in session.inside(session.left).splitlines() if "Onboard" in line}
    return "~" if "~" in flags else " "


def merged(session: Session) -> Draft:
    return there(session.find(ConflictView).draft)


async def type_a_draft(session: Session, text: str = "8") -> None:
    """Change processingStatus to canceled and type into totalUsersCount; the form stays open."""
    assert session.runs.table.cursor_id == NEWEST
    await session.press("e")
    await session.until(lambda: session.view == "edit")
    await session.press("enter")
    await session.type("canceled")
    await session.press("enter")
    await session.go_to("totalUsersCount")
    await session.pilot.pause()
    await session.press("end")
    await session.type(text)


def move(graph: Graph, **values: Any) -> None:
    """Change the run as somebody else."""
    graph.runs[NEWEST] = graph.runs[NEWEST] | {"lastUpdatedDateTime": "2026-11-20T11:00:00Z"} | values


def leave_a_draft(session: Session, total: str = "38") -> None:
    """Store the draft that `type_a_draft` types, as an earlier session does."""
    stored = there(session.workspace.store.get(NEWEST))
    draft = Draft(NEWEST, stored.workflow_id, stored.raw).typed("processingStatus", "canceled", 0)
    session.workspace.drafts.keep(draft.typed("totalUsersCount", total, 0))
    session.runs.table.flags_changed(NEWEST)


async def meet(session: Session, graph: Graph, **values: Any) -> None:
    """Change the run as somebody else, read the list again, and open the run."""
    move(graph, **values)
    await session.press("r")

    def is_read() -> bool:
        stored = session.workspace.store.get(NEWEST)
        return stored is not None and stored.raw == graph.runs[NEWEST]

    await session.until(is_read)
    await session.press("e")
    await session.until(lambda: session.view != "runs")


async def test_a_letter_of_another_screen_does_nothing_over_a_conflict(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await type_a_draft(session)
        await session.press("escape")
        await meet(session, graph, processingStatus="queued")
        await session.press("q", "c", "x", "p")
        assert session.view == "conflict"
        assert not session.workspace.refresh.progress.paused
        assert "esc goes back" in session.words
        await session.press("e")
        assert session.view == "edit", "its own letters act"


async def test_e_on_a_run_that_moved_opens_its_three_values(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await type_a_draft(session)
        await session.press("escape")
        await meet(session, graph, processingStatus="queued", failedTasksCount=77)
        assert session.view == "conflict"
        assert [line.strip() for line in session.inside(session.left).splitlines()][:8] == [
            "processingStatus: yours",
            "as opened  failed",
            "○ theirs     queued",
            "● yours      canceled",
            "failedTasksCount: theirs",
            "as opened  2",
            "● theirs     77",
            "○ yours      2  (not edited, as opened)",
        ]
        assert "(processingStatus, failedTasksCount)" in session.status.text
        assert "totalUsersCount" not in session.inside(session.left)
        assert '"totalUsersCount": 38' in session.text(), "the request beside it is the one that would be made"
        assert '"failedTasksCount": 77' in session.text()
        assert graph.patches == []


async def test_keys_choose_and_the_request_follows(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="queued", failedTasksCount=77)

        def values() -> tuple[Any, Any]:
            body = merged(session).body()
            return body["processingStatus"], body["failedTasksCount"]

        assert values() == ("canceled", 77)
        await session.press("left")
        assert values() == ("queued", 77)
        assert '"processingStatus": "queued"' in session.text()
        await session.press("right", "down", "right")
        assert values() == ("canceled", 2)
        await session.press("space")
        assert values() == ("canceled", 77)
        await session.press("up", "space")
        assert values() == ("queued", 77)
        await session.press("j", "space", "k", "space")
        assert values() == ("canceled", 2)


async def test_enter_goes_to_the_review_and_y_sends_what_was_chosen(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="queued", failedTasksCount=77)
        await session.press("down", "right", "enter")
        await session.until(lambda: session.view == "review")
        assert "queued  →  canceled" in session.text()
        assert "77  →  2" in session.text()
        await session.press("y")
        await session.until(lambda: graph.patches and not session.workspace.saves.active())
        sent = json.loads(graph.patches[0])
        assert (sent["processingStatus"], sent["totalUsersCount"], sent["failedTasksCount"]) == ("canceled", 38, 2)
        assert sent["scheduledDateTime"] == "2026-11-20T09:15:04.9206151Z"
        assert NEWEST not in session.workspace.drafts


async def test_back_from_the_review_is_the_form_with_the_values_chosen(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="queued")
        await session.press("ctrl+s", "n")
        assert session.view == "edit"
        assert "was queued" in session.text()
        await session.press("escape", "e")
        assert session.view == "edit", "the choice is made: nothing is in conflict any more"


async def test_e_goes_on_to_the_form(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="queued")
        await session.press("left", "e")
        assert session.view == "edit"
        draft = there(session.draft)
        assert list(draft.edits) == ["totalUsersCount"]


async def test_when_nothing_is_left_to_send_the_form_says_so(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session, total="3")
        await meet(session, graph, processingStatus="queued")
        await session.press("left", "enter")
        assert session.view == "edit"
        assert "There is nothing to send" in session.status.text
        await session.press("escape")
        assert flag_of(session) == " "


async def test_text_in_error_is_not_lost_and_is_corrected_before_the_review(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session, total="3x")
        await meet(session, graph, processingStatus="queued", totalUsersCount=4)
        await session.press("enter")
        assert session.view == "edit"
        assert "correct totalUsersCount" in session.status.text
        assert "3x" in session.text()


async def test_esc_keeps_the_draft_as_it_was(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        await type_a_draft(session)
        before = session.workspace.drafts.get(NEWEST)
        await session.press("escape")
        await meet(session, graph, processingStatus="queued")
        await session.press("left", "escape")
        assert session.view == "runs"
        assert session.workspace.drafts.get(NEWEST) is before
        assert flag_of(session) == "~"
        await session.press("e")
        assert session.view == "conflict"
        assert merged(session).body()["processingStatus"] == "canceled", "the choice begins anew"


async def test_a_changed_property_outside_the_draft_opens_the_form_at_once(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, body_mode="changed") as session:
        await type_a_draft(session)
        await session.press("escape")
        await meet(session, graph, failedTasksCount=77)
        assert session.view == "edit"
        assert "Your draft from" in session.status.text


async def test_a_draft_whose_values_the_run_already_has_is_done(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session, total="3")
        await meet(session, graph, processingStatus="canceled")
        assert session.view == "edit"
        assert "already has every value of your draft" in session.status.text
        assert NEWEST not in session.workspace.drafts


async def test_the_values_of_a_hostile_run_are_text(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="[/x]\x1b[2J" + "w" * 60)
        assert "[/x]␛[2Jwww" in session.text()
        assert "www…" in session.text(), "what has no room is cut with a mark"


async def test_at_80_columns_the_values_stand_below_each_other(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, size=(80, 24)) as session:
        leave_a_draft(session)
        await meet(session, graph, scheduledDateTime="2026-11-21T09:15:04.1234567Z", failedTasksCount=77)
        for words in (
            "scheduledDateTime: theirs",
            "    as opened  2026-11-20T09:15:04.9206151Z",
            "  ● theirs     2026-11-21T09:15:04.1234567Z",
            "  ○ yours      2026-11-20T09:15:04.9206151Z  (not edited, as opened)",
        ):
            assert words in session.text()


async def test_a_read_only_session_sees_the_values_and_sends_nothing(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="queued")
        session.workspace.toggle_read_only()
        await session.press("enter")
        assert session.view == "conflict"
        assert "Read-only" in session.status.text


async def test_a_draft_is_dropped_from_here_by_two_presses(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        leave_a_draft(session)
        await meet(session, graph, processingStatus="queued")
        await session.press("D")
        words = "Press D again to discard the draft: processingStatus canceled, totalUsersCount 38."
        assert words in session.status.text
        assert NEWEST in session.workspace.drafts
        await session.press("D")
        assert session.view == "runs"
        assert NEWEST not in session.workspace.drafts
        assert flag_of(session) == " "


# After a save


async def save_into_a_conflict(session: Session, held: Slow, *keys: str) -> None:
    """Send a draft whose run somebody changes meanwhile, and press keys before runtui notices."""
    leave_a_draft(session)
    await session.press("e", "ctrl+s", "y")
    await session.until(lambda: held.reads)
    await session.press(*keys)
    move(held.graph, processingStatus="queued")
    held.may_answer.set()
    await session.until(lambda: not session.workspace.saves.active() and session.status.text)


async def test_a_conflict_opens_at_once_if_the_person_still_looks_at_the_run(open_session: Opener) -> None:
    held = Slow()
    async with open_session(wire=held.wire) as session:
        await save_into_a_conflict(session, held)
        await session.until(lambda: session.view == "conflict")
        assert "Nothing was written" in session.status.text
        assert held.graph.patches == []
        assert session.workspace.drafts.get(NEWEST) is not None
        await session.press("f2", "y")
        await session.until(lambda: held.graph.patches)
        assert json.loads(held.graph.patches[0])["processingStatus"] == "canceled"


@pytest.mark.parametrize(
    "keys", [("down",), ("greater_than_sign",), ("question_mark",), ("slash",), ("down", "e"), ("ctrl+p",)]
)
async def test_on_another_screen_a_conflict_is_only_reported(open_session: Opener, keys: tuple[str, ...]) -> None:
    held = Slow()
    async with open_session(wire=held.wire) as session:
        await save_into_a_conflict(session, held, *keys)
        assert "Nothing was sent" in session.status.text
        assert "e on the run resolves the conflict" in session.status.text
        assert session.view != "conflict"
        draft = there(session.workspace.drafts.get(NEWEST))
        assert draft.received["processingStatus"] == "failed", "the draft stays as it was opened"
