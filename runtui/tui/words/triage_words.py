"""The words about causes, people and workflows: pages of the side panel, titles, why a list is empty or incomplete.

Invariant: these are pure functions without widgets. They return foreign text as a `Fact` or a body, which the panel
makes safe; the lines of people are safe already. They say nothing about data that was not received.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from runtui.domain.plots import HEAT_LEGEND
from runtui.domain.results import Cause, TaskResult
from runtui.domain.text import count_words, visible
from runtui.domain.times import ago, day_text, moment_text, since
from runtui.domain.triage.checks import checklist_of
from runtui.domain.triage.run_users import UserRow
from runtui.domain.triage.workflows import WorkflowDay, WorkflowHistory
from runtui.keys.actions import key_of
from runtui.services.results import ReadingProgress
from runtui.services.store.store import Person
from runtui.tui.resources import READING
from runtui.tui.text import fit
from runtui.tui.widgets.side_panel import About, Fact, Page

if TYPE_CHECKING:
    from runtui.services.triage.people import PersonReading

# Causes

SHOWN_REASONS: Final = 2
SHOWN_WORKFLOWS: Final = 8
SHOWN_PEOPLE: Final = 8
"""The most further reasons, workflows and people on the page of a cause."""


def cause_page(cause: Cause, failures: Sequence[TaskResult], now: int) -> Page:
    """Return the page of a cause: its counts and times, reasons as received, what to check, workflows, people.

    `failures` are the latest known ones, for the reasons and the people.
    """
    others = [reason for reason in dict.fromkeys(failure.reason for failure in failures) if reason != cause.reason]
    people = list(dict.fromkeys(failure.subject_name for failure in failures))
    counts = f"{count_words(cause.users, 'user')} in {count_words(cause.runs, 'run')}"
    facts = [Fact(counts, "bold")]
    facts += [
        Fact(f"{name:9} {moment_text(ticks, now)}, {since(ticks, now)}", "$text-muted")
        for name, ticks in (("since", cause.first), ("last seen", cause.last))
        if ticks is not None
    ]
    facts += [Fact(""), Fact(cause.reason)]
    facts += what_to_check(cause.definition_id)
    facts += _named("Workflows", cause.workflows, SHOWN_WORKFLOWS, len(cause.workflows))
    facts += _named("Users", people, SHOWN_PEOPLE, cause.users)
    if others:
        facts += [Fact(""), Fact("Other wordings", "bold"), *map(Fact, others[:SHOWN_REASONS])]
    return Page(tuple(facts), about=About("", f"✗ {cause.task}", style="bold $text-error"))


def what_to_check(definition_id: str) -> list[Fact]:
    """Return the checklist of a task definition with a heading; empty if there is none."""
    checklist = checklist_of(definition_id)
    if checklist is None:
        return []
    lines = [Fact(f"· {line}") for line in checklist.lines]
    return [Fact(""), Fact("What to check", "bold"), *lines, Fact(checklist.source, "$text-muted")]


def _named(title: str, names: Sequence[str], most: int, total: int) -> list[Fact]:
    """Return the first names, one per line, and the number of others."""
    if not names:
        return []
    lines = [Fact(f"  {name}") for name in names[:most]]
    if more := total - len(lines):
        lines.append(Fact(f"  and {more} more", "$text-muted"))
    return [Fact(""), Fact(title, "bold"), *lines]


def marks_set(cause: Cause, runs: int, *, is_marked: bool) -> str:
    if is_marked:
        return f"Marked {count_words(runs, 'run')} in the list: {cause.task}."
    return f"Cleared {count_words(runs, 'mark')}: {cause.task}."


def reasons_read(progress: ReadingProgress) -> str:
    """Say how many of those runs were read, for the title; empty once all are."""
    if progress.read == progress.total:
        return ""
    newest = "" if progress.reading or progress.fault is not None else "the newest "
    return f"  reasons of {newest}{progress.read} of {progress.total} runs"


def runs_may_lack(progress: ReadingProgress) -> str:
    """Say that the runs of a cause may not be all; empty once the reasons of all runs were read."""
    if progress.read == progress.total:
        return ""
    if progress.reading:
        return "The reasons of more runs are being read; the list may grow."
    return f"The reasons of {progress.read} of {progress.total} runs were read; others may have this cause too."


def why_no_causes(progress: ReadingProgress) -> str | None:
    """Return why no cause is listed; None if no task failed, which the list says itself."""
    if progress.fault is not None:
        return f"The reasons for failed tasks could not be read. {progress.fault}"
    return (progress.waiting or "Reading why tasks failed…") if progress.reading else None


# People

NO_RUN_OF_USER: Final = "No run included this user."

_NAME_CELLS: Final = 26
_FAILURES_CELLS: Final = 8
"""The most cells of a name and the failures in a list of people."""


def person_lines(people: Sequence[Person]) -> list[str]:
    """Return an aligned line per person: name, failures, sign-in name (the id of a person without one). A narrow
    screen cuts the end."""
    columns = (
        _aligned([person_name(person) for person in people], _NAME_CELLS),
        _aligned([f"✗ {person.failures}" if person.failures else "" for person in people], _FAILURES_CELLS),
        [person.user_principal_name or person.id for person in people],
    )
    return ["  ".join(filter(None, cells)) for cells in zip(*columns, strict=True)]


def _aligned(texts: Sequence[str], most: int) -> list[str]:
    """Return the texts in cells as wide as the widest, at most `most`; all are empty if there is no text."""
    width = min(most, max((cell_len(visible(text)) for text in texts), default=0))
    return [fit(text, width) for text in texts]


def person_name(person: Person) -> str:
    return person.name or person.user_principal_name or person.id


def person_in_full(person: Person | UserRow) -> str:
    """Return name, sign-in name and id, so that it is certain who is meant before an action."""
    return "  ".join(dict.fromkeys(filter(None, (person.name, person.user_principal_name, person.id))))


def found_people(text: str, found: int, most: int, progress: ReadingProgress) -> str:
    reading = f" {progress.read} of {progress.total} runs are read." if progress.read < progress.total else ""
    if reading and progress.fault is not None:
        reading += f" {progress.fault.title}."
    if found > most:
        return f"The first {most}; type more of a name to find fewer.{reading}"
    if found:
        return reading.strip()
    if not text:
        return f"No results have been read yet. Type a sign-in name or an id.{reading}"
    looks_up = f"{key_of('choose_person')} looks it up as a sign-in name or an id."
    return f"Nobody by that name in the results read so far.{reading} {looks_up}"


def why_no_person(why: object, progress: ReadingProgress) -> str:
    """Say why nobody is shown, and that reading more runs may bring more names."""
    left = progress.total - progress.read
    more = f" {left} runs are not read yet: {key_of('people')} reads on, and then finds their users by name."
    return f"{why}{more if left > 1 else ''}"


def how_far(progress: PersonReading | ReadingProgress, what: str) -> str:
    """Say how many of a person's workflows or runs are read; empty once all are."""
    return "" if progress.read == progress.total else f"read in {progress.read} of {progress.total} {what}"


