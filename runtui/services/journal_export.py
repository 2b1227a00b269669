"""Entries of the journal as text that leaves runtui: JSON, JSON lines, CSV, and Markdown for a ticket.

Invariant: every format tells every column. JSON carries the values as they are, in ASCII. In CSV and Markdown foreign
text is made visible first; it is never a formula, and in Markdown it is code: no markup, no link, no mention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from runtui.domain.csv import csv_line, csv_value
from runtui.domain.draft import MISSING, value_word
from runtui.domain.json_text import json_array
from runtui.domain.text import visible
from runtui.services.journal import Entry
from runtui.services.journal_filter import outcome_word

Format: TypeAlias = Literal["json", "jsonl", "csv", "md"]


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment is not None else None


COLUMNS: Final[Mapping[str, Callable[[Entry], Any]]] = {
    "number": lambda entry: entry.number,
    "openedAt": lambda entry: _moment(entry.opened_at),
    "endedAt": lambda entry: _moment(entry.ended_at),
    "outcome": outcome_word,
    "knownBy": lambda entry: entry.known_by,
    "who": lambda entry: entry.who,
    "profile": lambda entry: entry.profile,
    "tenant": lambda entry: entry.tenant,
    "root": lambda entry: entry.root,
    "workflow": lambda entry: entry.workflow_name,
    "workflowId": lambda entry: entry.workflow_id,
    "runId": lambda entry: entry.run_id,
    "before": lambda entry: dict(entry.before),
    "after": lambda entry: dict(entry.after),
    "method": lambda entry: entry.method,
    "url": lambda entry: entry.url,
    "body": lambda entry: entry.body,
    "status": lambda entry: entry.status,
    "requestId": lambda entry: entry.request_id,
    "clientRequestId": lambda entry: entry.client_request_id,
    "words": lambda entry: entry.words,
    "sends": lambda entry: entry.sends,
    "undoes": lambda entry: entry.undoes,
    "undoneBy": lambda entry: entry.undone_by,
}
"""The columns in their order: the name, and how an entry answers it with a JSON value."""

_LAID_OUT: Final = {"number", "outcome", "before", "after", "body"}
"""The columns that the Markdown report tells in a form of their own."""


def record(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object; of one that cannot be read: its number, and why in `words`."""
    if entry.damage:
        known = {"number": entry.number, "outcome": outcome_word(entry), "words": damage_sentence(entry)}
        return dict.fromkeys(COLUMNS) | known
    return {name: answer(entry) for name, answer in COLUMNS.items()}


def export(entries: Iterable[Entry], form: Format) -> Iterator[str]:
    """The lines of a file or an output, each without its line end; one entry after the other, as it is asked for."""
    return _FORMS[form](entries)


def damage_sentence(entry: Entry) -> str:
    """That an entry cannot be read, and why."""
    return f"Entry {entry.number} cannot be read: {entry.damage}."


def change_words(entry: Entry) -> Iterator[str]:
    """Each changed property, from what to what, as raw text."""
    for name, value in entry.after.items():
        yield f"{name}: {value_word(entry.before.get(name, MISSING))} → {value_word(value)}"


def _json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    return (json.dumps(record(entry)) for entry in entries)


def _json(entries: Iterable[Entry]) -> Iterator[str]:
    return json_array(map(record, entries))


def _csv(entries: Iterable[Entry]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for entry in entries:
        yield csv_line(map(csv_value, record(entry).values()))


def _markdown(entries: Iterable[Entry]) -> Iterator[str]:
    yield "# Changes of lifecycle-workflow runs"
    for entry in entries:
        yield from ("", f"## Entry {entry.number}: {outcome_word(entry)}", "")
        for name, value in record(entry).items():
            if name not in _LAID_OUT and value not in (None, ""):
                yield f"- {name}: {_code(str(value))}"
        if entry.damage:
            continue
        yield from ("", "What changed:", "")
        for name, value in entry.after.items():
            before = value_word(entry.before.get(name, MISSING))
            yield f"- {_code(name)}: {_code(before)} → {_code(value_word(value))}"
        yield from ("", "The body that was sent:", "", *_block(entry.body))


def _code(text: str) -> str:
    """Text as a code span (CommonMark 6.1): between more backticks than it has in a row."""
    shown = visible(text) or " "
    ticks = "`" * (_longest_row(shown) + 1)
    # One blank at both ends is not part of the span; without it, a backtick there would be.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def _block(text: str) -> Iterator[str]:
    """Text as a fenced block (CommonMark 4.5), line by line."""
    shown = visible(text, newlines=True)
    fence = "`" * max(3, _longest_row(shown) + 1)
    yield f"{fence}json"
    yield from shown.split("\n")
    yield fence


def _longest_row(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


_FORMS: Final[Mapping[Format, Callable[[Iterable[Entry]], Iterator[str]]]] = {
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "md": _markdown,
}
