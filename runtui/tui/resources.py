"""What can be listed, each declared once: its rows, columns, id, filter and words for an empty list.

Invariant: a table, a filter bar and a title know a list by its `Resource` alone. What one place alone lists is declared
where that place is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from runtui.domain.columns import Column, RowT
from runtui.domain.filter_tree import Filter
from runtui.domain.filters import parse_filter
from runtui.domain.rows import RUN_COLUMNS, RunRow
from runtui.domain.times import now_ticks
from runtui.domain.triage.standing import Standing, standing
from runtui.tui.filtering import RUN_FIELDS, FieldHelp, cell_fields, cell_filter, cell_filter_help

RowId = TypeVar("RowId", bound=str | int)
"""What identifies a row: the id of a run, the number of an entry."""

_Row_co = TypeVar("_Row_co", covariant=True)
_RowId_contra = TypeVar("_RowId_contra", contravariant=True)


class Rows(Protocol[_Row_co, _RowId_contra]):
    """Rows in their order, wherever they are: the store, or what was read of a file."""

    def count(self) -> int:
        """How many rows there are."""

    def window(self, start: int, count: int, /) -> Sequence[_Row_co]:
        """The rows from line `start`, at most `count`."""

    def position(self, row_id: _RowId_contra, /) -> int | None:
        """The line of a row, counted from 0; None when it is not among them."""


class RowFlag(NamedTuple):
    """What stands before a row: one cell, and the words for it."""

    sign: str
    words: str


SAVING: Final = RowFlag("↑", "being saved")
OUTCOME_UNKNOWN: Final = RowFlag("?", "outcome not known")
DRAFT_KEPT: Final = RowFlag("~", "draft not sent")
WATCHED: Final = RowFlag("♪", "watched")
MARKED: Final = RowFlag("◆", "marked")
BACK: Final = RowFlag("»", "back: it got worse after it was handled, or the snooze ended")
HANDLED: Final = RowFlag("√", "handled")
SNOOZED: Final = RowFlag("z", "snoozed")
NOTED: Final = RowFlag("¶", "has a note")

ROW_FLAGS: Final = (SAVING, OUTCOME_UNKNOWN, DRAFT_KEPT, WATCHED, MARKED, BACK, HANDLED, SNOOZED, NOTED)
"""All flags; of several that fit a row the first is shown."""

UNDER_A_MARK: Final = frozenset(ROW_FLAGS[ROW_FLAGS.index(MARKED) + 1 :])
"""What a mark hides."""


READING: Final = "Reading…"
"""Said in the place of rows while they are read: until then nobody knows how many there are."""


@dataclass(frozen=True, slots=True)
class ReadRows(Generic[RowT, RowId]):
    """Rows that were read already."""

    rows: Sequence[RowT]
    id_of: Callable[[RowT], RowId]

    def count(self) -> int:
        return len(self.rows)

    def window(self, start: int, count: int) -> Sequence[RowT]:
        return self.rows[start : start + count]

    def position(self, row_id: RowId) -> int | None:
        return next((line for line, row in enumerate(self.rows) if self.id_of(row) == row_id), None)


class Resource(NamedTuple, Generic[RowT, RowId]):
    """One kind of rows, as every list of them shows it."""

    title: str
    columns: tuple[Column[RowT], ...]
    id_of: Callable[[RowT], RowId]
    filter_help: str
    """The filter language in one line."""
    read_filter: Callable[[str], object]
    """What a filter text means now; raises RuntuiError."""
    empty: str
    """Said where there is nothing to list."""
    nothing_found: str
    """Said where the filter finds nothing."""
    fields: tuple[FieldHelp, ...] = ()
    """What the filter box offers while a filter is typed."""

    @property
    def by_key(self) -> dict[str, Column[RowT]]:
        return {column.key: column for column in self.columns}


def in_memory(
    title: str, one: str, columns: tuple[Column[RowT], ...], id_of: Callable[[RowT], RowId], empty: str
) -> Resource[RowT, RowId]:
    """Rows that were read already: what a filter looks at is their cells; `one` is what one of them is called."""
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
    """What a filter of runs means now; None when it is empty.

    Raises:
        FilterError: where and why it cannot be understood.
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
    """What a person did about a run; None where that is nothing that a list tells."""
    signs: dict[Standing, RowFlag] = {"back": BACK, "handled": HANDLED, "snoozed": SNOOZED}
    if row.triage is None:
        return None
    return signs.get(standing(row, now_ticks())) or (NOTED if row.triage.note else None)
