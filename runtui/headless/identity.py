"""Who is signed in, as text and as JSON, and the next step of a person at a shell.

Invariant: nothing is requested or printed here; lines are visible text. The claims of a token are hints, not proof.
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
from runtui.domain.report import length_words
from runtui.domain.text import visible
from runtui.errors import RuntuiError
from runtui.settings import Settings


def next_step(settings: Settings) -> str:
    """How to get another token, as a sentence."""
    how = settings.sign_in
    if how is None:
        return "Set another token in RUNTUI_TOKEN, or unset it."
    if how.method == "token":
        return f"The token is in {how.token_file}."
    if how.method not in PERSON_METHODS:
        return "Try the sign-in: runtui login."
    if how.token_cache == "memory":  # noqa: S105 - a place
        return 'token-cache is "memory": sign in inside runtui, or set it to "file" and run runtui login.'
    if settings.profile:
        return f"Sign in: runtui login --profile {shlex.quote(settings.profile)}"
    return "Sign in: runtui login with the same options."


def with_next_step(error: SignInError, settings: Settings | None = None) -> RuntuiError:
    """A sign-in error for a person at a shell, with the next step.

    Args:
        error: The error.
        settings: The settings of a command that a sign-in would help; None for the sign-in itself.
    """
    hint = error.hint
    if settings is not None and error.needs_person:
        hint = f"{hint} {next_step(settings)}".strip()
    return RuntuiError(error.title, error.message, "\n".join(filter(None, (hint, " · ".join(error.reference)))))


def identity_json(settings: Settings, state: SignInState, scopes: Sequence[str]) -> str:
    """Who is signed in, as one JSON object."""
    return json.dumps(_facts(settings, state, scopes), indent=2)


def identity_lines(settings: Settings, state: SignInState, scopes: Sequence[str]) -> Iterator[str]:
    """Who is signed in, one fact a line."""
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
    """Scopes without their resource."""
    return [scope.rpartition("/")[2] for scope in scopes]


def _facts(settings: Settings, state: SignInState, scopes: Sequence[str]) -> dict[str, Any]:
    how, account = settings.sign_in, state.account
    # An app is known before it signs in.
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
        supplied = "the token does not say"
        return supplied if method == "token" else "no token yet: requested when needed"
    left = (moment - datetime.now(UTC)).total_seconds()
    when = f"{moment:%Y-%m-%d %H:%M} UTC"
    renewal = "" if method == "token" else "; renewed automatically"
    return f"{when}, in {length_words(left)}{renewal}" if left > 0 else f"{when}, expired{renewal}"


def _permission(settings: Settings, can_write: bool | None) -> str:
    if settings.read_only:
        return "refused: this session is read-only"
    if can_write is None:
        return "unknown: no token says so"
    if can_write:
        return "allowed by the token; a person also needs a directory role"
    return f"not allowed: the token lacks {WRITE_PERMISSION}"
