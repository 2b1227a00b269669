"""The endpoints of the sandbox's sign-in: discovery, device code, token, and the two pages for browsers.

Invariant: an answer is a pure function of the request and of what the sign-ins so far have left; a page's refusal is a
page, any other one is Entra's JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from runtui.sandbox.authority_browser import RESPONSE_MODES, BrowserSignIns
from runtui.sandbox.authority_clients import authenticate
from runtui.sandbox.authority_device import DeviceCodes
from runtui.sandbox.authority_directory import Account, Directory
from runtui.sandbox.authority_errors import SignInError, known
from runtui.sandbox.authority_page import device_page, form_post_page, message_page, page_headers, sign_in_page
from runtui.sandbox.authority_tokens import Issuer

DISCOVERY: Final = "discovery"
DEVICE_CODE: Final = "devicecode"
TOKEN: Final = "token"  # noqa: S105 - an endpoint's name
AUTHORIZE: Final = "authorize"
DEVICE_PAGE: Final = "devicelogin"

_ROUTES: Final = tuple(
    (endpoint, methods, re.compile(path))
    for endpoint, methods, path in (
        (DISCOVERY, ("GET",), r"/([^/]+)/v2\.0/\.well-known/openid-configuration"),
        (DEVICE_CODE, ("POST",), r"/([^/]+)/oauth2/v2\.0/devicecode"),
        (TOKEN, ("POST",), r"/([^/]+)/oauth2/v2\.0/token"),
        (AUTHORIZE, ("GET", "POST"), r"/([^/]+)/oauth2/v2\.0/authorize"),
        (DEVICE_PAGE, ("GET", "POST"), r"/devicelogin()"),
    )
)
_PAGES: Final = (AUTHORIZE, DEVICE_PAGE)
_DEVICE_GRANTS: Final = ("urn:ietf:params:oauth:grant-type:device_code", "device_code")
_NO_STORE: Final = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class AuthorityAnswer:
    """One answer; `delay` is how many seconds it shall take, which is the face's to wait."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0


