"""Client authentication: a secret, an assertion signed with a registered certificate, or another issuer's assertion.

Invariant: a client that proves nothing is a public one. Rules: "Microsoft identity platform application authentication
certificate credentials" and "Workload identity federation"; signatures are RS256 or PS256.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, format_ticks
from runtui.sandbox.authority.directory import Application, FederatedCredential
from runtui.sandbox.authority.errors import aadsts
from runtui.sandbox.authority.tokens import to_base64url

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS: Final = ["RS256", "PS256"]
_SKEW_SECONDS: Final = 300
"""How far clocks may differ."""

_FURTHEST_SECONDS: Final = 2**53
"""Beyond it, JSON's numbers are not whole seconds."""


def authenticate(form: Mapping[str, str], application: Application, now: int, audiences: Collection[str]) -> str:
    """Check that a token request comes from the application that it names.

    Args:
        form: The request.
        application: The application.
        now: The present in ticks.
        audiences: The audiences that its own assertion may have.

    Returns:
        How it proved that, as the claim `appidacr` has it: "0" not at all, "1" by a secret, "2" by an assertion.

    Raises:
        OAuthError: it did not.
    """
    assertion, secret = form.get("client_assertion", ""), form.get("client_secret", "")
    if not assertion and not secret:
        if form.get("grant_type") == "client_credentials":
            raise aadsts(7000216)
        if not application.is_public:
            raise aadsts(7000218)
        return "0"
    if not (application.secret or application.certificates or application.federated):
        raise aadsts(700025)
    if assertion:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise aadsts(900144, parameter="client_assertion_type")
        _check_assertion(_Assertion.read(assertion), application, now, audiences)
        return "2"
    # Here `secret` is not empty, so it never equals a secret that is not registered.
    if not hmac.compare_digest(secret.encode(), application.secret.encode()):
        raise aadsts(7000215, client_id=application.client_id)
    if now >= application.secret_ends:
        raise aadsts(7000222, client_id=application.client_id)
    return "1"


@dataclass(frozen=True, slots=True)
class _Assertion:
    """A JSON Web Token that somebody else issued."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> _Assertion:
        """Decode a token without verifying it.

        Raises:
            OAuthError: it is malformed.
        """
        import jwt

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
        import jwt
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
        from cryptography.x509 import load_pem_x509_certificate

        key = load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
        try:
            jwt.PyJWS().decode(self.text, key if isinstance(key, RSAPublicKey) else "", algorithms=_ALGORITHMS)
        except (jwt.PyJWTError, ValueError):
            raise aadsts(700027, reason="The signature does not match.") from None


def _check_assertion(assertion: _Assertion, application: Application, now: int, audiences: Collection[str]) -> None:
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
    """Seconds since 1970, which may have a fraction (RFC 7519), as whole seconds.

    Raises:
        OAuthError: it is no such number.
    """
    if not isinstance(value, int | float) or not abs(value) < _FURTHEST_SECONDS:
        raise aadsts(50027)
    return int(value)


def _date_time(seconds: int) -> str:
    """Seconds since 1970 as a date-time; as a number where they are off the calendar."""
    try:
        return format_ticks(UNIX_EPOCH_TICKS + seconds * TICKS_PER_SECOND)
    except OverflowError:
        return str(seconds)


def _names(header: Mapping[str, Any], pem: bytes) -> bool:
    """Whether a token's header names that certificate by one of its thumbprints."""
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.x509 import load_pem_x509_certificate

    certificate = load_pem_x509_certificate(pem)
    # An identifier that the header's name prescribes, not a protection.
    thumbprints = {"x5t#S256": certificate.fingerprint(SHA256()), "x5t": certificate.fingerprint(SHA1())}  # noqa: S303
    # Some clients leave the padding in.
    return any(
        str(header.get(name)).rstrip("=") == to_base64url(thumbprint) for name, thumbprint in thumbprints.items()
    )


def _federated(
    credentials: Collection[FederatedCredential], issuer: str, subject: str, audience: str
) -> FederatedCredential:
    """The credential that fits an assertion; OAuthError says which of its claims fits none."""
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
