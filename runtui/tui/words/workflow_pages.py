"""What the side panel shows of a workflow: its schedule and what is wrong with it, its quarantine, and how it went.

Invariant: no widget is touched here; every foreign text leaves as a `Fact` or a body, which the panel makes safe. What
was not received is not told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Final

from runtui.domain.plots import HEAT_LEGEND
from runtui.domain.times import ago, day_text, moment_text, since
from runtui.domain.triage.workflows import WorkflowDay, WorkflowHistory
from runtui.tui.widgets.side_panel import About, Fact, Page

NO_WORKFLOW: Final = Page((Fact("No workflow is selected.", "$text-muted"),))
"""What the panel shows beside an empty overview."""

_SWITCHES: Final = {True: "yes", False: "no", None: "not known"}


def workflow_page(history: WorkflowHistory, now: int) -> Page:
    """A workflow at `now` (ticks)."""
    workflow = history.workflow
    facts = [*_schedule(history, now), Fact(""), *_outcomes(history), Fact(""), *_conditions(history)]
    facts += [Fact(""), Fact(HEAT_LEGEND, "$text-muted")]
    body = json.dumps(workflow.received, indent=2, ensure_ascii=False)
    return Page(tuple(facts), body, about=About(words=workflow.name))


def day_title(day: date, of_day: WorkflowDay) -> str:
    """A day of a workflow in the title of the overview."""
    return f"{day_text(day)}: {_runs_of(of_day, '')}"


def _runs_of(day: WorkflowDay, what: str = " runs") -> str:
    if not day.runs:
        return "no run"
    runs = f"{day.runs} {'run' if day.runs == 1 else 'runs'}"
    if not day.problems:
        return f"{runs}, no problem"
    users = f", {day.failed_users} failed {'user' if day.failed_users == 1 else 'users'}" if day.failed_users else ""
    return f"{day.problems} of {day.runs}{what} with problems{users}"


def _schedule(history: WorkflowHistory, now: int) -> Iterator[Fact]:
    workflow = history.workflow
    state = workflow.schedule(now)
    is_trouble = state.role == "status-problem"
    yield Fact(f"{state.glyph} {state.word}", "bold $text-warning" if is_trouble else "bold")
    for sentence in workflow.warnings(now, history.held_users):
        yield Fact(sentence, "$text-warning" if is_trouble else "")
    if step := workflow.next_step(now):
        yield Fact(f"→ {step}", "$text-accent")
    for label, value in (
        ("enabled", _SWITCHES[workflow.is_enabled]),
        ("scheduled", _SWITCHES[workflow.is_scheduled]),
        ("next run", _moment(workflow.next_run, now)),
        (
            "last run",
            f"{moment_text(history.last_run, now)}, {since(history.last_run, now)}" if history.last_run else "none",
        ),
        ("limits", " or ".join(workflow.limits)),
    ):
        if value:
            yield Fact(f"{label:10} {value}", "$text-muted")


def _outcomes(history: WorkflowHistory) -> Iterator[Fact]:
    """How its runs went, over all the days that are known."""
    total, days = history.total, len(history.days)
    yield Fact(f"{f'{days} days':10} {_runs_of(total)}")
    if history.success_rate is not None:
        yield Fact(f"success    {history.success_rate} % of the runs that ended")


def _conditions(history: WorkflowHistory) -> Iterator[Fact]:
    workflow = history.workflow
    for label, value in (
        ("category", workflow.category),
        ("version", str(workflow.version) if workflow.version is not None else ""),
        ("runs", workflow.trigger),
        ("about", workflow.description),
    ):
        if value:
            yield Fact(f"{label:10} {value}", "$text-muted")
    tasks = workflow.tasks or history.tasks_begun
    if tasks:
        yield Fact("tasks:" if workflow.tasks else "tasks of its last run that was read:", "$text-muted")
    for number, task in enumerate(tasks, 1):
        yield Fact(f"{number:2} {task}")


def _moment(ticks: int | None, now: int) -> str:
    return f"{moment_text(ticks, now)}, {ago(ticks, now)}" if ticks is not None else ""
