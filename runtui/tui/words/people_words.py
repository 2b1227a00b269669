"""What is said of people: one line in a list, a name in a title, and how much is known of whom.

Invariant: no widget is touched here; but in lines, names are foreign text as received.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from runtui.domain.triage.run_users import UserRow
from runtui.keys.actions import key_of
from runtui.services.results import ReadingProgress
from runtui.services.store import Person
from runtui.services.triage.people import PersonReading
from runtui.tui.text import fit, plain

NO_RUN_OF_USER: Final = "No run had this user."


_MOST_CELLS: Final = (26, 8, 36)
"""Of a name, the failures and a sign-in name, where people stand below each other."""


def in_lines(people: Sequence[Person]) -> list[str]:
    """A line for each: name, failures, sign-in name and id, each below the others of its kind; a narrow screen cuts
    what is last."""
    rows = [(named(person), _failed(person), person.user_principal_name) for person in people]
    columns = zip(_MOST_CELLS, zip(*rows, strict=True), strict=False)
    widths = [min(most, max(cell_len(plain(text)) for text in column)) for most, column in columns]
    lines = ["  ".join(fit(text, width) for text, width in zip(row, widths, strict=True) if width) for row in rows]
    return [f"{line}  {person.id}" for line, person in zip(lines, people, strict=True)]


def _failed(person: Person) -> str:
    return f"✗ {person.failures}" if person.failures else ""


def named(person: Person) -> str:
    return person.name or person.user_principal_name or person.id


def in_full(person: Person | UserRow) -> str:
    """Name, sign-in name and id: who is meant beyond doubt, before something is done for them."""
    return "  ".join(dict.fromkeys(filter(None, (person.name, person.user_principal_name, person.id))))


def about(text: str, found: int, most: int, progress: ReadingProgress) -> str:
    """What stands below the people that were found."""
    reading = f" {progress.read} of {progress.total} runs are read." if progress.read < progress.total else ""
    if reading and progress.fault is not None:
        reading += f" {progress.fault.title}."
    if found >= most:
        return f"The first {most}; type more of a name to find fewer.{reading}"
    if found:
        return reading.strip()
    if not text:
        return f"Nobody's results were read yet. Type a sign-in name or an id.{reading}"
    return f"Nobody by that name in the results read so far.{reading} Enter looks it up as a sign-in name or an id."


def not_found(why: object, progress: ReadingProgress) -> str:
    """Why nobody is shown, and that more names may become known."""
    left = progress.total - progress.read
    more = f" {left} runs are not read yet: {key_of('people')} reads on, and then finds their users by name."
    return f"{why}{more if left > 1 else ''}"


def workflows_read(reading: PersonReading) -> str:
    """How far the reading of a person is; empty once all is read."""
    return "" if reading.read == reading.total else f"read in {reading.read} of {reading.total} workflows"


def runs_read(progress: ReadingProgress) -> str:
    """How far the results of runs are read, where they alone tell of a person; empty once all are."""
    return "" if progress.read == progress.total else f"read in {progress.read} of {progress.total} runs"


def nothing_known(reading: PersonReading) -> str:
    """Why there is no task, or why some are missing."""
    if reading.fault is not None and reading.is_offered:
        missing = reading.total - reading.read
        return f"{missing} of {reading.total} workflows could not be read. {reading.fault}"
    return "Reading…" if reading.read < reading.total else NO_RUN_OF_USER


def nothing_in_runs(progress: ReadingProgress) -> str:
    """The same, where the results of runs alone tell."""
    if progress.fault is not None:
        return f"Not every run could be read. {progress.fault}"
    return "Reading…" if progress.reading else NO_RUN_OF_USER
