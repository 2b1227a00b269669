"""Merges the options from all sources: defaults < variables of Azure's tools < config.toml < RUNTUI_* < flags.

Invariant: every value knows its source, and a mistake names the file, the line and the most similar valid name.
AZURE_* ranks below the file, since such variables are set for other programs and a profile names its own tenant and
app. If the file sets read-only, only a flag allows changes, never a variable.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from runtui.errors import UsageError, nearest_words
from runtui.keys.names import NO_KEYS, Keys
from runtui.options import (
    BELONGS_TO_PROFILE,
    GROUP_TITLES,
    OPTION_BY_NAME,
    OPTIONS,
    SECRETS,
    Option,
    OptionGroup,
    default_of,
)

TOP_LEVEL: Final = ("default-profile", "keys", "profiles")
PROFILE_VARIABLE: Final = "RUNTUI_PROFILE"
_NAME: Final = r"(\"[^\"]*\"|'[^']*'|[\w-]+)"
_KEYS: Final = "[keys]"
"""The section of `[keys]` in `Config.lines`; no profile can have this name."""


class Setting(NamedTuple):
    """A value and its source, such as "--root" or "config.toml, line 7"."""

    value: Any
    where: str


class Problem(NamedTuple):
    """A mistake in the file: its line (0 if unknown), and a sentence."""

    line: int
    message: str


class Config(NamedTuple):
    """The file as read: `profiles` maps a profile to its raw values, and `lines` (profile, key) to a line."""

    path: Path
    default_profile: str
    profiles: Mapping[str, Mapping[str, Any]]
    lines: Mapping[tuple[str, str], int]
    problems: tuple[Problem, ...]
    exists: bool
    keys: Keys = NO_KEYS
    """The keys of actions from `[keys]`."""

    def checked_keys(self) -> Mapping[str, tuple[str, ...]]:
        """Return action name -> keys from `[keys]`.

        Raises:
            UsageError: A key is invalid.
        """
        for mistake in self.keys.mistakes:
            what = f"{self.line_of_key(mistake.name)}: {mistake.sentence}"
            raise UsageError("A key cannot be used", what, "runtui config check lists every problem.")
        return self.keys.by_name

    def line_of_key(self, name: str) -> str:
        """Return the line of an action in `[keys]`, such as "config.toml, line 7"."""
        return _place(self.path, self.lines.get((_KEYS, name), self.lines.get(("", "keys"), 0)))


class Choices(NamedTuple):
    """The options of one session: the profile's name ("" without one), and all values from any source."""

    profile: str
    profile_where: str
    values: Mapping[str, Setting]

    def get(self, name: str) -> Any:
        chosen = self.values.get(name)
        return default_of(name) if chosen is None else chosen.value

    def where(self, name: str) -> str:
        """Return the source of an option's value, such as "--root" or "default"."""
        chosen = self.values.get(name)
        return "default" if chosen is None else chosen.where


def no_config(path: Path = Path()) -> Config:
    """Return an empty config, for a session that reads no file, or finds none."""
    return Config(path, "", {}, {}, (), exists=False)


