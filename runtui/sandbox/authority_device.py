"""The device code grant: a code that a person types into another device (RFC 8628, as Entra speaks it).

Invariant: a device code gives one token at most, to the program that asked for it, and none once it has expired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.authority_directory import Account, Application, Directory
from runtui.sandbox.authority_errors import SignInError, known
from runtui.sandbox.authority_tokens import Issuer, Session

LIFETIME_SECONDS: Final = 900
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXYZ23456789"
"""Characters of a user code: nothing that reads as another one, or makes words."""


@dataclass(slots=True)
class DeviceCode:
    """One attempt to sign in. Moments are in ticks."""

    user_code: str
    application: Application
    scope: str
    claims: str
    began: int
    expires: int
    polled: int
    polls: int = 0
    account: Account | None = None
    is_refused: bool = False
    is_used: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether somebody said yes or no."""
        return self.account is not None or self.is_refused


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """Approve in the name of `account` (None: refuse) at the poll with that number, or so many seconds after the code
    was given."""

    account: Account | None
    polls: int | None = None
    seconds: float | None = None

    def is_due(self, code: DeviceCode, now: int) -> bool:
        """Whether it is time, at a poll that is already counted."""
        return (self.polls is not None and code.polls >= self.polls) or (
            self.seconds is not None and now - code.began >= self.seconds * TICKS_PER_SECOND
        )


class DeviceCodes:
    """The device codes given out so far."""

    def __init__(
        self, base: str, directory: Directory, issuer: Issuer, clock: Callable[[], int], chance: Random
    ) -> None:
        self.interval = 5
        """Seconds that a client shall wait between polls."""
        self.lifetime = LIFETIME_SECONDS
        """Seconds that a code lives."""
        self.is_strict = False
        """Whether to answer slow_down to polls that come faster."""
        self.auto: AutoApproval | None = None
        self._base = base
        self._directory = directory
        self._issuer = issuer
        self._clock = clock
        self._chance = chance
        self._codes: dict[str, DeviceCode] = {}

    @property
    def pending(self) -> list[str]:
        """The user codes that wait for a person, oldest first."""
        now = self._clock()
        return [code.user_code for code in self._codes.values() if not code.is_decided and now < code.expires]

    def begin(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Give out a code: the answer of the device authorization endpoint.

        Raises:
            SignInError: the program or the scope is unknown.
        """
        application = self._directory.application(form.get("client_id", ""))
        scope, now = form.get("scope", ""), self._clock()
        self._directory.check_scope(scope)
        user_code = "".join(self._chance.choices(_LETTERS, k=9))
        device_code, page = self._issuer.secret_word(), f"{self._base}/devicelogin"
        ends = now + self.lifetime * TICKS_PER_SECOND
        self._codes[device_code] = DeviceCode(user_code, application, scope, form.get("claims", ""), now, ends, now)
        return {
            "user_code": user_code,
            "device_code": device_code,
            "verification_uri": page,
            "expires_in": self.lifetime,
            "interval": self.interval,
            "message": f"To sign in, use a web browser to open the page {page} and enter the code {user_code} "
            "to authenticate.",
        }

    def poll(self, form: Mapping[str, str], application: Application) -> dict[str, Any]:
        """The token, once somebody approved.

        Raises:
            SignInError: not yet; or never.
        """
        code, now = self._codes.get(form.get("device_code", "")), self._clock()
        if code is None or code.is_used or code.application.client_id != application.client_id:
            raise known(70018)
        code.polls += 1
        is_early, code.polled = code.polls > 1 and now - code.polled < self.interval * TICKS_PER_SECOND, now
        if now >= code.expires:
            raise known(70020)
        if not code.is_decided and self.auto is not None and self.auto.is_due(code, now):
            code.account, code.is_refused = self.auto.account, self.auto.account is None
        if code.is_refused:
            raise SignInError("authorization_declined", "User declined to consent to access the app.", codes=[65004])
        if code.account is None:
            if self.is_strict and is_early:
                raise SignInError("slow_down", "The client polls faster than the interval it was given.")
            raise known(70016)
        session = Session(code.account, application, now, now)
        # The claims of the first request stand, where the one for the token brings none.
        answer = self._issuer.answer(session, code.scope, form.get("claims") or code.claims, interactive=True)
        code.is_used = True
        return answer

    def decide(self, user_code: str, account: Account | None) -> Application:
        """Approve in the name of an account, or refuse (None); the program that it is about.

        Raises:
            SignInError: no such code waits.
        """
        code = self._waiting(user_code)
        code.account, code.is_refused = account, account is None
        return code.application

    def expire(self, user_code: str) -> None:
        """Let a code run out at once.

        Raises:
            SignInError: no such code waits.
        """
        self._waiting(user_code).expires = self._clock()

    def _waiting(self, user_code: str) -> DeviceCode:
        typed = user_code.replace("-", "").replace(" ", "").upper()
        for code in self._codes.values():
            if code.user_code == typed and not code.is_decided and self._clock() < code.expires:
                return code
        raise known(70018)
