"""A draft and the run as it is by now, put together property by property.

Invariant: the merged draft stands over the run as it is now and no longer conflicts with it. A value goes over byte for
byte, and a property that is not in conflict keeps its edit, text in error included.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from runtui.domain.draft import MISSING, Draft, Edit, same_value
from runtui.domain.fields import FIELDS

Choice = Literal["ours", "theirs"]
"""ours: the value of the draft, typed or as opened. theirs: the value that the run has now."""

OTHER: Final[Mapping[Choice, Choice]] = {"ours": "theirs", "theirs": "ours"}


def default_choices(draft: Draft, now: Mapping[str, Any]) -> dict[str, Choice]:
    """One choice for each property in conflict: what a person typed is ours, what nobody touched is theirs."""
    return {
        conflict.field.name: "ours" if conflict.field.name in draft.edits else "theirs"
        for conflict in draft.conflicts(now)
    }


def caught_up(draft: Draft, now: Mapping[str, Any]) -> Draft:
    """The draft over the run as it is now, but for what a person typed and somebody else wrote meanwhile.

    Those properties stay as opened, so that `Draft.conflicts` has their three values until a person chooses. Where
    nothing moved, the result is the draft itself.
    """
    disputed = {
        conflict.field.name: conflict.opened for conflict in draft.conflicts(now) if conflict.field.name in draft.edits
    }
    received = {name: value for name, value in {**now, **disputed}.items() if value is not MISSING}
    if all(_is_as_opened(field.name, draft, received) for field in FIELDS):
        return draft
    return draft.rebased(received)


def _is_as_opened(name: str, draft: Draft, received: Mapping[str, Any]) -> bool:
    return (name in received) == (name in draft.received) and same_value(received.get(name), draft.received.get(name))


def resolve(draft: Draft, now: Mapping[str, Any], choices: Mapping[str, Choice]) -> Draft:
    """The draft over the run as it is now.

    Args:
        draft: The run as opened, and the edits.
        now: The run as it is, Graph's JSON object.
        choices: By property in conflict; one that is left out takes its default.
    """
    chosen = default_choices(draft, now) | dict(choices)
    edits = dict(draft.rebased(now).edits)
    for conflict in draft.conflicts(now):
        field = conflict.field
        if chosen[field.name] == "theirs":
            edits.pop(field.name, None)
        elif field.name not in draft.edits:
            # Nobody typed it, so it is the value as opened: writing it takes back what happened meanwhile.
            value = draft.received[field.name]
            edits[field.name] = Edit(field.text(value), value)
    return Draft(draft.run_id, draft.workflow_id, now, draft.mode, MappingProxyType(edits))
