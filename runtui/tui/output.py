"""Output to the terminal: it sends only the cells that changed, and only when the line can carry them.

Textual writes every touched region in full, frame after frame, and blocks its event loop when the terminal does not
read. `DifferentialOutput` sits between its compositor and its driver. It compares a frame with the terminal's content
(`screen_diff.py`). While earlier output is in transit the frame waits, and a newer one takes its place.

Invariant: after the last frame the terminal shows what Textual's own output would have shown. If its content is
unknown (other output, a new session on the terminal, a new size), the next frame is sent whole.

This file uses these private parts of Textual, pinned by `tests/unit/test_private_names.py`: how an app displays what a
screen drew, its driver and the driver's writer; a screen's update timer and its pending work; what a compositor asks
of the widgets, and the attributes of the two updates that it makes.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS
from rich.style import Style
from textual import events, on
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate, ReflowResult
from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.geometry import Region, Size
from textual.message import Message
from textual.screen import UPDATE_PERIOD, Screen, ScreenResultType
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from runtui.prelude.terminal import TAKEOVER
from runtui.tui.screen_diff import DEFAULT_PEN, Pen, ScreenDiff, cells
from runtui.tui.terminal import Backlog, TerminalDriver, lay_out

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_OUTPUT: Final = "RUNTUI_PLAIN_OUTPUT"
"""The environment variable that turns this off when set to anything: Textual then writes by itself."""

_SYNC_START: Final = "\x1b[?2026h"
_SYNC_END: Final = "\x1b[?2026l"
_FIRST_WAIT: Final = 0.005
_LONGEST_WAIT: Final = 0.08
"""Seconds between two checks of a terminal that does not read; they double from the first to the longest."""

_ATTRIBUTES: Final = {
    "bold": "1", "dim": "2", "italic": "3", "underline": "4", "blink": "5", "blink2": "6", "reverse": "7",
    "conceal": "8", "strike": "9", "underline2": "21", "frame": "51", "encircle": "52", "overline": "53",
}  # fmt: skip
"""Attributes of a Rich style -> SGR parameter."""


@lru_cache(maxsize=4096)
def pen_of(style: Style | None, colors: ColorSystem) -> Pen:
    """Return the pen for `style` on a terminal with this colour system."""
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
    """Yield line, column and strip for each strip of `update`."""
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
    """Return the columns and lines of the screen that `update` belongs to."""
    if isinstance(update, LayoutUpdate):
        return update.region.right, update.region.bottom
    return update.chop_ends[0][-1], len(update.chops)


class Line(Protocol):
    """The line that frames are sent on, to a terminal."""

    def is_open(self) -> bool:
        """Return whether the app has the terminal."""

    def is_behind(self) -> bool:
        """Return whether earlier output is still in transit."""

    def write(self, data: str) -> None:
        """Send `data`; this does not block while the line is not behind."""


class TerminalLine:
    """Textual's writer thread and the terminal behind it, from taking the terminal to giving it back."""

    def __init__(self, app: App[int], writer: WriterThread, backlog: Backlog) -> None:
        self.writer = writer
        self.backlog = backlog
        self.has_reported_size = False
        """True once the terminal has reported its size by itself (mode 2048)."""
        self._app = app
        self._poll = select.poll()
        self._poll.register(writer.fileno(), select.POLLOUT)

    def is_open(self) -> bool:
        """Return whether Textual has the terminal."""
        return self._app.is_running and self.writer.is_alive()

    def is_behind(self) -> bool:
        """Return whether keys typed ahead are pending, output is queued, or the terminal is full or slow to answer."""
        is_full = not self.writer._queue.empty() or not self._poll.poll(0)
        return TAKEOVER.is_ahead or is_full or self.backlog.is_long

    def write(self, data: str) -> None:
        self.writer.write(self.backlog.send(data))


