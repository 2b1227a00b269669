"""The causes for which tasks of the tenant fail or wait, each with a sentence of the service.

Invariant: a reason is a pure function of (cause, person, extension, moment). As in the service, it contains ids, names,
addresses, numbers and times that differ from person to person. The prerequisites that people miss: "Lifecycle Workflow
built-in tasks" (Microsoft Entra documentation).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from runtui.domain.times import format_ticks
from runtui.sandbox.entities import guid
from runtui.sandbox.tenant.people import Person
from runtui.sandbox.tenant.tasks import (
    ADD_TO_GROUPS,
    ADD_TO_TEAMS,
    ASSIGN_LICENSES,
    CUSTOM_EXTENSION,
    DELETE_USER,
    GENERATE_TAP,
    REMOVE_ALL_GROUPS,
    REQUEST_ACCESS_PACKAGE,
    SEND_WELCOME,
    TaskDefinition,
)

_GROUPS: Final = ("TYO-All-Staff", "SG-Sales-EMEA", "SG-Finance-Readers", "BER-Building-Access")
_TEAMS: Final = ("Project Falcon", "Onboarding 2025")
_PACKAGES: Final = ("Contractor baseline", "Sales tools", "Finance read-only")
_ROLES: Final = ("Helpdesk Administrator", "Groups Administrator", "Exchange Administrator")


class Cause(NamedTuple):
    """A cause of failures: the task that fails, and the reason that the service gives."""

    task: TaskDefinition
    sentence: str
    """The reason, as a format string; `reason` fills in its names."""
    deletes_user: bool = False
    """The user is no longer in the directory."""
    cures: int = 0
    """One in `cures` people is cured when the task is tried again: 1 for all, 0 for none."""
    configuration: str = ""
    """What is wrong with the task for every user, as a format string like `sentence`; empty if nothing is."""

    def remains(self, person: Person) -> bool:
        """Return whether the task of a person fails again."""
        return not self.cures or person.number % self.cures > 0

    def reason(self, person: Person, extension: str, moment: int) -> str:
        """Return the reason for one person; `extension` is the Logic App that the task calls, `moment` is in ticks."""
        return self._filled(self.sentence, person, extension, moment)

    def flaw(self, person: Person) -> str:
        """Return what is wrong with the task for every user, with this person's values; empty if nothing is."""
        return self._filled(self.configuration, person, "", 0)

    def _filled(self, sentence: str, person: Person, extension: str, moment: int) -> str:
        number = person.number
        return sentence.format(
            user=person.id,
            upn=person.user_principal_name,
            mail=person.mail,
            methods=1 + number % 3,
            attempts=2 + number % 4,
            request=guid("request", person.id, moment),
            time=format_ticks(moment),
            extension=extension,
            extension_id=guid("extension", extension),
            **_named("group", _GROUPS, number),
            **_named("team", _TEAMS, number),
            **_named("package", _PACKAGES, number),
            role=_ROLES[number % len(_ROLES)],
        )


def _named(kind: str, names: tuple[str, ...], number: int) -> dict[str, str]:
    name = names[number % len(names)]
    return {kind: name, f"{kind}_id": guid(kind, name)}


POOL_DRY: Final = Cause(
    ASSIGN_LICENSES,
    "License assignment failed for user {user}: subscription SPE_E5 has no available licenses "
    "(500 of 500 are assigned). Correlation id: {request}.",
    cures=1,
)
NO_MANAGER: Final = Cause(
    GENERATE_TAP, "The Temporary Access Pass for '{upn}' was not sent: the user has no manager to send it to.", cures=2
)
OTHER_METHOD: Final = Cause(
    GENERATE_TAP,
    "A Temporary Access Pass cannot be created for '{upn}' ({user}): "
    "the user has already registered {methods} other authentication methods.",
)
OUT_OF_POLICY: Final = Cause(
    REQUEST_ACCESS_PACKAGE,
    "The request for access package '{package}' ({package_id}) was denied: "
    "user '{upn}' is not in the scope of the assignment policy.",
    cures=1,
)
NO_CALLBACK: Final = Cause(
    CUSTOM_EXTENSION,
    "Logic App '{extension}' did not call back in time. It was called at {time} (request {request}) "
    "and answered 202 Accepted.",
    cures=1,
)
CALLBACK_DUE: Final = Cause(
    CUSTOM_EXTENSION,
    "Waiting for the callback of Logic App '{extension}' (custom task extension {extension_id}), called at {time}.",
)
CALLED_BACK_FAILED: Final = Cause(
    CUSTOM_EXTENSION,
    "Logic App '{extension}' (custom task extension {extension_id}) called back: the operation has failed.",
    cures=1,
)
SYNCED_GROUP: Final = Cause(
    ADD_TO_GROUPS,
    "Group '{group}' ({group_id}) is synchronized from an on-premises directory. Its members cannot be changed: {upn}.",
    configuration="Group '{group}' ({group_id}) is synchronized from an on-premises directory.",
)
ROLE_ASSIGNABLE: Final = Cause(
    REMOVE_ALL_GROUPS,
    "User {user} could not be removed from group '{group}' ({group_id}): the group is assignable to a directory role.",
)
ARCHIVED_TEAM: Final = Cause(
    ADD_TO_TEAMS,
    "Team '{team}' ({team_id}) is archived. User {user} was not added after {attempts} attempts.",
    configuration="Team '{team}' ({team_id}) is archived.",
)
NO_MAILBOX: Final = Cause(
    SEND_WELCOME,
    "The email to {mail} was not sent after {attempts} attempts: MailboxNotEnabledForRESTAPI. "
    "The mailbox is inactive, soft-deleted, or hosted on-premises.",
    cures=2,
)
PRIVILEGED: Final = Cause(
    DELETE_USER, "Insufficient privileges to delete user {user}: the user holds the directory role '{role}'."
)
ALREADY_DELETED: Final = Cause(
    DELETE_USER,
    "Resource '{user}' does not exist or one of its queried reference-property objects are not present.",
    deletes_user=True,
)
