"""What the side panel says of a request, an answer, a save and a run: pure words from values.

Invariant: no widget is touched here; every foreign text leaves as a `Fact` or a body, which the panel makes safe.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from runtui.actions import key_of
from runtui.domain.draft import Change, Draft, value_word
from runtui.domain.properties import PROPERTIES
from runtui.domain.results import TaskResult, subjects_line
from runtui.domain.times import ago, duration_text, local_text, since
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import READ_BACK, Fault
from runtui.graph.retry import LONGEST_WAIT, length_words
from runtui.services.journal import Entry
from runtui.services.journal_query import change_words as entry_changes
from runtui.services.journal_query import damage_sentence
from runtui.services.write import Save, Step
from runtui.tui.entry_words import outcome_words
from runtui.tui.widgets.side_panel import Fact, Page

TOLD_CHANGES: Final = 2
"""Changed properties that the status line tells; the Request tab tells all."""

TOLD_SUBJECTS: Final = 6
"""Subjects that were hit and are named in the Run tab."""

NO_ENTRY: Final = Page((Fact("No entry is selected.", "$text-muted"),))
"""What the panel shows beside an empty journal."""

UNRECORDED: Final = "The outcome could not be written to the journal, which calls it unknown."

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


def save_page(save: Save, now: datetime) -> Page:
    """A save: on its way (as of `now`, aware), or how it ended."""
    changed = frozenset(change.field.name for change in save.draft.changes())
    if save.outcome is None:
        waits = [Fact(wait_sentence(save, now), "$text-warning")] if save.step is Step.PAUSED else []
        return Page((Fact(f"PATCH: {save.step.value}…", "bold"), *waits), save.body, changed)
    facts = [Fact(save_sentence(save), _OUTCOME_STYLE[save.outcome])]
    if save.entry is not None:
        facts.append(Fact(f"entry {save.entry} of the journal", "$text-muted"))
    if save.unrecorded:
        facts.append(Fact(UNRECORDED, "$text-warning"))
    for conflict in save.conflicts:
        was, is_now, ours = (value_word(value) for value in (conflict.opened, conflict.now, conflict.ours))
        facts.append(Fact(f"{conflict.field.name}: was {was} when opened, is {is_now} now, yours is {ours}."))
    if save.exchange is not None:
        facts += _answer_facts(save.exchange)
    facts += _reasons(save.fault)
    if save.outcome is Outcome.UNKNOWN:
        facts.append(Fact(f"→ {_looks_again()}", "$text-accent"))
    if save.ignored and save.outcome is Outcome.DONE:
        facts.append(Fact(f"The service kept its own value of: {', '.join(save.ignored)}.", "$text-warning"))
    if save.row_is_stale:
        facts.append(
            Fact(f"The list may show old values until the next refresh ({key_of('refresh')}).", "$text-warning")
        )
    body = save.exchange.body_text if save.exchange is not None else ""
    return Page(tuple(facts), body, changed if save.outcome is Outcome.DONE else frozenset())


def wait_sentence(save: Save, now: datetime) -> str:
    """How long a paused save still waits at `now` (aware), and what ends that."""
    left = (save.resumes_at - now).total_seconds() if save.resumes_at is not None else 0.0
    asks = "The service asks to wait" if save.asked_seconds is not None else "The service takes no requests now"
    if save.asked_seconds is not None and save.asked_seconds > LONGEST_WAIT:
        asks += f" {length_words(save.asked_seconds)}, which is longer than runtui waits"
    again = f"trying again in {length_words(left)}" if left > 0 else "trying again now"
    return f"{asks}: {again}. {key_of('stop_waiting')} gives up."


def save_sentence(save: Save) -> str:
    """How a save ended, in one sentence."""
    if save.stopped and save.outcome is Outcome.NOT_DONE:
        return f"Not done: given up {'before anything was sent' if save.entry is None else 'while it waited'}."
    if save.outcome is Outcome.DONE:
        done = "Done" if save.undoes is None else f"Done: entry {save.undoes} is taken back"
        return f"{done}, seen when the run was read back." if save.seen_on_read_back else f"{done}."
    if save.outcome is Outcome.UNKNOWN:
        return _unknown_sentence(save)
    if save.conflicts:
        names = ", ".join(conflict.field.name for conflict in save.conflicts)
        never = "nothing was sent" if save.entry is None else "nothing was written"
        return f"Not done: {never}, because the run changed meanwhile ({names})."
    return "Not done." if save.fault is None else f"Not done: {save.fault.title}."


def _unknown_sentence(save: Save) -> str:
    if save.fault is not None:
        return f"Unknown: {save.fault.title}."
    if save.exchange is not None and save.ignored:
        return (
            f"Unknown: the service answered {save.exchange.status}, and yet the run, read back, does not show the "
            f"change ({', '.join(save.ignored)}). It may still come."
        )
    return "Unknown: the service may or may not have taken the change."


def save_words(save: Save) -> str:
    """How a save ended, for the status line: the change in short, and the next step when it failed.

    The status line has few lines: what must be read stands first, and the Response tab tells the rest.
    """
    unrecorded = UNRECORDED if save.unrecorded else ""
    if save.outcome is Outcome.DONE and save.ignored:
        return _joined(f"Done, but the service kept its own value of {', '.join(save.ignored)}.", unrecorded)
    if save.outcome is Outcome.DONE:
        return _joined(save_sentence(save), f"{change_words(save.draft.changes())}.", unrecorded)
    message, hint = (save.fault.message, save.fault.hint) if save.fault is not None and not save.stopped else ("", "")
    kept = "The draft is kept." if save.undoes is None else ""
    if save.conflicts and save.undoes is None:
        hint = f"{key_of('edit')} on the run opens the three values."
    if save.outcome is Outcome.UNKNOWN:
        return _joined(save_sentence(save), unrecorded, kept, _looks_again(), hint.removeprefix(READ_BACK).strip())
    return _joined(save_sentence(save), unrecorded, kept, message, hint)


def _looks_again() -> str:
    """What becomes of an unknown outcome."""
    return f"runtui reads the run again by itself; {key_of('journal')} shows the journal."


def _joined(*sentences: str) -> str:
    """Sentences in a row; a server's own may lack its full stop."""
    return " ".join(text if text[-1] in ".!?…" else f"{text}." for text in sentences if text)


