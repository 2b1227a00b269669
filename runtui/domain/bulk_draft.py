"""One change to many runs: the values that they have in common, and the draft of each.

Invariant: what a person types stands in one model, a `Draft` over the common values. Each run gets a draft of its own
with those values over what it has itself; a run for which nothing would change gets none. Relative times are worked out
once, in the model, for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runtui.domain.draft import MISSING, Draft, Edit, value_word
from runtui.domain.properties import EDITABLE, Property
from runtui.domain.text import count_words
from runtui.domain.triage.service_actions import STATUS, USER_COUNTS, Operation, ServiceAction, consequences, why_not

TOLD_VALUES: Final = 3
"""Values of one property that are told with how many runs have them; the others are counted together."""

MOST_BY_KEY: Final = 20
"""Runs up to which one key confirms a change; above, their number has to be typed."""


class LeftOut(NamedTuple):
    """Why a run gets no draft."""

    counted: str
    """After a number of runs: "3 with these values already"."""
    sentence: str


SAME_ALREADY: Final = LeftOut("with these values already", "The run has these values already. Nothing was sent.")
IN_PROGRESS: Final = LeftOut("with a change in progress", "A change to this run is in progress. Nothing was sent.")
GONE: Final = LeftOut("no longer in the list", "There is no such run. Nothing was sent.")


class MarkedRun(NamedTuple):
    """A run that is to be changed with others, `received` as Graph's JSON object."""

    run_id: str
    workflow_id: str
    workflow_name: str
    received: Mapping[str, Any]


class BulkDraft(NamedTuple):
    """The drafts or actions of one bulk change, each of another run, and the runs that get none."""

    drafts: tuple[Operation, ...]
    left_out: Mapping[str, LeftOut]
    """By run id, why it gets none."""
    undoes: tuple[int | None, ...] = ()
    """For each draft the journal's number of the entry that it undoes; empty where none does."""
    doubts: tuple[str, ...] = ()
    """What speaks against sending it, besides the warnings of the drafts."""
    states: str = ""
    """The states of the runs of actions by count; empty for drafts."""
    notes: tuple[str, ...] = ()
    """What follows from actions, in sentences; empty for drafts."""

    @property
    def action(self) -> ServiceAction | None:
        """The action for the first run; None where properties are changed."""
        first = self.drafts[0] if self.drafts else None
        return first if isinstance(first, ServiceAction) else None

    def changes(self) -> Iterator[tuple[str, str, str]]:
        """Each property that changes, or the action: its name, and the values before and after by count."""
        if self.action is not None:
            yield STATUS, self.states, self.action.words
        before: dict[str, Counter[str]] = {}
        after: dict[str, Counter[str]] = {}
        for draft in self.drafts:
            for change in draft.changes():
                before.setdefault(change.field.name, Counter())[value_word(change.before)] += 1
                after.setdefault(change.field.name, Counter())[value_word(change.after)] += 1
        for field in EDITABLE:
            if field.name in before:
                new = after[field.name]
                yield field.name, by_count(before[field.name]), next(iter(new)) if len(new) == 1 else by_count(new)

    def warnings(self) -> Iterator[str]:
        """What informs and never blocks, each sentence once, with how many runs it is about unless it is all."""
        found = Counter(sentence for draft in self.drafts for sentence in draft.warnings())
        for sentence, count in found.items():
            yield sentence if count == len(self.drafts) else f"{sentence} ({count_words(count, 'run')})"

    def left_out_words(self) -> str:
        """How many runs are left out, and why; empty when none is."""
        found = Counter(why.counted for why in self.left_out.values())
        return ", ".join(f"{count} {why}" for why, count in sorted(found.items()))


def common_values(runs: Collection[MarkedRun]) -> dict[str, Any]:
    """The properties that can be written and have one value in all runs, with that value."""
    values: dict[str, Any] = {}
    for field in EDITABLE:
        found = _values(runs, field)
        if MISSING not in found and all(field.same(found[0], value) for value in found[1:]):
            values[field.name] = found[0]
    return values


