"""What is said of the journal's entries: pure words from values.

Invariant: an unknown outcome is called unknown, and it is said how a known one is known. Keys are named from the action
registry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from runtui.actions import key_of
from runtui.graph.exchange import Outcome
from runtui.services.journal import Entry, KnownBy
from runtui.services.journal_query import change_words
from runtui.services.workspace import Workspace

HOW_KNOWN: Final[dict[KnownBy, str]] = {
    "": "",
    "answer": "by the service's answer",
    "read-back": "seen on read-back",
    "person": "by a person's word",
}


def found_at_start(entries: Collection[Entry]) -> str:
    """What became of the changes that earlier sessions left open; empty when there are none."""
    if not entries:
        return ""
    done = sum(entry.outcome is Outcome.DONE for entry in entries)
    unknown = sum(not entry.is_settled for entry in entries)
    parts = [f"{done} done, seen on read-back"] if done else []
    parts += [f"{unknown} unknown"] if unknown else []
    changes = "1 change" if len(entries) == 1 else f"{len(entries)} changes"
    return f"{changes} of an earlier session: {'; '.join(parts)}. {key_of('journal')} shows the journal."


def settled(entry: Entry) -> str:
    """What was unknown is known."""
    return f"Entry {entry.number} is {outcome_words(entry)}: {', '.join(change_words(entry))}."


def outcome_words(entry: Entry) -> str:
    """An outcome, and how it is known; or why it cannot be read."""
    if entry.damage:
        return f"damaged, {entry.damage}"
    if entry.outcome is None:
        return "open: its end is not recorded"
    how = HOW_KNOWN[entry.known_by]
    return f"{entry.outcome.value}, {how}" if how else entry.outcome.value


def looking(entry: Entry) -> str:
    """Before a look."""
    return f"Reading the run of entry {entry.number}…"


def still_open(entry: Entry) -> str:
    """After a look that settled nothing."""
    if entry.outcome is None:
        return f"Entry {entry.number} is still on its way."
    return (
        f"Entry {entry.number} is still unknown: the run does not prove the change, or could not be read. "
        f"It may still come; if you know better, {key_of('decide')} records it."
    )


DECISIONS: Final[dict[Outcome, str]] = {
    Outcome.DONE: "Done: the service applied the change",
    Outcome.NOT_DONE: "Not done: the service did not apply the change",
}
"""What a person can record of an unknown change."""


def decision(entry: Entry) -> str:
    """Before a person decides what became of an unknown change."""
    return f"{', '.join(change_words(entry))}. Your answer is recorded in the journal and cannot be changed."


def undoable(entries: Sequence[Entry]) -> Entry | None:
    """The change of a run that would be taken back first, of its entries, newest first; None when there is none.

    One that is not known to be done stands in the way of those before it. What took something back is not taken back
    here, so that the same key goes on to the change before.
    """
    for entry in entries:
        if entry.outcome is Outcome.NOT_DONE or entry.undone_by is not None:
            continue
        if entry.outcome is not Outcome.DONE or entry.undoes is None:
            return entry
    return None


def nothing_to_undo(entries: Collection[Entry]) -> str:
    """There is no such change."""
    if any(entry.undone_by is not None for entry in entries):
        return f"Every change of yours on this run is taken back; {key_of('journal')} shows them."
    return "There is nothing of yours to undo on this run."


def doubtful(doubt: str, key: str) -> str:
    """Before a change is taken back that may be somebody else's."""
    return f"{doubt} {key} again undoes it all the same."


def reading_to_undo(entry: Entry) -> str:
    """Before the run is read."""
    return f"Reading the run to take back entry {entry.number}…"


def may_be_undone(entry: Entry) -> str:
    """The run was read, and the person is elsewhere by then."""
    return f"Entry {entry.number} can be taken back; {key_of('undo')} asks again."


def exported(path: Path, count: int) -> str:
    """A file was written."""
    return f"{count} {'entry' if count == 1 else 'entries'} written to {path}"


def why_read_only(workspace: Workspace) -> str | None:
    """Why nothing may be written now, and what allows it again; None when writing is allowed."""
    why = workspace.why_read_only()
    return why if why is None or workspace.settings.read_only else f"{why} {key_of('read_only')} allows writing again."


def read_only(why: str | None, saves: int) -> str:
    """Writing is refused now, or allowed; with saves on their way that this stops no more."""
    if why is None:
        return "Writing is allowed again."
    left = f" {saves} {'save is' if saves == 1 else 'saves are'} on the way all the same." if saves else ""
    return f"This session is read-only. {why}{left}"
