"""The settings of a session, and the places of its files.

Invariant: settings are read once, at the start, and never change; they hold no token. A field that an option fills has
the option's default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from runtui.errors import UsageError
from runtui.options import SignInMethod, default_of, home_folder, read_path

JOURNAL_FILE: Final = "journal.db"


class SignInSettings(NamedTuple):
    """How a session gets its tokens. It holds no secret: those are read from the environment or a file."""

    method: SignInMethod
    tenant_id: str
    """A GUID, a domain, or "organizations"."""
    client_id: str
    authority: str
    """Such as https://login.microsoftonline.com."""
    username: str = default_of("username")
    """The account to use; "" for the only one."""
    token_cache: Literal["file", "memory"] = default_of("token-cache")
    certificate: Path | None = None
    federated_token_file: Path | None = None
    token_file: Path | None = None
    write: bool = True
    """Whether to request the write scope (False in a read-only profile)."""

    @property
    def names_tenant(self) -> bool:
        return self.tenant_id.lower() not in ("organizations", "common", "consumers")

    @property
    def shares_store(self) -> bool:
        """True if neither tenant nor account is named, so that one store holds the runs of all tenants."""
        return not self.names_tenant and not self.username


class Settings(NamedTuple):
    """The settings of one session. `root` is the Graph root, such as https://graph.microsoft.com/beta."""

    root: str
    tenant: str
    """The tenant's name for the header and the review."""
    state_folder: Path
    """The folder of the store, the journal and crash reports."""
    profile: str = ""
    """The name of this session's profile; empty without one."""
    sign_in: SignInSettings | None = None
    """None for the bearer token in RUNTUI_TOKEN."""
    ca_file: Path | None = None
    """A PEM file of certificates to trust besides those of the operating system."""
    proxy: str = default_of("proxy")
    """The proxy, perhaps with user and password; "" for the one of HTTPS_PROXY and NO_PROXY."""
    page_size: int = default_of("page-size")
    is_sandbox: bool = False
    read_only: bool = default_of("read-only")
    require_why: bool = default_of("require-why")
    patch_path: str = default_of("patch-path")
    body_mode: Literal["full", "changed"] = default_of("body")
    theme: str | None = None
    refresh_seconds: float = default_of("refresh")
    """Seconds from the end of one listing to the start of the next; 0 for refresh by key only."""
    mouse: bool = True
    bell: bool = default_of("bell")

    def __repr__(self) -> str:
        """Return every setting but the proxy, which may have a password."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "proxy")
        return f"Settings({', '.join(shown)})"


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of config.toml: `RUNTUI_CONFIG`, else in the XDG configuration folder.

    Raises:
        UsageError: There is no home folder.
    """
    try:
        own = environ.get("RUNTUI_CONFIG")
        return read_path(own) if own else _xdg_folder(environ, "XDG_CONFIG_HOME", ".config") / "config.toml"
    except ValueError as error:
        raise UsageError("There is no place for config.toml", str(error), "Set RUNTUI_CONFIG to the file.") from None


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the store, the journal and crash reports: `RUNTUI_STATE`, else the XDG state folder.

    Raises:
        UsageError: There is no home folder.
    """
    try:
        own = environ.get("RUNTUI_STATE")
        return read_path(own) if own else _xdg_folder(environ, "XDG_STATE_HOME", ".local/state")
    except ValueError as error:
        hint = "Set RUNTUI_STATE to a folder of your own."
        raise UsageError("There is no place for the local store", str(error), hint) from None


def _xdg_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    base = Path(environ.get(variable, ""))
    # The XDG specification says to ignore a relative path.
    return (base if base.is_absolute() else home_folder() / below_home) / "runtui"


def store_path(folder: Path, root: str, tenant: str = "") -> Path:
    """Return the store's path, one per Graph root and tenant, so that a list never mixes two tenants.

    All tenants of a cloud have the same root. `tenant` tells them apart; it is empty if unknown before the first
    request.
    """
    from hashlib import sha256

    key = f"{root} {tenant.lower()}" if tenant else root
    return folder / f"runs-{sha256(key.encode()).hexdigest()[:16]}.db"
