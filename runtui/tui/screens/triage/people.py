"""People: the question for a name, and what all workflows did for one person.

Invariant: who is found comes from the store, in a thread; a sign-in name or an id that it does not know is an answer as
well. The rows are of one person, and what comes for another one is not shown among them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static
from textual.widgets.option_list import Option

from runtui.domain.times import now_ticks
from runtui.domain.triage.people import PersonResult, newest_first
from runtui.errors import RuntuiError
from runtui.services.store import Person
from runtui.services.workspace import Workspace
from runtui.tui.actions import bindings
from runtui.tui.keys import awaited
from runtui.tui.resources import PERSON
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content
from runtui.tui.widgets.inputs import ChoiceList, LineInput
from runtui.tui.widgets.read_list import ReadList
from runtui.tui.words import pages, people_words

MOST_FOUND: Final = 50
"""People that are offered; a longer name finds fewer."""


class PeopleView(ActionView[Person]):
    """Asks for a person by name, sign-in name or id; the answer may know no more than what was typed.

    Args:
        workspace: Its store has everybody whose results were read.
    """

    scope = "people"
    BINDINGS = bindings("people")
    opens = "choose_person"
    DEFAULT_CSS = """
    PeopleView { layout: vertical; height: 1fr; }
    PeopleView #people-input { padding: 0 1; }
    PeopleView ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    PeopleView Static { height: auto; max-height: 4; padding: 0 1; }
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(name="people")
        self._workspace = workspace
        self._found: Sequence[Person] = ()

    def compose(self) -> ComposeResult:
        yield LineInput(placeholder="name, sign-in name or id", id="people-input")
        yield ChoiceList(id="people-list")
        yield Static(id="people-about", markup=False)

    def on_mount(self) -> None:
        self.search()

    def title(self) -> Content:
        return Content.assemble(("People", "bold"), content(f"  {len(self._found)}" if self._found else ""))

    def take_focus(self) -> None:
        self.screen.set_focus(self.query_one(Input))

    @property
    def _typed(self) -> str:
        return self.query_one(Input).value.strip()

    def search(self) -> None:
        """Look for what is typed; the next key waits for what the store finds."""
        self._search(self._typed)

    @work(group=awaited("people"), exclusive=True, description="find people")
    async def _search(self, text: str) -> None:
        try:
            self._found = await asyncio.to_thread(self._workspace.store.people, text, MOST_FOUND)
        except RuntuiError as error:
            self.query_one("#people-about", Static).update(content(error))
            return
        people = self.query_one(ChoiceList)
        people.clear_options()
        people.add_options([Option(content(line)) for line in people_words.in_lines(self._found)])
        people.highlighted = 0 if self._found else None
        about = people_words.about(text, len(self._found), MOST_FOUND, self._workspace.results.progress)
        self.query_one("#people-about", Static).update(content(about))
        self.post_message(self.Changed())

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.search()

    @on(Input.Submitted)
    async def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_perform("choose_person")

    def action_person_up(self) -> None:
        self.query_one(ChoiceList).action_cursor_up()

    def action_person_down(self) -> None:
        self.query_one(ChoiceList).action_cursor_down()

    def action_choose_person(self) -> None:
        """Answer with the person under the cursor, else with what is typed."""
        index = self.query_one(ChoiceList).highlighted
        if index is not None:
            self.answer(self._found[index])
        elif self._typed:
            self.answer(Person("", self._typed, "", 0, 0))

    def action_leave_people(self) -> None:
        """Answer with nobody."""
        self.answer()


class PersonView(ActionView[None]):
    """What each task of each run did for one person, newest first."""

    scope = "person"
    shared = ("rows", "row", "wide")
    list: ReadList[PersonResult, str]
    BINDINGS = bindings("rows", "row", "wide", "person")
    opens = "open_persons_run"

    def __init__(self) -> None:
        super().__init__()
        self.list = ReadList(PERSON, name="person", sort="when")
        self.person: Person | None = None
        self._reading = ""

    @property
    def row(self) -> PersonResult | None:
        """The task under the cursor."""
        return self.list.table.row_under_cursor()

    def open(self, person: Person) -> None:
        """Begin with another person, or stay with the one that is open."""
        if self.person is None or person.id != self.person.id:
            self.list.begin("Reading…")
        self.person = person

    def show(self, person: Person, tasks: Iterable[PersonResult], reading: str = "", empty: str | None = None) -> None:
        """Show what was read of a person, if that is still the one that is open.

        Args:
            person: Whose tasks they are.
            tasks: All that are known.
            reading: How far the reading is, for the title.
            empty: Said where there are none.
        """
        if self.person is not None and person.id == self.person.id:
            self._reading = reading
            self.list.put(newest_first(tasks), empty)
            self.post_message(self.Changed())

    def title(self) -> Content:
        """Whose tasks, how many, and how far they were read."""
        title = self.list.heading(people_words.named(self.person) if self.person is not None else "")
        return Content.assemble(title, content(f"  {self._reading}" if self._reading else ""))

    def show_in(self, panel: Panel) -> None:
        """The task under the cursor, in full."""
        row, name = self.row, people_words.named(self.person) if self.person is not None else ""
        if row is None:
            panel.show_page(pages.NO_TASK)
        else:
            panel.show_page(pages.task_page(row.run_id, name, row.row, now_ticks(), row.workflow_name))

    def action_leave_person(self) -> None:
        """One step back: the filter first, then to where one came from."""
        if not self.list.clear():
            self.answer()
