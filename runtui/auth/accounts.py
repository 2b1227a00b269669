"""Accounts and access tokens, read from MSAL's stored data without MSAL and without a network.

Invariant: an account is chosen by its id or name; among several, none is chosen at random. The `repr` of a token never
has its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runtui.auth.errors import SignInError, not_signed_in
from runtui.settings import SignInSettings

_EXPIRES_SOON_SECONDS = 300
"""A token with less time left is renewed before use, as in MSAL."""


class Account(NamedTuple):
    """A signed-in account. Its texts are foreign."""

    username: str
    """The sign-in name of a person, or the client id of a program."""
    tenant_id: str
    home_account_id: str = ""
    """MSAL's key of the account; empty for a program."""

    def __str__(self) -> str:
        name = self.username or "an account without a name"
        return f"{name}, tenant {self.tenant_id}" if self.tenant_id else name


def may_be_of_another_tenant(settings: SignInSettings, before: Account | None, account: Account) -> bool:
    """Return True if data read before this account signed in may belong to another tenant."""
    return settings.shares_store and (before is None or before.tenant_id != account.tenant_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token. Times are seconds since 1970."""

    value: str = field(repr=False)
    expires_at: float | None
    """The end of the token; None if unknown."""
    refresh_at: float | None
    """When to renew the token, before its end; None for never."""

    def is_valid(self, now: float) -> bool:
        return self.expires_at is None or now < self.expires_at

    def is_due(self, now: float) -> bool:
        return self.refresh_at is not None and now >= self.refresh_at

    @property
    def expires(self) -> datetime | None:
        return None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC)


class SignedIn(NamedTuple):
    """An account and its token; None for each that is missing."""

    account: Account | None
    token: AccessToken | None


def stored_accounts(tokens: Mapping[str, Any]) -> list[Account]:
    found: dict[str, Account] = {}
    for entry in tokens.get("Account", {}).values():
        home, name, realm = (entry.get(key) for key in ("home_account_id", "username", "realm"))
        if isinstance(home, str) and isinstance(name, str):
            # With an authority for several tenants, take the home tenant from the second half of the account's id.
            tenant = realm if isinstance(realm, str) and "-" in realm else home.partition(".")[2]
            found[home] = Account(username=name, tenant_id=tenant, home_account_id=home)
    return list(found.values())


def choose_account(accounts: Iterable[Account], *, home_account_id: str, username: str) -> Account:
    """Return the account with the id, or if that is empty with the name, or if both are empty the only one.

    Raises:
        SignInError: no account matches, or several do.
    """
    accounts = list(accounts)
    names = ", ".join(account.username or str(account) for account in accounts)
    if home_account_id:
        accounts = [account for account in accounts if account.home_account_id == home_account_id]
    elif username:
        accounts = [account for account in accounts if account.username.lower() == username.lower()]
    if len(accounts) == 1:
        return accounts[0]
    if not accounts:
        who = username or "The account of this session"
        raise not_signed_in(f"{who} is not signed in here; {names} is." if names else "No account is signed in.")
    raise SignInError(
        "Which account?",
        f"Several are signed in here: {names}.",
        "Set username in the profile, or sign in again with the one you mean.",
        needs_person=True,
    )


def stored_token(tokens: Mapping[str, Any], home_account_id: str, scopes: Iterable[str]) -> AccessToken | None:
    """Return the account's token with all `scopes` that expires last; None if there is none."""
    wanted = {scope.lower() for scope in scopes}
    fitting = (
        _token_of_entry(entry)
        for entry in tokens.get("AccessToken", {}).values()
        if entry.get("home_account_id") == home_account_id
        and wanted <= {scope.lower() for scope in str(entry.get("target", "")).split()}
    )
    return max((token for token in fitting if token), key=lambda token: token.expires_at or 0.0, default=None)


def issued_token(answer: Mapping[str, Any], now: float) -> AccessToken:
    """Return the token in a token response that MSAL returned at `now`.

    Raises:
        ValueError: the response has no token.
    """
    value, seconds, due = answer.get("access_token"), answer.get("expires_in"), answer.get("refresh_on")
    if not isinstance(value, str) or not value:
        raise ValueError("a token response without a token")
    life = float(seconds) if isinstance(seconds, int | float) else 0.0
    # A token with a life of minutes is renewed after half of it, not at each use.
    refresh_at = now + life / 2 if life < 2 * _EXPIRES_SOON_SECONDS else _refresh_at(now + life, due)
    return AccessToken(value=value, expires_at=now + life, refresh_at=refresh_at)


def _token_of_entry(entry: Mapping[str, Any]) -> AccessToken | None:
    value = entry.get("secret")
    try:
        expires_at = float(entry["expires_on"])
    except (KeyError, ValueError, TypeError):
        return None
    if not isinstance(value, str) or not value:
        return None
    return AccessToken(value=value, expires_at=expires_at, refresh_at=_refresh_at(expires_at, entry.get("refresh_on")))


def _refresh_at(expires_at: float, due: object) -> float:
    latest = expires_at - _EXPIRES_SOON_SECONDS
    try:
        return min(latest, float(due)) if isinstance(due, str | int | float) else latest
    except ValueError:
        return latest
