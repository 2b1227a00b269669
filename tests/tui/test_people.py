"""One person across all workflows: found by name or id, missing results read, and back to the run."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from rich.cells import cell_len

from runtui.domain.triage.run_users import PersonResult
from runtui.errors import RuntuiError
from runtui.keys.actions import key_of
from runtui.sandbox.app import create_app
from runtui.services.results import ReadingProgress
from runtui.services.store.store import EVERY_RUN, Person, Store
from runtui.services.triage.people import PersonReading
from runtui.tui.features.triage import tracing
from runtui.tui.features.triage.tracing import PeopleView, PersonView, Tracing
from runtui.tui.screens import view
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.words.triage_words import found_people, person_lines, why_no_person
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.wires import Held, reply

OF_A_WORKFLOW = re.compile(r"/workflows/[^/]+/userProcessingResults$", re.IGNORECASE)


class Without(httpx.AsyncBaseTransport):
    """A sandbox that answers some paths with an error status."""

    def __init__(self, refused: re.Pattern[str], status: int) -> None:
        self._app = httpx.ASGITransport(create_app(runs=60))
        self._refused = refused
        self._status = status

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._refused.search(request.url.path):
            return reply(self._status, {"error": {"code": "BadRequest", "message": "No such segment."}})
        return await self._app.handle_async_request(request)


async def somebody(session: Session) -> Person:
    """Return a person with a failed task whose results were read."""
    await session.press("c")
    results, store = session.workspace.results, session.workspace.store
    await session.until(lambda: results.progress.total and results.progress.read == results.progress.total)
    await session.press("escape")
    failed = [
        person
        for person in store.people("", 50)
        if any(task.result.is_failed for task in store.results_of_person(person.id))
    ]
    return max(failed, key=lambda person: len(store.results_of_person(person.id)))


async def person_read(session: Session) -> PersonView:
    await session.until(lambda: session.view == "person")
    view = session.find(PersonView)
    await session.until(lambda: not any(w.is_running for w in session.app.workers if w.group == "read a person"))
    await session.until(lambda: view.list.rows and "read in" not in session.text())
    return view


async def test_people_are_looked_for_a_few_times_a_second_however_much_is_read(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        await somebody(session)
        await type_keys(session, ["@"], "in one packet")
        asking, looked = session.find(PeopleView), list[str]()
        monkeypatch.setattr(asking, "_search", looked.append)
        monkeypatch.setattr(view, "RELOAD_SECONDS", 3_600.0)
        for _ in range(20):
            session.workspace.results.changed.announce(session.workspace.results.progress)
            await session.pilot.pause()
        assert len(looked) <= 1


async def test_of_many_answers_the_first_and_the_last_are_shown_at_once(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        person = await somebody(session)
        monkeypatch.setattr(view, "RELOAD_SECONDS", 3_600.0)
        shown, show = list[str](), PersonView.show

        def noted(view: PersonView, who: Person, tasks: Sequence[PersonResult], *words: str) -> None:
            shown.append(words[0])
            show(view, who, tasks, *words)

        monkeypatch.setattr(PersonView, "show", noted)
        await type_keys(session, ["@", *person.user_principal_name, "enter"], "in one packet")
        await session.until(lambda: shown[-1:] == [""])
        total = len(session.workspace.store.workflows())
        assert total > 2
        assert shown == ["reading…", f"read in 1 of {total} workflows", ""]


async def test_a_late_answer_about_one_person_is_never_shown_for_the_next(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, over, stored = asyncio.Event(), asyncio.Event(), threading.Event()
    shown: list[tuple[str, set[str]]] = []

    async with open_session() as session:
        first = await somebody(session)
        store, show = session.workspace.store, PersonView.show
        next_one = next(person for person in store.people("", 50) if person.id != first.id)
        of_first, of_person = store.results_of_person(first.id), store.results_of_person

        async def read_person(_client: object, _store: object, subject_id: str) -> AsyncIterator[PersonReading]:
            if subject_id == first.id:
                try:
                    await answered.wait()
                    yield PersonReading(tuple(of_first), 1, 1)
                finally:
                    over.set()
            else:
                yield PersonReading((), 1, 1)

        def results_of_person(subject_id: str) -> list[PersonResult]:
            if subject_id == next_one.id:
                stored.wait(PATIENCE)
            return of_person(subject_id)

        def noted(view: PersonView, who: Person, tasks: Sequence[PersonResult], *words: str) -> None:
            shown.append((who.id, {task.result.subject_id for task in tasks}))
            show(view, who, tasks, *words)

        monkeypatch.setattr(tracing, "read_person", read_person)
        monkeypatch.setattr(store, "results_of_person", results_of_person)
        monkeypatch.setattr(PersonView, "show", noted)
        await type_keys(session, ["@", *first.user_principal_name, "enter"], "in one packet")
        await session.until(lambda: shown)
        await session.app.feature[Tracing]._chosen(next_one)
        answered.set()
        await asyncio.wait_for(over.wait(), PATIENCE)
        stored.set()
        await session.until(lambda: shown[-1] == (next_one.id, set()))
    assert all(subjects <= {who} for who, subjects in shown)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_name_and_enter_show_what_every_workflow_did_newest_first(
    open_session: Opener, size: tuple[int, int]
) -> None:
    async with open_session(size=size) as session:
        person = await somebody(session)
        stored = session.workspace.store.results_of_person(person.id)
        await type_keys(session, ["@", *(person.user_principal_name or person.id), "enter"], "in one packet")
        view = await person_read(session)
        shown = view.list.rows
        assert {task.id for task in stored} <= {task.id for task in shown}
        assert {task.result.subject_id for task in shown} == {person.id}
        assert [task.moment for task in shown] == sorted((task.moment for task in shown), reverse=True)
        assert any(task.result.is_failed for task in shown)
        assert all(task.workflow_name in session.text() for task in shown[:5]), "names are whole; the panel has reasons"
        # A row leads to the person in its run, and back to the same row.
        runs = [there(session.workspace.store.get(task.run_id)).raw for task in view.list.shown.rows]
        at = next(
            at for at, run in enumerate(runs) if at and run["successfulUsersCount"] > 2 and run["failedUsersCount"]
        )
        await session.press(*["j"] * at, "enter")
        await session.until(lambda: session.view == "users")
        opened = view.list.shown.rows[at]
        assert session.front.view.run_id == opened.run_id
        users = there(session.front.view.list)
        await session.until(lambda: users.row)
        assert there(users.row).subject_id == person.id
        # The run is still known: the next visit finds the person again.
        await session.press("G", "g", "escape", "enter")
        assert there(users.row).subject_id == person.id
        await session.press("escape")
        assert session.view == "person"
        assert there(view.list.row).id == opened.id
        await session.press("escape")
        assert session.view == "runs"


async def test_an_id_that_was_never_read_is_looked_up(open_session: Opener) -> None:
    async with open_session(runs=60) as session:
        await somebody(session)
        everybody = session.workspace.store.people("", 500)
    wire = Held(httpx.ASGITransport(create_app(runs=60)))
    folder = session.workspace.settings.state_folder / "other"
    async with open_session(wire=wire, state_folder=folder) as session:
        wire.hold()
        # The panel may have read the run under the cursor.
        known = {person.id for person in session.workspace.store.people("", 500)}
        person = next(person for person in everybody if person.id not in known)
        await session.type(f"@{person.id}")
        assert "Nobody by that name in the results" in session.text()
        await session.press("enter")
        wire.release()
        view = await person_read(session)
        assert {task.result.subject_id for task in view.list.rows} == {person.id}


async def test_an_unknown_name_is_reported(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await session.type("@")
        await session.type("nobody@nowhere.example")
        await session.press("enter")
        await session.until(lambda: session.view == "person" and "Reading" not in session.text())
        assert "Nobody by that name." in session.text()
        await session.press("escape")
        assert session.view == "runs"


async def test_without_an_answer_about_one_person_the_results_of_runs_are_used(open_session: Opener) -> None:
    async with open_session(wire=Without(OF_A_WORKFLOW, 400)) as session:
        person = await somebody(session)
        stored = session.workspace.store.results_of_person(person.id)
        await session.type("@")
        await session.type(person.id)
        await session.press("enter")
        view = await person_read(session)
        assert {task.id for task in view.list.rows} >= {task.id for task in stored}
        assert "could not be read" not in session.text()


async def test_a_forbidden_workflow_is_reported_and_the_others_stay(open_session: Opener) -> None:
    async with open_session(wire=Without(OF_A_WORKFLOW, 403)) as session:
        person = await somebody(session)
        await session.type("@")
        await session.type(person.id)
        await session.press("enter")
        await session.until(lambda: "could not be read" in session.status.text)
        assert session.find(PersonView).list.rows
        total = len(session.workspace.store.workflows())
        assert f"{total} of {total} workflows could not be read." in session.status.text


async def all_offered(session: Session) -> Sequence[Person]:
    """Wait until all results are read, and the question offers the people of all; return these."""
    results, choices = session.workspace.results, session.find(PeopleView).query_one(ChoiceList)
    await session.until(lambda: results.progress.total and results.progress.read == results.progress.total)
    known = session.workspace.store.people("", 50)
    await session.until(lambda: [str(line.prompt) for line in choices.options] == person_lines(known))
    return known


async def test_the_question_shows_people_as_they_become_known_and_moves_with_the_arrows(open_session: Opener) -> None:
    async with open_session(runs=60) as session:
        await session.type("/no such run")
        await session.press("enter")
        assert session.runs.table.total == 0, "the question is about all runs, whatever the list shows"
        await session.type("@")
        asking, known = session.find(PeopleView), await all_offered(session)
        await session.press("down", "down", "up")
        asking.search()
        await session.settled()
        assert asking.query_one(ChoiceList).highlighted == 1, "more may become known: the cursor stays on its person"
        await session.press("enter")
        await session.until(lambda: session.view == "person")
        assert session.find(PersonView).person == known[1]
        assert session.workspace.store.count(EVERY_RUN) == 60


async def test_the_question_for_an_on_demand_run_shows_people_as_they_become_known(open_session: Opener) -> None:
    async with open_session(runs=60) as session:
        await session.press("o")
        await session.until(lambda: session.view == "overview" and "Onboard" in session.text())
        await session.press("a", "G", "k", "enter")
        await all_offered(session)


@pytest.mark.parametrize(("most", "title"), [(3, "People  3"), (2, "People  2+")])
async def test_the_title_says_if_there_are_more_people_than_are_offered(
    most: int, title: str, open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "MAX_FOUND", most)
    monkeypatch.setattr(Store, "people", lambda _store, text, most: [Person(c, c, "", 1, 0) for c in "abc"[:most]])
    async with open_session(runs=12) as session:
        await session.type("@")
        asking = session.find(PeopleView)
        await session.until(lambda: str(asking.title()) == title)
        assert ("The first" in session.text()) == (most == 2)
        assert asking.query_one(ChoiceList).option_count == most


async def test_escape_leaves_the_question_and_reads_no_more(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await session.type("@q")
        await session.press("escape")
        assert session.view == "runs"
        await session.type("@@")
        assert session.view == "people", "the key is text in the box"


async def test_a_search_may_end_after_the_question_is_closed(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await session.type("@q")
        view = session.find(PeopleView)
        await session.press("escape")
        await session.until(lambda: not view.is_attached)
        await view._search("q").wait()
        assert session.app._exception is None


def test_a_person_who_is_not_found_may_be_in_an_unread_run() -> None:
    assert why_no_person("Nobody.", ReadingProgress(read=3, total=35)).startswith("Nobody. 32 runs are not")
    assert why_no_person("Nobody.", ReadingProgress(read=35, total=35)) == "Nobody."


def test_the_reason_for_unread_runs_is_shown_below_the_people() -> None:
    progress = ReadingProgress(read=1, total=35, fault=RuntuiError("Access denied"))
    assert found_people("anna", 2, 50, progress) == "1 of 35 runs are read. Access denied."
    words = f"0 of 9 runs are read. {key_of('choose_person')} looks it up"
    assert words in found_people("anna", 0, 50, ReadingProgress(total=9, reading=True))


def test_people_stand_below_each_other_and_the_nameless_are_called_by_what_they_have() -> None:
    people = [
        Person("1", "Anna Ricci", "anna@contoso.example", 3, 2),
        Person("22", "渡辺 花子", "", 1, 0),
        Person("333", "", "no-name@contoso.example", 1, 0),
        Person("4", "x" * 90, "y" * 90, 1, 0),
    ]
    lines = person_lines(people)
    assert lines[0].startswith("Anna Ricci  ")
    assert lines[2].startswith("no-name@contoso.example ")
    last = [line.split()[-1] for line in lines]
    assert last == ["anna@contoso.example", "22", "no-name@contoso.example", "y" * 90]
    assert len({cell_len(line.removesuffix(end)) for line, end in zip(lines, last, strict=True)}) == 1
    assert person_lines([]) == []
