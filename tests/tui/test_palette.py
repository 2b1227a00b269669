"""The palette: every action by its name, and keys that find nothing do no harm."""

from __future__ import annotations

from runtui.tui.palette import FoundActions
from tests.tui.conftest import Opener, Session


def found(session: Session) -> list[str]:
    """Return the names of the found actions."""
    return [str(option.prompt).split("\n")[0] for option in session.app.screen.query_one(FoundActions).options]


async def test_page_keys_move_the_cursor_and_do_nothing_where_there_is_none(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("ctrl+p", "pagedown")
        below = session.app.screen.query_one(FoundActions).highlighted
        assert below is not None
        assert below > 5
        await session.press("pageup", "z", "q", "x", "pagedown", "pageup", "down", "enter")
        assert found(session) == ["No action matches."]
        await session.press("escape")
        assert session.view == "runs"
        assert session.app.screen is session.front


async def test_an_action_runs_from_the_palette(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("ctrl+p")
        assert len(found(session)) > 40
        await session.type("the")
        assert found(session)[0] == "Theme", "a name comes before what is said of others"
        await session.press(*["backspace"] * 3)
        await session.type("problems")
        assert "Show only runs" in session.text()
        assert found(session)[0] == "Problems"
        await session.press("enter")
        await session.until(lambda: session.runs.filter_text == "is:problem")


async def test_the_palette_is_of_the_place_in_front(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("o", "ctrl+p")
        assert "Edit" not in found(session), "the overview has no form"
        await session.type("list of keys")
        await session.press("down", "up", "enter")
        await session.until(lambda: session.view == "help")
