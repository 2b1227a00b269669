"""`runtui journal`: what was changed, by whom, and what became of it. It asks no server and needs no token.

Invariant: standard output is data and nothing else; nothing in the journal is changed by reading it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias

from runtui.domain.draft import MISSING, value_word
from runtui.domain.text import fit_cells, visible
from runtui.domain.times import local_text, now_ticks, parse_ticks
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.console import narrate
from runtui.services.journal import Entry, Journal
from runtui.services.journal_file import broken_journal
from runtui.services.journal_query import (
    ExportFormat,
    change_words,
    damage_sentence,
    entry_object,
    export,
    outcome_word,
    parse_entry_filter,
)
from runtui.services.workspace import JOURNAL_FILE

Format: TypeAlias = Literal["table"] | ExportFormat

ALL: Final = -1
"""No limit, as SQLite says it."""

TABLE: Final = (("#", 5), ("opened", 19), ("outcome", 8), ("workflow", 24), ("change", 44))
"""The columns of the table and their cells; the run's id stands after them, whole."""


def print_journal(state_folder: Path, *, root: str | None, filter_text: str, limit: int | None, output: Format) -> int:
    """Print the entries that a filter finds, newest first; the exit code.

    Args:
        state_folder: Where the journal is.
        root: The Graph root whose entries are wanted; None: of all.
        filter_text: See ENTRY_FILTER_HELP.
        limit: At most so many; None: all.
        output: How.

    Raises:
        RuntuiError: the filter makes no sense, or the journal cannot be read.
    """
    wanted = parse_entry_filter(filter_text, now_ticks())
    with journal_in(state_folder) as journal:
        entries = journal.entries(root=root, limit=ALL)
        is_whole = journal.set_aside is None
    found = list(islice(filter(wanted, entries), limit))
    for line in _table(found) if output == "table" else export(found, output):
        print(line)
    damaged = [entry for entry in found if entry.damage]
    narrate(*(damage_sentence(entry) for entry in damaged))
    return int(ExitCode.DONE if is_whole and not damaged else ExitCode.NOT_DONE)


def print_entry(state_folder: Path, number: int, *, output: Format) -> int:
    """Print one entry wholly; the exit code.

    Raises:
        RuntuiError: there is none of that number, or the journal cannot be read.
    """
    with journal_in(state_folder) as journal:
        entry = journal.entry(number)
    if entry is None:
        raise no_such_entry(number)
    for line in _whole(entry, output):
        print(line)
    return int(ExitCode.DONE if not entry.damage else ExitCode.NOT_DONE)


@contextmanager
def journal_in(state_folder: Path) -> Iterator[Journal]:
    """The journal of a state folder, closed at the end; that a broken one was set aside is said."""
    journal = Journal(state_folder / JOURNAL_FILE)
    try:
        yield journal
    finally:
        journal.close()
        if journal.set_aside is not None:
            narrate(str(broken_journal(journal.set_aside)))


def no_such_entry(number: int) -> RuntuiError:
    """What is said of a number that the journal does not have."""
    return UsageError("There is no such entry", f"The journal has no entry {number}.", "runtui journal lists them.")


def _table(entries: Iterable[Entry]) -> Iterator[str]:
    yield " ".join([*(fit_cells(title, width) for title, width in TABLE), "run"])
    for entry in entries:
        texts = (str(entry.number), _clock(entry), outcome_word(entry), entry.workflow_name)
        cells = (*texts, entry.damage or ", ".join(change_words(entry)))
        fitted = (fit_cells(visible(text), width) for text, (_, width) in zip(cells, TABLE, strict=True))
        yield " ".join([*fitted, visible(entry.run_id)])


def _clock(entry: Entry) -> str:
    """When it was opened, in the local zone, without the offset; nothing where that is not known."""
    if entry.damage:
        return ""
    return local_text(parse_ticks(entry.opened_at.isoformat()))[:19]


def _whole(entry: Entry, output: Format) -> Iterator[str]:
    if output == "table":
        return _page(entry)
    if output in ("json", "jsonl"):
        return iter((json.dumps({**entry_object(entry), "response": entry.response}),))
    return export([entry], output)


def _page(entry: Entry) -> Iterator[str]:
    """An entry for reading: its facts, what changed, the request, the answer."""
    facts = entry_object(entry)
    changes = (facts.pop("before"), facts.pop("after"))
    method, url, body = (facts.pop(name) for name in ("method", "url", "body"))
    for name, value in facts.items():
        if value not in (None, ""):
            yield f"{name:16} {visible(value)}"
    if entry.damage:
        return
    yield from ("", "changed:")
    before, after = changes
    for name, value in after.items():
        yield visible(f"  {name}: {value_word(before.get(name, MISSING))} → {value_word(value)}")
    yield from ("", "request:", visible(f"{method} {url}"), visible(body, newlines=True))
    if entry.response:
        yield from ("", f"answer: {visible(entry.status)} {visible(entry.reason)}".rstrip())
        yield visible(entry.response, newlines=True)
