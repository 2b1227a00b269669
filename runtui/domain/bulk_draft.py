"""One change to many runs: their common values, and a draft for each run.

Invariant: a person edits one model, a `Draft` over the common values. Each run gets its own draft: the model over the
run's own values; a run that would not change gets none. Relative times are resolved once, in the model, for all. So a
bulk change writes the same value to every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from runtui.domain.draft import NOT_RECEIVED, Draft, value_word
from runtui.domain.properties import EDITABLE, Property
from runtui.domain.rows import StoredRun
from runtui.domain.text import count_words
from runtui.domain.triage.service_actions import STATUS, USER_COUNTS, Operation, ServiceAction, consequences, why_not

SHOWN_VALUES: Final = 3
"""The most values of one property that are listed with their number of runs; the rest are counted together."""

MAX_BY_KEY: Final = 20
"""The most runs whose change one key confirms; for more, the person must type their number."""


class LeftOut(NamedTuple):
    """Why a run gets no draft."""

    counted: str
    """The reason after a number of runs: "3 with these values already"."""
    sentence: str


UNCHANGED: Final = LeftOut("with these values already", "The run has these values already. Nothing was sent.")
IN_PROGRESS: Final = LeftOut("with a change in progress", "A change to this run is in progress. Nothing was sent.")
GONE: Final = LeftOut("no longer in the list", "There is no such run. Nothing was sent.")


class BulkDraft(NamedTuple):
    """The drafts or actions of one change, one for each run, and the runs without one."""

    drafts: tuple[Operation, ...]
    left_out: Mapping[str, LeftOut]
    """The reason for each run without a draft, by run id."""
    doubts: tuple[str, ...] = ()
    """Reasons against sending it, besides the warnings of the drafts."""
    states: str = ""
    """The states of the runs by count, such as "7 failed, 2 inProgress"; empty unless these are actions on many."""
    notes: tuple[str, ...] = ()
    """The consequences of the actions, in sentences; empty for drafts."""
    is_one: bool = False
    """True if it is about one run, chosen by itself."""

    @property
    def one(self) -> Operation | None:
        """What is sent to the one run; None if it is about many, or nothing is sent."""
        return self.drafts[0] if self.is_one and self.drafts else None

    def request_fact(self, first: str) -> tuple[str, str]:
        """Return the fact about its requests for a review, as a pair of name and value."""
        return ("request", first) if self.is_one else ("requests", f"{len(self.drafts)}, the first: {first}")

    @property
    def action(self) -> ServiceAction | None:
        """The action on the first run; None if properties are changed."""
        first = self.drafts[0] if self.drafts else None
        return first if isinstance(first, ServiceAction) else None

    def changes(self) -> Iterator[tuple[str, str, str]]:
        """Yield each changed property, or the action on many: its name, and its values before and after, by count."""
        if self.action is not None and self.states:
            yield STATUS, self.states, self.action.words
        before: dict[str, Counter[str]] = {}
        after: dict[str, Counter[str]] = {}
        for draft in self.drafts:
            for change in draft.changes():
                before.setdefault(change.field.name, Counter())[value_word(change.before)] += 1
                after.setdefault(change.field.name, Counter())[value_word(change.after)] += 1
        for field in EDITABLE:
            if field.name in before:
                was, new = before[field.name], after[field.name]
                old_words = by_count(was) if len(self.drafts) > 1 else next(iter(was))
                yield field.name, old_words, by_count(new) if len(new) > 1 else next(iter(new))

    def warnings(self) -> Iterator[str]:
        """Yield each warning of the drafts once, with its number of runs unless it concerns all of them."""
        found = Counter(sentence for draft in self.drafts for sentence in draft.warnings())
        for sentence, count in found.items():
            yield sentence if count == len(self.drafts) else f"{sentence} ({count_words(count, 'run')})"

    def also_sent(self) -> str:
        """Return how many unchanged properties are sent too, in words; empty if none."""
        counts = {len(draft.body()) - 1 - len(draft.changes()) for draft in self.drafts if isinstance(draft, Draft)}
        most, whose = max(counts, default=0), "" if self.is_one else ", each run its own"
        words = count_words(most, "unchanged required property", "unchanged required properties")
        return f"Also sends {'up to ' if len(counts) > 1 else ''}{words}{whose}" if most else ""

    def left_out_words(self) -> str:
        """Return how many runs are left out, and why; empty if none."""
        found = Counter(why.counted for why in self.left_out.values())
        return ", ".join(f"{count} {why}" for why, count in sorted(found.items()))


def common_values(runs: Collection[StoredRun]) -> dict[str, Any]:
    """Return the editable properties that have the same value in all runs, with that value."""
    values: dict[str, Any] = {}
    for field in EDITABLE:
        found = _values(runs, field)
        if NOT_RECEIVED not in found and all(field.same(found[0], value) for value in found[1:]):
            values[field.name] = found[0]
    return values


def mixed_values(runs: Collection[StoredRun]) -> dict[str, str]:
    """Return the editable properties with several values, each with its values by count: "7 failed, 2 inProgress"."""
    common = common_values(runs)
    mixed: dict[str, str] = {}
    for field in EDITABLE:
        if field.name not in common:
            found = Counter(value_word(value) for value in _values(runs, field))
            if len(found) > 1 or NOT_RECEIVED not in _values(runs, field):
                mixed[field.name] = by_count(found)
    return mixed


def drafts_of(model: Draft, runs: Sequence[StoredRun], busy: Collection[str], gone: Collection[str] = ()) -> BulkDraft:
    """Return the bulk change that a model without invalid fields makes to `runs`. `busy` are the ids of runs with a
    change in progress, `gone` of marked runs that are no longer listed.
    """
    drafts = (model._replace(run_id=run.run_id, workflow_id=run.workflow_id).rebased(run.raw) for run in runs)
    return bulk_of({**dict.fromkeys(gone, GONE), **{draft.run_id: draft for draft in drafts}}, busy)


def bulk_of(found: Mapping[str, Operation | LeftOut], busy: Collection[str] = ()) -> BulkDraft:
    """Return the bulk change for drafts or actions by run id, or why a run gets none. `busy` are ids of runs being
    changed."""
    kept: list[Operation] = []
    left_out: dict[str, LeftOut] = {}
    for run_id in _once(found):
        operation = found[run_id]
        if run_id in busy:
            left_out[run_id] = IN_PROGRESS
        elif isinstance(operation, LeftOut):
            left_out[run_id] = operation
        elif isinstance(operation, Draft) and not operation.changes():
            left_out[run_id] = UNCHANGED
        else:
            kept.append(operation)
    return BulkDraft(tuple(kept), left_out)


def actions_of(
    make: Callable[[str, str], ServiceAction],
    runs: Sequence[StoredRun],
    busy: Collection[str],
    gone: Collection[str] = (),
) -> BulkDraft:
    """Return the bulk change with an action on each run that it can help. `make` returns the action for a workflow id
    and a run id. `busy` and `gone` are as in `drafts_of`.
    """
    listed = {run.run_id: run.raw for run in runs}
    found = {run.run_id: _action_or_why(make(run.workflow_id, run.run_id), run.raw) for run in runs}
    bulk = bulk_of({**dict.fromkeys(gone, GONE), **found}, busy)
    changed = [listed[action.run_id] for action in bulk.drafts]
    users: Counter[str] = Counter()
    for run in changed:
        users.update({name: count for name in USER_COUNTS if isinstance(count := run.get(name), int)})
    notes = tuple(consequences(bulk.action, users)) if bulk.action is not None else ()
    return bulk._replace(states=by_count(Counter(map(_state, changed))), notes=notes)


def _action_or_why(action: ServiceAction, run: Mapping[str, Any]) -> ServiceAction | LeftOut:
    """Return an action, or why it cannot help a run."""
    if not (why := why_not(action, run)):
        return action
    nobody = " without a failed user" if run.get("failedUsersCount") == 0 else ""
    return LeftOut(f"{_state(run)}{nobody}", f"{why} Nothing was sent.")


def _state(run: Mapping[str, Any]) -> str:
    return value_word(run.get(STATUS, NOT_RECEIVED))


def by_count(values: Counter[str], noun: str = "value") -> str:
    """Return values with their counts, the most common first: "7 failed, 2 inProgress"."""
    named = len(values) if len(values) == SHOWN_VALUES + 1 else SHOWN_VALUES  # a single other one is named too
    found = values.most_common()
    shown = [f"{count} {value or 'empty'}" for value, count in found[:named]]
    if others := found[named:]:
        shown.append(f"{sum(count for _, count in others)} with {count_words(len(others), f'other {noun}')}")
    return ", ".join(shown)


def _once(run_ids: Iterable[str]) -> Iterable[str]:
    """Return each id once: a server may list a run under several spellings that differ only in case."""
    first: dict[str, str] = {}
    for run_id in run_ids:
        first.setdefault(run_id.lower(), run_id)
    return first.values()


def _values(runs: Collection[StoredRun], field: Property) -> list[Any]:
    return [run.raw.get(field.name, NOT_RECEIVED) for run in runs]
