"""The pages of the side panel for a request, a response, a save, a journal entry and a run.

Invariant: these are pure functions without widgets; they return foreign text as a `Fact` or a body, which the panel
makes safe.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from runtui.domain import report
from runtui.domain.draft import Change, value_word
from runtui.domain.properties import PROPERTIES
from runtui.domain.report import Outcome
from runtui.domain.results import TaskResult, by_cause, subjects_line
from runtui.domain.rows import short_id, status_look
from runtui.domain.times import (
    ago,
    clock_text,
    duration_text,
    moment_text,
    now_ticks,
    second_text,
    since,
    ticks_of,
    to_datetime,
)
from runtui.domain.triage.checks import why_doubtful
from runtui.domain.triage.run_users import TaskRow, held_words, waiting_words
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.domain.triage.standing import NOTE, triage_facts
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault
from runtui.graph.retry import Wait
from runtui.keys.actions import key_of
from runtui.services.known_run import KnownRun
from runtui.services.records.journal import Entry
from runtui.services.records.journal_query import damage_sentence
from runtui.services.writing.write import Save, Step
from runtui.tui.widgets.side_panel import About, Fact, Page, none_selected
from runtui.tui.words import triage_words, write_words

SHOWN_CHANGES: Final = 2
"""The most changed properties in the status line; the Request tab has all."""

SHOWN_SUBJECTS: Final = 3
"""The most affected users named on the Run tab."""

SHOWN_CAUSES: Final = 6
"""The most causes of failures on the Run tab."""

SHOWN_ENTRIES: Final = 3
"""The most changes from this machine on the Run tab."""

_OUTCOME_STYLE = {
    Outcome.DONE: "bold $text-success",
    Outcome.NOT_DONE: "bold $text-error",
    Outcome.UNKNOWN: "bold $text-warning",
}


def draft_page(draft: Operation, method: str, url: str) -> Page:
    """Return the page of the request that a draft or an action would send; it stays when the form is left."""
    page = _request_page(draft, method, url)
    is_unchanged = not isinstance(draft, ServiceAction) and not draft.changes()
    return page if is_unchanged else _unsent(page, "Not sent yet.")


def _unsent(page: Page, words: str) -> Page:
    return page._replace(facts=(page.facts[0], Fact(words, "$text-warning"), *page.facts[1:]))


def _request_page(draft: Operation, method: str, url: str) -> Page:
    facts = [Fact(f"{method} {url}", "bold")]
    if isinstance(draft, ServiceAction):
        return Page((*facts, Fact(draft.words)), draft.body_text())
    if not draft.changes():
        facts.append(Fact("Nothing has changed yet.", "$text-muted"))
    if errors := draft.errors():
        facts.append(Fact(f"Left out until valid: {', '.join(errors)}.", "$text-error"))
    return Page(tuple(facts), draft.body_text(), frozenset(change.field.name for change in draft.changes()))


def sent_page(exchange: Exchange) -> Page:
    headers = (Fact(f"{name}: {value}", "$text-muted") for name, value in exchange.request_headers)
    return Page((Fact(f"{exchange.method} {exchange.url}", "bold"), *headers), exchange.request_body or "")


def sending_page(save: Save, method: str, url: str) -> Page:
    """Return the Request page of a save: its request, and whether that was sent."""
    page = _request_page(save.operation, method, url)
    if save.sent is not None and (save.sent.failure is None or save.sent.failure.sent != "no"):
        return page
    if save.outcome is not Outcome.NOT_DONE and not save.may_be_stopped:
        return page
    return _unsent(page, "Not sent yet." if save.outcome is None else "It was not sent.")


def exchange_page(exchange: Exchange, fault: Fault | None = None) -> Page:
    why = [] if fault is None else [Fact(fault.title, "bold $text-error"), *_reasons(fault)]
    return Page((*_answer_facts(exchange), Fact(exchange.url, "$text-muted"), *why), exchange.body_text)


def save_page(save: Save, now: datetime) -> Page:
    """Return the page of a save: its progress at `now` (aware), or how it ended."""
    changed = frozenset(change.field.name for change in save.operation.changes())
    if save.outcome is None:
        waits = [Fact(wait_sentence(save, wait, now), "$text-warning")] if (wait := save.wait) is not None else []
        method = "PATCH" if save.action is None else "POST"
        facts = [Fact(f"{method}: {save.step.value}…", "bold"), *waits]
        return Page(tuple(facts), save.operation.body_text(), changed)
    result = save.report
    facts = [Fact(result.heading, _OUTCOME_STYLE[save.outcome]), *(Fact(reason) for reason in result.reasons())]
    if save.action is not None:
        facts.insert(1, Fact(save.action.words))
    if save.new_run:
        facts.insert(2, Fact(f"→ new run {save.new_run}; {key_of('new_run')} goes there", "$text-accent"))
    facts += [Fact(f"yours: {item.field.name}: {value_word(item.ours)}") for item in save.conflicts]
    facts += _reasons(save.fault and save.fault._replace(hint=write_words.next_step(save)))
    if save.outcome is Outcome.UNKNOWN:
        facts.append(Fact(f"→ {checked_again()}", "$text-accent"))
    if save.row_is_stale:
        facts.append(Fact(f"{key_of('refresh')} refreshes the list, which may show old values.", "$text-warning"))
    if save.exchange is not None:
        facts += _answer_facts(save.exchange)
    body = save.exchange.body_text if save.exchange is not None else ""
    return Page(tuple(facts), body, changed if save.outcome is Outcome.DONE else frozenset())


def wait_sentence(save: Save, wait: Wait, now: datetime) -> str:
    """Say why a save waits and until when, seen at `now` (aware), and name the key that ends that."""
    when = f"at {second_text(wait.until)}" if wait.until > now else "now"
    return f"{wait.why}; trying again {when}. {key_of('stop_bulk' if save.batch else 'stop_waiting')} stops waiting."


def save_words(save: Save, *, drafts_last: bool = True) -> str:
    """Say how a change or an action ended, for the status line: what it changed, or why not and the next step.

    The most important words come first; the Response tab has the rest. `drafts_last`: drafts are saved on disk."""
    result, action = save.report, save.action
    heading = result.heading if action is None else f"{result.heading}: {action.words}"
    if save.outcome is Outcome.DONE:
        taken = [change for change in save.changes() if change.field.name not in save.ignored]
        made = f"New run {short_id(save.new_run)} is watched; {key_of('new_run')} goes there" if save.new_run else ""
        return report.sentences(heading, short_change(taken), *result.reasons(), made)
    if save.outcome is Outcome.UNKNOWN and action is not None:
        again = f"It is not sent again: runtui checks what the service shows; {key_of('journal')} shows the journal."
        return report.sentences(heading, *result.reasons(), again, result.message)
    until = "" if drafts_last else " until you quit"
    kept = f"The draft is kept{until}." if action is None and save.undoes is None else ""
    next_step = write_words.next_step(save)
    if save.outcome is Outcome.UNKNOWN:
        return report.sentences(heading, *result.reasons(), kept, checked_again(), next_step)
    return report.sentences(heading, *result.reasons(), next_step, kept, result.message)


def checked_again() -> str:
    return f"runtui checks the run again by itself; {key_of('journal')} shows the journal."


def short_change(changes: Sequence[Change]) -> str:
    """Return a change in short: the first properties with old and new value, and the number of others."""
    before = {change.field.name: change.before for change in changes}
    words = [*report.change_words(before, {change.field.name: change.after for change in changes})]
    more = len(words) - SHOWN_CHANGES
    return ", ".join(words[:SHOWN_CHANGES]) + (f", and {more} more" if more > 0 else "")


def entry_response_page(entry: Entry, save: Save | None = None) -> Page:
    """Return the Response page of a journal entry: its outcome, how that is known, and the response. `save` is the
    change of its run in progress."""
    if entry.damage:
        return Page((Fact(damage_sentence(entry), "$text-warning"),))
    style = _OUTCOME_STYLE[entry.outcome] if entry.outcome is not None else "bold"
    heading = entry.report.heading
    if entry.outcome is Outcome.NOT_DONE and save is not None and save.refused == entry.number:
        heading, style = f"#{entry.number} {_retry_words(save)}", _OUTCOME_STYLE[Outcome.UNKNOWN]
    facts = [Fact(heading, style), *(Fact(words) for words in entry.change_words() if entry.action)]
    if entry.status is not None:
        took = f"   {entry.seconds * 1000:.0f} ms" if entry.seconds is not None else ""
        facts.append(Fact(f"{entry.report.answer}   {entry.method}{took}", "bold"))
    facts += [Fact(entry.words)] if entry.words else []
    facts += triage_words.labelled(
        ("undone by", f"#{entry.undone_by}" if entry.undone_by is not None else ""),
        ("undoes", f"#{entry.undoes}" if entry.undoes is not None else ""),
        ("sent", _local(entry.opened_at)),
        ("ended", _local(entry.ended_at)),
        ("by", entry.who),
        ("why", entry.why),
        ("request-id", entry.request_id),
        ("client-request-id", entry.client_request_id),
    )
    return Page(tuple(facts), entry.response, frozenset(entry.after))


def entry_request_page(entry: Entry) -> Page:
    """Return the Request page of a journal entry: the request, and the change it was meant to make."""
    if entry.damage:
        return entry_response_page(entry)
    facts = [Fact(f"{entry.method} {entry.url}", "bold"), *(Fact(words) for words in entry.change_words())]
    facts += triage_words.labelled(
        ("workflow", entry.workflow_name or entry.workflow_id),
        ("run", "" if entry.is_about_workflow else entry.run_id),
        ("why", entry.why),
        ("tenant", entry.tenant),
        ("If-Match", entry.if_match or ""),
    )
    return Page(tuple(facts), entry.body, frozenset(entry.after))


def _local(moment: datetime | None) -> str:
    return moment_text(ticks_of(moment), now_ticks()) if moment is not None else ""


def about_run(run_id: str, workflow_name: str) -> About:
    return About(run_id, workflow_name, short_id(run_id))


def about_entry(entry: Entry) -> About:
    """Return the subject of a journal entry, its run; a damaged entry has none."""
    if entry.damage:
        return About(words=f"#{entry.number}")
    return about_run(entry.run_id, f"#{entry.number} {entry.workflow_name or entry.workflow_id}")


def foreign_page(entry: Entry) -> Page:
    """Return the Run page of an entry that is damaged, or about no run of this server."""
    words = f"This change is to the workflow, not to a run; {key_of('overview')} shows the workflows."
    if entry.damage:
        words = damage_sentence(entry)
    elif not entry.is_about_workflow:
        words = f"This run is on another server: {entry.root}"
    return Page((Fact(words, "$text-muted"),), about=about_entry(entry))


def run_page(known: KnownRun, now: int) -> Page:
    """Return the page of a run at `now` (ticks): why it failed, its triage, its times, and its JSON as received."""
    if known.stored is None:
        again = f"This run is not in the list, or cannot be read; {key_of('refresh')} refreshes the list."
        gone = Fact(str(known.fault), "$text-warning") if known.fault else Fact(again, "$text-muted")
        return Page((gone,), about=About(known.run_id, short_id(known.run_id)))
    run = known.stored.raw
    values = {item.key: item.read(run) for item in PROPERTIES}
    look = status_look(str(values["status"] or ""))
    facts = [Fact(f"{values['status'] or 'no status'} · {values['type'] or 'no type'}")]
    if known.fault is not None:
        facts.append(Fact(str(known.fault), "$text-warning"))
    if values["status"] == "quarantined":
        facts += [Fact(words, "$text-warning") for words in held_words(run, known.workflow, now)]
    elif known.results is not None:
        facts += _why(known.results.tasks, now)
    elif known.fault is None:
        facts.append(Fact("Reading its task results…", "$text-muted"))
    if known.row is not None:
        triage = triage_facts(known.row, now, lambda ticks: moment_text(ticks, now))
        facts += [Fact(f"{_TRIAGE[name]}{words}", "$text-accent") for name, words in triage]
    facts += [Fact(words, "$text-accent") for words in _done_by_you(known, to_datetime(now))]
    facts += _times(values, now)
    users = f"{_count(values['successful'])} of {_count(values['users'])} users"
    about = About(known.run_id, f"{look.glyph} {known.stored.workflow_name}", users)
    return Page(tuple(facts), json.dumps(run, indent=2, ensure_ascii=False), about=about)


_TRIAGE: Final = {NOTE: "note       ", "opened": "opened     ", "triage": ""}
"""Labels of the facts about a run's triage."""


