"""The command line's part in a session: options by name and a profile, resolved to settings when a command asks.

Invariant: only the flags that were given are in it; a demo hears no profile, and an undo goes back to the server of its
change.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.config import Choices, Config, choose, no_config, read_config
from runtui.errors import UsageError
from runtui.graph.root import parse_root
from runtui.options import LOG, OptionGroup
from runtui.profiles import names_server, setting_values, settings_of
from runtui.settings import Settings, config_path, state_folder, store_path

if TYPE_CHECKING:
    from runtui.auth.tokens import TokenSource
    from runtui.graph.transport import Wire

_OF_A_DEMO: Final[tuple[OptionGroup, ...]] = ("writing", "screen", "log")
"""The options that make sense for a server that is chosen already."""


class SessionSpec(NamedTuple):
    """The settings of a session, and what replaces the token source, network or root that they name."""

    settings: Settings
    token: Callable[[], Awaitable[str]] | None = None
    """Gives the bearer token of a request; None: as the settings say."""
    wire: Wire | None = None
    """Carries the requests in place of the network."""
    root: Callable[[], Awaitable[str]] | None = None
    """Gives the Graph root once the server is ready; None: the root of the settings."""
    store: Path | None = None
    """The SQLite file of the runs; None: that of root and tenant."""

    @property
    def store_file(self) -> Path:
        settings = self.settings
        return self.store or store_path(settings.state_folder, settings.root, tenant_known(settings))


class CommandLine(NamedTuple):
    """The session options of a command line."""

    flags: Mapping[str, Any]
    """Values by option name, as text or already read."""
    profile: str | None = None
    """The profile that it names; "" for none; None where it names none."""

    def choices(self) -> tuple[Config, Choices]:
        """The config file, and all options merged.

        Raises:
            UsageError: the file cannot be read, or a value cannot be used.
        """
        config = read_config(config_path())
        return config, choose(config, self.flags, profile=self.profile)

    def settings(self) -> Settings:
        """The settings of a session on the chosen server.

        Raises:
            UsageError: no server is chosen, or a value cannot be used.
        """
        config, choices = self.choices()
        if not names_server(choices) and config.profiles and not choices.profile_where:
            known = ", ".join(config.profiles)
            hint = "Add --profile NAME, or set default-profile = NAME at the top of the file."
            raise UsageError("No profile is chosen", f"{config.path} has: {known}.", hint)
        return settings_of(choices)

    def session(self) -> SessionSpec:
        return SessionSpec(settings=self.settings())

    def demo_settings(self) -> Settings:
        """The settings of a demo, which ignores the profiles of config.toml.

        Raises:
            UsageError: a value cannot be used.
        """
        choices = choose(no_config(), self.flags, profile="", groups=_OF_A_DEMO)
        values = setting_values(choices) | {"root": "", "tenant": "Contoso demo", "sign_in": None}
        return Settings(is_sandbox=True, state_folder=state_folder(), **values)

    def settings_to_undo(self, root: str, tenant: str, profile: str) -> Settings:
        """The settings to go back to the server of a change: on its profile, if config.toml still has it.

        Raises:
            UsageError: a value cannot be used.
        """
        config = read_config(config_path())
        kept = profile if profile in config.profiles else ""
        flags = {"tenant": tenant, **self.flags, "root": root}
        return settings_of(choose(config, flags, profile=kept if self.profile is None else self.profile))

    def root(self) -> str | None:
        """The Graph root that the command line itself names, by root, cloud or profile; None where it names none.

        Raises:
            UsageError: it names one that cannot be used.
        """
        if "root" in self.flags:
            return parse_root(self.flags["root"])
        return self.settings().root if self.profile or "cloud" in self.flags else None

    def log_file(self, environ: Mapping[str, str] = os.environ) -> Path | None:
        """The file of `--log`, RUNTUI_LOG or the profile; None without one.

        Raises:
            UsageError: a flag or variable names a path that cannot be used.
        """
        if LOG.name in self.flags or environ.get(LOG.variable):
            flags = {name: value for name, value in self.flags.items() if name == LOG.name}
            choices = choose(no_config(), flags, profile="", groups=(LOG.group,), environ=environ)
        else:
            try:
                choices = self.choices()[1]
            except UsageError:
                return None  # the command itself reports what is wrong with the file
        path: Path | None = choices.get(LOG.name)
        return path


def tenant_known(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """Whose runs a session reads, as far as that is known before anything is asked: who signs in where, or for whom the
    token in RUNTUI_TOKEN is. Empty where neither tells."""
    if settings.sign_in is None:
        from runtui.auth.claims import read_claims

        return "" if settings.is_sandbox else read_claims(environ.get("RUNTUI_TOKEN", "")).tenant_id
    return f"{settings.sign_in.tenant_id} {settings.sign_in.username}".strip()


def token_source(settings: Settings, environ: Mapping[str, str] = os.environ) -> TokenSource:
    """The source of a session's tokens; called on the event loop. From then on a crash dumps no memory.

    Raises:
        UsageError: RUNTUI_TOKEN is missing, or cannot be used.
    """
    from runtui.auth.tokens import environment_token, leave_no_core_dump

    leave_no_core_dump()
    if settings.sign_in is None:
        return environment_token(environ)
    from runtui.auth.msal_client import MsalClient
    from runtui.auth.signin import SignIn
    from runtui.graph.sign_in_http import SignInHttp

    http = partial(SignInHttp, settings.ca_file, proxy=settings.proxy)
    root, folder = settings.root, settings.state_folder
    return SignIn(MsalClient(settings.sign_in, root=root, state_folder=folder, http=http, environ=environ))
