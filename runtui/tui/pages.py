"""What the side panel says of a request, an answer, a save and a run: pure words from values.

Invariant: no widget is touched here; every foreign text leaves as a `Fact` or a body, which the panel makes safe.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from runtui.domain.draft import MISSING, Change, Draft
from runtui.domain.times import ago, duration_text, local_text, parse_ticks
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import Fault
from runtui.services.saves import Save
from runtui.tui.widgets.side_panel import Fact, Page

if TYPE_CHECKING:
    from runtui.domain.runs import Run, TaskResult

TOLD_CHANGES: Final = 2
"""Changed properties that the status line tells; the Request tab tells all."""

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


def exchange_page(exchange: Exchange, fault: Fault | None = None) -> Page:
    """One request and its answer."""
    facts = [*_answer_facts(exchange), Fact(exchange.url, "$text-muted"), *_fault_facts(fault)]
    return Page(tuple(facts), exchange.body_text)


def save_page(save: Save) -> Page:
    """A save: on its way, or how it ended."""
    changed = frozenset(change.field.name for change in save.draft.changes())
    if save.outcome is None:
        return Page((Fact(f"PATCH: {save.step.value}…", "bold"),), save.body, changed)
    facts = [Fact(save_sentence(save), _OUTCOME_STYLE[save.outcome])]
    for conflict in save.conflicts:
        was, now, ours = (_word(value) for value in (conflict.opened, conflict.now, conflict.ours))
        facts.append(Fact(f"{conflict.field.name}: was {was} when opened, is {now} now, yours is {ours}."))
    if save.exchange is not None:
        facts += _answer_facts(save.exchange)
    facts += _reasons(save.fault)
    if save.ignored:
        facts.append(Fact(f"The service kept its own value of: {', '.join(save.ignored)}.", "$text-warning"))
    if save.row_is_stale:
        facts.append(Fact("The list may show old values until it is read again (r).", "$text-warning"))
    body = save.exchange.body_text if save.exchange is not None else ""
    return Page(tuple(facts), body, changed if save.outcome is Outcome.DONE else frozenset())


def save_sentence(save: Save) -> str:
    """How a save ended, in one sentence."""
    if save.outcome is Outcome.DONE:
        return "Done, seen when the run was read back." if save.seen_on_read_back else "Done."
    if save.outcome is Outcome.UNKNOWN:
        if save.fault is not None:
            return f"Unknown: {save.fault.title}."
        return "Unknown: the service may or may not have taken the change. Read the run again before you repeat it."
    if save.conflicts:
        names = ", ".join(conflict.field.name for conflict in save.conflicts)
        return f"Not done: nothing was sent, because the run changed meanwhile ({names})."
    return "Not done." if save.fault is None else f"Not done: {save.fault.title}."


def save_words(save: Save) -> str:
    """How a save ended, for the status line: the change in short, and the next step when it failed."""
    if save.outcome is Outcome.DONE and save.ignored:
        return f"Done, but the service kept its own value of {', '.join(save.ignored)}."
    if save.outcome is Outcome.DONE:
        return f"{save_sentence(save)} {change_words(save.draft.changes())}."
    message, hint = (save.fault.message, save.fault.hint) if save.fault is not None else ("", "")
    if save.conflicts:
        hint = "Open the run again to see the draft over its new values."
    return " ".join(part for part in (save_sentence(save), message, "The draft is kept.", hint) if part)


def change_words(changes: Sequence[Change]) -> str:
    """A change in short: the first properties from what to what, and how many more."""
    told = [f"{change.field.name}: {_word(change.before)} → {_word(change.after)}" for change in changes[:TOLD_CHANGES]]
    more = len(changes) - TOLD_CHANGES
    return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def run_page(run: Run, workflow_name: str, now: int, tasks: Sequence[TaskResult] | None, note: str = "") -> Page:
    """A run: its times in words, what failed in it (`tasks`: None while unread), and the object as received."""
    facts = [Fact(workflow_name, "bold"), Fact(f"{run.processing_status} · {run.workflow_execution_type}")]
    for label, text in (
        ("scheduled", run.scheduled_date_time),
        ("started", run.started_date_time),
        ("completed", run.completed_date_time),
        ("updated", run.last_updated_date_time),
    ):
        if text is not None:
            ticks = parse_ticks(text)
            facts.append(Fact(f"{label:10} {local_text(ticks)}  {ago(ticks, now)}", "$text-muted"))
    if run.started_date_time and run.completed_date_time:
        took = parse_ticks(run.completed_date_time) - parse_ticks(run.started_date_time)
        facts.append(Fact(f"{'took':10} {duration_text(took)}", "$text-muted"))
    facts.append(Fact(""))
    if note:
        facts.append(Fact(note, "$text-warning"))
    elif tasks is None:
        facts.append(Fact("Reading what its tasks did…", "$text-muted"))
    else:
        facts += _failures(tasks)
    return Page(tuple(facts), json.dumps(run.received, indent=2, ensure_ascii=False))


def _failures(tasks: Sequence[TaskResult]) -> Iterable[Fact]:
    """The tasks that failed, the same reason told once, the most frequent first; then who was hit."""
    failed = [task for task in tasks if task.processing_status == "failed"]
    if not failed:
        waiting = Counter(task.task_name for task in tasks if task.processing_status == "inProgress")
        yield Fact("No task failed.", "$text-success")
        for name, count in waiting.most_common(5):
            yield Fact(f"waiting in {name}: {count}")
        return
    reasons = Counter((task.task_name, task.failure_reason or "no reason given") for task in failed)
    for (name, reason), count in reasons.most_common(8):
        yield Fact(f"✗ {name} ({count}×)", "bold $text-error")
        yield Fact(reason)
    subjects = list(dict.fromkeys(task.subject_id for task in failed))
    more = f" and {len(subjects) - 6} more" if len(subjects) > 6 else ""
    yield Fact(f"users: {', '.join(subjects[:6])}{more}", "$text-muted")


def _answer_facts(exchange: Exchange) -> list[Fact]:
    took = f"{exchange.seconds * 1000:.0f} ms" if exchange.seconds is not None else "no time known"
    if exchange.status is None:
        first = f"no answer   {exchange.method}   {took}"
    else:
        first = f"{exchange.status} {exchange.reason}   {exchange.method}   {took}"
    facts = [Fact(first, "bold")]
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
    if fault.hint:
        facts.append(Fact(f"→ {fault.hint}", "$text-accent"))
    return facts


def _word(value: object) -> str:
    if value is None:
        return "null"
    return "(not received)" if value is MISSING else str(value)
