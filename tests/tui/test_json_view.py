"""The panel that shows bodies: whole, coloured by kind, in place, and never more than what is on the screen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.pilot import Pilot

from runtui.tui.text import content
from runtui.tui.themes import THEMES
from runtui.tui.widgets.json_view import IN_PLACE_LIMIT, JsonView


class ViewApp(App[None]):
    """One view that fills the screen."""

    CSS = "JsonView { scrollbar-size: 0 0; }"

    def __init__(self) -> None:
        super().__init__()
        self.animation_level = "none"
        for theme in THEMES.values():
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        yield JsonView(id="view")

    @property
    def view(self) -> JsonView:
        return self.query_one(JsonView)

    def shown(self) -> list[str]:
        """Return the lines on the screen without trailing spaces, down to the last one with text."""
        lines = [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def colour_of(self, text: str) -> Any:
        """Return the colour of `text` on the screen."""
        for y in range(self.view.size.height):
            for segment in self.view.render_line(y):
                if segment.text == text:
                    return segment.style and segment.style.color
        raise AssertionError(f"{text!r} is not a token on the screen: {self.shown()}")


class BarApp(ViewApp):
    """One view with its scrollbar."""

    CSS = "JsonView { scrollbar-size: 0 1; }"

    def bar(self) -> list[bool]:
        """Return for each line whether the scrollbar's thumb is on it."""
        strips = self.screen._compositor.render_strips()
        ends = [segment.style for strip in strips for segment in [list(strip)[-1]]]
        blank = self.view.vertical_scrollbar.styles.scrollbar_background.rich_color
        return [style is not None and style.bgcolor != blank for style in ends]


def show_bytes(view: JsonView, body: bytes, **options: Any) -> None:
    """Show a body as it came over the network."""
    view.show_text(body.decode("utf-8", "backslashreplace"), **options)


def large_body() -> bytes:
    runs = [{"id": f"6513_{number}", "failedUsersCount": number} for number in range(40_000)]
    body = json.dumps({"value": runs}).encode()
    assert len(body) > IN_PLACE_LIMIT
    return body


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def test_the_scrollbar_of_a_long_text_after_a_short_one_is_that_of_a_layout() -> None:
    app = BarApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.show_text("short")
        await pilot.pause()
        short = app.bar()
        app.view.show_text("\n".join(map(str, range(40))))
        await pilot.pause()
        shown = app.bar()
        app.view.refresh(layout=True)
        await pilot.pause()
        assert shown == app.bar() != short


async def test_json_is_laid_out_below_its_header() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10), notifications=True) as pilot:
        show_bytes(app.view, b'{"id":"x","n":[1.10,null]}', header=[content("200 OK   PATCH"), Content("")])
        await pilot.pause()
        assert app.shown() == [
            "200 OK   PATCH",
            "",
            "{",
            '  "id": "x",',
            '  "n": [',
            "    1.10,",
            "    null",
            "  ]",
            "}",
        ]


async def test_a_terminal_of_very_many_rows_shows_a_body_whole() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 400), notifications=True) as pilot:
        show_bytes(app.view, json.dumps(list(range(390))).encode())
        await pilot.pause()
        assert app.shown() == ["[", *(f"  {number}," for number in range(389)), "  389", "]"]


@pytest.mark.parametrize("theme", sorted(THEMES))
async def test_kinds_have_colours_of_their_own_in_every_theme(theme: str) -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10), notifications=True) as pilot:
        app.theme = theme
        app.view.show_text('{"key": "text", "number": 12, "keyword": true}')
        await pilot.pause()
        colours = [app.colour_of(text) for text in ('"key"', '"text"', "12", "true")]
        assert len(set(colours)) == 4
        if THEMES[theme].ansi:
            assert all(colour.number is not None and colour.number < 16 for colour in colours)


async def test_colours_follow_the_theme() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10), notifications=True) as pilot:
        app.view.show_text('{"key": 1}')
        app.theme = "runtui-dark"
        await pilot.pause()
        dark = app.colour_of('"key"')
        app.theme = "runtui-light"
        await pilot.pause()
        assert app.colour_of('"key"') != dark


async def test_text_that_is_not_json_is_shown_line_by_line() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10), notifications=True) as pilot:
        show_bytes(app.view, b"<html>\r\n\t[b]502[/b] \x1b[2J \xff\n</html>")
        await pilot.pause()
        assert app.shown() == ["<html>", "    [b]502[/b] ␛[2J \\xff", "</html>"]


async def test_an_empty_body_is_an_empty_view() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10), notifications=True) as pilot:
        show_bytes(app.view, b'{"a": 1}')
        show_bytes(app.view, b"", header=[content("204 No Content")])
        await pilot.pause()
        assert app.shown() == ["204 No Content"]


