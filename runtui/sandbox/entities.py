"""The entity types that the sandbox serves; each property is declared once for SQL, query options and JSON.

Invariant: the JSON has the properties in the order of their declaration. A date-time is stored as ticks, and sent as
Graph sends it: in UTC, without trailing zeros, however a client wrote it. Properties and enumerations: the service
metadata of `microsoft.graph.identityGovernance` (v1.0 and beta).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from runtui.domain.properties import SENTINEL
from runtui.domain.times import format_ticks

EdmKind = Literal["string", "enum", "count", "boolean", "datetime", "json"]
Row = tuple[Any, ...]


def guid(*parts: object) -> str:
    """Return a GUID that depends only on the parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))


class Enumeration(NamedTuple):
    """An evolvable enum. Every client gets its `members`; only a client that asks for them gets the `newer_members`."""

    name: str
    members: tuple[str, ...]
    newer_members: tuple[str, ...]

    def has(self, value: str) -> bool:
        return value in self.members or value in self.newer_members or value == SENTINEL

    def sent_as(self, value: str | None, *, include_newer: bool) -> str | None:
        """Return the value as a client sees it: the sentinel for a newer member, unless `include_newer`."""
        return value if include_newer or value is None or value in self.members else SENTINEL


# Members that no service has today. They stand for those that a service may add.
FUTURE_STATUS: Final = "pausedByPolicy"
FUTURE_EXECUTION_TYPE: Final = "startedByPolicy"

PROCESSING_STATUS: Final = Enumeration(
    "lifecycleWorkflowProcessingStatus",
    ("queued", "inProgress", "completed", "completedWithErrors", "canceled", "failed"),
    ("canceling", "quarantined", FUTURE_STATUS),
)
CATEGORY: Final = Enumeration("lifecycleWorkflowCategory", ("joiner", "leaver"), ("mover", "extensibility"))
EXECUTION_TYPE: Final = Enumeration(
    "workflowExecutionType",
    ("scheduled", "onDemand"),
    ("activatedWithScope", "preview", "extensibilityOnDemand", FUTURE_EXECUTION_TYPE),
)


class Property(NamedTuple):
    """One declared property of an entity type."""

    name: str
    kind: EdmKind
    enumeration: Enumeration | None = None
    is_sparse: bool = False
    """The JSON leaves the property out if it has no value."""

    def reader(self, *, include_newer: bool) -> Callable[[Any], Any]:
        """Return a function from the stored value to the JSON value."""
        if self.enumeration is not None:
            return partial(self.enumeration.sent_as, include_newer=include_newer)
        if self.kind == "boolean":
            return bool
        read = _READERS.get(self.kind)
        return (lambda value: value) if read is None else (lambda value: None if value is None else read(value))


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {"datetime": format_ticks, "json": json.loads}
"""The functions from a stored value that is not null to the JSON value, by kind, if the two differ."""


class SortColumn(NamedTuple):
    """A column to sort by: whole numbers without nulls."""

    name: str
    is_descending: bool = False


