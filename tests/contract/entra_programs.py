"""The parts of Entra that the sandbox's authority lacks: programs with credentials, and the errors that tests provoke.

Rules: "Microsoft identity platform application authentication certificate credentials" and "Workload identity
federation"; signatures are RS256 or PS256.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from runtui.domain.times import MAX_TICKS, TICKS_PER_SECOND, UNIX_EPOCH_TICKS, format_ticks
from runtui.sandbox.authority.directory import Application, Scopes, User
from runtui.sandbox.authority.errors import AADSTS, AadstsError, OAuthError
from runtui.sandbox.authority.tokens import Grant, Issuer, to_base64url

_NO_RECORD: Final = "No matching federated identity record found for presented assertion"

ALL_AADSTS: Final = AADSTS | {
    50020: AadstsError("interaction_required", "User account '{username}' does not exist in tenant '{tenant}'."),
    50027: AadstsError("invalid_request", "JWT token is invalid or malformed.", status=401),
    50053: AadstsError("invalid_grant", "The account is locked, you've tried to sign in too many times."),
    50057: AadstsError("invalid_grant", "The user account is disabled."),
    50059: AadstsError(
        "invalid_request",
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
    ),
    50076: AadstsError(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "use multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50079: AadstsError(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "enroll in multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50105: AadstsError(
        "interaction_required",
        "Your administrator has configured the application {name} ('{client_id}') to block users unless they are "
        "specifically granted ('assigned') access to the application.",
    ),
    50158: AadstsError("interaction_required", "External security challenge not satisfied.", "basic_action"),
    53000: AadstsError(
        "interaction_required",
        "Device is not in required device state: unknown. Conditional Access policy requires a compliant device.",
        "message_only",
    ),
    53003: AadstsError(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        "message_only",
    ),
    70043: AadstsError(
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.",
        "bad_token",
    ),
    90033: AadstsError("temporarily_unavailable", "A transient error has occurred. Please try again.", status=503),
    90094: AadstsError(
        "consent_required", "Admin consent is required for the permissions requested by this application."
    ),
    530032: AadstsError("invalid_grant", "User blocked due to risk on home tenant.", "message_only"),
    530036: AadstsError(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The policy does not allow sessions that began with "
        "the device code flow.",
        "message_only",
    ),
    700023: AadstsError("invalid_client", "Client assertion audience claim does not match Realm issuer.", status=401),
    700024: AadstsError(
        "invalid_client",
        "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {valid_from}, "
        "expiry time of assertion {ends}.",
        status=401,
    ),
    700027: AadstsError(
        "invalid_client", "Client assertion failed signature validation. [Reason - {reason}]", status=401
    ),
    700211: AadstsError("invalid_client", _NO_RECORD + " issuer '{value}'.", status=401),
    700212: AadstsError("invalid_client", _NO_RECORD + " audience '{value}'.", status=401),
    700213: AadstsError("invalid_client", _NO_RECORD + " subject '{value}'.", status=401),
    7000215: AadstsError(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{client_id}'.",
        status=401,
    ),
    7000218: AadstsError(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        status=401,
    ),
    7000222: AadstsError(
        "invalid_client", "The provided client secret keys for app '{client_id}' are expired.", status=401
    ),
}
"""The errors of the sandbox's authority, and other errors of Entra, by number."""


@dataclass(eq=False)
class _ClaimsError(OAuthError):
    """An error whose response has claims (JSON) for the next sign-in."""

    claims: str

    def body(self, **facts: Any) -> dict[str, Any]:
        return {**super().body(**facts), "claims": self.claims}


