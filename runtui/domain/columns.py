"""The columns of a list: their cells, their order, and which of them fit into a width.

Invariant: at one width every line of a list has the same columns, which fill the width with GAP between them. The
flexible column, by which a person recognizes a row, is always shown. Cells carry foreign text as received: whoever
shows one makes it visible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from runtui.domain.times import distance

RowT = TypeVar("RowT")

Align = Literal["left", "right"]

Role = Literal[
    "status-failed",
    "status-problem",
    "status-active",
    "status-stuck",
    "status-done",
    "status-waiting",
    "status-unknown",
    "text",
    "muted",
    "number",
    "alert",
    "heading",
]
"""The meaning of a cell, which decides its colour. The colour of a `status-` role stays visible under the cursor."""

GAP: Final = 1
"""Cells between two columns."""

GUTTER: Final = 2
"""Cells to the left of the first column: the mark of a row and a blank."""

WIDE: Final = 100
"""The least width of a screen, in cells, that has a panel beside the list."""

FRAMED_LINES: Final = 30
"""The least height of a wide screen, in lines, whose panes have frames."""

_SHARE: Final = (3, 5)
"""The list's share of a wide screen, as a fraction; styles/base.tcss has the same value in its own unit."""

ESSENTIAL: Final = 4
"""A column with a lower priority number is always shown; with this one, if the flexible column keeps LEGIBLE_CELLS."""

LEGIBLE_CELLS: Final = 12
"""The least width of the flexible column at which the last essential column is shown."""

FAVOURED: Final = 6
"""Columns up to this priority number may leave the flexible column only its least width."""

COMFORT_CELLS: Final = 26
"""The width that the flexible column keeps before a column beyond FAVOURED is shown, if its needs are unknown."""

RESERVED_CELLS: Final = 40
"""The most cells that the flexible column reserves for its own values before other columns are shown."""

_GROWTH: Final = 4
"""A growing column gets one in this many cells that the flexible column has above its least width and COMFORT_CELLS."""

_TERMINAL_COLOURS: Final[Mapping[Role, str]] = {
    "status-failed": "\x1b[1;31m",
    "status-problem": "\x1b[33m",
    "status-active": "\x1b[36m",
    "status-stuck": "\x1b[1;35m",
    "status-done": "\x1b[32m",
    "status-unknown": "\x1b[35m",
    "alert": "\x1b[1;31m",
}
"""The escape sequences of the terminal's own colours; a status always has a glyph and a word besides."""


def coloured(text: str, role: Role) -> str:
    """Return `text` in the terminal's colour for the role, or unchanged if the role has none."""
    colour = _TERMINAL_COLOURS.get(role)
    return f"{colour}{text}\x1b[0m" if colour else text


class ListCell(NamedTuple):
    """One cell: its text, foreign text as received, and its meaning."""

    text: str
    role: Role = "text"


DASH: Final = "–"
EMPTY_CELL: Final = ListCell(DASH, "muted")


def text_cell(text: str, role: Role = "text") -> ListCell:
    return ListCell(text, role) if text else EMPTY_CELL


def age_cell(ticks: int | None, now: int, role: Role = "text") -> ListCell:
    """Return the age of a time that the service recorded (ticks); EMPTY_CELL for None."""
    return EMPTY_CELL if ticks is None else ListCell(distance(ticks, now, is_recorded=True), role)


DESCENDING: Final = ("-value",)
"""The `order` of a column whose natural order is by descending `value`."""

Show: TypeAlias = Callable[[RowT, int], ListCell]
"""Returns the cell of a row at the time `now` (ticks)."""


