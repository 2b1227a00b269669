"""The lists of changes: the entries of the journal, and the changes of one bulk change.

Invariant: a change that needs a person comes first.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from runtui.domain.columns import DESCENDING, EMPTY_CELL, Column, ListCell, Order, Role, in_order
from runtui.domain.draft import NOT_RECEIVED, value_word
from runtui.domain.report import Outcome, became
from runtui.domain.times import clock_text, now_ticks, parse_ticks, second_text, ticks_of, to_datetime
from runtui.domain.triage.service_actions import STATUS
from runtui.graph.root import same_server
from runtui.services.records.journal import Entry
from runtui.services.records.journal_query import ENTRY_FILTER_HELP, entry_fields, entry_filter, outcome_word
from runtui.services.writing.follow import FollowedRun
from runtui.services.writing.write import Save, Step
from runtui.tui.resources import ReadRows, Resource, in_memory
from runtui.tui.text import middle

_ID_CELLS: Final = 9
"""The cells for a run id beside other facts: both ends of it fit."""


class EntryRow(NamedTuple):
    """A journal entry, shown in a session."""

    entry: Entry
    root: str
    """The root of the session; an entry of another root says so."""
    is_repeated: bool = False
    """True if it was refused, and its change is still in progress: another try is due."""

    @property
    def outcome(self) -> Outcome | None:
        """None while its change is in progress, or if its process has ended."""
        return None if self.is_repeated else self.entry.outcome


_OUTCOMES: Final[dict[Outcome | None, tuple[str, Role]]] = {
    Outcome.DONE: ("✓", "status-done"),
    Outcome.NOT_DONE: ("✗", "status-failed"),
    Outcome.UNKNOWN: ("?", "status-problem"),
    None: ("↑", "status-active"),
}
"""The glyph and the role of an outcome."""

_NEEDS_A_PERSON: Final = (Outcome.NOT_DONE, Outcome.UNKNOWN, None, Outcome.DONE)
"""The order of outcomes: first those that a person must look at."""


def _entry_urgency(row: EntryRow) -> int:
    return -1 if row.entry.damage else _NEEDS_A_PERSON.index(row.outcome)


def _outcome(row: EntryRow, _now: int) -> ListCell:
    sign, role = _OUTCOMES[row.outcome] if not row.entry.damage else ("!", "status-problem")
    word = "waiting" if row.is_repeated else outcome_word(row.entry)
    return ListCell(f"{sign} {'undone' if row.entry.undone_by is not None else word}", role)


def _opened(row: EntryRow, now: int) -> ListCell:
    return EMPTY_CELL if row.entry.damage else ListCell(clock_text(row.entry.opened_at, to_datetime(now)), "muted")


def _sent(row: EntryRow) -> int:
    return 0 if row.entry.damage else ticks_of(row.entry.opened_at)


def _workflow(row: EntryRow, _now: int) -> ListCell:
    return ListCell(row.entry.workflow_name or row.entry.workflow_id)


def _change(row: EntryRow, now: int) -> ListCell:
    """Return the change in short, after the server if that is another one, before the change that it undoes."""
    entry = row.entry
    if entry.damage:
        return ListCell(entry.damage)
    server = "" if same_server(entry.root, row.root) else f"at {entry.root.partition('://')[2]}: "
    changes = entry.change_words() if entry.action else _by_the_clock(entry, now)
    undoes = f" (undoes #{entry.undoes})" if entry.undoes is not None else ""
    return ListCell(f"{server}{', '.join(changes)}{undoes}")


def _by_the_clock(entry: Entry, now: int) -> Iterator[str]:
    """Yield each changed property with old and new value; a status needs no name, and times are as in other columns if
    that distinguishes them."""
    for name, value in entry.after.items():
        was, by_clock = entry.before.get(name, NOT_RECEIVED), partial(_clock_word, now=now)
        words = became(was, value, by_clock if by_clock(was) != by_clock(value) else value_word)
        yield words if name == STATUS else f"{name}: {words}"


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
            lambda row, _: ListCell(f"#{row.entry.number}", "muted"),
            DESCENDING,
            grows_to=7,
            value=lambda row: row.entry.number,
            order_name="number",
        ),
        Column("opened", "sent", 5, 1, _opened, DESCENDING, "right", grows_to=12, value=_sent),
        Column("outcome", "outcome", 8, 1, _outcome, grows_to=10, value=_entry_urgency),
        Column("workflow", "workflow", 6, 2, _workflow, grows_to=28),
        Column("run", "run", _ID_CELLS, 5, lambda row, _: ListCell(middle(row.entry.run_id, _ID_CELLS), "muted")),
        Column("change", "change", 30, 1, _change, flexible=True),
    ),
    id_of=lambda row: row.entry.number,
    filter_help=ENTRY_FILTER_HELP,
    read_filter=entry_filter,
    empty="Nothing has been sent yet.",
    nothing_found="No entry matches the filter.",
    fields=entry_fields(),
)

NEWEST_FIRST: Final = Order("number", descending=True)
"""The order in which entries are read."""


def entry_rows(
    entries: Sequence[Entry], root: str, order: Order = NEWEST_FIRST, refused: Container[int | None] = ()
) -> ReadRows[EntryRow, int]:
    """Return the rows of entries that were read, newest first, for a session with this root, in an order. `refused` are
    the numbers of those whose change is tried again."""
    rows = [EntryRow(entry, root, entry.outcome is Outcome.NOT_DONE and entry.number in refused) for entry in entries]
    return ReadRows(in_order(rows, JOURNAL.columns, order, now_ticks()), JOURNAL.id_of)


@dataclass(slots=True)
class ResultRow:
    """One change of a bulk change in its current state."""

    save: Save
    workflow_name: str
    settled: Entry | None = None
    """Its journal entry, if it was settled after its end."""
    followed: FollowedRun | None = None
    """The run that its action has made or stops, as last read."""

    @property
    def outcome(self) -> Outcome | None:
        """None while it is in progress."""
        return self.save.outcome if self.settled is None else self.settled.outcome

    @property
    def reason(self) -> str:
        """Why it ended so, or what it waits for; empty if it is done as requested."""
        if (followed := self.followed) is not None:
            made = f": {middle(str(followed.run.get('id')), _ID_CELLS)} (new run)" if followed.is_new else ""
            return f"{followed.status}{made}{followed.users}"
        if self.settled is not None:
            return self.settled.report.heading
        if self.save.active:
            step, wait = self.save.step, self.save.wait
            words = step.value if step is not Step.WAITING else ""
            return f"waiting until {second_text(wait.until)}" if wait is not None else words
        if (conflicts := self.save.conflicts) and not self.save.stopped:
            changed = [change.field for change in self.save.operation.changes()]
            moved = [(f"{value_word(item.now)} by now", item.field) for item in conflicts]
            return ", ".join(words if changed == [field] else f"{words}: {field.name}" for words, field in moved)
        if self.save.new_run:
            return f"new run {middle(self.save.new_run, _ID_CELLS)}"
        return " ".join(self.save.report.reasons())


def _urgency(row: ResultRow) -> int:
    """A refused change comes before a stopped one."""
    return 2 * _NEEDS_A_PERSON.index(row.outcome) + row.save.stopped


def _became(row: ResultRow, _now: int) -> ListCell:
    sign, role = _OUTCOMES[row.outcome]
    return ListCell(f"{sign} {row.outcome.value if row.outcome is not None else 'open'}", role)


def _recorded(row: ResultRow, _now: int) -> ListCell:
    return ListCell(f"#{row.save.entry}", "muted") if row.save.entry is not None else EMPTY_CELL


_RESULT_COLUMNS: Final[tuple[Column[ResultRow], ...]] = (
    Column("outcome", "outcome", 8, 1, _became, grows_to=10, value=_urgency),
    Column("workflow", "workflow", 8, 2, lambda row, _: ListCell(row.workflow_name), grows_to=28),
    Column("run", "run", _ID_CELLS, 5, lambda row, _: ListCell(middle(row.save.run_id, _ID_CELLS), "muted")),
    Column("reason", "reason", 20, 1, lambda row, _: ListCell(row.reason), flexible=True),
    Column("number", "#", 2, 1, _recorded, grows_to=7, value=lambda row: row.save.entry or 0),
)

RESULTS: Final[Resource[ResultRow, str]] = in_memory(
    "Results", "change", _RESULT_COLUMNS, lambda row: row.save.run_id, "No run was changed."
)
