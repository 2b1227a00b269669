"""Every choice of a session, declared once: its key in config.toml, its variables, its flag, its type, its words.

Invariant: file, environment, command line, `runtui config show` and the README read `OPTIONS` alone. A secret is no
option: it has a variable or a file of its own and is read when it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from runtui.settings import SignInMethod, read_path

Group = Literal["server", "sign-in", "writing", "screen"]

GROUP_TITLES: Final[dict[Group, str]] = {
    "server": "Which server is asked",
    "sign-in": "How to sign in",
    "writing": "Whether and how changes are sent",
    "screen": "How the screen behaves",
}

CLOUDS: Final = ("global", "usgov", "dod", "china")
METHODS: Final[tuple[str, ...]] = get_args(SignInMethod)

THEMES: Final = ("dark", "light", "runtui-dark", "runtui-light", "ansi-dark", "ansi-light")

_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,9}))?"
_PROXY: Final = re.compile(rf"(?P<scheme>https?|socks5h?)://(?:[!-~]+@)?{_HOST}/?")
_LOGIN: Final = re.compile(r"(?<=//).*@|^(?!.*//).*@", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Option:
    """One choice. `read` turns a text or a TOML value into the value, or raises ValueError with one sentence."""

    name: str
    """The key in the file and, after `--`, the flag."""
    group: Group
    read: Callable[[object], Any]
    help: str
    default: str
    """In words, for people."""
    metavar: str = ""
    """Empty for a switch."""
    is_address: bool = False
    """Whether people may write a user and a password into it."""
    azure: str = ""
    """The variable of Azure's own tools that means the same; weaker than everything else that is said."""
    negative: str = ""
    """Of a switch: the flag that says no, after `--`."""
    flag_undoes: bool = False
    """Of a switch: only a flag may undo what the file switches on. A variable that was left in a shell decides less."""

    @property
    def variable(self) -> str:
        """Our own environment variable."""
        return "RUNTUI_" + self.name.upper().replace("-", "_")

    @property
    def field(self) -> str:
        """The key in what `config.resolve` gives."""
        return self.name.replace("-", "_")

    def flag(self, value: object = True) -> str:
        """The flag that says this value, such as --root, or --no-mouse for a switch that is off."""
        return f"--{self.negative if value is False and self.negative else self.name}"

    def shown(self, value: object) -> str:
        """A value as it may be shown: the user and the password of an address are masked."""
        if isinstance(value, bool):
            return str(value).lower()
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return _LOGIN.sub("***@", text) if self.is_address else text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("It has to be a text.")
    if not value.isprintable():
        raise ValueError("It holds characters that cannot be printed.")
    return value.strip()


