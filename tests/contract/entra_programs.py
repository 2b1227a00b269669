"""The parts of Entra that the sandbox's authority lacks: programs with credentials, and the errors that tests provoke.

Rules: "Microsoft identity platform application authentication certificate credentials" and "Workload identity
federation", as far as the credentials of a client depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from runtui.sandbox.authority.directory import Application, Scopes, User
from runtui.sandbox.authority.errors import AADSTS, OAuthError
from runtui.sandbox.authority.tokens import Grant, Issuer, to_base64url

_NO_RECORD: Final = "No matching federated identity record found for presented assertion"

ALL_AADSTS: Final = AADSTS | {
    50020: OAuthError("interaction_required", "User account '{username}' does not exist in tenant '{tenant}'."),
    50027: OAuthError("invalid_request", "JWT token is invalid or malformed.", status=401),
    50053: OAuthError("invalid_grant", "The account is locked, you've tried to sign in too many times."),
    50057: OAuthError("invalid_grant", "The user account is disabled."),
    50059: OAuthError(
        "invalid_request",
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
    ),
    50076: OAuthError(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "use multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50079: OAuthError(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "enroll in multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50105: OAuthError(
        "interaction_required",
        "Your administrator has configured the application {name} ('{client_id}') to block users unless they are "
        "specifically granted ('assigned') access to the application.",
    ),
    50158: OAuthError("interaction_required", "External security challenge not satisfied.", "basic_action"),
    53000: OAuthError(
        "interaction_required",
        "Device is not in required device state: unknown. Conditional Access policy requires a compliant device.",
        "message_only",
    ),
    53003: OAuthError(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        "message_only",
    ),
    70043: OAuthError(
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.",
        "bad_token",
    ),
    90033: OAuthError("temporarily_unavailable", "A transient error has occurred. Please try again.", status=503),
    90094: OAuthError(
        "consent_required", "Admin consent is required for the permissions requested by this application."
    ),
    530032: OAuthError("invalid_grant", "User blocked due to risk on home tenant.", "message_only"),
    530036: OAuthError(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The policy does not allow sessions that began with "
        "the device code flow.",
        "message_only",
    ),
    700023: OAuthError("invalid_client", "Client assertion audience claim does not match Realm issuer.", status=401),
    700024: OAuthError(
        "invalid_client",
        "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {valid_from}, "
        "expiry time of assertion {ends}.",
        status=401,
    ),
    700027: OAuthError(
        "invalid_client", "Client assertion failed signature validation. [Reason - {reason}]", status=401
    ),
    700211: OAuthError("invalid_client", _NO_RECORD + " issuer '{value}'.", status=401),
    700212: OAuthError("invalid_client", _NO_RECORD + " audience '{value}'.", status=401),
    700213: OAuthError("invalid_client", _NO_RECORD + " subject '{value}'.", status=401),
    7000215: OAuthError(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{client_id}'.",
        status=401,
    ),
    7000218: OAuthError(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        status=401,
    ),
    7000222: OAuthError(
        "invalid_client", "The provided client secret keys for app '{client_id}' are expired.", status=401
    ),
}
"""The errors of the sandbox's authority, and other errors of Entra, by number."""


@dataclass(eq=False)
class _ClaimsError(OAuthError):
    """An error whose response has claims (JSON) for the next sign-in."""

    claims: str = ""

    def body(self, **facts: Any) -> dict[str, Any]:
        return {**super().body(**facts), "claims": self.claims}


def aadsts(number: int, *, claims: str = "", **facts: object) -> OAuthError:
    error = ALL_AADSTS[number].numbered(number, **facts)
    return _ClaimsError(**vars(error), claims=claims) if claims else error


class FederatedCredential(NamedTuple):
    """Another issuer whose assertions an application may use as its own; their signature is not verified."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidentialApplication(Application):
    """An app registration with credentials. `certificates` are PEM; `permissions` are those that it has without a user
    (app roles)."""

    permissions: frozenset[str] = frozenset()
    secret: str = ""
    certificates: tuple[bytes, ...] = ()
    federated: tuple[FederatedCredential, ...] = ()

    @property
    def as_user(self) -> User:
        """The program as the subject of its own tokens."""
        return User(self.client_id, self.name, self.permissions)


class ProgramIssuer(Issuer):
    """Issues tokens to programs too: with app roles, and without a person."""

    _PERSONAL = frozenset({"name", "upn", "unique_name", "scp", "wids"})

    def _access_claims(self, grant: Grant, scopes: Scopes) -> dict[str, Any]:
        claims = super()._access_claims(grant, scopes)
        if not isinstance(grant.application, ConfidentialApplication) or grant.user != grant.application.as_user:
            return claims
        kept = {name: value for name, value in claims.items() if name not in self._PERSONAL}
        return {**kept, "idtyp": "app", "roles": sorted(scopes.permissions)}

    def _read(self, token: str) -> dict[str, Any]:
        claims = super()._read(token)
        return {"scp": " ".join(claims.get("roles", ())), **claims}


def authenticate(form: Mapping[str, str], application: ConfidentialApplication, audience: str) -> None:
    """Check that a token request comes from the application that it names.

    Raises:
        OAuthError: it does not.
    """
    assertion, secret = form.get("client_assertion", ""), form.get("client_secret", "")
    if not assertion:
        if not secret or secret != application.secret:
            raise aadsts(7000215, client_id=application.client_id)
        return
    decoded = jwt.decode_complete(assertion, options={"verify_signature": False})
    claims, thumbprint = decoded["payload"], decoded["header"].get("x5t#S256", "").rstrip("=")
    if claims["iss"] != application.client_id:
        if (claims["iss"], claims["sub"], claims["aud"]) not in application.federated:
            raise aadsts(700213, value=claims["sub"])
        return
    certificates = (load_pem_x509_certificate(pem) for pem in application.certificates)
    keys = [each.public_key() for each in certificates if to_base64url(each.fingerprint(SHA256())) == thumbprint]
    if not keys:
        raise aadsts(700027, reason="The key was not found.")
    assert isinstance(keys[0], RSAPublicKey)
    try:
        jwt.decode(assertion, keys[0], ["RS256", "PS256"], audience=audience)
    except jwt.PyJWTError:
        raise aadsts(700027, reason="The signature does not match.") from None
