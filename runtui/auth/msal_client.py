"""The blocking side of a sign-in: MSAL's application, its requests, and the tokens that it stores.

Invariant: nothing here runs on the event loop. MSAL can reach only the configured sign-in service, and gets only JSON
objects; any other answer is a `ServiceError` (MSAL would log it, with its tokens). The sign-in method alone decides
who signs in: an application's secret never replaces a person. The tokens of a person's sign-in are staged; only
`commit` stores them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from runtui.auth.accounts import (
    AccessToken,
    Account,
    SignedIn,
    choose_account,
    issued_token,
    stored_accounts,
    stored_token,
)
from runtui.auth.claims import READ_PERMISSION, WRITE_PERMISSION, read_claims
from runtui.auth.clouds import cloud_of_authority, parse_authority
from runtui.auth.errors import SignInError, from_oauth_error, not_signed_in, unreachable
from runtui.auth.token_store import (
    FileTokenStore,
    MemoryTokenStore,
    TokenStore,
    cache_path,
    load_msal,
    staging_cache,
    stored_cache,
)
from runtui.auth.tokens import bad_certificate, given_token, program_credential
from runtui.errors import RuntuiError
from runtui.settings import SignInSettings

PERSON_METHODS: Final = ("device-code", "browser", "interactive")

_CAPABILITIES: Final = ["CP1"]
"""Declares that this client handles claims challenges; without it, Entra sends none."""

_LONGEST_PAUSE: Final = 60
"""The longest `Retry-After` that is used, in seconds."""

_T = TypeVar("_T")


class HttpAnswer(NamedTuple):
    """An answer of the sign-in service, as MSAL reads it."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def raise_for_status(self) -> None:
        """Raise ServiceError if it is a refusal."""
        if self.status_code >= 400:
            raise ServiceError(f"It answered {self.status_code}.")


class HttpClient(Protocol):
    """Carries MSAL's requests (`graph.sign_in_http.SignInHttp`)."""

    def send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        """Send a request with the options `params`, `headers` and `data`; raise ServiceError if there is no answer."""

    def close(self) -> None: ...


class ServiceError(OSError):
    """The sign-in service gave no usable answer. `pause` is its `Retry-After` in seconds, or 0.

    It is an OSError, because MSAL expects that from a failing network.
    """

    def __init__(self, what: str, pause: int = 0) -> None:
        super().__init__(what)
        self.pause = pause