def aadsts(number: int, *, claims: str = "", **facts: object) -> OAuthError:
    error = ALL_AADSTS[number].response(number, **facts)
    return _ClaimsError(**vars(error), claims=claims) if claims else error


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Another issuer whose assertions an application may use as its own.

    Without `public_key` (PEM, of an RSA key or a certificate) the assertion's signature is not verified.
    """

    issuer: str
    subject: str
    public_key: bytes = b""
    audience: str = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidentialApplication(Application):
    """An app registration with credentials. `secret_ends` is in ticks; `certificates` are PEM; `permissions` are those
    that it has without a user (app roles).
    """

    permissions: frozenset[str] = frozenset()

    secret: str = ""
    secret_ends: int = MAX_TICKS
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


_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS: Final = ["RS256", "PS256"]
_SKEW_SECONDS: Final = 300
"""The greatest difference between two clocks."""

_FURTHEST_SECONDS: Final = 2**53
"""Above this, not every whole number is a JSON number."""


def authenticate(
    form: Mapping[str, str], application: ConfidentialApplication, now: int, audiences: Collection[str]
) -> None:
    """Check that a token request comes from the application that it names.

    Args:
        form: The request.
        application: The application.
        now: The present in ticks.
        audiences: The audiences that its own assertion may have.

    Raises:
        OAuthError: it did not.
    """
    assertion, secret = form.get("client_assertion", ""), form.get("client_secret", "")
    if not assertion and not secret:
        raise aadsts(7000216 if form.get("grant_type") == "client_credentials" else 7000218)
    if assertion:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise aadsts(900144, parameter="client_assertion_type")
        _check_assertion(_Assertion.read(assertion), application, now, audiences)
        return
    # Here `secret` is not empty, so it never equals a secret that is not registered.
    if not hmac.compare_digest(secret.encode(), application.secret.encode()):
        raise aadsts(7000215, client_id=application.client_id)
    if now >= application.secret_ends:
        raise aadsts(7000222, client_id=application.client_id)


@dataclass(frozen=True, slots=True)
class _Assertion:
    """A JSON Web Token of another issuer."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> _Assertion:
        """Decode a token without verifying it.

        Raises:
            OAuthError: it is malformed.
        """
        try:
            parts = jwt.PyJWS().decode_complete(text, options={"verify_signature": False})
            header, claims = parts["header"], json.loads(parts["payload"])
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise aadsts(50027) from None
        if not isinstance(claims, dict) or not isinstance(header.get("alg"), str):
            raise aadsts(50027)
        return cls(text, header, claims)

    def verify(self, pem: bytes) -> None:
        """Check the signature with a certificate's key, or a public key.

        Raises:
            OAuthError: another key made it.
        """
        key = load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
        try:
            jwt.PyJWS().decode(self.text, key if isinstance(key, RSAPublicKey) else "", algorithms=_ALGORITHMS)
        except (jwt.PyJWTError, ValueError):
            raise aadsts(700027, reason="The signature does not match.") from None


def _check_assertion(
    assertion: _Assertion, application: ConfidentialApplication, now: int, audiences: Collection[str]
) -> None:
    _check_lifetime(assertion.claims, now)
    issuer, subject, audience = (str(assertion.claims.get(name, "")) for name in ("iss", "sub", "aud"))
    if issuer == application.client_id:
        if subject != issuer:
            raise aadsts(50027)
        if audience not in audiences:
            raise aadsts(700023)
        pem = next((pem for pem in application.certificates if _names(assertion.header, pem)), None)
        if pem is None:
            raise aadsts(700027, reason="The key was not found.")
        assertion.verify(pem)
    elif public_key := _federated(application.federated, issuer, subject, audience).public_key:
        assertion.verify(public_key)


def _check_lifetime(claims: Mapping[str, Any], now: int) -> None:
    seconds = (now - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND
    ends, begins = (_numeric_date(value) for value in (claims.get("exp"), claims.get("nbf", claims.get("iat", 0))))
    if begins - _SKEW_SECONDS > seconds or ends + _SKEW_SECONDS <= seconds:
        raise aadsts(700024, now=format_ticks(now), valid_from=_date_time(begins), ends=_date_time(ends))


def _numeric_date(value: object) -> int:
    """Return a claim in seconds since 1970, which may have a fraction (RFC 7519), as whole seconds.

    Raises:
        OAuthError: it is not such a number.
    """
    if not isinstance(value, int | float) or not abs(value) < _FURTHEST_SECONDS:
        raise aadsts(50027)
    return int(value)


def _date_time(seconds: int) -> str:
    """Return seconds since 1970 as a date-time, or as a number if no calendar has them."""
    try:
        return format_ticks(UNIX_EPOCH_TICKS + seconds * TICKS_PER_SECOND)
    except OverflowError:
        return str(seconds)


def _names(header: Mapping[str, Any], pem: bytes) -> bool:
    """Return whether the header of a token names that certificate by one of its thumbprints."""
    certificate = load_pem_x509_certificate(pem)
    # The name of the header prescribes SHA-1: it identifies, it does not protect.
    thumbprints = {"x5t#S256": certificate.fingerprint(SHA256()), "x5t": certificate.fingerprint(SHA1())}
    # Some clients leave the padding in.
    return any(
        str(header.get(name)).rstrip("=") == to_base64url(thumbprint) for name, thumbprint in thumbprints.items()
    )


def _federated(
    credentials: Collection[FederatedCredential], issuer: str, subject: str, audience: str
) -> FederatedCredential:
    """Return the credential that matches an assertion; OAuthError says which of its claims matches none."""
    fitting = list(credentials)
    for number, name, value in (
        (700211, "issuer", issuer),
        (700213, "subject", subject),
        (700212, "audience", audience),
    ):
        fitting = [credential for credential in fitting if getattr(credential, name) == value]
        if not fitting:
            raise aadsts(number, value=value)
    return fitting[0]
