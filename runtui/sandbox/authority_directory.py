"""Who may sign in, with which programs, for which permissions: the directory behind the sandbox's sign-in.

Invariant: nothing here changes while it serves; what a sign-in does is remembered elsewhere. Permissions are those of
Microsoft Graph for lifecycle workflows ("Microsoft Graph permissions reference").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from runtui.domain.times import MAX_TICKS
from runtui.sandbox.authority_errors import known
from runtui.sandbox.tenant import guid

WRITE_ALL: Final = "LifecycleWorkflows.ReadWrite.All"
READ_ALL: Final = "LifecycleWorkflows.Read.All"

READERS: Final = frozenset(
    {
        "LifecycleWorkflows-Reports.Read.All",
        "LifecycleWorkflows-Workflow.ReadBasic.All",
        "LifecycleWorkflows-Workflow.Read.All",
        "LifecycleWorkflows-Workflow.ReadWrite.All",
        READ_ALL,
        WRITE_ALL,
    }
)
"""Permissions of which any one lets a request read."""

PERMISSIONS: Final = READERS | {"LifecycleWorkflows-Workflow.Activate"}
"""Every permission that there is."""

_ANY_TENANT: Final = frozenset({"organizations", "common"})
_PROTOCOL: Final = ("openid", "profile", "email", "offline_access")
"""Scopes of the sign-in itself, which need no permission."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person. `permissions` is what programs may do in that name."""

    username: str
    name: str
    permissions: frozenset[str] = PERMISSIONS

    @property
    def object_id(self) -> str:
        """The directory's id of this person."""
        return guid("account", self.username)


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Another issuer's word that counts as an application's own.

    Without `public_key` (PEM, of an RSA key or a certificate) the assertion's signature is not looked at.
    """

    issuer: str
    subject: str
    public_key: bytes = b""
    audience: str = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A program's registration.

    `permissions` are its own (app roles). `secret_ends` is in ticks; `certificates` are PEM. A redirect URI on
    http://localhost fits every port.
    """

    client_id: str
    name: str
    is_public: bool = True
    redirect_uris: tuple[str, ...] = ("http://localhost",)
    permissions: frozenset[str] = frozenset()
    secret: str = ""
    secret_ends: int = MAX_TICKS
    certificates: tuple[bytes, ...] = ()
    federated: tuple[FederatedCredential, ...] = ()

    @property
    def object_id(self) -> str:
        """The directory's id of this program's service principal."""
        return guid("application", self.client_id)

    def may_land_on(self, redirect_uri: str) -> bool:
        """Whether a sign-in may end at that address."""
        return any(_fits(redirect_uri, registered) for registered in self.redirect_uris)


Principal = Account | Application
"""Who a token speaks for: a person, or a program by itself."""

DEMO_APPLICATION: Final = Application(client_id=guid("client", "runtui"), name="runtui (DEMO)")
DEMO_ADMIN: Final = Account("lee.admin@contoso.example", "Lee Admin")
DEMO_READER: Final = Account("robin.reader@contoso.example", "Robin Reader", READERS - {WRITE_ALL})


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a token was asked for. `words` are as asked, `permissions` the short names that they come to."""

    words: tuple[str, ...]
    permissions: frozenset[str]

    def has(self, word: str) -> bool:
        """Whether that word was among them."""
        return word in self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One tenant. `resource` is the one service that its tokens are for: the origin of the Graph root."""

    tenant_id: str = guid("tenant", "contoso")
    domain: str = "contoso.example"
    resource: str = "https://graph.fake.test"
    accounts: tuple[Account, ...] = (DEMO_ADMIN, DEMO_READER)
    applications: tuple[Application, ...] = (DEMO_APPLICATION,)

    def check_tenant(self, name: str, *, must_be_one: bool = False) -> None:
        """Nothing, when a path may begin with that name.

        Args:
            name: a tenant's id, its domain, "organizations" or "common".
            must_be_one: whether the last two are too vague.

        Raises:
            SignInError: there is no such tenant, or it is not said which.
        """
        if must_be_one and name in _ANY_TENANT:
            raise known(50059)
        if name.lower() not in {self.tenant_id, self.domain} | _ANY_TENANT:
            raise known(90002, tenant=name)

    def application(self, client_id: str) -> Application:
        """The program with that id.

        Raises:
            SignInError: there is none.
        """
        for application in self.applications:
            if application.client_id == client_id.lower():
                return application
        raise known(700016, client_id=client_id, tenant=self.tenant_id)

    def account(self, username: str) -> Account:
        """The person with that name, in whatever case.

        Raises:
            SignInError: there is none.
        """
        for account in self.accounts:
            if account.username.lower() == username.lower():
                return account
        raise known(50034, tenant=self.domain)

    def check_scope(self, scope: str) -> None:
        """Nothing, when every word is a scope of the sign-in or a permission of the resource.

        Raises:
            SignInError: a resource or a permission that there is not, or no word at all.
        """
        if not scope.split():
            raise known(70011, scope=scope)
        for word in scope.split():
            if (permission := self._permission(word)) and permission not in PERMISSIONS | {".default"}:
                raise known(70011, scope=word)

    def scopes(self, scope: str, principal: Principal, application: Application) -> Scopes:
        """What asking for `scope` comes to for this principal. `.default` is all that was ever agreed to.

        Raises:
            SignInError: what `check_scope` raises; a permission that nobody agreed to.
        """
        self.check_scope(scope)
        words = tuple(dict.fromkeys(scope.split()))
        asked = {permission for word in words if (permission := self._permission(word))}
        if ".default" in asked:
            return Scopes(words, principal.permissions)
        if not asked <= principal.permissions:
            raise known(65001, client_id=application.client_id, name=application.name)
        return Scopes(words, frozenset(asked))

    def answered_scope(self, scopes: Scopes) -> str:
        """The `scope` of an answer: what was asked, with what `.default` stood for."""
        words = [word for word in scopes.words if word != "offline_access"]
        if any(word.endswith("/.default") for word in words):
            words += [f"{self.resource}/{permission}" for permission in sorted(scopes.permissions)]
        return " ".join(dict.fromkeys(words))

    def _permission(self, word: str) -> str:
        """The permission that a scope names; empty for a scope of the sign-in itself."""
        if word in _PROTOCOL:
            return ""
        resource, slash, permission = word.rpartition("/")
        if slash and resource.rstrip("/").lower() != self.resource:
            raise known(500011, resource=resource, tenant=self.domain)
        return permission


def _fits(redirect_uri: str, registered: str) -> bool:
    if not redirect_uri.isascii() or not redirect_uri.isprintable():
        return False
    if redirect_uri == registered:
        return True
    try:
        asked, known_one = urlsplit(redirect_uri), urlsplit(registered)
        _ = asked.port  # a port that is no number
    except ValueError:
        return False
    loopback = (asked.scheme, asked.hostname) == (known_one.scheme, known_one.hostname) == ("http", "localhost")
    same_path = asked.path.rstrip("/") == known_one.path.rstrip("/")
    return loopback and same_path and "@" not in asked.netloc
