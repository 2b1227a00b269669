"""`runtui login`, `logout` and `whoami`: signing in without a screen.

Invariant: who it is goes to standard output, everything else to standard error; no token, no secret and no device code
is in either. A sign-in that is given up leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from runtui.auth.signin import BrowserPage, DeviceCode, SignIn, SignInError
from runtui.domain.text import visible
from runtui.errors import ExitCode, FieldError, UsageError
from runtui.graph.retry import length_words
from runtui.headless.console import PassingLine, count_seconds, narrate, run_command, typed_lines
from runtui.headless.identity import identity_json, identity_lines, in_shell, next_step, short_scopes
from runtui.headless.welcome import REGISTRATION
from runtui.session_settings import token_source
from runtui.settings import Settings, SignInSettings

BY_HAND: Final = SignInSettings(method="token", tenant_id="", client_id="", authority="")
"""The token of RUNTUI_TOKEN, as a way of signing in."""

Shown = TypeVar("Shown", DeviceCode, BrowserPage)


def nothing_to_sign_in_with(why: str) -> UsageError:
    """What is said where there is no app registration to sign in with; `why` is a sentence."""
    needs = "Signing in needs a tenant-id and a client-id, from a profile or by --tenant-id and --client-id."
    hint = f"They are those of an app registration like this one; runtui alone shows every step:\n{REGISTRATION}"
    return UsageError("There is nothing to sign in with", f"{why} {needs}", hint)


def login(settings: Settings, *, no_browser: bool = False, environ: Mapping[str, str] = os.environ) -> int:
    """Sign in as the settings say, keep it for the next commands, and print who it is; the exit code.

    Args:
        settings: How, and for which root.
        no_browser: Whether no browser may be opened from here.
        environ: Where secrets are, and whether this is a local session.

    Raises:
        UsageError: there is no way to sign in, or nothing of it would be kept.
        RuntuiError: it did not come about.
    """
    method = settings.sign_in
    if method is None:
        raise nothing_to_sign_in_with("What was chosen takes its token from RUNTUI_TOKEN.")
    if method.method == "token":
        what = f"The token comes from {method.token_file}, which another program keeps fresh."
        raise UsageError("There is nothing to sign in to", what, "runtui whoami tells whose it is.")
    return run_command(_login(settings, no_browser, environ))


def logout(settings: Settings) -> int:
    """Forget the tokens that are kept on this machine, and say whose they were; the exit code.

    Raises:
        RuntuiError: they cannot be deleted.
    """
    return run_command(_logout(settings))


def whoami(settings: Settings, *, as_json: bool, environ: Mapping[str, str] = os.environ) -> int:
    """Print who is signed in, from what is kept on this machine: no server is asked. The exit code.

    Raises:
        RuntuiError: nobody is.
    """
    return run_command(_whoami(settings, as_json, environ))


def is_local(environ: Mapping[str, str]) -> bool:
    """Whether this session has a screen of its own, so that a browser opened from here would be seen."""
    remote = any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))
    return not remote and (sys.platform == "darwin" or any(environ.get(it) for it in ("DISPLAY", "WAYLAND_DISPLAY")))


@asynccontextmanager
async def _opened(settings: Settings, environ: Mapping[str, str] = os.environ) -> AsyncIterator[SignIn]:
    """The sign-in of the settings, closed at the end."""
    source = token_source(replace(settings, sign_in=settings.sign_in or BY_HAND), environ)
    assert isinstance(source, SignIn)  # noqa: S101 - every way of signing in is one
    try:
        yield source
    finally:
        await source.aclose()


async def _login(settings: Settings, no_browser: bool, environ: Mapping[str, str]) -> int:
    async with _opened(settings, environ) as sign_in:
        if sign_in.is_person and sign_in.settings.token_cache == "memory":  # noqa: S105 - a place
            raise UsageError("Nothing of it would be kept", next_step(settings))
        narrate(f"Signing in to {settings.tenant}, asking for {', '.join(short_scopes(sign_in.scopes))}.")
        try:
            if sign_in.is_person:
                await _as_person(sign_in, no_browser, environ)
            else:
                await sign_in()
        except SignInError as error:
            raise in_shell(error) from None
        except asyncio.CancelledError:
            narrate("Given up: nothing was kept.")
            raise
        state = sign_in.state
    if not sign_in.is_person:
        narrate("A program signs in anew with each command: nothing was kept.")
        print(*identity_lines(settings, state, sign_in.scopes), sep="\n")
        return int(ExitCode.DONE)
    # What the next command will find, which also sees who was signed in before.
    async with _opened(settings, environ) as after:
        found = await after.load()
    if found.trouble is not None:
        narrate(str(found.trouble))
    print(*identity_lines(settings, state if found.trouble else found, sign_in.scopes), sep="\n")
    narrate(f"Kept in {settings.state_folder}, for you alone to read, until: runtui logout.")
    return int(ExitCode.DONE)


async def _as_person(sign_in: SignIn, no_browser: bool, environ: Mapping[str, str]) -> None:
    if sign_in.settings.method == "device-code":
        await _accompanied(sign_in.device_code, _show_code)
        return
    opens = sign_in.settings.method == "interactive" and not no_browser
    if opens and not is_local(environ):
        narrate("No browser of yours can be opened from here.")
        opens = False

    def attempt(show: Callable[[BrowserPage], None]) -> Awaitable[object]:
        return sign_in.browser(show, open_page=_open_page if opens else None)

    await _accompanied(attempt, _show_page)


async def _accompanied(
    attempt: Callable[[Callable[[Shown], None]], Awaitable[object]],
    company: Callable[[Shown], Coroutine[Any, Any, None]],
) -> None:
    """Sign in, while `company` tells of what there is to show; it ends with the attempt."""
    tasks: list[asyncio.Task[None]] = []
    try:
        await attempt(lambda shown: tasks.append(asyncio.create_task(company(shown))))
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()


async def _show_code(code: DeviceCode) -> None:
    narrate(
        f"Open       {code.verification_uri}",
        f"and enter  {code.user_code}",
        _origin("Never enter a code that someone sent you."),
    )
    line = PassingLine()
    try:
        while (left := (code.expires_at - datetime.now(UTC)).total_seconds()) > 0:
            line.show(f"Waiting for you there: {length_words(left)} left. ctrl+c gives up.")
            await asyncio.sleep(min(left, count_seconds()))
    finally:
        line.clear()


async def _show_page(page: BrowserPage) -> None:
    narrate(
        "Open this address in a browser, here or elsewhere:",
        page.url,
        f"At the end the browser goes to {page.redirect_uri}. If it cannot connect there, copy the address that it "
        "shows, paste it here and press enter. ctrl+c gives up.",
        _origin("Never send that address to anybody."),
    )
    async for line in typed_lines():
        if not line:
            continue
        try:
            page.paste(line)
        except FieldError as error:
            narrate(f"{error} Paste it again.")
        else:
            return


def _origin(warning: str) -> str:
    """Who asks, so that a request of somebody else is not taken for this one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.geteuid())
    return f"The request comes from this runtui, on {socket.gethostname()}, run by {user}. {warning}"


