"""Signing in: the token source of a session, and the ways in which a person signs in.

Invariant: the event loop never waits for MSAL, one refresh serves everybody who waits, and the account of a session
changes only by a sign-in that a person began. Tokens leave as return values of `SignIn.__call__` and in the token store
alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from runtui.announcer import Announcer
from runtui.auth.accounts import AccessToken, Account, SignedIn
from runtui.auth.claims import WRITE_PERMISSION, read_claims, wanted_claims
from runtui.auth.errors import SignInError, not_signed_in, unreachable
from runtui.auth.flows import Attempt, BrowserPage, DeviceCode, browser_flow, device_code_flow
from runtui.auth.msal_client import PERSON_METHODS, MsalClient, translate_errors
from runtui.errors import RuntuiError

__all__ = ["Account", "BrowserPage", "DeviceCode", "SignIn", "SignInError", "SignInState"]

_logger: Final = logging.getLogger("runtui.auth")

_T = TypeVar("_T")

_CALL_SECONDS: Final = 45.0
"""How long one call of MSAL may take: it may ask the service twice."""

_MARGIN_SECONDS: Final = 30.0
"""A token with less left is waited for even if it is still valid: the request has a way to go."""

_BACK_OFF_SECONDS: Final = 10.0
"""The pause after a refresh that failed in passing, where the service names none."""

_RENEWAL_SECONDS: Final = 60.0
"""A token refused so soon after it was renewed is not renewed once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInState:
    """The state of a session's sign-in."""

    account: Account | None = None
    """None: nobody is signed in, or it is not known yet."""
    expires_at: datetime | None = None
    """When the present token expires (UTC); it is renewed before that where it can be. None: there is none yet, or it
    does not say."""
    permissions: frozenset[str] | None = None
    """Those that the token names; None when it does not tell."""
    trouble: SignInError | None = None
    """Why there is no token, or why the present one could not be renewed; None: all is well."""

    @property
    def can_write(self) -> bool | None:
        """Whether the present token may change runs; None: not known, which blocks nothing.

        A hint: a person also needs a directory role, which a token need not name.
        """
        return None if self.permissions is None else WRITE_PERMISSION in self.permissions

    @property
    def needs_person(self) -> SignInError | None:
        """Why a person has to sign in; None: nobody has to."""
        return self.trouble if self.trouble is not None and self.trouble.needs_person else None


