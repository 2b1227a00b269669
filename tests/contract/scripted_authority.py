"""The sandbox's authority as a test directs it, and an HTTP client for MSAL that reaches it without a socket.

Invariant: it behaves as the sandbox's authority until a test says otherwise. It is thread-safe. Its log contains no
token, secret or code.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import Response

from runtui.auth.msal_client import HttpAnswer
from runtui.sandbox.authority.directory import DEMO_ADMIN, User, allow
from runtui.sandbox.authority.errors import OAuthError
from runtui.sandbox.authority.grants import AuthorizationCodes, Autopilot, DeviceCodes
from runtui.sandbox.authority.service import TOKEN, Authority, route
from runtui.sandbox.authority.tokens import Grant
from runtui.sandbox.errors import GraphError
from tests.contract.entra_programs import ConfidentialApplication, ProgramIssuer, aadsts, authenticate

Parameters = Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request in the log."""

    endpoint: str
    status: int
    grant: str = ""
    client_id: str = ""
    scope: str = ""
    claims: str = ""


@dataclass(slots=True)
class Planned:
    """A planned error or response for the next requests to an endpoint."""

    endpoint: str
    what: OAuthError | Response
    times: int


@dataclass(frozen=True, slots=True)
class Landing:
    """The address at which a browser ends."""

    url: str

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))


class ScriptedAuthority(Authority):
    """An authority that a test directs; `calls` are its requests so far, oldest first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.issuer = ProgramIssuer(self.base, self.directory, self.issuer.clock)
        self.devices = DeviceCodes(self.issuer)
        self.browsers = AuthorizationCodes(self.issuer)
        self.calls: list[Call] = []
        self._planned: list[Planned] = []
        self._lock = threading.RLock()

    def handle(self, method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Response:
        endpoint, tenant = route(method, path)
        with self._lock:
            if (planned := self._next_planned(endpoint, tenant, form)) is None:
                answer = super().handle(method, path, headers, form)
            elif isinstance(planned, OAuthError):
                answer = self.error_response(endpoint, headers, planned)
            else:
                answer = planned
            said = {name: form.get(name, "") for name in ("client_id", "scope", "claims")}
            grant = form.get("grant_type", "")
            self.calls.append(Call(endpoint=endpoint, status=answer.status_code, grant=grant, **said))
            return answer

    def _next_planned(self, endpoint: str, tenant: str, form: Mapping[str, str]) -> OAuthError | Response | None:
        if form.get("grant_type") == "client_credentials" and tenant in ("organizations", "common"):
            return aadsts(50059)
        planned = next((planned for planned in self._planned if planned.endpoint == endpoint), None)
        if planned is None:
            return None
        planned.times -= 1
        if planned.times <= 0:
            self._planned.remove(planned)
        return planned.what

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Return the response of the token endpoint, also for programs with credentials."""
        application = self.directory.application(form.get("client_id", ""))
        if not isinstance(application, ConfidentialApplication):
            return super().token(form)
        authenticate(form, application, f"{self.url()}/oauth2/v2.0/token")
        if form.get("grant_type") != "client_credentials":
            return super().token(form)
        now = self.issuer.clock()
        grant = Grant(application.as_user, application, now, now)
        response = self.issuer.token_response(grant, form.get("scope", ""), form.get("claims", ""))
        return {name: response[name] for name in ("token_type", "expires_in", "ext_expires_in", "access_token")}

    def verify(self, access_token: str, *, write: bool = False, action: str = "") -> GraphError | None:
        """Return why Graph refuses a request with that token, or None."""
        try:
            with self._lock:
                permissions = self.issuer.verify(access_token)
        except GraphError as error:
            return error
        return None if allow(permissions, write=write, action=action) else GraphError(403, "", "")

    def url(self, tenant: str = "") -> str:
        """Return the authority URL for a client; by default with the tenant of this directory."""
        return f"{self.base}/{tenant or self.directory.tenant_id}"

    def auto_approve(self, user: User | None = DEMO_ADMIN, *, polls: int) -> None:
        """Approve every device code at that poll, as `user`; None declines it."""
        with self._lock:
            self.devices.autopilot = Autopilot(user, polls)

    @property
    def pending(self) -> list[str]:
        """The user codes that nobody has decided about, oldest first."""
        with self._lock:
            return [code.user_code for code in self.devices.pending]

    def approve(self, user_code: str, user: User = DEMO_ADMIN) -> None:
        with self._lock:
            self.devices.waiting(user_code).decide(user)

    def refuse(self, user_code: str) -> None:
        with self._lock:
            self.devices.waiting(user_code).decide(None)

    def expire(self, user_code: str) -> None:
        """Let a code expire at once."""
        with self._lock:
            self.devices.waiting(user_code).expires = 0

    def browse(self, auth_url: str, user: User | None = DEMO_ADMIN) -> Landing:
        """Open the address of a sign-in as a browser does, and approve it as `user` (None: decline it)."""
        query = dict(parse_qsl(urlsplit(auth_url).query))
        with self._lock:
            key, _ = self.browsers.begin(query)
            return Landing(self.browsers.decide(key, user))

    def kill_refresh_tokens(self, user: User = DEMO_ADMIN, code: int = 700082) -> None:
        with self._lock:
            self.issuer.end_grants(user, code)

    def challenge(self, user: User) -> str:
        with self._lock:
            return self.issuer.challenge(user)

    def revoke(self, user: User) -> str:
        with self._lock:
            return super().revoke(user)

    def next_error(self, error: OAuthError | int, *, endpoint: str = TOKEN, times: int = 1, claims: str = "") -> None:
        """Refuse the next requests to an endpoint with an error, or with an AADSTS number."""
        what = aadsts(error, claims=claims, resource=self.directory.resource) if isinstance(error, int) else error
        with self._lock:
            self._planned.append(Planned(endpoint, what, times))

    def next_answer(self, answer: Response, *, endpoint: str = TOKEN, times: int = 1) -> None:
        """Answer the next requests to an endpoint with any response, such as `unavailable()` or `web_page()`."""
        with self._lock:
            self._planned.append(Planned(endpoint, answer, times))


