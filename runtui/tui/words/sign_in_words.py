"""What the screen says of a sign-in: pure words from its state.

Invariant: addresses and codes come from their fields, never from a server's own sentence. No token is in reach here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from runtui.keys.actions import key_of
from runtui.settings import SignInSettings
from runtui.tui.text import middle

if TYPE_CHECKING:
    from runtui.auth.signin import Account, SignIn, SignInError, SignInState

Way = Literal["device-code", "browser", "interactive"]

WAYS: Final[Mapping[Way, str]] = {
    "device-code": "Device code: type a short code on any device that has a browser",
    "browser": "Browser elsewhere: open an address, then paste the one it ends at",
    "interactive": "Browser here: open it on this machine and come back by itself",
}

SOON: Final = timedelta(minutes=10)
"""From so little on, the time that a token has left is told."""

_NAME_CELLS: Final = 20
"""What the first line gives to an account."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is behind a request to sign in: people are to compare it with what they began themselves."""

    host: str
    user: str

    @classmethod
    def here(cls) -> Asker:
        """This process."""
        import getpass
        import socket

        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # an id without a name
            user = str(os.getuid())
        return cls(socket.gethostname(), user)

    def __str__(self) -> str:
        return f"This request comes from runtui on {self.host} as user {self.user}."


BEWARE: Final = "Never enter a code that someone sent you."
BEWARE_PAGE: Final = "Never open or paste an address that someone sent you."


def why_nobody(sign_in: SignIn | None) -> str | None:
    """Why no person signs in in this session; None when one does."""
    if sign_in is None:
        return "This session has a token by hand: there is nobody to sign in."
    if not sign_in.is_person:
        account = sign_in.state.account
        as_whom = f", as {account.username}" if account is not None and account.username else ""
        return f"This session signs in by itself ({sign_in.settings.method}){as_whom}."
    return None


def ways(settings: SignInSettings, environ: Mapping[str, str] = os.environ) -> tuple[Way, ...]:
    """The ways that make sense here, the profile's own first."""
    possible = [way for way in WAYS if way != "interactive" or has_browser(environ)]
    return tuple(sorted(possible, key=lambda way: way != settings.method))


def has_browser(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a browser can be opened on this machine: the session is local, and it has a screen."""
    if "SSH_CONNECTION" in environ or "SSH_TTY" in environ:
        return False
    return sys.platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def short_name(account: Account) -> str:
    """An account as the first line names it: without its domain, and never long."""
    return middle(account.username.partition("@")[0] or account.username or "?", _NAME_CELLS)


def who(state: SignInState | None, now: datetime) -> str:
    """Who is signed in, for the first line; with the time that the token has left (as of `now`, aware) when that is
    little. Empty without a sign-in."""
    if state is None or (state.account is None and state.trouble is None):
        return ""
    if state.account is None:
        return "signed out" if state.needs_person else "not signed in"
    name = short_name(state.account)
    if state.needs_person:
        return f"{name}: sign in again"
    left = _left(state, now)
    if left is None or left >= SOON:
        return name
    minutes = int(left / timedelta(minutes=1))
    rest = f"token {minutes} min" if minutes else "token under 1 min" if left > timedelta(0) else "token ended"
    return f"{name} · {rest}"


def next_change(state: SignInState, now: datetime) -> float | None:
    """Seconds after which `who` says something else only because time went by; None: never."""
    left = _left(state, now)
    if left is None or left <= timedelta(0):
        return None
    if left > SOON:
        return (left - SOON).total_seconds() + 1.0
    return left.total_seconds() % 60.0 + 1.0


def _left(state: SignInState, now: datetime) -> timedelta | None:
    return None if state.expires_at is None else state.expires_at - now


def signed_in(account: Account, *, goes_on: bool) -> str:
    """After a sign-in."""
    onward = " What waited for it goes on." if goes_on else ""
    return f"Signed in as {account}.{onward}"


def standing(state: SignInState) -> tuple[str, ...]:
    """Who is signed in, line by line."""
    if state.account is None:
        return ("Nobody is signed in.",)
    nowhere = "the token does not say"
    lines = [f"account  {state.account.username or nowhere}", f"tenant   {state.account.tenant_id or nowhere}"]
    if state.needs_person:
        return tuple(lines)
    if state.expires_at is not None:
        lines.append(f"token    until {state.expires_at.astimezone():%H:%M}; it is renewed before that")
    if state.can_write is not None:
        lines.append(f"writing  {'permitted by the token' if state.can_write else 'not permitted by the token'}")
    return tuple(lines)


def countdown(ends: datetime, now: datetime) -> str:
    """How long there is time for a sign-in (as of `now`)."""
    seconds = max(0, int((ends - now).total_seconds()))
    return f"Waiting for you: {seconds // 60}:{seconds % 60:02} left."


def cannot_write(sign_in: SignIn | None) -> str:
    """A hint that a change will hardly be taken; empty where nothing speaks against it."""
    if sign_in is None or sign_in.state.can_write is not False:
        return ""
    return "The token does not say that you may change runs (LifecycleWorkflows.ReadWrite.All): expect a refusal."


def sign_out_question(key: str) -> str:
    """Asked before signing out; the same key answers it."""
    return f"Sign out? Every token of this session is forgotten. Press {key} again to sign out."


def signed_out(settings: SignInSettings) -> str:
    """After signing out."""
    kept = " and the file that kept them is deleted" if settings.token_cache == "file" else ""  # noqa: S105 - a place
    return f"Signed out: the tokens are forgotten{kept}. Your browser is still signed in: that session ends only there."


def given_up() -> str:
    """After esc while a sign-in was under way."""
    return "Given up: nothing of it is kept, and the code or address is of no use any more."


def left_without(key: str, *, somebody_waited: bool) -> str:
    """After esc, while a person is needed."""
    what = "What waited for it was not done; drafts are kept." if somebody_waited else "Nothing is read until then."
    return f"Not signed in. {what} {key} signs in."


def needed(trouble: SignInError | None, key: str) -> str:
    """A person is needed, and is busy typing."""
    title = f"{trouble.title}. " if trouble is not None else ""
    return f"{title}Sign in when it suits you: {key_of('leave')}, then {key}."