def why_no_tasks(reading: PersonReading) -> str:
    if reading.fault is not None and reading.is_offered:
        missing = reading.total - reading.read
        return f"{missing} of {reading.total} workflows could not be read. {reading.fault}"
    return READING if reading.read < reading.total else NO_RUN_OF_USER


def why_no_tasks_in_runs(progress: ReadingProgress) -> str:
    """Return why no task is listed, if only the results of runs are read."""
    if progress.fault is not None:
        return f"Not every run could be read. {progress.fault}"
    return progress.waiting or (READING if progress.reading else NO_RUN_OF_USER)


# Workflows

_SWITCHES: Final = {True: "yes", False: "no", None: "not known"}


def workflow_page(history: WorkflowHistory, now: int) -> Page:
    workflow = history.workflow
    facts = [*_schedule(history, now), Fact(""), *_outcomes(history), Fact(""), *_conditions(history)]
    facts += [Fact(""), Fact(HEAT_LEGEND, "$text-muted")]
    body = json.dumps(workflow.received, indent=2, ensure_ascii=False)
    return Page(tuple(facts), body, about=About(words=workflow.name))


def day_title(day: date, of_day: WorkflowDay) -> str:
    return f"{day_text(day)}: {_runs_of(of_day, '')}"


def _runs_of(day: WorkflowDay, what: str = " runs") -> str:
    if not day.runs:
        return "no run"
    if not day.problems:
        return f"{count_words(day.runs, 'run')}, no problem"
    users = f", {count_words(day.failed_users, 'failed user')}" if day.failed_users else ""
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
    next_run, last_run = workflow.next_run, history.last_run
    yield from labelled(
        ("enabled", _SWITCHES[workflow.is_enabled]),
        ("scheduled", _SWITCHES[workflow.is_scheduled]),
        ("next run", f"{moment_text(next_run, now)}, {ago(next_run, now)}" if next_run is not None else ""),
        ("last run", f"{moment_text(last_run, now)}, {since(last_run, now)}" if last_run else "none"),
        ("limits", " or ".join(workflow.limits)),
    )


def _outcomes(history: WorkflowHistory) -> Iterator[Fact]:
    """Yield the results of its runs over all known days."""
    total, days = history.total, len(history.days)
    yield Fact(f"{f'{days} days':10} {_runs_of(total)}")
    if history.success_rate is not None:
        yield Fact(f"success    {history.success_rate} % of the runs that ended")


def _conditions(history: WorkflowHistory) -> Iterator[Fact]:
    workflow = history.workflow
    yield from labelled(
        ("category", workflow.category),
        ("version", str(workflow.version) if workflow.version is not None else ""),
        ("runs", workflow.trigger),
        ("about", workflow.description),
    )
    tasks = workflow.tasks or history.tasks_begun
    if tasks:
        yield Fact("tasks:" if workflow.tasks else "tasks of the last run that was read:", "$text-muted")
    for number, task in enumerate(tasks, 1):
        yield Fact(f"{number:2} {task}")


def labelled(*facts: tuple[str, str]) -> list[Fact]:
    """Return a line for each label with a value; the values are aligned."""
    return [Fact(f"{label:10} {value}", "$text-muted") for label, value in facts if value]