def unavailable(retry_after: int | None = None, status: int = 503) -> Response:
    wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(b"<h1>Service Unavailable</h1>", status, {"Content-Type": "text/html", **wait})


def web_page(status: int = 200) -> Response:
    """Return the response of a proxy, or of the network of a hotel, instead of the service's."""
    page = b"<html><title>Sign in to the network</title></html>"
    return Response(page, status, {"Content-Type": "text/html"})


class MemoryHttp:
    """An `http_client` for MSAL: the authority in memory."""

    def __init__(self, authority: ScriptedAuthority) -> None:
        self._authority = authority

    def get(
        self, url: str, params: Parameters = None, headers: Mapping[str, str] | None = None, **_options: object
    ) -> HttpAnswer:
        return self._send("GET", url, params, headers, None)

    def post(
        self,
        url: str,
        params: Parameters = None,
        data: Parameters = None,
        headers: Mapping[str, str] | None = None,
        **_options: object,
    ) -> HttpAnswer:
        return self._send("POST", url, params, headers, data)

    def send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        return self._send(method, url, options.get("params"), options.get("headers"), options.get("data"))

    def close(self) -> None:
        pass

    def _send(
        self, method: str, url: str, params: Parameters, headers: Mapping[str, str] | None, data: Parameters
    ) -> HttpAnswer:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._authority.base:
            raise ConnectionError(f"{parts.netloc} cannot be reached: only the sandbox's own sign-in can.")
        form = {**dict(parse_qsl(parts.query)), **_texts(params), **_texts(data)}
        small = {name.lower(): str(value) for name, value in (headers or {}).items() if value is not None}
        answer = self._authority.handle(method, parts.path, small, form)
        return HttpAnswer(answer.status_code, answer.headers, bytes(answer.body).decode())


def _texts(parameters: Parameters) -> dict[str, str]:
    """Return parameters as in a form: None is left out, bytes become text."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in (parameters or {}).items()
        if value is not None
    }
