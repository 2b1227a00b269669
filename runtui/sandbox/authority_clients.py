"""Which program asks: a client secret, an assertion signed by a registered certificate, or another issuer's word.

Invariant: a program that proves nothing is a public one. Rules: "Microsoft identity platform application
authentication certificate credentials" and "Workload identity federation"; signatures RSASSA-PSS and PKCS#1 v1.5.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtui.domain.times import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, format_ticks
from runtui.sandbox.authority_directory import Application, FederatedCredential
from runtui.sandbox.authority_errors import SignInError, known

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW_SECONDS: Final = 300
"""How far clocks may differ."""

_FURTHEST_SECONDS: Final = 2**53
"""Beyond it, JSON's numbers are no whole seconds."""


def from_base64url(text: str) -> bytes:
    """The bytes that base64url text stands for, its padding left out.

    Raises:
        ValueError: it is none.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def to_base64url(data: bytes) -> str:
    """Bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JSON Web Token that somebody else made, taken apart."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def is_signed_by(self, pem: bytes) -> bool:
        """Whether the key of a certificate, or a public key, made the signature (PS256 or RS256)."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
        from cryptography.x509 import load_pem_x509_certificate

        key = load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
        paddings: dict[Any, padding.AsymmetricPadding] = {
            "PS256": padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size),
            "RS256": padding.PKCS1v15(),
        }
        chosen = paddings.get(self.header.get("alg"))
        if chosen is None or not isinstance(key, rsa.RSAPublicKey):
            return False
        try:
            key.verify(self.signature, self.signed, chosen, SHA256())
        except InvalidSignature:
            return False
        return True


def read_assertion(text: str) -> Assertion:
    """Take a JSON Web Token apart; whether it is true is another question.

    Raises:
        SignInError: it is none.
    """
    signed, _, signature = text.rpartition(".")
    try:
        header, claims = (json.loads(from_base64url(part)) for part in signed.split("."))
        assertion = Assertion(header, claims, signed.encode(), from_base64url(signature))
    except (ValueError, RecursionError):
        raise known(50027) from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or not isinstance(header.get("alg"), str):
        raise known(50027)
    return assertion


def authenticate(form: Mapping[str, str], application: Application, now: int, audiences: Collection[str]) -> str:
    """Check that a request for a token comes from that program.

    Args:
        form: the request.
        application: who it claims to be.
        now: the present moment in ticks.
        audiences: whom a program's own assertion may be addressed to.

    Returns:
        How it proved that, as `appidacr` says it: "0" not at all, "1" by a secret, "2" by an assertion.

    Raises:
        SignInError: it did not.
    """
    assertion, secret = form.get("client_assertion", ""), form.get("client_secret", "")
    if not assertion and not secret:
        if form.get("grant_type") == "client_credentials":
            raise known(7000216)
        if not application.is_public:
            raise known(7000218)
        return "0"
    if not (application.secret or application.certificates or application.federated):
        raise known(700025)
    if assertion:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise known(900144, parameter="client_assertion_type")
        _check_assertion(read_assertion(assertion), application, now, audiences)
        return "2"
    # Here `secret` is not empty, so the want of a registered one is no match.
    if not hmac.compare_digest(secret.encode(), application.secret.encode()):
        raise known(7000215, client_id=application.client_id)
    if now >= application.secret_ends:
        raise known(7000222, client_id=application.client_id)
    return "1"


def _check_assertion(assertion: Assertion, application: Application, now: int, audiences: Collection[str]) -> None:
    _check_lifetime(assertion.claims, now)
    issuer, subject, audience = (str(assertion.claims.get(name, "")) for name in ("iss", "sub", "aud"))
    if issuer == application.client_id:
        if subject != issuer:
            raise known(50027)
        if audience not in audiences:
            raise known(700023)
        _check_certificate(assertion, application.certificates)
    else:
        _check_federated(assertion, application.federated, issuer, subject, audience)


def _check_lifetime(claims: Mapping[str, Any], now: int) -> None:
    moment = (now - UNIX_EPOCH_TICKS) // TICKS_PER_SECOND
    ends, begins = (_numeric_date(value) for value in (claims.get("exp"), claims.get("nbf", claims.get("iat", 0))))
    if begins - _SKEW_SECONDS > moment or ends + _SKEW_SECONDS <= moment:
        raise known(700024, now=format_ticks(now), valid_from=_moment(begins), ends=_moment(ends))


def _numeric_date(value: object) -> int:
    """Seconds since 1970, which may have a fraction (RFC 7519); NaN is no number of them.

    Raises:
        SignInError: it is none.
    """
    if not isinstance(value, int | float) or not abs(value) < _FURTHEST_SECONDS:
        raise known(50027)
    return int(value)


def _moment(seconds: int) -> str:
    """Seconds since 1970 as a date-time; a number where they are off the calendar."""
    try:
        return format_ticks(UNIX_EPOCH_TICKS + seconds * TICKS_PER_SECOND)
    except OverflowError:
        return str(seconds)


def _check_certificate(assertion: Assertion, certificates: Collection[bytes]) -> None:
    pem = next((pem for pem in certificates if _names(assertion.header, pem)), None)
    if pem is None:
        raise known(700027, reason="The key was not found.")
    if not assertion.is_signed_by(pem):
        raise known(700027, reason="The signature does not match.")


def _names(header: Mapping[str, Any], pem: bytes) -> bool:
    """Whether the header names that certificate by one of its thumbprints."""
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.x509 import load_pem_x509_certificate

    certificate = load_pem_x509_certificate(pem)
    # An identifier that the header's name prescribes, not a protection.
    thumbprints = {"x5t#S256": certificate.fingerprint(SHA256()), "x5t": certificate.fingerprint(SHA1())}  # noqa: S303
    # Some clients leave the padding in.
    return any(
        str(header.get(name)).rstrip("=") == to_base64url(thumbprint) for name, thumbprint in thumbprints.items()
    )


def _check_federated(
    assertion: Assertion, records: Collection[FederatedCredential], issuer: str, subject: str, audience: str
) -> None:
    of_issuer = [record for record in records if record.issuer == issuer]
    of_subject = [record for record in of_issuer if record.subject == subject]
    record = next((record for record in of_subject if record.audience == audience), None)
    if record is None:
        raise (
            _no_record(700211, issuer)
            if not of_issuer
            else (_no_record(700213, subject) if not of_subject else _no_record(700212, audience))
        )
    if record.public_key and not assertion.is_signed_by(record.public_key):
        raise known(700027, reason="The signature does not match.")


def _no_record(number: int, value: str) -> SignInError:
    return known(number, value=value)
