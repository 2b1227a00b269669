"""The review: nothing is sent without a deliberate key, and the request shown is the request sent."""

from __future__ import annotations

import pytest

from runtui.domain.draft import value_word
from runtui.tui.screens.review import ReviewSheet
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.wires import NEWEST, Graph, reply


async def to_the_review(session: Session) -> None:
    """Change the status of the run under the cursor to the next value, and open the review."""
    await session.press("e")
    await session.until(lambda: session.view == "edit")
    await session.press("enter", "down", "enter", "ctrl+s")
    await session.until(lambda: session.view == "review")


def writes(session: Session) -> list[str]:
    return [write[0] for write in there(session.server).state.applied]


async def test_the_question_shows_the_target_and_starts_on_no(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        row = there(session.runs.list.row)
        await session.press("x")
        row = there(session.runs.list.row)
        await to_the_review(session)
        text = session.text()
        draft = there(session.draft)
        (change,) = draft.changes()
        for words in ("PATCH http://127.0.0.1:1/beta/workflowBase/runs/", "Contoso", row.workflow_name[:20]):
            assert words in text
        assert f"{change.before}  →  {change.after}" in text
        assert session.find(ReviewSheet).has_focus
        assert session.find(ReviewSheet).item == "no"
        await session.press("enter")
        await session.until(lambda: session.view == "edit")
        assert writes(session) == []
        await session.press("ctrl+s", "n")
        assert session.view == "edit"
        await session.press("ctrl+s", "escape")
        assert session.view == "edit"
        assert writes(session) == []


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
async def test_what_a_small_screen_cuts_of_the_warnings_has_a_mark_and_is_scrolled_to(
    open_session: Opener, size: tuple[int, int]
) -> None:
    graph = Graph()
    graph.runs[NEWEST] |= {"totalUsersCount": "many", "failedUsersCount": -4, "failedTasksCount": -5}
    async with open_session(wire=graph.wire, size=size) as session:
        await to_the_review(session)
        sheet = session.find(ReviewSheet)
        last = "To do that, press a in the list."
        assert last in sheet.review.notes.plain
        assert last not in session.words
        lines = session.inside(session.left).splitlines()
        assert lines[-3].endswith("…"), "above the reason and the answers"
        for _ in range(30):
            await session.press("down")
        assert last in session.words
        assert "totalUsersCount goes back as received, but a service may" in session.words


async def test_a_letter_of_another_screen_does_nothing_over_the_review(open_session: Opener) -> None:
    async with open_session(size=(120, 30)) as session:
        await to_the_review(session)
        for goes_there in ("", "greater_than_sign"):  # also with the keys in the panel
            await session.press(*filter(None, (goes_there,)), "q", "c", "p")
            assert session.view == "review"
            assert session.app.is_running
            assert not session.workspace.refresh.progress.paused
            assert "esc goes back" in session.words
            assert not {"q quit", "z zoom", "r refresh"} & set(session.text().splitlines()[-1].split("  "))
        await session.press("escape", "question_mark")
        assert session.view == "help"
        await session.press("escape", "n")
        assert session.view == "edit"
        assert writes(session) == []


async def test_y_sends_once_however_often_it_is_pressed(open_session: Opener) -> None:
    async with open_session() as session:
        await to_the_review(session)
        await session.type("yyy")
        await session.until(lambda: writes(session) and not session.workspace.saves.active())
        assert len(writes(session)) == 1
        assert session.view == "runs"


async def test_the_button_that_sends_is_reached_by_tab(open_session: Opener) -> None:
    async with open_session() as session:
        await to_the_review(session)
        await session.press("tab")
        assert session.find(ReviewSheet).item == "yes"
        await session.press("enter", "enter")
        await session.until(lambda: writes(session) and not session.workspace.saves.active())
        assert len(writes(session)) == 1


async def test_warnings_are_shown_and_do_not_block(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("e", *["down"] * 8)
        await session.type("999")
        await session.press("ctrl+s")
        await session.until(lambda: session.view == "review")
        draft = there(session.draft)
        assert draft.warnings()
        for warning in draft.warnings():
            assert warning[:30] in session.text()
        await session.press("y")
        await session.until(lambda: writes(session) == [draft.run_id])


async def test_at_80x24_the_change_and_what_speaks_against_it_are_in_sight_and_the_rest_is_reached(
    open_session: Opener,
) -> None:
    async with open_session(size=(80, 24), graph=Graph(), tenant="Contoso") as session:
        await session.press("e", "enter")
        await session.type("canceled")
        await session.press("enter")
        for downs, text in ((2, "2026-11-20T10:00:00Z"), (2, "2026-11-20T09:00:00Z"), (2, "1"), (1, "888")):
            await session.press(*["tab"] * downs)
            await session.type(text)
        await session.press("ctrl+s")
        await session.until(lambda: session.view == "review")
        draft = there(session.draft)
        assert len(draft.changes()) == 5
        assert len(draft.warnings()) == 2

        def view() -> str:
            lines = session.text().splitlines()
            return " ".join("\n".join(lines[2 : session.left.outer_size.height + 2]).split())

        for change in draft.changes():
            assert f"{change.field.name} {value_word(change.before)} → {change.after}" in view()
        for warning in draft.warnings():
            assert f"! {warning}" in view()
        assert "no work is stopped or repeated" in view()
        assert "Send (y)" in view()
        await session.press(*["down"] * 12)
        for words in ("tenant Contoso", "run run-4", "PATCH http://127.0.0.1:1/beta/workflowBase/runs/run-4"):
            assert words in view()
        assert "Also sends 4 unchanged required properties; the Request tab has the body." in view()
        await session.press(*["up"] * 12)
        assert "processingStatus failed" in view()


async def test_nothing_changed_means_nothing_to_review(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await session.press("e", "ctrl+s")
        assert session.view == "edit"
        assert "Nothing has changed yet." in session.text().splitlines()[-2]


async def test_the_end_of_a_save_is_reported_with_old_and_new_and_what_the_filter_does_to_it(
    open_session: Opener,
) -> None:
    async with open_session() as session:
        await session.press("slash")
        await session.type("status:failed")
        await session.press("enter")
        failed = session.runs.table.total
        assert f"{failed} failed" in session.text().splitlines()[1]
        await to_the_review(session)
        await session.press("y")
        await session.until(lambda: not session.workspace.saves.active() and "done (200 OK)" in session.text())
        text = session.words
        assert "processingStatus: failed → canceling" in text
        assert "The filter no longer shows the run." in text
        await session.until(lambda: session.runs.table.total == failed - 1)
        assert f"{failed - 1} failed" in session.text().splitlines()[1], "the counts above follow"


async def test_a_change_that_the_service_ignored_moves_no_row(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=lambda run: reply(200, run | {"processingStatus": "failed"}))
    async with open_session(wire=graph.wire) as session:
        await to_the_review(session)
        await session.press("escape")
        await session.go_to("totalUsersCount")
        await session.type("7")
        await session.press("ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith("#1 done"))
        told = "#1 done (200 OK). totalUsersCount: 3 → 7. The service kept its own value of processingStatus."
        assert session.status.text == told


async def test_a_reason_goes_into_the_journal_and_where_the_profile_requires_one_nothing_is_sent_without(
    open_session: Opener,
) -> None:
    async with open_session(size=(80, 24), require_why=True) as session:
        await to_the_review(session)
        await session.press("y")
        assert "requires a reason" in session.text()
        assert session.view == "review"
        await session.type("ticket 4711: y, not n")
        await session.press("enter")
        assert writes(session) == []
        await session.press("y")
        await session.until(lambda: writes(session) and not session.workspace.saves.active())
        (entry,) = session.workspace.journal.entries()
        assert entry.why == "ticket 4711: y, not n"
        await session.press("J")
        await session.until(lambda: "(why: ticket 4711: y, not n)" in session.text())


async def test_enter_and_escape_leave_the_reason_before_the_question(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await to_the_review(session)
        for leave in ("enter", "escape"):
            await session.press("m")
            assert "y send" not in session.text()
            await session.press(leave)
            assert session.view == "review"
            assert session.find(ReviewSheet).item == "no"
            assert "y send  m why" in session.text(), "the hints follow"
        await session.press("escape")
        assert session.view == "edit"
        assert writes(session) == []
