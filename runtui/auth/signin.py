"""Signing in: one source of tokens for a session, with the ways in which a person gets through the door.

Invariant: the event loop never waits for MSAL, one refresh serves everybody who asks, and nobody becomes the account
of this session without being told. Tokens leave as return values of `SignIn.__call__` and in the cache file alone.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from runtui.auth.accounts import Account, Found, Held
from runtui.auth.application import PEOPLE, Http, told
from runtui.auth.asking import Asking
from runtui.auth.background import in_background
from runtui.auth.browser import BrowserPage, BrowserSignIn
from runtui.auth.claims import can_write, wanted_claims
from runtui.auth.device import DeviceCode, DeviceSignIn
from runtui.auth.words import SignInError, away, signed_out
from runtui.errors import RuntuiError
from runtui.settings import SignInSettings

__all__ = ["Account", "BrowserPage", "DeviceCode", "SignIn", "SignInError", "SignInState"]

T = TypeVar("T")

_SECONDS: Final = 45.0
"""The whole time that one call of MSAL may take: it may ask the service twice."""

_MARGIN_SECONDS: Final = 30.0
"""A token with less left is waited for, even if it is still good: the request has a way to go."""

_BACK_OFF_SECONDS: Final = 10.0
"""The pause after a refresh that failed in passing, where the service names none."""

_AGAIN_SECONDS: Final = 60.0
"""A token refused so soon after it was renewed is not renewed once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInState:
    """Where the sign-in of a session stands."""

    account: Account | None = None
    """None: nobody is signed in, or it is not known yet."""
    expires_at: datetime | None = None
    """When the present token ends (UTC); it is renewed before that where it can be. None: there is none yet, or it does
    not say."""
    can_write: bool | None = None
    """Whether the present token has the permission to change runs; a hint. None: not known, which blocks nothing."""
    trouble: SignInError | None = None
    """Why there is no token, or why the present one could not be renewed; None: all is well."""

    @property
    def needs_person(self) -> SignInError | None:
        """Why a person has to sign in, in words; None: nobody has to."""
        return self.trouble if self.trouble is not None and self.trouble.needs_person else None


