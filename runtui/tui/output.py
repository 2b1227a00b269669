"""What reaches the terminal: the cells that changed, when the line can carry them.

Textual writes every region it touched in full, a frame after another, and waits inside its event loop when the
terminal does not read. `DifferentialOutput` stands between its compositor and its driver: a frame is compared with
what the terminal shows (`screen_diff.py`), and while earlier output is still on its way the frame waits, so that what
is sent then is the newest state and not the way there.

Invariant: after the last frame the terminal shows what Textual's own output would have shown. Where this cannot be
known (another kind of output, a new session on the terminal, a new size) nothing is taken for granted.

What is used of Textual beyond its public interface, held by `tests/unit/test_private_names.py`: how an app displays
what a screen drew, its driver and the driver's writer; the clock by which a screen draws, and what it has still to
draw; the attributes of the two updates that a full-screen compositor makes.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS
from rich.style import Style
from textual import events, on
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.geometry import Region
from textual.message import Message
from textual.screen import UPDATE_PERIOD, Screen, ScreenResultType
from textual.strip import Strip

from runtui.prelude.terminal import TAKEOVER
from runtui.tui.screen_diff import DEFAULT_PEN, Pen, ScreenDiff, cells
from runtui.tui.terminal import Backlog, TerminalDriver, lay_out

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_OUTPUT: Final = "RUNTUI_PLAIN_OUTPUT"
"""The environment variable that, when set to anything, leaves the output to Textual."""

_SYNC_START: Final = "\x1b[?2026h"
_SYNC_END: Final = "\x1b[?2026l"
_FIRST_WAIT: Final = 0.005
_LONGEST_WAIT: Final = 0.08
"""Seconds between two looks at a terminal that does not read: from the first to the longest, doubling."""

_ATTRIBUTES: Final = {
    "bold": "1", "dim": "2", "italic": "3", "underline": "4", "blink": "5", "blink2": "6", "reverse": "7",
    "conceal": "8", "strike": "9", "underline2": "21", "frame": "51", "encircle": "52", "overline": "53",
}  # fmt: skip
"""The attributes of a Rich style and the SGR parameter of each."""


@lru_cache(maxsize=4096)
def pen_of(style: Style | None, colors: ColorSystem) -> Pen:
    """Return how `style` is drawn on a terminal that has `colors`."""
    if style is None:
        return DEFAULT_PEN
    foreground, background = (
        ";".join(color.downgrade(colors).get_ansi_codes(foreground=is_foreground)) if color else ""
        for color, is_foreground in ((style.color, True), (style.bgcolor, False))
    )
    return Pen(
        "" if foreground == "39" else foreground,
        "" if background == "49" else background,
        frozenset(sgr for name, sgr in _ATTRIBUTES.items() if getattr(style, name)),
        f"id={style.link_id};{style.link}" if style.link else "",
    )


def strips_of(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Return the line and the column where each strip of `update` goes, and the strip."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length
        return
    for y, left, right in update.spans:
        for end, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if chop is not None and x < right and end > left:
                yield y, x, chop if end <= right else chop.crop(0, right - x)


def size_of(update: LayoutUpdate | ChopsUpdate) -> tuple[int, int]:
    """Return the columns and lines of the screen that `update` is a part of."""
    if isinstance(update, LayoutUpdate):
        return update.region.right, update.region.bottom
    return update.chop_ends[0][-1], len(update.chops)


class Line(Protocol):
    """Where frames go: a terminal, and what is on its way there."""

    def is_open(self) -> bool:
        """Whether the terminal is ours."""

    def is_behind(self) -> bool:
        """Whether earlier output is still on its way."""

    def write(self, data: str) -> None:
        """Send `data`; it never waits while the line is not behind."""


class TerminalLine:
    """Textual's writer thread and the terminal behind it: one session, from taking the terminal to giving it back."""

    def __init__(self, app: App[int], writer: WriterThread, backlog: Backlog) -> None:
        self.writer = writer
        self.backlog = backlog
        self.has_told_size = False
        """Whether the terminal reported its size by itself (mode 2048)."""
        self._app = app
        self._poll = select.poll()
        self._poll.register(writer.fileno(), select.POLLOUT)

    def is_open(self) -> bool:
        """Whether Textual has the terminal."""
        return self._app.is_running and self.writer.is_alive()

    def is_behind(self) -> bool:
        """Whether output is queued, or the terminal does not accept any, or it is the screen that is behind."""
        is_full = not self.writer._queue.empty() or not self._poll.poll(0)
        return TAKEOVER.is_ahead or is_full or self.backlog.is_long

    def write(self, data: str) -> None:
        self.writer.write(self.backlog.send(data))