class Endpoints:
    """What answers at each address.

    Args:
        base: the authority's own address.
        directory: whom it knows.
        clock: the present moment in ticks.
        chance: where codes, keys and tokens come from.
    """

    def __init__(self, base: str, directory: Directory, clock: Callable[[], int], chance: Random) -> None:
        self.base = base
        self.directory = directory
        self.issuer = Issuer(base, directory, clock, chance)
        self.devices = DeviceCodes(base, directory, self.issuer, clock, chance)
        self.browser = BrowserSignIns(directory, self.issuer, clock)
        self._clock = clock
        self._chance = chance

    def serve(
        self, endpoint: str, tenant: str, method: str, headers: Mapping[str, str], form: Mapping[str, str]
    ) -> AuthorityAnswer:
        """Answer a request to an endpoint of `route`.

        Raises:
            SignInError: the service refuses.
        """
        if not endpoint:
            return _page(404, message_page("Not found", "There is nothing here."))
        if endpoint in _PAGES and method == "POST" and headers.get("origin", self.base) != self.base:
            return _page(403, message_page("Refused", "That form came from another site."))
        if endpoint == DEVICE_PAGE:
            return self._device_page(method, form)
        self.directory.check_tenant(tenant, must_be_one=form.get("grant_type") == "client_credentials")
        if endpoint == AUTHORIZE:
            return self._authorize(method, form)
        if endpoint == DISCOVERY:
            return _json(200, self._discovery(tenant))
        return _json(200, self.devices.begin(form) if endpoint == DEVICE_CODE else self._token(tenant, form))

    def _discovery(self, tenant: str) -> dict[str, Any]:
        root = f"{self.base}/{tenant}"
        vague = tenant.lower() in ("organizations", "common")
        return {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_modes_supported": list(RESPONSE_MODES),
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["HS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{self.base}/{'{tenantid}' if vague else self.directory.tenant_id}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "msgraph_host": urlsplit(self.directory.resource).netloc,
        }

    def _token(self, tenant: str, form: Mapping[str, str]) -> dict[str, Any]:
        application = self.directory.application(form.get("client_id", ""))
        names = {tenant, self.directory.tenant_id}
        audiences = {f"{self.base}/{name}{end}" for name in names for end in ("/oauth2/v2.0/token", "/v2.0")}
        proof = authenticate(form, application, self._clock(), audiences)
        grant = form.get("grant_type", "")
        if grant in _DEVICE_GRANTS:
            return self.devices.poll(form, application)
        if grant == "authorization_code":
            return self.browser.redeem(form, application, proof)
        scope, claims = form.get("scope", ""), form.get("claims", "")
        if grant == "refresh_token":
            return self.issuer.refresh(form.get("refresh_token", ""), application, scope, claims)
        if grant == "client_credentials":
            return self.issuer.answer_program(application, proof, scope, claims)
        raise known(70003, grant=grant)

    def _device_page(self, method: str, form: Mapping[str, str]) -> AuthorityAnswer:
        if method == "GET":
            return _page(200, device_page(self.directory.accounts))
        account = self._chosen(form)
        application = self.devices.decide(form.get("user_code", ""), account)
        return _page(200, message_page(*_outcome(application.name, account)))

    def _authorize(self, method: str, form: Mapping[str, str]) -> AuthorityAnswer:
        if method == "GET":
            key, visit = self.browser.begin(form)
            return _page(200, sign_in_page(visit, key, self.directory.accounts))
        landing = self.browser.decide(form.get("visit", ""), self._chosen(form))
        if landing.mode == "form_post":
            nonce = self.issuer.secret_word(16)
            return AuthorityAnswer(200, page_headers(nonce), form_post_page(landing, nonce))
        return AuthorityAnswer(302, {**_NO_STORE, "Location": landing.url}, b"")

    def _chosen(self, form: Mapping[str, str]) -> Account | None:
        """The account of an approval; None for a refusal, which is everything else."""
        return self.directory.account(form.get("username", "")) if form.get("answer") == "approve" else None

    def refuse(self, endpoint: str, headers: Mapping[str, str], error: SignInError) -> AuthorityAnswer:
        """A refusal as the endpoint words it."""
        if endpoint in _PAGES:
            return _page(error.status, message_page("Sorry, but we're having trouble signing you in.", error.headline))
        trace_id = self._guid()
        asked = headers.get("client-request-id", "")
        correlation_id = asked if _is_guid(asked) else self._guid()
        body = error.body(now=self._clock(), trace_id=trace_id, correlation_id=correlation_id, base=self.base)
        answer = _json(error.status, body)
        ids = {"x-ms-request-id": trace_id, "client-request-id": correlation_id}
        return replace(answer, headers={**answer.headers, **ids})

    def _guid(self) -> str:
        return str(UUID(bytes=self._chance.randbytes(16), version=4))


def route(method: str, path: str) -> tuple[str, str]:
    """Which endpoint a request is for, and which tenant; both empty when there is none."""
    for endpoint, methods, pattern in _ROUTES:
        if method in methods and (match := pattern.fullmatch(path)):
            return endpoint, match[1]
    return "", ""


def _outcome(name: str, account: Account | None) -> tuple[str, str]:
    if account is None:
        return "Refused", f"{name} was not signed in. You may close this page."
    return "Signed in", f"{name} is signed in as {account.username}. You may close this page."


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _json(status: int, content: Mapping[str, Any]) -> AuthorityAnswer:
    headers = {"Content-Type": "application/json; charset=utf-8", **_NO_STORE}
    return AuthorityAnswer(status, headers, json.dumps(content).encode())


def _page(status: int, body: bytes) -> AuthorityAnswer:
    return AuthorityAnswer(status, page_headers(), body)
