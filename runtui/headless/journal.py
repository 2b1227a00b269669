"""`runtui journal`: prints the changes made from this machine, by whom, and their outcomes. It sends no request.

Invariant: standard output is data. Reading does not change the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias

from runtui.command_line import CommandLine
from runtui.domain.columns import Column, ListCell
from runtui.domain.text import visible
from runtui.domain.times import local_text, now_ticks, ticks_of
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.console import narrate
from runtui.headless.output import column_lines, print_lines, standard_output
from runtui.private_files import logs_kept
from runtui.services.records.journal import Entry, Journal
from runtui.services.records.journal_file import broken_journal
from runtui.services.records.journal_query import (
    EntryQuery,
    ExportFormat,
    damage_sentence,
    entry_object,
    export,
    outcome_word,
)
from runtui.settings import JOURNAL_FILE, state_folder

_COLUMNS: Final[tuple[Column[Entry], ...]] = (
    Column("number", "#", 3, 1, lambda entry, _: ListCell(str(entry.number))),
    Column("opened", "opened", 25, 3,
           lambda entry, _: ListCell("" if entry.damage else local_text(ticks_of(entry.opened_at)))),
    Column("outcome", "outcome", 8, 1, lambda entry, _: ListCell(outcome_word(entry))),
    Column("workflow", "workflow", 12, 4, lambda entry, _: ListCell(entry.workflow_name), grows_to=24),
    Column("change", "change", 20, 2,
           lambda entry, _: ListCell(entry.damage or ", ".join(entry.change_words())), flexible=True),
    Column("run", "run", 21, 5,
           lambda entry, _: ListCell("" if entry.is_about_workflow else entry.run_id, "muted"), grows_to=80),
)  # fmt: skip

JournalFormat: TypeAlias = Literal["table"] | ExportFormat


def journal(
    line: CommandLine, number: int | None = None, *, filter_text: str, limit: int | None, output: JournalFormat
) -> int:
    """Print one entry in full, or the matching entries. See `print_journal`."""
    if number is not None:
        return print_entry(state_folder(), number, output=output)
    return print_journal(state_folder(), root=line.root(), filter_text=filter_text, limit=limit, output=output)


def print_journal(folder: Path, *, root: str | None, filter_text: str, limit: int | None, output: JournalFormat) -> int:
    """Print the matching entries of one Graph root (None: all), newest first. The exit code is NOT_DONE
    if entries cannot be read.

    Raises:
        RuntuiError: the filter cannot be used, or the journal cannot be read.
    """
    with journal_in(folder) as journal:
        found = list(islice(EntryQuery(journal, root, filter_text), limit))
        is_whole = journal.set_aside is None
    if output == "table":
        lines = column_lines(_COLUMNS, lambda: found, now_ticks(), standard_output(), is_chosen=False)
    else:
        lines = export(found, output)
    print_lines(lines)
    damaged = [entry for entry in found if entry.damage]
    narrate(*(damage_sentence(entry) for entry in damaged))
    return ExitCode.DONE if is_whole and not damaged else ExitCode.NOT_DONE


def print_entry(folder: Path, number: int, *, output: JournalFormat) -> int:
    """Print one entry in full.

    Raises:
        RuntuiError: there is no entry with that number, or the journal cannot be read.
    """
    with journal_in(folder) as journal:
        entry = journal.entry(number)
    if entry is None:
        raise no_such_entry(number)
    if output == "table":
        lines = _page(entry)
    elif output in ("json", "jsonl"):
        lines = iter([json.dumps({**entry_object(entry), "response": entry.response})])
    else:
        lines = export([entry], output)
    print_lines(lines)
    return ExitCode.DONE if not entry.damage else ExitCode.NOT_DONE


@contextmanager
def journal_in(folder: Path) -> Iterator[Journal]:
    """Open the journal of a state folder. At the end, report a broken one that was set aside."""
    journal = Journal(folder / JOURNAL_FILE)
    try:
        yield journal
    finally:
        with logs_kept(journal.path):
            journal.close()
        if journal.set_aside is not None:
            narrate(str(broken_journal(journal.set_aside)))


def no_such_entry(number: int, what: str = "no") -> RuntuiError:
    return UsageError("There is no such change", f"The journal has {what} #{number}.", "runtui journal lists them.")


def _page(entry: Entry) -> Iterator[str]:
    """Yield an entry as text: its facts, its changes, the request and the response."""
    yield visible(entry.report.heading)
    facts = entry_object(entry)
    method, url, body, *_ = (facts.pop(name) for name in ("method", "url", "body", "before", "after"))
    for name, value in facts.items():
        if value not in (None, ""):
            yield f"{name:16} {visible(value)}"
    if entry.damage:
        return
    yield from ("", "asked for:" if entry.action else "changed:")
    yield from (visible(f"  {words}") for words in entry.change_words())
    yield from ("", "request:", visible(f"{method} {url}"), visible(body, newlines=True))
    if entry.response:
        yield from ("", f"response: {visible(entry.status)} {visible(entry.reason)}".rstrip())
        yield visible(entry.response, newlines=True)
