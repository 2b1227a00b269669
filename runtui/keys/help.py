"""The lines of the help: all keys of the registry by scope, the filter language, and the signs.

Invariant: this file names no key. The app shows these lines, and so does the preview before the app is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from runtui.domain.columns import Column, ListCell
from runtui.domain.rows import STATUS_LOOKS
from runtui.keys.actions import SCOPE_TITLES, TYPING, Scope, in_scopes
from runtui.keys.names import is_text, key_text

FILTER_HELP: Final = """\
plain text             in the workflow's name, the run's id, status or type
status:failed          also status:failed,canceled   type:onDemand   wf:"Onboard"   id:6393
failed>0               failed users or tasks; also users, tasks, successful, unprocessed
started>-24h           in the last 24 hours; also completed, scheduled, updated; 2026-11-20; completed:none
began>-12h             the start, or of a run that has not started the planned one
is:problem  is:stuck   what went wrong; what hangs; also active, and unknown: by its status
triage:unhandled       also handled, snoozed, back, seen, new: what you did about it; note:"ask HR"
user:"Adele Vance"     by name, UPN or id; also task, reason and cause: of the runs whose results were read
!term   a or b   ( )   not, or, groups; terms side by side must all hold; of several run ids, one"""

_TYPED: Final = 23
"""The characters of a line of FILTER_HELP before its explanation."""

LINES_BELOW: Final = 2
"""The lines below the help's list, which show the line under the cursor in full."""


class HelpRow(NamedTuple):
    """One line of the help."""

    number: int
    section: str
    keys: str
    """Keys, a filter term, or a sign; empty for the heading of a section."""
    words: str
    action_id: str = ""
    """The action that enter runs; empty if there is none."""

    @property
    def whole(self) -> str:
        """Its section and all its words; empty for a heading."""
        return f"{self.section}: {self.words or self.keys}" if self.keys else ""


def _does(row: HelpRow, _now: int) -> ListCell:
    return ListCell(row.words) if row.keys else ListCell(row.section, "heading")


HELP_COLUMNS: Final[tuple[Column[HelpRow], ...]] = (
    Column("keys", "keys", 16, 1, lambda row, _: ListCell(row.keys), grows_to=_TYPED),
    Column("does", "does", 44, 1, _does, flexible=True),
    Column("where", "where", 22, 9, lambda row, _: ListCell(row.section if row.keys else "", "muted")),
)


def help_rows(here: Iterable[Scope], entry_filter: str = "", signs: Iterable[tuple[str, str]] = ()) -> list[HelpRow]:
    """Return the lines of the help: all keys by scope, the filter language, and the signs. The scopes in `here` come
    first, with that of a run before the others. If letters are typed as text there, no key is a letter.

    Args:
        here: The scopes whose keys work where the help is opened.
        entry_filter: The filter language of the journal, in one line.
        signs: Further signs before a row, each with its meaning.
    """
    return [HelpRow(number, *row) for number, row in enumerate(_rows(here, entry_filter, signs))]


def _rows(
    here: Iterable[Scope], entry_filter: str, signs: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    here = sorted(here, key=lambda scope: scope != "run")
    types = not TYPING.isdisjoint(here)
    for scope in dict.fromkeys((*here, *SCOPE_TITLES)):
        title = SCOPE_TITLES[scope]
        yield title, "", "", ""
        for action in in_scopes(scope):
            keys = [key for key in action.keys if not (types and scope in here and is_text(key))]
            yield title, " ".join(map(key_text, keys)) or "–", action.help, action.id
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
