"""The README is true: its generated parts, and every name and link in it, are compared with the program."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from runtui import options
from runtui.auth.token_store import cache_path
from runtui.cli import command_parser
from runtui.cli.commands import COMMANDS
from runtui.errors import ExitCode
from runtui.headless.welcome import CONFIG, REGISTRATION
from runtui.keys.actions import SCOPE_TITLES, in_scopes
from runtui.keys.help import FILTER_HELP
from runtui.keys.keymap import read_keys
from runtui.keys.names import key_text
from runtui.options import GROUP_TITLES, OPTIONS, Option
from runtui.sandbox.app import ROUTES
from runtui.sandbox.scenarios import SCENARIOS
from runtui.services.records.journal_query import ENTRY_FILTER_HELP, EXPORTS
from runtui.settings import JOURNAL_FILE, store_path
from runtui.tui.themes import THEMES

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text("utf-8")
CODE: Final = re.compile(r"`([^`\n]+)`")


def keys_table() -> str:
    """Return a Markdown table of every action of the registry."""
    lines = ["| Where | Keys | What it does | Name |", "|---|---|---|---|"]
    for scope, title in SCOPE_TITLES.items():
        for action in in_scopes(scope):
            keys = " ".join(f"`{key_text(key)}`" for key in action.default_keys)
            lines.append(f"| {title} | {keys} | {action.help} | `{action.name}` |")
    return "\n".join(lines)


def commands_table() -> str:
    """Return a Markdown table of every command."""
    lines = ["| Command | What it does |", "|---|---|"]
    return "\n".join([*lines, *(f"| `runtui {command.name}` | {command.help} |" for command in COMMANDS)])


def options_table() -> str:
    """Return a Markdown table of every option of a session."""
    lines = ["| Key | What it says | Without it | Also |", "|---|---|---|---|"]
    for group, title in GROUP_TITLES.items():
        lines.append(f"| **{title}** | | | |")
        for option in OPTIONS:
            if option.group == group:
                also = ", ".join(f"`{name}`" for name in _other_names(option))
                help_text = option.help.replace("{", "`{").replace("}", "}`")
                lines.append(f"| `{option.name}` | {help_text} | {_default(option)} | {also} |")
    return "\n".join(lines)


def _other_names(option: Option) -> list[str]:
    return [name for name in (option.azure, option.negative and option.flag(False)) if name]


def _default(option: Option) -> str:
    return f"`{option.default_text}`" if option.default_text.startswith("/") else option.default_text


def code_block(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```"


GENERATED: Final = {
    "keys": keys_table(),
    "filter": code_block(FILTER_HELP),
    "journal filter": code_block(ENTRY_FILTER_HELP),
    "registration": code_block(REGISTRATION),
    "config": code_block(CONFIG, "toml"),
    "commands": commands_table(),
    "options": options_table(),
}
"""The generated parts of the README, by the name of the marks around them."""


def between_marks(name: str) -> str:
    """Return the text between two marks of the README."""
    _, found, rest = README.partition(f"<!-- {name} -->\n")
    inside, ended, _ = rest.partition(f"<!-- end of {name} -->")
    assert found, f"README.md has no mark {name!r}"
    assert ended, f"README.md has no end of {name!r}"
    return inside.strip()


@pytest.mark.parametrize(("name", "wanted"), GENERATED.items(), ids=GENERATED)
def test_what_is_generated_is_up_to_date(name: str, wanted: str) -> None:
    assert between_marks(name) == wanted, f"paste this between the marks {name!r} of README.md:\n\n{wanted}\n"


def section(title: str) -> str:
    """Return the text below a heading, up to the next heading of any level."""
    _, found, rest = README.partition(f"# {title}\n")
    assert found, f"README.md has no section {title!r}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(title: str) -> list[str]:
    """Return the code in the first cells of a section's table."""
    return re.findall(r"^\| `([^`]+)` \|", section(title), re.MULTILINE)