@dataclass(frozen=True)
class EntityType:
    """An entity type: its properties, and how its collections are stored, ordered and queried."""

    name: str
    properties: tuple[Property, ...]
    owners: tuple[str, ...] = ()
    """Columns with the ids of the owners of an entity and its place among others; never sent."""
    order: tuple[SortColumn, ...] = (SortColumn("rowid"),)
    """No two rows are equal in all of these columns."""
    has_subject: bool = False
    """It is about a user: `$expand` accepts `subject`, and `$filter` its id."""

    @property
    def type_name(self) -> str:
        return f"microsoft.graph.identityGovernance.{self.name}"

    @cached_property
    def by_name(self) -> Mapping[str, Property]:
        return {item.name: item for item in self.properties}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All SQL columns in the order of the table; `extra` holds undeclared properties, as a JSON object."""
        return (*self.owners, *self.by_name, "extra")

    def record(self, values: Mapping[str, Any]) -> Row:
        """Return the values of one entity (times in ticks) in the order of `columns`; a missing value is null."""
        return tuple(map(values.get, self.columns))

    def by_column(self, row: Row) -> dict[str, Any]:
        return dict(zip(self.columns, row, strict=True))

    def renderer(self, *, include_newer: bool) -> Callable[[Row], dict[str, Any]]:
        """Return a function from a row (`columns`) to the JSON object for a client."""
        readers = [(item.name, item.reader(include_newer=include_newer)) for item in self.properties]
        sparse = [item.name for item in self.properties if item.is_sparse]

        def render(row: Row) -> dict[str, Any]:
            *values, extra = row[len(self.owners) :]
            entity = {name: read(value) for (name, read), value in zip(readers, values, strict=True)}
            for name in sparse:
                if entity[name] is None:
                    del entity[name]
            return entity | json.loads(extra) if extra else entity

        return render


WORKFLOW: Final = EntityType(
    "workflow",
    (
        Property("id", "string"),
        Property("category", "enum", CATEGORY),
        Property("displayName", "string"),
        Property("description", "string"),
        Property("createdDateTime", "datetime"),
        Property("lastModifiedDateTime", "datetime"),
        Property("isEnabled", "boolean"),
        Property("isSchedulingEnabled", "boolean"),
        Property("executionConditions", "json"),
        Property("settings", "json"),
        Property("nextScheduleRunDateTime", "datetime"),
        Property("quarantineDetails", "json"),
        Property("version", "count"),
    ),
)

RUN: Final = EntityType(
    "run",
    (
        Property("id", "string"),
        Property("completedDateTime", "datetime"),
        Property("failedTasksCount", "count"),
        Property("failedUsersCount", "count"),
        Property("lastUpdatedDateTime", "datetime"),
        Property("processingStatus", "enum", PROCESSING_STATUS),
        Property("scheduledDateTime", "datetime"),
        Property("startedDateTime", "datetime"),
        Property("successfulUsersCount", "count"),
        Property("totalTasksCount", "count"),
        Property("totalUsersCount", "count"),
        Property("totalUnprocessedTasksCount", "count"),
        Property("workflowExecutionType", "enum", EXECUTION_TYPE),
        Property("activatedOnScope", "json"),
    ),
    owners=("workflowId", "reprocessed"),
    order=(SortColumn("rowid", is_descending=True),),
)

SUBJECT_ID: Final = Property("subject/id", "string")
"""The path of a filter, and the column for it."""

USER_RESULT: Final = EntityType(
    "userProcessingResult",
    (
        Property("id", "string"),
        Property("completedDateTime", "datetime"),
        Property("failedTasksCount", "count"),
        Property("processingStatus", "enum", PROCESSING_STATUS),
        Property("scheduledDateTime", "datetime"),
        Property("startedDateTime", "datetime"),
        Property("totalTasksCount", "count"),
        Property("totalUnprocessedTasksCount", "count"),
        Property("workflowExecutionType", "enum", EXECUTION_TYPE),
        Property("workflowVersion", "count"),
        Property("subject", "json"),
    ),
    owners=("workflowId", "runId", "place", SUBJECT_ID.name),
    order=(SortColumn("scheduledDateTime", is_descending=True), SortColumn("place")),
    has_subject=True,
)

TASK_RESULT: Final = EntityType(
    "taskProcessingResult",
    (
        Property("id", "string"),
        Property("createdDateTime", "datetime"),
        Property("startedDateTime", "datetime"),
        Property("completedDateTime", "datetime"),
        Property("processingStatus", "enum", PROCESSING_STATUS),
        Property("failureReason", "string"),
        Property("processingInfo", "string"),
        Property("subject", "json", is_sparse=True),
        Property("workflowSubject", "json", is_sparse=True),
        Property("task", "json"),
    ),
    owners=("workflowId", "runId", "userResultId", "place", SUBJECT_ID.name),
    order=(SortColumn("place"),),
    has_subject=True,
)

EXTENSION: Final = EntityType(
    "customTaskExtension",
    (
        Property("id", "string"),
        Property("displayName", "string"),
        Property("description", "string"),
        Property("authenticationConfiguration", "json"),
        Property("clientConfiguration", "json"),
        Property("endpointConfiguration", "json"),
        Property("callbackConfiguration", "json"),
        Property("replyMode", "string"),
        Property("createdDateTime", "datetime"),
        Property("lastModifiedDateTime", "datetime"),
    ),
)

ENTITY_TYPES: Final = (WORKFLOW, RUN, USER_RESULT, TASK_RESULT, EXTENSION)
"""The types that have collections."""


class Navigation(NamedTuple):
    """A collection that belongs to an entity, or is at the top of the service."""

    entity: EntityType
    owner: Mapping[str, str] = {}
    """The columns of its entities that hold values of their owner, each with the owner's column."""


_OF_WORKFLOW: Final = {"workflowId": "id"}
_OF_RUN: Final = {"runId": "id"}

NAVIGATION: Final[Mapping[str, Mapping[str, Navigation]]] = {
    "lifecycleWorkflows": {"workflows": Navigation(WORKFLOW), "customTaskExtensions": Navigation(EXTENSION)},
    "workflowBase": {"runs": Navigation(RUN)},
    WORKFLOW.name: {
        "runs": Navigation(RUN, _OF_WORKFLOW),
        "userProcessingResults": Navigation(USER_RESULT, _OF_WORKFLOW),
    },
    RUN.name: {
        "userProcessingResults": Navigation(USER_RESULT, _OF_RUN),
        "taskProcessingResults": Navigation(TASK_RESULT, _OF_RUN),
        "reprocessedRuns": Navigation(RUN, {"reprocessed": "id"}),
    },
    USER_RESULT.name: {"taskProcessingResults": Navigation(TASK_RESULT, {"runId": "runId", "userResultId": "id"})},
}
"""The collections of each entity type, and of the two parts of the service, by their names in a path."""