def _count(value: object) -> str:
    return str(value) if isinstance(value, int) else "?"


def _why(tasks: Sequence[TaskResult], now: int) -> Iterator[Fact]:
    """Yield each cause with its count, the most frequent first; then the affected users and the pending tasks."""
    failed = [task for task in tasks if task.is_failed]
    waiting: dict[tuple[str, str], list[TaskResult]] = defaultdict(list)
    for task in tasks:
        if task.is_waiting:
            waiting[task.task_name, task.extension_id].append(task)
    causes = by_cause(failed)
    for alike in causes[:SHOWN_CAUSES]:
        yield Fact(f"✗ {len(alike)}× {alike[0].task_name}", "bold $text-error")
        yield Fact(f"  {alike[0].reason}")
    if len(causes) > SHOWN_CAUSES:
        yield Fact(f"and {len(causes) - SHOWN_CAUSES} more causes", "$text-muted")
    if failed:
        yield Fact(subjects_line(failed, SHOWN_SUBJECTS), "$text-muted")
    else:
        yield Fact("No task failed.", "$text-muted")
    for alike in sorted(waiting.values(), key=len, reverse=True)[:SHOWN_CAUSES]:
        first = min(alike, key=lambda task: task.started or now)
        yield Fact(f"● {len(alike)}× waiting in {first.task_name}", "$text-primary")
        yield Fact(f"  {waiting_words(first, None, now)}")


