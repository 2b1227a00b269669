"""`runtui profiles` and `runtui config`: prints every option with its value and source, and problems in config.toml.

Invariant: no request is sent. No secret is shown, only whether it is set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Final

from runtui.command_line import CommandLine
from runtui.config import PROFILE_VARIABLE, Choices, Config, Problem, default_profile, read_config
from runtui.domain.text import count_words, visible
from runtui.errors import ExitCode, UsageError
from runtui.headless.output import aligned
from runtui.keys.names import key_text
from runtui.options import GROUP_TITLES, OPTIONS, Option
from runtui.profiles import read_profile, sign_in_word
from runtui.settings import config_path

SECRET_VARIABLES: Final = (
    "RUNTUI_TOKEN",
    "RUNTUI_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "RUNTUI_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
)
"""The environment variables with secrets; their values are never read here."""


def print_profiles(*, output: str) -> int:
    """Print every profile, and mark the default. The exit code is NOT_DONE if a profile has a problem."""
    config = read_config(config_path())
    records = list(_profiles(config, default_profile(config)))
    if output == "json":
        print(json.dumps(records, indent=2))
    elif not records:
        print(f"{visible(config.path)} has no profile. Run runtui to see how to write one.")
    else:
        rows = [
            (
                "*" if record["default"] else "",
                record["name"],
                *(record[name] or "" for name in ("tenant", "root", "signIn")),
                "read-only" if record["readOnly"] else "",
                record["problem"] or "",
            )
            for record in records
        ]
        print(*aligned([("", "profile", "tenant", "root", "sign-in", "", ""), *rows]), sep="\n")
    return ExitCode.DONE if all(record["problem"] is None for record in records) else ExitCode.NOT_DONE


def _profiles(config: Config, chosen: str) -> Iterator[dict[str, object]]:
    for name in config.profiles:
        profile = read_profile(config, name)
        settings = profile.settings
        yield {
            "name": name,
            "default": name == chosen,
            "tenant": settings and settings.tenant,
            "root": settings and settings.root,
            "signIn": settings and sign_in_word(settings),
            "readOnly": settings and settings.read_only,
            "problem": profile.problem or None,
        }


def print_path() -> int:
    """Print the path of the file, which need not exist."""
    print(visible(config_path()))
    return ExitCode.DONE


def print_options(line: CommandLine, *, output: str = "table") -> int:
    config, choices = line.choices()
    secrets = {name: bool(os.environ.get(name)) for name in SECRET_VARIABLES}
    if output == "json":
        options = {option.name: _choice(choices, option) for option in OPTIONS}
        profile = {"value": choices.profile or None, "from": choices.profile_where or "default"}
        named = {name: list(map(key_text, keys)) for name, keys in config.keys.by_name.items()}
        shown = {"file": str(config.path), "profile": profile, "options": options, "keys": named, "secrets": secrets}
        print(json.dumps(shown, indent=2))
        return ExitCode.DONE
    print(f"file     {visible(config.path)}{'' if config.exists else ' (there is none)'}")
    print(f"profile  {visible(choices.profile) or 'none'}{_from(choices.profile_where)}")
    rows: list[tuple[str, ...]] = []
    for group, title in GROUP_TITLES.items():
        rows += [("",), (title,)]
        rows += [_row(choices, option) for option in OPTIONS if option.group == group]
    if config.keys.by_name:
        rows += [("",), ("Keys",)]
        rows += [
            (f"  {name}", " ".join(map(key_text, keys)), config.line_of_key(name))
            for name, keys in config.keys.by_name.items()
        ]
    rows += [("",), ("Secrets (from the environment only)",)]
    rows += [(f"  {name}", "set" if is_set else "not set") for name, is_set in secrets.items()]
    print(*aligned(rows), sep="\n")
    return ExitCode.DONE


def _choice(choices: Choices, option: Option) -> dict[str, object]:
    chosen = choices.values.get(option.name)
    if chosen is None:
        return {"value": None, "from": "default", "default": option.default_text}
    plain = isinstance(chosen.value, bool | int | float)
    return {"value": chosen.value if plain else option.shown(chosen.value), "from": chosen.where}


def _row(choices: Choices, option: Option) -> tuple[str, ...]:
    chosen = choices.values.get(option.name)
    if chosen is None:
        return f"  {option.name}", option.default_text, "default"
    return f"  {option.name}", option.shown(chosen.value), chosen.where


def _from(where: str) -> str:
    return f"  ({visible(where)})" if where else f"  (--profile, {PROFILE_VARIABLE} or default-profile chooses one)"


def check_config() -> int:
    """Print every problem of the file, one per line. The exit code is NOT_DONE if there is one."""
    path = config_path()
    try:
        config = read_config(path)
    except UsageError as error:
        print(visible(error.message))
        return ExitCode.NOT_DONE
    problems = problems_of(config)
    for problem in problems:
        place = f"{config.path}:{problem.line}" if problem.line else f"{config.path}"
        print(visible(f"{place}: {problem.message}"))
    if problems:
        return ExitCode.NOT_DONE
    what = f"{count_words(len(config.profiles), 'profile')}, no problem"
    print(f"{visible(config.path)}: {what if config.exists else 'not found, which is fine'}.")
    return ExitCode.DONE


def problems_of(config: Config) -> list[Problem]:
    """Return the problems of single values, by line, then those of profiles whose values contradict each other."""
    problems = sorted(config.problems)
    lines = {problem.line for problem in problems} - {0}
    named = {profile for (profile, _), line in config.lines.items() if line in lines}
    for name in config.profiles:
        if name not in named:
            profile = read_profile(config, name)
            if profile.problem:
                problems.append(Problem(0, f"profiles.{name}: {profile.problem}"))
    return problems
