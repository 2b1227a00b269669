"""Tables for people; records for programs are printed by `domain.csv.record_lines`.

Invariant: foreign text is made visible. Rows are printed one by one as they come, but for `aligned`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Final, Literal, NamedTuple

from runtui.domain.text import cell_width, fit_cells, visible

_GAP: Final = "  "


class TableColumn(NamedTuple):
    """A column of a table. `width` is in cells; 0 shows every value in full, for the last column alone."""

    title: str
    width: int
    align: Literal["left", "right"] = "left"


def table_lines(columns: Sequence[TableColumn], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Rows below a line of titles; a cell that is too long is cut."""
    titles = [column.title for column in columns]
    for cells in chain([titles], rows):
        yield _GAP.join(_fitted(visible(cell), column) for cell, column in zip(cells, columns, strict=True)).rstrip()


def _fitted(text: str, column: TableColumn) -> str:
    return fit_cells(text, column.width, column.align) if column.width else text


def aligned(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Rows with columns as wide as their widest cell; a row of one cell is a heading and widens no column."""
    texts = [[visible(cell) for cell in row] for row in rows]
    columns = zip_longest(*(row for row in texts if len(row) > 1), fillvalue="")
    widths = [max(sum(map(cell_width, cell)) for cell in column) for column in columns]
    for row in texts:
        padded = (fit_cells(cell, width) for cell, width in zip(row, widths, strict=False))
        yield (row[0] if len(row) == 1 else _GAP.join(padded)).rstrip()
