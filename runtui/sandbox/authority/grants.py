"""The grants that a person gives: device code (RFC 8628), and authorization code with PKCE (RFC 7636).

Invariant: a code yields at most one token, only to the application that asked for the code, and none after it expires.
A browser is redirected only to registered addresses; an authorization code needs the verifier of its challenge (S256).
A code that is refused, or not decided yet, raises OAuthError.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.authority.directory import Application, User
from runtui.sandbox.authority.errors import aadsts
from runtui.sandbox.authority.tokens import Grant, Issuer, to_base64url

DEVICE_CODE_SECONDS: Final = 900
_AUTHORIZATION_CODE_SECONDS: Final = 600

_REDIRECT_URI: Final = r"http://localhost(:[0-9]{1,5})?/?"
"""The only registered redirect URI, with any port."""

_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXYZ23456789"
"""The characters of a user code: none looks like another, and without vowels they make no words."""


@dataclass(slots=True)
class DeviceAuthorization:
    """One attempt to sign in by device code. Times are in ticks."""

    user_code: str
    application: Application
    scope: str
    claims: str
    expires: int
    polls: int = 0
    is_decided: bool = False
    user: User | None = None
    """Who approved it; None if it was declined, or is not decided."""
    is_used: bool = False

    def decide(self, user: User | None) -> None:
        """Approve as a user, or decline (None)."""
        self.user, self.is_decided = user, True


@dataclass(frozen=True, slots=True)
class Autopilot:
    """Decides about codes in place of a person, at poll number `polls`: approves as `user`, or declines (None)."""

    user: User | None
    polls: int


class DeviceCodes:
    """The device codes that were issued."""

    def __init__(self, issuer: Issuer) -> None:
        self.interval = 5
        """Seconds that a client is told to wait between two polls."""
        self.lifetime = DEVICE_CODE_SECONDS
        """Seconds after which a code expires."""
        self.autopilot: Autopilot | None = None
        self._issuer = issuer
        self._codes: dict[str, DeviceAuthorization] = {}

    @property
    def pending(self) -> list[DeviceAuthorization]:
        now = self._issuer.clock()
        return [code for code in self._codes.values() if not code.is_decided and now < code.expires]

    def begin(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Issue a code and return the response of the device authorization endpoint."""
        application = self._issuer.directory.application(form.get("client_id", ""))
        scope = form.get("scope", "")
        self._issuer.directory.check_scope(scope)
        user_code = "".join(secrets.choice(_LETTERS) for _ in range(9))
        device_code, page = secrets.token_urlsafe(), f"{self._issuer.base}/devicelogin"
        expires = self._issuer.clock() + self.lifetime * TICKS_PER_SECOND
        self._codes[device_code] = DeviceAuthorization(user_code, application, scope, form.get("claims", ""), expires)
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
        code, now = self._codes.get(form.get("device_code", "")), self._issuer.clock()
        if code is None or code.is_used or code.application.client_id != application.client_id:
            raise aadsts(70018)
        if now >= code.expires:
            raise aadsts(70020)
        code.polls += 1
        if self.autopilot is not None and not code.is_decided and code.polls >= self.autopilot.polls:
            code.decide(self.autopilot.user)
        if not code.is_decided:
            raise aadsts(70016)
        if code.user is None:
            raise replace(aadsts(65004), error="authorization_declined")
        # If the token request has no claims, those of the first request count.
        claims = form.get("claims") or code.claims
        grant = Grant(code.user, application, now, now)
        response = self._issuer.token_response(grant, code.scope, claims, is_interactive=True)
        code.is_used = True
        return response

    def waiting(self, user_code: str) -> DeviceAuthorization:
        """Return the pending attempt with a user code, as somebody typed it; OAuthError if there is none."""
        typed = user_code.replace("-", "").replace(" ", "").upper()
        for code in self.pending:
            if code.user_code == typed:
                return code
        raise aadsts(70018)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request, with which an application sent a browser here."""

    application: Application
    scope: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    claims: str

    def respond(self, **parameters: str) -> str:
        """Return the address for the browser at the end of the sign-in: the redirect URI with the parameters."""
        if self.state:
            parameters["state"] = self.state
        return f"{self.redirect_uri}?{urlencode(parameters)}"


@dataclass(slots=True)
class _IssuedCode:
    request: AuthorizationRequest
    user: User
    expires: int
    is_used: bool = False


class AuthorizationCodes:
    """The requests that wait for a person's decision, and the codes that an application has not redeemed."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._requests: dict[str, AuthorizationRequest] = {}
        self._codes: dict[str, _IssuedCode] = {}

    def begin(self, query: Mapping[str, str]) -> tuple[str, AuthorizationRequest]:
        """Accept a request. Return the key that `decide` takes, and the request."""
        application = self._issuer.directory.application(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if not re.fullmatch(_REDIRECT_URI, redirect_uri):
            raise aadsts(50011, redirect_uri=redirect_uri, client_id=application.client_id)
        if query.get("response_type") != "code":
            raise aadsts(900144, parameter="response_type=code")
        if query.get("response_mode", "query") != "query":
            raise aadsts(900144, parameter="response_mode=query")
        challenge = query.get("code_challenge", "")
        if not challenge or query.get("code_challenge_method") != "S256":
            raise aadsts(9002325)
        scope = query.get("scope", "")
        self._issuer.directory.check_scope(scope)
        state, nonce, claims = (query.get(name, "") for name in ("state", "nonce", "claims"))
        request = AuthorizationRequest(application, scope, redirect_uri, state, nonce, challenge, claims)
        key = secrets.token_urlsafe()
        self._requests[key] = request
        return key, request

    def decide(self, key: str, user: User | None) -> str:
        """Approve a request as a user, or decline it (None). Return the address to which the browser is redirected."""
        request = self._requests.pop(key, None)
        if request is None:
            raise aadsts(9002313)
        if user is None:
            declined = aadsts(65004)
            return request.respond(error=declined.error, error_description=declined.headline)
        code = f"1.{secrets.token_urlsafe(48)}"
        expires = self._issuer.clock() + _AUTHORIZATION_CODE_SECONDS * TICKS_PER_SECOND
        self._codes[code] = _IssuedCode(request, user, expires)
        return request.respond(code=code, session_state=secrets.token_urlsafe(16))

    def redeem(self, form: Mapping[str, str], application: Application) -> dict[str, Any]:
        code, now = self._codes.get(form.get("code", "")), self._issuer.clock()
        if code is None or code.request.application.client_id != application.client_id:
            raise aadsts(9002313)
        if code.is_used:
            raise aadsts(54005)
        if now >= code.expires:
            raise aadsts(70008)
        request, redirect_uri = code.request, form.get("redirect_uri", "")
        if redirect_uri != request.redirect_uri:
            raise aadsts(500112, redirect_uri=redirect_uri)
        # A wrong verifier uses up the code, so that a thief of the code cannot try twice.
        code.is_used = True
        challenge = to_base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not hmac.compare_digest(challenge.encode(), request.challenge.encode()):
            raise aadsts(501481)
        grant = Grant(code.user, application, now, now, request.nonce)
        scope, claims = form.get("scope") or request.scope, form.get("claims") or request.claims
        return self._issuer.token_response(grant, scope, claims, is_interactive=True)
