"""A shift's queue: one key for the next problem and one for handled, with snoozes, notes and the marks of others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtui.domain.filters import parse_filter
from runtui.domain.times import now_ticks
from runtui.errors import RuntuiError
from runtui.services.records.journal import Journal
from runtui.services.store.store import RunQuery, Store
from runtui.services.triage.memory import TriageMemory
from runtui.tui.features.triage import triaging
from tests import PATIENCE
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.wires import Graph


def queue() -> Graph:
    """Return a Graph with six failed runs among completed ones."""
    graph = Graph()
    template = next(iter(graph.runs.values()))
    graph.runs.clear()
    for number in range(12):
        status = "failed" if number % 2 else "completed"
        started = f"2026-11-20T{22 - number:02}:00:00Z"
        run = {**template, "id": f"run-{number:02}", "processingStatus": status, "startedDateTime": started}
        graph.runs[f"run-{number:02}"] = run
    return graph


def under_cursor(session: Session) -> str:
    return session.runs.run_id or ""


def handled(session: Session) -> set[str]:
    return set(session.workspace.store.ids(RunQuery(parse_filter("triage:handled", now_ticks()))))


@contextmanager
def other_memory(session: Session, folder: Path) -> Iterator[TriageMemory]:
    """Yield the marks of another runtui with the same journal, which knows two of the runs."""
    store, journal = Store(folder / "other.db"), Journal(folder / "journal.db")
    known = [session.workspace.store.get(f"run-0{number}") for number in (1, 3)]
    store.put_runs("w1", [run.raw for run in known if run is not None], store.next_listing())
    yield TriageMemory(journal, store, session.workspace.root)
    journal.close()
    store.close()


@pytest.mark.parametrize("start", [[], ["6"], ["x", "s"]], ids=["all runs", "the view to do", "other order"])
async def test_a_queue_is_worked_off_without_passing_over_a_problem(open_session: Opener, start: list[str]) -> None:
    async with open_session(graph=queue(), size=(80, 24)) as session:
        await session.press(*start, "g", "n")
        shown = session.runs.shown
        order = [row.id for row in session.workspace.store.window(shown, 0, 99) if row.status == "failed"]
        assert len(order) == 6
        first = order.index(under_cursor(session))
        order = order[first:] + order[:first]
        for count in range(1, 7):
            await type_keys(session, ["f", "n"], "in one packet")
            assert handled(session) == set(order[:count])
        assert "Nothing left to do here" in session.status.text
        assert session.graph is not None
        assert session.graph.patches == []


async def test_the_same_key_takes_it_back_and_marked_runs_are_handled_together(open_session: Opener) -> None:
    async with open_session(graph=queue(), size=(80, 24)) as session:
        await session.press("f")
        assert "√ ✗ failed" in session.text()
        assert "Handled:" in session.status.text
        await session.press("f")
        assert "√" not in session.text()
        assert handled(session) == set()
        await session.press("space", "space", "f")
        assert len(handled(session)) == 2
        assert session.text().count("√") == 2
        await session.press("f")
        assert len(handled(session)) == 3, "no mark is left to act on"
        await session.press("space")
        session.runs.filter_by("status:quarantined")
        await session.press("f")
        assert len(handled(session)) == 2, "marked runs that the filter hides, as for the form"


async def test_the_next_is_reached_from_one_run_and_from_the_panel(open_session: Opener) -> None:
    async with open_session(graph=queue()) as session:
        await session.press("n", "enter")
        first = session.front.view.run_id
        await session.press("f", "n")
        await session.until(lambda: session.front.view.run_id != first)
        assert session.view == "users"
        second = session.front.view.run_id
        assert under_cursor(session) == second
        await session.until(lambda: [row.triage for row in session.workspace.triage.rows([second or ""])] != [None])
        await session.press("escape")
        assert session.view == "runs"
        await session.press("greater_than_sign", "n")
        assert under_cursor(session) not in (first, second)
        assert session.front.has_keys_in_panel


async def test_a_snooze_and_a_note_are_told_in_the_panel_and_found_by_the_filter(open_session: Opener) -> None:
    async with open_session(graph=queue()) as session:
        await session.press("n", "b", "end", "enter")
        await session.type("soon")
        await session.press("enter")
        assert "A snooze is a length" in session.status.text
        await session.press(*["backspace"] * 4)
        assert not session.status.text, "it was about another text"
        await session.type("2h")
        await session.press("enter")
        assert "Snoozed until" in session.status.text
        run_id = under_cursor(session)
        await session.press("m")
        await session.type("ask HR")
        await session.press("enter")
        await session.until(lambda: "note       ask HR" in session.text() and "snoozed until" in session.text())
        assert "Note kept" in session.status.text
        await session.press("up", "down")
        assert "Note kept" not in session.status.text, "the person has moved on"
        session.runs.filter_by("triage:snoozed note:hr")
        await session.settled()
        assert (session.runs.table.total, under_cursor(session)) == (1, run_id)


async def test_an_empty_line_keeps_notes_that_differ_and_removes_one_that_all_have(open_session: Opener) -> None:
    async with open_session(size=(120, 40)) as session:
        await session.press("m")
        await session.type("ask HR")
        await session.press("enter", "space", "down", "space")
        marked = session.runs.table.marks

        def noted() -> list[str]:
            rows = session.workspace.triage.rows(list(marked))
            return sorted(row.triage.note for row in rows if row.triage is not None)

        await session.press("m")
        assert "to keep each" in session.text()
        await session.press("enter")
        await session.settled()
        assert (noted(), session.runs.table.marks) == (["ask HR"], marked)
        await session.press("m")
        await session.type("HR knows")
        await session.press("enter")
        await session.until(lambda: noted() == ["HR knows"] * 2)
        session.runs.table.set_marks(marked)
        await session.press("m", "ctrl+u", "enter")
        await session.until(lambda: not any(noted()))


async def test_a_check_that_takes_longer_than_the_time_between_two_is_not_lost(
    open_session: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(graph=queue(), size=(80, 24)) as session:
        await session.until(lambda: not any(worker.is_running for worker in session.app.workers))
        memory, checked, gate = session.workspace.triage, asyncio.Event(), threading.Event()
        loop, ended = asyncio.get_running_loop(), memory.ended

        def slow(since: int, now: int) -> int:
            loop.call_soon_threadsafe(checked.set)
            return ended(since, now) if gate.wait(PATIENCE) else 0

        monkeypatch.setattr(memory, "ended", slow)
        with other_memory(session, tmp_path) as other:
            other.set_state(["run-03"], "snoozed", "kim", until=now_ticks())
        session.app.feature[triaging.Triaging].follow()
        await checked.wait()
        session.app.feature[triaging.Triaging].follow()
        gate.set()
        await session.until(lambda: "1 snooze ended" in session.status.text)


async def test_marks_of_another_runtui_and_ended_snoozes_are_shown_by_themselves(
    open_session: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triaging, "LOOK_SECONDS", 0.02)
    async with open_session(graph=queue(), size=(80, 24)) as session:
        await session.press("6")
        assert session.runs.table.total == 6
        held = asyncio.Event()

        def unreadable() -> bool:
            loop.call_soon_threadsafe(held.set)
            raise RuntuiError("The journal is busy")

        loop = asyncio.get_running_loop()
        with (
            monkeypatch.context() as patched,
            other_memory(session, tmp_path) as other,
        ):  # no check may come between the end of the snooze and its record
            patched.setattr(session.workspace.triage, "follow", unreadable)
            await held.wait()
            other.set_state(["run-01"], "handled", "kim")
            other.set_state(["run-03"], "snoozed", "kim", until=now_ticks())
        await session.until(lambda: "1 snooze ended" in session.status.text)
        assert session.runs.table.total == 5
        assert "» ✗ failed" in session.text()


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked runs", "an opened run"])
async def test_nothing_is_noted_or_marked_on_runs_that_are_gone(open_session: Opener, is_marked: bool) -> None:
    graph = queue()
    async with open_session(graph=graph, size=(80, 24)) as session:
        run_id = under_cursor(session)
        await session.press(*(["space", "space"] if is_marked else ["enter"]))
        gone = session.runs.table.marks or {run_id}
        for name in gone:
            del graph.runs[name]
        await session.press("ctrl+f5")
        await session.until(lambda: session.workspace.store.get(run_id) is None)
        words = "These runs are no longer in the list." if is_marked else "This run is no longer in the list."
        for keys in (["m"], ["f"], ["b", "enter"], *([] if is_marked else [["W"]])):
            session.app.chrome.set_status("")
            await session.press(*keys)
            assert session.status.text == words
        assert not handled(session)
