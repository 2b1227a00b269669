"""A screen that opens has few widgets, and is laid out for the size of the terminal once; no layout asked for is lost.

These counts are the same on every machine. Layouts that follow from messages of widgets are left out, because sometimes
two of them coincide.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any, cast
from weakref import ref

import pytest
from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from runtui.tui import app
from runtui.tui.output import DifferentialOutput, DrawnOnce, strips_of
from runtui.tui.screens import panel
from runtui.tui.terminal import lay_out
from runtui.tui.widgets.field_form import FormPainter
from runtui.tui.widgets.json_view import JsonView
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.side_panel import AboutLine
from tests.tui.conftest import Opener

MUCH = 1_000_000

Layouts = list[tuple[Screen[Any], bool]]


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> Layouts:
    """Record each layout: its screen, and whether it was for a given size."""
    found: Layouts = []
    lay_out = Screen._refresh_layout

    def noted(self: Screen[Any], *sizes: Any, **options: Any) -> None:
        found.append((self, any(sizes)))
        lay_out(self, *sizes, **options)

    monkeypatch.setattr(Screen, "_refresh_layout", noted)
    return found


def for_a_size(layouts: Layouts) -> list[Screen[Any]]:
    return [screen for screen, is_for_size in layouts if is_for_size]


async def test_the_first_screen_gets_its_size_once(open_session: Opener, layouts: Layouts) -> None:
    async with open_session(typed_ahead=[events.Key("down", None)], ready=False) as session:
        await session.until(lambda: session.runs.table.cursor == 1)
        assert for_a_size(layouts) == [session.front]
        assert len(session.app._registry) <= 18


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Counter[Widget]:
    """Count the lines that each widget draws."""
    drawn: Counter[Widget] = Counter()
    for kind in (Widget, LineTable, JsonView, AboutLine):

        def noted(self: Widget, y: int, draw: Any = kind.render_line) -> Strip:
            drawn[self] += 1
            return cast("Strip", draw(self, y))

        monkeypatch.setattr(kind, "render_line", noted)
    return drawn


async def test_what_is_covered_is_not_drawn_and_alike_lines_are_drawn_once(
    open_session: Opener, lines: Counter[Widget]
) -> None:
    async with open_session() as session:
        await session.panel_rested()
        for widget in (session.front, *session.front.walk_children(Widget)):
            widget.refresh()
        lines.clear()
        session.front._compositor.render_full_update()
        containers = {widget.id: count for widget, count in lines.items() if widget.children}
        assert containers == {"left": 1, "panel": 1}
        assert lines[session.runs.table] == session.runs.table.size.height


async def test_a_cursor_key_draws_two_rows_and_nothing_of_the_page_beside_them(
    open_session: Opener, lines: Counter[Widget], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        await session.press("down")
        await session.panel_rested()
        monkeypatch.setattr(panel, "REST_SECONDS", 3600.0)
        session.draw()
        lines.clear()
        await session.press("down")
        session.draw()
        assert {widget.id: count for widget, count in lines.items()} == {"runs-table": 2, "panel-about": 1}


async def test_a_line_that_is_drawn_no_more_is_freed_at_once(open_session: Opener) -> None:
    async with open_session() as session:
        await session.panel_rested()
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for key in ("down", "end", "home", "pagedown"):
                await session.press(key)
                await session.panel_rested()
                session.draw()
            gc.collect()
            left = Counter(type(found) for found in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
        assert left[Strip] == 0


async def test_a_closed_question_is_freed_while_keys_rest(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "COLLECTION_INTERVAL", 0.01)
    monkeypatch.setattr(app, "COLLECTION_REST", 0.01)
    threshold = gc.get_threshold()
    gc.set_threshold(50, MUCH, MUCH)  # new objects are looked at, older ones are not
    try:
        async with open_session() as session:
            await session.press("C")
            question = ref(session.front)
            await session.press("escape")
            await session.until(lambda: question() is None)
    finally:
        gc.set_threshold(*threshold)


@pytest.mark.parametrize(("key", "widgets"), [("question_mark", 24), ("ctrl+p", 8)])
async def test_a_screen_gets_its_size_once_and_has_few_widgets(
    open_session: Opener, layouts: Layouts, key: str, widgets: int
) -> None:
    async with open_session() as session:
        await session.panel_rested()
        before = len(session.app._registry)
        layouts.clear()
        await session.press(key)
        assert for_a_size(layouts) == [session.app.screen]
        assert len(session.app._registry) - before <= widgets


@pytest.mark.parametrize(
    ("key", "size"), [("question_mark", (80, 24)), ("question_mark", (120, 40)), ("e", (80, 24)), ("e", (120, 40))]
)
async def test_a_screen_mounted_in_advance_opens_without_a_layout(
    open_session: Opener, layouts: Layouts, key: str, size: tuple[int, int]
) -> None:
    async with open_session(size=size, ahead=True) as session:
        await session.panel_rested()
        layouts.clear()
        for _ in range(2):
            await session.press(key)
            assert session.app.screen is not session.runs.screen
            await session.press("escape")
        assert layouts == []


async def test_a_screen_mounted_in_advance_is_laid_out_once(open_session: Opener, layouts: Layouts) -> None:
    async with open_session(ahead=True) as session:
        counts = Counter(screen for screen, _ in layouts if screen is not session.front)
        assert list(counts.values()) == [1, 1]  # the form and the help


class Sized(Static):
    """Says how wide it is on a line of its own, once a layout has said so: in it, with its event, or at its end."""

    DEFAULT_CSS = "Sized { width: auto; height: auto; overflow: hidden; }"

    def on_mount(self) -> None:
        if self.id == "after":
            self.screen.screen_layout_refresh_signal.subscribe(self, self.tell, immediate=True)

    def tell(self, _screen: Screen[Any] | None = None) -> None:
        if self.size.width and not str(self.content).endswith(" columns"):
            self.update(f"{self.id}\n{self.size.width} columns")

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        is_new = super()._size_updated(size, virtual_size, container_size, layout)
        if self.id == "in":
            self.tell()
        return is_new

    def on_resize(self) -> None:
        if self.id == "event":
            self.tell()


class SizedApp(DifferentialOutput):
    def get_default_screen(self) -> Screen[Any]:
        return DrawnOnce()

    def compose(self) -> ComposeResult:
        for reason in ("in", "event", "after"):
            yield Sized(reason, id=reason)


async def test_a_layout_that_a_widget_asks_for_during_a_layout_follows() -> None:
    app = SizedApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert [tuple(widget.size) for widget in app.query(Sized)] == [(9, 2), (9, 2), (9, 2)]


async def test_a_layout_asked_for_before_a_scroll_follows_it() -> None:
    app = SizedApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        screen, widget = app.screen, app.query_one("#after", Sized)
        assert isinstance(screen, DrawnOnce)

        def scroll() -> None:
            screen._scroll_required = True
            screen.draw_frame()

        scroll()  # the first one after a layout gives every widget its size
        widget.update("one\ntwo\nthree columns")
        widget._check_refresh()  # as when the widget is idle: its request is in the queue of the screen
        scroll()
        assert widget.outer_size.height == 2
        await pilot.pause()
        screen.draw_frame()
        assert widget.outer_size.height == 3


async def test_what_is_drawn_while_widgets_are_mounted_in_a_batch_is_shown_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []

    def display(app: SizedApp, _screen: Screen[Any], frame: Any) -> None:
        if frame is not None and not app._batch_count:  # as Textual does
            shown.extend(strip.text.strip() for *_, strip in strips_of(frame))

    app = SizedApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        monkeypatch.setattr(SizedApp, "_display", display)
        screen = app.screen
        assert isinstance(screen, DrawnOnce)
        with app.batch_update():
            app.query_one("#after", Sized).update("2 columns", layout=False)
            await pilot.pause()
            lay_out(screen)
            await pilot.pause()
            screen.draw_frame()
        assert screen._clock._due is not None
        screen.draw_frame()
        assert "2 columns" in shown


async def test_a_widget_whose_region_was_asked_for_before_the_layout_is_told_its_new_size() -> None:
    app = SizedApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        told = list[tuple[int, ...]]()

        class Told(Static):
            def on_resize(self) -> None:
                told.append(tuple(self.size))

        await app.mount(widget := Told())
        await pilot.pause()
        widget.styles.height = 5
        widget._check_refresh()  # as when the widget is idle: it asks for a layout
        app.screen._compositor.update_widgets({Static()})  # a widget that is not in sight yet asks to be drawn
        assert widget.region.height == 5
        await pilot.pause()
        assert told == [(80, 1), (80, 5)]


async def test_rows_that_come_and_go_lay_nothing_out(open_session: Opener, layouts: Layouts) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.press("down")
        layouts.clear()
        session.runs.filter_by("is:problem")
        await session.settled()
        session.runs.filter_by("")
        await session.settled()
        assert layouts == []


async def test_the_panel_follows_the_cursor_without_a_layout(open_session: Opener, layouts: Layouts) -> None:
    async with open_session() as session:
        await session.panel_rested()
        layouts.clear()
        for _ in range(4):
            await session.press("down")
            await session.panel_rested()
        assert layouts == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_key_lays_out_one_page_and_one_form_and_reads_no_list(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async with open_session(size=size, ahead=True) as session:
        await session.panel_rested()
        done: Counter[str] = Counter()

        def count(owner: type, name: str) -> None:
            act = getattr(owner, name)

            def counted(self: Any, *args: Any, **options: Any) -> Any:
                done[owner.__name__] += 1
                return act(self, *args, **options)

            monkeypatch.setattr(owner, name, counted)

        count(JsonView, "show_text")
        count(FormPainter, "lines")
        count(LineTable, "show")
        pages = 1 if size[0] == 120 else 0
        for key, work in (
            ("down", {JsonView: pages}),  # the results of this run are read, which changes no row
            ("e", {JsonView: 1, FormPainter: 1}),  # the run is read once more, and is the same
            ("tab", {FormPainter: 1}),
            ("escape", {JsonView: pages}),
        ):
            done.clear()
            await session.press(key)
            await session.panel_rested()
            assert done == Counter({kind.__name__: times for kind, times in work.items() if times}), key
