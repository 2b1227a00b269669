"""One person across all workflows: asking for the name, reading what was not read yet, going to a run.

Invariant: what the store has is shown at once; the server is asked while the person is open, and no longer.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Final

from runtui.errors import RuntuiError
from runtui.services.store import EVERY_RUN, Person
from runtui.services.triage.people import find_user, read_person
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.opening import Opening
from runtui.tui.keys import awaited
from runtui.tui.screens.triage.people import PeopleView, PersonView
from runtui.tui.words import people_words

_READING: Final = "read a person"


class Tracing(Feature):
    """The question for a person, and the person's place."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.view = PersonView()
        self.place = self._chrome.place(self.view)
        """The screen of a person; it stays mounted."""
        self._is_told_by_runs = False
        """Whether the server does not answer for one person, so that the results of all runs are read."""

    def start(self) -> None:
        """Follow what is read."""
        self._chrome.carry(self._workspace.results.changed.subscribe, self._results_changed, only_newest=True)

    # @: a question for a name

    async def action_people(self) -> None:
        """Ask for a person; more results are read meanwhile, so that more people are known."""
        self._workspace.results.read_in_background(self._runs.shown)
        await self._chrome.ask(PeopleView(self._workspace), self._chosen)

    async def _results_changed(self, _progress: object) -> None:
        """More people may be known, and more of the person that is open."""
        if isinstance(asking := self._chrome.front.view, PeopleView):
            asking.search()
        elif self._is_told_by_runs and (person := self.view.person) is not None:
            progress = self._workspace.results.progress
            await self._show_stored(person, people_words.runs_read(progress), people_words.nothing_in_runs(progress))

    async def _chosen(self, person: Person | None) -> None:
        await self._workspace.results.stop()
        if person is None:
            return
        await self._chrome.prepare(self.place)
        self.view.open(person)
        await self._chrome.open(self.place, self._left)
        self._chrome.app.run_worker(self._begin(person), group=awaited("person"), description="show a person")

    async def _left(self, _answer: None) -> None:
        self._chrome.app.workers.cancel_group(self._chrome.app, _READING)
        if self._is_told_by_runs:
            self._is_told_by_runs = False
            await self._workspace.results.stop()

    async def _begin(self, person: Person) -> None:
        """Show what the store has, since the next key may act on it, and read the rest."""
        await self._show_stored(person, "reading…", "Reading…")
        self._chrome.app.run_worker(self._read(person), group=_READING, exclusive=True, description="read a person")

    async def _show_stored(self, person: Person, reading: str, empty: str) -> None:
        stored = await self.in_thread(partial(self._workspace.store.results_of_person, person.id))
        if stored is not None:
            self.view.show(person, stored, reading, empty)

    async def _read(self, person: Person) -> None:
        """Show what the server tells of a person, again whenever there is more."""
        try:
            if not person.id:
                person = self.view.person = await find_user(self._workspace.client, person.name)
            async with aclosing(read_person(self._workspace.client, self._workspace.store, person.id)) as readings:
                async for reading in readings:
                    words = people_words.workflows_read(reading)
                    self.view.show(person, reading.tasks, words, people_words.nothing_known(reading))
        except RuntuiError as error:
            self.view.show(person, (), "", str(error))
            return
        if not reading.is_offered:
            self._is_told_by_runs = True
            self._workspace.results.read_in_background(EVERY_RUN)
        elif reading.fault is not None:
            self.view.set_status(people_words.nothing_known(reading), "error")

    # enter on a task

    async def action_open_persons_run(self) -> None:
        """Open the run of the task under the cursor."""
        row = self.view.list.table.row_under_cursor(hold=True)
        if row is not None and row.run_id:
            await self._features[Opening].open_run(row.run_id)
