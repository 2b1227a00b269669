"""The entries that a person has in view, page by page, and a file of them.

Invariant: no more than a page is read at a time. An export is a new file for its owner alone; it overwrites nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from runtui.domain.times import now_ticks
from runtui.errors import RuntuiError
from runtui.private_files import NotPrivateError, create_private, private_folder
from runtui.services.journal import Entry, Journal
from runtui.services.journal_export import Format, export
from runtui.services.journal_filter import Condition, parse

PAGE: Final = 1_000
"""Entries that are read at a time."""

EXPORTS: Final = "exports"
"""The folder of exported files, beside the journal."""


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """Which entries are wanted. Its methods read the file."""

    journal: Journal
    root: str | None
    """None: of all roots."""
    text: str = ""
    """A filter; see `journal_filter`."""

    def page(self, before: int | None, wanted: int) -> tuple[list[Entry], int | None]:
        """Some entries, newest first, and where the next page begins.

        Args:
            before: Only those with a smaller number; None: from the newest.
            wanted: At least so many, where there are so many.

        Returns:
            The entries, and the `before` of the next page; None when nothing is older.

        Raises:
            RuntuiError: the filter makes no sense, or the journal cannot be read.
        """
        holds = condition(self.text)
        found: list[Entry] = []
        while len(found) < wanted:
            entries = self.journal.entries(root=self.root, before=before, limit=PAGE)
            found += filter(holds, entries)
            if len(entries) < PAGE:
                return found, None
            before = entries[-1].number
        return found, before

    def __iter__(self) -> Iterator[Entry]:
        """All of them, newest first; raises as `page` does."""
        before: int | None = None
        while True:
            found, before = self.page(before, 1)
            yield from found
            if before is None:
                return

    def write(self, form: Format) -> tuple[Path, int]:
        """Write all of them to a new file; its path, and how many they are.

        Raises:
            RuntuiError: the filter makes no sense, the journal cannot be read, or the file cannot be written.
        """
        folder = self.journal.path.parent / EXPORTS
        path = folder / f"journal-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.{form}"
        count = 0

        def counted() -> Iterator[Entry]:
            nonlocal count
            for entry in self:
                count += 1
                yield entry

        try:
            private_folder(folder)
            with os.fdopen(create_private(path), "w", encoding="utf-8", newline="") as file:
                file.writelines(f"{line}\n" for line in export(counted(), form))
        except OSError as error:
            what, cure = f"{path}: {error}.", "Make room and try again."
            if isinstance(error, NotPrivateError):
                what, cure = error.sentence, error.cure
            raise RuntuiError("The export cannot be written", what, cure) from error
        return path, count


def condition(text: str) -> Condition:
    """What a filter text means now.

    Raises:
        UsageError: it makes no sense.
    """
    return parse(text, now_ticks())
