"""The help's lines: every key from the registry by the place where it works, what can be typed as a filter, the signs.

Invariant: no key is written here. The screen shows these lines, and until it is loaded so does the preview.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from runtui.domain.columns import Column, ListCell
from runtui.domain.rows import STATUS_LOOKS
from runtui.keys.actions import SCOPE_TITLES, Scope, in_scopes
from runtui.keys.names import key_text

FILTER_HELP: Final = """\
plain text             in the workflow's name, the run's id, status or type
status:failed          also status:failed,canceled   type:onDemand   wf:"Onboard"   id:6393
failed>0               failed users or tasks; also users, tasks, successful, unprocessed
started>-24h           in the last 24 hours; also completed, scheduled, updated; 2026-11-20; completed:none
is:problem  is:stuck   what went wrong; what hangs
triage:unhandled       also handled, snoozed, back, seen, new: what you did about it; note:"ask HR"
user:"Adele Vance"     by name, UPN or id; also task, reason and cause: of the runs whose results were read
!term   a or b   ( )   not, or, groups; terms side by side must all hold"""

_TYPED: Final = 23
"""Characters of a line of FILTER_HELP before its words."""

LINES_BELOW: Final = 2
"""Of the help, for the whole of the line under the cursor."""


class HelpRow(NamedTuple):
    """One line of the help."""

    number: int
    section: str
    keys: str
    """Keys, what can be typed, or a sign; empty for the heading of a section."""
    words: str
    action_id: str = ""
    """What enter runs; empty where there is nothing to run."""

    @property
    def whole(self) -> str:
        """Where it works, and all its words; empty for a heading."""
        return f"{self.section}: {self.words or self.keys}" if self.keys else ""


def _does(row: HelpRow, _now: int) -> ListCell:
    return ListCell(row.words) if row.keys else ListCell(row.section, "heading")


HELP_COLUMNS: Final[tuple[Column[HelpRow], ...]] = (
    Column("keys", "keys", 16, 1, lambda row, _: ListCell(row.keys), grows_to=_TYPED),
    Column("does", "does", 44, 1, _does, flexible=True),
    Column("where", "where", 22, 9, lambda row, _: ListCell(row.section if row.keys else "", "muted")),
)


def help_rows(here: Iterable[Scope], entry_filter: str = "", signs: Iterable[tuple[str, str]] = ()) -> list[HelpRow]:
    """Every key by the place where it works, `here` first and of that what is done with a run; then what can be typed
    as a filter, and the signs.

    Args:
        here: Whose keys work where the help is opened.
        entry_filter: How the journal is filtered.
        signs: What else stands before a row, each with its words.
    """
    return [HelpRow(number, *row) for number, row in enumerate(_rows(here, entry_filter, signs))]


def _rows(
    here: Iterable[Scope], entry_filter: str, signs: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    here = sorted(here, key=lambda scope: scope != "run")
    for scope in dict.fromkeys((*here, *SCOPE_TITLES)):
        title = SCOPE_TITLES[scope]
        yield title, "", "", ""
        for action in in_scopes(scope):
            yield title, " ".join(map(key_text, action.keys)), action.help, action.id
    yield "Filter", "", "", ""
    for line in FILTER_HELP.splitlines():
        yield "Filter", line[:_TYPED].rstrip(), line[_TYPED:], ""
    yield "Filter of the journal", "", "", ""
    yield "Filter of the journal", "plain text", entry_filter.removeprefix("plain text, "), ""
    yield "Signs", "", "", ""
    for look in STATUS_LOOKS.values():
        yield "Signs", look.glyph, look.name or "any other", ""
    for sign, words in signs:
        yield "Signs", sign, words, ""
