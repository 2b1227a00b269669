"""One person across all workflows: the question for a name, what was done for that person, going to a run.

Invariant: stored data is shown at once; requests are sent only while the person is open. A sign-in name or an id that
the store does not know is also an answer to the question. The rows are about one person, and data about another one is
never among them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input
from textual.worker import Worker

from runtui.domain.columns import ESSENTIAL, Column
from runtui.domain.times import now_ticks
from runtui.domain.triage.run_users import PERSON_COLUMNS, PersonResult, newest_first
from runtui.errors import RuntuiError
from runtui.services.store.store import EVERY_RUN, Person
from runtui.services.triage.people import PersonReading, find_user, read_person
from runtui.services.workspace import Workspace
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.opening import Opening
from runtui.tui.keys import blocks_keys
from runtui.tui.resources import READING, Resource, in_memory
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView, Throttle
from runtui.tui.text import content
from runtui.tui.widgets.chrome import ShortText
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.widgets.side_panel import none_selected
from runtui.tui.words import pages, triage_words

MAX_FOUND: Final = 50
"""The most people that are offered; a longer name finds fewer."""


def _names_first(column: Column[PersonResult]) -> Column[PersonResult]:
    """Return the same column for a list beside the panel, which has each reason in full: reasons need no room then."""
    if column.flexible:
        return column._replace(flexible=False, priority=ESSENTIAL + 1, grows_to=400)
    return column._replace(flexible=True, grows_to=0) if column.key == "task" else column


PERSON: Final[Resource[PersonResult, str]] = in_memory(
    "Tasks", "task", tuple(map(_names_first, PERSON_COLUMNS)), lambda task: task.id, triage_words.NO_RUN_OF_USER
)


class PeopleView(ActionView[Person]):
    """Asks for a person by name, sign-in name or id; the answer may have only the typed text."""

    scope = "people"
    asked_by = "people"
    leaves_panel = True
    opens = "choose_person"
    DEFAULT_CSS = "PeopleView #people-input { padding: 0 1; }"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._found: Sequence[Person] = ()
        self._more = ""
        """A plus sign if more people were found than are offered."""
        self._sought = ""
        """The text that they were found by."""
        self.drawing = Throttle(self, workspace.foreground, self.search)
        """Searches again for the typed text as more people become known."""
        # It is not found by a query: a search may end while the view is being closed.
        self._input = LineInput(placeholder="name, sign-in name or id", id="people-input")
        self._people = ChoiceList(id="people-list")
        self._about = ShortText(id="people-about")

    def compose(self) -> ComposeResult:
        yield self._input
        yield self._people
        yield self._about

    def on_mount(self) -> None:
        self.search()

    def title(self) -> Content:
        return Content.assemble(("People", "bold"), content(f"  {len(self._found)}{self._more}" if self._found else ""))

    @property
    def _typed(self) -> str:
        return self._input.value.strip()

    def search(self) -> Worker[None]:
        """Search for the typed text; the next key waits for the result from the store."""
        return self._search(self._typed)

    @work(group=blocks_keys("people"), exclusive=True, description="find people")
    async def _search(self, text: str) -> None:
        try:
            found = await asyncio.to_thread(self._workspace.store.people, text, MAX_FOUND + 1)
        except RuntuiError as error:
            self._about.text = content(error)
            return
        about = triage_words.found_people(text, len(found), MAX_FOUND, self._workspace.results.progress)
        self._more, found = "+" if len(found) > MAX_FOUND else "", found[:MAX_FOUND]
        people = self._people
        # A cursor that was moved stays on its person, although more become known.
        chosen = self._found[people.highlighted].id if people.highlighted and text == self._sought else ""
        self._found, self._sought = found, text
        at_chosen = (index for index, person in enumerate(found) if chosen and person.id == chosen)
        people.show(triage_words.person_lines(found), next(at_chosen, 0) if found else None)
        self._about.text = content(about)
        self.post_message(self.Changed())

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.search()

    def action_person_up(self) -> None:
        self._people.action_cursor_up()

    def action_person_down(self) -> None:
        self._people.action_cursor_down()

    def action_choose_person(self) -> None:
        """Answer with the person under the cursor, else with the typed text."""
        index = self._people.highlighted
        if index is not None:
            self.dismiss(self._found[index])
        elif self._typed:
            self.dismiss(Person("", self._typed, "", 0, 0))


class PersonView(ActionView[None]):
    """What each task of each run did for one person, newest first."""

    scope = "person"
    list: ReadList[PersonResult, str]
    opens = "open_persons_run"

    def __init__(self) -> None:
        super().__init__()
        self.list = ReadList(PERSON, name="person", sort="when")
        self.person: Person | None = None
        self._progress = ""
        """How far the tasks were read; empty once all were."""

    def open(self, person: Person) -> None:
        """Start with another person, or stay with the open one."""
        if self.person is None or person.id != self.person.id:
            self.list.begin(READING)
        self.person = person

    def show(self, person: Person, tasks: Iterable[PersonResult], progress: str = "", empty: str | None = None) -> None:
        """Show all known tasks of a person, if that person is still open; `progress` is for the title, `empty` for an
        empty list."""
        if self.person is not None and person.id == self.person.id:
            self._progress = progress
            self.list.put(newest_first(tasks), empty)
            self.post_message(self.Changed())

    def title(self) -> Content:
        return self.list.heading(self._person_name, self._progress)

    @property
    def _person_name(self) -> str:
        return triage_words.person_name(self.person) if self.person is not None else ""

    def show_in(self, panel: Panel) -> None:
        if (row := self.list.row) is None:
            panel.show_page(none_selected("task"))
        else:
            panel.show_page(pages.task_page(row.run_id, self._person_name, row.row, now_ticks(), row.workflow_name))


_READING: Final = "read a person"


class Tracing(Feature):
    """The question for a person, and the person's screen."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.view = PersonView()
        self.screen = self._chrome.install(self.view)
        self._is_read_by_runs = False
        """True if the server does not answer for one person, so that the results of all runs are read."""
        self._answers: PersonReading | None = None
        """The server's answers about the open person so far, if they are to be drawn."""
        self._drawing = Throttle(self.view, self._workspace.foreground, self._follow)

    def start(self) -> None:
        self.listen(self._workspace.results.changed, self._results_changed, only_newest=True)

    # @: a question for a name

    async def action_people(self) -> None:
        await self.ask(self._chosen)

    async def ask(self, chosen: Callable[[Person], Awaitable[None]]) -> None:
        """Ask for a person; more results are read meanwhile, so that more people are known."""
        results = self._workspace.results

        async def answered(person: Person) -> None:
            await results.stop()
            await chosen(person)

        results.read_in_background(EVERY_RUN)
        await self._chrome.ask(PeopleView(self._workspace), answered, results.stop)

    def _results_changed(self, _progress: object) -> None:
        if isinstance(asking := self._chrome.front.view, PeopleView):
            asking.drawing.ask()
        elif self._is_read_by_runs:
            self._drawing.ask()

    def _follow(self) -> Worker[None] | None:
        progress, person, reading = self._workspace.results.progress, self.view.person, self._answers
        if person is None:
            return None
        if reading is not None:
            words = triage_words.how_far(reading, "workflows")
            self.view.show(person, reading.tasks, words, triage_words.why_no_tasks(reading))
        elif self._is_read_by_runs:
            how_far, why_none = triage_words.how_far(progress, "runs"), triage_words.why_no_tasks_in_runs(progress)
            return self.in_worker(self._show_stored(person, how_far, why_none), _READING, exclusive=True)
        return None

    async def _chosen(self, person: Person) -> None:
        self._stop_reading()  # `_follow` shows an answer for whoever is open
        await self._chrome.open(self.screen, self._dismissed, fill=lambda: self.view.open(person))
        self.in_worker(self._begin(person), blocks_keys("person"))

    def _stop_reading(self) -> None:
        self._chrome.app.workers.cancel_group(self._chrome.app, _READING)
        self._answers = None

    async def _dismissed(self, _answer: None) -> None:
        self._stop_reading()
        if self._is_read_by_runs:
            self._is_read_by_runs = False
            await self._workspace.results.stop()

    async def _begin(self, person: Person) -> None:
        """Show the stored data, because the next key may act on it, and read the rest."""
        await self._show_stored(person, "reading…", READING)
        self.in_worker(self._read(person), _READING, exclusive=True)

    async def _show_stored(self, person: Person, reading: str, empty: str) -> None:
        stored = await self.in_thread(partial(self._workspace.store.results_of_person, person.id))
        if stored is not None:
            self.view.show(person, stored, reading, empty)

    async def _read(self, person: Person) -> None:
        """Show the server's answers about a person: the first and the last one at once, the others a few together."""
        try:
            if not person.id:
                person = self.view.person = await find_user(self._workspace.client, person.name)
            async with aclosing(read_person(self._workspace.client, self._workspace.store, person.id)) as readings:
                async for reading in readings:
                    self._answers = reading
                    if reading.read:  # before that, stored data is shown
                        self._drawing.ask()
            self._follow()
        except RuntuiError as error:
            self._answers = None
            self.view.show(person, (), "", triage_words.why_no_person(error, self._workspace.results.progress))
            return
        self._answers = None
        if not reading.is_offered:
            self._is_read_by_runs = True
            self._workspace.results.read_in_background(EVERY_RUN)
        elif reading.fault is not None:
            self.screen.set_status(triage_words.why_no_tasks(reading), "error")

    # enter on a task

    async def action_open_persons_run(self) -> None:
        row = self.view.list.table.row_under_cursor(pin=True)
        if row is not None and row.run_id:
            await self._features[Opening].open_run(row.run_id, row.result.subject_id)