def _one_of(*names: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in names:
            raise ValueError(f"It has to be one of: {', '.join(names)}.{nearest_words(str(value), names)}")
        return str(value)

    return read


def _switch(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("It has to be true or false.")
    return found


def _number(least: float, most: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(str(value))
        except ValueError:
            raise ValueError("It has to be a number.") from None
        if not least <= number <= most:
            raise ValueError(f"It has to lie between {least:g} and {most:g}.")
        return number

    return read


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(least, most)(value)
        if number != int(number):
            raise ValueError("It has to be a whole number.")
        return int(number)

    return read


def _id(value: object) -> str:
    text = _text(value)
    if not _ID.fullmatch(text):
        raise ValueError("It has to be an id (GUID) or a domain, such as contoso.onmicrosoft.com.")
    return text


def read_proxy(value: object) -> str:
    """The address of a proxy; one without a scheme, such as proxy.example:8080, is an http proxy.

    Raises:
        ValueError: it is none, or one that cannot be used here; the sentence does not repeat it.
    """
    text = _text(value)
    text = text if "://" in text else f"http://{text}"
    found = _PROXY.fullmatch(text)
    if found is None:
        raise ValueError("It has to be an address such as http://proxy.example:8080.")
    _check_port(found["port"])
    if found["scheme"].startswith("socks"):
        from importlib.util import find_spec

        if find_spec("socksio") is None:
            raise ValueError("A SOCKS proxy needs one more package: pip install socksio, or install runtui[socks].")
    return text


def _check_port(port: str | None) -> None:
    if port is not None and not 0 < int(port) < 65_536:
        raise ValueError(f"There is no port {port}.")


def _path(value: object) -> Path:
    return read_path(_text(value))


def _patch_path(value: object) -> str:
    path = _text(value)
    if not path.startswith("/") or "{runId}" not in path:
        raise ValueError("It has to start with a slash and to name {runId}.")
    return path


OPTIONS: Final = (
    # Which server is asked
    Option(
        "cloud", "server", _one_of(*CLOUDS), f"the Microsoft cloud of the tenant: {', '.join(CLOUDS)}",
        "global with a client-id", "NAME",
    ),
    Option(
        "root", "server", _text, "a Graph root, such as https://graph.microsoft.com/beta", "that of the cloud", "URL",
        is_address=True,
    ),
    Option("tenant", "server", _text, "the name shown for it", "the tenant-id, else the root's host", "NAME"),
    Option(
        "patch-path", "server", _patch_path, "where a change goes; {runId} and {workflowId} stand in it",
        "/workflowBase/runs/{runId}", "PATH",
    ),
    Option("ca-file", "server", _path, "certificates to trust besides the system's (PEM)", "none", "FILE"),
    Option(
        "proxy", "server", read_proxy, "the proxy to go through", "as HTTPS_PROXY and NO_PROXY say", "URL",
        is_address=True,
    ),
    Option("page-size", "server", _whole(1, 999), "items asked for in one page", "999", "N"),
    Option(
        "unsafe-endpoint", "server", _switch,
        "sign in for a root or at an authority that is not a Microsoft cloud's own pair", "false",
    ),
    # How to sign in
    Option(
        "sign-in", "sign-in", _one_of(*METHODS), f"how tokens are had: {', '.join(METHODS)}",
        "device-code with a client-id, else token", "METHOD",
    ),
    Option(
        "tenant-id", "sign-in", _id, "the tenant: its id or one of its domains", "none", "ID",
        azure="AZURE_TENANT_ID",
    ),
    Option("client-id", "sign-in", _id, "the app registration to sign in with", "none", "ID", azure="AZURE_CLIENT_ID"),
    Option("username", "sign-in", _text, "which account, where there are several", "the only one", "NAME"),
    Option(
        "authority", "sign-in", _text, "the sign-in service, where it is not the cloud's own", "that of the cloud",
        "URL", is_address=True, azure="AZURE_AUTHORITY_HOST",
    ),
    Option(
        "token-cache", "sign-in", _one_of("file", "memory"), "where tokens are kept between starts", "file", "WHERE"
    ),
    Option(
        "certificate", "sign-in", _path, "certificate and key of the app (PEM or PKCS#12)", "none", "FILE",
        azure="AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    Option(
        "federated-token-file", "sign-in", _path, "a file with the token of a workload identity", "none", "FILE",
        azure="AZURE_FEDERATED_TOKEN_FILE",
    ),
    Option("token-file", "sign-in", _path, "a file with a bearer token", "none", "FILE"),
    # Whether and how changes are sent
    Option(
        "read-only", "writing", _switch, "refuse every change", "false", negative="write", flag_undoes=True,
    ),
    Option(
        "body", "writing", _one_of("full", "changed"),
        "what a change carries: all required properties (full), or only what changed (changed)", "full", "MODE",
    ),
    # How the screen behaves
    Option(
        "theme", "screen", _one_of(*THEMES), f"one of {', '.join(THEMES)}", "by the terminal", "NAME",
    ),
    Option(
        "refresh", "screen", _number(0, 86_400), "seconds between two readings of the list; 0: by hand", "30", "SECONDS"
    ),
    Option("mouse", "screen", _switch, "take the mouse", "not over SSH", negative="no-mouse"),
)  # fmt: skip

OPTION_BY_NAME: Final = {option.name: option for option in OPTIONS}

SECRETS: Final = ("client-secret", "certificate-password", "token", "password")
"""What people may look for among the options; it does not belong into a file that is shown and shared."""


def nearest_words(name: str, names: Iterable[str]) -> str:
    """` Did you mean …?`, or nothing."""
    import difflib

    found = difflib.get_close_matches(name.replace("_", "-"), list(names), 1, 0.5)
    return f" Did you mean {found[0]}?" if found else ""
