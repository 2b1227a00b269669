"""The sentences of the screen about a sign-in, from its state.

Invariant: addresses and codes come from their fields, never from a server's sentence. No function gets a token.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from runtui.domain.times import second_text
from runtui.keys.actions import key_of
from runtui.settings import SignInSettings
from runtui.tui.text import middle

if TYPE_CHECKING:
    from runtui.auth.accounts import Account
    from runtui.auth.errors import SignInError
    from runtui.auth.signin import SignIn, SignInState

PersonMethod = Literal["device-code", "browser", "interactive"]

METHOD_LABELS: Final[Mapping[PersonMethod, str]] = {
    "device-code": "Device code: type a short code on any device that has a browser",
    "browser": "Browser elsewhere: open an address there, then paste the address where it ends",
    "interactive": "Browser here: runtui opens it on this machine and continues by itself",
}

SOON: Final = timedelta(minutes=10)
"""The remaining time of a token below which the header shows it."""

_NAME_CELLS: Final = 20
"""The most cells of an account in the header."""

BEWARE_PAGE: Final = "Never open or paste an address that someone sent you."


def available_methods(settings: SignInSettings, environ: Mapping[str, str] = os.environ) -> tuple[PersonMethod, ...]:
    """Return the methods that work on this machine, with the profile's own first."""
    from runtui.auth.flows import has_browser

    possible = [method for method in METHOD_LABELS if method != "interactive" or has_browser(environ)]
    return tuple(sorted(possible, key=lambda method: method != settings.method))


def short_name(account: Account) -> str:
    """Return an account for the header: without its domain, at most `_NAME_CELLS` cells; empty without a name."""
    return middle(account.username.partition("@")[0] or account.username, _NAME_CELLS)


def who(state: SignInState, now: datetime) -> str:
    """Return the account for the header, and the time left for its token if that is less than `SOON`.

    Empty while the account is unknown; `now` is aware.
    """
    if state.account is None and state.error is None:
        return ""
    if state.account is None:
        return "signed out" if state.needs_person else "not signed in"
    name = short_name(state.account)
    if state.needs_person:
        return ": ".join(filter(None, (name, "sign in again")))
    left = _time_left(state, now)
    if left is None or left >= SOON:
        return name
    minutes = int(left / timedelta(minutes=1))
    rest = f"token {minutes} min" if minutes else "token under 1 min" if left > timedelta(0) else "token expired"
    return " · ".join(filter(None, (name, rest)))


def _time_left(state: SignInState, now: datetime) -> timedelta | None:
    return None if state.expires_at is None else state.expires_at - now


def signed_in(account: Account, *, goes_on: bool) -> str:
    """Say who has signed in; with `goes_on`, also that the request that waited for it continues."""
    return f"Signed in as {account}.{' The waiting request continues.' if goes_on else ''}"


def state_lines(state: SignInState) -> tuple[str, ...]:
    if state.account is None:
        return ("Nobody is signed in.",)
    nowhere = "not in the token"
    lines = [f"account  {state.account.username or nowhere}", f"tenant   {state.account.tenant_id or nowhere}"]
    if state.needs_person:
        return tuple(lines)
    if state.expires_at is not None:
        lines.append(f"token    until {second_text(state.expires_at)}, renewed automatically")
    if state.can_write is not None:
        lines.append(f"changes  {'allowed by the token' if state.can_write else 'not allowed by the token'}")
    return tuple(lines)


def cannot_write(sign_in: SignIn | None) -> str:
    """Warn that the token does not allow changes; empty if it does, or if that is unknown."""
    if sign_in is None or sign_in.state.can_write is not False:
        return ""
    return "The token lacks LifecycleWorkflows.ReadWrite.All; the service will probably refuse changes."


def signed_out(settings: SignInSettings) -> str:
    file = " and their file" if settings.token_cache == "file" else ""  # noqa: S105 - a place
    return f"Signed out: the tokens{file} are deleted. Your browser is still signed in; sign out there as well."


def left_without(*, request_waited: bool) -> str:
    what = "The waiting request failed; drafts are kept." if request_waited else "Runs cannot be read."
    return f"Not signed in. {what} {key_of('sign_in')} signs in."


def sign_in_needed(trouble: SignInError | None) -> str:
    """Say that a sign-in is needed, to a person who is typing."""
    title = f"{trouble.title}. " if trouble is not None else ""
    return f"{title}Sign in when you are ready: {key_of('leave')}, then {key_of('sign_in')}."