def command_lines() -> list[str]:
    """Return the arguments of every runtui command in the shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return re.findall(r"\.venv/bin/runtui\b(.*)", "".join(blocks))


def test_the_keys_of_the_example_can_be_used() -> None:
    (block,) = re.findall(r"^```toml\n(\[keys\].*?)^```", README, re.MULTILINE | re.DOTALL)
    assert read_keys(tomllib.loads(block)["keys"]).mistakes == ()


def test_there_is_one_command_for_the_demo_and_one_for_the_tests() -> None:
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert [command.rpartition("&& ")[2] for command in commands] == [
        ".venv/bin/runtui demo",
        ".venv/bin/python -m pytest -n auto",
    ]


def all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser, and the parsers of its commands and subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for part in action.choices.values():
                yield from all_parsers(part)


def test_every_option_and_command_that_is_named_exists() -> None:
    (commands,) = (action.choices for action in command_parser()._actions if isinstance(action.choices, dict))
    helps = " ".join(known.format_help() for known in all_parsers(command_parser()))
    of_pip = {"--quiet", "--require-hashes", "--no-deps"}
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - of_pip
    named = {match[1] for code in CODE.findall(README) if (match := re.search(r"\bruntui ([a-z-]+)", code))}
    assert {"--root", "--no-mouse"} <= options
    assert {"demo", "sandbox"} <= named
    assert sorted(option for option in options if not re.search(rf"{option}(?![\w-])", helps)) == []
    assert sorted(named - set(commands)) == []


@pytest.mark.parametrize("arguments", command_lines())
def test_every_command_line_is_understood(arguments: str) -> None:
    command_parser().parse_args(shlex.split(arguments))


def test_every_scenario_that_is_named_exists() -> None:
    named = set(re.findall(r"--scenario ([\w-]+)", README))
    assert named
    assert named <= {scenario.name for scenario in SCENARIOS}


def test_every_way_to_sign_in_is_reported() -> None:
    assert first_cells("Signing in") == list(options.SIGN_IN_METHODS)


def test_every_variable_that_is_named_exists() -> None:
    read = "".join(path.read_text("utf-8") for path in (ROOT / "runtui").rglob("*.py"))
    known = {option.variable for option in OPTIONS} | {option.azure for option in OPTIONS}
    named = set(re.findall(r"\b(?:RUNTUI|AZURE)_[A-Z_]*[A-Z]\b", README)) - {"RUNTUI_WRITE_SCREENSHOTS"}  # the tests'
    assert "RUNTUI_TOKEN" in named
    assert sorted(name for name in named - known if f'"{name}"' not in read) == []


def test_every_exit_code_is_reported() -> None:
    assert first_cells("Exit codes") == [str(int(code)) for code in ExitCode]


def test_every_file_is_reported_by_its_name() -> None:
    made = (store_path(Path(), "any").name, cache_path(Path(), "any", "any", "any").name)
    without_hash = [re.sub(r"[0-9a-f]{16}", "…", name) for name in made]
    assert {JOURNAL_FILE, f"{EXPORTS}/", "sessions/", *without_hash} <= set(first_cells("Files"))


def test_every_theme_that_is_named_exists() -> None:
    named = set(re.findall(r"--theme ([a-z-]+)", README))
    assert named
    assert named <= {*THEMES, "dark", "light"} == set(options.THEME_NAMES)


def test_every_path_is_one_that_the_sandbox_answers() -> None:
    def shape(path: str) -> str:
        return re.sub(r"\{\w+\}", "{}", path)

    answered = {(route.method, shape(route.path)) for route in ROUTES}
    lines = [line.split() for line in between_marks("paths").splitlines() if not line.startswith("```")]
    assert len(lines) == 5
    assert {(method, shape(path)) for method, path in lines} <= answered


def test_every_picture_and_file_that_is_named_is_there() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", README)
    named = [name for name in CODE.findall(README) if re.fullmatch(r"(?:tests|runtui|styles|\.ci)/[\w/.-]+", name)]
    headings = {f"#{title.lower().replace(' ', '-')}" for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}
    assert linked
    assert [name for name in (*linked, *named) if name not in headings and not (ROOT / name).exists()] == []