def _done_by_you(known: KnownRun, now: datetime) -> Iterator[str]:
    """Yield whether a draft is kept, and the changes from this machine, the newest first."""
    if known.has_draft:
        yield f"~ draft kept; {key_of('edit')} opens it"
    save, ended = known.save, {entry.number: entry.ended_at for entry in known.entries}
    changes = [entry for entry in known.entries if entry.undoes is None and not entry.damage]
    for entry in changes[:SHOWN_ENTRIES]:
        words = f"{'sent' if entry.action else 'changed'} by you #{entry.number}, {clock_text(entry.opened_at, now)}"
        if entry.outcome is not Outcome.DONE:
            became = entry.report.outcome_words
            if entry.outcome is Outcome.NOT_DONE and save is not None and save.refused == entry.number:
                became = _retry_words(save)
            words = f"your change #{entry.number}, {clock_text(entry.opened_at, now)}: {became}"
        if entry.undone_by is not None:
            ended_at = ended.get(entry.undone_by)
            words += f", undone {clock_text(ended_at, now)}" if ended_at is not None else ", undone"
        if entry.action:
            words += f": {', '.join(entry.change_words())}"
        if entry.new_run:
            words += f"; {key_of('new_run')} goes there"
        if entry.why:
            words += f" (why: {entry.why})"
        yield words
    if len(changes) > SHOWN_ENTRIES:
        yield f"and {len(changes) - SHOWN_ENTRIES} earlier changes; {key_of('journal')} shows them"


