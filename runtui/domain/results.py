"""The results of a run for its subjects: Graph's `userProcessingResult` and `taskProcessingResult`.

Invariant: any JSON object makes a result without an error; a value that is missing or of another type counts as absent.
Two failures have one cause if the same task gives the same reason, apart from names, ids and numbers (`fold_reason`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2s
from typing import Any, Final, NamedTuple

from runtui.domain.triage.received import ReceivedProperty, number_in, object_in, objects_in, text_in, ticks_in, type_in

NO_REASON: Final = "no reason given"

_EXTENSION: Final = "customTaskExtensionID"
"""The argument of the task "Run a Custom Task Extension" that holds the extension's id."""


class _Result:
    """A result as received, with the user's name from another source, if any: another result, or the directory.

    `subject` holds a user; `workflowSubject` holds any other object, of a type derived from
    `microsoft.graph.identityGovernance.workflowSubject`.
    """

    __slots__ = ("_known_name", "_known_upn", "received")

    def __init__(self, received: Mapping[str, Any], known_name: str = "", known_upn: str = "") -> None:
        self.received = received
        self._known_name = known_name
        self._known_upn = known_upn

    id = ReceivedProperty(text_in, "id")
    status = ReceivedProperty(text_in, "processingStatus")
    started = ReceivedProperty(ticks_in, "startedDateTime")
    """In ticks, like all times here."""
    completed = ReceivedProperty(ticks_in, "completedDateTime")

    @property
    def took(self) -> int | None:
        return None if self.started is None or self.completed is None else self.completed - self.started

    @property
    def subject_id(self) -> str:
        return text_in(_subject(self.received), "id")

    @property
    def is_about_user(self) -> bool:
        """True if the subject is a user or of an unknown type; a workflow may process other objects too."""
        return _kind(_subject(self.received)) in ("", "user")

    @property
    def subject_name(self) -> str:
        """The user's display name, else the sign-in name or the id. For another subject: its type and id."""
        subject = _subject(self.received)
        return _subject_name(subject, self._known_name) if subject else "a subject that is not named"

    @property
    def user_principal_name(self) -> str:
        """Empty if it is unknown, or if the subject is not a user."""
        return text_in(_subject(self.received), "userPrincipalName") or self._known_upn


class TaskResult(_Result):
    """The result of one task for one subject of a run."""

    __slots__ = ()

    processing_info = ReceivedProperty(text_in, "processingInfo")
    """The service's remark besides the status, such as what a task waits for."""
    created = ReceivedProperty(ticks_in, "createdDateTime")

    @property
    def is_failed(self) -> bool:
        return self.status == "failed"

    @property
    def is_waiting(self) -> bool:
        return self.status == "inProgress"

    @property
    def reason(self) -> str:
        return text_in(self.received, "failureReason") or NO_REASON

    @property
    def updated(self) -> int | None:
        """The latest known time of the result, since Graph gives it no lastUpdatedDateTime."""
        moments = (self.created, self.started, self.completed)
        return max((moment for moment in moments if moment is not None), default=None)

    @property
    def task_name(self) -> str:
        """The task's display name, else its id, else "?"."""
        return text_in(self._task, "displayName", "id") or "?"

    @property
    def definition_id(self) -> str:
        """The taskDefinitionId, which is the same for a kind of task in all workflows and tenants."""
        return text_in(self._task, "taskDefinitionId")

    @property
    def extension_id(self) -> str:
        """The id of the custom task extension that the task runs; empty for any other task."""
        arguments = objects_in(self._task, "arguments")
        return next((text_in(item, "value") for item in arguments if item.get("name") == _EXTENSION), "")

    @property
    def sequence(self) -> int | None:
        """The position of the task in its workflow, from 1."""
        return number_in(self._task, "executionSequence")

    @property
    def cause_key(self) -> str:
        """The key of the cause, ten hex digits that are equal for all its failures; empty if the task did not fail."""
        if not self.is_failed:
            return ""
        # A deleted user has the id as name; `fold_reason` must fold it as an id.
        names = {self.subject_name, self.user_principal_name} - {self.subject_id}
        reason = fold_reason(self.reason, names)
        parts = (self.definition_id or self.task_name, *filter(None, (self.extension_id,)), reason)
        return blake2s("\n".join(parts).encode("utf-8", "replace"), digest_size=5).hexdigest()

    @property
    def _task(self) -> Mapping[str, Any]:
        return object_in(self.received, "task")


