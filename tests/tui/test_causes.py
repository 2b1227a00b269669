"""The causes of failures: for the runs in the list, the runs of a cause, marks, and results that cannot be read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Final

import httpx
import pytest

from runtui.domain.results import Cause, TaskResult
from runtui.domain.triage.causes import cause_rows
from runtui.domain.triage.checks import checklist_of
from runtui.errors import RuntuiError
from runtui.sandbox.app import create_app
from runtui.services.store.results import UnreadRuns
from runtui.services.store.store import EVERY_RUN, RunQuery
from runtui.tui.features.triage import explaining
from runtui.tui.features.triage.explaining import CausesView
from runtui.tui.features.triage.overviewing import OverviewView
from runtui.tui.resources import run_filter
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.wires import Held, reply

SIZES: Final = [(120, 40), (80, 24)]


def causes_of(session: Session) -> CausesView:
    return session.find(CausesView)


def panel_text(session: Session) -> str:
    """Return the text of the panel."""
    left = session.panel.region.x
    return "\n".join(line[left:].strip("▏│ ") for line in session.text().splitlines())


async def all_read(session: Session) -> None:
    """Wait until the causes are those of every run of the view."""
    await session.until(lambda: session.view == "causes")
    results, view = session.workspace.results, causes_of(session)
    await session.until(lambda: results.progress.total and results.progress.read == results.progress.total)
    await session.until(lambda: list(view.list.rows) == cause_rows(results.causes(view.shown)))
    await session.until(lambda: "Causes of " in session.text() and "reasons of" not in session.text())


@pytest.mark.parametrize("size", SIZES)
async def test_two_keys_lead_to_all_runs_of_the_commonest_cause_and_one_back(
    open_session: Opener, size: tuple[int, int]
) -> None:
    async with open_session(size=size) as session:
        await session.press("c")
        await all_read(session)
        workspace = session.workspace
        first, *others = cause_rows(workspace.results.causes(EVERY_RUN))
        assert all(first.cause.users >= other.cause.users for other in others)
        assert causes_of(session).cause == first.cause
        await session.press("enter")
        assert session.view == "runs"
        query = EVERY_RUN._replace(filter=run_filter(f"cause:{first.cause.key}"))
        assert session.runs.table.total == workspace.store.count(query) == first.cause.runs > 1
        title = session.text().splitlines()[session.left.region.y]
        assert first.cause.task in title
        assert first.cause.key not in title
        assert workspace.preferences.kept.runs.filter == "", "the next start shows the list as it was before"
        await session.press("escape")
        assert session.view == "causes"
        assert causes_of(session).cause == first.cause
        await session.press("j", "enter", "escape", "c")
        assert session.view == "runs"
        assert session.runs.filter_text == ""


async def test_the_runs_of_a_cause_are_in_front_also_if_a_run_was_open(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("2", "enter", "c")
        await all_read(session)
        await session.press("enter")
        assert session.view == "runs"
        assert "cause:" in session.runs.filter_text
        await session.press("escape")
        assert session.view == "causes"


async def test_back_from_the_runs_of_a_workflow_the_runs_of_a_cause_are_not_listed_for_good(
    open_session: Opener,
) -> None:
    async with open_session() as session:
        session.runs.filter_by("is:problem")
        await session.press("c")
        await all_read(session)
        await session.press("enter", "o", "enter")
        assert session.runs.filter_text.startswith("wf=")
        await session.press("escape")
        assert session.view == "overview"
        await session.press("escape")
        assert (session.view, session.runs.filter_text) == ("runs", "is:problem")
        assert session.workspace.preferences.kept.runs.filter == "is:problem"


async def test_keys_typed_at_once_find_the_causes_that_are_known(open_session: Opener) -> None:
    async with open_session(runs=120) as session:
        await session.press("c")
        await all_read(session)
        await session.press("escape")
        await type_keys(session, ["c", "enter"], "in one packet")
        assert session.view == "runs"
        assert session.runs.filter_text.startswith("cause:")


async def test_the_causes_are_those_of_the_runs_in_the_list(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("c")
        await all_read(session)
        every = session.workspace.store.causes(EVERY_RUN)
        task = min(every, key=lambda cause: cause.runs).workflows[0]
        await session.press("escape", "slash")
        await session.type(f'wf:"{task}"')
        await session.press("enter", "c")
        await session.until(lambda: session.view == "causes")
        shown = causes_of(session)
        await session.until(lambda: 0 < len(shown.list.rows) < len(every))
        assert {name for row in shown.list.rows for name in row.cause.workflows} == {task}
        assert task in session.text().splitlines()[session.left.region.y]
        # The runs of a cause within a filter stay within that filter.
        await session.press("enter")
        assert session.runs.filter_text.startswith('wf:"')


async def test_space_marks_all_runs_of_a_cause_and_takes_the_marks_back(open_session: Opener) -> None:
    async with open_session() as session:
        await session.press("c")
        await all_read(session)
        cause = there(causes_of(session).cause)
        await session.press("space")
        marks = session.runs.table.marks
        assert len(marks) == cause.runs
        assert f"Marked {cause.runs} runs" in session.status.text
        row = next(row for row in causes_of(session).list.rows if row.cause == cause)
        assert causes_of(session).list.table.flag(row) == "◆"
        assert causes_of(session).cause != cause, "the cursor goes on"
        await session.press("k", "enter")
        assert all(
            session.runs.table.flag(run) == "◆" for run in session.workspace.store.window(session.runs.shown, 0, 9)
        )
        await session.press("U", "escape")
        assert causes_of(session).list.table.flag(row) == " ", "marks that were cleared in the list are cleared here"
        await session.press("space", "k", "space")
        assert session.runs.table.marks == frozenset()
        assert f"Cleared {cause.runs} marks" in session.status.text
        await session.press("space")
        assert session.runs.table.marks
        await session.press("U")
        assert session.runs.table.marks == frozenset()
        assert "◆" not in session.inside(session.left)


async def test_the_panel_says_the_whole_cause_and_what_to_check(open_session: Opener) -> None:
    async with open_session(size=(200, 60)) as session:
        await session.press("c")
        await all_read(session)
        session.app.chrome.panel.choose("run")
        await session.press("j", "k")
        cause = there(causes_of(session).cause)
        checklist = there(checklist_of(cause.definition_id))
        first, *_ = session.workspace.store.failures_of_cause(EVERY_RUN, cause.key, 1)
        said = (f"{cause.users} users in {cause.runs} runs", "What to check", *checklist.lines, *cause.workflows)
        expected = (*said, "Users", first.reason, first.subject_name)
        await session.until(lambda: all(words in " ".join(panel_text(session).split()) for words in expected))


async def test_the_people_of_a_cause_stay_in_sight_while_more_is_read(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        await session.press("c")
        await all_read(session)
        await session.until(lambda: "Users\n" in panel_text(session))
        monkeypatch.setattr(explaining, "REST_SECONDS", 3_600.0)
        view, grouped = causes_of(session), list[object]()
        monkeypatch.setattr(view.list, "put", lambda *rows: grouped.append(rows))
        view._group("causes")
        await session.until(lambda: grouped)
        await session.settled()
        assert "Users\n" in panel_text(session)


async def test_the_people_of_a_cause_appear_behind_a_question(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        store, asked, gate = session.workspace.store, threading.Event(), threading.Event()
        read = store.failures_of_cause

        def held(query: RunQuery, key: str, most: int) -> Sequence[TaskResult]:
            asked.set()
            gate.wait(PATIENCE)
            return read(query, key, most)

        monkeypatch.setattr(store, "failures_of_cause", held)
        await session.press("c")
        await session.until(asked.is_set)
        await session.press("question_mark")
        assert session.view == "help"
        assert "Users\n" not in panel_text(session)
        gate.set()
        await session.until(lambda: "Users\n" in panel_text(session))
        assert session.view == "help"


async def test_results_that_may_not_be_read_are_said_in_place(open_session: Opener) -> None:
    app = httpx.ASGITransport(create_app(runs=60))

    class Forbidden(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith(("Results", "$batch")):
                return reply(403, {"error": {"code": "Forbidden", "message": "Insufficient privileges."}})
            return await app.handle_async_request(request)

    async with open_session(wire=Forbidden()) as session:
        await session.press("c")
        await session.until(lambda: "could not be read" in session.inside(session.left))
        assert session.text().count("could not be read") == 1
        await session.press("enter", "space")
        assert session.view == "causes"
        assert "There is nothing under the cursor." in session.status.text


async def test_leaving_cancels_what_is_being_read(open_session: Opener) -> None:
    wire = Held(httpx.ASGITransport(create_app(runs=60)))
    async with open_session(wire=wire) as session:
        wire.hold()
        await session.press("c")
        results = session.workspace.results
        await session.until(lambda: session.view == "causes" and results.progress.total)
        read, total = results.progress.read, results.progress.total
        assert read < total
        await session.until(lambda: f"reasons of {read} of {total} runs" in session.text())
        await session.press("escape")
        assert session.view == "runs"
        wire.release()
        await session.settled()
        assert results.progress.read == read


async def test_the_runs_of_a_cause_grow_while_more_is_read(open_session: Opener) -> None:
    wire = Held(httpx.ASGITransport(create_app()))
    async with open_session(wire=wire) as session:
        results, table = session.workspace.results, session.runs.table
        await session.press("j", "j")
        await session.until(lambda: results.causes(EVERY_RUN))  # of the runs that the panel showed
        wire.hold()
        await session.press("c")
        await session.until(lambda: session.view == "causes" and results.progress.total)
        await session.until(lambda: causes_of(session).cause is not None)
        key = there(causes_of(session).cause).key
        await session.press("enter")
        assert session.view == "runs"
        before = table.total
        assert session.status.text == "The reasons of more runs are being read; the list may grow."
        wire.release()
        await session.until(lambda: not results.progress.reading)
        of_all = next(cause for cause in results.causes(EVERY_RUN) if cause.key == key)
        assert of_all.runs > before
        await session.until(lambda: table.total == of_all.runs)
        await session.until(lambda: not session.status.text)


@pytest.mark.parametrize("fails", [False, True])
async def test_an_earlier_grouping_that_ends_later_is_not_shown(
    fails: bool, open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Held(httpx.ASGITransport(create_app(runs=60)))
    async with open_session(wire=wire) as session:
        wire.hold()
        results, store = session.workspace.results, session.workspace.store
        has_begun, may_end = threading.Event(), threading.Event()
        group, count = results.causes, store.unread_runs

        def group_slowly_at_first(query: RunQuery) -> list[Cause]:
            if not has_begun.is_set():
                has_begun.set()
                may_end.wait(PATIENCE)
                if fails:
                    raise RuntuiError("The local store failed", "It broke.")
            return group(query)

        def count_later(query: RunQuery, now: int, most: int) -> UnreadRuns:
            has_begun.wait(PATIENCE)
            return count(query, now, most)

        monkeypatch.setattr(results, "causes", group_slowly_at_first)
        monkeypatch.setattr(store, "unread_runs", count_later)
        pressing = asyncio.create_task(session.press("c"))
        await session.meanwhile(lambda: "reasons of" in session.text())
        may_end.set()
        await pressing  # the key waits for the earlier grouping
        assert "reasons of" in session.text()
        assert "It broke." not in session.text()
        wire.release()


@pytest.mark.parametrize("key", ["c", "o"])
async def test_rows_that_take_longer_than_the_rest_between_two_redraws_are_shown(
    key: str, open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        await session.press(key)
        workspace, is_causes = session.workspace, key == "c"
        view = session.find(CausesView) if is_causes else session.find(OverviewView)
        drawing = view.drawing
        await session.until(lambda: not (drawing._is_resting or workspace.results.progress.reading))
        target, name = (workspace.results, "causes") if is_causes else (workspace.store, "histories")
        find, begun, may_end, put = getattr(target, name), list[object](), threading.Event(), list[object]()

        def find_slowly(given: object) -> object:
            begun.append(given)
            may_end.wait(PATIENCE)
            return find(given)

        monkeypatch.setattr(target, name, find_slowly)
        monkeypatch.setattr(view.list, "put", lambda *rows: put.append(rows))
        monkeypatch.setattr(view, "set_timer", lambda *_: None)
        monkeypatch.setattr(workspace.foreground, "had_input_within", lambda _seconds: False)
        drawing.ask()
        await session.meanwhile(lambda: begun)
        drawing.ask()
        drawing._rested()
        may_end.set()
        await session.until(lambda: put)
        assert len(begun) == 1, "it ends before it is begun anew"
        drawing._rested()
        await session.until(lambda: len(put) == 2)


@pytest.mark.parametrize(("key", "untrue"), [("c", "No task failed"), ("o", "There are no workflows")])
async def test_while_the_runs_are_read_nothing_untrue_is_said_about_them(
    key: str, untrue: str, open_session: Opener
) -> None:
    wire = Held(httpx.ASGITransport(create_app(runs=0)))
    wire.hold()
    async with open_session(wire=wire, ready=False, size=(80, 24)) as session:
        await session.press(key)
        await session.until(lambda: session.view in ("causes", "overview"))
        assert "Reading the runs…" in session.text()
        assert untrue not in session.text()
        wire.release()
        if key == "c":
            await session.until(lambda: untrue in session.text())


async def test_without_runs_there_is_nothing_to_explain(open_session: Opener) -> None:
    async with open_session(runs=0, ready=False, size=(80, 24)) as session:
        await session.until(lambda: session.workspace.refresh.progress.finished_at is not None)
        await session.press("c")
        await session.until(lambda: "No task failed in these runs." in session.text())
        await session.press("enter", "space", "escape")
        assert session.view == "runs"
