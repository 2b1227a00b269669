"""What can be listed, each declared once: its rows, columns, id, filter and words for an empty list.

Invariant: a table, a filter bar and a title know a list by its `Resource` alone. What one place alone lists is declared
where that place is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from runtui.domain.columns import GREATEST_FIRST, NOTHING, Column, ListCell, Order, Role, RowT, in_order
from runtui.domain.draft import MISSING, value_word
from runtui.domain.filter_tree import Filter
from runtui.domain.filters import parse_filter
from runtui.domain.report import Outcome
from runtui.domain.rows import RUN_COLUMNS, RunRow
from runtui.domain.times import clock_text, now_ticks, parse_ticks, ticks_of, to_datetime
from runtui.domain.triage.service_actions import STATUS
from runtui.domain.triage.standing import Standing, standing
from runtui.graph.root import same_server
from runtui.services.journal import Entry
from runtui.services.journal_query import ENTRY_FIELDS, ENTRY_FILTER_HELP, entry_filter, outcome_word
from runtui.services.writing.follow import FollowedRun
from runtui.services.writing.save import Save, Step
from runtui.tui.filtering import RUN_FIELDS, FieldHelp, cell_fields, cell_filter, cell_filter_help
from runtui.tui.text import middle

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


_ID_CELLS: Final = 9
"""Of the id of a run beside other facts: both its ends."""


class EntryRow(NamedTuple):
    """An entry of the journal, seen from a session."""

    entry: Entry
    root: str
    """The root of the session; an entry of another one says so."""


_OUTCOMES: Final[dict[Outcome | None, tuple[str, Role]]] = {
    Outcome.DONE: ("✓", "status-done"),
    Outcome.NOT_DONE: ("✗", "status-failed"),
    Outcome.UNKNOWN: ("?", "status-problem"),
    None: ("↑", "status-active"),
}
"""The sign and the role of an outcome."""


_NEEDS_A_PERSON: Final = (Outcome.NOT_DONE, Outcome.UNKNOWN, None, Outcome.DONE)
"""The order of outcomes: what a person has to look at first."""


def _entry_urgency(row: EntryRow) -> int:
    return -1 if row.entry.damage else _NEEDS_A_PERSON.index(row.entry.outcome)


def _outcome(row: EntryRow, _now: int) -> ListCell:
    sign, role = _OUTCOMES[row.entry.outcome] if not row.entry.damage else ("!", "status-problem")
    return ListCell(f"{sign} {'undone' if row.entry.undone_by is not None else outcome_word(row.entry)}", role)


def _number(row: EntryRow, _now: int) -> ListCell:
    return ListCell(f"#{row.entry.number}", "muted")


def _opened(row: EntryRow, now: int) -> ListCell:
    return NOTHING if row.entry.damage else ListCell(clock_text(row.entry.opened_at, to_datetime(now)), "muted")


def _sent(row: EntryRow) -> int:
    return 0 if row.entry.damage else ticks_of(row.entry.opened_at)


def _workflow(row: EntryRow, _now: int) -> ListCell:
    return ListCell(row.entry.workflow_name or row.entry.workflow_id)


def _change(row: EntryRow, now: int) -> ListCell:
    """What changed in short, after the server where that is another one, before the change that it undoes."""
    entry = row.entry
    if entry.damage:
        return ListCell(entry.damage)
    server = "" if same_server(entry.root, row.root) else f"at {entry.root.partition('://')[2]}: "
    changes = entry.change_words() if entry.action else _by_the_clock(entry, now)
    undoes = f" (undoes #{entry.undoes})" if entry.undoes is not None else ""
    return ListCell(f"{server}{', '.join(changes)}{undoes}")


def _by_the_clock(entry: Entry, now: int) -> Iterator[str]:
    """Each changed property, from what to what; a status names itself, and moments are as in other columns where that
    tells them apart."""
    for name, value in entry.after.items():
        values = (entry.before.get(name, MISSING), value)
        was, became = (_clock_word(each, now) for each in values)
        if was == became:
            was, became = map(value_word, values)
        yield f"{was} → {became}" if name == STATUS else f"{name}: {was} → {became}"


def _clock_word(value: object, now: int) -> str:
    try:
        return clock_text(to_datetime(parse_ticks(str(value))), to_datetime(now))
    except (ValueError, OverflowError):
        return value_word(value)


JOURNAL: Final[Resource[EntryRow, int]] = Resource(
    title="Journal",
    columns=(
        Column(
            "number",
            "#",
            2,
            1,
            _number,
            GREATEST_FIRST,
            grows_to=7,
            value=lambda row: row.entry.number,
            order_name="number",
        ),
        Column("opened", "sent", 5, 1, _opened, GREATEST_FIRST, "right", grows_to=12, value=_sent),
        Column("outcome", "outcome", 8, 1, _outcome, grows_to=10, value=_entry_urgency),
        Column("workflow", "workflow", 8, 2, _workflow, grows_to=28),
        Column("run", "run", _ID_CELLS, 5, lambda row, _: ListCell(middle(row.entry.run_id, _ID_CELLS), "muted")),
        Column("change", "change", 30, 1, _change, flexible=True),
    ),
    id_of=lambda row: row.entry.number,
    filter_help=ENTRY_FILTER_HELP,
    read_filter=entry_filter,
    empty="Nothing was sent yet.",
    nothing_found="No entry matches the filter.",
    fields=tuple(FieldHelp(name, values) for name, values in ENTRY_FIELDS.items()),
)


NEWEST_FIRST: Final = Order("number", descending=True)
"""The order in which entries are read."""


def entry_rows(entries: Sequence[Entry], root: str, order: Order = NEWEST_FIRST) -> ReadRows[EntryRow, int]:
    """Entries that were read, newest first, seen from a session with this root and in an order."""
    rows = [EntryRow(entry, root) for entry in entries]
    return ReadRows(in_order(rows, JOURNAL.columns, order, now_ticks()), JOURNAL.id_of)


class ResultRow(NamedTuple):
    """One change of a bulk change, as far as it has come."""

    save: Save
    workflow_name: str
    settled: Entry | None = None
    """Its entry of the journal, where what became of it was found out after it had ended."""
    followed: FollowedRun | None = None
    """The run that its action has made, or stops, as it was read last."""

    @property
    def outcome(self) -> Outcome | None:
        """None while it is on its way."""
        return self.save.outcome if self.settled is None else self.settled.outcome

    @property
    def reason(self) -> str:
        """Why it ended so, or what it waits for; empty where it is done as asked."""
        if (followed := self.followed) is not None:
            made = f": {middle(str(followed.run.get('id')), _ID_CELLS)} (new run)" if followed.is_new else ""
            return f"{followed.status}{made}{followed.users}"
        if self.settled is not None:
            return self.settled.report.heading
        if self.save.active:
            return self.save.step.value if self.save.step is not Step.WAITING else ""
        if (conflicts := self.save.conflicts) and not self.save.stopped:
            is_evident = len(self.save.operation.changes()) == 1
            moved = (f"{value_word(item.now)} by now" + f": {item.field.name}" * (not is_evident) for item in conflicts)
            return ", ".join(moved)
        if self.save.new_run:
            return f"new run {middle(self.save.new_run, _ID_CELLS)}"
        return " ".join(self.save.report.reasons())


def _urgency(row: ResultRow) -> int:
    """What was refused stands before what was stopped."""
    return 2 * _NEEDS_A_PERSON.index(row.outcome) + row.save.stopped


def _became(row: ResultRow, _now: int) -> ListCell:
    sign, role = _OUTCOMES[row.outcome]
    return ListCell(f"{sign} {row.outcome.value if row.outcome is not None else 'open'}", role)


def _recorded(row: ResultRow, _now: int) -> ListCell:
    return ListCell(f"#{row.save.entry}", "muted") if row.save.entry is not None else NOTHING


_RESULT_COLUMNS: Final[tuple[Column[ResultRow], ...]] = (
    Column("outcome", "outcome", 8, 1, _became, grows_to=10, value=_urgency),
    Column("workflow", "workflow", 8, 2, lambda row, _: ListCell(row.workflow_name), grows_to=28),
    Column("run", "run", _ID_CELLS, 5, lambda row, _: ListCell(middle(row.save.run_id, _ID_CELLS), "muted")),
    Column("reason", "reason", 20, 1, lambda row, _: ListCell(row.reason), flexible=True),
    Column("number", "#", 2, 4, _recorded, grows_to=7, value=lambda row: row.save.entry or 0),
)

RESULTS: Final[Resource[ResultRow, str]] = in_memory(
    "Results", "change", _RESULT_COLUMNS, lambda row: row.save.run_id, "No run was changed."
)
