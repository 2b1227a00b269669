"""Signing in again during other work: pending work continues with the same item, and the screen stays the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input

from runtui.domain.report import Outcome
from runtui.sandbox.authority.directory import DEMO_ADMIN
from runtui.services.writing.write import Save
from tests import there
from tests.tui.sign_in_desk import Desk, is_in, listed, open_desk


def saves_of(desk: Desk) -> list[Save]:
    told: list[Save] = []
    desk.session.workspace.saves.changed.subscribe(told.append)
    return told


async def send_a_change(desk: Desk) -> str:
    """Change the status of the first run, end the sign-in once the form has read the run, send the change; return the
    id."""
    run_id = there(desk.session.runs.table.cursor_id)
    await desk.session.press("e")
    await desk.session.until(
        lambda: (
            desk.session.view == "edit"
            and all(worker.is_finished for worker in desk.session.app.workers if worker.group == "read the run")
        )
    )
    desk.authority.revoke(DEMO_ADMIN)
    await desk.session.press("enter", "down", "enter", "ctrl+s")
    await desk.session.until(lambda: desk.session.view == "review")
    await desk.session.press("y")
    return run_id


@pytest.mark.parametrize("columns", [60, 120])
async def test_a_save_goes_on_with_the_same_item_after_a_sign_in(tmp_path: Path, columns: int) -> None:
    async with open_desk(tmp_path, size=(columns, 24), prepare=is_in) as desk:
        await listed(desk)
        saves = saves_of(desk)
        run_id = await send_a_change(desk)
        await desk.sees_sign_in()
        assert "Device code" in desk.session.text(), "in sight without scrolling"
        assert "lee.admin: sign in again" in desk.session.header
        assert desk.session.server is not None
        assert desk.session.server.state.applied == []

        await desk.sign_in_by_code()
        await desk.session.until(lambda: saves and saves[-1].outcome is not None)
        assert (saves[-1].outcome, saves[-1].run_id) == (Outcome.DONE, run_id)
        assert [write.run_id for write in desk.session.server.state.applied] == [run_id]
        assert {save.run_id for save in saves} == {run_id}
        assert desk.session.view == "runs"
        assert run_id not in desk.session.workspace.drafts


async def test_a_save_that_nobody_signs_in_for_is_not_done_and_its_draft_is_kept(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        saves = saves_of(desk)
        run_id = await send_a_change(desk)
        await desk.sees_sign_in()
        assert "A request waits for this sign-in; esc ends it; drafts are kept." in desk.words
        await desk.session.press("escape")
        await desk.session.until(lambda: saves and saves[-1].outcome is not None)
        assert saves[-1].outcome is Outcome.NOT_DONE
        assert there(desk.session.server).state.applied == []
        assert run_id in desk.session.workspace.drafts
        assert desk.session.view == "runs"


async def test_a_request_that_begins_to_wait_below_the_sign_in_is_told_there(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        await desk.session.press("A")
        await desk.sees_sign_in()
        sign_in = there(desk.session.workspace.sign_in)
        assert sign_in.ask_person is not None
        waiting = asyncio.ensure_future(sign_in.ask_person("Your sign-in has expired."))
        await desk.session.pilot.pause()
        assert "A request waits for this sign-in; esc ends it; drafts are kept." in desk.words
        assert "Your sign-in has expired." in desk.words
        await desk.session.press("escape")
        assert await waiting is False


async def test_leaving_does_not_wait_for_somebody_to_sign_in(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        saves = saves_of(desk)
        await send_a_change(desk)
        await desk.sees_sign_in()
        await desk.session.press("q")
        await desk.session.until(lambda: saves[-1].outcome is Outcome.NOT_DONE)


async def test_a_form_is_back_after_a_sign_in_for_a_listing(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        await desk.session.press("e")
        await desk.session.until(lambda: desk.session.view == "edit")
        await desk.session.press("enter", "down", "enter")
        draft = there(desk.session.draft)
        assert draft.changes()
        desk.authority.revoke(DEMO_ADMIN)
        desk.session.workspace.refresh.now()
        await desk.sees_sign_in()
        before = desk.session.workspace.refresh.progress.finished_at
        await desk.sign_in_by_code()
        assert desk.session.view == "edit"
        assert desk.session.draft == draft
        await desk.session.until(lambda: desk.session.workspace.refresh.progress.finished_at != before)


@pytest.mark.parametrize("place", ["a field", "an open dropdown", "the reason"])
async def test_a_person_who_types_in_the_form_or_the_review_is_not_interrupted(tmp_path: Path, place: str) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        session = desk.session
        await listed(desk)
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        if place == "the reason":
            await session.press("enter", "down", "enter", "ctrl+s", "m")
        elif place == "a field":
            await session.go_to("completedDateTime")
        else:
            await session.press("enter")
        view = session.view
        desk.authority.revoke(DEMO_ADMIN)
        session.workspace.refresh.now()
        await session.until(lambda: session.view == "sign_in" or "Sign in when you are ready" in desk.status)
        assert session.view == view


async def test_a_typing_person_is_told_about_the_sign_in_but_not_interrupted(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        await desk.session.press("slash")
        assert isinstance(desk.session.app.focused, Input)
        await desk.session.type("fai")
        desk.authority.revoke(DEMO_ADMIN)
        desk.session.workspace.refresh.now()
        await desk.session.until(lambda: "Sign in when you are ready" in desk.status)
        await desk.session.type("led")
        assert desk.session.view == "runs"
        assert desk.session.app.focused.value == "failed"
        await desk.session.press("shift+f2")
        await desk.sees_sign_in()
        await desk.sign_in_by_code()
        await desk.session.until(lambda: not desk.session.workspace.refresh.progress.listing)
        assert desk.session.workspace.refresh.progress.fault is None
