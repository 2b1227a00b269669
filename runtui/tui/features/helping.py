"""The help: every key from the action registry, the filter languages and the signs of the list, as rows to choose from.

Invariant: no key is written here; the registry is read. What works where the help was opened stands first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from runtui.domain.columns import Column, ListCell
from runtui.domain.rows import STATUS_LOOKS
from runtui.keys.actions import SCOPE_TITLES, Scope, in_scopes
from runtui.keys.names import key_text
from runtui.services.journal_query import ENTRY_FILTER_HELP
from runtui.tui.features.feature import Feature
from runtui.tui.filtering import cell_filter
from runtui.tui.palette import Palette
from runtui.tui.resources import ROW_FLAGS, Resource
from runtui.tui.screens.frame import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.read_list import ReadList

FILTER_HELP = """\
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


class HelpRow(NamedTuple):
    """One line of the help."""

    number: int
    section: str
    keys: str
    """Keys, what can be typed, or a sign; empty for the heading of a section."""
    words: str
    action_id: str = ""
    """What enter runs; empty where there is nothing to run."""


def _does(row: HelpRow, _now: int) -> ListCell:
    return ListCell(row.words) if row.keys else ListCell(row.section, "heading")


_COLUMNS: Final[tuple[Column[HelpRow], ...]] = (
    Column("keys", "keys", 16, 1, lambda row, _: ListCell(row.keys), grows_to=_TYPED),
    Column("does", "does", 44, 1, _does, flexible=True),
    Column("where", "where", 22, 9, lambda row, _: ListCell(row.section if row.keys else "", "muted")),
)

HELP: Final[Resource[HelpRow, int]] = Resource(
    title="Help",
    columns=_COLUMNS,
    id_of=lambda row: row.number,
    filter_help="a part of a key, of what it does, or of where it works",
    read_filter=cell_filter(_COLUMNS),
    empty="",
    nothing_found="No key matches the filter.",
)


def help_rows(here: Iterable[Scope]) -> list[HelpRow]:
    """Every key by the place where it works, `here` first and of that what is done with a run; then what can be typed
    as a filter, and the signs."""
    return [HelpRow(number, *row) for number, row in enumerate(_rows(here))]


def _rows(here: Iterable[Scope]) -> Iterator[tuple[str, str, str, str]]:
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
    yield "Filter of the journal", "plain text", ENTRY_FILTER_HELP.removeprefix("plain text, "), ""
    yield "Signs", "", "", ""
    for look in STATUS_LOOKS.values():
        yield "Signs", look.glyph, look.name or "any other", ""
    for flag in ROW_FLAGS:
        yield "Signs", flag.sign, flag.words, ""


class HelpView(ActionView[str]):
    """The list of keys and words; its answer is the id of the action to run. `here` are the scopes whose keys work
    where it is opened, the nearest first.
    """

    scope = "help"
    opens = "run_action"
    DEFAULT_CSS = """
    HelpView { layout: vertical; height: 1fr; }
    HelpView ColumnHeader { display: none; }
    HelpView #help-about { height: 2; padding: 0 1; }
    """
    list: ReadList[HelpRow, int]

    def __init__(self, here: Iterable[Scope]) -> None:
        super().__init__(name="help")
        self._here = tuple(here)
        self.list = ReadList(HELP, name="help")
        self._about = Static(id="help-about", markup=False)

    def compose(self) -> ComposeResult:
        yield self.list
        yield self._about

    def on_mount(self) -> None:
        self.list.table.tell_line = self._show_about
        self.list.put(help_rows(self._here))
        self.list.table.move_to(1)  # the first heading is no line to choose
        self.list.table.scroll_to(y=0, animate=False, force=True, immediate=True)

    def title(self) -> Content:
        return self.list.heading()

    def _show_about(self) -> None:
        """Another line: where it works, and the whole of it."""
        row = self.list.table.row_under_cursor()
        words = f"{row.section}: {row.words or row.keys}" if row is not None and row.keys else ""
        self._about.update(content(words), layout=False)

    def action_run_action(self) -> None:
        row = self.list.table.row_under_cursor()
        if row is not None and row.action_id:
            self.frame.dismiss(row.action_id)
        else:
            self.frame.set_status("There is nothing to run on this line.", "warning")

    def action_filter_help(self) -> None:
        self.list.filter_bar.open()

    def action_close(self) -> None:
        self.action_leave_place()

    def action_close_by_quit(self) -> None:
        self.frame.dismiss()


class Helping(Feature):
    """Opening the help and the palette, and running what is chosen there."""

    async def action_help(self) -> None:
        await self._chrome.ask(HelpView(self._chrome.front.scopes_of_keys), self._run)

    async def action_palette(self) -> None:
        await self._chrome.app.push_screen(Palette(self._chrome.front), self._run)

    async def _run(self, action_id: str | None) -> None:
        if action_id is not None:
            await self._chrome.front.run_by_name(action_id)
