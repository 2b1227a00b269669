"""Search in the side panel: as you type, counted, from match to match, in every tab."""

from __future__ import annotations

import json

from textual.app import App, ComposeResult
from textual.content import Content

from runtui.tui.text import wrapped
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.json_view import IN_PLACE_LIMIT, JsonView
from runtui.tui.widgets.option_lists import LogList
from runtui.tui.widgets.search_bar import MAX_MATCHES, SearchBar
from tests import there
from tests.tui.conftest import Opener, Session

BODY = json.dumps({"value": [{"id": f"6513_{number}", "long": "x" * 200 + "Needle", "n": [1]} for number in range(40)]})


class SearchApp(App[None]):
    """A text with its search, and nothing else."""

    CSS = "JsonView { scrollbar-size: 0 0; }"

    def compose(self) -> ComposeResult:
        yield JsonView()
        yield SearchBar(lambda: self.view)

    @property
    def view(self) -> JsonView:
        return self.query_one(JsonView)

    @property
    def bar(self) -> SearchBar:
        return self.query_one(SearchBar)

    def count(self) -> str:
        """Return the search bar's text about the matches."""
        return str(self.query_one("#search-count").render())

    def reversed(self) -> list[tuple[int, str]]:
        """Return the current match: its row on the screen, and its text."""
        return self._drawn("reverse")

    def underlined(self) -> list[tuple[int, str]]:
        """Return the other visible matches."""
        return self._drawn("underline")

    def _drawn(self, attribute: str) -> list[tuple[int, str]]:
        rows = range(self.view.size.height)
        segments = [(row, segment) for row in rows for segment in self.view.render_line(row)]
        return [(row, part.text) for row, part in segments if part.style and getattr(part.style, attribute)]


async def test_matches_are_found_as_typed_and_brought_into_sight() -> None:
    app = SearchApp()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show_text(BODY, header=[Content("a needle above")])
        app.bar.open()
        await pilot.press(*"NEED")
        assert app.count() == "1 of 41"
        assert [text for _, text in app.reversed()] == ["need"]
        await pilot.press("enter")
        assert app.focused is app.view
        app.bar.step(1)
        await pilot.pause()
        assert (app.count(), [text for _, text in app.reversed()]) == ("2 of 41", ["N", "eed"]), "across two lines"
        app.bar.step(-1)
        app.bar.step(-1)
        await pilot.pause()
        assert app.count() == "41 of 41"
        assert app.view.scroll_offset.y > 100
        app.bar.close()
        await pilot.pause()
        assert app.reversed() + app.underlined() == []


async def test_a_match_may_go_over_the_end_of_a_line_that_was_wrapped() -> None:
    app = SearchApp()
    async with app.run_test(size=(24, 12)) as pilot:
        why = wrapped(Content("reason  The Logic App did not call back."), 24)
        address = wrapped(Content("GET  https://graph.example/beta/workflows/6513_1"), 24)
        app.view.show_text("", header=[*why, *address])
        app.bar.open()
        for typed, parts in (("app did not", [(0, "App"), (1, "did not")]), ("EXAMPLE/", [(3, "examp"), (4, "le/")])):
            app.query_one(LineInput).value = typed
            await pilot.pause()
            assert (app.count(), app.reversed()) == ("1 of 1", parts)


async def test_the_search_begins_at_the_top_of_what_is_in_sight() -> None:
    app = SearchApp()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show_text(BODY)
        await pilot.pause()
        app.view.scroll_to(y=100, animate=False)
        await pilot.pause()
        app.bar.open()
        await pilot.press(*"6513_")
        line = app.view.scroll_offset.y + app.reversed()[0][0]
        assert line >= 100
        number = int(app.count().split()[0])
        assert 1 < number < 40
        assert app.count() == f"{number} of 40"
        app.bar.step(1)
        await pilot.pause()
        assert app.count() == f"{number + 1} of 40"


async def test_a_page_that_is_drawn_again_keeps_the_match_and_the_place() -> None:
    app = SearchApp()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show_text(BODY)
        app.bar.open()
        await pilot.press(*"6513_", "enter")
        app.bar.step(1)
        app.view.scroll_to(y=50, animate=False)
        await pilot.pause()
        app.view.show_text(BODY.replace("Needle", "Noodle"), keep_place=True)
        app.bar.search_again()
        await pilot.pause()
        assert (app.count(), app.view.scroll_offset.y) == ("2 of 40", 50)
        app.bar.open()
        await pilot.press("n")
        app.bar.search_again()
        await pilot.pause()
        assert app.reversed(), "what was typed is gone to, though the page was drawn again meanwhile"


async def test_a_new_width_keeps_the_match_current_and_in_sight(open_session: Opener) -> None:
    async with open_session(size=(120, 40)) as session:
        await session.panel_rested()
        await session.press("greater_than_sign", "slash")
        await session.type("count")
        await session.press("enter", "n", "n", "n")
        at = panel_count(session)
        assert at.startswith("4 of ")
        view = session.find(JsonView)
        for columns, lines in ((100, 16), (140, 16), (80, 24), (120, 40)):
            await session.pilot.resize_terminal(columns, lines)
            await session.pilot.pause()
            assert panel_count(session) == at
            drawn = [part for y in range(view.size.height) for part in view.render_line(y)]
            assert [part.text for part in drawn if part.style and part.style.reverse] == ["Count"]


async def test_a_large_body_is_searched_once_it_is_laid_out_and_is_not_counted_without_end() -> None:
    app = SearchApp()
    body = json.dumps({"value": [{"id": f"6513_{number}"} for number in range(40_000)]})
    assert len(body) > IN_PLACE_LIMIT
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show_text(body)
        await app.workers.wait_for_complete()
        app.bar.open()
        await pilot.press(*"39999")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.count() == "1 of 1"
        assert [text for _, text in app.reversed()] == ["39999"]
        await pilot.press(*["backspace"] * 5, *"id")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.count().endswith(f" of {MAX_MATCHES}+")


def panel_count(session: Session) -> str:
    """Return the panel's text about the matches."""
    return str(session.find("#search-count").render())


async def test_keys_search_every_tab_and_lead_back(open_session: Opener) -> None:
    async with open_session(size=(120, 40)) as session:
        await session.panel_rested()
        await session.until(lambda: "Reading what its" not in session.app.chrome.panel.text())  # a line more in the log
        row = there(session.runs.list.row)
        await session.workspace.client.peek(row.workflow_id, row.id)  # the log has a request
        await session.press("greater_than_sign")
        await session.press("N")
        assert "There is no search; / starts one." in session.text()
        await session.press("slash")
        await session.type("count")
        first, _, total = panel_count(session).split()
        assert (first, int(total) > 3) == ("1", True)
        await session.press("enter", "n", "n", "N")
        assert panel_count(session) == f"2 of {total}"
        while session.panel.tab != "log":
            await session.press("right_square_bracket")
        assert panel_count(session) == "no match"
        await session.press("slash")
        await session.type("get")
        log = session.find(LogList)
        requests = [str(option.prompt) for option in log.options]
        found = [place for place, request in enumerate(requests) if "GET" in request]
        assert panel_count(session) == f"1 of {len(found)}"
        segments = [part for strip in log.render_lines(log.size.region) for part in strip]
        marked = [part.text for part in segments if part.style and part.style.bold and part.style.reverse]
        assert marked == ["GET"], "the current match"
        await session.press("enter", "n")
        assert (session.app.focused, log.highlighted) == (log, found[1 % len(found)])
        await session.press("escape")
        assert (session.app.focused, panel_count(session)) == (log, "")
        await session.press("escape")
        assert session.app.focused is session.runs.table
