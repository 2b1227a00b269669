"""The profiles of config.toml, as a command or a running session looks at them.

Invariant: a profile is never opened for writing because another one was: `--write` holds for the profile it was given
with, and a token by hand for the root it was given with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtui.auth.tokens import environment_token
from runtui.config import Config, choose
from runtui.errors import UsageError
from runtui.options import OPTION_BY_NAME, Group
from runtui.session_settings import settings_of
from runtui.settings import Settings

_PLACES: Final = ("XDG_STATE_HOME", "RUNTUI_STATE")
_LASTING: Final[tuple[Group, ...]] = ("writing", "screen")


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: what it leads to, or why it leads nowhere."""

    name: str
    settings: Settings | None
    problem: str = ""


def sign_in_word(settings: Settings) -> str:
    """The way of signing in, in a word."""
    return "token" if settings.sign_in is None else settings.sign_in.method


def alone(config: Config, name: str, environ: Mapping[str, str] = os.environ) -> Profile:
    """What a profile says by itself, without flags and variables."""
    places = {variable: environ[variable] for variable in _PLACES if variable in environ}
    try:
        return Profile(name, settings_of(choose(config, {}, profile=name, environ=places), places))
    except UsageError as error:
        return Profile(name, None, str(error))


class Profiles:
    """The profiles that a session can go on to.

    Args:
        config: The file.
        flags: The options of the command line, by name. Those about the server were meant for the first profile.
        environ: The environment.
    """

    def __init__(self, config: Config, flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._environ = environ
        self._flags = {name: value for name, value in flags.items() if _lasts(name, value)}

    def __len__(self) -> int:
        return len(self._config.profiles)

    def __iter__(self) -> Iterator[Profile]:
        """Each with what it would be opened with."""
        for name in self._config.profiles:
            try:
                yield Profile(name, self._settings(name))
            except UsageError as error:
                yield Profile(name, None, str(error))

    def onward(self, name: str, present: Settings) -> Settings:
        """What to open next, in the place of the present session.

        Raises:
            UsageError: it cannot be opened from here.
        """
        settings = self._settings(name)
        if settings.sign_in is None:
            environment_token(self._environ)
            if settings.root != present.root:
                raise UsageError(
                    f"{name} is not opened from here",
                    f"It signs in with RUNTUI_TOKEN, which was given for {present.root}, and leads to {settings.root}.",
                    f"Start runtui --profile {name} with a token of its own, or give the profile a token-file.",
                )
        return settings

    def _settings(self, name: str) -> Settings:
        return settings_of(choose(self._config, self._flags, profile=name, environ=self._environ), self._environ)


def _lasts(name: str, value: object) -> bool:
    return OPTION_BY_NAME[name].group in _LASTING and not (name == "read-only" and value is False)
