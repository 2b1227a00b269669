"""The options of a session, each declared once: key in config.toml, variables, flag, type, default and help.

Invariant: the file, the environment, the command line, `Settings`, `runtui config show` and the README use `OPTIONS`
alone. A secret is no option: it has its own variable or file, and is read when needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from runtui.errors import nearest_words

SignInMethod = Literal[
    "device-code", "browser", "interactive", "secret", "certificate", "federated", "managed-identity", "token"
]
"""The ways to get a token: the first three need a person, "token" uses a given one, the others need neither."""

OptionGroup = Literal["server", "sign-in", "writing", "screen", "log"]

GROUP_TITLES: Final[dict[OptionGroup, str]] = {
    "server": "Server",
    "sign-in": "Sign-in",
    "writing": "Changes",
    "screen": "Screen",
    "log": "Log",
}

CLOUDS: Final = ("global", "usgov", "dod", "china")
SIGN_IN_METHODS: Final[tuple[str, ...]] = get_args(SignInMethod)

THEME_NAMES: Final = ("dark", "light", "runtui-dark", "runtui-light", "ansi-dark", "ansi-light")

_ID: Final = r"(?a)[A-Za-z0-9][\w.-]*"
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,9}))?"
_PROXY: Final = rf"(?P<scheme>https?|socks5h?)://(?:[!-~]+@)?{_HOST}/?"
_LOGIN: Final = r"(?s)(?<=//).*@|^(?!.*//).*@"

PATCH_PATH: Final = "/workflowBase/runs/{runId}"
"""The path on the API page "Update run", which the published service does not offer; it may contain `{workflowId}`."""


class Option(NamedTuple):
    """One option. `read` converts a text or a TOML value, or raises ValueError with one sentence."""

    name: str
    """The key in the file; with `--` before it, the flag."""
    group: OptionGroup
    read: Callable[[object], Any]
    help: str
    metavar: str = ""
    """Empty for a switch."""
    default: Any = None
    """The value if none is given; None if there is none, or if it depends on other options or the environment."""
    default_words: str = ""
    """The default in words, if it is no plain value."""
    setting: str = ""
    """The field of `Settings` or `SignInSettings` for the value, if it is not named after the option."""
    is_address: bool = False
    """True if the value may contain a user and a password."""
    azure: str = ""
    """The variable of Azure's own tools with the same meaning; every other source overrides it."""
    negative: str = ""
    """The flag, without `--`, that turns a switch off."""
    flag_undoes: bool = False
    """True if only a flag may turn off a switch that the file turns on, never a variable left in a shell."""

    @property
    def variable(self) -> str:
        """The environment variable of the option, such as RUNTUI_PAGE_SIZE."""
        return "RUNTUI_" + self.name.upper().replace("-", "_")

    @property
    def field(self) -> str:
        """The field of `Settings` or `SignInSettings` for the value; not every option has one."""
        return self.setting or self.name.replace("-", "_")

    @property
    def default_text(self) -> str:
        return self.default_words or self.shown(self.default)

    def flag(self, value: object = True) -> str:
        """Return the flag for a value, such as --root, or --no-mouse for a switch that is off."""
        return f"--{self.negative if value is False and self.negative else self.name}"

    def shown(self, value: object) -> str:
        """Return a value as text to show; the user and password of an address are masked."""
        if isinstance(value, bool):
            return str(value).lower()
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return re.sub(_LOGIN, "***@", text) if self.is_address else text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("It must be a string that is not empty.")
    if not value.isprintable():
        raise ValueError("It contains characters that cannot be printed.")
    return value.strip()


