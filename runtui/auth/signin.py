"""The sign-in of a session: its token source, and the methods by which a person signs in.

Invariant: MSAL never blocks the event loop. Concurrent requests share one refresh. The account of a session changes
only by a sign-in that a person started. Tokens leave this module only as the result of `SignIn.__call__` and in the
token store.
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

_logger: Final = logging.getLogger("runtui.auth")

_T = TypeVar("_T")

_CALL_SECONDS: Final = 45.0
"""The longest MSAL call; it may send two requests."""

_MARGIN_SECONDS: Final = 30.0
"""A request waits for the refresh of a token with less time left, which could end before the server checks it."""

_BACK_OFF_SECONDS: Final = 10.0
"""The pause after a refresh that failed temporarily, if the service names none."""

_RENEWAL_SECONDS: Final = 60.0
"""A token that is refused within this time after its renewal is not renewed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInState:
    """The state of a session's sign-in."""

    account: Account | None = None
    """The signed-in account; None if there is none, or it is not known yet."""
    expires_at: datetime | None = None
    """The end of the present token (UTC), which is renewed earlier if possible. None if none or no end is known."""
    permissions: frozenset[str] | None = None
    """The permissions in the token; None if it does not name them."""
    error: SignInError | None = None
    """Why there is no token, or why the present one could not be renewed; None if all is well."""

    @property
    def can_write(self) -> bool | None:
        """True if the token's permissions allow changes; None if unknown, which blocks nothing.

        It is only a hint: a person also needs a directory role, which a token need not name.
        """
        return None if self.permissions is None else WRITE_PERMISSION in self.permissions

    @property
    def needs_person(self) -> SignInError | None:
        """Why a person must sign in; None if nobody must."""
        return self.error if self.error is not None and self.error.needs_person else None


