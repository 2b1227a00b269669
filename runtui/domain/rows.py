"""A run as one row of the list: its indexed values, its columns and its cells.

Invariant: any JSON object with an id makes a row. A value that is missing, null or not of the type in Graph's schema is
absent in the row and unchanged in the stored run. Cells carry foreign text as received: whoever shows one makes it
visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from runtui.domain.columns import DASH, EMPTY_CELL, Align, Column, ListCell, Needs, Role, Show, text_cell
from runtui.domain.properties import INT32_MAX, INT32_MIN, PROCESSING_STATUS, PROPERTIES, Property
from runtui.domain.text import cells_in, visible
from runtui.domain.times import HOUR, distance, parse_many
from runtui.domain.triage.memory import RunTriage

NO_NUMBER: Final = -(2**62)
"""Stands for a missing number in an indexed column: less than every tick and Int32, so it sorts first."""

STUCK_AFTER: Final = 3 * HOUR
"""An active run without an update for longer than this is stuck (ticks): a custom task extension may wait at most
3 hours for its callback (Microsoft Entra, "Understanding lifecycle workflows")."""


class StoredRun(NamedTuple):
    """One run as received, and its workflow."""

    run_id: str
    workflow_id: str
    workflow_name: str
    raw: dict[str, Any]


class StatusLook(NamedTuple):
    """The appearance and the meaning of one processingStatus."""

    name: str
    glyph: str
    role: Role
    is_problem: bool = False
    """True if a person should look at the run. (`failed` alone would miss a run with a single failed user.)"""
    is_active: bool = False
    """True if the service is still processing the run, so that it can get stuck."""

    @property
    def word(self) -> str:
        """The status in one word; empty for an unknown one."""
        return PROCESSING_STATUS.words.get(self.name, self.name)

    @property
    def has_ended(self) -> bool:
        """True if the service has finished with the run; False for an unknown status."""
        return self.is_problem or self.name == "completed"


_MOST_URGENT_FIRST: Final = (
    StatusLook("failed", "✗", "status-failed", is_problem=True),
    StatusLook("quarantined", "■", "status-problem", is_problem=True),
    StatusLook("completedWithErrors", "!", "status-problem", is_problem=True),
    StatusLook("canceled", "⊘", "status-problem", is_problem=True),
    StatusLook("", "?", "status-unknown"),
    StatusLook("canceling", "⊖", "status-active", is_active=True),
    StatusLook("inProgress", "●", "status-active", is_active=True),
    StatusLook("queued", "◌", "status-waiting"),
    StatusLook("completed", "✓", "status-done"),
)
"""The known statuses. The one without a name stands for every unknown or missing status."""

STUCK_GLYPH: Final = "◔"
"""The glyph of a stuck run, whatever its status."""

STATUS_LOOKS: Final[Mapping[str, StatusLook]] = {look.name: look for look in _MOST_URGENT_FIRST}
ACTIVE_SEVERITY: Final = next(rank for rank, look in enumerate(reversed(_MOST_URGENT_FIRST)) if look.is_active)
"""The sort key of all active statuses: what needs a person is not which of them a run has, but whether it is stuck."""

SEVERITY: Final[Mapping[str, int]] = {
    look.name: ACTIVE_SEVERITY if look.is_active else rank for rank, look in enumerate(reversed(_MOST_URGENT_FIRST))
}
"""The sort key by status; greater is more urgent. All other statuses have the key of ""."""

PROBLEM_SEVERITIES: Final = tuple(SEVERITY[look.name] for look in _MOST_URGENT_FIRST if look.is_problem)


def status_look(status: str) -> StatusLook:
    return STATUS_LOOKS.get(status) or STATUS_LOOKS[""]


def status_word(status: str) -> str:
    """Return a processingStatus in one word, as the list shows it."""
    return status_look(status).word or status or "no status"


def severity(status: str) -> int:
    """Return the sort key of any status, also an unknown or missing one."""
    return SEVERITY.get(status, SEVERITY[""])


_TEXTS: Final = tuple(item for item in PROPERTIES if item.is_text)
_MOMENTS: Final = tuple(
    next(item for item in PROPERTIES if item.column == column)
    for column in ("started", "scheduled", "last_updated", "completed")
)
"""The times of a run; the first one present tells when the run began."""
_COUNTS: Final = tuple(item for item in PROPERTIES if item.kind == "count")

INDEXED: Final = (
    *("severity", "recency", "touched", "silence"),
    *(item.column for item in (*_MOMENTS, *_COUNTS)),
    *("workflow_id", *(column for item in _TEXTS for column in (item.column, item.key_column))),
)
"""The columns of the store for a run, besides its JSON; the numbers that it is sorted by come first, because SQLite
reads a row from its beginning. `*_key` is casefolded text for matching. Times are ticks.
NO_NUMBER stands for a missing number.

