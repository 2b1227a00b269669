"""Errors of the sign-in service as `SignInError`: what happened, the next step, and what an administrator looks up.

Invariant: decisions follow OAuth's `error` and `suberror`. Microsoft advises against depending on AADSTS numbers, so
they only choose better words. All foreign text is redacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from runtui.auth.claims import WRITE_PERMISSION
from runtui.errors import RuntuiError
from runtui.redact import redact
from runtui.settings import SignInSettings

_LONGEST: Final = 600
"""The most characters of foreign text that are kept."""


class SignInError(RuntuiError):
    """A sign-in failed or has ended. All foreign text in it is redacted."""

    def __init__(
        self,
        title: str,
        message: str = "",
        hint: str = "",
        *,
        needs_person: bool = False,
        is_transient: bool = False,
        reference: tuple[str, ...] = (),
        claims: str = "",
        pause: int = 0,
    ) -> None:
        super().__init__(title, message, hint)
        self.needs_person = needs_person
        """True if a (new) sign-in would help."""
        self.is_transient = is_transient
        """True if a later retry may work: the service or the network is down."""
        self.reference = reference
        """Named ids for an administrator to find the sign-in in Entra's logs: "Trace ID: …"."""
        self.claims = claims
        """The claims that the next sign-in must request (JSON); empty if there are none."""
        self.pause = pause
        """The seconds that the service asks to wait (`Retry-After`); 0 if it asks for none."""


class _Words(NamedTuple):
    title: str
    message: str
    hint: str
    """The next step beyond another sign-in."""
    needs_person: bool = False
    is_transient: bool = False


_EXPIRED: Final = _Words(
    "Your sign-in has expired",
    "It was unused for too long, the password changed, or a policy asks for it from time to time.",
    "",
    needs_person=True,
)
_BLOCKED: Final = _Words(
    "Your organisation's access policy blocked this sign-in",
    "A Conditional Access policy does not allow it from here, or by this method.",
    "Retrying will not help. Sign in with a browser instead of a device code, or ask an administrator.",
    needs_person=True,
)
_BLOCKED_DEVICE_CODE: Final = _Words(
    "Your organisation blocks sign-in by device code",
    "A Conditional Access policy blocks this method, and sessions that began with it.",
    'Sign in with a browser: set sign-in = "browser" in the profile.',
    needs_person=True,
)
_VERIFICATION: Final = _Words(
    "The sign-in service asks for more verification",
    "It wants one more step, such as multi-factor authentication.",
    "",
    needs_person=True,
)
_CONSENT: Final = _Words(
    "This application needs consent",
    "Its permissions have not been granted yet; often only an administrator can.",
    "An administrator can grant them at",
    needs_person=True,
)
_UNKNOWN: Final = _Words(
    "The sign-in service does not know this application or tenant",
    "The client id or the tenant id is wrong, or belongs to another cloud.",
    "Compare with the app registration:",
)
_CODE_EXPIRED: Final = _Words(
    "The code has expired", "Nobody completed the sign-in in time.", "Request a new code.", needs_person=True
)
_DECLINED: Final = _Words(
    "The sign-in was declined", "Somebody declined it in the browser.", "Sign in again if that was a mistake.",
    needs_person=True,
)  # fmt: skip
_NOT_PUBLIC: Final = _Words(
    "The app registration does not allow this kind of sign-in",
    "“Allow public client flows” is off.",
    "An administrator can turn it on in the app registration, under Authentication.",
)
_SECRET_WRONG: Final = _Words(
    "The client secret is wrong",
    "The sign-in service expects the secret's value, not its id.",
    "Correct RUNTUI_CLIENT_SECRET.",
)
_SECRET_EXPIRED: Final = _Words(
    "The client secret has expired",
    "The app registration lists it as expired.",
    "Create a new one and set RUNTUI_CLIENT_SECRET.",
)
_SECRET_REJECTED: Final = _Words(
    "The client secret was rejected",
    "It is wrong or expired; the sign-in service expects the secret's value, not its id.",
    "Correct RUNTUI_CLIENT_SECRET.",
)
_ASSERTION: Final = _Words(
    "The certificate or federated token was rejected",
    "It is not registered for this application, or this machine's clock is wrong.",
    "Compare the certificate with the app registration, and check the clock.",
)
_CREDENTIAL: Final = _Words(
    "The application's credential was rejected",
    "Its secret, certificate or federated token is wrong, expired or not registered.",
    "Compare it with the app registration, and check this machine's clock.",
)
_ACCOUNT: Final = _Words(
    "This account cannot sign in here",
    "It is not in this tenant, not assigned to the application, disabled or locked.",
    "Use another account, or ask an administrator.",
    needs_person=True,
)
_SCOPE: Final = _Words(
    "The sign-in service does not know these permissions",
    "The Graph root and the sign-in service may belong to different clouds.",
    "Check root and cloud in the profile.",
)
_UNREACHABLE: Final = _Words(
    "The sign-in service did not answer as expected",
    "It reports an error of its own.",
    "If it lasts, check the network, the proxy and ca-file.",
    is_transient=True,
)