def mixed_values(runs: Collection[MarkedRun]) -> dict[str, str]:
    """The properties that have several values, with those by count: "7 failed, 2 inProgress"."""
    common = common_values(runs)
    mixed: dict[str, str] = {}
    for field in EDITABLE:
        if field.name not in common:
            found = Counter(value_word(value) for value in _values(runs, field))
            if len(found) > 1 or MISSING not in _values(runs, field):
                mixed[field.name] = by_count(found)
    return mixed


def model_of(runs: Collection[MarkedRun], edits: Mapping[str, Edit]) -> Draft:
    """The draft that stands for all runs, with what was typed before; what has come true for all is dropped."""
    return Draft("", "", {}, "changed", MappingProxyType(dict(edits))).rebased(common_values(runs))


def drafts_of(model: Draft, runs: Sequence[MarkedRun], busy: Collection[str], gone: Collection[str] = ()) -> BulkDraft:
    """The change that a model (typed, without errors) would make to some runs, of which some have a change in progress
    (`busy`), and some are not listed any more (`gone`).
    """
    values = {name: edit.value for name, edit in model.edits.items()}
    drafts = (Draft(run.run_id, run.workflow_id, run.received, "changed").with_values(values) for run in runs)
    return bulk_of({**dict.fromkeys(gone), **{draft.run_id: draft for draft in drafts}}, busy)


def bulk_of(drafts: Mapping[str, Draft | None], busy: Collection[str]) -> BulkDraft:
    """The change of some runs by id, each with its draft; None for one that is not listed any more. `busy` are the ids
    of those with a change in progress."""
    kept: list[Draft] = []
    left_out: dict[str, LeftOut] = {}
    for run_id in _once(drafts):
        draft = drafts[run_id]
        if draft is None:
            left_out[run_id] = GONE
        elif run_id in busy:
            left_out[run_id] = IN_PROGRESS
        elif not draft.changes():
            left_out[run_id] = SAME_ALREADY
        else:
            kept.append(draft)
    return BulkDraft(tuple(kept), left_out)


def actions_of(
    make: Callable[[str, str], ServiceAction],
    runs: Sequence[MarkedRun],
    busy: Collection[str],
    gone: Collection[str] = (),
) -> BulkDraft:
    """An action on each of some runs that it can help; `make` makes it, from the id of the workflow and the id of the
    run. Some runs have a change in progress (`busy`), some were marked and are not listed any more (`gone`).
    """
    actions: list[ServiceAction] = []
    states: Counter[str] = Counter()
    users: Counter[str] = Counter()
    left_out = dict.fromkeys(gone, GONE)
    listed = {run.run_id: run for run in runs}
    for run in map(listed.__getitem__, _once(listed)):
        action = make(run.workflow_id, run.run_id)
        state = value_word(run.received.get(STATUS, MISSING))
        if run.run_id in busy:
            left_out[run.run_id] = IN_PROGRESS
        elif why := why_not(action, run.received):
            nobody = " without a failed user" if run.received.get("failedUsersCount") == 0 else ""
            left_out[run.run_id] = LeftOut(f"{state}{nobody}", f"{why} Nothing was sent.")
        else:
            actions.append(action)
            states[state] += 1
            users.update({name: count for name in USER_COUNTS if isinstance(count := run.received.get(name), int)})
    notes = tuple(consequences(actions[0], users)) if actions else ()
    return BulkDraft(tuple(actions), left_out, states=by_count(states), notes=notes)


def by_count(values: Counter[str]) -> str:
    """Values with how often each is there, the commonest first."""
    told = [f"{count} {value or 'empty'}" for value, count in values.most_common(TOLD_VALUES)]
    others = len(values) - TOLD_VALUES
    if others > 0:
        left = values.total() - sum(count for _, count in values.most_common(TOLD_VALUES))
        told.append(f"{left} with {count_words(others, 'other value')}")
    return ", ".join(told)


def _once(run_ids: Iterable[str]) -> Iterable[str]:
    """Each run once: a server may list one in several spellings of its id, whose case says nothing."""
    first: dict[str, str] = {}
    for run_id in run_ids:
        first.setdefault(run_id.lower(), run_id)
    return first.values()


def _values(runs: Collection[MarkedRun], field: Property) -> list[Any]:
    return [run.received.get(field.name, MISSING) for run in runs]
