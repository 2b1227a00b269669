"""The commands that speak of runtui's own choices and of the place it runs in.

Invariant: none of them needs a server; `doctor` alone asks one, and goes on without it.
"""

from __future__ import annotations

import argparse
from typing import Any

from runtui.cli_options import add_every_option, choices_of, flags_of, profile_of


def add_setup_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add profiles, config and doctor."""
    profiles = commands.add_parser("profiles", help="the profiles of config.toml; * marks the default")
    profiles.set_defaults(run=_profiles)
    profiles.add_argument("--json", action="store_true", help="one JSON array")

    config = commands.add_parser("config", help="what was chosen, where it comes from, and what is wrong with it")
    config.set_defaults(run=_config_show, json=False)
    parts = config.add_subparsers(metavar="PART")
    path = parts.add_parser("path", help="where config.toml lies, or belongs")
    path.set_defaults(run=_config_path)
    show = parts.add_parser("show", help="every option, its value and where it comes from")
    show.set_defaults(run=_config_show)
    show.add_argument("--json", action="store_true", help="one JSON object")
    add_every_option(show)
    check = parts.add_parser("check", help="every problem of config.toml; exit code 1 when there is one")
    check.set_defaults(run=_config_check)

    doctor = commands.add_parser("doctor", help="what works here and what does not, each with a next step")
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--json", action="store_true", help="one JSON object")
    doctor.add_argument("--offline", action="store_true", help="ask no server")
    add_every_option(doctor)


def _profiles(parsed: argparse.Namespace) -> int:
    from runtui.config import config_path, default_of, read_config
    from runtui.headless.config import print_profiles

    config = read_config(config_path())
    return print_profiles(config, default_of(config), as_json=parsed.json)


def _config_path(_parsed: argparse.Namespace) -> int:
    from runtui.config import Config, config_path
    from runtui.headless.config import print_path

    path = config_path()
    return print_path(Config(path, "", {}, {}, (), exists=path.exists()))


def _config_show(parsed: argparse.Namespace) -> int:
    from runtui.headless.config import print_choices

    return print_choices(*choices_of(parsed), as_json=parsed.json)


def _config_check(_parsed: argparse.Namespace) -> int:
    from runtui.config import config_path
    from runtui.headless.config import check_config

    return check_config(config_path())


def _doctor(parsed: argparse.Namespace) -> int:
    from runtui.headless.doctor import examine

    return examine(flags_of(parsed), profile_of(parsed), offline=parsed.offline, as_json=parsed.json)