class Column(NamedTuple, Generic[RowT]):
    """One column of a list."""

    key: str
    title: str
    width: int
    """Cells. For a growing column this is the least width. The other columns leave the flexible one this width, or less
    if its values need less."""
    priority: int
    """Columns with lower numbers get room first as the screen widens (see ESSENTIAL)."""
    show: Show[RowT]
    order: tuple[str, ...] = ()
    """The natural order, used at the first press: columns of the store, with "-" for descending. The other direction
    reverses the list. Rows in memory are ordered by `value`: DESCENDING for descending, empty for ascending."""
    align: Align = "left"
    flexible: bool = False
    """True for the one column of a list that takes the remaining room."""
    grows_to: int = 0
    """The most cells the column takes: what its values need, or a part of the spare room if that is unknown. Above
    RESERVED_CELLS it is prose, which is cut if other columns need the room. 0 for a fixed width."""
    value: Callable[[RowT], str | int] | None = None
    """The sort key for rows in memory; None to sort by the text of the cell."""
    order_name: str = ""
    """The name of the order; empty if it is the title."""

    @property
    def name(self) -> str:
        """The name in a list of columns: the title, or the key if there is no title."""
        return self.title or self.key

    @property
    def descending_first(self) -> bool:
        """True if the natural order is descending: the worst, the newest or the most first."""
        return bool(self.order) and self.order[0].startswith("-")

    def order_title(self, *, descending: bool) -> str:
        """Return the order by this column for a title, such as "severity ↓"."""
        return f"{self.order_name or self.name} {'↓' if descending else '↑'}"


class Order(NamedTuple):
    """The order of rows."""

    key: str = ""
    """The key of the column to compare; empty to keep the order in which the rows came."""
    descending: bool = False
    """True for the greatest first; without a column, for the last row first."""


def natural_order(column: Column[RowT]) -> Order:
    """Return the order by a column in its natural direction."""
    return Order(column.key, column.descending_first)


def chosen_columns(columns: Sequence[Column[RowT]], keys: Sequence[str]) -> tuple[Column[RowT], ...]:
    """Return the columns with these keys, with the flexible one before them if it is not among them; all columns if
    no key is known."""
    by_key = {column.key: column for column in columns}
    chosen = tuple(by_key[key] for key in keys if key in by_key)
    if not chosen or any(column.flexible for column in chosen):
        return chosen or tuple(columns)
    return (next(column for column in columns if column.flexible), *chosen)


def in_order(rows: Sequence[RowT], columns: Sequence[Column[RowT]], order: Order, now: int) -> Sequence[RowT]:
    """Sort rows in memory, text in any case. The natural order is stable; the other is its exact reverse."""
    column = next((column for column in columns if column.key == order.key), None)
    if column is None:
        return rows[::-1] if order.descending else rows
    value = column.value or (lambda row: column.show(row, now).text)

    def worth(row: RowT) -> str | int:
        found = value(row)
        return found.casefold() if isinstance(found, str) else found

    ordered = sorted(rows, key=worth, reverse=column.descending_first)
    return ordered if order == natural_order(column) else ordered[::-1]


Layout: TypeAlias = tuple[tuple[Column[RowT], int], ...]
"""The visible columns, each with its width in cells."""

Needs: TypeAlias = tuple[tuple[str, int], ...]
"""Pairs of a column's key and the cells of its widest value."""