class SignIn:
    """A token source (`auth.tokens.TokenSource`) that signs in as the settings of its client say. Made on the event
    loop; the client is closed with it. `pause` waits some seconds between two polls.
    """

    def __init__(self, client: MsalClient, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.settings = client.settings
        self.ask_person: Callable[[str], Awaitable[bool]] | None = None
        """Set by a face with a person in front of it: has the person sign in (the text says why), and returns whether
        somebody did. A refused request waits for it, so that a save goes on by itself. None: nobody is there."""
        self._client = client
        self._clock = client.clock
        self._pause = pause
        self.state = SignInState()
        self.changed: Announcer[SignInState] = Announcer()
        """Told on the event loop of each change of `state`."""
        self._token: AccessToken | None = None
        self._failed_version: object = None
        """The store's version at the last failure: another one means that somebody signed in elsewhere."""
        self._not_before = 0.0
        """The service is left alone until then."""
        self._renewed_at = float("-inf")
        """When a 401 last led to a renewal."""
        self._lock = asyncio.Lock()
        """Held by whatever reads or changes the store."""
        self._refreshing: asyncio.Task[SignInError | None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_person(self) -> bool:
        return self.settings.method in PERSON_METHODS

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that are requested, in full; constant for the session."""
        return self._client.scopes

    async def load(self) -> SignInState:
        """Read the state from the token store, without asking any server."""
        async with self._lock:
            try:
                self._succeed(await self._run(lambda: self._client.stored(self._home_account_id)))
            except SignInError as trouble:
                self._fail(trouble, is_over=True)
        return self.state

    async def __call__(self) -> str:
        """The token for one request: stored, or renewed without a person. A program signs in here.

        Raises:
            SignInError: there is none; `needs_person` says whether signing in would help.
        """
        now, token, trouble = self._clock(), self._token, self.state.trouble
        if (token is None or token.is_due(now)) and (trouble is None or not self._is_final(trouble, now)):
            refreshing = self._refresh()
            if token is None or not token.is_valid(now + _MARGIN_SECONDS):
                # Whoever gives up waiting does not end it for the others.
                await asyncio.wait([refreshing])
        if self._token is not None and self._token.is_valid(self._clock()):
            return self._token.value
        raise self.state.trouble or not_signed_in()

    async def renew(self, challenge: str, /) -> bool:
        """Get another token after a 401, with the claims that the challenge requests; return whether there is one.

        Where only a person can get it, `ask_person` is awaited. Never raises.
        """
        claims = wanted_claims(challenge)
        refused, now = self._token, self._clock()
        if refused is not None and now - self._renewed_at < _RENEWAL_SECONDS:
            trouble: SignInError | None = SignInError(
                "The server refuses this sign-in",
                "It refused a token that was just issued.",
                "Sign in again." if self.is_person else "Check the clock, the tenant and the root.",
                needs_person=self.is_person,
            )
        else:
            trouble = await self._obtain(claims=claims, refused=refused)
        if trouble is None:
            self._renewed_at = self._clock()
            return True
        if trouble.is_passing:
            return False
        await self._discard(trouble, claims, refused)
        if self.ask_person is None or not trouble.needs_person:
            return False
        try:
            came = await self.ask_person(trouble.summary)
        except RuntuiError:
            return False  # the person saw why
        return came and self._token is not None

    async def device_code(self, show: Callable[[DeviceCode], None]) -> Account:
        """Sign in by a code that is typed on another device. Cancel the task to give up: nothing is stored then.

        Raises:
            SignInError: declined, expired or blocked; or somebody other than `settings.username` signed in.
        """
        return await self._sign_in(lambda attempt: device_code_flow(attempt, show, self._pause))

    async def browser(
        self, show: Callable[[BrowserPage], None], *, open_page: Callable[[str], object] | None = None
    ) -> Account:
        """Sign in with a browser (authorization code with PKCE). Cancel the task to give up: nothing is stored then.

        `show` gets the page, whose `paste` takes the final address where the browser is elsewhere. `open_page` opens
        the address in a thread (`webbrowser.open`); without it the person does.

        Raises:
            SignInError: declined, blocked, or not completed within 15 minutes; or it was somebody else.
        """
        username = self.settings.username
        return await self._sign_in(lambda attempt: browser_flow(attempt, username, show, open_page))

    async def sign_out(self) -> list[Account]:
        """Delete every token of this session, and the file with them; return whose they were.

        The sign-in service is not told.

        Raises:
            SignInError: the file cannot be deleted.
        """
        if self._refreshing is not None:
            self._refreshing.cancel()
        async with self._lock:
            forgotten = await self._run(self._client.sign_out)
            self._token, self._not_before, self._renewed_at = None, 0.0, float("-inf")
            self._fail(not_signed_in("You signed out."), is_over=True)
        return forgotten

    async def aclose(self) -> None:
        """Cancel what is under way; a thread that waits for a server is abandoned and stores nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(SignInError):
            await self._run(self._client.close)

    @property
    def _home_account_id(self) -> str:
        return self.state.account.home_account_id if self.state.account else ""

    def _is_final(self, trouble: SignInError, now: float) -> bool:
        """Whether a retry cannot help yet."""
        if trouble.needs_person:
            return bool(self._client.version() == self._failed_version)
        return now < self._not_before

    def _refresh(self) -> asyncio.Task[SignInError | None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._begin(self._obtain())
        return self._refreshing

    async def _obtain(self, *, claims: str = "", refused: AccessToken | None = None) -> SignInError | None:
        """Get a token; return why there is none. A token that is still valid stays when there is no other."""
        async with self._lock:
            try:
                if self.state.account is None:
                    # What is stored is there even if no server answers.
                    self._succeed(await self._run(self._client.stored))
                account_id = self._home_account_id
                found = await self._run(
                    lambda: self._client.renew(account_id, claims=claims, is_refused=refused is not None)
                )
                if refused is not None and found.token is not None and found.token.value == refused.value:
                    raise SignInError(
                        "The token was refused",
                        "The server does not accept it, and there is no other.",
                        "Replace it with another one.",
                    )
            except SignInError as trouble:
                self._fail(trouble)
                return trouble
            self._succeed(found)
            return None

    async def _discard(self, trouble: SignInError, claims: str, refused: AccessToken | None) -> None:
        """Stop using a token that the server refuses while there is no other."""
        trouble.claims = trouble.claims or claims
        async with self._lock:
            if refused is not None:
                with suppress(SignInError):
                    await self._run(lambda: self._client.drop(refused))
            self._token = None
            self._fail(trouble)

    async def _sign_in(self, flow: Callable[[Attempt], Awaitable[Mapping[str, Any]]]) -> Account:
        _logger.info("sign-in by %s for %s", self.settings.method, " ".join(self.scopes))
        app, staging = await self._run(self._client.stage)
        trouble = self.state.trouble
        answer = await flow(Attempt(app, self.scopes, trouble.claims if trouble else "", self._run))
        account = await self._run(lambda: self._client.staged_account(staging, answer))
        # From here on it is too late to give up: it is stored, and every watcher hears of it.
        await asyncio.shield(self._begin(self._commit(staging, account, answer)))
        return account

    async def _commit(self, staging: Any, account: Account, answer: Mapping[str, Any]) -> None:
        async with self._lock:
            found = await self._run(lambda: self._client.commit(staging, account, answer))
            self._not_before, self._renewed_at = 0.0, float("-inf")
            self._succeed(found)

    def _succeed(self, found: SignedIn) -> None:
        self._token = token = found.token
        _logger.info("account %s, token until %s", found.account or "none", token.expires if token else "none")
        self._set_state(
            SignInState(
                account=found.account,
                expires_at=token.expires if token else None,
                permissions=read_claims(token.value).permissions if token else None,
            )
        )

    def _fail(self, trouble: SignInError, *, is_over: bool = False) -> None:
        """Set the trouble; the token stays, unless the sign-in itself is over."""
        _logger.info("no new token: %s. %s", trouble.title, trouble.message)
        self._failed_version = self._client.version()
        self._not_before = self._clock() + (trouble.pause or _BACK_OFF_SECONDS)
        if is_over:
            self._token = None
            self._set_state(SignInState(trouble=trouble))
        else:
            expires = self._token.expires if self._token else None
            self._set_state(replace(self.state, expires_at=expires, trouble=trouble))

    def _set_state(self, state: SignInState) -> None:
        if state != self.state:
            self.state = state
            self.changed.announce(state)

    def _begin(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run a coroutine as a task of this session; `aclose` cancels it."""
        task = asyncio.create_task(work, name="sign-in")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Whoever waits for it sees its exception; nobody has to.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Run an MSAL call in a thread and translate its errors into `SignInError`."""
        try:
            return await _in_daemon_thread(
                lambda: translate_errors(work, self.settings, self.scopes), seconds=_CALL_SECONDS
            )
        except TimeoutError:
            raise unreachable("It did not answer in time.") from None


async def _in_daemon_thread(work: Callable[[], _T], *, seconds: float) -> _T:
    """Run a blocking call in a daemon thread: `asyncio.to_thread` would keep the process until the call has ended.

    When this is cancelled or the time is up, the thread is abandoned and its result is dropped.

    Raises:
        TimeoutError: after so many seconds; otherwise, whatever `work` raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # The loop may be closed: then nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def run() -> None:
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 -- raised again in whoever waits
            error = raised
            settle(lambda: future.set_exception(error))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=run, name="sign-in", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await future
