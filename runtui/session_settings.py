"""From what was chosen to the settings of a session.

Invariant: whatever cannot work is refused here, before anything is opened, in a sentence that names where the wrong
value came from. Tokens are asked for at the sign-in service of the root's own cloud, unless a person said otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from runtui.auth.clouds import CLOUD_BY_NAME, Cloud, check_pair, cloud_of_authority, cloud_of_root, parse_authority
from runtui.config import Choices
from runtui.errors import UsageError
from runtui.graph.root import parse_root, root_is_loopback
from runtui.options import OPTION_BY_NAME, read_proxy
from runtui.settings import Settings, SignInMethod, SignInSettings, state_folder

if TYPE_CHECKING:
    from runtui.auth.tokens import TokenSource

_AS_CHOSEN: Final = {
    "patch-path": "patch_path",
    "ca-file": "ca_file",
    "proxy": "proxy",
    "page-size": "page_size",
    "read-only": "read_only",
    "body": "body_mode",
    "theme": "theme",
    "refresh": "refresh_seconds",
    "mouse": "mouse",
}
"""The options whose value is a setting, by the name of the setting, which holds the default."""

_VERSION: Final = "beta"
"""Of Graph: the update of a run is documented there alone."""

_PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""What names the way to an https server, beside `proxy`."""


def names_server(choices: Choices) -> bool:
    """Whether it was said which server to ask. What is set for Azure's tools alone says nothing."""
    return any(_said(choices, name) for name in ("root", "cloud", "client-id", "sign-in"))


def settings_of(choices: Choices, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a session on the server that the choices name.

    Raises:
        UsageError: they name none, or something that cannot be used or does not go together.
    """
    cloud, root = _server(choices)
    host = root.split("://", 1)[1].split("/", 1)[0]
    _check_ca_file(choices)
    if not root_is_loopback(root):
        _check_proxies(choices, environ)
    return Settings(
        root=root,
        tenant=choices.get("tenant") or (choices.get("tenant-id") if cloud else None) or host,
        profile=choices.profile,
        sign_in=_sign_in(choices, root, cloud),
        state_folder=state_folder(environ),
        **as_chosen(choices, environ),
    )


def as_chosen(choices: Choices, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The settings that are an option's value: those that were given, and the mouse, whose default is the place."""
    given = {field: choices.get(name) for name, field in _AS_CHOSEN.items() if name in choices.values}
    return {"mouse": "SSH_CONNECTION" not in environ, **given}


def token_source(settings: Settings, environ: Mapping[str, str] = os.environ) -> TokenSource:
    """Where the tokens of a session come from; asked for on the event loop. From then on a crash dumps no memory.

    Raises:
        UsageError: the token by hand is missing, or it cannot be used.
    """
    from runtui.auth.tokens import environment_token, leave_no_core_dump

    leave_no_core_dump()
    if settings.sign_in is None:
        return environment_token(environ)
    from functools import partial

    from runtui.auth.signin import SignIn
    from runtui.graph.sign_in_http import SignInHttp

    http = partial(SignInHttp, settings.ca_file, proxy=settings.proxy)
    root, folder = settings.root, settings.state_folder
    return SignIn(settings.sign_in, root=root, state_folder=folder, http=http, environ=environ)


def _server(choices: Choices) -> tuple[Cloud | None, str]:
    """The cloud, if it is one, and the root."""
    if not names_server(choices):
        raise UsageError(
            "No server",
            "Nothing says which Graph root to ask.",
            "Give --root, or write a profile: runtui alone shows how. Or try: runtui demo.",
        )
    named = CLOUD_BY_NAME[choices.get("cloud")] if choices.get("cloud") else None
    if not _said(choices, "root"):
        # Azure's own variable chooses among the clouds only where nobody else does.
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
    """How to sign in; None for the token of RUNTUI_TOKEN."""
    method: SignInMethod = choices.get("sign-in") or ("device-code" if _said(choices, "client-id") else "token")
    if method == "token" and not choices.get("token-file"):
        return None
    if method != "token":
        _check_needs(choices, method)
    return SignInSettings(
        method=method,
        tenant_id=choices.get("tenant-id", ""),
        client_id=choices.get("client-id", ""),
        authority="" if method == "token" else _authority(choices, root, cloud),
        username=choices.get("username", ""),
        token_cache=choices.get("token-cache", "file"),
        certificate=choices.get("certificate"),
        federated_token_file=choices.get("federated-token-file"),
        token_file=choices.get("token-file"),
        write=not choices.get("read-only", False),
    )


_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "certificate": ("tenant-id", "client-id", "certificate"),
    "federated": ("tenant-id", "client-id", "federated-token-file"),
    "managed-identity": (),
}
"""The options without which a method cannot work; the others need what a person needs."""


def _check_needs(choices: Choices, method: str) -> None:
    where = choices.where("sign-in") if choices.get("sign-in") else choices.where("client-id")
    for name in _NEEDS.get(method, ("tenant-id", "client-id")):
        if not choices.get(name):
            option = OPTION_BY_NAME[name]
            raise UsageError(
                f"Signing in needs a {name}",
                f"{where} asks for {method}, and {name} is not given: {option.help}.",
                f"Set it in the profile, as {option.variable}, or by {option.flag()}. runtui alone shows how to begin.",
            )


def _authority(choices: Choices, root: str, cloud: Cloud | None) -> str:
    """The sign-in service: the one that was given, else that of the root's cloud."""
    said = _said(choices, "authority")
    if cloud is None and not said:
        raise UsageError(
            "The sign-in service is not known",
            f"{choices.where('root')}: {root} is no Microsoft cloud's, so nothing says where to sign in.",
            'Give its authority, or leave the profile aside: --profile "" with the token of RUNTUI_TOKEN.',
        )
    with _named(choices, "authority" if said else "root"):
        authority = parse_authority(choices.get("authority")) if said else cloud.authority if cloud else ""
        check_pair(root, authority, unsafe=choices.get("unsafe-endpoint", False))
    return authority


@contextmanager
def _named(choices: Choices, name: str) -> Iterator[None]:
    """Say in an error where the value of an option came from."""
    try:
        yield
    except UsageError as error:
        raise UsageError(error.title, f"{choices.where(name)}: {error.message}", error.hint) from None


def _said(choices: Choices, name: str) -> bool:
    """Whether a person said it here, and not only Azure's own tools."""
    return name in choices.values and choices.where(name) != OPTION_BY_NAME[name].azure


def _check_ca_file(choices: Choices) -> None:
    path: Path | None = choices.get("ca-file")
    if path is None:
        return
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        _refuse(choices, "ca-file", f"{path} holds no certificates in PEM form.")
    except OSError as error:
        _refuse(choices, "ca-file", f"{path}: {error.strerror}.")


def _check_proxies(choices: Choices, environ: Mapping[str, str]) -> None:
    """Those of the environment; `proxy` itself was read with the other options, and stands above them."""
    if choices.get("proxy"):
        return
    for variable in _PROXY_VARIABLES:
        if said := environ.get(variable):
            try:
                read_proxy(said)
            except ValueError as error:
                raise UsageError(
                    "The proxy cannot be used",
                    f"{variable}: {error}",
                    "Correct the variable, or give another one by --proxy.",
                ) from None


def _refuse(choices: Choices, name: str, what: str) -> NoReturn:
    raise UsageError("A setting cannot be used", f"{choices.where(name)}: {what}", "runtui config show shows them all.")
