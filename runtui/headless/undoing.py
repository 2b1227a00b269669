"""`runtui undo`: take one change back, by the same review and the same write path.

Invariant: a change is taken back where it was made; another server is refused before it hears anything.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from runtui.errors import UsageError
from runtui.graph.root import same_server
from runtui.headless.changing import Manner, change, check_consent, nothing_sent_if_cancelled, settle_earlier
from runtui.headless.console import confirmed, narrate, run_command
from runtui.headless.journal import journal_in, no_such_entry
from runtui.headless.opening import Server, connected, pace
from runtui.services.journal import Entry
from runtui.services.journal_query import damage_sentence
from runtui.services.undo import UndoError, doubt_of, draft_to_undo


def entry_to_undo(state_folder: Path, number: int, root: str | None) -> Entry:
    """The journal's entry of that number, which must be of the server of `root`, where one is given.

    Raises:
        RuntuiError: there is no such entry, it is of another server, or the journal cannot be used.
    """
    with journal_in(state_folder) as journal:
        entry = journal.entry(number)
    if entry is None:
        raise no_such_entry(number)
    if entry.damage:
        raise UndoError(entry, f"{damage_sentence(entry)} Nothing was sent.")
    if root is not None and not same_server(root, entry.root):
        raise UsageError(
            f"Entry {number} cannot be undone there",
            f"It changed a run of {entry.root}, and --root says {root}. Nothing was sent.",
            "Leave --root out to undo it where it was made.",
        )
    return entry


def undo_entry(server: Server, number: int, manner: Manner, *, seen_on_read_back: bool = False) -> int:
    """Take an entry back; the exit code.

    Args:
        server: Where.
        number: Which entry.
        manner: How.
        seen_on_read_back: Whether also one that may be somebody else's change (`doubt_of`) is taken back unasked.

    Raises:
        RuntuiError: it cannot or must not be taken back, nobody can say yes, or the run cannot be read. Nothing was
            sent then.
    """
    check_consent(server.settings, manner)
    return run_command(_undo(server, number, manner, seen_on_read_back))


async def _undo(server: Server, number: int, manner: Manner, seen_on_read_back: bool) -> int:
    async with connected(server) as workspace:
        with nothing_sent_if_cancelled():
            entry = await asyncio.to_thread(workspace.journal.entry, number)
            if entry is not None and not manner.dry_run:
                await settle_earlier(workspace, entry.run_id)
                entry = await asyncio.to_thread(workspace.journal.entry, number)
            if entry is None:
                raise no_such_entry(number)
            draft = await draft_to_undo(entry, workspace.client, workspace.settings.body_mode, pace=pace())
            if not manner.dry_run and not seen_on_read_back:
                await _ask_again(entry, manner)
        return await change(workspace, draft, manner, undoes=number)


async def _ask_again(entry: Entry, manner: Manner) -> None:
    """Where an entry may be somebody else's change, ask whether it is taken back all the same.

    Raises:
        UndoError: it is not, or nobody can be asked.
    """
    doubt = doubt_of(entry)
    if not doubt:
        return
    if manner.yes:
        raise UndoError(entry, f"{doubt} Nothing was sent.", "--yes --seen-on-read-back undoes it all the same.")
    narrate(doubt)
    if not await confirmed("Undo it all the same?"):
        raise UndoError(entry, "Not confirmed. Nothing was sent.")
