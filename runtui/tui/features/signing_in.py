"""Signing in: when somebody is needed, by which way, and who is signed in now.

Invariant: one sign-in is under way at most, and giving it up cancels it. Whatever waits for a person is answered: by a
sign-in, by esc, or by the end of the screen. A form and its draft stay as they are behind it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from textual.timer import Timer
from textual.widgets import Input
from textual.worker import Worker

from runtui.auth.errors import SignInError
from runtui.keys.actions import key_of
from runtui.tui.actions import ActionContext
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import awaited
from runtui.tui.screens.sign_in import SignInView
from runtui.tui.words import sign_in_words
from runtui.tui.words.sign_in_words import PersonMethod

if TYPE_CHECKING:
    from runtui.auth.signin import Account, BrowserPage

PAGE_MADE_SECONDS: Final = 1.0
"""How long keys are held for the page of a browser sign-in; it takes some milliseconds."""


class SigningIn(Feature):
    """The sign-in's screen, and what waits for it."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._sign_in = self._workspace.sign_in
        self.view = SignInView()
        self.place = self._chrome.place(self.view, is_seldom=True)
        """Its screen; it stays mounted, so that a sign-in goes on behind another screen."""
        sandbox = self._chrome.sandbox
        self.demo_authority = sandbox.authority if sandbox is not None else ""
        """Where a demo's own sign-in can be opened; empty on a real one."""
        self._attempt: Worker[None] | None = None
        self._asked: asyncio.Future[bool] | None = None
        """What a request waits for that only a person can help; None: none waits."""
        self._why = ""
        """Why it waits."""
        self._was_needed = False
        """Whether it was told already that somebody has to sign in."""
        self._expiry: Timer | None = None
        """Until the first line says something else of the token."""

    def start(self) -> None:
        """Begin to look after the sign-in."""
        if self._sign_in is not None:
            self._chrome.carry(self._sign_in.watch, self._sign_in_changed, only_newest=True)
            if self._sign_in.is_person:
                self._sign_in.ask_person = self._ask
            self._sign_in_changed()

    def end(self) -> None:
        """Nobody is here any more."""
        if self._sign_in is not None:
            self._sign_in.ask_person = None
        self.stop_asking()

    def extend(self, context: ActionContext) -> ActionContext:
        """Who is signed in, or why nobody can be."""
        return replace(
            context,
            why_no_sign_in=sign_in_words.why_nobody(self._sign_in, is_demo=self._chrome.sandbox is not None),
            is_signing_in=self._attempt is not None,
            is_signed_in=self._sign_in is not None and self._sign_in.state.account is not None,
        )

    # Who is signed in

    def _sign_in_changed(self, _state: object = None) -> None:
        """Somebody signed in or out, the token was renewed, or it could not be."""
        if self._sign_in is None:
            return
        self._tell_expiry()
        needs = self._sign_in.is_person and self._sign_in.state.needs_person is not None
        if needs and not self._was_needed:
            self._show_when_suitable()
        self._was_needed = needs
        self._chrome.refresh()

    def _tell_expiry(self) -> None:
        """Draw the first line, and again when only the time makes it another one."""
        if self._expiry is not None:
            self._expiry.stop()
            self._expiry = None
        self._chrome.show_headline()
        seconds = sign_in_words.next_change(self._sign_in.state, datetime.now(UTC)) if self._sign_in else None
        if seconds is not None:
            self._expiry = self._chrome.app.set_timer(seconds, self._tell_expiry)

    # When somebody is needed

    async def _ask(self, why: str) -> bool:
        """Have a person sign in, for a request that waits; whether there was a sign-in."""
        self._why = why
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked = asked
        self._show_when_suitable()
        try:
            return await asked
        finally:
            if self._asked is asked:
                self._asked = None

    def stop_asking(self) -> None:
        """Tell whoever waits that nobody signs in."""
        self._answer(False)

    def _answer(self, came: bool) -> bool:
        """Let what waits go on; whether anything waited."""
        asked, self._asked = self._asked, None
        if asked is None or asked.done():
            return False
        asked.set_result(came)
        return True

    def _show_when_suitable(self) -> None:
        """Show the ways to sign in, unless somebody is typing or sees no screen: then only say that it is needed."""
        front, app, sign_in = self._chrome.front, self._chrome.app, self._sign_in
        if front is self.place or sign_in is None:
            return
        if app.screen is not front or isinstance(app.focused, Input):
            words = sign_in_words.needed(sign_in.state.needs_person, key_of("sign_in"))
            still = lambda: self._asked is not None or sign_in.state.needs_person is not None  # noqa: E731
            self._chrome.set_status(words, "warning", still)
        else:
            app.run_worker(self._open(), group="show sign-in", exclusive=True, description="show sign-in")

    async def action_sign_in(self) -> None:
        """Show who is signed in and how to sign in, or go back from there."""
        if self._chrome.front is self.place:
            self.action_leave_sign_in()
        else:
            await self._open()

    async def _open(self) -> None:
        if self._sign_in is None:
            return
        await self._chrome.prepare(self.place)
        if self._attempt is None:
            self._show_ways()
        await self._chrome.open(self.place, self._left)
        if self.place.has_class("-narrow"):
            self._give_room()

    def _show_ways(self, trouble: SignInError | None = None) -> None:
        if self._sign_in is None:
            return
        needed = self._sign_in.state.needs_person
        why = self._why if self._asked is not None else f"{needed.title}. {needed.message}" if needed else ""
        self.view.open(self._sign_in, why=why, trouble=trouble, demo=self.demo_authority)
        self._chrome.refresh()
        # What came into sight can have the keys once it is laid out.
        self.view.call_after_refresh(self._give_keys)

    def _give_keys(self) -> None:
        if not self.place.has_keys_in_panel:
            self.view.take_focus()

    # Signing in

    def action_use_method(self) -> None:
        """Begin with the way under the cursor, in the place of what was under way."""
        if (way := self.view.way) is None:
            return
        self.view.begin(way)
        self._chrome.set_status("")
        page_stands = asyncio.Event()
        self._attempt = self._chrome.app.run_worker(
            self._sign_in_by(way, page_stands), group="sign in", description="sign in", exclusive=True
        )
        if way != "device-code":
            self._chrome.app.run_worker(
                _wait_for(page_stands), group=awaited("sign-in page"), description="make the sign-in page"
            )
        self._chrome.refresh()

    async def _sign_in_by(self, way: PersonMethod, page_stands: asyncio.Event) -> None:
        try:
            account = await self._bring_about(way, page_stands)
        except SignInError as trouble:
            self._attempt = None
            self._show_ways(trouble)
            self._chrome.set_status("")
        else:
            self._attempt = None
            self._signed_in(account)
        finally:
            page_stands.set()

    async def _bring_about(self, way: PersonMethod, page_stands: asyncio.Event) -> Account:
        assert self._sign_in is not None  # noqa: S101 - the screen opens only on one
        if way == "device-code":
            return await self._sign_in.device_code(self.view.show_code)

        def show(page: BrowserPage) -> None:
            # Beside another pane the address could not be marked with the mouse.
            self._give_room()
            self.view.show_page(page, opened=way == "interactive")
            page_stands.set()

        return await self._sign_in.browser(show, open_page=open_page if way == "interactive" else None)

    def _signed_in(self, account: Account) -> None:
        """Back to where the person was; what waited goes on, and the list is read."""
        somebody_waited = self._answer(True)
        self._go_back()
        self._chrome.set_status(sign_in_words.signed_in(account, goes_on=somebody_waited), "success")
        if not (somebody_waited and self._workspace.refresh.progress.listing):
            self._workspace.refresh.now(full=True)  # another account may see other runs

    def action_leave_sign_in(self) -> None:
        """Give up the sign-in under way and show the ways again; from there, go back."""
        if self._attempt is None:
            self._go_back()
            return
        self._attempt.cancel()
        self._attempt = None
        self._show_ways()
        self.place.set_status(sign_in_words.canceled(), "warning")

    def _go_back(self) -> None:
        self._chrome.is_zoomed = False
        # Whoever is somewhere else by now may come back to this screen on the way.
        self._show_ways()
        if self._chrome.front is self.place and self._chrome.app.screen is self.place:
            self.place.dismiss()

    def _left(self, _answer: None) -> None:
        """The screen is closed: no sign-in goes on, and whatever waits goes on without one."""
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        somebody_waited = self._answer(False)
        if self._sign_in is not None and (somebody_waited or self._sign_in.state.needs_person):
            words = sign_in_words.left_without(key_of("sign_in"), somebody_waited=somebody_waited)
            sign_in = self._sign_in
            still = lambda: somebody_waited or sign_in.state.needs_person is not None  # noqa: E731
            self._chrome.set_status(words, "warning", still)

    def _give_room(self) -> None:
        """Take the panel away, which would leave too few lines."""
        if self.place.has_keys_in_panel:
            self.view.take_focus()
        self._chrome.is_zoomed = True
        self._chrome.refresh()

    # Signing out

    def action_sign_out(self) -> None:
        """Sign out when the question is in sight, or ask it."""
        question = sign_in_words.sign_out_question(key_of("sign_out"))
        if self._chrome.has_confirmed(question):
            self._chrome.app.run_worker(
                self._sign_out(), group=awaited("sign out"), description="sign out", exclusive=True
            )

    async def _sign_out(self) -> None:
        if self._sign_in is None:
            return
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        self._answer(False)
        self._was_needed = True  # the person knows
        try:
            await self._sign_in.sign_out()
        except SignInError as trouble:
            self._chrome.set_status(str(trouble), "error")
            return
        self._show_ways()
        self._chrome.set_status(sign_in_words.signed_out(self._sign_in.settings), "success")


async def _wait_for(page: asyncio.Event) -> None:
    """Hold the keys for a page that is made on this machine: its input takes the next one.

    Where the service has to be asked first, they are not held for it.
    """
    with suppress(TimeoutError):
        await asyncio.wait_for(page.wait(), PAGE_MADE_SECONDS)


def open_page(address: str) -> bool:
    """Open an address in a browser of this machine; whether there is one with a window of its own."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # One that runs in the terminal would draw over this screen.
    return type(browser) is not webbrowser.GenericBrowser and browser.open(address)
