"""What Graph answers about a run, its workflow and its results, as models.

Invariant: a model never loses what was received. `received` is the JSON object itself, unknown properties included;
the typed attributes are how runtui understands it, and are None where a value is missing, null or of another type.
Shapes: `microsoft.graph.identityGovernance.run`, `workflow`, `userProcessingResult`, `taskProcessingResult`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from runtui.domain.fields import INT32_MAX, INT32_MIN
from runtui.domain.times import parse_ticks


def _none_if_odd(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _is_moment(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    text = _none_if_odd(value, handler)
    if text is not None:
        try:
            parse_ticks(text)
        except ValueError:
            return None
    return text


Text = Annotated[str | None, WrapValidator(_none_if_odd)]
Count = Annotated[int | None, Field(ge=INT32_MIN, le=INT32_MAX), WrapValidator(_none_if_odd)]
Moment = Annotated[str | None, WrapValidator(_is_moment)]
"""A DateTimeOffset as received, up to seven fractional digits; None when it is none."""


class GraphObject(BaseModel):
    """A JSON object of Graph: understood where we can, kept whole in `received`."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_camel)

    id: str
    _received: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_graph(cls, received: Mapping[str, Any]) -> Self:
        """Read one object.

        Raises:
            pydantic.ValidationError: only when it has no `id` that is a text.
        """
        kept = dict(received)
        understood = cls.model_validate(kept)
        understood._received = kept
        return understood

    @property
    def received(self) -> Mapping[str, Any]:
        """The object as it came, in its own order."""
        return self._received


class Run(GraphObject):
    """One run of a workflow. Counters need not add up: the service fills them in as it goes."""

    processing_status: Text = None
    workflow_execution_type: Text = None
    scheduled_date_time: Moment = None
    started_date_time: Moment = None
    completed_date_time: Moment = None
    last_updated_date_time: Moment = None
    total_users_count: Count = None
    successful_users_count: Count = None
    failed_users_count: Count = None
    total_tasks_count: Count = None
    failed_tasks_count: Count = None
    total_unprocessed_tasks_count: Count = None
    activated_on_scope: Annotated[Mapping[str, Any] | None, WrapValidator(_none_if_odd)] = None


class Workflow(GraphObject):
    """A lifecycle workflow: a run does not name its own, so the listing keeps the two together."""

    display_name: Text = None
    category: Text = None
    description: Text = None
    version: Count = None


class UserResult(GraphObject):
    """What a run did for one user; `subject` holds only the user's id."""

    processing_status: Text = None
    failed_tasks_count: Count = None
    total_tasks_count: Count = None
    workflow_version: Count = None
    subject: Annotated[Mapping[str, Any] | None, WrapValidator(_none_if_odd)] = None


class TaskResult(GraphObject):
    """What one task did for one subject, and why it failed.

    A user stands in `subject`; anything else in `workflowSubject`, of a type derived from
    `microsoft.graph.identityGovernance.workflowSubject`.
    """

    processing_status: Text = None
    failure_reason: Text = None
    processing_info: Text = None
    subject: Annotated[Mapping[str, Any] | None, WrapValidator(_none_if_odd)] = None
    workflow_subject: Annotated[Mapping[str, Any] | None, WrapValidator(_none_if_odd)] = None
    task: Annotated[Mapping[str, Any] | None, WrapValidator(_none_if_odd)] = None

    @property
    def task_name(self) -> str:
        """The task's display name, or its id, or a question mark."""
        task = self.task or {}
        return _first_text(task.get("displayName"), task.get("id"))

    @property
    def subject_name(self) -> str:
        """A user's id; of another subject what it is, and its id."""
        subject = self.subject or self.workflow_subject
        return _subject_name(subject) if subject else "a subject that is not named"


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