class SignIn:
    """A token source (`auth.tokens.TokenSource`) that signs in with the settings of its client. Create it on the event
    loop. `aclose` also closes the client. `pause` waits some seconds between two polls.
    """

    def __init__(self, client: MsalClient, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.settings = client.settings
        self.ask_person: Callable[[str], Awaitable[bool]] | None = None
        """Asks a person to sign in for the given reason, and returns True if somebody did. Set by a user interface. A
        refused request waits for it, so that a save then continues. None if there is no person to ask."""
        self.how_to_sign_in = "Sign in again."
        """The next step if a person must. A user interface names its key."""
        self._client = client
        self._clock = client.clock
        self._pause = pause
        self.state = SignInState()
        self.changed: Announcer[SignInState] = Announcer()
        """Announces each change of `state`, on the event loop."""
        self._token: AccessToken | None = None
        self._failed_version: object = None
        """The store's version at the last failure; a new version means that somebody signed in elsewhere."""
        self._not_before = 0.0
        """No request is sent to the service before this time."""
        self._renewed_at = float("-inf")
        """The time of the last renewal after a 401."""
        self._lock = asyncio.Lock()
        """Held during each access to the store."""
        self._refreshing: asyncio.Task[SignInError | None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_person(self) -> bool:
        return self.settings.method in PERSON_METHODS

    @property
    def next_step(self) -> str:
        if self.is_person:
            return self.how_to_sign_in
        if self.settings.method == "token":
            return f"Put a fresh token into {self.settings.token_file or 'RUNTUI_TOKEN'}."
        return "Check the permissions of the app registration."

    @property
    def scopes(self) -> tuple[str, ...]:
        """The full names of the requested scopes; constant for the session."""
        return self._client.scopes

    async def load(self) -> SignInState:
        """Read the state from the token store, without any request."""
        async with self._lock:
            try:
                self._succeed(await self._run(lambda: self._client.stored(self._home_account_id)))
            except SignInError as trouble:
                self._fail(trouble, is_over=True)
        return self.state

    async def __call__(self) -> str:
        """Return the token for one request, renewed without a person if needed. A program signs in here.

        Raises:
            SignInError: there is no token; `needs_person` says whether signing in would help.
        """
        now, token, trouble = self._clock(), self._token, self.state.error
        if (token is None or token.is_due(now)) and (trouble is None or not self._is_final(trouble, now)):
            refreshing = self._refresh()
            if token is None or not token.is_valid(now + _MARGIN_SECONDS):
                # `wait` does not cancel the refresh that others wait for.
                await asyncio.wait([refreshing])
        if self._token is not None and self._token.is_valid(self._clock()):
            return self._token.value
        raise self.state.error or not_signed_in()

    async def renew(self, challenge: str, /) -> bool:
        """Get another token after a 401, with the claims in the challenge. Return True if there is one.

        If only a person can get it, `ask_person` is awaited. Never raises.
        """
        claims = wanted_claims(challenge)
        refused, now = self._token, self._clock()
        if refused is not None and now - self._renewed_at < _RENEWAL_SECONDS:
            trouble: SignInError | None = SignInError(
                "The server refuses this sign-in",
                "It refused a token that was just issued.",
                self.how_to_sign_in if self.is_person else "Check the clock, the tenant and the root.",
                needs_person=self.is_person,
            )
        else:
            trouble = await self._obtain(claims=claims, refused=refused)
        if trouble is None:
            self._renewed_at = self._clock()
            return True
        if trouble.is_transient:
            return False
        await self._discard(trouble, claims, refused)
        if self.ask_person is None or not trouble.needs_person:
            return False
        try:
            came = await self.ask_person(trouble.summary)
        except RuntuiError:
            return False  # the person has seen the error
        return came and self._token is not None

    async def device_code(self, show: Callable[[DeviceCode], None]) -> Account:
        """Sign in by a code typed on another device. If the task is cancelled, nothing is stored.

        Raises:
            SignInError: declined, expired or blocked; or somebody other than `settings.username` signed in.
        """
        return await self._sign_in(lambda attempt: device_code_flow(attempt, show, self._pause))

    async def browser(
        self, show: Callable[[BrowserPage], None], *, open_page: Callable[[str], object] | None = None
    ) -> Account:
        """Sign in with a browser (authorization code with PKCE). If the task is cancelled, nothing is stored.

        `show` gets the page, whose `paste` takes the final address if the browser is on another machine. `open_page`
        opens the address in a thread (`webbrowser.open`); without it the person does.

        Raises:
            SignInError: declined, blocked, or not completed within 15 minutes; or somebody else signed in.
        """
        username = self.settings.username
        return await self._sign_in(lambda attempt: browser_flow(attempt, username, show, open_page))

    async def sign_out(self) -> list[Account]:
        """Delete every token of this session, with their file, and return the accounts that had them.

        The sign-in service is not informed.

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
        """Cancel all tasks. A thread that waits for a server is abandoned and stores nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(SignInError):
            await self._run(self._client.close)

    @property
    def _home_account_id(self) -> str:
        return self.state.account.home_account_id if self.state.account else ""

    def _is_final(self, trouble: SignInError, now: float) -> bool:
        """Return True if a retry cannot help yet."""
        if trouble.needs_person:
            return bool(self._client.version() == self._failed_version)
        return now < self._not_before

    def _refresh(self) -> asyncio.Task[SignInError | None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._begin(self._obtain())
        return self._refreshing

    async def _obtain(self, *, claims: str = "", refused: AccessToken | None = None) -> SignInError | None:
        """Get a token, or return why there is no new one. The present token stays until there is another."""
        async with self._lock:
            try:
                if self.state.account is None:
                    # The stored token is available even if no server responds.
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
        """Drop a token that the server refuses, although there is no other."""
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
        trouble = self.state.error
        claims = trouble.claims if trouble else ""
        answer = await flow(Attempt(app, self.settings, self.scopes, claims, self._run))
        account = await self._run(lambda: self._client.staged_account(staging, answer))
        # From here on a cancellation comes too late: the tokens are stored and the state is announced.
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
        """Record a failure. The token stays unless `is_over`."""
        _logger.info("no new token: %s. %s", trouble.title, trouble.message)
        self._failed_version = self._client.version()
        self._not_before = self._clock() + (trouble.pause or _BACK_OFF_SECONDS)
        if is_over:
            self._token = None
            self._set_state(SignInState(error=trouble))
        else:
            expires = self._token.expires if self._token else None
            self._set_state(replace(self.state, expires_at=expires, error=trouble))

    def _set_state(self, state: SignInState) -> None:
        if state != self.state:
            self.state = state
            self.changed.announce(state)

    def _begin(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run a coroutine as a task of this session; `aclose` cancels it."""
        task = asyncio.create_task(work, name="sign-in")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Mark its exception as retrieved, in case nobody awaits the task.
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
    """Run a blocking call in a daemon thread: with `asyncio.to_thread` the process could not end before the call.

    On cancellation or timeout the thread is abandoned and its result dropped.

    Raises:
        TimeoutError: the call took more than `seconds`. Any error of `work` is raised as well.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # If the loop is closed, nobody waits for the result.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def run() -> None:
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 -- raised again in the waiting task
            error = raised
            settle(lambda: future.set_exception(error))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=run, name="sign-in", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await future