class SignIn:
    """A token source (`auth.tokens.TokenSource`) that signs in as `SignInSettings` say. Made on the event loop.

    Args:
        settings: How to sign in.
        root: The Graph root, as `parse_root` gives it; the permissions asked for are its own.
        state_folder: Where the token cache lies.
        http: Makes what carries MSAL's requests (`graph.sign_in_http.SignInHttp`); called in a thread.
        environ: Where secrets are looked up when they are needed.
        clock: The present moment in seconds since 1970.
        pause: Waits some seconds between two polls.
    """

    def __init__(
        self,
        settings: SignInSettings,
        *,
        root: str,
        state_folder: Path,
        http: Callable[[], Http],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.ask_person: Callable[[str], Awaitable[bool]] | None = None
        """Set by a face that has a person before it: brings about a sign-in (the text says why) and tells whether there
        was one. A refused request waits for it, so that a save goes on with the same item. None: nobody is there."""
        self._asking = Asking(settings, root=root, state_folder=state_folder, http=http, environ=environ, clock=clock)
        self._clock = clock
        self._pause = pause
        self._state = SignInState()
        self._watchers: list[Callable[[SignInState], None]] = []
        self._held: Held | None = None
        self._mark: object = None
        """Of the cache, when the last trouble arose: another one says that somebody signed in elsewhere."""
        self._not_before = 0.0
        """The service is left alone until then."""
        self._renewed_at = float("-inf")
        """When the server's refusal last led to a renewal."""
        self._lock = asyncio.Lock()
        """Held by a refresh, a look, a sign-out: by whatever reads or changes what is kept."""
        self._refreshing: asyncio.Task[SignInError | None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        """What is under way by itself."""

    @property
    def state(self) -> SignInState:
        """Where the sign-in stands."""
        return self._state

    @property
    def is_person(self) -> bool:
        """Whether a person signs in here (device code, browser); a program or a given token has no sign-in screen."""
        return self.settings.method in PEOPLE

    @property
    def scopes(self) -> tuple[str, ...]:
        """The permissions that are asked for, in full; constant for the session."""
        return self._asking.scopes

    def watch(self, changed: Callable[[SignInState], None]) -> Callable[[], None]:
        """Have `changed` called on the event loop after each change of `state`; the result ends that."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def warm(self) -> None:
        """Begin to find out who is signed in, and to renew the token where that is due; nobody has to wait for it."""
        self._refresh()

    async def look(self) -> SignInState:
        """Who is signed in according to the cache, without asking any server (`whoami`, the header)."""
        async with self._lock:
            try:
                self._settle(await self._run(lambda: self._asking.look(self._home_account_id)))
            except SignInError as trouble:
                self._trouble(trouble, is_over=True)
        return self._state

    async def __call__(self) -> str:
        """The token for one request: from the cache, or renewed; never with a screen. For a program: its sign-in.

        Raises:
            SignInError: there is none; `needs_person` says whether signing in would help.
        """
        now, held, trouble = self._clock(), self._held, self._state.trouble
        if (held is None or held.is_due(now)) and (trouble is None or not self._stands(trouble, now)):
            refreshing = self._refresh()
            if held is None or not held.is_good(now + _MARGIN_SECONDS):
                # Whoever gives up waiting does not end it for the others.
                await asyncio.wait([refreshing])
        if self._held is not None and self._held.is_good(self._clock()):
            return self._held.value
        raise self._state.trouble or signed_out()

    async def renew(self, challenge: str, /) -> bool:
        """Another token after a 401, with the claims that the challenge wants; whether there is one.

        Where only a person can get it, `ask_person` is awaited. Never raises.
        """
        claims = wanted_claims(challenge)
        refused, now = self._held, self._clock()
        if refused is not None and now - self._renewed_at < _AGAIN_SECONDS:
            trouble: SignInError | None = SignInError(
                "The server refuses this sign-in",
                "It refused a token that it had just been given.",
                "Sign in again." if self.is_person else "Compare the clocks, the tenant and the root.",
                needs_person=self.is_person,
            )
        else:
            trouble = await self._obtain(claims=claims, refused=refused)
        if trouble is None:
            self._renewed_at = self._clock()
            return True
        if trouble.is_passing:
            return False
        await self._refuse(trouble, claims, refused)
        if self.ask_person is None or not trouble.needs_person:
            return False
        try:
            came = await self.ask_person(f"{trouble.title}. {trouble.message}".strip())
        except RuntuiError:
            return False  # the person saw why
        return came and self._held is not None

    async def device_code(self, show: Callable[[DeviceCode], None]) -> Account:
        """Sign in by a code that is typed on another device. Cancel the task to give up: nothing is kept then.

        Raises:
            SignInError: refused, expired, or blocked; also when somebody else than `settings.username` signed in.
        """

        async def go(app: Any, claims: str) -> Mapping[str, Any]:
            attempt = DeviceSignIn(app=app, scopes=self.scopes, claims=claims, run=self._run, pause=self._pause)
            return await attempt(show)

        return await self._sign_in(go)

    async def browser(
        self, show: Callable[[BrowserPage], None], *, open_page: Callable[[str], object] | None = None
    ) -> Account:
        """Sign in in a browser (authorization code with PKCE). Cancel the task to give up: nothing is kept then.

        Args:
            show: Told of the page; `BrowserPage.paste` takes the landing address where the browser is elsewhere.
            open_page: Opens the address (`webbrowser.open`), only in a session with a browser of its own; called in a
                thread. None: the person opens it.

        Raises:
            SignInError: refused, blocked, or not finished within 15 minutes; also when it was somebody else.
        """

        async def go(app: Any, claims: str) -> Mapping[str, Any]:
            attempt = BrowserSignIn(
                app=app,
                scopes=self.scopes,
                claims=claims,
                username=self.settings.username,
                run=self._run,
            )
            return await attempt(show, open_page)

        return await self._sign_in(go)

    async def sign_out(self) -> list[Account]:
        """Forget every token of this session and delete the cache file. The sign-in service is not told.

        Returns:
            Whose tokens were forgotten.

        Raises:
            SignInError: the file cannot be deleted.
        """
        if self._refreshing is not None:
            self._refreshing.cancel()
        async with self._lock:
            forgotten = await self._run(self._asking.sign_out)
            self._held, self._not_before, self._renewed_at = None, 0.0, float("-inf")
            self._trouble(signed_out("You signed out."), is_over=True)
        return forgotten

    async def aclose(self) -> None:
        """End what is under way; a thread that waits for a server is left to itself and keeps nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(SignInError):
            await self._run(self._asking.close)

    # How it works.

    @property
    def _home_account_id(self) -> str:
        return self._state.account.home_account_id if self._state.account else ""

    def _stands(self, trouble: SignInError, now: float) -> bool:
        """Whether trying again would be of no use yet."""
        if trouble.needs_person:
            return bool(self._asking.mark() == self._mark)
        return now < self._not_before

    def _refresh(self) -> asyncio.Task[SignInError | None]:
        """The refresh that is under way, or another one."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._begin(self._obtain())
        return self._refreshing

    async def _obtain(self, *, claims: str = "", refused: Held | None = None) -> SignInError | None:
        """Get a token; why there is none. A token that is still good is kept when there is no other."""
        async with self._lock:
            try:
                if self._state.account is None:
                    # What the cache holds is there even if no server answers.
                    self._settle(await self._run(self._asking.look))
                account_id = self._home_account_id
                found = await self._run(
                    lambda: self._asking.renew(account_id, claims=claims, is_refused=refused is not None)
                )
                if refused is not None and found.held is not None and found.held.value == refused.value:
                    raise _same_token()
            except SignInError as trouble:
                self._trouble(trouble)
                return trouble
            self._settle(found)
            return None

    async def _refuse(self, trouble: SignInError, claims: str, refused: Held | None) -> None:
        """Use a token no longer, because the server does not take it and there is no other."""
        trouble.claims = trouble.claims or claims
        async with self._lock:
            if refused is not None:
                with suppress(SignInError):
                    await self._run(lambda: self._asking.drop(refused))
            self._held = None
            self._trouble(trouble)

    async def _sign_in(self, go: Callable[[Any, str], Awaitable[Mapping[str, Any]]]) -> Account:
        app, staging = await self._run(self._asking.stage)
        trouble = self._state.trouble
        answer = await go(app, trouble.claims if trouble else "")
        account = await self._run(lambda: self._asking.staged(staging, answer))
        # From here on it is too late to give up: it is kept, and everybody is told.
        await asyncio.shield(self._begin(self._commit(staging, account, answer)))
        return account

    async def _commit(self, staging: Any, account: Account, answer: Mapping[str, Any]) -> None:
        async with self._lock:
            found = await self._run(lambda: self._asking.commit(staging, account, answer))
            self._not_before, self._renewed_at = 0.0, float("-inf")
            self._settle(found)

    def _settle(self, found: Found) -> None:
        self._held = found.held
        self._set(
            SignInState(
                account=found.account,
                expires_at=found.held.ends if found.held else None,
                can_write=can_write(found.held.value) if found.held else None,
            )
        )

    def _trouble(self, trouble: SignInError, *, is_over: bool = False) -> None:
        """Say what is wrong; the token stays, unless the sign-in itself is over."""
        self._mark = self._asking.mark()
        self._not_before = self._clock() + (trouble.pause or _BACK_OFF_SECONDS)
        if is_over:
            self._held = None
            self._set(SignInState(trouble=trouble))
        else:
            ends = self._held.ends if self._held else None
            self._set(replace(self._state, expires_at=ends, trouble=trouble))

    def _set(self, state: SignInState) -> None:
        if state != self._state:
            self._state = state
            for watcher in tuple(self._watchers):
                watcher(state)

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let something go on by itself."""
        task = asyncio.create_task(work, name="sign-in")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Whoever waits for it hears of a failure; nobody has to.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _run(self, work: Callable[[], T]) -> T:
        """What `work` gives, called beside the loop; its failures come out as SignInError."""
        try:
            return await in_background(lambda: told(work, self.settings, self.scopes), seconds=_SECONDS)
        except TimeoutError:
            raise away("It did not answer in time.") from None


def _same_token() -> SignInError:
    return SignInError(
        "The token was refused", "The server does not take it, and there is no other.", "Put another one in its place."
    )
