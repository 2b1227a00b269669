"""What proves that a change was made: the answer to it, and the run as it is read afterwards.

Invariant: no proof, no *done*. A reading can prove that a change was made, never that it was not: what is on its way
may still land. By the answer to the request:

| The answer                             | The run, as read afterwards              | The change is                    |
|----------------------------------------|------------------------------------------|----------------------------------|
| a success, with a value that it brings | is read only where the answer lacks some | done, by the answer              |
|                                        | and then shows none of them              | unknown                          |
| a success, without one (204, 200)      | shows a value that it brings             | done, by the answer              |
|                                        | shows none, or cannot be read            | unknown                          |
| a refusal in Graph's own words         | is not read                              | not done                         |
| a refusal that a copy of it causes     | `confirms` the refusal                   | not done                         |
| (409, 412), or anything else, or none  | `verdict` says that it proves the change | done, seen on read-back          |
|                                        | anything else                            | unknown                          |

An action of the service brings no values: a success is done by the answer, and what else tells that it was carried
out is in `shows_effect`.

A success is a 2xx other than 202, about this run, that names this request where the reading before it was named too.
Nothing but this request has gone over its connection. A change brings the values that the run did not have before it;
all of them, where it had them all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.domain.draft import NOT_RECEIVED
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.report import Outcome
from runtui.domain.times import TICKS_PER_SECOND, ticks_of
from runtui.domain.triage.received import text_in, ticks_in
from runtui.domain.triage.service_actions import CANCELED, REPROCESSED, STATUS
from runtui.domain.triage.workflows import Workflow
from runtui.graph.client import Answer, etag_of
from runtui.services.writing.on_demand import started_runs

if TYPE_CHECKING:
    from runtui.services.records.journal import Entry, Intent

CAUSED_BY_A_COPY: Final = frozenset({409, 412})
"""Refusals that a request causes if it arrives twice, as through a gateway: the first copy was applied."""

UPDATED: Final = "lastUpdatedDateTime"
"""The time of the last change of a run, by the service's clock."""

CLOCK_TOLERANCE: Final = TICKS_PER_SECOND
"""`Date` counts whole seconds, `lastUpdatedDateTime` may do so too, and two machines of a service differ a little."""


class Verdict(NamedTuple):
    """Whether a reading proves a change. `why` is a sentence that says why not, if the run has the values."""

    is_proof: bool
    why: str = ""


NO_PROOF: Final = Verdict(False)
"""The verdict on a run without the values."""

UNPROVABLE: Final = (
    "Nothing that the service shows proves it: look for a new run of these users, then record the outcome."
)


_LAST_READING: Final = "Last reading: "


def with_reading(words: str, why: str) -> str:
    """Return the words of an unknown outcome with the `why` of the last verdict, if there is one, in place of that of
    an earlier one."""
    words = words.partition(_LAST_READING)[0].strip()
    return f"{words} {_LAST_READING}{why}".strip() if why else words


def has_value(values: Mapping[str, Any], name: str, value: object) -> bool:
    """Return whether a run has this value of an editable property. A missing property is not null."""
    field = EDITABLE_BY_NAME.get(name)
    return field is not None and name in values and field.same(value, values[name])


def has_values(wanted: Mapping[str, Any], entity: Mapping[str, Any]) -> bool:
    """Return whether a run has exactly these values of its editable properties; for others it is unknown."""
    return all(has_value(entity, name, value) for name, value in wanted.items())


def has_new_value(intent: Intent, entity: Mapping[str, Any]) -> bool:
    """Return whether a run has a new value of a change."""
    brought = [name for name, value in intent.after.items() if not has_value(intent.before, name, value)]
    return any(has_value(entity, name, intent.after[name]) for name in brought or intent.after)


def confirms(intent: Intent, status: int | None, reading: Answer) -> bool:
    """Return whether a reading confirms a refusal (409 or 412) that a copy of the same request may have caused.

    It does if the run still has the values from before the change. If it has others, another change may have replaced
    the new ones. Only a 412 under an If-Match tells that others came first; there a reading of the version that the
    change was made for is older than the refusal and proves nothing.
    """
    entity = reading.entity or {}
    if intent.action:
        return not shows_effect(intent, entity)
    if status == 412 and intent.if_match is not None:
        is_newer = etag_of(reading.received) not in (None, intent.if_match)
        return is_newer and intent.after.keys() <= entity.keys() and not has_new_value(intent, entity)
    before = {name: intent.before.get(name, NOT_RECEIVED) for name in intent.after}
    return has_values(before, entity) and not has_new_value(intent, entity)


def verdict(entry: Entry, reading: Answer, others: Collection[Entry]) -> Verdict:
    """Return what a reading of the run proves about a change without a trustworthy answer. The run was read after the
    change was sent; `others` are the other changes of that run in the journal."""
    entity = reading.entity
    if entity is None:
        return NO_PROOF
    if entry.action:
        return _action_verdict(entry, reading, entity, others)
    if not has_values(entry.after, entity):
        return NO_PROOF
    why = next(_objections(entry, reading, entity, others), None)
    return Verdict(True) if why is None else Verdict(False, f"The run has these values, but {why}.")