class FramePainter:
    """Sends frames to a terminal of one size, as fast as the terminal takes them.

    Args:
        line: The line to send frames on.
        size: Columns and lines.
    """

    def __init__(self, line: Line, size: tuple[int, int]) -> None:
        self.size = size
        self.synchronized = False
        """True if the terminal shows a frame in one step (mode 2026)."""
        self._line = line
        self._screen = ScreenDiff(*size)
        self._cursor = (0, 0)
        self._wait = _FIRST_WAIT
        self._next_look: asyncio.TimerHandle | None = None

    def use(self, line: Line) -> None:
        """Send to `line` from now on; the content of its terminal is unknown."""
        self._line = line
        self.forget()

    def forget(self) -> None:
        """Treat the terminal's content as unknown, so that the next frame is sent whole."""
        self._screen.forget()

    def show(self, update: LayoutUpdate | ChopsUpdate, colors: ColorSystem, cursor: tuple[int, int]) -> None:
        """Take an update of Textual's compositor and send it, now or when the terminal is ready.

        `cursor` is the line and column for the terminal's cursor.
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
        """Send the cells that the terminal does not show yet; while the line is behind, try again later."""
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

    def resume(self) -> None:
        """Try again now if a frame is waiting."""
        if self._next_look is not None:
            self.send()

    def stop(self) -> None:
        """Cancel the next try."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None


class DifferentialOutput(App[int]):
    """An App that sends only differences to its terminal. It comes before other App classes among the bases."""

    defers_frames = False
    """True while a key takes effect: a frame that a clock draws then would show the effect half done."""

    _painter: FramePainter | None = None
    _line: TerminalLine | None = None

    def action_repaint(self) -> None:
        """Send the whole screen again, over the output of any other program."""
        if self._open_line() is not None and self._painter is not None:
            self._painter.forget()
            self._painter.send()

    def on_resize(self, event: events.Resize) -> None:
        """Repaint a terminal whose size is the same as before: it may have lost cells, or be a new session."""
        line = self._open_line()
        if line is None or self._painter is None or tuple(event.size) != self._painter.size:
            return
        is_first_report = event.pixel_size is not None and not line.has_reported_size
        line.has_reported_size = line.has_reported_size or is_first_report
        if not is_first_report:
            self.action_repaint()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send the differences; Textual's version writes every update in full."""
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
        """Return the terminal's line; None if Textual writes by itself: headless, inline, or with `PLAIN_OUTPUT`."""
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
        line.backlog.resume = self._painter.resume
        return self._painter


class FrameClock:
    """Draws a screen one frame's time after a change, together with all changes until then.

    Textual's own timer draws the first change at once, and its consequences in a second frame.
    """

    def __init__(self, app: App[Any], draw: Callable[[], None]) -> None:
        self._app = app
        self._draw = draw
        self._due: asyncio.TimerHandle | None = None

    def resume(self) -> None:
        """Draw after a frame's time, unless that is due already."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(UPDATE_PERIOD, self._run_out)

    def _run_out(self) -> None:
        self._due = None
        if isinstance(self._app, DifferentialOutput) and self._app.defers_frames:
            self.resume()
        else:
            self.tick()

    def pause(self) -> None:
        """Cancel the drawing that is due."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def tick(self) -> None:
        """Draw now, with the app's context set; do nothing once the app exits."""
        self.pause()
        if self._app._exit:
            return
        try:
            with self._app._context():
                self._draw()
        except Exception as error:  # noqa: BLE001 - as Textual's own timers do
            self._app._handle_exception(error)


