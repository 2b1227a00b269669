"""Bearer tokens: where one comes from, held so that it cannot be printed by accident.

Invariant: a token leaves this module only as the value of `Authorization`, asked for by the transport.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from runtui.errors import UsageError
from runtui.redact import register_secret

_TOKEN: Final = re.compile(r"[!-~]+")
_SCHEME: Final = re.compile(r"\Abearer(?:\s+|$)", re.IGNORECASE)

_ACCOUNT_CLAIMS: Final = ("upn", "preferred_username", "unique_name", "app_displayname", "appid")
"""What names the account in Microsoft's access tokens: people first, programs after them."""

_LONGEST_ACCOUNT: Final = 256
"""Characters of a name that are kept."""


@runtime_checkable
class TokenSource(Protocol):
    """Where the token of each request comes from."""

    async def __call__(self) -> str:
        """The token, for one request; RuntuiError when there is none."""

    async def renew(self, challenge: str, /) -> bool:
        """Get another token, because the server refused the last one; whether there is one. Never raises.

        `challenge` is what the server said about it in `WWW-Authenticate`: it may name claims that it wants. It is
        foreign text.
        """


class StaticToken:
    """One bearer token, given by hand; it is never refreshed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Hold a token; the word "Bearer" before it, as copied from a header, is dropped.

        Raises:
            UsageError: when it is empty, or holds a blank or a control character (it would corrupt the header).
        """
        token = _SCHEME.sub("", value.strip())
        if not _TOKEN.fullmatch(token):
            raise UsageError(
                "That token cannot be used",
                "A bearer token is one word of visible ASCII characters." if token else "It is empty.",
                "Put the access token alone into RUNTUI_TOKEN.",
            )
        register_secret(token)
        self._value = token

    def __repr__(self) -> str:
        return "StaticToken(…)"

    async def __call__(self) -> str:
        """The token, for one request."""
        return self._value

    async def renew(self, _challenge: str, /) -> bool:
        """False: there is no other token."""
        return False


class SandboxToken:
    """The token of the embedded sandbox, which takes every word: another one at each renewal."""

    __slots__ = ("_renewals",)

    def __init__(self) -> None:
        self._renewals = 0

    async def __call__(self) -> str:
        """The token, for one request."""
        return f"sandbox-{self._renewals}"

    async def renew(self, _challenge: str, /) -> bool:
        """True: the next request carries another token."""
        self._renewals += 1
        return True


def environment_token(environ: Mapping[str, str] = os.environ) -> StaticToken:
    """The token of `RUNTUI_TOKEN`.

    Raises:
        UsageError: when there is none, or it cannot be used.
    """
    value = environ.get("RUNTUI_TOKEN")
    if value is None:
        raise UsageError(
            "No token",
            "This server wants a bearer token, and RUNTUI_TOKEN is not set.",
            "Set it, for example: export RUNTUI_TOKEN=$(your sign-in command). Or try: runtui demo.",
        )
    return StaticToken(value)


def account_of(token: str) -> str:
    """Whose token this seems to be: a label for the journal, never a proof, for nothing is verified.

    Empty when the token is opaque or odd. Holds printable characters only.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(claims, dict):
        return ""
    names = (claims.get(claim) for claim in _ACCOUNT_CLAIMS)
    return next((label for name in names if isinstance(name, str) and (label := _label(name))), "")


def _label(name: str) -> str:
    return "".join(character for character in name if character.isprintable()).strip()[:_LONGEST_ACCOUNT]
