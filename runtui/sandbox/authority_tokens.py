"""Tokens: what they say, who may still use them, and how the sandbox's Graph checks one.

Invariant: an access token passes only if this issuer made it, its time has not run out, and nobody revoked it since.
As with Microsoft's continuous access evaluation, only a client that says it understands claims challenges (CP1) can be
challenged; another one's token lives until it expires.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, format_ticks
from runtui.sandbox.authority_clients import from_base64url, to_base64url
from runtui.sandbox.authority_directory import READERS, WRITE_ALL, Account, Application, Directory, Principal, Scopes
from runtui.sandbox.authority_errors import known
from runtui.sandbox.faults import GraphError
from runtui.sandbox.tenant import guid

GRAPH_CLIENT_ID: Final = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph itself, which a challenge names."""

LIFETIME_SECONDS: Final = 3_600
REFRESH_TOKEN_LIFETIME_SECONDS: Final = 90 * 86_400
"""How long a refresh token may lie unused."""

_REFRESH_EARLY_FROM_SECONDS: Final = 7_200
"""Tokens that live so long come with `refresh_in`, half of their life."""

_ADMINISTRATORS_ROLE: Final = "59d46f88-662b-457b-bceb-5c3809e5908f"
_HEADER: Final = to_base64url(b'{"typ":"JWT","alg":"HS256"}')

Refusal = GraphError
"""Why Graph refuses a request."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from: the person, or the program where there is none."""

    object_id: str
    name: str
    client_id: str
    permissions: frozenset[str]


@dataclass(slots=True)
class Session:
    """A sign-in, which lives on in its refresh tokens. Moments are in ticks.

    `dead` is the AADSTS number that its refresh tokens are refused with, once they are.
    """

    principal: Principal
    application: Application
    began: int
    used: int
    proof: str = "0"
    nonce: str = ""
    dead: int = 0


