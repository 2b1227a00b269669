"""The built-in tasks of the tenant's workflows, and the custom task extensions that they call.

Invariant: identifiers, categories and names of arguments are those of "Lifecycle Workflow built-in tasks" (Microsoft
Entra documentation).
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final, NamedTuple

from runtui.domain.times import DAY
from runtui.sandbox.entities import guid


class TaskDefinition(NamedTuple):
    """A built-in task, as workflows use it."""

    id: str
    category: str
    display_name: str
    description: str
    arguments: tuple[tuple[str, str], ...] = ()
    """Names and values; an empty value stands for an id that depends on the workflow."""
    continues_on_error: bool = False
    """The tasks after it run even if it fails."""


class Extension(NamedTuple):
    """A custom task extension: a Logic App that a task calls, and for whose callback the task waits."""

    display_name: str
    description: str
    logic_app: str
    timeout: str = "PT3H"
    """The time for which the task waits, as an ISO 8601 duration: the service allows 5 minutes to 3 hours."""

    @property
    def id(self) -> str:
        return guid("extension", self.logic_app)


# fmt: off
SEND_WELCOME: Final = TaskDefinition(
    "70b29d51-b59a-4773-9280-8841dfd3f2ea", "joiner", "Send Welcome Email",
    "Send welcome email to new hire", continues_on_error=True,
)
SEND_REMINDER: Final = TaskDefinition(
    "3c860712-2d37-42a4-928f-5c93935d26a1", "joiner", "Send onboarding reminder email",
    "Send onboarding reminder email to the user's manager", continues_on_error=True,
)
GENERATE_TAP: Final = TaskDefinition(
    "1b555e50-7f65-41d5-b514-5894a026d10d", "joiner", "Generate TAP And Send Email",
    "Generate Temporary Access Pass and send via email to user's manager",
    (("tapLifetimeMinutes", "480"), ("tapIsUsableOnce", "true")),
)
ENABLE_ACCOUNT: Final = TaskDefinition(
    "6fc52c9d-398b-4305-9763-15f42c1676fc", "joiner,leaver", "Enable User Account",
    "Enable user account in the directory",
)
ASSIGN_LICENSES: Final = TaskDefinition(
    "683c87a4-2ad4-420b-97d4-220d90afcd24", "joiner,mover", "Assign licenses to user",
    "Assign selected licenses to the user", (("licenses", ""),),
)
REQUEST_ACCESS_PACKAGE: Final = TaskDefinition(
    "c1ec1e76-f374-4375-aaa6-0bb6bd4c60be", "joiner,mover", "Request user access package assignment",
    "Request user assignment to selected access package", (("assignmentPolicyId", ""), ("accessPackageId", "")),
)
ADD_TO_GROUPS: Final = TaskDefinition(
    "22085229-5809-45e8-97fd-270d28d66910", "joiner,leaver,mover", "Add User To Groups",
    "Add user to selected groups", (("groupID", ""),),
)
ADD_TO_TEAMS: Final = TaskDefinition(
    "e440ed8d-25a1-4618-84ce-091ed5be5594", "joiner,leaver,mover", "Add User To Teams",
    "Add user to selected teams", (("teamID", ""),), continues_on_error=True,
)
NOTIFY_MOVE: Final = TaskDefinition(
    "aab41899-9972-422a-9d97-f626014578b7", "mover", "Send email to notify manager of user move",
    "Send email to notify user's manager of user move", continues_on_error=True,
)
REMOVE_FROM_GROUPS: Final = TaskDefinition(
    "1953a66c-751c-45e5-8bfe-01462c70da3c", "joiner,leaver,mover", "Remove user from selected groups",
    "Remove user from membership of selected groups", (("groupID", ""),),
)
CUSTOM_EXTENSION: Final = TaskDefinition(
    "4262b724-8dba-4fad-afc3-43fcbb497a0e", "joiner,leaver,mover", "Run a Custom Task Extension",
    "Run a custom task extension to call out to an external system", (("customTaskExtensionID", ""),),
)
DISABLE_ACCOUNT: Final = TaskDefinition(
    "1dfdfcc7-52fa-4c2e-bf3a-e3919cc12950", "joiner,leaver", "Disable User Account",
    "Disable user account in the directory",
)
REMOVE_ALL_GROUPS: Final = TaskDefinition(
    "b3a31406-2a15-4c9a-b25b-a658fa5f07fc", "leaver", "Remove user from all groups",
    "Remove user from all group memberships",
)
REMOVE_ALL_TEAMS: Final = TaskDefinition(
    "81f7b200-2816-4b3b-8c5d-dc556f07b024", "leaver", "Remove user from all Teams",
    "Remove user from all Teams memberships",
)
REMOVE_ALL_LICENSES: Final = TaskDefinition(
    "8fa97d28-3e52-4985-b3a9-a1126f9b8b4e", "leaver", "Remove all licenses for user",
    "Remove all licenses assigned to the user",
)
REVOKE_TOKENS: Final = TaskDefinition(
    "509589a4-0466-4471-829e-49c5e502bdee", "leaver,mover", "Revoke all refresh tokens for user",
    "Revoke all refresh tokens for user",
)
DELETE_USER: Final = TaskDefinition(
    "8d18588d-9ad3-4c0f-99d0-ec215f0e3dff", "leaver", "Delete User Account",
    "Delete user account in the directory",
)
EMAIL_BEFORE_LAST_DAY: Final = TaskDefinition(
    "52853a3e-f4e5-4eb8-bb24-1ac09a1da935", "leaver", "Send email before user's last day",
    "Send offboarding email to user's manager before the last day of work", continues_on_error=True,
)
EMAIL_ON_LAST_DAY: Final = TaskDefinition(
    "9c0a1eaf-5bda-4392-9d9e-6e155bb57411", "leaver", "Send email on user's last day",
    "Send offboarding email to user's manager on the last day of work",
)
EMAIL_AFTER_LAST_DAY: Final = TaskDefinition(
    "6f22ddd4-b3a5-47a4-a846-0d7c201a49ce", "leaver", "Send offboarding email to user's manager after last day",
    "Send offboarding email to user's manager after the last day of work", continues_on_error=True,
)
# fmt: on

ARCHIVE_MAILBOX: Final = Extension("Archive mailbox", "Moves the mailbox to the archive store", "la-archive-mailbox")
LEGAL_HOLD: Final = Extension("Legal hold", "Puts mailbox and OneDrive on hold", "la-legal-hold", "PT1H")
RETURN_ASSETS: Final = Extension("Return of assets", "Opens a ticket for laptop and badge", "la-return-assets", "PT30M")
EXTENSIONS: Final = (ARCHIVE_MAILBOX, LEGAL_HOLD, RETURN_ASSETS)


def calling(extension: Extension) -> TaskDefinition:
    return CUSTOM_EXTENSION._replace(arguments=((CUSTOM_EXTENSION.arguments[0][0], extension.id),))


@cache
def task_json(workflow_id: str, index: int, task: TaskDefinition) -> str:
    """Return the task at a place of a workflow as JSON text."""
    arguments = [{"name": name, "value": value or guid(workflow_id, name, index)} for name, value in task.arguments]
    content = {
        "id": guid(workflow_id, "task", index),
        "category": task.category,
        "continueOnError": task.continues_on_error,
        "description": task.description,
        "displayName": task.display_name,
        "executionSequence": index + 1,
        "isEnabled": True,
        "taskDefinitionId": task.id,
        "arguments": arguments,
    }
    return json.dumps(content)


def extension_state(extension: Extension, now: int) -> dict[str, Any]:
    """Return the properties of a custom task extension at a moment (ticks), for `entities.EXTENSION.record`."""
    created = now - 400 * DAY
    endpoint = {
        "@odata.type": "#microsoft.graph.logicAppTriggerEndpointConfiguration",
        "subscriptionId": guid("subscription"),
        "resourceGroupName": "rg-lifecycle",
        "logicAppWorkflowName": extension.logic_app,
        "url": f"https://{extension.logic_app}.logic.azure.test/triggers/manual",
    }
    callback = {
        "@odata.type": "#microsoft.graph.identityGovernance.customTaskExtensionCallbackConfiguration",
        "timeoutDuration": extension.timeout,
    }
    return {
        "id": extension.id,
        "displayName": extension.display_name,
        "description": extension.description,
        "authenticationConfiguration": json.dumps({"@odata.type": "#microsoft.graph.azureAdPopTokenAuthentication"}),
        "clientConfiguration": json.dumps({"timeoutInMilliseconds": 1_000, "maximumRetries": 1}),
        "endpointConfiguration": json.dumps(endpoint),
        "callbackConfiguration": json.dumps(callback),
        "replyMode": "callback",
        "createdDateTime": created,
        "lastModifiedDateTime": created + 90 * DAY,
    }
