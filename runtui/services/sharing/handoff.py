"""The hand-over: all that the next person needs to know about a run or a cause, as Markdown or a JSON object.

Invariant: it has what the store and the journal hold, and names what was not read. Times are UTC. In Markdown, foreign
text is code. Reasons are verbatim unless people are reduced. It holds no secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from runtui import __version__
from runtui.auth.clouds import cloud_of_root
from runtui.domain.draft import NOT_RECEIVED
from runtui.domain.report import became
from runtui.domain.results import Cause, TaskResult, by_cause, fold_reason
from runtui.domain.text import count_words
from runtui.domain.times import format_ticks, now_ticks, parse_ticks
from runtui.domain.triage.checks import checklist_of
from runtui.domain.triage.service_actions import action_words
from runtui.domain.triage.standing import NOTE, triage_facts
from runtui.domain.triage.workflows import Workflow
from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange
from runtui.graph.paths import segment
from runtui.redact import redact_values
from runtui.services.known_run import KnownRun, known_run
from runtui.services.records.journal import Entry
from runtui.services.records.journal_query import entry_object
from runtui.services.sharing.commands import portal_link
from runtui.services.sharing.formats import code_block, code_span, prose, value_code
from runtui.services.store.results import RunResults
from runtui.services.store.store import RunQuery, StoredRun
from runtui.services.workspace import Workspace

NAMED_CAUSES: Final = 12
NAMED_WORDINGS: Final = 3
NAMED_PEOPLE: Final = 20
NAMED_RUNS: Final = 20
NAMED_REQUESTS: Final = 5
SEARCHED_FAILURES: Final = 1_000
"""The most items of each kind that are named; the number of the others is added."""

_GOES_ON: Final = {"queued": "The run has not begun.", "inProgress": "The run is in progress."}
"""The open point of a run in each of these statuses."""

_REDUCED: Final = "People are reduced to initials and ids, and reasons to their words without names, ids and numbers."


class Origin(NamedTuple):
    """The author and the source of a hand-over."""

    who: str
    """The account named in the token; empty if the token names none."""
    profile: str
    tenant: str
    root: str
    made_at: datetime


Handoff: TypeAlias = dict[str, Any]
"""A hand-over as a JSON object without secrets; texts are raw."""


async def origin_of(workspace: Workspace) -> Origin:
    settings = workspace.settings
    return Origin(await workspace.account(), settings.profile, settings.tenant, workspace.root, datetime.now(UTC))


def handoff_of_run(workspace: Workspace, origin: Origin, run_id: str, *, reduce_people: bool = False) -> Handoff:
    """Return the hand-over of a run from the files on this machine; for a deleted run, from the journal.

    Raises:
        RuntuiError: nothing is known of the run, or a file cannot be read.
    """
    known = known_run(workspace, run_id, follow=True)
    if known.fault is not None:
        raise known.fault
    return run_handoff(known, origin, requests=requests_about(workspace, run_id), reduce_people=reduce_people)


def requests_about(workspace: Workspace, run_id: str) -> list[Exchange]:
    """Return the requests of this session with the run's id in their URL, newest first."""
    return [exchange for exchange in tuple(workspace.exchanges) if segment(run_id) in exchange.url]


def run_handoff(
    known: KnownRun, origin: Origin, *, requests: Sequence[Exchange] = (), reduce_people: bool = False
) -> Handoff:
    """Return the hand-over of a run.

    `requests` are newest first; those of its changes are left out, and of the others the failed ones come first.

    Raises:
        RuntuiError: nothing is known of the run.
    """
    if (stored := known.last_known) is None:
        raise RuntuiError("There is no such run", "It is no longer in the list.")
    cloud, sent = cloud_of_root(origin.root), {entry.client_request_id for entry in known.entries}
    others = [other for other in requests if other.client_request_id not in sent]
    open_points = list(_open_changes(known.entries))
    if known.run_id != stored.workflow_id:
        of_run = _open_run(stored.raw, known.workflow, known.results, reduce_people=reduce_people)
        open_points = [*of_run, *open_points]
    if known.has_draft:
        open_points.append("A draft of a change is kept on this machine.")
    return _handoff(
        stored.workflow_name or stored.workflow_id,
        facts=[
            *_run_facts(known.run_id, stored, Workflow(known.workflow or {})),
            *(triage_facts(known.row, now_ticks(), _moment) if known.row is not None else ()),
        ],
        link=portal_link(cloud, stored.workflow_id) if cloud is not None else None,
        failures=by_cause(known.results.tasks if known.results is not None else ()),
        changes=known.entries,
        requests=sorted(others, key=lambda other: other.status == 200)[:NAMED_REQUESTS],
        open_points=open_points,
        origin=origin,
        reduce_people=reduce_people,
    )


