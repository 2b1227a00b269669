"""The main job, from the list to the answer, at both sizes."""

from __future__ import annotations

import pytest

from runtui.domain.report import Outcome
from tests import there
from tests.tui.conftest import Opener

SIZES = [(120, 40), (80, 24)]


@pytest.mark.parametrize("size", SIZES)
async def test_filter_edit_review_send_and_read_the_answer(open_session: Opener, size: tuple[int, int]) -> None:
    async with open_session(size=size, ahead=True) as session:
        await session.press("slash")
        await session.type("status:failed")
        await session.press("enter")
        run = there(session.runs.list.row)
        assert run.status == "failed"

        await session.press("e")
        await session.until(lambda: session.view == "edit")
        await session.press("enter", "up", "enter")  # the value above "failed" in the dropdown
        await session.until(lambda: session.draft is not None and session.draft.changes())
        assert '"processingStatus": "canceled"' in session.text()

        await session.press("ctrl+s")
        await session.until(lambda: session.view == "review")
        assert "failed  →  canceled" in session.text()
        assert "Contoso" in session.text()
        await session.press("y")
        await session.until(lambda: not session.workspace.saves.active() and "200 OK" in session.text())
        assert len(session.workspace.drafts) == 0
        stored = there(session.workspace.store.get(run.id))
        assert stored.raw["processingStatus"] == "canceled"
        ((written, body, *_),) = there(session.server).state.applied
        assert (written, body["processingStatus"]) == (run.id, "canceled")


async def test_a_wrong_value_is_refused_with_a_sentence_and_kept(open_session: Opener) -> None:
    async with open_session(ahead=True) as session:
        await session.press("e", *["down"] * 6)
        await session.type("x")
        await session.press("down")
        assert "A count is a whole number" in session.text()
        await session.press("ctrl+s")
        assert session.view == "edit"
        assert "1 field has an invalid value; correct it first." in session.text()
        await session.press("down")
        await session.type("x")
        await session.press("ctrl+s")
        assert "2 fields have an invalid value; correct them first." in session.text()
        await session.press("escape", "e")
        draft = there(session.draft)
        assert any(edit.text.endswith("x") for edit in draft.edits.values())


async def test_enter_on_the_review_sends_nothing(open_session: Opener) -> None:
    async with open_session(ahead=True) as session:
        await session.press("e", "enter", "down", "enter", "ctrl+s")
        await session.until(lambda: session.view == "review")
        await session.press("enter")
        await session.until(lambda: session.view == "edit")
        assert there(session.server).state.applied == []


async def test_saves_outlive_the_form_and_the_outcome_is_reported(open_session: Opener) -> None:
    async with open_session(ahead=True) as session:
        outcomes: list[Outcome | None] = []
        session.workspace.saves.changed.subscribe(lambda save: outcomes.append(save.outcome))
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y", "j", "j", "e", "escape")
        await session.until(lambda: outcomes and outcomes[-1] is not None)
        assert outcomes[-1] is Outcome.DONE