def change_words(changes: Sequence[Change]) -> str:
    """A change in short: the first properties from what to what, and how many more."""
    told = [
        f"{change.field.name}: {value_word(change.before)} → {value_word(change.after)}"
        for change in changes[:TOLD_CHANGES]
    ]
    more = len(changes) - TOLD_CHANGES
    return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def entry_response_page(entry: Entry) -> Page:
    """An entry of the journal: what became of it, how that is known, and the answer."""
    if entry.damage:
        return Page((Fact(damage_sentence(entry), "$text-warning"),), "", frozenset())
    style = _OUTCOME_STYLE[entry.outcome] if entry.outcome is not None else "bold"
    facts = [Fact(f"Entry {entry.number}: {outcome_words(entry)}", style)]
    if entry.status is not None:
        took = f"   {entry.seconds * 1000:.0f} ms" if entry.seconds is not None else ""
        facts.append(Fact(f"{entry.status} {entry.reason}   {entry.method}{took}", "bold"))
    if entry.words:
        facts.append(Fact(entry.words))
    if entry.sends > 1:
        facts.append(Fact(f"It was sent {entry.sends} times, under one ETag."))
    if entry.undoes is not None:
        facts.append(Fact(f"It takes entry {entry.undoes} back."))
    if entry.undone_by is not None:
        facts.append(Fact(f"Entry {entry.undone_by} took it back."))
    facts += _labelled(
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
    facts = [Fact(f"{entry.method} {entry.url}", "bold"), *(Fact(words) for words in entry_changes(entry))]
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
    if hint := fault.hint.removeprefix(READ_BACK).strip():
        facts.append(Fact(f"→ {hint}", "$text-accent"))
    return facts