def shows_effect(intent: Intent, entity: Mapping[str, Any]) -> bool:
    """Return whether the object of an action, read afterwards, shows or may show an effect that it did not show
    before."""
    match intent.action:
        case "cancelProcessing":
            return text_in(entity, STATUS) in CANCELED and text_in(intent.before, STATUS) not in CANCELED
        case "activateWithScope":
            return bool(new_runs(intent, entity))
        case "activate":
            started = started_runs(intent, entity)
            return started is None or bool(started.fitting or started.undecided)
        case "clearQuarantine":
            return Workflow(entity).quarantine is None and Workflow(intent.before).quarantine is not None
        case "resume":
            wanted = intent.sent.get("data")
            return isinstance(wanted, Mapping) and entity.get(STATUS) == wanted.get("operationStatus")
    return False


def new_runs(intent: Intent, entity: Mapping[str, Any], others: Collection[Entry] = ()) -> list[str]:
    """Return the ids of the runs that an action may have made; empty for an action that makes none.

    An action on demand has at most the proved one. An action that reprocesses has every new run in its scope that no
    other action has made; a run without a scope fits any.
    """
    if intent.action == "activate":
        started = started_runs(intent, entity, others)
        return [started.proof] if started is not None and started.proof else []
    if intent.action != "activateWithScope":
        return []
    known = {*(intent.before.get(REPROCESSED) or ()), *(other.new_run for other in others)}
    wanted = intent.sent.get("scope")
    found = []
    for run in entity.get(REPROCESSED) or ():
        scope = run.get("activatedOnScope")
        names = scope.keys() & {"userScope", "taskScope"} if isinstance(scope, Mapping) else ()
        is_ours = isinstance(wanted, Mapping) and all(scope[name] == wanted.get(name) for name in names)
        if run["id"] not in known and is_ours:
            found.append(run["id"])
    return found


def new_run(intent: Intent, entity: Mapping[str, Any], others: Collection[Entry] = ()) -> str:
    """Return the id of the run that an action has made; empty if there is none, or if several may be its own."""
    found = new_runs(intent, entity, others)
    return found[0] if len(found) == 1 else ""


def _action_verdict(entry: Entry, reading: Answer, entity: Mapping[str, Any], others: Collection[Entry]) -> Verdict:
    if entry.action == "activate":
        started = started_runs(entry, entity, others)
        return Verdict(False, UNPROVABLE) if started is None else Verdict(bool(started.proof), started.words)
    if not shows_effect(entry, entity):
        return NO_PROOF
    if entry.action == "activateWithScope" and not new_runs(entry, entity, others):
        return NO_PROOF
    if any(_is_rival(entry, other) for other in others):
        return Verdict(False, "Its effect is there, but another action of yours may have caused it.")
    if entry.action == "cancelProcessing" and (moment := _updated_before_sent(entry, reading, entity)):
        return Verdict(False, f"The run is canceled, but it was last updated at {moment}, before this action was sent.")
    return Verdict(True)


def _is_rival(entry: Entry, other: Entry) -> bool:
    """Return whether another entry may have had the effect of this one: a later one, or one with an unknown outcome. An
    entry with a known run has had its own effect."""
    if other.damage:
        return True
    if other.action != entry.action or other.number == entry.number or other.new_run:
        return False
    return not other.is_settled or (other.number > entry.number and other.outcome is Outcome.DONE)


def is_explained_by(entry: Entry, others: Collection[Entry]) -> bool:
    """Return whether other changes of the run may explain every value of this one: later ones, and earlier ones with an
    unknown outcome. A damaged entry may explain anything."""
    if any(other.damage for other in others):
        return True
    rivals = [
        other.after
        for other in others
        if (other.number > entry.number and other.outcome is not Outcome.NOT_DONE)
        or (other.number < entry.number and not other.is_settled)
    ]
    return all(any(has_value(after, name, value) for after in rivals) for name, value in entry.after.items())


def _objections(entry: Entry, reading: Answer, entity: Mapping[str, Any], others: Collection[Entry]) -> Iterator[str]:
    """Yield the reasons why a run may have the values of a change for another reason."""
    if has_values(entry.after, entry.before):
        yield "it had them before this change was sent"
    if is_explained_by(entry, others):
        yield "another change of yours may have set them"
    if moment := _updated_before_sent(entry, reading, entity):
        yield f"it was last updated at {moment}, before this change was sent: somebody else made the same change"
    for name, value in entry.sent.items():
        if name in entity.keys() & EDITABLE_BY_NAME and name not in entry.after and not has_value(entity, name, value):
            now, sent = json.dumps(entity[name]), json.dumps(value)
            yield f"{name} is {now}, where this change sent {sent}: something else changed the run too"


def _updated_before_sent(entry: Entry, reading: Answer, entity: Mapping[str, Any]) -> str:
    """Return the time of the run's last update if it is before the change was sent; else empty. If a service does not
    update `lastUpdatedDateTime` with a change, it says nothing."""
    before, updated = entry.before.get(UPDATED, NOT_RECEIVED), ticks_in(entity, UPDATED)
    ahead = reading.exchange.clock_ahead
    is_same = before is NOT_RECEIVED or UPDATED in entry.after or has_value(entity, UPDATED, before)
    if is_same or updated is None or ahead is None:
        return ""
    sent = ticks_of(entry.opened_at) + int(ahead * TICKS_PER_SECOND)
    return str(entity[UPDATED]) if updated + CLOCK_TOLERANCE < sent else ""
