"""`runtui login`, `logout` and `whoami`: signing in without a screen.

Invariant: the identity goes to standard output, everything else to standard error. Neither has a token, a secret or the
secret device code. A cancelled sign-in stores nothing.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from runtui.auth.accounts import may_be_of_another_tenant
from runtui.auth.claims import WRITE_PERMISSION
from runtui.auth.errors import SignInError
from runtui.auth.flows import BEWARE_CODE, BrowserPage, DeviceCode, has_browser, who_asks
from runtui.auth.msal_client import PERSON_METHODS
from runtui.auth.signin import SignIn, SignInState
from runtui.command_line import CommandLine, SessionSpec, token_source
from runtui.domain.text import visible
from runtui.domain.times import length_words, second_text
from runtui.errors import ExitCode, FieldError, RuntuiError, UsageError
from runtui.headless.console import command, narrate, typed_lines
from runtui.headless.welcome import REGISTRATION
from runtui.profiles import names_server
from runtui.settings import Settings, SignInSettings

SUPPLIED_TOKEN: Final = SignInSettings(method="token", tenant_id="", client_id="", authority="")
"""The sign-in method for the token in RUNTUI_TOKEN."""


def nothing_to_sign_in_with(why: str) -> UsageError:
    needs = "Signing in needs a tenant-id and a client-id, from a profile or from --tenant-id and --client-id."
    hint = f"Take them from an app registration like this one; `runtui` shows every step:\n{REGISTRATION}"
    return UsageError("There is nothing to sign in with", f"{why} {needs}", hint)


@command
async def login(line: CommandLine, *, no_browser: bool) -> int:
    """Sign in, store the tokens for later commands, and print who is signed in.

    Raises:
        UsageError: there is no sign-in method, or its tokens would not be stored.
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
    return await _login(settings, no_browser)


@command
async def logout(session: SessionSpec) -> int:
    """Delete the tokens stored on this machine, and print whose they were.

    Raises:
        RuntuiError: the tokens cannot be deleted.
    """
    settings = session.settings
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


@command
async def whoami(session: SessionSpec, *, output: str) -> int:
    """Print who is signed in, from the tokens on this machine without any request.

    Raises:
        RuntuiError: nobody is signed in.
    """
    settings = session.settings
    async with _opened(settings) as sign_in:
        state = await sign_in.load()
        scopes = () if sign_in.settings.method == "token" else sign_in.scopes
    if state.error is not None:
        raise with_next_step(state.error, settings)
    known = settings, state, scopes
    print(json.dumps(_facts(*known), indent=2) if output == "json" else "\n".join(identity_lines(*known)))
    is_expired = sign_in.settings.method == "token" and state.expires_at and state.expires_at <= datetime.now(UTC)
    if is_expired:
        narrate(f"This token has expired. {next_step(settings)}")
    return ExitCode.NOT_DONE if is_expired else ExitCode.DONE


def _opened(settings: Settings) -> aclosing[SignIn]:
    source = token_source(settings._replace(sign_in=settings.sign_in or SUPPLIED_TOKEN))
    assert isinstance(source, SignIn)  # noqa: S101 - every sign-in method makes one
    return aclosing(source)


async def _login(settings: Settings, no_browser: bool) -> int:
    async with _opened(settings) as sign_in:
        if sign_in.is_person and sign_in.settings.token_cache == "memory":  # noqa: S105 - a place
            raise UsageError("The tokens would not be kept", next_step(settings))
        before = (await sign_in.load()).account
        narrate(f"Signing in to {settings.tenant}, asking for {', '.join(short_scopes(sign_in.scopes))}.")
        try:
            if sign_in.is_person:
                await _as_person(sign_in, no_browser)
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
    # Read what the next command will find; that may include an earlier account.
    async with _opened(settings) as after:
        found = await after.load()
    if state.account is not None and may_be_of_another_tenant(sign_in.settings, before, state.account):
        from runtui.services.store.store import Store

        store = Store(SessionSpec(settings=settings).store_file)
        store.keep_workflows(())
        store.close()
    if found.error is not None:
        narrate(str(found.error))
    print(*identity_lines(settings, state if found.error else found, sign_in.scopes), sep="\n")
    narrate(f"Kept in {settings.state_folder}, readable by you alone, until runtui logout.")
    return ExitCode.DONE


async def _as_person(sign_in: SignIn, no_browser: bool) -> None:
    if sign_in.settings.method == "device-code":
        await sign_in.device_code(_show_code)
        return
    opens = sign_in.settings.method == "interactive" and not no_browser
    if opens and not has_browser():
        narrate("This session has no display to open a browser on.")
        opens = False
    tasks: list[asyncio.Task[None]] = []
    try:
        await sign_in.browser(
            lambda page: tasks.append(asyncio.create_task(_show_page(page))), open_page=_open_page if opens else None
        )
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()


