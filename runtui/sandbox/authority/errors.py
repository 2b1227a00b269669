"""The errors of the sign-in service: AADSTS numbers with their OAuth error, and the JSON of the response.

Invariant: every error of an endpoint has this one shape. Numbers and texts: "Microsoft Entra authentication and
authorization error codes", and published responses.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Final

from runtui.domain.times import TICKS_PER_SECOND, format_ticks


@dataclass(eq=False)
class OAuthError(Exception):
    """An error response of the sign-in service (RFC 6749, section 5.2)."""

    error: str
    """OAuth's code."""
    text: str
    """The description, without the AADSTS number."""
    suberror: str = ""
    """Entra's refinement of `error`."""
    status: int = 400
    number: int = 0
    """The AADSTS number, set by `numbered`."""

    def numbered(self, number: int, **facts: object) -> OAuthError:
        """Return the error with its number. Names in braces in the text stand for facts of the request; an unknown one
        is an ellipsis."""
        return replace(self, number=number, text=self.text.format_map(defaultdict(lambda: "…", facts)))

    @property
    def headline(self) -> str:
        return f"AADSTS{self.number}: {self.text}"

    def body(self, *, now: int, trace_id: str, correlation_id: str, base: str) -> dict[str, Any]:
        """Return the JSON of the response. `now` is in ticks; `base` is the authority's own address."""
        moment = format_ticks(now - now % TICKS_PER_SECOND).replace("T", " ")
        body: dict[str, Any] = {
            "error": self.error,
            "error_description": (
                f"{self.headline} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {moment}"
            ),
            "error_codes": [self.number],
            "timestamp": moment,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"{base}/error?code={self.number}",
        }
        if self.suberror:
            body["suberror"] = self.suberror
        return body


AADSTS: Final = {
    50011: OAuthError("invalid_request",
        "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for "
        "the application '{client_id}'."),
    50034: OAuthError("invalid_grant", "The user account does not exist in the {tenant} directory."),
    50173: OAuthError("invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have "
        "changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before "
        "which tokens are not valid) for this user is '{valid_from}'.",
        "bad_token"),
    54005: OAuthError("invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code."),
    65001: OAuthError("invalid_grant",
        "The user or administrator has not consented to use the application with ID '{client_id}' named '{name}'. Send "
        "an interactive authorization request for this user and resource.",
        "consent_required"),
    65004: OAuthError("access_denied", "User declined to consent to access the app."),
    70003: OAuthError("unsupported_grant_type", "The app requested an unsupported grant type '{grant}'."),
    70008: OAuthError("invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive "
        "authorization request for this user and resource."),
    70011: OAuthError("invalid_scope",
        "The provided request must include a 'scope' input parameter. '{scope}' is invalid."),
    70016: OAuthError("authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    70018: OAuthError("bad_verification_code", "Invalid verification code."),
    70020: OAuthError("expired_token",
        "The provided value for the input parameter 'device_code' is not valid. This device code has expired."),
    90002: OAuthError("invalid_request",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud."),
    500011: OAuthError("invalid_resource",
        "The resource principal named {resource} was not found in the tenant named {tenant}."),
    500112: OAuthError("invalid_grant",
        "The reply address '{redirect_uri}' does not match the reply address provided when requesting Authorization "
        "code."),
    501481: OAuthError("invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request."),
    700016: OAuthError("unauthorized_client",
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'."),
    700082: OAuthError("invalid_grant",
        "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for "
        "{idle}.",
        "bad_token"),
    900144: OAuthError("invalid_request", "The request body must contain the following parameter: '{parameter}'."),
    9002313: OAuthError("invalid_grant", "Invalid request. Request is malformed or invalid."),
    9002325: OAuthError("invalid_request", "Proof Key for Code Exchange (S256) is required for this client."),
}  # fmt: skip
"""The errors that this authority raises, by number."""


def aadsts(number: int, **facts: object) -> OAuthError:
    return AADSTS[number].numbered(number, **facts)
