"""Makes the settings of a session from the chosen options, and lists the profiles to switch to.

Invariant: invalid combinations are refused here, before anything is opened, in a sentence that names the source of the
wrong value. Tokens come from the sign-in service of the root's own cloud, unless a person names another. Switching
profiles carries nothing over: `--write` applies only to the profile it was given with, and a supplied token only to the
root it was given for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from runtui.auth.clouds import CLOUD_BY_NAME, Cloud, check_pair, cloud_of_authority, cloud_of_root, parse_authority
from runtui.config import Choices, Config, check_regular, choose
from runtui.errors import UsageError
from runtui.graph.root import parse_root, root_is_loopback
from runtui.options import OPTION_BY_NAME, OPTIONS, OptionGroup, SignInMethod, read_proxy
from runtui.settings import Settings, SignInSettings, state_folder

_VERSION: Final = "beta"
"""The Graph version; only beta documents the update of a run."""

PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""The variables that name the proxy for an https server, besides the option `proxy`."""

_FOLDER_VARIABLES: Final = ("XDG_STATE_HOME", "RUNTUI_STATE")
_LASTING: Final[tuple[OptionGroup, ...]] = ("writing", "screen")


def names_server(choices: Choices) -> bool:
    """Return whether a server is chosen. Variables of Azure's own tools alone choose none."""
    return any(_is_given(choices, name) for name in ("root", "cloud", "client-id", "sign-in"))


def settings_of(choices: Choices, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a session on the chosen server.

    Raises:
        UsageError: No server is chosen, or values are invalid or contradict each other.
    """
    cloud, root = _server(choices)
    host = root.split("://", 1)[1].split("/", 1)[0]
    _check_files(choices)
    if not root_is_loopback(root):
        _check_proxies(choices, environ)
    values = setting_values(choices, environ) | {
        "root": root,
        "tenant": choices.get("tenant") or (choices.get("tenant-id") if cloud else None) or host,
        "profile": choices.profile,
        "sign_in": _sign_in(choices, root, cloud),
    }
    return Settings(state_folder=state_folder(environ), **values)


def setting_values(choices: Choices, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return field -> value for the fields of `Settings` that are options, as chosen or by default."""
    mouse = choices.get("mouse")
    return _values_of(choices, Settings) | {"mouse": "SSH_CONNECTION" not in environ if mouse is None else mouse}


def _values_of(choices: Choices, settings: type[Settings | SignInSettings]) -> dict[str, Any]:
    return {option.field: choices.get(option.name) for option in OPTIONS if option.field in settings._fields}


def _server(choices: Choices) -> tuple[Cloud | None, str]:
    if not names_server(choices):
        what = "There is no profile, no --root and no --client-id."
        cure = "Write a profile: `runtui` without one shows how. Or try: runtui demo."
        if choices.profile:
            what = f"The profile {choices.profile} has no root, cloud or client-id."
            cure = "Add one of them to the profile, or --root URL to the command."
        raise UsageError("No server is chosen", what, cure)
    named = CLOUD_BY_NAME[choices.get("cloud")] if choices.get("cloud") else None
    if not _is_given(choices, "root"):
        # Azure's own variable chooses the cloud only if nothing else does.
        chosen = named or _cloud_of_authority(choices) or CLOUD_BY_NAME["global"]
        return chosen, f"{chosen.graph}/{_VERSION}"
    with _named(choices, "root"):
        root = parse_root(choices.get("root"))
    cloud = cloud_of_root(root)
    if named is not None and cloud is not named:
        _refuse(choices, "root", f"{root} does not belong to the cloud {named.name} ({choices.where('cloud')}).")
    return cloud, root


def _cloud_of_authority(choices: Choices) -> Cloud | None:
    if not choices.get("authority"):
        return None
    with _named(choices, "authority"):
        return cloud_of_authority(parse_authority(choices.get("authority")))


def _sign_in(choices: Choices, root: str, cloud: Cloud | None) -> SignInSettings | None:
    """Return the sign-in settings; None for the token in RUNTUI_TOKEN."""
    method: SignInMethod = choices.get("sign-in") or ("device-code" if _is_given(choices, "client-id") else "token")
    if method == "token" and not choices.get("token-file"):
        return None
    if method != "token":
        _check_needs(choices, method)
    values = _values_of(choices, SignInSettings) | {
        "method": method,
        "authority": "" if method == "token" else _authority(choices, root, cloud),
    }
    return SignInSettings(write=not choices.get("read-only"), **values)


_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "certificate": ("tenant-id", "client-id", "certificate"),
    "federated": ("tenant-id", "client-id", "federated-token-file"),
    "managed-identity": (),
}
"""Method -> the options that it requires; other methods require a tenant-id and a client-id."""


def _check_needs(choices: Choices, method: str) -> None:
    where = choices.where("sign-in") if choices.get("sign-in") else choices.where("client-id")
    for name in _NEEDS.get(method, ("tenant-id", "client-id")):
        if not choices.get(name):
            option = OPTION_BY_NAME[name]
            raise UsageError(
                f"Signing in needs a {name}",
                f"{where} asks for {method}, and {name} is not given: {option.help}.",
                f"Set it in the profile, as {option.variable} or with {option.flag()}. See runtui config show.",
            )


