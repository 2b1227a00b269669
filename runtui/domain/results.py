"""What one task did for one subject of a run, understood as far as it is Graph's `taskProcessingResult`.

Invariant: any JSON object is a result; a value that is missing or of another type is not named, and nothing fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A result as received.

    A user stands in `subject`; anything else in `workflowSubject`, of a type derived from
    `microsoft.graph.identityGovernance.workflowSubject`.
    """

    received: Mapping[str, Any]

    @property
    def status(self) -> str:
        """The processingStatus; empty when there is none."""
        return _text(self.received.get("processingStatus"))

    @property
    def reason(self) -> str:
        return _text(self.received.get("failureReason")) or "no reason given"

    @property
    def task_name(self) -> str:
        """The task's display name, or its id, or a question mark."""
        task = self.received.get("task")
        return _first_text(task.get("displayName"), task.get("id")) if isinstance(task, Mapping) else "?"

    @property
    def subject_name(self) -> str:
        """A user's id; of another subject what it is, and its id."""
        subjects = (self.received.get("subject"), self.received.get("workflowSubject"))
        subject = next((found for found in subjects if isinstance(found, Mapping) and found), None)
        return _subject_name(subject) if subject is not None else "a subject that is not named"


def subjects_line(results: Sequence[TaskResult], most: int, more: str = "") -> str:
    """Whom some results are about, each once: the first `most` by name, then how many are left (and `more` of that)."""
    names = list(dict.fromkeys(result.subject_name for result in results))
    label = "subjects" if any(" " in name for name in names) else "users"
    left = f" and {len(names) - most} more{more}" if len(names) > most else ""
    return f"{label}: {', '.join(names[:most])}{left}"


def _subject_name(subject: Mapping[str, Any]) -> str:
    if isinstance(held := subject.get("directoryObject"), Mapping):
        return _subject_name(held)
    kind = str(subject.get("@odata.type", "")).rpartition(".")[2].removesuffix("WorkflowSubject")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    subject_id = _first_text(subject.get("id"), subject.get("displayName"))
    if words in ("", "user"):
        return subject_id if subject_id != "?" else "a user without an id"
    return f"{words} {subject_id}" if subject_id != "?" else f"{words} without an id"


def _first_text(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "?")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
