"""The sandbox's sign-in authority: what Microsoft Entra's sign-in service does, as far as a sign-in library needs it.

Invariant: pure logic. It opens no socket, waits for nothing, and logs no token, secret or code; a face in front of it
carries the requests (`authority_app` over a socket, `authority_memory` without one). Endpoints: "OpenID Connect on the
Microsoft identity platform" and its pages on the device code, authorization code and client credentials flows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random, SystemRandom
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from runtui.domain.times import now_ticks
from runtui.sandbox.authority_browser import Landing
from runtui.sandbox.authority_device import AutoApproval
from runtui.sandbox.authority_directory import DEMO_ADMIN, Account, Directory, Principal
from runtui.sandbox.authority_endpoints import TOKEN, AuthorityAnswer, Endpoints, route
from runtui.sandbox.authority_errors import SignInError, known
from runtui.sandbox.authority_tokens import Identity, Refusal

BASE: Final = "https://login.fake.test"
"""Where it is when no socket carries it: a name that no host can have (RFC 2606)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, as the log keeps it. `error` is OAuth's word for the refusal, `codes` the AADSTS numbers."""

    endpoint: str
    status: int
    tenant: str = ""
    grant: str = ""
    client_id: str = ""
    scope: str = ""
    claims: str = ""
    error: str = ""
    codes: tuple[int, ...] = ()


@dataclass(slots=True)
class _Planned:
    """What the next requests to an endpoint meet instead of an answer."""

    endpoint: str
    what: SignInError | AuthorityAnswer
    times: int


