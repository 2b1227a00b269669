"""The MSAL application of a session: which one, with which proof, asking for what, over whose wire.

Invariant: MSAL talks to the configured sign-in service and to nobody else, and sees answers of a sound form alone; any
other one is a `ServiceError` (MSAL would log it, with the tokens in it). A program's secret never takes the place of a
person's sign-in: the method alone decides. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from runtui.auth.claims import READ_PERMISSION, WRITE_PERMISSION
from runtui.auth.clouds import cloud_of_authority, parse_authority
from runtui.auth.words import SignInError, away, refusal_of
from runtui.errors import RuntuiError
from runtui.redact import register_secret
from runtui.settings import SignInSettings

PEOPLE: Final = ("device-code", "browser", "interactive")
"""The methods by which a person signs in."""

CAPABILITIES: Final = ["CP1"]
"""Says that this program understands claims challenges; only then are they sent."""

LONGEST_PAUSE: Final = 60
"""Seconds; a sign-in service that asks for a longer pause is asked again after this one."""

T = TypeVar("T")

_ANY_TENANT: Final = ("organizations", "common", "consumers")


class Answer(Protocol):
    """What MSAL looks at in an HTTP answer."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> str: ...

    def raise_for_status(self) -> None:
        """OSError for a refusal."""


class Http(Protocol):
    """What carries MSAL's requests: `get(url, params=…, headers=…)`, `post(url, params=…, data=…, headers=…)`."""

    @property
    def get(self) -> Callable[..., Answer]:
        """Ask by GET; OSError when there is no answer."""

    @property
    def post(self) -> Callable[..., Answer]:
        """Ask by POST; OSError when there is no answer."""

    def close(self) -> None:
        """Close every connection."""


class ServiceError(OSError):
    """No usable answer of the sign-in service; `pause`: the seconds that it asks to be left alone, 0 when it does not.

    An OSError, as MSAL expects of a wire that fails.
    """

    def __init__(self, what: str, pause: int = 0) -> None:
        super().__init__(what)
        self.pause = pause