severity: the sort key of the status. recency: the actual or planned start of the run; "newest first" orders by it.
touched: the latest known time of the run; "stuck" is measured from it. silence: greater for an active run without an
update for longer, so that the stuck come before the others; 0 for a run that is not active.
"""

_TEXT_NAMES, _MOMENT_NAMES, _COUNT_NAMES = (tuple(item.name for item in kind) for kind in (_TEXTS, _MOMENTS, _COUNTS))
_STATUS: Final = 2 * _TEXT_NAMES.index("processingStatus")


def index_runs(raws: Sequence[Mapping[str, Any]], workflow_id: str) -> list[Sequence[str | int]]:
    """Return each column in INDEXED for received runs of one workflow. (`Property.read` for all properties; run by run
    takes a fifth longer.)"""

    def received(names: Iterable[str]) -> list[list[Any]]:
        return [[raw.get(name) for raw in raws] for name in names]

    texts: list[list[str]] = []
    for values in received(_TEXT_NAMES):
        column = [storable(value) if isinstance(value, str) else "" for value in values]
        texts += column, [text.casefold() for text in column]
    moments: list[list[int]] = []
    for values in received(_MOMENT_NAMES):
        present = [value for value in values if isinstance(value, str)]
        ticks = parse_many(present, NO_NUMBER)
        if len(present) < len(values):
            remaining = iter(ticks)
            ticks = [next(remaining) if isinstance(value, str) else NO_NUMBER for value in values]
        moments.append(ticks)
    counts = [
        [value if type(value) is int and INT32_MIN <= value <= INT32_MAX else NO_NUMBER for value in values]
        for values in received(_COUNT_NAMES)
    ]
    ranks = [severity(status) for status in texts[_STATUS]]
    recency = [next(filter(NO_NUMBER.__ne__, times), NO_NUMBER) for times in zip(*moments, strict=True)]
    touched = list(map(max, *moments))
    silence = [-moment if rank == ACTIVE_SEVERITY else 0 for moment, rank in zip(touched, ranks, strict=True)]
    workflow = [storable(workflow_id)] * len(raws)
    return [ranks, recency, touched, silence, *moments, *counts, workflow, *texts]


def storable(text: str) -> str:
    """Return `text` with every lone surrogate, which JSON may carry and UTF-8 cannot hold, replaced by "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


ROW_PROPERTIES: Final = tuple(item for item in PROPERTIES if item.key != "id")
"""The properties in `RunRow.values`."""


class RunRow(NamedTuple):
    """One row of the list."""

    rowid: int
    id: str
    workflow_id: str
    workflow_name: str
    values: Mapping[str, str | int | None]
    """Text, Int32 or ticks by `Property.key`. Missing text is empty, a missing number is None."""
    triage: RunTriage | None = None
    """What people noted about the run; None if nothing."""

    @property
    def status(self) -> str:
        return self.text("status")

    def text(self, key: str) -> str:
        value = self.values[key]
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        value = self.values[key]
        return value if isinstance(value, int) else None


def is_stuck(row: RunRow, now: int) -> bool:
    moments = (row.number(item.key) for item in ROW_PROPERTIES if item.kind == "datetime")
    touched = max((moment for moment in moments if moment is not None), default=NO_NUMBER)
    return status_look(row.status).is_active and touched < now - STUCK_AFTER


def short_id(run_id: str) -> str:
    """Shorten an id to at most 21 characters. Each part keeps its end, because the ids of one workflow begin alike."""
    if len(run_id) <= 21:
        return run_id
    head, _, tail = run_id.partition("_")
    if len(head) > 11 and len(tail) > 9 and "_" not in tail:
        return f"{head[:4]}…{head[-6:]}_{tail[:4]}…{tail[-4:]}"
    return f"{run_id[:8]}…{run_id[-12:]}"


