"""A draft: a run as opened plus a person's edits, and its merge with the current run.

Invariant: a draft is immutable; an edit returns a new one. Invalid text stays in the draft with its error, so nothing
typed is lost. An unedited property goes into the body exactly as received. A merged draft is based on the current run
and has no conflict with it; a property without a conflict keeps its edit, also an invalid one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from runtui.domain.properties import EDITABLE, EDITABLE_BY_NAME, SENTINEL, Property, same_value
from runtui.domain.rows import status_look
from runtui.errors import FieldError
from runtui.redact import REDACTED

RUN_TYPE: Final = "#microsoft.graph.identityGovernance.run"
"""The `@odata.type` in the example of Graph's API page."""

BodyMode = Literal["full", "changed"]
"""full: every Required property and the changed optional ones. changed: only the changed ones. Both: `@odata.type`."""

Side = Literal["ours", "theirs"]
"""ours: the value of the draft, typed or as opened. theirs: the current value of the run."""

OTHER: Final[Mapping[Side, Side]] = {"ours": "theirs", "theirs": "ours"}


class NotReceived:
    """Stands for a property that was not received, unlike null, which is a value."""

    def __repr__(self) -> str:
        return "(not received)"


NOT_RECEIVED: Final = NotReceived()


class Edit(NamedTuple):
    """The text typed into one field, and its JSON value or the error of an invalid text."""

    text: str
    value: str | int | None = None
    error: str | None = None


class Change(NamedTuple):
    """One property that would be written with a new value."""

    field: Property
    before: object
    after: str | int | None


class Conflict(NamedTuple):
    """One property that changed on the server after the run was opened, with its three values."""

    field: Property
    opened: object
    now: object
    ours: object


class Draft(NamedTuple):
    """A run as opened (`received`, Graph's JSON object) and the edits to it, by property name."""

    run_id: str
    workflow_id: str
    received: Mapping[str, Any]
    mode: BodyMode = "full"
    edits: Mapping[str, Edit] = MappingProxyType({})
    undoes: int | None = None
    """The number of the journal entry that it undoes; None for a change of its own."""

    def typed(self, name: str, text: str, now: int) -> Draft:
        """Return the draft after `text` was typed into a field. Times such as "-2h" count from `now` (ticks).

        Text that means the received value removes the edit. Where the runs of a bulk change differ, nothing is
        received: an empty text leaves each its own value there, and `CLEARS` clears it in all.
        """
        item = EDITABLE_BY_NAME[name]
        edits = dict(self.edits)
        edits.pop(name, None)
        if (text if text.strip() else "") != self.received_text(item):
            try:
                edit = Edit(text, item.parse(text, now))
            except FieldError as error:
                edit = Edit(text, error=str(error))
            if edit.error is not None or not same_value(edit.value, self.received.get(name, NOT_RECEIVED)):
                edits[name] = edit
        return self._replace(edits=MappingProxyType(edits))

    def with_values(self, values: Mapping[str, str | int | None]) -> Draft:
        """Return the draft with these JSON values in its fields; a value equal to the received one removes an edit."""
        edits = {name: edit for name, edit in self.edits.items() if name not in values}
        for name, value in values.items():
            if not same_value(value, self.received.get(name)):
                edits[name] = Edit(EDITABLE_BY_NAME[name].text(value), value)
        return self._replace(edits=MappingProxyType(edits))

    def reverted(self, name: str) -> Draft:
        return self._replace(edits=MappingProxyType({k: v for k, v in self.edits.items() if k != name}))

    def received_text(self, item: Property) -> str:
        return item.text(self.received.get(item.name))

    def text(self, item: Property) -> str:
        edit = self.edits.get(item.name)
        return self.received_text(item) if edit is None else edit.text

    def errors(self) -> dict[str, str]:
        """Return the error of each invalid field, by property name."""
        return {name: edit.error for name, edit in self.edits.items() if edit.error is not None}

    def changes(self) -> tuple[Change, ...]:
        """Return the changes in the order of the form, without invalid fields."""
        return tuple(
            Change(item, self.received.get(item.name, NOT_RECEIVED), edit.value)
            for item in EDITABLE
            if (edit := self.edits.get(item.name)) is not None and edit.error is None
        )

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send: unedited values as received, null to clear, nothing for an invalid field."""
        changed = {change.field.name: change.after for change in self.changes()}
        values: dict[str, Any] = {"@odata.type": RUN_TYPE}
        for item in EDITABLE:
            if item.name in changed:
                values[item.name] = changed[item.name]
            elif self.mode == "full" and item.required and item.name in self.received and item.name not in self.edits:
                values[item.name] = self.received[item.name]
        return values

    def body_text(self) -> str:
        """Return the body exactly as shown and sent: indented ASCII (other characters as \\u escapes)."""
        return json.dumps(self.body(), indent=2)

    def conflicts(self, fresh: Mapping[str, Any]) -> tuple[Conflict, ...]:
        """Return the properties in the body that changed on the server to a value other than ours.

        A property missing from `fresh` is left out, since nothing is known of it. So is one with a hidden secret, which
        cannot be compared; it is sent back as it is on the server.
        """
        body = self.body()
        return tuple(
            Conflict(item, self.received.get(item.name, NOT_RECEIVED), fresh[item.name], body[item.name])
            for item in EDITABLE
            if item.name in body
            and item.name in fresh
            and not _hides(body[item.name])
            and not item.same(self.received.get(item.name), fresh.get(item.name))
            and not item.same(body[item.name], fresh.get(item.name))
        )

    def missing_from(self, fresh: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the changed properties that are missing from `fresh` now: a conflict in them cannot be ruled out."""
        names = (change.field.name for change in self.changes())
        return tuple(name for name in names if name in self.received and name not in fresh)

    def rebased(self, fresh: Mapping[str, Any]) -> Draft:
        """Return the draft with the same edits on the current run `fresh`, without edits that are already true."""
        edits = {
            name: edit
            for name, edit in self.edits.items()
            if edit.error is not None or not same_value(edit.value, fresh.get(name, NOT_RECEIVED))
        }
        return self._replace(received=fresh, edits=MappingProxyType(edits))

    def revealed(self, received: Mapping[str, Any]) -> Draft:
        """Return the draft with hidden secrets replaced by the values in `received`, the current run with nothing
        hidden. A property missing there is left out."""
        hidden = {name for name, value in self.received.items() if _hides(value)}
        kept = {name: value for name, value in self.received.items() if name not in hidden}
        return self._replace(received={**kept, **{name: received[name] for name in hidden.intersection(received)}})

    def warnings(self) -> tuple[str, ...]:
        """Return sentences that inform but never block: even real counters need not add up."""
        body = self.body()
        values = {item.name: body.get(item.name, self.received.get(item.name)) for item in EDITABLE}
        changed = frozenset(change.field.name for change in self.changes())
        return (
            *_untouched(self, body),
            *_sentinels(body),
            *_report_only(self, body),
            *_contradictions(values, changed),
        )


