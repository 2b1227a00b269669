"""What a person chose, and where files live.

Invariant: settings are read once, at the start, and never change; no token is among them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from runtui.errors import UsageError

PATCH_PATH: Final = "/workflowBase/runs/{runId}"
"""The path of the API page "Update run", which the published service does not offer; `{workflowId}` may be used too."""


SignInMethod = Literal[
    "device-code", "browser", "interactive", "secret", "certificate", "federated", "managed-identity", "token"
]
"""How tokens are had: the first three by a person, "token" by hand, the others by a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSettings:
    """How this session gets its tokens. No secret is in it: those are read from the environment or a file when they
    are needed."""

    method: SignInMethod
    tenant_id: str
    """A GUID, a domain, or "organizations"."""
    client_id: str
    authority: str
    """Such as https://login.microsoftonline.com."""
    username: str = ""
    """The account to use; "" = the only one there is."""
    token_cache: Literal["file", "memory"] = "file"  # noqa: S105 - a place, not a token
    certificate: Path | None = None
    federated_token_file: Path | None = None
    token_file: Path | None = None
    write: bool = True
    """Whether the write scope is asked for (False in a read-only profile)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One session's choices. `root` is the Graph root, such as https://graph.microsoft.com/beta."""

    root: str
    tenant: str
    """The name shown in the header and in the review: whose runs these are."""
    profile: str = ""
    """The name of the profile this session runs on; empty without one."""
    sign_in: SignInSettings | None = None
    """None: a bearer token by hand, RUNTUI_TOKEN."""
    ca_file: Path | None = None
    """A PEM file of certificates to trust besides those of the operating system."""
    proxy: str = field(default="", repr=False)
    """The proxy to go through, perhaps with a user and a password; "" = as HTTPS_PROXY and NO_PROXY say."""
    page_size: int = 999
    """Items asked for in one page of a listing."""
    is_sandbox: bool = False
    read_only: bool = False
    patch_path: str = PATCH_PATH
    body_mode: Literal["full", "changed"] = "full"
    theme: str | None = None
    refresh_seconds: float = 30.0
    """Seconds from the end of one listing to the start of the next; 0: only by hand."""
    mouse: bool = True
    state_folder: Path
    """Where the store and crash reports go."""


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where runtui keeps its store and its crash reports (XDG base directories, `RUNTUI_STATE` above them).

    Raises:
        UsageError: when there is no home folder to put it in.
    """
    try:
        if own := environ.get("RUNTUI_STATE"):
            return read_path(own)
        base = Path(environ.get("XDG_STATE_HOME", ""))
        # A relative path there is to be ignored, as the XDG specification says.
        return (base if base.is_absolute() else home_folder() / ".local" / "state") / "runtui"
    except ValueError as error:
        hint = "Set RUNTUI_STATE to a folder of your own."
        raise UsageError("There is no place for the local store", str(error), hint) from None


def read_path(text: str) -> Path:
    """A path as people write it, with `~` for the home folder, as an absolute one.

    Raises:
        ValueError: there is no such home folder; the text of the error is a sentence.
    """
    user = text.partition("/")[0]
    if user == "~":
        home_folder()
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"There is no user with the home folder {user}.") from None


def home_folder() -> Path:
    """The home folder of this user.

    Raises:
        ValueError: it is not known, or HOME is no absolute path: what is read and kept would then depend on where
            runtui is started.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise ValueError("The home folder of this user is not known.") from None
    if not home.is_absolute() or os.environ.get("HOME") == "":
        raise ValueError(f"HOME is {os.environ.get('HOME')!r}, which is no absolute path.")
    return home


def store_path(folder: Path, root: str) -> Path:
    """One file per Graph root, so that runs of two tenants are never in one list."""
    from hashlib import sha256

    return folder / f"runs-{sha256(root.encode()).hexdigest()[:16]}.db"
