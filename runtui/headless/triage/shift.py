"""`runtui triage`: marks runs, and exports and imports the triage memory. It sends no request.

Invariant: standard output is data. If a run of a command is not in the local store, the command fails and marks no run
at all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from runtui.command_line import CommandLine
from runtui.domain.text import count_words
from runtui.domain.times import moment_text, now_ticks
from runtui.domain.triage.memory import LONGEST_NOTE, NO_TIME, TriageState, snooze_end
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.root import run_key
from runtui.headless.console import narrate
from runtui.headless.journal import journal_in
from runtui.headless.output import print_lines
from runtui.private_files import explanation
from runtui.services.store.store import Store
from runtui.services.triage.memory import TriageMemory
from runtui.services.triage.shift import LONGEST_LINE, read_shift, shift_lines

_MAX_BYTES: Final = 4 * LONGEST_LINE + 2
"""The bytes read of a line, enough to see that it is too long."""


def export_triage(line: CommandLine) -> int:
    """Print the triage of all runs of the chosen server, one JSON object per line."""
    with _memory_of(line) as (memory, root):
        print_lines(shift_lines(memory.all(), root))
    return ExitCode.DONE


def import_triage(line: CommandLine, file: str) -> int:
    """Import what another shift exported, if it is newer.

    Raises:
        RuntuiError: the file cannot be read, or a line cannot be used. Nothing is imported.
    """
    with _memory_of(line) as (memory, root):
        received = read_shift(_lines(file), root)
        taken = memory.take(received)
    kept = "" if taken == len(received) else " The others are as new or newer here."
    narrate(f"Imported: {taken} of {count_words(len(received), 'run')}.{kept}")
    return ExitCode.DONE


def mark_handled(line: CommandLine, run_ids: Sequence[str], *, note: str | None, undo: bool) -> int:
    """Mark runs as handled, or undo that."""
    return _mark(line, run_ids, "" if undo else "handled", "No longer handled" if undo else "Handled", note=note)


def snooze(line: CommandLine, run_ids: Sequence[str], *, until: str, note: str | None) -> int:
    """Snooze runs until a time, or until they change.

    Raises:
        RuntuiError: the time cannot be used, or a run is not in the store.
    """
    try:
        end = snooze_end(until, now_ticks())
    except ValueError as error:
        raise UsageError("The time cannot be used", f"--until {until}: {error}") from None
    words = f"Snoozed until {'it changes' if end == NO_TIME else moment_text(end, now_ticks())}"
    return _mark(line, run_ids, "snoozed", words, note=note, until=end)


def _mark(
    line: CommandLine, run_ids: Sequence[str], state: TriageState, words: str, *, note: str | None, until: int = NO_TIME
) -> int:
    if note is not None and len(note) > LONGEST_NOTE:
        raise UsageError("The note is too long", f"It has at most {LONGEST_NOTE} characters.")
    with _memory_of(line) as (memory, _):
        rows = memory.rows((*map(run_key, run_ids), *run_ids))
        known = {run_key(row.id): row.id for row in rows}
        if missing := [run_id for run_id in run_ids if run_key(run_id) not in known]:
            what = f"The local store has no run {', '.join(map(repr, missing))}. Nothing was marked."
            raise UsageError("There is no such run here", what, "`runtui list` reads all runs.")
        memory.set_state(known.values(), state, "", until=until)
        if note is not None:
            memory.note(known.values(), note, "")
    narrate(f"{words}: {count_words(len(known), 'run')}.")
    return ExitCode.DONE


@contextmanager
def _memory_of(line: CommandLine) -> Iterator[tuple[TriageMemory, str]]:
    """Open the triage memory of the chosen server, up to date; yield it with the root."""
    session = line.session()
    settings = session.settings
    with journal_in(settings.state_folder) as journal:
        store = Store(session.store_file)
        try:
            memory = TriageMemory(journal, store, settings.root)
            memory.follow()
            yield memory, settings.root
        finally:
            store.close()


def _lines(file: str) -> Iterator[str]:
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as opened:
            while line := opened.readline(_MAX_BYTES):
                is_whole = line.endswith(b"\n") or len(line) < _MAX_BYTES
                yield line.decode("utf-8-sig", "strict" if is_whole else "replace")
    except UnicodeDecodeError:
        what = "It is not UTF-8. Nothing was imported."
        raise UsageError("This is not a file of `runtui triage export`", what) from None
    except OSError as error:
        what, cure = explanation(Path(file), error, "Give the file of `runtui triage export`, or - for standard input.")
        raise RuntuiError("The file cannot be read", what, cure) from error
