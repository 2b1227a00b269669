"""The table of runs: a window of a few screens on a query, drawn line by line.

Invariant: the cursor belongs to a run id. Rows may move, come and go; the cursor stays on its run and the run stays
on its line of the screen. A change repaints the lines that differ, and memory does not grow with the number of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import RenderResult
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from runtui.domain.rows import GAP, GUTTER, Cell, RunRow, cell, list_layout
from runtui.domain.times import now_ticks
from runtui.services.store import Query
from runtui.tui.actions import bindings
from runtui.tui.text import fit

_MAX_STRIPS = 512

TICK_SECONDS: Final = 60
"""How often relative times are looked at again."""


class RowSource(Protocol):
    """Where the rows are: the store."""

    def window(self, query: Query, start: int, count: int) -> list[RunRow]:
        """Some rows of the query, in its order."""

    def count(self, query: Query) -> int:
        """How many rows the query has."""

    def position(self, query: Query, run_id: str) -> int | None:
        """The line of a run in the query's order; None when it is not in it."""


@dataclass(frozen=True, slots=True)
class RowFlag:
    """What stands before a row: one cell, and the word for it."""

    sign: str
    word: str


NO_FLAG = RowFlag(" ", "")


class LineLook(NamedTuple):
    """Everything that the drawing of one line depends on; a line without cells is blank."""

    width: int
    sign: str = ""
    cells: tuple[Cell, ...] = ()
    cursor: str = ""
    """The role of the cursor on it; empty when it stands elsewhere."""


class ColumnHeader(Widget):
    """The titles above the table; the sorted column carries an arrow."""

    DEFAULT_CSS = "ColumnHeader { height: 1; }"

    sort: reactive[tuple[str, bool]] = reactive(("started", True))
    """The key of the sorted column, and whether it runs downwards."""

    def render(self) -> RenderResult:
        """Draw the titles in the layout that the table has at this width."""
        from textual.content import Content

        key, descending = self.sort
        text = " " * GUTTER
        for column, width in list_layout(self.size.width):
            title = column.title + (("↓" if descending else "↑") if column.key == key else "")
            fits = cell_len(title) <= width
            # The arrow of a title as wide as its column stands in the gap.
            text += fit(title, width, align=column.align) + " " * GAP if fits else fit(title, width + GAP)
        return Content(text)