def _status(row: RunRow, now: int) -> ListCell:
    return ListCell(f"{STUCK_GLYPH} stuck", "status-stuck") if is_stuck(row, now) else status_cell(row.status)


def status_cell(status: str) -> ListCell:
    """Return the cell of a processingStatus: its glyph and its word."""
    look = status_look(status)
    return ListCell(f"{look.glyph} {status_word(status)}", look.role)


def _users(row: RunRow, _now: int) -> ListCell:
    """Show the successful and all users, and the failed users if there are any: "8/10 ✗2"."""
    total, successful, failed = row.number("users"), row.number("successful"), row.number("failedUsers")
    if total is None and successful is None:
        return EMPTY_CELL
    counted = f"{_short(successful)}/{_short(total)}"
    return ListCell(f"{counted} ✗{_short(failed)}", "alert") if failed else ListCell(counted, "number")


_SHOWN_OTHERWISE: Final[Mapping[str, Show[RunRow]]] = {
    "status": _status,
    "users": _users,
    "id": lambda row, _: ListCell(short_id(row.id), "muted"),
}
"""The cells that differ from the plain value of their property."""


def _shown(item: Property) -> Show[RunRow]:
    alarms = item.listed is not None and item.listed.alarms

    def count(row: RunRow, _now: int) -> ListCell:
        number = row.number(item.key)
        if number is None:
            return EMPTY_CELL
        return ListCell(_short(number), "muted" if not number else "alert" if alarms else "number")

    def moment(row: RunRow, now: int) -> ListCell:
        ticks = row.number(item.key)
        return EMPTY_CELL if ticks is None else ListCell(distance(ticks, now, is_recorded=item.is_recorded))

    def text(row: RunRow, _now: int) -> ListCell:
        return text_cell(row.text(item.key))

    return _SHOWN_OTHERWISE.get(item.key) or {"count": count, "datetime": moment}.get(item.kind, text)


def _short(count: int | None) -> str:
    """Return a count in at most four characters, so that a cut never turns it into another number."""
    if count is None:
        return DASH
    if abs(count) < 10_000:
        return str(count)
    size, unit = next((size, unit) for size, unit in _UNITS if abs(count) >= size)
    return f"{int(count / size)}{unit}"


_UNITS: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


def cells_needed(statuses: Iterable[str], workflow_names: Iterable[str], most_users: int, most_failed: int) -> Needs:
    """Return the width of the widest value in each column of unbounded width: status, workflow and users."""
    users = 2 * _digits(most_users) + 1 + (2 + _digits(most_failed) if most_failed > 0 else 0)
    return (
        ("status", max((cells_in(visible(status_cell(status).text)) for status in statuses), default=0)),
        ("workflow", max((cells_in(visible(name)) for name in workflow_names), default=0)),
        ("users", users),
    )


def _digits(most: int) -> int:
    """Return the width of `_short` for the counts from 0 up to `most`."""
    return min(len(str(max(0, most))), 4)


def _order(item: Property) -> tuple[str, ...]:
    """Return the natural order of a column: worst, newest or most first, text from A to Z; then by recency."""
    if item.key == "id":
        return ("id",)
    first = item.order or (item.key_column if item.is_text else item.column)
    if first == "severity":
        return ("-severity", "-silence", "-recency")
    first = first if first == item.key_column else f"-{first}"
    return (first,) if first == "-recency" else (first, "-recency")


def _columns() -> Iterator[Column[RunRow]]:
    order = ("workflow_key", "-recency")
    yield Column("workflow", "workflow", 16, 2, lambda row, _: ListCell(row.workflow_name), order, flexible=True)
    for item in PROPERTIES:
        if (listed := item.listed) is not None:
            align: Align = "left" if item.is_text else "right"
            yield Column(
                item.key,
                listed.title,
                listed.width,
                listed.priority,
                _shown(item),
                _order(item),
                align,
                grows_to=listed.grows_to,
                order_name=item.order if item.order == "severity" else "",
            )


RUN_COLUMNS: Final = tuple(sorted(_columns(), key=lambda column: column.priority))
"""All columns in display order."""

RUN_COLUMN_BY_KEY: Final[Mapping[str, Column[RunRow]]] = {column.key: column for column in RUN_COLUMNS}
