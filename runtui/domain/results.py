"""What a run did for its subjects, understood as far as it is Graph's `userProcessingResult` or `taskProcessingResult`.

Invariant: any JSON object is a result; a value that is missing or of another type is not named, and nothing fails. Two
failures have one cause when the same task gives the same reason, whoever and whatever it names (`fold_reason`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, Final, NamedTuple

from runtui.domain.triage.received import ReceivedProperty, number_in, object_in, objects_in, text_in, ticks_in, type_in

NO_REASON: Final = "no reason given"

_EXTENSION: Final = "customTaskExtensionID"
"""The argument of "Run a Custom Task Extension" that says which one: each is a task of its own."""


@dataclass(frozen=True, slots=True)
class _Result:
    """A result as received.

    A user stands in `subject`; anything else in `workflowSubject`, of a type derived from
    `microsoft.graph.identityGovernance.workflowSubject`.
    """

    received: Mapping[str, Any]
    known_name: str = ""
    """What the user is called elsewhere: in another result, or in the directory."""
    known_upn: str = ""

    id = ReceivedProperty(text_in, "id")
    status = ReceivedProperty(text_in, "processingStatus")
    started = ReceivedProperty(ticks_in, "startedDateTime")
    """Ticks, as all times here."""
    completed = ReceivedProperty(ticks_in, "completedDateTime")

    @property
    def took(self) -> int | None:
        return None if self.started is None or self.completed is None else self.completed - self.started

    @property
    def subject_id(self) -> str:
        return text_in(_subject(self.received), "id")

    @property
    def is_about_user(self) -> bool:
        """Whether it is about a user, or does not say; a workflow may work on other objects too."""
        return _kind(_subject(self.received)) in ("", "user")

    @property
    def subject_name(self) -> str:
        """A user's display name where it is known, else the id; of another subject what it is, and its id."""
        subject = _subject(self.received)
        return _subject_name(subject, self.known_name) if subject else "a subject that is not named"

    @property
    def user_principal_name(self) -> str:
        """Empty where it is not known, and where the subject is no user."""
        return text_in(_subject(self.received), "userPrincipalName") or self.known_upn


class TaskResult(_Result):
    """What one task did for one subject of a run."""

    __slots__ = ()

    processing_info = ReceivedProperty(text_in, "processingInfo")
    """What the service says beside the status, such as what a task waits for."""
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
        """The latest moment known of it: Graph gives a task result no lastUpdatedDateTime."""
        moments = (self.created, self.started, self.completed)
        return max((moment for moment in moments if moment is not None), default=None)

    @property
    def task_name(self) -> str:
        """The task's display name, or its id, or a question mark."""
        return text_in(self._task, "displayName", "id") or "?"

    @property
    def definition_id(self) -> str:
        """The taskDefinitionId: the same for a task of this kind in every workflow and tenant."""
        return text_in(self._task, "taskDefinitionId")

    @property
    def extension_id(self) -> str:
        """Which custom task extension it runs; empty where the task is another one."""
        arguments = objects_in(self._task, "arguments")
        return next((text_in(item, "value") for item in arguments if item.get("name") == _EXTENSION), "")

    @property
    def sequence(self) -> int | None:
        """The place of the task in its workflow, from 1."""
        return number_in(self._task, "executionSequence")

    @property
    def cause_key(self) -> str:
        """What all failures of one cause have in common, in ten characters; empty when it did not fail."""
        if not self.is_failed:
            return ""
        # The id of a user who is gone stands for a name, and is folded as an id all the same.
        names = {self.subject_name, self.user_principal_name} - {self.subject_id}
        reason = fold_reason(self.reason, names)
        parts = (self.definition_id or self.task_name, *filter(None, (self.extension_id,)), reason)
        return blake2s("\n".join(parts).encode("utf-8", "replace"), digest_size=5).hexdigest()

    @property
    def _task(self) -> Mapping[str, Any]:
        return object_in(self.received, "task")


