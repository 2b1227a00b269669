"""The service's actions by key: selected, reviewed, sent, and followed to the end; on one run, many, or a workflow."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette
from textual.app import App

from runtui.domain.rows import short_id
from runtui.domain.times import TICKS_PER_SECOND, now_ticks
from runtui.domain.triage.service_actions import REPROCESSED, ServiceAction, reprocess
from runtui.graph.client import Answer
from runtui.sandbox.app import create_app
from runtui.services.writing import follow
from runtui.tui.features.changes.bulk_sending import ResultsView
from runtui.tui.text import middle
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.test_run import left_text
from tests.tui.wires import Held


class Tenant:
    """A sandbox whose clock a test moves."""

    def __init__(self) -> None:
        self.now = now_ticks()
        self.app: Starlette = create_app(clock=lambda: self.now)
        self.wire = httpx.ASGITransport(self.app)

    def wait(self, seconds: int) -> None:
        self.now += seconds * TICKS_PER_SECOND

    @property
    def actions(self) -> list[str]:
        """The actions that were carried out."""
        return [write.action for write in self.app.state.applied]


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Tenant:
    monkeypatch.setattr(follow, "FOLLOW_SECONDS", (0.02,))
    return Tenant()


async def told(session: Session, words: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    def is_told() -> bool:
        meanwhile()
        return words in " ".join(session.status.text.split())

    await session.until(is_told)


async def test_a_run_is_canceled_and_another_reprocessed_to_its_end(
    open_session: Opener, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(App, "bell", lambda _: rung.append("bell"))
    async with open_session(wire=tenant.wire, size=(80, 24)) as session:
        await session.press("4", "a")
        assert session.view == "picker"
        assert "The run has not ended: it is running." in session.words
        await session.press("enter")
        assert session.view == "review"
        assert "users are already processed: what was done for them stays." in session.words
        assert "It cannot be undone, and is never sent twice." in session.words
        await session.press("enter")
        assert (session.view, tenant.actions) == ("runs", [])
        await session.press("a", "enter", "y")
        await told(session, "#1 done (204 No Content): cancel the run.")
        await session.until(lambda: "canceling" in session.text())
        assert tenant.actions == ["cancelProcessing"]
        await told(session, "has ended: canceled", lambda: tenant.wait(1))
        await session.until(lambda: rung == ["bell"])

        await session.press("2", "a", "down", "enter", "y")
        await told(session, "New run")
        await session.until(lambda: "F new run" in session.text())
        assert tenant.actions == ["cancelProcessing", "activateWithScope"]
        await told(session, "has ended: completed", lambda: tenant.wait(1))
        await session.until(lambda: rung == ["bell", "bell"])
        await session.press("a")
        assert "Open the new run" in session.text()
        await session.press("g", "enter")
        assert session.view == "users"
        made = session.workspace.journal.entries()[0].new_run
        assert session.app.chrome.front.view.run_id == made
        await session.press("escape", "F")
        assert (session.view, session.app.chrome.front.view.run_id) == ("users", made)
        await session.press("F")
        await told(session, "No run reprocesses this one.")


async def test_runs_that_somebody_else_made_from_one_are_found_unless_the_person_goes_on(
    open_session: Opener, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def oldest_first(action: ServiceAction) -> Answer:
        answer = await observe(action)
        there(answer.entity)[REPROCESSED].reverse()
        return answer

    wire = Held(tenant.wire)
    async with open_session(wire=wire) as session:
        await session.press("2")
        client, run = session.workspace.client, there(session.workspace.store.get(session.runs.run_id or ""))
        action = reprocess(run.workflow_id, run.raw["id"], "all")
        await client.act(action)
        wire.hold()
        await session.press("F", "o")
        wire.release()
        await session.until(lambda: all(worker.is_finished for worker in session.app.workers))
        assert session.view == "overview", "the person did not wait for it"
        await session.press("escape", "F")
        await session.until(lambda: session.view == "users")
        first = session.front.view.run_id
        tenant.wait(60)
        await client.act(action)
        made = [run["id"] for run in there((await client.observe(action)).entity)[REPROCESSED]]
        observe = client.observe
        monkeypatch.setattr(client, "observe", oldest_first)
        await session.press("escape", "F")
        await session.until(lambda: "Runs that reprocess this one" in session.text())
        await session.press("enter")
        await session.until(lambda: session.view == "users")
        assert {first, session.front.view.run_id} == {*made}, "the newest is the first to choose"


async def test_marked_runs_are_reprocessed_and_those_it_cannot_help_are_left_out(
    open_session: Opener, tenant: Tenant
) -> None:
    async with open_session(wire=tenant.wire, size=(120, 40)) as session:
        await session.press("slash", *"status:failed,completed", "enter")
        await session.press("ctrl+a", "a")
        text = session.words
        assert "Cancel the run · none of them" in text
        assert "Reprocess the failed users, all tasks, for 9 of" in text
        await session.press("j", "enter")
        assert session.view == "review"
        assert "200 completed without a failed user" in session.words
        await session.press("y")
        await session.until(lambda: session.view == "results" and not session.workspace.saves.active())
        await told(session, "9 actions: 9 done.")
        assert tenant.actions == ["activateWithScope"] * 9

        def all_ended() -> bool:
            tenant.wait(60)
            return len(re.findall(r"✓ done .* (?:completed|partly|failed)", session.text())) == 9

        await session.until(all_ended)
        made = {middle(entry.new_run, 9) for entry in session.workspace.journal.entries()}
        shown = {*re.findall(r"(?:completed|partly|failed): (\S+)", session.text())}
        assert shown & made, "the status is that of the new run"
        results = session.app.chrome.front.view
        assert isinstance(results, ResultsView)
        row = there(results.list.row)
        await session.press("F")
        assert session.view == "users"
        assert session.app.chrome.front.view.run_id == row.save.new_run
        await session.press("escape")
        assert session.view == "results"
        assert "Results  9  outcome ↑  reprocess the failed users, only the tasks" in session.text()
        assert "u undo" not in session.text()
        await session.press("u")
        await told(session, "An action cannot be undone.")


async def test_read_only_every_action_says_why_and_sends_nothing(open_session: Opener, tenant: Tenant) -> None:
    async with open_session(wire=tenant.wire, size=(120, 40)) as session:
        await session.press("ctrl+r", "4", "a")
        assert session.text().count("· Read-only since") == 5, "all but the preview; one line has no room for it"
        for key in ("g", "j", "j", "j", "j", "j"):
            await session.press(key, "enter")
            assert session.view == "picker"
            assert "Read-only since" in session.status.text
        await session.press("escape", "o", "a", "g", "enter")
        assert "Read-only since" in session.status.text
        assert tenant.actions == []


async def test_a_workflow_is_freed_and_its_failures_are_previewed(open_session: Opener, tenant: Tenant) -> None:
    async with open_session(wire=tenant.wire, size=(120, 40)) as session:
        await session.press("o")
        await session.until(lambda: left_text(session).count("■ quarantine") == 2)
        await session.press("g", "a", "enter")
        assert "Nothing runs now; the next scheduled run will" in session.words
        await session.press("y")
        await told(session, "clear the quarantine of the workflow.")
        assert tenant.actions == ["clearQuarantine"]
        await session.until(lambda: left_text(session).count("■ quarantine") == 1)
        await session.press("a")
        await session.press("G", "enter")
        await told(session, "Preview: ")
        assert tenant.actions == ["clearQuarantine"], "a preview changes nothing"
        assert len(session.workspace.journal.entries()) == 1
        await session.press("J")
        await session.until(lambda: session.journal.entry is not None)
        session.app.chrome.panel.choose("run")
        session.app.chrome.refresh()
        await session.panel_rested()
        said = " ".join(session.inside(session.panel).split())
        assert said.endswith("This change is to the workflow, not to a run; o shows the workflows.")
        await session.press("right_square_bracket")
        assert not [line for line in session.inside(session.panel).splitlines() if line.startswith(" run ")]
        await session.press("y")
        assert "\n workflow id\n" in session.inside(session.left)
        assert "\n run id\n" not in session.inside(session.left)
        await session.press("h")
        text = session.app.clipboard
        assert "asked for: `clear the quarantine of the workflow`" in text
        assert "run: `" not in text
        assert "no longer lists" not in text


async def test_a_workflow_that_runs_on_demand_is_followed_by_the_run_that_it_makes(
    open_session: Opener, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MAX_MISSED", 1_000)  # its users are known once the tenant's clock has moved
    async with open_session(wire=tenant.wire, size=(120, 40)) as session:
        await session.press("slash", *"status:failed type:scheduled", "enter")
        await session.press("enter")
        await session.until(lambda: session.view == "users" and "✗ failed" in left_text(session))
        await session.press("a")
        await session.until(lambda: "on demand for 1 user" in session.text())
        await session.press("G", "k", "enter")
        assert re.search(r" user +\S+ \S+  \S+@contoso.com ", session.text()), "whom it is for"
        await session.press("y")
        await told(session, "run the workflow on demand for 1 user.")
        assert tenant.actions == ["activate"]
        await told(session, "has ended: ", lambda: tenant.wait(1))
        words = session.status.text
        await session.press("F")
        shown = there(session.app.chrome.front.view.run_id)
        assert f"Onboard pre-hire, new run {short_id(shown)}, has ended: " in words
        await session.press("escape", "o", "slash", *"pre-hire", "enter")
        assert "F new run" in session.text()
        await session.press("F")
        assert (session.view, session.app.chrome.front.view.run_id) == ("users", shown)
