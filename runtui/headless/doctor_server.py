"""The way to the server: trust, proxy, sign-in, and then the server itself.

Invariant: nothing that is sent can change anything: one GET for a single workflow, and one OPTIONS about a run that
cannot exist. No token and no password is part of a finding.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from runtui.auth.claims import WRITE_PERMISSION, read_claims
from runtui.errors import RuntuiError
from runtui.graph.client import GraphClient, GraphError
from runtui.graph.exchange import Exchange
from runtui.graph.network import tls_context
from runtui.graph.root import root_is_loopback
from runtui.graph.transport import Transport
from runtui.headless.findings import Finding, ok, problem, warning
from runtui.options import OPTION_BY_NAME
from runtui.session_settings import token_source
from runtui.settings import Settings

if TYPE_CHECKING:
    from runtui.graph.transport import Wire

MAX_SKEW_SECONDS: Final = 120.0
"""How far the clocks may be apart: tokens and signed proofs are refused beyond a few minutes."""

_NO_TOKEN: Final = "runtui-doctor-has-no-token"  # noqa: S105 - that is what it says
"""Carried where there is no token: the refusal still says that the server is there, and what time it is."""

_SIGN_IN: Final = "Sign in: runtui login, or open runtui."


def trust(settings: Settings, environ: Mapping[str, str] = os.environ) -> Finding:
    """Whose certificates are believed."""
    if settings.root.startswith("http:"):
        return ok("trust", "The root is plain http on this machine: no certificate is needed.")
    try:
        context = tls_context(settings.ca_file)
    except OSError as error:
        return problem("trust", f"The certificates cannot be loaded: {error}.", "Correct ca-file or SSL_CERT_FILE.")
    own = f", and {settings.ca_file} besides" if settings.ca_file else ""
    if type(context) is not ssl.SSLContext:
        return ok("trust", f"What the operating system trusts{own}.")
    variable = next((f" ({name})" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)), "")
    return ok("trust", f"{len(context.get_ca_certs())} certificates of the system{variable}{own}.")


def proxy(settings: Settings) -> Finding:
    """Which way requests go."""
    from urllib.request import getproxies, proxy_bypass

    host = urlsplit(settings.root).hostname or ""
    if root_is_loopback(settings.root):
        return ok("proxy", "None: the root is this machine.")
    if settings.proxy:
        return ok("proxy", f"{_shown(settings.proxy)}, as chosen.")
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return ok("proxy", "None.")
    if proxy_bypass(host):
        return ok("proxy", f"None for {host}, as NO_PROXY says.")
    return ok("proxy", f"{_shown(address)}, as the environment says.")


def _shown(address: str) -> str:
    return OPTION_BY_NAME["proxy"].shown(address)


async def sign_in(
    settings: Settings, *, offline: bool, environ: Mapping[str, str] = os.environ
) -> tuple[list[Finding], str]:
    """Whether somebody is signed in, until when, and for what; and the token, empty without one."""
    try:
        source = token_source(settings, environ)
        if settings.sign_in is None or settings.sign_in.method == "token":
            token = await source()
            return list(_token_findings(token, settings)), token
        return await _held(source, settings, offline=offline)
    except RuntuiError as error:
        return [problem("sign-in", f"{error.title}. {error.message}", error.hint or _SIGN_IN)], ""


async def _held(source: object, settings: Settings, *, offline: bool) -> tuple[list[Finding], str]:
    """What a sign-in of our own has: from the cache, and renewed where the server may be asked."""
    from runtui.auth.signin import SignIn

    assert isinstance(source, SignIn)  # noqa: S101 - every other source is a token by hand
    try:
        state = await source.load()
        scopes = ", ".join(scope.rpartition("/")[2] for scope in source.scopes)
        if state.account is None and source.is_person:
            return [problem("sign-in", f"Nobody is signed in; asked for would be {scopes}.", _SIGN_IN)], ""
        if offline:
            account = state.account
            who = str(account) if account else settings.sign_in.client_id if settings.sign_in else ""
            return [ok("sign-in", f"{who}{_until(state.expires_at)}; {scopes}.")], ""
        token = await source()
        return list(_token_findings(token, settings)), token
    finally:
        await source.aclose()


def _token_findings(token: str, settings: Settings) -> Iterator[Finding]:
    claims = read_claims(token)
    if claims.expires_at is not None and claims.expires_at <= datetime.now(UTC):
        when = f"{claims.expires_at:%Y-%m-%d %H:%M} UTC"
        yield problem("sign-in", f"The token of {claims.account or 'nobody named'} ended {when}.", "Get another one.")
        return
    who = claims.account or "a token that does not say whose it is"
    yield ok(
        "sign-in", f"{who}{f', tenant {claims.tenant_id}' if claims.tenant_id else ''}{_until(claims.expires_at)}."
    )
    if claims.permissions is None:
        return
    words = ", ".join(sorted(claims.permissions)) or "none"
    if WRITE_PERMISSION in claims.permissions or settings.read_only:
        yield ok("permissions", f"{words}.")
    else:
        what = f"{words}: without {WRITE_PERMISSION} no run can be changed."
        yield warning("permissions", what, "Have it granted, or set read-only.")


def _until(moment: datetime | None) -> str:
    if moment is None:
        return ""
    minutes = int((moment - datetime.now(UTC)).total_seconds() // 60)
    return f", {minutes} minutes left" if minutes >= 0 else ", to be renewed"


async def server(settings: Settings, token: str, wire: Wire | None = None) -> AsyncIterator[Finding]:
    """Whether the root answers, when it thinks it is, whether it can be read, and whether it takes changes."""

    async def bearer() -> str:
        return token or _NO_TOKEN

    async with Transport(
        settings.root, token=bearer, ca_file=settings.ca_file, proxy=settings.proxy, wire=wire
    ) as transport:
        client = GraphClient(transport, patch_path=settings.patch_path, page_size=1)
        exchange, fault = await _one_read(client)
        if exchange.status is None:
            what = fault.message if fault else "There is no answer."
            yield problem("root", f"{settings.root}: {what}", fault.hint if fault else "Try again.")
            return
        yield ok("root", f"{settings.root} answers in {(exchange.seconds or 0) * 1000:.0f} ms.")
        yield clock(exchange)
        if not token:
            yield warning("read", "Skipped: there is no token.", _SIGN_IN)
        elif fault is not None:
            yield problem("read", f"{fault.title}. {fault.message}", fault.hint or "Ask the server's administrator.")
        else:
            yield ok("read", "The workflows can be listed.")
        yield await _change(client, settings, has_token=bool(token))


async def _one_read(client: GraphClient) -> tuple[Exchange, RuntuiError | None]:
    try:
        async for page in client.workflows():
            return page.exchange, None
    except GraphError as error:
        return error.exchange, error
    raise RuntimeError("A listing has a first page or an error.")


def clock(exchange: Exchange, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Finding:
    """How far our clock is from the server's, as its answer dates itself."""
    said = exchange.response_header("date")
    try:
        there = parsedate_to_datetime(said)
    except ValueError:
        return warning("clock", "The server does not say what time it is.", "Compare the clock by hand: date -u.")
    if there.tzinfo is None:
        there = there.replace(tzinfo=UTC)
    seconds = (now() - there).total_seconds()
    if abs(seconds) <= MAX_SKEW_SECONDS:
        return ok("clock", "It agrees with the server's.")
    minutes = f"{abs(seconds) / 60:.0f} minutes {'ahead of' if seconds > 0 else 'behind'}"
    return warning("clock", f"It is {minutes} the server's.", "Set it right (NTP): sign-in fails when clocks differ.")


async def _change(client: GraphClient, settings: Settings, *, has_token: bool) -> Finding:
    """Whether the root offers the change of a run: asked by OPTIONS, which changes nothing."""
    if settings.read_only:
        return ok("change", "Skipped: this profile is read-only.")
    exchange = await client.ask_for_update()
    allowed = {method.strip().upper() for method in exchange.response_header("allow").split(",")} - {""}
    if "PATCH" in allowed:
        return ok("change", f"The server offers it: PATCH {settings.patch_path}.")
    body = exchange.response_body.decode(errors="replace").lower()
    if allowed or "not found for the segment" in body:
        return warning(
            "change",
            f"The server does not offer it: PATCH {settings.patch_path}.",
            "Runs can be read; or set patch-path to where this server takes changes.",
        )
    answer = f"{exchange.status} to OPTIONS" if exchange.status else "nothing to OPTIONS"
    why = "" if has_token else ", and there is no token"
    return warning(
        "change",
        f"It cannot be told without a change: the server answered {answer}{why}.",
        "The first change will tell; the review shows it before it is sent.",
    )
