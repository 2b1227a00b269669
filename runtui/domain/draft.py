"""A draft: one run as it was opened and what a person typed over it; merged with the run as it is now.

Invariant: a draft never changes; an edit makes a new one. Text that is no value stays in the draft with its error, so
nothing typed is lost. A property nobody touched goes into the body exactly as received. A merged draft stands over the
run as it is now and no longer conflicts with it; a property that is not in conflict keeps its edit, errors included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from runtui.domain.properties import EDITABLE, EDITABLE_BY_NAME, SENTINEL, Property, same_value
from runtui.domain.text import count_words
from runtui.errors import FieldError
from runtui.redact import MARK

RUN_TYPE: Final = "#microsoft.graph.identityGovernance.run"
"""The `@odata.type` that the API page's example sends."""

BodyMode = Literal["full", "changed"]
"""full: `@odata.type`, every Required property and the optional ones that changed. changed: only what changed."""

Side = Literal["ours", "theirs"]
"""ours: the value of the draft, typed or as opened. theirs: the value that the run has now."""

OTHER: Final[Mapping[Side, Side]] = {"ours": "theirs", "theirs": "ours"}


class Missing:
    """The value of a property that was not received (null is a value; this is none)."""

    def __repr__(self) -> str:
        return "(not received)"


MISSING: Final = Missing()


class Edit(NamedTuple):
    """What was typed into one field, and the value it stands for, or why it stands for none."""

    text: str
    value: str | int | None = None
    error: str | None = None


class Change(NamedTuple):
    """One property that would be written with another value than the one received."""

    field: Property
    before: object
    after: str | int | None


class Conflict(NamedTuple):
    """One property that moved on the server after the run was opened: the three values."""

    field: Property
    opened: object
    now: object
    ours: object


class Draft(NamedTuple):
    """A run as opened (`received`, Graph's JSON object) and the edits over it."""

    run_id: str
    workflow_id: str
    received: Mapping[str, Any]
    mode: BodyMode = "full"
    edits: Mapping[str, Edit] = MappingProxyType({})

    def typed(self, name: str, text: str, now: int) -> Draft:
        """The draft after `text` was typed into a field; `now` (ticks) is what "-2h" counts from.

        Text that stands for the value as received takes the edit back.
        """
        item = EDITABLE_BY_NAME[name]
        edits = dict(self.edits)
        edits.pop(name, None)
        if text != self.received_text(item):
            try:
                edit = Edit(text, item.parse(text, now))
            except FieldError as error:
                edit = Edit(text, error=str(error))
            if edit.error is not None or not same_value(edit.value, self.received.get(name)):
                edits[name] = edit
        return self._replace(edits=MappingProxyType(edits))

    def with_values(self, values: Mapping[str, str | int | None]) -> Draft:
        """The draft with exactly these JSON values in some fields; one that was received takes an edit back."""
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
        """Field name -> the sentence that says why its text is no value."""
        return {name: edit.error for name, edit in self.edits.items() if edit.error is not None}

    def changes(self) -> tuple[Change, ...]:
        """What would be written anew, in the order of the form; fields in error are not among them."""
        return tuple(
            Change(item, self.received.get(item.name, MISSING), edit.value)
            for item in EDITABLE
            if (edit := self.edits.get(item.name)) is not None and edit.error is None
        )

    def body(self) -> dict[str, Any]:
        """The JSON object to send: untouched values as received, null to clear; a field in error is not in it."""
        changed = {change.field.name: change.after for change in self.changes()}
        values: dict[str, Any] = {"@odata.type": RUN_TYPE}
        for item in EDITABLE:
            if item.name in changed:
                values[item.name] = changed[item.name]
            elif self.mode == "full" and item.required and item.name in self.received and item.name not in self.edits:
                values[item.name] = self.received[item.name]
        return values

    def unchanged_words(self) -> str:
        """What the body has beside the changes, counted; empty where that is nothing."""
        unchanged = len(self.body()) - 1 - len(self.changes())
        words = count_words(unchanged, "unchanged required property", "unchanged required properties")
        return words if unchanged else ""

    def body_text(self) -> str:
        """The body as the bytes that are shown and sent: indented, ASCII (anything else as \\u escapes)."""
        return json.dumps(self.body(), indent=2)

    def conflicts(self, fresh: Mapping[str, Any]) -> tuple[Conflict, ...]:
        """The properties in the body that moved on the server since the run was opened, to a value that is not ours.

        One that `fresh` lacks is not among them: an answer that leaves a property out says nothing of it. One in which
        a secret is hidden cannot be compared; it goes back as it is on the server.
        """
        body = self.body()
        return tuple(
            Conflict(item, self.received.get(item.name, MISSING), fresh[item.name], body[item.name])
            for item in EDITABLE
            if item.name in body
            and item.name in fresh
            and not _hides(body[item.name])
            and not item.same(self.received.get(item.name), fresh.get(item.name))
            and not item.same(body[item.name], fresh.get(item.name))
        )

    def lacking(self, fresh: Mapping[str, Any]) -> tuple[str, ...]:
        """The changed properties that were received when the run was opened and that `fresh` lacks: nobody can tell
        whether they moved."""
        names = (change.field.name for change in self.changes())
        return tuple(name for name in names if name in self.received and name not in fresh)

    def rebased(self, fresh: Mapping[str, Any]) -> Draft:
        """The same edits over the run as it is now; an edit to the very value that it has by now is dropped."""
        edits = {
            name: edit
            for name, edit in self.edits.items()
            if edit.error is not None or not same_value(edit.value, fresh.get(name))
        }
        return self._replace(received=fresh, edits=MappingProxyType(edits))

    def revealed(self, received: Mapping[str, Any]) -> Draft:
        """The draft with the true value where a secret is hidden in one, for sending it back, or without it where that
        is not known; `received` is the run as it is now, with nothing hidden."""
        hidden = {name for name, value in self.received.items() if _hides(value)}
        kept = {name: value for name, value in self.received.items() if name not in hidden}
        return self._replace(received={**kept, **{name: received[name] for name in hidden.intersection(received)}})

    def warnings(self) -> tuple[str, ...]:
        """Sentences that inform and never block: real counters need not add up."""
        body = self.body()
        values = {item.name: body.get(item.name, self.received.get(item.name)) for item in EDITABLE}
        changed = frozenset(change.field.name for change in self.changes())
        return (
            *_untouched(self, body),
            *_sentinels(body),
            *_report_only(values, changed),
            *_contradictions(values, changed),
        )


def value_word(value: object) -> str:
    """A JSON value for people: a string as it is, anything else as JSON, a missing one as "(not received)"."""
    if isinstance(value, str | Missing):
        return str(value)
    return json.dumps(value)


def _hides(value: object) -> bool:
    return isinstance(value, str) and MARK in value


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


def _report_only(values: Mapping[str, Any], changed: AbstractSet[str]) -> Iterator[str]:
    if "processingStatus" in changed and values["processingStatus"] in {"canceled", "canceling"}:
        yield "To stop a run, the service offers cancelProcessing on the workflow."


def _contradictions(values: Mapping[str, Any], changed: AbstractSet[str]) -> Iterator[str]:
    """What the changed values say against each other, where all of them are known."""

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
    if all(same_value(received.get(item.name, MISSING), draft.received.get(item.name, MISSING)) for item in EDITABLE):
        return draft
    return draft.rebased(received)


def resolve(draft: Draft, now: Mapping[str, Any], choices: Mapping[str, Side]) -> Draft:
    """The draft over the run as it is now; a property in conflict without a choice takes its default."""
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
