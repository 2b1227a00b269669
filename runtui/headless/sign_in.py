"""`runtui login`, `logout` and `whoami`: signing in without a screen.

Invariant: the identity goes to standard output, everything else to standard error; no token, secret or device code that
could be used by others is in either. A cancelled sign-in leaves nothing behind.
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
from runtui.command_line import CommandLine, SessionSpec, token_source
from runtui.domain.report import length_words
from runtui.domain.text import visible
from runtui.errors import ExitCode, FieldError, UsageError
from runtui.headless.console import PassingLine, count_seconds, narrate, run_command, typed_lines
from runtui.headless.identity import identity_json, identity_lines, next_step, short_scopes, with_next_step
from runtui.headless.welcome import REGISTRATION
from runtui.profiles import names_server
from runtui.settings import Settings, SignInSettings

SUPPLIED_TOKEN: Final = SignInSettings(method="token", tenant_id="", client_id="", authority="")
"""The token in RUNTUI_TOKEN, as a sign-in method."""

Shown = TypeVar("Shown", DeviceCode, BrowserPage)


def nothing_to_sign_in_with(why: str) -> UsageError:
    """The error of a sign-in without an app registration; `why` is a sentence."""
    needs = "Signing in needs a tenant-id and a client-id, from a profile or from --tenant-id and --client-id."
    hint = f"Take them from an app registration like this one; `runtui` shows every step:\n{REGISTRATION}"
    return UsageError("There is nothing to sign in with", f"{why} {needs}", hint)


def login(line: CommandLine, *, no_browser: bool = False) -> int:
    """Sign in, keep the tokens for later commands, and print who is signed in; the exit code.

    Args:
        line: How to sign in, and for which root.
        no_browser: Open no browser.

    Raises:
        UsageError: there is no sign-in method, or its tokens would not be kept.
        RuntuiError: the sign-in failed.
    """
    config, choices = line.choices()
    if not names_server(choices) and not config.profiles:
        raise nothing_to_sign_in_with(f"There is no profile in {config.path}, and no --client-id.")
    settings = line.settings()
    method = settings.sign_in
    if method is None:
        raise nothing_to_sign_in_with("The token comes from RUNTUI_TOKEN.")
    if method.method == "token":
        what = f"The token comes from {method.token_file}, which another program keeps fresh."
        raise UsageError("There is nothing to sign in to", what, "runtui whoami shows whose token it is.")
    return run_command(_login(settings, no_browser, os.environ))


def logout(session: SessionSpec) -> int:
    """Delete the tokens kept on this machine and print whose they were; the exit code.

    Raises:
        RuntuiError: they cannot be deleted.
    """
    return run_command(_logout(session.settings))


def whoami(session: SessionSpec, *, as_json: bool, environ: Mapping[str, str] = os.environ) -> int:
    """Print who is signed in, from what is kept on this machine: no server is asked. The exit code.

    Raises:
        RuntuiError: nobody is signed in.
    """
    return run_command(_whoami(session.settings, as_json, environ))


def is_local(environ: Mapping[str, str]) -> bool:
    """Whether this session has a display, so that a browser opened here would be seen."""
    remote = any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))
    return not remote and (sys.platform == "darwin" or any(environ.get(it) for it in ("DISPLAY", "WAYLAND_DISPLAY")))


@asynccontextmanager
async def _opened(settings: Settings, environ: Mapping[str, str] = os.environ) -> AsyncIterator[SignIn]:
    """Open the sign-in of the settings and close it at the end."""
    source = token_source(replace(settings, sign_in=settings.sign_in or SUPPLIED_TOKEN), environ)
    assert isinstance(source, SignIn)  # noqa: S101 - every way of signing in is one
    try:
        yield source
    finally:
        await source.aclose()


async def _login(settings: Settings, no_browser: bool, environ: Mapping[str, str]) -> int:
    async with _opened(settings, environ) as sign_in:
        if sign_in.is_person and sign_in.settings.token_cache == "memory":  # noqa: S105 - a place
            raise UsageError("The tokens would not be kept", next_step(settings))
        narrate(f"Signing in to {settings.tenant}, asking for {', '.join(short_scopes(sign_in.scopes))}.")
        try:
            if sign_in.is_person:
                await _as_person(sign_in, no_browser, environ)
            else:
                await sign_in()
        except SignInError as error:
            raise with_next_step(error) from None
        except asyncio.CancelledError:
            narrate("Cancelled. Nothing was kept.")
            raise
        state = sign_in.state
    if not sign_in.is_person:
        narrate("Nothing was kept: this method signs in again with each command.")
        print(*identity_lines(settings, state, sign_in.scopes), sep="\n")
        return ExitCode.DONE
    # Read back what the next command will find, an earlier account included.
    async with _opened(settings, environ) as after:
        found = await after.load()
    if found.trouble is not None:
        narrate(str(found.trouble))
    print(*identity_lines(settings, state if found.trouble else found, sign_in.scopes), sep="\n")
    narrate(f"Kept in {settings.state_folder}, readable by you alone, until runtui logout.")
    return ExitCode.DONE


async def _as_person(sign_in: SignIn, no_browser: bool, environ: Mapping[str, str]) -> None:
    if sign_in.settings.method == "device-code":
        await _accompanied(sign_in.device_code, _show_code)
        return
    opens = sign_in.settings.method == "interactive" and not no_browser
    if opens and not is_local(environ):
        narrate("This session has no display to open a browser on.")
        opens = False

    def attempt(show: Callable[[BrowserPage], None]) -> Awaitable[object]:
        return sign_in.browser(show, open_page=_open_page if opens else None)

    await _accompanied(attempt, _show_page)


async def _accompanied(
    attempt: Callable[[Callable[[Shown], None]], Awaitable[object]],
    company: Callable[[Shown], Coroutine[Any, Any, None]],
) -> None:
    """Run a sign-in while `company` shows what the person needs; `company` ends with the attempt."""
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
            line.show(f"Waiting for your sign-in: {length_words(left)} left. ctrl+c cancels.")
            await asyncio.sleep(min(left, count_seconds()))
    finally:
        line.clear()


async def _show_page(page: BrowserPage) -> None:
    narrate(
        "Open this address in a browser, here or elsewhere:",
        page.url,
        f"At the end the browser opens {page.redirect_uri}. If it cannot connect, copy the address from the browser, "
        "paste it here and press enter. ctrl+c cancels.",
        _origin("Never send that address to anybody."),
    )
    async for line in typed_lines():
        if not line:
            continue
        try:
            page.paste(line)
        except FieldError as error:
            narrate(f"{error} Try again.")
        else:
            return


def _origin(warning: str) -> str:
    """Who asks, so that nobody confirms a request made by someone else."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.geteuid())
    return f"This request comes from runtui on {socket.gethostname()}, run by {user}. {warning}"


