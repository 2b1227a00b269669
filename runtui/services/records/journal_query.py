"""Queries of the journal: filter its entries, read them page by page, and export them.

Invariant: a filter with an unknown word is refused, and the error lists what is possible. At most a page is read at a
time. Every format has every column. JSON carries the values unchanged, in ASCII. CSV and Markdown make foreign text
visible: in CSV it is never a formula, in Markdown it is code, without markup, links or mentions. An export is a new
file that only its owner can read; it overwrites nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from runtui.domain.draft import NOT_RECEIVED
from runtui.domain.report import Outcome, became
from runtui.domain.times import interpret, now_ticks, parse_ticks, ticks_of
from runtui.errors import RuntuiError, UsageError
from runtui.private_files import create_private, explanation, private_folder
from runtui.services.records.journal import Entry, Journal
from runtui.services.sharing.formats import RecordFormat, code_block, code_span, record_lines, value_code

if TYPE_CHECKING:
    from runtui.domain.filter_tree import FilterField, TextIs
    from runtui.domain.filters import RowCondition

OPEN: Final = "open"
"""The word for an entry without an outcome: in progress, or its process has ended."""

DAMAGED: Final = "damaged"
"""The word for an entry that cannot be read; a filter finds it only by its number or this word."""

ENTRY_FILTER_HELP: Final = (
    "plain text, #12, outcome:unknown (done, not-done, unknown, open), since:-24h, before:2026-11-20, !not, or, ( )"
)
"""The filter language in one line."""

_OUTCOMES: Final = (*(outcome.value.replace(" ", "-") for outcome in Outcome), OPEN, DAMAGED)

_NOT_UNDERSTOOD: Final = "This filter cannot be understood"

PAGE: Final = 1_000
"""The most entries read at a time."""

EXPORTS: Final = "exports"
"""The folder of exported files, next to the journal."""

ExportFormat: TypeAlias = RecordFormat | Literal["md"]


def entry_filter(text: str) -> RowCondition[Entry] | None:
    """Parse a filter; None for a blank one, which finds every entry.

    Raises:
        RuntuiError: the filter cannot be understood.
    """
    if not text.strip():
        return None
    # The journal is mostly read without a filter.
    from runtui.domain.filters import row_filter

    return row_filter(text, entry_fields(), _word, _field)


def entry_fields() -> tuple[FilterField, ...]:
    from runtui.domain.filter_tree import FilterField

    return (
        FilterField("outcome", "text", examples=_OUTCOMES),
        FilterField("since", "text", examples=("-24h", "-7d", "today")),
        FilterField("before", "text", examples=("today", "-7d")),
    )


def outcome_word(entry: Entry) -> str:
    if entry.damage:
        return DAMAGED
    return entry.outcome.value if entry.outcome is not None else OPEN


def _word(text: str) -> RowCondition[Entry]:
    """Return the condition for a word, or for the number of an entry."""
    if text[0] == "#" and text[1:].isdecimal():
        number = text[1:].lstrip("0")  # as text, because Python reads no number of many thousand digits
        return lambda entry: str(entry.number) == number
    wanted = text.casefold()
    return lambda entry: any(wanted in known.casefold() for known in _texts(entry))


def _field(found: TextIs) -> RowCondition[Entry]:
    name, value = found.field.name, found.text
    if name == "outcome":
        wanted = value.casefold()
        if wanted not in _OUTCOMES:
            raise UsageError(_NOT_UNDERSTOOD, f"There is no outcome {value!r}.", f"Possible: {', '.join(_OUTCOMES)}.")
        return lambda entry: outcome_word(entry).replace(" ", "-") == wanted
    try:
        limit = parse_ticks(interpret(value, now_ticks()))
    except ValueError as error:
        possible = f"Possible: {ENTRY_FILTER_HELP}."
        raise UsageError(_NOT_UNDERSTOOD, f"{name}:{value}: {error}", possible) from None
    return lambda entry: not entry.damage and (ticks_of(entry.opened_at) >= limit) is (name == "since")


def _texts(entry: Entry) -> tuple[str, ...]:
    """Return the texts that a plain word searches: ids, names, the reason, the changed properties or the action."""
    return (
        entry.run_id,
        entry.workflow_id,
        entry.workflow_name,
        entry.who,
        entry.why,
        entry.tenant,
        entry.root,
        entry.request_id,
        entry.client_request_id,
        *(entry.change_words() if entry.action else entry.after),
    )


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """A query of the journal. Every use of it reads the file."""

    journal: Journal
    root: str | None
    """The Graph root; None means all roots."""
    text: str = ""
    """The filter, in the language of ENTRY_FILTER_HELP."""

    def page(self, before: int | None, wanted: int) -> tuple[list[Entry], int | None]:
        """Return at least `wanted` matching entries with numbers below `before` (None: the newest), newest first.

        If fewer match, return all of them. Return with them the `before` of the next page, or None if there is none.

        Raises:
            RuntuiError: the filter cannot be understood, or the journal cannot be read.
        """
        holds = entry_filter(self.text)
        found: list[Entry] = []
        while len(found) < wanted:
            entries = self.journal.entries(root=self.root, before=before, limit=PAGE)
            found += filter(holds, entries) if holds is not None else entries
            if len(entries) < PAGE:
                return found, None
            before = entries[-1].number
        return found, before

    def __iter__(self) -> Iterator[Entry]:
        """Yield all matching entries, newest first; raises as `page` does."""
        before: int | None = None
        while True:
            found, before = self.page(before, 1)
            yield from found
            if before is None:
                return

    def write(self, form: ExportFormat) -> tuple[Path, int]:
        """Write all matching entries to a new file. Return its path and their number.

        Raises:
            RuntuiError: the filter cannot be understood, the journal cannot be read, or the file cannot be written.
        """
        count = 0

        def counted() -> Iterator[Entry]:
            nonlocal count
            for entry in self:
                count += 1
                yield entry

        return write_export(self.journal.path.parent, f"journal.{form}", export(counted(), form)), count


def write_export(state_folder: Path, name: str, lines: Iterable[str]) -> Path:
    """Write lines to a new file in EXPORTS and return its path. The time is inserted into `name` before its first ".".

    Raises:
        RuntuiError: the file cannot be written.
    """
    folder = state_folder / EXPORTS
    stem, _, suffix = name.partition(".")
    path = folder / f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.{suffix}"
    try:
        private_folder(folder)
        write_private(path, lines)
    except OSError as error:
        raise RuntuiError("The export cannot be written", *explanation(path, error)) from error
    return path


def write_private(path: Path, lines: Iterable[str]) -> None:
    """Write lines to a new file (0600).

    Raises:
        OSError: the file cannot be created, or exists already.
    """
    with os.fdopen(create_private(path), "w", encoding="utf-8", errors="replace", newline="") as file:
        file.writelines(f"{line}\n" for line in lines)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment is not None else None


EXPORT_COLUMNS: Final[Mapping[str, Callable[[Entry], Any]]] = {
    "number": lambda entry: entry.number,
    "openedAt": lambda entry: _iso(entry.opened_at),
    "endedAt": lambda entry: _iso(entry.ended_at),
    "outcome": outcome_word,
    "knownBy": lambda entry: entry.known_by,
    "who": lambda entry: entry.who,
    "why": lambda entry: entry.why,
    "profile": lambda entry: entry.profile,
    "tenant": lambda entry: entry.tenant,
    "root": lambda entry: entry.root,
    "workflow": lambda entry: entry.workflow_name,
    "workflowId": lambda entry: entry.workflow_id,
    "runId": lambda entry: None if entry.is_about_workflow else entry.run_id,
    "before": lambda entry: dict(entry.before),
    "after": lambda entry: dict(entry.after),
    "method": lambda entry: entry.method,
    "url": lambda entry: entry.url,
    "body": lambda entry: entry.body,
    "status": lambda entry: entry.status,
    "requestId": lambda entry: entry.request_id,
    "clientRequestId": lambda entry: entry.client_request_id,
    "words": lambda entry: entry.words,
    "undoes": lambda entry: entry.undoes,
    "undoneBy": lambda entry: entry.undone_by,
    "action": lambda entry: entry.action,
    "newRun": lambda entry: entry.new_run,
}
"""The columns in order: each name with a function from an entry to a JSON value."""

_LAID_OUT: Final = {"number", "outcome", "before", "after", "body"}
"""The columns that the Markdown report does not show as plain list items."""


def entry_object(entry: Entry) -> dict[str, Any]:
    """Return an entry as a JSON object. A damaged entry has its number, and the reason in `words`."""
    if entry.damage:
        known = {"number": entry.number, "outcome": outcome_word(entry), "words": damage_sentence(entry)}
        return dict.fromkeys(EXPORT_COLUMNS) | known
    return {name: answer(entry) for name, answer in EXPORT_COLUMNS.items()}


def export(entries: Iterable[Entry], form: ExportFormat) -> Iterator[str]:
    """Yield the lines of an export without line ends; entries are read one by one."""
    if form == "md":
        return _markdown(entries)
    return record_lines(map(entry_object, entries), form, tuple(EXPORT_COLUMNS))


def damage_sentence(entry: Entry) -> str:
    return f"{entry.report.heading}."


def _markdown(entries: Iterable[Entry]) -> Iterator[str]:
    yield "# Changes of lifecycle-workflow runs"
    for entry in entries:
        yield from ("", f"## Change #{entry.number}: {outcome_word(entry)}", "")
        for name, value in entry_object(entry).items():
            if name not in _LAID_OUT and value not in (None, ""):
                yield f"- {name}: {code_span(str(value))}"
        if entry.damage:
            continue
        if entry.action:
            yield from ("", *(f"- {code_span(words)}" for words in entry.change_words()))
        else:
            yield from ("", "What changed:", "")
        for name, value in entry.after.items():
            was = entry.before.get(name, NOT_RECEIVED)
            yield f"- {code_span(name)}: {became(was, value, value_code)}"
        yield from ("", "The body that was sent:", "", *code_block(entry.body, "json"))
