"""The authority's endpoints: discovery, device code, token, and the two pages for browsers.

Invariant: a response depends only on the request, the clock and the grants so far; the authority opens no socket and
logs nothing. An error of a page is a page, any other error is Entra's JSON. Every page says DEMO, asks for
no password, loads nothing, and escapes foreign text. Endpoints: "OpenID Connect on the Microsoft identity platform" and
its pages on the device code and authorization code flows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any, Final
from uuid import uuid4

from starlette.responses import HTMLResponse, JSONResponse, Response

from runtui.domain.times import now_ticks
from runtui.sandbox.authority.directory import Directory, User
from runtui.sandbox.authority.errors import OAuthError, aadsts
from runtui.sandbox.authority.grants import AuthorizationCodes, AuthorizationRequest, DeviceCodes
from runtui.sandbox.authority.tokens import Issuer

AUTHORITY_BASE: Final = "https://login.fake.test"
"""The default address of an authority: a name that no host can have (RFC 2606)."""

_DISCOVERY: Final = "discovery"
_DEVICE_CODE: Final = "devicecode"
TOKEN: Final = "token"  # noqa: S105 - an endpoint's name
_AUTHORIZE: Final = "authorize"
_DEVICE_PAGE: Final = "devicelogin"

_ROUTES: Final = tuple(
    (endpoint, methods, re.compile(path))
    for endpoint, methods, path in (
        (_DISCOVERY, ("GET",), r"/([^/]+)/v2\.0/\.well-known/openid-configuration"),
        (_DEVICE_CODE, ("POST",), r"/([^/]+)/oauth2/v2\.0/devicecode"),
        (TOKEN, ("POST",), r"/([^/]+)/oauth2/v2\.0/token"),
        (_AUTHORIZE, ("GET", "POST"), r"/([^/]+)/oauth2/v2\.0/authorize"),
        (_DEVICE_PAGE, ("GET", "POST"), r"/devicelogin()"),
    )
)
_PAGES: Final = (_AUTHORIZE, _DEVICE_PAGE)
_DEVICE_GRANTS: Final = ("urn:ietf:params:oauth:grant-type:device_code", "device_code")
_NO_STORE: Final = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}

_STYLE: Final = (
    "body{font:1rem/1.5 sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "b.demo{background:#fc0;color:#000;padding:.2rem .6rem}button,select,input{font:inherit;padding:.3rem .8rem}"
)


class Authority:
    """The sign-in service of one tenant. `base` is its own address, which its discovery document names."""

    def __init__(
        self,
        clock: Callable[[], int] = now_ticks,
        *,
        base: str = AUTHORITY_BASE,
        directory: Directory | None = None,
    ) -> None:
        self.base = base.rstrip("/")
        self.directory = directory or Directory()
        self.issuer = Issuer(self.base, self.directory, clock)
        self.devices = DeviceCodes(self.issuer)
        self.browsers = AuthorizationCodes(self.issuer)

    def handle(self, method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Response:
        """Answer one request; an OAuthError becomes a response. The names of headers are in lower case; `form` holds
        the query of a GET, the form of a POST.
        """
        endpoint, tenant = route(method, path)
        if not endpoint:
            return _message(404, "Not found", "There is nothing here.")
        if endpoint in _PAGES and method == "POST" and headers.get("origin", self.base) != self.base:
            return _message(403, "Refused", "That form came from another site.")
        try:
            if endpoint == _DEVICE_PAGE:
                return self._device_page(method, form)
            self.directory.check_tenant(tenant)
            if endpoint == _AUTHORIZE:
                return self._authorize(method, form)
            if endpoint == _DISCOVERY:
                answer = self._discovery(tenant)
            elif endpoint == _DEVICE_CODE:
                answer = self.devices.begin(form)
            else:
                answer = self.token(form)
            return _json(200, answer)
        except OAuthError as error:
            return self.error_response(endpoint, headers, error)

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Return the response of the token endpoint. Every application here is a public client."""
        application = self.directory.application(form.get("client_id", ""))
        grant = form.get("grant_type", "")
        if grant in _DEVICE_GRANTS:
            return self.devices.poll(form, application)
        if grant == "authorization_code":
            return self.browsers.redeem(form, application)
        if grant == "refresh_token":
            scope, claims = form.get("scope", ""), form.get("claims", "")
            return self.issuer.refresh(form.get("refresh_token", ""), application, scope, claims)
        raise aadsts(70003, grant=grant)

    def revoke(self, user: User) -> str:
        """End every grant of a user: refresh tokens are refused, and access tokens are challenged. Return the
        claims of the challenge, as JSON.
        """
        self.issuer.end_grants(user, 50173)
        return self.issuer.challenge(user)

    def _discovery(self, tenant: str) -> dict[str, Any]:
        root = f"{self.base}/{tenant}"
        is_vague = tenant.lower() in ("organizations", "common")
        return {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "issuer": f"{self.base}/{'{tenantid}' if is_vague else self.directory.tenant_id}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
        }

    def _device_page(self, method: str, form: Mapping[str, str]) -> Response:
        if method == "GET":
            return _page(200, "Enter the code", _device_form(self.directory.users))
        user = self._chosen(form)
        code = self.devices.waiting(form.get("user_code", ""))
        code.decide(user)
        name = code.application.name
        if user is None:
            return _message(200, "Declined", f"{name} is not signed in. You can close this page.")
        return _message(200, "Signed in", f"{name} is signed in as {user.username}. You can close this page.")

    def _authorize(self, method: str, form: Mapping[str, str]) -> Response:
        if method == "GET":
            key, request = self.browsers.begin(form)
            title = f"Sign in to {request.application.name}?"
            return _page(200, title, _sign_in_form(request, key, self.directory.users))
        address = self.browsers.decide(form.get("visit", ""), self._chosen(form))
        return Response(status_code=302, headers={**_NO_STORE, "Location": address})

    def _chosen(self, form: Mapping[str, str]) -> User | None:
        """Return the user who approves; None if the form declines."""
        return self.directory.user(form.get("username", "")) if form.get("answer") == "approve" else None

    def error_response(self, endpoint: str, headers: Mapping[str, str], error: OAuthError) -> Response:
        if endpoint in _PAGES:
            return _message(error.status, "Sorry, but we're having trouble signing you in.", error.headline)
        trace_id, correlation_id = str(uuid4()), headers.get("client-request-id") or str(uuid4())
        body = error.body(now=self.issuer.clock(), trace_id=trace_id, correlation_id=correlation_id, base=self.base)
        ids = {"x-ms-request-id": trace_id, "client-request-id": correlation_id}
        return _json(error.status, body, ids)