class FramePainter:
    """Brings frames to a terminal of one size, at the pace at which the terminal takes them.

    Args:
        line: Where frames go.
        size: Columns and lines.
    """

    def __init__(self, line: Line, size: tuple[int, int]) -> None:
        self.size = size
        self.synchronized = False
        """Whether the terminal takes a frame as one (mode 2026)."""
        self._line = line
        self._screen = ScreenDiff(*size)
        self._cursor = (0, 0)
        self._wait = _FIRST_WAIT
        self._next_look: asyncio.TimerHandle | None = None

    def use(self, line: Line) -> None:
        """Send to `line` from now on; what it shows is unknown."""
        self._line = line
        self.forget()

    def forget(self) -> None:
        """Treat the terminal as unknown: the next frame is sent whole."""
        self._screen.forget()

    def show(self, update: LayoutUpdate | ChopsUpdate, colors: ColorSystem, cursor: tuple[int, int]) -> None:
        """Take over what Textual's compositor drew and send it, now or when the terminal is ready for it.

        The terminal's cursor rests at this line and column.
        """
        put = self._screen.put
        for y, left, strip in strips_of(update):
            x = left
            for text, style, control in strip:
                if control is None:
                    new = cells(text, pen_of(style, colors))
                    put(y, x, new)
                    x += len(new)
        self._cursor = cursor
        self.send()

    def send(self) -> None:
        """Send what the terminal does not show yet; while it is behind, look again a little later."""
        self.stop()
        if not self._line.is_open():
            return
        if self._line.is_behind():
            self._next_look = asyncio.get_running_loop().call_later(self._wait, self.send)
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            return
        self._wait = _FIRST_WAIT
        if sent := self._screen.paint(self._cursor):
            self._line.write(f"{_SYNC_START}{sent}{_SYNC_END}" if self.synchronized else sent)

    def go_on(self) -> None:
        """Look again now, where a frame waits."""
        if self._next_look is not None:
            self.send()

    def stop(self) -> None:
        """Drop the frame that waits."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None


class DifferentialOutput(App[int]):
    """An App whose terminal gets the differences only. It stands before other App classes among the bases."""

    _painter: FramePainter | None = None
    _line: TerminalLine | None = None

    def action_repaint(self) -> None:
        """Send the whole screen again, over whatever another program wrote on it."""
        if self._open_line() is not None and self._painter is not None:
            self._painter.forget()
            self._painter.send()

    def on_resize(self, event: events.Resize) -> None:
        """Repaint a terminal that has its old size again: it may have lost cells in between, or be a new session."""
        line = self._open_line()
        if line is None or self._painter is None or tuple(event.size) != self._painter.size:
            return
        is_first_report = event.pixel_size is not None and not line.has_told_size
        line.has_told_size = line.has_told_size or is_first_report
        if not is_first_report:
            self.action_repaint()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Replace Textual's, which writes every update in full."""
        if renderable is None or self._batch_count:
            super()._display(screen, renderable)
            return
        line = self._open_line()
        if line is None or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            if self._painter is not None:
                self._painter.forget()
            super()._display(screen, renderable)
            return
        painter = self._painter_for(line, size_of(renderable))
        x, y = self.screen.outer_size.clamp_offset(self.cursor_position)
        colors = COLOR_SYSTEMS.get(self.console.color_system or "", ColorSystem.TRUECOLOR)
        painter.show(renderable, colors, (y, x))
        self.post_display_hook()

    def _open_line(self) -> TerminalLine | None:
        """Return the terminal; None where Textual writes by itself: headless, inline, or with `PLAIN_OUTPUT`."""
        writer = getattr(self._driver, "_writer_thread", None)
        if not isinstance(writer, WriterThread) or self.is_inline or self._closed or PLAIN_OUTPUT in os.environ:
            return None
        if self._line is None or self._line.writer is not writer:
            backlog = self._driver.backlog if isinstance(self._driver, TerminalDriver) else Backlog()
            self._line = TerminalLine(self, writer, backlog)
            if self._painter is not None:
                self._painter.use(self._line)
        return self._line

    def _painter_for(self, line: TerminalLine, size: tuple[int, int]) -> FramePainter:
        if self._painter is None or self._painter.size != size:
            if self._painter is not None:
                self._painter.stop()
            self._painter = FramePainter(line, size)
        self._painter.synchronized = self._sync_available
        line.backlog.go_on = self._painter.go_on
        return self._painter


