"""Tokens: their claims, their revocation, and how the sandbox's Graph checks one.

Invariant: an access token passes only if this issuer signed it, it has not expired, and it is not revoked. As with
Microsoft's continuous access evaluation, only a client that declares CP1 is challenged; the token of another client
passes until it expires. A grant that is refused raises OAuthError; a token that Graph refuses, GraphError.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_bytes, token_urlsafe
from typing import Any, Final

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, format_ticks
from runtui.sandbox.authority.directory import WRITE_ALL, Application, Directory, Scopes, User
from runtui.sandbox.authority.errors import aadsts
from runtui.sandbox.entities import guid
from runtui.sandbox.errors import GraphError, token_revoked, unauthenticated

_ACCESS_TOKEN_SECONDS: Final = 3_600
_REFRESH_TOKEN_SECONDS: Final = 90 * 86_400
"""The time without use after which a refresh token expires."""

_ADMINISTRATORS_ROLE: Final = "59d46f88-662b-457b-bceb-5c3809e5908f"
_ALGORITHM: Final = "HS256"


@dataclass(slots=True)
class Grant:
    """A sign-in, which its refresh tokens continue. Times are in ticks."""

    user: User
    application: Application
    began: int
    used: int
    nonce: str = ""
    ended_by: int = 0
    """The AADSTS number with which its refresh tokens are refused; 0 while they are valid."""


class Issuer:
    """Issues tokens and verifies them. `base` is the authority's own address; `clock` returns the present in ticks."""

    def __init__(self, base: str, directory: Directory, clock: Callable[[], int]) -> None:
        self.base = base
        self.directory = directory
        self.clock = clock
        self.lifetime = _ACCESS_TOKEN_SECONDS
        """Seconds after which an access token expires."""
        self._key = token_bytes()
        self._grants: dict[str, Grant] = {}
        """By refresh token."""
        self._revoked_at: dict[str, int] = {}
        self._unrevoked: defaultdict[str, set[str]] = defaultdict(set)

    def token_response(self, grant: Grant, scope: str, claims: str, *, is_interactive: bool = False) -> dict[str, Any]:
        """Return the response of the token endpoint to a sign-in of a user, or to its refresh. `claims` are the claims
        of the request (JSON, or empty). With `is_interactive` the user has just signed in, which meets any earlier
        challenge.
        """
        scopes = self.directory.scopes(scope, grant.user, grant.application)
        response = {
            "token_type": "Bearer",
            "scope": " ".join(word for word in scopes.requested if word != "offline_access"),
            "expires_in": self.lifetime,
            "ext_expires_in": self.lifetime,
            "access_token": self._access_token(grant, scopes, claims, is_fresh=is_interactive),
        }
        if "offline_access" in scopes.requested:
            # The previous refresh token stays valid, as with Entra: the client drops it.
            token = f"1.{token_urlsafe(48)}"
            self._grants[token] = grant
            response["refresh_token"] = token
        if "openid" in scopes.requested:
            response["id_token"] = self._sign(self._id_claims(grant))
        ids = {"uid": grant.user.object_id, "utid": self.directory.tenant_id}
        response["client_info"] = to_base64url(json.dumps(ids).encode())
        return response

    def refresh(self, token: str, application: Application, scope: str, claims: str) -> dict[str, Any]:
        grant, now = self._grants.get(token), self.clock()
        if grant is None or grant.application.client_id != application.client_id:
            raise aadsts(9002313)
        if not grant.ended_by and now - grant.used >= _REFRESH_TOKEN_SECONDS * TICKS_PER_SECOND:
            grant.ended_by = 700082
        if grant.ended_by:
            revoked = self._revoked_at.get(grant.user.object_id, 0)
            raise aadsts(
                grant.ended_by,
                issued=format_ticks(grant.began),
                idle=f"{_REFRESH_TOKEN_SECONDS // 86_400}.00:00:00",
                valid_from=format_ticks(UNIX_EPOCH_TICKS + revoked * TICKS_PER_SECOND),
                client_id=application.client_id,
                name=application.name,
                resource=self.directory.resource,
            )
        grant.used = now
        return self.token_response(grant, scope, claims)

    def end_grants(self, user: User, number: int) -> None:
        """Refuse the refresh tokens of a user with that AADSTS number from now on."""
        for grant in self._grants.values():
            if grant.user.object_id == user.object_id:
                grant.ended_by = number

    def challenge(self, user: User) -> str:
        """Challenge every access token of a user.

        Returns:
            The claims (JSON) that a token request needs so that its token passes.
        """
        self._revoked_at[user.object_id] = self._seconds()
        self._unrevoked[user.object_id].clear()
        return self._wanted_claims(user.object_id)

    def verify(self, token: str) -> frozenset[str]:
        """Return the permissions of an access token.

        Raises:
            GraphError: Graph refuses the token (401).
        """
        claims = self._read(token)
        if claims["aud"] != self.directory.resource:
            raise self._unauthorized("Access token validation failure. Invalid audience.")
        if self._seconds() >= claims["exp"]:
            raise self._unauthorized("Lifetime validation failed, the token is expired.")
        if "CP1" in claims.get("xms_cc", ()) and claims["uti"] not in self._unrevoked[claims["oid"]]:
            raise token_revoked(self._wanted_claims(claims["oid"]), authority=self.base)
        return frozenset(claims["scp"].split())

    def _access_token(self, grant: Grant, scopes: Scopes, claims: str, *, is_fresh: bool) -> str:
        """Return an access token. After a challenge it passes if its `claims` meet the challenge, or if it is fresh:
        a person signed in.
        """
        requested = _parse_claims(claims).get("access_token", {})
        content = self._access_claims(grant, scopes)
        if "CP1" in _values(requested, "xms_cc"):
            content["xms_cc"] = ["CP1"]
        object_id = grant.user.object_id
        revoked_at = self._revoked_at.get(object_id)
        if revoked_at is None or is_fresh or any(_at_least(value, revoked_at) for value in _values(requested, "nbf")):
            self._unrevoked[object_id].add(content["uti"])
        return self._sign(content)

    def _access_claims(self, grant: Grant, scopes: Scopes) -> dict[str, Any]:
        now, user, application = self._seconds(), grant.user, grant.application
        return {
            "aud": self.directory.resource,
            "iss": f"{self.base}/{self.directory.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "app_displayname": application.name,
            "appid": application.client_id,
            "oid": user.object_id,
            "sub": user.object_id,
            "tid": self.directory.tenant_id,
            "uti": token_urlsafe(16),
            "ver": "1.0",
            "idtyp": "user",
            "name": user.name,
            "upn": user.username,
            "unique_name": user.username,
            "scp": " ".join(sorted(scopes.permissions)),
            "wids": [_ADMINISTRATORS_ROLE] if WRITE_ALL in user.permissions else [],
        }

    def _id_claims(self, grant: Grant) -> dict[str, Any]:
        now, user = self._seconds(), grant.user
        claims: dict[str, Any] = {
            "aud": grant.application.client_id,
            "iss": f"{self.base}/{self.directory.tenant_id}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + _ACCESS_TOKEN_SECONDS,
            "auth_time": (grant.began - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND,
            "name": user.name,
            "preferred_username": user.username,
            "oid": user.object_id,
            "sub": guid("subject", user.object_id, grant.application.client_id),
            "tid": self.directory.tenant_id,
            "ver": "2.0",
        }
        return {**claims, "nonce": grant.nonce} if grant.nonce else claims

    def _sign(self, claims: Mapping[str, Any]) -> str:
        import jwt

        return jwt.PyJWS().encode(json.dumps(claims).encode(), self._key, _ALGORITHM)

    def _read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this issuer signed; 401 otherwise. Access and id tokens differ in `aud`."""
        import jwt

        try:
            claims: dict[str, Any] = json.loads(jwt.PyJWS().decode(token, self._key, algorithms=[_ALGORITHM]))
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            raise self._unauthorized("Signing key is invalid.") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise self._unauthorized("IDX14100: JWT is not well formed.") from None
        return claims

    def _wanted_claims(self, object_id: str) -> str:
        wanted = {"nbf": {"essential": True, "value": str(self._revoked_at[object_id])}}
        return json.dumps({"access_token": wanted}, separators=(",", ":"))

    def _unauthorized(self, message: str) -> GraphError:
        return unauthenticated(message, authority=self.base)

    def _seconds(self) -> int:
        """Return the present in seconds since 1970, the unit of claims."""
        return (self.clock() - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parse_claims(claims: str) -> Mapping[str, Any]:
    try:
        value = json.loads(claims) if claims else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("access_token", {}), dict):
        raise aadsts(9002313)
    return value


def _values(requested: Mapping[str, Any], name: str) -> list[Any]:
    entry = requested.get(name)
    if not isinstance(entry, dict):
        return []
    values = entry.get("values", [entry.get("value")])
    return values if isinstance(values, list) else []


def _at_least(value: object, seconds: int) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and int(value[:20]) >= seconds