def handoff_of_cause(
    workspace: Workspace, origin: Origin, cause: Cause, query: RunQuery, *, reduce_people: bool = False
) -> Handoff:
    """Return the hand-over of a cause in the runs of a query, from the files on this machine: its latest failures, and
    its newest runs with their changes.

    Raises:
        RuntuiError: no task failed for this reason by now, or a file cannot be read.
    """
    failures = workspace.store.failures_of_cause(query, cause.key, SEARCHED_FAILURES)
    if not failures:
        raise RuntuiError("There is no such cause", "By now no task fails for this reason.", "List the causes again.")
    newest = workspace.store.window(query._replace(sort="started", descending=True), 0, NAMED_RUNS)
    run_ids = [row.id for row in newest]
    changes = [entry for run_id in run_ids for entry in workspace.journal.of_run(workspace.root, run_id)]
    failed = f"{count_words(cause.users, 'user')} in {count_words(cause.runs, 'run')} failed."
    facts = [("users", str(cause.users)), ("runs", str(cause.runs)), ("workflows", ", ".join(cause.workflows))]
    facts += [("first seen", _moment(cause.first)), ("last seen", _moment(cause.last))]
    handoff = _handoff(
        cause.task,
        facts=[(name, value) for name, value in facts if value],
        failures=[failures],
        runs=run_ids,
        more_runs=max(0, cause.runs - len(run_ids)),
        changes=changes,
        open_points=[failed, *_open_changes(changes)],
        origin=origin,
        reduce_people=reduce_people,
    )
    handoff["causes"][0]["users"] = cause.users
    return handoff


def _handoff(
    title: str,
    *,
    facts: Sequence[tuple[str, str]],
    link: str | None = None,
    failures: Sequence[Sequence[TaskResult]],
    runs: Sequence[str] = (),
    more_runs: int = 0,
    changes: Sequence[Entry],
    requests: Sequence[Exchange] = (),
    open_points: Sequence[str],
    origin: Origin,
    reduce_people: bool,
) -> Handoff:
    """Return a hand-over with the failed tasks of each cause. With `reduce_people` it has only initials and ids of
    people, and texts without names.
    """
    if reduce_people:
        everybody = [result for alike in failures for result in alike]
        facts = [(name, _folded(value, everybody) if name == NOTE else value) for name, value in facts]
        changes = [
            replace(change, why=_folded(change.why, everybody), words=_folded(change.words, everybody))
            for change in changes
        ]
    handoff: Handoff = redact_values({
        "title": title,
        "facts": dict(facts),
        "link": link,
        "causes": [_cause_record(alike, reduce_people=reduce_people) for alike in failures[:NAMED_CAUSES]],
        "moreCauses": len(failures[NAMED_CAUSES:]),
        "runs": list(runs),
        "moreRuns": more_runs,
        "changes": [entry_object(entry) for entry in changes],
        "requests": [_request_record(exchange) for exchange in requests],
        "open": list(open_points),
        "who": origin.who or None,
        "profile": origin.profile or None,
        "tenant": origin.tenant or None,
        "root": origin.root,
        "madeAt": _iso(origin.made_at),
        "reduced": reduce_people,
    })  # fmt: skip
    return handoff


# Building


def _run_facts(run_id: str, stored: StoredRun, workflow: Workflow) -> Iterator[tuple[str, str]]:
    raw, is_run = stored.raw, run_id != stored.workflow_id  # else of an action on the workflow
    if is_run:
        yield "run", run_id
    yield "workflow", stored.workflow_id
    if workflow.version is not None:
        yield "workflow version", str(workflow.version)
    if not is_run:
        return
    yield "status", str(raw.get("processingStatus") or "not said")
    for what, names in (
        ("users", ("totalUsersCount", "successfulUsersCount", "failedUsersCount")),
        ("tasks", ("totalTasksCount", "", "failedTasksCount")),
    ):
        if counts := ", ".join(_counts(raw, names)):
            yield what, counts
    if (kind := raw.get("workflowExecutionType")) is not None:
        yield "type", str(kind)
    for label, name in (
        ("started", "startedDateTime"),
        ("ended", "completedDateTime"),
        ("updated", "lastUpdatedDateTime"),
    ):
        if isinstance(value := raw.get(name), str):
            yield label, _utc(value)


