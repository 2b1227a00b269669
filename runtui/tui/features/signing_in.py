"""Signing in: when somebody is needed, the methods, the sign-in in progress, and who is signed in.

Invariant: at most one sign-in is in progress, and giving it up cancels it. Everything that waits for a person gets an
answer: by a sign-in, by esc, or by the end of the screen. A form and its draft stay unchanged behind it. The view has
no token and sends no request: everything that it shows about a sign-in comes from the fields of `DeviceCode` and
`BrowserPage`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static
from textual.worker import Worker

from runtui.auth.accounts import may_be_of_another_tenant
from runtui.auth.errors import SignInError, not_signed_in
from runtui.auth.flows import BEWARE_CODE, who_asks
from runtui.domain.times import second_text
from runtui.errors import FieldError
from runtui.keys.actions import key_of
from runtui.tui.actions import ActionContext
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import blocks_keys
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.words import sign_in_words
from runtui.tui.words.sign_in_words import METHOD_LABELS, PersonMethod

if TYPE_CHECKING:
    from runtui.auth.accounts import Account
    from runtui.auth.flows import BrowserPage, DeviceCode
    from runtui.auth.signin import SignIn


PAGE_SECONDS: Final = 900
"""How long `SignIn.browser` waits for a browser."""

MAX_WAIT_FOR_PAGE: Final = 1.0
"""How long keys wait for the page of a browser sign-in, which takes some milliseconds."""

_DEMO: Final = "DEMO: the sandbox's own sign-in. Never type a password."


class AddressLine(LineInput):
    """The line for the address where a browser ended: there, enter chooses no method."""

    async def action_submit(self) -> None:
        self.post_message(self.Submitted(self, self.value))


class SignInView(ActionView[None]):
    """Shows the state of the sign-in and leads through one; its feature starts and ends sign-ins."""

    scope = "sign_in"
    asked_by = "sign_in"
    leaves_panel = True
    opens = "use_method"
    DEFAULT_CSS = """
    SignInView VerticalScroll { height: 1fr; scrollbar-size: 0 1; }
    SignInView ChoiceList { height: auto; overflow-y: hidden; margin: 1 0; text-wrap: wrap; text-overflow: fold; }
    SignInView #sign-in-address { padding: 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._title = "Sign in"
        self._methods: tuple[PersonMethod, ...] = ()
        self._names = ("", "")
        """The address of the sign-in service as the sign-in knows it, and as it can be opened here: they differ only in
        a demo."""
        self.copied = ("", "")
        """The text for the copy key, and what it is: a code, an address or a message, never a token."""
        self._page: BrowserPage | None = None

    def compose(self) -> ComposeResult:
        """Compose the widgets of all states; those that a state does not need are hidden."""
        with VerticalScroll(id="sign-in-page"):
            yield Static(id="sign-in-facts", markup=False)
            yield ChoiceList(id="sign-in-methods")
            yield Static(id="sign-in-address", markup=False)
            yield AddressLine(
                placeholder="paste the address that the browser ends at, then enter", id="sign-in-landing"
            )
            yield Static(id="sign-in-problem", markup=False)
            yield Static(id="sign-in-wait", markup=False)
            yield Static(id="sign-in-note", markup=False)

    @property
    def method(self) -> PersonMethod | None:
        """The method under the cursor; None if there is none to choose."""
        rows = self.query_one(ChoiceList)
        return self._methods[rows.highlighted] if rows.display and rows.highlighted is not None else None

    def open(
        self, sign_in: SignIn, *, why: str, waits: bool, trouble: SignInError | None = None, demo: str = ""
    ) -> None:
        """Show who is signed in and the methods to sign in: why somebody must, whether a request waits for it, the
        error of the last attempt, and where a demo's own sign-in can be opened."""
        self._forget_page()
        self._title = "Sign in" if sign_in.state.needs_person else "Account"
        self._names = (sign_in.settings.authority, demo)
        # A browser cannot resolve the name of a demo's sign-in by itself.
        methods = sign_in_words.available_methods(sign_in.settings)
        self._methods = tuple(method for method in methods if not (demo and method == "interactive"))
        self.query_one(ChoiceList).show(METHOD_LABELS[method] for method in self._methods)
        is_obvious = not why or (sign_in.state.account is None and why == str(not_signed_in()))
        said = _trouble_lines(trouble) if trouble is not None else [] if is_obvious else [content(why, "$text-warning")]
        self.copied = ("\n".join(line.plain for line in said), "Message")
        lines = [content(_DEMO, "bold $text-warning")] if demo else []
        lines += [content(line) for line in sign_in_words.state_lines(sign_in.state)]
        lines += [Content(""), *said] if said else []
        waiting = f"A request waits for this sign-in; {key_of('leave_sign_in')} ends it; drafts are kept.\n"
        note = content(f"{waiting if waits else ''}{who_asks()}", "$text-muted", newlines=True)
        self._show("methods", facts=Content("\n").join(lines), note=note)

    def begin(self, method: PersonMethod) -> None:
        self._forget_page()
        self._title = f"Sign in: {METHOD_LABELS[method].partition(':')[0].lower()}"
        self._show(facts=Content("Asking the sign-in service…"))
        self.take_focus()

    def show_code(self, code: DeviceCode) -> None:
        address = self._here(code.verification_uri)
        self.copied = (code.user_code, "Code")
        key = key_of("copy_code")
        lines = [*self._demo_lines("It completes by itself in a few seconds, or open the page.")]
        lines += [Content("Open on any device:"), content(address, "bold"), Content("and type this code:")]
        large = Content("\n").join([Content(""), _large(code.user_code), Content("")])
        note = f"{who_asks()} {BEWARE_CODE}\n{key} copies the code, {key_of('leave_sign_in')} cancels."
        facts, wait = Content("\n").join(lines), _wait_line(code.expires_at)
        self._show(facts=facts, address=large, wait=wait, note=content(note, newlines=True))

    def show_page(self, page: BrowserPage, *, opened: bool) -> None:
        """Show the address to open, and take the one where it ends; `opened` is True if a browser already shows it."""
        self._page = page
        self.copied = (self._here(page.url), "Address")
        first = "A browser was opened; if it was not, open this address:" if opened else "Open this in any browser:"
        facts = Content("\n").join([*self._demo_lines("")[:1], Content(first)])
        landing = self.query_one(LineInput)
        landing.value, landing.disabled = "", False
        note = f"It ends at {page.redirect_uri}, perhaps showing an error: copy that address.\n"
        note += f"{who_asks()} {sign_in_words.BEWARE_PAGE}"
        address = content(self.copied[0], "$text-accent")
        wait = _wait_line(datetime.now(UTC) + timedelta(seconds=PAGE_SECONDS))
        self._show("landing", facts=facts, address=address, wait=wait, note=content(note, newlines=True))
        self.take_focus()

    def take_focus(self) -> None:
        for widget in (self.query_one(LineInput), self.query_one(ChoiceList)):
            if widget.display and not widget.disabled:
                self.screen.set_focus(widget)
                return
        self.screen.set_focus(self.query_one("#sign-in-page"))

    def _forget_page(self) -> None:
        self._page, self.copied = None, ("", "")
        # A landing address has a code that is valid for a moment, so it is removed.
        self.query_one(LineInput).value = ""

    # What is pressed

    @on(Input.Submitted)
    def _landed(self, event: Input.Submitted) -> None:
        """Pass on the address where a browser ended; it chooses no method."""
        event.stop()
        if self._page is None:
            return
        try:
            self._page.paste(event.value)
        except FieldError as problem:
            self._say_below(content(problem, "$text-error"))
            return
        event.input.value, event.input.disabled = "", True
        self._say_below(Content("Signing in…"))
        self.take_focus()

    # Drawing

    def _here(self, address: str) -> str:
        """Return an address that a browser can open: in a demo the sign-in service has a name that no host can have."""
        name, place = self._names
        return place + address.removeprefix(name) if place and address.startswith(f"{name}/") else address

    def _demo_lines(self, more: str) -> Sequence[Content]:
        return [content(f"{_DEMO} {more}".strip(), "bold $text-warning"), Content("")] if self._names[1] else []

    def title(self) -> Content:
        return Content(self._title)

    def _say_below(self, what: Content) -> None:
        problem = self.query_one("#sign-in-problem", Static)
        problem.update(what)
        problem.display = True

    def _show(self, *others: str, **texts: Content) -> None:
        """Show some parts of the page, those with a text and others, and hide the rest."""
        for part, text in texts.items():
            self.query_one(f"#sign-in-{part}", Static).update(text)
        shown = {f"sign-in-{part}" for part in (*texts, *others)}
        for widget in self.query_one("#sign-in-page").children:
            widget.display = widget.id in shown
        self.post_message(self.Changed())


