"""What the side panel shows of a request, an answer, a save, a journal entry and a run: pure words from values.

Invariant: no widget is touched here; every foreign text leaves as a `Fact` or a body, which the panel makes safe.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from runtui.domain import report
from runtui.domain.draft import Change, Draft, value_word
from runtui.domain.properties import PROPERTIES
from runtui.domain.report import Outcome
from runtui.domain.results import TaskResult, subjects_line
from runtui.domain.rows import status_look
from runtui.domain.run_users import UserRow
from runtui.domain.times import ago, duration_text, local_text, since
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault
from runtui.keys.actions import key_of
from runtui.services.journal import Entry
from runtui.services.journal_query import damage_sentence
from runtui.services.writing.write import Save, Step
from runtui.tui.widgets.side_panel import Fact, Page

TOLD_CHANGES: Final = 2
"""Changed properties that the status line tells; the Request tab tells all."""

TOLD_SUBJECTS: Final = 6
"""Subjects that were hit and are named in the Run tab."""

NO_TASK: Final = Page((Fact("No task is selected.", "$text-muted"),))
"""What the panel shows beside a user for whom no task has begun."""

NO_ENTRY: Final = Page((Fact("No entry is selected.", "$text-muted"),))
"""What the panel shows beside an empty journal."""

_OUTCOME_STYLE = {
    Outcome.DONE: "bold $text-success",
    Outcome.NOT_DONE: "bold $text-error",
    Outcome.UNKNOWN: "bold $text-warning",
}


def request_page(draft: Draft, method: str, url: str) -> Page:
    """The request that a draft would make, as it stands now."""
    facts = [Fact(f"{method} {url}", "bold")]
    if not draft.changes():
        facts.append(Fact("Nothing has changed yet.", "$text-muted"))
    if errors := draft.errors():
        facts.append(Fact(f"Not in it until they hold a valid value: {', '.join(errors)}.", "$text-error"))
    return Page(tuple(facts), draft.body_text(), frozenset(change.field.name for change in draft.changes()))


def sent_page(exchange: Exchange) -> Page:
    """One request as it was sent."""
    facts = [Fact(f"{exchange.method} {exchange.url}", "bold")]
    facts += [Fact(f"{name}: {value}", "$text-muted") for name, value in exchange.request_headers]
    return Page(tuple(facts), exchange.request_body or "")


def exchange_page(exchange: Exchange, fault: Fault | None = None) -> Page:
    """One request and its answer."""
    facts = [*_answer_facts(exchange), Fact(exchange.url, "$text-muted"), *_fault_facts(fault)]
    return Page(tuple(facts), exchange.body_text)


def save_page(save: Save, now: datetime) -> Page:
    """A save: on its way (as of `now`, aware), or how it ended."""
    changed = frozenset(change.field.name for change in save.draft.changes())
    if save.outcome is None:
        waits = [Fact(wait_sentence(save, now), "$text-warning")] if save.step is Step.PAUSED else []
        return Page((Fact(f"PATCH: {save.step.value}…", "bold"), *waits), save.body, changed)
    told = save.report
    facts = [Fact(told.heading, _OUTCOME_STYLE[save.outcome]), *(Fact(reason) for reason in told.reasons())]
    if save.conflicts:
        facts += [Fact(f"yours: {item.field.name}: {value_word(item.ours)}") for item in save.conflicts]
    if save.exchange is not None:
        facts += _answer_facts(save.exchange)
    facts += _reasons(save.fault)
    if save.outcome is Outcome.UNKNOWN:
        facts.append(Fact(f"→ {_checked_again()}", "$text-accent"))
    if save.row_is_stale:
        key = key_of("refresh")
        facts.append(Fact(f"The list may show old values until it is refreshed ({key}).", "$text-warning"))
    body = save.exchange.body_text if save.exchange is not None else ""
    return Page(tuple(facts), body, changed if save.outcome is Outcome.DONE else frozenset())


def wait_sentence(save: Save, now: datetime) -> str:
    """How long a paused save still waits at `now` (aware), and what ends that."""
    left = (save.resumes_at - now).total_seconds() if save.resumes_at is not None else 0.0
    status = save.exchange.status if save.exchange is not None else None
    said = report.wait_sentence(left, status, save.asked_seconds)
    return f"{said} {key_of('stop_waiting')} stops waiting."


def save_words(save: Save) -> str:
    """How a save ended, for the status line: what it changed, or why not and what comes next.

    The status line has few lines: what must be read stands first, and the Response tab tells the rest.
    """
    told, changes = save.report, save.draft.changes()
    if save.outcome is Outcome.DONE:
        return report.sentences(told.heading, "" if save.ignored else short_change(changes), *told.reasons())
    kept = "The draft is kept." if save.undoes is None else ""
    hint = save.fault.hint if save.fault is not None and not save.stopped else ""
    if save.outcome is Outcome.UNKNOWN:
        return report.sentences(told.heading, *told.reasons(), kept, _checked_again(), hint)
    if save.conflicts and save.undoes is None:
        hint = f"{key_of('edit')} on the run resolves the conflict."
    return report.sentences(told.heading, *told.reasons(), kept, told.message, hint)


def _checked_again() -> str:
    """What becomes of an unknown outcome."""
    return f"runtui checks the run again by itself; {key_of('journal')} shows the journal."


def short_change(changes: Sequence[Change]) -> str:
    """A change in short: the first properties from what to what, and how many more."""
    before = {change.field.name: change.before for change in changes}
    words = [*report.change_words(before, {change.field.name: change.after for change in changes})]
    more = len(words) - TOLD_CHANGES
    return ", ".join(words[:TOLD_CHANGES]) + (f", and {more} more" if more > 0 else "")


def entry_response_page(entry: Entry) -> Page:
    """An entry of the journal: how it ended, how that is known, and the answer."""
    if entry.damage:
        return Page((Fact(damage_sentence(entry), "$text-warning"),), "", frozenset())
    style = _OUTCOME_STYLE[entry.outcome] if entry.outcome is not None else "bold"
    facts = [Fact(entry.report.heading, style)]
    if entry.status is not None:
        took = f"   {entry.seconds * 1000:.0f} ms" if entry.seconds is not None else ""
        facts.append(Fact(f"{entry.report.answer}   {entry.method}{took}", "bold"))
    if entry.words:
        facts.append(Fact(entry.words))
    if entry.sends > 1:
        facts.append(Fact(f"It was sent {entry.sends} times, under one ETag."))
    if entry.undone_by is not None:
        facts.append(Fact(f"undone by #{entry.undone_by}"))
    facts += _labelled(
        ("undoes", f"#{entry.undoes}" if entry.undoes is not None else ""),
        ("sent", _local(entry.opened_at)),
        ("ended", _local(entry.ended_at)),
        ("by", entry.who),
        ("request-id", entry.request_id),
        ("client-request-id", entry.client_request_id),
    )
    return Page(tuple(facts), entry.response, frozenset(entry.after))


def entry_request_page(entry: Entry) -> Page:
    """An entry of the journal: what was sent, and what it was to change."""
    if entry.damage:
        return entry_response_page(entry)
    facts = [Fact(f"{entry.method} {entry.url}", "bold"), *(Fact(words) for words in entry.change_words())]
    facts += _labelled(
        ("workflow", entry.workflow_name or entry.workflow_id),
        ("run", entry.run_id),
        ("tenant", entry.tenant),
        ("If-Match", entry.if_match or ""),
    )
    return Page(tuple(facts), entry.body, frozenset(entry.after))


def _labelled(*facts: tuple[str, str]) -> list[Fact]:
    return [Fact(f"{name} {value}", "$text-muted") for name, value in facts if value]


def _local(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment is not None else ""


def run_page(
    run: Mapping[str, Any], workflow_name: str, now: int, tasks: Sequence[TaskResult] | None, note: str = ""
) -> Page:
    """A run: its times in words, what failed in it (`tasks`: None while unread), and the object as received."""
    values = {item.key: item.read(run) for item in PROPERTIES}
    facts = [Fact(workflow_name, "bold"), Fact(f"{values['status']} · {values['type']}")]
    for item in PROPERTIES:
        ticks = values[item.key]
        if item.kind == "datetime" and isinstance(ticks, int):
            distance = since if item.is_recorded else ago
            facts.append(Fact(f"{item.key:10} {local_text(ticks)}  {distance(ticks, now)}", "$text-muted"))
    started, completed = values["started"], values["completed"]
    if isinstance(started, int) and isinstance(completed, int):
        facts.append(Fact(f"{'took':10} {duration_text(completed - started)}", "$text-muted"))
    facts.append(Fact(""))
    if note:
        facts.append(Fact(note, "$text-warning"))
    elif tasks is None:
        facts.append(Fact("Reading what its tasks did…", "$text-muted"))
    else:
        facts += _failures(tasks)
    return Page(tuple(facts), json.dumps(run, indent=2, ensure_ascii=False))


def _failures(tasks: Sequence[TaskResult]) -> Iterable[Fact]:
    """The tasks that failed, the same reason told once, the most frequent first; then who was hit."""
    failed = [task for task in tasks if task.status == "failed"]
    if not failed:
        waiting = Counter(task.task_name for task in tasks if task.status == "inProgress")
        yield Fact("No task failed.", "$text-success")
        for name, count in waiting.most_common(5):
            yield Fact(f"waiting in {name}: {count}")
        return
    reasons = Counter((task.task_name, task.reason) for task in failed)
    for (name, reason), count in reasons.most_common(8):
        yield Fact(f"✗ {name} ({count}×)", "bold $text-error")
        yield Fact(reason)
    yield Fact(subjects_line(failed, TOLD_SUBJECTS), "$text-muted")


def task_page(user: UserRow | None, task: TaskResult | None, now: int) -> Page:
    """What one task did for a user, at `now` (ticks), and the object as received."""
    if user is None or task is None:
        return NO_TASK
    look = status_look(task.status)
    facts = [Fact(f"{look.glyph} {task.task_name}", "bold"), Fact(f"{task.status or 'no status'} for {user.name}")]
    if task.is_failed:
        facts.append(Fact(task.reason, "$text-error"))
    if task.processing_info:
        facts.append(Fact(task.processing_info))
    for name, ticks in (("started", task.started), ("completed", task.completed)):
        if ticks is not None:
            facts.append(Fact(f"{name:10} {local_text(ticks)}  {since(ticks, now)}", "$text-muted"))
    if task.started is not None and task.completed is not None:
        facts.append(Fact(f"{'took':10} {duration_text(task.completed - task.started)}", "$text-muted"))
    return Page(tuple(facts), json.dumps(task.received, indent=2, ensure_ascii=False))


def _answer_facts(exchange: Exchange) -> list[Fact]:
    took = f"{exchange.seconds * 1000:.0f} ms" if exchange.seconds is not None else "no time known"
    facts = [Fact(f"{exchange.answer or 'no answer'}   {exchange.method}   {took}", "bold")]
    for name, value in (
        ("request-id", exchange.request_id),
        ("client-request-id", exchange.client_request_id),
        ("Date", exchange.response_header("date")),
    ):
        if value:
            facts.append(Fact(f"{name} {value}", "$text-muted"))
    return facts


def _fault_facts(fault: Fault | None) -> list[Fact]:
    return [] if fault is None else [Fact(fault.title, "bold $text-error"), *_reasons(fault)]


def _reasons(fault: Fault | None) -> list[Fact]:
    if fault is None:
        return []
    facts = [Fact(fault.message)]
    facts += [Fact(f"{target}: {message}" if target else message) for target, message in fault.details]
    if hint := fault.hint:
        facts.append(Fact(f"→ {hint}", "$text-accent"))
    return facts