class Issuer:
    """Makes tokens and checks them.

    Args:
        base: the authority's own address.
        directory: whom it knows.
        clock: the present moment in ticks.
        chance: where ids and keys come from.
    """

    def __init__(self, base: str, directory: Directory, clock: Callable[[], int], chance: Random) -> None:
        self.lifetime = LIFETIME_SECONDS
        """Seconds that an access token lives."""
        self._base = base
        self._directory = directory
        self._clock = clock
        self._chance = chance
        self._key = chance.randbytes(32)
        self._sessions: dict[str, Session] = {}
        self._revoked_at: dict[str, int] = {}
        self._unrevoked: defaultdict[str, set[str]] = defaultdict(set)

    def secret_word(self, size: int = 32) -> str:
        """A word that nobody can guess, of `size` bytes."""
        return to_base64url(self._chance.randbytes(size))

    def answer(self, session: Session, scope: str, claims: str, *, interactive: bool = False) -> dict[str, Any]:
        """A token endpoint's answer to a sign-in, or to a refresh of one.

        Args:
            session: the sign-in.
            scope: what is asked for.
            claims: the request's `claims`; JSON, or empty.
            interactive: whether a person is there: this token is new, so no challenge stands against it.

        Raises:
            SignInError: the scope or the claims cannot be had.
        """
        scopes = self._directory.scopes(scope, session.principal, session.application)
        answer = self._access(session, scopes, _object(claims), is_fresh=interactive)
        answer["scope"] = self._directory.answered_scope(scopes)
        if scopes.has("offline_access"):
            # The one before it stays good, as with Entra: it is the client that forgets it.
            token = f"1.{self.secret_word(48)}"
            self._sessions[token] = session
            answer["refresh_token"] = token
        if scopes.has("openid"):
            answer["id_token"] = self._sign(self._id_claims(session))
        ids = {"uid": session.principal.object_id, "utid": self._directory.tenant_id}
        answer["client_info"] = to_base64url(json.dumps(ids).encode())
        return answer

    def answer_program(self, application: Application, proof: str, scope: str, claims: str) -> dict[str, Any]:
        """A token endpoint's answer to a program that speaks for itself.

        Raises:
            SignInError: it asks for anything but `.default`, or the claims cannot be had.
        """
        scopes = self._directory.scopes(scope, application, application)
        if not all(word.endswith("/.default") for word in scopes.words):
            raise known(70011, scope=scope)
        now = self._clock()
        return self._access(Session(application, application, now, now, proof), scopes, _object(claims), is_fresh=False)

    def refresh(self, token: str, application: Application, scope: str, claims: str) -> dict[str, Any]:
        """A token endpoint's answer to a refresh token.

        Raises:
            SignInError: it is unknown, another program's, revoked, or lay unused for too long.
        """
        session, now = self._sessions.get(token), self._clock()
        if session is None or session.application.client_id != application.client_id:
            raise known(9002313)
        idle = REFRESH_TOKEN_LIFETIME_SECONDS
        if not session.dead and now - session.used >= idle * TICKS_PER_SECOND:
            session.dead = 700082
        if session.dead:
            revoked = self._revoked_at.get(session.principal.object_id, 0)
            raise known(
                session.dead,
                issued=format_ticks(session.began),
                idle=f"{idle // 86_400}.00:00:00",
                valid_from=format_ticks(UNIX_EPOCH_TICKS + revoked * TICKS_PER_SECOND),
                client_id=application.client_id,
                name=application.name,
                resource=self._directory.resource,
            )
        session.used = now
        return self.answer(session, scope, claims)

    def end_sessions(self, principal: Principal | None, number: int) -> None:
        """Refuse the refresh tokens of a principal (None: everybody's) with that AADSTS number."""
        for session in self._sessions.values():
            if principal is None or session.principal.object_id == principal.object_id:
                session.dead = number

    def challenge(self, principal: Principal) -> str:
        """Challenge every token that this principal has.

        Returns:
            The claims, as JSON, that a request for a token must carry so that it passes.
        """
        self._revoked_at[principal.object_id] = self._seconds()
        self._unrevoked[principal.object_id].clear()
        return self._wanted_claims(principal.object_id)

    def verify(self, token: str, *, write: bool = False) -> Refusal | Identity:
        """What Graph makes of an access token. Never raises.

        Args:
            token: what the request carries.
            write: whether the request changes anything.
        """
        claims = self._read(token)
        if isinstance(claims, GraphError):
            return claims
        if claims["aud"] != self._directory.resource:
            return self._unauthorized("Access token validation failure. Invalid audience.")
        if self._seconds() >= claims["exp"]:
            return self._unauthorized("Lifetime validation failed, the token is expired.")
        if "CP1" in claims.get("xms_cc", ()) and claims["uti"] not in self._unrevoked[claims["oid"]]:
            return self._challenged(claims["oid"])
        permissions = frozenset(claims.get("roles") or claims.get("scp", "").split())
        if permissions.isdisjoint({WRITE_ALL} if write else READERS):
            return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        name = claims.get("upn") or claims["app_displayname"]
        return Identity(claims["oid"], name, claims["appid"], permissions)

    def _access(self, session: Session, scopes: Scopes, claims: Mapping[str, Any], *, is_fresh: bool) -> dict[str, Any]:
        """The part of an answer that every grant has; its token meets the challenge if the claims do."""
        asked = claims.get("access_token", {})
        content = self._access_claims(session, scopes)
        if "CP1" in _values(asked, "xms_cc"):
            content["xms_cc"] = ["CP1"]
        object_id = session.principal.object_id
        revoked_at = self._revoked_at.get(object_id)
        if revoked_at is None or is_fresh or any(_at_least(value, revoked_at) for value in _values(asked, "nbf")):
            self._unrevoked[object_id].add(content["uti"])
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "ext_expires_in": self.lifetime,
            "access_token": self._sign(content),
        }
        if self.lifetime >= _REFRESH_EARLY_FROM_SECONDS:
            answer["refresh_in"] = self.lifetime // 2
        return answer

    def _access_claims(self, session: Session, scopes: Scopes) -> dict[str, Any]:
        now, principal, application = self._seconds(), session.principal, session.application
        claims: dict[str, Any] = {
            "aud": self._directory.resource,
            "iss": f"{self._base}/{self._directory.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "app_displayname": application.name,
            "appid": application.client_id,
            "appidacr": session.proof,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self._directory.tenant_id,
            "uti": self.secret_word(16),
            "ver": "1.0",
        }
        permissions = sorted(scopes.permissions)
        if not isinstance(principal, Account):
            return {**claims, "idtyp": "app", "roles": permissions}
        roles = [_ADMINISTRATORS_ROLE] if WRITE_ALL in principal.permissions else []
        person = {"name": principal.name, "upn": principal.username, "unique_name": principal.username}
        return {**claims, **person, "idtyp": "user", "scp": " ".join(permissions), "wids": roles}

    def _id_claims(self, session: Session) -> dict[str, Any]:
        principal, now = session.principal, self._seconds()
        claims: dict[str, Any] = {
            "aud": session.application.client_id,
            "iss": f"{self._base}/{self._directory.tenant_id}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
            "auth_time": (session.began - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND,
            "name": principal.name,
            "oid": principal.object_id,
            "sub": guid("subject", principal.object_id, session.application.client_id),
            "tid": self._directory.tenant_id,
            "ver": "2.0",
        }
        if isinstance(principal, Account):
            claims["preferred_username"] = principal.username
        return {**claims, "nonce": session.nonce} if session.nonce else claims

    def _sign(self, claims: Mapping[str, Any]) -> str:
        signed = f"{_HEADER}.{to_base64url(json.dumps(claims).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def _signature(self, signed: str) -> str:
        return to_base64url(hmac.digest(self._key, signed.encode(), "sha256"))

    def _read(self, token: str) -> dict[str, Any] | Refusal:
        """The claims of an access token that this issuer made."""
        if token.count(".") != 2:
            return self._unauthorized("IDX14100: JWT is not well formed.")
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return self._unauthorized("Signing key is invalid.")
        # What it signed itself is JSON; an id token names its program as the audience, so it is no access token.
        claims: dict[str, Any] = json.loads(from_base64url(signed.partition(".")[2]))
        return claims

    def _challenged(self, object_id: str) -> Refusal:
        claims = base64.b64encode(self._wanted_claims(object_id).encode()).decode()
        return self._unauthorized(
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
            "TokenIssuedBeforeRevocationTimestamp",
            f', error="insufficient_claims", claims="{claims}"',
        )

    def _wanted_claims(self, object_id: str) -> str:
        wanted = {"nbf": {"essential": True, "value": str(self._revoked_at[object_id])}}
        return json.dumps({"access_token": wanted}, separators=(",", ":"))

    def _unauthorized(self, message: str, more: str = "") -> Refusal:
        challenge = (
            f'Bearer realm="", authorization_uri="{self._base}/common/oauth2/authorize", '
            f'client_id="{GRAPH_CLIENT_ID}"{more}'
        )
        return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})

    def _seconds(self) -> int:
        """The present moment in seconds since 1970, as tokens count it."""
        return (self._clock() - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND


def _object(claims: str) -> Mapping[str, Any]:
    """The `claims` of a request; an object of objects, perhaps empty.

    Raises:
        SignInError: it is something else.
    """
    try:
        value = json.loads(claims) if claims else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("access_token", {}), dict):
        raise known(9002313)
    return value


def _values(asked: Mapping[str, Any], name: str) -> list[Any]:
    """The values that a request names for one claim."""
    entry = asked.get(name)
    if not isinstance(entry, dict):
        return []
    values = entry.get("values", [entry.get("value")])
    return values if isinstance(values, list) else []


def _at_least(value: object, moment: int) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and int(value[:20]) >= moment
