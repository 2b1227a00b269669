"""Signing in in a browser: the authorization code flow with PKCE (RFC 7636), here or on another machine.

Invariant: an answer counts only with the state of this very attempt, whether it arrives on the loopback port or is
pasted, and only once. Nothing of the sign-in is kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from runtui.auth.device import LONGEST_LIFE, Run
from runtui.auth.words import SignInError, refusal_of
from runtui.errors import FieldError
from runtui.redact import register_secret

_ASKED_MODE: Final = "form_post"
"""What MSAL is told, because it prints a warning for anything else. Only an address can be pasted, so the answer has to
come in one; it is worth nothing without the verifier that stays here."""

_LONGEST_ADDRESS: Final = 16_384
_READ_SECONDS: Final = 5.0
_HOST: Final = "127.0.0.1"

_PAGE: Final = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Security-Policy: default-src 'none'\r\n"
    "Referrer-Policy: no-referrer\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
)
_DONE: Final = "<!doctype html><title>runtui</title><p>You may close this window and go back to the terminal."
_NOT_OURS: Final = "<!doctype html><title>runtui</title><p>This is not the answer to the sign-in that is waiting."


class BrowserPage:
    """A sign-in that goes on in a browser, anywhere, and comes back by itself or by a pasted address."""

    def __init__(self, url: str, redirect_uri: str, state: str) -> None:
        self.url = url
        """The address to open, some 600 characters of this program's own making."""
        self.redirect_uri = redirect_uri
        """Where the browser lands, such as http://localhost:40123; this program listens there (`ssh -L` works)."""
        self._state = state
        self.landed: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        """What the browser brought, once it did."""

    def paste(self, address: str) -> None:
        """Take the address that the browser landed on, as a person pasted it; the waiting `browser()` goes on.

        An answer that says "refused" ends `browser()` with a SignInError.

        Raises:
            FieldError: it is no such address, or it belongs to another sign-in; the page goes on waiting.
        """
        # Terminals break long lines, and mail programs quote them.
        self._land("".join(address.split()).strip("<>\"'"))

    def _land(self, address: str) -> None:
        parameters = read_landing(address, self.redirect_uri, self._state)
        register_secret(parameters.get("code", ""))
        if not self.landed.done():
            self.landed.set_result(parameters)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request of a browser that lands here."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                line = (await reader.readline()).decode("ascii", "replace").split()
                status, body = self._served(line)
                writer.write(_PAGE.format(status=status, length=len(body), body=body).encode())
                await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass  # a browser that went away, or something else that knocked: the page goes on waiting
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSignIn:
    """One attempt. `app` is a MSAL application whose cache is thrown away unless the attempt succeeds."""

    app: Any
    scopes: tuple[str, ...]
    claims: str
    username: str
    run: Run[Any]

    async def __call__(
        self, show: Callable[[BrowserPage], None], open_page: Callable[[str], object] | None
    ) -> Mapping[str, Any]:
        """The answer with the token.

        Raises:
            SignInError: refused, blocked, or not finished in time.
        """
        async with _listening() as (port, pages):
            flow = await self.run(
                lambda: self.app.initiate_auth_code_flow(
                    list(self.scopes),
                    redirect_uri=f"http://localhost:{port}",
                    response_mode=_ASKED_MODE,
                    login_hint=self.username or None,
                    # Whoever is signed in in the browser need not be the one who is meant.
                    prompt=None if self.username else "select_account",
                    claims_challenge=self.claims or None,
                )
            )
            url = flow["auth_uri"].replace(f"response_mode={_ASKED_MODE}", "response_mode=query")
            page = BrowserPage(url, flow["redirect_uri"], flow["state"])
            pages.append(page)
            show(page)
            if open_page is not None:
                await self.run(lambda: open_page(page.url))
            try:
                async with asyncio.timeout(LONGEST_LIFE):
                    landed = await page.landed
            except TimeoutError:
                raise SignInError(
                    "The sign-in was not finished", "No browser came back in time.", "Begin again.", needs_person=True
                ) from None
        if "error" in landed:
            raise refusal_of(landed, client_id=self.app.client_id, scopes=self.scopes)
        answer: Mapping[str, Any] = await self.run(
            lambda: self.app.acquire_token_by_auth_code_flow(flow, dict(landed), scopes=None)
        )
        if "access_token" not in answer:
            raise refusal_of(answer, client_id=self.app.client_id, scopes=self.scopes)
        return answer


def read_landing(address: str, redirect_uri: str, state: str) -> dict[str, str]:
    """What a browser brings back in the address that it landed on.

    Raises:
        FieldError: it is not the landing address of this sign-in.
    """
    if len(address) > _LONGEST_ADDRESS:
        raise FieldError(f"This is longer than {_LONGEST_ADDRESS:,} characters.")
    try:
        here, home = urlsplit(address), urlsplit(redirect_uri)
        at_home = (here.scheme, here.hostname, here.port) == (home.scheme, home.hostname, home.port)
        pairs = parse_qsl(here.query, max_num_fields=20)
    except ValueError:
        raise FieldError("This is not an address.") from None
    if not here.scheme or not here.netloc:
        raise FieldError(f"This is not an address: it starts with {redirect_uri}/?code=")
    if not at_home or here.path not in ("", "/"):
        raise FieldError(f"This is another address; the one to paste starts with {redirect_uri}/?code=")
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or not parameters.keys() & {"code", "error"}:
        raise FieldError("The sign-in did not end at this address: there is no code in it.")
    if parameters.get("state") != state:
        raise FieldError("This address belongs to another sign-in. Open the address shown here, and finish there.")
    return parameters


@asynccontextmanager
async def _listening() -> AsyncIterator[tuple[int, list[BrowserPage]]]:
    """A port of this machine, and the list for the page that answers there."""
    pages: list[BrowserPage] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if pages:
            await pages[0].answer(reader, writer)
        else:
            writer.close()

    try:
        server = await asyncio.start_server(answer, _HOST, 0, limit=_LONGEST_ADDRESS)
    except OSError as error:
        what = f"No port of this machine can be opened: {error.strerror}."
        raise SignInError("There is nowhere for the browser to land", what, "Sign in by device code.") from None
    async with server:
        yield server.sockets[0].getsockname()[1], pages