class FrameClock:
    """When a screen is drawn: a frame's time after a change, with all that follows until then.

    Textual's own clock draws the first change at once, and what follows from it in a frame of its own.
    """

    def __init__(self, app: App[Any], draw: Callable[[], None]) -> None:
        self._app = app
        self._draw = draw
        self._due: asyncio.TimerHandle | None = None

    def resume(self) -> None:
        """There is something to draw."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(UPDATE_PERIOD, self.tick)

    def pause(self) -> None:
        """It is being drawn."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def tick(self) -> None:
        """Draw now, whoever calls; nothing once the app ends."""
        self.pause()
        if self._app._exit:
            return
        try:
            with self._app._context():
                self._draw()
        except Exception as error:  # noqa: BLE001 - as Textual does for what its own clock calls
            self._app._handle_exception(error)


class DrawnOnce(Screen[ScreenResultType]):
    """A base for the screens of an app: one that is laid out and drawn once when it comes into sight.

    What it shows is what Textual would show; only what Textual 8.2.8 does again is left out. That lays a screen out
    each time it tells it the size that it has, matches every widget's styles anew whenever it comes into sight, and
    draws it whole once more after a layout.
    """

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._told_size = self.app.size
        self._theme_drawn = self.app.theme
        self._clock = FrameClock(self.app, self._draw_changes)
        self._is_preparing = False
        """Whether what is laid out is not drawn yet."""

    @property
    def _update_timer(self) -> FrameClock:  # type: ignore[override]
        """In place of Textual's."""
        return self._clock

    def prepare_frame(self) -> bool:
        """Lay out what has to be; whether there was anything: it may lead to more that the frame shows as well."""
        if not (self._layout_required or self._scroll_required or self._callbacks):
            return False
        self._is_preparing = True
        try:
            self.draw_frame()
        finally:
            self._is_preparing = False
        self._clock.resume()
        return True

    def draw_frame(self) -> None:
        """Draw all that has changed."""
        self._clock.tick()

    def _draw_changes(self) -> None:
        if not self.is_active:  # what comes in front is drawn whole, with what is seen through it
            self._repaint_required = False
        self._on_timer_update()
        if self._compositor._dirty_regions and self.is_current:
            self._compositor_refresh()

    def post_message(self, message: Message) -> bool:
        """Be told of another size only."""
        if isinstance(message, events.Resize):
            if message.size == self._told_size:
                return True
            self._told_size = message.size
        return super().post_message(message)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Leave it to a layout to draw what it moves."""
        return super().refresh(*regions, repaint=repaint and not layout, layout=layout, recompose=recompose)

    @on(events.ScreenResume)
    def _come_into_sight(self, event: events.ScreenResume) -> None:
        """Come into sight, in place of Textual's own handler."""
        event.prevent_default()
        self.stack_updates += 1
        if self._theme_drawn != self.app.theme:
            self._theme_drawn = self.app.theme
            self.update_node_styles(animate=False)
        if self.outer_size != self.app.size:
            lay_out(self)
        else:
            for part in self.children:  # the screen itself would be drawn for the layout, and once more
                part.refresh()

    def _compositor_refresh(self) -> None:
        """Draw nothing that keys typed ahead change before it is seen, nor what a frame in the making may change."""
        if not (TAKEOVER.is_ahead or self._is_preparing):
            super()._compositor_refresh()