class _DiscoveryError(ServiceError):
    """The sign-in service refused to describe the tenant; `answer` is its OAuth error."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("The sign-in service does not know the tenant.")
        self.answer = answer


class _MsalHttp:
    """MSAL's `http_client`. If an `origin` is given, it sends there only, and passes on JSON objects only.

    Raises:
        ServiceError: there is no usable answer.
    """

    def __init__(self, http: HttpClient, origin: str = "") -> None:
        self._http = http
        self._origin = origin

    def get(self, url: str, **options: Any) -> HttpAnswer:
        return self._send("GET", url, options)

    def post(self, url: str, **options: Any) -> HttpAnswer:
        return self._send("POST", url, options)

    def close(self) -> None:
        """Do nothing: `MsalClient.close` closes the connections."""

    def _send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        if not self._origin:
            return self._http.send(method, url, options)
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}".lower() != self._origin:
            raise ServiceError(f"It names an address elsewhere, at {parts.hostname}; is the tenant in another cloud?")
        answer = self._http.send(method, url, options)
        status = answer.status_code
        if status == 429 or status >= 500:
            raise ServiceError(f"It answered {status}.", _retry_after(answer.headers))
        try:
            content = json.loads(answer.text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ServiceError(f"It answered {status} without JSON. Is a proxy or a network's sign-in page in between?")
        if method == "GET" and status >= 400:  # MSAL sends a GET only to discover the tenant
            raise _DiscoveryError(content)
        return answer


class MsalClient:
    """Gets tokens from MSAL. It is thread-safe; every method blocks.

    Methods raise RuntuiError or any error of MSAL: run them through `translate_errors`. A SignInError says that the
    token store or the sign-in service cannot be used. The requested scopes are those of the Graph root. `http` makes
    the client of its requests, once, in a thread. Secrets are read from the environment when needed. `clock` returns
    seconds since 1970.
    """

    def __init__(
        self,
        settings: SignInSettings,
        *,
        root: str,
        state_folder: Path,
        http: Callable[[], HttpClient],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.scopes = _scopes(settings, root)
        self._is_person = settings.method in PERSON_METHODS
        self._make_http = http
        self._lock = threading.Lock()
        self._http: HttpClient | None = None
        self._app: Any = None
        # MSAL's response cache holds a tenant's description for a day, a refusal for a minute. The last sign-in shares
        # it with the application that renews tokens, so that the tenant is discovered once.
        self._http_cache: dict[str, Any] = {}
        # A program has its secret at each start, so a token on disk would be a needless risk.
        is_stored = self._is_person and settings.token_cache != "memory"  # noqa: S105 -- a place
        path = cache_path(state_folder, settings.authority, settings.tenant_id, settings.client_id)
        self._store: TokenStore = FileTokenStore(path) if is_stored else MemoryTokenStore()

    def version(self) -> object:
        """Return a value that changes after each sign-in or sign-out in any process."""
        return self._store.version()

    def stored(self, home_account_id: str = "") -> SignedIn:
        """Return the stored account and token, without any request.

        Raises:
            SignInError: nobody is signed in, or several accounts match.
        """
        if self.settings.method == "token":
            return self._given()
        if not self._is_person:
            return SignedIn(None, None)
        tokens = self._store.read()
        account = choose_account(
            stored_accounts(tokens), home_account_id=home_account_id, username=self.settings.username
        )
        return SignedIn(account, stored_token(tokens, account.home_account_id, self.scopes))

    def renew(self, home_account_id: str, *, claims: str = "", is_refused: bool = False) -> SignedIn:
        """Return a valid token: the stored one, or a new one if that is due, refused, or `claims` are required.

        An empty `home_account_id` means the account in the settings; `claims` are the claims that the server requires
        (JSON).

        Raises:
            SignInError: there is no token.
        """
        if self.settings.method == "token":
            given = self._given()
            if given.token and given.token.expires and not given.token.is_valid(self.clock()):
                place = self.settings.token_file or "RUNTUI_TOKEN"
                what = f"The one in {place} ended {given.token.expires:%Y-%m-%d %H:%M} UTC."
                raise SignInError("The token has expired", what, f"Put a fresh token into {place}.")
            return given
        if not self._is_person:
            return self._renew_program(claims, is_refused)
        found = self.stored(home_account_id)
        if found.token is not None and not claims and not is_refused and not found.token.is_due(self.clock()):
            return found
        account_id = found.account.home_account_id if found.account else ""
        return self._renew_person(account_id, claims, is_refused)

    def stage(self) -> tuple[Any, Any]:
        """Return an MSAL application for one sign-in by a person, and the cache for its tokens."""
        staging = staging_cache()
        self._http_cache = {}  # what the service refused a moment ago may be allowed by now
        return self._build(staging), staging

    def staged_account(self, staging: Any, answer: Mapping[str, Any]) -> Account:
        """Return the account that signed in with an application from `stage`.

        Raises:
            SignInError: there is no account, or it is not the one in the settings.
        """
        accounts = stored_accounts({"Account": dict(enumerate(staging.search("Account")))})
        if not accounts:
            raise SignInError("Nobody signed in", "The sign-in service sent a token without an account.")
        account = accounts[0]
        id_claims = answer.get("id_token_claims")
        tenant = id_claims.get("tid") if isinstance(id_claims, Mapping) else None
        wanted, expected = self.settings.username, self.settings.tenant_id
        if wanted and account.username.lower() != wanted.lower():
            raise SignInError(
                "That is another account",
                f"{account.username} signed in; this profile is for {wanted}. Nothing was saved.",
                "Sign in with that account, or change username in the profile.",
                needs_person=True,
            )
        if isinstance(tenant, str) and _is_id(expected) and tenant.lower() != expected.lower():
            raise SignInError(
                "That is another tenant",
                f"The account belongs to {tenant}; this profile is for {expected}. Nothing was saved.",
                "Sign in with an account of that tenant, or change tenant-id in the profile.",
                needs_person=True,
            )
        return account

    def commit(self, staging: Any, account: Account, answer: Mapping[str, Any]) -> SignedIn:
        """Store the tokens of a sign-in and return its account and token."""
        if staging.event is not None:
            stored_cache(self._store).add(staging.event)
        return SignedIn(account, self._token(answer))

    def drop(self, token: AccessToken) -> None:
        """Delete a token that a server refused: it would look valid at the next start."""
        with self._store.update() as tokens:
            entries = tokens.get("AccessToken", {})
            tokens["AccessToken"] = {key: entry for key, entry in entries.items() if entry.get("secret") != token.value}

    def sign_out(self) -> list[Account]:
        """Delete every token and return the accounts that had them."""
        with self._lock:
            self._app = None
        forgotten: list[Account] = []
        # An unreadable file must be deleted too.
        with suppress(SignInError):
            forgotten = stored_accounts(self._store.read())
        self._store.delete()
        return forgotten

    def close(self) -> None:
        with self._lock:
            http, self._http, self._app = self._http, None, None
        if http is not None:
            http.close()

    def _renew_person(self, home_account_id: str, claims: str, is_refused: bool) -> SignedIn:
        app = self._application()
        known = [item for item in app.get_accounts() if item["home_account_id"] == home_account_id]
        if not known:
            raise not_signed_in()
        answer = app.acquire_token_silent_with_error(
            list(self.scopes), known[0], force_refresh=is_refused, claims_challenge=claims or None
        )
        if not answer:
            raise not_signed_in(f"No token is left of the sign-in of {known[0]['username']}.")
        return SignedIn(self.stored(home_account_id).account, self._token(answer))

    def _renew_program(self, claims: str, is_refused: bool) -> SignedIn:
        app = self._application()
        if is_refused:
            self._store.delete()
        options: dict[str, Any] = {"claims_challenge": claims or None}
        if self.settings.method == "managed-identity":
            answer = app.acquire_token_for_client(resource=self.scopes[0].removesuffix("/.default"), **options)
        else:
            answer = app.acquire_token_for_client(list(self.scopes), **options)
        token = self._token(answer)
        claimed = read_claims(token.value)
        name = claimed.account or self.settings.client_id or "managed identity"
        return SignedIn(Account(username=name, tenant_id=claimed.tenant_id or self.settings.tenant_id), token)

    def _given(self) -> SignedIn:
        """Return the supplied token. A file is read again when its token ends; a variable never changes."""
        value = given_token(self.settings.token_file)
        claimed = read_claims(value)
        ends = None if claimed.expires_at is None else claimed.expires_at.timestamp()
        return SignedIn(
            Account(username=claimed.account, tenant_id=claimed.tenant_id),
            AccessToken(value=value, expires_at=ends, refresh_at=ends),
        )

    def _token(self, answer: Mapping[str, Any]) -> AccessToken:
        if "error" in answer:
            raise from_oauth_error(answer, self.settings, self.scopes)
        return issued_token(answer, self.clock())

    def _application(self) -> Any:
        if self._app is None:
            self._app = self._build(stored_cache(self._store))
        return self._app

    def _build(self, cache: Any) -> Any:
        """Return MSAL's application for the method, or its client for a managed identity. It discovers the tenant."""
        msal = load_msal()
        with self._lock:
            if self._http is None:
                self._http = self._make_http()
            http = self._http
        settings, http_cache = self.settings, self._http_cache
        if settings.method == "managed-identity":
            identity = (
                msal.UserAssignedManagedIdentity(client_id=settings.client_id)
                if settings.client_id
                else msal.SystemAssignedManagedIdentity()
            )
            own = _MsalHttp(http)
            return msal.ManagedIdentityClient(identity, http_client=own, token_cache=cache, http_cache=http_cache)
        authority = parse_authority(settings.authority)
        options: dict[str, Any] = {
            "authority": f"{authority}/{settings.tenant_id}",
            # Only for Microsoft's own hosts may MSAL discover aliases: for any other host it would ask Microsoft.
            "instance_discovery": None if cloud_of_authority(authority) else False,
            "http_client": _MsalHttp(http, authority),
            "token_cache": cache,
            "http_cache": http_cache,
            "client_capabilities": _CAPABILITIES,
        }
        if self._is_person:
            return msal.PublicClientApplication(settings.client_id, **options)
        if not settings.names_tenant:
            message = f"A program signs in to one tenant; {settings.tenant_id!r} is not one."
            raise SignInError("Which tenant?", message, "Set tenant-id in the profile.")
        credential = program_credential(settings)
        try:
            return msal.ConfidentialClientApplication(settings.client_id, client_credential=credential, **options)
        except ServiceError:
            raise
        except (ValueError, TypeError, OSError):
            if settings.method != "certificate":
                raise
            raise bad_certificate(settings.certificate) from None