def _open_page(url: str) -> None:
    """Open an address in the browser of this session; called beside the loop."""
    import webbrowser

    if not webbrowser.open(url):
        narrate("No browser could be opened.")


async def _logout(settings: Settings) -> int:
    async with _opened(settings) as sign_in:
        if not sign_in.is_person:
            print("Nothing is kept on this machine.")
            narrate(next_step(settings))
            return int(ExitCode.DONE)
        try:
            accounts = await sign_in.sign_out()
        except SignInError as error:
            raise in_shell(error) from None
    if not accounts:
        print("Nobody was signed in.")
        return int(ExitCode.DONE)
    for account in accounts:
        print(visible(f"Forgotten: the tokens of {account}."))
    narrate("The browser that signed in is still signed in; sign out there as well if others use it.")
    return int(ExitCode.DONE)


async def _whoami(settings: Settings, as_json: bool, environ: Mapping[str, str]) -> int:
    async with _opened(settings, environ) as sign_in:
        state = await sign_in.load()
        scopes = () if sign_in.settings.method == "token" else sign_in.scopes
    if state.trouble is not None:
        raise in_shell(state.trouble, settings)
    print(identity_json(settings, state, scopes) if as_json else "\n".join(identity_lines(settings, state, scopes)))
    is_over = sign_in.settings.method == "token" and state.expires_at and state.expires_at <= datetime.now(UTC)
    if is_over:
        narrate(f"This token has ended. {next_step(settings)}")
    return int(ExitCode.NOT_DONE if is_over else ExitCode.DONE)