def by_cause(results: Iterable[TaskResult]) -> list[list[TaskResult]]:
    """Group the failed results by cause, the most frequent cause first."""
    causes: dict[str, list[TaskResult]] = {}
    for result in results:
        if result.is_failed:
            causes.setdefault(result.cause_key, []).append(result)
    return sorted(causes.values(), key=len, reverse=True)


class UserResult(_Result):
    """The result of a run for one of its users."""

    __slots__ = ()

    scheduled = ReceivedProperty(ticks_in, "scheduledDateTime")
    failed_tasks = ReceivedProperty(number_in, "failedTasksCount")
    total_tasks = ReceivedProperty(number_in, "totalTasksCount")
    unprocessed_tasks = ReceivedProperty(number_in, "totalUnprocessedTasksCount")
    version = ReceivedProperty(number_in, "workflowVersion")
    """The version of the workflow that the run carried out."""


class Cause(NamedTuple):
    """The failures of one task with one reason."""

    key: str
    """The key for the filter `cause:KEY`, which finds its runs."""
    task: str
    definition_id: str
    reason: str
    """The latest reason, as received."""
    runs: int
    users: int
    first: int | None
    """The time of the earliest failure (ticks); `last` is the time of the latest one."""
    last: int | None
    workflows: tuple[str, ...]
    """The names of the workflows, from A to Z."""
    extension_id: str = ""
    """The id of the custom task extension that the task runs; empty if it runs none."""

    def of_extension(self, name: str) -> Cause:
        """Return the cause with the extension's name before the task's, since such tasks may all have the same name."""
        return self._replace(task=f"{name}: {self.task}")


# An apostrophe inside a word does not end a name.
_APOSTROPHES: Final = r"(?<!\w)'(?:[^']|'(?=\w))+'(?!\w)"
_QUOTED_NAME: Final = "|".join(
    (_APOSTROPHES, *(f"{left}[^{right}]+{right}" for left, right in ('""', "“”", "‘’", "«»", "「」")))
)
_ADDRESS: Final = r"(?<![\w.+-])[a-zA-Z][\w+.-]*://\S+|(?<![\w.+#-])[\w.+#-]+@[\w-]+(?:\.[\w-]+)*"
# A long word with digits is an id; a short one, such as E5 or AADSTS50057, is part of the reason.
_LONG_ID: Final = r"(?<![\w-])(?=[\w-]*\d)[\w-]{16,}"
# A number, or numbers joined to a time, a date or a version.
_NUMBER: Final = r"(?<!\w)\d+(?:[.,:/T-]\d+)*Z?"
_FOLDED: Final = f"(?P<name>{_QUOTED_NAME})|(?P<address>{_ADDRESS})|{_LONG_ID}|{_NUMBER}"

_LONGEST_FOLDED: Final = 2_000
"""The characters of a reason that are compared."""


def fold_reason(text: str, names: Iterable[str] = ()) -> str:
    """Return a reason without the parts that differ from user to user, so that equal causes have equal texts.

    Quoted names and `names` become '…', addresses "@", and ids, numbers and times "#".
    """
    text = " ".join(text[:_LONGEST_FOLDED].split())
    for name in sorted(filter(None, names), key=len, reverse=True):
        if name in text:  # most reasons name nobody, and compiling takes longer than all the rest
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "'…'", text)
    # A replacement may complete another quoted name, so repeat. The loop ends: no fold brings a folded part back.
    while (folded := re.sub(_FOLDED, _mark, text)) != text:
        text = folded
    return text


def _mark(found: re.Match[str]) -> str:
    return "'…'" if found["name"] else "@" if found["address"] else "#"


def subjects_line(results: Sequence[TaskResult], most: int, more: str = "") -> str:
    """Return the distinct subjects of results: the first `most` names, then the number of the rest and `more`."""
    names = list(dict.fromkeys(result.subject_name for result in results))
    label = "users" if all(result.is_about_user for result in results) else "subjects"
    left = f" and {len(names) - most} more{more}" if len(names) > most else ""
    return f"{label}: {', '.join(names[:most])}{left}"


def _subject(received: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the user, or the other object that the result is about."""
    subject = object_in(received, "subject") or object_in(received, "workflowSubject")
    return object_in(subject, "directoryObject") or subject


def _subject_name(subject: Mapping[str, Any], known: str) -> str:
    words = _kind(subject)
    if words in ("", "user"):
        name = text_in(subject, "displayName") or known or text_in(subject, "userPrincipalName", "id")
        return name or "a user without an id"
    return f"{words} {text_in(subject, 'id', 'displayName') or 'without an id'}"


def _kind(subject: Mapping[str, Any]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type_in(subject).removesuffix("WorkflowSubject")).lower()
