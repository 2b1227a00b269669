"""Who is signed in, as lines and as JSON, and what a person at a shell does next.

Invariant: nothing is asked or printed here; lines are visible text. What a token says is a hint and is called one.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from runtui.auth.claims import WRITE_PERMISSION
from runtui.auth.msal_client import PERSON_METHODS
from runtui.auth.signin import SignInError, SignInState
from runtui.domain.text import visible
from runtui.errors import RuntuiError
from runtui.graph.retry import length_words
from runtui.settings import Settings


def next_step(settings: Settings) -> str:
    """How to get another token, in a sentence."""
    how = settings.sign_in
    if how is None:
        return "Put another token into RUNTUI_TOKEN, or take it out."
    if how.method == "token":
        return f"The token is in {how.token_file}."
    if how.method not in PERSON_METHODS:
        return "A program signs in with each command; runtui login tries it."
    if how.token_cache == "memory":  # noqa: S105 - a place
        return 'token-cache is "memory": sign in inside runtui, or set it to "file" and use runtui login.'
    if settings.profile:
        return f"Sign in: runtui login --profile {shlex.quote(settings.profile)}"
    return "Sign in: runtui login, with the same options."


def in_shell(error: SignInError, settings: Settings | None = None) -> RuntuiError:
    """The same for somebody at a shell.

    Args:
        error: What happened.
        settings: Of a command that a person's sign-in would help; None for the sign-in itself.
    """
    hint = error.hint
    if settings is not None and error.needs_person:
        hint = f"{hint} {next_step(settings)}".strip()
    return RuntuiError(error.title, error.message, "\n".join(filter(None, (hint, str(error.reference)))))


def identity_json(settings: Settings, state: SignInState, scopes: Sequence[str]) -> str:
    """Who is signed in, as one JSON object."""
    return json.dumps(_facts(settings, state, scopes), indent=2)


def identity_lines(settings: Settings, state: SignInState, scopes: Sequence[str]) -> Iterator[str]:
    """Who is signed in, a fact a line."""
    facts = _facts(settings, state, scopes)
    words = {
        "account": facts["account"] or "the token does not say",
        "tenant": facts["tenantId"] or "the token does not say",
        "profile": facts["profile"] or "none",
        "root": facts["root"],
        "method": facts["method"],
        "expires": _ending(state.expires_at, facts["method"]),
        "scopes": ", ".join(short_scopes(scopes)) or "those of the token",
        "changes": _permission(settings, state.can_write),
    }
    return (f"{name:8} {visible(value)}" for name, value in words.items())


def short_scopes(scopes: Sequence[str]) -> list[str]:
    """Without the resource that they are scopes of."""
    return [scope.rpartition("/")[2] for scope in scopes]


def _facts(settings: Settings, state: SignInState, scopes: Sequence[str]) -> dict[str, Any]:
    how, account = settings.sign_in, state.account
    # A program that has not signed in yet is who it is all the same.
    program = (
        how.client_id or "managed identity" if how is not None and how.method not in ("token", *PERSON_METHODS) else ""
    )
    return {
        "account": (account.username if account else program) or None,
        "tenantId": (account.tenant_id if account else how.tenant_id if how else "") or None,
        "profile": settings.profile or None,
        "root": settings.root,
        "method": how.method if how else "token",
        "expiresAt": state.expires_at.isoformat(timespec="seconds") if state.expires_at else None,
        "scopes": list(scopes),
        "canWrite": False if settings.read_only else state.can_write,
    }


def _ending(moment: datetime | None, method: str) -> str:
    if moment is None:
        by_hand = "the token does not say"
        return by_hand if method == "token" else "no token at hand: asked for when it is needed"
    left = (moment - datetime.now(UTC)).total_seconds()
    when = f"{moment:%Y-%m-%d %H:%M} UTC"
    onward = "" if method == "token" else "; renewed by itself"
    return f"{when}, in {length_words(left)}{onward}" if left > 0 else f"{when}, which is over{onward}"


def _permission(settings: Settings, can_write: bool | None) -> str:
    if settings.read_only:
        return "refused here: read-only"
    if can_write is None:
        return "not known: there is no token that says"
    if can_write:
        return "allowed by the token; a person needs a role in the directory besides"
    return f"not allowed by the token: it lacks {WRITE_PERMISSION}"