def read_config(path: Path) -> Config:
    """Read the file and collect its mistakes; a missing file counts as empty, unless `RUNTUI_CONFIG` names it.

    Raises:
        UsageError: It cannot be read, or is not TOML.
    """
    try:
        check_regular(path)
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not os.environ.get("RUNTUI_CONFIG"):
            return no_config(path)
        why = error.strerror if isinstance(error, OSError) else "It is not UTF-8"
        raise UsageError("config.toml cannot be read", f"{path}: {why}.", "Correct it or set RUNTUI_CONFIG.") from error
    import tomllib

    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        is_told = isinstance(error, tomllib.TOMLDecodeError)
        what = str(error) if is_told else "A value is nested too deeply, or has too many digits"
        raise UsageError("config.toml is not TOML", f"{path}: {what}.", "Correct it: runtui config check.") from error
    lines = _lines(text)
    tables = data.get("profiles")
    named = tables.items() if isinstance(tables, dict) else ()
    profiles = {name: profile for name, profile in named if isinstance(profile, dict)}
    default = data.get("default-profile", "")
    keys = _keys(data["keys"]) if "keys" in data else NO_KEYS
    problems = tuple(_problems(data, lines, keys))
    return Config(path, default if isinstance(default, str) else "", profiles, lines, problems, exists=True, keys=keys)


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device in place of a file that is read more than once: it may never end.

    Raises:
        OSError: It is one, or the path cannot be looked up. A missing file, a folder and /dev/null are no such case.
    """
    if path.exists() and not (path.is_file() or path.is_dir() or str(path) == os.devnull):
        raise OSError(errno.ESPIPE, "It is not a regular file", str(path))


def _keys(table: object) -> Keys:
    from runtui.keys.keymap import read_keys  # it loads all actions, which commands do not need

    return read_keys(table)


def choose(
    config: Config,
    flags: Mapping[str, Any],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    groups: Container[OptionGroup] = GROUP_TITLES,
) -> Choices:
    """Merge the options from all sources.

    `flags` are the command line's values by option name, as text or already read. `profile` is the one that it names;
    "" means no profile, None the default one. The environment is read only for options of `groups`.

    Raises:
        UsageError: A value is invalid, or there is no such profile.
    """
    name, profile_where = _profile(config, profile, environ)
    raw: dict[str, Setting] = {}
    options = [option for option in OPTIONS if option.group in groups]
    for option in options:
        if option.azure and environ.get(option.azure):
            raw[option.name] = Setting(environ[option.azure], option.azure)
    for key, value in config.profiles.get(name, {}).items():
        raw[key] = Setting(value, _place(config.path, config.lines.get((name, key), 0)))
    for option in options:
        if given := environ.get(option.variable):
            if option.flag_undoes and _is_on(option, raw.get(option.name)) and not _is_on(option, Setting(given, "")):
                continue
            raw[option.name] = Setting(given, option.variable)
    raw |= {key: Setting(value, OPTION_BY_NAME[key].flag(value)) for key, value in flags.items()}
    return Choices(name, profile_where, {key: _read(key, chosen) for key, chosen in raw.items()})


def default_profile(config: Config) -> str:
    """Return the profile to use if the command line names none; "" without one."""
    try:
        return _profile(config, None, os.environ)[0]
    except UsageError:
        return ""


def _is_on(option: Option, chosen: Setting | None) -> bool:
    return chosen is not None and _read(option.name, chosen).value is True


def _profile(config: Config, named: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    if named is not None:
        name, where = named, "--profile"
        if not name:
            return "", where
    elif environ.get(PROFILE_VARIABLE):
        name, where = environ[PROFILE_VARIABLE], PROFILE_VARIABLE
    elif config.default_profile:
        name, where = config.default_profile, _place(config.path, config.lines.get(("", "default-profile"), 0))
    elif len(config.profiles) == 1:
        name, where = next(iter(config.profiles)), f"the only one in {config.path.name}"
    else:
        return "", ""
    if name not in config.profiles:
        known = ", ".join(config.profiles) or "none"
        what = f"{where} names {name!r}; {config.path} has: {known}.{nearest_words(name, config.profiles)}"
        raise UsageError("There is no such profile", what, "runtui profiles lists them.")
    return name, where


def _read(name: str, chosen: Setting) -> Setting:
    try:
        return Setting(_converted(name, chosen.value), chosen.where)
    except ValueError as error:
        is_in_file = chosen.where.startswith("/")  # else it is a flag or a variable
        hint = "runtui config check lists every problem of the file." if is_in_file else ""
        raise UsageError("An option cannot be used", f"{chosen.where}: {error}", hint) from None


def _converted(name: str, value: object) -> Any:
    """Return the value of an option, from a text or a TOML value.

    Raises:
        ValueError: There is no such option, or it cannot have this value; the error's text is a sentence.
    """
    option = OPTION_BY_NAME.get(name)
    if option is None:
        raise ValueError(_unknown(name))
    try:
        return option.read(value)
    except ValueError as error:
        given = repr(option.shown(value)) if isinstance(value, str) else option.shown(repr(value))
        raise ValueError(f"{name} is {given}. {error}") from None


def _problems(data: Mapping[str, Any], lines: Mapping[tuple[str, str], int], keys: Keys) -> Iterator[Problem]:
    for key in data:
        if key not in TOP_LEVEL:
            yield Problem(lines.get(("", key), 0), _unknown(key, TOP_LEVEL))
    for mistake in keys.mistakes:
        yield Problem(lines.get((_KEYS, mistake.name), lines.get(("", "keys"), 0)), mistake.sentence)
    profiles = data.get("profiles", {})
    if not isinstance(profiles, dict):
        yield Problem(lines.get(("", "profiles"), 0), "profiles must be a table: [profiles.NAME].")
        return
    for name, profile in profiles.items():
        if not isinstance(profile, dict):
            yield Problem(lines.get(("", "profiles"), 0), f"profiles.{name} must be a table: [profiles.{name}].")
            continue
        for key, value in profile.items():
            try:
                _converted(key, value)
            except ValueError as error:
                yield Problem(lines.get((name, key), 0), str(error))
    default = data.get("default-profile")
    if default is not None and default not in list(profiles):  # it may be unhashable
        near = nearest_words(str(default), profiles)
        yield Problem(lines.get(("", "default-profile"), 0), f"There is no profile {default!r}.{near}")


def _unknown(key: str, known: Collection[str] = OPTION_BY_NAME) -> str:
    """Say what is wrong with a key that is not `known` here, and where it belongs."""
    from runtui.keys.keymap import NAMES  # it loads all actions, which commands do not need

    if key.replace("_", "-") in SECRETS:
        variable = "RUNTUI_" + key.upper().replace("-", "_")
        return f"A secret does not belong in this file: remove {key} and set {variable} instead."
    if key in TOP_LEVEL:
        return f"{key} belongs to the top of the file."
    if key in OPTION_BY_NAME:
        return f"{key} {BELONGS_TO_PROFILE}"
    if key in NAMES:
        return f"{key} belongs to [keys]."
    near = nearest_words(key, known) or nearest_words(key, (*TOP_LEVEL, *OPTION_BY_NAME, *NAMES))
    return f"There is no key {key!r}.{near}"


def _place(path: Path, line: int) -> str:
    return f"{path}, line {line}" if line else str(path)


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Return (profile, [keys] or "", key) -> line; of keys that share a line only the first has an entry."""
    places: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(rf"\s*\[\s*profiles\s*\.\s*{_NAME}\s*\]", line):
            section = header[1].strip("\"'")
        elif re.match(r"\s*\[\s*keys\s*\]", line):
            section = _KEYS
            places.setdefault(("", "keys"), number)
        elif key := re.match(rf"\s*{_NAME}\s*=", line):
            places.setdefault((section, key[1].strip("\"'")), number)
    return places
