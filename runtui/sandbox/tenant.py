"""The seeded tenant's workflows and their tasks.

Invariant: everything is a pure function of the seed. The tasks are built-in ones, with the identifiers and categories
of "Lifecycle Workflow built-in tasks" (Microsoft Entra documentation).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID


def guid(*parts: object) -> str:
    """A GUID that is a pure function of its parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))


class TaskDefinition(NamedTuple):
    """A built-in task."""

    id: str
    display_name: str
    category: str
    description: str
    argument: str | None = None
    """The name of the argument that says what the task acts on, where it has one."""


SEND_WELCOME: Final = TaskDefinition(
    "70b29d51-b59a-4773-9280-8841dfd3f2ea",
    "Send Welcome Email",
    "joiner",
    "Send welcome email to new hire",
)
SEND_REMINDER: Final = TaskDefinition(
    "3c860712-2d37-42a4-928f-5c93935d26a1",
    "Send onboarding reminder email",
    "joiner",
    "Send onboarding reminder email to the user's manager",
)
GENERATE_TAP: Final = TaskDefinition(
    "1b555e50-7f65-41d5-b514-5894a026d10d",
    "Generate TAP And Send Email",
    "joiner",
    "Generate Temporary Access Pass and send via email to user's manager",
    "tapLifetimeMinutes",
)
ENABLE_ACCOUNT: Final = TaskDefinition(
    "6fc52c9d-398b-4305-9763-15f42c1676fc",
    "Enable User Account",
    "joiner,leaver",
    "Enable user account in the directory",
)
ASSIGN_LICENSES: Final = TaskDefinition(
    "683c87a4-2ad4-420b-97d4-220d90afcd24",
    "Assign licenses to user",
    "joiner,mover",
    "Assign selected licenses to the user",
    "licenses",
)
REQUEST_ACCESS_PACKAGE: Final = TaskDefinition(
    "c1ec1e76-f374-4375-aaa6-0bb6bd4c60be",
    "Request user access package assignment",
    "joiner,mover",
    "Request user assignment to selected access package",
    "accessPackageId",
)
ADD_TO_GROUPS: Final = TaskDefinition(
    "22085229-5809-45e8-97fd-270d28d66910",
    "Add User To Groups",
    "joiner,leaver,mover",
    "Add user to selected groups",
    "groupID",
)
ADD_TO_TEAMS: Final = TaskDefinition(
    "e440ed8d-25a1-4618-84ce-091ed5be5594",
    "Add User To Teams",
    "joiner,leaver,mover",
    "Add user to selected teams",
    "teamID",
)
NOTIFY_MOVE: Final = TaskDefinition(
    "aab41899-9972-422a-9d97-f626014578b7",
    "Send email to notify manager of user move",
    "mover",
    "Send email to notify user's manager of user move",
)
REMOVE_FROM_GROUPS: Final = TaskDefinition(
    "1953a66c-751c-45e5-8bfe-01462c70da3c",
    "Remove user from selected groups",
    "joiner,leaver,mover",
    "Remove user from membership of selected groups",
    "groupID",
)
CUSTOM_EXTENSION: Final = TaskDefinition(
    "4262b724-8dba-4fad-afc3-43fcbb497a0e",
    "Run a Custom Task Extension",
    "joiner,leaver,mover",
    "Run a custom task extension to call out to an external system",
    "customTaskExtensionID",
)
DISABLE_ACCOUNT: Final = TaskDefinition(
    "1dfdfcc7-52fa-4c2e-bf3a-e3919cc12950",
    "Disable User Account",
    "joiner,leaver",
    "Disable user account in the directory",
)
REMOVE_ALL_GROUPS: Final = TaskDefinition(
    "b3a31406-2a15-4c9a-b25b-a658fa5f07fc",
    "Remove user from all groups",
    "leaver",
    "Remove user from all group memberships",
)
REMOVE_ALL_TEAMS: Final = TaskDefinition(
    "81f7b200-2816-4b3b-8c5d-dc556f07b024",
    "Remove user from all Teams",
    "leaver",
    "Remove user from all Teams memberships",
)
REMOVE_ALL_LICENSES: Final = TaskDefinition(
    "8fa97d28-3e52-4985-b3a9-a1126f9b8b4e",
    "Remove all licenses for user",
    "leaver",
    "Remove all licenses assigned to the user",
)
REVOKE_TOKENS: Final = TaskDefinition(
    "509589a4-0466-4471-829e-49c5e502bdee",
    "Revoke all refresh tokens for user",
    "leaver,mover",
    "Revoke all refresh tokens for user",
)
DELETE_USER: Final = TaskDefinition(
    "8d18588d-9ad3-4c0f-99d0-ec215f0e3dff",
    "Delete User Account",
    "leaver",
    "Delete user account in the directory",
)
EMAIL_BEFORE_LAST_DAY: Final = TaskDefinition(
    "52853a3e-f4e5-4eb8-bb24-1ac09a1da935",
    "Send email before user's last day",
    "leaver",
    "Send offboarding email to user's manager before the last day of work",
)
EMAIL_ON_LAST_DAY: Final = TaskDefinition(
    "9c0a1eaf-5bda-4392-9d9e-6e155bb57411",
    "Send email on user's last day",
    "leaver",
    "Send offboarding email to user's manager on the last day of work",
)
EMAIL_AFTER_LAST_DAY: Final = TaskDefinition(
    "6f22ddd4-b3a5-47a4-a846-0d7c201a49ce",
    "Send offboarding email to user's manager after last day",
    "leaver",
    "Send offboarding email to user's manager after the last day of work",
)

