"""The part of the screen that signs in: when somebody is needed, by which way, and who is signed in now.

Invariant: one sign-in is under way at most, and giving it up cancels it. Whatever waits for a person is answered: by a
sign-in, by esc, or by the end of the screen. A form and its draft stay as they are behind it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.timer import Timer
from textual.widgets import Input
from textual.worker import Worker

from runtui.auth.errors import SignInError
from runtui.errors import RuntuiError
from runtui.services.workspace import Workspace
from runtui.tui import sign_in_words
from runtui.tui.actions import ACTION_BY_ID
from runtui.tui.bridge import SignInChanged
from runtui.tui.journaling import Journaling
from runtui.tui.messages import LeaveSignIn, SignInChosen, SignOutRequested
from runtui.tui.screens.sign_in import SignInView
from runtui.tui.sign_in_words import Way
from runtui.tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from runtui.auth.signin import Account, BrowserPage


class SigningIn(Journaling):
    """A frame at which a person can sign in."""

    def __init__(self, workspace: Workspace, *, columns: int) -> None:
        """Lay out a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
        """
        super().__init__(workspace, columns=columns)
        self.demo_authority = ""
        """Where a demo's own sign-in can be opened; empty on a real one."""
        self._sign_in = workspace.sign_in
        self._attempt: Worker[None] | None = None
        self._asked: asyncio.Future[bool] | None = None
        """What a request waits for that only a person can help; None: none waits."""
        self._why = ""
        """Why it waits."""
        self._was_needed = False
        """Whether it was told already that somebody has to sign in."""
        self._expiry: Timer | None = None
        """Until the first line says something else of the token."""

    # Who is signed in

    def follow_sign_in(self) -> None:
        """Begin to look after the sign-in."""
        if self._sign_in is not None:
            if self._sign_in.is_person:
                self._sign_in.ask_person = self._ask
            self._tell_sign_in()

    def on_unmount(self) -> None:
        """Nobody is here any more."""
        if self._sign_in is not None:
            self._sign_in.ask_person = None
        self.stop_asking()

    def in_words(self, fault: RuntuiError | None) -> str:
        """Why the list is incomplete; where a person is needed, only that."""
        needed = self._sign_in.state.needs_person if self._sign_in is not None and self._sign_in.is_person else None
        return str(fault) if needed is None else f"{needed.title} ({ACTION_BY_ID['sign_in'].shown_key})."

    def who(self) -> str:
        """Who is signed in, for the first line."""
        return sign_in_words.who(self._sign_in.state if self._sign_in else None, datetime.now(UTC))

    @property
    def is_signing_in(self) -> bool:
        """Whether a sign-in is under way."""
        return self._attempt is not None

    def on_sign_in_changed(self, _event: SignInChanged) -> None:
        """Somebody signed in or out, the token was renewed, or it could not be."""
        self._tell_sign_in()

    def _tell_sign_in(self) -> None:
        if self._sign_in is None:
            return
        self._tell_expiry()
        needs = self._sign_in.is_person and self._sign_in.state.needs_person is not None
        if needs and not self._was_needed:
            self._show_when_suitable()
        self._was_needed = needs
        self.refresh_chrome()

    def _tell_expiry(self) -> None:
        """Draw the first line, and again when only the time makes it another one."""
        if self._expiry is not None:
            self._expiry.stop()
            self._expiry = None
        self.show_headline()
        seconds = sign_in_words.next_change(self._sign_in.state, datetime.now(UTC)) if self._sign_in else None
        if seconds is not None:
            self._expiry = self.set_timer(seconds, self._tell_expiry)

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
        """Show the ways to sign in, unless somebody is typing: then only say that it is needed."""
        if self.left.view == "sign_in" or self._sign_in is None:
            return
        if isinstance(self.focused, Input):
            key = ACTION_BY_ID["sign_in"].shown_key
            sign_in = self._sign_in
            words = sign_in_words.needed(sign_in.state.needs_person, key)
            self.say(words, "warning", lambda: self._asked is not None or sign_in.state.needs_person is not None)
        else:
            self.run_worker(self.action_sign_in(), group="show sign-in", exclusive=True, description="show sign-in")

    async def action_sign_in(self) -> None:
        """Who is signed in and the ways to sign in take the left pane."""
        if self._sign_in is None:
            return
        await self.left.prepare()
        if self._attempt is None:
            self._show_ways()
        self.left.show("sign_in")
        self._give_room(self.has_class("-narrow"))

    def _show_ways(self, trouble: SignInError | None = None) -> None:
        if self._sign_in is None:
            return
        needed = self._sign_in.state.needs_person
        why = self._why if self._asked is not None else f"{needed.title}. {needed.message}" if needed else ""
        view = self.left.query_one(SignInView)
        view.open(self._sign_in, why=why, trouble=trouble, demo=self.demo_authority)
        self.refresh_chrome()
        # What came into sight can have the keys once it is laid out.
        self.call_after_refresh(self._give_keys)

    def _give_keys(self) -> None:
        if self.left.view == "sign_in" and not self._keys_go_to_panel:
            self.left.take_focus()

    # Signing in

    def on_sign_in_chosen(self, event: SignInChosen) -> None:
        """Begin, in the place of what was under way."""
        self.left.query_one(SignInView).begin(event.way)
        self.say("")
        self._attempt = self.run_worker(
            self._sign_in_by(event.way), group="sign in", description="sign in", exclusive=True
        )
        self.refresh_chrome()

    async def _sign_in_by(self, way: Way) -> None:
        try:
            account = await self._bring_about(way)
        except SignInError as trouble:
            self._attempt = None
            self._show_ways(trouble)
            self.say("")
        else:
            self._attempt = None
            self._signed_in(account)

    async def _bring_about(self, way: Way) -> Account:
        assert self._sign_in is not None  # noqa: S101 - the view opens only on one
        view = self.left.query_one(SignInView)
        if way == "device-code":
            return await self._sign_in.device_code(view.show_code)

        def show(page: BrowserPage) -> None:
            # Beside another pane the address could not be marked with the mouse.
            self._give_room(True)
            view.show_page(page, opened=way == "interactive")

        return await self._sign_in.browser(show, open_page=open_page if way == "interactive" else None)

    def _signed_in(self, account: Account) -> None:
        """Back to where the person was; what waited goes on, and the list is read."""
        somebody_waited = self._answer(True)
        self._go_back()
        self.say(sign_in_words.signed_in(account, goes_on=somebody_waited), "success")
        if not (somebody_waited and self._workspace.refresh.progress.listing):
            self._workspace.refresh.now()

    def on_leave_sign_in(self, _event: LeaveSignIn) -> None:
        """Give up the sign-in under way and show the ways again; from there, go back."""
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
            self._show_ways()
            self.say(sign_in_words.given_up(), "warning", lambda: self.left.view == "sign_in")
            return
        somebody_waited = self._answer(False)
        self._go_back()
        if self._sign_in is not None and (somebody_waited or self._sign_in.state.needs_person):
            key = ACTION_BY_ID["sign_in"].shown_key
            words = sign_in_words.left_without(key, somebody_waited=somebody_waited)
            sign_in = self._sign_in
            self.say(words, "warning", lambda: somebody_waited or sign_in.state.needs_person is not None)

    def _give_room(self, alone: bool) -> None:
        """Take the panel away, which would leave too few lines; or leave it."""
        if alone:
            self._keys_go_to_panel = False
            self._zoom(True)

    def _go_back(self) -> None:
        self._zoom(False)
        # Whoever is somewhere else by now may come back to this view on the way.
        self._show_ways()
        if self.left.view == "sign_in":
            self.left.leave("sign_in")

    # Signing out

    def on_sign_out_requested(self, _event: SignOutRequested) -> None:
        """Sign out when the question is in sight, or ask it."""
        question = sign_in_words.sign_out_question(ACTION_BY_ID["sign_out"].shown_key)
        if self.query_one(StatusLine).text != question:
            self.say(question, "warning", lambda: self.left.view == "sign_in")
        else:
            self.run_worker(self._sign_out(), group="sign out", description="sign out", exclusive=True)

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
            self.say(str(trouble), "error")
            return
        self._show_ways()
        self.say(sign_in_words.signed_out(self._sign_in.settings), "success")


def open_page(address: str) -> bool:
    """Open an address in a browser of this machine; whether there is one with a window of its own."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # One that runs in the terminal would draw over this screen.
    return type(browser) is not webbrowser.GenericBrowser and browser.open(address)
