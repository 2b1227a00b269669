"""The table of every list: a window of a few screens on ordered rows, and its column titles.

Invariant: cursor and marks belong to row ids, never to line numbers. When rows move, come or go, the cursor stays on
its row, and that row on its line of the screen. A change repaints only the lines that differ; two lines with equal
looks are the same strip. Neither memory nor the cost of a key grows with the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Generic, NamedTuple, get_args

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive, reactive
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from runtui.domain.columns import GAP, GUTTER, Arrangement, Column, ListCell, Role, RowT
from runtui.domain.times import now_ticks
from runtui.tui.actions import bindings
from runtui.tui.resources import HIDDEN_BY_MARK, MARKED, ReadRows, Resource, RowFlag, RowId, Rows
from runtui.tui.text import fit
from runtui.tui.widgets.chrome import unboxed

CLOCK_SECONDS: Final = 60
"""How often relative times are updated."""


def no_flag(_row: object) -> None:
    """Return no flag, for rows with marks only."""


_MAX_STRIPS: Final = 128
"""The drawn lines that are kept: some screens of them, 2 KB each."""


class LineLook(NamedTuple):
    """All facts that the drawing of one line depends on; a line without cells is blank."""

    width: int
    sign: str = ""
    cells: tuple[ListCell, ...] = ()
    cursor: str = ""
    """The component class of the cursor, without its prefix; empty if the cursor is on another line."""
    cell: str = ""
    """The key of the column under the cursor; empty if the cursor is on the whole row."""


class ColumnHeader(Widget):
    """The column titles of a table, with an arrow at the sorted column and marks at the ends for hidden columns."""

    class Chosen(Message):
        """A title was clicked; `key` is the key of its column."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    DEFAULT_CSS = "ColumnHeader { height: 1; }"

    sort: reactive[tuple[str, bool]] = reactive(("", False))
    """The key of the sorted column, and whether the order is descending."""

    arrangement: reactive[Arrangement[Any]] = reactive(Arrangement(()))

    def __init__(self, columns: tuple[Column[Any], ...]) -> None:
        super().__init__()
        self.set_reactive(ColumnHeader.arrangement, Arrangement(columns))

    def render(self) -> RenderResult:
        key, descending = self.sort
        text = " " * GUTTER
        for column, width in self.arrangement.layout(self.size.width):
            title = column.title + (("↓" if descending else "↑") if column.key == key else "")
            fits = cell_len(title) <= width
            # A title as wide as its column has its arrow in the gap.
            text += fit(title, width, align=column.align) + " " * GAP if fits else fit(title, width + GAP)
        first = self.arrangement.first
        has_more = first is not None and self.arrangement.hidden(self.size.width) > 0
        marks = ("‹" if first else "", "›" if has_more else "")
        return Content(f"{marks[0]}{text[len(marks[0]) : self.size.width - len(marks[1])]}{marks[1]}")

    def on_click(self, event: events.Click) -> None:
        column = self.arrangement.column_at(event.x, self.size.width)
        if column is not None:
            self.post_message(self.Chosen(column.key))


class LinePainter:
    """Draws the lines of a widget that has the component classes of `LineTable`."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._strips: dict[LineLook, Strip] = {}
        self._styles: dict[str, Style] = {}

    def forget(self) -> None:
        """Drop the drawn lines after the styles or the columns have changed."""
        self._strips.clear()
        self._styles.clear()

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self._widget.get_visual_style(f"line-table--{name}").rich_style
        return style

    def strip(self, look: LineLook, arrangement: Arrangement[Any]) -> Strip:
        strip = self._strips.get(look)
        if strip is None:
            if len(self._strips) >= _MAX_STRIPS:
                self._strips.clear()
            style = self._widget.visual_style.rich_style  # cached, unlike `rich_style`
            strip = self._strips[look] = self._draw(look, arrangement).adjust_cell_length(look.width, style)
        return strip

    def _draw(self, look: LineLook, arrangement: Arrangement[Any]) -> Strip:
        """Draw a line with the columns that fit; the line under the cursor is in one style, with its status colour."""
        segments = [Segment(fit(look.sign, GUTTER), self._style("flag"))] if look.cells else []
        for cell, (column, width) in zip(look.cells, arrangement.layout(look.width), strict=False):
            text = fit(cell.text, width, align=column.align) + " " * GAP
            segments.append(Segment(text, self._style(cell.role)))
        strip = Strip(segments)
        if not look.cursor:
            return strip.simplify()
        style = self._style(look.cursor)
        role = next((cell.role for cell in look.cells if cell.role.startswith("status-")), None)
        if role is not None:
            style = self._style(role) + style.without_color
        line = Strip([Segment(fit(strip.text, look.width), style)], look.width)
        return line if not look.cell else self._with_cell(line, strip, look, arrangement)

    def _with_cell(self, line: Strip, plain: Strip, look: LineLook, arrangement: Arrangement[Any]) -> Strip:
        """Return the cursor's line with the cell under the cursor taken from the `plain` line and marked."""
        start = GUTTER
        for column, width in arrangement.layout(look.width):
            if column.key == look.cell:
                cell = plain.crop(start, start + width).apply_style(self._style("cell"))
                return Strip.join([line.crop(0, start), cell, line.crop(start + width, look.width)])
            start += width + GAP
        return line


