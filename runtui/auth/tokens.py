"""Bearer tokens and credentials supplied by a person or another program: a variable, a file, a certificate.

Invariant: every value is registered for redaction before it leaves this module, so it is hidden wherever else it
appears. A token that could not be redacted is refused.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, runtime_checkable

from runtui.auth.errors import SignInError
from runtui.errors import UsageError
from runtui.redact import SHORTEST_SECRET, can_be_hidden, register_secret
from runtui.settings import SignInSettings

_LARGEST_FILE: Final = 65_536
"""The most bytes read from a token file."""

_DUMP_FILTER: Final = Path("/proc/self/coredump_filter")
"""The bits for the memory that a core dump of this process includes."""


@runtime_checkable
class TokenSource(Protocol):
    """The source of the bearer token for each request."""

    @property
    def next_step(self) -> str:
        """What a person can do once the server refuses the token."""

    async def __call__(self) -> str:
        """Return the token for one request; raise RuntuiError if there is none."""

    async def renew(self, challenge: str, /) -> bool:
        """Get another token after a 401. Return True if there is one. Never raises.

        `challenge` is the `WWW-Authenticate` of the 401 (foreign text); it may request claims.
        """


class StaticToken:
    """One supplied bearer token, which is never renewed.

    Raises:
        UsageError: the token cannot be used; see `_bare_token`.
    """

    __slots__ = ("next_step", "value")

    def __init__(self, value: str, next_step: str = "Start again with a fresh token in RUNTUI_TOKEN.") -> None:
        self.value = _bare_token(value, "Put only the access token into RUNTUI_TOKEN.")
        self.next_step = next_step

    def __repr__(self) -> str:
        return "StaticToken(…)"

    async def __call__(self) -> str:
        return self.value

    async def renew(self, _challenge: str, /) -> bool:
        return False


def environment_token(environ: Mapping[str, str] = os.environ) -> StaticToken:
    """Return the token in `RUNTUI_TOKEN`.

    Raises:
        UsageError: the variable is not set, or its token cannot be used.
    """
    value = environ.get("RUNTUI_TOKEN")
    if value is None:
        raise UsageError(
            "No token",
            "This server needs a bearer token, and RUNTUI_TOKEN is not set.",
            "Set it, for example: export RUNTUI_TOKEN=$(your sign-in command). Or try: runtui demo.",
        )
    return StaticToken(value)


def given_token(path: Path | None) -> str:
    """Return the bearer token in the profile's `token-file`, or in RUNTUI_TOKEN if no file is set.

    Raises:
        UsageError: there is no token, it cannot be used, or others may read the file.
    """
    if path is None:
        return environment_token().value
    hint = f"Put only the access token into it, and run: chmod 600 {path}"
    try:
        # Do not block: the path may be a pipe. Reading one into which nothing was written yet returns None.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(file, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_LARGEST_FILE) or b""
    except OSError as error:
        raise UsageError("The token file cannot be read", f"{path}: {error.strerror}.", hint) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("Others may read the token file", f"{path} has mode {mode & 0o777:o}.", hint)
    return _bare_token(data.decode("ascii", "replace"), hint)


def _bare_token(value: str, hint: str) -> str:
    """Return a pasted token without the "Bearer" of a header, and register it for redaction.

    Raises:
        UsageError: the token is empty, has a blank or a control character (which would corrupt the header), or is a
            short word or number (which redaction could not tell from ordinary data).
    """
    token = re.sub(r"(?i)\Abearer(?:\s+|$)", "", value.strip())
    if not token:
        _refuse("It is empty.", hint)
    if not re.fullmatch(r"[!-~]+", token):
        _refuse("A bearer token is one word of visible ASCII characters.", hint)
    if not can_be_hidden(token):
        _refuse(
            "It is so short or plain that it may also occur in a run, and could not be hidden in an answer.",
            f"{hint} Where any token works, use at least {SHORTEST_SECRET} characters, such as any-token-will-do.",
        )
    register_secret(token)
    return token


def _refuse(message: str, hint: str) -> NoReturn:
    raise UsageError("That token cannot be used", message, hint)


def _secret_of(*names: str) -> str:
    """Return the first variable that is set, and register it for redaction; empty if none is."""
    value = next((value for name in names if (value := os.environ.get(name))), "")
    register_secret(value)
    return value


def program_credential(settings: SignInSettings) -> str | dict[str, Any]:
    """Return MSAL's `client_credential` for the methods `secret`, `certificate` and `federated`.

    Raises:
        SignInError: the credential is missing or cannot be used.
    """
    if settings.method == "certificate":
        return _certificate(settings)
    if settings.method == "federated":
        return {"client_assertion": _federated_token(settings)}
    secret = _secret_of("RUNTUI_CLIENT_SECRET", "AZURE_CLIENT_SECRET")
    if not secret:
        raise SignInError("No client secret", "RUNTUI_CLIENT_SECRET is not set.", "Set it, or choose another sign-in.")
    return secret


def bad_certificate(path: Path | None) -> SignInError:
    return SignInError(
        "The certificate cannot be used",
        f"{path} does not hold a private key and its certificate, or the password is wrong.",
        "Use a PEM file with both, and RUNTUI_CERTIFICATE_PASSWORD when the key has a password.",
    )


def _certificate(settings: SignInSettings) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    path = settings.certificate
    if path is None:
        raise SignInError("No certificate", "The profile names no file.", "Set certificate.")
    password = _secret_of("RUNTUI_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD")
    secret = password.encode() or None
    if path.suffix.lower() in (".pfx", ".p12"):
        data = _read(path, "The certificate")
        _check_key(path, lambda: load_key_and_certificates(data, secret)[0])
        return {"private_key_pfx_path": str(path), "public_certificate": True, "passphrase": password}
    pem = _read_text(path, "The certificate")
    key = re.search(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", pem)
    public = re.findall(r"(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem)
    if key is None or not public:
        raise bad_certificate(path)
    _check_key(path, lambda: load_pem_private_key(key[0].encode(), secret))
    return {"private_key": key[0], "public_certificate": "\n".join(public), "passphrase": password}


def _check_key(path: Path, load: Callable[[], object]) -> None:
    """Load a private key now: MSAL would fail only when it signs.

    Raises:
        SignInError: it cannot be loaded, or Entra accepts none of its kind.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise bad_certificate(path) from None
    if key is None:
        raise bad_certificate(path)
    if not isinstance(key, RSAPrivateKey):
        what = f"The key in {path} is not an RSA key, and Entra accepts no other."
        raise SignInError("The certificate cannot be used", what, "Register a certificate with an RSA key.")


def _federated_token(settings: SignInSettings) -> Callable[[], str]:
    path = settings.federated_token_file
    if path is None:
        raise SignInError("No federated token", "The profile names no file.", "Set federated-token-file.")

    def read() -> str:
        # The token is valid only for minutes, so the file is read for each request.
        value = _read_text(path, "The federated token").strip()
        register_secret(value)
        return value

    return read


def _read_text(path: Path, what: str) -> str:
    try:
        return _read(path, what).decode()
    except UnicodeDecodeError:
        raise SignInError(f"{what} cannot be read", f"{path}: it is not a text file.", "Check its path.") from None


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignInError(
            f"{what} cannot be read", f"{path}: {error.strerror}.", "Check its path and permissions."
        ) from None


def leave_no_core_dump() -> None:
    """Prevent a crash of this process from writing its memory, with its tokens, to the disk.

    Linux ignores the limit if core dumps are piped to a program (core(5), "Piping core dumps to a program"). The dump
    filter then leaves the memory out of the dump.
    """
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    with suppress(OSError):  # not Linux, or /proc is read-only: the limit still applies
        _DUMP_FILTER.write_text("0")