def _wait_line(ends: datetime) -> Content:
    return content(f"Waiting for you until {second_text(ends)}.", "bold")


def _large(code: str) -> Content:
    """Return a code that can be read from a distance: spaced, on a field of its own."""
    words = f"    {'  '.join(content(code).plain)}    "
    blank = " " * len(words)
    return Content("\n").join([content(f" {line}", "bold reverse") for line in (blank, words, blank)])


def _trouble_lines(trouble: SignInError) -> list[Content]:
    """Return the error, the next step, and the facts for an administrator."""
    lines = [content(trouble.title, "bold $text-error")]
    lines += [content(trouble.message)] if trouble.message else []
    lines += [content(f"→ {trouble.hint}", "$text-accent")] if trouble.hint else []
    lines += [content(line, "$text-muted") for line in trouble.reference]
    return lines


class SigningIn(Feature):
    """The screen of the sign-in, and the requests that wait for it."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        if (sign_in := self._workspace.sign_in) is not None:  # no action runs without one
            self._sign_in = sign_in
        self.view = SignInView()
        self.screen = self._chrome.install(self.view)
        """Its screen; it stays mounted, so that a sign-in continues behind another screen."""
        sandbox = self._chrome.sandbox
        self.demo_authority = sandbox.authority if sandbox is not None else ""
        """Where a demo's own sign-in can be opened; empty for a real one."""
        self._attempt: Worker[None] | None = None
        self._asked: asyncio.Future[bool] | None = None
        """Answers the request that waits for a person; None if none waits."""
        self._why = ""
        """Why it waits."""
        self._was_needed = False
        """True if it was already said that somebody must sign in."""

    def start(self) -> None:
        if self._workspace.sign_in is not None:
            self.listen(self._sign_in.changed, self._sign_in_changed, only_newest=True)
            if self._sign_in.is_person:
                self._sign_in.ask_person = self._ask
                self._sign_in.how_to_sign_in = f"Sign in again ({key_of('sign_in')})."
            self._sign_in_changed()

    def end(self) -> None:
        """Answer everything that waits, since the screens are gone."""
        if self._workspace.sign_in is not None:
            self._sign_in.ask_person = None
        self.stop_asking()

    def extend(self, context: ActionContext) -> ActionContext:
        return context._replace(is_signing_in=self._attempt is not None, has_code=bool(self.view.copied[0]))

    @property
    def _is_needed(self) -> bool:
        """True if somebody must sign in."""
        return self._sign_in.state.needs_person is not None

    # Who is signed in

    def _sign_in_changed(self, _state: object = None) -> None:
        """Show that somebody signed in or out, or that the token was renewed or could not be."""
        self._chrome.show_headline()
        needs = self._sign_in.is_person and self._is_needed
        if needs and not self._was_needed:
            self._show_when_suitable()
        self._was_needed = needs
        self._chrome.refresh()

    # When somebody is needed

    async def _ask(self, why: str) -> bool:
        """Ask a person to sign in, for a request that waits; return whether somebody did."""
        self._why = why
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked = asked
        if self._chrome.front is self.screen and self._attempt is None:
            self._show_methods()
        self._show_when_suitable()
        try:
            return await asked
        finally:
            if self._asked is asked:
                self._asked = None

    def stop_asking(self) -> None:
        """Answer the waiting request: nobody signs in."""
        self._answer(False)

    def _answer(self, came: bool) -> bool:
        """Answer the waiting request; return whether there was one."""
        asked, self._asked = self._asked, None
        if asked is None or asked.done():
            return False
        asked.set_result(came)
        return True

    def _show_when_suitable(self) -> None:
        """Show the methods to sign in, unless somebody types or sees no screen: then only say that a sign-in is
        needed."""
        front, app = self._chrome.front, self._chrome.app
        if front is self.screen:
            return
        # A digit is text in every line, but not in a closed dropdown, where nobody types.
        types = app.focused is not None and app.focused.check_consume_key("0", "0")
        if app.screen is not front or types:
            words = sign_in_words.sign_in_needed(self._sign_in.state.needs_person)
            self._chrome.set_status(words, "warning", lambda: self._asked is not None or self._is_needed)
        else:
            self.in_worker(self._open(), "show sign-in", exclusive=True)

    async def action_sign_in(self) -> None:
        if self._chrome.front is self.screen:
            self.action_leave_sign_in()
        else:
            await self._open()

    async def _open(self) -> None:
        await self._chrome.prepare(self.screen)
        if self._attempt is None:
            self._show_methods()
        await self._chrome.open(self.screen, self._dismissed)
        if self.screen.has_class("-narrow"):
            self._give_room()

    def _show_methods(self, trouble: SignInError | None = None) -> None:
        needed = self._sign_in.state.needs_person
        why = self._why if self._asked is not None else needed.summary if needed else ""
        self.view.open(self._sign_in, why=why, waits=self._asked is not None, trouble=trouble, demo=self.demo_authority)
        self._chrome.refresh()
        # A widget that has just been shown can have the keys after its layout.
        self.view.call_after_refresh(self._give_keys)

    def _give_keys(self) -> None:
        if not self.screen.has_keys_in_panel:
            self.view.take_focus()

    # Signing in

    def action_use_method(self) -> None:
        """Start the method under the cursor in place of the one in progress."""
        if (method := self.view.method) is None:
            return
        self.view.begin(method)
        self._chrome.set_status("")
        page_is_ready = asyncio.Event()
        self._attempt = self._chrome.app.run_worker(
            self._sign_in_by(method, page_is_ready), group="sign in", description="sign in", exclusive=True
        )
        if method != "device-code":
            self._chrome.app.run_worker(
                _wait_for(page_is_ready), group=blocks_keys("sign-in page"), description="make the sign-in page"
            )
        self._chrome.refresh()

    async def _sign_in_by(self, method: PersonMethod, page_is_ready: asyncio.Event) -> None:
        before = self._sign_in.state.account
        try:
            account = await self._run_method(method, page_is_ready)
        except SignInError as trouble:
            self._attempt = None
            self._show_methods(trouble)
            self._chrome.set_status("")
        else:
            self._attempt = None
            is_new = may_be_of_another_tenant(self._sign_in.settings, before, account)
            if is_new:
                await asyncio.to_thread(self._workspace.store.keep_workflows, ())
            self._signed_in(account, is_new=is_new)
        finally:
            page_is_ready.set()

    async def _run_method(self, method: PersonMethod, page_is_ready: asyncio.Event) -> Account:
        if method == "device-code":
            return await self._sign_in.device_code(self.view.show_code)

        def show(page: BrowserPage) -> None:
            # Beside another pane the address could not be selected with the mouse.
            self._give_room()
            self.view.show_page(page, opened=method == "interactive")
            page_is_ready.set()

        return await self._sign_in.browser(show, open_page=open_page if method == "interactive" else None)

    def _signed_in(self, account: Account, *, is_new: bool) -> None:
        """Return to the earlier screen; the waiting request continues, and the list is read."""
        request_waited = self._answer(True)
        self._go_back()
        self._chrome.set_status(sign_in_words.signed_in(account, goes_on=request_waited), "success")
        if is_new or not (request_waited and self._workspace.refresh.progress.listing):
            self._workspace.refresh.now(full=True)  # another account may see other runs

    def action_leave_sign_in(self) -> None:
        """Cancel the sign-in in progress and show the methods again; from there, go back."""
        if self._attempt is None:
            self._go_back()
            return
        self._give_up()
        self._show_methods()
        self.screen.set_status("Sign-in canceled. Its code or address no longer works.", "warning")

    def _give_up(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None

    def _go_back(self) -> None:
        # From another screen, the person may return to this one on the way.
        self._show_methods()
        if self._chrome.front is self.screen and self._chrome.app.screen is self.screen:
            self.screen.dismiss()

    def _dismissed(self, _answer: None) -> None:
        """The screen was closed: cancel the sign-in, show the panel again, and let the waiting request continue without
        a sign-in."""
        self._give_up()
        self._chrome.zoom(False)
        request_waited = self._answer(False)
        if request_waited or self._is_needed:
            words = sign_in_words.left_without(request_waited=request_waited)
            self._chrome.set_status(words, "warning", lambda: request_waited or self._is_needed)

    def _give_room(self) -> None:
        """Hide the panel, which would leave too few lines."""
        if self.screen.has_keys_in_panel:
            self.view.take_focus()
        self._chrome.is_zoomed = True
        self._chrome.refresh()

    # Signing out

    def action_sign_out(self) -> None:
        key = key_of("sign_out")
        question = f"Sign out? This deletes the tokens of this session. Press {key} again to sign out."
        if self._chrome.has_confirmed(question):
            self.in_worker(self._sign_out(), blocks_keys("sign out"), exclusive=True)

    async def _sign_out(self) -> None:
        self._give_up()
        self._answer(False)
        self._was_needed = True  # this is no news to the person
        await self._sign_in.sign_out()
        self._show_methods()
        self._chrome.set_status(sign_in_words.signed_out(self._sign_in.settings), "success")


async def _wait_for(page: asyncio.Event) -> None:
    """Hold the keys for a page that is made on this machine, because its input takes the next one. If the service must
    be asked first, the keys are not held."""
    with suppress(TimeoutError):
        await asyncio.wait_for(page.wait(), MAX_WAIT_FOR_PAGE)


def open_page(address: str) -> bool:
    """Open an address in a browser on this machine; return whether there is one with a window of its own."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # A browser in the terminal would draw over this screen.
    return type(browser) is not webbrowser.GenericBrowser and browser.open(address)