_BY_CODE: Final[Mapping[int, _Words]] = {
    **dict.fromkeys((700082, 50173, 70043, 70008), _EXPIRED),
    **dict.fromkeys((53003, 530032, 53000, 53001, 53002, 53004), _BLOCKED),
    530036: _BLOCKED_DEVICE_CODE,
    **dict.fromkeys((50076, 50079, 50158), _VERIFICATION),
    **dict.fromkeys((65001, 90094, 90095), _CONSENT),
    **dict.fromkeys((700016, 700038, 90002, 900023, 50128), _UNKNOWN),
    **dict.fromkeys((70019, 70020), _CODE_EXPIRED),
    65004: _DECLINED,
    7000218: _NOT_PUBLIC,
    7000215: _SECRET_WRONG,
    7000222: _SECRET_EXPIRED,
    **dict.fromkeys((700024, 700027, 700023, 700211, 700212, 700213), _ASSERTION),
    **dict.fromkeys((50105, 50020, 50034, 50057, 50053), _ACCOUNT),
    **dict.fromkeys((70011, 500011), _SCOPE),
}
_BY_SUBERROR: Final[Mapping[str, _Words]] = {"consent_required": _CONSENT, "basic_action": _VERIFICATION}
_BY_METHOD: Final[Mapping[str, _Words]] = {
    "secret": _SECRET_REJECTED,
    "certificate": _ASSERTION,
    "federated": _ASSERTION,
}
"""The meaning of `invalid_client` for each sign-in method, if the error has no AADSTS number."""

_BY_ERROR: Final[Mapping[str, _Words]] = {
    "consent_required": _CONSENT,
    "interaction_required": _VERIFICATION,
    "login_required": _VERIFICATION,
    "invalid_grant": _EXPIRED,
    "expired_token": _CODE_EXPIRED,
    "authorization_declined": _DECLINED,
    "access_denied": _DECLINED,
    "unauthorized_client": _UNKNOWN,
    "invalid_client": _CREDENTIAL,
    "invalid_scope": _SCOPE,
    "invalid_resource": _SCOPE,
    "temporarily_unavailable": _UNREACHABLE,
    "server_error": _UNREACHABLE,
}


def from_oauth_error(answer: Mapping[str, Any], settings: SignInSettings, scopes: tuple[str, ...] = ()) -> SignInError:
    """Translate an OAuth error response (RFC 6749, section 5.2), the JSON of the sign-in service.

    The hint names the parts of `settings` that are to be compared, or the page where an administrator grants `scopes`.
    """
    error, suberror = _redacted(answer, "error"), _redacted(answer, "suberror")
    description = _redacted(answer, "error_description")
    by_code = next((_BY_CODE[code] for code in _codes(answer, description) if code in _BY_CODE), None)
    by_method = _BY_METHOD.get(settings.method) if error == "invalid_client" else None
    words = by_code or _BY_SUBERROR.get(suberror) or by_method or _BY_ERROR.get(error)
    if words is None:
        words = _Words(f"The sign-in service refused: {error or 'no reason given'}", "", "Ask an administrator.")
    headline = re.sub(r"(?s)\s*\b(?:Trace ID|Correlation ID|Timestamp):.*", "", description).strip()
    message = " ".join(part for part in (words.message, f"It says: {headline}" if headline else "") if part)
    hint = words.hint
    if words is _UNKNOWN:
        hint += f" tenant-id {settings.tenant_id}, client-id {settings.client_id}."
    elif words is _CONSENT:
        permissions = [scope.rpartition("/")[2] for scope in scopes]
        page = f"{settings.authority}/{settings.tenant_id}/adminconsent?client_id={settings.client_id}"
        hint += f" {page} ({', '.join(permissions)})."
        if WRITE_PERMISSION in permissions:
            hint += " A read-only profile needs fewer."
    claims = answer.get("claims")
    return SignInError(
        words.title,
        message,
        hint,
        needs_person=words.needs_person,
        is_transient=words.is_transient,
        reference=tuple(_reference(answer, description)),
        claims=claims if isinstance(claims, str) else "",
    )


def unreachable(why: str, pause: int = 0) -> SignInError:
    """Return the error for a service without a usable answer; `why` is a sentence, `pause` is in seconds."""
    return SignInError(_UNREACHABLE.title, redact(why)[:_LONGEST], _UNREACHABLE.hint, is_transient=True, pause=pause)


def not_signed_in(message: str = "No account is signed in.") -> SignInError:
    """Return the error for a missing sign-in by a person; each user interface adds how to start one."""
    return SignInError("Sign in first", message, needs_person=True)


def _redacted(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return redact(value)[:_LONGEST] if isinstance(value, str) else ""


def _codes(answer: Mapping[str, Any], description: str) -> list[int]:
    given = answer.get("error_codes")
    codes = [code for code in given if isinstance(code, int)] if isinstance(given, list) else []
    return codes + [int(code) for code in re.findall(r"\bAADSTS([0-9]{4,8})\b", description)]


def _reference(answer: Mapping[str, Any], description: str) -> Iterator[str]:
    """Read from the fields, or from the end of the description: an answer by way of the browser has only that."""
    for name, label in (("correlation_id", "Correlation ID"), ("trace_id", "Trace ID"), ("timestamp", "Timestamp")):
        found = re.search(rf"\b{label}: ([^\r\n]*?)(?=\s+(?:Trace ID|Correlation ID|Timestamp):|\s*$)", description)
        if value := _redacted(answer, name) or (found[1].strip() if found else ""):
            yield f"{label}: {value}"
