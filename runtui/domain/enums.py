"""The two enumerations of a run, open as Graph's evolvable enums are.

Invariant: a value we do not know is kept, shown and sent back as received; it is only never offered as a choice of
ours. Members and their order: the service metadata (`lifecycleWorkflowProcessingStatus`, `workflowExecutionType`);
meanings of the statuses: Microsoft Entra's "Lifecycle workflow history".
"""

from __future__ import annotations

from typing import Final, NamedTuple

SENTINEL: Final = "unknownFutureValue"
"""Graph's placeholder for members newer than the client. Services send it; they refuse it as a value to write."""


class Member(NamedTuple):
    """One value of an enumeration and what it means, in a few words."""

    name: str
    meaning: str


class OpenEnum:
    """A Graph enumeration: the members known today, in the order in which they are offered."""

    def __init__(self, name: str, *members: Member) -> None:
        self.name = name
        self.members = members
        self.names = tuple(member.name for member in members)
        self._meanings = dict(members)

    def is_known(self, value: str) -> bool:
        """Whether this version of runtui knows the value (exact spelling; Graph's enums are case-sensitive)."""
        return value in self._meanings

    def meaning(self, value: str) -> str:
        """What a value means; for an unknown one, that it is newer than this version."""
        return self._meanings.get(value, "as received; not known to this version of runtui")


PROCESSING_STATUS: Final = OpenEnum(
    "lifecycleWorkflowProcessingStatus",
    Member("queued", "waiting to start"),
    Member("inProgress", "the first task has begun"),
    Member("completed", "success for every user"),
    Member("completedWithErrors", "succeeded for some users only"),
    Member("canceled", "stopped before it finished"),
    Member("failed", "all tasks failed for all users"),
    Member("canceling", "being canceled"),
    Member("quarantined", "held back: too many users at once"),
    Member(SENTINEL, "a placeholder; services refuse it"),
)

EXECUTION_TYPE: Final = OpenEnum(
    "workflowExecutionType",
    Member("scheduled", "started by the schedule"),
    Member("onDemand", "started by hand"),
    Member("activatedWithScope", "reprocessed, or run for a chosen scope"),
    Member("preview", "a trial that changes nothing"),
    Member("extensibilityOnDemand", "started by an extension"),
    Member(SENTINEL, "a placeholder; services refuse it"),
)
