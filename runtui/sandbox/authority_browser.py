"""The authorization code grant with PKCE: a page where a person says yes, and a code for the program to redeem.

Invariant: nobody is sent to an address that the program did not register; a code is good once, for a few minutes, and
only with the verifier of its challenge (RFC 7636, S256 alone).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from runtui.domain.times import TICKS_PER_SECOND
from runtui.sandbox.authority_clients import to_base64url
from runtui.sandbox.authority_directory import Account, Application, Directory
from runtui.sandbox.authority_errors import known
from runtui.sandbox.authority_tokens import Issuer, Session

CODE_LIFETIME_SECONDS: Final = 600
RESPONSE_MODES: Final = ("query", "fragment", "form_post")


@dataclass(frozen=True, slots=True)
class Landing:
    """Where the browser goes at the end of a sign-in, and what it brings there."""

    redirect_uri: str
    mode: str
    parameters: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address; what a form brings is not in it."""
        if self.mode == "form_post":
            return self.redirect_uri
        mark = "#" if self.mode == "fragment" else "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{mark}{urlencode(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser that was sent here by a program."""

    application: Application
    scope: str
    redirect_uri: str
    mode: str
    state: str
    nonce: str
    challenge: str
    claims: str

    def land(self, **parameters: str) -> Landing:
        """Go back to the program."""
        if self.state:
            parameters["state"] = self.state
        return Landing(self.redirect_uri, self.mode, parameters)


@dataclass(slots=True)
class _Code:
    visit: Visit
    account: Account
    expires: int
    is_used: bool = False


class BrowserSignIns:
    """The visits that wait for a person, and the codes that wait for a program."""

    def __init__(self, directory: Directory, issuer: Issuer, clock: Callable[[], int]) -> None:
        self._directory = directory
        self._issuer = issuer
        self._clock = clock
        self._visits: dict[str, Visit] = {}
        self._codes: dict[str, _Code] = {}

    def begin(self, query: Mapping[str, str]) -> tuple[str, Visit]:
        """A browser arrives; the word by which its decision will name the visit, and the visit.

        Raises:
            SignInError: the program, its address or what it asks for is not known here.
        """
        application = self._directory.application(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if not application.may_land_on(redirect_uri):
            raise known(50011, redirect_uri=redirect_uri, client_id=application.client_id)
        if query.get("response_type") != "code":
            raise known(900144, parameter="response_type=code")
        mode = query.get("response_mode", "query")
        if mode not in RESPONSE_MODES:
            raise known(900144, parameter="response_mode")
        challenge = query.get("code_challenge", "")
        if application.is_public and (not challenge or query.get("code_challenge_method") != "S256"):
            raise known(9002325)
        scope = query.get("scope", "")
        self._directory.check_scope(scope)
        state, nonce, claims = (query.get(name, "") for name in ("state", "nonce", "claims"))
        visit = Visit(application, scope, redirect_uri, mode, state, nonce, challenge, claims)
        key = self._issuer.secret_word()
        self._visits[key] = visit
        return key, visit

    def decide(self, key: str, account: Account | None) -> Landing:
        """Approve in the name of an account, or refuse (None).

        Raises:
            SignInError: no such visit waits.
        """
        visit = self._visits.pop(key, None)
        if visit is None:
            raise known(9002313)
        if account is None:
            refusal = known(65004)
            return visit.land(error=refusal.error, error_description=refusal.headline)
        code = f"1.{self._issuer.secret_word(48)}"
        self._codes[code] = _Code(visit, account, self._clock() + CODE_LIFETIME_SECONDS * TICKS_PER_SECOND)
        return visit.land(code=code, session_state=self._issuer.secret_word(16))

    def redeem(self, form: Mapping[str, str], application: Application, proof: str) -> dict[str, Any]:
        """The token for a code.

        Raises:
            SignInError: the code, the address or the verifier is wrong.
        """
        code, now = self._codes.get(form.get("code", "")), self._clock()
        if code is None or code.visit.application.client_id != application.client_id:
            raise known(9002313)
        if code.is_used:
            raise known(54005)
        if now >= code.expires:
            raise known(70008)
        visit, redirect_uri = code.visit, form.get("redirect_uri", "")
        if redirect_uri != visit.redirect_uri:
            raise known(500112, redirect_uri=redirect_uri)
        # A wrong verifier spends the code: whoever holds a stolen one may not try twice.
        code.is_used = True
        verifier = s256(form.get("code_verifier", ""))
        if visit.challenge and not hmac.compare_digest(verifier.encode(), visit.challenge.encode()):
            raise known(501481)
        session = Session(code.account, application, now, now, proof, visit.nonce)
        scope, claims = form.get("scope") or visit.scope, form.get("claims") or visit.claims
        return self._issuer.answer(session, scope, claims, interactive=True)


def s256(verifier: str) -> str:
    """The challenge of a PKCE verifier."""
    return to_base64url(hashlib.sha256(verifier.encode()).digest())
