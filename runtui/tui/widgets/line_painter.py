"""Draws a table: the column titles, and its lines, with a cache by their look.

Invariant: two lines with equal looks are the same strip, so that a key redraws only what it changes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from runtui.domain.columns import GAP, GUTTER, Arrangement, Column, ListCell
from runtui.tui.text import fit
from runtui.tui.widgets.chrome import ComponentStyles

_MAX_STRIPS: Final = 512


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
        self._style = ComponentStyles(widget, "line-table")

    def forget(self) -> None:
        """Drop the caches after the styles or the columns have changed."""
        self._style.forget()
        self._strips.clear()

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