def _counts(raw: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for name, word in zip(names, ("in all", "successful", "failed"), strict=True):
        if isinstance(count := raw.get(name), int):
            yield f"{count} {word}"


def _cause_record(failures: Sequence[TaskResult], *, reduce_people: bool) -> dict[str, Any]:
    """Return the failures of one cause: their wordings and people, as far as they are named, and what to check."""
    first, checklist = failures[0], checklist_of(failures[0].definition_id)
    people = {result.subject_id or result.subject_name: result for result in failures}
    reasons = [*dict.fromkeys(result.reason for result in failures)]
    if reduce_people:
        reasons = [*dict.fromkeys(_folded(reason, people.values()) for reason in reasons)]
    return {
        "task": first.task_name,
        "reasons": reasons[:NAMED_WORDINGS],
        "moreReasons": len(reasons[NAMED_WORDINGS:]),
        "users": len(people),
        "people": [
            {
                "id": person.subject_id,
                "name": _initials(person) if reduce_people else person.subject_name,
                "userPrincipalName": None if reduce_people else person.user_principal_name or None,
            }
            for person in list(people.values())[:NAMED_PEOPLE]
        ],
        "check": list(checklist.lines) if checklist is not None else [],
        "source": checklist.source if checklist is not None else None,
    }


def _folded(text: str, people: Iterable[TaskResult]) -> str:
    """Return a text without names. A reason may name any of the people, not only its own."""
    names = (name for person in people for name in (person.subject_name, person.user_principal_name))
    return fold_reason(text, [name for name in names if name and name in text])


def _open_run(
    raw: Mapping[str, Any], workflow: Mapping[str, Any] | None, results: RunResults | None, *, reduce_people: bool
) -> Iterator[str]:
    if not raw:
        yield "The service no longer lists the run."
        return
    status = str(raw.get("processingStatus"))
    if status in _GOES_ON:
        yield _GOES_ON[status]
    if status == "quarantined":
        yield from _held(Workflow(workflow or {}))
    if results is None:
        yield "The results of its tasks were not read."
        return
    if results.is_outdated:
        yield "The run changed after its results were read."
    failed = {task.subject_id for task in results.tasks if task.is_failed}
    if failed:
        yield f"{count_words(len(failed), 'user')} with a failed task."
    waiting = [task for task in results.tasks if task.is_waiting]
    if waiting:
        first = min((task.started for task in waiting if task.started is not None), default=None)
        yield f"{count_words(len(waiting), 'task')} not ended{f', the first begun {_moment(first)}' if first else ''}."
        said = (task.processing_info for task in waiting if task.processing_info)
        reduced = (_folded(words, waiting) for words in said) if reduce_people else said
        yield from list(dict.fromkeys(reduced))[:NAMED_WORDINGS]


def _held(workflow: Workflow) -> Iterator[str]:
    """Yield the limit that a quarantined run exceeded, and since when."""
    if (held := workflow.quarantine) is None:
        yield "The run is in quarantine: no user was processed."
        return
    since = f" since {_moment(held.since)}" if held.since is not None else ""
    yield f"The run is in quarantine{since}: it exceeded {held.limit}, and no user was processed."
    if held.reason:
        yield held.reason


def _open_changes(changes: Sequence[Entry]) -> Iterator[str]:
    for entry in changes:
        if not entry.is_settled:
            yield f"{entry.report.heading}. It may have been carried out or not."


def _initials(person: TaskResult) -> str:
    """Return the initials of a name; empty if the name is the id, which is shown anyway."""
    if person.subject_name == person.subject_id:
        return ""
    return " ".join(f"{word[0]}." for word in person.subject_name.split() if word[0].isalpha())


def _utc(value: str) -> str:
    """Return a Graph date-time for people; any other text unchanged."""
    try:
        return _moment(parse_ticks(value))
    except ValueError:
        return value


def _iso(moment: datetime) -> str:
    """Return an aware datetime to the second in Graph's format."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _moment(ticks: int | None) -> str:
    """Return ticks as a time to the second; empty for None."""
    return "" if ticks is None else f"{format_ticks(ticks)[:19].replace('T', ' ')} UTC"


def _request_record(exchange: Exchange) -> dict[str, Any]:
    return {
        "sentAt": _iso(exchange.started_at),
        "method": exchange.method,
        "status": exchange.status,
        "requestId": exchange.request_id or None,
        "clientRequestId": exchange.client_request_id,
    }


def _request_line(request: Mapping[str, Any]) -> str:
    ids = (("request-id", request["requestId"]), ("client-request-id", request["clientRequestId"]))
    shown = ", ".join(f"{name}: {code_span(value)}" for name, value in ids if value)
    return f"- {_utc(request['sentAt'])} {request['method']} {request['status'] or 'no answer'}, {shown}"


# Markdown


def handoff_markdown(handoff: Handoff) -> str:
    return "\n".join(_lines(handoff)) + "\n"


def _lines(record: Handoff) -> Iterator[str]:
    yield f"# Hand-over: {code_span(record['title'])}"
    yield ""
    for name, value in record["facts"].items():
        yield f"- {name}: {code_span(value)}"
    if record["link"]:
        yield f"- portal: <{record['link']}>"
    yield from _section("Still open", record["open"], lambda point: f"- {prose(point)}")
    for failure in record["causes"]:
        yield from _failure_lines(failure)
    if record["moreCauses"]:
        yield from ("", f"And {count_words(record['moreCauses'], 'more cause')}.")
    yield from _section("Runs", record["runs"], lambda run_id: f"- {code_span(run_id)}")
    if record["moreRuns"]:
        yield f"- and {record['moreRuns']} more"
    if record["changes"]:
        yield from ("", "## Changed with runtui")
        for change in record["changes"]:
            yield from _change_lines(change)
    yield from _section("Other requests about it", record["requests"], _request_line)
    yield from ("", "## Handed over", "")
    by = f" by {code_span(record['who'])}" if record["who"] else ""
    yield f"- {_utc(record['madeAt'])}{by}, with runtui {__version__}"
    for name in ("profile", "tenant", "root"):
        if record[name]:
            yield f"- {name}: {code_span(record[name])}"
    if record["reduced"]:
        yield f"- {_REDUCED}"


def _section(title: str, items: Sequence[Any], line: Callable[[Any], str]) -> Iterator[str]:
    if items:
        yield from ("", f"## {title}", "")
        yield from map(line, items)


def _failure_lines(failure: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## Failed: {code_span(failure['task'])}, {count_words(failure['users'], 'user')}")
    for reason in failure["reasons"]:
        yield from ("", *code_block(reason, "text"))
    if failure["moreReasons"]:
        yield from ("", f"And {count_words(failure['moreReasons'], 'more wording')} of this reason.")
    if failure["people"]:
        yield ""
        for person in failure["people"]:
            known = (person["name"], person["userPrincipalName"], person["id"])
            yield f"- {', '.join(code_span(text) for text in dict.fromkeys(known) if text)}"
        if more := failure["users"] - len(failure["people"]):
            yield f"- and {more} more"
    if failure["check"]:
        yield from ("", f"What to check (<{failure['source']}>):", "")
        yield from (f"- [ ] {line}" for line in failure["check"])


def _change_lines(change: Mapping[str, Any]) -> Iterator[str]:
    """Yield one change: its outcome, its values, when and by whom, and the ids for a question to the service."""
    known_by = f", known by {change['knownBy']}" if change["knownBy"] not in (None, "", "answer") else ""
    answer = f" ({change['status']})" if change["status"] is not None else ""
    number = code_span(f"#{change['number']}")  # without code, "#" and a number would link to an issue
    yield from ("", f"- {number} {change['outcome']}{answer}{known_by}")
    if change["action"]:
        yield f"  - asked for: {code_span(action_words(change['action'], change['body']))}"
    before = change["before"] or {}
    for name, value in (change["after"] or {}).items():
        yield f"  - {code_span(name)}: {became(before.get(name, NOT_RECEIVED), value, value_code)}"
    for name, value in (
        ("run", change["runId"]),
        ("sent", change["openedAt"] and _utc(change["openedAt"])),
        ("by", change["who"]),
        ("why", change["why"]),
        ("request-id", change["requestId"]),
        ("client-request-id", change["clientRequestId"]),
        ("new run", change["newRun"]),
        ("undoes", change["undoes"] and f"#{change['undoes']}"),
        ("undone by", change["undoneBy"] and f"#{change['undoneBy']}"),
        ("said", change["words"]),
    ):
        if value:
            yield f"  - {name}: {code_span(value)}"
