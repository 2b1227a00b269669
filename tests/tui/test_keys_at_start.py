"""Keys pressed before Textual's screen is there: handled in order afterwards, and never a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import Screen

from runtui.keys.actions import ACTIONS
from runtui.prelude.terminal import TAKEOVER
from runtui.tui.screens.frame import ViewScreen
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import parsed, type_keys
from tests.tui.test_scenarios import Sandbox
from tests.tui.wires import Graph, Held

EVERY_KEY = list(dict.fromkeys(key for action in ACTIONS for key in action.keys))
LEAVING = {"q", "f10", "ctrl+q"}


def seen(session: Session) -> dict[str, object]:
    """Return the state that keys can change here."""
    focused = session.app.focused
    return {
        "view": session.view,
        "focus": focused.id if focused else None,
        "filter": session.runs.filter_text,
        "cursor": session.runs.table.cursor,
        "panel": (session.panel.tab, session.panel.display),
        "status": session.status.text,
        "theme": session.app.theme,
        "draft": session.draft and session.draft.edits,
        "screens": len(session.app.screen_stack),
    }


async def seen_after(open_session: Opener, keys: list[str], folder: Path, *, early: bool) -> dict[str, object]:
    typed = list(parsed(keys)) if early else []
    state = folder / ("early" if early else "later")
    async with open_session(
        runs=12, size=(80, 24), sandbox=Sandbox(), typed_ahead=typed, state_folder=state, ahead=True
    ) as session:
        if not early:
            await type_keys(session, keys, "slowly")
        await session.settled()
        return seen(session)


@pytest.mark.parametrize("keys", ["2]AMPw", "jje7"], ids=str)
async def test_a_key_typed_ahead_does_what_it_does_later(open_session: Opener, tmp_path: Path, keys: str) -> None:
    early = await seen_after(open_session, [*keys], tmp_path, early=True)
    assert early == await seen_after(open_session, [*keys], tmp_path, early=False)


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in EVERY_KEY if key not in LEAVING])
async def test_every_key_typed_ahead_does_what_it_does_later(open_session: Opener, tmp_path: Path, key: str) -> None:
    early = await seen_after(open_session, [key], tmp_path, early=True)
    assert early == await seen_after(open_session, [key], tmp_path, early=False)


JOB = ["e", "enter", *"can", "enter", "f2"]
"""Opens a run, chooses a status and goes to the review."""


async def test_an_action_before_the_first_rows_waits_for_them_and_the_next_keys_for_it(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.tui.screens.frame.FIRST_ROWS_SECONDS", PATIENCE)
    held = Held(Graph().wire)
    held.hold()
    async with open_session(wire=held, ready=False) as session:
        for key in parsed(JOB):
            session.app.post_message(key)
        await session.meanwhile(lambda: any("first rows" in worker.group for worker in session.app.workers))
        held.release()
        await session.until(lambda: session.view == "review")
        assert {name: edit.text for name, edit in there(session.draft).edits.items()} == {
            "processingStatus": "canceled"
        }


async def test_without_rows_an_action_and_the_keys_typed_after_it_are_dropped(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtui.tui.screens.frame.FIRST_ROWS_SECONDS", 0)
    held = Held(Graph().wire)
    held.hold()
    async with open_session(wire=held, ready=False) as session:
        for key in parsed(["j", *JOB]):
            session.app.post_message(key)
        await session.until(lambda: "No run is listed yet: e and what you typed after it" in session.status.text)
        assert (len(session.app.keys), session.view) == (0, "runs")
        await session.press("question_mark")
        assert session.view == "help", "keys typed later act"
        held.release()


async def test_all_keys_at_once_before_the_first_mount(open_session: Opener) -> None:
    keys = list(parsed(key for key in EVERY_KEY if key not in LEAVING))
    async with open_session(runs=12, ready=False, ahead=True, sandbox=Sandbox(), typed_ahead=keys) as session:
        await session.settled()
        assert session.app.is_running
        assert len(session.app.keys) == 0


async def test_leaving_before_the_first_mount_leaves(open_session: Opener) -> None:
    async with open_session(runs=12, ready=False, ahead=True, typed_ahead=list(parsed(["q", ">", "]"]))) as session:
        await session.until(lambda: session.app.return_code == 0)


async def test_the_first_frame_shows_the_result_of_keys_typed_ahead(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str | None] = []
    draw = Screen._compositor_refresh

    def note(screen: Screen[object]) -> None:
        drawn.append(screen.view.scope if isinstance(screen, ViewScreen) else None)
        draw(screen)

    monkeypatch.setattr(Screen, "_compositor_refresh", note)
    monkeypatch.setattr(TAKEOVER, "is_ahead", True)
    async with open_session(runs=12, ready=False, ahead=True, typed_ahead=list(parsed(["?"]))) as session:
        session.app.call_when_caught_up(lambda: setattr(TAKEOVER, "is_ahead", False), is_done=True)
        await session.until(lambda: drawn)
        assert {*drawn} == {"help"}