def _open_page(url: str) -> None:
    """Open an address in the browser of this session; called in a thread."""
    import webbrowser

    if not webbrowser.open(url):
        narrate("The browser could not be opened.")


async def _logout(settings: Settings) -> int:
    async with _opened(settings) as sign_in:
        if not sign_in.is_person:
            print("Nothing is kept on this machine.")
            narrate(next_step(settings))
            return ExitCode.DONE
        try:
            accounts = await sign_in.sign_out()
        except SignInError as error:
            raise with_next_step(error) from None
    if not accounts:
        print("Nobody was signed in.")
        return ExitCode.DONE
    for account in accounts:
        print(visible(f"Deleted the tokens of {account}."))
    narrate("The browser is still signed in; sign out there as well if others use it.")
    return ExitCode.DONE


async def _whoami(settings: Settings, as_json: bool, environ: Mapping[str, str]) -> int:
    async with _opened(settings, environ) as sign_in:
        state = await sign_in.load()
        scopes = () if sign_in.settings.method == "token" else sign_in.scopes
    if state.trouble is not None:
        raise with_next_step(state.trouble, settings)
    print(identity_json(settings, state, scopes) if as_json else "\n".join(identity_lines(settings, state, scopes)))
    is_expired = sign_in.settings.method == "token" and state.expires_at and state.expires_at <= datetime.now(UTC)
    if is_expired:
        narrate(f"This token has expired. {next_step(settings)}")
    return ExitCode.NOT_DONE if is_expired else ExitCode.DONE