def _one_of(*names: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in names:
            raise ValueError(f"It must be one of: {', '.join(names)}.{nearest_words(str(value), names)}")
        return str(value)

    return read


def _switch(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("It must be true or false.")
    return found


def _number(least: float, most: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(str(value))
        except ValueError:
            raise ValueError("It must be a number.") from None
        if not least <= number <= most:
            raise ValueError(f"It must be between {least:g} and {most:g}.")
        return number

    return read


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(least, most)(value)
        if number != int(number):
            raise ValueError("It must be a whole number.")
        return int(number)

    return read


def _id(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(_ID, text):
        raise ValueError("It must be an id (GUID) or a domain, such as contoso.onmicrosoft.com.")
    return text


def read_proxy(value: object) -> str:
    """Read the address of a proxy; without a scheme, as in proxy.example:8080, it is an http proxy.

    Raises:
        ValueError: It is no address, or cannot be used here; the sentence does not repeat it.
    """
    text = _text(value)
    text = text if "://" in text else f"http://{text}"
    found = re.fullmatch(_PROXY, text)
    if found is None:
        raise ValueError("It must be an address such as http://proxy.example:8080.")
    if (port := found["port"]) is not None and not 0 < int(port) < 65_536:
        raise ValueError(f"There is no port {port}.")
    if found["scheme"].startswith("socks"):
        from importlib.util import find_spec

        if find_spec("socksio") is None:
            raise ValueError("A SOCKS proxy needs one more package: pip install socksio, or install runtui[socks].")
    return text


def read_path(text: str) -> Path:
    """Read a path, perhaps with `~` for the home folder; return it as an absolute path.

    Raises:
        ValueError: There is no such home folder, or no working directory; the error's text is a sentence.
    """
    user = text.partition("/")[0]
    if user == "~":
        home_folder()
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"There is no user with the home folder {user}.") from None
    except FileNotFoundError:
        raise ValueError("The working directory no longer exists; use an absolute path.") from None


def home_folder() -> Path:
    """Return the home folder of this user.

    Raises:
        ValueError: It is unknown, or HOME is no absolute path: files would then depend on the working directory.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise ValueError("The home folder of this user is not known.") from None
    if not home.is_absolute() or os.environ.get("HOME") == "":
        raise ValueError(f"HOME is {os.environ.get('HOME')!r}, which is not an absolute path.")
    return home


def _path(value: object) -> Path:
    return read_path(_text(value))


def _patch_path(value: object) -> str:
    path = _text(value)
    if not path.startswith("/") or "{runId}" not in path:
        raise ValueError("It must start with a slash and contain {runId}.")
    return path


OPTIONS: Final = (
    Option(
        "cloud", "server", _one_of(*CLOUDS), f"the Microsoft cloud of the tenant: {', '.join(CLOUDS)}", "NAME",
        default_words="global with a client-id",
    ),
    Option(
        "root", "server", _text, "the Graph root, such as https://graph.microsoft.com/beta", "URL",
        default_words="the cloud's own", is_address=True,
    ),
    Option(
        "tenant", "server", _text, "the name to show for the tenant", "NAME",
        default_words="the tenant-id, else the root's host",
    ),
    Option(
        "patch-path", "server", _patch_path, "the path of a change; it contains {runId} and may contain {workflowId}",
        "PATH", default=PATCH_PATH,
    ),
    Option(
        "ca-file", "server", _path, "certificates to trust besides the system's (PEM)", "FILE", default_words="none",
    ),
    Option(
        "proxy", "server", read_proxy, "the proxy to use", "URL",
        default="", default_words="from HTTPS_PROXY and NO_PROXY", is_address=True,
    ),
    Option("page-size", "server", _whole(1, 999), "items to request per page", "N", default=999),
    Option(
        "unsafe-endpoint", "server", _switch,
        "allow sign-in for a root or an authority that is not a Microsoft cloud's own pair", default=False,
    ),
    Option(
        "sign-in", "sign-in", _one_of(*SIGN_IN_METHODS), f"how to sign in: {', '.join(SIGN_IN_METHODS)}", "METHOD",
        default_words="device-code with a client-id, else token",
    ),
    Option(
        "tenant-id", "sign-in", _id, "the tenant: its id or one of its domains", "ID",
        default="", default_words="none", azure="AZURE_TENANT_ID",
    ),
    Option(
        "client-id", "sign-in", _id, "the app registration to sign in with", "ID",
        default="", default_words="none", azure="AZURE_CLIENT_ID",
    ),
    Option(
        "username", "sign-in", _text, "the account to use, if there are several", "NAME",
        default="", default_words="the only one",
    ),
    Option(
        "authority", "sign-in", _text, "the sign-in service, if it is not the cloud's own", "URL",
        default_words="the cloud's own", is_address=True, azure="AZURE_AUTHORITY_HOST",
    ),
    Option(
        "token-cache", "sign-in", _one_of("file", "memory"), "where to keep tokens: file or memory", "WHERE",
        default="file",
    ),
    Option(
        "certificate", "sign-in", _path, "certificate and key of the app (PEM or PKCS#12)", "FILE",
        default_words="none", azure="AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    Option(
        "federated-token-file", "sign-in", _path, "a file with the token of a workload identity", "FILE",
        default_words="none", azure="AZURE_FEDERATED_TOKEN_FILE",
    ),
    Option("token-file", "sign-in", _path, "a file with a bearer token", "FILE", default_words="none"),
    Option(
        "read-only", "writing", _switch, "refuse every change", default=False, negative="write", flag_undoes=True,
    ),
    Option(
        "require-why", "writing", _switch, "refuse a change without a reason for the journal", default=False,
        flag_undoes=True,
    ),
    Option(
        "body", "writing", _one_of("full", "changed"),
        "what a change sends: all required properties (full), or only the changed ones (changed)", "MODE",
        default="full", setting="body_mode",
    ),
    Option(
        "theme", "screen", _one_of(*THEME_NAMES), f"one of {', '.join(THEME_NAMES)}", "NAME",
        default_words="to match the terminal",
    ),
    Option(
        "refresh", "screen", _number(0, 86_400), "seconds between refreshes of the list; 0: by key only", "SECONDS",
        default=30.0, setting="refresh_seconds",
    ),
    Option(
        "bell", "screen", _switch, "ring the bell when a watched run ends", default=True, negative="no-bell",
    ),
    Option("mouse", "screen", _switch, "use the mouse", default_words="not over SSH", negative="no-mouse"),
    Option("log", "log", _path, "append requests and decisions to this file, without secrets", "FILE",
           default_words="no log"),
)  # fmt: skip

OPTION_BY_NAME: Final = {option.name: option for option in OPTIONS}

LOG: Final = OPTION_BY_NAME["log"]
"""The log option, which is read before every command."""

SECRETS: Final = ("client-secret", "certificate-password", "token", "password")
"""Names of secrets that people may put into config.toml, where they do not belong."""


def default_of(name: str) -> Any:
    return OPTION_BY_NAME[name].default


BELONGS_TO_PROFILE: Final = "belongs to a profile, below [profiles.NAME]."
"""The end of the sentence about an option in a wrong place of config.toml."""
