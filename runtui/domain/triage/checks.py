"""What to check if a task of a workflow failed, or if it succeeded but may have changed nothing.

Invariant: each checklist names the page that is its source. The identifiers of the tasks are those of "Lifecycle
Workflow built-in tasks" (Microsoft Entra documentation); any other definition has no checklist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from runtui.domain.results import TaskResult
from runtui.domain.triage.received import flag_in, object_in, objects_in

_ENTRA: Final = "https://learn.microsoft.com/entra"
_TASKS: Final = f"{_ENTRA}/id-governance/lifecycle-workflow-tasks"
_ON_PREMISES: Final = f"{_ENTRA}/id-governance/lifecycle-workflow-on-premises"


class Checklist(NamedTuple):
    """The conditions for a task to succeed, one sentence each, and the page that states them."""

    lines: tuple[str, ...]
    source: str


_MANAGER: Final = "The user has a manager."
_MANAGERS_MAIL: Final = "The manager has a mail address."
_NO_ROLE: Final = "The user holds no Microsoft Entra role, and is no member or owner of a role-assignable group."
_SYNCED_USER: Final = (
    "For a user synchronized from AD DS: the task is set to act on premises, the provisioning agent is "
    "1.1.1586.0 or newer, and its gMSA may change the account."
)
_GROUPS: Final = (
    "Each group is a Microsoft 365 group or a cloud-only security group: not mail-enabled, not a distribution list.",
    "No group is dynamic, role-assignable or synchronized from AD DS.",
    "The groups still exist.",
)
_TEAMS: Final = ("Each team still exists, and its membership is not dynamic.",)
_LICENSES_LEFT: Final = (
    "The licenses in question are assigned to the user directly; those that come from a group go with the group.",
)
_PACKAGES: Final = ("The access package and its assignment policy still exist.",)
_EXTENSION: Final = Checklist(
    (
        "The Logic App is enabled, and its run history shows no error: an expired connection, a full quota.",
        "With launch and wait: it answers within the extension's timeout.",
        "The extension's response authorization names the managed identity or application that answers.",
    ),
    f"{_ENTRA}/id-governance/lifecycle-workflow-extensibility",
)


def _mail(to: str, anchor: str) -> Checklist:
    lines = ("The user has a mail address.",) if to == "user" else (_MANAGER, _MANAGERS_MAIL)
    return Checklist(lines, f"{_TASKS}#{anchor}")


_CHECKLISTS: Final[Mapping[str, Checklist]] = {
    # Mail
    "70b29d51-b59a-4773-9280-8841dfd3f2ea": _mail("user", "send-welcome-email-to-new-hire"),
    "3c860712-2d37-42a4-928f-5c93935d26a1": _mail("manager", "send-onboarding-reminder-email"),
    "aab41899-9972-422a-9d97-f626014578b7": _mail("manager", "send-email-to-notify-manager-of-user-move"),
    "52853a3e-f4e5-4eb8-bb24-1ac09a1da935": _mail("manager", "send-email-to-manager-before-users-last-day"),
    "9c0a1eaf-5bda-4392-9d9e-6e155bb57411": _mail("manager", "send-email-on-users-last-day"),
    "6f22ddd4-b3a5-47a4-a846-0d7c201a49ce": _mail("manager", "send-email-to-users-manager-after-their-last-day"),
    "92f74cb4-f1b6-4ec0-b766-96210f56edc2": _mail("manager", "send-email-about-user-inactivity"),
    "1b555e50-7f65-41d5-b514-5894a026d10d": Checklist(
        (
            _MANAGER,
            _MANAGERS_MAIL,
            "The Temporary Access Pass policy is enabled, and the task's lifetime and one-time use are within it.",
            "The user has no other authentication method, no sign-in and no Microsoft Entra role yet.",
        ),
        f"{_TASKS}#generate-temporary-access-pass-and-send-via-email-to-users-manager",
    ),
    # The account
    "6fc52c9d-398b-4305-9763-15f42c1676fc": Checklist((_NO_ROLE, _SYNCED_USER), f"{_TASKS}#enable-user-account"),
    "1dfdfcc7-52fa-4c2e-bf3a-e3919cc12950": Checklist((_NO_ROLE, _SYNCED_USER), f"{_TASKS}#disable-user-account"),
    "8d18588d-9ad3-4c0f-99d0-ec215f0e3dff": Checklist(
        (_NO_ROLE, _SYNCED_USER, "For a user synchronized from AD DS: the Active Directory recycle bin is enabled."),
        f"{_TASKS}#delete-user",
    ),
    "509589a4-0466-4471-829e-49c5e502bdee": Checklist(
        ("The user is not external: external users sign in at their home tenant.",),
        f"{_TASKS}#revoke-all-refresh-tokens-for-user",
    ),
    # Groups and teams
    "22085229-5809-45e8-97fd-270d28d66910": Checklist(_GROUPS, f"{_TASKS}#add-user-to-groups"),
    "1953a66c-751c-45e5-8bfe-01462c70da3c": Checklist(_GROUPS, f"{_TASKS}#remove-user-from-selected-groups"),
    "b3a31406-2a15-4c9a-b25b-a658fa5f07fc": Checklist(_GROUPS[:2], f"{_TASKS}#remove-users-from-all-groups"),
    "e440ed8d-25a1-4618-84ce-091ed5be5594": Checklist(_TEAMS, f"{_TASKS}#add-user-to-teams"),
    "06aa7acb-01af-4824-8899-b14e5ed788d6": Checklist(_TEAMS, f"{_TASKS}#remove-user-from-teams"),
    "81f7b200-2816-4b3b-8c5d-dc556f07b024": Checklist(_TEAMS, f"{_TASKS}#remove-users-from-all-teams"),
    # Licenses and access packages
    "683c87a4-2ad4-420b-97d4-220d90afcd24": Checklist(
        (
            "Each product has licenses left; if not, buy or free some, then reprocess the failed users.",
            "The user has a usage location.",
            "No license that the user has conflicts with a service plan of the new one.",
        ),
        f"{_ENTRA}/fundamentals/license-users-groups",
    ),
    "5fc402a8-daaf-4b7b-9203-da868b05fc5f": Checklist(
        _LICENSES_LEFT, f"{_TASKS}#remove-selected-license-assignments-from-user"
    ),
    "8fa97d28-3e52-4985-b3a9-a1126f9b8b4e": Checklist(
        _LICENSES_LEFT, f"{_TASKS}#remove-all-license-assignments-from-user"
    ),
    "c1ec1e76-f374-4375-aaa6-0bb6bd4c60be": Checklist(
        (
            *_PACKAGES,
            "If the policy asks for approval: its approvers exist, and entitlement management enforces approval for "
            "direct assignments.",
        ),
        f"{_TASKS}#request-user-access-package-assignment",
    ),
    "4a0b64f2-c7ec-46ba-b117-18f262946c50": Checklist(_PACKAGES, f"{_TASKS}#remove-access-package-assignment-for-user"),
    # A Logic App; the documentation gives both identifiers
    "4262b724-8dba-4fad-afc3-43fcbb497a0e": _EXTENSION,
    "d79d1fcc-16be-490c-a865-f4533b1639ee": _EXTENSION,
}


def checklist_of(definition_id: str) -> Checklist | None:
    """Return what to check if a task of this definition failed; None if there is no checklist."""
    return _CHECKLISTS.get(definition_id.casefold())


_ON_PREMISES_ARGUMENTS: Final[Mapping[str, str]] = {
    "6fc52c9d-398b-4305-9763-15f42c1676fc": "enableOnPremisesAccount",
    "1dfdfcc7-52fa-4c2e-bf3a-e3919cc12950": "disableOnPremisesAccount",
    "8d18588d-9ad3-4c0f-99d0-ec215f0e3dff": "deleteOnPremisesAccount",
}
"""The account tasks, each with the argument that makes it process synchronized users too (Graph, `taskDefinition`)."""


def why_doubtful(result: TaskResult) -> str:
    """Return why a successful task may have changed nothing; empty if there is no reason to doubt it.

    An account task ignores a user who is synchronized from AD DS, unless an argument in _ON_PREMISES is set ("User
    account tasks"). Only an expanded `subject` shows whether the user is synchronized. The service's own remark on such
    a task is in its processingInfo.
    """
    argument = _ON_PREMISES_ARGUMENTS.get(result.definition_id.casefold())
    if result.status != "completed" or argument is None:
        return ""
    is_synced = flag_in(object_in(result.received, "subject"), "onPremisesSyncEnabled")
    if not is_synced or (argument.casefold(), "true") in _arguments(result):
        return f"Succeeded, but the service adds: {result.processing_info}" if result.processing_info else ""
    return f"Succeeded, but perhaps without any effect: the user is synchronized from AD DS, and {argument} is not on."


def _arguments(result: TaskResult) -> Iterator[tuple[str, str]]:
    for item in objects_in(object_in(result.received, "task"), "arguments"):
        yield str(item.get("name")).casefold(), str(item.get("value")).casefold()