class Authority:
    """One tenant's sign-in service, its controls and its log. Safe to use from several threads.

    Args:
        clock: the present moment in ticks; a test hands in its own.
        base: its own address, as its discovery document names it.
        directory: whom it knows, and which service its tokens are for.
        chance: where codes, keys and tokens come from; a screenshot hands in its own.
    """

    def __init__(
        self,
        clock: Callable[[], int] = now_ticks,
        *,
        base: str = BASE,
        directory: Directory | None = None,
        chance: Random | None = None,
    ) -> None:
        self.base = base.rstrip("/")
        self.directory = directory or Directory()
        self.calls: list[Call] = []
        """Every request so far, oldest first."""
        self._endpoints = Endpoints(self.base, self.directory, clock, chance or SystemRandom())
        self._planned: list[_Planned] = []
        self._delays: dict[str, float] = {}
        self._lock = threading.RLock()

    def url(self, tenant: str = "") -> str:
        """What a client is given as its authority; without a tenant, this directory's own."""
        return f"{self.base}/{tenant or self.directory.tenant_id}"

    def handle(
        self, method: str, url_path: str, headers: Mapping[str, str], form: Mapping[str, str]
    ) -> AuthorityAnswer:
        """Answer one request. Never raises.

        Args:
            method: the verb.
            url_path: the path, without the query.
            headers: the request's headers, their names in small letters.
            form: the parameters: the query of a GET, the form of a POST.
        """
        with self._lock:
            endpoint, tenant = route(method, url_path)
            refusal: SignInError | None = None
            try:
                answer = self._planned_answer(endpoint) or self._endpoints.serve(
                    endpoint, tenant, method, headers, form
                )
            except SignInError as error:
                refusal, answer = error, self._endpoints.refuse(endpoint, headers, error)
            self.calls.append(
                Call(
                    endpoint=endpoint,
                    status=answer.status,
                    tenant=tenant,
                    grant=form.get("grant_type", ""),
                    client_id=form.get("client_id", ""),
                    scope=form.get("scope", ""),
                    claims=form.get("claims", ""),
                    error=refusal.error if refusal else "",
                    codes=refusal.codes if refusal else (),
                )
            )
            return replace(answer, delay=answer.delay + self._delays.get(endpoint, 0.0))

    def verify(self, access_token: str, *, write: bool = False) -> Refusal | Identity:
        """What Graph makes of an access token: who asks, or why not (401, perhaps with a challenge, or 403).

        Args:
            access_token: what the request carries after "Bearer".
            write: whether the request changes anything.
        """
        with self._lock:
            return self._endpoints.issuer.verify(access_token, write=write)

    # How it behaves, for tests, the demo and its scenarios.

    def set_lifetime(self, seconds: int) -> None:
        """Let access tokens live so long from now on."""
        with self._lock:
            self._endpoints.issuer.lifetime = seconds

    def set_polling(self, interval: int, *, is_strict: bool = False) -> None:
        """Ask device code clients to poll every `interval` seconds; strictly, slow_down answers those that do not."""
        with self._lock:
            self._endpoints.devices.interval, self._endpoints.devices.is_strict = interval, is_strict

    def set_code_lifetime(self, seconds: int) -> None:
        """Let device codes live so long from now on."""
        with self._lock:
            self._endpoints.devices.lifetime = seconds

    def auto_approve(
        self, account: Account | None = DEMO_ADMIN, *, polls: int | None = None, seconds: float | None = None
    ) -> None:
        """Approve every device code by itself (None: refuse it), at that poll or so many seconds later.

        With neither, no longer.
        """
        with self._lock:
            self._endpoints.devices.auto = AutoApproval(account, polls, seconds)

    @property
    def pending(self) -> list[str]:
        """The user codes that wait for a person, oldest first."""
        with self._lock:
            return self._endpoints.devices.pending

    def approve(self, user_code: str, account: Account = DEMO_ADMIN) -> None:
        """Sign in with the code that a device shows.

        Raises:
            SignInError: no such code waits.
        """
        with self._lock:
            self._endpoints.devices.decide(user_code, account)

    def refuse(self, user_code: str) -> None:
        """Say no to the code that a device shows.

        Raises:
            SignInError: no such code waits.
        """
        with self._lock:
            self._endpoints.devices.decide(user_code, None)

    def expire(self, user_code: str) -> None:
        """Let a code run out at once.

        Raises:
            SignInError: no such code waits.
        """
        with self._lock:
            self._endpoints.devices.expire(user_code)

    def browse(self, auth_url: str, account: Account | None = DEMO_ADMIN) -> Landing:
        """What a browser does with the address of a sign-in: open it, approve (None: refuse), and land.

        Raises:
            SignInError: the page would show this refusal.
        """
        query = dict(parse_qsl(urlsplit(auth_url).query))
        with self._lock:
            key, _ = self._endpoints.browser.begin(query)
            return self._endpoints.browser.decide(key, account)

    def kill_refresh_tokens(self, principal: Principal | None = None, code: int = 700082) -> None:
        """Refuse the refresh tokens of a principal (None: everybody's) with that AADSTS number of `KNOWN`."""
        with self._lock:
            self._endpoints.issuer.end_sessions(principal, code)

    def challenge(self, principal: Principal) -> str:
        """Challenge the access tokens of a principal; a refresh that carries the claims gets one that passes.

        Returns:
            These claims, as JSON.
        """
        with self._lock:
            return self._endpoints.issuer.challenge(principal)

    def revoke(self, principal: Principal) -> str:
        """End every session of a principal: refresh tokens are dead, and access tokens are challenged.

        Returns:
            The claims of the challenge, as JSON.
        """
        with self._lock:
            self._endpoints.issuer.end_sessions(principal, 50173)
            return self._endpoints.issuer.challenge(principal)

    def next_error(self, error: SignInError | int, *, endpoint: str = TOKEN, times: int = 1, claims: str = "") -> None:
        """Refuse the next requests to an endpoint.

        Args:
            error: the refusal, or the AADSTS number of one in `KNOWN`.
            endpoint: which, such as `TOKEN`.
            times: how many requests.
            claims: what the refusal asks for, as JSON; for a number.
        """
        what = known(error, claims=claims, resource=self.directory.resource) if isinstance(error, int) else error
        with self._lock:
            self._planned.append(_Planned(endpoint, what, times))

    def next_answer(self, answer: AuthorityAnswer, *, endpoint: str = TOKEN, times: int = 1) -> None:
        """Answer the next requests to an endpoint with anything at all, such as `unavailable()` or `web_page()`."""
        with self._lock:
            self._planned.append(_Planned(endpoint, answer, times))

    def slow_down(self, seconds: float, *, endpoint: str = TOKEN) -> None:
        """Let every answer of an endpoint take so long."""
        with self._lock:
            self._delays[endpoint] = seconds

    def _planned_answer(self, endpoint: str) -> AuthorityAnswer | None:
        planned = next((planned for planned in self._planned if planned.endpoint == endpoint), None)
        if planned is None:
            return None
        planned.times -= 1
        if planned.times <= 0:
            self._planned.remove(planned)
        if isinstance(planned.what, SignInError):
            raise planned.what
        return planned.what


def unavailable(retry_after: int | None = None, status: int = 503) -> AuthorityAnswer:
    """The service is down, perhaps with a word on when to come back (seconds)."""
    wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return AuthorityAnswer(status, {"Content-Type": "text/html", **wait}, b"<h1>Service Unavailable</h1>")


def web_page(status: int = 200) -> AuthorityAnswer:
    """What a proxy or a hotel's network says in the place of the service."""
    return AuthorityAnswer(status, {"Content-Type": "text/html"}, b"<html><title>Sign in to the network</title></html>")
