"""The palette: every action by its name, and keys that find nothing do no harm."""

from __future__ import annotations

from textual.command import CommandList

from tests.tui.conftest import Opener


async def test_a_page_key_while_the_hits_are_not_on_the_screen_does_nothing(open_session: Opener) -> None:
    """Textual 8.2.8 ends with a KeyError there."""
    async with open_session() as session:
        await session.press("ctrl+p")
        hits = session.app.screen.query_one(CommandList)
        await session.until(lambda: hits.option_count > 2)
        hits.display = False
        await session.pilot.pause()
        hits.clear_options().add_options(["one", "two", "three"])
        hits.highlighted = 1
        await session.press("pageup", "escape", "escape")
        assert session.view == "runs"


async def test_an_action_runs_from_the_palette(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("ctrl+p")
        await session.type("problems")
        await session.until(lambda: "Show only runs" in session.text())
        await session.press("enter")
        await session.until(lambda: session.runs.filter_text == "is:problem")
