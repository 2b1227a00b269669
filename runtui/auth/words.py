"""What a sign-in service answers, in words: what happened, the next step, and what to pass on to an administrator.

Invariant: decisions follow OAuth's `error` and `suberror`; the AADSTS numbers, on which Microsoft says not to depend,
only choose better words. All foreign text is redacted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtui.auth.claims import WRITE_PERMISSION
from runtui.errors import RuntuiError
from runtui.redact import redact

_LONGEST: Final = 600
"""Characters of foreign text that are kept."""

_CODE: Final = re.compile(r"\bAADSTS([0-9]{4,8})\b")
_TAIL: Final = re.compile(r"\s*\b(?:Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """What an administrator finds the sign-in by in the logs; each may be empty. Foreign text, redacted."""

    correlation_id: str = ""
    trace_id: str = ""
    timestamp: str = ""

    def __str__(self) -> str:
        named = (("Correlation ID", self.correlation_id), ("Trace ID", self.trace_id), ("Timestamp", self.timestamp))
        return " · ".join(f"{name}: {value}" for name, value in named if value)


NO_REFERENCE: Final = Reference()


class SignInError(RuntuiError):
    """A sign-in that did not come about, or one that is over. All foreign text in it is redacted."""

    def __init__(
        self,
        title: str,
        message: str = "",
        hint: str = "",
        *,
        needs_person: bool = False,
        is_passing: bool = False,
        reference: Reference = NO_REFERENCE,
        claims: str = "",
        pause: int = 0,
    ) -> None:
        super().__init__(title, message, hint)
        self.needs_person = needs_person
        """Whether a person who signs in would cure it."""
        self.is_passing = is_passing
        """Whether trying again later may work: the service is down, the network is away."""
        self.reference = reference
        self.claims = claims
        """The claims that the next sign-in has to ask for (JSON); empty without any."""
        self.pause = pause
        """Seconds that the sign-in service asks to be left alone; 0 when it does not say."""


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    message: str
    hint: str
    needs_person: bool = False
    is_passing: bool = False


_EXPIRED: Final = _Words(
    "Your saved sign-in has expired",
    "It was not used for long, the password was changed, or a policy asks for it from time to time.",
    "Sign in again; nothing that you typed is lost.",
    needs_person=True,
)
_BLOCKED: Final = _Words(
    "Your organisation's access policy blocked this sign-in",
    "A Conditional Access policy does not allow it from here, or in this way.",
    "Trying again will not help. Sign in in a browser instead of by device code, or pass this on to an administrator.",
    needs_person=True,
)
_BLOCKED_DEVICE_CODE: Final = _Words(
    "Your organisation does not allow sign-ins by device code",
    "A Conditional Access policy blocks that flow, and sessions that began with it.",
    'Sign in in a browser instead: sign-in = "browser" in the profile.',
    needs_person=True,
)
_MORE: Final = _Words(
    "The sign-in service wants to see more of you",
    "It asks for one more verification, such as multi-factor authentication.",
    "Sign in again.",
    needs_person=True,
)
_CONSENT: Final = _Words(
    "This program has not been allowed yet",
    "Somebody has to consent to what it asks for; often only an administrator may.",
    "Pass this on to an administrator, with the client id and the permissions:",
    needs_person=True,
)
_UNKNOWN: Final = _Words(
    "The sign-in service does not know this program or this tenant",
    "The client id or the tenant id is wrong, or they belong to another cloud.",
    "Compare with the app registration:",
)
_CODE_EXPIRED: Final = _Words(
    "The code has expired", "Nobody finished the sign-in in time.", "Ask for another code.", needs_person=True
)
_REFUSED: Final = _Words(
    "The sign-in was refused in the browser", "Somebody said no there.", "Begin again if that was a slip.",
    needs_person=True,
)  # fmt: skip
_NOT_PUBLIC: Final = _Words(
    "The app registration does not allow this kind of sign-in",
    "It lacks “Allow public client flows”.",
    "An administrator switches that on in the app registration, under Authentication.",
)
_SECRET_WRONG: Final = _Words(
    "The client secret is wrong",
    "The sign-in service does not accept it; it wants the secret's value, not its id.",
    "Correct RUNTUI_CLIENT_SECRET.",
)
_SECRET_EXPIRED: Final = _Words(
    "The client secret has expired", "The app registration lists it as expired.", "Make another one, and set it."
)
_ASSERTION: Final = _Words(
    "The certificate or the federated token was not accepted",
    "It is not registered for this program, or the clock of this machine is wrong.",
    "Compare the certificate with the app registration, and the clock with the right time.",
)
_SECRET_REFUSED: Final = _Words(
    "The client secret was not accepted",
    "It is wrong or has expired; the sign-in service wants the secret's value, not its id.",
    "Correct RUNTUI_CLIENT_SECRET.",
)
_CREDENTIAL: Final = _Words(
    "The credential of this program was not accepted",
    "Its secret, certificate or federated token is wrong, has expired, or is not registered for it.",
    "Compare it with the app registration, and the clock of this machine with the right time.",
)
_ACCOUNT: Final = _Words(
    "This account cannot sign in here",
    "It is not in this tenant, not assigned to the program, disabled or locked.",
    "Use another account, or ask an administrator.",
    needs_person=True,
)
_SCOPE: Final = _Words(
    "The permissions asked for are not known here",
    "The Graph root and the sign-in service may belong to different clouds.",
    "Check root and cloud of the profile.",
)
_AWAY: Final = _Words(
    "The sign-in service cannot be reached",
    "It did not answer as it should.",
    "It is tried again by itself; check the network, the proxy and ca-file if it lasts.",
    is_passing=True,
)

_BY_CODE: Final[Mapping[int, _Words]] = {
    **dict.fromkeys((700082, 50173, 70043, 70008), _EXPIRED),
    **dict.fromkeys((53003, 530032, 53000, 53001, 53002, 53004), _BLOCKED),
    530036: _BLOCKED_DEVICE_CODE,
    **dict.fromkeys((50076, 50079, 50158), _MORE),
    **dict.fromkeys((65001, 90094, 90095), _CONSENT),
    **dict.fromkeys((700016, 90002), _UNKNOWN),
    **dict.fromkeys((70019, 70020), _CODE_EXPIRED),
    65004: _REFUSED,
    7000218: _NOT_PUBLIC,
    7000215: _SECRET_WRONG,
    7000222: _SECRET_EXPIRED,
    **dict.fromkeys((700024, 700027, 700023, 700211, 700212, 700213), _ASSERTION),
    **dict.fromkeys((50105, 50020, 50034, 50057, 50053), _ACCOUNT),
    **dict.fromkeys((70011, 500011), _SCOPE),
}

_BY_ERROR: Final[Mapping[str, _Words]] = {
    "consent_required": _CONSENT,
    "interaction_required": _MORE,
    "login_required": _MORE,
    "invalid_grant": _EXPIRED,
    "expired_token": _CODE_EXPIRED,
    "authorization_declined": _REFUSED,
    "access_denied": _REFUSED,
    "unauthorized_client": _UNKNOWN,
    "invalid_client": _CREDENTIAL,
    "invalid_scope": _SCOPE,
    "invalid_resource": _SCOPE,
    "temporarily_unavailable": _AWAY,
    "server_error": _AWAY,
}

_INVALID_CLIENT: Final[Mapping[str, _Words]] = {
    "secret": _SECRET_REFUSED,
    "certificate": _ASSERTION,
    "federated": _ASSERTION,
}
"""What `invalid_client` means, by the method of signing in; without a number nothing else tells them apart."""

_BY_SUBERROR: Final[Mapping[str, _Words]] = {"consent_required": _CONSENT, "basic_action": _MORE}


def refusal_of(
    answer: Mapping[str, Any], *, client_id: str = "", scopes: tuple[str, ...] = (), method: str = ""
) -> SignInError:
    """What an OAuth error says, in words.

    Args:
        answer: The JSON of the sign-in service, with `error`.
        client_id: Of this program, for whoever has to allow it.
        scopes: What it asks for.
        method: How it signs in; empty where it does not matter.
    """
    error, suberror = _text(answer, "error"), _text(answer, "suberror")
    said = _text(answer, "error_description")
    by_code = next((_BY_CODE[code] for code in _codes(answer, said) if code in _BY_CODE), None)
    by_method = _INVALID_CLIENT.get(method) if error == "invalid_client" else None
    words = by_code or _BY_SUBERROR.get(suberror) or by_method or _BY_ERROR.get(error)
    if words is None:
        words = _Words(f"The sign-in service refused: {error or 'no reason given'}", "", "Pass this on as it is.")
    headline = _TAIL.sub("", said).strip()
    message = " ".join(part for part in (words.message, f"It says: {headline}" if headline else "") if part)
    hint = words.hint
    if words in (_CONSENT, _UNKNOWN):
        hint = " ".join((hint, f"client id {client_id};", ", ".join(scopes))).rstrip("; ") + "."
    if words is _CONSENT and any(scope.endswith(WRITE_PERMISSION) for scope in scopes):
        hint += " A read-only profile asks for less."
    claims = answer.get("claims")
    return SignInError(
        words.title,
        message,
        hint,
        needs_person=words.needs_person,
        is_passing=words.is_passing,
        reference=_reference(answer, said),
        claims=claims if isinstance(claims, str) else "",
    )


def away(what: str, pause: int = 0) -> SignInError:
    """The sign-in service could not be asked, or did not answer as one does; `what` is a sentence on it."""
    return SignInError(_AWAY.title, redact(what)[:_LONGEST], _AWAY.hint, is_passing=True, pause=pause)


def signed_out(message: str = "No account is signed in.") -> SignInError:
    """A person has to sign in first; each face knows how."""
    return SignInError("Sign in first", message, needs_person=True)


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return redact(value)[:_LONGEST] if isinstance(value, str) else ""


def _codes(answer: Mapping[str, Any], said: str) -> list[int]:
    given = answer.get("error_codes")
    codes = [code for code in given if isinstance(code, int)] if isinstance(given, list) else []
    return codes + [int(code) for code in _CODE.findall(said)]


def _reference(answer: Mapping[str, Any], said: str) -> Reference:
    """From the fields, or from the end of the description: an answer that came by the browser has only that."""

    def field(name: str, label: str) -> str:
        found = re.search(rf"\b{label}: ([^\r\n]*?)(?=\s+(?:Trace ID|Correlation ID|Timestamp):|\s*$)", said)
        return _text(answer, name) or (found[1].strip() if found else "")

    return Reference(
        field("correlation_id", "Correlation ID"), field("trace_id", "Trace ID"), field("timestamp", "Timestamp")
    )
