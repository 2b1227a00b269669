"""`runtui profiles` and `runtui config`: what was chosen, where each value comes from, and what is wrong.

Invariant: nothing is asked of a server, and no secret is shown: of those only whether they are set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

from runtui.config import PROFILE_VARIABLE, Choices, Config, Problem, read_config
from runtui.domain.text import cell_width, visible
from runtui.errors import ExitCode, UsageError
from runtui.options import GROUP_TITLES, OPTIONS, Option
from runtui.profiles import alone, sign_in_word

SECRET_VARIABLES: Final = (
    "RUNTUI_TOKEN",
    "RUNTUI_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "RUNTUI_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
)
"""What is a secret as a whole; its value is never read here."""

_COLUMNS: Final = ("", "profile", "tenant", "root", "sign-in", "", "")


def print_profiles(config: Config, chosen: str, *, as_json: bool) -> int:
    """Print every profile of the file; the one that `runtui` alone would open is marked. The exit code."""
    records = list(_profiles(config, chosen))
    if as_json:
        print(json.dumps(records, indent=2))
    elif not records:
        print(f"{visible(config.path)} has no profile. runtui alone shows how to write one.")
    else:
        rows = [
            (
                "*" if record["default"] else "",
                record["name"],
                record["tenant"] or "",
                record["root"] or "",
                record["signIn"] or "",
                "read-only" if record["readOnly"] else "",
                record["problem"] or "",
            )
            for record in records
        ]
        print(*_table([_COLUMNS, *rows]), sep="\n")
    return int(ExitCode.DONE if all(record["problem"] is None for record in records) else ExitCode.NOT_DONE)


def _profiles(config: Config, chosen: str) -> Iterator[dict[str, object]]:
    for name in config.profiles:
        profile = alone(config, name)
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


def print_path(config: Config) -> int:
    """Print where the file lies, or belongs; the exit code is 1 where there is none."""
    print(visible(config.path))
    return int(ExitCode.DONE if config.exists else ExitCode.NOT_DONE)


def print_choices(config: Config, choices: Choices, *, as_json: bool, environ: Mapping[str, str] = os.environ) -> int:
    """Print every option with its value and where it comes from; the exit code."""
    secrets = {name: bool(environ.get(name)) for name in SECRET_VARIABLES}
    if as_json:
        options = {option.name: _choice(choices, option) for option in OPTIONS}
        profile = {"value": choices.profile or None, "from": choices.profile_where or "default"}
        print(
            json.dumps({"file": str(config.path), "profile": profile, "options": options, "secrets": secrets}, indent=2)
        )
        return int(ExitCode.DONE)
    print(f"file     {visible(config.path)}{'' if config.exists else ' (there is none)'}")
    print(f"profile  {visible(choices.profile) or 'none'}{_from(choices.profile_where)}")
    rows: list[tuple[str, ...]] = []
    for group, title in GROUP_TITLES.items():
        rows += [("",), (title,)]
        rows += [_row(choices, option) for option in OPTIONS if option.group == group]
    rows += [("",), ("Secrets, from the environment alone",)]
    rows += [(f"  {name}", "set" if is_set else "not set") for name, is_set in secrets.items()]
    print(*_table(rows), sep="\n")
    return int(ExitCode.DONE)


def _choice(choices: Choices, option: Option) -> dict[str, object]:
    chosen = choices.values.get(option.name)
    if chosen is None:
        return {"value": None, "from": "default", "default": option.default}
    plain = isinstance(chosen.value, bool | int | float)
    return {"value": chosen.value if plain else option.shown(chosen.value), "from": chosen.where}


def _row(choices: Choices, option: Option) -> tuple[str, ...]:
    chosen = choices.values.get(option.name)
    if chosen is None:
        return f"  {option.name}", option.default, "default"
    return f"  {option.name}", option.shown(chosen.value), chosen.where


def _from(where: str) -> str:
    return f"  ({visible(where)})" if where else f"  (--profile, {PROFILE_VARIABLE} or default-profile chooses one)"


def check_config(path: Path) -> int:
    """Print every problem of the file, one a line; exit code 1 when there is one."""
    try:
        config = read_config(path)
    except UsageError as error:
        print(visible(error.message))
        return int(ExitCode.NOT_DONE)
    problems = problems_of(config)
    for problem in problems:
        place = f"{config.path}:{problem.line}" if problem.line else f"{config.path}"
        print(visible(f"{place}: {problem.what}"))
    if problems:
        return int(ExitCode.NOT_DONE)
    what = f"{len(config.profiles)} profile{'' if len(config.profiles) == 1 else 's'}, no problem"
    print(f"{visible(config.path)}: {what if config.exists else 'there is no such file, which is fine'}.")
    return int(ExitCode.DONE)


def problems_of(config: Config) -> list[Problem]:
    """What is wrong with single values, by line, and then with profiles whose values do not go together."""
    problems = sorted(config.problems)
    spoilt = {profile for (profile, _), line in config.lines.items() if any(line == it.line for it in problems if line)}
    for name in config.profiles:
        if name not in spoilt:
            profile = alone(config, name)
            if profile.problem:
                problems.append(Problem(0, f"profiles.{name}: {profile.problem}"))
    return problems


def _table(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines with columns as wide as they have to be; a row of one cell is a title and takes no part in that."""
    texts = [[visible(cell) for cell in row] for row in rows]
    columns = zip_longest(*(row for row in texts if len(row) > 1), fillvalue="")
    widths = [max(sum(map(cell_width, cell)) for cell in column) for column in columns]
    for row in texts:
        padded = (cell + " " * (width - sum(map(cell_width, cell))) for cell, width in zip(row, widths, strict=False))
        yield (row[0] if len(row) == 1 else "  ".join(padded)).rstrip()
