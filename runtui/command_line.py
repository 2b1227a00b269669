"""The session options of a command line: flags and a profile, turned into settings on demand.

Invariant: it holds only flags that were given; a demo ignores profiles, and an undo uses the server of its change.
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
"""The options that apply to a demo, whose server is fixed."""


class SessionSpec(NamedTuple):
    """The settings of a session, and replacements for their token source, network, root or store."""

    settings: Settings
    token: Callable[[], Awaitable[str]] | None = None
    """Returns the bearer token of a request; None for the token source of the settings."""
    wire: Wire | None = None
    """Carries the requests; None for the network."""
    root: Callable[[], Awaitable[str]] | None = None
    """Returns the Graph root once the server is ready; None for the root of the settings."""
    store: Path | None = None
    """The SQLite file of the runs; None for the one of root and tenant."""

    @property
    def store_file(self) -> Path:
        settings = self.settings
        return self.store or store_path(settings.state_folder, settings.root, tenant_known(settings))


class CommandLine(NamedTuple):
    """The session options of a command line. Its methods raise UsageError if the file cannot be read, a value is
    invalid, or no server is chosen for a session that needs one.
    """

    flags: Mapping[str, Any]
    """Values by option name, as text or already read."""
    profile: str | None = None
    """The value of --profile; "" means no profile, None that the flag was not given."""

    def choices(self) -> tuple[Config, Choices]:
        """Return the config file and the merged options."""
        config = read_config(config_path())
        return config, choose(config, self.flags, profile=self.profile)

    def settings(self) -> Settings:
        """Return the settings of a session on the chosen server."""
        config, choices = self.choices()
        if not names_server(choices) and config.profiles and not choices.profile_where:
            known = ", ".join(config.profiles)
            hint = "Add --profile NAME, or set default-profile = NAME at the top of the file."
            raise UsageError("No profile is chosen", f"{config.path} has: {known}.", hint)
        return settings_of(choices)

    def session(self) -> SessionSpec:
        return SessionSpec(settings=self.settings())

    def demo_settings(self) -> Settings:
        """Return the settings of a demo, which ignores the profiles of config.toml."""
        choices = choose(no_config(), self.flags, profile="", groups=_OF_A_DEMO)
        values = setting_values(choices) | {"root": "", "tenant": "Contoso demo", "sign_in": None}
        return Settings(is_sandbox=True, state_folder=state_folder(), **values)

    def settings_to_undo(self, root: str, tenant: str, profile: str) -> Settings:
        """Return settings for the server of a change, with its profile if config.toml still has it."""
        config = read_config(config_path())
        kept = profile if profile in config.profiles else ""
        flags = {"tenant": tenant, **self.flags, "root": root}
        return settings_of(choose(config, flags, profile=kept if self.profile is None else self.profile))

    def root(self) -> str | None:
        """Return the Graph root that --root, --cloud or --profile names; None if none of them is given."""
        if "root" in self.flags:
            return parse_root(self.flags["root"])
        return self.settings().root if self.profile or "cloud" in self.flags else None

    def log_file(self) -> Path | None:
        """Return the path in `--log`, RUNTUI_LOG or the profile; None without one, or if the profile is invalid."""
        if LOG.name in self.flags or os.environ.get(LOG.variable):
            flags = {name: value for name, value in self.flags.items() if name == LOG.name}
            choices = choose(no_config(), flags, profile="", groups=(LOG.group,))
        else:
            try:
                choices = self.choices()[1]
            except UsageError:
                return None  # the command itself reports what is wrong with the file
        path: Path | None = choices.get(LOG.name)
        return path


def tenant_known(settings: Settings) -> str:
    """Return the tenant and account of a session as far as known before the first request: from the sign-in settings,
    or the tenant id in RUNTUI_TOKEN. Empty if unknown."""
    if settings.sign_in is None:
        from runtui.auth.claims import read_claims

        return "" if settings.is_sandbox else read_claims(os.environ.get("RUNTUI_TOKEN", "")).tenant_id
    return f"{settings.sign_in.tenant_id} {settings.sign_in.username}".strip()


def token_source(settings: Settings) -> TokenSource:
    """Create the token source of a session, on the event loop, and turn off core dumps, which would hold tokens.

    Raises:
        UsageError: RUNTUI_TOKEN is missing or invalid.
    """
    from runtui.auth.tokens import environment_token, leave_no_core_dump

    leave_no_core_dump()
    if settings.sign_in is None:
        return environment_token()
    from runtui.auth.msal_client import MsalClient
    from runtui.auth.signin import SignIn
    from runtui.graph.sign_in_http import SignInHttp

    http = partial(SignInHttp, settings.ca_file, proxy=settings.proxy)
    root, folder = settings.root, settings.state_folder
    return SignIn(MsalClient(settings.sign_in, root=root, state_folder=folder, http=http))
