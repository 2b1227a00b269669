"""The directory of the sign-in service: its users, its applications, and their permissions.

Invariant: nothing here changes while it serves; grants are kept in `tokens`. A name that is not registered, or a
permission without consent, raises OAuthError. Permissions are those of Microsoft Graph for lifecycle workflows
("Microsoft Graph permissions reference").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runtui.sandbox.authority.errors import aadsts
from runtui.sandbox.entities import guid

WRITE_ALL: Final = "LifecycleWorkflows.ReadWrite.All"
READ_ALL: Final = "LifecycleWorkflows.Read.All"
_CHANGE_WORKFLOWS: Final = "LifecycleWorkflows-Workflow.ReadWrite.All"
_ACTIVATE: Final = "LifecycleWorkflows-Workflow.Activate"

_READERS: Final = frozenset(
    {
        "LifecycleWorkflows-Reports.Read.All",
        "LifecycleWorkflows-Workflow.ReadBasic.All",
        "LifecycleWorkflows-Workflow.Read.All",
        _CHANGE_WORKFLOWS,
        READ_ALL,
        WRITE_ALL,
    }
)
"""Any one of these permissions allows reading."""

_OF_WORKFLOWS: Final = frozenset({_CHANGE_WORKFLOWS, WRITE_ALL})

_WRITERS: Final[Mapping[str, frozenset[str]]] = {
    "activate": _OF_WORKFLOWS | {_ACTIVATE},
    "activateWithScope": _OF_WORKFLOWS | {_ACTIVATE},
    "cancelProcessing": _OF_WORKFLOWS,
    "clearQuarantine": _OF_WORKFLOWS,
    "previewTaskFailures": _OF_WORKFLOWS,
}
"""Any one of these permissions allows an action, by its name; every other write needs `WRITE_ALL`."""

_PERMISSIONS: Final = _READERS | {_ACTIVATE}
_ANY_TENANT: Final = frozenset({"organizations", "common"})
_PROTOCOL_SCOPES: Final = ("openid", "profile", "email", "offline_access")
"""Scopes of the sign-in itself, which need no permission."""


def allow(permissions: frozenset[str], *, write: bool, action: str = "") -> bool:
    """Return whether permissions allow a request: a read, a `write`, or the action of that name."""
    return not permissions.isdisjoint(_WRITERS.get(action, {WRITE_ALL}) if write else _READERS)


@dataclass(frozen=True, slots=True)
class User:
    """A person. `permissions` are those that an application may have for that person (delegated)."""

    username: str
    name: str
    permissions: frozenset[str] = _PERMISSIONS

    @property
    def object_id(self) -> str:
        return guid("account", self.username)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An app registration of a public client. Its redirect URI is http://localhost, which allows every port."""

    client_id: str
    name: str


DEMO_APPLICATION: Final = Application(client_id=guid("client", "runtui"), name="runtui (DEMO)")
DEMO_ADMIN: Final = User("lee.admin@contoso.example", "Lee Admin")
DEMO_READER: Final = User("robin.reader@contoso.example", "Robin Reader", _READERS - _OF_WORKFLOWS)


@dataclass(frozen=True, slots=True)
class Scopes:
    """The requested scopes, and the short names of the permissions that they grant."""

    requested: tuple[str, ...]
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One tenant. `resource` is the only service that its tokens are for: the origin of the Graph root."""

    tenant_id: str = guid("tenant", "contoso")
    domain: str = "contoso.example"
    resource: str = "https://graph.fake.test"
    users: tuple[User, ...] = (DEMO_ADMIN, DEMO_READER)
    applications: tuple[Application, ...] = (DEMO_APPLICATION,)

    def check_tenant(self, name: str) -> None:
        """Check that the tenant of a path is this one: its id, its domain, "organizations" or "common"."""
        if name.lower() not in {self.tenant_id, self.domain} | _ANY_TENANT:
            raise aadsts(90002, tenant=name)

    def application(self, client_id: str) -> Application:
        for application in self.applications:
            if application.client_id == client_id.lower():
                return application
        raise aadsts(700016, client_id=client_id, tenant=self.tenant_id)

    def user(self, username: str) -> User:
        for user in self.users:
            if user.username.lower() == username.lower():
                return user
        raise aadsts(50034, tenant=self.domain)

    def check_scope(self, scope: str) -> None:
        """Check that every word of a `scope` is a scope of the sign-in or a permission of the resource."""
        if not scope.split():
            raise aadsts(70011, scope=scope)
        for word in scope.split():
            if (permission := self._permission(word)) and permission not in _PERMISSIONS | {".default"}:
                raise aadsts(70011, scope=word)

    def scopes(self, scope: str, user: User, application: Application) -> Scopes:
        """Return the permissions that a `scope` grants for a user; `.default` grants all that the user has."""
        self.check_scope(scope)
        requested = tuple(dict.fromkeys(scope.split()))
        permissions = frozenset(permission for word in requested if (permission := self._permission(word)))
        if ".default" in permissions:
            return Scopes(requested, user.permissions)
        if not permissions <= user.permissions:
            raise aadsts(65001, client_id=application.client_id, name=application.name)
        return Scopes(requested, permissions)

    def _permission(self, word: str) -> str:
        """Return the permission that a scope names; empty for a scope of the sign-in itself."""
        if word in _PROTOCOL_SCOPES:
            return ""
        resource, slash, permission = word.rpartition("/")
        if slash and resource.rstrip("/").lower() != self.resource:
            raise aadsts(500011, resource=resource, tenant=self.domain)
        return permission
