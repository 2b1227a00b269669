"""Resources: the columns, id, filter and words of everything that can be listed.

Invariant: a table, a filter bar and a title know a list through its `Resource` alone. A resource that only one view
lists is declared beside that view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from runtui.domain.columns import Column, RowT
from runtui.domain.filter_tree import Filter, FilterField
from runtui.domain.filters import parse_filter
from runtui.domain.rows import RUN_COLUMNS, RunRow
from runtui.domain.times import now_ticks
from runtui.domain.triage.standing import Standing, standing
from runtui.tui.filtering import RUN_FIELDS, cell_fields, cell_filter, cell_filter_help

RowId = TypeVar("RowId", bound=str | int)
"""The id of a row, such as a run's id or a journal entry's number."""

_Row_co = TypeVar("_Row_co", covariant=True)
_RowId_contra = TypeVar("_RowId_contra", contravariant=True)


class Rows(Protocol[_Row_co, _RowId_contra]):
    """Ordered rows, in the store or in memory."""

    def count(self) -> int:
        """Return the number of rows."""

    def window(self, start: int, count: int, /) -> Sequence[_Row_co]:
        """Return at most `count` rows from line `start` on."""

    def position(self, row_id: _RowId_contra, /) -> int | None:
        """Return the line of a row, counted from 0; None if it is not among the rows."""


class RowFlag(NamedTuple):
    """The sign before a row: one cell, and its meaning."""

    sign: str
    words: str


SAVING: Final = RowFlag("↑", "being saved")
OUTCOME_UNKNOWN: Final = RowFlag("?", "outcome not known")
DRAFT_KEPT: Final = RowFlag("~", "draft kept")
WATCHED: Final = RowFlag("♪", "watched")
MARKED: Final = RowFlag("◆", "marked")
BACK: Final = RowFlag("»", "back: it got worse after it was handled, or the snooze ended")
HANDLED: Final = RowFlag("√", "handled")
SNOOZED: Final = RowFlag("z", "snoozed")
NOTED: Final = RowFlag("¶", "has a note")

ROW_FLAGS: Final = (SAVING, OUTCOME_UNKNOWN, DRAFT_KEPT, WATCHED, MARKED, BACK, HANDLED, SNOOZED, NOTED)
"""All flags; if several fit a row, the first is shown."""

HIDDEN_BY_MARK: Final = frozenset(ROW_FLAGS[ROW_FLAGS.index(MARKED) + 1 :])
"""The flags that a mark hides."""

READING: Final = "Reading…"
"""Shown instead of rows while they are being read and their number is unknown."""


class ReadRows(Generic[RowT, RowId]):
    """Rows in memory."""

    def __init__(self, rows: Sequence[RowT], id_of: Callable[[RowT], RowId]) -> None:
        self.rows = rows
        self.id_of = id_of

    def count(self) -> int:
        return len(self.rows)

    def window(self, start: int, count: int) -> Sequence[RowT]:
        return self.rows[start : start + count]

    def position(self, row_id: RowId) -> int | None:
        return next((line for line, row in enumerate(self.rows) if self.id_of(row) == row_id), None)


class Resource(NamedTuple, Generic[RowT, RowId]):
    """One kind of rows, declared once for every list of them."""

    title: str
    columns: tuple[Column[RowT], ...]
    id_of: Callable[[RowT], RowId]
    filter_help: str
    """The filter language in one line."""
    read_filter: Callable[[str], object]
    """Parses a filter, with relative times counted from now; raises RuntuiError if it is invalid."""
    empty: str
    """The words for an empty list."""
    nothing_found: str
    """The words for a filter that finds nothing."""
    fields: tuple[FilterField, ...] = ()
    """The fields that the filter box completes."""

    @property
    def by_key(self) -> dict[str, Column[RowT]]:
        return {column.key: column for column in self.columns}


def in_memory(
    title: str, one: str, columns: tuple[Column[RowT], ...], id_of: Callable[[RowT], RowId], empty: str
) -> Resource[RowT, RowId]:
    """Return a resource of rows in memory, whose cells a filter searches; `one` is the word for one row."""
    return Resource(
        title=title,
        columns=columns,
        id_of=id_of,
        filter_help=cell_filter_help(columns),
        read_filter=cell_filter(columns),
        empty=empty,
        nothing_found=f"No {one} matches the filter.",
        fields=cell_fields(columns),
    )


def run_filter(text: str) -> Filter | None:
    """Parse a filter of runs, with relative times counted from now; None if it is empty.

    Raises:
        FilterError: It is invalid; the error has the place and the reason.
    """
    return parse_filter(text, now_ticks())


RUNS: Final[Resource[RunRow, str]] = Resource(
    title="Runs",
    columns=RUN_COLUMNS,
    id_of=lambda row: row.id,
    filter_help='text  status:failed  type:onDemand  wf:"Onboard"  failed>0  started>-24h  !not',
    read_filter=run_filter,
    empty="There are no runs.",
    nothing_found="No run matches the filter.",
    fields=RUN_FIELDS,
)


def triage_flag(row: RunRow) -> RowFlag | None:
    """Return the flag of a run's triage: back, handled, snoozed or noted; None without any."""
    signs: dict[Standing, RowFlag] = {"back": BACK, "handled": HANDLED, "snoozed": SNOOZED}
    if row.triage is None:
        return None
    return signs.get(standing(row, now_ticks())) or (NOTED if row.triage.note else None)
