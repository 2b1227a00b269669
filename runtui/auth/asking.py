"""The half of signing in that blocks: the cache on disk, MSAL, and the sign-in service behind it.

Invariant: nothing here runs on the event loop, and nothing here keeps a sign-in that was given up: what a person's
sign-in brings is staged, and kept only by `commit`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtui.auth.accounts import Account, Found, Held, accounts_in, choose, held_in, held_of
from runtui.auth.application import PEOPLE, Http, build, scopes_of, secret_of
from runtui.auth.cache import FileKeep, Keep, MemoryKeep, cache_path, msal_cache, staging_cache
from runtui.auth.claims import read_claims
from runtui.auth.tokens import TokenFile, bare_token
from runtui.auth.words import SignInError, refusal_of, signed_out
from runtui.settings import SignInSettings


class Asking:
    """Asks for tokens. Safe to use from several threads; every method blocks.

    Its methods raise RuntuiError, and what MSAL raises: call them through `application.told`.

    Args:
        settings: How to sign in.
        root: The Graph root.
        state_folder: Where the token cache lies.
        http: Makes what carries MSAL's requests; called once.
        environ: Where secrets are looked up.
        clock: The present moment in seconds since 1970.
    """

    def __init__(
        self,
        settings: SignInSettings,
        *,
        root: str,
        state_folder: Path,
        http: Callable[[], Http],
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self.scopes = scopes_of(settings, root)
        self._make_http = http
        self._environ = environ
        self._lock = threading.Lock()
        self._http: Http | None = None
        self._app: Any = None
        # What MSAL remembers of answers: of the tenant for a day, of a refusal for a minute. Each sign-in gets an
        # application of its own, and need not ask for the tenant again.
        self._http_cache: dict[str, Any] = {}
        # A program signs in again whenever it starts: its secret is at hand, and a token on disk is one more to lose.
        is_kept = settings.method in PEOPLE and settings.token_cache != "memory"  # noqa: S105 -- a place
        path = cache_path(state_folder, settings.authority, settings.tenant_id, settings.client_id)
        self._keep: Keep = FileKeep(path) if is_kept else MemoryKeep()

    def mark(self) -> object:
        """Something that differs once somebody, in whatever process, signed in or out."""
        return self._keep.mark()

    def look(self, home_account_id: str = "") -> Found:
        """Who is signed in, and with what token; no server is asked.

        Raises:
            SignInError: nobody is, or it is not clear who.
        """
        if self.settings.method == "token":
            return self._given()
        if self.settings.method not in PEOPLE:
            return Found(None, None)
        tokens = self._keep.read()
        account = choose(accounts_in(tokens), home_account_id=home_account_id, username=self.settings.username)
        return Found(account, held_in(tokens, account.home_account_id, self.scopes))

    def renew(self, home_account_id: str, *, claims: str = "", is_refused: bool = False) -> Found:
        """A token that is good for some time; from the cache where there is one and nothing is the matter with it.

        Args:
            home_account_id: Whose; empty for whoever the settings name.
            claims: What the server wants the token to say (JSON).
            is_refused: Whether the server refused the last one.

        Raises:
            SignInError: there is none.
        """
        if self.settings.method == "token":
            return self._given()
        if self.settings.method not in PEOPLE:
            return self._renew_program(claims, is_refused)
        found = self.look(home_account_id)
        if found.held is not None and not claims and not is_refused and not found.held.is_due(self._clock()):
            return found
        account_id = found.account.home_account_id if found.account else ""
        return self._renew_person(account_id, claims, is_refused)

    def stage(self) -> tuple[Any, Any]:
        """A MSAL application for one sign-in by a person, and the cache that holds what the sign-in brings.

        Raises:
            SignInError: the sign-in service cannot be asked.
        """
        staging = staging_cache()
        return self._build(staging), staging

    def staged(self, staging: Any, answer: Mapping[str, Any]) -> Account:
        """Who signed in, in an application of `stage`.

        Raises:
            SignInError: nobody, or somebody else than the settings name.
        """
        accounts = _staged_accounts(staging)
        if not accounts:
            raise SignInError("Nobody signed in", "The sign-in service sent a token without an account.")
        account = accounts[0]
        id_claims = answer.get("id_token_claims")
        tenant = id_claims.get("tid") if isinstance(id_claims, Mapping) else None
        wanted, expected = self.settings.username, self.settings.tenant_id
        if wanted and account.username.lower() != wanted.lower():
            raise SignInError(
                "Somebody else signed in",
                f"It was {account.username}; this profile is for {wanted}. Nothing was kept.",
                "Sign in with that account, or change username in the profile.",
                needs_person=True,
            )
        if isinstance(tenant, str) and _is_id(expected) and tenant.lower() != expected.lower():
            raise SignInError(
                "That is another tenant",
                f"The account belongs to {tenant}; this profile is for {expected}. Nothing was kept.",
                "Sign in with an account of that tenant, or change tenant-id in the profile.",
                needs_person=True,
            )
        return account

    def commit(self, staging: Any, account: Account, answer: Mapping[str, Any]) -> Found:
        """Keep what a sign-in brought.

        Raises:
            SignInError: the cache cannot be written.
        """
        if staging.event is not None:
            msal_cache(self._keep).add(staging.event)
        return Found(account, self._held(answer))

    def drop(self, held: Held) -> None:
        """Keep a token that a server refused no longer: it would look good at the next start.

        Raises:
            SignInError: the cache cannot be written.
        """
        with self._keep.changing() as tokens:
            entries = tokens.get("AccessToken", {})
            tokens["AccessToken"] = {key: entry for key, entry in entries.items() if entry.get("secret") != held.value}

    def sign_out(self) -> list[Account]:
        """Forget everything; whose it was.

        Raises:
            SignInError: the cache cannot be deleted.
        """
        with self._lock:
            self._app = None
        forgotten: list[Account] = []
        # Also what cannot be read has to go.
        with suppress(SignInError):
            forgotten = accounts_in(self._keep.read())
        self._keep.delete()
        return forgotten

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            http, self._http, self._app = self._http, None, None
        if http is not None:
            http.close()

    def _renew_person(self, home_account_id: str, claims: str, is_refused: bool) -> Found:
        app = self._application()
        known = [item for item in app.get_accounts() if item["home_account_id"] == home_account_id]
        if not known:
            raise signed_out()
        answer = app.acquire_token_silent_with_error(
            list(self.scopes), known[0], force_refresh=is_refused, claims_challenge=claims or None
        )
        if not answer:
            raise signed_out(f"Nothing is left of the sign-in of {known[0]['username']}.")
        return Found(self.look(home_account_id).account, self._held(answer))

    def _renew_program(self, claims: str, is_refused: bool) -> Found:
        app = self._application()
        if is_refused:
            self._keep.delete()
        asked: dict[str, Any] = {"claims_challenge": claims or None}
        if self.settings.method == "managed-identity":
            answer = app.acquire_token_for_client(resource=self.scopes[0].removesuffix("/.default"), **asked)
        else:
            answer = app.acquire_token_for_client(list(self.scopes), **asked)
        held = self._held(answer)
        says = read_claims(held.value)
        tenant = says.tenant_id or self.settings.tenant_id
        name = says.account or self.settings.client_id or "managed identity"
        return Found(Account(username=name, tenant_id=tenant), held)

    def _held(self, answer: Mapping[str, Any]) -> Held:
        if "error" in answer:
            settings = self.settings
            raise refusal_of(answer, client_id=settings.client_id, scopes=self.scopes, method=settings.method)
        return held_of(answer, self._clock())

    def _given(self) -> Found:
        """The token of a file or of the environment."""
        if self.settings.token_file is not None:
            value = TokenFile(self.settings.token_file).read()
        else:
            value = bare_token(secret_of(self._environ, "RUNTUI_TOKEN"), "Put the access token into RUNTUI_TOKEN.")
        says = read_claims(value)
        ends = None if says.expires_at is None else says.expires_at.timestamp()
        return Found(
            Account(username=says.account, tenant_id=says.tenant_id),
            # A file is looked at again once its token ends; a variable never changes.
            Held(value=value, expires_at=ends, refresh_at=ends),
        )

    def _application(self) -> Any:
        """The application for renewals, on the kept cache."""
        if self._app is None:
            self._app = self._build(msal_cache(self._keep))
        return self._app

    def _build(self, cache: Any) -> Any:
        with self._lock:
            if self._http is None:
                self._http = self._make_http()
            http = self._http
        return build(self.settings, http=http, cache=cache, http_cache=self._http_cache, environ=self._environ)


def _staged_accounts(staging: Any) -> list[Account]:
    entries = list(staging.search("Account"))
    return accounts_in({"Account": dict(enumerate(entries))})


def _is_id(tenant: str) -> bool:
    return len(tenant) == 36 and tenant.count("-") == 4
