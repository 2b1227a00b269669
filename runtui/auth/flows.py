"""The two sign-in flows for a person: device code (RFC 8628), and authorization code with PKCE (RFC 7636).

Invariant: the flows store nothing, so a cancelled one leaves nothing behind. The sign-in service is polled at the
interval it requests, but at most once a second. A browser's answer, received on the loopback port or pasted, is
accepted only once and only with the `state` of this attempt.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from runtui.auth.errors import SignInError, from_oauth_error
from runtui.errors import FieldError
from runtui.redact import register_secret
from runtui.settings import SignInSettings

_SHORTEST_INTERVAL: Final = 1
_LONGEST_INTERVAL: Final = 60
"""The longest time between two polls, in seconds, even if the service requests more."""

_LONGEST_SECONDS: Final = 900
"""The time that a person has, in seconds."""

_PENDING: Final = ("authorization_pending", "slow_down", "temporarily_unavailable")

_ASKED_MODE: Final = "form_post"
"""The response mode passed to MSAL, which prints a warning for any other. The URL is then changed to `query`, because
only an address can be pasted. The code in it is useless without the verifier, which stays here."""

_LONGEST_ADDRESS: Final = 16_384
_READ_SECONDS: Final = 5.0
_HOST: Final = "127.0.0.1"

_PAGE: Final = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Security-Policy: default-src 'none'\r\n"
    "Referrer-Policy: no-referrer\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
)
_DONE: Final = "<!doctype html><title>runtui</title><p>You can close this window and return to the terminal."
_NOT_OURS: Final = "<!doctype html><title>runtui</title><p>This does not belong to the sign-in in progress."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in.

    `app` is an MSAL application whose cache is dropped unless the attempt succeeds. `claims` is JSON or empty. `run`
    makes a blocking call in a thread and raises SignInError.
    """

    app: Any
    settings: SignInSettings
    scopes: tuple[str, ...]
    claims: str
    run: Callable[[Callable[[], Any]], Awaitable[Any]]

    def error(self, answer: Mapping[str, Any]) -> SignInError:
        return from_oauth_error(answer, self.settings, self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """The data for a sign-in on another device, without the secret device code."""

    user_code: str
    """The short code to type. Foreign text."""
    verification_uri: str
    """The https address at which to type it. Foreign text."""
    expires_at: datetime
    """The end of the code (UTC), at most 15 minutes after the start."""


BEWARE_CODE: Final = "Never enter a code that someone sent you."


def who_asks() -> str:
    """Return a sentence with the machine and the user of this sign-in, so that a person can recognize it."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        user = str(os.getuid())
    return f"This request comes from runtui on {socket.gethostname()} as user {user}."


def has_browser(environ: Mapping[str, str] = os.environ) -> bool:
    """Return True if a browser can be opened on this machine: not over SSH, and with a display."""
    if "SSH_CONNECTION" in environ or "SSH_TTY" in environ:
        return False
    return sys.platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


async def device_code_flow(
    attempt: Attempt, show: Callable[[DeviceCode], None], pause: Callable[[float], Awaitable[None]]
) -> Mapping[str, Any]:
    """Show the code, poll until it was used, and return the token response. `pause` waits some seconds.

    Raises:
        SignInError: declined, expired or blocked.
    """
    app, claims = attempt.app, attempt.claims or None
    flow = await attempt.run(lambda: app.initiate_device_flow(list(attempt.scopes), claims_challenge=claims))
    if not isinstance(flow.get("user_code"), str) or not isinstance(flow.get("device_code"), str):
        raise attempt.error(flow)
    register_secret(flow["device_code"])
    life = _clamped(flow.get("expires_in"), 1, _LONGEST_SECONDS)
    ends = time.monotonic() + life
    show(
        DeviceCode(
            user_code=flow["user_code"],
            verification_uri=_https_address(flow.get("verification_uri")),
            expires_at=datetime.fromtimestamp(time.time() + life, UTC),
        )
    )
    wait = _interval(flow)
    while time.monotonic() + wait < ends:
        await pause(wait)
        answer, wait = await _poll(attempt, flow)
        if "access_token" in answer:
            return answer
        if answer.get("error") not in _PENDING:
            raise attempt.error(answer)
    raise attempt.error({"error": "expired_token"})


async def _poll(attempt: Attempt, flow: dict[str, Any]) -> tuple[Mapping[str, Any], int]:
    """Poll once. Return the response and the seconds until the next poll. A network failure counts as pending."""
    interval = flow["interval"] = _interval(flow)
    # The interval is kept here; MSAL would print a warning about its own.
    flow.pop("latest_attempt_at", None)
    try:
        answer = await attempt.run(
            lambda: attempt.app.acquire_token_by_device_flow(
                flow, claims_challenge=attempt.claims or None, exit_condition=lambda _flow: True
            )
        )
    except SignInError as error:
        if not error.is_transient:
            raise
        return {"error": "temporarily_unavailable"}, max(interval, min(error.pause, _LONGEST_INTERVAL))
    if not isinstance(answer.get("access_token", ""), str) or not ("access_token" in answer or "error" in answer):
        # The answer is neither yes nor no: poll again.
        return {"error": "temporarily_unavailable"}, interval
    return answer, _interval(flow)


class BrowserPage:
    """A sign-in in a browser on any machine, which returns by a redirect or as a pasted address."""

    def __init__(self, url: str, redirect_uri: str, state: str) -> None:
        self.url = url
        """The address to open, about 600 characters made by this program."""
        self.redirect_uri = redirect_uri
        """The browser's final address, such as http://localhost:40123. This program listens there (`ssh -L` works)."""
        self._state = state
        self.landed: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        """The query parameters of the final address."""

    def paste(self, address: str) -> None:
        """Accept the browser's final address as a person pasted it. The waiting `browser()` then continues.

        If the sign-in was declined, `browser()` raises a SignInError.

        Raises:
            FieldError: it is not such an address, or it is of another sign-in. The page continues to wait.
        """
        # Terminals wrap long lines, and mail programs quote addresses.
        self._land("".join(address.split()).strip("<>\"'"))

    def _land(self, address: str) -> None:
        parameters = _read_landing(address, self.redirect_uri, self._state)
        register_secret(parameters.get("code", ""))
        if not self.landed.done():
            self.landed.set_result(parameters)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                line = (await reader.readline()).decode("ascii", "replace").split()
                status, body = self._served(line)
                writer.write(_PAGE.format(status=status, length=len(body), body=body).encode())
                await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass  # the browser went away, or another program connected: continue to wait
        finally:
            writer.close()

    def _served(self, line: list[str]) -> tuple[str, str]:
        if len(line) != 3 or line[0] != "GET":
            return "405 Method Not Allowed", _NOT_OURS
        try:
            self._land(self.redirect_uri + line[1])
        except FieldError:
            return "404 Not Found", _NOT_OURS
        return "200 OK", _DONE


async def browser_flow(
    attempt: Attempt, username: str, show: Callable[[BrowserPage], None], open_page: Callable[[str], object] | None
) -> Mapping[str, Any]:
    """Show the page, wait for the browser's answer, and return the token response.

    Raises:
        SignInError: declined, blocked, or not completed in time.
    """
    app = attempt.app
    page: BrowserPage | None = None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if page is not None:
            await page.answer(reader, writer)
        else:
            writer.close()

    async with await _listen(answer) as server:
        port = server.sockets[0].getsockname()[1]
        flow = await attempt.run(
            lambda: app.initiate_auth_code_flow(
                list(attempt.scopes),
                redirect_uri=f"http://localhost:{port}",
                response_mode=_ASKED_MODE,
                login_hint=username or None,
                # The browser may be signed in with another account.
                prompt=None if username else "select_account",
                claims_challenge=attempt.claims or None,
            )
        )
        url = flow["auth_uri"].replace(f"response_mode={_ASKED_MODE}", "response_mode=query")
        page = BrowserPage(url, flow["redirect_uri"], flow["state"])
        show(page)
        if open_page is not None:
            await attempt.run(lambda: open_page(url))
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                landed = await page.landed
        except TimeoutError:
            raise SignInError(
                "The sign-in was not completed", "No browser came back in time.", "Sign in again.", needs_person=True
            ) from None
    if "error" in landed:
        raise attempt.error(landed)
    response: Mapping[str, Any] = await attempt.run(
        lambda: app.acquire_token_by_auth_code_flow(flow, dict(landed), scopes=None)
    )
    if "access_token" not in response:
        raise attempt.error(response)
    return response


def _interval(flow: Mapping[str, Any]) -> int:
    return _clamped(flow.get("interval"), _SHORTEST_INTERVAL, _LONGEST_INTERVAL)


def _clamped(value: object, least: int, most: int) -> int:
    return min(max(value, least), most) if isinstance(value, int) else most


def _https_address(uri: object) -> str:
    """Return the address for a person to open.

    Raises:
        SignInError: it is not a plain https address.
    """
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        what = "The sign-in service names no https address to open."
        raise SignInError("There is no address to sign in at", what, "Check cloud and authority.")
    return parts.geturl()


def _read_landing(address: str, redirect_uri: str, state: str) -> dict[str, str]:
    """Return the query parameters of a browser's final address.

    Raises:
        FieldError: it is not the redirect of this sign-in.
    """
    if len(address) > _LONGEST_ADDRESS:
        raise FieldError(f"This is longer than an address can be: {len(address):,} characters.")
    try:
        here, home = urlsplit(address), urlsplit(redirect_uri)
        at_home = (here.scheme, here.hostname, here.port) == (home.scheme, home.hostname, home.port)
        pairs = parse_qsl(here.query, max_num_fields=20)
    except ValueError:
        raise FieldError("This is not an address.") from None
    if not here.scheme or not here.netloc:
        raise FieldError(f"This is not an address: it must start with {redirect_uri}/?code=")
    if not at_home or here.path not in ("", "/"):
        raise FieldError(f"This is another address; the one to paste starts with {redirect_uri}/?code=")
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or not parameters.keys() & {"code", "error"}:
        raise FieldError("There is no code in this address: the sign-in did not end here.")
    if parameters.get("state") != state:
        raise FieldError("This address belongs to another sign-in. Open the address shown here, and finish there.")
    return parameters


async def _listen(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> asyncio.Server:
    """Return a server on a loopback port.

    Raises:
        SignInError: no port can be opened.
    """
    try:
        return await asyncio.start_server(answer, _HOST, 0, limit=_LONGEST_ADDRESS)
    except OSError as error:
        message = f"No port of this machine can be opened: {error.strerror}."
        raise SignInError("The browser cannot return to runtui", message, "Sign in by device code.") from None