@unboxed
class LineTable(ScrollView, Generic[RowT, RowId], can_focus=True, inherit_bindings=False):
    """Shows the rows of a resource. Lines are numbered from 0 in the order of the source. `flag` returns the flag of a
    row, if it has one besides its mark.
    """

    BINDINGS = bindings("table")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"line-table--{name}" for name in ("cursor", "cursor-blurred", "cell", "flag", *get_args(Role))
    }

    DEFAULT_CSS = "LineTable { overflow: hidden; }"

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)  # the number of rows moves no other widget

    class CursorMoved(Message):
        """The cursor is on another row or on none, or `show` was called."""

    class EndReached(Message):
        """The cursor was moved to the last line; a source that is read in pages may have more rows."""

    def __init__(
        self, resource: Resource[RowT, RowId], flag: Callable[[RowT], RowFlag | None] = no_flag, *, id: str
    ) -> None:
        super().__init__(id=id)
        self.resource = resource
        self.arrangement: Arrangement[RowT] = Arrangement(resource.columns)
        self._own_flag = flag
        self._source: Rows[RowT, RowId] = ReadRows((), resource.id_of)
        self._start = 0
        self._rows: Sequence[RowT] = ()
        self._drawn: dict[int, LineLook] = {}
        self._painter = LinePainter(self)
        self._now = now_ticks()
        self._laid_out_size = Size()
        self.total = 0
        self.cursor = 0
        self.cursor_id: RowId | None = None
        self.marks: frozenset[RowId] = frozenset()
        """The ids of the marked rows, listed or not."""
        self._last_marked: RowId | None = None
        self.cell = ""
        """The key of the column under the cursor; empty if the cursor is on the whole row."""
        self.is_untouched = True
        """True until a person moves the cursor, acts on its row or asks for other rows."""

    # What is shown

    def show(self, source: Rows[RowT, RowId], *, keep_line: bool) -> None:
        """Show the current rows of a source, and repaint the lines that differ.

        The cursor stays on its row. With `keep_line` that row stays on its line of the screen; if the row is gone, the
        cursor stays on the line. Without `keep_line`, the cursor then goes to the first row. While `is_untouched`, the
        cursor stays on the first line as rows come in: it was put there for no row in particular.
        """
        self._source = source
        self.is_untouched = self.is_untouched and keep_line
        offset = self.cursor - self.scroll_offset.y
        self.total = source.count()
        self._rows = ()
        row_id = None if self.is_untouched else self.cursor_id
        line = source.position(row_id) if row_id is not None else None
        if line is None:
            line = min(self.cursor, max(0, self.total - 1)) if keep_line else 0
        self.virtual_size = Size(0, self.total)
        self._place_cursor(line)
        self.call_next(self._tell_cursor_moved)
        # If the wheel has scrolled away from the cursor, keep it so.
        self._scroll_to_line(line - (offset if keep_line else self.size.height // 2))
        self._repaint_differences()

    def _tell_cursor_moved(self) -> None:
        """Post CursorMoved from this table's own task: Textual 8.2.8 stops a message at the parent that caused it."""
        self.post_message(self.CursorMoved())

    def set_columns(self, arrangement: Arrangement[RowT]) -> None:
        """Set the columns, and redraw all rows if they differ."""
        if arrangement != self.arrangement:
            self.arrangement = arrangement
            self._drawn.clear()
            self._painter.forget()
            self.refresh()

    def tick(self) -> None:
        """Update relative times ("3m ago"), and redraw only the lines that changed."""
        self._now = now_ticks()
        self._repaint_differences()

    def flags_changed(self, row_id: RowId) -> None:
        for index, row in enumerate(self._rows):
            if self.resource.id_of(row) == row_id:
                self._repaint_line(self._start + index)

    def row_under_cursor(self, *, pin: bool = False) -> RowT | None:
        """Return the row under the cursor. With `pin`, keep the cursor on that row from now on."""
        self.is_untouched = self.is_untouched and not pin
        return self._row(self.cursor) if self.total else None

    def finds(self, row_id: RowId) -> bool:
        return self._source.position(row_id) is not None

    # Marks

    def toggle_mark(self, row_id: RowId) -> None:
        self.marks ^= {row_id}
        self._last_marked = row_id
        self.flags_changed(row_id)

    def set_marks(self, row_ids: frozenset[RowId]) -> None:
        """Mark these rows, listed or not, and no others."""
        self.marks = row_ids
        self._repaint_differences()

    def mark_range(self) -> None:
        """Mark the rows from the one whose mark was changed last to the cursor."""
        if self.cursor_id is None:
            return
        last = self._source.position(self._last_marked) if self._last_marked is not None else None
        first, end = sorted((self.cursor if last is None else last, self.cursor))
        self.set_marks(self.marks.union(map(self.resource.id_of, self._source.window(first, end - first + 1))))
        self._last_marked = self.cursor_id

    def flag(self, row: RowT) -> str:
        flag = self._own_flag(row)
        if self.resource.id_of(row) in self.marks and (flag is None or flag in HIDDEN_BY_MARK):
            flag = MARKED
        return flag.sign if flag is not None else " "

    # The cursor

    def move_to(self, line: int) -> None:
        """Move the cursor to a line, scrolling only as far as needed."""
        self.is_untouched = False
        if not self.total:
            return
        line = max(0, min(line, self.total - 1))
        before = self.cursor
        if self._place_cursor(line):
            self.post_message(self.CursorMoved())
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if line < top:
            self._scroll_to_line(line)
        elif line >= top + height:
            self._scroll_to_line(line - height + 1)
        if line != before:
            self._repaint_line(before)
            self._repaint_line(line)
        if line == self.total - 1:
            self.post_message(self.EndReached())

    def move_to_cell(self, column: str) -> None:
        """Move the cursor to a cell of its row by the column's key; empty for the whole row."""
        self.is_untouched = False
        self.cell = column
        self._repaint_line(self.cursor)

    def _place_cursor(self, line: int) -> bool:
        """Put the cursor on a line without drawing; return whether another row is under it."""
        self.cursor = line
        row = self._row(line) if self.total else None
        before, self.cursor_id = self.cursor_id, None if row is None else self.resource.id_of(row)
        return self.cursor_id != before

    def _scroll_to_line(self, top: int) -> None:
        top = max(0, min(top, self.total - self.size.height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def action_cursor_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_cursor_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_page_up(self) -> None:
        self.move_to(self.cursor - max(1, self.size.height - 1))

    def action_page_down(self) -> None:
        self.move_to(self.cursor + max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(self.total - 1)

    def on_click(self, event: events.Click) -> None:
        line = self.scroll_offset.y + event.y
        if line < self.total:
            self.move_to(line)
        else:
            event.stop()  # a double click opens nothing here

    # The window

    def _row(self, line: int) -> RowT | None:
        index = line - self._start
        if not (self._rows and 0 <= index < len(self._rows)):
            height = max(20, self.size.height)
            self._start = max(0, line - height)
            self._rows = self._source.window(self._start, 3 * height)
            index = line - self._start
        return self._rows[index] if 0 <= index < len(self._rows) else None

    # Drawing

    def on_mount(self) -> None:
        self.set_interval(CLOCK_SECONDS, self.tick)
        self.screen.screen_layout_refresh_signal.subscribe(self, self._laid_out)

    def _laid_out(self, _screen: Screen[object]) -> None:
        """Keep the cursor visible after the table's size has changed.

        A Resize event is not enough: Textual 8.2.8 sends none if a scroll comes between the change and its layout.
        """
        before, self._laid_out_size = self._laid_out_size, self.size
        is_out_of_sight = not 0 <= self.cursor - self.scroll_offset.y < before.height
        if self.size == before or (before.height and is_out_of_sight):
            return  # the wheel has scrolled away from it
        untouched = self.is_untouched
        self.move_to(self.cursor)
        self.is_untouched = untouched

    @property
    def allow_vertical_scroll(self) -> bool:
        """Whether the wheel scrolls. Textual's version requires a scrollbar, which would cost one more layout."""
        return self.max_scroll_y > 0

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.forget()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Do not match styles again: only the cursor's depends on the focus, and its line is redrawn."""

    def on_focus(self) -> None:
        self._repaint_line(self.cursor)

    on_blur = on_focus

    def render_line(self, y: int) -> Strip:
        look = self._drawn[y] = self._look(self.scroll_offset.y + y)
        return self._painter.strip(look, self.arrangement)

    def _look(self, line: int) -> LineLook:
        row = self._row(line) if line < self.total else None
        width = self.size.width
        if row is None:
            return LineLook(width)
        cells = tuple(column.show(row, self._now) for column, _ in self.arrangement.layout(width))
        cursor = ("cursor" if self.has_focus else "cursor-blurred") if line == self.cursor else ""
        return LineLook(width, self.flag(row), cells, cursor, self.cell if cursor else "")

    def _repaint_line(self, line: int) -> None:
        if 0 <= line - self.scroll_offset.y < self.size.height:
            self.refresh_line(line)

    def _repaint_differences(self) -> None:
        for y in range(self.size.height):
            if self._drawn.get(y) != self._look(self.scroll_offset.y + y):
                self.refresh_line(self.scroll_offset.y + y)