class DiscoveryError(ServiceError):
    """The sign-in service refused to tell about the tenant; `answer` says why."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("The sign-in service does not know the tenant.")
        self.answer = answer


class GuardedHttp:
    """Lets MSAL's requests go to one origin, and lets answers pass that are JSON objects."""

    def __init__(self, http: Http, origin: str) -> None:
        self._http = http
        self._origin = origin

    def get(self, url: str, **options: Any) -> Answer:
        """Ask by GET: what MSAL learns about a tenant.

        Raises:
            ServiceError: there is no usable answer.
        """
        answer, content = self._checked(url, self._http.get, options)
        if answer.status_code >= 400:
            raise DiscoveryError(content)
        return answer

    def post(self, url: str, **options: Any) -> Answer:
        """Ask by POST, for tokens and codes.

        Raises:
            ServiceError: there is no usable answer.
        """
        return self._checked(url, self._http.post, options)[0]

    def close(self) -> None:
        """Nothing: the wire belongs to whoever made it."""

    def _checked(
        self, url: str, ask: Callable[..., Answer], options: Mapping[str, Any]
    ) -> tuple[Answer, Mapping[str, Any]]:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}".lower() != self._origin:
            what = f"It names an address elsewhere, at {parts.hostname}; is the tenant in another cloud?"
            raise ServiceError(what)
        answer = ask(url, **options)
        status = answer.status_code
        if status == 429 or status >= 500:
            raise ServiceError(f"It answered {status}.", _pause(answer.headers))
        try:
            content = json.loads(answer.text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ServiceError(
                f"It answered {status} with something else than JSON: a proxy, or a sign-in to a network?"
            )
        return answer, content


def scopes_of(settings: SignInSettings, root: str) -> tuple[str, ...]:
    """What is asked for, always in this order: MSAL keeps tokens by their scopes, so there is one list alone.

    Args:
        settings: How to sign in.
        root: The Graph root; the permissions are those of its origin.
    """
    parts = urlsplit(root)
    resource = f"{parts.scheme}://{parts.netloc}"
    if settings.method not in PEOPLE:
        return (f"{resource}/.default",)
    names = (READ_PERMISSION, WRITE_PERMISSION) if settings.write else (READ_PERMISSION,)
    return tuple(f"{resource}/{name}" for name in names)


def build(
    settings: SignInSettings, *, http: Http, cache: Any, http_cache: dict[str, Any], environ: Mapping[str, str]
) -> Any:
    """The MSAL application for a method; for a managed identity, its client. Asks the service about the tenant.

    Args:
        settings: How to sign in.
        http: What carries the requests.
        cache: MSAL's token cache.
        http_cache: What MSAL remembers of answers.
        environ: Where the secret is.

    Raises:
        SignInError: the secret is missing, or cannot be used.
        ServiceError: the service cannot be asked.
    """
    import msal

    tame_logger()
    if settings.method == "managed-identity":
        identity = (
            msal.UserAssignedManagedIdentity(client_id=settings.client_id)
            if settings.client_id
            else msal.SystemAssignedManagedIdentity()
        )
        return msal.ManagedIdentityClient(identity, http_client=http, token_cache=cache, http_cache=http_cache)
    authority = parse_authority(settings.authority)
    options: dict[str, Any] = {
        "authority": f"{authority}/{settings.tenant_id}",
        # Of Microsoft's own hosts MSAL has to learn the aliases; about others it would ask Microsoft.
        "instance_discovery": None if cloud_of_authority(authority) else False,
        "http_client": GuardedHttp(http, authority),
        "token_cache": cache,
        "http_cache": http_cache,
        "client_capabilities": CAPABILITIES,
    }
    if settings.method in PEOPLE:
        return msal.PublicClientApplication(settings.client_id, **options)
    if settings.tenant_id in _ANY_TENANT:
        what = f"{settings.tenant_id!r} is not one tenant; a program signs in to one."
        raise SignInError("Which tenant?", what, "Set tenant-id in the profile.")
    credential = _credential(settings, environ)
    try:
        return msal.ConfidentialClientApplication(settings.client_id, client_credential=credential, **options)
    except ServiceError:
        raise
    except (ValueError, TypeError, OSError):
        if settings.method != "certificate":
            raise
        raise _bad_certificate(settings.certificate) from None


def tame_logger() -> None:
    """Nothing of MSAL's log leaves: at DEBUG it holds device codes, and without a handler errors go to the terminal."""
    logger = logging.getLogger("msal")
    logger.propagate = False
    logger.setLevel(logging.ERROR)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def secret_of(environ: Mapping[str, str], *names: str) -> str:
    """The first of those variables that is set, from now on scrubbed from whatever is shown; empty without one."""
    value = next((environ[name] for name in names if environ.get(name)), "")
    register_secret(value)
    return value


def _credential(settings: SignInSettings, environ: Mapping[str, str]) -> str | dict[str, Any]:
    if settings.method == "certificate":
        return _certificate(settings, environ)
    if settings.method == "federated":
        path = settings.federated_token_file
        if path is None:
            raise SignInError("No federated token", "The profile names no file.", "Set federated-token-file.")
        # Such tokens live for minutes: the file is read whenever one is sent, and not before.
        return {"client_assertion": lambda: _read_secret(path, "The federated token")}
    secret = secret_of(environ, "RUNTUI_CLIENT_SECRET", "AZURE_CLIENT_SECRET")
    if not secret:
        raise SignInError("No client secret", "RUNTUI_CLIENT_SECRET is not set.", "Set it, or choose another sign-in.")
    return secret


def _certificate(settings: SignInSettings, environ: Mapping[str, str]) -> dict[str, Any]:
    path = settings.certificate
    if path is None:
        raise SignInError("No certificate", "The profile names no file.", "Set certificate.")
    password = secret_of(environ, "RUNTUI_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD")
    if path.suffix.lower() in (".pfx", ".p12"):
        return {"private_key_pfx_path": str(path), "public_certificate": True, "passphrase": password}
    pem = _read_text(path, "The certificate")
    key = re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", pem, re.DOTALL)
    public = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)
    if key is None or not public:
        raise _bad_certificate(path)
    _check_key(path, key[0], password)
    return {"private_key": key[0], "public_certificate": "\n".join(public), "passphrase": password}


def _check_key(path: Path, key: str, password: str) -> None:
    """MSAL would notice only when it signs."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(key.encode(), password.encode() if password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _bad_certificate(path) from None


def _bad_certificate(path: Path | None) -> SignInError:
    what = f"{path} does not hold a private key and its certificate, or the password is wrong."
    hint = "Give a PEM file with both, and RUNTUI_CERTIFICATE_PASSWORD when the key has one."
    return SignInError("The certificate cannot be used", what, hint)


def _read_secret(path: Path, what: str) -> str:
    value = _read_text(path, what).strip()
    register_secret(value)
    return value


def _read_text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SignInError(
            f"{what} cannot be read", f"{path}: {reason}.", "Check the path and its permissions."
        ) from None


def _pause(headers: Mapping[str, str]) -> int:
    """The seconds of a `Retry-After`, within reason; 0 without one that can be understood (Entra sends numbers)."""
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    return min(int(given[:9]), LONGEST_PAUSE) if given.isascii() and given.isdigit() else 0


def told(work: Callable[[], T], settings: SignInSettings, scopes: tuple[str, ...]) -> T:
    """What `work` gives, a call of MSAL; what it raises comes out in words.

    MSAL takes answers on trust: an odd one ends in whatever error Python has for it. Its text may hold a token, so only
    its kind is named.

    Raises:
        SignInError: it failed.
    """
    try:
        return work()
    except SignInError:
        raise
    except RuntuiError as error:
        raise SignInError(error.title, error.message, error.hint) from None
    except DiscoveryError as error:
        raise refusal_of(error.answer, client_id=settings.client_id, scopes=scopes) from None
    except TimeoutError:
        raise away("It did not answer in time.") from None
    except OSError as error:
        raise away(str(error), getattr(error, "pause", 0)) from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise away(f"Its answer makes no sense ({type(error).__name__}).") from None