def value_word(value: object) -> str:
    """Return a JSON value for people: a string as it is, NOT_RECEIVED as "(not received)", anything else as JSON."""
    if isinstance(value, str | NotReceived) or type(value) is int:  # most are, and JSON takes five times as long
        return str(value)
    return json.dumps(value)


def _hides(value: object) -> bool:
    return isinstance(value, str) and REDACTED in value


def _untouched(draft: Draft, body: Mapping[str, Any]) -> Iterator[str]:
    for item in EDITABLE:
        if item.name in draft.edits:
            continue
        if item.name in body:
            if sentence := item.problem(body[item.name]):
                yield f"{item.name} goes back as received, but a service may refuse it: {sentence}"
        elif draft.mode == "full" and item.required:
            yield f"{item.name} was not received, so it is left out, though the service calls it required."


def _sentinels(body: Mapping[str, Any]) -> Iterator[str]:
    for item in EDITABLE:
        if item.choices is not None and body.get(item.name) == SENTINEL:
            yield f"{SENTINEL} is a placeholder: services refuse it as a value of {item.name}."


def _report_only(draft: Draft, body: Mapping[str, Any]) -> Iterator[str]:
    was, status = (str(values.get("processingStatus")) for values in (draft.received, body))
    if status != was and status in {"canceled", "canceling"} and not status_look(was).has_ended:
        yield "To stop a run, the service offers cancelProcessing on the workflow."


def _contradictions(values: Mapping[str, Any], changed: AbstractSet[str]) -> Iterator[str]:
    """Yield a sentence for each contradiction among known values of which at least one changed."""

    def known(*names: str) -> list[int]:
        numbers = [found for name in names if isinstance(found := EDITABLE_BY_NAME[name].read(values), int)]
        return numbers if len(numbers) == len(names) and not changed.isdisjoint(names) else []

    times = known("startedDateTime", "completedDateTime")
    if times and times[1] < times[0]:
        yield "The run would be completed before it started."
    users = known("totalUsersCount", "successfulUsersCount", "failedUsersCount")
    if users and users[1] + users[2] > users[0]:
        total, good, bad = users
        yield f"{good} successful and {bad} failed users are more than the total of {total}."


def default_choices(draft: Draft, now: Mapping[str, Any]) -> dict[str, Side]:
    """Return the default side of each conflict: ours for a property that a person edited, else theirs."""
    return {
        conflict.field.name: "ours" if conflict.field.name in draft.edits else "theirs"
        for conflict in draft.conflicts(now)
    }


def caught_up(draft: Draft, now: Mapping[str, Any]) -> Draft:
    """Return the draft based on the current run `now`, except for edited properties that someone else changed too.

    Those keep the value as opened, so that `Draft.conflicts` has their three values until a person chooses. If no
    editable property changed, return the draft itself.
    """
    disputed = {
        conflict.field.name: conflict.opened for conflict in draft.conflicts(now) if conflict.field.name in draft.edits
    }
    received = {name: value for name, value in {**now, **disputed}.items() if value is not NOT_RECEIVED}
    both = [[values.get(item.name, NOT_RECEIVED) for values in (received, draft.received)] for item in EDITABLE]
    if all(same_value(*values) for values in both):
        return draft
    return draft.rebased(received)


def resolve(draft: Draft, now: Mapping[str, Any], choices: Mapping[str, Side]) -> Draft:
    """Return the draft based on the current run `now`. A conflict without a choice takes its default side."""
    chosen = default_choices(draft, now) | dict(choices)
    edits = dict(draft.rebased(now).edits)
    for conflict in draft.conflicts(now):
        field = conflict.field
        if chosen[field.name] == "theirs":
            edits.pop(field.name, None)
        elif field.name not in draft.edits:
            # Nobody edited it, so ours is the value as opened: writing it reverts the change on the server.
            value = draft.received[field.name]
            edits[field.name] = Edit(field.text(value), value)
    return draft._replace(received=now, edits=MappingProxyType(edits))