class RunTable(ScrollView, can_focus=True):
    """Shows the runs of a query. Lines are numbered from 0 in the query's order."""

    BINDINGS = bindings("table")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-table--cursor",
        "run-table--cursor-blurred",
        "run-table--flag",
        "run-table--status-failed",
        "run-table--status-problem",
        "run-table--status-active",
        "run-table--status-stuck",
        "run-table--status-done",
        "run-table--status-waiting",
        "run-table--status-unknown",
        "run-table--text",
        "run-table--muted",
        "run-table--number",
        "run-table--alert",
    }
    """
    | Class | Description |
    | :- | :- |
    | `run-table--cursor` | The row under the cursor, while the table has the focus. |
    | `run-table--cursor-blurred` | The same, while it has not. |
    | `run-table--flag` | The sign before a row. |
    | `run-table--ROLE` | A cell, by its role in `domain.rows`. |
    """

    DEFAULT_CSS = """
    RunTable { scrollbar-size: 0 0; overflow-x: hidden; }
    """

    class CursorMoved(Message):
        """The cursor stands on another run, or on none."""

        def __init__(self, table: RunTable, run_id: str | None) -> None:
            super().__init__()
            self.table = table
            self.run_id = run_id

        @property
        def control(self) -> RunTable:
            """The table."""
            return self.table

    def __init__(self, source: RowSource, query: Query, flag: Callable[[str], RowFlag], *, id: str) -> None:
        super().__init__(id=id)
        self._source = source
        self._flag = flag
        self.shown = query
        """The filter and the order that are shown."""
        self._start = 0
        self._rows: list[RunRow] = []
        self._drawn: dict[int, LineLook] = {}
        self._strips: dict[LineLook, Strip] = {}
        self._styles: dict[str, Style] = {}
        self._now = now_ticks()
        self.total = 0
        self.cursor = 0
        self.cursor_id: str | None = None
        self.is_untouched = True
        """Whether nobody has moved the cursor, acted on its run or asked for other rows yet."""

    # What is shown

    def reload(self, query: Query, *, keep_line: bool) -> None:
        """Show a query as the store answers it now, and repaint the lines that differ.

        The cursor stays on its run. With `keep_line` so does the run on its line of the screen, and where the run is
        gone the cursor stays on the line; without, it goes to the first row then. A cursor that nobody has touched
        stays on the first row while a list comes in: it stands there for no run.
        """
        self.shown = query
        self.is_untouched = self.is_untouched and keep_line
        offset = self.cursor - self.scroll_offset.y
        self.total = self._source.count(self.shown)
        self._rows = []
        run_id = None if self.is_untouched else self.cursor_id
        line = self._source.position(self.shown, run_id) if run_id is not None else None
        if line is None:
            line = min(self.cursor, max(0, self.total - 1)) if keep_line else 0
        self.virtual_size = Size(self.size.width, self.total)
        self._place_cursor(line)
        offset = offset if keep_line else self.size.height // 2
        self._scroll_to_line(line - max(0, min(offset, self.size.height - 1)))
        self._repaint_differences()

    def tick(self) -> None:
        """Let relative times ("3m ago") move on; only lines whose text changed are drawn."""
        self._now = now_ticks()
        self._repaint_differences()

    def flags_changed(self, run_id: str) -> None:
        """Repaint the row of a run whose flag may have changed."""
        for index, row in enumerate(self._rows):
            if row.id == run_id:
                self._repaint_line(self._start + index)

    def row_under_cursor(self, *, hold: bool = False) -> RunRow | None:
        """The row at the cursor; with `hold`, somebody acts on it, and from now on the cursor stays on its run."""
        self.is_untouched = self.is_untouched and not hold
        return self._row(self.cursor) if self.total else None

    def finds(self, run_id: str) -> bool:
        """Whether the query that is shown finds a run."""
        return self._source.position(self.shown, run_id) is not None

    # The cursor

    def move_to(self, line: int) -> None:
        """Put the cursor on a line, scrolling only as far as needed."""
        self.is_untouched = False
        if not self.total:
            return
        line = max(0, min(line, self.total - 1))
        before = self.cursor
        self._place_cursor(line)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if line < top:
            self._scroll_to_line(line)
        elif line >= top + height:
            self._scroll_to_line(line - height + 1)
        if line != before:
            self._repaint_line(before)
            self._repaint_line(line)

    def _place_cursor(self, line: int) -> None:
        self.cursor = line
        row = self._row(line) if self.total else None
        run_id = row.id if row else None
        if run_id != self.cursor_id:
            self.cursor_id = run_id
            self.post_message(self.CursorMoved(self, run_id))

    def _scroll_to_line(self, top: int) -> None:
        top = max(0, min(top, self.total - self.size.height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def action_step(self, rows: int) -> None:
        """Some rows down, or up."""
        self.move_to(self.cursor + rows)

    def action_page(self, screens: int) -> None:
        """Some screens down, or up."""
        self.move_to(self.cursor + screens * max(1, self.size.height - 1))

    def action_first_row(self) -> None:
        """To the first run."""
        self.move_to(0)

    def action_last_row(self) -> None:
        """To the last run."""
        self.move_to(self.total - 1)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the clicked row."""
        line = self.scroll_offset.y + event.y
        if line < self.total:
            self.move_to(line)

    # The window

    def _row(self, line: int) -> RunRow | None:
        index = line - self._start
        if not (self._rows and 0 <= index < len(self._rows)):
            height = max(20, self.size.height)
            self._start = max(0, line - height)
            self._rows = self._source.window(self.shown, self._start, 3 * height)
            index = line - self._start
        return self._rows[index] if 0 <= index < len(self._rows) else None

    # Drawing

    def on_mount(self) -> None:
        """Let time pass."""
        self.set_interval(TICK_SECONDS, self.tick)

    def on_resize(self) -> None:
        """Keep the cursor in sight at any size."""
        self.virtual_size = Size(self.size.width, self.total)
        untouched = self.is_untouched
        self.move_to(self.cursor)
        self.is_untouched = untouched

    def notify_style_update(self) -> None:
        """Forget drawn lines when the theme or the focus changes."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def on_focus(self) -> None:
        """Draw the cursor row as the one keys act on."""
        self._repaint_line(self.cursor)

    def on_blur(self) -> None:
        """Draw the cursor row as one that waits."""
        self._repaint_line(self.cursor)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        line = self.scroll_offset.y + y
        look = self._drawn[y] = self._look(line)
        strip = self._strips.get(look)
        if strip is None:
            if len(self._strips) >= _MAX_STRIPS:
                self._strips.clear()
            strip = self._strips[look] = _draw(look, self._style).adjust_cell_length(look.width, self.rich_style)
        return strip

    def _look(self, line: int) -> LineLook:
        row = self._row(line) if line < self.total else None
        width = self.size.width
        if row is None:
            return LineLook(width)
        cells = tuple(cell(column, row, self._now) for column, _ in list_layout(width))
        cursor = ("cursor" if self.has_focus else "cursor-blurred") if line == self.cursor else ""
        return LineLook(width, self._flag(row.id).sign, cells, cursor)

    def _style(self, role: str) -> Style:
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self.get_component_rich_style(f"run-table--{role}")
        return style

    def _repaint_line(self, line: int) -> None:
        if 0 <= line - self.scroll_offset.y < self.size.height:
            self.refresh_line(line)

    def _repaint_differences(self) -> None:
        for y in range(self.size.height):
            line = self.scroll_offset.y + y
            if self._drawn.get(y) != self._look(line):
                self.refresh_line(line)


def _draw(look: LineLook, style_of: Callable[[str], Style]) -> Strip:
    """A line in the columns that its width has room for."""
    segments = [Segment(fit(look.sign, GUTTER), style_of("flag"))] if look.cells else []
    for shown, (column, width) in zip(look.cells, list_layout(look.width), strict=False):
        segments.append(Segment(fit(shown.text, width, align=column.align) + " " * GAP, style_of(shown.role)))
    strip = Strip(segments)
    if look.cursor:
        return Strip([Segment(fit(strip.text, look.width), style_of(look.cursor))], look.width)
    return strip.simplify()
