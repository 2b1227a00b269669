"""Bearer tokens: where one comes from, held so that it cannot be printed by accident.

Invariant: a token leaves this module only as the value of `Authorization`, asked for by the transport.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from runtui.errors import UsageError
from runtui.redact import register_secret

_TOKEN: Final = re.compile(r"[!-~]+")
_SCHEME: Final = re.compile(r"\Abearer(?:\s+|$)", re.IGNORECASE)


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
