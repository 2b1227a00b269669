"""The sign-in service's errors: AADSTS numbers with their OAuth error, and the JSON that Entra makes of them.

Invariant: every error of an endpoint has this one shape. Numbers and texts: "Microsoft Entra authentication and
authorization error codes", and responses that people published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from runtui.domain.times import TICKS_PER_SECOND, format_ticks


class OAuthError(Exception):
    """An error response of the sign-in service (RFC 6749, section 5.2).

    Args:
        error: OAuth's code.
        text: The description, without the AADSTS number.
        codes: The AADSTS numbers, the telling one first.
        suberror: Entra's refinement of `error`.
        status: The HTTP status.
        claims: JSON that the next sign-in should send as its `claims`.
    """

    def __init__(
        self,
        error: str,
        text: str,
        *,
        codes: Sequence[int] = (),
        suberror: str = "",
        status: int = 400,
        claims: str = "",
    ) -> None:
        super().__init__(text)
        self.error = error
        self.text = text
        self.codes = tuple(codes)
        self.suberror = suberror
        self.status = status
        self.claims = claims

    @property
    def headline(self) -> str:
        """The AADSTS number and the text, as people quote them."""
        return f"AADSTS{self.codes[0]}: {self.text}" if self.codes else self.text

    def body(self, *, now: int, trace_id: str, correlation_id: str, base: str) -> dict[str, Any]:
        """The JSON of the response. `now` is in ticks; `base` is the authority's own address."""
        moment = format_ticks(now - now % TICKS_PER_SECOND).replace("T", " ")
        body: dict[str, Any] = {
            "error": self.error,
            "error_description": (
                f"{self.headline} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {moment}"
            ),
            "error_codes": list(self.codes),
            "timestamp": moment,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }
        if self.codes:
            body["error_uri"] = f"{base}/error?code={self.codes[0]}"
        if self.suberror:
            body["suberror"] = self.suberror
        if self.claims:
            body["claims"] = self.claims
        return body


class _Entry(NamedTuple):
    error: str
    text: str
    suberror: str = ""
    status: int = 400


_NO_RECORD: Final = "No matching federated identity record found for presented assertion"

AADSTS: Final = {
    50011: _Entry(
        "invalid_request",
        "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for "
        "the application '{client_id}'.",
    ),
    50020: _Entry("interaction_required", "User account '{username}' does not exist in tenant '{tenant}'."),
    50027: _Entry("invalid_request", "JWT token is invalid or malformed.", status=401),
    50034: _Entry("invalid_grant", "The user account does not exist in the {tenant} directory."),
    50053: _Entry("invalid_grant", "The account is locked, you've tried to sign in too many times."),
    50057: _Entry("invalid_grant", "The user account is disabled."),
    50059: _Entry(
        "invalid_request",
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
    ),
    50076: _Entry(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "use multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50079: _Entry(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "enroll in multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50105: _Entry(
        "interaction_required",
        "Your administrator has configured the application {name} ('{client_id}') to block users unless they are "
        "specifically granted ('assigned') access to the application.",
    ),
    50158: _Entry("interaction_required", "External security challenge not satisfied.", "basic_action"),
    50173: _Entry(
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have "
        "changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before "
        "which tokens are not valid) for this user is '{valid_from}'.",
        "bad_token",
    ),
    53000: _Entry(
        "interaction_required",
        "Device is not in required device state: unknown. Conditional Access policy requires a compliant device.",
        "message_only",
    ),
    53003: _Entry(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        "message_only",
    ),
    54005: _Entry(
        "invalid_grant", "OAuth2 Authorization code was already redeemed, please retry with a new valid code."
    ),
    65001: _Entry(
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{client_id}' named '{name}'. Send "
        "an interactive authorization request for this user and resource.",
        "consent_required",
    ),
    65004: _Entry("access_denied", "User declined to consent to access the app."),
    70003: _Entry("unsupported_grant_type", "The app requested an unsupported grant type '{grant}'."),
    70008: _Entry(
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive "
        "authorization request for this user and resource.",
    ),
    70011: _Entry(
        "invalid_scope", "The provided request must include a 'scope' input parameter. '{scope}' is invalid."
    ),
    70016: _Entry("authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    70018: _Entry("bad_verification_code", "Invalid verification code."),
    70020: _Entry(
        "expired_token",
        "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
    ),
    70043: _Entry(
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.",
        "bad_token",
    ),
    90002: _Entry(
        "invalid_request",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud.",
    ),
    90033: _Entry("temporarily_unavailable", "A transient error has occurred. Please try again.", status=503),
    90094: _Entry("consent_required", "Admin consent is required for the permissions requested by this application."),
    500011: _Entry(
        "invalid_resource",
        "The resource principal named {resource} was not found in the tenant named {tenant}.",
    ),
    500112: _Entry(
        "invalid_grant",
        "The reply address '{redirect_uri}' does not match the reply address provided when requesting Authorization "
        "code.",
    ),
    501481: _Entry(
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    530032: _Entry("invalid_grant", "User blocked due to risk on home tenant.", "message_only"),
    530036: _Entry(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The policy does not allow sessions that began with "
        "the device code flow.",
        "message_only",
    ),
    700016: _Entry(
        "unauthorized_client",
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'.",
    ),
    700023: _Entry("invalid_client", "Client assertion audience claim does not match Realm issuer.", status=401),
    700024: _Entry(
        "invalid_client",
        "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {valid_from}, "
        "expiry time of assertion {ends}.",
        status=401,
    ),
    700025: _Entry(
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        status=401,
    ),
    700027: _Entry("invalid_client", "Client assertion failed signature validation. [Reason - {reason}]", status=401),
    700082: _Entry(
        "invalid_grant",
        "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for "
        "{idle}.",
        "bad_token",
    ),
    700211: _Entry("invalid_client", _NO_RECORD + " issuer '{value}'.", status=401),
    700212: _Entry("invalid_client", _NO_RECORD + " audience '{value}'.", status=401),
    700213: _Entry("invalid_client", _NO_RECORD + " subject '{value}'.", status=401),
    900144: _Entry("invalid_request", "The request body must contain the following parameter: '{parameter}'."),
    7000215: _Entry(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{client_id}'.",
        status=401,
    ),
    7000216: _Entry(
        "invalid_client",
        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        status=401,
    ),
    7000218: _Entry(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        status=401,
    ),
    7000222: _Entry("invalid_client", "The provided client secret keys for app '{client_id}' are expired.", status=401),
    9002313: _Entry("invalid_grant", "Invalid request. Request is malformed or invalid."),
    9002325: _Entry("invalid_request", "Proof Key for Code Exchange (S256) is required for this client."),
}
"""Entra's errors by number. Braces stand for facts of the request."""


class _Facts(dict[str, object]):
    """The facts of one request; an unknown one is an ellipsis."""

    def __missing__(self, _name: str) -> str:
        return "…"


def aadsts(number: int, *, claims: str = "", **facts: object) -> OAuthError:
    """The error with that AADSTS number, its braces filled from `facts`.

    Raises:
        KeyError: it is not in `AADSTS`.
    """
    entry = AADSTS[number]
    text = entry.text.format_map(_Facts(facts))
    return OAuthError(entry.error, text, codes=(number,), suberror=entry.suberror, status=entry.status, claims=claims)
