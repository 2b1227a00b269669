"""Many runs at once: marked, changed in one form, shown until each change ends, and undone."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from textual import events

from runtui.domain.columns import list_layout
from runtui.domain.draft import Draft
from runtui.domain.properties import EDITABLE
from runtui.domain.report import Outcome
from runtui.domain.rows import StoredRun
from runtui.services.store.store import Store, stored_runs
from runtui.services.writing.write import Step
from runtui.tui import keys
from runtui.tui.features import feature
from runtui.tui.features.changes import bulk_editing, bulk_sending
from runtui.tui.features.changes.bulk_sending import ResultsView
from runtui.tui.features.changes.lists import RESULTS
from runtui.tui.features.changes.reviewing import Reviewing
from runtui.tui.widgets.field_form import FieldForm
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.test_faults import graph_error
from tests.tui.wires import Graph, Held, a_run

MANY = 40
REQUIRED = [field.name for field in EDITABLE if field.required]


def forty() -> Graph:
    """A Graph with many failed runs, a few of them in progress."""
    graph = Graph({f"run-{n}": a_run(n) for n in range(MANY)})
    for n in (3, 4):
        graph.runs[f"run-{n}"]["processingStatus"] = "inProgress"
    return graph


def statuses(graph: Graph) -> Counter[str]:
    return Counter(run["processingStatus"] for run in graph.runs.values())


async def ended(session: Session) -> None:
    await session.until(lambda: not session.workspace.saves.active())
    await session.until(lambda: session.view == "results" and "open" not in session.text())


async def test_ten_keys_cancel_forty_failed_runs_and_four_undo_that(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, messages = forty(), list[Callable[..., object]]()

    def counted(message: Any, listener: Callable[[object], object], announcement: object, *, only_newest: bool) -> None:
        messages.append(listener)
        announced(message, listener, announcement, only_newest=only_newest)

    announced = feature.Announced.__init__
    monkeypatch.setattr(feature.Announced, "__init__", counted)
    before = {run_id: dict(run) for run_id, run in graph.runs.items()}
    async with open_session(graph=graph, size=(80, 24)) as session:
        await type_keys(session, ["2", "ctrl+a"], "in one packet")
        assert "38 marked" in session.text()
        await type_keys(session, ["e", "enter", "up", "enter", "ctrl+s"], "in one packet")
        text = session.text()
        assert session.view == "review"
        assert "send this change to 38 runs?" in text
        assert "38 failed  →  canceled" in text
        assert "workflows  38 Onboard" in text
        assert "Type 38 to send" in text
        await type_keys(session, [*"380", "enter"], "in one packet")
        assert "type only 38" in session.text()
        assert graph.patches == [], "who types a longer number means more runs"
        await session.press("backspace")
        assert "enter sends" in session.text()
        messages.clear()
        await session.press("enter")
        await ended(session)
        # Each change goes through six states, and a key waits for every message before it.
        assert len(messages) < 3 * 38
        assert statuses(graph) == {"canceled": 38, "inProgress": 2}
        assert "38 changes: 38 done." in session.status.text
        assert not session.runs.table.marks
        entries = session.workspace.journal.entries()
        assert len(entries) == 38
        assert len({entry.batch for entry in entries}) == 1
        await type_keys(session, ["u", "3", "8", "enter"], "in one packet")
        await session.until(lambda: statuses(graph) == {"failed": 38, "inProgress": 2})
        await ended(session)
        assert "38 undos: 38 done." in session.status.text
        assert graph.runs == before
        assert all(entry.undone_by for entry in session.workspace.journal.entries()[38:])
        await type_keys(session, ["escape", "B"], "slowly")
        assert session.view == "results"
        await type_keys(session, ["y", "y"], "slowly")
        await session.until(lambda: session.app.clipboard in graph.runs)
        (last, *_) = session.workspace.journal.of_run(session.workspace.root, session.app.clipboard)
        await type_keys(session, ["y", "h"], "slowly")
        await session.until(lambda: session.app.clipboard.startswith("# Hand-over: "))
        assert last.client_request_id in session.app.clipboard
        await type_keys(session, ["escape", "J", "u"], "slowly")
        assert "All 38 changes sent with it" in session.text()
        await type_keys(session, ["j", "enter", "3", "8", "enter"], "in one packet")
        await ended(session)
        assert statuses(graph) == {"canceled": 38, "inProgress": 2}
        assert "38 undos: 38 done." in session.status.text


async def test_a_form_of_very_many_runs_says_that_it_reads_them_and_gets_the_keys_typed_meanwhile(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = threading.Event()

    def slow(store: Store, run_ids: Iterable[str], is_over: Callable[[], bool]) -> list[StoredRun]:
        assert may_read.wait(PATIENCE)
        return stored_runs(store, run_ids, is_over)

    monkeypatch.setattr(bulk_editing, "stored_runs", slow)
    monkeypatch.setattr(bulk_editing, "_MANY", MANY)
    async with open_session(graph=forty()) as session:
        await type_keys(session, ["ctrl+a"], "slowly")
        for key in ("e", "c", "a", "n", "enter"):
            session.app.keys.put(events.Key(key, key if len(key) == 1 else None))
        await session.meanwhile(lambda: "Reading 40 runs… F10 quits." in session.text())
        assert session.view == "runs"
        may_read.set()
        await session.until(lambda: "Edit 40 runs  1 changed" in session.text() and "Reading" not in session.text())


async def test_a_key_that_quits_ends_the_reading_of_very_many_runs(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, may_read, has_ended = threading.Event(), threading.Event(), threading.Event()
    found: list[list[StoredRun]] = []

    def slow(store: Store, run_ids: Iterable[str], is_over: Callable[[], bool]) -> list[StoredRun]:
        has_begun.set()
        assert may_read.wait(PATIENCE)
        found.append(stored_runs(store, run_ids, is_over))
        has_ended.set()
        return []

    monkeypatch.setattr(bulk_editing, "stored_runs", slow)
    async with open_session(graph=forty()) as session:
        await type_keys(session, ["ctrl+a"], "slowly")
        session.app.keys.put(events.Key("e", "e"))
        await session.meanwhile(has_begun.is_set)
        monkeypatch.setattr(keys, "MAX_CHECKS", keys.CHECKS_AT_ONCE)
        session.app.keys.put(events.Key("c", "c"))
        session.app.keys.put(events.Key("ctrl+q", None))
        await session.meanwhile(lambda: session.app.return_code == 0)
        reading = [worker for worker in session.app.workers if not worker.is_finished]
        session.app.workers.cancel_all()  # as Textual does when the app exits
        await session.meanwhile(lambda: all(worker.is_finished for worker in reading))
        may_read.set()
        assert has_ended.wait(PATIENCE)
        assert found == [[]]


async def test_the_form_shows_common_and_mixed_values_and_sends_only_what_is_touched(open_session: Opener) -> None:
    graph = forty()
    async with open_session(graph=graph) as session:
        await type_keys(session, ["ctrl+a", "e"], "slowly")
        assert "Edit 40 runs" in session.text()
        assert "(mixed)" in session.text()
        assert "ctrl+t send changed" in session.text()
        await type_keys(session, ["enter", "end", "enter"], "slowly")
        assert "was 38 failed, 2 inProgress" in session.text()
        await type_keys(session, ["f8"], "slowly")
        assert "was 38 failed, 2 inProgress" not in session.text()
        await type_keys(session, ["tab", "tab", *"now", "escape"], "in one packet")
        assert session.view == "runs"
        await type_keys(session, ["e"], "slowly")
        draft = there(session.draft)
        assert list(draft.edits) == ["scheduledDateTime"] or list(draft.edits) == ["startedDateTime"]
        await type_keys(session, ["ctrl+s"], "slowly")
        for typed in ("y", "5", "4x"):  # a letter is no key here: it could leave the question
            await session.type(typed)
            assert f"Type 40 to send: {typed}" in session.text()
            assert "type only 40" in session.text()
            await type_keys(session, ["ctrl+u"], "slowly")
            assert "type only 40" not in session.text()
        await session.type("40")
        await session.press("enter")
        await ended(session)
        (name,) = draft.edits
        sent = {json.dumps(json.loads(body)) for body in graph.patches}
        assert len(graph.patches) == MANY
        assert {json.loads(body)[name] for body in sent} == {draft.edits[name].value}, "one moment for all"
        assert all({"@odata.type", *REQUIRED} <= set(json.loads(body)) for body in sent)


async def test_a_time_in_which_the_runs_differ_is_cleared_by_a_word_and_left_alone_by_an_empty_text(
    open_session: Opener,
) -> None:
    graph = Graph()
    for n in range(3):
        graph.runs[f"run-{n}"]["startedDateTime"] = f"2026-11-2{n}T09:00:00Z"
    async with open_session(graph=graph) as session:
        await type_keys(session, ["ctrl+a", "e"], "slowly")
        assert "(mixed) none clears it" in session.text()
        session.find(FieldForm).enter("startedDateTime")
        await type_keys(session, [*"none"], "slowly")
        edit = there(session.draft).edits["startedDateTime"]
        assert (edit.value, edit.error) == (None, None)
        await type_keys(session, ["backspace"] * 4, "slowly")
        assert not there(session.draft).edits
        await type_keys(session, [*"None", "ctrl+s"], "slowly")
        assert session.view == "review"
        await session.press("y")
        await session.until(lambda: len(graph.patches) == 5)
        assert {json.loads(body)["startedDateTime"] for body in graph.patches} == {None}


async def test_each_run_is_sent_its_own_required_properties_or_by_key_only_what_changed(open_session: Opener) -> None:
    graph = Graph()
    for n in range(3):
        graph.runs[f"run-{n}"]["totalUsersCount"] = 10 + n
    before = {run_id: dict(run) for run_id, run in graph.runs.items()}
    async with open_session(graph=graph) as session:
        await type_keys(session, ["ctrl+a", "e"], "slowly")
        assert "was not received" not in session.text(), "the runs differ in it"
        await type_keys(session, ["enter", "up", "enter"], "slowly")
        assert '"totalUsersCount": 10,' in session.inside(session.panel)
        await session.press("ctrl+t")
        assert "Sends only what changed." in session.status.text
        assert "totalUsersCount" not in session.inside(session.panel)
        await type_keys(session, ["escape", "e"], "slowly")
        assert "ctrl+t send all" in session.text(), "kept with what was typed"
        await session.press("ctrl+s")
        assert "Also sends" not in session.words
        await type_keys(session, ["escape", "ctrl+t", "ctrl+s"], "slowly")
        assert "Also sends 7 unchanged required properties, each run its own." in session.words
        await session.press("y")
        await ended(session)
        assert graph.runs == {run_id: {**run, "processingStatus": "canceled"} for run_id, run in before.items()}
        assert all({"@odata.type", *REQUIRED} == set(json.loads(body)) for body in graph.patches)
        await type_keys(session, ["u", "y"], "slowly")
        await ended(session)
        assert graph.runs == before
        assert all({"@odata.type", *REQUIRED} == set(json.loads(body)) for body in graph.patches)


async def test_a_colleagues_change_of_an_untouched_property_is_not_overwritten(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:
        await type_keys(session, ["ctrl+a", "e", "enter", "up", "enter", "ctrl+s"], "slowly")
        graph.runs["run-2"]["failedTasksCount"] = 9
        await session.press("y")
        await ended(session)
        assert "5 changes: 4 done, 1 not done." in session.status.text
        assert "9 by now: failedTasksCount" in session.words
        assert graph.runs["run-2"] == {**a_run(2), "failedTasksCount": 9}
        await type_keys(session, ["R", "y"], "slowly")
        await ended(session)
        assert graph.runs["run-2"] == {**a_run(2), "failedTasksCount": 9, "processingStatus": "canceled"}
        assert set(json.loads(graph.patches[-1])) == {"@odata.type", *REQUIRED}


async def test_the_review_of_many_says_all_that_changes_on_a_small_screen(open_session: Opener) -> None:
    graph = Graph({f"run-{n}": a_run(n) for n in range(MANY)})
    for n, status in enumerate(["completed", "inProgress", "canceled", "quarantined", "completedWithErrors"] * 5):
        graph.runs[f"run-{n}"]["processingStatus"] = status
    async with open_session(graph=graph, size=(80, 24)) as session:
        await type_keys(session, ["ctrl+a", "e", "enter", "down", "enter", "ctrl+s"], "in one packet")
        words = session.words
        assert "15 failed, 5 completed, 5 inProgress, 15 with 3 other values → queued" in words
        assert "Type 40 to send" in words
        await type_keys(session, "40", "in one packet")
        assert re.search(r"↓ \d+ more · enter sends", session.words)
        await type_keys(session, ["escape", "escape", "e"], "in one packet")
        assert there(session.draft).edits["processingStatus"].value == "queued", "nothing typed is lost"
        assert graph.patches == []


async def test_a_bulk_change_that_ends_at_once_is_reported(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:
        everything_ended = threading.Event()

        def read_late(store: Store, run_ids: Iterable[str]) -> list[StoredRun]:
            assert everything_ended.wait(PATIENCE)
            return stored_runs(store, run_ids)

        await type_keys(session, ["ctrl+a", "e", "enter", "up", "enter", "ctrl+s"], "in one packet")
        monkeypatch.setattr(bulk_sending, "stored_runs", read_late)
        session.app.post_message(events.Key("y", "y"))
        await session.until(lambda: len(graph.patches) == 5 and not session.workspace.saves.active())
        everything_ended.set()
        await ended(session)
        assert "5 changes: 5 done." in session.status.text
        await session.until(
            lambda: "done (200 OK)" in session.inside(session.panel)
        )  # a change brings its response forward
        await type_keys(session, ["u", "y"], "slowly")
        await ended(session)
        await session.until(lambda: "5 undos: 5 done." in session.status.text)
        await session.until(lambda: "done (200 OK)" in session.inside(session.panel))


async def test_rows_that_change_places_leave_the_response_in_front(open_session: Opener) -> None:
    wire = Held(Graph().wire)
    async with open_session(wire=wire) as session:
        await type_keys(session, ["ctrl+a", "e", "enter", "up", "enter", "ctrl+s"], "in one packet")
        wire.hold()
        await session.press("y")
        await session.until(lambda: session.view == "results" and session.panel.tab == "response")
        view = session.find(ResultsView)
        assert view.progress is not None
        assert view.list.row is not None
        first = view.list.row.save
        view.progress.results[first.run_id].save = first._replace(step=Step.ENDED, outcome=Outcome.DONE)
        view.reload()
        await session.settled()
        assert view.list.row.save.run_id != first.run_id
        assert session.panel.tab == "response", "nobody has moved the cursor"
        wire.release()


async def test_the_panel_shows_no_run_beside_results_that_the_filter_hides(open_session: Opener) -> None:
    async with open_session(graph=forty()) as session:
        await session.press("space", "space", "e", "enter", "up", "enter", "ctrl+s", "y")
        await ended(session)
        session.app.chrome.panel.choose("run")
        await session.panel_rested()
        assert "run-" in session.inside(session.panel)
        await session.press("slash", *"zzz")
        assert session.inside(session.panel).split("\n", 1)[1].strip() == "No change is selected."


async def test_a_response_that_was_left_on_its_way_is_reported_beside_another_list(open_session: Opener) -> None:
    wire = Held(Graph().wire)
    async with open_session(wire=wire) as session:
        await type_keys(session, ["ctrl+a", "e", "enter", "up", "enter", "ctrl+s"], "in one packet")
        wire.hold()
        await session.press("y", "escape")
        session.app.chrome.panel.choose("response")
        await session.settled()
        assert (session.view, "done (200 OK)" in session.inside(session.panel)) == ("runs", False)
        wire.release()
        await session.until(lambda: "5 changes: 5 done." in session.status.text)
        assert "done (200 OK)" in session.inside(session.panel)


async def test_each_result_is_shown_and_failed_changes_can_be_retried(open_session: Opener) -> None:
    graph = forty()
    async with open_session(graph=graph) as session:
        await type_keys(session, ["2", "ctrl+a", "e", "enter", "up", "enter", "ctrl+s"], "in one packet")
        for n in (0, 7, 9):
            graph.runs[f"run-{n}"]["processingStatus"] = "completed"  # somebody else's change
        await session.type("38")
        await session.press("enter")
        await ended(session)
        assert "38 changes: 35 done, 3 not done." in session.status.text
        assert "Results  38, 3 not done  outcome ↑  processingStatus → canceled" in session.text()
        assert session.text().count("completed by now") == 3
        assert statuses(graph) == {"canceled": 35, "completed": 3, "inProgress": 2}
        await type_keys(session, ["E", "enter"], "slowly")
        await session.until(lambda: "38" in session.status.text and "exports" in session.status.text)
        (file,) = (session.workspace.journal.path.parent / "exports").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        told = {line["runId"]: line for line in map(json.loads, file.read_text("utf-8").splitlines())}
        assert Counter(line["outcome"] for line in told.values()) == {"done": 35, "not done": 3}
        assert told["run-7"]["reason"] == "completed by now"
        assert told["run-8"]["after"] == {"processingStatus": "canceled"}
        await type_keys(session, ["R"], "slowly")
        assert "send this change to 3 runs?" in session.text()
        assert "3 completed  →  canceled" in session.text()
        await type_keys(session, ["y"], "slowly")
        await ended(session)
        assert statuses(graph) == {"canceled": 38, "inProgress": 2}


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_refusal_holds_the_rest_until_a_person_decides(open_session: Opener, goes_on: bool) -> None:
    graph = Graph({f"run-{n}": a_run(n) for n in range(150)})
    graph.answer_to_patch = graph_error(403, "Forbidden", "Insufficient privileges.")
    async with open_session(graph=graph) as session:
        await type_keys(session, ["ctrl+a", "e", "enter", "up", "enter", "ctrl+s"], "in one packet")
        await session.type("150")
        await session.press("enter")
        await session.until(lambda: session.view == "picker")
        held = len(graph.patches)
        assert held < 150
        assert "Continue after a refusal?" in session.text()
        assert "(Onboard, run run-" in session.text(), "whose run it is"
        await session.press("enter")
        assert session.view == "results", "the first line decides nothing"
        await session.press("X")
        graph.answer_to_patch = None
        await session.press("G" if goes_on else "j", "enter")
        await ended(session)
        if goes_on:
            assert statuses(graph) == {"failed": held, "canceled": 150 - held}
        else:
            assert statuses(graph) == {"failed": 150}
            assert len(graph.patches) == held
            assert "150 changes: 150 not done." in session.status.text


async def test_marks_of_a_range_inverted_and_left_out_runs(open_session: Opener) -> None:
    graph = forty()
    async with open_session(graph=graph) as session:
        await type_keys(session, ["space", "j", "j", "j", "V"], "in one packet")
        assert "5 marked" in session.text()
        await type_keys(session, ["asterisk"], "in one packet")
        assert "35 marked" in session.text()
        marks = session.runs.table.marks
        await session.press("s", "r", "slash")
        await session.type("zzz")
        await session.press("enter")
        assert session.runs.table.marks == marks
        await session.press("escape", "U")
        assert not session.runs.table.marks
        # one of the two marked runs already has the value
        graph.runs["run-0"]["processingStatus"] = "canceled"
        await session.press("r")
        await session.until(lambda: "canceled" in session.text())
        session.runs.table.set_marks(session.runs.table.marks | {"run-0", "run-1", "gone"})
        await type_keys(session, ["e", "enter", *["down"] * 5, "enter", "ctrl+s"], "slowly")
        assert "send this change to 1 run?" in session.text()
        assert "left out: 1 no longer in the list, 1 with these values already" in session.text()
        await session.press("n", "ctrl+s", "y")
        await ended(session)
        assert session.runs.table.marks == {"run-0", "gone"}
        assert "1 change: 1 done. 2 runs left out stay marked; U clears marks." in session.status.text


async def test_what_was_typed_for_many_is_kept_until_it_is_discarded(open_session: Opener) -> None:
    async with open_session(graph=Graph()) as session:
        await session.press("ctrl+a", "e", "enter", "up", "enter", "escape")
        assert "What you typed is kept while the same runs are marked" in session.words
        await session.press("e", "shift+f8")
        assert (session.view, there(session.draft).body()["processingStatus"]) == ("edit", "canceled")
        await session.press("shift+f8")
        assert session.view == "runs"
        assert session.status.text == "Draft discarded: processingStatus canceled."
        session.app.chrome.panel.choose("request")
        assert "canceled" not in session.app.chrome.panel.text()
        await session.press("e")
        assert there(session.draft).edits == {}


async def test_the_review_loads_what_follows_a_change_whoever_asks_first(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        features, built = feature.Features(session.app.chrome, session.runs), list[str]()
        monkeypatch.setattr(features, "build", lambda *names: built.extend(names))
        assert features[Reviewing] is features.built[0]
        assert built == []
        session.workspace.saves.submit_many([Draft("run-1", "w1", a_run(1)).with_values({"failedTasksCount": 7})])
        assert built == [*feature.FOLLOW_CHANGES]


async def test_a_read_only_session_opens_no_form_of_marked_runs(open_session: Opener) -> None:
    graph = forty()
    async with open_session(graph=graph, read_only=True) as session:
        await type_keys(session, ["ctrl+a", "e"], "in one packet")
        assert session.view == "runs"
        assert "read-only" in session.status.text
        assert graph.patches == []


async def test_one_reason_goes_with_every_change(open_session: Opener) -> None:
    graph = forty()
    async with open_session(graph=graph, size=(80, 24), require_why=True) as session:
        await type_keys(
            session, ["2", "ctrl+a", "e", "enter", "up", "enter", "ctrl+s", "3", "8", "enter"], "in one packet"
        )
        assert session.view == "review"
        assert "requires a reason" in session.status.text
        assert graph.patches == []
        await session.type("license pool empty")
        await session.press("enter")
        await ended(session)
        assert {entry.why for entry in session.workspace.journal.entries()} == {"license pool empty"}
        assert statuses(graph) == {"canceled": 38, "inProgress": 2}


def test_a_short_reason_leaves_the_name_of_the_workflow_whole() -> None:
    needs = (("outcome", 6), ("workflow", 25), ("reason", 17), ("number", 2))
    room = {column.key: cells for column, cells in list_layout(RESULTS.columns, 58, needs)}
    assert (room["workflow"], room["reason"]) == (25, 17)
