"""The layer between Textual and the terminal: what it takes from Textual, and when it sends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from random import Random

import pyte
import pytest
from pyte.screens import Char
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widgets import Input, Label, OptionList, Select

from runtui.tui.output import FramePainter, pen_of
from runtui.tui.screen_diff import Pen
from tests import PATIENCE
from tests.seen import seen

WIDTH, HEIGHT = 60, 16


# Textual's names in use


def test_textual_still_calls_display_as_it_is_overridden() -> None:
    assert list(inspect.signature(App._display).parameters) == ["self", "screen", "renderable"]
    assert "app._display(self, update)" in inspect.getsource(Screen._compositor_refresh)


def test_the_terminal_driver_still_writes_through_its_thread() -> None:
    from textual.drivers.linux_driver import LinuxDriver

    assert "self._writer_thread = WriterThread(" in inspect.getsource(LinuxDriver.start_application_mode)


@pytest.mark.parametrize(
    ("style", "colors", "pen"),
    [
        ("none", ColorSystem.TRUECOLOR, Pen()),
        ("default on default", ColorSystem.TRUECOLOR, Pen()),
        ("bold #010203 on blue", ColorSystem.TRUECOLOR, Pen("38;2;1;2;3", "44", frozenset("1"))),
        ("#ff0000", ColorSystem.EIGHT_BIT, Pen("38;5;196")),
        ("#ff0000", ColorSystem.STANDARD, Pen("31")),
        ("dim italic underline reverse strike", ColorSystem.TRUECOLOR, Pen(attributes=frozenset("23479"))),
        ("not bold", ColorSystem.TRUECOLOR, Pen()),
    ],
)
def test_a_style_of_textual_becomes_sgr_parameters(style: str, colors: ColorSystem, pen: Pen) -> None:
    assert pen_of(Style.parse(style), colors) == pen


def test_a_link_is_kept() -> None:
    style = Style(link="https://example.org/")
    assert pen_of(style, ColorSystem.TRUECOLOR).link == f"id={style.link_id};https://example.org/"


# The same screens as without the layer


class Terminal:
    """An emulated terminal, without wrapping at the right edge, as Textual leaves it."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self.screen)
        self.write("\x1b[?7l")

    def write(self, data: str) -> None:
        self._stream.feed(data)

    def is_open(self) -> bool:
        return True

    def is_behind(self) -> bool:
        return False

    def seen(self) -> list[list[Char]]:
        return seen(self.screen)


class Question(ModalScreen[None]):
    """A dialog over a dimmed screen."""

    BINDINGS = [("escape", "dismiss", "Close")]
    CSS = "Question { align: center middle; } Input { width: 30; }"

    def compose(self) -> ComposeResult:
        yield Input("why?")


class TwoTerminals(App[None]):
    """Draws every update twice: as Textual writes it, and through the layer."""

    CSS = "#left { width: 50%; } Select { dock: top; } #names { dock: right; width: 40%; height: 9; }"
    BINDINGS = [("ctrl+o", "ask", "Ask")]

    def __init__(self) -> None:
        super().__init__()
        self.animation_level = "none"
        self.plain, self.layered = Terminal(), Terminal()
        self.painter = FramePainter(self.layered, (WIDTH, HEIGHT))
        self.updates: set[type[object]] = set()

    def compose(self) -> ComposeResult:
        yield Select([(f"choice {number}", number) for number in range(6)])
        yield Label("left of the list: caf\u00e9, \u5165\u793e\u624b\u7d9a\u304d", id="left")
        yield Input("text")
        yield OptionList(*[f"name {number} \u2500\u2500" for number in range(40)], id="names")

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, LayoutUpdate | ChopsUpdate) and not self._batch_count:
            self.updates.add(type(renderable))
            self.plain.write(renderable.render_segments(self.console))
            colors = COLOR_SYSTEMS.get(self.console.color_system or "", ColorSystem.TRUECOLOR)
            self.painter.show(renderable, colors, (0, 0))
        super()._display(screen, renderable)

    def action_ask(self) -> None:
        self.push_screen(Question())