def _retry_words(save: Save) -> str:
    """Say what a change waits for whose last try was refused."""
    if save.step is Step.SIGNING_IN:
        return "refused, waiting for the sign-in"
    return f"refused, tried again{f' at {second_text(save.wait.until)}' if save.wait is not None else ''}"


def _times(values: Mapping[str, object], now: int) -> Iterator[Fact]:
    for item in PROPERTIES:
        ticks = values[item.key]
        if item.kind == "datetime" and isinstance(ticks, int):
            distance = since if item.is_recorded else ago
            yield Fact(f"{item.key:10} {moment_text(ticks, now)}, {distance(ticks, now)}", "$text-muted")
    started, completed = values["started"], values["completed"]
    if isinstance(started, int) and isinstance(completed, int):
        yield Fact(f"{'took':10} {duration_text(completed - started)}", "$text-muted")


def task_page(run_id: str, name: str, row: TaskRow | None, now: int, where: str = "") -> Page:
    """Return the page of one task for a user: its result, what to check if it failed or is doubtful, and its JSON as
    received. `now` is in ticks; `where` replaces the user's name beside the task.
    """
    if row is None:
        return none_selected("task")
    task, look = row.result, status_look(row.result.status)
    facts = [Fact(f"{task.status or 'no status'} for {name}")]
    if said := row.summary(now):
        facts.append(Fact(said, "$text-error" if task.is_failed else ""))
    if task.processing_info and task.processing_info not in said:
        facts.append(Fact(task.processing_info))
    for moment, ticks in (("created", task.created), ("started", task.started), ("completed", task.completed)):
        if ticks is not None:
            facts.append(Fact(f"{moment:10} {moment_text(ticks, now)}, {since(ticks, now)}", "$text-muted"))
    if task.took is not None:
        facts.append(Fact(f"{'took':10} {duration_text(task.took)}", "$text-muted"))
    if task.is_failed or why_doubtful(task):
        facts += triage_words.what_to_check(task.definition_id)
    about = About(run_id, f"{look.glyph} {task.task_name}", where or name)
    return Page(tuple(facts), json.dumps(task.received, indent=2, ensure_ascii=False), about=about)


def _answer_facts(exchange: Exchange) -> list[Fact]:
    took = f"{exchange.seconds * 1000:.0f} ms" if exchange.seconds is not None else "time unknown"
    ids = triage_words.labelled(
        ("request-id", exchange.request_id),
        ("client-request-id", exchange.client_request_id),
        ("Date", exchange.response_header("date")),
    )
    return [Fact(f"{exchange.answer or 'no answer'}   {exchange.method}   {took}", "bold"), *ids]


def _reasons(fault: Fault | None) -> list[Fact]:
    if fault is None:
        return []
    details = (Fact(f"{target}: {message}" if target else message) for target, message in fault.details)
    return [Fact(fault.message), *details, *([Fact(f"→ {fault.hint}", "$text-accent")] if fault.hint else [])]
