"""The columns of a list: what a cell shows, and which columns fit in a width.

Invariant: every line of a list has the same columns at one width, and with GAP between them they fill it. The flexible
column, by which a person knows a row, is always among them. No text is altered for the terminal here: cells carry
foreign text as received.
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
"""What a cell means; the terminal gives each role its colour. A `status-` colour stays visible under the cursor."""

GAP: Final = 1
"""Cells between two columns."""

GUTTER: Final = 2
"""Cells left of the first column: the sign of a row and a blank."""

WIDE: Final = 100
"""Columns of a screen from which something stands beside the list."""

FRAMED_LINES: Final = 30
"""Lines of a wide screen from which its panes have a frame."""

_SHARE: Final = (3, 5)
"""The part of a wide screen that the list takes; styles/base.tcss says the same in its own unit."""

ESSENTIAL: Final = 4
"""Columns up to this priority are shown wherever LEGIBLE cells are left; those above it always are."""

LEGIBLE: Final = 12
"""The cells of the flexible column below which the last of the essential columns gives way."""

FAVOURED: Final = 6
"""Columns up to this priority may take all but the least width of the flexible column."""

COMFORT: Final = 26
"""Cells the flexible column keeps before a column beyond FAVOURED is shown beside it, where nobody knows what it
needs."""

LONGEST: Final = 40
"""The most cells that the flexible column keeps for what it needs before other columns are shown beside it."""

_GROWTH: Final = 4
"""A growing column takes one cell of so many that the flexible column has beyond its least width and COMFORT."""

_TERMINAL_COLOURS: Final[Mapping[Role, str]] = {
    "status-failed": "\x1b[1;31m",
    "status-problem": "\x1b[33m",
    "status-active": "\x1b[36m",
    "status-stuck": "\x1b[1;35m",
    "status-done": "\x1b[32m",
    "status-unknown": "\x1b[35m",
    "alert": "\x1b[1;31m",
}
"""The terminal's own colours; a status is always a glyph and a word as well."""


def coloured(text: str, role: Role) -> str:
    """A text in the terminal's own colour for its role, where it has one."""
    colour = _TERMINAL_COLOURS.get(role)
    return f"{colour}{text}\x1b[0m" if colour else text


class ListCell(NamedTuple):
    """The text of one cell, foreign text as received, and what it means."""

    text: str
    role: Role = "text"


DASH: Final = "–"
NOTHING: Final = ListCell(DASH, "muted")
"""The cell of a value that is not there."""


def text_cell(text: str, role: Role = "text") -> ListCell:
    return ListCell(text, role) if text else NOTHING


def age_cell(ticks: int | None, now: int, role: Role = "text") -> ListCell:
    """How long ago something was that the service recorded."""
    return NOTHING if ticks is None else ListCell(distance(ticks, now, is_recorded=True), role)


GREATEST_FIRST: Final = ("-value",)
"""The `order` of a column whose `value` runs from great to small."""

Show: TypeAlias = Callable[[RowT, int], ListCell]
"""The cell of a row at the moment `now` (ticks)."""


class Column(NamedTuple, Generic[RowT]):
    """One column of a list."""

    key: str
    title: str
    width: int
    """Cells; the least where it grows, and for the flexible column the least that others leave it, unless it needs
    less."""
    priority: int
    """The order in which columns are given room as the screen widens; up to ESSENTIAL they are always shown."""
    show: Show[RowT]
    order: tuple[str, ...] = ()
    """Its natural order, the one of the first press: columns of the store, "-" for descending. The other direction is
    the same list upside down. Rows in memory are ordered by `value`: GREATEST_FIRST, or empty for ascending."""
    align: Align = "left"
    flexible: bool = False
    """Whether it takes the room that is left; one column of a list does."""
    grows_to: int = 0
    """The most cells it takes: those that it needs, or where nobody knows that, some of the room to spare. Above
    LONGEST it is prose, which is cut where others need the room. 0: it keeps its width."""
    value: Callable[[RowT], str | int] | None = None
    """What rows in memory are ordered by; None: the text of the cell."""
    order_name: str = ""
    """What its order is called, where that is not its title."""

    @property
    def name(self) -> str:
        """What it is called where columns are listed; one may have no title."""
        return self.title or self.key

    @property
    def descending_first(self) -> bool:
        """Whether its natural order runs from great to small: the worst, the newest, the most."""
        return bool(self.order) and self.order[0].startswith("-")


class Order(NamedTuple):
    """How rows are ordered."""

    key: str = ""
    """Of the column whose values are compared; empty: rows stand as they came."""
    descending: bool = False
    """Whether the great come first; without a column, whether the last row does."""


def natural_order(column: Column[RowT]) -> Order:
    """The order of the first press."""
    return Order(column.key, column.descending_first)