def route(method: str, path: str) -> tuple[str, str]:
    """Return the endpoint and the tenant of a request; both are empty if there is no such endpoint."""
    for endpoint, methods, pattern in _ROUTES:
        if method in methods and (match := pattern.fullmatch(path)):
            return endpoint, match[1]
    return "", ""


def _json(status: int, content: Mapping[str, Any], ids: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(content, status, {**_NO_STORE, **(ids or {})})


# The pages that a browser sees.


def _page(status: int, title: str, body: str) -> Response:
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>DEMO: {escape(title)}</title>'
        f'<style>{_STYLE}</style><p><b class="demo">DEMO</b> This is runtui\'s sandbox, not Microsoft. '
        f"It asks for no password; never type one here.</p><h1>{escape(title)}</h1>{body}</html>"
    )
    return HTMLResponse(page, status, headers)


def _message(status: int, title: str, text: str) -> Response:
    return _page(status, title, f"<p>{escape(text)}</p>")


def _sign_in_form(request: AuthorizationRequest, key: str, users: Iterable[User]) -> str:
    hidden = f'<input type="hidden" name="visit" value="{escape(key)}">'
    return f'<p>It requests: {escape(request.scope)}</p><form method="post">{hidden}{_choice(users)}</form>'


def _device_form(users: Iterable[User]) -> str:
    warning = "<p>Only enter a code that your own program shows you right now.</p>"
    code = '<p><label>Code <input name="user_code" autocomplete="off" required autofocus></label></p>'
    return f'{warning}<form method="post">{code}{_choice(users)}</form>'


def _choice(users: Iterable[User]) -> str:
    options = "".join(
        f'<option value="{escape(user.username)}">{escape(f"{user.name} ({user.username})")}</option>' for user in users
    )
    return (
        f'<p><label>Account <select name="username">{options}</select></label></p>'
        '<p><button name="answer" value="approve">Approve</button> '
        '<button name="answer" value="decline">Decline</button></p>'
    )