async def test_every_update_leaves_the_screen_that_textual_leaves() -> None:
    app = TwoTerminals()
    walk = Random(20261123)
    keys = ["tab", "tab", "down", "down", "up", "enter", "escape", "pagedown", "end", "a", "backspace", "ctrl+o"]
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        for number in range(50):
            key = walk.choice(keys)
            await pilot.press(key)
            assert app.layered.seen() == app.plain.seen(), f"after key {number}, {key}"
    assert app.updates == {LayoutUpdate, ChopsUpdate}


@pytest.mark.parametrize("span", [(0, 0, 12), (0, 0, 2), (0, 2, 4), (0, 4, 8), (0, 6, 8), (0, 5, 12), (0, 8, 9)])
def test_only_the_pieces_within_the_span_of_a_line_are_drawn(span: tuple[int, int, int]) -> None:
    chops = {x: Strip([Segment(text)]) for x, text in {0: "abcd", 4: "efgh", 8: "ijkl"}.items()}
    update = ChopsUpdate([chops], [span], [[4, 8, 12]])
    plain, layered = Terminal(), Terminal()
    plain.write(update.render_segments(App().console))
    FramePainter(layered, (WIDTH, HEIGHT)).show(update, ColorSystem.TRUECOLOR, (0, 0))
    assert layered.seen() == plain.seen()


# When it sends


class FakeLine:
    """A line that is behind or closed when the test says so."""

    def __init__(self) -> None:
        self.open = True
        self.behind = False
        self.sent: list[str] = []
        self._looked = asyncio.Event()

    def is_open(self) -> bool:
        return self.open

    def is_behind(self) -> bool:
        self._looked.set()
        return self.behind

    async def next_look(self) -> None:
        """Wait until the painter has asked whether the line is behind, and has acted on the answer."""
        self._looked.clear()
        async with asyncio.timeout(PATIENCE):
            await self._looked.wait()

    def write(self, data: str) -> None:
        assert self.open
        assert not self.behind
        self.sent.append(data)


def painter_on(line: FakeLine) -> Callable[[str], None]:
    """Return a function that shows a line of text."""
    painter = FramePainter(line, (6, 1))

    def show(text: str) -> None:
        strip = Strip([Segment(text)])
        painter.show(LayoutUpdate([[strip]], Region(0, 0, 6, 1)), ColorSystem.TRUECOLOR, (0, 0))

    return show


def test_a_frame_that_changes_nothing_is_not_sent() -> None:
    line = FakeLine()
    show = painter_on(line)
    show("one")
    show("one")
    assert len(line.sent) == 1


async def test_frames_wait_for_a_line_that_is_behind_and_only_the_last_is_sent() -> None:
    line = FakeLine()
    show = painter_on(line)
    show("one")
    line.behind = True
    for number in range(100):
        show(f"no {number}")
    show("last")
    await line.next_look()
    await line.next_look()
    assert len(line.sent) == 1
    line.behind = False
    await line.next_look()
    assert "last" in line.sent[1]
    assert "no" not in line.sent[1]
    assert len(line.sent) == 2


async def test_a_frame_that_waits_is_sent_when_the_terminal_has_answered() -> None:
    line = FakeLine()
    painter = FramePainter(line, (6, 1))
    frame = LayoutUpdate([[Strip([Segment("one")])]], Region(0, 0, 6, 1))
    painter.resume()
    assert line.sent == [], "nothing waits"
    line.behind = True
    painter.show(frame, ColorSystem.TRUECOLOR, (0, 0))
    line.behind = False
    painter.resume()
    assert len(line.sent) == 1


def test_nothing_is_sent_to_a_terminal_that_was_given_back() -> None:
    line = FakeLine()
    line.open = False
    painter_on(line)("one")
    assert line.sent == []


def test_a_new_session_of_the_terminal_gets_the_whole_screen() -> None:
    first, second = FakeLine(), FakeLine()
    painter = FramePainter(first, (6, 1))
    frame = LayoutUpdate([[Strip([Segment("whole")])]], Region(0, 0, 6, 1))
    painter.show(frame, ColorSystem.TRUECOLOR, (0, 0))
    painter.use(second)
    painter.send()
    assert second.sent == first.sent


def test_a_frame_is_synchronized_if_the_terminal_supports_it() -> None:
    line = FakeLine()
    painter = FramePainter(line, (6, 1))
    painter.synchronized = True
    painter.send()
    (sent,) = line.sent
    assert sent.startswith("\x1b[?2026h")
    assert sent.endswith("\x1b[?2026l")