def in_order(rows: Sequence[RowT], columns: Sequence[Column[RowT]], order: Order, now: int) -> Sequence[RowT]:
    """Rows in memory in an order, text by its letters whatever their case; equal ones stay as they came, or all are
    the other way round than in the natural order."""
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
"""The columns that are shown, each with its width in cells."""

Needs: TypeAlias = tuple[tuple[str, int], ...]
"""The cells of the widest value of some columns, by key."""


@lru_cache(maxsize=64)
def list_layout(
    columns: tuple[Column[Any], ...], width: int, needs: Needs = (), *, is_chosen: bool = False, first: int = 0
) -> Layout[Any]:
    """The columns in a list of `width` cells, each with its own width; with GAP between them they fill it, beside the
    gutter and one blank at the right end.

    On a screen too narrow for the essential columns the flexible one, of which there is one, gives way, down to one
    cell. `is_chosen`: a person chose them, so none is preferred, and those that do not fit lie at the right. `first` of
    the others are left out at the left; from 1 on none is preferred either.
    """
    needed = dict(needs)
    flexible = next(column for column in columns if column.flexible)
    name = min(needed.get(flexible.key, 0), LONGEST)
    narrowest = max(len(flexible.title) + GAP, min(flexible.width, needed.get(flexible.key, flexible.width)))
    shown = {flexible.key: 0}
    room = width - GUTTER - GAP
    others, is_chosen = [column for column in columns if not column.flexible][first:], is_chosen or first > 0
    kept = narrowest + sum(column.width + GAP for column in others if column.priority <= ESSENTIAL)
    for column in others if is_chosen else sorted(others, key=lambda column: column.priority):
        kept -= (column.width + GAP) * (column.priority <= ESSENTIAL)
        least = name or (COMFORT if column.priority > FAVOURED else 0)
        least = max(narrowest, min(least, width // 2) if is_chosen else least)
        # What it needs beyond its width, it takes of none that is always shown.
        needs_most = min(needed.get(column.key, 0), column.grows_to)
        spare = room - GAP - (least if column.grows_to > LONGEST else kept)
        cells = max(column.width, needs_most if is_chosen else min(needs_most, spare))
        left = room - cells - GAP
        is_crowded = left < (LEGIBLE if column.priority == ESSENTIAL else least)
        if is_crowded and (len(shown) > 1 if is_chosen else column.priority >= ESSENTIAL):
            break
        shown[column.key] = cells
        room = left
    for column in columns:
        if column.grows_to and column.key in shown and column.key not in needed:
            growth = min(column.grows_to - column.width, max(0, room - max(COMFORT, narrowest)) // _GROWTH)
            shown[column.key] += growth
            room -= growth
    return tuple(
        (column, max(1, room) if column.flexible else shown[column.key]) for column in columns if column.key in shown
    )


class Arrangement(NamedTuple, Generic[RowT]):
    """How the columns of a list stand, whatever its width."""

    columns: tuple[Column[RowT], ...]
    needs: Needs = ()
    is_chosen: bool = False
    """Whether a person chose them."""
    first: int | None = None
    """How far they are scrolled to the right, in columns; the flexible one stays. None where a list does not scroll."""

    def layout(self, width: int) -> Layout[RowT]:
        return list_layout(self.columns, width, self.needs, is_chosen=self.is_chosen, first=self.first or 0)

    def column_at(self, x: int, width: int) -> Column[RowT] | None:
        """The column at a cell of a line, counted from 0; the gap after a column is its own. None beside them all."""
        start = GUTTER
        for column, cells in self.layout(width):
            if start <= x < start + cells + GAP:
                return column
            start += cells + GAP
        return None

    def hidden(self, width: int) -> int:
        return len(self.columns) - (self.first or 0) - len(self.layout(width))

    def scrolled(self, by: int, width: int) -> Arrangement[RowT]:
        """Scrolled by so many columns to the right, as far as there are any."""
        if by > 0 and not self.hidden(width):
            return self
        return self._replace(first=max(0, min((self.first or 0) + by, len(self.columns) - 2)))


def is_framed(screen_columns: int, screen_lines: int) -> bool:
    """Whether the panes of a screen of that size have a frame: a cell on every side, with the title in its top."""
    return screen_columns >= WIDE and screen_lines >= FRAMED_LINES


def pane_width(screen_columns: int) -> int:
    """The cells that the left pane takes on a screen so wide, frame included."""
    share, of = _SHARE if screen_columns >= WIDE else (1, 1)
    return screen_columns * share // of


def list_width(screen_columns: int, screen_lines: int) -> int:
    """The cells that a list takes on a screen of that size, gutter included."""
    return pane_width(screen_columns) - 2 * is_framed(screen_columns, screen_lines)


def panel_width(screen_columns: int, screen_lines: int) -> int:
    """The cells of a line of the side panel on a screen of that size: beside the list, or below it."""
    if screen_columns < WIDE:
        return screen_columns
    return screen_columns - pane_width(screen_columns) - 2 * is_framed(screen_columns, screen_lines)
