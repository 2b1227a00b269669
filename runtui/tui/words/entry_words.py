"""What the screen says around the journal's entries: the vocabulary of `domain.report`, with the keys for what is next.

Invariant: keys are named from the action registry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from runtui.domain.report import Outcome
from runtui.domain.text import count_words
from runtui.keys.actions import key_of
from runtui.services.journal import Entry
from runtui.services.journal_query import ExportFormat
from runtui.services.workspace import Workspace

FORMATS: Final[Mapping[ExportFormat, str]] = {
    "jsonl": "JSON lines: every property as it is, for programs",
    "csv": "CSV: for a spreadsheet",
    "md": "Markdown: to read, for a ticket",
}


def nothing_sent() -> str:
    """Why the journal is empty, and what fills it."""
    keys = f"{key_of('edit')} edits a run; {key_of('act')} cancels or reprocesses it"
    return f"Nothing was sent yet. In the list, {keys}."


def found_at_start(entries: Collection[Entry]) -> str:
    """How the changes ended that earlier sessions left open; empty when there are none."""
    if not entries:
        return ""
    done = sum(entry.outcome is Outcome.DONE for entry in entries)
    unknown = sum(not entry.is_settled for entry in entries)
    parts = [f"{done} done, seen on read-back"] if done else []
    parts += [f"{unknown} unknown"] if unknown else []
    changes = count_words(len(entries), "change")
    return f"{changes} of an earlier session: {'; '.join(parts)}. {key_of('journal')} shows the journal."


def still_open(entry: Entry) -> str:
    """After a check that settled nothing."""
    if entry.outcome is None:
        return f"#{entry.number} is still in progress."
    return (
        f"#{entry.number} is still unknown: the run does not prove the change, or could not be read. "
        f"It may still arrive; if you know better, {key_of('decide')} records it."
    )


DECISIONS: Final[dict[Outcome, str]] = {
    Outcome.DONE: "Done: the service applied the change",
    Outcome.NOT_DONE: "Not done: the service did not apply the change",
}
"""What a person can record of an unknown change."""


def decision(entry: Entry) -> str:
    """Before a person decides what became of an unknown change."""
    changes = ", ".join(entry.change_words())
    return f"{changes}. Your answer is recorded in the journal and cannot be changed."


def undoable(entries: Sequence[Entry]) -> Entry | None:
    """The change that undo starts with, of the entries of a run, newest first; None when there is none.

    An action of the service is no change. One that is not known to be done blocks those before it. An undo is not
    undone here, so that the same key goes on to the change before.
    """
    for entry in entries:
        if entry.outcome is Outcome.NOT_DONE or entry.undone_by is not None or entry.action:
            continue
        if entry.outcome is not Outcome.DONE or entry.undoes is None:
            return entry
    return None


def nothing_to_undo(entries: Collection[Entry]) -> str:
    if any(entry.undone_by is not None for entry in entries):
        return f"All your changes to this run are undone; {key_of('journal')} shows them."
    return "You have not changed this run."


def exported(path: Path, count: int) -> str:
    return f"{count_words(count, 'entry', 'entries')} written to {path}"


def why_read_only(workspace: Workspace) -> str | None:
    """Why nothing may be changed now, and what allows it again; None when changes are allowed."""
    why = workspace.why_read_only()
    return (
        why
        if why is None or workspace.settings.read_only
        else f"{why.rstrip('.')}; {key_of('read_only')} allows changes."
    )


def read_only(why: str | None, saves: int) -> str:
    """Changes are refused now, or allowed; `saves` are in progress and are not stopped by it."""
    if why is None:
        return "Changes are allowed."
    left = f" {count_words(saves, 'change')} in progress will still be sent." if saves else ""
    return f"{why}{left}"
