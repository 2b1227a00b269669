"""Tables for people; `services.sharing.formats.record_lines` makes the records for programs.

Invariant: foreign text is made visible. Only `aligned` holds all rows in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from runtui.domain.columns import GAP, GUTTER, Arrangement, Column, RowT, coloured
from runtui.domain.text import cells_in, fit_cells, visible

OutputFormat: TypeAlias = Literal["table", "json", "jsonl", "csv"]

_LEAST: Final = 4
"""The least width of a column in cells, however narrow the terminal is."""

_PRINTED_AT_ONCE: Final = 1_000


class Output(NamedTuple):
    """The properties of standard output."""

    width: int = 0
    """The width of the terminal in cells; 0 without a terminal, where lines may have any length."""
    has_colours: bool = False


def standard_output() -> Output:
    """Return the properties of standard output. NO_COLOR turns colours off (no-color.org). COLUMNS is ignored, as on
    the screen: an exported one keeps its value when the terminal gets another size."""
    if not sys.stdout.isatty():
        return Output()
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        width = 0
    return Output(width or 80, not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb")


def column_lines(
    columns: Sequence[Column[RowT]], rows: Callable[[], Iterable[RowT]], now: int, out: Output, *, is_chosen: bool
) -> Iterator[str]:
    """Yield a line of titles and a line per row, with columns as wide as their widest cells.

    The lines fit the terminal. Unless a person chose the columns, those of low priority are dropped and the others
    grow as on the screen. Then the widest columns are cut, first those that have grown. `rows` is called twice, so that
    no row stays in memory. Times are relative to `now` (ticks).
    """
    widths = {column.key: cells_in(column.title) for column in columns}

    def has_grown(column: Column[RowT]) -> bool:
        return (column.flexible or column.grows_to > 0) and widths[column.key] > max(column.width, _LEAST)

    for row in rows():
        for column in columns:
            widths[column.key] = max(widths[column.key], cells_in(visible(column.show(row, now).text)))
    if out.width and not is_chosen:
        room = out.width + GUTTER + GAP
        standing = [column._replace(width=min(column.width, widths[column.key])) for column in columns]
        arrangement: Arrangement[Any] = Arrangement(tuple(standing), tuple(widths.items()))
        shown = [column.key for column, _ in arrangement.layout(room)]
        columns = [column for column in columns if column.key in shown]
        if sum(widths[column.key] + GAP for column in columns) - GAP > out.width:
            widths |= {column.key: min(widths[column.key], column.grows_to) for column in columns if column.grows_to}
    while out.width and (over := sum(widths[column.key] + GAP for column in columns) - GAP - out.width) > 0:
        widest = max(columns, key=lambda column: (has_grown(column), widths[column.key]))
        if widths[widest.key] <= _LEAST:
            break
        widths[widest.key] -= min(over, max(1, widths[widest.key] // 8))
    gap = " " * GAP
    yield gap.join(fit_cells(column.title, widths[column.key], column.align) for column in columns).rstrip()
    for row in rows():
        cells = [(column, column.show(row, now)) for column in columns]
        texts = [fit_cells(visible(cell.text), widths[column.key], column.align) for column, cell in cells]
        if cells[-1][0].align == "left":
            texts[-1] = texts[-1].rstrip()
        if out.has_colours:
            texts = [coloured(text, cell.role) for text, (_, cell) in zip(texts, cells, strict=True)]
        yield gap.join(texts)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, many at a time, and flush at the end."""
    texts = iter(lines)
    while part := list(islice(texts, _PRINTED_AT_ONCE)):
        print("\n".join(part))
    sys.stdout.flush()


def aligned(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield rows with aligned columns. A row of one cell is a heading, which does not widen its column."""
    texts = [[visible(cell) for cell in row] for row in rows]
    columns = zip_longest(*(row for row in texts if len(row) > 1), fillvalue="")
    widths = [max(map(cells_in, column)) for column in columns]
    for row in texts:
        padded = (fit_cells(cell, width) for cell, width in zip(row, widths, strict=False))
        yield (row[0] if len(row) == 1 else "  ".join(padded)).rstrip()