CONTINUES_ON_ERROR: Final = frozenset(
    {SEND_WELCOME, SEND_REMINDER, NOTIFY_MOVE, ADD_TO_TEAMS, EMAIL_BEFORE_LAST_DAY, EMAIL_AFTER_LAST_DAY}
)
"""Tasks whose failure does not stop the tasks after them."""


class Workflow(NamedTuple):
    """A workflow of the tenant, and how it usually runs."""

    key: str
    """Its name in `seed.py`; never sent."""
    display_name: str
    category: str
    description: str
    tasks: tuple[TaskDefinition, ...]
    version: int
    weight: int
    """How often it runs, relative to the others."""
    users: int
    """How many users a run of it usually has."""
    seconds: int
    """How long it usually takes for one user."""
    on_demand: float = 0.03
    """The share of its runs that somebody starts by hand."""
    id: str = ""


WORKFLOWS: Final = (
    Workflow(
        "prehire",
        "Onboard pre-hire",
        "joiner",
        "Seven days before employeeHireDate: licences, groups, Temporary Access Pass to the manager",
        (ASSIGN_LICENSES, ADD_TO_GROUPS, REQUEST_ACCESS_PACKAGE, GENERATE_TAP),
        7,
        30,
        9,
        22,
    ),
    Workflow(
        "first-day",
        "Onboard new hire, first day",
        "joiner",
        "On employeeHireDate: enable the account, Teams, welcome email",
        (ENABLE_ACCOUNT, ADD_TO_TEAMS, SEND_WELCOME),
        4,
        30,
        8,
        14,
    ),
    Workflow(
        "contractor",
        "Onboard contractor",
        "joiner",
        "External staff: account, one access package for 180 days, Temporary Access Pass to the sponsor's manager",
        (ENABLE_ACCOUNT, REQUEST_ACCESS_PACKAGE, GENERATE_TAP),
        11,
        18,
        4,
        19,
        0.15,
    ),
    Workflow(
        "tokyo",
        "入社手続き（東京オフィス）",
        "joiner",
        "東京オフィスの新入社員: アカウント有効化、グループ追加、ウェルカムメール",
        (ENABLE_ACCOUNT, ADD_TO_GROUPS, ADD_TO_TEAMS, SEND_WELCOME),
        3,
        12,
        3,
        16,
    ),
    Workflow(
        "week-one",
        "Onboarding follow-up, day 7",
        "joiner",
        "Seven days after employeeHireDate: reminder to the manager, role groups",
        (SEND_REMINDER, ADD_TO_GROUPS),
        2,
        24,
        8,
        7,
    ),
    Workflow(
        "team-change",
        "Mover: team or department",
        "mover",
        "When department changes: old groups out, new groups and Teams in, both managers told",
        (REMOVE_FROM_GROUPS, ADD_TO_GROUPS, ADD_TO_TEAMS, NOTIFY_MOVE),
        9,
        22,
        3,
        17,
        0.08,
    ),
    Workflow(
        "manager-change",
        "Mover: new manager",
        "mover",
        "When manager changes: access packages asked for again, managers told",
        (REQUEST_ACCESS_PACKAGE, NOTIFY_MOVE),
        5,
        18,
        4,
        9,
    ),
    Workflow(
        "notice",
        "Offboard, 14 days ahead",
        "leaver",
        "Fourteen days before employeeLeaveDateTime: the manager is told, privileged groups out",
        (EMAIL_BEFORE_LAST_DAY, REMOVE_FROM_GROUPS),
        3,
        22,
        5,
        8,
    ),
    Workflow(
        "last-day",
        "Offboard last day",
        "leaver",
        "On employeeLeaveDateTime: account off, tokens revoked, mailbox archived by a Logic App",
        (DISABLE_ACCOUNT, REVOKE_TOKENS, REMOVE_ALL_TEAMS, CUSTOM_EXTENSION, EMAIL_ON_LAST_DAY),
        12,
        26,
        6,
        31,
    ),
    Workflow(
        "after-30-days",
        "Offboard, 30 days after",
        "leaver",
        "Thirty days after employeeLeaveDateTime: licences and groups out, account deleted",
        (REMOVE_ALL_LICENSES, REMOVE_ALL_GROUPS, DELETE_USER, EMAIL_AFTER_LAST_DAY),
        6,
        22,
        6,
        20,
    ),
    Workflow(
        "termination",
        "Real-time termination",
        "leaver",
        "Started by HR at once: account off, tokens revoked, groups and Teams out",
        (DISABLE_ACCOUNT, REVOKE_TOKENS, REMOVE_ALL_GROUPS, REMOVE_ALL_TEAMS),
        2,
        8,
        1,
        11,
        1.0,
    ),
    Workflow(
        "guests",
        "Inactive guests, 90 days",
        "leaver",
        "Guests without a sign-in for 90 days: account off, then deleted",
        (DISABLE_ACCOUNT, DELETE_USER),
        8,
        8,
        24,
        6,
    ),
)


def workflows(seed: int) -> dict[str, Workflow]:
    """The tenant's workflows by `key`, with the ids of this seed."""
    return {item.key: item._replace(id=guid(seed, "workflow", item.key)) for item in WORKFLOWS}
