"""Options that several commands share, and the settings that they make.

Invariant: every flag of a session is made from `OPTIONS`, and only the flags that were given are handed on; they may
stand before or after the command. Only argparse is loaded.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from runtui.errors import UsageError
from runtui.options import GROUP_TITLES, OPTION_BY_NAME, OPTIONS, Group, Option

if TYPE_CHECKING:
    from runtui.config import Choices, Config
    from runtui.settings import Settings

_PROFILE: Final = "profile"
_PRESENT: Final[tuple[Group, ...]] = ("writing", "screen")
"""What can be chosen for a server that is chosen already."""


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Which server is asked, and how to sign in there."""
    _add_profile(parser)
    _add_group(parser, "server")
    _add_group(parser, "sign-in")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """The same, for a command that changes nothing: read-only asks for no permission to."""
    add_server_options(parser)
    _add(parser.add_argument_group(GROUP_TITLES["writing"]), OPTION_BY_NAME["read-only"])


def add_writing_options(parser: argparse.ArgumentParser) -> None:
    """Whether and how changes are sent."""
    _add_group(parser, "writing")


def add_screen_options(parser: argparse.ArgumentParser) -> None:
    """How the terminal UI looks and behaves."""
    _add_group(parser, "screen")


def add_every_option(parser: argparse.ArgumentParser) -> None:
    """All of them, for the commands that speak of the choices themselves."""
    add_server_options(parser)
    add_writing_options(parser)
    add_screen_options(parser)


def choices_of(parsed: argparse.Namespace) -> tuple[Config, Choices]:
    """What holds for this command line: the file, and everything that was said, laid over each other.

    Raises:
        UsageError: the file cannot be read, or something that was said cannot be used.
    """
    from runtui.config import choose, config_path, read_config

    config = read_config(config_path())
    return config, choose(config, flags_of(parsed), profile=profile_of(parsed))


def settings_of_server(parsed: argparse.Namespace) -> Settings:
    """The settings of a session on the server that was chosen.

    Raises:
        UsageError: none was, or none that may be used.
    """
    return settings_of_choices(*choices_of(parsed))


def settings_of_choices(config: Config, choices: Choices) -> Settings:
    """The settings of a session on the server that was chosen.

    Raises:
        UsageError: none was, or none that may be used.
    """
    from runtui.session_settings import names_server, settings_of

    if not names_server(choices) and config.profiles and not choices.profile_where:
        known = ", ".join(config.profiles)
        hint = "Give --profile NAME, or write default-profile = NAME at the top of the file."
        raise UsageError("No profile is chosen", f"{config.path} has: {known}.", hint)
    return settings_of(choices)


def settings_of_demo(parsed: argparse.Namespace) -> Settings:
    """The settings of a demo: no profile has a say in it.

    Raises:
        UsageError: something that was said cannot be used.
    """
    from runtui.config import choose, no_config
    from runtui.session_settings import as_chosen
    from runtui.settings import Settings, state_folder

    choices = choose(no_config(), flags_of(parsed), profile="", groups=_PRESENT)
    return Settings(root="", tenant="Contoso demo", is_sandbox=True, state_folder=state_folder(), **as_chosen(choices))


def settings_of_entry(parsed: argparse.Namespace, root: str, tenant: str, profile: str) -> Settings:
    """The settings for going back to where a change was made: on its profile, where there still is one.

    Args:
        parsed: The command line.
        root: The Graph root of the change.
        tenant: The name that was shown for it.
        profile: The name of the profile that it was made on; empty without one.

    Raises:
        UsageError: something that was said cannot be used.
    """
    from runtui.config import choose, config_path, read_config
    from runtui.session_settings import settings_of

    config = read_config(config_path())
    named = profile_of(parsed)
    if named is None:
        named = profile if profile in config.profiles else ""
    flags = {"tenant": tenant, **flags_of(parsed), "root": root}
    return settings_of(choose(config, flags, profile=named))


def root_of(parsed: argparse.Namespace) -> str | None:
    """The Graph root that the command line itself names, by itself, its cloud or its profile; None without.

    Raises:
        UsageError: it is none that may be used.
    """
    flags = flags_of(parsed)
    if "root" in flags:
        from runtui.graph.root import parse_root

        return parse_root(flags["root"])
    return settings_of_server(parsed).root if profile_of(parsed) or "cloud" in flags else None


def flags_of(parsed: argparse.Namespace) -> dict[str, Any]:
    """The options that the command line gives, by name."""
    given = vars(parsed)
    return {option.name: given[option.name] for option in OPTIONS if option.name in given}


def profile_of(parsed: argparse.Namespace) -> str | None:
    """The profile that the command line names; None without."""
    name: str | None = vars(parsed).get(_PROFILE)
    return name


def _add_profile(parser: argparse.ArgumentParser) -> None:
    words = 'a profile of config.toml; "" for none (default: default-profile, or the only one)'
    parser.add_argument("--profile", dest=_PROFILE, default=argparse.SUPPRESS, metavar="NAME", help=words)


def _add_group(parser: argparse.ArgumentParser, name: Group) -> None:
    group = parser.add_argument_group(GROUP_TITLES[name])
    for option in OPTIONS:
        if option.group == name:
            _add(group, option)


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    """Add an option without a default: one not given after a command must not undo the one given before it."""
    words: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
    words["help"] = f"{option.help} (default: {option.default})"
    if option.metavar:
        group.add_argument(option.flag(), metavar=option.metavar, **words)
        return
    group.add_argument(option.flag(), action="store_true", **words)
    if option.negative:
        negated = {**words, "help": f"the opposite of {option.flag()}"}
        group.add_argument(option.flag(False), action="store_false", **negated)
