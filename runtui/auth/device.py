"""Signing in by a code that is typed on another device.

Invariant: the sign-in service is asked at the pace it wants, never faster than once a second; nothing of the sign-in is
kept here, so giving up leaves nothing behind. The secret device code leaves in requests to the service alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from runtui.auth.words import SignInError, refusal_of
from runtui.redact import register_secret

SHORTEST_INTERVAL: Final = 1
LONGEST_INTERVAL: Final = 60
"""Seconds between two polls, whatever the service says."""

LONGEST_LIFE: Final = 900
"""Seconds that a code is waited for."""

_GO_ON: Final = ("authorization_pending", "slow_down", "temporarily_unavailable")

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]
"""Calls something that blocks beside the loop; failures come out as SignInError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What a person needs to sign in on another device. The secret device code is not part of it."""

    user_code: str
    """Foreign text, a few letters; it may be copied."""
    verification_uri: str
    """Where to type it; an https address. Foreign text."""
    expires_at: datetime
    """UTC, at most 15 minutes from its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSignIn:
    """One attempt. `app` is a MSAL application whose cache is thrown away unless the attempt succeeds."""

    app: Any
    scopes: tuple[str, ...]
    claims: str
    run: Run[Any]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __call__(self, show: Callable[[DeviceCode], None]) -> Mapping[str, Any]:
        """The answer with the token.

        Raises:
            SignInError: refused, expired, blocked.
        """
        claims = self.claims or None
        flow = await self.run(lambda: self.app.initiate_device_flow(list(self.scopes), claims_challenge=claims))
        if not isinstance(flow.get("user_code"), str) or not isinstance(flow.get("device_code"), str):
            raise refusal_of(flow, client_id=self.app.client_id, scopes=self.scopes)
        register_secret(flow["device_code"])
        life = _clamped(flow.get("expires_in"), 1, LONGEST_LIFE)
        ends = time.monotonic() + life
        show(
            DeviceCode(
                user_code=flow["user_code"],
                verification_uri=_checked(flow.get("verification_uri")),
                expires_at=datetime.fromtimestamp(time.time() + life, UTC),
            )
        )
        wait = _pace(flow)
        while time.monotonic() + wait < ends:
            await self.pause(wait)
            answer, wait = await self._poll(flow)
            if "access_token" in answer:
                return answer
            if answer.get("error") not in _GO_ON:
                raise refusal_of(answer, client_id=self.app.client_id, scopes=self.scopes)
        raise refusal_of({"error": "expired_token"})

    async def _poll(self, flow: dict[str, Any]) -> tuple[Mapping[str, Any], int]:
        """What the service says to one poll, and the seconds until the next. Trouble on the way is no refusal."""
        pace = flow["interval"] = _pace(flow)
        # Our clock keeps the pace; MSAL would print a warning about its own.
        flow.pop("latest_attempt_at", None)
        claims = self.claims or None
        try:
            answer = await self.run(
                lambda: self.app.acquire_token_by_device_flow(
                    flow, claims_challenge=claims, exit_condition=lambda _flow: True
                )
            )
        except SignInError as trouble:
            if not trouble.is_passing:
                raise
            return {"error": "temporarily_unavailable"}, max(pace, min(trouble.pause, LONGEST_INTERVAL))
        if not isinstance(answer.get("access_token", ""), str) or not ("access_token" in answer or "error" in answer):
            # Neither yes nor no: go on until it is one.
            return {"error": "temporarily_unavailable"}, pace
        return answer, _pace(flow)


def _pace(flow: Mapping[str, Any]) -> int:
    return _clamped(flow.get("interval"), SHORTEST_INTERVAL, LONGEST_INTERVAL)


def _clamped(value: object, least: int, most: int) -> int:
    return min(max(value, least), most) if isinstance(value, int) else most


def _checked(uri: object) -> str:
    """The address for people to open; SignInError when no sign-in service would send them there."""
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise SignInError("This is no sign-in", "The sign-in service names no https address to open.")
    return parts.geturl()