def _show_code(code: DeviceCode) -> None:
    narrate(f"Open       {code.verification_uri}", f"and enter  {code.user_code}", f"{who_asks()} {BEWARE_CODE}")
    narrate(f"Waiting for you until {second_text(code.expires_at)}. ctrl+c cancels.")


async def _show_page(page: BrowserPage) -> None:
    """Say which address to open, and take the pasted one until the sign-in ends."""
    narrate(
        "Open this address in a browser, here or elsewhere:",
        page.url,
        f"At the end the browser opens {page.redirect_uri}. If it cannot connect, copy the address from the browser, "
        "paste it here and press enter. ctrl+c cancels.",
        f"{who_asks()} Never send that address to anybody.",
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


def _open_page(url: str) -> None:
    """Open an address in the user's browser. Call it in a thread."""
    import webbrowser

    if not webbrowser.open(url):
        narrate("The browser could not be opened.")


# Identity and next step. The claims of a token are hints, not proof.


def next_step(settings: Settings) -> str:
    """Return a sentence about how to get another token."""
    how = settings.sign_in
    if how is None:
        return "Set another token in RUNTUI_TOKEN, or unset it."
    if how.method == "token":
        return f"The token is in {how.token_file}."
    if how.method not in PERSON_METHODS:
        return "Try the sign-in: runtui login."
    if how.token_cache == "memory":  # noqa: S105 - a place
        return 'token-cache is "memory": sign in inside runtui, or set it to "file" and run runtui login.'
    if settings.profile:
        return f"Sign in: runtui login --profile {shlex.quote(settings.profile)}"
    return "Sign in: runtui login with the same options."


def with_next_step(error: SignInError, settings: Settings | None = None) -> RuntuiError:
    """Return a sign-in error with the next step at a shell. Give `settings` if a sign-in with them would help."""
    hint = error.hint
    if settings is not None and error.needs_person:
        hint = f"{hint} {next_step(settings)}".strip()
    return RuntuiError(error.title, error.message, "\n".join(filter(None, (hint, " · ".join(error.reference)))))


def identity_lines(settings: Settings, state: SignInState, scopes: Sequence[str]) -> Iterator[str]:
    facts = _facts(settings, state, scopes)
    words = {
        "account": facts["account"] or "the token does not say",
        "tenant": facts["tenantId"] or "the token does not say",
        "profile": facts["profile"] or "none",
        "root": facts["root"],
        "method": facts["method"],
        "expires": _ending(state.expires_at, facts["method"]),
        "scopes": ", ".join(short_scopes(scopes)) or "those of the token",
        "changes": _permission(settings, state.can_write),
    }
    return (f"{name:8} {visible(value)}" for name, value in words.items())


def short_scopes(scopes: Sequence[str]) -> list[str]:
    return [scope.rpartition("/")[2] for scope in scopes]


def _facts(settings: Settings, state: SignInState, scopes: Sequence[str]) -> dict[str, Any]:
    how, account = settings.sign_in, state.account
    # An app is known by its client id even before it signs in.
    program = (
        how.client_id or "managed identity" if how is not None and how.method not in ("token", *PERSON_METHODS) else ""
    )
    return {
        "account": (account.username if account else program) or None,
        "tenantId": (account.tenant_id if account else how.tenant_id if how else "") or None,
        "profile": settings.profile or None,
        "root": settings.root,
        "method": how.method if how else "token",
        "expiresAt": state.expires_at.isoformat(timespec="seconds") if state.expires_at else None,
        "scopes": list(scopes),
        "canWrite": False if settings.read_only else state.can_write,
    }


def _ending(moment: datetime | None, method: str) -> str:
    if moment is None:
        supplied = "the token does not say"
        return supplied if method == "token" else "no token yet: requested when needed"
    left = (moment - datetime.now(UTC)).total_seconds()
    when = f"{moment:%Y-%m-%d %H:%M} UTC"
    renewal = "" if method == "token" else "; renewed automatically"
    return f"{when}, in {length_words(left)}{renewal}" if left > 0 else f"{when}, expired{renewal}"


def _permission(settings: Settings, can_write: bool | None) -> str:
    if settings.read_only:
        return "refused: this session is read-only"
    if can_write is None:
        return "unknown: no token says so"
    if can_write:
        return "allowed by the token; a person also needs a directory role"
    return f"not allowed: the token lacks {WRITE_PERMISSION}"