class LeanCompositor(Compositor):
    """Asks a widget only for the lines on which a part of it is drawn and in sight, and a layout does not ask for the
    next one; Textual's asks for all lines, covered or not, and for a second layout of each widget with a new size."""

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out, and set the virtual sizes that move nothing: a widget that finds a new one asks for a layout.

        Every widget that gets another size is told. Textual 8.2.8 compares with its map of the screen, which has the
        new sizes already if a widget's region was asked for since the change.
        """
        changes = super().reflow(parent, size)
        resized = {widget for widget, place in self.layers if widget.outer_size != place.region.size}
        for widget, place in self.layers:
            styles = widget.styles
            if styles.overflow_x == styles.overflow_y == "hidden" and not isinstance(widget, ScrollView):
                widget.set_reactive(Widget.virtual_size, place.virtual_size)
        return changes._replace(resized=resized)

    def render_partial_update(self) -> ChopsUpdate | None:
        spans = list(self._regions_to_spans(self._dirty_regions))
        self._dirty_regions.clear()
        return ChopsUpdate(self._draw(spans), spans, [cuts[1:] for cuts in self.cuts]) if spans else None

    def _render_chops(  # type: ignore[override]
        self, crop: Region, _is_rendered_line: object
    ) -> list[dict[int, Strip | None]]:
        return self._draw((y, *crop.column_span) for y in crop.line_range)

    def _draw(self, spans: Iterable[tuple[int, int, int]]) -> list[dict[int, Strip | None]]:
        """Draw parts of lines (line, first column, end), each from the widget in front there."""
        chops = [dict[int, Strip | None].fromkeys(cuts[:-1]) for cuts in self.cuts]
        missing = defaultdict[int, set[int]](set)
        for y, left, right in spans:
            missing[y].update(x for x, end in pairwise(self.cuts[y]) if x < right and end > left)
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            columns = range(*shown.column_span)
            in_sight = [y for y in shown.line_range if y in missing and not missing[y].isdisjoint(columns)]
            if not in_sight:
                continue
            part = Region(shown.x, in_sight[0], shown.width, in_sight[-1] + 1 - in_sight[0])
            lines = widget.render_lines(part.translate(-region.offset))
            for y, strip in enumerate(lines, part.y):
                cuts = [x for x in self.cuts[y] if shown.x <= x <= shown.right]
                for x, piece in zip(cuts, strip.divide([x - shown.x for x in cuts[1:]]), strict=False):
                    if x in missing[y]:
                        missing[y].remove(x)
                        chops[y][x] = piece
            for strip in lines:  # the pieces serve the equal lines of a pane, and no later frame
                strip._divide_cache.clear()
        return chops


def has_pending_changes(screen: Screen[Any]) -> bool:
    """Return whether a screen has a pending layout, scroll or callback."""
    return screen._layout_required or screen._scroll_required or bool(screen._callbacks)


class DrawnOnce(Screen[ScreenResultType]):
    """A base class for screens that are laid out and drawn only once when they come to the front.

    It shows what Textual would show, without the repeated work of Textual 8.2.8: a layout for each Resize event with
    the same size, a second layout of widgets that are new or got a new size, matching all styles whenever the screen
    comes to the front, and a second full drawing after a layout.
    """

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._compositor = LeanCompositor()
        self._known_size = self.app.size
        self._theme_drawn = self.app.theme
        self._clock = FrameClock(self.app, self._draw_changes)
        self._is_preparing = False
        """True while a layout runs whose drawing must wait."""

    @property
    def _update_timer(self) -> FrameClock:  # type: ignore[override]
        """The clock, in place of Textual's timer."""
        return self._clock

    def prepare_frame(self) -> bool:
        """Do the pending layout without drawing. Return False if there was none; else more changes may follow."""
        if not has_pending_changes(self):
            return False
        self._is_preparing = True
        try:
            self.draw_frame()
        finally:
            self._is_preparing = False
        self._clock.resume()
        return True

    def draw_frame(self) -> None:
        """Draw all changes now."""
        self._clock.tick()

    def _draw_changes(self) -> None:
        if not self.is_active:  # the screen in front draws itself and what shows through it
            self._repaint_required = False
        self._on_timer_update()
        if self._compositor._dirty_regions and self.is_current:
            self._compositor_refresh()

    def post_message(self, message: Message) -> bool:
        """Drop a Resize event with the size that the screen has already."""
        if isinstance(message, events.Resize):
            if message.size == self._known_size:
                return True
            self._known_size = message.size
        return super().post_message(message)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Refresh without a repaint if a layout is due, since the layout draws what it moves."""
        return super().refresh(*regions, repaint=repaint and not layout, layout=layout, recompose=recompose)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Show the screen behind a transparent one as it is; Textual has Rich draw it again, with no tint."""
        behind = self.app._background_screens if self.app.screen is self else ()
        if not behind:
            return super().render_lines(crop)
        if behind[-1]._compositor.size != self._compositor.size:  # one of the two is resized first
            lay_out(behind[-1], self._compositor.size)
        return [line.discard_meta() for line in behind[-1]._compositor.render_strips()[crop.y : crop.bottom]]

    @on(events.ScreenResume)
    def _come_into_sight(self, event: events.ScreenResume) -> None:
        """Come to the front, in place of Textual's own handler."""
        event.prevent_default()
        self.stack_updates += 1
        if self._theme_drawn != self.app.theme:
            self._theme_drawn = self.app.theme
            self.update_node_styles(animate=False)
        if self.outer_size != self.app.size:
            lay_out(self)
        else:
            for part in self.children:  # refreshing the screen itself would draw it twice
                part.refresh()

    def _compositor_refresh(self) -> None:
        """Draw nothing while keys typed ahead are pending, `prepare_frame` runs, or Textual drops each frame, as in a
        batch: the next one has it all."""
        if self.app._batch_count:
            self._clock.resume()
        elif not (TAKEOVER.is_ahead or self._is_preparing):
            super()._compositor_refresh()
