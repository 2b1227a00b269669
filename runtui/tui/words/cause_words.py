"""What is said of a cause: its page in the side panel, its name in a title, what marking its runs did.

Invariant: no widget is touched here; foreign text leaves as a `Fact`, which the panel makes safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtui.domain.results import Cause, TaskResult, fold_reason
from runtui.domain.times import moment_text, since
from runtui.domain.triage.checks import checklist_of
from runtui.services.results import ReadingProgress
from runtui.tui.widgets.side_panel import About, Fact, Page

TOLD_REASONS: Final = 2
TOLD_WORKFLOWS: Final = 8
TOLD_PEOPLE: Final = 8
"""What the page of a cause names at most."""

NO_CAUSE: Final = Page((Fact("No cause is selected.", "$text-muted"),))
"""What the panel shows beside an empty list of causes."""


def cause_page(cause: Cause, failures: Sequence[TaskResult], now: int) -> Page:
    """A whole cause: how much it hit and since when, reasons as received, what to check, workflows, people.

    `failures` are the latest ones as far as they are known: they tell the reasons and the people.
    """
    others = [reason for reason in dict.fromkeys(failure.reason for failure in failures) if reason != cause.reason]
    people = list(dict.fromkeys(failure.subject_name for failure in failures))
    counts = f"{_count(cause.users, 'user')} in {_count(cause.runs, 'run')}"
    facts = [Fact(counts, "bold")]
    facts += [
        Fact(f"{name:9} {moment_text(ticks, now)}, {since(ticks, now)}", "$text-muted")
        for name, ticks in (("since", cause.first), ("last seen", cause.last))
        if ticks is not None
    ]
    facts += [Fact(""), Fact(cause.reason)]
    facts += what_to_check(cause.definition_id)
    facts += _named("Workflows", cause.workflows, TOLD_WORKFLOWS, len(cause.workflows))
    facts += _named("Users", people, TOLD_PEOPLE, cause.users)
    if others:
        facts += [Fact(""), Fact("Also in these words", "bold"), *map(Fact, others[:TOLD_REASONS])]
    return Page(tuple(facts), about=About("", f"✗ {cause.task}", style="bold $text-error"))


def what_to_check(definition_id: str) -> list[Fact]:
    """The checklist of a task definition, under a heading; nothing where there is none."""
    checklist = checklist_of(definition_id)
    if checklist is None:
        return []
    lines = [Fact(f"· {line}") for line in checklist.lines]
    return [Fact(""), Fact("What to check", "bold"), *lines, Fact(checklist.source, "$text-muted")]


def _named(title: str, names: Sequence[str], most: int, total: int) -> list[Fact]:
    """The first names, one a line, and how many more there are."""
    if not names:
        return []
    told = [Fact(f"  {name}") for name in names[:most]]
    if more := total - len(told):
        told.append(Fact(f"  and {more} more", "$text-muted"))
    return [Fact(""), Fact(title, "bold"), *told]


def in_words(cause: Cause) -> str:
    """A cause as it stands in the title of its runs."""
    return f"{cause.task}: {fold_reason(cause.reason)}"


def marked(cause: Cause, runs: int, *, is_marked: bool) -> str:
    """What marking the runs of a cause did."""
    if is_marked:
        return f"Marked {_count(runs, 'run')} in the list: {cause.task}."
    return f"Cleared {_count(runs, 'mark')}: {cause.task}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def scope(filter_text: str) -> str:
    """Whose causes they are, by the filter of the list of runs."""
    return f"the runs /{filter_text}" if filter_text else "all runs"


def how_far(progress: ReadingProgress) -> str:
    """How far those runs were read, after the title of the list; empty once all are."""
    if progress.read == progress.total:
        return ""
    newest = "" if progress.reading or progress.fault is not None else "the newest "
    return f"  reasons of {newest}{progress.read} of {progress.total} runs"


def nothing(progress: ReadingProgress) -> str:
    """Why there is no cause."""
    if progress.fault is not None:
        return f"Why tasks failed could not be read. {progress.fault}"
    if progress.reading:
        return "Reading why tasks failed…"
    return "No task failed in these runs."
