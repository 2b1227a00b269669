"""W: a run is watched until it ends, and its end is reported once."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App

from runtui.services.store.store import RunQuery, Store
from runtui.tui.resources import WATCHED, run_filter
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph


def ends_elsewhere(session: Session, run_id: str) -> None:
    """Let a run end, as stored by another runtui in the same file."""
    other = Store(session.workspace.settings.state_folder / "runs.db")
    stored = there(other.get(run_id))
    other.put_run(stored.workflow_id, stored.raw | {"id": run_id, "processingStatus": "failed"})
    other.close()


def ends(session: Session, *run_ids: str, **facts: Any) -> None:
    """Let runs end, as stored after a read."""
    for run_id in run_ids:
        stored = there(session.workspace.store.get(run_id))
        session.workspace.store.put_run(stored.workflow_id, stored.raw | {"id": run_id} | facts)


async def test_a_watched_run_that_ends_rings_the_bell_once(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(80, 24)) as session:
        rung: list[str] = []
        monkeypatch.setattr(App, "bell", lambda _: rung.append("bell"))
        await session.press("W")
        assert "This run has already ended." in session.text()
        session.runs.filter_by("status:inProgress")
        await session.press("W")
        first, others = session.runs.run_id, session.workspace.store.ids(RunQuery(run_filter("status:inProgress")))
        assert first is not None
        assert "Watching the run until it ends." in session.text()
        await session.until(lambda: WATCHED.sign in session.text())
        await session.press("W")
        assert session.runs.watched == set()
        await session.press("ctrl+a", "W")
        assert f"Watching {len(others)} runs until they end." in session.text()
        ends(session, first, processingStatus="inProgress", failedTasksCount=1)
        await session.settled()
        assert rung == [], "it goes on"
        ends(session, first, processingStatus="completedWithErrors", failedUsersCount=2, totalUsersCount=7)
        await session.until(lambda: "has ended: partly, 2 of 7 users failed." in session.text())
        assert rung == ["bell"]
        ends(session, first, processingStatus="completed")
        await session.settled()
        assert (rung, first in session.runs.watched) == (["bell"], False)


@pytest.mark.parametrize(
    ("others", "words"), [(1, "1 more watched run ended too."), (2, "2 more watched runs ended too.")]
)
async def test_runs_that_end_together_are_reported_in_one_sentence(
    open_session: Opener, others: int, words: str
) -> None:
    graph = Graph()
    for run in graph.runs.values():
        run["processingStatus"] = "inProgress"
    async with open_session(bell=False, graph=graph) as session:
        await session.press("ctrl+a", "W")
        for run_id in sorted(graph.runs)[: others + 1]:
            graph.runs[run_id]["processingStatus"] = "completed"
        await session.press("ctrl+f5")
        await session.until(lambda: session.status.text.endswith(words))


async def test_the_bell_can_be_turned_off(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_session(bell=False) as session:
        rung: list[str] = []
        monkeypatch.setattr(App, "bell", lambda _: rung.append("bell"))
        session.runs.filter_by("status:inProgress")
        await session.press("W")
        assert session.runs.run_id is not None
        ends(session, session.runs.run_id, processingStatus="completed")
        await session.until(lambda: "has ended: completed." in session.text())
        assert rung == []
        session.runs.reload()
        await session.press("W")
        ends_elsewhere(session, session.runs.run_id)
        session.workspace.refresh.changed.announce(session.workspace.refresh.progress)
        await session.until(lambda: "has ended: failed" in session.text())


async def test_marked_runs_that_are_watched_or_have_ended_are_told_apart(open_session: Opener) -> None:
    graph = Graph()
    for run_id in ("run-0", "run-1"):
        graph.runs[run_id]["processingStatus"] = "inProgress"
    async with open_session(graph=graph) as session:
        session.runs.table.set_marks(frozenset({"run-0"}))
        await session.press("W")
        session.runs.table.set_marks(frozenset({"run-0", "run-1", "run-2"}))
        await session.press("W")
        assert session.status.text == "Watching 2 runs until they end; 1 ended already."
        await session.press("W")
        assert session.status.text == "No longer watched."
        assert session.runs.watched == set()
        session.runs.table.set_marks(frozenset({"run-2", "run-3"}))
        await session.press("W")
        assert session.status.text == "These runs have already ended."
