"""Signing in: the ways there are, the code or the address of the one under way, and what became of it.

Invariant: this view holds no token and asks no server; what it shows of a sign-in comes from the fields of
`DeviceCode` and `BrowserPage`. A clock runs only while a sign-in waits for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from runtui.errors import FieldError
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.inputs import ChoiceList, LineInput
from runtui.tui.words import sign_in_words
from runtui.tui.words.sign_in_words import METHOD_LABELS, Asker, PersonMethod

if TYPE_CHECKING:
    from runtui.auth.signin import BrowserPage, DeviceCode, SignIn, SignInError

TICK_SECONDS: Final = 1.0
"""How often the time that is left is told."""

PAGE_SECONDS: Final = 900
"""How long `SignIn.browser` waits for a browser."""

_DEMO: Final = "DEMO: the sandbox's own sign-in. Never type a password."


class SignInView(ActionView[None]):
    """Shows where the sign-in stands, and leads through one; the feature around it begins and ends sign-ins."""

    scope = "sign_in"
    BINDINGS = bindings("sign_in")
    opens = "use_method"
    DEFAULT_CSS = """
    SignInView { layout: vertical; height: 1fr; }
    SignInView VerticalScroll { height: 1fr; scrollbar-size: 0 1; }
    SignInView Static { height: auto; padding: 0 1; }
    SignInView ChoiceList { height: auto; margin: 1 0; }
    SignInView #sign-in-address { padding: 0; }
    SignInView .-gone { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._words = "Sign in"
        self._ways: tuple[PersonMethod, ...] = ()
        self._names = ("", "")
        """The sign-in service as the sign-in knows it, and as it can be opened here: they differ in a demo alone."""
        self._copied = ""
        self._page: BrowserPage | None = None
        self.ends: datetime | None = None
        """Until when the sign-in under way waits."""
        self._clock: Timer | None = None

    def compose(self) -> ComposeResult:
        """Everything that any state needs; what a state does not need is not displayed."""
        with VerticalScroll(id="sign-in-page"):
            yield Static(id="sign-in-facts", markup=False)
            yield ChoiceList(id="sign-in-ways")
            yield Static(id="sign-in-address", markup=False)
            yield LineInput(placeholder="paste the address that the browser ends at, then enter", id="sign-in-landing")
            yield Static(id="sign-in-problem", markup=False)
            yield Static(id="sign-in-wait", markup=False)
            yield Static(id="sign-in-note", markup=False)

    @property
    def way(self) -> PersonMethod | None:
        """The way under the cursor; None while none is to be chosen."""
        rows = self.query_one(ChoiceList)
        return None if rows.has_class("-gone") or rows.highlighted is None else self._ways[rows.highlighted]

    def open(self, sign_in: SignIn, *, why: str = "", trouble: SignInError | None = None, demo: str = "") -> None:
        """Show who is signed in and the ways to sign in.

        Args:
            sign_in: Whose state it is.
            why: Why somebody has to sign in now; empty when nobody has to.
            trouble: What went wrong with the last attempt.
            demo: Where a demo's own sign-in can be opened; empty on a real one.
        """
        self._names = (sign_in.settings.authority, demo)
        # No browser finds the name of a demo's sign-in by itself.
        self._ways = tuple(
            way for way in sign_in_words.methods_here(sign_in.settings) if not (demo and way == "interactive")
        )
        lines: list[Content] = [content(_DEMO, "bold $text-warning")] if demo else []
        lines += [content(line) for line in sign_in_words.standing(sign_in.state)]
        if why and trouble is None:
            lines += [Content(""), content(why, "$text-warning")]
        lines += [Content(""), *_trouble_lines(trouble)] if trouble is not None else []
        self._stop_waiting()
        self._update("facts", Content("\n").join(lines))
        rows = self.query_one(ChoiceList)
        rows.clear_options()
        rows.add_options([METHOD_LABELS[way] for way in self._ways])
        rows.highlighted = 0
        self._update("note", content(str(Asker.here()), "$text-muted"))
        self._display("sign-in-facts", "sign-in-ways", "sign-in-note")
        self._entitle("Sign in" if sign_in.state.needs_person else "Account")

    def begin(self, way: PersonMethod) -> None:
        """Say that the sign-in service is being asked."""
        self._stop_waiting()
        self._entitle(f"Sign in: {METHOD_LABELS[way].partition(':')[0].lower()}")
        self._update("facts", Content("Asking the sign-in service…"))
        self._display("sign-in-facts")
        self.take_focus()

    def show_code(self, code: DeviceCode) -> None:
        """Show what to type, and where."""
        address = self._here(code.verification_uri)
        self._copied = code.user_code
        key = key_of("copy_code")
        lines = [*self._demo_lines("It approves by itself in a few seconds, or open the page.")]
        lines += [Content("Open on any device:"), content(address, "bold"), Content("and type this code:")]
        self._update("facts", Content("\n").join(lines))
        self._update("address", Content("\n").join([Content(""), _large(code.user_code), Content("")]))
        note = f"{Asker.here()} {sign_in_words.BEWARE}\n{key} copies the code, {key_of('leave_sign_in')} cancels."
        self._update("note", content(note, newlines=True))
        self._display("sign-in-facts", "sign-in-address", "sign-in-wait", "sign-in-note")
        self._wait_until(code.expires_at)

    def show_page(self, page: BrowserPage, *, opened: bool) -> None:
        """Show the address to open, and take the one where it ends; `opened` tells whether it is open already."""
        self._page = page
        self._copied = self._here(page.url)
        first = "A browser was opened; if it was not, open this address:" if opened else "Open this in any browser:"
        self._update("facts", Content("\n").join([*self._demo_lines("")[:1], Content(first)]))
        self._update("address", content(self._copied, "$text-accent"))
        landing = self.query_one(LineInput)
        landing.value, landing.disabled = "", False
        note = f"It ends at {page.redirect_uri}, perhaps with an error: copy that address.\n"
        note += f"{Asker.here()} {sign_in_words.BEWARE_PAGE}"
        self._update("note", content(note, newlines=True))
        self._display(*(f"sign-in-{part}" for part in ("facts", "address", "landing", "wait", "note")))
        self._wait_until(datetime.now(UTC) + timedelta(seconds=PAGE_SECONDS))
        self.take_focus()

    def take_focus(self) -> None:
        """Give the keys to whatever is to be done here."""
        for widget in (self.query_one(LineInput), self.query_one(ChoiceList)):
            if not widget.has_class("-gone") and not widget.disabled:
                self.screen.set_focus(widget)
                return
        self.screen.set_focus(self.query_one("#sign-in-page"))

    # The clock

    def count_down(self) -> None:
        """Tell the time that is left."""
        if self.ends is not None:
            self._update("wait", content(sign_in_words.countdown(self.ends, datetime.now(UTC)), "bold"))

    def _wait_until(self, ends: datetime) -> None:
        self.ends = ends
        self.count_down()
        if self._clock is None:
            self._clock = self.set_interval(TICK_SECONDS, self.count_down)

    def _stop_waiting(self) -> None:
        self.ends = self._page = None
        self._copied = ""
        # A landing address holds a code that is good for a moment: it does not stay.
        self.query_one(LineInput).value = ""
        if self._clock is not None:
            self._clock.stop()
            self._clock = None

    # What is pressed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The address where a browser ended."""
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

    @property
    def copied(self) -> tuple[str, str]:
        """What the copy key copies, and what it is: a user code or an address, never a token; nothing before that."""
        return self._copied, "Address" if self._page is not None else "Code"

    # Drawing

    def _here(self, address: str) -> str:
        """An address as a browser can open it: in a demo the sign-in service has a name that no host can have."""
        name, place = self._names
        return place + address.removeprefix(name) if place and address.startswith(f"{name}/") else address

    def _demo_lines(self, more: str) -> Sequence[Content]:
        return [content(f"{_DEMO} {more}".strip(), "bold $text-warning"), Content("")] if self._names[1] else []

    def title(self) -> Content:
        """What this is about: an account, or the way that is under way."""
        return Content(self._words)

    def _entitle(self, words: str) -> None:
        self._words = words
        self.post_message(self.Changed())

    def _update(self, part: str, what: Content) -> None:
        self.query_one(f"#sign-in-{part}", Static).update(what)

    def _say_below(self, what: Content) -> None:
        """Say something at the input."""
        self._update("problem", what)
        self.query_one("#sign-in-problem").remove_class("-gone")

    def _display(self, *shown: str) -> None:
        for widget in self.query_one("#sign-in-page").children:
            widget.set_class(widget.id not in shown, "-gone")


def _large(code: str) -> Content:
    """A code that can be read from across a desk: spaced, on a field of its own."""
    words = f"    {'  '.join(content(code).plain)}    "
    blank = " " * len(words)
    return Content("\n").join([content(f" {line}", "bold reverse") for line in (blank, words, blank)])


def _trouble_lines(trouble: SignInError) -> list[Content]:
    """What went wrong, what to do, and what to pass on to an administrator."""
    lines = [content(trouble.title, "bold $text-error")]
    lines += [content(trouble.message)] if trouble.message else []
    lines += [content(f"→ {trouble.hint}", "$text-accent")] if trouble.hint else []
    lines += [content(line, "$text-muted") for line in trouble.reference]
    return lines