def translate_errors(work: Callable[[], _T], settings: SignInSettings, scopes: tuple[str, ...]) -> _T:
    """Run an MSAL call and translate its errors into `SignInError`.

    MSAL trusts responses, so a malformed one can raise any Python error. Its text may hold a token, so only its type is
    named.
    """
    try:
        return work()
    except SignInError:
        raise
    except RuntuiError as error:
        raise SignInError(error.title, error.message, error.hint) from None
    except _DiscoveryError as error:
        raise from_oauth_error(error.answer, settings, scopes) from None
    except TimeoutError:
        raise unreachable("It did not answer in time.") from None
    except OSError as error:
        raise unreachable(str(error), getattr(error, "pause", 0)) from None
    except Exception as error:  # noqa: BLE001 -- the libraries of MSAL raise errors of their own
        raise unreachable(f"Its answer makes no sense ({type(error).__name__}).") from None


def _scopes(settings: SignInSettings, root: str) -> tuple[str, ...]:
    """Return the scopes to request, always in the same order, because MSAL stores tokens by their scopes."""
    parts = urlsplit(root)
    resource = f"{parts.scheme}://{parts.netloc}"
    if settings.method not in PERSON_METHODS:
        return (f"{resource}/.default",)
    names = (READ_PERMISSION, WRITE_PERMISSION) if settings.write else (READ_PERMISSION,)
    return tuple(f"{resource}/{name}" for name in names)


def _retry_after(headers: Mapping[str, str]) -> int:
    """Return the seconds of a `Retry-After`, at most a minute; 0 unless it is a number (Entra sends numbers)."""
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    return min(int(given[:9]), _LONGEST_PAUSE) if given.isascii() and given.isdigit() else 0


def _is_id(tenant: str) -> bool:
    return len(tenant) == 36 and tenant.count("-") == 4