async def test_keys_scroll_and_long_lines_are_whole() -> None:
    app = ViewApp()
    async with app.run_test(size=(20, 5), notifications=True) as pilot:
        app.view.show_text("\n".join(f"{number} " + "x" * 30 for number in range(100)))
        app.view.focus()
        await pilot.pause()
        assert app.shown()[:3] == ["0 " + "x" * 18, "  " + "x" * 12, "1 " + "x" * 18]
        await press(pilot, "j", "down", "j", "j", "j", "k")
        assert app.shown()[0].startswith("2 ")
        await press(pilot, "pagedown", "pageup", "G")
        assert app.shown()[-2].startswith("99 ")
        await press(pilot, "g")
        assert app.shown()[0].startswith("0 ")
        await press(pilot, "end")
        assert app.shown()[-2].startswith("99 ")
        await press(pilot, "home", "right")
        assert app.shown()[0].startswith("0 ")


async def test_a_text_follows_the_width_and_stays_at_its_place() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        app.view.show_text(json.dumps([f"{number:03} 日本 " + "語" * 20 for number in range(50)], ensure_ascii=False))
        await pilot.pause()
        app.view.scroll_to(y=41, animate=False)
        await pilot.pause()
        assert app.shown()[0].startswith('  "020 日本 語')
        await pilot.resize_terminal(80, 6)
        await pilot.pause()
        assert app.shown()[0] == '  "020 日本 ' + "語" * 20 + '",'
        await pilot.resize_terminal(12, 6)
        await pilot.pause()
        assert app.shown()[0] == '  "020 日本'


async def test_megabytes_are_laid_out_in_a_thread_and_shown_whole() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        app.view.show_text("the one before")
        show_bytes(app.view, large_body())
        assert app.view.line_count == 1, "the one before stays meanwhile"
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.shown()[:3] == ["{", '  "value": [', "    {"]
        assert app.view.line_count == 4 + 4 * 40_000
        app.view.focus()
        await pilot.pause()
        await press(pilot, "G")
        assert app.shown()[-4:] == ['      "failedUsersCount": 39999', "    }", "  ]", "}"]


async def test_another_width_while_a_large_text_is_laid_out_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app, may_begin, in_a_thread = ViewApp(), asyncio.Event(), asyncio.to_thread

    async def held(work: Any, *given: Any) -> Any:
        await may_begin.wait()
        return await in_a_thread(work, *given)

    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        monkeypatch.setattr(asyncio, "to_thread", held)
        show_bytes(app.view, large_body(), header=[content("200 OK")])
        await pilot.resize_terminal(30, 6)
        while app.view.size.width > 30:
            await pilot.pause(0.01)  # Textual applies a new size after the time of a frame
        may_begin.set()
        await app.workers.wait_for_complete([worker for worker in app.workers if not worker.is_finished])
        await pilot.pause()
        assert app.shown()[:5] == ["200 OK", "{", '  "value": [', "    {", '      "id": "6513_0",']
        assert app.view.line_count == 1 + 4 + 4 * 40_000 + 30_000, (
            "a number of five digits goes on in a line of its own"
        )


async def test_the_last_text_wins_over_a_large_one_that_is_still_laid_out() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        show_bytes(app.view, large_body())
        app.view.show_text("small and newer")
        await pilot.pause()
        assert not [worker for worker in app.workers if not worker.is_finished]
        assert app.shown() == ["small and newer"]


@pytest.mark.parametrize("make", [large_body, lambda: b"[" + b"1," * 50 + b"1]"], ids=["large", "small"])
async def test_the_scroll_position_is_kept_on_request(make: Any) -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        show_bytes(app.view, make())
        await app.workers.wait_for_complete()
        await pilot.pause()
        app.view.scroll_to(0, 20, animate=False)
        show_bytes(app.view, make(), keep_place=True)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.view.scroll_offset.y == 20
        show_bytes(app.view, make())
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.view.scroll_offset.y == 0


async def test_a_shorter_text_moves_the_scroll_position_back() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        app.view.show_text("\n" * 500)
        app.view.scroll_to(0, 400, animate=False)
        app.view.show_text("one\ntwo", keep_place=True)
        await pilot.pause()
        assert app.shown() == ["one", "two"]


async def test_changed_properties_carry_a_sign() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 12), notifications=True) as pilot:
        body = '{"id":"x","status":"done","inner":{"status":"old"}}'
        app.view.show_text(body, changed={"status"})
        await pilot.pause()
        assert app.shown() == [
            "  {",
            '    "id": "x",',
            '*   "status": "done",',
            '    "inner": {',
            '      "status": "old"',
            "    }",
            "  }",
        ]
        app.view.show_text(body)
        await pilot.pause()
        assert app.shown()[2] == '  "status": "done",'


async def test_only_lines_on_the_screen_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    app = ViewApp()
    drawn: list[int] = []
    draw = JsonView._draw

    def counting(view: JsonView, number: int) -> Any:
        drawn.append(number)
        return draw(view, number)

    monkeypatch.setattr(JsonView, "_draw", counting)
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        show_bytes(app.view, large_body())
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert max(drawn) < 6


async def test_a_longer_text_is_redrawn_from_its_first_change_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6), notifications=True) as pilot:
        app.view.show_text("one\ntwo\nthree")
        await pilot.pause()
        redrawn: list[tuple[Region, ...]] = []
        monkeypatch.setattr(app.view, "refresh", lambda *regions, **_: redrawn.append(regions))
        app.view.show_text("one\n2\nthree\nfour")
        assert [(region.y, region.height) for (region,) in redrawn] == [(1, 3)]
