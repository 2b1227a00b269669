"""The page of a run: why it failed, and what a person did about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.results import TaskResult
from runtui.domain.times import parse_ticks, second_text
from runtui.errors import RuntuiError
from runtui.graph.retry import Wait
from runtui.services.known_run import KnownRun
from runtui.services.store.results import RunResults
from runtui.services.store.store import StoredRun
from runtui.services.writing.write import Save, Step
from runtui.tui.widgets.side_panel import Page
from runtui.tui.words.pages import entry_response_page, run_page
from tests.tui.wires import a_run
from tests.unit.entries import an_entry
from tests.unit.fake_writer import exchange

NOW = parse_ticks("2026-11-20T12:00:00Z")


def page(*, tasks: Sequence[TaskResult] | None = None, is_outdated: bool = False, **known: Any) -> Page:
    stored = StoredRun("run-1", "w1", "Onboard [b]new[/b] hire", a_run(1))
    results = RunResults(tuple(tasks), (), is_outdated) if tasks is not None else None
    return run_page(KnownRun(run_id="run-1", stored=stored, results=results, **known), NOW)


def facts(**known: Any) -> list[str]:
    return [fact.text for fact in page(**known).facts]


def a_task(name: str, reason: str = "", user: str = "u1", status: str = "failed") -> TaskResult:
    return TaskResult(
        {"processingStatus": status, "failureReason": reason, "task": {"displayName": name}, "subject": {"id": user}}
    )


def test_causes_are_told_once_with_their_count_and_the_commonest_first() -> None:
    no_manager = [
        a_task("Send mail", f"User {n}f3a9c2d1-11aa-4bb2-8cc3-0123456789ab has no manager.") for n in range(3)
    ]
    told = facts(tasks=[a_task("Add to group", "The group is synced."), *no_manager])
    at = told.index("✗ 3× Send mail")
    assert told[at + 1].endswith("has no manager."), "one of the reasons, as received"
    assert told[at + 2 : at + 4] == ["✗ 1× Add to group", "  The group is synced."]
    assert at == 1, "only the status stands before"


def test_a_run_is_named_and_counted_in_the_line_above() -> None:
    about = page(tasks=()).about
    assert about == ("run-1", "✗ Onboard [b]new[/b] hire", "1 of 3 users", "bold")


def test_waiting_tasks_are_shown_beside_failed_ones() -> None:
    waiting = [a_task("Run a Custom Task Extension", status="inProgress", user=user) for user in "ab"]
    told = facts(tasks=waiting)
    assert "No task failed." in told
    assert "● 2× waiting in Run a Custom Task Extension" in told


def test_an_unread_run_says_so_and_earlier_results_stay() -> None:
    assert "Reading its task results…" in facts()
    outdated = facts(tasks=[a_task("Send mail", "No mailbox.")], is_outdated=True)
    assert "✗ 1× Send mail" in outdated
    failed = facts(tasks=[a_task("Send mail", "No mailbox.")], fault=RuntuiError("Forbidden (403)"))
    assert failed[1] == "Forbidden (403)."
    assert "✗ 1× Send mail" in failed


def test_changes_from_here_are_told_with_what_became_of_them() -> None:
    noon = datetime(2026, 11, 3, 12, 5, tzinfo=UTC)
    undone = an_entry(12, undone_by=13)
    undo = an_entry(13, undoes=12, ended_at=noon)
    unknown = an_entry(14, outcome=Outcome.UNKNOWN, status=None)
    told = facts(entries=[unknown, undo, undone], has_draft=True)
    clock = f"3 Nov {noon.astimezone():%H:%M}"
    assert any(line.startswith("~ draft kept") for line in told)
    assert not any("not sent" in line for line in told), "a draft may be of a change whose outcome is unknown"
    assert any(line.startswith("your change #14, ") and line.endswith(": unknown") for line in told)
    assert any(line.startswith("changed by you #12, ") and line.endswith(f", undone {clock}") for line in told)
    assert not any("#13" in line for line in told), "an undo is told with what it undid"


def test_a_refused_try_is_not_the_end_while_the_change_is_in_progress() -> None:
    refused = an_entry(2, outcome=Outcome.NOT_DONE, status=429, reason="Slow")
    until = datetime(2026, 11, 3, 12, 3, 10, tzinfo=UTC)
    save = Save(1, Draft("run-1", "w1", {}), Step.PAUSED, entry=2, wait=Wait(exchange("PATCH"), 7.0, until))
    again, signing_in = f"refused, tried again at {second_text(until)}", save._replace(step=Step.SIGNING_IN, wait=None)
    others = [(other, "not done (429 Slow)") for other in (None, save._replace(entry=None), save._replace(entry=3))]
    for other, words in ((save, again), (signing_in, "refused, waiting for the sign-in"), *others):
        assert any(line.endswith(f": {words}") for line in facts(entries=[refused], save=other))
        assert entry_response_page(refused, other).facts[0].text == f"#2 {words}"


def test_many_causes_and_changes_are_counted() -> None:
    told = facts(
        tasks=[a_task(f"Task {letter}", "Broken.") for letter in "abcdefgh"],
        entries=[an_entry(number) for number in range(9, 0, -1)],
    )
    assert "and 2 more causes" in told
    assert any(line.startswith("and 6 earlier changes") for line in told)


def test_a_run_that_is_not_stored_says_so() -> None:
    gone = run_page(KnownRun(run_id="run-9", stored=None), NOW)
    told = "This run is not in the list, or cannot be read; r refreshes the list."
    assert [fact.text for fact in gone.facts] == [told]
    assert gone.about.run_id == "run-9"
