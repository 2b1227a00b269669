"""What a run, read back after a change was sent, proves of that change.

Invariant: it proves that a change was applied, or nothing. A run without the values may still get them, and values that
were there before, or that another change of ours may have brought, are no proof.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from runtui.domain.draft import MISSING
from runtui.domain.fields import FIELD_BY_NAME
from runtui.graph.exchange import Outcome

if TYPE_CHECKING:
    from runtui.services.journal import Entry, Intent


def shows(values: Mapping[str, Any], entity: Mapping[str, Any]) -> bool:
    """Whether a run holds exactly these values of its editable properties; of others it is not known."""
    return all(
        (field := FIELD_BY_NAME.get(name)) is not None and field.same(value, entity.get(name))
        for name, value in values.items()
    )


def proves(entity: Mapping[str, Any], intent: Intent) -> bool:
    """Whether a run holds all that a change was to write, and did not hold it when the change was sent."""
    return shows(intent.after, entity) and not shows(intent.after, intent.before)


def is_explained_by(entry: Entry, others: Collection[Entry]) -> bool:
    """Whether other changes of the run may have brought every value of this one: later ones, and earlier ones whose
    outcome is not known either. A damaged one may have brought anything."""
    if any(other.damage for other in others):
        return True
    rivals = [
        other.after
        for other in others
        if (other.number > entry.number and other.outcome is not Outcome.NOT_DONE)
        or (other.number < entry.number and not other.is_settled)
    ]
    return all(any(after.get(name, MISSING) == value for after in rivals) for name, value in entry.after.items())
