"""The palette: every action by its name, and keys that find nothing do no harm."""

from __future__ import annotations

from textual._compositor import LayoutUpdate
from textual.geometry import Size

from runtui.tui.palette import FoundActions
from runtui.tui.terminal import lay_out
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


def widths(session: Session) -> list[int]:
    """Return the cells of each line that the screen in front draws."""
    app = session.app
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    assert isinstance(update, LayoutUpdate)
    return [sum(strip.cell_length for strip in line if strip is not None) for line in update.strips]


async def test_a_palette_is_whole_though_the_screen_behind_it_has_another_size(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.press("ctrl+p")
        session.app._size = Size(120, 40)
        lay_out(session.app.screen)  # Textual resizes the screen in front first
        assert widths(session) == [120] * 40
        session.app._size = Size(60, 16)
        lay_out(session.app.screen_stack[-2])  # or last
        assert widths(session) == [120] * 40


async def test_an_action_runs_from_the_palette(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("ctrl+p")
        assert len(found(session)) > 40
        assert "e edit" not in session.text(), "a letter is text here"
        await session.type("view 7")
        assert "There is no view 7; v saves the list as a view." in session.words
        await session.press(*["backspace"] * 6)
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