def by_cause(results: Iterable[TaskResult]) -> list[list[TaskResult]]:
    """Those that failed, a list for each cause: the most frequent first."""
    causes: dict[str, list[TaskResult]] = {}
    for result in results:
        if result.is_failed:
            causes.setdefault(result.cause_key, []).append(result)
    return sorted(causes.values(), key=len, reverse=True)


class UserResult(_Result):
    """What a run did for one of its users."""

    __slots__ = ()

    scheduled = ReceivedProperty(ticks_in, "scheduledDateTime")
    failed_tasks = ReceivedProperty(number_in, "failedTasksCount")
    total_tasks = ReceivedProperty(number_in, "totalTasksCount")
    unprocessed_tasks = ReceivedProperty(number_in, "totalUnprocessedTasksCount")
    version = ReceivedProperty(number_in, "workflowVersion")
    """That of the workflow that was carried out."""


class Cause(NamedTuple):
    """The failed task results that one task explains by one reason."""

    key: str
    """What the filter `cause:KEY` finds its runs by."""
    task: str
    """Its name."""
    definition_id: str
    reason: str
    """The latest of its reasons, as received."""
    runs: int
    users: int
    first: int | None
    """Ticks of the earliest failure, and of the latest one."""
    last: int | None
    workflows: tuple[str, ...]
    """Their names, from A to Z."""
    extension_id: str = ""
    """Which custom task extension the task runs, where it does: a cause is of one alone."""

    def of_extension(self, name: str) -> Cause:
        """The same with its task called by the extension first: tasks that run one may all have the same name."""
        return self._replace(task=f"{name}: {self.task}")


# An apostrophe inside a word ends no name.
_APOSTROPHES: Final = r"(?<!\w)'(?:[^']|'(?=\w))+'(?!\w)"
_QUOTED_NAME: Final = "|".join(
    (_APOSTROPHES, *(f"{left}[^{right}]+{right}" for left, right in ('""', "“”", "‘’", "«»", "「」")))
)
_ADDRESS: Final = r"(?<![\w.+-])[a-zA-Z][\w+.-]*://\S+|(?<![\w.+#-])[\w.+#-]+@[\w-]+(?:\.[\w-]+)*"
# A long word with digits in it is an id; a short one, such as E5 or AADSTS50057, says what is wrong.
_LONG_ID: Final = r"(?<![\w-])(?=[\w-]*\d)[\w-]{16,}"
# A number, and what numbers make up: times, dates, versions.
_NUMBER: Final = r"(?<!\w)\d+(?:[.,:/T-]\d+)*Z?"
_FOLDED: Final = re.compile(f"(?P<name>{_QUOTED_NAME})|(?P<address>{_ADDRESS})|{_LONG_ID}|{_NUMBER}")

_LONGEST_FOLDED: Final = 2_000
"""Characters that tell one cause from another."""


def fold_reason(text: str, names: Iterable[str] = ()) -> str:
    """A reason without what differs from user to user, so that the same cause has the same text.

    Names in quotes become '…', addresses "@", ids, numbers and times "#". Each of `names` is a name as well.
    """
    text = " ".join(text[:_LONGEST_FOLDED].split())
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "'…'", text)
    # A mark beside a quote may make up another name: it ends, since nothing that is folded comes back.
    while (folded := _FOLDED.sub(_mark, text)) != text:
        text = folded
    return text


def _mark(found: re.Match[str]) -> str:
    return "'…'" if found["name"] else "@" if found["address"] else "#"


def subjects_line(results: Sequence[TaskResult], most: int, more: str = "") -> str:
    """Whom some results are about, each once: the first `most` by name, then how many are left (and `more` of that)."""
    names = list(dict.fromkeys(result.subject_name for result in results))
    label = "users" if all(result.is_about_user for result in results) else "subjects"
    left = f" and {len(names) - most} more{more}" if len(names) > most else ""
    return f"{label}: {', '.join(names[:most])}{left}"


def _subject(received: Mapping[str, Any]) -> Mapping[str, Any]:
    """The user, or the object that stands in for one."""
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