def _authority(choices: Choices, root: str, cloud: Cloud | None) -> str:
    """Return the sign-in service: the given one, else that of the root's cloud."""
    is_given = _is_given(choices, "authority")
    if cloud is None and not is_given:
        raise UsageError(
            "The sign-in service is unknown",
            f"{choices.where('root')}: {root} belongs to no Microsoft cloud, so it is unknown where to sign in.",
            'Set its authority, or use no profile: --profile "" with the token in RUNTUI_TOKEN.',
        )
    with _named(choices, "authority" if is_given else "root"):
        authority = parse_authority(choices.get("authority")) if is_given else cloud.authority if cloud else ""
        check_pair(root, authority, unsafe=choices.get("unsafe-endpoint"))
    return authority


@contextmanager
def _named(choices: Choices, name: str) -> Iterator[None]:
    """Prefix any UsageError in the block with the source of an option's value."""
    try:
        yield
    except UsageError as error:
        raise UsageError(error.title, f"{choices.where(name)}: {error.message}", error.hint) from None


def _is_given(choices: Choices, name: str) -> bool:
    """Return whether a value was given to runtui, not only to Azure's own tools."""
    return name in choices.values and choices.where(name) != OPTION_BY_NAME[name].azure


def _check_files(choices: Choices) -> None:
    """Refuse a pipe where a file is read later or again, and a `ca-file` without certificates."""
    for name in ("certificate", "federated-token-file", "ca-file"):
        path: Path | None = choices.get(name)
        if path is None:
            continue
        try:
            check_regular(path)
            if name == "ca-file" and not _has_certificates(path):
                _refuse(choices, name, f"{path} contains no PEM certificates.")
        except OSError as error:
            _refuse(choices, name, f"{path}: {error.strerror}.")


def _has_certificates(path: Path) -> bool:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return False
    return True


def _check_proxies(choices: Choices, environ: Mapping[str, str]) -> None:
    """Check the proxy variables, unless the option `proxy` overrides them; that one is checked when read."""
    if choices.get("proxy"):
        return
    for variable in PROXY_VARIABLES:
        if address := environ.get(variable):
            try:
                read_proxy(address)
            except ValueError as error:
                raise UsageError(
                    "The proxy cannot be used",
                    f"{variable}: {error}",
                    "Correct the variable, or override it with --proxy.",
                ) from None


def _refuse(choices: Choices, name: str, what: str) -> NoReturn:
    raise UsageError(
        "A setting cannot be used", f"{choices.where(name)}: {what}", "runtui config show lists every option."
    )


class Profile(NamedTuple):
    """A profile with its settings (None if they are invalid), and why it cannot be used (empty if it can)."""

    name: str
    settings: Settings | None
    problem: str = ""


def sign_in_word(settings: Settings) -> str:
    return "token" if settings.sign_in is None else settings.sign_in.method


def read_profile(config: Config, name: str, environ: Mapping[str, str] = os.environ) -> Profile:
    """Read a profile without flags and variables, except those that name folders."""
    places = {variable: environ[variable] for variable in _FOLDER_VARIABLES if variable in environ}
    return _profile(config, {}, name, places)


def _profile(config: Config, flags: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> Profile:
    try:
        return Profile(name, settings_of(choose(config, flags, profile=name, environ=environ), environ))
    except UsageError as error:
        return Profile(name, None, str(error))


class Profiles:
    """The profiles that a session can switch to. `flags` are the command line's options by name; switching keeps only
    those about changes and the screen, and not `--write`.
    """

    def __init__(self, config: Config, flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._environ = environ
        lasting = {name: value for name, value in flags.items() if OPTION_BY_NAME[name].group in _LASTING}
        self._flags = {name: value for name, value in lasting.items() if (name, value) != ("read-only", False)}

    def __len__(self) -> int:
        return len(self._config.profiles)

    def seen_from(self, present: Settings) -> Iterator[Profile]:
        """Yield each profile as a switch from the `present` session would open it."""
        for name in self._config.profiles:
            profile = _profile(self._config, self._flags, name, self._environ)
            try:
                if profile.settings is not None and profile.settings.sign_in is None:
                    self._check_token(name, profile.settings.root, present.root)
            except UsageError as error:
                profile = profile._replace(problem=str(error))
            yield profile

    def _check_token(self, name: str, root: str, present_root: str) -> None:
        """Check that RUNTUI_TOKEN may be used for a profile.

        Raises:
            UsageError: There is no token, or it was given for another root.
        """
        from runtui.auth.tokens import environment_token

        environment_token(self._environ)
        if root != present_root:
            raise UsageError(
                f"{name} cannot be opened from here",
                f"It uses RUNTUI_TOKEN, which was given for {present_root}; the profile's root is {root}.",
                f"Start runtui --profile {name} with its own token, or set a token-file in the profile.",
            )