@lru_cache(maxsize=64)
def list_layout(
    columns: tuple[Column[Any], ...], width: int, needs: Needs = (), *, is_chosen: bool = False, first: int = 0
) -> Layout[Any]:
    """Choose the columns for a list of `width` cells, and their widths. With GAP between them, the gutter and one blank
    at the right end they fill the width.

    Exactly one column is flexible; if the essential columns do not fit, it shrinks to as little as one cell. With
    `is_chosen`, a person chose the columns: their order decides, not their priority, and the last ones are left out.
    `first` is how many other columns are scrolled out at the left; from 1 on their order decides as well.
    """
    needed = dict(needs)
    flexible = next(column for column in columns if column.flexible)
    name = min(needed.get(flexible.key, 0), RESERVED_CELLS)
    narrowest = max(len(flexible.title) + GAP, min(flexible.width, needed.get(flexible.key, flexible.width)))
    shown = {flexible.key: 0}
    room = width - GUTTER - GAP
    others, is_chosen = [column for column in columns if not column.flexible][first:], is_chosen or first > 0
    kept = narrowest + sum(column.width + GAP for column in others if column.priority <= ESSENTIAL)
    for column in others if is_chosen else sorted(others, key=lambda column: column.priority):
        kept -= (column.width + GAP) * (column.priority <= ESSENTIAL)
        least = name or (COMFORT_CELLS if column.priority > FAVOURED else 0)
        least = max(narrowest, min(least, width // 2) if is_chosen else least)
        # A column grows only into room that no essential column needs.
        needs_most = min(needed.get(column.key, 0), column.grows_to)
        spare = room - GAP - (least if column.grows_to > RESERVED_CELLS else kept)
        cells = max(column.width, needs_most if is_chosen else min(needs_most, spare))
        left = room - cells - GAP
        is_crowded = left < (LEGIBLE_CELLS if column.priority == ESSENTIAL else least)
        if is_crowded and (len(shown) > 1 if is_chosen else column.priority >= ESSENTIAL):
            break
        shown[column.key] = cells
        room = left
    for column in columns:
        if column.grows_to and column.key in shown and column.key not in needed:
            growth = min(column.grows_to - column.width, max(0, room - max(COMFORT_CELLS, narrowest)) // _GROWTH)
            shown[column.key] += growth
            room -= growth
    return tuple(
        (column, max(1, room) if column.flexible else shown[column.key]) for column in columns if column.key in shown
    )


class Arrangement(NamedTuple, Generic[RowT]):
    """The columns of a list and how they are scrolled, for any width."""

    columns: tuple[Column[RowT], ...]
    needs: Needs = ()
    is_chosen: bool = False
    """True if a person chose the columns."""
    first: int | None = None
    """How many columns are scrolled out at the left; the flexible one stays. None if the list does not scroll."""

    def layout(self, width: int) -> Layout[RowT]:
        return list_layout(self.columns, width, self.needs, is_chosen=self.is_chosen, first=self.first or 0)

    def column_at(self, x: int, width: int) -> Column[RowT] | None:
        """Return the column at cell `x`, from 0; the gap after a column belongs to it. None outside all columns."""
        start = GUTTER
        for column, cells in self.layout(width):
            if start <= x < start + cells + GAP:
                return column
            start += cells + GAP
        return None

    def hidden(self, width: int) -> int:
        return len(self.columns) - (self.first or 0) - len(self.layout(width))

    def scrolled(self, by: int, width: int) -> Arrangement[RowT]:
        """Return this arrangement scrolled right by `by` columns (left if negative), as far as there are any."""
        if by > 0 and not self.hidden(width):
            return self
        return self._replace(first=max(0, min((self.first or 0) + by, len(self.columns) - 2)))


def is_framed(screen_columns: int, screen_lines: int) -> bool:
    """Return True if the panes of a screen of that size have a frame: one cell on each side, the title in the top."""
    return screen_columns >= WIDE and screen_lines >= FRAMED_LINES


def pane_width(screen_columns: int) -> int:
    """Return the width of the left pane in cells, frame included."""
    share, of = _SHARE if screen_columns >= WIDE else (1, 1)
    return screen_columns * share // of


def list_width(screen_columns: int, screen_lines: int) -> int:
    """Return the width of a list in cells on a screen of that size, gutter included."""
    return pane_width(screen_columns) - 2 * is_framed(screen_columns, screen_lines)


def panel_width(screen_columns: int, screen_lines: int) -> int:
    """Return the width of a line of the panel in cells on a screen of that size, whether beside or below the list."""
    if screen_columns < WIDE:
        return screen_columns
    return screen_columns - pane_width(screen_columns) - 2 * is_framed(screen_columns, screen_lines)
